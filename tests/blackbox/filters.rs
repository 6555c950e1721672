//! Owns: filters of syncs from outside: what comes, what leaves when the filter is another one, through kills, with a real Kinto; and what is
//! wrong with one. Must never know: how rows are met.

use mingle_client::{Options, call::Filters, keeper::Driver};
use mingle_tests::{
    daemon::{Daemon, Home},
    disk_copy::DiskCopy,
};
use serde_json::{Value, json};

use crate::{
    bench::{WithKinto, kinto_config, with_kinto},
    keeper::Keeper,
};

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

/// What it is shown, as `id kind`; it takes all of it.
fn catches_up(keeper: &mut Keeper, mode: &str) -> Vec<String> {
    keeper.begin(mode);
    if mode == "slow" && !keeper.copy.is_empty() {
        keeper.push_all();
    }
    let met = keeper.mingle();
    assert_eq!((&met["changed"], &met["deleted"]), (&json!(0), &json!(0)), "{met}");
    let shown = keeper.shown();
    let mut told: Vec<String> = shown
        .iter()
        .map(|one| format!("{} {}", one["id"].as_str().unwrap_or_default(), one["kind"].as_str().unwrap_or_default()))
        .collect();
    shown.iter().for_each(|one| keeper.take(one));
    keeper.finish();
    told.sort();
    told
}

fn filters(keeper: &mut Keeper, filter: &Value) -> Value {
    keeper.app.must("app.register", json!({ "collections": ["notes"], "filters": { "notes": filter } }))
}

fn with_notes() -> Daemon {
    let daemon = Home::new(Some("[collection.notes]\n[collection.cards]\n")).start();
    let mut writer = daemon.app("writer");
    for (id, state, n) in [("a", "open", 1), ("b", "open", 5), ("c", "closed", 1), ("d", "closed", 9)] {
        writer.put("notes", id, &json!({ "state": state, "n": n }));
    }
    daemon
}

