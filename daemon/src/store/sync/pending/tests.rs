//! Owns: the tests of the lists in the store: their pages, and what is taken back or forgotten of them. Must never know: runs.

use std::collections::BTreeSet;

use mingle_core::{
    ask::{Forget, Refusal, RollBack, Scope, WhichPending, Writer},
    pending::State,
    record::Carried,
    run::Creates,
};

use super::{Place, list};
use crate::store::{Class, Store, StoreError, Tx, deferred, limits, sync, testing::*};

fn place() -> Place {
    Place {
        sync: "s".into(),
        remote: "r".into(),
        collection: "a".into(),
        replica: Some(1),
        carried: Carried::All,
        up_only: false,
        creates: Creates::Unlinked,
    }
}

fn with_replica() -> Store {
    let store = memory();
    let sql_text = "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'r', 'r');
                    INSERT INTO m_sync (name, replica, pass, up_scanned) VALUES ('s', 1, 1, 0)";
    sql(&store, sql_text).unwrap();
    store
}

fn writer(op: Option<&str>) -> Writer {
    Writer { app: "tester".into(), op: op.map(str::to_owned), instance: None }
}

fn does<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Refusal> {
    store.write_blocking(Class::Interactive, NOW, work).map_err(Refusal::from)
}

/// All pages, with what each brought.
fn pages(store: &Store, state: Option<State>, limit: usize) -> Vec<Vec<(String, State)>> {
    let mut which = WhichPending { scope: Scope::All, sync: None, state, limit, cursor: None };
    let mut pages = Vec::new();
    loop {
        let page = store.read(|reader| list(reader, &which, &[place()])).unwrap();
        pages.push(page.rows.into_iter().map(|row| (row.id, row.state)).collect());
        match page.cursor {
            Some(cursor) => which.cursor = Some(cursor),
            None => return pages,
        }
    }
}

