//! Owns: the text form of the schedule's tables, and its reader. Must never know: the tables.
//!
//! A job is words: `every=1h flex=10m cron=0_3_*_*_* on_start on_change=2s,30s backoff=linear,30s,5h deadline=2m stall=30s`
//! `up=-1m`, `max=4h pace=2h followed`, `on_demand demand=5m`, `initial_delay=1h since=-5m`, `after=due|running|never|failed|stopped|done` (how the one before it stands),
//! `needs=unmetered,charging,battery,storage,idle,local,known`, `window=22:00-06:00`, `last=done@-30m|failed@-30s|user@-1m|crash@-1m` (when it began; failed:
//! ended), `failures=2`, `running@-1m heard@-10s`, `request@-1s person force reset`, `change=-3s,-1s`, `call=ping`, `next=+5m`, `paused`, `epoch`, `manual`, `account`,
//! `spread=250` (per mille). Of the world: `stopped`, `offline`, `metered`, `on_battery`, `battery_low`, `storage_low`,
//! `disk_shut`, `busy`, `sleeps`. Of its remote: `login`, `patience=-1m,+5m`, `budget=-1m,+5m`, `away`. Times are from now.
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

pub(super) fn duration(text: &str) -> Duration {
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

pub(super) fn moment(text: &str) -> Timestamp {
    match text.split_at(1) {
        ("-", ago) => NOON.minus(duration(ago)),
        ("+", ahead) => NOON.plus(duration(ahead)),
        _ => panic!("no time {text}"),
    }
}

pub(super) fn shown(at: Timestamp) -> String {
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
    let mut first = None;
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').or_else(|| word.split_once('@')).unwrap_or((word, ""));
        let value = value.to_owned();
        let pair = |of: &str| of.split_once(',').map(|(a, b)| (moment(a), moment(b))).unwrap();
        match key {
            "every" => plan.interval = Some(Interval { every: duration(&value), flex: Duration::ZERO }),
            "flex" => plan.interval.as_mut().unwrap().flex = duration(&value),
            "cron" => plan.cron = Some(cron::Cron::parse(&value.replace('_', " "), TimeZone::UTC).unwrap()),
            "max" => plan.grows_to = Some(duration(&value)),
            "pace" => later.push(Box::new(move |job| job.pace = duration(&value))),
            "followed" => later.push(Box::new(|job| job.followed = true)),
            "on_demand" => plan.on_demand = true,
            "demand" => later.push(Box::new(move |job| job.demand = Some(Demand { age: duration(&value), by: None, count: 1 }))),
            "initial_delay" => plan.initial_delay = Some(duration(&value)),
            "since" => later.push(Box::new(move |job| job.since = moment(&value))),
            "after" => {
                plan.after = vec!["first".into()];
                first = Some(goes_first(&value));
            }
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
                "known" => plan.needs.unknown_holds = true,
                need => panic!("no need {need}"),
            }),
            "window" => plan.needs.window = Some(Window::parse(value.replace('_', " ").split(';'), TimeZone::UTC).unwrap()),
            "spread" => plan.spread = Spread::per_mille(value.parse().unwrap()),
            "last" => {
                let (how, at) = value.split_once('@').unwrap();
                let at = moment(at);
                last = match how {
                    "done" => {
                        later.push(Box::new(move |job| job.fresh = Some(at)));
                        Last::Done { began: at }
                    }
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
            "call" => {
                let why = [Trigger::Ping, Trigger::Startup, Trigger::Demand].into_iter().find(|why| why.name() == value).unwrap();
                later.push(Box::new(move |job| job.call(why)));
            }
            "next" => later.push(Box::new(move |job| job.next = Some(moment(&value)))),
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
            "budget" => {
                let (asked, until) = pair(&value);
                remote.budget = Some(Patience { asked, until });
            }
            "away" => remote.away = Some("app".into()),
            "stopped" => conditions.stopped = Some(StopReason::User),
            "offline" => conditions.online = Some(false),
            "metered" => conditions.metered = Some(true),
            "on_battery" => conditions.charging = Some(false),
            "battery_low" => conditions.battery_low = Some(true),
            "storage_low" => conditions.storage_low = Some(true),
            "disk_shut" => conditions.disk_shut = true,
            "busy" => conditions.idle = Some(false),
            "sleeps" => conditions.sleeps = true,
            key => panic!("no word {key}"),
        }
    }
    let mut job = Job::new(plan, last, failures, NOON);
    job.up = None;
    later.into_iter().for_each(|change| change(&mut job));
    let first = first.map(|first| ("first".into(), first));
    let board = Board { jobs: first.into_iter().chain([("s".into(), job)]).collect(), remotes: [("r".into(), remote)].into() };
    World { board, conditions }
}

/// A sync that goes first, as it stands.
fn goes_first(how: &str) -> Job {
    let hourly = Some(Interval { every: duration("1h"), flex: Duration::ZERO });
    let by_itself = Plan { remote: "other".into(), interval: hourly, ..Plan::default() };
    let never_by_itself = Plan { remote: "other".into(), ..Plan::default() };
    let done = Last::Done { began: moment("-10m") };
    match how {
        "due" => Job { up: None, ..Job::new(by_itself, Last::Done { began: moment("-2h") }, 0, NOON) },
        "running" => {
            let mut job = Job::new(by_itself, done, 0, NOON);
            job.begin(moment("-1m"));
            job
        }
        "never" => Job::new(never_by_itself, Last::Never, 0, NOON),
        "failed" => Job::new(by_itself, Last::Failed { ended: moment("-10s") }, 1, NOON),
        "stopped" => {
            let last = Last::Stopped { began: moment("-1m"), reason: StopReason::User };
            Job::new(never_by_itself, last, 0, NOON)
        }
        "done" => Job::new(by_itself, done, 0, NOON),
        how => panic!("none goes first like {how}"),
    }
}

pub(super) fn outcome(world: &World) -> String {
    let Decision { mut start, stop, hold, wake_at } = decide(&world.board, &world.conditions, NOON);
    start.retain(|start| &*start.sync == "s");
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

pub(super) fn failures(table: &[&str]) -> Vec<String> {
    let one = |line: &&str| {
        let (input, expect) = line.split_once(" => ").expect("a line has =>");
        let found = outcome(&world(input));
        (found != expect).then(|| format!("{line}\n  found: {found}"))
    };
    table.iter().filter_map(one).collect()
}

#[track_caller]
pub(super) fn check(table: &[&str]) {
    let failures = failures(table);
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}
