//! Owns: what is told of a run that was. Must never know: how a run goes.

use std::time::Duration;

use super::Trouble;
use crate::{
    run::{Traffic, reset},
    time::Timestamp,
};

/// One row of a sync's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// `r-...`
    pub run: String,
    /// Which sync.
    pub sync: String,
    /// Run status, as in the word list.
    pub status: String,
    /// `new_data`, `no_new_data`, `failed`; none while it runs.
    pub result: Option<String>,
    /// What made it due.
    pub trigger: String,
    /// Why it was stopped.
    pub stop_reason: Option<String>,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// Rows that changed the truth.
    pub down: u64,
    /// Errands the remote took.
    pub up: u64,
    /// Rejections made.
    pub rejected: u64,
    /// Conflicts recorded.
    pub conflicts: u64,
    /// Bytes sent and received.
    pub bytes: u64,
    /// What it asked of its remote; none: that was not written down.
    pub traffic: Option<Traffic>,
    /// What went wrong.
    pub error: Option<Trouble>,
    /// The reset that it was of.
    pub reset: Option<reset::Reset>,
    /// The how manyth it is since the last that did not fail; none: that was not written down.
    pub attempt: Option<u32>,
    /// How long its sync was due and held before it, and by what at first.
    pub waited: Option<(Duration, String)>,
}
