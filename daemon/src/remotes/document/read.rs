//! Owns: the rows of a document out of an answer, in any of its formats, whole or not at all. Must never know: how it was asked for, what
//! becomes of the rows.

use std::cell::Cell;

use mingle_core::{
    limits::{self, ANSWER_VALUES_BYTES_MAX},
    record::{Props, Value},
    replica::{Failure, Packed, RemoteError, Row, RowState},
};

use super::{
    LARGE, calendar, feed,
    shape::{Shape, is_id},
};
use crate::{
    json::{self, Elements, JsonError},
    remotes::{
        http::{self, Reply, words},
        rest::pointer::Pointer,
        settings::Format,
    },
};

/// Why a document is of no use, for a person: no content of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wrong {
    /// In words that follow its address.
    pub(super) what: String,
    /// What a person can do.
    hint: Option<&'static str>,
    /// It takes more memory than there is for it.
    heavy: bool,
}

impl Wrong {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), hint: None, heavy: false }
    }

    fn hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    pub(super) fn heavy() -> Self {
        Self { what: "has more rows or values than fit into memory".into(), hint: Some(LARGE), heavy: true }
    }
}

impl From<JsonError> for Wrong {
    fn from(error: JsonError) -> Self {
        if error.heavy { Self::heavy() } else { Self::new(format!("is not right: {error}")) }
    }
}

/// Whether a document of this format shows by itself that it came to its end.
pub(super) const fn ends_by_itself(format: Format) -> bool {
    !matches!(format, Format::Ndjson | Format::Csv)
}

/// The rows of an answer.
///
/// # Errors
/// When it is not a whole document of the format that is wanted; nothing of it may be used then.
pub(super) fn read(shape: &Shape, reply: &Reply) -> Result<Vec<Packed>, RemoteError> {
    let read = || {
        let of = reply.header("content-type").unwrap_or_default();
        let text = text(&reply.body, of)?;
        not_a_page(of, text)?;
        let format = shape.format.map_or_else(|| guessed(of, reply.url.path()), Ok)?;
        let says_its_end = reply.headers.contains_key("content-length") || reply.headers.contains_key("transfer-encoding");
        if !ends_by_itself(format) && !says_its_end {
            return Err(Wrong::new("does not say where its answer ends, so one that was cut short would look whole")
                .hint("the server has to send Content-Length, or answer in chunks"));
        }
        rows(shape, format, text)
    };
    read().map_err(|Wrong { what, hint, heavy }| {
        let kind = if heavy { Failure::TooLarge } else { Failure::Nonsense };
        let error = RemoteError::new(kind, format!("{} {what}", http::place(&reply.url)));
        error.hint(hint.unwrap_or("nothing was changed here: the last good document stays"))
    })
}

