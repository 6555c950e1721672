//! Owns: `references` of a collection: how they are written, and whether what they name is there. Must never know: what they do.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::reference::{Reference, References, WhenGone};

use super::{
    Config,
    check::complain,
    problem::did_you_mean,
    section::{Entry, Inner, Section},
    sections::Draft,
    words,
};

const EXAMPLE: &str = "references = { author = \"people\", shelf = { collection = \"shelves\", on_delete = \"cascade\" } }";
const ON_DELETE: [(&str, WhenGone); 3] =
    [("nullify", WhenGone::Nullify), ("cascade", WhenGone::Cascade), ("refuse", WhenGone::Refuse)];
/// Names that a property which refers cannot have: those by which the published view and paths are told apart.
const NO_PROPERTY: [&str; 2] = ["id", "seq"];

/// Reads `references` of one collection.
pub(super) fn read(section: &mut Section<'_>) -> References {
    let mut references = References::new();
    let Inner::Table(table) = section.inner("references", EXAMPLE) else { return references };
    let mut inside = section.nested("references", table);
    for (property, entry) in inside.entries("the name of a collection, or a table", EXAMPLE) {
        if property.is_empty() || NO_PROPERTY.contains(&property.as_str()) {
            inside.complain(&property, format!("`{property}` cannot refer to a record"), "name a property of the record's data");
            continue;
        }
        let reference = match entry {
            Entry::Text(collection) => Some(Reference { collection, on_delete: WhenGone::default(), numbers: false }),
            Entry::Table(table) => inside.within(&property, table, |one| {
                let collection = one.needed("collection", "name the collection of the records that it refers to");
                let on_delete = one.choice("on_delete", &ON_DELETE).unwrap_or_default();
                let numbers = one.choice("ids", &[("text", false), ("number", true)]).unwrap_or_default();
                collection.map(|collection| Reference { collection, on_delete, numbers })
            }),
        };
        let Some(reference) = reference else { continue };
        match words::name(&reference.collection) {
            Ok(()) => {
                references.insert(property, reference);
            }
            Err(what) => inside.complain(&property, what, ""),
        }
    }
    inside.close();
    references
}

/// Whether each reference names a collection that is there, and whose ids its remotes know.
pub(super) fn check(draft: &mut Draft) {
    if draft.partial {
        return;
    }
    let mut names: BTreeSet<String> = draft.config.collections.keys().cloned().collect();
    names.extend(draft.config.syncs.values().map(|sync| sync.collection.clone()));
    names.extend(draft.seen.iter().filter_map(|section| section.strip_prefix("collection.")).map(str::to_owned));
    let mut found = Vec::new();
    for (name, collection) in &draft.config.collections {
        for (property, reference) in &collection.policy.references {
            let parent = &reference.collection;
            let key = format!("collection.{name}.references.{property}");
            if !names.contains(parent) {
                let hint = match did_you_mean(parent, names.iter().map(String::as_str)) {
                    hint if hint.is_empty() => format!("add [collection.{parent}]"),
                    hint => hint,
                };
                found.push((key, format!("no collection is called `{parent}`"), hint));
                continue;
            }
            found.extend(places(&draft.config, name, parent).into_iter().map(|(what, hint)| (key.clone(), what, hint)));
        }
    }
    for (key, what, hint) in found {
        complain(draft, &key, what, hint);
    }
}

/// Where the children are kept at a remote, the parents must be kept there too, at one place: else no id of theirs is known there.
fn places(config: &Config, child: &str, parent: &str) -> Vec<(String, String)> {
    if child == parent {
        return Vec::new();
    }
    let remotes: BTreeSet<&str> =
        config.syncs.values().filter(|sync| sync.collection == child).map(|sync| sync.remote.as_str()).collect();
    let mut wrong = Vec::new();
    for remote in remotes {
        let mut places: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, sync) in config.syncs.iter().filter(|(_, sync)| sync.collection == parent && sync.remote == remote) {
            places.entry(sync.resource.trim_matches('/')).or_insert(name);
        }
        let syncs: Vec<String> = places.values().map(|name| format!("[sync.{name}]")).collect();
        match places.len() {
            1 => {}
            0 => wrong.push((
                format!("`{child}` is kept with the remote `{remote}`, and `{parent}`, to which it refers, is not"),
                format!("add a sync of `{parent}` with `{remote}`, or take the reference out: no id of a record there is known"),
            )),
            _ => wrong.push((
                format!("`{parent}` is kept at several places of the remote `{remote}`: {}", syncs.join(", ")),
                "let one collection be kept at one place there: which of them an id is of cannot be told".into(),
            )),
        }
    }
    wrong
}

/// Collections that refer to each other in a circle, each circle once, from its first name on: `a -> b -> a`. They are allowed: what
/// is new in one is made without the reference, which follows.
#[must_use]
pub fn circles(config: &Config) -> Vec<String> {
    let refers: BTreeMap<&str, BTreeSet<&str>> = config
        .collections
        .iter()
        .map(|(name, collection)| {
            (name.as_str(), collection.policy.references.values().map(|reference| reference.collection.as_str()).collect())
        })
        .collect();
    let mut circles = BTreeSet::new();
    for start in refers.keys() {
        let mut path = vec![*start];
        walk(&refers, &mut path, &mut circles);
    }
    circles.into_iter().collect()
}

/// Goes on from the end of a path, over names that come after its first: so each circle is met once.
fn walk<'a>(refers: &BTreeMap<&'a str, BTreeSet<&'a str>>, path: &mut Vec<&'a str>, circles: &mut BTreeSet<String>) {
    const CIRCLES_MAX: usize = 16;
    let (Some(first), Some(last)) = (path.first().copied(), path.last().copied()) else { return };
    for next in refers.get(last).into_iter().flatten() {
        if circles.len() == CIRCLES_MAX {
            return;
        }
        if *next == first {
            circles.insert(path.iter().chain([next]).copied().collect::<Vec<_>>().join(" -> "));
        } else if *next > first && !path.contains(next) {
            path.push(next);
            walk(refers, path, circles);
            path.pop();
        }
    }
}

#[cfg(test)]
mod tests;
