//! Owns: where mingle's files lie, and whether a place is fit for them (ours, private, no link, a local disk).
//! Must never know: what the files hold.
//!
//! Nothing here opens the store file, not even to look: only SQLite may (one stray open and close drops its locks).

use std::{
    ffi::OsStr,
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    path::{Component, Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use crate::environment::Environment;

/// Why a place is not used, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Refusal {
    /// What is wrong, with the path.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl Refusal {
    fn new(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { what: what.into(), hint: hint.into() }
    }
}

/// Where everything lies. A pure function of the environment; nothing is created or looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// `config.toml`, `conf.d/`, secret files, profiles of the user.
    pub config: PathBuf,
    /// The store.
    pub data: PathBuf,
    /// Lock, stop mark, logs.
    pub state: PathBuf,
    /// The socket that apps connect to.
    pub socket: PathBuf,
    /// The socket that gives no data, where its owner alone may use it.
    pub status_socket: PathBuf,
    /// The place that `MINGLE_STATUS_SOCKET` gives it.
    pub status_told: Option<PathBuf>,
}

impl Paths {
    /// By the XDG base directory rules: a variable that is not an absolute path is ignored.
    ///
    /// # Errors
    /// When there is no home directory to fall back on, or the socket path is too long.
    pub fn find(env: &Environment) -> Result<Self, Refusal> {
        let home = || {
            absolute(env.get("HOME")).ok_or_else(|| {
                Refusal::new("no home directory is known", "set HOME, or XDG_CONFIG_HOME, XDG_DATA_HOME and XDG_STATE_HOME")
            })
        };
        let base = |variable: &str, fallback: &str| match absolute(env.get(variable)) {
            Some(path) => Ok(path.join("mingle")),
            None => Ok(home()?.join(fallback).join("mingle")),
        };
        let state = base("XDG_STATE_HOME", ".local/state")?;
        let place = mingle_proto::place::socket(|name| env.get(name).map(OsStr::to_owned))
            .map_err(|error| Refusal::new(error.to_string(), error.hint()))?;
        Ok(Self {
            config: base("XDG_CONFIG_HOME", ".config")?,
            data: base("XDG_DATA_HOME", ".local/share")?,
            state,
            status_socket: mingle_proto::place::status(&place),
            status_told: absolute(env.get("MINGLE_STATUS_SOCKET")),
            socket: place.socket,
        })
    }

    /// The configuration file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// The store file, unless the configuration names another.
    #[must_use]
    pub fn store_file(&self) -> PathBuf {
        self.data.join("store.db")
    }

    /// The lock file. It lies with the state, not with the socket: a runtime directory goes away at logout.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.state.join("mingled.lock")
    }

    /// Where logins lie that run out.
    #[must_use]
    pub fn logins(&self) -> PathBuf {
        self.state.join("logins")
    }

    /// The key under which a question to a service is known again. It lies apart from the store: what is marked with it there tells nothing.
    #[must_use]
    pub fn marks_file(&self) -> PathBuf {
        self.state.join("marks.key")
    }

    /// Where the socket that gives no data lies; for a group, outside of every place that is closed to it.
    #[must_use]
    pub fn status_socket(&self, for_a_group: bool) -> &Path {
        match &self.status_told {
            Some(told) => told,
            None if for_a_group => Path::new("/run/mingle-status/status.sock"),
            None => &self.status_socket,
        }
    }

    /// The log, where no service manager keeps one.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.state.join("mingled.log")
    }

    /// The directory of the socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        self.socket.parent().unwrap_or(Path::new("/"))
    }
}

fn absolute(value: Option<&OsStr>) -> Option<PathBuf> {
    value.map(PathBuf::from).filter(|path| path.is_absolute())
}

/// Who may do what with a directory of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privacy {
    /// Others may look in, never write.
    ReadByOthers,
    /// One group may look in, others not, and neither may write: 0750.
    ReadByGroup,
    /// Nobody else at all: 0700.
    Ours,
}

