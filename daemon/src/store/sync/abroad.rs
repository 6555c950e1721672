//! Owns: what the ids of one remote are in the truth, and the other way: whatever comes in or goes out with a reference in it passes
//! here. Must never know: what a meeting decides, in which order things are sent.
//!
//! Looked up, never kept: a record has the remote id that its link says. One that is not there (any more) is still meant by the last id
//! that its link had, as long as it has no other.

use std::collections::BTreeMap;

use mingle_core::{
    meeting::{Agreed, Link, SentWhat},
    planted,
    record::{Props, Value},
    reference::{self, Abroad, Reference, References, Sure, Wanted},
    replica::{Action, Answer, Precondition, Row, RowState},
};
use rusqlite::{Connection, OptionalExtension, params};

use super::{Ground, link};
use crate::store::{
    error::StoreError,
    record::{self, State},
};

/// Where one remote keeps the collections that references go between.
pub(super) struct Atlas<'a> {
    ground: &'a Ground,
    places: BTreeMap<&'a str, Place>,
}

/// One collection at that remote.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// `m_collection.collection`
    pub collection: i64,
    /// `m_replica.replica`
    pub replica: i64,
    /// A sync sends it there.
    pub sends: bool,
}

impl<'a> Atlas<'a> {
    /// Of the remote that a run speaks to; none: nothing there refers to anything. (Apps have the ids of the truth.)
    pub fn of(conn: &Connection, ground: &'a Ground) -> Result<Option<Self>, StoreError> {
        let spec = &ground.spec;
        if !ground.has_family() {
            return Ok(None);
        }
        let own = Place { collection: ground.collection, replica: ground.replica, sends: spec.direction.sends() };
        let mut places = BTreeMap::from([(spec.collection.as_str(), own)]);
        for (name, kin) in &spec.kin {
            let found: Option<(i64, i64)> = conn
                .prepare_cached(
                    "SELECT c.collection, p.replica FROM m_collection c, m_replica p WHERE c.name = ?1 AND p.identity = ?2",
                )?
                .query_row(params![name, kin.identity], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            if let Some((collection, replica)) = found {
                places.insert(name, Place { collection, replica, sends: kin.sends });
            }
        }
        Ok(Some(Self { ground, places }))
    }

    /// Where it keeps this collection; none: it was never spoken to.
    pub fn place(&self, collection: &str) -> Option<Place> {
        self.places.get(collection).copied()
    }

    fn references(&self) -> &References {
        &self.ground.spec.policy.references
    }

    fn remote(&self) -> &str {
        &self.ground.spec.remote
    }

    /// A row, in ids of the truth.
    pub fn arrive(&self, conn: &Connection, row: &mut Row) -> Result<(), StoreError> {
        let RowState::Live(props) = &mut row.state else { return Ok(()) };
        reference::arrive(props, self.references(), self.remote(), |reference, id| self.record(conn, reference, id))
    }

    /// The rows of an answer, in ids of the truth.
    pub fn answered(&self, conn: &Connection, answer: &Answer) -> Result<Answer, StoreError> {
        let mut answer = answer.clone();
        match &mut answer {
            Answer::Taken(Some(row)) | Answer::Stale(Some(row)) => self.arrive(conn, row)?,
            Answer::ReadBack { told, read } => {
                for row in told.iter_mut().chain([read]) {
                    self.arrive(conn, row)?;
                }
            }
            _ => {}
        }
        Ok(answer)
    }

    /// What a link remembers, with what has become known since: a reference that was pending then is none now.
    pub fn resolve(&self, conn: &Connection, state: &mut Link) -> Result<(), StoreError> {
        if planted::is("pending reference agreed on for ever") {
            return Ok(());
        }
        if let Agreed::Own(props) | Agreed::Former(props) = &mut state.agreed {
            self.known_by_now(conn, props)?;
        }
        for sent in &mut state.sent {
            match &mut sent.what {
                SentWhat::Create(props) => self.known_by_now(conn, props)?,
                SentWhat::Update(patch) => {
                    let mut props = values(patch);
                    self.known_by_now(conn, &mut props)?;
                    patch.extend(props.into_iter().map(|(name, value)| (name, Some(value))));
                }
                SentWhat::Delete => {}
            }
        }
        Ok(())
    }

    fn known_by_now(&self, conn: &Connection, props: &mut Props) -> Result<(), StoreError> {
        reference::resolve(props, self.references(), self.remote(), |reference, id| self.record(conn, reference, id))
    }

    /// What a link has agreed, without the references that went with what they named.
    pub fn let_go(
        &self,
        conn: &Connection,
        state: &mut Link,
        truth: Option<&Props>,
        theirs: Option<&Props>,
    ) -> Result<(), StoreError> {
        let (Agreed::Own(agreed) | Agreed::Former(agreed), Some(truth)) = (&mut state.agreed, truth) else { return Ok(()) };
        reference::let_go(agreed, truth, theirs, self.references(), |reference, id| {
            let Some(place) = self.place(&reference.collection) else { return Ok(false) };
            Ok(record::find(conn, place.collection, id)?.is_some_and(|held| held.state != State::Live))
        })
    }

    /// An action, in ids of the remote; what of it may not go yet. What differs has to name what is there; the rest is what the remote
    /// has already.
    pub fn leave(&self, conn: &Connection, action: &mut Action) -> Result<Vec<Wanted>, StoreError> {
        let translate = |props: &mut Props, sure: Sure| {
            reference::leave(props, self.references(), self.remote(), sure, |reference, id| self.abroad(conn, reference, id))
        };
        Ok(match action {
            Action::Create { whole, .. } => translate(whole, Sure::There)?,
            Action::Update { patch, whole, unless_moved, .. } => {
                let mut differs = values(patch);
                let mut wanted = translate(&mut differs, Sure::There)?;
                whole.retain(|name, _| !differs.contains_key(name));
                wanted.extend(translate(whole, Sure::Told)?);
                whole.extend(differs.clone());
                patch.extend(differs.into_iter().map(|(name, value)| (name, Some(value))));
                wanted.extend(self.expects(conn, unless_moved)?);
                wanted
            }
            Action::Delete { unless_moved, .. } => self.expects(conn, unless_moved)?,
        })
    }

    /// What must still be so at the remote, in its ids.
    fn expects(&self, conn: &Connection, unless_moved: &mut Precondition) -> Result<Vec<Wanted>, StoreError> {
        match unless_moved {
            Precondition::Revision(_) => Ok(Vec::new()),
            Precondition::Reread(props) | Precondition::Shows(props) => {
                reference::leave(props, self.references(), self.remote(), Sure::Told, |reference, id| {
                    self.abroad(conn, reference, id)
                })
            }
        }
    }

    /// A create that went out before, in ids of the remote: what it names was there then. False: that is not known any more.
    pub fn leave_again(&self, conn: &Connection, action: &mut Action) -> Result<bool, StoreError> {
        let Action::Create { whole, .. } = action else { return Ok(true) };
        let wanted = reference::leave(whole, self.references(), self.remote(), Sure::Told, |reference, id| {
            self.abroad(conn, reference, id)
        })?;
        Ok(wanted.is_empty())
    }

    /// Which record an id of the remote is.
    fn record(&self, conn: &Connection, reference: &Reference, remote_id: &str) -> Result<Option<String>, StoreError> {
        let Some(place) = self.place(&reference.collection) else { return Ok(None) };
        let now = conn
            .prepare_cached(
                "SELECT r.id FROM m_link k JOIN m_record r ON r.record = k.record WHERE k.replica = ?1 AND k.remote_id = ?2",
            )?
            .query_row(params![place.replica, remote_id], |row| row.get(0))
            .optional()?;
        if now.is_some() {
            return Ok(now);
        }
        // The last id of what has none any more: nothing else can be meant by it.
        Ok(conn
            .prepare_cached(
                "SELECT r.id FROM m_former f JOIN m_link k ON k.link = f.link JOIN m_record r ON r.record = k.record
                 WHERE f.replica = ?1 AND f.remote_id = ?2 AND k.remote_id IS NULL
                   AND NOT EXISTS (SELECT 1 FROM m_former g WHERE g.link = f.link AND g.rowid > f.rowid)",
            )?
            .query_row(params![place.replica, remote_id], |row| row.get(0))
            .optional()?)
    }

    /// What the remote has in the place of a record.
    pub fn abroad(&self, conn: &Connection, reference: &Reference, id: &str) -> Result<Abroad, StoreError> {
        let Some(place) = self.place(&reference.collection) else { return Ok(Abroad::Unknown) };
        let Some(held) = record::find(conn, place.collection, id)? else { return Ok(Abroad::Unknown) };
        let Some(linked) = link::of_record(conn, place.replica, held.record)? else { return Ok(Abroad::Unknown) };
        let there = match held.state {
            State::Live => matches!(linked.state.agreed, Agreed::Same | Agreed::Own(_)),
            // It left here alone: the remote has it, whatever its link still remembers.
            State::Forgotten => linked.state.remote_id.is_some() && !planted::is("children wait for what was forgotten"),
            State::Deleted => false,
        };
        let known = match linked.state.remote_id {
            Some(remote_id) => Some(remote_id),
            None => last_former(conn, place.replica, linked.link)?,
        };
        Ok(match known {
            Some(remote_id) if there => Abroad::There(remote_id),
            Some(remote_id) => Abroad::Once(remote_id),
            None => Abroad::Unknown,
        })
    }
}

/// Makes of pending references what is known of them by now, for whoever stands in no run of a sync.
pub(super) fn known_by_now(
    conn: &Connection,
    remote: &str,
    references: &References,
    props: &mut Props,
) -> Result<(), StoreError> {
    reference::resolve(props, references, remote, |reference, id| {
        let known = conn
            .prepare_cached(
                "SELECT r.id FROM m_replica p CROSS JOIN m_link k ON k.replica = p.replica AND k.remote_id = ?3
                 JOIN m_record r ON r.record = k.record JOIN m_collection c ON c.collection = r.collection
                 WHERE p.remote = ?1 AND c.name = ?2 ORDER BY p.replica DESC LIMIT 1",
            )?
            .query_row(params![remote, reference.collection, id], |row| row.get(0))
            .optional()?;
        Ok(known)
    })
}

/// The last id that a link had before the one it has.
pub(super) fn last_former(conn: &Connection, replica: i64, link: i64) -> Result<Option<String>, StoreError> {
    Ok(conn
        .prepare_cached("SELECT remote_id FROM m_former WHERE replica = ?1 AND link = ?2 ORDER BY rowid DESC LIMIT 1")?
        .query_row(params![replica, link], |row| row.get(0))
        .optional()?)
}

/// What a patch sets.
fn values(patch: &BTreeMap<String, Option<Value>>) -> Props {
    patch.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect()
}
