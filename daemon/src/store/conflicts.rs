//! Owns: the rows of clashes: recorded when they happen. Must never know: how they are decided.

use mingle_core::{
    mingle::{Clash, Verdict},
    path,
};

use super::{error::StoreError, ledger, record::Held, tx::Tx};
use crate::json;

/// The word in `m_conflict.verdict`.
#[must_use]
pub fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Truth => "truth",
        Verdict::Remote => "remote",
        Verdict::Open => "open",
        Verdict::KeptEdit => "kept_edit",
        Verdict::KeptDelete => "kept_delete",
        Verdict::Discarded => "discarded",
    }
}

/// Writes a clash down. `held` is the record as it was before the meeting, `seq` its seq after it; `replica` names the other side
/// for people. `truth_seq`: the newest seq of the truth that took part; the write that lost is looked up from it where the truth
/// lost. The id of the row.
///
/// # Errors
/// What SQLite says.
pub fn record(
    tx: &mut Tx<'_>,
    held: &Held,
    link: Option<i64>,
    replica: &str,
    clash: &Clash,
    truth_seq: Option<u64>,
    seq: u64,
) -> Result<String, StoreError> {
    let truth_lost = match clash.verdict {
        Verdict::Remote | Verdict::Discarded => true,
        Verdict::KeptDelete => clash.truth.is_some(),
        Verdict::KeptEdit => clash.truth.is_none(),
        Verdict::Truth | Verdict::Open => false,
    };
    let loser = match truth_seq {
        Some(until) if truth_lost => lost(tx, held, clash.property.as_deref(), until)?,
        _ => None,
    };
    let id = tx.short_id('c');
    let text = |value: &Option<_>| value.as_ref().map(json::write_value);
    tx.conn
        .prepare_cached(
            "INSERT INTO m_conflict (id, record, link, replica, property, agreed, truth, theirs, verdict, open, loser_seq, seq, at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(rusqlite::params![
            id,
            held.record,
            link,
            replica,
            clash.property,
            text(&clash.agreed),
            text(&clash.truth),
            text(&clash.theirs),
            word(clash.verdict),
            clash.verdict == Verdict::Open,
            loser,
            seq,
            tx.now.unix_ms(),
        ])?;
    Ok(id)
}

/// The write that gave the truth the value that lost. A path counts as its first name: the ledger knows whole properties.
pub(super) fn lost(tx: &Tx<'_>, held: &Held, property: Option<&str>, until: u64) -> Result<Option<u64>, StoreError> {
    let nested = tx.books.definitions.numbered(held.collection).is_some_and(|collection| collection.definition.policy.nested);
    let name = property.map(|path| if nested { path::names(path).next().unwrap_or_default() } else { path.into() });
    Ok(ledger::last(tx.conn, held.record, name.as_deref(), until)?.map(|entry| entry.seq))
}
