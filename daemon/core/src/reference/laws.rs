//! Owns: the laws of references on their way: there and back is the same, and nothing goes out that the remote does not have.
//! Must never know: the store.

use std::{collections::BTreeMap, convert::Infallible};

use super::*;

fn reference(numbers: bool) -> References {
    References::from([("p".into(), Reference { collection: "parents".into(), on_delete: WhenGone::Nullify, numbers })])
}

/// What is known of ids: remote id to record.
type Known = BTreeMap<&'static str, &'static str>;

fn arrived(value: &Value, numbers: bool, known: &Known) -> Value {
    let mut props = Props::from([("p".into(), value.clone()), ("q".into(), value.clone())]);
    let look = |_: &Reference, id: &str| Ok::<_, Infallible>(known.get(id).map(|record| (*record).to_owned()));
    arrive(&mut props, &reference(numbers), "far", look).unwrap();
    assert_eq!(props["q"], *value, "what is no reference stays as it is");
    props["p"].clone()
}

fn left(value: &Value, numbers: bool, known: &Known, sure: Sure) -> (Value, Vec<String>) {
    let mut props = Props::from([("p".into(), value.clone())]);
    let look = |_: &Reference, id: &str| {
        let found = known.iter().find(|(_, record)| **record == id).map(|(remote_id, _)| (*remote_id).to_owned());
        Ok::<_, Infallible>(found.map_or(Abroad::Unknown, Abroad::There))
    };
    let wanted = leave(&mut props, &reference(numbers), "far", sure, look).unwrap();
    (props["p"].clone(), wanted.into_iter().map(|one| one.id).collect())
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn number(text: &str) -> Value {
    Value::Number(Number::as_written(text))
}

/// Every value that a property may have, with single references and lists of them.
fn values() -> Vec<Value> {
    let mut values =
        vec![Value::Null, Value::Bool(true), text(""), text("1"), text("2"), text("r1"), text("other"), number("1"), number("9")];
    let lists: Vec<Value> = values.iter().map(|one| Value::List(vec![one.clone(), text("1"), text("2")])).collect();
    values.extend(lists);
    values.extend([Value::List(Vec::new()), Value::Map(Props::new()), Value::Map(Props::from([("pending".into(), text("1"))]))]);
    values
}

/// Ids that are known in any way, also where one record has another's remote id as its own.
fn worlds() -> Vec<Known> {
    vec![
        Known::new(),
        Known::from([("1", "r1")]),
        Known::from([("1", "1"), ("2", "2")]),
        Known::from([("1", "2"), ("2", "1")]),
        Known::from([("1", "r1"), ("2", "r2"), ("9", "1"), ("other", "")]),
    ]
}

/// C-29, S-46: there and back is the same, for every value, whatever is known. Where ids are numbers, numbers come back as numbers.
#[test]
fn there_and_back_is_the_same() {
    for known in worlds().iter().filter(|known| !known.values().any(|record| record.is_empty())) {
        for value in values() {
            for numbers in [false, true] {
                let of_form = |value: &Value| match value {
                    Value::Number(_) => numbers,
                    Value::Text(text) => !numbers || !text.bytes().all(|one| one.is_ascii_digit()) || text.is_empty(),
                    _ => true,
                };
                let fits = match &value {
                    Value::List(list) => list.iter().all(of_form),
                    value => of_form(value),
                };
                if !fits {
                    continue;
                }
                for sure in [Sure::There, Sure::Told] {
                    let here = arrived(&value, numbers, known);
                    assert_eq!(left(&here, numbers, known, sure), (value.clone(), Vec::new()), "{known:?} {here:?}");
                }
            }
        }
    }
}

/// A record becomes known after its children: what was pending then is what would have come now.
#[test]
fn what_was_pending_becomes_what_would_have_come() {
    for known in worlds() {
        for value in values() {
            let early = arrived(&value, false, &Known::new());
            let mut props = Props::from([("p".into(), early)]);
            let look = |_: &Reference, id: &str| Ok::<_, Infallible>(known.get(id).map(|record| (*record).to_owned()));
            resolve(&mut props, &reference(false), "far", look).unwrap();
            assert_eq!(props["p"], arrived(&value, false, &known), "{known:?} {value:?}");
        }
    }
}

/// What the remote may not have does not go out, and is named. What it is known to show already may be told back.
#[test]
fn what_the_remote_may_not_have_does_not_go() {
    #[track_caller]
    fn check(value: &Value, abroad: &Abroad, sure: Sure, expect: Result<Value, &str>) {
        let mut props = Props::from([("p".into(), value.clone())]);
        let wanted = leave(&mut props, &reference(false), "far", sure, |_, _| Ok::<_, Infallible>(abroad.clone())).unwrap();
        let wanted: Vec<&str> = wanted.iter().map(|one| one.id.as_str()).collect();
        match expect {
            Ok(expect) => assert_eq!((&props["p"], wanted), (&expect, Vec::new())),
            Err(id) => assert_eq!((&props["p"], wanted), (value, vec![id])),
        }
    }
    let (there, once) = (Abroad::There("7".into()), Abroad::Once("7".into()));
    check(&text("x"), &there, Sure::There, Ok(text("7")));
    check(&text("x"), &there, Sure::Told, Ok(text("7")));
    check(&text("x"), &once, Sure::There, Err("x"));
    check(&text("x"), &once, Sure::Told, Ok(text("7")));
    check(&text("x"), &Abroad::Unknown, Sure::There, Err("x"));
    check(&text("x"), &Abroad::Unknown, Sure::Told, Err("x"));
    check(&text(""), &Abroad::Unknown, Sure::There, Ok(text("")));
    check(&pending("far", "7"), &Abroad::Unknown, Sure::There, Ok(text("7")));
    check(&pending("elsewhere", "7"), &there, Sure::There, Err("elsewhere: 7"));
}

#[test]
fn a_reference_is_replaced_or_taken_out() {
    #[track_caller]
    fn check(value: Value, with: Option<&Value>, expect: Option<&Value>) {
        let mut props = Props::from([("p".into(), value.clone())]);
        let changed = replace(&mut props, "p", &text("x"), with);
        assert_eq!(props.get("p"), expect);
        assert_eq!(changed, names(&Props::from([("p".into(), value)]), "p", &text("x")));
    }
    let list = |ids: &[&str]| Value::List(ids.iter().map(|id| text(id)).collect());
    check(text("x"), Some(&text("y")), Some(&text("y")));
    check(text("x"), None, None);
    check(text("z"), None, Some(&text("z")));
    check(list(&["a", "x", "b"]), None, Some(&list(&["a", "b"])));
    check(list(&["a", "x", "b"]), Some(&text("y")), Some(&list(&["a", "y", "b"])));
    check(list(&["a"]), Some(&text("y")), Some(&list(&["a"])));
}

/// Each planted bug of this file breaks a law.
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    for (bug, law) in [
        ("reference taken as it comes", what_the_truth_holds as fn()),
        ("child does not wait", what_the_remote_may_not_have_does_not_go),
        ("reference let go is an edit", what_a_delete_took_is_nobodys_edit),
    ] {
        planted::set_here(Some(bug));
        let found = std::panic::catch_unwind(law).is_err();
        planted::set_here(None);
        assert!(found, "{bug} is not found");
    }
}

