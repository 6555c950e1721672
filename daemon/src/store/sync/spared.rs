//! Owns: children whose parent the remote deleted before it had what was done to them here: the delete that would take them along meets an
//! edit, like any delete. Must never know: what becomes of the others.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use mingle_core::{
    meeting::Agreed,
    mingle::{Base, Clash, Sides, Stamps, mingle},
    planted,
    record::{Props, Value},
    reference::{self, WhenGone},
};

use rusqlite::Connection;

use super::{Ground, abroad::Atlas, conflicts, link};
use crate::{
    json,
    store::{
        children::referring,
        definitions::Collection,
        error::StoreError,
        record::{self, Held, State},
        tx::Tx,
    },
};

/// What came of children that met a delete.
#[derive(Default)]
pub(super) struct Spared {
    /// Conflicts of those that live on.
    kept: u64,
    /// Those that go all the same.
    lost: Vec<Met>,
}

/// A child that the remote had not seen as it was here.
struct Met {
    /// As it was.
    held: Held,
    /// Its link there; none: it was never sent.
    link: Option<i64>,
    clash: Clash,
}

/// What a delete does to one record, worked out before anything is written.
struct Touched {
    held: Held,
    /// Without what went so far.
    now: Props,
    /// It is deleted itself.
    ends: bool,
    /// It met the delete: what of that is recorded, with its link.
    met: Option<(Option<i64>, Clash)>,
}

/// By row; none: it goes, and there is nothing to record.
type Family = BTreeMap<i64, Option<Touched>>;

/// Lets the children of a record that the remote deleted (and theirs, as far as they would be deleted with it) meet that delete where the
/// remote has not seen them as they are here. Who lives on loses every reference to what goes, and that is recorded.
///
/// Before the delete itself: what still refers to anything that goes when that is done, goes with it.
pub(super) fn spare(tx: &mut Tx<'_>, ground: &Ground, parent: &Held) -> Result<Spared, StoreError> {
    let mut spared = Spared::default();
    let Some(atlas) = Atlas::of(tx.conn(), ground)?.filter(|_| !planted::is("edited child goes with its parent")) else {
        return Ok(spared);
    };
    for touched in family_of(tx, ground, &atlas, parent)?.into_values().flatten() {
        let Touched { held, now, ends, met: Some((link, clash)) } = touched else { continue };
        // Who decides for it again shall not bring back a reference to what is gone.
        let clash = Clash { truth: Some(Value::Map(now.clone())), ..clash };
        if ends {
            spared.lost.push(Met { held, link, clash });
        } else {
            let seq = record::change_to(tx, &held, &json::write(&now), &now, &ground.origin)?;
            conflicts::record(tx, &held, link, &ground.spec.remote, &clash, Some(held.seq), seq)?;
            spared.kept += 1;
        }
    }
    Ok(spared)
}

impl Spared {
    /// Records the clashes of those that went, once they are gone: `why` looks for them by the seq of their end. So many were recorded in all.
    pub(super) fn told(self, tx: &mut Tx<'_>, ground: &Ground) -> Result<u64, StoreError> {
        let all = self.kept + self.lost.len() as u64;
        for Met { held, link, clash } in self.lost {
            let seq = record::by_row(tx.conn(), held.record)?.map_or(held.seq, |gone| gone.seq);
            conflicts::record(tx, &held, link, &ground.spec.remote, &clash, Some(held.seq), seq)?;
        }
        Ok(all)
    }
}

