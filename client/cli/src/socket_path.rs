//! Owns: `mingle socket-path`. Must never know: whether anybody listens there.

use mingle_proto::place;
use serde_json::json;

use crate::{
    at::At,
    exit::{Exit, Failure},
};

/// Print where the socket is, for scripts: `socat - UNIX-CONNECT:$(mingle socket-path)`.
#[derive(Debug, clap::Args)]
pub struct SocketPath {}

impl SocketPath {
    #[expect(clippy::unused_self, reason = "every subcommand is run the same way")]
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let place = place::socket(|name| std::env::var_os(name));
        let place = place.map_err(|no| Failure::said(Exit::NoDaemon, no.to_string(), no.hint()))?;
        let path = place.socket.to_string_lossy();
        at.line(&if at.json { json!({"path": path}).to_string() } else { path.into_owned() })?;
        Ok(Exit::Done)
    }
}
