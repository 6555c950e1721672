//! Owns: the words about what waits to be sent: lists, marks, taking back, forgetting. Must never know: how it is sent.

use serde::{Deserialize, Serialize};

use crate::words::{choice, words};

/// `pending.list`: what syncs have yet to send, each change in exactly one state.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PendingList {
    /// Only of this collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Only of this sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// Only in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<PendingWanted>,
    /// The most of a page, up to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Of the page before; the rest of the call must be the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

choice! {
    /// Which state is asked for.
    pub enum PendingWanted {
        /// A rejection stands against it.
        Rejected = "rejected",
        /// Its request is open.
        InFlight = "in_flight",
        /// It was sent, and whether it was taken is not known.
        AwaitingAck = "awaiting_ack",
        /// It is marked not for upload.
        Deferred = "deferred",
        /// It is sent next.
        Pending = "pending",
    }
}

words! {
    /// The state of a pending change: the first that fits, in this order.
    pub enum PendingState {
        /// A rejection stands against it: it waits for a decision, or for a change of either side.
        Rejected = "rejected",
        /// It was sent, and its request is open.
        InFlight = "in_flight",
        /// It was sent, and whether the remote took it is not known.
        AwaitingAck = "awaiting_ack",
        /// It stays here until somebody marks it for upload.
        Deferred = "deferred",
        /// It is sent next.
        Pending = "pending",
    }
}

words! {
    /// What is to be sent of a record.
    pub enum PendingChange {
        /// The remote lacks it.
        Create = "create",
        /// Some of its properties differ there.
        Update = "update",
        /// It was deleted here.
        Delete = "delete",
    }
}

/// What `pending.list` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PendingListAnswer {
    /// By sync, and then in the order in which they were made. A page may be empty while more follow.
    pub pending: Vec<PendingOne>,
    /// There where another page may follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// One change that waits.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PendingOne {
    /// The sync that is to send it.
    pub sync: String,
    /// Its remote.
    pub remote: String,
    /// The collection.
    pub collection: String,
    /// The record.
    pub id: String,
    /// In which state it is.
    pub state: PendingState,
    /// What is to be sent.
    pub change: PendingChange,
    /// The properties that differ, of an update.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub properties: Vec<String>,
    /// The record's seq.
    pub seq: u64,
    /// The rejection that stands against it: `j-...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejection: Option<String>,
    /// Why it waits, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// `pending.upload`: marks what was deferred for upload.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PendingUpload {
    /// The collection.
    pub collection: String,
    /// These records, up to 1,000; None: all that are deferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<String>>,
}

/// What `pending.upload` answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PendingUploadAnswer {
    /// So many records were deferred, and are no longer.
    pub marked: u64,
}

/// `pending.rollback`: the records get what their remote last had. Exactly one of `collection` and `sync`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PendingRollback {
    /// Of this collection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Of what this sync has yet to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// Of this record; None: of all, page by page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The operation id of this page: a repeat returns the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// The instance that the cursor and `op` belong to, if not this connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// What `pending.rollback` answers: one page, which is done whole or not at all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PendingRollbackAnswer {
    /// The records that have what the remote last had.
    pub rolled_back: Vec<super::WrittenOne>,
    /// Those that stay as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<PendingLeft>,
    /// For `wait`.
    pub token: String,
    /// The operation id.
    pub op: String,
    /// There where another page follows: the same call with it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A record whose pending change stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PendingLeft {
    /// The record.
    pub id: String,
    /// Why, for people.
    pub why: String,
}

/// `forget`: the record leaves here; what remotes have of it stays.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Forget {
    /// The collection.
    pub collection: String,
    /// The record.
    pub id: String,
    /// Only if the record's seq is this, else `stale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_seq: Option<u64>,
    /// The operation id: a repeat returns the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// The instance that `if_seq` and `op` belong to, if not this connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}
