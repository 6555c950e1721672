//! Owns: the tables of the schedule, in the text form of [`super::table`].

use std::time::Duration;

use jiff::tz::TimeZone;

use super::{
    table::{NOON, World, check, moment, outcome, shown, world},
    *,
};

mod needs;
mod next_run;

const TRIGGERS: &[&str] = &[
    "cron=0_13_*_*_* last=done@-1h => waiting cron +3602s",
    // Rings slept through are one run.
    "cron=*/5_*_*_*_* last=done@-3h => start cron",
    "cron=*/5_*_*_*_* last=done@-3m => start cron",
    "every=1h last=done@-30d => start timer",
    // Changes: quiet time, and its upper bound.
    "on_change=2s,30s last=done@-1h change=-1s,-1s => waiting quiet +1s",
    "on_change=2s,30s last=done@-1h change=-2s,-2s => start change",
    "on_change=2s,30s last=done@-1h change=-29s,-1s => waiting quiet +1s",
    "on_change=2s,30s last=done@-1h change=-28s,-0s => waiting quiet +2s",
    "on_change=2s,30s last=done@-1h change=-29500ms,-0s => waiting quiet +500ms",
    "on_change=2s,30s last=done@-1h change=-30s,-0s => start change",
    "on_change=2s,30s change=-3s,-3s => start change",
    "every=1h on_change=2s,30s last=done@-30m change=-0s,-0s => waiting quiet +2s",
    "every=1h last=done@-30m call=ping => start ping",
    // A stopped run: due at once, unless somebody stopped it.
    "every=1h last=crash@-1m => start resume",
    "every=1h last=shutdown@-1m => start resume",
    "every=1h last=timeout@-1m => start resume",
    "every=1h last=constraint:network@-1m => start resume",
    "every=1h last=preempted@-1m => start resume",
    "every=1h last=user@-1m => waiting interval +59m",
    "every=1h last=app@-1m => waiting interval +59m",
    "last=user@-1m => waiting trigger",
    // A request passes interval and backoff.
    "every=1h last=done@-1m request@-0s => start request",
    "last=failed@-1s failures=9 request@-0s => start request",
];

const HOLDS: &[&str] = &[
    "every=1h paused => disabled paused",
    "every=1h paused request@-0s force person => disabled paused",
    "every=1h paused stopped => disabled paused",
    "every=1h stopped => blocked stopped",
    "every=1h stopped request@-0s force person => blocked stopped",
    "every=1h last=done@-1m stopped => blocked stopped",
    // A server's own wait is never skipped.
    "every=1h patience=-1m,+5m => waiting retry_after +5m",
    "every=1h patience=-1m,+5m request@-0s force person => waiting retry_after +5m",
    "every=1h patience=-5m,-0s => start first",
    "last=failed@-0s patience=-0s,+5m => waiting backoff +30s",
    "last=failed@-30s patience=-30s,+5m => waiting retry_after +5m",
    // What is kept for people is there for who asks, and for nobody else.
    "every=1h budget=-1m,+5m => waiting budget +5m",
    "every=1h budget=-1m,+5m request@-0s person => start request",
    "every=1h budget=-1m,+5m request@-0s => waiting budget +5m",
    "every=1h budget=-5m,-0s => start first",
    "every=1h budget=-0s,+1000d => waiting budget +1h",
    // Nor believed for ever.
    "every=1h patience=-0s,+1000d => waiting retry_after +1h",
    // An app that is not there: nothing passes that, and nothing is to be said of it before there is anything to do.
    "every=1h away => blocked away",
    "every=1h last=done@-1m away => waiting interval +59m",
    "every=1h away request@-0s person force => blocked away",
    "every=1h away budget=-1m,+5m => waiting budget +5m",
    "every=1h away needs=local => blocked away",
    "every=1h away running@-1m => running",
    // Credentials: a person's request tries once.
    "every=1h login => blocked needs_login",
    "every=1h last=done@-1m login => blocked needs_login",
    "every=1h login request@-0s => blocked needs_login",
    "every=1h login request@-0s person => start request",
    // An epoch we do not know: only by force.
    "every=1h epoch => blocked epoch",
    "every=1h epoch request@-0s person => blocked epoch",
    "every=1h epoch request@-0s force => start request",
    // What only a word about what is here ends.
    "every=1h manual => blocked epoch",
    "every=1h manual request@-0s person force => blocked epoch",
    "every=1h manual request@-0s reset => start request",
    "every=1h account request@-0s person force => blocked account",
    "every=1h account request@-0s reset => start request",
    "every=1h epoch request@-0s reset => start request",
    "every=1h offline request@-0s reset => blocked network",
    // One that goes first: it has to have ended well, and neither run nor be about to.
    "every=1h after=done => start first +50m",
    "every=1h after=due => blocked after",
    "every=1h after=running => blocked after",
    "every=1h after=never => blocked after",
    "every=1h after=failed => blocked after +20s",
    "every=1h after=stopped => blocked after",
    "every=1h after=never request@-0s person => blocked after",
    "every=1h after=failed request@-0s person force => start request +20s",
    "every=1h after=running last=done@-1m => waiting interval +59m",
    "every=1h after=never offline => blocked network",
    "every=1h after=running running@-1m => running",
    // One that has gone since is not waited for though it is due once more: else who is always due lets nobody go.
    "every=1h after=due last=done@-3h => start timer",
    "every=1h after=due last=done@-90m => blocked after",
];

