//! Owns: what waits to be sent, from the question to the store: where changes of a collection go. Must never know: the wire, how a run
//! sends.

use std::collections::BTreeSet;

use mingle_core::ask::{Forget, Page, PendingRow, Refusal, RollBack, RolledBack, WhichPending, Writer, Written};

use super::{House, described};
use crate::{
    config::{Direction, SyncDefinition},
    ipc::door::Later,
    store::{
        self, limits, marks,
        sync::{
            self,
            pending::{self, Place},
        },
    },
};

impl House {
    /// Where changes are sent, by the names of the syncs: of each replica the first of its syncs.
    fn places(&self, reader: &store::Reader<'_>) -> Vec<Place> {
        let setup = self.setup();
        let several = setup.config.several();
        let place = |(name, sync): (&str, &SyncDefinition)| Place {
            sync: name.to_owned(),
            remote: sync.remote.clone(),
            collection: sync.collection.clone(),
            replica: marks::replica(reader, name).ok().flatten(),
            carried: setup.carried.get(&sync.remote).cloned().unwrap_or_default(),
            up_only: sync.direction == Direction::Up,
            creates: several.creates(sync),
        };
        several.senders().into_iter().map(place).collect()
    }

    /// Where changes of one collection are sent: first to the home of its new records.
    fn places_of(&self, collection: &str) -> Result<Vec<Place>, Refusal> {
        let config = self.config();
        let home = config.several().home(collection).map(|(name, _)| name);
        let places = |reader: &store::Reader<'_>| {
            reader.defined(collection)?;
            let mut places: Vec<Place> = self.places(reader).into_iter().filter(|place| place.collection == collection).collect();
            places.sort_by_key(|place| Some(place.sync.as_str()) != home);
            Ok(places)
        };
        self.read(places)
    }

    pub(super) fn pending_rows(&self, which: &WhichPending) -> Result<Page<PendingRow>, Refusal> {
        let mut which = which.clone();
        if let Some(sync) = &which.sync {
            let config = self.config();
            let asked = config.syncs.get(sync).ok_or_else(|| described::no_sync(sync, &config))?;
            // Of two syncs with one replica the first tells for both.
            let same = |(_, one): &(&str, &SyncDefinition)| asked.direction.is_up() && one.has_replica_of(asked);
            match config.several().senders_of(&asked.collection).into_iter().find(same) {
                Some((name, _)) => which.sync = Some(name.to_owned()),
                None => return Ok(Page { rows: Vec::new(), cursor: None }),
            }
        }
        self.read(|reader| pending::list(reader, &which, &self.places(reader)))
    }

    /// In transactions that are short, however many there are.
    pub(super) fn let_go(&self, app: String, collection: String, ids: Option<Vec<String>>) -> Later<u64> {
        let house = self.clone();
        Box::pin(async move {
            let mut marked = 0;
            loop {
                let (app, collection, ids) = (app.clone(), collection.clone(), ids.clone());
                let (some, more) = house.decide(move |tx| store::upload(tx, &collection, ids.as_deref(), &app)).await?;
                marked += some;
                if !more {
                    return Ok(marked);
                }
            }
        })
    }

    pub(super) fn taken_back(&self, writer: Writer, asked: RollBack) -> Later<RolledBack> {
        let house = self.clone();
        Box::pin(async move {
            let places = house.places_of(&asked.collection)?;
            if places.is_empty() {
                let told =
                    format!("no sync sends {}, so nothing of it is pending; `mingle undo` takes changes back", asked.collection);
                return Err(Refusal::Unsupported(told));
            }
            let (ids, cursor) = match &asked.id {
                Some(id) => (vec![id.clone()], None),
                None => {
                    let which = WhichPending {
                        scope: mingle_core::ask::Scope::Only(vec![asked.collection.clone()]),
                        sync: None,
                        state: None,
                        limit: limits::ROLLBACK_RECORDS_MAX,
                        cursor: asked.cursor.clone(),
                    };
                    let page = house.pending_rows(&which)?;
                    // One that waits for several remotes is taken back once.
                    let ids: BTreeSet<String> = page.rows.into_iter().map(|row| row.id).collect();
                    (ids.into_iter().collect(), page.cursor)
                }
            };
            house.decide(move |tx| sync::roll_back(tx, &writer, &asked, &places, &ids, cursor)).await
        })
    }

    pub(super) fn forgotten(&self, writer: Writer, asked: Forget) -> Later<Written> {
        let house = self.clone();
        Box::pin(async move {
            let places = house.places_of(&asked.collection)?;
            house.decide(move |tx| sync::forget(tx, &writer, &asked, &places)).await
        })
    }
}
