//! Owns: `mingle fsck` from outside (beside the daemon, without it, on a copy, on a damaged one), and `mingle import`. Must never know: how
//! a rule is checked, how a record is written.

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
#[expect(clippy::disallowed_methods, reason = "no daemon has this copy open")]
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
        (
            "DELETE FROM m_ledger WHERE record = (SELECT record FROM m_record WHERE id = 'n8')",
            "seq",
            "notes/n8",
            "mingle restore",
        ),
        ("UPDATE m_link SET base = 1 WHERE remote_id = 't1'", "link", "things/t1 at ", "mingle rebuild"),
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
    // A rebuild does what it is named for.
    damage(&world.daemon.store(), "UPDATE m_link SET base = 1, agreed = NULL WHERE remote_id = 't1'");
    assert!(world.daemon.says(1, &["fsck"]).contains("link  things/t1 at "));
    world.daemon.start();
    world.daemon.says(0, &["rebuild", "things"]);
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

fn file(daemon: &Daemon, name: &str, text: &str) -> String {
    let path = daemon.config_dir().join(name);
    std::fs::write(&path, text).expect("written");
    path.display().to_string()
}

fn line(id: &str, data: &Value) -> String {
    json!({ "collection": "notes", "id": id, "data": data }).to_string()
}

/// What export writes, import reads: another store then prints the same.
#[test]
fn an_export_is_imported_into_another_store() {
    let from = Daemon::with("[collection.notes]\n[collection.more]\n");
    let mut app = from.app("tester");
    for n in 0..450 {
        app.put("notes", &format!("n{n}"), &json!({ "n": n, "text": "with \"quotes\" and\nlines", "big": 1.5e300 }));
    }
    app.put("more", "ü", &json!({}));
    let exported = from.says(0, &["export"]);
    let to = Daemon::with("[collection.notes]\n[collection.more]\n");
    let path = file(&to, "all.ndjson", &exported);
    assert_eq!(to.says(0, &["import", &path]), "imported 451 records\n");
    let without_seq = |text: &str| -> Vec<Value> {
        let read = |line: &str| {
            let mut line: Value = serde_json::from_str(line).expect("JSON");
            line.as_object_mut().expect("an object").remove("seq");
            line
        };
        text.lines().map(read).collect()
    };
    assert_eq!(without_seq(&to.says(0, &["export"])), without_seq(&exported));
    // Again, it changes nothing.
    let seq = to.app("tester").must("status", json!({}))["seq"].clone();
    assert_eq!(to.says(0, &["import", &path]), "imported 0 records, 451 there already\n");
    assert_eq!(to.says(0, &["import", "--json", &path]), "{\"lines\":451,\"there\":451,\"written\":0}\n");
    assert_eq!(to.app("tester").must("status", json!({}))["seq"], seq);
    // From standard input, which cannot be read twice.
    let mingle = mingle_tests::daemon::mingle();
    let shell = format!("tail -n 3 '{path}' | '{}' import --if-exists replace -", mingle.display());
    let mut command = std::process::Command::new("sh");
    command.args(["-c", &shell]).env("MINGLE_SOCKET", to.socket());
    let output = command.output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "imported 3 records\n", "{}", String::from_utf8_lossy(&output.stderr));
    assert!(to.says(0, &["fsck"]).starts_with("good: "));
}

