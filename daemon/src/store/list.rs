//! Owns: reading one record, or those that fit a question, page by page. Must never know: who asks.

use mingle_core::{
    ask::{Found, Is, Query, Refusal, Rows, Test},
    record::Value,
};
use rusqlite::{
    OptionalExtension, Row, params_from_iter,
    types::{Type, Value as Bound},
};

use super::{
    alias,
    cursor::Cursor,
    definitions::Collection,
    error::StoreError,
    limits,
    reader::Reader,
    views::{extract, live, path},
    write::not_there,
};

/// One live record.
///
/// # Errors
/// [`mingle_core::ask::Refusal::NotFound`] for the collection (naming those there are) or the record.
pub fn get(reader: &Reader<'_>, collection: &str, id: &str) -> Result<Found, StoreError> {
    let number = reader.defined(collection)?.number;
    let mut statement =
        reader.prepare_cached("SELECT data, seq FROM m_record WHERE collection = ?1 AND id = ?2 AND state = 0")?;
    let found = statement.query_row((number, id), |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    if let Some((data, seq)) = found {
        return Ok(Found { id: id.to_owned(), data, seq });
    }
    // Another record's id, that is this one's now: the answer says whose.
    let held = alias::find(reader, number, id)?.ok_or_else(|| not_there(collection, id))?;
    let data = held.data.ok_or_else(|| not_there(collection, id))?;
    Ok(Found { id: held.id, data, seq: held.seq })
}

/// Gives `to` a page of records that fit, in the order asked for (absent before false and numbers, numbers before texts), ties by id.
/// Returns where the next page begins; none: this was the last.
///
/// # Errors
/// `not_found` for the collection, `invalid` for a condition that makes no sense, `stale` for a cursor of another instance,
/// [`StoreError::Deadline`] where too much must be looked through.
pub fn list(reader: &Reader<'_>, query: &Query, to: &mut dyn Rows) -> Result<Option<String>, StoreError> {
    to.begin();
    let collection = reader.defined(&query.collection)?;
    let question = question(query);
    let mut build = Build { collection, sql: String::new(), bound: Vec::new() };
    let order = build.order(query);
    let keys: Vec<String> = order.iter().map(|key| key.0.clone()).collect();
    build.sql = format!("SELECT id, data, seq, {} FROM m_record WHERE {}", keys.join(", "), live(collection.number));
    build.filter(&query.filter)?;
    if let Some(cursor) = &query.cursor {
        build.after(&order, &Cursor::parse(cursor, reader.instance(), question.as_bytes())?)?;
    }
    let directions: Vec<String> =
        order.iter().map(|(key, falls)| format!("{key}{}", if *falls { " DESC" } else { "" })).collect();
    let rows_max = query.limit.clamp(1, limits::PAGE_ROWS_MAX);
    build.sql.push_str(&format!(" ORDER BY {} LIMIT {}", directions.join(", "), rows_max + 1));

    let mut statement = reader.prepare_cached(&build.sql)?;
    let mut rows = statement.query(params_from_iter(build.bound))?;
    let (mut last, mut count, mut bytes) = (Vec::new(), 0, 0);
    while let Some(row) = rows.next()? {
        if !last.is_empty() {
            return Ok(Some(Cursor { keys: last }.text(reader.instance(), question.as_bytes())));
        }
        let (id, data) = (text(row, 0)?, text(row, 1)?);
        to.row(id, data, row.get(2)?);
        (count, bytes) = (count + 1, bytes + id.len() + data.len());
        // The page is full: where it ends, should there be more.
        if count == rows_max || bytes >= limits::PAGE_BYTES_MAX {
            last = (0..order.len()).map(|at| row.get(3 + at)).collect::<Result<_, _>>()?;
        }
    }
    Ok(None)
}

/// A text, where SQLite has it: it is gone with the next row.
fn text<'a>(row: &'a Row<'_>, at: usize) -> rusqlite::Result<&'a str> {
    let text = row.get_ref(at)?.as_str();
    text.map_err(|why| rusqlite::Error::FromSqlConversionFailure(at, Type::Text, Box::new(why)))
}

/// What a cursor belongs to: all but the limit.
fn question(query: &Query) -> String {
    format!("list {:?} {:?} {:?}", query.collection, query.filter, query.order)
}

/// A statement on its way. Values are bound, never written into it.
struct Build<'a> {
    collection: &'a Collection,
    sql: String,
    bound: Vec<Bound>,
}

