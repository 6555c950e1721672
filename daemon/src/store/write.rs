//! Owns: what apps' writes do: put, patch, delete, several at once. Must never know: grants (checked before), the wire.

use std::{borrow::Cow, sync::Arc};

use mingle_core::{
    ask::{Refusal, Write, Writer, Written, WrittenOne},
    limits::RECORD_DEPTH_MAX,
    record::{Props, Value, is_deeper},
};

use super::{
    alias, app_meeting, children, deferred,
    definitions::Collection,
    error::StoreError,
    limits, op,
    record::{self, Held, State},
    token::Token,
    tx::{Origin, Tx},
};
use crate::json;

/// Writes that were checked and read, on the asker's thread, so that the writer has only to write.
#[derive(Clone, Debug)]
pub struct Prepared {
    writer: Writer,
    hash: op::Hash,
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Put { collection: String, id: Option<String>, data: Data, over: Over },
    Patch { collection: String, id: String, patch: Props, if_seq: Option<u64> },
    Delete { collection: String, id: String, if_seq: Option<u64> },
    Deferred(Box<Step>),
}

/// A whole record, read and in our form.
#[derive(Clone, Debug)]
struct Data {
    text: String,
    props: Props,
}

/// What a put may replace.
#[derive(Clone, Copy, Debug)]
enum Over {
    /// Nothing: there must be none.
    Nothing,
    /// Whatever is there.
    Anything,
    /// Only this seq (0: nothing).
    Seq(u64),
    /// A meeting with what became of this seq.
    Meet(u64),
}

impl Prepared {
    /// Whether it is one write, which refuses before its first change or not at all. (A meeting may write more than one row.)
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.steps.len() == 1 && !matches!(self.steps[0], Step::Put { over: Over::Meet(_), .. } | Step::Deferred(_))
    }
}

/// Checks and reads what an app asks to write.
///
/// # Errors
/// [`Refusal::Invalid`] and [`Refusal::TooLarge`], for what can be told without looking at the store.
pub fn prepare(writer: Writer, writes: Vec<Write>) -> Result<Prepared, Refusal> {
    if writes.is_empty() {
        return Err(Refusal::Invalid("there is nothing to write".into(), None));
    }
    if writes.len() > limits::WRITES_PER_TRANSACTION_MAX {
        return Err(Refusal::TooLarge(format!(
            "{} writes at once; at most {}",
            writes.len(),
            limits::WRITES_PER_TRANSACTION_MAX
        )));
    }
    if let Some(op) = &writer.op {
        op::check(op)?;
    }
    let several = writes.len() > 1;
    let numbered = |(at, write)| step(write).map_err(|refusal| if several { of_write(refusal, at) } else { refusal });
    let steps: Vec<Step> = writes.into_iter().enumerate().map(numbered).collect::<Result<_, _>>()?;
    let hash = hash(&steps);
    Ok(Prepared { writer, hash, steps })
}

/// A refusal of one of several writes, by its place from 0 on.
fn of_write(refusal: Refusal, at: usize) -> Refusal {
    refusal.of(&format!("write {at}"))
}

fn step(write: Write) -> Result<Step, Refusal> {
    Ok(match write {
        Write::Put { collection, id, data, if_seq, overwrite, merge } => {
            if let Some(id) = &id {
                check_id(id)?;
            }
            let over = match (if_seq, merge) {
                (Some(seq), true) => Over::Meet(seq),
                (None, true) => {
                    return Err(Refusal::Invalid("merge needs if_seq: the seq that the app read".into(), None));
                }
                (Some(seq), false) => Over::Seq(seq),
                (None, false) if overwrite => Over::Anything,
                (None, false) => Over::Nothing,
            };
            let props = object("data", &data)?;
            let text = json::write(&props);
            check_size(&text)?;
            Step::Put { collection, id, data: Data { text, props }, over }
        }
        Write::Patch { collection, id, patch, if_seq } => Step::Patch { collection, id, patch: object("patch", &patch)?, if_seq },
        Write::Delete { collection, id, if_seq } => Step::Delete { collection, id, if_seq },
        Write::Deferred(write) => Step::Deferred(Box::new(step(*write)?)),
    })
}

