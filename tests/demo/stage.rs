//! Owns: the demo's own directories, the real programs in them, starting and ending the daemon. Must never know: the story.

use std::{
    collections::hash_map::DefaultHasher,
    fs::{self, DirBuilder, File, OpenOptions},
    hash::{Hash as _, Hasher as _},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow, bail, ensure};
use fs2::FileExt;
use mingle_client::{Options, blocking::Client};
use mingle_tests::daemon::cargo_build;
use rustix::process::{Pid, Signal, kill_process};

use crate::screen::{Screen, quoted, short};

/// Longer than anything of the demo takes on a busy machine; what takes longer does not come.
pub const LONG: Duration = Duration::from_secs(90);

/// A socket's path has room for about a hundred bytes; the rest is ours: `/mingle/mingle.sock`.
const RUNTIME_BYTES_MAX: usize = 75;

/// What a command ended with.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Where the demo takes place. What it started ends with its value; what it wrote stays.
pub struct Stage {
    pub root: PathBuf,
    runtime: PathBuf,
    bin: PathBuf,
    daemon: Option<Child>,
}

impl Stage {
    /// Builds the programs where they are not there yet, and empties the demo's folder: `target/demo`, if none is given.
    pub fn prepare(screen: &Screen, elsewhere: Option<PathBuf>) -> anyhow::Result<Self> {
        let exe = std::env::current_exe().context("the demo does not know its own program")?;
        let bin = exe.parent().context("the demo lies in no folder")?.to_path_buf();
        let target = bin.parent().context("the demo does not lie in a target folder")?;
        build(&bin)?;
        let root = elsewhere.unwrap_or_else(|| target.join("demo"));
        ensure!(root.is_absolute(), "{} is no absolute path", root.display());
        let runtime = runtime_dir(&root);
        let stage = Self { root, runtime, bin, daemon: None };
        stage.end_earlier(screen)?;
        match fs::remove_dir_all(&stage.root) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context(format!("failed to empty {}", stage.root.display()));
            }
            _ => {}
        }
        for directory in [stage.root.join("config/mingle"), stage.runtime.clone()] {
            let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
            made.with_context(|| format!("failed to make {}", directory.display()))?;
        }
        stage.write("env", &stage.env_file())?;
        Ok(stage)
    }

    /// The store's file.
    pub fn store(&self) -> PathBuf {
        self.root.join("data/mingle/store.db")
    }

    /// The configuration's file.
    pub fn config(&self) -> PathBuf {
        self.root.join("config/mingle/config.toml")
    }

    /// Writes a file below the demo's folder, for its owner alone.
    pub fn write(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.root.join(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| format!("failed to write {}", path.display()))
    }

    /// A program of this build, or any other, in the demo's environment.
    pub fn program(&self, name: &str) -> Command {
        let own = self.bin.join(name);
        let mut command = if own.exists() { Command::new(own) } else { Command::new(name) };
        for name in ["MINGLE_SOCKET", "LISTEN_FDS", "LISTEN_PID", "NOTIFY_SOCKET"] {
            command.env_remove(name);
        }
        command.envs(self.places()).env("MINGLE_LOG", "info").env("NO_PROXY", "127.0.0.1").stdin(Stdio::null());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([self.bin.clone()].into_iter().chain(std::env::split_paths(&path)));
        command.env("PATH", path.unwrap_or_default());
        command
    }

    /// Runs `mingle` with these words, shows both, and holds it to its exit code.
    pub fn mingle(&self, screen: &Screen, code: i32, words: &[&str]) -> anyhow::Result<String> {
        let shown: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        screen.command(&format!("mingle {}", shown.join(" ")));
        let ended = self.mingle_quietly(words)?;
        screen.printed("", &ended.out);
        screen.printed("", &ended.err);
        ensure!(ended.code == code, "`mingle {}` ended with {} instead of {code}", shown.join(" "), ended.code);
        if code != 0 {
            screen.line(format!("     (exit code {code})"));
        }
        Ok(ended.out)
    }

    /// Runs `mingle` with these words and shows nothing.
    pub fn mingle_quietly(&self, words: &[&str]) -> anyhow::Result<Ended> {
        let mut command = self.program("mingle");
        command.args(words);
        ends(command)
    }

    /// Starts the daemon, and waits until it answers.
    pub fn start(&mut self) -> anyhow::Result<()> {
        let log = self.root.join("mingled.log");
        let log = OpenOptions::new().create(true).append(true).open(log).context("failed to open mingled.log")?;
        let mut command = self.program("mingled");
        command.stdout(Stdio::null()).stderr(log);
        let child = command.spawn().context("failed to start mingled")?;
        let child = self.daemon.insert(child);
        let options = Options { socket: Some(self.runtime.join("mingle/mingle.sock")), ..Options::app("demo") };
        until("mingled to answer", || {
            if let Some(status) = child.try_wait()? {
                bail!("mingled ended with {status}");
            }
            Ok(Client::open(&options).ok().map(drop))
        })
    }

    /// A connection of the demo itself.
    pub fn client(&self) -> anyhow::Result<Client> {
        let options = Options { socket: Some(self.runtime.join("mingle/mingle.sock")), ..Options::app("demo") };
        Client::open(&options).map_err(|error| anyhow!("{error}; {}", error.hint()))
    }

    /// What a power cut does to a process.
    pub fn kill(&mut self) -> anyhow::Result<u32> {
        let mut child = self.daemon.take().context("mingled does not run")?;
        child.kill().context("failed to kill mingled")?;
        child.wait().context("failed to wait for mingled")?;
        Ok(child.id())
    }

    /// Waits until the daemon, which was asked to, has ended.
    pub fn ended(&mut self) -> anyhow::Result<()> {
        let mut child = self.daemon.take().context("mingled does not run")?;
        let waited = until("mingled to end", || Ok(child.try_wait()?));
        let _ = child.kill();
        let status = waited?;
        ensure!(status.success(), "mingled ended with {status}");
        Ok(())
    }

    /// The last lines that the daemon wrote.
    pub fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.root.join("mingled.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn places(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("XDG_CONFIG_HOME", self.root.join("config")),
            ("XDG_DATA_HOME", self.root.join("data")),
            ("XDG_STATE_HOME", self.root.join("state")),
            ("XDG_RUNTIME_DIR", self.runtime.clone()),
        ]
    }

    fn env_file(&self) -> String {
        let mut text =
            format!("# `. {}` makes a shell look at the demo's store.\nunset MINGLE_SOCKET\n", short(&self.root.join("env")));
        for (name, place) in self.places() {
            text += &format!("export {name}={}\n", quoted(&place.display().to_string()));
        }
        text + &format!("export PATH={}:\"$PATH\"\n", quoted(&self.bin.display().to_string()))
    }

    /// A daemon that somebody started to look at an earlier demo: the store below it is about to go.
    fn end_earlier(&self, screen: &Screen) -> anyhow::Result<()> {
        let Ok(mut client) = self.client() else { return Ok(()) };
        screen.line("(ending the mingled of an earlier demo)");
        client.call(mingle_client::call::Shutdown {}).context("failed to end the mingled of an earlier demo")?;
        until("the mingled of an earlier demo to end", || Ok(self.client().is_err().then_some(())))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid {
                let _ = kill_process(pid, Signal::TERM);
            }
            let _ = until("mingled to end", || Ok(child.try_wait()?));
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `cargo run` builds the demo alone. All three together, so that nothing shared is compiled twice with other features. One at a
/// time: tests that want other programs in the same place hold the same lock.
fn build(bin: &Path) -> anyhow::Result<()> {
    let lock = File::create(bin.join("programs.lock")).context("failed to make the lock for building")?;
    FileExt::lock_exclusive(&lock).context("failed to take the lock for building")?;
    let mut command = cargo_build(bin);
    command.args(["--package", "mingle-tests", "--package", "mingled", "--package", "mingle"]);
    command.args(["--bin", "demo", "--bin", "mingled", "--bin", "mingle"]);
    let status = command.status().context("failed to run cargo")?;
    ensure!(status.success(), "`cargo build` of mingled and mingle ended with {status}");
    Ok(())
}

/// Below the demo's folder where that path is short enough, else a private folder beside other temporary ones.
#[expect(clippy::disallowed_methods, reason = "a folder of ours, 0700; mingled and its clients check whose it is")]
fn runtime_dir(root: &Path) -> PathBuf {
    let near = root.join("run");
    if near.as_os_str().len() <= RUNTIME_BYTES_MAX {
        return near;
    }
    let mut hasher = DefaultHasher::new();
    root.hash(&mut hasher);
    std::env::temp_dir().join(format!("mingle-demo-{:016x}", hasher.finish()))
}

/// Runs a command to its end, with nobody typing.
pub fn ends(mut command: Command) -> anyhow::Result<Ended> {
    let shown = format!("{command:?}");
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let child = child.with_context(|| format!("failed to start {shown}"))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (sender, ended) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = sender.send(child.wait_with_output());
    });
    let Ok(output) = ended.recv_timeout(LONG) else {
        if let Some(pid) = pid {
            let _ = kill_process(pid, Signal::KILL);
        }
        bail!("{shown} did not end within {} s", LONG.as_secs());
    };
    let output = output.with_context(|| format!("failed to wait for {shown}"))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ended { code: output.status.code().unwrap_or(-1), out: text(output.stdout), err: text(output.stderr) })
}

/// Looks until there is something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let deadline = Instant::now() + LONG;
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(Instant::now() < deadline, "waited {} s in vain for {what}", LONG.as_secs());
        // Between two looks at what another process does.
        std::thread::sleep(Duration::from_millis(10));
    }
}
