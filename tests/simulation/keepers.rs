//! Owns: apps that keep their own copy: what they do to it, and their sessions with the truth, one call after the other, any of which may
//! be the last. Must never know: services, runs, how anything is merged.
//!
//! An app edits its copy between its sessions. It dies at any call: what it had stored by then it keeps, and what it was not answered it
//! does not know.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::{
    ask::{Begin, Invites, Pulled, PulledOne, Push, Refusal, Speaker, Take, Took},
    record::{Props, Value},
    session::Mode,
};
use mingled::{
    json,
    store::{
        StoreError, Tx,
        sync::session::{self, End, Sliced},
    },
};

use crate::{
    chance::Chance,
    family::PARENT,
    oracle::{Terms, Who},
    people::People,
    trace,
    words::{self, PROPERTIES},
    world::{COLLECTION, World},
};

/// A page of so many: pages have borders in every session.
const PAGE: usize = 2;
/// At most so many records of its own.
const RECORDS_MAX: usize = 6;
/// No session has more calls.
const CALLS_MAX: usize = 400;

/// The apps of a world.
pub struct Keepers(Vec<Keeper>);

/// One app.
struct Keeper {
    name: String,
    place: usize,
    /// By the ids that the records have there.
    copy: BTreeMap<String, Props>,
    /// What it has edited or deleted since its last session that mingled, as far as it knows.
    changed: BTreeSet<String>,
    anchor: Option<String>,
    session: Option<Session>,
    /// Its session whose connection is gone, and that mingles on.
    left: Option<String>,
    connections: u64,
}

struct Session {
    id: String,
    mode: Mode,
    at: At,
}

/// What the app does next.
enum At {
    /// Waits for whom it invited.
    Negotiating,
    Pushing(Vec<Push>),
    Mingling,
    /// The same, and it pulls nothing afterwards.
    Ending,
    /// From this page on.
    Pulling(Option<String>),
    /// It has stored these, and says so; then the next page, if there is one.
    Taking(Vec<PulledOne>, Option<String>),
    Finishing,
}

impl Keepers {
    /// As many as the setup says, with empty copies.
    pub fn new(world: &World) -> Self {
        let one = |place| Keeper {
            name: format!("keeper{place}"),
            place,
            copy: BTreeMap::new(),
            changed: BTreeSet::new(),
            anchor: None,
            session: None,
            left: None,
            connections: 0,
        };
        Self((0..world.setup.keepers).map(one).collect())
    }

    /// One of them does something.
    pub fn acts(&mut self, world: &mut World, people: &mut People, terms: &mut Terms, chance: &mut Chance) {
        let at = chance.below(self.0.len());
        let invited = self.0.iter().position(|other| other.place != at && other.session.is_none());
        let invited = invited.map(|other| self.0[other].name.clone());
        let one = &mut self.0[at];
        if one.left.is_some() {
            one.mingles_on(world);
        } else if one.session.is_some() {
            if chance.one_in(14) {
                one.dies(world, terms);
            } else {
                one.goes_on(world, people, chance, true);
            }
        } else if chance.one_in(3) {
            let invited = invited.filter(|_| chance.one_in(2));
            one.begins(world, people, terms, invited, one.mode(chance));
        } else {
            one.edits(world, people, chance);
        }
    }

    /// The daemon fell, and every connection with it.
    pub fn fall(&mut self, world: &mut World, terms: &mut Terms) {
        let left = world.commit(|tx| session::leave(tx, None)).expect("what is left");
        for one in &mut self.0 {
            one.lost(terms);
        }
        for id in left {
            // One that is left already mingles on as it did.
            let owner = self.0.iter_mut().find(|one| one.session.as_ref().is_some_and(|session| session.id == id));
            if let Some(owner) = owner {
                owner.left = Some(id);
            }
        }
        self.0.iter_mut().for_each(|one| one.session = None);
    }

    /// Each of them says all that it has to say, and takes all that it lacks.
    pub fn sync(&mut self, world: &mut World, people: &mut People, terms: &mut Terms, chance: &mut Chance) {
        for one in &mut self.0 {
            one.ends(world, people, chance);
            // What it refused it is shown again.
            one.begins(world, people, terms, None, Some(Mode::Slow));
            one.ends(world, people, chance);
        }
    }

