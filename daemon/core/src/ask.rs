//! Owns: what apps ask of the truth and the daemon, and what they are answered, in core words. `ipc` converts wire words to
//! these and back; `store` and the loop answer them. Must never know: the wire, SQL.
//!
//! Record data travels as JSON text that nobody here reads ([`Body`]): a read passes what is stored through, unparsed.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{record::Value, replay::Other, time::Timestamp};

mod apps;
mod budget;
mod define;
mod fresh;
mod grants;
mod history;
mod news;
mod operate;
mod past;
mod pending;
mod plan;
mod refusal;
mod session;

pub use apps::{AppRow, CopyRow, LastSession, Register, Reset};
pub use budget::BudgetRow;
pub use define::{DefinedBy, IfExists, Outcome, Redefine, Redefined};
pub use fresh::{Freshness, Stale, Wants};
pub use grants::{Grant, Grants, Scope};
pub use history::RunRow;
pub use news::{Event, News, Topic};
pub use past::{LostRow, Past, Replayed, Undo, UndoPage, UndoRow, Undone, Why, WhyRow};
pub use pending::{Forget, Left, PendingRow, RollBack, RolledBack, WhichPending};
pub use plan::{Plan, PlannedChange, PlannedRequest};
pub use refusal::Refusal;
pub use session::{Begin, Begun, Closed, Invites, Join, Joined, LostOne, Mingled, Pulled, PulledOne, Push, Speaker, Take, Took};

pub use operate::{
    Ability, Accepted, Attention, Behind, Configured, DaemonState, Explained, Halted, Holding, LoggedIn, LoginBegun, LoginPlace,
    NextRun, Page, Pinged, Progress, Rebuilding, Reloaded, RemoteChecked, RemoteRow, RunRequest, RunState, RunWaited, Status,
    SyncRow, SyncState, SyncStatus, SyncsWaited,
};

/// A record's data as JSON text (an object), as stored.
pub type Body = String;

/// One write of an app.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// The whole record.
    Put {
        /// Where.
        collection: String,
        /// Which; none: a UUIDv7 is made.
        id: Option<String>,
        /// What.
        data: Body,
        /// Only over this seq (0: must not exist).
        if_seq: Option<u64>,
        /// Over whatever is there.
        overwrite: bool,
        /// As a meeting whose base is the record at `if_seq`.
        merge: bool,
    },
    /// A change of properties (RFC 7396).
    Patch {
        /// Where.
        collection: String,
        /// Which.
        id: String,
        /// What: an object, null removes.
        patch: Body,
        /// Only over this seq.
        if_seq: Option<u64>,
    },
    /// The end of a record.
    Delete {
        /// Where.
        collection: String,
        /// Which.
        id: String,
        /// Only over this seq.
        if_seq: Option<u64>,
    },
    /// One of these, marked not for upload: it stays here until somebody marks the record for upload.
    Deferred(Box<Write>),
}

impl Write {
    /// Where.
    #[must_use]
    pub fn collection(&self) -> &str {
        match self {
            Self::Put { collection, .. } | Self::Patch { collection, .. } | Self::Delete { collection, .. } => collection,
            Self::Deferred(write) => write.collection(),
        }
    }

    /// The same, marked not for upload where that is asked for.
    #[must_use]
    pub fn deferred(self, defer: bool) -> Self {
        if defer { Self::Deferred(Box::new(self)) } else { self }
    }
}

/// Who writes, under which operation id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The app's name, as given in `hello`.
    pub app: String,
    /// The operation id; none: the store makes one.
    pub op: Option<String>,
    /// The instance that `if_seq` and `op` belong to; another than the store's: [`Refusal::Stale`].
    pub instance: Option<String>,
}

/// The answer to a write, given after its commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Each record, in the order of the writes.
    pub writes: Vec<WrittenOne>,
    /// Names this write for `wait`.
    pub token: String,
    /// The operation id it is known by.
    pub op: String,
}

/// One written record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenOne {
    /// Its id.
    pub id: String,
    /// Its seq now (the present one where nothing changed).
    pub seq: u64,
}

/// One live record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// Its data.
    pub data: Body,
    /// Its seq.
    pub seq: u64,
}

/// A question for several records.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Where.
    pub collection: String,
    /// All must hold.
    pub filter: Vec<Test>,
    /// Property and whether it falls (`-n`); `id` is the id. Ties go by id.
    pub order: Vec<(String, bool)>,
    /// How many, at most.
    pub limit: usize,
    /// A former answer's cursor.
    pub cursor: Option<String>,
}

/// One condition on one property.
#[derive(Clone, Debug, PartialEq)]
pub struct Test {
    /// The property (`id` is the record's id).
    pub property: String,
    /// How it is compared.
    pub is: Is,
}

/// The comparisons of `where`.
#[derive(Clone, Debug, PartialEq)]
pub enum Is {
    /// Equal.
    Eq(Value),
    /// Not equal (absent counts as null).
    Ne(Value),
    /// Less.
    Lt(Value),
    /// Less or equal.
    Lte(Value),
    /// Greater.
    Gt(Value),
    /// Greater or equal.
    Gte(Value),
    /// One of these.
    In(Vec<Value>),
    /// A list that has this element.
    Has(Value),
}

/// What takes a page of records, one after the other as they are found: so that none is copied only to be handed on.
pub trait Rows {
    /// The page begins. Anew, where a disk failed on the way: what was taken before is not part of it.
    fn begin(&mut self);
    /// The next record: its id, its JSON text, the seq of its last change.
    fn row(&mut self, id: &str, data: &str, seq: u64);
}

impl Rows for Vec<Found> {
    fn begin(&mut self) {
        self.clear();
    }

    fn row(&mut self, id: &str, data: &str, seq: u64) {
        self.push(Found { id: id.to_owned(), data: data.to_owned(), seq });
    }
}

