//! Owns: how long what is past is kept, from outside: each collection by its own retention, and no other hears of it. Must never know: how
//! it is thrown away.

use mingle_tests::{daemon::Home, wait::until};
use rusqlite::Connection;
use serde_json::{Value, json};

const CONFIG: &str = "[collection.tasks]\n[collection.logs]\nretention = \"2d\"\n";

/// Three days go by for a store that no daemon has open.
fn three_days_go_by(store: &std::path::Path) {
    let conn = Connection::open(store).expect("the store");
    conn.execute("UPDATE m_ledger SET at = at - 3 * 24 * 3600 * 1000", ()).expect("aged");
    conn.close().expect("written");
}

#[test]
fn what_one_collection_throws_away_is_missing_in_no_other() {
    let mut daemon = Home::new(Some(CONFIG)).start();
    let mut app = daemon.app("app");
    let mut bases = Vec::new();
    for collection in ["tasks", "logs"] {
        bases.push(app.put(collection, "x", &json!({ "n": 1 }))["seq"].clone());
        for n in 2..4 {
            app.patch(collection, "x", &json!({ "n": n }));
        }
        app.put(collection, "gone", &json!({}));
        app.delete(collection, "gone");
    }
    let mut keeper = daemon.app("keeper");
    let whole = keeper.must("changes", json!({ "since": 0, "collections": ["tasks"] }));
    daemon.terminate();
    three_days_go_by(&daemon.store());
    daemon.start();
    let mut app = daemon.app("app");
    let mut since = |collection: &str| {
        let changes = app.must("changes", json!({ "since": bases[0], "collections": [collection] }));
        changes["fresh"].as_bool().unwrap_or(false)
    };
    until("the short one has thrown away what is old", || since("logs").then_some(()));
    assert!(!since("tasks"), "the other has not");
    let mut app = daemon.app("app");
    let merge = |collection: &str, base: &Value| json!({ "collection": collection, "id": "x", "data": { "n": 1, "l": 1 }, "if_seq": base, "merge": true });
    app.refused("stale", "put", merge("logs", &bases[1]));
    app.must("put", merge("tasks", &bases[0]));
    assert_eq!(app.get("tasks", "x").expect("there"), json!({ "n": 3, "l": 1 }));
    let again = daemon.app("keeper").must("changes", json!({ "since": whole["seq"], "collections": ["tasks"] }));
    assert_eq!((again["fresh"].as_bool().unwrap_or(false), again["changes"].as_array().map(Vec::len)), (false, Some(1)));
    assert!(daemon.says(0, &["fsck"]).starts_with("good: "));
}
