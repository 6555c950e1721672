//! Owns: what a person or an app may get wrong, as a table: each is told what is wrong and what to do, and nothing breaks.
//! Must never know: who else may get it wrong (other users are elsewhere).

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    servers::JsonServer,
};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::bench::{kinto_config, scripted};
use mingle_tests::rest_server::Options;

/// A collection that no sync fills.
const LOCAL: &str = "[collection.notes]\n";

/// The daemon must not start with this configuration, end with 78, and say all of this.
#[track_caller]
fn check_config(config: &str, expect: &[&str]) {
    let output = Home::new(Some(config)).mingled_ends();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{config}\n{said}");
    for part in expect {
        assert!(said.contains(part), "{config}\nsays no {part:?} but:\n{said}");
    }
}

#[test]
fn a_wrong_configuration_is_refused_by_line_with_a_suggestion() {
    check_config("[sync.notes]\ncolection = \"notes\"\n", &["config.toml:2", "colection", "collection"]);
    check_config("[remote.far\n", &["config.toml:1"]);
    check_config("[remot.far]\nkind = \"rest\"\n", &["unknown section", "remote"]);
    check_config("[remote.far]\nkind = \"rest\"\nprofile = \"kintoo\"\nurl = \"http://localhost\"\n", &["kintoo", "kinto"]);
    check_config("[remote.far]\nkind = \"rest\"\nprofile = \"kinto\"\nurl = \"http://example.org/v1\"\n", &["insecure"]);
    check_config(&kinto_config("http://localhost:1/v1", "x", "notes", "every = \"soon\""), &["soon"]);
    check_config(
        &kinto_config("http://localhost:1/v1", "x", "notes", "").replace("\"far\"\nresource", "\"fra\"\nresource"),
        &["fra", "far"],
    );
}

#[test]
fn an_unreadable_configuration_is_refused() {
    // A directory where the file should be is unreadable for everybody, root included.
    let home = Home::new(None);
    fs::create_dir(home.config_dir().join("config.toml")).expect("a folder in the way");
    let output = home.mingled_ends();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("config.toml"), "{said}");

    let home = Home::new(None);
    fs::write(home.config_dir().join("config.toml"), b"[store]\npath = \"\xff\"\n").expect("a file");
    assert_eq!(home.mingled_ends().status.code(), Some(78));
}

#[test]
fn a_missing_configuration_starts_and_status_says_where_it_looked() {
    let daemon = Home::new(None).start();
    let status = daemon.app("tester").must("status", json!({}));
    assert_eq!((&status["config"]["found"], &status["syncs"]), (&json!(false), &json!([])), "{status}");
    let file = daemon.config_dir().join("config.toml").display().to_string();
    assert!(status["config"]["looked"].as_array().expect("places").contains(&json!(file)), "{status}");
    let said = daemon.says(0, &["status"]);
    assert!(said.contains(&file), "{said}");
    let said = daemon.says(1, &["put", "notes", "n1", "{}"]);
    assert!(said.contains("config.toml"), "{said}");
}

#[test]
fn acceptance_19_a_second_daemon_is_refused_and_the_first_is_named() {
    let daemon = Daemon::with("");
    let output = daemon.mingled_ends();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{said}");
    assert!(said.contains(&daemon.pid().to_string()), "{said}");
    daemon.app("tester").must("status", json!({}));
}

#[test]
fn a_stale_socket_and_a_stale_lock_are_no_hindrance() {
    let mut daemon = Daemon::with("");
    daemon.kill();
    assert!(daemon.socket().exists() && daemon.lock().exists(), "a killed daemon leaves both");
    fs::write(daemon.lock(), "4242\n").expect("a lock file with another's pid");
    daemon.start();
    daemon.app("tester").must("status", json!({}));
}

#[test]
fn a_path_too_long_for_a_socket_is_refused_with_a_remedy() {
    let mut home = Home::new(None);
    home.set("XDG_RUNTIME_DIR", format!("/tmp/{}", "x".repeat(100)));
    let output = home.mingled_ends();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("longer than 100 bytes") && said.contains("MINGLE_SOCKET"), "{said}");
    let said = home.says(3, &["status"]);
    assert!(said.contains("MINGLE_SOCKET"), "{said}");
}

