//! Owns: the cursors of lists: where the next page begins, in which store and of which question. Opaque to everybody else.
//! Must never know: what is listed.

use mingle_core::ask::Refusal;
use rusqlite::types::Value;

/// Where a page ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cursor {
    /// The sort keys of its last row.
    pub keys: Vec<Value>,
}

impl Cursor {
    /// Its text; `question` is a mark of what was asked, so that a cursor is not taken to another question.
    pub(super) fn text(&self, instance: &str, question: &[u8]) -> String {
        let keys: Vec<String> = self
            .keys
            .iter()
            .map(|key| match key {
                Value::Null => "n".into(),
                Value::Integer(number) => format!("i{number}"),
                Value::Real(number) => format!("r{:x}", number.to_bits()),
                Value::Text(text) => format!("t{}", hex(text.as_bytes())),
                Value::Blob(bytes) => format!("b{}", hex(bytes)),
            })
            .collect();
        format!("{instance}.{}.{}", mark(question), keys.join("."))
    }

    /// Reads a cursor's text.
    ///
    /// Refused: one of another instance (`stale`), one of another question or no cursor at all (`invalid`).
    pub(super) fn parse(text: &str, instance: &str, question: &[u8]) -> Result<Self, Refusal> {
        let invalid =
            || Refusal::Invalid("this is no cursor of this question".into(), Some("ask again without the cursor".into()));
        let mut parts = text.split('.');
        let (of, marked) = (parts.next().ok_or_else(invalid)?, parts.next().ok_or_else(invalid)?);
        if of != instance {
            return Err(Refusal::Stale("the cursor belongs to another instance of the store; ask again without it".into(), None));
        }
        if marked != mark(question) {
            return Err(invalid());
        }
        Ok(Self { keys: parts.map(key).collect::<Option<_>>().ok_or_else(invalid)? })
    }
}

fn mark(question: &[u8]) -> String {
    blake3::hash(question).to_hex()[..8].to_owned()
}

fn key(text: &str) -> Option<Value> {
    let rest = text.get(1..)?;
    Some(match text.as_bytes()[0] {
        b'n' if rest.is_empty() => Value::Null,
        b'i' => Value::Integer(rest.parse().ok()?),
        b'r' => Value::Real(f64::from_bits(u64::from_str_radix(rest, 16).ok()?)),
        b't' => Value::Text(String::from_utf8(unhex(rest)?).ok()?),
        b'b' => Value::Blob(unhex(rest)?),
        _ => return None,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_as_it_was_written_and_only_where_it_belongs() {
        let keys = vec![Value::Null, Value::Integer(-7), Value::Real(0.1), Value::Text("ä.b".into()), Value::Text(String::new())];
        let cursor = Cursor { keys };
        let text = cursor.text("abc", b"question");
        assert_eq!(Cursor::parse(&text, "abc", b"question"), Ok(cursor));
        assert!(matches!(Cursor::parse(&text, "abd", b"question"), Err(Refusal::Stale(..))));
        assert!(matches!(Cursor::parse(&text, "abc", b"other"), Err(Refusal::Invalid(..))));
        for no in ["", "abc", "abc.", &format!("{text}x"), &format!("{text}."), &format!("{text}.té"), &format!("{text}.t0")] {
            assert!(Cursor::parse(no, "abc", b"question").is_err(), "{no}");
        }
    }
}
