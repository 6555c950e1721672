//! Owns: what who listens is told of runs and of syncs. Must never know: who listens.

use std::collections::BTreeMap;

use super::{Effect, Engine, Hold, Looks, Name, SyncState, Timestamp, ask};

impl Engine {
    pub(super) fn tell_run(&self, name: &Name, effects: &mut Vec<Effect>) {
        let Some(sync) = self.syncs.get(name) else { return };
        let (Some(run), Some(id)) = (&sync.run, &sync.run_id) else { return };
        let progress = run.progress();
        effects.push(Effect::Tell(ask::Event::Run {
            sync: name.to_string(),
            run: id.clone(),
            status: if run.stopping() { "stopping" } else { "running" }.into(),
            progress: Some(ask::Progress {
                run: id.clone(),
                phase: progress.phase.into(),
                done: progress.done,
                total: progress.total,
            }),
            result: None,
            stop_reason: None,
            error: None,
        }));
    }

    /// Whose state is another than was told is told of. With thousands of syncs and an event a moment, what did not change must cost
    /// next to nothing: the decision has said it already.
    pub(super) fn tell_states(&mut self, now: Timestamp, hold: &BTreeMap<Name, Hold>, effects: &mut Vec<Effect>) {
        let looks = Looks::over(&self.board, &self.conditions, now);
        for (name, sync) in &mut self.syncs {
            let runs = self.board.jobs.get(name).is_some_and(|job| job.running.is_some());
            let decided = if runs { Some(SyncState::Running) } else { hold.get(name).map(Hold::state) };
            if decided.is_some() && sync.told == decided {
                continue;
            }
            let Some(looked) = looks.at(name) else { continue };
            if sync.told == Some(looked.state) {
                continue;
            }
            sync.told = Some(looked.state);
            effects.push(Effect::Tell(ask::Event::Sync {
                sync: Some(name.to_string()),
                state: Some(looked.state),
                daemon: None,
                hold: looked.holds.first().map(|hold| hold.holding(name, now)),
                next: looked.next,
            }));
        }
    }
}
