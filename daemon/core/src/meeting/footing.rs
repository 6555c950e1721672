//! Owns: the base of a meeting: what was agreed, and what of our own requests has arrived since, as far as the replica shows it. Must never
//! know: what becomes of either side.

use std::collections::BTreeSet;

use super::{Agreed, Link, Rules, Sent, SentWhat, errand};
use crate::{
    mingle::Base,
    planted,
    record::{Props, Value, same},
};

/// A merge base of our own making, or the link's.
pub(super) enum Footing {
    Known(Props),
    /// But for these properties.
    Partly(Props, BTreeSet<String>),
    /// In another history.
    Former(Props),
    Gone,
    Unknown,
}

impl Footing {
    pub(super) fn as_base(&self) -> Base<'_> {
        match self {
            Self::Known(props) => Base::Known(props),
            Self::Partly(props, doubted) => Base::Partly(props, doubted),
            Self::Former(props) => Base::Former(props),
            Self::Gone => Base::Gone,
            Self::Unknown => Base::Unknown,
        }
    }
}

/// The base of a read: what was agreed, and where the replica shows a value that we sent, that value: it is our own, not news.
pub(super) fn based(link: &Link, truth: Option<&Props>, theirs: Option<&Props>, rules: Rules<'_>) -> Footing {
    let mut footing = Footing::of(link, truth);
    let returned = planted::is("sent dropped when the truth returns") && errand::difference(link, truth, rules).is_none();
    if !planted::is("sent in memory only") && !returned {
        for sent in &link.sent {
            // The service said that it had such a record already: somebody else's, for all we know, unless it is deleted here, or
            // shows all that was sent.
            let contested = !link.agreed.is_compared()
                && matches!(sent.what, SentWhat::Create(_))
                && truth.is_some()
                && !sent.shown_by(theirs, rules);
            if !contested {
                footing.take(sent, truth, theirs, rules);
            }
        }
    }
    // A record was made under an id of ours, the answer was lost, and it was deleted here since. What stands there under that id is
    // ours with somebody's edit on it, or somebody's own: who deleted has seen neither, so the delete meets an edit, and is recorded.
    // (Chaos with real processes brought such a record back without a word.)
    if let (None, Some(_), Footing::Gone, Some(props)) = (truth, theirs, &footing, link.made()) {
        footing = Footing::Known(props.clone());
    }
    // The service said that it had such a record already, and it has none now: ours that came twice, or somebody else's. Who deleted it
    // there has seen what was in it, so the delete meets an edit, and is recorded. (Schedule 59430 made it anew without a word.)
    let made_there = link.agreed == Agreed::Unknown && link.made().is_some() && !planted::is("delete of a doubled create unseen");
    if let (Some(_), None, Footing::Unknown, true) = (truth, theirs, &footing, made_there) {
        footing = Footing::Known(Props::new());
    }
    footing
}

/// What a create leaves to a later update begins as the replica has it, which is nobody's word: the base of each such property that the
/// truth has. One that it lacks comes down like any other that the replica fills in.
pub(super) fn set_later(base: &mut Props, truth: Option<&Props>, rules: Rules<'_>) {
    for (name, begins) in &rules.abilities.later {
        if truth.is_some_and(|truth| truth.contains_key(name)) {
            match begins {
                Some(value) => base.insert(name.clone(), value.clone()),
                None => base.remove(name),
            };
        }
    }
}

/// Whether a create leaves nothing of the record to a later update.
pub(super) fn all_at_once(truth: Option<&Props>, rules: Rules<'_>) -> bool {
    let begins_so = |(name, begins): (&String, &Option<Value>)| {
        truth
            .and_then(|truth| truth.get(name))
            .is_none_or(|value| same(Some(value), begins.as_ref(), rules.policy.likeness(name)))
    };
    rules.abilities.later.iter().all(begins_so)
}

