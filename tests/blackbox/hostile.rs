//! Owns: remotes that answer badly: what must come of it, as a person sees it. Must never know: how an answer is read.

use std::time::Duration;

use mingle_tests::{
    rest_server::{Fault, Options, Paging},
    servers::JsonServer,
    trap::{self, Listed, Play, Sent, TrapServer},
    wait::{self, Watch, until},
};
use serde_json::{Value, json};

use crate::bench::{Scripted, assert_same, fill, scripted};

/// The names of what keeps a sync from running.
fn holds(bench: &mut Scripted) -> Vec<String> {
    let explained = bench.app.must("explain", json!({ "sync": "things" }));
    explained["holds"].as_array().expect("holds").iter().filter_map(|hold| Some(hold["name"].as_str()?.to_owned())).collect()
}

#[test]
fn acceptance_09_a_refused_login_is_a_state_with_a_remedy_and_no_more_tries() {
    let mut bench = scripted(Options { bearer: Some("right".into()), ..Options::default() }, "every = \"1s\"\n");
    // The first run is due at once, by the schedule: it fails, and that is the only try.
    until("the refused login", || holds(&mut bench).contains(&"needs_login".to_owned()).then_some(()));
    let row = bench.app.status("things");
    assert_eq!((&row["state"], &row["last"]["status"]), (&json!("blocked"), &json!("failed")), "{row}");
    let status = bench.app.must("status", json!({}));
    let attention = status["attention"].as_array().expect("a list").iter().find(|one| one["name"] == "needs_login");
    assert!(attention.is_some_and(|one| one["hint"].as_str().is_some_and(|hint| !hint.is_empty())), "{status}");
    let tries = bench.server.log().len();
    assert!(tries > 0);
    // Three intervals in which nothing may be asked.
    wait::pass(Duration::from_secs(3));
    assert_eq!(bench.server.log(), Vec::<String>::new(), "an account is not tried again and again");
    // A person may try; it is one try, and says what to do.
    let said = bench.daemon.says(5, &["sync", "things"]);
    assert!(said.contains("login") || said.contains("credentials"), "{said}");
    let tries = bench.server.log().len();
    assert!((1..=4).contains(&tries), "{tries} requests for one try");
    // Once the credentials are good, a person's sync ends the state.
    bench.server.change(|options| options.bearer = None);
    bench.daemon.says(0, &["sync", "things"]);
    assert!(!holds(&mut bench).contains(&"needs_login".to_owned()));
    until("the schedule to go on", || {
        let history = bench.app.must("history", json!({ "sync": "things", "limit": 20 }));
        let done = history["runs"].as_array().expect("runs").iter().filter(|run| run["status"] == "done").count();
        (done >= 2).then_some(())
    });
}

/// What wants a person is told after a start as it was before, and ends as soon as the login is good.
#[test]
fn a_refused_login_is_told_after_a_start_and_until_it_is_taken() {
    let mut bench = scripted(Options { bearer: Some("right".into()), ..Options::default() }, "backoff = { first = \"1h\" }\n");
    let told = |bench: &mut Scripted| {
        let status = bench.app.must("status", json!({}));
        let all = status["attention"].as_array().expect("a list").clone();
        let one = all.into_iter().find(|one| one["name"] == "needs_login")?;
        Some((one["about"].clone(), one["since_at"].as_str()?.parse::<jiff::Timestamp>().ok()?))
    };
    bench.app.sync("things", "failed");
    let before = told(&mut bench).expect("it is told");
    assert_eq!(before.0, "things");
    let ended = jiff::Timestamp::now();
    for killed in [true, false] {
        if killed {
            bench.kill_and_start();
        } else {
            bench.start_again();
        }
        let after = told(&mut bench);
        assert!(
            after.as_ref().is_some_and(|(about, since)| *about == before.0 && *since <= ended),
            "killed: {killed}: {after:?}"
        );
    }
    // A check that finds it good ends it, and what waited for the pause after the failure goes on.
    bench.server.change(|options| options.bearer = None);
    bench.daemon.says(0, &["remote", "check", "far"]);
    until("the run", || (bench.app.status("things")["last"]["status"] == "done").then_some(()));
    assert_eq!(told(&mut bench), None);
    bench.kill_and_start();
    assert_eq!(told(&mut bench), None);
}

