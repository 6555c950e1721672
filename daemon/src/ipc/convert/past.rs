//! Owns: the past of records, between core words and wire words. Must never know: how it is kept.

use mingle_core::{
    ask::{self, Scope},
    policy::Merge,
    replay::{Tally, Would},
    time::Timestamp,
};
use mingle_proto::{Error, call};

use super::{conflict, invalid, raw, time, word};

/// What `why` answers.
pub(in crate::ipc) fn why(why: ask::Why) -> call::WhyAnswer {
    call::WhyAnswer {
        id: why.id,
        seq: why.seq,
        state: word(why.state, call::RecordState::Live),
        why: why.rows.into_iter().map(why_one).collect(),
        more: why.more,
    }
}

fn why_one(row: ask::WhyRow) -> call::WhyOne {
    let (since_at, origin, seq) = match row.since {
        Some(past) => (Some(time(past.at)), Some(past.origin), Some(past.seq)),
        None => (None, None, None),
    };
    let value = |text: Option<String>| text.as_deref().and_then(raw);
    let lost = |row: ask::LostRow| call::Lost {
        conflict: row.conflict,
        open: row.open,
        side: if row.theirs { call::LostSide::Theirs } else { call::LostSide::Truth },
        value: value(row.value),
        replica: row.replica,
        at: time(row.at),
    };
    let former = |(text, past): (Option<String>, ask::Past)| call::Former {
        value: value(text),
        since_at: time(past.at),
        origin: past.origin,
        seq: past.seq,
    };
    call::WhyOne {
        property: row.property,
        value: value(row.value),
        since_at,
        origin,
        seq,
        rule: word(row.rule, call::Rule::Unknown),
        policy: row.policy.to_owned(),
        lost: row.lost.into_iter().map(lost).collect(),
        before: row.before.into_iter().map(former).collect(),
    }
}

/// Which changes are meant; `scope` instead of the collection.
pub(in crate::ipc) fn undo(undo: call::Undo, scope: Scope) -> Result<ask::Undo, Error> {
    let moment = |name: &str, text: Option<String>| text.map(|text| parsed(name, &text)).transpose();
    Ok(ask::Undo {
        scope,
        id: undo.id,
        seq: undo.seq,
        app: undo.app,
        sync: undo.sync,
        run: undo.run,
        since: moment("since_at", undo.since_at)?,
        until: moment("until_at", undo.until_at)?,
        force: undo.force,
        cursor: undo.cursor,
    })
}

/// A moment that an app wrote, in a parameter of this name.
pub(in crate::ipc) fn parsed(name: &str, text: &str) -> Result<Timestamp, Error> {
    let moment: Result<jiff::Timestamp, _> = text.parse();
    moment
        .map(|moment| Timestamp::from_unix_ms(moment.as_millisecond()))
        .map_err(|_| invalid(format!("{name} is no time"), "write it as 2026-01-02T03:04:05Z"))
}

fn rows(rows: Vec<ask::UndoRow>) -> Vec<call::UndoChange> {
    let value = |text: Option<String>| text.as_deref().and_then(raw);
    let row = |row: ask::UndoRow| call::UndoChange {
        collection: row.collection,
        id: row.id,
        property: row.property,
        from: value(row.from),
        to: value(row.to),
        seq: row.seq,
        stale: row.later.map(|past| call::Later { seq: past.seq, origin: past.origin, at: time(past.at) }),
    };
    rows.into_iter().map(row).collect()
}

/// What an undo would do.
pub(in crate::ipc) fn undo_preview(page: ask::UndoPage) -> call::UndoAnswer {
    call::UndoAnswer { changes: rows(page.rows), cursor: page.cursor, ..call::UndoAnswer::default() }
}

/// What an undo did.
pub(in crate::ipc) fn undone(undone: ask::Undone) -> call::UndoAnswer {
    let ask::Undone { written, collections, left } = undone;
    let one = |(one, collection): (ask::WrittenOne, String)| call::UndoneOne { collection, id: one.id, seq: one.seq };
    call::UndoAnswer {
        changes: rows(left.rows),
        undone: written.writes.into_iter().zip(collections).map(one).collect(),
        token: Some(written.token),
        op: Some(written.op),
        cursor: left.cursor,
    }
}

/// A merge rule that is asked about.
pub(in crate::ipc) const fn merge(rule: call::Merge) -> Merge {
    match rule {
        call::Merge::Truth => Merge::Truth,
        call::Merge::Remote => Merge::Remote,
        call::Merge::Newest => Merge::Newest,
        call::Merge::Union => Merge::Union,
        call::Merge::Max => Merge::Max,
        call::Merge::Min => Merge::Min,
        call::Merge::Text => Merge::Text,
        call::Merge::Manual => Merge::Manual,
    }
}

/// Conflicts as this rule would have settled them.
pub(in crate::ipc) fn replayed(page: ask::Replayed, rule: call::Merge) -> call::ConflictListAnswer {
    let row = |(row, would): (ask::ConflictRow, Option<Would<ask::Body>>)| call::Conflict {
        would: would.map(wire_would),
        ..conflict(row)
    };
    let under = page.tally.map(|Tally { settled, of, more }| call::Under { rule, settled, of, more });
    call::ConflictListAnswer { conflicts: page.rows.into_iter().map(row).collect(), cursor: page.cursor, under }
}

fn wire_would(would: Would<ask::Body>) -> call::Would {
    match would {
        // A property that would be absent is null, as everywhere in a conflict.
        Would::Settle(value) => {
            call::Would { settled: true, value: value.as_deref().map_or_else(|| Some(Default::default()), raw), why: None }
        }
        Would::Wait => call::Would { settled: false, value: None, why: Some(call::Unsettled::Person) },
        Would::NotTold => call::Would { settled: false, value: None, why: Some(call::Unsettled::Stamps) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_of_the_wire_are_those_of_the_configuration() {
        let words = |all: Vec<&'static str>| all.into_iter().collect::<std::collections::BTreeSet<_>>();
        for rule in call::Merge::ALL {
            assert_eq!(merge(*rule).word(), rule.word());
        }
        let ours = words(Merge::ALL.iter().map(|rule| rule.word()).collect());
        assert_eq!(words(call::Merge::ALL.iter().map(|rule| rule.word()).collect()), ours);
    }

    #[test]
    fn every_rule_and_state_has_its_word_on_the_wire() {
        use ask::WhyRow;
        for rule in [WhyRow::WRITTEN, WhyRow::ARRIVED, WhyRow::MERGED, WhyRow::KEPT, WhyRow::OPEN, WhyRow::UNRECORDED] {
            assert!(rule.parse::<call::Rule>().is_ok_and(|read| read != call::Rule::Unknown), "{rule}");
        }
        for state in ["live", "deleted", "forgotten"] {
            assert!(state.parse::<call::RecordState>().is_ok(), "{state}");
        }
    }

    #[test]
    fn a_moment_that_is_none_is_refused() {
        let undo_of = |at: &str| undo(call::Undo { since_at: Some(at.into()), ..call::Undo::default() }, Scope::All);
        assert_eq!(undo_of("1970-01-01T00:00:01Z").map(|undo| undo.since), Ok(Some(Timestamp::from_unix_ms(1_000))));
        assert!(undo_of("yesterday").is_err_and(|error| error.message.contains("since_at")));
    }
}
