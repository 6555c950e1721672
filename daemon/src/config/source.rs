//! Owns: finding and reading the files, and refusing those that others may write. Must never know: what is in them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;

use super::{Problem, Where};

/// Bytes of one file. A configuration is written by hand; a larger one is something else, and is refused.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// One file, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it lies.
    pub path: PathBuf,
    /// The directory of the configuration; files that hold secrets are relative to it.
    pub directory: PathBuf,
    /// Nobody but the owner can read it.
    pub private: bool,
    /// What it says.
    pub text: String,
    /// Where each line ends, so that a key's line costs no look at the whole file.
    ends: Vec<usize>,
}

impl Source {
    /// A file that was read.
    #[must_use]
    pub fn new(path: PathBuf, directory: PathBuf, private: bool, text: String) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect();
        Self { path, directory, private, text, ends }
    }

    /// The line (from 1) of a byte.
    #[must_use]
    pub fn line_of(&self, byte: usize) -> usize {
        1 + self.ends.partition_point(|end| *end < byte)
    }

    /// Something is wrong here.
    #[must_use]
    pub fn problem(&self, line: usize, what: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem { file: self.path.clone(), line, what: what.into(), hint: hint.into() }
    }
}

/// What was looked for, and what is there, in the order of reading.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub directory: PathBuf,
    pub looked: Vec<PathBuf>,
    pub files: Vec<PathBuf>,
}

pub(super) fn find(place: &Where, problems: &mut Vec<Problem>) -> Found {
    match place {
        // Who names a file wants that one: that it is missing is then an error, found by reading it.
        Where::File(path) => Found {
            directory: path.parent().unwrap_or(Path::new("/")).to_owned(),
            looked: vec![path.clone()],
            files: vec![path.clone()],
        },
        Where::Directory(directory) => {
            let (main, more) = (directory.join("config.toml"), directory.join("conf.d"));
            for parent in [directory, &more] {
                check_mode(parent, fs::metadata(parent), problems);
            }
            let mut files: Vec<PathBuf> = Vec::new();
            if exists(&main) {
                files.push(main.clone());
            }
            files.extend(toml_files(&more, problems));
            Found { directory: directory.clone(), looked: vec![main, more.join("*.toml")], files }
        }
    }
}

/// True also for a link that leads nowhere: then reading it says so.
fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn toml_files(directory: &Path, problems: &mut Vec<Problem>) -> Vec<PathBuf> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            problems.push(about(directory, format!("cannot be listed: {error}"), "check its owner and mode with `ls -ld`"));
            return Vec::new();
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_toml(path)).collect();
    paths.sort();
    paths
}

/// Editors leave hidden files and copies beside the real ones.
fn is_toml(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "toml")
}

pub(super) fn read(path: &Path, directory: &Path, problems: &mut Vec<Problem>) -> Option<Source> {
    match try_read(path, problems) {
        Ok((text, private)) => Some(Source::new(path.to_owned(), directory.to_owned(), private, text)),
        Err((what, hint)) => {
            problems.push(about(path, what, hint));
            None
        }
    }
}

/// The text, and whether it is ours alone.
fn try_read(path: &Path, problems: &mut Vec<Problem>) -> Result<(String, bool), (String, String)> {
    let file =
        open(path).map_err(|error| (format!("cannot be read: {error}"), "check its owner and mode with `ls -l`".to_owned()))?;
    let metadata = file.metadata().map_err(|error| (format!("cannot be looked at: {error}"), String::new()))?;
    if !metadata.is_file() {
        return Err(("is not a plain file".into(), "move it away".into()));
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err((
            format!("has {} bytes, more than the {FILE_BYTES_MAX} a configuration may have", metadata.len()),
            String::new(),
        ));
    }
    let private = metadata.mode() & 0o077 == 0;
    check_mode(path, Ok(metadata), problems);
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| (format!("cannot be read: {error}"), "check the disk".to_owned()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count();
        (format!("is not UTF-8 (line {line})"), "save it as UTF-8".into())
    })?;
    Ok((text, private))
}

/// Without waiting: a pipe in the place of a file must not hold up the start.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// The configuration names commands that run as us. Links are fine (many keep their dotfiles elsewhere): what counts is where
/// they lead. A group of one's own may write, as the usual umask of several systems has it.
fn check_mode(path: &Path, metadata: io::Result<fs::Metadata>, problems: &mut Vec<Problem>) {
    let Ok(metadata) = metadata else { return };
    let (me, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let (mode, shown) = (metadata.mode() & 0o777, path.display());
    let by_group = mode & 0o020 != 0 && metadata.gid() != group;
    if mode & 0o002 != 0 || by_group {
        let what = format!("is writable by other users (mode {mode:03o}), and it may name commands to run");
        problems.push(about(path, what, format!("chmod go-w {shown}")));
    }
    if metadata.uid() != me && metadata.uid() != 0 {
        problems.push(about(
            path,
            format!("belongs to user {}, and mingled runs as user {me}", metadata.uid()),
            format!("chown it: {shown}"),
        ));
    }
}

fn about(path: &Path, what: impl Into<String>, hint: impl Into<String>) -> Problem {
    Problem { file: path.to_owned(), line: 0, what: what.into(), hint: hint.into() }
}

/// Why a file that holds a secret is not fit to be used; None where it is, or where it is not there (its remote then says so).
pub(super) fn secret_file(path: &Path) -> Option<(String, String)> {
    let metadata = fs::metadata(path).ok()?;
    let shown = path.display();
    if !metadata.is_file() {
        return Some((format!("the secret file {shown} is not a plain file"), String::new()));
    }
    let mode = metadata.mode() & 0o777;
    (mode & 0o077 != 0)
        .then(|| (format!("the secret file {shown} is open to other users (mode {mode:03o})"), format!("chmod 600 {shown}")))
}
