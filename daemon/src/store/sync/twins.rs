//! Owns: two records that prove to be one: told by their identity, made one, the older of which stays. Must never know: rows, who has the
//! id of the one that goes ([`alias`](crate::store::alias)).
//!
//! What two remotes brought apart, because nothing told that it is the same, is told later: a property comes, or a mirror is about to make
//! what it has. Two that one remote has both are two, whatever they are called.

use std::collections::BTreeSet;

use mingle_core::{
    meeting::Agreed,
    mingle::{Base, Clash, Mingled, Sides, Stamps, Verdict, alike, mingle},
    planted,
    policy::{Merge, Policy},
    record::{Carried, Props, Value, same},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Ground, Linked, Present, abroad, link, present, unlinked};
use crate::{
    json,
    store::{
        alias, children, conflicts, deferred,
        error::StoreError,
        ledger,
        limits::{CHILDREN_MAX, RECORD_BYTES_MAX},
        record::{self, Held, State},
        tx::Tx,
    },
};

/// Of more records of one identity than this nothing tells which of them are one.
const TWINS_MAX: usize = 8;
/// Records that are looked at for it: more that share the first property of an identity are no sign of anything, and cost a look each.
const LOOKED_AT_MAX: usize = 256;

/// What a look at a record came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Proof {
    /// Records that are another's alias now.
    pub joined: u64,
    /// What clashed between them.
    pub conflicts: u64,
    /// It is one with another, and something under way has to be settled first.
    pub waits: bool,
}

impl Proof {
    /// Adds it to what a run did.
    pub fn count(self, changed: &mut u64, conflicts: &mut u64) {
        *changed += self.joined;
        *conflicts += self.conflicts;
    }
}

/// Whether records of this place may prove to be others' at all.
fn may(ground: &Ground) -> bool {
    let others = &ground.spec.others;
    ground.replica > 0 && !ground.spec.policy.identity.is_empty() && (others.mirror || !others.mirrors.is_empty())
}

/// Looks whether a record is one with others, where what it is known by is no more what it was. `was`: its properties before; none: it
/// is looked at in any case.
///
/// # Errors
/// What SQLite says.
pub(super) fn prove(tx: &mut Tx<'_>, ground: &Ground, record: i64, was: Option<&Props>) -> Result<Proof, StoreError> {
    if !may(ground) || planted::is("twins stay two") {
        return Ok(Proof::default());
    }
    let Some(held) = record::by_row(tx.conn(), record)?.filter(|held| held.state == State::Live) else {
        return Ok(Proof::default());
    };
    let Some(props) = held.props()? else { return Ok(Proof::default()) };
    let policy = &ground.spec.policy;
    let moved = |name: &String| was.is_none_or(|was| !same(was.get(name), props.get(name), policy.likeness(name)));
    if !policy.identity.iter().flatten().any(moved) {
        return Ok(Proof::default());
    }
    for identity in &policy.identity {
        match unlinked::known_by(tx, ground, &props, identity, (TWINS_MAX + 1, LOOKED_AT_MAX), |_| Ok(true))? {
            None => break,
            Some(known) if known.len() > 1 => return join(tx, ground, &known, identity),
            Some(_) => {}
        }
    }
    Ok(Proof::default())
}

/// A remote calls a record that was to be made by the id of another that it has: whether the two are one, which they are where what they are
/// known by is the same, or all that the remote keeps. (A service that gives the id of what was deleted there to what is made next says the
/// same of two that are not.)
///
/// # Errors
/// What SQLite says.
pub(super) fn answered(tx: &mut Tx<'_>, ground: &Ground, made: &Linked, remote_id: &str) -> Result<Proof, StoreError> {
    let none = Proof::default();
    let Some(other) = link::by_remote_id(tx.conn(), ground.replica, remote_id)? else { return Ok(none) };
    let (one, two) = (present(tx.conn(), made.record)?, present(tx.conn(), other.record)?);
    let (Some(ours), Some(theirs)) = (&one.props, &two.props) else { return Ok(none) };
    let policy = &ground.spec.policy;
    let carried = &ground.abilities.carried;
    let known = |identity: &Vec<String>| unlinked::tell_the_same(policy, identity, ours, theirs);
    let the_same = policy.identity.iter().any(known) || alike(ours, theirs, carried, policy);
    let only_sent = made.state.agreed == Agreed::Gone && abroad::last_former(tx.conn(), ground.replica, made.link)?.is_none();
    if other.state.remote_id.as_deref() != Some(remote_id) || !the_same || !only_sent || planted::is("twins stay two") {
        return Ok(none);
    }
    let mut places = [Places::of(tx.conn(), ground, made.record)?, Places::of(tx.conn(), ground, other.record)?];
    places[0].at.remove(&ground.replica);
    // What is under way of it is the request that this answers.
    let under_way = places[1].under_way || link::is_sent_elsewhere(tx.conn(), made.record, ground.replica)?;
    if under_way || !places[0].at.is_disjoint(&places[1].at) {
        return Ok(none);
    }
    let (stays, goes) = if one.held.first < two.held.first { (one.held, two.held) } else { (two.held, one.held) };
    Ok(match self::one(tx, ground, &stays, &goes)? {
        Joined::Clashing(conflicts) => Proof { joined: 1, conflicts, waits: false },
        Joined::Waits | Joined::No => none,
    })
}

