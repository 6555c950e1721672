//! Owns: many apps, slow apps, dying apps: each gets what is its own, and nobody waits for another. Must never know: how they are fed.

use std::{collections::BTreeMap, io::Write as _, os::unix::net::UnixStream, time::Duration};

use mingle_tests::{
    app::App,
    daemon::Daemon,
    wait::{Watch, until},
};
use serde_json::{Value, json};

/// Collections that no sync fills.
const LOCAL: &str = "[collection.busy]\n[collection.shared]\n[collection.mine]\n[collection.counters]\n[collection.notes]\n";

const RECORDS: usize = 200;
const CHANGES: usize = 200_000;
/// Long before the daemon takes it for dead (30 s), and far apart: it sleeps through thousands of changes between.
const TURNS_OVER: Duration = Duration::from_secs(5);
/// Linux calls a Unix socket writable once three quarters of it are read: one page (80 KB) alone would look like none.
const PAGES_A_TURN: usize = 4;
/// What a socket and its writer may hold of changes that are told already.
const AHEAD_BYTES: usize = 1 << 20;

/// E3: a subscriber that sleeps through it all costs constant memory, and wakes to one state a record.
#[test]
fn a_subscriber_asleep_through_200_000_changes_gets_each_record_once() {
    let daemon = Daemon::with(LOCAL);
    let mut writer = daemon.app("writer");
    let text = "x".repeat(300);
    let write = |writer: &mut App, round: usize| {
        let writes: Vec<Value> = (0..RECORDS)
            .map(|n| {
                let data = json!({ "round": round, "text": text });
                json!({ "put": { "collection": "busy", "id": format!("b{n}"), "data": data, "overwrite": true } })
            })
            .collect();
        writer.must("transact", json!({ "writes": writes }));
    };
    write(&mut writer, 0);
    let mut sleeper = daemon.app("sleeper");
    sleeper.must("subscribe", json!({ "collections": ["busy"], "data": true, "initial": false }));
    // A round before the measure, so that what SQLite keeps for itself is there already.
    for round in 1..20 {
        write(&mut writer, round);
    }
    let before = daemon.resident_bytes();
    let rounds = CHANGES / RECORDS;
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    let mut told = 0;
    let mut hear = |sleeper: &mut App, last: &mut BTreeMap<String, Value>| {
        let mut changed = sleeper.hear("changes", |message| message["method"] == "changed");
        let params = changed["params"].take();
        for change in params["changes"].as_array().expect("changes") {
            told += 1;
            last.insert(change["id"].as_str().expect("an id").to_owned(), change["data"]["round"].clone());
        }
        params
    };
    let (mut looks, mut slept) = (0, Watch::start());
    for round in 20..20 + rounds {
        write(&mut writer, round);
        // Who takes nothing for 30 s is closed: it turns over in its sleep.
        if slept.elapsed() > TURNS_OVER {
            for _ in 0..PAGES_A_TURN {
                hear(&mut sleeper, &mut last);
                looks += 1;
            }
            slept = Watch::start();
        }
    }
    let grown = daemon.resident_bytes().saturating_sub(before);
    assert!(grown < 24 << 20, "the daemon grew by {grown} bytes for one that sleeps");

    let seq = writer.must("status", json!({}))["seq"].as_u64().expect("a seq");
    loop {
        let params = hear(&mut sleeper, &mut last);
        if params["more"] == false && params["seq"].as_u64().is_some_and(|at| at >= seq) {
            break;
        }
    }
    eprintln!(
        "asleep through {} changes of {RECORDS} records: told {told}, the daemon grew by {} KiB",
        CHANGES + 19 * RECORDS,
        grown >> 10
    );
    assert!(told <= RECORDS * (1 + looks) + AHEAD_BYTES / 300, "told {told} states of {RECORDS} records");
    assert_eq!(last.len(), RECORDS);
    assert!(last.values().all(|round| *round == json!(19 + rounds)), "the last state of each");
}

/// A thousand apps at once, each with a subscription: all are told of a change, and none keeps a call of another waiting.
#[test]
fn a_thousand_connections_are_all_served() {
    const APPS: usize = 1_000;
    // This process has an end of each.
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, limit).expect("descriptors");
    let daemon = Daemon::with(LOCAL);
    let mut writer = daemon.app("writer");
    let before = daemon.resident_bytes();
    let mut apps: Vec<App> = (0..APPS)
        .map(|n| {
            let mut app = daemon.app(&format!("app{n}"));
            app.must("subscribe", json!({ "collections": ["shared"], "initial": false, "data": true }));
            app
        })
        .collect();
    assert_eq!(writer.must("status", json!({}))["apps"].as_array().map(Vec::len), Some(APPS + 1));
    let watch = Watch::start();
    writer.put("shared", "one", &json!({ "n": 1 }));
    for app in &mut apps {
        let changed = app.hear("the change", |message| message["method"] == "changed");
        assert_eq!(changed["params"]["changes"][0]["data"], json!({ "n": 1 }));
    }
    let (told, each) = (watch.elapsed(), daemon.resident_bytes().saturating_sub(before) / APPS as u64);
    for app in &mut apps {
        assert_eq!(app.get("shared", "one"), Some(json!({ "n": 1 })));
    }
    eprintln!("{APPS} connections: a change told to all in {told:?}, {each} bytes each");
    assert!(told < Duration::from_secs(10), "{told:?}");
    assert!(each < 64 << 10, "a connection costs {each} bytes");
    // The next ones are let in up to the limit, then told so; those that are in go on.
    let mut more: Vec<App> = Vec::new();
    let full = loop {
        match App::try_connect(&daemon.socket(), "more") {
            Ok(app) if more.len() < 100 => more.push(app),
            Ok(_) => break false,
            Err(_) => break true,
        }
    };
    assert!(full, "the limit holds: {} more", more.len());
    writer.put("shared", "one", &json!({ "n": 2 }));
    apps[APPS - 1].hear("the change", |message| message["params"]["changes"][0]["data"]["n"] == 2);
}

