//! Owns: who is connected, for `status`. Must never know: what they ask.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use mingle_core::{limits::SESSION_SILENT_MAX, time::Timestamp};

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
    /// When it last spoke in a session; none: it never did.
    pub in_session: Option<Timestamp>,
    /// It listens to invitations.
    pub alerted: bool,
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
        let one = Connected { app: None, pid, since, subscriptions: 0, purpose, in_session: None, alerted: false };
        inside.open.insert(number, one);
        Some(number)
    }

    /// It said who it is, or has another number of subscriptions, or (`alerted`) listens to invitations.
    pub fn note(&self, number: u64, app: Option<&str>, subscriptions: usize, alerted: bool) {
        if let Some(one) = self.inside().open.get_mut(&number) {
            one.app = app.map(str::to_owned);
            one.subscriptions = subscriptions;
            one.alerted = alerted;
        }
    }

    /// It is gone.
    pub fn leave(&self, number: u64) {
        self.inside().open.remove(&number);
    }

    /// It speaks in a session.
    pub fn in_session(&self, number: u64, now: Timestamp) {
        if let Some(one) = self.inside().open.get_mut(&number) {
            one.in_session = Some(now);
        }
    }

    /// Whether a session of this connection is to be waited for: it is there, and has not been silent for too long.
    #[must_use]
    pub fn holds_session(&self, number: u64, now: Timestamp) -> bool {
        let inside = self.inside();
        let spoke = inside.open.get(&number).and_then(|one| one.in_session);
        spoke.is_some_and(|spoke| now.since(spoke) < SESSION_SILENT_MAX)
    }

    /// The apps that listen to invitations, each once.
    #[must_use]
    pub fn alerted(&self) -> Vec<String> {
        let inside = self.inside();
        let mut apps: Vec<String> = inside.open.values().filter(|one| one.alerted).filter_map(|one| one.app.clone()).collect();
        apps.sort();
        apps.dedup();
        apps
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_session_is_waited_for_while_its_connection_is_there_and_speaks() {
        let connections = Connections::default();
        let began = Timestamp::from_unix_ms(1_000);
        let number = connections.enter(Purpose::Apps, None, began, 1).expect("let in");
        let late = |by: Duration| connections.holds_session(number, began.plus(by));
        assert!(!late(Duration::ZERO), "it has none");
        connections.in_session(number, began);
        assert!(late(Duration::ZERO) && late(SESSION_SILENT_MAX - Duration::from_millis(1)));
        assert!(!late(SESSION_SILENT_MAX));
        connections.in_session(number, began.plus(SESSION_SILENT_MAX));
        assert!(late(SESSION_SILENT_MAX));
        connections.leave(number);
        assert!(!late(Duration::ZERO), "it is gone");
    }
}