/// A call that must be refused, and the name it is refused with.
#[test]
fn wrong_calls_are_refused_by_name_and_the_connection_goes_on() {
    let daemon = Daemon::with(LOCAL);
    let mut app = daemon.app("tester");
    app.put("notes", "n1", &json!({ "a": 1 }));
    let cases: &[(&str, &str, Value)] = &[
        ("not_found", "get", json!({ "collection": "notes", "id": "none" })),
        ("not_found", "get", json!({ "collection": "none", "id": "n1" })),
        ("not_found", "list", json!({ "collection": "none" })),
        ("not_found", "patch", json!({ "collection": "notes", "id": "none", "patch": {} })),
        ("not_found", "delete", json!({ "collection": "notes", "id": "none" })),
        ("not_found", "sync.run", json!({ "sync": "none" })),
        ("not_found", "explain", json!({ "sync": "none" })),
        ("not_found", "remote.check", json!({ "remote": "none" })),
        ("not_found", "remote.login", json!({ "remote": "none", "secret": "s" })),
        ("not_found", "remote.logout", json!({ "remote": "none" })),
        ("not_found", "conflict.resolve", json!({ "conflict": "c-9", "keep": "truth" })),
        ("not_found", "rejection.resolve", json!({ "rejection": "x-9", "with": "drop" })),
        ("invalid", "put", json!({ "collection": "notes", "id": "n2", "data": [1] })),
        ("invalid", "put", json!({ "collection": "notes", "id": "n2", "data": "x" })),
        ("invalid", "put", json!({ "collection": "notes", "id": "n2", "data": null })),
        ("invalid", "put", json!({ "collection": "notes", "id": "n2" })),
        ("invalid", "put", json!({ "collection": "notes", "id": "", "data": {} })),
        ("invalid", "put", json!({ "collection": "notes", "id": "a\u{7}b", "data": {} })),
        ("invalid", "put", json!({ "collection": "notes", "id": "n2", "data": {}, "overwritten": true })),
        ("invalid", "patch", json!({ "collection": "notes", "id": "n1", "patch": 3 })),
        ("invalid", "list", json!({ "collection": "notes", "limit": -1 })),
        ("invalid", "list", json!({ "collection": "notes", "cursor": "made up" })),
        ("invalid", "list", json!({ "collection": "notes", "where": { "n": { "above": 3 } } })),
        ("invalid", "changes", json!({ "since": "the beginning" })),
        ("stale", "put", json!({ "collection": "notes", "id": "n1", "data": {} })),
        ("stale", "put", json!({ "collection": "notes", "id": "n1", "data": {}, "if_seq": 999 })),
        ("method", "put.all", json!({})),
    ];
    for (name, method, params) in cases {
        let error = app.refused(name, method, params.clone());
        let message = error["message"].as_str().unwrap_or_default();
        assert!(!message.is_empty(), "{method} {params}: {error}");
        let hint = error["data"]["hint"].as_str().unwrap_or("a hint may be left out");
        assert!(!hint.trim_end().ends_with("are"), "{method} {params} names nothing: {error}");
    }
    assert_eq!(app.get("notes", "n1"), Some(json!({ "a": 1 })));
}

