//! Owns: finding the process that reads the store's file for so long that its log cannot be folded back. Must never know: what is done
//! about it.
//!
//! SQLite's readers hold a lock on a byte of the log's index as long as they read. The system lists who holds which lock; the files
//! themselves are never opened here (closing them would drop our own locks).

use std::path::{Path, PathBuf};

/// The bytes of the index on which readers hold their locks (the file format of SQLite's log: 120 and 3 behind it, five of them).
#[cfg(target_os = "linux")]
const READERS: std::ops::RangeInclusive<u64> = 123..=127;

/// Who reads the store's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A process.
    Process {
        /// Its number.
        pid: u32,
        /// Its name, where that can be told.
        name: String,
    },
    /// The list of locks is not shown to us (a unit's `ProcSubset=pid` hides it): somebody, or nobody.
    Unknown,
}

/// Other processes that are in the middle of a read of this store; empty where none is. To be asked where the log has grown long.
#[cfg(target_os = "linux")]
#[must_use]
pub fn holders(store: &Path) -> Vec<Holder> {
    use std::os::unix::fs::MetadataExt as _;

    let index = index(store);
    let Ok(about) = std::fs::symlink_metadata(&index) else { return Vec::new() };
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else { return vec![Holder::Unknown] };
    let us = std::process::id();
    let pids = readers(&locks, about.ino()).into_iter().filter(|pid| *pid != us && has_open(*pid, &index));
    pids.map(|pid| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Holder::Process { pid, name: name.trim().to_owned() }
    })
    .collect()
}

/// Not told on this system.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn holders(_store: &Path) -> Vec<Holder> {
    Vec::new()
}

#[cfg(target_os = "linux")]
fn index(store: &Path) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push("-shm");
    name.into()
}

/// Files of other disks can have the same number: the process must have this very one open, where we may look.
#[cfg(target_os = "linux")]
fn has_open(pid: u32, index: &Path) -> bool {
    let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return true };
    open.flatten().any(|entry| std::fs::read_link(entry.path()).is_ok_and(|path| path == index))
}

/// Who holds a reader's lock on the file of this number, by lines such as
/// `3: POSIX  ADVISORY  READ 4711 08:02:131 124 124`.
#[cfg(target_os = "linux")]
fn readers(locks: &str, file: u64) -> Vec<u32> {
    let mut found = Vec::new();
    for line in locks.lines() {
        let mut words = line.split_whitespace().skip_while(|word| *word != "READ").skip(1);
        let (Some(pid), Some(place), Some(first)) = (words.next(), words.next(), words.next()) else { continue };
        let (Ok(pid), Ok(first)) = (pid.parse::<u32>(), first.parse::<u64>()) else { continue };
        let number = place.rsplit(':').next().and_then(|number| number.parse::<u64>().ok());
        if number == Some(file) && READERS.contains(&first) && !found.contains(&pid) {
            found.push(pid);
        }
    }
    found
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn readers_are_told_from_the_list_of_locks() {
        let locks = "1: POSIX  ADVISORY  READ 4711 08:02:131 124 124\n\
                     2: POSIX  ADVISORY  READ 4711 08:02:131 128 128\n\
                     3: POSIX  ADVISORY  WRITE 4712 08:02:131 120 120\n\
                     4: FLOCK  ADVISORY  WRITE 4713 08:02:131 0 EOF\n\
                     5: POSIX  ADVISORY  READ 4714 08:02:132 124 124\n\
                     6: -> POSIX  ADVISORY  READ 4715 08:02:131 123 123\n\
                     7: OFDLCK ADVISORY  READ -1 08:02:131 123 123\nnonsense\n";
        assert_eq!(readers(locks, 131), [4711, 4715]);
        assert_eq!(readers(locks, 132), [4714]);
        assert_eq!(readers("", 131), [0; 0]);
    }

    #[test]
    fn our_own_reads_are_nobody_elses() {
        let room = tempfile::tempdir().expect("a directory");
        let store = room.path().join("store.db");
        assert_eq!(holders(&store), []);
        std::fs::write(index(&store), "").expect("written");
        assert_eq!(holders(&store), []);
    }
}
