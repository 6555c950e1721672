//! Owns: the words in which a replica and the truth meet: rows, pages, errands, answers, errors, abilities.
//! Must never know: how any remote speaks them (HTTP, JSON), or how they are stored.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    limits, planted,
    record::{Carried, Props, Value},
    time::Timestamp,
};

mod packed;

pub use packed::Packed;

/// What a replica shows of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The remote's own id, opaque.
    pub remote_id: String,
    /// The revision it shows, as the remote writes it.
    pub revision: Option<String>,
    /// When the remote says it was last changed.
    pub modified: Option<Timestamp>,
    /// When the remote says it was made.
    pub created: Option<Timestamp>,
    /// What it holds.
    pub state: RowState,
}

impl Row {
    /// The record of this id is deleted.
    #[must_use]
    pub fn gone(remote_id: String) -> Self {
        Self { remote_id, revision: None, modified: None, created: None, state: RowState::Gone }
    }
}

/// What a row holds.
#[derive(Clone, Debug, PartialEq)]
pub enum RowState {
    /// A record: its carried properties, without what the profile names as id, revision, modified and deleted field.
    Live(Props),
    /// A tombstone, or asked for by id and known to be gone.
    Gone,
    /// A row that could not be read; why, for a person. It becomes a rejection, never a delete.
    Unreadable(String),
}

/// What one request for a listing brought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The rows, in the remote's order.
    pub rows: Vec<Packed>,
    /// How to ask for the next page; none: this was the last.
    pub next: Option<String>,
    /// A token that stands for "everything up to here", where the cursor is opaque: worth keeping as watermark once the
    /// whole listing is done. The first page's counts: what changed while we paged lies after it.
    pub token: Option<String>,
    /// The server's clock when it answered.
    pub server_time: Option<Timestamp>,
    /// How many rows the whole listing has, where the server says so; for progress only.
    pub total: Option<u64>,
    /// The bytes that were told for it without a request, such as a program's output: a request counts its own.
    pub told: u64,
    /// Whoever tells it says that there was something new, also where no record shows it.
    pub news: bool,
    /// Whoever tells it has come to no other place with it: a sign of life.
    pub stays: bool,
    /// It is all there is, in one answer: up to [`crate::limits::SWAP_ROWS_MAX`] rows it takes the place of what is here in one transaction.
    pub swaps: bool,
}

/// An answer that is kept for who asks the same again: all of it opaque to everybody but the remote.
#[derive(Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// A mark of what was asked, and as whom.
    pub name: [u8; 32],
    /// What shows the remote which answer it is.
    pub validator: String,
    /// How it is read.
    pub head: String,
    /// What it says.
    pub body: Vec<u8>,
}

impl KeptAnswer {
    /// The bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.name.len() + self.validator.len() + self.head.len() + self.body.len()
    }
}

impl std::fmt::Debug for KeptAnswer {
    /// Without what it says: a log is no place for records.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeptAnswer({}, {} bytes)", self.validator, self.bytes())
    }
}

/// From where a listing starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// Everything.
    #[default]
    Start,
    /// After this opaque token.
    Token(String),
    /// At this stamp and later (inclusive).
    Stamp(Timestamp),
}

/// What to send: one record to one replica.
#[derive(Clone, Debug, PartialEq)]
pub struct Errand {
    /// Names the errand inside its batch; answers carry it.
    pub link: i64,
    /// What is to be done.
    pub action: Action,
}

/// One change for a remote.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Make it. With `remote_id` the id is ours (and must not exist there); without, the remote makes one.
    Create {
        /// The id we chose, where the remote takes ids.
        remote_id: Option<String>,
        /// The whole record as carried.
        whole: Props,
        /// Under which the remote does it once, however often it is asked; where it takes such keys.
        key: Option<String>,
    },
    /// Change it.
    Update {
        /// Which.
        remote_id: String,
        /// Only what differs; `None` clears.
        patch: BTreeMap<String, Option<Value>>,
        /// The record as it shall be, for remotes that take whole records.
        whole: Props,
        /// What must still be so.
        unless_moved: Precondition,
    },
    /// Delete it.
    Delete {
        /// Which.
        remote_id: String,
        /// What must still be so.
        unless_moved: Precondition,
    },
}

impl Action {
    /// `create`, `update` or `delete`: the word in rejections, logs and history.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Update { .. } => "update",
            Self::Delete { .. } => "delete",
        }
    }
}

