//! Owns: the proof that parents and children come and go at one remote in their order, and that each is named there by its id there.
//! Must never know: how a run goes.

use std::{collections::BTreeMap, sync::Arc};

use mingle_core::{
    ask,
    policy::{OnDelete, Policy},
    reference::{Reference, WhenGone},
    replica::{Abilities, Answer, Errand, Packed, Row, RowState},
    run::{Creates, DeletesLeft, Direction, Planned},
};

use super::*;
use crate::store::{
    Class, CollectionDefinition, Ids, Origin, Store,
    children::deferred,
    define, get,
    sync::{Batch, Kin, Others, SyncSpec, apply, forget, pending, plan, roll_back, settle},
    testing::{NOW, number, sql, write},
};

mod spared;

/// Collection `a` are the parents, `b` the children: `p` of a child is its parent. The remote makes the ids.
fn store(on_delete: WhenGone) -> Store {
    store_with(on_delete, OnDelete::KeepEdit)
}

fn store_with(on_delete: WhenGone, delete: OnDelete) -> Store {
    let store = Store::memory(Ids::Seeded(1)).unwrap();
    let of = |name: &str| CollectionDefinition {
        name: name.into(),
        policy: Policy { delete, ..policy(name, on_delete) },
        ..CollectionDefinition::default()
    };
    let definitions = [of("a"), of("b")];
    store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &definitions)).unwrap();
    sql(
        &store,
        "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'far', 'at a'), (2, 'far', 'at b');
         INSERT INTO m_sync (name, replica, pass, up_scanned) VALUES ('a', 1, 1, 0), ('b', 2, 1, 0)",
    )
    .unwrap();
    store
}

fn policy(name: &str, on_delete: WhenGone) -> Policy {
    let reference = Reference { collection: "a".into(), on_delete, numbers: false };
    let references = if name == "b" { BTreeMap::from([("p".to_owned(), reference)]) } else { BTreeMap::new() };
    Policy { references, ..Policy::default() }
}

fn ground(of: &'static str) -> Ground {
    let other = if of == "a" { "b" } else { "a" };
    let kin = Kin { identity: format!("at {other}"), sends: true };
    let spec = SyncSpec {
        name: of.into(),
        collection: of.into(),
        remote: "far".into(),
        identity: format!("at {of}"),
        history: String::new(),
        listing: String::new(),
        direction: Direction::Both,
        policy: policy(of, WhenGone::Nullify),
        remove_after_upload: false,
        creates: Creates::Unlinked,
        others: Others::default(),
        filter: mingle_core::filter::Filter::default(),
        reset: Default::default(),
        kin: BTreeMap::from([(other.to_owned(), kin)]),
    };
    let number = if of == "a" { 1 } else { 2 };
    Ground {
        spec: Arc::new(spec),
        abilities: Arc::new(Abilities::least()),
        collection: number,
        replica: number,
        origin: Origin::Sync(of.into()),
        began: None,
        anew: false,
        reset: None,
        run: "r-1".into(),
    }
}

fn row(remote_id: &str, data: &str) -> Row {
    let state = if data == "-" { RowState::Gone } else { RowState::Live(json::parse_object(data).unwrap()) };
    Row { remote_id: remote_id.into(), revision: None, modified: None, created: None, state }
}

/// A row comes from the remote (`-`: its end).
fn comes(store: &Store, of: &'static str, remote_id: &str, data: &str) -> mingle_core::run::Applied {
    let row = row(remote_id, data);
    store
        .write_blocking(Class::Background, NOW, move |tx| {
            let batch =
                Batch { asked: true, pass: None, at: None, swaps: false, resume: None, deletes_left: DeletesLeft::Counted(10) };
            apply(tx, &ground(of), vec![Packed::of(&row)], &batch, || false)
        })
        .unwrap()
}

fn planned(store: &Store, of: &'static str) -> Planned {
    store.write_blocking(Class::Background, NOW, move |tx| plan(tx, &ground(of), 0, &[])).unwrap()
}