/// Whether a text may be a record's id: 1 to 256 bytes without control characters.
///
/// # Errors
/// [`Refusal::Invalid`].
pub fn check_id(id: &str) -> Result<(), Refusal> {
    if id.is_empty() || id.len() > limits::ID_BYTES_MAX || id.chars().any(char::is_control) {
        return Err(Refusal::Invalid(
            format!("an id has 1 to {} bytes and no control characters", limits::ID_BYTES_MAX),
            Some("leave the id out, and one is made".into()),
        ));
    }
    Ok(())
}

pub(super) fn check_size(text: &str) -> Result<(), Refusal> {
    if text.len() > limits::RECORD_BYTES_MAX {
        return Err(Refusal::TooLarge(format!("a record of {} bytes; at most {}", text.len(), limits::RECORD_BYTES_MAX)));
    }
    Ok(())
}

pub(super) fn object(what: &str, text: &str) -> Result<Props, Refusal> {
    if text.len() > limits::RECORD_BYTES_MAX.saturating_mul(2) {
        return Err(Refusal::TooLarge(format!(
            "{what} of {} bytes; a record has at most {}",
            text.len(),
            limits::RECORD_BYTES_MAX
        )));
    }
    let props = json::parse_object_once(text).map_err(|error| match error.heavy {
        true => Refusal::TooLarge(format!("{what} does not fit: {error}")),
        false => Refusal::Invalid(format!("{what} is no record: {error}"), None),
    })?;
    check_depth(what, &props)?;
    Ok(props)
}

/// What is written has to be read again, also where it is wrapped in something.
pub(super) fn check_depth(what: &str, props: &Props) -> Result<(), Refusal> {
    if is_deeper(props, RECORD_DEPTH_MAX) {
        let told = format!("{what} is no record: more than {RECORD_DEPTH_MAX} lists and objects lie in each other");
        return Err(Refusal::Invalid(told, Some("keep what lies so deep as a text".into())));
    }
    Ok(())
}

/// Over the canonical form of the whole request; lengths keep the parts apart.
fn hash(steps: &[Step]) -> op::Hash {
    let mut hasher = blake3::Hasher::new();
    let text = |hasher: &mut blake3::Hasher, text: &str| {
        hasher.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(text.as_bytes());
    };
    let number = |hasher: &mut blake3::Hasher, tag: u8, number: Option<u64>| {
        hasher.update(&[tag, u8::from(number.is_some())]);
        hasher.update(&number.unwrap_or(0).to_le_bytes());
    };
    for step in steps {
        let step = match step {
            Step::Deferred(step) => {
                number(&mut hasher, 7, None);
                &**step
            }
            step => step,
        };
        match step {
            // A mark is no write of its own, so it holds none.
            Step::Deferred(_) => {}
            Step::Put { collection, id, data, over } => {
                match over {
                    Over::Nothing => number(&mut hasher, 1, None),
                    Over::Anything => number(&mut hasher, 2, None),
                    Over::Seq(seq) => number(&mut hasher, 3, Some(*seq)),
                    Over::Meet(seq) => number(&mut hasher, 4, Some(*seq)),
                }
                text(&mut hasher, collection);
                // No id is empty, so none is told apart from every other.
                text(&mut hasher, id.as_deref().unwrap_or(""));
                text(&mut hasher, &data.text);
            }
            Step::Patch { collection, id, patch, if_seq } => {
                number(&mut hasher, 5, *if_seq);
                text(&mut hasher, collection);
                text(&mut hasher, id);
                text(&mut hasher, &json::write(patch));
            }
            Step::Delete { collection, id, if_seq } => {
                number(&mut hasher, 6, *if_seq);
                text(&mut hasher, collection);
                text(&mut hasher, id);
            }
        }
    }
    *hasher.finalize().as_bytes()
}

