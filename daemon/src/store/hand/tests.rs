//! Owns: the tests of writing in groups, and of files that fail. Must never know: what is written.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::mpsc, time::Duration};

use mingle_core::{ask::Refusal, time::Timestamp};

use crate::store::{
    Class, Ids, Opened, Options, Origin, Renewed, Store, StoreError, Trouble, apply, limits, prepare, record, testing::*,
};

fn open(path: &Path, options: Options) -> Opened {
    let opened = Store::open(path, options, NOW).unwrap();
    with_collections(opened.store.clone());
    opened
}

#[test]
fn what_was_acknowledged_is_there_after_any_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let opened = open(&path, Options::default());
    assert_eq!(opened.renewed, Some(Renewed::New));
    let instance = opened.store.instance();
    seq(&opened.store, put("x", r#"{"n":1}"#));
    assert_eq!(*opened.store.head().borrow(), 1);
    // Unclean: dropped, not closed.
    drop(opened);
    let opened = open(&path, Options::default());
    assert_eq!((opened.renewed, opened.store.instance()), (None, instance.clone()));
    assert_eq!(data(&opened.store, "x"), r#"{"n":1}"#);
    assert_eq!(seq(&opened.store, put("y", "{}")), 2);
    opened.store.close().unwrap();
    assert!(matches!(opened.store.write_blocking(Class::Interactive, NOW, |_| Ok(())), Err(StoreError::Closed)));
    assert!(fs::symlink_metadata(directory.path().join("store.db-wal")).map_or(true, |log| log.len() == 0));
    assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // Clean, then with less than FULL and unclean: only then is it another instance.
    let lax = Options { full_sync: false, ..Options::default() };
    let opened = open(&path, lax);
    assert_eq!((opened.renewed, opened.store.instance()), (None, instance.clone()));
    opened.store.close().unwrap();
    drop(open(&path, lax));
    let opened = open(&path, Options::default());
    assert_eq!(opened.renewed, Some(Renewed::Unclean));
    assert_ne!(opened.store.instance(), instance);
    assert_eq!(seq(&opened.store, put("z", "{}")), 3);
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = open(&path, Options::default()).store;
    sql(&store, "PRAGMA user_version = 99").unwrap();
    store.close().unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(Store::open(&path, Options::default(), NOW), Err(StoreError::Newer { found: 99, known: 6 })));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_damaged_store_is_moved_aside_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    for damage in ["head", "middle", "cut"] {
        let store = open(&path, Options::default()).store;
        let instance = store.instance();
        for at in 0..50 {
            seq(&store, put(&format!("r{at}"), &format!("{{\"t\":\"{}\"}}", "t".repeat(1_000))));
        }
        store.close().unwrap();
        let mut bytes = fs::read(&path).unwrap();
        match damage {
            "head" => bytes[..100].fill(7),
            // Every b-tree page gets a wrong kind; the header stays.
            "middle" => (1..bytes.len() / 4096).for_each(|page| bytes[page * 4096] = 99),
            _ => bytes.truncate(bytes.len() / 3),
        }
        fs::write(&path, &bytes).unwrap();
        let opened = Store::open(&path, Options::default(), NOW).unwrap();
        assert_eq!(opened.renewed, Some(Renewed::MovedAside), "{damage}");
        let aside = opened.moved_aside.unwrap();
        assert_eq!(fs::read(&aside).unwrap(), bytes, "{damage}");
        assert!(aside.file_name().unwrap().to_str().unwrap().starts_with("store.db.corrupt-"));
        assert_ne!(opened.store.instance(), instance);
        assert_eq!(seq(&with_collections(opened.store.clone()), put("x", "{}")), 1);
        opened.store.close().unwrap();
    }
}

#[test]
fn a_log_without_its_store_is_kept_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    fs::write(directory.path().join("store.db-wal"), b"frames of something").unwrap();
    let opened = Store::open(&path, Options::default(), NOW).unwrap();
    assert_eq!(opened.renewed, Some(Renewed::MovedAside));
    let mut log = opened.moved_aside.unwrap().into_os_string();
    log.push("-wal");
    assert_eq!(fs::read(log).unwrap(), b"frames of something");
}

