//! Owns: waits for syncs, moments of next runs, tags, and what of the schedule outlives a kill, as people and apps meet it. Must never know: how it is
//! decided or kept.

use std::time::Duration;

use mingle_tests::{
    rest_server::{Fault, Options},
    wait::until,
};
use serde_json::{Value, json};

use crate::bench::{Scripted, fill, scripted};

/// Two syncs by their hour, which begin at once.
fn two(first: &str, second: &str) -> Scripted {
    let others = format!(
        "[sync.others]\ncollection = \"others\"\nremote = \"far\"\nresource = \"others\"\ndirection = \"both\"\non_change = false\nevery = \"1h\"\n{second}"
    );
    scripted(Options::default(), &format!("every = \"1h\"\n{first}\n{others}"))
}

fn wait(world: &mut Scripted, params: &Value) -> Value {
    let mut asked = json!({ "timeout_ms": 30_000 });
    for (key, value) in params.as_object().expect("an object") {
        asked[key] = value.clone();
    }
    world.app.must("wait", asked)
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

/// W-24, R-03: it ends when all are synced, and says of each that is not what that needs.
#[test]
fn a_wait_for_all_ends_when_all_are_synced() {
    let mut world = two("", "");
    let done = wait(&mut world, &json!({ "all": true }));
    assert_eq!((&done["state"], &done["syncs_total"]), (&json!("done"), &json!(0)), "{done}");
    let had = |world: &mut Scripted| world.app.must("history", json!({}))["runs"].as_array().map_or(0, Vec::len);
    assert_eq!(had(&mut world), 2, "each had its first run");

    // What is not sent keeps it going; a wait begins no run.
    world.app.put("things", "a", &json!({ "n": 1 }));
    let waits = wait(&mut world, &json!({ "all": true, "timeout_ms": 100 }));
    assert_eq!(
        (&waits["state"], &waits["needs"], &waits["syncs_total"]),
        (&json!("pending"), &json!("time"), &json!(1)),
        "{waits}"
    );
    assert_eq!((&waits["syncs"][0]["sync"], &waits["syncs"][0]["pending"]), (&json!("things"), &json!(1)));
    let said = world.daemon.says(7, &["wait", "--all", "--timeout", "100ms"]);
    assert!(said.contains("1 not synced") && said.contains("things is waiting") && said.contains("1 to be sent"), "{said}");
    assert!(world.daemon.says(0, &["wait", "others"]).contains("done"));
    assert_eq!(had(&mut world), 2);

    // Not before runs that begin from now on.
    let mut waiter = world.daemon.app("waiter");
    let since = json!({ "all": true, "since_at": now(), "timeout_ms": 30_000 });
    let waiting = waiter.send("wait", &since).expect("a call");
    world.app.sync("others", "done");
    let waits = wait(&mut world, &json!({ "all": true, "since_at": since["since_at"], "timeout_ms": 100 }));
    assert_eq!(waits["syncs"][0]["sync"], "things", "{waits}");
    world.app.sync("things", "done");
    assert_eq!(waiter.answer(waiting).expect("an answer").expect("an end")["state"], "done");

    // A condition, and what is paused.
    world.app.put("things", "b", &json!({ "n": 1 }));
    world.app.must("stop", json!({}));
    let said = world.daemon.says(6, &["wait", "--all", "--timeout", "100ms"]);
    assert!(said.contains("stopped"), "{said}");
    world.app.must("restart", json!({}));
    world.app.must("sync.pause", json!({ "sync": "things" }));
    assert_eq!(wait(&mut world, &json!({ "all": true }))["state"], "done", "one that is paused is not waited for");
    let waits = wait(&mut world, &json!({ "syncs": ["things"], "timeout_ms": 100 }));
    assert_eq!((&waits["needs"], &waits["syncs"][0]["hold"]["name"]), (&json!("condition"), &json!("paused")), "{waits}");
    world.app.must("sync.resume", json!({ "sync": "things" }));

    // A person: before the time is over.
    world.server.next("PUT", Fault::Status(422, Vec::new()));
    world.app.sync("things", "done_with_errors");
    let said = world.daemon.says(5, &["wait", "--all", "--timeout", "10m"]);
    assert!(said.contains("1 rejected") && said.contains("needs person"), "{said}");

    for wrong in [
        json!({}),
        json!({ "all": true, "syncs": ["things"] }),
        json!({ "all": true, "run": "r-1" }),
        json!({ "all": true, "reaches": "running" }),
        json!({ "run": "r-1", "since_at": now() }),
        json!({ "all": true, "since_at": "soon" }),
    ] {
        world.app.refused("invalid", "wait", wrong);
    }
    world.app.refused("not_found", "wait", json!({ "syncs": ["thongs"], "timeout_ms": 10_000 }));
    let many: Vec<String> = (0..1_001).map(|number| format!("s{number}")).collect();
    world.app.refused("too_large", "wait", json!({ "syncs": many }));
}

#[test]
fn a_wait_for_a_state_ends_when_the_sync_has_it() {
    let mut world = two("", "");
    wait(&mut world, &json!({ "all": true }));
    let mut waiter = world.daemon.app("waiter");
    let asked = json!({ "syncs": ["things"], "reaches": "running", "timeout_ms": 30_000 });
    let waiting = waiter.send("wait", &asked).expect("a call");
    world.server.next("GET", Fault::Lag(Duration::from_secs(2)));
    let run = world.app.run("things");
    assert_eq!(waiter.answer(waiting).expect("an answer").expect("an end")["state"], "done");
    assert_eq!(world.app.ended(&run), "done");
    assert!(world.daemon.says(0, &["wait", "things", "--state", "waiting"]).contains("done"));
    let said = world.daemon.says(7, &["wait", "things", "--state", "blocked", "--timeout", "50ms"]);
    assert!(said.contains("things is waiting"), "{said}");
}

/// W-12: one next run has its own moment, over kills and whatever the schedule says, and those after it are as ever.
#[test]
fn a_next_run_has_its_own_moment_once_and_over_a_kill() {
    let mut world = two("", "");
    wait(&mut world, &json!({ "all": true }));
    let said = world.daemon.says(0, &["next", "things", "2h"]);
    assert!(said.contains("things is waiting") && said.contains("next_run_at"), "{said}");
    let hold = world.app.status("things")["hold"].take();
    assert_eq!(hold["name"], "next_run_at");
    world.kill_and_start();
    assert_eq!(world.app.status("things")["hold"]["until_at"], hold["until_at"]);
    assert_eq!(world.app.status("things")["next_at"], hold["until_at"]);
    let said = world.daemon.says(0, &["status", "--next"]);
    assert!(said.contains("next_run_at: its next run was put to a moment"), "{said}");
    assert!(world.daemon.says(0, &["explain", "things"]).contains("next_run_at"));
    // Who asks for a run does not wait for it, and does not take it.
    world.app.sync("things", "done");
    until("rest", || (world.app.status("things")["state"] == "waiting").then_some(()));
    assert_eq!(world.app.status("things")["hold"]["until_at"], hold["until_at"]);

    // A moment that is past is now, also in the pause after a failure; and it is used up.
    world.server.next("GET", Fault::Status(500, Vec::new()));
    world.app.sync("things", "failed");
    let answer = world.app.must("sync.next", json!({ "sync": "things", "at": "2026-01-02T03:04:05Z" }));
    assert_eq!((&answer["sync"], &answer["state"]), (&json!("things"), &json!("ready")), "{answer}");
    let last = |world: &mut Scripted| world.app.status("things")["last"].take();
    until("the run", || {
        let last = last(&mut world);
        (last["trigger"] == "next_run_at" && last["status"] == "done").then_some(())
    });
    until("rest", || (world.app.status("things")["state"] == "waiting").then_some(()));
    assert_eq!(world.app.status("things")["hold"]["name"], "interval");
    world.kill_and_start();
    assert_eq!(world.app.status("things")["hold"]["name"], "interval");

    // Taken back, and refused.
    world.app.must("sync.next", json!({ "sync": "things", "at": "2999-01-02T03:04:05Z" }));
    world.daemon.says(0, &["next", "things", "--clear"]);
    assert_eq!(world.app.status("things")["hold"]["name"], "interval");
    world.app.refused("not_found", "sync.next", json!({ "sync": "thongs" }));
    world.app.refused("invalid", "sync.next", json!({ "sync": "things", "at": "tomorrow" }));
}

/// C-37: the answer to a ping is a promise.
#[test]
fn a_ping_outlives_a_kill() {
    let mut world = two("", "");
    wait(&mut world, &json!({ "all": true }));
    world.app.must("sync.pause", json!({ "sync": "things" }));
    world.app.must("sync.ping", json!({ "syncs": ["things"] }));
    world.kill_and_start();
    world.app.must("sync.resume", json!({ "sync": "things" }));
    let last = |world: &mut Scripted| world.app.status("things")["last"].take();
    until("the run", || {
        let last = last(&mut world);
        (last["trigger"] == "ping" && last["status"] == "done").then_some(())
    });
    // It was answered, and is not answered again.
    wait(&mut world, &json!({ "all": true }));
    let before = last(&mut world);
    world.kill_and_start();
    assert_eq!(world.app.status("things")["hold"]["name"], "interval");
    assert_eq!(last(&mut world), before);
}

/// W-08: what was wished of a run that was cut off is wished of the one that goes on.
#[test]
fn what_was_wished_of_a_run_outlives_a_kill() {
    let mut world = two("", "");
    fill(&world.server, 3);
    wait(&mut world, &json!({ "all": true }));
    world.app.sync("things", "done");
    let _ = world.server.log();
    // Whether any request of a run asks for changes alone; its greeting does not.
    let since =
        |world: &Scripted| world.server.log().iter().any(|line| line.starts_with("GET things") && line.contains("since="));
    world.app.sync("things", "done");
    assert!(since(&world), "a usual run asks for what changed");
    world.server.next("GET", Fault::HangBefore);
    world.app.must("sync.run", json!({ "sync": "things", "mode": "slow" }));
    until("the request that hangs", || (!world.server.log().is_empty()).then_some(()));
    world.kill_and_start();
    let done = wait(&mut world, &json!({ "syncs": ["things"] }));
    assert_eq!(done["state"], "done", "{done}");
    assert!(!since(&world), "the run that goes on compares everything, as was asked");
    world.app.sync("things", "done");
    assert!(since(&world), "and no other does");
}

/// W-20, W-21: what begins anew has begun anew after a start as well, and what is gone leaves nothing behind.
#[test]
fn what_begins_anew_does_so_over_a_kill() {
    let rights = "[collection.others]\n[app.scribe]\ngrants = { others = \"write\" }\n";
    let mut world = scripted(Options::default(), rights);
    let definition = |delay: &str| {
        json!({ "collection": "others", "remote": "far", "resource": "others", "direction": "both", "on_change": false,
                "every": "5h", "initial_delay": delay })
    };
    let define = |world: &mut Scripted, delay: &str, if_exists: &str| {
        world.app.must("sync.define", json!({ "sync": "mine", "definition": definition(delay), "if_exists": if_exists }));
        world.app.status("mine")["hold"].take()
    };
    let first = define(&mut world, "1h", "update");
    assert_eq!(first["name"], "initial_delay");
    world.app.sync("mine", "done");
    until("rest", || (world.app.status("mine")["hold"]["name"] == "interval").then_some(()));
    world.app.must("sync.next", json!({ "sync": "mine", "at": "2999-01-02T03:04:05Z" }));
    let anew = define(&mut world, "2h", "replace");
    assert_eq!(anew["name"], "initial_delay", "neither the run of before nor the moment that was given hold");
    world.kill_and_start();
    assert_eq!(world.app.status("mine")["hold"]["until_at"], anew["until_at"]);
    // Another delay counts from the same moment, before a kill and after it.
    let shorter = define(&mut world, "90m", "update");
    assert!(shorter["until_at"].as_str() < anew["until_at"].as_str(), "{shorter} {anew}");
    world.kill_and_start();
    assert_eq!(world.app.status("mine")["hold"]["until_at"], shorter["until_at"]);
    // Gone and there again, it counts anew.
    world.app.must("sync.remove", json!({ "sync": "mine" }));
    assert!(define(&mut world, "90m", "update")["until_at"].as_str() > shorter["until_at"].as_str());
}

/// W-18, W-23, W-24: several syncs by a tag.
#[test]
fn a_tag_means_several_syncs() {
    let mut world = two("tags = [\"home\", \"nightly\"]\n", "tags = [\"home\"]\n");
    wait(&mut world, &json!({ "all": true }));
    assert_eq!(world.app.must("sync.get", json!({ "sync": "things" }))["tags"], json!(["home", "nightly"]));
    let said = world.daemon.says(0, &["sync", "--tag", "home"]);
    assert!(said.contains("things: done") && said.contains("others: done"), "{said}");
    let said = world.daemon.says(0, &["status", "--tag", "nightly"]);
    assert!(said.contains("things") && !said.contains("others"), "{said}");
    world.daemon.says(0, &["pause", "--tag", "home"]);
    assert_eq!(
        (&world.app.status("things")["state"], &world.app.status("others")["state"]),
        (&json!("disabled"), &json!("disabled"))
    );
    world.daemon.says(0, &["resume", "--tag", "home"]);
    assert_eq!(world.app.status("others")["hold"]["name"], "interval");
    assert!(world.daemon.says(0, &["cancel", "--tag", "nightly"]).contains("no run of things is on"));
    let said = world.daemon.says(2, &["pause", "--tag", "away"]);
    assert!(said.contains("no sync has the tag \"away\"") && said.contains("home, nightly"), "{said}");
}