/// Does what was prepared, all of it or nothing; a repeat of a known op does nothing and returns the first answer.
///
/// # Errors
/// A [`Refusal`] inside [`StoreError::Refused`], or what SQLite says.
pub fn apply(tx: &mut Tx<'_>, prepared: &Prepared) -> Result<Written, StoreError> {
    let Prepared { writer, hash, steps } = prepared;
    check_instance(tx, writer)?;
    if let Some(op) = &writer.op
        && let Some(answer) = op::seen(tx, &writer.app, op, hash)?
    {
        return Ok(answer);
    }
    let origin = Origin::App(writer.app.clone());
    let first = tx.seq() + 1;
    let mut writes = Vec::with_capacity(steps.len());
    let mut records = Vec::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        let (record, id, seq) = do_step(tx, step, &origin).map_err(|error| match error {
            StoreError::Refused(refusal) if steps.len() > 1 => of_write(refusal, at).into(),
            other => other,
        })?;
        writes.push(WrittenOne { id, seq });
        records.push((record, seq));
    }
    let written = answer(tx, writer, writes, records, first);
    op::keep(tx, writer, hash, &written)?;
    Ok(written)
}

/// The answer to a write that did this.
pub(super) fn answer(tx: &mut Tx<'_>, writer: &Writer, writes: Vec<WrittenOne>, records: Vec<(i64, u64)>, first: u64) -> Written {
    let token = Token::of(&tx.books.instance, records, first, tx.seq()).text();
    let op = writer.op.clone().unwrap_or_else(|| tx.uuid7());
    Written { writes, token, op }
}

/// `if_seq` and `op` mean nothing in another store.
pub(super) fn check_instance(tx: &Tx<'_>, writer: &Writer) -> Result<(), Refusal> {
    match &writer.instance {
        Some(instance) if **instance != *tx.books.instance => {
            Err(Refusal::Stale("the write belongs to another instance of the store; say hello again and read anew".into(), None))
        }
        _ => Ok(()),
    }
}

fn do_step(tx: &mut Tx<'_>, step: &Step, origin: &Origin) -> Result<(i64, String, u64), StoreError> {
    match step {
        Step::Deferred(step) => defer(tx, step, origin),
        Step::Put { collection, id, data, over } => {
            let collection = writable(tx, collection)?;
            let id = id.clone().unwrap_or_else(|| tx.uuid7());
            let data = present_names(tx, &collection, data)?;
            put(tx, &collection, id, &data, *over, origin)
        }
        Step::Patch { collection, id, patch, if_seq } => {
            let held = there(tx, collection, id, *if_seq)?;
            let mut props = held.props()?.unwrap_or_default();
            merge_patch(&mut props, patch);
            let collection = writable(tx, collection)?;
            alias::rename(tx.conn, tx.definitions(), &collection.definition.policy.references, &mut props)?;
            let text = json::write(&props);
            check_size(&text)?;
            let seq = record::change_to(tx, &held, &text, &props, origin)?;
            Ok((held.record, held.id, seq))
        }
        Step::Delete { collection, id, if_seq } => {
            let held = there(tx, collection, id, *if_seq)?;
            if held.id != *id && if_seq.is_none() {
                return Err(alias::meant_otherwise(id, &held).into());
            }
            children::may_be_deleted(tx, &held)?;
            let seq = record::change(tx, &held, None, origin)?;
            Ok((held.record, held.id, seq))
        }
    }
}

/// Data whose references name what they name by its present ids.
fn present_names<'a>(tx: &Tx<'_>, collection: &Collection, data: &'a Data) -> Result<Cow<'a, Data>, StoreError> {
    let references = &collection.definition.policy.references;
    if references.is_empty() {
        return Ok(Cow::Borrowed(data));
    }
    let mut props = data.props.clone();
    Ok(match alias::rename(tx.conn, tx.definitions(), references, &mut props)? {
        true => Cow::Owned(Data { text: json::write(&props), props }),
        false => Cow::Borrowed(data),
    })
}

/// Writes, and marks what the write changed not for upload: the record, and with a delete those that refer to it. Nobody is told that
/// there is something to send.
fn defer(tx: &mut Tx<'_>, step: &Step, origin: &Origin) -> Result<(i64, String, u64), StoreError> {
    let (before, touched) = (tx.seq(), tx.books.touched.len());
    let (record, id, seq) = do_step(tx, step, origin)?;
    if tx.seq() > before
        && let Origin::App(app) = origin
    {
        for changed in record::changed_since(tx.conn(), before)? {
            deferred::mark(tx, changed, app)?;
        }
        tx.books.touched.truncate(touched);
    }
    Ok((record, id, seq))
}

