//! Owns: applying a batch of rows in one transaction with the checkpoint that is true after it. Must never know: where rows come from.

use mingle_core::{
    limits,
    meeting::{
        Agreed,
        arrival::{Arrival, judge},
        meet,
    },
    planted,
    record::{Props, is_deeper},
    replica::{Packed, Row, RowState},
    run::{Applied, DeletesLeft, Resume},
};
use rusqlite::params;

use super::{
    Ground, Linked, Rejected,
    abroad::Atlas,
    forget::{is_outside, leaves, stays_forgotten},
    frozen,
    ghosts::ghosts,
    link,
    plan::wanted,
    position, present, reject, rejection_of, reset, stamps, twins, unlinked, unreject, write_met,
};
use crate::store::{children, error::StoreError, limits::RECORD_BYTES_MAX, record::State, tx::Tx};

/// How rows are applied.
pub struct Batch<'a> {
    /// They were asked for by id, so they are believed.
    pub asked: bool,
    /// The whole listing that shows them.
    pub pass: Option<u64>,
    /// Where the listing stood before them; none: they are applied in one piece.
    pub at: Option<&'a Resume>,
    /// They are all there is, and are put in place in one piece: what they do not show goes with them. They are as good as asked for by id.
    pub swaps: bool,
    /// Where it stands after all of them.
    pub resume: Option<&'a Resume>,
    /// How many deletes may still be taken before the rest is guarded.
    pub deletes_left: DeletesLeft,
}

/// Applies rows, at least one, until `enough` says that the transaction has been long enough; those it does not reach are returned in
/// `left`, and the checkpoint is the one that is true before them.
///
/// Rows that may be old news are returned in `ask`, and then the checkpoint stays where it was: if the process dies before they are
/// asked for, this batch comes again.
///
/// # Errors
/// What SQLite says.
pub fn apply(
    tx: &mut Tx<'_>,
    ground: &Ground,
    mut rows: Vec<Packed>,
    batch: &Batch<'_>,
    mut enough: impl FnMut() -> bool,
) -> Result<Applied, StoreError> {
    let Batch { pass, swaps, .. } = *batch;
    let asked = batch.asked || swaps;
    let (mut applied, mut guard) = (Applied::default(), Guard(batch.deletes_left));
    let with_creates = ground.abilities.client_ids.is_none();
    let atlas = Atlas::of(tx.conn(), ground)?;
    let mut reached = 0;
    for packed in &rows {
        if batch.at.is_some() && reached > 0 && enough() {
            break;
        }
        reached += 1;
        let mut row = packed.open();
        let mut linked = link::by_remote_id(tx.conn(), ground.replica, &row.remote_id)?;
        if let Some(atlas) = &atlas {
            atlas.arrive(tx.conn(), &mut row)?;
            if let Some(linked) = &mut linked {
                atlas.resolve(tx.conn(), &mut linked.state)?;
            }
        }
        let row = &row;
        if let Some(why) = unusable(row, packed.bytes()) {
            if planted::is("poison row skipped") {
                continue;
            }
            if linked.is_none() && with_creates {
                unlinked::unreadable(tx, ground, row)?;
            }
            let rejected = Rejected {
                side: "down",
                link: linked.as_ref().map(|linked| linked.link),
                record: linked.as_ref().map(|linked| linked.record),
                remote_id: Some(&row.remote_id),
                revision: row.revision.as_deref(),
                action: "apply",
                what: &why,
                refused: None,
            };
            reject(tx, ground, &rejected)?;
            applied.rejected += 1;
            continue;
        }
        settled(tx, ground, &row.remote_id)?;
        match linked {
            Some(linked) => known(tx, ground, atlas.as_ref(), &linked, row, asked, pass, &mut guard, &mut applied)?,
            None => {
                unlinked::row(tx, ground, row, pass, with_creates, &mut applied)?;
            }
        }
    }
    applied.left = rows.split_off(reached);
    let cut_short = !applied.left.is_empty() && !planted::is("stop saves the next page's cursor");
    let partly = batch.at.filter(|_| cut_short).map(|at| at.further(reached));
    if let Some(pass) = pass.filter(|_| swaps && applied.left.is_empty()) {
        // An empty answer is no delete: a person says whether it is one.
        let nothing = rows.is_empty() && batch.deletes_left != DeletesLeft::Counted(u64::MAX);
        let left =
            if nothing && !planted::is("an empty document is believed") { DeletesLeft::Counted(0) } else { batch.deletes_left };
        absent(tx, ground, pass, left, &mut applied)?;
    }
    if applied.ask.is_empty()
        && let Some(resume) = partly.as_ref().or(batch.resume)
    {
        position::save_resume(tx, ground, Some(resume))?;
    }
    reset::clashed(tx, ground, applied.conflicts)?;
    Ok(applied)
}

