//! Owns: which remotes wait for an app that is not there. Must never know: how apps come and go.

use std::collections::{BTreeMap, BTreeSet};

use super::{Engine, Name};

impl Engine {
    /// These do, each for this app, and no others. What is due and waits for one that came begins with the decision that follows.
    pub fn away_are(&mut self, apps: &BTreeMap<Name, Name>) {
        let known = self.desk.board().remotes.iter().filter(|(_, remote)| remote.away.is_some()).map(|(name, _)| name.clone());
        let concerned: BTreeSet<Name> = known.chain(apps.keys().cloned()).collect();
        for remote in concerned {
            self.desk.change_remote(&remote, |known| known.away = apps.get(&remote).cloned());
        }
    }
}
