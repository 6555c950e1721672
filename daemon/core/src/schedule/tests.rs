//! Owns: the tables of the schedule, in a text form, and the reader of that form.
//!
//! A job is words: `every=1h flex=10m cron=0_3_*_*_* on_start on_change=2s,30s backoff=linear,30s,5h deadline=2m stall=30s`
//! `needs=unmetered,charging,battery,storage,idle,local`, `last=done@-30m|failed@-30s|user@-1m|crash@-1m` (when it began; failed:
//! ended), `failures=2`, `running@-1m heard@-10s`, `request@-1s person force reset`, `change=-3s,-1s`, `call=ping`, `paused`, `epoch`, `manual`, `account`,
//! `spread=250` (per mille). Of the world: `stopped`, `offline`, `metered`, `on_battery`, `battery_low`, `storage_low`,
//! `disk_full`, `busy`. Of its remote: `login`, `patience=-1m,+5m`. Times are from now.
//! The answer: `start TRIGGER`, `stop REASON`, `running [TIME]` or `STATE HOLD [TIME]`, the time being `wake_at`.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::*;
use crate::run::{Compared, reset::Held};

/// A Monday, noon.
pub(super) const NOON: Timestamp = Timestamp::from_unix_ms(1_767_614_400_000);

pub(super) struct World {
    pub(super) board: Board,
    pub(super) conditions: Conditions,
}

/// What is done to the job once it is there.
type Event = Box<dyn FnOnce(&mut Job)>;

fn duration(text: &str) -> Duration {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap());
    let number: u64 = number.parse().unwrap();
    Duration::from_millis(match unit {
        "ms" => number,
        "s" => number * 1000,
        "m" => number * 60_000,
        "h" => number * 3_600_000,
        "d" => number * 86_400_000,
        unit => panic!("no unit {unit}"),
    })
}

fn moment(text: &str) -> Timestamp {
    match text.split_at(1) {
        ("-", ago) => NOON.minus(duration(ago)),
        ("+", ahead) => NOON.plus(duration(ahead)),
        _ => panic!("no time {text}"),
    }
}

fn shown(at: Timestamp) -> String {
    let ms = at.unix_ms() - NOON.unix_ms();
    let (number, unit) = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")]
        .into_iter()
        .find(|(size, _)| ms % size == 0)
        .map_or((ms, "ms"), |(size, unit)| (ms / size, unit));
    format!("{}{}{unit}", if number < 0 { "" } else { "+" }, number)
}

