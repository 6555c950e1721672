//! Owns: how fresh what is here of a collection is, and whether it is worth waiting for more. Must never know: who waits.

use super::{BoardCopy, Name, Timestamp, shown::Copied};
use crate::{
    ask::{Freshness, Stale, SyncState},
    limits::STALE_TOLD_MAX,
};

impl BoardCopy {
    /// How fresh what is here of a collection is, for who wants what was there at `since` or later; and whether a run that brings it may
    /// end by `deadline`.
    #[must_use]
    pub fn freshness(&self, collection: &str, since: Timestamp, deadline: Timestamp, now: Timestamp) -> (Freshness, bool) {
        let bring = |(_, sync): &(&Name, &Copied)| sync.collection == collection && sync.direction.brings();
        let bring: Vec<(&Name, &Copied)> = self.syncs.all().into_iter().filter(bring).collect();
        let at = bring.iter().map(|(_, sync)| sync.job.fresh).min().flatten();
        let stale: Vec<_> = bring.into_iter().filter(|(_, sync)| !sync.job.is_fresh(since)).collect();
        let mut found = Freshness { at, stale: Vec::new(), total: stale.len() };
        if stale.is_empty() {
            return (found, false);
        }
        let (looks, mut comes) = (self.looks(now), false);
        for (name, sync) in stale {
            let look = looks.at(&sync.job, sync.known.as_ref());
            comes |= look.may_end_by(deadline);
            if found.stale.len() < STALE_TOLD_MAX {
                let hold = look.holds.first().filter(|_| look.state != SyncState::Running).map(|hold| hold.holding(name, now));
                let (sync, at, trouble) = (name.to_string(), sync.job.fresh, sync.trouble.clone());
                found.stale.push(Stale { sync, at, state: look.state, hold, trouble });
            }
        }
        (found, comes)
    }
}
