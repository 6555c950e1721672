//! Owns: services whose answers are good HTTP and bad manners: what they say of logins, patience, places, ids, pages and clocks.
//! Must never know: how an answer is read.

use std::time::Duration;

use mingle_tests::{
    daemon::Home,
    proxy::{Fault as Between, When},
    rest_server::{Fault, Options, Paging},
    trackers::{self, GitHub},
    wait::until,
    wire::response,
};
use serde_json::{Value, json};

use super::{Bench, QUIET, bench};

/// The wait that a sync is held for, in milliseconds from now; none: it is not held for one.
fn patience(bench: &mut Bench) -> Option<String> {
    let explained = bench.app.must("explain", json!({ "sync": "things" }));
    let hold = explained["holds"].as_array().expect("holds").iter().find(|hold| hold["name"] == "retry_after")?.clone();
    hold["until_at"].as_str().map(str::to_owned)
}

/// What a service says of when to come back holds over a kill, to the same moment, and is never longer than an hour.
#[test]
fn patience_outlives_the_daemon() {
    for (status, after, held) in [
        (429, Some("600"), true),
        (503, Some("600"), true),
        (503, Some("10000000000000000000"), true),
        (429, Some("Thu, 01 Jan 2099 00:00:00 GMT"), true),
        (429, Some("Thu, 01 Jan 1970 00:00:00 GMT"), false),
        (429, Some("-1"), false),
        (429, Some("NaN"), false),
        (429, None, false),
    ] {
        let mut bench = bench(Options::default(), "");
        bench.app.put("things", "a", &json!({ "v": 1 }));
        let headers = after.map(|after| ("retry-after", after.to_owned())).into_iter().collect();
        bench.server.next("GET", Fault::Status(status, headers));
        assert_eq!(bench.run(), "failed", "{status} {after:?}");
        let told = patience(&mut bench);
        assert_eq!(told.is_some(), held, "{status} {after:?}: {told:?}");
        let _ = bench.server.log();
        bench.kill_and_start();
        assert_eq!(patience(&mut bench), told, "{status} {after:?}");
        if held {
            // Nobody passes it, and nobody is asked.
            let run = bench.app.run("things");
            let waited = bench.app.must("wait", json!({ "run": run, "timeout_ms": 300 }));
            assert_eq!(waited["state"], "pending", "{waited}");
            assert_eq!(bench.server.log(), Vec::<String>::new());
            bench.daemon.terminate();
            bench.daemon.start();
            bench.app = bench.daemon.app("tester");
            assert_eq!(patience(&mut bench), told, "also where what was asked for never began");
        } else {
            bench.settle();
        }
    }
}

#[test]
fn a_login_that_runs_out_half_way_goes_on_where_it_was() {
    let mut bench = bench(Options { page_rows_max: 5, ..Options::default() }, "");
    bench.fill(40);
    bench.app.put("things", "ours", &json!({ "v": 1 }));
    for _ in 0..5 {
        bench.server.next("GET", Fault::Lag(Duration::ZERO));
    }
    bench.server.next("GET", Fault::Status(401, Vec::new()));
    assert_eq!(bench.run(), "failed");
    assert_eq!(bench.app.status("things")["last"]["error"]["name"], "needs_login");
    let there = bench.app.all("things").len();
    assert!((16..41).contains(&there), "{there} records came before the login ran out");
    assert_eq!(bench.app.status("things")["pending"], 1, "what is to be sent is kept");
    let _ = bench.server.log();
    bench.kill_and_start();
    bench.settle();
    let pages = bench.server.log().iter().filter(|line| line.starts_with("GET things?")).count();
    assert!(pages <= 8, "{pages} pages: it began anew");
    assert_eq!(bench.server.rows("things").len(), 41);
}

