//! Owns: where things are in a row. Must never know: how rows are got.

use std::collections::BTreeSet;

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
    /// `2026-01-31 12:00:00.000Z`, as databases write it.
    Spaced,
}

impl RowShape {
    /// Every pointer to what is not data.
    pub fn pointers(&self) -> impl Iterator<Item = &Pointer> {
        let stamps = self.modified.iter().chain(&self.created).map(|stamp| &stamp.at);
        [&self.id].into_iter().chain(&self.revision).chain(&self.deleted).chain(stamps)
    }
}
