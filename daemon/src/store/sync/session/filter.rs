//! Owns: the filter of an app's own copy: said, kept as text, read again; what leaves the copy under it. Must never know: what the app does
//! with what leaves it, the wire.

use std::collections::BTreeMap;

use mingle_core::{
    ask::{Refusal, Register, Test},
    filter::{self, Filter},
    meeting::{Agreed, Link},
    planted,
    record::Value,
};
use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    json,
    store::{
        error::StoreError,
        limits::{CONDITIONS_MAX, FILTER_BYTES_MAX},
        sync::{
            link::{self, Linked, damaged},
            present,
        },
        tx::Tx,
    },
};

/// The filter of a copy.
pub(super) fn of(conn: &Connection, replica: i64) -> Result<Filter, StoreError> {
    let mut statement = conn.prepare_cached("SELECT filter FROM m_copy WHERE replica = ?1")?;
    let text: Option<Option<String>> = statement.query_row([replica], |row| row.get(0)).optional()?;
    read(text.flatten())
}

/// A filter as it is kept; none: everything.
///
/// # Errors
/// [`StoreError::Corrupt`] where it does not read: that is never everything.
pub(in crate::store) fn read(text: Option<String>) -> Result<Filter, StoreError> {
    let Some(text) = text else { return Ok(Filter::default()) };
    let value = json::parse(&text).map_err(damaged)?;
    let Value::List(tests) = value else { return Err(damaged(format!("the filter {text}"))) };
    let tests: Option<Vec<Test>> = tests.into_iter().map(test).collect();
    Ok(Filter { tests: tests.ok_or_else(|| damaged(format!("the filter {text}")))?, text })
}

fn test(kept: Value) -> Option<Test> {
    let Value::List(parts) = kept else { return None };
    let Ok([Value::Text(property), Value::Text(operator), value]) = <[Value; 3]>::try_from(parts) else { return None };
    Some(Test { property, is: filter::is(&operator, value)? })
}

/// As it is kept: in one order, each test once, so that the same filter is the same text.
fn written(tests: &[Test]) -> String {
    let one = |test: &Test| {
        let (operator, value) = filter::parts(&test.is);
        json::write_value(&Value::List(vec![Value::Text(test.property.clone()), Value::Text(operator.into()), value]))
    };
    let mut all: Vec<String> = tests.iter().map(one).collect();
    all.sort();
    all.dedup();
    format!("[{}]", all.join(","))
}

/// The filter of a collection as it is to be kept, where it can be meant.
///
/// # Errors
/// [`Refusal::Invalid`], naming the collection and the property.
fn checked(collection: &str, tests: &[Test]) -> Result<String, Refusal> {
    let wrong = |what: String, hint: &str| {
        let hint = Some(hint.to_owned()).filter(|hint| !hint.is_empty());
        Refusal::Invalid(format!("the filter of {collection}: {what}"), hint)
    };
    if tests.is_empty() {
        return Err(wrong("an empty one means nothing".into(), "null takes a filter away"));
    }
    if tests.len() > CONDITIONS_MAX {
        return Err(wrong(format!("{} conditions; at most {CONDITIONS_MAX}", tests.len()), ""));
    }
    for test in tests {
        let property = &test.property;
        if property == "id" {
            return Err(wrong("id: a filter is about properties; an id is none".into(), ""));
        }
        if let Some(what) = filter::wrong(test) {
            return Err(wrong(format!("{property}: {what}"), "write it as the where of a list"));
        }
        if let Value::List(values) = filter::parts(&test.is).1
            && values.len() > CONDITIONS_MAX
        {
            return Err(wrong(format!("{property}: {} values in one in; at most {CONDITIONS_MAX}", values.len()), ""));
        }
    }
    let text = written(tests);
    if text.len() > FILTER_BYTES_MAX {
        return Err(wrong(format!("{} bytes; at most {FILTER_BYTES_MAX}", text.len()), ""));
    }
    Ok(text)
}

/// What an app says of its filters, as they are to be kept.
///
/// # Errors
/// [`Refusal::Invalid`].
pub(super) fn said(asked: &Register) -> Result<BTreeMap<&str, Option<String>>, Refusal> {
    let mut said = BTreeMap::new();
    for (name, tests) in &asked.filters {
        if !asked.collections.contains(name) {
            let told = format!("a filter of {name} is given, and {name} is not among the collections");
            return Err(Refusal::Invalid(told, Some("name it in collections too".into())));
        }
        said.insert(name.as_str(), tests.as_deref().map(|tests| checked(name, tests)).transpose()?);
    }
    Ok(said)
}