    /// Nobody has anything to say any more: sessions change nothing here.
    pub fn come_level(&mut self, world: &mut World, people: &mut People, terms: &mut Terms, chance: &mut Chance) {
        for _ in 0..2 {
            let before = *world.store.head().borrow();
            self.sync(world, people, terms, chance);
            let after = *world.store.head().borrow();
            if before != after {
                people.wrong.push(format!("copies: an app that has nothing to say changed the truth: seq {before} to {after}"));
            }
        }
    }

    /// What each of them has, by its name.
    pub fn copies(&self) -> Vec<(String, Vec<Props>)> {
        self.0.iter().map(|one| (one.name.clone(), one.copy.values().cloned().collect())).collect()
    }
}

/// What it does to its copy.
impl Keeper {
    fn edits(&mut self, world: &mut World, people: &mut People, chance: &mut Chance) {
        if self.is_replaced(world) {
            return;
        }
        let own = |props: &Props| words::key(props).is_some_and(|key| !people.elsewhere.contains(&key));
        let known: Vec<String> = self.copy.iter().filter(|(_, props)| own(props)).map(|(id, _)| id.clone()).collect();
        if known.is_empty() || (known.len() < RECORDS_MAX && chance.one_in(5)) {
            let props = people.new_record(world, chance);
            let id = format!("{}-{}", self.name, words::key(&props).unwrap_or_default());
            people.history.makes(Who::Keeper, &props);
            return self.stores(world, id, Some(props));
        }
        let id = chance.pick(&known).clone();
        let before = self.copy[&id].clone();
        let mut new = before.clone();
        if !world.setup.policy.references.is_empty() && chance.one_in(4) {
            let to = words::text(chance.pick::<String>(&known));
            if chance.one_in(5) {
                new.remove(PARENT)
            } else {
                new.insert(PARENT.into(), to)
            };
            return self.stores(world, id, Some(new));
        }
        if chance.one_in(8) && people.is_met(world, &before) {
            // What it was shown, and could not say that it has, it deletes for itself alone; and what others refer to it is shown again, where
            // that must not be deleted.
            let told = self.has_told(world, &id) && !world.setup.refuses_deletes();
            people.history.ends(Who::Keeper, &before, told);
            if !told {
                self.lets_go(world, &id);
            }
            return self.stores(world, id, None);
        }
        let property = *chance.pick(&PROPERTIES);
        let value = (!chance.one_in(8)).then(|| people.value(world, chance));
        if value.is_none() && words::at(&before, property).is_none() {
            return;
        }
        match &value {
            Some(value) => new.insert(property.into(), words::text(value)),
            None => new.remove(property),
        };
        people.history.edits(Who::Keeper, &before, property, value.as_deref());
        self.stores(world, id, Some(new));
    }

    /// What nobody else ever heard of, nothing that it has may go on naming.
    fn lets_go(&mut self, world: &mut World, id: &str) {
        let names = |props: &Props| matches!(props.get(PARENT), Some(Value::Text(to)) if to == id);
        let children: Vec<String> = self.copy.iter().filter(|(_, props)| names(props)).map(|(child, _)| child.clone()).collect();
        for child in children {
            let mut props = self.copy[&child].clone();
            props.remove(PARENT);
            self.stores(world, child, Some(props));
        }
    }

    fn stores(&mut self, world: &mut World, id: String, props: Option<Props>) {
        let told = props.as_ref().map_or("-".into(), trace::props);
        world.trace.line(|| format!("{}: {id} is {told} in its copy", self.name));
        self.changed.insert(id.clone());
        match props {
            Some(props) => self.copy.insert(id, props),
            None => self.copy.remove(&id),
        };
    }

    /// Whether the truth is to take the place of what it has: what it wrote then would be lost, as it knows.
    fn is_replaced(&self, world: &World) -> bool {
        let known = world.store.read(|reader| session::known(reader, &self.name)).expect("the store reads");
        known.iter().any(|copy| copy.next == Mode::PullTruth)
    }

