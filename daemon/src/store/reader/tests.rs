//! Owns: the tests of reading: which state a question sees, and that it is given up. Must never know: what is asked.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::store::{Store, testing::*};

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
