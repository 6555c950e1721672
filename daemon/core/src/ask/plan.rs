//! Owns: the words in which it is told what a run would do. Must never know: how that is found out, the wire.

use super::{Body, ChangeKind, Trouble};
use crate::run::Mode;

/// What a run would do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// How it would compare; none: it would not come so far.
    pub mode: Option<Mode>,
    /// How it would end, as the word of a run's status. `done` where all that it would send were taken.
    pub status: String,
    /// What would go wrong.
    pub error: Option<Trouble>,
    /// Conflicts that it would record.
    pub conflicts: u64,
    /// Rejections that it would leave.
    pub rejections: u64,
    /// The requests that would change something at the remote, in their order, as many as are told.
    pub requests: Vec<PlannedRequest>,
    /// How many there are.
    pub requests_total: u64,
    /// The records that would change here, as many as are told.
    pub changes: Vec<PlannedChange>,
    /// How many there are.
    pub changes_total: u64,
}

/// A request that would change something at the remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRequest {
    /// The method.
    pub method: String,
    /// The whole address, without what shows who we are.
    pub url: String,
    /// The headers by name, without what shows who we are.
    pub headers: Vec<(String, String)>,
    /// What goes with it; as JSON where it is that.
    pub body: Option<Body>,
    /// The records that it is about.
    pub ids: Vec<String>,
}

/// A record that would change here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedChange {
    /// Which.
    pub id: String,
    /// What would become of it.
    pub kind: ChangeKind,
    /// The properties that would change, by name: before and after, JSON text; none: absent.
    pub properties: Vec<(String, Option<Body>, Option<Body>)>,
}
