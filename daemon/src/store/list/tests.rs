//! Owns: the tests of lists, views and indexes. Must never know: the wire.

use std::cell::RefCell;

use mingle_core::{
    ask::{Found, Is, Query, Refusal, Test},
    filter::{self, Filter},
    record::Value,
};

use crate::{
    json,
    store::{Class, CollectionDefinition, Store, define, list, testing::*},
};

/// `{"n":{"gt":3},"state":"open"}`, as it stands on the wire.
fn filter(text: &str) -> Vec<Test> {
    json::parse_object(text)
        .unwrap()
        .into_iter()
        .flat_map(|(property, value)| match value {
            Value::Map(tests) => tests
                .into_iter()
                .map(|(sign, value)| {
                    let is = filter::is(&sign, value).unwrap_or_else(|| panic!("{sign}"));
                    Test { property: property.clone(), is }
                })
                .collect::<Vec<_>>(),
            value => vec![Test { property, is: Is::Eq(value) }],
        })
        .collect()
}

fn query(text: &str, order: &str, limit: usize) -> Query {
    let order = order.split_whitespace().map(|key| match key.strip_prefix('-') {
        Some(key) => (key.to_owned(), true),
        None => (key.to_owned(), false),
    });
    Query { collection: "a".into(), filter: filter(text), order: order.collect(), limit, cursor: None }
}

/// A page, and where the next begins.
fn page(store: &Store, query: &Query) -> Result<(Vec<Found>, Option<String>), Refusal> {
    let records = RefCell::new(Vec::new());
    let cursor = store.read(|reader| list(reader, query, &mut *records.borrow_mut())).map_err(Refusal::from)?;
    Ok((records.into_inner(), cursor))
}

/// The ids, page after page.
fn ids(store: &Store, mut query: Query) -> Result<String, Refusal> {
    let mut ids = Vec::new();
    for _ in 0..100 {
        let (records, cursor) = page(store, &query)?;
        assert!(records.len() <= query.limit);
        ids.extend(records.into_iter().map(|found| found.id));
        query.cursor = cursor;
        if query.cursor.is_none() {
            return Ok(ids.join(" "));
        }
    }
    panic!("the pages never end: {ids:?}");
}

