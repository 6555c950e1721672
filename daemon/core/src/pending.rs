//! Owns: pending changes: which state one is in (exactly one), and what taking it back makes of the record. Pure: the store reads a link
//! and what stands against it. Must never know: where they are kept, who asks.

use std::collections::BTreeSet;

use crate::{
    meeting::{
        Agreed, Link, Rules,
        errand::{Difference, difference},
    },
    path, planted,
    record::{Props, names},
};

/// The state of a pending change: the first that fits, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// A rejection stands against it: it waits for a decision, or for a change of either side.
    Rejected,
    /// It was sent, and its request is open in this process.
    InFlight,
    /// It was sent, and whether the remote took it is not known.
    AwaitingAck,
    /// Marked not for upload: it stays here until somebody marks it for upload.
    Deferred,
    /// It is sent next.
    Pending,
}

impl State {
    /// All of them, in the order in which the first that fits counts.
    pub const ALL: [Self; 5] = [Self::Rejected, Self::InFlight, Self::AwaitingAck, Self::Deferred, Self::Pending];

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::InFlight => "in_flight",
            Self::AwaitingAck => "awaiting_ack",
            Self::Deferred => "deferred",
            Self::Pending => "pending",
        }
    }
}

/// What the store knows beside the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beside<'a> {
    /// The rejection of this link stands ([`stands`]).
    pub rejected: bool,
    /// The run of this replica that is on, if there is one.
    pub run: Option<&'a str>,
    /// The record is marked not for upload.
    pub deferred: bool,
}

/// How the replica is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It lacks the record.
    Create,
    /// These properties differ there; none where what was sent is all that is known.
    Update(BTreeSet<String>),
    /// It has a record that was deleted here.
    Delete,
}

/// Whether a rejection stands in the way of sending: the same rule for whoever sends and whoever lists. `same`: what the truth wants
/// there is what was refused.
#[must_use]
pub fn stands(side: &str, verdict: Option<&str>, same: bool) -> bool {
    match (side, verdict) {
        // Let drop, and then changed here: it is sent again.
        ("delete", Some("drop")) => same,
        // A guarded delete is in no patch; a row that could not be read is met before anything is sent over it.
        ("delete" | "down", _) => true,
        (_, Some("retry")) => false,
        // Refused, and still the same: it stays as it is until a side changes or someone decides.
        ("up", _) => same,
        ("create", _) => true,
        _ => false,
    }
}

/// Whether something is under way at the replica. What was looked for and not seen is not, once nothing `differs` any more: should it
/// arrive after all, it is met then. (Chaos with real processes waited for ever for an update that had been taken back here.)
fn under_way(link: &Link, differs: bool) -> bool {
    link.in_doubt() || (differs && !link.sent.is_empty())
}

/// The pending change of a link: its state, and how the replica is behind; none: nothing is pending. `forgotten`: the record left here
/// without being deleted, so nothing of it is sent.
#[must_use]
pub fn pending(
    link: &Link,
    truth: Option<&Props>,
    forgotten: bool,
    beside: Beside<'_>,
    rules: Rules<'_>,
) -> Option<(State, Change)> {
    // What was never compared is not known to differ.
    let known = link.agreed.is_compared() || truth.is_none();
    let differs = difference(link, truth, rules).filter(|_| !forgotten);
    let sent = under_way(link, differs.is_some());
    let differs = differs.filter(|_| known);
    if differs.is_none() && !sent {
        return None;
    }
    let change = match differs {
        Some(Difference::Lacks) => Change::Create,
        Some(Difference::Outlived) => Change::Delete,
        Some(Difference::Differs(patch)) => Change::Update(patch.into_keys().collect()),
        None => Change::Update(BTreeSet::new()),
    };
    let open =
        |run: &str| link.sent.iter().any(|sent| !sent.looked && sent.given_up.is_none() && sent.run.as_deref() == Some(run));
    let deferred = beside.deferred && !planted::is("deferred listed as pending");
    let state = match () {
        () if beside.rejected => State::Rejected,
        () if sent && beside.run.is_some_and(open) => State::InFlight,
        () if sent => State::AwaitingAck,
        () if deferred => State::Deferred,
        () => State::Pending,
    };
    Some((state, change))
}

/// Why a pending change is not taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It was sent: what the remote has is not known before its answer.
    Sent,
    /// What the remote has was never read.
    NeverCompared,
}

/// The record with what the replica last had in the place of what is pending; none: no record. What the replica does not carry stays,
/// and so does what an open conflict is about, which is another decision.
///
/// # Errors
/// [`Kept`].
pub fn roll_back(link: &Link, truth: Option<&Props>, rules: Rules<'_>) -> Result<Option<Props>, Kept> {
    if under_way(link, difference(link, truth, rules).is_some()) && !planted::is("rolled back in flight") {
        return Err(Kept::Sent);
    }
    let agreed = match &link.agreed {
        Agreed::Former(_) | Agreed::Unknown => return Err(Kept::NeverCompared),
        Agreed::Same => return Ok(truth.cloned()),
        Agreed::Gone => return Ok(None),
        Agreed::Own(agreed) => agreed,
    };
    let Some(truth) = truth else { return Ok(Some(agreed.clone())) };
    let frozen = |name: &str| rules.frozen.iter().any(|frozen| path::names(frozen).next().is_some_and(|first| first == name));
    let mut back = truth.clone();
    let moves = names(truth, agreed).into_iter().filter(|name| rules.abilities.carried.has(name) && !frozen(name));
    for name in moves {
        match agreed.get(name) {
            Some(value) => back.insert(name.to_owned(), value.clone()),
            None => back.remove(name),
        };
    }
    Ok(Some(back))
}

#[cfg(test)]
mod tests;
