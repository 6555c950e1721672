//! Owns: reading the configuration again, and what of it is another now. Must never know: how the loop puts it in force.
//!
//! Everything is prepared before anything is changed: a configuration that is not good leaves the one in force as it was.

use std::{collections::BTreeMap, sync::Arc};

use mingle_core::{
    ask::{Refusal, Reloaded},
    engine::Defined,
    schedule::{Last, Name},
    time::Timestamp,
};

use crate::{
    boot::{self, Known},
    config::{self, Config, Problem, Where},
    known::BuiltIn,
    remotes::Means,
    store::{Store, StoreError, history, sync::place},
};

/// What a reload stands on.
pub struct Before {
    /// In force now.
    pub config: Arc<Config>,
    /// Its syncs.
    pub syncs: BTreeMap<Name, Known>,
    /// What opens remotes.
    pub means: Means,
    /// What it reads, and defines collections in.
    pub store: Store,
    /// A number of this machine.
    pub host: u64,
}

/// What is to be put in force.
pub struct Prepared {
    /// The configuration.
    pub config: Config,
    /// Every sync of it.
    pub syncs: BTreeMap<Name, Known>,
    /// Those that are others than before.
    pub defined: Vec<(Name, Defined)>,
    /// Remotes whose settings are others: what was known of their login is void.
    pub remotes: Vec<Name>,
    /// What people are told.
    pub reloaded: Reloaded,
}

/// Problems that one line of an answer has room for; `mingle config check` has them all.
const PROBLEMS_TOLD: usize = 5;

/// Reads the files and works out what changed; defines the collections. Blocks.
///
/// # Errors
/// [`Refusal::Invalid`] with the problems of the files; else what the store says.
pub fn prepare(before: &Before, now: Timestamp) -> Result<Prepared, Refusal> {
    let known = BuiltIn { config_dir: before.means.config_dir.clone() };
    let config =
        config::load(&Where::Directory(before.means.config_dir.clone()), &known).map_err(|problems| invalid(&problems))?;
    let failed = |error: StoreError| {
        tracing::error!(%error, "the configuration could not be put in force");
        Refusal::from(error)
    };
    let syncs = boot::syncs(&config, &before.means);
    let mut defined = Vec::new();
    for (name, sync) in &syncs {
        let becomes = || boot::sync_facts(&before.store, name, sync, before.host, now);
        match before.syncs.get(name) {
            None => defined.push((name.clone(), Defined::Added(becomes().map_err(failed)?))),
            Some(was) if is_other(was, sync, &before.config, &config) => {
                let mut facts = becomes().map_err(failed)?;
                if place(&was.spec.identity) != place(&sync.spec.identity) {
                    // What ran under this name ran with another place.
                    facts.job = mingle_core::schedule::Job::new(facts.job.plan, Last::Never, 0, now);
                }
                defined.push((name.clone(), Defined::Replaced(facts)));
            }
            Some(was) if was.definition.timing != sync.definition.timing => {
                defined.push((name.clone(), Defined::Replanned(boot::plan(name, &sync.definition, before.host))));
            }
            Some(_) => {}
        }
    }
    let mut orphaned = Vec::new();
    for (name, was) in &before.syncs {
        if !syncs.contains_key(name) {
            defined.push((name.clone(), Defined::Removed));
        }
        // Under whatever name: what waits for this place is sent by whoever speaks with it.
        if syncs.values().any(|sync| place(&sync.spec.identity) == place(&was.spec.identity)) {
            continue;
        }
        let sends = was.spec.direction.sends().then(|| (was.spec.collection.as_str(), was.spec.creates));
        let counts = before.store.read(|reader| history::counts(reader, name, sends)).map_err(failed)?;
        if counts.pending > 0 {
            orphaned.push((name.to_string(), counts.pending));
        }
    }
    // The last things that can fail: from here on it is in force.
    boot::define(&before.store, &config, now).map_err(failed)?;
    boot::renamed(&before.store, &syncs, now).map_err(failed)?;
    let remotes = config.remotes.iter().filter(|(name, now)| before.config.remotes.get(*name).is_some_and(|was| was != *now));
    let remotes = remotes.map(|(name, _)| Name::from(name.as_str())).collect();
    let reloaded =
        Reloaded { applied: applied(&before.config, &config), after_restart: after_restart(&before.config, &config), orphaned };
    Ok(Prepared { config, syncs, defined, remotes, reloaded })
}

fn invalid(problems: &[Problem]) -> Refusal {
    let told: Vec<String> = problems.iter().take(PROBLEMS_TOLD).map(Problem::in_a_line).collect();
    let count = problems.len();
    let what =
        format!("the configuration has {count} {}; the one in force stays", if count == 1 { "problem" } else { "problems" });
    Refusal::Invalid(what, Some(told.join(" | ")))
}

/// Whether a run of it must not go on as it began: it speaks with another place, as somebody else, or merges in another way.
fn is_other(was: &Known, is: &Known, before: &Config, now: &Config) -> bool {
    was.spec != is.spec || before.remotes.get(&was.definition.remote) != now.remotes.get(&is.definition.remote)
}

fn applied(before: &Config, now: &Config) -> Vec<(String, String)> {
    let mut applied = Vec::new();
    if before.conditions != now.conditions {
        applied.push(("conditions".to_owned(), "changed".to_owned()));
    }
    differ("remote", &before.remotes, &now.remotes, &mut applied);
    differ("sync", &before.syncs, &now.syncs, &mut applied);
    differ("collection", &before.collections, &now.collections, &mut applied);
    differ("app", &before.apps, &now.apps, &mut applied);
    applied
}

fn differ<T: PartialEq>(
    section: &str,
    before: &BTreeMap<String, T>,
    now: &BTreeMap<String, T>,
    applied: &mut Vec<(String, String)>,
) {
    let mut say = |name: &str, change: &str| applied.push((format!("{section}.{name}"), change.to_owned()));
    for (name, is) in now {
        match before.get(name) {
            None => say(name, "added"),
            Some(was) if was != is => say(name, "changed"),
            Some(_) => {}
        }
    }
    before.keys().filter(|name| !now.contains_key(*name)).for_each(|name| say(name, "removed"));
}

/// What is read once, at the start.
fn after_restart(before: &Config, now: &Config) -> Vec<String> {
    let mut kept = Vec::new();
    let mut say = |differs: bool, key: &str| {
        if differs {
            kept.push(key.to_owned());
        }
    };
    say(before.store.path != now.store.path, "store.path");
    say(before.store.synchronous != now.store.synchronous, "store.synchronous");
    say(before.status != now.status, "status.group");
    kept
}
