//! Owns: what the world is, and the store's disk, in the words of the schedule, as letters to the loop. Must never know: what the loop does.

use mingle_core::{engine::Event, schedule::Conditions};
use tokio::sync::{mpsc, watch};

use super::Letter;
use crate::{
    conditions::{Watched, World},
    store::Trouble,
};

/// The sources of all that the schedule calls conditions.
#[derive(Clone)]
pub(super) struct Weather {
    pub(super) watched: Watched,
    /// What is wrong with the store's disk.
    pub(super) disk: watch::Receiver<Option<Trouble>>,
}

impl Weather {
    /// What counts now.
    pub(super) fn now(&self) -> Conditions {
        let World { sleeps, online, metered, charging, battery_low, storage_low, idle } = self.watched.world();
        let disk_shut = self.disk.borrow().is_some();
        Conditions { stopped: None, sleeps, online, metered, charging, battery_low, storage_low, disk_shut, idle }
    }

    /// Tells the loop whatever is another than `before`, from then on.
    pub(super) async fn tell(mut self, mut before: Conditions, inbox: mpsc::Sender<Letter>) {
        loop {
            let now = self.now();
            if now == before {
                self.changed().await;
            } else {
                tracing::info!(?now, "conditions are others");
                before = now.clone();
                if inbox.send(Letter::Event(Event::Conditions(now))).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn changed(&mut self) {
        tokio::select! {
            () = self.watched.changed() => {}
            // The store ends after the loop, which ends this.
            Ok(()) = self.disk.changed() => {}
        }
    }
}
