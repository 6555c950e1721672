//! Owns: what may be thrown away, and when: tombstones, ledger rows, runs, answers of ops, what is left of copies that were forgotten; pages in
//! memory that nobody waits for. Must never know: who needs the room.

use std::{collections::BTreeMap, time::Duration};

use mingle_core::planted;

use super::{
    error::StoreError,
    limits,
    sync::{link::under_way, session},
    tx::Tx,
};

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
    let counts = [ops(tx)?, tombstones(tx)?, ledger(tx)?, runs(tx)?];
    Ok(session::sweep(tx)? || counts.iter().any(|count| *count >= limits::PURGED_AT_ONCE))
}

/// Gives back the memory of pages: those of an idle store are as quickly read again.
///
/// # Errors
/// What SQLite says.
pub fn rest(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    Ok(tx.conn.execute_batch("PRAGMA shrink_memory")?)
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

/// Runs that are over, of each sync from the oldest on: but for its last ones, which say how it stands, those whose time is over, and those
/// that are too many. The numbers of runs are never given again, since the last one stays.
fn runs(tx: &Tx<'_>) -> Result<usize, StoreError> {
    // From one name to the next by the index, whatever each has of runs.
    let mut names = tx.conn.prepare_cached(
        "WITH RECURSIVE one (sync) AS (SELECT min(sync) FROM m_run
           UNION ALL SELECT (SELECT min(r.sync) FROM m_run r WHERE r.sync > one.sync) FROM one WHERE one.sync IS NOT NULL)
         SELECT sync FROM one WHERE sync IS NOT NULL",
    )?;
    let names: Vec<String> = names.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
    let until = tx.now.minus(limits::LEDGER_KEPT).unix_ms();
    let mut old = tx.conn.prepare_cached(
        "DELETE FROM m_run WHERE run IN (
           SELECT run FROM m_run WHERE sync = ?1 AND ended IS NOT NULL
             AND run <= (SELECT run FROM m_run WHERE sync = ?1 ORDER BY run DESC LIMIT 1 OFFSET ?2)
             AND (ended < ?4 OR run <= (SELECT run FROM m_run WHERE sync = ?1 ORDER BY run DESC LIMIT 1 OFFSET ?3))
           ORDER BY run LIMIT ?5)",
    )?;
    let mut gone = 0;
    for name in names {
        gone += old.execute((name, limits::RUNS_KEPT, limits::RUNS_MAX, until, limits::PURGED_AT_ONCE - gone))?;
        if gone >= limits::PURGED_AT_ONCE {
            break;
        }
    }
    Ok(gone)
}

