//! Owns: `mingle changes`, and how a change is said in a line. Must never know: the feed.

use mingle_client::call::{self, Change};

use crate::{
    at::At,
    exit::{Exit, Failure},
    words::plain,
};

/// Print what changed since a seq, each record once.
#[derive(Debug, clap::Args)]
pub struct Changes {
    /// The collections; all where left out.
    #[arg(value_name = "COLLECTION")]
    collections: Vec<String>,
    /// What is known already.
    #[arg(long, value_name = "SEQ", default_value_t = 0)]
    since: u64,
    /// With the records' data.
    #[arg(long)]
    data: bool,
}

impl Changes {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let mut call = call::Changes {
            since: self.since,
            collections: (!self.collections.is_empty()).then_some(self.collections),
            data: self.data,
            ..call::Changes::default()
        };
        loop {
            let answer = at.show(call.clone(), |answer| answer.changes.iter().map(line).collect())?;
            if !answer.more {
                if !at.json {
                    at.flush()?;
                    at.note(&format!("the next changes are those `--since {}`", answer.seq));
                }
                return Ok(Exit::Done);
            }
            call.since = answer.seq;
        }
    }
}

/// `42  updated  issues/i-1  {...}`.
pub fn line(change: &Change) -> String {
    let data = change.data.as_ref().map(|data| format!("  {}", plain(data.get()).replace('\n', " "))).unwrap_or_default();
    format!("{}  {:7}  {}/{}{data}\n", change.seq, change.kind, plain(&change.collection), plain(&change.id))
}
