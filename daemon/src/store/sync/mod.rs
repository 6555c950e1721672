//! Owns: what a run does in the store: begin, negotiate, apply, plan, settle, ghosts, finish. Each function is one transaction's
//! work: it reads, lets the core decide, and writes. Must never know: how a remote speaks, in which order a run goes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use mingle_core::{
    filter::Filter,
    meeting::{Agreed, Met, Rules, at},
    mingle::Stamps,
    planted,
    policy::{Merge, Policy},
    record::Props,
    replica::Abilities,
    run::{Creates, Direction, reset::How},
    time::Timestamp,
};
use rusqlite::{Connection, params};

use super::{
    conflicts, deferred,
    error::StoreError,
    record::{self, Held},
    tx::{Origin, Tx},
};
use crate::json;

mod abroad;
mod again;
mod apply;
mod begin;
mod compare;
mod elsewhere;
mod family;
mod finish;
mod forget;
mod ghosts;
pub mod link;
pub mod pending;
mod plan;
mod position;
mod rebuild;
mod renamed;
pub mod reset;
mod rollback;
pub mod session;
mod settle;
mod spared;
mod twins;
mod unlinked;

pub use apply::{Batch, apply, deletes_left};
pub(in crate::store) use begin::is_of;
pub use begin::{Kept, begin, epoch, negotiate, recover};
pub use compare::compare;
pub(in crate::store) use elsewhere::{has_another, makes, scanned};
pub use finish::{complete, count, finish, spent};
pub use forget::forget;
pub use ghosts::ghosts;
pub use plan::plan;
pub use position::read as read_checkpoint;
pub use renamed::{identity, place, renamed};
pub use rollback::roll_back;
pub use settle::settle;

use link::Linked;

/// A sync as a run needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncSpec {
    /// Its name.
    pub name: String,
    /// The collection's name.
    pub collection: String,
    /// The remote's name.
    pub remote: String,
    /// What makes the replica this one: remote, url, account, resource, collection. Another is another replica, with links of
    /// its own.
    pub identity: String,
    /// Everything the settings say that names the history of its rows (also how they are mapped): part of the epoch.
    pub history: String,
    /// Which of its records a description that somebody wrote lists, and how it reads them; empty: as it comes with mingle.
    pub listing: String,
    /// Which way.
    pub direction: Direction,
    /// The collection's rules.
    pub policy: Policy,
    /// What the remote has taken is removed here.
    pub remove_after_upload: bool,
    /// What of the remote is brought here.
    pub filter: Filter,
    /// What becomes of what is here where the remote has another history.
    pub reset: How,
    /// What it makes there.
    pub creates: Creates,
    /// Other remotes that keep the collection.
    pub others: Others,
    /// Other collections that this remote keeps, by name, where references go from one to another.
    pub kin: BTreeMap<String, Kin>,
}

/// What other replicas of the collection are to a sync.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Others {
    /// Its records may be those of any of them: it is a mirror.
    pub mirror: bool,
    /// Those among them that are mirrors, by [`SyncSpec::identity`]: their records may be its own.
    pub mirrors: Vec<String>,
    /// One of them makes what it lacks.
    pub makes: bool,
    /// Where new records have their home, for a mirror that is not it.
    pub home: Option<Home>,
}

/// The home of new records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The sync.
    pub sync: String,
    /// The remote's name.
    pub remote: String,
    /// As [`SyncSpec::identity`].
    pub identity: String,
}

/// Where a remote keeps another collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kin {
    /// As [`SyncSpec::identity`].
    pub identity: String,
    /// A sync sends it there.
    pub sends: bool,
}

/// On what a run stands, once it is negotiated.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The sync.
    pub spec: Arc<SyncSpec>,
    /// What the remote can do.
    pub abilities: Arc<Abilities>,
    /// `m_collection.collection`
    pub collection: i64,
    /// `m_replica.replica`
    pub replica: i64,
    /// Who changes what this run changes.
    pub origin: Origin,
    /// Our clock when the listing of this run began; none: it goes on with the one of a run that was stopped.
    pub began: Option<Timestamp>,
    /// The copy here is not trusted: a rebuild.
    pub anew: bool,
    /// A reset is under way: what becomes of what is here.
    pub reset: Option<How>,
    /// The run, by its id.
    pub run: String,
}

impl Ground {
    /// A row may name records, which may be deleted here: also one of an app's own copy.
    fn names_records(&self) -> bool {
        let unseen = self.replica < 0 && planted::is("what an app refers to may be deleted");
        !self.spec.policy.references.is_empty() && !unseen
    }

