//! Owns: what is asked of when syncs run, of the daemon that the tests of the socket speak with. Must never know: a schedule.

use std::{future::ready, time::Duration};

use mingle_core::{
    ask::{Freshness, NextRun, Outcome, Pinged, Redefine, Redefined, SyncState, SyncsWaited, Wants},
    engine::Until,
    time::Timestamp,
};

use super::Model;
use crate::ipc::door::{Follows, Later, Schedules};

impl Schedules for Model {
    fn follows(&self, _: Option<Vec<String>>, _: Option<Wants>) -> Follows {
        Follows::by(())
    }

    fn fresh(&self, _: String, _: Duration, _: Duration) -> Later<Freshness> {
        Box::pin(ready(Ok(Freshness { at: Some(Timestamp::from_unix_ms(0)), ..Freshness::default() })))
    }

    fn redefine(&self, _: Redefine) -> Later<Redefined> {
        Box::pin(ready(Ok(Redefined { outcome: Outcome::Created, generation: 1, orphaned: 0 })))
    }

    fn ping(&self, syncs: Vec<String>, _: Option<String>) -> Later<Vec<Pinged>> {
        let pinged = syncs.into_iter().map(|sync| Pinged { sync, state: SyncState::Ready, hold: None });
        Box::pin(ready(Ok(pinged.collect())))
    }

    fn next_run(&self, sync: String, next: Option<Timestamp>) -> Later<NextRun> {
        Box::pin(ready(Ok(NextRun { sync, state: SyncState::Waiting, next, hold: None })))
    }

    fn wait_syncs(&self, _: Option<Vec<String>>, _: Until, _: Duration) -> Later<SyncsWaited> {
        Box::pin(ready(Ok(SyncsWaited::default())))
    }
}
