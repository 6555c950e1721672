//! Owns: conflicts and rejections that came up since the last look, as news. Must never know: who is told.

use mingle_core::ask::Event;
use rusqlite::{Connection, OptionalExtension};

use super::error::StoreError;

/// How far the news has been told: the newest conflict and the newest rejection.
pub type Told = (i64, i64);

/// Where the news stands now.
///
/// # Errors
/// What SQLite says.
pub fn newest(conn: &Connection) -> Result<Told, StoreError> {
    let one = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0));
    Ok((one("SELECT coalesce(max(conflict), 0) FROM m_conflict")?, one("SELECT coalesce(max(rejection), 0) FROM m_rejection")?))
}

/// What came up since, oldest first, and where the news stands then. `collection_of` names the collection of a sync, for a row that
/// made no record.
///
/// # Errors
/// What SQLite says.
pub fn after(
    conn: &Connection,
    told: Told,
    collection_of: &dyn Fn(&str) -> Option<String>,
) -> Result<(Vec<Event>, Told), StoreError> {
    let mut news = Vec::new();
    let mut now = told;
    let mut statement = conn.prepare_cached(
        "SELECT c.conflict, c.id, c.open, k.name, r.id, c.property FROM m_conflict c
         JOIN m_record r ON r.record = c.record JOIN m_collection k ON k.collection = r.collection
         WHERE c.conflict > ?1 ORDER BY c.conflict LIMIT 1000",
    )?;
    let mut rows = statement.query([told.0])?;
    while let Some(row) = rows.next()? {
        now.0 = row.get(0)?;
        news.push(Event::Conflict {
            conflict: row.get(1)?,
            open: row.get(2)?,
            collection: row.get(3)?,
            id: row.get(4)?,
            property: row.get(5)?,
        });
    }
    let mut statement = conn.prepare_cached(
        "SELECT j.rejection, j.id, j.side, k.name, r.id, j.sync, j.what FROM m_rejection j
         LEFT JOIN m_record r ON r.record = j.record LEFT JOIN m_collection k ON k.collection = r.collection
         WHERE j.rejection > ?1 ORDER BY j.rejection LIMIT 1000",
    )?;
    let mut rows = statement.query([told.1])?;
    while let Some(row) = rows.next()? {
        now.1 = row.get(0)?;
        let sync: String = row.get(5)?;
        let collection: Option<String> = row.get(3)?;
        let Some(collection) = collection.or_else(|| collection_of(&sync)) else { continue };
        news.push(Event::Rejection {
            rejection: row.get(1)?,
            open: true,
            side: row.get(2)?,
            collection,
            id: row.get(4)?,
            sync,
            what: row.get(6)?,
        });
    }
    Ok((news, now))
}

/// The sync a rejection belongs to.
///
/// # Errors
/// What SQLite says.
pub fn sync_of(conn: &Connection, rejection: &str) -> Result<Option<String>, StoreError> {
    Ok(conn.prepare_cached("SELECT sync FROM m_rejection WHERE id = ?1")?.query_row([rejection], |row| row.get(0)).optional()?)
}
