//! Owns: the tests of what is thrown away. Must never know: who needs the room.

use std::time::Duration;

use mingle_core::{
    ask::{Refusal, Scope, Since, Write},
    time::Timestamp,
};

use crate::store::{Class, CollectionDefinition, Store, define, limits, purge, testing::*};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn purge_at(store: &Store, now: Timestamp) -> bool {
    store.write_blocking(Class::Background, now, purge).unwrap()
}

/// x was made and deleted; y lives.
fn with_tombstone(also: &'static str) -> Store {
    let store = memory();
    seq(&store, put("x", "{}"));
    seq(&store, put("y", "{}"));
    seq(&store, delete("x"));
    sql(&store, "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'r', 'r')").unwrap();
    sql(&store, also).unwrap();
    store
}

#[test]
fn a_tombstone_stays_until_all_have_passed_and_its_time_is_over() {
    #[track_caller]
    fn check(also: &'static str, after: Duration, goes: bool) {
        let store = with_tombstone(also);
        purge_at(&store, NOW.plus(after));
        assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE id = 'x'"), i64::from(!goes), "{also} after {after:?}");
        let horizon = if goes { 3 } else { 0 };
        assert_eq!(number(&store, "SELECT horizon FROM m_store"), horizon);
        assert_eq!(number(&store, "SELECT horizon FROM m_collection WHERE name = 'a'"), horizon);
        assert_eq!(data(&store, "y"), "{}");
        if goes {
            assert_eq!(number(&store, "SELECT (SELECT count(*) FROM m_link) + (SELECT count(*) FROM m_former)"), 0);
            // The id is free again.
            assert_eq!(seq(&store, put("x", "{}")), 4);
        }
    }
    let over = limits::TOMBSTONE_KEPT + Duration::from_secs(1);
    check("SELECT 1", limits::TOMBSTONE_KEPT - Duration::from_secs(1), false);
    check("SELECT 1", over, true);
    let link = |base: i64, sent: &str| -> &'static str {
        format!(
            "INSERT INTO m_link (link, replica, record, base, sent, confirmed, born, seen, missing) VALUES (1, 1, 1, {base}, {sent}, 0, 0, 0, 0);
             INSERT INTO m_former (replica, remote_id, link) VALUES (1, 'q', 1)"
        )
        .leak()
    };
    check(link(0, "NULL"), over, true);
    check(link(2, "NULL"), over, true);
    let made = |looked: bool| format!("'[{{\"seq\":1,\"what\":\"create\",\"looked\":{looked}}}]'");
    check(link(2, &made(false)), over, false);
    check(link(2, &made(true)), over, true);
    check(link(1, &made(true)), over, false);
    check(link(1, "NULL"), over, false);
    check(link(3, "NULL"), over, false);
    check(
        "INSERT INTO m_conflict (id, record, replica, verdict, open, seq, at) VALUES ('c', 1, 'r', 'open', 1, 1, 0)",
        over,
        false,
    );
    check(
        "INSERT INTO m_conflict (id, record, replica, verdict, open, seq, at) VALUES ('c', 1, 'r', 'kept_delete', 0, 1, 0)",
        over,
        true,
    );
    check(
        "INSERT INTO m_rejection (id, sync, replica, side, record, action, what, at, tries) VALUES ('j', 's', 1, 'up', 1, 'delete', '', 0, 1)",
        over,
        false,
    );
}

#[test]
fn answers_of_ops_go_after_a_day() {
    let store = memory();
    let first = write_at(&store, NOW, writer(Some("op")), vec![put("x", "{}")]).unwrap();
    purge_at(&store, NOW.plus(limits::OP_KEPT));
    let again = |now| write_at(&store, now, writer(Some("op")), vec![put("x", "{}")]).unwrap();
    assert_eq!(again(NOW.plus(limits::OP_KEPT)), first);
    purge_at(&store, NOW.plus(limits::OP_KEPT + DAY));
    assert_eq!(number(&store, "SELECT count(*) FROM m_op"), 0);
}

