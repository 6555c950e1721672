//! Owns: what is asked of when syncs run, of the daemon that the tests of the socket speak with. Must never know: a schedule.

use std::{
    future::ready,
    sync::{Arc, Mutex},
    time::Duration,
};

use mingle_core::{
    ask::{Freshness, NextRun, Outcome, Pinged, Redefine, Redefined, Scope, SyncState, SyncsWaited, Wants},
    engine::Until,
    time::Timestamp,
};

use super::Model;
use crate::ipc::door::{Follows, Later, Schedules};

/// Stands in the list as long as it lives.
struct Follower(Arc<Mutex<Vec<Scope>>>, Scope);

impl Drop for Follower {
    fn drop(&mut self) {
        let mut followed = self.0.lock().unwrap();
        if let Some(at) = followed.iter().position(|scope| *scope == self.1) {
            followed.remove(at);
        }
    }
}

impl Model {
    /// Once it is settled, or the time is up.
    pub(super) fn when<T: Send + 'static>(
        &self,
        name: String,
        timeout: Duration,
        then: impl FnOnce(bool) -> T + Send + 'static,
    ) -> Later<T> {
        let mut settled = self.settled.subscribe();
        Box::pin(async move {
            let done = tokio::time::timeout(timeout, settled.wait_for(|settled| settled.contains(&name))).await.is_ok();
            Ok(then(done))
        })
    }
}

impl Schedules for Model {
    fn follows(&self, scope: &Scope, _: Option<Wants>) -> Follows {
        self.followed.lock().unwrap().push(scope.clone());
        Follows::by(Follower(Arc::clone(&self.followed), scope.clone()))
    }

    fn fresh(&self, _: String, _: Duration, timeout: Duration) -> Later<Freshness> {
        self.when("fresh".into(), timeout, |_| Freshness { at: Some(Timestamp::from_unix_ms(0)), ..Freshness::default() })
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
