//! Owns: the edges of sessions: ends that cross, what is bounded, and what time does to a copy. Must never know: the wire.

use std::time::Duration;

use mingle_core::{
    ask::{Begin, Closed, LostOne, Mingled, PulledOne, Push, Refusal, Speaker, Take, Took},
    limits::SESSION_TAKES_MAX,
    policy::Policy,
    reference::{Reference, References, WhenGone},
    session::Mode,
    time::Timestamp,
};

use super::{
    super::{End, Sliced, begin, end, enter, lost, note, prepare, pull, push, slice, take},
    counts,
};
use crate::store::{Class, CollectionDefinition, Store, StoreError, Tx, define, limits, purge, testing::*};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// One app that talks to a store, at a time.
pub(super) struct Talk<'a> {
    store: &'a Store,
    app: &'static str,
    pub(super) now: Timestamp,
    session: String,
    anchor: Option<String>,
}

impl<'a> Talk<'a> {
    pub(super) fn of(store: &'a Store, app: &'static str) -> Self {
        Self { store, app, now: NOW, session: String::new(), anchor: None }
    }

    pub(super) fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>, &Speaker, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (who, session) = (self.who(), self.session.clone());
        self.store.write_blocking(Class::Interactive, self.now, move |tx| work(tx, &who, &session)).map_err(Refusal::from)
    }

    fn who(&self) -> Speaker {
        Speaker { app: self.app.into(), connection: 1 }
    }

    pub(super) fn begins(&mut self, mode: Option<Mode>) -> Result<Mode, Refusal> {
        let asked = Begin { collections: vec!["a".into()], mode, anchor: self.anchor.clone(), invites: None };
        let begun = self.ask(move |tx, who, _| begin(tx, who, &asked))?;
        self.session = begun.session;
        Ok(begun.mode)
    }

    pub(super) fn pushes(&self, pushes: Vec<Push>) -> Result<u64, Refusal> {
        let ready = prepare(pushes)?;
        self.ask(move |tx, who, session| push(tx, who, session, &ready))
    }

    pub(super) fn puts(&self, id: &str, data: &str) {
        self.pushes(vec![Push::Put { collection: "a".into(), id: id.into(), data: data.into() }]).expect("pushed");
    }

    pub(super) fn enters(&self) -> Result<(), Refusal> {
        super::enters(self.store, &self.who(), &self.session)
    }

    pub(super) fn slices(&self, ends: bool) -> Sliced {
        loop {
            let sliced = self.ask(move |tx, _, session| slice(tx, session, ends, || true)).expect("a slice");
            if sliced != Sliced::More {
                return sliced;
            }
        }
    }

    pub(super) fn mingles(&self) -> Mingled {
        self.enters().expect("entered");
        match self.slices(false) {
            Sliced::Done(mingled) => mingled,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn lacks(&self) -> Vec<PulledOne> {
        let who = self.who();
        let (page, first_time) = self.store.read(|reader| pull(reader, &who, &self.session, None, 1_000)).expect("pulled");
        self.ask(move |tx, _, _| note(tx, page, &first_time)).expect("noted").records
    }

    pub(super) fn accepts(&self, one: &PulledOne, form: Option<&str>) -> Result<u64, Refusal> {
        let how = Took::Accepted { form: form.map(Into::into), id: None };
        let takes = vec![Take { collection: one.collection.clone(), id: one.id.clone(), seq: one.seq, how }];
        self.ask(move |tx, who, session| take(tx, who, session, &takes))
    }

    pub(super) fn refuses(&self, one: &PulledOne) -> Result<u64, Refusal> {
        let takes = vec![Take { collection: one.collection.clone(), id: one.id.clone(), seq: one.seq, how: Took::Refused }];
        self.ask(move |tx, who, session| take(tx, who, session, &takes))
    }

    pub(super) fn ends(&self, finish: bool) -> Result<Option<Closed>, Refusal> {
        let ends = |counted| self.ask(move |tx, who, session| end(tx, who, session, finish, counted));
        let mut ended = ends(false)?;
        if ended == End::Counts {
            self.counts()?;
            ended = ends(true)?;
        }
        match ended {
            End::Over(closed) => Ok(Some(closed)),
            End::Meets => Ok(None),
            End::Counts => panic!("what is counted is not counted again"),
        }
    }

    /// Counts what its silence would delete; in how many reads.
    pub(super) fn counts(&self) -> Result<usize, Refusal> {
        counts(self.store, &self.who(), &self.session)
    }

    pub(super) fn finishes(&mut self) {
        self.anchor = self.ends(true).expect("ended").expect("at once").anchor;
    }

    /// Takes all that it lacks as it is shown, and ends; what that was.
    pub(super) fn takes_all(&mut self) -> Vec<PulledOne> {
        let lacks = self.lacks();
        for one in &lacks {
            self.accepts(one, None).expect("taken");
        }
        self.finishes();
        lacks
    }

    /// A session that pushes nothing; its mode and what was shown.
    pub(super) fn catches_up(&mut self) -> (Mode, Vec<PulledOne>) {
        let mode = self.begins(None).expect("begun");
        self.mingles();
        (mode, self.takes_all())
    }
}

pub(super) fn purge_at(store: &Store, now: Timestamp) {
    while store.write_blocking(Class::Background, now, purge).expect("purged") {}
}

#[test]
fn an_end_while_all_meets_is_answered_to_who_ends() {
    let store = memory();
    let mut one = Talk::of(&store, "one");
    one.begins(None).expect("begun");
    one.puts("x", "{}");
    one.enters().expect("entered");
    assert_eq!(one.ends(true), Ok(None));
    assert_eq!(one.slices(false), Sliced::Ending, "who waits for the mingling does not end it");
    let Sliced::Over(closed) = one.slices(true) else { panic!("it is over") };
    assert!(closed.anchor.is_some());
    assert_eq!((one.slices(true), one.slices(false)), (Sliced::Gone, Sliced::Gone));
    assert_eq!(data(&store, "x"), "{}");
}

/// Who ends a slow session without a word has not said that all is deleted.
#[test]
fn to_finish_at_once_deletes_no_more_than_to_mingle_does() {
    for (records, finishes) in [(10, true), (11, false)] {
        let store = memory();
        let mut one = Talk::of(&store, "one");
        for n in 0..records {
            write(&store, vec![put(&format!("r{n}"), "{}")]).expect("written");
        }
        assert_eq!(one.catches_up().1.len(), records);
        one.begins(Some(Mode::Slow)).expect("begun");
        let ended = one.ends(true);
        assert_eq!(ended.is_ok(), finishes, "{ended:?}");
        if !finishes {
            assert!(matches!(ended, Err(Refusal::Guarded(_))), "{ended:?}");
            assert_eq!(one.ends(false).expect("cancelled"), Some(Closed::default()));
            assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), 11);
        }
    }
}

