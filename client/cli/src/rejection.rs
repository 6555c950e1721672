//! Owns: `mingle rejection`. Must never know: why a remote refuses.

use jiff::Timestamp;
use mingle_client::call::{self, With};

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    table::Table,
    words::{plain, when},
};

/// List and decide rejections: records that a sync could not settle.
#[derive(Debug, clap::Subcommand)]
pub enum Rejection {
    List(List),
    Resolve(Resolve),
}

/// Show rejections that stand.
#[derive(Debug, clap::Args)]
pub struct List {
    /// Only of this sync.
    sync: Option<String>,
}

/// Decide what becomes of a rejection.
#[derive(Debug, clap::Args)]
pub struct Resolve {
    /// The rejection, as listed.
    rejection: String,
    /// retry: once more, now. drop: leave the difference until a side changes. recreate: make it anew at the remote. rollback: take what
    /// the remote has.
    #[arg(long, value_name = "retry|drop|recreate|rollback")]
    with: With,
    /// The operation id of a decision that is repeated.
    #[arg(long, value_name = "OP")]
    op: Option<String>,
}

impl Rejection {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        match self {
            Self::List(list) => list.run(at),
            Self::Resolve(resolve) => resolve.run(at),
        }
    }
}

impl List {
    fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let mut call = call::RejectionList { sync: self.sync, cursor: None };
        let mut any = false;
        loop {
            let answer = at.show(call.clone(), |answer| text(&answer.rejections, clock::now()))?;
            any |= !answer.rejections.is_empty();
            match answer.cursor {
                Some(cursor) => call.cursor = Some(cursor),
                None if any || at.json => return Ok(Exit::Done),
                None => {
                    at.line("no rejection")?;
                    return Ok(Exit::Done);
                }
            }
        }
    }
}

impl Resolve {
    fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { rejection, with, op } = self;
        let call = call::RejectionResolve { rejection: rejection.clone(), with, op, instance: None };
        at.show(call, |answer| {
            let wait = answer.token.as_ref().map(|token| format!("; `mingle wait {token}` ends when the remotes have it"));
            plain(&format!("{rejection} is resolved with {with}{}", wait.unwrap_or_default()))
        })?;
        Ok(Exit::Done)
    }
}

fn text(rejections: &[call::Rejection], now: Timestamp) -> String {
    if rejections.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["REJECTION", "SYNC", "SIDE", "RECORD", "ACTION", "AT", "TRIES", "WHAT"]);
    for one in rejections {
        let id = one.id.clone().or_else(|| one.remote_id.as_ref().map(|id| format!("(remote) {id}")));
        table.row([
            one.rejection.clone(),
            one.sync.clone(),
            one.side.to_string(),
            format!("{}/{}", one.collection, id.unwrap_or_else(|| "?".into())),
            one.action.clone(),
            when(&one.at, now),
            one.tries.to_string(),
            one.what.clone(),
        ]);
    }
    format!("{}`mingle rejection resolve REJECTION --with retry|drop|recreate|rollback` decides one\n", table.text())
}
