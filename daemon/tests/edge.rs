//! Owns: the edge of the real process: places, lock, signals, standard error, what the service manager hands over, exit codes.
//! Must never know: what the daemon does once it serves.

#![expect(clippy::disallowed_methods, reason = "tests look again after a moment, until a deadline")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        net::UnixStream,
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// Long enough for a machine that does ten other things.
const PATIENCE: Duration = Duration::from_secs(30);

#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A home for one daemon: all its directories lie in it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        let home = Self(tempfile::tempdir().expect("a directory for the test"));
        fs::create_dir(home.path("run")).expect("made");
        home
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn socket(&self) -> PathBuf {
        self.path("run/mingle/mingle.sock")
    }

    fn store(&self) -> PathBuf {
        self.path("data/mingle/store.db")
    }

    /// A program that sees only this home.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.0.path());
        for (variable, name) in
            [("XDG_RUNTIME_DIR", "run"), ("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("XDG_STATE_HOME", "state")]
        {
            command.env(variable, self.path(name));
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn mingled(&self) -> Command {
        self.command(MINGLED)
    }

    /// A daemon that answers.
    fn start(&self) -> Daemon {
        self.start_as(&mut self.mingled())
    }

    fn start_as(&self, command: &mut Command) -> Daemon {
        let daemon = Daemon(command.spawn().expect("spawned"));
        until("the daemon answers", || hello(&self.socket()));
        daemon
    }

    /// Runs to its end: how it ended, and what it said.
    fn ended(&self, command: &mut Command) -> (ExitStatus, String) {
        let mut daemon = Daemon(command.spawn().expect("spawned"));
        let mut said = String::new();
        daemon.0.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
        (daemon.wait(), said.replace(&format!("{}/", self.0.path().display()), ""))
    }

    fn configure(&self, text: &str) {
        fs::create_dir_all(self.path("config/mingle")).expect("made");
        fs::write(self.path("config/mingle/config.toml"), text).expect("written");
    }
}

const MINGLED: &str = env!("CARGO_BIN_EXE_mingled");

/// A process that does not outlive its test.
struct Daemon(Child);

impl Daemon {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).expect("it is there");
    }

    fn wait(&mut self) -> ExitStatus {
        let mut ended = None;
        until("the process ends", || {
            ended = self.0.try_wait().expect("waited");
            ended.is_some()
        });
        ended.expect("ended")
    }

    fn stop(mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether somebody there answers a hello.
fn hello(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else { return false };
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let call = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"hello\",\"params\":{\"app\":\"edge\",\"protocol\":1}}\n";
    let mut line = String::new();
    stream.write_all(call).is_ok() && BufReader::new(stream).read_line(&mut line).is_ok() && line.contains("\"result\"")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("there").mode() & 0o777
}

#[test]
fn one_daemon_at_a_time() {
    let home = Home::new();
    let first = home.start();
    let (ended, said) = home.ended(&mut home.mingled());
    assert_eq!(ended.code(), Some(75), "{said}");
    assert!(said.contains(&format!("mingled already runs (process {}", first.0.id())), "{said}");
    assert!(hello(&home.socket()), "the first is not displaced");
    // Another socket does not make it another store.
    let (ended, said) = home.ended(home.mingled().env("MINGLE_SOCKET", home.path("run/mingle/other.sock")));
    assert_eq!(ended.code(), Some(75), "{said}");
    assert_eq!(first.stop().code(), Some(0));
}

#[test]
fn a_stale_socket_and_a_stale_lock_hold_nobody_up() {
    let home = Home::new();
    for _ in 0..5 {
        let mut daemon = home.start();
        daemon.signal(Signal::KILL);
        assert_eq!(daemon.wait().signal(), Some(9));
        assert!(home.socket().exists(), "killed, it left its socket behind");
    }
    assert_eq!(home.start().stop().code(), Some(0));
    assert!(home.path("state/mingle/mingled.lock").exists(), "the lock file is never deleted");
    assert!(!home.socket().exists(), "who ends in good order takes the socket away");
}

#[test]
fn a_bad_configuration_is_refused_before_anything_is_made() {
    let home = Home::new();
    home.configure(
        "[sync.issues]\ncollection = \"issues\"\nremote = \"tracker\"\ndirection = \"both\"\nevry = \"15m\"\n\n[stor]\n",
    );
    let (ended, said) = home.ended(&mut home.mingled());
    assert_eq!(ended.code(), Some(78), "{said}");
    for expected in [
        "config/mingle/config.toml:5: unknown key `sync.issues.evry`\n  hint: did you mean `every`?",
        "config/mingle/config.toml:7: unknown section `stor`\n  hint: did you mean `store`?",
    ] {
        assert!(said.contains(expected), "{said}");
    }
    assert!(!home.path("state").exists() && !home.path("data").exists());
    fs::write(home.path("config/mingle/config.toml"), "[collection.notes]\n").expect("written");
    assert_eq!(home.start().stop().code(), Some(0));
}

#[test]
fn places_that_others_can_change_are_refused() {
    let check = |make: fn(&Home), expected: &str| {
        let home = Home::new();
        make(&home);
        let (ended, said) = home.ended(&mut home.mingled());
        assert_eq!(ended.code(), Some(78), "{said}");
        assert!(said.contains(expected), "expected {expected} in {said}");
        assert!(!home.socket().exists());
    };
    check(
        |home| {
            fs::create_dir_all(home.path("run/mingle")).expect("made");
            fs::set_permissions(home.path("run/mingle"), fs::Permissions::from_mode(0o750)).expect("chmod");
        },
        "run/mingle is open to other users (mode 750)\n  hint: chmod 700",
    );
    check(
        |home| {
            fs::create_dir_all(home.path("data/real")).expect("made");
            symlink("real", home.path("data/mingle")).expect("link");
        },
        "data/mingle is a link or not a directory",
    );
    check(
        |home| {
            fs::create_dir_all(home.path("data/mingle")).expect("made");
            fs::write(home.path("data/victim"), "").expect("written");
            symlink("../victim", home.store()).expect("link");
        },
        "data/mingle/store.db is a link",
    );
    check(|home| home.configure("[store]\npath = \"relative.db\"\n"), "`store.path` must start with / or ~/");
}

#[test]
fn what_it_makes_is_its_own() {
    let home = Home::new();
    let script = format!("umask 000; exec {MINGLED}");
    let daemon = home.start_as(home.command("sh").args(["-c", &script]));
    for directory in ["data/mingle", "state/mingle", "run/mingle"] {
        assert_eq!(mode(&home.path(directory)), 0o700, "{directory}");
    }
    for file in [home.store(), home.path("state/mingle/mingled.lock"), home.socket()] {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn signals_ask_and_never_kill() {
    let home = Home::new();
    let daemon = home.start();
    for signal in [Signal::XFSZ, Signal::PIPE, Signal::HUP, Signal::USR1] {
        daemon.signal(signal);
    }
    assert!(hello(&home.socket()), "it goes on");
    assert_eq!(daemon.stop().code(), Some(0));
    // An interrupt is a wish like any other; said three times, it is obeyed whatever hangs.
    let mut daemon = home.start();
    for _ in 0..3 {
        let _ = kill_process(Pid::from_child(&daemon.0), Signal::INT);
    }
    let ended = daemon.wait();
    assert!(matches!(ended.code(), Some(0 | 130)), "{ended:?}");
    assert_eq!(home.start().stop().code(), Some(0), "and the next one starts");
}

#[test]
fn a_file_limit_is_an_error_and_no_death() {
    let home = Home::new();
    // Not even an empty store fits into this: SQLite must be told so, and the process must say it.
    let script = format!("ulimit -f 1; exec {MINGLED}");
    let (ended, said) = home.ended(home.command("sh").args(["-c", &script]));
    assert_eq!(ended.code(), Some(1), "{ended:?}: {said}");
    assert!(said.contains("mingled: "), "{said}");
    assert_eq!(home.start().stop().code(), Some(0), "with room it starts on what was left");
}

#[test]
fn a_log_that_nobody_reads_costs_nothing() {
    let home = Home::new();
    // A pipe that is full after a few lines, and is never read.
    let daemon = home.start_as(home.mingled().env("MINGLE_LOG", "trace"));
    for _ in 0..2_000 {
        assert!(hello(&home.socket()));
    }
    assert_eq!(daemon.stop().code(), Some(0));
    // None at all.
    let script = format!("exec {MINGLED} 2>&- >&- <&-");
    let daemon = home.start_as(home.command("sh").args(["-c", &script]).stderr(Stdio::null()));
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn the_log_is_json_where_that_is_wanted() {
    let home = Home::new();
    let mut daemon = home.start_as(home.mingled().env("MINGLE_LOG_FORMAT", "json"));
    let out = daemon.0.stderr.take().expect("piped");
    assert_eq!(daemon.stop().code(), Some(0));
    let lines: Vec<String> = BufReader::new(out).lines().map(|line| line.expect("text")).collect();
    assert!(!lines.is_empty());
    for line in lines {
        let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(value["level"].is_string() && value["message"].is_string(), "{line}");
    }
}

#[test]
fn a_socket_that_was_handed_over_is_served() {
    let home = Home::new();
    if Command::new("systemd-socket-activate").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("systemd-socket-activate is not on this machine: the check is left out");
        return;
    }
    fs::create_dir(home.path("run/mingle")).expect("made");
    fs::set_permissions(home.path("run/mingle"), fs::Permissions::from_mode(0o700)).expect("chmod");
    let mut activate = home.command("systemd-socket-activate");
    activate.arg("--listen").arg(home.socket());
    for variable in ["HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
        activate.arg(format!("--setenv={variable}"));
    }
    let daemon = home.start_as(activate.arg(MINGLED));
    let before = fs::metadata(home.socket()).expect("there").ino();
    assert!(hello(&home.socket()));
    assert_eq!(fs::metadata(home.socket()).expect("there").ino(), before, "it made no socket of its own");
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(home.socket().exists(), "the socket is the service manager's, and stays");
}

/// What the service manager hears, as a unit with Type=notify would.
#[test]
fn it_says_ready_when_it_answers_and_stopping_when_it_ends() {
    let home = Home::new();
    let path = home.path("run/notify.sock");
    let manager = std::os::unix::net::UnixDatagram::bind(&path).expect("bound");
    manager.set_read_timeout(Some(PATIENCE)).expect("set");
    let heard = || {
        let mut bytes = [0; 4096];
        let length = manager.recv(&mut bytes).expect("a message in time");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let hears = |word: &str| {
        let deadline = Instant::now() + PATIENCE;
        while !heard().lines().any(|line| line == word) {
            assert!(Instant::now() < deadline, "{word} is not said");
        }
    };
    let mut daemon = Daemon(home.mingled().env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000").spawn().expect("spawned"));
    hears("READY=1");
    assert!(hello(&home.socket()), "ready is said when a hello is answered");
    hears("WATCHDOG=1");
    hears("WATCHDOG=1");
    daemon.signal(Signal::TERM);
    hears("STOPPING=1");
    assert_eq!(daemon.wait().code(), Some(0));
}
