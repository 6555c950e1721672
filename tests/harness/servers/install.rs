//! Owns: installing the pinned servers once under `target/servers`, also when several test processes want them at the same time.
//! Must never know: how they are started.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use fs2::FileExt;

/// What is installed from the Python index, every package with its version.
const PYTHON: &str = include_str!("../../data/servers/python.txt");
/// The same for Kinto's own client, which the bench alone uses.
const KINTO_CLIENT: &str = include_str!("../../data/servers/kinto-http.txt");
/// The same for khal, khard and todoman, which keep calendars, contacts and tasks in folders of files.
const PIM: &str = include_str!("../../data/servers/pim.txt");
/// The same for vdirsyncer, which keeps folders in step with servers of contacts and events.
const VDIRSYNCER: &str = include_str!("../../data/servers/vdirsyncer.txt");
/// What is installed with npm.
const NPM: &str = include_str!("../../data/servers/package.json");
/// Every package that it brings along, with its version and the sum of its bytes. It names no registry: the machine's own is asked.
/// Made anew by `npm install --package-lock-only --omit-lockfile-registry-resolved`.
const NPM_LOCK: &str = include_str!("../../data/servers/package-lock.json");

/// The folder of programs of the Python environment.
///
/// # Panics
/// When it cannot be installed: with what the installer said.
pub(super) fn python() -> &'static Path {
    static DONE: OnceLock<PathBuf> = OnceLock::new();
    DONE.get_or_init(|| installed("python", PYTHON, |dir| packages(dir, PYTHON)).join("bin"))
}

/// The same of the environment that has Kinto's own client.
///
/// # Panics
/// When it cannot be installed: with what the installer said.
pub(super) fn kinto_client() -> PathBuf {
    installed("kinto-http", KINTO_CLIENT, |dir| packages(dir, KINTO_CLIENT)).join("bin")
}

/// The same of the environment that has khal, khard and todoman.
///
/// # Panics
/// When it cannot be installed: with what the installer said.
pub(super) fn pim() -> &'static Path {
    static DONE: OnceLock<PathBuf> = OnceLock::new();
    DONE.get_or_init(|| installed("pim", PIM, |dir| packages(dir, PIM)).join("bin"))
}

/// The same of the environment that has vdirsyncer.
///
/// # Panics
/// When it cannot be installed: with what the installer said.
pub(super) fn vdirsyncer() -> &'static Path {
    static DONE: OnceLock<PathBuf> = OnceLock::new();
    DONE.get_or_init(|| installed("vdirsyncer", VDIRSYNCER, |dir| packages(dir, VDIRSYNCER)).join("bin"))
}

/// A Python environment with these packages.
fn packages(dir: &Path, wanted: &str) {
    run(Command::new("python3").args(["-m", "venv"]).arg(dir));
    let list = dir.join("wanted.txt");
    fs::write(&list, wanted).expect("the list of packages");
    run(Command::new(dir.join("bin/pip")).args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(list));
}

/// The folder that holds `node_modules`.
///
/// # Panics
/// When it cannot be installed: with what the installer said.
pub(super) fn npm() -> &'static Path {
    static DONE: OnceLock<PathBuf> = OnceLock::new();
    DONE.get_or_init(|| {
        installed("npm", &format!("{NPM}{NPM_LOCK}"), |dir| {
            fs::write(dir.join("package.json"), NPM).expect("the list of packages");
            fs::write(dir.join("package-lock.json"), NPM_LOCK).expect("the versions of packages");
            run(Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(dir));
        })
    })
}

/// The folder of this name, with what is wanted in it; made anew where something else is.
pub(super) fn installed(name: &str, wanted: &str, install: impl FnOnce(&Path)) -> PathBuf {
    let root = super::root();
    fs::create_dir_all(&root).expect("a folder for servers");
    let root = root.canonicalize().expect("a folder for servers");
    let lock = File::create(root.join(format!("{name}.lock"))).expect("a lock for installing");
    FileExt::lock_exclusive(&lock).expect("the lock for installing");
    let (dir, stamp) = (root.join(name), root.join(format!("{name}.stamp")));
    if fs::read_to_string(&stamp).ok().as_deref() != Some(wanted) {
        let _ = fs::remove_file(&stamp);
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).expect("a folder for servers");
        install(&dir);
        fs::write(&stamp, wanted).expect("the stamp of what is installed");
    }
    dir
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