/// The collection, where apps may write it.
pub(super) fn writable(tx: &Tx<'_>, name: &str) -> Result<Arc<Collection>, Refusal> {
    let collection = tx.defined(name)?;
    if collection.definition.read_only {
        return Err(Refusal::ReadOnly(format!(
            "{name} takes no writes: its syncs only bring down; give one direction = \"both\""
        )));
    }
    Ok(collection)
}

/// The live record that a patch or delete names.
fn there(tx: &Tx<'_>, collection: &str, id: &str, if_seq: Option<u64>) -> Result<Held, StoreError> {
    let number = writable(tx, collection)?.number;
    let held = alias::find(tx.conn, number, id)?.filter(|held| held.state == State::Live);
    match (held, if_seq) {
        (None, _) => Err(not_there(collection, id).into()),
        (Some(held), Some(seq)) if held.seq != seq => Err(moved(&held, seq).into()),
        (Some(held), _) => Ok(held),
    }
}

/// No such record.
pub(super) fn not_there(collection: &str, id: &str) -> Refusal {
    Refusal::NotFound(
        format!("no record {id:?} in {collection}"),
        Some(format!("`mingle list {collection}` shows what is there")),
    )
}

fn moved(held: &Held, seq: u64) -> Refusal {
    Refusal::Stale(format!("{:?} is at seq {}, not {seq}; read it again, or merge", held.id, held.seq), Some(held.seq))
}

fn put(
    tx: &mut Tx<'_>,
    collection: &Collection,
    id: String,
    data: &Data,
    over: Over,
    origin: &Origin,
) -> Result<(i64, String, u64), StoreError> {
    let Some(named) = record::find(tx.conn, collection.number, &id)? else {
        return match over {
            Over::Nothing | Over::Anything | Over::Seq(0) | Over::Meet(0) => {
                let made = record::make_new(tx, collection.number, &id, &data.text, origin)?;
                Ok((made.record, id, made.seq))
            }
            Over::Seq(seq) | Over::Meet(seq) => {
                Err(Refusal::Stale(format!("{id:?} is not there (any more), and was to be at seq {seq}"), None).into())
            }
        };
    };
    let held = if named.data.is_none() { alias::follow(tx.conn, named.clone())? } else { named.clone() };
    let live = held.state == State::Live;
    let seq = match over {
        Over::Anything if held.record != named.record => return Err(alias::meant_otherwise(&id, &held).into()),
        Over::Nothing if live => {
            let told = format!("{id:?} exists, at seq {}; give if_seq, or overwrite: true", held.seq);
            return Err(Refusal::Stale(told, Some(held.seq)).into());
        }
        Over::Seq(0) | Over::Meet(0) if live => {
            return Err(Refusal::Stale(format!("{id:?} exists, at seq {}", held.seq), Some(held.seq)).into());
        }
        Over::Seq(seq) if live && held.seq != seq => return Err(moved(&held, seq).into()),
        Over::Seq(seq) if !live && seq != 0 => {
            return Err(Refusal::Stale(format!("{id:?} was deleted, and was to be at seq {seq}"), None).into());
        }
        Over::Meet(seq) if seq != 0 && (held.seq != seq || !live) => {
            // What the app read is what the id was then.
            let read = if seq < named.seq { &named } else { &held };
            app_meeting::meet(tx, collection, &held, read, seq, &data.props, origin)?
        }
        _ => record::change_to(tx, &held, &data.text, &data.props, origin)?,
    };
    Ok((held.record, held.id, seq))
}

/// RFC 7396: null removes, objects merge, anything else replaces.
pub(super) fn merge_patch(into: &mut Props, patch: &Props) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                into.remove(name);
            }
            Value::Map(inner) => {
                let mut inside = match into.remove(name) {
                    Some(Value::Map(inside)) => inside,
                    _ => Props::new(),
                };
                merge_patch(&mut inside, inner);
                into.insert(name.clone(), Value::Map(inside));
            }
            other => {
                into.insert(name.clone(), other.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
