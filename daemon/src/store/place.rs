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
pub(super) struct Identity(u64, u64);

/// The file behind the path now; none: there is none, or it cannot be told.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    fs::symlink_metadata(path).ok().map(|found| Identity(found.dev(), found.ino()))
}

/// Whether there is a log without its store.
pub(super) fn left_over(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err() && fs::symlink_metadata(with(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}
