//! Owns: the services that the suite runs against, one function each.
//! Must never know: the laws.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use mingle_tests::{
    rest_server::{Options, Paging, RestServer},
    servers::{JsonServer, Kinto, PocketBase, Roundup},
    trackers::{self, GitHub, GitLab},
};
use mingled::remotes::settings::{Auth, RemoteSettings, Secret};
use serde_json::{Value, json};

use crate::bench::{Bench, Other, as_it_is, login, settings};

pub use crate::dav_bench::{radicale, sabre, xandikos};

/// Kinto.
pub fn kinto() -> Bench {
    struct Me(Arc<Kinto>, String);
    impl Other for Me {
        fn put(&self, id: &str, record: &Value) {
            self.0.put(&self.1, id, record);
        }
        fn delete(&self, id: &str) {
            self.0.delete(&self.1, id);
        }
        fn rows(&self) -> BTreeMap<String, Value> {
            self.0.list(&self.1)
        }
    }
    let kinto = Kinto::shared();
    let resource = kinto.collection();
    let mut settings = settings("kinto", &kinto.url);
    settings.auth = login(Kinto::ACCOUNT);
    Bench {
        settings,
        wrong_resource: "buckets/main/collections/nowhere".into(),
        wrong_url: None,
        stranger: Auth::None,
        asks_for_credentials: true,
        tells_kinds_apart: true,
        tells_changes: true,
        shows_when: true,
        fit: as_it_is,
        shows: &[],
        folder: tempfile::tempdir().expect("a folder"),
        other: Box::new(Me(kinto, resource.clone())),
        resource,
    }
}

/// json-server.
pub fn json_server() -> Bench {
    struct Me(Arc<JsonServer>, String);
    impl Other for Me {
        fn put(&self, id: &str, record: &Value) {
            self.0.put(&self.1, id, record);
        }
        fn delete(&self, id: &str) {
            self.0.delete(&self.1, id);
        }
        fn rows(&self) -> BTreeMap<String, Value> {
            self.0.list(&self.1)
        }
    }
    let server = JsonServer::shared();
    let resource = server.empty_list();
    Bench {
        settings: settings("json-server", &server.url),
        resource: resource.clone(),
        wrong_resource: "nowhere".into(),
        wrong_url: None,
        stranger: Auth::None,
        asks_for_credentials: false,
        tells_kinds_apart: false,
        tells_changes: true,
        shows_when: true,
        fit: as_it_is,
        shows: &[],
        folder: tempfile::tempdir().expect("a folder"),
        other: Box::new(Me(server, resource)),
    }
}

/// PocketBase, with fields that take any JSON.
pub fn pocketbase() -> Bench {
    struct Me(Arc<PocketBase>, String);
    impl Other for Me {
        fn id(&self, name: &str) -> String {
            // It takes ids of 15 characters and no others.
            format!("{name:0<15}")
        }
        fn put(&self, name: &str, record: &Value) {
            self.0.put(&self.1, &self.id(name), record);
        }
        fn delete(&self, name: &str) {
            self.0.delete(&self.1, &self.id(name));
        }
        fn rows(&self) -> BTreeMap<String, Value> {
            self.0.list(&self.1)
        }
    }
    /// What is no field of the collection is dropped by it, and an empty text is null there.
    fn fit(mut record: Value) -> Value {
        record
            .as_object_mut()
            .expect("an object")
            .retain(|name, value| PocketBase::FIELDS.contains(&name.as_str()) && value != "");
        record
    }
    let server = PocketBase::shared();
    let resource = server.collection(&PocketBase::any_json());
    let mut settings = settings("pocketbase", &server.url);
    settings.auth = Auth::Bearer { token: Secret::Plain(server.token.clone()) };
    Bench {
        settings,
        resource: resource.clone(),
        wrong_resource: "nowhere".into(),
        wrong_url: None,
        stranger: Auth::None,
        asks_for_credentials: true,
        tells_kinds_apart: true,
        tells_changes: true,
        shows_when: true,
        fit,
        shows: &[],
        folder: tempfile::tempdir().expect("a folder"),
        other: Box::new(Me(server, resource)),
    }
}

