//! Owns: the kill loop (T1): the real daemon is killed with -9 again and again under apps that write and a sync that runs; what was
//! acknowledged must be there afterwards, and both sides equal in the end. Must never know: how a write is kept.
//!
//! `MINGLE_KILLS` says how often (30 in a plain test run), `MINGLE_SEED` the moments.

mod crew;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crew::Crew;
use mingle_tests::{
    app::App,
    chance::Chance,
    daemon::{Daemon, Home},
    rest_server::{Fault, Options, RestServer},
    wait::{self, Times, Watch, until_within},
};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Each kill comes so long after the first acknowledgement of its life, at most.
const LIFE: Duration = Duration::from_millis(40);

/// What the loop found.
struct Report {
    kills: u64,
    /// Kills that left a call of an app without its answer.
    unanswered: u64,
    /// Kills that cut a run off.
    running: u64,
    /// Kills that did one or the other.
    hit: u64,
    acknowledged: u64,
    lost: Vec<String>,
    starts: Times,
    took: Duration,
}

impl Report {
    fn told(&self) -> String {
        let rate = f64::from(u32::try_from(self.kills).unwrap_or(u32::MAX)) / self.took.as_secs_f64();
        format!(
            "{} kills in {:.1} s ({rate:.1}/s): {} left a call unanswered, {} cut a run off, {} did either; {} writes acknowledged, {} lost; start {}",
            self.kills,
            self.took.as_secs_f64(),
            self.unanswered,
            self.running,
            self.hit,
            self.acknowledged,
            self.lost.len(),
            self.starts.told()
        )
    }
}

fn config(url: &str) -> String {
    format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{url}\"\n\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"things\"\ndirection = \"both\"\nevery = \"1s\"\n\
         on_change = {{ after = \"1ms\", at_most = \"10ms\" }}\nbackoff = {{ first = \"50ms\", at_most = \"1s\" }}\n",
        RestServer::PROFILE
    )
}

/// How it is killed.
struct How {
    kills: u64,
    service: Options,
    /// Requests get lost, answers get lost, errors that are none.
    faults: bool,
    planted: Option<&'static str>,
}

