//! Owns: a filter as it is written: `filter = { state = "open", n = { gt = 3 } }`, with what is wrong with it at its place. Must never
//! know: what it is for.

use mingle_core::{
    ask::{Is, Test},
    filter::{self, Filter},
    record::{Number, Props, Value},
};
use toml::de::{DeTable, DeValue};

use super::section::{Inner, Section};
use crate::json;

const EXAMPLE: &str = "filter = { state = \"open\", n = { gt = 3 } }";
const OPERATORS: [&str; 8] = ["eq", "ne", "lt", "lte", "gt", "gte", "in", "has"];

/// More conditions than that were written by a program; it should ask the remote for less.
const CONDITIONS_MAX: usize = 100;

/// The filter of a section; what is wrong with it is a problem, and never "everything": no configuration is taken with one.
pub(super) fn read(read: &mut Section<'_>) -> Filter {
    let table = match read.inner("filter", EXAMPLE) {
        Inner::Table(table) => table,
        Inner::Absent => return Filter::default(),
        Inner::False => {
            read.complain("filter", "`filter` must be a table", EXAMPLE);
            return Filter::default();
        }
        Inner::Wrong => return Filter::default(),
    };
    let mut tests = Vec::new();
    let mut text = Props::new();
    for (property, condition) in table {
        let property = property.get_ref().to_string();
        let place = format!("filter.{property}");
        match conditions(&property, condition.get_ref()) {
            Ok((mut some, written)) => {
                for test in &some {
                    if let Some(what) = filter::wrong(test) {
                        read.complain(&place, format!("`{property}`: {what}"), EXAMPLE);
                    }
                }
                tests.append(&mut some);
                text.insert(property, written);
            }
            Err((what, hint)) => read.complain(&place, format!("`{property}`: {what}"), hint),
        }
    }
    if tests.is_empty() && table.is_empty() {
        read.complain("filter", "an empty `filter` means nothing", "take it out to mean everything");
    }
    if tests.len() > CONDITIONS_MAX {
        read.complain("filter", format!("{} conditions; at most {CONDITIONS_MAX}", tests.len()), "");
    }
    Filter { text: if tests.is_empty() { String::new() } else { json::write(&text) }, tests }
}

type Wrong = (String, String);

fn conditions(property: &str, written: &DeValue<'_>) -> Result<(Vec<Test>, Value), Wrong> {
    if property == "id" {
        return Err(("a filter is about properties; an id is none".into(), String::new()));
    }
    let test = |is| Test { property: property.to_owned(), is };
    let DeValue::Table(table) = written else {
        let value = value(written)?;
        return Ok((vec![test(Is::Eq(value.clone()))], value));
    };
    if table.is_empty() {
        return Err(("no condition".into(), EXAMPLE.into()));
    }
    let mut tests = Vec::new();
    for (operator, operand) in table {
        tests.push(test(is(operator.get_ref(), value(operand.get_ref())?)?));
    }
    Ok((tests, value(written)?))
}

fn is(operator: &str, value: Value) -> Result<Is, Wrong> {
    filter::is(operator, value).ok_or_else(|| match operator {
        "in" => ("`in` needs a list".into(), "write { in = [1, 2] }".into()),
        other => (format!("there is no operator `{other}`"), format!("operators: {}", OPERATORS.join(", "))),
    })
}

fn value(written: &DeValue<'_>) -> Result<Value, Wrong> {
    let number = |text: String| Ok(Value::Number(Number::as_written(text)));
    match written {
        DeValue::String(text) => Ok(Value::Text(text.to_string())),
        DeValue::Boolean(truth) => Ok(Value::Bool(*truth)),
        DeValue::Integer(whole) => match i64::from_str_radix(whole.as_str(), whole.radix()) {
            Ok(whole) => number(whole.to_string()),
            Err(_) => Err(("the number is too large".into(), String::new())),
        },
        DeValue::Float(real) => match real.as_str().parse::<f64>() {
            Ok(real) if real.is_finite() => number(real.to_string()),
            _ => Err(("this is no number that a record can have".into(), String::new())),
        },
        DeValue::Array(items) => Ok(Value::List(items.iter().map(|item| value(item.get_ref())).collect::<Result<_, _>>()?)),
        DeValue::Table(table) => Ok(Value::Map(map(table)?)),
        DeValue::Datetime(_) => {
            Err(("a time is compared as a text".into(), "write it in quotes, in the form that the remote uses".into()))
        }
    }
}

fn map(table: &DeTable<'_>) -> Result<Props, Wrong> {
    table.iter().map(|(key, inner)| Ok((key.get_ref().to_string(), value(inner.get_ref())?))).collect()
}
