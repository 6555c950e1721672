//! Owns: a put that merges: a meeting of the truth with an app's whole record, whose base is what the app read. Must never know:
//! remotes, links.

use std::collections::BTreeSet;

use mingle_core::{
    ask::Refusal,
    mingle::{Base, Mingled, Sides, Stamps, mingle},
    record::{Carried, Props},
};

use super::{
    conflicts,
    definitions::Collection,
    error::StoreError,
    ledger::{self, Past},
    limits, record,
    record::Held,
    tx::{Origin, Tx},
};
use crate::json;

/// Meets, and writes the outcome: what the app never saw stays. `read`: the record of which it read the state at `base_seq`, the same unless
/// that proved to be this one since. The record's seq after it.
pub(super) fn meet(
    tx: &mut Tx<'_>,
    collection: &Collection,
    held: &Held,
    read: &Held,
    base_seq: u64,
    theirs: &Props,
    origin: &Origin,
) -> Result<u64, StoreError> {
    let base = match ledger::at(tx.conn, read, base_seq)? {
        Past::There(base) => base,
        Past::NotThere | Past::Unknown => {
            let told = format!("what {:?} was at seq {base_seq} is not known any more; read it again", held.id);
            return Err(Refusal::Stale(told, held.data.is_some().then_some(held.seq)).into());
        }
    };
    let mingled = over(collection, held.props()?.as_ref(), Base::Known(&base), theirs);
    let bytes = mingled.truth.as_ref().map_or(0, |props| json::write(props).len());
    if bytes > limits::RECORD_BYTES_MAX {
        return Err(Refusal::TooLarge(format!("merged, {:?} has more than {} bytes", held.id, limits::RECORD_BYTES_MAX)).into());
    }
    write(tx, held, &mingled, origin)
}

/// What becomes of a record that meets an app's, over what is known of what the app had.
pub(super) fn over(collection: &Collection, truth: Option<&Props>, base: Base<'_>, theirs: &Props) -> Mingled {
    mingle(&Sides {
        base,
        truth,
        theirs: Some(theirs),
        carried: &Carried::All,
        frozen: &BTreeSet::new(),
        policy: &collection.definition.policy.for_a_write(),
        stamps: &Stamps::default(),
    })
}

/// Writes what became of it. The record's seq after it.
pub(super) fn write(tx: &mut Tx<'_>, held: &Held, mingled: &Mingled, origin: &Origin) -> Result<u64, StoreError> {
    let lost_from = held.seq;
    let seq = record::change(tx, held, mingled.truth.as_ref().map(json::write).as_deref(), origin)?;
    for clash in &mingled.clashes {
        conflicts::record(tx, held, None, &origin.to_string(), clash, Some(lost_from), seq)?;
    }
    Ok(seq)
}
