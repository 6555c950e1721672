//! Owns: `mingle logs`: the journal where it keeps the daemon's log, else the file beside the lock. Must never know: what is logged.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _},
    os::unix::process::CommandExt as _,
    path::Path,
    process::Command,
    time::Duration,
};

use crate::{
    at::At,
    clock,
    exit::{Exit, Failure},
    program, service,
};

/// Show what mingled logged, with a daemon or without.
///
/// As a service it logs into the journal of systemd, which this asks for the fields too: `journalctl --user MINGLE_SYNC=NAME`.
/// Everything is logged after `kill -USR2` to the process, until that comes again.
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// So many lines from the end.
    #[arg(long, short = 'n', default_value_t = 100)]
    lines: usize,
    /// Go on with what is logged from now on.
    #[arg(long, short)]
    follow: bool,
}

/// How often a file is looked at for more.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

impl Logs {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let places = program::facts(&["places".into(), "--json".into()])?;
        let path = Path::new(places["log"].as_str().unwrap_or_default());
        if service::keeps_a_log() {
            return self.journal(at);
        }
        if !path.exists() {
            let what = format!(
                "mingled has logged nothing yet: there is no {}, and no entry of a service in the journal",
                path.display()
            );
            return Err(Failure::said(Exit::Failed, what, "`mingled` starts it, and `mingle service install` as a service"));
        }
        self.file(at, path)
    }

    fn journal(&self, at: &mut At) -> Result<Exit, Failure> {
        at.flush()?;
        let mut command = Command::new("journalctl");
        command.args(["--user", "--unit=mingled.service", "--no-pager", &format!("--lines={}", self.lines)]);
        command.arg(if at.json { "--output=json" } else { "--output=short-iso" });
        if self.follow {
            command.arg("--follow");
        }
        Err(Failure::said(Exit::Failed, format!("journalctl cannot be run: {}", command.exec()), "install systemd's journal"))
    }

    fn file(&self, at: &mut At, path: &Path) -> Result<Exit, Failure> {
        let mut older = path.as_os_str().to_owned();
        older.push(".1");
        // The file is turned at times: then what came before it lies beside it.
        let mut text = fs::read(&older).unwrap_or_default();
        let mut file = File::open(path)?;
        file.read_to_end(&mut text)?;
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        for line in &all[all.len().saturating_sub(self.lines)..] {
            say(at, line)?;
        }
        if !self.follow {
            return Ok(Exit::Done);
        }
        loop {
            at.flush()?;
            clock::pause(LOOK_AGAIN);
            let mut more = String::new();
            file.read_to_string(&mut more)?;
            more.lines().try_for_each(|line| say(at, line))?;
            let (here, there) = (file.stream_position()?, fs::metadata(path).map_or(0, |about| about.len()));
            if there < here {
                file = File::open(path)?;
            }
        }
    }
}

fn say(at: &mut At, line: &str) -> Result<(), Failure> {
    if at.json { at.line(&serde_json::json!({ "line": line }).to_string()) } else { at.line(&crate::words::plain(line)) }
}
