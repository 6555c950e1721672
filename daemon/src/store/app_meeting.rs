//! Owns: a put that merges: a meeting of the truth with an app's whole record, whose base is what the app read. Must never know:
//! remotes, links.

use std::collections::BTreeSet;

use mingle_core::{
    ask::Refusal,
    mingle::{Base, Sides, Stamps, mingle},
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

/// Meets, and writes the outcome: what the app never saw stays. The record's seq after it.
pub(super) fn meet(
    tx: &mut Tx<'_>,
    collection: &Collection,
    held: &Held,
    base_seq: u64,
    theirs: &Props,
    origin: &Origin,
) -> Result<u64, StoreError> {
    let base = match ledger::at(tx.conn, held, base_seq)? {
        Past::There(base) => base,
        Past::NotThere | Past::Unknown => {
            let told = format!("what {:?} was at seq {base_seq} is not known any more; read it again", held.id);
            return Err(Refusal::Stale(told, held.data.is_some().then_some(held.seq)).into());
        }
    };
    let truth = held.props()?;
    let policy = collection.definition.policy.for_a_write();
    let mingled = mingle(&Sides {
        base: Base::Known(&base),
        truth: truth.as_ref(),
        theirs: Some(theirs),
        carried: &Carried::All,
        frozen: &BTreeSet::new(),
        policy: &policy,
        stamps: &Stamps::default(),
    });
    let text = mingled.truth.as_ref().map(json::write);
    if text.as_ref().is_some_and(|text| text.len() > limits::RECORD_BYTES_MAX) {
        return Err(Refusal::TooLarge(format!("merged, {:?} has more than {} bytes", held.id, limits::RECORD_BYTES_MAX)).into());
    }
    let lost_from = held.seq;
    let seq = record::change(tx, held, text.as_deref(), origin)?;
    for clash in &mingled.clashes {
        conflicts::record(tx, held, None, &origin.to_string(), clash, Some(lost_from), seq)?;
    }
    Ok(seq)
}
