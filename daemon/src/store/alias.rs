//! Owns: ids that are those of another record now: noted, followed, given back. Must never know: how it is proved that two are one.

use mingle_core::{
    record::{Props, Value},
    reference::{self, References},
};
use rusqlite::{Connection, OptionalExtension};

use super::{
    definitions::Definitions,
    error::StoreError,
    record::{self, Held},
    tx::Tx,
};

/// Notes that a record is another one now, and with it whatever was this one already.
pub(super) fn note(tx: &Tx<'_>, record: i64, now: i64) -> Result<(), StoreError> {
    tx.conn.prepare_cached("UPDATE m_alias SET record = ?2 WHERE record = ?1")?.execute((record, now))?;
    tx.conn.prepare_cached("INSERT INTO m_alias (alias, record) VALUES (?1, ?2)")?.execute((record, now))?;
    Ok(())
}

/// A record is one of its own again.
pub(super) fn ends(tx: &Tx<'_>, record: i64) -> Result<(), StoreError> {
    tx.conn.prepare_cached("DELETE FROM m_alias WHERE alias = ?1")?.execute([record])?;
    Ok(())
}

/// The record that this one is now; none: itself.
pub(super) fn of(conn: &Connection, record: i64) -> Result<Option<i64>, StoreError> {
    Ok(conn.prepare_cached("SELECT record FROM m_alias WHERE alias = ?1")?.query_row([record], |row| row.get(0)).optional()?)
}

/// The record that this id means, whatever its state.
///
/// # Errors
/// What SQLite says.
pub(super) fn find(conn: &Connection, collection: i64, id: &str) -> Result<Option<Held>, StoreError> {
    match record::find(conn, collection, id)? {
        Some(held) if held.data.is_none() => Ok(Some(follow(conn, held)?)),
        found => Ok(found),
    }
}

/// The record that this one is now, which may be itself.
///
/// # Errors
/// What SQLite says.
pub(super) fn follow(conn: &Connection, held: Held) -> Result<Held, StoreError> {
    match of(conn, held.record)? {
        Some(now) => Ok(record::by_row(conn, now)?.unwrap_or(held)),
        None => Ok(held),
    }
}

/// Puts into references the ids that what they name has now; whether any had another.
///
/// # Errors
/// What SQLite says.
pub(super) fn rename(
    conn: &Connection,
    definitions: &Definitions,
    references: &References,
    props: &mut Props,
) -> Result<bool, StoreError> {
    let mut renamed = false;
    for (property, reference) in references {
        let Ok(collection) = definitions.named(&reference.collection) else { continue };
        let ids: Vec<String> = reference::ids(props, property).into_iter().map(str::to_owned).collect();
        for id in ids {
            let now: Option<String> = conn
                .prepare_cached(
                    "SELECT s.id FROM m_record g JOIN m_alias a ON a.alias = g.record JOIN m_record s ON s.record = a.record
                     WHERE g.collection = ?1 AND g.id = ?2",
                )?
                .query_row((collection.number, &id), |row| row.get(0))
                .optional()?;
            if let Some(now) = now {
                renamed |= reference::replace(props, property, &Value::Text(id), Some(&Value::Text(now)));
            }
        }
    }
    Ok(renamed)
}