/// Makes the directory (0700) and those above it where they are missing, then checks it: a directory, no link, ours, not
/// writable by others, and none above it where everybody may replace it.
///
/// # Errors
/// When it is not fit, with the remedy.
pub fn prepare_dir(path: &Path, privacy: Privacy) -> Result<(), Refusal> {
    let missing: Vec<&Path> = path.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
        Refusal::new(format!("cannot make the directory {}: {error}", path.display()), "check who owns the directory above it")
    })?;
    // A power cut must not take a folder away from what is synced inside of it. Where the system cannot do that, it does not matter.
    for above in missing.iter().filter_map(|made| made.parent()) {
        let _ = fs::File::open(above).and_then(|folder| folder.sync_all());
    }
    check_dir(path, privacy)
}

/// [`prepare_dir`] for a group of this number: the directory is 0750 and belongs to it.
///
/// # Errors
/// When it is not fit, with the remedy.
pub fn prepare_dir_of(path: &Path, group: u32) -> Result<(), Refusal> {
    if !path.exists() {
        prepare_dir(path, Privacy::Ours)?;
    }
    check_dir(path, Privacy::ReadByGroup)?;
    let shown = path.display();
    std::os::unix::fs::chown(path, None, Some(group))
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o750)))
        .map_err(|error| {
            Refusal::new(
                format!("cannot give {shown} to group {group}: {error}"),
                format!(
                    "make mingled's user a member of that group, or run once as root: chgrp {group} {shown} && chmod 750 {shown}"
                ),
            )
        })
}

/// The checks of [`prepare_dir`], on a directory that is there.
///
/// # Errors
/// When it is not fit, with the remedy.
pub fn check_dir(path: &Path, privacy: Privacy) -> Result<(), Refusal> {
    let shown = path.display();
    // What is checked is what was opened: a link put there in between is not followed.
    let directory =
        rustix::fs::open(path, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY, Mode::empty()).map_err(
            |error| match error {
                rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR => Refusal::new(
                    format!("{shown} is a link or not a directory"),
                    "put a directory of your own there, or name the real place by the XDG variable",
                ),
                other => Refusal::new(
                    format!("cannot open the directory {shown}: {}", io::Error::from(other)),
                    "check its owner and mode with `ls -ld`",
                ),
            },
        )?;
    let about = rustix::fs::fstat(&directory)
        .map_err(|error| Refusal::new(format!("cannot look at {shown}: {}", io::Error::from(error)), "check the disk"))?;
    owned(path, about.st_uid)?;
    let mode = about.st_mode & 0o777;
    let (unwanted, remedy) = match privacy {
        Privacy::ReadByOthers => (0o022, "go-w"),
        Privacy::ReadByGroup => (0o027, "750"),
        Privacy::Ours => (0o077, "700"),
    };
    if mode & unwanted != 0 {
        let who = if privacy == Privacy::ReadByOthers { "writable by other users" } else { "open to other users" };
        return Err(Refusal::new(format!("{shown} is {who} (mode {mode:03o})"), format!("chmod {remedy} {shown}")));
    }
    for above in path.ancestors().skip(1) {
        check_above(above)?;
    }
    Ok(())
}

/// A directory where everybody may rename what others own gives no protection to anything below it.
fn check_above(path: &Path) -> Result<(), Refusal> {
    let Ok(about) = fs::metadata(path) else { return Ok(()) };
    if about.mode() & 0o002 != 0 && about.mode() & 0o1000 == 0 {
        let shown = path.display();
        return Err(Refusal::new(
            format!("every user may replace what lies in {shown} (mode {:03o})", about.mode() & 0o777),
            format!("chmod o-w {shown}, or use another place"),
        ));
    }
    Ok(())
}

fn owned(path: &Path, uid: u32) -> Result<(), Refusal> {
    let me = rustix::process::geteuid().as_raw();
    if uid == me {
        return Ok(());
    }
    Err(Refusal::new(
        format!("{} belongs to user {uid}, and mingled runs as user {me}", path.display()),
        "run mingled as the owner, or use a place of your own",
    ))
}

