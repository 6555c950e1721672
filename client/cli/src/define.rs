//! Owns: `mingle define` and `mingle undefine`. Must never know: what stands in a definition.

use mingle_client::call::{self, DefineOutcome, IfExists};

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    input::{self, Json},
    next,
    words::{count, plain},
};

/// Define a sync beside those of the configuration, as an app does; it is kept until `mingle undefine`.
#[derive(Debug, clap::Args)]
pub struct Define {
    /// Its name.
    sync: String,
    /// A JSON object with the keys of [sync.NAME], or - for standard input.
    #[arg(value_name = "JSON|-", value_parser = input::json)]
    definition: Json,
    /// What becomes of one of that name that an app has defined before: keep, update (as without) or replace.
    #[arg(long, value_name = "HOW")]
    if_exists: Option<IfExists>,
    /// When its next run is: a time (2026-01-02T03:04:05Z), or in how long (10m, 2h). Nothing where it is kept.
    #[arg(long, value_name = "TIME")]
    next: Option<String>,
}

impl Define {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { sync, definition, if_exists, next } = self;
        let next_run_at = next.map(|text| next::parsed(&text, clock::now())).transpose()?;
        let call = call::SyncDefine { sync: sync.clone(), definition: definition.read()?, if_exists, next_run_at };
        at.show(call, |answer| {
            plain(&match answer.outcome {
                DefineOutcome::Kept => format!("{sync} stays as it was"),
                outcome => format!("{sync} is {outcome} (generation {})", answer.generation),
            })
        })?;
        Ok(Exit::Done)
    }
}

/// Take out a sync that an app has defined; what it brought stays.
#[derive(Debug, clap::Args)]
pub struct Undefine {
    /// The sync.
    sync: String,
}

impl Undefine {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { sync } = self;
        at.show(call::SyncRemove { sync: sync.clone() }, |answer| {
            plain(&match usize::try_from(answer.pending).unwrap_or(usize::MAX) {
                0 => format!("{sync} is gone; what it brought stays"),
                pending => format!(
                    "{sync} is gone, and {} that it was to send wait; defined again as it was, it sends them",
                    count(pending, "change")
                ),
            })
        })?;
        Ok(Exit::Done)
    }
}
