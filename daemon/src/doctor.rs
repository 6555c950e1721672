//! Owns: looking at everything that a daemon needs, one thing after the other, without being one: nothing is made, taken or changed.
//! Must never know: a running daemon; `mingle doctor` asks that one itself.

use std::{
    fmt, fs, io,
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use mingle_core::time::Timestamp;
use serde_json::{Value, json};

use crate::{
    clock,
    config::{self, Config, Known, Secret, Where},
    environment::Environment,
    lock::{self, Holder},
    paths::{self, Disk, Paths, Privacy, Refusal},
    store::{
        self, Seen, StoreError,
        copies::{self, Kept},
    },
};

mod logins;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Good,
    /// It works, and a person should know.
    Odd,
    /// A daemon does not start, or does not do what it should.
    Bad,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Odd => "odd",
            Self::Bad => "bad",
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// In a word.
    pub about: &'static str,
    /// How bad it is.
    pub state: State,
    /// What was found.
    pub what: String,
    /// What to do; may be empty.
    pub hint: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:4}  {}: {}", self.state.word(), self.about, self.what)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, "\n      hint: {}", self.hint) }
    }
}

/// Everything that was found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In the order in which a daemon needs them.
    pub findings: Vec<Finding>,
    /// Where everything lies, by name.
    pub places: Vec<(&'static str, PathBuf)>,
    /// Secrets that come from the environment: remote, variable.
    pub environment: Vec<(String, String)>,
    /// The number of the group that may use the status socket, as configured.
    pub status_group: Option<u32>,
}

impl Report {
    /// Whether something keeps a daemon from its work.
    #[must_use]
    pub fn is_bad(&self) -> bool {
        self.findings.iter().any(|finding| finding.state == State::Bad)
    }

    /// The same, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let findings: Vec<Value> = self
            .findings
            .iter()
            .map(|one| json!({"about": one.about, "state": one.state.word(), "what": one.what, "hint": one.hint}))
            .collect();
        let secrets: Vec<Value> =
            self.environment.iter().map(|(remote, variable)| json!({"remote": remote, "variable": variable})).collect();
        json!({
            "build": env!("CARGO_PKG_VERSION"), "good": !self.is_bad(), "places": places_json(&self.places), "findings": findings,
            "environment_secrets": secrets, "status_group": self.status_group,
        })
    }

    fn note(&mut self, about: &'static str, state: State, what: impl Into<String>, hint: impl Into<String>) {
        self.findings.push(Finding { about, state, what: what.into(), hint: hint.into() });
    }

    fn checked(&mut self, about: &'static str, good: impl Into<String>, checked: Result<(), Refusal>) {
        match checked {
            Ok(()) => self.note(about, State::Good, good, ""),
            Err(refusal) => self.note(about, State::Bad, refusal.what, refusal.hint),
        }
    }
}

/// Where everything lies, by name. Where the configuration cannot be read, the store is taken to be in its usual place.
///
/// # Errors
/// When there is no home directory to go by.
pub fn places(env: &Environment, known: &dyn Known) -> Result<Vec<(&'static str, PathBuf)>, Refusal> {
    let paths = Paths::find(env)?;
    let config = config::load(&Where::Directory(paths.config.clone()), known).ok();
    Ok(places_of(&paths, &store_file(&paths, config.as_ref(), env)))
}

