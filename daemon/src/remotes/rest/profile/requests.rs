//! Owns: how requests are made: addresses, pages, bodies. Must never know: what answers mean.

use std::collections::BTreeMap;

use mingle_core::record::Value;
use reqwest::Method;
use serde::Deserialize;

use super::{Templates, shape::constant};
use crate::remotes::rest::{pointer::Pointer, template::Template};

/// What a create does not set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Later {
    /// What a new record has there, as [`super::RowShape`] reads it; without: nothing.
    #[serde(default, deserialize_with = "constant")]
    pub begins: Option<Value>,
}

/// The types of bodies.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Types {
    /// What we say that we send.
    pub send: String,
    /// What an answer must say that it is: one of these.
    pub take: Vec<String>,
}

impl Default for Types {
    fn default() -> Self {
        Self { send: "application/json".into(), take: vec!["application/json".into()] }
    }
}

/// A cheap GET that proves which kind of server this is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identify {
    /// Below the url.
    pub path: Template,
    /// Where its answer names itself.
    pub pointer: Pointer,
    /// What must stand there; without: anything.
    pub equals: Option<String>,
    /// What such a server is called: "a ... server".
    pub name: String,
    /// What a person can do where it is none.
    pub hint: String,
    /// Where its answer names this instance, if it does.
    pub instance: Option<Pointer>,
    /// Where its answer says who we are, and says nothing to somebody whose login it does not take.
    pub account: Option<Pointer>,
}

/// A GET that shows the resource itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Below the url.
    pub path: Template,
    /// Where its answer names this history of the resource, if it does.
    pub instance: Option<Pointer>,
    /// Who may not see it may not sync either. Without: whoever may read the records need not be allowed to read about the resource.
    #[serde(default)]
    pub must_show: bool,
    /// An answer that a record is not there counts only while this shows the resource: some services say the same to whoever
    /// may not see a record any more.
    #[serde(default)]
    pub proves_gone: bool,
}

/// How rows are listed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Below the url.
    pub path: Template,
    /// Parameters: templates of `since`, `page_rows`, `page` and `after`; one without a value is left out.
    #[serde(default)]
    pub query: Templates,
    /// Where the rows are in the body.
    pub rows: Pointer,
    /// How the next page is found; without, there is only one.
    pub next: Option<Next>,
    /// What shows whether there is a next page, where it is found by counting; without, an empty page ends the listing.
    pub more: Option<More>,
    /// Where the token comes from that stands for "everything up to here".
    pub token: Option<Token>,
    /// The header that says how many rows there are in all.
    pub total_header: Option<String>,
    /// `{since}` means "later than", not "at and later": so listings begin one grain before it.
    #[serde(default)]
    pub exclusive: bool,
    /// A listing that was asked for before is asked for with its `ETag`: the service answers with 304 where nothing changed, which
    /// costs less there, and often counts less against its limits.
    #[serde(default)]
    pub validates: bool,
}

impl List {
    /// Whether it says how many rows it asks for.
    #[must_use]
    pub fn is_sized(&self) -> bool {
        self.query.values().any(|value| value.names().any(|name| name == "page_rows"))
    }
}

/// How the next page is found.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// A header holds its address.
    Header(String),
    /// The `Link` header has its address under this relation.
    Link(String),
    /// It lies in the body: its address.
    Address(Pointer),
    /// It lies in the body: what `{page}` stands for.
    Cursor(Pointer),
    /// `{page}` counts pages, from this number.
    Number(u64),
    /// `{page}` counts rows, from this number.
    Offset(u64),
    /// It begins at the stamp of the last row (`{since}`), which is listed again. `{page}` counts on, from this number, where a
    /// whole page has one stamp. Rows come by stamp, the oldest first: then nothing is missed while records move.
    Stamp(u64),
    /// It begins after the last row, by stamp (`{since}`) and id (`{after}`, empty at first), in which order rows come.
    StampAndId,
}

/// What shows that there is a next page.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum More {
    /// This one has as many rows as were asked for: the service never gives fewer.
    FullPage,
    /// The `Link` header has something under this relation.
    Link(String),
    /// There is such a header, and it says something.
    Header(String),
}

/// Where the token comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// A header.
    pub header: String,
    /// It is a number (perhaps in quotes) that only grows: a smaller one than we hold is another history.
    #[serde(default)]
    pub grows: bool,
    /// Statuses that mean that our token is refused.
    #[serde(default)]
    pub refused: Vec<u16>,
}

