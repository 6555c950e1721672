//! Owns: finding links that a whole listing did not show, and guarding what is over the limit. Must never know: how they are asked for.
//!
//! A ghost is a link, older than the start of the listing, that no sync still sees. It is asked for by id before it goes (holes.md
//! H14: at once, 87 % removed a live record), and then both sides meet: so it need not be clean. One with an open conflict or a
//! refusal is in no patch, and nobody else would notice that it went.

use mingle_core::{
    planted,
    replica::{Packed, Row},
    run::DeletesLeft,
};
use rusqlite::params;

use super::{Ground, Rejected, again, link, plan::wanted, present, reject};
use crate::store::{error::StoreError, tx::Tx};

/// The remote ids to ask for, at most `most`; the rest is guarded: rejections a person decides. Returns the ids and how many were
/// guarded.
pub fn ghosts(tx: &mut Tx<'_>, ground: &Ground, pass: u64, most: u64) -> Result<(Vec<String>, u64), StoreError> {
    let missing: Vec<(i64, i64, String)> = tx
        .conn()
        .prepare_cached(
            "SELECT l.link, l.record, l.remote_id FROM m_link l JOIN m_record r ON r.record = l.record
             WHERE l.replica = ?1 AND l.remote_id IS NOT NULL AND l.base IN (0, 1) AND r.state = 0
               AND l.seen < ?2 AND l.born < ?2
               AND NOT EXISTS (SELECT 1 FROM m_rejection j WHERE j.link = l.link AND j.side <> 'up')
             ORDER BY l.link",
        )?
        .query_map(params![ground.replica, link::signed(pass)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    // What was sent and not answered is looked behind first.
    let mut found = Vec::with_capacity(missing.len());
    for ghost in missing {
        if link::by_number(tx.conn(), ghost.0)?.is_some_and(|linked| !linked.state.in_doubt()) {
            found.push(ghost);
        }
    }
    let most = usize::try_from(most).unwrap_or(usize::MAX).min(found.len());
    let what = format!(
        "a whole listing does not show it, and too many others are missing with it; `mingle sync {} --accept-deletes` takes them",
        ground.spec.name
    );
    for (link, record, remote_id) in &found[most..] {
        let truth = present(tx.conn(), *record)?.props;
        let rejected = Rejected {
            side: "delete",
            link: Some(*link),
            record: Some(*record),
            remote_id: Some(remote_id),
            revision: None,
            action: "delete",
            what: &what,
            refused: Some(wanted(truth.as_ref(), &ground.abilities.carried)),
        };
        reject(tx, ground, &rejected)?;
    }
    let guarded = (found.len() - most) as u64;
    if planted::is("ghost without asking") {
        let rows = found[..most].iter().map(|(_, _, remote_id)| Packed::of(&Row::gone(remote_id.clone()))).collect();
        let batch = super::Batch {
            asked: true,
            pass: None,
            at: None,
            swaps: false,
            resume: None,
            deletes_left: DeletesLeft::Counted(u64::MAX),
        };
        super::apply::apply(tx, ground, rows, &batch, || false)?;
        return Ok((Vec::new(), guarded));
    }
    let mut remote_ids: Vec<String> = found.into_iter().take(most).map(|(_, _, remote_id)| remote_id).collect();
    remote_ids.extend(again::not_shown(tx, ground)?);
    Ok((remote_ids, guarded))
}
