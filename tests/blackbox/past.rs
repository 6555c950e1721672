//! Owns: `why` and `undo` from outside: with a remote, a conflict, several apps, from the command line and the clients. Must never know: how the
//! ledger is kept.

use mingle_client::{Options as AppOptions, blocking::Client, call};
use mingle_tests::{rest_server::Options, wait::until};
use serde_json::{Value, json};

use crate::bench::scripted;

const CONFIG: &str = "[collection.notes]\n[app.reader]\ngrants = { notes = \"read\" }\n";

fn why(app: &mut mingle_tests::app::App, id: &str, property: &str) -> Value {
    app.must("why", json!({ "collection": "things", "id": id, "property": property }))["why"][0].clone()
}

/// Value, since, whose, by which rule, what lost, what was before: of what an app wrote, a sync brought, and both had changed.
#[test]
fn a_value_says_where_it_comes_from() {
    let mut world = scripted(Options::default(), CONFIG);
    world.server.put("things", "t1", &json!({ "title": "far", "n": 1 }));
    world.app.sync("things", "done");
    let arrived = why(&mut world.app, "t1", "title");
    assert_eq!(
        (&arrived["value"], &arrived["rule"], &arrived["origin"]),
        (&json!("far"), &json!("arrived"), &json!("sync:things"))
    );
    assert!(arrived["since_at"].is_string() && arrived.get("lost").is_none(), "{arrived}");
    // Both sides change it: the remote's value stands, and what lost is told.
    world.app.must("stop", json!({}));
    world.app.must("patch", json!({ "collection": "things", "id": "t1", "patch": { "title": "mine" } }));
    world.server.patch("things", "t1", &json!({ "title": "theirs" }));
    world.app.must("restart", json!({}));
    world.app.sync("things", "done");
    let merged = why(&mut world.app, "t1", "title");
    assert_eq!((&merged["value"], &merged["rule"], &merged["policy"]), (&json!("theirs"), &json!("merged"), &json!("remote")));
    assert_eq!((&merged["lost"][0]["value"], &merged["lost"][0]["side"]), (&json!("mine"), &json!("truth")), "{merged}");
    let before: Vec<&Value> = merged["before"].as_array().expect("a list").iter().map(|one| &one["value"]).collect();
    assert_eq!(before, [&json!("mine"), &json!("far")]);
    let said = world.daemon.says(0, &["why", "things", "t1", "title"]);
    for words in [
        "things/t1.title  \"theirs\"",
        "sync things brought it; both sides had changed it (policy remote)",
        "lost    \"mine\"  the value here",
        "before  \"mine\"  app ",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    let said = world.daemon.says(0, &["why", "things", "t1"]);
    assert!(said.contains("things/t1  (live)") && said.contains("things/t1.n  1"), "{said}");
    // Deleted, and never there.
    world.app.put("notes", "gone", &json!({ "a": 1 }));
    world.app.delete("notes", "gone");
    assert!(world.daemon.says(0, &["why", "notes", "gone"]).contains("notes/gone  (deleted)"));
    assert!(world.daemon.says(1, &["why", "notes", "never"]).contains("no record \"never\""));
    assert!(world.daemon.says(1, &["why", "nots", "x"]).contains("no collection"));
}

/// What an app did is taken back: previewed, what others changed since stays and is named, and the syncs send it.
#[test]
fn changes_are_taken_back_and_sent() {
    let mut world = scripted(Options::default(), CONFIG);
    for n in 0..3 {
        world.server.put("things", &format!("t{n}"), &json!({ "title": "far", "n": n }));
    }
    world.app.sync("things", "done");
    let mut agent = world.daemon.app("agent");
    for n in 0..3 {
        agent.must("patch", json!({ "collection": "things", "id": format!("t{n}"), "patch": { "title": "agent", "n": 9 } }));
    }
    let mut editor = world.daemon.app("editor");
    editor.must("patch", json!({ "collection": "things", "id": "t1", "patch": { "title": "edited" } }));
    world.app.sync("things", "done");

    let seq = world.app.must("status", json!({}))["seq"].clone();
    let said = world.daemon.says(5, &["undo", "things", "--by", "agent"]);
    for words in [
        "things/t0.title  \"agent\" -> \"far\"",
        "things/t1.title  stays: app editor changed it",
        "things/t1.n  9 -> 1",
        "--yes does it",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(world.app.must("status", json!({}))["seq"], seq, "a preview changes nothing");
    let said = world.daemon.says(5, &["undo", "things", "--by", "agent", "--yes"]);
    assert!(said.contains("things/t0  undone") && said.contains("3 records changed; 1 value changed since"), "{said}");
    let expect = |n: i64| json!({ "title": if n == 1 { "edited" } else { "far" }, "n": n });
    for n in 0..3 {
        assert_eq!(world.app.get("things", &format!("t{n}")), Some(expect(n)));
    }
    world.app.sync("things", "done");
    until("the remote to have it", || {
        let rows = world.server.rows("things");
        (0..3).all(|n| rows.get(&format!("t{n}")) == Some(&expect(n))).then_some(())
    });
    // Once more there is nothing to do; the undo itself can be undone.
    assert!(world.daemon.says(5, &["undo", "things", "--by", "agent", "--yes"]).contains("nothing was undone"));
    world.daemon.says(0, &["undo", "things", "t0", "--yes"]);
    assert_eq!(world.app.get("things", "t0"), Some(json!({ "title": "agent", "n": 9 })));

    // What a run brought.
    world.server.put("things", "new", &json!({ "title": "new" }));
    world.server.patch("things", "t2", &json!({ "title": "run" }));
    let run = world.app.sync("things", "done")["run"].as_str().map(str::to_owned);
    let run = run.unwrap_or_else(|| {
        world.app.must("history", json!({ "limit": 1 }))["runs"][0]["run"].as_str().expect("a run").to_owned()
    });
    let said = world.daemon.says(0, &["undo", "--run", &run]);
    assert!(
        said.contains("things/new  {\"title\":\"new\"} -> (not there)") && said.contains("things/t2.title  \"run\" -> \"far\""),
        "{said}"
    );
    world.daemon.says(0, &["undo", "--run", &run, "--yes"]);
    assert_eq!(world.app.get("things", "new"), None);
    world.app.sync("things", "done");
    until("the remote to be rid of it", || (!world.server.rows("things").contains_key("new")).then_some(()));

    for (words, code, told) in [
        (vec!["undo", "--run", "r-none"], 1, "no run \"r-none\""),
        (vec!["undo", "nots", "--by", "agent"], 1, "no collection"),
        (vec!["undo", "things", "never"], 1, "no record"),
        (vec!["undo", "--by", "agent", "--since", "yesterday"], 2, "is no time"),
        (vec!["undo", "notes", "--by", "agent", "--app", "reader"], 4, "may not write notes"),
    ] {
        let said = world.daemon.says(code, &words);
        assert!(said.contains(told), "{words:?}: {said}");
    }
    assert!(world.daemon.says(0, &["fsck"]).starts_with("good: "));
}

/// A record that was deleted comes back by the Rust client, at the remote too; a repeated op does it once.
#[test]
fn a_deleted_record_comes_back_by_the_client() {
    let mut world = scripted(Options::default(), CONFIG);
    world.server.put("things", "t", &json!({ "title": "far" }));
    world.app.sync("things", "done");
    world.app.delete("things", "t");
    world.app.sync("things", "done");
    until("the remote to be rid of it", || world.server.rows("things").is_empty().then_some(()));
    let mut options = AppOptions::app("client");
    options.socket = Some(world.daemon.socket());
    let mut client = Client::open(&options).expect("connected");
    let undo =
        call::Undo { collection: Some("things".into()), id: Some("t".into()), op: Some("o-1".into()), ..call::Undo::default() };
    let first = client.undo(undo.clone()).expect("undone");
    let again = client.undo(undo).expect("the first answer");
    assert_eq!((&first.undone, &first.token), (&again.undone, &again.token));
    assert_eq!(first.undone.len(), 1);
    let why = client.why(call::Why { collection: "things".into(), id: "t".into(), property: None }).expect("told");
    assert_eq!(why.why[0].origin.as_deref(), Some("app:client"));
    world.app.sync("things", "done");
    until("the remote to have it again", || world.server.rows("things").values().any(|row| row["title"] == "far").then_some(()));
    assert!(client.undo(call::Undo::default()).is_err(), "nothing says which");
}
