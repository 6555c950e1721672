//! Owns: `mingle pause`. Must never know: the schedule.

use mingle_client::call;

use crate::{
    at::At,
    exit::{Exit, Failure},
    words::plain,
};

/// Suspend one sync until `mingle resume`.
#[derive(Debug, clap::Args)]
pub struct Pause {
    /// The sync.
    sync: String,
}

impl Pause {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { sync } = self;
        at.show(call::SyncPause { sync: sync.clone() }, |answer| {
            plain(&format!("{sync} is paused ({}); `mingle resume {sync}` lets it run again", answer.state))
        })?;
        Ok(Exit::Done)
    }
}