/// Everything that the delete of a record reaches, by its row, as the cascade will find it.
fn family_of(tx: &Tx<'_>, ground: &Ground, atlas: &Atlas<'_>, parent: &Held) -> Result<Family, StoreError> {
    let definitions = tx.definitions();
    let mut touched = Family::new();
    let mut gone = vec![(ground.spec.collection.clone(), parent.id.clone())];
    while let Some((collection, id)) = gone.pop() {
        let to = Value::Text(id);
        for (child, property, reference) in definitions.referring_to(&collection) {
            for record in referring(tx.conn(), child, property, &to, usize::MAX)? {
                // Its own delete is what this is about.
                if record == parent.record {
                    continue;
                }
                let one = match touched.entry(record) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        let Some(held) = record::by_row(tx.conn(), record)? else { continue };
                        let Some(now) = held.props()? else { continue };
                        new.insert(Some(Touched { held, now, ends: false, met: None }))
                    }
                };
                let Some(known) = one.as_mut().filter(|known| !known.ends) else { continue };
                // Of a list, the last one takes it along.
                if !reference::replace(&mut known.now, property, &to, None)
                    || reference.on_delete != WhenGone::Cascade
                    || known.met.is_some()
                    || matches!(known.now.get(property), Some(Value::List(list)) if !list.is_empty())
                {
                    continue;
                }
                (known.ends, known.met) = meets(tx, ground, atlas, child, &known.held)?;
                if known.ends {
                    gone.push((child.definition.name.clone(), known.held.id.clone()));
                    if known.met.is_none() {
                        *one = None;
                    }
                }
            }
        }
    }
    Ok(touched)
}

/// Whether a child goes with its parent, and what of that is recorded, with its link.
type Ends = (bool, Option<(Option<i64>, Clash)>);

/// A child meets the delete that would take it along. What the remote never had counts as edited, and so does what was never compared; what
/// is not sent to this remote goes as it is declared.
fn meets(tx: &Tx<'_>, ground: &Ground, atlas: &Atlas<'_>, child: &Collection, held: &Held) -> Result<Ends, StoreError> {
    let name = &child.definition.name;
    let place = atlas.place(name);
    // A place that was never spoken to has nothing, and is to have it.
    let sends = place.map_or_else(|| ground.spec.kin.get(name).is_some_and(|kin| kin.sends), |place| place.sends);
    let Some(truth) = held.props()?.filter(|_| sends) else { return Ok((true, None)) };
    let linked = place.map(|place| link::of_record(tx.conn(), place.replica, held.record)).transpose()?.flatten();
    let mut agreed = match linked.as_ref().map(|linked| &linked.state.agreed) {
        Some(Agreed::Same) => return Ok((true, None)),
        Some(Agreed::Own(agreed)) => Some(agreed.clone()),
        Some(Agreed::Gone | Agreed::Former(_) | Agreed::Unknown) => None,
        None if is_of_another(tx.conn(), held.record, &ground.spec.remote)? => return Ok((true, None)),
        None => None,
    };
    if let Some(agreed) = &mut agreed {
        // What went with what it named is nobody's edit.
        reference::let_go(agreed, &truth, None, &child.definition.policy.references, |reference, id| {
            let Some(place) = atlas.place(&reference.collection) else { return Ok(false) };
            Ok::<_, StoreError>(record::find(tx.conn(), place.collection, id)?.is_some_and(|held| held.state != State::Live))
        })?;
    }
    let mingled = mingle(&Sides {
        base: Base::Known(agreed.as_ref().unwrap_or(&Props::new())),
        truth: Some(&truth),
        theirs: None,
        carried: &ground.abilities.carried,
        frozen: &BTreeSet::new(),
        policy: &child.definition.policy,
        stamps: &Stamps::default(),
    });
    let clash = mingled.clashes.into_iter().next().map(|clash| Clash { agreed: agreed.and(clash.agreed), ..clash });
    Ok((mingled.truth.is_none(), clash.map(|clash| (linked.map(|linked| linked.link), clash))))
}

/// Whether a record belongs to another remote. That this one had it at another address says nothing.
fn is_of_another(conn: &Connection, record: i64, remote: &str) -> Result<bool, StoreError> {
    let mut statement = conn.prepare_cached(
        "SELECT 1 FROM m_link k JOIN m_replica p USING (replica) WHERE k.record = ?1 AND k.replica > 0 AND p.remote <> ?2",
    )?;
    Ok(statement.exists((record, remote))?)
}