impl Build<'_> {
    fn bind(&mut self, value: Bound) -> String {
        self.bound.push(value);
        format!("?{}", self.bound.len())
    }

    /// A property's value. What has an index is written as the index has it; any other name is bound.
    fn value(&mut self, property: &str) -> String {
        if property == "id" {
            return "id".into();
        }
        if self.collection.definition.index.iter().any(|name| name == property) {
            return extract(property);
        }
        format!("json_extract(data, {})", self.bind(Bound::Text(path(property))))
    }

    fn kind(&mut self, property: &str) -> String {
        format!("json_type(data, {})", self.bind(Bound::Text(path(property))))
    }

    fn order(&mut self, query: &Query) -> Vec<(String, bool)> {
        let mut order = Vec::new();
        for (property, falls) in &query.order {
            order.push((self.value(property), *falls));
            if property == "id" {
                return order;
            }
        }
        order.push(("id".into(), false));
        order
    }

    fn filter(&mut self, filter: &[Test]) -> Result<(), Refusal> {
        if filter.len() > limits::CONDITIONS_MAX {
            return Err(invalid(format!("{} conditions; at most {}", filter.len(), limits::CONDITIONS_MAX)));
        }
        for test in filter {
            let condition = self.test(test)?;
            self.sql.push_str(&format!(" AND ({condition})"));
        }
        Ok(())
    }

    fn test(&mut self, test: &Test) -> Result<String, Refusal> {
        let property = test.property.as_str();
        Ok(match &test.is {
            Is::Eq(value) => self.equals(property, value)?,
            Is::Ne(value) => format!("NOT coalesce(({}), 0)", self.equals(property, value)?),
            Is::Lt(value) => self.compares(property, "<", value)?,
            Is::Lte(value) => self.compares(property, "<=", value)?,
            Is::Gt(value) => self.compares(property, ">", value)?,
            Is::Gte(value) => self.compares(property, ">=", value)?,
            Is::In(values) if values.len() > limits::CONDITIONS_MAX => {
                return Err(invalid(format!("{} values in one in; at most {}", values.len(), limits::CONDITIONS_MAX)));
            }
            Is::In(values) => {
                let any: Vec<String> = values.iter().map(|value| self.equals(property, value)).collect::<Result<_, _>>()?;
                if any.is_empty() { "0".into() } else { any.join(" OR ") }
            }
            Is::Has(value) => self.has(property, value)?,
        })
    }

    fn equals(&mut self, property: &str, value: &Value) -> Result<String, Refusal> {
        let left = self.value(property);
        Ok(match value {
            Value::Null => format!("{left} IS NULL"),
            Value::Text(text) => {
                let equal = format!("{left} = {}", self.bind(Bound::Text(text.clone())));
                // Only a list or an object shows itself as a text that begins like this.
                let alone = property != "id" && text.starts_with(['{', '[']);
                if alone { format!("{equal} AND {} = 'text'", self.kind(property)) } else { equal }
            }
            _ if property == "id" => return Err(invalid("an id is compared with a text".into())),
            Value::Bool(truth) => format!("{} = '{truth}'", self.kind(property)),
            Value::Number(number) => {
                let number = bound(number.text());
                let may_be_truth = is_truth(&number);
                let equal = format!("{left} = {}", self.bind(number));
                if may_be_truth { format!("{equal} AND {} IN ('integer', 'real')", self.kind(property)) } else { equal }
            }
            Value::List(_) | Value::Map(_) => {
                return Err(Refusal::Invalid(
                    format!("{property:?} cannot be compared with a list or an object"),
                    Some("\"has\" asks for an element of a list".into()),
                ));
            }
        })
    }

    fn compares(&mut self, property: &str, sign: &str, value: &Value) -> Result<String, Refusal> {
        let left = self.value(property);
        Ok(match value {
            Value::Text(text) => {
                let compared = format!("{left} {sign} {}", self.bind(Bound::Text(text.clone())));
                if property == "id" {
                    return Ok(compared);
                }
                let text = format!("typeof({left}) = 'text'");
                format!("{compared} AND {text} AND (substr({left}, 1, 1) NOT IN ('{{', '[') OR {} = 'text')", self.kind(property))
            }
            Value::Number(number) if property != "id" => {
                let compared = format!("{left} {sign} {}", self.bind(bound(number.text())));
                let number = format!("typeof({left}) IN ('integer', 'real')");
                format!("{compared} AND {number} AND ({left} NOT IN (0, 1) OR {} IN ('integer', 'real'))", self.kind(property))
            }
            _ => return Err(invalid(format!("{property:?}: only numbers and texts are less or greater (an id is a text)"))),
        })
    }

    fn has(&mut self, property: &str, value: &Value) -> Result<String, Refusal> {
        let element = match value {
            Value::Null => "e.type = 'null'".into(),
            Value::Bool(truth) => format!("e.type = '{truth}'"),
            Value::Text(text) => format!("e.type = 'text' AND e.atom = {}", self.bind(Bound::Text(text.clone()))),
            Value::Number(number) => {
                format!("e.type IN ('integer', 'real') AND e.atom = {}", self.bind(bound(number.text())))
            }
            Value::List(_) | Value::Map(_) => {
                return Err(invalid(format!("{property:?}: no list or object is looked for in a list")));
            }
        };
        if property == "id" {
            return Err(invalid("an id is no list".into()));
        }
        let kind = self.kind(property);
        let path = self.bind(Bound::Text(path(property)));
        Ok(format!("{kind} = 'array' AND EXISTS (SELECT 1 FROM json_each(data, {path}) AS e WHERE {element})"))
    }

    /// What comes after the last row of the page before: greater in the first key, or equal there and greater in the next.
    fn after(&mut self, order: &[(String, bool)], cursor: &Cursor) -> Result<(), Refusal> {
        if cursor.keys.len() != order.len() {
            return Err(invalid("this is no cursor of this question".into()));
        }
        let mut condition = "0".to_owned();
        for ((key, falls), value) in order.iter().zip(&cursor.keys).rev() {
            let empty = matches!(value, Bound::Null);
            let value = self.bind(value.clone());
            // NULL comes first, and last where the order falls; no comparison finds it.
            let beyond = match (falls, empty) {
                (false, false) => format!("{key} > {value}"),
                (false, true) => format!("{key} IS NOT NULL"),
                (true, false) => format!("({key} < {value} OR {key} IS NULL)"),
                (true, true) => "0".to_owned(),
            };
            condition = format!("({beyond} OR ({key} IS {value} AND {condition}))");
        }
        self.sql.push_str(&format!(" AND {condition}"));
        Ok(())
    }
}

/// SQLite shows true and false as 1 and 0. What tells them apart reads the whole record, so it is asked only where it can matter.
fn is_truth(number: &Bound) -> bool {
    match number {
        Bound::Integer(whole) => [0, 1].contains(whole),
        Bound::Real(real) => [0.0, 1.0].contains(real),
        _ => false,
    }
}

/// A number as SQLite compares it: whole where it fits, else with a double's precision.
fn bound(text: &str) -> Bound {
    match text.parse::<i64>() {
        Ok(whole) => Bound::Integer(whole),
        Err(_) => Bound::Real(text.parse().unwrap_or(f64::NAN)),
    }
}

fn invalid(what: String) -> Refusal {
    Refusal::Invalid(what, None)
}

#[cfg(test)]
mod tests;
