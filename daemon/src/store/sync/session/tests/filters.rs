//! Owns: filters of apps' own copies: what comes, what leaves, and that nothing which only left is deleted. Must never know: the wire.

use std::collections::BTreeMap;

use mingle_core::{
    ask::{CopyRow, Is, LostOne, PulledOne, Push, Refusal, Register, Reset, Scope, Test},
    record::{Number, Value},
    session::Mode,
};

use super::{
    super::{End, end, enter, known, leave, lost, register, registers_under, reset},
    edges::Talk,
    write_in,
};
use crate::store::{Store, fsck, limits, testing::*};

/// `a>1 b=x`: at least, equal.
fn tests(text: &str) -> Vec<Test> {
    let number = |text: &str| Value::Number(Number::as_written(text));
    let one = |word: &str| match word.split_once('>') {
        Some((property, least)) => Test { property: property.into(), is: Is::Gte(number(least)) },
        None => {
            let (property, value) = word.split_once('=').expect("property=number");
            Test { property: property.into(), is: Is::Eq(number(value)) }
        }
    };
    text.split_whitespace().map(one).collect()
}

fn asks(filter: Option<Vec<Test>>) -> Register {
    Register { collections: vec!["a".into()], filters: BTreeMap::from([("a".into(), filter)]) }
}

fn registers(store: &Store, app: &'static str, asked: Register) -> Result<Vec<CopyRow>, Refusal> {
    // What is wrong with it is told before anything is done for it.
    let under = store.read(|reader| registers_under(reader, app, &asked)).map_err(Refusal::from);
    let said = write_in(store, move |tx| register(tx, app, &asked)).map_err(Refusal::from);
    match (&under, &said) {
        (Err(before), Err(then)) => assert_eq!(before, then),
        (Err(before), Ok(_)) => panic!("{before:?}"),
        _ => {}
    }
    said
}

/// The app says its filter of `a`; none: everything.
pub(super) fn says(store: &Store, app: &'static str, filter: Option<&str>) -> Result<Vec<CopyRow>, Refusal> {
    registers(store, app, asks(filter.map(tests)))
}

/// `id kind` of each.
fn told(shown: &[PulledOne]) -> String {
    let mut words: Vec<String> = shown.iter().map(|one| format!("{} {:?}", one.id, one.kind).to_lowercase()).collect();
    words.sort();
    words.join(", ")
}

fn catches_up(talk: &mut Talk<'_>) -> String {
    told(&talk.catches_up().1)
}

fn ids(store: &Store) -> String {
    let mut ids: Vec<String> = feed(store, &since(0)).changes.into_iter().map(|change| change.id).collect();
    ids.sort();
    ids.join(" ")
}

/// Records of `a` with `n`: what fits `n=1` is x and y.
fn some() -> Store {
    let store = memory();
    for (id, n) in [("w", 2), ("x", 1), ("y", 1), ("z", 2)] {
        write(&store, vec![put(id, &format!("{{\"n\":{n}}}"))]).expect("written");
    }
    store
}

fn sets(store: &Store, id: &str, n: u64) {
    write(store, vec![patch(id, &format!("{{\"n\":{n}}}"))]).expect("written");
}

fn is_sound(store: &Store) {
    let found = store.read(|reader| fsck::check(reader)).expect("looked");
    assert!(found.findings.is_empty(), "{found:?}");
}

