//! Owns: what taking changes of one record back makes of it. `undo n` is a meeting of the value after n, the truth now, and the value before
//! n: where the truth has moved on, the change stays and is named. Must never know: the ledger's rows, who undoes.

use std::collections::BTreeMap;

use crate::{
    policy::Policy,
    record::{Props, Value, same},
};

/// One change of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its seq.
    pub seq: u64,
    /// It is one of those that are taken back.
    pub chosen: bool,
    /// What was before it.
    pub before: Before,
}

/// What a record was before a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Before {
    /// There was none: the change made it, or brought it back.
    NotThere,
    /// Each property that changed, with its old value (none: absent). A delete changed all of them.
    Was(BTreeMap<String, Option<Value>>),
}

/// What taking back does to one property, or to the record as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Move {
    /// None: the record as a whole, which comes or goes.
    pub property: Option<String>,
    /// The value now; none: absent.
    pub from: Option<Value>,
    /// The value it gets; none: absent.
    pub to: Option<Value>,
    /// The change that is taken back.
    pub seq: u64,
    /// The later change that is in the way: nothing is done then.
    pub later: Option<u64>,
}

/// What is left of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Undone {
    /// The record; none: it is not there.
    pub truth: Option<Props>,
    /// What differs, and what was left as it is.
    pub moves: Vec<Move>,
}

/// The newest chosen changes of one thing that follow each other, as one.
#[derive(Clone, Debug, PartialEq)]
struct Block<T> {
    seq: u64,
    oldest: u64,
    after: T,
    before: T,
    /// The newest change of it that was not chosen and came later.
    later: Option<u64>,
}

/// Folds the changes of one thing, newest first, into its newest block.
fn block<T>(touching: impl IntoIterator<Item = (u64, bool, T, T)>) -> Option<Block<T>> {
    let (mut found, mut later): (Option<Block<T>>, Option<u64>) = (None, None);
    for (seq, chosen, after, before) in touching {
        match (&mut found, chosen) {
            (Some(block), true) => (block.oldest, block.before) = (seq, before),
            (None, true) => found = Some(Block { seq, oldest: seq, after, before, later }),
            (Some(_), false) => break,
            (None, false) => later = later.or(Some(seq)),
        }
    }
    found
}

/// Takes the chosen changes back. `changes`: all that are known of the record, newest first. `force`: also where the truth has moved on.
#[must_use]
pub fn undo(now: Option<&Props>, changes: &[Change], force: bool, policy: &Policy) -> Undone {
    let mut changes = changes.to_vec();
    if force && now.is_none() {
        // Whoever deleted it since is overruled: it comes back as it was, and what was chosen is taken back.
        let ended = changes.iter().position(|change| change.before != Before::NotThere);
        let older = ended.is_some_and(|at| changes[at..].iter().any(|change| change.chosen));
        if let Some(change) = ended.filter(|_| older).and_then(|at| changes.get_mut(at)) {
            change.chosen = true;
        }
    }
    let kept = Undone { truth: now.cloned(), moves: Vec::new() };
    let whole = block(existence(now.is_some(), &changes)).filter(|whole| whole.before != now.is_some());
    let Some(whole) = whole else { return properties(now, &changes, force, policy) };
    // What was made is taken back only as long as nobody else has worked on it.
    let others = || changes.iter().find(|change| !change.chosen && change.seq > whole.oldest).map(|change| change.seq);
    let later = whole.later.or_else(|| if whole.before { None } else { others() }).filter(|_| !force);
    let moved = |from: Option<&Props>, to: Option<&Props>, later| Move {
        property: None,
        from: from.cloned().map(Value::Map),
        to: to.cloned().map(Value::Map),
        seq: whole.seq,
        later,
    };
    match (later, whole.before) {
        (None, false) => Undone { truth: None, moves: vec![moved(now, None, None)] },
        (None, true) => {
            let back = properties(Some(&Props::new()), &changes, true, policy).truth;
            Undone { moves: vec![moved(now, back.as_ref(), None)], truth: back }
        }
        (later, _) => {
            let stays = moved(now, None, later);
            // Its making stays, and with it the values that it brought; what was chosen of later changes is taken back.
            for change in &mut changes {
                change.chosen &= change.before != Before::NotThere;
            }
            let mut undone = if now.is_some() { properties(now, &changes, force, policy) } else { kept };
            undone.moves.insert(0, stays);
            undone
        }
    }
}

