//! Owns: what people do: apps in the truth, colleagues at a service; each deed is told to the history. Must never know: runs, faults.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::{
    ask::Write,
    record::{Props, Value},
};
use mingled::json;

use crate::{
    chance::Chance,
    fake::lock,
    family::PARENT,
    found,
    oracle::{History, Terms, Who},
    trace,
    waits::{self, Kept},
    words::{self, KEY, NAMES, PROPERTIES},
    world::{COLLECTION, World},
};

/// People, and what they remember.
#[derive(Default)]
pub struct People {
    pub history: History,
    /// What an app read a while ago, by id: seq and properties.
    memory: BTreeMap<String, (u64, Props)>,
    /// What is deleted and known to be, for who makes it again: id and key.
    buried: Vec<(String, String)>,
    /// The keys of records that a second service made: no app edits them, or the truth would differ from it for good.
    pub elsewhere: BTreeSet<String>,
    /// The keys of records that were deleted, by id.
    pub keys: BTreeMap<String, String>,
    next_value: usize,
    next_key: usize,
    next_op: usize,
    /// What an app did that must not happen; told at the end.
    pub wrong: Vec<String>,
    /// What was written to stay here.
    kept: Kept,
    /// How many values there were when this app began.
    known: usize,
    /// The lists of what waits are looked at: that takes longer than all else.
    pub looks: bool,
}

/// What a write says that is to stay here; nothing, where it is to be sent.
fn written_props(write: &Write) -> Props {
    let Write::Deferred(write) = write else { return Props::new() };
    match &**write {
        Write::Put { data: text, .. } | Write::Patch { patch: text, .. } => json::parse_object(text).expect("what was written"),
        _ => Props::new(),
    }
}

/// At most so many records: few, so that people meet.
const RECORDS_MAX: usize = 6;

impl People {
    /// A value that nobody wrote before.
    pub fn value(&mut self, world: &World, chance: &mut Chance) -> String {
        self.next_value += 1;
        let value = words::fresh(self.next_value, world.setup.tidies());
        if chance.one_in(world.setup.bad_values) { format!("bad{value}") } else { value }
    }

    /// A record that nobody made before.
    pub fn new_record(&mut self, world: &World, chance: &mut Chance) -> Props {
        self.next_key += 1;
        let mut props = Props::from([(KEY.to_owned(), words::text(&format!("k{}", self.next_key)))]);
        for property in PROPERTIES {
            if chance.one_in(2) {
                // What a service refuses from the start would never be there: that is a rejection, and no test of edits.
                self.next_value += 1;
                props.insert(property.to_owned(), words::text(&words::fresh(self.next_value, world.setup.tidies())));
            }
        }
        props
    }

    /// The same records come to be at every place, each with a name that all of them have. What else they are called, and what they hold, is
    /// another thing at each.
    pub fn found(&mut self, world: &mut World, chance: &mut Chance) {
        world.begin_move(chance);
        for _ in 0..world.setup.founders {
            let key = self.next_key + 1;
            let common = *chance.pick(&NAMES);
            let one = |people: &mut Self, chance: &mut Chance| {
                people.next_key = key - 1;
                let mut props = people.new_record(world, chance);
                let known = NAMES.iter().filter(|name| **name == common || chance.one_in(2));
                props.extend(known.map(|name| ((*name).to_owned(), words::text(&format!("{name}{key}")))));
                props
            };
            let here = one(self, chance);
            let there: Vec<Props> = world.services.iter().map(|_| one(self, chance)).collect();
            let data = json::write(&here);
            let write =
                Write::Put { collection: COLLECTION.into(), id: None, data, if_seq: None, overwrite: false, merge: false };
            let written = world.write(None, vec![write]);
            world.trace.line(|| format!("founder: {} -> {written:?}", trace::props(&here)));
            self.history.makes(Who::App, &here);
            for (at, props) in there.into_iter().enumerate() {
                let mut service = lock(&world.services[at]);
                let id = service.new_id();
                service.store(&id, Some(props));
                let props = service.props(&id).cloned().unwrap_or_default();
                drop(service);
                world.trace.line(|| format!("founder at {at}: {id} {}", trace::props(&props)));
                self.history.makes(Who::Colleague(at), &props);
            }
        }
    }

