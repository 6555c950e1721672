//! Owns: when a sync runs: one decision over the whole board, and a reason for all that does not run.
//! Must never know: runs (what they do, their ids), the clock, chance, how a moment is written.
//!
//! [`decide`] is asked again after every event that touches the board or the conditions, and at `wake_at`. What it answers is put
//! into effect by the engine, which tells the board so with [`Job::begin`] and [`Job::end`].

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    ask::SyncState,
    limits::{CRON_BELL_LATE_MAX, RUNS_MAX, RUNS_PER_REMOTE_MAX},
    planted,
    time::Timestamp,
};

mod conditions;
pub mod cron;
mod due;
mod explain;
mod hold;
mod job;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;

pub use conditions::{Conditions, Constraint, Needs, Network};
pub use due::{Backoff, Curve, Interval, Quiet, Spread};
pub use explain::text;
pub use hold::Hold;
pub use job::{End, Job, Last, Plan, Request, Running, StopReason, Trigger};

/// The name of a sync or a remote; cheap to copy, for a decision names many.
pub type Name = Arc<str>;

/// Everything the decision looks at, besides conditions and time.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// Every sync.
    pub jobs: BTreeMap<Name, Job>,
    /// What is known of remotes; one that is not here has the defaults.
    pub remotes: BTreeMap<Name, Remote>,
}

/// What concerns every sync with one remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// It asked for patience: not again before this.
    pub patience: Option<Patience>,
    /// It refused our credentials: nobody tries until they change (accounts get locked), but a person's request once.
    pub needs_login: bool,
    /// Runs at once, at most.
    pub runs_max: usize,
}

impl Default for Remote {
    fn default() -> Self {
        Self { patience: None, needs_login: false, runs_max: RUNS_PER_REMOTE_MAX }
    }
}

/// A remote's own word on when to come back (Retry-After, a rate limit's reset). Nothing passes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// When it said so.
    pub asked: Timestamp,
    /// Not before.
    pub until: Timestamp,
}

/// What is to be done now, and why the rest is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Begin these, in this order.
    pub start: Vec<Start>,
    /// Ask these runs to stop. Each is asked once: [`Running::stopping`] remembers.
    pub stop: Vec<(Name, StopReason)>,
    /// The first hold of every sync that neither starts nor runs.
    pub hold: BTreeMap<Name, Hold>,
    /// Look again then, if nothing happens before. Always later than the time of the decision.
    pub wake_at: Option<Timestamp>,
}

/// One run to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Which sync.
    pub sync: Name,
    /// What made it due.
    pub trigger: Trigger,
}

/// One sync as the schedule sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Its state.
    pub state: SyncState,
    /// Every hold; the first is the one that [`decide`] names.
    pub holds: Vec<Hold>,
    /// When it runs next, as far as time alone decides; none: it runs, or an event must come first.
    pub next: Option<Timestamp>,
}

/// Decides what starts now, what is stopped, what waits and why, and when to look again.
#[must_use]
pub fn decide(board: &Board, conditions: &Conditions, now: Timestamp) -> Decision {
    let mut decision = Decision::default();
    let mut floor = Floor::of(board);
    let (mut ready, mut held) = (Vec::new(), Vec::new());
    let mut wake = Wake { now, at: None };
    for (name, job) in &board.jobs {
        if let Some(running) = &job.running {
            match job.ends(running, conditions, now) {
                Ends::Now(reason) => decision.stop.push((name.clone(), reason)),
                Ends::At(at) => wake.at(at),
                Ends::ByItself => {}
            }
            continue;
        }
        let view = View { job, remote: board.remotes.get(&job.plan.remote), conditions, now };
        match view.first_hold() {
            Some(hold) => held.push((name.clone(), hold)),
            None => ready.push((view.due(), name, job)),
        }
    }
    // Who asked comes first, then who has been due the longest.
    ready.sort_by(|(a, a_name, a_job), (b, b_name, b_job)| {
        (a_job.request.is_none(), a.at, a_name).cmp(&(b_job.request.is_none(), b.at, b_name))
    });
    for (due, name, job) in ready {
        match floor.room_for(board, job) {
            Some(hold) => held.push((name.clone(), hold)),
            None => {
                floor.take(name, job);
                decision.start.push(Start { sync: name.clone(), trigger: due.trigger });
            }
        }
    }
    for (_, hold) in &held {
        match hold {
            // The bell rings for these; the timer is the net under it.
            Hold::Cron { until, .. } => wake.at(until.plus(CRON_BELL_LATE_MAX)),
            hold => hold.until().into_iter().for_each(|until| wake.at(until)),
        }
    }
    decision.wake_at = wake.at;
    decision.hold = held.into_iter().collect();
    decision
}

