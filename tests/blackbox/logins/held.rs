//! Owns: that a login which is kept holds for syncs, whoever still waits for it, and that one which nobody waits for ends.
//! Must never know: how the daemon looks at logins again.

use std::{fs::Permissions, net::TcpStream, os::unix::fs::PermissionsExt as _};

use mingle_tests::{
    servers::oidc::{Browser, Wish},
    wait::until,
};
use serde_json::json;

use super::{Login, bench, log_in};

#[test]
fn a_login_whose_client_is_gone_holds_for_the_syncs() {
    let mut bench = bench(3600, "");
    let begun = bench.app.must("remote.authorize", json!({ "remote": "far" }));
    let page = Browser::default().logs_in(begun["url"].as_str().expect("an address"), "alice");
    assert!(page.body.contains("Logged in"), "{page:?}");
    bench.app.put("notes", "one", &json!({ "v": 1 }));
    bench.app.sync("notes", "done");
    bench.assert_same();
    // What is asked for late is not there any more, and the login is.
    bench.app.refused("not_found", "remote.authorized", json!({ "login": "of-another" }));
}

#[test]
fn a_login_holds_though_the_configuration_has_a_mistake_now() {
    let mut bench = bench(3600, "");
    log_in(&bench.daemon, "far", "alice");
    bench.app.put("notes", "alices", &json!({ "v": 1 }));
    bench.app.sync("notes", "done");
    let config = bench.daemon.config_dir().join("config.toml");
    let half = std::fs::read_to_string(&config).expect("a configuration") + "\n[sync.half\n";
    bench.daemon.configure(&half);
    bench.app.put("notes", "waits", &json!({ "v": 2 }));
    assert!(log_in(&bench.daemon, "far", "bob").contains("bob at"));
    bench.app.sync("notes", "failed");
    let status = bench.app.status("notes");
    assert_eq!(status["hold"]["name"], "account", "{status}");
    log_in(&bench.daemon, "far", "alice");
    bench.app.sync("notes", "done");
    bench.assert_same();
}

#[test]
fn a_login_that_could_not_be_read_at_the_start_holds_once_it_can() {
    let mut bench = bench(3600, "");
    log_in(&bench.daemon, "far", "alice");
    bench.app.put("notes", "one", &json!({ "v": 1 }));
    bench.app.sync("notes", "done");
    bench.daemon.kill();
    std::fs::set_permissions(bench.file(), Permissions::from_mode(0o644)).expect("a file");
    bench.daemon.start();
    bench.app = bench.daemon.app("tester");
    bench.app.put("notes", "two", &json!({ "v": 2 }));
    let row = bench.app.sync("notes", "failed");
    assert!(row["error"]["hint"].as_str().is_some_and(|hint| hint.contains("chmod 600")), "{row}");
    std::fs::set_permissions(bench.file(), Permissions::from_mode(0o600)).expect("a file");
    until("a run for whom the login is", || {
        let run = bench.app.run("notes");
        (bench.app.ended(&run) == "done").then_some(())
    });
    bench.assert_same();
}

#[test]
fn a_login_that_nobody_asks_for_ends() {
    let mut bench = bench(3600, "");
    let begun = bench.app.must("remote.authorize", json!({ "remote": "far" }));
    let back = Browser::default().follows(begun["url"].as_str().expect("an address"), "alice", Wish::Agree);
    let host = back.split('/').nth(2).expect("a host").to_owned();
    assert!(TcpStream::connect(&host).is_ok());
    until("an end of the listening", || TcpStream::connect(&host).is_err().then_some(()));
    assert!(!bench.file().exists());
    bench.app.refused("not_found", "remote.authorized", json!({ "login": begun["login"] }));
}

#[test]
fn a_browser_that_stays_in_the_foreground_holds_no_login_up() {
    let bench = bench(3600, "");
    let folder = bench.daemon.dir().join("programs");
    std::fs::create_dir(&folder).expect("a folder");
    // As long as whoever opened it is there.
    let opener = folder.join("xdg-open");
    std::fs::write(&opener, "#!/bin/sh\nwhile kill -0 $PPID; do sleep 0.1; done\n").expect("a program");
    std::fs::set_permissions(&opener, Permissions::from_mode(0o700)).expect("a program");
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("a path"));
    let login = Login::begin_with(&bench.daemon, &["far", "--browser"], &[("PATH", &path)]);
    assert!(Browser::default().logs_in(&login.url, "alice").body.contains("Logged in"));
    assert!(login.ends(0).contains("alice at"));
}

#[test]
fn the_page_says_what_came_of_the_keeping() {
    let bench = bench(3600, "");
    let folder = bench.daemon.dir().join("s/mingle/logins");
    std::fs::write(&folder, "no folder").expect("something in the way");
    let login = Login::begin(&bench.daemon, &["far"]);
    let page = Browser::default().logs_in(&login.url, "alice");
    assert!(page.body.contains("Not logged in"), "{page:?}");
    let said = login.ends(1);
    assert!(said.contains("is not written") && said.contains("hint:"), "{said}");
    std::fs::remove_file(&folder).expect("a way that is free");
    let login = Login::begin(&bench.daemon, &["far"]);
    let page = Browser::default().logs_in(&login.url, "alice");
    // Whoever reads that may close everything.
    assert!(page.body.contains("Logged in") && bench.token("refresh").len() > 8, "{page:?}");
    login.ends(0);
}

#[test]
fn whoever_asks_late_for_a_login_is_told_that_another_was_begun() {
    let mut bench = bench(3600, "");
    let [first, second] = [(); 2].map(|()| bench.app.must("remote.authorize", json!({ "remote": "far" })));
    let told = bench.app.refused("wrong_state", "remote.authorized", json!({ "login": first["login"] }));
    assert!(told.to_string().contains("another login was begun after this one"), "{told}");
    bench.app.refused("not_found", "remote.authorized", json!({ "login": first["login"] }));
    let call = bench.app.send("remote.authorized", &json!({ "login": second["login"] })).expect("a call");
    let page = Browser::default().logs_in(second["url"].as_str().expect("an address"), "alice");
    assert!(page.body.contains("Logged in"), "{page:?}");
    let told = bench.app.answer(call).expect("an answer").expect("a login");
    assert!(told["account"].as_str().is_some_and(|account| account.starts_with("alice at")), "{told}");
}
