//! Owns: what a profile may say. A profile is data: pointers and templates, no conditions, no loops.
//! Must never know: any service by name.

mod answers;
mod check;
mod requests;
mod shape;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

pub use answers::{Answers, Limits, Meaning, Means, ResetForm};
pub use check::{Wrong, wrongs};
use mingle_core::{
    record::Carried,
    replica::{Abilities, ClientIds, Cursor},
};
pub use requests::{Batch, Identify, List, More, Next, One, Place, Sends, Token, Types};
use serde::Deserialize;
pub use shape::{Field, RowShape, Stamp, StampForm};

use super::template::Template;
use crate::remotes::Problem;

/// What one service is like. `profiles/*.toml` in the source and in the configuration's folder hold one each.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Goes up when its rows are read differently: what was agreed before no longer counts.
    pub version: u32,
    /// Which records it lists and how it reads them, in a few letters, where somebody wrote it; empty: it is built in.
    #[serde(skip)]
    pub listing: String,
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
    /// How several changes go out in one request.
    pub batch: Option<Batch>,
    /// What the statuses of answers mean.
    #[serde(default)]
    pub answers: Answers,
    /// What answers mean whose status does not tell alone; the first that fits counts.
    #[serde(default)]
    pub meaning: Vec<Meaning>,
    /// Headers of every request: templates of `origin` (of the url) and `url`.
    #[serde(default)]
    pub headers: Templates,
    /// What it says of how much it may be asked.
    #[serde(default)]
    pub limits: Limits,
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
    key_kept_s: Option<u64>,
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
    #[serde(default)]
    besides: String,
    #[serde(default)]
    lower_case: bool,
    min: usize,
    max: usize,
}

impl Profile {
    /// Reads a profile.
    ///
    /// # Errors
    /// When it says something unknown or contradicts itself; `name` stands in the words.
    pub fn read(name: &str, text: &str) -> Result<Self, Problem> {
        check::read(text).map_err(|wrong| {
            let Wrong { line, what, hint } = wrong;
            let place = if line > 0 { format!(" (line {line})") } else { String::new() };
            Problem { what: format!("the profile {name} is not usable: {what}{place}"), hint }
        })
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
            tells: false,
            confirms: false,
            strong_revision: table.strong_revision,
            conditional: table.conditional,
            client_ids: table.client_ids.as_ref().map(|ids| ClientIds {
                besides: ids.besides.clone(),
                lower_case: ids.lower_case,
                min: ids.min,
                max: ids.max,
            }),
            key_kept: table.key_kept_s.map(Duration::from_secs),
            batch_max: self.batch.as_ref().map_or(1, |batch| batch.max),
            carried: match &table.carried {
                Some(names) => Carried::Only(names.difference(&self.not_data()).cloned().collect()),
                None if !self.row.fields.is_empty() => Carried::Only(self.row.fields.keys().cloned().collect()),
                None => Carried::AllBut(self.not_data()),
            },
            // A service with fields has defaults for them, and writes some itself.
            fills_in: !self.row.fields.is_empty(),
            later: [&self.create, &self.create_named]
                .into_iter()
                .flatten()
                .flat_map(|one| &one.later)
                .map(|(name, later)| (name.clone(), later.begins.clone()))
                .collect(),
            modified_grain: grain,
            writes: self.update.is_some(),
            deletes: self.delete.is_some(),
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

    /// How it does what it can, for people.
    #[must_use]
    pub fn ways(&self) -> Vec<(&'static str, String)> {
        let list = &self.list;
        let pages = match &list.next {
            None => "all in one answer".into(),
            Some(Next::Header(name)) => format!("the next one's address in the header {name}"),
            Some(Next::Link(_)) => "the next one's address in the header link".into(),
            Some(Next::Address(at)) => format!("the next one's address at {at}"),
            Some(Next::Cursor(at)) => format!("the next one's key at {at}"),
            Some(Next::Number(_)) => "by number".into(),
            Some(Next::Offset(_)) => "by how many rows came before".into(),
            Some(Next::Stamp(_)) => "by stamp".into(),
            Some(Next::StampAndId) => "by stamp and id".into(),
        };
        let mut ways = vec![("pages", pages)];
        if let Some(update) = &self.update {
            ways.push(("updates", if update.sends == Sends::Patch { "what differs".into() } else { "whole records".into() }));
        }
        if let (false, Some(update)) = (self.abilities.conditional, &self.update)
            && update.headers.values().any(|one| one.has("revision"))
        {
            ways.push(("conditional_writes", "with the revision that a look right before it shows".into()));
        }
        if let Some(batch) = &self.batch {
            ways.push(("batch", format!("up to {} changes in one request", batch.max)));
        }
        if let Some(kept) = self.abilities.key_kept_s {
            ways.push(("repeats", format!("under a key, for {kept} s")));
        } else if self.create.is_some() && self.abilities.client_ids.is_none() {
            ways.push(("repeats", "of a create whose answer was lost: after it was looked for among new records".into()));
        }
        if let Some(name) = &self.limits.remaining {
            ways.push(("limits", format!("the header {name}")));
        }
        if list.validates {
            ways.push(("validators", "a listing of what did not change costs little".into()));
        }
        ways
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

    /// Every template that becomes an address, with where it stands and the names that mean something there.
    fn paths(&self) -> impl Iterator<Item = (String, &Template, &'static [&'static str])> {
        const PLACE: &[&str] = &["resource"];
        const RECORD: &[&str] = &["resource", "id"];
        let of_place = [
            ("identify.path", self.identify.as_ref().map(|one| &one.path)),
            ("place.path", self.place.as_ref().map(|one| &one.path)),
            ("list.path", Some(&self.list.path)),
            ("batch.path", self.batch.as_ref().map(|one| &one.path)),
        ];
        let of_place = of_place.into_iter().filter_map(|(at, path)| Some((at.to_owned(), path?, PLACE)));
        let of_ones = self.ones().map(|(at, one)| {
            let names =
                if matches!(at, "create" | "create_named") && one.id.is_some() || at == "create" { PLACE } else { RECORD };
            (format!("{at}.path"), &one.path, names)
        });
        let of_revision = self.get.revision.iter().map(|one| ("get.revision.path".to_owned(), &one.path, RECORD));
        of_place.chain(of_ones).chain(of_revision)
    }
}

/// Templates by the name of what they fill: headers, parameters.
pub type Templates = BTreeMap<String, Template>;
