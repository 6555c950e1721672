//! Owns: what the world is, in the words of the schedule, as letters to the loop. Must never know: what the loop does.

use mingle_core::{engine::Event, schedule::Conditions};
use tokio::sync::mpsc;

use super::Letter;
use crate::conditions::{Watched, World};

/// What is known at the start.
pub(super) fn first(watched: &Watched) -> Event {
    event(watched.world())
}

/// And whatever changes from then on.
pub(super) async fn to_conditions(mut watched: Watched, inbox: mpsc::Sender<Letter>) {
    let mut before = watched.world();
    loop {
        watched.changed().await;
        let now = watched.world();
        if now != before {
            tracing::info!(?now, "conditions are others");
            before = now;
            if inbox.send(Letter::Event(event(now))).await.is_err() {
                return;
            }
        }
    }
}

fn event(world: World) -> Event {
    let World { sleeps, online, metered, charging, battery_low, storage_low, idle } = world;
    let conditions = Conditions { sleeps, online, metered, charging, battery_low, storage_low, idle, ..Conditions::default() };
    Event::Conditions(conditions)
}
