//! Owns: acceptance tests that come from real defects of five older systems, by their number. Others of that list stand where their
//! subject is: 9 in `hostile`, 19 in `bad_input`. Must never know: how the defects came about.

use std::time::Duration;

use mingle_tests::{
    rest_server::{Fault, Options},
    wait::{until, until_within},
};
use serde_json::{Value, json};

use crate::bench::{fill, scripted};

#[test]
fn acceptance_02_a_restart_while_stopping_ends_running() {
    let mut bench = scripted(Options::default(), "");
    fill(&bench.server, 10);
    bench.server.next("GET", Fault::HangBefore);
    bench.app.run("things");
    until("the request that hangs", || (!bench.server.log().is_empty()).then_some(()));
    bench.app.must("stop", json!({}));
    let answer = bench.app.must("restart", json!({ "resync_stopped": true }));
    assert_eq!(answer["state"], "running", "{answer}");
    until("all records", || {
        let got = bench.app.ask("list", &json!({ "collection": "things" })).expect("an answer").ok()?;
        (got["records"].as_array()?.len() == 10).then_some(())
    });
    bench.assert_same();
}

#[test]
fn acceptance_03_a_kill_in_the_middle_of_a_batch_loses_and_doubles_nothing() {
    let mut bench = scripted(Options { page_rows_max: 100, ..Options::default() }, "");
    fill(&bench.server, 100);
    for n in 100..2000 {
        bench.server.put("things", &format!("r{n}"), &json!({ "n": n }));
    }
    let run = bench.app.run("things");
    let mut kills = 0;
    loop {
        // As soon as some of it is there, and not all.
        let there = until("some records", || {
            let seq = bench.app.must("status", json!({}))["seq"].as_u64()?;
            (seq > kills * 300).then_some(seq)
        });
        if there >= 2000 || kills == 5 {
            break;
        }
        bench.kill_and_start();
        kills += 1;
    }
    assert!(kills > 0, "never killed in the middle");
    until("all records", || (bench.app.must("status", json!({}))["seq"].as_u64()? >= 2000).then_some(()));
    until("the end of the run", || (bench.app.status("things")["state"] == "waiting").then_some(()));
    assert_eq!(bench.app.row("things", &run)["stop_reason"], "crash");
    bench.assert_same();
    let seq = bench.app.must("status", json!({}))["seq"].clone();
    assert_eq!(seq, 2000, "each record was written once");
}

/// Whatever becomes of an answer, a repeat doubles nothing.
#[test]
fn acceptance_04_a_lost_answer_of_an_upload_is_repeated_without_a_double() {
    for (client_ids, fault) in
        [(true, Fault::CutAfter), (false, Fault::CutAfter), (true, Fault::HangAfter), (false, Fault::HangAfter)]
    {
        let mut bench =
            scripted(Options { client_ids, ..Options::default() }, "backoff = { first = \"50ms\", at_most = \"1s\" }\n");
        bench.app.put("things", "a", &json!({ "v": 1 }));
        let method = if client_ids { "PUT" } else { "POST" };
        bench.server.next(method, fault.clone());
        let run = bench.app.run("things");
        until("the record at the service", || (bench.theirs().len() == 1).then_some(()));
        if fault == Fault::HangAfter {
            // The answer never comes: a kill is the worst that can happen now.
            bench.kill_and_start();
        } else {
            let _ = bench.app.ended(&run);
        }
        until("everything settled", || {
            let run = bench.app.run("things");
            let state = bench.app.ended(&run);
            (state == "done" && bench.app.status("things")["pending"] == 0).then_some(())
        });
        assert_eq!(bench.theirs().len(), 1, "{client_ids} {fault:?}");
        assert_eq!(bench.app.all("things").len(), 1, "{client_ids} {fault:?}");
    }
}

