//! Owns: a real Kinto in memory, and looking into it without the daemon.
//! Must never know: the daemon.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};

use super::{Server, install};
use crate::wire::{self, Answer};

/// A Kinto with its data in memory.
pub struct Kinto {
    /// The root of its API, with the version: no slash at the end.
    pub url: String,
    _server: Server,
    _dir: tempfile::TempDir,
}

/// Records in one request of [`Kinto::put_all`].
const BATCH_MAX: usize = 500;

/// `me:pw`, whom [`Kinto`] takes for the owner of all it makes. Kinto takes any password for a name: another one is another account.
const LOGIN: (&str, &str) = ("authorization", "Basic bWU6cHc=");

impl Kinto {
    /// The account that may do everything here, and its password.
    pub const ACCOUNT: (&str, &str) = ("me", "pw");

    /// Starts one for the caller alone.
    ///
    /// # Panics
    /// When it cannot be installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("multiauth.policies = basicauth")
    }

    /// Starts one that lets in also who has a token of this issuer, and asks it for each request anew.
    ///
    /// # Panics
    /// When it cannot be installed or does not start.
    #[must_use]
    pub fn start_behind(issuer: &str) -> Self {
        Self::start_with(&format!(
            "multiauth.policies = oidc basicauth\n\
             multiauth.policy.oidc.use = kinto.plugins.openid.OpenIDConnectPolicy\n\
             multiauth.policy.oidc.issuer = {issuer}\n\
             multiauth.policy.oidc.client_id = mingle\n\
             multiauth.policy.oidc.verification_ttl_seconds = 0"
        ))
    }

    fn start_with(policies: &str) -> Self {
        let bin = install::python();
        let dir = tempfile::tempdir().expect("a folder for a Kinto");
        let settings = dir.path().join("kinto.ini");
        let server = Server::start("kinto", "/v1/", |port| {
            std::fs::write(&settings, configuration(port, policies)).expect("the settings of a Kinto");
            let mut command = Command::new(bin.join("kinto"));
            command.arg("start").arg("--ini").arg(&settings).args(["--port", &port.to_string()]);
            command
        });
        Self { url: format!("{}/v1", server.url), _server: server, _dir: dir }
    }

    /// What fetches all records of a resource by Kinto's own client, in pages of so many, and prints `records` and `seconds`.
    ///
    /// # Panics
    /// When the client cannot be installed, or the resource is no collection.
    #[must_use]
    pub fn own_client(&self, resource: &str, page: usize) -> Command {
        let [_, bucket, _, collection] = resource.split('/').collect::<Vec<_>>()[..] else { panic!("{resource}: no collection") };
        let mut command = Command::new(install::kinto_client().join("python"));
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/python/kinto_pages.py"));
        command.args([&self.url, Self::ACCOUNT.0, Self::ACCOUNT.1, bucket, collection, &page.to_string()]);
        command
    }

    /// One for all tests that run at the same time; each makes a collection of its own.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static RUNNING: Mutex<Weak<Kinto>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let kinto = Arc::new(Self::start());
            *running = Arc::downgrade(&kinto);
            kinto
        })
    }

    /// Makes a collection that nobody else has, and gives the resource it is.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn collection(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("c{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.make("buckets/main");
        self.make(&format!("buckets/main/collections/{name}"));
        format!("buckets/main/collections/{name}")
    }

    /// Makes a bucket (`buckets/B`) or a collection (`buckets/B/collections/C`) if it is not there.
    ///
    /// # Panics
    /// When it is refused.
    pub fn make(&self, resource: &str) {
        self.must("PUT", resource, Some("{}"));
    }

    /// Makes a collection that everybody may write who is let in, and gives the resource it is.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn open_collection(&self) -> String {
        let resource = self.collection();
        let everybody = json!({ "permissions": { "write": ["system.Authenticated"] } }).to_string();
        self.must("PATCH", &resource, Some(&everybody));
        resource
    }

    /// Puts a whole record; gives it as it is then.
    ///
    /// # Panics
    /// When it is refused.
    pub fn put(&self, resource: &str, id: &str, record: &Value) -> Value {
        self.must("PUT", &format!("{resource}/records/{id}"), Some(&json!({ "data": record }).to_string()))["data"].take()
    }

    /// Puts many whole records, by their ids, in few requests.
    ///
    /// # Panics
    /// When one is refused.
    pub fn put_all(&self, resource: &str, records: &BTreeMap<String, Value>) {
        let records: Vec<_> = records.iter().collect();
        for some in records.chunks(BATCH_MAX) {
            let put = |(id, record): &(&String, &Value)| json!({ "path": format!("/v1/{resource}/records/{id}"), "body": { "data": record } });
            let requests: Vec<Value> = some.iter().map(put).collect();
            let answer =
                self.must("POST", "batch", Some(&json!({ "defaults": { "method": "PUT" }, "requests": requests }).to_string()));
            let all = answer["responses"].as_array().expect("an answer for each");
            assert!(all.len() == some.len() && all.iter().all(|one| one["status"] == 201 || one["status"] == 200), "{answer}");
        }
    }

    /// Changes properties of a record; gives it as it is then.
    ///
    /// # Panics
    /// When it is refused.
    pub fn patch(&self, resource: &str, id: &str, properties: &Value) -> Value {
        self.must("PATCH", &format!("{resource}/records/{id}"), Some(&json!({ "data": properties }).to_string()))["data"].take()
    }

    /// Deletes a record.
    ///
    /// # Panics
    /// When it is refused.
    pub fn delete(&self, resource: &str, id: &str) {
        self.must("DELETE", &format!("{resource}/records/{id}"), None);
    }

    /// Every record by its id, without `id` and `last_modified`.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn list(&self, resource: &str) -> BTreeMap<String, Value> {
        let answer = self.must("GET", &format!("{resource}/records"), None);
        let rows = answer["data"].as_array().expect("a list of records").iter().cloned();
        let plain = |mut row: Value| {
            let id = row["id"].as_str().expect("an id").to_owned();
            let props = row.as_object_mut().expect("an object");
            props.remove("id");
            props.remove("last_modified");
            (id, row)
        };
        rows.map(plain).collect()
    }

    /// Asks anything, as the account that may do everything.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&str>) -> Answer {
        let headers: Vec<_> = [LOGIN].iter().chain(headers).copied().collect();
        wire::ask(method, &format!("{}/{path}", self.url), &headers, body).unwrap_or_else(|error| panic!("{error}"))
    }

    fn must(&self, method: &str, path: &str, body: Option<&str>) -> Value {
        let answer = self.ask(method, path, &[], body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }
}

/// One thread: this storage looks at `If-Match` and writes under two holds of its lock, and with eight threads and listings beside
/// them it accepted two writes over one revision 132 times in 1,500.
fn configuration(port: u16, policies: &str) -> String {
    format!(
        "[app:main]
use = egg:kinto
kinto.storage_backend = kinto.core.storage.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.permission_backend = kinto.core.permission.memory
{policies}
kinto.userid_hmac_secret = tests
kinto.bucket_create_principals = system.Authenticated
kinto.includes = kinto.plugins.default_bucket kinto.plugins.flush
kinto.flush_endpoint_enabled = true
kinto.batch_max_requests = {BATCH_MAX}

[server:main]
use = egg:waitress#main
host = 127.0.0.1
port = {port}
threads = 1
"
    )
}
