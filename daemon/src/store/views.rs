//! Owns: what apps read of the file: a view NAME for each collection, and the indexes it asked for. Must never know: who reads.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::{ask::Refusal, record::Value};
use rusqlite::Connection;

use super::{
    definitions::{Collection, CollectionDefinition, Definitions},
    error::StoreError,
    tx::Tx,
};
use crate::json;

/// Makes these the collections there are. What did not change is left alone; of a collection that is not named any more the
/// records stay, and nothing shows them.
///
/// # Errors
/// [`Refusal::Invalid`] for a name that no view can have.
pub fn define(tx: &mut Tx<'_>, collections: &[CollectionDefinition]) -> Result<(), StoreError> {
    for definition in collections {
        check_name(&definition.name)?;
    }
    let before = stored(tx)?;
    let named: BTreeSet<&str> = collections.iter().map(|definition| definition.name.as_str()).collect();
    for (name, (number, _)) in &before {
        if !named.contains(name.as_str()) {
            unpublish(tx, *number, name)?;
            tx.conn.execute("UPDATE m_collection SET definition = 'null' WHERE collection = ?1", [number])?;
        }
    }
    let mut defined = Vec::with_capacity(collections.len());
    for definition in collections {
        let text = text(definition);
        let number = match before.get(&definition.name) {
            Some((number, as_before)) if *as_before == text => *number,
            Some((number, _)) => {
                unpublish(tx, *number, &definition.name)?;
                tx.conn.execute("UPDATE m_collection SET definition = ?2 WHERE collection = ?1", (number, &text))?;
                publish(tx, *number, definition)?;
                *number
            }
            None => {
                tx.conn.execute("INSERT INTO m_collection (name, definition) VALUES (?1, ?2)", (&definition.name, &text))?;
                let number = tx.conn.last_insert_rowid();
                publish(tx, number, definition)?;
                number
            }
        };
        defined.push(Collection { number, definition: definition.clone() });
    }
    tx.set_definitions(Definitions::of(defined));
    Ok(())
}

/// Those of the store, by name: number and definition.
fn stored(tx: &Tx<'_>) -> Result<BTreeMap<String, (i64, String)>, StoreError> {
    let mut statement = tx.conn.prepare("SELECT name, collection, definition FROM m_collection")?;
    let rows = statement.query_map((), |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let plain = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_');
    if plain && !name.starts_with("m_") && !name.starts_with("sqlite_") && name.len() <= 64 {
        return Ok(());
    }
    Err(Refusal::Invalid(
        format!("{name:?} cannot be the name of a collection"),
        Some("names are [a-z][a-z0-9_]*, at most 64 long, and begin neither with m_ nor with sqlite_".into()),
    ))
}

/// What the views and indexes are made of: another text makes them anew.
fn text(definition: &CollectionDefinition) -> String {
    let list = |names: &[String]| Value::List(names.iter().cloned().map(Value::Text).collect());
    let mut parts = mingle_core::record::Props::from([
        ("columns".into(), list(&columns(definition))),
        ("index".into(), list(&indexed(definition))),
    ]);
    let referring: Vec<String> = definition.policy.references.keys().cloned().collect();
    if !referring.is_empty() {
        parts.insert("references".into(), list(&referring));
    }
    json::write(&parts)
}

/// The properties that are columns: named ones, identity and indexed, once each; the three fixed ones come first.
fn columns(definition: &CollectionDefinition) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    for name in definition.columns.iter().chain(definition.policy.identity.iter().flatten()).chain(&definition.index) {
        let taken = ["id", "seq", "data"].into_iter().chain(columns.iter().map(String::as_str));
        // SQLite's column names do not tell cases apart.
        if !taken.into_iter().any(|other| other.eq_ignore_ascii_case(name)) {
            columns.push(name.clone());
        }
    }
    columns
}

/// The properties that have an index: those that were asked for, and those by which a new row looks for its record, one for each
/// alternative. Without them a first sync would read all records for each row.
fn indexed(definition: &CollectionDefinition) -> Vec<String> {
    let mut indexed = definition.index.clone();
    for first in definition.policy.identity.iter().filter_map(|names| names.first()) {
        if !indexed.contains(first) {
            indexed.push(first.clone());
        }
    }
    // By what refers, children are found: when their parent is deleted, and when it comes.
    let referring = definition.policy.references.keys().filter(|name| !indexed.contains(name)).cloned().collect::<Vec<_>>();
    indexed.extend(referring);
    indexed
}

