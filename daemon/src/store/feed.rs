//! Owns: the change feed: each record once, at its last change, since a cursor. Must never know: subscriptions, sockets.
//!
//! A cursor is a seq. While a reader that began from nothing is still below the horizon (the highest purged seq of the collections that
//! it reads), its cursor is marked, because a plain cursor there has missed tombstones and must begin anew, and one of a reader that is
//! on its way through the first reading must not: it would never arrive. The mark holds for the horizon it was made under.

use std::collections::BTreeSet;

use mingle_core::{
    ask::{Change, ChangeKind, Changes, Scope, Since},
    planted,
    record::Value,
};
use rusqlite::{Rows, fallible_streaming_iterator::FallibleStreamingIterator as _, types::ValueRef};

use super::{error::StoreError, ledger::HEAD, limits, reader::Reader, record::State};
use crate::json;

/// Marks a cursor of a first reading below the horizon. Numbers stay below 2^53, so that JSON readers keep them exact.
const FIRST_READING: u64 = 1 << 52;
/// Under the mark: the low bits of the horizon it holds for, above the seq.
const HORIZON_BITS: u64 = 12;
const SEQ_BITS: u64 = 40;

/// A page of the feed, as one state of the store has it.
///
/// # Errors
/// [`mingle_core::ask::Refusal::NotFound`] for a collection that is not there.
pub fn changes(reader: &Reader<'_>, since: &Since) -> Result<Changes, StoreError> {
    let head: u64 = reader.prepare_cached(&format!("SELECT {HEAD} FROM m_store"))?.query_row((), |row| row.get(0))?;
    let collections = scope(reader, &since.scope)?;
    let horizon = horizon(reader, &collections)?;
    let position = position(since, reader.instance(), head, horizon);
    let (whole, single) = if since.data { WITH_DATA } else { WITHOUT_DATA };
    let sql = |name: &str| if since.ids.of(name).is_some() { single } else { whole };
    let mut statements = collections.iter().map(|(_, name)| reader.prepare_cached(sql(name))).collect::<Result<Vec<_>, _>>()?;
    let mut merged = Merged { after: position.after, heads: Vec::new(), with_data: since.data };
    for (statement, (number, name)) in statements.iter_mut().zip(&collections) {
        let rows = match since.ids.of(name) {
            Some(ids) => statement.query((number, position.after, list(ids)))?,
            None => statement.query((number, position.after))?,
        };
        merged.add(rows, name)?;
    }
    let mut page = Changes { changes: Vec::new(), seq: head, more: false, fresh: position.fresh };
    let rows_max = since.limit.clamp(1, limits::PAGE_ROWS_MAX);
    let mut bytes = 0;
    while let Some(change) = merged.next()? {
        let size = change.id.len() + change.collection.len() + change.data.as_ref().map_or(0, String::len) + OVERHEAD;
        if page.changes.len() >= rows_max || (bytes + size > since.bytes && !page.changes.is_empty()) {
            page.more = true;
            page.seq = page.changes.last().map_or(head, |last| mark(last.seq, horizon, position.first_reading));
            break;
        }
        bytes += size;
        page.changes.push(change);
    }
    Ok(page)
}

/// The highest purged seq of these collections: who read up to it has missed nothing.
fn horizon(reader: &Reader<'_>, collections: &[(i64, String)]) -> Result<u64, StoreError> {
    let mut statement = reader.prepare_cached("SELECT horizon FROM m_collection WHERE collection = ?1")?;
    let mut highest = 0;
    for (number, _) in collections {
        highest = highest.max(statement.query_row([number], |row| row.get(0))?);
    }
    Ok(highest)
}

/// What a change takes on the wire beside its id, collection and data, roughly.
pub(super) const OVERHEAD: usize = 64;

/// Of a whole collection, and of single records: those are found by their ids, and put in order.
type Sql = (&'static str, &'static str);

/// Which record one that left is now.
macro_rules! alias {
    () => {
        "CASE state WHEN 2 THEN (SELECT s.id FROM m_alias a JOIN m_record s ON s.record = a.record WHERE a.alias = m_record.record) END"
    };
}

const WITH_DATA: Sql = (
    concat!(
        "SELECT id, seq, first, created, state, ",
        alias!(),
        ", data FROM m_record WHERE collection = ?1 AND seq > ?2 ORDER BY seq"
    ),
    concat!(
        "SELECT id, seq, first, created, state, ",
        alias!(),
        ", data FROM m_record WHERE collection = ?1 AND +seq > ?2 AND id IN (SELECT value FROM json_each(?3)) ORDER BY +seq"
    ),
);
const WITHOUT_DATA: Sql = (
    concat!(
        "SELECT id, seq, first, created, state, ",
        alias!(),
        " FROM m_record WHERE collection = ?1 AND seq > ?2 ORDER BY seq"
    ),
    concat!(
        "SELECT id, seq, first, created, state, ",
        alias!(),
        " FROM m_record WHERE collection = ?1 AND +seq > ?2 AND id IN (SELECT value FROM json_each(?3)) ORDER BY +seq"
    ),
);

