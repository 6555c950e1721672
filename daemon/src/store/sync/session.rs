//! Owns: apps' sessions in the store: their rows, how they begin and end. What a call does in which state the core decides; each
//! function here is one transaction's work. Must never know: sockets, who may write what.
//!
//! An app that keeps its own copy is a replica: a number below 0 for each app and collection, with links like those of a remote.

use std::sync::Arc;

use mingle_core::{
    ask::{Begin, Begun, Closed, Refusal, Speaker},
    policy::{Merge, OnDelete, Policy},
    run::{Creates, Direction},
    session::{Call, Does, Ended, Known, Mixed, Mode, State, Step, copy, decide, negotiate},
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Ground, Others, SyncSpec, link::damaged};
use crate::store::{
    definitions::Collection,
    error::StoreError,
    tx::{Origin, Tx},
};

mod aliased;
mod copies;
mod filter;
mod fresh;
mod mingle;
mod pull;
mod push;
mod take;
#[cfg(test)]
mod tests;
mod unsaid;

pub use copies::{keepers, known, open_of, register, registers_under, reset, resets_under, sweep};
pub(in crate::store) use filter::read as read_filter;
pub use fresh::lacking;
pub use mingle::{Sliced, enter, slice};
pub use pull::{note, pull, pulls};
pub use push::{Ready, prepare, push};
pub use take::{commit, lost, take};
pub use unsaid::{Counted, unsaid};

/// How the session goes on once everything pushed has met the truth.
const GOES_ON: i64 = 0;
const FINISHED: i64 = 1;
const CANCELLED: i64 = 2;

/// One session, read.
struct Open {
    session: i64,
    app: String,
    state: State,
    mode: Mode,
    replicas: Vec<i64>,
    ends: i64,
}

const COLUMNS: &str = "session, app, state, mode, replicas, ends";

fn read(row: &Row<'_>) -> Result<Open, StoreError> {
    let (state, mode, replicas): (String, String, String) = (row.get(2)?, row.get(3)?, row.get(4)?);
    let unknown = || StoreError::Corrupt(format!("a session in the state {state}, of the mode {mode}"));
    Ok(Open {
        session: row.get(0)?,
        app: row.get(1)?,
        state: State::of(&state).ok_or_else(unknown)?,
        mode: Mode::of(&mode).ok_or_else(unknown)?,
        replicas: serde_json::from_str(&replicas).map_err(damaged)?,
        ends: row.get(5)?,
    })
}

fn one(conn: &Connection, condition: &str, params: impl rusqlite::Params) -> Result<Option<Open>, StoreError> {
    let mut statement = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM m_session WHERE {condition}"))?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// The session of that id, where it is the speaker's.
fn find(conn: &Connection, who: &Speaker, session: &str) -> Result<Open, StoreError> {
    let own =
        one(conn, "id = ?1 AND app = ?2 AND connection = ?3 AND ends = 0", params![session, who.app, signed(who.connection)])?;
    own.ok_or_else(|| {
        let hint = "a session ends with finish, with cancel, and with its connection; session.begin makes another";
        Refusal::NotFound(format!("this connection has no session {session:?}"), Some(hint.into())).into()
    })
}

/// The collections of a session of the speaker's, also those that have left the configuration.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn collections(conn: &Connection, who: &Speaker, session: &str) -> Result<Vec<String>, StoreError> {
    let open = find(conn, who, session)?;
    let mut of = conn
        .prepare_cached("SELECT c.name FROM m_copy y JOIN m_collection c ON c.collection = y.collection WHERE y.replica = ?1")?;
    let mut names = Vec::with_capacity(open.replicas.len());
    for replica in &open.replicas {
        names.extend(of.query_row([replica], |row| row.get(0)).optional()?);
    }
    Ok(names)
}

