//! Owns: what can be wrong with the disk under a store, and how it is told to apps and to people. Must never know: how it is found out.

use std::io;

use mingle_core::ask::Refusal;

/// Why the store takes no writes for now, or not all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no room, or a quota is used up.
    Full,
    /// The file, or the file system it is on, may not be written.
    ReadOnly,
    /// The disk fails: what it said last.
    Failed(String),
    /// SQLite finds the file damaged while it is in use.
    Damaged(String),
    /// The file, its log or its index was removed, replaced or cut while it is in use.
    Moved,
}

impl Trouble {
    /// What `attention` says it is about.
    pub const ABOUT: &str = "disk";

    /// Every name there is.
    pub const NAMES: [&str; 5] = ["disk_full", "disk_read_only", "disk_failed", "store_damaged", "store_moved"];

    /// What `attention` calls it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Full => "disk_full",
            Self::ReadOnly => "disk_read_only",
            Self::Failed(_) => "disk_failed",
            Self::Damaged(_) => "store_damaged",
            Self::Moved => "store_moved",
        }
    }

    /// What it is, without anything that only concerns this machine.
    #[must_use]
    pub fn what(&self) -> &'static str {
        match self {
            Self::Full => "the disk is full: nothing was written",
            Self::ReadOnly => "the store takes no writes: its file or file system is read-only",
            Self::Failed(_) => "the store takes no writes for now: its disk fails",
            Self::Damaged(_) => "the store takes no writes: its file is damaged",
            Self::Moved => "the store takes no writes: its files were removed, replaced or cut while mingled runs",
        }
    }

    /// Both, as `attention` says it.
    #[must_use]
    pub fn hint(&self) -> String {
        format!("{}; {}", self.what(), self.remedy())
    }

    /// What to do.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Full => "free some space; reads go on, and writes by themselves",
            Self::ReadOnly => "make it writable (`mount`, `lsattr`); reads go on, and writes by themselves",
            Self::Failed(_) => "look at the disk (`dmesg`); reads go on, and writes by themselves once it works",
            Self::Damaged(_) => "copy the store's files, then restart mingled: a store that is damaged is moved aside and kept",
            Self::Moved => "put back what was there, or restart mingled to work on what is there now",
        }
    }

    /// What to do where the daemon does not start for it.
    pub(super) fn remedy_at_start(&self) -> &'static str {
        match self {
            Self::Full => "free some space, and start mingled again",
            Self::ReadOnly => "make the store's folder writable (`mount`, `lsattr`), and start mingled again",
            _ => "look at the disk (`dmesg`), and at the store (`mingle doctor`)",
        }
    }

    /// What a call of the system that failed says of the disk.
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::WriteZero => Self::Full,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => Self::ReadOnly,
            _ => Self::Failed(error.to_string()),
        }
    }

    /// What the app hears whose write comes meanwhile.
    pub(super) fn refusal(&self) -> Refusal {
        match self {
            Self::Full => Refusal::DiskFull(self.what().into()),
            other => Refusal::Shut(other.what().into(), other.remedy().into()),
        }
    }
}
