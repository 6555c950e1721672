//! Owns: what is known of apps, from outside: who they are, what they may do and keep a copy of, and a copy that is forgotten. Must never
//! know: how the daemon keeps any of it.

use mingle_client::{Options, blocking::Client, call};
use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    wait::until,
};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::keeper::Keeper;

const CONFIG: &str = "[collection.notes]\n[collection.cards]\nmerge = { default = \"remote\", title = \"manual\" }\nidentity = [\"mail\"]\n\
    [app.reader]\ngrants = { notes = \"read\" }\n[app.away]\ngrants = {}\n[app.scribe]\ngrants = { notes = \"write\" }\n";

fn daemon() -> Daemon {
    Home::new(Some(CONFIG)).start()
}

/// What is known of one app.
fn known(app: &mut App, name: &str) -> Value {
    let apps = app.must("app.list", json!({}))["apps"].take();
    let found = apps.as_array().and_then(|all| all.iter().find(|one| one["app"] == name));
    found.cloned().unwrap_or_default()
}

/// A keeper of cards, with some that all have.
fn keeper(daemon: &Daemon, name: &str) -> Keeper {
    let mut keeper = Keeper::of(daemon, name, "cards");
    keeper.begin("slow");
    keeper.mingle();
    keeper.pull_and_finish();
    keeper.same_as_truth();
    keeper
}

fn some_cards(daemon: &Daemon) {
    let mut writer = daemon.app("writer");
    for mail in ["a@x", "b@x", "c@x"] {
        writer.put("cards", mail, &json!({ "mail": mail, "title": "t" }));
    }
}

/// A-03, A-04: by name, in pages: those of the configuration, those that are connected, those that keep a copy.
#[test]
fn every_app_is_known_with_what_it_may_and_keeps() {
    let mut daemon = daemon();
    some_cards(&daemon);
    let mut looks = daemon.app("looks");
    let mut one = keeper(&daemon, "one");
    let mut pages = Vec::new();
    let mut cursor = Value::Null;
    loop {
        let page = looks.must("app.list", json!({ "limit": 2, "cursor": cursor }));
        pages.push(page["apps"].as_array().expect("apps").iter().map(|app| app["app"].clone()).collect::<Vec<_>>());
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            break;
        }
    }
    // Who wrote them is connected no more, and keeps nothing.
    assert_eq!(json!(pages), json!([["away", "looks"], ["one", "reader"], ["scribe"]]));
    let away = json!({ "app": "away", "grants": {}, "connections": 0 });
    assert_eq!((known(&mut looks, "away"), known(&mut looks, "nobody")), (away, Value::Null));
    assert_eq!(known(&mut looks, "reader")["grants"], json!({ "notes": "read" }));
    let told = known(&mut looks, "one");
    assert_eq!((&told["grants"], &told["connections"], &told["session"]), (&json!({ "*": "write" }), &json!(1), &Value::Null));
    let copy = &told["copies"][0];
    let last = &copy["last"];
    assert_eq!((&copy["collection"], &copy["next"]), (&json!("cards"), &json!("fast")), "{told}");
    assert_eq!((&last["mode"], &last["ended"]), (&json!("slow"), &json!("finished")), "{told}");
    assert!(copy["since_at"].is_string() && last["began_at"].is_string(), "{told}");
    // A session that is open, and one that the daemon's own end cuts off.
    one.begin("fast");
    let open = known(&mut looks, "one");
    assert_eq!(
        (&open["session"], &open["copies"][0]["last"]["ended"]),
        (&json!({ "state": "pushing", "mode": "fast" }), &Value::Null)
    );
    assert!(daemon.says(0, &["app", "list"]).contains("in a session (pushing)"));
    daemon.kill();
    daemon.start();
    let mut looks = App::raw(&daemon.socket()).expect("a connection");
    let told = known(&mut looks, "one");
    assert_eq!((&told["connections"], &told["session"]), (&json!(0), &Value::Null), "{told}");
    assert_eq!((&told["copies"][0]["next"], &told["copies"][0]["last"]["ended"]), (&json!("fast"), &json!("left")), "{told}");
    let said = daemon.says(0, &["app", "list"]);
    assert!(said.contains("keeps cards") && said.contains("left") && said.contains("read notes"), "{said}");
    looks.refused("invalid", "app.list", json!({ "limit": 0 }));
    App::raw(&daemon.status_socket()).expect("a connection").refused("denied", "app.list", json!({}));
}

