//! Owns: the ledger: what each change was before, and the record as it was at any seq. Must never know: who asks.

use std::collections::BTreeMap;

use mingle_core::{
    planted,
    record::{Props, Value},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    error::StoreError,
    record::{self, Held},
    tx::{Origin, Tx},
};
use crate::json;

/// The highest seq ever given, as SQL over `m_store`: each has its row here, until it is purged; and the newest row of a record goes
/// only with the record, which raises the horizon.
pub(super) const HEAD: &str = "max(horizon, coalesce((SELECT max(seq) FROM m_ledger), 0))";

/// Adds a row. `before` is what [`before`] wrote; none: there was no record.
pub(super) fn append(tx: &Tx<'_>, seq: u64, record: i64, origin: &Origin, before: Option<&str>) -> Result<(), StoreError> {
    let mut statement =
        tx.conn.prepare_cached("INSERT INTO m_ledger (seq, record, origin, at, before) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    statement.execute((seq, record, origin.to_string(), tx.now.unix_ms(), before))?;
    Ok(())
}

/// The inverse of a change: each property whose written form changed, with a list of its old value, empty where it was absent.
/// So a written null (`[null]`) and an absent property (`[]`) are told apart.
pub(super) fn before(old: &Props, new: &Props) -> String {
    let mut changed = Props::new();
    for name in mingle_core::record::names(old, new) {
        if old.get(name) != new.get(name) {
            changed.insert(name.to_owned(), Value::List(old.get(name).cloned().into_iter().collect()));
        }
    }
    json::write(&changed)
}

/// Takes one change back.
fn undo(now: Option<Props>, before: Option<&str>) -> Result<Option<Props>, StoreError> {
    let Some(before) = before else { return Ok(None) };
    let mut props = now.unwrap_or_default();
    for (name, old) in record::props(before)? {
        match old {
            Value::List(mut old) => match old.pop() {
                Some(old) => props.insert(name, old),
                None => props.remove(&name),
            },
            _ => return Err(StoreError::Corrupt("a ledger row is not in its form".into())),
        };
    }
    Ok(Some(props))
}

/// What a record was at some seq.
#[derive(Clone, Debug, PartialEq)]
pub enum Past {
    /// This.
    There(Props),
    /// Nothing: it was not made yet, or was deleted then.
    NotThere,
    /// Not to be told: the ledger does not reach back so far, or the seq is yet to come.
    Unknown,
}

/// The record as it was when `seq` was the newest.
///
/// # Errors
/// What SQLite says.
pub fn at(conn: &Connection, held: &Held, seq: u64) -> Result<Past, StoreError> {
    let mut asked = conn.prepare_cached("SELECT ledger_horizon FROM m_collection WHERE collection = ?1")?;
    let horizon: u64 = asked.query_row([held.collection], |row| row.get(0))?;
    if seq < horizon && seq < held.seq && !planted::is("ledger without horizon") {
        return Ok(Past::Unknown);
    }
    at_kept(conn, held, seq)
}

/// The same, for whoever knows that every later row of this record is there: a link with a copy of its own keeps them, from the state on
/// that it confirms ([`super::purge`]), also below the horizon.
///
/// # Errors
/// What SQLite says.
pub fn at_kept(conn: &Connection, held: &Held, seq: u64) -> Result<Past, StoreError> {
    let head: u64 = conn.prepare_cached(&format!("SELECT {HEAD} FROM m_store"))?.query_row((), |row| row.get(0))?;
    if seq > head.max(held.seq) {
        return Ok(Past::Unknown);
    }
    let mut props = held.props()?;
    let mut statement = conn.prepare_cached("SELECT before FROM m_ledger WHERE record = ?1 AND seq > ?2 ORDER BY seq DESC")?;
    let mut rows = statement.query((held.record, seq))?;
    while let Some(row) = rows.next()? {
        props = undo(props, row.get_ref(0)?.as_str_or_null().map_err(rusqlite::Error::from)?)?;
    }
    Ok(props.map_or(Past::NotThere, Past::There))
}

/// When each property of a live record last changed; for those that the ledger does not know any more, nothing.
///
/// # Errors
/// What SQLite says.
pub fn stamps(conn: &Connection, held: &Held) -> Result<BTreeMap<String, Timestamp>, StoreError> {
    newest(conn, held, |row| Ok(Some(Timestamp::from_unix_ms(row.get(0)?))))
}

/// The seq of the last change of each property of a live record, and who made it; for those that the ledger does not know any more, nothing.
///
/// # Errors
/// What SQLite says.
pub fn origins(conn: &Connection, held: &Held) -> Result<BTreeMap<String, (u64, Origin)>, StoreError> {
    newest(conn, held, |row| {
        let seq = row.get(3)?;
        Ok(Origin::parse(&row.get::<_, String>(2)?).map(|origin| (seq, origin)))
    })
}

/// By property of a live record, what `of` makes of the row (time, inverse, origin, seq) of its last change.
fn newest<T: Clone>(
    conn: &Connection,
    held: &Held,
    of: impl Fn(&Row<'_>) -> rusqlite::Result<Option<T>>,
) -> Result<BTreeMap<String, T>, StoreError> {
    let mut found = BTreeMap::new();
    let Some(props) = held.props()? else { return Ok(BTreeMap::new()) };
    let mut statement =
        conn.prepare_cached("SELECT at, before, origin, seq FROM m_ledger WHERE record = ?1 ORDER BY seq DESC")?;
    let mut rows = statement.query([held.record])?;
    while let Some(row) = rows.next()? {
        let last = of(row)?;
        match row.get_ref(1)?.as_str_or_null().map_err(rusqlite::Error::from)? {
            Some(before) => {
                for name in record::props(before)?.into_keys() {
                    found.entry(name).or_insert_with(|| last.clone());
                }
            }
            None => {
                for name in props.into_keys() {
                    found.entry(name).or_insert_with(|| last.clone());
                }
                break;
            }
        }
    }
    Ok(found.into_iter().filter_map(|(name, last)| Some((name, last?))).collect())
}

/// One change, as the ledger has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its seq.
    pub seq: u64,
    /// Who made it.
    pub origin: String,
    /// When.
    pub at: Timestamp,
}

/// The change that gave a property (none: the record as a whole) the value it had at seq `until`.
///
/// # Errors
/// What SQLite says.
pub fn last(conn: &Connection, record: i64, property: Option<&str>, until: u64) -> Result<Option<Entry>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT seq, origin, at, before FROM m_ledger WHERE record = ?1 AND seq <= ?2 ORDER BY seq DESC")?;
    let mut rows = statement.query((record, until))?;
    while let Some(row) = rows.next()? {
        let touches = match (property, row.get_ref(3)?.as_str_or_null().map_err(rusqlite::Error::from)?) {
            (Some(property), Some(before)) => record::props(before)?.contains_key(property),
            _ => true,
        };
        if touches {
            return Ok(Some(Entry { seq: row.get(0)?, origin: row.get(1)?, at: Timestamp::from_unix_ms(row.get(2)?) }));
        }
    }
    Ok(None)
}

/// Who made the change of that seq.
///
/// # Errors
/// What SQLite says.
pub fn origin(conn: &Connection, seq: u64) -> Result<Option<Origin>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT origin FROM m_ledger WHERE seq = ?1")?;
    let text: Option<String> = statement.query_row([seq], |row| row.get(0)).optional()?;
    Ok(text.as_deref().and_then(Origin::parse))
}
