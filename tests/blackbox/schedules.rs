//! Owns: when syncs run, as people and apps see it: who goes first, delays, intervals that adapt, pings. Must never know: how it is decided.

use mingle_tests::{
    rest_server::{Fault, Options},
    wait::until,
};
use serde_json::{Value, json};

use crate::bench::{Scripted, fill, scripted, scripted_config};

/// A second sync, behind the first.
fn others(more: &str) -> String {
    format!(
        "[sync.others]\ncollection = \"others\"\nremote = \"far\"\nresource = \"others\"\ndirection = \"both\"\non_change = false\n{more}"
    )
}

/// The first hold of a sync: its name, and how it is now.
fn hold(world: &mut Scripted, sync: &str) -> (String, String) {
    let explained = world.app.must("explain", json!({ "sync": sync }));
    let word = |key: &str| explained["holds"][0][key].as_str().unwrap_or_default().to_owned();
    (word("name"), word("has"))
}

/// How often a sync has run so far, and what made the last run due.
fn runs(world: &mut Scripted, sync: &str) -> (usize, String) {
    let runs = world.app.must("history", json!({ "sync": sync }))["runs"].take();
    let runs = runs.as_array().expect("runs");
    (runs.len(), runs.first().map_or("", |run| run["trigger"].as_str().unwrap_or_default()).to_owned())
}

#[test]
fn a_sync_waits_for_those_that_go_first() {
    let mut world = scripted(Options::default(), &others("after = [\"things\"]\n"));
    let run = world.app.run("others");
    assert_eq!(hold(&mut world, "others"), ("after".into(), "things goes first, and never ran".into()));
    assert_eq!(world.app.status("others")["state"], "blocked");
    let said = world.daemon.says(0, &["status", "--next"]);
    assert!(said.contains("others  blocked  after: things goes first, and never ran"), "{said}");

    // One that fails does not let others go.
    world.server.next("GET", Fault::Status(500, Vec::new()));
    world.app.sync("things", "failed");
    assert_eq!(hold(&mut world, "others"), ("after".into(), "things goes first, and its last run failed".into()));
    assert_eq!(runs(&mut world, "others").0, 0);

    // As soon as it has ended well, they go.
    world.app.sync("things", "done");
    assert_eq!(world.app.ended(&run), "done");
    assert_eq!(runs(&mut world, "others"), (1, "request".into()));

    // A person's insistence passes it.
    world.server.next("GET", Fault::Status(500, Vec::new()));
    world.app.sync("things", "failed");
    world.app.run("others");
    assert_eq!(hold(&mut world, "others").0, "after");
    let run = world.app.must("sync.run", json!({ "sync": "others", "force": true }))["run"].take();
    assert_eq!(world.app.ended(run.as_str().expect("a run")), "done");
}

#[test]
fn a_circle_of_syncs_is_refused_and_what_is_in_force_stays() {
    let mut world = scripted(Options::default(), &others("after = [\"things\"]\n"));
    world
        .daemon
        .configure(&scripted_config(&world.server.url, &format!("after = [\"others\"]\n{}", others("after = [\"things\"]\n"))));
    let error = world.app.refused("invalid", "reload", json!({}));
    let hint = error["data"]["hint"].as_str().expect("a hint");
    assert!(
        hint.contains(
            "config.toml:20: `after` goes in a circle, and none of these would ever run: others after things after others"
        ),
        "{hint}"
    );
    let said = world.daemon.says(78, &["config", "check"]);
    assert!(said.contains("take one of the names out"), "{said}");
    assert_eq!(world.app.must("sync.get", json!({ "sync": "others" }))["after"], json!(["things"]));
    assert_eq!(world.app.must("sync.get", json!({ "sync": "things" })).get("after"), None);
    world.app.sync("things", "done");
    world.app.sync("others", "done");
}

#[test]
fn an_interval_adapts_to_what_runs_bring_and_remembers_it() {
    let mut world = scripted(Options::default(), "every = { min = \"1h\", max = \"8h\" }\nflex = \"1s\"\n");
    let needs = |world: &mut Scripted| {
        let explained = world.app.must("explain", json!({ "sync": "things" }));
        assert_eq!(explained["holds"][0]["name"], "interval", "{explained}");
        explained["holds"][0]["needs"].as_str().unwrap_or_default().to_owned()
    };
    // The moment lies in the last second of the interval.
    let hours = |needs: &str, hours: u32| {
        let almost = if hours == 1 { "59 min".to_owned() } else { format!("{} h 59 min", hours - 1) };
        needs == format!("{hours} h since then") || needs.starts_with(&almost)
    };
    let rests = |world: &mut Scripted| until("its end", || (world.app.status("things")["state"] == "waiting").then_some(()));
    rests(&mut world);
    let first = needs(&mut world);
    assert!(hours(&first, 2), "nothing came: {first}");
    world.app.sync("things", "done");
    world.app.sync("things", "done");
    world.app.sync("things", "done");
    rests(&mut world);
    let slow = needs(&mut world);
    assert!(hours(&slow, 8), "nothing came four times, and eight hours are the longest: {slow}");
    fill(&world.server, 3);
    world.app.sync("things", "done");
    rests(&mut world);
    let sooner = needs(&mut world);
    assert!(hours(&sooner, 4), "something came: {sooner}");
    world.kill_and_start();
    let kept = needs(&mut world);
    assert!(hours(&kept, 4), "it is known after a start: {kept}");
    // As long as somebody follows what it brings, it is the shortest; who reads it has it brought sooner.
    let mut follower = world.daemon.app("follower");
    follower.must("subscribe", json!({ "collections": ["things"] }));
    until("the shortest", || hours(&needs(&mut world), 1).then_some(()));
    drop(follower);
    until("as it was", || hours(&needs(&mut world), 4).then_some(()));
    assert_eq!(world.app.get("things", "r00").map(|data| data["n"].clone()), Some(json!(0)));
    until("sooner", || hours(&needs(&mut world), 2).then_some(()));
    let defined = world.app.must("sync.get", json!({ "sync": "things" }));
    assert_eq!((&defined["every_ms"], &defined["every_max_ms"]), (&json!(3_600_000), &json!(28_800_000)));
}

