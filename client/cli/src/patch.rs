//! Owns: `mingle patch`. Must never know: how it is merged.

use mingle_client::call;

use crate::{
    at::At,
    exit::{Exit, Failure},
    input::{self, Json},
    put,
};

/// Change properties of a record; null takes one away (RFC 7396).
#[derive(Debug, clap::Args)]
pub struct Patch {
    /// The collection.
    collection: String,
    /// The record.
    id: String,
    /// A JSON object, or - for standard input.
    #[arg(value_name = "JSON|-", value_parser = input::json)]
    patch: Json,
    /// Only if the record's seq is this.
    #[arg(long, value_name = "SEQ")]
    if_seq: Option<u64>,
    /// Keep it here until `mingle pending upload`.
    #[arg(long)]
    defer: bool,
    /// The operation id of a write that is repeated.
    #[arg(long, value_name = "OP")]
    op: Option<String>,
}

impl Patch {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { collection, id, patch, if_seq, defer, op } = self;
        let call = call::Patch { collection: collection.clone(), id, patch: patch.read()?, op, if_seq, defer, instance: None };
        at.show(call, |written| put::said(&collection, written, defer))?;
        Ok(Exit::Done)
    }
}
