//! Owns: sessions over generated days of two apps, a direct writer, cancels and lost connections: all end with the same, and no edit is
//! lost in silence. Must never know: the wire.

use std::collections::BTreeMap;

use mingle_core::{
    ask::{Begin, Push, Refusal, Speaker, Take, Took},
    session::Mode,
};

use super::{Counted, End, Sliced, begin, commit, end, enter, leave, note, prepare, pull, push, slice, take, unsaid};
use crate::store::{Class, Store, StoreError, Tx, define, fsck, testing::*};

mod aliases;
mod copies;
mod edges;
mod filters;

/// A small generator: the seed is in the failure.
struct Chance(u64);

impl Chance {
    fn below(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// An app with its copy: text by id.
#[derive(Default)]
struct Keeper {
    name: &'static str,
    connection: u64,
    copy: BTreeMap<String, String>,
    /// The least `a` of what is to be in its copy.
    least: Option<u64>,
    /// What it has changed since its last session that mingled.
    changed: BTreeMap<String, Option<String>>,
    anchor: Option<String>,
}

fn write_in<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    store.write_blocking(Class::Interactive, NOW, work)
}

/// Counts what the silence of a session would delete, as the house does; in how many reads.
fn counts(store: &Store, who: &Speaker, session: &str) -> Result<usize, Refusal> {
    let (mut from, mut reads) = (Some(Counted::default()), 0);
    while let Some(counted) = from {
        from = store.read(|reader| unsaid(reader, who, session, counted.clone())).map_err(Refusal::from)?;
        reads += 1;
    }
    Ok(reads)
}

/// Lets what was pushed mingle, without a word on deletes.
fn enters(store: &Store, who: &Speaker, session: &str) -> Result<(), Refusal> {
    for counted in [false, true] {
        let (speaker, name) = (who.clone(), session.to_owned());
        if write_in(store, move |tx| enter(tx, &speaker, &name, counted)).map_err(Refusal::from)? {
            return Ok(());
        }
        counts(store, who, session)?;
    }
    panic!("what is counted is not counted again")
}

fn through(store: &Store, session: &str) {
    loop {
        let one = session.to_owned();
        let mut rows = 0;
        let sliced = write_in(store, move |tx| {
            slice(tx, &one, true, || {
                rows += 1;
                rows >= 2
            })
        });
        if sliced.expect("mingled") != Sliced::More {
            return;
        }
    }
}

impl Keeper {
    fn who(&self) -> Speaker {
        Speaker { app: self.name.into(), connection: self.connection }
    }

    fn edit(&mut self, id: &str, data: Option<String>) {
        match &data {
            Some(data) => self.copy.insert(id.into(), data.clone()),
            None => self.copy.remove(id),
        };
        self.changed.insert(id.into(), data);
    }

