//! Owns: `mingle pause`. Must never know: the schedule.

use mingle_client::call;

use crate::{
    at::At,
    exit::{Exit, Failure},
    tags::Which,
    words::plain,
};

/// Suspend a sync, or all with a tag, until `mingle resume`.
#[derive(Debug, clap::Args)]
pub struct Pause {
    #[command(flatten)]
    which: Which,
}

impl Pause {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        for sync in self.which.names(at)? {
            at.show(call::SyncPause { sync: sync.clone() }, |answer| {
                plain(&format!("{sync} is paused ({}); `mingle resume {sync}` lets it run again\n", answer.state))
            })?;
        }
        Ok(Exit::Done)
    }
}
