//! Owns: the words about freshness: how old what is here is, who wants it fresher. Must never know: how it becomes fresh.

use serde::{Deserialize, Serialize};

use super::{Hold, ScheduleState, Trouble};
use crate::Time;

/// How fresh what is answered is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Freshness {
    /// It is as fresh as was asked.
    pub met: bool,
    /// Everything that the remotes of the collection had then is here; not there: one of them was never listed to its end, or it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// What is in the way, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The first 20 of the syncs that have not brought what was asked for, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub syncs: Vec<StaleSync>,
}

/// A sync that has not brought what a read asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StaleSync {
    /// Its name.
    pub sync: String,
    /// Everything that its remote had then is here; not there: it was never listed to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    /// How it stands with its schedule.
    pub state: ScheduleState,
    /// What holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// What its last run ran into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Trouble>,
}

/// The strictest of the live demands for what a sync brings: subscriptions with `fresh_ms`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Demand {
    /// What is here shall be no older.
    pub fresh_ms: u64,
    /// The app whose it is; not there: it gave no name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// How many there are, with this one.
    pub count: u64,
}
