//! Owns: what waits to be sent, asked as apps ask: that the lists are disjoint and complete at any moment, and that what is marked not
//! for upload never reaches a service. Must never know: how a run sends.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::{
    ask::{Forget, RollBack, RolledBack, Scope, WhichPending, Writer, Written},
    pending::State,
    record::{Carried, Props},
    run::Creates,
};
use mingled::{
    json,
    store::{
        self, StoreError, history, marks,
        sync::{
            self,
            pending::{self, Place},
        },
    },
};

use crate::{
    fake::lock,
    setup::SyncSetup,
    words::{self, PROPERTIES},
    world::{COLLECTION, World},
};

/// A page of so many: pages have borders in every schedule.
const PAGE: usize = 2;

fn writer() -> Writer {
    Writer { app: "tester".into(), op: None, instance: None }
}

/// Where changes are sent: first to the home of new records.
fn places(world: &World) -> Vec<Place> {
    let senders = world.setup.syncs.iter().filter(|sync| sync.direction.sends());
    let place = |sync: &SyncSetup| Place {
        sync: sync.name.into(),
        remote: format!("remote{}", sync.service),
        collection: COLLECTION.into(),
        replica: world.store.read(|reader| marks::replica(reader, sync.name)).expect("the store reads"),
        carried: carried(world, sync.service),
        up_only: !world.setup.brings(),
        creates: sync.creates,
    };
    senders.map(place).collect()
}

fn carried(world: &World, service: usize) -> Carried {
    world.setup.services[service].lacks.map_or(Carried::All, |lacks| Carried::AllBut([lacks.to_owned()].into()))
}

/// The list of one state, or of all, page by page: ids with their states. Of one place, or of all.
pub fn listed(world: &World, sync: Option<&str>, state: Option<State>) -> Vec<(String, State)> {
    let places = places(world);
    let mut which = WhichPending { scope: Scope::All, sync: sync.map(str::to_owned), state, limit: PAGE, cursor: None };
    let mut rows = Vec::new();
    loop {
        let page = world.store.read(|reader| pending::list(reader, &which, &places)).expect("the store reads");
        rows.extend(page.rows.into_iter().map(|row| (row.id, row.state)));
        match page.cursor {
            Some(cursor) => which.cursor = Some(cursor),
            None => return rows,
        }
    }
}

/// What is wrong with the lists now: S-37, V-13.
pub fn wrong(world: &World) -> Vec<String> {
    places(world).iter().flat_map(|place| wrong_at(world, place)).collect()
}

fn wrong_at(world: &World, place: &Place) -> Vec<String> {
    let mut wrong = Vec::new();
    let listed = |state| listed(world, Some(&place.sync), state);
    let all = listed(None);
    let ids: BTreeSet<&String> = all.iter().map(|(id, _)| id).collect();
    if ids.len() != all.len() {
        wrong.push(format!("pending: a record is listed twice: {all:?}"));
    }
    for state in State::ALL {
        let one: BTreeSet<(String, State)> = listed(Some(state)).into_iter().collect();
        let part: BTreeSet<(String, State)> = all.iter().filter(|(_, of)| *of == state).cloned().collect();
        if one != part {
            wrong.push(format!("pending: {} is {one:?}, and of all {part:?}", state.name()));
        }
    }
    if world.quiet() && all.iter().any(|(_, state)| *state == State::InFlight) {
        wrong.push(format!("pending: on its way, and nothing is under way: {all:?}"));
    }
    let open = world.store.read(|reader| {
        Ok::<_, StoreError>(
            reader
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM m_conflict WHERE open = 1)")?
                .query_row((), |row| row.get::<_, bool>(0))?,
        )
    });
    if let (true, false) = (all.is_empty(), open.expect("the store reads")) {
        let counts = world.store.read(|reader| history::counts(reader, &place.sync, Some((COLLECTION, place.creates))));
        let pending = counts.expect("it counts").pending;
        if pending > 0 {
            wrong.push(format!("pending: {pending} are counted, and none is listed"));
        }
    }
    for (id, why, must) in behind(world, place) {
        if ids.contains(&id) != must {
            wrong.push(format!("pending: {id} is {} ({why})", if must { "not listed" } else { "listed" }));
        }
    }
    wrong
}

