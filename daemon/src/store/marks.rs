//! Owns: what holds over a restart beside data: a stop, pauses, how each sync's last runs ended. Must never know: what follows from it.

use mingle_core::{
    engine::Failing,
    run::Creates,
    schedule::{Last, Patience, StopReason},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};

use super::{
    error::StoreError,
    history, limits, moments,
    sync::{SyncSpec, is_of, makes, scanned},
    tx::Tx,
};

/// A stop that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopMark {
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: Option<String>,
    /// The syncs whose runs it ended.
    pub ended: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct MarkRow {
    since: i64,
    by: Option<String>,
    #[serde(default)]
    ended: Vec<String>,
}

/// The stop that holds, if one does. A mark that does not read is a stop all the same: nothing may run against a person's word.
pub fn stopped(conn: &Connection) -> Result<Option<StopMark>, StoreError> {
    let text: Option<String> = conn.query_row("SELECT stopped FROM m_store WHERE store = 1", [], |row| row.get(0))?;
    Ok(text.map(|text| match serde_json::from_str::<MarkRow>(&text) {
        Ok(row) => StopMark { since: Timestamp::from_unix_ms(row.since), by: row.by, ended: row.ended },
        Err(_) => StopMark { since: Timestamp::default(), by: None, ended: Vec::new() },
    }))
}

/// Writes a stop down, or takes it back.
pub fn set_stopped(tx: &Tx<'_>, mark: Option<&StopMark>) -> Result<(), StoreError> {
    let text = mark.map(|mark| text_of(mark.since, mark.by.as_deref(), &mark.ended)).transpose()?;
    tx.conn().execute("UPDATE m_store SET stopped = ?1 WHERE store = 1", [text])?;
    if mark.is_some() {
        moments::taken_back(tx, None)?;
    }
    Ok(())
}