/// The body as text.
fn text<'a>(body: &'a [u8], of: &str) -> Result<&'a str, Wrong> {
    if body.starts_with(&[0xff, 0xfe]) || body.starts_with(&[0xfe, 0xff]) {
        return Err(Wrong::new("is written in UTF-16, and is read as UTF-8").hint("it has to be published as UTF-8"));
    }
    let text = std::str::from_utf8(body).map_err(|error| {
        let line = body[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        let charset = of.split(';').skip(1).find_map(|part| part.trim().strip_prefix("charset=")).map(words);
        let says = charset.map_or(String::new(), |charset| format!(" (it says that it is {charset})"));
        Wrong::new(format!("is not UTF-8, first in line {line}{says}")).hint("it has to be published as UTF-8")
    })?;
    // A mark of the byte order at its beginning is no part of a text.
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// A page for people is no document, whatever it is said to be.
fn not_a_page(of: &str, text: &str) -> Result<(), Wrong> {
    let start: String = text.trim_start().chars().take(15).collect::<String>().to_ascii_lowercase();
    let is_html = media_type(of) == "text/html" || start.starts_with("<!doctype html") || start.starts_with("<html");
    if is_html {
        return Err(Wrong::new("answers with a web page (HTML), where a document is wanted")
            .hint("this is a login page or an error page: something between us and the service may answer in its place; open the address in a browser"));
    }
    Ok(())
}

fn media_type(of: &str) -> String {
    of.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The format, by the type of the answer or the ending of its address. Feeds are not guessed: what leaves one is not deleted, and that is
/// known before it is asked for.
fn guessed(of: &str, path: &str) -> Result<Format, Wrong> {
    let media = media_type(of);
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    match (media.as_str(), ending) {
        ("application/feed+json", _) | ("application/rss+xml" | "application/atom+xml" | "application/xml" | "text/xml", _) => {
            Err(Wrong::new(format!("answers with {media}"))
                .hint("say what feed it is: format = \"rss\", \"atom\" or \"json-feed\""))
        }
        ("application/json" | "text/json", _) => Ok(Format::Json),
        ("application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/x-jsonlines", _) => {
            Ok(Format::Ndjson)
        }
        ("text/csv" | "text/tab-separated-values", _) => Ok(Format::Csv),
        ("text/calendar", _) => Ok(Format::ICalendar),
        (media, _) if media.ends_with("+json") => Ok(Format::Json),
        ("" | "text/plain" | "application/octet-stream" | "binary/octet-stream", "json") => Ok(Format::Json),
        ("" | "text/plain" | "application/octet-stream" | "binary/octet-stream", "ndjson" | "jsonl") => Ok(Format::Ndjson),
        ("" | "text/plain" | "application/octet-stream" | "binary/octet-stream", "csv" | "tsv") => Ok(Format::Csv),
        ("" | "text/plain" | "application/octet-stream" | "binary/octet-stream", "ics") => Ok(Format::ICalendar),
        _ => {
            let named = if media.is_empty() { "something it would not name".to_owned() } else { words(&media) };
            Err(Wrong::new(format!("answers with {named}, which is no format that is known")).hint(
                "say what it is: format = \"json\", \"ndjson\", \"csv\", \"rss\", \"atom\", \"json-feed\" or \"icalendar\"",
            ))
        }
    }
}

/// The rows of a text.
pub(super) fn rows(shape: &Shape, format: Format, text: &str) -> Result<Vec<Packed>, Wrong> {
    match format {
        Format::Json => match &shape.whole {
            Some(id) => whole(shape, id, text),
            None => list(&shape.rows, &shape.id, text),
        },
        Format::Ndjson => lines(&shape.id, text),
        Format::Csv => table(&shape.column, text),
        Format::Rss | Format::Atom => feed::read(text),
        Format::JsonFeed => feed::read_json(text),
        Format::ICalendar => calendar::read(text),
    }
}

/// Rows as they are read.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    rows: Vec<Packed>,
    bytes: usize,
    count: usize,
}

impl Gathered {
    /// Takes a row. Returns the bytes that it takes.
    pub(super) fn take(&mut self, id: String, state: RowState) -> Result<usize, Wrong> {
        if !is_id(&id) {
            let what = format!("has a row whose id has no 1 to {} bytes, or control characters", limits::TOLD_ID_BYTES_MAX);
            return Err(Wrong::new(format!("{what}: row {}", self.count + 1)));
        }
        self.count += 1;
        let packed = Packed::of(&Row { remote_id: id, revision: None, modified: None, created: None, state });
        let bytes = packed.bytes();
        self.bytes += bytes;
        if self.bytes > ANSWER_VALUES_BYTES_MAX {
            return Err(Wrong::heavy());
        }
        self.rows.push(packed);
        Ok(bytes)
    }

    /// Takes an object, whose id is not part of its data.
    fn object(&mut self, id: &Pointer, mut value: Value, unreadable: Option<String>) -> Result<usize, Wrong> {
        let count = self.count + 1;
        let found = id.take(&mut value);
        let found = match found {
            Some(Value::Text(text)) => text,
            Some(Value::Number(number)) => number.text().to_owned(),
            Some(other) => return Err(Wrong::new(format!("has {} as the id of row {count}, at {id}", json::kind(&other)))),
            None => {
                return Err(Wrong::new(format!("has no id at {id} in row {count}")).hint(
                    "say where a row has its id: id = \"/POINTER\", or that the whole is one record: document = \"NAME\"",
                ));
            }
        };
        let state = match (value, unreadable) {
            (_, Some(why)) => RowState::Unreadable(why),
            (Value::Map(props), None) => RowState::Live(props),
            (other, None) => RowState::Unreadable(format!("it is {}, not an object", json::kind(&other))),
        };
        self.take(found, state)
    }

    /// All of them. Of rows with one id that say different things none counts: which of them does nobody can tell.
    pub(super) fn end(self) -> Vec<Packed> {
        let mut rows = self.rows;
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|at| (rows[*at].remote_id(), *at));
        let same: Vec<Vec<usize>> = order
            .chunk_by(|a, b| rows[*a].remote_id() == rows[*b].remote_id())
            .filter(|same| same.len() > 1)
            .map(<[usize]>::to_vec)
            .collect();
        if same.is_empty() {
            return rows;
        }
        let mut stays = vec![true; rows.len()];
        for same in same {
            let first = same[0];
            if same.iter().any(|at| rows[*at] != rows[first]) && !mingle_core::planted::is("a doubled id is no doubt") {
                let why = "its id stands in the document more than once, and not with the same values".to_owned();
                rows[first] = Packed::of(&Row { state: RowState::Unreadable(why), ..rows[first].open() });
            }
            same[1..].iter().for_each(|at| stays[*at] = false);
        }
        let mut stays = stays.into_iter();
        rows.retain(|_| stays.next().unwrap_or(true));
        rows
    }
}

