//! Owns: syncs that are defined anew while the engine runs: what stays, what is stopped first, what goes. Must never know: where a
//! definition is written, what the store keeps of a sync that is gone.

use super::{
    Direction, Effect, Engine, Job, Mode, Name, Patience, Request, RunState, StopReason, Sync, Timestamp, Trouble, Wish, Wishes,
    ask, run,
};
use crate::schedule::Plan;

/// A sync as the engine knows it.
#[derive(Clone, Debug)]
pub struct SyncFacts {
    /// The collection it fills.
    pub collection: String,
    /// Which way.
    pub direction: Direction,
    /// Its place on the board.
    pub job: Job,
    /// What its remote said before the start about when to come back.
    pub patience: Option<Patience>,
    /// What its last run ran into, and since when it has failed without a success between; looked at when the daemon starts.
    pub failing: Failing,
    /// It begins anew: what ran before under its name says nothing of it.
    pub anew: bool,
    /// In which mode its last run was wished, where that was cut off and goes on; looked at when the daemon starts.
    pub wished: Mode,
}

/// What is known of the failures of a sync from before the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failing {
    /// Since when it has failed without a success between.
    pub since: Option<Timestamp>,
    /// What its last run ran into.
    pub trouble: Option<Trouble>,
}

/// What has become of a sync.
#[derive(Clone, Debug)]
pub enum Defined {
    /// It is new.
    Added(SyncFacts),
    /// It runs at other times, and what is counted from its definition is counted from then; a run that is on goes on.
    Replanned(Plan, Timestamp),
    /// It speaks with another place or in another way; a run that is on is stopped first.
    Replaced(SyncFacts),
    /// The same, but a run that is on goes on to its end first.
    Updated(SyncFacts),
    /// Its next run is then, whatever its schedule says.
    NextRun(Timestamp),
    /// It is gone.
    Removed,
}

/// What happens to a sync at the end of the run that was stopped for it.
#[derive(Clone, Debug)]
pub(super) enum Then {
    /// These facts take its place.
    Becomes(Box<SyncFacts>),
    /// It goes.
    Goes,
}

impl Sync {
    pub(super) fn of(facts: &SyncFacts) -> Self {
        Self {
            collection: facts.collection.clone(),
            direction: facts.direction,
            run: None,
            run_id: None,
            asked: None,
            cancelled: false,
            said: 0,
            next_said: 0,
            then: None,
            told: None,
            waits: None,
            failing_since: facts.failing.since,
            trouble: facts.failing.trouble.clone(),
        }
    }
}

impl Engine {
    pub(super) fn defined(&mut self, now: Timestamp, syncs: Vec<(Name, Defined)>, effects: &mut Vec<Effect>) {
        for (name, defined) in syncs {
            match defined {
                Defined::Replanned(plan, since) => {
                    match self.syncs.get_mut(&name).and_then(|sync| sync.then.as_mut()) {
                        Some(Then::Becomes(facts)) => {
                            facts.job.replan(plan, now);
                            facts.job.since = since;
                        }
                        Some(Then::Goes) => {}
                        None => {
                            if let Some(job) = self.desk.job(&name) {
                                job.replan(plan, now);
                                job.since = since;
                            }
                        }
                    };
                }
                Defined::Added(facts) | Defined::Replaced(facts) => {
                    self.then(now, &name, Then::Becomes(Box::new(facts)), true, effects);
                }
                Defined::Updated(facts) => self.then(now, &name, Then::Becomes(Box::new(facts)), false, effects),
                Defined::NextRun(at) => {
                    // Also where it begins anew once the run that is on has ended.
                    if let Some(Then::Becomes(facts)) = self.syncs.get_mut(&name).and_then(|sync| sync.then.as_mut()) {
                        facts.job.next = Some(at);
                    }
                    if let Some(job) = self.desk.job(&name) {
                        job.next = Some(at);
                    }
                    self.outlives_next(&name);
                }
                Defined::Removed => {
                    if let Some(wish) = self.syncs.get_mut(&name).and_then(|sync| sync.asked.take()) {
                        let why = format!("{name} is not in the configuration any more");
                        self.never_begins(&name, wish.run, RunState::Stopped, why, Some(StopReason::Replaced), effects);
                    }
                    self.then(now, &name, Then::Goes, true, effects);
                }
            }
        }
    }

