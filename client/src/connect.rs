//! Owns: finding the socket, whether it may be trusted, and what to tell a person when there is none. Must never know: what is said
//! over it.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use interprocess::local_socket::PeerCreds;
use mingle_proto::{
    Error as Refusal, Name, PROTOCOL,
    call::HelloAnswer,
    place::{self, NoPlace, Place},
};
use thiserror::Error;

use crate::CallError;

/// How to connect.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The app's name; None: without one it may read and operate.
    pub app: Option<String>,
    /// Another socket than the environment's.
    pub socket: Option<PathBuf>,
    /// Says no `hello`. `status`, `stop` and `shutdown` work even with a daemon of another major.
    pub without_hello: bool,
    /// How long a daemon that goes away is waited for, each time. Meanwhile calls and subscriptions wait, and then go on: a call whose
    /// answer was lost is made again (a write with its operation id, so it happens once), a subscription goes on from its last seq.
    /// None: the first loss ends them.
    pub reconnect_within: Option<Duration>,
}

impl Options {
    /// As this app, at the environment's socket.
    #[must_use]
    pub fn app(name: impl Into<String>) -> Self {
        Self { app: Some(name.into()), ..Self::default() }
    }

    pub(crate) fn place(&self) -> Result<Place, ConnectError> {
        let given = |name: &str| match &self.socket {
            Some(path) if name == "MINGLE_SOCKET" => Some(path.clone().into_os_string()),
            _ => std::env::var_os(name),
        };
        place::socket(given).map_err(ConnectError::NoPlace)
    }
}

/// Why there is no connection. Which of these it is decides what a person has to do.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The environment gives no place for a socket.
    #[error("{0}")]
    NoPlace(NoPlace),
    /// Nobody listens, and there is no `mingled` on this machine.
    #[error("mingled is not installed: it is neither beside this program, nor in PATH, nor in ~/.cargo/bin")]
    NotInstalled,
    /// Nobody listens, and there is a `mingled` to start.
    #[error("mingled is not running (nobody listens at {})", socket.display())]
    NotRunning {
        /// Where it would.
        socket: PathBuf,
        /// The program.
        mingled: PathBuf,
        /// Whether its name alone starts it.
        in_path: bool,
    },
    /// The two ends speak different majors.
    #[error("mingled speaks another version: {what}")]
    WrongVersion {
        /// What it said.
        what: String,
    },
    /// The socket, or its directory, is somebody else's or open to others.
    #[error("no permission for {}: {what}", path.display())]
    NoPermission {
        /// The socket or its directory.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// The command that puts it right.
        remedy: String,
    },
    /// Anything else that the system says.
    #[error("no connection at {}: {source}", socket.display())]
    Io {
        /// Where.
        socket: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The daemon closed, or refused, during `hello`.
    #[error("{0}")]
    Hello(CallError),
}

impl ConnectError {
    /// What a person may do, with the command to run.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoPlace(no) => no.hint().to_owned(),
            Self::NotInstalled => "install it from its sources with `cargo install --path daemon`".into(),
            Self::NotRunning { in_path: true, .. } => "start it with `mingled`".into(),
            Self::NotRunning { mingled, .. } => format!("start it with `{}`", mingled.display()),
            Self::WrongVersion { .. } => {
                "install `mingle` and `mingled` of one release; `mingle shutdown` ends the one that runs, then start `mingled` again".into()
            }
            Self::NoPermission { remedy, .. } => remedy.clone(),
            Self::Io { .. } => "`mingle socket-path` prints where it is looked for".into(),
            Self::Hello(CallError::Refused(refusal)) => refusal.data.hint.clone().unwrap_or_default(),
            Self::Hello(_) => "try again; if it goes on, look at what mingled logs".into(),
        }
    }

    /// Whether a daemon that is about to come back would help.
    #[must_use]
    pub const fn is_absence(&self) -> bool {
        matches!(self, Self::NotRunning { .. } | Self::NotInstalled | Self::Hello(CallError::Lost { .. }))
    }
}

