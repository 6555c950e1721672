//! Owns: real data in real amounts: the tables of languages (ISO 639-3) and of subdivisions (ISO 3166-2) as the package pycountry
//! has them (LGPL; installed for the tests, not copied), through a real server, with stops and kills on the way; at the end an
//! oracle compares truth and remote, record by record. Must never know: how any of it is synced.
//!
//! It takes more than half a minute because the server takes 13,000 records one by one.

use std::{collections::BTreeMap, fs, time::Duration};

use mingle_tests::{
    chance::Chance,
    daemon::Home,
    servers::{self, Kinto},
    wait::{Watch, until, until_within},
};
use serde_json::{Value, json};

use crate::bench::{assert_same, kinto_config};

type Table = BTreeMap<String, Value>;

/// Rows of one of pycountry's files, by the property that names them.
fn table(file: &str, root: &str, id: &str) -> Table {
    let path = servers::python_package("pycountry").join("databases").join(file);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut rows: Value = serde_json::from_str(&text).expect("a table in JSON");
    let rows = rows[root].as_array_mut().expect("rows").iter_mut();
    rows.map(|row| (row[id].as_str().expect("a name").to_owned(), row.take())).collect()
}

/// One of the two, its sync and its resource.
struct Side {
    sync: &'static str,
    resource: String,
    rows: Table,
}

#[test]
fn thirteen_thousand_real_records_survive_stops_kills_and_edits_on_both_sides() {
    let watch = Watch::start();
    let kinto = Kinto::start();
    let mut sides = [
        Side { sync: "languages", resource: kinto.collection(), rows: table("iso639-3.json", "639-3", "alpha_3") },
        Side { sync: "subdivisions", resource: kinto.collection(), rows: table("iso3166-2.json", "3166-2", "code") },
    ];
    std::thread::scope(|scope| {
        for side in &sides {
            scope.spawn(|| kinto.put_all(&side.resource, &side.rows));
        }
    });
    let records: usize = sides.iter().map(|side| side.rows.len()).sum();
    assert!(records > 12_000, "{records} records");
    eprintln!("real tables: {records} records in the server after {:?}", watch.elapsed());

    let remote = kinto_config(&kinto.url, &sides[0].resource, sides[0].sync, "");
    let second = kinto_config(&kinto.url, &sides[1].resource, sides[1].sync, "");
    let second = &second[second.find("[sync.").expect("the second sync")..];
    let home = Home::new(Some(&format!("{remote}\n{second}")));
    home.write("kinto.secret", Kinto::ACCOUNT.1);
    let mut daemon = home.start();
    let mut app = daemon.app("tester");
    let seq = |app: &mut mingle_tests::app::App| app.must("status", json!({}))["seq"].as_u64().expect("a seq");

    // Down, stopped on the way, killed on the way.
    let down = Watch::start();
    for side in &sides {
        app.run(side.sync);
    }
    until("a quarter of the records", || (seq(&mut app) > 3_000).then_some(()));
    daemon.says(0, &["stop"]);
    until_within("the stop", Duration::from_secs(10), || (app.must("status", json!({}))["state"] == "stopped").then_some(()));
    let stood = seq(&mut app);
    daemon.says(0, &["restart", "--resync-stopped"]);
    until("half of the records", || (seq(&mut app) > stood.max(6_000)).then_some(()));
    daemon.kill();
    daemon.start();
    app = daemon.app("tester");
    let rest = |app: &mut mingle_tests::app::App| {
        ["languages", "subdivisions"].iter().all(|sync| app.status(sync)["state"] == "waiting") && seq(app) >= records as u64
    };
    until_within("the rest of the records", Duration::from_secs(120), || rest(&mut app).then_some(()));
    for side in &sides {
        assert_same(&app.all(side.sync), &side.rows);
    }
    assert_eq!(seq(&mut app), records as u64, "each record was written once");
    eprintln!("real tables: down, with a stop and a kill, in {:?}", down.elapsed());

    // Edits on both sides: different properties of the same records, records of each side's own, deletes.
    let seed = Chance::seed(3);
    let mut chance = Chance::new(seed);
    for side in &mut sides {
        let ids: Vec<String> = side.rows.keys().cloned().collect();
        let mut any = || ids[usize::try_from(chance.below(ids.len() as u64)).expect("a place")].clone();
        for n in 0..120 {
            let (ours, theirs, both) = (any(), any(), any());
            for (id, here, there) in [(&ours, true, false), (&theirs, false, true), (&both, true, true)] {
                let Some(row) = side.rows.get_mut(id) else { continue };
                if here {
                    app.patch(side.sync, id, &json!({ "note_here": n, "type": null }));
                    row["note_here"] = json!(n);
                    row.as_object_mut().expect("a record").remove("type");
                }
                if there {
                    kinto.patch(&side.resource, id, &json!({ "note_there": n }));
                    row["note_there"] = json!(n);
                }
            }
        }
        for n in 0..60 {
            let (here, there) = (format!("new-here-{n}"), format!("new-there-{n}"));
            app.put(side.sync, &here, &json!({ "name": here }));
            kinto.put(&side.resource, &there, &json!({ "name": there }));
            side.rows.insert(here.clone(), json!({ "name": here }));
            side.rows.insert(there.clone(), json!({ "name": there }));
        }
        for n in 0..20 {
            let (here, there) = (any(), any());
            // A record that somebody edited stays where an edit meets a delete; those are tested elsewhere.
            let untouched = |rows: &Table, id: &str| {
                rows.get(id).is_some_and(|row| row.get("note_here").is_none() && row.get("note_there").is_none())
            };
            if untouched(&side.rows, &here) {
                app.delete(side.sync, &here);
                side.rows.remove(&here);
            }
            if n < 5 && untouched(&side.rows, &there) {
                kinto.delete(&side.resource, &there);
                side.rows.remove(&there);
            }
        }
    }

    // Up, killed on the way, stopped on the way.
    let up = Watch::start();
    for side in &sides {
        app.run(side.sync);
    }
    let pending = |app: &mut mingle_tests::app::App, sync: &str| app.status(sync)["pending"].as_u64().unwrap_or(0);
    let all = pending(&mut app, "languages");
    until("some changes to have gone up", || (pending(&mut app, "languages") + 20 < all).then_some(()));
    daemon.kill();
    daemon.start();
    app = daemon.app("tester");
    daemon.says(0, &["stop"]);
    daemon.says(0, &["restart", "--resync-stopped"]);
    for side in &sides {
        until_within("all of them to have gone up", Duration::from_secs(120), || {
            let run = app.run(side.sync);
            let state = app.ended(&run);
            (state == "done" && pending(&mut app, side.sync) == 0).then_some(())
        });
    }
    eprintln!("real tables: up, with a kill and a stop, in {:?}", up.elapsed());
    for side in &sides {
        let (truth, theirs) = (app.all(side.sync), kinto.list(&side.resource));
        assert_same(&truth, &side.rows);
        assert_same(&theirs, &side.rows);
        let status = app.status(side.sync);
        assert_eq!((&status["conflicts"], &status["rejections"]), (&json!(0), &json!(0)), "seed {seed}: {status}");
    }
    eprintln!("real tables: all of it in {:?}", watch.elapsed());
}
