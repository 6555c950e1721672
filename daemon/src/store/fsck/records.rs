//! Owns: the rules of records: what is there has its data, each change has its seq and its ledger row. Must never know: replicas.

use rusqlite::Connection;

use super::{NAMED, Notes};
use crate::{
    json,
    store::{error::StoreError, write::check_id},
};

pub(super) fn check(conn: &Connection, notes: &mut Notes, head: u64) -> Result<(), StoreError> {
    rows(conn, notes, head)?;
    // A change of a record and its row in the ledger are one commit, and the newest row goes only with the record.
    notes.ask(
        conn,
        "seq",
        &format!(
            "SELECT {NAMED}, CASE WHEN l.seq IS NULL THEN 'its last change (seq ' || r.seq || ') has no row in the ledger'
               ELSE 'its seq ' || r.seq || ' is that of another record' END
             FROM m_record r LEFT JOIN m_ledger l ON l.seq = r.seq WHERE l.seq IS NULL OR l.record <> r.record"
        ),
    )?;
    notes.ask(
        conn,
        "seq",
        &format!(
            "SELECT {NAMED}, 'the ledger has a change of it (seq ' || l.seq || ') that it does not know of'
             FROM m_ledger l JOIN m_record r ON r.record = l.record WHERE l.seq > r.seq OR l.seq < r.first"
        ),
    )?;
    aliases(conn, notes)
}

/// What is another record's alias has left, and that one is a record of the same collection and nobody's alias.
fn aliases(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    notes.ask(
        conn,
        "alias",
        &format!(
            "SELECT {NAMED}, CASE WHEN r.state <> 2 THEN 'it is another record''s alias, and has not left'
               WHEN s.record IS NULL THEN 'the record that it is now is not there'
               WHEN s.collection <> r.collection THEN 'the record that it is now is of another collection'
               WHEN EXISTS (SELECT 1 FROM m_alias b WHERE b.alias = a.record) THEN 'the record that it is now is an alias itself'
               ELSE 'a remote has it, and should have the record that it is now' END
             FROM m_alias a JOIN m_record r ON r.record = a.alias LEFT JOIN m_record s ON s.record = a.record
             WHERE r.state <> 2 OR s.record IS NULL OR s.collection <> r.collection
               OR EXISTS (SELECT 1 FROM m_alias b WHERE b.alias = a.record)
               OR EXISTS (SELECT 1 FROM m_link k WHERE k.record = a.alias AND k.replica > 0)"
        ),
    )
}

fn rows(conn: &Connection, notes: &mut Notes, head: u64) -> Result<(), StoreError> {
    let mut statement =
        conn.prepare(&format!("SELECT {NAMED}, r.id, r.data, r.first, r.created, r.seq, r.state FROM m_record r"))?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let about: String = row.get(0)?;
        let (id, data): (String, Option<String>) = (row.get(1)?, row.get(2)?);
        let [first, created, seq]: [i64; 3] = [row.get(3)?, row.get(4)?, row.get(5)?];
        match (row.get::<_, i64>(6)?, &data) {
            (0, None) => notes.note("record", &about, "it is there, and has no data"),
            (0, Some(text)) => {
                if let Err(why) = json::parse_object(text) {
                    notes.note("record", &about, format!("its data is no JSON object: {why}"));
                }
            }
            (1 | 2, None) => {}
            (1 | 2, Some(_)) => notes.note("record", &about, "it is deleted, and still has data"),
            (state, _) => notes.note("record", &about, format!("nothing is in state {state}")),
        }
        if check_id(&id).is_err() {
            notes.note("record", &about, "its id is none that a record may have");
        }
        if first <= 0 || created < first || seq < created {
            notes.note("seq", &about, format!("made at {first}, last made at {created}, changed at {seq}: these must rise"));
        }
        if u64::try_from(seq).is_ok_and(|seq| seq > head) {
            notes.note("seq", &about, format!("its seq {seq} is beyond the highest ever given, {head}"));
        }
    }
    Ok(())
}