/// The directory must be ours alone: who can write there can put another socket in its place.
pub(crate) fn check_directory(place: &Place) -> Result<(), ConnectError> {
    let refuse =
        |what: &str, remedy: String| Err(ConnectError::NoPermission { path: place.directory.clone(), what: what.into(), remedy });
    let directory = place.directory.display();
    let us = rustix::process::geteuid().as_raw();
    let looks = only_looks(place);
    match fs::symlink_metadata(&place.directory) {
        // Nobody made it: then nobody listens in it, which the connection tells better.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => refuse(&error.to_string(), format!("look at it with `ls -ld {directory}`")),
        Ok(meta) if !meta.is_dir() => {
            refuse("it is no directory", format!("remove it with `rm {directory}`, and start mingled again"))
        }
        Ok(meta) if looks && meta.mode() & 0o022 == 0 => Ok(()),
        Ok(meta) if looks => refuse(
            &format!("others may put another socket there (mode {:o})", meta.mode() & 0o777),
            format!("close it with `chmod go-w {directory}`"),
        ),
        Ok(meta) if meta.uid() != us => refuse(
            &format!("it belongs to user {}, and this is user {us}", meta.uid()),
            "run this as the user who runs mingled, or set MINGLE_SOCKET".into(),
        ),
        Ok(meta) if meta.mode() & 0o077 != 0 => refuse(
            &format!("others may enter it (mode {:o})", meta.mode() & 0o777),
            format!("close it with `chmod 700 {directory}`"),
        ),
        Ok(_) => Ok(()),
    }
}

/// What a failed connect means.
pub(crate) fn refused(place: &Place, error: io::Error) -> ConnectError {
    let socket = place.socket.clone();
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => match mingled() {
            Some((mingled, in_path)) => ConnectError::NotRunning { socket, mingled, in_path },
            None => ConnectError::NotInstalled,
        },
        io::ErrorKind::PermissionDenied => ConnectError::NoPermission {
            remedy: format!("look at it with `ls -l {}`; it belongs to the user who runs mingled", socket.display()),
            path: socket,
            what: error.to_string(),
        },
        _ => ConnectError::Io { socket, source: error },
    }
}

/// Whether it is the socket that gives no data: another user's daemon may serve it to us, and nothing is told to it but who we are.
fn only_looks(place: &Place) -> bool {
    place.socket.file_name() == Some(OsStr::new(place::STATUS_SOCKET_NAME))
}

/// Who else than we may listen there: root, for of a socket that the system's service manager made the system says so, and root could
/// take our place anyway. And where nothing is told but who we are, whoever owns the directory.
fn may_listen(place: &Place, uid: u32) -> bool {
    uid == 0 || (only_looks(place) && fs::metadata(&place.directory).is_ok_and(|meta| meta.uid() == uid))
}

/// Who listens must be us, or who may listen in our place.
pub(crate) fn check_peer(place: &Place, peer: io::Result<PeerCreds>) -> Result<(), ConnectError> {
    let us = rustix::process::geteuid().as_raw();
    let what = match peer {
        Ok(peer) => match peer.euid() {
            Some(uid) if uid == us || may_listen(place, uid) => return Ok(()),
            Some(uid) => format!("user {uid} listens there, and this is user {us}"),
            None => "the system does not say who listens there".into(),
        },
        Err(error) => format!("the system does not say who listens there: {error}"),
    };
    let remedy = "run this as the user who runs mingled, or set MINGLE_SOCKET".into();
    Err(ConnectError::NoPermission { path: place.socket.clone(), what, remedy })
}

/// What the answer to `hello` means.
pub(crate) fn greeted(answer: Result<HelloAnswer, CallError>) -> Result<HelloAnswer, ConnectError> {
    match answer {
        Ok(hello) if hello.protocol == PROTOCOL => Ok(hello),
        Ok(hello) => {
            let what = format!("this is protocol {PROTOCOL}, mingled ({}) speaks {}", hello.build, hello.protocol);
            Err(ConnectError::WrongVersion { what })
        }
        Err(CallError::Refused(Refusal { message, data, .. })) if matches!(data.name, Name::Version | Name::Method) => {
            Err(ConnectError::WrongVersion { what: message })
        }
        Err(CallError::Garbled(what)) => Err(ConnectError::WrongVersion { what }),
        Err(other) => Err(ConnectError::Hello(other)),
    }
}

/// The `mingled` of this machine, and whether its name alone starts it.
#[must_use]
pub fn mingled() -> Option<(PathBuf, bool)> {
    let beside = std::env::current_exe().ok().and_then(|path| path.parent().map(Path::to_path_buf));
    find(beside, |name| std::env::var_os(name), is_program)
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.mode() & 0o111 != 0)
}

