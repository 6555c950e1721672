//! Owns: the proof that two records become one where they are one, and stay two where they are not. Must never know: how a run goes.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc};

use mingle_core::{
    ask::{ChangeKind, Refusal, Scope, Undo, Write},
    policy::{Merge, Policy},
    reference::{Reference, References, WhenGone},
    replica::{Abilities, Action, Answer, Packed, Row, RowState},
    run::{Creates, DeletesLeft, Direction},
};

use super::*;
use crate::store::{
    Class, CollectionDefinition, Ids, Store, define, fsck,
    sync::{Batch, Kin, Others, SyncSpec, apply, plan, settle},
    testing::{NOW, data, delete, feed, number, patch, put, read, since, sql, undo_all, write, writer},
    tx::Origin,
    undo::{choose, undo},
};

/// Collection `a` has its home at `h`, and mirrors at `m` and `n`; who has the same mail is the same. Records of `b` refer to one of `a`.
pub(in crate::store::sync) fn store() -> Store {
    with(&Policy::default())
}

fn with(policy: &Policy) -> Store {
    let store = Store::memory(Ids::Seeded(1)).unwrap();
    let definitions = ["a", "b"].map(|name| CollectionDefinition {
        name: name.into(),
        policy: of(name, policy.clone()),
        ..CollectionDefinition::default()
    });
    store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &definitions)).unwrap();
    let places: Vec<String> =
        PLACES.iter().enumerate().map(|(at, (name, _))| format!("({}, '{name}', 'at {name}')", at + 1)).collect();
    let syncs: Vec<String> = PLACES.iter().enumerate().map(|(at, (name, _))| format!("('{name}', {}, 1, 0)", at + 1)).collect();
    let made = format!(
        "INSERT INTO m_replica (replica, remote, identity) VALUES {};
         INSERT INTO m_sync (name, replica, pass, up_scanned) VALUES {}",
        places.join(", "),
        syncs.join(", ")
    );
    sql(&store, made.leak()).unwrap();
    store
}

/// Where what is kept; `hb` and `mb` keep the children.
const PLACES: [(&str, &str); 5] = [("h", "a"), ("m", "a"), ("n", "a"), ("hb", "b"), ("mb", "b")];

fn of(name: &str, policy: Policy) -> Policy {
    let reference = Reference { collection: "a".into(), on_delete: WhenGone::Cascade, numbers: false };
    let references: References = if name == "b" { BTreeMap::from([("p".to_owned(), reference)]) } else { BTreeMap::new() };
    let identity = if name == "a" { vec![vec!["mail".into()], vec!["name".into(), "born".into()]] } else { Vec::new() };
    Policy { identity, references, ..policy }
}

fn ground(at: &str, policy: &Policy) -> Ground {
    let replica = PLACES.iter().position(|(name, _)| *name == at).expect("a place") as i64 + 1;
    let collection = PLACES[replica as usize - 1].1;
    let mirror = at == "m" || at == "n";
    let kin = match at {
        "hb" => BTreeMap::from([("a".to_owned(), Kin { identity: "at h".into(), sends: true })]),
        "mb" => BTreeMap::from([("a".to_owned(), Kin { identity: "at m".into(), sends: true })]),
        _ => BTreeMap::new(),
    };
    let mirrors = ["m", "n"].into_iter().filter(|one| *one != at).map(|one| format!("at {one}")).collect();
    let others = Others { mirror, mirrors, makes: false, home: None };
    let spec = SyncSpec {
        name: at.into(),
        collection: collection.into(),
        remote: at.into(),
        identity: format!("at {at}"),
        history: String::new(),
        listing: String::new(),
        direction: Direction::Both,
        policy: of(collection, policy.clone()),
        remove_after_upload: false,
        creates: if mirror { Creates::All } else { Creates::Unlinked },
        others: if collection == "a" { others } else { Others::default() },
        filter: mingle_core::filter::Filter::default(),
        reset: Default::default(),
        kin,
    };
    Ground {
        spec: Arc::new(spec),
        abilities: Arc::new(Abilities::least()),
        collection: if collection == "a" { 1 } else { 2 },
        replica,
        origin: Origin::Sync(at.into()),
        began: None,
        anew: false,
        reset: None,
        run: "r-1".into(),
    }
}

