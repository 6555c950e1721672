//! Owns: the socket file and what comes in by it: binding without displacing anybody, the peer's user, taking the file away.
//! Must never know: what is said on a connection.
//!
//! The lock decides who is the daemon, not the socket file: whoever binds here holds the lock already.

#![expect(clippy::disallowed_methods, reason = "how long a peer may take is counted where it is waited for")]

use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown},
    },
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use interprocess::{
    local_socket::{
        GenericFilePath, ListenerOptions, ToFsName as _,
        tokio::{Listener, Stream, prelude::*},
    },
    os::unix::local_socket::ListenerOptionsExt as _,
};
use mingle_core::limits::ACCEPT_PAUSE_MS;
use mingle_proto::limits::SOCKET_PATH_BYTES_MAX;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::paths::{Privacy, prepare_dir, prepare_dir_of};

/// Why no socket could be made, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The path does not fit into a socket's address.
    #[error("the socket path has {bytes} bytes, and a socket takes at most {SOCKET_PATH_BYTES_MAX}: {}", .path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
    /// The directory is not fit.
    #[error("{0}")]
    Directory(crate::paths::Refusal),
    /// Something else lies there.
    #[error("{} is there and is no socket", .0.display())]
    NotASocket(PathBuf),
    /// Somebody answers there: another daemon, under another lock.
    #[error("another process listens at {}", .0.display())]
    Live(PathBuf),
    /// The system says no.
    #[error("cannot listen at {}: {source}", .path.display())]
    Failed {
        /// The path.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

impl ListenError {
    /// What a person can do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::TooLong { .. } => "set MINGLE_SOCKET to a shorter path, for mingled and for every app".into(),
            Self::Directory(refusal) => refusal.hint.clone(),
            Self::NotASocket(path) => format!("look at it and move it away: ls -l {}", path.display()),
            Self::Live(_) => "set MINGLE_SOCKET to another path, or end the other process".into(),
            Self::Failed { path, .. } => format!("check the directory: ls -ld {}", path.parent().unwrap_or(path).display()),
        }
    }
}

/// Who may connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Our own user: the socket is 0600, and whoever else comes is closed before a byte is read.
    Owner,
    /// Also the members of this group: the directory is 0750 and the socket 0660, of the group, and the system keeps others out.
    Group(u32),
}

/// A socket that apps can connect to. Dropped, its file goes too, if it still is ours.
#[derive(Debug)]
pub struct Socket {
    listener: Listener,
    file: Option<Arc<File>>,
    access: Access,
}

/// The socket's file, as it was when we made it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    path: PathBuf,
    device: u64,
    inode: u64,
}

/// One app's connection, of our own user.
#[derive(Debug)]
pub struct Incoming {
    /// The bytes.
    pub stream: Stream,
    /// The process, a hint only: pids are used again.
    pub pid: Option<u32>,
}

impl Socket {
    /// Binds `path`, mode 0600, in a directory of our own with mode 0700 that is made where it is missing. A socket that nobody
    /// answers on is what a crash left, and is taken away; whatever else lies there stays. The caller holds the instance lock.
    ///
    /// # Errors
    /// [`ListenError`], each with a remedy.
    pub fn bind(path: &Path) -> Result<Self, ListenError> {
        Self::bind_for(path, Access::Owner)
    }

