//! Owns: what the hand does when the disk fails, fills up, or the files go away under it; and how it comes back. Must never know: what
//! the jobs do.

use mingle_core::time::Timestamp;
use tokio::sync::oneshot;

use super::{Failed, Hand, Job};
use crate::store::{
    error::StoreError,
    ledger::HEAD,
    limits, open,
    place::{self, Files},
    trouble::Trouble,
    tx::Tx,
};

/// How the disk behaves.
pub(super) enum Disk {
    Sound,
    /// It failed, and the connection was made anew.
    Failed(Timestamp),
    /// Nothing is written until a probe succeeds.
    Shut(Trouble),
}

/// A write that changes nothing, and reaches the disk all the same.
pub(in crate::store) struct Probe {
    pub now: Timestamp,
    pub reply: oneshot::Sender<Result<(), StoreError>>,
}

impl Job for Probe {
    fn now(&self) -> Timestamp {
        self.now
    }

    fn is_guarded(&self) -> bool {
        false
    }

    fn probes(&self) -> bool {
        true
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Failed> {
        match tx.conn.execute("UPDATE m_store SET clean = 0", ()).map_err(StoreError::from) {
            Ok(_) => Ok(()),
            Err(StoreError::Full) => Err(Failed::Full),
            Err(error) => Err(Failed::Spoiled(error)),
        }
    }

    fn answer(self: Box<Self>, lost: Option<StoreError>) {
        // Nobody waiting is no error: the asker went away.
        let _ = self.reply.send(lost.map_or(Ok(()), Err));
    }
}

impl Hand {
    /// Whether the hand may write now.
    pub(in crate::store) fn stand(&mut self) -> Result<(), StoreError> {
        if let Disk::Shut(trouble) = &self.disk {
            return Err(StoreError::Shut(trouble.clone()));
        }
        match self.has_files() {
            true => Ok(()),
            false => {
                self.is_moved();
                Err(StoreError::Shut(Trouble::Moved))
            }
        }
    }

