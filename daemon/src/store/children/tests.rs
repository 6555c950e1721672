//! Owns: the proof that a delete does to those that refer to it what is declared, as one, and that it can be taken back. Must never
//! know: remotes.

use mingle_core::{
    ask::{Undo, Write, Writer},
    policy::Policy,
    reference::{Reference, References},
};

use super::*;
use crate::store::{
    Class, CollectionDefinition, Ids, Store, define, get,
    testing::{NOW, data, delete, number, put, sql, undo_all, write},
    undo,
};

/// `a` are the parents; `b` refers to them with `p`, and `a` itself with `above`.
fn store(on_delete: WhenGone) -> Store {
    let store = Store::memory(Ids::Seeded(1)).unwrap();
    let refers = |name: &str, property: &str| {
        let reference = Reference { collection: "a".into(), on_delete, numbers: false };
        let policy = Policy { references: References::from([(property.into(), reference)]), ..Policy::default() };
        CollectionDefinition { name: name.into(), policy, ..CollectionDefinition::default() }
    };
    let definitions = [refers("a", "above"), refers("b", "p")];
    store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &definitions)).unwrap();
    store
}

fn child(id: &str, data: &str) -> Write {
    Write::Put { collection: "b".into(), id: Some(id.into()), data: data.into(), if_seq: None, overwrite: true, merge: false }
}

fn of_b(store: &Store, id: &str) -> String {
    store.read(|reader| get(reader, "b", id)).map_or("-".into(), |found| found.data)
}

