//! Owns: finding everything that keeps a table of a file from being read as a type, where its reader stops at the first. Must never
//! know: any type.
//!
//! What is wrong is taken out, and the rest is read again. That something is missing then where it was taken out is no mistake.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

/// More than these are not told of one table: each costs a reading.
const MISTAKES_MAX: usize = 100;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where in the text, in bytes.
    pub at: Option<Range<usize>>,
    /// What, in the words of the reader.
    pub what: String,
}

/// Reads a table.
///
/// # Errors
/// Every mistake in it, as they were found. What is missing in the table itself is told once the rest of it is read, and only the first.
pub fn read<T: DeserializeOwned>(whole: &Spanned<DeValue<'_>>) -> Result<T, Vec<Mistake>> {
    let mut rest = whole.clone();
    let (mut mistakes, mut taken) = (Vec::new(), Vec::<Vec<String>>::new());
    while mistakes.len() < MISTAKES_MAX {
        let error = match T::deserialize(ValueDeserializer::from(rest.clone())) {
            Ok(read) if mistakes.is_empty() => return Ok(read),
            Ok(_) => break,
            Err(error) => error,
        };
        let (at, what) = (error.span(), error.message().trim().to_owned());
        let place = match (&at, rest.get_ref()) {
            (Some(at), DeValue::Table(table)) if *at != whole.span() => find(table, at.start),
            _ => Vec::new(),
        };
        let missing = what.strip_prefix("missing field `").and_then(|name| name.split('`').next());
        if missing.is_none_or(|name| !taken.iter().any(|gone| was(gone, &place, name))) {
            mistakes.push(Mistake { at, what });
        }
        let DeValue::Table(table) = rest.get_mut() else { break };
        if place.is_empty() || !take_out(table, &place) {
            break;
        }
        taken.push(place);
    }
    Err(mistakes)
}

/// Whether what was taken out is, or was meant to be, this key of this table.
fn was(taken: &[String], table: &[String], key: &str) -> bool {
    taken
        .split_last()
        .is_some_and(|(name, place)| place == table && strsim::damerau_levenshtein(name, key) <= (key.chars().count() / 3).max(1))
}

/// The innermost key that has this place of the text, from the outside in; empty: none.
fn find(table: &DeTable<'_>, at: usize) -> Vec<String> {
    // A table that has a head of its own does not lie within the one around it: so all are looked at.
    for (key, value) in table {
        if let DeValue::Table(inner) = value.get_ref() {
            let deeper = find(inner, at);
            if !deeper.is_empty() {
                return [key.get_ref().to_string()].into_iter().chain(deeper).collect();
            }
        }
    }
    let has = |value: &Spanned<DeValue<'_>>| value.span().contains(&at);
    let within =
        |item: &Spanned<DeValue<'_>>| has(item) || matches!(item.get_ref(), DeValue::Table(inner) if !find(inner, at).is_empty());
    let found = table.iter().find(|(key, value)| {
        key.span().contains(&at) || has(value) || matches!(value.get_ref(), DeValue::Array(items) if items.iter().any(within))
    });
    found.map(|(key, _)| key.get_ref().to_string()).into_iter().collect()
}

fn take_out(table: &mut DeTable<'_>, place: &[String]) -> bool {
    match place {
        [] => false,
        [key] => table.remove(key.as_str()).is_some(),
        [key, deeper @ ..] => match table.get_mut(key.as_str()).map(Spanned::get_mut) {
            Some(DeValue::Table(inner)) => take_out(inner, deeper),
            _ => false,
        },
    }
}