/// Takes what a listing does not show that is all there is, as far as the guard lets it.
fn absent(tx: &mut Tx<'_>, ground: &Ground, pass: u64, left: DeletesLeft, applied: &mut Applied) -> Result<(), StoreError> {
    let most = deletes_left(tx, ground, left, applied.deletes)?.saturating_sub(applied.deletes);
    let (remote_ids, guarded) = ghosts(tx, ground, pass, most)?;
    applied.rejected += guarded;
    let rows = remote_ids.into_iter().map(|id| Packed::of(&Row::gone(id))).collect();
    let deletes_left = DeletesLeft::Counted(most);
    let batch = Batch { asked: true, pass: None, at: None, swaps: false, resume: None, deletes_left };
    let more = apply(tx, ground, rows, &batch, || false)?;
    applied.changed += more.changed;
    applied.conflicts += more.conflicts;
    applied.rejected += more.rejected;
    applied.deletes += more.deletes;
    Ok(())
}

/// A row that can be read settles what stood against its id; where the same trouble is met again, it is written anew.
fn settled(tx: &Tx<'_>, ground: &Ground, remote_id: &str) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("DELETE FROM m_rejection WHERE replica = ?1 AND remote_id = ?2 AND link IS NULL")?
        .execute(params![ground.replica, remote_id])?;
    Ok(())
}

/// Why a row cannot be applied; none: it can.
fn unusable(row: &Row, packed_bytes: usize) -> Option<String> {
    match &row.state {
        RowState::Unreadable(why) => Some(why.clone()),
        RowState::Live(props) if is_deeper(props, limits::RECORD_DEPTH_MAX) => {
            Some(format!("more than {} lists and objects of the record lie in each other", limits::RECORD_DEPTH_MAX))
        }
        // A byte becomes six characters at most (a control character as `\u0001`): only a large one has to be written to know.
        RowState::Live(_) if packed_bytes < RECORD_BYTES_MAX / 6 => None,
        RowState::Live(props) => {
            let bytes = crate::json::write(props).len();
            (bytes > RECORD_BYTES_MAX).then(|| format!("the record has {bytes} bytes, more than {RECORD_BYTES_MAX}"))
        }
        RowState::Gone => None,
    }
}

