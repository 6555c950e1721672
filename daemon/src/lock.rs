//! Owns: that one daemon at most works on a store: an exclusive lock on a file of its own, held for the life of the process.
//! Must never know: the store, the socket.
//!
//! The lock decides who is the daemon; the socket file does not. Whoever holds it may remove a stale socket. The file is never
//! deleted: two processes could then hold locks on two files of one name.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

/// Bytes of the lock file that are read to name the holder; the rest is not ours.
const HOLDER_BYTES_MAX: u64 = 200;

/// How often the file under the name is looked at again when somebody replaces it meanwhile. More means that somebody does so on
/// purpose; then taking it fails.
const TRIES_MAX: usize = 5;

/// Held for the life of the daemon; dropped last.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
    /// The folder of the store, locked too.
    folder: Option<File>,
}

/// Why the lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("mingled already runs{}: it holds {}", holder(.pid, .version), .path.display())]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, as that process wrote.
        pid: Option<u32>,
        /// Its version, as that process wrote.
        version: Option<String>,
    },
    /// A process with another lock works on a store in the same folder.
    #[error("another mingled works on the store in {}", .folder.display())]
    Elsewhere {
        /// The folder, by whatever way it was reached.
        folder: PathBuf,
    },
    /// The file cannot be used.
    #[error("cannot lock {}: {source}", .path.display())]
    Failed {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

fn holder(pid: &Option<u32>, version: &Option<String>) -> String {
    match (pid, version) {
        (Some(pid), Some(version)) => format!(" (process {pid}, version {version})"),
        (Some(pid), None) => format!(" (process {pid})"),
        _ => String::new(),
    }
}

impl LockError {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Held { pid: Some(pid), .. } => format!("use the one that runs, or end it with `kill {pid}`"),
            Self::Held { .. } => "use the one that runs".into(),
            Self::Elsewhere { .. } => {
                "it has another XDG_STATE_HOME: use that one, end it, or give this one a folder of its own by [store] path".into()
            }
            Self::Failed { path, .. } => format!("check `ls -l {}`; it must be a plain file of yours", path.display()),
        }
    }
}

impl Lock {
    /// Takes the lock, or says who has it. Never waits. The directory must be there and checked.
    ///
    /// # Errors
    /// When another process holds it, or the file cannot be opened, locked or written.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Failed { path: path.to_owned(), source };
        for _ in 0..TRIES_MAX {
            // std opens with O_CLOEXEC, so no child keeps the lock alive.
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(no_follow())
                .open(path)
                .map_err(failed)?;
            // In full: std's File has methods of the same names with other meanings.
            if let Err(error) = fs2::FileExt::try_lock_exclusive(&file) {
                return Err(if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() {
                    let (pid, version) = read_holder(&mut file);
                    LockError::Held { path: path.to_owned(), pid, version }
                } else {
                    failed(error)
                });
            }
            // Somebody may have removed the file by hand before it was locked: then the name leads elsewhere.
            if same_file(&file, path).map_err(failed)? {
                write_holder(&mut file).map_err(failed)?;
                return Ok(Self { file, path: path.to_owned(), folder: None });
            }
        }
        Err(failed(io::Error::other("the file is being replaced again and again")))
    }

    /// The same, and the folder of the store with it: a daemon with another state directory has another lock file, and a link or a
    /// mount another path; the folder is one. It is locked itself, so nothing is left behind in it.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be opened.
    pub fn with_folder(mut self, folder: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Failed { path: folder.to_owned(), source };
        let opened = OpenOptions::new().read(true).custom_flags(no_follow()).open(folder).map_err(failed)?;
        if let Err(error) = fs2::FileExt::try_lock_exclusive(&opened) {
            let elsewhere = error.raw_os_error() == fs2::lock_contended_error().raw_os_error();
            return Err(if elsewhere { LockError::Elsewhere { folder: folder.to_owned() } } else { failed(error) });
        }
        self.folder = Some(opened);
        Ok(self)
    }

    /// Whether the name still leads to the file that is locked. False: somebody removed it, and a second daemon could start.
    #[must_use]
    pub fn holds(&self) -> bool {
        same_file(&self.file, &self.path).unwrap_or(false)
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Who holds a lock, as somebody sees it who does not want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Nobody.
    Nobody,
    /// This process, of this version, as it wrote.
    Process {
        /// The process.
        pid: Option<u32>,
        /// Its version.
        version: Option<String>,
    },
    /// The system does not say.
    Unknown,
}

/// Looks who holds it, without taking it for a moment: a daemon that starts just then would find it held.
///
/// # Errors
/// When the file is there and cannot be read.
pub fn holder_of(path: &Path) -> io::Result<Holder> {
    let mut file = match OpenOptions::new().read(true).custom_flags(no_follow()).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Holder::Nobody),
        other => other?,
    };
    let about = file.metadata()?;
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else { return Ok(Holder::Unknown) };
    if !is_locked(&locks, about.ino()) {
        return Ok(Holder::Nobody);
    }
    let (pid, version) = read_holder(&mut file);
    Ok(Holder::Process { pid, version })
}

