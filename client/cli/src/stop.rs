//! Owns: `mingle stop`. Must never know: how a run stops.

use std::{ffi::OsString, time::Duration};

use mingle_client::{
    blocking::Client,
    call::{self, DaemonState, StateAnswer},
};

use crate::{
    at::At,
    clock::{self, Deadline},
    exit::{Exit, Failure},
    lease,
    words::{count, plain},
};

/// Suspend all runs and refuse new ones, until `mingle restart`. Apps go on.
#[derive(Debug, clap::Args)]
pub struct Stop {
    /// Only as long as this command runs: it begins when no run is on any more, and `mingle stop` ends with its exit code.
    #[arg(long = "while", value_name = "COMMAND", num_args = 1.., allow_hyphen_values = true)]
    command: Vec<OsString>,
}

/// How long runs may take to their safe point: a batch is a transaction of milliseconds, a request that is under way is dropped.
const AT_REST_WITHIN: Duration = Duration::from_secs(60);

/// How often it is looked whether they have.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Stop {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        if self.command.is_empty() {
            at.with_any_version()?;
            at.show(call::Stop { lease: false }, text)?;
            return Ok(Exit::Done);
        }
        // As many are used to write it: `mingle stop --while -- COMMAND`.
        let command = self.command.strip_prefix(&["--".into()]).unwrap_or(&self.command);
        if command.is_empty() {
            let hint = "write it behind: `mingle stop --while -- rsync -a FROM TO`";
            return Err(Failure::said(Exit::Usage, "`--while` has no command", hint));
        }
        let mut client = Client::open(at.options())?;
        client.stop(call::Stop { lease: true })?;
        at_rest(&mut client)?;
        lease::run(at, client, command)
    }
}

/// Waits until no run is on.
pub fn at_rest(client: &mut Client) -> Result<(), Failure> {
    let until = Deadline::after(Some(AT_REST_WITHIN));
    while client.status(call::Status {})?.state == DaemonState::Stopping {
        if until.passed() {
            let what = format!("runs did not come to a safe point within {} s", AT_REST_WITHIN.as_secs());
            return Err(Failure::said(Exit::Timeout, what, "`mingle status` shows them; nothing was started"));
        }
        clock::pause(LOOK_AGAIN);
    }
    Ok(())
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
