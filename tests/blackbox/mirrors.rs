//! Owns: one collection at two remotes, from outside: two real Kintos and two services of another kind, with a home and mirrors, through
//! kills; and what of it is refused. Must never know: how a record is made, whose row is whose.

use std::collections::BTreeMap;

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    rest_server::{Options, RestServer},
    servers::Kinto,
    tally, wait,
};
use serde_json::{Value, json};

use crate::bench::assert_same;

/// How often the daemon is killed while records are on their way to both.
const KILLS: u64 = 4;

/// Two Kintos that keep the same `cards`, known by their number.
struct Two {
    kintos: [Kinto; 2],
    resources: [String; 2],
    daemon: Daemon,
    app: App,
}

/// The configuration of both, with these keys of the two syncs.
fn config(urls: [&str; 2], resources: [&str; 2], keys: [&str; 2]) -> String {
    let auth =
        format!("auth = {{ type = \"basic\", username = \"{}\", password = {{ file = \"kinto.secret\" }} }}", Kinto::ACCOUNT.0);
    let one = |at: usize| {
        let (name, url, resource, keys) = (["work", "phone"][at], urls[at], resources[at], keys[at]);
        format!(
            "[remote.{name}]\nkind = \"rest\"\nprofile = \"kinto\"\nurl = \"{url}\"\n{auth}\n\n\
             [sync.{name}]\ncollection = \"cards\"\nremote = \"{name}\"\nresource = \"{resource}\"\ndirection = \"both\"\non_start = false\n{keys}\n\n"
        )
    };
    format!("{}{}[collection.cards]\nidentity = [\"number\"]\n", one(0), one(1))
}

impl Two {
    fn new(keys: [&str; 2]) -> Self {
        let kintos = [Kinto::start(), Kinto::start()];
        let resources = [kintos[0].collection(), kintos[1].collection()];
        let home = Home::new(None);
        home.configure(&config([&kintos[0].url, &kintos[1].url], [&resources[0], &resources[1]], keys));
        home.write("kinto.secret", Kinto::ACCOUNT.1);
        let daemon = home.start();
        let app = daemon.app("cards");
        Self { kintos, resources, daemon, app }
    }

    fn theirs(&self, at: usize) -> BTreeMap<String, Value> {
        self.kintos[at].list(&self.resources[at])
    }

    /// Both, one after the other, until neither has anything to do.
    fn syncs(&mut self) {
        for sync in ["phone", "work", "phone", "work"] {
            self.app.sync(sync, "done");
        }
    }

    fn kill_and_start(&mut self) {
        self.daemon.kill();
        self.daemon.start();
        self.app = self.daemon.app("cards");
    }
}

/// Records by their number: what each of two places has is the same, whatever ids it has them under.
fn by_number(records: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let all: BTreeMap<String, Value> = records.values().map(|one| (one["number"].to_string(), one.clone())).collect();
    assert_eq!(all.len(), records.len(), "one is there twice: {records:?}");
    all
}

/// One address book of two Kintos: what both had is one, edits of different properties on both sides stay, what is made here or there
/// comes to be everywhere once, and a delete goes everywhere.
#[test]
fn two_kintos_have_the_same_cards() {
    let mut world = Two::new(["on_change = false", "on_change = false\nmirror = true"]);
    let both = [("a1", 1, "Ann"), ("b1", 2, "Bob")];
    for (id, number, name) in both {
        world.kintos[0].put(&world.resources[0], id, &json!({ "number": number, "name": name, "town": "Rome" }));
    }
    // The second has one of them already, under another id, and one of its own.
    world.kintos[1].put(&world.resources[1], "x7", &json!({ "number": 2, "name": "Bob", "town": "Rome" }));
    world.kintos[1].put(&world.resources[1], "x8", &json!({ "number": 3, "name": "Cid", "town": "Oslo" }));
    world.app.put("cards", "mine", &json!({ "number": 4, "name": "Dan" }));
    world.syncs();
    let cards = world.app.all("cards");
    assert_eq!(by_number(&cards).len(), 4, "{cards:?}");
    assert_same(&by_number(&cards), &by_number(&world.theirs(1)));
    // The first is home to what is made here, and no mirror: what the second alone had is not made there.
    let mut at_home = by_number(&cards);
    at_home.remove("3");
    assert_same(&at_home, &by_number(&world.theirs(0)));
    // Both edit Bob, each another property; an app edits Ann.
    world.kintos[0].patch(&world.resources[0], "b1", &json!({ "town": "Bonn" }));
    world.kintos[1].patch(&world.resources[1], "x7", &json!({ "name": "Rob" }));
    world.app.patch("cards", "a1", &json!({ "town": "Ulm" }));
    world.syncs();
    let cards = by_number(&world.app.all("cards"));
    assert_eq!(cards["2"], json!({ "number": 2, "name": "Rob", "town": "Bonn" }));
    assert_eq!(cards["1"]["town"], "Ulm");
    assert_same(&cards, &by_number(&world.theirs(1)));
    assert_eq!(world.app.must("conflict.list", json!({}))["conflicts"], json!([]));
    // A delete at either side, and one here.
    world.kintos[0].delete(&world.resources[0], "b1");
    world.syncs();
    world.app.delete("cards", "mine");
    world.syncs();
    let left: Vec<String> = by_number(&world.app.all("cards")).into_keys().collect();
    assert_eq!(left, ["1", "3"]);
    assert_same(&by_number(&world.app.all("cards")), &by_number(&world.theirs(1)));
    assert_eq!(by_number(&world.theirs(0)).into_keys().collect::<Vec<_>>(), ["1"]);
    world.daemon.says(0, &["fsck"]);
}

