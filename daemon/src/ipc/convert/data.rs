//! Owns: reads and writes of records, from the wire's words to the core's and back. Must never know: what is in a record.

use std::collections::BTreeMap;

use mingle_core::{
    ask::{Query, RecordIds, Scope, Since, Test, Which, Write, Written},
    filter,
    limits::{COLLECTIONS_PER_QUESTION_MAX, IDS_PER_QUESTION_MAX, PAGE_RECORDS, WRITES_PER_TRANSACTION_MAX},
};
use mingle_proto::{
    Error, Name, Raw, call,
    limits::{OP_BYTES_MAX, PAGE_RECORDS_MAX, RECORD_ID_BYTES_MAX, REPLY_BYTES_MAX},
};

use super::invalid;

/// Checks a record's id.
pub(in crate::ipc) fn record_id(id: &str) -> Result<(), Error> {
    if id.is_empty() || id.len() > RECORD_ID_BYTES_MAX || id.chars().any(char::is_control) {
        return Err(invalid("no record has such an id", format!("ids: 1 to {RECORD_ID_BYTES_MAX} bytes, no control characters")));
    }
    Ok(())
}

/// The operation id of a write: the app's, or one made here, so that a refusal can name it too.
pub(in crate::ipc) fn write_op(op: Option<String>) -> Result<String, Error> {
    match op {
        Some(op) if op.is_empty() || op.len() > OP_BYTES_MAX || op.chars().any(char::is_control) => {
            Err(invalid("this cannot be an op", format!("an op: 1 to {OP_BYTES_MAX} bytes, no control characters")))
        }
        Some(op) => Ok(op),
        None => Ok(uuid::Uuid::new_v4().simple().to_string()),
    }
}

/// An object as JSON text.
pub(super) fn object(data: &Raw, what: &str) -> Result<String, Error> {
    if data.get().starts_with('{') {
        Ok(data.get().to_owned())
    } else {
        Err(invalid(format!("{what} must be an object"), "a record is one JSON object"))
    }
}

/// `put`.
pub(in crate::ipc) fn put(put: call::PutOne) -> Result<Write, Error> {
    if let Some(id) = &put.id {
        record_id(id)?;
    }
    if put.merge && put.if_seq.is_none() {
        return Err(invalid("merge without if_seq", "give the seq of the record you had: it is the base of the meeting"));
    }
    if put.overwrite && put.if_seq.is_some() {
        return Err(invalid("overwrite and if_seq exclude each other", "leave one of them out"));
    }
    let data = object(&put.data, "data")?;
    let call::PutOne { collection, id, if_seq, overwrite, merge, defer, .. } = put;
    Ok(Write::Put { collection, id, data, if_seq, overwrite, merge }.deferred(defer))
}

/// `patch`.
pub(in crate::ipc) fn patch(patch: call::PatchOne) -> Result<Write, Error> {
    record_id(&patch.id)?;
    let text = object(&patch.patch, "patch")?;
    let write = Write::Patch { collection: patch.collection, id: patch.id, patch: text, if_seq: patch.if_seq };
    Ok(write.deferred(patch.defer))
}

/// `delete`.
pub(in crate::ipc) fn delete(delete: call::DeleteOne) -> Result<Write, Error> {
    record_id(&delete.id)?;
    let write = Write::Delete { collection: delete.collection, id: delete.id, if_seq: delete.if_seq };
    Ok(write.deferred(delete.defer))
}

/// The writes of a `transact`.
pub(in crate::ipc) fn transact(writes: Vec<call::Write>) -> Result<Vec<Write>, Error> {
    if writes.is_empty() {
        return Err(invalid("no writes", "give at least one: {\"writes\":[{\"put\":{...}}]}"));
    }
    if writes.len() > WRITES_PER_TRANSACTION_MAX {
        let what = format!("{} writes in one transaction, and it takes {WRITES_PER_TRANSACTION_MAX}", writes.len());
        return Err(Error::new(Name::TooLarge, what).hint("send several transactions"));
    }
    let one = |write| match write {
        call::Write::Put(one) => put(one),
        call::Write::Patch(one) => patch(one),
        call::Write::Delete(one) => delete(one),
    };
    let numbered = |(at, write)| {
        one(write).map_err(|mut error: Error| {
            error.message = format!("write {at}: {}", error.message);
            error
        })
    };
    writes.into_iter().enumerate().map(numbered).collect()
}

/// What a write of one record answers.
pub(in crate::ipc) fn written(written: Written) -> Result<call::Written, Error> {
    let Written { writes, token, op } = written;
    let Some(one) = writes.into_iter().next() else {
        tracing::error!(%op, "a write was answered without its record");
        return Err(Error::new(Name::Internal, "a fault of the daemon").op(op));
    };
    Ok(call::Written { id: one.id, seq: one.seq, token, op })
}

pub(super) fn limit(limit: Option<u32>) -> Result<usize, Error> {
    match limit {
        None => Ok(PAGE_RECORDS),
        Some(limit @ 1..=PAGE_RECORDS_MAX) => Ok(limit as usize),
        Some(limit) => Err(invalid(format!("limit is {limit}"), format!("1 to {PAGE_RECORDS_MAX}; cursor gives the next page"))),
    }
}

