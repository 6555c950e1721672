//! Owns: pings: what says that a remote has something new makes its syncs due. Must never know: who said so, how a run is begun.

use std::time::Duration;

use super::{Answer, AskId, Effect, Engine, Mark, Name, Refusal, SyncState, Timestamp, Trigger, Writing, ask::Pinged};

impl Engine {
    /// Makes syncs due: these, or all with a remote. One that is due already stays so, and one that runs gets one run more: however many
    /// pings come before it begins, it is one. What holds a sync, holds it on. It is written down before it is answered.
    pub(super) fn ping(&mut self, now: Timestamp, id: AskId, syncs: &[String], remote: Option<&str>, effects: &mut Vec<Effect>) {
        let names = match self.meant(syncs, remote) {
            Ok(names) => names,
            Err(refusal) => return effects.push(Effect::Answer(id, Err(refusal))),
        };
        let mut marked = Vec::new();
        for name in &names {
            if let Some(job) = self.desk.job(name) {
                job.call(Trigger::Ping);
                // A run that is on is answered to whatever came until it began, and not to this.
                let after = job.running.as_ref().map_or(now, |running| running.began.plus(Duration::from_millis(1)));
                marked.push((name.to_string(), now.max(after)));
            }
        }
        effects.push(Effect::Write(id, Mark::Pinged { syncs: marked }));
        let pinged = names.iter().filter_map(|name| {
            let look = self.desk.look(now, name)?;
            let hold = look.holds.first().filter(|_| look.state != SyncState::Running).map(|hold| hold.holding(name, now));
            Some(Pinged { sync: name.to_string(), state: look.state, hold })
        });
        let pinged = Answer::Pinged(pinged.collect());
        self.writing.insert(id, Writing::Answer(pinged));
    }

    /// The syncs that are meant, each once.
    fn meant(&self, syncs: &[String], remote: Option<&str>) -> Result<Vec<Name>, Refusal> {
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
        Ok(names)
    }
}
