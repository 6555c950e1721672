//! Owns: `mingle fsck` from outside: beside the daemon, without it, on a copy, on a damaged one. Must never know: how a rule is checked.

use std::path::Path;

use mingle_tests::{
    daemon::{Daemon, Home},
    rest_server::Options,
};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::bench::scripted;

const CONFIG: &str = "[collection.notes]\nindex = [\"n\"]\n";

fn damage(store: &Path, sql: &str) {
    let conn = Connection::open(store).expect("the copy");
    conn.execute_batch(&format!("PRAGMA foreign_keys = off; {sql}")).expect("damaged");
}

fn fsck(daemon: &Daemon, code: i32, file: &Path) -> Value {
    let said = daemon.says(code, &["fsck", "--json", &file.display().to_string()]);
    serde_json::from_str(said.lines().next().expect("a line")).expect("JSON")
}

/// A store with a remote, conflicts, history: good beside the daemon and without, and each damage of a copy is named.
#[test]
fn a_store_is_looked_at_and_what_is_wrong_is_named() {
    let mut world = scripted(Options::default(), CONFIG);
    world.server.put("things", "t1", &json!({ "a": 1 }));
    for n in 0..20 {
        world.app.put("notes", &format!("n{n}"), &json!({ "n": n }));
        world.app.put("things", &format!("mine{n}"), &json!({ "n": n }));
    }
    world.app.sync("things", "done");
    world.app.delete("things", "mine3");
    world.app.must("patch", json!({ "collection": "things", "id": "t1", "patch": { "a": 2 } }));
    let said = world.daemon.says(0, &["fsck"]);
    assert!(said.starts_with("good: 40 records, up to seq ") && said.ends_with("; every rule holds\n"), "{said}");
    world.app.sync("things", "done");
    let copy = world.daemon.config_dir().join("copy.db");
    world.daemon.says(0, &["backup", &copy.display().to_string()]);
    assert_eq!(fsck(&world.daemon, 0, &copy)["good"], true);
    world.daemon.kill();
    assert!(world.daemon.says(0, &["fsck"]).starts_with("good: "));

    for (sql, rule, about, hint) in [
        ("UPDATE m_record SET data = NULL WHERE id = 'n7'", "record", "notes/n7", "mingle restore"),
        ("DELETE FROM m_ledger WHERE record = (SELECT record FROM m_record WHERE id = 'n8')", "seq", "notes/n8", "mingle restore"),
        ("UPDATE m_link SET base = 1 WHERE remote_id = 't1'", "link", "things/t1 at ", "--mode refresh"),
        ("UPDATE m_sync SET watermark = '!', resume = '!'", "checkpoint", "things", "--mode slow"),
        ("DROP INDEX m_link_remote", "schema", "index m_link_remote", "mingle restore"),
    ] {
        let damaged = world.daemon.config_dir().join("damaged.db");
        let _ = std::fs::remove_file(&damaged);
        std::fs::copy(&copy, &damaged).expect("copied");
        damage(&damaged, sql);
        let found = fsck(&world.daemon, 1, &damaged);
        assert_eq!(found["good"], false);
        let findings = found["findings"].as_array().expect("a list");
        let named = |one: &&Value| {
            one["rule"] == rule
                && one["about"].as_str().is_some_and(|it| it.starts_with(about))
                && one["hint"].as_str().is_some_and(|it| it.contains(hint))
        };
        assert!(findings.iter().any(|one| named(&one)), "{sql}: {found}");
        let said = world.daemon.says(1, &["fsck", &damaged.display().to_string()]);
        assert!(said.contains(&format!("{rule}  {about}")) && said.contains(hint), "{said}");
    }
    // A refresh does what it is named for.
    damage(&world.daemon.store(), "UPDATE m_link SET base = 1, agreed = NULL WHERE remote_id = 't1'");
    assert!(world.daemon.says(1, &["fsck"]).contains("link  things/t1 at "));
    world.daemon.start();
    world.daemon.says(0, &["sync", "things", "--mode", "refresh"]);
    assert!(world.daemon.says(0, &["fsck"]).starts_with("good: "));
}

#[test]
fn what_is_no_store_is_said_to_be_none() {
    let home = Home::new(None);
    assert!(home.says(1, &["fsck"]).contains("there is no store at"));
    let other = home.config_dir().join("other.db");
    std::fs::create_dir_all(home.config_dir()).expect("a folder");
    Connection::open(&other).expect("a file").execute_batch("CREATE TABLE x (a)").expect("made");
    assert!(home.says(1, &["fsck", &other.display().to_string()]).contains("a database of some other program"));
    std::fs::write(&other, vec![7_u8; 9_000]).expect("written");
    assert!(home.says(1, &["fsck", &other.display().to_string()]).contains("file  store: "));
}
