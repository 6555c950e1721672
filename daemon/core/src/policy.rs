//! Owns: who is preferred where both sides changed one property, and what makes two records the same record.
//! Must never know: replicas, storage.

use std::collections::BTreeMap;

use crate::{record::Likeness, reference::References};

/// What decides between two different changes of one property.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// The truth's value stands.
    Truth,
    /// The replica's value stands.
    #[default]
    Remote,
    /// The later one stands; where that cannot be told, the replica's.
    Newest,
    /// Lists as sets, merged three-way: what either side removed is gone, what either added is there.
    Union,
    /// The larger number (or later text) stands.
    Max,
    /// The smaller number (or earlier text) stands.
    Min,
    /// Line-based three-way merge; on overlap the replica's value stands.
    Text,
    /// Nobody: an open conflict freezes the property at that link until someone decides.
    Manual,
}

impl Merge {
    /// Every rule.
    pub const ALL: [Self; 8] =
        [Self::Truth, Self::Remote, Self::Newest, Self::Union, Self::Max, Self::Min, Self::Text, Self::Manual];

    /// As the configuration writes it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Truth => "truth",
            Self::Remote => "remote",
            Self::Newest => "newest",
            Self::Union => "union",
            Self::Max => "max",
            Self::Min => "min",
            Self::Text => "text",
            Self::Manual => "manual",
        }
    }
}

/// What happens when one side deleted what the other changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDelete {
    /// The changed record lives on; recorded.
    #[default]
    KeepEdit,
    /// The record goes; recorded.
    KeepDelete,
}

/// The rules of one collection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// For properties that have none of their own.
    pub default: Merge,
    /// By property (a path where `nested`).
    pub properties: BTreeMap<String, Merge>,
    /// Objects merge by path; else an object is one value.
    pub nested: bool,
    /// Delete against edit.
    pub delete: OnDelete,
    /// A written null differs from an absent property.
    pub null_is_a_value: bool,
    /// Properties that together make two records the same record: alternatives, the one that counts most first; empty: nothing does.
    pub identity: Vec<Vec<String>>,
    /// Properties that name other records.
    pub references: References,
}

impl Policy {
    /// The rule for one property; where `nested`, a path has the rule of the nearest object around it that has one.
    #[must_use]
    pub fn of(&self, property: &str) -> Merge {
        let own = |path: &str| self.properties.get(path).copied();
        let around = || crate::path::parents(property).find_map(own);
        own(property).or_else(|| self.nested.then(around).flatten()).unwrap_or(self.default)
    }

    /// The rules where the other side is a write of an app that merges: `remote` means the truth's side, and the app's write is the
    /// newest there is.
    #[must_use]
    pub fn for_a_write(&self) -> Self {
        let turn = |merge: Merge| match merge {
            Merge::Remote => Merge::Truth,
            Merge::Newest => Merge::Remote,
            other => other,
        };
        let mut policy = self.clone();
        policy.default = turn(policy.default);
        policy.properties.values_mut().for_each(|merge| *merge = turn(*merge));
        policy
    }

    /// How values of one property are compared.
    #[must_use]
    pub fn likeness(&self, property: &str) -> Likeness {
        Likeness { sets: self.of(property) == Merge::Union, null_is_a_value: self.null_is_a_value }
    }
}
