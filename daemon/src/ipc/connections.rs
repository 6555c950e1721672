//! Owns: who is connected, for `status`. Must never know: what they ask.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use mingle_core::time::Timestamp;

use super::authorize::Purpose;

/// Every connection of the sockets that share this, by a number that is never used again.
#[derive(Debug, Default)]
pub struct Connections(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    last: u64,
    open: BTreeMap<u64, Connected>,
}

/// One connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    /// The name it gave.
    pub app: Option<String>,
    /// Its process, a hint only.
    pub pid: Option<u32>,
    /// When it came.
    pub since: Timestamp,
    /// How many subscriptions it has.
    pub subscriptions: usize,
    /// Which socket it came by.
    pub purpose: Purpose,
}

impl Connections {
    /// Lets one in, unless there are `max` already that came by the same socket: who may only look never keeps an app out.
    pub fn enter(&self, purpose: Purpose, pid: Option<u32>, since: Timestamp, max: usize) -> Option<u64> {
        let mut inside = self.inside();
        if inside.open.values().filter(|one| one.purpose == purpose).count() >= max {
            return None;
        }
        inside.last += 1;
        let number = inside.last;
        inside.open.insert(number, Connected { app: None, pid, since, subscriptions: 0, purpose });
        Some(number)
    }

    /// It said who it is, or has another number of subscriptions.
    pub fn note(&self, number: u64, app: Option<&str>, subscriptions: usize) {
        if let Some(one) = self.inside().open.get_mut(&number) {
            one.app = app.map(str::to_owned);
            one.subscriptions = subscriptions;
        }
    }

    /// It is gone.
    pub fn leave(&self, number: u64) {
        self.inside().open.remove(&number);
    }

    /// All that are open, the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<Connected> {
        self.inside().open.values().cloned().collect()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
