//! Owns: the tests of upgrades with steps of their own: killed at each thing that they do, full disks, and what is kept. Must never know:
//! the schemas that are released; their stores are tried from outside.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::Command,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::process::{Signal, getpid, kill_process};

use super::*;
use crate::store::{
    Options, Store,
    copies::Kept,
    ids::Maker,
    open::{find, sound},
    schema::WAY,
    testing::*,
};

/// A schema that makes the largest table anew, under its views and links, and one that changes what is in it.
const MORE: &[&str] = &[
    "CREATE TABLE new_record (record INTEGER PRIMARY KEY, collection INTEGER NOT NULL REFERENCES m_collection, id TEXT NOT NULL,
        data TEXT, first INTEGER NOT NULL, created INTEGER NOT NULL, seq INTEGER NOT NULL, state INTEGER NOT NULL,
        bytes INTEGER NOT NULL) STRICT;
     INSERT INTO new_record SELECT record, collection, id, data, first, created, seq, state, length(data) FROM m_record;
     DROP TABLE m_record;
     ALTER TABLE new_record RENAME TO m_record;
     CREATE UNIQUE INDEX m_record_id ON m_record (collection, id);
     CREATE UNIQUE INDEX m_record_feed ON m_record (collection, seq);",
    "CREATE TABLE m_size (collection INTEGER PRIMARY KEY, bytes INTEGER NOT NULL) STRICT;
     INSERT INTO m_size SELECT collection, sum(bytes) FROM m_record GROUP BY collection;
     UPDATE m_record SET bytes = bytes + 1;",
];

/// Today's way, and these steps behind it.
fn and_then(more: &[&'static str]) -> Way {
    Way { steps: [WAY.steps, more].concat().leak(), early: WAY.early }
}

fn next() -> &'static Way {
    static NEXT: OnceLock<Way> = OnceLock::new();
    NEXT.get_or_init(|| and_then(MORE))
}

const RECORDS: i64 = 400;

/// Says to the child which store it brings to the next schema, and at which thing it dies.
const STORE: &str = "MINGLE_UPGRADE_STORE";
const DIES_AT: &str = "MINGLE_UPGRADE_DIES_AT";
static LEFT: AtomicU32 = AtomicU32::new(0);

fn older(path: &Path) -> String {
    let store = with_collections(Store::open(path, Options::default(), NOW).unwrap().store);
    for at in 0..RECORDS {
        seq(&store, put(&format!("r{at}"), &format!("{{\"n\":{at},\"t\":\"{}\"}}", "t".repeat(500))));
    }
    let instance = store.instance().to_string();
    store.close().unwrap();
    instance
}

fn open_next(path: &Path, tell: Tell) -> Result<open::Found, StoreError> {
    let mut maker = Maker::new(Options::default().ids);
    find(path, Options::default(), &mut maker, NOW, next(), tell)
}

fn count(conn: &Connection, question: &str) -> i64 {
    conn.query_row(question, (), |row| row.get(0)).unwrap()
}

/// The process that dies: no test of its own, but for the one below.
#[test]
fn the_one_that_dies() {
    let Some(path) = std::env::var_os(STORE) else { return };
    LEFT.store(std::env::var(DIES_AT).unwrap().parse().unwrap(), Ordering::SeqCst);
    open_next(Path::new(&path), |_| {
        if LEFT.fetch_sub(1, Ordering::SeqCst) == 1 {
            kill_process(getpid(), Signal::KILL).unwrap();
        }
    })
    .unwrap();
}

