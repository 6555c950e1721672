//! Owns: what the answer to an errand settles. Must never know: how the answer came.
//!
//! The answer to an upload is itself a meeting, whose base is what was agreed with what was sent laid over it: so the remote's
//! own form of an app's value enters the truth once, and an edit made while the request was under way stays.

use std::collections::BTreeSet;

use super::{
    Agreed, Link, Met, Rules, Sent, SentWhat, close,
    footing::{Footing, all_at_once, set_later},
    meet, pairs,
};
use crate::{
    mingle::{Base, Stamps},
    planted,
    record::{Props, same},
    replica::{Answer, Row, RowState},
};

/// What becomes of a link whose errand was answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Settled {
    /// Both sides have met; the seq whose state the remote took, where it took it.
    Met {
        /// What both sides became.
        met: Met,
        /// The seq whose state the remote took.
        took: Option<u64>,
    },
    /// It moved at the remote, which did not say how: look by id, then plan anew.
    Look(Link),
    /// The remote will not take it as it is.
    Refused {
        /// The link without the errand.
        link: Link,
        /// The remote's words.
        what: String,
    },
    /// Not sent; as before.
    Unsent(Link),
    /// Not known whether it was done: what was sent stays with the link.
    Doubt,
}

/// Settles one answer. `truth` is the record as it is now, which may have moved since the errand was planned; `foreign` names its
/// properties whose value came from another replica.
#[must_use]
pub fn settle(
    link: &Link,
    truth: Option<&Props>,
    answer: &Answer,
    foreign: &BTreeSet<String>,
    stamps: &Stamps,
    rules: Rules<'_>,
) -> Settled {
    let mut next = link.clone();
    let last = next.sent.pop();
    let Some(last) = last else { return Settled::Doubt };
    let gone = |link: &Link| Row {
        remote_id: link.remote_id.clone().unwrap_or_default(),
        revision: None,
        modified: None,
        created: None,
        state: RowState::Gone,
    };
    // "It is there already" may be said of what a doubled request made itself: where it shows all that was sent, or is deleted here
    // by the time it is seen, what was sent is still the base. Else it is somebody else's to a live record (see `based`).
    let ours = match answer {
        Answer::Stale(Some(Row { state: RowState::Live(props), .. })) => {
            last.shown_by(Some(&rules.abilities.carried.of(props)), rules)
        }
        other => matches!(other, Answer::Stale(None)),
    };
    if matches!(answer, Answer::Stale(_))
        && matches!(last.what, SentWhat::Create(_))
        && (ours || truth.is_none())
        && !planted::is("create that is there forgotten")
    {
        next.sent.push(Sent { looked: true, ..last.clone() });
    }
    match answer {
        Answer::Taken(row) => {
            // What was sent before was looked behind when this one was planned, and this one lies over it.
            next.sent.clear();
            let took = took(&last, truth, rules);
            match (&last.what, row) {
                (SentWhat::Delete, _) => {
                    let row = gone(&next);
                    Settled::Met { met: close(next, Base::Gone, truth, None, &row, stamps, rules, None), took }
                }
                // Made under an id that nobody told: still an open create, to be found in a listing.
                (_, None) if next.remote_id.is_none() => Settled::Doubt,
                (what, row) => Settled::Met { met: taken(next, truth, what, row.as_ref(), None, foreign, stamps, rules), took },
            }
        }
        Answer::ReadBack { told, read } => {
            next.sent.clear();
            let met = taken(next, truth, &last.what, told.as_ref(), Some(read), foreign, stamps, rules);
            Settled::Met { met, took: took(&last, truth, rules) }
        }
        // What cannot be read says nothing of the record: a look by id makes it a rejection, never a delete.
        Answer::Stale(Some(Row { state: RowState::Unreadable(_), .. })) => Settled::Look(next),
        Answer::Stale(Some(row)) => Settled::Met { met: meet(&next, truth, row, stamps, rules), took: None },
        Answer::Stale(None) => {
            if let (SentWhat::Create(_), Agreed::Gone) = (&last.what, &next.agreed) {
                next.agreed = Agreed::Unknown;
            }
            Settled::Look(next)
        }
        Answer::Gone => {
            let row = gone(&next);
            let met = if last.what == SentWhat::Delete {
                close(next, Base::Gone, truth, None, &row, stamps, rules, None)
            } else {
                meet(&next, truth, &row, stamps, rules)
            };
            Settled::Met { met, took: (last.what == SentWhat::Delete).then_some(last.seq) }
        }
        Answer::Refused(what) => {
            forget_new_id(&mut next, &last.what);
            Settled::Refused { link: next, what: what.clone() }
        }
        // Repeated under its key: what did not leave this time had left before.
        Answer::Unsent(_) if last.given_up.is_some() => Settled::Doubt,
        Answer::Unsent(_) => {
            forget_new_id(&mut next, &last.what);
            Settled::Unsent(next)
        }
        Answer::Unknown(_) => Settled::Doubt,
    }
}

/// The seq whose state the remote took; none of a create that leaves some of it to an update.
fn took(last: &Sent, truth: Option<&Props>, rules: Rules<'_>) -> Option<u64> {
    let whole = !matches!(last.what, SentWhat::Create(_)) || all_at_once(truth, rules);
    whole.then_some(last.seq)
}

