//! Owns: the words about what a person or an app must decide. Must never know: how a merge decides.

use serde::{Deserialize, Serialize};

use super::{is_false, present};
use crate::{
    Raw, Time,
    words::{choice, words},
};

choice! {
    /// A merge rule, in the word of the configuration.
    pub enum Merge {
        /// The truth's value stands.
        Truth = "truth",
        /// The replica's value stands.
        Remote = "remote",
        /// The later one stands.
        Newest = "newest",
        /// Lists as sets: what either side added is there, what either removed is gone.
        Union = "union",
        /// The larger number, the later text.
        Max = "max",
        /// The smaller number, the earlier text.
        Min = "min",
        /// Merged line by line.
        Text = "text",
        /// A person decides.
        Manual = "manual",
    }
}

/// `conflict.list`: open ones unless all are asked for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConflictList {
    /// Only of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    /// Also those that a policy or a person has decided.
    #[serde(default, skip_serializing_if = "is_false")]
    pub all: bool,
    /// Also says what this rule would have made of each, and of how many; then those that are decided are listed too. Nothing changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<Merge>,
    /// Of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What `conflict.list` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ConflictListAnswer {
    /// One page.
    pub conflicts: Vec<Conflict>,
    /// There where another page may follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// What the rule that was asked about would have settled of the whole question; with its first page alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub under: Option<Under>,
}

/// How many conflicts about a property a rule would have settled without a person. Where a delete met an edit is not counted: no merge
/// rule is asked about that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Under {
    /// The rule.
    pub rule: Merge,
    /// So many.
    pub settled: u64,
    /// Of so many.
    pub of: u64,
    /// There are older ones, which were not looked at.
    #[serde(default, skip_serializing_if = "is_false")]
    pub more: bool,
}

/// One property that both sides changed differently, or a delete that met an edit.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Conflict {
    /// Its id: `c-...`.
    pub conflict: String,
    /// It waits for a decision.
    pub open: bool,
    /// Of the record.
    pub collection: String,
    /// The record.
    pub id: String,
    /// Null: a delete met an edit; then the values are whole records, and null stands for "gone".
    pub property: Option<String>,
    /// What both had before; null: nothing.
    pub agreed: Option<Raw>,
    /// What the truth had; null: nothing.
    pub truth: Option<Raw>,
    /// What the replica brought; null: nothing.
    pub theirs: Option<Raw>,
    /// Who brought it: the name of a sync or an app.
    pub replica: String,
    /// What was decided, in a word: `manual` while it is open, `truth`, `remote`, ...
    pub verdict: String,
    /// Of the record when it was met.
    pub seq: u64,
    /// When it was met.
    pub at: Time,
    /// What the rule that was asked about would have made of it. Not there where none was, and where a delete met an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would: Option<Would>,
}

/// What a rule would have made of a conflict.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Would {
    /// It would have decided.
    pub settled: bool,
    /// If so, the value that would have stood; null: nothing.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub value: Option<Raw>,
    /// If not, why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Unsettled>,
}

words! {
    /// Why a rule would not have decided a conflict.
    pub enum Unsettled {
        /// A person would have to.
        Person = "person",
        /// Which side was later cannot be told: a conflict does not keep when the replica's value was made.
        Stamps = "stamps",
    }
}

choice! {
    /// Which of the three values stays.
    pub enum Keep {
        /// What is here.
        Truth = "truth",
        /// What came.
        Theirs = "theirs",
        /// What was before.
        Agreed = "agreed",
    }
}

/// `conflict.resolve`: exactly one of `keep` and `value`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConflictResolve {
    /// Its id: `c-...`.
    pub conflict: String,
    /// Only if the record's seq is this, else `stale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_seq: Option<u64>,
    /// One of the three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// Another value; a null that is written counts.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub value: Option<Raw>,
    /// The operation id: a repeat returns the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// The instance that `if_seq` and `op` belong to, if not this connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// `rejection.list`: those that stand.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RejectionList {
    /// Only of this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// Of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What `rejection.list` answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RejectionListAnswer {
    /// One page.
    pub rejections: Vec<Rejection>,
    /// There where another page may follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A record that one sync could not settle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Rejection {
    /// Its id: `j-...`.
    pub rejection: String,
    /// What kind it is.
    pub side: Side,
    /// Of the record.
    pub collection: String,
    /// The record; None: the row never became one here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its id at the remote, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<String>,
    /// Which sync.
    pub sync: String,
    /// What was tried: `create`, `update`, `delete`, `apply`.
    pub action: String,
    /// What the remote said, or what is wrong, for people.
    pub what: String,
    /// When, the last time.
    pub at: Time,
    /// How many times.
    pub tries: u64,
}

words! {
    /// Where a record could not be settled.
    pub enum Side {
        /// The remote refused it.
        Up = "up",
        /// The row could not be applied here.
        Down = "down",
        /// Whether the remote made it cannot be told.
        Create = "create",
        /// A delete that is guarded.
        Delete = "delete",
    }
}

choice! {
    /// What becomes of a rejection.
    pub enum With {
        /// Once more, now.
        Retry = "retry",
        /// Leave the difference until a side changes; down: skip that revision.
        Drop = "drop",
        /// Forget the remote id and create anew.
        Recreate = "recreate",
        /// Take what the remote has.
        Rollback = "rollback",
    }
}

/// `rejection.resolve`: decides what becomes of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RejectionResolve {
    /// Its id: `j-...`.
    pub rejection: String,
    /// How.
    pub with: With,
    /// The operation id: a repeat returns the first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// The instance that `op` belongs to, if not this connection's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

/// What `rejection.resolve` answers. A rejected row that never became a record has neither id nor seq nor token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Resolved {
    /// The record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its seq now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// For `wait`: `w-...`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The operation id, also where the daemon made it.
    pub op: String,
}
