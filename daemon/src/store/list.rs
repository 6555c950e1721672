//! Owns: reading one record, or those that fit a question. Must never know: who asks.

use mingle_core::ask::{Found, Listed, Query};
use rusqlite::OptionalExtension;

use super::{error::StoreError, reader::Reader, write::not_there};

/// One live record.
///
/// # Errors
/// [`mingle_core::ask::Refusal::NotFound`] for the collection (naming those there are) or the record.
pub fn get(reader: &Reader<'_>, collection: &str, id: &str) -> Result<Found, StoreError> {
    let number = reader.defined(collection)?.number;
    let mut statement =
        reader.prepare_cached("SELECT data, seq FROM m_record WHERE collection = ?1 AND id = ?2 AND state = 0")?;
    let found = statement.query_row((number, id), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (data, seq) = found.ok_or_else(|| not_there(collection, id))?;
    Ok(Found { id: id.to_owned(), data, seq })
}

/// A page of records that fit.
///
/// # Errors
/// As [`get`].
pub fn list(reader: &Reader<'_>, query: &Query) -> Result<Listed, StoreError> {
    let number = reader.defined(&query.collection)?.number;
    let mut statement =
        reader.prepare_cached("SELECT id, data, seq FROM m_record WHERE collection = ?1 AND state = 0 ORDER BY id LIMIT ?2")?;
    let rows =
        statement.query_map((number, query.limit), |row| Ok(Found { id: row.get(0)?, data: row.get(1)?, seq: row.get(2)? }))?;
    Ok(Listed { records: rows.collect::<Result<_, _>>()?, cursor: None })
}