#[test]
fn answers_made_under_a_clock_that_was_ahead_hold_nothing_up() {
    let store = memory();
    let year = 365 * DAY;
    write_at(&store, NOW.plus(year), writer(Some("ahead")), vec![put("x", "{}")]).unwrap();
    write_at(&store, NOW, writer(Some("then")), vec![put("y", "{}")]).unwrap();
    // Now the first counts from here, and the second is not old yet.
    purge_at(&store, NOW.plus(limits::OP_KEPT));
    assert_eq!(number(&store, "SELECT count(*) FROM m_op"), 2);
    purge_at(&store, NOW.plus(limits::OP_KEPT + DAY));
    assert_eq!(number(&store, "SELECT count(*) FROM m_op WHERE op = 'ahead'"), 1);
    assert_eq!(number(&store, "SELECT count(*) FROM m_op"), 1);
    purge_at(&store, NOW.plus(2 * limits::OP_KEPT + DAY));
    assert_eq!(number(&store, "SELECT count(*) FROM m_op"), 0);
}

#[test]
fn the_ledger_goes_but_for_the_newest_and_what_still_counts() {
    let store = memory();
    for n in 1..=3 {
        seq(&store, put("x", &format!("{{\"n\":{n}}}")));
        seq(&store, put("linked", &format!("{{\"n\":{n}}}")));
    }
    let linked = "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'r', 'r');
         INSERT INTO m_link (link, replica, record, base, confirmed, born, seen, missing)
             SELECT 1, 1, record, 1, 0, 0, 0, 0 FROM m_record WHERE id = 'linked'";
    sql(&store, linked).unwrap();
    purge_at(&store, NOW.plus(limits::LEDGER_KEPT + DAY));
    assert_eq!(number(&store, "SELECT count(*) FROM m_ledger WHERE record = 1"), 1);
    assert_eq!(number(&store, "SELECT count(*) FROM m_ledger WHERE record = 2"), 3);
    assert_eq!(number(&store, "SELECT ledger_horizon FROM m_collection WHERE name = 'a'"), 3);
    // What was before is not known any more; what is, is.
    let merge = |if_seq| {
        let put = Write::Put {
            collection: "a".into(),
            id: Some("x".into()),
            data: r#"{"n":9}"#.into(),
            if_seq: Some(if_seq),
            overwrite: false,
            merge: true,
        };
        write(&store, vec![put])
    };
    assert!(matches!(merge(1), Err(Refusal::Stale(_, Some(5)))));
    assert!(merge(5).is_ok());
}

