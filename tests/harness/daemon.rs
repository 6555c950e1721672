//! Owns: the real daemon in directories of its own: started, waited for, stopped in every way a process can be, ended by its pid.
//! Must never know: what a test asks of it.

mod programs;

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder, File, OpenOptions},
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal};

pub use self::programs::{cargo_build, mingle, mingled};
use crate::{
    app::App,
    servers,
    wait::{self, until_within},
};

/// A home for one daemon: directories that nobody else has, at a short path (a socket's path has room for a hundred bytes).
pub struct Home {
    dir: tempfile::TempDir,
    more: Vec<(String, String)>,
    under: Vec<String>,
    program: PathBuf,
}

impl Home {
    /// With this configuration; none: without a file.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new(config: Option<&str>) -> Self {
        Self::new_in(Path::new("/tmp"), config)
    }

    /// The same, in a folder that is there.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn new_in(folder: &Path, config: Option<&str>) -> Self {
        let dir = tempfile::Builder::new().prefix("mgl").rand_bytes(6).tempdir_in(folder).expect("a home for a daemon");
        let home = Self { dir, more: Vec::new(), under: Vec::new(), program: mingled().to_owned() };
        for name in ["r", "c/mingle", "d", "s", "h"] {
            DirBuilder::new().recursive(true).mode(0o700).create(home.dir.path().join(name)).expect("a folder of a home");
        }
        if let Some(config) = config {
            home.configure(config);
        }
        home
    }

    /// Writes the configuration anew.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn configure(&self, config: &str) {
        self.write("config.toml", config);
    }

    /// Writes a file beside the configuration, readable by its owner alone.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.config_dir().join(name);
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("a file of the configuration");
    }

    /// Sets a variable of the environment for all programs started from now on.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.more.push((name.to_owned(), value.into()));
    }

    /// Starts daemons from now on by this program, which is given the daemon's own words last: to put them into a cage.
    pub fn set_under(&mut self, words: &[&str]) {
        self.under = words.iter().map(|word| (*word).to_owned()).collect();
    }

    /// Runs this build of the daemon instead of today's.
    pub fn run_by(&mut self, program: &Path) {
        program.clone_into(&mut self.program);
    }

    /// The whole of it.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where the configuration lies.
    #[must_use]
    pub fn config_dir(&self) -> PathBuf {
        self.dir.path().join("c/mingle")
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.dir.path().join("d/mingle/store.db")
    }

    /// The socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("r/mingle/mingle.sock")
    }

    /// The socket that gives no data.
    #[must_use]
    pub fn status_socket(&self) -> PathBuf {
        self.dir.path().join("r/mingle/status.sock")
    }

    /// The lock.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.dir.path().join("s/mingle/mingled.lock")
    }

    /// What the daemons of this home said.
    #[must_use]
    pub fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("said")
    }

    /// What every program of this home is started with: nothing of the caller's environment but PATH.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let under = |name: &str| self.dir.path().join(name).display().to_string();
        let mut all: Vec<(String, String)> = [
            ("HOME", under("h")),
            ("XDG_RUNTIME_DIR", under("r")),
            ("XDG_CONFIG_HOME", under("c")),
            ("XDG_DATA_HOME", under("d")),
            ("XDG_STATE_HOME", under("s")),
            // No service of this machine has a say in a test.
            ("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", under("no-bus"))),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
            ("MINGLE_LOG", std::env::var("MINGLE_LOG").unwrap_or_else(|_| "info".into())),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        all.extend(self.more.iter().cloned());
        all
    }

    /// The daemon as a command in this home. It is killed when this process goes away.
    #[must_use]
    pub fn mingled(&self) -> Command {
        let mut plain = Command::new(self.under.first().map_or(self.program.as_os_str(), OsStr::new));
        if !self.under.is_empty() {
            plain.args(&self.under[1..]).arg(&self.program);
        }
        let mut command = servers::tied(&plain);
        command.env_clear().envs(self.environment()).current_dir(self.dir.path());
        command
    }

    /// Runs the daemon where it is expected to end by itself.
    ///
    /// # Panics
    /// When it does not end in time, or cannot be started.
    #[must_use]
    pub fn mingled_ends(&self) -> Output {
        ends(self.mingled())
    }

    /// Runs `mingle` with these words.
    ///
    /// # Panics
    /// When it does not end in time, or cannot be started.
    #[must_use]
    pub fn mingle(&self, words: &[&str]) -> Output {
        ends(self.command(words))
    }

    /// `mingle` with these words as a command in this home. It is killed when this process goes away.
    #[must_use]
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = servers::tied(&Command::new(mingle()));
        command.env_clear().envs(self.environment()).current_dir(self.dir.path()).args(words);
        command
    }

    /// Runs `mingle` with these words; it must end with this code. What it printed.
    ///
    /// # Panics
    /// When it ends with another code.
    #[track_caller]
    pub fn says(&self, code: i32, words: &[&str]) -> String {
        let output = self.mingle(words);
        let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(code),
            "mingle {words:?} said:\n{said}\n{complained}\nmingled said:\n{}",
            self.said()
        );
        format!("{said}{complained}")
    }

    /// A daemon that does not run yet.
    #[must_use]
    pub fn idle(self) -> Daemon {
        Daemon { home: self, child: None }
    }

    /// Starts the daemon and waits until it answers.
    ///
    /// # Panics
    /// When it does not answer in time.
    #[must_use]
    pub fn start(self) -> Daemon {
        let mut daemon = self.idle();
        daemon.start();
        daemon
    }
}

