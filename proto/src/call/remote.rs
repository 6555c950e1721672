//! Owns: the words about remotes. Must never know: how a remote is spoken to, and any secret.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `remote.list`: the remotes of the configuration.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoteList {}

/// What `remote.list` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemoteListAnswer {
    /// By name.
    pub remotes: Vec<RemoteStatus>,
}

/// One remote.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemoteStatus {
    /// Its name.
    pub remote: String,
    /// The code that speaks its protocol.
    pub kind: String,
    /// The data that describes the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Where it is, without credentials.
    pub url: String,
    /// What it can do: `conditional_writes`, `tombstones`, ...; a truth value or a word each.
    #[serde(default)]
    pub abilities: BTreeMap<String, serde_json::Value>,
}

/// `remote.check`: one harmless request, with fresh credentials.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoteCheck {
    /// Which.
    pub remote: String,
}

/// What `remote.check` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemoteCheckAnswer {
    /// Which.
    pub remote: String,
    /// It answers, and takes the credentials.
    pub ok: bool,
    /// What it said, for people.
    pub what: String,
    /// What a person may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// How long it took.
    pub took_ms: u64,
}
