//! Owns: what an app pushes of a record that proved to be another one, before it was told so. Must never know: how that was proved.

use mingle_core::{
    ask::Mingled,
    meeting::{Agreed, Link},
    mingle::{Base, alike},
    record::{Carried, Props},
};

use crate::store::{
    alias, app_meeting,
    error::StoreError,
    record::{self, Held},
    sync::{
        Ground,
        link::{self, Linked},
    },
    tx::Tx,
};

/// A record that is another one now, and that one.
pub(super) struct Aliased {
    was: Held,
    is: Held,
}

/// Whether what the app calls by this id is another record now.
pub(super) fn of(tx: &Tx<'_>, ground: &Ground, linked: Option<&Linked>, id: &str) -> Result<Option<Aliased>, StoreError> {
    let was = match linked {
        Some(linked) => record::by_row(tx.conn(), linked.record)?,
        None => record::find(tx.conn(), ground.collection, id)?,
    };
    let Some(was) = was.filter(|was| was.data.is_none()) else { return Ok(None) };
    let Some(now) = alias::of(tx.conn(), was.record)? else { return Ok(None) };
    Ok(record::by_row(tx.conn(), now)?.map(|is| Aliased { was, is }))
}

/// What the app changed of the one that went is changed in the other, and the app is told that the former leaves. That it deleted it says
/// nothing of the other, of which it did not know that it is the same.
pub(super) fn meet(
    tx: &mut Tx<'_>,
    ground: &Ground,
    linked: Option<&Linked>,
    of: &Aliased,
    (id, theirs): (&str, Option<&Props>),
    pass: u64,
    did: &mut Mingled,
) -> Result<(), StoreError> {
    let before = linked.map_or_else(Link::unborn, |linked| linked.state.clone());
    let agreed = theirs.map_or(Agreed::Gone, |theirs| Agreed::Own(theirs.clone()));
    if let Some(theirs) = theirs {
        let collection = tx.defined(&ground.spec.collection)?;
        let base = match &before.agreed {
            Agreed::Own(agreed) => Some(agreed),
            Agreed::Same | Agreed::Gone | Agreed::Former(_) | Agreed::Unknown => None,
        };
        let policy = &collection.definition.policy;
        let unchanged = base.is_some_and(|base| alike(base, theirs, &Carried::All, policy));
        // What was deleted meanwhile comes back for an edit alone.
        if !unchanged && (base.is_some() || of.is.data.is_some()) {
            let base = base.map_or(Base::Unknown, Base::Known);
            let mingled = app_meeting::over(&collection, of.is.props()?.as_ref(), base, theirs);
            let seq = app_meeting::write(tx, &of.is, &mingled, &ground.origin)?;
            did.changed += u64::from(seq != of.is.seq);
            did.conflicts += mingled.clashes.len() as u64;
        }
    }
    let state = Link { remote_id: Some(id.to_owned()), agreed, confirmed: 0, ..before };
    match linked {
        Some(linked) => link::save(tx, linked.link, &state, false),
        None => link::insert(tx, ground.replica, of.was.record, &state, false, pass).map(|_| ()),
    }
}