fn object(pairs: &str) -> String {
    let one = |pair: &str| pair.split_once('=').map(|(name, value)| format!("\"{name}\":\"{value}\"")).expect("name=value");
    format!("{{{}}}", pairs.split_whitespace().map(one).collect::<Vec<_>>().join(","))
}

fn row(remote_id: &str, pairs: &str) -> Row {
    let state = RowState::Live(json::parse_object(&object(pairs)).unwrap());
    Row { remote_id: remote_id.into(), revision: None, modified: None, created: None, state }
}

pub(in crate::store::sync) fn step(store: &Store, step: &str) -> String {
    step_under(store, step, &Policy::default())
}

/// One step: `h 1 mail=a` (a row of the home), `app ID n=1` (an app's patch, which makes it), `plan m`. What is sent, in words.
fn step_under(store: &Store, step: &str, policy: &Policy) -> String {
    let policy = policy.clone();
    let mut words = step.splitn(3, ' ');
    let (who, what, pairs) = (words.next().unwrap(), words.next().unwrap().to_owned(), words.next().unwrap_or_default());
    let at = move |name: String| ground(&name, &policy);
    match who {
        "app" => {
            let one = if read(store, &what).is_ok() { patch(&what, &object(pairs)) } else { put(&what, &object(pairs)) };
            write(store, vec![one]).unwrap();
            String::new()
        }
        "plan" => {
            let planned = store.write_blocking(Class::Background, NOW, move |tx| plan(tx, &at(what), 0, &[])).unwrap();
            let mut told = String::new();
            for errand in &planned.errands {
                match &errand.action {
                    Action::Create { whole, .. } => write!(told, "create {} ", json::write(whole)).unwrap(),
                    Action::Update { remote_id, .. } => write!(told, "update {remote_id} ").unwrap(),
                    Action::Delete { remote_id, .. } => write!(told, "delete {remote_id} ").unwrap(),
                }
            }
            told
        }
        _ => {
            let (who, row) = (who.to_owned(), row(&what, pairs));
            let applied = store.write_blocking(Class::Background, NOW, move |tx| {
                let batch = Batch {
                    asked: true,
                    pass: None,
                    at: None,
                    swaps: false,
                    resume: None,
                    deletes_left: DeletesLeft::Counted(10),
                };
                apply(tx, &at(who), vec![Packed::of(&row)], &batch, || false)
            });
            applied.unwrap();
            String::new()
        }
    }
}

/// The live records by age, each with where it is; then what is another's alias.
pub(in crate::store::sync) fn now(store: &Store) -> String {
    const RECORDS: &str = "SELECT coalesce(group_concat(told, '; '), '') FROM (SELECT r.id || coalesce((SELECT ' ' || group_concat(p.remote || ':' || k.remote_id, ' ')
           FROM m_link k JOIN m_replica p USING (replica) WHERE k.record = r.record AND k.replica > 0 AND k.remote_id IS NOT NULL ORDER BY k.replica), '') AS told
         FROM m_record r WHERE r.state = 0 AND r.collection = 1 ORDER BY r.first)";
    const ALIASES: &str = "SELECT coalesce(group_concat(g.id || ' is ' || s.id, ', '), '') FROM m_alias a
         JOIN m_record g ON g.record = a.alias JOIN m_record s ON s.record = a.record";
    let text = |sql: &str| store.read(|reader| Ok(reader.query_row(sql, (), |row| row.get::<_, String>(0))?)).unwrap();
    let problems = store.read(|reader| fsck::check(reader)).unwrap();
    assert!(problems.is_clean(), "{problems:?}");
    match text(ALIASES).as_str() {
        "" => text(RECORDS),
        aliases => format!("{}; {aliases}", text(RECORDS)),
    }
}

#[track_caller]
fn check(steps: &[&str], expect: &str) -> Store {
    let store = store();
    for one in steps {
        step(&store, one);
    }
    assert_eq!(now(&store), expect, "{steps:?}");
    store
}