/// Roundup, with the tracker that it calls classic.
pub fn roundup() -> Bench {
    struct Me(Roundup, Mutex<BTreeMap<String, String>>);
    impl Other for Me {
        fn id(&self, name: &str) -> String {
            self.1.lock().expect("no panic").get(name).cloned().unwrap_or_else(|| name.to_owned())
        }
        fn put(&self, name: &str, record: &Value) {
            let id = self.id(name);
            if self.0.issues().contains_key(&id) {
                self.0.edit(&id, record);
            } else {
                let made = self.0.open(record);
                self.1.lock().expect("no panic").insert(name.to_owned(), made);
            }
        }
        fn delete(&self, name: &str) {
            self.0.retire(&self.id(name));
        }
        fn rows(&self) -> BTreeMap<String, Value> {
            self.0.issues()
        }
    }
    /// Its issues have a title, and names of other things: a priority, a person.
    fn fit(mut record: Value) -> Value {
        let whole = record.to_string();
        let props = record.as_object_mut().expect("an object");
        let (since, old) = (props.remove("since").and_then(|year| year.as_u64()), props.remove("old"));
        let mut issue = json!({ "title": props.remove("name").filter(|_| props.is_empty()).unwrap_or_else(|| whole.into()) });
        if let Some(since) = since {
            issue["priority"] = (since % 5 + 1).to_string().into();
        }
        if old.is_some() {
            issue["assignedto"] = "1".into();
        }
        issue
    }
    let server = Roundup::start();
    let mut settings = settings("roundup", &server.url);
    settings.auth = login(Roundup::ACCOUNT);
    Bench {
        settings,
        resource: "issue".into(),
        wrong_resource: "nowhere".into(),
        wrong_url: None,
        stranger: Auth::None,
        asks_for_credentials: true,
        tells_kinds_apart: false,
        tells_changes: true,
        shows_when: true,
        fit,
        shows: &["status", "nosy", "keyword", "superseder"],
        folder: tempfile::tempdir().expect("a folder"),
        other: Box::new(Me(server, Mutex::default())),
    }
}

/// An issue with a title; the rest of a law's record is the text of it.
fn issue(mut record: Value, text: &str) -> Value {
    let name = record.as_object_mut().expect("an object").remove("name");
    let mut issue = json!({ "title": name.unwrap_or_else(|| "untitled".into()) });
    if record.as_object().is_some_and(|rest| !rest.is_empty()) {
        issue[text] = record.to_string().into();
    }
    issue
}

/// What another user does at a tracker, which numbers its issues itself.
trait Tracker {
    fn open(&self, issue: &Value) -> u64;
    fn edit(&self, number: u64, changes: &Value);
    fn delete(&self, number: u64);
    fn issues(&self) -> BTreeMap<u64, Value>;
}

macro_rules! tracker {
    ($($kind:ty),+) => {
        $(impl Tracker for $kind {
            fn open(&self, issue: &Value) -> u64 {
                self.open(issue)
            }
            fn edit(&self, number: u64, changes: &Value) {
                self.edit(number, changes);
            }
            fn delete(&self, number: u64) {
                self.delete(number);
            }
            fn issues(&self) -> BTreeMap<u64, Value> {
                self.issues()
            }
        })+
    };
}
tracker!(GitHub, GitLab);

fn tracked(server: impl Tracker + 'static, settings: RemoteSettings, text: &'static str, bench: Laws) -> Bench {
    struct Me<T>(T, Mutex<BTreeMap<String, u64>>, &'static str);
    impl<T> Me<T> {
        fn number(&self, name: &str) -> Option<u64> {
            self.1.lock().expect("no panic").get(name).copied()
        }
    }
    impl<T: Tracker> Other for Me<T> {
        fn id(&self, name: &str) -> String {
            self.number(name).map_or_else(|| name.to_owned(), |number| number.to_string())
        }
        fn put(&self, name: &str, record: &Value) {
            match self.number(name).filter(|number| self.0.issues().contains_key(number)) {
                Some(number) => {
                    let mut whole = json!({ self.2: null });
                    whole.as_object_mut().expect("an object").extend(record.as_object().expect("an object").clone());
                    self.0.edit(number, &whole);
                }
                None => {
                    let number = self.0.open(record);
                    self.1.lock().expect("no panic").insert(name.to_owned(), number);
                }
            }
        }
        fn delete(&self, name: &str) {
            self.0.delete(self.number(name).expect("an issue"));
        }
        fn rows(&self) -> BTreeMap<String, Value> {
            let plain = |row: Value| {
                let kept = row
                    .as_object()
                    .expect("an object")
                    .iter()
                    .filter(|(name, value)| (*name == "title" || *name == self.2) && !value.is_null());
                Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
            };
            self.0.issues().into_iter().map(|(number, row)| (number.to_string(), plain(row))).collect()
        }
    }
    Bench {
        wrong_resource: "issues".into(),
        wrong_url: Some(settings.url.replace("project", "elsewhere")),
        stranger: Auth::Bearer { token: Secret::Plain("wrong".into()) },
        settings: RemoteSettings { auth: Auth::Bearer { token: Secret::Plain(trackers::TOKEN.into()) }, ..settings },
        resource: "issues".into(),
        asks_for_credentials: true,
        tells_kinds_apart: false,
        tells_changes: true,
        shows_when: true,
        fit: bench.0,
        shows: bench.1,
        folder: tempfile::tempdir().expect("a folder"),
        other: Box::new(Me(server, Mutex::default(), text)),
    }
}

/// What a law's record is at a tracker, and what issues show besides.
type Laws = (fn(Value) -> Value, &'static [&'static str]);