const RUNNING: &[&str] = &[
    "every=1h running@-2h => running",
    "every=1h deadline=2m running@-1m => running +1m",
    "every=1h deadline=2m running@-2m => stop timeout",
    "every=1h deadline=2m running@-2m stopping => running",
    "every=1h stall=30s running@-10m heard@-10s => running +20s",
    "every=1h stall=30s running@-10m heard@-30s => stop timeout",
    "every=1h deadline=10m stall=1m running@-10m heard@-10s => stop timeout",
    "every=1h stall=30s running@-10m heard@-5m copies => running",
    "every=1h deadline=10m stall=30s running@-10m heard@-5m copies => stop timeout",
    "every=1h running@-1m stopped => stop user",
    "every=1h running@-1m paused => stop user",
    "every=1h login running@-1m => running",
    // While one runs, one more is queued and does not begin.
    "every=1h running@-1m request@-0s => running",
];

/// The daemon was not there when an interval was over.
const CAUGHT_UP: &[&str] = &[
    "every=10m flex=10m spread=500 last=done@-1h up=-0s => waiting interval +5m",
    "every=10m flex=10m spread=250 last=done@-7d up=-1m => waiting interval +150s",
    "every=10m flex=10m spread=0 last=done@-1h up=-0s => start timer",
    "every=1d flex=1d spread=500 last=done@-7d up=-0s => waiting interval +450s",
    "every=1d flex=1d spread=500 last=done@-7d up=-450s => start timer",
    "every=1d flex=1d spread=500 last=done@-7d up=-1h => start timer",
    // Whoever asks does not wait, nor does what is due for another reason.
    "every=1d flex=1d spread=500 last=done@-7d up=-0s request@-0s => start request",
    "every=1d flex=1d spread=500 last=crash@-7d up=-0s => start resume",
    "every=1d flex=1d spread=500 up=-0s => start first",
    // The clock was set back meanwhile.
    "every=1d flex=1d spread=500 last=done@-7d up=+3650d => start timer",
];

/// The clock was set back by ten years: nobody waits for them to come again.
const SET_BACK: &[&str] = &[
    "every=1h flex=10m last=done@+3650d => start timer",
    "every=1h flex=10m spread=0 last=done@+1s => waiting interval +1h",
    "every=1h last=done@+50m => start timer",
    "every=1h initial_delay=1d since=+3650d => start first",
    "backoff=linear,5h,5h last=failed@+1h => start retry",
    "last=failed@+3650d => start retry",
    "patience=+3650d,+3651d on_start => start first",
    "on_change=2s,30s last=done@-1h change=+3650d,+3650d => start change",
    "deadline=2m running@+3650d => stop timeout",
    "stall=30s running@-1m heard@+3650d => stop timeout",
];

