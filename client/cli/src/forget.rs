//! Owns: `mingle forget`. Must never know: what brings a record back.

use mingle_client::call;

use crate::{
    at::At,
    exit::{Exit, Failure},
    words::plain,
};

/// Drop a record here; what remotes have of it stays.
///
/// It comes back when it changes there, or when an app writes it again. What was not sent yet keeps a record from being forgotten.
#[derive(Debug, clap::Args)]
pub struct Forget {
    /// The collection.
    collection: String,
    /// The record.
    id: String,
    /// Only if the record's seq is this.
    #[arg(long, value_name = "SEQ")]
    if_seq: Option<u64>,
    /// The operation id of a call that is repeated.
    #[arg(long, value_name = "OP")]
    op: Option<String>,
}

impl Forget {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { collection, id, if_seq, op } = self;
        let call = call::Forget { collection: collection.clone(), id, if_seq, op, instance: None };
        at.show(call, |written| {
            plain(&format!("{collection}/{} is forgotten here (seq {}); its remotes keep it", written.id, written.seq))
        })?;
        Ok(Exit::Done)
    }
}
