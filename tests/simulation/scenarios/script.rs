//! Owns: the words in which a scenario is told: what an app, a colleague and the daemon do, one after the other. Must never know:
//! which trace is told with them, what must come of it.
//!
//! A script plays under a handful of seeds, so that what runs side by side in the daemon comes in several orders; what is asked for
//! must hold in each. Records are named by their key, contents are written `a=a1 b=b1`, and no value is written twice by different
//! people: the oracle knows an edit by its value.

use std::collections::BTreeMap;

use mingle_core::{
    ask::{Keep, Refusal, Resolution, Write, Writer, Written},
    record::{Props, Value},
    run::{Mode, reset::How},
};
use mingled::{json, store};

use crate::{
    chance::Chance,
    fake::lock,
    oracle::{Terms, Who},
    people::People,
    schedule,
    setup::Setup,
    words::{self, KEY},
    world::{COLLECTION, World},
};

/// How many orders of what runs side by side.
const SEEDS: u64 = 8;

/// One world, with a person who tells it what happens.
pub struct Script {
    pub world: World,
    pub terms: Terms,
    pub(super) people: People,
    chance: Chance,
    pub seed: u64,
    /// What an app read a while ago, by key: id, seq and properties.
    read: BTreeMap<String, (String, u64, Props)>,
    pub(super) healed: bool,
}

/// Plays a script under each seed. It ends with [`Script::heals`].
#[track_caller]
pub fn play(setup: &Setup, script: impl Fn(&mut Script)) {
    for seed in 0..SEEDS {
        let world = World::new(setup.clone(), seed, true);
        let (terms, chance) = (schedule::terms(setup), Chance::new(seed));
        let (people, read) = (People::default(), BTreeMap::new());
        let mut told = Script { world, terms, people, chance, seed, read, healed: false };
        script(&mut told);
        told.holds(told.healed, || "the script does not heal the world".into());
    }
}

/// `a=a1 b=b1`, as properties.
pub fn props(text: &str) -> Props {
    text.split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.into(), words::text(value)))
        .collect()
}

/// Properties but for the key, as text; none: no such record.
pub(super) fn told(props: Option<&Props>) -> String {
    let Some(props) = props else { return "gone".into() };
    let one = |(name, value): (&String, &Value)| match value {
        Value::Text(text) => format!("{name}={text}"),
        other => format!("{name}={}", json::write_value(other)),
    };
    props.iter().filter(|(name, _)| *name != KEY).map(one).collect::<Vec<_>>().join(" ")
}

/// The properties of a new record.
fn keyed(key: &str, text: &str) -> Props {
    props(&format!("{KEY}={key} {text}"))
}

/// The put that writes a record again under its id, with some properties changed.
pub fn put_again(id: &str, before: &Props, text: &str) -> Write {
    let mut new = before.clone();
    new.extend(props(text));
    let data = json::write(&new);
    Write::Put { collection: COLLECTION.into(), id: Some(id.into()), data, if_seq: Some(0), overwrite: false, merge: false }
}

impl Script {
    /// Fails, with the trace, unless it holds.
    #[track_caller]
    pub fn holds(&self, it_holds: bool, what: impl FnOnce() -> String) {
        assert!(it_holds, "{}\nunder seed {}:\n{}", what(), self.seed, self.world.trace.text());
    }

    #[track_caller]
    pub(super) fn equals(&self, what: &str, is: &str, expect: &str) {
        self.holds(is == expect, || format!("{what} is {is:?}, not {expect:?}"));
    }

    fn begin(&mut self) {
        self.world.begin_move(&mut self.chance);
    }
}

/// What an app does.
impl Script {
    pub(super) fn of_truth(&self, key: &str) -> Option<(String, u64, Props)> {
        self.world.truth().into_iter().find(|(_, _, props)| words::key(props).as_deref() == Some(key))
    }

    /// The present record, which is there.
    #[track_caller]
    pub fn in_truth(&self, key: &str) -> (String, u64, Props) {
        let found = self.of_truth(key);
        self.holds(found.is_some(), || format!("no {key} in the truth"));
        found.unwrap_or_default()
    }