/// One sync in full, for `status` and `explain`; none: there is no such sync.
#[must_use]
pub fn look(board: &Board, conditions: &Conditions, now: Timestamp, sync: &str) -> Option<Look> {
    Looks::over(board, conditions, now).at(sync)
}

/// Looks at many syncs of one board at one moment: what they share is worked out once.
pub struct Looks<'a> {
    board: &'a Board,
    conditions: &'a Conditions,
    now: Timestamp,
    floor: Floor<'a>,
}

impl<'a> Looks<'a> {
    /// Over this board, now.
    #[must_use]
    pub fn over(board: &'a Board, conditions: &'a Conditions, now: Timestamp) -> Self {
        Self { board, conditions, now, floor: Floor::of(board) }
    }

    /// One sync in full; none: there is no such sync.
    #[must_use]
    pub fn at(&self, sync: &str) -> Option<Look> {
        let Self { board, conditions, now, floor } = self;
        let job = board.jobs.get(sync)?;
        if job.running.is_some() {
            return Some(Look { state: SyncState::Running, holds: Vec::new(), next: None });
        }
        let view = View { job, remote: board.remotes.get(&job.plan.remote), conditions, now: *now };
        let mut holds: Vec<Hold> = view.holds().collect();
        holds.extend(floor.room_for(board, job));
        let state = holds.first().map_or(SyncState::Ready, Hold::state);
        let ends: Option<Vec<Timestamp>> = holds.iter().map(Hold::until).collect();
        let next = ends.and_then(|ends| ends.into_iter().max());
        Some(Look { state, holds, next })
    }
}

/// How a run that is on will end, as far as the schedule has a say.
enum Ends {
    /// It is to be stopped.
    Now(StopReason),
    /// It is to be stopped at this moment, unless something comes before.
    At(Timestamp),
    /// The schedule has nothing against it, or has asked already.
    ByItself,
}

/// What the rules look at, for one sync that does not run.
struct View<'a> {
    job: &'a Job,
    remote: Option<&'a Remote>,
    conditions: &'a Conditions,
    now: Timestamp,
}

/// The earliest moment to look again.
struct Wake {
    now: Timestamp,
    at: Option<Timestamp>,
}

impl Wake {
    fn at(&mut self, at: Timestamp) {
        // A moment that has passed would make the loop spin; a decision leaves none, but a wrong clock might.
        let at = at.max(Timestamp::from_unix_ms(self.now.unix_ms().saturating_add(1)));
        self.at = Some(self.at.map_or(at, |before| before.min(at)));
    }
}

/// Who runs where: at most one a replica and collection, so many a remote, so many in all.
struct Floor<'a> {
    taken: BTreeMap<(&'a str, &'a str, &'a str), &'a Name>,
    of_remote: BTreeMap<&'a str, usize>,
    of_all: usize,
}

impl<'a> Floor<'a> {
    fn of(board: &'a Board) -> Self {
        let mut floor = Floor { taken: BTreeMap::new(), of_remote: BTreeMap::new(), of_all: 0 };
        board.jobs.iter().filter(|(_, job)| job.running.is_some()).for_each(|(name, job)| floor.take(name, job));
        floor
    }

    fn take(&mut self, name: &'a Name, job: &'a Job) {
        self.taken.insert(job.plan.share(), name);
        *self.of_remote.entry(&job.plan.remote).or_default() += 1;
        self.of_all += 1;
    }

    fn room_for(&self, board: &Board, job: &Job) -> Option<Hold> {
        if let Some(with) = self.taken.get(&job.plan.share())
            && !planted::is("overlap by name only")
        {
            return Some(Hold::Overlap { with: (*with).clone() });
        }
        let remote = &job.plan.remote;
        let max = board.remotes.get(remote).map_or(RUNS_PER_REMOTE_MAX, |remote| remote.runs_max).max(1);
        if self.of_remote.get(&**remote).is_some_and(|runs| *runs >= max) {
            return Some(Hold::Slots { remote: Some(remote.clone()), max });
        }
        (self.of_all >= RUNS_MAX).then_some(Hold::Slots { remote: None, max: RUNS_MAX })
    }
}
