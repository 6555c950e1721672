//! Owns: every reason why a sync that does not run is not started, in the order in which they are named.
//! Must never know: the words for people (`explain`), runs.

use super::{Constraint, Last, Name, Patience, StopReason, Trigger, Unmet, View, Waits, conditions, due};
use crate::{
    ask::SyncState,
    limits::{CATCH_UP_MAX, PATIENCE_MAX},
    planted,
    run::reset::Held,
    time::Timestamp,
};

/// Why a sync does not run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hold {
    /// A person paused it.
    Paused,
    /// All runs are stopped.
    Stopped(StopReason),
    /// The remote refused our credentials.
    NeedsLogin {
        /// Which.
        remote: Name,
    },
    /// The remote's history is another than the one we know, or the account is.
    History(Held),
    /// The interval is not over.
    Interval {
        /// When the last run began.
        began: Timestamp,
        /// When it is due.
        until: Timestamp,
    },
    /// It never ran, and its first run is delayed.
    InitialDelay {
        /// Since when it is defined.
        since: Timestamp,
        /// When it is due.
        until: Timestamp,
    },
    /// The cron expression has not rung.
    Cron {
        /// When it rings.
        until: Timestamp,
    },
    /// Its next run was given a moment, which has not come.
    NextRunAt {
        /// Which.
        until: Timestamp,
    },
    /// Changes are still coming in.
    Quiet {
        /// When it is due, if no more come.
        until: Timestamp,
    },
    /// It failed, and pauses.
    Backoff {
        /// Failures in a row.
        failures: u32,
        /// When it is tried again.
        until: Timestamp,
    },
    /// Nothing that makes it due has happened.
    Trigger {
        /// A change of the truth would.
        on_change: bool,
    },
    /// It runs on demand, and nobody asks for fresh data.
    Demand,
    /// The remote asked for patience.
    RetryAfter {
        /// Which.
        remote: Name,
        /// Until when.
        until: Timestamp,
    },
    /// What is left of the requests that its account may make is kept for people.
    Budget {
        /// At which remote.
        remote: Name,
        /// Until when.
        until: Timestamp,
    },
    /// The app that does the work of its remote is not there.
    Away {
        /// At which remote.
        remote: Name,
        /// Which app.
        app: Name,
    },
    /// A constraint is not met.
    Constraint(Unmet),
    /// Its window has opened, and this host's moment in it has not come.
    Opening {
        /// When it comes.
        until: Timestamp,
    },
    /// A sync that goes first stands in the way.
    After {
        /// Which.
        sync: Name,
        /// How.
        waits: Waits,
    },
    /// A run with the same replica and collection is on.
    Overlap {
        /// The sync it belongs to.
        with: Name,
    },
    /// Enough runs are on.
    Slots {
        /// With this remote; none: in all.
        remote: Option<Name>,
        /// So many.
        max: usize,
    },
}

/// What a hold is to somebody who waits for its sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bar {
    /// It is not due yet: there is nothing to do.
    NotDue,
    /// The same, and it never is by itself.
    NotAsked,
    /// It goes by, or other runs do.
    Time,
    /// Something else has to come about: a network, a resume, more requests.
    Condition,
    /// A person has to decide.
    Person,
}

