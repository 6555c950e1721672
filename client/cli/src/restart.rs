//! Owns: `mingle restart`. Must never know: which runs were stopped.

use mingle_client::call::{self, DaemonState, StateAnswer};

use crate::{
    at::At,
    exit::{Exit, Failure},
    words::{count, plain},
};

/// Accept runs again after `mingle stop`.
#[derive(Debug, clap::Args)]
pub struct Restart {
    /// What the stop ended is due at once; otherwise the schedule goes on.
    #[arg(long)]
    resync_stopped: bool,
}

impl Restart {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let answer = at.show(call::Restart { resync_stopped: self.resync_stopped }, text)?;
        Ok(if answer.state == DaemonState::Running { Exit::Done } else { Exit::Waits })
    }
}

fn text(answer: &StateAnswer) -> String {
    if answer.state != DaemonState::Running {
        return format!("{}: an app holds a stop until its connection ends; `mingle status` names it", answer.state);
    }
    match answer.runs.as_slice() {
        [] => format!("{}: runs are accepted again", answer.state),
        runs => plain(&format!(
            "{}: runs are accepted again; {} due at once ({})",
            answer.state,
            count(runs.len(), "run"),
            runs.join(", ")
        )),
    }
}
