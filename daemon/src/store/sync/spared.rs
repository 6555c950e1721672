//! Owns: children whose parent the remote deleted before it had what was done to them here: the delete that would take them along meets an
//! edit, like any delete. Must never know: what becomes of the others.

use std::collections::BTreeSet;

use mingle_core::{
    meeting::Agreed,
    mingle::{Base, Mingled, Sides, Stamps, mingle},
    planted,
    record::{Carried, Props, Value},
    reference::{self, WhenGone},
};
use rusqlite::Connection;

use super::{
    Ground,
    abroad::{Atlas, Place},
    conflicts, link,
};
use crate::{
    json,
    store::{
        children::referring,
        error::StoreError,
        record::{self, Held},
        tx::Tx,
    },
};

/// Lets the children of a record that the remote deleted (and theirs, as far as they would be deleted with it) meet that delete where the
/// remote has not seen them as they are here. Who lives on loses the reference; both is recorded. Returns the conflicts made.
///
/// Before the delete itself: what it finds afterwards goes with it.
pub(super) fn spare(tx: &mut Tx<'_>, ground: &Ground, parent: &Held) -> Result<u64, StoreError> {
    let Some(atlas) = Atlas::of(tx.conn(), ground)?.filter(|_| !planted::is("edited child goes with its parent")) else {
        return Ok(0);
    };
    let definitions = std::sync::Arc::clone(tx.definitions());
    let (mut conflicts, mut met) = (0, BTreeSet::from([parent.record]));
    let mut ended = vec![(ground.spec.collection.clone(), parent.id.clone())];
    while let Some((collection, id)) = ended.pop() {
        let to = Value::Text(id);
        for (child, property, reference) in definitions.referring_to(&collection) {
            if reference.on_delete != WhenGone::Cascade {
                continue;
            }
            let name = &child.definition.name;
            let place = atlas.place(name).filter(|place| place.sends);
            for record in referring(tx.conn(), child, property, &to, usize::MAX)? {
                let Some(held) = record::by_row(tx.conn(), record)?.filter(|_| met.insert(record)) else { continue };
                let Some(props) = held.props()? else { continue };
                let mut without = props.clone();
                // Of a list, the last one takes it along.
                if !reference::replace(&mut without, property, &to, None)
                    || matches!(without.get(property), Some(Value::List(list)) if !list.is_empty())
                {
                    continue;
                }
                let unsent = place.map(|place| unsent(tx.conn(), place, record)).transpose()?.flatten();
                let Some(Unsent { link, agreed }) = unsent else {
                    ended.push((name.clone(), held.id));
                    continue;
                };
                let Mingled { truth, clashes } = mingle(&Sides {
                    base: Base::Known(&agreed),
                    truth: Some(&props),
                    theirs: None,
                    carried: &Carried::All,
                    frozen: &BTreeSet::new(),
                    policy: &child.definition.policy,
                    stamps: &Stamps::default(),
                });
                let seq = match truth {
                    Some(_) => record::change_to(tx, &held, &json::write(&without), &without, &ground.origin)?,
                    None => {
                        ended.push((name.clone(), held.id.clone()));
                        held.seq
                    }
                };
                for clash in &clashes {
                    conflicts::record(tx, &held, link, &ground.spec.remote, clash, Some(held.seq), seq)?;
                    conflicts += 1;
                }
            }
        }
    }
    Ok(conflicts)
}

/// A child that the remote has not seen as it is here.
struct Unsent {
    /// Its link there; none: it was never sent.
    link: Option<i64>,
    /// What was agreed; empty where nothing was.
    agreed: Props,
}

/// Whether something was done to a record here that this place does not have; what was never compared counts as such. A record that
/// belongs to another remote has nothing to be sent here.
fn unsent(conn: &Connection, place: Place, record: i64) -> Result<Option<Unsent>, StoreError> {
    let Some(linked) = link::of_record(conn, place.replica, record)? else {
        let elsewhere = conn.prepare_cached("SELECT 1 FROM m_link WHERE record = ?1 AND replica > 0")?.exists([record])?;
        return Ok((!elsewhere).then(|| Unsent { link: None, agreed: Props::new() }));
    };
    let agreed = match linked.state.agreed {
        Agreed::Same => return Ok(None),
        Agreed::Own(agreed) => agreed,
        Agreed::Gone | Agreed::Unknown => Props::new(),
    };
    Ok(Some(Unsent { link: Some(linked.link), agreed }))
}
