//! Owns: taking changes back: which the ledger has, page by page, and writing what is left. Must never know: who asks, and whether they may.
//!
//! Which changes are meant is looked up on a read connection; the writer gets the records of one page, reads each anew and lets the core
//! decide on what it is then.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::{
    ask::{Past, Refusal, Scope, Undo, UndoPage, UndoRow, Undone, Writer, WrittenOne},
    policy::Policy,
    record::Value,
    time::Timestamp,
    undo::{Before, Change, undo as take_back},
};
use rusqlite::{Connection, OptionalExtension, types::Value as Bound};

use super::{
    alias, children,
    cursor::Cursor,
    decide::once_all,
    error::StoreError,
    limits,
    reader::Reader,
    record::{self, Held},
    tx::{Origin, Tx},
    write::{not_there, writable},
};
use crate::json;

/// The records of one page, each with the changes of it that are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    records: Vec<(i64, BTreeSet<u64>)>,
    cursor: Option<String>,
}

/// Looks up which changes are meant.
///
/// # Errors
/// `invalid` where nothing says which; `not_found` for a collection, record or run that is not there; `stale` for a cursor of elsewhere.
pub fn choose(reader: &Reader<'_>, asked: &Undo) -> Result<Chosen, StoreError> {
    let (mut sql, mut bound) = (
        String::from(
            "SELECT l.record, l.seq FROM m_ledger l JOIN m_record r ON r.record = l.record
         WHERE NOT EXISTS (SELECT 1 FROM m_alias a WHERE a.alias = l.record OR (a.record = l.record AND a.seq = l.seq))",
        ),
        Vec::new(),
    );
    let mut also = |clause: &str, value: Bound| {
        bound.push(value);
        sql.push_str(&clause.replace('?', &format!("?{}", bound.len())));
    };
    let by = asked.app.is_some() || asked.sync.is_some() || asked.run.is_some() || asked.since.is_some();
    match (&asked.id, &asked.scope) {
        (Some(id), Scope::Only(names)) if names.len() == 1 => {
            let number = reader.defined(&names[0])?.number;
            let held = alias::find(reader, number, id)?.ok_or_else(|| not_there(&names[0], id))?;
            also(" AND l.record = ?", Bound::Integer(held.record));
            let seq = asked.seq.or((!by).then_some(held.seq));
            if let Some(seq) = seq
                && alias::took_over(reader, held.record, seq)?
            {
                let told =
                    format!("{}/{}: the change at seq {seq} made two records one, which is not taken back", names[0], held.id);
                return Err(Refusal::Unsupported(told).into());
            }
            if asked.seq.is_none() && !by {
                also(" AND l.seq = ?", integer(held.seq));
            }
        }
        (Some(_), _) => {
            return Err(Refusal::Invalid("an id is that of one collection".into(), Some("name the collection too".into())).into());
        }
        (None, _) if asked.seq.is_none() && !by => {
            return Err(Refusal::Invalid(
                "nothing says which changes are to be undone".into(),
                Some("name a record, a seq, an app, a sync, a run, or a time since when".into()),
            )
            .into());
        }
        (None, Scope::Only(names)) => {
            for name in names {
                reader.defined(name)?;
            }
        }
        (None, Scope::All) => {}
    }
    if let Some(seq) = asked.seq {
        also(" AND l.seq = ?", integer(seq));
    }
    if let Some(app) = &asked.app {
        also(" AND l.origin = ?", Bound::Text(Origin::App(app.clone()).to_string()));
    }
    if let Some(sync) = &asked.sync {
        also(" AND l.origin = ?", Bound::Text(Origin::Sync(sync.clone()).to_string()));
    }
    if let Some(run) = &asked.run {
        // Runs of one sync never overlap, and only they write in its name.
        let (sync, began, ended) = find_run(reader, run)?;
        also(" AND l.origin = ?", Bound::Text(Origin::Sync(sync).to_string()));
        also(" AND l.at >= ?", Bound::Integer(began));
        also(" AND l.at <= ?", Bound::Integer(ended.unwrap_or(i64::MAX)));
    }
    if let Some(since) = asked.since {
        also(" AND l.at >= ?", Bound::Integer(since.unix_ms()));
    }
    if let Some(until) = asked.until {
        also(" AND l.at <= ?", Bound::Integer(until.unix_ms()));
    }
    let question = question(asked);
    if let Some(cursor) = &asked.cursor {
        let Cursor { mut keys } = Cursor::parse(cursor, reader.instance(), question.as_bytes())?;
        also(" AND l.record > ?", keys.pop().unwrap_or(Bound::Null));
    }
    let numbers: Vec<String> = reader
        .definitions()
        .all()
        .filter(|collection| asked.scope.has(&collection.definition.name))
        .map(|collection| collection.number.to_string())
        .collect();
    sql.push_str(&format!(" AND r.collection IN ({}) ORDER BY l.record, l.seq", numbers.join(", ")));
    let mut statement = reader.prepare(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(bound))?;
    let mut chosen = Chosen::default();
    while let Some(row) = rows.next()? {
        let (record, seq): (i64, u64) = (row.get(0)?, row.get(1)?);
        let full = chosen.records.len() == limits::UNDO_RECORDS_MAX;
        match chosen.records.last_mut() {
            Some((last, seqs)) if *last == record => {
                seqs.insert(seq);
            }
            Some((last, _)) if full => {
                chosen.cursor = Some(behind(reader, *last, &question));
                break;
            }
            _ => chosen.records.push((record, BTreeSet::from([seq]))),
        }
    }
    Ok(chosen)
}

