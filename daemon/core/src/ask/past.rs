//! Owns: the words in which the past of a record is asked for, told, and taken back. Must never know: the ledger's rows, the wire.

use super::{Body, ConflictRow, Scope, Written};
use crate::{
    replay::{Tally, Would},
    time::Timestamp,
};

/// Why a record is as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// Its id.
    pub id: String,
    /// Its seq.
    pub seq: u64,
    /// `live`, `deleted`, `forgotten`.
    pub state: &'static str,
    /// The record as a whole first, then its properties by name; or the one that was asked for.
    pub rows: Vec<WhyRow>,
    /// Not everything is told: it would have been too long.
    pub more: bool,
}

/// Why one property has its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyRow {
    /// None: the record as a whole, which came or went.
    pub property: Option<String>,
    /// Its value, JSON text; none: absent.
    pub value: Option<Body>,
    /// The change that gave it; none: the ledger does not reach back so far.
    pub since: Option<Past>,
    /// How it came: [`WhyRow::RULES`].
    pub rule: &'static str,
    /// The merge policy of the property, in the word of the configuration.
    pub policy: &'static str,
    /// What lost to it, or waits beside it; newest first.
    pub lost: Vec<LostRow>,
    /// What it was before, newest first. Only where one property is asked for.
    pub before: Vec<(Option<Body>, Past)>,
}

impl WhyRow {
    /// An app wrote it.
    pub const WRITTEN: &'static str = "written";
    /// A sync brought it, and nothing here was in its way.
    pub const ARRIVED: &'static str = "arrived";
    /// Both sides had changed it, and what came took the place of what was here.
    pub const MERGED: &'static str = "merged";
    /// Both sides had changed it, and what was here stayed.
    pub const KEPT: &'static str = "kept";
    /// Both sides had changed it, and somebody must decide; what was here stays until then.
    pub const OPEN: &'static str = "open";
    /// The ledger has no change of it.
    pub const UNRECORDED: &'static str = "unrecorded";
}

/// One change: when, and whose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Its seq.
    pub seq: u64,
    /// `app:NAME`, `sync:NAME`.
    pub origin: String,
    /// When.
    pub at: Timestamp,
}

/// A value that lost to another, or waits beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostRow {
    /// The conflict.
    pub conflict: String,
    /// It is still open.
    pub open: bool,
    /// Whose value it was: true, the remote's (or the app's that met the truth); false, the one here.
    pub theirs: bool,
    /// The value; none: absent, or gone.
    pub value: Option<Body>,
    /// The remote's or app's name.
    pub replica: String,
    /// When they met.
    pub at: Timestamp,
}

/// Which changes are taken back; all that is given must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undo {
    /// In these collections.
    pub scope: Scope,
    /// Of this record. Nothing else given: its last change.
    pub id: Option<String>,
    /// This change.
    pub seq: Option<u64>,
    /// Of this app.
    pub app: Option<String>,
    /// Of this sync.
    pub sync: Option<String>,
    /// Of this run.
    pub run: Option<String>,
    /// Made then or later.
    pub since: Option<Timestamp>,
    /// Made then or earlier.
    pub until: Option<Timestamp>,
    /// Also what has changed since.
    pub force: bool,
    /// A former answer's cursor.
    pub cursor: Option<String>,
}

/// What is taken back of one property, or of a record as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UndoRow {
    /// Where.
    pub collection: String,
    /// Which record.
    pub id: String,
    /// None: the record as a whole.
    pub property: Option<String>,
    /// The value now; none: absent, or gone.
    pub from: Option<Body>,
    /// The value it gets; none: absent, or gone.
    pub to: Option<Body>,
    /// The change that is taken back.
    pub seq: u64,
    /// The later change that is in the way: nothing is done then.
    pub later: Option<Past>,
}

/// A page of what would be taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UndoPage {
    /// By record.
    pub rows: Vec<UndoRow>,
    /// Where the next page begins; none: this was the last.
    pub cursor: Option<String>,
}

/// What was taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// The records that changed.
    pub written: Written,
    /// Their collections, in the same order.
    pub collections: Vec<String>,
    /// What was left as it is, for what came later; and where the next page begins.
    pub left: UndoPage,
}

/// Conflicts, newest first, as another rule would have settled them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// One page. None beside a row: a delete met an edit, and no merge rule is asked about that.
    pub rows: Vec<(ConflictRow, Option<Would<Body>>)>,
    /// Where the next page begins.
    pub cursor: Option<String>,
    /// Of the whole question; with its first page.
    pub tally: Option<Tally>,
}
