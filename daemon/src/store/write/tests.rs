//! Owns: the tests of apps' writes. Must never know: the wire.

use std::time::Duration;

use mingle_core::ask::{Refusal, Write, Writer, Written};

use super::{merge_patch, prepare};
use crate::{
    json,
    store::{Class, CollectionDefinition, Ids, define, ids, limits, testing::*},
};

fn put_with(id: &str, data: &str, if_seq: Option<u64>, overwrite: bool, merge: bool) -> Write {
    Write::Put { collection: "a".into(), id: Some(id.into()), data: data.into(), if_seq, overwrite, merge }
}

/// What came of a write, in a word and a seq.
fn outcome(written: Result<Written, Refusal>) -> String {
    match written {
        Ok(written) => written.writes.iter().map(|one| format!("{}@{}", one.id, one.seq)).collect::<Vec<_>>().join(" "),
        Err(Refusal::Stale(_, seq)) => seq.map_or("stale".into(), |seq| format!("stale at {seq}")),
        Err(Refusal::NotFound(_, remedy)) => format!("not_found, {}", remedy.unwrap_or_default()),
        Err(refusal) => format!("{refusal:?}").split('(').next().unwrap_or_default().to_lowercase(),
    }
}

#[test]
fn what_a_put_may_replace() {
    // x is live at 2, gone was deleted at 4.
    #[track_caller]
    fn check(one: &Write, expect: &str) {
        let store = memory();
        seq(&store, put("x", r#"{"n":1}"#));
        seq(&store, put("x", r#"{"n":2}"#));
        seq(&store, put("gone", "{}"));
        seq(&store, delete("gone"));
        assert_eq!(outcome(write(&store, vec![one.clone()])), expect, "{one:?}");
    }
    for merge in [false, true] {
        check(&put_with("new", "{}", Some(0), false, merge), "new@5");
        check(&put_with("new", "{}", Some(1), false, merge), "stale");
        check(&put_with("x", "{}", Some(0), false, merge), "stale at 2");
        check(&put_with("x", "{}", Some(2), false, merge), "x@5");
        check(&put_with("x", "{}", Some(9), false, merge), "stale at 2");
        check(&put_with("gone", "{}", Some(0), false, merge), "gone@5");
    }
    check(&put_with("new", "{}", None, false, false), "new@5");
    check(&put_with("x", "{}", None, false, false), "stale at 2");
    check(&put_with("x", "{}", None, true, false), "x@5");
    check(&put_with("x", r#"{ "n" : 2.0 }"#, None, true, false), "x@2");
    check(&put_with("x", "{}", Some(1), true, false), "stale at 2");
    check(&put_with("x", "{}", None, false, true), "invalid");
    check(&put_with("gone", "{}", None, false, false), "gone@5");
    check(&put_with("gone", "{}", Some(4), false, false), "stale");
    check(&put_with("", "{}", None, true, false), "invalid");
    check(&put_with("a\u{7f}", "{}", None, true, false), "invalid");
    check(&put_with(&"i".repeat(257), "{}", None, true, false), "invalid");
    check(&put_with(&"i".repeat(256), "{}", None, true, false), &format!("{}@5", "i".repeat(256)));
    check(&put_with("x", "[]", None, true, false), "invalid");
    check(&put_with("x", "{", None, true, false), "invalid");
    check(&put_with("x", &format!("{{\"t\":\"{}\"}}", "t".repeat(limits::RECORD_BYTES_MAX)), None, true, false), "toolarge");
    let deep = |depth: usize| format!("{{\"v\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    check(&put_with("x", &deep(100), None, true, false), "x@5");
    check(&put_with("x", &deep(101), None, true, false), "invalid");
    check(&patch("x", &deep(101)), "invalid");
    check(&patch("x", r#"{"m":1}"#), "x@5");
    check(&patch("x", r#"{"m":null}"#), "x@2");
    check(&patch("x", "1"), "invalid");
    check(&patch("gone", "{}"), "not_found, `mingle list a` shows what is there");
    check(&delete("x"), "x@5");
    check(&delete("none"), "not_found, `mingle list a` shows what is there");
    let elsewhere = Write::Delete { collection: "c".into(), id: "x".into(), if_seq: None };
    check(&elsewhere, "not_found, the collections are a, b");
    check(&Write::Delete { collection: "a".into(), id: "x".into(), if_seq: Some(1) }, "stale at 2");
}

#[test]
fn numbers_keep_their_form_and_ids_are_made() {
    let store = memory();
    let nameless = Write::Put {
        collection: "a".into(),
        id: None,
        data: r#"{"price": 1.50, "big": 12345678901234567890123}"#.into(),
        if_seq: None,
        overwrite: false,
        merge: false,
    };
    let id = write(&store, vec![nameless]).unwrap().writes.remove(0).id;
    assert_eq!(ids::moment_of(&id), Some(NOW));
    assert_eq!(data(&store, &id), r#"{"big":12345678901234567890123,"price":1.50}"#);
    seq(&store, patch(&id, r#"{"note":"x"}"#));
    assert_eq!(data(&store, &id), r#"{"big":12345678901234567890123,"note":"x","price":1.50}"#);
}

#[test]
fn several_writes_are_all_done_or_none() {
    let store = memory();
    seq(&store, put("x", "{}"));
    let refused = write(&store, vec![put("y", "{}"), patch("x", r#"{"n":1}"#), delete("none")]);
    assert!(matches!(refused, Err(Refusal::NotFound(..))));
    assert_eq!((data(&store, "x"), data(&store, "y")), ("{}".into(), "-".into()));
    let done = write(&store, vec![put("y", "{}"), patch("x", r#"{"n":1}"#), delete("y")]).unwrap();
    assert_eq!(done.writes.iter().map(|one| one.seq).collect::<Vec<_>>(), [2, 3, 4]);
    assert_eq!((data(&store, "x"), data(&store, "y")), (r#"{"n":1}"#.into(), "-".into()));
}

#[test]
fn an_op_is_done_once() {
    let store = memory();
    let first = write_at(&store, NOW, writer(Some("op1")), vec![put("x", r#"{"n":1}"#)]).unwrap();
    seq(&store, put("x", r#"{"n":2}"#));
    let again = write_at(&store, NOW, writer(Some("op1")), vec![put("x", r#"{ "n": 1 }"#)]).unwrap();
    assert_eq!(again, first);
    assert_eq!(data(&store, "x"), r#"{"n":2}"#);
    // An id made by us is the same id in the repeat.
    let nameless = |op| {
        let put =
            Write::Put { collection: "a".into(), id: None, data: "{}".into(), if_seq: None, overwrite: false, merge: false };
        write_at(&store, NOW, writer(Some(op)), vec![put]).unwrap()
    };
    assert_eq!(nameless("op2"), nameless("op2"));
    assert_ne!(nameless("op2").writes, nameless("op3").writes);
    assert!(matches!(write_at(&store, NOW, writer(Some("op1")), vec![put("x", "{}")]), Err(Refusal::OpReused(_))));
    // The same op of another app is another op.
    let other = Writer { app: "other".into(), ..writer(Some("op1")) };
    assert_eq!(outcome(write_at(&store, NOW, other, vec![put("x", "{}")])), "x@5");
    // One that was made by us is known as well.
    let made = write(&store, vec![put("y", "{}")]).unwrap();
    assert_eq!(write_at(&store, NOW, writer(Some(&made.op)), vec![put("y", "{}")]).unwrap(), made);
}

#[test]
fn an_op_of_long_ago_is_not_done() {
    let store = memory();
    let mut maker = ids::Maker::new(Ids::Seeded(5));
    let made_at = |ago: Duration| maker.uuid7(NOW.minus(ago));
    let [old, young]: [String; 2] = [limits::OP_KEPT + Duration::from_secs(1), limits::OP_KEPT].map(made_at);
    assert_eq!(outcome(write_at(&store, NOW, writer(Some(&old)), vec![put("x", "{}")])), "stale");
    assert_eq!(outcome(write_at(&store, NOW, writer(Some(&young)), vec![put("x", "{}")])), "x@1");
    assert_eq!(outcome(write_at(&store, NOW, writer(Some("any text")), vec![put("y", "{}")])), "y@2");
    assert_eq!(outcome(write_at(&store, NOW, writer(Some("")), vec![put("y", "{}")])), "invalid");
    assert_eq!(outcome(write_at(&store, NOW, writer(Some(&"o".repeat(65))), vec![put("y", "{}")])), "invalid");
}

#[test]
fn a_write_for_another_instance_is_stale() {
    let store = memory();
    let here = Writer { instance: Some(store.instance().to_string()), ..writer(None) };
    assert_eq!(outcome(write_at(&store, NOW, here, vec![put("x", "{}")])), "x@1");
    let elsewhere = Writer { instance: Some("other".into()), ..writer(None) };
    assert_eq!(outcome(write_at(&store, NOW, elsewhere, vec![put("x", "{}")])), "stale");
}

/// H17: a whole put over a state that the app never saw.
#[test]
fn a_merging_put_keeps_what_the_app_never_saw() {
    #[track_caller]
    fn check(then: &[Write], mine: &str, expect: &str, conflicts: i64) {
        let store = memory();
        let base = seq(&store, put("x", r#"{"p":1,"q":1}"#));
        for one in then {
            write(&store, vec![one.clone()]).unwrap();
        }
        let told = write(&store, vec![put_with("x", mine, Some(base), false, true)]);
        assert!(told.is_ok(), "{told:?}");
        assert_eq!(data(&store, "x"), expect);
        assert_eq!(number(&store, "SELECT count(*) FROM m_conflict"), conflicts);
    }
    // q moved on: only p is ours.
    check(&[patch("x", r#"{"q":2}"#)], r#"{"p":5,"q":1}"#, r#"{"p":5,"q":2}"#, 0);
    // A property that came since stays; one we removed goes.
    check(&[patch("x", r#"{"new":true}"#)], r#"{"p":1}"#, r#"{"new":true,"p":1}"#, 0);
    // Both changed p: the truth's side, and a row says so.
    check(&[patch("x", r#"{"p":2}"#)], r#"{"p":5,"q":1}"#, r#"{"p":2,"q":1}"#, 1);
    // Deleted meanwhile, and changed by us: the edit lives, recorded; unchanged by us: it stays deleted.
    check(&[delete("x")], r#"{"p":5,"q":1}"#, r#"{"p":5,"q":1}"#, 1);
    check(&[delete("x")], r#"{"p":1,"q":1}"#, "-", 0);
    // Deleted and made anew without p: both changed p.
    check(&[delete("x"), put("x", r#"{"q":7}"#)], r#"{"p":5,"q":1}"#, r#"{"q":7}"#, 1);
}

#[test]
fn a_base_older_than_the_ledger_is_stale() {
    let store = memory();
    let base = seq(&store, put("x", r#"{"p":1}"#));
    seq(&store, put("x", r#"{"p":2}"#));
    sql(&store, "DELETE FROM m_ledger WHERE seq = 2; UPDATE m_collection SET ledger_horizon = 2 WHERE name = 'a'").unwrap();
    let told = write(&store, vec![put_with("x", r#"{"p":3}"#, Some(base), false, true)]);
    assert_eq!(outcome(told), "stale at 2");
}

#[test]
fn a_collection_that_only_comes_down_takes_no_writes() {
    let store = memory();
    store
        .write_blocking(Class::Interactive, NOW, |tx| {
            let read_only = CollectionDefinition { read_only: true, ..definition("a") };
            define(tx, &[read_only])
        })
        .unwrap();
    assert_eq!(outcome(write(&store, vec![put("x", "{}")])), "readonly");
}

#[test]
fn the_first_change_leaves_each_link_its_agreed_copy() {
    let store = memory();
    seq(&store, put("x", r#"{"p":1}"#));
    sql(
        &store,
        "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'r', 'r1'), (2, 's', 's1');
         INSERT INTO m_link (link, replica, record, base, confirmed, born, seen, missing) VALUES (1, 1, 1, 0, 1, 0, 0, 0);
         INSERT INTO m_link (link, replica, record, base, agreed, confirmed, born, seen, missing)
             VALUES (2, 2, 1, 1, '{\"p\":0}', 1, 0, 0, 0)",
    )
    .unwrap();
    let agreed = |link: i64| {
        store
            .read(|reader| {
                Ok(reader.query_row("SELECT base, agreed FROM m_link WHERE link = ?1", [link], |row| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, Option<String>>(1)?))
                })?)
            })
            .unwrap()
    };
    seq(&store, put("x", r#"{"p":1.0}"#));
    assert_eq!(agreed(1), (0, None));
    seq(&store, put("x", r#"{"p":2}"#));
    seq(&store, put("x", r#"{"p":3}"#));
    assert_eq!(agreed(1), (1, Some(r#"{"p":1}"#.into())));
    assert_eq!(agreed(2), (1, Some(r#"{"p":0}"#.into())));
    // A link that is the same as the tombstone: it had none.
    seq(&store, delete("x"));
    sql(&store, "UPDATE m_link SET base = 0, agreed = NULL WHERE link = 1").unwrap();
    seq(&store, put("x", r#"{"p":4}"#));
    assert_eq!(agreed(1), (2, None));
}

#[track_caller]
fn check(record: &str, patch: &str, expect: &str) {
    let mut props = json::parse_object(record).unwrap();
    merge_patch(&mut props, &json::parse_object(patch).unwrap());
    assert_eq!(json::write(&props), expect, "{record} patched with {patch}");
}

/// The examples of RFC 7396, appendix A, as far as both sides are objects.
#[test]
fn a_patch_is_a_merge_patch() {
    check(r#"{"a":"b"}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
    check(r#"{"a":"b"}"#, r#"{"b":"c"}"#, r#"{"a":"b","b":"c"}"#);
    check(r#"{"a":"b"}"#, r#"{"a":null}"#, "{}");
    check(r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, r#"{"b":"c"}"#);
    check(r#"{"a":["b"]}"#, r#"{"a":"c"}"#, r#"{"a":"c"}"#);
    check(r#"{"a":"c"}"#, r#"{"a":["b"]}"#, r#"{"a":["b"]}"#);
    check(r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, r#"{"a":{"b":"d"}}"#);
    check(r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, r#"{"a":[1]}"#);
    check(r#"{"e":null}"#, r#"{"a":1}"#, r#"{"a":1,"e":null}"#);
    check("{}", r#"{"a":{"bb":{"ccc":null}}}"#, r#"{"a":{"bb":{}}}"#);
    check(r#"{"n":1.50}"#, r#"{"m":2.00}"#, r#"{"m":2.00,"n":1.50}"#);
}

#[test]
fn the_hash_is_of_the_meaning() {
    let put = |id: Option<&str>, data: &str, if_seq| Write::Put {
        collection: "c".into(),
        id: id.map(Into::into),
        data: data.into(),
        if_seq,
        overwrite: false,
        merge: false,
    };
    let hash = |one: Write| {
        let writer = Writer { app: "a".into(), op: None, instance: None };
        prepare(writer, vec![one]).unwrap().hash
    };
    let one = hash(put(Some("x"), r#"{"a":1,"b":2}"#, None));
    assert_eq!(one, hash(put(Some("x"), r#" {"b":2, "a":1} "#, None)));
    for other in [
        put(Some("y"), r#"{"a":1,"b":2}"#, None),
        put(None, r#"{"a":1,"b":2}"#, None),
        put(Some("x"), r#"{"a":1,"b":3}"#, None),
        put(Some("x"), r#"{"a":1,"b":2}"#, Some(0)),
        Write::Patch { collection: "c".into(), id: "x".into(), patch: r#"{"a":1,"b":2}"#.into(), if_seq: None },
        Write::Delete { collection: "c".into(), id: "x".into(), if_seq: None },
    ] {
        assert_ne!(one, hash(other.clone()), "{other:?}");
    }
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use mingle_core::planted;
    for (bug, test) in [
        ("agreed copy not left", the_first_change_leaves_each_link_its_agreed_copy as fn()),
        ("op forgotten", an_op_is_done_once),
    ] {
        planted::set_here(Some(bug));
        let found = std::panic::catch_unwind(test).is_err();
        planted::set_here(None);
        assert!(found, "no test sees {bug:?}");
    }
}

/// Of a thousand writes that were asked together, a person has to find the one.
#[test]
fn a_refusal_names_which_of_several_writes_it_means() {
    #[track_caller]
    fn check(writes: Vec<Write>, begins: &str) {
        let store = memory();
        seq(&store, put("x", "{}"));
        let refused = format!("{:?}", write(&store, writes).expect_err("refused"));
        let said = refused.split_once('"').map(|(_, said)| said).expect("words");
        assert!(said.starts_with(begins), "{said}");
        assert_eq!(number(&store, "SELECT max(seq) FROM m_record"), 1, "nothing was written");
    }
    check(vec![put("y", "{}"), put("z", "[]")], "write 1: data is no record");
    check(vec![put("y", "{}"), delete("no"), put("z", "{}")], "write 1: no record");
    check(vec![put_with("x", "{}", Some(9), false, false), put("y", "{}")], "write 0: ");
    check(vec![delete("no")], "no record");
    check(vec![put("z", "[]")], "data is no record");
}
