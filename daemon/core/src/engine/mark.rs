//! Owns: what the engine has written down before it answers. Must never know: where, and how.

use crate::time::Timestamp;

/// What is to be written down before it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// A stop that holds over restarts, with the syncs it ended.
    Stopped {
        /// Since when.
        since: Timestamp,
        /// By whom.
        by: Option<String>,
        /// What it ended.
        ended: Vec<String>,
    },
    /// No stop.
    Running,
    /// A sync is paused.
    Paused {
        /// Which.
        sync: String,
        /// Since when.
        since: Timestamp,
        /// By whom.
        by: Option<String>,
        /// It ended a run, which the resume makes due.
        ended: bool,
    },
    /// It is not.
    Resumed {
        /// Which.
        sync: String,
    },
    /// The next run of a sync has a moment of its own, or none any more.
    Next {
        /// Which.
        sync: String,
        /// When.
        at: Option<Timestamp>,
    },
    /// There is something new at the remote of these.
    Pinged {
        /// By name, each with when: what begins later answers it.
        syncs: Vec<(String, Timestamp)>,
    },
}