/// A request for one record.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct One {
    /// GET, POST, PUT, PATCH or DELETE.
    #[serde(deserialize_with = "method", default)]
    pub method: Method,
    /// Below the url: a template of `resource` and `id`.
    pub path: Template,
    /// Parameters: templates of `resource` and `id`.
    #[serde(default)]
    pub query: Templates,
    /// Templates of `revision`, and of `key` in `create`; one without a value is left out.
    #[serde(default)]
    pub headers: Templates,
    /// What is sent.
    #[serde(default)]
    pub sends: Sends,
    /// What is sent in any case, laid over the record.
    #[serde(default, deserialize_with = "constant")]
    pub says: Option<Value>,
    /// Properties that a create does not set: they are sent with an update once it is made.
    #[serde(default)]
    pub later: BTreeMap<String, Later>,
    /// Where in the body the record is put.
    #[serde(default)]
    pub body: Pointer,
    /// Where in the record its id is put, for a service that takes ids in the body.
    pub id: Option<Pointer>,
    /// Where the record is in the answer; without, the answer shows none.
    pub row: Option<Pointer>,
    /// Where the answer to a create shows the id of what it made, and nothing else of it: it is looked at then.
    pub made: Option<Pointer>,
    /// The answer lists what has this id: none, and the record is not there. For services that still show what they deleted.
    pub rows: Option<Pointer>,
    /// What is asked for first: it shows the revision that a write after this look needs.
    pub revision: Option<Revision>,
    /// An answer without a body is fine, and shows nothing.
    #[serde(default)]
    pub may_be_empty: bool,
}

/// How several changes go out in one request, which the service settles one by one: that one is refused says nothing of the others.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// POST, mostly.
    #[serde(deserialize_with = "method", default = "post")]
    pub method: Method,
    /// Below the url.
    pub path: Template,
    /// At most so many changes.
    pub max: usize,
    /// Where the answer of `identify` says how many this server takes; the smaller of both counts.
    pub max_at: Option<Pointer>,
    /// Where in the body the list of changes is put.
    pub requests: Pointer,
    /// Where a change is in its item.
    #[serde(default)]
    pub item: BatchItem,
    /// Where in the answer the list of answers is, in the order of the changes.
    pub responses: Pointer,
    /// Where an answer is in its item.
    #[serde(default)]
    pub answer: BatchAnswer,
}

fn post() -> Method {
    Method::POST
}

/// Where the parts of a change are in its item of a batch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchItem {
    /// Its method.
    pub method: Pointer,
    /// Its path below the url, with its parameters.
    pub path: Pointer,
    /// Its headers, an object.
    pub headers: Pointer,
    /// Its body.
    pub body: Pointer,
}

impl Default for BatchItem {
    fn default() -> Self {
        Self { method: member("method"), path: member("path"), headers: member("headers"), body: member("body") }
    }
}

/// Where the parts of an answer are in its item of a batch's answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BatchAnswer {
    /// Its status, a number.
    pub status: Pointer,
    /// Its headers, an object of texts.
    pub headers: Option<Pointer>,
    /// Its body.
    pub body: Pointer,
}

impl Default for BatchAnswer {
    fn default() -> Self {
        Self { status: member("status"), headers: Some(member("headers")), body: member("body") }
    }
}

/// The member of this plain name.
fn member(name: &str) -> Pointer {
    Pointer::try_from(format!("/{name}")).unwrap_or_default()
}

/// Where a revision is shown that rows do not have.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revision {
    /// Below the url: a template of `resource` and `id`.
    pub path: Template,
    /// The header of its answer.
    pub header: String,
}

fn method<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Method, D::Error> {
    let word = String::deserialize(reader)?;
    match word.as_str() {
        "GET" | "POST" | "PUT" | "PATCH" | "DELETE" => Method::from_bytes(word.as_bytes()).map_err(serde::de::Error::custom),
        _ => Err(serde::de::Error::custom(format!("{word:?} is not one of GET, POST, PUT, PATCH, DELETE"))),
    }
}

/// What a request carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sends {
    /// Nothing.
    #[default]
    Nothing,
    /// The whole record.
    Whole,
    /// What differs; null clears (RFC 7386).
    Patch,
}
