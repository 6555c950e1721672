//! Owns: stops that end with a connection, commands that run under one, and runs that are cancelled. Must never know: how a run ends.

use std::{
    process::{Child, Stdio},
    time::Duration,
};

use mingle_tests::{
    app::App,
    daemon::Daemon,
    rest_server::{Fault, Options},
    servers,
    wait::{self, until},
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::bench::{fill, scripted};

fn state(app: &mut App) -> (String, Option<String>, bool) {
    let status = app.must("status", json!({}));
    let by = status["by"].as_str().map(str::to_owned);
    (status["state"].as_str().expect("a state").to_owned(), by, status["lease"] == true)
}

#[track_caller]
fn comes_to(app: &mut App, expect: &str) {
    until(&format!("the daemon to be {expect}"), || (state(app).0 == expect).then_some(()));
}

#[test]
fn a_stop_with_a_lease_ends_with_its_connection() {
    let mut world = scripted(Options::default(), "");
    fill(&world.server, 3);
    let app = &mut world.app;
    let (mut one, mut other) = (world.daemon.app("one"), world.daemon.app("other"));
    one.must("stop", json!({ "lease": true }));
    comes_to(app, "stopped");
    assert_eq!(state(app), ("stopped".into(), Some("one".into()), true));
    let hint = app.refused("stopped", "sync.run", json!({ "sync": "things" }));
    assert!(hint.to_string().contains("restart"), "{hint}");

    // Several at once: the last one ends it. Asked for twice by one connection, it is one.
    other.must("stop", json!({ "lease": true }));
    other.must("stop", json!({ "lease": true }));
    drop(one);
    until("the first lease to end", || (state(app).1.as_deref() == Some("other")).then_some(()));
    assert_eq!(state(app).0, "stopped");
    drop(other);
    comes_to(app, "running");
    app.sync("things", "done");

    // One that is written down outlives every lease, and the daemon.
    let mut lease = world.daemon.app("lease");
    lease.must("stop", json!({ "lease": true }));
    app.must("stop", json!({}));
    drop(lease);
    until("the lease to end", || {
        let status = app.must("status", json!({}));
        let there = status["apps"].as_array().expect("apps").iter().any(|one| one["app"] == "lease");
        (!there).then_some(())
    });
    assert_eq!(state(app), ("stopped".into(), Some("tester".into()), false));

    // A restart ends what is written down and the asker's own; what others hold stays, and is said.
    let mut lease = world.daemon.app("lease");
    lease.must("stop", json!({ "lease": true }));
    assert_eq!(app.must("restart", json!({}))["state"], "stopped");
    let said = world.daemon.says(6, &["restart"]);
    assert!(said.contains("holds a stop"), "{said}");
    assert!(world.daemon.says(0, &["status"]).contains("ends with the connection"));
    assert_eq!(lease.must("restart", json!({}))["state"], "running");
    assert_eq!(state(app).0, "running");

    // It is not written down: a daemon that dies forgets it.
    lease.must("stop", json!({ "lease": true }));
    world.kill_and_start();
    assert_eq!(state(&mut world.app).0, "running");
}

#[test]
fn what_a_lease_ended_comes_back_if_told() {
    let mut world = scripted(Options { page_rows: 1, ..Options::default() }, "");
    fill(&world.server, 20);
    for _ in 0..20 {
        world.server.next("GET", Fault::Lag(Duration::from_millis(100)));
    }
    let run = world.app.run("things");
    let mut holder = world.daemon.app("holder");
    let answer = holder.must("stop", json!({ "lease": true }));
    assert_eq!(answer["runs"], json!([run]));
    assert_eq!(world.app.ended(&run), "stopped");
    let answer = holder.must("restart", json!({ "resync_stopped": true }));
    let again = answer["runs"][0].as_str().expect("a run").to_owned();
    assert_eq!(world.app.ended(&again), "done");
    world.assert_same();
}

/// `mingle stop --while` around a line of shell. Both end with this process.
fn under_a_stop(daemon: &Daemon, line: &str) -> Child {
    let mut command = daemon.command(&["stop", "--while", "sh", "-c", line]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    servers::spawn(command).expect("mingle starts")
}

fn end(mut child: Child) -> Option<i32> {
    until("mingle to end", || child.try_wait().ok().flatten()).code()
}

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a pid");
    kill_process(pid, signal).expect("a signal to our own child");
}

#[test]
fn a_command_runs_under_a_stop_and_its_end_is_ours() {
    let mut world = scripted(Options { page_rows: 1, ..Options::default() }, "");
    fill(&world.server, 20);
    for _ in 0..20 {
        world.server.next("GET", Fault::Lag(Duration::from_millis(100)));
    }
    // A run is on: the command begins only when it has come to its safe point.
    let run = world.app.run("things");
    let store = world.daemon.store();
    let asked = format!("{} status --json", mingle_tests::daemon::mingle().display());
    let said = world.daemon.says(0, &["stop", "--while", "sh", "-c", &asked]);
    let status: Value = serde_json::from_str(&said).expect("the status in between");
    assert_eq!((&status["state"], &status["lease"], &status["by"]), (&json!("stopped"), &json!(true), &json!("mingle")));
    assert_eq!(world.app.ended(&run), "stopped");
    // Whoever comes after it finds runs accepted.
    assert_eq!(state(&mut world.app).0, "running");
    assert!(store.exists());

    for (line, code) in [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137)] {
        world.daemon.says(code, &["stop", "--while", "sh", "-c", line]);
        assert_eq!(state(&mut world.app).0, "running", "after {line}");
    }
    world.daemon.says(3, &["stop", "--while", "--", "sh", "-c", "exit 3"]);
    let said = world.daemon.says(2, &["stop", "--while", "--"]);
    assert!(said.contains("has no command") && said.contains("hint: "), "{said}");
    let said = world.daemon.says(127, &["stop", "--while", "no-such-command-here"]);
    assert!(said.contains("cannot run no-such-command-here"), "{said}");
    comes_to(&mut world.app, "running");
}

