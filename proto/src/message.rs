//! Owns: request, response, notification, ids: JSON-RPC 2.0's envelope. Must never know: which methods exist.

use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    error::{Error, Name},
    limits::ID_BYTES_MAX,
};

/// The id of a call: a number or a text, kept and given back as it was written. Two ids are the same where they are written the same.
#[derive(Clone)]
pub struct Id<'a>(Cow<'a, RawValue>);

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Id<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Id".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": ["integer", "string"], "description": "The id of a call, as it was written." })
    }
}

impl<'a> Id<'a> {
    /// The id a client counts with.
    #[must_use]
    pub fn number(number: u64) -> Id<'static> {
        let text = serde_json::value::to_raw_value(&number).unwrap_or_default();
        Id(Cow::Owned(text))
    }

    /// The id as a number; None where it is a text or no whole number.
    #[must_use]
    pub fn as_number(&self) -> Option<u64> {
        self.0.get().parse().ok()
    }

    /// The id as written: JSON text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// The id, free of the line it came in.
    #[must_use]
    pub fn into_owned(self) -> Id<'static> {
        Id(Cow::Owned(self.0.into_owned()))
    }

    /// A number or a text, at most [`ID_BYTES_MAX`] long.
    fn read(raw: Cow<'a, RawValue>) -> Result<Self, &'static str> {
        match raw.get().as_bytes() {
            text if text.len() > ID_BYTES_MAX => Err("the id is too long"),
            [b'"' | b'-' | b'0'..=b'9', ..] => Ok(Self(raw)),
            _ => Err("an id is a number or a text"),
        }
    }
}

impl PartialEq for Id<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Id<'_> {}

impl Hash for Id<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text().hash(state);
    }
}

impl fmt::Debug for Id<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Id<'static> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        Self::read(Cow::Owned(raw)).map_err(serde::de::Error::custom)
    }
}

/// One call as it came: borrowed from its line.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Answered exactly once.
    pub id: Id<'a>,
    /// What is asked.
    pub method: Cow<'a, str>,
    /// Its parameters, not read yet; None stands for `{}`.
    pub params: Option<&'a RawValue>,
}

/// A line that is no request. Answered with this error, and with the id where one could be read.
#[derive(Debug)]
pub struct NotARequest<'a> {
    /// Null on the wire where None.
    pub id: Option<Id<'a>>,
    /// `parse` or `request`.
    pub error: Error,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestLine<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct IdAlone<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
}

impl<'a> Request<'a> {
    /// Reads one line. `"jsonrpc": "2.0"` may be left out, so that a call can be typed by hand; nothing else is forgiven.
    ///
    /// # Errors
    /// `parse` for what is not JSON in UTF-8; `request` for JSON that is no request: another version, no id (every call here is
    /// answered, so a notification to the daemon has no meaning), an unknown member, a batch.
    pub fn read(line: &'a [u8]) -> Result<Self, NotARequest<'a>> {
        let parse = |why: &dyn fmt::Display| {
            let error = Error::new(Name::Parse, format!("not a line of JSON: {why}"));
            NotARequest { id: None, error: error.hint("send one JSON object a line, in UTF-8") }
        };
        let text = std::str::from_utf8(line).map_err(|why| parse(&why))?;
        if !text.trim_start().starts_with('{') {
            // A struct may be read from an array too, which is a batch here; so arrays do not get so far.
            serde_json::from_str::<IgnoredAny>(text).map_err(|why| parse(&why))?;
            let error = Error::new(Name::Request, "a request is one JSON object");
            return Err(NotARequest {
                id: None,
                error: error.hint("instead of a batch, send several lines: calls are pipelined"),
            });
        }
        let line = serde_json::from_str::<RequestLine<'_>>(text).map_err(|why| {
            // The rest of a line whose member is wrong was not looked at yet: it may not be JSON at all.
            match serde_json::from_str::<IgnoredAny>(text) {
                Err(broken) => parse(&broken),
                Ok(_) => NotARequest { id: id_alone(text), error: Error::new(Name::Request, without_place(&why)) },
            }
        })?;
        let refuse = |id: Option<Id<'a>>, why: &str| NotARequest { id, error: Error::new(Name::Request, why) };
        let id = match line.id {
            None => return Err(refuse(None, "a request needs an id, a number or a text")),
            Some(raw) => Id::read(Cow::Borrowed(raw)).map_err(|why| refuse(None, why))?,
        };
        if line.jsonrpc.is_some_and(|version| version != "2.0") {
            return Err(refuse(Some(id), "\"jsonrpc\" must be \"2.0\""));
        }
        Ok(Self { id, method: line.method, params: line.params })
    }
}