/// A-03: before its first session; and so it is invited to the sessions of others.
#[test]
fn an_app_that_registered_is_known_and_invited() {
    let daemon = daemon();
    let mut phone = daemon.app("phone");
    for _ in 0..2 {
        let answer = phone.must("app.register", json!({ "collections": ["cards", "notes"] }));
        let copies = answer["copies"].as_array().expect("copies").clone();
        assert_eq!(copies.len(), 2, "{answer}");
        assert!(copies.iter().all(|copy| copy["next"] == "slow" && copy["last"].is_null()), "{answer}");
    }
    phone.refused("not_found", "app.register", json!({ "collections": ["cards", "nowhere"] }));
    phone.refused("invalid", "app.register", json!({ "collections": [] }));
    daemon.app("reader").refused("denied", "app.register", json!({ "collections": ["notes", "cards"] }));
    App::raw(&daemon.socket()).expect("a connection").refused("denied", "app.register", json!({ "collections": ["notes"] }));
    assert_eq!(known(&mut phone, "phone")["copies"].as_array().map(Vec::len), Some(2));
    assert_eq!(known(&mut phone, "reader")["copies"], Value::Null, "all of it or nothing");
    // One that has had sessions listens too.
    some_cards(&daemon);
    let mut desk = keeper(&daemon, "desk");
    for app in [&mut phone, &mut desk.app] {
        app.must("subscribe", json!({ "topics": ["invite"] }));
    }
    let mut host = daemon.app("host");
    let begun = host.must("session.begin", json!({ "collections": ["cards"], "join_ms": 60_000 }));
    assert_eq!(begun["invited"], json!(["desk", "phone"]));
    for app in [&mut phone, &mut desk.app] {
        let heard = app.hear("an invitation", |heard| heard["params"]["topic"] == "invite")["params"].take();
        assert_eq!((&heard["session"], &heard["collections"]), (&begun["session"], &json!(["cards"])), "{heard}");
    }
    let joined = phone.must("session.join", json!({ "session": begun["session"] }));
    assert_eq!((&joined["state"], &joined["mode"]), (&json!("pushing"), &json!("slow")));
}