/// Tombstones whose every link has passed and whose time is over, with their links. The horizon of their collection rises over them, so
/// that a cursor from before begins anew instead of missing a delete.
fn tombstones(tx: &Tx<'_>) -> Result<usize, StoreError> {
    let kept = if planted::is("tombstone purged at once") { Duration::ZERO } else { limits::TOMBSTONE_KEPT };
    let until = tx.now.minus(kept).unix_ms();
    let for_copies = tx.now.minus(limits::TOMBSTONE_KEPT_FOR_COPIES).unix_ms();
    // A link has passed when both sides agree that there is nothing: its base is gone, or the same as the tombstone; nothing
    // is under way; and nothing about the record waits for a person. An app that keeps a copy may never come again, so it is waited
    // for only so long.
    let (under_way, old_at) = (under_way(), old_at("r.collection"));
    let mut statement = tx.conn.prepare_cached(&format!(
        "SELECT r.record, r.seq, r.collection FROM m_record r JOIN m_ledger l ON l.seq = r.seq
         WHERE r.state <> 0 AND l.at < {old_at}
           AND NOT EXISTS (SELECT 1 FROM m_link k WHERE k.record = r.record AND (k.replica > 0 OR l.at >= ?4)
                           AND (k.base NOT IN (0, 2) OR {under_way}))
           AND NOT EXISTS (SELECT 1 FROM m_conflict c WHERE c.record = r.record AND c.open = 1)
           AND NOT EXISTS (SELECT 1 FROM m_rejection j WHERE j.record = r.record)
           AND NOT EXISTS (SELECT 1 FROM m_alias a WHERE a.alias = r.record)
         LIMIT ?2"
    ))?;
    let params = (until, limits::PURGED_AT_ONCE, own_retentions(tx), for_copies);
    let rows = statement.query_map(params, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let gone: Vec<(i64, u64, i64)> = rows.collect::<Result<_, _>>()?;
    let mut horizons = BTreeMap::<i64, u64>::new();
    for (record, seq, collection) in &gone {
        left_by_copies(tx, *record)?;
        for sql in [
            "DELETE FROM m_former WHERE link IN (SELECT link FROM m_link WHERE record = ?1)",
            "DELETE FROM m_link WHERE record = ?1",
            "DELETE FROM m_conflict WHERE record = ?1",
            "DELETE FROM m_ledger WHERE record = ?1",
            "DELETE FROM m_deferred WHERE record = ?1",
            "DELETE FROM m_alias WHERE record = ?1",
            "DELETE FROM m_record WHERE record = ?1",
        ] {
            tx.conn.prepare_cached(sql)?.execute([record])?;
        }
        let horizon = horizons.entry(*collection).or_default();
        *horizon = (*horizon).max(*seq);
    }
    for (collection, horizon) in &horizons {
        let mut rise = tx.conn.prepare_cached("UPDATE m_collection SET horizon = max(horizon, ?2) WHERE collection = ?1")?;
        rise.execute((collection, horizon))?;
    }
    if let Some(highest) = horizons.values().max() {
        // Which seqs were given is a matter of the whole store.
        tx.conn.execute("UPDATE m_store SET horizon = max(horizon, ?1)", [highest])?;
    }
    Ok(gone.len())
}

/// An app that still has a record which is thrown away can hear of its end no more, so it has to say everything that it has.
fn left_by_copies(tx: &Tx<'_>, record: i64) -> Result<(), StoreError> {
    const LINKS: &str = "SELECT link FROM m_link WHERE record = ?1 AND replica < 0";
    if tx.conn.prepare_cached(LINKS)?.exists([record])? {
        for sql in [
            "UPDATE m_copy SET anchor = NULL
             WHERE replica IN (SELECT replica FROM m_link WHERE record = ?1 AND replica < 0 AND base IN (1, 3))",
            &format!("DELETE FROM m_take WHERE link IN ({LINKS})"),
        ] {
            tx.conn.prepare_cached(sql)?.execute([record])?;
        }
    }
    Ok(())
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
           AND NOT EXISTS (SELECT 1 FROM m_link k WHERE k.record = l.record
             AND (k.base = 1 OR (k.replica > 0 AND (k.base <> 0 OR k.sent IS NOT NULL))))
           AND NOT EXISTS (SELECT 1 FROM m_conflict c WHERE c.record = l.record AND c.open = 1)
           AND NOT EXISTS (SELECT 1 FROM m_rejection j WHERE j.record = l.record)
         RETURNING seq, record"
    ))?;
    let params = (until, looked, own_retentions(tx), old.last().copied().unwrap_or(0));
    let rows = statement.query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))?;
    let gone: Vec<(u64, i64)> = rows.collect::<Result<_, _>>()?;
    let mut rise = tx.conn.prepare_cached(
        "UPDATE m_collection SET ledger_horizon = ?1
         WHERE collection = (SELECT collection FROM m_record WHERE record = ?2) AND ledger_horizon < ?1",
    )?;
    for (seq, record) in &gone {
        rise.execute((seq, record))?;
    }
    tx.conn.execute("UPDATE m_store SET ledger_looked = ?1", [to])?;
    // Where all of them stay, the next few can wait for the next purge; not where a collection asks that little is kept, which lies
    // anywhere between what others keep.
    Ok(if end || (gone.is_empty() && own.is_none()) { 0 } else { old.len() })
}

#[cfg(test)]
mod tests;
