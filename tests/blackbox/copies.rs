//! Owns: reading the store's file beside the daemon, copies of it, and a copy put in its place. Must never know: how pages are copied.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use mingle_client::reader::{ReadError, Reader};
use mingle_tests::{
    daemon::{Daemon, Home},
    rest_server::Options,
    tally,
    wait::{self, until},
};
use serde_json::{Value, json};

use crate::bench::scripted;

const CONFIG: &str =
    "[collection.issues]\ncolumns = [\"title\"]\nidentity = [\"number\"]\nindex = [\"state\"]\n[collection.notes]\n";

fn filled() -> Daemon {
    fill(Daemon::with(CONFIG))
}

fn fill(daemon: Daemon) -> Daemon {
    let mut app = daemon.app("tester");
    for n in 0..20 {
        let state = if n % 4 == 0 { "closed" } else { "open" };
        app.put(
            "issues",
            &format!("i{n:02}"),
            &json!({ "number": n, "title": format!("number {n}"), "state": state, "list": [n] }),
        );
    }
    app.put("notes", "n1", &json!({ "text": "with \"quotes\"", "big": 1.5 }));
    app.delete("issues", "i19");
    daemon
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{line}: {why}"))).collect()
}

#[test]
fn a_question_in_sql_reads_the_views_and_nothing_else() {
    let mut daemon = filled();
    let views = lines(&daemon.says(0, &["sql", "--json"]));
    assert_eq!(
        views,
        [
            json!({ "view": "issues", "columns": ["id", "seq", "data", "title", "number", "state"] }),
            json!({ "view": "notes", "columns": ["id", "seq", "data"] }),
        ]
    );
    let question = "SELECT state, count(*) AS n, max(number) AS most FROM issues GROUP BY state ORDER BY state";
    let counts = [json!({ "state": "closed", "n": 5, "most": 16 }), json!({ "state": "open", "n": 14, "most": 18 })];
    assert_eq!(lines(&daemon.says(0, &["sql", "--json", question])), counts);
    let table = daemon.says(0, &["sql", question]);
    assert!(table.starts_with("state   n   most\nclosed  5   16\n"), "{table}");
    assert_eq!(
        lines(&daemon.says(0, &["sql", "--json", "SELECT json_extract(data, '$.list[0]') AS x FROM issues WHERE id = 'i07'"])),
        [json!({ "x": 7 })]
    );

    for (question, code, words) in [
        ("SELECT * FROM m_record", 4, "only the published views"),
        ("SELECT count(*) FROM m_link", 4, "only the published views"),
        ("SELECT sql FROM sqlite_schema", 4, "only the published views"),
        ("DELETE FROM m_record", 4, "only the published views"),
        ("INSERT INTO notes VALUES (1, 2, 3)", 4, "only the published views"),
        ("CREATE TABLE x (a)", 4, "only the published views"),
        ("PRAGMA journal_mode = delete", 4, "only the published views"),
        ("ATTACH 'other.db' AS other", 4, "only the published views"),
        ("SELECT load_extension('x')", 4, "only the published views"),
        ("SELECT * FROM nowhere", 1, "no such table"),
        ("hello", 1, "syntax error"),
    ] {
        let said = daemon.says(code, &["sql", question]);
        assert!(said.contains(words) && said.contains("hint"), "{question}: {said}");
    }
    // Without an end it is ended: the log must be folded back.
    let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let watch = wait::Watch::start();
    let said = daemon.says(7, &["sql", "--within", "300ms", endless]);
    assert!(said.contains("took longer than 300 ms") && watch.elapsed() < Duration::from_secs(20), "{said}");

    // All of it, as lines; the record's text as it was written.
    let said = daemon.says(0, &["export"]);
    let all = lines(&said);
    assert_eq!(all.len(), 20);
    assert_eq!(all[0]["id"], "i00");
    assert!(said.contains(r#""data":{"big":1.5,"text":"with \"quotes\""}"#), "{said}");
    assert_eq!(lines(&daemon.says(0, &["export", "notes"])).len(), 1);
    assert!(daemon.says(1, &["export", "nots"]).contains("the collections are issues, notes"));

    // Without the daemon too.
    daemon.kill();
    assert_eq!(lines(&daemon.says(0, &["sql", "--json", question])), counts);
    assert_eq!(lines(&daemon.says(0, &["export"])), all);
    daemon.start();
    let empty = Home::new(None);
    assert!(empty.says(1, &["sql", "SELECT 1"]).contains("there is no store at"));
}

#[test]
fn a_reader_sees_one_state_and_cannot_write() {
    let daemon = filled();
    let mut app = daemon.app("tester");
    let mut reader = Reader::open(&daemon.store()).expect("opened").within(Duration::from_millis(400));
    let counted = reader.snapshot(|now| {
        let before: i64 = now.one("SELECT count(*) FROM issues", [])?;
        app.put("issues", "more", &json!({ "number": 99 }));
        Ok((before, now.one::<i64>("SELECT count(*) FROM issues", [])?))
    });
    assert_eq!(counted.expect("read"), (19, 19));
    assert_eq!(reader.snapshot(|now| now.one::<i64>("SELECT count(*) FROM issues WHERE number = ?1", [99])).expect("read"), 1);
    assert!(reader.snapshot(|now| now.rows("UPDATE issues SET id = 'x'", [], |_| Ok(()))).is_err());
    for refused in ["DELETE FROM m_record", "SELECT data FROM m_record", "SELECT load_extension('x')"] {
        let error = reader.snapshot(|now| now.rows(refused, [], |_| Ok(()))).expect_err(refused);
        assert!(matches!(error, ReadError::NotPublished(_)), "{refused}: {error}");
    }
    let slow = reader.snapshot(|now| {
        now.one::<i64>("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n", [])
    });
    assert!(matches!(slow, Err(ReadError::TooLong(_))), "{slow:?}");
    assert_eq!(reader.views().expect("listed").len(), 2);
    assert!(matches!(Reader::open(&daemon.config_dir().join("no.db")), Err(ReadError::NoStore(_))));
}

/// The published views are a wire format: each value of a property, and what its column is. PROTOCOL.md says the same.
#[test]
fn the_published_views_are_as_promised() {
    let page = include_str!("../../proto/PROTOCOL.md");
    let daemon = Daemon::with("[collection.c]\nidentity = [\"k\"]\ncolumns = [\"p\", \"odd name\"]\nindex = [\"p\", \"i\"]\n");
    let mut app = daemon.app("tester");
    let mut reader = Reader::open(&daemon.store()).expect("opened");
    let views = reader.views().expect("listed");
    assert_eq!((views.len(), views[0].name.as_str()), (1, "c"));
    assert_eq!(views[0].columns, ["id", "seq", "data", "p", "odd name", "k", "i"]);
    for (value, kind, told) in [
        (json!("x"), "text x", "| a text | TEXT |"),
        (json!(7), "integer 7", "| a whole number that fits 64 bits | INTEGER |"),
        (json!(-9_007_199_254_740_993_i64), "integer -9007199254740993", "| a whole number that fits 64 bits | INTEGER |"),
        (json!(1.5), "real 1.5", "| another number | REAL |"),
        (json!(true), "integer 1", "| true, false | INTEGER 1, 0 |"),
        (json!(false), "integer 0", "| true, false | INTEGER 1, 0 |"),
        (Value::Null, "null ", "| null, or not there | NULL |"),
        (json!([1, "a"]), "text [1,\"a\"]", "| a list, an object | TEXT, its JSON |"),
        (json!({ "a": 1 }), "text {\"a\":1}", "| a list, an object | TEXT, its JSON |"),
    ] {
        assert!(page.contains(told), "PROTOCOL.md should say {told}");
        let written =
            app.must("put", json!({ "collection": "c", "id": "r", "data": { "p": value, "odd name": 1 }, "overwrite": true }));
        let row = reader.snapshot(|now| {
            let kind: String = now.one("SELECT typeof(p) || ' ' || coalesce(p, '') FROM c", [])?;
            let fixed: String = now.one("SELECT typeof(id) || typeof(seq) || typeof(data) || typeof(k) FROM c", [])?;
            Ok((kind, fixed, now.one::<i64>("SELECT seq FROM c WHERE \"odd name\" = 1", [])?))
        });
        assert_eq!(
            row.expect("read"),
            (kind.to_owned(), "textintegertextnull".to_owned(), written["seq"].as_i64().expect("a seq")),
            "{value}"
        );
    }
    // What is deleted is not there, and a since of the highest seq misses nothing.
    app.delete("c", "r");
    assert_eq!(reader.snapshot(|now| now.one::<i64>("SELECT count(*) FROM c", [])).expect("read"), 0);
}

/// P10: somebody who reads the file without end makes the log grow, and is named as long as it is so.
#[test]
fn who_pins_the_log_is_named() {
    let daemon = filled();
    let (process, hint) = pin_the_log(&daemon);
    assert_eq!(process["about"], format!("process {hint}"), "{process}");
    assert!(process["hint"].as_str().is_some_and(|hint| hint.contains("python") && hint.contains("MiB")), "{process}");
}

/// The same where the service's sandbox hides the list of locks: that the log is held is told, and how to find out by whom.
#[test]
fn where_the_sandbox_hides_who_pins_the_log_that_is_told() {
    if !rustix::process::geteuid().is_root() {
        tally::skip("a sandbox that hides the list of locks", "it needs root");
        return;
    }
    let mut home = Home::new(Some(CONFIG));
    home.set_under(&["unshare", "--mount", "sh", "-c", "mount -t proc -o subset=pid proc /proc && exec \"$@\"", "sh"]);
    let daemon = home.start();
    let (told, _) = pin_the_log(&fill(daemon));
    assert_eq!(told["about"], "store", "{told}");
    assert!(told["hint"].as_str().is_some_and(|hint| hint.contains("fuser -v") && hint.contains("MiB")), "{told}");
}

/// Reads the file without end while the log grows, until somebody is named for it, and again until nobody is. What was told, and the
/// reader's number.
fn pin_the_log(daemon: &Daemon) -> (Value, u32) {
    let mut app = daemon.app("tester");
    let script = "import sqlite3, sys, time\n\
                  store = sqlite3.connect('file:' + sys.argv[1] + '?mode=ro', uri=True, isolation_level=None)\n\
                  store.execute('BEGIN')\nprint(store.execute('SELECT count(*) FROM issues').fetchone()[0], flush=True)\n\
                  sys.stdin.read()\n";
    let mut python = std::process::Command::new("python3");
    python.args(["-c", script]).arg(daemon.store()).stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut python = mingle_tests::servers::spawn(python).expect("python3");
    let mut out = std::io::BufReader::new(python.stdout.take().expect("its output"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut out, &mut line).expect("it reads");
    assert_eq!(line.trim(), "19");
    let grow = |app: &mut mingle_tests::app::App, n: u8| {
        // Another text each time: pages that stay the same are not written.
        let text = char::from(b'a' + n % 26).to_string().repeat(900_000);
        app.put("notes", "large", &json!({ "n": n, "text": text }));
    };
    (0..40).for_each(|n| grow(&mut app, n));
    let named = |app: &mut mingle_tests::app::App| {
        let status = app.must("status", json!({}));
        status["attention"].as_array().expect("a list").iter().find(|one| one["name"] == "log_pinned").cloned()
    };
    let found = until("the reader to be named", || named(&mut app));
    // Writes and reads go on meanwhile.
    app.put("notes", "n2", &json!({ "n": 1 }));
    drop(python.stdin.take());
    let _ = python.wait();
    // Where nobody can be named, it is over once the log is folded back, which is when enough was written again.
    let mut n = 40;
    until("it to be over", || {
        n += 1;
        grow(&mut app, n);
        named(&mut app).is_none().then_some(())
    });
    (found, python.id())
}

/// P19: a copy that is taken under load is one state, with everything that was acknowledged before it began.
#[test]
fn a_backup_under_load_restores_to_a_whole_store() {
    let mut world = scripted(Options::default(), CONFIG);
    let backup = world.daemon.config_dir().join("copy.db");
    let shown = backup.display().to_string();
    let (over, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let (at_least, counted) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut app = world.daemon.app("writer");
            let mut n = 0;
            while !over.load(Ordering::Acquire) {
                // Both or none.
                let put =
                    |collection: &str| json!({ "put": { "collection": collection, "id": format!("k{n}"), "data": { "n": n } } });
                app.must("transact", json!({ "writes": [put("notes"), put("issues")] }));
                n += 1;
                written.store(n, Ordering::Release);
            }
        });
        until("some writes", || (written.load(Ordering::Acquire) > 50).then_some(()));
        let at_least = written.load(Ordering::Acquire);
        let said = world.daemon.says(0, &["backup", &shown]);
        let at_most = written.load(Ordering::Acquire);
        over.store(true, Ordering::Release);
        assert!(said.starts_with("copied "), "{said}");
        (at_least, at_most)
    });
    assert!(world.daemon.says(1, &["backup", &shown]).contains("never replaces a file"));
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&backup).expect("the copy").permissions().mode() & 0o777, 0o600);
    let instance = world.app.must("status", json!({}))["instance"].clone();
    let mut follower = world.daemon.app("follower");
    let seq = world.app.must("status", json!({}))["seq"].clone();
    world.app.put("notes", "after", &json!({ "n": 1 }));

    // While a daemon runs nothing is put in its place.
    let said = world.daemon.says(75, &["restore", &shown]);
    assert!(said.contains("already runs") && said.contains("mingle shutdown"), "{said}");
    drop(follower);
    let (status, _) = world.daemon.terminate();
    assert!(status.success());
    let said = world.daemon.says(0, &["restore", &shown]);
    assert!(said.contains("restored ") && said.contains("is kept as") && said.contains("another instance"), "{said}");
    let kept = said.split("is kept as ").nth(1).and_then(|rest| rest.split(';').next()).expect("its name");
    assert!(
        Reader::open(kept.as_ref())
            .expect("it opens")
            .snapshot(|now| now.one::<String>("SELECT id FROM notes WHERE id = 'after'", []))
            .is_ok()
    );

    world.daemon.start();
    world.app = world.daemon.app("tester");
    assert_ne!(world.app.must("status", json!({}))["instance"], instance);
    assert_eq!(world.app.get("notes", "after"), None);
    let (notes, issues) = (world.app.all("notes"), world.app.all("issues"));
    assert_eq!(notes, issues, "no transaction is there by half");
    let count = notes.len() as u64;
    assert!(count >= at_least && count <= counted + 1, "{at_least} <= {count} <= {counted}");
    assert!((0..count).all(|n| notes.contains_key(&format!("k{n}"))), "what is there is a beginning of what was written");
    // Whoever knows a position of the store that was is told to begin anew.
    follower = world.daemon.app("follower");
    let changes = follower.must("changes", json!({ "since": seq, "instance": instance, "collections": ["notes"] }));
    assert_eq!(changes["fresh"], true);
    world.app.sync("things", "done");

    // What is no backup is refused, and the store stays.
    let (status, _) = world.daemon.terminate();
    assert!(status.success());
    std::fs::write(world.daemon.config_dir().join("bad.db"), vec![7_u8; 9000]).expect("written");
    let bad = world.daemon.config_dir().join("bad.db").display().to_string();
    let before = std::fs::metadata(world.daemon.store()).expect("the store").len();
    assert!(!world.daemon.mingle(&["restore", &bad]).status.success());
    assert!(!world.daemon.mingle(&["restore", "/nonexistent/x"]).status.success());
    assert_eq!(std::fs::metadata(world.daemon.store()).expect("the store").len(), before);
    world.daemon.start();
    assert_eq!(world.daemon.app("tester").all("notes").len() as u64, count);
}

/// A link stands where the copy is to be: it is refused with the reason, whatever it leads to, and nothing is written through it.
#[test]
fn a_backup_is_not_written_through_a_link() {
    let daemon = filled();
    let (victim, nowhere) = (daemon.dir().join("victim"), daemon.dir().join("nowhere"));
    std::fs::write(&victim, "mine").expect("a file");
    for (name, to) in [("to-a-file", &victim), ("to-nothing", &nowhere), ("to-the-store", &daemon.store())] {
        let link = daemon.dir().join(name);
        std::os::unix::fs::symlink(to, &link).expect("a link");
        let said = daemon.says(1, &["backup", &link.display().to_string()]);
        assert!(said.contains("is there already") && said.contains("hint"), "{name}: {said}");
        assert!(link.symlink_metadata().is_ok_and(|link| link.is_symlink()), "{name}: it stays as it is");
    }
    assert_eq!((std::fs::read(&victim).expect("still there").as_slice(), nowhere.exists()), (&b"mine"[..], false));
    assert_eq!(daemon.app("tester").all("issues").len(), 19);
}
