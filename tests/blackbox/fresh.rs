//! Owns: reads that say how old what they get may be, subscriptions that keep a collection fresh, and syncs that run on demand, as apps and
//! people meet them. Must never know: how it is decided when a sync runs.

use std::{process::Stdio, time::Duration};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    python::Python,
    rest_server::{Fault, Options, RestServer},
    wait::{Watch, until},
};
use serde_json::{Value, json};

use crate::bench::{Scripted, fill, kinto_config, scripted, scripted_config, with_kinto};

/// An answer that is not waited for: far below the ten seconds that a read waits at most.
const AT_ONCE: Duration = Duration::from_secs(5);

/// `get` of a record no older than so many ms.
fn fresh(app: &mut App, collection: &str, id: &str, max_age_ms: u64) -> Value {
    app.must("get", json!({ "collection": collection, "id": id, "max_age_ms": max_age_ms, "timeout_ms": 50_000 }))
}

fn runs(app: &mut App, sync: &str) -> Vec<Value> {
    app.must("history", json!({ "sync": sync }))["runs"].as_array().expect("runs").clone()
}

/// S-48: cache only, cache first, service first, with a real service that nothing else makes anybody ask.
#[test]
fn a_read_is_as_fresh_as_it_asks_for() {
    let mut bench = with_kinto("");
    let (app, kinto) = (&mut bench.app, &bench.kinto);
    kinto.put(&bench.resource, "a", &json!({ "n": 1 }));
    app.refused("not_found", "get", json!({ "collection": "notes", "id": "a" }));

    // Service first: what was changed just now.
    let got = fresh(app, "notes", "a", 0);
    assert_eq!((&got["data"]["n"], &got["fresh"]["met"]), (&json!(1), &json!(true)), "{got}");
    let had = runs(app, "notes");
    assert_eq!((had.len(), &had[0]["trigger"]), (1, &json!("demand")), "{had:?}");

    // Cache first: what is young enough is here, and the service is not asked.
    kinto.patch(&bench.resource, "a", &json!({ "n": 2 }));
    let got = fresh(app, "notes", "a", 600_000);
    assert_eq!((&got["data"]["n"], &got["fresh"]["met"]), (&json!(1), &json!(true)), "{got}");
    assert_eq!(got["fresh"]["at"], app.status("notes")["fresh_at"], "{got}");
    // Cache only: as ever, and it says nothing of that.
    let got = app.must("get", json!({ "collection": "notes", "id": "a" }));
    assert!(got["data"]["n"] == 1 && got.get("fresh").is_none(), "{got}");
    assert_eq!(runs(app, "notes").len(), 1);

    assert_eq!(fresh(app, "notes", "a", 0)["data"]["n"], 2);
    kinto.put(&bench.resource, "b", &json!({ "n": 3 }));
    let listed = app.must("list", json!({ "collection": "notes", "max_age_ms": 0, "order": ["id"], "limit": 1 }));
    assert_eq!((&listed["records"][0]["id"], &listed["fresh"]["met"]), (&json!("a"), &json!(true)), "{listed}");
    assert_eq!(runs(app, "notes").len(), 3);
    // The pages behind the first are of the same listing.
    let ask = json!({ "collection": "notes", "max_age_ms": 0, "order": ["id"], "limit": 1, "cursor": listed["cursor"] });
    let page = app.must("list", ask);
    assert!(page["records"][0]["id"] == "b" && page.get("fresh").is_none(), "{page}");
    assert_eq!(runs(app, "notes").len(), 3);

    kinto.patch(&bench.resource, "a", &json!({ "n": 4 }));
    let said = bench.daemon.says(0, &["get", "notes", "a", "--max-age", "10m"]);
    assert!(said.contains("\"n\": 2") && !said.contains("older"), "{said}");
    let said = bench.daemon.says(0, &["get", "notes", "a", "--max-age", "0"]);
    assert!(said.contains("\"n\": 4") && !said.contains("older"), "{said}");
    let said = bench.daemon.says(0, &["list", "notes", "--max-age", "1ms", "--timeout", "50s"]);
    assert!(said.contains("a\t") && said.contains("b\t"), "{said}");

    // It is known after a start as well.
    let had = runs(app, "notes").len();
    bench.daemon.kill();
    bench.daemon.start();
    let mut app = bench.daemon.app("tester");
    let got = fresh(&mut app, "notes", "a", 600_000);
    assert_eq!((&got["fresh"]["met"], runs(&mut app, "notes").len()), (&json!(true), had), "{got}");
}

