//! Owns: past conflicts under another rule, from outside: from the command line, over the socket, from the Rust client. Must never know: how a
//! rule decides.

use mingle_client::{Options as AppOptions, blocking::Client, call};
use mingle_tests::rest_server::Options;
use serde_json::{Value, json};

use crate::bench::scripted;

/// What was decided, open, or met a delete is put to another rule: each says what it would have been, all are counted, nothing changes.
#[test]
fn past_conflicts_are_put_to_another_rule() {
    let mut world = scripted(Options::default(), "[collection.things]\nmerge = { default = \"manual\" }\n[collection.others]\n");
    for id in ["l1", "l2", "l3", "n1", "d1"] {
        world.server.put("things", id, &json!({ "labels": ["a"], "n": 1 }));
    }
    world.app.sync("things", "done");
    for id in ["l1", "l2", "l3"] {
        world.server.patch("things", id, &json!({ "labels": ["a", "theirs"] }));
        world.app.patch("things", id, &json!({ "labels": ["a", "ours"] }));
    }
    world.server.patch("things", "n1", &json!({ "n": 2 }));
    world.app.patch("things", "n1", &json!({ "n": 3 }));
    world.server.delete("things", "d1");
    world.app.patch("things", "d1", &json!({ "n": 4 }));
    world.app.sync("things", "done");
    let open = world.app.must("conflict.list", json!({}))["conflicts"].take();
    assert_eq!(open.as_array().map(Vec::len), Some(4), "a delete that met an edit is decided: {open}");
    let decided = open[0]["conflict"].as_str().expect("an id").to_owned();
    world.daemon.says(0, &["conflict", "resolve", &decided, "--keep", "truth"]);
    world.app.sync("things", "done");

    let before = everything(&mut world);
    let said = world.daemon.says(0, &["conflict", "list", "--under", "union", "things"]);
    assert_eq!(said.matches("union   [\"a\",\"ours\",\"theirs\"]").count(), 3, "{said}");
    assert!(said.contains("union   2"), "where there is no list, the remote's value stands: {said}");
    assert!(said.contains("(a delete met an edit)") && said.ends_with("`union` would have settled 4 of 4\n"), "{said}");
    for (rule, part, end) in [
        ("truth", "truth   3  (what", "`truth` would have settled 4 of 4\n"),
        ("max", "max     3  (what", "`max` would have settled 4 of 4\n"),
        ("manual", "(a person would decide)", "`manual` would have settled 0 of 4\n"),
        ("newest", "(which side was later is not kept)", "`newest` would have settled 0 of 4\n"),
    ] {
        let said = world.daemon.says(0, &["conflict", "list", "--under", rule]);
        assert!(said.contains(part) && said.ends_with(end), "{rule}: {said}");
    }
    let said = world.daemon.says(0, &["conflict", "list", "--under", "union", "others"]);
    assert_eq!(said, "no conflict\n");

    // A rule that is none is refused with those that are, here and there.
    let output = world.daemon.mingle(&["conflict", "list", "--under", "later"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("later") && said.contains("newest, union"), "{output:?}");
    let refused = world.app.refused("invalid", "conflict.list", json!({ "under": "later" }));
    assert!(refused["message"].as_str().is_some_and(|what| what.contains("`newest`, `union`")), "{refused}");

    let mut options = AppOptions::app("rust");
    options.socket = Some(world.daemon.socket());
    let mut client = Client::open(&options).expect("a client");
    let asked = call::ConflictList { under: Some(call::Merge::Min), ..call::ConflictList::default() };
    let answer = client.conflict_list(asked).expect("an answer");
    let under = answer.under.expect("a count");
    assert_eq!((under.settled, under.of, under.more), (4, 4, false));
    let smaller = answer.conflicts.iter().find(|one| one.id == "n1").and_then(|one| one.would.as_ref()).expect("told");
    assert_eq!((smaller.settled, smaller.value.as_ref().map(|value| value.get())), (true, Some("2")));
    assert_eq!(everything(&mut world), before, "nothing changes by asking");
}

/// What could have changed.
fn everything(world: &mut crate::bench::Scripted) -> (Value, Value, Value) {
    let conflicts = world.app.must("conflict.list", json!({ "all": true }));
    let seq = world.app.must("status", json!({}))["seq"].take();
    (conflicts, seq, json!([world.app.all("things"), world.theirs(), world.server.changes()]))
}
