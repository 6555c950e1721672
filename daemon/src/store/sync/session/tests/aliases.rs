//! Owns: apps' own copies when two records of theirs prove to be one. Must never know: how that is proved.

use mingle_core::{
    ask::{ChangeKind, PulledOne, Push},
    session::Mode,
};

use super::edges::Talk;
use crate::store::{
    Store,
    sync::twins::tests::{now, step, store},
    testing::{data, number, sql},
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

/// What it had edited of the one that goes, before it heard of it, is an edit of the other; that it had deleted it is none.
#[test]
fn an_edit_of_the_one_that_goes_is_one_of_the_other() {
    for (push, expect) in
        [(Some(r#"{"mail":"a","y":"mine"}"#), r#"{"mail":"a","n":"1","y":"mine"}"#), (None, r#"{"mail":"a","n":"1"}"#)]
    {
        for mode in [None, Some(Mode::Refresh), Some(Mode::Slow)] {
            let store = store();
            for one in ["h h1 n=1", "m m1 mail=a"] {
                step(&store, one);
            }
            let mut one = Talk::of(&store, "one");
            one.catches_up();
            joins(&store);
            one.begins(mode).expect("begun");
            one.puts("h1", r#"{"n":"1"}"#);
            match push {
                Some(data) => one.puts("m1", data),
                None => drop(one.pushes(vec![Push::Delete { collection: "a".into(), id: "m1".into() }])),
            }
            one.mingles();
            one.takes_all();
            assert_eq!(data(&store, "h1"), expect, "{mode:?}");
            assert_eq!(now(&store), "h1 h:h1 m:m1; m1 is h1", "{mode:?}");
            assert!(one.catches_up().1.is_empty(), "{mode:?}");
        }
    }
}

/// A copy that is not known any more says what it has: the one that went is the other, and leaves it.
#[test]
fn a_copy_that_was_forgotten_brings_no_third() {
    for first in ["h1", "m1"] {
        let store = store();
        for one in ["h h1 n=1", "m m1 mail=a"] {
            step(&store, one);
        }
        joins(&store);
        let mut one = Talk::of(&store, "one");
        one.begins(None).expect("begun");
        for id in [first, if first == "h1" { "m1" } else { "h1" }] {
            one.puts(id, if id == "h1" { r#"{"mail":"a","n":"1"}"# } else { r#"{"mail":"a"}"# });
        }
        one.mingles();
        one.takes_all();
        assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), 1, "{first}: {}", now(&store));
        assert!(one.catches_up().1.is_empty());
    }
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

/// A copy that had only the one that goes (its filter hid the other) gets the other, and lets that one go; what it changes of it until then
/// is the other's.
#[test]
fn who_had_only_the_one_that_goes_gets_the_other() {
    for edit in [None, Some(r#"{"mail":"b"}"#)] {
        let store = store();
        for one in ["h h1 n=1", "m m1 mail=a"] {
            step(&store, one);
        }
        let mut one = Talk::of(&store, "one");
        one.catches_up();
        sql(&store, "DELETE FROM m_link WHERE replica < 0 AND remote_id = 'h1'").unwrap();
        joins(&store);
        one.begins(None).expect("begun");
        if let Some(edit) = edit {
            one.puts("m1", edit);
        }
        one.mingles();
        let mail = if edit.is_some() { "b" } else { "a" };
        let lacks = shown(&one.takes_all());
        assert!(lacks.contains(&"m1 goes".to_owned()), "{lacks:?}");
        assert!(lacks.contains(&format!(r#"h1 is {{"mail":"{mail}","n":"1"}}"#)), "{lacks:?}");
        assert!(one.catches_up().1.is_empty());
    }
}
