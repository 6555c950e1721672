//! Owns: the words for reading and writing records. Must never know: what is in a record.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Freshness, Where, is_false, object};
use crate::{Raw, words::words};

/// `get`: one record; `not_found` where there is none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Get {
    /// The collection.
    pub collection: String,
    /// The record.
    pub id: String,
    /// Not older than this: where what is here is, its remotes are asked first. 0: asked by all means; left out: what is here, at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_ms: Option<u64>,
    /// With `max_age_ms`: then what is here is answered, and the work goes on; left out: 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// One record as the truth has it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Record {
    /// Its id in the collection.
    pub id: String,
    /// The object, as it was written.
    pub data: Raw,
    /// The seq of its last change: for `if_seq`.
    pub seq: u64,
    /// Of a `get` with `max_age_ms` alone: how fresh it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<Freshness>,
}

/// `list`: records that fit `where`, in pages.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The collection.
    pub collection: String,
    /// All tests must hold.
    #[serde(rename = "where", default, skip_serializing_if = "Option::is_none")]
    pub where_: Option<Where>,
    /// Property names, the first decides first; `-` before one turns it round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<String>>,
    /// The most records of a page, up to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Of the page before; the rest of the call must be the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Not older than this: where what is here is, its remotes are asked first. Of a page that has a `cursor` it is not looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_ms: Option<u64>,
    /// With `max_age_ms`: then what is here is answered, and the work goes on; left out: 10 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// What `list` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListAnswer {
    /// One page.
    pub records: Vec<Record>,
    /// There where another page may follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Of a first page with `max_age_ms` alone: how fresh it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh: Option<Freshness>,
}

/// `put`: a whole record. Over one that exists it needs `if_seq` or `overwrite`, else `stale`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// The collection.
    pub collection: String,
    /// The record; the daemon makes a UUIDv7 where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The object.
    pub data: Raw,
    /// The operation id: a repeat returns the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// Only if the record's seq is this; 0: only if there is none. Else `stale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_seq: Option<u64>,
    /// Whatever is there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub overwrite: bool,
    /// A meeting whose base is the record at `if_seq`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub merge: bool,
    /// The instance that `if_seq` and `op` belong to, if not this connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Stays here until somebody marks the record for upload.
    #[serde(default, skip_serializing_if = "is_false")]
    pub defer: bool,
}

/// `patch`: RFC 7396, a null takes a property away; `not_found` where there is no record.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Patch {
    /// The collection.
    pub collection: String,
    /// The record.
    pub id: String,
    /// An object.
    pub patch: Raw,
    /// The operation id: a repeat returns the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// Only if the record's seq is this, else `stale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_seq: Option<u64>,
    /// The instance that `if_seq` and `op` belong to, if not this connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Stays here until somebody marks the record for upload.
    #[serde(default, skip_serializing_if = "is_false")]
    pub defer: bool,
}

/// `delete`: the record is gone, here and then at its remotes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Delete {
    /// The collection.
    pub collection: String,
    /// The record.
    pub id: String,
    /// The operation id: a repeat returns the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// Only if the record's seq is this, else `stale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_seq: Option<u64>,
    /// The instance that `if_seq` and `op` belong to, if not this connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Stays here until somebody marks the record for upload.
    #[serde(default, skip_serializing_if = "is_false")]
    pub defer: bool,
}

/// What a write answers, after its commit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Written {
    /// The record.
    pub id: String,
    /// Its seq now; the present one where nothing changed.
    pub seq: u64,
    /// For `wait`: `w-...`.
    pub token: String,
    /// The operation id, also where the daemon made it.
    pub op: String,
}

/// `transact`: all writes in one commit, or none.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Transact {
    /// In this order.
    pub writes: Vec<Write>,
    /// The operation id of the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// The instance that the seqs and `op` belong to, if not this connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// One write of a `transact`: `{"put": {...}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Write {
    /// As `put`.
    #[serde(rename = "put", deserialize_with = "object")]
    Put(PutOne),
    /// As `patch`.
    #[serde(rename = "patch", deserialize_with = "object")]
    Patch(PatchOne),
    /// As `delete`.
    #[serde(rename = "delete", deserialize_with = "object")]
    Delete(DeleteOne),
}

/// A `put` inside a `transact`; its fields are those of [`Put`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of Put say it")]
pub struct PutOne {
    pub collection: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub data: Raw,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_seq: Option<u64>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub overwrite: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub merge: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub defer: bool,
}

/// A `patch` inside a `transact`; its fields are those of [`Patch`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of Patch say it")]
pub struct PatchOne {
    pub collection: String,
    pub id: String,
    pub patch: Raw,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_seq: Option<u64>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub defer: bool,
}

/// A `delete` inside a `transact`; its fields are those of [`Delete`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of Delete say it")]
pub struct DeleteOne {
    pub collection: String,
    pub id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_seq: Option<u64>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub defer: bool,
}

/// What `transact` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TransactAnswer {
    /// One for each write, in their order.
    pub writes: Vec<WrittenOne>,
    /// For `wait`: of the whole.
    pub token: String,
    /// The operation id.
    pub op: String,
}

/// One write of a `transact`, done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WrittenOne {
    /// The record.
    pub id: String,
    /// Its seq now.
    pub seq: u64,
}

/// `changes`: the feed from a position, grouped by record inside a page.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// What is known already; 0 for nothing.
    pub since: u64,
    /// The instance that `since` belongs to, if not the present one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Only these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collections: Option<Vec<String>>,
    /// Of these collections only these records, by id: up to 256 in all. They are the collections, where those are left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<BTreeMap<String, Vec<String>>>,
    /// The most changes of a page, up to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// With the records' data.
    #[serde(default, skip_serializing_if = "is_false")]
    pub data: bool,
}

/// What `changes` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ChangesAnswer {
    /// One page.
    pub changes: Vec<Change>,
    /// The position behind this page: the next `since`.
    pub seq: u64,
    /// Whether another page follows; while it does, the view is not whole.
    pub more: bool,
    /// `since` could not be told from: this is everything, from the beginning, and what the caller had is void.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fresh: bool,
}

/// One record that changed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Change {
    /// Its collection.
    pub collection: String,
    /// Its id.
    pub id: String,
    /// Of its last change.
    pub seq: u64,
    /// What became of it.
    pub kind: ChangeKind,
    /// Its data now, where asked for and where it is still there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Raw>,
    /// Of one that left because it proved to be the same as another record: the id of that, which its own id means from now on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
}

words! {
    /// What became of a record since the position.
    #[derive(Default)]
    pub enum ChangeKind {
        /// Made after it.
        Created = "created",
        /// Was there, and is another.
        #[default]
        Updated = "updated",
        /// Is gone.
        Deleted = "deleted",
        /// Is no longer here, or not for this reader, and was not deleted: filter, grant, forgotten, or another record's alias.
        Left = "left",
    }
}
