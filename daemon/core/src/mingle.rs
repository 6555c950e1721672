//! Owns: the three-way merge of (agreed, truth, theirs) into the truth, and its laws.
//! Must never know: replicas, storage, the clock.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    path, planted,
    policy::{Merge, OnDelete, Policy},
    record::{self, Carried, Likeness, Props, Value},
    time::Timestamp,
};

mod text;
mod union;

#[cfg(test)]
mod laws;
#[cfg(test)]
pub(crate) mod tests;

/// What the replica last had.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Base<'a> {
    /// This.
    Known(&'a Props),
    /// This, but for these properties: a request that may have arrived set them, and the replica shows something else. What was there
    /// before is no news of somebody else's, or it is: nobody can tell.
    Partly(&'a Props, &'a BTreeSet<String>),
    /// This, in another history of it. That it shows the same tells what was changed here since; that it shows something else, or
    /// nothing, says nothing.
    Former(&'a Props),
    /// Nothing: it never had the record, or it is deleted there.
    Gone,
    /// Never compared.
    Unknown,
}

/// One record as both sides have it, and the rules.
#[derive(Clone, Copy, Debug)]
pub struct Sides<'a> {
    /// The merge base.
    pub base: Base<'a>,
    /// The truth's record; none: it has none, or it was deleted.
    pub truth: Option<&'a Props>,
    /// The replica's record; none: it has none, or it was deleted.
    pub theirs: Option<&'a Props>,
    /// Which properties the answer carries; the others keep the truth's value.
    pub carried: &'a Carried,
    /// Properties under an open conflict at this link: the truth's value stays, nothing new is recorded.
    pub frozen: &'a BTreeSet<String>,
    /// The collection's rules.
    pub policy: &'a Policy,
    /// For `newest`.
    pub stamps: &'a Stamps,
}

/// When each side last changed, on one clock (the edge has corrected the offset).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps {
    /// The truth's, by property, from the ledger.
    pub truth: BTreeMap<String, Timestamp>,
    /// The replica's, for the whole record.
    pub theirs: Option<Timestamp>,
    /// How coarse the replica's stamp is.
    pub grain: Duration,
}

/// What a meeting makes of the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Mingled {
    /// The truth from now on; none: deleted (or still absent).
    pub truth: Option<Props>,
    /// What clashed, each to be kept as a conflict.
    pub clashes: Vec<Clash>,
}

/// The same property changed differently on both sides and one of them lost, or a delete that met an edit. Lists and texts that
/// were merged whole are no clash: neither side lost anything.
#[derive(Clone, Debug, PartialEq)]
pub struct Clash {
    /// Which property (a [`path`] where merging is nested); none: the record as a whole (delete against edit), whose values are
    /// then whole records.
    pub property: Option<String>,
    /// The base's value.
    pub agreed: Option<Value>,
    /// The truth's value.
    pub truth: Option<Value>,
    /// The replica's value.
    pub theirs: Option<Value>,
    /// What became of it.
    pub verdict: Verdict,
}

/// How a clash was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The truth's value stands.
    Truth,
    /// The replica's value stands.
    Remote,
    /// Nobody decided: the truth keeps its value and the property is frozen at this link.
    Open,
    /// An edit outlived a delete.
    KeptEdit,
    /// A delete outlived an edit.
    KeptDelete,
    /// It was not sent, and went with a reset.
    Discarded,
}

/// The three-way merge: what the truth is after a meeting. Deterministic, and cannot fail.
///
/// The answer keeps the truth's written form wherever it means the same, so the truth changed if and only if the answer differs
/// from it (design: `4-truth.md`, "Mingle").
#[must_use]
pub fn mingle(sides: &Sides<'_>) -> Mingled {
    match (sides.base, sides.truth, sides.theirs) {
        (Base::Known(agreed) | Base::Partly(agreed, _), Some(truth), None) => deleted(sides, Some(agreed), truth),
        (Base::Known(agreed) | Base::Partly(agreed, _), None, Some(theirs)) => deleted(sides, Some(agreed), theirs),
        // It was deleted here, and nobody has told the remote.
        (Base::Former(former), None, Some(theirs)) => deleted(sides, Some(former), theirs),
        // The link has lost its base, and the truth has deleted the record: whether theirs was edited since cannot be told.
        (Base::Unknown, None, Some(theirs)) => deleted(sides, None, theirs),
        // Nobody deleted anything: it was not there before, or both agree that it is gone.
        (_, truth, None) => Mingled { truth: truth.cloned(), clashes: Vec::new() },
        (_, None, Some(theirs)) => Mingled { truth: Some(sides.carried.of(theirs)), clashes: Vec::new() },
        (base, Some(truth), Some(theirs)) => {
            let agreed = match base {
                Base::Known(agreed) | Base::Partly(agreed, _) | Base::Former(agreed) => Some(agreed),
                Base::Gone | Base::Unknown => None,
            };
            let mut meeting = Meeting { sides, clashes: Vec::new() };
            let truth = meeting.object(None, agreed, truth, theirs);
            Mingled { truth: Some(truth), clashes: meeting.clashes }
        }
    }
}

