//! Owns: the folder itself: that it is the one that was opened, that one process has it, and each file in it whole or not at all.
//! Must never know: what a file holds.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use mingle_core::planted;
use rustix::{
    fs::{CWD, FlockOperation, RenameFlags, renameat_with},
    io::Errno,
};

use crate::{file, limits::FILE_BYTES_MAX};

/// The lock of the process that has the folder.
const LOCK: &str = ".mingle.lock";
/// What is being written, and is nobody else's. No reader of such folders looks at a hidden name without an ending.
const NEW: &str = ".mingle.new";
/// What takes the place of a file; then what lay there, until it was looked at: it may be an edit, so nothing is ever written over it.
const OUT: &str = ".mingle.out";

/// What keeps a folder from being read or written.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process has it.
    #[error("another `mingle vdir` has {}", .0.display())]
    Taken(PathBuf),
    /// It is not there any more, or another one is in its place.
    #[error("{} is gone, or another folder is in its place", .0.display())]
    Gone(PathBuf),
    /// The system.
    #[error("{}: {why}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        why: io::Error,
    },
    /// What it remembers cannot be read.
    #[error("what {} says cannot be read: {why}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// It is the copy of another collection.
    #[error("{} holds {holds}, and not {wanted}", path.display())]
    Other {
        /// The folder.
        path: PathBuf,
        /// What it is the copy of.
        holds: String,
        /// What was asked for.
        wanted: String,
    },
    /// It was copied with what it remembers: two would speak for one.
    #[error("{} is a copy of {}, which is in step by itself", path.display(), of.display())]
    Copied {
        /// The folder.
        path: PathBuf,
        /// The one that it was made of.
        of: PathBuf,
    },
}

impl FolderError {
    /// What a person may do; `once`: the command that has one meeting of the folder.
    #[must_use]
    pub fn hint(&self, once: &str) -> String {
        match self {
            Self::Taken(_) => "one is enough: end the other one, or leave it to it".into(),
            Self::Gone(_) => "is its disk mounted? Nothing was deleted; start again when it is there".into(),
            Self::Io { .. } => "check who owns it, and whether the disk is full".into(),
            Self::Broken { .. } => format!(
                "`{once}` with `--missing restore` makes it anew, and writes again what is not there; with `--missing delete` it takes that for \
                 deleted"
            ),
            Self::Other { .. } => "each collection has a folder of its own".into(),
            Self::Copied { .. } => "remove `.mingle.json` from the copy; its files are then taken for new".into(),
        }
    }
}

/// What a name stands for.
pub enum Found {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// Why it is not read.
    Odd(String),
}

/// A folder that this process has.
pub struct Folder {
    path: PathBuf,
    /// Device and number: what is mounted over it is another one.
    is: (u64, u64),
    _lock: File,
}