/// Ids as a JSON list.
fn list(ids: &BTreeSet<String>) -> String {
    json::write_value(&Value::List(ids.iter().cloned().map(Value::Text).collect()))
}

struct Position {
    after: u64,
    /// The reader must forget what it has.
    fresh: bool,
    /// It began from nothing, and is still on its way.
    first_reading: bool,
}

fn position(since: &Since, instance: &str, head: u64, horizon: u64) -> Position {
    let nothing = |fresh| Position { after: 0, fresh, first_reading: true };
    if since.instance.as_deref().is_some_and(|of| of != instance) && !planted::is("cursor without instance") {
        return nothing(true);
    }
    if since.seq & FIRST_READING != 0 {
        let seq = since.seq & ((1 << SEQ_BITS) - 1);
        let same_horizon = since.seq == mark(seq, horizon, true);
        return if same_horizon { Position { after: seq, fresh: false, first_reading: true } } else { nothing(true) };
    }
    match since.seq {
        0 => nothing(false),
        seq if seq > head || (seq < horizon && !planted::is("purge without horizon")) => nothing(true),
        seq => Position { after: seq, fresh: false, first_reading: false },
    }
}

fn mark(seq: u64, horizon: u64, first_reading: bool) -> u64 {
    if first_reading && seq < horizon && seq < 1 << SEQ_BITS && !planted::is("first reading unmarked") {
        FIRST_READING | (horizon & ((1 << HORIZON_BITS) - 1)) << SEQ_BITS | seq
    } else {
        seq
    }
}

/// The collections asked for, by number.
fn scope(reader: &Reader<'_>, scope: &Scope) -> Result<Vec<(i64, String)>, StoreError> {
    match scope {
        Scope::All => Ok(reader.definitions().all().map(|one| (one.number, one.definition.name.clone())).collect()),
        Scope::Only(names) => {
            let mut numbers: Vec<(i64, String)> = Vec::with_capacity(names.len());
            for name in names {
                let number = reader.defined(name)?.number;
                if !numbers.iter().any(|(have, _)| *have == number) {
                    numbers.push((number, name.clone()));
                }
            }
            Ok(numbers)
        }
    }
}

/// The collections' feeds as one, in the order of seq: so a page costs what it shows, however many records there are.
struct Merged<'a> {
    after: u64,
    heads: Vec<(u64, Rows<'a>, &'a str)>,
    with_data: bool,
}

impl<'a> Merged<'a> {
    fn add(&mut self, mut rows: Rows<'a>, collection: &'a str) -> Result<(), StoreError> {
        if let Some(row) = rows.next()? {
            let seq = row.get(1)?;
            self.heads.push((seq, rows, collection));
        }
        Ok(())
    }

    /// The next change that this reader is to hear of.
    fn next(&mut self) -> Result<Option<Change>, StoreError> {
        loop {
            let Some(at) = (0..self.heads.len()).min_by_key(|at| self.heads[*at].0) else { return Ok(None) };
            let (seq, rows, collection) = &mut self.heads[at];
            let change = match rows.get() {
                Some(row) => told(row, *seq, collection, self.after, self.with_data)?,
                None => None,
            };
            match rows.next()? {
                Some(row) => *seq = row.get(1)?,
                None => drop(self.heads.swap_remove(at)),
            }
            if change.is_some() {
                return Ok(change);
            }
        }
    }
}

/// What a record in this state is for a reader at `after`; none: it cannot have had the record, and has not to hear of its end.
pub(super) fn kind(state: i64, first: u64, created: u64, after: u64) -> Option<ChangeKind> {
    let live = state == State::Live as i64;
    let first = if planted::is("end hidden by a return") { created } else { first };
    match (live, first <= after) {
        (false, false) => None,
        (false, true) if state == State::Deleted as i64 => Some(ChangeKind::Deleted),
        (false, true) => Some(ChangeKind::Left),
        (true, _) if created > after => Some(ChangeKind::Created),
        (true, _) => Some(ChangeKind::Updated),
    }
}

/// What this row is for a reader at `after`; none: it cannot have had the record, and has not to hear of its end.
fn told(row: &rusqlite::Row<'_>, seq: u64, collection: &str, after: u64, with_data: bool) -> Result<Option<Change>, StoreError> {
    let (first, created): (u64, u64) = (row.get(2)?, row.get(3)?);
    let state: i64 = row.get(4)?;
    let Some(kind) = kind(state, first, created, after) else { return Ok(None) };
    let data = match with_data {
        true => match row.get_ref(6)? {
            ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        },
        false => None,
    };
    let alias = if kind == ChangeKind::Left { row.get(5)? } else { None };
    Ok(Some(Change { collection: collection.to_owned(), id: row.get(0)?, seq, kind, data, alias }))
}

#[cfg(test)]
mod tests;
