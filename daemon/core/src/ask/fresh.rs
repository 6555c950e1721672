//! Owns: how fresh what is read is, where a reader wants to know. Must never know: when a sync runs.

use std::time::Duration;

use super::{Holding, SyncState, Trouble};
use crate::time::Timestamp;

/// How fresh somebody who follows a collection wants it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wants {
    /// No older than this.
    pub age: Duration,
    /// The app; none: it gave no name.
    pub by: Option<String>,
}

/// How fresh what is here of a collection is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Freshness {
    /// Everything that its remotes had then is here; none: one of them was never listed to its end, or no sync brings anything.
    pub at: Option<Timestamp>,
    /// The first of the syncs that have not brought what was asked for, by name.
    pub stale: Vec<Stale>,
    /// How many those are.
    pub total: usize,
}

/// A sync that has not brought what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Its name.
    pub sync: String,
    /// Everything that was there then has come; none: it never did.
    pub at: Option<Timestamp>,
    /// How it stands.
    pub state: SyncState,
    /// What holds it.
    pub hold: Option<Holding>,
    /// What its last run ran into.
    pub trouble: Option<Trouble>,
}
