//! Owns: many subscriptions of the same things and of others, beside apps that write: each hears what is its own, once, in order, to
//! the end. Must never know: how they are fed.

use std::{collections::BTreeMap, thread};

use mingle_tests::{app::App, daemon::Daemon};
use serde_json::{Value, json};

const SETTINGS: &str = "[collection.shared]\n[collection.mine]\n[app.half]\ngrants = { shared = \"read\" }\n";
const COLLECTIONS: [&str; 2] = ["shared", "mine"];
/// The last record of each collection.
const END: &str = "end";

/// What a subscription is to hear.
#[derive(Clone, Copy)]
struct Wants {
    app: &'static str,
    named: Option<&'static str>,
    data: bool,
}

const WANTS: [Wants; 5] = [
    Wants { app: "all", named: None, data: true },
    Wants { app: "shared", named: Some("shared"), data: true },
    Wants { app: "mine", named: Some("mine"), data: true },
    // It may not read the other.
    Wants { app: "half", named: None, data: true },
    Wants { app: "ids", named: None, data: false },
];

impl Wants {
    fn hears(&self, collection: &str) -> bool {
        self.named.is_none_or(|named| named == collection) && (self.app != "half" || collection == "shared")
    }

    fn subscribe(&self, app: &mut App) {
        let mut params = json!({ "data": self.data, "initial": false });
        if let Some(named) = self.named {
            params["collections"] = json!([named]);
        }
        app.must("subscribe", params);
    }
}

/// What one subscription was told: each record's last seq and data.
type Heard = BTreeMap<(String, String), (u64, Value)>;

/// Listens until the last record of each collection has come.
fn listen(wants: Wants, app: &mut App) -> Heard {
    let mut heard = Heard::new();
    let mut last = 0;
    loop {
        let message = app.hear("changes", |message| message["method"] == "changed");
        let params = &message["params"];
        for change in params["changes"].as_array().expect("changes") {
            let (collection, id) = (change["collection"].as_str().expect("a name"), change["id"].as_str().expect("an id"));
            let seq = change["seq"].as_u64().expect("a seq");
            assert!(wants.hears(collection), "{} hears of {collection}", wants.app);
            assert!(seq > last, "{} hears {seq} after {last}: doubled, or out of order", wants.app);
            assert_eq!(change["data"].is_null(), !wants.data, "{}: {change}", wants.app);
            last = seq;
            heard.insert((collection.to_owned(), id.to_owned()), (seq, change["data"].clone()));
        }
        assert!(params["seq"].as_u64().expect("a seq") >= last, "{params}");
        let ended = |name: &&str| !wants.hears(name) || heard.contains_key(&((*name).to_owned(), END.to_owned()));
        if params["more"] == false && COLLECTIONS.iter().all(ended) {
            return heard;
        }
    }
}