/// Makes one of these records, if all of them are, known by this alternative. None that counts for more may tell any two of them apart.
fn join(tx: &mut Tx<'_>, ground: &Ground, known: &[i64], by: &[String]) -> Result<Proof, StoreError> {
    let mut proof = Proof::default();
    if known.len() > TWINS_MAX {
        return Ok(proof);
    }
    let policy = &ground.spec.policy;
    let (mut all, mut looked) = (Vec::with_capacity(known.len()), Vec::with_capacity(known.len()));
    for record in known {
        let Present { held, props: Some(props) } = present(tx.conn(), *record)? else { return Ok(proof) };
        looked.push((Places::of(tx.conn(), ground, *record)?, props));
        all.push(held);
    }
    let before = || policy.identity.iter().take_while(|identity| *identity != by);
    let are_one = |(at, one): (usize, &(Places, Props))| {
        let told_apart =
            |other: &(Places, Props)| before().any(|identity| unlinked::tell_apart(policy, identity, &one.1, &other.1));
        looked[at + 1..].iter().all(|other| one.0.may_be(&other.0) && !told_apart(other))
    };
    if !looked.iter().enumerate().all(are_one) {
        return Ok(proof);
    }
    if looked.iter().any(|(places, _)| places.under_way) {
        proof.waits = true;
        return Ok(proof);
    }
    all.sort_by_key(|held| held.first);
    if planted::is("the younger one stays") {
        all.reverse();
    }
    let mut all = all.into_iter();
    let Some(mut stays) = all.next() else { return Ok(proof) };
    for goes in all {
        // One that names the one before it has another reference now.
        let goes = record::by_row(tx.conn(), goes.record)?.unwrap_or(goes);
        match one(tx, ground, &stays, &goes)? {
            Joined::No => continue,
            Joined::Waits => proof.waits = true,
            Joined::Clashing(clashes) => {
                proof.joined += 1;
                proof.conflicts += clashes;
            }
        }
        stays = record::by_row(tx.conn(), stays.record)?.unwrap_or(stays);
    }
    Ok(proof)
}

/// Where remotes have a record.
struct Places {
    /// The replicas where it is, or was.
    at: BTreeSet<i64>,
    /// Some remote has it.
    anywhere: bool,
    /// All of them may have records that others have.
    mirrors: bool,
    /// A request about it is not settled, or a conflict of it is open.
    under_way: bool,
}

impl Places {
    fn of(conn: &Connection, ground: &Ground, record: i64) -> Result<Self, StoreError> {
        let others = &ground.spec.others;
        let mut places = Self { at: BTreeSet::new(), anywhere: false, mirrors: true, under_way: false };
        let mut statement = conn.prepare_cached(&format!(
            "SELECT k.replica, p.identity, k.remote_id IS NOT NULL,
               {} AND k.replica IN (SELECT s.replica FROM m_sync s)
                 OR EXISTS (SELECT 1 FROM m_conflict c INDEXED BY m_conflict_open WHERE c.link = k.link AND c.open = 1),
               k.sent IS NOT NULL OR {}
             FROM m_link k JOIN m_record r USING (record) JOIN m_replica p USING (replica) WHERE k.record = ?1 AND k.replica > 0",
            link::under_way(),
            link::HAS_BEEN
        ))?;
        let mut rows = statement.query([record])?;
        while let Some(row) = rows.next()? {
            let (replica, identity): (i64, String) = (row.get(0)?, row.get(1)?);
            let (has, under_way, was): (bool, bool, bool) = (row.get(2)?, row.get(3)?, row.get(4)?);
            places.under_way |= under_way;
            if was {
                places.at.insert(replica);
                let own = others.mirror && identity == ground.spec.identity;
                places.mirrors &= own || others.mirrors.contains(&identity);
            }
            places.anywhere |= has;
        }
        Ok(places)
    }

