//! Owns: pings: what says that a remote has something new makes its syncs due. Must never know: who said so, how a run is begun.

use super::{Answer, Engine, Name, Refusal, SyncState, Timestamp, Trigger, ask::Pinged};

impl Engine {
    /// Makes syncs due: these, or all with a remote. One that is due already stays so, and one that runs gets one run more: however many
    /// pings come before it begins, it is one. What holds a sync, holds it on.
    pub(super) fn ping(&mut self, now: Timestamp, syncs: &[String], remote: Option<&str>) -> Result<Answer, Refusal> {
        let mut names = syncs.iter().map(|sync| self.named(sync)).collect::<Result<Vec<Name>, _>>()?;
        if let Some(remote) = remote {
            let jobs = self.desk.board().jobs.iter();
            names.extend(jobs.filter(|(_, job)| &*job.plan.remote == remote).map(|(name, _)| name.clone()));
            if names.is_empty() {
                let hint = "`mingle remote list` shows them; a [sync.NAME] in config.toml names its remote";
                return Err(Refusal::NotFound(format!("no sync with a remote {remote:?}"), Some(hint.into())));
            }
        }
        names.sort_unstable();
        names.dedup();
        for name in &names {
            if let Some(job) = self.desk.job(name) {
                job.call(Trigger::Ping);
            }
        }
        let pinged = names.iter().filter_map(|name| {
            let look = self.desk.look(now, name)?;
            let hold = look.holds.first().filter(|_| look.state != SyncState::Running).map(|hold| hold.holding(name, now));
            Some(Pinged { sync: name.to_string(), state: look.state, hold })
        });
        Ok(Answer::Pinged(pinged.collect()))
    }
}