/// One listing from the start in each run, and not one more; nothing is deleted.
#[test]
fn a_place_that_is_refused_every_time_costs_one_listing_a_run() {
    let mut bench = bench(Options::default(), "");
    bench.fill(30);
    bench.settle();
    for round in 0..4 {
        bench.app.patch("things", "r03", &json!({ "ours": round }));
        let _ = bench.server.log();
        let since = if round % 2 == 0 { 410 } else { 400 };
        for _ in 0..2 {
            bench.server.next("GET", Fault::Lag(Duration::ZERO));
        }
        bench.server.next("GET", Fault::Status(since, Vec::new()));
        assert_eq!(bench.run(), "done");
        bench.assert_same();
        let log = bench.server.log();
        let listings = log.iter().filter(|line| line.starts_with("GET things?")).count();
        assert!(listings <= 3, "{log:?}");
        assert_eq!(bench.app.all("things").len(), 30);
    }
}

#[test]
fn a_service_that_lost_its_data_empties_nothing_here() {
    let mut bench = bench(Options::default(), "");
    bench.fill(30);
    bench.settle();
    bench.app.patch("things", "r03", &json!({ "ours": 1 }));
    bench.server.forget();
    assert_eq!(bench.run(), "failed");
    let status = bench.app.status("things");
    assert_eq!((&status["last"]["error"]["name"], bench.app.all("things").len()), (&json!("epoch"), 30), "{status}");
    bench.kill_and_start();
    assert_eq!(bench.server.rows("things").len(), 0, "it is not filled unasked");
    // A person says so: everything that is here goes there, the edit too.
    bench.daemon.says(0, &["sync", "things", "--force"]);
    bench.settle();
    assert_eq!((bench.server.rows("things").len(), &bench.server.rows("things")["r03"]["ours"]), (30, &json!(1)));
}

/// Ids are anything but a way out: each is its own record, under its own name, on both sides.
#[test]
fn odd_ids_are_ids() {
    let long = "x".repeat(10 * 1024);
    let ids = [
        "a",
        "A",
        "\u{e9}",
        "e\u{301}",
        "nul\0in",
        "../up",
        "../../etc/passwd",
        "a/b",
        "a?b#c",
        "%2e%2e",
        " 7",
        "7",
        "07",
        "-0",
        "1e3",
        "null",
        "true",
        "\u{202e}abc",
        "😀",
        "9007199254740993",
        "9007199254740992",
        "line\nbreak",
        "tab\t",
        "a;b",
        "'",
        "\"",
        "\\",
        "..a",
        "...",
        &long,
    ];
    let mut bench = bench(Options { tombstones: false, ..Options::default() }, "");
    for (n, id) in ids.iter().enumerate() {
        bench.server.put("things", id, &json!({ "n": n }));
    }
    // What no address can name is told, and holds nobody up.
    for id in [".", ".."] {
        bench.server.put("things", id, &json!({ "n": id }));
    }
    assert_eq!(bench.run(), "done_with_errors");
    let rejections = bench.app.must("rejection.list", json!({ "sync": "things" }));
    let told: Vec<&Value> = rejections["rejections"].as_array().expect("a list").iter().map(|one| &one["remote_id"]).collect();
    assert_eq!(told.len(), 2, "{rejections}");
    assert_eq!(bench.app.all("things").len(), ids.len());
    // Each is edited here, and the edit is there under its own id.
    let here = bench.app.all("things");
    for (id, record) in &here {
        bench.app.patch("things", id, &json!({ "ours": record["n"] }));
    }
    assert_eq!(bench.run(), "done_with_errors", "{}", bench.app.status("things"));
    let theirs = bench.server.rows("things");
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(theirs.get(*id), Some(&json!({ "n": n, "ours": n })), "{id:?}");
    }
    // Half of them go there, the rest here; deletes that nobody tells of are asked for, one by one.
    for id in ids.iter().step_by(4) {
        bench.server.delete("things", id);
    }
    bench.daemon.says(5, &["sync", "things", "--mode", "slow"]);
    assert_eq!(bench.app.all("things").len(), ids.len() - ids.len().div_ceil(4));
    for id in bench.app.all("things").into_keys() {
        bench.app.delete("things", &id);
    }
    let run = bench.app.run("things");
    let _ = bench.app.ended(&run);
    let left: Vec<String> = bench.server.rows("things").into_keys().collect();
    assert_eq!(left, [".", ".."], "{}", bench.app.status("things"));
    assert_eq!(bench.app.status("things")["rejections"], 2, "and these are still told");
}

