//! Owns: what a program or an app tells, line by line: records, deletes, checkpoints; and where a listing of it goes on. Must never
//! know: who tells it, and how it comes here.

use mingle_core::{
    limits,
    record::Value,
    replica::{Abilities, Cursor, Failure, From, Packed, Page, RemoteError, Row, RowState},
};

use crate::json;

/// One thing that was told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// A record as it is now, or that it is gone.
    Row(Row),
    /// All before it is told: here the next run goes on. As JSON.
    Checkpoint(String),
}

/// What a line may be, for error texts.
pub const FORMS: &str = "a line is {\"id\":\"..\",\"data\":{..}}, {\"id\":\"..\",\"deleted\":true} or {\"checkpoint\":..}";

/// What whoever tells can do: nothing is asked of it, and nothing is sent to it.
#[must_use]
pub fn abilities() -> Abilities {
    Abilities {
        cursor: Cursor::Page,
        tombstones: true,
        tells: true,
        writes: false,
        deletes: false,
        page_rows: limits::TOLD_ROWS_MAX,
        ..Abilities::least()
    }
}

/// Reads one line.
///
/// # Errors
/// What is wrong with it, without its content.
pub fn line(text: &str) -> Result<Told, String> {
    let value = json::parse_within(text, limits::ANSWER_VALUES_BYTES_MAX).map_err(|why| why.to_string())?.0;
    let Value::Map(mut parts) = value else { return Err(format!("it is {}, not an object", json::kind(&value))) };
    if let Some(checkpoint) = parts.remove("checkpoint") {
        return match parts.keys().next() {
            Some(other) => Err(format!("`checkpoint` stands alone, and here is `{}` too", shown(other))),
            None => kept(&checkpoint).map(Told::Checkpoint),
        };
    }
    let (id, data, deleted) = (parts.remove("id"), parts.remove("data"), parts.remove("deleted"));
    if let Some(other) = parts.keys().next() {
        return Err(format!("`{}` is not known", shown(other)));
    }
    let remote_id = match id {
        Some(Value::Text(id)) => id,
        Some(Value::Number(number)) => number.text().to_owned(),
        _ => return Err("it has no `id`, a text or a number".into()),
    };
    if remote_id.is_empty() || remote_id.len() > limits::TOLD_ID_BYTES_MAX || remote_id.chars().any(char::is_control) {
        return Err(format!("an `id` has 1 to {} bytes, and no control characters", limits::TOLD_ID_BYTES_MAX));
    }
    let state = match (data, deleted) {
        (Some(Value::Map(props)), None | Some(Value::Bool(false))) => RowState::Live(props),
        (None, Some(Value::Bool(true))) => RowState::Gone,
        _ => return Err("it has either `data`, an object, or `deleted`: true".into()),
    };
    Ok(Told::Row(Row { remote_id, revision: None, modified: None, created: None, state }))
}

/// A checkpoint as it is kept.
fn kept(checkpoint: &Value) -> Result<String, String> {
    let text = json::write_value(checkpoint);
    if text.len() > limits::CHECKPOINT_BYTES_MAX {
        return Err(format!("a checkpoint of {} bytes, and {} are kept", text.len(), limits::CHECKPOINT_BYTES_MAX));
    }
    Ok(text)
}

/// A key of somebody else's, fit for the text of an error.
fn shown(key: &str) -> String {
    key.chars().take(64).map(|one| if one.is_control() { ' ' } else { one }).collect()
}

/// Where a listing goes on: after a checkpoint, and how many pages were told before. As text it is the address of a page; since a
/// listing never comes to the same page twice, the number only grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// The last checkpoint, as JSON; none: none was ever told.
    pub checkpoint: Option<String>,
    page: u64,
}

impl Position {
    /// Where a page of a listing begins.
    ///
    /// # Errors
    /// [`Failure::CheckpointRefused`]: it was not written by us.
    pub fn of(from: &From, page: Option<&str>) -> Result<Self, RemoteError> {
        let text = match (page, from) {
            (Some(page), _) => page,
            (None, From::Token(token)) => token,
            (None, From::Start | From::Stamp(_)) => return Ok(Self::default()),
        };
        let refused =
            || RemoteError::new(Failure::CheckpointRefused, "the position in the store is no checkpoint of such a remote");
        let (page, checkpoint) = text.split_once(' ').ok_or_else(refused)?;
        let checkpoint = Some(checkpoint).filter(|text| !text.is_empty()).map(str::to_owned);
        Ok(Self { checkpoint, page: page.parse().map_err(|_| refused())? })
    }

