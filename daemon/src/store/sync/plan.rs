//! Owns: what to send: links that are behind, in seq order, each committed as sent before it leaves. Must never know: how it is sent.

use mingle_core::{
    limits,
    meeting::{Agreed, Key, Link, Sent, errand},
    pending::stands,
    planted,
    record::{Carried, Props},
    replica::{Action, Errand},
    run::Planned,
};
use rusqlite::params;

use super::{
    Ground, Linked, abroad::Atlas, elsewhere, family, family::Going, frozen, link, nothing_is_kept_back, position, present,
    rejection_of, twins, unreject,
};
use crate::{
    json,
    store::{deferred, error::StoreError, limits::PLAN_SEQS_MAX, record::State, tx::Tx},
};

/// Records that are made one in one transaction: each may take thousands along that refer to it.
const JOINED_MAX: u64 = 64;

/// Plans errands for links whose record's seq is higher than `after`.
pub fn plan(tx: &mut Tx<'_>, ground: &Ground, after: u64, except: &[i64]) -> Result<Planned, StoreError> {
    let looked = link_new_records(tx, ground)?;
    let found = link::candidates(tx.conn(), ground.replica, after, limits::PLAN_LINKS_MAX)?;
    let behind: i64 = tx
        .conn()
        .prepare_cached(
            "SELECT count(*) FROM m_link INDEXED BY m_link_behind WHERE replica = ?1 AND (base <> 0 OR sent IS NOT NULL)",
        )?
        .query_row([ground.replica], |row| row.get(0))?;
    let mut planned = Planned { after, behind: link::unsigned(behind), ..Planned::default() };
    planned.more = looked.is_some() || found.len() == limits::PLAN_LINKS_MAX;
    let mut joined = false;
    for (seq, mut linked) in found {
        // Those that are new behind it have no link yet, and their turn is by seq.
        if looked.is_some_and(|looked| seq > looked) {
            break;
        }
        let full = |count: usize| count >= limits::ERRANDS_MAX;
        if full(planned.errands.len()) || full(planned.look.len()) || planned.again >= JOINED_MAX {
            planned.more = true;
            break;
        }
        planned.after = seq;
        if except.contains(&linked.link) {
            continue;
        }
        if joined {
            // What was read of it before may be of a record that is another now.
            let Some(anew) = link::by_number(tx.conn(), linked.link)? else { continue };
            linked = anew;
        }
        joined |= one(tx, ground, seq, linked, &mut planned)?;
    }
    Ok(planned)
}

/// Plans for one link. Whether records were made one by that.
fn one(tx: &mut Tx<'_>, ground: &Ground, seq: u64, mut linked: Linked, planned: &mut Planned) -> Result<bool, StoreError> {
    let was = present(tx.conn(), linked.record)?;
    if let Some(atlas) = Atlas::of(tx.conn(), ground)? {
        atlas.resolve(tx.conn(), &mut linked.state)?;
    }
    let frozen = frozen(tx.conn(), linked.link)?;
    let rules = ground.rules(&frozen);
    let new_id = new_id(tx, ground, &linked, &was.held.id)?;
    // What left here without being deleted is no business of the remote's.
    if was.held.state == State::Forgotten && !planted::is("forgotten is deleted there") {
        return Ok(false);
    }
    let action = match errand::plan(&linked.state, was.props.as_ref(), new_id.as_deref(), rules) {
        errand::Need::Nothing => {
            // Whoever marked it has taken the change back by hand.
            nothing_is_kept_back(tx, &linked)?;
            return Ok(false);
        }
        errand::Need::Find => {
            planned.errands.extend(repeat(tx, ground, linked)?);
            return Ok(false);
        }
        errand::Need::Look(remote_id) => {
            planned.look.push(remote_id);
            return Ok(false);
        }
        errand::Need::Send(_) if deferred::is(tx.conn(), linked.record)? => return Ok(false),
        errand::Need::Send(action) => action,
    };
    if tells(ground, &action) {
        let proof = twins::prove(tx, ground, linked.record, None)?;
        if proof.joined > 0 || (proof.waits && matches!(action, Action::Create { .. })) {
            planned.again += proof.joined;
            planned.waits += u64::from(proof.waits);
            return Ok(proof.joined > 0);
        }
    }
    let Some(Going { here: action, mut there, partly }) = family::may_go(tx, ground, &was.held, &linked.state.agreed, action)?
    else {
        planned.waits += 1;
        return Ok(false);
    };
    if let Some(standing) = rejection_of(tx.conn(), linked.link)? {
        let same = standing.refused.as_deref() == Some(wanted(was.props.as_ref(), &ground.abilities.carried).as_str());
        if stands(&standing.side, standing.verdict.as_deref(), same) {
            return Ok(false);
        }
        if standing.verdict.as_deref() == Some("retry") {
            tx.conn().prepare_cached("UPDATE m_rejection SET verdict = NULL WHERE link = ?1")?.execute([linked.link])?;
        } else {
            unreject(tx, linked.link)?;
        }
    }
    let mut state = linked.state;
    let before = state.remote_id.clone();
    let key = new_key(tx, ground, &mut there);
    // What goes in part confirms no state of the record.
    let seq = if partly { 0 } else { seq };
    state.sent.push(Sent {
        seq,
        what: errand::sent(&action),
        given_up: None,
        looked: false,
        strangers: 0,
        key,
        run: Some(ground.run.clone()),
    });
    if let Action::Create { remote_id: Some(id), .. } = &action {
        state.remote_id = Some(id.clone());
    }
    link::save(tx, linked.link, &state, was.props.is_some())?;
    if ground.has_family() && state.remote_id != before {
        family::named(tx, ground, linked.link, &was.held, before.as_deref(), &state)?;
    }
    planned.errands.push(Errand { link: linked.link, action: there });
    Ok(false)
}

