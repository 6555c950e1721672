//! Owns: what was pushed meets the truth, slice by slice, so that nobody waits long for the writer; then what the app lacks gets its
//! links. Must never know: who waits for it.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use mingle_core::{
    ask::{Closed, Mingled, Speaker},
    limits,
    meeting::{Agreed, Link},
    planted,
    policy::Policy,
    record::{Props, same},
    replica::{Row, RowState},
    run::Applied,
    session::{Call, Ended, Mode, State, copy::meet_copy},
};
use rusqlite::params;

use super::{
    FINISHED, GOES_ON, Open, aliased,
    filter::{self, Excuses},
    find, fresh, ground, one, remove, set_state, step, take, unsaid,
};
use crate::store::{
    alias, children,
    error::StoreError,
    ledger::{self, Past},
    record::{self, Held},
    sync::{
        Ground, frozen,
        link::{self, Linked},
        present, unlinked, write_met,
    },
    tx::Tx,
};

/// From here on what was pushed is durable; whether it is. It is not yet where what was not pushed may be deleted and nobody said that it is
/// `counted`: [`unsaid::unsaid`] does that, outside of the writer's time.
///
/// # Errors
/// [`Refusal::NotFound`](mingle_core::ask::Refusal::NotFound), `WrongState`.
pub fn enter(tx: &mut Tx<'_>, who: &Speaker, session: &str, counted: bool) -> Result<bool, StoreError> {
    let open = find(tx.conn(), who, session)?;
    step(&open, Call::Mingle)?;
    if open.state != State::Mingling {
        if !counted && unsaid::counts(&open) {
            return Ok(false);
        }
        begin(tx, &open)?;
    }
    Ok(true)
}

/// What the mode forgets, and the state.
pub(super) fn begin(tx: &Tx<'_>, open: &Open) -> Result<(), StoreError> {
    for replica in &open.replicas {
        let forget = match open.mode {
            Mode::Fast => continue,
            Mode::Slow | Mode::PushTruth => "UPDATE m_link SET confirmed = 0 WHERE replica = ?1 AND base IN (2, 3)",
            Mode::Refresh => {
                "UPDATE m_link SET base = 3, agreed = NULL, confirmed = 0 WHERE replica = ?1 AND remote_id IS NOT NULL AND base <> 2"
            }
            Mode::PullTruth => "UPDATE m_link SET base = 2, agreed = NULL, confirmed = 0 WHERE replica = ?1",
        };
        tx.conn().prepare_cached(forget)?.execute([replica])?;
        if matches!(open.mode, Mode::PullTruth | Mode::PushTruth) {
            // One side takes the place of the other, so there is nothing left to decide.
            let settle = "UPDATE m_conflict SET open = 0, verdict = 'resolved'
                 WHERE open = 1 AND link IN (SELECT link FROM m_link WHERE replica = ?1)";
            tx.conn().prepare_cached(settle)?.execute([replica])?;
        }
        // Whatever becomes of this session: the next one cannot go on where the last one was.
        tx.conn().prepare_cached("UPDATE m_copy SET anchor = NULL WHERE replica = ?1")?.execute([replica])?;
    }
    set_state(tx, open.session, State::Mingling)
}

/// What a slice of the mingling came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sliced {
    /// There is more.
    More,
    /// All has met, and what it did: it goes on.
    Done(Mingled),
    /// All has met, and it is to end: whoever ends it does the rest.
    Ending,
    /// It is over.
    Over(Closed),
    /// It is there no more: somebody else was faster.
    Gone,
}

/// The next slice of a session's mingling, until `enough` says that the transaction has been long enough. `ends`: one that is to end
/// does so once all has met.
///
/// # Errors
/// What SQLite says.
pub fn slice(tx: &mut Tx<'_>, session: &str, ends: bool, mut enough: impl FnMut() -> bool) -> Result<Sliced, StoreError> {
    let Some(mut open) = one(tx.conn(), "id = ?1", [session])? else { return Ok(Sliced::Gone) };
    left_out(tx, &mut open)?;
    if open.state == State::Mingling
        && (pushed(tx, &open, &mut enough)? || absent(tx, &open, &mut enough)? || fresh::fresh(tx, &open)?)
    {
        return Ok(Sliced::More);
    }
    if open.ends == GOES_ON {
        if open.state == State::Mingling {
            shows_again(tx, &open)?;
            set_state(tx, open.session, State::Pulling)?;
        }
        return Ok(Sliced::Done(told(tx, &open)?));
    }
    if !ends {
        return Ok(Sliced::Ending);
    }
    let (closed, how) = match open.ends {
        FINISHED => (take::close(tx, &open)?, Ended::Finished),
        _ => (Closed::default(), Ended::Cancelled),
    };
    remove(tx, &open, how)?;
    Ok(Sliced::Over(closed))
}

