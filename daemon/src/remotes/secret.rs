//! Owns: fetching a secret from where the settings say it is.
//! Must never know: what it opens, nor any log.

pub mod put;

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Stdio,
};

use mingle_core::{
    limits,
    replica::{Failure, RemoteError},
};

use super::{keyring, settings::Secret};
use crate::{environment::Environment, paths};

/// A secret in memory, for as long as a remote is open. It has no form for people.
#[derive(Clone, PartialEq, Eq)]
pub struct Fetched(String);

impl Fetched {
    /// What was given us in another way.
    #[must_use]
    pub(super) fn of(text: String) -> Self {
        Self(text)
    }

    /// The secret itself: for a request header and nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret")
    }
}

/// Fetches a secret; `config_dir` is what a relative file is relative to.
///
/// # Errors
/// [`Failure::NeedsLogin`] when it is not to be had, with what to do; what a program printed stays out of it.
pub async fn fetch(from: &Secret, config_dir: &Path) -> Result<Fetched, RemoteError> {
    let text = match from {
        Secret::Plain(text) => text.clone(),
        Secret::Command(words) => command(words).await?,
        Secret::File(name) => file(&file_of(name, config_dir), true)?,
        Secret::Credential(name) => credential(name)?,
        Secret::Keyring(item) => {
            let secret = keyring::read(item, session_bus().as_deref()).await.map_err(|lack| lack.told(item))?;
            String::from_utf8(secret).map_err(|_| no(format!("what the keyring has as {item} is not text")))?
        }
        Secret::Env(name) => std::env::var(name).map_err(|_| {
            no(format!("the environment variable {name} is not set for the daemon"))
                .hint("a user service does not see what your shell exports; use { file = \"..\" } or { command = [..] }")
        })?,
    };
    let text = usable(&text).map_err(|why| no(format!("the secret from {from:?} {why}")))?;
    Ok(Fetched(text.to_owned()))
}

/// The secret in a text: without the line end. Else what is wrong with it.
fn usable(text: &str) -> Result<&str, &'static str> {
    match text.trim_end_matches(['\r', '\n']) {
        "" => Err("is empty"),
        text if text.len() as u64 > limits::SECRET_BYTES_MAX => Err("is too large for a secret"),
        text if text.chars().any(char::is_control) => Err("has more than one line or a control character in it"),
        text => Ok(text),
    }
}

fn file_of(name: &str, config_dir: &Path) -> PathBuf {
    config_dir.join(name)
}

pub(super) fn session_bus() -> Option<String> {
    paths::session_bus(&Environment::read())
}

fn no(what: String) -> RemoteError {
    RemoteError::new(Failure::NeedsLogin, what)
}

async fn command(words: &[String]) -> Result<String, RemoteError> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(no("the secret's command is empty".into()));
    };
    others_may_change(Path::new(program))?;
    let running = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(limits::SECRET_COMMAND_TIME_MAX, running).await {
        Err(_) => {
            return Err(no(format!("{program} gave no secret within {} s", limits::SECRET_COMMAND_TIME_MAX.as_secs()))
                .hint("it must not ask a person; unlock it beforehand"));
        }
        Ok(Err(error)) => return Err(no(format!("{program}, which should print the secret, does not start: {error}"))),
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        return Err(no(format!("{program}, which should print the secret, ended with {}", output.status))
            .hint("run the command by hand and see what it says"));
    }
    String::from_utf8(output.stdout).map_err(|_| no(format!("{program} printed something that is not text")))
}

/// It runs as us. One that is found by its bare name lies where the system keeps programs.
fn others_may_change(program: &Path) -> Result<(), RemoteError> {
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(metadata) = std::fs::metadata(program) else { return Ok(()) };
    if program.is_absolute() && metadata.permissions().mode() & 0o002 != 0 {
        let shown = program.display();
        return Err(no(format!("{shown}, which should print the secret, can be changed by every user"))
            .hint(format!("chmod o-w {shown}")));
    }
    Ok(())
}

pub(super) fn file(path: &Path, private: bool) -> Result<String, RemoteError> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        let told = no(format!("the secret's file {}: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::NotFound => told.hint("write the secret there, with mode 0600"),
            _ => told,
        }
    })?;
    if metadata.len() > limits::SECRET_BYTES_MAX {
        return Err(no(format!("the secret's file {} is too large for a secret", path.display())));
    }
    #[cfg(unix)]
    if private {
        use std::os::unix::fs::PermissionsExt as _;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(no(format!("the secret's file {} can be read by others", path.display()))
                .hint(format!("chmod 600 {}", path.display())));
        }
    }
    std::fs::read_to_string(path).map_err(|error| no(format!("the secret's file {}: {error}", path.display())))
}

fn credential(name: &str) -> Result<String, RemoteError> {
    let Some(dir) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
        return Err(no(format!("the service manager gave no credentials, so {name} is not there"))
            .hint(format!("add LoadCredentialEncrypted={name} to the unit of mingled")));
    };
    if name.contains(['/', '\\']) {
        return Err(no(format!("{name} is no name of a credential")));
    }
    // The service manager sets the rights of its own folder.
    file(&Path::new(&dir).join(name), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &Secret, expect: Result<&str, &str>) {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str, mode: u32| {
            use std::os::unix::fs::PermissionsExt as _;
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write("mine", "sesame\n", 0o600);
        write("ours", "sesame\n", 0o640);
        write("empty", "\n", 0o600);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        match (runtime.block_on(fetch(from, dir.path())), expect) {
            (Ok(secret), Ok(text)) => assert_eq!(secret.reveal(), text),
            (Err(error), Err(part)) => {
                assert_eq!(error.kind, Failure::NeedsLogin);
                assert!(error.what.contains(part) && !error.what.contains("sesame"), "{}", error.what);
            }
            (got, expect) => panic!("{from:?} gave {got:?}, not {expect:?}"),
        }
    }

    #[test]
    fn secrets_come_from_where_they_are_said_to_be() {
        let command = |words: &[&str]| Secret::Command(words.iter().map(ToString::to_string).collect());
        check(&Secret::File("mine".into()), Ok("sesame"));
        check(&Secret::File("ours".into()), Err("read by others"));
        check(&Secret::File("empty".into()), Err("empty"));
        check(&Secret::File("absent".into()), Err("absent"));
        check(&command(&["printf", "sesame\\r\\n"]), Ok("sesame"));
        check(&command(&["printf", "sesame\\nx"]), Err("more than one line"));
        check(&command(&["sh", "-c", "echo sesame; exit 3"]), Err("exit status: 3"));
        check(&command(&["/nonexistent/program"]), Err("does not start"));
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("program");
        std::fs::write(&program, "#!/bin/sh\necho sesame\n").unwrap();
        for (mode, expect) in [(0o757, Err("can be changed by every user")), (0o755, Ok("sesame"))] {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
            check(&command(&[&program.display().to_string()]), expect);
        }
        check(&Secret::Env("CARGO_MANIFEST_DIR".into()), Ok(env!("CARGO_MANIFEST_DIR")));
        check(&Secret::Env("MINGLE_NOT_SET".into()), Err("not set"));
        check(&Secret::Credential("x".into()), Err("no credentials"));
        check(&Secret::Plain("sesame".into()), Ok("sesame"));
    }
}
