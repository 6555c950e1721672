//! Owns: JSON pointers (RFC 6901) into core values.
//! Must never know: what lies where they point.

use mingle_core::record::{Props, Value};
use serde::Deserialize;

/// A place in a JSON value: empty is the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Pointer(Vec<String>);

impl TryFrom<String> for Pointer {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let Some(rest) = text.strip_prefix('/') else {
            return if text.is_empty() {
                Ok(Self::default())
            } else {
                Err(format!("the pointer {text:?} does not begin with /"))
            };
        };
        rest.split('/')
            .map(unescaped)
            .collect::<Option<_>>()
            .map(Self)
            .ok_or(format!("the pointer {text:?} has a ~ that is neither ~0 nor ~1"))
    }
}

fn unescaped(token: &str) -> Option<String> {
    let mut parts = token.split('~');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push(if part.starts_with('0') {
            '~'
        } else if part.starts_with('1') {
            '/'
        } else {
            return None;
        });
        out.push_str(&part[1..]);
    }
    Some(out)
}

impl std::fmt::Display for Pointer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|token| write!(f, "/{}", token.replace('~', "~0").replace('/', "~1")))
    }
}

impl Pointer {
    /// What lies there.
    #[must_use]
    pub fn find<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.0.iter().try_fold(value, |value, token| match value {
            Value::Map(props) => props.get(token),
            Value::List(list) => list.get(place(token)?),
            _ => None,
        })
    }

    /// The names that lead there, the outermost first.
    #[must_use]
    pub fn way(&self) -> &[String] {
        &self.0
    }

    /// Takes out what lies there. What held it stays, also when it is empty now.
    pub fn take(&self, value: &mut Value) -> Option<Value> {
        let Some((last, way)) = self.0.split_last() else { return Some(std::mem::replace(value, Value::Null)) };
        let holder = way.iter().try_fold(value, |value, token| match value {
            Value::Map(props) => props.get_mut(token),
            Value::List(list) => list.get_mut(place(token)?),
            _ => None,
        })?;
        match holder {
            Value::Map(props) => props.remove(last),
            Value::List(list) => place(last).filter(|at| *at < list.len()).map(|at| list.remove(at)),
            _ => None,
        }
    }

    /// Puts a value there; objects that lead to it are made, and what stands in their place goes.
    pub fn put(&self, value: &mut Value, what: Value) {
        let mut here = value;
        for token in &self.0 {
            if !matches!(here, Value::Map(_)) {
                *here = Value::Map(Props::new());
            }
            let Value::Map(props) = here else { return };
            here = props.entry(token.clone()).or_insert(Value::Null);
        }
        *here = what;
    }

    /// The value inside objects that lead to it.
    #[must_use]
    pub fn wrap(&self, value: Value) -> Value {
        self.0.iter().rev().fold(value, |inner, token| Value::Map(Props::from([(token.clone(), inner)])))
    }

    /// The name of a property of the outermost object, if it is one.
    #[must_use]
    pub fn property(&self) -> Option<&str> {
        match self.0.as_slice() {
            [name] => Some(name),
            _ => None,
        }
    }
}

fn place(token: &str) -> Option<usize> {
    // RFC 6901: no leading zeros, no sign.
    let plain = token == "0" || (!token.starts_with('0') && token.bytes().all(|byte| byte.is_ascii_digit()));
    plain.then(|| token.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn pointers_follow_the_rfc() {
        let document = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"m~n":8,"~1":9,"n":{"01":{"x":[]}}}"#;
        let check = |pointer: &str, expect: Option<&str>| {
            let mut value = json::parse(document).unwrap();
            let pointer = Pointer::try_from(pointer.to_owned()).unwrap();
            assert_eq!(pointer.find(&value).map(json::write_value).as_deref(), expect, "{pointer}");
            assert_eq!(pointer.take(&mut value).as_ref().map(json::write_value).as_deref(), expect, "{pointer} taken");
        };
        check("/foo", Some("[\"bar\",\"baz\"]"));
        check("/foo/0", Some("\"bar\""));
        check("/foo/2", None);
        check("/foo/01", None);
        check("/foo/-", None);
        check("/foo/+1", None);
        check("/", Some("0"));
        check("/a~1b", Some("1"));
        check("/c%d", Some("2"));
        check("/m~0n", Some("8"));
        check("/~01", Some("9"));
        check("/n/01/x", Some("[]"));
        check("/n/01/x/y", None);
        check("/foo/bar/baz", None);
        for wrong in ["foo", "/~2", "/a~"] {
            assert!(Pointer::try_from(wrong.to_owned()).is_err(), "{wrong}");
        }
        let mut value = json::parse(r#"{"a":1,"b":{"c":2}}"#).unwrap();
        for (at, expect) in [("/b/d", r#"{"a":1,"b":{"c":2,"d":true}}"#), ("/a/x", r#"{"a":{"x":true},"b":{"c":2,"d":true}}"#)] {
            Pointer::try_from(at.to_owned()).unwrap().put(&mut value, Value::Bool(true));
            assert_eq!(json::write_value(&value), expect, "{at}");
        }
        let wrapped = Pointer::try_from("/a/b".to_owned()).unwrap().wrap(Value::Bool(true));
        assert_eq!(json::write_value(&wrapped), r#"{"a":{"b":true}}"#);
    }
}
