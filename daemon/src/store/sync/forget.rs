//! Owns: dropping a record here alone: what remotes have of it stays, and nothing of it is sent. Must never know: who asks.
//!
//! Its links stay with what was agreed, so that a row which only repeats that does not bring it back; another one does.

use mingle_core::{
    ask::{self, Refusal, Writer, Written, WrittenOne},
    meeting::{Agreed, Link, alike, errand},
    planted,
    replica::{Row, RowState},
    run::{Applied, Direction},
};
use rusqlite::Connection;

use super::{
    Ground, Linked, elsewhere, frozen, link,
    pending::{Place, look, run_of},
};
use crate::store::{
    alias, answers,
    decide::once_all,
    error::StoreError,
    record::{self, Held, State},
    tx::Tx,
    write::not_there,
};

/// Drops a record here. `places`: where changes of its collection are sent.
///
/// # Errors
/// `not_found`; `stale` where it is at another seq; `wrong_state` where something of it was not sent; `unsupported` where no remote has
/// it; and those of an op.
pub fn forget(tx: &mut Tx<'_>, writer: &Writer, asked: &ask::Forget, places: &[Place]) -> Result<Written, StoreError> {
    let request = format!("forget {asked:?}");
    once_all(tx, writer, &request, |tx, origin| {
        let collection = tx.defined(&asked.collection)?;
        let held = alias::find(tx.conn(), collection.number, &asked.id)?.filter(|held| held.state == State::Live);
        let held = held.ok_or_else(|| not_there(&asked.collection, &asked.id))?;
        if let Some(seq) = asked.if_seq.filter(|seq| *seq != held.seq) {
            let told = format!("{:?} is at seq {}, not {seq}; read it again", held.id, held.seq);
            return Err(Refusal::Stale(told, Some(held.seq)).into());
        }
        for place in places {
            let linked = place.replica.map(|replica| link::of_record(tx.conn(), replica, held.record)).transpose()?.flatten();
            let run = run_of(tx.conn(), place.replica)?;
            if let Some(found) = look(tx.conn(), place, &collection.definition.policy, &held, linked.as_ref(), run.as_deref())? {
                let told = format!(
                    "{}/{} has a change that {} does not have yet ({})",
                    asked.collection,
                    asked.id,
                    place.remote,
                    found.state.name()
                );
                let hint = format!(
                    "`mingle sync {}` sends it, `mingle pending rollback {} {}` takes it back",
                    place.sync, asked.collection, asked.id
                );
                return Err(Refusal::WrongState(told, Some(hint)).into());
            }
        }
        if !at_a_remote(tx.conn(), held.record)? {
            let told = format!("no remote has {}/{}: forgotten, it would be nowhere; delete it", asked.collection, asked.id);
            return Err(Refusal::Unsupported(told).into());
        }
        let seq = record::forget(tx, &held, origin)?;
        // What services answered shows it still.
        answers::forget_with(tx, held.record)?;
        Ok(vec![(held.record, WrittenOne { id: held.id, seq })])
    })
}

/// Whether some remote has a record, as far as we know.
fn at_a_remote(conn: &Connection, record: i64) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached("SELECT 1 FROM m_link WHERE record = ?1 AND replica > 0 AND remote_id IS NOT NULL AND base IN (0, 1)")?
        .exists([record])?)
}

/// A sync that removes what it has sent: the remote took this record, and nothing of it waits anywhere.
pub(super) fn removed_after_upload(tx: &mut Tx<'_>, ground: &Ground, record: i64) -> Result<(), StoreError> {
    let waits = tx
        .conn()
        .prepare_cached("SELECT 1 FROM m_link WHERE record = ?1 AND replica > 0 AND (base <> 0 OR sent IS NOT NULL)")?
        .exists([record])?;
    let held = record::by_row(tx.conn(), record)?.filter(|held| held.state == State::Live && !waits);
    if let Some(held) = held {
        record::forget(tx, &held, &ground.origin)?;
    }
    Ok(())
}

/// Whether a row of a record that was forgotten here leaves it so: it shows what was agreed, or is of a sync that brings nothing. What it
/// shows is agreed from now on.
pub(super) fn stays_forgotten(tx: &Tx<'_>, ground: &Ground, linked: &Linked, held: &Held, row: &Row) -> Result<bool, StoreError> {
    let (State::Forgotten, RowState::Live(theirs), Some(_)) = (held.state, &row.state, &linked.state.remote_id) else {
        return Ok(false);
    };
    if planted::is("forgotten comes back unchanged") {
        return Ok(false);
    }
    let carried = &ground.abilities.carried;
    let frozen = frozen(tx.conn(), linked.link)?;
    let theirs = &linked.state.in_our_forms(theirs, ground.rules(&frozen));
    let same = match &linked.state.agreed {
        Agreed::Own(agreed) => alike(&carried.of(agreed), &carried.of(theirs), ground.rules(&frozen)),
        Agreed::Same | Agreed::Gone | Agreed::Former(_) | Agreed::Unknown => false,
    };
    if !same && ground.spec.direction != Direction::Up {
        return Ok(false);
    }
    let mut state = linked.state.clone();
    state.agreed = Agreed::Own(carried.of(theirs));
    state.moves_to(row.revision.clone());
    state.modified = row.modified.max(state.modified);
    link::save(tx, linked.link, &state, false)?;
    Ok(true)
}

/// Whether a row does not fit the filter of its sync.
pub(super) fn is_outside(ground: &Ground, row: &Row) -> bool {
    matches!(&row.state, RowState::Live(theirs) if !ground.spec.filter.fits(theirs))
}

/// A record whose row does not fit the filter of its sync leaves here, once nothing of it waits to be sent or decided and no other remote
/// has it, or is to have it; at the remote it stays. Its link keeps the remote's id alone: a row that fits brings the same record back.
pub(super) fn leaves(tx: &mut Tx<'_>, ground: &Ground, number: i64, row: &Row, applied: &mut Applied) -> Result<(), StoreError> {
    if !is_outside(ground, row) {
        return Ok(());
    }
    let Some(linked) = link::by_number(tx.conn(), number)? else { return Ok(()) };
    let was = super::present(tx.conn(), linked.record)?;
    let frozen = frozen(tx.conn(), number)?;
    let waits = was.held.state != State::Live
        || !linked.state.sent.is_empty()
        || !frozen.is_empty()
        || super::rejection_of(tx.conn(), number)?.is_some()
        || errand::difference(&linked.state, was.props.as_ref(), ground.rules(&frozen)).is_some();
    // What a mirror is to have is here for it.
    if waits || ground.spec.others.makes || elsewhere::is_for_another(tx.conn(), linked.record, Some(number))? {
        return Ok(());
    }
    record::forget(tx, &was.held, &ground.origin)?;
    let state = Link { agreed: Agreed::Gone, revision: None, left: Vec::new(), modified: None, ..linked.state };
    link::save(tx, number, &state, false)?;
    applied.changed += 1;
    Ok(())
}
