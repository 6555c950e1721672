//! Owns: an app that keeps a copy of its own of one collection, as the tests play it. Must never know: what they prove.

use std::collections::BTreeMap;

use mingle_tests::{app::App, daemon::Daemon};
use serde_json::{Value, json};

/// An app with a copy of its own of one collection.
pub struct Keeper {
    pub app: App,
    collection: &'static str,
    pub copy: BTreeMap<String, Value>,
    pub anchor: Option<String>,
    pub session: String,
}

impl Keeper {
    pub fn new(daemon: &Daemon, name: &str) -> Self {
        Self::of(daemon, name, "notes")
    }

    pub fn of(daemon: &Daemon, name: &str, collection: &'static str) -> Self {
        Self { app: daemon.app(name), collection, copy: BTreeMap::new(), anchor: None, session: String::new() }
    }

    /// Begins in the mode that is expected.
    pub fn begin(&mut self, mode: &str) {
        let begun = self.app.must("session.begin", json!({ "collections": [self.collection], "anchor": self.anchor }));
        self.begun(&begun, mode);
    }

    pub fn begin_as(&mut self, asked: &str, mode: &str) {
        let params = json!({ "collections": [self.collection], "anchor": self.anchor, "mode": asked });
        let begun = self.app.must("session.begin", params);
        self.begun(&begun, mode);
    }

    fn begun(&mut self, begun: &Value, mode: &str) {
        assert_eq!((begun["state"].as_str(), begun["mode"].as_str()), (Some("pushing"), Some(mode)), "{begun}");
        self.session = begun["session"].as_str().expect("an id").to_owned();
    }

    pub fn call(&mut self, method: &str, params: Value) -> Value {
        let params = self.named(params);
        self.app.must(method, params)
    }

    pub fn refused(&mut self, name: &str, method: &str, params: Value) -> Value {
        let params = self.named(params);
        self.app.refused(name, method, params)
    }

    fn named(&self, mut params: Value) -> Value {
        params["session"] = json!(self.session);
        params
    }

    pub fn put(&mut self, id: &str, data: Value) {
        self.call("session.push", json!({ "changes": [{ "put": { "collection": self.collection, "id": id, "data": data } }] }));
        self.copy.insert(id.into(), data);
    }

    pub fn patch(&mut self, id: &str, patch: Value) {
        let change = json!({ "patch": { "collection": self.collection, "id": id, "patch": patch } });
        self.call("session.push", json!({ "changes": [change] }));
        if let (Some(Value::Object(mine)), Value::Object(patch)) = (self.copy.get_mut(id), patch) {
            mine.extend(patch);
        }
    }

    pub fn delete(&mut self, id: &str) {
        self.copy.remove(id);
        self.call("session.push", json!({ "changes": [{ "delete": { "collection": self.collection, "id": id } }] }));
    }

    pub fn push_all(&mut self) {
        let one = |(id, data): (&String, &Value)| json!({ "put": { "collection": self.collection, "id": id, "data": data } });
        let changes: Vec<Value> = self.copy.iter().map(one).collect();
        self.call("session.push", json!({ "changes": changes }));
    }

    pub fn mingle(&mut self) -> Value {
        self.call("session.mingle", json!({}))
    }

    /// What it lacks, in small pages.
    pub fn shown(&mut self) -> Vec<Value> {
        let mut shown = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let page = self.call("session.pull", json!({ "limit": 2, "cursor": cursor }));
            shown.extend(page["records"].as_array().expect("records").clone());
            cursor = page["cursor"].clone();
            if cursor.is_null() {
                return shown;
            }
        }
    }

    pub fn take(&mut self, one: &Value) {
        let id = one["id"].as_str().expect("an id").to_owned();
        match one.get("data") {
            Some(data) => self.copy.insert(id, data.clone()),
            None => self.copy.remove(&id),
        };
        self.call(
            "session.accept",
            json!({ "records": [{ "collection": one["collection"], "id": one["id"], "seq": one["seq"] }] }),
        );
    }

    /// Takes all that it lacks, and ends; how many that were.
    pub fn pull_and_finish(&mut self) -> usize {
        let shown = self.shown();
        for one in &shown {
            self.take(one);
        }
        self.finish();
        shown.len()
    }

    pub fn finish(&mut self) {
        let end = self.call("session.finish", json!({}));
        assert_eq!(end["state"], "finished", "{end}");
        self.anchor = Some(end["anchor"].as_str().expect("an anchor").to_owned());
    }

    /// A session that pushes nothing.
    pub fn catch_up(&mut self) -> usize {
        self.begin("fast");
        self.mingle();
        self.pull_and_finish()
    }

    #[track_caller]
    pub fn same_as_truth(&mut self) {
        let truth = self.app.all(self.collection);
        assert_eq!(self.copy, truth);
    }
}