#[test]
fn what_waits_for_a_commit_is_bounded() {
    let store = memory();
    write(&store, vec![put("x", "{}")]).expect("written");
    let mut one = Talk::of(&store, "one");
    one.begins(None).expect("begun");
    one.mingles();
    let lacks = one.lacks();
    let others = format!(
        "WITH RECURSIVE n(n) AS (SELECT 1000 UNION ALL SELECT n + 1 FROM n WHERE n < {}) INSERT INTO m_take (session, replica, link, what, seq)
         SELECT 1, -1, n, 'refuse', 1 FROM n",
        999 + SESSION_TAKES_MAX
    );
    sql(&store, others.leak()).expect("as if it had taken so many");
    assert!(matches!(one.accepts(&lacks[0], None), Err(Refusal::TooLarge(_))));
    one.finishes();
    assert_eq!(one.catches_up().1.len(), 1, "it is shown again");
}

/// After so long a time only what the copy itself holds is known of what it was.
#[test]
fn a_form_of_its_own_is_one_also_when_the_ledger_is_purged() {
    let store = memory();
    write(&store, vec![put("n", r#"{"phone":"0123","x":1}"#)]).expect("written");
    let mut one = Talk::of(&store, "one");
    one.begins(None).expect("begun");
    one.mingles();
    for lack in one.lacks() {
        one.accepts(&lack, Some(r#"{"phone":"01 23","x":1}"#)).expect("taken");
    }
    one.finishes();
    // Others write, and the ledger of all else goes.
    for x in 2..5 {
        write(&store, vec![patch("n", &format!("{{\"x\":{x}}}")), put("other", &format!("{{\"x\":{x}}}"))]).expect("written");
    }
    one.now = NOW.plus(limits::LEDGER_KEPT + DAY);
    purge_at(&store, one.now);
    assert!(number(&store, "SELECT ledger_horizon FROM m_collection WHERE name = 'a'") > 1);
    for (mode, phone) in [(None, "99"), (Some(Mode::Slow), "77")] {
        one.begins(mode).expect("begun");
        one.puts("n", &format!("{{\"phone\":\"{phone}\",\"x\":1}}"));
        let met = one.mingles();
        assert_eq!((met.changed, met.conflicts), (1, 0), "its edit is one of what it was shown: {mode:?}");
        assert_eq!(data(&store, "n"), format!("{{\"phone\":\"{phone}\",\"x\":4}}"));
        for lack in one.lacks().into_iter().filter(|lack| lack.id == "n") {
            one.accepts(&lack, Some(&format!("{{\"phone\":\"{phone} \",\"x\":1}}"))).expect("taken");
        }
        one.finishes();
    }
}

/// An app is away; what was deleted meanwhile is deleted there too, for as long as that is remembered for it.
#[test]
fn an_app_that_was_away_hears_of_an_end_for_half_a_year() {
    let over = limits::TOMBSTONE_KEPT_FOR_COPIES + DAY;
    for (away, mode, shown) in [(limits::LEDGER_KEPT + DAY, Mode::Fast, 1), (over, Mode::Slow, 0)] {
        let store = memory();
        write(&store, vec![put("x", "{}"), put("y", "{}")]).expect("written");
        let mut one = Talk::of(&store, "one");
        assert_eq!(one.catches_up().1.len(), 2);
        write(&store, vec![delete("x")]).expect("deleted");
        one.now = NOW.plus(away);
        purge_at(&store, one.now);
        let began = one.begins(None).expect("begun");
        one.puts("y", "{}");
        one.mingles();
        assert_eq!((began, one.takes_all().len()), (mode, shown), "after {away:?}");
        purge_at(&store, one.now);
        assert_eq!(number(&store, "SELECT count(*) FROM m_record"), 1, "whoever heard of it is not waited for");
    }
}

#[test]
fn the_copies_of_a_collection_are_bounded() {
    let store = memory();
    let name = |n: i64| -> &'static str { format!("app{n}").leak() };
    for n in 0..limits::COPIES_MAX {
        let mut one = Talk::of(&store, name(n));
        one.now = NOW.plus(Duration::from_secs(u64::from(n == 0)));
        one.begins(None).expect("begun");
        one.ends(false).expect("cancelled");
    }
    let mut more = Talk::of(&store, "more");
    more.now = NOW.plus(limits::TOMBSTONE_KEPT_FOR_COPIES);
    assert!(matches!(more.begins(None), Err(Refusal::TooLarge(_))));
    more.now = more.now.plus(Duration::from_millis(1));
    more.begins(None).expect("in the place of one that was away for longest");
    assert_eq!(number(&store, "SELECT count(*) FROM m_copy"), limits::COPIES_MAX);
    assert_eq!(number(&store, "SELECT count(*) FROM m_copy WHERE app = 'app0'"), 1);
    assert_eq!(number(&store, "SELECT count(*) FROM m_replica"), limits::COPIES_MAX);
}

/// It was shown a record, died before it could take it, and its user deleted it there.
#[test]
fn the_end_of_what_was_only_shown_is_no_end_of_the_record() {
    let store = memory();
    write(&store, vec![put("x", "{}")]).expect("written");
    let mut one = Talk::of(&store, "one");
    one.begins(None).expect("begun");
    one.mingles();
    assert_eq!(one.lacks().len(), 1);
    one.finishes();
    one.begins(None).expect("begun");
    let gone = || Push::Delete { collection: "a".into(), id: "x".into() };
    one.pushes(vec![gone()]).expect("it may have had it");
    assert!(matches!(one.pushes(vec![gone()]), Err(Refusal::NotFound(..))), "twice it cannot end");
    assert_eq!(one.mingles().changed, 0);
    assert_eq!(one.takes_all().len(), 1);
    // What it took it can delete.
    one.begins(None).expect("begun");
    one.pushes(vec![gone()]).expect("it has it");
    assert_eq!(one.mingles().deleted, 1);
}

/// It gave a record up, or refused it, and has another one of that id now: that is no form of what it was shown.
#[test]
fn what_was_given_up_and_comes_back_is_the_apps_own() {
    let store = memory();
    write(&store, vec![put("x", r#"{"a":1}"#)]).expect("written");
    let mut one = Talk::of(&store, "one");
    assert_eq!(one.catches_up().1.len(), 1);
    one.begins(None).expect("begun");
    let gave_up = LostOne { collection: "a".into(), id: "x".into(), again: false };
    one.ask(move |tx, who, session| lost(tx, who, session, &gave_up)).expect("said");
    one.mingles();
    assert_eq!(one.takes_all(), []);
    one.begins(None).expect("begun");
    one.puts("x", r#"{"a":2}"#);
    assert_eq!(one.mingles().conflicts, 1);
    let lacks = one.takes_all();
    assert_eq!(
        lacks.iter().map(|one| one.data.as_deref()).collect::<Vec<_>>(),
        [Some(r#"{"a":1}"#)],
        "the truth stands, and is shown"
    );
}

/// Nor what it was never shown: its copy is all that there is to be, but for that.
#[test]
fn what_others_refer_to_outlives_a_copy_that_never_had_it() {
    let store = memory();
    let reference = Reference { collection: "a".into(), on_delete: WhenGone::Refuse, numbers: false };
    let policy = Policy { references: References::from([("above".into(), reference)]), ..Policy::default() };
    let definitions = [CollectionDefinition { name: "a".into(), policy, ..CollectionDefinition::default() }];
    store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &definitions)).unwrap();
    let mut talk = Talk::of(&store, "keeper");
    talk.catches_up();
    write(&store, vec![put("x", r#"{"n":1}"#), put("y", r#"{"above":"x"}"#)]).unwrap();
    talk.begins(Some(Mode::PushTruth)).expect("begun");
    talk.puts("z", r#"{"above":"x"}"#);
    talk.ask(|tx, who, session| enter(tx, who, session, true)).expect("entered");
    talk.slices(false);
    assert_eq!(talk.takes_all().into_iter().map(|one| one.id).collect::<Vec<_>>(), ["x"]);
    assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), 2);
}

/// A record whose delete is refused as long as others refer to it stays, and is shown again to the app that has it no more.
#[test]
fn what_others_refer_to_is_not_deleted_by_an_app_with_a_copy() {
    for mode in [Mode::Fast, Mode::Slow, Mode::PushTruth] {
        let store = memory();
        let reference = Reference { collection: "a".into(), on_delete: WhenGone::Refuse, numbers: false };
        let policy = Policy { references: References::from([("above".into(), reference)]), ..Policy::default() };
        let definitions = [CollectionDefinition { name: "a".into(), policy, ..CollectionDefinition::default() }];
        store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &definitions)).unwrap();
        write(&store, vec![put("x", r#"{"n":1}"#), put("y", r#"{"above":"x"}"#)]).unwrap();
        let mut talk = Talk::of(&store, "keeper");
        assert_eq!(talk.catches_up().1.len(), 2);
        talk.begins(Some(mode)).expect("begun");
        match mode {
            Mode::Fast => {
                talk.pushes(vec![Push::Delete { collection: "a".into(), id: "x".into() }]).expect("pushed");
            }
            _ => talk.puts("y", r#"{"above":"x"}"#),
        }
        talk.ask(|tx, who, session| enter(tx, who, session, true)).expect("entered");
        talk.slices(false);
        let shown: Vec<String> = talk.takes_all().into_iter().map(|one| one.id).collect();
        assert_eq!(shown, ["x"], "{mode:?}");
        assert_eq!(data(&store, "x"), r#"{"n":1}"#, "{mode:?}");
        assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state <> 0"), 0);
        // What nobody refers to any more goes.
        write(&store, vec![delete("y")]).unwrap();
        talk.catches_up();
        talk.begins(Some(Mode::Fast)).expect("begun");
        talk.pushes(vec![Push::Delete { collection: "a".into(), id: "x".into() }]).expect("pushed");
        talk.mingles();
        talk.takes_all();
        assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), 0);
    }
}

/// An app that does not know of a delete yet may refer to what is deleted. Its record comes without that reference, for it would wait for
/// that parent at every remote, and the app is shown so.
#[test]
pub(super) fn what_is_deleted_meanwhile_is_referred_to_by_nobody() {
    for (mode, id) in [(Mode::Fast, "y"), (Mode::Slow, "y"), (Mode::Fast, "z"), (Mode::Slow, "z")] {
        let store = memory();
        let reference = Reference { collection: "a".into(), on_delete: WhenGone::Nullify, numbers: false };
        let policy = Policy { references: References::from([("above".into(), reference)]), ..Policy::default() };
        let definitions = [CollectionDefinition { name: "a".into(), policy, ..CollectionDefinition::default() }];
        store.write_blocking(Class::Interactive, NOW, move |tx| define(tx, &definitions)).unwrap();
        write(&store, vec![put("x", r#"{"n":1}"#), put("y", r#"{"n":2}"#)]).unwrap();
        let mut talk = Talk::of(&store, "keeper");
        assert_eq!(talk.catches_up().1.len(), 2);
        write(&store, vec![delete("x")]).unwrap();
        talk.begins(Some(mode)).expect("begun");
        if mode == Mode::Slow {
            talk.puts("x", r#"{"n":1}"#);
            talk.puts("y", r#"{"n":2}"#);
        }
        talk.puts(id, r#"{"n":3,"above":"x"}"#);
        talk.mingles();
        assert_eq!(data(&store, id), r#"{"n":3}"#, "{mode:?}");
        let shown: Vec<(String, Option<String>)> = talk.takes_all().into_iter().map(|one| (one.id, one.data)).collect();
        assert!(shown.contains(&("x".into(), None)), "{mode:?} {id}: {shown:?}");
        assert!(shown.contains(&(id.into(), Some(r#"{"n":3}"#.into()))), "{mode:?} {id}: {shown:?}");
        assert_eq!(talk.catches_up().1, [], "{mode:?} {id}: it has it so now");
        // Of that parent nothing is said any more.
        assert_eq!(data(&store, id), r#"{"n":3}"#, "{mode:?}");
    }
}

/// What an app pushed itself is what its copy has, also where the session ended without a pull, and the record has more than it has.
#[test]
fn an_app_does_not_clash_with_itself() {
    let store = memory();
    let mut one = Talk::of(&store, "one");
    for (pushed, expect) in [
        (r#"{"c":"4"}"#, r#"{"c":"4","srv":"here"}"#),
        (r#"{"a":"5","c":"4"}"#, r#"{"a":"5","c":"4","srv":"here"}"#),
        (r#"{"a":"6","c":"4"}"#, r#"{"a":"6","c":"4","srv":"here"}"#),
        (r#"{"c":"4"}"#, r#"{"c":"4","srv":"here"}"#),
        (r#"{"a":"7","c":"5"}"#, r#"{"a":"7","c":"5","srv":"here"}"#),
    ] {
        one.begins(None).expect("begun");
        one.puts("x", pushed);
        one.mingles();
        one.finishes();
        write(&store, vec![patch("x", r#"{"srv":"here"}"#)]).expect("written");
        assert_eq!(data(&store, "x"), expect);
    }
    assert_eq!(number(&store, "SELECT count(*) FROM m_conflict"), 0);
}

#[cfg(feature = "planted")]
#[test]
fn a_planted_bug_of_clashes_is_found() {
    mingle_core::planted::set_here(Some("an app clashes with itself"));
    let found = std::panic::catch_unwind(an_app_does_not_clash_with_itself).is_err();
    mingle_core::planted::set_here(None);
    assert!(found, "nothing sees that an app clashes with itself");
}