fn id_alone(text: &str) -> Option<Id<'_>> {
    let alone = serde_json::from_str::<IdAlone<'_>>(text).ok()?;
    Id::read(Cow::Borrowed(alone.id?)).ok()
}

/// What serde_json has to say, without a line and a column: the line is always the first.
pub(crate) fn without_place(why: &serde_json::Error) -> String {
    let text = why.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// One line that the daemon sent: borrowed from it.
#[derive(Clone, Debug)]
pub enum FromDaemon<'a> {
    /// The answer to a call.
    Answer {
        /// Of the call.
        id: Id<'a>,
        /// Not read yet: the method tells its type.
        result: &'a RawValue,
    },
    /// A call was refused, or (no id) a line that could not be read as one.
    Refusal {
        /// Of the call; None is null on the wire.
        id: Option<Id<'a>>,
        /// Why.
        error: Error,
    },
    /// Sent without being asked for: of a subscription.
    Notification {
        /// `changed` or `event`; a newer daemon may know more, which are passed over.
        method: Cow<'a, str>,
        /// Not read yet.
        params: &'a RawValue,
    },
}

#[derive(Deserialize)]
struct DaemonLine<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Error>,
}

impl<'a> FromDaemon<'a> {
    /// Reads one line. Members it does not know are passed over: a newer daemon may send more.
    ///
    /// # Errors
    /// What is not JSON, or no message, in words: the other end does not speak this protocol.
    pub fn read(line: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(line).map_err(|why| why.to_string())?;
        let line: DaemonLine<'_> = serde_json::from_str(text).map_err(|why| why.to_string())?;
        let id = line.id.map(|raw| Id::read(Cow::Borrowed(raw))).transpose()?;
        match (line.error, line.result, line.method, line.params, id) {
            (Some(error), None, None, _, id) => Ok(Self::Refusal { id, error }),
            (None, Some(result), None, _, Some(id)) => Ok(Self::Answer { id, result }),
            (None, None, Some(method), Some(params), None) => Ok(Self::Notification { method, params }),
            _ => Err("neither an answer nor a notification".into()),
        }
    }
}

/// Appends a request and its line end.
///
/// # Errors
/// What could not be written as JSON; then nothing was appended.
pub fn request(out: &mut Vec<u8>, id: &Id<'_>, method: &str, params: &impl Serialize) -> serde_json::Result<()> {
    append(out, |out| {
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(id.text().as_bytes());
        out.extend_from_slice(b",\"method\":");
        serde_json::to_writer(&mut *out, method)?;
        out.extend_from_slice(b",\"params\":");
        serde_json::to_writer(&mut *out, params)
    })
}

/// Appends the answer to a call and its line end.
///
/// # Errors
/// What could not be written as JSON; then nothing was appended.
pub fn answer(out: &mut Vec<u8>, id: &Id<'_>, result: &impl Serialize) -> serde_json::Result<()> {
    answer_with(out, id, |out| serde_json::to_writer(out, result))
}

/// Appends the answer to a call, whose result `write` appends as JSON, and its line end.
///
/// # Errors
/// What `write` returns; then nothing was appended.
pub fn answer_with<E>(out: &mut Vec<u8>, id: &Id<'_>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    append(out, |out| {
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(id.text().as_bytes());
        out.extend_from_slice(b",\"result\":");
        write(out)
    })
}

/// Appends a refusal and its line end; no id is written as null.
///
/// # Errors
/// What could not be written as JSON; then nothing was appended.
pub fn refusal(out: &mut Vec<u8>, id: Option<&Id<'_>>, error: &Error) -> serde_json::Result<()> {
    append(out, |out| {
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
        out.extend_from_slice(id.map_or("null", Id::text).as_bytes());
        out.extend_from_slice(b",\"error\":");
        serde_json::to_writer(&mut *out, error)
    })
}

