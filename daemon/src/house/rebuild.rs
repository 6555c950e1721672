//! Owns: a rebuild of a collection: may it be now, what it keeps. Must never know: the wire, how it is done.

use mingle_core::{
    ask::{Rebuilding, Refusal},
    engine::{Answer, Ask},
};

use super::House;
use crate::{
    ipc::door::Later,
    store::{StoreError, history},
};

impl House {
    /// Counts what stays, and unless that is all that is asked, asks for the runs.
    pub(super) fn rebuilt(&self, collection: String, preview: bool, by: Option<String>) -> Later<Rebuilding> {
        let house = self.clone();
        Box::pin(async move {
            let kept = house.kept(&collection)?;
            if preview {
                return Ok(kept);
            }
            // A run would fail at its first batch, and say so only then.
            let trouble = house.0.store.trouble().borrow().clone();
            if let Some(trouble) = trouble {
                return Err(StoreError::Shut(trouble).into());
            }
            tracing::info!(collection, by = by.as_deref().unwrap_or("an unnamed app"), "asked to fetch a collection anew");
            let asked = |answer| if let Answer::Rebuilds(runs) = answer { Ok(runs) } else { Err(answer) };
            let runs = house.asked(Ask::Rebuild { collection }, asked).await?;
            Ok(Rebuilding { runs, ..kept })
        })
    }

    /// What is not at the remotes, or waits for a person, in all syncs of a collection.
    fn kept(&self, collection: &str) -> Result<Rebuilding, Refusal> {
        let config = self.config();
        if !config.collections.contains_key(collection) {
            let names: Vec<&str> = config.collections.keys().map(String::as_str).take(20).collect();
            let hint = match names[..] {
                [] => "there are no collections; a [collection.NAME] or a sync in config.toml makes one".into(),
                _ => format!("the collections are {}", names.join(", ")),
            };
            return Err(Refusal::NotFound(format!("no collection {collection:?}"), Some(hint)));
        }
        let mut kept = Rebuilding::default();
        let several = config.several();
        for (name, sync) in several.of(collection) {
            let sends_from = sync.direction.is_up().then(|| (collection, several.creates(sync)));
            let counts = self.read(|reader| history::counts(reader, name, sends_from))?;
            kept.unsent += counts.pending;
            kept.conflicts += counts.conflicts;
            kept.rejections += counts.rejections;
        }
        Ok(kept)
    }
}