#[cfg(feature = "planted")]
const ALL_TABLES: &[&[&str]] = &[next_run::NEXT_RUN, TRIGGERS, HOLDS, RUNNING, CAUGHT_UP, SET_BACK, needs::HELD, needs::ENDED];

#[test]
fn what_was_due_before_the_start_is_caught_up_with() {
    check(CAUGHT_UP);
}

/// What people and apps said of a sync holds over its being defined anew, also where what ran before does not count.
#[test]
fn what_was_said_of_a_sync_stays_when_it_is_defined_anew() {
    let plan = |remote: &str| Plan { remote: remote.into(), on_change: Some(Quiet::default()), ..Plan::default() };
    let mut before = Job::new(plan("a"), Last::Done { began: moment("-1m") }, 0, NOON);
    before.paused = true;
    before.changed(NOON);
    before.call(Trigger::Startup);
    before.call(Trigger::Ping);
    before.ask(Request { at: NOON, person: true, force: false, reset: false });
    // As the store had it before all that.
    let new = Job::new(plan("b"), Last::Never, 0, moment("-5m"));
    for (anew, last) in [(false, before.last), (true, Last::Never)] {
        let is = before.becomes(&new, anew, NOON);
        assert_eq!((&*is.plan.remote, is.paused, is.call, is.last), ("b", true, Some(Trigger::Ping), last));
        assert!(is.request.is_some() && is.change.is_some());
    }
}

#[test]
fn what_makes_a_sync_due() {
    check(TRIGGERS);
}

#[test]
fn what_holds_a_sync_that_is_due() {
    check(HOLDS);
}

#[test]
fn what_ends_a_run() {
    check(RUNNING);
}

#[test]
fn a_clock_set_back_makes_nobody_wait() {
    check(SET_BACK);
    let mut world = world("cron=0_3_*_*_* last=done@-1h");
    let later = NOON.plus(Duration::from_secs(3650 * 86_400));
    world.board.jobs.get_mut("s").unwrap().begin(later);
    world.board.jobs.get_mut("s").unwrap().end(later, End::Done);
    assert_eq!(outcome(&world), "start cron");
}

/// Each run of a sync whose interval lies between 15 min and 4 h: `+` brought news, `-` none.
#[test]
fn an_interval_adapts_to_what_runs_bring() {
    let check = |runs: &str, minutes: u64| {
        let mut job = world("every=15m max=4h").board.jobs["s"].clone();
        runs.chars().for_each(|run| job.learn(run == '+'));
        assert_eq!(job.pace, Duration::from_secs(60 * minutes), "{runs}");
    };
    check("", 15);
    check("+", 15);
    check("-", 30);
    check("---", 120);
    check("----", 240);
    check("--------", 240);
    check("----+", 120);
    check("----++++++", 15);
    // One that is as it is stays so, and another plan leaves what was learned.
    let mut job = world("every=15m").board.jobs["s"].clone();
    job.learn(false);
    assert_eq!(job.pace, Duration::from_secs(900));
    let mut job = world("every=15m max=4h pace=2h").board.jobs["s"].clone();
    job.replan(Plan { grows_to: Some(Duration::from_secs(8 * 3600)), ..job.plan.clone() }, NOON);
    job.learn(false);
    assert_eq!(job.pace, Duration::from_secs(4 * 3600));
}