/// A session that is not fast shows again what was refused. Until all has met, what a copy in a form of its own was made of had to be
/// known.
fn shows_again(tx: &Tx<'_>, open: &Open) -> Result<(), StoreError> {
    if matches!(open.mode, Mode::Slow | Mode::PushTruth) {
        for replica in &open.replicas {
            let forget = "UPDATE m_link SET confirmed = 0 WHERE replica = ?1 AND base = 1";
            tx.conn().prepare_cached(forget)?.execute([replica])?;
        }
    }
    Ok(())
}

/// A collection that has left the configuration meanwhile takes its part of the session along: nobody could see what came of it, and
/// the rest must not wait for it.
fn left_out(tx: &Tx<'_>, open: &mut Open) -> Result<(), StoreError> {
    let mut there = Vec::with_capacity(open.replicas.len());
    for replica in &open.replicas {
        let collection: i64 = tx
            .conn()
            .prepare_cached("SELECT collection FROM m_copy WHERE replica = ?1")?
            .query_row([replica], |row| row.get(0))?;
        if tx.definitions().numbered(collection).is_some() {
            there.push(*replica);
            continue;
        }
        let mut unpush = tx.conn().prepare_cached("DELETE FROM m_push WHERE session = ?1 AND replica = ?2")?;
        let dropped = unpush.execute(params![open.session, replica])?;
        if dropped > 0 {
            tracing::warn!(
                app = open.app,
                records = dropped,
                "a session's collection has left the configuration with what was pushed"
            );
        }
    }
    open.replicas = there;
    Ok(())
}

fn told(tx: &Tx<'_>, open: &Open) -> Result<Mingled, StoreError> {
    let mut statement = tx.conn().prepare_cached("SELECT changed, conflicts, deleted FROM m_session WHERE session = ?1")?;
    Ok(statement
        .query_row([open.session], |row| Ok(Mingled { changed: row.get(0)?, conflicts: row.get(1)?, deleted: row.get(2)? }))?)
}

fn count(tx: &Tx<'_>, open: &Open, did: Mingled) -> Result<(), StoreError> {
    if did != Mingled::default() {
        tx.conn()
            .prepare_cached(
                "UPDATE m_session SET changed = changed + ?2, conflicts = conflicts + ?3, deleted = deleted + ?4 WHERE session = ?1",
            )?
            .execute(params![open.session, did.changed, did.conflicts, did.deleted])?;
    }
    Ok(())
}

/// One row of `m_push`.
struct Pushed {
    push: i64,
    replica: i64,
    id: String,
    what: String,
    data: Option<String>,
}

/// Meets the next pushed records; whether there may be more.
fn pushed(tx: &mut Tx<'_>, open: &Open, enough: &mut impl FnMut() -> bool) -> Result<bool, StoreError> {
    let rows: Vec<Pushed> = tx
        .conn()
        .prepare_cached("SELECT push, replica, id, what, data FROM m_push WHERE session = ?1 ORDER BY push LIMIT ?2")?
        .query_map(params![open.session, limits::BATCH_ROWS_MAX], |row| {
            Ok(Pushed { push: row.get(0)?, replica: row.get(1)?, id: row.get(2)?, what: row.get(3)?, data: row.get(4)? })
        })?
        .collect::<Result<_, _>>()?;
    let mut did = Mingled::default();
    let more = !rows.is_empty();
    let mut filters = BTreeMap::new();
    for row in rows {
        let (ground, pass) = ground(tx, open, row.replica)?;
        meet_one(tx, open, &ground, pass, &row, &mut did)?;
        let filter = match filters.entry(row.replica) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(filter::of(tx.conn(), row.replica)?),
        };
        // It is an edit of the truth like any other, and then nothing that is to be in this copy.
        if !filter.is_all()
            && let Some(linked) = link::by_remote_id(tx.conn(), row.replica, &row.id)?
        {
            filter::leaves(tx, filter, linked.link)?;
        }
        tx.conn().prepare_cached("DELETE FROM m_push WHERE push = ?1")?.execute([row.push])?;
        if enough() {
            break;
        }
    }
    count(tx, open, did)?;
    Ok(more)
}

