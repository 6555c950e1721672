//! Owns: `mingle service`: mingled as a service of the user's own systemd, put in place, started, removed. Must never know: what
//! mingled does; how units are written (that is `units`).

mod purge;
pub mod status_group;
mod systemctl;
mod units;

use std::{fs, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path, time::Duration};

use mingle_client::{ConnectError, blocking::Client, connect};
use serde_json::{Value, json};

use crate::{
    at::At,
    clock::{self, Deadline},
    exit::{Exit, Failure},
    program,
};
use units::{File, Place};

/// Have systemd run mingled for you: from login on, started again after a failure.
#[derive(Debug, clap::Subcommand)]
pub enum Service {
    Install(Install),
    Uninstall(Uninstall),
    Restart(Restart),
    Status(Status),
}

/// Put the service in place, and start it.
#[derive(Debug, clap::Args)]
pub struct Install {
    /// Without a user namespace: for secrets by a command that writes into your home directory, or where the kernel has none.
    #[arg(long)]
    no_sandbox: bool,
}

/// Stop the service and remove it. Your data stays, and it says where.
#[derive(Debug, clap::Args)]
pub struct Uninstall {
    /// Delete the data too, once all of it is sent. It is listed first.
    #[arg(long)]
    purge: bool,
    /// Do not ask.
    #[arg(long, requires = "purge")]
    yes: bool,
}

/// End mingled and start it again, as it is installed now.
#[derive(Debug, clap::Args)]
pub struct Restart {}

/// Say whether the service is there, and runs. Ends with 3 where it does not.
#[derive(Debug, clap::Args)]
pub struct Status {}

/// How long a daemon that was started may take to answer: it may have a store to look through.
const ANSWERS_WITHIN: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Service {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        match self {
            Self::Install(install) => install.run(at),
            Self::Uninstall(uninstall) => uninstall.run(at),
            Self::Restart(_) => restart(at),
            Self::Status(_) => status(at),
        }
    }
}

impl Install {
    fn run(&self, at: &mut At) -> Result<Exit, Failure> {
        let (mingled, _) = connect::mingled().ok_or(ConnectError::NotInstalled)?;
        systemctl::available()?;
        let report = program::facts(&["doctor".into(), "--json".into()])?;
        configuration_is_good(&report)?;
        not_beside_another(at)?;
        warn_of_environment(at, &report);
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mingle = std::env::current_exe()?;
        let place = Place::of((&mingled, &mingle), &report["places"], &environment)
            .map_err(|what| Failure::said(Exit::Failed, what, "use paths without line ends and quotes"))?;
        // A place that is not there cannot be opened for writing in the sandbox.
        for directory in [&place.data, &place.state] {
            make_directory(directory)?;
        }
        let folder =
            units::folder(&environment).ok_or_else(|| Failure::said(Exit::Failed, "no home directory is known", "set HOME"))?;
        let packaged = units::is_packaged(&mingled);
        for file in place.files(packaged, !self.no_sandbox) {
            write(at, &folder, &file)?;
        }
        systemctl::must(&["daemon-reload"])?;
        // A daemon that runs without it has made the status socket itself, and systemd would not open it beside a running service.
        let runs = |unit: &str| systemctl::shown(unit).get("ActiveState").is_some_and(|state| state == "active");
        if runs("mingled.service") && !runs("mingle-status.socket") {
            systemctl::must(&["stop", "mingled.service"])?;
        }
        systemctl::must(&[&["enable", "--now"][..], &units::UNITS].concat()).map_err(|failure| {
            Failure::said(Exit::Failed, failure.to_string(), "`mingle logs` says why; `mingle doctor` looks at everything")
        })?;
        let build = answers(at)?;
        if at.json {
            at.line(&json!({"state": "running", "build": build, "units": folder.display().to_string()}).to_string())?;
        } else {
            at.line(&format!(
                "mingled {build} runs, and starts at login; `mingle service status` shows it, `mingle logs` what it says"
            ))?;
            at.line("it ends when you log out; `loginctl enable-linger` lets it go on")?;
        }
        Ok(Exit::Done)
    }
}

