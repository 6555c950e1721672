//! Owns: the tests of how a new row finds its record. Must never know: remotes.

use std::{collections::BTreeSet, sync::Arc};

use mingle_core::{
    meeting::Sent,
    policy::Policy,
    record::Carried,
    replica::{Abilities, Packed},
    run::Creates,
    run::DeletesLeft,
};

use super::*;
use crate::store::{
    Class, CollectionDefinition, Ids, Origin, Store,
    sync::{Batch, Others, SyncSpec, apply},
    testing::{NOW, memory, number, put, seq, sql},
};

fn abilities() -> Abilities {
    Abilities { carried: Carried::AllBut(BTreeSet::new()), page_rows: 100, ..Abilities::least() }
}

/// How SQLite looks for a record by its identity.
fn plan(index: &[&str], first: &'static str) -> String {
    let identity = vec![vec!["number".into(), "kind".into()], vec!["mail".into()]];
    let policy = Policy { identity, ..Policy::default() };
    let definition = CollectionDefinition {
        name: "issues".into(),
        policy: policy.clone(),
        index: index.iter().map(ToString::to_string).collect(),
        ..CollectionDefinition::default()
    };
    let store = Store::memory(Ids::Seeded(1)).unwrap();
    store.write_blocking(Class::Interactive, NOW, move |tx| views::define(tx, &[definition])).unwrap();
    let planned = store.write_blocking(Class::Background, NOW, move |tx| {
        let spec = SyncSpec {
            name: "issues".into(),
            collection: "issues".into(),
            remote: "far".into(),
            identity: String::new(),
            history: String::new(),
            listing: String::new(),
            direction: Direction::Both,
            policy,
            remove_after_upload: false,
            creates: Creates::Unlinked,
            others: Others::default(),
            filter: mingle_core::filter::Filter::default(),
            reset: Default::default(),
            kin: std::collections::BTreeMap::new(),
        };
        let ground = Ground {
            spec: Arc::new(spec),
            abilities: Arc::new(abilities()),
            collection: tx.collection("issues")?,
            replica: 1,
            origin: Origin::Sync("issues".into()),
            began: None,
            anew: false,
            reset: None,
            run: String::new(),
        };
        let sql = format!("EXPLAIN QUERY PLAN {}", by_identity_sql(tx, &ground, first)?);
        let mut statement = tx.conn().prepare(&sql)?;
        let steps: Vec<String> = statement.query_map(["[1]"], |row| row.get(3))?.collect::<Result<_, _>>()?;
        Ok(steps.join("; "))
    });
    planned.unwrap()
}

#[test]
fn a_new_row_finds_its_record_by_the_index_of_its_identity() {
    for index in [&[][..], &["state"], &["state", "number"], &["mail"]] {
        for first in ["number", "mail"] {
            let plan = plan(index, first);
            assert!(plan.contains("USING INDEX m_by_1_") && plan.contains("<expr>=?"), "{index:?}: {plan}");
        }
    }
}

