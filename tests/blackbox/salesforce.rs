//! Owns: what Salesforce's own tests of stop and restart ask for, asked of us: ten records, one a page, stopped at half.
//! Must never know: how a run remembers where it was.

use std::time::Duration;

use mingle_tests::{
    rest_server::{Fault, Options, RestServer},
    wait::until,
};
use serde_json::{Value, json};

use crate::bench::{Scripted, fill, scripted};

/// One record a page, so that half of ten is a place between two requests.
fn one_a_page() -> Options {
    Options { page_rows_max: 1, ..Options::default() }
}

/// Answers so many requests for pages, and never the next one.
fn stands_still_after(server: &RestServer, pages: usize) {
    // The greeting asks once, and a first listing asks once for a place to go on from, before the first page.
    for _ in 0..pages + 2 {
        server.next("GET", Fault::Lag(Duration::ZERO));
    }
    server.next("GET", Fault::HangBefore);
}

/// A run that has brought five of ten records and waits for the sixth.
fn half_way() -> (Scripted, String) {
    let mut bench = scripted(one_a_page(), "");
    fill(&bench.server, 10);
    stands_still_after(&bench.server, 5);
    let run = bench.app.run("things");
    stands_still(&mut bench, 5);
    (bench, run)
}

/// Until so many records are here, and the request that is never answered has been sent: nothing that comes later meets it.
fn stands_still(bench: &mut Scripted, pages: usize) {
    until("half of the records", || (bench.app.all_or_none("things") == pages).then_some(()));
    let mut asked = 0;
    until("the next page to be asked for", || {
        asked += bench.server.log().len();
        (asked == pages + 3).then_some(())
    });
}

trait Half {
    fn all_or_none(&mut self, collection: &str) -> usize;
}

impl Half for mingle_tests::app::App {
    /// How many records; a collection that nobody wrote yet has none.
    fn all_or_none(&mut self, collection: &str) -> usize {
        let asked = self.ask("list", &json!({ "collection": collection, "limit": 1000 })).expect("an answer");
        asked.ok().and_then(|page| page["records"].as_array().map(Vec::len)).unwrap_or(0)
    }
}

/// Stops, and waits until all runs have.
fn stop(bench: &mut Scripted) -> Value {
    let answer = bench.app.must("stop", json!({}));
    until("all runs to be stopped", || (bench.app.must("status", json!({}))["state"] == "stopped").then_some(()));
    answer
}

#[test]
fn s_test_stop_resume_single_sync_down() {
    let (mut bench, run) = half_way();
    let mut watcher = bench.daemon.app("watcher");
    watcher.must("subscribe", json!({ "topics": ["run", "sync"], "collections": [], "initial": false }));
    let stopped = stop(&mut bench);
    assert_eq!(stopped["runs"], json!([run]), "{stopped}");
    let row = bench.app.row("things", &run);
    assert_eq!((&row["status"], &row["stop_reason"], &row["down"]), (&json!("stopped"), &json!("user"), &json!(5)), "{row}");
    assert_eq!(bench.app.all("things").len(), 5);
    watcher.hear("the last event of the run", |message| {
        let params = &message["params"];
        params["topic"] == "run" && params["step"] == "finished" && params["status"] == "stopped"
    });

    // A run while stopped is refused, by name and with the remedy.
    let refused = bench.app.refused("stopped", "sync.run", json!({ "sync": "things" }));
    assert!(refused.to_string().contains("mingle restart"), "{refused}");

    // Without resync the row stays as it is, and nothing begins by itself.
    bench.app.must("restart", json!({}));
    let _ = bench.server.log();
    assert_eq!(bench.app.row("things", &run)["status"], "stopped");
    assert_eq!(bench.app.must("status", json!({}))["state"], "running");
    assert_eq!(bench.app.status("things")["state"], "waiting");
    assert_eq!(bench.server.log(), Vec::<String>::new());

    // A second run goes on where the first was: it asks for no page that is behind it but the one at the border.
    bench.app.sync("things", "done");
    let asked: Vec<String> = bench.server.log().into_iter().filter(|line| line.starts_with("GET things?")).collect();
    assert!(asked.len() <= 6, "{asked:?}");
    assert_eq!(bench.app.all("things").len(), 10);
    bench.assert_same();
}