    /// Whether the record there may be the one here: no remote has both, and wherever one of them is, it may be another's.
    fn may_be(&self, other: &Self) -> bool {
        let two_at_one = !self.at.is_disjoint(&other.at) && !planted::is("two of one remote are one");
        self.anywhere && other.anywhere && !two_at_one && (self.mirrors || other.mirrors)
    }
}

/// What came of two records that are one.
enum Joined {
    /// They are one, and so much clashed.
    Clashing(u64),
    /// They are to be, once what waits has been sent.
    Waits,
    /// They cannot be.
    No,
}

/// Makes one of two records: what the younger has meets what the older has, like a row of which nothing is known; its places are the
/// older's from now on, and so is its id.
fn one(tx: &mut Tx<'_>, ground: &Ground, stays: &Held, goes: &Held) -> Result<Joined, StoreError> {
    let (Some(ours), Some(theirs), Some(their_data)) = (stays.props()?, goes.props()?, goes.data.as_deref()) else {
        return Ok(Joined::No);
    };
    let (mut merged, clashes) = meet(tx, ground, (stays, &ours), (goes, &theirs))?;
    // What a person is to decide is what the remotes have: nothing that one of them has not been told yet.
    let policy = &ground.spec.policy;
    let open = clashes.iter().any(|clash| clash.verdict == Verdict::Open);
    if open && (is_unsent(tx.conn(), policy, stays, &ours)? || is_unsent(tx.conn(), policy, goes, &theirs)?) {
        return Ok(Joined::Waits);
    }
    for (property, reference) in &policy.references {
        if reference.collection == ground.spec.collection {
            alias::replace(&mut merged, property, &Value::Text(goes.id.clone()), &Value::Text(stays.id.clone()));
        }
    }
    let text = json::write(&merged);
    let children = children_of(tx, &ground.spec.collection, &goes.id)?;
    if text.len() > RECORD_BYTES_MAX || children.len() > CHILDREN_MAX {
        return Ok(Joined::No);
    }
    let seq = match record::change_to(tx, stays, &text, &merged, &ground.origin)? {
        // It has everything; that it is the other one too is news of it all the same.
        seq if seq == stays.seq => record::touch(tx, stays, &ground.origin)?,
        seq => seq,
    };
    let moved = take_places(tx, stays, goes, their_data)?;
    level(tx, stays.record, &text, seq)?;
    take_what_stands(tx, stays.record, goes.record, seq)?;
    for (child, property) in children {
        renamed(tx, ground, child, &property, &goes.id, &stays.id)?;
    }
    let place = moved.into_iter().next().or(Place::of(tx.conn(), stays.record)?);
    for clash in &clashes {
        let (link, remote) = place.as_ref().map_or((None, ""), |place| (Some(place.link), place.remote.as_str()));
        let id = conflicts::record(tx, stays, link, remote, clash, Some(stays.seq), seq)?;
        // The write that lost may be one of the other record.
        if clash.verdict == Verdict::Truth
            && let Some(lost) = conflicts::lost(tx, goes, clash.property.as_deref(), goes.seq)?
        {
            tx.conn()
                .prepare_cached("UPDATE m_conflict SET loser_seq = ?2 WHERE id = ?1")?
                .execute(params![id, link::signed(lost)])?;
        }
    }
    alias::note(tx, goes.record, stays.record, seq)?;
    record::forget(tx, goes, &ground.origin)?;
    // Who hears of each change hears this one from the store, which has the id.
    tx.untold();
    // What waited for it to be where it is now can go.
    for (child, ..) in std::sync::Arc::clone(tx.definitions()).referring_to(&ground.spec.collection) {
        tx.touch(child.number, &ground.origin);
    }
    Ok(Joined::Clashing(clashes.len() as u64))
}

