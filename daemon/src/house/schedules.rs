//! Owns: what is asked of when syncs run, handed to the loop. Must never know: the wire, what makes a sync due.

use std::time::Duration;

use mingle_core::{
    ask::{Freshness, NextRun, Pinged, Redefine, Redefined, Scope, SyncsWaited, Wants},
    engine::{Answer, Ask, Until},
    time::Timestamp,
};

use super::House;
use crate::{
    ipc::door::{Follows, Later, Schedules},
    run::Letter,
    store::defined,
};

impl Schedules for House {
    fn follows(&self, collections: &Scope, wants: Option<Wants>) -> Follows {
        self.follow(collections, wants)
    }

    fn fresh(&self, collection: String, age: Duration, timeout: Duration) -> Later<Freshness> {
        self.until_fresh(collection, age, timeout)
    }

    fn redefine(&self, change: Redefine) -> Later<Redefined> {
        tracing::info!(sync = change.sync(), "an app changes what it has defined");
        self.answered(|sender| Letter::Redefine(change, sender))
    }

    fn ping(&self, syncs: Vec<String>, remote: Option<String>) -> Later<Vec<Pinged>> {
        self.asked(
            Ask::Ping { syncs, remote },
            |answer| if let Answer::Pinged(pinged) = answer { Ok(pinged) } else { Err(answer) },
        )
    }

    fn next_run(&self, sync: String, at: Option<Timestamp>) -> Later<NextRun> {
        self.asked(Ask::NextRun { sync, at }, |answer| if let Answer::Next(next) = answer { Ok(*next) } else { Err(answer) })
    }

    fn wait_syncs(&self, syncs: Option<Vec<String>>, until: Until, timeout: Duration) -> Later<SyncsWaited> {
        self.until_synced(syncs, until, timeout)
    }
}

impl House {
    /// The collection of a sync of the configuration in force, or of one that an app defined and that cannot be as the configuration is.
    pub(super) fn collection_of_sync(&self, sync: &str) -> Option<String> {
        let config = self.config();
        match config.syncs.get(sync) {
            Some(sync) => Some(sync.collection.clone()),
            None => {
                let rows = self.read(|reader| defined::all(reader)).unwrap_or_default();
                let row = rows.into_iter().find(|row| row.sync == sync)?;
                let keys: serde_json::Value = serde_json::from_str(&row.definition).ok()?;
                Some(keys.get("collection")?.as_str()?.to_owned())
            }
        }
    }
}