#[test]
fn a_record_that_moved_meanwhile_is_fetched_met_and_sent_again() {
    let mut bench = scripted(Options::default(), "");
    bench.app.put("things", "a", &json!({ "v": 1, "w": 1 }));
    bench.app.sync("things", "done");
    bench.app.patch("things", "a", &json!({ "v": 2 }));
    bench.server.next("PUT", Fault::Status(412, Vec::new()));
    bench.app.sync("things", "done");
    assert_eq!(bench.theirs()["a"], json!({ "v": 2, "w": 1 }));
    bench.assert_same();
}

#[test]
fn patience_that_a_server_asks_for_is_never_skipped() {
    let mut bench = scripted(Options::default(), "backoff = { first = \"100ms\", at_most = \"1s\" }\n");
    bench.app.put("things", "a", &json!({ "v": 1 }));
    bench.server.next("GET", Fault::Status(429, vec![("retry-after", "3".into())]));
    let watch = Watch::start();
    let row = bench.app.sync("things", "failed");
    assert_eq!(row["error"]["name"], "throttled", "{row}");
    assert!(holds(&mut bench).contains(&"retry_after".to_owned()));
    let _ = bench.server.log();
    let said = bench.daemon.says(6, &["sync", "things", "--force"]);
    assert!(said.contains("retry") || said.contains("patience") || said.contains("server"), "{said}");
    until("the run that was asked for", || (!bench.server.log().is_empty()).then_some(()));
    let waited = watch.elapsed();
    assert!(waited >= Duration::from_millis(2900), "asked again after {waited:?}");
    until("the record at the remote", || bench.theirs().remove("a"));
}

#[test]
fn errors_of_the_server_back_off_and_double_nothing() {
    for status in [500, 502, 503] {
        let mut bench = scripted(Options::default(), "backoff = { first = \"100ms\", at_most = \"1s\" }\n");
        bench.app.put("things", "a", &json!({ "v": 1 }));
        bench.server.next("GET", Fault::Status(status, Vec::new()));
        let row = bench.app.sync("things", "failed");
        assert!(row["error"]["what"].as_str().is_some_and(|what| what.contains(&status.to_string())), "{row}");
        // The create is done, and its answer is an error: it must not be made twice.
        bench.server.next("PUT", Fault::StatusAfter(status));
        let run = bench.app.run("things");
        let _ = bench.app.ended(&run);
        until("everything settled", || {
            let run = bench.app.run("things");
            let state = bench.app.ended(&run);
            (state == "done" && bench.app.status("things")["pending"] == 0).then_some(())
        });
        let log = bench.server.log();
        assert_eq!(bench.theirs().keys().collect::<Vec<_>>(), ["a"], "{log:#?}");
        bench.assert_same();
    }
}

#[test]
fn a_lost_answer_makes_no_second_record_even_without_ids_of_ours() {
    let mut bench =
        scripted(Options { client_ids: false, ..Options::default() }, "backoff = { first = \"100ms\", at_most = \"1s\" }\n");
    bench.app.put("things", "a", &json!({ "v": 1 }));
    bench.server.next("POST", Fault::CutAfter);
    let run = bench.app.run("things");
    let _ = bench.app.ended(&run);
    until("everything settled", || {
        let run = bench.app.run("things");
        let state = bench.app.ended(&run);
        (state == "done" && bench.app.status("things")["pending"] == 0).then_some(())
    });
    assert_eq!(bench.theirs().values().collect::<Vec<_>>(), [&json!({ "v": 1 })]);
    assert_eq!(bench.app.all("things").len(), 1);
}

#[test]
fn answers_that_are_cut_or_of_the_wrong_type_change_nothing() {
    let bodies = [
        "{\"rows\":[{\"id\":\"r00\",",
        "{\"rows\":{}}",
        "{\"rows\":null}",
        "[]",
        "null",
        "",
        "<html>hello</html>",
        "{\"rows\":[{\"n\":1}]}",
        "{\"rows\":[3]}",
    ];
    let mut bench = scripted(Options::careless(), "");
    fill(&bench.server, 30);
    bench.app.sync("things", "done");
    let before = bench.app.all("things");
    for body in bodies {
        bench.server.next("GET", Fault::Lag(Duration::ZERO));
        bench.server.next("GET", Fault::Body(body.into()));
        let run = bench.app.run("things");
        assert_eq!(bench.app.ended(&run), "failed", "{body}");
        let row = bench.app.row("things", &run);
        assert_eq!(row["error"]["name"], "nonsense", "{body}: {row}");
        assert_eq!(bench.app.all("things"), before, "{body}");
        assert_eq!(bench.app.status("things")["rejections"], 0, "{body}");
    }
    bench.app.sync("things", "done");
    bench.assert_same();
}

