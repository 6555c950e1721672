//! Owns: JSON text to and from the core's values, numbers kept as they were written (but `1E5` as `1e+5`).
//! Must never know: whose text it is (a remote's, an app's, the store's).

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    ops::Range,
};

use mingle_core::{
    limits::RECORD_VALUES_BYTES_MAX,
    record::{Number, Props, Value},
};
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Why a text is not what was asked for: what is wrong and where, never the text itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct JsonError {
    what: String,
    /// It would take more memory than there is for it.
    pub heavy: bool,
}

impl JsonError {
    fn new(what: String) -> Self {
        Self { what, heavy: false }
    }
}

/// Reads one JSON value. Of a name written twice in an object the last counts, as nearly everybody reads it; objects and lists may lie 127 deep (`serde_json`'s own bound, which
/// keeps the stack).
///
/// # Errors
/// When the text is not one JSON value, or too deep.
pub fn parse(text: &str) -> Result<Value, JsonError> {
    read(text, None, &Cell::new(usize::MAX), None)
}

/// As [`parse`], of a stranger's text: values that would take more than so many bytes of memory are an error. With the value, the
/// bytes that it takes.
///
/// # Errors
/// As [`parse`], and [`JsonError::heavy`].
pub fn parse_within(text: &str, bytes_max: usize) -> Result<(Value, usize), JsonError> {
    let left = Cell::new(bytes_max);
    let value = read(text, None, &left, None)?;
    Ok((value, bytes_max - left.get()))
}

/// Takes the elements of one list while a text is read, so that they are never there all at once.
pub trait Elements {
    /// The list begins. Whatever came before is nothing: of a name written twice the last counts.
    fn begin(&mut self);
    /// One element. Returns how many bytes of memory are kept of it.
    fn element(&mut self, value: Value) -> usize;
    /// One that cannot be read ([`parse_elements_singly`]), and what can be read of it. Returns the same.
    fn unreadable(&mut self, rest: Value, why: JsonError) -> usize;
}

/// As [`parse_within`], but the elements of the list that these names lead to (as in a JSON pointer) are handed over one by one, and
/// that list is left empty. What was handed over counts only once the whole text was read. One element, and what is kept of all
/// before it, take the bytes.
///
/// # Errors
/// As [`parse_within`].
pub fn parse_elements(
    text: &str,
    bytes_max: usize,
    path: &[String],
    elements: &mut dyn Elements,
) -> Result<(Value, usize), JsonError> {
    elements_of(text, bytes_max, Way { path, elements: &RefCell::new(elements), singly: false })
}

/// As [`parse_elements`], but an element that cannot be read (too deep, with half a character in it) does not cost the others. It
/// takes longer: for a text that [`parse_elements`] did not take.
///
/// # Errors
/// As [`parse_elements`], for what is no JSON and for what stands around the elements.
pub fn parse_elements_singly(
    text: &str,
    bytes_max: usize,
    path: &[String],
    elements: &mut dyn Elements,
) -> Result<(Value, usize), JsonError> {
    elements_of(text, bytes_max, Way { path, elements: &RefCell::new(elements), singly: true })
}

fn elements_of(text: &str, bytes_max: usize, way: Way<'_>) -> Result<(Value, usize), JsonError> {
    let left = Cell::new(bytes_max);
    let value = read(text, None, &left, Some(way))?;
    Ok((value, bytes_max - left.get()))
}

/// What can be read of a text that is JSON and no value that we can keep (too deep, with half a character in it): of objects, property by
/// property. None: it is no JSON.
#[must_use]
pub fn parse_what_can_be(text: &str, bytes_max: usize) -> Option<Value> {
    serde_json::from_str::<&RawValue>(text).ok()?;
    Some(readable(text, &Cell::new(bytes_max), READABLE_LEVELS))
}

/// What can be read of an object, property by property, also of objects in it; null where it is none.
fn readable(text: &str, left: &Cell<usize>, levels: usize) -> Value {
    let Ok(parts) = serde_json::from_str::<BTreeMap<String, &RawValue>>(text) else { return Value::Null };
    let part = |(name, part): (String, &RawValue)| {
        let value = read(part.get(), None, left, None).or_else(|why| match levels {
            0 => Err(why),
            _ => Ok(readable(part.get(), left, levels - 1)),
        });
        Some((name, value.ok()?))
    };
    Value::Map(parts.into_iter().filter_map(part).collect())
}

/// So deep in an element that cannot be read its name is looked for.
const READABLE_LEVELS: usize = 4;