/// Silence counts only while something could have run.
#[test]
fn a_machine_that_sleeps_is_late_with_nothing() {
    let at = |minutes: u64| NOON.plus(Duration::from_secs(60 * minutes));
    let minutes = |watch: &Watch, since: u64, now: u64| watch.silence(at(since), at(now)).as_secs() / 60;
    let mut watch = Watch::default();
    watch.looks(at(0), true);
    assert_eq!(minutes(&watch, 0, 1), 1);
    (1..=10).for_each(|minute| watch.looks(at(minute), true));
    assert_eq!(minutes(&watch, 2, 10), 8);
    // It sleeps for a day, and then runs are stopped for an hour.
    (1450..=1460).for_each(|minute| watch.looks(at(minute), true));
    assert_eq!((minutes(&watch, 2, 1460), minutes(&watch, 100, 1460), minutes(&watch, 1455, 1460)), (18, 10, 5));
    (1461..=1520).for_each(|minute| watch.looks(at(minute), false));
    assert_eq!((minutes(&watch, 2, 1520), minutes(&watch, 1500, 1520)), (18, 0));
    watch.looks(at(1521), true);
    assert_eq!(minutes(&watch, 2, 1521), 19);
    // What lies ahead is not silent; a clock that was set back knows of nothing.
    assert_eq!(minutes(&watch, 1600, 1521), 0);
    watch.looks(at(5), true);
    assert_eq!(minutes(&watch, 0, 5), 5);
    // However often it sleeps, it is remembered in bounds, and counts no sleep as silence.
    (1..2_000).for_each(|night| watch.looks(at(10 * night), true));
    assert_eq!(minutes(&watch, 0, 19_990), 5);
}

#[test]
fn what_is_due_and_does_not_run_is_seen() {
    let check = |sync: &str, expect: &str| {
        let since = world(sync).board.jobs["s"].overdue_since();
        assert_eq!(since.map_or("never".into(), shown), expect, "{sync}");
    };
    // Since it was due, whatever stands in the way; what lies ahead is not over yet.
    check("every=1h last=done@-3h", "-2h");
    check("every=1h last=done@-3h offline", "-2h");
    check("every=1h last=done@-3h after=never", "-2h");
    check("every=1h last=done@-10m", "+50m");
    check("every=1h max=8h pace=4h last=done@-3h", "+1h");
    check("cron=0_3_*_*_* last=done@-33h", "-9h");
    check("cron=0_3_*_*_* last=done@-1h", "+15h");
    check("every=1h since=-2d", "-2d");
    check("every=1h since=-2d initial_delay=1d", "-1d");
    check("every=1h running@-5h", "-5h");
    check("every=1h last=crash@-5h offline", "-5h");
    check("every=1h last=user@-5h", "-4h");
    // A pause is a person's word, a failure is told as such, and one that only answers is never late.
    check("every=1h last=done@-3h paused", "never");
    check("every=1h last=failed@-9h", "never");
    check("on_change=2s,30s last=done@-3h change=-1h,-1h", "never");
}

/// What another definition leaves as it is (WorkUpdateTest): each line is the sync before, what is said of it now, and the outcome.
#[test]
fn an_update_keeps_what_a_sync_has_been_through() {
    let check = |before: &str, now: &str, expect: &str| {
        let (mut before_, now_) = (world(before), world(now));
        let plan = now_.board.jobs["s"].plan.clone();
        before_.board.jobs.get_mut("s").unwrap().replan(plan, NOON);
        assert_eq!(outcome(&before_), expect, "{before} becomes {now}");
    };
    // updateCorrectNextRunTime: another delay counts from when the sync was defined, not from the update.
    check("every=1h initial_delay=30m since=-10m", "every=1h initial_delay=15m", "waiting initial_delay +5m");
    check("every=1h initial_delay=30m since=-10m", "every=1h initial_delay=5m", "start first");
    check("every=1h initial_delay=30m since=-10m", "every=1h", "start first");
    // updatePeriodicWorkAfterFirstPeriod: another interval counts from the last run.
    check("every=1h last=done@-10m", "every=15m", "waiting interval +5m");
    check("every=1h last=done@-10m", "every=5m", "start timer");
    check("every=1h last=done@-10m", "every=2h initial_delay=1d", "waiting interval +110m");
    // updateRetryingOneTimeWork: the failures are counted on, with the new backoff.
    check("backoff=linear,30s,5h last=failed@-10s failures=4", "backoff=linear,1m,5h", "waiting backoff +230s");
    // updateRunningPeriodicWorkRequest: a run in progress is not interrupted, and what it was asked for is not lost.
    check("every=1h running@-1m", "every=2h", "running");
    check("every=1h last=done@-10m request@-1s", "every=2h", "start request");
    check("every=1h last=done@-10m call=ping", "every=2h", "start ping");
    check("every=1h paused", "every=2h", "disabled paused");
    // constraintsUpdate: other needs hold at once, also for the run that is on.
    check("every=1h running@-1m metered", "every=1h needs=unmetered", "stop constraint:network");
    check("every=1h needs=unmetered metered", "every=1h", "start first");
}