pub(super) fn world(text: &str) -> World {
    let mut plan = Plan { remote: "r".into(), collection: "c".into(), ..Plan::default() };
    let (mut conditions, mut remote) = (Conditions::default(), Remote::default());
    let mut later: Vec<Event> = Vec::new();
    let (mut last, mut failures) = (Last::Never, 0);
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').or_else(|| word.split_once('@')).unwrap_or((word, ""));
        let value = value.to_owned();
        let pair = |of: &str| of.split_once(',').map(|(a, b)| (moment(a), moment(b))).unwrap();
        match key {
            "every" => plan.interval = Some(Interval { every: duration(&value), flex: Duration::ZERO }),
            "flex" => plan.interval.as_mut().unwrap().flex = duration(&value),
            "cron" => plan.cron = Some(cron::Cron::parse(&value.replace('_', " "), TimeZone::UTC).unwrap()),
            "on_start" => plan.on_start = true,
            "on_change" => {
                let (after, at_most) = value.split_once(',').unwrap();
                plan.on_change = Some(Quiet { after: duration(after), at_most: duration(at_most) });
            }
            "backoff" => {
                let [curve, first, ceiling] = value.split(',').collect::<Vec<_>>()[..] else { panic!("{value}") };
                let curve = if curve == "linear" { Curve::Linear } else { Curve::Exponential };
                plan.backoff = Backoff { curve, first: duration(first), ceiling: duration(ceiling) };
            }
            "deadline" => plan.deadline = Some(duration(&value)),
            "stall" => plan.stall = Some(duration(&value)),
            "needs" => value.split(',').for_each(|need| match need {
                "unmetered" => plan.needs.network = Network::Unmetered,
                "local" => plan.needs.network = Network::None,
                "charging" => plan.needs.charging = true,
                "battery" => plan.needs.battery_not_low = true,
                "storage" => plan.needs.storage_not_low = true,
                "idle" => plan.needs.idle = true,
                need => panic!("no need {need}"),
            }),
            "spread" => plan.spread = Spread::per_mille(value.parse().unwrap()),
            "last" => {
                let (how, at) = value.split_once('@').unwrap();
                let at = moment(at);
                last = match how {
                    "done" => Last::Done { began: at },
                    "failed" => Last::Failed { ended: at },
                    reason => Last::Stopped { began: at, reason: StopReason::parse(reason).unwrap() },
                };
                failures = failures.max(u32::from(how == "failed"));
            }
            "up" => later.push(Box::new(move |job| job.up = Some(moment(&value)))),
            "failures" => failures = value.parse().unwrap(),
            "running" => later.push(Box::new(move |job| job.begin(moment(&value)))),
            "heard" => later.push(Box::new(move |job| job.heard(moment(&value)))),
            "copies" => later.push(Box::new(|job| job.copies(true))),
            "stopping" => later.push(Box::new(|job| job.stopping(StopReason::User))),
            "request" => later
                .push(Box::new(move |job| job.ask(Request { at: moment(&value), person: false, force: false, reset: false }))),
            "person" => later.push(Box::new(|job| job.request.as_mut().unwrap().person = true)),
            "force" => later.push(Box::new(|job| job.request.as_mut().unwrap().force = true)),
            "change" => {
                let change = pair(&value);
                later.push(Box::new(move |job| job.change = Some(change)));
            }
            "call" => later.push(Box::new(|job| job.call(Trigger::Ping))),
            "paused" => later.push(Box::new(|job| job.paused = true)),
            "epoch" => later.push(Box::new(|job| job.held = Some(Held::Differs(Compared::default())))),
            "manual" => later.push(Box::new(|job| job.held = Some(Held::Manual))),
            "account" => later.push(Box::new(|job| job.held = Some(Held::Account(2)))),
            "reset" => later.push(Box::new(|job| job.request.as_mut().unwrap().reset = true)),
            "login" => remote.needs_login = true,
            "patience" => {
                let (asked, until) = pair(&value);
                remote.patience = Some(Patience { asked, until });
            }
            "stopped" => conditions.stopped = Some(StopReason::User),
            "offline" => conditions.online = Some(false),
            "metered" => conditions.metered = Some(true),
            "on_battery" => conditions.charging = Some(false),
            "battery_low" => conditions.battery_low = Some(true),
            "storage_low" => conditions.storage_low = Some(true),
            "disk_full" => conditions.disk_full = Some(true),
            "busy" => conditions.idle = Some(false),
            key => panic!("no word {key}"),
        }
    }
    let mut job = Job::new(plan, last, failures, NOON);
    job.up = None;
    later.into_iter().for_each(|change| change(&mut job));
    let board = Board { jobs: [("s".into(), job)].into(), remotes: [("r".into(), remote)].into() };
    World { board, conditions }
}

fn outcome(world: &World) -> String {
    let Decision { start, stop, hold, wake_at } = decide(&world.board, &world.conditions, NOON);
    let wake = wake_at.map(|at| format!(" {}", shown(at))).unwrap_or_default();
    let text = match (&start[..], &stop[..], hold.get("s")) {
        ([start], [], None) => format!("start {}", start.trigger.name()),
        ([], [(_, reason)], None) => format!("stop {}", reason.name()),
        ([], [], None) => "running".into(),
        ([], [], Some(hold)) => format!("{:?} {}", hold.state(), hold.name()).to_lowercase(),
        other => panic!("more than one outcome: {other:?}"),
    };
    text + &wake
}

fn failures(table: &[&str]) -> Vec<String> {
    let one = |line: &&str| {
        let (input, expect) = line.split_once(" => ").expect("a line has =>");
        let found = outcome(&world(input));
        (found != expect).then(|| format!("{line}\n  found: {found}"))
    };
    table.iter().filter_map(one).collect()
}