/// S-37: "read in pages"; a page looks at a bounded number of records, and all of them are found all the same.
#[test]
fn pages_come_to_an_end_and_have_each_record_once() {
    let store = with_replica();
    let all = 4 * limits::PENDING_ROWS_MAX + 3;
    for n in 0..all {
        seq(&store, put(&format!("x{n}"), "{\"p\":1}"));
    }
    // Those of the middle have links that are the same there, and are not pending.
    let level = format!(
        "INSERT INTO m_link (replica, record, remote_id, base, confirmed, born, seen, missing)
         SELECT 1, record, id, 0, seq, 0, 0, 0 FROM m_record WHERE record % 3 = 0;
         INSERT INTO m_link (replica, record, remote_id, base, agreed, confirmed, born, seen, missing)
         SELECT 1, record, id, 1, '{{\"p\":2}}', 1, 0, 0, 0 FROM m_record WHERE record % 3 = 1 AND record < {all}"
    );
    sql(&store, level.leak()).unwrap();
    let wanted: BTreeSet<String> = store
        .read(|reader| {
            let mut ids = reader.prepare("SELECT id FROM m_record WHERE record % 3 <> 0")?;
            Ok(ids.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .unwrap();
    for limit in [1, 3, 1_000] {
        let pages = pages(&store, None, limit);
        assert!(pages.iter().all(|page| page.len() <= limit.min(limits::PENDING_ROWS_MAX)), "limit {limit}");
        let told: Vec<String> = pages.into_iter().flatten().map(|(id, _)| id).collect();
        let once: BTreeSet<String> = told.iter().cloned().collect();
        assert_eq!((told.len(), &once), (wanted.len(), &wanted), "limit {limit}");
    }
    assert!(pages(&store, Some(State::Deferred), 5).concat().is_empty());
    let elsewhere = WhichPending { scope: Scope::Only(vec!["nowhere".into()]), sync: None, state: None, limit: 1, cursor: None };
    assert!(store.read(|reader| list(reader, &elsewhere, &[place()])).is_err(), "a collection that is not there");
    let of_another = WhichPending { cursor: Some("c-1".into()), scope: Scope::All, ..elsewhere };
    assert!(store.read(|reader| list(reader, &of_another, &[place()])).is_err(), "a cursor of something else");
}

/// V-14: a write that changes nothing marks nothing; a mark holds what is written later, and goes with what it is about.
#[test]
fn marks_are_made_by_writes_and_lifted_by_name_or_whole() {
    let store = with_replica();
    seq(&store, put("x", "{\"p\":1}").deferred(true));
    seq(&store, put("y", "{\"p\":1}"));
    seq(&store, put("y", "{\"p\":1}").deferred(true));
    seq(&store, put("z", "{\"p\":1}").deferred(true));
    seq(&store, patch("z", "{\"p\":2}"));
    let deferred =
        |store: &Store| pages(store, Some(State::Deferred), 10).concat().into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(deferred(&store), ["x", "z"]);
    let upload = |ids: Option<&[&str]>| {
        let ids: Option<Vec<String>> = ids.map(|ids| ids.iter().map(|id| (*id).to_owned()).collect());
        does(&store, move |tx| deferred::upload(tx, "a", ids.as_deref(), "tester"))
    };
    assert!(matches!(upload(Some(&["x", "nowhere"])), Err(Refusal::NotFound(..))), "all or nothing");
    assert_eq!(deferred(&store), ["x", "z"]);
    assert_eq!(upload(Some(&["x", "y"])), Ok((1, false)));
    assert_eq!(upload(None), Ok((1, false)));
    assert_eq!(upload(None), Ok((0, false)));
    assert!(deferred(&store).is_empty());
}

/// V-12, V-15: what cannot be done is refused by name, and changes nothing.
#[test]
fn what_cannot_be_taken_back_or_forgotten_is_refused() {
    let store = with_replica();
    seq(&store, put("own", "{\"p\":2}"));
    seq(&store, put("sent", "{\"p\":2}"));
    seq(&store, put("level", "{\"p\":2}"));
    seq(&store, put("new", "{\"p\":2}"));
    let links = "INSERT INTO m_link (replica, record, remote_id, base, agreed, sent, confirmed, born, seen, missing)
                 VALUES (1, 1, 'own', 1, '{\"p\":1}', NULL, 0, 0, 0, 0),
                        (1, 2, 'sent', 1, '{\"p\":1}', '[{\"seq\":2,\"what\":\"delete\"}]', 0, 0, 0, 0),
                        (1, 3, 'level', 0, NULL, NULL, 3, 0, 0, 0)";
    sql(&store, links).unwrap();
    let back = |id: &str, op: Option<&str>| {
        let asked = RollBack { collection: "a".into(), id: Some(id.into()), cursor: None };
        let (ids, writer) = (vec![id.to_owned()], writer(op));
        does(&store, move |tx| sync::roll_back(tx, &writer, &asked, &[place()], &ids, None))
    };
    let forget = |id: &str, if_seq: Option<u64>| {
        let asked = Forget { collection: "a".into(), id: id.into(), if_seq };
        does(&store, move |tx| sync::forget(tx, &writer(None), &asked, &[place()]))
    };
    let head = *store.head().borrow();
    assert!(matches!(back("nowhere", None), Err(Refusal::NotFound(..))));
    assert!(matches!(back("sent", None), Err(Refusal::WrongState(..))));
    assert!(matches!(back("level", None), Err(Refusal::WrongState(..))));
    assert!(matches!(forget("nowhere", None), Err(Refusal::NotFound(..))));
    assert!(matches!(forget("own", None), Err(Refusal::WrongState(..))));
    assert!(matches!(forget("sent", None), Err(Refusal::WrongState(..))));
    assert!(matches!(forget("new", None), Err(Refusal::WrongState(..))));
    assert!(matches!(forget("level", Some(1)), Err(Refusal::Stale(_, Some(3)))));
    assert_eq!(*store.head().borrow(), head, "nothing has changed");
    let first = back("own", Some("o-1")).unwrap();
    assert_eq!(back("own", Some("o-1")).unwrap().written, first.written, "a repeat of its op is no second one");
    assert_eq!(data(&store, "own"), Some("{\"p\":1}".into()));
    back("new", None).unwrap();
    assert_eq!(data(&store, "new"), None);
    forget("level", None).unwrap();
    assert_eq!(data(&store, "level"), None);
    let left: Vec<(String, State)> = pages(&store, None, 10).concat();
    assert_eq!(left, [("sent".to_owned(), State::AwaitingAck)]);
    // What no remote has would be nowhere.
    seq(&store, put("here", "{}"));
    let asked = Forget { collection: "a".into(), id: "here".into(), if_seq: None };
    let nowhere = does(&store, move |tx| sync::forget(tx, &writer(None), &asked, &[]));
    assert!(matches!(nowhere, Err(Refusal::Unsupported(..))), "{nowhere:?}");
}

fn data(store: &Store, id: &str) -> Option<String> {
    let sql = "SELECT data FROM m_record WHERE id = ?1";
    store.read(|reader| Ok(reader.query_row(sql, [id], |row| row.get(0))?)).unwrap()
}