/// What can be told of records without asking how pending is derived: id, why, and whether it has to be listed (else it must not).
fn behind(world: &World, place: &Place) -> Vec<(String, String, bool)> {
    let sql = "SELECT r.id, r.state, r.data, l.base, l.agreed,
                 EXISTS (SELECT 1 FROM json_each(l.sent) s WHERE coalesce(s.value ->> 'looked', 0) = 0), l.link IS NULL,
                 EXISTS (SELECT 1 FROM m_conflict c WHERE c.link = l.link AND c.open = 1),
                 EXISTS (SELECT 1 FROM m_link k WHERE k.record = r.record AND k.replica > 0)
               FROM m_record r LEFT JOIN m_link l ON l.record = r.record AND l.replica = ?1";
    let read = world.store.read(|reader| {
        let mut statement = reader.prepare_cached(sql)?;
        let mut rows = statement.query([place.replica])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let (id, state): (String, i64) = (row.get(0)?, row.get(1)?);
            let [data, agreed]: [Option<String>; 2] = [row.get(2)?, row.get(4)?];
            let (base, doubt, unlinked): (Option<i64>, bool, bool) = (row.get(3)?, row.get(5)?, row.get(6)?);
            let (frozen, elsewhere): (bool, bool) = (row.get(7)?, row.get(8)?);
            let read = |text: Option<String>| text.map(|text| json::parse_object(&text).expect("what was stored"));
            let (data, agreed) = (read(data), read(agreed));
            let differs = |here: &Props, there: &Props| {
                PROPERTIES.iter().any(|name| place.carried.has(name) && words::at(here, name) != words::at(there, name))
            };
            found.extend(match (unlinked, base, state) {
                (true, _, 0) => Some((id, "it is not there".into(), !elsewhere || place.creates == Creates::All)),
                (true, _, _) => Some((id, "it was never sent, and is gone".into(), false)),
                (_, _, 2) => Some((id, "it is forgotten".into(), false)),
                (_, Some(2), 0) => Some((id, "the remote lacks it".into(), true)),
                (_, Some(1), 1) => Some((id, "it was deleted here".into(), true)),
                (_, Some(0), _) if !doubt => Some((id, "it is the same there".into(), false)),
                (_, Some(1), 0) if !frozen => match (&data, &agreed) {
                    (Some(data), Some(agreed)) if differs(data, agreed) => Some((id, "it differs there".into(), true)),
                    (Some(data), Some(agreed)) if data == agreed && !doubt => {
                        Some((id, "it is the same there again".into(), false))
                    }
                    _ => None,
                },
                _ => None,
            });
        }
        Ok(found)
    });
    read.expect("the store reads")
}

/// Takes back what a record has pending, or what all have: one page.
pub fn rolls_back(world: &mut World, id: Option<&str>) -> Result<RolledBack, mingle_core::ask::Refusal> {
    let places = places(world);
    let ids: BTreeSet<String> = match id {
        Some(id) => [id.into()].into(),
        None => listed(world, None, None).into_iter().map(|(id, _)| id).collect(),
    };
    let ids: Vec<String> = ids.into_iter().collect();
    let asked = RollBack { collection: COLLECTION.into(), id: id.map(str::to_owned), cursor: None };
    world.commit(move |tx| sync::roll_back(tx, &writer(), &asked, &places, &ids, None))
}

/// Drops a record here.
pub fn forgets(world: &mut World, id: &str) -> Result<Written, mingle_core::ask::Refusal> {
    let (places, asked) = (places(world), Forget { collection: COLLECTION.into(), id: id.into(), if_seq: None });
    world.commit(move |tx| sync::forget(tx, &writer(), &asked, &places))
}

/// Marks for upload what was deferred: this record, or all.
pub fn uploads(world: &mut World, id: Option<&str>) -> u64 {
    let ids = id.map(|id| vec![id.to_owned()]);
    world.commit(move |tx| store::upload(tx, COLLECTION, ids.as_deref(), "tester")).expect("a mark").0
}

/// Values that were written to stay here, by property.
#[derive(Default)]
pub struct Kept(BTreeMap<String, BTreeSet<String>>);

impl Kept {
    /// These were written so.
    pub fn writes(&mut self, props: &Props) {
        for name in PROPERTIES {
            if let Some(value) = words::at(props, name) {
                self.0.entry(name.into()).or_default().insert(value);
            }
        }
    }

    /// All of it may go out now.
    pub fn lets_go(&mut self) {
        self.0.clear();
    }

    /// V-14: what of it a service has all the same.
    pub fn wrong(&self, world: &World) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.0.is_empty() {
            return wrong;
        }
        for service in &world.services {
            for (id, name, value) in &lock(service).had {
                if self.0.get(name).is_some_and(|kept| kept.contains(value)) {
                    wrong.push(format!("sent: {id}.{name}={value} was to stay here"));
                }
            }
        }
        wrong
    }
}
