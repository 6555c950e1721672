//! Owns: the rules of what waits for a person: conflicts and rejections. Must never know: how they are decided.

use rusqlite::Connection;

use super::{NAMED, Notes};
use crate::{json, store::error::StoreError};

const VERDICTS: &[&str] = &["truth", "remote", "open", "kept_edit", "kept_delete", "discarded", "resolved"];

pub(super) fn check(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    conflicts(conn, notes)?;
    rejections(conn, notes)
}

fn conflicts(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    let mut statement = conn.prepare(&format!(
        "SELECT c.id || ' of ' || {NAMED}, c.agreed, c.truth, c.theirs, c.verdict, c.open, c.seq, c.loser_seq, r.seq, c.link, k.link,
           k.record IS c.record
         FROM m_conflict c JOIN m_record r ON r.record = c.record LEFT JOIN m_link k ON k.link = c.link"
    ))?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let about: String = row.get(0)?;
        for (at, side) in [(1, "agreed"), (2, "truth"), (3, "theirs")] {
            if row.get::<_, Option<String>>(at)?.is_some_and(|text| json::parse(&text).is_err()) {
                notes.note("conflict", &about, format!("its value of {side} is no JSON"));
            }
        }
        let (verdict, open): (String, i64) = (row.get(4)?, row.get(5)?);
        if !VERDICTS.contains(&verdict.as_str()) || (open == 1) != (verdict == "open") || !(0..=1).contains(&open) {
            notes.note(
                "conflict",
                &about,
                format!("it is {}, and its verdict is {verdict:?}", if open == 0 { "decided" } else { "open" }),
            );
        }
        let (seq, loser, present): (i64, Option<i64>, i64) = (row.get(6)?, row.get(7)?, row.get(8)?);
        if seq > present || loser.is_some_and(|loser| loser > seq) {
            notes.note("conflict", &about, format!("it is of seq {seq}, which its record has not come to"));
        }
        let (link, there, of_record): (Option<i64>, Option<i64>, bool) = (row.get(9)?, row.get(10)?, row.get(11)?);
        // 0: it went with the copy of an app that was forgotten.
        if open == 1 && link.is_some_and(|link| link != 0) && there.is_none() {
            notes.note("conflict", &about, "it is open, and what it freezes is not there");
        }
        if there.is_some() && !of_record {
            notes.note("conflict", &about, "it freezes a link of another record");
        }
    }
    notes.ask(
        conn,
        "conflict",
        &format!(
            "SELECT {NAMED}, count(*) || ' conflicts are open over ' || c.property || ' at one remote'
             FROM m_conflict c JOIN m_record r ON r.record = c.record
             WHERE c.open = 1 AND c.link <> 0 AND c.property IS NOT NULL
             GROUP BY c.link, c.property, r.record HAVING count(*) > 1"
        ),
    )
}

fn rejections(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    let mut statement = conn.prepare(
        "SELECT j.id || ' of ' || j.sync, j.side, j.action, j.verdict, j.link, k.link, k.record IS j.record, k.replica IS j.replica,
           j.remote_id, j.record, r.record
         FROM m_rejection j LEFT JOIN m_link k ON k.link = j.link LEFT JOIN m_record r ON r.record = j.record",
    )?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let about: String = row.get(0)?;
        let (side, action, verdict): (String, String, Option<String>) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let known = ["up", "down", "create", "delete"].contains(&side.as_str())
            && ["create", "update", "delete", "apply"].contains(&action.as_str())
            && verdict.as_deref().is_none_or(|verdict| ["retry", "drop"].contains(&verdict));
        if !known {
            notes.note("rejection", &about, format!("nothing is called side {side:?}, action {action:?}, verdict {verdict:?}"));
        }
        let (link, there): (Option<i64>, Option<i64>) = (row.get(4)?, row.get(5)?);
        let (of_record, at_replica): (bool, bool) = (row.get(6)?, row.get(7)?);
        if link.is_some() && (there.is_none() || !of_record || !at_replica) {
            notes.note("rejection", &about, "it stands against a link that is not there, or another's");
        }
        let (remote_id, record, held): (Option<String>, Option<i64>, Option<i64>) = (row.get(8)?, row.get(9)?, row.get(10)?);
        if link.is_none() && (remote_id.is_none() || side != "down") {
            notes.note("rejection", &about, "it says neither which record nor which row it is about");
        }
        if record.is_some() && held.is_none() {
            notes.note("rejection", &about, "it is about a record that is not there");
        }
    }
    Ok(())
}
