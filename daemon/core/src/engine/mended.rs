//! Owns: what becomes of syncs whose trouble is over: other credentials, a disk that takes writes again. Must never know: how it was found out.

use super::{Conditions, Engine, Failure, Name, Request, Sync, Timestamp, Trouble};

/// So many failures in a row are forgiven at once when a disk takes writes again; after more, the pause after a failure holds.
const MENDED_TRIES_MAX: u32 = 3;

impl Engine {
    /// What a remote refused may be other credentials now: nothing waits for them any more, nor for the pause that the failure cost.
    pub(super) fn login_changed(&mut self, now: Timestamp, remote: &Name) {
        let mut refused = self.desk.change_remote(remote, |known| known.needs_login = false);
        let with_it = self.desk.board().jobs.iter().filter(|(_, job)| job.plan.remote == *remote);
        let with_it: Vec<Name> = with_it.map(|(name, _)| name.clone()).collect();
        for name in &with_it {
            let login = |trouble: &mut Trouble| trouble.name == Failure::NeedsLogin.name();
            // Also where it was refused before the start, and nothing was asked since.
            if self.syncs.get_mut(name).and_then(|sync| sync.trouble.take_if(login)).is_some() {
                self.unshown.insert(name.clone());
                refused = true;
            }
        }
        if refused {
            self.try_anew(now, with_it);
        }
    }

    /// The world is another. What met a bad disk tries at once when it takes writes again.
    pub(super) fn conditions_are(&mut self, now: Timestamp, world: &Conditions) {
        let before = self.desk.conditions();
        let (stopped, mended) = (before.stopped, before.disk_shut && !world.disk_shut);
        self.desk.set_conditions(Conditions { stopped, ..world.clone() });
        if mended {
            let met = |sync: &Sync| sync.trouble.as_ref().is_some_and(Trouble::is_of_the_disk);
            // A disk that has room only until something is written there is no reason to go on like this.
            let jobs = &self.desk.board().jobs;
            let seldom = |name: &Name| jobs.get(name).is_some_and(|job| job.failures <= MENDED_TRIES_MAX);
            let met_it =
                self.syncs.iter().filter(|(name, sync)| met(sync) && seldom(name)).map(|(name, _)| name.clone()).collect();
            self.try_anew(now, met_it);
        }
    }

    /// Not what a person has stopped or paused: that goes on when they say so.
    fn try_anew(&mut self, now: Timestamp, syncs: Vec<Name>) {
        if self.stopped.is_some() {
            return;
        }
        for name in syncs {
            if let Some(job) = self.desk.job(&name).filter(|job| !job.paused) {
                job.ask(Request { at: now, person: false, force: false, reset: false });
            }
        }
    }
}