/// Whether two records mean the same on these properties, under these rules: the comparison by which a meeting sees a change.
#[must_use]
pub fn alike(a: &Props, b: &Props, carried: &Carried, policy: &Policy) -> bool {
    record::names(a, b)
        .into_iter()
        .filter(|name| carried.has(name))
        .all(|name| alike_at(&at(policy, None, name), a.get(name), b.get(name), policy))
}

/// Whether two values of one property (a [`path`] where merging is nested) mean the same, under these rules.
#[must_use]
pub fn alike_at(property: &str, a: Option<&Value>, b: Option<&Value>, policy: &Policy) -> bool {
    match (a, b) {
        // Inside an object each path may have its own likeness.
        (Some(Value::Map(a)), Some(Value::Map(b))) if policy.nested => record::names(a, b)
            .into_iter()
            .all(|name| alike_at(&at(policy, Some(property), name), a.get(name), b.get(name), policy)),
        (a, b) => record::same(a, b, policy.likeness(property)),
    }
}

/// What one property is called: a path where merging is nested, else its plain name.
fn at<'a>(policy: &Policy, around: Option<&str>, name: &'a str) -> std::borrow::Cow<'a, str> {
    if policy.nested { path::join(around, name).into() } else { name.into() }
}

/// One side deleted the record, the other has `left`; without `agreed` it counts as edited.
fn deleted(sides: &Sides<'_>, agreed: Option<&Props>, left: &Props) -> Mingled {
    if agreed.is_some_and(|agreed| alike(agreed, left, sides.carried, sides.policy)) {
        return Mingled { truth: None, clashes: Vec::new() };
    }
    let whole = |props: &Props| Value::Map(props.clone());
    let theirs = sides.theirs.map(|theirs| sides.carried.of(theirs));
    let (truth, verdict) = match sides.policy.delete {
        OnDelete::KeepEdit => (sides.truth.cloned().or_else(|| theirs.clone()), Verdict::KeptEdit),
        OnDelete::KeepDelete => (None, Verdict::KeptDelete),
    };
    let clash = Clash {
        property: None,
        agreed: agreed.map(whole),
        truth: sides.truth.map(whole),
        theirs: theirs.map(Value::Map),
        verdict,
    };
    Mingled { truth, clashes: vec![clash] }
}

/// What the base says of one property.
#[derive(Clone, Copy)]
enum Before<'a> {
    /// There is no base, so nobody can tell a change from what always was.
    Untold,
    /// It was this; none: absent, and that is a value.
    Was(Option<&'a Value>),
    /// It was this, or what the truth sent since: nobody can tell.
    Doubted(Option<&'a Value>),
    /// It was this in another history: what is the same there was changed here alone, and no more than that is told.
    Former(Option<&'a Value>),
}

impl<'a> Before<'a> {
    fn value(self) -> Option<&'a Value> {
        match self {
            Self::Untold => None,
            Self::Was(value) | Self::Doubted(value) | Self::Former(value) => value,
        }
    }

    /// What tells that something was taken away since.
    fn told(self) -> Option<&'a Value> {
        if matches!(self, Self::Former(_)) { None } else { self.value() }
    }
}

/// A meeting under way: both sides have the record.
struct Meeting<'a> {
    sides: &'a Sides<'a>,
    clashes: Vec<Clash>,
}

