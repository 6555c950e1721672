//! Owns: `mingle cancel`. Must never know: how a run ends.

use mingle_client::call;

use crate::{
    at::At,
    exit::{Exit, Failure},
    tags::Which,
    words::plain,
};

/// End the run of a sync for good, and the one that is asked for; changes and the schedule make it due again.
#[derive(Debug, clap::Args)]
pub struct Cancel {
    #[command(flatten)]
    which: Which,
}

impl Cancel {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        for sync in self.which.names(at)? {
            at.show(call::SyncCancel { sync: sync.clone() }, |answer| {
                plain(&match answer.runs.as_slice() {
                    [] => format!("no run of {sync} is on, and none is asked for\n"),
                    runs => format!("cancelled {}; changes and the schedule make {sync} due again\n", runs.join(", ")),
                })
            })?;
        }
        Ok(Exit::Done)
    }
}
