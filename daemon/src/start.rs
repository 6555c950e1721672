//! Owns: the order in which the daemon gets hold of its places: directories, configuration, lock. Must never know: the socket,
//! remotes; they come after. Of the store only what its errors ask a person to do.
//!
//! Nothing is opened before the lock is held, and nothing is locked before the configuration is good: a daemon with a bad
//! configuration must not keep a good one from running.

use std::path::{Path, PathBuf};

use crate::{
    config::{self, Config, Known, Problem, Where},
    environment::Environment,
    lock::{Lock, LockError},
    notify,
    paths::{self, Paths, Privacy, Refusal},
    store::{
        StoreError,
        copies::{self, Kept},
    },
};

/// What the daemon has when it may open the store.
#[derive(Debug)]
pub struct Started {
    /// Where everything lies. `socket_dir` is made and checked.
    pub paths: Paths,
    /// The store file: its directory is made and checked, and so is the file where it is there.
    pub store_file: PathBuf,
    /// What it is to do.
    pub config: Config,
    /// Listening sockets from the service manager; to be served instead of our own.
    pub inherited: notify::Inherited,
    /// Where the session bus answers, if there is one.
    pub session_bus: Option<String>,
    /// Held until the store is closed and the socket is gone: drop it last.
    pub lock: Lock,
}

/// Why the daemon does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A place is not fit.
    #[error(transparent)]
    Place(#[from] Refusal),
    /// The configuration cannot be used.
    #[error("the configuration has {} {}", .0.len(), if .0.len() == 1 { "problem" } else { "problems" })]
    Config(Vec<Problem>),
    /// Another daemon runs, or the lock cannot be taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// What the service manager handed over is not what we serve.
    #[error("{0}")]
    Handed(String),
}

/// Exit code for a configuration that cannot be used (sysexits `EX_CONFIG`). A unit must not restart it.
pub const EXIT_CONFIG: u8 = 78;
/// Exit code while another daemon holds the lock (sysexits `EX_TEMPFAIL`). A unit must not restart it either.
pub const EXIT_LOCKED: u8 = 75;

impl StartError {
    /// How the process ends.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Place(_) | Self::Config(_) | Self::Handed(_) => EXIT_CONFIG,
            Self::Lock(LockError::Held { .. } | LockError::Elsewhere { .. }) => EXIT_LOCKED,
            Self::Lock(LockError::Failed { .. }) => 1,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Place(refusal) => refusal.hint.clone(),
            Self::Config(_) => "`mingled config check` says this without starting".into(),
            Self::Lock(error) => error.hint(),
            Self::Handed(_) => "check [Socket] in the unit files: one ListenStream, a path; FileDescriptorName=mingle-status for the status socket".into(),
        }
    }
}

/// What to do, and how the process ends, where the store cannot be opened. None: something else failed.
#[must_use]
pub fn of_the_store(error: Option<&StoreError>, store: &Path) -> (String, u8) {
    match error {
        Some(StoreError::Newer { .. }) => {
            let kept = copies::kept(store).into_iter().rev().find(|(_, why, _)| *why == Kept::Upgraded);
            let back =
                kept.map(|(path, ..)| format!(", or go back to the store as it was before: `mingle restore {}`", path.display()));
            (format!("install the newer mingle again{}", back.unwrap_or_default()), EXIT_CONFIG)
        }
        Some(StoreError::NotUpgraded { why, .. }) if matches!(**why, StoreError::Full) => {
            let bytes = std::fs::symlink_metadata(store).map_or(0, |file| file.len());
            let hint = format!(
                "the upgrade keeps a copy of the store beside it: make room for three times its {bytes} bytes, then start again"
            );
            (hint, 1)
        }
        Some(StoreError::NotUpgraded { .. }) => {
            ("the log says more; until it is mended, the mingle of before still works on this store".into(), 1)
        }
        Some(StoreError::Place(_)) => ("`mingle doctor` looks at the place".into(), EXIT_CONFIG),
        Some(error) => (error.remedy().into(), 1),
        None => ("the log says more; MINGLE_LOG=debug says all".into(), 1),
    }
}

