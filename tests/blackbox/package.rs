//! Owns: the package for Debian: built by its script, installed and removed by the real dpkg in a root of its own, and the programs in it
//! at work. Must never know: how it is put together.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use mingle_tests::{
    daemon::{Home, mingled},
    wait::until,
};

/// Every file of the package that somebody counts on.
const FILES: [&str; 18] = [
    "usr/bin/mingled",
    "usr/bin/mingle",
    "usr/lib/systemd/user/mingled.service",
    "usr/lib/systemd/user/mingled.socket",
    "usr/lib/systemd/user/mingle-status.socket",
    "usr/lib/systemd/user/mingle-vdir@.service",
    "usr/lib/systemd/system/mingled.service",
    "usr/lib/systemd/system/mingled.socket",
    "usr/lib/systemd/system/mingle-status.socket",
    "usr/lib/sysusers.d/mingle.conf",
    "usr/lib/tmpfiles.d/mingle.conf",
    "usr/share/man/man1/mingle.1.gz",
    "usr/share/man/man1/mingle-service-install.1.gz",
    "usr/share/man/man1/mingled.1.gz",
    "usr/share/bash-completion/completions/mingle",
    "usr/share/zsh/vendor-completions/_mingle",
    "usr/share/fish/vendor_completions.d/mingle.fish",
    "usr/lib/python3/dist-packages/mingle.py",
];

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `apt-get install dpkg`"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    said
}

fn build(out: &Path) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.ci/deb");
    let programs = mingled().parent().expect("in a folder");
    let said = run(Command::new(script).arg(programs).arg(out).env("SOURCE_DATE_EPOCH", "1790000000"));
    PathBuf::from(said.trim())
}

/// dpkg with a root and records of its own: the machine's are not touched. Its scripts run in place, and are told of the root.
fn dpkg(root: &Path, words: &[&str]) -> String {
    let mut command = Command::new("dpkg");
    command.arg(format!("--root={}", root.display())).arg(format!("--log={}", root.join("dpkg.log").display()));
    command.args(["--force-not-root", "--force-depends", "--force-script-chrootless"]).args(words);
    run(&mut command)
}

fn files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("readable").flatten() {
            let path = entry.path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

#[test]
fn the_package_is_installed_works_and_is_removed() {
    let room = tempfile::tempdir().expect("a folder");
    let package = build(&room.path().join("one"));
    let again = build(&room.path().join("two"));
    assert_eq!(fs::read(&package).expect("built"), fs::read(again).expect("built"), "the same sources make the same package");

    let root = room.path().join("root");
    for folder in ["updates", "info"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(folder)).expect("records of dpkg");
    }
    fs::write(root.join("var/lib/dpkg/status"), "").expect("records of dpkg");
    dpkg(&root, &["--install", &package.display().to_string()]);
    for file in FILES {
        assert!(root.join(file).is_file(), "{file} is not in the package");
    }
    assert!(
        run(Command::new("dpkg").arg(format!("--root={}", root.display())).args(["--status", "mingle"]))
            .contains("install ok installed")
    );
    assert_eq!(dpkg(&root, &["--verify", "mingle"]), "", "every file is as it was packed");

    // The programs at work, from where they are installed: mingle finds the mingled beside it.
    let home = Home::new(Some("[collection.notes]\n"));
    let program = |name: &str| {
        let mut command = Command::new(root.join("usr/bin").join(name));
        command.env_clear().envs(home.environment());
        command
    };
    let mut daemon = program("mingled").spawn().expect("it starts");
    until("mingled to answer", || {
        program("mingle").arg("status").output().is_ok_and(|output| output.status.success()).then_some(())
    });
    run(program("mingle").args(["put", "notes", "n1", "{}"]));
    run(program("mingle").arg("shutdown"));
    assert!(daemon.wait().expect("its end").success());

    // Removed is every file of it, and no data.
    let data = root.join("var/lib/mingle/store.db");
    fs::create_dir_all(data.parent().expect("in a folder")).expect("made");
    fs::write(&data, "precious").expect("written");
    dpkg(&root, &["--remove", "mingle"]);
    dpkg(&root, &["--purge", "mingle"]);
    let mut left: Vec<PathBuf> = files(&root).into_iter().filter(|path| !path.starts_with(root.join("var/lib/dpkg"))).collect();
    left.sort();
    assert_eq!(left, [root.join("dpkg.log"), data], "what a removal leaves");
    assert!(home.store().exists());
}