/// What an update or a delete takes for granted.
#[derive(Clone, Debug, PartialEq)]
pub enum Precondition {
    /// The remote refuses unless this is its revision.
    Revision(String),
    /// The remote cannot refuse: read it again first, and hold back unless it still shows these carried properties and no others.
    Reread(Props),
    /// As `Reread`, for a sync that only sends: what else the remote has does not count.
    Shows(Props),
}

/// How one errand ended, as far as we know.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Done. The row as the remote now has it (its own form), where the answer itself shows it; a delete has none.
    Taken(Option<Row>),
    /// Done, and the answer did not show the record as it now is (no row, or no revision): this is what a read right after it shows.
    /// Somebody may have written in between, so it is not the answer's own form of what was sent (a simulated colleague's edit was
    /// lost that way).
    ReadBack {
        /// What the answer itself showed.
        told: Option<Row>,
        /// What the read showed; gone: somebody deleted it.
        read: Row,
    },
    /// Not done: the record moved (412, or the re-read differs). What the remote has, where it said so.
    Stale(Option<Row>),
    /// Not done: it is not there (404, 410), under credentials that were shown to work in this run.
    Gone,
    /// Not done, and never will be as it is: the remote's words.
    Refused(String),
    /// Not known: the answer was lost, or made no sense. Never read as a no.
    Unknown(RemoteError),
    /// Not sent at all (stopped, throttled or offline before the request left).
    Unsent(RemoteError),
}

/// What asking for one record by its id brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    /// It is there, like this.
    There(Row),
    /// It is not there (404, 410).
    Gone,
}

/// Why a request came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteError {
    /// What kind of failure.
    pub kind: Failure,
    /// In words, for people; never a secret, never the content of a record.
    pub what: String,
    /// What a person can do.
    pub hint: Option<String>,
}

/// The kinds of failure a run can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No route, no name, no connection: nothing was sent.
    Offline,
    /// It went silent, or the connection broke: whether it was done is not known.
    Broken,
    /// The server is in trouble (5xx): whether it was done is not known.
    Server,
    /// The server asks for patience (429, 503): not done; not again before this moment, where it said one.
    Throttled(Option<Timestamp>),
    /// What is left of the account's requests is kept for people until then: nothing was sent.
    Budget(Timestamp),
    /// The credentials are refused (401): only a person can mend it.
    NeedsLogin,
    /// The account may not do this (403), or what was asked for is not there (404 for a whole resource).
    Denied,
    /// The answer is not what this remote's profile promises: wrong type, truncated, no JSON. Nothing of it is used.
    Nonsense,
    /// The answer is larger than what fits into memory: a page of fewer rows may be smaller.
    TooLarge,
    /// The remote refuses our checkpoint or page token (410 and the like): list from the start.
    CheckpointRefused,
    /// The app or program that does the work says that it came to nothing.
    Work,
    /// A stop dropped the request.
    Stopped,
}

impl Failure {
    /// The stable word for it, in history, status and explain.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Broken => "broken",
            Self::Server => "server",
            Self::Throttled(_) => "throttled",
            Self::Budget(_) => "budget",
            Self::NeedsLogin => "needs_login",
            Self::Denied => "denied",
            Self::Nonsense => "nonsense",
            Self::TooLarge => "too_large",
            Self::CheckpointRefused => "checkpoint_refused",
            Self::Work => "work",
            Self::Stopped => "stopped",
        }
    }
}

impl RemoteError {
    /// An error of this kind.
    #[must_use]
    pub fn new(kind: Failure, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), hint: None }
    }

    /// The same, with what a person can do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl std::fmt::Display for RemoteError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for RemoteError {}

/// What a remote can do; the engine asks for nothing else, and the conformance tests hold each kind to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// How a listing is continued from one run to the next.
    pub cursor: Cursor,
    /// Listings from a cursor show deleted records as tombstones. Without: deletes are found by absence (ghosts).
    pub tombstones: bool,
    /// It tells and is not asked (a program, an app): a listing shows what there is to show, in its order, and the last word counts.
    /// Nothing is gone because it was not shown, and no record can be asked for by its id.
    pub tells: bool,
    /// Whoever tells hears of each page that it is in the truth, and need not tell it again: no page is listed to be only looked at.
    pub confirms: bool,
    /// A revision is unique per change (strong ETag, `_rev`, sequence), so it makes an echo.
    pub strong_revision: bool,
    /// Updates and deletes take a revision as precondition and refuse a stale one. Only with `strong_revision`.
    pub conditional: bool,
    /// Takes ids chosen by us, and refuses an id that exists.
    pub client_ids: Option<ClientIds>,
    /// Takes a key with a create, and answers the same create under the same key as it did the first time; for so long.
    pub key_kept: Option<Duration>,
    /// How many changes one request may carry, each settled by itself; 1: it is sent one by one.
    pub batch_max: usize,
    /// Rows carry these properties, complete in every answer.
    pub carried: Carried,
    /// A record shows more there than was sent with its create: the service fills in fields of its own, such as a number or an author.
    pub fills_in: bool,
    /// Properties that a create does not set, whatever it says, each with what a new record has there (none: nothing). They are left
    /// out of a create, and sent with an update once it is made.
    pub later: BTreeMap<String, Option<Value>>,
    /// Rows carry `modified`, with this grain.
    pub modified_grain: Option<Duration>,
    /// Records can be written at all.
    pub writes: bool,
    /// Records can be deleted. Without: a delete is refused, and a person decides.
    pub deletes: bool,
    /// How many errands may be under way at once.
    pub errands_max: usize,
    /// How many rows a page is asked for.
    pub page_rows: usize,
}