impl Folder {
    /// Opens it, and makes it where it is not there.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let not = |why| FolderError::Io { path: path.into(), why };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(not)?;
        let path = path.canonicalize().map_err(not)?;
        let lock = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path.join(LOCK));
        let lock = lock.map_err(|why| FolderError::Io { path: path.join(LOCK), why })?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(FolderError::Taken(path)),
            Err(why) => return Err(FolderError::Io { path: path.join(LOCK), why: why.into() }),
        }
        let is = number(&path).map_err(|why| FolderError::Io { path: path.clone(), why })?;
        Ok(Self { path, is, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it still is the one that was opened: a disk may have gone, and an empty folder be in its place.
    pub fn is_there(&self) -> Result<(), FolderError> {
        match number(&self.path) {
            Ok(is) if is == self.is => Ok(()),
            _ => Err(FolderError::Gone(self.path.clone())),
        }
    }

    /// All names in it that are text, in order.
    pub fn names(&self) -> Result<Vec<String>, FolderError> {
        self.is_there()?;
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(|why| self.not("", why))? {
            let entry = entry.map_err(|why| self.not("", why))?;
            names.extend(entry.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    /// What lies there; none: nothing.
    pub fn read(&self, name: &str) -> Result<Option<Found>, FolderError> {
        if fs::symlink_metadata(self.path.join(name)).is_ok_and(|meta| meta.is_symlink()) {
            return Ok(Some(Found::Odd("it is a link; put the file itself here".into())));
        }
        self.read_up_to(name, FILE_BYTES_MAX)
    }

    /// What lies there of our own, however large.
    pub fn own(&self, name: &str) -> Result<Option<Found>, FolderError> {
        self.read_up_to(name, u64::MAX)
    }

    fn read_up_to(&self, name: &str, bytes_max: u64) -> Result<Option<Found>, FolderError> {
        let path = self.path.join(name);
        let odd = |why: String| Ok(Some(Found::Odd(why)));
        match fs::metadata(&path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return odd(why.to_string()),
            Ok(meta) if !meta.is_file() => return odd("it is no file".into()),
            Ok(meta) if meta.len() > bytes_max => return odd(format!("it has more than {bytes_max} bytes")),
            Ok(_) => {}
        }
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Found::Bytes(bytes))),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            // Not to be read is not the same as not to be there.
            Err(why) => odd(why.to_string()),
        }
    }

    /// Puts a file in place, whole, with what it says on the disk.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        self.put(name, bytes, |new, to| fs::rename(new, to).map(|()| true)).map(drop)
    }

    /// The same where nobody has written it since it was read as `was` (none: it was not there); whether that was so. Where the system can
    /// exchange two files, an edit at the last moment is seen after that, and goes back.
    pub fn write_over(&self, name: &str, was: Option<&[u8]>, bytes: &[u8]) -> Result<bool, FolderError> {
        self.put(name, bytes, |new, to| {
            let Some(was) = was else { return place(new, to) };
            let out = self.path.join(OUT);
            if !place(new, &out)? {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            match exchange(&out, to) {
                Ok(true) => {}
                // There a last look has to do.
                Ok(false) if fs::read(to).ok().as_deref() == Some(was) => return fs::rename(&out, to).map(|()| true),
                Ok(false) => return fs::remove_file(&out).map(|()| false),
                // Somebody removed it in the meantime.
                Err(why) if why.kind() == io::ErrorKind::NotFound => return fs::remove_file(&out).map(|()| false),
                Err(why) => return Err(why),
            }
            if planted::is("an edit is written over") || fs::read(&out).is_ok_and(|is| is == was) {
                return fs::remove_file(&out).map(|()| true);
            }
            self.give_back(name, &|is| is == bytes).map(|()| false)
        })
    }

    fn put(&self, name: &str, bytes: &[u8], place: impl FnOnce(&Path, &Path) -> io::Result<bool>) -> Result<bool, FolderError> {
        let new = self.path.join(NEW);
        let write = || {
            let mode = fs::metadata(self.path.join(name)).map_or(0o600, |meta| meta.mode() & 0o777);
            let _ = fs::remove_file(&new);
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            place(&new, &self.path.join(name))
        };
        write().map_err(|why| self.not(name, why))
    }

    /// Takes a file away.
    pub fn remove(&self, name: &str) -> Result<(), FolderError> {
        match fs::remove_file(self.path.join(name)) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(self.not(name, why)),
            _ => Ok(()),
        }
    }

    /// The same where nobody has written it since it was read as `was`; whether that was so.
    pub fn remove_was(&self, name: &str, was: &[u8]) -> Result<bool, FolderError> {
        let (path, out) = (self.path.join(name), self.path.join(OUT));
        let take = || match place(&path, &out) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(why) => Err(why),
            Ok(false) => Err(io::ErrorKind::AlreadyExists.into()),
            Ok(true) if fs::read(&out).is_ok_and(|is| is == was) => fs::remove_file(&out).map(|()| true),
            Ok(true) => self.give_back(name, &|_| false).map(|()| false),
        };
        take().map_err(|why| self.not(name, why))
    }

    /// Whether a kill, or an error of the system, left something that may be an edit.
    pub fn is_unsettled(&self) -> bool {
        fs::symlink_metadata(self.path.join(OUT)).is_ok()
    }

    /// Brings that to its end: what is ours goes, an edit goes back to its place. `of`: the file that was being written; none: that is
    /// not known.
    pub fn settle(&self, of: Option<&str>, ours: &dyn Fn(&[u8]) -> bool) -> Result<(), FolderError> {
        let settle = || match (fs::read(self.path.join(OUT)), of) {
            (Err(why), _) if why.kind() == io::ErrorKind::NotFound => Ok(()),
            (Ok(is), _) if ours(&is) || planted::is("what a kill left is no edit") => fs::remove_file(self.path.join(OUT)),
            (_, Some(name)) => self.give_back(name, ours),
            (_, None) => self.keep_aside(file::NOBODYS),
        };
        settle().map_err(|why| self.not(OUT, why))
    }

    /// Puts an edit that was taken out back in its place. Where another one lies there by now, that is the newer one: it stays, and this
    /// one is kept beside it.
    fn give_back(&self, name: &str, ours: &dyn Fn(&[u8]) -> bool) -> io::Result<()> {
        let (out, to) = (self.path.join(OUT), self.path.join(name));
        if place(&out, &to)? {
            return Ok(());
        }
        if exchange(&out, &to)? {
            if fs::read(&out).is_ok_and(|is| ours(&is)) {
                return fs::remove_file(&out);
            }
            exchange(&out, &to)?;
        }
        self.keep_aside(name)
    }

    fn keep_aside(&self, name: &str) -> io::Result<()> {
        let mut number = 1;
        while !place(&self.path.join(OUT), &self.path.join(file::kept_name(name, number)))? {
            number += 1;
        }
        Ok(())
    }

    /// Adds a line to a file, as one piece.
    pub fn add(&self, name: &str, line: &str) -> Result<(), FolderError> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(self.path.join(name));
        file.and_then(|mut file| file.write_all(line.as_bytes())).map_err(|why| self.not(name, why))
    }

    /// Names that came and went are on the disk when this returns.
    pub fn sync(&self) -> Result<(), FolderError> {
        File::open(&self.path).and_then(|folder| folder.sync_all()).map_err(|why| self.not("", why))
    }

    fn not(&self, name: &str, why: io::Error) -> FolderError {
        FolderError::Io { path: self.path.join(name), why }
    }
}

