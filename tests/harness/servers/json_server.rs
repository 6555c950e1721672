//! Owns: a real json-server, and looking into it without the daemon.
//! Must never know: the daemon.

use std::{
    collections::BTreeMap,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

use super::{Server, install};
use crate::wire;

/// A json-server on a file of its own.
pub struct JsonServer {
    /// Where it answers: no slash at the end.
    pub url: String,
    given: AtomicUsize,
    _server: Server,
    _dir: tempfile::TempDir,
}

/// It makes no lists once it runs, so the shared one has this many.
const SHARED_LISTS: usize = 200;

impl JsonServer {
    /// One for all tests that run at the same time; each takes a list of its own.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static RUNNING: Mutex<Weak<JsonServer>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let lists = (0..SHARED_LISTS).map(|at| (format!("l{at}"), json!([])));
            let server = Arc::new(Self::start(&Value::Object(lists.collect())));
            *running = Arc::downgrade(&server);
            server
        })
    }

    /// The name of an empty list of the shared one that nobody else has.
    ///
    /// # Panics
    /// When all are taken.
    #[must_use]
    pub fn empty_list(&self) -> String {
        let at = self.given.fetch_add(1, Ordering::Relaxed);
        assert!(at < SHARED_LISTS, "more tests than lists: raise SHARED_LISTS");
        format!("l{at}")
    }

    /// Starts one with these lists: `{"posts": [..]}`.
    ///
    /// # Panics
    /// When it cannot be installed or does not start.
    #[must_use]
    pub fn start(lists: &Value) -> Self {
        let npm = install::npm();
        let dir = tempfile::tempdir().expect("a folder for a json-server");
        let file = dir.path().join("db.json");
        std::fs::write(&file, lists.to_string()).expect("the file of a json-server");
        let server = Server::start("json-server", "/db", |port| {
            let mut command = Command::new("node");
            command.arg(npm.join("node_modules/json-server/lib/cli/bin.js"));
            command.args(["--host", "127.0.0.1", "--quiet", "--port", &port.to_string()]).arg(&file).current_dir(dir.path());
            command
        });
        Self { url: server.url.clone(), given: AtomicUsize::new(0), _server: server, _dir: dir }
    }

    /// Puts a whole record, made where it is not there.
    ///
    /// # Panics
    /// When it is refused.
    pub fn put(&self, list: &str, id: &str, record: &Value) {
        let mut record = record.clone();
        let (status, _) = self.ask("PUT", &format!("{list}/{id}"), Some(&record));
        if status == 404 {
            record["id"] = id.into();
            assert_eq!(self.ask("POST", list, Some(&record)).0, 201, "POST {list}");
        }
    }

    /// Deletes a record.
    ///
    /// # Panics
    /// When it is refused.
    pub fn delete(&self, list: &str, id: &str) {
        assert_eq!(self.ask("DELETE", &format!("{list}/{id}"), None).0, 200, "DELETE {list}/{id}");
    }

    /// Every record by its id, without `id`.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn list(&self, list: &str) -> BTreeMap<String, Value> {
        let (status, rows) = self.ask("GET", list, None);
        assert_eq!(status, 200, "GET {list}");
        let plain = |row: &Value| {
            let mut props = row.as_object().expect("an object").clone();
            let id = props.remove("id").expect("an id");
            (id.as_str().map_or_else(|| id.to_string(), str::to_owned), Value::Object(props))
        };
        rows.as_array().expect("a list").iter().map(plain).collect()
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let body = body.map(Value::to_string);
        let answer =
            wire::ask(method, &format!("{}/{path}", self.url), &[], body.as_deref()).unwrap_or_else(|error| panic!("{error}"));
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }
}