/// A question for the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// The cursor; 0: everything.
    pub seq: u64,
    /// The instance it belongs to; none: the present one.
    pub instance: Option<String>,
    /// Of these collections.
    pub scope: Scope,
    /// How many changes, at most.
    pub limit: usize,
    /// How many bytes of data, at most (one record always fits).
    pub bytes: usize,
    /// With the records' data.
    pub data: bool,
    /// Of these records alone, where a collection has any.
    pub ids: RecordIds,
}

/// Single records by collection; a collection that is not in it is meant whole. Cheap to clone, for a subscription asks again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordIds(Arc<BTreeMap<String, BTreeSet<String>>>);

impl RecordIds {
    /// Of these.
    #[must_use]
    pub fn new(ids: BTreeMap<String, BTreeSet<String>>) -> Self {
        Self(Arc::new(ids))
    }

    /// Whether every collection is meant whole.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The records of a collection; none: all of them.
    #[must_use]
    pub fn of(&self, collection: &str) -> Option<&BTreeSet<String>> {
        self.0.get(collection)
    }

    /// Whether a record is meant.
    #[must_use]
    pub fn has(&self, collection: &str, id: &str) -> bool {
        self.of(collection).is_none_or(|ids| ids.contains(id))
    }
}

/// What became of a record since a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// Made after the cursor.
    Created,
    /// Changed.
    Updated,
    /// Deleted.
    Deleted,
    /// No longer here for this reader, though not deleted.
    Left,
}

/// One record's present state in the feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub collection: String,
    /// Which.
    pub id: String,
    /// Its last change.
    pub seq: u64,
    /// What became of it.
    pub kind: ChangeKind,
    /// Its data, where asked for and alive.
    pub data: Option<Body>,
    /// Of one that left because it proved to be another record: the id of that.
    pub alias: Option<String>,
}

/// A page of the feed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The changes, by seq, each record once.
    pub changes: Vec<Change>,
    /// The cursor to go on from.
    pub seq: u64,
    /// More is there right now.
    pub more: bool,
    /// The cursor was of another instance or below the horizon: this begins from nothing.
    pub fresh: bool,
}

/// Which conflicts or rejections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    /// Of these collections.
    pub scope: Scope,
    /// Of this sync.
    pub sync: Option<String>,
    /// Also those that are settled.
    pub all: bool,
    /// How many, at most.
    pub limit: usize,
    /// A former answer's cursor.
    pub cursor: Option<String>,
}

/// Something whose collection is asked for, before somebody may touch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About<'a> {
    /// A conflict, by its id.
    Conflict(&'a str),
    /// A rejection, by its id.
    Rejection(&'a str),
    /// A sync, by its name.
    Sync(&'a str),
}

/// How far a write has come at the remotes concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waited {
    /// Over all of them.
    pub state: WaitState,
    /// Why, in words.
    pub why: Option<String>,
    /// Remote by remote.
    pub remotes: Vec<(String, WaitState, Option<String>)>,
}

/// The state of a write at a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitState {
    /// The remote has it.
    Done,
    /// Not yet.
    Pending,
    /// The remote refused it.
    Rejected,
    /// A conflict or decision names it as the loser.
    Overruled,
}

/// A conflict, for people and apps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConflictRow {
    /// Its id.
    pub conflict: String,
    /// Whether it waits for a decision.
    pub open: bool,
    /// Where.
    pub collection: String,
    /// Which record.
    pub id: String,
    /// Which property; none: the record as a whole.
    pub property: Option<String>,
    /// JSON text of the values; none: absent.
    pub agreed: Option<Body>,
    /// The truth's value then.
    pub truth: Option<Body>,
    /// The replica's value then.
    pub theirs: Option<Body>,
    /// The remote's name.
    pub replica: String,
    /// What the other side is.
    pub other: Other,
    /// `truth`, `remote`, `open`, `kept_edit`, `kept_delete`, `discarded`, `resolved`.
    pub verdict: String,
    /// The record's seq after the meeting.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
}

/// What a person or app decides about a conflict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The truth's value.
    Truth,
    /// The replica's value.
    Theirs,
    /// The base's value.
    Agreed,
    /// Another value, JSON text.
    Value(Body),
}

/// A record that one sync could not settle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectionRow {
    /// Its id.
    pub rejection: String,
    /// `up`, `down`, `create`, `delete`.
    pub side: String,
    /// Where.
    pub collection: String,
    /// Which record, where there is one.
    pub id: Option<String>,
    /// The remote's id, where known.
    pub remote_id: Option<String>,
    /// Which sync.
    pub sync: String,
    /// `create`, `update`, `delete`, `apply`.
    pub action: String,
    /// The reason in words.
    pub what: String,
    /// When it was last tried.
    pub at: Timestamp,
    /// How often.
    pub tries: u32,
}

/// What is done about a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Once more, now.
    Retry,
    /// The difference stays unsent until a side changes; down: that revision is skipped.
    Drop,
    /// Forget the remote id, create anew.
    Recreate,
    /// The truth becomes what the remote has.
    Rollback,
}

/// What went wrong, in three parts: for code, for people, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A stable word.
    pub name: String,
    /// In words.
    pub what: String,
    /// What a person can do.
    pub hint: Option<String>,
}

impl Trouble {
    /// The store's disk had no room for what a run wanted to write.
    pub const DISK_FULL: &str = "disk_full";
    /// The store took no writes.
    pub const READ_ONLY: &str = "read_only";

    /// Whether the store's disk is what is wrong.
    #[must_use]
    pub fn is_of_the_disk(&self) -> bool {
        [Self::DISK_FULL, Self::READ_ONLY].contains(&self.name.as_str())
    }
}
