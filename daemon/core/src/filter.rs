//! Owns: filters: whether a record fits, by the same tests as `where`. Must never know: where they are written, how a list is filtered
//! in the store.

use crate::{
    ask::{Is, Test},
    planted,
    record::{Props, Value},
};

/// Which records are meant. The default means all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// As it is written, in one form: two filters are the same where this is. Empty: all are meant.
    pub text: String,
    /// All must hold.
    pub tests: Vec<Test>,
}

impl Filter {
    /// Whether a record fits.
    #[must_use]
    pub fn fits(&self, props: &Props) -> bool {
        planted::is("row outside the filter taken") || self.tests.iter().all(|test| holds(test, props))
    }

    /// Whether it leaves nothing out.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.tests.is_empty()
    }
}

/// The comparison of this name; none: there is none, or it needs another value than this.
#[must_use]
pub fn is(operator: &str, value: Value) -> Option<Is> {
    Some(match (operator, value) {
        ("eq", value) => Is::Eq(value),
        ("ne", value) => Is::Ne(value),
        ("lt", value) => Is::Lt(value),
        ("lte", value) => Is::Lte(value),
        ("gt", value) => Is::Gt(value),
        ("gte", value) => Is::Gte(value),
        ("has", value) => Is::Has(value),
        ("in", Value::List(values)) => Is::In(values),
        _ => return None,
    })
}

/// A comparison as [`is`] reads it: its name, and the value.
#[must_use]
pub fn parts(is: &Is) -> (&'static str, Value) {
    match is {
        Is::Eq(value) => ("eq", value.clone()),
        Is::Ne(value) => ("ne", value.clone()),
        Is::Lt(value) => ("lt", value.clone()),
        Is::Lte(value) => ("lte", value.clone()),
        Is::Gt(value) => ("gt", value.clone()),
        Is::Gte(value) => ("gte", value.clone()),
        Is::Has(value) => ("has", value.clone()),
        Is::In(values) => ("in", Value::List(values.clone())),
    }
}

/// Whether one test holds.
fn holds(test: &Test, props: &Props) -> bool {
    let value = props.get(&test.property).filter(|value| **value != Value::Null);
    match &test.is {
        Is::Eq(wanted) => equals(value, wanted),
        Is::Ne(wanted) => !equals(value, wanted),
        Is::Lt(wanted) => compares(value, wanted, std::cmp::Ordering::is_lt),
        Is::Lte(wanted) => compares(value, wanted, std::cmp::Ordering::is_le),
        Is::Gt(wanted) => compares(value, wanted, std::cmp::Ordering::is_gt),
        Is::Gte(wanted) => compares(value, wanted, std::cmp::Ordering::is_ge),
        Is::In(wanted) => wanted.iter().any(|wanted| equals(value, wanted)),
        Is::Has(wanted) => match value {
            Some(Value::List(list)) => list.iter().any(|one| equals(Some(one).filter(|one| **one != Value::Null), wanted)),
            _ => false,
        },
    }
}

fn equals(value: Option<&Value>, wanted: &Value) -> bool {
    match (value, wanted) {
        (None, Value::Null) => true,
        (Some(Value::Number(value)), Value::Number(wanted)) => value.by_value(wanted).is_eq(),
        (Some(value), wanted) => value == wanted,
        (None, _) => false,
    }
}

fn compares(value: Option<&Value>, wanted: &Value, is: fn(std::cmp::Ordering) -> bool) -> bool {
    match (value, wanted) {
        (Some(Value::Number(value)), Value::Number(wanted)) => is(value.by_value(wanted)),
        (Some(Value::Text(value)), Value::Text(wanted)) => is(value.cmp(wanted)),
        _ => false,
    }
}

/// What is wrong with a test, in words; none: it can be meant.
#[must_use]
pub fn wrong(test: &Test) -> Option<String> {
    let scalar = |value: &Value| !matches!(value, Value::List(_) | Value::Map(_));
    let ordered = |value: &Value| matches!(value, Value::Number(_) | Value::Text(_));
    match &test.is {
        Is::Eq(value) | Is::Ne(value) if !scalar(value) => {
            Some("a list or an object is not compared; `has` asks for an element".into())
        }
        Is::Lt(value) | Is::Lte(value) | Is::Gt(value) | Is::Gte(value) if !ordered(value) => {
            Some("only numbers and texts are less or greater".into())
        }
        Is::In(values) if !values.iter().all(scalar) => Some("a list or an object is not compared".into()),
        Is::Has(value) if !scalar(value) => Some("no list or object is looked for in a list".into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Number;

    fn number(text: &str) -> Value {
        Value::Number(Number::as_written(text))
    }

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[track_caller]
    fn check(is: Is, value: Option<Value>, expect: bool) {
        let props: Props = value.into_iter().map(|value| ("p".to_owned(), value)).collect();
        let filter = Filter { text: "f".into(), tests: vec![Test { property: "p".into(), is }] };
        assert_eq!(filter.fits(&props), expect, "{filter:?} {props:?}");
    }

    #[test]
    fn a_record_fits_where_all_tests_hold() {
        check(Is::Eq(text("a")), Some(text("a")), true);
        check(Is::Eq(text("a")), Some(text("A")), false);
        check(Is::Eq(text("1")), Some(number("1")), false);
        check(Is::Eq(number("1")), Some(number("1.0")), true);
        check(Is::Eq(Value::Bool(true)), Some(number("1")), false);
        check(Is::Eq(Value::Null), None, true);
        check(Is::Eq(Value::Null), Some(Value::Null), true);
        check(Is::Ne(text("a")), None, true);
        check(Is::Ne(text("a")), Some(text("a")), false);
        check(Is::Lt(number("2")), Some(number("1")), true);
        check(Is::Lt(number("2")), Some(text("1")), false);
        check(Is::Lt(number("2")), None, false);
        check(Is::Gte(text("b")), Some(text("b")), true);
        check(Is::In(vec![text("a"), number("2")]), Some(number("2")), true);
        check(Is::In(vec![]), Some(number("2")), false);
        check(Is::Has(text("x")), Some(Value::List(vec![number("1"), text("x")])), true);
        check(Is::Has(text("x")), Some(text("x")), false);
        assert!(Filter::default().fits(&Props::new()), "no filter means all");
    }

    #[test]
    fn each_comparison_has_its_name() {
        for name in ["eq", "ne", "lt", "lte", "gt", "gte", "has", "in"] {
            let value = Value::List(vec![text("a")]);
            let read = is(name, value.clone()).expect("a comparison");
            assert_eq!(parts(&read), (name, value));
        }
        assert_eq!((is("in", text("a")), is("above", text("a"))), (None, None));
    }

    #[test]
    fn what_cannot_be_meant_is_told() {
        let test = |is| Test { property: "p".into(), is };
        for no in [
            Is::Eq(Value::List(vec![])),
            Is::Ne(Value::Map(Props::new())),
            Is::Lt(Value::Bool(true)),
            Is::Gt(Value::Null),
            Is::In(vec![Value::List(vec![])]),
            Is::Has(Value::List(vec![])),
        ] {
            assert!(wrong(&test(no.clone())).is_some(), "{no:?}");
        }
        assert_eq!(wrong(&test(Is::In(vec![text("a"), Value::Null]))), None);
    }
}