fn configuration_is_good(report: &Value) -> Result<(), Failure> {
    let findings = report["findings"].as_array().map_or(&[][..], Vec::as_slice);
    let bad: Vec<&str> = findings
        .iter()
        .filter(|one| one["about"] == "configuration" && one["state"] == "bad")
        .filter_map(|one| one["what"].as_str())
        .collect();
    if bad.is_empty() {
        return Ok(());
    }
    let what = format!("the configuration cannot be used, so the service would not start: {}", bad.join("; "));
    Err(Failure::said(Exit::Failed, what, "`mingle config check` says what to do"))
}

/// A daemon that somebody started by hand holds the lock: the service would find it held.
fn not_beside_another(at: &At) -> Result<(), Failure> {
    if systemctl::shown("mingled.service").get("ActiveState").is_some_and(|state| state == "active") {
        return Ok(());
    }
    match Client::open(at.options()) {
        // The socket of the service alone may have started it just now.
        Ok(_) if systemctl::shown("mingled.service").get("ActiveState").is_none_or(|state| state != "active") => {
            Err(Failure::said(
                Exit::Failed,
                "mingled runs already, and not as a service",
                "`mingle shutdown` ends it; then try again",
            ))
        }
        _ => Ok(()),
    }
}

fn warn_of_environment(at: &At, report: &Value) {
    for one in report["environment_secrets"].as_array().into_iter().flatten() {
        let (remote, variable) = (one["remote"].as_str().unwrap_or_default(), one["variable"].as_str().unwrap_or_default());
        at.note(&format!(
            "the secret of remote {remote} comes from the variable {variable} of your shell, which does not reach a service; \
             write it into a file instead: {{ file = \"{remote}.secret\" }}"
        ));
    }
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        Failure::said(Exit::Failed, format!("cannot make {}: {error}", path.display()), "check who owns the directory above it")
    })
}

fn write(at: &At, folder: &Path, file: &File) -> Result<(), Failure> {
    let path = folder.join(file.name);
    let failed = |error: std::io::Error| {
        Failure::said(Exit::Failed, format!("cannot write {}: {error}", path.display()), "check who owns it")
    };
    let directory = path.parent().unwrap_or(folder);
    fs::create_dir_all(directory).map_err(failed)?;
    // Written beside and moved: systemd never reads half of it.
    let beside = path.with_extension("new");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o644);
    options.open(&beside).and_then(|mut open| open.write_all(file.text.as_bytes())).map_err(failed)?;
    fs::rename(&beside, &path).map_err(failed)?;
    at.note(&format!("wrote {}", path.display()));
    Ok(())
}

/// Waits until the daemon says hello; its version.
fn answers(at: &At) -> Result<String, Failure> {
    let until = Deadline::after(Some(ANSWERS_WITHIN));
    loop {
        match Client::open(at.options()) {
            Ok(client) => return Ok(client.hello().map(|hello| hello.build.clone()).unwrap_or_default()),
            Err(error) if error.is_absence() && !until.passed() => clock::pause(LOOK_AGAIN),
            Err(error) if error.is_absence() => {
                let what = format!("the service was started, and mingled does not answer: {error}");
                return Err(Failure::said(Exit::NoDaemon, what, "`mingle logs` says why; `mingle doctor` looks at everything"));
            }
            Err(error) => return Err(error.into()),
        }
    }
}

impl Uninstall {
    fn run(&self, at: &mut At) -> Result<Exit, Failure> {
        let places = program::facts(&["places".into(), "--json".into()])?;
        if self.purge {
            purge::may(at, &places, self.yes)?;
        }
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let folder =
            units::folder(&environment).ok_or_else(|| Failure::said(Exit::Failed, "no home directory is known", "set HOME"))?;
        let managed = systemctl::available();
        if managed.is_ok() && systemctl::shown("mingled.service").get("LoadState").is_some_and(|state| state == "loaded") {
            systemctl::must(&[&["disable", "--now"][..], &units::UNITS].concat())?;
        }
        if managed.is_ok() && folder.join(units::FOLDERS[0]).exists() {
            systemctl::must(&["stop", units::FOLDERS[1]])?;
            systemctl::must(&["disable", units::FOLDERS[0]])?;
        }
        let mut removed = false;
        for name in units::NAMES {
            let path = folder.join(name);
            if fs::remove_file(&path).is_ok() {
                removed = true;
                at.note(&format!("removed {}", path.display()));
            }
        }
        // Only where nothing of somebody else is in it.
        for of in ["mingled.service", units::FOLDERS[0]] {
            let _ = fs::remove_dir(folder.join(format!("{of}.d")));
        }
        if managed.is_ok() {
            systemctl::must(&["daemon-reload"])?;
        } else if !removed {
            managed?;
        }
        if self.purge {
            return purge::now(at, &places);
        }
        let text = |name: &str| places[name].as_str().unwrap_or_default().to_owned();
        if at.json {
            at.line(&json!({"state": "uninstalled", "kept": places}).to_string())?;
        } else {
            at.line(if removed {
                "the service is removed; your data stays:"
            } else {
                "no service is installed; your data stays:"
            })?;
            at.line(&format!("  store          {}", text("store")))?;
            at.line(&format!("  configuration  {}", text("config")))?;
            at.line("`mingled` starts it by hand; `mingle service uninstall --purge` deletes the data")?;
        }
        Ok(Exit::Done)
    }
}

