//! Owns: the texts of the simulation: values that are each written once, and their canonical form. Must never know: who compares.

use mingle_core::record::{Props, Value};

/// The property that names a record for the oracle: written when it is made, never after.
pub const KEY: &str = "k";

/// Properties by which a record is known where the identity has alternatives: each is of one record alone, and may be absent somewhere.
pub const NAMES: [&str; 2] = ["e", "n"];

/// Properties that everybody edits.
pub const PROPERTIES: [&str; 3] = ["a", "b", "c"];

/// A text as a service writes it that has its own way.
pub fn tidy(text: &str) -> String {
    text.trim().to_lowercase()
}

/// A value that nobody wrote before, in a form that a tidy service changes.
pub fn fresh(number: usize, tidies: bool) -> String {
    if tidies { format!("V{number} ") } else { format!("v{number}") }
}

/// The canonical form of a value; none: absent.
pub fn canonical(value: Option<&Value>) -> Option<String> {
    match value {
        None | Some(Value::Null) => None,
        Some(Value::Text(text)) => Some(tidy(text)),
        Some(other) => Some(format!("{other:?}")),
    }
}

/// The canonical form of one property.
pub fn at(props: &Props, name: &str) -> Option<String> {
    canonical(props.get(name))
}

/// The oracle's name of a record.
pub fn key(props: &Props) -> Option<String> {
    at(props, KEY)
}

/// A text value.
pub fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}
