//! Owns: syncs that apps define over the socket, beside those of the configuration. Must never know: how they are kept.

use std::time::Duration;

use mingle_tests::{
    app::App,
    rest_server::{Fault, Options},
    wait::until,
};
use serde_json::{Value, json};

use crate::bench::{Scripted, scripted, scripted_config};

const RIGHTS: &str =
    "[collection.others]\n[app.reader]\ngrants = { others = \"read\" }\n[app.scribe]\ngrants = { others = \"write\" }\n";

fn others(more: &[(&str, Value)]) -> Value {
    let mut definition =
        json!({ "collection": "others", "remote": "far", "resource": "others", "direction": "both", "on_change": false });
    for (key, value) in more {
        definition[*key] = value.clone();
    }
    definition
}

/// Defines the sync `mine`; the outcome and the generation.
fn define(app: &mut App, definition: &Value, if_exists: Option<&str>) -> (String, u64) {
    let mut params = json!({ "sync": "mine", "definition": definition });
    if let Some(if_exists) = if_exists {
        params["if_exists"] = json!(if_exists);
    }
    let answer = app.must("sync.define", params);
    assert_eq!(answer["sync"], "mine");
    (answer["outcome"].as_str().expect("an outcome").to_owned(), answer["generation"].as_u64().expect("a generation"))
}

fn rests(world: &mut Scripted, sync: &str) {
    until("no run", || (world.app.status(sync)["state"] != "running").then_some(()));
}

/// S-15: a sync is made, runs, and is there again after a kill; those of the configuration are beside it.
#[test]
fn a_sync_that_an_app_defined_runs_and_outlives_kills() {
    let mut world = scripted(Options::default(), RIGHTS);
    world.server.put("others", "o1", &json!({ "n": 1 }));
    assert_eq!(define(&mut world.app, &others(&[("every", json!("1h"))]), None), ("created".into(), 1));
    // It never ran, so it is due at once.
    until("the first run", || (world.app.status("mine")["last"]["status"] == "done").then_some(()));
    assert_eq!(world.app.get("others", "o1"), Some(json!({ "n": 1 })));
    // The row of a run is there before the run is put away.
    rests(&mut world, "mine");
    let there = world.app.must("sync.get", json!({ "sync": "mine" }));
    assert_eq!(
        (&there["defined_by"], &there["generation"], &there["every_ms"]),
        (&json!("tester"), &json!(1), &json!(3_600_000))
    );
    assert_eq!(world.app.must("sync.get", json!({ "sync": "things" })).get("defined_by"), None);
    world.kill_and_start();
    assert_eq!(world.app.must("sync.get", json!({ "sync": "mine" })), there);
    world.app.must("reload", json!({}));
    assert_eq!(world.app.must("sync.get", json!({ "sync": "mine" })), there);
    world.app.put("others", "o2", &json!({ "n": 2 }));
    world.app.sync("mine", "done");
    assert_eq!(world.server.rows("others")["o2"], json!({ "n": 2 }));

    // It goes, and what it brought stays; what it was yet to send is counted.
    world.app.put("others", "o3", &json!({ "n": 3 }));
    assert_eq!(world.app.must("sync.remove", json!({ "sync": "mine" })), json!({ "sync": "mine", "pending": 1 }));
    world.app.refused("not_found", "sync.run", json!({ "sync": "mine" }));
    world.app.refused("not_found", "sync.remove", json!({ "sync": "mine" }));
    world.kill_and_start();
    world.app.refused("not_found", "sync.get", json!({ "sync": "mine" }));
    // Defined again as it was, it sends that.
    define(&mut world.app, &others(&[]), None);
    world.app.sync("mine", "done");
    assert_eq!(world.server.rows("others")["o3"], json!({ "n": 3 }));
    assert_eq!(world.app.get("others", "o1"), Some(json!({ "n": 1 })));
}

/// W-20: what becomes of one that is there, while it runs.
#[test]
fn a_definition_is_kept_updated_or_replaced() {
    let mut world = scripted(Options::default(), RIGHTS);
    define(&mut world.app, &others(&[]), None);
    world.app.sync("mine", "done");
    assert_eq!(define(&mut world.app, &others(&[("every", json!("5h"))]), Some("keep")), ("kept".into(), 1));
    assert_eq!(world.app.must("sync.get", json!({ "sync": "mine" })).get("every_ms"), None);

    // An update does not interrupt the run, also where the sync is another from then on.
    world.server.next("GET", Fault::Lag(Duration::from_secs(3)));
    let run = world.app.run("mine");
    until("the run", || (world.app.status("mine")["state"] == "running").then_some(()));
    assert_eq!(define(&mut world.app, &others(&[("every", json!("5h"))]), Some("update")), ("updated".into(), 2));
    let other = others(&[("every", json!("5h")), ("direction", json!("down"))]);
    assert_eq!(define(&mut world.app, &other, None), ("updated".into(), 3));
    assert_eq!(world.app.ended(&run), "done");
    rests(&mut world, "mine");
    let there = world.app.must("sync.get", json!({ "sync": "mine" }));
    assert_eq!((&there["direction"], &there["every_ms"], &there["generation"]), (&json!("down"), &json!(18_000_000), &json!(3)));
    assert_eq!(world.app.status("mine")["hold"]["name"], "interval", "it goes on from its last run");

    // In the place of a replaced one a new one begins.
    world.server.next("GET", Fault::Lag(Duration::from_secs(20)));
    let run = world.app.run("mine");
    until("the run", || (world.app.status("mine")["state"] == "running").then_some(()));
    assert_eq!(define(&mut world.app, &other, Some("replace")), ("replaced".into(), 4));
    assert_eq!(world.app.ended(&run), "stopped");
    assert_eq!(world.app.row("mine", &run)["stop_reason"], "replaced");
    until("the first run of the new one", || {
        let last = world.app.status("mine")["last"].take();
        (last["status"] == "done" && last["trigger"] == "first").then_some(())
    });
}

