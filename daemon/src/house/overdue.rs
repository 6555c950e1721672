//! Owns: holding what was due against what ran: a sync that is due for longer than its `alert_after`, and has not run, is told. Must never know: how it
//! is decided when one is due.

use std::sync::PoisonError;

use mingle_core::{ask::DaemonState, engine::SyncShown, time::Timestamp};

use super::House;
use crate::clock;

impl House {
    /// Looks at every sync, and tells.
    pub fn watch_syncs(&self) {
        let (now, board) = (clock::now(), self.0.board.borrow().clone());
        self.tell_overdue(now, board.state.0, &board.shown(now));
    }

    /// Tells people which of all syncs are due and do not run, and which are not any more. Under a stop nothing runs, and that is told already.
    pub(super) fn tell_overdue(&self, now: Timestamp, state: DaemonState, syncs: &[SyncShown]) {
        // While nothing could run, nothing was late.
        let mut watch = self.0.watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.looks(now, state == DaemonState::Running);
        let watch = watch.clone();
        let (config, mut overdue) = (self.config(), Vec::new());
        for shown in syncs.iter().filter(|_| state == DaemonState::Running) {
            // What waits for its hours was meant to.
            let in_hours = shown.holds.first().is_none_or(|hold| hold.name != "window");
            let Some(since) = shown.overdue_since.filter(|_| in_hours) else { continue };
            let alert_after = config.syncs.get(&*shown.sync).map(|sync| sync.timing.alert_after);
            if !alert_after.is_some_and(|after| since < now && watch.silence(since, now) >= after) {
                continue;
            }
            let why = match shown.holds.first() {
                Some(hold) => format!("{}: {}, needs {}", hold.name, hold.has, hold.needs),
                None => "its run does not end".into(),
            };
            let hint = format!("it is due, and does not come to an end ({why}); `mingle explain {}` says more", shown.sync);
            self.notices().stands("overdue", &shown.sync, hint);
            overdue.push(&*shown.sync);
        }
        self.notices().only("overdue", &overdue);
    }
}
