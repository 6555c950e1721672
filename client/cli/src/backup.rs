//! Owns: `mingle backup`, `mingle restore`, `mingle fsck`. Must never know: how a store is copied or read: `mingled` does that.

use std::path::PathBuf;

use crate::{
    at::At,
    exit::{Exit, Failure},
    program,
};

/// Copy the store into a new file, also while mingled runs.
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// The new file.
    file: PathBuf,
}

/// Put a backup in the place of the store, while mingled does not run. What was there is kept.
///
/// The store is another one then: apps read anew, and each sync compares everything.
#[derive(Debug, clap::Args)]
pub struct Restore {
    /// The backup.
    file: PathBuf,
}

/// Look at every rule that the store keeps, and name what breaks one: which record, which rule, what to do.
///
/// Reads only, with or without mingled. Ends with 0 where every rule holds, with 1 where one is broken.
#[derive(Debug, clap::Args)]
pub struct Fsck {
    /// Another store, such as a backup.
    file: Option<PathBuf>,
}

impl Fsck {
    pub fn run(self, at: &At) -> Result<Exit, Failure> {
        let json = at.json.then(|| "--json".into());
        let file = self.file.map(PathBuf::into_os_string);
        let words: Vec<_> = std::iter::once("fsck".into()).chain(json).chain(file).collect();
        program::become_it(&words)
    }
}

impl Backup {
    pub fn run(self) -> Result<Exit, Failure> {
        program::become_it(&["backup".into(), self.file.into_os_string()])
    }
}

impl Restore {
    pub fn run(self) -> Result<Exit, Failure> {
        program::become_it(&["restore".into(), self.file.into_os_string()])
    }
}