/// W-12: a definition brings the moment of the next run: over a kill, a `keep` and an update that says nothing of it, until a run takes it.
#[test]
fn a_definition_can_bring_the_moment_of_its_next_run() {
    let mut world = scripted(Options::default(), RIGHTS);
    let defined = |world: &mut Scripted, how: &str, next: Option<Duration>| {
        let at = next.map(|ahead| (jiff::Timestamp::now() + ahead).to_string());
        let definition = others(&[("every", json!("5h"))]);
        let mut params = json!({ "sync": "mine", "definition": definition, "if_exists": how });
        if let Some(at) = &at {
            params["next_run_at"] = json!(at);
        }
        world.app.must("sync.define", params)["outcome"].as_str().expect("an outcome").to_owned()
    };
    let stands = |world: &mut Scripted| {
        let status = world.app.status("mine");
        (status["hold"]["name"].as_str().unwrap_or_default().to_owned(), status["next_at"].to_string())
    };
    let hour = |hours: u64| Some(Duration::from_secs(hours * 3600));
    // A new one would be due at once.
    assert_eq!(defined(&mut world, "update", hour(1)), "created");
    let first = stands(&mut world);
    assert_eq!(first.0, "next_run_at");
    world.kill_and_start();
    assert_eq!(stands(&mut world), first, "after a start");
    assert_eq!(defined(&mut world, "keep", hour(2)), "kept");
    assert_eq!(stands(&mut world), first, "it was kept");
    assert_eq!(defined(&mut world, "update", None), "updated");
    assert_eq!(stands(&mut world), first, "nothing was said of it");
    world.app.refused("invalid", "sync.define", json!({ "sync": "mine", "definition": others(&[]), "next_run_at": "tomorrow" }));
    assert_eq!(stands(&mut world), first, "it was refused");
    assert_eq!(defined(&mut world, "update", hour(3)), "updated");
    let later = stands(&mut world);
    assert!(later.0 == "next_run_at" && later.1 > first.1, "{later:?}");

    // A moment that is past is now, once.
    assert_eq!(defined(&mut world, "update", Some(Duration::ZERO)), "updated");
    until("the run", || {
        let last = world.app.status("mine")["last"].take();
        (last["status"] == "done" && last["trigger"] == "next_run_at").then_some(())
    });
    rests(&mut world, "mine");
    assert_eq!(stands(&mut world).0, "interval");

    // One that comes while it runs is of the run after; so it is where that run makes room for a new one.
    for (how, ends) in [("update", "done"), ("replace", "stopped")] {
        world.server.next("GET", Fault::Lag(Duration::from_secs(3)));
        let run = world.app.run("mine");
        until("the run", || (world.app.status("mine")["state"] == "running").then_some(()));
        assert_eq!(defined(&mut world, how, hour(1)), format!("{how}d"));
        assert_eq!(world.app.ended(&run), ends);
        rests(&mut world, "mine");
        assert_eq!(stands(&mut world).0, "next_run_at", "{how}");
        let before = stands(&mut world);
        world.kill_and_start();
        assert_eq!(stands(&mut world), before, "{how}, after a start");
    }
    // A new one in its place has nothing of it.
    assert_eq!(defined(&mut world, "replace", None), "replaced");
    until("the first run", || (world.app.status("mine")["last"]["trigger"] == "first").then_some(()));
}

