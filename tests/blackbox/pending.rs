//! Owns: what waits to be sent, from outside: its lists, marks not for upload, taking back, forgetting; through kills, with a real Kinto,
//! from the command line and both clients. Must never know: how pending is derived.

use mingle_client::{Options as AppOptions, blocking::Client, call};
use mingle_tests::{
    app::App,
    rest_server::{Fault, Options},
    wait::until,
};
use serde_json::{Value, json};

use crate::bench::{scripted, scripted_config, with_kinto};

/// All pages: `id state`, in order of ids; a page is never larger than asked for.
fn listed(app: &mut App, state: Option<&str>) -> Vec<String> {
    let (mut rows, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let mut params = json!({ "limit": 2 });
        for (name, value) in [("state", json!(state)), ("cursor", cursor.take())] {
            if !value.is_null() {
                params[name] = value;
            }
        }
        let mut page = app.must("pending.list", params);
        let told = page["pending"].as_array().expect("a page");
        assert!(told.len() <= 2, "{page}");
        rows.extend(
            told.iter().map(|row| format!("{} {}", row["id"].as_str().expect("an id"), row["state"].as_str().expect("a state"))),
        );
        cursor = page["cursor"].take();
        if cursor.is_null() {
            rows.sort();
            return rows;
        }
    }
}

/// The lists of each state make up the whole, and share nothing.
#[track_caller]
fn check(app: &mut App, expect: &[&str]) {
    assert_eq!(listed(app, None), expect);
    let mut parts: Vec<String> = ["rejected", "in_flight", "awaiting_ack", "deferred", "pending"]
        .into_iter()
        .flat_map(|state| listed(app, Some(state)))
        .collect();
    parts.sort();
    assert_eq!(parts, expect, "the lists of the states");
}

/// V-13, S-37: every state, seen from outside; V-12: nothing on its way is taken back; a kill in between loses none of it.
#[test]
fn each_change_is_in_one_list_through_a_kill() {
    let mut world = scripted(Options::default(), "");
    for id in ["a", "b", "c", "d", "e"] {
        world.server.put("things", id, &json!({ "n": 1 }));
    }
    world.app.sync("things", "done");
    check(&mut world.app, &[]);
    world.app.patch("things", "a", &json!({ "refuse": true }));
    world.app.sync("things", "done_with_errors");
    world.app.must("patch", json!({ "collection": "things", "id": "b", "patch": { "n": 2 }, "defer": true }));
    world.app.patch("things", "c", &json!({ "n": 2 }));
    world.server.next("PUT", Fault::HangAfter);
    world.app.run("things");
    until("the service to have taken it", || (world.server.rows("things")["c"]["n"] == 2).then_some(()));
    // What is written while its request is open stays, and is told with it.
    world.app.patch("things", "c", &json!({ "m": 3 }));
    world.app.delete("things", "d");
    let all = ["a rejected", "b deferred", "c in_flight", "d pending"];
    check(&mut world.app, &all);
    let row = world.app.must("pending.list", json!({ "state": "rejected" }))["pending"][0].clone();
    assert!(row["rejection"].as_str().is_some_and(|id| id.starts_with("j-")) && row["why"].is_string(), "{row}");
    world.app.refused("wrong_state", "pending.rollback", json!({ "collection": "things", "id": "c" }));
    world.app.refused("wrong_state", "forget", json!({ "collection": "things", "id": "c" }));
    world.daemon.kill();
    world.daemon.start();
    world.app = world.daemon.app("tester");
    world.app.must("sync.pause", json!({ "sync": "things" }));
    until("the run that follows the kill to be over", || {
        let runs = world.app.must("history", json!({ "sync": "things", "limit": 1 }));
        runs["runs"][0]["ended_at"].is_string().then_some(())
    });
    let told = listed(&mut world.app, None);
    assert!(told.contains(&"b deferred".to_owned()) && told.contains(&"a rejected".to_owned()), "{told:?}");
    assert!(listed(&mut world.app, Some("in_flight")).is_empty(), "no request is open");
    world.app.must("sync.resume", json!({ "sync": "things" }));
    world.app.sync("things", "done_with_errors");
    check(&mut world.app, &["a rejected", "b deferred"]);
    let theirs = world.server.rows("things");
    assert_eq!((&theirs["c"], theirs.contains_key("d"), &theirs["b"]["n"]), (&json!({ "n": 2, "m": 3 }), false, &json!(1)));
    // A rejection and a draft are taken back at once; what the remote last had is here again.
    let done = world.app.must("pending.rollback", json!({ "sync": "things" }));
    assert_eq!(done["rolled_back"].as_array().map(Vec::len), Some(2), "{done}");
    check(&mut world.app, &[]);
    world.app.sync("things", "done");
    world.assert_same();
    assert_eq!(world.app.must("rejection.list", json!({}))["rejections"], json!([]));
}

