//! Owns: what rows of the page of features promise and no other suite shows: the id of the row is in the name. Must never know: how the
//! page is made.

use std::time::Duration;

use mingle_tests::{
    app::App,
    daemon::Daemon,
    rest_server::{Fault, Options},
    wait::until,
};
use serde_json::{Value, json};

use crate::{
    bench::{Scripted, fill, scripted, scripted_config},
    keeper::Keeper,
};

/// who waits for a run, or for a write, gets an answer when the time is over; the work goes on, and can be waited for again.
#[test]
fn r_03_a_wait_that_runs_out_of_time_ends_nothing_else() {
    let mut bench = scripted(Options::default(), "");
    fill(&bench.server, 5);
    let token = bench.app.put("things", "mine", &json!({ "v": 1 }))["token"].clone();
    bench.server.next("GET", Fault::Lag(Duration::from_secs(1)));
    let run = bench.app.run("things");
    for what in [json!({ "run": run }), json!({ "token": token })] {
        let mut params = what.clone();
        params["timeout_ms"] = json!(100);
        let early = bench.app.must("wait", params);
        assert_eq!(early["state"], "pending", "{early}");
        assert!(early["why"].as_str().is_some_and(|why| !why.is_empty()), "{what}: {early}");
        bench.app.refused("invalid", "wait", json!({ "run": run, "timeout_ms": -1 }));
    }
    assert_eq!(bench.app.ended(&run), "done");
    assert_eq!(bench.app.must("wait", json!({ "token": token, "timeout_ms": 10_000 }))["state"], "done");
    assert_eq!(bench.theirs().len(), 6);
    bench.assert_same();
}

/// before its first run a filter is told from one that was heeded; who wants to wait for another one does, for so
/// long; reads never wait; one that cannot be meant is an error at once, and what stood stands.
#[test]
fn r_15_another_filter_is_waited_for_or_not() {
    let mut bench = scripted(Options::default(), "filter = { n = { lt = 2 } }\n");
    fill(&bench.server, 5);
    let row = |app: &mut App| app.must("status", json!({}))["syncs"][0].take();
    assert_eq!(row(&mut bench.app)["last"], Value::Null, "it never ran: who waits for the first time only knows by that");
    let url = bench.server.url.clone();
    let filters =
        |bench: &Scripted, filter: &str| bench.daemon.configure(&scripted_config(&url, &format!("filter = {filter}\n")));
    for (filter, kept) in [("{ n = { lt = 2 } }", ["r00", "r01"]), ("{ n = { gt = 2 } }", ["r03", "r04"])] {
        filters(&bench, filter);
        bench.app.must("reload", json!({}));
        bench.server.next("GET", Fault::Lag(Duration::from_secs(1)));
        let run = bench.app.run("things");
        let early = bench.app.must("wait", json!({ "run": run, "timeout_ms": 100 }));
        assert_eq!((&early["state"], &row(&mut bench.app)["state"]), (&json!("pending"), &json!("running")), "{early}");
        assert!(!bench.app.all("things").contains_key(kept[0]), "to read is not to wait");
        assert_eq!(bench.app.ended(&run), "done");
        assert_eq!(bench.app.all("things").into_keys().collect::<Vec<_>>(), kept);
        assert_eq!(row(&mut bench.app)["last"]["status"], "done");
    }
    filters(&bench, "{ n = { above = 2 } }");
    bench.app.refused("invalid", "reload", json!({}));
    bench.app.sync("things", "done");
    assert_eq!(bench.app.all("things").len(), 2);
    assert_eq!(bench.theirs().len(), 5);
}