#[test]
fn an_id_that_is_used_again_is_the_record_that_is_there_now() {
    for tombstones in [true, false] {
        let mut bench = bench(Options { tombstones, ..Options::default() }, "");
        bench.fill(12);
        bench.settle();
        for id in ["r01", "r02"] {
            bench.server.delete("things", id);
        }
        // One is used again before we look, one after.
        bench.server.put("things", "r01", &json!({ "other": true }));
        bench.app.patch("things", "r01", &json!({ "ours": 1 }));
        bench.daemon.says(0, &["sync", "things", "--mode", "slow"]);
        bench.server.put("things", "r02", &json!({ "other": true }));
        bench.settle();
        assert_eq!(bench.app.get("things", "r01"), Some(json!({ "other": true, "ours": 1 })));
        assert_eq!(bench.server.rows("things")["r02"], json!({ "other": true }));
        let live = bench.app.all("things").values().filter(|record| record["other"] == true).count();
        assert_eq!(live, 2, "each once");
    }
}

/// Properties that we never heard of stay, another type is another value, and what goes goes. (A null means "none", by design.)
#[test]
fn properties_come_change_and_go_as_they_are() {
    let mut bench = bench(Options::default(), "");
    bench.server.put("things", "a", &json!({ "n": 1, "going": 1, "null": null, "unknown": { "deep": [1, null, {}] } }));
    bench.settle();
    for theirs in [
        json!({ "n": "1", "null": null, "unknown": { "deep": [1, null, {}] } }),
        json!({ "n": [1], "null": 0, "unknown": {} }),
        json!({}),
    ] {
        bench.server.put("things", "a", &theirs);
        bench.settle();
        assert_eq!(bench.app.get("things", "a"), Some(theirs.clone()));
        bench.app.patch("things", "a", &json!({ "ours": theirs.to_string() }));
        assert_eq!(bench.run(), "done");
        // What we send whole keeps all that we know; a null means "none" to this service.
        let mut expected = theirs.clone();
        expected["ours"] = theirs.to_string().into();
        expected.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        assert_eq!(bench.server.rows("things")["a"], expected);
    }
}

/// Records go and come while pages are counted: what slips through is asked for, or comes with the next listing.
#[test]
fn pages_that_drift_lose_nothing() {
    for paging in [Paging::Number, Paging::Offset, Paging::Cursor] {
        let mut bench = bench(Options { paging, page_rows_max: 5, ..Options::careless() }, "");
        bench.fill(30);
        bench.settle();
        for _ in 0..3 {
            bench.server.next("GET", Fault::Lag(Duration::ZERO));
        }
        bench.server.next("GET", Fault::Lag(Duration::from_millis(400)));
        let run = bench.app.run("things");
        until("the third page to be asked for", || {
            let asked = bench.server.log().iter().filter(|line| line.starts_with("GET things?")).count();
            (asked > 0).then_some(())
        });
        bench.server.delete("things", "r00");
        bench.server.put("things", "a-new", &json!({ "n": "new" }));
        bench.server.put("things", "s-new", &json!({ "n": "new" }));
        assert_eq!(bench.app.ended(&run), "done", "{paging:?}");
        let lost = (1..30).filter(|n| !bench.app.all("things").values().any(|record| record["n"] == *n)).count();
        assert_eq!(lost, 0, "{paging:?}");
        bench.settle();
    }
}

fn page(rows: &str, next: Option<&str>, total: &str) -> Vec<u8> {
    let next = next.map_or_else(String::new, |next| format!(",\"next\":\"{next}\""));
    let headers = [("content-type", "application/json"), ("x-token", "900"), ("x-total", total)];
    response(200, &headers, &format!("{{\"rows\":[{rows}]{next}}}"))
}

/// The next listing is answered with these pages.
fn lists(bench: &Bench, pages: Vec<Vec<u8>>) {
    let when = || When { method: "GET", path_ends: "/things".into(), ..When::default() };
    // A run greets with a page of one row.
    bench.proxy.next_like(when(), Between::Delay(Duration::ZERO));
    for bytes in pages {
        bench.proxy.next_like(when(), Between::Instead(bytes));
    }
}