    fn text(&self) -> String {
        format!("{} {}", self.page, self.checkpoint.as_deref().unwrap_or_default())
    }
}

/// A page that is being told.
#[derive(Debug, Default)]
pub struct Gathered {
    rows: Vec<Packed>,
    bytes: u64,
    /// Another checkpoint than before stands in it.
    further: bool,
}

impl Gathered {
    /// Takes one line; whether the page is whole with it.
    ///
    /// # Errors
    /// As [`line`].
    pub fn take(&mut self, text: &str, at: &mut Position) -> Result<bool, String> {
        self.bytes += text.len() as u64;
        match line(text)? {
            Told::Checkpoint(checkpoint) => {
                self.comes_to(checkpoint, at);
                Ok(true)
            }
            Told::Row(row) => {
                self.rows.push(Packed::of(&row));
                Ok(self.rows.len() >= limits::TOLD_ROWS_MAX || self.bytes >= limits::TOLD_PAGE_BYTES_MAX)
            }
        }
    }

    /// Takes a whole batch: its rows, and where all before is told.
    ///
    /// # Errors
    /// What is wrong, and with which of them.
    pub fn take_batch(&mut self, rows: &[String], checkpoint: Option<&str>, at: &mut Position) -> Result<(), String> {
        for (number, text) in rows.iter().enumerate() {
            self.bytes += text.len() as u64;
            match line(text).map_err(|why| format!("row {}: {why}", number + 1))? {
                Told::Row(row) => self.rows.push(Packed::of(&row)),
                Told::Checkpoint(_) => return Err(format!("row {}: a checkpoint stands beside the rows", number + 1)),
            }
        }
        if let Some(text) = checkpoint {
            let read = json::parse_within(text, limits::ANSWER_VALUES_BYTES_MAX);
            let value = read.map_err(|why| format!("checkpoint: {why}"))?.0;
            self.comes_to(kept(&value).map_err(|why| format!("checkpoint: {why}"))?, at);
        }
        Ok(())
    }

    fn comes_to(&mut self, checkpoint: String, at: &mut Position) {
        self.further |= at.checkpoint.as_ref() != Some(&checkpoint);
        at.checkpoint = Some(checkpoint);
    }

    /// The page, with another one after it, which begins at `at`.
    #[must_use]
    pub fn with_next(self, at: &mut Position) -> Page {
        at.page += 1;
        Page { next: Some(at.text()), ..self.last() }
    }