impl Hold {
    /// The stable word, for apps.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Stopped(_) => "stopped",
            Self::NeedsLogin { .. } => "needs_login",
            Self::History(held) => held.name(),
            Self::Interval { .. } => "interval",
            Self::InitialDelay { .. } => "initial_delay",
            Self::Cron { .. } => "cron",
            Self::NextRunAt { .. } => "next_run_at",
            Self::Quiet { .. } => "quiet",
            Self::Backoff { .. } => "backoff",
            Self::Trigger { .. } => "trigger",
            Self::Demand => "demand",
            Self::RetryAfter { .. } => "retry_after",
            Self::Budget { .. } => "budget",
            Self::Away { .. } => "away",
            Self::Constraint(unmet) => unmet.constraint.name(),
            Self::Opening { .. } => Constraint::Window.name(),
            Self::After { .. } => "after",
            Self::Overlap { .. } => "overlap",
            Self::Slots { .. } => "slots",
        }
    }

    /// The state of a sync whose first hold this is.
    #[must_use]
    pub const fn state(&self) -> SyncState {
        match self {
            Self::Paused => SyncState::Disabled,
            Self::Constraint(Unmet { until: Some(_), .. }) | Self::Opening { .. } => SyncState::Waiting,
            Self::Stopped(_)
            | Self::NeedsLogin { .. }
            | Self::History(_)
            | Self::Away { .. }
            | Self::Constraint(_)
            | Self::After { .. } => SyncState::Blocked,
            Self::Interval { .. }
            | Self::InitialDelay { .. }
            | Self::Cron { .. }
            | Self::NextRunAt { .. }
            | Self::Quiet { .. }
            | Self::Backoff { .. }
            | Self::Trigger { .. }
            | Self::Demand
            | Self::RetryAfter { .. }
            | Self::Budget { .. } => SyncState::Waiting,
            Self::Overlap { .. } | Self::Slots { .. } => SyncState::Ready,
        }
    }

    /// What it is to somebody who waits for the sync.
    #[must_use]
    pub const fn bar(&self) -> Bar {
        match self {
            Self::Interval { .. } | Self::Cron { .. } | Self::NextRunAt { .. } => Bar::NotDue,
            Self::Trigger { .. } | Self::Demand => Bar::NotAsked,
            Self::InitialDelay { .. } | Self::Quiet { .. } | Self::Backoff { .. } | Self::Overlap { .. } | Self::Slots { .. } => {
                Bar::Time
            }
            Self::Paused
            | Self::Stopped(_)
            | Self::RetryAfter { .. }
            | Self::Budget { .. }
            | Self::Away { .. }
            | Self::Constraint(_)
            | Self::Opening { .. }
            | Self::After { .. } => Bar::Condition,
            Self::NeedsLogin { .. } | Self::History(_) => Bar::Person,
        }
    }

    /// When it ends, where time alone ends it.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        match self {
            Self::Interval { until, .. }
            | Self::InitialDelay { until, .. }
            | Self::Cron { until }
            | Self::NextRunAt { until }
            | Self::Quiet { until }
            | Self::Opening { until }
            | Self::Backoff { until, .. }
            | Self::RetryAfter { until, .. }
            | Self::Budget { until, .. } => Some(*until),
            Self::Constraint(unmet) => unmet.until,
            Self::Paused
            | Self::Stopped(_)
            | Self::NeedsLogin { .. }
            | Self::History(_)
            | Self::Trigger { .. }
            | Self::Away { .. }
            | Self::Demand
            | Self::After { .. }
            | Self::Overlap { .. }
            | Self::Slots { .. } => None,
        }
    }
}

/// What makes a sync due, and since when or from when on.
pub(super) struct Due {
    pub(super) at: Timestamp,
    /// It has no moment of its own: it is due whenever it is looked at.
    pub(super) at_once: bool,
    pub(super) trigger: Trigger,
}

