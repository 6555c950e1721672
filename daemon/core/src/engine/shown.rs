//! Owns: the board as people and apps see it. Must never know: counts of records (the store has them).

use super::{Engine, Hold, Look, Name, SyncState, Timestamp, Trouble, ask, look, text};

/// One sync as it stands now.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncShown {
    /// Its name.
    pub sync: Name,
    /// Its remote.
    pub remote: Name,
    /// Its schedule state.
    pub state: SyncState,
    /// Every hold, the one that counts most first.
    pub holds: Vec<ask::Holding>,
    /// When it runs next, where time alone decides.
    pub next: Option<Timestamp>,
    /// The run that is on.
    pub run: Option<ask::Progress>,
    /// All of it in words.
    pub text: String,
    /// Since when it has failed without a success between.
    pub failing_since: Option<Timestamp>,
    /// What its last run ran into.
    pub trouble: Option<Trouble>,
}

impl Engine {
    /// Every sync as it stands now.
    #[must_use]
    pub fn shown(&self, now: Timestamp) -> Vec<SyncShown> {
        self.syncs.keys().filter_map(|name| self.shown_one(now, name)).collect()
    }

    fn shown_one(&self, now: Timestamp, name: &Name) -> Option<SyncShown> {
        let sync = self.syncs.get(name)?;
        let job = self.board.jobs.get(name)?;
        let looked: Look = look(&self.board, &self.conditions, now, name)?;
        let run = sync.run.as_ref().zip(sync.run_id.as_ref()).map(|(run, id)| {
            let progress = run.progress();
            ask::Progress { run: id.clone(), phase: progress.phase.into(), done: progress.done, total: progress.total }
        });
        Some(SyncShown {
            sync: name.clone(),
            remote: job.plan.remote.clone(),
            state: looked.state,
            holds: looked.holds.iter().map(|hold: &Hold| hold.holding(name, now)).collect(),
            next: looked.next,
            run,
            text: text(name, job, &looked, now),
            failing_since: sync.failing_since,
            trouble: sync.trouble.clone(),
        })
    }
}
