//! Owns: one sync on the board: what it is meant to do, what has happened, and how events change that.
//! Must never know: how it is decided whether it runs.

use std::time::Duration;

use super::{
    Backoff, Conditions, Constraint, Demand, Ends, Interval, Name, Needs, Network, Quiet, Spread, StopReason, conditions,
    cron::Cron, due,
};
use crate::{limits::PRIORITY, planted, run::reset::Held, time::Timestamp};

/// One sync.
#[derive(Clone, Debug)]
pub struct Job {
    /// What it is meant to do: from the configuration.
    pub plan: Plan,
    /// A person paused it.
    pub paused: bool,
    /// The pause ended a run, or one that was queued: the resume makes it due.
    pub pause_ended: bool,
    /// Another history or another account: nothing runs until a person has said what becomes of what is here.
    pub held: Option<Held>,
    /// Since when it is defined.
    pub since: Timestamp,
    /// The interval it has come to, where it adapts ([`Plan::grows_to`]).
    pub pace: Duration,
    /// Somebody follows what it brings: as long as that is so, its interval is the shortest.
    pub followed: bool,
    /// Somebody wants what it brings to be fresh: the strictest of those who do.
    pub demand: Option<Demand>,
    /// Everything that was there then has come: when the last listing began that came to its end in a run which ended well.
    pub fresh: Option<Timestamp>,
    /// Since when this daemon has it, until it has begun a run: what was due before is caught up with, at a moment of this host's own.
    pub up: Option<Timestamp>,
    /// Since when a person lets it run again, after a pause.
    pub able: Option<Timestamp>,
    /// How its last run ended.
    pub last: Last,
    /// Failures in a row; a stopped run does not count and does not clear them.
    pub failures: u32,
    /// The run that is on.
    pub running: Option<Running>,
    /// Somebody asked for a run and it has not begun; while one runs, this is the one more.
    pub request: Option<Request>,
    /// The truth has changes for it: the first and the last.
    pub change: Option<(Timestamp, Timestamp)>,
    /// It is due at once for this reason (start-up, a ping, the end of a stop).
    pub call: Option<Trigger>,
    /// Its next run is at this moment, whatever its interval says: what was written down by a person or an app.
    pub next: Option<Timestamp>,
    /// The next ring of its cron expression: when that was worked out, and when it rings.
    pub ring: Option<(Timestamp, Timestamp)>,
}

/// What a sync is meant to do.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Whom it syncs with.
    pub remote: Name,
    /// The remote's container.
    pub resource: String,
    /// The collection.
    pub collection: String,
    /// Once per interval.
    pub interval: Option<Interval>,
    /// By wall clock.
    pub cron: Option<Cron>,
    /// At start-up.
    pub on_start: bool,
    /// After changes of the truth.
    pub on_change: Option<Quiet>,
    /// After failures.
    pub backoff: Backoff,
    /// The longest run.
    pub deadline: Option<Duration>,
    /// The longest silence on the wire.
    pub stall: Option<Duration>,
    /// What the world must be like.
    pub needs: Needs,
    /// This host's number for this sync.
    pub spread: Spread,
    /// Its interval grows up to this while nothing comes, and shrinks to `interval` again when something does; none: it stays.
    pub grows_to: Option<Duration>,
    /// The first run is due so long after it was defined.
    pub initial_delay: Option<Duration>,
    /// It does not poll: its interval, its cron expression and its first run count only while somebody asks for fresh data.
    pub on_demand: bool,
    /// Syncs that go first.
    pub after: Vec<Name>,
    /// Its place among those that are ready.
    pub rank: Rank,
}

/// The place of a sync among those that are ready: the lower goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// As configured.
    pub priority: u32,
    /// How many collections its own refers to, one behind the other: parents go before their children.
    pub depth: u32,
}

impl Default for Rank {
    fn default() -> Self {
        Self { priority: PRIORITY, depth: 0 }
    }
}

impl Plan {
    /// Runs with the same of these never overlap: one replica, one collection.
    pub(super) fn share(&self) -> (&str, &str, &str) {
        (&self.remote, &self.resource, &self.collection)
    }
}

/// How the last run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Last {
    /// There was none.
    #[default]
    Never,
    /// Well (rejections or not).
    Done {
        /// When it began.
        began: Timestamp,
    },
    /// Not.
    Failed {
        /// When it ended.
        ended: Timestamp,
    },
    /// Before its end, resumably.
    Stopped {
        /// When it began.
        began: Timestamp,
        /// Why.
        reason: StopReason,
    },
}

/// The run that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// When it began.
    pub began: Timestamp,
    /// When something last came over the wire, or a batch was applied.
    pub heard: Timestamp,
    /// It copies the store, which is as long as it is large: nothing is to be heard meanwhile.
    pub copies: bool,
    /// The request it answers.
    pub request: Option<Request>,
    /// It was asked to stop, for this reason.
    pub stopping: Option<StopReason>,
}

