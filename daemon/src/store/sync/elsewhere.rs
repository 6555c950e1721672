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

/// Keeps the place of a record at its home, which makes it there when it runs.
pub(super) fn keep_place(tx: &mut Tx<'_>, home: &Home, record: i64) -> Result<(), StoreError> {
    if planted::is("no place kept at home") {
        return Ok(());
    }
    let replica = begin::replica(tx, &home.remote, &home.identity)?;
    tx.conn()
        .prepare_cached(
            "INSERT INTO m_sync (name, replica, pass, up_scanned) VALUES (?1, ?2, 0, 0) ON CONFLICT (name) DO NOTHING",
        )?
        .execute(params![home.sync, replica])?;
    link::insert(tx, replica, record, &Link::unborn(), true, 0)?;
    Ok(())
}

/// Whether a row of this replica may be a record: that has no place here yet, and, where this is a remote, none at another whose records
/// are not its own.
pub(super) fn may_be(tx: &Tx<'_>, ground: &Ground, record: i64) -> Result<bool, StoreError> {
    let others = &ground.spec.others;
    let mirrors = if planted::is("mirror knows nobody") { &[][..] } else { &others.mirrors[..] };
    let all = others.mirror && !planted::is("mirror knows nobody");
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

/// The properties of a record whose value another remote brought, or has taken as it is here; none of one that no other has.
pub(super) fn foreign(conn: &Connection, ground: &Ground, held: &Held) -> Result<BTreeSet<String>, StoreError> {
    let taken: Option<u64> = conn
        .prepare_cached(
            "SELECT max(confirmed) FROM m_link WHERE record = ?1 AND replica > 0 AND replica <> ?2 AND remote_id IS NOT NULL",
        )?
        .query_row(params![held.record, ground.replica], |row| row.get(0))?;
    let Some(taken) = taken else { return Ok(BTreeSet::new()) };
    // Several syncs may serve this replica, under whatever name.
    let mut serves = conn.prepare_cached("SELECT 1 FROM m_sync WHERE name = ?1 AND replica = ?2")?;
    let mut foreign = BTreeSet::new();
    for (name, (seq, origin)) in ledger::origins(conn, held)? {
        let brought = match origin {
            Origin::Sync(sync) => sync != ground.spec.name && !serves.exists(params![sync, ground.replica])?,
            Origin::App(_) => false,
        };
        if brought || seq <= taken {
            foreign.insert(name);
        }
    }
    Ok(foreign)
}
