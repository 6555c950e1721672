//! Owns: what a run did and asked, in numbers. Must never know: how they come about.

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
