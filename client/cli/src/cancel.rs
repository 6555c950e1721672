//! Owns: `mingle cancel`. Must never know: how a run ends.

use mingle_client::call;

use crate::{
    at::At,
    exit::{Exit, Failure},
    words::plain,
};

/// End the run of a sync for good, and the one that is asked for; changes and the schedule make it due again.
#[derive(Debug, clap::Args)]
pub struct Cancel {
    /// The sync.
    sync: String,
}

impl Cancel {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { sync } = self;
        at.show(call::SyncCancel { sync: sync.clone() }, |answer| {
            plain(&match answer.runs.as_slice() {
                [] => format!("no run of {sync} is on, and none is asked for"),
                runs => format!("cancelled {}; changes and the schedule make {sync} due again", runs.join(", ")),
            })
        })?;
        Ok(Exit::Done)
    }
}
