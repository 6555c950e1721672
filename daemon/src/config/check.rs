//! Owns: whether the sections agree with each other and with what is built in. Must never know: how they are written.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::{policy::Merge, schedule::Network};

use super::{CollectionDefinition, Config, Known, order, problem::did_you_mean, references, sections::Draft, several};

/// What the published view of a collection brings by itself.
const VIEW_COLUMNS: [&str; 3] = ["id", "seq", "data"];
/// Names of the store's own tables and SQLite's begin so.
const PREFIXES_TAKEN: [&str; 2] = ["m_", "sqlite_"];

pub(super) fn check(draft: &mut Draft, known: &dyn Known) {
    remotes(draft, known);
    syncs(draft, known);
    several::check(draft);
    order::check(draft);
    one_collection_each(draft);
    collections(draft);
    newest_needs_stamps(draft, known);
    references::check(draft);
    grants(draft);
}

pub(super) fn complain(draft: &mut Draft, key: &str, what: impl Into<String>, hint: impl Into<String>) {
    draft.problems.push(draft.places.problem(key, what, hint));
}

fn remotes(draft: &mut Draft, known: &dyn Known) {
    for (name, remote) in draft.config.remotes.clone() {
        if let Err((what, hint)) = known.look(&remote) {
            complain(draft, &format!("remote.{name}"), format!("[remote.{name}]: {what}"), hint);
        }
    }
}

fn syncs(draft: &mut Draft, known: &dyn Known) {
    for (name, sync) in draft.config.syncs.clone() {
        if let Some(remote) = draft.config.remotes.get(&sync.remote) {
            let facts = known.look(remote);
            if let (true, Some(sync)) = (draft.any_network.contains(&name), draft.config.syncs.get_mut(&name))
                && facts.as_ref().is_ok_and(|facts| facts.is_near)
            {
                sync.timing.needs.network = Network::None;
            }
            if sync.direction.is_up() && facts.is_ok_and(|facts| !facts.takes_writes) {
                let what = format!("the remote `{}` takes no writes", sync.remote);
                complain(draft, &format!("sync.{name}.direction"), what, "direction = \"down\"");
            }
        } else if !draft.partial && !draft.seen.contains(&format!("remote.{}", sync.remote)) {
            let hint = match did_you_mean(&sync.remote, draft.config.remotes.keys().map(String::as_str)) {
                hint if hint.is_empty() => format!("add [remote.{}]", sync.remote),
                hint => hint,
            };
            complain(draft, &format!("sync.{name}.remote"), format!("no remote is called `{}`", sync.remote), hint);
        }
    }
}

/// One container of a remote fills one collection, or a record there would be two here.
fn one_collection_each(draft: &mut Draft) {
    let mut filled: BTreeMap<(String, String), (String, String)> = BTreeMap::new();
    for (name, sync) in draft.config.syncs.clone() {
        let replica = (sync.remote.clone(), sync.resource.clone());
        match filled.get(&replica) {
            Some((other, collection)) if *collection != sync.collection => {
                let what =
                    format!("[sync.{other}] already keeps this resource of `{}` in the collection `{collection}`", sync.remote);
                complain(draft, &format!("sync.{name}.resource"), what, "use that collection, or another resource");
            }
            _ => {
                filled.insert(replica, (name, sync.collection));
            }
        }
    }
}

fn collections(draft: &mut Draft) {
    let mut names: BTreeMap<String, String> =
        draft.config.syncs.iter().map(|(name, sync)| (sync.collection.clone(), format!("sync.{name}.collection"))).collect();
    names.extend(draft.config.collections.keys().map(|name| (name.clone(), format!("collection.{name}"))));
    for (name, key) in names {
        if let Some(prefix) = PREFIXES_TAKEN.iter().find(|prefix| name.starts_with(**prefix)) {
            complain(
                draft,
                &key,
                format!("a collection cannot be called `{name}`"),
                format!("names with {prefix} are the store's own"),
            );
        }
    }
    for (name, collection) in draft.config.collections.clone() {
        view(draft, &name, &collection);
    }
}

/// Columns of a view are told apart without regard to case.
fn view(draft: &mut Draft, name: &str, collection: &CollectionDefinition) {
    let identity = collection.policy.identity.concat();
    let lists = [("identity", &identity), ("index", &collection.index), ("columns", &collection.columns)];
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (key, list) in lists {
        for property in list {
            let small = property.to_ascii_lowercase();
            let at = format!("collection.{name}.{key}");
            if VIEW_COLUMNS.contains(&small.as_str()) {
                complain(
                    draft,
                    &at,
                    format!("`{property}` cannot be a column"),
                    "the published view has id, seq and data by itself",
                );
            }
            match seen.insert(small, property.clone()) {
                Some(other) if other != *property => {
                    let what = format!("`{property}` and `{other}` would be one column");
                    complain(draft, &at, what, "the published view does not tell capitals apart");
                }
                _ => {}
            }
        }
    }
}

fn newest_needs_stamps(draft: &mut Draft, known: &dyn Known) {
    for (name, collection) in draft.config.collections.clone() {
        let policy = &collection.policy;
        let mut wanted: Vec<&str> = Vec::new();
        if policy.default == Merge::Newest {
            wanted.push("default");
        }
        wanted.extend(
            policy.properties.iter().filter(|(_, merge)| **merge == Merge::Newest).map(|(property, _)| property.as_str()),
        );
        for key in wanted {
            for remote in without_stamps(&draft.config, &name, known) {
                let what =
                    format!("`newest` cannot be told here: records of the remote `{remote}` carry no time of their last change");
                complain(draft, &format!("collection.{name}.merge.{key}"), what, "use another rule: remote, truth, manual");
            }
        }
    }
}

fn without_stamps(config: &Config, collection: &str, known: &dyn Known) -> BTreeSet<String> {
    let syncs = config.syncs.values().filter(|sync| sync.collection == collection);
    syncs
        .filter(|sync| {
            config.remotes.get(&sync.remote).is_some_and(|remote| known.look(remote).is_ok_and(|facts| !facts.has_stamps))
        })
        .map(|sync| sync.remote.clone())
        .collect()
}

fn grants(draft: &mut Draft) {
    if draft.partial {
        return;
    }
    let mut names: BTreeSet<String> = draft.config.collections.keys().cloned().collect();
    names.extend(draft.config.syncs.values().map(|sync| sync.collection.clone()));
    names.extend(draft.seen.iter().filter_map(|section| section.strip_prefix("collection.")).map(str::to_owned));
    for (app, grants) in draft.config.apps.clone() {
        for collection in grants.keys().filter(|collection| !names.contains(*collection)) {
            let hint = did_you_mean(collection, names.iter().map(String::as_str));
            complain(draft, &format!("app.{app}.grants.{collection}"), format!("no collection is called `{collection}`"), hint);
        }
    }
}
