//! Owns: what becomes of syncs whose trouble is over: other credentials, a disk that takes writes again. Must never know: how it was found out.

use super::{Conditions, Engine, Name, Request, Sync, Timestamp, Trouble};

impl Engine {
    /// What a remote refused may be other credentials now: nothing waits for them any more, nor for the pause that the failure cost.
    pub(super) fn login_changed(&mut self, now: Timestamp, remote: &Name) {
        if self.desk.change_remote(remote, |known| known.needs_login = false) {
            let with_it = self.desk.board().jobs.iter().filter(|(_, job)| job.plan.remote == *remote);
            let with_it = with_it.map(|(name, _)| name.clone()).collect();
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
            let met_it = self.syncs.iter().filter(|(_, sync)| met(sync)).map(|(name, _)| name.clone()).collect();
            self.try_anew(now, met_it);
        }
    }

    fn try_anew(&mut self, now: Timestamp, syncs: Vec<Name>) {
        for name in syncs {
            if let Some(job) = self.desk.job(&name) {
                job.ask(Request { at: now, person: false, force: false, reset: false });
            }
        }
    }
}