fn meet_one(tx: &mut Tx<'_>, open: &Open, ground: &Ground, pass: u64, row: &Pushed, did: &mut Mingled) -> Result<(), StoreError> {
    let mut theirs = row.data.as_deref().map(record::props).transpose()?;
    if let Some(props) = &mut theirs {
        alias::rename(tx.conn(), tx.definitions(), &ground.spec.policy.references, props)?;
    }
    let linked = link::by_remote_id(tx.conn(), ground.replica, &row.id)?;
    if let Some(of) = aliased::of(tx, ground, linked.as_ref(), &row.id)?
        && row.what != "lost"
        && row.what != "given_up"
    {
        return aliased::meet(tx, ground, linked.as_ref(), &of, (&row.id, theirs.as_ref()), pass, did);
    }
    let Some(linked) = linked else {
        let Some(props) = theirs else { return Ok(()) };
        let live = Row { remote_id: row.id.clone(), revision: None, modified: None, created: None, state: RowState::Live(props) };
        let mut applied = Applied::default();
        unlinked::row(tx, ground, &live, Some(pass), false, &mut applied)?;
        did.changed += applied.changed;
        did.conflicts += applied.conflicts;
        if let Some(linked) = link::by_remote_id(tx.conn(), ground.replica, &row.id)? {
            link::seen(tx, linked.link, pass)?;
        }
        return Ok(());
    };
    link::seen(tx, linked.link, pass)?;
    match row.what.as_str() {
        "lost" | "given_up" => {
            let held = present(tx.conn(), linked.record)?.held;
            let confirmed = if row.what == "lost" { 0 } else { held.seq };
            let state = Link { agreed: Agreed::Gone, confirmed, ..linked.state };
            link::save(tx, linked.link, &state, held.data.is_some())
        }
        _ => meet(tx, open, ground, linked, &row.id, theirs.as_ref(), did),
    }
}

fn meet(
    tx: &mut Tx<'_>,
    open: &Open,
    ground: &Ground,
    mut linked: Linked,
    id: &str,
    theirs: Option<&Props>,
    did: &mut Mingled,
) -> Result<(), StoreError> {
    if theirs.is_none() && linked.missing && !planted::is("a leave that was shown is a delete") {
        return filter::without(tx, &linked);
    }
    let was = present(tx.conn(), linked.record)?;
    if was.props.is_none() && linked.state.agreed == Agreed::Same {
        linked.state.agreed = Agreed::Gone;
    }
    let mut taken = None;
    if open.mode == Mode::PushTruth {
        // What the truth is counts as what both had: so all that differs is the app's.
        linked.state.agreed = if was.props.is_some() { Agreed::Same } else { Agreed::Gone };
    } else if matches!(linked.state.agreed, Agreed::Own(_)) {
        if linked.state.confirmed > 0
            && let Past::There(mut props) = ledger::at_kept(tx.conn(), &was.held, linked.state.confirmed)?
        {
            if let Agreed::Own(agreed) = &linked.state.agreed {
                brought_level(agreed, was.props.as_ref(), &ground.spec.policy, &mut props);
            }
            taken = Some(props);
        }
    } else if linked.state.agreed != Agreed::Same && theirs.is_some() {
        // What it refused or gave up it has now, of its own: nothing of that was made of what it was shown.
        linked.state.confirmed = 0;
    }
    let frozen = frozen(tx.conn(), linked.link)?;
    let met = meet_copy(&linked.state, taken.as_ref(), was.props.as_ref(), id, theirs, ground.rules(&frozen));
    if met.changed && met.truth.is_none() && held_by_children(tx, &was.held)? {
        // The app is shown it again.
        let state = Link { agreed: Agreed::Gone, confirmed: 0, ..linked.state };
        return link::save(tx, linked.link, &state, true);
    }
    did.deleted += u64::from(met.changed && met.truth.is_none());
    if let Some(other) = linked.state.remote_id.as_ref().filter(|present| theirs.is_some() && *present != id) {
        // It calls the record by an id that it had before; the one that it leaves stays its own.
        link::former(tx, ground.replica, other, linked.link)?;
        tx.conn()
            .prepare_cached("DELETE FROM m_former WHERE replica = ?1 AND remote_id = ?2 AND link = ?3")?
            .execute(params![ground.replica, id, linked.link])?;
    }
    let written = write_met(tx, ground, &linked, &was, met, None)?;
    did.changed += u64::from(written.changed);
    did.conflicts += written.conflicts;
    Ok(())
}

