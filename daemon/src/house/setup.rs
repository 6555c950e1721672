//! Owns: what the configuration in force comes to. Must never know: what is done with it.

use std::{collections::BTreeMap, sync::Arc};

use mingle_core::record::Carried;

use crate::{
    config::Config,
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
        Self { number, config, carried }
    }
}
