//! Owns: what SQLite itself can tell: pages, indexes, the shape of tables, rows that point at nothing, what is published. Must never know:
//! what the rows mean.

use std::{collections::BTreeMap, sync::OnceLock};

use mingle_core::record::Value;
use rusqlite::{Connection, OptionalExtension};

use super::Notes;
use crate::{
    json,
    store::{
        error::StoreError,
        ids::{Ids, Maker},
        limits, open,
    },
};

pub(super) fn check(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    pages(conn, notes)?;
    schema(conn, notes)?;
    pointers(conn, notes)?;
    store(conn, notes)?;
    published(conn, notes)
}

/// Every page, and every index against its table.
fn pages(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    let mut statement = conn.prepare(&format!("PRAGMA integrity_check({})", limits::FINDINGS_PER_RULE_MAX))?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let told: String = row.get(0)?;
        if told != "ok" {
            notes.note("file", "store", told);
        }
    }
    Ok(())
}

/// Tables by their columns, indexes by their words: a table that an upgrade made anew has other words.
fn shape(conn: &Connection) -> Result<BTreeMap<String, String>, StoreError> {
    let mut statement = conn.prepare(
        "SELECT type || ' ' || name, CASE type WHEN 'index' THEN coalesce(sql, '') ELSE
           (SELECT group_concat(i.name || ' ' || i.type || ' ' || i.\"notnull\" || ' ' || i.pk, ', ') FROM pragma_table_info(m.name) i) END
         FROM sqlite_master m WHERE type IN ('table', 'index') AND name GLOB 'm_*' AND name NOT GLOB 'm_by_*'",
    )?;
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn schema(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    static OURS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    if OURS.get().is_none() {
        let made = shape(&open::in_memory(&mut Maker::new(Ids::Seeded(0)))?.conn)?;
        OURS.get_or_init(|| made);
    }
    let theirs = shape(conn)?;
    for (name, words) in OURS.get().into_iter().flatten() {
        match theirs.get(name) {
            None => notes.note("schema", name, "it is not there"),
            Some(other) if other != words => notes.note("schema", name, "it has another form than this mingle's"),
            Some(_) => {}
        }
    }
    Ok(())
}

fn pointers(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    let mut statement = conn.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (table, number, parent): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let number = number.unwrap_or_default();
        notes.note("pointer", format!("{table} row {number}"), format!("it points at a row of {parent} that is not there"));
    }
    Ok(())
}

fn store(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    let row = conn
        .query_row(
            "SELECT instance, horizon, ledger_looked, coalesce((SELECT max(seq) FROM m_ledger), 0), stopped FROM m_store",
            (),
            |row| {
                Ok((
                    row.get::<_, String>(0)?,
                    [row.get::<_, i64>(1)?, row.get(2)?],
                    row.get::<_, i64>(3)?,
                    row.get::<_, Option<String>>(4)?,
                ))
            },
        )
        .optional()?;
    let Some((instance, horizons, newest, stopped)) = row else {
        notes.note("store", "m_store", "the row that says which store this is is not there");
        return Ok(());
    };
    if instance.is_empty() {
        notes.note("store", "m_store", "it has no instance");
    }
    let [horizon, looked] = horizons;
    if horizon < 0 || looked < 0 || looked > newest.max(horizon) {
        notes.note("store", "m_store", "a horizon lies beyond the highest seq");
    }
    let mut statement = conn.prepare("SELECT name, horizon, ledger_horizon FROM m_collection")?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (name, [purged, rows_gone]): (String, [i64; 2]) = (row.get(0)?, [row.get(1)?, row.get(2)?]);
        if !(0..=horizon).contains(&purged) {
            notes.note("store", &name, format!("it threw away up to seq {purged}, and the whole store up to {horizon}"));
        }
        if !(0..=newest.max(horizon)).contains(&rows_gone) {
            notes.note("store", &name, "the horizon of its history lies beyond the highest seq");
        }
    }
    if stopped.is_some_and(|text| json::parse_object(&text).is_err()) {
        notes.note("store", "m_store", "the mark of a stop does not read");
    }
    Ok(())
}

/// Each collection that is configured has its view, and its indexes.
fn published(conn: &Connection, notes: &mut Notes) -> Result<(), StoreError> {
    let mut statement = conn.prepare(
        "SELECT collection, name, definition, EXISTS (SELECT 1 FROM sqlite_master v WHERE v.type = 'view' AND v.name = c.name),
           (SELECT count(*) FROM sqlite_master i WHERE i.type = 'index' AND i.name GLOB 'm_by_' || c.collection || '_*')
         FROM m_collection c",
    )?;
    let mut rows = statement.query(())?;
    while let Some(row) = rows.next()? {
        let (name, definition): (String, String) = (row.get(1)?, row.get(2)?);
        // It left the configuration, or the store was brought to this schema and no daemon has started since.
        if definition.is_empty() || definition == "null" {
            continue;
        }
        let Ok(definition) = json::parse_object(&definition) else {
            notes.note("published", &name, "its definition does not read");
            continue;
        };
        let listed = |part: &str| match definition.get(part) {
            Some(Value::List(names)) => names.len(),
            _ => 0,
        };
        let wanted = listed("index") + listed("references");
        if !row.get::<_, bool>(3)? {
            notes.note("published", &name, "the view that apps read is not there");
        }
        if row.get::<_, u64>(4)? != wanted as u64 {
            notes.note("published", &name, "not all of its indexes are there");
        }
    }
    Ok(())
}