#[test]
fn acceptance_05_an_edit_while_an_upload_is_in_flight_stays_pending() {
    let mut bench = scripted(Options::default(), "");
    bench.app.put("things", "a", &json!({ "v": 1 }));
    bench.server.next("PUT", Fault::Lag(Duration::from_millis(700)));
    let run = bench.app.run("things");
    until("the upload to be in flight", || bench.server.log().iter().any(|line| line.starts_with("PUT")).then_some(()));
    bench.app.patch("things", "a", &json!({ "v": 2 }));
    assert_eq!(bench.app.ended(&run), "done");
    until("the edit at the service", || {
        let run = bench.app.run("things");
        let _ = bench.app.ended(&run);
        (bench.theirs()["a"]["v"] == 2).then_some(())
    });
    assert_eq!(bench.app.get("things", "a"), Some(json!({ "v": 2 })), "the old answer does not undo the edit");
    bench.assert_same();
}

#[test]
fn acceptance_07_and_08_a_bad_record_is_listed_stays_visible_and_stalls_nobody() {
    let mut bench = scripted(Options::default(), "");
    bench.server.put("things", "r1", &json!({ "n": 1 }));
    bench.server.put("things", "big", &json!({ "text": "x".repeat(2 << 20) }));
    bench.server.put("things", "r2", &json!({ "n": 2 }));
    let row = bench.app.sync("things", "done_with_errors");
    assert_eq!(bench.app.all("things").into_keys().collect::<Vec<_>>(), ["r1", "r2"], "{row}");
    for kill in [false, true] {
        if kill {
            bench.kill_and_start();
        }
        let list = bench.app.must("rejection.list", json!({ "sync": "things" }));
        let one = &list["rejections"][0];
        assert_eq!((&one["side"], &one["remote_id"]), (&json!("down"), &json!("big")), "{list}");
        assert_eq!(bench.app.status("things")["rejections"], 1);
    }
    bench.daemon.says(5, &["sync", "things"]);
    // Put right at the remote, it comes by itself.
    bench.server.put("things", "big", &json!({ "text": "small" }));
    bench.app.sync("things", "done");
    assert_eq!(bench.app.status("things")["rejections"], 0);
    bench.assert_same();
}

#[test]
fn acceptance_10_and_12_progress_never_lies() {
    let mut bench = scripted(Options { page_rows_max: 50, ..Options::default() }, "");
    let mut watcher = bench.daemon.app("watcher");
    watcher.must("subscribe", json!({ "topics": ["run"], "collections": [], "initial": false }));
    // Nothing to do is done, not zero percent.
    let run = bench.app.run("things");
    assert_eq!(bench.app.ended(&run), "done");
    for n in 0..500 {
        bench.server.put("things", &format!("r{n}"), &json!({ "n": n }));
    }
    let run = bench.app.run("things");
    let mut last: std::collections::BTreeMap<String, u64> = std::collections::BTreeMap::new();
    let mut steps = 0;
    loop {
        let event = watcher.hear("an event of the run", |message| message["params"]["run"] == json!(run));
        let params = &event["params"];
        if params["step"] == "finished" {
            assert_eq!(params["status"], "done", "{event}");
            break;
        }
        if let (Some(phase), Some(done)) = (params["phase"].as_str(), params["done"].as_u64()) {
            steps += 1;
            assert!(params["total"].as_u64().is_none_or(|total| done <= total), "{event}");
            let before = last.insert(phase.to_owned(), done).unwrap_or(0);
            assert!(done >= before, "{done} after {before}: {event}");
        }
    }
    assert!(steps > 0);
}

#[test]
fn acceptance_11_a_stop_is_told_to_who_listens() {
    let mut bench = scripted(Options::default(), "");
    fill(&bench.server, 3);
    bench.server.next("GET", Fault::HangBefore);
    let run = bench.app.run("things");
    let mut watcher = bench.daemon.app("watcher");
    watcher.must("subscribe", json!({ "topics": ["run", "sync"], "collections": [], "initial": false }));
    let mut waiter = bench.daemon.app("waiter");
    let waiting = waiter.send("wait", &json!({ "run": run, "timeout_ms": 30_000 })).expect("a call");
    bench.app.must("stop", json!({}));
    watcher
        .hear("the end of the run", |message| message["params"]["step"] == "finished" && message["params"]["run"] == json!(run));
    watcher.hear("stopped", |message| message["params"]["topic"] == "sync" && message["params"]["daemon"] == "stopped");
    assert_eq!(waiter.answer(waiting).expect("an answer").expect("an end")["state"], "stopped");
}

