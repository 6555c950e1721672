//! Owns: the moment that a person or an app gives a sync for its next run. Must never know: what makes it due otherwise.

use super::{Answer, AskId, Effect, Engine, Mark, SyncState, Timestamp, ask::NextRun};

impl Engine {
    /// Its next run is at this moment, whatever its interval, its cron expression or a pause after a failure says; none: as they say. It is
    /// written down before it is answered.
    pub(super) fn next_run(&mut self, now: Timestamp, id: AskId, sync: String, at: Option<Timestamp>, effects: &mut Vec<Effect>) {
        let name = match self.named(&sync) {
            Ok(name) => name,
            Err(refusal) => return effects.push(Effect::Answer(id, Err(refusal))),
        };
        if let Some(job) = self.desk.job(&name) {
            job.next = at;
        }
        effects.push(Effect::Write(id, Mark::Next { sync: sync.clone(), at }));
        let Some(look) = self.desk.look(now, &sync) else { return };
        let hold = look.holds.first().filter(|_| look.state != SyncState::Running).map(|hold| hold.holding(&sync, now));
        self.writing.insert(id, Answer::Next(Box::new(NextRun { sync, state: look.state, next: look.next, hold })));
    }
}
