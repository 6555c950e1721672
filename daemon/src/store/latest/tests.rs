//! Owns: the law of the page that the last commit left: it is the page that would be read. Must never know: who listens.

use std::collections::BTreeMap;

use mingle_core::ask::{RecordIds, Scope, Since, Write};

use super::{BYTES_MAX, ROWS_MAX};
use crate::store::{Class, Origin, Store, StoreError, record, testing::*};

/// Where the last commit answers: whether it did.
#[track_caller]
fn check(store: &Store, since: &Since) -> Result<bool, String> {
    match store.latest(since) {
        None => Ok(false),
        Some(page) if page == feed(store, since) => Ok(true),
        Some(page) => Err(format!("{since:?}: the last commit tells {page:?}, to be read is {:?}", feed(store, since))),
    }
}

/// A page of all that there is to ask from this seq on; whether the last commit answered the plainest.
fn check_all(store: &Store, seq: u64) -> Result<bool, String> {
    let only = |name: &str| Scope::Only(vec![name.into()]);
    for scope in [only("a"), only("b"), Scope::Only(Vec::new()), Scope::Only(vec!["b".into(), "a".into()])] {
        check(store, &Since { scope, ..since(seq) })?;
    }
    let ids = |ids: &[&str]| {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        RecordIds::new(BTreeMap::from([("a".to_owned(), ids)]))
    };
    for ids in [ids(&["r1", "r3"]), ids(&["r0"]), ids(&["nobody"])] {
        check(store, &Since { ids: ids.clone(), ..since(seq) })?;
        check(store, &Since { ids, scope: only("a"), ..since(seq) })?;
    }
    check(store, &Since { data: false, ..since(seq) })?;
    check(store, &Since { limit: 1, ..since(seq) })?;
    check(store, &Since { bytes: 10, ..since(seq) })?;
    check(store, &Since { instance: Some("other".into()), ..since(seq) })?;
    check(store, &since(seq))
}

/// Writes of all kinds, some of which fail half done; after each, whoever asks from the last places.
fn life(seed: u64) -> Result<(), String> {
    let mut state = seed;
    let mut roll = move |sides: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % sides
    };
    let store = memory();
    let mut answered = 0;
    for _ in 0..40 {
        let before = *store.head().borrow();
        let collection = if roll(3) == 0 { "b" } else { "a" };
        let one = |roll: &mut dyn FnMut(u64) -> u64| -> Write {
            let (id, data) = (format!("r{}", roll(4)), format!("{{\"n\":{}}}", roll(5)));
            match roll(4) {
                0 => Write::Delete { collection: collection.into(), id, if_seq: None },
                _ => {
                    Write::Put { collection: collection.into(), id: Some(id), data, if_seq: None, overwrite: true, merge: false }
                }
            }
        };
        match roll(8) {
            0 => {
                let id = format!("r{}", roll(4));
                let left = store.write_blocking(Class::Background, NOW, move |tx| {
                    let number = tx.collection("a")?;
                    match record::find(tx.conn(), number, &id)? {
                        Some(held) => record::forget(tx, &held, &Origin::Sync("s".into())).map(|_| ()),
                        None => Ok(()),
                    }
                });
                left.map_err(|error| error.to_string())?;
            }
            1 => {
                // Its second half fails, and takes the first along.
                let data = format!("{{\"n\":{}}}", roll(5));
                let failed: Result<(), StoreError> = store.write_blocking(Class::Background, NOW, move |tx| {
                    let number = tx.collection("a")?;
                    let id = format!("never{}", tx.seq());
                    record::make(tx, number, &id, &data, &Origin::Sync("s".into()))?;
                    Err(StoreError::Panicked)
                });
                assert!(failed.is_err());
            }
            2 => {
                // Of a deleted record there is nothing to delete: then none of them happens.
                let _ = write(&store, vec![one(&mut roll), one(&mut roll), one(&mut roll)]);
            }
            _ => {
                let _ = write(&store, vec![one(&mut roll)]);
            }
        }
        let moved = *store.head().borrow() > before;
        let at_once = check_all(&store, before).map_err(|why| format!("seed {seed}: {why}"))?;
        answered += usize::from(at_once && moved);
        for seq in [0, before.saturating_sub(1), before + 1] {
            check_all(&store, seq).map_err(|why| format!("seed {seed}: {why}"))?;
        }
    }
    if answered < 10 { Err(format!("seed {seed}: the last commit answered {answered} times of 40")) } else { Ok(()) }
}

#[test]
fn what_the_last_commit_tells_is_what_would_be_read() {
    for seed in 0..200 {
        assert_eq!(life(seed), Ok(()));
    }
}

#[test]
fn a_commit_of_much_or_that_nobody_asked_for_is_read() {
    let store = memory();
    let told = |seq| check(&store, &since(seq)).unwrap();
    seq(&store, put("x", "{}"));
    assert!(!told(1));
    assert_eq!(seq(&store, put("x", r#"{"n":1}"#)), 2);
    assert!(told(1), "somebody had asked before it");
    assert_eq!(seq(&store, put("x", r#"{"n":2}"#)), 3);
    assert_eq!(seq(&store, put("x", r#"{"n":3}"#)), 4);
    assert!(!told(3), "nobody asked between the two");
    let many = |count: usize, n: usize| {
        let writes = (0..count).map(|at| put(&format!("m{at}"), &format!("{{\"n\":{n}}}"))).collect();
        let before = *store.head().borrow();
        write(&store, writes).unwrap();
        before
    };
    assert!(told(many(ROWS_MAX, 1)));
    assert!(!told(many(ROWS_MAX + 1, 2)));
    let before = *store.head().borrow();
    seq(&store, put("x", &format!("{{\"t\":\"{}\"}}", "t".repeat(BYTES_MAX))));
    assert!(!told(before));
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use mingle_core::planted;
    for bug in ["record told twice by a commit", "last commit told at any place"] {
        planted::set_here(Some(bug));
        let found = (0..200).any(|seed| life(seed).is_err());
        planted::set_here(None);
        assert!(found, "no life sees {bug:?}");
    }
}
