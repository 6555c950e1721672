//! Owns: what the log says of runs: how each began and came out, and what a person should know of a sync that fails on. Must never
//! know: what is done about it.
//!
//! A dead network must not fill the log: of a row of equal failures the first is a warning, then each at twice the number before is
//! told with its number, and the rest is for who looks closer (`debug`).

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use mingle_core::{
    ask::{self, Trouble},
    engine::Effect,
    run::{Counts, Order},
    schedule::Name,
    time::Timestamp,
};

use super::Office;
use crate::clock::{self, Stopwatch};

/// What is remembered of each sync; no more of them than the configuration has.
#[derive(Default)]
pub(super) struct Diary(HashMap<Name, Page>);

#[derive(Default)]
struct Page {
    /// Since the run that is on began.
    watch: Option<Stopwatch>,
    counts: Counts,
    row: Option<Row>,
}

/// Failures without a success between.
struct Row {
    trouble: Trouble,
    /// So many in a row with this trouble.
    equal: u64,
    /// So many in a row with any.
    failures: u64,
    alerted: bool,
}

/// How loud something is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loud {
    Warn,
    Info,
    Debug,
}

impl Page {
    fn begins(&mut self) -> Loud {
        self.watch = Some(Stopwatch::start());
        self.counts = Counts::default();
        match &self.row {
            Some(row) if !(row.equal + 1).is_power_of_two() => Loud::Debug,
            _ => Loud::Info,
        }
    }

    /// How loud the end is said, and the row of failures that it belongs to or ends.
    fn ends(&mut self, done: bool, trouble: Option<&Trouble>) -> (Loud, Option<Row>) {
        let Some(trouble) = trouble else {
            // One that was stopped says nothing of whether the next would fail.
            return (Loud::Info, if done { self.row.take() } else { None });
        };
        let fresh = Row { trouble: trouble.clone(), equal: 0, failures: 0, alerted: false };
        let row = self.row.get_or_insert(fresh);
        row.failures += 1;
        row.equal = if row.trouble == *trouble { row.equal + 1 } else { 1 };
        row.trouble.clone_from(trouble);
        let loud = match row.equal {
            1 => Loud::Warn,
            equal if equal.is_power_of_two() => Loud::Info,
            _ => Loud::Debug,
        };
        (loud, None)
    }

    /// Whether it has failed for too long, said once.
    fn alerts(&mut self, failing: Duration, after: Duration) -> bool {
        self.row.as_mut().is_some_and(|row| failing >= after && !std::mem::replace(&mut row.alerted, true))
    }
}

/// Says it as loud as that. The macros of `tracing` take no level that is not known beforehand.
macro_rules! say {
    ($loud:expr, $($what:tt)+) => {
        match $loud {
            Loud::Warn => tracing::warn!($($what)+),
            Loud::Info => tracing::info!($($what)+),
            Loud::Debug => tracing::debug!($($what)+),
        }
    };
}

impl Diary {
    pub(super) fn begins(&mut self, sync: &Name, order: &Order) {
        let loud = self.0.entry(sync.clone()).or_default().begins();
        say!(loud, sync = &**sync, run = &*order.run, trigger = &*order.trigger, "a run begins");
    }

    pub(super) fn counted(&mut self, sync: &Name, counts: Counts) {
        if let Some(page) = self.0.get_mut(sync) {
            page.counts = counts;
        }
    }

    /// Of syncs that are gone nothing is remembered.
    pub(super) fn only<T>(&mut self, syncs: &BTreeMap<Name, T>) {
        self.0.retain(|name, _| syncs.contains_key(name));
    }

    fn ended(&mut self, sync: &str, end: &End<'_>) {
        let Some(page) = self.0.get_mut(sync) else { return };
        let done = end.status.starts_with("done");
        let (loud, over) = page.ends(done, end.trouble);
        let took = page.watch.take().map_or(0.0, |watch| watch.elapsed().as_secs_f64());
        let (counts, trouble) = (page.counts, end.trouble);
        let failures = page.row.as_ref().filter(|row| trouble.is_some() && row.failures > 1).map(|row| row.failures);
        let next = end.next.map(clock::told);
        say!(
            loud,
            sync,
            run = end.run,
            status = end.status,
            reason = end.reason,
            error = trouble.map(|trouble| trouble.name.as_str()),
            what = trouble.map(|trouble| trouble.what.as_str()),
            hint = trouble.and_then(|trouble| trouble.hint.as_deref()),
            failures,
            failures_before = over.as_ref().map(|row| row.failures),
            down = counts.down,
            up = counts.up,
            conflicts = counts.conflicts,
            rejected = counts.rejected,
            took = format!("{took:.3} s"),
            next,
            waits_for = end.hold.filter(|_| end.next.is_none()),
            "a run ended"
        );
        if over.is_some_and(|row| row.alerted) {
            tracing::info!(sync, attention = "failing", "attention is over");
        }
        if end.failing.zip(end.alert_after).is_some_and(|(failing, after)| page.alerts(failing, after)) {
            let hint = format!("`mingle explain {sync}` says more");
            tracing::warn!(sync, attention = "failing", hint, "attention: it has failed for longer than its alert_after");
        }
    }
}