    /// One session, which may end anywhere.
    fn session(&mut self, store: &Store, chance: &mut Chance, whole: bool) {
        self.connection += 1;
        let (who, anchor) = (self.who(), self.anchor.clone());
        let asked = Begin { collections: vec!["a".into()], mode: None, anchor, invites: None };
        let begun = write_in(store, move |tx| begin(tx, &who, &asked)).expect("begun");
        let session = begun.session;
        let stops = |chance: &mut Chance| !whole && chance.below(8) == 0;
        let one = |(id, data): (&String, Option<&String>)| match data {
            Some(data) => Push::Put { collection: "a".into(), id: id.clone(), data: data.clone() },
            None => Push::Delete { collection: "a".into(), id: id.clone() },
        };
        let pushes: Vec<Push> = match begun.mode {
            Mode::Fast => self.changed.iter().map(|(id, data)| one((id, data.as_ref()))).collect(),
            _ => self.copy.iter().map(|(id, data)| one((id, Some(data)))).collect(),
        };
        for push_one in pushes {
            let (who, name, ready) = (self.who(), session.clone(), prepare(vec![push_one.clone()]).expect("good"));
            let pushed = write_in(store, move |tx| push(tx, &who, &name, &ready));
            // It deleted what it had made and never pushed.
            assert!(pushed.is_ok() || matches!(push_one, Push::Delete { .. }), "{push_one:?}: {pushed:?}");
        }
        if stops(chance) {
            return self.gone(store);
        }
        let (who, name) = (self.who(), session.clone());
        write_in(store, move |tx| enter(tx, &who, &name, true)).expect("entered");
        if stops(chance) {
            // What was pushed is durable; the app does not know, and pushes it again.
            return self.gone(store);
        }
        through(store, &session);
        self.changed.clear();
        let who = self.who();
        let mut cursor = None;
        loop {
            let (page, first_time) = store.read(|reader| pull(reader, &who, &session, cursor.as_deref(), 2)).expect("pulled");
            let page = write_in(store, move |tx| note(tx, page, &first_time)).expect("noted");
            for record in page.records {
                let before = self.copy.get(&record.id).cloned();
                match &record.data {
                    Some(data) => self.copy.insert(record.id.clone(), data.clone()),
                    None => self.copy.remove(&record.id),
                };
                if stops(chance) {
                    // It could not store it, or could not say so: both happen.
                    if chance.below(2) == 0 {
                        match before {
                            Some(before) => self.copy.insert(record.id, before),
                            None => self.copy.remove(&record.id),
                        };
                    }
                    return self.gone(store);
                }
                let takes = vec![Take {
                    collection: record.collection,
                    id: record.id,
                    seq: record.seq,
                    how: Took::Accepted { form: None, id: None },
                }];
                let (who, name) = (self.who(), session.clone());
                write_in(store, move |tx| take(tx, &who, &name, &takes)).expect("taken");
                if chance.below(3) == 0 {
                    let (who, name) = (self.who(), session.clone());
                    self.anchor = write_in(store, move |tx| commit(tx, &who, &name)).expect("committed").anchor;
                }
            }
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        let (who, name) = (self.who(), session);
        self.anchor = match write_in(store, move |tx| end(tx, &who, &name, true, false)).expect("ended") {
            End::Over(closed) => closed.anchor,
            other => panic!("not at once: {other:?}"),
        };
    }

    /// From its next session on only what has at least so much is in its copy.
    fn filters(&mut self, store: &Store, least: u64) {
        filters::says(store, self.name, Some(&format!("a>{least}"))).expect("said");
        self.least = Some(least);
    }

    /// Its connection is gone.
    fn gone(&mut self, store: &Store) {
        let connection = self.connection;
        for session in write_in(store, move |tx| leave(tx, Some(connection))).expect("left") {
            through(store, &session);
        }
    }
}

#[test]
fn whatever_breaks_off_all_end_with_the_same() {
    for seed in 0..60 {
        days(seed, false);
    }
}

/// The same, with a filter that becomes another one at any time: each app has what fits, and nothing that only left a copy is deleted.
#[test]
fn whatever_breaks_off_each_has_what_fits() {
    for seed in 0..60 {
        days(seed, true);
    }
}

fn days(seed: u64, filtered: bool) {
    let mut chance = Chance(seed);
    let store = memory();
    let mut apps = [
        Keeper { name: "one", connection: 10, ..Keeper::default() },
        Keeper { name: "two", connection: 5_000, ..Keeper::default() },
    ];
    for step in 0..40 {
        let at = usize::from(chance.below(2) == 0);
        // Whoever makes a record chooses its id, and others know it by their own.
        let known: Vec<String> = apps[at].copy.keys().cloned().collect();
        let id = match known.get(chance.below(8) as usize) {
            Some(known) => known.clone(),
            None => format!("{}-{}", apps[at].name, chance.below(4)),
        };
        let data = format!("{{\"a\":{},\"b\":{}}}", chance.below(3), step);
        if filtered && chance.below(6) == 0 {
            apps[at].filters(&store, chance.below(3));
        }
        match chance.below(6) {
            0 => _ = write(&store, vec![put(&format!("w-{}", chance.below(4)), &data)]),
            1 => _ = write(&store, vec![delete(&format!("w-{}", chance.below(4)))]),
            2 if apps[at].copy.contains_key(&id) => apps[at].edit(&id, None),
            2 | 3 => apps[at].edit(&id, Some(data)),
            _ => apps[at].session(&store, &mut chance, false),
        }
    }
    // Everything comes to rest.
    for _ in 0..3 {
        for app in &mut apps {
            app.session(&store, &mut chance, true);
        }
    }
    let mut whole: Vec<String> = feed(&store, &since(0)).changes.into_iter().filter_map(|change| change.data).collect();
    whole.sort();
    for app in &apps {
        let fits = |data: &String| app.least.is_none_or(|least| (least..3).any(|a| data.contains(&format!("\"a\":{a},"))));
        let truth: Vec<String> = whole.iter().filter(|data| fits(data)).cloned().collect();
        let mut copy: Vec<String> = app.copy.values().cloned().collect();
        copy.sort();
        assert_eq!(copy, truth, "seed {seed}: {}", app.name);
    }
    let found = store.read(|reader| fsck::check(reader)).expect("looked");
    assert!(found.findings.is_empty(), "seed {seed}: {found:?}");
    assert_eq!(number(&store, "SELECT (SELECT count(*) FROM m_push) + (SELECT count(*) FROM m_take)"), 0, "seed {seed}");
}

/// A slow session over so many records, which the app took once and has all lost now; whether it is let delete them.
fn lets_delete(records: usize, accepted: bool) -> bool {
    let store = memory();
    let mut app = Keeper { name: "one", ..Keeper::default() };
    for n in 0..records {
        write(&store, vec![put(&format!("r{n}"), "{}")]).expect("written");
    }
    app.session(&store, &mut Chance(1), true);
    assert_eq!(app.copy.len(), records);
    let who = Speaker { app: "one".into(), connection: 99 };
    let (speaker, asked) =
        (who.clone(), Begin { collections: vec!["a".into()], mode: Some(Mode::Slow), anchor: app.anchor, invites: None });
    let session = write_in(&store, move |tx| begin(tx, &speaker, &asked)).expect("begun").session;
    let name = session.clone();
    let entered = match accepted {
        true => write_in(&store, move |tx| enter(tx, &who, &name, true)).map(drop).map_err(Refusal::from),
        false => enters(&store, &who, &name),
    };
    if let Err(Refusal::Guarded(_)) = entered {
        return false;
    }
    entered.expect("entered");
    through(&store, &session);
    assert_eq!(number(&store, "SELECT count(*) FROM m_record WHERE state = 0"), 0);
    true
}

#[test]
fn many_deletes_that_nobody_said_are_asked_for() {
    assert!(lets_delete(10, false), "a few are let pass");
    assert!(!lets_delete(11, false), "many are asked for");
    assert!(lets_delete(11, true), "and pass where somebody says so");
}

#[test]
fn a_collection_that_leaves_meanwhile_takes_its_part_along() {
    let store = memory();
    let who = Speaker { app: "one".into(), connection: 1 };
    let (speaker, asked) = (who.clone(), Begin { collections: vec!["a".into(), "b".into()], ..Begin::default() });
    let session = write_in(&store, move |tx| begin(tx, &speaker, &asked)).expect("begun").session;
    let put = |collection: &str| Push::Put { collection: collection.into(), id: "x".into(), data: "{}".into() };
    let ready = prepare(vec![put("a"), put("b")]).expect("good");
    let (speaker, name) = (who.clone(), session.clone());
    write_in(&store, move |tx| push(tx, &speaker, &name, &ready)).expect("pushed");
    let name = session.clone();
    assert!(write_in(&store, move |tx| enter(tx, &who, &name, true)).expect("entered"));
    write_in(&store, |tx| define(tx, &[definition("a")])).expect("defined");
    // As a start does with what a crash has left.
    assert_eq!(write_in(&store, |tx| leave(tx, None)).expect("left"), [session.as_str()]);
    through(&store, &session);
    assert_eq!(number(&store, "SELECT count(*) FROM m_record"), 1, "what the other collection was pushed has met");
    assert_eq!(number(&store, "SELECT (SELECT count(*) FROM m_session) + (SELECT count(*) FROM m_push)"), 0);
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use mingle_core::planted;
    for (bug, test) in [
        ("shown not noted", whatever_breaks_off_all_end_with_the_same as fn()),
        ("absence without the guard", many_deletes_that_nobody_said_are_asked_for),
        ("decisions forgotten with a copy", copies::what_is_forgotten_is_the_copy_and_nothing_else),
        ("what left a filter is deleted", filters::what_left_is_not_deleted_by_its_absence),
        ("a leave that was shown is a delete", filters::what_was_told_to_leave_and_fits_again_is_not_deleted),
        ("what a filter hides is replaced", filters::a_copy_with_a_filter_replaces_what_it_was_to_have),
        ("what an older filter hid is replaced", filters::a_copy_under_a_new_filter_replaces_what_the_old_one_had),
        ("a changed filter is not looked at", filters::a_changed_filter_looks_at_every_record_anew),
        ("what an app refers to may be deleted", edges::what_is_deleted_meanwhile_is_referred_to_by_nobody),
        ("copy half forgotten", copies::who_comes_before_all_of_its_copy_is_gone_deletes_nothing),
        ("copy forgotten under a session", copies::a_copy_is_not_forgotten_under_a_session),
    ] {
        planted::set_here(Some(bug));
        let found = std::panic::catch_unwind(test).is_err();
        planted::set_here(None);
        assert!(found, "no test sees {bug:?}");
    }
}