/// Each has somebody of whom nothing tells that it is one, until an app writes what does: then it is one card, under the id that it had
/// first, and whoever knows it by the other is told, and means the same.
#[test]
fn two_cards_that_prove_to_be_one_become_one() {
    let mut world = Two::new(["on_change = false", "on_change = false\nmirror = true"]);
    world.kintos[1].put(&world.resources[1], "x1", &json!({ "number": 1, "name": "Ann", "phone": "55" }));
    world.app.sync("phone", "done");
    world.kintos[0].put(&world.resources[0], "a1", &json!({ "name": "Ann", "town": "Rome" }));
    world.app.sync("work", "done");
    assert_eq!(world.app.all("cards").len(), 2);
    let before = world.app.must("changes", json!({ "since": 0 }))["seq"].clone();
    // A reader that follows one of them alone.
    let watched = world.app.must("subscribe", json!({ "ids": { "cards": ["a1"] }, "initial": false }))["subscription"].clone();
    world.app.patch("cards", "a1", &json!({ "number": 1 }));
    world.syncs();
    let one = json!({ "number": 1, "name": "Ann", "phone": "55", "town": "Rome" });
    assert_eq!(world.app.all("cards"), BTreeMap::from([("x1".to_owned(), one.clone())]));
    assert_eq!(world.theirs(0), BTreeMap::from([("a1".to_owned(), one.clone())]));
    assert_eq!(world.theirs(1), BTreeMap::from([("x1".to_owned(), one.clone())]));
    // Who reads on is told whose the other is now; by it the one is read, written and sent.
    let told = world.app.must("changes", json!({ "since": before }));
    let left = told["changes"].as_array().and_then(|all| all.iter().find(|one| one["id"] == "a1")).expect("it left").clone();
    assert_eq!((&left["kind"], &left["alias"]), (&json!("left"), &json!("x1")), "{told}");
    world.app.hear("whose a1 is now", |said| {
        let change = &said["params"]["changes"][0];
        said["params"]["subscription"] == watched && change["kind"] == "left" && change["alias"] == "x1"
    });
    assert_eq!(world.app.must("get", json!({ "collection": "cards", "id": "a1" }))["id"], "x1");
    world.app.patch("cards", "a1", &json!({ "town": "Bonn" }));
    world.kintos[1].patch(&world.resources[1], "x1", &json!({ "phone": "77" }));
    world.syncs();
    world.kill_and_start();
    for at in [0, 1] {
        let cards: Vec<Value> = world.theirs(at).into_values().collect();
        assert_eq!(cards, [json!({ "number": 1, "name": "Ann", "phone": "77", "town": "Bonn" })]);
    }
    assert!(world.daemon.says(0, &["changes", "cards"]).contains("cards/x1"));
    assert!(world.daemon.says(0, &["get", "cards", "a1"]).contains("Bonn"));
    world.daemon.says(0, &["why", "cards", "a1"]);
    world.daemon.says(0, &["fsck"]);
    // Who wants the other id to go is told what it is; what is deleted is deleted everywhere.
    let told = world.app.refused("stale", "delete", json!({ "collection": "cards", "id": "a1" }));
    assert!(told["message"].as_str().is_some_and(|told| told.contains("x1")), "{told}");
    world.app.delete("cards", "x1");
    world.syncs();
    assert_eq!((world.app.all("cards").len(), world.theirs(0).len(), world.theirs(1).len()), (0, 0, 0));
}

