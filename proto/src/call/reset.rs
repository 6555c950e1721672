//! Owns: the words about resets of a sync. Must never know: what a reset does to records.

use serde::{Deserialize, Serialize};

use crate::words::choice;

choice! {
    /// What becomes of what is here when a sync is reset.
    pub enum ResetHow {
        /// Nothing that is here is overwritten: what differs is an open conflict.
        Recover = "recover",
        /// The collection's policy decides what differs, and each loss is recorded.
        RecoverOrDiscard = "recover_or_discard",
        /// The remote's state is taken; what is not sent is recorded as discarded, and goes.
        Discard = "discard",
    }
}

/// `sync.reset`: everything is fetched and compared as if the remote had another history, after a copy of the store.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncReset {
    /// Which.
    pub sync: String,
    /// What becomes of what is here.
    pub how: ResetHow,
}

/// What `sync.reset` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncResetAnswer {
    /// For `wait`: `r-...`. The run that begins with it.
    pub run: String,
    /// It waits for the one under way, or for a hold.
    pub queued: bool,
}

/// The reset that a run was of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunReset {
    /// What becomes of what is here: `recover`, `recover_or_discard`, `discard`.
    pub how: String,
    /// Why: `epoch` (the remote has another history), `account` (the credentials are of another one), `asked`.
    pub why: String,
    /// The store as it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<String>,
}
