//! Owns: `rebuild` from outside: what is wrong here is fetched anew, what is not sent stays, a kill in the middle changes nothing of
//! that. Must never know: how a collection is rebuilt.

use std::{path::Path, process::Stdio, time::Duration};

use mingle_tests::{
    app::App,
    chance::Chance,
    daemon::{Daemon, Home},
    rest_server::{Fault, Options, RestServer},
    tally,
    wait::{self, until},
};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::bench::{assert_same, fill, scripted, scripted_config, with_kinto};

/// Changes the store behind the back of a daemon that is not there: a bug, or a bad disk.
fn damage(store: &Path, sql: &str) {
    Connection::open(store).expect("the store").execute_batch(sql).expect("damaged");
}

fn sound(daemon: &Daemon) {
    let said = daemon.says(0, &["fsck"]);
    assert!(said.starts_with("good: "), "{said}");
}

/// The ids that the feed has had to tell since.
fn told_since(app: &mut App, collection: &str, seq: &Value) -> Vec<String> {
    let page = app.must("changes", json!({ "since": seq, "collections": [collection] }));
    let ids = page["changes"].as_array().expect("a list").iter();
    let mut ids: Vec<String> = ids.map(|one| one["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn what_is_wrong_here_is_fetched_anew_and_what_is_not_sent_stays() {
    let mut bench = with_kinto("[collection.notes]\nmerge = { m = \"manual\" }\n");
    for n in 0..30 {
        bench.kinto.put(&bench.resource, &format!("n{n}"), &json!({ "v": n, "m": 0 }));
    }
    bench.app.sync("notes", "done");
    bench.kinto.patch(&bench.resource, "n5", &json!({ "m": "theirs" }));
    bench.app.patch("notes", "n5", &json!({ "m": "ours" }));
    bench.app.sync("notes", "done");
    let conflicts = bench.app.must("conflict.list", json!({}));
    bench.app.patch("notes", "n6", &json!({ "v": "edited" }));
    bench.app.delete("notes", "n7");
    bench.app.put("notes", "mine", &json!({ "v": "new" }));
    bench.kinto.patch(&bench.resource, "n6", &json!({ "m": 6 }));
    bench.kinto.delete(&bench.resource, "n8");
    bench.daemon.kill();
    damage(&bench.daemon.store(), "UPDATE m_record SET data = '{\"v\":\"wrong\"}' WHERE id IN ('n1', 'n2', 'n3')");
    bench.daemon.start();
    bench.app = bench.daemon.app("tester");
    let wrong = Some(json!({ "v": "wrong" }));

    // It counts, and does nothing.
    let pending = bench.app.status("notes")["pending"].clone();
    let stays = format!("notes: {pending} changes not sent yet, 1 open conflict, 0 rejections");
    let said = bench.daemon.says(0, &["rebuild", "notes", "--plan"]);
    assert!(pending.as_u64() >= Some(3) && said.starts_with(&format!("{stays} would be kept")), "{said}");
    assert_eq!(bench.app.get("notes", "n1"), wrong);
    assert_eq!(bench.kinto.list(&bench.resource)["n6"]["v"], 6);

    let seq = bench.app.must("status", json!({}))["seq"].clone();
    let mut second = bench.daemon.app("board");
    second.must("subscribe", json!({ "collections": ["notes"], "data": true, "since": seq }));
    let said = bench.daemon.says(5, &["rebuild", "notes"]);
    assert!(said.starts_with(&format!("{stays} stay")) && said.contains("notes: done"), "{said}");
    for n in 1..=3 {
        assert_eq!(bench.app.get("notes", &format!("n{n}")), Some(json!({ "v": n, "m": 0 })));
    }
    assert_eq!(bench.app.get("notes", "n5"), Some(json!({ "v": 5, "m": "ours" })), "a conflict stays open");
    assert_eq!(bench.app.must("conflict.list", json!({})), conflicts);
    assert_eq!(bench.app.get("notes", "n6"), Some(json!({ "v": "edited", "m": 6 })));
    let theirs = bench.kinto.list(&bench.resource);
    assert_eq!((theirs.get("n7"), &theirs["n6"]["v"], &theirs["mine"]), (None, &json!("edited"), &json!({ "v": "new" })));
    // Who reads hears of what changed, and of nothing else.
    assert_eq!(told_since(&mut bench.app, "notes", &seq), ["n1", "n2", "n3", "n6", "n8"]);
    let told = second.hear("the last of it", |message| message.to_string().contains("\"n8\""));
    assert!(!told.to_string().contains("\"n9\""), "{told}");
    sound(&bench.daemon);
    let row = bench.app.sync("notes", "done");
    assert_eq!((&row["down"], &row["up"], &row["conflicts"]), (&json!(0), &json!(0), &json!(0)), "{row}");
    let id = conflicts["conflicts"][0]["conflict"].as_str().expect("an id").to_owned();
    bench.daemon.says(0, &["conflict", "resolve", &id, "--keep", "truth"]);
    bench.app.sync("notes", "done");
    bench.assert_same();
}

/// Where a service does not tell of deletes, what it does not show is asked for, and too much of it waits for a person.
#[test]
fn what_only_the_service_deleted_goes_through_the_guard() {
    let mut world = scripted(Options { tombstones: false, token: false, ..Options::default() }, "");
    fill(&world.server, 30);
    world.app.sync("things", "done");
    world.app.patch("things", "r00", &json!({ "name": "edited" }));
    for n in 1..=14 {
        world.server.delete("things", &format!("r{n:02}"));
    }
    let said = world.daemon.says(5, &["rebuild", "things"]);
    assert!(said.contains("4 rejected"), "{said}");
    assert_eq!(world.app.all("things").len(), 20, "ten went, and four wait");
    assert_eq!(world.server.rows("things")["r00"]["name"], "edited");
    world.daemon.says(0, &["sync", "things", "--mode", "slow", "--accept-deletes"]);
    world.assert_same();
    sound(&world.daemon);
}

#[test]
fn it_is_refused_where_it_cannot_be() {
    let more = "[collection.drawer]\n\n[app.reader]\ngrants = { things = \"read\" }\n";
    let mut world = scripted(Options::default(), more);
    world.server.put("things", "a", &json!({ "n": 1 }));
    let hint = |error: &Value| error["data"]["hint"].as_str().unwrap_or_default().to_owned();
    let unknown = world.app.refused("not_found", "rebuild", json!({ "collection": "thongs" }));
    assert!(hint(&unknown).contains("things"), "{unknown}");
    let alone = world.app.refused("invalid", "rebuild", json!({ "collection": "drawer" }));
    assert!(hint(&alone).contains("[sync.NAME]"), "{alone}");
    world.app.refused("invalid", "rebuild", json!({ "collection": "things", "mode": "fast" }));
    world.daemon.app("reader").refused("denied", "rebuild", json!({ "collection": "things" }));
    App::raw(&world.daemon.socket()).expect("a socket").refused("denied", "rebuild", json!({ "collection": "things" }));
    let said = world.daemon.says(1, &["rebuild", "thongs"]);
    assert!(said.contains("thongs") && said.contains("the collections are"), "{said}");
    world.app.must("sync.pause", json!({ "sync": "things" }));
    let paused = world.app.refused("stopped", "rebuild", json!({ "collection": "things" }));
    assert!(hint(&paused).contains("mingle resume things"), "{paused}");
    world.app.must("sync.resume", json!({ "sync": "things" }));
    world.app.must("stop", json!({}));
    world.app.refused("stopped", "rebuild", json!({ "collection": "things" }));
    world.app.must("restart", json!({}));

    // A run that is under way ends first.
    world.server.next("GET", Fault::Lag(Duration::from_millis(300)));
    let first = world.app.run("things");
    until("the run", || (world.app.status("things")["state"] == "running").then_some(()));
    let answer = world.app.must("rebuild", json!({ "collection": "things" }));
    assert_eq!((&answer["runs"][0]["sync"], &answer["runs"][0]["queued"]), (&json!("things"), &json!(true)), "{answer}");
    let run = answer["runs"][0]["run"].as_str().expect("a run").to_owned();
    assert_eq!((world.app.ended(&first), world.app.ended(&run)), ("done".into(), "done".into()));
    // One that does not get through to the service has thrown nothing away.
    world.server.next("GET", Fault::Body("{\"".into()));
    let seq = world.app.must("status", json!({}))["seq"].clone();
    let said = world.daemon.says(1, &["rebuild", "things"]);
    assert!(said.contains("things: failed"), "{said}");
    assert_eq!(world.app.must("status", json!({}))["seq"], seq);
    world.assert_same();
}

/// Killed at moments that are left to chance. Where its first row had come it goes on by itself after the start; and the command, which
/// sees it through, ends well whenever the daemon died.
#[test]
fn a_kill_in_the_middle_loses_nothing_and_it_goes_on() {
    let mut chance = Chance::new(Chance::seed(17));
    let server = RestServer::start(Options { page_rows: 10, ..Options::default() }, &["things"]);
    let home = Home::new(Some(&scripted_config(&server.url, "")));
    server.write_profile(&home.config_dir());
    let mut daemon = home.start();
    fill(&server, 99);
    daemon.app("tester").sync("things", "done");
    let mut failed = 0;
    let rounds: i64 = 6;
    for round in 0..rounds {
        let mut app = daemon.app("tester");
        app.patch("things", "r50", &json!({ "name": format!("edited {round}") }));
        app.put("things", &format!("mine{round}"), &json!({ "n": round }));
        daemon.kill();
        let wrong = format!("json_set(data, '$.n', 'wrong {round}')");
        damage(&daemon.store(), &format!("UPDATE m_record SET data = {wrong} WHERE id BETWEEN 'r00' AND 'r49' AND state = 0"));
        daemon.start();
        let mut app = daemon.app("tester");
        for _ in 0..10 {
            server.next("GET", Fault::Lag(Duration::from_millis(15)));
        }
        let alone = round % 2 == 0;
        let command = if alone {
            app.must("rebuild", json!({ "collection": "things" }));
            until("the first row", || (app.get("things", "r00")?["n"] == 0).then_some(()));
            None
        } else {
            let before = app.must("history", json!({ "limit": 1 }))["runs"][0]["run"].clone();
            let mut command = daemon.command(&["rebuild", "things"]);
            let command = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("mingle");
            until("the run", || (app.must("history", json!({ "limit": 1 }))["runs"][0]["run"] != before).then_some(()));
            Some(command)
        };
        wait::pass(chance.time(Duration::from_millis(100)));
        daemon.kill();
        let read = |sql: &str| -> i64 {
            let conn = Connection::open(daemon.store()).expect("the store");
            conn.query_row(sql, (), |row| row.get(0)).expect("a number")
        };
        let live = read("SELECT count(*) FROM m_record WHERE state = 0");
        let kept = read("SELECT count(*) FROM m_record WHERE id = 'r50' AND data LIKE '%edited%'");
        failed += u64::from(live != 99 + round + 1 || kept != 1);
        daemon.start();
        if let Some(command) = command {
            let ended = command.wait_with_output().expect("it ends");
            let said = String::from_utf8_lossy(&ended.stdout);
            assert_eq!(ended.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&ended.stderr));
        }
        let mut app = daemon.app("tester");
        let mended = || {
            let all = app.all("things");
            (0..50).all(|n| all[&format!("r{n:02}")]["n"] == n).then_some(())
        };
        until("all that was wrong is mended", mended);
        until("the end of it", || (app.status("things")["state"] == "waiting").then_some(()));
        assert_same(&app.all("things"), &server.rows("things"));
        assert_eq!(server.rows("things")["r50"]["name"], format!("edited {round}"));
        sound(&daemon);
    }
    tally::tell("kills", rounds.unsigned_abs(), failed);
    assert_eq!(failed, 0, "a half-empty collection, or a lost edit, was there after a kill");
}
