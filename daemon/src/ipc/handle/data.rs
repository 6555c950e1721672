//! Owns: serving reads and writes of records. Must never know: what is in a record.

use mingle_core::ask::{Query, Refusal, Write, Writer, Written};
use mingle_proto::{
    Error, Name,
    call::{
        Changes, Delete, DeleteOne, Freshness, Get, List, Patch, PatchOne, Put, PutOne, Transact, TransactAnswer, WrittenOne,
    },
    message,
};

use super::{Asked, held, once, text};
use crate::ipc::{
    convert::{self, ChangesOut, ListOut, RecordOut, refusal},
    served::Served,
};

pub(super) fn get(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let get: Get = asked.params()?;
    let door = asked.read(&get.collection)?;
    convert::record_id(&get.id)?;
    let Some((age, timeout)) = convert::max_age(get.max_age_ms, get.timeout_ms)? else { return record(asked, &get, None) };
    let fresh = door.fresh(get.collection.clone(), age, timeout);
    Ok(once(fresh, asked.method, move |asked, fresh| record(asked, &get, Some(convert::freshness(fresh)))))
}

/// Answers with a record, as it is now.
fn record(asked: &mut Asked<'_>, get: &Get, fresh: Option<Freshness>) -> Result<Served, Error> {
    let found = asked.read(&get.collection)?.get(&get.collection, &get.id);
    let found = found.map_err(|no| not_there(refusal(no), fresh.as_ref()))?;
    asked.answer(&RecordOut::of(&found, fresh))
}

/// That something is not there may only be because what is here is old.
fn not_there(error: Error, fresh: Option<&Freshness>) -> Error {
    match fresh.and_then(|fresh| fresh.why.as_ref()) {
        Some(why) if error.name() == Name::NotFound => error.hint(format!("what is here is older than was asked: {why}")),
        _ => error,
    }
}

pub(super) fn list(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let list: List = asked.params()?;
    // Before what else may be wrong with it is told.
    asked.read(&list.collection)?;
    let wanted = convert::max_age(list.max_age_ms, list.timeout_ms)?;
    let query = convert::list_query(list)?;
    // What the first page of a listing is, the others are: they are not waited for.
    if let Some((age, timeout)) = wanted.filter(|_| query.cursor.is_none()) {
        let fresh = asked.read(&query.collection)?.fresh(query.collection.clone(), age, timeout);
        return Ok(once(fresh, asked.method, move |asked, fresh| page(asked, &query, Some(&convert::freshness(fresh)))));
    }
    page(asked, &query, None)
}

/// Answers with a page of records, as they are now.
fn page(asked: &mut Asked<'_>, query: &Query, fresh: Option<&Freshness>) -> Result<Served, Error> {
    asked.read(&query.collection)?;
    let (door, out) = (&*asked.desk.shared.door, &mut asked.desk.out);
    message::answer_with(out, asked.id, |out| {
        let mut page = ListOut::to(out);
        let cursor = door.list(query, &mut page).map_err(refusal)?;
        page.end(cursor.as_deref(), fresh).map_err(|error| refusal(Refusal::Internal(error.to_string())))
    })?;
    Ok(Served::Answered)
}

pub(super) fn changes(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let mut changes: Changes = asked.params()?;
    let (named, ids) = convert::records(changes.collections.take(), changes.ids.take())?;
    let (door, scope) = asked.read_any(named)?;
    let page = door.changes(&convert::since(changes, scope, ids)?).map_err(refusal)?;
    asked.answer(&ChangesOut::of(&page))
}

pub(super) fn put(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Put { collection, id, data, op, if_seq, overwrite, merge, instance, defer } = asked.params()?;
    let one = PutOne { collection, id, data, if_seq, overwrite, merge, defer };
    write_one(asked, (op, instance), || convert::put(one))
}

pub(super) fn patch(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Patch { collection, id, patch, op, if_seq, instance, defer } = asked.params()?;
    let one = PatchOne { collection, id, patch, if_seq, defer };
    write_one(asked, (op, instance), || convert::patch(one))
}

pub(super) fn delete(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Delete { collection, id, op, if_seq, instance, defer } = asked.params()?;
    let one = DeleteOne { collection, id, if_seq, defer };
    write_one(asked, (op, instance), || convert::delete(one))
}

pub(super) fn transact(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Transact { writes, op, instance } = asked.params()?;
    write(asked, (op, instance), convert::transact(writes)?, |Written { writes, token, op }| {
        let writes = writes.into_iter().map(|one| WrittenOne { id: one.id, seq: one.seq }).collect();
        text(&TransactAnswer { writes, token, op })
    })
}

fn write_one(
    asked: &Asked<'_>,
    under: (Option<String>, Option<String>),
    one: impl FnOnce() -> Result<Write, Error>,
) -> Result<Served, Error> {
    write(asked, under, vec![one()?], |written| text(&convert::written(written)?))
}

/// Queues writes; `under` is their op and instance. Not cancellable: what is queued happens, and saying otherwise would be a lie.
fn write(
    asked: &Asked<'_>,
    under: (Option<String>, Option<String>),
    writes: Vec<Write>,
    answer: impl FnOnce(Written) -> Result<String, Error> + Send + 'static,
) -> Result<Served, Error> {
    let mut app = None;
    for write in &writes {
        app = Some(asked.write(write.collection())?);
    }
    let Some((door, app)) = app else { return Err(convert::invalid("no writes", "give at least one")) };
    let op = convert::write_op(under.0)?;
    let work = door.write(Writer { app: app.to_owned(), op: Some(op.clone()), instance: under.1 }, writes);
    Ok(held(async move { work.await.map_err(refusal).and_then(answer).map_err(|error| error.op(op)) }, false))
}
