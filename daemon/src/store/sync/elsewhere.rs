//! Owns: which records that are, or are not, at other remotes a sync makes at its own, or takes for its own. Must never know: rows, how a
//! record is made.
//!
//! A record is made at a remote only if it never had a link at any, or by a mirror (design: "Several remotes on one collection"). So that it
//! makes no difference which of them runs first, a mirror that meets a record which nobody has keeps its place at its home.

use std::collections::BTreeSet;

use mingle_core::{meeting::Link, planted, run::Creates};
use rusqlite::{Connection, params};

use super::{Ground, Home, begin, link};
use crate::store::{
    error::StoreError,
    ledger,
    record::Held,
    tx::{Origin, Tx},
};

/// As SQL over a record `r`, with the name of the sync as `?1`: it has no link at the sync's replica, and is to have one.
pub(in crate::store) fn makes(creates: Creates) -> &'static str {
    match creates {
        Creates::Never => "0",
        Creates::Unlinked if !planted::is("record linked elsewhere created") => {
            "NOT EXISTS (SELECT 1 FROM m_link l WHERE l.record = r.record AND l.replica > 0)"
        }
        Creates::Unlinked | Creates::All => {
            "NOT EXISTS (SELECT 1 FROM m_link l WHERE l.record = r.record
               AND l.replica = (SELECT s.replica FROM m_sync s WHERE s.name = ?1))"
        }
    }
}

/// As SQL, with the name of the sync as `?1`: up to which seq it has looked at records for what it makes now. One that made others looks at
/// all of them.
pub(in crate::store) fn scanned(creates: Creates) -> String {
    format!("coalesce((SELECT s.up_scanned FROM m_sync s WHERE s.name = ?1 AND s.creates = '{}'), 0)", creates.name())
}

/// Keeps the place of a record at its home, which makes it there when it runs.
pub(super) fn keep_place(tx: &mut Tx<'_>, home: &Home, record: i64) -> Result<(), StoreError> {
    if planted::is("no place kept at home") {
        return Ok(());
    }
    let replica = begin::replica(tx, &home.remote, &home.identity)?;
    tx.conn()
        .prepare_cached(
            "INSERT INTO m_sync (name, replica, pass, up_scanned) VALUES (?1, ?2, 0, 0)
             ON CONFLICT (name) DO UPDATE SET replica = excluded.replica WHERE m_sync.replica IS NULL",
        )?
        .execute(params![home.sync, replica])?;
    link::insert(tx, replica, record, &Link::unborn(), true, 0)?;
    Ok(())
}

/// A link of a replica that never was anything: nothing was sent, and nothing was ever there.
fn never_was() -> String {
    let been = link::HAS_BEEN;
    format!("k.replica = ?1 AND (k.base <> 0 OR k.sent IS NOT NULL) AND k.base = 2 AND k.sent IS NULL AND NOT {been}")
}

/// Takes the places of its collection that were kept at a replica which no sync speaks to any more to the one that this sync speaks to, without
/// what stands against them: what was to be made there is to be made here. What somebody let drop, and what may have been made there, stays.
pub(super) fn take_places_along(tx: &Tx<'_>, ground: &Ground, from: i64) -> Result<(), StoreError> {
    let spoken_to = tx.conn().prepare_cached("SELECT 1 FROM m_sync WHERE replica = ?1")?.exists([from])?;
    if !ground.spec.direction.sends() || spoken_to {
        return Ok(());
    }
    let never_was = never_was();
    let links = format!(
        "SELECT k.link FROM m_link k INDEXED BY m_link_behind JOIN m_record r ON r.record = k.record AND r.collection = ?2
         WHERE {never_was} AND NOT EXISTS (SELECT 1 FROM m_rejection j WHERE j.link = k.link AND (j.verdict IS 'drop' OR j.side = 'create'))"
    );
    // Which those are is told by what stands against them, too.
    let links: Vec<i64> = tx
        .conn()
        .prepare_cached(&links)?
        .query_map(params![from, ground.collection], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for link in links {
        let moved = tx
            .conn()
            .prepare_cached("UPDATE OR IGNORE m_link SET replica = ?2 WHERE link = ?1")?
            .execute(params![link, ground.replica])?;
        if moved > 0 {
            tx.conn().prepare_cached("DELETE FROM m_rejection WHERE link = ?1")?.execute([link])?;
        }
    }
    Ok(())
}

/// Notes what a sync makes, and looks at all records where that is another than before. One that is a mirror no more does not make what it was
/// to make of others' records, unless another sync of that replica is to.
pub(super) fn makes_now(tx: &Tx<'_>, ground: &Ground) -> Result<(), StoreError> {
    let (name, now) = (&ground.spec.name, ground.spec.creates.name());
    let was: String =
        tx.conn().prepare_cached("SELECT creates FROM m_sync WHERE name = ?1")?.query_row([name], |row| row.get(0))?;
    if was == now {
        return Ok(());
    }
    tx.conn().prepare_cached("UPDATE m_sync SET creates = ?2, up_scanned = 0 WHERE name = ?1")?.execute(params![name, now])?;
    let mirrors = tx
        .conn()
        .prepare_cached("SELECT 1 FROM m_sync WHERE replica = ?1 AND creates = ?2")?
        .exists(params![ground.replica, Creates::All.name()])?;
    let was_one = was == Creates::All.name() || planted::is("who never was a mirror is one no more");
    if was_one && !mirrors { is_mirror_no_more(tx, ground.replica) } else { Ok(()) }
}

fn is_mirror_no_more(tx: &Tx<'_>, replica: i64) -> Result<(), StoreError> {
    let never_was = never_was();
    let links = format!(
        "SELECT k.link FROM m_link k INDEXED BY m_link_behind WHERE {never_was}
           AND EXISTS (SELECT 1 FROM m_link o WHERE o.record = k.record AND o.replica > 0 AND o.link <> k.link)"
    );
    for sql in ["DELETE FROM m_rejection WHERE link IN", "DELETE FROM m_link WHERE link IN"] {
        tx.conn().prepare_cached(&format!("{sql} ({links})"))?.execute([replica])?;
    }
    Ok(())
}

/// Whether a remote other than this one has a record, as far as we know; one that was spoken to last under another address has it no more.
pub(in crate::store) fn has_another(conn: &Connection, record: i64, but: i64) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT 1 FROM m_link WHERE record = ?1 AND replica > 0 AND replica <> ?2 AND remote_id IS NOT NULL
               AND (base <> 2 OR sent IS NOT NULL) AND replica IN (SELECT s.replica FROM m_sync s)",
        )?
        .exists(params![record, but])?)
}

