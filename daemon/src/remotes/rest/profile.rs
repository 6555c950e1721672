//! Owns: what a profile may say, and whether it is consistent. A profile is data: pointers and templates, no conditions, no loops.
//! Must never know: any service by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mingle_core::{
    record::Carried,
    replica::{Abilities, ClientIds, Cursor},
};
use reqwest::{
    Method,
    header::{HeaderName, HeaderValue},
};
use serde::Deserialize;

use super::{pointer::Pointer, template::Template};
use crate::remotes::Problem;

/// What one service is like. `profiles/*.toml` in the source and in the configuration's folder hold one each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Goes up when its rows are read differently: what was agreed before no longer counts.
    pub version: u32,
    /// One line for people.
    pub about: String,
    /// Some lines of configuration to start from.
    pub example: String,
    /// What the service can do.
    pub abilities: AbilitiesTable,
    /// The types of bodies.
    #[serde(default)]
    pub types: Types,
    /// How to see that this is such a service at all.
    pub identify: Option<Identify>,
    /// How to see that the resource is there, and which history of it this is.
    pub place: Option<Place>,
    /// Where things are in a row.
    pub row: RowShape,
    /// How rows are listed.
    pub list: List,
    /// How one record is asked for.
    pub get: One,
    /// How a record is made whose id the service chooses.
    pub create: Option<One>,
    /// How a record is made under our id, refused where that exists.
    pub create_named: Option<One>,
    /// How a record is changed.
    pub update: Option<One>,
    /// How a record is deleted.
    pub delete: Option<One>,
    /// What answers mean.
    #[serde(default)]
    pub answers: Answers,
    /// What a person can do where the resource is refused or not there; a template of `url` and `resource`.
    pub denied_hint: Option<Template>,
}

/// See [`Abilities`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbilitiesTable {
    cursor: CursorWord,
    #[serde(default)]
    overlap_ms: Option<u64>,
    #[serde(default)]
    tombstones: bool,
    #[serde(default)]
    strong_revision: bool,
    #[serde(default)]
    conditional: bool,
    #[serde(default)]
    client_ids: Option<ClientIdsTable>,
    #[serde(default)]
    carried: Option<BTreeSet<String>>,
    #[serde(default)]
    modified_grain_ms: Option<u64>,
    errands_max: usize,
    page_rows: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum CursorWord {
    Token,
    Stamp,
    None,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientIdsTable {
    besides: String,
    min: usize,
    max: usize,
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
    /// What must stand there.
    pub equals: String,
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
}

/// Where things are in a row. What is named here is not part of the data.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowShape {
    /// The id: a text or a number.
    pub id: Pointer,
    /// The revision: a text or a number.
    pub revision: Option<Pointer>,
    /// When it was last changed.
    pub modified: Option<Stamp>,
    /// When it was made.
    pub created: Option<Stamp>,
    /// True in a tombstone.
    pub deleted: Option<Pointer>,
    /// Further properties of the outermost object that are not data.
    #[serde(default)]
    pub besides: BTreeSet<String>,
}

/// A moment in a row.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// Where.
    pub at: Pointer,
    /// How it is written.
    pub form: StampForm,
}

/// How a moment is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StampForm {
    /// Milliseconds since 1970.
    UnixMs,
    /// Seconds since 1970.
    UnixS,
    /// `2026-01-31T12:00:00Z`.
    Rfc3339,
}

/// How rows are listed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Below the url.
    pub path: Template,
    /// Parameters: templates of `since`, `page_rows` and `page`; one without a value is left out.
    #[serde(default)]
    pub query: BTreeMap<String, Template>,
    /// Where the rows are in the body.
    pub rows: Pointer,
    /// How the next page is found; without, there is only one.
    pub next: Option<Next>,
    /// Where the token comes from that stands for "everything up to here".
    pub token: Option<Token>,
    /// The header that says how many rows there are in all.
    pub total_header: Option<String>,
}