/// Of these syncs, with a remote that takes one at a time, who goes in which turn: by priority, then parents before children, then who has
/// been due the longest; and before them all, who was asked for.
#[test]
fn the_lower_rank_goes_first() {
    let mut board = Board::default();
    board.remotes.insert("r".into(), Remote { runs_max: 1, ..Remote::default() });
    let syncs: [(&str, u32, u32, &str); 7] = [
        ("a", 1000, 0, "-1h"),
        ("b", 1000, 0, "-2h"),
        ("c", 1000, 1, "-9h"),
        ("d", 10, 2, "-1h"),
        ("e", 2000, 0, "-9h"),
        ("f", 0, 0, "-1h"),
        ("g", 3000, 0, "-1h"),
    ];
    for (name, priority, depth, began) in syncs {
        let interval = Some(Interval { every: Duration::from_secs(3600), flex: Duration::ZERO });
        let rank = Rank { priority, depth };
        let plan = Plan { remote: "r".into(), resource: name.into(), interval, rank, ..Plan::default() };
        let job = Job { up: None, ..Job::new(plan, Last::Done { began: moment(began) }, 0, NOON) };
        board.jobs.insert(name.into(), job);
    }
    board.jobs.get_mut("g").unwrap().ask(Request { at: NOON, person: true, force: false, reset: false });
    let mut desk = Desk::new(board, Conditions::default());
    let mut turns = String::new();
    while let [start] = &desk.next(NOON).start[..] {
        turns += &start.sync;
        let job = desk.job(&start.sync).unwrap();
        job.begin(NOON);
        job.end(NOON, End::Done);
    }
    assert_eq!(turns, "gfdbace");
}

#[test]
fn a_ring_that_waits_outlives_another_plan() {
    let mut world = world("cron=*/5_*_*_*_* last=done@-12m offline");
    assert_eq!(outcome(&world), "blocked network");
    let hourly = cron::Cron::parse("0 * * * *", TimeZone::UTC).unwrap();
    let job = world.board.jobs.get_mut("s").unwrap();
    job.replan(Plan { cron: Some(hourly), ..job.plan.clone() }, NOON.plus(Duration::from_secs(1)));
    world.conditions.online = None;
    assert_eq!(outcome(&world), "start cron");
    let job = world.board.jobs.get_mut("s").unwrap();
    job.replan(Plan { cron: None, ..job.plan.clone() }, NOON);
    assert_eq!(outcome(&world), "waiting trigger");
}

#[test]
fn a_look_names_every_hold() {
    let holds = |text: &str| {
        let World { board, conditions } = world(text);
        let look = look(&board, &conditions, NOON, "s").unwrap();
        let names: Vec<&str> = look.holds.iter().map(Hold::name).collect();
        format!("{:?} {} {}", look.state, names.join(","), look.next.map(shown).unwrap_or_default())
    };
    assert_eq!(holds("every=1h"), "Ready  ");
    assert_eq!(holds("every=1h last=done@-1m"), "Waiting interval +59m");
    assert_eq!(holds("every=1h last=done@-30m patience=-1m,+50m"), "Waiting interval,retry_after +50m");
    assert_eq!(holds("every=1h patience=-1m,+1m budget=-1m,+50m"), "Waiting retry_after,budget +50m");
    let all = "every=1h paused stopped login epoch last=failed@-0s patience=-1m,+1m offline needs=unmetered,idle metered busy";
    assert_eq!(holds(all), "Disabled paused,stopped,needs_login,epoch,backoff,retry_after,network,network,idle ");
    assert_eq!(holds("running@-1m"), "Running  ");
    assert_eq!(holds("running@-1m offline paused"), "Running paused ");
    assert_eq!(holds("running@-1m paused stopped"), "Running paused,stopped ");
}

