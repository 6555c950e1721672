//! Owns: `mingle config`. Must never know: what is in the configuration.

use std::path::PathBuf;

use serde_json::json;

use crate::{
    at::At,
    exit::{Exit, Failure},
    program,
};

/// Look at the configuration.
#[derive(Debug, clap::Subcommand)]
pub enum Config {
    /// Say everything that is wrong with it; ends with 78 where something is.
    Check {
        /// This file instead.
        file: Option<PathBuf>,
    },
    /// Print where it is looked for.
    Path,
}

impl Config {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        match self {
            Self::Check { file } => {
                let mut arguments = vec!["config".into(), "check".into()];
                arguments.extend(file.map(PathBuf::into_os_string));
                if at.json {
                    arguments.push("--json".into());
                }
                program::become_it(&arguments)
            }
            Self::Path => {
                let arguments = ["config".into(), "path".into()];
                if !at.json {
                    return program::become_it(&arguments);
                }
                let path = program::output(&arguments)?;
                at.line(&json!({"path": path.trim_end()}).to_string())?;
                Ok(Exit::Done)
            }
        }
    }
}
