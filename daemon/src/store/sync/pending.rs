//! Owns: the lists of what waits to be sent: one row for each record that a replica is behind on, each in one state. Must never know:
//! how a run sends it.

use std::collections::BTreeSet;

use mingle_core::{
    ask::{Page, PendingRow, Refusal, Scope, WhichPending},
    meeting::{Agreed, Link, Rules},
    pending::{Beside, Change, State, pending, stands},
    policy::Policy,
    record::Carried,
    replica::Abilities,
    run::Creates,
};
use rusqlite::{Connection, OptionalExtension, params, types::Value as Bound};

use super::{elsewhere, frozen, link, link::Linked, plan::wanted, present};
use crate::store::{
    cursor::Cursor,
    deferred,
    error::StoreError,
    limits,
    reader::Reader,
    record::{Held, State as RecordState},
};

/// Where changes of a collection are to be sent: a replica with the sync that serves it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The sync.
    pub sync: String,
    /// The remote's name.
    pub remote: String,
    /// The collection's name.
    pub collection: String,
    /// The replica's number in the store; none: it was never spoken to.
    pub replica: Option<i64>,
    /// What it carries.
    pub carried: Carried,
    /// The sync only sends.
    pub up_only: bool,
    /// What it makes there.
    pub creates: Creates,
}

/// What one link, or record without one, has pending.
pub(super) struct Looked {
    pub state: State,
    pub change: Change,
    /// The rejection that stands against it: its id, and what it says.
    pub rejection: Option<(String, String)>,
}

/// The run of a replica that is on.
pub(super) fn run_of(conn: &Connection, replica: Option<i64>) -> Result<Option<String>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT r.id FROM m_run r INDEXED BY m_run_open JOIN m_sync s ON s.name = r.sync WHERE r.ended IS NULL AND s.replica = ?1",
    )?;
    Ok(statement.query_row([replica], |row| row.get(0)).optional()?)
}

/// The rules by which a record is compared with what a place has.
pub(super) fn with_rules<T>(place: &Place, policy: &Policy, frozen: &BTreeSet<String>, work: impl FnOnce(Rules<'_>) -> T) -> T {
    let abilities = Abilities { carried: place.carried.clone(), ..Abilities::least() };
    work(Rules { policy, abilities: &abilities, up_only: place.up_only, frozen, anew: false, reset: None })
}

/// What a record has pending at a place; none: nothing.
pub(super) fn look(
    conn: &Connection,
    place: &Place,
    policy: &Policy,
    held: &Held,
    linked: Option<&Linked>,
    run: Option<&str>,
) -> Result<Option<Looked>, StoreError> {
    let truth = held.props()?;
    let (unborn, frozen, rejection) = match linked {
        Some(linked) => {
            (None, frozen(conn, linked.link)?, rejection(conn, linked.link, || wanted(truth.as_ref(), &place.carried))?)
        }
        None => (Some(Link::unborn()), BTreeSet::new(), None),
    };
    let Some(state) = linked.map(|linked| &linked.state).or(unborn.as_ref()) else { return Ok(None) };
    // Gone on both sides.
    if truth.is_none() && state.agreed == Agreed::Same && state.sent.is_empty() {
        return Ok(None);
    }
    let beside = Beside { rejected: rejection.is_some(), run, deferred: deferred::by(conn, held.record)?.is_some() };
    let forgotten = held.state == RecordState::Forgotten;
    let found = with_rules(place, policy, &frozen, |rules| pending(state, truth.as_ref(), forgotten, beside, rules));
    Ok(found.map(|(state, change)| Looked { state, change, rejection }))
}

/// The rejection that stands in the way of sending.
fn rejection(conn: &Connection, link: i64, wanted: impl FnOnce() -> String) -> Result<Option<(String, String)>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT id, what, side, verdict, refused FROM m_rejection WHERE link = ?1")?;
    let mut rows = statement.query([link])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let (side, verdict, refused): (String, Option<String>, Option<String>) = (row.get(2)?, row.get(3)?, row.get(4)?);
    let same = refused.is_some_and(|refused| refused == wanted());
    Ok(stands(&side, verdict.as_deref(), same).then_some((row.get(0)?, row.get(1)?)))
}

