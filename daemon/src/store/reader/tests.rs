//! Owns: the tests of reading: which state a question sees, and that it is given up. Must never know: what is asked.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::store::{Reader, Store, error::StoreError, testing::*};

const ONE: &str = r#"{"n":1}"#;
const TWO: &str = r#"{"n":2}"#;
const THREE: &str = r#"{"n":3}"#;

fn put_elsewhere(store: &Store, data: &'static str) {
    let store = store.clone();
    std::thread::spawn(move || seq(&store, put("x", data))).join().unwrap();
}

#[test]
fn questions_asked_together_read_one_state_and_give_it_up() {
    let directory = tempfile::tempdir().unwrap();
    let store = file(&directory);
    seq(&store, put("x", ONE));
    let mut seen = Vec::new();
    store.read_together(|| {
        // What was acknowledged before the first of them is seen.
        put_elsewhere(&store, TWO);
        seen.push(data(&store, "x"));
        put_elsewhere(&store, THREE);
        seen.push(data(&store, "x"));
    });
    assert_eq!(seen, [TWO, TWO]);
    assert_eq!(data(&store, "x"), THREE);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        store.read_together(|| {
            seen.push(data(&store, "x"));
            panic!("a fault of ours");
        });
    }));
    assert!(panicked.is_err());
    put_elsewhere(&store, ONE);
    assert_eq!(data(&store, "x"), ONE, "the state was given up all the same");
    // Nobody holds the log back.
    store.close().unwrap();
    let log = std::fs::symlink_metadata(directory.path().join("store.db-wal"));
    assert!(log.map_or(true, |log| log.len() == 0));
}

/// A question without end is ended; the same thread asks on, and the next question begins to count anew.
#[test]
fn a_question_that_takes_too_many_steps_is_ended() {
    let directory = tempfile::tempdir().unwrap();
    let store = file(&directory);
    seq(&store, put("x", ONE));
    let count = |to: u64| {
        let sql =
            format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {to}) SELECT count(*) FROM n");
        store.read(move |reader: &Reader<'_>| Ok(reader.query_row(&sql, (), |row| row.get::<_, u64>(0))?))
    };
    for _ in 0..3 {
        assert!(matches!(count(u64::MAX >> 1), Err(StoreError::Deadline)));
        assert_eq!(count(100_000).unwrap(), 100_000);
        assert_eq!(data(&store, "x"), ONE);
    }
}