/// GitHub's issues, simulated.
pub fn github_issues() -> Bench {
    const SHOWS: &[&str] = &["number", "state", "state_reason", "labels", "assignees", "author", "closed_at", "comments", "url"];
    let server = GitHub::start();
    let settings = settings("github-issues", &server.url);
    tracked(server, settings, "body", (|record| issue(record, "body"), SHOWS))
}

/// GitLab's issues, simulated.
pub fn gitlab_issues() -> Bench {
    const SHOWS: &[&str] = &["number", "state", "labels", "assignees", "author", "closed_at", "url", "confidential"];
    let server = GitLab::start();
    let settings = settings("gitlab-issues", &server.url);
    tracked(server, settings, "description", (|record| issue(record, "description"), SHOWS))
}

fn scripted(mut options: Options) -> Bench {
    struct Me(RestServer);
    impl Other for Me {
        fn put(&self, id: &str, record: &Value) {
            self.0.put("things", id, record);
        }
        fn delete(&self, id: &str) {
            self.0.delete("things", id);
        }
        fn rows(&self) -> BTreeMap<String, Value> {
            self.0.rows("things")
        }
    }
    options.bearer = Some("sesame".into());
    let server = RestServer::start(options, &["things"]);
    let folder = tempfile::tempdir().expect("a folder");
    server.write_profile(folder.path());
    let mut settings = settings(RestServer::PROFILE, &server.url);
    settings.auth = Auth::Bearer { token: Secret::Plain("sesame".into()) };
    Bench {
        settings,
        resource: "things".into(),
        wrong_resource: "nowhere".into(),
        wrong_url: None,
        stranger: Auth::None,
        asks_for_credentials: true,
        tells_kinds_apart: true,
        tells_changes: true,
        shows_when: true,
        fit: as_it_is,
        shows: &[],
        folder,
        other: Box::new(Me(server)),
    }
}

/// Takes several changes in one request.
pub fn batching() -> Bench {
    scripted(Options { batches: 3, ..Options::default() })
}

/// Makes ids itself, and takes keys with creates.
pub fn keyed() -> Bench {
    scripted(Options { client_ids: false, keys: true, ..Options::default() })
}

/// The scripted service that can everything.
pub fn able() -> Bench {
    scripted(Options::default())
}

/// The one that can nothing.
pub fn careless() -> Bench {
    scripted(Options::careless())
}

/// The one that takes patches.
pub fn patching() -> Bench {
    scripted(Options { patches: true, ..Options::default() })
}

/// The one that says nothing after a write.
pub fn silent() -> Bench {
    scripted(Options { silent: true, ..Options::default() })
}

/// The one with stamps and without revisions.
pub fn stamped() -> Bench {
    scripted(Options { stamps: true, silent: true, ..Options::careless() })
}

/// The one whose next page stands in a `Link`.
pub fn linked() -> Bench {
    scripted(Options { paging: Paging::Link, page_rows_max: 2, ..Options::default() })
}

/// The one whose next page stands in a header of its own.
pub fn headed() -> Bench {
    scripted(Options { paging: Paging::Header, ..Options::default() })
}

/// The one whose next page stands in the body.
pub fn addressed() -> Bench {
    scripted(Options { paging: Paging::Address, ..Options::default() })
}

/// The one that counts pages.
pub fn numbered() -> Bench {
    scripted(Options { paging: Paging::Number, ..Options::careless() })
}

/// The one that counts rows, and gives fewer than it is asked for.
pub fn offset() -> Bench {
    scripted(Options { paging: Paging::Offset, page_rows_max: 2, ..Options::careless() })
}
