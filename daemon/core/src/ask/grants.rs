//! Owns: what an app may do with which collection. Must never know: who enforces it, whether the app is who it says.

use std::collections::BTreeMap;

/// What an app may do with the records of one collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grant {
    /// Nothing; it does not show.
    None,
    /// See them.
    Read,
    /// See and change them.
    Write,
}

/// An app's grants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Grants {
    /// The same for every collection: an app that the configuration does not name, or one without a name.
    All(Grant),
    /// A whole list: what is not in it is none.
    Only(BTreeMap<String, Grant>),
}

impl Grants {
    /// What holds for this collection.
    #[must_use]
    pub fn of(&self, collection: &str) -> Grant {
        match self {
            Self::All(grant) => *grant,
            Self::Only(list) => list.get(collection).copied().unwrap_or(Grant::None),
        }
    }

    /// The collections it may read.
    #[must_use]
    pub fn readable(&self) -> Scope {
        self.at_least(Grant::Read)
    }

    /// The collections it may write.
    #[must_use]
    pub fn writable(&self) -> Scope {
        self.at_least(Grant::Write)
    }

    fn at_least(&self, least: Grant) -> Scope {
        match self {
            Self::All(grant) if *grant < least => Scope::Only(Vec::new()),
            Self::All(_) => Scope::All,
            Self::Only(list) => {
                Scope::Only(list.iter().filter(|(_, grant)| **grant >= least).map(|(name, _)| name.clone()).collect())
            }
        }
    }
}

/// Which collections a question is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every one.
    All,
    /// These.
    Only(Vec<String>),
}

impl Scope {
    /// Whether this collection is meant.
    #[must_use]
    pub fn has(&self, collection: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(names) => names.iter().any(|name| name == collection),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_grants_is_whole() {
        let list = Grants::Only(BTreeMap::from([("a".to_owned(), Grant::Read), ("b".to_owned(), Grant::None)]));
        assert_eq!((list.of("a"), list.of("b"), list.of("c")), (Grant::Read, Grant::None, Grant::None));
        assert_eq!(list.readable(), Scope::Only(vec!["a".to_owned()]));
        assert_eq!((list.writable(), Grants::All(Grant::Read).writable()), (Scope::Only(vec![]), Scope::Only(vec![])));
        assert_eq!(Grants::All(Grant::Write).writable(), Scope::All);
        assert!(list.readable().has("a") && !list.readable().has("b"));
        assert_eq!(Grants::All(Grant::Write).of("c"), Grant::Write);
        assert_eq!(Grants::All(Grant::Read).readable(), Scope::All);
        assert!(!Grants::All(Grant::None).readable().has("a"));
    }
}
