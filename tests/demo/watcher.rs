//! Owns: an app that runs beside the story, and what it printed so far. Must never know: what the app is.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};

use crate::{screen::Screen, stage::LONG};

/// The app. It ends with its value.
pub struct Watcher {
    child: Child,
    lines: Receiver<String>,
    name: &'static str,
}

impl Watcher {
    /// Starts it.
    pub fn start(name: &'static str, mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn().with_context(|| format!("failed to start {name}"))?;
        let out = child.stdout.take().context("no pipe")?;
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines, name })
    }

    /// Shows what it printed, up to the line that has all these parts.
    pub fn until(&self, screen: &Screen, parts: &[&str]) -> anyhow::Result<()> {
        let deadline = Instant::now() + LONG;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left.max(Duration::from_millis(1))) else {
                bail!("{} did not print a line with {}", self.name, parts.join(" and "));
            };
            screen.printed(self.name, &line);
            if parts.iter().all(|part| line.contains(part)) {
                return Ok(());
            }
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
