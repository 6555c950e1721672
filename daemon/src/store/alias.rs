//! Owns: ids that are those of another record now: noted, followed, given back. Must never know: how it is proved that two are one.

use mingle_core::{
    ask::Refusal,
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

/// Notes that a record is another one now, by the change of that one at `seq`, and with it whatever was this one already.
pub(super) fn note(tx: &Tx<'_>, record: i64, now: i64, seq: u64) -> Result<(), StoreError> {
    tx.conn.prepare_cached("UPDATE m_alias SET record = ?2 WHERE record = ?1")?.execute((record, now))?;
    tx.conn.prepare_cached("INSERT INTO m_alias (alias, record, seq) VALUES (?1, ?2, ?3)")?.execute((record, now, seq))?;
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

/// Whether a record took over another by its change at this seq: there is no way back from that.
pub(super) fn took_over(conn: &Connection, record: i64, seq: u64) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached("SELECT 1 FROM m_alias WHERE record = ?1 AND seq = ?2")?.exists((record, seq))?)
}

/// What is refused under an id that is another record's now, because whoever says it means what that id was.
pub(super) fn meant_otherwise(named: &str, held: &Held) -> Refusal {
    let told = format!("{named:?} proved to be {:?}, which is at seq {}; read that, and say it of that", held.id, held.seq);
    Refusal::Stale(told, Some(held.seq))
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
                renamed |= replace(props, property, &Value::Text(id), &Value::Text(now));
            }
        }
    }
    Ok(renamed)
}

/// Puts another record in the place of one in a reference, once; whether it was there.
pub(super) fn replace(props: &mut Props, property: &str, of: &Value, with: &Value) -> bool {
    let replaced = reference::replace(props, property, of, Some(with));
    if replaced && let Some(Value::List(list)) = props.get_mut(property) {
        let mut there = false;
        list.retain(|one| one != with || !std::mem::replace(&mut there, true));
    }
    replaced
}
