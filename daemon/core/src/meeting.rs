//! Owns: what happens when one record of a replica meets the truth: whether a row is news, what both sides become, what to send,
//! and what an answer settles. Pure: the store reads a [`Link`] and the truth, calls one function here, writes what it returns.
//! Must never know: SQL, the order of a run.
//!
//! After a meeting `truth := mingle(agreed, truth, theirs)` and `agreed := theirs`. There is no dirty flag and no outbox: what
//! to send is the comparison of the truth with `agreed` ([`errand::plan`]).

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    mingle::{Base, Clash, Sides, Stamps, mingle},
    path, planted,
    policy::{Merge, OnDelete, Policy},
    record::{Props, Value, names, same},
    replica::{Abilities, Row, RowState},
    run::reset::How,
    time::Timestamp,
};

pub mod answer;
pub mod arrival;
pub mod errand;
mod footing;
pub mod pairs;
#[cfg(test)]
mod tests;

use footing::{Footing, based};
use pairs::Pairs;

/// How many revisions that a link has left are remembered (design: "the last 8 are kept").
pub const REVISIONS_LEFT_MAX: usize = 8;

/// One record at one replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    /// The remote's id; none: not known yet, or gone there.
    pub remote_id: Option<String>,
    /// The last revision seen or made.
    pub revision: Option<String>,
    /// Revisions this link has left, newest last.
    pub left: Vec<String>,
    /// The newest stamp seen.
    pub modified: Option<Timestamp>,
    /// What the replica last had.
    pub agreed: Agreed,
    /// Requests whose answers are not settled, oldest first.
    pub sent: Vec<Sent>,
    /// The highest seq whose state the replica took or was found to equal.
    pub confirmed: u64,
    /// What the replica writes its own way. All else that a link remembers is in our forms.
    pub pairs: Pairs,
}

/// What a link says of its replica: the merge base.
#[derive(Clone, Debug, PartialEq)]
pub enum Agreed {
    /// The same as the truth on the carried properties; nothing is stored.
    Same,
    /// This, in the replica's own form.
    Own(Props),
    /// Nothing: it had none, or it is deleted there.
    Gone,
    /// This, in another history of the replica, and never compared in the present one.
    Former(Props),
    /// Never compared.
    Unknown,
}

impl Agreed {
    /// Whether the replica was ever compared in its present history.
    #[must_use]
    pub const fn is_compared(&self) -> bool {
        !matches!(self, Self::Former(_) | Self::Unknown)
    }
}

/// A request that left and whose answer is not settled. Committed before the request leaves: kept in memory only, a lost answer
/// makes us our own enemy (holes.md H1).
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The record's seq whose state it carries.
    pub seq: u64,
    /// What it carries; `None` inside: cleared.
    pub what: SentWhat,
    /// Our clock when its answer was given up; none: it is under way, or the process died.
    pub given_up: Option<Timestamp>,
    /// A read by id has looked since; it no longer forces another look. It still counts as a base (see [`based`]).
    pub looked: bool,
    /// Rows without a link that appeared since, where the remote makes ids: any of them may be ours.
    pub strangers: u32,
    /// What a create can be repeated under.
    pub key: Option<Key>,
    /// The run that sent it: while that is on and nothing was given up, its request is open.
    pub run: Option<String>,
}

impl Sent {
    /// Whether a record shows all that a create carried.
    pub(crate) fn shown_by(&self, theirs: Option<&Props>, rules: Rules<'_>) -> bool {
        let (SentWhat::Create(props), Some(theirs)) = (&self.what, theirs) else { return false };
        props.iter().all(|(name, value)| same(theirs.get(name), Some(value), rules.policy.likeness(name)))
    }
}

/// An idempotency key: what is asked again under it is done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The key itself. It is kept with what was sent: made anew it would mean another request.
    pub text: String,
    /// Our clock when it was made.
    pub made: Timestamp,
    /// Our clock when the remote may have forgotten it.
    pub until: Timestamp,
}

impl Key {
    /// Whether the remote still knows it. A clock that was set back tells nothing.
    #[must_use]
    pub fn kept(&self, now: Timestamp) -> bool {
        (self.made..self.until).contains(&now)
    }
}

/// What a request carries.
#[derive(Clone, Debug, PartialEq)]
pub enum SentWhat {
    /// A new record.
    Create(Props),
    /// These properties.
    Update(BTreeMap<String, Option<Value>>),
    /// Its end.
    Delete,
}

/// The rules under which a link meets.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The collection's.
    pub policy: &'a Policy,
    /// The remote's.
    pub abilities: &'a Abilities,
    /// The sync only sends: what the remote has never changes the truth.
    pub up_only: bool,
    /// Properties under an open conflict at this link.
    pub frozen: &'a BTreeSet<String>,
    /// The copy here is not trusted: that a revision is known does not make an echo.
    pub anew: bool,
    /// Set while a reset is under way: what of both sides stands where this history tells of no agreement.
    pub reset: Option<How>,
}

