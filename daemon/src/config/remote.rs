//! Owns: what a remote's section says. Must never know: what a kind does with it.

use serde::Deserialize;

/// `[remote.NAME]`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteSettings {
    /// Which code speaks to it.
    pub kind: String,
    /// Kind `rest`: which profile describes the service.
    pub profile: Option<String>,
    /// Where it is.
    pub url: String,
    /// As whom.
    pub auth: Option<toml::Value>,
    /// Plain http to another machine is wanted.
    #[serde(default)]
    pub insecure: bool,
}
