//! Owns: a real Roundup with the tracker that it calls classic, and looking into it without the daemon.
//! Must never know: the daemon.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{Server, install};
use crate::wire::{self, Answer};

/// A Roundup with its data in a folder of its own.
pub struct Roundup {
    /// What its REST interface serves its data under: no slash at the end.
    pub url: String,
    _server: Server,
    _dir: tempfile::TempDir,
}

/// Serves a tracker: the program that comes with it refuses to run as root, and starts anew for each request.
const SERVE: &str = "
import sys, waitress
from roundup.cgi.wsgi_handler import RequestDispatcher
waitress.serve(RequestDispatcher(sys.argv[1]), host='127.0.0.1', port=int(sys.argv[2]), threads=4)
";

impl Roundup {
    /// The account that may do everything, and its password.
    pub const ACCOUNT: (&str, &str) = ("admin", "sesame");

    /// Starts one for the caller alone.
    ///
    /// # Panics
    /// When it cannot be installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::known_as(str::to_owned)
    }

    /// One that also takes writes from pages of another address than its own (`http://host:port`, which is given): of a proxy before it.
    ///
    /// # Panics
    /// As [`Self::start`].
    #[must_use]
    pub fn known_as(known: impl Fn(&str) -> String) -> Self {
        let bin = install::python();
        let fresh = fresh(bin);
        let dir = tempfile::tempdir().expect("a folder for a Roundup");
        let home = dir.path().join("tracker");
        copy(&fresh, &home).expect("a tracker of its own");
        let settings = home.join("config.ini");
        let template = fs::read_to_string(&settings).expect("the settings of a Roundup");
        let server = Server::start("roundup", "/rest", |port| {
            let own = format!("http://127.0.0.1:{port}");
            fs::write(&settings, configured(&template, &own, &known(&own))).expect("the settings of a Roundup");
            let mut command = Command::new(bin.join("python"));
            command.args(["-c", SERVE]).arg(&home).arg(port.to_string());
            command
        });
        Self { url: format!("{}/rest/data", server.url), _server: server, _dir: dir }
    }

    /// Another user opens an issue; its id.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn open(&self, issue: &Value) -> String {
        let said = self.must("POST", "issue", &[], Some(issue));
        said["data"]["id"].as_str().expect("an id").to_owned()
    }

    /// Another user edits an issue: what is not said of priority and person is cleared.
    ///
    /// # Panics
    /// When it is refused.
    pub fn edit(&self, id: &str, issue: &Value) {
        let mut whole = json!({ "priority": "", "assignedto": "" });
        whole.as_object_mut().expect("an object").extend(issue.as_object().expect("an object").clone());
        let etag = self.etag(id);
        self.must("PATCH", &format!("issue/{id}"), &[("if-match", &etag)], Some(&whole));
    }

    /// Another user deletes an issue, as it deletes: it is retired.
    ///
    /// # Panics
    /// When it is refused.
    pub fn retire(&self, id: &str) {
        let etag = self.etag(id);
        self.must("DELETE", &format!("issue/{id}"), &[("if-match", &etag)], None);
    }

    /// Title, priority and person of every issue, by its id, without what is not set.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn issues(&self) -> BTreeMap<String, Value> {
        let said = self.must("GET", "issue?@fields=title,priority,assignedto&@verbose=0", &[], None);
        let plain = |row: &Value| {
            let mut props = row.as_object().expect("an object").clone();
            props.retain(|name, value| !matches!(name.as_str(), "id" | "link") && !value.is_null());
            (row["id"].as_str().expect("an id").to_owned(), Value::Object(props))
        };
        said["data"]["collection"].as_array().expect("a list of issues").iter().map(plain).collect()
    }

    fn etag(&self, id: &str) -> String {
        let answer = self.ask("GET", &format!("issue/{id}"), &[], None);
        let etag = answer.headers.iter().find(|(name, _)| name == "etag");
        etag.unwrap_or_else(|| panic!("{id} has no etag: {}", answer.body)).1.clone()
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Answer {
        let origin = self.url.trim_end_matches("/rest/data");
        let login = format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", Self::ACCOUNT.0, Self::ACCOUNT.1)));
        let own = [("authorization", login.as_str()), ("x-requested-with", "rest"), ("origin", origin)];
        let headers: Vec<_> = own.iter().chain(headers).copied().collect();
        let body = body.map(Value::to_string);
        wire::ask(method, &format!("{}/{path}", self.url), &headers, body.as_deref()).unwrap_or_else(|error| panic!("{error}"))
    }

    fn must(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<&Value>) -> Value {
        let answer = self.ask(method, path, headers, body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }
}

/// A tracker without issues, made once: that takes seconds.
fn fresh(bin: &Path) -> PathBuf {
    let made = install::installed("roundup", SERVE, |dir| {
        let home = dir.join("tracker");
        admin(bin, &home, &["install", "classic", "sqlite"]);
        let settings = home.join("config.ini");
        let template = fs::read_to_string(&settings).expect("the settings of a Roundup");
        fs::write(&settings, configured(&template, "http://127.0.0.1:80", "http://127.0.0.1:80"))
            .expect("the settings of a Roundup");
        admin(bin, &home, &["initialise", Roundup::ACCOUNT.1]);
    });
    made.join("tracker")
}

#[expect(clippy::disallowed_methods, reason = "no daemon has this store open")]
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() { copy(&entry.path(), &to)? } else { fs::copy(entry.path(), to).map(|_| ())? }
    }
    Ok(())
}

fn admin(bin: &Path, home: &Path, arguments: &[&str]) {
    let output = Command::new(bin.join("roundup-admin")).arg("-i").arg(home).args(arguments).output().expect("a Roundup");
    assert!(
        output.status.success(),
        "roundup-admin {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The settings as they come, with what has to be set; a password need not be hard to guess here.
fn configured(template: &str, web: &str, known: &str) -> String {
    let mut section = String::new();
    let lines = template.lines().map(|line| {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
        }
        let key = line.trim_start_matches('#').split(" =").next().unwrap_or_default();
        let value = match (section.as_str(), key) {
            ("tracker", "web") => format!("{web}/"),
            ("web", "allowed_api_origins") => known.into(),
            // Who comes through a proxy asks for the proxy's host.
            ("web", "csrf_enforce_header_host") if known != web => "no".into(),
            ("mail", "domain") => "example.org".into(),
            ("mail", "host") => "localhost".into(),
            ("main", "password_pbkdf2_default_rounds") => "1000".into(),
            _ => return line.to_owned(),
        };
        format!("{key} = {value}")
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}