/// What is sent, as the remote is told, and how many wait.
#[track_caller]
fn sends(store: &Store, of: &'static str, expect: &[&str], waits: u64) -> Vec<Errand> {
    let planned = planned(store, of);
    let told = |errand: &Errand| match &errand.action {
        Action::Create { whole, .. } => format!("create {}", json::write(whole)),
        Action::Update { remote_id, patch, .. } => {
            let patch = patch.iter().map(|(name, value)| (name.clone(), value.clone().unwrap_or(Value::Null))).collect();
            format!("update {remote_id} {}", json::write(&patch))
        }
        Action::Delete { remote_id, .. } => format!("delete {remote_id}"),
    };
    assert_eq!(planned.errands.iter().map(told).collect::<Vec<_>>(), expect);
    assert_eq!(planned.waits, waits);
    planned.errands
}

/// The remote takes what was sent, under this id.
fn takes(store: &Store, of: &'static str, errand: &Errand, remote_id: &str) {
    let answer = match &errand.action {
        Action::Create { whole, .. } | Action::Update { whole, .. } => {
            Answer::Taken(Some(Row { state: RowState::Live(whole.clone()), ..row(remote_id, "{}") }))
        }
        Action::Delete { .. } => Answer::Taken(None),
    };
    answers(store, of, errand, answer);
}

fn answers(store: &Store, of: &'static str, errand: &Errand, answer: Answer) {
    let answers = vec![(errand.link, answer)];
    store.write_blocking(Class::Background, NOW, move |tx| settle(tx, &ground(of), &answers)).unwrap();
}

fn puts(store: &Store, of: &str, id: &str, data: &str) {
    let put = ask::Write::Put {
        collection: of.into(),
        id: Some(id.into()),
        data: data.into(),
        if_seq: None,
        overwrite: true,
        merge: false,
    };
    write(store, vec![put]).unwrap();
}

fn deletes(store: &Store, of: &str, id: &str) {
    let delete = ask::Write::Delete { collection: of.into(), id: id.into(), if_seq: None };
    write(store, vec![delete]).unwrap();
}

fn data(store: &Store, of: &str, id: &str) -> String {
    store.read(|reader| get(reader, of, id)).map_or("-".into(), |found| found.data)
}

