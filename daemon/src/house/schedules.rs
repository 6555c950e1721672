//! Owns: what is asked of when syncs run, handed to the loop. Must never know: the wire, what makes a sync due.

use mingle_core::{
    ask::Pinged,
    engine::{Answer, Ask},
};

use super::House;
use crate::ipc::door::{Later, Schedules};

impl Schedules for House {
    fn ping(&self, syncs: Vec<String>, remote: Option<String>) -> Later<Vec<Pinged>> {
        self.asked(
            Ask::Ping { syncs, remote },
            |answer| if let Answer::Pinged(pinged) = answer { Ok(pinged) } else { Err(answer) },
        )
    }
}