/// A file of ours where it is there already: a plain file, no link, ours, with one name, closed to others. Looks only, opens
/// nothing. True when it is there.
///
/// # Errors
/// When it is not fit, with the remedy.
pub fn check_file(path: &Path) -> Result<bool, Refusal> {
    let shown = path.display();
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(Refusal::new(format!("cannot look at {shown}: {error}"), "check its directory with `ls -ld`")),
    };
    if about.is_symlink() {
        return Err(Refusal::new(
            format!("{shown} is a link"),
            "move the real file there, or name the real place in [store] path",
        ));
    }
    if !about.is_file() {
        return Err(Refusal::new(format!("{shown} is not a plain file"), "move it away"));
    }
    owned(path, about.uid())?;
    if about.nlink() != 1 {
        return Err(Refusal::new(
            format!("{shown} has {} names (hard links)", about.nlink()),
            format!("find the others with `find -samefile {shown}` and remove them"),
        ));
    }
    let mode = about.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Refusal::new(format!("{shown} is open to other users (mode {mode:03o})"), format!("chmod 600 {shown}")));
    }
    Ok(true)
}

/// What kind of disk a directory is on, as far as it matters to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// Local, or not known to be otherwise.
    Local,
    /// In a user's program: may be anything. Worth a warning.
    Fuse,
    /// Over the network, where locks and shared memory do not hold. The name.
    Network(&'static str),
}

impl Disk {
    /// By the number that Linux gives each kind of file system (statfs(2), `f_type`).
    #[must_use]
    pub fn of_magic(magic: u32) -> Self {
        match magic {
            0x6969 => Self::Network("NFS"),
            0xFF53_4D42 => Self::Network("CIFS"),
            0xFE53_4D42 => Self::Network("SMB2"),
            0x517B => Self::Network("SMB"),
            0x0102_1997 => Self::Network("9p"),
            0x6573_5546 => Self::Fuse,
            _ => Self::Local,
        }
    }

    /// The disk under an existing directory.
    ///
    /// # Errors
    /// What the system says.
    #[cfg(target_os = "linux")]
    pub fn under(path: &Path) -> io::Result<Self> {
        let about = rustix::fs::statfs(path)?;
        // The kernel's field is a word of the machine's size; the numbers themselves have 32 bits.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the upper half is sign extension at most")]
        let magic = about.f_type as u32;
        Ok(Self::of_magic(magic))
    }

    /// The disk under an existing directory: not told apart on this system.
    ///
    /// # Errors
    /// Never.
    #[cfg(not(target_os = "linux"))]
    pub fn under(_path: &Path) -> io::Result<Self> {
        Ok(Self::Local)
    }
}

/// Refuses a directory on a network file system; warns of FUSE.
///
/// # Errors
/// On NFS, CIFS, SMB and 9p.
pub fn check_disk(path: &Path) -> Result<(), Refusal> {
    let shown = path.display();
    match Disk::under(path) {
        Ok(Disk::Network(kind)) => Err(Refusal::new(
            format!("{shown} is on a network file system ({kind}), where locks do not hold"),
            "put it on a local disk: XDG_DATA_HOME and XDG_STATE_HOME, or [store] path",
        )),
        Ok(Disk::Fuse) => {
            tracing::warn!(path = %shown, "the place is on FUSE; whether a write there survives a power cut is up to that program");
            Ok(())
        }
        Ok(Disk::Local) => Ok(()),
        Err(error) => {
            tracing::warn!(path = %shown, %error, "cannot tell what kind of disk this is");
            Ok(())
        }
    }
}

/// Writes a leading `~/` out; everything else stays as it is.
#[must_use]
pub fn expand_home(path: &str, env: &Environment) -> PathBuf {
    match (path.strip_prefix("~/"), absolute(env.get("HOME"))) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => PathBuf::from(path),
    }
}

/// Whether a path has no `..` and starts at the root.
#[must_use]
pub fn is_plain_absolute(path: &Path) -> bool {
    path.is_absolute() && path.components().all(|part| !matches!(part, Component::ParentDir))
}

/// Where the session bus answers, if there is one; none: there is no session.
#[must_use]
pub fn session_bus(env: &Environment) -> Option<String> {
    let told = env.text("DBUS_SESSION_BUS_ADDRESS").map(str::to_owned);
    told.or_else(|| Some(format!("unix:path={}/bus", env.text("XDG_RUNTIME_DIR")?)))
}

/// Whether anybody can answer at the address of a bus, as D-Bus writes one: a service may run before its user has a desktop, and many machines
/// have no bus at all.
#[must_use]
pub fn has_bus(address: &str) -> bool {
    let path = address.strip_prefix("unix:path=").map(|rest| rest.split([',', ';']).next().unwrap_or(rest));
    path.is_none_or(|path| Path::new(path).exists())
}

#[cfg(test)]
mod tests;