    /// Whether the truth knows that it has this record.
    fn has_told(&self, world: &World, id: &str) -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM m_link l JOIN m_copy y ON y.replica = l.replica
                   WHERE y.app = ?1 AND l.remote_id = ?2 AND l.base IN (0, 1))";
        world.store.read(|reader| Ok(reader.query_row(sql, [&self.name, id], |row| row.get(0))?)).expect("the store reads")
    }

    /// How it asks for its next session. To replace the truth is no edit of anybody, so it is not drawn.
    fn mode(&self, chance: &mut Chance) -> Option<Mode> {
        let mode = *chance.pick(&[None, None, None, None, None, Some(Mode::Slow), Some(Mode::Refresh), Some(Mode::PullTruth)]);
        // Whoever has something to say is not to forget what it was said of.
        mode.filter(|mode| *mode == Mode::Slow || self.changed.is_empty())
    }
}

/// Its sessions.
impl Keeper {
    fn who(&self) -> Speaker {
        Speaker { app: self.name.clone(), connection: 1_000 * (1 + self.place as u64) + self.connections }
    }

    fn call<T: Send + 'static>(
        &self,
        world: &mut World,
        what: &str,
        work: impl FnOnce(&mut Tx<'_>, &Speaker, &str) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refusal> {
        let (who, id) = (self.who(), self.session.as_ref().map_or(String::new(), |session| session.id.clone()));
        let done = world.commit(move |tx| work(tx, &who, &id));
        let told = done.as_ref().map_or_else(|refusal| format!("{refusal:?}"), |_| "done".into());
        world.trace.line(|| format!("{}: {what}: {told}", self.name));
        done
    }

    fn begins(&mut self, world: &mut World, people: &mut People, terms: &mut Terms, with: Option<String>, mode: Option<Mode>) {
        self.connections += 1;
        let invites = with.map(|other| Invites { apps: vec![other], within: std::time::Duration::from_secs(10) });
        let begin = Begin { collections: vec![COLLECTION.into()], mode, anchor: self.anchor.clone(), invites };
        match self.call(world, &format!("begins {begin:?}"), move |tx, who, _| session::begin(tx, who, &begin)) {
            Ok(begun) => {
                terms.copies_blurred |= begun.mode == Mode::Refresh;
                let at = if begun.invited.is_empty() { At::Pushing(self.pushes(begun.mode)) } else { At::Negotiating };
                self.session = Some(Session { id: begun.session, mode: begun.mode, at });
            }
            Err(refusal) => people.wrong.push(format!("copies: {} cannot begin: {refusal:?}", self.name)),
        }
    }

    fn pushes(&self, mode: Mode) -> Vec<Push> {
        let one = |id: &String| match self.copy.get(id) {
            Some(props) => Push::Put { collection: COLLECTION.into(), id: id.clone(), data: json::write(props) },
            None => Push::Delete { collection: COLLECTION.into(), id: id.clone() },
        };
        match mode {
            Mode::PullTruth => Vec::new(),
            Mode::Fast => self.changed.iter().map(one).collect(),
            _ => self.copy.keys().map(one).collect(),
        }
    }

    /// The next call of its session. What must not be refused, and is, is told.
    fn goes_on(&mut self, world: &mut World, people: &mut People, chance: &mut Chance, at_random: bool) {
        let Some(mut session) = self.session.take() else { return };
        let (at, mode) = (std::mem::replace(&mut session.at, At::Finishing), session.mode);
        self.session = Some(session);
        match self.next(world, chance, at, mode, at_random) {
            Ok(Some(at)) => {
                if let Some(session) = &mut self.session {
                    session.at = at;
                }
            }
            Ok(None) => self.session = None,
            Err(refusal) => {
                people.wrong.push(format!("copies: {} is refused: {refusal:?}", self.name));
                self.session = None;
            }
        }
    }

