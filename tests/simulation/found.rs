//! Owns: reading what a world has come to: the truth, the services, what the store says of conflicts and rejections. Must never
//! know: what should be found.

use std::collections::BTreeMap;

use mingle_core::record::Props;
use mingled::{
    json,
    store::{StoreError, fsck},
};

use crate::{
    fake::lock,
    family,
    oracle::{Conflict, Found},
    words,
    world::World,
};

/// Everything the oracle asks for. `keys`: of deleted records, by id; `copies`: what apps have, by their names.
pub fn found(world: &World, keys: &BTreeMap<String, String>, copies: Vec<(String, Vec<Props>)>) -> Found {
    let truth: Vec<Props> = world.truth().into_iter().map(|(_, _, props)| props).collect();
    let services: Vec<Vec<Props>> =
        world.services.iter().map(|service| lock(service).live().map(|(_, props)| props.clone()).collect()).collect();
    let read = world.store.read(|reader| {
        let mut conflicts = Vec::new();
        let (mut open, mut open_in_copies) = (Vec::new(), Vec::new());
        let mut statement = reader.prepare_cached(
            "SELECT c.property, c.truth, c.theirs, c.agreed, c.open, r.data, c.link IS NULL, c.replica
             FROM m_conflict c JOIN m_record r ON r.record = c.record",
        )?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let property: Option<String> = row.get(0)?;
            let replica: String = row.get(7)?;
            let app = replica.strip_prefix("app:");
            let conflict = Conflict {
                truth: side(property.is_some(), row.get(1)?),
                theirs: side(property.is_some(), row.get(2)?),
                agreed: side(property.is_some(), row.get(3)?),
                open: row.get(4)?,
                with_app: row.get(6)?,
                with_copy: app.is_some(),
                property: property.clone(),
            };
            if let (true, Some(property), Some(key)) = (conflict.open, property, key_of(row.get(5)?)) {
                match app {
                    Some(app) => open_in_copies.push((app.to_owned(), key, property)),
                    None => open.push((key, property)),
                }
            }
            conflicts.push(conflict);
        }
        let mut rejected = Vec::new();
        let mut statement = reader.prepare_cached(
            "SELECT j.side, r.data, j.remote_id, j.refused, r.id, l.sent FROM m_rejection j LEFT JOIN m_record r ON r.record = j.record
             LEFT JOIN m_link l ON l.link = j.link",
        )?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let side: String = row.get(0)?;
            let buried = row.get::<_, Option<String>>(4)?.and_then(|id| keys.get(&id).cloned());
            let mut keys: Vec<String> = key_of(row.get(1)?).into_iter().chain(key_of(row.get(3)?)).chain(buried).collect();
            keys.extend(keys_of_sent(row.get(5)?));
            if let Some(remote_id) = row.get::<_, Option<String>>(2)? {
                keys.extend(by_remote_id(world, &remote_id));
            }
            keys.sort();
            keys.dedup();
            rejected.extend(keys.into_iter().map(|key| (key, side.clone())));
        }
        Ok::<_, StoreError>((conflicts, open, open_in_copies, rejected))
    });
    let (conflicts, open_properties, open_in_copies, rejected) = read.expect("the store reads");
    let mut found = Found {
        truth,
        services,
        conflicts,
        rejected,
        open_properties,
        open_in_copies,
        copies,
        cascades: family::cascades(world).0,
    };
    family::by_key(world, &mut found);
    found
}

/// What `mingle fsck` would name.
pub fn unsound(world: &World) -> Vec<String> {
    let report = world.store.read(|reader| fsck::check(reader)).expect("the store reads");
    report.findings.iter().map(|one| format!("fsck: {} {}: {}", one.rule, one.about, one.what)).collect()
}

/// The canonical text of one side of a conflict.
fn side(one_property: bool, text: Option<String>) -> Option<String> {
    let text = text?;
    if !one_property {
        return Some(text.to_lowercase());
    }
    let wrapped = json::parse_object(&format!("{{\"x\":{text}}}")).ok()?;
    words::at(&wrapped, "x")
}

fn key_of(data: Option<String>) -> Option<String> {
    words::key(&json::parse_object(&data?).ok()?)
}

/// The keys of records that were sent and not answered: of one that is gone here nothing else tells it.
fn keys_of_sent(sent: Option<String>) -> Vec<String> {
    let sent: Vec<serde_json::Value> = sent.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    sent.iter().filter_map(|one| key_of(one["values"].as_str().map(str::to_owned))).collect()
}

fn by_remote_id(world: &World, remote_id: &str) -> Vec<String> {
    let mut keys = BTreeMap::new();
    for service in &world.services {
        if let Some(versions) = lock(service).rows.get(remote_id) {
            for version in versions {
                if let Some(key) = version.props.as_ref().and_then(words::key) {
                    keys.insert(key, ());
                }
            }
        }
    }
    keys.into_keys().collect()
}
