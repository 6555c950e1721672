//! Owns: counting how far another history of the remote is from ours, applying nothing. Must never know: what follows from it.

use mingle_core::{
    meeting::{Agreed, alike},
    replica::{Packed, RowState},
    run::Compared,
};
use rusqlite::Connection;

use super::{Ground, abroad::Atlas, frozen, link, present};
use crate::store::error::StoreError;

/// Counts rows that differ from what was agreed, or are not known.
pub fn compare(conn: &Connection, ground: &Ground, rows: &[Packed]) -> Result<Compared, StoreError> {
    let mut compared = Compared::default();
    let atlas = Atlas::of(conn, ground)?;
    for row in rows {
        let mut row = row.open();
        let mut linked = link::by_remote_id(conn, ground.replica, &row.remote_id)?;
        if let Some(atlas) = &atlas {
            atlas.arrive(conn, &mut row)?;
            if let Some(linked) = &mut linked {
                atlas.resolve(conn, &mut linked.state)?;
            }
        }
        let known = linked.as_ref().is_some_and(|linked| matches!(linked.state.agreed, Agreed::Own(_) | Agreed::Same));
        let equal = match (linked, &row.state) {
            (Some(linked), RowState::Live(theirs)) => {
                let frozen = frozen(conn, linked.link)?;
                let rules = ground.rules(&frozen);
                let theirs = linked.state.in_our_forms(theirs, rules);
                let agreed = match linked.state.agreed {
                    Agreed::Own(agreed) => Some(agreed),
                    Agreed::Same => present(conn, linked.record)?.props,
                    Agreed::Gone | Agreed::Former(_) | Agreed::Unknown => None,
                };
                let carried = &rules.abilities.carried;
                agreed.is_some_and(|agreed| alike(&carried.of(&agreed), &carried.of(&theirs), rules))
            }
            (None, RowState::Gone) => true,
            _ => false,
        };
        compared.differ += u64::from(!equal);
        compared.known += u64::from(known);
    }
    Ok(compared)
}
