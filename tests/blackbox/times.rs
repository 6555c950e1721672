//! Owns: schedules over restarts, crowds of them, and zones that change under them, at the real daemon.
//! Must never know: how the clock is read, how anything is decided.

use std::{collections::BTreeMap, time::Duration};

use mingle_tests::{
    app::App,
    daemon::Home,
    rest_server::{Fault, Options, RestServer},
    tally,
    wait::{self, until, until_within},
};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::bench::{Scripted, scripted};

/// Remotes of the crowd: with four runs each, more than run at once in all.
const REMOTES: usize = 8;
/// Runs at once, in all and with one remote.
const AT_ONCE: (usize, usize) = (16, 4);

/// A write of an app while a crowd runs, of a daemon that shares its machine with other tests.
const SERVED_WITHIN: Duration = Duration::from_secs(3);

/// When the runs of a store began and ended, in milliseconds, by sync.
fn runs_in(home: &Home) -> BTreeMap<String, Vec<(i64, i64)>> {
    let store = Connection::open_with_flags(home.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store");
    let mut asked = store.prepare("SELECT sync, started, ended FROM m_run WHERE status = 'done'").expect("runs");
    let rows = asked.query_map([], |row| Ok((row.get::<_, String>(0)?, (row.get(1)?, row.get(2)?)))).expect("runs");
    let mut runs = BTreeMap::<String, Vec<(i64, i64)>>::new();
    rows.map(|row| row.expect("a run")).for_each(|(sync, span)| runs.entry(sync).or_default().push(span));
    runs
}

/// The most that ran at one moment. Who ends in the millisecond in which another begins ended before it.
fn most_at_once<'a>(spans: impl Iterator<Item = &'a (i64, i64)>) -> usize {
    let mut steps: Vec<(i64, i32)> = spans.flat_map(|(began, ended)| [(*began, 1), (*ended, -1)]).collect();
    steps.sort_unstable();
    let (mut on, mut most) = (0, 0);
    for (_, step) in steps {
        on += step;
        most = most.max(on);
    }
    usize::try_from(most).unwrap_or(0)
}

/// All of a crowd are due at the start. Each runs once, never more at once than may, apps are served meanwhile, and nobody is
/// left. `MINGLE_CROWD` says how many there are.
#[test]
fn a_crowd_that_is_due_at_once_runs_in_turns() {
    let count: usize = std::env::var("MINGLE_CROWD").map_or(1_000, |count| count.parse().expect("a number"));
    let lists: Vec<String> = (0..count).map(|place| format!("l{place:05}")).collect();
    let server = RestServer::start(Options::default(), &lists.iter().map(String::as_str).collect::<Vec<_>>());
    let mut config: String = (0..REMOTES)
        .map(|place| {
            format!("[remote.f{place}]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n", RestServer::PROFILE, server.url)
        })
        .collect();
    for (place, list) in lists.iter().enumerate() {
        let remote = place % REMOTES;
        let direction = if place == 0 { "both\"\non_change = false" } else { "down\"" };
        config += &format!(
            "[sync.{list}]\ncollection = \"{list}\"\nremote = \"f{remote}\"\nresource = \"{list}\"\ndirection = \"{direction}\nevery = \"365d\"\n"
        );
    }
    let home = Home::new(Some(&config));
    server.write_profile(&home.config_dir());
    let watch = wait::Watch::start();
    let mut daemon = home.start();
    let answered = watch.elapsed();
    let mut app = daemon.app("tester");
    let mut slowest = Duration::ZERO;
    until_within("every run", Duration::from_secs(20 + count as u64 / 10), || {
        let asked = wait::Watch::start();
        app.put("l00000", "mine", &json!({ "v": 1 }));
        slowest = slowest.max(asked.elapsed());
        wait::pass(Duration::from_millis(100));
        (runs_in(&daemon).len() == count).then_some(())
    });
    let all = watch.elapsed();
    let _ = daemon.terminate();
    let runs = runs_in(&daemon);
    let not_once: Vec<&String> = lists.iter().filter(|list| runs.get(*list).map(Vec::len) != Some(1)).collect();
    let at_once = most_at_once(runs.values().flatten());
    let of_remote =
        |remote: usize| most_at_once(lists.iter().skip(remote).step_by(REMOTES).filter_map(|list| runs.get(list)).flatten());
    let with_one = (0..REMOTES).map(of_remote).max().unwrap_or(0);
    eprintln!(
        "{count} due at once: first answer after {answered:?}, all done after {all:?}, slowest write {slowest:?}, {at_once} at once, {with_one} with one remote"
    );
    tally::tell("due-at-once", count as u64, not_once.len() as u64);
    assert!(not_once.is_empty(), "did not run once: {not_once:?}");
    assert!(slowest < SERVED_WITHIN, "an app waited {slowest:?} meanwhile");
    assert!(at_once <= AT_ONCE.0 && with_one <= AT_ONCE.1, "{at_once} at once, {with_one} with one remote");
}

/// When its schedule lets it run next.
#[track_caller]
fn next(app: &mut App, sync: &str) -> String {
    let shown = app.status(sync);
    shown["next_at"].as_str().unwrap_or_else(|| panic!("no next run: {shown}")).to_owned()
}

fn moment(text: &str) -> jiff::Timestamp {
    text.parse().expect("a moment")
}

/// How much later the second is.
fn apart_ms(from: &str, to: &str) -> i128 {
    moment(to).duration_since(moment(from)).as_millis()
}

fn hold(app: &mut App) -> Value {
    app.must("explain", json!({ "sync": "things" }))["holds"][0].clone()
}

