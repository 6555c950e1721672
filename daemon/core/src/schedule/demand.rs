//! Owns: freshness: what live demands make of the pace of a sync, how fresh what it brought is, and whether a run that a reader waits for can
//! come in time. Must never know: who reads, how anybody waits.
//!
//! A demand lives as long as whoever has it is there, and says how old what is here may become. A read with an age is no demand: it asks for
//! one run, where what is here is older, and that is all.

use std::time::Duration;

use super::{Bar, Hold, Interval, Job, Look, View};
use crate::{ask::SyncState, limits::EVERY_MIN, planted, time::Timestamp};

/// The strictest of the live demands for what a sync brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// What is here shall be no older.
    pub age: Duration,
    /// The app whose it is; none: it gave no name.
    pub by: Option<String>,
    /// How many there are, with this one.
    pub count: usize,
}

impl Demand {
    /// The interval under it: no longer than what is demanded, no shorter than [`EVERY_MIN`], and never longer than it is without.
    fn paces(&self, planned: Option<Interval>) -> Interval {
        let every = self.age.max(EVERY_MIN);
        match planned {
            Some(planned) if planned.every <= every => planned,
            planned => Interval { every, flex: planned.map_or(Duration::ZERO, |planned| planned.flex.min(every)) },
        }
    }
}

impl Job {
    /// The interval that is in force; none: time alone never makes it due.
    pub(super) fn interval(&self) -> Option<Interval> {
        match &self.demand {
            Some(demand) if !planted::is("a demand sets no pace") => Some(demand.paces(self.own_interval())),
            _ if self.idles() => None,
            _ => self.own_interval(),
        }
    }

    /// Nobody asks for fresh data, and without that it does not poll.
    pub(super) fn idles(&self) -> bool {
        self.plan.on_demand && self.demand.is_none() && !planted::is("what runs on demand polls all the same")
    }

    /// Somebody reads who wants what is there at `since` or later: what is here, and the run that is on, are looked at first.
    pub fn read_fresh(&mut self, since: Timestamp) {
        let runs = self.running.as_ref().is_some_and(|running| running.began >= since && running.stopping.is_none());
        if !runs && !self.is_fresh(since) {
            self.call(super::Trigger::Demand);
        }
    }

    /// Whether everything that was there at `since` has come.
    #[must_use]
    pub fn is_fresh(&self, since: Timestamp) -> bool {
        self.fresh.is_some_and(|at| at >= since) || planted::is("whatever is here is fresh")
    }
}

impl View<'_> {
    /// The hold of a sync that runs on demand, where there is none.
    pub(super) fn idle(&self) -> Option<Hold> {
        self.job.idles().then_some(Hold::Demand)
    }
}

impl Look {
    /// Whether a run that is asked for may have come to its end by then, as far as can be told: where a hold outlasts it, nobody need wait.
    #[must_use]
    pub fn may_end_by(&self, deadline: Timestamp) -> bool {
        let passes = |hold: &Hold| match hold.until() {
            Some(until) => until <= deadline,
            // Those that go first are about to, or not: that is told by time.
            None => hold.bar() == Bar::Time || matches!(hold, Hold::After { .. }),
        };
        self.state == SyncState::Running || self.holds.iter().all(passes)
    }
}

#[cfg(test)]
mod tests {
    use crate::schedule::{
        Looks,
        table::{NOON, check, duration, moment, world},
    };

    const PACES: &[&str] = &[
        // No interval of its own, a longer and a shorter one.
        "demand=5m last=done@-4m => waiting interval +1m",
        "demand=5m last=done@-5m => start timer",
        "every=1h demand=5m last=done@-4m => waiting interval +1m",
        "every=1h demand=5m last=done@-6m => start timer",
        "every=1m demand=5m last=done@-30s => waiting interval +30s",
        "every=1m max=1h pace=1h demand=5m last=done@-30s => waiting interval +270s",
        "cron=0_3_*_*_* demand=5m last=done@-4m => waiting interval +1m",
        "demand=5m => start first",
        // No shorter than the house's least.
        "demand=1ms last=done@-500ms => waiting interval +500ms",
        // It passes nothing.
        "every=1h demand=5m last=failed@-10s => waiting backoff +20s",
        "demand=5m last=done@-6m patience=-1m,+5m => waiting retry_after +5m",
        "demand=5m last=done@-6m budget=-1m,+5m => waiting budget +5m",
        "demand=5m last=done@-6m needs=unmetered metered => blocked network",
        "demand=5m last=done@-6m offline => blocked network",
        "demand=5m last=done@-6m next=+1h => waiting next_run_at +1h",
        "demand=5m initial_delay=1h => waiting initial_delay +1h",
        "demand=5m last=done@-6m paused => disabled paused",
        "demand=5m last=done@-6m login => blocked needs_login",
    ];