#[test]
fn no_store_where_it_would_not_be_safe() {
    let directory = tempfile::tempdir().unwrap();
    let refused =
        |name: &str| matches!(Store::open(&directory.path().join(name), Options::default(), NOW), Err(StoreError::Place(_)));
    fs::create_dir(directory.path().join("folder.db")).unwrap();
    assert!(refused("folder.db"));
    open(&directory.path().join("store.db"), Options::default()).store.close().unwrap();
    std::os::unix::fs::symlink(directory.path().join("store.db"), directory.path().join("link.db")).unwrap();
    assert!(refused("link.db"));
    fs::hard_link(directory.path().join("store.db"), directory.path().join("other.db")).unwrap();
    assert!(refused("store.db"));
    assert!(refused("no/such/folder/store.db"));
    rusqlite::Connection::open(directory.path().join("foreign.db")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    assert!(refused("foreign.db"));
}

/// Holds the writer until told to go on, so that what is queued meanwhile makes one group.
fn hold(store: &Store) -> mpsc::Sender<()> {
    let (held, is_held) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    drop(store.write(Class::Interactive, NOW, move |_| {
        let _ = held.send(());
        let _ = may_go.recv();
        Ok(())
    }));
    is_held.recv().unwrap();
    go
}

#[tokio::test]
async fn a_group_is_one_commit_and_one_that_fails_harms_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let store = file(&directory);
    let pulse = store.pulse();
    let go = hold(&store);
    let before = *pulse.borrow();
    let write = |id: &str| {
        let prepared = prepare(writer(None), vec![put(id, "{}")]).unwrap();
        store.write(Class::Interactive, NOW, move |tx| apply(tx, &prepared))
    };
    let first = write("first");
    let panics = store.write(Class::Interactive, NOW, |tx| {
        let number = tx.collection("a")?;
        record::make(tx, number, "half", "{}", &Origin::App("x".into()))?;
        if tx.seq() > 0 { panic!("on purpose") } else { Ok(()) }
    });
    let refused = store.write(Class::Interactive, NOW, |tx| {
        let number = tx.collection("a")?;
        record::make(tx, number, "half", "{}", &Origin::App("x".into()))?;
        Err::<(), _>(Refusal::Denied("no".into()).into())
    });
    let background = store.write(Class::Background, NOW, |tx| Ok(tx.seq()));
    let later = store.write(Class::Background, NOW, |tx| Ok(tx.seq()));
    let last = write("last");
    go.send(()).unwrap();
    assert_eq!(first.await.unwrap().writes[0].seq, 1);
    assert!(matches!(panics.await, Err(StoreError::Panicked)));
    assert!(matches!(refused.await, Err(StoreError::Refused(Refusal::Denied(_)))));
    assert_eq!(last.await.unwrap().writes[0].seq, 2);
    // Background after interactive, one to a group.
    assert_eq!((background.await.unwrap(), later.await.unwrap()), (2, 2));
    // The held one, the group, the second background job.
    assert_eq!(*pulse.borrow() - before, 3);
    assert_eq!((data(&store, "first"), data(&store, "half"), data(&store, "last")), ("{}".into(), "-".into(), "{}".into()));
    assert_eq!(number(&store, "SELECT count(*) FROM m_ledger"), 2);
    assert_eq!(store.commits().take(), [("a".to_owned(), vec![Origin::App("tester".into())])]);
    store.close().unwrap();
}

#[tokio::test]
async fn a_write_waits_for_one_batch_at_most_and_batches_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let store = file(&directory);
    // Under way: a batch. While it is, two more come, and a write.
    let (held, is_held) = mpsc::channel();
    let (go, may_go) = mpsc::channel::<()>();
    drop(store.write(Class::Background, NOW, move |_| {
        let _ = held.send(());
        let _ = may_go.recv();
        Ok(())
    }));
    is_held.recv().unwrap();
    let later = [Class::Background, Class::Background, Class::Interactive].map(|class| store.write(class, NOW, |_| Ok(())));
    let before = *store.pulse().borrow();
    go.send(()).unwrap();
    for one in later {
        one.await.unwrap();
    }
    assert_eq!(*store.pulse().borrow() - before, 4, "the held one, the write alone, a commit for each batch");
}

