//! Owns: the words about remotes. Must never know: how a remote is spoken to, and what a secret opens.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::is_false;
use crate::Time;

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
    /// How it logs in: `secret` (`remote.login`) or `oauth2` (`remote.authorize`). Left out: not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
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

/// `remote.login`: keeps the secret of a remote where the configuration has it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoteLogin {
    /// Which.
    pub remote: String,
    /// The password, token or key, in one line.
    pub secret: String,
}

// What is shown of it may end up in a log.
impl fmt::Debug for RemoteLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteLogin").field("remote", &self.remote).finish_non_exhaustive()
    }
}

/// What `remote.login` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemoteLoginAnswer {
    /// Which.
    pub remote: String,
    /// Where the secret is now, for people.
    pub place: String,
}

/// `remote.authorize`: begins a login that a person ends with a browser.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoteAuthorize {
    /// Which.
    pub remote: String,
    /// The browser is at another machine.
    #[serde(default, skip_serializing_if = "is_false")]
    pub device: bool,
    /// Where the service does not say whose login it is: it is the same person's as before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub same_person: bool,
}

/// What `remote.authorize` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemoteAuthorizeAnswer {
    /// Which.
    pub remote: String,
    /// Names this login.
    pub login: String,
    /// The address where a person agrees.
    pub url: String,
    /// What they write there, where the browser is at another machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How long they may take.
    pub within_ms: u64,
}

/// `remote.authorized`: what came of a login, once it has ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoteAuthorized {
    /// Which, as `remote.authorize` named it.
    pub login: String,
}

/// What `remote.authorized` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemoteAuthorizedAnswer {
    /// The remote.
    pub remote: String,
    /// Where the login is kept, for people.
    pub place: String,
    /// Whose it is. Left out: the service does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What was asked for and is not given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
    /// Whether it is renewed by itself. Left out: an older daemon does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renews: Option<bool>,
    /// When it is over, where it is not renewed. Left out: it is, or the service does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_at: Option<Time>,
}

/// `remote.logout`: takes the secret of a remote out of where the configuration has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoteLogout {
    /// Which.
    pub remote: String,
}

/// What `remote.logout` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemoteLogoutAnswer {
    /// Which.
    pub remote: String,
    /// Where the secret was, for people.
    pub place: String,
    /// There was one.
    pub removed: bool,
    /// What could not be done, for people: such as to end the login at the service. Left out: nothing is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<String>,
}

/// `remote.budget`: what each account may ask of its service, and who used it.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RemoteBudget {}

/// What `remote.budget` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemoteBudgetAnswer {
    /// By host and account.
    pub budgets: Vec<AccountBudget>,
}

/// The budget of one account: remotes at one host with one login share it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AccountBudget {
    /// Where the service is: scheme, host and port.
    pub host: String,
    /// The account's name, where the login has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The remotes that share it.
    pub remotes: Vec<String>,
    /// The limits that the service told of; none: it told of none, or was not asked yet.
    #[serde(default)]
    pub limits: Vec<BudgetLimit>,
    /// The service asked for patience until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_until_at: Option<Time>,
    /// Since when `used` counts: the last reset, or when the first was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_since_at: Option<Time>,
    /// Who used what.
    #[serde(default)]
    pub used: Vec<BudgetUsed>,
    /// Requests under way.
    #[serde(default)]
    pub under_way: u64,
    /// Requests that wait for their turn.
    #[serde(default)]
    pub waiting: u64,
}

/// One limit of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetLimit {
    /// What the service calls it, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Requests in one window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Requests that are left in this one.
    pub left: u64,
    /// So many of these are kept for what a person asks for.
    #[serde(default)]
    pub kept: u64,
    /// When the next one begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<Time>,
    /// How long it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// When this was learned.
    pub learned_at: Time,
}

/// What one sync used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BudgetUsed {
    /// The sync; left out: none of them, such as a check by a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// Requests.
    pub requests: u64,
    /// Of these, answered with "nothing has changed".
    pub unchanged: u64,
    /// What the answers came to, in bytes.
    pub bytes: u64,
}