/// Whether a row of this replica may be a record that its own id tells: that has no place here yet, and none at any other remote.
pub(super) fn may_be(tx: &Tx<'_>, ground: &Ground, record: i64) -> Result<bool, StoreError> {
    free(tx, ground, record, false, &[])
}

/// Whether a row of this replica may be a record that its identity tells: that has no place here yet, and, where this is a remote, none at
/// another whose records are not its own.
pub(super) fn may_be_known(tx: &Tx<'_>, ground: &Ground, record: i64) -> Result<bool, StoreError> {
    if planted::is("mirror knows nobody") {
        return may_be(tx, ground, record);
    }
    let others = &ground.spec.others;
    free(tx, ground, record, others.mirror, &others.mirrors)
}

fn free(tx: &Tx<'_>, ground: &Ground, record: i64, all: bool, mirrors: &[String]) -> Result<bool, StoreError> {
    let mirrors = serde_json::to_string(mirrors).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let linked: bool = tx
        .conn()
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM m_link l WHERE l.record = ?1 AND l.replica = ?2
               AND (l.remote_id IS NOT NULL OR EXISTS (SELECT 1 FROM m_former f WHERE f.link = l.link)))
             OR (?2 > 0 AND NOT ?3 AND EXISTS (SELECT 1 FROM m_link l JOIN m_replica p USING (replica)
               WHERE l.record = ?1 AND l.replica > 0 AND l.replica <> ?2 AND l.remote_id IS NOT NULL
                 AND p.identity NOT IN (SELECT value FROM json_each(?4))))",
        )?
        .query_row(params![record, ground.replica, all, mirrors], |row| row.get(0))?;
    Ok(!linked)
}

/// Whether another link than this one says that a remote has a record, or is to have it.
pub(super) fn is_for_another(conn: &Connection, record: i64, but: Option<i64>) -> Result<bool, StoreError> {
    Ok(conn
        .prepare_cached(
            "SELECT 1 FROM m_link WHERE record = ?1 AND replica > 0 AND link IS NOT ?2
               AND (remote_id IS NOT NULL OR base <> 0 OR sent IS NOT NULL)",
        )?
        .exists(params![record, but])?)
}

/// Whether a change was brought from another replica than this one of a sync. Several syncs may serve one.
pub(super) fn is_brought(conn: &Connection, own: &str, replica: i64, origin: &Origin) -> Result<bool, StoreError> {
    let Origin::Sync(sync) = origin else { return Ok(false) };
    if sync == own {
        return Ok(false);
    }
    let mut serves = conn.prepare_cached("SELECT 1 FROM m_sync WHERE name = ?1 AND replica = ?2")?;
    Ok(!serves.exists(params![sync, replica])?)
}

/// The properties of a record whose value another replica brought than this one of a sync, or has taken as it is here; none of one that no
/// other has.
pub(super) fn foreign(conn: &Connection, own: &str, replica: i64, held: &Held) -> Result<BTreeSet<String>, StoreError> {
    let taken: Option<u64> = conn
        .prepare_cached(
            "SELECT max(confirmed) FROM m_link WHERE record = ?1 AND replica > 0 AND replica <> ?2 AND remote_id IS NOT NULL",
        )?
        .query_row(params![held.record, replica], |row| row.get(0))?;
    let Some(taken) = taken else { return Ok(BTreeSet::new()) };
    let mut foreign = BTreeSet::new();
    for (name, (seq, origin)) in ledger::origins(conn, held)? {
        if seq <= taken || is_brought(conn, own, replica, &origin)? {
            foreign.insert(name);
        }
    }
    Ok(foreign)
}