#[test]
fn what_cannot_be_had_in_time_is_said_and_what_is_here_is_read() {
    let Scripted { server, daemon, mut app } = scripted(Options::default(), "[collection.local]\n");
    fill(&server, 1);
    fresh(&mut app, "things", "r00", 0);

    // It hangs: until the time is up, and the work goes on.
    server.next("GET", Fault::HangBefore);
    let ask = |ms: u64| json!({ "collection": "things", "id": "r00", "max_age_ms": 0, "timeout_ms": ms });
    let got = app.must("get", ask(200));
    let late = &got["fresh"];
    assert_eq!((&late["met"], &late["syncs"][0]["state"]), (&json!(false), &json!("running")), "{got}");
    assert!(got["data"]["n"] == 0 && late["at"].is_string() && late["why"].as_str().is_some_and(|why| why.contains("things")));
    assert_eq!(app.status("things")["state"], "running");
    app.must("sync.cancel", json!({ "sync": "things" }));
    until("its end", || (app.status("things")["state"] != "running").then_some(()));

    // Runs are stopped: nobody waits for what cannot come.
    app.must("stop", json!({}));
    let watch = Watch::start();
    let got = app.must("get", ask(60_000));
    assert_eq!((&got["fresh"]["met"], &got["fresh"]["syncs"][0]["hold"]["name"]), (&json!(false), &json!("stopped")), "{got}");
    assert!(watch.elapsed() < AT_ONCE, "{:?}", watch.elapsed());
    app.must("restart", json!({}));
    until("a read that is fresh", || (fresh(&mut app, "things", "r00", 0)["fresh"]["met"] == true).then_some(()));

    // The service is gone: the first read meets that, and those after it do not ask again before the pause is over.
    (0..10).for_each(|_| server.next("GET", Fault::CutBefore));
    for again in [false, true] {
        let watch = Watch::start();
        let got = app.must("get", ask(20_000));
        assert!(!again || watch.elapsed() < AT_ONCE, "{:?}", watch.elapsed());
        let (fresh, stale) = (&got["fresh"], &got["fresh"]["syncs"][0]);
        assert_eq!(
            (&got["data"]["n"], &fresh["met"], &stale["hold"]["name"]),
            (&json!(0), &json!(false), &json!("backoff")),
            "{got}"
        );
        assert!(stale["error"]["what"].is_string() && fresh["why"].is_string(), "{got}");
    }
    let failed = runs(&mut app, "things").iter().filter(|run| run["status"] == "failed").count();
    assert_eq!(failed, 1, "a reader does not pass a pause");
    let said = daemon.says(0, &["get", "things", "r00", "--max-age", "0"]);
    assert!(said.contains("older than --max-age, as of") && said.contains("backoff"), "{said}");
    let error = app.refused("not_found", "get", json!({ "collection": "things", "id": "none", "max_age_ms": 0 }));
    assert!(error["data"]["hint"].as_str().is_some_and(|hint| hint.contains("older than was asked")), "{error}");

    // What no sync brings is as fresh as it can be.
    app.put("local", "x", &json!({ "n": 1 }));
    assert_eq!(fresh(&mut app, "local", "x", 0)["fresh"], json!({ "met": true }));

    for (method, wrong) in [
        ("get", json!({ "id": "r00", "max_age_ms": -1 })),
        ("get", json!({ "id": "r00", "max_age_ms": "soon" })),
        ("get", json!({ "id": "r00", "max_age_ms": 1.5 })),
        ("get", json!({ "id": "r00", "timeout_ms": 5 })),
        ("list", json!({ "timeout_ms": 5 })),
        ("list", json!({ "max_age_ms": [] })),
    ] {
        let mut asked = wrong.clone();
        asked["collection"] = json!("things");
        app.refused("invalid", method, asked);
    }
    app.refused("invalid", "subscribe", json!({ "collections": ["things"], "fresh_ms": 0 }));
    app.refused("invalid", "subscribe", json!({ "topics": ["run"], "fresh_ms": 5_000 }));
    assert!(daemon.says(2, &["get", "things", "r00", "--max-age", "soon"]).contains("soon"));
    assert!(daemon.says(2, &["list", "things", "--timeout", "5s"]).contains("--max-age"));
}