    /// [`Socket::bind`] for others too. With a group, the directory and the socket belong to it.
    ///
    /// # Errors
    /// The same.
    pub fn bind_for(path: &Path, access: Access) -> Result<Self, ListenError> {
        let bytes = path.as_os_str().len();
        if bytes > SOCKET_PATH_BYTES_MAX {
            return Err(ListenError::TooLong { path: path.into(), bytes });
        }
        let directory = path.parent().unwrap_or(Path::new("/"));
        match access {
            Access::Owner => prepare_dir(directory, Privacy::Ours),
            Access::Group(group) => prepare_dir_of(directory, group),
        }
        .map_err(ListenError::Directory)?;
        let failed = |source| ListenError::Failed { path: path.into(), source };
        match fs::symlink_metadata(path) {
            Ok(there) if !there.file_type().is_socket() => return Err(ListenError::NotASocket(path.into())),
            Ok(_) if answers(path).map_err(failed)? => return Err(ListenError::Live(path.into())),
            Ok(_) => fs::remove_file(path).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        // The library's own way of taking a name over would displace a live listener, and of giving it back a successor's file.
        let options = || Ok(ListenerOptions::new().name(path.to_fs_name::<GenericFilePath>()?).reclaim_name(false));
        let listener = match options().and_then(|options| options.mode(0o600).create_tokio()) {
            // Where a mode cannot be given before binding (macOS), the directory keeps others out.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => options().and_then(ListenerOptions::create_tokio),
            other => other,
        };
        let listener = listener.map_err(failed)?;
        if let Access::Group(group) = access {
            // It is made closed, and opened only once it is the group's.
            chown(path, None, Some(group))
                .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o660)))
                .map_err(failed)?;
        }
        let made = fs::symlink_metadata(path).map_err(failed)?;
        let file = File { path: path.into(), device: made.dev(), inode: made.ino() };
        Ok(Self { listener, access, file: Some(Arc::new(file)) })
    }

    /// A socket that the service manager listens on for us; its file is not ours to take away.
    ///
    /// # Errors
    /// What the system says of the descriptor.
    pub fn inherited(fd: OwnedFd, access: Access) -> io::Result<Self> {
        let listener = interprocess::os::unix::uds_local_socket::tokio::Listener::try_from(fd)?;
        Ok(Self { listener: Listener::from(listener), file: None, access })
    }

    /// The next connection of our own user. Others are closed before a byte is read; errors are logged and waited out.
    pub async fn accept(&self) -> Incoming {
        let us = rustix::process::geteuid().as_raw();
        loop {
            let stream = match self.listener.accept().await {
                Ok(stream) => stream,
                Err(error) => {
                    // Out of descriptors: the listener stays readable, and an instant retry would spin.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(ACCEPT_PAUSE_MS)).await;
                    continue;
                }
            };
            match stream.peer_creds() {
                Ok(peer) if self.access != Access::Owner || is_us(peer.euid(), us) => {
                    let pid = peer.pid().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid != 0);
                    return Incoming { stream, pid };
                }
                Ok(peer) => tracing::warn!(uid = ?peer.euid(), "a connection of another user is closed"),
                Err(error) => tracing::warn!(%error, "a connection whose user cannot be told is closed"),
            }
        }
    }

    /// Who may connect.
    #[must_use]
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether the file is still the one we made; always, where it is not ours to look after.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.file.as_ref().is_none_or(|file| file.is_there())
    }

    /// The file, where it is ours to look after.
    pub(super) fn file(&self) -> Option<Arc<File>> {
        self.file.clone()
    }

    /// The path that was bound, where we bound it.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|file| file.path.as_path())
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(file) = self.file.as_ref().filter(|file| file.is_there())
            && let Err(error) = fs::remove_file(&file.path)
        {
            tracing::warn!(path = %file.path.display(), %error, "the socket's file stays behind; the next start takes it away");
        }
    }
}

impl File {
    /// Whether it is still the one that we made.
    pub(super) fn is_there(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|now| now.dev() == self.device && now.ino() == self.inode)
    }
}

/// Whether the peer is the user we run as. A user that the kernel cannot tell is nobody we know.
fn is_us(peer: Option<u32>, us: u32) -> bool {
    peer == Some(us)
}

/// Whether somebody listens there. Never waits: a listener too busy to take us is alive.
fn answers(path: &Path) -> io::Result<bool> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match rustix::net::connect(&socket, &address) {
        Ok(()) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INPROGRESS) => Ok(true),
        Err(rustix::io::Errno::CONNREFUSED | rustix::io::Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::{
        fs::{DirBuilderExt, PermissionsExt},
        net::{UnixListener, UnixStream},
    };

    use super::*;

    fn place() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("run/mingle.sock");
        (home, path)
    }

    #[track_caller]
    fn refused(path: &Path, expect: &str) {
        let error = Socket::bind(path).unwrap_err();
        assert!(error.to_string().contains(expect) && !error.hint().is_empty(), "{error}");
    }

    #[test]
    fn only_our_own_user_is_us() {
        assert!(is_us(Some(1000), 1000));
        for other in [Some(0), Some(1001), Some(65534), None] {
            assert!(!is_us(other, 1000), "{other:?}");
        }
    }

    #[tokio::test]
    async fn the_socket_is_private_and_goes_with_us() {
        let (_home, path) = place();
        let socket = Socket::bind(&path).unwrap();
        let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        assert!(socket.is_there());
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_crash_left_is_replaced_and_nothing_else() {
        let (_home, path) = place();
        fs::DirBuilder::new().mode(0o700).create(path.parent().unwrap()).unwrap();
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "a dropped listener leaves its file");
        let socket = Socket::bind(&path).unwrap();
        UnixStream::connect(&path).unwrap();

        // A live one is never displaced, also by one with another lock.
        refused(&path, "another process listens");
        UnixStream::connect(&path).unwrap();

        // A file that came in its place is not ours to remove.
        fs::remove_file(&path).unwrap();
        assert!(!socket.is_there());
        let other = UnixListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
        drop(other);

        fs::remove_file(&path).unwrap();
        fs::write(&path, "mine").unwrap();
        refused(&path, "no socket");
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn an_unfit_place_is_refused_with_a_remedy() {
        let (home, path) = place();
        refused(&home.path().join("x".repeat(120)), "a socket takes at most 100");
        fs::DirBuilder::new().mode(0o755).create(path.parent().unwrap()).unwrap();
        refused(&path, "open to other users");
        let link = home.path().join("link");
        std::os::unix::fs::symlink(path.parent().unwrap(), &link).unwrap();
        refused(&link.join("mingle.sock"), "link");
    }
}