    /// Whether a record that was at every place from the first is known to be the same at all of them. Before that, whoever deleted it would
    /// delete their own, and the others would live on.
    pub fn is_met(&self, world: &World, props: &Props) -> bool {
        let number = words::key(props).and_then(|key| key.strip_prefix('k')?.parse::<usize>().ok());
        let sql = "SELECT count(*) FROM m_link l JOIN m_record r USING (record)
                   WHERE l.replica > 0 AND l.remote_id IS NOT NULL AND r.state = 0 AND json_extract(r.data, '$.k') = ?1";
        let links = |key: &str| world.store.read(|reader| Ok(reader.query_row(sql, [key], |row| row.get::<_, usize>(0))?));
        match number {
            Some(number) if number <= world.setup.founders => {
                links(&format!("k{number}")).expect("the store reads") >= world.services.len()
            }
            _ => true,
        }
    }

    /// An app does something.
    pub fn app(&mut self, world: &mut World, chance: &mut Chance) {
        if !world.setup.sends() {
            return;
        }
        self.known = self.next_value;
        let mut truth = world.truth();
        truth.retain(|(_, _, props)| words::key(props).is_none_or(|key| !self.elsewhere.contains(&key)));
        if truth.is_empty() || (truth.len() < RECORDS_MAX && chance.one_in(5)) {
            return self.app_makes(world, chance);
        }
        let (id, seq, props) = chance.pick(&truth).clone();
        if !world.setup.policy.references.is_empty() && chance.one_in(3) {
            let to = chance.pick(&truth).0.clone();
            return self.app_refers(world, chance, &id, Some(&to));
        }
        match chance.below(12) {
            0 => self.app_deletes(world, &id, seq, &props),
            1 => {
                self.memory.insert(id, (seq, props));
            }
            2 => self.app_merges(world, chance, &id),
            3 => self.app_puts(world, chance, &id, seq, &props),
            4 => self.app_makes_again(world, chance),
            _ => self.app_patches(world, chance, &id, &props),
        }
    }

    pub fn app_makes(&mut self, world: &mut World, chance: &mut Chance) {
        let props = self.new_record(world, chance);
        let id = chance.one_in(2).then(|| format!("app{}", self.next_key));
        let data = json::write(&props);
        let write = Write::Put { collection: COLLECTION.into(), id, data, if_seq: None, overwrite: false, merge: false };
        if self.write(world, chance, write) {
            self.history.makes(Who::App, &props);
        }
    }

    fn app_makes_again(&mut self, world: &mut World, chance: &mut Chance) {
        if self.buried.is_empty() {
            return;
        }
        let at = chance.below(self.buried.len());
        let (id, key) = self.buried.swap_remove(at);
        let mut props = self.new_record(world, chance);
        props.insert(KEY.to_owned(), words::text(&key));
        let data = json::write(&props);
        let write =
            Write::Put { collection: COLLECTION.into(), id: Some(id), data, if_seq: Some(0), overwrite: false, merge: false };
        if self.write(world, chance, write) {
            self.history.revives(Who::App, &props);
        }
    }

    pub fn app_patches(&mut self, world: &mut World, chance: &mut Chance, id: &str, props: &Props) {
        let property = *chance.pick(&PROPERTIES);
        let value = if chance.one_in(8) { None } else { Some(self.value(world, chance)) };
        self.app_sets(world, chance, id, props, property, value.as_deref());
    }

    /// An app that sees the present record writes one property.
    pub fn app_sets(
        &mut self,
        world: &mut World,
        chance: &mut Chance,
        id: &str,
        props: &Props,
        property: &str,
        value: Option<&str>,
    ) {
        if value.is_none() && words::at(props, property).is_none() {
            return;
        }
        let patch = Props::from([(property.to_owned(), value.map_or(Value::Null, words::text))]);
        let write = Write::Patch { collection: COLLECTION.into(), id: id.to_owned(), patch: json::write(&patch), if_seq: None };
        if self.write(world, chance, write) {
            self.history.edits(Who::App, props, property, value);
        }
    }

    /// An app lets a record refer to another, or to nothing. Ids are written more than once: the oracle compares who is named.
    pub fn app_refers(&mut self, world: &mut World, chance: &mut Chance, id: &str, to: Option<&str>) {
        let to = to.filter(|_| !chance.one_in(5));
        let patch = Props::from([(PARENT.to_owned(), to.map_or(Value::Null, words::text))]);
        let write = Write::Patch { collection: COLLECTION.into(), id: id.to_owned(), patch: json::write(&patch), if_seq: None };
        self.write(world, chance, write);
    }

