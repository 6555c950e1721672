//! Owns: what to send: links that are behind, in seq order, each committed as sent before it leaves. Must never know: how it is sent.

use mingle_core::{
    limits,
    meeting::{Agreed, Key, Link, Sent, errand},
    planted,
    record::Props,
    replica::{Action, Errand},
    run::Planned,
};
use rusqlite::params;

use super::{Ground, Linked, Standing, frozen, link, position, present, rejection_of, unreject};
use crate::{
    json,
    store::{error::StoreError, tx::Tx},
};

/// Plans errands for links whose record's seq is higher than `after`.
pub fn plan(tx: &mut Tx<'_>, ground: &Ground, after: u64, except: &[i64]) -> Result<Planned, StoreError> {
    let unborn = link_new_records(tx, ground)?;
    let found = link::candidates(tx.conn(), ground.replica, after, limits::PLAN_LINKS_MAX)?;
    let behind: i64 = tx
        .conn()
        .prepare_cached(
            "SELECT count(*) FROM m_link INDEXED BY m_link_behind WHERE replica = ?1 AND (base <> 0 OR sent IS NOT NULL)",
        )?
        .query_row([ground.replica], |row| row.get(0))?;
    let mut planned = Planned { after, behind: link::unsigned(behind), ..Planned::default() };
    planned.more = unborn || found.len() == limits::PLAN_LINKS_MAX;
    for (seq, linked) in found {
        if planned.errands.len() >= limits::ERRANDS_MAX || planned.look.len() >= limits::ERRANDS_MAX {
            planned.more = true;
            break;
        }
        planned.after = seq;
        if except.contains(&linked.link) {
            continue;
        }
        one(tx, ground, seq, linked, &mut planned)?;
    }
    Ok(planned)
}

fn one(tx: &mut Tx<'_>, ground: &Ground, seq: u64, linked: Linked, planned: &mut Planned) -> Result<(), StoreError> {
    let was = present(tx.conn(), linked.record)?;
    let frozen = frozen(tx.conn(), linked.link)?;
    let rules = ground.rules(&frozen);
    let new_id = new_id(tx, ground, &linked, &was.held.id)?;
    let mut action = match errand::plan(&linked.state, was.props.as_ref(), new_id.as_deref(), rules) {
        errand::Need::Nothing => return Ok(()),
        errand::Need::Find => {
            planned.errands.extend(repeat(tx, ground, linked)?);
            return Ok(());
        }
        errand::Need::Look(remote_id) => {
            planned.look.push(remote_id);
            return Ok(());
        }
        errand::Need::Send(action) => action,
    };
    if let Some(standing) = rejection_of(tx.conn(), linked.link)? {
        let dropped_delete = standing.dropped_delete();
        let Standing { side, refused, verdict, .. } = standing;
        let retry = verdict.as_deref() == Some("retry");
        let same = refused.as_deref() == Some(wanted(was.props.as_ref(), ground).as_str());
        match side.as_str() {
            // Let drop, and then changed here: it is sent again.
            "delete" if dropped_delete && !same => unreject(tx, linked.link)?,
            // A guarded delete is in no patch; a row that could not be read is met before anything is sent over it.
            "delete" | "down" => return Ok(()),
            // Refused, and still the same: it stays as it is until a side changes or someone decides.
            "up" if same && !retry => return Ok(()),
            "create" if !retry => return Ok(()),
            _ => {
                if retry {
                    tx.conn().prepare_cached("UPDATE m_rejection SET verdict = NULL WHERE link = ?1")?.execute([linked.link])?;
                } else {
                    unreject(tx, linked.link)?;
                }
            }
        }
    }
    let mut state = linked.state;
    let key = new_key(tx, ground, &mut action);
    state.sent.push(Sent { seq, what: errand::sent(&action), given_up: None, looked: false, strangers: 0, key });
    if let Action::Create { remote_id: Some(id), .. } = &action {
        state.remote_id = Some(id.clone());
    }
    link::save(tx, linked.link, &state, was.props.is_some())?;
    planned.errands.push(Errand { link: linked.link, action });
    Ok(())
}

/// The carried values the truth wants at the replica, as text: what a rejection remembers as refused.
pub(super) fn wanted(truth: Option<&Props>, ground: &Ground) -> String {
    truth.map_or_else(|| "gone".into(), |truth| json::write(&ground.abilities.carried.of(truth)))
}

