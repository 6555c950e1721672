//! Owns: `mingle resume`. Must never know: the schedule.

use mingle_client::call;

use crate::{
    at::At,
    exit::{Exit, Failure},
    words::plain,
};

/// Let a paused sync run again.
#[derive(Debug, clap::Args)]
pub struct Resume {
    /// The sync.
    sync: String,
}

impl Resume {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { sync } = self;
        at.show(call::SyncResume { sync: sync.clone() }, |answer| {
            plain(&format!("{sync} may run again ({}); `mingle explain {sync}` says when", answer.state))
        })?;
        Ok(Exit::Done)
    }
}