    fn app_puts(&mut self, world: &mut World, chance: &mut Chance, id: &str, seq: u64, props: &Props) {
        let property = *chance.pick(&PROPERTIES);
        let value = self.value(world, chance);
        let mut new = props.clone();
        new.insert(property.to_owned(), words::text(&value));
        let write = Write::Put {
            collection: COLLECTION.into(),
            id: Some(id.to_owned()),
            data: json::write(&new),
            if_seq: Some(seq),
            overwrite: false,
            merge: false,
        };
        if self.write(world, chance, write) {
            self.history.edits(Who::App, props, property, Some(&value));
        }
    }

    /// An app writes a whole record over what it read a while ago, as a meeting.
    fn app_merges(&mut self, world: &mut World, chance: &mut Chance, id: &str) {
        let Some((seq, base)) = self.memory.remove(id) else { return };
        let property = *chance.pick(&PROPERTIES);
        let value = self.value(world, chance);
        let mut new = base.clone();
        new.insert(property.to_owned(), words::text(&value));
        let write = Write::Put {
            collection: COLLECTION.into(),
            id: Some(id.to_owned()),
            data: json::write(&new),
            if_seq: Some(seq),
            overwrite: false,
            merge: true,
        };
        if self.write(world, chance, write) {
            self.history.edits(Who::App, &base, property, Some(&value));
        }
    }

    fn app_deletes(&mut self, world: &mut World, id: &str, seq: u64, props: &Props) {
        if !self.is_met(world, props) {
            return;
        }
        let write = Write::Delete { collection: COLLECTION.into(), id: id.to_owned(), if_seq: Some(seq) };
        if self.write(world, &mut Chance::new(seq), write) {
            self.history.ends(Who::App, props, true);
            if let Some(key) = words::key(props) {
                self.keys.insert(id.to_owned(), key.clone());
                self.buried.push((id.to_owned(), key));
            }
        }
    }

    /// Writes; true: acknowledged. Now and then the answer is lost on the way to the app, which then repeats its op later.
    fn write(&mut self, world: &mut World, chance: &mut Chance, write: Write) -> bool {
        self.next_op += 1;
        let op = format!("op{}", self.next_op);
        // By a chance of its own: whatever else a seed says stays as it was.
        let mut own = Chance::new(0xDEFE ^ self.next_op as u64);
        let write = write.deferred(own.one_in(world.setup.defers));
        let told = world.trace.on().then(|| format!("{write:?}"));
        let mut kept = written_props(&write);
        // What it only repeats may have left before.
        let number = |value: &Value| match value {
            Value::Text(text) => text.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap_or(0),
            _ => 0,
        };
        kept.retain(|_, value| number(value) > self.known);
        let again = chance.one_in(4).then(|| write.clone());
        let written = world.write(Some(op.clone()), vec![write]);
        world.trace.line(|| format!("app: {} -> {written:?}", told.unwrap_or_default()));
        if written.is_ok() {
            self.kept.writes(&kept);
        }
        if let (Ok(first), Some(write)) = (&written, again) {
            let repeated = world.write(Some(op), vec![write]);
            if repeated.as_ref().map(|written| &written.writes) != Ok(&first.writes) {
                self.wrong.push(format!("a repeated op did something: {first:?}, then {repeated:?}"));
            }
        }
        written.is_ok()
    }

    /// Somebody marks all for upload that was deferred.
    pub fn uploads(&mut self, world: &mut World) {
        self.wrong.extend(self.kept.wrong(world));
        self.kept.lets_go();
        let marked = waits::uploads(world, None);
        world.trace.line(|| format!("app: marks for upload what was deferred: {marked}"));
    }

    /// Looks at the lists of what waits, and that nothing has left that was to stay.
    pub fn look_at_lists(&mut self, world: &World) {
        if self.looks {
            self.wrong.extend(waits::wrong(world));
        }
        self.wrong.extend(self.kept.wrong(world));
    }

    /// Whoever waits for a write is told that a service has it only if the service has had each of its values.
    pub fn ask_what_is_there(&mut self, world: &World) {
        for (at, remote_id, props) in world.confirmed() {
            let service = lock(&world.services[at]);
            for (name, value) in PROPERTIES.iter().filter_map(|name| Some((*name, words::at(&props, name)?))) {
                if service.had.contains(&(remote_id.clone(), name.to_owned(), value.clone())) {
                    continue;
                }
                self.wrong.push(format!("said to be there: {remote_id}.{name}={value}, which service {at} never had"));
            }
        }
    }