#[test]
fn what_fits_comes_and_what_fits_no_more_leaves() {
    let store = some();
    says(&store, "one", Some("n=1")).expect("said");
    let (mut one, mut other) = (Talk::of(&store, "one"), Talk::of(&store, "other"));
    assert_eq!(catches_up(&mut one), "x created, y created");
    assert_eq!(catches_up(&mut other), "w created, x created, y created, z created");
    assert_eq!(number(&store, "SELECT count(*) FROM m_link l JOIN m_copy c USING (replica) WHERE c.app = 'one'"), 2);
    for (id, n, shown) in
        [("x", 2, "x deleted"), ("x", 3, ""), ("z", 2, ""), ("z", 1, "z created"), ("x", 1, "x created"), ("y", 1, "")]
    {
        sets(&store, id, n);
        assert_eq!(catches_up(&mut one), shown, "{id} n={n}");
    }
    // It is gone from this copy alone.
    sets(&store, "y", 4);
    write(&store, vec![delete("x"), delete("w")]).expect("deleted");
    assert_eq!(catches_up(&mut one), "x deleted, y deleted");
    assert_eq!((catches_up(&mut other).as_str(), ids(&store).as_str()), ("w deleted, x deleted, y updated, z updated", "y z"));
    assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), 2);
    is_sound(&store);
}

#[test]
pub(super) fn a_changed_filter_looks_at_every_record_anew() {
    let store = some();
    let mut one = Talk::of(&store, "one");
    assert_eq!(catches_up(&mut one), "w created, x created, y created, z created");
    let truth = feed(&store, &since(0)).changes;
    for (filter, shown) in [
        (Some("n=1"), "w deleted, z deleted"),
        (Some("n=1"), ""),
        (Some("n=2"), "w created, x deleted, y deleted, z created"),
        (Some("n>1 n=2"), ""),
        (Some("n=2 n>1 n=2"), ""),
        (Some("n=7"), "w deleted, z deleted"),
        (None, "w created, x created, y created, z created"),
        (None, ""),
    ] {
        let before = number(&store, "SELECT scanned FROM m_copy");
        let rows = says(&store, "one", filter).expect("said");
        let another = !shown.is_empty() || filter == Some("n>1 n=2");
        assert_eq!((rows[0].filter.is_empty(), rows[0].filter_waits), (filter.is_none(), another), "{filter:?}");
        if !another {
            assert_eq!(number(&store, "SELECT scanned FROM m_copy"), before, "{filter:?}: the same changes nothing");
        }
        let (mode, came) = one.catches_up();
        assert_eq!((mode, told(&came).as_str()), (Mode::Fast, shown), "{filter:?}");
        is_sound(&store);
    }
    assert_eq!(feed(&store, &since(0)).changes, truth, "the truth is what it was");
}

