//! Owns: `mingle resume`. Must never know: the schedule.

use mingle_client::call;

use crate::{
    at::At,
    exit::{Exit, Failure},
    tags::Which,
    words::plain,
};

/// Let a paused sync run again.
#[derive(Debug, clap::Args)]
pub struct Resume {
    #[command(flatten)]
    which: Which,
}

impl Resume {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        for sync in self.which.names(at)? {
            at.show(call::SyncResume { sync: sync.clone() }, |answer| {
                plain(&format!("{sync} may run again ({}); `mingle explain {sync}` says when\n", answer.state))
            })?;
        }
        Ok(Exit::Done)
    }
}
