//! Owns: two ends of different age: a client that is newer or older than the daemon, a daemon that is replaced under its clients, a store
//! that is newer than the daemon. Must never know: how the daemon tells its age.

use std::{fs, time::Duration};

use mingle_client::{
    Options, Update, blocking,
    call::{Get, Subscribe},
};
use mingle_tests::app::App;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::golden::{Golden, kept};

#[test]
fn a_client_of_another_major_is_told_and_can_still_look_stop_and_end() {
    let golden = Golden::all().remove(0);
    let daemon = golden.home().1.start();
    for protocol in [0, 2, 99] {
        let mut app = App::raw(&daemon.socket()).expect("a connection");
        let error = app.refused("version", "hello", json!({ "app": "old", "protocol": protocol }));
        assert!(error["data"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{error}");
        app.must("status", json!({}));
        app.must("stop", json!({}));
        app.must("restart", json!({}));
    }
    // A newer client of this major says what an older daemon does not know: it is refused by name, and never half done.
    let mut app = App::raw(&daemon.socket()).expect("a connection");
    app.must("hello", json!({ "app": "tester", "protocol": 1 }));
    let error = app.refused("invalid", "put", json!({ "collection": "notes", "id": "x", "data": {}, "unless": "later" }));
    assert!(error.to_string().contains("unless"), "{error}");
    assert_eq!(app.get("notes", "x"), None);
    app.refused("method", "blob.put", json!({}));
    let mut app = daemon.app("tester");
    app.must("shutdown", json!({}));
}

#[test]
fn a_daemon_that_is_replaced_by_a_newer_one_goes_on_with_its_clients() {
    let golden = Golden::all().into_iter().find(|golden| golden.name == "1-early").expect("the first store");
    let (_server, home) = golden.home();
    let mut daemon = home.start();
    let old = fs::read(kept(&daemon.store()).pop().expect("the store before")).expect("its bytes");
    let options =
        Options { socket: Some(daemon.socket()), reconnect_within: Some(Duration::from_secs(30)), ..Options::app("follower") };
    let mut client = blocking::Client::open(&options).expect("connected");
    let follower = blocking::Client::open(&options).expect("connected");
    let since = daemon.app("tester").must("status", json!({}))["seq"].as_u64();
    let mut updates = follower
        .subscribe(Subscribe { collections: Some(vec!["notes".into()]), since, ..Subscribe::default() })
        .expect("subscribed");
    // The package replaces the program, and its store is still the old one when the new daemon starts.
    daemon.terminate();
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{end}", daemon.store().display()));
    }
    fs::write(daemon.store(), old).expect("the store of before");
    daemon.start();
    assert_eq!(kept(&daemon.store()).len(), 2, "it was brought over once more");
    let record = client.get(Get { collection: "notes".into(), id: "n1".into(), ..Get::default() }).expect("an answer");
    assert!(record.data.get().contains("changed"), "{record:?}");
    daemon.app("tester").put("notes", "after", &json!({ "n": 1 }));
    let change = updates.by_ref().find_map(|update| match update.expect("an update") {
        Update::Changed(changed) if !changed.changes.is_empty() => Some(changed),
        _ => None,
    });
    let change = change.expect("a change");
    assert!(!change.fresh && change.changes[0].id == "after", "a position outlives the upgrade: {change:?}");
}

#[test]
fn a_store_of_a_newer_mingle_is_refused_with_the_way_back() {
    let golden = Golden::all().into_iter().find(|golden| golden.name == "1-early").expect("the first store");
    let mut daemon = golden.home().1.start();
    daemon.terminate();
    let copy = kept(&daemon.store()).pop().expect("the store before");
    Connection::open(daemon.store()).and_then(|conn| conn.pragma_update(None, "user_version", 99)).expect("another number");
    let before = fs::read(daemon.store()).expect("the store");
    let output = daemon.mingled_ends();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    let back = format!("mingle restore {}", copy.display());
    assert!(said.contains("newer mingle") && said.contains(&back), "{said}");
    assert_eq!(fs::read(daemon.store()).expect("the store"), before, "byte for byte");
    assert!(daemon.says(1, &["doctor"]).contains("install the newer mingle again"));
    // The way back: the copy is of an older schema, and is brought over once more.
    let said = daemon.says(0, &["restore", &copy.display().to_string()]);
    assert!(said.contains("restored"), "{said}");
    daemon.start();
    let mut app = daemon.app("tester");
    assert_eq!(app.get("notes", "n3"), Some(json!({ "once": 1 })));
    let orphans: Vec<Value> = app.must("status", json!({}))["attention"].as_array().cloned().unwrap_or_default();
    assert!(orphans.iter().all(|one| one["name"] != "store_damaged"), "{orphans:?}");
}
