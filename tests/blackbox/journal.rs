//! Owns: systemd's own journal, run alone, and what it has of the daemon. Must never know: the form in which entries are sent.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use mingle_tests::{
    daemon::{Home, mingled},
    rest_server::{Options, RestServer},
    tally,
};
use serde_json::Value;

use crate::bench::scripted_config;

#[test]
fn the_journal_has_each_entry_with_its_fields() {
    let unshare = |what: &[&str]| {
        let mut command = Command::new("unshare");
        command.arg("--mount").args(what).stdin(Stdio::null());
        command
    };
    // A tree of one's own, with another /run in it.
    let may = unshare(&["mount", "-t", "tmpfs", "tmpfs", "/run"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) || !Path::new("/lib/systemd/systemd-journald").exists() {
        return tally::skip("the journal", "only root may mount, and systemd-journald must be on this machine");
    }
    let server = RestServer::start(Options::default(), &["things", "others"]);
    server.put("things", "r1", &serde_json::json!({ "n": 1 }));
    let home = Home::new(Some(&scripted_config(&server.url, "").replace("on_start = false", "on_start = true")));
    server.write_profile(&home.config_dir());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/python/journal.py");
    let folder = home.dir().display().to_string();
    let output = unshare(&["python3", &script.display().to_string(), &mingled().display().to_string(), &folder, "MINGLE_STATUS"])
        .env_clear()
        .envs(home.environment())
        .output()
        .expect("python3");
    let (told, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{complained}");
    let entries: Vec<Value> = told.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let started = entries.iter().find(|entry| entry["MESSAGE"].as_str().is_some_and(|said| said.starts_with("started")));
    let started = started.unwrap_or_else(|| panic!("{told}"));
    for (field, value) in [
        ("PRIORITY", "6"),
        ("SYSLOG_IDENTIFIER", "mingled"),
        ("MINGLE_TARGET", "mingled::run"),
        ("MINGLE_SYNCS", "1"),
        ("_TRANSPORT", "journal"),
        ("_COMM", "mingled"),
    ] {
        assert_eq!(started[field], value, "{started}");
    }
    assert_eq!(started["MINGLE_SOCKET"], home.socket().display().to_string());
    for said in ["a run begins", "a run ended"] {
        let of_sync =
            |entry: &&Value| entry["MINGLE_SYNC"] == "things" && entry["MESSAGE"].as_str().is_some_and(|it| it.starts_with(said));
        let entry = entries.iter().find(of_sync).unwrap_or_else(|| panic!("{said}: {told}"));
        assert!(entry["MINGLE_RUN"].as_str().is_some_and(|run| run.starts_with("r-")), "{entry}");
    }
    assert!(entries.iter().any(|entry| entry["MINGLE_STATUS"] == "done" && entry["MINGLE_DOWN"] == "1"), "{told}");
    // Once: what goes to the journal as an entry does not come again as a line of standard error.
    let lines = entries.iter().filter(|entry| entry["_TRANSPORT"] == "stdout").count();
    assert_eq!(lines, 0, "{told}");
    assert!(!told.contains("next step"), "a new store is no upgrade: {told}");
}