#[test]
fn the_last_row_of_each_property_stays() {
    let seqs = |store: &Store| {
        let told = |reader: &crate::store::Reader<'_>| {
            Ok(reader.query_row("SELECT coalesce(group_concat(seq), '') FROM m_ledger", (), |row| row.get::<_, String>(0))?)
        };
        store.read(told).unwrap()
    };
    #[track_caller]
    fn check(writes: &[Write], seqs: impl Fn(&Store) -> String, left: &str) {
        let store = memory();
        for write in writes {
            seq(&store, write.clone());
        }
        for _ in 0..2 {
            purge_at(&store, NOW.plus(limits::LEDGER_KEPT + DAY));
            assert_eq!(seqs(&store), left, "{writes:?}");
        }
    }
    // Its making is the last word on a property that never changed.
    check(&[put("x", r#"{"a":1,"b":1}"#), patch("x", r#"{"a":2}"#), patch("x", r#"{"a":3}"#)], seqs, "1,3");
    check(&[put("x", r#"{"a":1,"b":1}"#), patch("x", r#"{"a":2}"#), patch("x", r#"{"b":3}"#)], seqs, "2,3");
    check(&[put("x", r#"{"a":1}"#), patch("x", r#"{"b":2}"#), patch("x", r#"{"a":3,"b":null}"#)], seqs, "3");
    // Taken away, and nothing said of it since.
    check(&[put("x", r#"{"a":1,"b":1}"#), patch("x", r#"{"b":null}"#), patch("x", r#"{"a":3}"#)], seqs, "2,3");
    // Deleted, and made anew: that is the last word on everything.
    check(&[put("x", r#"{"a":1,"b":1}"#), delete("x"), put("x", r#"{"c":1}"#)], seqs, "3");
}

/// Of collections that say for how long, and of one that does not.
#[test]
fn a_collection_keeps_what_it_says_and_no_other_hears_of_it() {
    let long = limits::LEDGER_KEPT * 4;
    #[track_caller]
    fn check(kept: Option<Duration>, after: Duration, records: &str, rows: &str) {
        let store = memory();
        let own = CollectionDefinition { retention: kept, ..definition("a") };
        store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &[own, definition("b")])).unwrap();
        for collection in ["a", "b"] {
            let of = |id: &str, data: &str| match put(id, data) {
                Write::Put { id, data, if_seq, overwrite, merge, .. } => {
                    Write::Put { collection: collection.into(), id, data, if_seq, overwrite, merge }
                }
                other => other,
            };
            for n in 1..=3 {
                seq(&store, of("lives", &format!("{{\"n\":{n}}}")));
            }
            seq(&store, of("gone", "{}"));
            seq(&store, Write::Delete { collection: collection.into(), id: "gone".into(), if_seq: None });
        }
        // Twice, so that a purge which ends early does not show.
        for _ in 0..2 {
            purge_at(&store, NOW.plus(after));
        }
        let of = |sql: &str| ["a", "b"].map(|name| number(&store, &sql.replace("NAME", name)).to_string()).join(" ");
        let found = of("SELECT count(*) FROM m_record r JOIN m_collection c USING (collection) WHERE c.name = 'NAME'");
        assert_eq!(found, records, "records, {kept:?} after {after:?}");
        let found = of("SELECT count(*) FROM m_ledger l JOIN m_record r USING (record) JOIN m_collection c USING (collection)
             WHERE c.name = 'NAME' AND r.id = 'lives'");
        assert_eq!(found, rows, "rows of history, {kept:?} after {after:?}");
    }
    let second = Duration::from_secs(1);
    check(None, limits::TOMBSTONE_KEPT - second, "2 2", "3 3");
    check(None, limits::TOMBSTONE_KEPT + second, "1 1", "3 3");
    check(Some(2 * DAY), 2 * DAY - second, "2 2", "3 3");
    check(Some(2 * DAY), 2 * DAY + second, "1 2", "1 3");
    check(Some(long), limits::LEDGER_KEPT + second, "2 1", "3 1");
    check(Some(long), long + second, "1 1", "1 1");
}

/// What one collection has thrown away is missing there, and in no other: neither for a merge onto an older base nor for a reader.
#[test]
fn the_horizon_of_one_collection_is_not_that_of_others() {
    let store = memory();
    let own = CollectionDefinition { retention: Some(2 * DAY), ..definition("a") };
    store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &[own, definition("b")])).unwrap();
    let of = |collection: &str, id: &str, data: &str, if_seq: Option<u64>| Write::Put {
        collection: collection.into(),
        id: Some(id.into()),
        data: data.into(),
        if_seq,
        overwrite: if_seq.is_none(),
        merge: if_seq.is_some(),
    };
    // The other one first, so that all of it lies below what is thrown away.
    let mut bases = Vec::new();
    for collection in ["b", "a"] {
        bases.push(seq(&store, of(collection, "x", r#"{"n":1}"#, None)));
        seq(&store, of(collection, "x", r#"{"n":2}"#, None));
        seq(&store, of(collection, "x", r#"{"n":3}"#, None));
        seq(&store, of(collection, "gone", "{}", None));
        seq(&store, Write::Delete { collection: collection.into(), id: "gone".into(), if_seq: None });
    }
    let reads = |collections: &[&str]| {
        let scope = Scope::Only(collections.iter().map(|name| (*name).into()).collect());
        feed(&store, &Since { scope, ..since(1) }).fresh
    };
    assert!(!reads(&["a"]) && !reads(&["b"]));
    while purge_at(&store, NOW.plus(3 * DAY)) {}
    let merged = |collection: &str, base: u64| write(&store, vec![of(collection, "x", r#"{"n":1,"l":1}"#, Some(base))]);
    assert!(matches!(merged("a", bases[1]), Err(Refusal::Stale(..))), "its base is not known any more");
    assert!(merged("b", bases[0]).is_ok(), "that of another is");
    assert!(reads(&["a"]) && reads(&["a", "b"]), "who reads it may have missed an end");
    assert!(!reads(&["b"]), "who reads the other has not");
}

#[test]
fn a_purge_is_short_and_says_that_there_is_more() {
    let store = memory();
    let ids: Vec<String> = (0..1_000).map(|at| format!("r{at}")).collect();
    for _ in 0..3 {
        write(&store, ids.iter().map(|id| put(id, "{}")).collect()).unwrap();
        write(&store, ids.iter().map(|id| delete(id)).collect()).unwrap();
    }
    let later = NOW.plus(limits::LEDGER_KEPT + DAY);
    assert!(!purge_at(&store, NOW));
    assert!(purge_at(&store, later) || number(&store, "SELECT count(*) FROM m_record") == 0);
    while purge_at(&store, later) {}
    assert_eq!(number(&store, "SELECT (SELECT count(*) FROM m_record) + (SELECT count(*) FROM m_ledger)"), 0);
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use mingle_core::planted;
    for (bug, test) in [
        ("tombstone purged at once", a_tombstone_stays_until_all_have_passed_and_its_time_is_over as fn()),
        ("ledger without horizon", the_horizon_of_one_collection_is_not_that_of_others),
    ] {
        planted::set_here(Some(bug));
        let found = std::panic::catch_unwind(test).is_err();
        planted::set_here(None);
        assert!(found, "no test sees {bug:?}");
    }
}

/// `runs`: of each sync how many, each a minute after the one before, the last one just now.
#[track_caller]
fn check_runs(runs: &[(&str, u32)], after: Duration, open: &str, left: &[(&str, u32)]) {
    let store = memory();
    for (sync, count) in runs {
        let insert = format!(
            "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
             INSERT INTO m_run (id, sync, status, mode, trigger, started, ended)
             SELECT 'r-{sync}' || n, '{sync}', 'done', 'fast', 'timer', {now} - ({count} - n) * 60000, {now} - ({count} - n) * 60000 FROM n",
            now = NOW.unix_ms()
        );
        sql(&store, insert.leak()).unwrap();
    }
    sql(&store, format!("UPDATE m_run SET status = 'running', ended = NULL WHERE id = '{open}'").leak()).unwrap();
    while purge_at(&store, NOW.plus(after)) {}
    for (sync, count) in left {
        let kept = number(&store, format!("SELECT count(*) FROM m_run WHERE sync = '{sync}'").leak());
        assert_eq!(kept, i64::from(*count), "{runs:?} after {after:?}: {sync}");
        let last = format!("SELECT count(*) FROM m_run WHERE sync = '{sync}' AND started = {}", NOW.unix_ms());
        assert_eq!(number(&store, last.leak()), 1, "the last one stays");
    }
}

#[test]
fn of_runs_the_last_stay_and_of_the_others_those_that_are_not_old() {
    let (kept, over) = (limits::RUNS_KEPT, limits::LEDGER_KEPT);
    check_runs(&[("s", kept)], 2 * over, "", &[("s", kept)]);
    check_runs(&[("s", kept + 1), ("t", 3), ("u", kept + 5_000)], 2 * over, "", &[("s", kept), ("t", 3), ("u", kept)]);
    check_runs(&[("s", kept + 50)], over - DAY, "", &[("s", kept + 50)]);
    // Each a minute after the one before: the first ten are old.
    check_runs(&[("s", kept + 50)], over - Duration::from_secs(60) * (kept + 39), "", &[("s", kept + 40)]);
    // One that is not over is somebody's.
    check_runs(&[("s", kept + 2)], 2 * over, "r-s1", &[("s", kept + 1)]);
}

#[test]
fn too_many_runs_go_however_young_they_are() {
    check_runs(&[("s", limits::RUNS_MAX + 3_000)], Duration::ZERO, "", &[("s", limits::RUNS_MAX)]);
}
