//! Owns: the processes beside the bench: the same program with a hidden first word; they get ready, wait for a word, work, and say
//! what came of it. Must never know: what they compare to.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::{calls, crowd, events, lists, place};

/// The first word that makes this program a worker.
pub const HIDDEN: &str = "--worker";

/// What a worker is, by its second word.
pub fn main(words: &[String]) -> anyhow::Result<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["file", path, name, length, pace] => crowd::file_worker(path, name, time(length)?, time(pace)?),
        ["put", socket, name, length, pace] => crowd::put_worker(socket, name, time(length)?, time(pace)?),
        ["redis", socket, name, length, pace] => crowd::redis_worker(socket, name, time(length)?, time(pace)?),
        ["echo", socket] => calls::echo(socket),
        ["ask", which, socket, count] => calls::ask_worker(which, socket, count.parse()?),
        ["heap", which, socket] => calls::heap_worker(which, socket),
        ["askers", socket] => calls::askers_worker(socket),
        ["rows", path, socket] => lists::bare(path, socket),
        ["list", which, socket] => lists::list_worker(which, socket),
        ["events", which, socket, listeners] => events::worker(which, socket, listeners.parse()?),
        _ => bail!("no such worker: {words:?}"),
    }
}

fn time(milliseconds: &str) -> anyhow::Result<Duration> {
    Ok(Duration::from_millis(milliseconds.parse()?))
}

/// Says that this worker is ready, and waits until all may begin. From within a worker.
pub fn ready() -> anyhow::Result<()> {
    tell(&json!("ready"))?;
    let mut line = String::new();
    if std::io::stdin().read_line(&mut line)? == 0 {
        bail!("whoever started this worker is gone");
    }
    Ok(())
}

/// Says something to whoever started this worker.
pub fn tell(what: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{what}")?;
    Ok(out.flush()?)
}

/// A worker, from outside. It ends with its value.
pub struct Worker {
    child: Child,
    orders: Option<ChildStdin>,
    says: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts one and waits until it is ready.
    pub fn start(words: &[&str], core: Option<u32>) -> anyhow::Result<Self> {
        let mut command = place::on_core(&std::env::current_exe()?, core);
        command.arg(HIDDEN).args(words);
        Self::of(command).with_context(|| format!("worker {words:?}"))
    }

    /// One that is another program, and talks as ours do.
    pub fn of(mut command: Command) -> anyhow::Result<Self> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take();
        let says = BufReader::new(child.stdout.take().context("a worker without output")?);
        let mut worker = Self { child, orders, says };
        worker.hear()?;
        Ok(worker)
    }

    /// Lets it begin.
    pub fn go(&mut self) -> anyhow::Result<()> {
        let orders = self.orders.as_mut().context("a worker without input")?;
        Ok(orders.write_all(b"go\n")?)
    }

    /// What it says next.
    pub fn hear(&mut self) -> anyhow::Result<Value> {
        let mut line = String::new();
        if self.says.read_line(&mut line)? == 0 {
            bail!("a worker ended without a word: {:?}", self.child.wait());
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.orders.take();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