/// What two records have, as one. What an app took away of either, and some remote still has, stays away where the other one has no more than
/// that.
fn meet(
    tx: &Tx<'_>,
    ground: &Ground,
    (stays, ours): (&Held, &Props),
    (goes, theirs): (&Held, &Props),
) -> Result<(Props, Vec<Clash>), StoreError> {
    let stamps = Stamps {
        truth: ledger::stamps(tx.conn(), stays)?,
        theirs: ledger::stamps(tx.conn(), goes)?.into_values().max(),
        ..Stamps::default()
    };
    let (none, policy) = (BTreeSet::new(), &ground.spec.policy);
    let mingled = |base: Base<'_>, truth: &Props, theirs: &Props, carried: &Carried, stamps: &Stamps| {
        mingle(&Sides { base, truth: Some(truth), theirs: Some(theirs), carried, frozen: &none, policy, stamps })
    };
    let Mingled { truth, mut clashes } = mingled(Base::Unknown, ours, theirs, &Carried::All, &stamps);
    let mut merged = truth.unwrap_or_default();
    for (held, has, is_theirs) in [(goes, theirs, true), (stays, ours, false)] {
        for agreed in unsent(tx.conn(), held)? {
            let (names, base) = taken_away(ground, &agreed, has);
            let Mingled { truth, clashes: more } =
                mingled(Base::Known(&base), &merged, has, &Carried::Only(names), &Stamps::default());
            clashes.extend(more.into_iter().map(|clash| if is_theirs { clash } else { turned(clash) }));
            merged = truth.unwrap_or(merged);
        }
    }
    Ok((merged, clashes))
}

/// A clash as the other side sees it: the record that stays is the truth's.
fn turned(clash: Clash) -> Clash {
    let verdict = match clash.verdict {
        Verdict::Truth => Verdict::Remote,
        Verdict::Remote => Verdict::Truth,
        other => other,
    };
    Clash { truth: clash.theirs, theirs: clash.truth, verdict, ..clash }
}

/// What remotes have of a record that is otherwise here.
fn unsent(conn: &Connection, held: &Held) -> Result<Vec<Props>, StoreError> {
    let mut statement =
        conn.prepare_cached("SELECT agreed FROM m_link WHERE record = ?1 AND replica > 0 AND base = 1 ORDER BY replica")?;
    let agreed: Vec<String> = statement.query_map([held.record], |row| row.get(0))?.collect::<Result<_, _>>()?;
    agreed.iter().map(|text| record::props(text)).collect()
}

fn is_unsent(conn: &Connection, policy: &Policy, held: &Held, props: &Props) -> Result<bool, StoreError> {
    Ok(unsent(conn, held)?.iter().any(|agreed| !alike(agreed, props, &Carried::All, policy)))
}

/// The properties of which something was taken away since a remote had this: which, and what they were.
fn taken_away(ground: &Ground, agreed: &Props, has: &Props) -> (BTreeSet<String>, Props) {
    let policy = &ground.spec.policy;
    let is_less = |(name, was): &(&String, &Value)| match has.get(*name) {
        None => true,
        Some(now) => policy.of(name) == Merge::Union && !same(Some(was), Some(now), policy.likeness(name)),
    };
    let was: Props = agreed.iter().filter(is_less).map(|(name, value)| (name.clone(), value.clone())).collect();
    (was.keys().cloned().collect(), was)
}

/// A place where a remote has a record.
struct Place {
    link: i64,
    remote: String,
}

impl Place {
    /// The first of a record.
    fn of(conn: &Connection, record: i64) -> Result<Option<Self>, StoreError> {
        let mut statement = conn.prepare_cached(
            "SELECT k.link, p.remote FROM m_link k JOIN m_replica p USING (replica)
             WHERE k.record = ?1 AND k.replica > 0 AND k.remote_id IS NOT NULL ORDER BY k.replica LIMIT 1",
        )?;
        let place = statement.query_row([record], |row| Ok(Self { link: row.get(0)?, remote: row.get(1)? }));
        Ok(place.optional()?)
    }
}

