//! Owns: a store whose files are taken away, replaced, cut, put back, restored from an older copy or damaged, under a daemon and between
//! two. Must never know: how the store finds out.
//!
//! `MINGLE_BIT_FLIPS` says how many damaged stores are opened (40 in a plain test run), `MINGLE_SEED` which bits.

use std::{
    fs,
    path::{Path, PathBuf},
};

use mingle_core::time::Timestamp;
use mingle_tests::{
    chance::Chance,
    daemon::Daemon,
    rest_server, tally,
    wait::{until, until_within},
};
use mingled::store::{Options, Store, StoreError};
use serde_json::{Value, json};

use super::{
    play::{CONFIG, Play, Told, records},
    shim,
};

fn begun() -> (Daemon, Play) {
    let daemon = shim::home(CONFIG).start();
    let mut play = Play::default();
    play.go_on(&mut daemon.app("player"), 12).expect("a good disk");
    (daemon, play)
}

fn beside(store: &Path, end: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn moved(daemon: &Daemon) -> Option<String> {
    let status = daemon.app("looker").must("status", json!({}));
    let all = status["attention"].as_array().expect("a list").iter();
    let found = all.filter(|one| one["name"] == "store_moved").find_map(|one| one["hint"].as_str());
    found.map(str::to_owned)
}

/// What happens to one file of the store while the daemon runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    Removed,
    Replaced,
    Cut,
}

fn lose(path: &Path, loss: Loss) {
    match loss {
        Loss::Removed => fs::remove_file(path).expect("a file to be taken away"),
        Loss::Replaced => {
            let other = path.with_extension("other");
            fs::write(&other, b"something else").expect("another file");
            fs::rename(&other, path).expect("another file in its place");
        }
        Loss::Cut => fs::File::options().write(true).open(path).and_then(|file| file.set_len(100)).expect("a file to be cut"),
    }
}

/// No write is acknowledged into a file that nobody finds again, a person hears of it, and what was acknowledged before survives the loss
/// of the log.
#[track_caller]
fn check(end: &str, loss: Loss) {
    let (mut daemon, mut play) = begun();
    let store = daemon.store();
    let mut app = daemon.app("player");
    lose(&beside(&store, end), loss);
    let from = play.told.len();
    play.go_on(&mut app, from + 4).expect("a daemon that lives");
    for told in &play.told[from..] {
        assert!(matches!(told, Told::Refused(name) if name == "read_only" || name == "not_found"), "{end} {loss:?}: {told:?}");
    }
    let hint = until("it to be told", || moved(&daemon));
    assert!(hint.contains("restart mingled"), "{hint}");
    // What is read was acknowledged, or the read fails and says so: only what was open before can be read.
    for number in [0, 1, 2, 4] {
        match app.ask("get", &json!({ "collection": "things", "id": format!("w{number}") })).expect("an answer") {
            Ok(found) => assert_eq!(found["data"]["n"], number, "{end} {loss:?}"),
            Err(error) => assert_eq!(error["data"]["name"], "internal", "{end} {loss:?}: {error}"),
        }
    }
    daemon.kill();
    if end.is_empty() {
        return;
    }
    if loss == Loss::Replaced {
        // SQLite takes a log that it did not write for none at all.
        let _ = fs::remove_file(beside(&store, end));
    }
    daemon.start();
    let mut app = daemon.app("player");
    if loss != Loss::Cut {
        assert_eq!(play.read(&mut app), Vec::<String>::new(), "{end} {loss:?}");
    }
    let from = play.told.len();
    play.go_on(&mut app, from + 2).expect("a daemon that lives");
    assert_eq!(play.told[from..].iter().filter(|told| **told == Told::Acknowledged).count(), 2, "{end} {loss:?}");
    daemon.terminate();
    records(&store).expect("a sound store");
}

#[test]
fn files_that_are_taken_away_cost_no_acknowledged_write() {
    for loss in [Loss::Removed, Loss::Replaced] {
        for end in ["", "-wal", "-shm"] {
            check(end, loss);
        }
    }
    // The index is memory of the process: whoever cuts it ends every process that reads it, which no process can help.
    check("-wal", Loss::Cut);
    check("", Loss::Cut);
}

/// Also where nobody writes.
#[test]
fn a_store_that_is_taken_away_is_noticed_and_goes_on_once_it_is_back() {
    let (mut daemon, mut play) = begun();
    let away = daemon.dir().join("d/away");
    fs::rename(daemon.store(), &away).expect("moved");
    until_within("it to be noticed", std::time::Duration::from_secs(40), || moved(&daemon));
    assert!(!daemon.store().exists(), "it is not made anew in silence");
    fs::rename(&away, daemon.store()).expect("moved back");
    let mut app = daemon.app("player");
    until("writes to be taken again", || {
        let count = play.told.len() + 1;
        play.go_on(&mut app, count).expect("a daemon that lives");
        (play.told.last() == Some(&Told::Acknowledged)).then_some(())
    });
    assert_eq!(play.read(&mut app), Vec::<String>::new());
    until("nothing to be told", || moved(&daemon).is_none().then_some(()));
    daemon.terminate();
    assert_eq!(play.look(&daemon.store()), Vec::<String>::new());
}