#[test]
fn pages_in_a_circle_doubled_rows_and_wrong_totals_are_survived() {
    let of = |rev: u32, v: u32| format!("{{\"id\":\"r01\",\"rev\":{rev},\"v\":{v}}}");
    let circle = vec![page("", Some("1"), "3"), page("", Some("2"), "3"), page("", Some("1"), "3"), page("", Some("2"), "3")];
    let doubled = vec![page(&of(800, 8), Some("1"), "1"), page(&of(801, 9), None, "1")];
    let totals = ["0", "-4", "NaN", "99999999999999999999999"].map(|total| vec![page(&of(802, 7), None, total)]);
    let cases = [(circle, "failed", None), (doubled, "done", Some(9))].into_iter();
    for (pages, end, v) in cases.chain(totals.map(|pages| (pages, "done", Some(7)))) {
        let mut bench = bench(Options::default(), "");
        bench.fill(30);
        bench.settle();
        lists(&bench, pages);
        assert_eq!(bench.run(), end, "{}", bench.app.status("things"));
        let all = bench.app.all("things");
        assert_eq!(all.len(), 30, "one row of each, and nothing is deleted");
        if let Some(v) = v {
            assert_eq!(all["r01"]["v"], v);
        }
    }
}

#[test]
fn a_change_that_is_refused_for_ever_is_tried_a_few_times_and_kept() {
    let mut bench = bench(Options::default(), "");
    bench.fill(3);
    bench.settle();
    bench.app.patch("things", "r01", &json!({ "ours": 1 }));
    bench.app.patch("things", "r02", &json!({ "ours": 2 }));
    for _ in 0..30 {
        let when = When { method: "PUT", path_ends: "/r01".into(), ..When::default() };
        bench.proxy.next_like(when, Between::Instead(response(412, &[], "")));
    }
    let end = bench.run();
    let tries = 30 - bench.proxy.waiting();
    assert!((2..=6).contains(&tries), "{tries} tries in one run, {end}");
    assert_eq!(bench.server.rows("things")["r02"]["ours"], 2, "others go their way");
    assert_eq!(bench.app.status("things")["pending"], 1);
    bench.proxy.heal();
    bench.settle();
    // In conflict, or not allowed, for one record: that one is told, with the remote's words.
    for status in [409, 403, 422] {
        bench.app.patch("things", "r01", &json!({ "ours": status }));
        bench.app.patch("things", "r02", &json!({ "ours": status }));
        let when = When { method: "PUT", path_ends: "/r01".into(), ..When::default() };
        bench.proxy.next_like(when, Between::Instead(response(status, &[], "")));
        assert_eq!(bench.run(), "done_with_errors", "{status}");
        assert_eq!(bench.server.rows("things")["r02"]["ours"], status);
        let list = bench.app.must("rejection.list", json!({ "sync": "things" }));
        assert!(list["rejections"][0]["what"].as_str().is_some_and(|what| what.contains(&status.to_string())), "{list}");
        let rejection = list["rejections"][0]["rejection"].clone();
        bench.app.must("rejection.resolve", json!({ "rejection": rejection, "with": "retry" }));
        bench.settle();
    }
}

/// Another revision without another content is no change.
#[test]
fn revisions_that_flap_change_nothing() {
    let mut bench = bench(Options::default(), "");
    bench.fill(12);
    bench.settle();
    let seq = bench.app.must("status", json!({}))["seq"].clone();
    for _ in 0..3 {
        for n in 0..12 {
            bench.server.patch("things", &format!("r{n:02}"), &json!({}));
        }
        assert_eq!(bench.run(), "done");
    }
    assert_eq!(bench.app.must("status", json!({}))["seq"], seq);
    bench.server.patch("things", "r01", &json!({}));
    bench.app.patch("things", "r01", &json!({ "ours": 1 }));
    bench.settle();
    assert_eq!(bench.app.must("conflict.list", json!({ "all": true }))["conflicts"], json!([]));
}

/// A sync `things` of the issues at this address.
fn tracked(url: &str) -> String {
    format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"github-issues\"\nurl = \"{url}\"\n\
         auth = {{ type = \"bearer\", token = {{ file = \"far.secret\" }} }}\n\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"issues\"\ndirection = \"both\"\n{QUIET}\n"
    )
}

