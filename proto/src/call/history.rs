//! Owns: the words about runs that were. Must never know: how a run goes.

use serde::{Deserialize, Serialize};

use super::{RunReset, RunResult, RunStatus, Trouble};
use crate::Time;

/// `history`: the latest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Only of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// The most runs of a page, up to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What `history` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HistoryAnswer {
    /// One page.
    pub runs: Vec<Run>,
    /// There where another page may follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// One run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Run {
    /// `r-...`.
    pub run: String,
    /// Of this sync.
    pub sync: String,
    /// How it stands.
    pub status: RunStatus,
    /// What the schedule learned; None before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<RunResult>,
    /// What made it due: timer, cron, change, ping, request, demand, start, next_run_at.
    pub trigger: String,
    /// What ended it early: `user`, `constraint:NAME`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_reason: Option<String>,
    /// None while it is queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// None before its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// Records that came.
    pub down: u64,
    /// Records that went.
    pub up: u64,
    /// Rejections it left.
    pub rejected: u64,
    /// Conflicts it met.
    pub conflicts: u64,
    /// Over the network, both ways: bodies alone, as they were sent, and unpacked as they came.
    pub bytes: u64,
    /// Of these, sent. None, as are the next three, for a run of before this was counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_up: Option<u64>,
    /// Of these, received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_down: Option<u64>,
    /// Requests that it sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Of these, those that the service answered with "nothing has changed" (304).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_modified: Option<u64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
    /// The reset that it was of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<RunReset>,
    /// The how manyth it is since the last that did not fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// How long its sync was due and held before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_ms: Option<u64>,
    /// By what at first: the name of a hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waited_for: Option<String>,
}