/// C-29, S-46: a child is not sent before its parent has an id there, and then names it by that id. Both are the same here and there.
#[test]
fn a_child_waits_until_its_parent_is_there() {
    let store = store(WhenGone::Nullify);
    puts(&store, "b", "child", r#"{"p":"parent","t":1}"#);
    sends(&store, "b", &[], 1);
    puts(&store, "a", "parent", r#"{"n":1}"#);
    sends(&store, "b", &[], 1);
    let errands = sends(&store, "a", &[r#"create {"n":1}"#], 0);
    // It left, and nobody has heard of it.
    sends(&store, "b", &[], 1);
    takes(&store, "a", &errands[0], "77");
    let errands = sends(&store, "b", &[r#"create {"p":"77","t":1}"#], 0);
    takes(&store, "b", &errands[0], "88");
    assert_eq!(data(&store, "b", "child"), r#"{"p":"parent","t":1}"#);
    assert_eq!(number(&store, "SELECT count(*) FROM m_link WHERE base = 0 AND sent IS NULL"), 2);
    // The same row again is no news, and another parent is.
    assert_eq!(comes(&store, "b", "88", r#"{"p":"77","t":1}"#).changed, 0);
    comes(&store, "a", "78", r#"{"n":2}"#);
    assert_eq!(comes(&store, "b", "88", r#"{"p":"78","t":1}"#).changed, 1);
    assert_eq!(data(&store, "b", "child"), r#"{"p":"78","t":1}"#);
    // An edit of something else sends nothing of the reference.
    puts(&store, "b", "child", r#"{"p":"78","t":2}"#);
    sends(&store, "b", &[r#"update 88 {"t":2}"#], 0);
}

/// Of a child whose parent is not known the remote's id is kept, and no record of that id is mistaken for the parent.
#[test]
fn a_pending_reference_becomes_one_when_its_parent_comes() {
    let store = store(WhenGone::Nullify);
    puts(&store, "a", "7", r#"{"n":"another"}"#);
    comes(&store, "b", "1", r#"{"p":"7","t":1}"#);
    assert_eq!(data(&store, "b", "1"), r#"{"p":{"pending":"7","remote":"far"},"t":1}"#);
    sends(&store, "b", &[], 0);
    puts(&store, "b", "1", r#"{"p":{"pending":"7","remote":"far"},"t":2}"#);
    let errands = sends(&store, "b", &[r#"update 1 {"t":2}"#], 0);
    takes(&store, "b", &errands[0], "1");
    comes(&store, "a", "7", r#"{"n":1}"#);
    let id: String = store
        .read(|reader| {
            Ok(reader.query_row("SELECT r.id FROM m_link JOIN m_record r USING (record) WHERE remote_id = '7'", (), |row| {
                row.get(0)
            })?)
        })
        .unwrap();
    assert_ne!(id, "7");
    assert_eq!(data(&store, "b", "1"), format!(r#"{{"p":"{id}","t":2}}"#));
    sends(&store, "b", &[], 0);
    assert_eq!(number(&store, "SELECT base FROM m_link WHERE replica = 2"), 0, "the same as the truth");
    assert_eq!(comes(&store, "b", "1", r#"{"p":"7","t":2}"#).changed, 0);
}

/// While its parent was not known an app gave the child another one: that the parent has come since is no change there.
#[test]
fn what_was_agreed_while_pending_is_the_parent_since() {
    let store = store(WhenGone::Nullify);
    comes(&store, "b", "1", r#"{"p":"7","t":1}"#);
    comes(&store, "a", "8", r#"{"n":8}"#);
    puts(&store, "b", "1", r#"{"p":"8","t":1}"#);
    comes(&store, "a", "7", r#"{"n":7}"#);
    let applied = comes(&store, "b", "1", r#"{"p":"7","t":2}"#);
    assert_eq!((applied.changed, applied.conflicts), (1, 0));
    assert_eq!(data(&store, "b", "1"), r#"{"p":"8","t":2}"#);
    sends(&store, "b", &[r#"update 1 {"p":"8"}"#], 0);
}

/// A parent that was deleted there and lives on here has another id there: its children are told.
#[test]
fn a_parent_made_anew_takes_its_children_along() {
    let store = store(WhenGone::Nullify);
    comes(&store, "a", "7", r#"{"n":7}"#);
    comes(&store, "b", "1", r#"{"p":"7","t":1}"#);
    puts(&store, "a", "7", r#"{"n":"edited"}"#);
    comes(&store, "a", "7", "-");
    assert_eq!(data(&store, "b", "1"), r#"{"p":"7","t":1}"#, "it was kept");
    // The row names what was; it still means the same record.
    assert_eq!(comes(&store, "b", "1", r#"{"p":"7","t":1}"#).changed, 0);
    puts(&store, "b", "1", r#"{"p":"7","t":2}"#);
    let child = sends(&store, "b", &[r#"update 1 {"t":2}"#], 0);
    let errands = sends(&store, "a", &[r#"create {"n":"edited"}"#], 0);
    takes(&store, "a", &errands[0], "9");
    takes(&store, "b", &child[0], "1");
    let errands = sends(&store, "b", &[r#"update 1 {"p":"9"}"#], 0);
    takes(&store, "b", &errands[0], "1");
    sends(&store, "b", &[], 0);
    assert_eq!(data(&store, "b", "1"), r#"{"p":"7","t":2}"#);
}

/// The delete of a parent waits until the remote's children do not name it any more.
#[test]
fn deletes_come_children_first() {
    for on_delete in [WhenGone::Nullify, WhenGone::Cascade] {
        let store = store(on_delete);
        comes(&store, "a", "7", r#"{"n":7}"#);
        comes(&store, "b", "1", r#"{"p":"7","t":1}"#);
        deletes(&store, "a", "7");
        sends(&store, "a", &[], 1);
        let sent = if on_delete == WhenGone::Cascade { "delete 1" } else { r#"update 1 {"p":null}"# };
        let errands = sends(&store, "b", &[sent], 0);
        sends(&store, "a", &[], 1);
        takes(&store, "b", &errands[0], "1");
        let errands = sends(&store, "a", &["delete 7"], 0);
        takes(&store, "a", &errands[0], "7");
        sends(&store, "a", &[], 0);
    }
}

/// A colleague deletes a parent and its child; what the first did to the child here is no edit of it.
#[test]
fn what_went_with_its_parent_goes_without_a_conflict() {
    let store = store(WhenGone::Nullify);
    comes(&store, "a", "7", r#"{"n":7}"#);
    comes(&store, "b", "1", r#"{"p":"7","t":1}"#);
    comes(&store, "b", "2", r#"{"p":"7","t":2}"#);
    comes(&store, "a", "7", "-");
    assert_eq!((data(&store, "b", "1").as_str(), data(&store, "b", "2").as_str()), (r#"{"t":1}"#, r#"{"t":2}"#));
    assert_eq!(comes(&store, "b", "1", "-").conflicts, 0);
    let errands = sends(&store, "b", &[r#"update 2 {"p":null}"#], 0);
    answers(&store, "b", &errands[0], Answer::Gone);
    assert_eq!((data(&store, "b", "1").as_str(), data(&store, "b", "2").as_str()), ("-", "-"));
    assert_eq!(number(&store, "SELECT count(*) FROM m_conflict"), 0);
}

fn forgets(store: &Store, of: &str, id: &str) {
    let asked = ask::Forget { collection: of.into(), id: id.into(), if_seq: None };
    store.write_blocking(Class::Interactive, NOW, move |tx| forget(tx, &writer(), &asked, &[])).unwrap();
}

fn writer() -> ask::Writer {
    ask::Writer { app: "tester".into(), op: None, instance: None }
}

/// V-15: what was forgotten here is at the remote all the same: who refers to it goes, and names it.
#[test]
fn who_refers_to_what_was_forgotten_does_not_wait() {
    let store = store(WhenGone::Nullify);
    comes(&store, "a", "7", r#"{"n":7}"#);
    forgets(&store, "a", "7");
    puts(&store, "b", "child", r#"{"p":"7","t":1}"#);
    let references = policy("b", WhenGone::Nullify).references;
    let props = json::parse_object(r#"{"p":"7"}"#).unwrap();
    assert_eq!(store.read(|reader| deferred(reader, "far", &references, &props)).unwrap(), None, "it waits for nobody");
    sends(&store, "b", &[r#"create {"p":"7","t":1}"#], 0);
    comes(&store, "b", "2", r#"{"p":"7"}"#);
    assert_eq!(data(&store, "b", "2"), r#"{"p":"7"}"#);
}

/// V-15: nothing of what was forgotten is sent, so no delete waits for it.
#[test]
fn what_was_forgotten_holds_no_delete() {
    let store = store(WhenGone::Nullify);
    comes(&store, "a", "7", r#"{"n":7}"#);
    comes(&store, "b", "1", r#"{"p":"7","t":1}"#);
    forgets(&store, "b", "1");
    deletes(&store, "a", "7");
    sends(&store, "a", &["delete 7"], 0);
}

/// A colleague names a parent while it is deleted here: the child loses the reference, like those that had it before.
#[test]
fn a_row_that_names_what_is_deleted_here_comes_without() {
    let store = store(WhenGone::Nullify);
    comes(&store, "a", "7", r#"{"n":7}"#);
    comes(&store, "b", "1", r#"{"t":1}"#);
    deletes(&store, "a", "7");
    comes(&store, "b", "1", r#"{"p":"7","t":1}"#);
    comes(&store, "b", "2", r#"{"p":"7","t":2}"#);
    assert_eq!((data(&store, "b", "1").as_str(), data(&store, "b", "2").as_str()), (r#"{"t":1}"#, r#"{"t":2}"#));
    sends(&store, "a", &[], 1);
    let errands = sends(&store, "b", &[r#"update 1 {"p":null}"#, r#"update 2 {"p":null}"#], 0);
    takes(&store, "b", &errands[0], "1");
    takes(&store, "b", &errands[1], "2");
    sends(&store, "b", &[], 0);
    sends(&store, "a", &["delete 7"], 0);
}

/// The same where the row of a child comes before it is known what its parent's id is there, and that parent is deleted here meanwhile.
#[test]
fn a_pending_reference_to_what_is_deleted_here_goes() {
    let store = store(WhenGone::Nullify);
    puts(&store, "a", "parent", r#"{"n":7}"#);
    sends(&store, "a", &[r#"create {"n":7}"#], 0);
    deletes(&store, "a", "parent");
    comes(&store, "b", "1", r#"{"p":"7","t":1}"#);
    comes(&store, "a", "7", r#"{"n":7}"#);
    assert_eq!(data(&store, "b", "1"), r#"{"t":1}"#);
    let errands = sends(&store, "b", &[r#"update 1 {"p":null}"#], 0);
    takes(&store, "b", &errands[0], "1");
    sends(&store, "b", &[], 0);
    sends(&store, "a", &["delete 7"], 0);
}

/// What became of a child's create is for a person to find out: that is no reason to hold the delete of its parent.
#[test]
fn a_create_in_doubt_holds_no_delete() {
    let store = store(WhenGone::Nullify);
    comes(&store, "a", "7", r#"{"n":7}"#);
    puts(&store, "b", "child", r#"{"p":"7","t":1}"#);
    let errands = sends(&store, "b", &[r#"create {"p":"7","t":1}"#], 0);
    deletes(&store, "a", "7");
    sends(&store, "a", &[], 1);
    let rejection = format!(
        "INSERT INTO m_rejection (id, sync, replica, side, link, record, action, what, at, tries)
         SELECT 'j-1', 'b', 2, 'create', link, record, 'create', 'nobody knows', 0, 1 FROM m_link WHERE link = {}",
        errands[0].link
    );
    sql(&store, rejection.leak()).unwrap();
    sends(&store, "a", &["delete 7"], 0);
}

/// V-12: a change that is taken back leaves the parent as it is known by now.
#[test]
fn what_is_taken_back_names_the_parent_that_came_since() {
    let store = store(WhenGone::Nullify);
    comes(&store, "b", "1", r#"{"p":"7","t":1}"#);
    comes(&store, "a", "8", r#"{"n":8}"#);
    puts(&store, "b", "1", r#"{"p":"8","t":1}"#);
    comes(&store, "a", "7", r#"{"n":7}"#);
    let place = pending::Place {
        sync: "b".into(),
        remote: "far".into(),
        collection: "b".into(),
        replica: Some(2),
        carried: Abilities::least().carried,
        up_only: false,
        creates: Creates::Unlinked,
    };
    let asked = ask::RollBack { collection: "b".into(), id: Some("1".into()), cursor: None };
    store
        .write_blocking(Class::Interactive, NOW, move |tx| roll_back(tx, &writer(), &asked, &[place], &["1".into()], None))
        .unwrap();
    assert_eq!(data(&store, "b", "1"), r#"{"p":"7","t":1}"#);
    sends(&store, "b", &[], 0);
}

/// What goes with a parent that the remote deleted counts as deleted: past the guard's limit a person decides.
#[test]
fn what_a_delete_takes_along_passes_the_guard() {
    let store = store(WhenGone::Cascade);
    comes(&store, "a", "7", r#"{"n":7}"#);
    for n in 0..20 {
        comes(&store, "b", &n.to_string(), r#"{"p":"7"}"#);
    }
    let applied = comes(&store, "a", "7", "-");
    assert_eq!((applied.changed, applied.rejected), (0, 1));
    assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), 21);
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use mingle_core::planted;
    let bugs: &[(&str, fn())] = &[
        ("reference taken as it comes", a_child_waits_until_its_parent_is_there),
        ("child does not wait", a_child_waits_until_its_parent_is_there),
        ("pending reference stays pending", a_pending_reference_becomes_one_when_its_parent_comes),
        ("pending reference agreed on for ever", what_was_agreed_while_pending_is_the_parent_since),
        ("reference to a former id stays", a_parent_made_anew_takes_its_children_along),
        ("parent deleted before its children", deletes_come_children_first),
        ("children wait for what was forgotten", who_refers_to_what_was_forgotten_does_not_wait),
        ("reference to a deleted record comes back", a_row_that_names_what_is_deleted_here_comes_without),
        ("pending reference to a deleted record is resolved", a_pending_reference_to_what_is_deleted_here_goes),
        ("deletes wait for a create in doubt", a_create_in_doubt_holds_no_delete),
        ("deletes wait for what was forgotten", what_was_forgotten_holds_no_delete),
        ("reference let go is an edit", what_went_with_its_parent_goes_without_a_conflict),
        ("edited child goes with its parent", spared::a_child_that_was_edited_does_not_go_with_its_parent_unseen),
    ];
    for (bug, test) in bugs {
        planted::set_here(Some(bug));
        let found = std::panic::catch_unwind(test).is_err();
        planted::set_here(None);
        assert!(found, "no test sees {bug:?}");
    }
}
