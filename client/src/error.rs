//! Owns: how a call ends when it ends badly. Must never know: which call it was, except its operation id.

use std::time::Duration;

use mingle_proto::Error as Refusal;
use thiserror::Error;

/// Why a call brought no answer.
#[derive(Debug, Error)]
pub enum CallError {
    /// The daemon said no: what was asked did not happen (except with `outcome_unknown`).
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// The connection ended before the answer. A write may have happened: repeat it with the same `op`.
    #[error("the connection to mingled ended before the answer: {why}")]
    Lost {
        /// What the system said.
        why: String,
        /// Of the write.
        op: Option<String>,
    },
    /// No answer in time; the call may still happen, and this connection cannot be used any further.
    #[error("no answer from mingled within {} ms", within.as_millis())]
    Late {
        /// How long was waited.
        within: Duration,
        /// Of the write.
        op: Option<String>,
    },
    /// What came cannot be read: the other end speaks another protocol.
    #[error("what mingled sent cannot be read: {0}")]
    Garbled(String),
}

impl CallError {
    /// The operation id of a write whose outcome is not known. Repeating it with this `op` is safe.
    #[must_use]
    pub fn outcome_unknown(&self) -> Option<&str> {
        match self {
            Self::Lost { op, .. } | Self::Late { op, .. } => op.as_deref(),
            Self::Refused(refusal) if refusal.name() == mingle_proto::Name::OutcomeUnknown => refusal.data.op.as_deref(),
            Self::Refused(_) | Self::Garbled(_) => None,
        }
    }

    /// Whether the daemon, or the way to it, is gone: a new connection may do better.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        matches!(self, Self::Lost { .. })
    }
}