/// Whether an action may tell that a record is one with another: it makes it there, or changes what it is known by.
fn tells(ground: &Ground, action: &Action) -> bool {
    let identity = &ground.spec.policy.identity;
    match action {
        Action::Create { .. } => true,
        Action::Update { patch, .. } => identity.iter().flatten().any(|name| patch.contains_key(name)),
        Action::Delete { .. } => false,
    }
}

/// The carried values the truth wants at the replica, as text: what a rejection remembers as refused.
pub(super) fn wanted(truth: Option<&Props>, carried: &Carried) -> String {
    truth.map_or_else(|| "gone".into(), |truth| json::write(&carried.of(truth)))
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
    if let Some(atlas) = Atlas::of(tx.conn(), ground)?
        && !atlas.leave_again(tx.conn(), &mut action)?
    {
        return Ok(None);
    }
    if planted::is("key made anew at each repeat")
        && let Action::Create { key: Some(key), .. } = &mut action
    {
        *key = format!("{}{key}", tx.now().unix_ms());
    }
    // It had left before, and may arrive by this request alone: what it did shows after that. (Schedule 74839 took the first request's
    // moment for it, and a record was made twice.)
    for sent in &mut linked.state.sent {
        if !planted::is("doubt as old as its first request") {
            sent.given_up = Some(tx.now());
        }
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

/// Gives records that are to be made at this replica a link there. Looks at [`PLAN_SEQS_MAX`] seqs at once, since apps wait meanwhile, and
/// says up to which, where there are more.
fn link_new_records(tx: &mut Tx<'_>, ground: &Ground) -> Result<Option<u64>, StoreError> {
    let scanned = position::load(tx.conn(), &ground.spec.name)?.unwrap_or_default().up_scanned;
    let end = tx.seq().min(scanned + PLAN_SEQS_MAX);
    let found: Vec<(i64, i64)> = tx
        .conn()
        .prepare_cached(&format!(
            "SELECT r.record, r.seq FROM m_record r WHERE r.collection = ?2 AND r.seq > ?3 AND r.seq <= ?5 AND r.state = 0
               AND {} AND ?1 = ?1 ORDER BY r.seq LIMIT ?4",
            elsewhere::makes(ground.spec.creates)
        ))?
        .query_map(
            params![ground.spec.name, ground.collection, link::signed(scanned), limits::PLAN_LINKS_MAX as i64, link::signed(end)],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?
        .collect::<Result<_, _>>()?;
    for (record, _) in &found {
        if let Some(home) = &ground.spec.others.home
            && !link::linked_to_a_remote(tx.conn(), *record)?
        {
            elsewhere::keep_place(tx, home, *record)?;
        }
        link::insert(tx, ground.replica, *record, &Link::unborn(), true, 0)?;
    }
    let full = found.len() == limits::PLAN_LINKS_MAX;
    let to = if full { found.last().map_or(end, |(_, seq)| link::unsigned(*seq)) } else { end };
    if to != scanned {
        tx.conn()
            .prepare_cached("UPDATE m_sync SET up_scanned = ?2 WHERE name = ?1")?
            .execute(params![ground.spec.name, link::signed(to)])?;
    }
    Ok((to < tx.seq()).then_some(to))
}

#[cfg(test)]
mod tests;
