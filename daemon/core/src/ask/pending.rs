//! Owns: what is asked of pending changes, and what is answered. Must never know: the wire, SQL.

use super::{Scope, Written};
use crate::pending::{Change, State};

/// Which pending changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhichPending {
    /// Of these collections.
    pub scope: Scope,
    /// Of this sync.
    pub sync: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// How many, at most.
    pub limit: usize,
    /// A former answer's cursor.
    pub cursor: Option<String>,
}

/// One pending change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingRow {
    /// The sync that is to send it.
    pub sync: String,
    /// Its remote.
    pub remote: String,
    /// Where.
    pub collection: String,
    /// Which record.
    pub id: String,
    /// In which state it is.
    pub state: State,
    /// What is to be sent.
    pub change: Change,
    /// The record's seq.
    pub seq: u64,
    /// The rejection that stands against it.
    pub rejection: Option<String>,
    /// Why it waits, in words.
    pub why: Option<String>,
}

/// Which pending changes are taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollBack {
    /// Of this collection.
    pub collection: String,
    /// Of this record; none: all of them, page by page.
    pub id: Option<String>,
    /// A former answer's cursor.
    pub cursor: Option<String>,
}

/// A record whose pending change stays, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Which record.
    pub id: String,
    /// Why, in words.
    pub why: String,
}

/// What was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolledBack {
    /// The records that changed.
    pub written: Written,
    /// What stays.
    pub left: Vec<Left>,
    /// Where the next page begins; none: this was the last.
    pub cursor: Option<String>,
}

/// Which record is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forget {
    /// Where.
    pub collection: String,
    /// Which.
    pub id: String,
    /// Only at this seq.
    pub if_seq: Option<u64>,
}
