//! Owns: why the daemon says no. Must never know: how that is said on the wire.

use std::time::Duration;

/// Why the daemon says no. `ipc` maps each to one stable error name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No such collection, record, sync, conflict, rejection, run: what, and what exists.
    NotFound(String, Option<String>),
    /// Not granted.
    Denied(String),
    /// The record moved on, or the write belongs to another instance; with the present seq where there is one.
    Stale(String, Option<u64>),
    /// The op was used for something else.
    OpReused(String),
    /// The request makes no sense: what, and the remedy.
    Invalid(String, Option<String>),
    /// Over a limit.
    TooLarge(String),
    /// No run now: stopped, paused, going down; what, and the remedy.
    Stopped(String, Option<String>),
    /// Too much is queued; ask again after this.
    Busy(Duration),
    /// The session is in another state than the call needs: what, and what may be called now.
    WrongState(String, Option<String>),
    /// More records would be deleted than may be without a word.
    Guarded(String),
    /// Cannot be done here.
    Unsupported(String),
    /// The collection takes no writes: its syncs are all `down`.
    ReadOnly(String),
    /// The store takes no writes for now: why, and the remedy.
    Shut(String, String),
    /// The disk failed where something was read.
    Unreadable(String),
    /// The disk is full.
    DiskFull(String),
    /// Took too long.
    Deadline(String),
    /// The commit failed: it may or may not be there. Ask again with the same op.
    Unknown(String),
    /// Our own fault; the words are for the log, apps see only that it happened.
    Internal(String),
}

impl Refusal {
    /// The same, said of one of several things that were asked together: `write 3: ...`.
    #[must_use]
    pub fn of(mut self, which: &str) -> Self {
        let said = match &mut self {
            Self::NotFound(what, _)
            | Self::Denied(what)
            | Self::Stale(what, _)
            | Self::OpReused(what)
            | Self::Invalid(what, _)
            | Self::TooLarge(what)
            | Self::Stopped(what, _)
            | Self::WrongState(what, _)
            | Self::Guarded(what)
            | Self::Unsupported(what)
            | Self::ReadOnly(what)
            | Self::Shut(what, _)
            | Self::Unreadable(what)
            | Self::DiskFull(what)
            | Self::Deadline(what)
            | Self::Unknown(what)
            | Self::Internal(what) => what,
            Self::Busy(_) => return self,
        };
        *said = format!("{which}: {said}");
        self
    }
}
