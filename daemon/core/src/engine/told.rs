//! Owns: what who listens is told of runs and of syncs. Must never know: who listens.

use std::collections::BTreeSet;

use super::{Effect, Engine, Name, SyncState, Timestamp, ask};

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

    /// Of those that were looked at, whose state is another than was told is told of.
    pub(super) fn tell_states(&mut self, now: Timestamp, seen: &BTreeSet<Name>, effects: &mut Vec<Effect>) {
        for name in seen {
            let (Some(sync), state) = (self.syncs.get_mut(name), self.desk.state(name)) else { continue };
            if state.is_none() || sync.told == state {
                continue;
            }
            let Some(looked) = self.desk.look(now, name) else { continue };
            sync.told = Some(looked.state);
            sync.waits = match (looked.state, looked.holds.first()) {
                (SyncState::Blocked | SyncState::Ready, Some(hold)) => {
                    let waits = || (now, hold.name().to_owned());
                    Some(sync.waits.take().unwrap_or_else(waits))
                }
                _ => None,
            };
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