/// V-14, with a real Kinto: a draft stays here through runs, kills and others' edits, until it is marked.
#[test]
fn a_draft_stays_here_until_it_is_marked() {
    let mut world = with_kinto("");
    world.kinto.put(&world.resource, "x", &json!({ "title": "far", "n": 1 }));
    world.kinto.put(&world.resource, "gone", &json!({ "title": "far" }));
    world.app.sync("notes", "done");
    world.app.must("patch", json!({ "collection": "notes", "id": "x", "patch": { "title": "draft" }, "defer": true }));
    world.app.must("put", json!({ "collection": "notes", "id": "new", "data": { "title": "draft" }, "defer": true }));
    let written = world.app.must("delete", json!({ "collection": "notes", "id": "gone", "defer": true }));
    let all = ["gone deferred", "new deferred", "x deferred"];
    let before = world.kinto.list(&world.resource);
    for _ in 0..2 {
        world.app.sync("notes", "done");
        check(&mut world.app, &all);
        assert_eq!(world.kinto.list(&world.resource), before, "nothing of it was sent");
        world.daemon.kill();
        world.daemon.start();
        world.app = world.daemon.app("tester");
    }
    let waited = world.app.must("wait", json!({ "token": written["token"], "timeout_ms": 10 }));
    assert!(waited["why"].as_str().is_some_and(|why| why.contains("not for upload")), "{waited}");
    // Others go on meanwhile, at both ends.
    world.kinto.patch(&world.resource, "x", &json!({ "n": 2 }));
    world.app.patch("notes", "x", &json!({ "m": 3 }));
    world.app.sync("notes", "done");
    assert_eq!(world.app.get("notes", "x"), Some(json!({ "title": "draft", "n": 2, "m": 3 })));
    assert_eq!(world.kinto.list(&world.resource)["x"], json!({ "title": "far", "n": 2 }));
    assert_eq!(world.app.must("pending.upload", json!({ "collection": "notes", "ids": ["x"] })), json!({ "marked": 1 }));
    world.app.sync("notes", "done");
    assert_eq!(world.kinto.list(&world.resource)["x"], json!({ "title": "draft", "n": 2, "m": 3 }));
    check(&mut world.app, &["gone deferred", "new deferred"]);
    let said = world.daemon.says(0, &["pending", "upload", "notes"]);
    assert!(said.contains("2 records marked"), "{said}");
    world.app.sync("notes", "done");
    world.assert_same();
    check(&mut world.app, &[]);
}

/// V-15, with a real Kinto: what is forgotten stays there, and is back when it changes there or is written here.
#[test]
fn what_is_forgotten_stays_at_the_remote() {
    let mut world = with_kinto("");
    for id in ["x", "y", "z"] {
        world.kinto.put(&world.resource, id, &json!({ "n": 1 }));
    }
    world.app.sync("notes", "done");
    let before = world.app.must("status", json!({}))["seq"].clone();
    let said = world.daemon.says(0, &["forget", "notes", "x"]);
    assert!(said.contains("its remotes keep it"), "{said}");
    world.app.must("forget", json!({ "collection": "notes", "id": "y" }));
    let told = world.app.must("changes", json!({ "since": before, "collections": ["notes"] }));
    let kinds: Vec<&Value> = told["changes"].as_array().expect("changes").iter().map(|one| &one["kind"]).collect();
    assert_eq!(kinds, ["left", "left"], "{told}");
    world.daemon.kill();
    world.daemon.start();
    world.app = world.daemon.app("tester");
    for mode in ["fast", "slow"] {
        let run = world.app.must("sync.run", json!({ "sync": "notes", "mode": mode }))["run"].as_str().expect("a run").to_owned();
        assert_eq!(world.app.ended(&run), "done");
        assert_eq!((world.app.get("notes", "x"), world.app.get("notes", "y")), (None, None), "{mode}");
    }
    assert_eq!(world.kinto.list(&world.resource).len(), 3, "the remote keeps them");
    check(&mut world.app, &[]);
    world.kinto.patch(&world.resource, "x", &json!({ "n": 2 }));
    world.app.put("notes", "y", &json!({ "n": 3 }));
    world.app.sync("notes", "done");
    world.assert_same();
    assert_eq!(world.app.all("notes").len(), 3);
    world.app.patch("notes", "z", &json!({ "n": 4 }));
    let error = world.app.refused("wrong_state", "forget", json!({ "collection": "notes", "id": "z" }));
    assert!(error["data"]["hint"].as_str().is_some_and(|hint| hint.contains("pending rollback")), "{error}");
}

