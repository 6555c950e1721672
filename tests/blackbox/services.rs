//! Owns: the same thin line as in `end_to_end.rs`, with services that promise less: both ways, merged, deletes found by absence.
//! Must never know: how a profile describes them.

use std::{collections::BTreeMap, time::Duration};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    servers::PocketBase,
    trackers::{self, GitHub},
    wait::until,
};
use serde_json::{Value, json};

/// A daemon with a sync `notes` of a remote with a token.
fn with(profile: &str, url: &str, token: &str, resource: &str) -> (Daemon, App) {
    let config = format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{profile}\"\nurl = \"{url}\"\n\
         auth = {{ type = \"bearer\", token = {{ file = \"far.secret\" }} }}\n\n\
         [sync.notes]\ncollection = \"notes\"\nremote = \"far\"\nresource = \"{resource}\"\ndirection = \"both\"\n\
         on_start = false\non_change = false\n"
    );
    let home = Home::new(Some(&config));
    home.write("far.secret", token);
    let daemon = home.start();
    let app = daemon.app("tester");
    (daemon, app)
}

/// The record with this value at `at`, and its id.
#[track_caller]
fn found(app: &mut App, at: &str, value: &str) -> (String, Value) {
    let all = app.all("notes");
    let found = all.iter().find(|(_, record)| record[at] == value);
    let (id, record) = found.unwrap_or_else(|| panic!("no record with {at} = {value}: {all:?}"));
    (id.clone(), record.clone())
}

#[test]
fn pocketbase_syncs_both_ways_and_its_deletes_are_found() {
    let server = PocketBase::shared();
    let fields =
        json!([{ "name": "title", "type": "text" }, { "name": "count", "type": "number" }, { "name": "done", "type": "bool" }]);
    let resource = server.collection(&fields);
    let (daemon, mut app) = with("pocketbase", &server.url, &server.token, &resource);
    for n in 0..5 {
        app.put("notes", &format!("n{n}"), &json!({ "title": format!("ours {n}"), "count": n }));
        server.put(&resource, &format!("theirs{n:0>9}"), &json!({ "title": format!("theirs {n}"), "done": true }));
    }
    app.sync("notes", "done");
    let titles = |records: BTreeMap<String, Value>| {
        let mut all: Vec<_> = records.into_values().map(|record| record.to_string()).collect();
        all.sort();
        all
    };
    assert_eq!(titles(app.all("notes")), titles(server.list(&resource)));
    assert_eq!(app.all("notes").len(), 10);
    // The service's own form of our value came back.
    assert_eq!(found(&mut app, "title", "ours 3").1, json!({ "title": "ours 3", "count": 3, "done": false }));

    // Both sides edit the same record, each its own property.
    let (ours, _) = found(&mut app, "title", "theirs 1");
    server.put(&resource, "theirs000000001", &json!({ "title": "theirs 1", "done": true, "count": 7 }));
    app.patch("notes", &ours, &json!({ "title": "both 1" }));
    app.sync("notes", "done");
    assert_eq!(server.list(&resource)["theirs000000001"], json!({ "title": "both 1", "done": true, "count": 7 }));
    assert_eq!(found(&mut app, "title", "both 1").1["count"], 7);

    // Deletes: ours at once, theirs with the next whole listing.
    let (gone, _) = found(&mut app, "title", "ours 0");
    app.delete("notes", &gone);
    server.delete(&resource, "theirs000000002");
    app.sync("notes", "done");
    assert_eq!(server.list(&resource).len(), 8);
    daemon.says(0, &["sync", "notes", "--mode", "slow"]);
    assert_eq!(titles(app.all("notes")), titles(server.list(&resource)));
    let row = app.sync("notes", "done");
    assert_eq!((&row["up"], &row["down"], &row["result"]), (&json!(0), &json!(0), &json!("no_new_data")), "{row}");
    let shown = daemon.says(0, &["remote", "show", "far"]);
    assert!(shown.contains("client_ids") && shown.contains("by stamp and id"), "{shown}");
}

/// A limit may come between a create and what it could not set: nothing of it is lost, and nobody's edit beats it.
#[test]
fn an_issue_that_is_closed_before_it_is_made_ends_closed_whatever_comes_between() {
    fn check(profile: &str, url: &str, between: &dyn Fn(bool), states: &dyn Fn() -> Vec<Value>) {
        let (daemon, mut app) = with(profile, url, trackers::TOKEN, "issues");
        app.sync("notes", "done");
        between(true);
        app.put("notes", "new", &json!({ "title": "done on the train", "state": "closed" }));
        let run = app.run("notes");
        let end = app.ended(&run);
        assert_ne!(end, "done", "it met no limit");
        assert_eq!(states().len(), 1, "it is made, and no more");
        assert_ne!(states()[0], "closed");
        assert_eq!(app.get("notes", "new").expect("an issue")["state"], "closed");
        assert_eq!(app.status("notes")["pending"], 1);
        between(false);
        until("the rest of it", || {
            let run = app.run("notes");
            (app.ended(&run) == "done" && states()[0] == "closed").then_some(())
        });
        assert_eq!(app.get("notes", "new").expect("an issue")["state"], "closed");
        assert_eq!((app.status("notes")["pending"].clone(), states().len()), (json!(0), 1));
        assert_eq!(app.must("conflict.list", json!({}))["conflicts"], json!([]));
        drop(daemon);
    }
    let server = GitHub::start();
    let between = |limited: bool| server.pace(if limited { 1 } else { usize::MAX }, Duration::from_secs(2));
    let states = || server.issues().values().map(|issue| issue["state"].clone()).collect();
    check("github-issues", &server.url, &between, &states);
}