#[test]
fn a_listing_that_is_suddenly_empty_deletes_nothing() {
    let mut bench = scripted(Options::careless(), "");
    fill(&bench.server, 30);
    bench.app.sync("things", "done");
    bench.server.next("GET", Fault::Lag(Duration::ZERO));
    bench.server.next("GET", Fault::Body("{\"rows\":[]}".into()));
    let run = bench.app.run("things");
    let _ = bench.app.ended(&run);
    assert_eq!(bench.app.all("things").len(), 30, "they are all still there, and asking by id tells");
    // The next true listing settles whatever was put aside.
    bench.app.sync("things", "done");
    assert_eq!(bench.app.status("things")["rejections"], 0);
    bench.assert_same();
}

/// Deletes beyond the guard's limit wait for a person; `--accept-deletes` takes them.
fn check_mass_delete(options: Options) {
    let mut bench = scripted(options, "");
    fill(&bench.server, 40);
    bench.app.sync("things", "done");
    for n in 0..35 {
        bench.server.delete("things", &format!("r{n:02}"));
    }
    let row = bench.app.sync("things", "done_with_errors");
    let left = bench.app.all("things").len();
    assert_eq!(left, 30, "the larger of 10 and a fifth may go: {row}");
    let mut list = bench.app.must("rejection.list", json!({ "sync": "things" }));
    let rejections = list["rejections"].take();
    let rejections = rejections.as_array().expect("a list");
    assert_eq!(rejections.len(), 25);
    assert!(rejections.iter().all(|one| one["side"] == "delete"), "{rejections:?}");
    assert!(rejections[0]["what"].as_str().is_some_and(|what| what.contains("--accept-deletes")), "{}", rejections[0]);
    let status = bench.app.must("status", json!({}));
    assert!(status["attention"].as_array().is_some_and(|list| list.iter().any(|one| one["name"] == "rejection")), "{status}");
    // They are not sent, and not forgotten by another run.
    let _ = bench.server.log();
    bench.app.sync("things", "done_with_errors");
    let sent: Vec<String> = bench.server.log().into_iter().filter(|line| !line.starts_with("GET")).collect();
    assert_eq!((sent, bench.app.all("things").len()), (Vec::new(), 30));
    bench.daemon.says(5, &["sync", "things"]);
    bench.daemon.says(0, &["sync", "things", "--accept-deletes"]);
    assert_eq!(bench.app.all("things").len(), 5);
    bench.assert_same();
    bench.app.sync("things", "done");
}

#[test]
fn many_tombstones_at_once_wait_for_a_person() {
    check_mass_delete(Options::default());
}

#[test]
fn many_records_missing_at_once_wait_for_a_person() {
    check_mass_delete(Options::careless());
}

/// The limit is a share of what was there when the run began, however many pages the deletes come on.
#[test]
fn a_fifth_of_many_records_may_go_and_no_more() {
    let mut bench = scripted(Options { page_rows: 8, ..Options::default() }, "");
    fill(&bench.server, 100);
    bench.app.sync("things", "done");
    for n in 0..35 {
        bench.server.delete("things", &format!("r{n:02}"));
    }
    bench.app.sync("things", "done_with_errors");
    assert_eq!(bench.app.all("things").len(), 80);
    bench.daemon.says(0, &["sync", "things", "--accept-deletes"]);
    bench.assert_same();
}

