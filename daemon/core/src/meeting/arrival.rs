//! Owns: whether a row that came is news for its link. Must never know: what is done with it.

use super::{Agreed, Link, Rules, SentWhat, pairs};
use crate::{
    planted,
    record::{Props, names, same},
    replica::{Row, RowState},
};

/// What a row is to the link it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It repeats what the link knows.
    Echo,
    /// It may be old news: ask for it by id before it is believed.
    Ask,
    /// Both sides meet.
    Meet,
    /// The link's record stands at the remote a second time, under an id that it had before.
    Second,
}

/// Judges a row. `asked`: it was asked for by id just now, so it is believed.
///
/// Only a revision that is unique per change makes an echo; a stamp does not: content is compared (holes.md H8). A revision the
/// link has already left, or an older stamp, is old news (H7), and other content under the same stamp may be. Where the copy here is
/// not trusted, not even such a revision makes an echo: a row is one if it shows what is here. Who tells and cannot be asked is believed as it tells.
#[must_use]
pub fn judge(link: &Link, truth: Option<&Props>, row: &Row, asked: bool, rules: Rules<'_>) -> Arrival {
    let row = &*pairs::ours(&link.pairs, row, rules.policy);
    let asked = asked || rules.abilities.tells;
    let strong = rules.abilities.strong_revision;
    let left = strong && row.revision.as_ref().is_some_and(|revision| link.left.contains(revision));
    let older = row.modified.is_some() && row.modified < link.modified;
    let newer = row.modified.is_some_and(|at| link.modified.is_none_or(|known| at > known.plus(rules.abilities.lateness())));
    let believe_all = planted::is("old revision believed");
    if link.remote_id.as_ref().is_some_and(|present| *present != row.remote_id) {
        return former(link, row, asked);
    }
    match (&row.state, &link.agreed) {
        (RowState::Unreadable(_), _) => Arrival::Meet,
        (RowState::Gone, Agreed::Gone) => {
            // A delete of ours whose answer was lost, or an open create that never came through, is settled by this; not by the end
            // of what the record was there before.
            let ours = link.remote_id.as_ref() == Some(&row.remote_id);
            if link.in_doubt() && ours && (asked || link.sent.iter().any(|sent| sent.what == SentWhat::Delete)) {
                Arrival::Meet
            } else {
                Arrival::Echo
            }
        }
        // The end of a former life under the same id may show late: only one that is clearly newer than what we know is believed.
        (RowState::Gone, _) if !(asked || believe_all) && (left || !newer) => Arrival::Ask,
        (RowState::Gone, _) => Arrival::Meet,
        (RowState::Live(_), Agreed::Gone) if link.remote_id.is_some() => Arrival::Meet,
        // Deleted, and here it is again: under a former id, or before the delete reached every listing.
        (RowState::Live(_), Agreed::Gone) if asked => Arrival::Meet,
        (RowState::Live(_), Agreed::Gone) if left && !believe_all && !rules.anew => Arrival::Echo,
        (RowState::Live(_), Agreed::Gone) => Arrival::Ask,
        (RowState::Live(_), _) if (left || older) && !asked && !believe_all => Arrival::Ask,
        (RowState::Live(_), Agreed::Former(_) | Agreed::Unknown) => Arrival::Meet,
        (RowState::Live(theirs), Agreed::Same | Agreed::Own(_)) => {
            let known = row.revision.is_some() && row.revision == link.revision;
            let trusted = strong && (!rules.anew || planted::is("rebuild trusts revisions"));
            let repeats =
                if trusted || planted::is("echo by coarse stamp") { known } else { shows_agreed(link, truth, theirs, rules) };
            // Two states of one second have the same stamp, and a late listing may show the first of them; not where a revision
            // tells them apart.
            let same_stamp = row.modified.is_some() && row.modified == link.modified && !(strong && known);
            match (repeats, same_stamp) {
                // What a listing still shows says nothing of a request whose answer is outstanding: it may be late. A look by id will tell.
                (true, _) if !(link.in_doubt() && (asked || planted::is("late listing settles a doubt"))) => Arrival::Echo,
                (false, true) if !(asked || planted::is("same stamp believed")) => Arrival::Ask,
                _ => Arrival::Meet,
            }
        }
    }
}

/// A row under an id that the link had once, while it has another: its end is old news; alive and asked for, there are two at the
/// remote.
fn former(link: &Link, row: &Row, asked: bool) -> Arrival {
    let left = row.revision.as_ref().is_some_and(|revision| link.left.contains(revision));
    match (&row.state, asked) {
        (RowState::Gone, _) => Arrival::Echo,
        (_, true) => Arrival::Second,
        (_, false) if left => Arrival::Echo,
        (_, false) => Arrival::Ask,
    }
}

fn shows_agreed(link: &Link, truth: Option<&Props>, theirs: &Props, rules: Rules<'_>) -> bool {
    let agreed = match &link.agreed {
        Agreed::Own(agreed) => Some(agreed),
        Agreed::Same => truth,
        Agreed::Gone | Agreed::Former(_) | Agreed::Unknown => None,
    };
    agreed.is_some_and(|agreed| {
        names(agreed, theirs)
            .into_iter()
            .filter(|name| rules.abilities.carried.has(name))
            .all(|name| same(agreed.get(name), theirs.get(name), rules.policy.likeness(name)))
    })
}