#[test]
fn a_name_written_twice_in_a_record_is_refused_by_name() {
    let daemon = Daemon::with(LOCAL);
    let mut app = daemon.app("tester");
    app.put("notes", "n1", &json!({ "a": 1 }));
    let writes = [
        r#""put","params":{"collection":"notes","id":"n2","data":{"a":1,"b":{"seats":1,"seats":2}}}"#,
        r#""patch","params":{"collection":"notes","id":"n1","patch":{"seats":1,"a":2,"\u0073eats":2}}"#,
        r#""transact","params":{"writes":[{"put":{"collection":"notes","data":{"seats":1,"seats":1}}}]}"#,
    ];
    for write in writes {
        app.write(&format!(r#"{{"jsonrpc":"2.0","id":900,"method":{write}}}"#)).expect("a line");
        let error = app.read().expect("an answer")["error"].take();
        assert_eq!(error["data"]["name"], "invalid", "{write}: {error}");
        assert!(error["message"].as_str().is_some_and(|said| said.contains("\"seats\"") && said.contains("twice")), "{error}");
    }
    assert_eq!(app.all("notes").into_values().collect::<Vec<_>>(), [json!({ "a": 1 })]);
}

/// What lies deeper than anybody may ask for is not read, and nobody can tell that by the answer.
#[test]
fn a_value_that_is_too_deep_is_refused_in_the_same_words_however_deep_it_is() {
    let daemon = Daemon::with(LOCAL);
    let mut app = daemon.app("tester");
    app.put("notes", "n1", &json!({ "a": 1 }));
    let record = |depth: usize| format!("{{\"v\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let list = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let writes: &[(&str, &dyn Fn(usize) -> String)] = &[
        ("data is no record: the JSON value is too deep (line 1, column 132)", &|depth| {
            format!(
                r#"{{"id":900,"method":"put","params":{{"collection":"notes","id":"n2","overwrite":true,"data":{}}}}}"#,
                record(depth)
            )
        }),
        ("data is no record: the JSON value is too deep (line 1, column 132)", &|depth| {
            format!(
                r#"{{"params":{{"data":{},"collection":"notes","id":"n2","overwrite":true}},"method":"put","id":900}}"#,
                record(depth)
            )
        }),
        ("patch is no record: the JSON value is too deep (line 1, column 132)", &|depth| {
            format!(r#"{{"id":900,"method":"patch","params":{{"collection":"notes","id":"n1","patch":{}}}}}"#, record(depth))
        }),
        ("data is no record: the JSON value is too deep (line 1, column 132)", &|depth| {
            format!(
                r#"{{"id":900,"method":"transact","params":{{"writes":[{{"put":{{"collection":"notes","data":{}}}}}]}}}}"#,
                record(depth)
            )
        }),
        ("where v: the JSON value is too deep (line 1, column 128)", &|depth| {
            format!(r#"{{"id":900,"method":"list","params":{{"collection":"notes","where":{{"v":{{"in":{}}}}}}}}}"#, list(depth))
        }),
    ];
    for (expect, line) in writes {
        let mut say = |depth: usize| {
            app.write(&line(depth)).expect("a line");
            let mut answer = app.read().expect("an answer");
            assert_eq!(answer["id"], 900, "{expect}, {depth} deep: {answer}");
            answer["error"]["data"]["op"].take();
            answer["error"].take()
        };
        assert_ne!(say(127)["message"], *expect);
        let error = say(128);
        assert_eq!((&error["data"]["name"], &error["message"]), (&json!("invalid"), &json!(expect)), "{error}");
        for depth in [200, 100_000] {
            assert_eq!(say(depth), error, "{depth} deep");
        }
    }
    // Nothing is looked for there, so what is no JSON is not found either.
    let broken = format!(
        r#"{{"id":900,"method":"put","params":{{"collection":"notes","data":{{"v":{}no]]{}}}}}}}"#,
        "[".repeat(300),
        "]".repeat(298)
    );
    app.write(&broken).expect("a line");
    let answer = app.read().expect("an answer");
    assert_eq!((&answer["id"], &answer["error"]["message"]), (&json!(900), &json!(writes[0].0)), "{answer}");
    app.must("status", json!({}));
}

#[test]
fn a_mode_that_is_to_come_is_unsupported_and_any_other_word_invalid() {
    let mut bench = scripted(Options::default(), "");
    for mode in ["pull_truth", "push_truth", "bulk"] {
        let error = bench.app.refused("unsupported", "sync.run", json!({ "sync": "things", "mode": mode }));
        assert!(error.to_string().contains(mode), "{error}");
    }
    for mode in [json!("quick"), json!("Bulk"), json!(3)] {
        bench.app.refused("invalid", "sync.run", json!({ "sync": "things", "mode": mode }));
    }
}

#[test]
fn an_operator_gets_the_board_into_the_log() {
    let bench = scripted(Options::default(), "");
    bench.daemon.signal(rustix::process::Signal::USR1);
    mingle_tests::wait::until("the board in the log", || {
        let said = bench.daemon.said();
        (said.contains("the board") && said.contains("sync=things") && said.contains("trigger")).then_some(())
    });
}

#[test]
fn lines_that_are_no_calls_are_answered_and_the_connection_goes_on() {
    let daemon = Daemon::with("");
    let mut app = App::raw(&daemon.socket()).expect("a connection");
    let cases = [
        ("{", -32700),
        ("nonsense", -32700),
        ("\u{feff}", -32700),
        ("[]", -32600),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"status"}]"#, -32600),
        ("3", -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"status"}"#, -32600),
    ];
    for (line, code) in cases {
        app.write(line).expect("a line");
        let answer = app.read().unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(code), &Value::Null), "{line}: {answer}");
    }
    app.write(r#"{"id":1}"#).expect("a line");
    let answer = app.read().expect("an answer");
    assert_eq!((&answer["error"]["code"], &answer["id"]), (&json!(-32600), &json!(1)), "{answer}");
    // Still there, and without a hello.
    app.must("status", json!({}));
}

#[test]
fn a_line_over_the_limit_is_told_and_closed() {
    let daemon = Daemon::with("");
    let mut app = daemon.app("tester");
    let line = format!(r#"{{"jsonrpc":"2.0","id":7,"method":"put","params":{{"data":"{}"}}}}"#, "x".repeat(2 << 20));
    // The daemon may close before it has taken all of it.
    let _ = app.write(&line);
    let answer = app.read().expect("an answer before the end");
    assert_eq!((&answer["error"]["data"]["name"], &answer["id"]), (&json!("too_large"), &Value::Null), "{answer}");
    assert!(app.read().is_err(), "the connection is closed");
    daemon.app("tester").must("status", json!({}));
}

#[test]
fn a_remote_that_is_not_what_it_is_said_to_be_is_named_with_its_address() {
    let other = JsonServer::shared();
    let home = Home::new(Some(&kinto_config(&other.url, "buckets/main/collections/x", "notes", "")));
    home.write("kinto.secret", "pw");
    let daemon = home.start();
    let mut app = daemon.app("tester");
    let row = app.sync("notes", "failed");
    let said = row["error"].to_string();
    assert!(said.contains(&other.url) && said.contains("Kinto"), "{row}");
    assert!(row["error"]["hint"].as_str().is_some_and(|hint| hint.contains("/v1")), "{row}");
    let said = daemon.says(1, &["remote", "check", "far"]);
    assert!(said.contains(&other.url), "{said}");
    let said = daemon.says(1, &["sync", "notes"]);
    assert!(said.contains(&other.url) && said.contains("/v1"), "{said}");
}

#[test]
fn a_remote_that_is_not_there_is_named_with_its_address() {
    let port = mingle_tests::servers::free_port();
    let url = format!("http://127.0.0.1:{port}/v1");
    let home = Home::new(Some(&kinto_config(&url, "buckets/main/collections/x", "notes", "")));
    home.write("kinto.secret", "pw");
    let daemon = home.start();
    let row = daemon.app("tester").sync("notes", "failed");
    assert_eq!(row["error"]["name"], "offline", "{row}");
    assert!(row["error"].to_string().contains(&format!("127.0.0.1:{port}")), "{row}");
}

fn in_store(path: &Path, sql: &str) {
    let conn = Connection::open(path).expect("the store");
    conn.execute_batch(sql).expect("a change of the store");
}

#[test]
fn a_store_of_a_newer_mingle_is_refused_and_left_alone() {
    let mut daemon = Daemon::with(LOCAL);
    daemon.app("tester").put("notes", "n1", &json!({}));
    daemon.terminate();
    in_store(&daemon.store(), "PRAGMA user_version = 99");
    let before = fs::read(daemon.store()).expect("the store");
    let output = daemon.mingled_ends();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("newer"), "{:?}: {said}", output.status);
    assert_eq!(fs::read(daemon.store()).expect("the store"), before);
    in_store(&daemon.store(), "PRAGMA user_version = 2");
}

#[test]
fn a_damaged_store_is_kept_aside_and_said_loudly() {
    let mut bench = scripted(Options::default(), "");
    bench.server.put("things", "far", &json!({ "v": 1 }));
    bench.app.put("things", "near", &json!({ "v": 1 }));
    bench.app.sync("things", "done");
    let instance = bench.app.must("status", json!({}))["instance"].clone();
    bench.daemon.terminate();
    let store = bench.daemon.store();
    let mut bytes = fs::read(&store).expect("the store");
    let damaged = bytes.len().min(64 << 10);
    bytes[..damaged].fill(0xa5);
    fs::write(&store, &bytes).expect("a damaged store");
    fs::set_permissions(&store, fs::Permissions::from_mode(0o600)).expect("its mode");
    bench.daemon.start();
    bench.app = bench.daemon.app("tester");
    let status = bench.app.must("status", json!({}));
    assert_ne!(status["instance"], instance);
    let attention = &status["attention"][0];
    assert_eq!(attention["name"], "store_damaged", "{status}");
    let hint = attention["hint"].as_str().expect("a hint");
    let kept = hint.split_whitespace().map(|word| word.trim_end_matches(';')).find(|word| word.starts_with('/')).expect("a path");
    assert_eq!(fs::read(kept).expect("what was kept"), bytes);
    let said = bench.daemon.says(0, &["status"]);
    assert!(said.contains(kept), "{said}");
    // And the new one begins at the remote's state.
    bench.app.sync("things", "done");
    bench.assert_same();
    assert_eq!(bench.app.all("things").len(), 2);
}