/// What a person let drop stays as it is until a side changes, whatever else is accepted later.
fn check_dropped_delete(options: Options) {
    let mut bench = scripted(options, "");
    fill(&bench.server, 40);
    bench.app.sync("things", "done");
    for n in 0..35 {
        bench.server.delete("things", &format!("r{n:02}"));
    }
    bench.app.sync("things", "done_with_errors");
    let list = bench.app.must("rejection.list", json!({ "sync": "things" }));
    let some: Vec<(String, String)> = list["rejections"].as_array().expect("a list")[..2]
        .iter()
        .map(|one| [&one["rejection"], &one["id"]].map(|text| text.as_str().expect("a text").to_owned()).into())
        .collect();
    for (rejection, _) in &some {
        bench.app.must("rejection.resolve", json!({ "rejection": rejection, "with": "drop" }));
    }
    bench.daemon.says(0, &["sync", "things", "--accept-deletes"]);
    assert_eq!(bench.app.all("things").len(), 5 + 2, "all but those that were let drop");
    // Also where everything is shown again.
    bench.daemon.says(0, &["sync", "things", "--mode", "slow", "--accept-deletes"]);
    let (truth, theirs) = (bench.app.all("things"), bench.theirs());
    assert_eq!((truth.len(), theirs.len()), (5 + 2, 5));
    // A side changes: that one is sent again, the other stays.
    bench.app.patch("things", &some[0].1, &json!({ "edited": true }));
    bench.app.sync("things", "done");
    let there = bench.theirs().into_values().filter(|record| record["edited"] == true).count();
    assert_eq!((there, bench.theirs().len(), bench.app.all("things").len()), (1, 6, 7));
}

#[test]
fn a_dropped_delete_outlasts_a_later_accept_with_tombstones() {
    check_dropped_delete(Options::default());
}

#[test]
fn a_dropped_delete_outlasts_a_later_accept_without() {
    check_dropped_delete(Options::careless());
}

#[test]
fn a_page_that_is_too_large_is_asked_for_with_fewer_rows() {
    // 9 MB on one page, which is more than one answer may have; and pages that are counted, so that the place of one depends on
    // how many rows all others have.
    let mut bench = scripted(Options { paging: Paging::Number, ..Options::default() }, "");
    for n in 0..10 {
        bench.server.put("things", &format!("r{n:02}"), &json!({ "n": n, "text": "x".repeat(900_000) }));
    }
    bench.app.sync("things", "done");
    let asked: Vec<String> = bench.server.log().into_iter().filter(|line| line.starts_with("GET things?")).collect();
    assert!(asked.iter().any(|line| line.contains("rows=100")) && asked.iter().any(|line| line.contains("rows=50")), "{asked:?}");
    assert!(asked.len() <= 8, "{asked:?}");
    let brought = bench.app.must("history", json!({ "sync": "things", "limit": 1 }))["runs"][0]["down"].clone();
    assert_eq!(brought, 10);
}

#[test]
fn guarded_deletes_can_be_taken_back_or_sent_again_one_by_one() {
    let mut bench = scripted(Options::default(), "");
    fill(&bench.server, 40);
    bench.app.sync("things", "done");
    for n in 0..13 {
        bench.server.delete("things", &format!("r{n:02}"));
    }
    bench.app.sync("things", "done_with_errors");
    let list = bench.app.must("rejection.list", json!({ "sync": "things" }));
    let ids: Vec<(String, String)> = list["rejections"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| (one["rejection"].as_str().expect("an id").to_owned(), one["id"].as_str().expect("a record").to_owned()))
        .collect();
    assert_eq!(ids.len(), 3, "{list}");
    bench.daemon.says(0, &["rejection", "resolve", &ids[0].0, "--with", "rollback"]);
    bench.daemon.says(0, &["rejection", "resolve", &ids[1].0, "--with", "recreate"]);
    bench.daemon.says(0, &["rejection", "resolve", &ids[2].0, "--with", "retry"]);
    until("all of them settled", || {
        let run = bench.app.run("things");
        let _ = bench.app.ended(&run);
        (bench.app.status("things")["rejections"] == 0 && bench.app.status("things")["pending"] == 0).then_some(())
    });
    assert_eq!(bench.app.get("things", &ids[0].1), None, "rollback takes the delete");
    assert!(bench.app.get("things", &ids[1].1).is_some(), "recreate keeps the record");
    assert!(bench.theirs().len() == 28 || bench.theirs().len() == 29, "and sends it: {}", bench.theirs().len());
    bench.assert_same();
}

