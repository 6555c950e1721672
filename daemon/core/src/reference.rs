//! Owns: references between records: what is declared of one, and its way between the ids of the truth and those of one remote.
//! Must never know: how an id is looked up, storage, meetings.
//!
//! In the truth a reference is the id of a record. At a remote it is the remote's id of that record. Everything that meets (the truth,
//! what was agreed, what was sent) is in ids of the truth: a row is translated when it comes in ([`arrive`]), and what is sent when it
//! goes out ([`leave`]), here and nowhere else. `leave(arrive(x))` is `x`, whatever is known of the ids.

use std::collections::BTreeMap;

use crate::{
    planted,
    record::{Number, Props, Value},
};

/// The references of one collection, by property.
pub type References = BTreeMap<String, Reference>;

/// One property whose value is the id of a record, or a list of such ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The collection of the records it names: the parents.
    pub collection: String,
    /// What becomes of a record when the one it refers to is deleted.
    pub on_delete: WhenGone,
    /// The remote writes ids as numbers there.
    pub numbers: bool,
}

/// What becomes of a record when the one it refers to is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenGone {
    /// It loses the reference.
    #[default]
    Nullify,
    /// It is deleted too.
    Cascade,
    /// An app may not delete what is referred to. A delete that comes from elsewhere has happened already: as [`WhenGone::Nullify`].
    Refuse,
}

/// What a remote has in the place of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abroad {
    /// It has the record under this id, for sure.
    There(String),
    /// It has, or had, this id for it; whether the record is there now is not known, or it is not.
    Once(String),
    /// It has never had an id for it, as far as we know.
    Unknown,
}

/// How sure a reference must be to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sure {
    /// The remote must have what it names: it is sent anew.
    There,
    /// The remote has this value already: it is only told back.
    Told,
}

/// A reference that cannot be sent as long as the remote has no id for what it names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wanted {
    /// The property.
    pub property: String,
    /// The collection of what it names.
    pub collection: String,
    /// The record's id; what stands there, where it is no id of a record.
    pub id: String,
    /// It is known to another remote alone: nobody can tell whether it will ever be here.
    pub foreign: bool,
}

/// The names in a pending reference: an object, so that no id of a record is mistaken for it.
const PENDING: &str = "pending";
const REMOTE: &str = "remote";

/// A reference to what a remote calls so, and what is not known here yet.
#[must_use]
pub fn pending(remote: &str, remote_id: &str) -> Value {
    let text = |text: &str| Value::Text(text.to_owned());
    Value::Map(Props::from([(PENDING.to_owned(), text(remote_id)), (REMOTE.to_owned(), text(remote))]))
}

/// The remote's id in a pending reference of this remote.
fn pending_at<'a>(value: &'a Value, remote: &str) -> Option<&'a str> {
    let (id, of) = pending_parts(value)?;
    (of == remote).then_some(id)
}

fn pending_parts(value: &Value) -> Option<(&str, &str)> {
    match value {
        Value::Map(props) if props.len() == 2 => match (props.get(PENDING), props.get(REMOTE)) {
            (Some(Value::Text(id)), Some(Value::Text(remote))) => Some((id, remote)),
            _ => None,
        },
        _ => None,
    }
}

/// Translates what a remote shows: each of its ids becomes the record's, or a pending reference. `record` looks up which record a
/// remote's id is.
///
/// # Errors
/// Those of `record`.
pub fn arrive<E>(
    props: &mut Props,
    references: &References,
    remote: &str,
    mut record: impl FnMut(&Reference, &str) -> Result<Option<String>, E>,
) -> Result<(), E> {
    if planted::is("reference taken as it comes") {
        return Ok(());
    }
    each(props, references, |_, reference, value| {
        let id = match value {
            Value::Text(id) if !id.is_empty() => id.clone(),
            Value::Number(number) => number.text().to_owned(),
            _ => return Ok(None),
        };
        let known = record(reference, &id)?;
        Ok(Some(known.map_or_else(|| pending(remote, &id), Value::Text)))
    })
}

/// Makes of pending references what is known of them by now.
///
/// # Errors
/// Those of `record`.
pub fn resolve<E>(
    props: &mut Props,
    references: &References,
    remote: &str,
    mut record: impl FnMut(&Reference, &str) -> Result<Option<String>, E>,
) -> Result<(), E> {
    each(props, references, |_, reference, value| match pending_at(value, remote) {
        Some(id) => Ok(record(reference, id)?.map(Value::Text)),
        None => Ok(None),
    })
}