/// R-17, S-47: what is written outside of a filter is taken and sent, and then it is not here any more; of what changed only what is marked
/// is sent, where an app wants it so.
#[test]
fn r_17_a_write_outside_of_a_filter_is_sent_and_leaves() {
    let mut bench = scripted(Options::default(), "filter = { n = { lt = 2 } }\n");
    fill(&bench.server, 2);
    bench.app.sync("things", "done");
    bench.app.put("things", "far", &json!({ "n": 9 }));
    for (id, n) in [("now", 0), ("later", 1)] {
        bench.app.must("put", json!({ "collection": "things", "id": id, "data": { "n": n }, "defer": true }));
    }
    bench.app.must("pending.upload", json!({ "collection": "things", "ids": ["now"] }));
    bench.app.sync("things", "done");
    let theirs: Vec<String> = bench.theirs().into_keys().collect();
    assert_eq!(theirs, ["far", "now", "r00", "r01"]);
    let run = bench.app.must("sync.run", json!({ "sync": "things", "mode": "slow" }))["run"].as_str().expect("a run").to_owned();
    assert_eq!(bench.app.ended(&run), "done");
    assert_eq!(bench.app.all("things").into_keys().collect::<Vec<_>>(), ["later", "now", "r00", "r01"]);
    assert_eq!(bench.theirs().len(), 4, "nothing was taken back");
}

/// a second pause, and a second resume, change nothing.
#[test]
fn r_02_to_pause_twice_is_to_pause_once() {
    let mut bench = scripted(Options::default(), "");
    for _ in 0..2 {
        assert_eq!(bench.app.must("sync.pause", json!({ "sync": "things" }))["state"], "disabled");
    }
    bench.app.refused("stopped", "sync.run", json!({ "sync": "things" }));
    for _ in 0..2 {
        assert_eq!(bench.app.must("sync.resume", json!({ "sync": "things" }))["state"], "waiting");
    }
    bench.app.sync("things", "done");
}

/// where several properties are the identity, all of them must be there and be equal.
#[test]
fn a_19_records_are_the_same_where_all_of_their_identity_is() {
    let daemon = Daemon::with("[collection.cards]\nidentity = [\"mail\", \"kind\"]\n");
    let mut writer = daemon.app("writer");
    writer.put("cards", "w", &json!({ "mail": "a@x", "kind": "home", "n": 1 }));
    let mut one = Keeper::of(&daemon, "one", "cards");
    one.begin_as("refresh", "refresh");
    one.put("1", json!({ "mail": "a@x", "kind": "home", "phone": "1" }));
    one.put("2", json!({ "mail": "a@x", "kind": "office" }));
    one.put("3", json!({ "mail": "a@x" }));
    assert_eq!(one.mingle()["changed"], 3);
    assert_eq!(one.pull_and_finish(), 1, "what the truth knew of the one that is the same");
    assert_eq!(one.copy["1"], json!({ "mail": "a@x", "kind": "home", "n": 1, "phone": "1" }));
    let there = writer.all("cards");
    assert_eq!((there.len(), &there["w"]), (3, &one.copy["1"]));
}

/// alternatives, of which the earlier ones count for more; another configuration has them and their indexes with a reload.
#[test]
fn a_19_what_one_identity_does_not_tell_the_next_may() {
    let config = |identity: &str| format!("[collection.cards]\nidentity = {identity}\n");
    let daemon = Daemon::with(&config("[\"mail\"]"));
    let mut writer = daemon.app("writer");
    for (id, card) in [
        ("ada", json!({ "mail": "a@x", "name": "Ada", "born": 1815 })),
        ("bob", json!({ "name": "Bob", "born": 1900 })),
        ("eve", json!({ "mail": "e@x", "name": "Twin", "born": 1 })),
        ("eva", json!({ "mail": "e@x", "name": "Twin", "born": 2 })),
    ] {
        writer.put("cards", id, &card);
    }
    daemon.configure(&config("[[\"mail\"], [\"name\", \"born\"]]"));
    daemon.says(0, &["config", "check"]);
    daemon.says(0, &["reload"]);
    let mut one = Keeper::of(&daemon, "one", "cards");
    one.begin_as("refresh", "refresh");
    one.put("1", json!({ "mail": "a@x", "phone": "1" }));
    one.put("2", json!({ "mail": "b@x", "name": "Bob", "born": 1900 }));
    one.put("3", json!({ "mail": "e@x", "name": "Twin", "born": 2 }));
    one.put("4", json!({ "name": "Bob" }));
    one.mingle();
    one.pull_and_finish();
    for (own, id) in [("1", "ada"), ("2", "bob")] {
        assert_eq!(Some(&one.copy[own]), writer.get("cards", id).as_ref(), "{own}");
    }
    assert_eq!(one.copy["2"], json!({ "mail": "b@x", "name": "Bob", "born": 1900 }));
    // Which of two the third is, and who the fourth is, nothing tells: they are records of their own.
    assert_eq!(writer.all("cards").len(), 6);
    assert!(daemon.says(0, &["fsck"]).starts_with("good: "));
    daemon.configure(&config("[[\"mail\"], \"name\"]"));
    let said = daemon.says(78, &["config", "check"]);
    assert!(said.contains("must be a list of names in quotes, or a list of such lists"), "{said}");
}