/// The changes by which the record came or went.
fn existence(now: bool, changes: &[Change]) -> Vec<(u64, bool, bool, bool)> {
    let mut there = now;
    let mut found = Vec::new();
    for change in changes {
        let before = change.before != Before::NotThere;
        if before != there {
            found.push((change.seq, change.chosen, there, before));
        }
        there = before;
    }
    found
}

/// Takes back what was chosen, property by property.
fn properties(now: Option<&Props>, changes: &[Change], force: bool, policy: &Policy) -> Undone {
    let Some(now) = now else {
        // Somebody deleted it since: what was chosen before that is not to be taken back any more.
        let chosen = changes.iter().find(|change| change.chosen).map(|change| change.seq);
        let later = changes.iter().find(|change| !change.chosen).map(|change| change.seq).filter(|later| Some(*later) > chosen);
        let stays = chosen.zip(later).map(|(seq, later)| Move { property: None, from: None, to: None, seq, later: Some(later) });
        return Undone { truth: None, moves: stays.into_iter().collect() };
    };
    let mut truth = now.clone();
    let mut moves = Vec::new();
    let mut names: Vec<&String> = now.keys().collect();
    for change in changes {
        if let Before::Was(old) = &change.before {
            names.extend(old.keys());
        }
    }
    names.sort_unstable();
    names.dedup();
    for name in names {
        let Some(block) = block(touching(now.get(name), name, changes)) else { continue };
        let (from, likeness) = (now.get(name), policy.likeness(name));
        if same(from, block.before.as_ref(), likeness) {
            continue;
        }
        // A value that has come back to what the change made of it is the value that it made.
        let later = block.later.filter(|_| !force && !same(from, block.after.as_ref(), likeness));
        moves.push(Move { property: Some(name.clone()), from: from.cloned(), to: block.before.clone(), seq: block.seq, later });
        if later.is_none() {
            match block.before {
                Some(value) => truth.insert(name.clone(), value),
                None => truth.remove(name),
            };
        }
    }
    Undone { truth: Some(truth), moves }
}

