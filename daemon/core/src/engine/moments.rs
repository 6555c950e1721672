//! Owns: the moment that a person or an app gives a sync for its next run. Must never know: what makes it due otherwise.

use super::{Answer, AskId, Effect, Engine, Mark, Name, Refusal, SyncState, Timestamp, Writing, ask::NextRun};

impl Engine {
    /// Its next run is at this moment, whatever its interval, its cron expression or a pause after a failure says; none: as they say. It counts
    /// once it is written down.
    pub(super) fn next_run(&mut self, now: Timestamp, id: AskId, sync: String, at: Option<Timestamp>, effects: &mut Vec<Effect>) {
        match self.named(&sync) {
            Ok(name) => self.writing.insert(id, Writing::Next(name, at, now)),
            Err(refusal) => return effects.push(Effect::Answer(id, Err(refusal))),
        };
        effects.push(Effect::Write(id, Mark::Next { sync, at }));
    }

    /// A definition brought a moment: what was said before and is still being written counts no more.
    pub(super) fn outlives_next(&mut self, name: &Name) {
        let last = self
            .writing
            .iter()
            .filter(|(_, one)| matches!(one, Writing::Next(other, ..) if other == name))
            .map(|(id, _)| *id)
            .max();
        if let (Some(last), Some(sync)) = (last, self.syncs.get_mut(name)) {
            sync.next_said = sync.next_said.max(last + 1);
        }
    }

    /// That is written down.
    pub(super) fn next_is(
        &mut self,
        now: Timestamp,
        id: AskId,
        name: &Name,
        at: Option<Timestamp>,
        asked: Timestamp,
    ) -> Result<Answer, Refusal> {
        // It may be gone meanwhile.
        self.named(name)?;
        let without_job = || Refusal::Internal("a sync without a job".into());
        let job = self.desk.job(name).ok_or_else(without_job)?;
        // Two may be answered in another order than they were said, and written.
        if let Some(sync) = self.syncs.get_mut(name).filter(|sync| sync.next_said <= id) {
            sync.next_said = id;
            // What has begun meanwhile, at that moment or later, has taken it.
            let taken = |at: Timestamp| job.running.as_ref().is_some_and(|run| run.began > asked && at <= run.began);
            job.next = at.filter(|at| !taken(*at));
        }
        let look = self.desk.look(now, name).ok_or_else(without_job)?;
        let hold = look.holds.first().filter(|_| look.state != SyncState::Running).map(|hold| hold.holding(name, now));
        Ok(Answer::Next(Box::new(NextRun { sync: name.to_string(), state: look.state, next: look.next, hold })))
    }
}