    fn next(
        &mut self,
        world: &mut World,
        chance: &mut Chance,
        at: At,
        mode: Mode,
        at_random: bool,
    ) -> Result<Option<At>, Refusal> {
        match at {
            At::Negotiating => {
                // Whoever was invited is there, or is waited for no more.
                if at_random && chance.one_in(2) {
                    return Ok(Some(At::Negotiating));
                }
                self.call(world, "all have joined", session::join)?;
                Ok(Some(At::Pushing(self.pushes(mode))))
            }
            At::Pushing(mut pushes) => {
                let Some(push) = pushes.pop() else { return self.mingle(world, chance, at_random).map(Some) };
                let ready = session::prepare(vec![push.clone()])?;
                let pushed = self.call(world, &format!("pushes {push:?}"), move |tx, who, id| session::push(tx, who, id, &ready));
                // It deleted what nobody knew that it had.
                if pushed.is_err() && !matches!(push, Push::Delete { .. }) {
                    pushed?;
                }
                Ok(Some(At::Pushing(pushes)))
            }
            At::Mingling | At::Ending => self.slice(world, matches!(at, At::Ending), mode),
            At::Pulling(cursor) => self.pull(world, chance, cursor.as_deref(), at_random).map(Some),
            At::Taking(records, cursor) => {
                self.take(world, chance, records, at_random)?;
                Ok(Some(cursor.map_or(At::Finishing, |cursor| At::Pulling(Some(cursor)))))
            }
            At::Finishing => {
                match self.call(world, "finishes", |tx, who, id| session::end(tx, who, id, true, true))? {
                    End::Over(closed) => self.anchor = closed.anchor,
                    other => return Err(Refusal::WrongState(format!("not at once: {other:?}"), None)),
                }
                Ok(None)
            }
        }
    }

    /// All is pushed. Now and then it does not want to know what it lacks.
    fn mingle(&self, world: &mut World, chance: &mut Chance, at_random: bool) -> Result<At, Refusal> {
        if at_random && chance.one_in(6) {
            self.call(world, "finishes without a pull", |tx, who, id| session::end(tx, who, id, true, true))?;
            return Ok(At::Ending);
        }
        self.call(world, "mingles", |tx, who, id| session::enter(tx, who, id, true))?;
        Ok(At::Mingling)
    }

    fn slice(&mut self, world: &mut World, ends: bool, mode: Mode) -> Result<Option<At>, Refusal> {
        let rows = 1 + self.place;
        let sliced = self.call(world, "a slice", move |tx, _, id| slice(tx, id, ends, rows))?;
        match sliced {
            Sliced::More if ends => return Ok(Some(At::Ending)),
            Sliced::More => return Ok(Some(At::Mingling)),
            Sliced::Done(_) => {}
            Sliced::Over(closed) => {
                self.changed.clear();
                self.anchor = closed.anchor;
                return Ok(None);
            }
            other => return Err(Refusal::WrongState(format!("a slice: {other:?}"), None)),
        }
        self.changed.clear();
        if mode == Mode::PullTruth {
            self.copy.clear();
        }
        Ok(Some(At::Pulling(None)))
    }

    fn pull(&mut self, world: &mut World, chance: &mut Chance, cursor: Option<&str>, at_random: bool) -> Result<At, Refusal> {
        while self.call(world, "finds what others brought", |tx, _, id| session::lacking(tx, id))? {}
        let (who, id) = (self.who(), self.session.as_ref().map_or("", |session| &session.id));
        let page = world.store.read(|reader| session::pull(reader, &who, id, cursor, PAGE));
        let (page, first_time) = page.map_err(Refusal::from)?;
        let Pulled { records, cursor } = match first_time.is_empty() {
            true => page,
            false => self.call(world, "is shown records", move |tx, _, _| session::note(tx, page, &first_time))?,
        };
        let mut stored = Vec::new();
        for record in records {
            world
                .trace
                .line(|| format!("{}: is shown {} {:?} at {}: {:?}", self.name, record.id, record.kind, record.seq, record.data));
            // It has no room for it, and does not say so.
            if at_random && chance.one_in(16) {
                continue;
            }
            match &record.data {
                Some(data) => self.copy.insert(record.id.clone(), json::parse_object(data).expect("what was shown")),
                None => self.copy.remove(&record.id),
            };
            stored.push(record);
        }
        Ok(At::Taking(stored, cursor))
    }

