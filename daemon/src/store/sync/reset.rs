//! Owns: a reset in the store: that it is under way, over stops and ends of the process; what is not sent recorded and taken away; its end.
//! Must never know: when one begins, who asks, the file's copy.

use std::collections::BTreeSet;

use mingle_core::{
    meeting::{Agreed, Link},
    mingle::{Clash, Verdict, alike_at},
    path,
    pending::roll_back,
    planted,
    policy::Policy,
    record::{Props, Value, names},
    run::{
        Creates,
        reset::{How, Over, Reset, Why},
    },
};
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{
    Ground,
    abroad::known_by_now,
    link::{self, Linked},
    pending::{Place, behind, with_rules},
    position, present,
    rollback::put_back,
};
use crate::{
    json,
    store::{
        children::{self, referring},
        conflicts,
        error::StoreError,
        limits,
        record::{self, Held, State},
        tx::Tx,
    },
};

/// A reset that is under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Under {
    pub reset: Reset,
    /// Somebody asked for it, and nothing of it is done.
    pub waits: bool,
    /// What is not sent up to this seq has yet to go.
    pub discard: Option<u64>,
    /// The place of another account, whose records go.
    pub former: Option<i64>,
    /// Something went to which others that stayed were bound: they are looked at once more.
    pub again: bool,
    /// What it came to so far.
    pub over: Over,
}

/// As kept in `m_sync.reset`.
#[derive(Serialize, Deserialize)]
struct Row {
    how: String,
    why: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    copy: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    waits: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    discard: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    former: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    again: bool,
    discarded: u64,
    conflicts: u64,
}

impl Under {
    /// One that begins.
    pub(super) fn new(reset: Reset, discard: Option<u64>) -> Self {
        Self { reset, waits: false, discard, former: None, again: false, over: Over::default() }
    }

    /// None: it does not read. Then everything is compared, and the configuration decides.
    pub(super) fn read(text: &str) -> Option<Self> {
        let row: Row = serde_json::from_str(text).ok()?;
        let (how, why) = (How::parse(&row.how)?, Why::parse(&row.why)?);
        let over = Over { discarded: row.discarded, conflicts: row.conflicts };
        let reset = Reset { how, why, copy: row.copy };
        Some(Self { reset, waits: row.waits, discard: row.discard, former: row.former, again: row.again, over })
    }

    fn text(&self) -> Result<String, StoreError> {
        let row = Row {
            how: self.reset.how.word().into(),
            why: self.reset.why.word().into(),
            copy: self.reset.copy.clone(),
            waits: self.waits,
            discard: self.discard,
            former: self.former,
            again: self.again,
            discarded: self.over.discarded,
            conflicts: self.over.conflicts,
        };
        serde_json::to_string(&row).map_err(link::damaged)
    }
}

/// Whether `m_sync.reset` reads.
pub fn reads_as_reset(text: &str) -> bool {
    Under::read(text).is_some()
}

/// Reads `m_run.reset`.
#[must_use]
pub fn of_run(text: &str) -> Option<Reset> {
    Under::read(text).map(|under| under.reset)
}

/// Somebody says what becomes of what is here. Once a run has begun with it, their word holds whatever ends that run: until a reset is over,
/// or the run is cancelled.
pub(super) fn asked(tx: &Tx<'_>, sync: &str, how: How) -> Result<(), StoreError> {
    let reset = Reset { how, why: Why::Asked, copy: None };
    let text = Under { waits: true, ..Under::new(reset, None) }.text()?;
    tx.conn()
        .prepare_cached(
            "INSERT INTO m_sync (name, pass, up_scanned, reset) VALUES (?1, 0, 0, ?2) ON CONFLICT (name) DO UPDATE SET reset = ?2",
        )?
        .execute(params![sync, text])?;
    Ok(())
}

/// A run is cancelled: what was asked for and has not begun is taken back with it.
pub(super) fn taken_back(tx: &Tx<'_>, sync: &str) -> Result<(), StoreError> {
    let waits = position::load(tx.conn(), sync)?.and_then(|at| at.reset).is_some_and(|under| under.waits);
    if waits { save(tx, sync, None) } else { Ok(()) }
}

/// The reset of a sync that was cut off, or that somebody asked for, if there is one.
pub(super) fn cut_off(at: &mut position::Position) -> Option<Under> {
    at.reset.take().filter(|_| !planted::is("strategy forgotten when cut off"))
}