/// It takes the leave, or drops the record by itself, and pushes all that it has.
#[test]
pub(super) fn what_left_is_not_deleted_by_its_absence() {
    for (hears, mode) in [(true, Mode::Slow), (false, Mode::Slow), (true, Mode::Refresh), (false, Mode::Refresh)] {
        let store = some();
        let mut one = Talk::of(&store, "one");
        one.catches_up();
        says(&store, "one", Some("n=1")).expect("said");
        if hears {
            assert_eq!(catches_up(&mut one), "w deleted, z deleted");
        }
        one.begins(Some(mode)).expect("begun");
        for id in ["x", "y"] {
            one.puts(id, r#"{"n":1}"#);
        }
        let met = one.mingles();
        assert_eq!((met.changed, met.deleted, met.conflicts), (0, 0, 0), "{hears} {mode:?}");
        assert_eq!((told(&one.takes_all()).as_str(), ids(&store).as_str()), ("", "w x y z"), "{hears} {mode:?}");
        // What it was to have and did not push was deleted there all the same.
        one.begins(Some(Mode::Slow)).expect("begun");
        one.puts("y", r#"{"n":1}"#);
        assert_eq!(one.mingles().deleted, 1);
        one.takes_all();
        is_sound(&store);
    }
}

/// It dropped what it was told to leave, and died before it could say so; then the record is as it had it.
#[test]
pub(super) fn what_was_told_to_leave_and_fits_again_is_not_deleted() {
    for (pushes, mode) in [(None, None), (None, Some(Mode::Slow)), (Some(true), None), (Some(false), None)] {
        let store = some();
        says(&store, "one", Some("n=1")).expect("said");
        let mut one = Talk::of(&store, "one");
        one.catches_up();
        sets(&store, "x", 2);
        one.begins(None).expect("begun");
        one.mingles();
        assert_eq!(told(&one.lacks()), "x deleted");
        write_in(&store, |tx| leave(tx, Some(1))).expect("left");
        sets(&store, "x", 1);
        one.begins(mode).expect("begun");
        match (pushes, mode) {
            // Its own notes of what changed have the end that it was told as one of its own.
            (Some(false), _) => _ = one.pushes(vec![Push::Delete { collection: "a".into(), id: "x".into() }]).expect("pushed"),
            // It had not dropped it, and edits it: what it had is known.
            (Some(true), _) => one.puts("x", r#"{"n":1,"t":5}"#),
            (None, Some(_)) => one.puts("y", r#"{"n":1}"#),
            (None, None) => {}
        }
        let met = one.mingles();
        assert_eq!((met.deleted, met.conflicts), (0, 0), "{pushes:?} {mode:?}");
        let shown = if pushes == Some(true) { "" } else { "x created" };
        assert_eq!(told(&one.takes_all()), shown, "{pushes:?} {mode:?}");
        assert_eq!((catches_up(&mut one).as_str(), ids(&store).as_str()), ("", "w x y z"), "{pushes:?} {mode:?}");
        is_sound(&store);
    }
}

#[test]
pub(super) fn a_copy_with_a_filter_replaces_what_it_was_to_have() {
    let store = some();
    says(&store, "one", Some("n=1")).expect("said");
    let mut one = Talk::of(&store, "one");
    one.catches_up();
    one.begins(Some(Mode::PushTruth)).expect("begun");
    one.puts("x", r#"{"n":1,"t":1}"#);
    let met = one.mingles();
    assert_eq!((met.changed, met.deleted), (2, 1));
    one.takes_all();
    assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), 3, "w and z are not in its copy");
    assert_eq!((data(&store, "x").as_str(), catches_up(&mut one).as_str()), (r#"{"n":1,"t":1}"#, ""));
    // And the truth takes the place of what it has: that ends, though not all is shown.
    assert_eq!(one.begins(Some(Mode::PullTruth)), Ok(Mode::PullTruth));
    one.mingles();
    assert_eq!(told(&one.takes_all()), "x created");
    assert_eq!(one.catches_up(), (Mode::Fast, vec![]));
    is_sound(&store);
}

/// Until a session has looked at everything under the new filter, what it has is what fitted the old one.
#[test]
pub(super) fn a_copy_under_a_new_filter_replaces_what_the_old_one_had() {
    for (filter, mode, pushed, did, shown, left) in [
        (None, Mode::PushTruth, "x", (2, 1), "w created, z created", "w x z"),
        (None, Mode::PushTruth, "x y", (2, 0), "w created, z created", "w x y z"),
        (None, Mode::Slow, "x", (2, 1), "w created, z created", "w x z"),
        (Some("n=2"), Mode::PushTruth, "x", (1, 0), "w created, x deleted, z created", "w x y z"),
        (Some("n>1"), Mode::PushTruth, "x", (2, 1), "w created, z created", "w x z"),
    ] {
        let store = some();
        says(&store, "one", Some("n=1")).expect("said");
        let mut one = Talk::of(&store, "one");
        one.catches_up();
        says(&store, "one", filter).expect("said");
        one.begins(Some(mode)).expect("begun");
        pushed.split(' ').for_each(|id| one.puts(id, r#"{"n":1,"t":1}"#));
        let met = one.mingles();
        assert_eq!((met.changed, met.deleted), did, "{filter:?} {mode:?} {pushed}");
        assert_eq!((told(&one.takes_all()).as_str(), ids(&store).as_str()), (shown, left), "{filter:?} {mode:?} {pushed}");
        // From here on it has what the new one lets in, and replaces that.
        one.begins(Some(Mode::PushTruth)).expect("begun");
        one.puts("z", r#"{"n":2}"#);
        let fitting = if filter == Some("n=2") { 1 } else { left.split(' ').count() as u64 - 1 };
        assert_eq!(one.mingles().deleted, fitting, "{filter:?} {mode:?} {pushed}");
        one.takes_all();
        is_sound(&store);
    }
    // What is not missed is not guarded either.
    let store = memory();
    for n in 0..40 {
        write(&store, vec![put(&format!("r{n}"), &format!("{{\"n\":{}}}", n % 2))]).expect("written");
    }
    says(&store, "one", Some("n=1")).expect("said");
    let mut one = Talk::of(&store, "one");
    one.catches_up();
    says(&store, "one", None).expect("said");
    one.begins(Some(Mode::PushTruth)).expect("begun");
    (0..40).filter(|n| n % 2 == 1).for_each(|n| one.puts(&format!("r{n}"), r#"{"n":1}"#));
    assert_eq!(one.mingles(), mingle_core::ask::Mingled::default());
}

#[test]
fn what_is_pushed_and_does_not_fit_is_taken_and_leaves() {
    let store = some();
    says(&store, "one", Some("n=1")).expect("said");
    let mut one = Talk::of(&store, "one");
    one.catches_up();
    one.begins(None).expect("begun");
    one.puts("new", r#"{"n":9}"#);
    one.puts("x", r#"{"n":8}"#);
    assert_eq!(one.mingles().changed, 2);
    assert_eq!(told(&one.takes_all()), "new deleted, x deleted");
    assert_eq!((data(&store, "new").as_str(), data(&store, "x").as_str()), (r#"{"n":9}"#, r#"{"n":8}"#));
    // Pushed whole, as it is and as it was: what does not fit leaves again, and no edit is made of it.
    one.begins(Some(Mode::Slow)).expect("begun");
    one.puts("x", r#"{"n":8}"#);
    one.puts("y", r#"{"n":1}"#);
    assert_eq!(one.mingles(), mingle_core::ask::Mingled::default());
    assert_eq!(told(&one.takes_all()), "x deleted");
    // What it says to be deleted is, though it is to leave.
    sets(&store, "y", 2);
    one.begins(None).expect("begun");
    one.pushes(vec![Push::Delete { collection: "a".into(), id: "y".into() }]).expect("pushed");
    one.mingles();
    assert_eq!(one.takes_all(), []);
    assert_eq!(
        (data(&store, "y").as_str(), number(&store, "SELECT count(*) FROM m_conflict")),
        (r#"{"n":2}"#, 1),
        "an edit outlives it"
    );
    is_sound(&store);
}

/// Also under another filter: what it gave up while it fitted.
#[test]
fn what_was_given_up_stays_hidden() {
    let store = some();
    let mut one = Talk::of(&store, "one");
    one.catches_up();
    one.begins(None).expect("begun");
    let gave_up = LostOne { collection: "a".into(), id: "x".into(), again: false };
    one.ask(move |tx, who, session| lost(tx, who, session, &gave_up)).expect("said");
    one.mingles();
    one.takes_all();
    says(&store, "one", Some("n=1")).expect("said");
    assert_eq!(catches_up(&mut one), "w deleted, z deleted");
    says(&store, "one", None).expect("said");
    assert_eq!(catches_up(&mut one), "w created, z created");
    sets(&store, "x", 5);
    assert_eq!(catches_up(&mut one), "x created");
}

/// A delete of what it was told to leave may be that very leave, so it says nothing, also where the app had kept the record.
#[test]
fn a_delete_of_what_was_told_to_leave_says_nothing() {
    for refuses in [false, true] {
        let store = some();
        says(&store, "one", Some("n=1")).expect("said");
        let mut one = Talk::of(&store, "one");
        one.catches_up();
        sets(&store, "x", 2);
        one.begins(None).expect("begun");
        one.mingles();
        let lacks = one.lacks();
        if refuses {
            one.refuses(&lacks[0]).expect("refused");
        }
        one.finishes();
        one.begins(None).expect("begun");
        one.pushes(vec![Push::Delete { collection: "a".into(), id: "x".into() }]).expect("pushed");
        assert_eq!(one.mingles(), mingle_core::ask::Mingled::default(), "{refuses}");
        assert_eq!((told(&one.takes_all()).as_str(), ids(&store).as_str()), ("", "w x y z"), "{refuses}");
        sets(&store, "x", 1);
        assert_eq!(catches_up(&mut one), "x created", "{refuses}");
        is_sound(&store);
    }
}

/// It keeps what it is told to leave, for a while: under another filter it is in its copy again, and is shown.
#[test]
fn what_was_not_let_go_is_shown_when_it_fits() {
    for (filter, shown) in [
        (None, "w created, x created, z created"),
        (Some("n=2"), "w created, x created, y deleted, z created"),
        (Some("n=3"), "x deleted, y deleted"),
    ] {
        let store = some();
        says(&store, "one", Some("n=1")).expect("said");
        let mut one = Talk::of(&store, "one");
        one.catches_up();
        sets(&store, "x", 2);
        one.begins(None).expect("begun");
        one.mingles();
        let lacks = one.lacks();
        assert_eq!(told(&lacks), "x deleted");
        one.refuses(&lacks[0]).expect("refused");
        one.finishes();
        assert_eq!(catches_up(&mut one), "", "{filter:?}");
        says(&store, "one", filter).expect("said");
        assert_eq!(catches_up(&mut one), shown, "{filter:?}");
        assert_eq!(ids(&store), "w x y z", "{filter:?}");
        is_sound(&store);
    }
}

/// Many left, and what is missing of the rest is asked for by the share of the rest.
#[test]
fn what_does_not_fit_is_no_part_of_what_is_guarded() {
    for (pushed, guarded) in [(30, false), (20, false), (19, true)] {
        let store = memory();
        for n in 0..60 {
            write(&store, vec![put(&format!("r{n}"), &format!("{{\"n\":{}}}", n % 2))]).expect("written");
        }
        let mut one = Talk::of(&store, "one");
        one.catches_up();
        says(&store, "one", Some("n=1")).expect("said");
        one.begins(Some(Mode::Slow)).expect("begun");
        for n in (0..60).filter(|n| n % 2 == 1).take(pushed) {
            one.puts(&format!("r{n}"), r#"{"n":1}"#);
        }
        let entered = one.enters();
        assert_eq!(matches!(&entered, Err(Refusal::Guarded(told)) if told.starts_with("11 of 30")), guarded, "{entered:?}");
    }
}

#[test]
fn a_filter_that_cannot_be_meant_is_refused_at_its_place() {
    let store = some();
    says(&store, "one", Some("n=1")).expect("said");
    let number = |n: usize| Value::Number(Number::as_written(n.to_string()));
    let test = |property: &str, is| vec![Test { property: property.into(), is }];
    let many = limits::CONDITIONS_MAX + 1;
    for (filter, what) in [
        (Vec::new(), "an empty one means nothing"),
        (test("id", Is::Eq(Value::Text("x".into()))), "an id is none"),
        (test("n", Is::Gt(Value::Bool(true))), "n: only numbers and texts are less or greater"),
        (test("n", Is::Eq(Value::List(vec![]))), "n: a list or an object is not compared"),
        (test("n", Is::In((0..many).map(number).collect())), "n: 101 values in one in; at most 100"),
        ((0..many).map(|n| Test { property: "n".into(), is: Is::Ne(number(n)) }).collect(), "101 conditions; at most 100"),
        (test("n", Is::Eq(Value::Text("x".repeat(limits::FILTER_BYTES_MAX)))), "bytes; at most"),
    ] {
        let refused = registers(&store, "one", asks(Some(filter)));
        let Err(Refusal::Invalid(told, _)) = refused else { panic!("{what}: {refused:?}") };
        assert!(told.starts_with("the filter of a: ") && told.contains(what), "{told}");
    }
    let elsewhere = Register { collections: vec!["b".into()], ..asks(Some(tests("n=1"))) };
    let refused = registers(&store, "one", elsewhere);
    assert!(matches!(&refused, Err(Refusal::Invalid(told, _)) if told.contains("not among the collections")), "{refused:?}");
    let rows = store.read(|reader| known(reader, "one")).expect("read");
    assert_eq!((rows.len(), &rows[0].filter), (1, &tests("n=1")), "nothing has changed");
    // One that does not read is damage, and never everything.
    sql(&store, "UPDATE m_copy SET filter = '[[1]]'").expect("damaged");
    assert!(store.read(|reader| known(reader, "one")).is_err());
    let found = store.read(|reader| fsck::check(reader)).expect("looked");
    assert_eq!(found.findings.len(), 1, "{found:?}");
}

#[test]
fn a_filter_holds_from_the_next_session_on_and_goes_with_the_copy() {
    let store = some();
    let mut one = Talk::of(&store, "one");
    one.begins(None).expect("begun");
    let refused = says(&store, "one", Some("n=1"));
    assert!(matches!(&refused, Err(Refusal::WrongState(told, _)) if told.contains("is pushing")), "{refused:?}");
    says(&store, "one", None).expect("that is so already");
    one.ends(false).expect("cancelled");
    says(&store, "one", Some("n=1")).expect("said");
    // To be known once more takes nothing back.
    let rows = registers(&store, "one", Register { collections: vec!["a".into()], ..Register::default() }).expect("known");
    assert_eq!(rows[0].filter, tests("n=1"));
    one.begins(None).expect("begun");
    says(&store, "one", Some("n=1")).expect("the same is no change");
    one.mingles();
    assert_eq!(told(&one.takes_all()), "x created, y created");
    let asked = Reset { app: "one".into(), collections: None, own: true, scope: Scope::All };
    write_in(&store, move |tx| reset(tx, &asked)).expect("forgotten");
    assert_eq!(catches_up(&mut Talk::of(&store, "one")), "w created, x created, y created, z created");
}

/// The writer looks at no record to know whether many are missed, and no read looks at many.
#[test]
fn what_is_missed_is_counted_in_short_reads() {
    let at_once = limits::UNSAID_RECORDS_MAX;
    for records in [0, 1, at_once - 1, at_once, at_once + 1, 3 * at_once] {
        for mode in [Mode::Slow, Mode::PushTruth] {
            let store = memory();
            let mut one = Talk::of(&store, "one");
            for n in 0..records {
                write(&store, vec![put(&format!("r{n}"), r#"{"n":1}"#)]).expect("written");
            }
            one.catches_up();
            says(&store, "one", Some("n=2")).expect("said");
            one.begins(Some(mode)).expect("begun");
            // The last of each copy may be full, which the next read tells; and one that finds no more copies.
            assert_eq!(one.counts(), Ok(records / at_once + 2), "{records} {mode:?}");
            if records == 0 {
                continue;
            }
            // One that cannot be read: whoever looks at it says so.
            sql(&store, "UPDATE m_record SET data = '{' WHERE id = 'r0'").expect("damaged");
            assert_eq!(one.ask(|tx, who, session| enter(tx, who, session, false)), Ok(false), "{records} {mode:?}");
            assert_eq!(one.ask(|tx, who, session| end(tx, who, session, true, false)), Ok(End::Counts), "{records} {mode:?}");
            assert!(one.counts().is_err(), "{records} {mode:?}");
            assert_eq!(one.ask(|tx, who, session| enter(tx, who, session, true)), Ok(true), "{records} {mode:?}");
        }
    }
}