/// A-30: an app that keeps a part of a collection: what comes, what leaves, and that nothing of it is an edit; through a kill.
#[test]
fn an_app_keeps_what_fits_its_filter() {
    let mut daemon = with_notes();
    let (mut phone, mut desk) = (Keeper::new(&daemon, "phone"), Keeper::new(&daemon, "desk"));
    let answer = filters(&mut phone, &json!({ "state": "open" }));
    assert_eq!(answer["copies"][0]["filter"], json!({ "state": "open" }), "{answer}");
    assert_eq!(catches_up(&mut phone, "slow"), ["a created", "b created"]);
    assert_eq!(catches_up(&mut desk, "slow").len(), 4);
    // One leaves by an edit, one comes; only this app is told so.
    let mut writer = daemon.app("writer");
    writer.patch("notes", "a", &json!({ "state": "closed" }));
    writer.patch("notes", "c", &json!({ "state": "open" }));
    assert_eq!(catches_up(&mut phone, "fast"), ["a deleted", "c created"]);
    assert_eq!(catches_up(&mut desk, "fast"), ["a updated", "c updated"]);
    // Everything that it has is pushed, and what left is not there: that is no delete.
    phone.anchor = None;
    assert_eq!(catches_up(&mut phone, "slow"), Vec::<String>::new());
    desk.same_as_truth();
    // Another filter, and a kill before it is looked at; the same once more; none.
    let answer = filters(&mut phone, &json!({ "n": { "gt": 3 } }));
    assert_eq!(answer["copies"][0]["filter_waits"], true, "{answer}");
    daemon.kill();
    daemon.start();
    phone.app = daemon.app("phone");
    desk.app = daemon.app("desk");
    assert!(daemon.says(0, &["app", "list"]).contains(r#"keeps notes where {"n":{"gt":3}}"#));
    assert_eq!(catches_up(&mut phone, "fast"), ["c deleted", "d created"]);
    let answer = filters(&mut phone, &json!({ "n": { "gt": 3 } }));
    assert_eq!(answer["copies"][0]["filter_waits"], Value::Null, "{answer}");
    assert_eq!(catches_up(&mut phone, "fast"), Vec::<String>::new());
    // What it pushes is taken, though it does not fit, and leaves it.
    phone.begin("fast");
    phone.put("e", json!({ "state": "open", "n": 2 }));
    assert_eq!(phone.mingle()["changed"], 1);
    assert_eq!(phone.pull_and_finish(), 1);
    assert_eq!(phone.copy.keys().collect::<Vec<_>>(), ["b", "d"]);
    assert_eq!(catches_up(&mut desk, "fast"), ["e created"]);
    desk.same_as_truth();
    filters(&mut phone, &Value::Null);
    assert_eq!(catches_up(&mut phone, "fast"), ["a created", "c created", "e created"]);
    phone.same_as_truth();
    assert!(daemon.says(0, &["fsck"]).starts_with("good: "));
}

/// A-30: the values in a filter are those of records: who may not read the collection is told only that a filter waits.
#[test]
fn a_filter_is_shown_to_who_may_read_what_it_is_about() {
    let config = "[collection.notes]\n[collection.cards]\n[app.blind]\ngrants = { cards = \"write\" }\n[app.reads]\ngrants = { notes = \"read\" }\n";
    let daemon = Home::new(Some(config)).start();
    let mut phone = daemon.app("phone");
    let filters = json!({ "notes": { "who": "secret" }, "cards": { "n": 1 } });
    phone.must("app.register", json!({ "collections": ["notes", "cards"], "filters": filters }));
    for (app, cards, notes) in [
        ("blind", json!({ "n": 1 }), Value::Null),
        ("reads", Value::Null, json!({ "who": "secret" })),
        ("phone", json!({ "n": 1 }), json!({ "who": "secret" })),
    ] {
        let listed = daemon.app(app).must("app.list", json!({}));
        let known =
            listed["apps"].as_array().and_then(|all| all.iter().find(|one| one["app"] == "phone")).cloned().unwrap_or_default();
        for (at, filter) in [cards, notes].iter().enumerate() {
            let copy = &known["copies"][at];
            assert_eq!((&copy["filter"], &copy["filter_waits"]), (filter, &json!(true)), "{app}: {known}");
        }
        assert_eq!(listed.to_string().contains("secret"), app != "blind", "{app}: {listed}");
    }
}

/// V-29's defect again, on the socket: it names the collection and the place, and what was said before holds.
#[test]
fn an_apps_filter_that_cannot_be_meant_is_refused_at_its_place() {
    let daemon = with_notes();
    let mut phone = Keeper::new(&daemon, "phone");
    filters(&mut phone, &json!({ "state": "open" }));
    for (filter, what) in [
        (json!({}), "an empty one means nothing"),
        (json!("open"), "the filter of notes: "),
        (json!({ "n": { "above": 3 } }), "the filter of notes: n: unknown"),
        (json!({ "n": { "gt": true } }), "n: only numbers and texts are less or greater"),
        (json!({ "n": { "in": 3 } }), "n: in needs a list"),
        (json!({ "n": [1] }), "n: a list or an object is not compared"),
        (json!({ "id": "a" }), "an id is none"),
    ] {
        let both = json!({ "collections": ["notes", "cards"], "filters": { "notes": filter } });
        let refused = phone.app.refused("invalid", "app.register", both);
        let said = refused["message"].as_str().unwrap_or_default();
        assert!(said.contains("the filter of notes") && said.contains(what), "{filter}: {said}");
    }
    phone.app.refused("invalid", "app.register", json!({ "collections": ["cards"], "filters": { "notes": { "n": 1 } } }));
    let apps = phone.app.must("app.list", json!({}))["apps"].take();
    let known = apps.as_array().and_then(|all| all.iter().find(|one| one["app"] == "phone")).cloned().unwrap_or_default();
    assert_eq!(known["copies"].as_array().map(Vec::len), Some(1), "nothing was registered: {known}");
    assert_eq!(catches_up(&mut phone, "slow"), ["a created", "b created"]);
    // From the next session on.
    phone.begin("fast");
    phone.app.refused("wrong_state", "app.register", json!({ "collections": ["notes"], "filters": { "notes": null } }));
    phone.mingle();
    phone.finish();
    filters(&mut phone, &Value::Null);
    assert_eq!(catches_up(&mut phone, "fast"), ["c created", "d created"]);
}

/// A-30, A-37: the driver says the filters of its app before each session.
#[test]
fn a_driver_keeps_what_fits() {
    let daemon = with_notes();
    let mut copy = DiskCopy::open(&daemon.dir().join("notes.json"), "notes");
    let options = Options { socket: Some(daemon.socket()), ..Options::app("copy") };
    let mut driver = Driver::new(options, &["notes"]);
    for (filter, stored, kept) in [
        (r#"{"notes":{"state":"open"}}"#, 2, [1, 5].as_slice()),
        (r#"{"notes":{"state":"open"}}"#, 0, &[1, 5]),
        (r#"{"notes":{"state":"closed"}}"#, 4, &[1, 9]),
        (r#"{"notes":null}"#, 2, &[1, 1, 5, 9]),
    ] {
        driver.filters = serde_json::from_str::<Filters>(filter).expect("filters");
        let report = driver.run(&mut copy).expect("in step");
        assert_eq!((report.stored, report.changed, report.deleted), (stored, 0, 0), "{filter}: {report:?}");
        let mut ns: Vec<u64> = copy.all().into_values().filter_map(|one| one["n"].as_u64()).collect();
        ns.sort_unstable();
        assert_eq!(ns, kept, "{filter}");
    }
    assert_eq!(daemon.app("writer").all("notes").len(), 4);
}
