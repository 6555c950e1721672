//! Owns: real servers for tests: installed on first use under `target/servers`, started on free ports of loopback, ended by their pid.
//! Must never know: what a test asks of them.

mod dav;
mod gate;
mod install;
mod json_server;
mod khard;
mod kinto;
pub mod oidc;
mod pim;
mod pocketbase;
mod roundup;
mod vdirsyncer;

use std::{
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, OnceLock, mpsc},
    time::{Duration, Instant},
};

pub use dav::Dav;
pub use gate::Gate;
pub use json_server::JsonServer;
pub use khard::Khard;
pub use kinto::Kinto;
pub use oidc::Oidc;
pub use pim::{Pim, programs as pim_programs};
pub use pocketbase::PocketBase;
pub use roundup::Roundup;
pub use vdirsyncer::Vdirsyncer;

use crate::wire;

/// A server that does not answer so long after its start is broken. Generous: the machine may be busy compiling.
const START_MAX: Duration = Duration::from_secs(60);

/// A process that serves HTTP on loopback. It ends with its value, or with this process.
pub struct Server {
    /// Where it answers: no slash at the end.
    pub url: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a command that serves on the port it is given, and waits until `path` is answered.
    ///
    /// # Panics
    /// When it ends or does not answer in time: with the end of its log.
    #[must_use]
    pub fn start(name: &str, path: &str, command: impl Fn(u16) -> Command) -> Self {
        // The port is free when we ask, and may be taken when the server does; then it ends at once, and another is tried.
        let mut said = String::new();
        for _ in 0..3 {
            let port = free_port();
            match Self::try_start(name, path, port, &command(port)) {
                Ok(server) => return server,
                Err(why) => said = why,
            }
        }
        panic!("{name} does not start: {said}");
    }

    fn try_start(name: &str, path: &str, port: u16, command: &Command) -> Result<Self, String> {
        let logs = root().join("logs");
        std::fs::create_dir_all(&logs).map_err(|error| error.to_string())?;
        let log = logs.join(format!("{name}-{}-{port}.log", std::process::id()));
        let file = File::create(&log).map_err(|error| error.to_string())?;
        let again = file.try_clone().map_err(|error| error.to_string())?;
        let mut command = tied(command);
        command.stdin(Stdio::null()).stdout(file).stderr(again);
        let child = spawn(command)?;
        let mut server = Self { url: format!("http://127.0.0.1:{port}"), child, log };
        let until = Instant::now() + START_MAX;
        while Instant::now() < until {
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("it ended with {status}; it said:\n{}", server.said()));
            }
            if wire::ask("GET", &format!("{}{path}", server.url), &[], None).is_ok_and(|answer| answer.status < 500) {
                return Ok(server);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(format!("it does not answer at {}{path} within {START_MAX:?}; it said:\n{}", server.url, server.said()))
    }

    fn said(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            let _ = std::fs::remove_file(&self.log);
        }
    }
}

/// Where a package of the Python environment lies: some bring data.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn python_package(name: &str) -> PathBuf {
    let lib = install::python().join("../lib");
    let versions = std::fs::read_dir(&lib).expect("the libraries of the Python environment");
    let found = versions.filter_map(|entry| Some(entry.ok()?.path().join("site-packages").join(name))).find(|path| path.is_dir());
    found.unwrap_or_else(|| panic!("{name} is not below {}", lib.display()))
}

/// A free port of loopback.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port on loopback").port()
}

/// Where servers are installed and run.
#[must_use]
pub fn root() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
    target.join("servers")
}

/// Starts a process. What [`tied`] uses kills it when the *thread* that started it ends, so all are started by one that lives as
/// long as this process.
pub fn spawn(command: Command) -> Result<Child, String> {
    type Order = (Command, mpsc::Sender<std::io::Result<Child>>);
    static STARTER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let starter = STARTER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            while let Ok((mut command, answer)) = inbox.recv() {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, outcome) = mpsc::channel();
    let sent = starter.lock().map_err(|_| "a test broke while it started a server")?.send((command, answer));
    sent.map_err(|_| "the thread that starts servers is gone")?;
    outcome.recv().map_err(|_| "the thread that starts servers is gone")?.map_err(|error| format!("it does not start: {error}"))
}

/// What proc(5)'s `status` of a process has under this name, in bytes.
pub(crate) fn status_bytes(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status")).expect("its status");
    let kib = status.lines().find_map(|line| line.strip_prefix(what)?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("how much it holds") * 1024
}

/// The same command, under one that has the system kill it when we are gone.
pub(crate) fn tied(command: &Command) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    let mut tied = if setpriv.exists() {
        let mut tied = Command::new(setpriv);
        tied.args(["--pdeathsig", "KILL", "--"]).arg(command.get_program());
        tied
    } else {
        Command::new(command.get_program())
    };
    tied.args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        tied.current_dir(dir);
    }
    tied
}
