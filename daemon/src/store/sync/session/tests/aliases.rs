//! Owns: apps' own copies when two records of theirs prove to be one. Must never know: how that is proved.

use mingle_core::ask::{ChangeKind, PulledOne};

use super::edges::Talk;
use crate::store::{
    Store,
    sync::twins::tests::{now, step, store},
    testing::{data, sql},
};

/// What an app is shown, in words.
fn shown(lacks: &[PulledOne]) -> Vec<String> {
    let one = |one: &PulledOne| match one.kind {
        ChangeKind::Deleted => format!("{} goes", one.id),
        _ => format!("{} is {}", one.id, one.data.as_deref().unwrap_or_default()),
    };
    lacks.iter().map(one).collect()
}

/// Two records that prove to be one: `h1` stays. What stands there before, and what a copy does meanwhile, is the caller's.
fn joins(store: &Store) {
    step(store, "h h1 n=1 mail=a");
    assert_eq!(now(store), "h1 h:h1 m:m1; m1 is h1");
}

#[test]
fn who_has_both_is_told_that_one_goes() {
    let store = store();
    for one in ["h h1 n=1", "m m1 mail=a"] {
        step(&store, one);
    }
    let mut one = Talk::of(&store, "one");
    assert_eq!(one.catches_up().1.len(), 2);
    joins(&store);
    assert_eq!(shown(&one.catches_up().1), [r#"h1 is {"mail":"a","n":"1"}"#, "m1 goes"]);
    assert!(one.catches_up().1.is_empty());
}

/// What it had edited of the one that goes, before it heard of it, is a record of its own again: nothing is lost, and nothing is guessed.
#[test]
fn an_edit_of_the_one_that_goes_is_not_lost() {
    let store = store();
    for one in ["h h1 n=1", "m m1 mail=a"] {
        step(&store, one);
    }
    let mut one = Talk::of(&store, "one");
    one.catches_up();
    joins(&store);
    one.begins(None).expect("begun");
    one.puts("m1", r#"{"mail":"a","y":"mine"}"#);
    one.mingles();
    one.takes_all();
    let both = format!("{} {}", data(&store, "h1"), data(&store, "m1"));
    assert!(both.contains(r#""y":"mine""#), "{both}");
}

/// What it was shown before, it may take after: it is told that it goes all the same.
#[test]
fn who_takes_the_one_that_goes_is_told_next_time() {
    let store = store();
    for one in ["h h1 n=1", "m m1 mail=a"] {
        step(&store, one);
    }
    let mut one = Talk::of(&store, "one");
    one.begins(None).expect("begun");
    one.mingles();
    let lacks = one.lacks();
    joins(&store);
    for shown in &lacks {
        one.accepts(shown, None).expect("taken");
    }
    one.finishes();
    assert_eq!(shown(&one.catches_up().1), [r#"h1 is {"mail":"a","n":"1"}"#, "m1 goes"]);
    assert!(one.catches_up().1.is_empty());
}

/// A copy that had only the one that goes (its filter hid the other) keeps it, under the id it has there, and is told what it has now; what
/// it changes of it is the other's.
#[test]
fn who_had_only_the_one_that_goes_keeps_it() {
    let store = store();
    for one in ["h h1 n=1", "m m1 mail=a"] {
        step(&store, one);
    }
    let mut one = Talk::of(&store, "one");
    one.catches_up();
    sql(&store, "DELETE FROM m_link WHERE replica < 0 AND remote_id = 'h1'").unwrap();
    joins(&store);
    assert_eq!(shown(&one.catches_up().1), [r#"m1 is {"mail":"a","n":"1"}"#]);
    one.begins(None).expect("begun");
    one.puts("m1", r#"{"mail":"a","n":"1","y":"mine"}"#);
    one.mingles();
    one.takes_all();
    assert_eq!(data(&store, "h1"), r#"{"mail":"a","n":"1","y":"mine"}"#);
    assert_eq!(now(&store), "h1 h:h1 m:m1; m1 is h1");
}

/// The same, where it changed it before it heard of that: its edit meets what the other was made of.
#[test]
fn an_edit_meets_what_was_made_of_it() {
    let store = store();
    for one in ["h h1 n=1", "m m1 mail=a"] {
        step(&store, one);
    }
    let mut one = Talk::of(&store, "one");
    one.catches_up();
    sql(&store, "DELETE FROM m_link WHERE replica < 0 AND remote_id = 'h1'").unwrap();
    joins(&store);
    one.begins(None).expect("begun");
    one.puts("m1", r#"{"mail":"b"}"#);
    one.mingles();
    one.takes_all();
    assert_eq!(data(&store, "h1"), r#"{"mail":"b","n":"1"}"#);
    assert!(one.catches_up().1.is_empty());
}