#[test]
fn what_cannot_be_defined_is_refused_with_place_and_remedy_and_changes_nothing() {
    let mut world = scripted(Options::default(), RIGHTS);
    let mut refused = |name: &str, sync: &str, definition: Value, says: &str| {
        let error = world.app.refused(name, "sync.define", json!({ "sync": sync, "definition": definition }));
        assert!(error.to_string().contains(says), "{error}");
    };
    refused("invalid", "things", others(&[]), "things belongs to the configuration");
    refused("invalid", "No", others(&[]), "a sync cannot have this name");
    refused("invalid", "mine", json!([]), "a definition is an object");
    refused("invalid", "mine", json!({ "remote": "far" }), "a definition names its collection");
    refused("invalid", "mine", others(&[("evry", json!("1h"))]), "unknown key `sync.mine.evry` (did you mean `every`?)");
    refused("invalid", "mine", others(&[("every", json!("0s"))]), "must be longer than nothing");
    refused("invalid", "mine", others(&[("every", json!("1h")), ("flex", json!("2h"))]), "`flex` is longer than `every`");
    refused("invalid", "mine", others(&[("cron", json!("61 * * * *"))]), "is no cron expression");
    refused(
        "invalid",
        "mine",
        others(&[("cron", json!("0 6 * * *")), ("timezone", json!("Mars/Olympus"))]),
        "no time zone is called",
    );
    refused("invalid", "mine", others(&[("remote", json!("fa"))]), "no remote is called `fa` (did you mean `far`?)");
    refused("invalid", "mine", others(&[("after", json!(["mine"]))]), "goes in a circle");
    refused("invalid", "mine", others(&[("after", json!(["thongs"]))]), "no sync is called `thongs` (did you mean `things`?)");
    refused("too_large", "mine", others(&[("resource", json!("x".repeat(70_000)))]), "65536");
    assert_eq!(world.app.must("sync.list", json!({}))["syncs"].as_array().expect("syncs").len(), 1);

    // Only who may write a collection defines what fills it.
    let ask = json!({ "sync": "mine", "definition": others(&[]) });
    App::raw(&world.daemon.socket()).expect("a connection").refused("denied", "sync.define", ask.clone());
    world.daemon.app("reader").refused("denied", "sync.define", ask.clone());
    let mut scribe = world.daemon.app("scribe");
    scribe.must("sync.define", ask);
    world.daemon.app("reader").refused("denied", "sync.remove", json!({ "sync": "mine" }));
    App::raw(&world.daemon.socket()).expect("a connection").refused("denied", "sync.remove", json!({ "sync": "mine" }));
    world.app.refused("invalid", "sync.remove", json!({ "sync": "things" }));

    // Nor is one taken away that another waits for.
    let waits = json!({ "collection": "others", "remote": "far", "resource": "others", "direction": "down", "after": ["mine"] });
    world.app.must("sync.define", json!({ "sync": "behind", "definition": waits }));
    let error = scribe.refused("invalid", "sync.remove", json!({ "sync": "mine" }));
    assert!(error.to_string().contains("no sync is called `mine`"), "{error}");
    scribe.must("sync.remove", json!({ "sync": "behind" }));
    scribe.must("sync.remove", json!({ "sync": "mine" }));
}

/// The configuration has the last word: what it makes impossible does not run, is told, and comes back with it.
#[test]
fn a_configuration_that_changes_leaves_out_what_cannot_be_and_says_so() {
    let mut world = scripted(Options::default(), RIGHTS);
    define(&mut world.app, &others(&[]), None);
    let attention = |world: &mut Scripted| {
        let status = world.app.must("status", json!({}));
        let all = status["attention"].as_array().expect("a list").clone();
        all.iter().find(|one| one["name"] == "definition").map(|one| one["hint"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(attention(&mut world), None);
    let taken = "[sync.mine]\ncollection = \"mine\"\nremote = \"far\"\nresource = \"mine\"\ndirection = \"down\"\n";
    world.daemon.configure(&scripted_config(&world.server.url, &format!("{RIGHTS}{taken}")));
    world.app.must("reload", json!({}));
    assert!(attention(&mut world).is_some_and(|hint| hint.contains("[sync.mine] is there already")));
    assert_eq!(world.app.must("sync.get", json!({ "sync": "mine" }))["collection"], "mine");
    world.kill_and_start();
    assert!(attention(&mut world).is_some(), "after a start, too");
    world.daemon.configure(&scripted_config(&world.server.url, RIGHTS));
    world.app.must("reload", json!({}));
    assert_eq!(attention(&mut world), None);
    assert_eq!(world.app.must("sync.get", json!({ "sync": "mine" }))["collection"], "others");
    // What does not run can be taken out; by a person, too.
    world.daemon.configure(
        &scripted_config(&world.server.url, "").replace("[remote.far]", "[remote.near]").replace("\"far\"", "\"near\""),
    );
    world.app.must("reload", json!({}));
    assert!(attention(&mut world).is_some_and(|hint| hint.contains("no remote is called `far`")));
    let said = world.daemon.says(0, &["undefine", "mine"]);
    assert!(said.contains("mine is gone; what it brought stays"), "{said}");
    assert_eq!(attention(&mut world), None);
    let definition = "{\"collection\":\"others\",\"remote\":\"near\",\"resource\":\"others\",\"direction\":\"down\"}";
    let said = world.daemon.says(0, &["define", "mine", definition]);
    assert!(said.contains("mine is created (generation 1)"), "{said}");
}
