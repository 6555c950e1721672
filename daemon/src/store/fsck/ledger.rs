//! Owns: the rules of the ledger: its rows read, belong to a record, and lead back from what each record is now. Must never know: who reads
//! it.

use mingle_core::record::{Props, Value};
use rusqlite::Connection;

use super::{NAMED, Notes};
use crate::{
    json,
    store::{error::StoreError, tx::Origin},
};

/// Where the walk back through one record has come to.
struct Walk {
    record: i64,
    /// What the record was after the row that comes next; none: it was not there.
    after: Option<Props>,
    /// A row on the way did not read, so that nothing before it can be told.
    lost: bool,
}

pub(super) fn check(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    notes.ask(
        conn,
        "ledger",
        "SELECT 'm_ledger seq ' || l.seq, 'it is about a record that is not there'
         FROM m_ledger l WHERE NOT EXISTS (SELECT 1 FROM m_record r WHERE r.record = l.record)",
    )?;
    // Above the highest row that was purged of a collection nothing of it is missing.
    notes.ask(
        conn,
        "ledger",
        &format!(
            "SELECT {NAMED}, 'the row of its making (seq ' || r.created || ') is not there, or says that it was there before'
             FROM m_record r LEFT JOIN m_ledger l ON l.seq = r.created AND l.record = r.record
             WHERE (l.seq IS NULL AND r.created > coalesce((SELECT ledger_horizon FROM m_collection h WHERE h.collection = r.collection), 0))
               OR l.before IS NOT NULL"
        ),
    )?;
    rows(conn, notes)
}

fn rows(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    let mut statement = conn.prepare(&format!(
        "SELECT l.record, l.seq, l.origin, l.before, {NAMED}, r.data, r.created,
           coalesce((SELECT ledger_horizon FROM m_collection h WHERE h.collection = r.collection), 0)
         FROM m_ledger l INDEXED BY m_ledger_record JOIN m_record r ON r.record = l.record ORDER BY l.record, l.seq DESC"
    ))?;
    let mut rows = statement.query(())?;
    let mut walk: Option<Walk> = None;
    while let Some(row) = rows.next()? {
        let record: i64 = row.get(0)?;
        let seq: i64 = row.get(1)?;
        let (origin, before): (String, Option<String>) = (row.get(2)?, row.get(3)?);
        let about: String = row.get(4)?;
        if Origin::parse(&origin).is_none() {
            notes.note("ledger", &about, format!("who made the change of seq {seq} does not read: {origin:?}"));
        }
        if walk.as_ref().is_none_or(|walk| walk.record != record) {
            let data: Option<String> = row.get(5)?;
            let after = data.as_deref().map(json::parse_object).transpose();
            walk = Some(Walk { record, lost: after.is_err(), after: after.unwrap_or_default() });
        }
        let Some(walk) = &mut walk else { continue };
        match before {
            None if seq > row.get::<_, i64>(6)? => {
                notes.note("ledger", &about, format!("the row of seq {seq} says that it was made then, and it was made before"));
                walk.after = None;
            }
            None => walk.after = None,
            Some(before) => match read(&before) {
                None => {
                    notes.note("ledger", &about, format!("what seq {seq} changed does not read"));
                    walk.lost = true;
                }
                Some(old) => {
                    if !walk.lost && seq > row.get::<_, i64>(7)? && !leads_back(walk.after.as_ref(), &old) {
                        notes.note(
                            "ledger",
                            &about,
                            format!("what seq {seq} is said to have changed has that value after it too"),
                        );
                    }
                    back(&mut walk.after, old);
                }
            },
        }
    }
    Ok(())
}

/// The old value of each property that changed; none inside: it was absent. None: it does not read.
fn read(before: &str) -> Option<Vec<(String, Option<Value>)>> {
    let old = json::parse_object(before).ok()?.into_iter().map(|(name, old)| match old {
        Value::List(mut old) if old.len() <= 1 => Some((name, old.pop())),
        _ => None,
    });
    old.collect()
}

/// Whether each property that is said to have changed has another value after it.
fn leads_back(after: Option<&Props>, old: &[(String, Option<Value>)]) -> bool {
    old.iter().all(|(name, old)| after.and_then(|after| after.get(name)) != old.as_ref())
}

fn back(after: &mut Option<Props>, old: Vec<(String, Option<Value>)>) {
    let props = after.get_or_insert_default();
    for (name, old) in old {
        match old {
            Some(old) => props.insert(name, old),
            None => props.remove(&name),
        };
    }
}
