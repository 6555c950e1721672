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

/// The listening socket that the service manager opened for us, where there is one. To be asked once.
///
/// # Errors
/// When what was handed over is no listening Unix socket: then the unit file is wrong, and serving elsewhere would hide it.
pub fn inherited_socket(env: &Environment) -> Result<Option<OwnedFd>, String> {
    if env.text("LISTEN_PID") != Some(&std::process::id().to_string()) {
        return Ok(None);
    }
    let mut handed = listenfd::ListenFd::from_env();
    match (handed.len(), handed.take_unix_listener(0)) {
        (0, _) => Ok(None),
        (1, Ok(Some(listener))) => Ok(Some(listener.into())),
        (1, Ok(None)) => Ok(None),
        (1, Err(error)) => Err(format!("the inherited socket is no listening Unix socket: {error}")),
        (n, _) => Err(format!("{n} sockets were handed over, and mingled takes one")),
    }
}