#[tokio::test]
async fn a_full_queue_says_busy() {
    let directory = tempfile::tempdir().unwrap();
    let store = file(&directory);
    let go = hold(&store);
    let mut taken = Vec::new();
    let refused = loop {
        let mut answer = Box::pin(store.write(Class::Background, NOW, |_| Ok(())));
        match futures_util::FutureExt::now_or_never(&mut answer) {
            Some(answer) => break answer,
            None => taken.push(answer),
        }
    };
    assert!(matches!(refused, Err(StoreError::Busy)));
    assert_eq!(taken.len(), limits::BACKGROUND_MAX);
    go.send(()).unwrap();
    for answer in taken {
        answer.await.unwrap();
    }
}

#[test]
fn seeded_stores_are_alike() {
    let run = || {
        let store = with_collections(Store::memory(Ids::Seeded(3)).unwrap());
        let written = write(&store, vec![put("x", "{}")]).unwrap();
        (store.instance(), written)
    };
    assert_eq!(run(), run());
}

#[test]
fn many_writers_lose_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = file(&directory);
    std::thread::scope(|scope| {
        for app in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for at in 0..50 {
                    let id = format!("r{app}-{at}");
                    seq(store, put(&id, "{}"));
                    // What was acknowledged is seen by the next read, on any thread.
                    assert_eq!(data(store, &id), "{}");
                }
            });
        }
    });
    assert_eq!(number(&store, "SELECT count(DISTINCT seq) FROM m_record"), 400);
    assert_eq!(number(&store, "SELECT max(seq) FROM m_ledger"), 400);
}

#[test]
fn a_full_disk_is_a_no_and_passes() {
    let directory = tempfile::tempdir().unwrap();
    let store = file(&directory);
    seq(&store, put("x", "{}"));
    let large = put("y", &format!("{{\"t\":\"{}\"}}", "t".repeat(900_000)));
    // SQLite's own bound gives the same error as a disk without room.
    sql(&store, "PRAGMA max_page_count = 60").unwrap();
    assert!(matches!(write(&store, vec![large.clone()]), Err(Refusal::DiskFull(_))));
    assert_eq!((data(&store, "x"), data(&store, "y")), ("{}".into(), "-".into()));
    sql(&store, "PRAGMA max_page_count = 1000000").unwrap();
    assert_eq!(seq(&store, large), 2);
}

/// Fails like a disk.
fn fail(store: &Store, now: Timestamp) -> Result<(), StoreError> {
    store.write_blocking(Class::Interactive, now, |tx| {
        let number = tx.collection("a")?;
        record::make(tx, number, "half", "{}", &Origin::App("x".into()))?;
        Err(StoreError::Disk("on purpose".into()))
    })
}

#[test]
fn a_failing_disk_gives_a_new_connection_then_a_read_only_time_that_ends() {
    let directory = tempfile::tempdir().unwrap();
    let store = file(&directory);
    let instance = store.instance();
    seq(&store, put("x", "{}"));
    let put_at = |now, id| write_at(&store, now, writer(None), vec![put(id, "{}")]);
    let soon = NOW.plus(Duration::from_secs(10));
    assert!(matches!(fail(&store, NOW), Err(StoreError::Unknown(_))));
    assert_eq!(put_at(soon, "y").unwrap().writes[0].seq, 2);
    assert_eq!(*store.trouble().borrow(), None);
    assert!(matches!(fail(&store, soon), Err(StoreError::Unknown(_))));
    assert!(store.trouble().borrow().is_some());
    assert!(matches!(put_at(soon, "z"), Err(Refusal::Shut(..))));
    assert!(matches!(put_at(soon.plus(limits::DISK_ERRORS_WITHIN), "z"), Err(Refusal::Shut(..))));
    assert_eq!(data(&store, "y"), "{}");
    probe(&store).unwrap();
    assert_eq!(put_at(soon, "z").unwrap().writes[0].seq, 3);
    assert_eq!((data(&store, "half"), store.instance()), ("-".into(), instance));
    assert_eq!(*store.trouble().borrow(), None);
    // Long after, one failure is one failure again.
    let later = soon.plus(Duration::from_secs(3_600));
    assert!(matches!(fail(&store, later), Err(StoreError::Unknown(_))));
    assert!(put_at(later, "z2").is_ok());
}

