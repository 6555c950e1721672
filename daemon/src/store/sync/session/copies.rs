//! Owns: which app keeps a copy of what: made, made room for, told, forgotten. Must never know: what is in a copy, who may ask.

use std::sync::Arc;

use mingle_core::{
    ask::{CopyRow, LastSession, Refusal, Reset},
    limits::COLLECTIONS_PER_QUESTION_MAX,
    planted,
    session::{Ended, Known, Mode, State, negotiate},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::one;
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
    let lowest: i64 = tx.conn().query_row("SELECT min(0, coalesce(min(replica), 0)) FROM m_replica", (), |row| row.get(0))?;
    let replica = lowest - 1;
    tx.conn().prepare_cached("INSERT INTO m_replica (replica, remote, identity) VALUES (?1, ?2, ?3)")?.execute(params![
        replica,
        format!("app:{app}"),
        format!("app:{app} {}", collection.number)
    ])?;
    tx.conn()
        .prepare_cached(
            "INSERT INTO m_copy (replica, app, collection, anchor, instance, scanned, pass, used, owed, since)
             VALUES (?1, ?2, ?3, NULL, ?4, 0, 0, ?5, 0, ?5)",
        )?
        .execute(params![replica, app, collection.number, &*tx.instance(), tx.now().unix_ms()])?;
    Ok(replica)
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
    while forget(tx, replica)? {}
    Ok(())
}

/// Forgets a copy, [`LINKS_FORGOTTEN_AT_ONCE`] of its links; whether there is more. What the app brought stays in the truth, and what waits for
/// a decision goes on waiting: the value that the app had is nowhere else any more.
fn forget(tx: &Tx<'_>, replica: i64) -> Result<bool, StoreError> {
    // Whoever comes meanwhile finds nothing to go on from, and is shown everything.
    tx.conn().prepare_cached("UPDATE m_copy SET anchor = NULL, scanned = 0 WHERE replica = ?1")?.execute([replica])?;
    let slice =
        "SELECT count(*), coalesce(max(link), 0) FROM (SELECT link FROM m_link WHERE replica = ?1 ORDER BY link LIMIT ?2)";
    let (links, last): (usize, i64) = tx
        .conn()
        .prepare_cached(slice)?
        .query_row(params![replica, LINKS_FORGOTTEN_AT_ONCE], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let closed = if planted::is("decisions forgotten with a copy") { ", open = 0, verdict = 'resolved'" } else { "" };
    for sql in [
        // The number of a link may be given again.
        &format!(
            "UPDATE m_conflict SET link = NULL{closed} WHERE link IN (SELECT link FROM m_link WHERE replica = ?1 AND link <= ?2)"
        ),
        "DELETE FROM m_link WHERE replica = ?1 AND link <= ?2",
    ] {
        tx.conn().prepare_cached(sql)?.execute([replica, last])?;
    }
    if links == LINKS_FORGOTTEN_AT_ONCE {
        return Ok(true);
    }
    for sql in ["DELETE FROM m_copy WHERE replica = ?1", "DELETE FROM m_replica WHERE replica = ?1"] {
        tx.conn().prepare_cached(sql)?.execute([replica])?;
    }
    Ok(false)
}

/// An app says what it keeps a copy of, before its first session or later. What it said before stays.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::Invalid`], [`Refusal::TooLarge`].
pub fn register(tx: &mut Tx<'_>, app: &str, collections: &[String]) -> Result<Vec<CopyRow>, StoreError> {
    for collection in named(tx, collections)? {
        place(tx, app, &collection)?;
    }
    let mut rows = rows(tx.conn(), &tx.instance(), tx.definitions(), app)?;
    rows.retain(|row| collections.contains(&row.collection));
    Ok(rows)
}

/// Forgets copies of an app, some of their links; which collections are meant, and whether there is more to forget: then the same is to be
/// asked again.
///
/// # Errors
/// [`Refusal::WrongState`] while the app has a session open, [`Refusal::NotFound`], [`Refusal::Denied`].
pub fn reset(tx: &mut Tx<'_>, asked: &Reset) -> Result<(Vec<String>, bool), StoreError> {
    if let Some(open) = one(tx.conn(), "app = ?1", [&asked.app])?
        && !planted::is("copy forgotten under a session")
    {
        let told = format!("a session of {} is {}, and it is of that copy", asked.app, open.state.name());
        return Err(Refusal::WrongState(told, Some("finish or cancel it, or wait until its connection is gone".into())).into());
    }
    let kept: Vec<(i64, String)> = tx
        .conn()
        .prepare_cached(
            "SELECT y.replica, c.name FROM m_copy y JOIN m_collection c ON c.collection = y.collection WHERE y.app = ?1 ORDER BY c.name",
        )?
        .query_map([&asked.app], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for name in asked.collections.iter().flatten() {
        // One that has left the configuration may have a copy all the same.
        if !kept.iter().any(|(_, other)| other == name) {
            tx.defined(name)?;
        }
    }
    let meant = |(_, name): &&(i64, String)| asked.collections.as_ref().is_none_or(|named| named.contains(name));
    let meant: Vec<&(i64, String)> = kept.iter().filter(meant).collect();
    if let Some((_, name)) = meant.iter().find(|(_, name)| !asked.scope.has(name)) {
        return Err(Refusal::Denied(format!(
            "the copy that {} keeps of {name} may be forgotten by who may write {name}",
            asked.app
        ))
        .into());
    }
    let names = meant.iter().map(|(_, name)| name.clone()).collect();
    for (replica, _) in meant {
        if forget(tx, *replica)? {
            return Ok((names, true));
        }
    }
    Ok((names, false))
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
        "SELECT c.name, y.collection, y.anchor IS NOT NULL, y.instance, y.owed, y.since, y.pass, y.used, y.mode, y.ended
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
    Ok(CopyRow { collection, since: since.map(Timestamp::from_unix_ms), next, last })
}