/// Who edits the filter of a profile of his own gets what it lists now, and not only what changes from now on.
#[test]
fn a_filter_of_ones_own_profile_that_is_widened_or_narrowed_is_heeded_at_once() {
    let server = GitHub::start();
    for n in 0..4 {
        server.open(&json!({ "title": format!("issue {n}") }));
    }
    server.edit(2, &json!({ "state": "closed" }));
    let (daemon, mut app) = with("github-issues", &server.url, trackers::TOKEN, "issues");
    let text = daemon.says(0, &["profile", "show", "github-issues"]);
    let profiles = daemon.config_dir().join("profiles");
    std::fs::create_dir(&profiles).expect("a folder for profiles");
    let listing = |state: &str| {
        let own = text.replace("state = \"all\"", &format!("state = \"{state}\""));
        assert_ne!(own, text);
        std::fs::write(profiles.join("mine.toml"), own).expect("written");
    };
    listing("open");
    let config = std::fs::read_to_string(daemon.config_dir().join("config.toml")).expect("the configuration");
    daemon.configure(&config.replace("github-issues", "mine"));
    daemon.says(0, &["reload"]);
    app.sync("notes", "done");
    assert_eq!(app.all("notes").len(), 3, "the one that is closed is not listed");
    app.sync("notes", "done");
    listing("closed");
    daemon.says(0, &["reload"]);
    app.sync("notes", "done");
    let titles: Vec<Value> = app.all("notes").values().map(|record| record["title"].clone()).collect();
    assert!(titles.contains(&json!("issue 1")), "what it lists now has come: {titles:?}");
    // What it does not list any more is still there: the service was asked for each.
    assert_eq!((titles.len(), server.issues().len()), (4, 4));
    assert_eq!(app.must("conflict.list", json!({}))["conflicts"], json!([]));
}

#[test]
fn issues_are_edited_on_a_train_and_nothing_is_asked_twice() {
    let server = GitHub::start();
    for n in 0..3 {
        server.open(&json!({ "title": format!("issue {n}"), "labels": ["bug"] }));
    }
    server.open_pull("not an issue");
    let (daemon, mut app) = with("github-issues", &server.url, trackers::TOKEN, "issues");
    app.sync("notes", "done");
    assert_eq!(app.all("notes").len(), 3);
    let (id, record) = found(&mut app, "title", "issue 1");
    assert_eq!((&record["labels"], &record["state"], &record["author"]), (&json!(["bug"]), &json!("open"), &json!("you")));

    // Without a network: close one, open one that is closed already, delete one.
    app.patch("notes", &id, &json!({ "state": "closed", "labels": ["bug", "fixed"] }));
    app.put("notes", "new", &json!({ "title": "from the train", "state": "closed", "state_reason": "not_planned" }));
    let (unwanted, _) = found(&mut app, "title", "issue 2");
    server.edit(2, &json!({ "body": "seen in the wild" }));
    app.delete("notes", &unwanted);
    app.sync("notes", "done_with_errors");
    let issues = server.issues();
    assert_eq!((&issues[&2]["state"], &issues[&2]["body"]), (&json!("closed"), &json!("seen in the wild")));
    assert_eq!(issues[&2]["labels"].as_array().map(Vec::len), Some(2));
    assert_eq!((&issues[&5]["title"], &issues[&5]["state_reason"]), (&json!("from the train"), &json!("not_planned")));
    assert_eq!(found(&mut app, "title", "from the train").1["number"], 5);
    assert_eq!(app.get("notes", &id).expect("an issue")["body"], "seen in the wild");
    // It has no way to delete: that is kept for a person, and the issue stays.
    assert_eq!(issues.len(), 4);
    let said = daemon.says(0, &["rejection", "list"]);
    assert!(said.contains("no way to delete"), "{said}");

    // Nothing changed: the repository is looked at, the listing is answered with 304. What we wrote ourselves has to be listed before,
    // for its stamps move the question where they fall into another second.
    let logs: Vec<Vec<String>> = (0..4)
        .map(|_| {
            let _ = server.log();
            app.sync("notes", "done_with_errors");
            server.log()
        })
        .collect();
    let costs_nothing = |log: &Vec<String>| log.iter().any(|line| line.ends_with(" 304")) && log.len() <= 3;
    assert!(logs.last().is_some_and(costs_nothing), "{logs:?}");
}