/// A daemon that dies while a sync pauses after failures does not try earlier, nor begins its pauses anew.
#[test]
fn a_pause_after_failures_is_kept_over_kills() {
    let mut bench = scripted(Options::default(), "every = \"1d\"\nbackoff = { first = \"3s\", at_most = \"1h\" }\n");
    until("the first run", || (bench.app.status("things")["state"] == "waiting").then_some(()));
    let refuse = |bench: &Scripted| bench.server.next("GET", Fault::Status(500, Vec::new()));
    refuse(&bench);
    let run = bench.app.run("things");
    assert_eq!(bench.app.ended(&run), "failed");
    let first = next(&mut bench.app, "things");
    assert_eq!(hold(&mut bench.app)["name"], "backoff");
    refuse(&bench);
    let _ = bench.server.log();
    bench.kill_and_start();
    let again = next(&mut bench.app, "things");
    // What the store remembers of the end was written a moment before the loop heard of it.
    assert!(apart_ms(&again, &first).abs() < 500, "the same moment, not earlier and not anew: {first}, {again}");
    until("the next try", || (!bench.server.log().is_empty()).then_some(()));
    assert!(jiff::Timestamp::now() >= moment(&again), "tried before {again}");
    until("its failure", || (hold(&mut bench.app)["has"] == "the last 2 runs failed").then_some(()));
    let second = next(&mut bench.app, "things");
    assert!(apart_ms(&first, &second) >= 6_000, "the second pause is twice the first: {first}, {second}");
    for _ in 0..2 {
        bench.kill_and_start();
        let again = next(&mut bench.app, "things");
        assert!(apart_ms(&again, &second).abs() < 500, "{second}, {again}");
        assert_eq!(hold(&mut bench.app)["has"], "the last 2 runs failed");
    }
    // A person's request passes it, and a success ends it.
    bench.app.sync("things", "done");
    assert_ne!(hold(&mut bench.app)["name"], "backoff");
}

/// When something is due is kept over kills and ends, by interval and by the wall clock, and what was missed meanwhile is one run.
#[test]
fn due_times_are_kept_over_restarts_and_missed_ones_are_one_run() {
    let others = "[sync.others]\ncollection = \"others\"\nremote = \"far\"\nresource = \"others\"\ndirection = \"down\"\non_start = false\ncron = \"30 2 * * *\"\ntimezone = \"Europe/Paris\"\n";
    let often = "[sync.often]\ncollection = \"often\"\nremote = \"far\"\nresource = \"often\"\ndirection = \"down\"\non_start = false\ncron = \"*/2 * * * * *\"\n";
    let server = RestServer::start(Options::default(), &["things", "others", "often"]);
    let config = crate::bench::scripted_config(&server.url, &format!("every = \"6h\"\n{others}{often}"));
    let home = Home::new(Some(&config));
    server.write_profile(&home.config_dir());
    let mut daemon = home.start();
    let mut app = daemon.app("tester");
    for sync in ["things", "others"] {
        until("the first run", || (app.status(sync)["state"] == "waiting").then_some(()));
    }
    let due = ["things", "others"].map(|sync| next(&mut app, sync));
    for kill in [true, false] {
        until("a run by the wall clock", || runs_in(&daemon).get("often").filter(|runs| runs.len() >= 2).map(|_| ()));
        if kill {
            daemon.kill();
        } else {
            let _ = daemon.terminate();
        }
        let before = runs_in(&daemon)["often"].len();
        // Long enough for two or three rings, which nobody hears.
        wait::pass(Duration::from_millis(5_000));
        let started = jiff::Timestamp::now().as_millisecond();
        daemon.start();
        app = daemon.app("tester");
        assert_eq!(["things", "others"].map(|sync| next(&mut app, sync)), due);
        until("the run that was missed", || (runs_in(&daemon)["often"].len() > before + 1).then_some(()));
        let runs = runs_in(&daemon)["often"].clone();
        // One of what was missed, and then one a ring: two seconds apart.
        let at_start = runs.iter().filter(|(began, _)| (started..started + 1_000).contains(began)).count();
        assert!(at_start <= 1 + 1, "{at_start} runs in the second after the start: {runs:?}");
    }
}

/// The system is moved to another zone while the daemon runs: what rings by the system's zone rings by the new one.
#[test]
fn a_zone_that_changes_under_the_daemon_is_followed() {
    let server = RestServer::start(Options::default(), &["things"]);
    let config = crate::bench::scripted_config(&server.url, "cron = \"0 12 * * *\"\n");
    let mut home = Home::new(Some(&config));
    server.write_profile(&home.config_dir());
    let own = home.dir().join("zone");
    let put = |zone: &str| {
        let rules = std::fs::read(std::path::Path::new("/usr/share/zoneinfo").join(zone)).expect("the rules of a zone");
        std::fs::write(&own, rules).expect("a zone of our own");
    };
    put("Asia/Tokyo");
    home.set("TZ", format!(":{}", own.display()));
    let daemon = home.start();
    let mut app = daemon.app("tester");
    until("the first run", || (app.status("things")["state"] == "waiting").then_some(()));
    let hour = |app: &mut App| next(app, "things")[11..16].to_owned();
    assert_eq!(hour(&mut app), "03:00", "noon in Tokyo");
    put("Etc/GMT+3");
    app.must("reload", json!({}));
    assert_eq!(hour(&mut app), "15:00", "noon three hours west of Greenwich");
    // Without a word it is noticed within the longest sleep.
    put("Asia/Tokyo");
    until("the zone to be noticed", || (hour(&mut app) == "03:00").then_some(()));
    assert_eq!(
        app.must("history", json!({ "sync": "things" }))["runs"].as_array().map(Vec::len),
        Some(1),
        "and nothing runs for it"
    );
}
