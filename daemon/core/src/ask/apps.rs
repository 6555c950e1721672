//! Owns: the words in which it is told which apps there are, and what each keeps a copy of. Must never know: how copies are kept, the
//! wire.

use std::collections::BTreeMap;

use super::{Grants, Scope, Test};
use crate::{
    session::{Ended, Mode, State},
    time::Timestamp,
};

/// An app that is named in the configuration, is connected, or keeps a copy.
#[derive(Clone, Debug, PartialEq)]
pub struct AppRow {
    /// Its name.
    pub app: String,
    /// What it may do.
    pub grants: Grants,
    /// What it keeps a copy of, by collection.
    pub copies: Vec<CopyRow>,
    /// Where its session is, and its mode; none: it has none open.
    pub session: Option<(State, Mode)>,
}

/// One collection as an app keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct CopyRow {
    /// The collection.
    pub collection: String,
    /// When it became known; none: before that was written down.
    pub since: Option<Timestamp>,
    /// The mode of the next session, if the app asks for none and shows the anchor that it was given last.
    pub next: Mode,
    /// The last session that the collection was in; none: it was in none yet.
    pub last: Option<LastSession>,
    /// The filter under which it stands: only what fits is in it. Empty: everything is.
    pub filter: Vec<Test>,
    /// No session has looked at the records under that filter yet: the next one does.
    pub filter_waits: bool,
}

/// What an app says of its copies.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Register {
    /// What it keeps a copy of.
    pub collections: Vec<String>,
    /// By collection, what is to be in the copy; none: everything. A copy that is not named here keeps the filter that it has.
    pub filters: BTreeMap<String, Option<Vec<Test>>>,
}

/// A session that has begun, and may have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastSession {
    /// When it began.
    pub began: Timestamp,
    /// Its mode; none: it was before that was written down.
    pub mode: Option<Mode>,
    /// How it ended; none: it is open, or was before that was written down.
    pub ended: Option<Ended>,
}

/// The copies that are to be forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Whose.
    pub app: String,
    /// Of which collections; none: of all.
    pub collections: Option<Vec<String>>,
    /// It is the app itself that asks.
    pub own: bool,
    /// What whoever asks may have forgotten.
    pub scope: Scope,
}
