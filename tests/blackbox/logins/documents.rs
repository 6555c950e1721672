//! Owns: a document (kind `http`) that shows each person another page, under logins that run out. Must never know: how a version is kept.

use std::sync::{Arc, Mutex};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    servers::{Gate, Oidc},
    wait::until,
    wire::{self, Served},
};
use serde_json::json;

use super::{kept, log_in};

/// A server that counts the versions of each person's page alone, so that two pages have one `ETag`; behind a gate that says who asks.
struct Bench {
    oidc: Oidc,
    gate: Gate,
    /// With which `ETag` it was asked.
    known: Arc<Mutex<Vec<Option<String>>>>,
    daemon: Daemon,
    app: App,
    _server: Served,
}

fn bench(scopes: &str) -> Bench {
    let oidc = Oidc::start(3600);
    let known = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&known);
    let server = wire::serve(Arc::new(move |request, line| {
        let tag = request.header("if-none-match").map(str::to_owned);
        seen.lock().expect("what was asked").push(tag.clone());
        let headers = [("content-type", "application/json"), ("etag", "\"1\"")];
        if tag.as_deref() == Some("\"1\"") {
            return line.send(&wire::response(304, &headers, ""));
        }
        let body = json!([{ "id": "page", "of": request.header(Gate::TELLS) }]).to_string();
        line.send(&wire::response(200, &headers, &body))
    }));
    let gate = Gate::before(&server.url, &oidc);
    let config = format!(
        "[remote.far]\nkind = \"http\"\nurl = \"{}/page\"\nauth = {{ type = \"oauth2\", client_id = \"mingle\", issuer = \"{}\", scopes = {scopes} }}\n\n\
         [sync.page]\ncollection = \"pages\"\nremote = \"far\"\ndirection = \"down\"\non_start = false\n",
        gate.url, oidc.url
    );
    let daemon = Home::new(Some(&config)).start();
    let app = daemon.app("reader");
    Bench { oidc, gate, known, daemon, app, _server: server }
}

impl Bench {
    fn known(&self) -> Vec<Option<String>> {
        std::mem::take(&mut self.known.lock().expect("what was asked"))
    }

    #[track_caller]
    fn shows(&mut self, who: &str) {
        assert_eq!(json!(self.app.all("pages")), json!({ "page": { "of": who } }));
    }
}

#[test]
fn a_document_is_asked_for_again_with_another_token_and_waits_for_a_login() {
    let mut bench = bench("[\"openid\", \"offline_access\"]");
    log_in(&bench.daemon, "far", "alice");
    until("no request of the login", || bench.gate.passed().is_empty().then_some(()));
    bench.gate.ends("GET", 0);
    bench.app.sync("page", "done");
    bench.known();
    // That nothing changed is asked with the other token too, and holds.
    bench.gate.ends("GET", 0);
    bench.app.sync("page", "done");
    assert_eq!(bench.known(), [Some("\"1\"".to_owned())]);
    let passed = bench.gate.passed();
    assert_eq!(passed, ["GET /page 401 -", "GET /page 200 alice", "GET /page 401 -", "GET /page 304 alice"]);
    bench.shows("alice");
    bench.oidc.revoke(kept(&bench.daemon, "far")["tokens"]["refresh"].as_str().expect("a token"));
    let row = bench.app.sync("page", "failed");
    assert_eq!(row["error"]["name"], "needs_login", "{row}");
    log_in(&bench.daemon, "far", "alice");
    bench.app.sync("page", "done");
    bench.shows("alice");
}

#[test]
fn what_is_known_of_one_persons_document_is_not_asked_of_anothers() {
    for scopes in ["[\"openid\", \"offline_access\"]", "[\"offline_access\"]"] {
        let mut bench = bench(scopes);
        log_in(&bench.daemon, "far", "alice");
        bench.app.sync("page", "done");
        bench.shows("alice");
        log_in(&bench.daemon, "far", "bob");
        bench.known();
        bench.app.sync("page", "failed");
        assert_eq!((&bench.app.status("page")["hold"]["name"], bench.known()), (&json!("account"), Vec::new()), "{scopes}");
        bench.shows("alice");
        bench.daemon.says(0, &["reset", "page", "--discard", "--yes"]);
        bench.app.sync("page", "done");
        let known = bench.known();
        assert!(known.first().is_some_and(Option::is_none), "the other's version is no version of this one: {known:?}");
        bench.shows("bob");
        // From here on it is his own.
        bench.app.sync("page", "done");
        assert_eq!(bench.known(), [Some("\"1\"".to_owned())], "{scopes}");
    }
}