#[test]
fn a_file_that_went_away_is_not_made_anew_in_silence() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = file(&directory);
    seq(&store, put("x", "{}"));
    fs::rename(&path, directory.path().join("elsewhere.db")).unwrap();
    let put_at = |now, id| write_at(&store, now, writer(None), vec![put(id, "{}")]);
    assert!(matches!(put_at(NOW, "y"), Err(Refusal::Shut(..))));
    assert_eq!(*store.trouble().borrow(), Some(Trouble::Moved));
    assert!(matches!(probe(&store), Err(StoreError::Shut(Trouble::Moved))));
    assert!(fs::symlink_metadata(&path).is_err());
    fs::rename(directory.path().join("elsewhere.db"), &path).unwrap();
    probe(&store).unwrap();
    assert_eq!(put_at(NOW, "y").unwrap().writes[0].seq, 2);
}

/// Nothing is acknowledged into files that the next start does not find, and what was acknowledged before is not lost with them.
#[test]
fn a_log_that_went_away_takes_nothing_along() {
    for end in ["-wal", "-shm"] {
        for how in ["removed", "replaced", "cut"] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("store.db");
            let file_of = |end: &str| directory.path().join(format!("store.db{end}"));
            let store = file(&directory);
            seq(&store, put("x", "{}"));
            // Only what was open before the loss can read after it: by its path one would find another log.
            assert_eq!(data(&store, "x"), "{}");
            match how {
                // Memory that is mapped to a file which becomes shorter cannot be read any more, in any process.
                "cut" if end == "-shm" => continue,
                "cut" => fs::File::options().write(true).open(file_of(end)).unwrap().set_len(40).unwrap(),
                "removed" => fs::remove_file(file_of(end)).unwrap(),
                _ => {
                    fs::remove_file(file_of(end)).unwrap();
                    fs::write(file_of(end), b"something else").unwrap();
                }
            }
            assert!(matches!(write(&store, vec![put("y", "{}")]), Err(Refusal::Shut(..))), "{end} {how}");
            assert!(matches!(write(&store, vec![put("z", "{}")]), Err(Refusal::Shut(..))), "{end} {how}");
            assert_eq!(*store.trouble().borrow(), Some(Trouble::Moved), "{end} {how}");
            // Cut, what it had is gone: nobody can bring that back.
            if how == "cut" {
                continue;
            }
            assert_eq!(data(&store, "x"), "{}");
            drop(store);
            let opened = open(&path, Options::default());
            assert_eq!((data(&opened.store, "x"), data(&opened.store, "y")), ("{}".into(), "-".into()), "{end} {how}");
            assert_eq!(opened.moved_aside, None);
        }
    }
}

fn probe(store: &Store) -> Result<(), StoreError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.probe(NOW))
}

#[test]
fn the_log_is_folded_back_and_a_reader_does_not_hold_up_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("store.db-wal");
    let store = file(&directory);
    let text = "t".repeat(100_000);
    let bytes = |path: &Path| fs::symlink_metadata(path).map_or(0, |found| found.len());
    for at in 0..600 {
        seq(&store, put(&format!("r{}", at % 50), &format!("{{\"n\":{at},\"t\":\"{text}\"}}")));
        if at % 20 == 0 {
            // A batch waits while the log is folded back, and goes on after it.
            store.write_blocking(Class::Background, NOW, |_| Ok(())).unwrap();
        }
    }
    // Some 15,000 pages were written; the log never had many more than it is folded back at.
    let most = u64::from(limits::CHECKPOINT_PAGES) * 4_096 * 3;
    assert!((1..most).contains(&bytes(&log)), "{} bytes", bytes(&log));
    let pinned = rusqlite::Connection::open(directory.path().join("store.db")).unwrap();
    pinned.execute_batch("BEGIN; SELECT count(*) FROM a").unwrap();
    seq(&store, put("x", "{}"));
    let (told, ended) = mpsc::channel();
    let closing = store.clone();
    std::thread::spawn(move || told.send(closing.close().is_ok()));
    assert_eq!(ended.recv_timeout(Duration::from_secs(4)), Ok(true));
    drop(pinned);
    assert_eq!(Store::open(&directory.path().join("store.db"), Options::default(), NOW).unwrap().renewed, None);
}
