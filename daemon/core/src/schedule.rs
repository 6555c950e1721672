//! Owns: when a sync runs: one decision over the whole board, and a reason for all that does not run.
//! Must never know: runs (what they do, their ids), the clock, chance, how a moment is written.
//!
//! [`decide`] says what is right for a board, a world and a moment. A [`Desk`] says the same, and looks only at what may have changed:
//! it is asked after every event, and at `wake_at`. What it answers is put into effect by the engine, with [`Job::begin`] and
//! [`Job::end`].

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    ask::SyncState,
    limits::{CRON_BELL_LATE_MAX, RUNS_MAX, RUNS_PER_REMOTE_MAX},
    planted,
    time::Timestamp,
};

mod after;
mod conditions;
pub mod cron;
mod demand;
mod desk;
mod due;
mod explain;
mod hold;
mod job;
mod overdue;
mod stop;
mod window;

#[cfg(test)]
mod laws;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;

pub use after::{Jobs, Waits};
pub use conditions::{Conditions, Constraint, Needs, Network, Unmet};
pub use demand::Demand;
pub use desk::{Desk, Next};
pub use due::{Backoff, Curve, Interval, Quiet, Spread};
pub use explain::text;
pub use hold::{Bar, Hold};
pub use job::{End, Job, Last, Plan, Rank, Request, Running, Trigger};
pub use overdue::Watch;
pub use stop::StopReason;
pub use window::Window;

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
    /// What is left of our requests there is kept for people: for nobody else before this.
    pub budget: Option<Patience>,
    /// It refused our credentials: nobody tries until they change (accounts get locked), but a person's request once.
    pub needs_login: bool,
    /// The app that does its work, which has not offered to; none: it is there, or there is no such app.
    pub away: Option<Name>,
    /// Runs at once, at most.
    pub runs_max: usize,
}

impl Default for Remote {
    fn default() -> Self {
        Self { patience: None, budget: None, needs_login: false, away: None, runs_max: RUNS_PER_REMOTE_MAX }
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
    /// Every hold; the first is the one that [`decide`] names. Of one that runs: a pause or a stop, which its run is yet to end by.
    pub holds: Vec<Hold>,
    /// When it runs next, as far as time alone decides; none: it runs, or an event must come first.
    pub next: Option<Timestamp>,
}

/// Decides what starts now, what is stopped, what waits and why, and when to look again: by looking at every sync.
#[must_use]
pub fn decide(board: &Board, conditions: &Conditions, now: Timestamp) -> Decision {
    let mut decision = Decision::default();
    let mut floor = Floor::of(board.jobs.iter());
    let (mut ready, mut held) = (Vec::new(), Vec::new());
    let mut wake = Wake { now, at: None };
    for (name, job) in &board.jobs {
        let verdict = Verdict::of(job, board, conditions, now);
        verdict.wakes().into_iter().for_each(|at| wake.at(at));
        match verdict {
            Verdict::Runs(_) => {}
            Verdict::Stops(reason, _) => decision.stop.push((name.clone(), reason)),
            Verdict::Held(hold, _) => held.push((name.clone(), hold)),
            Verdict::Ready(turn, trigger, _) => ready.push((turn, name, job, trigger)),
        }
    }
    ready.sort_by(|(a, a_name, ..), (b, b_name, ..)| (a, a_name).cmp(&(b, b_name)));
    for (_, name, job, trigger) in ready {
        match floor.room_for(job, board.remote_of(job)) {
            Some(hold) => held.push((name.clone(), hold)),
            None => {
                floor.take(name, job);
                decision.start.push(Start { sync: name.clone(), trigger });
            }
        }
    }
    decision.wake_at = wake.at;
    decision.hold = held.into_iter().collect();
    decision
}

/// One sync in full, for `status` and `explain`; none: there is no such sync.
#[must_use]
pub fn look(board: &Board, conditions: &Conditions, now: Timestamp, sync: &str) -> Option<Look> {
    let job = board.jobs.get(sync)?;
    Some(Looks::over(board.jobs.iter(), board, conditions, now).at(job, board.remote_of(job)))
}

impl Board {
    /// What is known of the remote of a job.
    fn remote_of(&self, job: &Job) -> Option<&Remote> {
        self.remotes.get(&job.plan.remote)
    }
}

/// Looks at many syncs of one board at one moment: what they share is worked out once.
pub struct Looks<'a> {
    jobs: &'a dyn Jobs,
    conditions: &'a Conditions,
    now: Timestamp,
    floor: Floor<'a>,
}

impl<'a> Looks<'a> {
    /// Beside `running`, of which only those that run count. `jobs`: all, by name.
    #[must_use]
    pub fn over(
        running: impl Iterator<Item = (&'a Name, &'a Job)>,
        jobs: &'a dyn Jobs,
        conditions: &'a Conditions,
        now: Timestamp,
    ) -> Self {
        Self { jobs, conditions, now, floor: Floor::of(running) }
    }

