//! Owns: the words about the conversation itself: who is here, what comes unasked, waiting, cancelling. Must never know: records.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Hold, ScheduleState, Trouble, is_false};
use crate::{
    PROTOCOL, Time,
    message::Id,
    words::{choice, words},
};

/// `hello`: may be left out; then the app has no name, and may read and operate.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// A stable name: grants go by it, and the ledger says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The major that the app speaks.
    #[serde(default = "protocol")]
    pub protocol: u32,
}

const fn protocol() -> u32 {
    PROTOCOL
}

impl Default for Hello {
    fn default() -> Self {
        Self { app: None, protocol: PROTOCOL }
    }
}

/// What `hello` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HelloAnswer {
    /// The major that the daemon speaks.
    pub protocol: u32,
    /// Names of what it can do: every method it serves, and more. Ask for names, never compare versions.
    pub abilities: Vec<String>,
    /// The bounds of this connection.
    pub limits: Limits,
    /// The id of this store; a new or restored store has a new one.
    pub instance: String,
    /// The present head of the feed.
    pub seq: u64,
    /// By collection; `*` stands for every other, and where it is missing, the others are `none`.
    pub grants: BTreeMap<String, Grant>,
    /// The daemon's version, for people.
    pub build: String,
}

/// The bounds of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Limits {
    /// The longest request line, in bytes.
    pub request_bytes: u64,
    /// Where a page of an answer ends, in bytes.
    pub reply_bytes: u64,
    /// The most records of a page.
    pub page_records: u64,
    /// Past this many the daemon stops reading.
    pub calls_in_flight: u64,
    /// The most subscriptions of a connection.
    pub subscriptions: u64,
}

words! {
    /// What an app may do in a collection.
    pub enum Grant {
        /// Not even see it.
        None = "none",
        /// See it.
        Read = "read",
        /// See it and write it.
        Write = "write",
    }
}

/// `subscribe`: a cursor over the feed, and topics.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// Changes of these; left out with topics: none, left out without topics: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<String>>,
    /// Of these collections only these records, by id: up to 256 in all. They are the collections, where those are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<BTreeMap<String, Vec<String>>>,
    /// Events of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topics: Option<Vec<Topic>>,
    /// Go on from here; left out: everything, state first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// The instance that `since` belongs to, if not the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// False: from now on, without what is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial: Option<bool>,
    /// With the records' data.
    #[serde(default, skip_serializing_if = "is_false")]
    pub data: bool,
    /// As long as it lives, what is here shall be no older than this: the syncs that bring the collections run so often. Below 1,000 it is
    /// taken for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_ms: Option<u64>,
}

choice! {
    /// What events are about.
    pub enum Topic {
        /// A run began, goes on, ended.
        Run = "run",
        /// A sync, or the daemon as a whole, is in another state.
        Sync = "sync",
        /// A conflict came or was resolved.
        Conflict = "conflict",
        /// A rejection came or was resolved.
        Rejection = "rejection",
        /// Something needs a person, or no longer does.
        Attention = "attention",
        /// A session of an app began, goes on, is over.
        Session = "session",
        /// An app invites this one to take part in its session. Whoever listens is asked, and waited for.
        Invite = "invite",
    }
}

/// What `subscribe` answers, before the first notification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SubscribeAnswer {
    /// Its number in this connection.
    pub subscription: u64,
    /// Where it begins.
    pub seq: u64,
    /// Nothing is there after `since`: the view is whole already.
    pub caught_up: bool,
    /// `since` could not be told from: everything follows, and what the caller had is void.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fresh: bool,
}

/// `wait`: for a write (token), a run, or syncs (these, or all), exactly one of these.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Wait {
    /// Of a write: `w-...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Of a run: `r-...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Until each of these syncs, up to 1,000, is synced: it neither runs nor is due, nothing of it is pending, no conflict is open and no rejection
    /// stands, and its last run ended well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syncs: Option<Vec<String>>,
    /// The same of every sync that is not paused.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// With `syncs` or `all`: and that run began then, or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_at: Option<Time>,
    /// With `syncs`: until each of them has this state instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reaches: Option<SyncReaches>,
    /// Then `pending` is answered, and the work goes on; left out or 0: at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// What `wait` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WaitAnswer {
    /// Of the whole.
    pub state: Settled,
    /// What it still waits for, or why it failed, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Each remote concerned.
    #[serde(default)]
    pub remotes: Vec<RemoteSettled>,
    /// Of syncs that are waited for: the first 100 that are not there yet, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub syncs: Vec<SyncBehind>,
    /// How many those are, told or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syncs_total: Option<u64>,
    /// What is needed by the one of them for which waiting helps least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<WaitNeeds>,
}

choice! {
    /// The state that a sync is to have.
    pub enum SyncReaches {
        /// Paused, or turned off.
        Disabled = "disabled",
        /// Not due yet.
        Waiting = "waiting",
        /// Due, and held.
        Blocked = "blocked",
        /// Due, and about to run.
        Ready = "ready",
        /// It runs.
        Running = "running",
    }
}

words! {
    /// What a wait for syncs needs.
    #[derive(Default)]
    pub enum WaitNeeds {
        /// Nothing but time.
        #[default]
        Time = "time",
        /// That something else comes about: a network, a resume, a request.
        Condition = "condition",
        /// A person's decision.
        Person = "person",
    }
}

/// A sync that is not yet what is waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncBehind {
    /// Its name.
    pub sync: String,
    /// How it stands with its schedule.
    pub state: ScheduleState,
    /// What it needs.
    pub needs: WaitNeeds,
    /// What holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// What its last run ran into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
    /// Changes that it has yet to send.
    pub pending: u64,
    /// Its open conflicts.
    pub conflicts: u64,
    /// Its rejections.
    pub rejections: u64,
}

/// One remote of a `wait`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemoteSettled {
    /// Its name.
    pub remote: String,
    /// Of the write there.
    pub state: Settled,
    /// What it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

words! {
    /// How a write or a run stands. A write: `done`, `pending`, `rejected`, `overruled`; a run: all but the middle two.
    #[derive(Default)]
    pub enum Settled {
        /// Not yet.
        #[default]
        Pending = "pending",
        /// The remote has it; the run ended well.
        Done = "done",
        /// The remote refused it.
        Rejected = "rejected",
        /// A conflict or a decision took another value.
        Overruled = "overruled",
        /// The run ended, and rejections remain.
        DoneWithErrors = "done_with_errors",
        /// The run failed.
        Failed = "failed",
        /// The run was stopped.
        Stopped = "stopped",
        /// The run was cancelled.
        Cancelled = "cancelled",
    }
}

/// `cancel`: the call with that id answers `cancelled`, unless it is done already. A write that was queued may still happen.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Cancel {
    /// As that call wrote it.
    pub id: Id<'static>,
}

/// What `cancel` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CancelAnswer {
    /// Whether a call of that id was in flight.
    pub cancelled: bool,
}