#[test]
fn the_words_say_what_is_and_what_is_needed() {
    let said = |input: &str| {
        let World { board, conditions } = world(input);
        text("s", &board.jobs["s"], &look(&board, &conditions, NOON, "s").unwrap(), NOON)
    };
    assert_eq!(
        said("every=1h last=done@-30m"),
        "s waits and is due in 30 min. interval: last run 30 min ago; needs 1 h since then (`mingle sync s` does not wait for it). \
         The last run began 30 min ago and is done."
    );
    assert_eq!(
        said("every=1h needs=unmetered metered"),
        "s is blocked. network: a metered network; needs an unmetered network (`mingle sync s --force` runs all the same). \
         It never ran."
    );
    assert_eq!(
        said("every=1h after=failed"),
        "s is blocked. after: first goes first, and its last run failed; needs a run of it that ends well (`mingle explain first` says \
         what that waits for). It never ran."
    );
    assert_eq!(
        said("every=1h initial_delay=1h since=-30m"),
        "s waits and is due in 30 min. initial_delay: it never ran; needs 1 h since it was defined (`mingle sync s` does not wait for \
         it). It never ran."
    );
    assert_eq!(
        said("every=1h budget=-1m,+5m"),
        "s waits and is due in 5 min. budget: what is left of our requests to r is kept for what a person asks for; needs more of them, \
         in 5 min (`mingle budget` shows who used them; `mingle sync s` takes of the rest). It never ran."
    );
    assert_eq!(
        said("every=1h away"),
        "s is blocked. away: app app is not there: it has not offered to do the work of r; needs it to come and offer (start it; with a \
         `command` in [remote.r] it is started when it is needed). It never ran."
    );
    assert_eq!(
        said("every=1h patience=-1m,+5m request@-0s"),
        "s waits and is due in 5 min. retry_after: r asks for patience, 5 min more; needs that time to pass (a server's own wait is \
         never skipped). A run is asked for. It never ran."
    );
}

#[test]
fn stop_reasons_read_back() {
    for word in [
        "user",
        "app",
        "timeout",
        "constraint:idle",
        "constraint:window",
        "constraint:sleep",
        "preempted",
        "shutdown",
        "crash",
        "auth",
        "schema",
        "replaced",
    ] {
        assert_eq!(StopReason::parse(word).unwrap().name(), word);
    }
    assert_eq!(StopReason::parse("constraint:"), None);
}

/// Each bug planted in the schedule is seen by a line of a table, or by a law.
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    for bug in [
        "request passes retry-after",
        "clock set back is waited out",
        "window of time not looked at",
        "hosts that start together knock together",
        "those that go first are not waited for",
    ] {
        planted::set_here(Some(bug));
        let found = ALL_TABLES.iter().any(|table| !table::failures(table).is_empty());
        planted::set_here(None);
        assert!(found, "no table sees {bug:?}");
    }
    for bug in ["overlap by name only", "request lost while running"] {
        planted::set_here(Some(bug));
        let found = (0..200).any(|seed| laws::life(seed).is_err());
        planted::set_here(None);
        assert!(found, "no law sees {bug:?}");
    }
    for bug in ["remote changed unseen", "those behind unseen"] {
        planted::set_here(Some(bug));
        let found = (0..200).any(|seed| desk::laws::life(seed).is_err());
        planted::set_here(None);
        assert!(found, "the desk's law does not see {bug:?}");
    }
}