/// How a run came out.
struct End<'a> {
    run: &'a str,
    status: &'a str,
    reason: Option<&'a str>,
    trouble: Option<&'a Trouble>,
    /// When the sync runs next, where time alone decides.
    next: Option<Timestamp>,
    /// What else it waits for.
    hold: Option<&'a str>,
    /// For how long it has failed without a success between.
    failing: Option<Duration>,
    /// How long is too long.
    alert_after: Option<Duration>,
}

impl Office {
    /// Writes into the log which runs these effects end. What the sync waits for from then on is told among them.
    pub(super) fn log_ends(&mut self, now: Timestamp, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Tell(ask::Event::ResetBegan { sync, reset }) => {
                    let (how, why, copy) = (reset.how.word(), reset.why.word(), reset.copy.as_deref());
                    tracing::warn!(sync, how, why, copy, "a reset began: what is here meets another history of the remote");
                }
                Effect::Tell(ask::Event::ResetEnded { sync, over }) => {
                    tracing::info!(sync, discarded = over.discarded, conflicts = over.conflicts, "a reset ended");
                }
                _ => {}
            }
            let Effect::Tell(ask::Event::Run { sync, run, status, result: Some(_), stop_reason, error, .. }) = effect else {
                continue;
            };
            let then = effects.iter().find_map(|effect| match effect {
                Effect::Tell(ask::Event::Sync { sync: Some(name), hold, next, .. }) if name == sync => Some((hold, next)),
                _ => None,
            });
            let end = End {
                run,
                status,
                reason: stop_reason.as_deref(),
                trouble: error.as_ref(),
                next: then.and_then(|(_, next)| *next),
                hold: then.and_then(|(hold, _)| hold.as_ref()).map(|hold| hold.name.as_str()),
                failing: self.engine.failing_since(sync).map(|since| now.since(since)),
                alert_after: self.config.syncs.get(sync).map(|sync| sync.timing.alert_after),
            };
            self.diary.ended(sync, &end);
        }
    }

    /// What an operator asks for with SIGUSR1: where every sync is, and what is under way.
    pub(super) fn dump(&mut self, letters: usize) {
        let now = clock::now();
        let board = self.engine.copy();
        let (state, since, by) = &board.state;
        tracing::info!(?state, ?since, ?by, tasks = self.tasks.len(), letters, answers = self.answers.len(), "the board");
        for sync in board.shown(now) {
            let run = sync.run.map(|run| format!("{} {} {}/{:?}", run.run, run.phase, run.done, run.total));
            let holds: Vec<String> = sync.holds.into_iter().map(|hold| format!("{} ({})", hold.name, hold.has)).collect();
            tracing::info!(sync = %sync.sync, state = ?sync.state, ?run, holds = holds.join(", "), next = ?sync.next, "on the board");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(what: &str) -> Trouble {
        Trouble { name: "offline".into(), what: what.into(), hint: None }
    }

    /// Each letter is a run: a capital is done, `.` is stopped, others fail with that trouble. What is said of each: its begin and its
    /// end.
    #[track_caller]
    fn check(runs: &str, expect: &str) {
        let letter = |loud| match loud {
            Loud::Warn => 'w',
            Loud::Info => 'i',
            Loud::Debug => 'd',
        };
        let mut page = Page::default();
        let said: Vec<String> = runs
            .chars()
            .map(|run| {
                let failed = (run.is_lowercase()).then(|| trouble(&run.to_string()));
                let begin = page.begins();
                let (end, over) = page.ends(run.is_uppercase(), failed.as_ref());
                let over = over.map_or(String::new(), |row| format!("({})", row.failures));
                format!("{}{}{over}", letter(begin), letter(end))
            })
            .collect();
        assert_eq!(said.join(" "), expect, "{runs}");
    }

    #[test]
    fn of_equal_failures_the_first_warns_and_the_rest_does_not_fill_the_log() {
        check("DDD", "ii ii ii");
        check("aaaaaaaaa", "iw ii dd ii dd dd dd ii dd");
        // Another trouble is told anew; a success says how many failures it ends; a stop ends no row.
        check("aaabD", "iw ii dd iw ii(4)");
        check("aa.aD", "iw ii di dd ii(3)");
        check("aDa", "iw ii(1) iw");
    }

    #[test]
    fn a_sync_that_fails_for_long_is_told_of_once() {
        let mut page = Page::default();
        let mut told = Vec::new();
        for seconds in [0, 50, 100, 150] {
            page.ends(false, Some(&trouble("a")));
            told.push(page.alerts(Duration::from_secs(seconds), Duration::from_secs(100)));
        }
        assert_eq!(told, [false, false, true, false]);
    }
}