    /// The page, the last one.
    #[must_use]
    pub fn last(self) -> Page {
        Page { rows: self.rows, told: self.bytes, stays: !self.further, ..Page::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Result<&str, &str>) {
        let shown = line(text).map(|told| match told {
            Told::Checkpoint(json) => format!("checkpoint {json}"),
            Told::Row(Row { remote_id, state: RowState::Live(props), .. }) => format!("{remote_id} {}", json::write(&props)),
            Told::Row(row) => format!("{} gone", row.remote_id),
        });
        match (&shown, expect) {
            (Ok(shown), Ok(expect)) => assert_eq!(shown, expect, "{text}"),
            (Err(why), Err(part)) => assert!(why.contains(part), "{text} said {why}"),
            _ => panic!("{text} gave {shown:?}, not {expect:?}"),
        }
    }

    #[test]
    fn a_line_is_a_record_a_delete_or_a_checkpoint() {
        check(r#"{"id":"a","data":{"n":1.0}}"#, Ok(r#"a {"n":1.0}"#));
        check(r#"{"id":7,"data":{},"deleted":false}"#, Ok("7 {}"));
        check(r#"{"id":"a","deleted":true}"#, Ok("a gone"));
        check(r#"{"checkpoint":{"page":3}}"#, Ok(r#"checkpoint {"page":3}"#));
        check(r#"{"checkpoint":null}"#, Ok("checkpoint null"));
        check(r#"{"checkpoint":1,"id":"a"}"#, Err("`id` too"));
        check(r#"{"id":"a"}"#, Err("either `data`"));
        check(r#"{"id":"a","data":{},"deleted":true}"#, Err("either `data`"));
        check(r#"{"id":"a","data":[]}"#, Err("either `data`"));
        check(r#"{"data":{}}"#, Err("no `id`"));
        check(r#"{"id":"","data":{}}"#, Err("1 to"));
        check("{\"id\":\"a\\n\",\"data\":{}}", Err("control"));
        check(r#"{"id":"a","data":{},"rev":1}"#, Err("`rev` is not known"));
        let long = "k".repeat(65);
        check(&format!(r#"{{"id":"a","data":{{}},"{long}":1}}"#), Err(&format!("`{}` is not", &long[1..])));
        check(&format!(r#"{{"checkpoint":1,"{long}":1}}"#), Err(&format!("`{}` too", &long[1..])));
        check(r#"{"id":"a","data":{},"\u001b[2J":1}"#, Err("` [2J` is not known"));
        check(r#"{"checkpoint":1,"\u001b[2J":1}"#, Err("` [2J` too"));
        check("[1]", Err("not an object"));
        check("Loading...", Err("not JSON"));
        check("", Err("JSON"));
        let long = "x".repeat(limits::CHECKPOINT_BYTES_MAX);
        check(&format!(r#"{{"checkpoint":"{long}"}}"#), Err("are kept"));
    }

    #[test]
    fn positions_are_read_as_they_were_written() {
        for checkpoint in [None, Some("null".to_owned()), Some(r#"{"a b": 1}"#.to_owned())] {
            let at = Position { checkpoint, page: 12 };
            assert_eq!(Position::of(&From::Start, Some(&at.text())).unwrap(), at);
            assert_eq!(Position::of(&From::Token(at.text()), None).unwrap(), at);
        }
        assert_eq!(Position::of(&From::Start, None).unwrap(), Position::default());
        assert_eq!(Position::of(&From::Token("x".into()), None).unwrap_err().kind, Failure::CheckpointRefused);
    }

    #[test]
    fn a_batch_is_taken_as_a_whole_and_what_is_wrong_is_named() {
        let batch = |rows: &[&str], checkpoint: Option<&str>| {
            let (mut page, mut at) = (Gathered::default(), Position::default());
            let rows: Vec<String> = rows.iter().map(|row| (*row).to_owned()).collect();
            page.take_batch(&rows, checkpoint, &mut at).map(|()| (page.last().rows.len(), at.checkpoint))
        };
        let good = r#"{"id":"a","data":{}}"#;
        assert_eq!(batch(&[good, r#"{"id":"b","deleted":true}"#], Some("{\"n\":1.0}")), Ok((2, Some("{\"n\":1.0}".into()))));
        assert_eq!(batch(&[], None), Ok((0, None)));
        assert_eq!(batch(&[], Some("null")), Ok((0, Some("null".into()))));
        let wrong = |rows: &[&str], checkpoint: Option<&str>| batch(rows, checkpoint).unwrap_err();
        assert!(wrong(&[good, r#"{"id":"b"}"#], None).starts_with("row 2: it has either"));
        assert!(wrong(&[r#"{"checkpoint":1}"#], None).contains("beside the rows"));
        let long = format!("\"{}\"", "x".repeat(limits::CHECKPOINT_BYTES_MAX));
        assert!(wrong(&[good], Some(&long)).starts_with("checkpoint: "));
    }

    #[test]
    fn a_page_ends_with_a_checkpoint_or_when_it_is_large() {
        let (mut page, mut at) = (Gathered::default(), Position::default());
        assert!(!page.take(r#"{"id":"a","data":{}}"#, &mut at).unwrap());
        assert!(page.take(r#"{"checkpoint":1}"#, &mut at).unwrap());
        let page = page.with_next(&mut at);
        assert_eq!((page.rows.len(), page.next.as_deref()), (1, Some("1 1")));
        let mut page = Gathered::default();
        let mut told = 1;
        while !page.take(r#"{"id":"a","data":{}}"#, &mut at).unwrap() {
            told += 1;
        }
        assert_eq!(told, limits::TOLD_ROWS_MAX);
        // The same checkpoint, and not the same page.
        assert_eq!(page.with_next(&mut at).next.as_deref(), Some("2 1"));
    }

    #[test]
    fn a_page_comes_further_with_another_checkpoint_and_with_nothing_else() {
        let mut at = Position::default();
        for (rows, checkpoint, further) in
            [(0, None, false), (0, Some("1"), true), (0, Some("1"), false), (1, None, false), (1, Some("2"), true)]
        {
            let rows = vec![r#"{"id":"a","data":{}}"#.to_owned(); rows];
            let mut page = Gathered::default();
            page.take_batch(&rows, checkpoint, &mut at).unwrap();
            assert_eq!(page.with_next(&mut at).stays, !further, "{rows:?} {checkpoint:?}");
        }
        for (line, further) in [(r#"{"checkpoint":2}"#, false), (r#"{"checkpoint":3}"#, true)] {
            let mut page = Gathered::default();
            assert_eq!(page.take(line, &mut at), Ok(true));
            assert_eq!(page.with_next(&mut at).stays, !further, "{line}");
        }
    }
}