/// An older copy in the place of the store, by other means than `mingle restore`: what apps know of later is not there any more.
#[test]
fn a_store_from_an_older_copy_sends_apps_back_to_the_beginning() {
    let (mut daemon, mut play) = begun();
    daemon.terminate();
    let copy = fs::read(daemon.store()).expect("a copy");
    daemon.start();
    let mut app = daemon.app("player");
    play.go_on(&mut app, 24).expect("a good disk");
    let head = app.must("status", json!({}))["seq"].as_u64().expect("a seq");
    let instance = app.must("status", json!({}))["instance"].clone();
    daemon.terminate();
    fs::write(daemon.store(), copy).expect("the copy in its place");
    daemon.start();
    let mut app = daemon.app("player");
    let changes = app.must("changes", json!({ "since": head, "instance": instance, "limit": 10 }));
    assert_eq!(changes["fresh"], Value::Bool(true), "{changes}");
    assert!(app.must("status", json!({}))["seq"].as_u64().expect("a seq") < head);
    assert_eq!(app.get("things", "w0").map(|data| data["n"].clone()), Some(json!(0)));
    let (refused, from) = (app.ask("get", &json!({ "collection": "things", "id": "w20" })), play.told.len());
    assert!(matches!(refused, Ok(Err(error)) if error["data"]["name"] == "not_found"));
    play.go_on(&mut app, from + 1).expect("a daemon that lives");
    assert_eq!(play.told.last(), Some(&Told::Acknowledged));
}

/// An older copy in the place of the store, with an edit in it that was sent since: the next run pushes nothing that is old, loses
/// nothing that is new, and brings nothing back that was deleted.
fn older_copy(options: rest_server::Options, restored: bool) {
    let what = format!("{options:?}, restored: {restored}");
    let mut bench = crate::net::bench(options, "");
    bench.fill(20);
    bench.settle();
    bench.app.patch("things", "r01", &json!({ "ours": 1 }));
    let copy = bench.daemon.dir().join("copy.db");
    let name = copy.display().to_string();
    if restored {
        bench.daemon.says(0, &["backup", &name]);
    } else {
        bench.daemon.terminate();
        fs::write(&copy, fs::read(bench.daemon.store()).expect("the store")).expect("a copy");
        bench.daemon.start();
        bench.app = bench.daemon.app("tester");
    }
    bench.settle();
    bench.server.patch("things", "r01", &json!({ "later": true }));
    bench.server.put("things", "r02", &json!({ "n": "theirs" }));
    bench.server.delete("things", "r03");
    bench.app.patch("things", "r04", &json!({ "ours": 2 }));
    bench.app.delete("things", "r05");
    bench.app.put("things", "new", &json!({ "made": true }));
    bench.settle();
    let there = bench.server.rows("things");
    bench.daemon.terminate();
    if restored {
        bench.daemon.says(0, &["restore", &name]);
    } else {
        fs::write(bench.daemon.store(), fs::read(&copy).expect("the copy")).expect("the copy in its place");
    }
    bench.daemon.start();
    bench.app = bench.daemon.app("tester");
    assert_eq!(bench.app.status("things")["pending"], 1, "{what}: the edit of then waits");
    let _ = bench.server.log();
    bench.settle();
    let pushed: Vec<String> = bench.server.log().into_iter().filter(|line| !line.starts_with("GET")).collect();
    assert_eq!((pushed, bench.server.rows("things")), (Vec::new(), there), "{what}");
    assert_eq!(bench.app.must("conflict.list", json!({ "all": true }))["conflicts"], json!([]), "{what}");
}

#[test]
fn an_older_copy_pushes_nothing_old_loses_nothing_new_and_brings_nothing_back() {
    for options in [rest_server::Options::default, rest_server::Options::careless] {
        older_copy(options(), false);
        older_copy(options(), true);
    }
}

