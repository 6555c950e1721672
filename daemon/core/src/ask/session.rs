//! Owns: the words in which an app that keeps its own copy pushes, mingles and pulls. Must never know: how sessions are kept, the wire.

use std::time::Duration;

use super::{Body, ChangeKind};
use crate::session::{Mode, State};

/// Who speaks: a session belongs to one app, and to the connection that began it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// The app's name.
    pub app: String,
    /// Its connection, by our number.
    pub connection: u64,
}

/// How a session is to begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Begin {
    /// The collections: one scope, in the order in which they are pulled.
    pub collections: Vec<String>,
    /// The mode asked for; none: fast where that is possible.
    pub mode: Option<Mode>,
    /// The anchor that the app was given last.
    pub anchor: Option<String>,
    /// Others are invited to take part; none: it is alone.
    pub invites: Option<Invites>,
}

/// Whom an app that begins invites.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invites {
    /// Those who asked to be alerted, and may write all of the collections.
    pub apps: Vec<String>,
    /// How long each is waited for.
    pub within: Duration,
}

/// An app's answer to an invitation; or the question of who has invited, until all have answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Join {
    /// The session that it was invited to, or its own.
    pub session: String,
    /// It does not want to.
    pub decline: bool,
    /// Of the collections, those that take part; none: all.
    pub collections: Option<Vec<String>>,
    /// The mode asked for; none: fast where that is possible.
    pub mode: Option<Mode>,
    /// The anchor that the app was given last.
    pub anchor: Option<String>,
}

/// What came of a [`Join`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The session of the app that asked; where it declined, that which it was invited to.
    pub session: String,
    /// Where that is.
    pub state: State,
    /// Its mode; none: the app declined.
    pub mode: Option<Mode>,
    /// Those who take part, as far as it is known.
    pub joined: Vec<String>,
}

/// A session that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Its id: `s-...`.
    pub session: String,
    /// Its mode, which may be another than was asked for.
    pub mode: Mode,
    /// Those who were invited; none: it does not wait for anybody.
    pub invited: Vec<String>,
}

/// Something that the app changed in its copy, under the id that the record has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// The whole record.
    Put {
        /// Where.
        collection: String,
        /// Which.
        id: String,
        /// What.
        data: Body,
    },
    /// Single properties (RFC 7396).
    Patch {
        /// Where.
        collection: String,
        /// Which.
        id: String,
        /// What: an object, null removes.
        patch: Body,
    },
    /// Its end.
    Delete {
        /// Where.
        collection: String,
        /// Which.
        id: String,
    },
}

/// What mingling did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mingled {
    /// Records that changed in the truth.
    pub changed: u64,
    /// Conflicts that were recorded.
    pub conflicts: u64,
    /// Records that were deleted, of those that changed.
    pub deleted: u64,
}

/// A page of what the app lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// The records, in the order of the session's collections and then of their seqs.
    pub records: Vec<PulledOne>,
    /// Where the next page begins; none: this was the last.
    pub cursor: Option<String>,
}

/// A record that the app lacks, or has in an older state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledOne {
    /// Where.
    pub collection: String,
    /// The app's own id where it has one, else the truth's.
    pub id: String,
    /// What became of it.
    pub kind: ChangeKind,
    /// The seq that accept and refuse name.
    pub seq: u64,
    /// The record; none: it is gone.
    pub data: Option<Body>,
}

/// What the app did with a record that it was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Where.
    pub collection: String,
    /// Under the id with which it was shown.
    pub id: String,
    /// The seq with which it was shown.
    pub seq: u64,
    /// What.
    pub how: Took,
}

/// See [`Take`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Took {
    /// It stored it.
    Accepted {
        /// What it made of it; none: just that.
        form: Option<Body>,
        /// The id that it has there; none: the one that was shown.
        id: Option<String>,
    },
    /// It does not want it, as it is.
    Refused,
}

/// A record that the app has lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LostOne {
    /// Where.
    pub collection: String,
    /// Which, by the app's id.
    pub id: String,
    /// It is to be shown again.
    pub again: bool,
}

/// A transaction that was closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// What the app shows when it begins the next time; none: the session was cancelled.
    pub anchor: Option<String>,
    /// How many records were taken, or refused.
    pub taken: u64,
}
