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

use super::{
    Ground,
    abroad::{Atlas, Place},
    conflicts, link,
};
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
    /// It met the delete: what of that is recorded.
    met: Option<(Option<i64>, Clash)>,
}

/// Lets the children of a record that the remote deleted (and theirs, as far as they would be deleted with it) meet that delete where the
/// remote has not seen them as they are here. Who lives on loses every reference to what goes, and that is recorded.
///
/// Before the delete itself: what still refers to anything that goes when that is done, goes with it.
pub(super) fn spare(tx: &mut Tx<'_>, ground: &Ground, parent: &Held) -> Result<Spared, StoreError> {
    let mut spared = Spared::default();
    let Some(atlas) = Atlas::of(tx.conn(), ground)?.filter(|_| !planted::is("edited child goes with its parent")) else {
        return Ok(spared);
    };
    for Touched { held, now, ends, met } in family_of(tx, ground, &atlas, parent)?.into_values() {
        match met {
            Some((link, clash)) if ends => spared.lost.push(Met { held, link, clash }),
            Some((link, clash)) => {
                let seq = record::change_to(tx, &held, &json::write(&now), &now, &ground.origin)?;
                conflicts::record(tx, &held, link, &ground.spec.remote, &clash, Some(held.seq), seq)?;
                spared.kept += 1;
            }
            None => {}
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
fn family_of(tx: &Tx<'_>, ground: &Ground, atlas: &Atlas<'_>, parent: &Held) -> Result<BTreeMap<i64, Touched>, StoreError> {
    let definitions = tx.definitions();
    let mut touched = BTreeMap::<i64, Touched>::new();
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
                    Entry::Occupied(known) if known.get().ends => continue,
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(new) => {
                        let Some(held) = record::by_row(tx.conn(), record)? else { continue };
                        let Some(now) = held.props()? else { continue };
                        new.insert(Touched { held, now, ends: false, met: None })
                    }
                };
                // Of a list, the last one takes it along.
                if !reference::replace(&mut one.now, property, &to, None)
                    || reference.on_delete != WhenGone::Cascade
                    || one.met.is_some()
                    || matches!(one.now.get(property), Some(Value::List(list)) if !list.is_empty())
                {
                    continue;
                }
                (one.ends, one.met) = meets(tx, ground, atlas, child, &one.held)?;
                if one.ends {
                    gone.push((child.definition.name.clone(), one.held.id.clone()));
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
    let (Some(Place { replica, .. }), Some(truth)) =
        (atlas.place(&child.definition.name).filter(|place| place.sends), held.props()?)
    else {
        return Ok((true, None));
    };
    let linked = link::of_record(tx.conn(), replica, held.record)?;
    let mut agreed = match linked.as_ref().map(|linked| &linked.state.agreed) {
        Some(Agreed::Same) => return Ok((true, None)),
        Some(Agreed::Own(agreed)) => Some(agreed.clone()),
        Some(Agreed::Gone | Agreed::Unknown) => None,
        // It belongs to another remote.
        None if link::at_a_remote(tx.conn(), held.record)? => return Ok((true, None)),
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