/// The same, for programs.
#[must_use]
pub fn places_json(places: &[(&'static str, PathBuf)]) -> Value {
    places
        .iter()
        .map(|(name, path)| ((*name).to_owned(), json!(path.display().to_string())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn store_file(paths: &Paths, config: Option<&Config>, env: &Environment) -> PathBuf {
    let written = config.and_then(|config| config.store.path.as_deref());
    written.map_or_else(|| paths.store_file(), |written| paths::expand_home(written, env))
}

fn places_of(paths: &Paths, store_file: &Path) -> Vec<(&'static str, PathBuf)> {
    vec![
        ("config", paths.config.clone()),
        ("data", store_file.parent().unwrap_or(&paths.data).to_path_buf()),
        ("state", paths.state.clone()),
        ("store", store_file.to_path_buf()),
        ("lock", paths.lock_file()),
        ("log", paths.log_file()),
        ("socket", paths.socket.clone()),
        ("status_socket", paths.status_socket(false).to_path_buf()),
    ]
}

/// Looks.
#[must_use]
pub fn look(env: &Environment, known: &dyn Known) -> Report {
    let mut report = Report::default();
    report.note("mingled", State::Good, program(), "");
    let paths = match Paths::find(env) {
        Ok(paths) => paths,
        Err(refusal) => {
            report.note("places", State::Bad, refusal.what, refusal.hint);
            return report;
        }
    };
    let config = configuration(&mut report, &paths, known);
    let store_file = store_file(&paths, config.as_ref(), env);
    report.status_group = config.as_ref().and_then(|config| config.status.group);
    report.places = places_of(&paths, &store_file);
    directories(&mut report, &paths, &store_file);
    socket(&mut report, &paths.socket);
    holder(&mut report, &paths.lock_file());
    truth(&mut report, &store_file);
    if let Some(config) = &config {
        logins::logins(&mut report, config, &paths.logins(), clock::now());
    }
    time(&mut report, clock::now(), &store_file);
    report
}

fn program() -> String {
    let program =
        std::env::current_exe().map_or_else(|_| "a program whose place is not known".into(), |path| path.display().to_string());
    format!("version {}, {program}", env!("CARGO_PKG_VERSION"))
}

fn configuration(report: &mut Report, paths: &Paths, known: &dyn Known) -> Option<Config> {
    match config::load(&Where::Directory(paths.config.clone()), known) {
        Ok(config) if config.files.is_empty() => {
            let what = format!("there is none at {}: nothing is synced", paths.config_file().display());
            report.note("configuration", State::Odd, what, "`mingle profile list` shows what can be synced");
            Some(config)
        }
        Ok(config) => {
            let what = format!("{} syncs, {} remotes in {}", config.syncs.len(), config.remotes.len(), paths.config.display());
            report.note("configuration", State::Good, what, "");
            for (name, remote) in &config.remotes {
                if let Some(Secret::Env(variable)) = remote.auth.secret() {
                    report.environment.push((name.clone(), variable.clone()));
                }
            }
            Some(config)
        }
        Err(problems) => {
            for problem in problems {
                let line = if problem.line > 0 { format!(":{}", problem.line) } else { String::new() };
                let what = format!("{}{line}: {}", problem.file.display(), problem.what);
                report.note("configuration", State::Bad, what, problem.hint);
            }
            None
        }
    }
}

fn directories(report: &mut Report, paths: &Paths, store_file: &Path) {
    let data = store_file.parent().unwrap_or(&paths.data);
    for (about, directory, privacy) in [
        ("data directory", data, Privacy::ReadByOthers),
        ("state directory", &paths.state, Privacy::ReadByOthers),
        ("socket directory", paths.socket_dir(), Privacy::Ours),
    ] {
        let shown = directory.display();
        match fs::symlink_metadata(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                report.note(about, State::Good, format!("{shown} is not there yet; mingled makes it"), "");
                continue;
            }
            _ => report.checked(about, format!("{shown}"), paths::check_dir(directory, privacy)),
        }
        match Disk::under(directory) {
            Ok(Disk::Network(_)) => report.checked("disk", "", paths::check_disk(directory)),
            Ok(Disk::Fuse) => {
                let what = format!("{shown} is on FUSE; whether a write there survives a power cut is up to that program");
                report.note("disk", State::Odd, what, "");
            }
            Ok(Disk::Local) | Err(_) => {}
        }
    }
}

fn socket(report: &mut Report, path: &Path) {
    let shown = path.display();
    match fs::symlink_metadata(path) {
        Ok(about) if about.file_type().is_socket() => report.note("socket", State::Good, format!("{shown}"), ""),
        Ok(_) => {
            report.note(
                "socket",
                State::Bad,
                format!("{shown} is there and is no socket"),
                format!("move it away: ls -l {shown}"),
            );
        }
        Err(_) => report.note("socket", State::Good, format!("{shown} is not there: nobody listens"), ""),
    }
}

fn holder(report: &mut Report, path: &Path) {
    let shown = path.display();
    if let Err(refusal) = paths::check_file(path) {
        return report.note("lock", State::Bad, refusal.what, refusal.hint);
    }
    match lock::holder_of(path) {
        Ok(Holder::Nobody) => report.note("lock", State::Good, "free: no mingled works on this store", ""),
        Ok(Holder::Process { pid: Some(pid), version }) => {
            let version = version.map(|version| format!(", version {version}")).unwrap_or_default();
            report.note("lock", State::Good, format!("held by process {pid}{version}"), "");
        }
        Ok(Holder::Process { pid: None, .. }) => {
            let hint = format!("`fuser {shown}` says which process it is");
            report.note("lock", State::Odd, format!("held, and {shown} does not say by whom"), hint);
        }
        Ok(Holder::Unknown) => report.note("lock", State::Odd, format!("the system does not say who holds {shown}"), ""),
        Err(error) => {
            report.note("lock", State::Bad, format!("{shown} cannot be read: {error}"), format!("check `ls -l {shown}`"));
        }
    }
}

fn truth(report: &mut Report, path: &Path) {
    let shown = path.display();
    if path.parent().is_some_and(|parent| !parent.exists()) {
        return report.note("store", State::Good, format!("{shown} is not there yet; mingled makes it"), "");
    }
    match paths::check_file(path).map(|_| store::look(path)) {
        Err(refusal) => report.note("store", State::Bad, refusal.what, refusal.hint),
        Ok(Ok(None)) => report.note("store", State::Good, format!("{shown} is not there yet; mingled makes it"), ""),
        Ok(Ok(Some(Seen::Newest(look)))) => {
            let what = format!("{shown} is sound: instance {}, {} changes", look.instance, look.seq);
            report.note("store", State::Good, what, "");
        }
        Ok(Ok(Some(Seen::Older(schema)))) => {
            let what = format!("{shown} is sound, and of an older mingle (schema {schema})");
            let hint = "`mingle service restart`: the next start keeps a copy beside it, and brings it to the newest schema";
            report.note("store", State::Odd, what, hint);
        }
        Ok(Err(error)) => {
            let hint = match &error {
                StoreError::Damaged(_) | StoreError::Corrupt(_) => {
                    "keep a copy; at its next start mingled moves it aside, and fills a new one from the remotes"
                }
                StoreError::Newer { .. } => "install the newer mingle again",
                _ => "check `ls -l`, and that the disk works",
            };
            report.note("store", State::Bad, format!("{shown}: {error}"), hint);
        }
    }
    for (file, why, bytes) in copies::kept(path) {
        let (why, hint) = match why {
            Kept::Upgraded => ("the store before a newer mingle changed its schema", "delete it once you miss nothing"),
            Kept::Replaced => {
                ("what a backup took the place of; it may hold changes that were never sent", "delete it once you miss nothing")
            }
            Kept::Reset => {
                ("the store before a reset; it may hold changes that were never sent", "delete it once you miss nothing")
            }
            Kept::Damaged => ("a damaged store; it may hold changes that were never sent", "keep it until you miss nothing"),
        };
        report.note("kept", State::Good, format!("{}, {bytes} bytes: {why}", file.display()), hint);
    }
}

/// Before this moment there was no mingle: a machine whose clock says so has lost it.
const FIRST_RELEASE_S: i64 = 1_767_225_600;

fn time(report: &mut Report, now: Timestamp, store_file: &Path) {
    let hint = "set the clock (`timedatectl`), for schedules and logins go by it";
    let written = fs::metadata(store_file).and_then(|about| about.modified()).ok();
    let written =
        written.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).and_then(|at| i64::try_from(at.as_millis()).ok());
    if now.unix_ms() < FIRST_RELEASE_S * 1000 {
        report.note("clock", State::Bad, format!("the clock says {}, which is long over", clock::told(now)), hint);
    } else if written.is_some_and(|at| at > now.unix_ms() + 60_000) {
        report.note(
            "clock",
            State::Odd,
            format!("the clock says {}, and the store was written later than that", clock::told(now)),
            hint,
        );
    } else {
        report.note("clock", State::Good, clock::told(now), "");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::known::BuiltIn;

    fn env(room: &Path) -> Environment {
        let pairs =
            [("HOME", "h"), ("XDG_RUNTIME_DIR", "r"), ("XDG_CONFIG_HOME", "c"), ("XDG_DATA_HOME", "d"), ("XDG_STATE_HOME", "s")];
        pairs.into_iter().map(|(variable, name)| (variable, room.join(name).into_os_string())).collect()
    }

    /// What is found of one thing: `state what`.
    fn found(room: &Path, about: &str) -> Vec<String> {
        let env = env(room);
        let report = look(&env, &BuiltIn::of(&env));
        let about = report.findings.iter().filter(|finding| finding.about == about);
        let shown =
            |one: &Finding| format!("{} {} | {}", one.state.word(), one.what, one.hint).replace(&room.display().to_string(), "");
        about.map(shown).collect()
    }

    #[track_caller]
    fn check(room: &Path, about: &str, part: &str) {
        let found = found(room, about).join("\n");
        assert!(found.contains(part), "{about}: {found}");
    }

    #[test]
    fn each_thing_is_looked_at_and_nothing_is_made() {
        let room = tempfile::tempdir().expect("a directory for the test");
        let room = room.path();
        for about in ["data directory", "state directory", "socket directory", "socket", "lock", "store", "clock", "mingled"] {
            check(room, about, "good ");
        }
        check(room, "configuration", "odd there is none at /c/mingle/config.toml");
        assert_eq!(fs::read_dir(room).expect("readable").count(), 0, "a look makes nothing");

        let make = |path: &str, mode: u32| {
            fs::create_dir_all(room.join(path)).expect("made");
            fs::set_permissions(room.join(path), fs::Permissions::from_mode(mode)).expect("chmod");
        };
        make("r/mingle", 0o755);
        check(room, "socket directory", "bad /r/mingle is open to other users (mode 755) | chmod 700 /r/mingle");
        make("r/mingle", 0o700);
        fs::write(room.join("r/mingle/mingle.sock"), "").expect("written");
        check(room, "socket", "bad /r/mingle/mingle.sock is there and is no socket");
        make("c/mingle", 0o700);
        let config = "[remote.a]\nkind = \"rest\"\nprofile = \"json-server\"\nurl = \"http://127.0.0.1:1\"\n\
                      auth = { type = \"bearer\", token = { env = \"TOKEN\" } }\n";
        fs::write(room.join("c/mingle/config.toml"), config).expect("written");
        check(room, "configuration", "good 0 syncs, 1 remotes in /c/mingle");
        let report = look(&env(room), &BuiltIn::of(&env(room)));
        assert_eq!(report.environment, [("a".to_owned(), "TOKEN".to_owned())]);
        assert!(report.json()["places"]["store"].as_str().is_some_and(|path| path.ends_with("/d/mingle/store.db")));
        fs::write(room.join("c/mingle/config.toml"), "[sync.x]\nevry = 1\n").expect("written");
        check(room, "configuration", "bad /c/mingle/config.toml:2: unknown key");

        make("d/mingle", 0o700);
        fs::write(room.join("d/mingle/store.db"), "no database at all, and long enough to be read as one").expect("written");
        fs::set_permissions(room.join("d/mingle/store.db"), fs::Permissions::from_mode(0o600)).expect("chmod");
        check(room, "store", "bad /d/mingle/store.db: ");
    }

    #[test]
    fn a_clock_that_cannot_be_right_is_told() {
        let room = tempfile::tempdir().expect("a directory for the test");
        let store = room.path().join("store.db");
        fs::write(&store, "").expect("written");
        let told = |now: i64| {
            let mut report = Report::default();
            time(&mut report, Timestamp::from_unix_ms(now), &store);
            report.findings[0].state
        };
        assert_eq!(told(0), State::Bad);
        assert_eq!(told(FIRST_RELEASE_S * 1000), State::Odd, "the store was written this year");
        assert_eq!(told(clock::now().unix_ms()), State::Good);
    }
}