    fn take(&mut self, world: &mut World, chance: &mut Chance, records: Vec<PulledOne>, at_random: bool) -> Result<(), Refusal> {
        let how = Took::Accepted { form: None, id: None };
        let take = |one: PulledOne| Take { collection: one.collection, id: one.id, seq: one.seq, how: how.clone() };
        let takes: Vec<Take> = records.into_iter().map(take).collect();
        self.call(world, &format!("accepts {takes:?}"), move |tx, who, id| session::take(tx, who, id, &takes))?;
        if at_random && chance.one_in(3) {
            let closed = self.call(world, "commits", session::commit)?;
            self.anchor = closed.anchor;
        }
        Ok(())
    }

    /// Its connection is gone.
    fn dies(&mut self, world: &mut World, terms: &mut Terms) {
        let left = self.call(world, "DIES", |tx, who, _| session::leave(tx, Some(who.connection))).expect("what is left");
        self.lost(terms);
        self.left = left.into_iter().next();
        self.session = None;
    }

    /// What it had stored and could not say so, nobody knows.
    fn lost(&self, terms: &mut Terms) {
        let at = self.session.as_ref().map(|session| &session.at);
        terms.copies_blurred |= matches!(at, Some(At::Pulling(_) | At::Taking(..) | At::Finishing));
    }

    /// What it pushed before its connection was gone meets the truth.
    fn mingles_on(&mut self, world: &mut World) {
        let Some(id) = self.left.clone() else { return };
        let sliced = world.commit(move |tx| slice(tx, &id, true, 2));
        world.trace.line(|| format!("{}: what it left mingles on: {sliced:?}", self.name));
        if sliced.expect("a slice") != Sliced::More {
            self.left = None;
        }
    }

    /// Goes on to the end of its session, and of the one that it left.
    fn ends(&mut self, world: &mut World, people: &mut People, chance: &mut Chance) {
        while self.left.is_some() {
            self.mingles_on(world);
        }
        for _ in 0..CALLS_MAX {
            if self.session.is_none() {
                return;
            }
            self.goes_on(world, people, chance, false);
        }
        people.wrong.push(format!("copies: the session of {} does not end", self.name));
    }
}

/// Meets so many of what was pushed.
fn slice(tx: &mut Tx<'_>, id: &str, ends: bool, rows: usize) -> Result<Sliced, StoreError> {
    let mut met = 0;
    session::slice(tx, id, ends, || {
        met += 1;
        met >= rows
    })
}

/// Puts the values of a copy beside those of the truth, but for what waits for a decision there. What is wrong.
pub fn wrong(name: &str, copy: &[Props], truth: &[Props], open: &[(String, String, String)]) -> Vec<String> {
    let level = |records: &[Props]| {
        let mut all: Vec<String> = records.iter().map(|props| told(name, props, open)).collect();
        all.sort();
        all
    };
    let (copy, truth) = (level(copy), level(truth));
    let lacks = truth.iter().filter(|one| !copy.contains(one)).map(|one| format!("copies: {name} lacks {one}"));
    let more =
        copy.iter().filter(|one| !truth.contains(one)).map(|one| format!("copies: {name} has {one}, and the truth has not"));
    let mut wrong: Vec<String> = lacks.chain(more).collect();
    if wrong.is_empty() && copy.len() != truth.len() {
        wrong.push(format!("copies: {name} has {} records, and the truth {}", copy.len(), truth.len()));
    }
    wrong
}

fn told(name: &str, props: &Props, open: &[(String, String, String)]) -> String {
    let key = words::key(props);
    let waits = |property: &String| open.iter().any(|(app, of, one)| app == name && Some(of) == key.as_ref() && one == property);
    let shown = props.iter().filter(|(property, value)| **value != Value::Null && !waits(property));
    let one = |(property, value): (&String, &Value)| format!("{property}={}", words::canonical(Some(value)).unwrap_or_default());
    shown.map(one).collect::<Vec<_>>().join(" ")
}
