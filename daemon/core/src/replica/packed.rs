//! Owns: a row in one piece of memory, for as long as it waits to be met. Must never know: JSON, or what a row means.
//!
//! As values a row of 400 bytes takes three to four times as much: a tree's first node alone has 600.

use std::fmt;

use super::{Row, RowState};
use crate::{
    record::{Number, Props, Value},
    time::Timestamp,
};

/// A [`Row`], packed.
#[derive(Clone, PartialEq, Eq)]
pub struct Packed(Box<[u8]>);

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const NUMBER: u8 = 3;
const TEXT: u8 = 4;
const LIST: u8 = 5;
const MAP: u8 = 6;

const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

const LIVE: u8 = 0;
const GONE: u8 = 1;
const UNREADABLE: u8 = 2;

impl Packed {
    /// Packs a row.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        let mut out = Vec::with_capacity(512);
        put_moment(&mut out, row.modified);
        put_moment(&mut out, row.created);
        put_text(&mut out, &row.remote_id);
        match &row.revision {
            None => out.push(ABSENT),
            Some(revision) => {
                out.push(PRESENT);
                put_text(&mut out, revision);
            }
        }
        match &row.state {
            RowState::Live(props) => {
                out.push(LIVE);
                put_props(&mut out, props);
            }
            RowState::Gone => out.push(GONE),
            RowState::Unreadable(why) => {
                out.push(UNREADABLE);
                put_text(&mut out, why);
            }
        }
        Self(out.into_boxed_slice())
    }

    /// The row, as it was packed.
    #[must_use]
    pub fn open(&self) -> Row {
        let mut reader = Reader(&self.0);
        let (modified, created) = (reader.moment(), reader.moment());
        let remote_id = reader.text().to_owned();
        let revision = (reader.byte() == PRESENT).then(|| reader.text().to_owned());
        let state = match reader.byte() {
            LIVE => RowState::Live(reader.props()),
            GONE => RowState::Gone,
            _ => RowState::Unreadable(reader.text().to_owned()),
        };
        Row { remote_id, revision, modified, created, state }
    }

    /// When the remote says it was last changed.
    #[must_use]
    pub fn modified(&self) -> Option<Timestamp> {
        Reader(&self.0).moment()
    }

    /// The remote's own id.
    #[must_use]
    pub fn remote_id(&self) -> &str {
        let mut reader = Reader(&self.0);
        reader.moment();
        reader.moment();
        reader.text()
    }

    /// How many bytes it takes in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        /// What the allocator adds.
        const AROUND: usize = 16;
        size_of::<Self>() + AROUND + self.0.len()
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.open().fmt(f)
    }
}

fn put_moment(out: &mut Vec<u8>, at: Option<Timestamp>) {
    match at {
        None => out.push(ABSENT),
        Some(at) => {
            out.push(PRESENT);
            out.extend(at.unix_ms().to_le_bytes());
        }
    }
}

/// Seven bits a byte, the last one below 128: most lengths take one.
fn put_count(out: &mut Vec<u8>, mut count: usize) {
    while count >= 0x80 {
        out.push(u8::try_from(count & 0x7f).unwrap_or_default() | 0x80);
        count >>= 7;
    }
    out.push(u8::try_from(count).unwrap_or_default());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_count(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

fn put_props(out: &mut Vec<u8>, props: &Props) {
    put_count(out, props.len());
    for (name, value) in props {
        put_text(out, name);
        put_value(out, value);
    }
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(false) => out.push(FALSE),
        Value::Bool(true) => out.push(TRUE),
        Value::Number(number) => {
            out.push(NUMBER);
            put_text(out, number.text());
        }
        Value::Text(text) => {
            out.push(TEXT);
            put_text(out, text);
        }
        Value::List(list) => {
            out.push(LIST);
            put_count(out, list.len());
            list.iter().for_each(|one| put_value(out, one));
        }
        Value::Map(props) => {
            out.push(MAP);
            put_props(out, props);
        }
    }
}

/// What is left to read. It was written above, so nothing is missing; if it were, it would read as nothing.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        bytes
    }

    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or_default()
    }

    fn moment(&mut self) -> Option<Timestamp> {
        if self.byte() == ABSENT {
            return None;
        }
        Some(Timestamp::from_unix_ms(i64::from_le_bytes(self.bytes(8).try_into().ok()?)))
    }

    fn count(&mut self) -> usize {
        let (mut count, mut shift) = (0_usize, 0);
        loop {
            let byte = self.byte();
            count |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 || shift >= usize::BITS {
                return count;
            }
        }
    }

    fn text(&mut self) -> &'a str {
        let count = self.count();
        std::str::from_utf8(self.bytes(count)).unwrap_or_default()
    }

    fn props(&mut self) -> Props {
        // In the order of a tree: it is built from the sorted names at once.
        (0..self.count()).map(|_| (self.text().to_owned(), self.value())).collect()
    }

    fn value(&mut self) -> Value {
        match self.byte() {
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            NUMBER => Value::Number(Number::as_written(self.text())),
            TEXT => Value::Text(self.text().to_owned()),
            LIST => Value::List((0..self.count()).map(|_| self.value()).collect()),
            MAP => Value::Map(self.props()),
            _ => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            "-?[0-9]{1,40}".prop_map(|text| Value::Number(Number::as_written(text))),
            ".{0,300}".prop_map(Value::Text),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
                prop::collection::btree_map(".{0,6}", inner, 0..8).prop_map(Value::Map),
            ]
        })
    }

    fn row() -> impl Strategy<Value = Row> {
        let state = prop_oneof![
            4 => prop::collection::btree_map(".{0,200}", value(), 0..8).prop_map(RowState::Live),
            1 => Just(RowState::Gone),
            1 => ".{0,20}".prop_map(RowState::Unreadable),
        ];
        let moment = || prop::option::of(any::<i64>().prop_map(Timestamp::from_unix_ms));
        (".{0,200}", prop::option::of(".{0,9}"), moment(), moment(), state)
            .prop_map(|(remote_id, revision, modified, created, state)| Row { remote_id, revision, modified, created, state })
    }

    proptest! {
        #[test]
        fn a_row_is_what_it_was(row in row()) {
            let packed = Packed::of(&row);
            prop_assert_eq!(packed.modified(), row.modified);
            prop_assert_eq!(packed.remote_id(), row.remote_id.as_str());
            prop_assert_eq!(packed.open(), row);
        }
    }
}
