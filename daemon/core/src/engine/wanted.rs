//! Owns: who wants what syncs bring: as long as somebody follows it, and whenever somebody reads it, an interval that adapts is shorter; and
//! how fresh they want it. Must never know: who they are, how an interval adapts, what a demand makes of it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Engine, Job, Name, Sync, Timestamp};
use crate::schedule::Demand;

/// The collections that somebody follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Somebody follows all there are.
    pub all: bool,
    /// Somebody follows these.
    pub collections: BTreeSet<String>,
    /// How fresh they want it, by collection (none: all there are).
    pub demands: BTreeMap<Option<String>, Demand>,
}

impl Followed {
    /// Whether somebody follows what a sync brings.
    pub(super) fn has(&self, sync: &Sync) -> bool {
        sync.direction.brings() && (self.all || self.collections.contains(&sync.collection))
    }

    /// The strictest demand for what a sync brings.
    pub(super) fn demand(&self, sync: &Sync) -> Option<Demand> {
        let of = |key: Option<String>| self.demands.get(&key).filter(|_| sync.direction.brings());
        let (all, one) = (of(None), of(Some(sync.collection.clone())));
        let count = all.into_iter().chain(one).map(|demand| demand.count).sum();
        let strictest = all.into_iter().chain(one).min_by_key(|demand| demand.age)?;
        Some(Demand { count, ..strictest.clone() })
    }
}

impl Engine {
    /// Other collections are followed now, or in another way.
    pub(super) fn follow(&mut self, followed: Followed) {
        self.followed = followed;
        for (name, sync) in &self.syncs {
            let is = (self.followed.has(sync), self.followed.demand(sync));
            let was = self.desk.board().jobs.get(name).map(|job| (job.followed, job.demand.clone()));
            if let (true, Some(job)) = (was.as_ref() != Some(&is), self.desk.job(name)) {
                (job.followed, job.demand) = is;
            }
        }
    }

    /// Somebody read a collection.
    pub(super) fn read(&mut self, collection: &str) {
        self.each_that_brings(collection, Job::read);
    }

    /// Somebody reads a collection who wants what is there at `since` or later.
    pub(super) fn read_fresh(&mut self, collection: &str, since: Timestamp) {
        self.each_that_brings(collection, |job| job.read_fresh(since));
    }

    fn each_that_brings(&mut self, collection: &str, tell: impl Fn(&mut Job)) {
        let bring = |(_, sync): &(&Name, &Sync)| sync.collection == collection && sync.direction.brings();
        for (name, _) in self.syncs.iter().filter(bring) {
            if let Some(job) = self.desk.job(name) {
                tell(job);
            }
        }
    }
}