/// S-46, V-15: what refers to a record that is deleted loses the reference, or goes with it, in one transaction.
#[test]
fn a_delete_does_what_is_declared() {
    #[track_caller]
    fn check(on_delete: WhenGone, above: &str, single: &str, list: &str, changes: i64) {
        let store = store(on_delete);
        let writes = vec![
            put("x", r#"{"n":1}"#),
            put("y", r#"{"above":"x"}"#),
            child("1", r#"{"p":"x","t":1}"#),
            child("2", r#"{"p":["x","y"],"t":2}"#),
            child("3", r#"{"p":"other"}"#),
            child("4", r#"{"t":"x"}"#),
        ];
        write(&store, writes).unwrap();
        let told = write(&store, vec![delete("x")]).unwrap();
        assert_eq!(told.writes.len(), 1, "the answer is about the one that was asked for");
        assert_eq!((data(&store, "x").as_str(), data(&store, "y").as_str()), ("-", above));
        assert_eq!((of_b(&store, "1").as_str(), of_b(&store, "2").as_str()), (single, list));
        assert_eq!((of_b(&store, "3").as_str(), of_b(&store, "4").as_str()), (r#"{"p":"other"}"#, r#"{"t":"x"}"#));
        let rows = number(&store, "SELECT count(*) FROM m_ledger WHERE seq > 6 AND origin = 'app:tester'");
        assert_eq!(rows, changes, "each of them has its row in the ledger");
    }
    check(WhenGone::Nullify, "{}", r#"{"t":1}"#, r#"{"p":["y"],"t":2}"#, 4);
    // `y` goes with `x`, and with it the last that a list has named.
    check(WhenGone::Cascade, "-", "-", "-", 5);
}

/// What a delete took along comes back with it.
#[test]
fn a_delete_with_its_children_is_taken_back() {
    let store = store(WhenGone::Cascade);
    write(&store, vec![put("x", r#"{"n":1}"#), child("1", r#"{"p":"x"}"#)]).unwrap();
    let later = NOW.plus(std::time::Duration::from_secs(10));
    let writer = Writer { app: "other".into(), op: None, instance: None };
    crate::store::testing::write_at(&store, later, writer.clone(), vec![delete("x")]).unwrap();
    assert_eq!((data(&store, "x").as_str(), of_b(&store, "1").as_str()), ("-", "-"));
    let asked = Undo { app: Some("other".into()), ..undo_all() };
    let chosen = store.read(|reader| undo::choose(reader, &asked)).unwrap();
    store.write_blocking(Class::Interactive, later, move |tx| undo::undo(tx, &writer, &asked, &chosen)).unwrap();
    assert_eq!((data(&store, "x").as_str(), of_b(&store, "1").as_str()), (r#"{"n":1}"#, r#"{"p":"x"}"#));
}

/// V-14: a delete that is not for upload keeps here what it does to others, too.
#[test]
fn a_delete_in_draft_keeps_its_children_here() {
    let store = store(WhenGone::Nullify);
    write(&store, vec![put("x", r#"{"n":1}"#), child("1", r#"{"p":"x"}"#), child("2", "{}")]).unwrap();
    write(&store, vec![delete("x").deferred(true)]).unwrap();
    assert_eq!((data(&store, "x").as_str(), of_b(&store, "1").as_str()), ("-", "{}"));
    let marked = "SELECT count(*) FROM m_deferred JOIN m_record USING (record) WHERE id IN ('x', '1')";
    assert_eq!((number(&store, marked), number(&store, "SELECT count(*) FROM m_deferred")), (2, 2));
}

#[test]
fn a_delete_may_be_refused() {
    let store = store(WhenGone::Refuse);
    write(&store, vec![put("x", r#"{"n":1}"#), child("1", r#"{"p":"x"}"#)]).unwrap();
    let refused = write(&store, vec![delete("x")]);
    let Err(Refusal::Invalid(what, Some(hint))) = refused else { panic!("{refused:?}") };
    assert_eq!(what, r#"b "1" refers to a "x" with p, which refuses its delete"#);
    assert_eq!(hint, "delete that first, or let its p name another");
    assert_eq!(data(&store, "x"), r#"{"n":1}"#, "nothing changed");
    // The child first, in the same transaction.
    let both = vec![Write::Delete { collection: "b".into(), id: "1".into(), if_seq: None }, delete("x")];
    write(&store, both).unwrap();
    assert_eq!(data(&store, "x"), "-");
}

/// One delete must not hold the writer for long.
#[test]
fn more_children_than_that_are_too_many() {
    let store = store(WhenGone::Cascade);
    write(&store, vec![put("x", "{}")]).unwrap();
    for from in (0..=CHILDREN_MAX).step_by(1_000) {
        let some = from..(from + 1_000).min(CHILDREN_MAX + 1);
        write(&store, some.map(|n| child(&n.to_string(), r#"{"p":"x"}"#)).collect()).unwrap();
    }
    let refused = write(&store, vec![delete("x")]);
    let Err(Refusal::TooLarge(what)) = refused else { panic!("{refused:?}") };
    assert!(what.starts_with("more than 5000 records would be changed or deleted with \"x\""), "{what}");
    assert_eq!(data(&store, "x"), "{}");
    write(&store, vec![Write::Delete { collection: "b".into(), id: "0".into(), if_seq: None }]).unwrap();
    write(&store, vec![delete("x")]).unwrap();
    assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), 0);
}

/// Records that refer to each other in a circle all go, and each once.
#[test]
fn a_circle_goes_as_a_whole() {
    let store = store(WhenGone::Cascade);
    write(&store, vec![put("x", r#"{"above":"z"}"#), put("y", r#"{"above":"x"}"#), put("z", r#"{"above":"y"}"#)]).unwrap();
    write(&store, vec![put("s", r#"{"above":"s"}"#)]).unwrap();
    write(&store, vec![delete("x")]).unwrap();
    write(&store, vec![delete("s")]).unwrap();
    assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), 0);
    assert_eq!(number(&store, "SELECT count(*) FROM m_ledger"), 8);
}

/// V-12: who waits for a child's write is told for whom it waits, and what stands in the way.
#[test]
fn a_child_that_waits_says_for_whom() {
    #[track_caller]
    fn check(behind: &'static str, expect: Option<&str>) {
        let store = store(WhenGone::Nullify);
        write(&store, vec![put("x", "{}"), put("dead", "{}"), delete("dead")]).unwrap();
        sql(&store, "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'far', 'a'), (3, 'elsewhere', 'c')").unwrap();
        let (id, behind) = behind.split_once(':').unwrap();
        sql(&store, behind).unwrap();
        let told = store.read(|reader| {
            let references = reader.definitions().named("b")?.definition.policy.references.clone();
            let props = json::parse_object(&format!(r#"{{"p":"{id}"}}"#)).unwrap();
            deferred(reader, "far", &references, &props)
        });
        let told = told.unwrap();
        assert_eq!(told.as_deref(), expect.map(|why| format!("deferred: its parent a {id:?} (p) {why}")).as_deref());
    }
    let link = |replica: u64, base: u64, and: &str| -> &'static str {
        format!(
            "x:INSERT INTO m_link (link, replica, record, remote_id, base, confirmed, born, seen, missing)
             VALUES (9, {replica}, 1, 'r', {base}, 0, 0, 0, 0); {and}"
        )
        .leak()
    };
    check("x:SELECT 1", Some("is not there yet"));
    check("dead:SELECT 1", Some("is deleted"));
    check("never:SELECT 1", Some("is not here"));
    check(link(1, 0, ""), None);
    check(link(3, 0, ""), Some("is not there yet"));
    check(link(1, 2, ""), Some("is not there yet"));
    let refused = "INSERT INTO m_rejection (id, sync, replica, side, link, record, action, what, at, tries)
                   VALUES ('j-1', 'a', 1, 'up', 9, 1, 'create', 'no such thing', 0, 1)";
    check(link(1, 2, refused), Some("is not there: no such thing (j-1)"));
}

/// Children are found by their index, those in lists by theirs.
#[test]
fn children_are_found_by_an_index() {
    let store = store(WhenGone::Nullify);
    let plan = store
        .write_blocking(Class::Background, NOW, |tx| {
            let child = std::sync::Arc::clone(tx.definitions().named("b")?);
            let sql = format!("EXPLAIN QUERY PLAN {}", referring_sql(&child, "p"));
            let mut statement = tx.conn().prepare(&sql)?;
            let steps: Vec<String> = statement.query_map(("x", 1), |row| row.get(3))?.collect::<Result<_, _>>()?;
            Ok(steps.join("; "))
        })
        .unwrap();
    assert!(plan.contains("m_by_2_0 (<expr>=?") && plan.contains("m_by_2_1"), "{plan}");
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    planted::set_here(Some("children left when their parent is deleted"));
    let found = std::panic::catch_unwind(a_circle_goes_as_a_whole).is_err();
    planted::set_here(None);
    assert!(found);
}