/// Writes down what is under way; none: nothing is.
pub(super) fn save(tx: &Tx<'_>, sync: &str, under: Option<&Under>) -> Result<(), StoreError> {
    let text = under.map(Under::text).transpose()?;
    tx.conn().prepare_cached("UPDATE m_sync SET reset = ?2 WHERE name = ?1")?.execute(params![sync, text])?;
    Ok(())
}

/// The run is one of this reset.
pub(super) fn note_run(tx: &Tx<'_>, run: &str, reset: &Reset) -> Result<(), StoreError> {
    let text = Under::new(reset.clone(), None).text()?;
    tx.conn().prepare_cached("UPDATE m_run SET reset = ?2 WHERE id = ?1")?.execute(params![run, text])?;
    Ok(())
}

/// What links know of another history of the remote. Nothing of it is believed any more; what was agreed still tells what was edited here
/// since. `discard`: the remote's state is taken anyway, and what was agreed tells what is absent there now.
pub(super) fn former(tx: &Tx<'_>, replica: i64, discard: bool) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            // What was forgotten here stays so as long as it shows what was agreed, whatever its revision is called there.
            "UPDATE m_link SET base = iif(forgotten OR ?2, base, 3), revision = NULL, left_revs = NULL, modified = NULL
             FROM (SELECT k.link AS of, r.state = 2 AS forgotten FROM m_link k JOIN m_record r ON r.record = k.record
                   WHERE k.replica = ?1 AND k.remote_id IS NOT NULL)
             WHERE link = of",
        )?
        .execute(params![replica, discard])?;
    Ok(())
}

/// Counts conflicts that the listing of a reset recorded.
pub(super) fn clashed(tx: &Tx<'_>, ground: &Ground, conflicts: u64) -> Result<(), StoreError> {
    if conflicts == 0 || ground.reset.is_none() {
        return Ok(());
    }
    let at = position::load(tx.conn(), &ground.spec.name)?.unwrap_or_default();
    if let Some(mut under) = at.reset {
        under.over.conflicts += conflicts;
        save(tx, &ground.spec.name, Some(&under))?;
    }
    Ok(())
}

/// The listing is whole: nothing is under way any more. What it came to, if something was.
pub(super) fn ends(tx: &Tx<'_>, sync: &str) -> Result<Option<Over>, StoreError> {
    let at = position::load(tx.conn(), sync)?.unwrap_or_default();
    if at.reset.is_some() {
        save(tx, sync, None)?;
    }
    Ok(at.reset.map(|under| under.over))
}

/// What one transaction of discarding did.
#[derive(Debug, Default)]
pub struct Discarded {
    /// Where it goes on; none: nothing is left.
    pub after: Option<u64>,
    /// Conflicts recorded.
    pub conflicts: u64,
    /// Records that changed here.
    pub changed: u64,
}

/// Records what is not sent, of records with higher seqs than `after` up to `until`, and gives them what was agreed: a record that was never
/// there goes. Left as they are: what was sent and not answered, which the listing tells; what was never compared, which meets the remote's
/// word; what waits for another decision first; a new record that others name which stay.
pub fn discard(tx: &mut Tx<'_>, ground: &Ground, after: u64, until: u64) -> Result<Discarded, StoreError> {
    let mut done = Discarded::default();
    let at = position::load(tx.conn(), &ground.spec.name)?.unwrap_or_default();
    let Some(mut under) = at.reset else { return Ok(done) };
    let place = Place {
        sync: ground.spec.name.clone(),
        remote: ground.spec.remote.clone(),
        collection: ground.spec.collection.clone(),
        replica: under.former.or(Some(ground.replica)),
        carried: ground.abilities.carried.clone(),
        up_only: false,
        // A record that another remote has is not this one's to take away.
        creates: Creates::Unlinked,
    };
    let (records, end) = behind(tx.conn(), &place, ground.collection, after, limits::DISCARDED_AT_ONCE)?;
    for (_, record, linked) in records.into_iter().filter(|(seq, ..)| *seq <= until) {
        let held = present(tx.conn(), record)?.held;
        let conflicts = one(tx, ground, &place, &held, linked)?;
        if conflicts > 0 {
            under.over.discarded += 1;
            under.again |= !ground.spec.policy.references.is_empty();
            done.conflicts += conflicts;
            done.changed += 1;
        }
    }
    done.after = end.filter(|end| *end < until);
    if done.after.is_none() && std::mem::take(&mut under.again) {
        done.after = Some(0);
    }
    if let (None, Some(former)) = (done.after, under.former) {
        done.after = leave(tx, ground, former, &mut under, &mut done)?.then_some(until);
    }
    if done.after.is_none() {
        under.discard = None;
        under.former = None;
    }
    under.over.conflicts += done.conflicts;
    save(tx, &ground.spec.name, Some(&under))?;
    Ok(done)
}