/// As [`parse`], for a text whose writer can still mend it: a name written twice in an object is an error, that names it; so are more
/// values than a record may have ([`RECORD_VALUES_BYTES_MAX`]).
///
/// # Errors
/// As [`parse`], for such a name, and [`JsonError::heavy`].
pub fn parse_once(text: &str) -> Result<Value, JsonError> {
    let twice = Cell::new(None);
    let value = read(text, Some(&twice), &Cell::new(RECORD_VALUES_BYTES_MAX), None);
    match twice.take() {
        None => value,
        Some(name) => {
            let name: String = name.chars().take(NAME_CHARS_SHOWN).collect();
            Err(JsonError::new(format!("the name {name:?} is written twice in one object")))
        }
    }
}

/// Of a name that is written twice, so much is shown.
const NAME_CHARS_SHOWN: usize = 64;

/// What a value takes in a list, with the room that the list keeps for more.
const ELEMENT_BYTES: usize = 2 * size_of::<Value>();
/// What the first entry of an object takes, and each further one: trees grow by nodes of eleven.
const FIRST_ENTRY_BYTES: usize = 12 * (size_of::<String>() + size_of::<Value>());
const ENTRY_BYTES: usize = FIRST_ENTRY_BYTES / 6;
/// What the allocator adds to a text, and gives it at least.
const TEXT_BYTES: usize = 24;

fn read(text: &str, twice: Option<&Cell<Option<String>>>, left: &Cell<usize>, way: Option<Way<'_>>) -> Result<Value, JsonError> {
    let start = text.as_ptr() as usize;
    let within = start..start + text.len();
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Seed { within: &within, twice, left, way }.deserialize(&mut reader);
    let value = value.map_err(|error| JsonError { heavy: left.get() == 0, ..told(&error) })?;
    reader.end().map_err(|error| told(&error))?;
    Ok(value)
}

/// Reads one JSON object.
///
/// # Errors
/// As [`parse`], and when the value is not an object.
pub fn parse_object(text: &str) -> Result<Props, JsonError> {
    object(parse(text)?)
}

/// Reads one JSON object, as [`parse_once`].
///
/// # Errors
/// As [`parse_once`], and when the value is not an object.
pub fn parse_object_once(text: &str) -> Result<Props, JsonError> {
    object(parse_once(text)?)
}

fn object(value: Value) -> Result<Props, JsonError> {
    match value {
        Value::Map(props) => Ok(props),
        other => Err(JsonError::new(format!("{} where an object was expected", kind(&other)))),
    }
}

/// The compact form of an object, names sorted: equal objects give equal texts, as long as their numbers are written alike.
#[must_use]
pub fn write(props: &Props) -> String {
    let mut out = String::with_capacity(64);
    put_map(&mut out, props);
    out
}

/// The compact form of a value.
#[must_use]
pub fn write_value(value: &Value) -> String {
    let mut out = String::new();
    put(&mut out, value);
    out
}

/// What kind of value it is, for error texts.
#[must_use]
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::Text(_) => "a text",
        Value::List(_) => "a list",
        Value::Map(_) => "an object",
    }
}

fn told(error: &serde_json::Error) -> JsonError {
    // serde_json's own words can quote the text when a type does not fit; the category and the place never do.
    let what = match error.classify() {
        serde_json::error::Category::Eof => "the JSON text ends too early",
        serde_json::error::Category::Data if error.to_string().starts_with(HEAVY) => "the JSON text has too many values",
        serde_json::error::Category::Data => "the JSON value does not fit",
        _ if error.to_string().starts_with("recursion limit") => "the JSON value is too deep",
        _ if error.to_string().contains("hex escape") => "half a character stands in a JSON text",
        _ => "not JSON",
    };
    JsonError::new(format!("{what} (line {}, column {})", error.line(), error.column()))
}

fn put(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => out.push_str(number.text()),
        Value::Text(text) => put_text(out, text),
        Value::List(list) => {
            out.push('[');
            for (at, one) in list.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                put(out, one);
            }
            out.push(']');
        }
        Value::Map(props) => put_map(out, props),
    }
}

fn put_map(out: &mut String, props: &Props) {
    out.push('{');
    for (at, (name, value)) in props.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        put_text(out, name);
        out.push(':');
        put(out, value);
    }
    out.push('}');
}

fn put_text(out: &mut String, text: &str) {
    out.push('"');
    let mut plain = 0;
    for (at, byte) in text.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        if escape.is_empty() {
            out.push_str(&format!("\\u{byte:04x}"));
        } else {
            out.push_str(escape);
        }
        plain = at + 1;
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// The name under which `serde_json` hands over a number as it was written (its feature `arbitrary_precision`). A test holds it.
const NUMBER: &str = "$serde_json::private::Number";

/// Reads one value; `within` is where the text lies in memory. A document may hold [`NUMBER`] as an ordinary name: that one lies
/// in the text, `serde_json`'s own does not. `twice`: a name written twice ends it, and goes there. `left`: so many bytes of memory
/// the values may still take; nothing once they took more.
#[derive(Clone, Copy)]
struct Seed<'a> {
    within: &'a Range<usize>,
    twice: Option<&'a Cell<Option<String>>>,
    left: &'a Cell<usize>,
    way: Option<Way<'a>>,
}