/// What a meeting makes of both sides.
#[derive(Clone, Debug, PartialEq)]
pub struct Met {
    /// The link from now on.
    pub link: Link,
    /// The truth from now on.
    pub truth: Option<Props>,
    /// The truth has changed.
    pub changed: bool,
    /// What clashed.
    pub clashes: Vec<Clash>,
    /// Frozen properties that are equal now: their conflicts close.
    pub thawed: Vec<String>,
    /// A remote id the link no longer has.
    pub former: Option<String>,
    /// The replica has what the truth has (outside frozen properties).
    pub level: bool,
}

impl Link {
    /// A record the replica does not have, as far as we know.
    #[must_use]
    pub fn unborn() -> Self {
        Self {
            remote_id: None,
            revision: None,
            left: Vec::new(),
            modified: None,
            agreed: Agreed::Gone,
            sent: Vec::new(),
            confirmed: 0,
            pairs: Pairs::new(),
        }
    }

    /// A record at the replica under this id, never compared.
    #[must_use]
    pub fn stranger(remote_id: &str) -> Self {
        Self { remote_id: Some(remote_id.into()), agreed: Agreed::Unknown, ..Self::unborn() }
    }

    /// Whether an answer is outstanding that no read has looked behind.
    #[must_use]
    pub fn in_doubt(&self) -> bool {
        self.sent.iter().any(|sent| !sent.looked)
    }

    /// What a create carries whose answer is outstanding.
    fn made(&self) -> Option<&Props> {
        self.sent.iter().rev().find_map(|sent| match &sent.what {
            SentWhat::Create(props) => Some(props),
            _ => None,
        })
    }

    /// Whether this is an open create: nothing there as far as we know, and a create whose answer is outstanding.
    #[must_use]
    pub fn open_create(&self) -> bool {
        self.agreed == Agreed::Gone && self.sent.iter().any(|sent| matches!(sent.what, SentWhat::Create(_)))
    }

    /// Whether its create may be repeated under its key.
    #[must_use]
    pub fn repeatable(&self, now: Timestamp) -> bool {
        let keyed = |sent: &Sent| !sent.looked && sent.key.as_ref().is_some_and(|key| key.kept(now));
        self.open_create() && self.remote_id.is_none() && self.sent.last().is_some_and(keyed)
    }

    /// A record of the replica, with our form of what it writes its own way.
    #[must_use]
    pub fn in_our_forms<'a>(&self, theirs: &'a Props, rules: Rules<'_>) -> Cow<'a, Props> {
        let mut theirs = Cow::Borrowed(theirs);
        if !self.pairs.is_empty() {
            pairs::into_ours(&self.pairs, theirs.to_mut(), rules.policy);
        }
        theirs
    }

    fn base<'a>(&'a self, truth: Option<&'a Props>) -> Base<'a> {
        match (&self.agreed, truth) {
            (Agreed::Same, Some(truth)) => Base::Known(truth),
            (Agreed::Own(props), _) => Base::Known(props),
            (Agreed::Former(props), _) => Base::Former(props),
            (Agreed::Gone | Agreed::Same, _) => Base::Gone,
            (Agreed::Unknown, _) => Base::Unknown,
        }
    }

    /// Takes a revision as the present one; the former one has been left.
    pub fn moves_to(&mut self, revision: Option<String>) {
        if revision == self.revision {
            return;
        }
        if let Some(old) = self.revision.take() {
            self.left.retain(|left| *left != old);
            self.left.push(old);
            let over = self.left.len().saturating_sub(REVISIONS_LEFT_MAX);
            self.left.drain(..over);
        }
        if let Some(new) = &revision {
            self.left.retain(|left| left != new);
        }
        self.revision = revision;
    }
}

/// Meets a row that is believed. `truth` is the present record, none if it is deleted.
#[must_use]
pub fn meet(link: &Link, truth: Option<&Props>, row: &Row, stamps: &Stamps, rules: Rules<'_>) -> Met {
    let mut next = link.clone();
    pairs::keep_shown(&mut next.pairs, row, rules.policy);
    let row = &*pairs::ours(&link.pairs, row, rules.policy);
    let theirs = match &row.state {
        RowState::Live(props) => Some(rules.abilities.carried.of(props)),
        RowState::Gone | RowState::Unreadable(_) => None,
    };
    let base = based(link, truth, theirs.as_ref(), rules);
    next.settle_by_reading(truth, theirs.as_ref(), rules);
    let untold = matches!(base, Footing::Former(_) | Footing::Gone | Footing::Unknown);
    let policy = rules.reset.filter(|_| untold).and_then(|how| how.policy(rules.policy));
    let rules = Rules { policy: policy.as_ref().unwrap_or(rules.policy), ..rules };
    close(next, base.as_base(), truth, theirs, row, stamps, rules, None)
}

