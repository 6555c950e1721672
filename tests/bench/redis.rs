//! Owns: a redis beside us, in memory or with every write on the disk, and the few words of its protocol. Must never know: what is
//! measured against it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::place;

/// Whether it keeps what it is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Keeps {
    /// In memory alone.
    Nothing,
    /// Each write is on the disk before it is answered.
    Everything,
}

/// A redis of our own. It ends with its value.
pub struct Redis {
    child: Child,
    pub socket: PathBuf,
    /// From exec to the first answer.
    pub started_in: Duration,
}

impl Redis {
    /// Starts one in this folder, whose path must be short.
    ///
    /// # Errors
    /// It is not installed (Debian: `redis-server`), or does not answer.
    pub fn start(dir: &Path, data: &Path, keeps: Keeps, core: Option<u32>) -> anyhow::Result<Self> {
        let socket = dir.join("redis.sock");
        let mut command = place::on_core(Path::new("redis-server"), core);
        let appends = if keeps == Keeps::Everything { "yes" } else { "no" };
        command.args(["--port", "0", "--save", "", "--appendonly", appends, "--appendfsync", "always", "--dir"]).arg(data);
        command.arg("--unixsocket").arg(&socket).stdout(Stdio::null()).stdin(Stdio::null());
        let began = Instant::now();
        let child = command.spawn().context("redis-server does not start: is it installed?")?;
        let mut redis = Self { child, socket, started_in: Duration::ZERO };
        let until = began + Duration::from_secs(10);
        loop {
            match Talk::to(&redis.socket).and_then(|mut talk| talk.ask(&["PING"])) {
                Ok(_) => break,
                Err(error) if Instant::now() > until => return Err(error).context("redis does not answer"),
                Err(_) => std::thread::sleep(Duration::from_micros(200)),
            }
        }
        redis.started_in = began.elapsed();
        Ok(redis)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection.
pub struct Talk {
    stream: BufReader<UnixStream>,
    line: String,
}

impl Talk {
    pub fn to(socket: &Path) -> anyhow::Result<Self> {
        Ok(Self { stream: BufReader::with_capacity(64 << 10, UnixStream::connect(socket)?), line: String::new() })
    }

    pub fn ask(&mut self, words: &[&str]) -> anyhow::Result<Vec<u8>> {
        self.say(words, 1)?;
        self.hear()
    }

    /// Says the same so often, in one write.
    pub fn say(&mut self, words: &[&str], times: usize) -> anyhow::Result<()> {
        let mut one = format!("*{}\r\n", words.len());
        for word in words {
            one.push_str(&format!("${}\r\n{word}\r\n", word.len()));
        }
        Ok(self.stream.get_mut().write_all(one.repeat(times).as_bytes())?)
    }

    /// The next answer; of an array, its last part.
    pub fn hear(&mut self) -> anyhow::Result<Vec<u8>> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            bail!("redis went away");
        }
        let (kind, rest) = self.line.trim_end().split_at_checked(1).context("an empty answer")?;
        match kind {
            "+" | ":" => Ok(rest.as_bytes().to_vec()),
            "$" => {
                let mut value = vec![0; rest.parse::<usize>().context("redis has no such thing")? + 2];
                self.stream.read_exact(&mut value)?;
                value.truncate(value.len() - 2);
                Ok(value)
            }
            "*" => {
                let parts: usize = rest.parse()?;
                let mut last = Vec::new();
                for _ in 0..parts {
                    last = self.hear()?;
                }
                Ok(last)
            }
            _ => bail!("redis said {}", self.line.trim_end()),
        }
    }
}