/// Gives a file a name that nothing has; whether that was so.
fn place(from: &Path, to: &Path) -> io::Result<bool> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(why) if is_unknown(why) && fs::symlink_metadata(to).is_ok() => Ok(false),
        Err(why) if is_unknown(why) => fs::rename(from, to).map(|()| true),
        Err(why) => Err(why.into()),
    }
}

/// Lets two files change their names; false: that is not known here.
fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(true),
        Err(why) if is_unknown(why) => Ok(false),
        Err(why) => Err(why.into()),
    }
}

/// What a file system says that has only the plain rename.
fn is_unknown(why: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP].contains(&why)
}

fn number(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|meta| (meta.dev(), meta.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that was read as `was`, and then lies there as `is`, is to become `to`: how it lies there then.
    #[track_caller]
    fn check(was: Option<&str>, is: Option<&str>, to: Option<&str>, expect: Option<&str>) {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path()).expect("opened");
        let path = dir.path().join("a.vcf");
        if let Some(is) = is {
            fs::write(&path, is).expect("written");
        }
        let done = match (to, was) {
            (Some(to), was) => folder.write_over("a.vcf", was.map(str::as_bytes), to.as_bytes()),
            (None, was) => folder.remove_was("a.vcf", was.unwrap_or_default().as_bytes()),
        };
        assert_eq!(done.expect("tried"), expect == to, "{was:?} {is:?} {to:?}");
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), expect, "{was:?} {is:?} {to:?}");
        assert!(!folder.is_unsettled());
    }

    #[test]
    fn an_edit_is_never_written_over() {
        check(Some("old"), Some("old"), Some("new"), Some("new"));
        check(Some("old"), Some("edited"), Some("new"), Some("edited"));
        check(Some("old"), None, Some("new"), None);
        check(None, None, Some("new"), Some("new"));
        check(None, Some("made"), Some("new"), Some("made"));
        check(Some("old"), Some("old"), None, None);
        check(Some("old"), Some("edited"), None, Some("edited"));
        check(Some("old"), None, None, None);
    }

    /// A process that was to make `new` of `old` was killed: what lies in the place of the file, and what it had taken out. What lies there
    /// then, and what is kept beside it.
    #[track_caller]
    fn check_left(is: Option<&str>, out: &str, of: Option<&str>, expect: (Option<&str>, Option<&str>)) {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path()).expect("opened");
        let path = dir.path().join("a.vcf");
        if let Some(is) = is {
            fs::write(&path, is).expect("written");
        }
        fs::write(dir.path().join(OUT), out).expect("written");
        assert!(folder.is_unsettled());
        assert!(
            folder.write_over("a.vcf", is.map(str::as_bytes), b"next").is_err() || is.is_none(),
            "nothing is written over it"
        );
        if is.is_none() {
            fs::remove_file(&path).expect("removed");
        }
        folder.settle(of, &|is| is == b"old" || is == b"new").expect("settled");
        let text = |name: &str| fs::read_to_string(dir.path().join(name)).ok();
        let kept = text(&file::kept_name(of.unwrap_or(file::NOBODYS), 1));
        assert_eq!((text("a.vcf").as_deref(), kept.as_deref()), expect, "{is:?} {out:?}");
        assert!(!folder.is_unsettled());
    }

    #[test]
    fn what_a_kill_left_is_settled_and_an_edit_is_not_lost() {
        let of = Some("a.vcf");
        // Before the exchange, and after it.
        check_left(Some("old"), "new", of, (Some("old"), None));
        check_left(Some("new"), "old", of, (Some("new"), None));
        check_left(Some("new"), "edited", of, (Some("edited"), None));
        // It was put back already, or is edited once more by now.
        check_left(Some("edited"), "new", of, (Some("edited"), None));
        check_left(Some("later"), "edited", of, (Some("later"), Some("edited")));
        // It was to go.
        check_left(None, "old", of, (None, None));
        check_left(None, "edited", of, (Some("edited"), None));
        // A power cut took the word of whose it is.
        check_left(Some("new"), "edited", None, (Some("new"), Some("edited")));
        check_left(Some("new"), "old", None, (Some("new"), None));
    }

    #[test]
    fn of_two_edits_at_the_last_moment_both_are_there() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path()).expect("opened");
        for (number, kept) in ["a.vcf.kept", "a.vcf.2.kept"].into_iter().enumerate() {
            fs::write(dir.path().join("a.vcf"), "second").expect("written");
            fs::write(dir.path().join(OUT), format!("first {number}")).expect("written");
            folder.give_back("a.vcf", &|_| false).expect("given back");
            assert_eq!(fs::read_to_string(dir.path().join("a.vcf")).expect("there"), "second");
            assert_eq!(fs::read_to_string(dir.path().join(kept)).expect("kept"), format!("first {number}"));
        }
    }

    /// The tables above find each bug that is planted here.
    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("an edit is written over"));
        let over = std::panic::catch_unwind(an_edit_is_never_written_over).is_ok();
        planted::set_here(Some("what a kill left is no edit"));
        let left = std::panic::catch_unwind(what_a_kill_left_is_settled_and_an_edit_is_not_lost).is_ok();
        planted::set_here(None);
        assert!(!over && !left, "{over} {left}");
    }

    #[test]
    fn a_link_is_named_and_not_followed() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(dir.path()).expect("opened");
        fs::write(dir.path().join("real"), "text").expect("written");
        std::os::unix::fs::symlink("real", dir.path().join("a.vcf")).expect("a link");
        let found = folder.read("a.vcf").expect("read");
        assert!(matches!(found, Some(Found::Odd(why)) if why.contains("it is a link")));
    }
}