/// The truth holds ids of records.
#[test]
fn what_the_truth_holds() {
    let known = Known::from([("1", "r1")]);
    assert_eq!(arrived(&text("1"), false, &known), text("r1"));
    assert_eq!(arrived(&number("1"), true, &known), text("r1"));
    assert_eq!(arrived(&text("2"), false, &known), pending("far", "2"));
    assert_eq!(arrived(&text(""), false, &known), text(""));
}

/// Agreed, truth, theirs, and what is left of agreed; `gone` is deleted.
#[test]
fn what_a_delete_took_is_nobodys_edit() {
    #[track_caller]
    fn check(agreed: &str, truth: &str, theirs: Option<&str>, expect: &str) {
        let props = |id: &str| if id.is_empty() { Props::new() } else { Props::from([("p".into(), text(id))]) };
        let mut left = props(agreed);
        let theirs = theirs.map(props);
        let gone = |_: &Reference, id: &str| Ok::<_, Infallible>(id == "gone");
        let_go(&mut left, &props(truth), theirs.as_ref(), &reference(false), gone).unwrap();
        assert_eq!(left, props(expect), "{agreed} | {truth} | {theirs:?}");
    }
    check("gone", "", None, "");
    check("gone", "", Some("other"), "");
    check("gone", "other", None, "");
    // One side has it still: that the other has not is what happened.
    check("gone", "", Some("gone"), "gone");
    check("gone", "gone", None, "gone");
    // It is there, so an app took it out.
    check("there", "", None, "there");
    check("", "", None, "");
}