/// V-33: a sync that only sends, and keeps nothing of what it has sent.
#[test]
fn what_was_sent_may_be_removed_here() {
    let mut world = scripted(Options::default(), "");
    let config = scripted_config(&world.server.url, "remove_after_upload = true");
    world.daemon.configure(&config);
    let both = world.daemon.says(78, &["config", "check"]);
    assert!(both.contains("`remove_after_upload` is for a sync that only sends"), "{both}");
    world.daemon.configure(&config.replace("direction = \"both\"", "direction = \"up\""));
    world.start_again();
    for id in ["a", "b"] {
        world.app.put("things", id, &json!({ "n": 1 }));
    }
    world.app.must("put", json!({ "collection": "things", "id": "kept", "data": { "n": 1 }, "defer": true }));
    world.app.sync("things", "done");
    assert_eq!(world.app.all("things").into_keys().collect::<Vec<_>>(), ["kept"], "the others were sent, and removed");
    assert_eq!(world.server.rows("things").len(), 2);
    world.kill_and_start();
    world.app.sync("things", "done");
    assert_eq!((world.app.all("things").len(), world.server.rows("things").len()), (1, 2), "the service keeps what it has");
    world.app.put("things", "a", &json!({ "n": 2 }));
    world.app.sync("things", "done");
    assert_eq!((world.server.rows("things")["a"].clone(), world.app.get("things", "a")), (json!({ "n": 2 }), None));
}

/// The command line and the Rust client, and what is asked wrongly.
#[test]
fn people_and_apps_ask_for_it() {
    let mut world = scripted(Options::default(), "[collection.notes]\n[app.reader]\ngrants = { things = \"read\" }\n");
    world.server.put("things", "a", &json!({ "n": 1 }));
    world.app.sync("things", "done");
    assert!(world.daemon.says(0, &["pending"]).contains("nothing is pending"));
    let said = world.daemon.says(0, &["patch", "things", "a", "{\"n\":2}", "--defer"]);
    assert!(said.contains("pending upload things a"), "{said}");
    world.daemon.says(0, &["put", "things", "b", "{\"n\":2}"]);
    for of in [&["pending"][..], &["pending", "things"], &["pending", "--state", "deferred"]] {
        let said = world.daemon.says(0, of);
        assert!(said.contains("things/a") && said.contains("deferred") && said.contains("update n"), "{of:?}: {said}");
    }
    let said = world.daemon.says(0, &["pending", "rollback", "things", "a"]);
    assert!(said.contains("1 record as the remote last had it"), "{said}");
    assert_eq!(world.app.get("things", "a"), Some(json!({ "n": 1 })));

    let mut options = AppOptions::app("rust");
    options.socket = Some(world.daemon.socket());
    let mut client = Client::open(&options).expect("a client");
    let list = client.pending_list(call::PendingList::default()).expect("a list");
    assert_eq!(
        list.pending.iter().map(|one| (one.id.as_str(), one.state)).collect::<Vec<_>>(),
        [("b", call::PendingState::Pending)]
    );
    let back = call::PendingRollback { collection: Some("things".into()), ..call::PendingRollback::default() };
    assert_eq!(client.pending_rollback(back).expect("taken back").rolled_back.len(), 1);
    assert_eq!(world.app.get("things", "b"), None);
    let upload = call::PendingUpload { collection: "things".into(), ids: None };
    assert_eq!(client.pending_upload(upload).expect("marked").marked, 0);
    let forget = call::Forget { collection: "things".into(), id: "a".into(), ..call::Forget::default() };
    assert_eq!(client.forget(forget).expect("forgotten").id, "a");
    assert!(world.server.rows("things").contains_key("a"));

    world.app.put("notes", "here", &json!({}));
    for (name, method, params) in [
        ("not_found", "pending.list", json!({ "collection": "nowhere" })),
        ("not_found", "pending.list", json!({ "sync": "nowhere" })),
        ("invalid", "pending.list", json!({ "state": "lost" })),
        ("invalid", "pending.list", json!({ "cursor": "c-1" })),
        ("invalid", "pending.rollback", json!({})),
        ("invalid", "pending.rollback", json!({ "collection": "things", "sync": "things" })),
        ("not_found", "pending.rollback", json!({ "collection": "things", "id": "nowhere" })),
        ("unsupported", "pending.rollback", json!({ "collection": "notes" })),
        ("not_found", "pending.upload", json!({ "collection": "things", "ids": ["nowhere"] })),
        ("not_found", "forget", json!({ "collection": "things", "id": "nowhere" })),
        ("unsupported", "forget", json!({ "collection": "notes", "id": "here" })),
    ] {
        world.app.refused(name, method, params);
    }
    let mut reader = world.daemon.app("reader");
    reader.must("pending.list", json!({}));
    for (method, params) in [
        ("pending.upload", json!({ "collection": "things" })),
        ("pending.rollback", json!({ "collection": "things" })),
        ("forget", json!({ "collection": "things", "id": "a" })),
    ] {
        reader.refused("denied", method, params);
    }
}
