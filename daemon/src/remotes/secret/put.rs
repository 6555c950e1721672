//! Owns: keeping a secret where the settings say that it is, and taking it out. Must never know: what it opens, nor any log.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use super::{file_of, session_bus, usable};
use crate::remotes::{Problem, keyring, settings::Secret};

/// Where the settings have the secret, in words; only where a secret can be put there by us.
///
/// # Errors
/// Where it has to be put by whoever keeps it there.
pub fn place(of: &Secret, config_dir: &Path) -> Result<String, Problem> {
    let elsewhere = |what: String, hint: &str| Err(Problem::new(what).hint(hint));
    match of {
        Secret::File(name) => Ok(format!("the file {}", file_of(name, config_dir).display())),
        Secret::Keyring(item) => Ok(format!("the keyring, as {item}")),
        Secret::Command(words) => elsewhere(
            format!("its secret is what the program {} prints", words.first().map_or("", String::as_str)),
            "put it where that program takes it from, or let the configuration say { keyring = \"..\" } or { file = \"..\" }",
        ),
        Secret::Env(name) => elsewhere(
            format!("its secret is the environment variable {name} of the daemon"),
            "set it where the daemon is started, or let the configuration say { keyring = \"..\" } or { file = \"..\" }",
        ),
        Secret::Credential(name) => elsewhere(
            format!("its secret is the credential {name} of the service manager"),
            "put it there with systemd-creds, and restart the service",
        ),
        Secret::Plain(_) => elsewhere(
            "its secret stands in the configuration".into(),
            "change it there, or let the configuration say { keyring = \"..\" } or { file = \"..\" }",
        ),
    }
}

/// Keeps a secret there, in place of the one before.
///
/// # Errors
/// What is in the way; then the one before is as it was.
pub async fn keep(to: &Secret, secret: &str, config_dir: &Path) -> Result<(), Problem> {
    let place = place(to, config_dir)?;
    let secret = usable(secret).map_err(|why| Problem::new(format!("the secret {why}")))?;
    match to {
        Secret::Keyring(item) => keyring::write(item, secret, session_bus().as_deref()).await.map_err(|lack| lack.unkept(item)),
        Secret::File(name) => write(&file_of(name, config_dir), secret).map_err(|error| {
            Problem::new(format!("{place} is not written: {error}")).hint("mingled needs to be able to write there")
        }),
        _ => Ok(()),
    }
}

/// Takes the secret out; whether there was one.
///
/// # Errors
/// What is in the way; then it is as it was.
pub async fn take_out(of: &Secret, config_dir: &Path) -> Result<bool, Problem> {
    let place = place(of, config_dir)?;
    match of {
        Secret::Keyring(item) => keyring::remove(item, session_bus().as_deref()).await.map_err(|lack| lack.unkept(item)),
        Secret::File(name) => match fs::remove_file(file_of(name, config_dir)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Problem::new(format!("{place} is not removed: {error}"))),
        },
        _ => Ok(false),
    }
}

/// Whole or not at all, and readable by its owner alone from the first byte on. A link stays one.
pub(in crate::remotes) fn write(path: &Path, secret: &str) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let fresh = fresh_name(&path);
    // One that was left by a process that was killed may have any mode.
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        writeln!(file, "{secret}")?;
        file.sync_all()?;
        fs::rename(&fresh, &path)?;
        // Whoever is told that it is there finds it after a power cut.
        path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    })();
    if written.is_err() {
        // What was to be kept lies about nowhere.
        let _ = fs::remove_file(&fresh);
    }
    written
}

fn fresh_name(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn wait<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    #[test]
    fn a_file_is_written_for_its_owner_alone_and_taken_out() {
        let dir = tempfile::tempdir().unwrap();
        let (from, path) = (Secret::File("far.secret".into()), dir.path().join("far.secret"));
        let real = dir.path().join("elsewhere");
        let fetched = || wait(super::super::fetch(&from, dir.path())).unwrap().reveal().to_owned();
        wait(keep(&from, "sesame\n", dir.path())).unwrap();
        assert_eq!((fetched().as_str(), fs::metadata(&path).unwrap().permissions().mode() & 0o777), ("sesame", 0o600));
        // What could be read by others, or was left by a kill, is neither used nor in the way.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(fresh_name(&path), "left").unwrap();
        wait(keep(&from, "second", dir.path())).unwrap();
        assert_eq!((fetched().as_str(), fs::metadata(&path).unwrap().permissions().mode() & 0o777), ("second", 0o600));
        for bad in ["", "\n", "a\nb"] {
            assert!(wait(keep(&from, bad, dir.path())).is_err(), "{bad:?}");
        }
        assert_eq!(fetched(), "second", "what is refused changes nothing");
        fs::rename(&path, &real).unwrap();
        std::os::unix::fs::symlink(&real, &path).unwrap();
        wait(keep(&from, "third", dir.path())).unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink() && fetched() == "third");
        assert_eq!((wait(take_out(&from, dir.path())), wait(take_out(&from, dir.path()))), (Ok(true), Ok(false)));
        let names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["elsewhere"], "nothing else is left");
        let nowhere = wait(keep(&Secret::File("no/such/folder".into()), "x", dir.path())).unwrap_err();
        assert!(nowhere.what.contains("no/such/folder") && nowhere.hint.is_some(), "{nowhere:?}");
    }

    #[test]
    fn what_others_keep_is_put_there_by_them() {
        for (from, part) in [
            (Secret::Command(vec!["pass".into(), "show".into()]), "the program pass"),
            (Secret::Env("TOKEN".into()), "variable TOKEN"),
            (Secret::Credential("far".into()), "credential far"),
            (Secret::Plain("sesame".into()), "in the configuration"),
        ] {
            for refused in [
                wait(keep(&from, "x", Path::new("/nonexistent"))).unwrap_err(),
                wait(take_out(&from, Path::new("/nonexistent"))).unwrap_err(),
            ] {
                assert!(refused.what.contains(part) && refused.hint.is_some(), "{refused:?}");
                assert!(!format!("{refused:?}").contains("sesame"));
            }
        }
    }
}
