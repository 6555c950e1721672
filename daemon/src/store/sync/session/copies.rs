//! Owns: which app keeps a copy of what: made, made room for, told, forgotten. Must never know: what is in a copy, who may ask.

use std::sync::Arc;

use mingle_core::{
    ask::{CopyRow, LastSession, Refusal, Register, Reset},
    limits::COLLECTIONS_PER_QUESTION_MAX,
    planted,
    session::{Ended, Known, Mode, State, negotiate},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Open, filter, one};
use crate::store::{
    definitions::{Collection, Definitions},
    error::StoreError,
    limits::{COPIES_MAX, LINKS_FORGOTTEN_AT_ONCE, TOMBSTONE_KEPT_FOR_COPIES},
    reader::Reader,
    tx::Tx,
};

/// The collections that an app names, each once.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Invalid`].
pub(super) fn named(tx: &Tx<'_>, names: &[String]) -> Result<Vec<Arc<Collection>>, StoreError> {
    if names.is_empty() || names.len() > COLLECTIONS_PER_QUESTION_MAX {
        let told = format!("{} collections are named; there are 1 to {COLLECTIONS_PER_QUESTION_MAX}", names.len());
        return Err(Refusal::Invalid(told, None).into());
    }
    if let Some(twice) = names.iter().enumerate().find_map(|(at, name)| names[..at].contains(name).then_some(name)) {
        return Err(Refusal::Invalid(format!("{twice} is named twice"), Some("name each collection once".into())).into());
    }
    Ok(names.iter().map(|name| tx.defined(name)).collect::<Result<_, _>>()?)
}

/// The place of an app's copy of one collection; made where there is none.
pub(super) fn place(tx: &Tx<'_>, app: &str, collection: &Collection) -> Result<i64, StoreError> {
    let known: Option<i64> = tx
        .conn()
        .prepare_cached("SELECT replica FROM m_copy WHERE app = ?1 AND collection = ?2")?
        .query_row(params![app, collection.number], |row| row.get(0))
        .optional()?;
    if let Some(replica) = known {
        return Ok(replica);
    }
    room(tx, collection)?;
    let replica = free(tx)?;
    tx.conn()
        .prepare_cached(
            "INSERT INTO m_replica (replica, remote, identity) VALUES (?1, ?2, ?3)
             ON CONFLICT (replica) DO UPDATE SET remote = excluded.remote, identity = excluded.identity",
        )?
        .execute(params![replica, format!("app:{app}"), format!("app:{app} {}", collection.number)])?;
    tx.conn()
        .prepare_cached(
            "INSERT INTO m_copy (replica, app, collection, anchor, instance, scanned, pass, used, owed, since)
             VALUES (?1, ?2, ?3, NULL, ?4, 0, 0, ?5, 0, ?5)",
        )?
        .execute(params![replica, app, collection.number, &*tx.instance(), tx.now().unix_ms()])?;
    Ok(replica)
}

/// The number of a place that nobody has: that of a copy that was forgotten, once no link is left of it, else a new one. To delete such a
/// row would be to look whether any link of the store points at it.
fn free(tx: &Tx<'_>) -> Result<i64, StoreError> {
    const AGAIN: &str = "SELECT max(p.replica) FROM m_replica p WHERE p.replica < 0 AND p.identity = 'forgotten:' || p.replica
         AND NOT EXISTS (SELECT 1 FROM m_link k INDEXED BY m_link_copies WHERE k.replica = p.replica AND k.replica < 0)";
    if let Some(again) = tx.conn().prepare_cached(AGAIN)?.query_row((), |row| row.get::<_, Option<i64>>(0))? {
        return Ok(again);
    }
    let lowest: i64 = tx.conn().query_row("SELECT min(0, coalesce(min(replica), 0)) FROM m_replica", (), |row| row.get(0))?;
    Ok(lowest - 1)
}

/// Where a collection has all the copies that it may have, the one that was away for longest goes.
fn room(tx: &Tx<'_>, collection: &Collection) -> Result<(), StoreError> {
    let count = "SELECT count(*) FROM m_copy WHERE collection = ?1";
    let copies: i64 = tx.conn().prepare_cached(count)?.query_row([collection.number], |row| row.get(0))?;
    if copies < COPIES_MAX {
        return Ok(());
    }
    let away = tx.now().minus(TOMBSTONE_KEPT_FOR_COPIES).unix_ms();
    let oldest: Option<i64> = tx
        .conn()
        .prepare_cached(
            "SELECT replica FROM m_copy WHERE collection = ?1 AND used < ?2 AND app NOT IN (SELECT app FROM m_session)
             ORDER BY used LIMIT 1",
        )?
        .query_row(params![collection.number, away], |row| row.get(0))
        .optional()?;
    let Some(replica) = oldest else {
        let told = format!(
            "{copies} apps keep a copy of {} already; begin under the same name each time, or app.reset one that is not used any more",
            collection.definition.name
        );
        return Err(Refusal::TooLarge(told).into());
    };
    forget(tx, replica)
}

