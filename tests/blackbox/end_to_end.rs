//! Owns: the thin line through everything: an app, the truth, a real remote, a second app. Must never know: how any of them does it.

use mingle_tests::wait::until;
use serde_json::{Value, json};

use crate::bench::with_kinto;

/// A page of the feed with this record in it.
fn changed(id: &'static str) -> impl Fn(&Value) -> bool {
    move |message| {
        let changes = message["params"]["changes"].as_array();
        message["method"] == "changed" && changes.is_some_and(|changes| changes.iter().any(|change| change["id"] == id))
    }
}

#[test]
fn a_write_of_one_app_reaches_the_remote_and_a_second_app() {
    let mut bench = with_kinto("");
    let mut second = bench.daemon.app("board");
    second.must("subscribe", json!({ "collections": ["notes"], "data": true }));
    let written = bench.app.must("put", json!({ "collection": "notes", "id": "n1", "data": { "a": 1, "b": 1 } }));
    let seen = second.hear("the record", changed("n1"));
    assert_eq!(seen["params"]["changes"][0]["data"], json!({ "a": 1, "b": 1 }));
    assert_eq!(bench.app.status("notes")["pending"], 1);
    bench.app.sync("notes", "done");
    assert_eq!(bench.kinto.list(&bench.resource)["n1"], json!({ "a": 1, "b": 1 }));
    assert_eq!(bench.app.status("notes")["pending"], 0);
    let token = written["token"].as_str().expect("a token");
    assert_eq!(bench.app.must("wait", json!({ "token": token, "timeout_ms": 1000 }))["state"], "done");

    // What another user does at the remote is seen by an app that only listens.
    bench.kinto.put(&bench.resource, "n2", &json!({ "from": "afar" }));
    bench.app.sync("notes", "done");
    let seen = second.hear("the remote's record", changed("n2"));
    assert_eq!(seen["params"]["changes"][0]["data"], json!({ "from": "afar" }));
    bench.assert_same();
}

#[test]
fn edits_of_different_properties_on_both_sides_merge() {
    let mut bench = with_kinto("");
    bench.app.put("notes", "n1", &json!({ "a": 1, "b": 1, "c": 1 }));
    bench.app.sync("notes", "done");
    bench.kinto.patch(&bench.resource, "n1", &json!({ "b": 2 }));
    bench.app.patch("notes", "n1", &json!({ "a": 2, "c": null }));
    bench.app.sync("notes", "done");
    assert_eq!(bench.app.get("notes", "n1"), Some(json!({ "a": 2, "b": 2 })));
    bench.assert_same();
    assert_eq!(bench.app.must("conflict.list", json!({ "all": true }))["conflicts"], json!([]));
}

#[test]
fn a_conflict_under_manual_is_kept_listed_resolved_and_sent() {
    let mut bench = with_kinto("[collection.notes]\nmerge = { default = \"manual\" }\n");
    bench.app.put("notes", "n1", &json!({ "title": "old", "other": 1 }));
    bench.app.sync("notes", "done");
    bench.kinto.patch(&bench.resource, "n1", &json!({ "title": "theirs" }));
    bench.app.patch("notes", "n1", &json!({ "title": "ours", "other": 2 }));
    bench.app.sync("notes", "done");

    // The property stays as it is on each side; the other one went up.
    assert_eq!(bench.app.get("notes", "n1"), Some(json!({ "title": "ours", "other": 2 })));
    assert_eq!(bench.kinto.list(&bench.resource)["n1"], json!({ "title": "theirs", "other": 2 }));
    let list = bench.app.must("conflict.list", json!({ "collection": "notes" }));
    let conflict = &list["conflicts"][0];
    assert_eq!(list["conflicts"].as_array().map(Vec::len), Some(1), "{list}");
    assert_eq!(
        (&conflict["property"], &conflict["agreed"], &conflict["truth"], &conflict["theirs"]),
        (&json!("title"), &json!("old"), &json!("ours"), &json!("theirs"))
    );
    let said = bench.daemon.says(5, &["sync", "notes"]);
    assert!(said.contains("conflict"), "{said}");

    let id = conflict["conflict"].as_str().expect("an id").to_owned();
    bench.daemon.says(0, &["conflict", "resolve", &id, "--keep", "truth"]);
    bench.daemon.says(0, &["sync", "notes"]);
    assert_eq!(bench.kinto.list(&bench.resource)["n1"], json!({ "title": "ours", "other": 2 }));
    bench.assert_same();
    assert_eq!(bench.app.must("conflict.list", json!({}))["conflicts"], json!([]));
}

#[test]
fn deletes_travel_both_ways() {
    let mut bench = with_kinto("");
    for id in ["ours", "theirs", "stays"] {
        bench.app.put("notes", id, &json!({ "v": id }));
    }
    bench.app.sync("notes", "done");
    bench.app.delete("notes", "ours");
    bench.kinto.delete(&bench.resource, "theirs");
    bench.app.sync("notes", "done");
    assert_eq!(bench.app.all("notes").into_keys().collect::<Vec<_>>(), ["stays"]);
    bench.assert_same();
}