/// How the next page is found. Only the first that is given counts.
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
    /// `{page}` counts pages, from this number; an empty page ends it.
    Number(u64),
    /// `{page}` counts rows, from this number; an empty page ends it.
    Offset(u64),
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
    /// Templates of `revision`; one without a value is left out.
    #[serde(default)]
    pub headers: BTreeMap<String, Template>,
    /// What is sent.
    #[serde(default)]
    pub sends: Sends,
    /// Where in the body the record is put.
    #[serde(default)]
    pub body: Pointer,
    /// Where the record is in the answer; without, the answer shows none.
    pub row: Option<Pointer>,
    /// An answer without a body is fine, and shows nothing.
    #[serde(default)]
    pub may_be_empty: bool,
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

/// What answers mean.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Answers {
    /// The record is not there.
    pub gone: Vec<u16>,
    /// The record moved: what was taken for granted is not so.
    pub stale: Vec<u16>,
    /// A create met an id that exists.
    pub exists: Vec<u16>,
    /// Where a refusal shows the record as it is now.
    pub present: Option<Pointer>,
    /// Where a refusal has words for people.
    pub words: Option<Pointer>,
}

impl Default for Answers {
    fn default() -> Self {
        Self { gone: vec![404, 410], stale: vec![412], exists: vec![409], present: None, words: None }
    }
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// When it says something unknown or contradicts itself; `name` stands in the words.
    pub fn read(name: &str, text: &str) -> Result<Self, Problem> {
        let wrong = |what: String| Problem::new(format!("the profile {name} is not usable: {what}"));
        let profile: Self = toml::from_str(text).map_err(|error| wrong(error.to_string().trim().to_owned()))?;
        match profile.contradiction() {
            Some(what) => Err(wrong(what)),
            None => Ok(profile),
        }
    }

    /// What it can do, in core words.
    #[must_use]
    pub fn abilities(&self) -> Abilities {
        let table = &self.abilities;
        let grain = table.modified_grain_ms.map(Duration::from_millis);
        Abilities {
            cursor: match table.cursor {
                CursorWord::Token => Cursor::Token,
                CursorWord::None => Cursor::None,
                CursorWord::Stamp => Cursor::Stamp {
                    overlap: table
                        .overlap_ms
                        .map_or(grain.unwrap_or_default() * 2 + Duration::from_secs(5), Duration::from_millis),
                },
            },
            tombstones: table.tombstones,
            strong_revision: table.strong_revision,
            conditional: table.conditional,
            client_ids: table.client_ids.as_ref().map(|ids| ClientIds {
                besides: ids.besides.clone(),
                min: ids.min,
                max: ids.max,
            }),
            carried: match &table.carried {
                Some(names) => Carried::Only(names.difference(&self.not_data()).cloned().collect()),
                None => Carried::AllBut(self.not_data()),
            },
            modified_grain: grain,
            writes: self.update.is_some(),
            errands_max: table.errands_max,
            page_rows: table.page_rows,
        }
    }

    /// The properties of the outermost object that are not data.
    #[must_use]
    pub fn not_data(&self) -> BTreeSet<String> {
        let named = self.row.pointers().filter_map(|pointer| pointer.property().map(str::to_owned));
        named.chain(self.row.besides.iter().cloned()).collect()
    }

