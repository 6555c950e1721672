//! Owns: asking for the runs that fetch a collection anew. Must never know: what such a run does.

use super::{Accepted, Answer, Engine, Mode, Name, Refusal, RunRequest, Timestamp};

impl Engine {
    /// Asks each sync of the collection for a run, or none of them: half of a rebuild would leave the rest believed. One that is under way
    /// ends first.
    pub(super) fn rebuild(&mut self, now: Timestamp, collection: &str) -> Result<Answer, Refusal> {
        let of_it = self.syncs.iter().filter(|(_, sync)| sync.collection == collection);
        let names: Vec<Name> = of_it.map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            let hint = "a [sync.NAME] with it in config.toml makes one; `mingle fsck` looks at the store itself";
            let what = format!("nothing syncs {collection}: what it has is nowhere else, so it cannot be fetched anew");
            return Err(Refusal::Invalid(what, Some(hint.into())));
        }
        if let Some(refusal) = names.iter().find_map(|name| self.refused(name)) {
            return Err(refusal);
        }
        let mut runs: Vec<(String, Accepted)> = Vec::new();
        for name in names {
            let sync = name.to_string();
            let request = RunRequest {
                sync: sync.clone(),
                mode: Some(Mode::Rebuild),
                force: false,
                accept_deletes: false,
                reset: None,
                by: None,
            };
            if let Answer::Accepted(accepted) = self.run_sync(now, &request)? {
                runs.push((sync, accepted));
            }
        }
        Ok(Answer::Rebuilds(runs))
    }
}