#[test]
fn a_crowd_of_readers_is_one_run() {
    let mut bench = scripted(Options::default(), "");
    fill(&bench.server, 3);
    bench.server.next("GET", Fault::Lag(Duration::from_secs(1)));
    let ask = json!({ "collection": "things", "id": "r02", "max_age_ms": 600_000, "timeout_ms": 50_000 });
    let mut crowd: Vec<(App, u64)> = (0..200)
        .map(|_| {
            let mut app = bench.daemon.app("crowd");
            let asked = app.send("get", &ask).expect("a call");
            (app, asked)
        })
        .collect();
    for (app, asked) in &mut crowd {
        let got = app.answer(*asked).expect("an answer").expect("a record");
        assert_eq!((&got["data"]["n"], &got["fresh"]["met"]), (&json!(2), &json!(true)), "{got}");
    }
    assert_eq!(runs(&mut bench.app, "things").len(), 1);
}

/// A listing that a kill cut off goes on where it was, and what came before the kill is as old as it is.
#[test]
fn a_listing_that_a_kill_cut_off_is_as_fresh_as_its_beginning() {
    let mut bench = scripted(Options { page_rows: 3, ..Options::default() }, "");
    fill(&bench.server, 9);
    // Each answer takes its time, so that the first page is here before the next comes.
    (0..12).for_each(|_| bench.server.next("GET", Fault::Lag(Duration::from_millis(700))));
    bench.app.run("things");
    until("the first page", || (bench.app.all("things").len() == 3).then_some(()));
    let between = jiff::Timestamp::now();
    let before = bench.server.log();
    bench.daemon.kill();
    bench.daemon.start();
    let mut app = bench.daemon.app("tester");
    assert!(app.status("things").get("fresh_at").is_none(), "nothing was listed to its end");
    until("the run that goes on", || (app.status("things")["last"]["status"] == "done").then_some(()));
    assert_eq!(app.all("things").len(), 9);
    let log = bench.server.log();
    let first = |log: &[String]| log.iter().find(|line| line.ends_with("rows=3")).cloned();
    assert_ne!(first(&log), first(&before), "it went on from the second page: {log:?}");

    let fresh_at: jiff::Timestamp = app.status("things")["fresh_at"].as_str().expect("a moment").parse().expect("a time");
    assert!(fresh_at < between, "{fresh_at}, and the kill came after {between}");
    let had = runs(&mut app, "things").len();
    // Who wants no more than what was there when it began has it; who wants what was there when it went on has it listed anew.
    let age = |since| u64::try_from(jiff::Timestamp::now().duration_since(since).as_millis()).expect("a time that is past");
    let got = fresh(&mut app, "things", "r00", age(fresh_at) + 5_000);
    assert_eq!((&got["fresh"]["met"], runs(&mut app, "things").len()), (&json!(true), had), "{got}");
    let wants = age(between);
    let got = fresh(&mut app, "things", "r00", wants);
    assert_eq!((&got["fresh"]["met"], runs(&mut app, "things").len()), (&json!(true), had + 1), "{got}");
}

