//! Owns: whether a path is a place a store may be in, its rights, and moving a damaged store aside. Must never know: what is in
//! the file: only SQLite ever opens it; here it is only looked up, given rights and renamed.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use mingle_core::time::Timestamp;

use super::error::StoreError;

/// The file systems on which locks or shared memory do not hold, by the number `statfs` gives them.
#[cfg(target_os = "linux")]
const NETWORK: &[(i128, &str)] =
    &[(0x6969, "NFS"), (0xff53_4d42, "CIFS"), (0xfe53_4d42, "SMB2"), (0x517b, "SMB"), (0x0102_1997, "9p"), (0x5346_414f, "AFS")];

/// Refuses links, shared files, other people's files and network file systems. Whether the file exists.
pub(super) fn check(path: &Path) -> Result<bool, StoreError> {
    let refuse = |what: String| Err(StoreError::Place(what));
    let found = match fs::symlink_metadata(path) {
        Ok(found) => Some(found),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return refuse(format!("the store cannot be looked up: {error}")),
    };
    if let Some(found) = &found {
        if !found.is_file() {
            return refuse("the store is no ordinary file; set store.path to the file itself".into());
        }
        if found.nlink() != 1 {
            return refuse("the store has a second name (hard link); a store must have one".into());
        }
        if found.uid() != rustix::process::geteuid().as_raw() {
            return refuse("the store belongs to another user".into());
        }
    }
    network(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?;
    Ok(found.is_some())
}

#[cfg(target_os = "linux")]
fn network(directory: &Path) -> Result<(), StoreError> {
    let told = rustix::fs::statfs(directory)
        .map_err(|error| StoreError::Place(format!("the store's directory cannot be looked up: {error}; make it first")))?;
    // Its type has another width and sign on each architecture; the number itself has 32 bits.
    let kind = i128::from(told.f_type) & 0xffff_ffff;
    match NETWORK.iter().find(|(number, _)| *number == kind) {
        Some((_, name)) => Err(StoreError::Place(format!(
            "the store lies on a network file system ({name}), where locks do not hold; set store.path"
        ))),
        None => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn network(_: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// Nobody but the owner reads or writes it; the log and its index take their rights from the store.
pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
        .map_err(|error| StoreError::Place(format!("the store's rights cannot be set to 0600: {error}")))
}

/// Renames the three files of a damaged store so that it still opens under its new name, which is returned: it may hold writes
/// that were never sent.
pub(super) fn move_aside(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
    let mut aside = with(path, &format!(".corrupt-{}", now.unix_ms()));
    for more in 1..100 {
        if fs::symlink_metadata(&aside).is_err() {
            break;
        }
        aside = with(path, &format!(".corrupt-{}-{more}", now.unix_ms()));
    }
    // The store first: a store that lost its log could look sound and be older than what was acknowledged; a log without its
    // store is seen by the next start (`left_over`), which moves it too.
    for end in ["", "-wal", "-shm"] {
        match fs::rename(with(path, end), with(&aside, end)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::Place(format!("the damaged store cannot be moved aside: {error}")));
            }
            _ => {}
        }
    }
    Ok(aside)
}

/// Which file a path leads to: its device and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity(u64, u64);

/// The file behind the path now, and its bytes; none: there is none, or it cannot be told.
fn identity(path: &Path) -> Option<(Identity, u64)> {
    fs::symlink_metadata(path).ok().map(|found| (Identity(found.dev(), found.ino()), found.len()))
}

/// The three files of a store that is open: itself, its log, the log's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Files {
    store: Identity,
    /// The store never becomes shorter: nothing of ours gives room back.
    bytes: u64,
    log: Option<Identity>,
    index: Option<Identity>,
}

/// The log's head, and what it has for each page of 4 KiB (SQLite's file format).
const LOG_HEAD_BYTES: u64 = 32;
const LOG_PAGE_BYTES: u64 = 24 + 4_096;

impl Files {
    /// Those behind the path now.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let (store, bytes) = identity(path)?;
        let of = |end: &str| identity(&with(path, end)).map(|(found, _)| found);
        Some(Self { store, bytes, log: of("-wal"), index: of("-shm") })
    }

    /// Whether the store itself is still the one behind the path.
    pub(super) fn has_store(&self, path: &Path) -> bool {
        identity(path).is_some_and(|(found, _)| found == self.store)
    }

    /// Whether all three are still there and whole; the log has so many pages.
    pub(super) fn are_there(&mut self, path: &Path, log_pages: u32) -> bool {
        let Some((_, bytes)) = identity(path).filter(|(found, bytes)| *found == self.store && *bytes >= self.bytes) else {
            return false;
        };
        self.bytes = bytes;
        let log = identity(&with(path, "-wal"));
        let index = identity(&with(path, "-shm")).map(|(found, _)| found);
        let needs = if log_pages == 0 { 0 } else { LOG_HEAD_BYTES + u64::from(log_pages) * LOG_PAGE_BYTES };
        // Where SQLite had not made them yet, they are there from now on.
        (self.log, self.index) = (self.log.or(log.map(|(found, _)| found)), self.index.or(index));
        log.is_some_and(|(found, bytes)| Some(found) == self.log && bytes >= needs) && index == self.index
    }

    /// Whether the three are behind their paths again.
    pub(super) fn are_back(&self, path: &Path) -> bool {
        Self::of(path)
            .is_some_and(|now| (now.store, now.log, now.index) == (self.store, self.log, self.index) && now.bytes >= self.bytes)
    }
}

/// Whether the folder of the store takes a file and keeps it: writes one, and takes it away.
pub(super) fn takes_writes(path: &Path) -> io::Result<()> {
    let probe = with(path, "-probe");
    let _ = fs::remove_file(&probe);
    let written = (|| {
        let mut file = fs::File::create_new(&probe)?;
        io::Write::write_all(&mut file, &[0; 4_096])?;
        file.sync_all()
    })();
    let _ = fs::remove_file(&probe);
    written
}

/// The bytes that are free for us there; where the system does not tell, as many as can be.
pub(super) fn room(path: &Path) -> u64 {
    let told = rustix::fs::statvfs(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")));
    told.map_or(u64::MAX, |told| told.f_bavail.saturating_mul(told.f_frsize))
}

/// Whether there is a log without its store.
pub(super) fn left_over(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err() && fs::symlink_metadata(with(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

pub(super) fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}