/// `list`.
pub(in crate::ipc) fn list_query(list: call::List) -> Result<Query, Error> {
    let filter = tests(&list.where_.unwrap_or_default())?;
    let order = |property: String| match property.strip_prefix('-') {
        Some(property) => (property.to_owned(), true),
        None => (property, false),
    };
    Ok(Query {
        collection: list.collection,
        filter,
        order: list.order.unwrap_or_default().into_iter().map(order).collect(),
        limit: limit(list.limit)?,
        cursor: list.cursor,
    })
}

/// The tests of a `where`.
pub(super) fn tests(filter: &call::Where) -> Result<Vec<Test>, Error> {
    filter.0.iter().map(test).collect()
}

/// Tests as a `where`.
pub(super) fn where_of(tests: &[Test]) -> call::Where {
    call::Where(tests.iter().filter_map(test_of).collect())
}

fn test_of(test: &Test) -> Option<call::Test> {
    let (operator, value) = filter::parts(&test.is);
    let value = serde_json::value::RawValue::from_string(crate::json::write_value(&value)).ok()?;
    Some(call::Test { property: test.property.clone(), operator: operator.parse().ok()?, value })
}

fn test(test: &call::Test) -> Result<Test, Error> {
    let property = &test.property;
    let value =
        crate::json::parse(test.value.get()).map_err(|why| invalid(format!("where {property}: {why}"), "give a JSON value"))?;
    // Every operator of the wire is known to the core; `in` alone does not take every value.
    let is = filter::is(test.operator.word(), value)
        .ok_or_else(|| invalid(format!("where {property}: in needs a list"), "write {\"in\": [1, 2]}"))?;
    Ok(Test { property: property.clone(), is })
}

/// A question for the feed: how it was asked, and what of it the asker may see.
pub(in crate::ipc) fn since(changes: call::Changes, scope: Scope, ids: RecordIds) -> Result<Since, Error> {
    let limit = limit(changes.limit)?;
    Ok(Since { seq: changes.since, instance: changes.instance, scope, limit, bytes: REPLY_BYTES_MAX, data: changes.data, ids })
}

/// The collections a question names, checked for their number.
fn collections(named: Option<Vec<String>>) -> Result<Option<Vec<String>>, Error> {
    match named {
        Some(named) if named.len() > COLLECTIONS_PER_QUESTION_MAX => {
            let what = format!("{} collections are named, and {COLLECTIONS_PER_QUESTION_MAX} are the most", named.len());
            Err(Error::new(Name::TooLarge, what).hint("leave collections out to mean all of them"))
        }
        named => Ok(named),
    }
}

/// The collections a question of the feed names, and of which it wants single records alone: those are named by that, too.
pub(in crate::ipc) fn records(
    named: Option<Vec<String>>,
    ids: Option<BTreeMap<String, Vec<String>>>,
) -> Result<(Option<Vec<String>>, RecordIds), Error> {
    let Some(ids) = ids else { return Ok((collections(named)?, RecordIds::default())) };
    if let Some(empty) = ids.iter().find_map(|(name, ids)| ids.is_empty().then_some(name)) {
        return Err(invalid(format!("ids names no record of {empty}"), "leave the collection out of ids to mean all of it"));
    }
    let count: usize = ids.values().map(Vec::len).sum();
    match count {
        0 => return Err(invalid("ids names no record", "leave it out to mean all of them")),
        1..=IDS_PER_QUESTION_MAX => {}
        _ => {
            let what = format!("{count} records are named, and {IDS_PER_QUESTION_MAX} are the most");
            return Err(Error::new(Name::TooLarge, what).hint("leave a collection out of ids to mean all of it"));
        }
    }
    ids.values().flatten().try_for_each(|id| record_id(id))?;
    if let Some(other) = named.as_ref().and_then(|named| ids.keys().find(|name| !named.contains(name))) {
        let what = format!("ids names records of {other}, which is not among the collections");
        return Err(invalid(what, "name it in collections too, or leave collections out"));
    }
    let named = named.unwrap_or_else(|| ids.keys().cloned().collect());
    let ids = ids.into_iter().map(|(name, ids)| (name, ids.into_iter().collect())).collect();
    Ok((collections(Some(named))?, RecordIds::new(ids)))
}

/// `conflict.list`.
pub(in crate::ipc) fn which_conflicts(list: call::ConflictList, scope: Scope) -> Which {
    // Another rule is asked about what was decided already.
    Which { scope, sync: None, all: list.all || list.under.is_some(), limit: PAGE_RECORDS, cursor: list.cursor }
}

/// `rejection.list`.
pub(in crate::ipc) fn which_rejections(list: call::RejectionList, scope: Scope) -> Which {
    Which { scope, sync: list.sync, all: false, limit: PAGE_RECORDS, cursor: list.cursor }
}

/// The limit of a `history`, and of a `plan`.
pub(in crate::ipc) fn history_limit(asked: Option<u32>) -> Result<usize, Error> {
    limit(asked)
}