#[expect(clippy::too_many_arguments, reason = "one row's situation; a struct of them would be built for this call alone")]
fn known(
    tx: &mut Tx<'_>,
    ground: &Ground,
    atlas: Option<&Atlas<'_>>,
    linked: &Linked,
    row: &Row,
    asked: bool,
    pass: Option<u64>,
    guard: &mut Guard,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    if let Some(pass) = pass
        && linked.seen != pass
        && row.state != RowState::Gone
    {
        link::seen(tx, linked.link, pass)?;
    }
    // A revision that is unique per change tells an echo without reading the record.
    if ground.abilities.strong_revision
        && !ground.anew
        && row.revision.is_some()
        && row.revision == linked.state.revision
        && matches!((&linked.state.agreed, &row.state), (Agreed::Same | Agreed::Own(_), RowState::Live(_)))
        && linked.state.remote_id.is_some()
        && !linked.state.in_doubt()
        && rejection_of(tx.conn(), linked.link)?.is_none_or(|standing| standing.side == "up")
    {
        return leaves(tx, ground, linked.link, row, applied);
    }
    let was = present(tx.conn(), linked.record)?;
    if was.held.state == State::Forgotten && is_outside(ground, row) {
        return Ok(());
    }
    let mut state = linked.state.clone();
    if was.props.is_none() && state.agreed == Agreed::Same {
        state.agreed = Agreed::Gone;
    }
    if ground.anew && state.confirmed > was.held.seq {
        // That the remote has what never was.
        state.confirmed = 0;
        link::save(tx, linked.link, &state, was.props.is_some())?;
    }
    let frozen = frozen(tx.conn(), linked.link)?;
    let rules = ground.rules(&frozen);
    let rejection = rejection_of(tx.conn(), linked.link)?;
    // What a person let drop stays dropped until a side changes: the same delete again is no change.
    if let Some(standing) = rejection.as_ref().filter(|standing| standing.dropped_delete())
        && row.state == RowState::Gone
        && row.revision == standing.revision
        && standing.refused.as_deref() == Some(wanted(was.props.as_ref(), &ground.abilities.carried).as_str())
    {
        return Ok(());
    }
    match judge(&state, was.props.as_ref(), row, asked, rules) {
        Arrival::Echo => {
            if rejection.is_some_and(|standing| standing.side == "down" || standing.side == "delete") {
                unreject(tx, linked.link)?;
            }
            return leaves(tx, ground, linked.link, row, applied);
        }
        Arrival::Ask => {
            applied.ask.push(row.remote_id.clone());
            return Ok(());
        }
        Arrival::Second => return second(tx, ground, linked, row, applied),
        Arrival::Meet if stays_forgotten(tx, ground, linked, &was.held, row)? => return Ok(()),
        Arrival::Meet => {}
    }
    // What changed there since it was forgotten here comes as if it were new.
    if was.held.state == State::Forgotten && matches!(row.state, RowState::Live(_)) {
        state.agreed = Agreed::Gone;
    }
    if state.remote_id.is_none()
        && ground.abilities.client_ids.is_none()
        && unlinked::given_anew(tx, ground, row, linked, applied)?
    {
        return Ok(());
    }
    let before = state.clone();
    if let Some(atlas) = atlas {
        let theirs = match &row.state {
            RowState::Live(theirs) => Some(theirs),
            RowState::Gone | RowState::Unreadable(_) => None,
        };
        atlas.let_go(tx.conn(), &mut state, was.props.as_ref(), theirs)?;
    }
    let stamps = stamps(tx.conn(), ground, &was.held, row.modified)?;
    let met = meet(&state, was.props.as_ref(), row, &stamps, rules);
    if met.changed && met.truth.is_none() {
        // Children that go with it are deletes like any other.
        let with_it = children::reach(tx.conn(), tx.definitions(), &was.held)?;
        if with_it.too_many || !guard.lets(tx, ground, applied.deletes + with_it.deleted)? {
            return guarded(tx, ground, linked, row, was.props.as_ref(), applied);
        }
        applied.deletes += 1 + with_it.deleted;
    }
    if rejection.is_some() {
        unreject(tx, linked.link)?;
    }
    let linked = Linked { state: before, ..linked.clone() };
    let written = write_met(tx, ground, &linked, &was, met, None)?;
    applied.changed += u64::from(written.changed);
    applied.conflicts += written.conflicts;
    if written.changed {
        twins::prove(tx, ground, linked.record, was.props.as_ref())?.count(&mut applied.changed, &mut applied.conflicts);
    }
    leaves(tx, ground, linked.link, row, applied)
}

/// One record of ours, two at the remote: neither is touched for the other's sake, and a person is told.
fn second(tx: &mut Tx<'_>, ground: &Ground, linked: &Linked, row: &Row, applied: &mut Applied) -> Result<(), StoreError> {
    let what = format!(
        "the remote has it twice: as {:?}, and as {:?}, which it was before and which had been deleted; delete one of them there",
        linked.state.remote_id.as_deref().unwrap_or_default(),
        row.remote_id
    );
    let rejected = Rejected {
        side: "down",
        link: None,
        record: Some(linked.record),
        remote_id: Some(&row.remote_id),
        revision: row.revision.as_deref(),
        action: "apply",
        what: &what,
        refused: None,
    };
    reject(tx, ground, &rejected)?;
    applied.rejected += 1;
    Ok(())
}