/// Translates what goes to a remote. What cannot be translated is left as it is, and returned: then it may not go.
///
/// # Errors
/// Those of `abroad`, which looks up what the remote has in the place of a record.
pub fn leave<E>(
    props: &mut Props,
    references: &References,
    remote: &str,
    sure: Sure,
    mut abroad: impl FnMut(&Reference, &str) -> Result<Abroad, E>,
) -> Result<Vec<Wanted>, E> {
    let mut wanted = Vec::new();
    each(props, references, |property, reference, value| {
        let id = match value {
            Value::Text(id) if !id.is_empty() => id.clone(),
            Value::Number(number) => number.text().to_owned(),
            Value::Map(_) => {
                let Some((id, of)) = pending_parts(value) else { return Ok(None) };
                if of != remote {
                    let id = format!("{of}: {id}");
                    let collection = reference.collection.clone();
                    wanted.push(Wanted { property: property.to_owned(), collection, id, foreign: true });
                    return Ok(None);
                }
                return Ok(Some(written(id, reference)));
            }
            _ => return Ok(None),
        };
        let found = match (abroad(reference, &id)?, sure) {
            (Abroad::There(there), _) | (Abroad::Once(there), Sure::Told) => Some(there),
            (Abroad::Once(there), Sure::There) if planted::is("child does not wait") => Some(there),
            (Abroad::Unknown, _) if planted::is("child does not wait") => Some(id.clone()),
            _ => None,
        };
        if found.is_none() {
            let collection = reference.collection.clone();
            wanted.push(Wanted { property: property.to_owned(), collection, id, foreign: false });
        }
        Ok(found.map(|there| written(&there, reference)))
    })?;
    Ok(wanted)
}

/// Puts another value in the place of each reference to this record; whether there was any.
pub fn replace(props: &mut Props, property: &str, of: &Value, with: Option<&Value>) -> bool {
    match (props.get_mut(property), with) {
        (Some(value), Some(with)) if value == of => *value = with.clone(),
        (Some(value), None) if value == of => {
            props.remove(property);
        }
        (Some(Value::List(list)), _) => {
            let before = list.clone();
            match with {
                Some(with) => list.iter_mut().filter(|one| *one == of).for_each(|one| *one = with.clone()),
                None => list.retain(|one| one != of),
            }
            return *list != before;
        }
        _ => return false,
    }
    true
}

/// Whether a property names this.
#[must_use]
pub fn names(props: &Props, property: &str, what: &Value) -> bool {
    match props.get(property) {
        Some(Value::List(list)) => list.contains(what),
        Some(value) => value == what,
        None => false,
    }
}

/// The ids of records that a property names.
#[must_use]
pub fn ids<'a>(props: &'a Props, property: &str) -> Vec<&'a str> {
    let id = |value: &'a Value| match value {
        Value::Text(id) if !id.is_empty() => Some(id.as_str()),
        _ => None,
    };
    match props.get(property) {
        Some(Value::List(list)) => list.iter().filter_map(id).collect(),
        Some(value) => id(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// Takes out of what was agreed the references to records that are gone and that neither side has any more: that they went with what
/// they named is nobody's edit, and nothing that a delete or another value there could clash with.
///
/// # Errors
/// Those of `gone`.
pub fn let_go<E>(
    agreed: &mut Props,
    truth: &Props,
    theirs: Option<&Props>,
    references: &References,
    mut gone: impl FnMut(&Reference, &str) -> Result<bool, E>,
) -> Result<(), E> {
    if planted::is("reference let go is an edit") {
        return Ok(());
    }
    for (property, reference) in references {
        let named: Vec<String> = ids(agreed, property).into_iter().map(str::to_owned).collect();
        for id in named {
            let what = Value::Text(id.clone());
            let kept = names(truth, property, &what) || theirs.is_some_and(|theirs| names(theirs, property, &what));
            if !kept && gone(reference, &id)? {
                replace(agreed, property, &what, None);
            }
        }
    }
    Ok(())
}

/// An id in the form in which the remote writes it.
fn written(id: &str, reference: &Reference) -> Value {
    let digits = !id.is_empty() && id.len() <= 18 && id.bytes().all(|one| one.is_ascii_digit());
    let number = digits && (id == "0" || !id.starts_with('0'));
    if reference.numbers && number { Value::Number(Number::as_written(id)) } else { Value::Text(id.to_owned()) }
}

/// Goes through every reference of a record, those in lists one by one, and puts what `of` returns in its place.
fn each<E>(
    props: &mut Props,
    references: &References,
    mut of: impl FnMut(&str, &Reference, &Value) -> Result<Option<Value>, E>,
) -> Result<(), E> {
    for (property, reference) in references {
        match props.get_mut(property) {
            Some(Value::List(list)) => {
                for one in list {
                    if let Some(new) = of(property, reference, one)? {
                        *one = new;
                    }
                }
            }
            Some(value) => {
                if let Some(new) = of(property, reference, value)? {
                    *value = new;
                }
            }
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod laws;