/// Forgets a copy, at once: who comes from here on has never been here. Its links belong to nobody, and go with what is thrown away
/// (`purge`). What the app brought stays in the truth.
fn forget(tx: &Tx<'_>, replica: i64) -> Result<(), StoreError> {
    if planted::is("copy half forgotten") {
        // Its links stay its own, and its next session is slow: what is not pushed in that was deleted there.
        tx.conn().prepare_cached("UPDATE m_copy SET anchor = NULL WHERE replica = ?1")?.execute([replica])?;
        return Ok(());
    }
    for sql in
        ["DELETE FROM m_copy WHERE replica = ?1", "UPDATE m_replica SET identity = 'forgotten:' || replica WHERE replica = ?1"]
    {
        tx.conn().prepare_cached(sql)?.execute([replica])?;
    }
    Ok(())
}

/// Takes away links of copies that were forgotten, [`LINKS_FORGOTTEN_AT_ONCE`] at most; whether there may be more. What waits for a decision
/// goes on waiting: the value that the app had is nowhere else any more.
///
/// # Errors
/// What SQLite says.
pub fn sweep(tx: &Tx<'_>) -> Result<bool, StoreError> {
    const LEFT: &str =
        "SELECT k.link, k.record FROM m_replica p CROSS JOIN m_link k INDEXED BY m_link_copies ON k.replica = p.replica
         WHERE p.replica < 0 AND p.identity = 'forgotten:' || p.replica AND k.replica < 0 LIMIT ?1";
    let mut statement = tx.conn().prepare_cached(LEFT)?;
    let rows = statement.query_map([LINKS_FORGOTTEN_AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let left: Vec<(i64, i64)> = rows.collect::<Result<_, _>>()?;
    let closed = if planted::is("decisions forgotten with a copy") { ", open = 0, verdict = 'resolved'" } else { "" };
    // The number of a link may be given again.
    let freed = format!("UPDATE m_conflict SET link = 0{closed} WHERE record = ?1 AND link = ?2");
    for (link, record) in &left {
        tx.conn().prepare_cached(&freed)?.execute([record, link])?;
        tx.conn().prepare_cached("DELETE FROM m_link WHERE link = ?1")?.execute([link])?;
    }
    Ok(left.len() >= LINKS_FORGOTTEN_AT_ONCE)
}

/// An app says what it keeps a copy of, and under which filters, before its first session or later. What it said before stays.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Invalid`], [`Refusal::TooLarge`]; [`Refusal::WrongState`] for another filter while a session is of that
/// copy.
pub fn register(tx: &mut Tx<'_>, app: &str, asked: &Register) -> Result<Vec<CopyRow>, StoreError> {
    let filters = filter::said(asked)?;
    for collection in named(tx, &asked.collections)? {
        let name = &collection.definition.name;
        let replica = place(tx, app, &collection)?;
        if let Some(text) = filters.get(name.as_str())
            && filter::differs(tx.conn(), replica, text.as_deref())?
        {
            if let Some(open) = open_on(tx.conn(), app, &[(replica, name.clone())])? {
                let told = format!(
                    "a session of {app} is {}, and another filter of {name} holds from the next one on",
                    open.state.name()
                );
                return Err(Refusal::WrongState(told, Some("finish or cancel it first".into())).into());
            }
            filter::set(tx, replica, text.as_deref())?;
        }
    }
    let mut rows = rows(tx.conn(), &tx.instance(), tx.definitions(), app)?;
    rows.retain(|row| asked.collections.contains(&row.collection));
    Ok(rows)
}

/// Whether another filter is asked for, and a session of the app is open: it may be one that ended, or whose connection is gone.
///
/// # Errors
/// [`Refusal::Invalid`].
pub fn registers_under(reader: &Reader<'_>, app: &str, asked: &Register) -> Result<bool, StoreError> {
    Ok(!filter::said(asked)?.is_empty() && one(reader, "app = ?1", [app])?.is_some())
}

/// The copies that are meant, by their collections' names. Of another app nobody learns here what it keeps: one that may not be forgotten
/// by who asks is as good as none.
fn meant(conn: &Connection, definitions: &Definitions, asked: &Reset) -> Result<Vec<(i64, String)>, StoreError> {
    let mut kept: Vec<(i64, String)> = conn
        .prepare_cached(
            "SELECT y.replica, c.name FROM m_copy y JOIN m_collection c ON c.collection = y.collection WHERE y.app = ?1 ORDER BY c.name",
        )?
        .query_map([&asked.app], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for name in asked.collections.iter().flatten() {
        // One that has left the configuration may have a copy all the same.
        if !kept.iter().any(|(_, other)| other == name) {
            definitions.named(name)?;
        }
    }
    kept.retain(|(_, name)| asked.collections.as_ref().is_none_or(|named| named.contains(name)));
    if !asked.own && (kept.is_empty() || kept.iter().any(|(_, name)| !asked.scope.has(name))) {
        let of = asked.collections.as_ref().map_or(String::new(), |named| format!(" of {}", named.join(", ")));
        let told = format!("{} keeps no copy{of} that you may have forgotten", asked.app);
        let hint = "`mingle app list` shows what each keeps; who may write a collection may have a copy of it forgotten";
        return Err(Refusal::NotFound(told, Some(hint.into())).into());
    }
    Ok(kept)
}

/// The session of the app, where it is of one of these copies.
fn open_on(conn: &Connection, app: &str, copies: &[(i64, String)]) -> Result<Option<Open>, StoreError> {
    let open = one(conn, "app = ?1", [app])?;
    Ok(open.filter(|open| copies.iter().any(|(replica, _)| open.replicas.contains(replica))))
}

/// Whether a session is of the copies that are meant: asked before [`reset`], for it may be one that ended, or whose connection is gone.
///
/// # Errors
/// [`Refusal::NotFound`].
pub fn resets_under(reader: &Reader<'_>, asked: &Reset) -> Result<bool, StoreError> {
    let meant = meant(reader, reader.definitions(), asked)?;
    Ok(open_on(reader, &asked.app, &meant)?.is_some())
}

/// Forgets copies of an app; of which collections.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::WrongState`] while a session is of one of them.
pub fn reset(tx: &mut Tx<'_>, asked: &Reset) -> Result<Vec<String>, StoreError> {
    let meant = meant(tx.conn(), tx.definitions(), asked)?;
    if let Some(open) = open_on(tx.conn(), &asked.app, &meant)?
        && !planted::is("copy forgotten under a session")
    {
        let told = format!("a session of {} is {}, and it is of that copy", asked.app, open.state.name());
        return Err(Refusal::WrongState(told, Some("finish or cancel it, or wait until its connection is gone".into())).into());
    }
    for (replica, _) in &meant {
        forget(tx, *replica)?;
    }
    Ok(meant.into_iter().map(|(_, name)| name).collect())
}

/// Apps that keep a copy, by name, from behind `after` on.
///
/// # Errors
/// What SQLite says.
pub fn keepers(conn: &Connection, after: &str, limit: usize) -> Result<Vec<String>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT DISTINCT app FROM m_copy WHERE app > ?1 ORDER BY app LIMIT ?2")?;
    Ok(statement.query_map(params![after, limit], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// What an app keeps a copy of, by collection.
///
/// # Errors
/// What SQLite says.
pub fn known(reader: &Reader<'_>, app: &str) -> Result<Vec<CopyRow>, StoreError> {
    rows(reader, reader.instance(), reader.definitions(), app)
}

/// Where the session of an app is, and its mode; none: it has none open.
///
/// # Errors
/// What SQLite says.
pub fn open_of(conn: &Connection, app: &str) -> Result<Option<(State, Mode)>, StoreError> {
    Ok(one(conn, "app = ?1", [app])?.map(|open| (open.state, open.mode)))
}

fn rows(conn: &Connection, instance: &str, definitions: &Definitions, app: &str) -> Result<Vec<CopyRow>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT c.name, y.collection, y.anchor IS NOT NULL, y.instance, y.owed, y.since, y.pass, y.used, y.mode, y.ended, y.filter, y.filter IS NOT y.stood
         FROM m_copy y JOIN m_collection c ON c.collection = y.collection WHERE y.app = ?1 ORDER BY c.name",
    )?;
    let mut rows = statement.query([app])?;
    let mut copies = Vec::new();
    while let Some(row) = rows.next()? {
        copies.push(copy(row, instance, definitions)?);
    }
    Ok(copies)
}

fn copy(row: &Row<'_>, instance: &str, definitions: &Definitions) -> Result<CopyRow, StoreError> {
    let (collection, number): (String, i64) = (row.get(0)?, row.get(1)?);
    let of: String = row.get(3)?;
    let known = Known {
        anchor: row.get(2)?,
        reaches: of == instance,
        replace: row.get(4)?,
        read_only: definitions.numbered(number).is_some_and(|one| one.definition.read_only),
    };
    // Alone it shares nothing, so nothing can be mixed.
    let next = negotiate(None, &[known]).unwrap_or(Mode::Slow);
    let since: Option<i64> = row.get(5)?;
    let (pass, used): (i64, i64) = (row.get(6)?, row.get(7)?);
    let (mode, ended): (Option<String>, Option<String>) = (row.get(8)?, row.get(9)?);
    let last = (pass > 0).then(|| LastSession {
        began: Timestamp::from_unix_ms(used),
        mode: mode.as_deref().and_then(Mode::of),
        ended: ended.as_deref().and_then(Ended::of),
    });
    let filter = filter::read(row.get(10)?)?.tests;
    Ok(CopyRow { collection, since: since.map(Timestamp::from_unix_ms), next, last, filter, filter_waits: row.get(11)? })
}
