//! Owns: which collections apps follow and read, told to the loop. Must never know: what comes of it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mingle_core::{
    engine::{Event, Followed},
    limits::READS_TOLD_EVERY,
    time::Timestamp,
};
use tokio::sync::watch;

use super::House;
use crate::{clock, ipc::door::Follows, run::Letter};

/// Who follows what, by collection (none: all there are), and which reads were told when.
pub(super) struct Wanted {
    counts: Mutex<BTreeMap<Option<String>, usize>>,
    followed: watch::Sender<Followed>,
    reads: Mutex<HashMap<String, Timestamp>>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self { counts: Mutex::default(), followed: watch::Sender::new(Followed::default()), reads: Mutex::default() }
    }
}

impl Wanted {
    fn count(&self, names: &[Option<String>], change: impl Fn(&mut usize)) {
        let mut counts = locked(&self.counts);
        for name in names {
            change(counts.entry(name.clone()).or_default());
        }
        counts.retain(|_, count| *count > 0);
        let followed =
            Followed { all: counts.contains_key(&None), collections: counts.keys().filter_map(Clone::clone).collect() };
        // Under the lock, so that the last that is told is what is so.
        self.followed.send_if_modified(|told| {
            let other = *told != followed;
            *told = followed;
            other
        });
    }
}

/// Follows, as long as it lives.
struct Follower {
    wanted: Arc<Wanted>,
    names: Vec<Option<String>>,
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.wanted.count(&self.names, |count| *count = count.saturating_sub(1));
    }
}

impl House {
    /// The collections that are followed, whenever they are others.
    pub fn followed(&self) -> watch::Receiver<Followed> {
        self.0.wanted.followed.subscribe()
    }

    pub(super) fn follow(&self, collections: Option<Vec<String>>) -> Follows {
        let names = collections.map_or_else(|| vec![None], |names| names.into_iter().map(Some).collect());
        let wanted = Arc::clone(&self.0.wanted);
        wanted.count(&names, |count| *count += 1);
        Follows::by(Follower { wanted, names })
    }

    /// An app reads this collection: where an interval goes by that, the loop is told now and then.
    pub(super) fn reads(&self, collection: &str) {
        if !self.0.setup.borrow().adapts.contains(collection) {
            return;
        }
        let now = clock::now();
        let mut reads = locked(&self.0.wanted.reads);
        if reads.get(collection).is_some_and(|told| *told <= now && now.since(*told) < READS_TOLD_EVERY) {
            return;
        }
        reads.insert(collection.to_owned(), now);
        // A full inbox has more important things; the next read is told.
        let _ = self.0.inbox.try_send(Letter::Event(Event::Read(collection.to_owned())));
    }
}

fn locked<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}