/// The elements of a JSON list.
struct List<'a> {
    id: &'a Pointer,
    gathered: Gathered,
    wrong: Option<Wrong>,
}

impl List<'_> {
    fn add(&mut self, value: Value, unreadable: Option<String>) -> usize {
        if self.wrong.is_some() {
            return 0;
        }
        self.gathered.object(self.id, value, unreadable).unwrap_or_else(|wrong| {
            self.wrong = Some(wrong);
            0
        })
    }
}

impl Elements for List<'_> {
    fn begin(&mut self) {
        (self.gathered, self.wrong) = Default::default();
    }

    fn element(&mut self, value: Value) -> usize {
        self.add(value, None)
    }

    fn unreadable(&mut self, rest: Value, why: JsonError) -> usize {
        self.add(rest, Some(format!("it cannot be read: {why}")))
    }
}

/// A list of objects, wherever it stands.
pub(super) fn list(at: &Pointer, id: &Pointer, text: &str) -> Result<Vec<Packed>, Wrong> {
    let mut list = List { id, gathered: Gathered::default(), wrong: None };
    let read = match json::parse_elements(text, ANSWER_VALUES_BYTES_MAX, at.way(), &mut list) {
        // One that cannot be read must not cost the others.
        Err(error) if !error.heavy => {
            list.begin();
            json::parse_elements_singly(text, ANSWER_VALUES_BYTES_MAX, at.way(), &mut list).map_err(|_| error)
        }
        read => read,
    };
    let (body, _) = read?;
    if let Some(wrong) = list.wrong {
        return Err(wrong);
    }
    let place = if at.way().is_empty() { "its beginning".to_owned() } else { at.to_string() };
    match at.find(&body) {
        Some(Value::List(_)) => Ok(list.gathered.end()),
        Some(other) => Err(Wrong::new(format!("has {} at {place}, where the list should be", json::kind(other)))
            .hint("say where the list is: rows = \"/POINTER\"; or that the whole is one record: document = \"NAME\"")),
        None => Err(Wrong::new(format!("has nothing at {place}, where the list should be"))
            .hint("say where the list is: rows = \"/POINTER\"")),
    }
}

