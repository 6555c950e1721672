//! Owns: the rules of links: what each says of its replica holds together, and no remote id belongs to two. Must never know: what a
//! meeting would make of them.

use rusqlite::Connection;

use super::{NAMED, Notes};
use crate::{
    json,
    store::{
        error::StoreError,
        sync::link::{self, GONE, OWN, SAME, UNKNOWN},
    },
};

pub(super) fn check(conn: &Connection, notes: &mut Notes, head: u64) -> Result<(), StoreError> {
    rows(conn, notes, head)?;
    remote_ids(conn, notes)
}

fn rows(conn: &Connection, notes: &mut Notes, head: u64) -> Result<(), StoreError> {
    let mut statement = conn.prepare(&format!(
        "SELECT {NAMED} || ' at ' || coalesce(p.remote, '?'), k.base, k.agreed, k.sent, k.left_revs, k.confirmed, k.remote_id, k.born,
           k.seen, k.missing, r.seq, r.state, k.pairs
         FROM m_link k JOIN m_record r ON r.record = k.record LEFT JOIN m_replica p ON p.replica = k.replica"
    ))?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let about: String = row.get(0)?;
        let base: i64 = row.get(1)?;
        let [agreed, sent, left]: [Option<String>; 3] = [row.get(2)?, row.get(3)?, row.get(4)?];
        match (base, &agreed) {
            (OWN, None) => notes.note("link", &about, "it has a copy of its own, and the copy is not there"),
            (OWN | UNKNOWN, Some(text)) => {
                if json::parse_object(text).is_err() {
                    notes.note("link", &about, "its agreed copy is no JSON object");
                }
            }
            (SAME | GONE | UNKNOWN, None) => {}
            (SAME | GONE, Some(_)) => {
                notes.note("link", &about, "it keeps an agreed copy that nothing is to be compared with");
            }
            _ => notes.note("link", &about, format!("nothing is called base {base}")),
        }
        if let Some(text) = sent {
            match link::sent_seqs(&text) {
                None => notes.note("sent", &about, "what was sent and not answered does not read"),
                Some(seqs) if seqs.is_empty() => notes.note("sent", &about, "something was sent, and it is not said what"),
                Some(seqs) if seqs.iter().any(|seq| *seq > head) => {
                    notes.note("sent", &about, "what was sent is of a seq that was never given");
                }
                Some(_) => {}
            }
        }
        if left.is_some_and(|text| serde_json::from_str::<Vec<String>>(&text).is_err()) {
            notes.note("link", &about, "the revisions that it has left do not read");
        }
        if row.get::<_, Option<String>>(12)?.is_some_and(|text| link::pairs_from(&text).is_err()) {
            notes.note("link", &about, "what the remote writes its own way does not read");
        }
        let (confirmed, seq): (i64, i64) = (row.get(5)?, row.get(10)?);
        if confirmed < 0 || confirmed > seq {
            notes.note("link", &about, format!("it is said to have seq {confirmed}, and the record is at {seq}"));
        }
        let remote_id: Option<String> = row.get(6)?;
        let lives = row.get::<_, i64>(11)? == 0;
        if remote_id.is_none() && (base == OWN || base == UNKNOWN || (base == SAME && lives)) {
            notes.note("remote_id", &about, "the remote is said to have it, and its id there is not known");
        }
        let [born, seen, missing]: [i64; 3] = [row.get(7)?, row.get(8)?, row.get(9)?];
        if born < 0 || seen < born || missing < 0 {
            notes.note("link", &about, format!("made in listing {born}, last shown by {seen}: these must rise"));
        }
    }
    Ok(())
}

fn remote_ids(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    notes.ask(
        conn,
        "remote_id",
        "SELECT coalesce((SELECT remote FROM m_replica p WHERE p.replica = f.replica), '?') || ' ' || f.remote_id,
           CASE WHEN k.link IS NULL THEN 'a former id of a link that is not there' ELSE 'a former id of a link at another remote' END
         FROM m_former f LEFT JOIN m_link k ON k.link = f.link WHERE k.link IS NULL OR k.replica <> f.replica",
    )?;
    notes.ask(
        conn,
        "remote_id",
        &format!(
            "SELECT {NAMED}, 'the id ' || f.remote_id || ' is the one it has, and one that another record had once'
             FROM m_former f JOIN m_link k ON k.replica = f.replica AND k.remote_id = f.remote_id AND k.link <> f.link
             JOIN m_record r ON r.record = k.record"
        ),
    )?;
    notes.ask(
        conn,
        "link",
        "SELECT p.remote, 'records of several collections have a link at one place of it'
         FROM m_replica p WHERE (SELECT count(DISTINCT r.collection) FROM m_link k JOIN m_record r ON r.record = k.record
           WHERE k.replica = p.replica) > 1",
    )
}