    /// Looks whether a record is there that must not be, while everything is still going on.
    pub fn look_around(&mut self, world: &World, terms: Terms) {
        if world.looks_for_creates() {
            return;
        }
        self.wrong.extend(self.history.check_meanwhile(&found::found(world, &self.keys, Vec::new()), terms));
    }

    /// A colleague does something at a service.
    pub fn colleague(&mut self, world: &mut World, chance: &mut Chance, at: usize) {
        let live: Vec<(String, Props)> = {
            let service = lock(&world.services[at]);
            service.live().map(|(id, props)| (id.clone(), props.clone())).collect()
        };
        if live.is_empty() || (live.len() < RECORDS_MAX && chance.one_in(5)) {
            return self.colleague_makes(world, chance, at);
        }
        let (id, props) = chance.pick(&live).clone();
        if !world.setup.policy.references.is_empty() && chance.one_in(3) {
            let to = (!chance.one_in(5)).then(|| chance.pick(&live).0.clone());
            return self.colleague_refers(world, at, &id, &props, to.as_deref());
        }
        if chance.one_in(10) {
            return self.colleague_deletes(world, at, &id, &props);
        }
        let property = *chance.pick(&PROPERTIES);
        self.next_value += 1;
        let value = words::fresh(self.next_value, world.setup.tidies());
        let value = (!chance.one_in(8)).then_some(value);
        self.colleague_sets(world, at, &id, &props, property, value.as_deref());
        let mut service = lock(&world.services[at]);
        let odds = service.faults.poison;
        if chance.one_in(odds) {
            service.poison(&id);
            drop(service);
            world.trace.line(|| format!("service {at}: {id} cannot be read"));
        }
    }

    pub fn colleague_makes(&mut self, world: &mut World, chance: &mut Chance, at: usize) {
        let props = self.new_record(world, chance);
        let mut service = lock(&world.services[at]);
        let id = service.new_id();
        service.store(&id, Some(props));
        let props = service.props(&id).cloned().unwrap_or_default();
        drop(service);
        world.trace.line(|| format!("colleague {at}: makes {id} {}", trace::props(&props)));
        if at > 0 && !world.setup.is_mirror(at) {
            self.elsewhere.extend(words::key(&props));
        }
        self.history.makes(Who::Colleague(at), &props);
        if at > 0 && !world.setup.is_mirror(0) {
            self.history.stays_away(&props);
        }
    }

    /// A colleague who sees the present record writes one property.
    pub fn colleague_sets(&mut self, world: &mut World, at: usize, id: &str, props: &Props, property: &str, value: Option<&str>) {
        if value.is_none() && words::at(props, property).is_none() {
            return;
        }
        let mut new = props.clone();
        match value {
            Some(value) => new.insert(property.to_owned(), words::text(value)),
            None => new.remove(property),
        };
        lock(&world.services[at]).store(id, Some(new));
        world.trace.line(|| format!("colleague {at}: {id}.{property} = {value:?} over {}", trace::props(props)));
        self.history.edits(Who::Colleague(at), props, property, value);
    }

    /// A colleague lets a record refer to another of the service, or to nothing.
    pub fn colleague_refers(&mut self, world: &mut World, at: usize, id: &str, props: &Props, to: Option<&str>) {
        let mut new = props.clone();
        match to {
            Some(to) => new.insert(PARENT.to_owned(), words::text(to)),
            None => new.remove(PARENT),
        };
        lock(&world.services[at]).store(id, Some(new));
        world.trace.line(|| format!("colleague {at}: {id} refers to {to:?}, was {}", trace::props(props)));
    }

    pub fn colleague_deletes(&mut self, world: &mut World, at: usize, id: &str, props: &Props) {
        if !self.is_met(world, props) {
            return;
        }
        lock(&world.services[at]).store(id, None);
        world.trace.line(|| format!("colleague {at}: deletes {id} {}", trace::props(props)));
        let known = world.knows(at, id);
        // Another service may have been sent it, and what came of that is told under the id it had here.
        let key = words::key(props);
        let here = world.truth().into_iter().find(|(_, _, here)| key.is_some() && words::key(here) == key);
        self.keys.extend(here.and_then(|(id, ..)| Some((id, key?))));
        self.history.ends(Who::Colleague(at), props, known);
    }
}