/// A-33, C-47: rows are read differently from now on, so everything is compared anew: nothing is doubled, and edits of both sides stay.
#[test]
fn a_33_a_profile_of_another_version_has_everything_compared_anew() {
    let mut bench = scripted(Options::default(), "");
    fill(&bench.server, 8);
    bench.app.sync("things", "done");
    // With one row a place to go on from is asked for.
    let from_the_start = |line: &String| line.starts_with("GET things?rows=100") && !line.contains("since=");
    let _ = bench.server.log();
    bench.app.sync("things", "done");
    let log = bench.server.log();
    assert!(!log.iter().any(from_the_start), "what changed since is asked for: {log:?}");
    bench.app.patch("things", "r01", &json!({ "ours": true }));
    bench.server.patch("things", "r02", &json!({ "theirs": true }));
    let profile = bench.daemon.config_dir().join("profiles/scripted.toml");
    let text = std::fs::read_to_string(&profile).expect("the profile");
    std::fs::write(&profile, text.replace("version = 1\n", "version = 2\n")).expect("written");
    bench.start_again();
    let _ = bench.server.log();
    bench.app.sync("things", "done");
    let log = bench.server.log();
    assert!(log.iter().any(from_the_start), "everything is listed: {log:?}");
    bench.assert_same();
    let theirs = bench.theirs();
    assert_eq!((theirs.len(), &theirs["r01"]["ours"], &theirs["r02"]["theirs"]), (8, &json!(true), &json!(true)));
    let row = bench.app.sync("things", "done");
    assert_eq!((&row["up"], &row["down"]), (&json!(0), &json!(0)), "{row}");
}

/// C-22, V-22: a run belongs to the daemon: it goes on when the app that asked for it is gone.
#[test]
fn c_22_a_run_goes_on_without_who_asked_for_it() {
    let mut bench = scripted(Options { page_rows_max: 1, ..Options::default() }, "");
    fill(&bench.server, 5);
    for _ in 0..5 {
        bench.server.next("GET", Fault::Lag(Duration::from_millis(100)));
    }
    let mut asker = bench.daemon.app("asker");
    let run = asker.run("things");
    drop(asker);
    until("the app to be gone", || {
        let status = bench.app.must("status", json!({}));
        let apps: Vec<&Value> = status["apps"].as_array().expect("apps").iter().collect();
        (!apps.iter().any(|app| app["app"] == "asker")).then_some(())
    });
    assert_eq!(bench.app.ended(&run), "done");
    bench.assert_same();
}

/// C-27: it fetches first: where that does not come to its end nothing is sent, and what is sent comes after the last page.
#[test]
fn c_27_it_fetches_before_it_sends() {
    let mut bench = scripted(Options { page_rows_max: 2, ..Options::default() }, "");
    fill(&bench.server, 6);
    bench.app.put("things", "mine", &json!({ "v": 1 }));
    let is_page = |line: &String| line.starts_with("GET things?rows=");
    // A greeting, a place to go on from later, a page.
    for _ in 0..3 {
        bench.server.next("GET", Fault::Lag(Duration::ZERO));
    }
    bench.server.next("GET", Fault::Status(500, Vec::new()));
    bench.app.sync("things", "failed");
    let log = bench.server.log();
    assert!(log.iter().all(|line| line.starts_with("GET")), "{log:?}");
    assert!(log.iter().any(is_page), "{log:?}");
    bench.app.sync("things", "done");
    let log = bench.server.log();
    let (last, sent) = (log.iter().rposition(is_page), log.iter().position(|line| !line.starts_with("GET")));
    assert!(sent.is_some() && last.is_some() && last < sent, "{log:?}");
    bench.assert_same();
}
