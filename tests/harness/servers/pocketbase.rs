//! Owns: a real PocketBase, and looking into it without the daemon.
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
use crate::wire::{self, Answer};

/// A PocketBase with its data in a folder of its own.
pub struct PocketBase {
    /// Where it answers: no slash at the end.
    pub url: String,
    /// What shows that we are its superuser.
    pub token: String,
    _server: Server,
    _dir: tempfile::TempDir,
}

/// The superuser that is made before the start.
const ACCOUNT: (&str, &str) = ("me@example.org", "pw-of-ten-letters");

impl PocketBase {
    /// The fields of [`Self::any_json`].
    pub const FIELDS: &[&str] = &["name", "since", "old", "round", "text", "empty", "no", "list", "map", "n", "v"];

    /// Starts one for the caller alone.
    ///
    /// # Panics
    /// When it cannot be installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        let program = install::python().join("pocketbase");
        let dir = tempfile::tempdir().expect("a folder for a PocketBase");
        // It keeps its migrations beside the folder of its data, for whoever starts there next.
        let data = dir.path().join("data");
        let made = Command::new(&program).args(["superuser", "upsert", ACCOUNT.0, ACCOUNT.1, "--dir"]).arg(&data).output();
        let made = made.expect("a PocketBase");
        assert!(made.status.success(), "no superuser: {}", String::from_utf8_lossy(&made.stderr));
        let server = Server::start("pocketbase", "/api/health", |port| {
            let mut command = Command::new(&program);
            command.args(["serve", "--http", &format!("127.0.0.1:{port}"), "--automigrate=false", "--dir"]).arg(&data);
            command
        });
        let mut base = Self { url: server.url.clone(), token: String::new(), _server: server, _dir: dir };
        base.token = base.login();
        base
    }

    /// One for all tests that run at the same time; each makes a collection of its own.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static RUNNING: Mutex<Weak<PocketBase>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Self::start());
            *running = Arc::downgrade(&server);
            server
        })
    }

    fn login(&self) -> String {
        let body = json!({ "identity": ACCOUNT.0, "password": ACCOUNT.1 });
        let answer = self.must("POST", "collections/_superusers/auth-with-password", Some(&body));
        answer["token"].as_str().expect("a token").to_owned()
    }

    /// The fields of a collection that takes any JSON under [`Self::FIELDS`].
    #[must_use]
    pub fn any_json() -> Value {
        Self::FIELDS.iter().map(|name| json!({ "name": name, "type": "json" })).collect()
    }

    /// Makes a collection with these fields, and gives the resource it is.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn collection(&self, fields: &Value) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("c{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.make(&name, fields);
        name
    }

    /// Makes a collection of this name.
    ///
    /// # Panics
    /// When it is refused.
    pub fn make(&self, name: &str, fields: &Value) {
        let mut fields = fields.as_array().expect("a list of fields").clone();
        fields.push(json!({ "name": "created", "type": "autodate", "onCreate": true }));
        fields.push(json!({ "name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true }));
        // Collections that are made at the same time hide each other from its cache.
        static ONE_BY_ONE: Mutex<()> = Mutex::new(());
        let _one = ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
        self.must("POST", "collections", Some(&json!({ "name": name, "type": "base", "fields": fields })));
    }

    /// Puts a whole record, made where it is not there; what it had besides is cleared.
    ///
    /// # Panics
    /// When it is refused.
    pub fn put(&self, collection: &str, id: &str, record: &Value) {
        let present = self.ask("GET", &format!("collections/{collection}/records/{id}"), None);
        let mut whole = record.clone();
        if present.status == 404 {
            whole["id"] = id.into();
            self.must("POST", &format!("collections/{collection}/records"), Some(&whole));
        } else {
            let present: Value = serde_json::from_str(&present.body).expect("a record");
            for name in present.as_object().expect("an object").keys().filter(|name| !OWN.contains(&name.as_str())) {
                if record.get(name).is_none() {
                    whole[name] = Value::Null;
                }
            }
            self.must("PATCH", &format!("collections/{collection}/records/{id}"), Some(&whole));
        }
    }

    /// Deletes a record.
    ///
    /// # Panics
    /// When it is refused.
    pub fn delete(&self, collection: &str, id: &str) {
        self.must("DELETE", &format!("collections/{collection}/records/{id}"), None);
    }

    /// Every record by its id, without what is its own and without nulls.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn list(&self, collection: &str) -> BTreeMap<String, Value> {
        let answer = self.must("GET", &format!("collections/{collection}/records?perPage=1000"), None);
        let plain = |row: &Value| {
            let mut props = row.as_object().expect("an object").clone();
            props.retain(|name, value| !OWN.contains(&name.as_str()) && !value.is_null());
            (row["id"].as_str().expect("an id").to_owned(), Value::Object(props))
        };
        answer["items"].as_array().expect("a list of records").iter().map(plain).collect()
    }

    /// Asks anything below `/api`, as the superuser.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let body = body.map(Value::to_string);
        let login = ("authorization", self.token.as_str());
        wire::ask(method, &format!("{}/api/{path}", self.url), &[login], body.as_deref())
            .unwrap_or_else(|error| panic!("{error}"))
    }

    fn must(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.ask(method, path, body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).unwrap_or_default()
    }
}

/// What a record has of its own.
const OWN: [&str; 5] = ["id", "created", "updated", "collectionId", "collectionName"];