/// The id a new record shall have at a remote that takes ids: the record's own where it is valid there and free, else a UUIDv7.
fn new_id(tx: &mut Tx<'_>, ground: &Ground, linked: &Linked, id: &str) -> Result<Option<String>, StoreError> {
    let Some(rule) = &ground.abilities.client_ids else { return Ok(None) };
    if linked.state.agreed != Agreed::Gone {
        return Ok(None);
    }
    if rule.takes(id) && !link::taken(tx.conn(), ground.replica, id, linked.link)? {
        return Ok(Some(id.into()));
    }
    let plain = tx.uuid7();
    // Where not even a UUID is a good id there, the digits of one are cut to measure.
    let mut fitted: String = if rule.takes(&plain) { plain } else { plain.chars().filter(char::is_ascii_alphanumeric).collect() };
    if fitted.len() > rule.max {
        fitted = fitted.split_off(fitted.len() - rule.max);
    }
    Ok(rule.takes(&fitted).then_some(fitted))
}

/// The key a create without an id of ours goes out under, where the remote takes keys. Another one for each create that is planned:
/// made of what is sent, it would bring back the refusal that somebody has just mended.
fn new_key(tx: &mut Tx<'_>, ground: &Ground, action: &mut Action) -> Option<Key> {
    let (Some(kept), Action::Create { remote_id: None, key, .. }) = (ground.abilities.key_kept, action) else { return None };
    let text = tx.uuid7();
    *key = Some(text.clone());
    Some(Key { text, made: tx.now(), until: tx.now().plus(kept) })
}

/// The create whose answer is outstanding, once more, if the remote still knows its key.
fn repeat(tx: &Tx<'_>, ground: &Ground, mut linked: Linked) -> Result<Option<Errand>, StoreError> {
    if ground.abilities.key_kept.is_none() {
        return Ok(None);
    }
    let truth = present(tx.conn(), linked.record)?.props;
    let Some(mut action) = errand::repeat(&linked.state, truth.as_ref(), tx.now()) else { return Ok(None) };
    if planted::is("key made anew at each repeat")
        && let Action::Create { key: Some(key), .. } = &mut action
    {
        *key = format!("{}{key}", tx.now().unix_ms());
    }
    // It had left before: that it does not leave now changes nothing.
    for sent in &mut linked.state.sent {
        sent.given_up.get_or_insert(tx.now());
    }
    link::save(tx, linked.link, &linked.state, true)?;
    Ok(Some(Errand { link: linked.link, action }))
}

/// Creates whose answers are outstanding, as they are repeated before anything is listed: their rows would be strangers.
pub(super) fn repeats(tx: &Tx<'_>, ground: &Ground) -> Result<Vec<Errand>, StoreError> {
    let mut errands = Vec::new();
    if ground.abilities.key_kept.is_some() {
        for linked in link::open_creates(tx.conn(), ground.replica)? {
            errands.extend(repeat(tx, ground, linked)?);
            if errands.len() == limits::ERRANDS_MAX {
                break;
            }
        }
    }
    Ok(errands)
}

/// Keys mean nothing in another history of the remote.
pub(super) fn forget_keys(tx: &Tx<'_>, ground: &Ground) -> Result<(), StoreError> {
    for mut linked in link::open_creates(tx.conn(), ground.replica)? {
        for sent in &mut linked.state.sent {
            sent.key = None;
        }
        link::save(tx, linked.link, &linked.state, true)?;
    }
    Ok(())
}

/// Gives records that never had a link at any remote one at this replica: they are to be created there. Says whether more wait.
fn link_new_records(tx: &mut Tx<'_>, ground: &Ground) -> Result<bool, StoreError> {
    let scanned = position::load(tx.conn(), &ground.spec.name)?.unwrap_or_default().up_scanned;
    let elsewhere = if planted::is("record linked elsewhere created") {
        "SELECT 1 FROM m_link l WHERE l.record = r.record AND l.replica = ?2"
    } else {
        "SELECT 1 FROM m_link l WHERE l.record = r.record"
    };
    let found: Vec<(i64, i64)> = tx
        .conn()
        .prepare_cached(&format!(
            "SELECT r.record, r.seq FROM m_record r WHERE r.collection = ?1 AND r.seq > ?3 AND r.state = 0
               AND NOT EXISTS ({elsewhere}) AND ?2 = ?2 ORDER BY r.seq LIMIT ?4"
        ))?
        .query_map(params![ground.collection, ground.replica, link::signed(scanned), limits::PLAN_LINKS_MAX as i64], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for (record, _) in &found {
        link::insert(tx, ground.replica, *record, &Link::unborn(), true, 0)?;
    }
    let more = found.len() == limits::PLAN_LINKS_MAX;
    let to = if more { found.last().map_or(scanned, |(_, seq)| link::unsigned(*seq)) } else { tx.seq() };
    if to != scanned {
        tx.conn()
            .prepare_cached("UPDATE m_sync SET up_scanned = ?2 WHERE name = ?1")?
            .execute(params![ground.spec.name, link::signed(to)])?;
    }
    Ok(more)
}
