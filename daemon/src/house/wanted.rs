//! Owns: which collections apps follow and read, told to the loop. Must never know: what comes of it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mingle_core::{
    ask::{Scope, Wants},
    engine::{Event, Followed},
    limits::READS_TOLD_EVERY,
    schedule::Demand,
    time::Timestamp,
};
use tokio::sync::watch;

use super::House;
use crate::{clock, ipc::door::Follows, run::Letter};

/// Who follows what, by collection (none: all there are), how many in each way, and which reads were told when.
pub(super) struct Wanted {
    followers: Mutex<BTreeMap<Option<String>, Ways>>,
    followed: watch::Sender<Followed>,
    reads: Mutex<HashMap<String, Timestamp>>,
}

/// How many want it how fresh; none: they do not say. The strictest is the first that says.
type Ways = BTreeMap<Option<Wants>, usize>;

impl Default for Wanted {
    fn default() -> Self {
        Self { followers: Mutex::default(), followed: watch::Sender::new(Followed::default()), reads: Mutex::default() }
    }
}

impl Wanted {
    fn count(&self, names: &[Option<String>], wants: &Option<Wants>, change: impl Fn(&mut usize)) {
        let mut followers = locked(&self.followers);
        for name in names {
            let ways = followers.entry(name.clone()).or_default();
            change(ways.entry(wants.clone()).or_default());
            ways.retain(|_, count| *count > 0);
        }
        followers.retain(|_, ways| !ways.is_empty());
        let followed = Followed {
            all: followers.contains_key(&None),
            collections: followers.keys().filter_map(Clone::clone).collect(),
            demands: followers.iter().filter_map(|(name, ways)| Some((name.clone(), strictest(ways)?))).collect(),
        };
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
    wants: Option<Wants>,
}

fn strictest(ways: &Ways) -> Option<Demand> {
    let says = || ways.iter().filter_map(|(wants, count)| Some((wants.as_ref()?, *count)));
    let (Wants { age, by }, _) = says().next()?;
    Some(Demand { age: *age, by: by.clone(), count: says().map(|(_, count)| count).sum() })
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.wanted.count(&self.names, &self.wants, |count| *count = count.saturating_sub(1));
    }
}

impl House {
    /// The collections that are followed, whenever they are others.
    pub fn followed(&self) -> watch::Receiver<Followed> {
        self.0.wanted.followed.subscribe()
    }

    pub(super) fn follow(&self, collections: &Scope, wants: Option<Wants>) -> Follows {
        let names = match collections {
            Scope::All => vec![None],
            Scope::Only(names) => names.iter().cloned().map(Some).collect(),
        };
        let wanted = Arc::clone(&self.0.wanted);
        wanted.count(&names, &wants, |count| *count += 1);
        Follows::by(Follower { wanted, names, wants })
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
