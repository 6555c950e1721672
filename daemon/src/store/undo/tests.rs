//! Owns: the proof that undo takes back what is asked for, and nothing else. Must never know: the wire.

use std::time::Duration;

use mingle_core::ask::Write;

use super::*;
use crate::store::{
    Class, Store,
    testing::{NOW, data, delete, memory, number, patch, put, sql, undo_all, write_at},
};

fn by(app: &str) -> Writer {
    Writer { app: app.into(), op: None, instance: None }
}

fn writes(store: &Store, app: &str, after: u64, write: Write) {
    write_at(store, NOW.plus(Duration::from_secs(after)), by(app), vec![write]).unwrap();
}

fn record(id: &str) -> Undo {
    Undo { scope: Scope::Only(vec!["a".into()]), id: Some(id.into()), ..undo_all() }
}

fn previewed(store: &Store, asked: &Undo) -> Result<Vec<String>, Refusal> {
    let page = store.read(|reader| preview(reader, asked)).map_err(Refusal::from)?;
    let row = |row: &UndoRow| {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into()).replace('"', "'");
        let later = row.later.as_ref().map_or_else(String::new, |later| format!(" ! {}@{}", later.origin, later.seq));
        format!("{}.{} {} -> {}{later}", row.id, row.property.as_deref().unwrap_or("*"), value(&row.from), value(&row.to))
    };
    Ok(page.rows.iter().map(row).collect())
}

fn done(store: &Store, writer: Writer, asked: &Undo) -> Result<Undone, Refusal> {
    let chosen = store.read(|reader| choose(reader, asked)).map_err(Refusal::from)?;
    let asked = asked.clone();
    store.write_blocking(Class::Interactive, NOW, move |tx| undo(tx, &writer, &asked, &chosen)).map_err(Refusal::from)
}

