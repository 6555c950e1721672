//! Owns: `mingle shutdown`. Must never know: how the daemon ends.

use mingle_client::{
    CallError,
    blocking::Client,
    call::{self},
};

use crate::{
    at::At,
    exit::{Exit, Failure},
};

/// End mingled, after its runs came to a safe point. Apps lose their connection.
#[derive(Debug, clap::Args)]
pub struct Shutdown {}

impl Shutdown {
    #[expect(clippy::unused_self, reason = "every subcommand is run the same way")]
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        at.with_any_version()?;
        // Not through `At::ask`: a daemon that goes away has done what it was asked.
        match Client::open(at.options())?.call_raw(call::Shutdown {}) {
            Ok(raw) if at.json => at.line(raw.get())?,
            Ok(_) => at.line("mingled ends when its runs have come to a safe point; `mingled` starts it again")?,
            Err(CallError::Lost { .. }) if at.json => at.line("{\"state\":\"stopped\"}")?,
            Err(CallError::Lost { .. }) => at.line("mingled has ended; `mingled` starts it again")?,
            Err(error) => return Err(error.into()),
        }
        Ok(Exit::Done)
    }
}
