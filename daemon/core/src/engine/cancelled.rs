//! Owns: the end of runs for good, as an app asks for it. Must never know: how a run comes to its safe point.

use super::{Answer, Effect, Engine, Refusal, RunState, StopReason, Timestamp, run};

impl Engine {
    /// Ends the run that is on, and the one that is asked for. Nothing brings them back: neither the end of a stop nor a resume.
    pub(super) fn cancel(&mut self, now: Timestamp, sync: &str, effects: &mut Vec<Effect>) -> Result<Answer, Refusal> {
        let name = self.named(sync)?;
        let mut runs = Vec::new();
        if let Some(stopped) = &mut self.stopped {
            stopped.ended.remove(sync);
        }
        if let Some(job) = self.desk.job(&name) {
            job.cancelled();
        }
        let wish = self.syncs.get_mut(&name).and_then(|sync| sync.asked.take());
        if let Some(id) = self.syncs.get(&name).and_then(|sync| sync.run_id.clone()) {
            runs.push(id);
            if let Some(sync) = self.syncs.get_mut(&name) {
                sync.cancelled = true;
            }
            if let Some(job) = self.desk.job(&name) {
                job.stopping(StopReason::User);
            }
            self.went_on(now, &name, run::Event::Cancel, effects);
        }
        if let Some(wish) = wish {
            runs.push(wish.run.clone());
            self.never_begins(&name, wish.run, RunState::Cancelled, "cancelled before it began".into(), None, effects);
        }
        Ok(Answer::Cancelled(runs))
    }
}
