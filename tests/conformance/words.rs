//! Owns: words of a profile that no service of the suite needs, each on a server that needs it.
//! Must never know: any service by name.

use std::sync::{Arc, Mutex};

use mingle_core::replica::{Action, Answer, Asked, Failure, From, Precondition, RemoteError, RowState};
use mingle_tests::wire::{self, Request, Served, response};
use mingled::remotes::{
    Opening, Remote, open,
    settings::{Auth, Secret},
};

use crate::bench::{all, held, means, props, settings};

const SECRET: &str = "sesame-open-up";

/// A server that answers as a function says, and what it was asked: `METHOD path?query BODY`.
struct Set {
    served: Served,
    log: Arc<Mutex<Vec<String>>>,
    folder: tempfile::TempDir,
}

/// The least a profile says; what a test adds comes first.
const REST: &str = r#"
[get]
path = "/{resource}/{id}"
row = ""
[create]
method = "POST"
path = "/{resource}"
sends = "whole"
row = ""
[update]
method = "PATCH"
path = "/{resource}/{id}"
sends = "patch"
row = ""
"#;

fn set(profile: &str, answer: fn(&Request) -> (u16, String)) -> Set {
    let log = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&log);
    let served = wire::serve(Arc::new(move |request, line| {
        let query: Vec<String> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let (method, path) = (&request.method, request.path.join("/"));
        asked.lock().expect("no panic").push(format!("{method} {path}?{} {}", query.join("&"), request.body));
        let (status, body) = answer(request);
        line.send(&response(status, &[("content-type", "application/json")], &body))
    }));
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("profiles")).expect("a folder for profiles");
    let head = "version = 1\nabout = \"\"\nexample = \"\"\n";
    std::fs::write(folder.path().join("profiles/mine.toml"), format!("{head}{profile}{REST}")).expect("a profile");
    Set { served, log, folder }
}

impl Set {
    async fn open(&self, auth: Auth) -> Box<dyn Remote> {
        self.try_open(auth).await.unwrap_or_else(|error| panic!("{error}"))
    }

    async fn try_open(&self, auth: Auth) -> Result<Box<dyn Remote>, RemoteError> {
        let mut settings = settings("mine", &self.served.url);
        settings.auth = auth;
        let means = means(self.folder.path().to_path_buf());
        open(Opening { settings, resource: "things".into(), place: Default::default(), means }).await
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().expect("no panic"))
    }
}

fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(test);
}

