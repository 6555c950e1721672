//! Owns: the words for fetching a collection anew. Must never know: what is fetched.

use serde::{Deserialize, Serialize};

use super::is_false;

/// `rebuild`: each sync of the collection fetches it anew, and what is here gives way to what is there, but for what is not sent yet.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Rebuild {
    /// The collection.
    pub collection: String,
    /// Only says what would be kept.
    #[serde(default, skip_serializing_if = "is_false")]
    pub plan: bool,
}

/// What `rebuild` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RebuildAnswer {
    /// The run of each of its syncs, by name; empty where it was only asked what would be kept.
    pub runs: Vec<RebuildRun>,
    /// Changes that are yet to be sent: they stay, and meet what is fetched.
    pub unsent: u64,
    /// Open conflicts: they stay.
    pub conflicts: u64,
    /// Rejections that stand: they stay.
    pub rejections: u64,
}

/// A run that fetches a collection anew.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RebuildRun {
    /// Of this sync.
    pub sync: String,
    /// For `wait`: `r-...`.
    pub run: String,
    /// It waits for the one under way, or for a hold.
    pub queued: bool,
}