    /// Something at this remote refers to something else there.
    fn has_family(&self) -> bool {
        self.replica > 0 && !(self.spec.kin.is_empty() && self.spec.policy.references.is_empty())
    }

    fn rules<'a>(&'a self, frozen: &'a BTreeSet<String>) -> Rules<'a> {
        Rules {
            policy: &self.spec.policy,
            abilities: &self.abilities,
            up_only: self.spec.direction == Direction::Up,
            frozen,
            anew: self.anew,
            reset: self.reset,
        }
    }
}

/// The record of a link, read.
struct Present {
    held: Held,
    props: Option<Props>,
}

fn present(conn: &Connection, record: i64) -> Result<Present, StoreError> {
    let held = record::by_row(conn, record)?
        .ok_or_else(|| StoreError::Corrupt(format!("link to record {record}, which is not there")))?;
    let props = held.props()?;
    Ok(Present { held, props })
}

/// Properties under an open conflict at this link.
fn frozen(conn: &Connection, link: i64) -> Result<BTreeSet<String>, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT property FROM m_conflict INDEXED BY m_conflict_open WHERE link = ?1 AND open = 1 AND property IS NOT NULL",
    )?;
    let names = statement.query_map([link], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(names)
}

/// For `newest`: when the truth's properties last changed, from the ledger.
fn stamps(conn: &Connection, ground: &Ground, held: &Held, theirs: Option<Timestamp>) -> Result<Stamps, StoreError> {
    let asks = ground.spec.policy.default == Merge::Newest
        || ground.spec.policy.properties.values().any(|merge| *merge == Merge::Newest);
    if !asks {
        return Ok(Stamps::default());
    }
    let truth = super::ledger::stamps(conn, held)?;
    Ok(Stamps { truth, theirs, grain: ground.abilities.modified_grain.unwrap_or_default() })
}

/// What a meeting did to the store.
#[derive(Default)]
struct Written {
    changed: bool,
    conflicts: u64,
}

/// Writes a meeting: the truth (new seq, ledger, feed), the link over it, clashes, thawed conflicts.
fn write_met(
    tx: &mut Tx<'_>,
    ground: &Ground,
    linked: &Linked,
    was: &Present,
    mut met: Met,
    took: Option<u64>,
) -> Result<Written, StoreError> {
    if let Some(truth) = &mut met.truth
        && ground.names_records()
    {
        let whole = truth.clone();
        if family::without_deleted(tx, &ground.spec.policy.references, Some(&was.held), was.props.as_ref(), truth)? {
            if met.link.agreed == Agreed::Same {
                met.link.agreed = Agreed::Own(whole);
            }
            (met.changed, met.level) = (was.props.as_ref() != Some(truth), false);
            if ground.replica < 0 {
                // An app is shown what became of its record; nothing of that is a form of its own.
                met.link.confirmed = 0;
            }
        }
    }
    let (mut seq, mut conflicts) = (was.held.seq, met.clashes.len() as u64);
    if met.changed {
        let spared = if met.truth.is_none() { spared::spare(tx, ground, &was.held)? } else { spared::Spared::default() };
        seq = match (&met.truth, &was.props) {
            (Some(props), None) => record::make(tx, ground.collection, &was.held.id, &json::write(props), &ground.origin)?.seq,
            (Some(props), Some(_)) => record::change(tx, &was.held, Some(&json::write(props)), &ground.origin)?,
            (None, _) => record::change(tx, &was.held, None, &ground.origin)?,
        };
        conflicts += spared.told(tx, ground)?;
    }
    let mut state = met.link;
    state.confirmed = state.confirmed.max(took.unwrap_or(0));
    if met.level {
        state.confirmed = state.confirmed.max(seq);
    }
    let before = if ground.has_family() { family::remote_id(tx.conn(), linked.link)? } else { None };
    link::save(tx, linked.link, &state, met.truth.is_some())?;
    if let Some(former) = &met.former {
        link::former(tx, ground.replica, former, linked.link)?;
    }
    if ground.has_family() {
        let before = family::Before { remote_id: before.as_deref(), state: &linked.state, truth: was.props.as_ref() };
        family::met(tx, ground, linked.link, &before, &state)?;
    }
    if let Agreed::Own(theirs) = &state.agreed {
        keep_current(tx, linked.link, theirs)?;
    }
    for property in &met.thawed {
        tx.conn()
            .prepare_cached(
                "UPDATE m_conflict SET open = 0, verdict = 'resolved' WHERE link = ?1 AND property = ?2 AND open = 1",
            )?
            .execute(params![linked.link, property])?;
    }
    for clash in &met.clashes {
        conflicts::record(tx, &was.held, Some(linked.link), &ground.spec.remote, clash, Some(was.held.seq), seq)?;
    }
    // Nothing of it is pending any more, so there is nothing to keep back. (What an app's own copy has says nothing of that.)
    if met.level && ground.replica > 0 && ground.spec.direction.sends() {
        nothing_is_kept_back(tx, linked)?;
    }
    Ok(Written { changed: met.changed, conflicts })
}

