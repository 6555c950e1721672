//! Owns: what becomes of what is here where the remote has another history than the one we know: how a person or the configuration wants
//! it, why it comes to that, what waits for a word. Must never know: how records are compared, where a reset is written down.

use super::Compared;
use crate::policy::{Merge, Policy};

/// What becomes of what is here; the earlier, the more of it stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// Nothing that is here is overwritten: what differs is an open conflict, what is not sent and does not clash is sent.
    Recover,
    /// The collection's policy decides what differs, and each loss is recorded; what is not sent and does not clash is sent.
    #[default]
    RecoverOrDiscard,
    /// The remote's state is taken; what is not sent is recorded as discarded, and goes.
    Discard,
    /// A person is asked.
    Manual,
}

impl How {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Recover, Self::RecoverOrDiscard, Self::Discard, Self::Manual];

    /// The word in configuration, wire, store and log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Recover => "recover",
            Self::RecoverOrDiscard => "recover_or_discard",
            Self::Discard => "discard",
            Self::Manual => "manual",
        }
    }

    /// Reads the word back; none: there is no such one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|how| how.word() == word)
    }

    /// The rules under which a row meets a record of which this history tells no agreement. Lists that are merged as sets lose nothing
    /// either way.
    #[must_use]
    pub fn policy(self, policy: &Policy) -> Option<Policy> {
        let rule = match self {
            Self::Recover => Merge::Manual,
            Self::Discard => Merge::Remote,
            Self::RecoverOrDiscard | Self::Manual => return None,
        };
        let under = |merge: Merge| if merge == Merge::Union { merge } else { rule };
        let properties = policy.properties.iter().map(|(name, merge)| (name.clone(), under(*merge))).collect();
        Some(Policy { default: under(policy.default), properties, ..policy.clone() })
    }
}

/// Why a reset begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The remote's history is another one.
    Epoch,
    /// The credentials stand for another account at the same place.
    Account,
    /// Somebody asked for it.
    Asked,
}

impl Why {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Epoch, Self::Account, Self::Asked];

    /// The word on the wire, in the store and in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Epoch => "epoch",
            Self::Account => "account",
            Self::Asked => "asked",
        }
    }

    /// Reads the word back; none: there is no such one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.word() == word)
    }
}

/// A reset that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// What becomes of what is here.
    pub how: How,
    /// Why it began.
    pub why: Why,
    /// The store as it was before; none: it is in no file.
    pub copy: Option<String>,
}

/// What a reset came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Over {
    /// Records with changes that were not sent, recorded, and gone.
    pub discarded: u64,
    /// Conflicts that its listing recorded, open or decided.
    pub conflicts: u64,
}

/// Why a sync does nothing before a person has said what becomes of what is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Another history, and too much differs.
    Differs(Compared),
    /// Another history, and the configuration says that a person is asked.
    Manual,
    /// Another account, and so many records of the former one are here.
    Account(u64),
}

impl Held {
    /// The hold's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Differs(_) | Self::Manual => "epoch",
            Self::Account(_) => "account",
        }
    }

    /// What is so, in words.
    #[must_use]
    pub fn what(self) -> String {
        match self {
            Self::Differs(Compared { differ, .. }) => {
                format!("the remote has another history: {differ} records differ from what was agreed")
            }
            Self::Manual => {
                "the remote has another history than the one we know, and a person is to say what becomes of that".into()
            }
            Self::Account(1) => "the credentials are of another account, and 1 record of the former one is here".into(),
            Self::Account(records) => {
                format!("the credentials are of another account, and {records} records of the former one are here")
            }
        }
    }

    /// What a person may do about this sync, in words.
    #[must_use]
    pub fn hint(self, sync: &str) -> String {
        let ways = match self {
            Self::Differs(_) | Self::Manual => format!(
                "`mingle reset {sync} --recover` keeps what is here, `mingle reset {sync} --discard` takes what the remote has"
            ),
            Self::Account(_) => format!(
                "`mingle reset {sync} --recover` keeps them beside the new ones, `mingle reset {sync} --discard` takes them away here (a sync that only sends refuses that)"
            ),
        };
        match self {
            Self::Differs(_) => format!("{ways}, `mingle sync {sync} --force` merges; nothing was changed so far"),
            Self::Manual | Self::Account(_) => format!("{ways}; nothing was changed so far"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn words_read_as_they_were_written() {
        assert!(How::ALL.into_iter().all(|how| How::parse(how.word()) == Some(how)));
        assert!(Why::ALL.into_iter().all(|why| Why::parse(why.word()) == Some(why)));
        assert_eq!((How::parse("wipe"), Why::parse("")), (None, None));
    }

    #[test]
    fn a_hint_offers_nothing_that_is_refused_without_a_word() {
        assert!(Held::Account(1).hint("a").contains("a sync that only sends refuses that"));
    }

    #[test]
    fn lists_merged_as_sets_stay_so_and_all_else_is_under_one_rule() {
        let properties = BTreeMap::from([("labels".to_owned(), Merge::Union), ("title".to_owned(), Merge::Newest)]);
        let policy = Policy { default: Merge::Truth, properties, ..Policy::default() };
        let check = |how: How, expect: Option<Merge>| {
            let under = how.policy(&policy);
            let told = under.map(|under| [under.of("labels"), under.of("title"), under.of("other")]);
            assert_eq!(told, expect.map(|rule| [Merge::Union, rule, rule]), "{how:?}");
        };
        check(How::Recover, Some(Merge::Manual));
        check(How::Discard, Some(Merge::Remote));
        check(How::RecoverOrDiscard, None);
        check(How::Manual, None);
    }
}
