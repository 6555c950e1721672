//! Owns: the words about the past of records: why a value is what it is, and taking changes back. Must never know: how the past is kept.

use serde::{Deserialize, Serialize};

use super::is_false;
use crate::{Raw, Time, words::words};

/// `why`: where a record, or one property of it, comes from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// The collection.
    pub collection: String,
    /// The record; also one that was deleted.
    pub id: String,
    /// Only this property, with what it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
}

/// What `why` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WhyAnswer {
    /// The record.
    pub id: String,
    /// Its seq.
    pub seq: u64,
    /// Whether it is there.
    pub state: RecordState,
    /// The record as a whole first, then its properties by name; or the one that was asked for.
    pub why: Vec<WhyOne>,
    /// There is more than fits into an answer.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
}

words! {
    /// Whether a record is there.
    pub enum RecordState {
        /// It is.
        Live = "live",
        /// It was deleted.
        Deleted = "deleted",
        /// It left without being deleted.
        Forgotten = "forgotten",
    }
}

words! {
    /// How a value came.
    pub enum Rule {
        /// An app wrote it.
        Written = "written",
        /// A sync brought it, and nothing here was in its way.
        Arrived = "arrived",
        /// Both sides had changed it, and what came took the place of what was here.
        Merged = "merged",
        /// Both sides had changed it, and what was here stayed.
        Kept = "kept",
        /// Both sides had changed it, and somebody must decide; what was here stays until then.
        Open = "open",
        /// The ledger has no change of it.
        Unrecorded = "unrecorded",
    }
}

/// Why one property has its value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WhyOne {
    /// Null: the record as a whole, which came or went.
    pub property: Option<String>,
    /// Its value; null: absent.
    pub value: Option<Raw>,
    /// When it came; not there where the ledger does not reach back so far, as the next two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_at: Option<Time>,
    /// Whose change it was: `app:NAME`, `sync:NAME`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// The seq of that change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// How it came.
    pub rule: Rule,
    /// The merge policy of the property.
    pub policy: String,
    /// What lost to it, or waits beside it; the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Lost>,
    /// What it was before, the newest first; only where one property is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Former>,
}

/// A value that lost to another, or waits beside it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Lost {
    /// The conflict: `c-...`.
    pub conflict: String,
    /// It waits for a decision.
    pub open: bool,
    /// Whose value it was: `truth` (the one here) or `theirs`.
    pub side: LostSide,
    /// The value; null: absent, or gone.
    pub value: Option<Raw>,
    /// Who brought the other: the name of a remote or an app.
    pub replica: String,
    /// When they met.
    pub at: Time,
}

words! {
    /// Whose value lost.
    pub enum LostSide {
        /// The one that was here.
        Truth = "truth",
        /// The one that came.
        Theirs = "theirs",
    }
}

/// A former value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Former {
    /// The value; null: absent.
    pub value: Option<Raw>,
    /// When it came.
    pub since_at: Time,
    /// Whose change it was.
    pub origin: String,
    /// The seq of that change.
    pub seq: u64,
}

/// `undo`: takes changes back. All that is given must hold; a record alone means its last change.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// In this collection; None: in all that the app may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Of this record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// This change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// Changes of this app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<String>,
    /// Changes that this sync brought.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// Changes that this run brought: `r-...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Changes made then or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_at: Option<Time>,
    /// Changes made then or earlier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_at: Option<Time>,
    /// Only say what it would do.
    #[serde(default, skip_serializing_if = "is_false")]
    pub preview: bool,
    /// Also where something has changed since.
    #[serde(default, skip_serializing_if = "is_false")]
    pub force: bool,
    /// Of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The operation id of this page: a repeat returns the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// The instance that the cursor and `op` belong to, if not this connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// What `undo` answers: one page, which is done whole or not at all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UndoAnswer {
    /// A preview: everything that would be done, or left. Else: what was left as it is, without values.
    pub changes: Vec<UndoChange>,
    /// The records that changed; none in a preview.
    pub undone: Vec<UndoneOne>,
    /// For `wait`: of this page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The operation id, where something was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// There where another page follows: the same call with it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What is taken back of one property, or of a record as a whole.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UndoChange {
    /// Of the record.
    pub collection: String,
    /// The record.
    pub id: String,
    /// Null: the record as a whole, which comes or goes.
    pub property: Option<String>,
    /// The value now; null: absent, or gone.
    pub from: Option<Raw>,
    /// The value it gets; null: absent, or gone.
    pub to: Option<Raw>,
    /// The change that is taken back.
    pub seq: u64,
    /// The later change that is in the way: it stays as it is, unless `force`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<Later>,
}

/// A change that came later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Later {
    /// Its seq.
    pub seq: u64,
    /// Whose it was: `app:NAME`, `sync:NAME`.
    pub origin: String,
    /// When.
    pub at: Time,
}

/// A record that was changed by an undo.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UndoneOne {
    /// Its collection.
    pub collection: String,
    /// The record.
    pub id: String,
    /// Its seq now.
    pub seq: u64,
}