/// Appends a notification and its line end.
///
/// # Errors
/// What could not be written as JSON; then nothing was appended.
pub fn notification(out: &mut Vec<u8>, method: &str, params: &impl Serialize) -> serde_json::Result<()> {
    append(out, |out| {
        out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"method\":");
        serde_json::to_writer(&mut *out, method)?;
        out.extend_from_slice(b",\"params\":");
        serde_json::to_writer(&mut *out, params)
    })
}

/// Half a message is worse than none: what fails is taken back.
fn append<E>(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
    let before = out.len();
    match write(out) {
        Ok(()) => {
            out.extend_from_slice(b"}\n");
            Ok(())
        }
        Err(error) => {
            out.truncate(before);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a line is read as: `id method params`, or `id name`.
    #[track_caller]
    fn check(line: &str, expect: &str) {
        let got = match Request::read(line.as_bytes()) {
            Ok(request) => format!("{:?} {} {}", request.id, request.method, request.params.map_or("-", RawValue::get)),
            Err(NotARequest { id, error }) => {
                format!("{} {}", id.as_ref().map_or("null", Id::text), error.data.name)
            }
        };
        assert_eq!(got, expect, "{line}");
    }

    #[test]
    fn requests_are_read_strictly() {
        check(r#"{"jsonrpc":"2.0","id":1,"method":"get","params":{"a":1.50}}"#, r#"1 get {"a":1.50}"#);
        check(r#" {"id":"x","method":"status"} "#, r#""x" status -"#);
        check(r#"{"id":1e2,"method":"sta\u0074us","params":null}"#, "1e2 status -");
        check(r#"{"id":12345678901234567890123,"method":"m","params":[1]}"#, "12345678901234567890123 m [1]");
        check("", "null parse");
        check("status", "null parse");
        check("{\"id\":1,", "null parse");
        check("{\"id\":1,\"nonsense\":1, broken", "null parse");
        check("[1,", "null parse");
        check(r#"[{"id":1,"method":"status"}]"#, "null request");
        check("7", "null request");
        check("{}", "null request");
        check(r#"{"method":"status"}"#, "null request");
        check(r#"{"id":null,"method":"status"}"#, "null request");
        check(r#"{"id":{},"method":"status"}"#, "null request");
        check(r#"{"id":1}"#, "1 request");
        check(r#"{"id":1,"method":7}"#, "1 request");
        check(r#"{"id":1,"method":"status","extra":1}"#, "1 request");
        check(r#"{"id":1,"id":2,"method":"status"}"#, "null request");
        check(r#"{"jsonrpc":"1.0","id":1,"method":"status"}"#, "1 request");
        check(r#"{"jsonrpc":2.0,"id":1,"method":"status"}"#, "1 request");
        let long = "9".repeat(ID_BYTES_MAX + 1);
        check(&format!(r#"{{"id":{long},"method":"status"}}"#), "null request");
    }

    #[test]
    fn what_is_no_utf8_is_no_json() {
        let read = Request::read(b"{\"id\":1,\"method\":\"\xff\"}");
        assert!(matches!(read, Err(NotARequest { id: None, error }) if error.data.name == Name::Parse));
    }

    #[test]
    fn what_is_written_is_read_back() {
        let id = Id::number(7);
        let mut out = Vec::new();
        request(&mut out, &id, "get", &[1]).expect("written");
        assert_eq!(out.pop(), Some(b'\n'));
        let read = Request::read(&out).expect("a request");
        assert_eq!((read.id.as_number(), &*read.method, read.params.map(RawValue::get)), (Some(7), "get", Some("[1]")));

        out.clear();
        answer(&mut out, &id, &"x").expect("written");
        assert!(
            matches!(FromDaemon::read(&out), Ok(FromDaemon::Answer { id: got, result }) if got == id && result.get() == "\"x\"")
        );

        out.clear();
        refusal(&mut out, None, &Error::new(Name::TooLarge, "a long line")).expect("written");
        assert!(
            matches!(FromDaemon::read(&out), Ok(FromDaemon::Refusal { id: None, error }) if error.data.name == Name::TooLarge)
        );

        out.clear();
        notification(&mut out, "changed", &"x").expect("written");
        assert!(matches!(FromDaemon::read(&out), Ok(FromDaemon::Notification { method, .. }) if method == "changed"));
        assert!(FromDaemon::read(b"{}").is_err());
    }
}
