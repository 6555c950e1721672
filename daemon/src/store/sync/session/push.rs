//! Owns: what an app pushes, kept until the mingling: the last state of each record, whole. Must never know: what it meets there.

use mingle_core::{
    ask::{Push, Refusal, Speaker},
    limits::WRITES_PER_TRANSACTION_MAX,
    meeting::Agreed,
    record::Props,
    session::Call,
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Open, find, place, step};
use crate::{
    json,
    store::{
        error::StoreError,
        record,
        sync::link::{self, Linked},
        tx::Tx,
        write,
    },
};

/// Pushes that were checked and read, on the asker's thread.
#[derive(Clone, Debug)]
pub struct Ready(Vec<One>);

#[derive(Clone, Debug)]
struct One {
    collection: String,
    id: String,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Put(Props),
    Patch(Props),
    Delete,
}

/// Checks and reads what is pushed.
///
/// # Errors
/// [`Refusal::Invalid`] and [`Refusal::TooLarge`], for what can be told without looking at the store.
pub fn prepare(pushes: Vec<Push>) -> Result<Ready, Refusal> {
    if pushes.len() > WRITES_PER_TRANSACTION_MAX {
        return Err(Refusal::TooLarge(format!("{} changes at once; at most {WRITES_PER_TRANSACTION_MAX}", pushes.len())));
    }
    let one = |push| -> Result<One, Refusal> {
        let (collection, id, what) = match push {
            Push::Put { collection, id, data } => {
                let props = write::object("data", &data)?;
                write::check_size(&json::write(&props))?;
                (collection, id, What::Put(props))
            }
            Push::Patch { collection, id, patch } => (collection, id, What::Patch(write::object("patch", &patch)?)),
            Push::Delete { collection, id } => (collection, id, What::Delete),
        };
        write::check_id(&id)?;
        Ok(One { collection, id, what })
    };
    Ok(Ready(pushes.into_iter().map(one).collect::<Result<_, Refusal>>()?))
}

/// Keeps what was pushed until the mingling: all of it or nothing.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::WrongState`], [`Refusal::ReadOnly`], [`Refusal::Invalid`], [`Refusal::TooLarge`].
pub fn push(tx: &mut Tx<'_>, who: &Speaker, session: &str, ready: &Ready) -> Result<u64, StoreError> {
    let open = find(tx.conn(), who, session)?;
    step(&open, Call::Push)?;
    for one in &ready.0 {
        let collection = write::writable(tx, &one.collection)?;
        let replica = place(tx.conn(), &open, collection.number, &one.collection)?;
        match &one.what {
            What::Put(props) => stage(tx, &open, replica, &one.id, "put", Some(&json::write(props)))?,
            What::Patch(patch) => {
                let Some(mut props) = last(tx, &open, replica, &one.id)? else { return Err(not_there(one).into()) };
                write::merge_patch(&mut props, patch);
                let text = json::write(&props);
                write::check_size(&text)?;
                stage(tx, &open, replica, &one.id, "put", Some(&text))?;
            }
            What::Delete => {
                // What it was shown and did not take it may have had: then its end says nothing of the truth, and it is shown again.
                let had = last(tx, &open, replica, &one.id)?.is_some();
                if !had && (staged(tx, &open, replica, &one.id)? || known(tx.conn(), replica, &one.id)?.is_none()) {
                    return Err(not_there(one).into());
                }
                stage(tx, &open, replica, &one.id, "delete", None)?;
            }
        }
    }
    Ok(ready.0.len() as u64)
}

fn not_there(one: &One) -> Refusal {
    Refusal::NotFound(
        format!("nothing is known of {:?} in this app's {}", one.id, one.collection),
        Some("push a record that is new here whole, as a put".into()),
    )
}

/// What the app has under this id, as far as it has told: what it pushed in this session, else what was agreed.
fn last(tx: &Tx<'_>, open: &Open, replica: i64, id: &str) -> Result<Option<Props>, StoreError> {
    let staged: Option<(String, Option<String>)> = tx
        .conn()
        .prepare_cached("SELECT what, data FROM m_push WHERE session = ?1 AND replica = ?2 AND id = ?3")?
        .query_row(params![open.session, replica, id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((_, data)) = staged {
        return data.as_deref().map(record::props).transpose();
    }
    let Some(linked) = known(tx.conn(), replica, id)? else { return Ok(None) };
    match linked.state.agreed {
        Agreed::Own(props) => Ok(Some(props)),
        Agreed::Same => super::super::present(tx.conn(), linked.record).map(|present| present.props),
        Agreed::Gone | Agreed::Former(_) | Agreed::Unknown => Ok(None),
    }
}

/// Whether anything of it was pushed in this session.
fn staged(tx: &Tx<'_>, open: &Open, replica: i64, id: &str) -> Result<bool, StoreError> {
    let mut statement = tx.conn().prepare_cached("SELECT 1 FROM m_push WHERE session = ?1 AND replica = ?2 AND id = ?3")?;
    Ok(statement.exists(params![open.session, replica, id])?)
}

/// The link of a record that the app has under this id.
pub(super) fn known(conn: &Connection, replica: i64, id: &str) -> Result<Option<Linked>, StoreError> {
    let linked = link::by_remote_id(conn, replica, id)?;
    Ok(linked.filter(|linked| linked.state.remote_id.as_deref() == Some(id) && linked.state.agreed != Agreed::Gone))
}

/// Only the last state of a record counts, so it takes the place of what was pushed before.
pub(super) fn stage(tx: &Tx<'_>, open: &Open, replica: i64, id: &str, what: &str, data: Option<&str>) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "INSERT INTO m_push (session, replica, id, what, data) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (session, replica, id) DO UPDATE SET what = excluded.what, data = excluded.data",
        )?
        .execute(params![open.session, replica, id, what, data])?;
    Ok(())
}
