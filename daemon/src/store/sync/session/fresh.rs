//! Owns: which records an app is to be shown that it has no link for, and which it has that are to leave its copy. Must never know: what was
//! pushed, how it is shown.

use mingle_core::{limits, meeting::Link};
use rusqlite::params;

use super::{Open, filter, one};
use crate::store::{
    error::StoreError,
    limits::PLAN_SEQS_MAX,
    sync::{link, present},
    tx::Tx,
};

/// Others who take part have met the truth since: what they brought is to be found too. Whether there may be more.
///
/// # Errors
/// What SQLite says.
pub fn lacking(tx: &mut Tx<'_>, session: &str) -> Result<bool, StoreError> {
    let Some(open) = one(tx.conn(), "id = ?1 AND state = 'pulling' AND ends = 0", [session])? else { return Ok(false) };
    fresh(tx, &open)
}

/// Gives records that this app has never had a link, so that they are found to be shown; whether there may be more. Looks at
/// [`PLAN_SEQS_MAX`] seqs at once, for most of what changed has its link. Where the filter is another one than that under which all was
/// looked at, what has a link is looked at too.
pub(super) fn fresh(tx: &mut Tx<'_>, open: &Open) -> Result<bool, StoreError> {
    let head = tx.seq();
    for replica in &open.replicas {
        let (scanned, wanted, stood): (u64, Option<String>, Option<String>) = tx
            .conn()
            .prepare_cached("SELECT scanned, filter, stood FROM m_copy WHERE replica = ?1")?
            .query_row([replica], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let anew = wanted != stood;
        let (filter, before) = (filter::read(wanted)?, filter::read(stood)?);
        let end = head.min(scanned.saturating_add(PLAN_SEQS_MAX));
        let found: Vec<(i64, u64, Option<i64>)> = tx
            .conn()
            .prepare_cached(
                "SELECT r.record, r.seq, l.link FROM m_copy c JOIN m_record r ON r.collection = c.collection
                   LEFT JOIN m_link l ON l.record = r.record AND l.replica = ?1
                 WHERE c.replica = ?1 AND r.seq > ?2 AND r.seq <= ?4 AND r.state = 0 AND (l.link IS NULL OR ?5) ORDER BY r.seq LIMIT ?3",
            )?
            .query_map(params![replica, scanned, limits::BATCH_ROWS_MAX, end, anew], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?
            .collect::<Result<_, _>>()?;
        for (record, _, link) in &found {
            match link {
                Some(link) => {
                    filter::leaves(tx, &filter, *link)?;
                    filter::enters(tx, &before, &filter, *link)?;
                }
                // What does not fit needs none until it changes, or the filter does.
                None if !filter.is_all() && present(tx.conn(), *record)?.props.is_none_or(|props| !filter.fits(&props)) => {}
                None => {
                    link::insert(tx, *replica, *record, &Link::unborn(), true, 0)?;
                }
            }
        }
        let full = found.len() == limits::BATCH_ROWS_MAX;
        let to = if full { found.last().map_or(end, |(_, seq, _)| *seq) } else { end };
        tx.conn().prepare_cached("UPDATE m_copy SET scanned = ?2 WHERE replica = ?1")?.execute(params![replica, to])?;
        if to < head {
            return Ok(true);
        }
        if anew {
            tx.conn().prepare_cached("UPDATE m_copy SET stood = filter WHERE replica = ?1")?.execute([replica])?;
        }
    }
    Ok(false)
}
