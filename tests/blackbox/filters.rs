//! Owns: filters of syncs from outside: what comes, what leaves when the filter is another one, through kills, with a real Kinto; and what is
//! wrong with one. Must never know: how rows are met.

use serde_json::json;

use crate::bench::{WithKinto, kinto_config, with_kinto};

fn configure(world: &WithKinto, filter: &str) {
    world.daemon.configure(&kinto_config(&world.kinto.url, &world.resource, "notes", filter));
}

fn here(world: &mut WithKinto) -> Vec<String> {
    world.app.all("notes").into_keys().collect()
}

/// V-10, R-13, A-30: only what fits is here; a changed filter looks at everything anew, tells apps what left, and deletes nothing there.
#[test]
fn a_changed_filter_brings_and_drops_and_deletes_nothing() {
    let mut world = with_kinto("filter = { state = \"open\" }\n");
    for (id, state, n) in [("a", "open", 1), ("b", "open", 5), ("c", "closed", 1), ("d", "closed", 9)] {
        world.kinto.put(&world.resource, id, &json!({ "state": state, "n": n }));
    }
    world.app.sync("notes", "done");
    assert_eq!(here(&mut world), ["a", "b"]);
    // One leaves by an edit there, one comes.
    world.kinto.patch(&world.resource, "a", &json!({ "state": "closed" }));
    world.kinto.patch(&world.resource, "c", &json!({ "state": "open" }));
    let before = world.app.must("status", json!({}))["seq"].clone();
    world.app.sync("notes", "done");
    assert_eq!(here(&mut world), ["b", "c"]);
    let told = world.app.must("changes", json!({ "since": before, "collections": ["notes"] }));
    let mut kinds: Vec<(String, String)> =
        told["changes"].as_array().expect("changes").iter().map(|one| (one["id"].to_string(), one["kind"].to_string())).collect();
    kinds.sort();
    assert_eq!(kinds, [("\"a\"".into(), "\"left\"".into()), ("\"c\"".into(), "\"created\"".into())], "{told}");
    // Another filter, with an edit that is not sent yet: it goes out, and then its record leaves too. A kill in between changes nothing.
    world.app.patch("notes", "c", &json!({ "m": 1 }));
    configure(&world, "filter = { n = { gt = 3 }, state = { in = [\"open\", \"closed\"] } }\n");
    world.app.must("reload", json!({}));
    world.daemon.kill();
    world.daemon.start();
    world.app = world.daemon.app("tester");
    world.app.sync("notes", "done");
    world.app.sync("notes", "done");
    let again = world.app.must("sync.run", json!({ "sync": "notes", "mode": "slow" }))["run"].as_str().expect("a run").to_owned();
    assert_eq!(world.app.ended(&again), "done");
    assert_eq!(here(&mut world), ["b", "d"]);
    let theirs = world.kinto.list(&world.resource);
    assert_eq!((theirs.len(), &theirs["c"]["m"]), (4, &json!(1)), "all of it is there, with the edit: {theirs:?}");
    // What is edited here goes to the same record there.
    world.app.patch("notes", "d", &json!({ "n": 10 }));
    world.app.sync("notes", "done");
    assert_eq!(world.kinto.list(&world.resource)["d"], json!({ "state": "closed", "n": 10 }));
    // Without a filter everything is here again, under the ids that it had.
    configure(&world, "");
    world.app.must("reload", json!({}));
    world.app.sync("notes", "done");
    world.assert_same();
    assert_eq!(here(&mut world), ["a", "b", "c", "d"]);
}

/// V-29's defect: "invalid: downloads everything". Here it is refused at its line, and what was in force stays.
#[test]
fn a_filter_that_cannot_be_meant_is_refused_at_its_place() {
    let mut world = with_kinto("filter = { state = \"open\" }\n");
    world.kinto.put(&world.resource, "a", &json!({ "state": "open" }));
    world.kinto.put(&world.resource, "b", &json!({ "state": "closed" }));
    world.app.sync("notes", "done");
    for (filter, what) in [
        ("filter = \"open\"", "must be a table"),
        ("filter = false", "must be a table"),
        ("filter = {}", "an empty `filter` means nothing"),
        ("filter = { n = { above = 3 } }", "there is no operator `above`"),
        ("filter = { n = { gt = true } }", "only numbers and texts are less or greater"),
        ("filter = { n = { in = 3 } }", "`in` needs a list"),
        ("filter = { n = [1] }", "a list or an object is not compared"),
        ("filter = { id = \"a\" }", "an id is none"),
    ] {
        configure(&world, &format!("{filter}\n"));
        let refused = world.app.refused("invalid", "reload", json!({}));
        let said = refused.to_string();
        assert!(said.contains(what), "{filter}: {said}");
        let line = filter_line(&world);
        let said = world.daemon.says(78, &["config", "check"]);
        assert!(said.contains(what) && said.contains(&format!(":{line}")), "{filter}, line {line}: {said}");
        world.app.sync("notes", "done");
        assert_eq!(here(&mut world), ["a"], "{filter}");
    }
}

/// The line of the filter in the configuration.
fn filter_line(world: &WithKinto) -> usize {
    let text = std::fs::read_to_string(world.daemon.config_dir().join("config.toml")).expect("the configuration");
    1 + text.lines().position(|line| line.starts_with("filter")).expect("a filter")
}
