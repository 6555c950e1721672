//! Owns: the fake service: what it holds, what its colleagues do to it, which faults it shows. Must never know: mingle's store
//! and engine.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::{
    record::{Props, Value},
    replica::{Action, Answer},
};

use crate::{chance::Chance, words};

/// How a listing goes on from one run to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// By change number: Kinto, CouchDB.
    Token,
    /// By coarse stamp: most REST services.
    Stamp,
    /// Each listing is whole, paged by offset.
    Whole,
}

/// What kind of service it is.
#[derive(Clone, Debug)]
pub struct Character {
    pub cursor: Cursor,
    /// Listings from a cursor show tombstones.
    pub tombstones: bool,
    /// Revisions are unique per change, and writes take one as precondition.
    pub conditional: bool,
    /// Takes ids from us.
    pub client_ids: bool,
    /// Does what comes under a key once.
    pub keys: bool,
    /// So many changes in one request.
    pub batch: usize,
    /// Milliseconds of a stamp's grain.
    pub grain: i64,
    /// Writers' clocks differ by up to so many milliseconds.
    pub skew: i64,
    /// A change shows in listings up to so many milliseconds later.
    pub lag: i64,
    /// The clock in its answers runs ahead of that of its stamps by so much.
    pub date_ahead: i64,
    /// Writes values its own way: trimmed, in lower case.
    pub tidies: bool,
    /// What people edit it writes in capitals then.
    pub shouts: bool,
    /// Adds a property of its own to each record.
    pub adds: bool,
    /// Answers to writes show no record, once in so many times.
    pub silent: usize,
    /// Rows are named with what made them: without, `created` is not told.
    pub tells_created: bool,
    pub page_rows: usize,
    pub errands_max: usize,
    /// A property that it does not have: its records come without, and it is never sent.
    pub lacks: Option<&'static str>,
    /// A property that a create does not set there.
    pub later: Option<&'static str>,
}

/// How badly it behaves, each once in so many requests; 0: never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// No connection: nothing was done.
    pub offline: usize,
    /// 5xx, before anything was done.
    pub trouble: usize,
    /// Done, and the answer is lost.
    pub lost: usize,
    /// A create is held back on its way, and arrives long after its answer was given up.
    pub late: usize,
    /// A create arrives twice, and the second is answered.
    pub twice: usize,
    /// 429.
    pub throttled: usize,
    /// A listing leaves a row out.
    pub skips: usize,
    /// A listing shows a row twice.
    pub doubles: usize,
    /// A whole listing is empty.
    pub empty: usize,
    /// The cursor or page token is refused.
    pub refuses_cursor: usize,
    /// A colleague's edit leaves a row that cannot be read.
    pub poison: usize,
}

/// One state of one record.
#[derive(Clone, Debug)]
pub struct Version {
    pub rev: u64,
    pub stamp: i64,
    pub created: i64,
    /// Listings show it from then on.
    pub shown_from: i64,
    /// What it holds; none: deleted.
    pub props: Option<Props>,
    /// It cannot be read.
    pub poison: bool,
}

/// The service.
#[derive(Debug)]
pub struct Service {
    pub character: Character,
    pub faults: Faults,
    /// Each record's states, oldest first.
    pub rows: BTreeMap<String, Vec<Version>>,
    /// Every value that it ever had: id, property, canonical value.
    pub had: BTreeSet<(String, String, String)>,
    pub rev: u64,
    pub instance: u32,
    /// Its time, in milliseconds.
    pub now: i64,
    /// Credentials are refused.
    pub locked: bool,
    /// Credentials are taken, and show nothing: no listing, and each record by itself is not there.
    pub blind: bool,
    /// Writes of ours that changed something.
    pub writes: u64,
    /// The chance of the present step.
    pub chance: Chance,
    /// What it did, for people.
    pub said: Vec<String>,
    pub tells: bool,
    backup: Option<BTreeMap<String, Vec<Version>>>,
    next_id: u64,
    /// What creates under keys were answered.
    pub answered: BTreeMap<String, (Props, Answer)>,
    /// Lose the answer of the next write: for scenarios.
    pub lose_next: bool,
    /// The next create arrives twice, and the second is answered: for scenarios.
    pub double_next: bool,
    /// Hold the next create back for so many milliseconds: for scenarios.
    pub hold_next: Option<i64>,
    /// Creates on their way.
    pub held: Vec<Held>,
    /// Records of which it tells nobody who asks what changed.
    pub untold: BTreeSet<String>,
}

/// A request that nobody waits for any more.
#[derive(Clone, Debug)]
pub struct Held {
    /// When it arrives.
    pub at: i64,
    pub action: Action,
    /// The instance that it is on its way to.
    pub instance: u32,
}

