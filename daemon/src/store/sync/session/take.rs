//! Owns: what an app took or refused of what it was shown: kept until the commit, agreed from then on. Must never know: what it was
//! shown of.

use mingle_core::{
    ask::{Closed, LostOne, Refusal, Speaker, Take, Took},
    limits::{SESSION_TAKES_MAX, WRITES_PER_TRANSACTION_MAX},
    meeting::{Agreed, Link, alike},
    record::Props,
    session::{Call, Does, State, copy},
};
use rusqlite::{OptionalExtension, params};

use super::{Open, filter, find, ground, place, push, step};
use crate::{
    json,
    store::{
        error::StoreError,
        ledger::{self, Past},
        record,
        sync::{
            frozen,
            link::{self, Linked},
            present,
        },
        tx::Tx,
        write,
    },
};

/// Keeps what the app did with records that it was shown, until the commit: all of it or nothing.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::WrongState`], [`Refusal::Invalid`], [`Refusal::Stale`], [`Refusal::TooLarge`].
pub fn take(tx: &mut Tx<'_>, who: &Speaker, session: &str, takes: &[Take]) -> Result<u64, StoreError> {
    let open = find(tx.conn(), who, session)?;
    let accepts = takes.iter().all(|take| matches!(take.how, Took::Accepted { .. }));
    step(&open, if accepts { Call::Accept } else { Call::Refuse })?;
    if takes.len() > WRITES_PER_TRANSACTION_MAX {
        let told = format!("{} records at once; at most {WRITES_PER_TRANSACTION_MAX}", takes.len());
        return Err(Refusal::TooLarge(told).into());
    }
    for take in takes {
        let collection = tx.defined(&take.collection)?;
        let replica = place(tx.conn(), &open, collection.number, &take.collection)?;
        let linked = shown(tx, replica, take)?;
        match &take.how {
            Took::Accepted { form, id } => accept(tx, &open, replica, &linked, take, form.as_deref(), id.as_deref())?,
            Took::Refused => keep(tx, &open, replica, &linked, "refuse", take.seq, None, None)?,
        }
    }
    room(tx, &open)?;
    Ok(takes.len() as u64)
}

/// A commit is one transaction, so what waits for it has a bound.
fn room(tx: &Tx<'_>, open: &Open) -> Result<(), StoreError> {
    let mut count = tx.conn().prepare_cached("SELECT count(*) FROM (SELECT 1 FROM m_take WHERE session = ?1 LIMIT ?2)")?;
    let taken: usize = count.query_row(params![open.session, SESSION_TAKES_MAX + 1], |row| row.get(0))?;
    if taken > SESSION_TAKES_MAX {
        let told = format!("more than {SESSION_TAKES_MAX} records were taken since the last session.commit; commit, then go on");
        return Err(Refusal::TooLarge(told).into());
    }
    Ok(())
}

/// The link of a record that was shown under this id, in this state.
fn shown(tx: &Tx<'_>, replica: i64, take: &Take) -> Result<Linked, StoreError> {
    let nothing = || {
        let told = format!("nothing was shown of {:?} in {}", take.id, take.collection);
        StoreError::from(Refusal::NotFound(told, Some("name the id and the seq that session.pull showed".into())))
    };
    let linked = link::by_remote_id(tx.conn(), replica, &take.id)?
        .filter(|linked| linked.state.remote_id.as_deref() == Some(&*take.id) && linked.state.agreed != Agreed::Gone)
        .ok_or_else(nothing)?;
    let held = present(tx.conn(), linked.record)?.held;
    if take.seq > held.seq || take.seq <= linked.state.confirmed {
        let told = format!("{:?} was not shown at seq {}; it is at {}", take.id, take.seq, held.seq);
        return Err(Refusal::Stale(told, Some(held.seq)).into());
    }
    if ledger::at(tx.conn(), &held, take.seq)? == Past::Unknown {
        let told = format!("what {:?} was at seq {} is not known any more; pull it again", take.id, take.seq);
        return Err(Refusal::Stale(told, Some(held.seq)).into());
    }
    Ok(linked)
}

