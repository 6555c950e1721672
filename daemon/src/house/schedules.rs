//! Owns: what is asked of when syncs run, handed to the loop. Must never know: the wire, what makes a sync due.

use mingle_core::{
    ask::{Pinged, Redefine, Redefined, Refusal},
    engine::{Answer, Ask},
};

use tokio::sync::oneshot;

use super::House;
use crate::{
    ipc::door::{Follows, Later, Schedules},
    run::Letter,
};

impl Schedules for House {
    fn follows(&self, collections: Option<Vec<String>>) -> Follows {
        self.follow(collections)
    }

    fn redefine(&self, change: Redefine) -> Later<Redefined> {
        let inbox = self.0.inbox.clone();
        Box::pin(async move {
            tracing::info!(sync = change.sync(), "an app changes what it has defined");
            let going = || Refusal::Stopped("mingled is going down".into(), None);
            let (sender, answer) = oneshot::channel();
            inbox.send(Letter::Redefine(change, sender)).await.map_err(|_| going())?;
            answer.await.map_err(|_| going())?
        })
    }

    fn ping(&self, syncs: Vec<String>, remote: Option<String>) -> Later<Vec<Pinged>> {
        self.asked(
            Ask::Ping { syncs, remote },
            |answer| if let Answer::Pinged(pinged) = answer { Ok(pinged) } else { Err(answer) },
        )
    }
}