/// Whether the system's list of locks (proc(5)) has one of our kind on this file. Devices are not compared: some file systems show
/// another there than `stat` does.
fn is_locked(locks: &str, inode: u64) -> bool {
    locks.lines().any(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.contains(&"FLOCK")
            && words.iter().any(|word| word.rsplit(':').next() == Some(&inode.to_string()) && word.contains(':'))
    })
}

fn no_follow() -> i32 {
    i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0)
}

fn same_file(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::symlink_metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{} {}", std::process::id(), env!("CARGO_PKG_VERSION"))
}

fn read_holder(file: &mut File) -> (Option<u32>, Option<String>) {
    let mut text = String::new();
    if file.take(HOLDER_BYTES_MAX).read_to_string(&mut text).is_err() {
        return (None, None);
    }
    let mut words = text.split_whitespace();
    let pid = words.next().and_then(|word| word.parse().ok());
    (pid, words.next().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room() -> (tempfile::TempDir, PathBuf) {
        let room = tempfile::tempdir().expect("a directory for the test");
        let path = room.path().join("mingled.lock");
        (room, path)
    }

    #[test]
    fn the_second_is_refused_and_told_who_has_it() {
        let (_room, path) = room();
        let first = Lock::take(&path).expect("free");
        let refused = Lock::take(&path).expect_err("held");
        let me = std::process::id();
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            refused.to_string(),
            format!("mingled already runs (process {me}, version {version}): it holds {}", path.display())
        );
        assert_eq!(refused.hint(), format!("use the one that runs, or end it with `kill {me}`"));
        drop(first);
        assert!(path.exists(), "the file is never deleted");
        Lock::take(&path).expect("free again");
    }

    #[test]
    fn the_holder_is_seen_without_taking_the_lock() {
        let (_room, path) = room();
        assert_eq!(holder_of(&path).expect("seen"), Holder::Nobody);
        let lock = Lock::take(&path).expect("free");
        let version = Some(env!("CARGO_PKG_VERSION").to_owned());
        assert_eq!(holder_of(&path).expect("seen"), Holder::Process { pid: Some(std::process::id()), version });
        drop(lock);
        assert_eq!(holder_of(&path).expect("seen"), Holder::Nobody);
        let line = "1: FLOCK  ADVISORY  WRITE 4711 fe:00:131 0 EOF\n2: POSIX  ADVISORY  WRITE 4711 fe:00:132 0 EOF\n";
        for (inode, held) in [(131, true), (132, false), (31, false)] {
            assert_eq!(is_locked(line, inode), held, "{inode}");
        }
    }

    #[test]
    fn a_file_left_by_a_crash_holds_nobody_up() {
        let (_room, path) = room();
        std::fs::write(&path, "4711 0.0.1 and more than that\n").expect("written");
        let lock = Lock::take(&path).expect("nobody holds it");
        assert!(lock.holds());
        let text = std::fs::read_to_string(&path).expect("there");
        assert_eq!(text, format!("{} {}\n", std::process::id(), env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn a_holder_without_a_name_is_still_a_holder() {
        let (_room, path) = room();
        for content in [b"\xff\xfe".as_slice(), b"", b"not a number"] {
            std::fs::write(&path, content).expect("written");
            let other = File::open(&path).expect("there");
            fs2::FileExt::try_lock_exclusive(&other).expect("free");
            let refused = Lock::take(&path).expect_err("held");
            assert!(refused.to_string().starts_with("mingled already runs: it holds "), "{refused}");
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let (room, path) = room();
        let victim = room.path().join("victim");
        std::fs::write(&victim, "precious").expect("written");
        std::os::unix::fs::symlink(&victim, &path).expect("link");
        assert!(matches!(Lock::take(&path), Err(LockError::Failed { .. })));
        assert_eq!(std::fs::read_to_string(&victim).expect("there"), "precious");
    }

    #[test]
    fn a_folder_is_one_by_whatever_lock_and_path() {
        let (room, path) = room();
        let folder = room.path().join("data");
        std::fs::create_dir(&folder).expect("made");
        let first = Lock::take(&path).and_then(|lock| lock.with_folder(&folder)).expect("free");
        let other = |folder: &Path| Lock::take(&room.path().join("other.lock")).and_then(|lock| lock.with_folder(folder));
        let error = other(&folder).expect_err("held");
        assert!(matches!(error, LockError::Elsewhere { .. }) && error.hint().contains("XDG_STATE_HOME"), "{error}");
        assert!(other(&room.path().join("data/../data")).is_err(), "another path, the same folder");
        assert!(other(room.path()).is_ok(), "another folder");
        drop(first);
        assert!(other(&folder).is_ok());
    }

    #[test]
    fn a_removed_file_is_noticed() {
        let (_room, path) = room();
        let lock = Lock::take(&path).expect("free");
        std::fs::remove_file(&path).expect("there");
        assert!(!lock.holds());
    }
}
