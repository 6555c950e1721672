//! Owns: the tests of decisions. Must never know: runs.

use mingle_core::{
    ask::{Keep, Refusal, Resolution, Scope, Which, Written},
    run::Creates,
};

use super::{resolve_conflict, resolve_rejection};
use crate::store::{Class, Store, StoreError, history, testing::*};

fn link(store: &Store) -> (Option<String>, i64, Option<String>) {
    store
        .read(|reader| {
            Ok(reader.query_row("SELECT remote_id, base, agreed FROM m_link WHERE link = 1", (), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?)
        })
        .unwrap()
}

/// x is {p:1,q:1} at seq 1, linked as 'q' with agreed {p:0}; a conflict over p.
fn conflict(verdict: &str, open: bool, property: &str) -> Store {
    let store = memory();
    seq(&store, put("x", r#"{"p":1,"q":1}"#));
    let rows = format!(
        "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'r', 'r');
         INSERT INTO m_link (link, replica, record, remote_id, base, agreed, confirmed, born, seen, missing)
             VALUES (1, 1, 1, 'q', 1, '{{\"p\":0}}', 0, 0, 0, 0);
         INSERT INTO m_conflict (id, record, link, replica, property, agreed, truth, theirs, verdict, open, seq, at)
             VALUES ('c-1', 1, 1, 'r', {property}, '5', '1', '7', '{verdict}', {open}, 1, 0)"
    );
    sql(&store, rows.leak()).unwrap();
    store
}

fn decide(store: &Store, if_seq: Option<u64>, keep: Keep) -> Result<Written, Refusal> {
    let decided =
        store.write_blocking(Class::Interactive, NOW, move |tx| resolve_conflict(tx, &writer(Some("op")), "c-1", if_seq, &keep));
    decided.map_err(Into::into)
}

#[test]
fn a_conflict_is_decided_by_a_write() {
    #[track_caller]
    fn check(keep: &Keep, expect: &str, seq_after: u64) {
        let store = conflict("open", true, "'p'");
        let written = decide(&store, Some(1), keep.clone()).unwrap();
        assert_eq!((data(&store, "x").as_str(), written.writes[0].seq), (expect, seq_after), "{keep:?}");
        assert_eq!(number(&store, "SELECT open FROM m_conflict"), 0);
        assert_eq!(number(&store, "SELECT count(*) FROM m_conflict WHERE verdict = 'resolved'"), 1);
        // A repeat is the same answer, and nothing more.
        assert_eq!(decide(&store, Some(1), keep.clone()), Ok(written));
        assert_eq!(store.commits().take().len(), 1, "what was frozen is to be sent: {keep:?}");
    }
    check(&Keep::Truth, r#"{"p":1,"q":1}"#, 1);
    check(&Keep::Theirs, r#"{"p":7,"q":1}"#, 2);
    check(&Keep::Agreed, r#"{"p":5,"q":1}"#, 2);
    check(&Keep::Value(r#"{"deep":[1.50]}"#.into()), r#"{"p":{"deep":[1.50]},"q":1}"#, 2);
}

#[test]
fn a_decision_on_something_that_moved_is_stale() {
    let store = conflict("open", true, "'p'");
    seq(&store, patch("x", r#"{"q":2}"#));
    // Another property moved: the decision stands.
    assert!(decide(&store, Some(1), Keep::Theirs).is_ok());
    let store = conflict("open", true, "'p'");
    seq(&store, patch("x", r#"{"p":3}"#));
    assert!(matches!(decide(&store, Some(1), Keep::Theirs), Err(Refusal::Stale(_, Some(2)))));
    // Without a seq it is decided as things are; "the truth's" is what it is now.
    assert!(decide(&store, None, Keep::Truth).is_ok());
    assert_eq!(data(&store, "x"), r#"{"p":3,"q":1}"#);
    let store = conflict("open", true, "'p'");
    seq(&store, delete("x"));
    assert!(matches!(decide(&store, None, Keep::Theirs), Err(Refusal::Stale(_, None))));
    let store = conflict("open", true, "'p'");
    assert!(matches!(decide(&store, None, Keep::Value("{".into())), Err(Refusal::Invalid(..))));
    assert_eq!(number(&store, "SELECT open FROM m_conflict"), 1);
    let missing =
        store.write_blocking(Class::Interactive, NOW, |tx| resolve_conflict(tx, &writer(None), "c-9", None, &Keep::Truth));
    assert!(matches!(missing, Err(StoreError::Refused(Refusal::NotFound(..)))));
}

#[test]
fn a_record_as_a_whole_is_kept_or_goes() {
    let store = conflict("kept_edit", false, "NULL");
    sql(&store, "UPDATE m_conflict SET truth = '{\"p\":1}', theirs = NULL, agreed = '{\"p\":5}'").unwrap();
    decide(&store, None, Keep::Theirs).unwrap();
    assert_eq!(data(&store, "x"), "-");
    let store = conflict("kept_delete", false, "NULL");
    sql(&store, "UPDATE m_conflict SET truth = '{\"p\":1}', theirs = NULL").unwrap();
    seq(&store, delete("x"));
    decide(&store, None, Keep::Truth).unwrap();
    assert_eq!(data(&store, "x"), r#"{"p":1}"#);
}

#[test]
fn a_path_leads_into_objects_where_merging_is_nested() {
    let store = conflict("open", true, "'a~1b/c'");
    store
        .write_blocking(Class::Interactive, NOW, |tx| {
            let mut nested = definition("a");
            nested.policy.nested = true;
            crate::store::define(tx, &[nested])
        })
        .unwrap();
    seq(&store, put("x", r#"{"a/b":{"c":1,"d":2}}"#));
    decide(&store, None, Keep::Theirs).unwrap();
    assert_eq!(data(&store, "x"), r#"{"a/b":{"c":7,"d":2}}"#);
}

fn rejection(side: &str, base: i64, agreed: &str, refused: &str) -> Store {
    let store = memory();
    seq(&store, put("x", r#"{"p":1,"own":true,"q":1}"#));
    let rows = format!(
        "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'r', 'r');
         INSERT INTO m_link (link, replica, record, remote_id, revision, base, agreed, confirmed, born, seen, missing)
             VALUES (1, 1, 1, 'q', 'e1', {base}, {agreed}, 0, 0, 0, 0);
         INSERT INTO m_rejection (id, sync, replica, side, link, record, action, what, refused, at, tries)
             VALUES ('j-1', 'y', 1, '{side}', 1, 1, 'update', 'no', {refused}, 0, 1)"
    );
    sql(&store, rows.leak()).unwrap();
    store
}

fn settle(store: &Store, with: Resolution) -> Result<Written, Refusal> {
    store.write_blocking(Class::Interactive, NOW, move |tx| resolve_rejection(tx, &writer(None), "j-1", with)).map_err(Into::into)
}

#[test]
fn a_rejection_is_rolled_back() {
    #[track_caller]
    fn check(side: &str, base: i64, agreed: &str, refused: &str, expect: &str) {
        let store = rejection(side, base, agreed, refused);
        settle(&store, Resolution::Rollback).unwrap();
        assert_eq!(data(&store, "x"), expect);
        assert_eq!(number(&store, "SELECT count(*) FROM m_rejection"), 0);
    }
    // What the remote does not carry (own) stays; what it lacked goes.
    check("up", 1, "'{\"p\":0}'", "'{\"p\":1,\"q\":1}'", r#"{"own":true,"p":0}"#);
    check("up", 1, "'{\"p\":0}'", "NULL", r#"{"own":true,"p":0,"q":1}"#);
    check("up", 0, "NULL", "NULL", r#"{"own":true,"p":1,"q":1}"#);
    check("up", 2, "NULL", "'{\"p\":1}'", "-");
    check("create", 2, "NULL", "NULL", "-");
    check("delete", 1, "'{\"p\":1}'", "NULL", "-");
    let store = rejection("down", 1, "'{}'", "NULL");
    assert!(matches!(settle(&store, Resolution::Rollback), Err(Refusal::Unsupported(_))));
    let store = rejection("up", 3, "NULL", "NULL");
    assert!(matches!(settle(&store, Resolution::Rollback), Err(Refusal::Unsupported(_))));
    assert_eq!(number(&store, "SELECT count(*) FROM m_rejection"), 1);
}

#[test]
fn a_refused_delete_is_rolled_back_to_what_the_remote_has() {
    let store = rejection("up", 1, "'{\"p\":0}'", "'gone'");
    seq(&store, delete("x"));
    settle(&store, Resolution::Rollback).unwrap();
    assert_eq!(data(&store, "x"), r#"{"p":0}"#);
}

#[test]
fn a_taken_delete_leaves_a_link_that_is_gone() {
    let store = rejection("delete", 0, "NULL", "NULL");
    settle(&store, Resolution::Rollback).unwrap();
    assert_eq!(link(&store), (None, 2, None));
    assert_eq!(number(&store, "SELECT count(*) FROM m_former WHERE remote_id = 'q' AND link = 1"), 1);
}

#[test]
fn a_rejection_is_made_anew_tried_again_or_dropped() {
    let store = rejection("delete", 1, "'{\"p\":1}'", "NULL");
    let written = settle(&store, Resolution::Recreate).unwrap();
    assert_eq!((written.writes[0].id.as_str(), written.writes[0].seq), ("x", 1));
    assert_eq!(link(&store), (None, 2, None));
    assert_eq!(number(&store, "SELECT count(*) FROM m_rejection"), 0);
    assert_eq!(store.commits().take().len(), 1);
    for (with, verdict) in [(Resolution::Retry, "retry"), (Resolution::Drop, "drop")] {
        let store = rejection("up", 1, "'{\"p\":1}'", "NULL");
        settle(&store, with).unwrap();
        assert_eq!(number(&store, &format!("SELECT count(*) FROM m_rejection WHERE verdict = '{verdict}'")), 1);
    }
    let store = rejection("down", 1, "'{}'", "NULL");
    sql(&store, "UPDATE m_rejection SET link = NULL, record = NULL, remote_id = 'z'").unwrap();
    assert_eq!(settle(&store, Resolution::Retry).unwrap().writes, []);
    assert!(matches!(settle(&store, Resolution::Recreate), Err(Refusal::Unsupported(_))));
    assert!(matches!(settle(&store, Resolution::Rollback), Err(Refusal::Unsupported(_))));
    sql(&store, "DELETE FROM m_rejection").unwrap();
    assert!(matches!(settle(&store, Resolution::Retry), Err(Refusal::NotFound(..))));
}

#[test]
fn what_waits_is_listed_newest_first() {
    let store = rejection("up", 1, "'{}'", "NULL");
    sql(
        &store,
        "INSERT INTO m_conflict (id, record, link, replica, property, agreed, truth, theirs, verdict, open, seq, at)
             VALUES ('c-1', 1, 1, 'r', 'p', '5', '1', NULL, 'open', 1, 1, 7), ('c-2', 1, 1, 'r', 'q', NULL, '1', '2', 'remote', 0, 1, 8),
                    ('c-3', 1, NULL, 'app:x', 'q', NULL, '1', '2', 'open', 1, 1, 9);
         INSERT INTO m_rejection (id, sync, replica, side, remote_id, action, what, at, tries, verdict)
             VALUES ('j-2', 'z', 1, 'down', 'zz', 'apply', 'no name', 3, 2, NULL), ('j-3', 'y', 1, 'down', 'zy', 'apply', 'no', 3, 2, 'drop');
         INSERT INTO m_sync (name, replica, pass, up_scanned) VALUES ('y', 1, 0, 0);
         INSERT INTO m_run (id, sync, status, mode, trigger, started, ended, error) VALUES
             ('r-1', 'y', 'failed', 'fast', 'timer', 1, 2, '{\"name\":\"n\",\"what\":\"w\",\"hint\":null}'),
             ('r-2', 'z', 'running', 'fast', 'timer', 3, NULL, NULL)",
    )
    .unwrap();
    let which = |all: bool, sync: Option<&str>, scope: Scope, cursor: Option<String>| Which {
        scope,
        sync: sync.map(Into::into),
        all,
        limit: 2,
        cursor,
    };
    let conflicts = |which: Which| {
        let page = store.read(|reader| history::conflicts(reader, &which)).unwrap();
        let ids: Vec<String> = page.rows.iter().map(|row| format!("{}:{}", row.conflict, row.collection)).collect();
        (ids.join(" "), page.cursor)
    };
    assert_eq!(conflicts(which(false, None, Scope::All, None)), ("c-3:a c-1:a".into(), None));
    let (first, cursor) = conflicts(which(true, None, Scope::All, None));
    assert_eq!(first, "c-3:a c-2:a");
    assert_eq!(conflicts(which(true, None, Scope::All, cursor)), ("c-1:a".into(), None));
    assert_eq!(conflicts(which(true, Some("y"), Scope::All, None)), ("c-2:a c-1:a".into(), None));
    assert_eq!(conflicts(which(true, None, Scope::Only(vec!["b".into()]), None)), (String::new(), None));

    let of_sync = |sync: &str| Some(if sync == "y" { "a" } else { "b" }.to_owned());
    let rejections = |which: Which| {
        let page = store.read(|reader| history::rejections(reader, &which, &of_sync)).unwrap();
        page.rows.iter().map(|row| format!("{}:{}:{}", row.rejection, row.collection, row.sync)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(rejections(which(false, None, Scope::All, None)), "j-2:b:z j-1:a:y");
    assert_eq!(rejections(which(true, Some("y"), Scope::All, None)), "j-3:a:y j-1:a:y");
    assert_eq!(rejections(which(false, None, Scope::Only(vec!["a".into()]), None)), "j-1:a:y");
    assert_eq!(rejections(which(false, None, Scope::Only(vec![]), None)), "");

    let runs = store.read(|reader| history::runs(reader, None, 10, None)).unwrap().rows;
    assert_eq!(runs.iter().map(|run| run.run.as_str()).collect::<Vec<_>>(), ["r-2", "r-1"]);
    assert_eq!(runs[1].error.as_ref().map(|error| (error.name.as_str(), error.hint.clone())), Some(("n", None)));
    assert_eq!(store.read(|reader| history::last_run(reader, "z")).unwrap(), None);
    assert!(store.read(|reader| history::one_run(reader, "r-9")).is_err());
    let counts = store.read(|reader| history::counts(reader, "y", Some(("a", Creates::Unlinked)))).unwrap();
    assert_eq!(counts, history::Counts { pending: 0, conflicts: 1, rejections: 1 });
    sql(&store, "DELETE FROM m_rejection WHERE id = 'j-1'").unwrap();
    assert_eq!(store.read(|reader| history::counts(reader, "y", Some(("a", Creates::Unlinked)))).unwrap().pending, 1);
    assert_eq!(store.read(|reader| history::counts(reader, "y", None)).unwrap().pending, 0);

    // A record that no remote ever had waits to be made there, also before the first run of its sync.
    let unlinked = "INSERT INTO m_record SELECT 90, collection, 'new', data, 90, 90, 90, 0 FROM m_record WHERE state = 0 LIMIT 1";
    sql(&store, unlinked).unwrap();
    assert_eq!(store.read(|reader| history::counts(reader, "y", Some(("a", Creates::Unlinked)))).unwrap().pending, 2);
    assert_eq!(store.read(|reader| history::counts(reader, "never ran", Some(("a", Creates::Unlinked)))).unwrap().pending, 1);
}