fn filled(index: &[&str]) -> Store {
    let store = memory();
    let index = index.iter().map(|name| (*name).to_owned()).collect();
    let with_index = CollectionDefinition { index, ..definition("a") };
    store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &[with_index])).unwrap();
    for (id, data) in [
        ("a", r#"{"n":1,"s":"x","t":true,"l":["u","v",1],"o":{"k":1}}"#),
        ("b", r#"{"n":2.5,"s":"y","t":false,"l":[]}"#),
        ("c", r#"{"n":10,"s":"x","l":"u"}"#),
        ("d", r#"{"n":null,"s":"X","t":1}"#),
        ("e", r#"{"n":"10","s":"{\"k\":1}"}"#),
        ("f", r#"{"n":1.0}"#),
        ("g", r#"{"n":12345678901234567890,"a.b":1,"it's \"quoted\" \\ [0]":1,"":7}"#),
    ] {
        seq(&store, put(id, data));
    }
    seq(&store, put("gone", r#"{"n":1,"s":"x"}"#));
    seq(&store, delete("gone"));
    store
}

#[test]
fn conditions() {
    for index in [&[][..], &["n", "s", "it's \"quoted\" \\ [0]"]] {
        let store = filled(index);
        let check = |text: &str, expect: &str| {
            for limit in [1, 2, 100] {
                assert_eq!(ids(&store, query(text, "", limit)).as_deref(), Ok(expect), "{text}, {limit} a page");
            }
            // A sync's filter means the same by the same words.
            if !text.contains("\"id\"") {
                let wanted = Filter { text: text.into(), tests: filter(text) };
                let all = page(&store, &query("{}", "", 100)).unwrap().0;
                let fits = |found: &Found| wanted.fits(&json::parse_object(&found.data).unwrap());
                let told: Vec<String> = all.into_iter().filter(fits).map(|found| found.id).collect();
                assert_eq!(told.join(" "), expect, "{text}, without SQL");
            }
        };
        check("{}", "a b c d e f g");
        check(r#"{"id":"c"}"#, "c");
        check(r#"{"id":{"gt":"b","lte":"e"}}"#, "c d e");
        check(r#"{"id":{"in":["a","g","zz"]}}"#, "a g");
        check(r#"{"s":"x"}"#, "a c");
        check(r#"{"s":"x","n":{"gt":3}}"#, "c");
        check(r#"{"n":1}"#, "a f");
        check(r#"{"n":1.00}"#, "a f");
        check(r#"{"n":"10"}"#, "e");
        check(r#"{"n":null}"#, "d");
        check(r#"{"s":null}"#, "f g");
        check(r#"{"n":{"ne":null}}"#, "a b c e f g");
        check(r#"{"s":{"ne":"x"}}"#, "b d e f g");
        check(r#"{"n":{"gt":2}}"#, "b c g");
        check(r#"{"n":{"gte":10,"lt":11}}"#, "c");
        check(r#"{"n":{"gt":1e18}}"#, "g");
        check(r#"{"s":{"gte":"y"}}"#, "b e");
        check(r#"{"s":{"lt":"y"}}"#, "a c d");
        check(r#"{"t":true}"#, "a");
        check(r#"{"t":1}"#, "d");
        check(r#"{"t":0}"#, "");
        check(r#"{"t":{"gt":0.5}}"#, "d");
        check(r#"{"t":{"lte":7}}"#, "d");
        check(r#"{"n":{"lt":"2"}}"#, "e");
        check(r#"{"l":{"gt":"A"}}"#, "c");
        check(r#"{"o":{"gt":"A"}}"#, "");
        check(r#"{"s":{"gt":"y"}}"#, "e");
        check(r#"{"t":{"ne":false}}"#, "a c d e f g");
        check(r#"{"o":"{\"k\":1}"}"#, "");
        check(r#"{"s":"{\"k\":1}"}"#, "e");
        check(r#"{"n":{"in":[1,"10",null,true]}}"#, "a d e f");
        check(r#"{"n":{"in":[]}}"#, "");
        check(r#"{"l":{"has":"u"}}"#, "a");
        check(r#"{"l":{"has":1}}"#, "a");
        check(r#"{"a.b":1}"#, "g");
        check(r#"{"":7}"#, "g");
        check(r#"{"it's \"quoted\" \\ [0]":1}"#, "g");
    }
}

#[test]
fn orders() {
    for index in [&[][..], &["n", "s"]] {
        let store = filled(index);
        let check = |order: &str, expect: &str| {
            for limit in [1, 2, 3, 100] {
                assert_eq!(ids(&store, query("{}", order, limit)).as_deref(), Ok(expect), "{order}, {limit} a page");
            }
        };
        check("id", "a b c d e f g");
        check("-id", "g f e d c b a");
        check("n", "d a f b c g e");
        check("-n", "e g c b a f d");
        check("-n -id", "e g c b f a d");
        check("s n", "f g d a c b e");
        check("s -n", "g f d c a b e");
        check("-s id n", "e b a c d f g");
    }
}

#[test]
fn what_makes_no_sense_is_said() {
    let store = filled(&[]);
    for text in [
        r#"{"o":{"eq":{"k":1}}}"#,
        r#"{"l":{"eq":[]}}"#,
        r#"{"n":{"gt":null}}"#,
        r#"{"id":{"gt":1}}"#,
        r#"{"id":1}"#,
        r#"{"id":{"has":"a"}}"#,
        r#"{"l":{"has":[]}}"#,
    ] {
        assert!(matches!(ids(&store, query(text, "", 10)), Err(Refusal::Invalid(..))), "{text}");
    }
    let elsewhere = Query { collection: "zz".into(), ..query("{}", "", 10) };
    assert!(matches!(ids(&store, elsewhere), Err(Refusal::NotFound(..))));
    let (_, cursor) = page(&store, &query("{}", "n", 2)).unwrap();
    let of_another = Query { cursor: cursor.clone(), ..query("{}", "s", 2) };
    assert!(matches!(ids(&store, of_another), Err(Refusal::Invalid(..))));
    let other = filled(&[]);
    sql(&other, "UPDATE m_store SET instance = 'other'").unwrap();
    let foreign = cursor.map(|text| text.replacen(|one: char| one.is_ascii_hexdigit(), "z", 1));
    assert!(matches!(ids(&store, Query { cursor: foreign, ..query("{}", "n", 2) }), Err(Refusal::Stale(..))));
}

#[test]
fn a_long_page_ends_with_its_bytes() {
    let store = memory();
    let data = format!("{{\"t\":\"{}\"}}", "t".repeat(400_000));
    for id in ["a", "b", "c", "d", "e"] {
        seq(&store, put(id, &data));
    }
    let (records, _) = page(&store, &query("{}", "", 1_000)).unwrap();
    assert_eq!(records.len(), 3);
    assert_eq!(ids(&store, query("{}", "", 1_000)).as_deref(), Ok("a b c d e"));
}

fn plan(store: &Store, sql: &str) -> String {
    store
        .read(|reader| {
            let mut statement = reader.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let rows = statement.query_map((), |row| row.get::<_, String>(3))?;
            Ok(rows.collect::<Result<Vec<_>, _>>()?.join("; "))
        })
        .unwrap()
}

#[test]
fn an_index_is_used() {
    let store = filled(&["s"]);
    let number = store.definitions().named("a").unwrap().number;
    let told = plan(
        &store,
        &format!("SELECT id FROM m_record WHERE {} AND {} = 'x' ORDER BY id", super::live(number), super::extract("s")),
    );
    assert!(told.contains("m_by_") && !told.contains("TEMP B-TREE"), "{told}");
    let told = plan(&store, "SELECT seq FROM m_record WHERE collection = 1 AND seq > 5 ORDER BY seq");
    assert!(told.contains("m_record_feed") && !told.contains("TEMP B-TREE"), "{told}");
}

#[test]
fn views_follow_the_configuration() {
    let store = memory();
    seq(&store, put("x", r#"{"n":1,"ID":2,"we ird":3}"#));
    let shape = |store: &Store, name: &str| -> Result<String, String> {
        store
            .read(|reader| {
                let statement = reader.prepare(&format!("SELECT * FROM {name}"))?;
                Ok(statement.column_names().collect::<Vec<_>>().join(" "))
            })
            .map_err(|error| error.to_string())
    };
    let set = |columns: &[&str], index: &[&str]| {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let definition = CollectionDefinition { columns: list(columns), index: list(index), ..definition("a") };
        store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &[definition])).unwrap();
    };
    assert_eq!(shape(&store, "a").as_deref(), Ok("id seq data"));
    assert_eq!(shape(&store, "b").as_deref(), Ok("id seq data"));
    set(&["n", "ID", "we ird"], &["n"]);
    assert_eq!(shape(&store, "a").as_deref(), Ok("id seq data n we ird"));
    assert!(shape(&store, "b").is_err());
    assert_eq!(number(&store, "SELECT n + \"we ird\" FROM a"), 4);
    assert_eq!(number(&store, "SELECT count(*) FROM sqlite_master WHERE name GLOB 'm_by_*'"), 1);
    set(&[], &[]);
    assert_eq!(number(&store, "SELECT count(*) FROM sqlite_master WHERE name GLOB 'm_by_*'"), 0);
    // Its records come back with it.
    store.write_blocking(Class::Interactive, NOW, |tx| define(tx, &[definition("b")])).unwrap();
    assert!(matches!(read(&store, "x"), Err(Refusal::NotFound(what, _)) if what.contains("collection")));
    set(&[], &[]);
    assert_eq!(number(&store, "SELECT count(*) FROM a"), 1);
    seq(&store, delete("x"));
    assert_eq!(number(&store, "SELECT count(*) FROM a"), 0);
    for name in ["m_x", "sqlite_x", "A", "1a", "a-b", "", "a b"] {
        let refused = store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &[definition(name)]));
        assert!(refused.is_err(), "{name}");
    }
    // A refused definition leaves everything as it was.
    assert_eq!(number(&store, "SELECT count(*) FROM a"), 0);
}