#[test]
fn signals_reach_the_command_and_a_dead_mingle_holds_nothing() {
    let mut world = scripted(Options::default(), "");
    let app = &mut world.app;
    for (signal, code) in [(Signal::TERM, 41), (Signal::INT, 42), (Signal::HUP, 43)] {
        let line = "trap 'exit 41' TERM; trap 'exit 42' INT; trap 'exit 43' HUP; touch ready; while :; do sleep 0.05; done";
        let ready =
            world.daemon.store().parent().and_then(|path| path.parent()?.parent().map(|home| home.join("ready"))).expect("home");
        let _ = std::fs::remove_file(&ready);
        let child = under_a_stop(&world.daemon, line);
        until("the command to run", || ready.exists().then_some(()));
        assert!(state(app).2, "a lease holds");
        send(&child, signal);
        assert_eq!(end(child), Some(code), "{signal:?}");
        assert_eq!(state(app).0, "running");
    }

    let mut child = under_a_stop(&world.daemon, "exec sleep 30");
    comes_to(app, "stopped");
    send(&child, Signal::KILL);
    comes_to(app, "running");
    let _ = child.wait();
}

#[test]
fn a_stop_around_a_command_outlives_the_daemon() {
    let mut world = scripted(Options::default(), "");
    let go_on = world.daemon.config_dir().join("go-on");
    let begun = world.daemon.config_dir().join("begun");
    let line = format!("touch {}; until test -e {}; do sleep 0.05; done; exit 5", begun.display(), go_on.display());
    let child = under_a_stop(&world.daemon, &line);
    until("the command to run", || begun.exists().then_some(()));
    comes_to(&mut world.app, "stopped");
    world.kill_and_start();
    comes_to(&mut world.app, "stopped");
    assert_eq!(state(&mut world.app).1.as_deref(), Some("mingle"));
    std::fs::write(&go_on, "").expect("written");
    assert_eq!(end(child), Some(5));
    comes_to(&mut world.app, "running");
}

