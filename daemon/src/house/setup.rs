//! Owns: what the configuration in force comes to. Must never know: what is done with it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use mingle_core::record::Carried;

use crate::{
    config::{Config, Direction, Repeat},
    remotes::{self, Means},
};

/// What the configuration in force comes to.
pub struct Setup {
    /// How many were in force before it since the start.
    pub number: u64,
    /// As the files had it.
    pub config: Arc<Config>,
    /// What each remote that syncs send to carries.
    pub(super) carried: BTreeMap<String, Carried>,
    /// The collections that syncs bring whose interval adapts.
    pub(super) adapts: BTreeSet<String>,
}

impl Setup {
    /// Of a configuration.
    #[must_use]
    pub fn new(number: u64, config: Arc<Config>, means: &Means) -> Self {
        let carried = config
            .remotes
            .iter()
            .map(|(name, settings)| {
                let seen = remotes::look(settings, &means.config_dir);
                (name.clone(), seen.map(|seen| seen.abilities.carried).unwrap_or_default())
            })
            .collect();
        let adapts = config.syncs.values().filter(|sync| {
            sync.direction != Direction::Up && matches!(sync.timing.repeat, Repeat::Every { grows_to: Some(_), .. })
        });
        let adapts = adapts.map(|sync| sync.collection.clone()).collect();
        Self { number, config, carried, adapts }
    }
}
