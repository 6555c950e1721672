//! Owns: what a service that logs in may do at a renewal: be slow, say no, ask for patience, repeat what it was sent.
//! Must never know: how the daemon keeps what it was told.

use mingle_tests::{servers::Oidc, wait::until};
use serde_json::{Value, json};

use super::{MINGLE, judged, kept, log_in};

const SYNCS: [&str; 3] = ["far", "near", "third"];

#[test]
fn a_renewal_that_comes_to_nothing_is_asked_for_once_and_its_patience_is_not_the_remotes() {
    let oidc = Oidc::start(3600);
    let (_server, daemon) = judged(&oidc, &format!("{MINGLE}, tokens = {{ file = \"shared\" }}"), &SYNCS);
    log_in(&daemon, "far", "alice");
    let mut app = daemon.app("tester");
    for sync in SYNCS {
        app.sync(sync, "done");
    }
    oidc.revoke(kept(&daemon, "shared")["tokens"]["access"].as_str().expect("a token"));
    oidc.trouble(&json!({ "lag": 2000, "status": 503, "headers": { "retry-after": "3600" } }));
    for (sync, run) in SYNCS.map(|sync| (sync, app.run(sync))) {
        assert_eq!(app.ended(&run), "failed");
        let row = app.row(sync, &run);
        assert_eq!(row["error"]["name"], "server", "{row}");
        assert!(row["error"]["hint"].as_str().is_some_and(|hint| hint.contains("mingle remote login")), "{row}");
    }
    app.sync("far", "failed");
    assert_eq!(oidc.asked("late"), 1, "who waits, and who comes later, is told the same");
    oidc.trouble(&Value::Null);
    log_in(&daemon, "far", "alice");
    for sync in SYNCS {
        app.sync(sync, "done");
    }
}

#[test]
fn what_a_service_repeats_of_what_it_was_sent_is_told_to_nobody() {
    let oidc = Oidc::start(3600);
    let (_server, daemon) = judged(&oidc, MINGLE, &["far"]);
    log_in(&daemon, "far", "alice");
    let mut app = daemon.app("tester");
    app.sync("far", "done");
    let token = |of: &str| kept(&daemon, "far")["tokens"][of].as_str().expect("a token").to_owned();
    let tokens = [token("access"), token("refresh")];
    oidc.revoke(&tokens[0]);
    oidc.trouble(&json!({ "status": 400, "echo": true }));
    let row = app.sync("far", "failed");
    assert!(
        row["error"]["name"] == "needs_login" && row["error"]["what"].as_str().is_some_and(|what| what.contains('…')),
        "{row}"
    );
    let mut told = daemon.said();
    for words in [&["status", "--json"][..], &["explain", "far"], &["history", "far"], &["sync", "far"]] {
        let output = daemon.mingle(words);
        told.extend([String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)]);
    }
    for end in ["", "-wal"] {
        let file = std::fs::read(daemon.dir().join(format!("d/mingle/store.db{end}"))).expect("a store");
        told.push_str(&String::from_utf8_lossy(&file));
    }
    told.push_str(&daemon.said());
    for token in tokens {
        assert!(!told.contains(&token), "a token is told");
    }
}

#[test]
fn a_renewal_that_is_slow_outlives_the_end_of_the_daemon() {
    let oidc = Oidc::start(3600);
    let (_server, mut daemon) = judged(&oidc, MINGLE, &["far"]);
    log_in(&daemon, "far", "alice");
    let mut app = daemon.app("tester");
    app.sync("far", "done");
    oidc.revoke(kept(&daemon, "far")["tokens"]["access"].as_str().expect("a token"));
    oidc.trouble(&json!({ "lag": 7000 }));
    app.run("far");
    until("a renewal", || (oidc.asked("late") > 0).then_some(()));
    assert!(daemon.terminate().0.success());
    oidc.trouble(&Value::Null);
    daemon.start();
    let mut app = daemon.app("tester");
    app.sync("far", "done");
    assert_eq!((oidc.asked("refresh_token 200"), oidc.asked("refresh_token 400")), (1, 0));
}

#[test]
fn a_login_without_a_renewal_says_so_at_once_and_when_it_is_over() {
    let oidc = Oidc::start(3600);
    let (_server, daemon) = judged(&oidc, "client_id = \"mingle\", scopes = [\"openid\"]", &["far"]);
    let said = log_in(&daemon, "far", "alice");
    assert!(said.contains("gave nothing to renew it with: it runs out, at ") && said.contains("offline_access"), "{said}");
    let found = daemon.mingle(&["doctor"]);
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    assert!(found.contains("login: far: alice at ") && found.contains("there is nothing to renew it with"), "{found}");
    let mut app = daemon.app("tester");
    app.sync("far", "done");
    oidc.revoke(kept(&daemon, "far")["tokens"]["access"].as_str().expect("a token"));
    let row = app.sync("far", "failed");
    assert!(
        row["error"]["name"] == "needs_login" && row["error"]["what"].as_str().is_some_and(|what| what.contains("renew")),
        "{row}"
    );
}

#[test]
fn neither_a_login_nor_a_logout_waits_for_a_renewal_that_hangs() {
    let oidc = Oidc::start(3600);
    let (_server, daemon) = judged(&oidc, MINGLE, &["far"]);
    log_in(&daemon, "far", "alice");
    let mut app = daemon.app("tester");
    app.sync("far", "done");
    let given_up = |row: &Value| row["error"]["what"].as_str().is_some_and(|what| what.contains("was given up"));
    for logs_out in [false, true] {
        oidc.revoke(kept(&daemon, "far")["tokens"]["access"].as_str().expect("a token"));
        let before = oidc.asked("late");
        oidc.trouble(&json!({ "lag": 100_000 }));
        let run = app.run("far");
        until("a renewal", || (oidc.asked("late") > before).then_some(()));
        oidc.trouble(&Value::Null);
        if logs_out {
            let said = daemon.says(0, &["remote", "logout", "far"]);
            assert!(said.contains("may still stand at the service: a renewal was under way"), "{said}");
            assert_eq!(app.ended(&run), "failed");
            assert!(given_up(&app.row("far", &run)), "{}", app.row("far", &run));
        }
        log_in(&daemon, "far", "alice");
        if !logs_out {
            assert_eq!(app.ended(&run), "failed");
            assert!(given_up(&app.row("far", &run)), "{}", app.row("far", &run));
        }
        app.sync("far", "done");
    }
}