/// What leads from here to the list whose elements are handed over.
#[derive(Clone, Copy)]
struct Way<'a> {
    path: &'a [String],
    elements: &'a dyn Sink,
    singly: bool,
}

/// [`Elements`], for seeds that share them.
trait Sink {
    fn begin(&self);
    fn element(&self, value: Value) -> usize;
    fn unreadable(&self, rest: Value, why: JsonError) -> usize;
}

impl Sink for RefCell<&mut dyn Elements> {
    fn begin(&self) {
        self.borrow_mut().begin();
    }
    fn element(&self, value: Value) -> usize {
        self.borrow_mut().element(value)
    }
    fn unreadable(&self, rest: Value, why: JsonError) -> usize {
        self.borrow_mut().unreadable(rest, why)
    }
}

/// What an error says where the values take too much.
const HEAVY: &str = "too many values";

impl Seed<'_> {
    fn weigh<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let left = self.left.get().saturating_sub(bytes);
        self.left.set(left);
        if left == 0 { Err(E::custom(HEAVY)) } else { Ok(()) }
    }

    /// The seed of what lies below here, under the name that `is` knows.
    fn below(self, is: impl FnOnce(&str) -> bool) -> Self {
        let Some(way) = self.way else { return self };
        let way = match way.path.split_first() {
            Some((first, path)) if is(first) => {
                way.elements.begin();
                Some(Way { path, ..way })
            }
            _ => None,
        };
        Self { way, ..self }
    }

    fn hand_over<'de, A: SeqAccess<'de>>(self, way: Way<'_>, mut seq: A) -> Result<Value, A::Error> {
        way.elements.begin();
        loop {
            let left = self.left.get();
            let kept = if way.singly {
                let Some(text) = seq.next_element::<&RawValue>()?.map(RawValue::get) else { return Ok(Value::List(Vec::new())) };
                match read(text, None, self.left, None) {
                    Ok(one) => way.elements.element(one),
                    Err(why) if why.heavy => return Err(A::Error::custom(HEAVY)),
                    Err(why) => way.elements.unreadable(readable(text, self.left, READABLE_LEVELS), why),
                }
            } else {
                let Some(one) = seq.next_element_seed(Self { way: None, ..self })? else { return Ok(Value::List(Vec::new())) };
                way.elements.element(one)
            };
            self.left.set(left);
            self.weigh(kept)?;
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }
    // Whole numbers of 64 bits have one written form, so nothing is lost on this way.
    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.weigh(TEXT_BYTES)?;
        Ok(Value::Number(Number::as_written(value.to_string())))
    }
    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Value, E> {
        self.weigh(TEXT_BYTES)?;
        Ok(Value::Number(Number::as_written(value.to_string())))
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.weigh(TEXT_BYTES + text.len())?;
        Ok(Value::Text(text.to_owned()))
    }
    fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Value, E> {
        self.weigh(TEXT_BYTES + text.len())?;
        Ok(Value::Text(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        if let Some(way) = self.way.filter(|way| way.path.is_empty()) {
            return self.hand_over(way, seq);
        }
        let mut list = Vec::new();
        while let Some(one) = seq.next_element_seed(self.below(|name| name == list.len().to_string()))? {
            self.weigh(ELEMENT_BYTES)?;
            list.push(one);
        }
        Ok(Value::List(list))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut props = Props::new();
        while let Some(name) = map.next_key_seed(Name)? {
            if let Cow::Borrowed(NUMBER) = name
                && !self.within.contains(&(name.as_ptr() as usize))
            {
                let text: String = map.next_value()?;
                self.weigh(TEXT_BYTES + text.len())?;
                return match map.next_key::<IgnoredAny>()? {
                    None => Ok(Value::Number(Number::as_written(text))),
                    Some(_) => Err(A::Error::custom("a number with a second half")),
                };
            }
            let value = map.next_value_seed(self.below(|first| first == name))?;
            self.weigh(if props.is_empty() { FIRST_ENTRY_BYTES } else { ENTRY_BYTES } + TEXT_BYTES + name.len())?;
            match (props.entry(name.into_owned()), self.twice) {
                (Entry::Vacant(entry), _) => {
                    entry.insert(value);
                }
                (Entry::Occupied(mut entry), None) => {
                    entry.insert(value);
                }
                (Entry::Occupied(entry), Some(twice)) => {
                    twice.set(Some(entry.key().clone()));
                    return Err(A::Error::custom("a name written twice"));
                }
            }
        }
        Ok(Value::Map(props))
    }
}

struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests;