fn accept(
    tx: &Tx<'_>,
    open: &Open,
    replica: i64,
    linked: &Linked,
    take: &Take,
    form: Option<&str>,
    id: Option<&str>,
) -> Result<(), StoreError> {
    let form = form.map(|form| write::object("data", form)).transpose()?.map(|props| json::write(&props));
    form.as_deref().map(write::check_size).transpose()?;
    if let Some(id) = id {
        write::check_id(id)?;
    }
    let id = id.or(linked.state.remote_id.as_deref()).unwrap_or(&take.id);
    let twice = tx
        .conn()
        .prepare_cached("SELECT 1 FROM m_take WHERE session = ?1 AND replica = ?2 AND id = ?3 AND link <> ?4")?
        .exists(params![open.session, replica, id, linked.link])?;
    if twice || link::taken(tx.conn(), replica, id, linked.link)? {
        let told = format!("the id {id:?} is that of another record of this app");
        return Err(Refusal::Invalid(told, Some("give the record an id of its own, as new_id".into())).into());
    }
    keep(tx, open, replica, linked, "accept", take.seq, Some(id), form.as_deref())
}

#[expect(clippy::too_many_arguments, reason = "one row; a struct of them would be built for this call alone")]
fn keep(
    tx: &Tx<'_>,
    open: &Open,
    replica: i64,
    linked: &Linked,
    what: &str,
    seq: u64,
    id: Option<&str>,
    form: Option<&str>,
) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "INSERT INTO m_take (session, replica, link, what, seq, id, form) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (session, link)
             DO UPDATE SET what = excluded.what, seq = excluded.seq, id = excluded.id, form = excluded.form",
        )?
        .execute(params![open.session, replica, linked.link, what, link::signed(seq), id, form])?;
    Ok(())
}

/// The app has lost a record: while it pushes it is shown again in this session, later in the next one; or not, until it changes.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::WrongState`], [`Refusal::Invalid`].
pub fn lost(tx: &mut Tx<'_>, who: &Speaker, session: &str, lost: &LostOne) -> Result<State, StoreError> {
    let open = find(tx.conn(), who, session)?;
    let does = step(&open, Call::Lost)?.does;
    let collection = tx.defined(&lost.collection)?;
    let replica = place(tx.conn(), &open, collection.number, &lost.collection)?;
    let Some(linked) = push::known(tx.conn(), replica, &lost.id)? else {
        let told = format!("nothing is known of {:?} in this app's {}", lost.id, lost.collection);
        return Err(Refusal::NotFound(told, None).into());
    };
    let what = if lost.again { "lost" } else { "given_up" };
    match does {
        Does::Stage => push::stage(tx, &open, replica, &lost.id, what, None)?,
        _ => {
            let held = present(tx.conn(), linked.record)?.held;
            keep(tx, &open, replica, &linked, what, held.seq, None, None)?;
            room(tx, &open)?;
        }
    }
    Ok(open.state)
}

/// What was taken holds from now on.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::WrongState`].
pub fn commit(tx: &mut Tx<'_>, who: &Speaker, session: &str) -> Result<Closed, StoreError> {
    let open = find(tx.conn(), who, session)?;
    step(&open, Call::Commit)?;
    close(tx, &open)
}

/// One row of `m_take`.
struct Taken {
    take: i64,
    replica: i64,
    link: i64,
    what: String,
    seq: u64,
    id: Option<String>,
    form: Option<String>,
}

/// The next row after `after`: one at a time, for a form can be long.
fn next(tx: &Tx<'_>, open: &Open, after: i64) -> Result<Option<Taken>, StoreError> {
    let mut statement = tx.conn().prepare_cached(
        "SELECT take, replica, link, what, seq, id, form FROM m_take WHERE take > ?2 AND +session = ?1 ORDER BY take LIMIT 1",
    )?;
    let taken = statement.query_row(params![open.session, after], |row| {
        Ok(Taken {
            take: row.get(0)?,
            replica: row.get(1)?,
            link: row.get(2)?,
            what: row.get(3)?,
            seq: link::unsigned(row.get(4)?),
            id: row.get(5)?,
            form: row.get(6)?,
        })
    });
    Ok(taken.optional()?)
}

