//! Owns: `mingle delete`. Must never know: what a delete meets.

use mingle_client::call;

use crate::{
    at::At,
    exit::{Exit, Failure},
    words::plain,
};

/// Delete a record, here and then at its remotes.
#[derive(Debug, clap::Args)]
pub struct Delete {
    /// The collection.
    collection: String,
    /// The record.
    id: String,
    /// Only if the record's seq is this.
    #[arg(long, value_name = "SEQ")]
    if_seq: Option<u64>,
    /// Keep the delete here until `mingle pending upload`.
    #[arg(long)]
    defer: bool,
    /// The operation id of a write that is repeated.
    #[arg(long, value_name = "OP")]
    op: Option<String>,
}

impl Delete {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { collection, id, if_seq, defer, op } = self;
        let call = call::Delete { collection: collection.clone(), id, op, if_seq, defer, instance: None };
        at.show(call, |written| {
            let (id, seq, token) = (&written.id, written.seq, &written.token);
            if defer {
                return plain(&format!(
                    "{collection}/{id} is deleted here (seq {seq}) alone; `mingle pending upload {collection} {id}` lets it go"
                ));
            }
            plain(&format!("{collection}/{id} is deleted (seq {seq}); `mingle wait {token}` ends when the remotes have it"))
        })?;
        Ok(Exit::Done)
    }
}