impl Running {
    fn forced(&self) -> bool {
        self.request.is_some_and(|request| request.force)
    }
}

/// Somebody asks for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// When.
    pub at: Timestamp,
    /// A person, who may try once under `needs_login`.
    pub person: bool,
    /// Also under metered, battery, idle, outside of its window, and over another history that differs too much.
    pub force: bool,
    /// Whatever is held for a person's word: this is it.
    pub reset: bool,
}

impl Request {
    /// Whether it is the word that is waited for.
    pub(super) fn ends(self, held: Held) -> bool {
        self.reset || (self.force && matches!(held, Held::Differs(_)))
    }
}

/// What made a run due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Its first.
    First,
    /// The interval.
    Timer,
    /// The cron expression.
    Cron,
    /// Changes of the truth.
    Change,
    /// Start-up.
    Startup,
    /// The remote's push channel, or an app.
    Ping,
    /// A request.
    Request,
    /// Somebody reads who wants it fresher than it is.
    Demand,
    /// The moment that it was given for its next run.
    NextRunAt,
    /// A failure before, and its pause is over.
    Retry,
    /// The run before was stopped, and may go on.
    Resume,
}

impl Trigger {
    /// Whether somebody asked for it, other than for a run by its name.
    pub(super) const fn is_asked(self) -> bool {
        matches!(self, Self::Ping | Self::Demand)
    }

    /// The word in history.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Timer => "timer",
            Self::Cron => "cron",
            Self::Change => "change",
            Self::Startup => "start",
            Self::Ping => "ping",
            Self::Request => "request",
            Self::Demand => "demand",
            Self::NextRunAt => "next_run_at",
            Self::Retry => "retry",
            Self::Resume => "resume",
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Well (rejections or not).
    Done,
    /// Not; it is tried again after a pause.
    Failed,
    /// Before its end.
    Stopped(StopReason),
}

impl Job {
    /// A sync that goes on from where it was: `last` and `failures` are what the store remembers.
    #[must_use]
    pub fn new(plan: Plan, last: Last, failures: u32, now: Timestamp) -> Self {
        let pace = plan.interval.map_or(Duration::ZERO, |interval| interval.every);
        let mut job = Self {
            plan,
            paused: false,
            pause_ended: false,
            held: None,
            since: now,
            pace,
            followed: false,
            demand: None,
            fresh: None,
            up: Some(now),
            able: None,
            last,
            failures,
            running: None,
            request: None,
            change: None,
            call: None,
            next: None,
            ring: None,
        };
        // Rings that were slept through are one run: the first of them lies in the past, so the sync is due. A run that began
        // ahead of now, before the clock was set back, makes it due as well.
        let since = match last {
            Last::Done { began } | Last::Stopped { began, .. } => began,
            Last::Failed { ended } => ended,
            Last::Never => now,
        };
        job.wind(since);
        job
    }

    /// The configuration changed, or the rules of its time zone; what has happened stays, and so does a ring that nobody has answered.
    pub fn replan(&mut self, plan: Plan, now: Timestamp) {
        self.plan = plan;
        let unanswered = self.plan.cron.is_some() && self.ring.is_some_and(|(since, rings)| due::after(since, rings, now) <= now);
        if !unanswered {
            self.wind(now);
        }
    }

    /// It is defined anew: to speak with another place or in another way. What people and apps said of it stays; what has happened stays too,
    /// unless it begins `anew`, and so what ran before says nothing of it.
    #[must_use]
    pub fn becomes(&self, new: &Self, anew: bool, now: Timestamp) -> Self {
        if !anew {
            let mut job = self.clone();
            job.replan(new.plan.clone(), now);
            job.since = new.since;
            // Under other terms, what has come may not be what there is.
            job.fresh = new.fresh;
            if job.plan.on_change.is_some() {
                job.change = job.change.or(new.change);
            }
            return job;
        }
        let change = new.change.or(self.change).filter(|_| new.plan.on_change.is_some());
        let call = self.call.filter(|call| call.is_asked());
        Self { paused: self.paused, pause_ended: self.pause_ended, request: self.request, change, call, ..new.clone() }
    }

    /// A run has ended well: with news, the next comes sooner, without, later.
    pub fn learn(&mut self, news: bool) {
        self.pace = due::paced(self.pace, news, self.plan.interval, self.plan.grows_to);
    }

    /// Somebody reads what it brings: the next run comes sooner.
    pub fn read(&mut self) {
        self.learn(true);
    }

    /// The interval that it has without a demand.
    pub(super) fn own_interval(&self) -> Option<Interval> {
        let interval = self.plan.interval?;
        Some(match self.plan.grows_to {
            Some(max) if !self.followed => {
                Interval { every: self.pace.clamp(interval.every, max.max(interval.every)), ..interval }
            }
            _ => interval,
        })
    }

