//! Owns: the words of what is known of apps, and of the copies that they keep. Must never know: how a copy is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Filters, Grant, SessionMode, SessionState, Where, is_false};
use crate::{Time, words::words};

/// `app.register`: the app says what it keeps a copy of, before its first session or later.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AppRegister {
    /// The collections; what was named before stays.
    pub collections: Vec<String>,
    /// By collection, which records are in the copy, in the words of `where`; null: all. A collection that is left out keeps its filter.
    #[serde(default, skip_serializing_if = "Filters::is_empty")]
    pub filters: Filters,
}

/// What `app.register` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppRegistered {
    /// What is known of each of these copies.
    pub copies: Vec<AppCopy>,
}

/// `app.list`: apps that are named in the configuration, are connected, or keep a copy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AppList {
    /// The most apps of a page, up to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What `app.list` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppListAnswer {
    /// One page, by name.
    pub apps: Vec<AppKnown>,
    /// There where another page may follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What is known of an app.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppKnown {
    /// Its name.
    pub app: String,
    /// What it may do, by collection; `*` stands for every one that is not listed.
    pub grants: BTreeMap<String, Grant>,
    /// How many connections it has now.
    pub connections: u64,
    /// Its session that is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<AppSession>,
    /// What it keeps a copy of, by collection.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<AppCopy>,
}

/// A session that is open.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppSession {
    /// Where it is.
    pub state: SessionState,
    /// How it goes on.
    pub mode: SessionMode,
}

/// One collection as an app keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppCopy {
    /// The collection.
    pub collection: String,
    /// When it became known; not there where that was before it was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_at: Option<Time>,
    /// The mode of the next session, with the anchor that the app was given last: `fast` where the copy is whole, else it begins anew.
    pub next: SessionMode,
    /// The last session that it was in; not there before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<AppCopySession>,
    /// Which records are in it; not there where all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Where>,
    /// The filter is another one than the last session looked at the records under: the next one looks at all of them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub filter_waits: bool,
}

/// The last session of a copy.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppCopySession {
    /// When it began.
    pub began_at: Time,
    /// Its mode; not there where it was before that was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SessionMode>,
    /// How it ended; not there while it is open, or where it was before that was written down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<SessionEnd>,
}

words! {
    /// How a session ended.
    pub enum SessionEnd {
        /// In good order.
        Finished = "finished",
        /// It was given up.
        Cancelled = "cancelled",
        /// Its connection was gone, or the daemon.
        Left = "left",
    }
}

/// `app.reset`: the copy of an app is forgotten, and its next session is one of an app that was never here.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AppReset {
    /// The app.
    pub app: String,
    /// Only of these collections; None: of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<String>>,
}

/// What `app.reset` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AppResetAnswer {
    /// The collections whose copy was forgotten.
    pub collections: Vec<String>,
}