    /// Writes as an app, without telling the oracle.
    pub fn app_writes(&mut self, op: Option<&str>, writes: Vec<Write>) -> Result<Written, Refusal> {
        self.begin();
        let told = format!("app: {writes:?}");
        let written = self.world.write(op.map(str::to_owned), writes);
        self.world.trace.line(|| format!("{told} -> {written:?}"));
        written
    }

    #[track_caller]
    fn app_does(&mut self, write: Write) -> Written {
        let written = self.app_writes(None, vec![write]);
        self.holds(written.is_ok(), || format!("the write is refused: {written:?}"));
        written.expect("just asked")
    }

    /// Makes a record under this id; without, the store makes one. Returns the token.
    #[track_caller]
    pub fn app_makes_as(&mut self, id: Option<&str>, key: &str, text: &str) -> String {
        let new = keyed(key, text);
        let (id, data) = (id.map(str::to_owned), json::write(&new));
        let put = Write::Put { collection: COLLECTION.into(), id, data, if_seq: None, overwrite: false, merge: false };
        let token = self.app_does(put).token;
        self.people.history.makes(Who::App, &new);
        token
    }

    /// Makes a record under the id `app-KEY`.
    #[track_caller]
    pub fn app_makes(&mut self, key: &str, text: &str) -> String {
        self.app_makes_as(Some(&format!("app-{key}")), key, text)
    }

    /// The patch that gives properties of the present record these values; `a=` clears. The oracle hears of it.
    #[track_caller]
    pub fn app_patch(&mut self, key: &str, text: &str) -> Write {
        let (id, _, before) = self.in_truth(key);
        let mut patch = props(text);
        for (name, value) in &mut patch {
            let written = words::canonical(Some(value)).filter(|text| !text.is_empty());
            self.people.history.edits(Who::App, &before, name, written.as_deref());
            if written.is_none() {
                *value = Value::Null;
            }
        }
        Write::Patch { collection: COLLECTION.into(), id, patch: json::write(&patch), if_seq: None }
    }

    /// Gives properties these values; `a=` clears. Returns the token.
    #[track_caller]
    pub fn app_sets(&mut self, key: &str, text: &str) -> String {
        let patch = self.app_patch(key, text);
        self.app_does(patch).token
    }

    #[track_caller]
    pub fn app_deletes(&mut self, key: &str) {
        let (id, seq, before) = self.in_truth(key);
        self.app_does(Write::Delete { collection: COLLECTION.into(), id: id.clone(), if_seq: Some(seq) });
        self.people.history.ends(Who::App, &before, true);
        self.people.keys.insert(id, key.into());
    }

    /// Gives one property a value of any kind, of which the oracle hears nothing.
    #[track_caller]
    pub fn app_gives(&mut self, key: &str, name: &str, value: Value) {
        let (id, ..) = self.in_truth(key);
        let patch = json::write(&Props::from([(name.to_owned(), value)]));
        self.app_does(Write::Patch { collection: COLLECTION.into(), id, patch, if_seq: None });
    }

    /// The oracle hears that an app wrote a property over what it saw.
    pub fn tells_of_edit(&mut self, before: &Props, name: &str, value: &str) {
        self.people.history.edits(Who::App, before, name, Some(value));
    }

    /// The oracle forgets what apps did to these records: somebody took it back.
    pub fn takes_it_back(&mut self, keys: &[&str]) {
        self.people.history.takes_back(keys);
    }

    /// An app reads a record, for a later [`Script::app_puts`].
    #[track_caller]
    pub fn app_reads(&mut self, key: &str) {
        let read = self.in_truth(key);
        self.read.insert(key.into(), read);
    }

    /// An app writes the whole record as it read it, with one property changed.
    #[track_caller]
    pub fn app_puts(&mut self, key: &str, text: &str, if_seq: bool, merge: bool) -> Result<Written, Refusal> {
        let (id, seq, before) = self.read.get(key).cloned().unwrap_or_else(|| self.in_truth(key));
        let mut new = before.clone();
        new.extend(props(text));
        let (data, if_seq) = (json::write(&new), if_seq.then_some(seq));
        let put = Write::Put { collection: COLLECTION.into(), id: Some(id), data, if_seq, overwrite: false, merge };
        let written = self.app_writes(None, vec![put]);
        if written.is_ok() {
            for (name, value) in props(text) {
                self.people.history.edits(Who::App, &before, &name, words::canonical(Some(&value)).as_deref());
            }
        }
        written
    }
}