/// Pending changes, by sync and then by the seq of their records. A page looks at so many records at most, and may be empty while more
/// follow. `places`: by the names of their syncs.
///
/// # Errors
/// `not_found` for a collection that is not there; `stale` and `invalid` for a cursor from elsewhere.
pub fn list(reader: &Reader<'_>, which: &WhichPending, places: &[Place]) -> Result<Page<PendingRow>, StoreError> {
    if let Scope::Only(names) = &which.scope {
        for name in names {
            reader.defined(name)?;
        }
    }
    let question = format!("pending {:?}", (&which.scope, &which.sync, which.state));
    let (from, mut after) = match &which.cursor {
        Some(cursor) => match Cursor::parse(cursor, reader.instance(), question.as_bytes())?.keys.as_slice() {
            [Bound::Text(sync), Bound::Integer(seq)] => (sync.clone(), link::unsigned(*seq)),
            _ => return Err(Refusal::Invalid("this is no cursor of this question".into(), None).into()),
        },
        None => (String::new(), 0),
    };
    let most = which.limit.clamp(1, limits::PAGE_ROWS_MAX);
    let mut page = Page { rows: Vec::new(), cursor: None };
    let mut looks = limits::PENDING_ROWS_MAX;
    for place in places.iter().filter(|place| place.sync >= from) {
        if place.sync != from {
            after = 0;
        }
        if !which.scope.has(&place.collection) || which.sync.as_ref().is_some_and(|sync| *sync != place.sync) {
            continue;
        }
        let ended = one(reader, which.state, place, after, most, &mut looks, &mut page.rows)?;
        if let Some(at) = ended {
            let keys = vec![Bound::Text(place.sync.clone()), Bound::Integer(link::signed(at))];
            page.cursor = Some(Cursor { keys }.text(reader.instance(), question.as_bytes()));
            break;
        }
    }
    Ok(page)
}

/// What one place has pending after this seq; where it goes on, if it did not come to the end.
fn one(
    reader: &Reader<'_>,
    state: Option<State>,
    place: &Place,
    after: u64,
    most: usize,
    looks: &mut usize,
    rows: &mut Vec<PendingRow>,
) -> Result<Option<u64>, StoreError> {
    let Ok(collection) = reader.defined(&place.collection) else { return Ok(None) };
    let policy = &collection.definition.policy;
    let run = run_of(reader, place.replica)?;
    let (records, end) = behind(reader, place, collection.number, after, *looks)?;
    for (seq, record, linked) in records {
        if rows.len() >= most || *looks == 0 {
            return Ok(Some(seq - 1));
        }
        *looks -= 1;
        let held = present(reader, record)?.held;
        let Some(found) = look(reader, place, policy, &held, linked.as_ref(), run.as_deref())? else { continue };
        if state.is_some_and(|state| state != found.state) {
            continue;
        }
        let why = match (&found.rejection, found.state) {
            (Some((_, what)), State::Rejected) => Some(what.clone()),
            (_, State::Deferred) => deferred::by(reader, record)?.map(|app| format!("{app} marked it not for upload")),
            _ => None,
        };
        rows.push(PendingRow {
            sync: place.sync.clone(),
            remote: place.remote.clone(),
            collection: place.collection.clone(),
            id: held.id,
            state: found.state,
            change: found.change,
            seq: held.seq,
            rejection: found.rejection.map(|(id, _)| id),
            why,
        });
    }
    Ok(end)
}

/// A record that may have something pending: its seq, its number, its link.
pub(super) type Candidate = (u64, i64, Option<Linked>);

/// Links that may be behind and records that no remote has, by seq; and up to which seq was looked, where that is not the end.
pub(super) fn behind(
    conn: &Connection,
    place: &Place,
    collection: i64,
    after: u64,
    most: usize,
) -> Result<(Vec<Candidate>, Option<u64>), StoreError> {
    let mut found: Vec<Candidate> = Vec::new();
    let mut end = u64::MAX;
    if let Some(replica) = place.replica {
        let linked = link::candidates(conn, replica, after, most)?;
        if linked.len() >= most {
            end = end.min(linked.last().map_or(after, |(seq, _)| *seq));
        }
        found.extend(linked.into_iter().map(|(seq, linked)| (seq, linked.record, Some(linked))));
    }
    // Records up to the seq that the sync has looked at have their links.
    let scanned: i64 = conn
        .prepare_cached(&format!("SELECT {}", elsewhere::scanned(place.creates)))?
        .query_row([&place.sync], |row| row.get(0))?;
    let from = after.max(link::unsigned(scanned));
    let head: Option<i64> =
        conn.prepare_cached("SELECT max(seq) FROM m_record WHERE collection = ?1")?.query_row([collection], |row| row.get(0))?;
    let head = head.map_or(0, link::unsigned);
    let to = from.saturating_add(limits::PLAN_SEQS_MAX);
    if to < head {
        end = end.min(to);
    }
    let mut statement = conn.prepare_cached(&format!(
        "SELECT r.seq, r.record FROM m_record r WHERE r.collection = ?2 AND r.seq > ?3 AND r.seq <= ?4 AND r.state = 0
           AND {} AND ?1 = ?1 ORDER BY r.seq LIMIT ?5",
        elsewhere::makes(place.creates)
    ))?;
    let rows = statement
        .query_map(params![place.sync, collection, link::signed(from), link::signed(to), most as i64], |row| {
            Ok((link::unsigned(row.get(0)?), row.get(1)?))
        })?;
    let new: Vec<(u64, i64)> = rows.collect::<Result<_, _>>()?;
    if new.len() >= most {
        end = end.min(new.last().map_or(from, |(seq, _)| *seq));
    }
    found.extend(new.into_iter().map(|(seq, record)| (seq, record, None)));
    found.retain(|(seq, ..)| *seq <= end);
    found.sort_by_key(|(seq, ..)| *seq);
    Ok((found, (end != u64::MAX).then_some(end)))
}

#[cfg(test)]
mod tests;