#[test]
fn s_test_stop_resume_single_sync_down_with_resync() {
    let (mut bench, run) = half_way();
    stop(&mut bench);
    let _ = bench.server.log();
    let restarted = bench.app.must("restart", json!({ "resync_stopped": true }));
    let again = restarted["runs"][0].as_str().expect("the run that goes on").to_owned();
    assert_ne!(again, run);
    assert_eq!(bench.app.ended(&again), "done");
    let asked: Vec<String> = bench.server.log().into_iter().filter(|line| line.starts_with("GET things?")).collect();
    assert!(asked.len() <= 6, "{asked:?}");
    let row = bench.app.row("things", &again);
    assert_eq!(row["down"], 5, "nothing doubled: {row}");
    bench.assert_same();
}

#[test]
fn s_test_stop_resume_over_a_restart_of_the_daemon() {
    let (mut bench, run) = half_way();
    stop(&mut bench);
    for kill in [true, false] {
        if kill {
            bench.kill_and_start();
        } else {
            bench.start_again();
        }
        let status = bench.app.must("status", json!({}));
        assert_eq!((&status["state"], &status["by"]), (&json!("stopped"), &json!("tester")), "{status}");
        let hold = &bench.app.status("things")["hold"]["name"];
        assert_eq!(hold, "stopped");
        bench.app.refused("stopped", "sync.run", json!({ "sync": "things" }));
        assert_eq!(bench.app.row("things", &run)["status"], "stopped");
    }
    let restarted = bench.app.must("restart", json!({ "resync_stopped": true }));
    let again = restarted["runs"][0].as_str().expect("the run that goes on").to_owned();
    assert_eq!(bench.app.ended(&again), "done");
    bench.assert_same();
}

/// A second sync of the same resource queues behind the first; stopped, it never began; both end done after a resync.
#[test]
fn s_test_stop_resume_multiple_sync_downs() {
    let second = "[sync.second]\ncollection = \"others\"\nremote = \"far\"\nresource = \"others\"\ndirection = \"down\"\non_start = false\n";
    let mut bench = scripted(one_a_page(), second);
    fill(&bench.server, 10);
    bench.server.put("others", "o1", &json!({ "n": 1 }));
    stands_still_after(&bench.server, 5);
    let first = bench.app.run("things");
    stands_still(&mut bench, 5);
    // Asked for while it runs: exactly one more is queued behind it.
    let queued = bench.app.run("things");
    assert_eq!(bench.app.run("things"), queued);
    assert_ne!(queued, first);
    let stopped = stop(&mut bench);
    let runs = stopped["runs"].as_array().expect("runs");
    assert!(runs.contains(&json!(first)) && runs.contains(&json!(queued)), "{stopped}");
    assert_eq!(bench.app.ended(&queued), "stopped", "who waits for a run that never begins is told so");
    assert_eq!(bench.app.row("things", &first)["down"], 5);
    assert_eq!(bench.app.row("things", &queued)["down"], 0);
    assert_eq!(bench.app.row("things", &queued)["status"], "stopped");
    let restarted = bench.app.must("restart", json!({ "resync_stopped": true }));
    for run in restarted["runs"].as_array().expect("runs") {
        assert_eq!(bench.app.ended(run.as_str().expect("a run")), "done");
    }
    bench.app.sync("second", "done");
    assert_eq!((bench.app.all("things").len(), bench.app.all("others").len()), (10, 1));
    bench.assert_same();
}

#[test]
fn s_test_re_sync_running_sync() {
    let (mut bench, run) = half_way();
    let answer = bench.app.must("sync.run", json!({ "sync": "things" }));
    assert_eq!(answer["queued"], true, "{answer}");
    assert_ne!(answer["run"], json!(run), "one more run, begun after the request");
    stop(&mut bench);
}

#[test]
fn s_test_get_sync_status_for_invalid_sync_id() {
    let mut bench = scripted(Options::default(), "");
    bench.app.refused("not_found", "explain", json!({ "sync": "nothing" }));
    bench.app.refused("not_found", "history", json!({ "sync": "nothing" }));
    bench.app.refused("not_found", "wait", json!({ "run": "r-nothing", "timeout_ms": 10 }));
}