/// What came under other terms is not what there is under these.
#[test]
fn another_definition_is_not_as_fresh_as_the_former() {
    let mut bench = with_kinto("filter = { state = \"open\" }\n");
    bench.kinto.put(&bench.resource, "a", &json!({ "state": "open" }));
    bench.kinto.put(&bench.resource, "b", &json!({ "state": "closed" }));
    let (app, hour) = (&mut bench.app, 3_600_000);
    fresh(app, "notes", "a", hour);
    let had = runs(app, "notes").len();
    // What does not change which records there are changes nothing.
    let configure = |more: &str| {
        let config = kinto_config(&bench.kinto.url, &bench.resource, "notes", &format!("{more}\n"));
        bench.daemon.configure(&config);
        bench.daemon.says(0, &["reload"]);
    };
    configure("filter = { state = \"open\" }\nstall = \"1m\"");
    fresh(app, "notes", "a", hour);
    assert_eq!(runs(app, "notes").len(), had);
    configure("filter = { state = { in = [\"open\", \"closed\"] } }");
    assert!(app.status("notes").get("fresh_at").is_none());
    let got = fresh(app, "notes", "b", hour);
    assert_eq!((&got["data"]["state"], &got["fresh"]["met"]), (&json!("closed"), &json!(true)), "{got}");
    assert_eq!(runs(app, "notes").len(), had + 1);
    // The same where the daemon was not there when it was changed.
    bench.daemon.kill();
    let config =
        kinto_config(&bench.kinto.url, &bench.resource, "notes", "[collection.notes]\nreferences = { of = \"notes\" }\n");
    bench.daemon.configure(&config);
    bench.daemon.start();
    let mut app = bench.daemon.app("tester");
    assert!(app.status("notes").get("fresh_at").is_none());
    fresh(&mut app, "notes", "a", hour);
    assert!(app.status("notes")["fresh_at"].is_string());
}

/// Who may see one collection has one kept fresh, as long as it may.
#[test]
fn a_demand_goes_no_further_than_grants() {
    let others = "[sync.others]\ncollection = \"others\"\nremote = \"far\"\nresource = \"others\"\ndirection = \"both\"\non_start = false\ndemand = true\n";
    let narrow = "[app.narrow]\ngrants = { things = \"read\" }\n";
    let mut bench = scripted(Options::default(), &format!("demand = true\n{others}{narrow}"));
    let mut app = bench.daemon.app("narrow");
    app.must("subscribe", json!({ "initial": false, "fresh_ms": 60_000 }));
    until("its demand", || (bench.app.status("things")["demand"]["app"] == "narrow").then_some(()));
    let status = bench.app.status("others");
    assert!(status.get("demand").is_none() && status["hold"]["name"] == "demand", "{status}");
    assert!(runs(&mut bench.app, "others").is_empty());
    let config = scripted_config(&bench.server.url, &format!("demand = true\n{others}[app.narrow]\ngrants = {{}}\n"));
    bench.daemon.configure(&config);
    bench.app.must("reload", json!({}));
    until("no demand", || bench.app.status("things").get("demand").is_none().then_some(()));
}

/// A daemon with a sync that runs on demand.
fn on_demand() -> (RestServer, Daemon, App) {
    let Scripted { server, daemon, app } = scripted(Options::default(), "demand = true\nevery = \"1h\"\n");
    fill(&server, 1);
    (server, daemon, app)
}

fn is_idle(app: &mut App) -> Option<()> {
    let status = app.status("things");
    (status["hold"]["name"] == "demand" && status.get("next_at").is_none() && status.get("demand").is_none()).then_some(())
}