#[test]
fn acceptance_15_no_runs_overlap_however_long_one_takes() {
    let mut bench = scripted(Options::default(), "every = \"1s\"\n");
    // Runs that take longer than their interval, and requests on top.
    for _ in 0..6 {
        bench.server.next("GET", Fault::Lag(Duration::from_millis(900)));
    }
    let asked: Vec<String> = (0..5).map(|_| bench.app.run("things")).collect();
    for run in &asked {
        assert_eq!(bench.app.ended(run), "done");
    }
    until("some runs", || {
        let history = bench.app.must("history", json!({ "sync": "things" }));
        (history["runs"].as_array()?.iter().filter(|run| run["status"] == "done").count() >= 4).then_some(())
    });
    let history = bench.app.must("history", json!({ "sync": "things" }));
    let mut spans: Vec<(String, String)> = history["runs"]
        .as_array()
        .expect("runs")
        .iter()
        .filter_map(|run| Some((run["started_at"].as_str()?.to_owned(), run["ended_at"].as_str()?.to_owned())))
        .collect();
    spans.sort();
    for pair in spans.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "two runs at once: {pair:?}");
    }
}

#[test]
fn acceptance_17_stop_is_fine_when_idle_and_twice() {
    let mut bench = scripted(Options::default(), "");
    let first = bench.app.must("stop", json!({}));
    assert_eq!((&first["state"], &first["runs"]), (&json!("stopped"), &json!([])), "{first}");
    let since = bench.app.must("status", json!({}))["since_at"].clone();
    let second = bench.app.must("stop", json!({}));
    assert_eq!(second["state"], "stopped", "{second}");
    assert_eq!(bench.app.must("status", json!({}))["since_at"], since, "since when is the first stop");
    bench.daemon.says(0, &["stop"]);
    // Apps go on.
    bench.app.put("things", "a", &json!({ "v": 1 }));
    assert_eq!(bench.app.get("things", "a"), Some(json!({ "v": 1 })));
    bench.daemon.says(6, &["sync", "things"]);
    bench.daemon.says(0, &["restart"]);
    bench.daemon.says(0, &["restart"]);
    bench.daemon.says(0, &["sync", "things"]);
    bench.assert_same();
}

#[test]
fn acceptance_16_a_filter_that_cannot_be_meant_is_refused() {
    let mut bench = scripted(Options::default(), "");
    bench.app.put("things", "a", &json!({ "n": 1 }));
    for condition in [json!({ "n": { "over": 1 } }), json!([]), json!("n > 1"), json!({ "n": { "in": 3 } })] {
        bench.app.refused("invalid", "list", json!({ "collection": "things", "where": condition }));
    }
}

