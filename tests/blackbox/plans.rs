//! Owns: `plan` from outside: what it tells is what the run then does, and until then nothing is done. Must never know: how a plan is
//! made.

use std::{collections::BTreeMap, fs, time::Duration};

use mingle_tests::{
    rest_server::{Fault, Options, RestServer},
    servers::Kinto,
    wait::until,
};
use serde_json::{Value, json};

use crate::bench::{Scripted, scripted, with_kinto};

/// Both sides have edits of every kind, and one record was changed by both.
fn edited(options: Options) -> Scripted {
    let mut world = scripted(options, "");
    for n in 0..6 {
        world.server.put("things", &format!("t{n}"), &json!({ "title": "far", "n": n }));
    }
    world.app.sync("things", "done");
    world.app.put("things", "made-here", &json!({ "title": "here" }));
    world.app.must("patch", json!({ "collection": "things", "id": "t0", "patch": { "title": "mine" } }));
    world.app.delete("things", "t1");
    world.server.put("things", "made-there", &json!({ "title": "there" }));
    world.server.patch("things", "t2", &json!({ "title": "theirs", "n": null }));
    world.server.delete("things", "t3");
    world.app.must("patch", json!({ "collection": "things", "id": "t4", "patch": { "title": "mine" } }));
    world.server.patch("things", "t4", &json!({ "title": "theirs" }));
    let _ = world.server.log();
    world
}

/// What a server was asked that was more than a question: method and path.
fn changed_at(server: &RestServer) -> Vec<String> {
    server.log().into_iter().filter(|line| !line.starts_with("GET")).collect()
}

fn told(plan: &Value, url: &str) -> Vec<String> {
    let requests = plan["requests"].as_array().expect("a list");
    let line = |one: &Value| {
        let path = one["url"].as_str().and_then(|all| all.strip_prefix(url)).unwrap_or("elsewhere");
        format!("{} {}", one["method"].as_str().unwrap_or_default(), path.trim_start_matches('/'))
    };
    requests.iter().map(line).collect()
}

fn kinds(changes: &Value) -> BTreeMap<String, Value> {
    changes
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["id"].as_str().unwrap_or_default().to_owned(), one["kind"].clone()))
        .collect()
}

/// The plan, then the run: the same requests, the same records changed.
#[test]
fn a_plan_is_what_the_run_then_does() {
    let several = Options { batches: 3, ..Options::default() };
    let kinds_of_service = [Options::default(), Options { patches: true, ..Options::default() }, Options::careless(), several];
    for options in kinds_of_service {
        let named = options.client_ids;
        let mut world = edited(options);
        let before = (world.app.must("changes", json!({ "since": 0, "data": true })), world.server.rows("things"));
        let seq = before.0["seq"].clone();
        let plan = world.app.must("plan", json!({ "sync": "things" }));
        assert_eq!((&plan["status"], &plan["error"]), (&json!("done"), &Value::Null), "{plan}");
        assert_eq!((&plan["conflicts"], &plan["rejections"]), (&json!(1), &json!(0)), "{plan}");
        assert_eq!(changed_at(&world.server), Vec::<String>::new(), "a plan only asks");
        let after = (world.app.must("changes", json!({ "since": 0, "data": true })), world.server.rows("things"));
        assert_eq!(before, after, "a plan changes nothing, on neither side");
        assert_eq!(world.app.must("conflict.list", json!({}))["conflicts"], json!([]));
        assert_eq!(world.app.must("history", json!({}))["runs"].as_array().map(Vec::len), Some(1), "a plan is no run");

        world.app.sync("things", "done");
        // Those that go out side by side arrive in any order.
        let sorted = |mut lines: Vec<String>| {
            lines.sort();
            lines
        };
        assert_eq!(sorted(told(&plan, &world.server.url)), sorted(changed_at(&world.server)), "{plan}");
        assert_eq!(plan["requests_total"], json!(plan["requests"].as_array().map(Vec::len)));
        let done = world.app.must("changes", json!({ "since": seq }));
        let mut done = kinds(&done["changes"]);
        // Answers come after the plan: where the service names a record, nothing changes here all the same.
        assert_eq!(
            kinds(&plan["changes"]),
            {
                done.remove("made-here");
                done
            },
            "{plan}"
        );
        if named {
            let of = |id: &str| {
                plan["requests"]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .any(|one| one["ids"].as_array().is_some_and(|ids| ids.contains(&json!(id))))
            };
            assert!(of("t0") && of("t1") && of("made-here") && !of("t2"), "{plan}");
        }
        let t2 = plan["changes"].as_array().expect("a list").iter().find(|one| one["id"] == "t2").expect("t2");
        let properties =
            json!([{ "property": "n", "from": 2, "to": null }, { "property": "title", "from": "far", "to": "theirs" }]);
        assert_eq!(t2["properties"], properties);
        let again = world.app.must("plan", json!({ "sync": "things" }));
        assert_eq!((&again["requests_total"], &again["changes_total"]), (&json!(0), &json!(0)), "{again}");
    }
}

