//! Owns: records: finding, making, changing, forgetting one. The only place that writes `m_record`, so that each change has its
//! seq, its ledger row and its links' agreed copies. Must never know: who may write, replicas.

use mingle_core::{
    mingle::alike,
    planted,
    policy::Policy,
    record::{Carried, Props},
};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{
    alias, children,
    error::StoreError,
    latest::Left,
    ledger,
    tx::{Origin, Tx},
};
use crate::json;

/// Whether a record is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is.
    Live = 0,
    /// It was deleted; its row stays as a tombstone.
    Deleted = 1,
    /// It left without being deleted: no remote shows it any more.
    Forgotten = 2,
}

/// One row of `m_record`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Its number.
    pub record: i64,
    /// Its collection's number.
    pub collection: i64,
    /// The id apps know.
    pub id: String,
    /// Its data as compact JSON ([`json::write`]); none unless live.
    pub data: Option<String>,
    /// The seq that made it, the first time.
    pub first: u64,
    /// The seq that made it, or brought it back.
    pub created: u64,
    /// The seq of its last change.
    pub seq: u64,
    /// Whether it is there.
    pub state: State,
}

impl Held {
    /// Its properties; none unless live.
    ///
    /// # Errors
    /// Where the stored text is no object.
    pub fn props(&self) -> Result<Option<Props>, StoreError> {
        self.data.as_deref().map(props).transpose()
    }

    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            record: row.get(0)?,
            collection: row.get(1)?,
            id: row.get(2)?,
            data: row.get(3)?,
            first: row.get(4)?,
            created: row.get(5)?,
            seq: row.get(6)?,
            state: match row.get::<_, i64>(7)? {
                0 => State::Live,
                1 => State::Deleted,
                _ => State::Forgotten,
            },
        })
    }
}

/// Reads what we stored.
///
/// # Errors
/// [`StoreError::Corrupt`] where it is not what we write.
pub fn props(text: &str) -> Result<Props, StoreError> {
    json::parse_object(text).map_err(|error| StoreError::Corrupt(format!("a stored record is no JSON object: {error}")))
}

/// The record of that id, whatever its state.
///
/// # Errors
/// What SQLite says.
pub fn find(conn: &Connection, collection: i64, id: &str) -> Result<Option<Held>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT record, collection, id, data, first, created, seq, state FROM m_record WHERE collection = ?1 AND id = ?2",
    )?;
    Ok(statement.query_row((collection, id), Held::read).optional()?)
}

/// The record of that number.
///
/// # Errors
/// What SQLite says.
pub fn by_row(conn: &Connection, record: i64) -> Result<Option<Held>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT record, collection, id, data, first, created, seq, state FROM m_record WHERE record = ?1")?;
    Ok(statement.query_row([record], Held::read).optional()?)
}

/// Makes the record, or brings a deleted or forgotten one back. `data` is compact JSON of an object.
///
/// # Errors
/// [`StoreError::Sql`] where the id is that of a live record: the caller looks first.
pub fn make(tx: &mut Tx<'_>, collection: i64, id: &str, data: &str, origin: &Origin) -> Result<Held, StoreError> {
    match find(tx.conn, collection, id)? {
        Some(held) => {
            let seq = bring_back(tx, &held, data, origin)?;
            Ok(Held { data: Some(data.to_owned()), created: seq, seq, state: State::Live, ..held })
        }
        None => make_new(tx, collection, id, data, origin),
    }
}

/// Makes a record of which the caller knows that there is none, in no state: two inserts.
///
/// # Errors
/// As [`make`].
pub fn make_new(tx: &mut Tx<'_>, collection: i64, id: &str, data: &str, origin: &Origin) -> Result<Held, StoreError> {
    let seq = tx.next_seq();
    let mut statement = tx.conn.prepare_cached(
        "INSERT INTO m_record (collection, id, data, first, created, seq, state) VALUES (?1, ?2, ?3, ?4, ?4, ?4, 0)",
    )?;
    let record = statement.insert((collection, id, data, seq))?;
    ledger::append(tx, seq, record, origin, None)?;
    tx.touch(collection, origin);
    tx.left(|| Left {
        collection,
        id: id.to_owned(),
        seq,
        first: seq,
        created: seq,
        state: State::Live,
        data: Some(data.to_owned()),
    });
    Ok(Held {
        record,
        collection,
        id: id.to_owned(),
        data: Some(data.to_owned()),
        first: seq,
        created: seq,
        seq,
        state: State::Live,
    })
}

/// A change of a live record that leaves its properties as they are: what it is told of is another. Its seq after it.
///
/// # Errors
/// What SQLite says.
pub(super) fn touch(tx: &mut Tx<'_>, held: &Held, origin: &Origin) -> Result<u64, StoreError> {
    let seq = tx.next_seq();
    tx.conn.prepare_cached("UPDATE m_record SET seq = ?2 WHERE record = ?1 AND state = 0")?.execute((held.record, seq))?;
    ledger::append(tx, seq, held.record, origin, Some(&ledger::before(&Props::new(), &Props::new())))?;
    tx.touch(held.collection, origin);
    tx.left(|| left(held, seq, held.created, held.state, held.data.as_deref()));
    Ok(seq)
}