/// The rules that may give one hold each, in the order of naming: first what only a person ends, then what time ends. The
/// conditions come after these, for there may be several.
const RULES: [fn(&View<'_>) -> Option<Hold>; 8] = [
    |view| view.paused(),
    |view| view.stopped(),
    |view| view.needs_login(),
    |view| view.history(),
    |view| view.not_due(),
    |view| view.retry_after(),
    |view| view.budget(),
    |view| view.away(),
];

impl View<'_> {
    pub(super) fn first_hold(&self) -> Option<Hold> {
        self.holds().next()
    }

    /// What a person asked for and alone takes back: it holds a sync whose run has not ended yet, too.
    pub(super) fn ended_by_a_person(&self) -> impl Iterator<Item = Hold> {
        [self.paused(), self.stopped()].into_iter().flatten()
    }

    /// Every hold, without those of other runs.
    pub(super) fn holds(&self) -> impl Iterator<Item = Hold> {
        self.own_holds().chain(self.after())
    }

    /// Every hold that does not come from another sync.
    pub(super) fn own_holds(&self) -> impl Iterator<Item = Hold> {
        RULES
            .iter()
            .filter_map(|rule| rule(self))
            .chain(conditions::unmet(&self.job.plan.needs, self.conditions, self.forced(), self.now).map(Hold::Constraint))
            .chain(self.opening())
    }

    /// The hour that it waits for has come for every host at once: each begins at a moment of its own in the window's first part.
    fn opening(&self) -> Option<Hold> {
        let window = self.job.plan.needs.window.as_ref().filter(|_| self.job.request.is_none())?;
        let (true, Some(closes)) = window.at(self.now) else { return None };
        let (false, Some(opened)) = window.at(self.now.minus(CATCH_UP_MAX)) else { return None };
        let first_part = CATCH_UP_MAX.min(closes.since(opened) / 2);
        let until = opened.plus(self.job.plan.spread.of_a(first_part));
        (opened <= self.now && self.now < until).then_some(Hold::Opening { until })
    }

    /// When it may not start any more.
    pub(super) fn closes(&self) -> Option<Timestamp> {
        conditions::closes(&self.job.plan.needs, self.forced(), self.now)
    }

    pub(super) fn forced(&self) -> bool {
        self.job.request.is_some_and(|request| request.force)
    }

    fn paused(&self) -> Option<Hold> {
        self.job.paused.then_some(Hold::Paused)
    }

    fn stopped(&self) -> Option<Hold> {
        self.conditions.stopped.map(Hold::Stopped)
    }

    fn needs_login(&self) -> Option<Hold> {
        let refused = self.remote.is_some_and(|remote| remote.needs_login);
        let tries_once = self.job.request.is_some_and(|request| request.person);
        (refused && !tries_once).then(|| Hold::NeedsLogin { remote: self.job.plan.remote.clone() })
    }

    fn history(&self) -> Option<Hold> {
        let held = self.job.held.filter(|held| !self.job.request.is_some_and(|request| request.ends(*held)));
        held.map(Hold::History)
    }

    fn not_due(&self) -> Option<Hold> {
        let due = self.due_or_why();
        match due {
            Err(never) => Some(never),
            Ok(due) if due.at <= self.now => None,
            Ok(Due { at: until, trigger, .. }) => Some(match (trigger, self.job.last) {
                (Trigger::First, Last::Never) => Hold::InitialDelay { since: self.job.since, until },
                (Trigger::NextRunAt, _) => Hold::NextRunAt { until },
                (Trigger::Cron, _) => Hold::Cron { until },
                (Trigger::Change, _) => Hold::Quiet { until },
                (Trigger::Retry, _) => Hold::Backoff { failures: self.job.failures, until },
                (_, Last::Done { began } | Last::Stopped { began, .. }) => Hold::Interval { began, until },
                (_, Last::Failed { ended: began }) => Hold::Interval { began, until },
                (_, Last::Never) => Hold::Interval { began: self.now, until },
            }),
        }
    }

    fn retry_after(&self) -> Option<Hold> {
        let patience = self.remote?.patience?;
        if self.job.request.is_some() && planted::is("request passes retry-after") {
            return None;
        }
        let until = self.waited_for(patience);
        (self.now < until).then(|| Hold::RetryAfter { remote: self.job.plan.remote.clone(), until })
    }

    /// A request is what the rest is kept for.
    fn budget(&self) -> Option<Hold> {
        let until = self.waited_for(self.remote?.budget.filter(|_| !self.job.request.is_some_and(|request| request.person))?);
        (self.now < until).then(|| Hold::Budget { remote: self.job.plan.remote.clone(), until })
    }

    fn away(&self) -> Option<Hold> {
        let app = self.remote?.away.clone()?;
        Some(Hold::Away { remote: self.job.plan.remote.clone(), app })
    }

    fn waited_for(&self, patience: Patience) -> Timestamp {
        let until = patience.until.min(patience.asked.plus(PATIENCE_MAX));
        due::after(patience.asked, until, self.now)
    }

    /// When it is, or was, due; for one without any trigger, now.
    pub(super) fn due(&self) -> Due {
        self.due_or_why().unwrap_or(Due { at: self.now, at_once: true, trigger: Trigger::First })
    }

    /// What makes it due first; or that nothing does.
    fn due_or_why(&self) -> Result<Due, Hold> {
        let job = self.job;
        if let Some(request) = job.request {
            return Ok(Due { at: request.at.min(self.now), at_once: false, trigger: Trigger::Request });
        }
        let at_once = |trigger| Ok(Due { at: self.now, at_once: true, trigger });
        // A moment that was given stands in the place of everything that time makes due, and of changes: only who asks for a run, a ping and
        // what a person has come back pass it.
        if let (Some(at), None | Some(Trigger::Startup)) = (job.next, job.call) {
            return Ok(Due { at, at_once: false, trigger: Trigger::NextRunAt });
        }
        // Nothing but who asks passes the delay before the first run.
        let asked = job.call.is_some_and(Trigger::is_asked);
        if let (Last::Never, Some(delay), false) = (job.last, job.plan.initial_delay, asked) {
            let at = due::after(job.since, job.since.plus(delay), self.now);
            if at > self.now {
                return Ok(Due { at, at_once: false, trigger: Trigger::First });
            }
        }
        match job.last {
            // Where nothing waits to be sent, nobody asks for what the last run did not bring.
            Last::Failed { .. } if job.idles() && job.plan.on_change.is_none() && job.call.is_none() => return Err(Hold::Demand),
            // Nothing but a request passes the pause after a failure, and when it is over the sync is due whatever else it has.
            Last::Failed { ended } => {
                let pause = job.plan.backoff.pause(job.failures, job.plan.spread);
                let at = due::after(ended, ended.plus(pause), self.now);
                return Ok(Due { at, at_once: false, trigger: Trigger::Retry });
            }
            Last::Stopped { reason, .. } if reason.due_again() => return at_once(Trigger::Resume),
            _ => {}
        }
        if let Some(trigger) = job.call {
            return at_once(trigger);
        }
        let by_itself = self.job.interval().is_some() || job.plan.cron.is_some() || job.plan.on_start;
        if job.last == Last::Never && by_itself && !job.idles() {
            return at_once(Trigger::First);
        }
        [self.timer(), self.ring(), self.change()]
            .into_iter()
            .flatten()
            .min_by_key(|due| due.at)
            .ok_or_else(|| self.idle().unwrap_or(Hold::Trigger { on_change: job.plan.on_change.is_some() }))
    }

    fn timer(&self) -> Option<Due> {
        let interval = self.job.interval()?;
        let (Last::Done { began } | Last::Stopped { began, .. }) = self.job.last else { return None };
        let moment = interval.moment(began, self.job.plan.spread);
        if let Some(up) = self.job.up.filter(|up| moment <= *up)
            && !planted::is("hosts that start together knock together")
        {
            let at = due::after(up, interval.caught_up(up, self.job.plan.spread), self.now);
            return Some(Due { at, at_once: false, trigger: Trigger::Timer });
        }
        Some(Due { at: due::after(began, moment, self.now), at_once: false, trigger: Trigger::Timer })
    }

    fn ring(&self) -> Option<Due> {
        let (since, rings) = self.job.ring.filter(|_| !self.job.idles())?;
        Some(Due { at: due::after(since, rings, self.now), at_once: false, trigger: Trigger::Cron })
    }

    fn change(&self) -> Option<Due> {
        let ((first, last), quiet) = (self.job.change?, self.job.plan.on_change?);
        let at = last.plus(quiet.after).min(first.plus(quiet.at_most));
        Some(Due { at: due::after(first, at, self.now), at_once: false, trigger: Trigger::Change })
    }
}
