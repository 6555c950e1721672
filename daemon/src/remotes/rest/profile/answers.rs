//! Owns: what answers mean. Must never know: what was asked.

use serde::Deserialize;

use crate::remotes::rest::pointer::Pointer;

/// What the statuses of answers mean.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answers {
    /// The record is not there.
    pub gone: Vec<u16>,
    /// The record moved: what was taken for granted is not so.
    pub stale: Vec<u16>,
    /// A create met an id that exists.
    pub exists: Vec<u16>,
    /// Where a refusal shows the record as it is now.
    pub present: Option<Pointer>,
    /// Where a refusal has words for people.
    pub words: Option<Pointer>,
}

impl Default for Answers {
    fn default() -> Self {
        Self { gone: vec![404, 410], stale: vec![412], exists: vec![409], present: None, words: None }
    }
}

/// What an answer means whose status does not tell alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meaning {
    /// One of these statuses.
    pub status: Vec<u16>,
    /// And something lies here in its body.
    pub at: Option<Pointer>,
    /// Or stands in this header.
    pub header: Option<String>,
    /// And that is one of these; without: anything.
    #[serde(default)]
    pub is: Vec<String>,
    /// And that begins with one of these; without: anything. For words that end in a number or a name.
    #[serde(default)]
    pub begins: Vec<String>,
    /// What it means then.
    pub means: Means,
    /// `throttled`: so many seconds nothing is asked, where the answer does not say how long.
    pub wait_s: Option<u64>,
}

/// What an answer can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Means {
    /// The record is not there.
    Gone,
    /// The record moved.
    Stale,
    /// A create met an id that exists.
    Exists,
    /// This change will never be taken as it is.
    Refused,
    /// It asks for patience; nothing was done.
    Throttled,
    /// The credentials are not taken.
    NeedsLogin,
    /// The account may not do this, or the resource is not there.
    Denied,
    /// It is in trouble: whether it was done is not known.
    Trouble,
    /// It does not know our token any more.
    TokenRefused,
}

/// What a service says of how much it may be asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The header that says how many requests are left; at 0 nothing is asked before the reset.
    pub remaining: Option<String>,
    /// When there are more again.
    pub reset: Option<Reset>,
}

/// A header with a moment, or a time to wait.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// The header.
    pub header: String,
    /// How it says it.
    pub form: ResetForm,
}

/// How the reset is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResetForm {
    /// Seconds since 1970, by the server's clock.
    UnixS,
    /// Seconds from now.
    Seconds,
}