/// Takes the mark off a record of which nothing is to be sent. What an open conflict holds is not sent either, and is a change all the
/// same: decided, or overtaken by a delete there, it would go out. (A simulated draft did.)
fn nothing_is_kept_back(tx: &Tx<'_>, linked: &Linked) -> Result<(), StoreError> {
    if frozen(tx.conn(), linked.link)?.is_empty() {
        deferred::lift(tx, linked.record)?;
    }
    Ok(())
}

/// An open conflict names what the replica has now: who decides for it must not bring back a value that was overwritten there since.
fn keep_current(tx: &Tx<'_>, link: i64, theirs: &Props) -> Result<(), StoreError> {
    for property in frozen(tx.conn(), link)? {
        let value = at(theirs, &property).map(json::write_value);
        tx.conn()
            .prepare_cached("UPDATE m_conflict SET theirs = ?3 WHERE link = ?1 AND property = ?2 AND open = 1")?
            .execute(params![link, property, value])?;
    }
    Ok(())
}

/// A rejection to be written.
struct Rejected<'a> {
    side: &'a str,
    link: Option<i64>,
    record: Option<i64>,
    remote_id: Option<&'a str>,
    revision: Option<&'a str>,
    action: &'a str,
    what: &'a str,
    refused: Option<String>,
}

/// Writes a rejection, in place of the one that stands for the same link or row; counts the tries.
fn reject(tx: &mut Tx<'_>, ground: &Ground, rejected: &Rejected<'_>) -> Result<(), StoreError> {
    let tries: i64 = match rejected.link {
        Some(link) => tx
            .conn()
            .prepare_cached("DELETE FROM m_rejection WHERE link = ?1 RETURNING tries")?
            .query_row([link], |row| row.get(0)),
        None => tx
            .conn()
            .prepare_cached("DELETE FROM m_rejection WHERE replica = ?1 AND remote_id = ?2 AND link IS NULL RETURNING tries")?
            .query_row(params![ground.replica, rejected.remote_id], |row| row.get(0)),
    }
    .unwrap_or(0);
    let id = tx.short_id('j');
    tx.conn()
        .prepare_cached(
            "INSERT INTO m_rejection (id, sync, replica, side, link, record, remote_id, revision, action, what, refused, at, tries, verdict)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, NULL)",
        )?
        .execute(params![
            id,
            ground.spec.name,
            ground.replica,
            rejected.side,
            rejected.link,
            rejected.record,
            rejected.remote_id,
            rejected.revision,
            rejected.action,
            rejected.what,
            rejected.refused,
            tx.now().unix_ms(),
            tries + 1
        ])?;
    Ok(())
}

/// What stands against a link.
struct Standing {
    side: String,
    /// The carried values that were refused.
    refused: Option<String>,
    verdict: Option<String>,
    /// What the remote showed.
    revision: Option<String>,
}

impl Standing {
    /// A person let a guarded delete drop.
    fn dropped_delete(&self) -> bool {
        self.side == "delete" && self.verdict.as_deref() == Some("drop")
    }
}

/// The rejection of a link, if it has one.
fn rejection_of(conn: &Connection, link: i64) -> Result<Option<Standing>, StoreError> {
    let mut statement = conn.prepare_cached("SELECT side, refused, verdict, revision FROM m_rejection WHERE link = ?1")?;
    let mut rows = statement.query([link])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Standing { side: row.get(0)?, refused: row.get(1)?, verdict: row.get(2)?, revision: row.get(3)? }))
}

fn unreject(tx: &Tx<'_>, link: i64) -> Result<(), StoreError> {
    tx.conn().prepare_cached("DELETE FROM m_rejection WHERE link = ?1")?.execute([link])?;
    Ok(())
}