/// A listing that says "not modified" of what was: it comes with the next one that tells.
#[test]
fn a_304_that_lies_is_late_and_no_more() {
    let server = GitHub::start();
    server.open(&json!({ "title": "one" }));
    let proxy = mingle_tests::proxy::Proxy::before(&server.url);
    let home = Home::new(Some(&tracked(&proxy.url)));
    home.write("far.secret", trackers::TOKEN);
    let daemon = home.start();
    let mut app = daemon.app("tester");
    app.sync("things", "done");
    app.sync("things", "done");
    server.edit(1, &json!({ "title": "two" }));
    proxy.next_like(
        When { method: "GET", path_ends: "/issues".into(), ..When::default() },
        Between::Instead(response(304, &[], "")),
    );
    app.sync("things", "done");
    let title = |app: &mut mingle_tests::app::App| app.all("things").into_values().map(|record| record["title"].clone()).next();
    assert_eq!((title(&mut app), proxy.waiting()), (Some(json!("one")), 0));
    app.sync("things", "done");
    assert_eq!(title(&mut app), Some(json!("two")));
}

/// More creates than a service takes in a while: it is asked again when it said, and each is made once.
#[test]
fn more_changes_than_a_service_takes_in_a_minute_all_arrive_in_its_time() {
    let server = GitHub::start();
    server.pace(80, Duration::from_secs(6));
    let home = Home::new(Some(&tracked(&server.url)));
    home.write("far.secret", trackers::TOKEN);
    let daemon = home.start();
    let mut app = daemon.app("tester");
    for n in 0..100 {
        app.put("things", &format!("n{n:02}"), &json!({ "title": format!("number {n}") }));
    }
    let run = app.run("things");
    assert_eq!((app.ended(&run).as_str(), server.issues().len()), ("failed", 80), "{}", app.status("things"));
    let explained = app.must("explain", json!({ "sync": "things" }));
    assert!(
        explained["holds"].as_array().is_some_and(|holds| holds.iter().any(|one| one["name"] == "retry_after")),
        "{explained}"
    );
    // It goes on by itself, and asks nothing before its time.
    until("the rest to arrive", || (app.status("things")["pending"] == 0).then_some(()));
    let refused = server.log().iter().filter(|line| line.ends_with(" 403")).count();
    assert_eq!(refused, 1);
    let titles: std::collections::BTreeSet<String> = server.issues().values().map(|issue| issue["title"].to_string()).collect();
    assert_eq!((server.issues().len(), titles.len(), app.all("things").len()), (100, 100, 100));
    assert_eq!(app.must("rejection.list", json!({}))["rejections"], json!([]));
}

/// A value of a record that goes into a header would be a header of its own: it is told, and never sent.
#[test]
fn a_revision_is_no_header_of_its_own() {
    let mut bench = bench(Options::default(), "");
    bench.fill(2);
    bench.settle();
    let evil = r#"{"id":"r01","rev":"1\r\nx-evil: yes","n":1}"#;
    lists(&bench, vec![page(evil, None, "2")]);
    assert_eq!(bench.run(), "done");
    bench.app.patch("things", "r01", &json!({ "ours": 1 }));
    lists(&bench, vec![page("", None, "2")]);
    assert_eq!(bench.run(), "done_with_errors");
    let list = bench.app.must("rejection.list", json!({ "sync": "things" }));
    assert!(list["rejections"][0]["what"].as_str().is_some_and(|what| what.contains("does not fit into a header")), "{list}");
}

/// A service whose clock is hours off is told of; nothing is missed for it.
#[test]
fn a_clock_that_is_hours_off_is_told() {
    for date in ["Thu, 01 Jan 2026 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT"] {
        let mut bench = bench(Options::default(), "");
        bench.fill(3);
        let about = json!({ "service": "scripted", "instance": "first" }).to_string();
        let bytes = response(200, &[("content-type", "application/json"), ("date", date)], &about);
        bench.proxy.next_like(When { method: "GET", path_ends: "/about".into(), ..When::default() }, Between::Instead(bytes));
        bench.settle();
        until("the clock to be told", || bench.daemon.said().contains("its clock and ours differ").then_some(()));
    }
}
