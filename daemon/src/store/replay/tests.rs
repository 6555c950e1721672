//! Owns: the tests of conflicts under another rule, in a store. Must never know: how a rule decides.

use std::time::Duration;

use mingle_core::{
    ask::{Refusal, Replayed, Scope, Which},
    policy::Merge,
    replay::{Tally, Would},
};

use super::conflicts_under;
use crate::store::{Class, Store, StoreError, define, limits::REPLAYED_MAX, testing::*};

/// A record in `a` and one in `b`, and these conflicts, oldest first: record, link, replica, property, agreed, truth, theirs, open.
fn store(conflicts: &[&str]) -> Store {
    let store = memory();
    seq(&store, put("x", r#"{"p":1}"#));
    let other = mingle_core::ask::Write::Put {
        collection: "b".into(),
        id: Some("y".into()),
        data: "{}".into(),
        if_seq: None,
        overwrite: true,
        merge: false,
    };
    seq(&store, other);
    for (at, conflict) in conflicts.iter().enumerate() {
        let row = format!(
            "INSERT INTO m_conflict (record, link, replica, property, agreed, truth, theirs, open, id, verdict, seq, at)
             VALUES ({conflict}, 'c-{at}', 'remote', 1, 0)"
        );
        sql(&store, row.leak()).unwrap();
    }
    store
}

fn which(scope: Scope, limit: usize, cursor: Option<String>) -> Which {
    Which { scope, sync: None, all: true, limit, cursor }
}

fn ask(store: &Store, rule: Merge, which: &Which) -> Result<Replayed, StoreError> {
    store.read(|reader| conflicts_under(reader, which, rule, || Duration::ZERO))
}

/// `id: what would be`, and the count.
fn told(store: &Store, rule: Merge) -> (Vec<String>, Tally) {
    let page = ask(store, rule, &which(Scope::All, 100, None)).unwrap();
    let row = |(row, would): (mingle_core::ask::ConflictRow, Option<Would<String>>)| format!("{}: {would:?}", row.conflict);
    (page.rows.into_iter().map(row).collect(), page.tally.unwrap())
}

const SOME: &[&str] = &[
    r#"1, 1, 'r', 'l', '["a"]', '["a","b"]', '["a","c"]', 0"#,
    "1, 1, 'r', 'n', '1', '2', '3.50', 1",
    "1, 1, 'r', 'n', '1', '2', NULL, 0",
    // A delete met an edit: no merge rule is asked.
    r#"1, 1, 'r', NULL, '{"n":1}', '{"n":2}', NULL, 0"#,
    // A write that merged, and a copy that an app keeps.
    "2, NULL, 'app:editor', 'n', '1', '2', '3', 0",
    "2, -1, 'app:editor', 'n', '1', '2', '3', 0",
];

#[test]
fn each_conflict_is_put_to_the_rule_and_all_are_counted() {
    #[track_caller]
    fn check(rule: Merge, settled: u64, expect: [&str; 6]) {
        let store = store(SOME);
        let before = number(&store, "SELECT sum(open * conflict) + 1000 * count(*) FROM m_conflict");
        let (rows, tally) = told(&store, rule);
        // Newest first.
        let expect: Vec<String> = expect.iter().enumerate().rev().map(|(at, would)| format!("c-{at}: {would}")).collect();
        assert_eq!(rows, expect, "{rule:?}");
        assert_eq!(tally, Tally { settled, of: 5, more: false }, "{rule:?}");
        assert_eq!(number(&store, "SELECT sum(open * conflict) + 1000 * count(*) FROM m_conflict"), before, "nothing changes");
    }
    let (one, none, waits, untold) = ("Some(Settle(Some(\"2\")))", "None", "Some(Wait)", "Some(NotTold)");
    let three = "Some(Settle(Some(\"3\")))";
    let union = r#"Some(Settle(Some("[\"a\",\"b\",\"c\"]")))"#;
    let (exact, absent) = ("Some(Settle(Some(\"3.50\")))", "Some(Settle(None))");
    check(Merge::Union, 5, [union, exact, absent, none, three, three]);
    check(Merge::Truth, 5, [r#"Some(Settle(Some("[\"a\",\"b\"]")))"#, one, one, none, one, one]);
    check(Merge::Manual, 0, [waits, waits, waits, none, waits, waits]);
    // A write of an app is the newest there is, a copy's never is; a remote's cannot be told.
    check(Merge::Newest, 2, [untold, untold, untold, none, three, one]);
}

#[test]
fn the_count_is_of_the_question_and_comes_with_its_first_page() {
    let store = store(SOME);
    let only = Scope::Only(vec!["b".into()]);
    let page = ask(&store, Merge::Truth, &which(only.clone(), 1, None)).unwrap();
    assert_eq!((page.rows.len(), page.tally), (1, Some(Tally { settled: 2, of: 2, more: false })));
    let next = ask(&store, Merge::Truth, &which(only, 1, page.cursor)).unwrap();
    assert_eq!((next.rows.len(), next.tally), (1, None));
    let open = Which { all: false, ..which(Scope::All, 100, None) };
    assert_eq!(ask(&store, Merge::Truth, &open).unwrap().tally, Some(Tally { settled: 1, of: 1, more: false }));
    let nowhere = ask(&store, Merge::Truth, &which(Scope::Only(vec!["c".into()]), 1, None));
    assert!(matches!(nowhere, Err(StoreError::Refused(Refusal::NotFound(..)))), "{nowhere:?}");
}

#[test]
fn only_so_many_are_looked_at_and_that_is_said() {
    let one = "1, 1, 'r', 'n', '1', '2', '3', 0";
    let many = usize::try_from(REPLAYED_MAX).unwrap();
    for (rows, more) in [(many, false), (many + 1, true)] {
        let expect = Tally { settled: REPLAYED_MAX, of: REPLAYED_MAX, more };
        assert_eq!(told(&store(&vec![one; rows]), Merge::Max).1, expect);
    }
}

#[test]
fn what_takes_too_long_is_counted_in_part_and_told_page_by_page() {
    let store = store(SOME);
    let late = || Duration::from_secs(3600);
    let (mut seen, mut cursor, mut tallies) = (0, None, Vec::new());
    loop {
        let page =
            store.read(|reader| conflicts_under(reader, &which(Scope::All, 100, cursor.clone()), Merge::Truth, late)).unwrap();
        assert_eq!(page.rows.len(), 1);
        (seen, cursor) = (seen + page.rows.len(), page.cursor);
        tallies.push(page.tally);
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((seen, tallies[0]), (SOME.len(), Some(Tally { settled: 1, of: 1, more: true })));
    assert!(tallies[1..].iter().all(Option::is_none), "{tallies:?}");
}

#[test]
fn objects_and_nulls_are_read_as_the_collection_says() {
    let one = r#"1, 1, 'r', 'o', NULL, '{"b":1}', '{"b":null}', 0"#;
    let plain = store(&[one]);
    assert_eq!(told(&plain, Merge::Union).0, [r#"c-0: Some(Settle(Some("{\"b\":null}")))"#]);
    let with_nulls = store(&[r"1, 1, 'r', 'o', '1', NULL, 'null', 0"]);
    // Where a null says nothing, both sides have nothing, and nobody has to decide.
    assert_eq!(told(&with_nulls, Merge::Manual).0, ["c-0: Some(Settle(None))"]);
    with_nulls
        .write_blocking(Class::Interactive, NOW, |tx| {
            let mut nulls = definition("a");
            nulls.policy.null_is_a_value = true;
            define(tx, &[nulls, definition("b")])
        })
        .unwrap();
    assert_eq!(told(&with_nulls, Merge::Manual).0, ["c-0: Some(Wait)"]);
}