    /// One sync in full; `remote`: what is known of its remote.
    #[must_use]
    pub fn at(&self, job: &Job, remote: Option<&Remote>) -> Look {
        let Self { jobs, conditions, now, floor } = self;
        let view = View { job, remote, jobs: *jobs, conditions, now: *now };
        if job.running.is_some() {
            return Look { state: SyncState::Running, holds: view.ended_by_a_person().collect(), next: None };
        }
        let mut holds: Vec<Hold> = view.holds().collect();
        holds.extend(floor.room_for(job, remote));
        let state = holds.first().map_or(SyncState::Ready, Hold::state);
        let ends: Option<Vec<Timestamp>> = holds.iter().map(Hold::until).collect();
        let next = ends.and_then(|ends| ends.into_iter().max());
        Look { state, holds, next }
    }
}

/// What is decided of one sync by itself, without those that run.
enum Verdict {
    /// It runs; till then, unless something comes before.
    Runs(Option<Timestamp>),
    /// Its run is to be stopped; from then on for another reason, should nobody have done it.
    Stops(StopReason, Option<Timestamp>),
    /// Its first hold; from then on another, should that one still be.
    Held(Hold, Option<Timestamp>),
    /// It may start when its turn comes and there is room, unless its window closes before.
    Ready(Turn, Trigger, Option<Timestamp>),
}

impl Verdict {
    fn of(job: &Job, board: &Board, conditions: &Conditions, now: Timestamp) -> Self {
        if let Some(running) = &job.running {
            return match job.ends(running, conditions, now) {
                Ends::Now(reason) => Self::Stops(reason, job.closes(running, now)),
                Ends::At(at) => Self::Runs(Some(at)),
                Ends::ByItself => Self::Runs(None),
            };
        }
        let view = View { job, remote: board.remote_of(job), jobs: board, conditions, now };
        if let Some(hold) = view.first_hold() {
            // Its window is looked at before those that go first, and may close meanwhile.
            let closes = if matches!(hold, Hold::After { .. }) { view.closes() } else { None };
            return Self::Held(hold, closes);
        }
        let due = view.due();
        // Among those that are due at once there is no first: their names decide.
        let at = if due.at_once { Timestamp::from_unix_ms(0) } else { due.at };
        let turn = Turn { unasked: job.request.is_none(), rank: job.plan.rank, at_once: due.at_once, at };
        Self::Ready(turn, due.trigger, view.closes())
    }

    /// When time makes another verdict of it.
    fn changes(&self) -> Option<Timestamp> {
        match self {
            Self::Runs(ends) | Self::Ready(_, _, ends) | Self::Stops(_, ends) => *ends,
            Self::Held(hold, closes) => hold.until().or(*closes),
        }
    }

    /// When to look at it by the timer.
    fn wakes(&self) -> Option<Timestamp> {
        let changes = self.changes()?;
        // The bell rings for these; the timer is the net under it.
        Some(if self.has_bell() { changes.plus(CRON_BELL_LATE_MAX) } else { changes })
    }

    fn has_bell(&self) -> bool {
        matches!(self, Self::Held(Hold::Cron { .. }, _))
    }
}

/// Its place among those that are ready. Who asked comes first, then by rank, then who is due at once, then who has been due the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turn {
    unasked: bool,
    rank: Rank,
    at_once: bool,
    at: Timestamp,
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
    jobs: &'a dyn Jobs,
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
    fn of(jobs: impl Iterator<Item = (&'a Name, &'a Job)>) -> Self {
        let mut floor = Floor { taken: BTreeMap::new(), of_remote: BTreeMap::new(), of_all: 0 };
        jobs.filter(|(_, job)| job.running.is_some()).for_each(|(name, job)| floor.take(name, job));
        floor
    }

    fn take(&mut self, name: &'a Name, job: &'a Job) {
        self.taken.insert(job.plan.share(), name);
        *self.of_remote.entry(&job.plan.remote).or_default() += 1;
        self.of_all += 1;
    }

    fn room_for(&self, job: &Job, remote: Option<&Remote>) -> Option<Hold> {
        if let Some(with) = self.taken.get(&job.plan.share())
            && !planted::is("overlap by name only")
        {
            return Some(Hold::Overlap { with: (*with).clone() });
        }
        let max = runs_max(remote);
        if self.of_remote.get(&*job.plan.remote).is_some_and(|runs| *runs >= max) {
            return Some(Hold::Slots { remote: Some(job.plan.remote.clone()), max });
        }
        (self.of_all >= RUNS_MAX).then_some(Hold::Slots { remote: None, max: RUNS_MAX })
    }
}

/// Runs at once with a remote.
fn runs_max(remote: Option<&Remote>) -> usize {
    remote.map_or(RUNS_PER_REMOTE_MAX, |remote| remote.runs_max).max(1)
}
