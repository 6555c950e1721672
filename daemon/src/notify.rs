//! Owns: what the service manager is told (ready, stopping, a line of status, signs of life) and the socket it may hand over.
//! Must never know: what the daemon does. Without a service manager every call does nothing.

use std::{os::fd::OwnedFd, time::Duration};

use sd_notify::NotifyState;

use crate::environment::Environment;

/// Says that a `hello` would be answered now.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Says that the end has begun.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// One line for `systemctl status`. No record, id or secret belongs into it.
pub fn status(line: &str) {
    tell(&[NotifyState::Status(line)]);
}

/// Asks for so much more time until [`ready`]: a start that is long, and moves.
pub fn starting_still(more: Duration) {
    tell(&[NotifyState::ExtendTimeoutUsec(u32::try_from(more.as_micros()).unwrap_or(u32::MAX))]);
}

/// A sign of life. To be called only where something really moved, or nothing was due.
pub fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often [`alive`] is to be called: half of what the service manager allows. None: nobody watches.
#[must_use]
pub fn alive_every() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager does not listen");
    }
}

/// What the service manager listens on for us.
#[derive(Debug, Default)]
pub struct Inherited {
    /// The socket for apps.
    pub apps: Option<OwnedFd>,
    /// The socket that gives no data.
    pub status: Option<OwnedFd>,
}

/// The name (`FileDescriptorName=`) by which the socket that gives no data is told from the one for apps.
const STATUS_NAME: &str = "mingle-status";

/// The listening sockets that the service manager opened for us, where there are any. To be asked once.
///
/// # Errors
/// When what was handed over are not our listening Unix sockets: then a unit file is wrong, and serving elsewhere would hide it.
pub fn inherited_sockets(env: &Environment) -> Result<Inherited, String> {
    let mut inherited = Inherited::default();
    if env.text("LISTEN_PID") != Some(&std::process::id().to_string()) {
        return Ok(inherited);
    }
    let names: Vec<&str> = env.text("LISTEN_FDNAMES").map(|names| names.split(':').collect()).unwrap_or_default();
    let mut handed = listenfd::ListenFd::from_env();
    for at in 0..handed.len() {
        let name = names.get(at).copied().unwrap_or_default();
        let (place, what) = if name == STATUS_NAME { (&mut inherited.status, name) } else { (&mut inherited.apps, "for apps") };
        match handed.take_unix_listener(at) {
            Ok(Some(listener)) if place.is_none() => *place = Some(listener.into()),
            Ok(Some(_)) => return Err(format!("two sockets {what} were handed over, and mingled takes one")),
            Ok(None) => {}
            Err(error) => return Err(format!("an inherited socket ({what}) is no listening Unix socket: {error}")),
        }
    }
    Ok(inherited)
}
