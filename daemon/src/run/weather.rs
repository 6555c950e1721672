//! Owns: what the world is, in the words of the schedule, as letters to the loop. Must never know: what the loop does.

use mingle_core::{engine::Event, schedule::Conditions};
use tokio::sync::mpsc;

use super::Letter;
use crate::conditions::{Watched, World};

/// What is known now, as the loop is to know it, and as itself.
pub(super) fn now(watched: &Watched) -> (Event, World) {
    let world = watched.world();
    (event(world), world)
}

/// And whatever is another than `before`, from then on.
pub(super) async fn to_conditions(mut watched: Watched, mut before: World, inbox: mpsc::Sender<Letter>) {
    loop {
        let now = watched.world();
        if now == before {
            watched.changed().await;
        } else {
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