#[test]
fn what_proves_to_be_one_becomes_one() {
    // A row tells it, of either side; so does an app, once its change is to be sent.
    check(&["h h1 n=1", "m m1 mail=a", "h h1 n=1 mail=a"], "h1 h:h1 m:m1; m1 is h1");
    check(&["h h1 mail=a", "m m1 n=1", "m m1 n=1 mail=a"], "h1 h:h1 m:m1; m1 is h1");
    check(&["m m1 mail=a", "h h1 n=1", "h h1 n=1 mail=a"], "m1 h:h1 m:m1; h1 is m1");
    check(&["h h1 n=1", "m m1 mail=a", "app h1 mail=a"], "h1 h:h1; m1 m:m1");
    check(&["h h1 n=1", "m m1 mail=a", "app h1 mail=a", "plan h"], "h1 h:h1 m:m1; m1 is h1");
    // A mirror that is about to make what it has.
    check(&["h h1 n=1", "m m1 mail=a", "app h1 mail=a", "plan m"], "h1 h:h1 m:m1; m1 is h1");
    // By what counts for less, where the rest says nothing.
    check(&["h h1 name=x", "m m1 name=x born=1", "h h1 name=x born=1"], "h1 h:h1 m:m1; m1 is h1");
    // All of three, or of what was two already.
    let three = ["h h1 n=1", "m m1 mail=a", "n n1 n=3", "h h1 n=1 mail=a", "n n1 n=3 mail=a"];
    check(&three[..4], "h1 h:h1 m:m1; n1 n:n1; m1 is h1");
    check(&three, "h1 h:h1 m:m1 n:n1; m1 is h1, n1 is h1");
    let chain = ["n n1 n=1", "h h1 n=1", "m m1 mail=a", "h h1 n=1 mail=a", "n n1 n=1 mail=a"];
    check(&chain, "n1 h:h1 m:m1 n:n1; h1 is n1, m1 is n1");
}

#[test]
fn what_is_two_stays_two() {
    // One remote has both.
    check(&["h h1 n=1", "h h2 mail=a", "h h1 n=1 mail=a"], "h1 h:h1; h2 h:h2");
    check(&["h h1 n=1", "m m1 mail=a", "h h2 mail=a", "h h1 n=1 mail=a"], "h1 h:h1; m1 h:h2 m:m1");
    // Which of several it is nothing tells.
    check(&["h h1 n=1", "m m1 mail=a", "m m2 mail=a", "h h1 n=1 mail=a"], "h1 h:h1; m1 m:m1; m2 m:m2");
    check(&["h h1 n=1", "m m1 mail=b", "h h1 n=1 mail=a"], "h1 h:h1; m1 m:m1");
    check(&["h h1 name=x", "m m1 name=x", "h h1 name=x n=1"], "h1 h:h1; m1 m:m1");
    // What counts for more tells them apart.
    check(&["h h1 mail=x name=x born=1", "m m1 mail=y name=x", "m m1 mail=y name=x born=1"], "h1 h:h1; m1 m:m1");
    // What an app has made twice it has made twice.
    check(&["app x mail=a", "app y n=1", "app y mail=a", "plan h"], "x; y");
    // It was known by that before: nothing tells it anew.
    check(&["h h1 mail=a", "m m1 n=1", "h h1 mail=a n=2"], "h1 h:h1; m1 m:m1");
}

