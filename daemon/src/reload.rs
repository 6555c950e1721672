//! Owns: reading the configuration again, and what of it is another now. Must never know: how the loop puts it in force.
//!
//! Everything is prepared before anything is changed: a configuration that is not good leaves the one in force as it was.

use std::{collections::BTreeMap, sync::Arc};

use mingle_core::{
    ask::{DefinedBy, IfExists, Outcome, Redefine, Redefined, Refusal, Reloaded},
    engine::{Defined, Failing, SyncFacts},
    schedule::{Job, Last, Name},
    time::Timestamp,
};

use crate::{
    boot::{self, Known},
    config::{Config, Problem, Where, defined::load_with},
    known::BuiltIn,
    remotes::Means,
    store::{Class, Store, StoreError, answers, defined, history, moments, sync::place},
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
    /// What came of the change that an app asked for.
    pub redefined: Option<Redefined>,
    /// Syncs that apps defined and that cannot be as things are, with what is wrong.
    pub left_out: Vec<(String, String)>,
}

/// What is read again.
pub enum Again {
    /// The files, and what apps defined.
    Files,
    /// The same, with this change.
    Change(Redefine),
    /// Nothing of it, only whose the logins of remotes are: what a person has half written stays out of force.
    Accounts,
}

/// Syncs that apps define, at most: each of them is read again with every change. More: `invalid`.
const DEFINED_MAX: usize = 256;
/// Problems that one line of an answer has room for; `mingle config check` has them all.
const PROBLEMS_TOLD: usize = 5;

