//! Owns: what a decision about a conflict does. Must never know: who decides.

use mingle_core::{
    ask::{Keep, Refusal, Writer, Written, WrittenOne},
    mingle::alike_at,
    path,
    policy::Policy,
    record::{Props, Value},
};
use rusqlite::OptionalExtension;

use super::once;
use crate::{
    json,
    store::{
        alias,
        error::StoreError,
        ledger::{self, Past},
        limits,
        record::{self, Held},
        tx::{Origin, Tx},
        write,
    },
};

/// Decides a conflict: the value that is kept is written like an edit, an open conflict no longer freezes its property, and
/// what the replica lacks is sent. With `if_seq`, the seq the decision was made on: stale where the value has moved since.
///
/// # Errors
/// `not_found`, `stale`, `invalid`, and those of an op.
pub fn resolve_conflict(
    tx: &mut Tx<'_>,
    writer: &Writer,
    conflict: &str,
    if_seq: Option<u64>,
    keep: &Keep,
) -> Result<Written, StoreError> {
    let request = format!("conflict.resolve {conflict:?} {if_seq:?} {keep:?}");
    once(tx, writer, &request, |tx, origin| {
        let found = find(tx, conflict)?;
        let held = record::by_row(tx.conn(), found.record)?.ok_or_else(|| missing(conflict))?;
        let policy = tx.definitions().numbered(held.collection).map(|one| one.definition.policy.clone()).unwrap_or_default();
        let now = held.props()?;
        if let Some(seq) = if_seq {
            unmoved(tx, &held, seq, now.as_ref(), found.property.as_deref(), &policy)?;
        }
        let value = found.kept(keep, now.as_ref(), &policy)?;
        let seq = put(tx, &held, now, found.property.as_deref(), value, &policy, origin)?;
        tx.conn().prepare_cached("UPDATE m_conflict SET open = 0, verdict = 'resolved' WHERE id = ?1")?.execute([conflict])?;
        // An app that keeps a copy is shown what was decided, also where the record has not changed since it took it.
        tx.conn()
            .prepare_cached(
                "UPDATE m_link SET confirmed = 0 WHERE replica < 0 AND link = (SELECT link FROM m_conflict WHERE id = ?1)",
            )?
            .execute([conflict])?;
        // Also where the truth stays as it is, what was frozen is to be sent now.
        tx.touch(held.collection, origin);
        Ok(Some((held.record, WrittenOne { id: held.id, seq })))
    })
}

/// What a decision needs of a conflict's row.
struct Row {
    record: i64,
    property: Option<String>,
    agreed: Option<String>,
    truth: Option<String>,
    theirs: Option<String>,
    open: bool,
}

fn missing(conflict: &str) -> Refusal {
    Refusal::NotFound(format!("no conflict {conflict:?}"), Some("`mingle conflict list` shows those that are open".into()))
}

fn find(tx: &Tx<'_>, conflict: &str) -> Result<Row, StoreError> {
    let mut statement =
        tx.conn().prepare_cached("SELECT record, property, agreed, truth, theirs, open FROM m_conflict WHERE id = ?1")?;
    let row = statement
        .query_row([conflict], |row| {
            Ok(Row {
                record: row.get(0)?,
                property: row.get(1)?,
                agreed: row.get(2)?,
                truth: row.get(3)?,
                theirs: row.get(4)?,
                open: row.get(5)?,
            })
        })
        .optional()?;
    Ok(row.ok_or_else(|| missing(conflict))?)
}

impl Row {
    /// The value that is kept; none: absent.
    fn kept(&self, keep: &Keep, now: Option<&Props>, policy: &Policy) -> Result<Option<Value>, StoreError> {
        let stored = |text: &Option<String>| -> Result<Option<Value>, StoreError> {
            let value = text.as_deref().map(json::parse).transpose();
            value.map_err(|error| StoreError::Corrupt(format!("a conflict's value is no JSON: {error}")))
        };
        match keep {
            // While a conflict is open the truth is what it is now; once decided, "the truth's" is the value that lost or won.
            Keep::Truth if self.open => Ok(match &self.property {
                Some(property) => now.and_then(|now| value_at(now, property, policy)).cloned(),
                None => now.cloned().map(Value::Map),
            }),
            Keep::Truth => stored(&self.truth),
            Keep::Theirs => stored(&self.theirs),
            Keep::Agreed => stored(&self.agreed),
            Keep::Value(text) => {
                let value =
                    json::parse_once(text).map_err(|error| Refusal::Invalid(format!("value is no JSON: {error}"), None))?;
                Ok(Some(value))
            }
        }
    }
}