/// What was taken becomes what is agreed, and the app is given another anchor.
pub(super) fn close(tx: &mut Tx<'_>, open: &Open) -> Result<Closed, StoreError> {
    let (mut taken, mut after) = (0, 0);
    while let Some(row) = next(tx, open, after)? {
        agree(tx, open, &row)?;
        (taken, after) = (taken + 1, row.take);
    }
    tx.conn().prepare_cached("DELETE FROM m_take WHERE session = ?1")?.execute([open.session])?;
    let anchor = tx.short_id('a');
    for replica in &open.replicas {
        let owed = owed(tx, *replica)?;
        tx.conn()
            .prepare_cached("UPDATE m_copy SET anchor = ?2, instance = ?3, owed = ?4 WHERE replica = ?1")?
            .execute(params![replica, anchor, &*tx.instance(), owed])?;
    }
    Ok(Closed { anchor: Some(anchor), taken })
}

/// Whether the truth is to take the place of this copy, and has not yet: something is to be in it that the app has not taken.
fn owed(tx: &Tx<'_>, replica: i64) -> Result<bool, StoreError> {
    if !tx.conn().prepare_cached("SELECT 1 FROM m_copy WHERE replica = ?1 AND owed")?.exists([replica])? {
        return Ok(false);
    }
    let filter = filter::of(tx.conn(), replica)?;
    let mut statement = tx.conn().prepare_cached(
        "SELECT r.record FROM m_link l JOIN m_record r USING (record)
         WHERE l.replica = ?1 AND l.base IN (2, 3) AND r.state = 0 AND r.seq > l.confirmed",
    )?;
    let mut rows = statement.query([replica])?;
    while let Some(row) = rows.next()? {
        if present(tx.conn(), row.get(0)?)?.props.is_some_and(|props| filter.fits(&props)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn agree(tx: &mut Tx<'_>, open: &Open, row: &Taken) -> Result<(), StoreError> {
    // A record that was purged meanwhile is nobody's any more.
    let Some(linked) = link::by_number(tx.conn(), row.link)? else { return Ok(()) };
    let was = present(tx.conn(), linked.record)?;
    let lives = was.props.is_some();
    let mut state = linked.state;
    match row.what.as_str() {
        "refuse" => state.confirmed = state.confirmed.max(row.seq),
        "lost" => state = Link { agreed: Agreed::Gone, confirmed: 0, ..state },
        "given_up" => state = Link { agreed: Agreed::Gone, confirmed: was.held.seq, ..state },
        _ => {
            let frozen = frozen(tx.conn(), row.link)?;
            let (ground, _) = ground(tx, open, row.replica)?;
            let filter = filter::of(tx.conn(), row.replica)?;
            tx.conn().prepare_cached("UPDATE m_link SET missing = 0 WHERE link = ?1")?.execute([row.link])?;
            match ledger::at(tx.conn(), &was.held, row.seq)? {
                Past::There(past) if filter.fits(&past) => {
                    let stored = row.form.as_deref().map(record::props).transpose()?;
                    let stored: Props = stored.unwrap_or_else(|| copy::shown(&state, &past, &frozen));
                    let same = was.props.as_ref().is_some_and(|truth| alike(truth, &stored, ground.rules(&frozen)));
                    state.agreed = if same { Agreed::Same } else { Agreed::Own(stored) };
                    renamed(tx, row, &mut state)?;
                }
                // It is gone, or has left this copy.
                Past::NotThere | Past::There(_) => {
                    state.agreed = Agreed::Gone;
                    if let Some(former) = state.remote_id.take() {
                        link::former(tx, row.replica, &former, row.link)?;
                    }
                }
                // It is shown again.
                Past::Unknown => return Ok(()),
            }
            state.confirmed = row.seq;
        }
    }
    link::save(tx, row.link, &state, lives)
}

/// The id that the record has in the app from now on; the one that it had stays its own.
fn renamed(tx: &Tx<'_>, row: &Taken, state: &mut Link) -> Result<(), StoreError> {
    let Some(id) = &row.id else { return Ok(()) };
    if state.remote_id.as_ref() == Some(id) {
        return Ok(());
    }
    if let Some(former) = state.remote_id.replace(id.clone()) {
        link::former(tx, row.replica, &former, row.link)?;
    }
    tx.conn().prepare_cached("DELETE FROM m_former WHERE replica = ?1 AND remote_id = ?2 AND link = ?3")?.execute(params![
        row.replica,
        id,
        row.link
    ])?;
    Ok(())
}