    fn contradiction(&self) -> Option<String> {
        let table = &self.abilities;
        let lists_since = self.list.query.values().any(|one| one.names().any(|name| name == "since"));
        let sends_revision = |one: &Option<One>| {
            one.as_ref().is_some_and(|one| one.headers.values().any(|one| one.names().any(|name| name == "revision")))
        };
        let holds: [(bool, &str); 15] = [
            (
                table.cursor != CursorWord::Token || (self.list.token.is_some() && lists_since),
                "a cursor \"token\" needs list.token and {since} in list.query",
            ),
            (
                table.cursor != CursorWord::Stamp || (self.row.modified.is_some() && lists_since),
                "a cursor \"stamp\" needs row.modified and {since} in list.query",
            ),
            (table.cursor != CursorWord::None || !lists_since, "a cursor \"none\" has no use for {since}"),
            (!table.tombstones || self.row.deleted.is_some(), "tombstones need row.deleted"),
            (!table.strong_revision || self.row.revision.is_some(), "strong_revision needs row.revision"),
            (!table.conditional || table.strong_revision, "conditional needs strong_revision"),
            (
                !table.conditional || (sends_revision(&self.update) && sends_revision(&self.delete)),
                "conditional needs {revision} in a header of update and of delete",
            ),
            (
                table.conditional || !(sends_revision(&self.update) || sends_revision(&self.delete)),
                "a header with {revision} is for conditional services",
            ),
            (
                table.modified_grain_ms.is_some() == self.row.modified.is_some(),
                "modified_grain_ms and row.modified belong together",
            ),
            (table.client_ids.is_some() == self.create_named.is_some(), "client_ids and create_named belong together"),
            (
                self.update.is_some() == self.delete.is_some()
                    && self.update.is_some() == (self.create.is_some() || self.create_named.is_some()),
                "create (or create_named), update and delete belong together: all of them or none",
            ),
            (table.errands_max > 0 && table.page_rows > 0, "errands_max and page_rows begin at 1"),
            (
                table.client_ids.as_ref().is_none_or(|ids| ids.min > 0 && ids.min <= ids.max),
                "client_ids has min > max or min = 0",
            ),
            (!self.types.take.is_empty(), "types.take is empty"),
            (self.update.as_ref().is_none_or(|one| one.sends != Sends::Nothing), "update sends nothing"),
        ];
        if let Some((_, what)) = holds.iter().find(|(holds, _)| !holds) {
            return Some((*what).to_owned());
        }
        self.strange_name().or_else(|| self.strange_header())
    }

    /// A template with a name that has no meaning where it stands.
    fn strange_name(&self) -> Option<String> {
        let check = |at: &str, template: &Template, known: &[&str]| {
            template
                .names()
                .find(|name| !known.contains(name))
                .map(|name| format!("{at} has {{{name}}}; there are: {}", known.join(", ")))
        };
        for (at, template) in [
            ("identify.path", self.identify.as_ref().map(|one| &one.path)),
            ("place.path", self.place.as_ref().map(|one| &one.path)),
            ("list.path", Some(&self.list.path)),
        ] {
            if let Some(what) = template.and_then(|template| check(at, template, &["resource"])) {
                return Some(what);
            }
        }
        if let Some(what) = self.denied_hint.as_ref().and_then(|one| check("denied_hint", one, &["url", "resource"])) {
            return Some(what);
        }
        for (name, template) in &self.list.query {
            if let Some(what) = check(&format!("list.query.{name}"), template, &["since", "page_rows", "page"]) {
                return Some(what);
            }
        }
        for (at, one) in self.ones() {
            let path_names: &[&str] = if at == "create" { &["resource"] } else { &["resource", "id"] };
            if let Some(what) = check(&format!("{at}.path"), &one.path, path_names) {
                return Some(what);
            }
            for (name, template) in &one.headers {
                if let Some(what) = check(&format!("{at}.headers.{name}"), template, &["revision"]) {
                    return Some(what);
                }
            }
        }
        None
    }

    fn strange_header(&self) -> Option<String> {
        let next = match &self.list.next {
            Some(Next::Header(name)) => Some(name),
            _ => None,
        };
        let of_list = next.into_iter().chain(self.list.token.iter().map(|token| &token.header)).chain(&self.list.total_header);
        let of_ones = self.ones().flat_map(|(_, one)| one.headers.keys());
        let strange = of_list.chain(of_ones).find(|name| HeaderName::from_bytes(name.as_bytes()).is_err());
        if let Some(name) = strange {
            return Some(format!("{name:?} is no name of a header"));
        }
        HeaderValue::from_str(&self.types.send).is_err().then(|| "types.send is no type".to_owned())
    }

    fn ones(&self) -> impl Iterator<Item = (&'static str, &One)> {
        let all = [
            ("get", Some(&self.get)),
            ("create", self.create.as_ref()),
            ("create_named", self.create_named.as_ref()),
            ("update", self.update.as_ref()),
            ("delete", self.delete.as_ref()),
        ];
        all.into_iter().filter_map(|(at, one)| one.map(|one| (at, one)))
    }
}

impl RowShape {
    /// Every pointer to what is not data.
    pub fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        let stamps = self.modified.iter().chain(&self.created).map(|stamp| &stamp.at);
        [&self.id].into_iter().chain(&self.revision).chain(&self.deleted).chain(stamps)
    }
}
