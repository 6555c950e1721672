//! Owns: `mingle completions` and `mingle man`: both from the definitions of the command line. Must never know: what a command does.

use std::path::PathBuf;

use clap::Command;
use clap_complete::Shell;

use crate::{
    at::At,
    exit::{Exit, Failure},
    program,
};

/// Print completions for a shell: `mingle completions bash > ~/.local/share/bash-completion/completions/mingle`.
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// Which.
    shell: Shell,
}

/// Write man pages into a folder: mingle.1, one for each command, and mingled.1.
#[derive(Debug, clap::Args)]
pub struct Man {
    /// The folder; it is made where it is missing.
    dir: PathBuf,
}

impl Completions {
    pub fn run(self, mut command: Command, at: &mut At) -> Result<Exit, Failure> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut command, "mingle", &mut text);
        at.text(&String::from_utf8_lossy(&text))?;
        Ok(Exit::Done)
    }
}

impl Man {
    pub fn run(self, command: Command, at: &mut At) -> Result<Exit, Failure> {
        std::fs::create_dir_all(&self.dir)?;
        clap_mangen::generate_to(command, &self.dir)?;
        program::output(&["man".into(), self.dir.clone().into_os_string()])?;
        at.note(&format!("the man pages are in {}", self.dir.display()));
        Ok(Exit::Done)
    }
}