/// What colleagues do at the services, and what the services do of themselves.
impl Script {
    pub(super) fn of_service(&self, at: usize, key: &str) -> Option<(String, Props)> {
        let service = lock(&self.world.services[at]);
        let found = service.live().find(|(_, props)| words::key(props).as_deref() == Some(key));
        found.map(|(id, props)| (id.clone(), props.clone()))
    }

    /// The present record of a service, which is there.
    #[track_caller]
    pub fn at_service(&self, at: usize, key: &str) -> (String, Props) {
        let found = self.of_service(at, key);
        self.holds(found.is_some(), || format!("no {key} at service {at}"));
        found.unwrap_or_default()
    }

    /// Makes a record at a service; without an id the service makes one. Returns the id.
    pub fn colleague_makes_as(&mut self, at: usize, id: Option<&str>, key: &str, text: &str) -> String {
        self.begin();
        let new = keyed(key, text);
        let mut service = lock(&self.world.services[at]);
        let id = id.map_or_else(|| service.new_id(), str::to_owned);
        service.store(&id, Some(new.clone()));
        drop(service);
        self.world.trace.line(|| format!("colleague {at}: makes {id} {}", told(Some(&new))));
        self.people.history.makes(Who::Colleague(at), &new);
        id
    }

    /// Makes a record at the first service.
    pub fn colleague_makes(&mut self, key: &str, text: &str) -> String {
        self.colleague_makes_as(0, None, key, text)
    }

    /// Gives properties these values at a service; `a=` clears.
    #[track_caller]
    pub fn colleague_sets_at(&mut self, at: usize, key: &str, text: &str) {
        for (name, value) in props(text) {
            self.begin();
            let (id, before) = self.at_service(at, key);
            let value = words::canonical(Some(&value)).filter(|text| !text.is_empty());
            self.people.colleague_sets(&mut self.world, at, &id, &before, &name, value.as_deref());
        }
    }

    /// Gives one property a value of any kind, of which the oracle hears nothing.
    #[track_caller]
    pub fn colleague_gives(&mut self, key: &str, name: &str, value: Value) {
        self.begin();
        let (id, mut props) = self.at_service(0, key);
        props.insert(name.to_owned(), value);
        lock(&self.world.services[0]).store(&id, Some(props));
    }

    /// The same, at the first service.
    #[track_caller]
    pub fn colleague_sets(&mut self, key: &str, text: &str) {
        self.colleague_sets_at(0, key, text);
    }

    #[track_caller]
    pub fn colleague_deletes(&mut self, key: &str) {
        self.begin();
        let (id, before) = self.at_service(0, key);
        self.people.colleague_deletes(&mut self.world, 0, &id, &before);
    }

    /// Listings of the first service show the present state of this id only after a while.
    pub fn shows_late(&mut self, id: &str, ms: i64) {
        self.begin();
        lock(&self.world.services[0]).shows_late(id, ms);
        self.world.trace.line(|| format!("service 0: listings show {id} as it is now in {ms} ms"));
    }

    /// The service takes the next write, and its answer does not arrive.
    pub fn loses_the_next_answer(&mut self) {
        lock(&self.world.services[0]).lose_next = true;
    }

    /// The next create is held back on its way, and arrives that much later.
    pub fn holds_the_next_create_back(&mut self, ms: i64) {
        self.terms.loses_answers = true;
        lock(&self.world.services[0]).hold_next = Some(ms);
    }

    /// The next create arrives twice, and the second is answered.
    pub fn doubles_the_next_create(&mut self) {
        self.terms.loses_answers = true;
        lock(&self.world.services[0]).double_next = true;
    }

    /// So much later, when whatever was held back for less has arrived.
    pub fn passes_until_it_arrives(&mut self, ms: i64) {
        self.passes(ms);
        self.begin();
    }

    /// The first service goes back to its backup, as another instance.
    pub fn restores(&mut self) {
        lock(&self.world.services[0]).restore();
        (self.terms.restored, self.terms.forgot) = (true, true);
        self.world.trace.line(|| "service 0: another instance, from its backup".into());
    }
}