#[test]
fn each_of_many_subscriptions_hears_its_own_once_and_to_the_end() {
    const OF_EACH: usize = 12;
    const WRITERS: u64 = 4;
    const WRITES: u64 = 150;
    let daemon = Daemon::with(SETTINGS);
    let ears: Vec<(Wants, App)> = WANTS
        .iter()
        .flat_map(|wants| (0..OF_EACH).map(|_| *wants))
        .map(|wants| {
            let mut app = daemon.app(wants.app);
            wants.subscribe(&mut app);
            (wants, app)
        })
        .collect();
    let heard: Vec<(Wants, Heard)> = thread::scope(|scope| {
        let ears: Vec<_> =
            ears.into_iter().map(|(wants, mut app)| scope.spawn(move || (wants, listen(wants, &mut app)))).collect();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let mut app = daemon.app("writer");
                scope.spawn(move || {
                    for number in 0..WRITES {
                        let collection = COLLECTIONS[usize::from((number + writer) % 3 == 0)];
                        app.put(collection, &format!("r{}", number % 7), &json!({ "writer": writer, "number": number }));
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("a writer");
        }
        let mut app = daemon.app("writer");
        for collection in COLLECTIONS {
            app.put(collection, END, &json!({}));
        }
        ears.into_iter().map(|ear| ear.join().expect("an ear")).collect()
    });
    let mut app = daemon.app("reader");
    let mut truth = Heard::new();
    for collection in COLLECTIONS {
        let listed = app.must("list", json!({ "collection": collection }));
        for record in listed["records"].as_array().expect("records") {
            let id = record["id"].as_str().expect("an id").to_owned();
            truth.insert((collection.to_owned(), id), (record["seq"].as_u64().expect("a seq"), record["data"].clone()));
        }
    }
    for (wants, heard) in heard {
        let expected: Heard = truth
            .iter()
            .filter(|((collection, _), _)| wants.hears(collection))
            .map(|(record, (seq, data))| (record.clone(), (*seq, if wants.data { data.clone() } else { Value::Null })))
            .collect();
        assert_eq!(heard, expected, "what {} heard, and the truth", wants.app);
    }
}

/// What it hears until it hears of `last`, as `id kind`.
fn hears(app: &mut App, last: &str) -> Vec<String> {
    let mut heard = Vec::new();
    while heard.last().is_none_or(|one: &String| one != last) {
        let message = app.hear("changes", |message| message["method"] == "changed");
        for one in message["params"]["changes"].as_array().expect("changes") {
            heard.push(format!("{} {}", one["id"].as_str().unwrap_or_default(), one["kind"].as_str().unwrap_or_default()));
        }
    }
    heard
}

/// C-16: an app follows single records, also one that is not there yet; over a kill of the daemon, and by hand.
#[test]
fn single_records_are_followed() {
    let mut daemon = Daemon::with(SETTINGS);
    let mut writer = daemon.app("writer");
    for id in ["a", "b"] {
        writer.put("shared", id, &json!({ "n": 1 }));
    }
    let mut app = daemon.app("all");
    let ids = json!({ "shared": ["a", "later"] });
    app.must("subscribe", json!({ "ids": ids }));
    assert_eq!(hears(&mut app, "a created"), ["a created"]);
    writer.patch("shared", "b", &json!({ "n": 2 }));
    writer.put("mine", "a", &json!({ "n": 1 }));
    writer.patch("shared", "a", &json!({ "n": 2 }));
    let seq = writer.must("status", json!({}))["seq"].clone();
    assert_eq!(hears(&mut app, "a updated"), ["a updated"]);
    // The daemon goes and comes; meanwhile one comes, and one ends.
    writer.delete("shared", "a");
    writer.put("shared", "later", &json!({}));
    daemon.kill();
    daemon.start();
    let (mut app, mut writer) = (daemon.app("all"), daemon.app("writer"));
    app.must("subscribe", json!({ "collections": ["shared", "mine"], "ids": ids, "since": seq, "data": true }));
    writer.put("mine", "whole", &json!({}));
    assert_eq!(hears(&mut app, "whole created"), ["a deleted", "later created", "whole created"]);
    let told = app.must("changes", json!({ "since": 0, "ids": { "shared": ["b", "nobody"] }, "data": true }));
    assert_eq!((told["changes"].as_array().map(Vec::len), &told["changes"][0]["data"]), (Some(1), &json!({ "n": 2 })), "{told}");
    let said = daemon.says(0, &["changes", "shared/b", "mine"]);
    let lines: Vec<&str> = said.lines().filter(|line| line.contains('/')).collect();
    assert!(lines.len() == 3 && said.contains("shared/b") && !said.contains("shared/later"), "{said}");
    // What cannot be meant.
    let many: Vec<String> = (0..257).map(|n| format!("r{n}")).collect();
    for (name, params) in [
        ("invalid", json!({ "ids": {} })),
        ("invalid", json!({ "ids": { "shared": [] } })),
        ("invalid", json!({ "ids": { "shared": [""] } })),
        ("invalid", json!({ "collections": ["mine"], "ids": { "shared": ["a"] } })),
        ("too_large", json!({ "ids": { "shared": many } })),
        ("not_found", json!({ "ids": { "nowhere": ["a"] } })),
    ] {
        app.refused(name, "subscribe", params.clone());
        let mut params = params;
        params["since"] = json!(0);
        app.refused(name, "changes", params);
    }
    daemon.app("half").refused("denied", "subscribe", json!({ "ids": { "mine": ["a"] } }));
}
