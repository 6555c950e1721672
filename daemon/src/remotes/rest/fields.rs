//! Owns: the properties of a record in the service's form: out of its rows, and into what it is sent.
//! Must never know: how either travels.

use std::collections::BTreeMap;

use mingle_core::record::{Props, Value};

use super::profile::{Field, RowShape};
use crate::json;

/// The data of a row.
///
/// # Errors
/// When a property is not of the form that the profile says; which, without its content.
pub fn read(shape: &RowShape, mut value: Value) -> Result<Props, String> {
    if shape.fields.is_empty() {
        for pointer in shape.pointers() {
            pointer.take(&mut value);
        }
        return Ok(match value {
            Value::Map(mut props) => {
                props.retain(|name, _| !shape.besides.contains(name));
                props
            }
            _ => Props::new(),
        });
    }
    let mut props = Props::new();
    for (name, field) in &shape.fields {
        let found = match &field.at {
            Some(at) => at.find(&value).cloned(),
            None => match &value {
                Value::Map(row) => row.get(name).cloned(),
                _ => None,
            },
        };
        let found = match (found, &field.item) {
            (Some(Value::List(items)), Some(at)) => {
                let parts = items.iter().map(|item| at.find(item).cloned()).collect::<Option<Vec<_>>>();
                Some(Value::List(parts.ok_or_else(|| format!("an item of its {name} has nothing at {at}"))?))
            }
            (Some(Value::Null) | None, _) => None,
            (Some(other), Some(_)) => return Err(format!("its {name} is {}, not a list", json::kind(&other))),
            (found, None) => found,
        };
        if let Some(found) = found {
            props.insert(name.clone(), found);
        }
    }
    Ok(props)
}

/// Properties as the service takes them: what the profile names as its own never leaves us as data. None clears, and is sent as such where `clears`.
#[must_use]
pub fn sent(shape: &RowShape, props: &BTreeMap<String, Option<Value>>, clears: bool) -> Value {
    let mut out = Value::Map(Props::new());
    let put = |out: &mut Value, name: &String, value: Value| {
        if let Value::Map(out) = out {
            out.insert(name.clone(), value);
        }
    };
    if shape.fields.is_empty() {
        for (name, value) in props.iter().filter(|(_, value)| clears || value.is_some()) {
            put(&mut out, name, value.clone().unwrap_or(Value::Null));
        }
        for pointer in shape.pointers() {
            pointer.take(&mut out);
        }
        if let Value::Map(out) = &mut out {
            out.retain(|name, _| !shape.besides.contains(name));
        }
        return out;
    }
    for (name, field) in shape.fields.iter().filter(|(_, field)| !field.fixed) {
        let value = match props.get(name) {
            Some(Some(value)) if *value != Value::Null => in_its_form(field, value),
            Some(_) if clears => field.cleared.clone().unwrap_or(Value::Null),
            _ => continue,
        };
        match &field.send {
            Some(at) => at.put(&mut out, value),
            None => put(&mut out, name, value),
        }
    }
    out
}

fn in_its_form(field: &Field, value: &Value) -> Value {
    match (value, &field.join) {
        (Value::Text(text), _) => Value::Text(field.words.get(text).unwrap_or(text).clone()),
        (Value::List(items), Some(between)) => {
            let words: Vec<String> = items.iter().filter_map(super::rows::word).collect();
            Value::Text(words.join(between))
        }
        _ => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: &str = r#"
        id = "/number"
        [fields]
        title = {}
        labels = { item = "/name", join = ",", cleared = "" }
        milestone = { at = "/milestone/number", send = "/milestone_id", cleared = 0 }
        state = { send = "/event", words = { closed = "close" } }
        author = { at = "/user/login", fixed = true }
    "#;

    fn shape() -> RowShape {
        toml::from_str(SHAPE).unwrap()
    }

    #[test]
    fn properties_are_read_where_they_are() {
        let check = |row: &str, expect: &str| {
            let read = read(&shape(), json::parse(row).unwrap());
            assert_eq!(read.map_or_else(|why| format!("? {why}"), |props| json::write(&props)), expect, "{row}");
        };
        check(
            r#"{"number":1,"title":"a","labels":[{"name":"x","id":4},{"name":"y"}],"milestone":{"number":3},"user":{"login":"me"},"more":1}"#,
            r#"{"author":"me","labels":["x","y"],"milestone":3,"title":"a"}"#,
        );
        check(r#"{"number":1,"title":null,"labels":[],"milestone":null,"state":"closed"}"#, r#"{"labels":[],"state":"closed"}"#);
        check(r#"{"number":1,"labels":"x"}"#, "? its labels is a text, not a list");
        check(r#"{"number":1,"labels":[{"id":1}]}"#, "? an item of its labels has nothing at /name");
    }

    #[test]
    fn properties_are_sent_as_they_are_taken() {
        let check = |patch: &str, clears: bool, expect: &str| {
            let props = json::parse_object(patch).unwrap();
            let props = props.into_iter().map(|(name, value)| (name, Some(value).filter(|value| *value != Value::Null)));
            assert_eq!(json::write_value(&sent(&shape(), &props.collect(), clears)), expect, "{patch}");
        };
        check(r#"{"title":"a","labels":["x","y"],"author":"you","more":1}"#, false, r#"{"labels":"x,y","title":"a"}"#);
        check(r#"{"state":"closed","milestone":3}"#, true, r#"{"event":"close","milestone_id":3}"#);
        check(
            r#"{"state":"open","labels":null,"milestone":null,"title":null}"#,
            true,
            r#"{"event":"open","labels":"","milestone_id":0,"title":null}"#,
        );
        check(r#"{"labels":null,"title":"a"}"#, false, r#"{"title":"a"}"#);
    }
}