#[test]
fn records_missing_at_a_plain_server_are_asked_for_before_they_go() {
    let server = JsonServer::shared();
    let list = server.empty_list();
    for n in 0..30 {
        server.put(&list, &format!("p{n:02}"), &json!({ "n": n }));
    }
    let config = format!(
        "[remote.mock]\nkind = \"rest\"\nprofile = \"json-server\"\nurl = \"{}\"\n\n[sync.posts]\ncollection = \"posts\"\nremote = \"mock\"\n\
         resource = \"{list}\"\ndirection = \"both\"\non_start = false\non_change = false\n",
        server.url
    );
    let daemon = mingle_tests::daemon::Daemon::with(&config);
    let mut app = daemon.app("tester");
    app.sync("posts", "done");
    assert_eq!(app.all("posts").len(), 30);
    for n in 0..3 {
        server.delete(&list, &format!("p{n:02}"));
    }
    app.put("posts", "p05", &json!({ "n": "ours" }));
    app.must("put", json!({ "collection": "posts", "id": "p99", "data": { "n": "new" } }));
    app.sync("posts", "done");
    assert_eq!(app.all("posts").len(), 28);
    let theirs = server.list(&list);
    assert_eq!(theirs["p05"], json!({ "n": "ours" }));
    assert_eq!(theirs.len(), 28);
    assert_eq!(theirs.values().filter(|row| **row == json!({ "n": "new" })).count(), 1);
    let row = app.sync("posts", "done");
    assert_eq!((&row["up"], &row["down"]), (&json!(0), &json!(0)), "{row}");
    let truth = app.all("posts").into_values().map(|row| (row.to_string(), row)).collect();
    assert_same(&truth, &theirs.into_values().map(|row| (row.to_string(), row)).collect());
}

/// Every trap of the harness, met by the whole daemon: the run ends, nothing changes, the daemon goes on.
#[test]
fn no_trap_of_http_breaks_the_daemon_or_changes_a_record() {
    // These wait for the daemon's own patience; conformance meets them with less of it.
    let slow = ["nothing at all", "half a head", "half a body", "a byte now and then", "large", "compressed, and large"];
    let home = mingle_tests::daemon::Home::new(None);
    trap::write_profile(&home.config_dir());
    let traps: Vec<_> = trap::traps().into_iter().filter(|trap| !slow.contains(&trap.name)).collect();
    let servers: Vec<TrapServer> = traps.iter().map(|trap| TrapServer::start(trap.play.clone())).collect();
    let mut config = String::new();
    for (n, server) in servers.iter().enumerate() {
        config += &format!(
            "[remote.r{n}]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n[sync.s{n}]\ncollection = \"c{n}\"\nremote = \"r{n}\"\n\
             resource = \"things\"\ndirection = \"both\"\non_start = false\non_change = false\n",
            trap::PROFILE,
            server.url
        );
    }
    home.configure(&config);
    let daemon = home.start();
    let mut app = daemon.app("tester");
    for (n, trap) in traps.iter().enumerate() {
        app.put(&format!("c{n}"), "kept", &json!({ "v": n }));
        let run = app.run(&format!("s{n}"));
        let state = app.ended(&run);
        let listed = matches!(trap.list, Listed::Rows(_));
        assert!(listed || state == "failed", "{}: {state}", trap.name);
        let row = app.row(&format!("s{n}"), &run);
        if state == "failed" {
            assert!(row["error"]["what"].as_str().is_some_and(|what| !what.is_empty()), "{}: {row}", trap.name);
        }
        // A change that was taken is met in the form that the answer has.
        if trap.send != Sent::Taken {
            assert_eq!(app.get(&format!("c{n}"), "kept"), Some(json!({ "v": n })), "{}", trap.name);
        }
    }
    assert!(servers.iter().all(|server| !server.requests().is_empty()));
}

#[test]
fn a_server_without_end_is_given_up_at_a_deadline() {
    let home = mingle_tests::daemon::Home::new(None);
    trap::write_profile(&home.config_dir());
    let server = TrapServer::start(vec![
        Play::Send(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 999999\r\n\r\n".to_vec()),
        Play::Trickle(Duration::from_millis(40)),
    ]);
    home.configure(&format!(
        "[remote.r]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n[sync.s]\ncollection = \"c\"\nremote = \"r\"\nresource = \"things\"\n\
         direction = \"down\"\non_start = false\ndeadline = \"1s\"\n",
        trap::PROFILE,
        server.url
    ));
    let daemon = home.start();
    let mut app = daemon.app("tester");
    let watch = Watch::start();
    let run = app.run("s");
    let state = app.ended(&run);
    let row: Value = app.row("s", &run);
    assert!(watch.elapsed() < Duration::from_secs(10), "{:?}", watch.elapsed());
    assert_eq!((state.as_str(), &row["stop_reason"]), ("stopped", &json!("timeout")), "{row}");
}