#[test]
fn a_key_in_the_address_is_in_every_request_and_nowhere_else() {
    const PROFILE: &str = r#"
[abilities]
cursor = "none"
errands_max = 1
page_rows = 10
[row]
id = "/id"
[list]
path = "/{resource}"
rows = "/rows"
next = { address = "/next" }
"#;
    run(async {
        // It repeats the whole query in the address of the next page, as many do.
        let set = set(PROFILE, |request| {
            if request.parameter("key") != Some(SECRET) {
                return (401, "{}".into());
            }
            match (request.path.len(), request.parameter("page")) {
                (1, None) => (200, format!(r#"{{"rows":[{{"id":"a"}}],"next":"/things?key={SECRET}&page=2"}}"#)),
                (1, Some(_)) => (200, r#"{"rows":[{"id":"b"}]}"#.into()),
                _ => (500, "{}".into()),
            }
        });
        let key = || Auth::Query { name: "key".into(), secret: Secret::Plain(SECRET.into()) };
        let remote = set.open(key()).await;
        let (rows, pages) = all(remote.as_ref(), &From::Start, 10).await;
        assert_eq!(rows.len(), 2);
        assert_eq!(pages[0].next.as_deref(), Some("/things?page=2"), "what is kept of a page holds no secret");
        let error = remote.get("a").await.expect_err("trouble");
        assert!(error.kind == Failure::Server && !format!("{error:?}").contains(SECRET), "{error:?}");
        assert!(set.asked().iter().all(|line| line.matches(&format!("key={SECRET}")).count() == 1));
        let stranger = set.open(Auth::None).await;
        assert_eq!(stranger.greet().await.expect_err("a refusal").kind, Failure::NeedsLogin);
        // Nobody there: the address is in the words, its query is not.
        let remote = set.open(key()).await;
        drop(set.served);
        let error = remote.list(&From::Start, None, 10).await.expect_err("nobody");
        assert!(!format!("{error:?}").contains(SECRET), "{error:?}");
    });
}

#[test]
fn a_key_in_a_header_is_in_every_request_and_nowhere_else() {
    const PROFILE: &str = r#"
[abilities]
cursor = "none"
errands_max = 1
page_rows = 10
[row]
id = "/id"
[list]
path = "/{resource}"
rows = "/rows"
next = { address = "/next" }
"#;
    run(async {
        // It says in every answer what it was shown, also where it refuses.
        let set = set(PROFILE, |request| match request.header("x-key") {
            Some(SECRET) if request.header("authorization").is_some() => (500, "{}".into()),
            Some(SECRET) => match (request.method.as_str(), request.path.len(), request.parameter("page")) {
                ("GET", 1, None) => (200, r#"{"rows":[{"id":"a"}],"next":"/things?page=2"}"#.into()),
                ("GET", 1, Some(_)) => (200, r#"{"rows":[{"id":"b"}]}"#.into()),
                ("POST", ..) => (201, r#"{"id":"c","n":1}"#.into()),
                _ => (500, "{}".into()),
            },
            Some(_) => (403, "{}".into()),
            None => (401, "{}".into()),
        });
        let with = |secret: &str| Auth::Header { name: "x-key".into(), secret: Secret::Plain(secret.into()) };
        let remote = set.open(with(SECRET)).await;
        let (rows, _) = all(remote.as_ref(), &From::Start, 10).await;
        assert_eq!(rows.len(), 2);
        let create = Action::Create { remote_id: None, whole: props(r#"{"n":1}"#), key: None };
        assert!(matches!(remote.send(&create).await, Answer::Taken(Some(_))));
        let error = remote.get("a").await.expect_err("trouble");
        assert!(error.kind == Failure::Server && !format!("{error:?}").contains(SECRET), "{error:?}");
        let asked = set.asked();
        assert!(asked.len() >= 4 && asked.iter().all(|line| !line.contains(SECRET)), "{asked:?}");
        assert_eq!(set.open(Auth::None).await.greet().await.expect_err("a refusal").kind, Failure::NeedsLogin);
        assert_eq!(set.open(with("another")).await.greet().await.expect_err("a refusal").kind, Failure::Denied);
        // What would be a header of its own is told before anything is sent, and not in its own words.
        let _ = set.asked();
        let error = set.try_open(with("open\r\nx-evil: yes")).await.err().expect("a refusal");
        assert!(error.kind == Failure::NeedsLogin && !format!("{error:?}").contains("x-evil"), "{error:?}");
        assert_eq!(set.asked(), [""; 0]);
    });
}

#[test]
fn a_service_may_mark_what_it_deletes() {
    const PROFILE: &str = r#"
[abilities]
cursor = "none"
tombstones = true
errands_max = 1
page_rows = 10
[row]
id = "/meta/id"
spread = "/attributes"
deleted = "/state"
deleted_is = ["archived", "trashed"]
besides = ["meta"]
[list]
path = "/{resource}"
rows = ""
[delete]
method = "PATCH"
path = "/{resource}/{id}"
says = { state = "trashed", by = { app = "mingle" } }
"#;
    run(async {
        let set = set(PROFILE, |request| match (request.method.as_str(), request.path.len()) {
            ("PATCH", _) => (200, r#"{"meta":{"id":"a"},"state":"trashed"}"#.into()),
            (_, 1) => (
                200,
                r#"[{"meta":{"id":"a"},"attributes":{"n":1,"state":"open"}},{"meta":{"id":"b"},"state":"archived","n":2}]"#
                    .into(),
            ),
            _ => (200, r#"{"meta":{"id":"a"},"state":"archived"}"#.into()),
        });
        let remote = set.open(Auth::None).await;
        let (rows, _) = all(remote.as_ref(), &From::Start, 10).await;
        assert_eq!(held(&rows[0]), &props(r#"{"n":1,"state":"open"}"#), "the mark is data where it marks nothing");
        assert_eq!(rows[1].state, RowState::Gone);
        assert_eq!(remote.get("a").await, Ok(Asked::Gone));
        let _ = set.asked();
        let unless_moved = Precondition::Revision("any".into());
        assert_eq!(remote.send(&Action::Delete { remote_id: "a".into(), unless_moved }).await, Answer::Taken(None));
        assert_eq!(set.asked(), [r#"PATCH things/a? {"by":{"app":"mingle"},"state":"trashed"}"#]);
    });
}