/// The changes of one property, newest first: seq, chosen, the value after, the value before.
fn touching(now: Option<&Value>, name: &str, changes: &[Change]) -> Vec<(u64, bool, Option<Value>, Option<Value>)> {
    let mut value = now.cloned();
    let mut found = Vec::new();
    for change in changes {
        let before = match &change.before {
            // A life of the record that is not taken back began here: what was before is another's.
            Before::NotThere if value.is_none() && !change.chosen => break,
            Before::NotThere if value.is_none() => continue,
            Before::NotThere => None,
            Before::Was(old) => match old.get(name) {
                Some(old) => old.clone(),
                None => continue,
            },
        };
        found.push((change.seq, change.chosen, std::mem::replace(&mut value, before.clone()), before));
        if change.before == Before::NotThere && !change.chosen {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a=1 b=2`, or `-` for none.
    fn props(text: &str) -> Option<Props> {
        if text.trim() == "-" {
            return None;
        }
        let one = |pair: &str| pair.split_once('=').map(|(name, value)| (name.to_owned(), Value::Text(value.to_owned())));
        Some(text.split_whitespace().filter_map(one).collect())
    }

    fn shown(props: Option<&Props>) -> String {
        let one = |(name, value): (&String, &Value)| match value {
            Value::Text(text) => format!("{name}={text}"),
            other => format!("{name}={other:?}"),
        };
        props.map_or_else(|| "-".into(), |props| props.iter().map(one).collect::<Vec<_>>().join(" "))
    }

    /// States of a record, oldest first, each `who: properties`; `x` is who is undone. What is left, and what is in the way.
    #[track_caller]
    fn check(history: &str, force: bool, expect: &str) {
        let states: Vec<(bool, Option<Props>)> = history
            .split('|')
            .map(|state| {
                let (who, text) = state.split_once(':').expect("who: properties");
                (who.trim() == "x", props(text))
            })
            .collect();
        let mut was: Option<Props> = None;
        let mut changes = Vec::new();
        for (at, (chosen, state)) in states.iter().enumerate() {
            let before = match (&was, state) {
                (None, _) => Before::NotThere,
                (Some(old), new) => {
                    let new = new.clone().unwrap_or_default();
                    let names = old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name));
                    Before::Was(names.map(|name| (name.clone(), old.get(name).cloned())).collect())
                }
            };
            changes.insert(0, Change { seq: at as u64 + 1, chosen: *chosen, before });
            was.clone_from(state);
        }
        let undone = undo(was.as_ref(), &changes, force, &Policy::default());
        let stale =
            undone.moves.iter().filter_map(|one| Some(format!("{}@{}", one.property.as_deref().unwrap_or("record"), one.later?)));
        let got = std::iter::once(shown(undone.truth.as_ref())).chain(stale).collect::<Vec<_>>().join(" ! ");
        assert_eq!(got, expect, "{history}");
        // Whatever is left, taking the same back once more finds nothing that it would do.
        let nothing = undone.moves.is_empty();
        assert_eq!(nothing, undone.truth == was && stale_free(&undone), "{history}: {:?}", undone.moves);
    }

    fn stale_free(undone: &Undone) -> bool {
        undone.moves.iter().all(|one| one.later.is_none())
    }

    #[test]
    fn changes_are_taken_back() {
        // An edit; two in a row; one among those of others.
        check("o: a=1 | x: a=2", false, "a=1");
        check("o: a=1 | x: a=2 | x: a=3", false, "a=1");
        check("o: a=1 | x: a=2 b=1", false, "a=1");
        check("o: a=1 b=1 | x: a=2 b=1 | o: a=2 b=2", false, "a=1 b=2");
        check("o: a=1 b=1 | x: a=2 b=2 | o: a=3 b=2", false, "a=3 b=1 ! a@3");
        check("o: a=1 | x: a=2 | o: a=3 | x: a=4", false, "a=3");
        // What came back to what the change made of it counts as unmoved; what is as before needs nothing.
        check("o: a=1 | x: a=2 | o: a=3 | o: a=2", false, "a=1");
        check("o: a=1 | x: a=2 | o: a=1", false, "a=1");
        // Nothing chosen.
        check("o: a=1 | o: a=2", false, "a=2");
        // A property that was cleared comes back.
        check("o: a=1 b=1 | x: b=1", false, "a=1 b=1");
        // By force.
        check("o: a=1 | x: a=2 | o: a=3", true, "a=1");
    }

    #[test]
    fn records_come_back_and_go_again() {
        // Made, and nobody else has worked on it.
        check("x: a=1", false, "-");
        check("x: a=1 | x: a=2", false, "-");
        // Somebody has: it stays, with what was chosen of later changes taken back.
        check("x: a=1 | o: a=1 b=1", false, "a=1 b=1 ! record@2");
        check("x: a=1 | o: a=1 b=1 | x: a=2 b=1", false, "a=1 b=1 ! record@2");
        check("x: a=1 | o: a=1 b=1", true, "-");
        // Deleted: back as it was, with earlier changes taken back too.
        check("o: a=1 b=1 | x: -", false, "a=1 b=1");
        check("o: a=1 | x: a=2 | x: -", false, "a=1");
        check("o: a=1 | o: a=2 | x: -", false, "a=2");
        check("x: a=1 | x: -", false, "-");
        // Deleted, and made anew by somebody else: there is a record, and it is theirs.
        check("o: a=1 | x: - | o: b=1", false, "b=1");
        check("o: a=1 | x: - | o: b=1 | x: -", false, "b=1");
        check("o: a=1 | x: - | x: b=1", false, "a=1");
        // Edited, and deleted by somebody else since.
        check("o: a=1 | x: a=2 | o: -", false, "- ! record@3");
        check("o: a=1 | x: a=2 | o: -", true, "a=1");
        // Brought back: gone again.
        check("o: a=1 | o: - | x: a=1", false, "-");
    }
}
