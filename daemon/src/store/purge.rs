//! Owns: what may be thrown away, and when: tombstones, ledger rows, answers of ops. Must never know: who needs the room.

use std::time::Duration;

use mingle_core::planted;

use super::{error::StoreError, limits, sync::link::under_way, tx::Tx};

/// Until when something of a collection is old: as the collection says (`?3`), else as the store does (`?1`).
fn old_at(collection: &str) -> String {
    format!("coalesce(?3 ->> ('c' || {collection}), ?1)")
}

/// Until when what collections with a retention of their own keep is old, in ms, by the collection's number, as an object of JSON: `{"c3": 1790000000000}`.
fn own_retentions(tx: &Tx<'_>) -> String {
    let own = tx.definitions().all().filter_map(|one| Some((one.number, one.definition.retention?)));
    let own: Vec<String> = own.map(|(number, kept)| format!("\"c{number}\":{}", tx.now.minus(kept).unix_ms())).collect();
    format!("{{{}}}", own.join(","))
}

/// Throws away what nobody can need any more, at most [`limits::PURGED_AT_ONCE`] of each kind. Whether there may be more.
///
/// # Errors
/// What SQLite says.
pub fn purge(tx: &mut Tx<'_>) -> Result<bool, StoreError> {
    let counts = [ops(tx)?, tombstones(tx)?, ledger(tx)?];
    Ok(counts.iter().any(|count| *count >= limits::PURGED_AT_ONCE))
}

/// Answers of ops older than they are kept, from the oldest on. Those of a clock that was set back count from now, so that they
/// do not hold up the others for ever.
fn ops(tx: &Tx<'_>) -> Result<usize, StoreError> {
    const OLDEST: &str = "SELECT rowid FROM m_op ORDER BY rowid LIMIT ?2";
    let mut ahead = tx.conn.prepare_cached(&format!("UPDATE m_op SET at = ?1 WHERE at > ?1 AND rowid IN ({OLDEST})"))?;
    ahead.execute((tx.now.unix_ms(), limits::PURGED_AT_ONCE))?;
    let until = tx.now.minus(limits::OP_KEPT).unix_ms();
    let mut old = tx.conn.prepare_cached(&format!("DELETE FROM m_op WHERE at < ?1 AND rowid IN ({OLDEST})"))?;
    Ok(old.execute((until, limits::PURGED_AT_ONCE))?)
}

/// Tombstones whose every link has passed and whose time is over, with their links. The horizon rises over them, so that a
/// cursor from before begins anew instead of missing a delete.
fn tombstones(tx: &Tx<'_>) -> Result<usize, StoreError> {
    let kept = if planted::is("tombstone purged at once") { Duration::ZERO } else { limits::TOMBSTONE_KEPT };
    let until = tx.now.minus(kept).unix_ms();
    // A link has passed when both sides agree that there is nothing: its base is gone, or the same as the tombstone; nothing
    // is under way; and nothing about the record waits for a person.
    let (under_way, old_at) = (under_way(), old_at("r.collection"));
    let mut statement = tx.conn.prepare_cached(&format!(
        "SELECT r.record, r.seq FROM m_record r JOIN m_ledger l ON l.seq = r.seq
         WHERE r.state <> 0 AND l.at < {old_at}
           AND NOT EXISTS (SELECT 1 FROM m_link k WHERE k.record = r.record AND (k.base NOT IN (0, 2) OR {under_way}))
           AND NOT EXISTS (SELECT 1 FROM m_conflict c WHERE c.record = r.record AND c.open = 1)
           AND NOT EXISTS (SELECT 1 FROM m_rejection j WHERE j.record = r.record)
         LIMIT ?2"
    ))?;
    let rows = statement.query_map((until, limits::PURGED_AT_ONCE, own_retentions(tx)), |row| Ok((row.get(0)?, row.get(1)?)))?;
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

/// Ledger rows whose time is over, but for the last of each property (what `why` and `newest` ask for), those behind open conflicts
/// and rejections, and those of records that a replica has not confirmed. Most rows stay for good, so each purge looks at the next
/// few of them, from where the last one ended, and begins anew at the end: where even the collection that keeps least keeps all.
fn ledger(tx: &Tx<'_>) -> Result<usize, StoreError> {
    let until = tx.now.minus(limits::LEDGER_KEPT).unix_ms();
    let own = tx.definitions().all().filter_map(|one| one.definition.retention).min();
    let newest = own.map_or(until, |kept| until.max(tx.now.minus(kept).unix_ms()));
    let looked: u64 = tx.conn.query_row("SELECT ledger_looked FROM m_store", (), |row| row.get(0))?;
    let mut statement = tx.conn.prepare_cached("SELECT seq, at FROM m_ledger WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let rows = statement.query_map((looked, limits::PURGED_AT_ONCE), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let next: Vec<(u64, i64)> = rows.collect::<Result<_, _>>()?;
    let old: Vec<u64> = next.iter().take_while(|(_, at)| *at < newest).map(|(seq, _)| *seq).collect();
    let end = old.len() < limits::PURGED_AT_ONCE;
    let to = if end { 0 } else { old.last().copied().unwrap_or(0) };
    let old_at = old_at("r.collection");
    let mut statement = tx.conn.prepare_cached(&format!(
        "DELETE FROM m_ledger AS l WHERE l.seq > ?2 AND l.seq <= ?4
           AND EXISTS (SELECT 1 FROM m_record r WHERE r.record = l.record AND l.seq < r.seq AND l.at < {old_at}
             AND NOT EXISTS (SELECT 1 FROM json_each(coalesce(l.before, r.data)) p
               WHERE NOT EXISTS (SELECT 1 FROM m_ledger k WHERE k.record = l.record AND k.seq > l.seq
                 AND (k.before IS NULL OR EXISTS (SELECT 1 FROM json_each(k.before) q WHERE q.key = p.key)))))
           AND NOT EXISTS (SELECT 1 FROM m_link k WHERE k.record = l.record AND (k.base <> 0 OR k.sent IS NOT NULL))
           AND NOT EXISTS (SELECT 1 FROM m_conflict c WHERE c.record = l.record AND c.open = 1)
           AND NOT EXISTS (SELECT 1 FROM m_rejection j WHERE j.record = l.record)
         RETURNING seq"
    ))?;
    let rows = statement.query_map((until, looked, own_retentions(tx), old.last().copied().unwrap_or(0)), |row| row.get(0))?;
    let gone: Vec<u64> = rows.collect::<Result<_, _>>()?;
    tx.conn.execute(
        "UPDATE m_store SET ledger_looked = ?1, ledger_horizon = max(ledger_horizon, ?2)",
        (to, gone.iter().max().copied().unwrap_or(0)),
    )?;
    // Where all of them stay, the next few can wait for the next purge; not where a collection asks that little is kept, which lies
    // anywhere between what others keep.
    Ok(if end || (gone.is_empty() && own.is_none()) { 0 } else { old.len() })
}

#[cfg(test)]
mod tests;
