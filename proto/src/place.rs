//! Owns: where the socket lies: one function, used at both ends. Must never know: the process's environment (it is an argument), the
//! file system.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::limits::SOCKET_PATH_BYTES_MAX;

/// The name of the socket for apps in its directory.
pub const SOCKET_NAME: &str = "mingle.sock";

/// The name of the socket that gives no data, beside it.
pub const STATUS_SOCKET_NAME: &str = "status.sock";

/// Where the socket is. Its directory must be 0700, ours and no link: the daemon makes it so, a client checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The socket for apps.
    pub socket: PathBuf,
    /// Its directory.
    pub directory: PathBuf,
    /// Which rule gave it.
    pub rule: Rule,
}

/// Which rule gave a place, the first that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// `MINGLE_SOCKET`.
    Told,
    /// `$XDG_RUNTIME_DIR/mingle/mingle.sock`.
    RuntimeDir,
    /// `$XDG_STATE_HOME/mingle/run/mingle.sock`, by default below `~/.local/state`: macOS and containers have no runtime directory.
    StateHome,
}

/// Why there is no place for a socket.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoPlace {
    /// Neither of the four variables says anything.
    #[error("no place for the socket: MINGLE_SOCKET, XDG_RUNTIME_DIR, XDG_STATE_HOME and HOME are all unset")]
    Nowhere,
    /// Relative paths mean another place in each working directory.
    #[error("the socket needs an absolute path, and MINGLE_SOCKET is {0}")]
    Relative(PathBuf),
    /// Systems keep a socket's name in about a hundred bytes.
    #[error("the path of the socket is longer than {SOCKET_PATH_BYTES_MAX} bytes: {0}")]
    TooLong(PathBuf),
}

impl NoPlace {
    /// What a person may do.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Nowhere => "set HOME, or MINGLE_SOCKET to the path of the socket",
            Self::Relative(_) => "give MINGLE_SOCKET a path that begins with /",
            Self::TooLong(_) => "set MINGLE_SOCKET to a shorter path, in a directory of its own with mode 0700",
        }
    }
}

/// The place of the socket, from the environment. An empty variable counts as unset, and so does a relative directory in an XDG
/// variable (basedir specification).
///
/// # Errors
/// [`NoPlace`]: never a silent fallback to a directory that others can write.
pub fn socket(environment: impl Fn(&str) -> Option<OsString>) -> Result<Place, NoPlace> {
    let told = |name: &str| environment(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let absolute = |name: &str| told(name).filter(|path| path.is_absolute());
    let (socket, rule) = if let Some(path) = told("MINGLE_SOCKET") {
        if !path.is_absolute() {
            return Err(NoPlace::Relative(path));
        }
        (path, Rule::Told)
    } else if let Some(runtime) = absolute("XDG_RUNTIME_DIR") {
        (runtime.join("mingle").join(SOCKET_NAME), Rule::RuntimeDir)
    } else {
        let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
        (state.ok_or(NoPlace::Nowhere)?.join("mingle/run").join(SOCKET_NAME), Rule::StateHome)
    };
    if socket.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        return Err(NoPlace::TooLong(socket));
    }
    let directory = socket.parent().map_or_else(|| PathBuf::from("/"), Path::to_path_buf);
    Ok(Place { socket, directory, rule })
}

/// Where the socket that gives no data is: beside the one for apps.
#[must_use]
pub fn status(place: &Place) -> PathBuf {
    place.directory.join(STATUS_SOCKET_NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `NAME=value` pairs in, a path or the beginning of the error out.
    #[track_caller]
    fn check(environment: &[&str], expect: &str) {
        let find = |name: &str| {
            let pair = environment.iter().find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name));
            pair.map(|(_, value)| value.into())
        };
        let got = match socket(find) {
            Ok(place) => {
                assert_eq!(Some(place.directory.as_path()), place.socket.parent());
                place.socket.to_string_lossy().into_owned()
            }
            Err(error) => error.to_string(),
        };
        assert!(got.starts_with(expect), "{environment:?} gave {got}");
    }

    #[test]
    fn one_rule_for_both_ends() {
        check(&["MINGLE_SOCKET=/x/y.sock", "XDG_RUNTIME_DIR=/run/user/7"], "/x/y.sock");
        check(&["XDG_RUNTIME_DIR=/run/user/7", "HOME=/h"], "/run/user/7/mingle/mingle.sock");
        check(&["XDG_RUNTIME_DIR=", "XDG_STATE_HOME=/s", "HOME=/h"], "/s/mingle/run/mingle.sock");
        check(&["XDG_RUNTIME_DIR=rel", "HOME=/h"], "/h/.local/state/mingle/run/mingle.sock");
        check(&["XDG_STATE_HOME=rel", "HOME=/h"], "/h/.local/state/mingle/run/mingle.sock");
        check(&[], "no place");
        check(&["MINGLE_SOCKET=rel/y.sock", "HOME=/h"], "the socket needs an absolute path");
        check(&[&format!("XDG_RUNTIME_DIR=/{}", "r".repeat(90))], "the path of the socket is longer");
    }
}