impl Service {
    /// The `number`th service: the ids it makes are its own.
    pub fn new(character: Character, number: u64, now: i64) -> Self {
        Self {
            character,
            faults: Faults::default(),
            rows: BTreeMap::new(),
            had: BTreeSet::new(),
            rev: 0,
            instance: 1,
            now,
            locked: false,
            blind: false,
            writes: 0,
            chance: Chance::new(0),
            said: Vec::new(),
            tells: false,
            backup: None,
            next_id: 100 + 500 * number,
            answered: BTreeMap::new(),
            lose_next: false,
            double_next: false,
            hold_next: None,
            held: Vec::new(),
            untold: BTreeSet::new(),
        }
    }

    /// The present state of a record that is there.
    pub fn present(&self, id: &str) -> Option<&Version> {
        self.rows.get(id)?.last().filter(|version| version.props.is_some())
    }

    /// Every record that is there.
    pub fn live(&self) -> impl Iterator<Item = (&String, &Props)> {
        self.rows.iter().filter_map(|(id, versions)| Some((id, versions.last()?.props.as_ref()?)))
    }

    /// The properties of a record that is there.
    pub fn props(&self, id: &str) -> Option<&Props> {
        self.present(id)?.props.as_ref()
    }

    /// The next state of a record, in the service's own form.
    pub fn store(&mut self, id: &str, props: Option<Props>) -> &Version {
        self.rev += 1;
        let character = &self.character;
        let skew =
            if character.skew > 0 { self.chance.below(2 * character.skew as usize + 1) as i64 - character.skew } else { 0 };
        let lag = if character.lag > 0 { self.chance.below(character.lag as usize + 1) as i64 } else { 0 };
        let stamp = (self.now + skew).div_euclid(character.grain) * character.grain;
        let versions = self.rows.entry(id.to_owned()).or_default();
        let created = versions.last().filter(|last| last.props.is_some()).map_or(stamp, |last| last.created);
        // One record's states show in their order.
        let shown_from = versions.last().map_or(i64::MIN, |last| last.shown_from).max(self.now + lag);
        let props = props.map(|mut props| {
            if character.tidies {
                props.values_mut().for_each(tidy);
                let edited = props.iter_mut().filter(|(name, _)| character.shouts && words::PROPERTIES.contains(&name.as_str()));
                edited.for_each(|(_, value)| shout(value));
            }
            if character.adds {
                props.insert("srv".into(), Value::Text("made here".into()));
            }
            props.retain(|_, value| *value != Value::Null);
            props
        });
        let told = props
            .iter()
            .flatten()
            .filter_map(|(name, value)| Some((id.to_owned(), name.clone(), words::canonical(Some(value))?)));
        self.had.extend(told);
        versions.push(Version { rev: self.rev, stamp, created, shown_from, props, poison: false });
        let old = versions.len().saturating_sub(6);
        versions.drain(..old);
        versions.last().expect("just pushed")
    }

    /// An id of its own making.
    pub fn new_id(&mut self) -> String {
        self.next_id += 1;
        self.next_id.to_string()
    }

    /// A colleague leaves a row that cannot be read for now.
    pub fn poison(&mut self, id: &str) {
        if let Some(last) = self.rows.get_mut(id).and_then(|versions| versions.last_mut()) {
            last.poison = true;
        }
    }

    /// Listings show the present state of a record (or its end) only so many milliseconds from now.
    pub fn shows_late(&mut self, id: &str, ms: i64) {
        let until = self.now + ms;
        if let Some(last) = self.rows.get_mut(id).and_then(|versions| versions.last_mut()) {
            last.shown_from = until;
        }
    }

    /// Every row can be read again, as it is.
    pub fn cure(&mut self) {
        for versions in self.rows.values_mut() {
            versions.iter_mut().for_each(|version| version.poison = false);
        }
    }

    /// The same, because somebody puts each right: that is a change.
    pub fn mend(&mut self) {
        let poisoned = |(id, versions): (&String, &Vec<Version>)| {
            let last = versions.last().filter(|last| last.poison)?;
            Some((id.clone(), last.props.clone()))
        };
        let poisoned: Vec<_> = self.rows.iter().filter_map(poisoned).collect();
        self.cure();
        for (id, props) in poisoned {
            self.store(&id, props);
        }
    }

    /// Keeps a copy of everything.
    pub fn back_up(&mut self) {
        self.backup = Some(self.rows.clone());
    }

    /// Goes back to the copy, as another instance; without a copy only the instance is another.
    pub fn restore(&mut self) {
        self.instance += 1;
        self.answered.clear();
        if let Some(rows) = self.backup.take() {
            self.rows = rows;
        }
    }

    pub fn say(&mut self, what: impl FnOnce() -> String) {
        if self.tells {
            let what = what();
            self.said.push(what);
        }
    }
}

fn shout(value: &mut Value) {
    if let Value::Text(text) = value {
        *text = text.to_uppercase();
    }
}

fn tidy(value: &mut Value) {
    if let Value::Text(text) = value {
        *text = words::tidy(text);
    }
}