#[test]
fn a_restart_in_between_loses_and_repeats_nothing() {
    let mut bench = with_kinto("");
    bench.app.put("notes", "n1", &json!({ "v": 1 }));
    bench.app.sync("notes", "done");
    bench.app.patch("notes", "n1", &json!({ "v": 2 }));
    bench.app.put("notes", "n2", &json!({ "v": 1 }));
    let seq = bench.app.must("status", json!({}))["seq"].clone();
    for kill in [false, true] {
        if kill {
            bench.daemon.kill();
        } else {
            assert_eq!(bench.daemon.terminate().0.code(), Some(0));
        }
        bench.daemon.start();
        bench.app = bench.daemon.app("tester");
        assert_eq!(bench.app.must("status", json!({}))["seq"], seq);
        assert_eq!(bench.app.status("notes")["pending"], 2);
    }
    bench.app.sync("notes", "done");
    bench.assert_same();
    let row = bench.app.sync("notes", "done");
    assert_eq!((&row["up"], &row["down"], &row["result"]), (&json!(0), &json!(0), &json!("no_new_data")), "{row}");
}

#[test]
fn the_command_line_does_the_same() {
    let mut bench = with_kinto("");
    bench.daemon.says(0, &["put", "notes", "n1", r#"{"title":"from a shell"}"#]);
    let said = bench.daemon.says(0, &["sync", "notes"]);
    assert!(said.contains("notes"), "{said}");
    assert_eq!(bench.kinto.list(&bench.resource)["n1"], json!({ "title": "from a shell" }));
    let got: Value = serde_json::from_str(&bench.daemon.says(0, &["--json", "get", "notes", "n1"])).expect("JSON");
    assert_eq!(got["data"], json!({ "title": "from a shell" }));
    bench.daemon.says(0, &["patch", "notes", "n1", r#"{"title":null,"n":1}"#]);
    bench.daemon.says(0, &["delete", "notes", "n1"]);
    bench.daemon.says(1, &["get", "notes", "n1"]);
    bench.daemon.says(0, &["sync"]);
    bench.assert_same();
    for words in [&["status"][..], &["explain", "notes"], &["history"], &["remote", "list"], &["socket-path"]] {
        bench.daemon.says(0, words);
    }
    bench.daemon.says(2, &["frobnicate"]);
    bench.daemon.says(0, &["shutdown"]);
    assert_eq!(bench.daemon.ended().code(), Some(0));
    let said = bench.daemon.says(3, &["status"]);
    assert!(said.contains("not running") && said.contains("mingled"), "{said}");
}

#[test]
fn a_write_is_sent_by_itself_after_a_quiet_time() {
    let kinto = mingle_tests::servers::Kinto::shared();
    let resource = kinto.collection();
    let config = crate::bench::kinto_config(&kinto.url, &resource, "notes", "")
        .replace("on_change = false", "on_change = { after = \"100ms\", at_most = \"1s\" }");
    let home = mingle_tests::daemon::Home::new(Some(&config));
    home.write("kinto.secret", "pw");
    let daemon = home.start();
    let mut app = daemon.app("tester");
    app.put("notes", "n1", &json!({ "v": 1 }));
    until("the record at the remote", || kinto.list(&resource).remove("n1"));
    // Its own change, come back, is no change: nothing more runs. What ran is in the history, once.
    until("the end of the run", || (app.status("notes")["state"] == "waiting").then_some(()));
    app.put("notes", "n2", &json!({ "v": 1 }));
    until("the second record", || kinto.list(&resource).remove("n2"));
    until("the end of the run", || (app.status("notes")["state"] == "waiting").then_some(()));
    let history = app.must("history", json!({ "sync": "notes" }));
    let triggers: Vec<&Value> = history["runs"].as_array().expect("runs").iter().map(|run| &run["trigger"]).collect();
    assert_eq!(triggers.len(), 2, "{history}");
}

#[test]
fn a_wrong_password_that_is_another_account_is_told_at_once() {
    let bench = with_kinto("");
    let home = mingle_tests::daemon::Home::new(Some(&crate::bench::kinto_config(&bench.kinto.url, &bench.resource, "notes", "")));
    home.write("kinto.secret", "not the password");
    let daemon = home.start();
    let mut app = daemon.app("tester");
    let run = app.run("notes");
    assert_eq!(app.ended(&run), "failed");
    let hint = app.row("notes", &run)["error"]["hint"].as_str().unwrap_or_default().to_owned();
    let status = app.must("status", json!({}));
    let attention = status["attention"].as_array().expect("a list").iter().find(|one| one["name"] == "denied");
    let attention = attention.and_then(|one| one["hint"].as_str()).unwrap_or_default();
    let explained = app.must("explain", json!({ "sync": "notes" }))["text"].as_str().expect("a text").to_owned();
    for said in [hint.as_str(), attention, &explained] {
        assert!(said.contains("takes us for") && said.contains("password is wrong"), "{said:?} of {status}");
    }
    // The right one ends it.
    daemon.write("kinto.secret", "pw");
    app.sync("notes", "done");
    let status = app.must("status", json!({}));
    assert!(!status["attention"].to_string().contains("denied"), "{status}");
}