/// What a cursor belongs to: its pages may be asked for with or without force.
fn question(asked: &Undo) -> String {
    format!("undo {:?}", Undo { cursor: None, force: false, ..asked.clone() })
}

/// The cursor of the page behind this record.
fn behind(reader: &Reader<'_>, record: i64, question: &str) -> String {
    Cursor { keys: vec![Bound::Integer(record)] }.text(reader.instance(), question.as_bytes())
}

fn integer(seq: u64) -> Bound {
    Bound::Integer(i64::try_from(seq).unwrap_or(i64::MAX))
}

fn find_run(reader: &Reader<'_>, run: &str) -> Result<(String, i64, Option<i64>), StoreError> {
    let found = reader
        .prepare_cached("SELECT sync, started, ended FROM m_run WHERE id = ?1")?
        .query_row([run], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    found.ok_or_else(|| Refusal::NotFound(format!("no run {run:?}"), Some("`mingle history` shows the runs".into())).into())
}

/// A record, and what taking its changes back makes of it.
struct Looked {
    held: Held,
    undone: mingle_core::undo::Undone,
    pasts: BTreeMap<u64, Past>,
}

fn look(
    conn: &Connection,
    record: i64,
    chosen: &BTreeSet<u64>,
    force: bool,
    policy: impl Fn(&Held) -> Policy,
) -> Result<Option<Looked>, StoreError> {
    let Some(held) = record::by_row(conn, record)? else { return Ok(None) };
    let mut statement =
        conn.prepare_cached("SELECT seq, origin, at, before FROM m_ledger WHERE record = ?1 ORDER BY seq DESC")?;
    let mut rows = statement.query([record])?;
    let (mut changes, mut pasts) = (Vec::new(), BTreeMap::new());
    while let Some(row) = rows.next()? {
        let seq: u64 = row.get(0)?;
        let before: Option<String> = row.get(3)?;
        let before = match before {
            None => Before::NotThere,
            Some(text) => Before::Was(old_values(&text)?),
        };
        changes.push(Change { seq, chosen: chosen.contains(&seq), before });
        pasts.insert(seq, Past { seq, origin: row.get(1)?, at: Timestamp::from_unix_ms(row.get(2)?) });
    }
    let undone = take_back(held.props()?.as_ref(), &changes, force, &policy(&held));
    Ok(Some(Looked { held, undone, pasts }))
}

fn old_values(text: &str) -> Result<BTreeMap<String, Option<Value>>, StoreError> {
    let old = record::props(text)?.into_iter().map(|(name, old)| match old {
        Value::List(mut old) => Ok((name, old.pop())),
        _ => Err(StoreError::Corrupt("a ledger row is not in its form".into())),
    });
    old.collect()
}

impl Looked {
    /// What is done, or left as it is. `with_values`: also from what to what.
    fn rows(&self, collection: &str, with_values: bool, only_left: bool) -> impl Iterator<Item = UndoRow> {
        let text = move |value: &Option<Value>| value.as_ref().filter(|_| with_values).map(json::write_value);
        self.undone.moves.iter().filter(move |one| !only_left || one.later.is_some()).map(move |one| UndoRow {
            collection: collection.to_owned(),
            id: self.held.id.clone(),
            property: one.property.clone(),
            from: text(&one.from),
            to: text(&one.to),
            seq: one.seq,
            later: one.later.and_then(|seq| self.pasts.get(&seq).cloned()),
        })
    }
}

/// What taking these changes back would do; changes nothing.
///
/// # Errors
/// As [`choose`]; `read_only` where apps may not write what is meant.
pub fn preview(reader: &Reader<'_>, asked: &Undo) -> Result<UndoPage, StoreError> {
    let chosen = choose(reader, asked)?;
    let (mut page, mut bytes) = (UndoPage { rows: Vec::new(), cursor: chosen.cursor }, 0);
    for (at, (record, seqs)) in chosen.records.iter().enumerate() {
        let policy = |held: &Held| {
            reader.definitions().numbered(held.collection).map(|one| one.definition.policy.clone()).unwrap_or_default()
        };
        let Some(looked) = look(reader, *record, seqs, asked.force, policy)? else { continue };
        let Some(collection) = reader.definitions().numbered(looked.held.collection) else { continue };
        let rows: Vec<UndoRow> = looked.rows(&collection.definition.name, true, false).collect();
        if collection.definition.read_only && !rows.is_empty() {
            return Err(read_only(&collection.definition.name).into());
        }
        bytes += rows
            .iter()
            .map(|row| row.from.as_ref().map_or(0, String::len) + row.to.as_ref().map_or(0, String::len) + 128)
            .sum::<usize>();
        page.rows.extend(rows);
        if bytes > limits::UNDO_BYTES_MAX && at + 1 < chosen.records.len() {
            page.cursor = Some(behind(reader, *record, &question(asked)));
            break;
        }
    }
    Ok(page)
}

fn read_only(name: &str) -> Refusal {
    Refusal::ReadOnly(format!("{name} takes no writes: its syncs only bring down, and would bring what is undone again"))
}

/// Takes one page of changes back, all of it or nothing; what has changed since is left, and named. A write like any other.
///
/// # Errors
/// `read_only`, `too_large`, and those of an op.
pub fn undo(tx: &mut Tx<'_>, writer: &Writer, asked: &Undo, chosen: &Chosen) -> Result<Undone, StoreError> {
    let request = format!("undo {asked:?}");
    let mut left = UndoPage { rows: Vec::new(), cursor: chosen.cursor.clone() };
    let written = once_all(tx, writer, &request, |tx, origin| {
        let mut done = Vec::new();
        for (record, seqs) in &chosen.records {
            let definitions = std::sync::Arc::clone(tx.definitions());
            let policy =
                |held: &Held| definitions.numbered(held.collection).map(|one| one.definition.policy.clone()).unwrap_or_default();
            let Some(looked) = look(tx.conn(), *record, seqs, asked.force, policy)? else { continue };
            let Some(collection) = definitions.numbered(looked.held.collection) else { continue };
            let name = &collection.definition.name;
            left.rows.extend(looked.rows(name, false, true));
            if looked.undone.moves.iter().all(|one| one.later.is_some()) {
                continue;
            }
            writable(tx, name).map_err(|_| read_only(name))?;
            let mut truth = looked.undone.truth.clone();
            if let Some(props) = &mut truth {
                alias::rename(tx.conn(), &definitions, &collection.definition.policy.references, props)?;
            }
            let text = truth.as_ref().map(json::write);
            if text.as_ref().is_some_and(|text| text.len() > limits::RECORD_BYTES_MAX) {
                return Err(Refusal::TooLarge(format!(
                    "{:?} would have more than {} bytes",
                    looked.held.id,
                    limits::RECORD_BYTES_MAX
                ))
                .into());
            }
            if text.is_none() {
                children::may_be_deleted(tx, &looked.held)?;
            }
            let before = looked.held.seq;
            let seq = record::change(tx, &looked.held, text.as_deref(), origin)?;
            if seq != before {
                done.push((*record, WrittenOne { id: looked.held.id, seq }));
            }
        }
        Ok(done)
    })?;
    let collections = written.writes.iter().map(|one| collection_at(tx, one.seq)).collect::<Result<_, _>>()?;
    Ok(Undone { written, collections, left })
}

/// The collection of the record that this seq changed: a kept answer does not say it.
fn collection_at(tx: &Tx<'_>, seq: u64) -> Result<String, StoreError> {
    let name: Option<String> = tx
        .conn()
        .prepare_cached(
            "SELECT c.name FROM m_ledger l JOIN m_record r ON r.record = l.record JOIN m_collection c USING (collection) WHERE l.seq = ?1",
        )?
        .query_row([seq], |row| row.get(0))
        .optional()?;
    Ok(name.unwrap_or_default())
}

#[cfg(test)]
mod tests;