#[test]
fn the_delay_of_a_first_run_goes_on_over_a_kill() {
    let mut world = scripted(Options::default(), "every = \"1h\"\ninitial_delay = \"1h\"\n");
    let until = |world: &mut Scripted| {
        let hold = world.app.status("things")["hold"].take();
        assert_eq!(hold["name"], "initial_delay", "{hold}");
        hold["until_at"].clone()
    };
    let due = until(&mut world);
    assert_ne!(due, Value::Null);
    world.kill_and_start();
    assert_eq!(until(&mut world), due);
    assert_eq!(runs(&mut world, "things").0, 0);
    // Who asks does not wait for it.
    world.app.sync("things", "done");
    assert_eq!(hold(&mut world, "things").0, "interval");
}

/// The watch over the schedule: what is due and does not run is told after `alert_after`, and when it is over.
#[test]
fn a_sync_that_is_due_and_does_not_run_is_told() {
    let more = others("every = \"1s\"\nalert_after = \"1s\"\nafter = [\"things\"]\n");
    let mut world = scripted(Options::default(), &more);
    let mut ear = world.daemon.app("ear");
    ear.must("subscribe", json!({ "topics": ["attention"] }));
    let overdue = |world: &mut Scripted| {
        let status = world.app.must("status", json!({}));
        let all = status["attention"].as_array().expect("a list").clone();
        all.iter().find(|one| one["name"] == "overdue").map(|one| format!("{} {}", one["about"], one["hint"]))
    };
    let said = until("the alert", || overdue(&mut world));
    assert!(said.contains("others") && said.contains("things goes first, and never ran"), "{said}");
    ear.hear("the event", |message| message["params"]["name"] == "overdue");
    // A person's stop is told as a stop, and nothing is late by it.
    world.app.must("stop", json!({}));
    assert_eq!(overdue(&mut world), None);
    world.app.must("restart", json!({}));
    world.app.sync("things", "done");
    until("its end", || overdue(&mut world).is_none().then_some(()));
}

/// C-37, C-45: a push wakes the syncs that it names, each once, and one that is held does not stop the others.
#[test]
fn a_ping_makes_syncs_due_each_once() {
    let mut world = scripted(Options::default(), &format!("every = \"1h\"\n{}", others("every = \"1h\"\n")));
    until("the first runs", || {
        ["things", "others"].iter().all(|sync| world.app.status(sync)["last"]["status"] == "done").then_some(())
    });
    world.app.must("sync.pause", json!({ "sync": "others" }));
    let pinged = world.app.must("sync.ping", json!({ "syncs": ["things", "others", "things"] }))["syncs"].take();
    assert_eq!(pinged[0]["sync"], "others");
    assert_eq!(pinged[0]["hold"]["name"], "paused");
    assert_eq!((&pinged[1]["sync"], &pinged[1]["state"], pinged.get(2)), (&json!("things"), &json!("ready"), None));
    until("the run", || (runs(&mut world, "things") == (2, "ping".into())).then_some(()));
    until("its end", || (world.app.status("things")["state"] == "waiting").then_some(()));
    assert_eq!(runs(&mut world, "others").0, 1, "it is paused");
    // What held it is gone, and the ping is not forgotten.
    world.app.must("sync.resume", json!({ "sync": "others" }));
    until("the run", || (runs(&mut world, "others") == (2, "ping".into())).then_some(()));
    until("its end", || (world.app.status("others")["state"] == "waiting").then_some(()));

    // By the remote, and from the command line.
    let said = world.daemon.says(0, &["ping", "--remote", "far"]);
    assert!(said.contains("others is ready") && said.contains("things is ready"), "{said}");
    until("the runs", || (runs(&mut world, "things").0 == 3 && runs(&mut world, "others").0 == 3).then_some(()));
    world.app.refused("not_found", "sync.ping", json!({ "syncs": ["things", "thongs"] }));
    world.app.refused("not_found", "sync.ping", json!({ "remote": "near" }));
    world.app.refused("invalid", "sync.ping", json!({}));
    world.app.refused("invalid", "sync.ping", json!({ "syncs": ["things"], "remote": "far" }));
    let many: Vec<String> = (0..1_001).map(|number| format!("s{number}")).collect();
    world.app.refused("too_large", "sync.ping", json!({ "syncs": many }));

    // A ping does not pass the pause after a failure.
    until("rest", || (world.app.status("things")["state"] == "waiting").then_some(()));
    world.server.next("GET", Fault::Status(500, Vec::new()));
    world.app.sync("things", "failed");
    let pinged = world.app.must("sync.ping", json!({ "syncs": ["things"] }))["syncs"].take();
    assert_eq!(pinged[0]["hold"]["name"], "backoff", "{pinged}");
}
