//! Owns: the error object and its stable names. Must never know: what inside the daemon went wrong, or where.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::words::words;

words! {
    /// The stable name of an error: what an app switches on.
    pub enum Name {
        /// Runs are stopped, and this call would begin one.
        Stopped = "stopped",
        /// No such collection, record, sync, remote, conflict or rejection.
        NotFound = "not_found",
        /// The app's grants do not go so far, or a write came without a name.
        Denied = "denied",
        /// What the caller knew is no longer so: `data.seq` is the present one.
        Stale = "stale",
        /// Other content under an operation id that was used before.
        OpReused = "op_reused",
        /// Parameters that cannot be meant.
        Invalid = "invalid",
        /// A line or a record over a limit.
        TooLarge = "too_large",
        /// No room at the moment: ask again.
        Busy = "busy",
        /// It took longer than it may.
        Deadline = "deadline",
        /// `cancel` ended this call.
        Cancelled = "cancelled",
        /// Whether it happened is not known: repeat it with the same operation id.
        OutcomeUnknown = "outcome_unknown",
        /// The remote does not take the credentials.
        NeedsLogin = "needs_login",
        /// The session is in another state than this call needs.
        WrongState = "wrong_state",
        /// More records would be deleted than may be without a word.
        Guarded = "guarded",
        /// This daemon, or this remote, does not do it.
        Unsupported = "unsupported",
        /// The two ends speak different majors.
        Version = "version",
        /// The store may not be written.
        ReadOnly = "read_only",
        /// The disk is full.
        DiskFull = "disk_full",
        /// A fault of the daemon.
        Internal = "internal",
        /// JSON-RPC's own -32700: not JSON.
        Parse = "parse",
        /// JSON-RPC's own -32600: JSON, but no request.
        Request = "request",
        /// JSON-RPC's own -32601: no such method.
        Method = "method",
    }
}

impl Name {
    /// JSON-RPC's code: its own three, and -32000 for all of ours.
    #[must_use]
    pub const fn code(self) -> i64 {
        match self {
            Self::Parse => -32700,
            Self::Request => -32600,
            Self::Method => -32601,
            _ => -32000,
        }
    }

    /// Whether the very same call may succeed later, without anybody changing it.
    #[must_use]
    pub const fn retryable(self) -> bool {
        matches!(self, Self::Busy | Self::Deadline | Self::OutcomeUnknown | Self::DiskFull)
    }
}

/// Why a call was refused: JSON-RPC's error object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Error {
    /// See [`Name::code`].
    pub code: i64,
    /// For people; may change.
    pub message: String,
    /// For code. A daemon sends it always.
    #[serde(default)]
    pub data: Box<Details>,
}

/// The `data` of an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Details {
    /// What an app switches on.
    pub name: Name,
    /// What a person may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether the same call may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// Not before so many milliseconds have passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// `stale`: the present seq; 0 where the record is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// A refused or unknown write: its operation id, also where the daemon made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// What the error is about, where one word says it: a collection, a sync, a property.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

impl Default for Details {
    fn default() -> Self {
        Self { name: Name::Unknown, hint: None, retryable: false, retry_after_ms: None, seq: None, op: None, about: None }
    }
}

impl Error {
    /// An error of that name; message: lowercase, no full stop, names the thing.
    #[must_use]
    pub fn new(name: Name, message: impl Into<String>) -> Self {
        let data = Box::new(Details { name, retryable: name.retryable(), ..Details::default() });
        Self { code: name.code(), message: message.into(), data }
    }

    /// With what a person may do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.data.hint = Some(hint.into());
        self
    }

    /// Retryable, in so many milliseconds.
    #[must_use]
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.data.retryable = true;
        self.data.retry_after_ms = Some(ms);
        self
    }

    /// With the present seq (`stale`).
    #[must_use]
    pub fn seq(mut self, seq: u64) -> Self {
        self.data.seq = Some(seq);
        self
    }

    /// With the operation id of the write.
    #[must_use]
    pub fn op(mut self, op: impl Into<String>) -> Self {
        self.data.op = Some(op.into());
        self
    }

    /// With the one word that it is about.
    #[must_use]
    pub fn about(mut self, about: impl Into<String>) -> Self {
        self.data.about = Some(about.into());
        self
    }

    /// Its stable name.
    #[must_use]
    pub fn name(&self) -> Name {
        self.data.name
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
