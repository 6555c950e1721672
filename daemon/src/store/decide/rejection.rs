//! Owns: what a decision about a rejection does. Must never know: who decides, how runs go.

use mingle_core::{
    ask::{Refusal, Resolution, Writer, Written, WrittenOne},
    record::Props,
};
use rusqlite::OptionalExtension;

use super::once;
use crate::{
    json,
    store::{
        error::StoreError,
        record::{self, Held, State},
        sync::has_another,
        tx::{Origin, Tx},
    },
};

/// Decides a rejection. What sends or fetches something is done by the next run; the rest here. [`Written::writes`] names the
/// record, where there is one.
///
/// # Errors
/// `not_found`, `unsupported` (a row that made no record can only be retried or dropped), and those of an op.
pub fn resolve_rejection(tx: &mut Tx<'_>, writer: &Writer, rejection: &str, with: Resolution) -> Result<Written, StoreError> {
    let request = format!("rejection.resolve {rejection:?} {with:?}");
    once(tx, writer, &request, |tx, origin| {
        let found = find(tx, rejection)?;
        let held = found.record.map(|record| record::by_row(tx.conn(), record)).transpose()?.flatten();
        match with {
            Resolution::Retry => verdict(tx, rejection, "retry")?,
            Resolution::Drop => verdict(tx, rejection, "drop")?,
            Resolution::Recreate => recreate(tx, &found, held.as_ref())?,
            Resolution::Rollback => roll_back(tx, &found, held.as_ref(), origin)?,
        }
        if matches!(with, Resolution::Recreate | Resolution::Rollback) {
            tx.conn().prepare_cached("DELETE FROM m_rejection WHERE id = ?1")?.execute([rejection])?;
        }
        let Some(held) = held else { return Ok(None) };
        tx.touch(held.collection, origin);
        let seq = record::by_row(tx.conn(), held.record)?.map_or(held.seq, |now| now.seq);
        Ok(Some((held.record, WrittenOne { id: held.id, seq })))
    })
}

/// What a decision needs of a rejection's row, and of its link.
struct Row {
    side: String,
    record: Option<i64>,
    refused: Option<String>,
    link: Option<Link>,
}

struct Link {
    link: i64,
    replica: i64,
    remote_id: Option<String>,
    base: i64,
    agreed: Option<String>,
}

fn find(tx: &Tx<'_>, rejection: &str) -> Result<Row, StoreError> {
    let mut statement = tx.conn().prepare_cached("SELECT side, record, refused, link FROM m_rejection WHERE id = ?1")?;
    let found = statement
        .query_row([rejection], |row| {
            Ok((Row { side: row.get(0)?, record: row.get(1)?, refused: row.get(2)?, link: None }, row.get::<_, Option<i64>>(3)?))
        })
        .optional()?;
    let Some((mut row, link)) = found else {
        return Err(Refusal::NotFound(
            format!("no rejection {rejection:?}"),
            Some("`mingle rejection list` shows those that stand".into()),
        )
        .into());
    };
    if let Some(link) = link {
        let mut statement =
            tx.conn().prepare_cached("SELECT link, replica, remote_id, base, agreed FROM m_link WHERE link = ?1")?;
        row.link = statement
            .query_row([link], |row| {
                Ok(Link {
                    link: row.get(0)?,
                    replica: row.get(1)?,
                    remote_id: row.get(2)?,
                    base: row.get(3)?,
                    agreed: row.get(4)?,
                })
            })
            .optional()?;
    }
    Ok(row)
}

fn verdict(tx: &Tx<'_>, rejection: &str, verdict: &str) -> Result<(), StoreError> {
    tx.conn().prepare_cached("UPDATE m_rejection SET verdict = ?2 WHERE id = ?1")?.execute((rejection, verdict))?;
    Ok(())
}

fn no_record(what: &str) -> Refusal {
    Refusal::Unsupported(format!("the row made no record here, so there is nothing to {what}; retry or drop it"))
}

/// Forgets the remote id: the next run makes the record anew.
fn recreate(tx: &Tx<'_>, row: &Row, held: Option<&Held>) -> Result<(), StoreError> {
    let (Some(link), Some(_)) = (&row.link, held) else { return Err(no_record("make anew").into()) };
    sever(tx, link)
}

/// The link's replica has nothing (any more); a row under the former id still belongs to the link.
fn sever(tx: &Tx<'_>, link: &Link) -> Result<(), StoreError> {
    if let Some(remote_id) = &link.remote_id {
        tx.conn().prepare_cached("INSERT OR REPLACE INTO m_former (replica, remote_id, link) VALUES (?1, ?2, ?3)")?.execute((
            link.replica,
            remote_id,
            link.link,
        ))?;
    }
    tx.conn()
        .prepare_cached(
            "UPDATE m_link SET remote_id = NULL, revision = NULL, sent = NULL, base = 2, agreed = NULL WHERE link = ?1",
        )?
        .execute([link.link])?;
    Ok(())
}

/// The truth becomes what the remote has.
fn roll_back(tx: &mut Tx<'_>, row: &Row, held: Option<&Held>, origin: &Origin) -> Result<(), StoreError> {
    let (Some(link), Some(held)) = (&row.link, held) else { return Err(no_record("roll back").into()) };
    let new = if row.side == "up" { remembered(link, held, row.refused.as_deref())? } else { None };
    // What this remote alone did not take would be deleted at the others.
    if new.is_none() && ["up", "create"].contains(&row.side.as_str()) && has_another(tx.conn(), held.record, link.replica)? {
        let told = format!("another remote has {:?}, where it would be deleted", held.id);
        return Err(Refusal::WrongState(told, Some("drop leaves it as it is at each".into())).into());
    }
    match row.side.as_str() {
        // A guarded delete: the remote has nothing.
        "delete" => {
            record::change(tx, held, None, origin)?;
            sever(tx, link)
        }
        // Whether the create was done cannot be told; the record goes here, and what the remote may have is met as a new row.
        "create" => {
            record::change(tx, held, None, origin)?;
            sever(tx, link)
        }
        "up" => {
            record::change(tx, held, new.as_ref().map(json::write).as_deref(), origin)?;
            Ok(())
        }
        _ => Err(Refusal::Unsupported(
            "what the remote has could not be applied, so there is nothing to roll back to; retry or drop it".into(),
        )
        .into()),
    }
}

/// The record with what the replica last had in the place of what it refused. What it does not carry stays.
fn remembered(link: &Link, held: &Held, refused: Option<&str>) -> Result<Option<Props>, StoreError> {
    let now = held.props()?;
    match (link.base, &link.agreed) {
        // It has what we have.
        (0, _) => Ok(now),
        (2, _) => Ok(None),
        (1, Some(agreed)) => {
            let agreed = record::props(agreed)?;
            let Some(mut props) = now.filter(|_| held.state == State::Live) else { return Ok(Some(agreed)) };
            // What was refused is told by its values; where it was no object, it was the record's end.
            for name in refused.and_then(|text| json::parse_object(text).ok()).unwrap_or_default().into_keys() {
                props.remove(&name);
            }
            props.extend(agreed);
            Ok(Some(props))
        }
        _ => Err(Refusal::Unsupported("what the remote has was not read yet; run the sync once, then decide".into()).into()),
    }
}
