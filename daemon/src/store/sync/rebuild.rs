//! Owns: what a rebuild puts away before everything is listed anew, and which record a row is whose link was lost. Must never know:
//! how rows are met, who asks for a rebuild.
//!
//! It puts away little. What was agreed is all that tells an edit which was not sent yet from a value that came; the remote's ids are
//! told by nobody else. So a rebuild is a slow run that takes no revision for a proof that a record is the same here, and what is not
//! sent meets the fresh state like any other edit.

use mingle_core::{planted, run::Direction};
use rusqlite::params;

use super::{
    Ground, Rejected, elsewhere, link,
    link::{GONE, OWN, SAME, UNKNOWN},
    position, present, reject,
};
use crate::store::{error::StoreError, ledger, record::Held, tx::Tx};

const DOUBT: &str = "whether the remote made it cannot be told: what was sent does not read any more; `mingle rejection resolve` with retry \
                     sends it again, with drop leaves it";

/// How a link can be broken, as SQL, and what it becomes. One whose copy does not read was never compared, as far as we know.
const MENDS: [(&str, &str); 4] = [
    (
        "remote_id IS NOT NULL AND (base NOT BETWEEN 0 AND 3 OR (base = 1 AND agreed IS NULL) OR (base IN (0, 2) AND agreed IS NOT NULL)
         OR CASE WHEN agreed IS NULL THEN 0 WHEN json_valid(agreed) THEN json_type(agreed) <> 'object' ELSE 1 END)",
        "base = 3, agreed = NULL",
    ),
    (
        "CASE WHEN left_revs IS NULL THEN 0 WHEN json_valid(left_revs) THEN json_type(left_revs) <> 'array' ELSE 1 END",
        "left_revs = NULL",
    ),
    (
        "CASE WHEN pairs IS NULL THEN 0 WHEN json_valid(pairs) THEN json_type(pairs) <> 'object' OR EXISTS (SELECT 1 FROM json_each(pairs) p
           WHERE p.type <> 'array' OR json_array_length(p.value) <> 2
             OR EXISTS (SELECT 1 FROM json_each(p.value) v WHERE v.type <> 'array' OR json_array_length(v.value) > 1)) ELSE 1 END",
        "pairs = NULL",
    ),
    ("born < 0 OR seen < born OR missing < 0", "born = max(born, 0), seen = max(seen, born, 0), missing = max(missing, 0)"),
];

/// What of a link cannot be read counts as never compared: then nothing is taken for an edit or for agreed on, what differs goes to the
/// policy, and is recorded. What could stand in a listing's way is put right.
pub(super) fn begin(tx: &mut Tx<'_>, ground: &Ground) -> Result<(), StoreError> {
    if planted::is("rebuild drops unsent edits") {
        tx.conn()
            .prepare_cached("UPDATE m_link SET base = ?2, agreed = NULL WHERE replica = ?1 AND base = ?3")?
            .execute(params![ground.replica, SAME, OWN])?;
    }
    // One look at the links, as the end of a whole listing takes; what is broken is little, if anything.
    let broken: Vec<i64> = {
        let any: Vec<String> = MENDS.iter().map(|(broken, _)| format!("({broken})")).collect();
        let mut statement =
            tx.conn().prepare(&format!("SELECT link FROM m_link WHERE replica = ?1 AND ({})", any.join(" OR ")))?;
        statement.query_map([ground.replica], |row| row.get(0))?.collect::<Result<_, _>>()?
    };
    for link in broken {
        for (broken, mended) in MENDS {
            tx.conn().prepare_cached(&format!("UPDATE m_link SET {mended} WHERE link = ?1 AND ({broken})"))?.execute([link])?;
        }
    }
    unreadable_sent(tx, ground)
}

/// What was sent and does not read is not known any more: what the remote has is looked at; whether it made a record of ours cannot be
/// told, so a person is asked before it is made again.
fn unreadable_sent(tx: &mut Tx<'_>, ground: &Ground) -> Result<(), StoreError> {
    let sent: Vec<(i64, i64, Option<String>, String)> = tx
        .conn()
        .prepare_cached(
            "SELECT link, record, remote_id, sent FROM m_link INDEXED BY m_link_behind
             WHERE replica = ?1 AND (base <> 0 OR sent IS NOT NULL) AND sent IS NOT NULL",
        )?
        .query_map([ground.replica], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    let head = tx.seq();
    let reads = |text: &str| link::sent_seqs(text).is_some_and(|seqs| !seqs.is_empty() && seqs.iter().all(|seq| *seq <= head));
    for (link, record, remote_id, _) in sent.iter().filter(|(.., text)| !reads(text)) {
        tx.conn()
            .prepare_cached(
                "UPDATE m_link SET sent = NULL, agreed = NULL, base = CASE WHEN remote_id IS NULL THEN ?2 ELSE ?3 END WHERE link = ?1",
            )?
            .execute(params![link, GONE, UNKNOWN])?;
        if remote_id.is_none() && present(tx.conn(), *record)?.props.is_some() {
            let refused = Rejected {
                side: "create",
                link: Some(*link),
                record: Some(*record),
                remote_id: None,
                revision: None,
                action: "create",
                what: DOUBT,
                refused: None,
            };
            reject(tx, ground, &refused)?;
        }
    }
    Ok(())
}

/// Whether a record without any link has had one here: this sync made it, or had looked at it already when it was made. A row under its
/// own id is that record then, and no second one.
pub(super) fn lost_its_link(tx: &Tx<'_>, ground: &Ground, held: &Held) -> Result<bool, StoreError> {
    if link::of_record(tx.conn(), ground.replica, held.record)?.is_some() || !elsewhere::may_be(tx, ground, held.record)? {
        return Ok(false);
    }
    let made_by_us = ledger::origin(tx.conn(), held.created)?.as_ref() == Some(&ground.origin);
    let scanned = position::load(tx.conn(), &ground.spec.name)?.unwrap_or_default().up_scanned;
    Ok(made_by_us || (ground.spec.direction == Direction::Both && held.created <= scanned))
}

#[cfg(test)]
pub(super) mod tests;