#[test]
fn acceptance_22_explain_names_what_holds_a_sync() {
    let mut bench = scripted(Options::default(), "");
    let name = |bench: &mut crate::bench::Scripted| {
        let explained = bench.app.must("explain", json!({ "sync": "things" }));
        assert!(explained["text"].as_str().is_some_and(|text| !text.is_empty()), "{explained}");
        explained["holds"][0]["name"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(name(&mut bench), "trigger");
    bench.app.must("sync.pause", json!({ "sync": "things" }));
    assert_eq!(name(&mut bench), "paused");
    bench.app.refused("stopped", "sync.run", json!({ "sync": "things" }));
    // It ended no run, so none comes back: the schedule goes on.
    let resumed = bench.app.must("sync.resume", json!({ "sync": "things" }));
    assert_eq!(resumed["state"], "waiting");
    bench.app.must("stop", json!({}));
    until("the stop", || (bench.app.must("status", json!({}))["state"] == "stopped").then_some(()));
    assert_eq!(name(&mut bench), "stopped");
    bench.app.must("restart", json!({}));
    bench.server.next("GET", Fault::Status(500, Vec::new()));
    let run = bench.app.run("things");
    let _ = bench.app.ended(&run);
    let said = bench.daemon.says(0, &["explain", "things"]);
    assert!(said.contains("500"), "{said}");
}

#[test]
fn acceptance_25_records_with_one_time_across_a_page_border_all_come() {
    // Stamps are whole milliseconds here, and these are written within one or two.
    for token in [true, false] {
        let mut bench = scripted(Options { token, tombstones: token, page_rows_max: 7, ..Options::default() }, "");
        fill(&bench.server, 60);
        bench.app.sync("things", "done");
        for n in 0..60 {
            bench.server.patch("things", &format!("r{n:02}"), &json!({ "again": n }));
        }
        bench.app.sync("things", "done");
        bench.assert_same();
    }
}

#[test]
fn a_paused_sync_stays_paused_over_a_kill_and_others_run() {
    let second = "[sync.second]\ncollection = \"others\"\nremote = \"far\"\nresource = \"others\"\ndirection = \"down\"\non_start = false\n";
    let mut bench = scripted(Options::default(), second);
    bench.server.next("GET", Fault::HangBefore);
    let cut = bench.app.run("things");
    until("the request that hangs", || (!bench.server.log().is_empty()).then_some(()));
    bench.app.must("sync.pause", json!({ "sync": "things" }));
    let explained = bench.app.must("explain", json!({ "sync": "things" }));
    assert_eq!(explained["holds"][0]["name"], "paused", "while its run is ending, too: {explained}");
    assert_eq!(bench.app.ended(&cut), "stopped");
    assert_eq!(bench.app.status("things")["state"], "disabled", "who was told of the pause sees it");
    bench.kill_and_start();
    assert_eq!(bench.app.status("things")["state"], "disabled");
    bench.app.sync("second", "done");
    bench.app.must("sync.resume", json!({ "sync": "things" }));
    until("the run that the pause ended", || {
        let history = bench.app.must("history", json!({ "sync": "things" }));
        history["runs"].as_array()?.iter().any(|run| run["status"] == "done").then_some(())
    });
}

#[test]
fn sigterm_ends_a_run_at_a_safe_point_and_the_next_start_goes_on() {
    let mut bench = scripted(Options { page_rows_max: 1, ..Options::default() }, "");
    fill(&bench.server, 10);
    // A greeting, a place to go on from later, five pages.
    for _ in 0..7 {
        bench.server.next("GET", Fault::Lag(Duration::ZERO));
    }
    bench.server.next("GET", Fault::HangBefore);
    let run = bench.app.run("things");
    until("half of the records", || (bench.app.must("status", json!({}))["seq"] == 5).then_some(()));
    let (status, took) = bench.daemon.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(!bench.daemon.socket().exists(), "the socket goes with its daemon");
    bench.daemon.start();
    bench.app = bench.daemon.app("tester");
    let row = bench.app.row("things", &run);
    assert_eq!((&row["status"], &row["stop_reason"]), (&json!("stopped"), &json!("shutdown")), "{row}");
    until("the run that goes on by itself", || (bench.app.must("status", json!({}))["seq"] == 10).then_some(()));
    bench.assert_same();
}

#[test]
fn writes_and_reads_go_on_while_a_run_hangs() {
    let mut bench = scripted(Options::default(), "");
    bench.server.next("GET", Fault::HangBefore);
    bench.app.run("things");
    for n in 0..100 {
        bench.app.put("things", "a", &json!({ "n": n }));
        assert_eq!(bench.app.get("things", "a"), Some(json!({ "n": n })));
    }
    let row: Value = bench.app.status("things");
    assert_eq!(row["state"], "running", "{row}");
    bench.app.must("stop", json!({}));
    until_within("the stop", Duration::from_secs(2), || {
        (bench.app.must("status", json!({}))["state"] == "stopped").then_some(())
    });
}
