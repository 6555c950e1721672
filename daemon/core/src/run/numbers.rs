//! Owns: a run in numbers: what it did, what it asked for, how far it is. Must never know: what they are counted by.

/// What a run did, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Records that changed here.
    pub down: u64,
    /// Errands the remote took.
    pub up: u64,
    /// Rejections made.
    pub rejected: u64,
    /// Conflicts recorded.
    pub conflicts: u64,
}

/// What a run asked of its remote, in numbers. Bodies alone count: as they were sent, and unpacked as they came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that left.
    pub requests: u64,
    /// Of these, those that were answered with "nothing has changed".
    pub not_modified: u64,
    /// Bytes sent.
    pub bytes_up: u64,
    /// Bytes received.
    pub bytes_down: u64,
}

/// How far a run is: `done <= total`, never falling within a phase, equal only at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// `opening`, `comparing`, `copying`, `discarding`, `down`, `ghosts`, `up`, `finishing`.
    pub phase: &'static str,
    /// Rows or errands dealt with.
    pub done: u64,
    /// Of how many, where known.
    pub total: Option<u64>,
}
