//! Owns: the socket that gives no data. Must never know: what is said on it.

use crate::{
    house::House,
    ipc::{Access, listen::Socket},
    start::Started,
};

/// The socket that gives no data. Nothing depends on it, so a daemon without it goes on, and says so.
pub(super) fn socket(started: &Started, house: &House) -> Option<Socket> {
    let group = started.config.status.group;
    let access = group.map_or(Access::Owner, Access::Group);
    let path = started.paths.status_socket(group.is_some());
    let socket = match &started.inherited.status {
        Some(fd) => fd
            .try_clone()
            .and_then(|fd| Socket::inherited(fd, access))
            .map_err(|error| (error.to_string(), "check the unit file of the status socket".to_owned())),
        None => Socket::bind_for(path, access).map_err(|error| (error.to_string(), error.hint())),
    };
    match socket {
        Ok(socket) => Some(socket),
        Err((error, hint)) => {
            tracing::warn!(%error, %hint, "there is no status socket");
            house.notices().stands("status_socket", "status.sock", format!("{error}; {hint}"));
            None
        }
    }
}