fn bring_back(tx: &mut Tx<'_>, held: &Held, data: &str, origin: &Origin) -> Result<u64, StoreError> {
    let seq = tx.next_seq();
    let mut statement = tx
        .conn
        .prepare_cached("UPDATE m_record SET data = ?2, created = ?3, seq = ?3, state = 0 WHERE record = ?1 AND state <> 0")?;
    if statement.execute((held.record, data, seq))? != 1 {
        return Err(StoreError::Sql(rusqlite::Error::QueryReturnedNoRows));
    }
    ledger::append(tx, seq, held.record, origin, None)?;
    alias::ends(tx, held.record)?;
    // A link that was the same as the tombstone had none.
    leave_agreed(tx, held.record, None)?;
    tx.touch(held.collection, origin);
    tx.left(|| left(held, seq, seq, State::Live, Some(data)));
    Ok(seq)
}

/// The records of every collection that are at a seq above this.
///
/// # Errors
/// What SQLite says.
pub(super) fn changed_since(conn: &Connection, seq: u64) -> Result<Vec<i64>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT r.record FROM m_collection c CROSS JOIN m_record r ON r.collection = c.collection AND r.seq > ?1 ORDER BY r.seq",
    )?;
    Ok(statement.query_map([seq], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// Changes a record to `new` (compact JSON of an object; none: deletes it, and does to those that refer to it what is declared). What
/// changes nothing by meaning writes nothing and returns the present seq; what names a record that is not there brings it back.
///
/// # Errors
/// What SQLite says.
pub fn change(tx: &mut Tx<'_>, held: &Held, new: Option<&str>, origin: &Origin) -> Result<u64, StoreError> {
    match new {
        Some(text) if held.data.as_deref() == Some(text) => Ok(held.seq),
        Some(text) => change_to(tx, held, text, &props(text)?, origin),
        None => {
            let seq = end(tx, held, State::Deleted, origin)?;
            if seq != held.seq {
                children::parent_is_deleted(tx, held, origin)?;
            }
            Ok(seq)
        }
    }
}

/// Deletes a record, and looks at no other.
///
/// # Errors
/// What SQLite says.
pub(super) fn delete_alone(tx: &mut Tx<'_>, held: &Held, origin: &Origin) -> Result<u64, StoreError> {
    end(tx, held, State::Deleted, origin)
}

/// As [`change`], where the caller has read the text already.
///
/// # Errors
/// As [`change`].
pub fn change_to(tx: &mut Tx<'_>, held: &Held, text: &str, new: &Props, origin: &Origin) -> Result<u64, StoreError> {
    let Some(old_text) = &held.data else { return bring_back(tx, held, text, origin) };
    if old_text == text {
        return Ok(held.seq);
    }
    let old = props(old_text)?;
    if same(tx, held.collection, &old, new) {
        return Ok(held.seq);
    }
    let seq = tx.next_seq();
    tx.conn.prepare_cached("UPDATE m_record SET data = ?2, seq = ?3 WHERE record = ?1")?.execute((held.record, text, seq))?;
    ledger::append(tx, seq, held.record, origin, Some(&ledger::before(&old, new)))?;
    leave_agreed(tx, held.record, Some(old_text))?;
    tx.touch(held.collection, origin);
    tx.left(|| left(held, seq, held.created, State::Live, Some(text)));
    Ok(seq)
}

/// Drops a record here without deleting it anywhere: its kind in the feed is `left`.
///
/// # Errors
/// What SQLite says.
pub fn forget(tx: &mut Tx<'_>, held: &Held, origin: &Origin) -> Result<u64, StoreError> {
    end(tx, held, State::Forgotten, origin)
}

fn end(tx: &mut Tx<'_>, held: &Held, state: State, origin: &Origin) -> Result<u64, StoreError> {
    let Some(old_text) = &held.data else { return Ok(held.seq) };
    let seq = tx.next_seq();
    tx.conn.prepare_cached("UPDATE m_record SET data = NULL, seq = ?2, state = ?3 WHERE record = ?1")?.execute((
        held.record,
        seq,
        state as i64,
    ))?;
    let before = ledger::before(&props(old_text)?, &Props::new());
    ledger::append(tx, seq, held.record, origin, Some(&before))?;
    leave_agreed(tx, held.record, Some(old_text))?;
    tx.touch(held.collection, origin);
    tx.left(|| left(held, seq, held.created, state, None));
    Ok(seq)
}

fn left(held: &Held, seq: u64, created: u64, state: State, data: Option<&str>) -> Left {
    let Held { collection, ref id, first, .. } = *held;
    Left { collection, id: id.clone(), seq, first, created, state, data: data.map(str::to_owned) }
}

/// The first change of the truth after "the same" leaves each link of that record its own agreed copy: what the truth was.
fn leave_agreed(tx: &Tx<'_>, record: i64, old: Option<&str>) -> Result<(), StoreError> {
    if planted::is("agreed copy not left") {
        return Ok(());
    }
    let base = if old.is_some() { 1 } else { 2 };
    let leave = match planted::is("agreed copy left for remotes alone") {
        false => "UPDATE m_link SET base = ?2, agreed = ?3 WHERE record = ?1 AND base = 0",
        true => "UPDATE m_link SET base = ?2, agreed = ?3 WHERE record = ?1 AND base = 0 AND replica > 0",
    };
    tx.conn.prepare_cached(leave)?.execute((record, base, old))?;
    Ok(())
}

fn same(tx: &Tx<'_>, collection: i64, old: &Props, new: &Props) -> bool {
    let plain = Policy::default();
    let policy = tx.books.definitions.numbered(collection).map_or(&plain, |collection| &collection.definition.policy);
    alike(old, new, &Carried::All, policy)
}
