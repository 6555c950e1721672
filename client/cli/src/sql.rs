//! Owns: `mingle sql` and `mingle export`: what is read from the store's file, without the daemon. Must never know: base tables.

use std::{path::PathBuf, time::Duration};

use mingle_client::reader::{Cell, ReadError, Reader};
use serde_json::{Map, Value, json};

use crate::{
    at::At,
    exit::{Exit, Failure},
    program,
    table::Table,
    words::plain,
};

/// Ask the published views a question in SQL; without a question, list them.
///
/// Reads only, one state of the store, without the daemon. A view has the name of its collection, and the columns id, seq, data and those
/// that the configuration names.
#[derive(Debug, clap::Args)]
pub struct Sql {
    /// One SELECT.
    query: Option<String>,
    /// How long it may take: meanwhile the store's log cannot be folded back.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = crate::words::duration)]
    within: Duration,
}

/// Print records as lines of JSON: collection, id, seq, data; all of one moment.
#[derive(Debug, clap::Args)]
pub struct Export {
    /// These collections; all where left out.
    collections: Vec<String>,
}

/// A whole store of a million records takes about a minute to print.
const EXPORT_WITHIN: Duration = Duration::from_secs(600);

fn open() -> Result<Reader, Failure> {
    let path = program::output(&["places".into(), "store".into()])?;
    Reader::open(&PathBuf::from(path.trim_end())).map_err(|error| not_read(&error))
}

fn not_read(error: &ReadError) -> Failure {
    let (exit, hint) = match error {
        ReadError::NoStore(_) => (Exit::Failed, "mingled makes it at its first start"),
        ReadError::TooLong(_) => (Exit::Timeout, "ask for less, or give it longer with --within"),
        ReadError::NotPublished(_) => (Exit::NoPermission, "`mingle sql` lists the views; nothing can be written"),
        ReadError::Old(_) | ReadError::Sql(_) => (Exit::Failed, "`mingle sql` lists the views and their columns"),
    };
    Failure::said(exit, error.to_string(), hint)
}

impl Sql {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let mut reader = open()?.within(self.within);
        let Some(query) = self.query else { return list(at, &mut reader) };
        let json = at.json;
        let (mut rows, mut lines) = (Vec::new(), Vec::new());
        let names = reader
            .snapshot(|now| {
                now.cells(&query, |names, row| {
                    if json {
                        lines.push(object(names, row));
                    } else {
                        rows.push(row.into_iter().map(shown).collect());
                    }
                    Ok(())
                })
            })
            .map_err(|error| not_read(&error))?;
        for line in lines {
            at.line(&line)?;
        }
        if !json {
            let heading: Vec<&str> = names.iter().map(String::as_str).collect();
            let mut table = Table::new(&heading);
            rows.into_iter().for_each(|row| table.cells(row));
            at.text(&table.text())?;
        }
        Ok(Exit::Done)
    }
}

fn list(at: &mut At, reader: &mut Reader) -> Result<Exit, Failure> {
    let views = reader.views().map_err(|error| not_read(&error))?;
    if at.json {
        for view in &views {
            at.line(&json!({ "view": view.name, "columns": view.columns }).to_string())?;
        }
        return Ok(Exit::Done);
    }
    let mut table = Table::new(&["VIEW", "COLUMNS"]);
    for view in &views {
        table.row([view.name.clone(), view.columns.join(", ")]);
    }
    at.text(&table.text())?;
    Ok(Exit::Done)
}

impl Export {
    pub fn run(self, at: &mut At) -> Result<Exit, Failure> {
        let mut reader = open()?.within(EXPORT_WITHIN);
        let known: Vec<String> = reader.views().map_err(|error| not_read(&error))?.into_iter().map(|view| view.name).collect();
        if let Some(unknown) = self.collections.iter().find(|name| !known.contains(name)) {
            let hint = format!("the collections are {}", known.join(", "));
            return Err(Failure::said(Exit::Failed, format!("no collection {unknown:?}"), hint));
        }
        let wanted = if self.collections.is_empty() { known } else { self.collections };
        // What stops us in the middle: nobody reads any more.
        let mut unread = None;
        let done = reader.snapshot(|now| {
            for name in &wanted {
                let view = format!("\"{}\"", name.replace('"', "\"\""));
                now.cells(&format!("SELECT id, seq, data FROM {view} ORDER BY id"), |_, row| {
                    let [Cell::Text(id), Cell::Integer(seq), Cell::Text(data)] = row.as_slice() else { return Ok(()) };
                    // The record's text goes out as it is: numbers keep their written form.
                    let line = format!("{{\"collection\":{},\"id\":{},\"seq\":{seq},\"data\":{data}}}", json!(name), json!(id));
                    at.line(&line).map_err(|failure| {
                        unread = Some(failure);
                        ReadError::TooLong(EXPORT_WITHIN)
                    })
                })?;
            }
            Ok(())
        });
        match (unread, done) {
            (Some(failure), _) => Err(failure),
            (None, Err(error)) => Err(not_read(&error)),
            (None, Ok(())) => Ok(Exit::Done),
        }
    }
}

fn shown(cell: Cell) -> String {
    match cell {
        Cell::Null => String::new(),
        Cell::Integer(number) => number.to_string(),
        Cell::Real(number) => number.to_string(),
        Cell::Text(text) => plain(&text),
        Cell::Blob(bytes) => hex(&bytes),
    }
}

fn object(names: &[String], row: Vec<Cell>) -> String {
    let value = |cell| match cell {
        Cell::Null => Value::Null,
        Cell::Integer(number) => json!(number),
        Cell::Real(number) => json!(number),
        Cell::Text(text) => Value::String(text),
        Cell::Blob(bytes) => Value::String(hex(&bytes)),
    };
    Value::Object(names.iter().cloned().zip(row.into_iter().map(value)).collect::<Map<_, _>>()).to_string()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
