//! Owns: what may be thrown away, and when: tombstones, ledger rows, answers of ops. Must never know: who needs the room.

use std::time::Duration;

use mingle_core::planted;

use super::{error::StoreError, limits, tx::Tx};

/// Throws away what nobody can need any more, at most [`limits::PURGED_AT_ONCE`] of each kind. Whether there may be more.
///
/// # Errors
/// What SQLite says.
pub fn purge(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let counts = [ops(tx)?, tombstones(tx)?, ledger(tx)?];
    Ok(counts.iter().any(|count| *count >= limits::PURGED_AT_ONCE))
}

/// Answers of ops older than they are kept. Those of a clock that was set back go later.
fn ops(tx: &Tx<'_>) -> Result<usize, StoreError> {
    let until = tx.now.minus(limits::OP_KEPT).unix_ms();
    let mut statement =
        tx.conn.prepare_cached("DELETE FROM m_op WHERE rowid IN (SELECT rowid FROM m_op WHERE at < ?1 ORDER BY at LIMIT ?2)")?;
    Ok(statement.execute((until, limits::PURGED_AT_ONCE))?)
}

/// Tombstones whose every link has passed and whose time is over, with their links. The horizon rises over them, so that a
/// cursor from before begins anew instead of missing a delete.
fn tombstones(tx: &Tx<'_>) -> Result<usize, StoreError> {
    let kept = if planted::is("tombstone purged at once") { Duration::ZERO } else { limits::TOMBSTONE_KEPT };
    let until = tx.now.minus(kept).unix_ms();
    // A link has passed when both sides agree that there is nothing: its base is gone, or the same as the tombstone; nothing
    // is under way; and nothing about the record waits for a person.
    let mut statement = tx.conn.prepare_cached(
        "SELECT r.record, r.seq FROM m_record r JOIN m_ledger l ON l.seq = r.seq
         WHERE r.state <> 0 AND l.at < ?1
           AND NOT EXISTS (SELECT 1 FROM m_link k WHERE k.record = r.record AND (k.base NOT IN (0, 2) OR k.sent IS NOT NULL))
           AND NOT EXISTS (SELECT 1 FROM m_conflict c WHERE c.record = r.record AND c.open = 1)
           AND NOT EXISTS (SELECT 1 FROM m_rejection j WHERE j.record = r.record)
         LIMIT ?2",
    )?;
    let rows = statement.query_map((until, limits::PURGED_AT_ONCE), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let gone: Vec<(i64, u64)> = rows.collect::<Result<_, _>>()?;
    for (record, _) in &gone {
        for sql in [
            "DELETE FROM m_former WHERE link IN (SELECT link FROM m_link WHERE record = ?1)",
            "DELETE FROM m_link WHERE record = ?1",
            "DELETE FROM m_conflict WHERE record = ?1",
            "DELETE FROM m_ledger WHERE record = ?1",
            "DELETE FROM m_record WHERE record = ?1",
        ] {
            tx.conn.prepare_cached(sql)?.execute([record])?;
        }
    }
    if let Some(highest) = gone.iter().map(|(_, seq)| *seq).max() {
        tx.conn.execute("UPDATE m_store SET horizon = max(horizon, ?1)", [highest])?;
    }
    Ok(gone.len())
}

/// Ledger rows whose time is over, but for the newest of each record, those behind open conflicts and rejections, and those of
/// records that a replica has not confirmed. (So of a long-quiet property the row may go: `newest` then says "unknown".)
fn ledger(tx: &Tx<'_>) -> Result<usize, StoreError> {
    let until = tx.now.minus(limits::LEDGER_KEPT).unix_ms();
    let mut statement = tx.conn.prepare_cached(
        "SELECT l.seq FROM m_ledger l JOIN m_record r ON r.record = l.record
         WHERE l.at < ?1 AND l.seq < r.seq
           AND NOT EXISTS (SELECT 1 FROM m_link k WHERE k.record = r.record AND (k.base <> 0 OR k.sent IS NOT NULL))
           AND NOT EXISTS (SELECT 1 FROM m_conflict c WHERE c.record = r.record AND c.open = 1)
           AND NOT EXISTS (SELECT 1 FROM m_rejection j WHERE j.record = r.record)
         ORDER BY l.seq LIMIT ?2",
    )?;
    let rows = statement.query_map((until, limits::PURGED_AT_ONCE), |row| row.get(0))?;
    let gone: Vec<u64> = rows.collect::<Result<_, _>>()?;
    for seq in &gone {
        tx.conn.prepare_cached("DELETE FROM m_ledger WHERE seq = ?1")?.execute([seq])?;
    }
    if let Some(highest) = gone.last() {
        tx.conn.execute("UPDATE m_store SET ledger_horizon = max(ledger_horizon, ?1)", [highest])?;
    }
    Ok(gone.len())
}

#[cfg(test)]
mod tests;
