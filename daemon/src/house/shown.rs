//! Owns: what is handed to whoever shows things on the desktop. Must never know: how they are shown, and what was shown already.

use std::sync::Arc;

use mingle_core::{
    ask::{Attention, Refusal},
    engine::BoardCopy,
};
use tokio::sync::watch;

use super::House;
use crate::ipc::door::Door as _;

impl House {
    /// What a person should know or decide now; nothing where the configuration wants none of it on the desktop.
    ///
    /// # Errors
    /// What the store says.
    pub fn to_be_shown(&self) -> Result<Vec<Attention>, Refusal> {
        if !self.config().desktop.notify {
            return Ok(Vec::new());
        }
        Ok(self.status()?.attention)
    }

    /// Changes whenever a notice comes or goes.
    #[must_use]
    pub fn notices_moved(&self) -> watch::Receiver<()> {
        self.0.notices.moved()
    }

    /// How the syncs stand, whenever that changes.
    #[must_use]
    pub fn board(&self) -> watch::Receiver<Arc<BoardCopy>> {
        self.0.board.clone()
    }
}