fn ends(mut command: Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let shown = format!("{command:?}");
    let mut child = servers::spawn(command).unwrap_or_else(|error| panic!("{shown}: {error}"));
    // Read beside the wait, or a long answer would fill its pipe and never end.
    let drain = |pipe: Option<Box<dyn std::io::Read + Send>>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut pipe) = pipe {
                let _ = pipe.read_to_end(&mut bytes);
            }
            bytes
        })
    };
    let stdout = drain(child.stdout.take().map(|pipe| Box::new(pipe) as _));
    let stderr = drain(child.stderr.take().map(|pipe| Box::new(pipe) as _));
    let deadline = wait::Watch::start();
    let status = loop {
        if let Ok(Some(status)) = child.try_wait() {
            break status;
        }
        if deadline.elapsed() > wait::LONG {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{shown} does not end; it said {}", String::from_utf8_lossy(&stdout.join().unwrap_or_default()));
        }
        wait::pass(Duration::from_millis(2));
    };
    Output { status, stdout: stdout.join().unwrap_or_default(), stderr: stderr.join().unwrap_or_default() }
}

/// A daemon, running or not. It ends with its value.
pub struct Daemon {
    home: Home,
    child: Option<Child>,
}

impl std::ops::Deref for Daemon {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.home
    }
}

impl std::ops::DerefMut for Daemon {
    fn deref_mut(&mut self) -> &mut Home {
        &mut self.home
    }
}