#[test]
fn two_app_processes_write_one_record_and_nothing_is_lost() {
    let daemon = Daemon::with(LOCAL);
    daemon.says(0, &["put", "shared", "one", "{}"]);
    let watch = Watch::start();
    std::thread::scope(|scope| {
        for app in ["left", "right"] {
            let daemon = &daemon;
            scope.spawn(move || {
                for n in 0..25 {
                    daemon.says(0, &["--app", app, "patch", "shared", "one", &format!(r#"{{"{app}{n}":{n},"{app}":{n}}}"#)]);
                    daemon.says(0, &["--app", app, "put", "mine", &format!("{app}{n}"), "{}"]);
                }
            });
        }
    });
    let mut app = daemon.app("tester");
    let one = app.get("shared", "one").expect("the record");
    assert_eq!(one.as_object().map(serde_json::Map::len), Some(52), "{one}");
    assert_eq!((&one["left"], &one["right"]), (&json!(24), &json!(24)));
    assert_eq!(app.all("mine").len(), 50);
    eprintln!("100 writes of 100 processes, two at a time: {:?}", watch.elapsed());
}

#[test]
fn a_counter_with_if_seq_counts_every_one() {
    let daemon = Daemon::with(LOCAL);
    daemon.app("tester").put("counters", "c", &json!({ "n": 0 }));
    std::thread::scope(|scope| {
        for app in 0..8 {
            let daemon = &daemon;
            scope.spawn(move || {
                let mut app = daemon.app(&format!("app{app}"));
                for _ in 0..50 {
                    loop {
                        let found = app.must("get", json!({ "collection": "counters", "id": "c" }));
                        let next = found["data"]["n"].as_u64().expect("a number") + 1;
                        let put = json!({ "collection": "counters", "id": "c", "data": { "n": next }, "if_seq": found["seq"] });
                        match app.ask("put", &put).expect("an answer") {
                            Ok(_) => break,
                            Err(error) => assert_eq!(error["data"]["name"], "stale", "{error}"),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(daemon.app("tester").get("counters", "c"), Some(json!({ "n": 400 })));
}

#[test]
fn a_repeated_op_is_done_once_also_over_a_kill() {
    let mut daemon = Daemon::with(LOCAL);
    let put = json!({ "collection": "notes", "id": "n1", "data": { "v": 1 }, "op": "op-1", "if_seq": 0 });
    let first = daemon.app("tester").must("put", put.clone());
    assert_eq!(daemon.app("tester").must("put", put.clone()), first);
    daemon.kill();
    daemon.start();
    let mut app = daemon.app("tester");
    assert_eq!(app.must("put", put.clone()), first, "the first answer, not `stale`");
    let mut other = put;
    other["data"] = json!({ "v": 2 });
    app.refused("op_reused", "put", other);
}

/// P12: an app that dies in the middle of a line, or of a long answer, blocks nobody.
#[test]
fn dying_and_silent_apps_block_nobody() {
    let daemon = Daemon::with(LOCAL);
    let mut app = daemon.app("tester");
    for n in 0..200 {
        app.put("notes", &format!("n{n}"), &json!({ "text": "x".repeat(2000) }));
    }
    let mut silent = Vec::new();
    for n in 0..40 {
        let mut stream = UnixStream::connect(daemon.socket()).expect("a connection");
        let ask = r#"{"jsonrpc":"2.0","id":1,"method":"list","params":{"collection":"notes","limit":1000}}"#;
        match n % 4 {
            // Half a line, then the end.
            0 => stream.write_all(br#"{"jsonrpc":"2.0","id":1,"met"#).expect("half a line"),
            // Asks for much, and goes without reading.
            1 => stream.write_all(format!("{ask}\n").as_bytes()).expect("a call"),
            // Asks for much again and again, stays, and never reads.
            2 => {
                stream.set_nonblocking(true).expect("a socket that does not wait");
                for _ in 0..64 {
                    let _ = stream.write(format!("{ask}\n").as_bytes());
                }
                silent.push(stream);
            }
            // Says nothing at all.
            _ => silent.push(stream),
        }
    }
    let watch = Watch::start();
    for n in 0..100 {
        app.put("notes", "n0", &json!({ "n": n }));
        assert_eq!(app.get("notes", "n0"), Some(json!({ "n": n })));
    }
    let took = watch.elapsed();
    assert!(took < Duration::from_secs(10), "100 writes and reads beside silent apps took {took:?}");
    drop(silent);
    until("the connections to be gone", || {
        let status = app.must("status", json!({}));
        (status["apps"].as_array().is_some_and(|apps| apps.len() <= 2)).then_some(())
    });
}