/// What a call does to a session; what it does not allow is refused, and nothing has changed.
fn step(open: &Open, call: Call) -> Result<Step, Refusal> {
    decide(open.state, call, open.mode).map_err(|wrong| {
        let allowed: Vec<String> = wrong.allowed.iter().map(|call| format!("session.{}", call.name())).collect();
        let mode = if open.state == State::Pushing { format!(", in the mode {}", open.mode.name()) } else { String::new() };
        Refusal::WrongState(
            format!("session.{} is not for a session that is {}{mode}", wrong.call.name(), wrong.state.name()),
            Some(format!("what it takes now: {}", allowed.join(", "))),
        )
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn set_state(tx: &Tx<'_>, session: i64, state: State) -> Result<(), StoreError> {
    tx.conn().prepare_cached("UPDATE m_session SET state = ?2 WHERE session = ?1")?.execute(params![session, state.name()])?;
    Ok(())
}

fn remove(tx: &Tx<'_>, open: &Open, how: Ended) -> Result<(), StoreError> {
    for replica in &open.replicas {
        // One whose connection was gone while it mingled has its end already.
        tx.conn()
            .prepare_cached("UPDATE m_copy SET ended = coalesce(ended, ?2) WHERE replica = ?1")?
            .execute(params![replica, how.name()])?;
    }
    tx.conn().prepare_cached("DELETE FROM m_session WHERE session = ?1")?.execute([open.session])?;
    Ok(())
}

/// Begins a session.
///
/// # Errors
/// [`Refusal::WrongState`] where the app has one already, [`Refusal::NotFound`], [`Refusal::Invalid`].
pub fn begin(tx: &mut Tx<'_>, who: &Speaker, begin: &Begin) -> Result<Begun, StoreError> {
    if let Some(open) = one(tx.conn(), "app = ?1", [&who.app])? {
        let told = format!("a session of {} is {}, and an app has one at a time", who.app, open.state.name());
        return Err(Refusal::WrongState(told, Some("finish or cancel it, or wait until its connection is gone".into())).into());
    }
    let named = copies::named(tx, &begin.collections)?;
    let mut replicas = Vec::with_capacity(named.len());
    let mut known = Vec::with_capacity(named.len());
    for collection in named {
        let replica = copies::place(tx, &who.app, &collection)?;
        known.push(known_of(tx, replica, begin.anchor.as_deref(), &collection)?);
        replicas.push(replica);
    }
    let mode = negotiate(begin.mode, &known).map_err(mixed)?;
    for replica in &replicas {
        tx.conn()
            .prepare_cached(
                "UPDATE m_copy SET pass = pass + 1, owed = ?2, used = ?3, mode = ?4, ended = NULL WHERE replica = ?1",
            )?
            .execute(params![replica, mode == Mode::PullTruth, tx.now().unix_ms(), mode.name()])?;
    }
    // Where nobody else is invited, everybody is there.
    let invited = invited(tx, begin.invites.as_ref().map_or(&[][..], |invites| invites.apps.as_slice()))?;
    let joined = match invited.is_empty() {
        true => decide(State::Negotiating, Call::Join, mode).map_or(State::Pushing, |step| step.state),
        false => State::Negotiating,
    };
    let id = tx.short_id('s');
    tx.conn()
        .prepare_cached("INSERT INTO m_session (id, app, connection, state, mode, replicas) VALUES (?1, ?2, ?3, ?4, ?5, ?6)")?
        .execute(params![
            id,
            who.app,
            signed(who.connection),
            joined.name(),
            mode.name(),
            serde_json::to_string(&replicas).map_err(damaged)?
        ])?;
    Ok(Begun { session: id, mode, invited })
}

/// Of these apps, those that have no session of their own.
fn invited(tx: &Tx<'_>, apps: &[String]) -> Result<Vec<String>, StoreError> {
    let mut held = tx.conn().prepare_cached("SELECT 1 FROM m_session WHERE app = ?1")?;
    let mut free = Vec::with_capacity(apps.len());
    for app in apps {
        if !held.exists([app])? {
            free.push(app.clone());
        }
    }
    Ok(free)
}

/// All who were invited have answered, or their time is over.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::WrongState`].
pub fn join(tx: &mut Tx<'_>, who: &Speaker, session: &str) -> Result<(State, Mode), StoreError> {
    let open = find(tx.conn(), who, session)?;
    let state = step(&open, Call::Join)?.state;
    set_state(tx, open.session, state)?;
    Ok((state, open.mode))
}

/// Whether a session can be joined at all: asked before anybody is waited for.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::WrongState`].
pub fn joins(conn: &Connection, who: &Speaker, session: &str) -> Result<(), StoreError> {
    step(&find(conn, who, session)?, Call::Join)?;
    Ok(())
}

fn mixed(mixed: Mixed) -> Refusal {
    match mixed {
        Mixed::ReadOnly => Refusal::Invalid(
            "some of these collections take writes, and others take none, so they cannot share a session".into(),
            Some("begin a session for each of the two kinds".into()),
        ),
        Mixed::PushesReadOnly => Refusal::ReadOnly(
            "push_truth would replace a collection whose syncs only bring down; pull_truth is what it can do".into(),
        ),
    }
}

fn known_of(tx: &Tx<'_>, replica: i64, anchor: Option<&str>, collection: &Collection) -> Result<Known, StoreError> {
    // What the app lacks its links tell. Where one of them went with its record, the anchor went too (`purge`).
    let mut statement = tx.conn().prepare_cached("SELECT anchor, instance, owed FROM m_copy WHERE replica = ?1")?;
    let (last, instance, owed): (Option<String>, String, bool) =
        statement.query_row([replica], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(Known {
        anchor: last.is_some() && last.as_deref() == anchor,
        reaches: instance == *tx.instance(),
        replace: owed,
        read_only: collection.definition.read_only,
    })
}

/// On what a meeting with an app's copy stands.
fn ground(tx: &Tx<'_>, open: &Open, replica: i64) -> Result<(Ground, u64), StoreError> {
    let (number, pass): (i64, i64) = tx
        .conn()
        .prepare_cached("SELECT collection, pass FROM m_copy WHERE replica = ?1")?
        .query_row([replica], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let collection = tx.definitions().numbered(number).cloned();
    let collection = collection.ok_or_else(|| {
        Refusal::NotFound(
            "a collection of this session has left the configuration".into(),
            Some("cancel it, and begin anew".into()),
        )
    })?;
    Ok((ground_of(&open.app, open.mode, replica, &collection), u64::try_from(pass).unwrap_or(0)))
}

fn ground_of(app: &str, mode: Mode, replica: i64, collection: &Collection) -> Ground {
    let policy = match mode {
        // Whatever the truth has, the app's takes its place.
        Mode::PushTruth => Policy {
            default: Merge::Remote,
            properties: std::collections::BTreeMap::new(),
            delete: OnDelete::KeepEdit,
            ..collection.definition.policy.clone()
        },
        _ => copy::policy(&collection.definition.policy),
    };
    let name = format!("app:{app}");
    let spec = SyncSpec {
        name: name.clone(),
        collection: collection.definition.name.clone(),
        remote: name,
        identity: String::new(),
        history: String::new(),
        listing: String::new(),
        direction: Direction::Both,
        policy,
        remove_after_upload: false,
        creates: Creates::Never,
        others: Others::default(),
        filter: mingle_core::filter::Filter::default(),
        reset: Default::default(),
        kin: std::collections::BTreeMap::new(),
    };
    Ground {
        spec: Arc::new(spec),
        abilities: Arc::new(copy::abilities()),
        collection: collection.number,
        replica,
        origin: Origin::App(app.to_owned()),
        began: None,
        anew: false,
        reset: None,
        run: String::new(),
    }
}

/// The place of a collection in a session.
fn place(conn: &Connection, open: &Open, number: i64, name: &str) -> Result<i64, StoreError> {
    let mut statement = conn.prepare_cached("SELECT replica FROM m_copy WHERE app = ?1 AND collection = ?2")?;
    let replica = statement.query_row(params![open.app, number], |row| row.get(0)).optional()?;
    replica
        .filter(|replica| open.replicas.contains(replica))
        .ok_or_else(|| Refusal::Invalid(format!("{name} is not in this session"), Some("name it in session.begin".into())).into())
}

/// What the end of a session came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It is over.
    Over(Closed),
    /// What was pushed meets the truth first ([`slice`]).
    Meets,
    /// It goes on as it was: what was not pushed, and would be deleted, is to be counted first ([`unsaid`]).
    Counts,
}

/// Ends a session for good, where that takes no mingling. `counted`: of what was not pushed it is known that it may be deleted.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::WrongState`].
pub fn end(tx: &mut Tx<'_>, who: &Speaker, session: &str, finish: bool, counted: bool) -> Result<End, StoreError> {
    let open = find(tx.conn(), who, session)?;
    let step = step(&open, if finish { Call::Finish } else { Call::Cancel })?;
    match step.does {
        Does::CloseAndEnd => {
            let closed = take::close(tx, &open)?;
            remove(tx, &open, Ended::Finished)?;
            Ok(End::Over(closed))
        }
        Does::Drop => {
            remove(tx, &open, if finish { Ended::Finished } else { Ended::Cancelled })?;
            Ok(End::Over(Closed::default()))
        }
        Does::MeetAndEnd | Does::Detach => {
            if open.state == State::Pushing {
                // To end is no word on deletes that nobody said.
                if !counted && unsaid::counts(&open) {
                    return Ok(End::Counts);
                }
                mingle::begin(tx, &open)?;
            }
            ends(tx, open.session, if finish { FINISHED } else { CANCELLED })?;
            Ok(End::Meets)
        }
        _ => Ok(End::Over(Closed::default())),
    }
}

fn ends(tx: &Tx<'_>, session: i64, how: i64) -> Result<(), StoreError> {
    tx.conn().prepare_cached("UPDATE m_session SET ends = ?2 WHERE session = ?1")?.execute(params![session, how])?;
    Ok(())
}

/// A connection is gone (none: all of them, at a start): its sessions are cancelled. Those that mingle go on to the end of it.
///
/// # Errors
/// What SQLite says.
pub fn leave(tx: &mut Tx<'_>, connection: Option<u64>) -> Result<Vec<String>, StoreError> {
    let connection = connection.map(signed);
    tx.conn()
        .prepare_cached(
            "UPDATE m_copy SET ended = 'left' WHERE replica IN (SELECT r.value FROM m_session s, json_each(s.replicas) r
               WHERE (?1 IS NULL OR s.connection = ?1) AND s.ends = 0)",
        )?
        .execute([connection])?;
    tx.conn()
        .prepare_cached("DELETE FROM m_session WHERE (?1 IS NULL OR connection = ?1) AND state <> 'mingling'")?
        .execute([connection])?;
    let mut mingle = tx.conn().prepare_cached(
        "UPDATE m_session SET ends = iif(ends = 0, 2, ends) WHERE (?1 IS NULL OR connection = ?1) RETURNING id",
    )?;
    let left = mingle.query_map([connection], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(left)
}

/// The connection of the session that an app has.
///
/// # Errors
/// What SQLite says.
pub fn holder(conn: &Connection, app: &str) -> Result<Option<u64>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT connection FROM m_session WHERE app = ?1 AND ends = 0")?;
    Ok(statement.query_row([app], |row| row.get(0)).optional()?)
}

/// Every session that has ended and has not mingled to the end of it.
///
/// # Errors
/// What SQLite says.
pub fn all_left_over(conn: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT id FROM m_session WHERE ends <> 0 ORDER BY session")?;
    Ok(statement.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// The session of an app that has ended and has not mingled to the end of it.
///
/// # Errors
/// What SQLite says.
pub fn left_over(conn: &Connection, app: &str) -> Result<Option<String>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT id FROM m_session WHERE app = ?1 AND ends <> 0")?;
    Ok(statement.query_row([app], |row| row.get(0)).optional()?)
}
