//! Owns: where things are in a row. Must never know: how rows are got.

use std::collections::{BTreeMap, BTreeSet};

use mingle_core::record::Value;
use serde::Deserialize;

use crate::remotes::rest::pointer::Pointer;

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
    /// Or one of these words, for a service that marks what it deletes; none of them: anything but null and false.
    pub deleted_is: Option<Vec<String>>,
    /// What has something here is no record of ours: some services list two kinds of things together.
    pub skip: Option<Pointer>,
    /// An object whose properties count as the row's own, where the row has it.
    pub spread: Option<Pointer>,
    /// The properties of a record, where the service has them elsewhere or otherwise. With these, nothing else is data.
    #[serde(default)]
    pub fields: BTreeMap<String, Field>,
    /// Further properties of the outermost object that are not data.
    #[serde(default)]
    pub besides: BTreeSet<String>,
}

/// One property of a record.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Field {
    /// Where the row has it; without: under its own name.
    pub at: Option<Pointer>,
    /// It is a list there, and of each item only what lies here counts.
    pub item: Option<Pointer>,
    /// Where it is put in what is sent; without: under its own name.
    pub send: Option<Pointer>,
    /// The service alone sets it: it is never sent.
    pub fixed: bool,
    /// Words that are sent in place of what rows say.
    pub words: BTreeMap<String, String>,
    /// A list of texts is sent as one text, with this between them.
    pub join: Option<String>,
    /// What is sent where it is not there; without: null.
    #[serde(deserialize_with = "constant")]
    pub cleared: Option<Value>,
}

/// A value that stands in the profile.
pub(super) fn constant<'de, D: serde::Deserializer<'de>>(reader: D) -> Result<Option<Value>, D::Error> {
    let value = toml::Value::deserialize(reader)?;
    let text = serde_json::to_string(&value).map_err(serde::de::Error::custom)?;
    crate::json::parse(&text).map(Some).map_err(serde::de::Error::custom)
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
    /// `2026-01-31 12:00:00.000Z`, as databases write it.
    Spaced,
    /// `2026-01-31.12:00:00`, in UTC.
    Dotted,
}

impl RowShape {
    /// Every pointer to what is not data.
    pub fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        let stamps = self.modified.iter().chain(&self.created).map(|stamp| &stamp.at);
        // What marks a record as deleted by a word of its own is data all the same.
        let deleted = self.deleted.iter().filter(|_| self.deleted_is.is_none());
        [&self.id].into_iter().chain(&self.revision).chain(deleted).chain(stamps)
    }
}
