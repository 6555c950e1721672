//! Owns: copies that are made known, told of and forgotten: what is lost with one is the copy, and nothing else. Must never know: the wire.

use std::time::Duration;

use mingle_core::{
    ask::{CopyRow, Keep, Refusal, Register, Reset, Scope, Which},
    policy::{Merge, Policy},
    replay::Would,
    session::{Ended, Mode},
};

use super::{
    super::{keepers, known, leave, open_of, register, reset, resets_under},
    edges::{Talk, purge_at},
    write_in,
};
use crate::store::{
    Class, CollectionDefinition, Store, conflicts_under, define, fsck, limits, purge, resolve_conflict, testing::*,
};

fn asks(app: &str, collections: Option<&[&str]>, scope: Scope) -> Reset {
    let collections = collections.map(|named| named.iter().map(|name| (*name).to_owned()).collect());
    Reset { app: app.into(), collections, own: false, scope }
}

fn forgets(store: &Store, app: &str, collections: Option<&[&str]>, scope: Scope) -> Result<Vec<String>, Refusal> {
    let asked = asks(app, collections, scope);
    // Who may not do it is told so before anything else is done for it.
    let under = store.read(|reader| resets_under(reader, &asked));
    let forgotten = write_in(store, move |tx| reset(tx, &asked)).map_err(Refusal::from);
    match (under.map_err(Refusal::from), &forgotten) {
        (Err(before), Err(then)) => assert_eq!(before, *then),
        (Ok(under), Err(then)) => assert!(under && matches!(then, Refusal::WrongState(..)), "{then:?}"),
        (under, Ok(_)) => assert_eq!(under, Ok(false)),
    }
    forgotten
}

fn registers(store: &Store, app: &'static str, collections: &[&str]) -> Result<Vec<CopyRow>, Refusal> {
    let collections = collections.iter().map(|name| (*name).to_owned()).collect();
    let asked = Register { collections, ..Register::default() };
    write_in(store, move |tx| register(tx, app, &asked)).map_err(Refusal::from)
}

fn is_sound(store: &Store) {
    let found = store.read(|reader| fsck::check(reader)).expect("looked");
    assert!(found.findings.is_empty(), "{found:?}");
}

/// `collection next last`, for each copy; and the open session.
fn told(store: &Store, app: &str) -> String {
    let (copies, session) = store.read(|reader| Ok((known(reader, app)?, open_of(reader, app)?))).expect("read");
    let one = |copy: CopyRow| {
        let last = copy.last.map_or("never".into(), |last| {
            let mode = last.mode.map_or("?", Mode::name);
            format!("{mode}-{}", last.ended.map_or("open", Ended::name))
        });
        format!("{} {} {last}", copy.collection, copy.next.name())
    };
    let mut words: Vec<String> = copies.into_iter().map(one).collect();
    words.extend(session.map(|(state, _)| state.name().to_owned()));
    words.join(", ")
}

/// A store whose records are the same where `k` is, and whose clashes wait for a person.
fn decided_by_hand() -> Store {
    let store = memory();
    let policy = Policy { default: Merge::Manual, identity: vec![vec!["k".into()]], ..Policy::default() };
    let a = CollectionDefinition { name: "a".into(), policy, ..CollectionDefinition::default() };
    store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &[a, definition("b")])).expect("defined");
    store
}

/// What `newest` would have made of each conflict.
fn under_newest(store: &Store) -> Vec<Option<Would<String>>> {
    let which = Which { scope: Scope::All, sync: None, all: true, limit: 100, cursor: None };
    let page = store.read(|reader| conflicts_under(reader, &which, Merge::Newest, || Duration::ZERO)).expect("a page");
    page.rows.into_iter().map(|(_, would)| would).collect()
}

