//! Owns: the kill loop (T1): the real daemon is killed with -9 again and again under apps that write and a sync that runs; what was
//! acknowledged must be there afterwards, and both sides equal in the end. Must never know: how a write is kept.
//!
//! `MINGLE_KILLS` says how often (30 in a plain test run), `MINGLE_SEED` the moments.

mod answers;
mod crew;

use std::time::Duration;

use crew::Crew;
use mingle_tests::{
    app::App,
    chance::Chance,
    daemon::{Daemon, Home},
    rest_server::{Options, RestServer},
    tally,
    wait::{self, Times, Watch, until, until_within},
};
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

/// Kills so often, or until something is lost where that is what is looked for.
fn kill(kills: u64, planted: Option<&str>, until_lost: bool) -> (Report, RestServer, Daemon) {
    let seed = Chance::seed(11);
    let mut chance = Chance::new(seed);
    eprintln!("killing: seed {seed}");
    let server = RestServer::start(Options::default(), &["things"]);
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

#[test]
fn an_acknowledged_write_survives_kill_9() {
    let kills = std::env::var("MINGLE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let (report, server, mut daemon) = kill(kills, None, false);
    eprintln!("killing: {}", report.told());
    tally::tell("kills", report.kills, u64::try_from(report.lost.len()).unwrap_or(u64::MAX));
    assert!(report.lost.is_empty(), "{:#?}", report.lost);
    assert!(report.hit * 2 >= report.kills, "too few kills hit anything: {}", report.told());

    // Both sides are equal in the end, and nothing is left to be said.
    let mut app = daemon.app("looker");
    until_within("everything to be sent", Duration::from_secs(120), || {
        let status = app.status("things");
        (status["state"] == "waiting" && status["pending"] == 0).then_some(())
    });
    let differing = || -> Vec<String> {
        let (truth, theirs) = (daemon.app("looker").all("things"), server.rows("things"));
        let ids: std::collections::BTreeSet<&String> = truth.keys().chain(theirs.keys()).collect();
        let differ = ids.into_iter().filter(|id| truth.get(*id) != theirs.get(*id));
        differ.map(|id| format!("{id}: truth {:?}, theirs {:?}", truth.get(id), theirs.get(id))).collect()
    };
    until("both sides to be equal, or to be quiet", || {
        (differing().is_empty() || app.sync("things", "done")["up"] == 0).then_some(())
    });
    assert_eq!(differing(), Vec::<String>::new());
    let status = app.must("status", json!({}));
    assert_eq!(status["attention"], json!([]), "{status}");
    assert_eq!(daemon.terminate().0.code(), Some(0));
    let said = daemon.says(0, &["fsck"]);
    assert!(said.starts_with("good: ") && said.ends_with("every rule holds\n"), "{said}");
}

/// Whether the loop can see a loss at all: with answers before the commit it must, within a hundred kills.
#[cfg(feature = "planted")]
#[test]
fn planted_acknowledgement_before_the_commit_loses_writes() {
    let (report, _server, _daemon) = kill(100, Some("ack before commit"), true);
    eprintln!("killing, planted: {}", report.told());
    assert!(!report.lost.is_empty(), "the loop saw no loss: {}", report.told());
}