    /// The daemon has started.
    pub fn started_up(&mut self) {
        if self.plan.on_start {
            self.call(Trigger::Startup);
        }
    }

    /// It is due at once: a ping, or the end of a stop ([`Trigger::Resume`]).
    pub fn call(&mut self, why: Trigger) {
        // Who asks passes what a start does not.
        if why.is_asked() && self.call == Some(Trigger::Startup) {
            self.call = Some(why);
        }
        self.call.get_or_insert(why);
    }

    /// The truth changed, and it was not this replica that brought it.
    pub fn changed(&mut self, now: Timestamp) {
        if self.plan.on_change.is_some() {
            let first = self.change.map_or(now, |(first, _)| first);
            self.change = Some((first, now));
        }
    }

    /// Somebody asks for a run. Requests that wait become one.
    pub fn ask(&mut self, request: Request) {
        if self.running.is_some() && planted::is("request lost while running") {
            return;
        }
        self.request = Some(match self.request {
            None => request,
            Some(before) => Request {
                at: before.at.min(request.at),
                person: before.person || request.person,
                force: before.force || request.force,
                reset: before.reset || request.reset,
            },
        });
    }

    /// A run has begun, for everything that made it due so far.
    pub fn begin(&mut self, now: Timestamp) {
        let request = self.request.take();
        self.change = None;
        self.call = None;
        self.next = self.next.filter(|next| *next > now);
        self.up = None;
        self.held = self.held.filter(|held| !request.is_some_and(|request| request.ends(*held)));
        self.running = Some(Running { began: now, heard: now, copies: false, request, stopping: None });
        self.wind(now);
    }

    /// Something came over the wire, or a batch was applied.
    pub fn heard(&mut self, now: Timestamp) {
        if let Some(running) = &mut self.running {
            running.heard = now;
        }
    }

    /// The run copies the store from now on, or does no more.
    pub fn copies(&mut self, copies: bool) {
        if let Some(running) = &mut self.running {
            running.copies = copies;
        }
    }

    /// What was asked for, or was to come back, is not wanted any more; changes and the schedule make it due again.
    pub fn cancelled(&mut self) {
        self.request = None;
        self.call = None;
        self.pause_ended = false;
    }

    /// The run was asked to stop.
    pub fn stopping(&mut self, reason: StopReason) {
        if let Some(running) = &mut self.running {
            running.stopping.get_or_insert(reason);
        }
    }

    /// The run has ended.
    pub fn end(&mut self, now: Timestamp, end: End) {
        let Some(running) = self.running.take() else { return };
        match end {
            End::Done => {
                self.last = Last::Done { began: running.began };
                self.failures = 0;
            }
            End::Failed => {
                self.last = Last::Failed { ended: now };
                self.failures = self.failures.saturating_add(1);
            }
            End::Stopped(reason) => {
                self.last = Last::Stopped { began: running.began, reason };
                // Who asked has not got what they asked for: the run that resumes is theirs, with what it may pass.
                if let (true, Some(request)) = (reason.due_again(), running.request) {
                    self.ask(request);
                }
            }
        }
    }

    /// Works out the next ring after a moment.
    fn wind(&mut self, since: Timestamp) {
        self.ring = self.plan.cron.as_ref().and_then(|cron| Some((since, cron.next_after(since)?)));
    }

    /// When its window does, for a run that goes by it.
    pub(super) fn closes(&self, running: &Running, now: Timestamp) -> Option<Timestamp> {
        conditions::closes(&self.plan.needs, running.forced(), now)
    }

    /// What the schedule has to say to the run that is on.
    pub(super) fn ends(&self, running: &Running, conditions: &Conditions, now: Timestamp) -> Ends {
        if running.stopping.is_some() {
            return Ends::ByItself;
        }
        if let Some(reason) = conditions.stopped {
            return Ends::Now(reason);
        }
        if self.paused {
            return Ends::Now(StopReason::User);
        }
        // A disk that takes no writes ends what has to write by itself, which can say what it met there.
        let mut lost = conditions::unmet(&self.plan.needs, conditions, running.forced(), now);
        if let Some(lost) = lost.find(|lost| lost.constraint != Constraint::DiskShut) {
            return Ends::Now(StopReason::Constraint(lost.constraint));
        }
        let ends =
            |since: Timestamp, longest: Option<Duration>| longest.map(|longest| due::after(since, since.plus(longest), now));
        let stall = self.plan.stall.filter(|_| !running.copies);
        let first = [ends(running.began, self.plan.deadline), ends(running.heard, stall)].into_iter().flatten().min();
        if first.is_some_and(|at| at <= now) {
            return Ends::Now(StopReason::Timeout);
        }
        first.into_iter().chain(self.closes(running, now)).min().map_or(Ends::ByItself, Ends::At)
    }
}

impl Needs {
    /// The needs of a remote on this machine: no network.
    #[must_use]
    pub fn local() -> Self {
        Self { network: Network::None, ..Self::default() }
    }
}