/// The places of the record that goes at remotes are those of the other from now on; returns those where a remote has it. An app that has it is
/// told that it leaves, and that the other is another.
fn take_places(tx: &Tx<'_>, stays: &Held, goes: &Held, their_data: &str) -> Result<Vec<Place>, StoreError> {
    let links: Vec<(i64, i64, String, bool, bool)> = tx
        .conn()
        .prepare_cached(&format!(
            "SELECT k.link, k.replica, p.remote, k.remote_id IS NOT NULL, {}
             FROM m_link k JOIN m_replica p USING (replica) WHERE k.record = ?1 AND k.replica > 0 ORDER BY k.replica",
            link::HAS_BEEN
        ))?
        .query_map([goes.record], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?
        .collect::<Result<_, _>>()?;
    let mut moved = Vec::new();
    for (link, replica, remote, has, was) in links {
        let other = link::of_record(tx.conn(), replica, stays.record)?;
        match other {
            // One of the two was only to be made there.
            Some(other) if was => never_was(tx, other.link)?,
            Some(_) => {
                never_was(tx, link)?;
                continue;
            }
            None => {}
        }
        // What it took is no state of this record.
        tx.conn()
            .prepare_cached(
                "UPDATE m_link SET record = ?2, agreed = CASE base WHEN 0 THEN ?3 ELSE agreed END, base = CASE base WHEN 0 THEN 1 ELSE base END,
                   confirmed = 0 WHERE link = ?1",
            )?
            .execute(params![link, stays.record, their_data])?;
        if has {
            moved.push(Place { link, remote });
        }
    }
    Ok(moved)
}

fn never_was(tx: &Tx<'_>, link: i64) -> Result<(), StoreError> {
    for sql in ["DELETE FROM m_rejection WHERE link = ?1", "DELETE FROM m_link WHERE link = ?1"] {
        tx.conn().prepare_cached(sql)?.execute([link])?;
    }
    Ok(())
}

/// Remotes that have just what is here now have nothing to be sent.
fn level(tx: &Tx<'_>, record: i64, text: &str, seq: u64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached(
            "UPDATE m_link SET base = 0, agreed = NULL, confirmed = ?3 WHERE record = ?1 AND replica > 0 AND base = 1 AND sent IS NULL AND agreed = ?2",
        )?
        .execute(params![record, text, link::signed(seq)])?;
    Ok(())
}

/// What stands against the record that goes, what clashed in it, and that it is not for upload, is of the other now.
fn take_what_stands(tx: &Tx<'_>, stays: i64, goes: i64, seq: u64) -> Result<(), StoreError> {
    for sql in [
        "UPDATE m_rejection SET record = ?2 WHERE record = ?1 AND ?3 = ?3",
        // Of an app's copy, which keeps the one it had until it hears of this, nothing is held back any more.
        "UPDATE m_conflict SET record = ?2, seq = CASE open WHEN 1 THEN ?3 ELSE seq END,
           link = CASE WHEN link IN (SELECT link FROM m_link WHERE record = ?1) THEN NULL ELSE link END WHERE record = ?1",
        "INSERT OR IGNORE INTO m_deferred (record, app, at) SELECT ?2, app, at FROM m_deferred WHERE record = ?1 AND ?3 = ?3",
    ] {
        tx.conn().prepare_cached(sql)?.execute(params![goes, stays, link::signed(seq)])?;
    }
    deferred::lift(tx, goes)?;
    Ok(())
}

/// The records that refer to one, each with the property that does; one more than may be changed with it, where there are more.
fn children_of(tx: &Tx<'_>, collection: &str, id: &str) -> Result<Vec<(i64, String)>, StoreError> {
    let (mut all, to) = (Vec::new(), Value::Text(id.to_owned()));
    for (child, property, _) in tx.definitions().referring_to(collection) {
        let found = children::referring(tx.conn(), child, property, &to, CHILDREN_MAX + 1)?;
        all.extend(found.into_iter().map(|record| (record, property.to_owned())));
    }
    Ok(all)
}

/// A record that referred to the one that goes refers to the other. To remotes that is the same: what they have there is that one's now.
fn renamed(tx: &mut Tx<'_>, ground: &Ground, child: i64, property: &str, from: &str, to: &str) -> Result<(), StoreError> {
    let (from, to) = (Value::Text(from.into()), Value::Text(to.into()));
    let Some(held) = record::by_row(tx.conn(), child)? else { return Ok(()) };
    let Some(mut props) = held.props()? else { return Ok(()) };
    if !alias::replace(&mut props, property, &from, &to) {
        return Ok(());
    }
    let text = json::write(&props);
    let seq = record::change_to(tx, &held, &text, &props, &ground.origin)?;
    let links: Vec<(i64, String)> = tx
        .conn()
        .prepare_cached("SELECT link, agreed FROM m_link WHERE record = ?1 AND replica > 0 AND agreed IS NOT NULL")?
        .query_map([child], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (link, agreed) in links {
        let mut agreed = record::props(&agreed)?;
        if alias::replace(&mut agreed, property, &from, &to) {
            tx.conn()
                .prepare_cached("UPDATE m_link SET agreed = ?2 WHERE link = ?1")?
                .execute(params![link, json::write(&agreed)])?;
        }
    }
    level(tx, child, &text, seq)
}

#[cfg(test)]
pub(super) mod tests;
