//! Owns: apps that offer to do work, held against the configuration in force, and what they bring, handed on. Must never know: the wire,
//! what the work is.

use std::{collections::BTreeMap, future::ready};

use mingle_core::{
    ask::Refusal,
    schedule::Name,
    work::{Batch, Called, OVER, Said},
};
use tokio::sync::mpsc;

use super::House;
use crate::{
    config::Config,
    ipc::door::{Later, Works},
    remotes::Means,
};

impl Works for House {
    fn offer_work(
        &self,
        connection: u64,
        app: &str,
        remotes: Option<Vec<String>>,
        to: mpsc::Sender<Called>,
    ) -> Result<Vec<String>, Refusal> {
        let config = self.config();
        for name in remotes.iter().flatten() {
            let settings = config.remotes.get(name).ok_or_else(|| {
                let known: Vec<&str> = config.remotes.keys().map(String::as_str).collect();
                Refusal::NotFound(format!("no remote {name:?}"), Some(format!("remotes there are: {}", known.join(", "))))
            })?;
            match settings.app.as_deref() {
                Some(whose) if whose == app => {}
                Some(whose) => return Err(Refusal::Denied(format!("the work of {name} is for app {whose}, not {app}"))),
                None => {
                    let hint = format!("[remote.{name}] kind = \"app\", app = \"{app}\"");
                    return Err(Refusal::Invalid(format!("{name} is no remote whose work an app does"), Some(hint)));
                }
            }
        }
        let own = |(name, _): &(&String, _)| remotes.as_ref().is_none_or(|named| named.contains(name));
        let offered = config.remotes.iter().filter(|(_, settings)| settings.app.as_deref() == Some(app)).filter(own);
        let offered: Vec<String> = offered.map(|(name, _)| name.clone()).collect();
        tracing::info!(app, remotes = offered.join(" "), "an app offers to do work");
        self.0.means.workers.offer(connection, app, remotes, to);
        Ok(offered)
    }

    fn work_batch(&self, connection: u64, batch: Batch) -> Later<()> {
        let work = batch.work.clone();
        match self.0.means.workers.batch(connection, batch) {
            Err(refusal) => Box::pin(ready(Err(refusal))),
            Ok(answer) => Box::pin(async move {
                let over =
                    |_| Refusal::WrongState(format!("the run of {work} ended before this batch was used"), Some(OVER.into()));
                answer.await.map_err(over)?
            }),
        }
    }

    fn work_done(&self, connection: u64, work: &str, said: Said) -> Result<(), Refusal> {
        self.0.means.workers.done(connection, work, said)
    }

    fn work_leave(&self, connection: u64) {
        self.0.means.workers.leave(connection);
    }
}

/// The remotes whose app is not there, and is not started when it is needed: each with the app's name.
#[must_use]
pub fn away(config: &Config, means: &Means) -> BTreeMap<Name, Name> {
    let apps = config.remotes.iter().filter(|(_, settings)| settings.command.is_empty());
    let apps = apps.filter_map(|(name, settings)| settings.app.as_deref().map(|app| (name, app)));
    let away = apps.filter(|(name, app)| !means.workers.has(app, name));
    away.map(|(name, app)| (Name::from(name.as_str()), Name::from(app))).collect()
}