/// The index by which a record is found by the first property of an alternative of its identity; none: it has no such one.
pub(super) fn identity_index(number: i64, definition: &CollectionDefinition, first: &str) -> Option<String> {
    indexed(definition).iter().position(|name| name == first).map(|at| index_name(number, at))
}

fn publish(tx: &Tx<'_>, number: i64, definition: &CollectionDefinition) -> Result<(), StoreError> {
    let mut view = format!("CREATE VIEW {} AS SELECT id, seq, data", quoted(&definition.name));
    for column in columns(definition) {
        view.push_str(&format!(", {} AS {}", extract(&column), quoted(&column)));
    }
    view.push_str(&format!(" FROM m_record WHERE {}", live(number)));
    tx.conn.execute_batch(&view)?;
    for (at, property) in indexed(definition).iter().enumerate() {
        tx.conn.execute_batch(&format!(
            "CREATE INDEX {} ON m_record ({}, id) WHERE {}",
            index_name(number, at),
            extract(property),
            live(number)
        ))?;
    }
    for (at, property) in definition.policy.references.keys().enumerate() {
        tx.conn.execute_batch(&format!(
            "CREATE INDEX {} ON m_record (record) WHERE {} AND {}",
            index_name(number, indexed(definition).len() + at),
            live(number),
            listed(property)
        ))?;
    }
    Ok(())
}

/// The indexes by which those that refer with a property are found: single references, and lists of them.
pub(super) fn reference_indexes(number: i64, definition: &CollectionDefinition, property: &str) -> Option<[String; 2]> {
    let indexed = indexed(definition);
    let single = indexed.iter().position(|name| name == property)?;
    let list = definition.policy.references.keys().position(|name| name == property)?;
    Some([index_name(number, single), index_name(number, indexed.len() + list)])
}

/// The property is a list, in the words of the index of those: most are none, and who looks into lists looks at no other record.
pub(super) fn listed(property: &str) -> String {
    format!("json_type(data, {}) = 'array'", literal(&path(property)))
}

fn unpublish(tx: &Tx<'_>, number: i64, name: &str) -> Result<(), StoreError> {
    tx.conn.execute_batch(&format!("DROP VIEW IF EXISTS {}", quoted(name)))?;
    let mut statement = tx.conn.prepare("SELECT name FROM sqlite_master WHERE type = 'index' AND name GLOB ?1")?;
    let names: Vec<String> = statement.query_map([format!("m_by_{number}_*")], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for name in names {
        tx.conn.execute_batch(&format!("DROP INDEX {}", quoted(&name)))?;
    }
    Ok(())
}

/// Takes every view and index down, of tables that are about to change; the next [`define`] publishes them anew.
pub(super) fn unpublish_all(conn: &Connection) -> Result<(), StoreError> {
    let mut statement =
        conn.prepare("SELECT type, name FROM sqlite_master WHERE type = 'view' OR (type = 'index' AND name GLOB 'm_by_*')")?;
    let published: Vec<(String, String)> =
        statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (kind, name) in published {
        conn.execute_batch(&format!("DROP {kind} {}", quoted(&name)))?;
    }
    conn.execute("UPDATE m_collection SET definition = ''", ())?;
    Ok(())
}

fn index_name(number: i64, at: usize) -> String {
    format!("m_by_{number}_{at}")
}

/// The rows of a collection that are there, in the words of its indexes: only the same words make SQLite use them.
pub(super) fn live(number: i64) -> String {
    format!("collection = {number} AND state = 0")
}

/// A property's value, in the words of the indexes.
pub(super) fn extract(property: &str) -> String {
    format!("json_extract(data, {})", literal(&path(property)))
}

/// SQLite's path to a property of the record itself, whatever its name.
pub(super) fn path(property: &str) -> String {
    format!("$.{}", json::write_value(&Value::Text(property.to_owned())))
}

/// An SQL text.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
