//! Owns: the words about syncs and runs. Must never know: when a sync is due.

use serde::{Deserialize, Serialize};

use super::{Demand, Run, WaitNeeds, is_false};
use crate::{
    Raw, Time,
    words::{choice, words},
};

words! {
    /// How a sync stands with its schedule.
    #[derive(Default)]
    pub enum ScheduleState {
        /// Paused, or turned off.
        Disabled = "disabled",
        /// Not due yet.
        #[default]
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
    /// How a run stands.
    #[derive(Default)]
    pub enum RunStatus {
        /// Asked for.
        #[default]
        Queued = "queued",
        /// Under way.
        Running = "running",
        /// On its way to a safe point.
        Stopping = "stopping",
        /// Ended early, to go on later.
        Stopped = "stopped",
        /// Ended well.
        Done = "done",
        /// Ended, and rejections remain.
        DoneWithErrors = "done_with_errors",
        /// Ended by an error.
        Failed = "failed",
        /// Ended for good by a request.
        Cancelled = "cancelled",
    }
}

words! {
    /// What the schedule learns from a run.
    pub enum RunResult {
        /// Something came or went.
        NewData = "new_data",
        /// Both sides were the same.
        NoNewData = "no_new_data",
        /// It did not get so far.
        Failed = "failed",
    }
}

words! {
    /// Which way a sync carries changes.
    pub enum Direction {
        /// Remote to truth.
        Down = "down",
        /// Truth to remote.
        Up = "up",
        /// Both.
        Both = "both",
    }
}

choice! {
    /// How a run looks for changes.
    pub enum Mode {
        /// Changes only.
        Fast = "fast",
        /// Everything, compared.
        Slow = "slow",
        /// Forget the agreed copies and begin anew, without deletes.
        Refresh = "refresh",
    }
}

/// `sync.run`: as soon as the holds that nothing passes are gone.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncRun {
    /// Which.
    pub sync: String,
    /// As the sync says where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Passes metered, battery, idle and window too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
    /// Takes deletes that are guarded otherwise.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_deletes: bool,
}

/// What `sync.run` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncRunAnswer {
    /// For `wait`: `r-...`. A run that begins after this request.
    pub run: String,
    /// It waits for the one under way, or for a hold.
    pub queued: bool,
}

/// `sync.pause`: written down before it is answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncPause {
    /// Which.
    pub sync: String,
}

/// `sync.resume`: what a stop ended is due at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncResume {
    /// Which.
    pub sync: String,
}

/// What `sync.pause` and `sync.resume` answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncStateAnswer {
    /// How it stands now.
    pub state: ScheduleState,
}

/// `sync.cancel`: its run ends at the next safe point, for good, and one that is asked for never begins. Changes and the schedule
/// make it due again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncCancel {
    /// Which.
    pub sync: String,
}

/// What `sync.cancel` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncCancelAnswer {
    /// The runs that end, or never begin; empty: there was none.
    #[serde(default)]
    pub runs: Vec<String>,
}

/// `sync.get`: one definition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncGet {
    /// Which.
    pub sync: String,
}

/// `sync.list`: the definitions.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncList {}

/// What `sync.list` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncListAnswer {
    /// By name.
    pub syncs: Vec<SyncDefinition>,
}

/// One sync as it is defined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncDefinition {
    /// Its name.
    pub sync: String,
    /// What it carries.
    pub collection: String,
    /// From and to where.
    pub remote: String,
    /// The remote's own container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Which way.
    pub direction: Direction,
    /// Its interval; of one that adapts, the shortest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_ms: Option<u64>,
    /// The longest interval, where it adapts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_max_ms: Option<u64>,
    /// Its wall-clock schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<String>,
    /// It does not poll unless somebody asks for fresh data.
    #[serde(default, skip_serializing_if = "is_false")]
    pub demand: bool,
    /// So long after it was defined it runs for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_delay_ms: Option<u64>,
    /// Syncs that go first: each has to have ended well, and neither runs nor is about to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Of those that are ready, the lower goes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u32>,
    /// What it is called by together with others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The app that defined it last; not there where the configuration does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub defined_by: Option<String>,
    /// How often apps defined it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
    /// How it stands now.
    pub state: ScheduleState,
}

/// `explain`: the decision of this moment, in words.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// Which.
    pub sync: String,
}

/// What `explain` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExplainAnswer {
    /// Which.
    pub sync: String,
    /// How it stands.
    pub state: ScheduleState,
    /// Every reason that it does not run now; none: it runs, or it is about to.
    pub holds: Vec<Hold>,
    /// When it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// Everything that its remote had then is here; not there: it was never listed to its end, or nothing comes from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_at: Option<Time>,
    /// Who wants it fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub demand: Option<Demand>,
    /// The last three runs, the latest first.
    pub last: Vec<Run>,
    /// All of it for people, in a few lines.
    pub text: String,
}

/// Why a sync does not run now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Hold {
    /// Stable, for code: `stopped`, `paused`, `needs_login`, `backoff`, `retry_after`, `network`, `battery_not_low`, ...
    pub name: String,
    /// How it is now: `14 %`.
    #[serde(default)]
    pub has: String,
    /// How it must be: `20 %`.
    #[serde(default)]
    pub needs: String,
    /// When it ends by itself, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_at: Option<Time>,
    /// What a person may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What ends it, of every hold there is: nothing but time, something else that comes about, or a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitNeeds>,
}

/// `plan`: what a run of this sync would send and change now; nothing is done.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The sync.
    pub sync: String,
    /// As of `sync.run`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// As of `sync.run`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
    /// As of `sync.run`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub accept_deletes: bool,
    /// So many requests and so many changes are told, 1 to 1,000; without, 100. The others are counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What `plan` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlanAnswer {
    /// How it would compare; not there where it would not come so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// How it would end, if the remote took all that it would send.
    pub status: RunStatus,
    /// What would go wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
    /// Conflicts that it would record.
    pub conflicts: u64,
    /// Rejections that it would leave.
    pub rejections: u64,
    /// The requests that would change something at the remote, in their order.
    pub requests: Vec<PlannedRequest>,
    /// How many there are, told or not.
    pub requests_total: u64,
    /// The records that would change here, before anything is sent.
    pub changes: Vec<PlannedChange>,
    /// How many there are, told or not.
    pub changes_total: u64,
}

/// A request that would change something at the remote.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedRequest {
    /// `POST`, `PATCH`, ...
    pub method: String,
    /// The whole address; a secret in it is left out.
    pub url: String,
    /// By name, in small letters; those that show who we are are left out.
    pub headers: std::collections::BTreeMap<String, String>,
    /// What goes with it: JSON where it is that, or else a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Raw>,
    /// The records that it is about; of a batch, all that go out with it.
    pub ids: Vec<String>,
}

/// A record that would change here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedChange {
    /// The record.
    pub id: String,
    /// What would become of it.
    pub kind: super::ChangeKind,
    /// The properties that would change.
    pub properties: Vec<PlannedProperty>,
}

/// A property that would change here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedProperty {
    /// Its name.
    pub property: String,
    /// Its value now; null: absent.
    pub from: Option<Raw>,
    /// The value that it would get; null: absent.
    pub to: Option<Raw>,
}

/// What went wrong in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Trouble {
    /// Stable, for code: `needs_login`, `unreachable`, ...
    pub name: String,
    /// For people.
    pub what: String,
    /// What a person may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}