/// What the daemon does.
impl Script {
    /// Runs a sync to its end, with everything that follows from it.
    #[track_caller]
    pub fn runs(&mut self, sync: &str, mode: Option<Mode>) {
        self.asks(sync, mode);
        self.rests();
    }

    /// Fetches the collection anew, to the end.
    #[track_caller]
    pub fn rebuilds(&mut self) {
        self.begin();
        self.world.ask_rebuild();
        self.rests();
    }

    /// Somebody says what becomes of what is here; to the end.
    #[track_caller]
    pub fn resets(&mut self, how: How) {
        self.asks_reset(how);
        self.rests();
    }

    /// The same, and nothing of it is done.
    pub fn asks_reset(&mut self, how: How) {
        self.begin();
        self.terms.forgot = true;
        self.world.ask_reset("s", how);
    }

    /// Runs the sync `s` to its end.
    #[track_caller]
    pub fn syncs(&mut self) {
        self.runs("s", None);
    }

    /// Asks for a run, and does nothing of it.
    pub fn asks(&mut self, sync: &str, mode: Option<Mode>) {
        self.begin();
        self.terms.forgot |= mode == Some(Mode::Refresh);
        self.world.ask_run(sync, mode, true);
    }

    /// Goes on until nothing is under way.
    #[track_caller]
    pub fn rests(&mut self) {
        self.begin();
        let ended = self.world.drive(&mut self.chance);
        self.holds(ended, || "it does not end".into());
    }

    /// Goes on, step by step, until something is the case.
    #[track_caller]
    pub fn goes_on_until(&mut self, what: &str, mut it_is: impl FnMut(&mut Self) -> bool) {
        while !it_is(self) {
            self.holds(!self.world.quiet(), || format!("nothing is under way, and never was it so that {what}"));
            self.world.step(&mut self.chance);
        }
    }

    /// Asks for a run, and goes on until the first service has taken that many more writes: their answers are under way.
    #[track_caller]
    pub fn syncs_until_taken(&mut self, writes: u64) {
        let before = self.writes();
        self.asks("s", None);
        self.goes_on_until("the service took it", |script| script.writes() >= before + writes);
    }

    /// Asks for a run, and goes on until its listing is over and what to send is planned.
    #[track_caller]
    pub fn syncs_until_planned(&mut self) {
        let plans = |script: &Self| script.world.trace.text().matches("s: Plan").count();
        let before = plans(self);
        self.asks("s", None);
        self.goes_on_until("what to send is planned", |script| plans(script) > before);
    }

    /// Goes on by so many steps, or until nothing is under way.
    pub fn steps(&mut self, steps: usize) {
        for _ in 0..steps {
            self.world.step(&mut self.chance);
        }
    }

    pub fn crashes(&mut self) {
        self.terms.loses_answers = true;
        self.world.crash();
    }

    pub fn passes(&mut self, ms: i64) {
        self.world.pass(ms);
    }

    /// Decides the one rejection that stands.
    #[track_caller]
    pub fn decides(&mut self, with: Resolution) -> Result<Written, Refusal> {
        let ids: Vec<String> = self.column("SELECT id FROM m_rejection");
        self.holds(ids.len() == 1, || format!("not one rejection: {ids:?}"));
        let writer = Writer { app: "tester".into(), op: None, instance: None };
        let id = ids[0].clone();
        let done = self.world.commit(move |tx| store::resolve_rejection(tx, &writer, &id, with));
        self.world.trace.line(|| format!("decided -> {done:?}"));
        done
    }

    /// Decides the one open conflict, on the record as it was at a seq.
    #[track_caller]
    pub fn resolves(&mut self, if_seq: Option<u64>, keep: Keep) -> Result<Written, Refusal> {
        let ids: Vec<String> = self.column("SELECT id FROM m_conflict WHERE open = 1");
        self.holds(ids.len() == 1, || format!("not one open conflict: {ids:?}"));
        let writer = Writer { app: "tester".into(), op: None, instance: None };
        let id = ids[0].clone();
        let done = self.world.commit(move |tx| store::resolve_conflict(tx, &writer, &id, if_seq, &keep));
        self.world.trace.line(|| format!("resolve -> {done:?}"));
        done
    }
}
