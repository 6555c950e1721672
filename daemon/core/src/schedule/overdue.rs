//! Owns: the watch over the schedule: since when a sync that is due by itself has not run. Must never know: why, or how long is too long.

use super::{Job, Last};
use crate::time::Timestamp;

impl Job {
    /// Since when it is due by its interval or its cron expression and has not come to an end; of one that runs, since when it does. What
    /// lies ahead is not over yet. None: nothing makes it due by itself, a person paused it, or it fails, which is told as such.
    #[must_use]
    pub fn overdue_since(&self) -> Option<Timestamp> {
        let interval = self.interval();
        if self.paused || (interval.is_none() && self.plan.cron.is_none()) {
            return None;
        }
        if let Some(running) = &self.running {
            return Some(running.began);
        }
        // Before, nobody was there to begin it.
        let since = |at: Timestamp| self.up.map_or(at, |up| at.max(up));
        match self.last {
            Last::Never => Some(self.plan.initial_delay.map_or(self.since, |delay| self.since.plus(delay))),
            Last::Failed { .. } => None,
            Last::Stopped { began, reason } if reason.due_again() => Some(since(began)),
            Last::Done { began } | Last::Stopped { began, .. } => {
                let timer = interval.map(|interval| interval.moment(began, self.plan.spread));
                timer.into_iter().chain(self.ring.map(|(_, rings)| rings)).min().map(since)
            }
        }
    }
}