#[test]
fn s_test_re_sync_by_name_with_wrong_name() {
    let mut bench = scripted(Options::default(), "");
    let error = bench.app.refused("not_found", "sync.run", json!({ "sync": "thing" }));
    assert!(error["data"]["hint"].as_str().is_some_and(|hint| hint.contains("things")), "{error}");
    bench.daemon.says(1, &["sync", "thing"]);
}

#[test]
fn s_test_cleanup_syncs_soup_if_needed() {
    // A run that a crash cut off is found stopped at the next start, and is due at once; others stay as they were.
    let (mut bench, run) = half_way();
    bench.daemon.kill();
    bench.daemon.start();
    bench.app = bench.daemon.app("tester");
    let row = bench.app.row("things", &run);
    assert_eq!((&row["status"], &row["stop_reason"]), (&json!("stopped"), &json!("crash")), "{row}");
    // What it did was counted with each batch.
    assert_eq!((&row["down"], row["bytes"].as_u64() > Some(0)), (&json!(5), true), "{row}");
    until("the run that goes on by itself", || (bench.app.all_or_none("things") == 10).then_some(()));
    bench.assert_same();
}

#[test]
fn s_test_sync_down_without_overwrite() {
    let mut bench = scripted(Options::default(), "");
    fill(&bench.server, 3);
    bench.app.sync("things", "done");
    bench.app.patch("things", "r01", &json!({ "name": "ours" }));
    bench.server.patch("things", "r01", &json!({ "n": 100 }));
    bench.app.sync("things", "done");
    assert_eq!(bench.app.get("things", "r01"), Some(json!({ "n": 100, "name": "ours" })));
    bench.assert_same();
}

#[test]
fn s_test_sync_up_with_locally_created_and_deleted_records() {
    let mut bench = scripted(Options::default(), "");
    bench.app.put("things", "brief", &json!({ "v": 1 }));
    bench.app.delete("things", "brief");
    bench.app.sync("things", "done");
    let sent: Vec<String> = bench.server.log().into_iter().filter(|line| !line.starts_with("GET")).collect();
    assert_eq!(sent, Vec::<String>::new());
}

#[test]
fn s_test_sync_up_with_locally_deleted_remotely_deleted_records() {
    let mut bench = scripted(Options::default(), "");
    fill(&bench.server, 3);
    bench.app.sync("things", "done");
    bench.app.delete("things", "r01");
    bench.server.delete("things", "r01");
    bench.app.sync("things", "done");
    assert_eq!(bench.app.all("things").len(), 2);
    bench.assert_same();
}

#[test]
fn s_test_sync_up_with_locally_updated_remotely_deleted_records() {
    let mut bench = scripted(Options::default(), "");
    fill(&bench.server, 3);
    bench.app.sync("things", "done");
    bench.app.patch("things", "r01", &json!({ "name": "kept" }));
    bench.server.delete("things", "r01");
    bench.app.sync("things", "done");
    assert_eq!(bench.theirs().get("r01"), Some(&json!({ "n": 1, "name": "kept" })), "an edit outlives a delete");
    bench.assert_same();
    assert_eq!(bench.app.must("conflict.list", json!({ "all": true }))["conflicts"].as_array().map(Vec::len), Some(1));
}

#[test]
fn s_test_sync_up_with_locally_deleted_remotely_updated_records() {
    let mut bench = scripted(Options::default(), "");
    fill(&bench.server, 3);
    bench.app.sync("things", "done");
    bench.app.delete("things", "r01");
    bench.server.patch("things", "r01", &json!({ "name": "edited" }));
    bench.app.sync("things", "done");
    assert_eq!(bench.app.get("things", "r01"), Some(json!({ "n": 1, "name": "edited" })));
    bench.assert_same();
}

#[test]
fn s_test_sync_up_many_locally_created_records() {
    let mut bench = scripted(Options::default(), "");
    for part in 0..2 {
        let writes: Vec<Value> = (0..250)
            .map(|n| json!({ "put": { "collection": "things", "id": format!("m{part}-{n}"), "data": { "n": n } } }))
            .collect();
        bench.app.must("transact", json!({ "writes": writes }));
    }
    bench.app.sync("things", "done");
    assert_eq!(bench.theirs().len(), 500);
    bench.assert_same();
}