/// One record; the conflicts recorded, none: it stays as it is.
fn one(tx: &mut Tx<'_>, ground: &Ground, place: &Place, held: &Held, linked: Option<Linked>) -> Result<u64, StoreError> {
    let policy = &ground.spec.policy;
    let truth = held.props()?;
    let unborn = Link::unborn();
    let state = linked.as_ref().map_or(&unborn, |linked| &linked.state);
    // What an open conflict is about goes with the rest: the truth's side of it was not sent.
    let Ok(new) = with_rules(place, policy, &BTreeSet::new(), |rules| roll_back(state, truth.as_ref(), rules)) else {
        return Ok(0);
    };
    let waits = linked.as_ref().map(|linked| super::rejection_of(tx.conn(), linked.link)).transpose()?.flatten();
    let differs = match (&truth, &new) {
        (Some(truth), Some(new)) => !changed(truth, new, policy).is_empty(),
        (None, None) => false,
        _ => true,
    };
    if held.state == State::Forgotten || !differs || waits.is_some_and(|standing| standing.side != "up") {
        return Ok(0);
    }
    let number = linked.as_ref().map(|linked| linked.link);
    let mut new = new;
    if let Some(new) = &mut new {
        known_by_now(tx.conn(), &place.remote, &policy.references, new)?;
    } else if is_elsewhere(tx, held, number)? || is_named(tx, ground, held)? || children::may_be_deleted(tx, held).is_err() {
        return Ok(0);
    }
    let text = new.as_ref().map(json::write);
    if text.as_ref().is_some_and(|text| text.len() > limits::RECORD_BYTES_MAX) {
        return Ok(0);
    }
    let agreed = match state.agreed {
        Agreed::Gone => None,
        _ => new.clone(),
    };
    // What was open was about a value that goes with the rest, and is recorded with it.
    tx.conn()
        .prepare_cached("UPDATE m_conflict SET open = 0, verdict = 'discarded' WHERE link = ?1 AND open = 1")?
        .execute([number])?;
    let seq = put_back(tx, place, policy, held, linked, text.as_deref(), &ground.origin)?;
    let clashes = clashes(truth.as_ref(), new.as_ref(), agreed.as_ref(), policy);
    if planted::is("discard without a record") {
        return Ok(clashes.len() as u64);
    }
    for clash in &clashes {
        conflicts::record(tx, held, number, &place.remote, clash, Some(held.seq), seq)?;
    }
    Ok(clashes.len() as u64)
}

