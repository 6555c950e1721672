//! Owns: the words of work that an app does for syncs. Must never know: what calls for it, and what becomes of what it brings.

use serde::{Deserialize, Serialize};

use super::RunResult;
use crate::Raw;

/// `worker.offer`: the app does the work of these remotes from now on, as long as this connection is there.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkerOffer {
    /// Remotes of kind `app` with this app's name; left out: all there are, also those that come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remotes: Option<Vec<String>>,
}

/// What `worker.offer` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerOffered {
    /// The remotes that the offer is for now.
    pub remotes: Vec<String>,
}

/// `worker.batch`: some of what a work brings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkerBatch {
    /// Of which.
    pub work: String,
    /// Its number: 1, 2, 3 in each work.
    pub batch: u64,
    /// Records `{id, data}` and deletes `{id, deleted: true}`, up to 500; none: a sign of life.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Raw>,
    /// Any JSON but null, up to 16 KiB: all before it is told, and here the next work goes on. Left out: the last one stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<Raw>,
}

/// What `worker.batch` answers, once the batch is used: its rows are in the truth, with the checkpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerBatchTaken {}

/// `worker.done`: the end of a work.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkerDone {
    /// Which.
    pub work: String,
    /// How it came out. `new_data` is also what a batch changed, whatever is said here.
    pub result: RunResult,
    /// `failed`: why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// `failed`: not again before so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// What `worker.done` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerDoneAnswer {}