/// How many deletes a run may take with this batch, which has taken so many in it. Who was deleted has no id there any more, and counts all the
/// same.
///
/// # Errors
/// When the store cannot be read.
pub fn deletes_left(tx: &Tx<'_>, ground: &Ground, left: DeletesLeft, taken: u64) -> Result<u64, StoreError> {
    Ok(match left {
        DeletesLeft::Counted(left) => left,
        DeletesLeft::AfterTaken(before) => {
            let links = link::count(tx.conn(), ground.replica)? + before + taken;
            limits::deletes_max(links).saturating_sub(before)
        }
    })
}

/// Counts the deletes of a batch against what it may take.
struct Guard(DeletesLeft);

impl Guard {
    /// Whether one more may be taken, after so many of this batch.
    fn lets(&mut self, tx: &Tx<'_>, ground: &Ground, taken: u64) -> Result<bool, StoreError> {
        if let DeletesLeft::AfterTaken(before) = self.0
            && before + taken >= limits::DELETES_MIN
        {
            self.0 = DeletesLeft::Counted(deletes_left(tx, ground, self.0, taken)?);
        }
        Ok(match self.0 {
            DeletesLeft::Counted(left) => taken < left,
            DeletesLeft::AfterTaken(_) => true,
        })
    }
}

/// Keeps a record that the remote says is deleted, past the guard's limit: a person decides.
fn guarded(
    tx: &mut Tx<'_>,
    ground: &Ground,
    linked: &Linked,
    row: &Row,
    truth: Option<&Props>,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    let what = format!(
        "the remote deleted it, but this run deletes more than {} records and 1 in {} of all; `mingle sync {} --accept-deletes` takes them",
        limits::DELETES_MIN,
        limits::DELETES_SHARE,
        ground.spec.name
    );
    let rejected = Rejected {
        side: "delete",
        link: Some(linked.link),
        record: Some(linked.record),
        remote_id: Some(&row.remote_id),
        revision: row.revision.as_deref(),
        action: "delete",
        what: &what,
        refused: Some(wanted(truth, &ground.abilities.carried)),
    };
    reject(tx, ground, &rejected)?;
    applied.rejected += 1;
    Ok(())
}

/// Takes deletes that were guarded: a person accepted them; `all`, or those that are to be tried again. Those that a person let drop are not
/// among them.
pub(super) fn accept_deletes(tx: &mut Tx<'_>, ground: &Ground, all: bool) -> Result<u64, StoreError> {
    let links: Vec<i64> = tx
        .conn()
        .prepare(
            "SELECT link FROM m_rejection WHERE sync = ?1 AND side = 'delete' AND link IS NOT NULL AND verdict IS NOT 'drop'
               AND (?2 OR verdict IS 'retry')",
        )?
        .query_map(params![ground.spec.name, all], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut taken = 0;
    for number in links {
        let Some(linked) = link::by_number(tx.conn(), number)? else { continue };
        let was = present(tx.conn(), linked.record)?;
        if children::reach(tx.conn(), tx.definitions(), &was.held)?.too_many {
            let what = "it would take along more records than one delete may; delete some of those that refer to it first, then try it again";
            tx.conn()
                .prepare_cached("UPDATE m_rejection SET verdict = NULL, what = ?2 WHERE link = ?1")?
                .execute(params![number, what])?;
            continue;
        }
        let frozen = frozen(tx.conn(), number)?;
        let row = Row {
            remote_id: linked.state.remote_id.clone().unwrap_or_default(),
            revision: None,
            modified: None,
            created: None,
            state: RowState::Gone,
        };
        let stamps = stamps(tx.conn(), ground, &was.held, None)?;
        let met = meet(&linked.state, was.props.as_ref(), &row, &stamps, ground.rules(&frozen));
        unreject(tx, number)?;
        taken += u64::from(write_met(tx, ground, &linked, &was, met, None)?.changed);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests;
