//! Owns: who wants what syncs bring: as long as somebody follows it, and whenever somebody reads it, an interval that adapts is shorter.
//! Must never know: who they are, how it adapts.

use std::collections::BTreeSet;

use super::{Engine, Name, Sync};

/// The collections that somebody follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// Somebody follows all there are.
    pub all: bool,
    /// Somebody follows these.
    pub collections: BTreeSet<String>,
}

impl Followed {
    /// Whether somebody follows what a sync brings.
    pub(super) fn has(&self, sync: &Sync) -> bool {
        sync.direction.brings() && (self.all || self.collections.contains(&sync.collection))
    }
}

impl Engine {
    /// Other collections are followed now.
    pub(super) fn follow(&mut self, followed: Followed) {
        self.followed = followed;
        for (name, sync) in &self.syncs {
            let is = self.followed.has(sync);
            let was = self.desk.board().jobs.get(name).is_some_and(|job| job.followed);
            if let (true, Some(job)) = (is != was, self.desk.job(name)) {
                job.followed = is;
            }
        }
    }

    /// Somebody read a collection.
    pub(super) fn read(&mut self, collection: &str) {
        let bring = |(_, sync): &(&Name, &Sync)| sync.collection == collection && sync.direction.brings();
        for (name, _) in self.syncs.iter().filter(bring) {
            if let Some(job) = self.desk.job(name) {
                job.read();
            }
        }
    }
}
