//! Owns: that what is new is found in pieces, each once and in its order. Must never know: how it is sent.

use std::{sync::Arc, time::Duration};

use mingle_core::{
    policy::Policy,
    replica::{Abilities, Answer, Failure, RemoteError},
    run::{Creates, Direction},
    time::Timestamp,
};

use super::*;
use crate::store::{
    Class, Origin, Store, marks,
    sync::{Others, SyncSpec, settle},
    testing::{NOW, memory, number, put, seq, sql},
};

fn ground() -> Ground {
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
    let abilities = Abilities::least();
    let (spec, abilities) = (Arc::new(spec), Arc::new(abilities));
    Ground {
        spec,
        abilities,
        collection: 1,
        replica: 1,
        origin: Origin::Sync("s".into()),
        began: None,
        anew: false,
        reset: None,
        run: String::new(),
    }
}

/// A store whose sync has spoken to its remote, and has nothing yet.
fn spoken_to() -> Store {
    let store = memory();
    sql(
        &store,
        "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'r', 'r');
         INSERT INTO m_sync (name, replica, pass, up_scanned) VALUES ('s', 1, 1, 0)",
    )
    .unwrap();
    store
}

fn planned(store: &Store, after: u64) -> Planned {
    store.write_blocking(Class::Background, NOW, move |tx| plan(tx, &ground(), after, &[])).unwrap()
}

fn unsent(store: &Store) -> bool {
    store.read(|reader| marks::unsent(reader, "s", "a", Creates::Unlinked)).unwrap()
}

/// Records that came from the remote lie between those that were made here; the newest of those that came was changed here.
#[test]
fn new_records_are_found_in_pieces_and_each_once() {
    let store = memory();
    const ALL: u64 = 3 * PLAN_SEQS_MAX + 7;
    for n in 1..=ALL {
        seq(&store, put(format!("x{n}").leak(), r#"{"n":1}"#));
    }
    sql(
        &store,
        "INSERT INTO m_replica (replica, remote, identity) VALUES (1, 'r', 'r');
         INSERT INTO m_sync (name, replica, pass, up_scanned) VALUES ('s', 1, 1, 0);
         INSERT INTO m_link (replica, record, remote_id, base, agreed, confirmed, born, seen, missing)
             SELECT 1, record, id, 0, NULL, seq, 0, 0, 0 FROM m_record WHERE seq % 5 <> 0;
         UPDATE m_link SET base = 1, agreed = '{\"n\":0}' WHERE record = (SELECT max(record) FROM m_link)",
    )
    .unwrap();
    let changed: i64 = number(&store, "SELECT link FROM m_link WHERE base = 1");
    assert!(unsent(&store));
    let (mut after, mut plans, mut sent) = (0, 0, Vec::new());
    loop {
        let planned = planned(&store, after);
        plans += 1;
        sent.extend(planned.errands);
        after = planned.after;
        if !planned.more {
            break;
        }
        assert!(plans < 10, "it has no end");
    }
    assert_eq!(plans, 4);
    let seqs: Vec<u64> = sent
        .iter()
        .map(|errand| {
            number(&store, format!("SELECT seq FROM m_record JOIN m_link USING (record) WHERE link = {}", errand.link).leak())
        })
        .map(|seq: i64| link::unsigned(seq))
        .collect();
    let new = (1..=ALL).filter(|n| n % 5 == 0);
    let mut wanted: Vec<u64> = new.chain([ALL]).collect();
    wanted.sort_unstable();
    assert_eq!(seqs, wanted);
    assert_eq!(sent.last().map(|errand| errand.link), Some(changed));
    assert_eq!(number(&store, "SELECT up_scanned FROM m_sync"), i64::try_from(ALL).unwrap());
}

/// Whether there is anything to send is asked at each start: it looks at a bounded number of records, and then rather says that there is.
#[test]
fn what_is_unsent_is_found_without_looking_at_all() {
    let store = spoken_to();
    assert!(!unsent(&store));
    seq(&store, put("x", r#"{"n":1}"#));
    assert!(unsent(&store), "made here, and linked nowhere");
    sql(
        &store,
        "INSERT INTO m_link (replica, record, remote_id, base, agreed, confirmed, born, seen, missing) VALUES (1, 1, 'x', 0, NULL, 1, 0, 0, 0)",
    )
    .unwrap();
    assert!(!unsent(&store));
    sql(&store, "UPDATE m_link SET base = 1, agreed = '{\"n\":0}'").unwrap();
    assert!(unsent(&store), "changed here");
}

/// A request that is repeated under its key may arrive by the last repeat alone: what it did shows after that.
#[test]
fn a_repeated_request_is_as_young_as_its_last_one() {
    fn keyed() -> Ground {
        let abilities = Abilities { key_kept: Some(Duration::from_secs(300)), ..Abilities::least() };
        Ground { abilities: Arc::new(abilities), ..ground() }
    }
    let store = spoken_to();
    seq(&store, put("x", r#"{"n":1}"#));
    let plans = |at: Timestamp| store.write_blocking(Class::Background, at, |tx| plan(tx, &keyed(), 0, &[])).unwrap().errands;
    let link = plans(NOW)[0].link;
    let is_given_up = |at: Timestamp| {
        let work = move |tx: &mut Tx<'_>| Ok(link::by_number(tx.conn(), link)?.and_then(|linked| linked.state.sent[0].given_up));
        assert_eq!(store.write_blocking(Class::Background, at, work).unwrap(), Some(at));
    };
    let is_unknown = |at: Timestamp| {
        let answers = vec![(link, Answer::Unknown(RemoteError::new(Failure::Server, "503")))];
        store.write_blocking(Class::Background, at, move |tx| settle(tx, &keyed(), &answers)).unwrap();
    };
    is_unknown(NOW);
    is_given_up(NOW);
    let later = NOW.plus(Duration::from_secs(60));
    assert_eq!(plans(later).len(), 1, "the same request once more");
    is_given_up(later);
    let last = later.plus(Duration::from_secs(30));
    is_unknown(last);
    is_given_up(last);
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    planted::set_here(Some("doubt as old as its first request"));
    let found = std::panic::catch_unwind(a_repeated_request_is_as_young_as_its_last_one).is_err();
    planted::set_here(None);
    assert!(found);
}