/// Refuses a decision on a value that has moved since it was looked at.
fn unmoved(
    tx: &Tx<'_>,
    held: &Held,
    seq: u64,
    now: Option<&Props>,
    property: Option<&str>,
    policy: &Policy,
) -> Result<(), StoreError> {
    if seq == held.seq {
        return Ok(());
    }
    let stale = || {
        Refusal::Stale(format!("{:?} is at seq {}, and was decided on at {seq}; look again", held.id, held.seq), Some(held.seq))
    };
    let before = match ledger::at(tx.conn(), held, seq)? {
        Past::There(props) => Some(props),
        Past::NotThere => None,
        Past::Unknown => return Err(stale().into()),
    };
    let same = match (&before, now, property) {
        (Some(before), Some(now), Some(property)) => {
            alike_at(property, value_at(before, property, policy), value_at(now, property, policy), policy)
        }
        // The record as a whole moved, or came or went.
        _ => false,
    };
    if same { Ok(()) } else { Err(stale().into()) }
}

/// The names that lead to a conflict's property: a path where merging is nested.
fn way(property: &str, policy: &Policy) -> Vec<String> {
    if policy.nested { path::names(property).map(std::borrow::Cow::into_owned).collect() } else { vec![property.to_owned()] }
}

fn value_at<'a>(props: &'a Props, property: &str, policy: &Policy) -> Option<&'a Value> {
    let way = way(property, policy);
    let (last, around) = way.split_last()?;
    let mut inside = props;
    for name in around {
        match inside.get(name) {
            Some(Value::Map(deeper)) => inside = deeper,
            _ => return None,
        }
    }
    inside.get(last)
}

fn set_at(props: &mut Props, way: &[String], value: Option<Value>) {
    match (way, value) {
        ([], _) => {}
        ([name], Some(value)) => {
            props.insert(name.clone(), value);
        }
        ([name], None) => {
            props.remove(name);
        }
        ([name, deeper @ ..], value) => {
            if let Some(Value::Map(inside)) = props.get_mut(name) {
                return set_at(inside, deeper, value);
            }
            // Where there is no object, nothing can be absent in it; a value needs one.
            if value.is_some() {
                let mut inside = Props::new();
                set_at(&mut inside, deeper, value);
                props.insert(name.clone(), Value::Map(inside));
            }
        }
    }
}

/// Writes what was decided.
fn put(
    tx: &mut Tx<'_>,
    held: &Held,
    now: Option<Props>,
    property: Option<&str>,
    value: Option<Value>,
    policy: &Policy,
    origin: &Origin,
) -> Result<u64, StoreError> {
    let new = match (property, value) {
        (Some(property), value) => {
            let Some(mut props) = now else {
                return Err(Refusal::Stale(format!("{:?} was deleted since; there is nothing to decide", held.id), None).into());
            };
            set_at(&mut props, &way(property, policy), value);
            Some(props)
        }
        (None, Some(Value::Map(props))) => Some(props),
        (None, None) => None,
        (None, Some(_)) => return Err(Refusal::Invalid("the record as a whole is an object".into(), None).into()),
    };
    let mut new = new;
    if let Some(props) = &mut new {
        write::check_depth("what would be there then", props)?;
        alias::rename(tx.conn(), tx.definitions(), &policy.references, props)?;
    }
    let text = new.as_ref().map(json::write);
    if text.as_ref().is_some_and(|text| text.len() > limits::RECORD_BYTES_MAX) {
        return Err(Refusal::TooLarge(format!("a record has at most {} bytes", limits::RECORD_BYTES_MAX)).into());
    }
    record::change(tx, held, text.as_deref(), origin)
}
