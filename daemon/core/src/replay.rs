//! Owns: what a merge rule would have made of a conflict that was met. Must never know: how a merge decides ([`mingle`] is asked, with
//! the three sides that the conflict keeps), storage.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    mingle::{Base, Mingled, Sides, Stamps, Verdict, mingle},
    policy::{Merge, Policy},
    record::{Carried, Props, Value},
    session::copy,
    time::Timestamp,
};

#[cfg(test)]
mod tests;

/// Who the other side was: rules are turned where it is an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Other {
    /// A remote.
    Remote,
    /// A write of an app that merges.
    Write,
    /// The copy that an app keeps.
    Copy,
}

/// A conflict about one property, as it is kept. None: the property was absent.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    /// The base's value.
    pub agreed: Option<&'a Value>,
    /// The truth's value.
    pub truth: Option<&'a Value>,
    /// The other side's value.
    pub theirs: Option<&'a Value>,
    /// Whose that is.
    pub other: Other,
}

/// What a rule would have made of it. `V`: how a value is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Would<V> {
    /// This value would stand; none: the property would be absent.
    Settle(Option<V>),
    /// It would wait for a person.
    Wait,
    /// Which side was later decides, and a conflict does not keep when the other side changed.
    NotTold,
}

impl<V> Would<V> {
    /// The same, with the value written otherwise.
    pub fn map<W>(self, how: impl FnOnce(V) -> W) -> Would<W> {
        match self {
            Self::Settle(value) => Would::Settle(value.map(how)),
            Self::Wait => Would::Wait,
            Self::NotTold => Would::NotTold,
        }
    }
}

/// How many of the conflicts about one property a rule would have settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// So many.
    pub settled: u64,
    /// Of so many.
    pub of: u64,
    /// There are older ones, which were not looked at.
    pub more: bool,
}

impl Tally {
    /// One more conflict.
    pub const fn add<V>(&mut self, would: &Would<V>) {
        self.of += 1;
        if matches!(would, Would::Settle(_)) {
            self.settled += 1;
        }
    }
}

/// The one property that the sides have: what it is called decides nothing, for there is one rule.
const NAME: &str = "value";

/// What `rule` would have made of a conflict. `policy`: the collection's, of which only how values are read is taken.
#[must_use]
pub fn replay(kept: &Kept<'_>, rule: Merge, policy: &Policy) -> Would<Value> {
    let policy = Policy { default: rule, nested: policy.nested, null_is_a_value: policy.null_is_a_value, ..Policy::default() };
    let policy = match kept.other {
        Other::Remote => policy,
        Other::Write => policy.for_a_write(),
        Other::Copy => copy::policy(&policy),
    };
    let theirs_later = meet(kept, &policy, &Stamps::default());
    if theirs_later.clashes.iter().any(|clash| clash.verdict == Verdict::Open) {
        return Would::Wait;
    }
    if policy.default == Merge::Newest {
        let truth_later = Stamps {
            truth: BTreeMap::from([(NAME.to_owned(), Timestamp::from_unix_ms(i64::MAX))]),
            theirs: Some(Timestamp::from_unix_ms(0)),
            ..Stamps::default()
        };
        if meet(kept, &policy, &truth_later).truth != theirs_later.truth {
            return Would::NotTold;
        }
    }
    Would::Settle(theirs_later.truth.and_then(|mut props| props.remove(NAME)))
}

/// The meeting once more, of this property alone.
fn meet(kept: &Kept<'_>, policy: &Policy, stamps: &Stamps) -> Mingled {
    let side = |value: Option<&Value>| -> Props { value.map(|value| (NAME.to_owned(), value.clone())).into_iter().collect() };
    let (agreed, truth, theirs) = (side(kept.agreed), side(kept.truth), side(kept.theirs));
    mingle(&Sides {
        // That there is a conflict says that a rule was asked: also where the base was doubted and one side still shows it, or where
        // objects were replaced as a whole. Whether it was doubted is not kept. A base that is doubted puts each conflict to the rule
        // again, and the others come out as they would without (but that a union may say nothing where it would have said null).
        base: Base::Partly(&agreed, &BTreeSet::from([NAME.to_owned()])),
        truth: Some(&truth),
        theirs: Some(&theirs),
        carried: &Carried::All,
        frozen: &BTreeSet::new(),
        policy,
        stamps,
    })
}