/// A create that did not happen gives its id back.
fn forget_new_id(link: &mut Link, what: &SentWhat) {
    if matches!(what, SentWhat::Create(_)) && link.agreed == Agreed::Gone {
        link.remote_id = None;
    }
}

/// The remote took it. `told`: the record as the answer shows it; `read`: as a read right after it does.
#[expect(
    clippy::too_many_arguments,
    reason = "what was sent and what came of it; a struct of them would be built for this call alone"
)]
fn taken(
    mut next: Link,
    truth: Option<&Props>,
    what: &SentWhat,
    told: Option<&Row>,
    read: Option<&Row>,
    foreign: &BTreeSet<String>,
    stamps: &Stamps,
    rules: Rules<'_>,
) -> Met {
    // What was sent is in a form of its own no more.
    for name in names_of(what) {
        next.pairs.remove(name);
    }
    if let Some(row) = read.or(told) {
        pairs::keep_shown(&mut next.pairs, row, rules.policy);
    }
    let in_ours = |row: &Row| pairs::ours(&next.pairs, row, rules.policy).into_owned();
    let (told, read) = (told.map(in_ours), read.map(in_ours));
    let (told, read) = (told.as_ref(), read.as_ref());
    let base = laid_over(&next, truth, what);
    let remote_id = next.remote_id.clone().unwrap_or_default();
    let assumed = Row { remote_id, revision: None, modified: None, created: None, state: RowState::Live(base.clone()) };
    // What cannot be read says nothing, not even which revision we know: the next listing shows it again.
    let readable = |row: &&Row| !matches!(row.state, RowState::Unreadable(_));
    let mut row = read.or(told).filter(readable).cloned().unwrap_or_else(|| assumed.clone());
    if planted::is("answer body ignored") {
        row.state = assumed.state;
    }
    let shown = |row: &Row| match &row.state {
        RowState::Live(props) => rules.abilities.carried.of(props),
        RowState::Gone | RowState::Unreadable(_) => base.clone(),
    };
    let mut theirs = shown(&row);
    // Only the answer itself tells its form of another replica's value; what a later read shows may be somebody's edit.
    for name in names_of(what).into_iter().filter(|name| told.is_some() && foreign.contains(*name)) {
        let value = sent_value(what, name);
        let told_form = told.map(&shown).is_some_and(|told| same(told.get(name), theirs.get(name), rules.policy.likeness(name)));
        let still = truth.is_some_and(|truth| same(truth.get(name), value, rules.policy.likeness(name)));
        if still && told_form && rules.abilities.carried.has(name) {
            pairs::learn(&mut next.pairs, name, value, &mut theirs, rules.policy);
        }
    }
    // The remote's form of a value we sent is no news against an edit made meanwhile: it is the base of that property. Only the
    // answer itself tells the form; what a later read shows may be somebody's edit.
    let form = match (told, read) {
        (Some(told), _) => shown(told),
        (None, Some(_)) if !planted::is("read-back taken for the answer") => base.clone(),
        (None, _) => theirs.clone(),
    };
    let mut base = base;
    if matches!(what, SentWhat::Create(_)) {
        set_later(&mut base, truth, rules);
    }
    for name in names_of(what) {
        let moved = truth.is_none_or(|truth| !same(truth.get(name), sent_value(what, name), rules.policy.likeness(name)));
        if moved {
            match form.get(name) {
                Some(value) => base.insert(name.to_string(), value.clone()),
                None => base.remove(name),
            };
        }
    }
    // A sync that only sends takes nothing from the remote but its form of our own values, or it would send them for ever.
    let formed = truth.filter(|_| rules.up_only).map(|truth| {
        let mut formed = truth.clone();
        for name in names_of(what) {
            if same(truth.get(name), sent_value(what, name), rules.policy.likeness(name)) {
                match theirs.get(name) {
                    Some(value) => formed.insert(name.to_string(), value.clone()),
                    None => formed.remove(name),
                };
            }
        }
        formed
    });
    let footing = Footing::Known(base);
    close(next, footing.as_base(), truth, Some(theirs), &row, stamps, rules, formed)
}

fn names_of(what: &SentWhat) -> Vec<&str> {
    match what {
        SentWhat::Create(props) => props.keys().map(String::as_str).collect(),
        SentWhat::Update(patch) => patch.keys().map(String::as_str).collect(),
        SentWhat::Delete => Vec::new(),
    }
}

fn sent_value<'a>(what: &'a SentWhat, name: &str) -> Option<&'a crate::record::Value> {
    match what {
        SentWhat::Create(props) => props.get(name),
        SentWhat::Update(patch) => patch.get(name).and_then(Option::as_ref),
        SentWhat::Delete => None,
    }
}

/// What was agreed, with what was sent laid over it.
fn laid_over(link: &Link, truth: Option<&Props>, what: &SentWhat) -> Props {
    let mut base = match (&link.agreed, truth) {
        (_, Some(truth)) if planted::is("base taken from the whole truth") => return truth.clone(),
        (Agreed::Own(props), _) => props.clone(),
        (Agreed::Same, Some(truth)) => truth.clone(),
        _ => Props::new(),
    };
    match what {
        SentWhat::Create(props) => base.extend(props.clone()),
        SentWhat::Update(patch) => {
            for (name, value) in patch {
                match value {
                    Some(value) => base.insert(name.clone(), value.clone()),
                    None => base.remove(name),
                };
            }
        }
        SentWhat::Delete => {}
    }
    base
}