#[test]
fn a_cancelled_run_ends_for_good_and_every_waiter_is_told() {
    let mut world = scripted(Options { page_rows: 1, ..Options::default() }, "");
    fill(&world.server, 20);
    for _ in 0..5 {
        world.server.next("GET", Fault::Lag(Duration::from_millis(50)));
    }
    world.server.next("GET", Fault::HangBefore);
    let run = world.app.run("things");
    let queued = world.app.run("things");
    assert_ne!(run, queued);
    let mut waiters: Vec<(App, u64)> = [&run, &run, &queued]
        .iter()
        .map(|run| {
            let mut app = world.daemon.app("waiter");
            let id = app.send("wait", &json!({ "run": run, "timeout_ms": 20_000 })).expect("sent");
            (app, id)
        })
        .collect();
    // Five that lag, and the one that is never answered.
    let mut asked = 0;
    until("the request that hangs", || {
        asked += world.server.log().len();
        (asked >= 6).then_some(())
    });
    until("two pages to be there", || (world.app.status("things")["run"]["done"].as_u64() >= Some(2)).then_some(()));
    let watch = wait::Watch::start();
    assert_eq!(world.app.must("sync.cancel", json!({ "sync": "things" }))["runs"], json!([run, queued]));
    for (app, id) in &mut waiters {
        assert_eq!(app.answer(*id).expect("an answer").expect("a state")["state"], "cancelled");
    }
    assert!(watch.elapsed() < Duration::from_secs(5), "a hung request does not hold it: {:?}", watch.elapsed());
    for run in [&run, &queued] {
        assert_eq!(world.app.ended(run), "cancelled");
        assert_eq!(world.app.row("things", run)["status"], "cancelled");
    }
    // Nothing to end is fine, and an unknown sync is named.
    assert_eq!(world.app.must("sync.cancel", json!({ "sync": "things" }))["runs"], json!([]));
    world.app.refused("not_found", "sync.cancel", json!({ "sync": "thongs" }));
    let said = world.daemon.says(0, &["cancel", "things"]);
    assert!(said.contains("no run of things is on"), "{said}");
    let _ = world.server.log();
    world.server.next("GET", Fault::HangBefore);
    let run = world.app.run("things");
    until("the request that hangs", || (!world.server.log().is_empty()).then_some(()));
    let said = world.daemon.says(0, &["cancel", "things"]);
    assert!(said.contains(&format!("cancelled {run}")), "{said}");
    assert_eq!(world.app.ended(&run), "cancelled");
    let _ = world.server.log();

    // What a stop ended and a cancel then took back does not come again.
    for _ in 0..20 {
        world.server.next("GET", Fault::Lag(Duration::from_millis(50)));
    }
    let run = world.app.run("things");
    assert_eq!(world.app.must("stop", json!({}))["runs"], json!([run]));
    world.app.must("sync.cancel", json!({ "sync": "things" }));
    let ended = world.app.ended(&run);
    assert!(ended == "cancelled" || ended == "stopped", "{ended}");
    assert_eq!(world.app.must("restart", json!({ "resync_stopped": true }))["runs"], json!([]));
    world.app.sync("things", "done");
    world.assert_same();
}

#[test]
fn one_sync_by_its_name() {
    let mut world = scripted(Options::default(), "every = \"1h\"\n");
    // It never ran, so a run begins at once: how it stands moves on between two looks.
    let still = |mut sync: Value| {
        sync["state"] = json!("");
        sync
    };
    let one = still(world.app.must("sync.get", json!({ "sync": "things" })));
    assert_eq!(one["every_ms"], 3_600_000);
    assert_eq!(still(world.app.must("sync.list", json!({}))["syncs"][0].take()), one);
    world.app.refused("not_found", "sync.get", json!({ "sync": "thongs" }));
}
