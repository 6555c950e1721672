//! Owns: asking the user's own systemd. Must never know: what the units say.

use std::{
    collections::BTreeMap,
    io,
    process::{Command, Output, Stdio},
};

use crate::exit::{Exit, Failure};

const WITHOUT: &str = "start mingled by hand with `mingled`, or from whatever starts your session";

fn run(words: &[&str]) -> io::Result<Output> {
    Command::new("systemctl").args(["--user", "--no-pager"]).args(words).stdin(Stdio::null()).output()
}

/// Whose systemd is asked.
#[derive(Clone, Copy, Debug)]
pub enum Whose {
    /// The user's own.
    User,
    /// The machine's.
    System,
}

impl Whose {
    /// How a person asks it.
    pub const fn command(self) -> &'static str {
        match self {
            Self::User => "systemctl --user",
            Self::System => "systemctl",
        }
    }
}

/// What it knows of a socket's unit; empty where it cannot be asked.
pub fn socket(whose: Whose, unit: &str) -> BTreeMap<String, String> {
    let mut command = Command::new("systemctl");
    if matches!(whose, Whose::User) {
        command.arg("--user");
    }
    command.args(["--no-pager", "show", "--property=ActiveState,SocketGroup,SocketMode", unit]);
    command.stdin(Stdio::null()).output().map(|output| pairs(&output)).unwrap_or_default()
}

/// Lines of NAME=VALUE.
fn pairs(output: &Output) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Whether systemd runs for this user; else what keeps it from that.
pub fn available() -> Result<(), Failure> {
    match run(&["show", "--property=Version"]) {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(Failure::said(Exit::Failed, format!("systemd does not run for this user: {}", said(&output)), WITHOUT)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let hint = if cfg!(target_os = "macos") { "launchd/org.mingle.mingled.plist says how, at its head" } else { WITHOUT };
            Err(Failure::said(Exit::Failed, "this machine has no systemctl, and so no systemd to run a service", hint))
        }
        Err(error) => Err(Failure::said(Exit::Failed, format!("systemctl cannot be run: {error}"), WITHOUT)),
    }
}

/// Does it, or says what systemctl said.
pub fn must(words: &[&str]) -> Result<(), Failure> {
    let output = run(words)?;
    if output.status.success() {
        return Ok(());
    }
    let what = format!("`systemctl --user {}` ended with {}: {}", words.join(" "), output.status, said(&output));
    Err(Failure::said(Exit::Failed, what, ""))
}

/// What it complains of: links that it made come first among its words, and are none of it.
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let complaints = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("Created symlink"));
    let told = complaints.collect::<Vec<_>>().join(" ");
    if told.is_empty() { "it says nothing".to_owned() } else { told }
}

const PROPERTIES: &str =
    "--property=LoadState,ActiveState,SubState,MainPID,UnitFileState,FragmentPath,Result,NRestarts,StatusText";

/// What systemd knows of a unit; empty where it cannot be asked.
pub fn shown(unit: &str) -> BTreeMap<String, String> {
    run(&["show", PROPERTIES, unit]).map(|output| pairs(&output)).unwrap_or_default()
}

/// Whether the journal has anything of ours.
pub fn has_entries() -> bool {
    let mut command = Command::new("journalctl");
    command.args(["--user", "--unit=mingled.service", "--lines=1", "--output=cat", "--quiet"]);
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success() && !output.stdout.is_empty())
}
