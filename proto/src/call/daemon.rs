//! Owns: the words about the daemon as a whole. Must never know: records.

use serde::{Deserialize, Serialize};

use super::{Demand, Hold, Run, ScheduleState, is_false};
use crate::{Time, words::words};

words! {
    /// How the daemon stands.
    #[derive(Default)]
    pub enum DaemonState {
        /// Runs begin when they are due.
        #[default]
        Running = "running",
        /// A stop was asked for; runs are on their way to a safe point.
        Stopping = "stopping",
        /// No run, and none begins; apps go on.
        Stopped = "stopped",
    }
}

/// `status`: everything at a glance.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Status {}

/// What `status` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusAnswer {
    /// How the daemon stands.
    pub state: DaemonState,
    /// Since when it stands so.
    pub since_at: Time,
    /// The app that stopped it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The stop ends by itself, with the connection that holds it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lease: bool,
    /// The id of this store.
    pub instance: String,
    /// The present head of the feed.
    pub seq: u64,
    /// The daemon's version, for people.
    pub build: String,
    /// Since it started.
    pub uptime_ms: u64,
    /// How the machine is, as far as it is known.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub conditions: Conditions,
    /// The store's files.
    pub store: StoreStatus,
    /// Every sync, by name.
    pub syncs: Vec<SyncStatus>,
    /// Who is connected.
    pub apps: Vec<AppStatus>,
    /// What a person should know or decide.
    pub attention: Vec<Attention>,
    /// Where the configuration was looked for: without one there are no syncs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigStatus>,
}

/// How the machine is: what is not there is not known. What counts for runs is told, which is what was read, but that something that
/// comes and goes has to last before it counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Conditions {
    /// There is a network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// Its bytes cost money.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metered: Option<bool>,
    /// On external power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charging: Option<bool>,
    /// The battery is low.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery_low: Option<bool>,
    /// Little room is left on the store's disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_low: Option<bool>,
    /// Nobody uses the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idle: Option<bool>,
    /// The machine is about to sleep, or does.
    #[serde(default, skip_serializing_if = "is_false")]
    pub sleeps: bool,
    /// The store takes no writes: its disk is full, or fails.
    #[serde(default, skip_serializing_if = "is_false")]
    pub disk_shut: bool,
}

impl Conditions {
    /// Nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The store's files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StoreStatus {
    /// The database.
    pub bytes: u64,
    /// Its log, which a slow reader holds back.
    pub wal_bytes: u64,
}

/// The configuration that is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConfigStatus {
    /// The file.
    pub path: String,
    /// Whether it is there.
    pub found: bool,
    /// Every file that was looked for.
    #[serde(default)]
    pub looked: Vec<String>,
}

/// One sync of a `status`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncStatus {
    /// Its name.
    pub sync: String,
    /// Its schedule's state.
    pub state: ScheduleState,
    /// The reason that it does not run now, the one that counts most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// When it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// The last run that ended; null before the first.
    #[serde(default)]
    pub last: Option<Run>,
    /// The run of this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Progress>,
    /// Everything that its remote had then is here; not there: it was never listed to its end, or nothing comes from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_at: Option<Time>,
    /// Who wants it fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<Demand>,
    /// Records not sent yet.
    pub pending: u64,
    /// Open conflicts.
    pub conflicts: u64,
    /// Rejections that stand.
    pub rejections: u64,
}

/// How far a run is. `done` only grows, never passes `total`, and equals it only at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Progress {
    /// `r-...`.
    pub run: String,
    /// What it does now, in a word: `down`, `up`.
    pub phase: String,
    /// Records of this phase that are done.
    pub done: u64,
    /// Of how many, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// One connection of a `status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppStatus {
    /// Its name; None: it gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// The process, a hint only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// When it connected.
    pub since_at: Time,
    /// How many subscriptions it has.
    #[serde(default)]
    pub subscriptions: u64,
}

/// What a person should know or decide.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Attention {
    /// Stable, for code: `conflict`, `rejection`, `needs_login`, `overdue`, ...
    pub name: String,
    /// The sync, the remote or the thing.
    pub about: String,
    /// Since when.
    pub since_at: Time,
    /// What to do.
    pub hint: String,
}

/// `stop`: suspends all runs resumably and refuses new ones. Written down unless it is a lease.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// It ends with this connection.
    #[serde(default, skip_serializing_if = "is_false")]
    pub lease: bool,
}

/// `restart`: accepts runs again.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// Runs that the stop ended are due at once.
    #[serde(default, skip_serializing_if = "is_false")]
    pub resync_stopped: bool,
}

/// What `stop` and `restart` answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StateAnswer {
    /// How the daemon stands now.
    pub state: DaemonState,
    /// The runs stopped, or made due.
    #[serde(default)]
    pub runs: Vec<String>,
}

/// `reload`: reads the configuration again and applies what changed. One that is not good changes nothing: `invalid`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reload {}

/// What `reload` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ReloadAnswer {
    /// The sections that are in force now as the files have them; empty: nothing changed.
    #[serde(default)]
    pub applied: Vec<Applied>,
    /// What the files say and holds only after a new start of mingled, by section and key.
    #[serde(default)]
    pub after_restart: Vec<String>,
    /// Syncs that are gone while changes waited. What they know of the remote is kept: defined again, they go on.
    #[serde(default)]
    pub orphaned: Vec<Orphaned>,
}

/// One section of a `reload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Applied {
    /// As it is headed: `sync.issues`.
    pub section: String,
    /// What became of it.
    pub change: SectionChange,
}

words! {
    /// What became of a section of the configuration.
    pub enum SectionChange {
        /// It was not there.
        Added = "added",
        /// It was there, and says something else.
        Changed = "changed",
        /// It is not there any more.
        Removed = "removed",
    }
}

/// A sync that is gone while changes waited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Orphaned {
    /// Its name.
    pub sync: String,
    /// Records not sent.
    pub pending: u64,
}

/// `rpc.discover`: the OpenRPC document: every method with the schema of its parameters and its answer.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RpcDiscover {}

/// `shutdown`: runs end at safe points, then the daemon ends.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Shutdown {}

/// What `shutdown` answers, before the connection closes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ShutdownAnswer {
    /// How the daemon stands now.
    pub state: DaemonState,
}
