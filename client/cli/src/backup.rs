//! Owns: `mingle backup` and `mingle restore`. Must never know: how a store is copied: `mingled` does that.

use std::path::PathBuf;

use crate::{
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