/// Records that only another account had leave here, and are deleted nowhere. What was sent to it and not answered is recorded: nobody will
/// find out. Whether more are left.
fn leave(tx: &mut Tx<'_>, ground: &Ground, former: i64, under: &mut Under, done: &mut Discarded) -> Result<bool, StoreError> {
    let records: Vec<i64> = tx
        .conn()
        .prepare_cached(&format!("SELECT k.record {ONLY_THERE} ORDER BY k.record LIMIT ?2"))?
        .query_map(params![former, limits::DISCARDED_AT_ONCE as i64], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for record in &records {
        let was = present(tx.conn(), *record)?;
        let linked = link::of_record(tx.conn(), former, *record)?;
        if let (Some(linked), Some(truth)) = (linked.as_ref().filter(|linked| !linked.state.sent.is_empty()), &was.props) {
            let agreed = if let Agreed::Own(agreed) = &linked.state.agreed { Some(agreed) } else { None };
            for clash in &clashes(Some(truth), None, agreed, &ground.spec.policy) {
                conflicts::record(
                    tx,
                    &was.held,
                    Some(linked.link),
                    &ground.spec.remote,
                    clash,
                    Some(was.held.seq),
                    was.held.seq,
                )?;
                done.conflicts += 1;
            }
            under.over.discarded += 1;
        }
        record::forget(tx, &was.held, &ground.origin)?;
        done.changed += 1;
    }
    // What that account refused, or showed and could not be read, is no question any more.
    tx.conn()
        .prepare_cached("DELETE FROM m_rejection WHERE sync = ?1 AND replica = ?2")?
        .execute(params![ground.spec.name, former])?;
    Ok(records.len() >= limits::DISCARDED_AT_ONCE)
}

/// Live records of a place that no other remote has, as SQL.
const ONLY_THERE: &str = "FROM m_link k JOIN m_record r ON r.record = k.record
    WHERE k.replica = ?1 AND r.state = 0
      AND NOT EXISTS (SELECT 1 FROM m_link l WHERE l.record = k.record AND l.replica > 0 AND l.replica <> k.replica)";

/// The place that a sync spoke to with other credentials, and how many records of it are here that the present one does not have; none:
/// it is the same account, or another place, or nothing of it is here.
pub(super) fn another_account(
    tx: &Tx<'_>,
    identity: &str,
    replica: i64,
    spoken_to: Option<i64>,
) -> Result<Option<(i64, u64)>, StoreError> {
    let Some(former) = spoken_to.filter(|former| *former != replica) else { return Ok(None) };
    let was: String =
        tx.conn().prepare_cached("SELECT identity FROM m_replica WHERE replica = ?1")?.query_row([former], |row| row.get(0))?;
    if !same_but_for_account(&was, identity) {
        return Ok(None);
    }
    let records: i64 =
        tx.conn().prepare_cached(&format!("SELECT count(*) {ONLY_THERE}"))?.query_row([former], |row| row.get(0))?;
    Ok((records > 0).then(|| (former, link::unsigned(records))))
}

/// What makes a replica this one: remote, address, account, resource, collection. A remote may have another name than before.
fn same_but_for_account(one: &str, other: &str) -> bool {
    let parts = |identity: &str| -> Option<[String; 5]> {
        let parts: Vec<String> = identity.split('\u{1f}').map(str::to_owned).collect();
        parts.try_into().ok()
    };
    let (Some([_, url, account, resource, collection]), Some(other)) = (parts(one), parts(other)) else { return false };
    [&url, &resource, &collection] == [&other[1], &other[3], &other[4]] && account != other[2]
}

/// Whether another remote has a record, or is to have it.
fn is_elsewhere(tx: &Tx<'_>, held: &Held, link: Option<i64>) -> Result<bool, StoreError> {
    let mut asked = tx.conn().prepare_cached("SELECT 1 FROM m_link WHERE record = ?1 AND replica > 0 AND link IS NOT ?2")?;
    Ok(asked.exists(params![held.record, link])?)
}

/// Whether a live record refers to this one.
fn is_named(tx: &Tx<'_>, ground: &Ground, held: &Held) -> Result<bool, StoreError> {
    let id = Value::Text(held.id.clone());
    for (child, property, _) in tx.definitions().referring_to(&ground.spec.collection) {
        if referring(tx.conn(), child, property, &id, 2)?.iter().any(|record| *record != held.record) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The properties in which two records differ.
fn changed<'a>(truth: &'a Props, new: &'a Props, policy: &Policy) -> Vec<&'a str> {
    let called = |name: &str| if policy.nested { path::join(None, name) } else { name.to_owned() };
    let differs = |name: &&str| !alike_at(&called(name), truth.get(*name), new.get(*name), policy);
    names(truth, new).into_iter().filter(differs).collect()
}

/// What is lost, as it is recorded.
fn clashes(truth: Option<&Props>, new: Option<&Props>, agreed: Option<&Props>, policy: &Policy) -> Vec<Clash> {
    let verdict = Verdict::Discarded;
    let (Some(truth), Some(new)) = (truth, new) else {
        let whole = |props: Option<&Props>| props.cloned().map(Value::Map);
        return vec![Clash { property: None, agreed: whole(agreed), truth: whole(truth), theirs: whole(new), verdict }];
    };
    let one = |name: &str| Clash {
        property: Some(if policy.nested { path::join(None, name) } else { name.to_owned() }),
        agreed: new.get(name).cloned(),
        truth: truth.get(name).cloned(),
        theirs: new.get(name).cloned(),
        verdict,
    };
    changed(truth, new, policy).into_iter().map(one).collect()
}

#[cfg(test)]
mod tests;