    pub(super) fn has_files(&mut self) -> bool {
        let log_pages = self.log_pages();
        match (&self.place, &mut self.files) {
            (Some((path, _)), Some(files)) => files.are_there(path, log_pages),
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    /// Whether what was just committed is in the files that the next start will find. To be asked before anybody hears that it is.
    pub(super) fn is_there(&mut self) -> Result<(), StoreError> {
        match self.has_files() {
            true => Ok(()),
            false => {
                self.is_moved();
                Err(StoreError::Unknown("the store's files were removed, replaced or cut".into()))
            }
        }
    }

    fn is_moved(&mut self) {
        self.shut(Trouble::Moved);
        // What was acknowledged goes into the store itself, as far as we hold it: so that losing the log costs nothing.
        let Some(conn) = &self.conn else { return };
        if let Err(error) = conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", (), |_| Ok(())) {
            tracing::error!(%error, "the log could not be folded back");
        }
    }

    fn shut(&mut self, trouble: Trouble) {
        self.tell(trouble.clone());
        self.disk = Disk::Shut(trouble);
    }

    /// Said in the log when it is news; a disk that stays bad is not told of again and again.
    fn tell(&self, trouble: Trouble) {
        let (what, remedy) = (trouble.what(), trouble.remedy());
        let detail = match &trouble {
            Trouble::Failed(why) | Trouble::Damaged(why) => why.clone(),
            _ => String::new(),
        };
        if self.news.trouble(Some(trouble)) {
            tracing::error!(remedy, detail, "{what}");
        }
    }

    /// Some write found no room; others may have.
    pub(super) fn is_full(&self) {
        self.tell(Trouble::Full);
    }

    /// Rule S8: a connection that met a failing disk is not trusted again; what it would say of unsynced pages may be wrong.
    pub(super) fn recover(&mut self, error: &StoreError, now: Timestamp) {
        match error {
            StoreError::Full => return self.is_full(),
            // A connection that was opened without the right to write never gets it.
            StoreError::Shut(trouble) if !matches!(self.disk, Disk::Shut(_)) => return self.shut(trouble.clone()),
            error if !error.spoils_connection() => return,
            _ => {}
        }
        let Some((path, _)) = &self.place else { return };
        let again = matches!(self.disk, Disk::Failed(at) if now.since(at) < limits::DISK_ERRORS_WITHIN);
        // SQLite has one word for most of what a disk does; the system has more.
        let trouble = match (place::takes_writes(path), error) {
            (Err(why), _) => Some(Trouble::of(&why)),
            (Ok(()), StoreError::Damaged(told)) if again => Some(Trouble::Damaged(told.clone())),
            (Ok(()), error) => again.then(|| Trouble::Failed(error.to_string())),
        };
        match trouble {
            Some(trouble) => self.shut(trouble),
            None => {
                tracing::error!(%error, "the store's disk failed; the connection is made anew");
                self.disk = Disk::Failed(now);
                self.reopen();
            }
        }
    }

    /// Makes the connection anew; shuts the store where that cannot be.
    fn reopen(&mut self) {
        let Some((path, options)) = self.place.clone() else { return };
        drop(self.conn.take());
        let opened = open::connect(&path, options, false).and_then(|conn| {
            let (seq, instance): (u64, String) =
                conn.query_row(&format!("SELECT {HEAD}, instance FROM m_store"), (), |row| Ok((row.get(0)?, row.get(1)?)))?;
            Ok((conn, seq, instance))
        });
        let taken = opened.and_then(|(conn, seq, instance)| {
            if seq < self.news.seq() {
                // What was acknowledged is not there any more: positions of this instance lie.
                let renewed = self.books.ids.instance();
                tracing::error!(seq, told = self.news.seq(), "acknowledged writes are gone; the store gets a new instance");
                conn.execute("UPDATE m_store SET instance = ?1", [&renewed])?;
                self.books.instance = renewed.into();
            } else {
                self.books.instance = instance.into();
            }
            self.books.seq = seq;
            self.take_up(conn)
        });
        match taken {
            Ok(()) => {}
            Err(StoreError::Full) => self.shut(Trouble::Full),
            Err(StoreError::Shut(trouble)) => self.shut(trouble),
            Err(StoreError::Damaged(told)) => self.shut(Trouble::Damaged(told)),
            Err(error) => self.shut(Trouble::Failed(error.to_string())),
        }
    }

    /// Opens a store that is shut, where its disk seems good again; the write that comes next shows whether it is.
    pub(super) fn try_again(&mut self, now: Timestamp) {
        let (Disk::Shut(trouble), Some((path, _))) = (&self.disk, &self.place) else { return };
        let is_moved = *trouble == Trouble::Moved;
        if self.files.as_ref().is_some_and(|files| !files.has_store(path) || (is_moved && !files.are_back(path))) {
            return self.shut(Trouble::Moved);
        }
        if let Err(why) = place::takes_writes(path) {
            return self.shut(Trouble::of(&why));
        }
        self.disk = Disk::Failed(now);
        self.reopen();
    }

    /// A probe reached the disk.
    pub(super) fn is_well(&mut self) {
        let still = match self.news.troubled() {
            Some(Trouble::Full) => self.place.as_ref().is_some_and(|(path, _)| place::room(path) < limits::ROOM_BYTES),
            // One page that can be written says nothing about the others.
            Some(Trouble::Damaged(_)) => {
                self.conn.as_ref().is_none_or(|conn| open::is_small(conn).is_err() || open::sound(conn).is_err())
            }
            _ => false,
        };
        if still {
            return;
        }
        if self.news.trouble(None) {
            tracing::info!("the store takes writes again");
        }
    }

    /// What is now behind the path, and is to stay.
    pub(super) fn files_of(&self) -> Option<Files> {
        self.place.as_ref().and_then(|(path, _)| Files::of(path))
    }
}