/// Beside the running program first, so that two builds on one machine keep to themselves; then PATH; then where cargo installs.
fn find(
    beside: Option<PathBuf>,
    environment: impl Fn(&str) -> Option<OsString>,
    is_program: impl Fn(&Path) -> bool,
) -> Option<(PathBuf, bool)> {
    let name = OsStr::new("mingled");
    let path: Vec<PathBuf> = environment("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let cargo = environment("HOME").map(|home| PathBuf::from(home).join(".cargo/bin"));
    let found = beside.into_iter().chain(path.iter().cloned()).chain(cargo).map(|directory| directory.join(name));
    let found = found.filter(|program| program.is_absolute()).find(|program| is_program(program))?;
    let first = path.iter().map(|directory| directory.join(name)).find(|program| is_program(program));
    let in_path = first.as_ref() == Some(&found);
    Some((found, in_path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    /// Which of these programs is taken, and whether PATH has it; PATH is /p:/q, home is /h.
    #[track_caller]
    fn check_find(there: &[&str], expect: Option<(&str, bool)>) {
        let environment = |name: &str| match name {
            "PATH" => Some("/p:rel:/q".into()),
            "HOME" => Some("/h".into()),
            _ => None,
        };
        let found = find(Some("/b".into()), environment, |path| there.contains(&path.to_str().unwrap_or_default()));
        let expect = expect.map(|(path, in_path)| (PathBuf::from(path), in_path));
        assert_eq!(found, expect, "{there:?}");
    }

    #[test]
    fn mingled_is_found_beside_in_path_or_where_cargo_installs() {
        check_find(&[], None);
        check_find(&["/q/mingled"], Some(("/q/mingled", true)));
        check_find(&["/q/mingled", "/p/mingled"], Some(("/p/mingled", true)));
        check_find(&["/b/mingled", "/p/mingled"], Some(("/b/mingled", false)));
        check_find(&["/h/.cargo/bin/mingled"], Some(("/h/.cargo/bin/mingled", false)));
        check_find(&["rel/mingled"], None);
    }

    #[test]
    fn the_directory_must_be_ours_alone() {
        #[track_caller]
        fn check(directory: &Path, expect: Option<&str>) {
            let place = Place { socket: directory.join("s"), directory: directory.into(), rule: place::Rule::Told };
            let got = check_directory(&place).err();
            match (got, expect) {
                (None, None) => {}
                (Some(error @ ConnectError::NoPermission { .. }), Some(part)) => {
                    assert!(error.to_string().contains(part), "{error}");
                    assert!(!error.hint().is_empty());
                }
                (got, _) => panic!("{}: {got:?}, expected {expect:?}", directory.display()),
            }
        }
        let base = tempfile::tempdir().expect("a directory");
        let (open, closed, link, file) =
            (base.path().join("o"), base.path().join("c"), base.path().join("l"), base.path().join("f"));
        for (path, mode) in [(&open, 0o755), (&closed, 0o700)] {
            fs::create_dir(path).expect("made");
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
        }
        symlink(&closed, &link).expect("linked");
        fs::write(&file, "").expect("written");
        check(&closed, None);
        check(&base.path().join("none"), None);
        check(&open, Some("mode 755"));
        check(&link, Some("no directory"));
        check(&file, Some("no directory"));
        // Where nothing is read, another user's directory will do, as long as nobody else writes in it.
        let status = |directory: &Path| {
            let place = Place { socket: directory.join("status.sock"), directory: directory.into(), rule: place::Rule::Told };
            check_directory(&place).map_err(|error| error.to_string())
        };
        assert_eq!(status(&open), Ok(()));
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("set");
        assert!(status(&open).is_err_and(|what| what.contains("another socket")));
    }

    #[test]
    fn another_major_is_told_from_a_refusal() {
        #[track_caller]
        fn check(answer: Result<HelloAnswer, CallError>, expect: &str) {
            let got = match greeted(answer) {
                Ok(_) => "ok".to_owned(),
                Err(ConnectError::WrongVersion { what }) => format!("version: {what}"),
                Err(other) => format!("other: {other}"),
            };
            assert!(got.starts_with(expect), "{got}");
        }
        check(Ok(HelloAnswer { protocol: 1, ..HelloAnswer::default() }), "ok");
        check(Ok(HelloAnswer { protocol: 2, ..HelloAnswer::default() }), "version: this is protocol 1");
        check(Err(Refusal::new(Name::Version, "speaks 2").into()), "version: speaks 2");
        check(Err(Refusal::new(Name::Denied, "not you").into()), "other: not you");
        check(Err(CallError::Garbled("x".into())), "version: x");
    }
}