fn text_of(since: Timestamp, by: Option<&str>, ended: &[String]) -> Result<String, StoreError> {
    let row = MarkRow { since: since.unix_ms(), by: by.map(Into::into), ended: ended.to_vec() };
    serde_json::to_string(&row).map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Whether a sync is paused; if so, whether that ended a run. A mark that does not read is a pause all the same.
pub fn paused(conn: &Connection, sync: &str) -> Result<Option<bool>, StoreError> {
    let text: Option<Option<String>> =
        conn.query_row("SELECT paused FROM m_sync WHERE name = ?1", [sync], |row| row.get(0)).optional()?;
    Ok(text.flatten().map(|text| serde_json::from_str::<MarkRow>(&text).is_ok_and(|row| !row.ended.is_empty())))
}

/// Pauses a sync (since when, by whom, whether it ended a run), or takes that back.
pub fn set_paused(tx: &Tx<'_>, sync: &str, mark: Option<(Timestamp, Option<String>, bool)>) -> Result<(), StoreError> {
    let ended = [sync.to_owned()];
    let text = mark.map(|(since, by, ends)| text_of(since, by.as_deref(), if ends { &ended } else { &[] })).transpose()?;
    tx.conn().execute(
        "INSERT INTO m_sync (name, pass, up_scanned, paused) VALUES (?1, 0, 0, ?2)
         ON CONFLICT (name) DO UPDATE SET paused = ?2",
        params![sync, text],
    )?;
    if text.is_some() {
        moments::taken_back(tx, Some(sync))?;
    }
    Ok(())
}

/// How the last run of a sync ended, and how many failed in a row.
pub fn last(conn: &Connection, sync: &str) -> Result<(Last, u32), StoreError> {
    recent(conn, sync).map(|(last, failures, _)| (last, failures))
}

/// The same, and since when it fails and by what; of its last [`limits::RUNS_LOOKED_AT`] runs.
pub fn recent(conn: &Connection, sync: &str) -> Result<(Last, u32, Failing), StoreError> {
    // What was asked for and never began (`never_began`) is no run.
    let mut statement = conn.prepare_cached(
        "SELECT status, stop_reason, started, ended, down + up = 0, error FROM m_run WHERE sync = ?1 AND ended IS NOT NULL
           AND NOT (started = ended AND trigger = 'request' AND status IN ('stopped', 'cancelled')
             AND coalesce(stop_reason, 'user') IN ('user', 'app', 'replaced'))
           AND run > coalesce((SELECT anew FROM m_schedule s WHERE s.sync = ?1), 0) ORDER BY run DESC LIMIT ?2",
    )?;
    let mut rows = statement.query(params![sync, limits::RUNS_LOOKED_AT])?;
    let (mut last, mut failures, mut failing) = (None, 0, Failing::default());
    while let Some(row) = rows.next()? {
        let status: String = row.get(0)?;
        let reason: Option<String> = row.get(1)?;
        let began = Timestamp::from_unix_ms(row.get(2)?);
        let ended = Timestamp::from_unix_ms(row.get(3)?);
        let this = match status.as_str() {
            "failed" => Last::Failed { ended },
            // What hung, and took nothing, is tried again as what failed.
            "stopped" if reason.as_deref() == Some(StopReason::Timeout.name()) && row.get(4)? => Last::Failed { ended },
            "stopped" | "cancelled" => {
                let reason = reason.as_deref().and_then(StopReason::parse).unwrap_or(StopReason::User);
                Last::Stopped { began, reason }
            }
            _ => Last::Done { began },
        };
        if last.is_none() {
            failing.trouble = row.get::<_, Option<String>>(5)?.as_deref().and_then(history::trouble);
        }
        last.get_or_insert(this);
        match this {
            Last::Failed { ended } => {
                failures += 1;
                failing.since = Some(ended);
            }
            // A stopped run neither counts nor clears.
            Last::Stopped { .. } => {}
            _ => break,
        }
    }
    Ok((last.unwrap_or_default(), failures, failing))
}

/// Everything that was at the remote of a sync then has come; none: that is not known, as things are defined now. What came under another
/// filter, from another place, or read in another way, may not be what there is.
pub fn fresh(conn: &Connection, spec: &SyncSpec) -> Result<Option<Timestamp>, StoreError> {
    let found: Option<(Option<i64>, Option<String>)> = conn
        .prepare_cached(
            "SELECT s.fresh, s.complete FROM m_sync s JOIN m_replica r USING (replica)
             WHERE s.name = ?1 AND r.identity = ?2 AND coalesce(s.filter, '') = ?3",
        )?
        .query_row(params![spec.name, spec.identity, spec.filter.text], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let found = found.filter(|(_, listed)| listed.as_deref().is_some_and(|listed| is_of(listed, spec)));
    Ok(found.and_then(|(fresh, _)| fresh).map(Timestamp::from_unix_ms))
}

/// Writes that down.
pub(super) fn set_fresh(tx: &Tx<'_>, sync: &str, fresh: Timestamp) -> Result<(), StoreError> {
    tx.conn().prepare_cached("UPDATE m_sync SET fresh = ?2 WHERE name = ?1")?.execute(params![sync, fresh.unix_ms()])?;
    Ok(())
}

/// Since when a sync is defined: now, where that was never written down.
pub fn since(tx: &Tx<'_>, sync: &str) -> Result<Timestamp, StoreError> {
    let since = tx.conn().query_row(
        "INSERT INTO m_sync (name, pass, up_scanned, since) VALUES (?1, 0, 0, ?2)
         ON CONFLICT (name) DO UPDATE SET since = coalesce(since, ?2) RETURNING since",
        params![sync, tx.now().unix_ms()],
        |row| row.get(0),
    )?;
    Ok(Timestamp::from_unix_ms(since))
}

/// Whether its last runs that ended well brought news, the oldest first: as many as an interval that adapts can remember.
pub fn brought(conn: &Connection, sync: &str) -> Result<Vec<bool>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT result = 'new_data' FROM m_run WHERE sync = ?1 AND status IN ('done', 'done_with_errors')
           AND run > coalesce((SELECT anew FROM m_schedule s WHERE s.sync = ?1), 0) ORDER BY run DESC LIMIT ?2",
    )?;
    let mut brought =
        statement.query_map(params![sync, limits::RESULTS_LEARNED], |row| row.get(0))?.collect::<Result<Vec<bool>, _>>()?;
    brought.reverse();
    Ok(brought)
}