/// At a real service, with its credentials: they are not told.
#[test]
fn a_plan_for_a_real_kinto() {
    let mut world = with_kinto("");
    world.app.sync("notes", "done");
    world.app.put("notes", "n1", &json!({ "title": "bread" }));
    let plan = world.app.must("plan", json!({ "sync": "notes" }));
    let request = &plan["requests"][0];
    assert_eq!((&request["method"], &request["ids"]), (&json!("PUT"), &json!(["n1"])), "{plan}");
    assert_eq!(request["body"]["data"]["title"], "bread");
    assert_eq!(request["headers"]["if-none-match"], "*", "{plan}");
    let secret = ["authorization", Kinto::ACCOUNT.1];
    assert!(!secret.iter().any(|word| plan.to_string().contains(word)), "{plan}");
    let said = world.daemon.says(0, &["sync", "notes", "--plan"]);
    assert!(said.contains("1 request to send and 0 records to change here; nothing is done"), "{said}");
    assert!(said.contains("\"title\":\"bread\"") && said.contains("(n1)"), "{said}");
    world.app.sync("notes", "done");
    assert!(world.daemon.says(0, &["sync", "--plan"]).contains("0 requests to send"));
}

/// It says why it is not made, or what would go wrong; it counts what it does not tell.
#[test]
fn what_a_plan_is_refused_for_and_what_it_leaves_out() {
    let mut world = scripted(Options::default(), "[collection.others]\n[app.blind]\ngrants = { others = \"read\" }\n");
    for n in 0..30 {
        world.server.put("things", &format!("t{n:02}"), &json!({ "n": n }));
        world.app.put("things", &format!("h{n:02}"), &json!({ "n": n }));
    }
    let plan = world.app.must("plan", json!({ "sync": "things", "limit": 7 }));
    assert_eq!(
        (&plan["mode"], &plan["requests_total"], &plan["changes_total"]),
        (&json!("slow"), &json!(30), &json!(30)),
        "{plan}"
    );
    for told in ["requests", "changes"] {
        assert_eq!(plan[told].as_array().map(Vec::len), Some(7));
    }
    let said = world.daemon.says(0, &["sync", "things", "--plan", "--mode", "refresh"]);
    assert!(said.contains("30 requests to send and 30 records to change here"), "{said}");

    world.app.refused("not_found", "plan", json!({ "sync": "thing" }));
    world.app.refused("invalid", "plan", json!({ "sync": "things", "limit": 0 }));
    world.app.refused("unsupported", "plan", json!({ "sync": "things", "mode": "bulk" }));
    world.daemon.app("blind").refused("denied", "plan", json!({ "sync": "things" }));
    world.app.must("stop", json!({}));
    let refused = world.app.refused("stopped", "plan", json!({ "sync": "things" }));
    assert!(refused["data"]["hint"].as_str().is_some_and(|hint| hint.contains("mingle restart")), "{refused}");
    world.app.must("restart", json!({}));

    world.server.next("GET", Fault::Status(401, vec![]));
    let plan = world.app.must("plan", json!({ "sync": "things" }));
    assert_eq!((&plan["status"], &plan["error"]["name"]), (&json!("failed"), &json!("needs_login")), "{plan}");
    let status = world.app.status("things");
    assert_eq!(
        (&status["state"], &status["last"]),
        (&json!("waiting"), &Value::Null),
        "what a plan meets is no state of the sync: {status}"
    );
}

/// One at a time; given up or killed, it leaves nothing behind.
#[test]
fn a_plan_that_is_given_up_leaves_nothing_behind() {
    let mut world = scripted(Options::default(), "");
    world.server.put("things", "t", &json!({ "n": 1 }));
    let home = world.daemon.store().parent().expect("a folder").to_owned();
    let copies = || {
        let names =
            fs::read_dir(&home).expect("the store's folder").flatten().map(|one| one.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.contains(".plan")).count()
    };
    world.server.next("GET", Fault::HangBefore);
    let plan = world.app.send("plan", &json!({ "sync": "things" })).expect("sent");
    until("the plan to ask", || (!world.server.log().is_empty()).then_some(()));
    assert!(copies() > 0, "it is made on a copy");
    let mut other = world.daemon.app("other");
    other.refused("busy", "plan", json!({ "sync": "things" }));
    // Apps and runs go on beside it.
    other.put("things", "o", &json!({ "n": 2 }));
    other.sync("things", "done");
    world.app.must("cancel", json!({ "id": plan }));
    assert!(world.app.answer(plan).expect("an answer").is_err_and(|error| error["data"]["name"] == "cancelled"));
    until("the copy to go away", || (copies() == 0).then_some(()));
    other.must("plan", json!({ "sync": "things" }));
    assert_eq!(copies(), 0);

    let _ = world.server.log();
    world.server.next("GET", Fault::HangBefore);
    world.app.send("plan", &json!({ "sync": "things" })).expect("sent");
    until("the plan to ask", || (!world.server.log().is_empty()).then_some(()));
    world.daemon.kill();
    assert!(copies() > 0);
    world.daemon.start();
    assert_eq!(copies(), 0, "the next start takes it away");

    world.app = world.daemon.app("tester");
    let _ = world.server.log();
    world.server.next("GET", Fault::Lag(Duration::from_secs(30)));
    world.app.send("plan", &json!({ "sync": "things" })).expect("sent");
    until("the plan to ask", || (!world.server.log().is_empty()).then_some(()));
    let (ended, took) = world.daemon.terminate();
    assert!(ended.success() && took < Duration::from_secs(5), "a plan holds up no end: {ended} after {took:?}");
    assert_eq!(copies(), 0);
}