impl Daemon {
    /// A daemon with this configuration, once it answers.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn with(config: &str) -> Self {
        Home::new(Some(config)).start()
    }

    /// Starts it again in the same home, and waits until it answers. How long that took.
    ///
    /// # Panics
    /// When it runs already, ends, or does not answer in time.
    pub fn start(&mut self) -> Duration {
        let watch = wait::Watch::start();
        self.launch();
        until_within("mingled to answer", wait::LONG, || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok()).flatten();
            if let Some(status) = ended {
                panic!("mingled ended with {status}; it said:\n{}", self.home.said());
            }
            App::try_connect(&self.home.socket(), "harness").ok()
        });
        watch.elapsed()
    }

    /// Starts it, and waits for nothing.
    ///
    /// # Panics
    /// When it runs already, or cannot be started.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "mingled runs already");
        let log = File::options().append(true).create(true).open(self.home.log()).expect("a file for what mingled says");
        let again = log.try_clone().expect("a file for what mingled says");
        let mut command = self.home.mingled();
        command.stdin(Stdio::null()).stdout(log).stderr(again);
        self.child = Some(servers::spawn(command).unwrap_or_else(|error| panic!("mingled does not start: {error}")));
    }

    /// Starts it by a shell: the script has the program as `$0`, and becomes it (`exec`).
    ///
    /// # Panics
    /// When it runs already, or cannot be started.
    pub fn launch_by(&mut self, script: &str) {
        assert!(self.child.is_none(), "mingled runs already");
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(mingled());
        let mut command = servers::tied(&shell);
        command.env_clear().envs(self.home.environment()).current_dir(self.home.dir());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(servers::spawn(command).unwrap_or_else(|error| panic!("mingled does not start: {error}")));
    }

    /// Waits until it answers (none), or ends: how.
    ///
    /// # Panics
    /// When it does neither in time, or was not launched.
    pub fn answers_or_ends(&mut self) -> Option<ExitStatus> {
        let child = self.child.as_mut().expect("mingled was launched");
        let socket = self.home.socket();
        let ended = until_within("mingled to answer, or to end", wait::LONG, || match child.try_wait().ok().flatten() {
            Some(status) => Some(Some(status)),
            None => App::try_connect(&socket, "harness").ok().map(|_| None),
        });
        if ended.is_some() {
            self.child = None;
        }
        ended
    }

    /// Whether it was started and not seen to end.
    #[must_use]
    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    /// Connects as an app.
    ///
    /// # Panics
    /// When it does not answer.
    #[track_caller]
    #[must_use]
    pub fn app(&self, name: &str) -> App {
        App::try_connect(&self.home.socket(), name)
            .unwrap_or_else(|error| panic!("no connection: {error}; mingled said:\n{}", self.home.said()))
    }

    /// Its process.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("mingled runs").id()
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a pid");
        rustix::process::kill_process(pid, signal).expect("a signal to our own child");
    }

    /// `kill -STOP`, and until it stands still: the signal is taken by each thread when it next runs, and on a busy machine one
    /// of them still answers for a while.
    ///
    /// # Panics
    /// When it does not run, or does not come to a stop.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        wait::until("every thread of the daemon to stand still", || stands_still(self.pid()).then_some(()));
    }

    /// Whether it has not ended yet.
    #[must_use]
    pub fn is_there(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// `kill -9`, and its end.
    ///
    /// # Panics
    /// When it does not run.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.ended();
    }

    /// SIGTERM, and its end: how it ended, and how long that took.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        let watch = wait::Watch::start();
        self.signal(Signal::TERM);
        let status = self.ended();
        (status, watch.elapsed())
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    pub fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("mingled runs");
        let status = until_within("mingled to end", wait::LONG, || child.try_wait().ok().flatten());
        drop(child);
        status
    }

    /// Bytes that it holds in memory now.
    ///
    /// # Panics
    /// When the system does not tell.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        self.bytes_of("VmRSS:")
    }

    /// Bytes that it has held in memory at most since it started.
    ///
    /// # Panics
    /// When the system does not tell.
    #[must_use]
    pub fn resident_bytes_most(&self) -> u64 {
        self.bytes_of("VmHWM:")
    }

    /// Bytes of files that it has in memory now: the text of the program itself, in the main.
    ///
    /// # Panics
    /// When the system does not tell.
    #[must_use]
    pub fn resident_file_bytes(&self) -> u64 {
        self.bytes_of("RssFile:")
    }

    fn bytes_of(&self, what: &str) -> u64 {
        servers::status_bytes(self.pid(), what)
    }
}

/// Whether no thread of a process can do anything more: in proc(5)'s `stat`, the letter after the name in brackets.
fn stands_still(pid: u32) -> bool {
    let threads = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")).expect("its threads");
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // A thread that has ended meanwhile stands still as well.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['T', 't', 'Z', 'X']))
    })
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let said = self.home.said();
            let lines: Vec<&str> = said.lines().collect();
            let last = lines[lines.len().saturating_sub(60)..].join("\n");
            let _ = writeln!(std::io::stderr(), "mingled said at last:\n{last}");
        }
    }
}