/// A write is waited for at each remote that is to have it; a mirror that was configured later gets what was there before; one that is
/// none any more keeps what it has.
#[test]
fn a_mirror_comes_and_goes() {
    let mut world = Two::new(["on_change = false\nhome = true", "on_change = false"]);
    let token = world.app.put("cards", "a", &json!({ "number": 1 }))["token"].clone();
    world.syncs();
    let waited = world.app.must("wait", json!({ "token": token, "timeout_ms": 0 }));
    assert_eq!((waited["state"].as_str(), waited["remotes"].as_array().map(Vec::len)), (Some("done"), Some(1)), "{waited}");
    assert_eq!((world.theirs(0).len(), world.theirs(1).len()), (1, 0));
    let urls = [world.kintos[0].url.clone(), world.kintos[1].url.clone()];
    let configure = |world: &mut Two, keys: [&str; 2]| {
        let resources = [world.resources[0].as_str(), world.resources[1].as_str()];
        world.daemon.configure(&config([&urls[0], &urls[1]], resources, keys));
        world.app.must("reload", json!({}));
    };
    configure(&mut world, ["on_change = false", "on_change = false\nmirror = true"]);
    let token = world.app.put("cards", "b", &json!({ "number": 2 }))["token"].clone();
    let waited = world.app.must("wait", json!({ "token": token, "timeout_ms": 0 }));
    assert_eq!((waited["state"].as_str(), waited["remotes"].as_array().map(Vec::len)), (Some("pending"), Some(2)), "{waited}");
    world.syncs();
    let waited = world.app.must("wait", json!({ "token": token, "timeout_ms": 0 }));
    assert_eq!(waited["state"], "done", "{waited}");
    assert_same(&world.app.all("cards"), &world.theirs(1));
    configure(&mut world, ["on_change = false\nhome = true", "on_change = false"]);
    world.app.put("cards", "c", &json!({ "number": 3 }));
    world.app.patch("cards", "a", &json!({ "town": "Ulm" }));
    world.syncs();
    assert_eq!((world.theirs(0).len(), world.theirs(1).len()), (3, 2));
    assert_eq!(world.theirs(1)["a"]["town"], "Ulm");
}

/// Whenever the daemon is killed while it makes records at both, each is there once in the end.
#[test]
fn each_is_at_both_once_whenever_the_daemon_is_killed() {
    let mut world = Two::new(["mirror = true\nhome = true", "mirror = true"]);
    for round in 0..KILLS {
        for n in 0..20 {
            let number = round * 100 + n;
            world.kintos[0].put(&world.resources[0], &format!("w{number}"), &json!({ "number": number }));
            world.kintos[1].put(&world.resources[1], &format!("p{number}"), &json!({ "number": number + 50 }));
        }
        let before = [world.theirs(0).len(), world.theirs(1).len()];
        world.app.run("work");
        world.app.run("phone");
        // Some of it has arrived on the other side, and not all.
        wait::until("something is made at one of them", || {
            let [home, other] = [world.theirs(0).len(), world.theirs(1).len()];
            (home > before[0] + usize::try_from(round).unwrap_or(0) || other > before[1]).then_some(())
        });
        world.kill_and_start();
    }
    world.syncs();
    world.syncs();
    let cards = by_number(&world.app.all("cards"));
    assert_eq!(cards.len(), usize::try_from(KILLS).unwrap_or(0) * 40);
    assert_same(&cards, &by_number(&world.theirs(0)));
    assert_same(&cards, &by_number(&world.theirs(1)));
    tally::tell("kills with two remotes", KILLS, 0);
}

/// Two that could make a new record, and nothing said: refused, with both remedies.
#[test]
fn where_new_records_are_made_has_to_be_said() {
    let server = RestServer::start(Options::default(), &["things", "others"]);
    let both = |more: [&str; 2]| {
        let one = |name: &str, resource: &str, more: &str| {
            format!(
                "[sync.{name}]\ncollection = \"c\"\nremote = \"far\"\nresource = \"{resource}\"\ndirection = \"both\"\n{more}\n"
            )
        };
        let remote = format!("[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n", RestServer::PROFILE, server.url);
        format!("{remote}{}{}", one("one", "things", more[0]), one("two", "others", more[1]))
    };
    let home = Home::new(None);
    server.write_profile(&home.config_dir());
    for (more, says) in [
        (["", ""], "where new records are made is not said"),
        (["mirror = true", "mirror = true"], "where new records are made is not said"),
        (["home = true", "home = true"], "have their home in [sync.one] already"),
    ] {
        home.configure(&both(more));
        let said = home.says(78, &["config", "check"]);
        assert!(said.contains(says), "{said}");
    }
    for more in [["", "mirror = true"], ["home = true", ""], ["home = true\nmirror = true", "mirror = true"]] {
        home.configure(&both(more));
        home.says(0, &["config", "check"]);
    }
}
