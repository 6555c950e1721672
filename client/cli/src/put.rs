//! Owns: `mingle put`, and how a write is said. Must never know: how it is merged.

use clap::error::ErrorKind;
use mingle_client::call::{self, Written};

use crate::{
    at::At,
    exit::{Exit, Failure},
    input::{self, Json},
    words::plain,
};

/// Write a whole record.
///
/// Over a record that exists it needs --if-seq or --overwrite. Without an id one is made.
#[derive(Debug)]
pub struct Put {
    args: Args,
    id: Option<String>,
    data: Json,
}

/// What clap reads; what cannot be told apart by position is told apart in `from_arg_matches`.
#[derive(Debug, clap::Args)]
struct Args {
    /// The collection.
    collection: String,
    /// [ID] and the record: a JSON object, or - for standard input.
    #[arg(value_name = "[ID] JSON|-", num_args = 1..=2, required = true)]
    id_and_data: Vec<String>,
    /// Whatever is there.
    #[arg(long, conflicts_with = "if_seq")]
    overwrite: bool,
    /// Only if the record's seq is this; 0: only if there is none.
    #[arg(long, value_name = "SEQ")]
    if_seq: Option<u64>,
    /// Keep what others changed since that seq.
    #[arg(long, requires = "if_seq")]
    merge: bool,
    /// Keep it here until `mingle pending upload`.
    #[arg(long)]
    defer: bool,
    /// The operation id of a write that is repeated.
    #[arg(long, value_name = "OP")]
    op: Option<String>,
}

impl clap::FromArgMatches for Put {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let mut args = Args::from_arg_matches(matches)?;
        let data = args.id_and_data.pop().unwrap_or_default();
        let data = input::json(&data).map_err(|why| {
            // Made here it knows nothing of the command that it is about, and would show how `mingle` itself is used.
            let mut put = <Self as clap::Args>::augment_args(clap::Command::new("mingle put"));
            clap::Error::raw(ErrorKind::ValueValidation, format!("{why}\n")).format(&mut put)
        })?;
        let id = args.id_and_data.pop();
        Ok(Self { args, id, data })
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Put {
    fn augment_args(command: clap::Command) -> clap::Command {
        Args::augment_args(command).about("Write a whole record").long_about(
            "Write a whole record.\n\nOver a record that exists it needs --if-seq or --overwrite. Without an id one is made.",
        )
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl Put {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { args: Args { collection, overwrite, if_seq, merge, defer, op, .. }, id, data } = self;
        let (instance, data) = (None, data.read()?);
        let call = call::Put { collection: collection.clone(), id, data, op, if_seq, overwrite, merge, defer, instance };
        let written = at.show(call, |written| said(&collection, written, defer));
        let (wire, option) = ("give if_seq, or overwrite: true", "give --if-seq, or --overwrite");
        written.map_err(|failure| if at.json { failure } else { failure.reworded(wire, option) })?;
        Ok(Exit::Done)
    }
}

/// A write that is done, in a line.
pub fn said(collection: &str, written: &Written, defer: bool) -> String {
    let Written { id, seq, token, .. } = written;
    if defer {
        return plain(&format!(
            "{collection}/{id} is written (seq {seq}), and stays here; `mingle pending upload {collection} {id}` lets it go"
        ));
    }
    plain(&format!("{collection}/{id} is written (seq {seq}); `mingle wait {token}` ends when the remotes have it"))
}
