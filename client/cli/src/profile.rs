//! Owns: `mingle profile`. Must never know: what is in a profile.

use std::path::PathBuf;

use serde_json::json;

use crate::{
    at::At,
    exit::{Exit, Failure},
    program,
};

/// Look at the profiles, each of which describes one service.
#[derive(Debug, clap::Subcommand)]
pub enum Profile {
    /// Show the name of each, and a line about it.
    List,
    /// Print some lines of configuration to start from.
    Example {
        /// The profile.
        name: String,
    },
    /// Print a profile as it was written.
    Show {
        /// The profile.
        name: String,
    },
    /// Say everything that is wrong with a profile in a file; ends with 78 where something is.
    Check {
        /// The file.
        file: PathBuf,
    },
}

impl Profile {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let arguments = match &self {
            Self::List => vec!["profile".into(), "list".into()],
            Self::Example { name } => vec!["profile".into(), "example".into(), name.into()],
            Self::Show { name } => vec!["profile".into(), "show".into(), name.into()],
            Self::Check { file } if at.json => vec!["profile".into(), "check".into(), "--json".into(), file.into()],
            Self::Check { file } => vec!["profile".into(), "check".into(), file.into()],
        };
        if !at.json || matches!(self, Self::Check { .. }) {
            return program::become_it(&arguments);
        }
        let text = program::output(&arguments)?;
        let answer = match self {
            Self::List => json!({"profiles": profiles(&text)}),
            Self::Example { name } => json!({"profile": name, "example": text}),
            Self::Show { name } => json!({"profile": name, "text": text}),
            // It says it in JSON itself.
            Self::Check { .. } => return Ok(Exit::Done),
        };
        at.line(&answer.to_string())?;
        Ok(Exit::Done)
    }
}

/// `NAME  ABOUT`, a line each.
fn profiles(text: &str) -> Vec<serde_json::Value> {
    let pair = |line: &str| {
        let (name, about) = line.split_once(' ').unwrap_or((line, ""));
        json!({"profile": name, "about": about.trim()})
    };
    text.lines().filter(|line| !line.trim().is_empty()).map(pair).collect()
}