/// What a preview says is what is done.
#[test]
fn by_record_app_run_and_time() {
    let store = memory();
    writes(&store, "one", 0, put("r", r#"{"t":"a","n":1}"#));
    writes(&store, "two", 10, patch("r", r#"{"t":"b"}"#));
    writes(&store, "one", 20, patch("r", r#"{"n":2}"#));
    writes(&store, "two", 30, put("s", r#"{"x":1}"#));
    writes(&store, "two", 40, put("k", r#"{"x":1}"#));
    writes(&store, "one", 50, patch("k", r#"{"y":1}"#));
    sql(&store, "UPDATE m_ledger SET origin = 'sync:down' WHERE seq = 4").unwrap();
    sql(
        &store,
        format!(
            "INSERT INTO m_run (id, sync, status, result, mode, trigger, started, ended) VALUES ('r-1', 'down', 'done', 'new_data', 'fast', 'every', {}, {})",
            NOW.plus(Duration::from_secs(29)).unix_ms(),
            NOW.plus(Duration::from_secs(31)).unix_ms()
        )
        .leak(),
    )
    .unwrap();

    // Its last change; one of its changes.
    assert_eq!(previewed(&store, &record("r")).unwrap(), ["r.n 2 -> 1"]);
    assert_eq!(previewed(&store, &Undo { seq: Some(2), ..record("r") }).unwrap(), ["r.t 'b' -> 'a'"]);
    // What an app did: what another has worked on since stays, and is named.
    let two = Undo { app: Some("two".into()), ..undo_all() };
    assert_eq!(previewed(&store, &two).unwrap(), ["r.t 'b' -> 'a'", "k.* {'x':1,'y':1} -> - ! app:one@6"]);
    // What a run brought.
    let run = Undo { run: Some("r-1".into()), ..undo_all() };
    assert_eq!(previewed(&store, &run).unwrap(), ["s.* {'x':1} -> -"]);
    // What anybody did since.
    let since =
        Undo { since: Some(NOW.plus(Duration::from_secs(25))), until: Some(NOW.plus(Duration::from_secs(45))), ..undo_all() };
    assert_eq!(previewed(&store, &since).unwrap(), ["s.* {'x':1} -> -", "k.* {'x':1,'y':1} -> - ! app:one@6"]);
    let seq = number(&store, "SELECT max(seq) FROM m_record");

    let undone = done(&store, by("me"), &two).unwrap();
    assert_eq!((undone.written.writes.len(), undone.collections.as_slice()), (1, ["a".to_owned()].as_slice()));
    assert_eq!(undone.left.rows.len(), 1);
    assert_eq!((data(&store, "r").as_str(), data(&store, "k").as_str()), (r#"{"n":2,"t":"a"}"#, r#"{"x":1,"y":1}"#));
    assert_eq!(number(&store, "SELECT max(seq) FROM m_record"), seq + 1);
    // Once more finds nothing to do; by force it does what was left.
    assert_eq!(done(&store, by("me"), &two).unwrap().written.writes, []);
    done(&store, by("me"), &Undo { force: true, ..two }).unwrap();
    assert_eq!(data(&store, "k"), "-");
    // An undo is a change like any other, and can be undone.
    assert_eq!(previewed(&store, &record("k")).unwrap(), ["k.* - -> {'x':1,'y':1}"]);
    done(&store, by("me"), &record("k")).unwrap();
    assert_eq!(data(&store, "k"), r#"{"x":1,"y":1}"#);
}

#[test]
fn a_repeat_of_an_op_does_it_once() {
    let store = memory();
    writes(&store, "one", 0, put("r", r#"{"t":1}"#));
    writes(&store, "one", 1, patch("r", r#"{"t":2}"#));
    let writer = || Writer { op: Some("o-1".into()), ..by("me") };
    let first = done(&store, writer(), &record("r")).unwrap();
    assert_eq!(data(&store, "r"), r#"{"t":1}"#);
    let again = done(&store, writer(), &record("r")).unwrap();
    assert_eq!((&first.written, &first.collections), (&again.written, &again.collections));
    assert_eq!(data(&store, "r"), r#"{"t":1}"#);
    assert!(matches!(done(&store, writer(), &Undo { force: true, ..record("r") }), Err(Refusal::OpReused(_))));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let store = memory();
    writes(&store, "one", 0, put("r", "{}"));
    let refused = |asked: Undo| previewed(&store, &asked).unwrap_err();
    assert!(matches!(refused(undo_all()), Refusal::Invalid(..)));
    assert!(matches!(refused(Undo { scope: Scope::Only(vec!["a".into()]), ..undo_all() }), Refusal::Invalid(..)));
    assert!(matches!(refused(Undo { id: Some("r".into()), ..undo_all() }), Refusal::Invalid(..)));
    assert!(matches!(refused(record("never")), Refusal::NotFound(..)));
    assert!(matches!(refused(Undo { run: Some("r-9".into()), ..undo_all() }), Refusal::NotFound(..)));
    assert!(matches!(
        refused(Undo { app: Some("x".into()), scope: Scope::Only(vec!["c".into()]), ..undo_all() }),
        Refusal::NotFound(..)
    ));
    assert!(previewed(&store, &Undo { app: Some("nobody".into()), ..undo_all() }).unwrap().is_empty());
}

#[test]
fn many_records_are_taken_back_page_by_page() {
    let store = memory();
    let many = limits::UNDO_RECORDS_MAX + 50;
    for n in 0..many {
        writes(&store, "one", 0, put(&format!("r{n}"), "{}"));
    }
    writes(&store, "one", 1, delete("r3"));
    let mut asked = Undo { app: Some("one".into()), ..undo_all() };
    let mut pages = 0;
    loop {
        let undone = done(&store, by("me"), &asked).unwrap();
        pages += 1;
        match undone.left.cursor {
            Some(cursor) => asked.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!((pages, number(&store, "SELECT count(*) FROM m_record WHERE state = 0")), (2, 0));
    assert!(matches!(
        done(&store, by("me"), &Undo { app: Some("two".into()), ..asked }),
        Err(Refusal::Stale(..) | Refusal::Invalid(..))
    ));
}
