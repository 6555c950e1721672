//! Owns: records of an account that a sync speaks for no more: which they are, how they leave. Must never know: what is not sent and can be taken back, when a reset begins.

use mingle_core::{
    meeting::{Agreed, Link},
    pending::roll_back,
    planted,
    run::Creates,
};
use rusqlite::params;

use super::{Discarded, Under, changed, clashes, makes};
use crate::store::{
    conflicts,
    error::StoreError,
    limits, record,
    sync::{
        Ground, Present, elsewhere, link,
        pending::{Place, with_rules},
        position::Position,
        present,
    },
    tx::Tx,
};

/// Records that only another account had leave here, and are deleted nowhere; what was written after `until` stays, and what of it never was anything there is to
/// be made where the sync speaks now. Whatever it did not have
/// as it is here is recorded, also what was sent and not answered: nobody will find out. Whether more are left.
pub(super) fn leave(
    tx: &mut Tx<'_>,
    ground: &Ground,
    place: &Place,
    (former, until): (i64, u64),
    under: &mut Under,
    done: &mut Discarded,
) -> Result<bool, StoreError> {
    let records: Vec<i64> = tx
        .conn()
        .prepare_cached(&format!(
            "SELECT k.record {ONLY_THERE}
               AND NOT EXISTS (SELECT 1 FROM m_ledger g WHERE g.record = k.record AND g.seq > ?3 AND g.origin <> ?4)
             ORDER BY k.record LIMIT ?2"
        ))?
        .query_map(params![former, limits::DISCARDED_AT_ONCE as i64, link::signed(until), ground.origin.to_string()], |row| {
            row.get(0)
        })?
        .collect::<Result<_, _>>()?;
    for record in &records {
        let was = present(tx.conn(), *record)?;
        let linked = link::of_record(tx.conn(), former, *record)?;
        if let (Some(linked), Some(truth)) = (&linked, &was.props)
            && is_lost(ground, place, &linked.state, &was)
        {
            let agreed = match &linked.state.agreed {
                Agreed::Own(agreed) | Agreed::Former(agreed) => Some(agreed),
                Agreed::Same | Agreed::Gone | Agreed::Unknown => None,
            };
            for clash in &clashes(Some(truth), None, agreed, &ground.spec.policy) {
                let seq = was.held.seq;
                conflicts::record(tx, &was.held, Some(linked.link), &ground.spec.remote, clash, Some(seq), seq)?;
                done.conflicts += 1;
            }
            under.over.discarded += 1;
        }
        record::forget(tx, &was.held, &ground.origin)?;
        // Should that account be spoken to again, what it shows comes back.
        if let Some(linked) = linked {
            let state = Link { agreed: Agreed::Gone, revision: None, left: Vec::new(), modified: None, ..linked.state };
            link::save(tx, linked.link, &state, false)?;
        }
        done.changed += 1;
    }
    // What that account refused, or showed and could not be read, is no question any more.
    tx.conn()
        .prepare_cached("DELETE FROM m_rejection WHERE sync = ?1 AND replica = ?2")?
        .execute(params![ground.spec.name, former])?;
    let more = records.len() >= limits::DISCARDED_AT_ONCE;
    if !more && !planted::is("new records stay with the former account") {
        elsewhere::take_places_along(tx, ground, former)?;
    }
    Ok(more)
}

/// Whether a record is here otherwise than the account is known to have it.
fn is_lost(ground: &Ground, place: &Place, state: &Link, was: &Present) -> bool {
    if planted::is("former account's edits leave unrecorded") {
        return !state.sent.is_empty();
    }
    let answered = Link { sent: Vec::new(), ..state.clone() };
    let policy = &ground.spec.policy;
    let had =
        with_rules(place, policy, &std::collections::BTreeSet::new(), |rules| roll_back(&answered, was.props.as_ref(), rules));
    !state.sent.is_empty()
        || match (&was.props, had) {
            (Some(truth), Ok(Some(had))) => !changed(truth, &had, policy).is_empty(),
            _ => true,
        }
}

/// Live records of a place that no other remote has, as SQL.
const ONLY_THERE: &str = "FROM m_link k JOIN m_record r ON r.record = k.record
    WHERE k.replica = ?1 AND r.state = 0
      AND NOT EXISTS (SELECT 1 FROM m_link l WHERE l.record = k.record AND l.replica > 0 AND l.replica <> k.replica)";

/// The place that a sync spoke to with other credentials, and how many records of it are here that the present one does not have, with
/// those that were to be made there; none: it is the same account, or another place, or nothing of it is here.
pub(in crate::store::sync) fn another_account(
    tx: &Tx<'_>,
    ground: &Ground,
    at: &Position,
) -> Result<Option<(i64, u64)>, StoreError> {
    let Some(former) = at.replica.filter(|former| *former != ground.replica) else { return Ok(None) };
    let was: String =
        tx.conn().prepare_cached("SELECT identity FROM m_replica WHERE replica = ?1")?.query_row([former], |row| row.get(0))?;
    if !same_but_for_account(&was, &ground.spec.identity) {
        return Ok(None);
    }
    let there: i64 = tx.conn().prepare_cached(&format!("SELECT count(*) {ONLY_THERE}"))?.query_row([former], |row| row.get(0))?;
    // A place where nobody was ever spoken to has no account: what is new is for the first one. Of an account that is back, whose records
    // were leaving, it is its own.
    let is_back = |under: &Under| under.former == Some(ground.replica);
    let was_leaving = at.reset.as_ref().is_some_and(|under| is_back(under) || under.beneath.as_deref().is_some_and(is_back));
    let counts = makes(&ground.spec) != Creates::Never && at.epoch.is_some() && !was_leaving;
    let new = if counts && !planted::is("another account is given what is new") { new(tx, ground)? } else { 0 };
    let records = there + new;
    Ok((records > 0).then(|| (former, link::unsigned(records))))
}

/// How many records of its collection no remote has, or is to have by a link of its own.
fn new(tx: &Tx<'_>, ground: &Ground) -> Result<i64, StoreError> {
    let of_nobody = elsewhere::makes(Creates::Unlinked);
    let sql = format!("SELECT count(*) FROM m_record r WHERE r.collection = ?1 AND r.state = 0 AND {of_nobody}");
    Ok(tx.conn().prepare_cached(&sql)?.query_row([ground.collection], |row| row.get(0))?)
}

/// What makes a replica this one: remote, address, account, resource, collection. A remote may have another name than before.
pub(super) fn same_but_for_account(one: &str, other: &str) -> bool {
    let parts = |identity: &str| -> Option<[String; 5]> {
        let parts: Vec<String> = identity.split('\u{1f}').map(str::to_owned).collect();
        parts.try_into().ok()
    };
    let (Some([_, url, account, resource, collection]), Some(other)) = (parts(one), parts(other)) else { return false };
    [&url, &resource, &collection] == [&other[1], &other[3], &other[4]] && account != other[2]
}