impl Footing {
    /// The link's own.
    pub(super) fn of(link: &Link, truth: Option<&Props>) -> Self {
        match link.base(truth) {
            Base::Known(props) => Self::Known(props.clone()),
            Base::Partly(props, doubted) => Self::Partly(props.clone(), doubted.clone()),
            Base::Former(props) => Self::Former(props.clone()),
            Base::Gone => Self::Gone,
            Base::Unknown => Self::Unknown,
        }
    }

    /// Takes what was sent as the base, if it has arrived; whether it has.
    pub(super) fn take(&mut self, sent: &Sent, truth: Option<&Props>, theirs: Option<&Props>, rules: Rules<'_>) -> bool {
        match (&sent.what, theirs) {
            (SentWhat::Delete, None) => {
                *self = Self::Gone;
                true
            }
            (SentWhat::Delete, Some(_)) | (_, None) => false,
            (SentWhat::Create(props), Some(theirs)) => {
                // Whoever has this id had it from us.
                let arrived = self.lay(props.iter().map(|(name, value)| (name, Some(value))), theirs, rules, true);
                if let (true, Self::Known(base)) = (arrived, self) {
                    set_later(base, truth, rules);
                }
                arrived
            }
            (SentWhat::Update(patch), Some(theirs)) => {
                self.lay(patch.iter().map(|(name, value)| (name, value.as_ref())), theirs, rules, false)
            }
        }
    }

    /// It has arrived if the replica shows one of its values, and that one was not there before. A change arrives as a whole, so what
    /// of it shows otherwise was changed there since, or (unless `ours`) somebody else gave the same value and nothing has arrived: a
    /// state, a flag, a reference. Such properties are in doubt. (Schedule 52212 lost an edit: its answer was lost, it was refused, and a
    /// colleague had let the record refer to the same other.) That something is absent is a weak sign: somebody else may have cleared it
    /// too. Then only what is absent counts (a simulated edit was lost that way).
    fn lay<'a>(
        &mut self,
        sent: impl Iterator<Item = (&'a String, Option<&'a Value>)> + Clone,
        theirs: &Props,
        rules: Rules<'_>,
        ours: bool,
    ) -> bool {
        let former = matches!(self, Self::Former(_));
        let (before, mut doubted) = match self {
            Self::Known(base) | Self::Former(base) => (base.clone(), BTreeSet::new()),
            Self::Partly(base, doubted) => (base.clone(), doubted.clone()),
            Self::Gone | Self::Unknown => Default::default(),
        };
        let shows = |name: &str, value: Option<&Value>| same(theirs.get(name), value, rules.policy.likeness(name));
        let was = |name: &str, value: Option<&Value>| same(before.get(name), value, rules.policy.likeness(name));
        let came = |(name, value): &(&String, Option<&Value>)| shows(name, *value) && !was(name, *value);
        let absent = |value: Option<&Value>| value.is_none_or(|value| *value == Value::Null);
        if !sent.clone().any(|one| came(&one)) {
            return false;
        }
        let sure = sent.clone().any(|one| came(&one) && !absent(one.1));
        let all = sent.clone().all(|(name, value)| shows(name, value));
        let certain = all || ours || planted::is("one value shown is all of it");
        let arrived = (sure && certain) || all || planted::is("cleared by another taken for arrived");
        if sure && !arrived {
            doubted.extend(sent.clone().filter(|(name, value)| !shows(name, *value)).map(|(name, _)| name.clone()));
        }
        let mut base = before.clone();
        for (name, value) in sent.filter(|one| arrived || came(one)) {
            match value {
                Some(value) => base.insert(name.clone(), value.clone()),
                None => base.remove(name),
            };
        }
        *self = if former {
            // What has arrived is as in a history that is over: the rest of the record says nothing.
            Self::Former(base)
        } else if doubted.is_empty() {
            Self::Known(base)
        } else {
            Self::Partly(base, doubted)
        };
        arrived
    }
}