/// A row, and whether it may be what this create made.
#[test]
fn a_row_is_what_a_create_made_if_it_shows_what_was_sent() {
    #[track_caller]
    fn check(identity: &str, fills_in: bool, sent: &str, row: &str, expect: bool) {
        let read = |text: &str| json::parse_object(text).unwrap();
        let policy = Policy::default();
        let identity: Vec<String> = identity.split_whitespace().map(str::to_owned).collect();
        let (abilities, frozen) = (Abilities { fills_in, ..abilities() }, BTreeSet::new());
        let rules = Rules { policy: &policy, abilities: &abilities, up_only: false, frozen: &frozen, anew: false, reset: None };
        let sent = Sent {
            seq: 1,
            what: SentWhat::Create(read(sent)),
            given_up: None,
            looked: false,
            strangers: 0,
            key: None,
            run: None,
        };
        let link = Link { sent: vec![sent], ..Link::unborn() };
        assert_eq!(matches_create(&link, &read(row), &identity, rules), expect, "{row}");
    }
    let (sent, more) = (r#"{"title":"a","n":1}"#, r#"{"title":"a","n":1,"state":"open","author":"me"}"#);
    check("", false, sent, sent, true);
    check("", false, sent, more, false);
    // Where the service fills in fields of its own, only what was sent tells.
    check("", true, sent, sent, true);
    check("", true, sent, more, true);
    check("", true, sent, r#"{"title":"a","state":"open"}"#, false);
    check("", true, sent, r#"{"title":"a","n":2,"state":"open"}"#, false);
    check("title", true, sent, r#"{"title":"a","n":2}"#, true);
    check("title", false, sent, r#"{"title":"b","n":1}"#, false);
    // What says nothing is nothing to be known by.
    check("title", false, r#"{"title":null,"n":1}"#, r#"{"n":1}"#, false);
    check("title", false, r#"{"title":null,"n":1}"#, r#"{"title":null,"n":1}"#, false);
    check("title n", false, r#"{"title":"a","n":null}"#, r#"{"title":"a","n":null}"#, false);
}

/// json-server numbers anew from the highest id that is left: the row of a create whose answer was lost has the id of what was deleted.
#[test]
fn a_row_with_the_id_of_a_deleted_record_is_what_a_create_made() {
    #[track_caller]
    fn check(shown: &str, remote_id: Option<&str>, live: i64) {
        let store = memory();
        seq(&store, put("old", r#"{"n":0}"#));
        seq(&store, put("new", r#"{"n":1}"#));
        sql(
            &store,
            "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'r', 'r');
             INSERT INTO m_sync (name, replica, pass, up_scanned) VALUES ('s', 1, 1, 2);
             UPDATE m_record SET state = 1, data = NULL WHERE id = 'old'",
        )
        .unwrap();
        let spec = SyncSpec {
            name: "s".into(),
            collection: "a".into(),
            remote: "r".into(),
            identity: "r".into(),
            history: String::new(),
            listing: String::new(),
            direction: Direction::Both,
            policy: Policy::default(),
            remove_after_upload: false,
            creates: Creates::Unlinked,
            others: Others::default(),
            filter: mingle_core::filter::Filter::default(),
            reset: Default::default(),
            kin: std::collections::BTreeMap::new(),
        };
        let origin = Origin::Sync("s".into());
        let (spec, abilities) = (Arc::new(spec), Arc::new(abilities()));
        let ground = Ground {
            spec,
            abilities,
            collection: 1,
            replica: 1,
            origin,
            began: None,
            anew: false,
            reset: None,
            run: String::new(),
        };
        let props = json::parse_object(shown).unwrap();
        let row = Row { remote_id: "33".into(), revision: None, modified: None, created: None, state: RowState::Live(props) };
        store
            .write_blocking(Class::Background, NOW, move |tx| {
                let gone = link::insert(tx, 1, 1, &Link::unborn(), false, 0)?;
                tx.conn().execute("INSERT INTO m_former (replica, remote_id, link) VALUES (1, '33', ?1)", [gone])?;
                let what = SentWhat::Create(json::parse_object(r#"{"n":1}"#).unwrap());
                let sent = Sent { seq: 2, what, given_up: None, looked: false, strangers: 0, key: None, run: None };
                link::insert(tx, 1, 2, &Link { sent: vec![sent], ..Link::unborn() }, true, 0)?;
                let batch = Batch {
                    asked: true,
                    pass: None,
                    at: None,
                    swaps: false,
                    resume: None,
                    deletes_left: DeletesLeft::Counted(10),
                };
                apply(tx, &ground, vec![Packed::of(&row)], &batch, || false)
            })
            .unwrap();
        let found: Option<String> = store
            .read(|reader| Ok(reader.query_row("SELECT remote_id FROM m_link WHERE record = 2", (), |row| row.get(0))?))
            .unwrap();
        assert_eq!(found.as_deref(), remote_id, "{shown}");
        assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), live, "{shown}");
        assert_eq!(number(&store, "SELECT count(*) FROM m_former"), i64::from(remote_id.is_none()), "{shown}");
    }
    check(r#"{"n":1}"#, Some("33"), 1);
    // What no create sent is the record of that id, back again.
    check(r#"{"n":7}"#, None, 2);
}

/// The ground of a sync of `a` with a remote, where these properties are the identity.
fn ground_by(identity: &str) -> Ground {
    let identity = identity.split('|').map(|names| names.split_whitespace().map(str::to_owned).collect()).collect();
    let spec = SyncSpec {
        name: "s".into(),
        collection: "a".into(),
        remote: "r".into(),
        identity: "r".into(),
        history: String::new(),
        listing: String::new(),
        direction: Direction::Both,
        policy: Policy { identity, ..Policy::default() },
        remove_after_upload: false,
        creates: Creates::Unlinked,
        others: Others::default(),
        filter: mingle_core::filter::Filter::default(),
        reset: Default::default(),
        kin: std::collections::BTreeMap::new(),
    };
    Ground {
        spec: Arc::new(spec),
        abilities: Arc::new(abilities()),
        collection: 1,
        replica: 1,
        origin: Origin::Sync("s".into()),
        began: None,
        anew: false,
        reset: None,
        run: String::new(),
    }
}

fn object(pairs: &str) -> String {
    let one = |pair: &str| pair.split_once('=').map(|(name, value)| format!("\"{name}\":\"{value}\"")).expect("name=value");
    format!("{{{}}}", pairs.split_whitespace().map(one).collect::<Vec<_>>().join(","))
}

/// Records by their ids, one with a star has its link already; a row; and which record it is.
#[test]
fn alternatives_of_an_identity_are_tried_in_their_order() {
    #[track_caller]
    fn check(identity: &str, records: &[(&str, &str)], shown: &str, expect: &str) {
        let store = memory();
        let prepare = "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'r', 'r');
             INSERT INTO m_sync (name, replica, pass, up_scanned) VALUES ('s', 1, 1, 2)";
        sql(&store, prepare).unwrap();
        for (id, data) in records {
            let bare = id.trim_end_matches('*').to_owned();
            seq(&store, put(&bare, &object(data)));
            if id.ends_with('*') {
                let linked = move |tx: &mut Tx<'_>| {
                    let held = record::find(tx.conn(), 1, &bare)?.expect("written");
                    link::insert(tx, 1, held.record, &Link::stranger(&format!("far-{bare}")), true, 0)
                };
                store.write_blocking(Class::Background, NOW, linked).unwrap();
            }
        }
        let ground = ground_by(identity);
        let props = json::parse_object(&object(shown)).unwrap();
        let row = Row { remote_id: "33".into(), revision: None, modified: None, created: None, state: RowState::Live(props) };
        store
            .write_blocking(Class::Background, NOW, move |tx| {
                super::row(tx, &ground, &row, Some(1), true, &mut Applied::default())
            })
            .unwrap();
        let asked = "SELECT r.id FROM m_link l JOIN m_record r USING (record) WHERE l.replica = 1 AND l.remote_id = '33'";
        let found: String = store.read(|reader| Ok(reader.query_row(asked, (), |row| row.get(0))?)).unwrap();
        let new = if found == "33" { "new".to_owned() } else { found };
        assert_eq!(new, expect, "{identity}: {records:?} {shown}");
    }
    let by = "mail | name born";
    let ada = ("ada", "mail=a name=Ada born=1815");
    let bob = ("bob", "name=Bob born=1900");
    check(by, &[ada, bob], "mail=a", "ada");
    check(by, &[ada, bob], "mail=a name=Bob born=1900", "ada");
    // What it lacks is left to the next; so is what fits nothing.
    check(by, &[ada, bob], "name=Bob born=1900", "bob");
    check(by, &[ada, bob], "mail=new name=Bob born=1900", "bob");
    check(by, &[ada, bob], "mail=new name=Ada born=1815", "ada");
    // All of an alternative, or nothing.
    check(by, &[ada, bob], "name=Bob", "new");
    check(by, &[ada, bob], "name=Bob born=1901", "new");
    check(by, &[("bob", "name=Bob")], "name=Bob", "new");
    check(by, &[ada, bob], "phone=1", "new");
    // One that has its link is another one.
    check(by, &[("ada*", "mail=a name=Ada born=1815"), bob], "mail=a", "new");
    check(by, &[("ada*", "mail=a"), ("eve", "mail=a")], "mail=a", "eve");
    check(by, &[("ada*", "mail=a"), bob], "mail=a name=Bob born=1900", "bob");
    // Which of several it is what counts for less does not tell.
    check(by, &[("x", "mail=a name=X born=1"), ("y", "mail=a name=Y born=2")], "mail=a name=Y born=2", "new");
    check(by, &[("x", "name=X born=1"), ("y", "name=X born=1")], "name=X born=1", "new");
    check("mail name", &[("x", "mail=a name=X"), ("y", "mail=a name=Y")], "mail=a name=Y", "y");
}

/// A create whose answer is outstanding has made the row that is the same by the first alternative that tells.
#[test]
fn a_create_is_found_by_alternatives_in_their_order() {
    let ground = ground_by("mail | name");
    let create = |data: &str| {
        let what = SentWhat::Create(json::parse_object(&object(data)).unwrap());
        let sent = Sent { seq: 1, what, given_up: None, looked: false, strangers: 0, key: None, run: None };
        Linked { link: 1, record: 1, seen: 0, missing: false, state: Link { sent: vec![sent], ..Link::unborn() } }
    };
    for (creates, shown, expect) in [
        (&["mail=a name=A", "mail=b name=B"][..], "mail=b name=A", Some(1)),
        (&["mail=a name=A", "mail=b name=B"], "mail=c name=A", Some(0)),
        (&["name=A", "mail=b name=B"], "name=B", Some(1)),
        (&["mail=a name=A", "mail=a name=B"], "mail=a name=B", None),
        (&["mail=a name=A"], "phone=1", None),
        // What has nothing to be known by is known by all of it.
        (&["phone=1"], "phone=1", Some(0)),
        (&["phone=1"], "phone=1 mail=a", None),
        (&["phone=1", "phone=1"], "phone=1", None),
        (&["mail=a phone=1", "phone=1"], "phone=1", Some(1)),
    ] {
        let open: Vec<Linked> = creates.iter().map(|data| create(data)).collect();
        assert_eq!(made_by(&open, &ground, &json::parse_object(&object(shown)).unwrap()), expect, "{creates:?} {shown}");
    }
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    for (bug, test) in [
        ("ambiguous identity falls through", alternatives_of_an_identity_are_tried_in_their_order as fn()),
        ("a create without its identity is never found", a_create_is_found_by_alternatives_in_their_order),
    ] {
        planted::set_here(Some(bug));
        let found = std::panic::catch_unwind(test).is_err();
        planted::set_here(None);
        assert!(found, "no line sees {bug:?}");
    }
}