/// One bad line, wherever it is: it is named, and nothing is changed.
#[test]
fn a_bad_line_is_named_and_nothing_is_changed() {
    let daemon = Daemon::with(CONFIG);
    let good: Vec<String> = (0..600).map(|n| line(&format!("n{n}"), &json!({ "n": n }))).collect();
    let seq = |daemon: &Daemon| daemon.app("tester").must("status", json!({}))["seq"].clone();
    let before = seq(&daemon);
    for (bad, words) in [
        ("{", "it is no JSON object"),
        (r#"{"collection":"notes","id":"x","data":[1]}"#, "data is no JSON object"),
        (r#"{"collection":"notes","id":"x"}"#, "it has no data"),
        (r#"{"collection":"nots","id":"x","data":{}}"#, "no collection \"nots\""),
        (r#"{"collection":"notes","id":"","data":{}}"#, "an id has 1 to 256 bytes"),
    ] {
        let mut lines = good.clone();
        lines.insert(500, bad.into());
        let said = daemon.says(1, &["import", &file(&daemon, "bad.ndjson", &lines.join("\n"))]);
        assert!(said.contains("line 501: ") && said.contains(words) && said.contains("nothing was imported"), "{bad}: {said}");
        assert_eq!(seq(&daemon), before, "{bad}");
    }
    assert!(daemon.says(1, &["import", "/nonexistent"]).contains("No such file"));

    // What is there with other content is not written over without a word.
    daemon.app("tester").put("notes", "n599", &json!({ "mine": true }));
    let path = file(&daemon, "good.ndjson", &good.join("\n"));
    let before = seq(&daemon);
    let said = daemon.says(1, &["import", &path]);
    assert!(said.contains("line 600: notes/n599 is there with other content") && said.contains("--if-exists keep"), "{said}");
    assert_eq!(seq(&daemon), before);
    assert_eq!(daemon.says(0, &["import", "--if-exists", "keep", &path]), "imported 599 records, 1 there already\n");
    assert_eq!(daemon.app("tester").get("notes", "n599"), Some(json!({ "mine": true })));
    daemon.says(0, &["import", "--if-exists", "replace", &path]);
    assert_eq!(daemon.app("tester").get("notes", "n599"), Some(json!({ "n": 599 })));
}

/// What only the daemon can tell is found in the middle: whole batches are there, the line is named, and the same file can be
/// imported again.
#[test]
fn what_the_daemon_refuses_is_named_and_can_be_repeated() {
    let daemon = Daemon::with("[collection.notes]\n[app.stranger]\ngrants = { notes = \"read\" }\n");
    let mut lines: Vec<String> = (0..300).map(|n| line(&format!("n{n}"), &json!({ "n": n }))).collect();
    // The same name twice in one object: no record has that.
    lines[250] = r#"{"collection":"notes","id":"n250","data":{"n":1,"n":2}}"#.into();
    let path = file(&daemon, "twice.ndjson", &lines.join("\n"));
    let said = daemon.says(2, &["import", &path]);
    assert!(said.contains("line 251: ") && said.contains("200 lines before it are imported"), "{said}");
    let there = daemon.app("tester").all("notes").len();
    assert_eq!(there, 200, "whole batches, and none of the one that was refused");
    lines[250] = line("n250", &json!({ "n": 250 }));
    let path = file(&daemon, "once.ndjson", &lines.join("\n"));
    assert_eq!(daemon.says(0, &["import", &path]), "imported 100 records, 200 there already\n");
    // What is not granted writes nothing.
    let said = daemon.says(4, &["import", "--app", "stranger", "--if-exists", "replace", &path]);
    assert!(said.contains("line 1: ") && said.contains("may not"), "{said}");
}

/// A file that is larger than the memory it may take is read line by line.
#[test]
fn a_large_file_does_not_come_into_memory() {
    let daemon = Daemon::with(CONFIG);
    let path = daemon.config_dir().join("large.ndjson");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    for n in 0..250 {
        let text = char::from(b'a' + (n % 26) as u8).to_string().repeat(1_000_000);
        std::io::Write::write_all(&mut out, format!("{}\n", line("same", &json!({ "text": text }))).as_bytes()).expect("written");
    }
    std::io::Write::write_all(&mut out, b"{\n").expect("written");
    drop(out);
    let mut command = std::process::Command::new("sh");
    let shell = format!(
        "ulimit -v 200000; exec '{}' import --if-exists replace '{}'",
        mingle_tests::daemon::mingle().display(),
        path.display()
    );
    let output = command.args(["-c", &shell]).env("MINGLE_SOCKET", daemon.socket()).output().expect("a shell");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("line 251: it is no JSON object"), "{said}");
}
