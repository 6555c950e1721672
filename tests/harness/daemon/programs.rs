//! Owns: finding the real `mingled` and `mingle` of this build, and building them where the tests alone were asked for.
//! Must never know: what they do.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::SystemTime,
};

use fs2::FileExt;

/// The daemon.
#[must_use]
pub fn mingled() -> &'static Path {
    &programs().0
}

/// The command.
#[must_use]
pub fn mingle() -> &'static Path {
    &programs().1
}

fn programs() -> &'static (PathBuf, PathBuf) {
    static FOUND: OnceLock<(PathBuf, PathBuf)> = OnceLock::new();
    FOUND.get_or_init(|| {
        let dir = directory();
        if cfg!(feature = "planted") { planted(&dir) } else { plain(&dir) }
    })
}

/// Where cargo puts programs: beside `deps`, where this test lies.
fn directory() -> PathBuf {
    let exe = std::env::current_exe().expect("a test knows its own program");
    let dir = exe.parent().expect("a program lies in a folder");
    if dir.ends_with("deps") { dir.parent().expect("deps lies in a folder").to_path_buf() } else { dir.to_path_buf() }
}

/// `cargo test --workspace` builds both, because both packages have tests that run them; `cargo test -p mingle-tests` does not,
/// and may leave an old one behind.
fn plain(dir: &Path) -> (PathBuf, PathBuf) {
    let found = (dir.join("mingled"), dir.join("mingle"));
    let _lock = lock(dir);
    if !is_newer(&found.0, dir, "libmingled-") || !is_newer(&found.1, dir, "libmingle_client-") {
        build(dir, &["--package", "mingled", "--package", "mingle", "--bins"]);
        for program in [&found.0, &found.1] {
            // Where cargo found nothing to do, the next one need not ask again.
            let _ = File::open(program).and_then(|file| file.set_modified(SystemTime::now()));
        }
    }
    assert!(
        found.0.exists() && found.1.exists(),
        "mingled and mingle are not in {}: run `cargo build --workspace`",
        dir.display()
    );
    found
}

/// With bugs that can be switched on. Kept apart, so that no plain test ever meets such a daemon.
fn planted(dir: &Path) -> (PathBuf, PathBuf) {
    let _lock = lock(dir);
    build(dir, &["--package", "mingled", "--features", "mingled/planted", "--bins"]);
    build(dir, &["--package", "mingle", "--bins"]);
    let kept = dir.join("planted");
    fs::create_dir_all(&kept).expect("a folder for a daemon with bugs");
    let mingled = kept.join("mingled");
    let _ = fs::remove_file(&mingled);
    fs::rename(dir.join("mingled"), &mingled).expect("the daemon with bugs, moved apart");
    (mingled, dir.join("mingle"))
}

fn lock(dir: &Path) -> File {
    let lock = File::create(dir.join("programs.lock")).expect("a lock for building");
    FileExt::lock_exclusive(&lock).expect("the lock for building");
    lock
}

/// Whether a program is newer than every library of its name: what is built for tests lies in `deps` alone.
fn is_newer(program: &Path, dir: &Path, library: &str) -> bool {
    let made = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let all = fs::read_dir(dir.join("deps")).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let named = |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(library));
    let newest =
        all.filter(|path| named(path) && path.extension().is_some_and(|ending| ending == "rlib")).map(|path| made(&path)).max();
    program.exists() && newest.is_none_or(|newest| made(program) >= newest)
}

fn build(dir: &Path, what: &[&str]) {
    let mut command = cargo_build(dir);
    command.args(what);
    let output = command.output().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
    assert!(output.status.success(), "{command:?} ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// `cargo build` into the place of this build, in its profile. What to build is still to be said.
#[must_use]
pub fn cargo_build(dir: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.arg("build").current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."));
    command.arg("--target-dir").arg(dir.parent().unwrap_or(dir));
    if dir.ends_with("release") {
        command.arg("--release");
    }
    // Cargo tells a program that it runs which package that is; told so, build scripts take it for a change, and build anew.
    for (name, _) in std::env::vars_os() {
        let told = name.to_string_lossy();
        if told.starts_with("CARGO_PKG_") || told.starts_with("CARGO_MANIFEST_") || told == "CARGO_BIN_NAME" {
            command.env_remove(&name);
        }
    }
    command
}