fn restart(at: &mut At) -> Result<Exit, Failure> {
    systemctl::available()?;
    installed()?;
    systemctl::must(&["restart", "mingled.service"]).map_err(|failure| {
        Failure::said(Exit::Failed, failure.to_string(), "`mingle logs` says why; `mingle doctor` looks at everything")
    })?;
    let build = answers(at)?;
    at.line(&if at.json { json!({"state": "running", "build": build}).to_string() } else { format!("mingled {build} runs") })?;
    Ok(Exit::Done)
}

fn installed() -> Result<(), Failure> {
    if systemctl::shown("mingled.service").get("LoadState").is_some_and(|state| state == "loaded") {
        return Ok(());
    }
    Err(Failure::said(Exit::NoDaemon, "no service is installed", "`mingle service install` puts it in place and starts it"))
}

fn status(at: &mut At) -> Result<Exit, Failure> {
    systemctl::available()?;
    let (service, socket) = (systemctl::shown("mingled.service"), systemctl::shown("mingled.socket"));
    let of = |name: &str| service.get(name).map(String::as_str).unwrap_or_default();
    let active = of("ActiveState") == "active";
    if at.json {
        at.line(&json!({"service": service, "socket": socket}).to_string())?;
    } else {
        installed()?;
        let listening = socket.get("ActiveState").is_some_and(|state| state == "active");
        at.line(&match (active, listening) {
            (true, _) => format!("mingled runs as a service (process {}, {} restarts)", of("MainPID"), of("NRestarts")),
            (false, true) => "mingled does not run, and starts when an app asks".to_owned(),
            (false, false) => format!("mingled does not run ({}, {})", of("ActiveState"), of("Result")),
        })?;
        at.line(&format!("  unit      {}", of("FragmentPath")))?;
        at.line(&format!("  at login  {}", if of("UnitFileState") == "enabled" { "yes" } else { "no" }))?;
        if !of("StatusText").is_empty() {
            at.line(&format!("  status    {}", of("StatusText")))?;
        }
    }
    Ok(if active { Exit::Done } else { Exit::NoDaemon })
}

/// Whether the journal keeps what the daemon logs: it is installed as a service, and there is a journal to ask.
pub fn keeps_a_log() -> bool {
    systemctl::available().is_ok()
        && systemctl::shown("mingled.service").get("LoadState").is_some_and(|state| state == "loaded")
        && systemctl::has_entries()
}

/// For `mingle doctor`.
pub fn finding() -> Value {
    let service = match systemctl::available() {
        Ok(()) => systemctl::shown("mingled.service"),
        Err(failure) => return json!({"about": "service", "state": "odd", "what": failure.to_string(), "hint": failure.hint()}),
    };
    let of = |name: &str| service.get(name).map(String::as_str).unwrap_or_default();
    let (state, what, hint) = match (of("LoadState"), of("ActiveState")) {
        ("loaded", "active") => ("good", format!("runs as process {}", of("MainPID")), ""),
        ("loaded", "failed") => {
            ("bad", format!("failed: {}", of("Result")), "`mingle logs` says why; `mingle service restart` tries again")
        }
        ("loaded", other) => ("odd", format!("installed, and {other}"), "`mingle service restart` starts it"),
        _ => ("odd", "not installed".to_owned(), "`mingle service install` has mingled run from login on"),
    };
    json!({"about": "service", "state": state, "what": what, "hint": hint})
}
