//! Owns: references between the records of a world: who refers to whom, as the oracle compares it. Must never know: how ids are
//! translated, who waits for whom.
//!
//! A reference means a record, whatever id it is written with: it is compared by the key of what it names. One that names nothing that
//! is there means nothing.

use std::collections::BTreeMap;

use mingle_core::record::{Props, Value};

use crate::{fake::lock, oracle::Found, words, world::World};

/// The property that refers to another record, in worlds that have such.
pub const PARENT: &str = "p";

/// Puts the key of what is named in the place of each reference, in the truth and at each service.
pub fn by_key(world: &World, found: &mut Found) {
    if world.setup.policy.references.is_empty() {
        return;
    }
    let here: BTreeMap<String, String> =
        world.truth().into_iter().filter_map(|(id, _, props)| Some((id, words::key(&props)?))).collect();
    let there: Vec<BTreeMap<String, String>> = world
        .services
        .iter()
        .map(|service| lock(service).live().filter_map(|(id, props)| Some((id.clone(), words::key(props)?))).collect())
        .collect();
    // What names something that one of several services alone knows stays as it is at the others.
    if world.services.len() > 1 {
        let foreign = found.truth.iter().filter(|props| matches!(props.get(PARENT), Some(Value::Map(_))));
        let keys: Vec<String> = foreign.filter_map(words::key).collect();
        found.open_properties.extend(keys.into_iter().map(|key| (key, PARENT.to_owned())));
    }
    // What is not known here yet must not be there for long, or nobody would ever know it.
    let pending = |value: &Value| match value {
        Value::Map(pending) => {
            let of = |name: &str| words::at(pending, name).unwrap_or_default();
            let known = there
                .iter()
                .enumerate()
                .any(|(at, ids)| of("remote") == format!("remote{at}") && ids.contains_key(&of("pending")));
            known.then(|| format!("pending {}", of("pending")))
        }
        _ => None,
    };
    let copies = found.copies.iter_mut().flat_map(|(_, copy)| copy);
    for props in found.truth.iter_mut().chain(copies) {
        named(props, &here, &pending);
    }
    for (props, ids) in found.services.iter_mut().zip(&there).flat_map(|(rows, ids)| rows.iter_mut().map(move |row| (row, ids))) {
        named(props, ids, |_| None);
    }
    // A merge knows ids of the truth alone.
    for conflict in found.conflicts.iter_mut().filter(|conflict| conflict.property.as_deref() == Some(PARENT)) {
        for side in [&mut conflict.truth, &mut conflict.theirs, &mut conflict.agreed] {
            if let Some(key) = side.as_ref().and_then(|id| here.get(id)) {
                *side = Some(format!("to {key}"));
            }
        }
    }
    excuse(found);
}

fn named(props: &mut Props, ids: &BTreeMap<String, String>, other: impl Fn(&Value) -> Option<String>) {
    let Some(value) = props.remove(PARENT) else { return };
    let name = match &value {
        Value::Text(id) => ids.get(id).map(|key| format!("to {key}")),
        value => other(value),
    };
    props.extend(name.map(|name| (PARENT.to_owned(), words::text(&name))));
}

/// A child waits for a parent that was refused, and the delete of a parent for a child that was: neither is lost.
fn excuse(found: &mut Found) {
    let of = |records: &[Props]| -> Vec<(String, String)> {
        let parent = |props: &Props| words::at(props, PARENT)?.strip_prefix("to ").map(str::to_owned);
        records.iter().filter_map(|props| Some((words::key(props)?, parent(props)?))).collect()
    };
    let here = of(&found.truth);
    let there: Vec<(String, String)> = found.services.iter().flat_map(|rows| of(rows)).collect();
    let lives: Vec<String> = found.truth.iter().filter_map(words::key).collect();
    loop {
        let before = found.rejected.len();
        let refused = |key: &String| found.rejected.iter().any(|(of, _)| of == key);
        let frozen = |key: &String| found.open_properties.iter().any(|(of, property)| of == key && property == PARENT);
        let children = here.iter().filter(|(child, parent)| refused(parent) && !refused(child)).map(|(child, _)| child);
        let parents = there
            .iter()
            .filter(|(child, parent)| (refused(child) || frozen(child)) && !lives.contains(parent) && !refused(parent))
            .map(|(_, parent)| parent);
        let more: Vec<(String, String)> = children.chain(parents).map(|key| (key.clone(), "up".to_owned())).collect();
        found.rejected.extend(more);
        if found.rejected.len() == before {
            return;
        }
    }
}