/// What an app was shown, where the truth is not by now what its copy has: it pushed that itself since, or others came to the same. (Schedule
/// 4080 had it clash with what it had pushed in a session that ended without a pull.)
fn brought_level(agreed: &Props, now: Option<&Props>, policy: &Policy, taken: &mut Props) {
    let Some(now) = now.filter(|_| !planted::is("an app clashes with itself")) else { return };
    let names: BTreeSet<&String> = agreed.keys().chain(now.keys()).collect();
    let names = names.into_iter().chain(taken.keys().filter(|name| !now.contains_key(*name) && !agreed.contains_key(*name)));
    for name in names.cloned().collect::<Vec<_>>() {
        if same(agreed.get(&name), now.get(&name), policy.likeness(&name)) {
            match now.get(&name) {
                Some(value) => taken.insert(name, value.clone()),
                None => taken.remove(&name),
            };
        }
    }
}

/// Whether records that refer to this one forbid that an app deletes it.
fn held_by_children(tx: &Tx<'_>, held: &Held) -> Result<bool, StoreError> {
    match children::may_be_deleted(tx, held) {
        Ok(()) => Ok(false),
        Err(StoreError::Refused(_)) => Ok(true),
        Err(other) => Err(other),
    }
}

/// What the app had and did not push, where that means that it was deleted there; whether there may be more.
fn absent(tx: &mut Tx<'_>, open: &Open, enough: &mut impl FnMut() -> bool) -> Result<bool, StoreError> {
    let mut did = Mingled::default();
    let mut more = false;
    for replica in &open.replicas {
        let (ground, pass) = ground(tx, open, *replica)?;
        let excuses = Excuses::of(tx.conn(), *replica)?;
        if open.mode == Mode::Refresh {
            // It has none of these any more, or cannot say so.
            tx.conn()
                .prepare_cached("UPDATE m_link SET base = 2 WHERE replica = ?1 AND base = 3 AND seen < ?2")?
                .execute(params![replica, link::signed(pass)])?;
        }
        if !open.mode.absence_deletes() {
            continue;
        }
        let had = "SELECT l.record, l.link FROM m_link l JOIN m_record r USING (record)
             WHERE l.replica = ?1 AND l.remote_id IS NOT NULL AND l.base IN (0, 1) AND r.state = 0 AND l.seen < ?2 AND ?3 = ?3
             LIMIT ?4";
        let whole = "SELECT r.record, l.link FROM m_record r LEFT JOIN m_link l ON l.record = r.record AND l.replica = ?1
             WHERE r.collection = ?3 AND r.state = 0 AND (l.link IS NULL OR l.seen < ?2) LIMIT ?4";
        let sql = if open.mode == Mode::PushTruth { whole } else { had };
        let gone: Vec<(i64, Option<i64>)> = tx
            .conn()
            .prepare_cached(sql)?
            .query_map(params![replica, link::signed(pass), ground.collection, limits::BATCH_ROWS_MAX], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?
            .collect::<Result<_, _>>()?;
        for (record, number) in gone {
            more = true;
            let linked = number.map(|number| link::by_number(tx.conn(), number)).transpose()?.flatten();
            let excused = excuses.has(tx.conn(), record, linked.as_ref().is_some_and(|linked| linked.missing))?
                && !(open.mode == Mode::PushTruth && planted::is("what a filter hides is replaced"));
            match linked.filter(|linked| linked.state.remote_id.is_some()) {
                Some(linked) if excused => {
                    link::seen(tx, linked.link, pass)?;
                    filter::without(tx, &linked)?;
                }
                Some(linked) => {
                    let id = linked.state.remote_id.clone().unwrap_or_default();
                    // Whatever comes of it, it is not looked at once more.
                    link::seen(tx, linked.link, pass)?;
                    meet(tx, open, &ground, linked, &id, None, &mut did)?;
                }
                None => {
                    let held = present(tx.conn(), record)?.held;
                    if excused || held_by_children(tx, &held)? {
                        match number {
                            Some(number) => link::seen(tx, number, pass)?,
                            None => {
                                link::insert(tx, ground.replica, record, &Link::unborn(), true, pass)?;
                            }
                        }
                        continue;
                    }
                    record::change(tx, &held, None, &ground.origin)?;
                    did.changed += 1;
                    did.deleted += 1;
                }
            }
            if enough() {
                break;
            }
        }
        if more {
            break;
        }
    }
    count(tx, open, did)?;
    Ok(more)
}