#[test]
fn nobody_asking_means_no_polling() {
    let (server, mut daemon, mut app) = on_demand();
    is_idle(&mut app).expect("a sync that never ran waits for somebody who asks");
    let explained = app.must("explain", json!({ "sync": "things" }));
    assert!(explained["text"].as_str().is_some_and(|text| text.contains("nobody asks for fresh data")), "{explained}");
    assert!(daemon.says(0, &["explain", "things"]).contains("nobody asks for fresh data"));
    assert_eq!(app.must("sync.get", json!({ "sync": "things" }))["demand"], true);

    // An app that follows it, and is killed.
    let mut follower = daemon.command(&["--app", "follower", "watch", "things", "--fresh", "1s", "--data"]);
    let mut follower = follower.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a follower");
    until("three runs", || (runs(&mut app, "things").len() >= 3).then_some(()));
    let status = app.status("things");
    assert_eq!(status["demand"], json!({ "fresh_ms": 1_000, "app": "follower", "count": 1 }), "{status}");
    let said = daemon.says(0, &["explain", "things"]);
    assert!(said.contains("follower wants it no older than 1 s"), "{said}");
    let timed = runs(&mut app, "things").iter().filter(|run| run["trigger"] == "timer").count();
    assert!(timed > 0, "the demand sets the pace");
    // The strictest of several; and what it wants goes with it.
    let mut second = daemon.app("second");
    second.must("subscribe", json!({ "collections": ["things"], "initial": false, "fresh_ms": 300_000 }));
    until("two demands", || (app.status("things")["demand"]["count"] == 2).then_some(()));
    assert_eq!(app.status("things")["demand"]["app"], "follower");
    follower.kill().expect("a kill");
    follower.wait().expect("an end");
    until("the other's demand", || (app.status("things")["demand"]["app"] == "second").then_some(()));
    until("its pace", || app.status("things")["next_at"].is_string().then_some(()));
    drop(second);
    until("nobody to ask", || is_idle(&mut app));

    // Asked once, it runs once; so it does by name.
    server.put("things", "r00", &json!({ "n": 7 }));
    assert_eq!(fresh(&mut app, "things", "r00", 0)["data"]["n"], 7);
    app.sync("things", "done");
    until("nobody to ask", || is_idle(&mut app));

    // A start is nobody who asks.
    let had = runs(&mut app, "things").len();
    daemon.kill();
    daemon.start();
    let mut app = daemon.app("tester");
    is_idle(&mut app).expect("a sync that waits for somebody who asks");
    assert_eq!(runs(&mut app, "things").len(), had);
}

#[test]
fn a_demand_is_the_pace_of_a_sync_without_one() {
    let mut bench = scripted(Options::default(), "");
    fill(&bench.server, 1);
    assert_eq!(bench.app.status("things")["hold"]["name"], "trigger");
    let mut python = Python::start(&bench.daemon.environment());
    python.does("c = mingle.Client('py')");
    assert_eq!(python.does("c.get('things', 'r00', max_age=0)['fresh']['met']"), true);
    assert_eq!(python.does("c.list('things', max_age=600, timeout=20)['fresh']['met']"), true);
    assert_eq!(python.does("len(list(c.records('things', max_age=600)))"), 1);
    assert_eq!(runs(&mut bench.app, "things").len(), 1);
    python.does("s = c.subscribe(['things'], fresh=0.2)");
    // Shorter than the shortest interval of all, it is taken for that.
    until("three runs", || (runs(&mut bench.app, "things").len() >= 4).then_some(()));
    assert_eq!(bench.app.status("things")["demand"], json!({ "fresh_ms": 200, "app": "py", "count": 1 }));
    let began = |run: &Value| run["started_at"].as_str().expect("a moment").parse::<jiff::Timestamp>().expect("a moment");
    let began: Vec<i64> = runs(&mut bench.app, "things").iter().rev().map(|run| began(run).as_millisecond()).collect();
    assert!(began.windows(2).skip(1).all(|pair| pair[1] - pair[0] > 900), "{began:?}");
    python.does("s.close()");
    until("nobody to ask", || (bench.app.status("things")["hold"]["name"] == "trigger").then_some(()));
}

#[test]
fn demand_is_for_what_brings_something() {
    let home = Home::new(Some(
        "[remote.far]\nkind = \"rest\"\nprofile = \"kinto\"\nurl = \"http://localhost:1/v1\"\n\n[sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"r\"\ndirection = \"up\"\ndemand = true\n",
    ));
    let said = home.says(78, &["config", "check"]);
    assert!(said.contains("brings nothing that anybody could ask for") && said.contains("take it out"), "{said}");
}