impl Abilities {
    /// The least that a service can do: list everything, and take one change at a time.
    #[must_use]
    pub fn least() -> Self {
        Self {
            cursor: Cursor::None,
            tombstones: false,
            tells: false,
            confirms: false,
            strong_revision: false,
            conditional: false,
            client_ids: None,
            key_kept: None,
            batch_max: 1,
            carried: Carried::All,
            fills_in: false,
            later: BTreeMap::new(),
            modified_grain: None,
            writes: true,
            deletes: true,
            errands_max: 1,
            page_rows: 1,
        }
    }

    /// How long after the last whole listing another one is due, whatever the remote told since; none: each is whole, or it is heard and not
    /// asked, and what it does not tell is not gone.
    #[must_use]
    pub fn whole_again_after(&self) -> Option<Duration> {
        match (self.cursor, self.tombstones) {
            (Cursor::None, _) => None,
            (_, false) => Some(limits::WHOLE_LISTING_AFTER),
            (_, true) if self.tells || planted::is("who tells of deletes is believed for ever") => None,
            (_, true) => Some(limits::COMPARED_AFTER),
        }
    }

    /// How much later than it happened a change may show in a listing: the overlap, or what it would be by default.
    #[must_use]
    pub fn lateness(&self) -> Duration {
        match self.cursor {
            Cursor::Stamp { overlap } => overlap,
            _ => self.modified_grain.unwrap_or(Duration::from_secs(1)) * 2 + Duration::from_secs(5),
        }
    }
}

/// How a listing goes on from one run to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cursor {
    /// An opaque token (sync-token, seq, ETag) that needs no overlap.
    Token,
    /// Stamps, paged by (stamp, id), read again from `watermark - overlap`.
    Stamp {
        /// How much is read again: default twice the grain plus 5 s.
        overlap: Duration,
    },
    /// The address of a page is a position that stays good: the next run starts at the last one of this.
    Page,
    /// None: every listing is whole.
    #[default]
    None,
}

/// Which ids a remote takes from us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIds {
    /// Characters allowed besides ASCII letters and digits.
    pub besides: String,
    /// Letters are small ones only.
    pub lower_case: bool,
    /// Fewest characters.
    pub min: usize,
    /// Most characters.
    pub max: usize,
}

impl ClientIds {
    /// Whether the remote takes this id.
    #[must_use]
    pub fn takes(&self, id: &str) -> bool {
        let plain = |one: char| one.is_ascii_alphanumeric() && !(self.lower_case && one.is_ascii_uppercase());
        (self.min..=self.max).contains(&id.len())
            && id.starts_with(plain)
            && id.chars().all(|one| plain(one) || self.besides.contains(one))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_listed_whole_now_and_then_who_is_asked_for_changes() {
        const DAY: Duration = Duration::from_secs(86_400);
        #[track_caller]
        fn check(cursor: Cursor, [tombstones, tells]: [bool; 2], after: Option<Duration>) {
            let abilities = Abilities { cursor, tombstones, tells, ..Abilities::least() };
            assert_eq!(abilities.whole_again_after(), after, "{cursor:?} {tombstones} {tells}");
        }
        let stamp = Cursor::Stamp { overlap: Duration::from_secs(5) };
        for cursor in [Cursor::Token, stamp, Cursor::Page] {
            check(cursor, [false, false], Some(DAY));
            check(cursor, [true, false], Some(7 * DAY));
            check(cursor, [true, true], None);
        }
        check(Cursor::None, [false, false], None);
        check(Cursor::None, [true, false], None);
    }
}
