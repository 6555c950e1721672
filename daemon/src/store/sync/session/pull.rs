//! Owns: showing an app what it lacks, in pages. Must never know: what the app does with it.

use std::collections::BTreeSet;

use mingle_core::{
    ask::{ChangeKind, Pulled, PulledOne, Refusal, Speaker},
    filter::Filter,
    limits,
    meeting::Agreed,
    planted,
    session::{
        Call,
        copy::{Lack, lacks},
    },
};
use rusqlite::params;

use super::{Open, filter, find, ground_of, step};
use crate::{
    json,
    store::{
        error::StoreError,
        feed::OVERHEAD,
        limits::PAGE_BYTES_MAX,
        reader::Reader,
        sync::{
            frozen,
            link::{self, Linked},
            present,
        },
        tx::Tx,
    },
};

/// A page of what the app lacks and has not taken yet, at most `limit` records, from where the cursor says; and the links of those
/// whose coming or leaving it is shown for the first time, by their place in the page. They are to be noted ([`note`]) before it is
/// answered.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::WrongState`], [`Refusal::Invalid`].
pub fn pull(
    reader: &Reader<'_>,
    who: &Speaker,
    session: &str,
    cursor: Option<&str>,
    limit: usize,
) -> Result<(Pulled, Vec<(usize, i64)>), StoreError> {
    let open = find(reader, who, session)?;
    step(&open, Call::Pull)?;
    let (first, mut after) = cursor.map_or(Ok((0, 0)), |cursor| parse(cursor, &open))?;
    let mut pulled = Pulled::default();
    let mut bytes = 0;
    let mut first_time = Vec::new();
    let at_once = limit.clamp(64, limits::PLAN_LINKS_MAX);
    for (at, replica) in open.replicas.iter().enumerate().skip(first) {
        let filter = filter::of(reader, *replica)?;
        loop {
            let found = link::candidates(reader, *replica, after, at_once)?;
            let whole = found.len() < at_once;
            for (seq, linked) in found {
                if let Some(one) = one(reader, &open, *replica, &filter, seq, &linked)? {
                    bytes += one.data.as_ref().map_or(0, String::len) + one.id.len() + OVERHEAD;
                    if pulled.records.len() >= limit || (bytes > PAGE_BYTES_MAX && !pulled.records.is_empty()) {
                        pulled.cursor = Some(format!("{at}.{after}"));
                        return Ok((pulled, first_time));
                    }
                    let comes = linked.state.agreed == Agreed::Gone;
                    let leaves = one.kind == ChangeKind::Deleted && !linked.missing;
                    if (comes || leaves) && !planted::is("shown not noted") {
                        first_time.push((pulled.records.len(), linked.link));
                    }
                    pulled.records.push(one);
                }
                after = seq;
            }
            if whole {
                break;
            }
        }
        after = 0;
    }
    Ok((pulled, first_time))
}

/// Notes records that an app is shown for the first time, and the ids under which: from here on it may have them. Where the record's own
/// id is that of another record of this app, it is shown under a new one. And those that it is told to leave: it may have them no more.
///
/// # Errors
/// What SQLite says.
pub fn note(tx: &mut Tx<'_>, mut pulled: Pulled, first_time: &[(usize, i64)]) -> Result<Pulled, StoreError> {
    let mut gone = BTreeSet::new();
    for (place, link) in first_time {
        let Some(one) = pulled.records.get_mut(*place) else { continue };
        let Some(linked) = link::by_number(tx.conn(), *link)? else {
            // It was purged in between.
            gone.insert(*place);
            continue;
        };
        if one.kind == ChangeKind::Deleted {
            tx.conn().prepare_cached("UPDATE m_link SET missing = 1 WHERE link = ?1")?.execute([link])?;
            continue;
        }
        if linked.state.agreed != Agreed::Gone {
            // Another page with it was noted in between: it has its id here.
            one.id = linked.state.remote_id.unwrap_or_else(|| one.id.clone());
            continue;
        }
        let replica: i64 =
            tx.conn().prepare_cached("SELECT replica FROM m_link WHERE link = ?1")?.query_row([link], |row| row.get(0))?;
        if linked.state.remote_id.is_none() && link::taken(tx.conn(), replica, &one.id, *link)? {
            one.id = tx.uuid7();
        }
        tx.conn()
            .prepare_cached("UPDATE m_link SET base = 3, agreed = NULL, remote_id = ?2, missing = 0 WHERE link = ?1")?
            .execute(params![link, one.id])?;
        tx.conn().prepare_cached("DELETE FROM m_former WHERE link = ?1 AND remote_id = ?2")?.execute(params![link, one.id])?;
    }
    let mut place = 0;
    pulled.records.retain(|_| {
        place += 1;
        !gone.contains(&(place - 1))
    });
    Ok(pulled)
}

/// Whether a session can be pulled at all: asked before anybody is waited for.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::WrongState`].
pub fn pulls(reader: &Reader<'_>, who: &Speaker, session: &str) -> Result<(), StoreError> {
    step(&find(reader, who, session)?, Call::Pull)?;
    Ok(())
}

fn parse(cursor: &str, open: &Open) -> Result<(usize, u64), Refusal> {
    let read = cursor.split_once('.').and_then(|(at, after)| Some((at.parse().ok()?, after.parse().ok()?)));
    read.filter(|(at, _)| *at < open.replicas.len()).ok_or_else(|| {
        Refusal::Invalid("this is no cursor of this session".into(), Some("leave it out to begin with the first page".into()))
    })
}

fn one(
    reader: &Reader<'_>,
    open: &Open,
    replica: i64,
    filter: &Filter,
    seq: u64,
    linked: &Linked,
) -> Result<Option<PulledOne>, StoreError> {
    if seq <= linked.state.confirmed {
        return Ok(None);
    }
    let taken = reader
        .prepare_cached("SELECT 1 FROM m_take WHERE session = ?1 AND link = ?2")?
        .exists(params![open.session, linked.link])?;
    let was = present(reader, linked.record)?;
    let Some(collection) = reader.definitions().numbered(was.held.collection).filter(|_| !taken) else { return Ok(None) };
    let ground = ground_of(&open.app, open.mode, replica, collection);
    let frozen = frozen(reader, linked.link)?;
    // For this app what does not fit is not there.
    let fitting = was.props.filter(|props| filter.fits(props));
    let mut state = linked.state.clone();
    if linked.missing && fitting.is_some() {
        // It was told to leave it, and may have done so; now it is to have it.
        state.agreed = Agreed::Unknown;
    }
    let (kind, data) = match lacks(&state, fitting.as_ref(), seq, ground.rules(&frozen)) {
        None => return Ok(None),
        Some(Lack::Made(props)) => (ChangeKind::Created, Some(json::write(&props))),
        Some(Lack::Changed(props)) => (ChangeKind::Updated, Some(json::write(&props))),
        Some(Lack::Gone) => (ChangeKind::Deleted, None),
    };
    let id = linked.state.remote_id.clone().unwrap_or(was.held.id);
    Ok(Some(PulledOne { collection: collection.definition.name.clone(), id, kind, seq, data }))
}
