//! Owns: bringing a store to the newest schema: a copy of an older one first, then every missing step in one transaction, whole or not at
//! all. Must never know: what the steps do.

use std::path::{Path, PathBuf};

use mingle_core::time::Timestamp;
use rusqlite::{Batch, Connection, TransactionBehavior, fallible_iterator::FallibleIterator as _};

use super::{
    copies::{self, Keeping},
    error::StoreError,
    limits, open,
    schema::{Standing, Way},
    views,
};

/// A store of an older schema was brought to the newest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgraded {
    /// The schema that it was of.
    pub from: u32,
    /// The one that it is of now.
    pub to: u32,
    /// The store as it was before; none where the caller has it anyway.
    pub kept: Option<PathBuf>,
}

/// What is told while an older store is brought to the newest schema: for a log, and for whoever waits for the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrading {
    /// It begins, from this schema to that one.
    Began(u32, u32),
    /// It goes on; nothing is said but that.
    GoesOn,
    /// The copy is whole and on the disk; it has no name yet.
    Copied,
    /// The next statement is begun, from 1.
    Statement(u32),
    /// All statements were done; the copy gets its name next.
    Done,
    /// The copy has its name; the commit comes next.
    Kept,
    /// It is of the newest schema.
    Committed,
}

/// Whom it is told to. It must not block.
pub type Tell = fn(Upgrading);

/// Brings a store to the newest schema. None: it was of it already, or is new. `path`: where its copy is kept beside; none: nowhere.
///
/// # Errors
/// [`StoreError::NotUpgraded`] where the copy cannot be made or a step fails: the store is as it was. [`StoreError::Damaged`] where
/// it was damaged before.
pub(super) fn upgrade(
    path: Option<&Path>,
    conn: &mut Connection,
    way: &Way,
    now: Timestamp,
    tell: Tell,
) -> Result<Option<Upgraded>, StoreError> {
    let Standing::Older { from, .. } = way.standing(conn)? else {
        // Nothing is in it yet, so nobody waits for it.
        return take(conn, way, |_| {}, None).map(|()| None);
    };
    let to = way.newest();
    tell(Upgrading::Began(from, to));
    // What is damaged is told as that, and not as a copy that failed.
    open::sound(conn)?;
    // Steps that make a table anew take the old one away, which others point at; what points nowhere in the end is looked for.
    conn.pragma_update(None, "foreign_keys", "off")?;
    conn.progress_handler(limits::UPGRADE_STEPS, Some(move || goes_on(tell)))?;
    let kept = keep_and_take(path, conn, way, now, tell);
    conn.progress_handler(0, None::<fn() -> bool>)?;
    conn.pragma_update(None, "foreign_keys", "on")?;
    let kept = kept.map_err(|why| StoreError::NotUpgraded { from, to, why: Box::new(why) })?;
    tell(Upgrading::Committed);
    Ok(Some(Upgraded { from, to, kept }))
}

fn goes_on(tell: Tell) -> bool {
    tell(Upgrading::GoesOn);
    false
}

fn keep_and_take(
    path: Option<&Path>,
    conn: &mut Connection,
    way: &Way,
    now: Timestamp,
    tell: Tell,
) -> Result<Option<PathBuf>, StoreError> {
    let Some(path) = path else { return take(conn, way, tell, None).map(|()| None) };
    let keeping = copies::keep(conn, path, now, || tell(Upgrading::GoesOn))?;
    tell(Upgrading::Copied);
    let kept = keeping.name().to_owned();
    take(conn, way, tell, Some(keeping)).inspect_err(|error| {
        // Only a full disk is a sure no: then the next start makes its own copy, and this one would take the room for it.
        if matches!(error, StoreError::Full) {
            let _ = std::fs::remove_file(&kept);
        }
    })?;
    Ok(Some(kept))
}

/// Every step that is missing, in one transaction. The copy gets its name before the commit, so that a store of the newest schema
/// never lacks it, and after the steps, so that steps that fail leave none behind.
fn take(conn: &mut Connection, way: &Way, tell: Tell, keeping: Option<Keeping>) -> Result<(), StoreError> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read once more: only now nobody else changes it.
    let steps = match way.standing(&tx)? {
        Standing::Newest => return Ok(()),
        Standing::New => way.steps.to_vec(),
        Standing::Older { steps, .. } => {
            views::unpublish_all(&tx)?;
            steps
        }
    };
    let mut count = 0;
    for step in steps {
        let mut batch = Batch::new(&tx, step);
        while let Some(mut statement) = batch.next()? {
            count += 1;
            tell(Upgrading::Statement(count));
            // Some pragmas and checks answer with rows.
            let mut rows = statement.query(())?;
            while rows.next()?.is_some() {}
        }
    }
    whole(&tx)?;
    way.sign(&tx)?;
    tell(Upgrading::Done);
    if let Some(keeping) = keeping {
        keeping.publish()?;
        tell(Upgrading::Kept);
    }
    Ok(tx.commit()?)
}

/// Nothing points at what is not there.
fn whole(conn: &Connection) -> Result<(), StoreError> {
    let mut broken = conn.prepare("PRAGMA foreign_key_check")?;
    let mut rows = broken.query(())?;
    match rows.next()? {
        None => Ok(()),
        Some(row) => Err(StoreError::Corrupt(format!("a row of {} points at nothing", row.get::<_, String>(0)?))),
    }
}

#[cfg(test)]
mod tests;
