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
    Ground, SyncSpec,
    abroad::known_by_now,
    elsewhere,
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
        ledger, limits,
        record::{Held, State},
        tx::Tx,
    },
};

pub(super) use account::another_account;

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
    /// The one that was under way when somebody asked for this one, as long as it waits.
    pub beneath: Option<Box<Self>>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beneath: Option<Box<Self>>,
}

impl Under {
    /// One that begins.
    pub(super) fn new(reset: Reset, discard: Option<u64>) -> Self {
        Self { reset, waits: false, discard, former: None, again: false, over: Over::default(), beneath: None }
    }

    /// One that begins where another (if any) was cut off, at this seq. `left`: the account that the sync speaks for no more; `sends`: what is
    /// not sent can be taken away. What the other came to is counted on, and where it was not said to keep them, the records of an account
    /// that it was to take away go on leaving. Only a person's word covers what was written since the other began.
    pub(super) fn after(before: Option<Self>, reset: Reset, left: Option<i64>, sends: bool, seq: u64) -> Self {
        let asked = reset.why != Why::Epoch;
        let discards = reset.how == How::Discard;
        let (open, over, leaving) = before.map_or((None, Over::default(), None), |it| (it.discard, it.over, it.former));
        let former = left.filter(|_| discards).or(leaving.filter(|_| discards || !asked));
        let until = if asked { seq } else { open.unwrap_or(seq) };
        let discard = ((discards && sends) || former.is_some()).then_some(until);
        Self { former, over, ..Self::new(reset, discard) }
    }

    /// The same where this replica is spoken to: an account that is spoken to again is not taken away.
    pub(super) fn at(self, replica: i64) -> Self {
        if self.former != Some(replica) || planted::is("an account that is back is taken away") {
            return self;
        }
        Self { former: None, discard: None, ..self }
    }

    /// How a reset goes on that was cut off, where nobody says otherwise. A person's word covers the history that it was said about, and none
    /// that comes after; none: the configuration decides.
    pub(super) fn how(&self, moved: bool) -> Option<How> {
        let covers = !moved || self.reset.why == Why::Epoch || planted::is("a word covers every history to come");
        covers.then_some(self.reset.how)
    }

    /// None: it does not read. Then everything is compared, and the configuration decides.
    pub(super) fn read(text: &str) -> Option<Self> {
        Self::of(serde_json::from_str(text).ok()?)
    }

    fn of(row: Row) -> Option<Self> {
        let (how, why) = (How::parse(&row.how)?, Why::parse(&row.why)?);
        Some(Self {
            reset: Reset { how, why, copy: row.copy },
            waits: row.waits,
            discard: row.discard,
            former: row.former,
            again: row.again,
            over: Over { discarded: row.discarded, conflicts: row.conflicts },
            // Never deeper than one: a word that waits takes the place of one that waits.
            beneath: row.beneath.and_then(|row| Self::of(*row)).map(Box::new),
        })
    }

    fn row(&self) -> Row {
        Row {
            how: self.reset.how.word().into(),
            why: self.reset.why.word().into(),
            copy: self.reset.copy.clone(),
            waits: self.waits,
            discard: self.discard,
            former: self.former,
            again: self.again,
            discarded: self.over.discarded,
            conflicts: self.over.conflicts,
            beneath: self.beneath.as_ref().map(|under| Box::new(under.row())),
        }
    }

    fn text(&self) -> Result<String, StoreError> {
        serde_json::to_string(&self.row()).map_err(link::damaged)
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
    let beneath = match position::load(tx.conn(), sync)?.and_then(|at| at.reset) {
        Some(wish) if wish.waits => wish.beneath,
        _ if planted::is("a second word forgets the reset under way") => None,
        under => under.map(Box::new),
    };
    let text = Under { waits: true, beneath, ..Under::new(reset, None) }.text()?;
    tx.conn()
        .prepare_cached(
            "INSERT INTO m_sync (name, pass, up_scanned, reset) VALUES (?1, 0, 0, ?2) ON CONFLICT (name) DO UPDATE SET reset = ?2",
        )?
        .execute(params![sync, text])?;
    Ok(())
}

/// A run is cancelled: what was asked for and has not begun is taken back with it, and what was under way before is so again.
pub(super) fn taken_back(tx: &Tx<'_>, sync: &str) -> Result<(), StoreError> {
    let wish = position::load(tx.conn(), sync)?.and_then(|at| at.reset).filter(|under| under.waits);
    wish.map_or(Ok(()), |wish| save(tx, sync, wish.beneath.as_deref()))
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
        // A record that another sync makes is not this one's to take away.
        creates: makes(&ground.spec),
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
        done.after = account::leave(tx, ground, &place, (former, until), &mut under, &mut done)?.then_some(until);
    }
    if done.after.is_none() {
        under.discard = None;
        under.former = None;
    }
    under.over.conflicts += done.conflicts;
    save(tx, &ground.spec.name, Some(&under))?;
    Ok(done)
}

/// Which new records would be made by this sync: by that it is told which are its own.
fn makes(spec: &SyncSpec) -> Creates {
    if planted::is("discard of what another sync makes") {
        return Creates::Unlinked;
    }
    if !spec.direction.sends() || spec.others.home.is_some() { Creates::Never } else { spec.creates }
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
    if is_of_another(tx, ground, place, held, truth.as_ref(), new.as_ref())? {
        return Ok(0);
    }
    let number = linked.as_ref().map(|linked| linked.link);
    let mut new = new;
    if let Some(new) = &mut new {
        known_by_now(tx.conn(), &place.remote, &policy.references, new)?;
    } else if elsewhere::is_for_another(tx.conn(), held.record, number)?
        || is_named(tx, ground, held)?
        || children::may_be_deleted(tx, held).is_err()
    {
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

/// Whether what would be taken back is what another remote brought, or has taken: to take it back here would take it back there.
fn is_of_another(
    tx: &Tx<'_>,
    ground: &Ground,
    place: &Place,
    held: &Held,
    truth: Option<&Props>,
    new: Option<&Props>,
) -> Result<bool, StoreError> {
    if planted::is("discard takes back what another remote has") {
        return Ok(false);
    }
    let replica = place.replica.unwrap_or(ground.replica);
    // Of what ended, another's link has nothing left to show but that it knows.
    let mut taken = tx.conn().prepare_cached(
        "SELECT 1 FROM m_link WHERE record = ?1 AND replica > 0 AND replica <> ?2 AND confirmed >= ?3
           AND (?4 OR remote_id IS NOT NULL OR base IN (0, 1))",
    )?;
    if taken.exists(params![held.record, replica, link::signed(held.seq), truth.is_none()])? {
        return Ok(true);
    }
    match (truth, new) {
        (Some(truth), Some(new)) => {
            let foreign = elsewhere::foreign(tx.conn(), &ground.spec.name, replica, held)?;
            Ok(changed(truth, new, &ground.spec.policy).into_iter().any(|name| foreign.contains(name)))
        }
        (None, Some(_)) => match ledger::origin(tx.conn(), held.seq)? {
            Some(origin) => elsewhere::is_brought(tx.conn(), &ground.spec.name, replica, &origin),
            None => Ok(false),
        },
        _ => Ok(false),
    }
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

mod account;
#[cfg(test)]
mod tests;
