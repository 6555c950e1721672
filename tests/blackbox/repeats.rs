//! Owns: creates that are repeated under a key, and changes that go out together, as a person sees them. Must never know: how a key is kept.

use mingle_tests::{
    rest_server::{Fault, Options, tidies},
    wait::until,
};
use serde_json::json;

use crate::bench::{Scripted, scripted};

const HASTY: &str = "backoff = { first = \"50ms\", at_most = \"1s\" }\n";

fn keyed(more: Options) -> Scripted {
    scripted(Options { client_ids: false, keys: true, ..more }, HASTY)
}

/// Makes a record whose create is done, and whose answer is lost by this.
fn lose_a_create(bench: &mut Scripted, fault: &Fault) {
    bench.app.put("things", "a", &json!({ "name": " Mine " }));
    // Asked three times in vain, a run gives up.
    let times = if *fault == Fault::HangAfter { 1 } else { 3 };
    (0..times).for_each(|_| bench.server.next("POST", fault.clone()));
    let run = bench.app.run("things");
    until("the record at the service", || (bench.theirs().len() == 1).then_some(()));
    if *fault == Fault::HangAfter {
        bench.kill_and_start();
    } else {
        assert_eq!(bench.app.ended(&run), "failed");
    }
}

fn settle(bench: &mut Scripted) {
    until("everything settled", || {
        let run = bench.app.run("things");
        let end = bench.app.ended(&run);
        (end == "done" && bench.app.status("things")["pending"] == 0).then_some(())
    });
}

#[test]
fn a_lost_create_is_told_from_a_colleagues_record_that_looks_the_same() {
    for fault in [Fault::CutAfter, Fault::HangAfter] {
        let mut bench = keyed(Options { normalise: tidies, ..Options::default() });
        lose_a_create(&mut bench, &fault);
        // What the service made of ours looks like nothing that we sent, and a colleague made one that does.
        bench.server.put("things", "theirs", &json!({ "name": " Mine " }));
        let _ = bench.server.log();
        settle(&mut bench);
        let log = bench.server.log();
        let repeated = log.iter().position(|line| line == "POST things").expect("a repeat");
        let listed = log.iter().position(|line| line.starts_with("GET things?rows=100")).expect("a listing");
        assert!(repeated < listed, "before anything is listed: {log:?}");
        assert_eq!((bench.theirs().len(), bench.app.all("things").len()), (2, 2), "{log:?}");
        assert_eq!(bench.app.get("things", "a").expect("ours")["name"], "mine", "the answer's own form");
        assert_eq!(bench.app.must("rejection.list", json!({}))["rejections"], json!([]));
        // It is one and the same from now on.
        bench.app.patch("things", "a", &json!({ "name": "changed" }));
        settle(&mut bench);
        let names: Vec<_> = bench.theirs().into_values().map(|record| record["name"].clone()).collect();
        assert!(names.contains(&json!("changed")) && names.len() == 2, "{names:?}");
    }
}

#[test]
fn one_lost_answer_is_asked_for_again_at_once() {
    let mut bench = keyed(Options { normalise: tidies, ..Options::default() });
    bench.app.put("things", "a", &json!({ "name": " Mine " }));
    bench.server.next("POST", Fault::CutAfter);
    bench.app.sync("things", "done");
    assert_eq!((bench.theirs().len(), bench.app.status("things")["pending"].as_u64()), (1, Some(0)));
    assert_eq!(bench.app.get("things", "a").as_ref(), bench.theirs().values().next());
}

#[test]
fn what_was_deleted_here_meanwhile_is_not_made_again() {
    let mut bench = keyed(Options::default());
    lose_a_create(&mut bench, &Fault::CutAfter);
    bench.app.delete("things", "a");
    settle(&mut bench);
    assert_eq!((bench.theirs().len(), bench.app.all("things").len()), (0, 0));
}

#[test]
fn a_key_means_nothing_in_another_history() {
    let mut bench = keyed(Options::default());
    bench.app.put("things", "old", &json!({ "name": "old" }));
    settle(&mut bench);
    bench.app.put("things", "a", &json!({ "name": "mine" }));
    (0..3).for_each(|_| bench.server.next("POST", Fault::CutAfter));
    let run = bench.app.run("things");
    assert_eq!(bench.app.ended(&run), "failed");
    bench.server.forget();
    settle(&mut bench);
    assert_eq!((bench.theirs().len(), bench.app.all("things").len()), (2, 2), "both are made there again, once");
}

#[test]
fn an_answer_that_names_another_record_here_is_left_to_a_person() {
    let mut bench = scripted(Options { client_ids: false, ..Options::default() }, HASTY);
    bench.server.put("things", "x", &json!({ "name": "theirs" }));
    bench.app.sync("things", "done");
    bench.app.put("things", "a", &json!({ "name": "mine" }));
    let row = json!({ "row": { "id": "x", "rev": 1, "at": 1, "name": "theirs" } });
    bench.server.next("POST", Fault::Body(row.to_string()));
    bench.app.sync("things", "done_with_errors");
    let said = bench.daemon.says(0, &["rejection", "list"]);
    assert!(said.contains("another record here"), "{said}");
    assert_eq!(bench.app.get("things", "a"), Some(json!({ "name": "mine" })), "nothing is lost");
    assert_eq!(bench.app.get("things", "x"), Some(json!({ "name": "theirs" })));
}

#[test]
fn changes_go_out_together_and_a_lost_answer_doubles_none() {
    let mut bench = scripted(Options { batches: 10, ..Options::default() }, HASTY);
    for at in 0..40 {
        bench.app.put("things", &format!("n{at:02}"), &json!({ "v": at }));
    }
    bench.server.next("POST", Fault::CutAfter);
    let run = bench.app.run("things");
    assert_eq!(bench.app.ended(&run), "done", "one lost answer ends no run");
    settle(&mut bench);
    assert_eq!(bench.theirs().len(), 40);
    bench.assert_same();
    let changes = bench.server.log().into_iter().filter(|line| !line.starts_with("GET")).count();
    assert!(changes <= 5, "{changes} requests for forty records");
    // One by one, each as it deserves: one moved, one is refused, one is gone, one goes.
    for (at, v) in [(0, json!("ours")), (1, json!("fine"))] {
        bench.app.patch("things", &format!("n{at:02}"), &json!({ "v": v }));
    }
    bench.app.patch("things", "n02", &json!({ "refuse": true }));
    bench.app.delete("things", "n03");
    bench.server.patch("things", "n00", &json!({ "w": "theirs" }));
    bench.app.sync("things", "done_with_errors");
    let theirs = bench.theirs();
    assert_eq!(theirs["n00"], json!({ "v": "ours", "w": "theirs" }));
    assert_eq!((&theirs["n01"]["v"], theirs.get("n03")), (&json!("fine"), None));
    assert_eq!(theirs["n02"], json!({ "v": 2 }), "what is refused is refused alone");
}