#[test]
fn killed_at_each_thing_that_it_does_the_next_start_ends_in_a_whole_store_with_its_copy() {
    let directory = tempfile::tempdir().unwrap();
    let first = directory.path().join("first.db");
    let instance = older(&first);
    let bytes = fs::read(&first).unwrap();
    let mut kills = 0;
    for dies_at in 1.. {
        let path = directory.path().join(format!("{dies_at}/store.db"));
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, &bytes).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::upgrade::tests::the_one_that_dies"])
            .envs([(STORE, path.as_os_str()), (DIES_AT, dies_at.to_string().as_ref())])
            .output()
            .unwrap();
        let killed = child.status.signal() == Some(9);
        assert!(killed || child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        kills += u32::from(killed);

        let found = open_next(&path, |_| {}).unwrap();
        assert_eq!((found.instance.as_str(), found.renewed, &found.moved_aside), (instance.as_str(), None, &None), "{dies_at}");
        sound(&found.conn).unwrap();
        assert_eq!(next().standing(&found.conn).unwrap(), Standing::Newest);
        assert_eq!(count(&found.conn, "SELECT count(*) FROM m_record WHERE bytes = length(data) + 1"), RECORDS, "{dies_at}");
        assert_eq!(count(&found.conn, "SELECT count(*) FROM m_size"), 1);
        let kept = copies::kept(&path);
        assert!(!kept.is_empty() && kept.len() <= 2, "{dies_at}: {kept:?}");
        for (file, why, _) in kept {
            let copy = open::read_only(&file).unwrap();
            sound(&copy).unwrap();
            assert_eq!((why, WAY.standing(&copy).unwrap()), (Kept::Upgraded, Standing::Newest));
            assert_eq!(count(&copy, "SELECT count(*) FROM m_record"), RECORDS);
        }
        let parts: Vec<_> = fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".part"))
            .collect();
        assert_eq!(parts, [""; 0]);
        drop(found);
        if !killed {
            break;
        }
    }
    // Began, copied, each statement, done, kept, committed; and the pieces of the copy.
    assert!(kills >= 12, "{kills}");
}

#[test]
fn an_upgrade_that_fails_leaves_the_store_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    older(&path);
    let before = fs::read(&path).unwrap();
    // A folder in the way of the copy that is being made.
    let part = directory.path().join("store.db.before-upgrade.part");
    fs::create_dir(&part).unwrap();
    let newest = WAY.newest();
    assert!(
        matches!(open_next(&path, |_| {}), Err(StoreError::NotUpgraded { from, to, .. }) if (from, to) == (newest, newest + 2))
    );
    fs::remove_dir(&part).unwrap();
    // A step that the rows do not allow.
    let cannot = and_then(&["CREATE UNIQUE INDEX x ON m_record (state)"]);
    let mut maker = Maker::new(Options::default().ids);
    let failed = find(&path, Options::default(), &mut maker, NOW, &cannot, |_| {});
    assert!(matches!(&failed, Err(StoreError::NotUpgraded { to, .. }) if *to == newest + 1), "{:?}", failed.err());
    assert_eq!(copies::kept(&path), []);
    assert_eq!(fs::read(&path).unwrap(), before, "byte for byte");
    // And the mingle of before still works on it.
    let store = with_collections(Store::open(&path, Options::default(), NOW).unwrap().store);
    assert!(data(&store, "r7").contains("\"n\":7"));
}

#[test]
fn what_was_published_is_published_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    older(&path);
    drop(open_next(&path, |_| {}).unwrap());
    let conn = Connection::open(&path).unwrap();
    assert_eq!(count(&conn, "SELECT count(*) FROM sqlite_master WHERE type = 'view'"), 0);
    assert_eq!(count(&conn, "SELECT count(*) FROM m_collection WHERE definition = ''"), 2);
    // As if this mingle knew no more than the first schema; `define` takes the empty text for another one.
    conn.pragma_update(None, "user_version", WAY.newest()).unwrap();
    drop(conn);
    let store = with_collections(Store::open(&path, Options::default(), NOW).unwrap().store);
    store.close().unwrap();
    let conn = Connection::open(&path).unwrap();
    assert_eq!(count(&conn, "SELECT count(*) FROM a"), RECORDS);
}

#[test]
fn a_store_killed_while_it_had_a_journal_opens() {
    let directory = tempfile::tempdir().unwrap();
    let first = directory.path().join("first.db");
    older(&first);
    let conn = Connection::open(&first).unwrap();
    let _: String = conn.pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0)).unwrap();
    conn.execute_batch("PRAGMA cache_size = 2; BEGIN IMMEDIATE; UPDATE m_record SET data = '{}'").unwrap();
    // As a kill in the middle would leave it.
    let path = directory.path().join("store.db");
    for end in ["", "-journal"] {
        let bytes = fs::read(format!("{}{end}", first.display())).unwrap();
        fs::write(format!("{}{end}", path.display()), bytes).unwrap();
    }
    let store = with_collections(Store::open(&path, Options::default(), NOW).unwrap().store);
    assert!(data(&store, "r7").contains("\"n\":7"), "what was not committed was rolled back");
}