/// Makes and checks the places, reads the configuration, takes the lock.
///
/// # Errors
/// The first thing that is wrong; of the configuration, everything.
pub fn start(env: &Environment, known: &dyn Known) -> Result<Started, StartError> {
    // What SQLite and others create is ours alone from its first moment.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let paths = Paths::find(env)?;
    let config = config::load(&Where::Directory(paths.config.clone()), known).map_err(StartError::Config)?;
    let store_file = match &config.store.path {
        Some(written) => paths::expand_home(written, env),
        None => paths.store_file(),
    };
    prepare(&paths, &store_file)?;
    let data = store_file.parent().unwrap_or(&paths.data);
    let lock = Lock::take(&paths.lock_file())?.with_folder(data)?;
    paths::check_file(&store_file)?;
    let inherited = notify::inherited_sockets(env).map_err(StartError::Handed)?;
    Ok(Started { session_bus: paths::session_bus(env), paths, store_file, config, inherited, lock })
}

fn prepare(paths: &Paths, store_file: &Path) -> Result<(), Refusal> {
    let data = store_file.parent().unwrap_or(&paths.data);
    for directory in [&paths.state, data] {
        paths::prepare_dir(directory, Privacy::ReadByOthers)?;
        paths::check_disk(directory)?;
    }
    paths::check_file(&paths.lock_file())?;
    paths::prepare_dir(paths.socket_dir(), Privacy::Ours)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt, path::Path};

    use super::*;
    use crate::config::{Facts, RemoteSettings};

    struct Nothing;

    impl Known for Nothing {
        fn look(&self, _: &RemoteSettings) -> Result<Facts, (String, String)> {
            Err(("no kinds here".into(), String::new()))
        }
    }

    fn env(room: &Path) -> Environment {
        let under = |name: &str| room.join(name).into_os_string();
        let pairs = [
            ("HOME", "h"),
            ("XDG_RUNTIME_DIR", "run"),
            ("XDG_CONFIG_HOME", "c"),
            ("XDG_DATA_HOME", "d"),
            ("XDG_STATE_HOME", "s"),
        ];
        pairs.into_iter().map(|(variable, name)| (variable, under(name))).collect()
    }

    #[test]
    fn a_first_start_makes_its_places_and_a_second_is_refused() {
        let room = tempfile::tempdir().expect("a directory for the test");
        let env = env(room.path());
        let started = start(&env, &Nothing).expect("the first");
        assert_eq!(started.store_file, room.path().join("d/mingle/store.db"));
        for made in ["d/mingle", "s/mingle", "run/mingle"] {
            let mode = fs::metadata(room.path().join(made)).expect(made).permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{made}");
        }
        assert!(!room.path().join("c").exists(), "the configuration belongs to the user, and is not made");
        assert!(!started.store_file.exists(), "only SQLite makes the store");
        let second = start(&env, &Nothing).expect_err("the second");
        assert_eq!(second.exit_code(), EXIT_LOCKED);
        drop(started);
        start(&env, &Nothing).expect("after the first");
    }

    #[test]
    fn a_bad_configuration_takes_no_lock() {
        let room = tempfile::tempdir().expect("a directory for the test");
        fs::create_dir_all(room.path().join("c/mingle")).expect("made");
        fs::write(room.path().join("c/mingle/config.toml"), "[sync.x]\nevry = 1\n").expect("written");
        let refused = start(&env(room.path()), &Nothing).expect_err("bad");
        assert_eq!((refused.exit_code(), refused.to_string().as_str()), (EXIT_CONFIG, "the configuration has 4 problems"));
        assert!(!room.path().join("s").exists());
    }

    #[test]
    fn unfit_places_are_refused_with_a_remedy() {
        let room = tempfile::tempdir().expect("a directory for the test");
        let runtime = room.path().join("run/mingle");
        fs::create_dir_all(&runtime).expect("made");
        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o755)).expect("chmod");
        let refused = start(&env(room.path()), &Nothing).expect_err("open to others");
        assert_eq!(refused.exit_code(), EXIT_CONFIG);
        assert_eq!(refused.hint(), format!("chmod 700 {}", runtime.display()));

        fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).expect("chmod");
        fs::create_dir_all(room.path().join("d/mingle")).expect("made");
        let store = room.path().join("d/mingle/store.db");
        fs::write(&store, "").expect("written");
        fs::set_permissions(&store, fs::Permissions::from_mode(0o644)).expect("chmod");
        let refused = start(&env(room.path()), &Nothing).expect_err("open to others");
        assert_eq!(refused.hint(), format!("chmod 600 {}", store.display()));
    }
}
