//! Owns: folding the log back into the store beside those who write. Must never know: whose turn it is, what is written.
//!
//! The long part of it reads the log and writes the store, and needs nothing of whoever appends to the log meanwhile. Only a log that
//! is folded back to its end is begun anew, so the short rest is folded by the hand itself.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use rusqlite::Connection;

use super::{error::StoreError, limits};

/// What folds the log back: a connection of its own, on the same files as the hand's.
pub(super) struct Fold {
    pub conn: Connection,
    /// The pages in the log, as its last commit told.
    pub log_pages: Arc<AtomicU32>,
}

impl Fold {
    /// Folds back what there is, and what came meanwhile, until nothing did or a reader holds it back. SQLite syncs the store only where the
    /// log is at its end by then: what is not synced here would be left to the hand, and takes longer than all the rest.
    /// None: it met a disk that fails.
    pub(super) fn run(self) -> Option<Self> {
        for _ in 0..limits::FOLDS_MAX {
            match once(&self.conn) {
                Ok((log, folded)) if log == folded && self.log_pages.load(Ordering::Relaxed) > folded => {}
                Ok(_) => break,
                // The hand finds the same, and says so.
                Err(_) => return None,
            }
        }
        Some(self)
    }
}

/// Folds back what nobody reads any more: the pages that the log has, and those of them that are in the store now.
pub(super) fn once(conn: &Connection) -> Result<(u32, u32), StoreError> {
    Ok(conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |row| Ok((row.get(1)?, row.get(2)?)))?)
}
