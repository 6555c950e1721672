//! Owns: what was acknowledged, by whom, over what; and whether the end accounts for it. Must never know: how anything is merged.
//!
//! A value is written once, so an edit is known by its value. It is accounted for if it is current, if somebody who had seen it wrote
//! over it, or if a conflict names it. That an app had seen it is what the store's own ledger says: apps write one after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use rusqlite::Connection;
use serde_json::{Map, Value};

/// Who edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// An app.
    App,
    /// The user at the service.
    Far,
}

/// A property written, and acknowledged.
#[derive(Clone, Debug)]
struct Edit {
    #[expect(dead_code, reason = "who loses something is told by Debug")]
    who: Who,
    id: String,
    property: String,
    value: String,
}

/// Everything that was acknowledged.
#[derive(Default)]
pub struct History {
    edits: Vec<Edit>,
    deletes: Vec<(Who, String)>,
    /// Values that their successor's author, or who deleted the record, had seen at the service.
    seen: BTreeSet<String>,
}

/// What the store says at the end.
pub struct Told {
    /// What became of each record, in words.
    ledger: BTreeMap<String, Vec<String>>,
    /// Values that an app wrote over, or deleted with their record.
    by_apps: BTreeSet<String>,
    /// Values that a sync replaced.
    by_syncs: BTreeSet<String>,
    /// The text of each conflict: its record and its property, and all its values.
    conflicts: Vec<(String, Option<String>, String)>,
    /// How many.
    pub conflicted: usize,
}

impl Told {
    /// Reads a store that nobody has open any more.
    pub fn by(store: &Path) -> rusqlite::Result<Self> {
        let conn = Connection::open(store)?;
        let (mut by_apps, mut by_syncs) = (BTreeSet::new(), BTreeSet::new());
        let mut ledger = BTreeMap::<String, Vec<String>>::new();
        let mut rows = conn.prepare(
            "SELECT r.id, l.seq, l.at, l.origin, coalesce(l.before, '') FROM m_ledger l JOIN m_record r USING (record) ORDER BY l.seq",
        )?;
        let texts = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?));
        for row in rows.query_map((), texts)? {
            let (id, seq, at, origin, before): (String, i64, i64, String, String) = row?;
            ledger.entry(id).or_default().push(format!("{seq} at {at} by {origin}, before: {before}"));
            let before: BTreeMap<String, Vec<Value>> = serde_json::from_str(&before).unwrap_or_default();
            let values = before.into_values().flatten().filter_map(|value| value.as_str().map(str::to_owned));
            if origin.starts_with("app:") { by_apps.extend(values) } else { by_syncs.extend(values) }
        }
        let mut rows = conn.prepare(
            "SELECT r.id, c.property, coalesce(c.agreed, '') || coalesce(c.truth, '') || coalesce(c.theirs, '')
             FROM m_conflict c JOIN m_record r USING (record)",
        )?;
        let conflicts = rows.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let conflicts: Vec<(String, Option<String>, String)> = conflicts.collect::<rusqlite::Result<_>>()?;
        Ok(Self { ledger, by_apps, by_syncs, conflicted: conflicts.len(), conflicts })
    }

    /// What became of a record, for whoever looks into a failure.
    pub fn of(&self, id: &str) -> String {
        let conflicts = self.conflicts.iter().filter(|(of, ..)| of == id).map(|conflict| format!("{conflict:?}"));
        self.ledger.get(id).into_iter().flatten().cloned().chain(conflicts).collect::<Vec<_>>().join("\n  ")
    }

    fn names(&self, edit: &Edit) -> bool {
        let value = format!("\"{}\"", edit.value);
        self.conflicts.iter().any(|(id, property, text)| {
            *id == edit.id && property.as_ref().is_none_or(|property| *property == edit.property) && text.contains(&value)
        })
    }
}

impl History {
    /// A property was written over what its author saw there.
    pub fn wrote(&mut self, who: Who, id: &str, property: &str, value: &str, over: Option<&str>) {
        self.seen.extend(over.map(str::to_owned));
        self.edits.push(Edit { who, id: id.into(), property: property.into(), value: value.into() });
    }

    /// A record was deleted by somebody who saw this of it.
    pub fn deleted(&mut self, who: Who, id: &str, saw: &Map<String, Value>) {
        self.seen.extend(saw.values().filter_map(|value| value.as_str().map(str::to_owned)));
        self.deletes.push((who, id.into()));
    }

    /// A line of an app's.
    pub fn heard(&mut self, line: &Value) {
        let Some(id) = line["id"].as_str() else { return };
        match (line["property"].as_str(), line["value"].as_str()) {
            (Some(property), Some(value)) => self.wrote(Who::App, id, property, value, None),
            _ => self.deleted(Who::App, id, &Map::new()),
        }
    }

    /// What somebody wrote down apart.
    pub fn take(&mut self, other: Self) {
        self.edits.extend(other.edits);
        self.deletes.extend(other.deletes);
        self.seen.extend(other.seen);
    }

    /// How many edits and deletes were acknowledged.
    pub fn len(&self) -> usize {
        self.edits.len() + self.deletes.len()
    }

    /// Everything that the end does not account for, in words. `made_again`: records of which the service took a second create. That
    /// the first arrived, its answer was lost, and the user there deleted it before the daemon looked, nobody can tell.
    pub fn unaccounted(&self, truth: &BTreeMap<String, Value>, told: &Told, made_again: &BTreeSet<String>) -> Vec<String> {
        let mut wrong = Vec::new();
        for edit in &self.edits {
            let current = truth.get(&edit.id).is_some_and(|record| record[&edit.property] == edit.value.as_str());
            let seen = self.seen.contains(&edit.value) || told.by_apps.contains(&edit.value);
            if !(current || seen || told.names(edit)) {
                let by_sync =
                    if told.by_syncs.contains(&edit.value) { "a sync replaced it unrecorded" } else { "no trace of it" };
                let now = truth.get(&edit.id).map(|record| record[&edit.property].clone());
                wrong.push(format!("lost: {edit:?}, {by_sync}; now {now:?}\n  {}", told.of(&edit.id)));
            }
        }
        for (who, id) in &self.deletes {
            let named = told.conflicts.iter().any(|(of, property, _)| of == id && property.is_none());
            let untold = *who == Who::Far && made_again.contains(id);
            if truth.contains_key(id) && !named && !untold {
                wrong.push(format!("resurrected: {who:?} deleted {id}, and it is {}\n  {}", truth[id], told.of(id)));
            }
        }
        wrong
    }
}