    const IDLE: &[&str] = &[
        "on_demand => waiting demand",
        "on_demand every=1h => waiting demand",
        "on_demand every=1h last=done@-2h => waiting demand",
        "on_demand cron=0_3_*_*_* last=done@-2d => waiting demand",
        "on_demand every=1h last=done@-2h up=-1m => waiting demand",
        "on_demand every=1h demand=5m last=done@-6m => start timer",
        "on_demand every=1h demand=5m last=done@-4m => waiting interval +1m",
        "on_demand demand=5m => start first",
        // Whoever asks is answered, and what is to be sent is sent.
        "on_demand request=-1s => start request",
        "on_demand call=ping last=done@-1m => start ping",
        "on_demand call=demand last=done@-1m => start demand",
        "on_demand next=-1s last=done@-1m => start next_run_at",
        "on_demand on_change=2s,30s change=-3s,-3s last=done@-1m => start change",
        "on_demand last=crash@-1m => start resume",
        // A failure is tried again where something may wait to be sent; else nobody asks.
        "on_demand every=1h last=failed@-1h => waiting demand",
        "on_demand every=1h demand=5m last=failed@-10s => waiting backoff +20s",
        "on_demand on_change=2s,30s last=failed@-10s => waiting backoff +20s",
    ];

    #[test]
    fn the_strictest_demand_sets_the_pace() {
        check(PACES);
    }

    #[test]
    fn without_a_demand_what_runs_on_demand_does_not_poll() {
        check(IDLE);
    }

    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        for (bug, table) in [("a demand sets no pace", PACES), ("what runs on demand polls all the same", IDLE)] {
            crate::planted::set_here(Some(bug));
            let found = !crate::schedule::table::failures(table).is_empty();
            crate::planted::set_here(None);
            assert!(found, "no line sees {bug:?}");
        }
        crate::planted::set_here(Some("whatever is here is fresh"));
        let fresh = world("last=done@-1h").board.jobs["s"].is_fresh(NOON);
        crate::planted::set_here(None);
        assert!(fresh && !world("last=done@-1h").board.jobs["s"].is_fresh(NOON));
    }

    #[test]
    fn a_reader_passes_what_an_app_may() {
        check(&[
            "every=1h last=done@-1m call=demand => start demand",
            "initial_delay=1h call=demand => start demand",
            "last=done@-1m next=+1h call=demand => start demand",
            "every=1h last=failed@-10s call=demand => waiting backoff +20s",
            "last=done@-1m call=demand patience=-1m,+5m => waiting retry_after +5m",
            "last=done@-1m call=demand budget=-1m,+5m => waiting budget +5m",
            "last=done@-1m call=demand needs=unmetered metered => blocked network",
            "last=done@-1m call=demand login => blocked needs_login",
            "last=done@-1m call=demand stopped => blocked stopped",
        ]);
    }

    #[test]
    fn a_reader_asks_for_a_run_where_what_is_here_is_too_old() {
        #[track_caller]
        fn asks(job: &str, since: &str, expect: bool) {
            let mut world = world(job);
            let job = world.board.jobs.get_mut("s").unwrap();
            job.read_fresh(moment(since));
            assert_eq!(job.call.is_some(), expect, "{job:?}");
        }
        asks("last=done@-1m", "-1m", false);
        asks("last=done@-1m", "-59s", true);
        asks("", "-1d", true);
        asks("last=failed@-1s", "-1m", true);
        // The run that is on is as good as one that would be asked for, if it began late enough and goes on.
        asks("last=done@-1h running@-10s", "-10s", false);
        asks("last=done@-1h running@-10s", "-9s", true);
        asks("last=done@-1h running@-10s stopping", "-1m", true);
    }

    #[test]
    fn nobody_waits_for_what_cannot_come_in_time() {
        #[track_caller]
        fn may(job: &str, expect: bool) {
            let world = world(job);
            let look = Looks::over(world.board.jobs.iter(), &world.board, &world.conditions, NOON)
                .at(&world.board.jobs["s"], world.board.remotes.get("r"));
            assert_eq!(look.may_end_by(NOON.plus(duration("10s"))), expect, "{job}: {look:?}");
        }
        may("call=demand last=done@-1m", true);
        may("running@-1s", true);
        may("call=demand last=failed@-25s", true);
        may("call=demand last=failed@-1s", false);
        may("call=demand last=done@-1m patience=-1m,+5s", true);
        may("call=demand last=done@-1m patience=-1m,+5m", false);
        may("call=demand last=done@-1m offline", false);
        may("call=demand last=done@-1m paused", false);
        may("call=demand last=done@-1m stopped", false);
        may("call=demand last=done@-1m login", false);
        may("call=demand last=done@-1m after=running", true);
        // It was taken back: nothing comes.
        may("every=1h last=done@-1m", false);
        may("on_demand last=done@-1m", false);
    }

    #[test]
    fn a_sync_that_nobody_asks_of_is_never_overdue() {
        #[track_caller]
        fn overdue(job: &str, expect: Option<&str>) {
            assert_eq!(world(job).board.jobs["s"].overdue_since(), expect.map(moment), "{job}");
        }
        overdue("every=1h last=done@-2h", Some("-1h"));
        overdue("on_demand every=1h last=done@-2h", None);
        overdue("on_demand every=1h last=done@-2h demand=5m", None);
        // Whoever came a moment ago has not waited since the last run.
        overdue("last=done@-20d demand=5m", None);
        overdue("every=1h last=done@-10m demand=5m", Some("+50m"));
    }
}
