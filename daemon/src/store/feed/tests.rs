//! Owns: the laws of the feed. Must never know: how it is read.

use std::{collections::BTreeMap, time::Duration};

use mingle_core::{
    ask::{ChangeKind, Changes, RecordIds, Scope, Since},
    time::Timestamp,
};

use super::{HORIZON_BITS, SEQ_BITS};
use crate::store::{Class, Origin, Store, purge, record, testing::*};

fn words(page: &Changes) -> String {
    let mut words: Vec<String> = page
        .changes
        .iter()
        .map(|change| {
            let kind = match change.kind {
                ChangeKind::Created => "+",
                ChangeKind::Updated => "=",
                ChangeKind::Deleted => "-",
                ChangeKind::Left => "<",
            };
            format!("{kind}{}@{}", change.id, change.seq)
        })
        .collect();
    words.push(format!("to {}", page.seq));
    words.extend(page.more.then(|| "more".to_owned()));
    words.extend(page.fresh.then(|| "fresh".to_owned()));
    words.join(" ")
}

#[test]
fn each_record_comes_once_at_its_last_change() {
    let store = memory();
    let check = |since: Since, expect: &str| assert_eq!(words(&feed(&store, &since)), expect, "{since:?}");
    check(since(0), "to 0");
    // 1 to 7: x made, y made, x changed, y deleted, y back, z made, z deleted.
    for one in [put("x", "{}"), put("y", "{}"), put("x", r#"{"n":1}"#), delete("y"), put("y", "{}"), put("z", "{}"), delete("z")]
    {
        seq(&store, one);
    }
    check(since(0), "+x@3 +y@5 to 7");
    check(since(1), "=x@3 +y@5 to 7");
    check(since(2), "=x@3 +y@5 to 7");
    check(since(4), "+y@5 to 7");
    check(since(6), "-z@7 to 7");
    check(since(7), "to 7");
    check(since(8), "+x@3 +y@5 to 7 fresh");
    check(Since { limit: 1, ..since(0) }, "+x@3 to 3 more");
    check(Since { limit: 1, ..since(3) }, "+y@5 to 7");
    check(Since { bytes: 1, ..since(0) }, "+x@3 to 3 more");
    check(Since { instance: Some("other".into()), ..since(5) }, "+x@3 +y@5 to 7 fresh");
    check(Since { instance: Some(store.instance().to_string()), ..since(6) }, "-z@7 to 7");
    check(Since { scope: Scope::Only(vec!["b".into()]), ..since(0) }, "to 7");
    for (collection, ids, seq, expect) in [
        ("a", ["x", "z"], 0, "+x@3 to 7"),
        ("a", ["x", "z"], 6, "-z@7 to 7"),
        ("a", ["y", "nobody"], 3, "+y@5 to 7"),
        // Of the others it says nothing.
        ("b", ["x", "z"], 3, "+y@5 to 7"),
    ] {
        let ids = RecordIds::new(BTreeMap::from([(collection.to_owned(), ids.map(str::to_owned).into())]));
        check(Since { ids: ids.clone(), ..since(seq) }, expect);
        check(Since { ids, data: false, ..since(seq) }, expect);
    }
    check(Since { scope: Scope::Only(vec!["a".into(), "a".into()]), ..since(3) }, "+y@5 to 7");
    assert!(
        store.read(|reader| crate::store::changes(reader, &Since { scope: Scope::Only(vec!["c".into()]), ..since(0) })).is_err()
    );
    let page = feed(&store, &since(0));
    assert_eq!(page.changes[0].data.as_deref(), Some(r#"{"n":1}"#));
    assert_eq!(feed(&store, &Since { data: false, ..since(0) }).changes[0].data, None);
}

#[test]
fn who_had_it_hears_of_its_end_also_when_it_came_back_in_between() {
    let store = memory();
    for one in [put("x", "{}"), delete("x"), put("x", "{}"), delete("x")] {
        seq(&store, one);
    }
    assert_eq!(words(&feed(&store, &since(1))), "-x@4 to 4");
    assert_eq!(words(&feed(&store, &since(0))), "to 4");
}

#[test]
fn what_is_forgotten_has_left() {
    let store = memory();
    seq(&store, put("x", "{}"));
    forget(&store, "x");
    assert_eq!(words(&feed(&store, &since(1))), "<x@2 to 2");
    assert_eq!(words(&feed(&store, &since(0))), "to 2");
    assert_eq!(data(&store, "x"), "-");
    assert_eq!(seq(&store, put("x", "{}")), 3);
    assert_eq!(words(&feed(&store, &since(1))), "+x@3 to 3");
}

fn forget(store: &Store, id: &'static str) {
    store
        .write_blocking(Class::Background, NOW, move |tx| {
            let number = tx.collection("a")?;
            match record::find(tx.conn(), number, id)? {
                Some(held) => record::forget(tx, &held, &Origin::Sync("s".into())).map(|_| ()),
                None => Ok(()),
            }
        })
        .unwrap();
}

#[test]
fn marks_keep_numbers_exact_for_everybody() {
    assert_eq!(super::FIRST_READING.trailing_zeros() as u64, HORIZON_BITS + SEQ_BITS);
    assert!(super::mark((1 << SEQ_BITS) - 2, (1 << SEQ_BITS) - 1, true) < 1 << 53);
}

/// A reader with its own copy, kept up from pages.
#[derive(Default)]
struct Copy {
    cursor: u64,
    instance: Option<String>,
    records: BTreeMap<String, String>,
}

impl Copy {
    fn page(&mut self, store: &Store, limit: usize) -> bool {
        let asked = Since { instance: self.instance.clone(), limit, ..since(self.cursor) };
        let page = feed(store, &asked);
        self.instance = Some(store.instance().to_string());
        if page.fresh {
            self.records.clear();
        }
        for change in page.changes {
            match change.data {
                Some(data) => self.records.insert(change.id, data),
                None => self.records.remove(&change.id),
            };
        }
        self.cursor = page.seq;
        page.more
    }
}

/// Chance from a seed, so that a failure names its case.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// Copies that read now and then, in pages of any length, always end as the truth; through deletes, returns and purges.
fn life(seed: u64) -> Result<(), String> {
    let mut dice = Dice(seed);
    let store = memory();
    let mut truth = BTreeMap::new();
    let mut copies: Vec<Copy> = (0..4).map(|_| Copy::default()).collect();
    let mut now: Timestamp = NOW;
    for _ in 0..40 {
        let id = format!("r{}", dice.roll(6));
        let data = format!("{{\"n\":{}}}", dice.roll(5));
        match dice.roll(12) {
            0..5 => {
                write_at(&store, now, writer(None), vec![put(&id, &data)]).unwrap();
                truth.insert(id, data);
            }
            5..8 => {
                if truth.remove(&id).is_some() {
                    write_at(&store, now, writer(None), vec![delete(&id)]).unwrap();
                }
            }
            8 => {
                write_at(&store, now, writer(None), vec![put("r0", &data), put("r1", &data)]).unwrap();
                truth.extend([("r0".to_owned(), data.clone()), ("r1".to_owned(), data)]);
            }
            9 => {
                now = now.plus(Duration::from_secs(40 * 24 * 3600));
                store.write_blocking(Class::Background, now, purge).unwrap();
            }
            _ => {
                let at = usize::try_from(dice.roll(4)).unwrap();
                let limit = usize::try_from(dice.roll(3)).unwrap() + 1;
                let whole = !copies[at].page(&store, limit);
                if whole && copies[at].records != truth {
                    return Err(format!("seed {seed}: reader {at} was told that its view is whole"));
                }
            }
        }
    }
    for (at, copy) in copies.iter_mut().enumerate() {
        let mut pages = 0;
        while copy.page(&store, 2) {
            pages += 1;
            if pages > 50 {
                return Err(format!("seed {seed}: reader {at} never arrives"));
            }
        }
        if copy.records != truth {
            return Err(format!("seed {seed}: reader {at} has {:?}, the truth is {truth:?}", copy.records));
        }
    }
    Ok(())
}

#[test]
fn every_copy_becomes_the_truth() {
    for seed in 0..2_000 {
        assert_eq!(life(seed), Ok(()));
    }
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use mingle_core::planted;
    for bug in ["purge without horizon", "first reading unmarked", "end hidden by a return"] {
        planted::set_here(Some(bug));
        let found = (0..2_000).any(|seed| life(seed).is_err());
        planted::set_here(None);
        assert!(found, "no life sees {bug:?}");
    }
    for (bug, test) in [
        ("cursor without instance", each_record_comes_once_at_its_last_change as fn()),
        ("end hidden by a return", who_had_it_hears_of_its_end_also_when_it_came_back_in_between),
    ] {
        planted::set_here(Some(bug));
        let found = std::panic::catch_unwind(test).is_err();
        planted::set_here(None);
        assert!(found, "no test sees {bug:?}");
    }
}
