//! Owns: the syncs that apps defined, as they were written. Must never know: what stands in them.

use mingle_core::ask::DefinedBy;
use rusqlite::{Connection, params};

use super::{error::StoreError, tx::Tx};

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinedRow {
    /// Its name.
    pub sync: String,
    /// Its keys and values, as a JSON object.
    pub definition: String,
    /// By whom, and how often.
    pub by: DefinedBy,
}

/// All of them, by name.
pub fn all(conn: &Connection) -> Result<Vec<DefinedRow>, StoreError> {
    let mut statement = conn.prepare("SELECT sync, definition, app, generation FROM m_defined ORDER BY sync")?;
    let rows = statement.query_map([], |row| {
        let by = DefinedBy { by: row.get(2)?, generation: row.get::<_, i64>(3)?.unsigned_abs() };
        Ok(DefinedRow { sync: row.get(0)?, definition: row.get(1)?, by })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes one down, in the place of the one of that name.
pub fn put(tx: &Tx<'_>, row: &DefinedRow) -> Result<(), StoreError> {
    let DefinedRow { sync, definition, by } = row;
    tx.conn().execute(
        "INSERT INTO m_defined (sync, definition, app, generation, at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (sync) DO UPDATE SET definition = ?2, app = ?3, generation = ?4, at = ?5",
        params![sync, definition, by.by, i64::try_from(by.generation).unwrap_or(i64::MAX), tx.now().unix_ms()],
    )?;
    Ok(())
}

/// Takes one out.
pub fn remove(tx: &Tx<'_>, sync: &str) -> Result<(), StoreError> {
    tx.conn().execute("DELETE FROM m_defined WHERE sync = ?1", [sync])?;
    Ok(())
}
