//! Owns: prerequisites: which sync goes before which, and whether one stands in the way. Must never know: the order among syncs that are
//! ready, how prerequisites are written.
//!
//! What a sync waits for is said by the one before it alone: a chain holds because each of its links is due as long as the one before it
//! stands in its way.

use super::{Board, Hold, Job, Last, Remote, View};
use crate::planted;

/// Finds syncs by name.
pub trait Jobs {
    /// A sync, and what is known of its remote; none: there is no such sync.
    fn find(&self, sync: &str) -> Option<(&Job, Option<&Remote>)>;
}

impl Jobs for Board {
    fn find(&self, sync: &str) -> Option<(&Job, Option<&Remote>)> {
        self.jobs.get(sync).map(|job| (job, self.remote_of(job)))
    }
}

/// How a sync that goes first stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// It runs.
    Runs,
    /// It is about to run.
    Due,
    /// It never ran.
    Never,
    /// Its last run failed.
    Failed,
    /// Its last run was stopped.
    Stopped,
}

impl View<'_> {
    /// The first of those that go first which stands in the way. One that is not there does not.
    pub(super) fn after(&self) -> Option<Hold> {
        if self.forced() || planted::is("those that go first are not waited for") {
            return None;
        }
        self.job.plan.after.iter().find_map(|sync| {
            let (job, remote) = self.jobs.find(sync)?;
            let waits = View { job, remote, ..*self }.stands_in_the_way(self.job.last)?;
            Some(Hold::After { sync: sync.clone(), waits })
        })
    }

    /// `before`: how the last run of the one that waits ended.
    fn stands_in_the_way(&self, before: Last) -> Option<Waits> {
        if self.job.running.is_some() {
            return Some(Waits::Runs);
        }
        // It has gone since: one that is always due again would let nobody else go.
        if let (Last::Done { began: first }, Last::Done { began: then }) = (self.job.last, before)
            && first > then
        {
            return None;
        }
        // One that is due goes now, or when the one before it has gone.
        if self.own_holds().next().is_none() {
            return Some(Waits::Due);
        }
        match self.job.last {
            Last::Done { .. } => None,
            Last::Never => Some(Waits::Never),
            Last::Failed { .. } => Some(Waits::Failed),
            Last::Stopped { .. } => Some(Waits::Stopped),
        }
    }
}
