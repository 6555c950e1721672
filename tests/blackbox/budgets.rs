//! Owns: what a user sees of what a service lets an account ask: shared by remotes, kept for people, remembered by a daemon that was
//! killed. Must never know: how it is decided.

use mingle_tests::{
    daemon::{Daemon, Home},
    trackers::{self, GitHub},
    wait::until,
};
use serde_json::{Value, json};

/// A daemon with two remotes at one service, under one login; `more` stands in both syncs.
fn with_github(server: &GitHub, more: &str) -> Daemon {
    let mut config = String::new();
    for name in ["one", "two"] {
        config += &format!(
            "[remote.{name}]\nkind = \"rest\"\nprofile = \"github-issues\"\nurl = \"{}\"\n\
             auth = {{ type = \"bearer\", token = {{ file = \"token\" }} }}\n\n\
             [sync.{name}]\ncollection = \"{name}\"\nremote = \"{name}\"\nresource = \"issues\"\ndirection = \"down\"\n{more}\n",
            server.url
        );
    }
    let home = Home::new(Some(&config));
    home.write("token", trackers::TOKEN);
    home.start()
}

fn budget(daemon: &Daemon) -> Value {
    let answer = daemon.app("asker").must("remote.budget", json!({}));
    let all = answer["budgets"].as_array().expect("a list");
    assert_eq!(all.len(), 1, "one login at one host: {answer}");
    all[0].clone()
}

/// The names of what holds a sync.
fn holds(daemon: &Daemon, sync: &str) -> Vec<String> {
    let explained = daemon.app("asker").must("explain", json!({ "sync": sync }));
    let holds = explained["holds"].as_array().expect("holds").iter();
    holds.map(|hold| hold["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn two_remotes_with_one_login_have_one_budget() {
    let server = GitHub::start();
    server.open(&json!({ "title": "a" }));
    server.leave(4_000, 600);
    let daemon = with_github(&server, "on_start = false\n");
    assert_eq!(budget(&daemon)["limits"], json!([]), "nothing was asked yet");
    let mut app = daemon.app("tester");
    app.sync("one", "done");
    let after_one = budget(&daemon);
    app.sync("two", "done");
    // Its question is another one after its first listing, and the same from then on.
    app.sync("one", "done");
    app.sync("one", "done");
    let log = server.log();
    let (asked, unchanged) = (log.len() as u64, log.iter().filter(|line| line.ends_with(" 304")).count() as u64);
    let after = budget(&daemon);
    assert_eq!(after["remotes"], json!(["one", "two"]));
    let limit = &after["limits"][0];
    assert_eq!((&limit["name"], &limit["limit"], &limit["kept"]), (&json!("core"), &json!(5_000), &json!(500)));
    assert_eq!(limit["left"], json!(4_000 - asked + unchanged), "{after} {log:?}");
    assert!(after_one["limits"][0]["left"].as_u64() > limit["left"].as_u64(), "the second remote spent of the same");
    let used = after["used"].as_array().expect("a list");
    let sum = |key: &str| used.iter().map(|one| one[key].as_u64().expect("a number")).sum::<u64>();
    let names: Vec<&str> = used.iter().filter_map(|one| one["sync"].as_str()).collect();
    assert_eq!((names, sum("requests"), sum("unchanged")), (vec!["one", "two"], asked, unchanged));
    assert!(unchanged > 0, "what did not change costs nothing: {log:?}");
    let said = daemon.says(0, &["budget"]);
    let left = format!("core: {}/5000 left", limit["left"]);
    assert!(said.contains("(one, two)") && said.contains(&left) && said.contains("500 kept for people"), "{said}");
}

#[test]
fn what_is_kept_for_people_is_there_after_a_kill_and_the_schedule_leaves_it_alone() {
    let server = GitHub::start();
    server.open(&json!({ "title": "a" }));
    server.leave(400, 600);
    let mut daemon = with_github(&server, "on_start = true\n");
    until("the first answers, which tell that little is left", || {
        (budget(&daemon)["limits"][0]["left"].as_u64()? < 400).then_some(())
    });
    until("that to be written down", || {
        let store = rusqlite::Connection::open(daemon.store()).ok()?;
        store.query_row("SELECT 1 FROM m_budget WHERE known LIKE '%\"left\":3%'", (), |_| Ok(())).ok()
    });
    daemon.kill();
    let _ = server.log();
    daemon.start();
    // They are due at the start, and nothing is asked for them.
    for sync in ["one", "two"] {
        until("it to be held", || holds(&daemon, sync).contains(&"budget".to_owned()).then_some(()));
    }
    assert_eq!(server.log(), Vec::<String>::new());
    let explained = daemon.says(0, &["explain", "one"]);
    assert!(explained.contains("kept for what a person asks for") && explained.contains("mingle budget"), "{explained}");
    let mut app = daemon.app("tester");
    let row = app.must("history", json!({ "sync": "one", "limit": 1 }))["runs"][0].clone();
    assert_eq!(row["error"]["name"], "budget", "{row}");
    // Whom it is kept for.
    app.sync("one", "done");
    assert!(!server.log().is_empty());
    assert!(holds(&daemon, "two").contains(&"budget".to_owned()));
}

#[test]
fn with_nothing_left_nobody_is_let_go_also_by_a_daemon_that_was_killed() {
    let server = GitHub::start();
    server.open(&json!({ "title": "a" }));
    server.leave(1, 600);
    let mut daemon = with_github(&server, "on_start = false\n");
    let row = daemon.app("tester").sync("one", "failed");
    assert_eq!(row["error"]["name"], "throttled", "{row}");
    until("that to be written down", || {
        let store = rusqlite::Connection::open(daemon.store()).ok()?;
        store.query_row("SELECT 1 FROM m_budget WHERE known LIKE '%\"left\":0%'", (), |_| Ok(())).ok()
    });
    daemon.kill();
    let _ = server.log();
    daemon.start();
    // The other remote, which heard nothing itself.
    let row = daemon.app("tester").sync("two", "failed");
    assert_eq!(row["error"]["name"], "throttled", "{row}");
    assert!(row["error"]["what"].as_str().is_some_and(|what| what.contains("none of 5000 requests left")), "{row}");
    let said = daemon.says(1, &["remote", "check", "two"]);
    assert!(said.contains("none of 5000"), "{said}");
    assert_eq!(server.log(), Vec::<String>::new());
}
