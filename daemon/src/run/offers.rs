//! Owns: telling the engine which apps are not there. Must never know: what follows from it.

use mingle_core::engine::Event;

use super::Office;
use crate::house;

impl Office {
    /// Before the first decision, which is made once conditions are known as well: nothing follows from it yet.
    pub(super) fn knows_offers(&mut self) {
        self.engine.away_are(&house::away(&self.config, &self.means));
    }

    /// Other apps offer to do work, or other remotes are theirs.
    pub(super) fn offers_changed(&mut self) {
        let away = house::away(&self.config, &self.means);
        self.handle(Event::Away(away));
    }
}