#[test]
fn both_keep_what_they_have_and_what_clashes_is_told() {
    let store = check(&["h h1 n=1 x=h", "m m1 mail=a y=m x=m", "h h1 n=1 x=h mail=a"], "h1 h:h1 m:m1; m1 is h1");
    // The younger comes like a row, and rows win unless somebody says otherwise.
    assert_eq!(data(&store, "h1"), r#"{"mail":"a","n":"1","x":"m","y":"m"}"#);
    assert_eq!(
        number(
            &store,
            "SELECT count(*) FROM m_conflict WHERE property = 'x' AND verdict = 'remote' AND replica = 'm' AND loser_seq = 1"
        ),
        1
    );
    assert_eq!(number(&store, "SELECT count(*) FROM m_conflict"), 1);
    // Each is told what it lacks.
    assert_eq!(step(&store, "plan m"), "update m1 ");
    assert_eq!(step(&store, "plan h"), "update h1 ");

    let policy = Policy { default: Merge::Truth, ..Policy::default() };
    let held = |store: &Store, id: &'static str| store.read(|reader| Ok(record::find(reader, 1, id)?.unwrap())).unwrap();
    let store = with(&policy);
    for one in ["h h1 n=1 x=h", "m m1 mail=a x=m"] {
        step(&store, one);
    }
    let (stays, goes) = (held(&store, "h1"), held(&store, "m1"));
    store.write_blocking(Class::Background, NOW, move |tx| one(tx, &ground("h", &policy), &stays, &goes)).unwrap();
    assert_eq!(data(&store, "h1"), r#"{"mail":"a","n":"1","x":"h"}"#);
    // What the other had lost, and its write is the one that did.
    assert_eq!(number(&store, "SELECT loser_seq FROM m_conflict WHERE verdict = 'truth'"), 2);
}

#[test]
fn what_was_not_sent_of_either_is_sent() {
    let store = check(&["h h1 n=1", "m m1 mail=a", "app m1 y=new", "app h1 z=new", "h h1 n=1 mail=a"], "h1 h:h1 m:m1; m1 is h1");
    assert_eq!(data(&store, "h1"), r#"{"mail":"a","n":"1","y":"new","z":"new"}"#);
    assert_eq!(step(&store, "plan m"), "update m1 ");
    assert_eq!(step(&store, "plan h"), "update h1 ");
}

/// What an app took away, and was not sent, stays away, and is sent; where the other has another value, that stands, and it is told.
#[test]
fn what_was_taken_away_does_not_come_back() {
    for (of, mine, theirs) in [("m1", "m m1 mail=a y=1", "h h1 n=1 y=1"), ("h1", "m m1 mail=a y=1", "h h1 n=1 y=1")] {
        let store = store();
        for one in [theirs, mine] {
            step(&store, one);
        }
        write(&store, vec![patch(of, r#"{"y":null}"#)]).unwrap();
        write(&store, vec![patch("h1", r#"{"mail":"a"}"#)]).unwrap();
        step(&store, "plan h");
        assert_eq!(now(&store), "h1 h:h1 m:m1; m1 is h1");
        assert_eq!(data(&store, "h1"), r#"{"mail":"a","n":"1"}"#, "{of}");
        assert_eq!(number(&store, "SELECT count(*) FROM m_conflict"), 0);
        assert_eq!(step(&store, "plan m"), "update m1 ");
    }
    for (of, verdict) in [("m1", "remote"), ("h1", "truth")] {
        let store = store();
        for one in ["h h1 n=1 y=5", "m m1 mail=a y=1"] {
            step(&store, one);
        }
        write(&store, vec![patch(of, r#"{"y":null}"#)]).unwrap();
        write(&store, vec![patch("h1", r#"{"mail":"a"}"#)]).unwrap();
        step(&store, "plan h");
        assert_eq!(number(&store, "SELECT count(*) FROM m_conflict WHERE property = 'y'"), 1, "{of} {verdict}");
    }
}

/// What was decided of the one that goes, and what is open, is the other's: nobody is asked twice, and nothing hangs in the air.
#[test]
fn conflicts_go_along_and_open_ones_are_decided_first() {
    let steps = ["h h1 n=1", "m m1 mail=a x=1", "app m1 x=2", "m m1 mail=a x=3", "h h1 n=1 mail=a"];
    let store = check(&steps, "h1 h:h1 m:m1; m1 is h1");
    assert_eq!(
        number(&store, "SELECT count(*) FROM m_conflict c JOIN m_record r USING (record) WHERE r.id = 'h1' AND c.property = 'x'"),
        1
    );

    let manual = Policy { properties: [("x".to_owned(), Merge::Manual)].into(), ..Policy::default() };
    let play = |steps: &[&str]| {
        let store = with(&manual);
        for one in steps {
            step_under(&store, one, &manual);
        }
        store
    };
    // An open one is waited for.
    let store = play(&["h h1 n=1", "m m1 mail=a x=1", "app m1 x=2", "m m1 mail=a x=3", "h h1 n=1 mail=a"]);
    assert_eq!(now(&store), "h1 h:h1; m1 m:m1");
    // So is what was not sent of what is to be decided by hand; else it is asked of both.
    let store = play(&["h h1 n=1 x=1", "m m1 mail=a x=2", "app m1 x=3", "h h1 n=1 x=1 mail=a"]);
    assert_eq!(now(&store), "h1 h:h1; m1 m:m1");
    let store = play(&["h h1 n=1 x=1", "m m1 mail=a x=2", "h h1 n=1 x=1 mail=a"]);
    assert_eq!(now(&store), "h1 h:h1 m:m1; m1 is h1");
    assert_eq!(number(&store, "SELECT count(*) FROM m_conflict WHERE open = 1 AND link IS NOT NULL"), 1);
}

#[test]
fn that_two_became_one_is_not_taken_back() {
    let store = check(&["h h1 n=1", "m m1 mail=a y=1", "h h1 n=1 mail=a"], "h1 h:h1 m:m1; m1 is h1");
    for id in ["h1", "m1"] {
        let asked = Undo { scope: Scope::Only(vec!["a".into()]), id: Some(id.into()), ..undo_all() };
        let chosen = store.read(|reader| choose(reader, &asked)).map_err(Refusal::from);
        assert!(matches!(chosen, Err(Refusal::Unsupported(_))), "{chosen:?}");
    }
    // Nor among others.
    let asked = Undo { sync: Some("h".into()), ..undo_all() };
    let chosen = store.read(|reader| choose(reader, &asked)).unwrap();
    store.write_blocking(Class::Interactive, NOW, move |tx| undo(tx, &writer(None), &asked, &chosen)).unwrap();
    assert!(data(&store, "h1").contains(r#""y":"1""#), "{}", data(&store, "h1"));
    assert_eq!(now(&store), "h1 h:h1 m:m1; m1 is h1");
}

#[test]
fn a_request_that_is_under_way_is_waited_for() {
    let store = check(&["m m1 mail=a", "app m1 y=new", "plan m", "h h1 n=1", "h h1 n=1 mail=a"], "m1 m:m1; h1 h:h1");
    // Nor is another made meanwhile.
    let ours = store.write_blocking(Class::Background, NOW, |tx| plan(tx, &ground("m", &Policy::default()), 0, &[])).unwrap();
    assert!(ours.errands.is_empty(), "{ours:?}");
    let taken = Answer::Taken(Some(row("m1", "mail=a y=new")));
    let link = number(&store, "SELECT link FROM m_link WHERE remote_id = 'm1'");
    let settled = store
        .write_blocking(Class::Background, NOW, move |tx| settle(tx, &ground("m", &Policy::default()), &[(link, taken)]))
        .unwrap();
    assert_eq!(now(&store), "m1 h:h1 m:m1; h1 is m1");
    // It was settled, and lacks what the other had.
    assert_eq!(settled.again, 1);
    assert_eq!(step(&store, "plan m"), "update m1 ");
}

#[test]
fn the_other_id_means_the_one_that_stays() {
    let store = check(&["h h1 n=1", "m m1 mail=a", "h h1 n=1 mail=a"], "h1 h:h1 m:m1; m1 is h1");
    assert_eq!(read(&store, "m1").unwrap().id, "h1");
    // The feed tells whose it is now, and that of a reader from nothing has one record.
    let told = |from: u64| {
        let page = feed(&store, &since(from));
        page.changes.into_iter().map(|one| (one.id, one.kind, one.alias)).collect::<Vec<_>>()
    };
    assert_eq!(
        told(2),
        [("h1".to_owned(), ChangeKind::Updated, None), ("m1".to_owned(), ChangeKind::Left, Some("h1".to_owned()))]
    );
    assert_eq!(told(0), [("h1".to_owned(), ChangeKind::Created, None)]);
    // Writes under it are the other's.
    assert_eq!(write(&store, vec![patch("m1", r#"{"q":1}"#)]).unwrap().writes[0].id, "h1");
    assert_eq!(data(&store, "h1"), r#"{"mail":"a","n":"1","q":1}"#);
    let over = Write::Put {
        collection: "a".into(),
        id: Some("m1".into()),
        data: "{}".into(),
        if_seq: None,
        overwrite: false,
        merge: false,
    };
    assert!(write(&store, vec![over]).is_err(), "it exists");
    assert!(read(&store, "m1").is_ok());
    // No row of another takes the id.
    step(&store, "n m1 mail=other");
    assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), 2);
    assert_eq!(read(&store, "m1").unwrap().id, "h1");
    // Who says that it is to go, or to be just this, means what it was.
    let over = |overwrite, if_seq, merge| {
        let data = r#"{"mail":"a","y":"2"}"#.into();
        write(&store, vec![Write::Put { collection: "a".into(), id: Some("m1".into()), data, if_seq, overwrite, merge }])
    };
    for refused in [write(&store, vec![delete("m1")]), over(true, None, false)] {
        assert!(matches!(&refused, Err(Refusal::Stale(told, Some(_))) if told.contains("\"h1\"")), "{refused:?}");
    }
    // A merge over what it was changes what it changes, and no more.
    assert_eq!(over(false, Some(2), true).unwrap().writes[0].id, "h1");
    assert_eq!(data(&store, "h1"), r#"{"mail":"a","n":"1","q":1,"y":"2"}"#);
    let seq = read(&store, "m1").unwrap().seq;
    let gone = Write::Delete { collection: "a".into(), id: "m1".into(), if_seq: Some(seq) };
    write(&store, vec![gone]).unwrap();
    assert!(read(&store, "h1").is_err());
    assert!(read(&store, "m1").is_err());
}

#[test]
fn who_named_the_one_that_goes_names_the_one_that_stays() {
    let store = store();
    for one in ["h h1 n=1", "m m1 mail=a", "mb c1 p=m1 t=1", "hb d1 p=h1 t=1"] {
        step(&store, one);
    }
    step(&store, "h h1 n=1 mail=a");
    let child = |id: &str| store.read(|reader| Ok(record::find(reader, 2, id)?.unwrap().data.unwrap())).unwrap();
    assert_eq!(child("c1"), r#"{"p":"h1","t":"1"}"#);
    assert_eq!(child("d1"), r#"{"p":"h1","t":"1"}"#);
    // At the remote it has been that one all along.
    assert_eq!(step(&store, "plan mb"), "");
    // What is written with the other id is meant so.
    let put = |id: &str| Write::Put {
        collection: "b".into(),
        id: Some(id.into()),
        data: r#"{"p":["m1","h1"]}"#.into(),
        if_seq: None,
        overwrite: true,
        merge: false,
    };
    write(&store, vec![put("e1")]).unwrap();
    assert_eq!(child("e1"), r#"{"p":["h1"]}"#);
    assert_eq!(number(&store, "SELECT count(*) FROM m_link WHERE base <> 0 AND replica = 5"), 0, "nothing of it is to be sent");
    // A delete of it takes all of them along.
    write(&store, vec![delete("h1")]).unwrap();
    assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), 0);
}

/// The answer to a create is the id of another record.
#[test]
fn what_the_remote_calls_by_one_id_is_one_where_it_looks_so() {
    #[track_caller]
    fn check(older: &str, made: &str, expect: &str) {
        let store = store();
        step(&store, &format!("h h1 {older}"));
        step(&store, &format!("app x {made}"));
        step(&store, "plan h");
        let link = number(&store, "SELECT link FROM m_link WHERE remote_id IS NULL AND replica = 1");
        let answer = Answer::Taken(Some(row("h1", made)));
        let settled = store
            .write_blocking(Class::Background, NOW, move |tx| settle(tx, &ground("h", &Policy::default()), &[(link, answer)]));
        let settled = settled.unwrap();
        assert_eq!((settled.rejected, settled.look.len()), if expect.contains("is") { (0, 1) } else { (1, 0) });
        assert_eq!(now(&store), expect, "{older} {made}");
    }
    check("mail=a n=1", "mail=a q=2", "h1 h:h1; x is h1");
    check("n=1", "n=1", "h1 h:h1; x is h1");
    // Some give the id of what was deleted to what is made next.
    check("n=1", "n=2", "h1 h:h1; x");
    check("mail=a n=1", "mail=b n=1", "h1 h:h1; x");
}

/// What was thrown away keeps no alias, and an alias is kept as long as what it means.
#[test]
fn an_alias_lives_as_long_as_its_record() {
    let store = check(&["h h1 n=1", "m m1 mail=a", "h h1 n=1 mail=a"], "h1 h:h1 m:m1; m1 is h1");
    let late = NOW.plus(std::time::Duration::from_secs(400 * 86_400));
    let purge = || store.write_blocking(Class::Background, late, crate::store::purge).unwrap();
    purge();
    assert_eq!(read(&store, "m1").unwrap().id, "h1");
    // Nobody has it any more, and all of them know.
    write(&store, vec![delete("h1")]).unwrap();
    sql(&store, "UPDATE m_link SET base = 2, agreed = NULL").unwrap();
    purge();
    assert_eq!(number(&store, "SELECT count(*) FROM m_alias"), 0);
    purge();
    assert_eq!(number(&store, "SELECT count(*) FROM m_record"), 0);
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    for (bug, test) in [
        ("twins stay two", what_proves_to_be_one_becomes_one as fn()),
        ("the younger one stays", what_proves_to_be_one_becomes_one),
        ("two of one remote are one", what_is_two_stays_two),
    ] {
        planted::set_here(Some(bug));
        let found = std::panic::catch_unwind(test).is_err();
        planted::set_here(None);
        assert!(found, "nothing sees {bug:?}");
    }
}