/// How often, where the environment does not say.
fn kills(usual: u64) -> u64 {
    std::env::var("MINGLE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

fn fault(chance: &mut Chance) -> Fault {
    match chance.below(8) {
        0 => Fault::CutBefore,
        1 | 2 => Fault::CutAfter,
        3 => Fault::StatusAfter(500),
        4 => Fault::StatusAfter(503),
        5 => Fault::Status(502, Vec::new()),
        6 => Fault::HangAfter,
        _ => Fault::Lag(Duration::from_millis(10)),
    }
}

/// Kills so often; where a bug is planted, only until something is lost.
fn kill(how: How) -> (Report, RestServer, Daemon) {
    let How { kills, service, faults, planted } = how;
    let until_lost = planted.is_some();
    let seed = Chance::seed(11);
    let mut chance = Chance::new(seed);
    eprintln!("killing: seed {seed}");
    let server = RestServer::start(service, &["things"]);
    let mut home = Home::new(Some(&config(&server.url)));
    server.write_profile(&home.config_dir());
    if let Some(bug) = planted {
        home.set("MINGLE_PLANTED", bug);
    }
    let mut daemon = home.start();
    let crew = Crew::start(&daemon.socket(), seed);
    let watch = Watch::start();
    let mut report = Report {
        kills: 0,
        unanswered: 0,
        running: 0,
        hit: 0,
        acknowledged: 0,
        lost: Vec::new(),
        starts: Times::default(),
        took: Duration::ZERO,
    };
    let mut far = 0;
    let mut last_cut = cut_off(&daemon);
    while report.kills < kills && !(until_lost && crew.lost() > 0) {
        // Every life does something: without an acknowledgement there would be nothing to lose.
        let before = crew.acknowledged();
        until_within("an acknowledged write", Duration::from_secs(20), || (crew.acknowledged() > before).then_some(()));
        far += 1;
        let id = format!("far-{}", far % crew::FAR);
        if far <= crew::FAR {
            server.put("things", &id, &json!({ "far": far }));
        } else {
            server.patch("things", &id, &json!({ "far": far }));
        }
        if faults {
            let method = ["POST", "PUT", "PUT", "GET", "DELETE"][usize::try_from(chance.below(5)).expect("a place")];
            server.next(method, fault(&mut chance));
        }
        // The moment of the kill is left to chance.
        wait::pass(chance.time(LIFE));
        let calling = crew.calling();
        daemon.kill();
        report.kills += 1;
        report.starts.note(daemon.start());
        let (left, cut) = (crew.left_unanswered(&calling), cut_off(&daemon));
        report.unanswered += u64::from(left);
        report.running += u64::from(cut != last_cut);
        report.hit += u64::from(left || cut != last_cut);
        last_cut = cut;
    }
    report.took = watch.elapsed();
    let expected = crew.end();
    report.acknowledged = expected.acknowledged;
    report.lost = expected.lost;
    let mut app = daemon.app("looker");
    report.lost.extend(missing(&mut app, &expected.values));
    (report, server, daemon)
}

/// The last run that a crash cut off.
fn cut_off(daemon: &Daemon) -> Option<String> {
    let history = daemon.app("looker").must("history", json!({ "limit": 5 }));
    let rows = history["runs"].as_array().expect("runs").iter();
    rows.filter(|row| row["stop_reason"] == "crash").find_map(|row| row["run"].as_str().map(str::to_owned))
}

/// What the apps were told is written, and is not there.
fn missing(app: &mut App, values: &[crew::Expected]) -> Vec<String> {
    let mut missing = Vec::new();
    for one in values {
        let there = app.get("things", &one.id).map_or(Value::Null, |data| data[&one.property].clone());
        if there != one.value {
            missing.push(format!("{} {}: {there}, acknowledged {}", one.id, one.property, one.value));
        }
    }
    missing
}

/// Runs until nothing is left to be sent and nothing left to come.
fn settle(daemon: &Daemon, server: &RestServer) {
    server.calm();
    let mut app = daemon.app("looker");
    let mut quiet = 0;
    until_within("everything to be settled", Duration::from_secs(120), || {
        let run = app.run("things");
        let state = app.ended(&run);
        let row = app.row("things", &run);
        let idle = state == "done" && row["up"] == 0 && row["down"] == 0 && app.status("things")["pending"] == 0;
        quiet = if idle { quiet + 1 } else { 0 };
        (quiet == 2).then_some(())
    });
}

fn assert_sound(daemon: &mut Daemon) {
    let status = daemon.app("looker").must("status", json!({}));
    assert_eq!(status["attention"], json!([]), "{status}");
    assert_eq!(daemon.terminate().0.code(), Some(0));
    let conn = Connection::open(daemon.store()).expect("the store");
    let sound: String = conn.query_row("PRAGMA integrity_check", (), |row| row.get(0)).expect("a check of the store");
    assert_eq!(sound, "ok");
}

#[test]
fn an_acknowledged_write_survives_kill_9() {
    let how = How { kills: kills(30), service: Options::default(), faults: false, planted: None };
    let (report, server, mut daemon) = kill(how);
    eprintln!("killing: {}", report.told());
    assert!(report.lost.is_empty(), "{:#?}", report.lost);
    assert!(report.hit * 2 >= report.kills, "too few kills hit anything: {}", report.told());
    settle(&daemon, &server);
    let (truth, theirs) = (daemon.app("looker").all("things"), server.rows("things"));
    let ids: BTreeSet<&String> = truth.keys().chain(theirs.keys()).collect();
    for id in ids {
        assert_eq!(truth.get(id), theirs.get(id), "{id}: truth, theirs");
    }
    assert_sound(&mut daemon);
}

/// A service without revisions, preconditions or ids of ours, that loses requests and answers besides: what is in doubt after a
/// kill is looked up, never done twice.
#[test]
fn nothing_is_lost_or_doubled_at_a_careless_service_that_loses_answers() {
    let how = How { kills: kills(30).div_ceil(2), service: Options::careless(), faults: true, planted: None };
    let (report, server, mut daemon) = kill(how);
    eprintln!("killing, careless: {}", report.told());
    assert!(report.lost.is_empty(), "{:#?}", report.lost);
    settle(&daemon, &server);
    // The service makes its own ids: records are compared by what is in them.
    let sorted = |rows: BTreeMap<String, Value>| {
        let mut rows: Vec<String> = rows.into_values().map(|row| row.to_string()).collect();
        rows.sort();
        rows
    };
    let (truth, theirs) = (sorted(daemon.app("looker").all("things")), sorted(server.rows("things")));
    let doubled: Vec<&String> = theirs.windows(2).filter(|two| two[0] == two[1]).map(|two| &two[0]).collect();
    assert!(doubled.is_empty(), "twice at the service: {doubled:#?}");
    assert_eq!(truth, theirs);
    assert_sound(&mut daemon);
}

/// Whether the loop can see a loss at all: with answers before the commit it must, within a hundred kills.
#[cfg(feature = "planted")]
#[test]
fn with_the_acknowledgement_before_the_commit_the_loop_sees_losses() {
    let (report, _server, _daemon) =
        kill(How { kills: 100, service: Options::default(), faults: false, planted: Some("ack before commit") });
    eprintln!("killing, planted: {}", report.told());
    assert!(!report.lost.is_empty(), "the loop saw no loss: {}", report.told());
}
