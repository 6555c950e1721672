//! Owns: `mingle stop`. Must never know: how a run stops.

use mingle_client::call::{self, DaemonState, StateAnswer};

use crate::{
    at::At,
    exit::{Exit, Failure},
    words::{count, plain},
};

/// Suspend all runs and refuse new ones, until `mingle restart`. Apps go on.
#[derive(Debug, clap::Args)]
pub struct Stop {}

impl Stop {
    #[expect(clippy::unused_self, reason = "every subcommand is run the same way")]
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        at.with_any_version()?;
        at.show(call::Stop { lease: false }, text)?;
        Ok(Exit::Done)
    }
}

fn text(answer: &StateAnswer) -> String {
    let runs = count(answer.runs.len(), "run");
    let names = if answer.runs.is_empty() { String::new() } else { format!(" ({})", answer.runs.join(", ")) };
    let what = match answer.state {
        DaemonState::Stopping => format!("stopping {runs}{names} at the next safe point"),
        _ if answer.runs.is_empty() => "stopped; no run was on".to_owned(),
        _ => format!("stopped {runs}{names}"),
    };
    format!("{}\napps go on; `mingle restart` accepts again; `mingle shutdown` ends mingled", plain(&what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_said() {
        #[track_caller]
        fn check(state: DaemonState, runs: &[&str], expect: &str) {
            let text = text(&StateAnswer { state, runs: runs.iter().map(ToString::to_string).collect() });
            assert!(text.starts_with(expect) && text.contains("mingle restart") && text.contains("mingle shutdown"), "{text}");
        }
        check(DaemonState::Stopping, &["r-1", "r-2"], "stopping 2 runs (r-1, r-2) at the next safe point\n");
        check(DaemonState::Stopped, &["r-1"], "stopped 1 run (r-1)\n");
        check(DaemonState::Stopped, &[], "stopped; no run was on\n");
    }
}