impl Link {
    /// A read after the fact settles what was sent where writes are conditional (what did not come through then is refused later),
    /// and elsewhere what it shows to have arrived. The rest may still arrive, so it is kept as a base.
    fn settle_by_reading(&mut self, truth: Option<&Props>, theirs: Option<&Props>, rules: Rules<'_>) {
        if rules.abilities.conditional {
            // A create is refused only where the record is there by then: one that is not to be seen may still be on its way. (Chaos
            // with real processes brought a record back that was deleted here between the look and its arrival.)
            self.sent.retain_mut(|sent| {
                sent.looked = true;
                theirs.is_none() && matches!(sent.what, SentWhat::Create(_)) && !planted::is("late create forgotten")
            });
            return;
        }
        let mut footing = Footing::of(self, truth);
        self.sent.retain_mut(|sent| {
            sent.looked = true;
            !footing.take(sent, truth, theirs, rules)
        });
    }
}

/// The law: `truth := mingle(agreed, truth, theirs)`, `agreed := theirs`. `formed`: the truth as a sync that only sends leaves it.
#[expect(
    clippy::too_many_arguments,
    reason = "both sides of a meeting and its rules; a struct of them would be built for this call alone"
)]
pub(crate) fn close(
    mut next: Link,
    base: Base<'_>,
    truth: Option<&Props>,
    theirs: Option<Props>,
    row: &Row,
    stamps: &Stamps,
    rules: Rules<'_>,
    formed: Option<Props>,
) -> Met {
    let up_policy;
    let mut policy = rules.policy;
    if rules.up_only {
        up_policy =
            Policy { default: Merge::Truth, properties: BTreeMap::new(), delete: OnDelete::KeepEdit, ..rules.policy.clone() };
        policy = &up_policy;
    }
    let sides =
        Sides { base, truth, theirs: theirs.as_ref(), carried: &rules.abilities.carried, frozen: rules.frozen, policy, stamps };
    let mut mingled = mingle(&sides);
    let mut held = theirs;
    if rules.up_only {
        mingled.truth = formed.or_else(|| truth.cloned());
        mingled.clashes.clear();
        // Remote-only properties bring nothing and are not cleared: they are not part of what was agreed.
        if let (Some(held), Some(truth)) = (&mut held, &mingled.truth) {
            held.retain(|name, _| {
                truth.contains_key(name) || matches!(base, Base::Known(base) | Base::Partly(base, _) if base.contains_key(name))
            });
        }
    }
    let changed = match (&mingled.truth, truth) {
        (None, None) => false,
        (Some(new), Some(old)) => !alike(new, old, rules),
        _ => true,
    };
    let mut former = None;
    match &held {
        None => {
            former = next.remote_id.take();
            next.pairs.clear();
            next.moves_to(None);
            next.agreed = Agreed::Gone;
        }
        Some(held) => {
            next.remote_id = Some(row.remote_id.clone());
            next.moves_to(row.revision.clone());
            next.modified = next.modified.max(row.modified);
            let equal = mingled.truth.as_ref().is_some_and(|truth| {
                names(truth, held)
                    .into_iter()
                    .filter(|name| rules.abilities.carried.has(name))
                    .all(|name| same(truth.get(name), held.get(name), rules.policy.likeness(name)))
            });
            next.agreed = if equal { Agreed::Same } else { Agreed::Own(held.clone()) };
        }
    }
    let thawed = thawed(mingled.truth.as_ref(), held.as_ref(), rules);
    let level = errand::difference(&next, mingled.truth.as_ref(), rules).is_none();
    Met { link: next, truth: mingled.truth, changed, clashes: mingled.clashes, thawed, former, level }
}

/// Whether two records mean the same, property by property under their own likeness.
#[must_use]
pub fn alike(a: &Props, b: &Props, rules: Rules<'_>) -> bool {
    names(a, b).into_iter().all(|name| same(a.get(name), b.get(name), rules.policy.likeness(name)))
}

/// What is equal is open no longer; nor is anything of a record that is gone at the replica: there is nothing left to decide between.
fn thawed(truth: Option<&Props>, theirs: Option<&Props>, rules: Rules<'_>) -> Vec<String> {
    let (truth, theirs) = match (truth, theirs) {
        (Some(truth), Some(theirs)) => (truth, theirs),
        (_, None) => return rules.frozen.iter().cloned().collect(),
        (None, Some(_)) => return Vec::new(),
    };
    let equal = |name: &&String| same(at(truth, name), at(theirs, name), rules.policy.likeness(name));
    rules.frozen.iter().filter(equal).cloned().collect()
}

/// The value at a path ([`path`]).
#[must_use]
pub fn at<'a>(props: &'a Props, path: &str) -> Option<&'a Value> {
    let mut names = path::names(path);
    let mut value = props.get(&*names.next()?)?;
    for name in names {
        let Value::Map(inner) = value else { return None };
        value = inner.get(&*name)?;
    }
    Some(value)
}