/// A-03, C-43: what is lost is the copy, and nothing else.
#[test]
fn a_copy_that_is_reset_begins_anew_and_nothing_is_lost() {
    let mut daemon = daemon();
    some_cards(&daemon);
    let (mut one, mut other) = (keeper(&daemon, "one"), keeper(&daemon, "other"));
    // A value that waits for a person, and a session that is open.
    one.app.patch("cards", "a@x", &json!({ "title": "truth" }));
    one.begin("fast");
    one.patch("a@x", json!({ "title": "mine" }));
    daemon.app("one").refused("wrong_state", "app.reset", json!({ "app": "one" }));
    let said = daemon.says(1, &["app", "reset", "one"]);
    assert!(said.contains("a session of one is pushing"), "{said}");
    assert_eq!(one.mingle()["conflicts"], 1);
    one.finish();
    let truth = one.app.all("cards");
    let said = daemon.says(0, &["app", "reset", "one", "cards"]);
    assert!(said.contains("one: its copy of cards is forgotten"), "{said}");
    assert_eq!((known(&mut one.app, "one")["copies"].clone(), one.app.all("cards")), (Value::Null, truth.clone()));
    assert_eq!(known(&mut one.app, "other")["copies"][0]["next"], "fast");
    assert_eq!(other.catch_up(), 1, "another's copy goes on from where it was");
    other.same_as_truth();
    // It has lost one, and pushes the others under ids of its own: nothing is deleted, nothing is doubled.
    one.begin("slow");
    one.put("1", json!({ "mail": "b@x", "title": "t" }));
    one.put("2", json!({ "mail": "c@x", "title": "t" }));
    let met = one.mingle();
    assert_eq!((&met["changed"], &met["deleted"]), (&json!(0), &json!(0)), "{met}");
    one.pull_and_finish();
    assert_eq!(one.app.all("cards"), truth);
    let open = one.app.must("conflict.list", json!({}))["conflicts"].take();
    assert_eq!((open.as_array().map(Vec::len), &open[0]["theirs"]), (Some(1), &json!("mine")), "{open}");
    one.app.must("conflict.resolve", json!({ "conflict": open[0]["conflict"], "keep": "theirs" }));
    assert_eq!(one.app.get("cards", "a@x").expect("there")["title"], "mine");
    assert_eq!((one.catch_up(), other.catch_up()), (1, 1));
    assert!(daemon.says(0, &["fsck"]).starts_with("good: "));
    // What was left of the copy goes with the next start, at the latest: three links each has now.
    daemon.kill();
    daemon.start();
    let links = || -> i64 {
        let store = Connection::open_with_flags(daemon.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store");
        store.query_row("SELECT count(*) FROM m_link WHERE replica < 0", (), |row| row.get(0)).expect("a number")
    };
    until("the links of what was forgotten are gone", || (links() == 6).then_some(()));
    assert!(daemon.says(0, &["fsck"]).starts_with("good: "));
}

#[test]
fn who_may_forget_a_copy_and_which() {
    let daemon = daemon();
    some_cards(&daemon);
    let mut one = keeper(&daemon, "one");
    one.app.must("app.register", json!({ "collections": ["notes"] }));
    let mut scribe = daemon.app("scribe");
    // It may write notes alone, and learns nothing of the rest.
    let hidden = scribe.refused("not_found", "app.reset", json!({ "app": "one" }));
    let other = scribe.refused("not_found", "app.reset", json!({ "app": "onee" }));
    assert_eq!(hidden["data"]["hint"], other["data"]["hint"]);
    assert!(hidden["data"]["hint"].as_str().is_some_and(|hint| hint.contains("mingle app list")), "{hidden}");
    daemon.app("away").refused("not_found", "app.reset", json!({ "app": "one" }));
    scribe.refused("denied", "app.reset", json!({ "app": "one", "collections": ["cards"] }));
    daemon.app("reader").refused("denied", "app.reset", json!({ "app": "one", "collections": ["notes"] }));
    App::raw(&daemon.socket()).expect("a connection").refused("denied", "app.reset", json!({ "app": "one" }));
    assert_eq!(scribe.must("app.reset", json!({ "app": "one", "collections": ["notes"] }))["collections"], json!(["notes"]));
    scribe.refused("not_found", "app.reset", json!({ "app": "one", "collections": ["notes"] }));
    one.app.refused("not_found", "app.reset", json!({ "app": "one", "collections": ["nowhere"] }));
    // Its own it may forget, whatever it may write by now; and twice is as good as once.
    daemon.configure(&format!("{CONFIG}[app.one]\ngrants = {{}}\n"));
    daemon.says(0, &["reload"]);
    assert_eq!(one.app.must("app.reset", json!({ "app": "one" }))["collections"], json!(["cards"]));
    assert_eq!(one.app.must("app.reset", json!({ "app": "one" }))["collections"], json!([]));
    // The typed client says the same.
    let mut options = Options::app("typed");
    options.socket = Some(daemon.socket());
    let mut client = Client::open(&options).expect("connected");
    let filters: call::Filters = serde_json::from_str(r#"{"notes":{"n":{"in":[1,2]}}}"#).expect("filters");
    let copies =
        client.app_register(call::AppRegister { collections: vec!["notes".into()], filters }).expect("registered").copies;
    let filter = serde_json::to_string(&copies[0].filter).expect("a filter");
    assert_eq!(filter, r#"{"n":{"in":[1,2]}}"#);
    assert_eq!((copies[0].collection.as_str(), &copies[0].next), ("notes", &call::SessionMode::Slow));
    let apps = client.app_list(call::AppList::default()).expect("a list").apps;
    assert_eq!(apps.iter().find(|app| app.app == "typed").map(|app| app.copies.len()), Some(1));
    let reset = call::AppReset { app: "typed".into(), collections: None };
    assert_eq!(client.app_reset(reset).expect("forgotten").collections, ["notes"]);
}