/// Reads what is to be read again, and works out what is another now; defines the collections. Blocks.
///
/// # Errors
/// [`Refusal::Invalid`] with the problems of the files; else what the store says.
pub fn prepare(before: &Before, again: &Again, now: Timestamp) -> Result<Prepared, Refusal> {
    let change = if let Again::Change(change) = again { Some(change) } else { None };
    let known = BuiltIn { config_dir: before.means.config_dir.clone() };
    let failed = |error: StoreError| {
        tracing::error!(%error, "the configuration could not be put in force");
        Refusal::from(error)
    };
    let mut rows = before.store.read(|reader| defined::all(reader)).map_err(failed)?;
    let mut redefined = change.map(|change| redefine(&mut rows, change, &before.config)).transpose()?;
    let (config, left_out) = if let Again::Accounts = again {
        (Config::clone(&before.config), BTreeMap::new())
    } else {
        let place_of = Where::Directory(before.means.config_dir.clone());
        load_with(&place_of, &boot::definitions(&rows), &known).map_err(|problems| invalid(&problems))?
    };
    if let Some(change) = change {
        // It is refused where it cannot be, and where another could not be any more.
        let another =
            || left_out.iter().find(|(sync, _)| before.config.defined.contains_key(*sync)).map(|(_, problems)| problems);
        if let Some(problems) = left_out.get(change.sync()).or_else(another) {
            return Err(invalid(problems));
        }
    }
    let syncs = boot::syncs(&config, &before.means);
    let how =
        |name: &Name| redefined.as_ref().filter(|_| change.is_some_and(|change| change.sync() == &**name)).map(|one| one.outcome);
    let mut defined = Vec::new();
    for (name, sync) in &syncs {
        let becomes = || boot::sync_facts(&before.store, name, sync, before.host, now);
        match before.syncs.get(name) {
            None => defined.push((name.clone(), Defined::Added(becomes().map_err(failed)?))),
            Some(_) if how(name) == Some(Outcome::Replaced) => {
                let mut facts = becomes().map_err(failed)?;
                begins_anew(&mut facts, now);
                defined.push((name.clone(), Defined::Replaced(facts)));
            }
            Some(was) if is_other(was, sync, &before.config, &config) => {
                let mut facts = becomes().map_err(failed)?;
                if place(&was.spec.identity) != place(&sync.spec.identity) {
                    // What ran under this name ran with another place.
                    begins_anew(&mut facts, now);
                }
                let updated = how(name) == Some(Outcome::Updated);
                defined.push((name.clone(), if updated { Defined::Updated(facts) } else { Defined::Replaced(facts) }));
            }
            Some(was) if was.definition.timing != sync.definition.timing || was.depth != sync.depth => {
                let since = boot::since(&before.store, name, sync, now).map_err(failed)?;
                defined.push((name.clone(), Defined::Replanned(boot::plan(name, sync, before.host), since)));
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
    // The moment that came with the definition; one that was kept has nothing of it.
    let next = match (change, &redefined) {
        (Some(Redefine::Define { next, .. }), Some(one)) if one.outcome != Outcome::Kept => *next,
        _ => None,
    };
    if let (Some(change), Some(at)) = (change, next) {
        defined.push((Name::from(change.sync()), Defined::NextRun(at)));
    }
    // The last things that can fail: from here on it is in force.
    boot::define(&before.store, &config, now).map_err(failed)?;
    boot::renamed(&before.store, &syncs, now).map_err(failed)?;
    if let (Some(change), Some(redefined)) = (change, &mut redefined)
        && let Some((_, pending)) = orphaned.iter().find(|(sync, _)| sync == change.sync())
    {
        redefined.orphaned = *pending;
    }
    let (anew, gone, sync) = (begin_anew(&defined), removed(&defined), change.map(|change| change.sync().to_owned()));
    let row = sync.as_ref().and_then(|sync| rows.into_iter().find(|row| row.sync == *sync));
    if !anew.is_empty() || !gone.is_empty() || sync.is_some() {
        let written = before.store.write_blocking(Class::Interactive, now, move |tx| {
            anew.iter().try_for_each(|name| moments::anew(tx, name))?;
            gone.iter().try_for_each(|name| answers::forget(tx, name))?;
            match (sync, row) {
                (Some(sync), Some(row)) => {
                    defined::put(tx, &row)?;
                    next.map_or(Ok(()), |at| moments::set_next(tx, &sync, Some(at)))
                }
                (Some(sync), None) => defined::remove(tx, &sync).and_then(|()| moments::gone(tx, &sync)),
                (None, _) => Ok(()),
            }
        });
        written.map_err(failed)?;
    }
    let remotes = config.remotes.iter().filter(|(name, now)| before.config.remotes.get(*name).is_some_and(|was| was != *now));
    let remotes = remotes.map(|(name, _)| Name::from(name.as_str())).collect();
    let reloaded =
        Reloaded { applied: applied(&before.config, &config), after_restart: after_restart(&before.config, &config), orphaned };
    let left_out = left_out.into_iter().map(|(sync, problems)| (sync, told(&problems))).collect();
    Ok(Prepared { config, syncs, defined, remotes, reloaded, redefined, left_out })
}

/// Its schedule begins as if it had never run.
fn begins_anew(facts: &mut SyncFacts, now: Timestamp) {
    (facts.anew, facts.failing) = (true, Failing::default());
    facts.job = Job { change: facts.job.change, ..Job::new(facts.job.plan.clone(), Last::Never, 0, now) };
}

/// Which syncs begin anew: that is written down, so that they have after a start as well.
fn begin_anew(defined: &[(Name, Defined)]) -> Vec<Name> {
    let anew = |defined: &Defined| matches!(defined, Defined::Replaced(facts) | Defined::Updated(facts) if facts.anew);
    defined.iter().filter(|(_, defined)| anew(defined)).map(|(name, _)| name.clone()).collect()
}

/// Which syncs are none any more: what services answered them goes.
fn removed(defined: &[(Name, Defined)]) -> Vec<Name> {
    defined.iter().filter(|(_, defined)| matches!(defined, Defined::Removed)).map(|(name, _)| name.clone()).collect()
}

/// The syncs that apps defined, with this change.
fn redefine(rows: &mut Vec<defined::DefinedRow>, change: &Redefine, in_force: &Config) -> Result<Redefined, Refusal> {
    let (sync, place) = (change.sync(), rows.iter().position(|row| row.sync == change.sync()));
    if place.is_none() && in_force.syncs.contains_key(sync) {
        let hint = "change it there, or give yours another name";
        return Err(Refusal::Invalid(format!("{sync} belongs to the configuration"), Some(hint.into())));
    }
    let (outcome, generation) = match (change, place) {
        (Redefine::Remove { .. }, None) => {
            let hint = "`mingle status` names them; one of the configuration is taken out there";
            return Err(Refusal::NotFound(format!("no sync {sync:?}"), Some(hint.into())));
        }
        (Redefine::Remove { .. }, Some(place)) => (Outcome::Removed, rows.remove(place).by.generation),
        (Redefine::Define { if_exists: IfExists::Keep, .. }, Some(place)) => (Outcome::Kept, rows[place].by.generation),
        (Redefine::Define { sync, definition, if_exists, by, next: _ }, place) => {
            if place.is_none() && rows.len() >= DEFINED_MAX {
                let what = format!("apps have defined {DEFINED_MAX} syncs, and that is the most");
                return Err(Refusal::Invalid(what, Some("take out one that nobody needs: `mingle undefine SYNC`".into())));
            }
            let before = place.map(|place| rows.remove(place));
            let generation = before.as_ref().map_or(0, |row| row.by.generation) + 1;
            let by = DefinedBy { by: by.clone(), generation };
            rows.push(defined::DefinedRow { sync: sync.clone(), definition: definition.clone(), by });
            let outcome = match (before, if_exists) {
                (None, _) => Outcome::Created,
                (Some(_), IfExists::Replace) => Outcome::Replaced,
                (Some(_), _) => Outcome::Updated,
            };
            (outcome, generation)
        }
    };
    Ok(Redefined { outcome, generation, orphaned: 0 })
}

/// Some of the problems, in one line.
pub fn told(problems: &[Problem]) -> String {
    problems.iter().take(PROBLEMS_TOLD).map(Problem::in_a_line).collect::<Vec<_>>().join(" | ")
}

fn invalid(problems: &[Problem]) -> Refusal {
    let count = problems.len();
    let what =
        format!("the configuration has {count} {}; the one in force stays", if count == 1 { "problem" } else { "problems" });
    Refusal::Invalid(what, Some(told(problems)))
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
    if before.desktop != now.desktop {
        applied.push(("desktop".to_owned(), "changed".to_owned()));
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
