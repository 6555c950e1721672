//! Owns: the end of a listing (its watermark) and of a run (its history row). Must never know: what the schedule makes of it.

use mingle_core::{
    ask::Trouble,
    replica::{Failure, RemoteError},
    run::{Counts, Ended, Outcome, Traffic, Watermark, reset::Over},
    time::Timestamp,
};
use rusqlite::params;

use super::{Ground, Rejected, link, position, present, reject, reset};
use crate::store::{error::StoreError, moments, tx::Tx};

/// The listing came to its end: the watermark is taken, nothing is left to resume, and creates whose answers are outstanding have
/// been looked for. Returns the rejections made (creates whose outcome cannot be told), the watermark as it was taken, and what a reset came
/// to that ends with it.
pub fn complete(
    tx: &mut Tx<'_>,
    ground: &Ground,
    watermark: Option<&Watermark>,
    began: Option<Timestamp>,
) -> Result<(u64, Option<Watermark>, Option<Over>), StoreError> {
    moments::listed(tx, &ground.run)?;
    let over = reset::ends(tx, &ground.spec.name)?;
    let took = began.map(|began| tx.now().since(began)).unwrap_or_default();
    let watermark = watermark.map(|watermark| watermark.before(took));
    if let Some(watermark) = &watermark {
        tx.conn()
            .prepare_cached("UPDATE m_sync SET watermark = ?2 WHERE name = ?1")?
            .execute(params![ground.spec.name, position::watermark_text(watermark)?])?;
    }
    tx.conn()
        .prepare_cached("UPDATE m_sync SET resume = NULL, complete = epoch WHERE name = ?1")?
        .execute([&ground.spec.name])?;
    let mut rejected = 0;
    for linked in link::open_creates(tx.conn(), ground.replica)? {
        let mut state = linked.state;
        // To be asked again under its key, which tells for sure.
        if ground.abilities.key_kept.is_some() && state.repeatable(tx.now()) && present(tx.conn(), linked.record)?.props.is_some()
        {
            continue;
        }
        // A listing that began too soon after may not show it yet: the request may have arrived until it was given up, and what it
        // did may show later still. All by our own clock; where that was set back, the wait begins anew.
        let mut soon = ground.began.is_none();
        for sent in &mut state.sent {
            let given_up = sent.given_up.map_or(tx.now(), |at| at.min(tx.now()));
            sent.given_up = Some(given_up);
            soon |= ground.began.is_none_or(|began| began < given_up.plus(ground.abilities.lateness()));
        }
        if soon {
            link::save(tx, linked.link, &state, true)?;
            continue;
        }
        let strangers = state.sent.iter().any(|sent| sent.strangers > 0);
        // A complete look found no row that could be ours: it never arrived, and may be repeated.
        for sent in &mut state.sent {
            sent.looked = true;
        }
        link::save(tx, linked.link, &state, true)?;
        if strangers {
            let what = "whether the remote made it cannot be told: its answer was lost, and other new records appeared since; \
                        `mingle rejection resolve` with retry sends it again, with drop leaves it";
            let refused = Rejected {
                side: "create",
                link: Some(linked.link),
                record: Some(linked.record),
                remote_id: None,
                revision: None,
                action: "create",
                what,
                refused: None,
            };
            reject(tx, ground, &refused)?;
            rejected += 1;
        }
    }
    Ok((rejected, watermark, over))
}

/// Adds to what the history row of a run says it did, in the transaction that did it: whatever ends the run, the row is true.
///
/// # Errors
/// What SQLite says.
pub fn count(tx: &Tx<'_>, run: &str, more: &Counts) -> Result<(), StoreError> {
    if *more == Counts::default() {
        return Ok(());
    }
    let Counts { down, up, rejected, conflicts } = *more;
    tx.conn()
        .prepare_cached(
            "UPDATE m_run SET down = down + ?2, up = up + ?3, rejected = rejected + ?4, conflicts = conflicts + ?5
             WHERE id = ?1",
        )?
        .execute(params![run, link::signed(down), link::signed(up), link::signed(rejected), link::signed(conflicts)])?;
    Ok(())
}

/// Writes what a run asked of its remote so far.
///
/// # Errors
/// What SQLite says.
pub fn spent(tx: &Tx<'_>, run: &str, so_far: &Traffic) -> Result<(), StoreError> {
    let Traffic { requests, not_modified, bytes_up, bytes_down } = *so_far;
    tx.conn()
        .prepare_cached("UPDATE m_run SET bytes = ?2, bytes_up = ?3, requests = ?4, not_modified = ?5 WHERE id = ?1")?
        .execute(params![
            run,
            link::signed(bytes_up.saturating_add(bytes_down)),
            link::signed(bytes_up),
            link::signed(requests),
            link::signed(not_modified)
        ])?;
    Ok(())
}

/// Writes the history row of a run. Returns the rejections of the sync that stand.
pub fn finish(tx: &mut Tx<'_>, run: &str, sync: &str, outcome: &Outcome) -> Result<u64, StoreError> {
    let standing: i64 = tx
        .conn()
        .prepare_cached("SELECT count(*) FROM m_rejection WHERE sync = ?1 AND verdict IS NOT 'drop'")?
        .query_row([sync], |row| row.get(0))?;
    let news = outcome.has_news();
    let result = |good: bool| match (good, news) {
        (false, _) => "failed",
        (true, true) => "new_data",
        (true, false) => "no_new_data",
    };
    let (status, result, reason, error) = match &outcome.ended {
        Ended::Done if standing > 0 => ("done_with_errors", result(true), None, None),
        Ended::Done => ("done", result(true), None, None),
        Ended::Stopped(reason) => ("stopped", result(false), Some(reason.name()), None),
        Ended::Cancelled => ("cancelled", result(false), None, None),
        Ended::Failed(error) => (
            "failed",
            result(false),
            None,
            Some(Trouble { name: error.kind.name().into(), what: error.what.clone(), hint: error.hint.clone() }),
        ),
        Ended::Broken(trouble) => ("failed", result(false), None, Some(trouble.clone())),
        Ended::Held(held) => (
            "failed",
            result(false),
            None,
            Some(Trouble { name: held.name().into(), what: held.what(), hint: Some(held.hint(sync)) }),
        ),
    };
    if outcome.ended == Ended::Cancelled {
        // For good: the next run begins its listing anew.
        tx.conn().prepare_cached("UPDATE m_sync SET resume = NULL WHERE name = ?1")?.execute([sync])?;
        reset::taken_back(tx, sync)?;
    }
    // A server's own wait holds over a restart.
    let until = match &outcome.ended {
        Ended::Failed(RemoteError { kind: Failure::Throttled(until), .. }) => until.map(Timestamp::unix_ms),
        _ => None,
    };
    let error = error.map(|trouble| {
        let mut error = serde_json::json!({"name": trouble.name, "what": trouble.what, "hint": trouble.hint});
        if let Some(until) = until {
            error["until"] = until.into();
        }
        error.to_string()
    });
    let counts = outcome.counts;
    tx.conn()
        .prepare_cached(
            "UPDATE m_run SET status = ?2, result = ?3, stop_reason = ?4, ended = ?5, down = ?6, up = ?7, rejected = ?8, conflicts = ?9, error = ?10
             WHERE id = ?1",
        )?
        .execute(params![
            run,
            status,
            result,
            reason,
            tx.now().unix_ms(),
            link::signed(counts.down),
            link::signed(counts.up),
            link::signed(counts.rejected),
            link::signed(counts.conflicts),
            error
        ])?;
    Ok(link::unsigned(standing))
}