    /// At once, or at the end of the run that is on, which `stops` for it.
    fn then(&mut self, now: Timestamp, name: &Name, then: Then, stops: bool, effects: &mut Vec<Effect>) {
        let runs = self.syncs.get(name).is_some_and(|sync| sync.run.is_some());
        match self.syncs.get_mut(name) {
            Some(sync) => sync.then = Some(then),
            None => {
                if let Then::Becomes(facts) = then {
                    self.put(name, Sync::of(&facts), facts.job);
                }
                return;
            }
        }
        if runs && stops {
            if let Some(job) = self.desk.job(name) {
                job.stopping(StopReason::Replaced);
            }
            self.went_on(now, name, run::Event::Stop(StopReason::Replaced), effects);
        } else if !runs {
            self.replaced(now, name, effects);
        }
    }

    fn put(&mut self, name: &Name, sync: Sync, mut job: Job) {
        (job.followed, job.demand) = (self.followed.has(&sync), self.followed.demand(&sync));
        self.forget_sender(name);
        if sync.direction.sends() {
            self.senders.entry(sync.collection.clone()).or_default().insert(name.clone());
        }
        self.syncs.insert(name.clone(), sync);
        self.desk.put(name.clone(), job);
    }

    fn forget_sender(&mut self, name: &Name) {
        let Some(sync) = self.syncs.get(name) else { return };
        if let Some(names) = self.senders.get_mut(&sync.collection) {
            names.remove(name);
            if names.is_empty() {
                self.senders.remove(&sync.collection);
            }
        }
    }

    /// The run that stood in the way has ended.
    pub(super) fn replaced(&mut self, now: Timestamp, name: &Name, effects: &mut Vec<Effect>) {
        match self.syncs.get_mut(name).and_then(|sync| sync.then.take()) {
            None => {}
            Some(Then::Becomes(facts)) => {
                // What the store said when the facts were read may be as old as the run that was waited for; the board knows what came since.
                let mut job = match self.desk.board().jobs.get(name) {
                    Some(before) => before.becomes(&facts.job, facts.anew, now),
                    None => facts.job.clone(),
                };
                let mut sync = Sync::of(&facts);
                if let Some(before) = self.syncs.get_mut(name) {
                    (sync.asked, sync.said, sync.next_said) = (before.asked.take(), before.said, before.next_said);
                    // What a person said about deletes, or whatever else is held back, was about the place of before.
                    if let (true, Some(wish)) = (facts.anew, &mut sync.asked) {
                        *wish = Wish::new(std::mem::take(&mut wish.run), Wishes::default());
                        job.request = job.request.map(|request| Request { force: false, reset: false, ..request });
                    }
                    if !facts.anew {
                        (sync.failing_since, sync.trouble) = (before.failing_since, before.trouble.take());
                    }
                }
                self.put(name, sync, job);
            }
            Some(Then::Goes) => {
                // Asked for after it was taken out, while its last run was on.
                if let Some(wish) = self.syncs.get_mut(name).and_then(|sync| sync.asked.take()) {
                    let why = format!("{name} is not in the configuration any more");
                    self.never_begins(name, wish.run, RunState::Stopped, why, Some(StopReason::Replaced), effects);
                }
                self.forget_sender(name);
                self.syncs.remove(name);
                self.desk.remove(name);
                if let Some(stopped) = &mut self.stopped {
                    stopped.ended.remove(&**name);
                }
                effects.push(Effect::Tell(ask::Event::Sync {
                    sync: Some(name.to_string()),
                    state: Some(ask::SyncState::Disabled),
                    daemon: None,
                    hold: None,
                    next: None,
                }));
            }
        }
    }
}
