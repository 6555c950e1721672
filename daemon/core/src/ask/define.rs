//! Owns: what is asked where an app defines a sync, and what is answered. Must never know: what stands in a definition.

use crate::time::Timestamp;

/// What becomes of a sync of that name that an app has defined before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IfExists {
    /// It stays as it is.
    Keep,
    /// It becomes what is asked; what it has been through stays, and a run that is on goes on.
    #[default]
    Update,
    /// A new one takes its place: a run that is on ends, and the schedule begins anew.
    Replace,
}

/// A change of the syncs that apps define.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redefine {
    /// A sync is to be there.
    Define {
        /// Its name.
        sync: String,
        /// Its keys and values, as a JSON object.
        definition: String,
        /// Where there is one already.
        if_exists: IfExists,
        /// The app.
        by: String,
        /// The moment of its next run; none: one that it has already stays.
        next: Option<Timestamp>,
    },
    /// A sync is to go; what it brought stays.
    Remove {
        /// Its name.
        sync: String,
    },
}

impl Redefine {
    /// The sync.
    #[must_use]
    pub fn sync(&self) -> &str {
        match self {
            Self::Define { sync, .. } | Self::Remove { sync } => sync,
        }
    }
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There was none.
    Created,
    /// It stays as it was.
    Kept,
    /// It is another one from now on, or from the end of its run on.
    Updated,
    /// It begins anew.
    Replaced,
    /// It is gone.
    Removed,
}

/// The answer to a change of the syncs that apps define.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redefined {
    /// What came of it.
    pub outcome: Outcome,
    /// How often it was defined, this time included; of one that is gone, until then.
    pub generation: u64,
    /// Changes that wait for a place that no sync speaks with any more.
    pub orphaned: u64,
}

/// By whom a sync was defined over the socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinedBy {
    /// The app.
    pub by: String,
    /// How often it was defined.
    pub generation: u64,
}
