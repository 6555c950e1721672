//! Owns: a real daemon in a home of its own, whose store lies on the disk of `target/`. Must never know: what is measured on it.

use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use mingle_client::{Options, blocking::Client};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A daemon that does not answer so long after its start is broken.
const START_MAX: Duration = Duration::from_secs(20);

pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Where results lie, and the stores while they are measured: the disk that the build is on, not a temporary one in memory.
pub fn results() -> anyhow::Result<PathBuf> {
    let us = std::env::current_exe()?;
    // target/release/bench
    let target = us.parent().and_then(Path::parent).context("the bench lies in no target folder")?;
    let place = target.join("bench");
    fs::create_dir_all(&place)?;
    Ok(place)
}

/// The `mingled` beside this program, built with the same settings and up to date.
pub fn daemon() -> anyhow::Result<PathBuf> {
    if cfg!(debug_assertions) {
        bail!("a figure of a debug build means nothing: cargo run --release -p mingle-tests --bin bench");
    }
    let program = std::env::current_exe()?.with_file_name("mingled");
    // Both packages, so that cargo unifies features as it did for this program, and builds nothing twice.
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--quiet", "--release", "-p", "mingled", "-p", "mingle-tests", "--bin", "mingled"])
        .current_dir(repository())
        .status();
    match built {
        Ok(status) if status.success() && program.exists() => Ok(program),
        Ok(status) => bail!("cargo built no {}: {status}", program.display()),
        Err(_) if program.exists() => Ok(program),
        Err(error) => bail!("no {}, and no cargo to build it: {error}", program.display()),
    }
}

/// A directory on the disk that is measured.
pub fn disk_dir() -> anyhow::Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("run-").tempdir_in(results()?)?)
}

/// Puts a program on one core, where that is asked for.
pub fn on_core(program: &Path, core: Option<u32>) -> Command {
    let Some(core) = core else { return Command::new(program) };
    let mut command = Command::new("taskset");
    command.args(["-c", &core.to_string()]).arg(program);
    command
}

/// The directories of a daemon: the socket's path must be short; the store's disk must be the one that is measured. They go with the last
/// who holds them.
#[derive(Clone)]
pub struct Dirs(Rc<(TempDir, TempDir)>);

/// A daemon and all its directories. It ends with its value.
pub struct Daemon {
    child: Child,
    pub socket: PathBuf,
    /// From exec to the first answer.
    pub started_in: Duration,
    dirs: Dirs,
}

impl Daemon {
    /// Starts one with this configuration, and waits until it answers.
    pub fn start(program: &Path, configuration: &str, core: Option<u32>) -> anyhow::Result<Self> {
        Self::start_with(program, configuration, core, |_| {})
    }

    /// The same, with more in the folder of the configuration.
    pub fn start_with(program: &Path, configuration: &str, core: Option<u32>, more: impl FnOnce(&Path)) -> anyhow::Result<Self> {
        let (home, data) = (tempfile::tempdir()?, disk_dir()?);
        let config = home.path().join("config/mingle");
        fs::create_dir_all(&config)?;
        fs::write(config.join("config.toml"), configuration)?;
        more(&config);
        fs::DirBuilder::new().mode(0o700).create(home.path().join("run"))?;
        Self::start_in(program, core, &Dirs(Rc::new((home, data))))
    }

    /// Starts one where another was, and has ended.
    pub fn start_in(program: &Path, core: Option<u32>, dirs: &Dirs) -> anyhow::Result<Self> {
        let (home, data) = (dirs.0.0.path(), dirs.0.1.path());
        let log = home.join("log");
        let mut command = on_core(program, core);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home.join("run"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_STATE_HOME", home.join("state"))
            .env("XDG_DATA_HOME", data)
            // As its service starts it.
            .env("MALLOC_ARENA_MAX", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?);
        let socket = home.join("run/mingle/mingle.sock");
        let began = Instant::now();
        let mut daemon = Self { child: command.spawn()?, socket, started_in: Duration::ZERO, dirs: dirs.clone() };
        while let Err(error) = daemon.client("bench") {
            let log = || fs::read_to_string(&log).unwrap_or_default();
            if began.elapsed() > START_MAX {
                bail!("the daemon does not answer: {error}; it said:\n{}", log());
            }
            if let Some(status) = daemon.child.try_wait()? {
                bail!("the daemon ended with {status}; it said:\n{}", log());
            }
            std::thread::sleep(Duration::from_micros(200));
        }
        daemon.started_in = began.elapsed();
        Ok(daemon)
    }

    /// Ends it, and starts it again where it was.
    pub fn again(self, program: &Path) -> anyhow::Result<Self> {
        Self::start_in(program, None, &self.end())
    }

    /// Ends it, and gives its place.
    pub fn end(self) -> Dirs {
        self.dirs.clone()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its store lies.
    pub fn store(&self) -> PathBuf {
        self.dirs.0.1.path().join("mingle/store.db")
    }

    /// A connection to it.
    pub fn client(&self, app: &str) -> Result<Client, mingle_client::ConnectError> {
        connect(&self.socket, app)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// How large a file is, in bytes.
pub fn size(path: &Path) -> anyhow::Result<u64> {
    Ok(fs::metadata(path)?.len())
}

/// A connection to a daemon at this socket.
pub fn connect(socket: &Path, app: &str) -> Result<Client, mingle_client::ConnectError> {
    Client::open(&Options { socket: Some(socket.into()), ..Options::app(app) })
}
