//! Owns: conflicts of the past under another merge rule: each is read, put to the core and counted. Must never know: how a rule decides.

use std::time::Duration;

use mingle_core::{
    ask::{Replayed, Which},
    policy::{Merge, Policy},
    record::Value,
    replay::{Kept, Other, Tally, Would, replay},
};
use rusqlite::params_from_iter;

use super::{definitions::Definitions, error::StoreError, history, limits, reader::Reader};
use crate::json;

/// Conflicts, newest first, with what `rule` would have made of each; with the first page, of how many of all. Nothing changes.
/// `elapsed`: since it was asked. A page may be shorter for it, and the count may stop at the newest.
///
/// # Errors
/// As [`history::conflicts`].
pub fn conflicts_under(
    reader: &Reader<'_>,
    which: &Which,
    rule: Merge,
    elapsed: impl Fn() -> Duration,
) -> Result<Replayed, StoreError> {
    let counts = || elapsed() >= limits::REPLAYED_WITHIN;
    let tally = if which.cursor.is_none() { Some(tally(reader, which, rule, counts)?) } else { None };
    let page = history::conflicts(reader, which)?;
    let (mut rows, mut cursor) = (Vec::new(), page.cursor);
    for row in page.rows {
        if !rows.is_empty() && elapsed() >= limits::REPLAYED_PAGE_WITHIN {
            cursor = history::conflicts(reader, &Which { limit: rows.len(), ..which.clone() })?.cursor;
            break;
        }
        let would = match row.property {
            Some(_) => {
                let sides = [row.agreed.as_deref(), row.truth.as_deref(), row.theirs.as_deref()];
                let policy = &reader.defined(&row.collection)?.definition.policy;
                Some(would(sides, row.other, rule, policy)?.map(|value| json::write_value(&value)))
            }
            None => None,
        };
        rows.push((row, would));
    }
    Ok(Replayed { rows, cursor, tally })
}

/// Counts, from the newest on, until there was enough of it.
fn tally(reader: &Reader<'_>, which: &Which, rule: Merge, enough: impl Fn() -> bool) -> Result<Tally, StoreError> {
    let (those, bound) = history::those(reader, which)?;
    let mut statement = reader.prepare_cached(&format!(
        "SELECT r.collection, c.agreed, c.truth, c.theirs, c.replica, c.link IS NULL {those} AND c.property IS NOT NULL
         ORDER BY c.conflict DESC"
    ))?;
    let mut rows = statement.query(params_from_iter(bound))?;
    let mut tally = Tally::default();
    while let Some(row) = rows.next()? {
        if tally.of == limits::REPLAYED_MAX || tally.of > 0 && enough() {
            tally.more = true;
            break;
        }
        let mut sides = [None; 3];
        for (at, side) in sides.iter_mut().enumerate() {
            *side = row.get_ref(at + 1)?.as_str_or_null().map_err(rusqlite::Error::from)?;
        }
        let replica: String = row.get(4)?;
        let other = history::other(&replica, row.get(5)?);
        tally.add(&would(sides, other, rule, policy(reader.definitions(), row.get(0)?)?)?);
    }
    Ok(tally)
}

fn policy(definitions: &Definitions, collection: i64) -> Result<&Policy, StoreError> {
    let defined = definitions.numbered(collection).map(|collection| &collection.definition.policy);
    defined.ok_or_else(|| StoreError::Corrupt(format!("collection {collection} is listed and not defined")))
}

/// Of one conflict; `sides`: agreed, truth and theirs, as JSON text.
fn would(sides: [Option<&str>; 3], other: Other, rule: Merge, policy: &Policy) -> Result<Would<Value>, StoreError> {
    let read = |text: Option<&str>| -> Result<Option<Value>, StoreError> {
        let value = text.map(json::parse).transpose();
        value.map_err(|error| StoreError::Corrupt(format!("a conflict's value is no JSON: {error}")))
    };
    let [agreed, truth, theirs] = sides.map(read);
    let (agreed, truth, theirs) = (agreed?, truth?, theirs?);
    Ok(replay(&Kept { agreed: agreed.as_ref(), truth: truth.as_ref(), theirs: theirs.as_ref(), other }, rule, policy))
}

#[cfg(test)]
mod tests;