/// The whole as one record.
fn whole(shape: &Shape, id: &str, text: &str) -> Result<Vec<Packed>, Wrong> {
    let mut body = json::parse_within(text, ANSWER_VALUES_BYTES_MAX)?.0;
    let at = &shape.rows;
    let mut gathered = Gathered::default();
    match at.take(&mut body) {
        Some(Value::Map(props)) => gathered.take(id.to_owned(), RowState::Live(props))?,
        Some(other) => return Err(Wrong::new(format!("is {}, and one record is an object", json::kind(&other)))),
        None => return Err(Wrong::new(format!("has nothing at {at}, where the record should be"))),
    };
    Ok(gathered.end())
}

/// An object a line; empty lines are none.
fn lines(id: &Pointer, text: &str) -> Result<Vec<Packed>, Wrong> {
    let mut gathered = Gathered::default();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let at = |wrong: Wrong| Wrong { what: format!("{} (line {} of the document)", wrong.what, number + 1), ..wrong };
        let (value, _) = json::parse_within(line, ANSWER_VALUES_BYTES_MAX).map_err(|error| at(error.into()))?;
        gathered.object(id, value, None).map_err(at)?;
    }
    Ok(gathered.end())
}

/// A table whose first line names its columns. Each value is text, as it is written.
fn table(column: &str, text: &str) -> Result<Vec<Packed>, Wrong> {
    ends_outside_of_quotes(text)?;
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter(text)).from_reader(text.as_bytes());
    let broken = |error: &csv::Error| {
        let line = error.position().map_or(0, csv::Position::line);
        Wrong::new(match error.kind() {
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("has {len} values in line {line}, and {expected_len} columns")
            }
            _ => format!("is no table that can be read, in line {line}"),
        })
    };
    let names = reader.headers().map_err(|error| broken(&error))?.clone();
    if let Some(at) = names.iter().position(|name| name.trim().is_empty()) {
        return Err(Wrong::new(format!("has no name for column {}", at + 1)).hint("its first line names the columns"));
    }
    let names: Vec<String> = names.iter().map(|name| name.trim().to_owned()).collect();
    if let Some(twice) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
        return Err(Wrong::new(format!("names a column twice: {:?}", words(twice.1))));
    }
    let Some(id) = names.iter().position(|name| name == column) else {
        return Err(Wrong::new(format!("has no column {column:?}")).hint("say which column is the id: id = \"COLUMN\""));
    };
    let mut gathered = Gathered::default();
    for record in reader.records() {
        let record = record.map_err(|error| broken(&error))?;
        let mut props: Props =
            names.iter().zip(&record).map(|(name, value)| (name.clone(), Value::Text(value.to_owned()))).collect();
        props.remove(column);
        gathered.take(record.get(id).unwrap_or_default().trim().to_owned(), RowState::Live(props))?;
    }
    Ok(gathered.end())
}

/// The one of these that stands most often in the first line: half of Europe's spreadsheets write semicolons.
fn delimiter(text: &str) -> u8 {
    let line = text.lines().next().unwrap_or_default();
    let count = |delimiter: u8| line.bytes().filter(|byte| *byte == delimiter).count();
    [b'\t', b';', b','].into_iter().max_by_key(|one| count(*one)).unwrap_or(b',')
}

/// A text that was cut inside of quotes reads as if they ended there.
fn ends_outside_of_quotes(text: &str) -> Result<(), Wrong> {
    let line = Cell::new(1);
    let mut open = None;
    for byte in text.bytes() {
        match (byte, open) {
            (b'"', None) => open = Some(line.get()),
            (b'"', Some(_)) => open = None,
            (b'\n', _) => line.set(line.get() + 1),
            _ => {}
        }
    }
    open.map_or(Ok(()), |line| Err(Wrong::new(format!("ends inside of quotes, which begin in line {line}: it is cut short"))))
}
