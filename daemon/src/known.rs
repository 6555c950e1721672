//! Owns: telling the configuration what the remotes know of themselves. Must never know: what either does with it.

use std::path::PathBuf;

use crate::{
    config::{Facts, Known, RemoteSettings},
    environment::Environment,
    paths::Paths,
    remotes::{self, http},
};

/// The kinds and profiles of this build, and the user's own profiles.
#[derive(Clone, Debug)]
pub struct BuiltIn {
    /// Where the user's profiles are.
    pub config_dir: PathBuf,
}

impl BuiltIn {
    /// As this environment has it.
    #[must_use]
    pub fn of(env: &Environment) -> Self {
        Self { config_dir: Paths::find(env).map(|paths| paths.config).unwrap_or_default() }
    }
}

impl Known for BuiltIn {
    fn look(&self, remote: &RemoteSettings) -> Result<Facts, (String, String)> {
        let seen = remotes::look(remote, &self.config_dir).map_err(|problem| (problem.what, problem.hint.unwrap_or_default()))?;
        Ok(Facts {
            has_stamps: seen.abilities.modified_grain.is_some(),
            takes_writes: seen.abilities.writes,
            // A program that needs a network has a sync that says so.
            is_near: remote.url.is_empty() || http::is_this_machine(&remote.url),
        })
    }
}