/// Bits that turn over in a store at rest: it opens with everything, or says what is wrong, or is moved aside whole; it is never wiped,
/// and nothing panics.
#[test]
fn bits_that_turn_over_never_cost_the_file() {
    let tries = std::env::var("MINGLE_BIT_FLIPS").ok().and_then(|text| text.parse().ok()).unwrap_or(40);
    let mut chance = Chance::new(Chance::seed(37));
    let (mut daemon, mut play) = begun();
    play.go_on(&mut daemon.app("player"), 40).expect("a good disk");
    // With a log, and without.
    daemon.kill();
    let with_log = [fs::read(daemon.store()).expect("the store"), fs::read(beside(&daemon.store(), "-wal")).expect("its log")];
    daemon.start();
    daemon.terminate();
    // As a machine leaves it that went down after the log was folded back.
    let conn = rusqlite::Connection::open(daemon.store()).expect("the store");
    conn.execute("UPDATE m_store SET clean = 0", ()).expect("the store");
    drop(conn);
    let whole = [fs::read(daemon.store()).expect("the store"), Vec::new()];
    let room = tempfile::tempdir().expect("a folder");
    let (mut sound, mut aside, mut refused, mut wrong) = (0, 0, 0, Vec::new());
    for round in 0..tries {
        let [mut store, mut log] = if round % 2 == 0 { whole.clone() } else { with_log.clone() };
        let victim = if log.is_empty() || chance.below(2) == 0 { &mut store } else { &mut log };
        // Anywhere, mostly inside of values; or where SQLite's own bookkeeping is, at the beginning of pages.
        let anywhere = round % 4 < 2;
        for _ in 0..=chance.below(if anywhere { 4 } else { 8 }) {
            let at = chance.below(victim.len() as u64);
            let at = if anywhere { at } else { at / 4_096 * 4_096 + chance.below(40) };
            victim[usize::try_from(at).expect("a place")] ^= 1 << chance.below(8);
        }
        let folder = room.path().join(round.to_string());
        fs::create_dir(&folder).expect("a folder");
        let path = folder.join("store.db");
        fs::write(&path, &store).expect("a store");
        fs::write(beside(&path, "-wal"), &log).expect("a log");
        let opened =
            std::panic::catch_unwind(|| Store::open(&path, Options::default(), Timestamp::from_unix_ms(1_790_000_000_000)));
        match opened {
            Ok(Ok(opened)) => match opened.moved_aside {
                Some(kept) => {
                    aside += 1;
                    let bytes = fs::read(&kept).unwrap_or_default();
                    if bytes.len() < store.len() / 2 {
                        wrong.push(format!("round {round}: of {} bytes {} are kept", store.len(), bytes.len()));
                    }
                }
                None => sound += 1,
            },
            Ok(Err(StoreError::Place(_) | StoreError::Newer { .. } | StoreError::Damaged(_) | StoreError::Sql(_))) => {
                refused += 1;
                if fs::read(&path).map_or(0, |bytes| bytes.len()) < store.len() / 2 {
                    wrong.push(format!("round {round}: refused, and not left as it is"));
                }
            }
            Ok(Err(error)) => wrong.push(format!("round {round}: {error}")),
            Err(_) => wrong.push(format!("round {round}: a panic")),
        }
        let _ = fs::remove_dir_all(&folder);
    }
    eprintln!("bit flips: {tries} stores: {sound} open, {aside} moved aside, {refused} refused");
    tally::tell("bit-flips", tries, wrong.len() as u64);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(aside + refused > 0 && sound > 0, "damage of one kind only");
}

/// Damage that shows while the daemon runs is told, and the next start moves the store aside.
#[test]
fn damage_that_is_met_later_is_told_and_the_next_start_keeps_the_store_aside() {
    let (mut daemon, mut play) = begun();
    play.go_on(&mut daemon.app("player"), 60).expect("a good disk");
    daemon.terminate();
    // Only where records lie: whatever a start reads is whole, so it opens.
    let roots: Vec<usize> = {
        let store = rusqlite::Connection::open(daemon.store()).expect("the store");
        let mut named = store
            .prepare("SELECT rootpage FROM sqlite_master WHERE name IN ('m_record', 'm_record_id', 'm_record_feed')")
            .expect("its schema");
        let rows = named.query_map((), |row| row.get::<_, i64>(0)).expect("its schema");
        rows.map(|root| usize::try_from(root.expect("a page")).expect("a page")).collect()
    };
    let mut bytes = fs::read(daemon.store()).expect("the store");
    roots.into_iter().for_each(|page| bytes[(page - 1) * 4_096..(page - 1) * 4_096 + 8].fill(0xee));
    fs::write(daemon.store(), &bytes).expect("a damaged store");
    daemon.start();
    let mut app = daemon.app("player");
    let refused = app.ask("list", &json!({ "collection": "things", "limit": 1000 })).expect("an answer").expect_err("damage");
    assert_eq!(refused["data"]["name"], "internal", "{refused}");
    assert!(refused["message"].as_str().is_some_and(|told| told.contains("damaged")), "{refused}");
    let status = app.must("status", json!({}));
    assert_eq!(status["attention"][0]["name"], "store_damaged", "{status}");
    daemon.terminate();
    daemon.start();
    let mut app = daemon.app("player");
    let status = app.must("status", json!({}));
    assert_eq!(status["attention"][0]["name"], "store_damaged", "{status}");
    assert!(status["attention"][0]["hint"].as_str().is_some_and(|hint| hint.contains(".corrupt-")), "{status}");
    let mut fresh = Play::new("fresh");
    fresh.go_on(&mut app, 1).expect("a daemon that lives");
    assert_eq!(fresh.told, [Told::Acknowledged]);
}