#[track_caller]
fn check(table: &[&str]) {
    let failures = failures(table);
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

/// WorkManager's vectors of the next run (WorkSpecTest.testCalculateNextRunTime_*), where ours is the same rule.
const NEXT_RUN: &[&str] = &[
    // Periodic, later: last + interval.
    "every=15m last=done@-5m => waiting interval +10m",
    "every=15m last=done@-14m => waiting interval +1m",
    "every=15m last=done@-15m => start timer",
    // With flex: not before last + interval - flex, by last + interval at the latest, at the host's own moment.
    "every=1h flex=10m spread=0 last=done@-50m => waiting interval +10m",
    "every=1h flex=10m spread=500 last=done@-50m => waiting interval +5m",
    "every=1h flex=10m spread=500 last=done@-45m => waiting interval +15m",
    "every=1h flex=10m spread=500 last=done@-60m => start timer",
    // One trigger is enough: what ran in this period is not run again (testPeriodic_dedupe).
    "every=15m cron=*/5_*_*_*_* last=done@-0s => waiting cron +302s",
    // Never ran: at once.
    "every=15m => start first",
    "cron=0_3_*_*_* => start first",
    "on_start => start first",
    // Nothing makes it due by itself: a change or a request.
    "on_change=2s,30s => waiting trigger",
    "last=done@-1d => waiting trigger",
    "last=done@-1d request@-0s => start request",
    // Backoff: linear and exponential, from the end of the failed run, up to the ceiling.
    "backoff=linear,30s,5h last=failed@-10s => waiting backoff +20s",
    "backoff=linear,30s,5h last=failed@-10s failures=4 => waiting backoff +110s",
    "backoff=linear,30s,5h last=failed@-10s failures=2000 => waiting backoff +17990s",
    "backoff=exponential,30s,5h last=failed@-0s failures=1 => waiting backoff +30s",
    "backoff=exponential,30s,5h last=failed@-0s failures=2 => waiting backoff +1m",
    "backoff=exponential,30s,5h last=failed@-0s failures=5 => waiting backoff +8m",
    "backoff=exponential,30s,5h last=failed@-0s failures=100 => waiting backoff +5h",
    "backoff=exponential,30s,5h last=failed@-0s failures=4000000000 => waiting backoff +5h",
    "last=failed@-30s => start retry",
    // By the spread up to half as long again.
    "last=failed@-0s failures=2 spread=1000 => waiting backoff +89999ms",
    // Interval and change do not pass the backoff, the pause over it is due whatever else it has.
    "every=10s last=failed@-20s => waiting backoff +10s",
    "on_change=2s,30s last=failed@-20s change=-10s,-10s => waiting backoff +10s",
    "on_start call=start last=failed@-20s => waiting backoff +10s",
];

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
    // Nor believed for ever.
    "every=1h patience=-0s,+1000d => waiting retry_after +1h",
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
    // Conditions.
    "every=1h offline => blocked network",
    "every=1h needs=local offline => start first",
    "every=1h offline request@-0s force person => blocked network",
    "every=1h metered => start first",
    "every=1h needs=unmetered metered => blocked network",
    "every=1h needs=unmetered metered request@-0s => blocked network",
    "every=1h needs=unmetered metered request@-0s force => start request",
    "every=1h needs=unmetered => start first",
    "every=1h needs=charging on_battery => blocked charging",
    "every=1h needs=battery battery_low => blocked battery_not_low",
    "every=1h needs=battery battery_low request@-0s force => start request",
    "every=1h needs=storage storage_low request@-0s force => blocked storage_not_low",
    "every=1h disk_full request@-0s force => blocked disk",
    "every=1h needs=idle busy => blocked idle",
    "every=1h last=done@-1m offline => waiting interval +59m",
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
    "every=1h running@-1m offline => stop constraint:network",
    "every=1h needs=unmetered running@-1m metered => stop constraint:network",
    "every=1h needs=unmetered request@-2m force running@-1m metered => running",
    "every=1h needs=idle running@-1m busy => stop constraint:idle",
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
    "backoff=linear,5h,5h last=failed@+1h => start retry",
    "last=failed@+3650d => start retry",
    "patience=+3650d,+3651d on_start => start first",
    "on_change=2s,30s last=done@-1h change=+3650d,+3650d => start change",
    "deadline=2m running@+3650d => stop timeout",
    "stall=30s running@-1m heard@+3650d => stop timeout",
];

#[cfg(feature = "planted")]
const ALL_TABLES: &[&[&str]] = &[NEXT_RUN, TRIGGERS, HOLDS, RUNNING, CAUGHT_UP, SET_BACK];

#[test]
fn the_next_run() {
    check(NEXT_RUN);
}

#[test]
fn what_was_due_before_the_start_is_caught_up_with() {
    check(CAUGHT_UP);
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
        said("every=1h patience=-1m,+5m request@-0s"),
        "s waits and is due in 5 min. retry_after: r asks for patience, 5 min more; needs that time to pass (a server's own wait is \
         never skipped). A run is asked for. It never ran."
    );
}

#[test]
fn stop_reasons_read_back() {
    for word in ["user", "app", "timeout", "constraint:idle", "preempted", "shutdown", "crash", "auth", "schema", "replaced"] {
        assert_eq!(StopReason::parse(word).unwrap().name(), word);
    }
    assert_eq!(StopReason::parse("constraint:"), None);
}

/// Each bug planted in the schedule is seen by a line of a table, or by a law.
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    for bug in ["request passes retry-after", "clock set back is waited out", "hosts that start together knock together"] {
        planted::set_here(Some(bug));
        let found = ALL_TABLES.iter().any(|table| !failures(table).is_empty());
        planted::set_here(None);
        assert!(found, "no table sees {bug:?}");
    }
    for bug in ["overlap by name only", "request lost while running"] {
        planted::set_here(Some(bug));
        let found = (0..200).any(|seed| laws::life(seed).is_err());
        planted::set_here(None);
        assert!(found, "no law sees {bug:?}");
    }
    planted::set_here(Some("remote changed unseen"));
    let found = (0..200).any(|seed| desk::laws::life(seed).is_err());
    planted::set_here(None);
    assert!(found, "the desk's law sees what it does not look at");
}
