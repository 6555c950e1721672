//! Owns: `mingle ping`. Must never know: what makes a sync due.

use mingle_client::call;

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    status,
    words::plain,
};

/// Say that there is something new at the remote: syncs are due now, each once, unless something holds them.
#[derive(Debug, clap::Args)]
pub struct Ping {
    /// The syncs.
    #[arg(required_unless_present = "remote", conflicts_with = "remote")]
    syncs: Vec<String>,
    /// Every sync with this remote.
    #[arg(long)]
    remote: Option<String>,
}

impl Ping {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { syncs, remote } = self;
        let syncs = remote.is_none().then_some(syncs);
        at.show(call::SyncPing { syncs, remote }, |answer| {
            let now = clock::now();
            let line = |one: &call::PingedSync| {
                let hold = one.hold.as_ref().map(|hold| format!("; {}", status::hold(hold, now))).unwrap_or_default();
                plain(&format!("{} is {}{hold}\n", one.sync, one.state))
            };
            answer.syncs.iter().map(line).collect::<String>()
        })?;
        Ok(Exit::Done)
    }
}
