//! Owns: `mingle remote login` and `mingle remote logout`: which way, and how a secret is asked for. Must never know: where it is kept.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read, Write as _},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use mingle_client::call;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::{
    at::At,
    authorize::authorize,
    exit::{Exit, Failure},
    remote::checked,
    words::plain,
};

/// What is longer is no secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Log in to a remote: give its password, token or key, or agree in a browser, as its `auth` says; then it is tried.
///
/// A secret is put where the configuration has it (the keyring, a file). On a terminal it is asked for and not shown; else it is read from
/// standard input. Where `auth` is of type oauth2, an address is shown: open it, and log in there.
#[derive(Debug, clap::Args)]
pub struct Login {
    /// The remote.
    #[arg(value_name = "REMOTE")]
    remote: String,
    /// Read it from this file instead.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The browser is at another machine: show a code to write there (oauth2).
    #[arg(long, conflicts_with_all = ["secret_file", "browser"])]
    device: bool,
    /// Open the address in a browser here, with xdg-open (oauth2).
    #[arg(long, conflicts_with = "secret_file")]
    browser: bool,
    /// You are who was logged in before: syncs go on. For services that do not say whose a login is (oauth2).
    #[arg(long, conflicts_with = "secret_file")]
    same_person: bool,
}

/// Log out of a remote: its secret is taken out, or its login ended at the service. Records stay, and syncs need a login.
#[derive(Debug, clap::Args)]
pub struct Logout {
    /// The remote.
    #[arg(value_name = "REMOTE")]
    remote: String,
}

impl Login {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let Self { remote, secret_file, device, browser, same_person } = self;
        if device || browser || same_person || (secret_file.is_none() && wants_a_browser(at, &remote)?) {
            let call = call::RemoteAuthorize { remote: remote.clone(), device, same_person };
            authorize(at, call, browser)?;
            return tried(at, remote);
        }
        let secret = match &secret_file {
            Some(file) => of_file(file)?,
            None if io::stdin().is_terminal() => asked(&remote)?,
            None => read(io::stdin().lock(), "standard input")?,
        };
        let secret = secret.trim_end_matches(['\r', '\n']).to_owned();
        at.show(call::RemoteLogin { remote: remote.clone(), secret }, |answer| {
            plain(&format!("the secret of {} is in {}", answer.remote, answer.place))
        })?;
        at.flush()?;
        tried(at, remote)
    }
}

/// Whether the remote takes the login; where it does, what waited for one goes on at once.
fn tried(at: &mut At, remote: String) -> Result<Exit, Failure> {
    let answer = at.show(call::RemoteCheck { remote }, checked)?;
    Ok(if answer.ok { Exit::Done } else { Exit::Failed })
}

/// What is no remote is told by whoever is asked next.
fn wants_a_browser(at: &mut At, remote: &str) -> Result<bool, Failure> {
    let remotes = at.call(call::RemoteList {})?.remotes;
    Ok(remotes.iter().any(|one| one.remote == remote && one.login.as_deref() == Some("oauth2")))
}

impl Logout {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        at.show(call::RemoteLogout { remote: self.remote }, |answer| {
            let was = if answer.removed { "was taken out of" } else { "was not in" };
            let left = answer.left.as_ref().map(|left| format!("\n{left}")).unwrap_or_default();
            plain(&format!("the secret of {} {was} {}{left}", answer.remote, answer.place))
        })?;
        Ok(Exit::Done)
    }
}

fn of_file(path: &Path) -> Result<String, Failure> {
    let shown = path.display().to_string();
    let file = File::open(path).map_err(|why| Failure::said(Exit::Failed, format!("{shown}: {why}"), ""))?;
    read(file, &shown)
}

fn read(from: impl Read, name: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let read = from.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|why| Failure::said(Exit::Failed, format!("{name}: {why}"), ""))?;
    if text.len() as u64 > SECRET_BYTES_MAX {
        return Err(Failure::said(Exit::Failed, format!("{name} has more than 64 KiB: that is no secret"), ""));
    }
    Ok(text)
}

/// Asks on the terminal, which shows nothing of it.
fn asked(remote: &str) -> Result<String, Failure> {
    let stdin = io::stdin();
    let _quiet = Quiet::over(&stdin)?;
    write!(io::stderr(), "password, token or key of {remote}: ")?;
    let mut typed = Vec::new();
    for byte in stdin.lock().bytes().take(usize::try_from(SECRET_BYTES_MAX).unwrap_or(usize::MAX)) {
        match key(&mut typed, byte?) {
            Key::More => {}
            Key::End => break,
            Key::Given => {
                writeln!(io::stderr())?;
                return String::from_utf8(typed).map_err(|_| Failure::said(Exit::Usage, "what was typed is not text", ""));
            }
        }
    }
    writeln!(io::stderr())?;
    Err(Failure::said(Exit::Failed, "nothing was given, and nothing was changed", ""))
}

/// What a key does.
#[derive(Debug, PartialEq, Eq)]
enum Key {
    More,
    Given,
    End,
}

/// The terminal hands over each key by itself, so that an end by Ctrl-C leaves it as it was.
fn key(typed: &mut Vec<u8>, byte: u8) -> Key {
    match byte {
        b'\n' | b'\r' => return Key::Given,
        // Ctrl-C, Ctrl-D.
        3 | 4 => return Key::End,
        // Ctrl-U.
        21 => typed.clear(),
        // The last character, of however many bytes.
        8 | 127 => while typed.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
        byte => typed.push(byte),
    }
    Key::More
}

/// A terminal that shows nothing, as long as this is there.
struct Quiet<'a, T: AsFd> {
    terminal: &'a T,
    before: Termios,
}

impl<'a, T: AsFd> Quiet<'a, T> {
    fn over(terminal: &'a T) -> Result<Self, Failure> {
        let before = tcgetattr(terminal).map_err(io::Error::from)?;
        let mut quiet = before.clone();
        quiet.local_modes &= !(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        // What was typed ahead was shown, and is no secret.
        tcsetattr(terminal, OptionalActions::Flush, &quiet).map_err(io::Error::from)?;
        Ok(Self { terminal, before })
    }
}

impl<T: AsFd> Drop for Quiet<'_, T> {
    fn drop(&mut self) {
        // Where the terminal is gone there is nothing to put right.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_typed_unseen() {
        #[track_caller]
        fn check(keys: &str, end: &Key, expect: &str) {
            let mut typed = Vec::new();
            let last = keys.bytes().map(|byte| key(&mut typed, byte)).last();
            assert_eq!((last.as_ref(), String::from_utf8(typed).as_deref()), (Some(end), Ok(expect)), "{keys:?}");
        }
        check("pw\r", &Key::Given, "pw");
        check("pä\u{7f}\u{7f}w\n", &Key::Given, "w");
        check("\u{7f}ab\u{15}c", &Key::More, "c");
        check("ab\u{3}", &Key::End, "ab");
    }
}
