//! Owns: reads that wait until what is here is fresh. Must never know: the wire, what makes a sync run.

use std::time::Duration;

use mingle_core::{
    ask::Freshness,
    engine::{Answer, Ask},
    time::Timestamp,
};

use super::House;
use crate::{alarm, clock, ipc::door::Later};

/// Between two looks of a reader at syncs that run: what comes in a row is looked at once.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

impl House {
    /// Until what is here of a collection is no older than `age`, or the time is up, or nothing that comes by then would make it so. What is
    /// fresh already costs nobody anything.
    pub(super) fn until_fresh(&self, collection: String, age: Duration, timeout: Duration) -> Later<Freshness> {
        let (now, house) = (clock::now(), self.clone());
        let (since, deadline) = (now.minus(age), now.plus(timeout));
        Box::pin(async move {
            let (found, _) = house.freshness(&collection, since, deadline);
            if found.total == 0 {
                return Ok(found);
            }
            let mut board = house.0.board.clone();
            let settled = async {
                let since_then = Ask::ReadFresh { collection: collection.clone(), since };
                let Answer::Noted = house.ask(since_then).await? else { return Ok(found) };
                loop {
                    board.borrow_and_update();
                    let (found, comes) = house.freshness(&collection, since, deadline);
                    // The loop is gone: nothing will come any more.
                    if !comes || board.changed().await.is_err() {
                        return Ok(found);
                    }
                    alarm::pause(BETWEEN_LOOKS).await;
                }
            };
            match tokio::time::timeout(timeout, settled).await {
                Ok(found) => found,
                Err(_) => Ok(house.freshness(&collection, since, deadline).0),
            }
        })
    }

    fn freshness(&self, collection: &str, since: Timestamp, deadline: Timestamp) -> (Freshness, bool) {
        let board = self.0.board.borrow().clone();
        board.freshness(collection, since, deadline, clock::now())
    }
}