impl Meeting<'_> {
    /// Merges two objects property by property; `agreed` none: there is no base.
    fn object(&mut self, around: Option<&str>, agreed: Option<&Props>, truth: &Props, theirs: &Props) -> Props {
        let sides = self.sides;
        let mut merged = Props::new();
        for name in record::names(truth, theirs) {
            let at = at(sides.policy, around, name);
            let carried = around.is_some() || sides.carried.has(name) || planted::is("thin answer clears");
            let frozen = sides.frozen.contains(&*at) && !planted::is("manual not frozen");
            let value = if carried && !frozen {
                let before = match (agreed, sides.base) {
                    (Some(agreed), Base::Partly(_, doubted)) if around.is_none() && doubted.contains(name) => {
                        Before::Doubted(agreed.get(name))
                    }
                    (Some(former), Base::Former(_)) => Before::Former(former.get(name)),
                    (Some(agreed), _) => Before::Was(agreed.get(name)),
                    (None, _) => Before::Untold,
                };
                self.property(&at, before, truth.get(name), theirs.get(name))
            } else {
                truth.get(name).cloned()
            };
            if let Some(value) = value {
                merged.insert(name.to_owned(), value);
            }
        }
        merged
    }

    /// The table of the design, one row an `if`.
    fn property(&mut self, at: &str, before: Before<'_>, truth: Option<&Value>, theirs: Option<&Value>) -> Option<Value> {
        let policy = self.sides.policy;
        let alike = |a, b| alike_at(at, a, b, policy);
        let absent =
            |value| record::same(value, None, Likeness { null_is_a_value: policy.null_is_a_value, ..Likeness::default() });
        if alike(truth, theirs) {
            return truth.cloned();
        }
        match before {
            Before::Was(agreed) | Before::Former(agreed) if alike(theirs, agreed) => return truth.cloned(),
            Before::Was(agreed) if alike(truth, agreed) => return theirs.cloned(),
            // Without a base absence says nothing: it may never have been there.
            Before::Untold | Before::Former(_) if absent(theirs) => {
                return if planted::is("absence clears without a base") { None } else { truth.cloned() };
            }
            Before::Untold if absent(truth) => return theirs.cloned(),
            Before::Former(former) if absent(truth) && absent(former) => return theirs.cloned(),
            Before::Untold | Before::Was(_) | Before::Doubted(_) | Before::Former(_) => {}
        }
        if let (true, Some(Value::Map(truth)), Some(Value::Map(theirs))) = (policy.nested, truth, theirs) {
            let nothing = Props::new();
            match before {
                Before::Untold | Before::Former(None | Some(Value::Null)) => {
                    return Some(Value::Map(self.object(Some(at), None, truth, theirs)));
                }
                Before::Was(Some(Value::Map(agreed))) | Before::Former(Some(Value::Map(agreed))) => {
                    return Some(Value::Map(self.object(Some(at), Some(agreed), truth, theirs)));
                }
                Before::Was(agreed) if absent(agreed) => {
                    return Some(Value::Map(self.object(Some(at), Some(&nothing), truth, theirs)));
                }
                // It was no object before: one value, and both sides replaced it.
                Before::Was(_) | Before::Doubted(_) | Before::Former(_) => {}
            }
        }
        self.settle(at, before, truth, theirs)
    }

    /// Both sides changed it, differently: both changes are kept where they can be, else the policy decides.
    fn settle(&mut self, at: &str, before: Before<'_>, truth: Option<&Value>, theirs: Option<&Value>) -> Option<Value> {
        let policy = self.sides.policy;
        let rule = policy.of(at);
        let both = match rule {
            Merge::Union => union::three_way(before.told(), truth, theirs, policy.likeness(at)),
            Merge::Text => text::three_way(before.told(), truth, theirs).map(Value::Text).map(Some),
            _ => None,
        };
        if let Some(both) = both {
            return if alike_at(at, truth, both.as_ref(), policy) { truth.cloned() } else { both };
        }
        // Somebody who set just what was there before is less likely than a request that was lost; either way it is kept.
        let unmoved = matches!(before, Before::Doubted(was) if alike_at(at, theirs, was, policy));
        let verdict = match rule {
            rule if unmoved && rule != Merge::Manual => Verdict::Truth,
            Merge::Truth => Verdict::Truth,
            Merge::Manual => Verdict::Open,
            Merge::Newest => newest(self.sides.stamps, at),
            Merge::Max => larger(truth, theirs),
            Merge::Min => larger(theirs, truth),
            Merge::Remote | Merge::Union | Merge::Text => Verdict::Remote,
        };
        self.clashes.push(Clash {
            property: Some(at.to_owned()),
            agreed: before.value().cloned(),
            truth: truth.cloned(),
            theirs: theirs.cloned(),
            verdict,
        });
        if verdict == Verdict::Remote { theirs.cloned() } else { truth.cloned() }
    }
}

/// Stamps closer than this, and the grain, do not tell who was later: clocks and their correction are not better than that.
const STAMPS_APART_MIN: Duration = Duration::from_secs(5);

fn newest(stamps: &Stamps, at: &str) -> Verdict {
    let ours = stamps.truth.get(at).or_else(|| path::parents(at).find_map(|around| stamps.truth.get(around)));
    match (ours, stamps.theirs) {
        (Some(ours), Some(theirs)) if ours.since(theirs) >= stamps.grain + STAMPS_APART_MIN => Verdict::Truth,
        _ => Verdict::Remote,
    }
}

/// The truth's where `a` is the larger, else the replica's: also where the two have no order.
fn larger(a: Option<&Value>, b: Option<&Value>) -> Verdict {
    let order = match (a, b) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => a.by_value(b),
        (Some(Value::Text(a)), Some(Value::Text(b))) => record::with_lf(a).cmp(&record::with_lf(b)),
        _ => return Verdict::Remote,
    };
    if order.is_gt() { Verdict::Truth } else { Verdict::Remote }
}