/// A remote's own word on when to come back, where the last run of a sync heard it.
pub fn patience(conn: &Connection, sync: &str) -> Result<Option<Patience>, StoreError> {
    // What was asked for meanwhile and never began says nothing of the remote.
    let found: Option<(i64, Option<i64>)> = conn
        .prepare_cached(
            "SELECT ended, json_extract(error, '$.until') FROM m_run
             WHERE sync = ?1 AND status IN ('done', 'done_with_errors', 'failed') ORDER BY run DESC LIMIT 1",
        )?
        .query_row([sync], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found.and_then(|(asked, until)| {
        Some(Patience { asked: Timestamp::from_unix_ms(asked), until: Timestamp::from_unix_ms(until?) })
    }))
}

/// A run that was promised and never began: its history row, so that who asks for it later is told.
pub fn never_began(tx: &Tx<'_>, run: &str, sync: &str, reason: Option<StopReason>) -> Result<(), StoreError> {
    let now = tx.now().unix_ms();
    tx.conn().execute(
        "INSERT OR IGNORE INTO m_run (id, sync, status, result, mode, trigger, stop_reason, started, ended)
         VALUES (?1, ?2, iif(?3 IS NULL, 'cancelled', 'stopped'), 'failed', 'fast', 'request', ?3, ?4, ?4)",
        params![run, sync, reason.map(StopReason::name), now],
    )?;
    moments::taken_back(tx, Some(sync))
}

/// Links of the replicas of a sync that may be behind, and records that have no link yet: whether there is anything to send. Of what
/// changed since the sync last looked, the first [`limits::PENDING_LOOK_MAX`] are looked at; where there is more, it is said that there is.
pub fn unsent(conn: &Connection, sync: &str, collection: &str, creates: Creates) -> Result<bool, StoreError> {
    let found: bool = conn.query_row(
        &format!(
            "SELECT EXISTS (SELECT 1 FROM m_sync s JOIN m_link l ON l.replica = s.replica
                        WHERE s.name = ?1 AND (l.base <> 0 OR l.sent IS NOT NULL)
                          AND (l.sent IS NOT NULL OR NOT EXISTS (SELECT 1 FROM m_deferred d WHERE d.record = l.record))
                          AND NOT EXISTS (SELECT 1 FROM m_record r WHERE r.record = l.record AND r.state = 2))
             OR (SELECT count(*) > ?3 OR total(new) > 0 FROM
                   (SELECT r.state = 0 AND {}
                           AND NOT EXISTS (SELECT 1 FROM m_deferred d WHERE d.record = r.record) AS new
                    FROM m_collection c JOIN m_record r USING (collection)
                    WHERE c.name = ?2 AND r.seq > {}
                    ORDER BY r.seq LIMIT ?3 + 1))",
            makes(creates),
            scanned(creates)
        ),
        params![sync, collection, limits::PENDING_LOOK_MAX],
        |row| row.get(0),
    )?;
    Ok(found)
}

/// What makes the replica that a sync spoke to last, or is to speak to first; none: there is none yet.
///
/// # Errors
/// What SQLite says.
pub fn spoken_to(conn: &Connection, sync: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT p.identity FROM m_sync s JOIN m_replica p USING (replica) WHERE s.name = ?1";
    Ok(conn.prepare_cached(sql)?.query_row([sync], |row| row.get(0)).optional()?)
}

/// Every sync that has ever run here, by name: also those that left the configuration.
pub fn names(conn: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = conn.prepare("SELECT name FROM m_sync ORDER BY name")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// The replica a sync last spoke to.
pub fn replica(conn: &Connection, sync: &str) -> Result<Option<i64>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT replica FROM m_sync WHERE name = ?1")?
        .query_row([sync], |row| row.get(0))
        .optional()?
        .flatten())
}
