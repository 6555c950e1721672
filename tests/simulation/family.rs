//! Owns: references between the records of a world: who refers to whom, as the oracle compares it. Must never know: how ids are
//! translated, who waits for whom.
//!
//! A reference means a record, whatever id it is written with: it is compared by the key of what it names. One that names nothing that
//! is there means nothing.

use std::collections::BTreeMap;

use mingle_core::{
    record::{Props, Value},
    reference::WhenGone,
};
use mingled::json;

use crate::{
    fake::lock,
    oracle::{Cascade, Found},
    words::{self, KEY, PROPERTIES},
    world::World,
};

/// The property that refers to another record, in worlds that have such.
pub const PARENT: &str = "p";

/// Records that went with what they referred to: the ledger has their end behind that of the other, by the same hand at the same time, with
/// the reference still in it. And what is wrong: who lost the reference then, and stayed.
pub fn cascades(world: &World) -> (Vec<Cascade>, Vec<String>) {
    let (mut cascades, mut stayed) = (Vec::new(), Vec::new());
    if !world.setup.policy.references.values().any(|reference| reference.on_delete == WhenGone::Cascade) {
        return (cascades, stayed);
    }
    // A record that is made has no old values, or a list without its key.
    let sql =
        "SELECT r.id, coalesce(g.before, '{}'), g.origin || ' ' || g.at FROM m_ledger g JOIN m_record r ON r.record = g.record
               ORDER BY g.seq";
    let read = world.store.read(|reader| {
        let mut statement = reader.prepare_cached(sql)?;
        let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        Ok(rows.collect::<Result<Vec<(String, String, String)>, _>>()?)
    });
    let mut ended: BTreeMap<String, (String, String)> = BTreeMap::new();
    for (id, before, hand) in read.expect("the store reads") {
        let before = json::parse_object(&before).expect("what was written down");
        if before.is_empty() || matches!(before.get(KEY), Some(Value::List(none)) if none.is_empty()) {
            ended.remove(&id);
            continue;
        }
        let had = had(&before);
        // Nobody writes a key but with a record, and nobody takes it away but with one.
        let key = words::key(&had);
        let with = match had.get(PARENT) {
            Some(Value::Text(of)) => ended.get(of).filter(|(_, by)| *by == hand),
            _ => None,
        };
        let Some(key) = key else {
            stayed.extend(with.map(|(parent, _)| format!("cascade: {id} stays, and what it refers to is deleted: {parent}")));
            continue;
        };
        if let Some((parent, _)) = with {
            let saw = PROPERTIES.iter().filter_map(|name| Some(((*name).to_owned(), words::at(&had, name)?))).collect();
            cascades.push(Cascade { key: key.clone(), parent: parent.clone(), saw });
        }
        ended.insert(id, (key, hand));
    }
    (cascades, stayed)
}

/// The old values of a row of the ledger: each is a list, empty where there was none.
fn had(before: &Props) -> Props {
    let one = |(name, value): (&String, &Value)| match value {
        Value::List(list) => list.first().map(|value| (name.clone(), value.clone())),
        _ => None,
    };
    before.iter().filter_map(one).collect()
}

/// What is wrong with references: none is to a record that is deleted, or it would wait for it at every service; and whoever is to go with
/// another has gone.
pub fn wrong(world: &World) -> Vec<String> {
    if world.setup.policy.references.is_empty() {
        return Vec::new();
    }
    let sql = "SELECT json_extract(c.data, '$.' || ?1), json_extract(c.data, '$.' || ?2) FROM m_record c JOIN m_record p
               ON p.id = json_extract(c.data, '$.' || ?1) WHERE c.state = 0 AND p.state = 1";
    let read = world.store.read(|reader| {
        let mut statement = reader.prepare_cached(sql)?;
        let rows = statement.query_map([PARENT, KEY], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<Vec<(String, String)>, _>>()?)
    });
    let told = |(parent, key): (String, String)| format!("dangling: {key} refers to {parent}, which is deleted");
    read.expect("the store reads").into_iter().map(told).chain(cascades(world).1).collect()
}

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
        named(props, &here, pending);
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