/// More records than one purge takes the links of, another app's copy, a remote's links, an edit that no remote has, and a value that is only
/// in a conflict.
#[test]
pub(super) fn what_is_forgotten_is_the_copy_and_nothing_else() {
    let store = decided_by_hand();
    let many = 2 * limits::LINKS_FORGOTTEN_AT_ONCE + 1;
    for n in 0..many {
        write(&store, vec![put(&format!("r{n}"), &format!("{{\"k\":{n},\"t\":1}}"))]).expect("written");
    }
    sql(
        &store,
        "INSERT INTO m_replica (replica, remote, identity) VALUES (7, 'far', 'far a');
         INSERT INTO m_link (replica, record, remote_id, base, agreed, confirmed, born, seen, missing)
           SELECT 7, record, id, 1, '{\"k\":0,\"t\":0}', first, 0, 0, 0 FROM m_record",
    )
    .expect("a remote that lacks every edit");
    let (mut one, mut other) = (Talk::of(&store, "one"), Talk::of(&store, "other"));
    assert_eq!((one.catches_up().1.len(), other.catches_up().1.len()), (many, many));
    // Both changed one property: the app's value waits for a person.
    write(&store, vec![patch("r0", r#"{"t":2}"#)]).expect("written");
    one.begins(None).expect("begun");
    one.puts("r0", r#"{"k":0,"t":3}"#);
    assert_eq!(one.mingles().conflicts, 1);
    one.finishes();
    let unsent = "SELECT count(*) FROM m_link WHERE replica = 7 AND base = 1";
    let links = |store: &Store| number(store, "SELECT count(*) FROM m_link WHERE replica < 0");
    let (truth, sends, newest) = (feed(&store, &since(0)).changes, number(&store, unsent), under_newest(&store));
    assert_eq!((told(&store, "one").as_str(), newest.len()), ("a fast fast-finished", 1));

    assert_eq!(forgets(&store, "one", None, Scope::All).expect("forgotten"), ["a"]);
    // Its links go little by little, and are nobody's meanwhile.
    let mut left = links(&store);
    is_sound(&store);
    for more in [true, true, false] {
        assert_eq!(store.write_blocking(Class::Background, NOW, purge).expect("purged"), more);
        let gone = left - links(&store);
        assert!((1..=i64::try_from(limits::LINKS_FORGOTTEN_AT_ONCE).expect("few")).contains(&gone), "{gone}");
        left -= gone;
        is_sound(&store);
    }
    assert_eq!(left, i64::try_from(many).expect("few"), "the other's stay");
    assert_eq!((told(&store, "one"), told(&store, "other").as_str()), (String::new(), "a fast slow-finished"));
    assert_eq!(feed(&store, &since(0)).changes, truth, "the truth is what it was");
    assert_eq!(number(&store, unsent), sends, "and so is what a remote has yet to get");
    assert_eq!(under_newest(&store), newest, "it was a copy's conflict, and is one");
    // The other app goes on from where it was.
    let (mode, lacks) = other.catches_up();
    assert_eq!((mode, lacks.len()), (Mode::Fast, 1));
    // Who comes again has never been here: its anchor is none, nothing is deleted, and its records are found by their identity.
    assert_eq!(one.begins(None).expect("begun"), Mode::Slow);
    one.puts("mine", r#"{"k":1,"t":1}"#);
    let met = one.mingles();
    assert_eq!((met.changed, met.deleted, one.takes_all().len()), (0, 0, many - 1));
    assert_eq!(feed(&store, &since(0)).changes, truth);
    // What it had edited last is still there to be chosen.
    let open = "SELECT id FROM m_conflict WHERE open = 1 AND theirs = '3'";
    let conflict: String = store.read(|reader| Ok(reader.query_row(open, (), |row| row.get(0))?)).expect("it waits");
    write_in(&store, move |tx| resolve_conflict(tx, &writer(None), &conflict, None, &Keep::Theirs)).expect("resolved");
    assert_eq!(data(&store, "r0"), r#"{"k":0,"t":3}"#);
    is_sound(&store);
}

/// One app's copy is forgotten three times, and each time a value of one property waits.
#[test]
fn what_waits_of_copies_that_were_forgotten_can_be_chosen() {
    let store = decided_by_hand();
    write(&store, vec![put("x", r#"{"k":1,"t":1}"#)]).expect("written");
    for value in [3, 5, 7] {
        let mut one = Talk::of(&store, "one");
        one.catches_up();
        write(&store, vec![patch("x", &format!("{{\"t\":{}}}", value - 1))]).expect("written");
        one.begins(None).expect("begun");
        one.puts("x", &format!("{{\"k\":1,\"t\":{value}}}"));
        assert_eq!(one.mingles().conflicts, 1);
        one.finishes();
        forgets(&store, "one", None, Scope::All).expect("forgotten");
        // The last is decided before its link is gone, the others after.
        if value < 7 {
            purge_at(&store, NOW);
        }
    }
    is_sound(&store);
    for value in [3, 5, 7] {
        let open = format!("SELECT id FROM m_conflict WHERE open = 1 AND theirs = '{value}'");
        let conflict: String = store.read(|reader| Ok(reader.query_row(&open, (), |row| row.get(0))?)).expect("it waits");
        write_in(&store, move |tx| resolve_conflict(tx, &writer(None), &conflict, None, &Keep::Theirs)).expect("resolved");
        assert_eq!(data(&store, "x"), format!("{{\"k\":1,\"t\":{value}}}"));
    }
    purge_at(&store, NOW);
    is_sound(&store);
}

/// What it pushed has met nothing yet.
#[test]
pub(super) fn a_copy_is_not_forgotten_under_a_session() {
    let store = memory();
    let mut one = Talk::of(&store, "one");
    one.begins(None).expect("begun");
    one.puts("x", "{}");
    let refused = forgets(&store, "one", None, Scope::All);
    assert!(matches!(refused, Err(Refusal::WrongState(..))), "{refused:?}");
    assert_eq!(told(&store, "one"), "a slow slow-open, pushing");
    // Who may not have it forgotten does not hear of the session.
    let refused = forgets(&store, "one", None, Scope::Only(vec!["b".into()]));
    assert!(matches!(refused, Err(Refusal::NotFound(..))), "{refused:?}");
    // It is of no other collection.
    registers(&store, "one", &["b"]).expect("registered");
    assert!(forgets(&store, "one", None, Scope::All).is_err());
    assert_eq!(forgets(&store, "one", Some(&["b"]), Scope::All), Ok(vec!["b".into()]));
    one.enters().expect("entered");
    assert!(forgets(&store, "one", Some(&["a"]), Scope::All).is_err(), "it mingles");
    one.slices(false);
    one.takes_all();
    assert_eq!(forgets(&store, "one", Some(&["a"]), Scope::All), Ok(vec!["a".into()]));
    assert_eq!(data(&store, "x"), "{}");
    is_sound(&store);
}

#[test]
fn an_app_is_known_before_its_first_session() {
    let store = memory();
    let rows = registers(&store, "one", &["b", "a"]).expect("registered");
    assert_eq!(
        rows.iter().map(|row| (&*row.collection, row.since, row.last)).collect::<Vec<_>>(),
        [("a", Some(NOW), None), ("b", Some(NOW), None)]
    );
    assert_eq!(registers(&store, "one", &["a"]).expect("again"), rows[..1], "twice is as good as once, and takes nothing back");
    assert_eq!(told(&store, "one"), "a slow never, b slow never");
    for (named, fits) in
        [(&["nowhere"][..], "NotFound"), (&["a", "a"], "Invalid"), (&[], "Invalid"), (&["a", "nowhere"], "NotFound")]
    {
        let refused = registers(&store, "two", named);
        assert!(refused.as_ref().is_err_and(|why| format!("{why:?}").starts_with(fits)), "{named:?}: {refused:?}");
    }
    assert_eq!(told(&store, "two"), "", "all of it or nothing");
    registers(&store, "two", &["a"]).expect("registered");
    let page = |after: &str| store.read(|reader| keepers(reader, after, 1)).expect("a page");
    assert_eq!([page(""), page("one"), page("two")], [vec!["one".to_owned()], vec!["two".to_owned()], vec![]]);
    is_sound(&store);
}

#[test]
fn how_the_last_session_of_a_copy_ended() {
    let store = memory();
    let mut one = Talk::of(&store, "one");
    let gone = || write_in(&store, |tx| leave(tx, Some(1))).expect("left");
    one.begins(None).expect("begun");
    one.ends(false).expect("cancelled");
    assert_eq!(told(&store, "one"), "a slow slow-cancelled");
    one.begins(Some(Mode::PullTruth)).expect("begun");
    assert_eq!(told(&store, "one"), "a pull_truth pull_truth-open, pushing");
    assert!(gone().is_empty());
    assert_eq!(told(&store, "one"), "a pull_truth pull_truth-left", "it stays so until one succeeds");
    one.catches_up();
    assert_eq!(told(&store, "one"), "a fast pull_truth-finished");
    // Its connection goes while it mingles: that goes on to its end.
    one.begins(None).expect("begun");
    one.puts("x", "{}");
    one.enters().expect("entered");
    assert_eq!(gone().len(), 1);
    assert_eq!(told(&store, "one"), "a fast fast-left, mingling");
    one.slices(true);
    assert_eq!((told(&store, "one").as_str(), data(&store, "x").as_str()), ("a fast fast-left", "{}"));
    // Its time is that of its beginning, and the copy's that of its first.
    one.now = NOW.plus(Duration::from_secs(5));
    one.catches_up();
    let copies = store.read(|reader| known(reader, "one")).expect("read");
    let times = copies[0].last.map(|last| last.began);
    assert_eq!((copies[0].since, times), (Some(NOW), Some(one.now)));
    // Of before that was written down.
    sql(&store, "UPDATE m_copy SET since = NULL, mode = NULL, ended = NULL").expect("as an older schema left it");
    assert_eq!(told(&store, "one"), "a fast ?-open");
    is_sound(&store);
}

#[test]
fn what_may_be_forgotten_is_asked_copy_by_copy() {
    let store = memory();
    registers(&store, "one", &["a", "b"]).expect("registered");
    let only = |name: &str| Scope::Only(vec![name.to_owned()]);
    // Of what is not there, and of what is not theirs, others hear the same.
    for (named, scope) in [(None, only("a")), (None, Scope::Only(vec![])), (Some(&["b"][..]), only("a"))] {
        let refused = |app: &str| match forgets(&store, app, named, scope.clone()) {
            Err(Refusal::NotFound(told, hint)) => format!("{told}: {hint:?}").replace(app, "APP"),
            other => panic!("{app} {named:?} {scope:?}: {other:?}"),
        };
        assert_eq!(refused("one"), refused("none-of-them"));
    }
    assert!(matches!(forgets(&store, "one", Some(&["a", "nowhere"]), Scope::All), Err(Refusal::NotFound(..))));
    assert!(matches!(forgets(&store, "nobody", None, Scope::All), Err(Refusal::NotFound(..))));
    assert_eq!(told(&store, "one"), "a slow never, b slow never", "nothing was forgotten");
    assert_eq!(forgets(&store, "one", Some(&["a"]), only("a")), Ok(vec!["a".into()]));
    assert!(forgets(&store, "one", Some(&["a"]), Scope::All).is_err(), "it is forgotten already");
    let own = Reset { own: true, ..asks("one", Some(&["a"]), Scope::All) };
    assert_eq!(write_in(&store, move |tx| reset(tx, &own)).expect("nothing to do"), Vec::<String>::new());
    // Of what has left the configuration.
    write_in(&store, |tx| define(tx, &[definition("a")])).expect("defined");
    assert_eq!(told(&store, "one"), "b slow never");
    assert_eq!(forgets(&store, "one", Some(&["b"]), Scope::All), Ok(vec!["b".into()]));
    assert_eq!(told(&store, "one"), "");
    is_sound(&store);
}

/// It comes at once, and pushes nothing: what it had belongs to nobody, so nothing of it is taken for deleted.
#[test]
pub(super) fn who_comes_before_all_of_its_copy_is_gone_deletes_nothing() {
    let store = memory();
    let many = 2 * limits::LINKS_FORGOTTEN_AT_ONCE + 1;
    for n in 0..many {
        write(&store, vec![put(&format!("r{n}"), "{}")]).expect("written");
    }
    let mut one = Talk::of(&store, "one");
    assert_eq!(one.catches_up().1.len(), many);
    registers(&store, "one", &["b"]).expect("registered");
    let truth = feed(&store, &since(0)).changes;
    assert_eq!(forgets(&store, "one", None, Scope::All), Ok(vec!["a".into(), "b".into()]));
    assert_eq!(one.begins(None).expect("begun"), Mode::Slow);
    assert_eq!(one.mingles().deleted, 0);
    assert_eq!(feed(&store, &since(0)).changes, truth);
    // The links of then go while it is there, and its own stay.
    purge_at(&store, NOW);
    assert_eq!(one.takes_all().len(), many, "it is shown each of them");
    let records = i64::try_from(many).expect("few");
    assert_eq!(number(&store, "SELECT count(*) FROM m_link WHERE replica < 0 AND base = 0"), records);
    assert_eq!(number(&store, "SELECT count(*) FROM m_link WHERE replica < 0"), records);
    is_sound(&store);
}

/// The number of a place is given again, and not before nothing points at it.
#[test]
fn the_place_of_a_copy_that_was_forgotten_is_given_again() {
    let store = memory();
    write(&store, vec![put("x", "{}")]).expect("written");
    let places = || number(&store, "SELECT count(*) FROM m_replica");
    let mut one = Talk::of(&store, "one");
    for (purged, expect) in [(false, 2), (false, 3), (true, 3), (true, 3)] {
        one.catches_up();
        forgets(&store, "one", None, Scope::All).expect("forgotten");
        if purged {
            purge_at(&store, NOW);
        }
        registers(&store, "one", &["a"]).expect("registered");
        assert_eq!((places(), told(&store, "one").as_str()), (expect, "a slow never"), "{purged}");
        is_sound(&store);
    }
}
