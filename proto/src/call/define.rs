//! Owns: the words about syncs that apps define, and about what makes them due from outside. Must never know: what stands in a definition.

use serde::{Deserialize, Serialize};

use super::{Hold, ScheduleState};
use crate::{
    Raw, Time,
    words::{choice, words},
};

choice! {
    /// What becomes of a sync of that name that an app has defined before.
    pub enum IfExists {
        /// It stays as it is.
        Keep = "keep",
        /// It becomes what is asked; what it has been through stays, and a run that is on goes on.
        Update = "update",
        /// A new one takes its place: a run that is on ends, and the schedule begins anew.
        Replace = "replace",
    }
}

words! {
    /// What came of a definition.
    #[derive(Default)]
    pub enum DefineOutcome {
        /// There was none of that name.
        #[default]
        Created = "created",
        /// It stays as it was.
        Kept = "kept",
        /// It is as asked, from now or from the end of its run on.
        Updated = "updated",
        /// It is as asked, and begins anew.
        Replaced = "replaced",
    }
}

/// `sync.define`: written down before it is answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncDefine {
    /// Its name.
    pub sync: String,
    /// An object with the keys of `[sync.NAME]`.
    pub definition: Raw,
    /// `update` where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_exists: Option<IfExists>,
    /// When its next run is, as `sync.next` says it; nothing where it is kept. Left out: a moment that it has already stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_run_at: Option<Time>,
}

/// What `sync.define` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncDefineAnswer {
    /// Its name.
    pub sync: String,
    /// What came of it.
    pub outcome: DefineOutcome,
    /// How often it was defined, this time included.
    pub generation: u64,
}

/// `sync.remove`: one that an app has defined.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncRemove {
    /// Its name.
    pub sync: String,
}

/// What `sync.remove` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncRemoveAnswer {
    /// Its name.
    pub sync: String,
    /// Changes that waited to be sent, and that no sync sends now.
    pub pending: u64,
}

/// `sync.ping`: there is something new at the remote, says its push channel or an app. Exactly one of the two is given.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncPing {
    /// These syncs, up to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub syncs: Option<Vec<String>>,
    /// Every sync with this remote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
}

/// `sync.next`: the next run of a sync has a moment of its own. Written down before it is answered.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncNext {
    /// Which.
    pub sync: String,
    /// When; one that is past is now. Left out: when its schedule says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// What `sync.next` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncNextAnswer {
    /// Its name.
    pub sync: String,
    /// How it stands now.
    pub state: ScheduleState,
    /// When it runs, as far as time alone decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Time>,
    /// What it waits for, where it does not run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}

/// What `sync.ping` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SyncPingAnswer {
    /// By name, each once.
    pub syncs: Vec<PingedSync>,
}

/// A sync that is due by a ping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PingedSync {
    /// Its name.
    pub sync: String,
    /// How it stands now.
    pub state: ScheduleState,
    /// What it waits for, where it does not run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}