/// Whether another filter than this stands.
pub(super) fn differs(conn: &Connection, replica: i64, text: Option<&str>) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached("SELECT 1 FROM m_copy WHERE replica = ?1 AND filter IS NOT ?2")?.exists(params![replica, text])?)
}

/// From the next session on this filter holds, and every record is looked at anew.
pub(super) fn set(tx: &Tx<'_>, replica: i64, text: Option<&str>) -> Result<(), StoreError> {
    let anew = if planted::is("a changed filter is not looked at") { "stood = ?2" } else { "scanned = 0" };
    tx.conn()
        .prepare_cached(&format!("UPDATE m_copy SET filter = ?2, {anew} WHERE replica = ?1"))?
        .execute(params![replica, text])?;
    Ok(())
}

/// What the app has and does not fit leaves it with the next pull: from here on its link is one that may be behind.
pub(super) fn leaves(tx: &Tx<'_>, filter: &Filter, link: i64) -> Result<(), StoreError> {
    let Some(linked) = link::by_number(tx.conn(), link)? else { return Ok(()) };
    if linked.state.agreed == Agreed::Gone {
        return Ok(());
    }
    let Some(props) = present(tx.conn(), linked.record)?.props.filter(|props| !filter.fits(props)) else { return Ok(()) };
    let agreed = match linked.state.agreed {
        Agreed::Same => Agreed::Own(props),
        other => other,
    };
    link::save(tx, link, &Link { agreed, confirmed: 0, ..linked.state }, true)
}

/// What had left, or had never come, or was to leave, and fits now is shown: the app may have refused to let it go and dropped it since. What
/// the app gave up while it fitted stays hidden.
pub(super) fn enters(tx: &Tx<'_>, stood: &Filter, filter: &Filter, link: i64) -> Result<(), StoreError> {
    let Some(linked) = link::by_number(tx.conn(), link)? else { return Ok(()) };
    let Some(props) = present(tx.conn(), linked.record)?.props.filter(|props| filter.fits(props)) else { return Ok(()) };
    let told = linked.missing && linked.state.agreed != Agreed::Gone;
    if told || !stood.fits(&props) {
        link::save(tx, link, &Link { confirmed: 0, ..linked.state }, true)?;
    }
    Ok(())
}

/// Of which records the lack in a copy says nothing: the app was never to have them. Where no session has looked at the records under the
/// filter yet, what the app has is what fitted the one before.
pub(super) struct Excuses {
    filter: Filter,
    stood: Filter,
}

impl Excuses {
    /// Those of a copy.
    pub(super) fn of(conn: &Connection, replica: i64) -> Result<Self, StoreError> {
        let (filter, stood): (Option<String>, Option<String>) = conn
            .prepare_cached("SELECT filter, iif(filter IS stood, NULL, stood) FROM m_copy WHERE replica = ?1")?
            .query_row([replica], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let stood = stood.filter(|_| !planted::is("what an older filter hid is replaced"));
        Ok(Self { filter: read(filter)?, stood: read(stood)? })
    }

    /// Whether only records that the app was told to leave can be meant.
    pub(super) fn only_told(&self) -> bool {
        self.filter.is_all() && self.stood.is_all()
    }

    /// Whether this record is one of them, or one that the app was `told` to leave and may have left.
    pub(super) fn has(&self, conn: &Connection, record: i64, told: bool) -> Result<bool, StoreError> {
        if told && !planted::is("a leave that was shown is a delete") {
            return Ok(true);
        }
        if self.only_told() || planted::is("what left a filter is deleted") {
            return Ok(false);
        }
        Ok(present(conn, record)?.props.is_some_and(|props| !self.filter.fits(&props) || !self.stood.fits(&props)))
    }
}

/// The app has not got it, and that is no word on its end: it is shown when it fits.
pub(super) fn without(tx: &Tx<'_>, linked: &Linked) -> Result<(), StoreError> {
    let lives = present(tx.conn(), linked.record)?.props.is_some();
    link::save(tx, linked.link, &Link { agreed: Agreed::Gone, confirmed: 0, ..linked.state.clone() }, lives)
}
