//! Owns: what can go wrong in the store, and which refusal an app hears for it. Must never know: the wire.

use mingle_core::ask::Refusal;
use rusqlite::ErrorCode;

use super::{limits, trouble::Trouble};

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Not done, and for a reason the asker can understand.
    #[error("refused: {0:?}")]
    Refused(Refusal),
    /// The disk is full; nothing was written.
    #[error("the disk is full")]
    Full,
    /// Nothing is written for now.
    #[error("{}", .0.what())]
    Shut(Trouble),
    /// SQLite says that the file is damaged.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// A row is not in the form in which we write it, though the file is sound.
    #[error("the store contradicts itself: {0}")]
    Corrupt(String),
    /// The disk failed.
    #[error("the disk failed: {0}")]
    Disk(String),
    /// Too much waits for the writer, another process holds the file, or SQLite gets no memory: later it may be done.
    #[error("the store is busy")]
    Busy,
    /// The commit failed: it may or may not be there.
    #[error("the commit failed, so its outcome is not known: {0}")]
    Unknown(String),
    /// A read took more steps than it may.
    #[error("the read took too long")]
    Deadline,
    /// The file was written by a newer mingle; it was not touched.
    #[error("the store was written by a newer mingle (schema {found}; this one knows {known}) and is left as it is")]
    Newer {
        /// The file's.
        found: u32,
        /// The newest we know.
        known: u32,
    },
    /// The file was written by an older mingle, and could not be brought to our schema; it is as it was.
    #[error("the store is of schema {from} and was not brought to {to}, so it is as it was: {why}")]
    NotUpgraded {
        /// The file's.
        from: u32,
        /// The newest we know.
        to: u32,
        /// Why not.
        why: Box<StoreError>,
    },
    /// The file (or its place) is none that a store may be in.
    #[error("{0}")]
    Place(String),
    /// The disk has no room for a copy of the store; the store is as it was.
    #[error("a copy of the store needs {bytes} bytes, and {room} are free in {}", place.display())]
    NoRoom {
        /// What the copy needs.
        bytes: u64,
        /// What is free there.
        room: u64,
        /// Where the copy would be.
        place: std::path::PathBuf,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
    /// The writer's job panicked; its savepoint was rolled back.
    #[error("a write panicked and was rolled back")]
    Panicked,
    /// Anything else SQLite says: a mistake of ours.
    #[error("{0}")]
    Sql(rusqlite::Error),
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let told = error.to_string();
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::Shut(Trouble::ReadOnly),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(told),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => Self::Disk(told),
            // Memory that was short is there again once others have given theirs back.
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OutOfMemory) => Self::Busy,
            Some(ErrorCode::OperationInterrupted) => Self::Deadline,
            _ => Self::Sql(error),
        }
    }
}

impl StoreError {
    /// Whether the connection that met it must not be used any more (rule S8).
    #[must_use]
    pub fn spoils_connection(&self) -> bool {
        matches!(self, Self::Damaged(_) | Self::Disk(_))
    }

    /// The same where something was only read: nothing is in doubt then.
    #[must_use]
    pub fn of_a_read(self) -> Refusal {
        match self {
            Self::Disk(_) => Refusal::Unreadable("the disk failed where this was read".into()),
            Self::Damaged(_) => Refusal::Unreadable("the store is damaged where this was read".into()),
            Self::Shut(_) => Refusal::Unreadable("the store's files were removed or replaced: this was not read".into()),
            other => other.into(),
        }
    }

    /// What to do about a store that does not open.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Full => Trouble::Full.remedy_at_start(),
            Self::Shut(trouble) => trouble.remedy_at_start(),
            Self::Disk(_) => Trouble::Failed(String::new()).remedy_at_start(),
            _ => "`mingle doctor` looks at it; the log says more",
        }
    }

    /// What the others of a transaction hear that ended with this error. Only a full disk is a sure no: SQLite ran out of room
    /// before it could write the frame that commits.
    #[must_use]
    pub fn of_a_commit(&self) -> Self {
        match self {
            Self::Full => Self::Full,
            other => Self::Unknown(other.to_string()),
        }
    }
}

/// What an app hears. Inner words (paths, SQL) stay with us: the caller logs the error, the refusal carries none of it.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Refused(refusal) => refusal,
            StoreError::Full | StoreError::NoRoom { .. } => Trouble::Full.refusal(),
            StoreError::Shut(trouble) => trouble.refusal(),
            StoreError::Busy => Self::Busy(limits::BUSY_RETRY),
            StoreError::Unknown(_) | StoreError::Disk(_) => {
                Self::Unknown("the disk failed while this was written; ask again with the same op".into())
            }
            StoreError::Deadline => Self::Deadline("the question takes too long; ask for less, or name an index".into()),
            StoreError::Closed => Self::Stopped("mingled is going down".into(), None),
            StoreError::Corrupt(told) | StoreError::Damaged(told) => Self::Internal(told),
            error @ (StoreError::Newer { .. }
            | StoreError::NotUpgraded { .. }
            | StoreError::Place(_)
            | StoreError::Panicked
            | StoreError::Sql(_)) => Self::Internal(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_short_is_no_mistake_of_ours() {
        let said = || rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOMEM), None);
        assert!(matches!(StoreError::from(said()), StoreError::Busy));
        assert!(!StoreError::from(said()).spoils_connection());
        assert!(matches!(StoreError::from(said()).of_a_commit(), StoreError::Unknown(_)));
        assert!(matches!(Refusal::from(StoreError::from(said())), Refusal::Busy(_)));
    }
}
