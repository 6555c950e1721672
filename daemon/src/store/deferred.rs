//! Owns: the marks of records whose changes stay here until somebody marks them for upload. Must never know: what is sent, and when.
//!
//! A record is marked as a whole: what apps write to it later stays here with it, so that nobody publishes another's draft by the way.

use mingle_core::{ask::Refusal, planted};
use rusqlite::{Connection, OptionalExtension};

use super::{
    alias,
    error::StoreError,
    limits,
    tx::{Origin, Tx},
    write::not_there,
};

/// Marks a record.
pub(super) fn mark(tx: &Tx<'_>, record: i64, app: &str) -> Result<(), StoreError> {
    tx.conn
        .prepare_cached(
            "INSERT INTO m_deferred (record, app, at) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET app = ?2, at = ?3",
        )?
        .execute((record, app, tx.now.unix_ms()))?;
    Ok(())
}

/// The app that marked a record; none: it is not marked.
pub(super) fn by(conn: &Connection, record: i64) -> Result<Option<String>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT app FROM m_deferred WHERE record = ?1")?;
    Ok(statement.query_row([record], |row| row.get(0)).optional()?)
}

/// Whether changes of a record are to stay here.
pub(super) fn is(conn: &Connection, record: i64) -> Result<bool, StoreError> {
    Ok(!planted::is("deferred change sent") && by(conn, record)?.is_some())
}

/// Takes the mark of a record away; whether it had one.
pub(super) fn lift(tx: &Tx<'_>, record: i64) -> Result<bool, StoreError> {
    Ok(tx.conn.prepare_cached("DELETE FROM m_deferred WHERE record = ?1")?.execute([record])? > 0)
}

/// Marks records for upload: those named, or those of the whole collection, at most so many at once. How many were marked, and whether
/// there may be more.
///
/// # Errors
/// `not_found` for a collection or record that is not there; `too_large` for more than may be named.
pub fn upload(tx: &mut Tx<'_>, collection: &str, ids: Option<&[String]>, app: &str) -> Result<(u64, bool), StoreError> {
    let number = tx.collection(collection)?;
    let lifted = match ids {
        Some(ids) if ids.len() > limits::WRITES_PER_TRANSACTION_MAX => {
            let most = limits::WRITES_PER_TRANSACTION_MAX;
            return Err(Refusal::TooLarge(format!("{} records at once; at most {most}", ids.len())).into());
        }
        Some(ids) => {
            let mut lifted = 0;
            for id in ids {
                let held = alias::find(tx.conn, number, id)?.ok_or_else(|| not_there(collection, id))?;
                lifted += usize::from(lift(tx, held.record)?);
            }
            lifted
        }
        None => tx
            .conn
            .prepare_cached(
                "DELETE FROM m_deferred WHERE record IN
                   (SELECT d.record FROM m_deferred d JOIN m_record r ON r.record = d.record WHERE r.collection = ?1 LIMIT ?2)",
            )?
            .execute((number, limits::PURGED_AT_ONCE))?,
    };
    if lifted > 0 {
        tx.touch(number, &Origin::App(app.to_owned()));
    }
    Ok((lifted as u64, ids.is_none() && lifted == limits::PURGED_AT_ONCE))
}
