//! Owns: one sync with a remote as a machine: event in, effects out. Its order (down, ghosts, up, finish), its checkpoints,
//! where a stop takes hold. Must never know: what a batch holds, how an effect is done, when a run starts.
//!
//! Each effect ends in exactly one event. At most one effect on the store and one on the remote are under way at a time: the next
//! page is fetched while the last one is applied.

use std::time::Duration;

use crate::{
    ask::Trouble,
    replica::{Answer, Asked, Cursor, Errand, From, Packed, Page, RemoteError},
    time::Timestamp,
};

pub mod checkpoint;
mod down;
mod machine;
mod numbers;
pub mod reset;
#[cfg(test)]
mod tests;
mod up;
mod wishes;

pub use checkpoint::{Resume, Watermark};
pub use machine::Run;
pub use numbers::{Counts, Progress, Traffic};
use reset::{Held, How, Over, Reset};
pub use wishes::Wishes;

/// How the rows of a run are compared; the later, the more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Changes since the checkpoint.
    #[default]
    Fast,
    /// Everything, compared.
    Slow,
    /// Everything, with agreed copies forgotten and remote ids kept; no deletes.
    Refresh,
    /// Everything, with the copy here not trusted: what is not sent stays, and of the rest the remote's word counts. The run itself
    /// is a slow one.
    Rebuild,
}

impl Mode {
    /// The word on the wire and in history.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Slow => "slow",
            Self::Refresh => "refresh",
            Self::Rebuild => "rebuild",
        }
    }

    /// Reads the word back; none: there is no such mode.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Fast, Self::Slow, Self::Refresh, Self::Rebuild].into_iter().find(|mode| mode.name() == word)
    }
}

/// Which way a sync goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Remote to truth.
    Down,
    /// Truth to remote.
    Up,
    /// Both, down first.
    #[default]
    Both,
}

impl Direction {
    /// Whether the sync sends.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::Up | Self::Both)
    }

    /// Whether the sync brings.
    #[must_use]
    pub const fn brings(self) -> bool {
        matches!(self, Self::Down | Self::Both)
    }

    /// The word in configuration, wire and log.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Up => "up",
            Self::Both => "both",
        }
    }
}

/// Which records that have no link at its replica a sync makes there (design: `home` and `mirror`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Creates {
    /// None.
    Never,
    /// Those that never had a link at any remote: it is the home of new records.
    #[default]
    Unlinked,
    /// All: it is a mirror.
    All,
}

impl Creates {
    /// The word in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Unlinked => "unlinked",
            Self::All => "all",
        }
    }
}

pub use crate::schedule::StopReason;

/// What a run was asked to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// The run's id, `r-...`.
    pub run: String,
    /// Which way.
    pub direction: Direction,
    /// How; the run may find that it has to be slow.
    pub mode: Mode,
    /// What made it due, as [`crate::schedule::Trigger`] names it.
    pub trigger: String,
    /// A person asked for it, and may wait.
    pub person: bool,
    /// A person said: whatever the guard or a new epoch holds back.
    pub force: bool,
    /// A person said: take the guarded deletes.
    pub accept_deletes: bool,
    /// A person said: as if the remote had another history, and this becomes of what is here.
    pub reset: Option<How>,
    /// When it began: what made the sync due until then is answered by it.
    pub began: Timestamp,
    /// The how manyth it is since the last that did not fail, this one included; 0: that is not known.
    pub attempt: u32,
    /// How long the sync was due and held before it, and by what at first.
    pub waited: Option<(Duration, String)>,
}

/// What was negotiated: from where, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Terms {
    /// From where the listing starts.
    pub from: From,
    /// Where a stopped run goes on.
    pub resume: Option<Resume>,
    /// The mode that was negotiated.
    pub mode: Mode,
    /// The number of this listing, where it is whole.
    pub pass: u64,
    /// How many deletes it may infer before the rest is guarded; none: not counted, since a run that only hears what changed costs
    /// the same however many links there are. Where it counts, the links are counted then ([`DeletesLeft`]).
    pub deletes_max: Option<u64>,
    /// Another history than the checkpoint's, with links to lose: compare and count before anything is applied.
    pub compare_first: bool,
    /// A person is to say first what becomes of what is here.
    pub held: Option<Held>,
    /// A reset is to begin: the store is copied first.
    pub copy_first: bool,
    /// The reset that this run is of, and whether it began with it.
    pub reset: Option<(Reset, bool)>,
    /// What is not sent, up to this seq, is recorded and goes before anything is listed.
    pub discard: Option<u64>,
    /// How many links were there, as far as we knew, when `compare_first` was negotiated: who is missing differs too.
    pub links_there: u64,
    /// Our clock now.
    pub began: Option<Timestamp>,
    /// How the remote continues listings.
    pub cursor: Cursor,
    /// The remote says what was deleted; without, a whole listing tells by absence.
    pub tombstones: bool,
    /// The remote tells and is not asked: what a listing did not show is not gone.
    pub tells: bool,
    /// How many rows a page is asked for.
    pub page_rows: usize,
    /// What is to be made there is told by its identity from what is there already: a whole listing of several pages is caught up with
    /// before anything is sent.
    pub catches_up: bool,
    /// Rows that could not be applied before: to be asked for by id first.
    pub ask: Vec<String>,
    /// Creates whose answers are outstanding, to be repeated under their keys before anything is listed: their rows are then known.
    pub repeats: Vec<Errand>,
    /// Answers that were kept before this run do not count: everything is asked in full.
    pub asks_anew: bool,
}

/// How many deletes a batch may still take before the rest is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletesLeft {
    /// So many.
    Counted(u64),
    /// As many as the limit allows a run that has taken so many; to be counted once more than [`limits::DELETES_MIN`] come.
    AfterTaken(u64),
}

/// What applying a batch did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// Records that changed here.
    pub changed: u64,
    /// Conflicts recorded.
    pub conflicts: u64,
    /// Rejections made.
    pub rejected: u64,
    /// Deletes inferred, which the guard counts.
    pub deletes: u64,
    /// Rows that may be old news: ask for them by id. Where there are any, the checkpoint was not moved.
    pub ask: Vec<String>,
    /// Rows that were not reached: the transaction had been long enough. They make the next batch.
    pub left: Vec<Packed>,
}

/// What a look at the links found to send.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Planned {
    /// What to send; committed as sent.
    pub errands: Vec<Errand>,
    /// What to read by id first.
    pub look: Vec<String>,
    /// Rejections made (creates whose outcome cannot be told).
    pub rejected: u64,
    /// The last seq looked at.
    pub after: u64,
    /// More links lie behind it.
    pub more: bool,
    /// How many links are behind and wait for another: a child for its parent, a parent's delete for its children.
    pub waits: u64,
    /// How many records were made one, whose links have to be planned anew.
    pub again: u64,
    /// How many links may be behind, for progress.
    pub behind: u64,
}

/// What settling answers did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Errands the remote took.
    pub taken: u64,
    /// Records that changed here.
    pub changed: u64,
    /// Conflicts recorded.
    pub conflicts: u64,
    /// Rejections made.
    pub rejected: u64,
    /// Moved at the remote, which did not say how: read by id.
    pub look: Vec<String>,
    /// Links that must be planned again in this run.
    pub again: u64,
}

/// What a first pass over another history found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compared {
    /// Rows that differ from what was agreed, or are not known.
    pub differ: u64,
    /// Rows under the id of a link that was there when we last looked.
    pub known: u64,
}

/// What the edge is asked to do. Each ends in exactly one [`Event`].
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Write the run down as running. -> `Begun`
    Begin,
    /// Fetch the secret, open the remote, greet it. -> `Opened`
    Open,
    /// Hold the remote's history against the checkpoint. -> `Negotiated`
    Negotiate {
        /// Another history was compared and is taken.
        accept: bool,
    },
    /// Copy the store, to be kept: a reset is to begin. -> `Copied`
    Copy,
    /// Record what is not sent, and take it away: records of higher seqs than `after`, up to `until`. -> `Discarded`
    Discard {
        /// From here.
        after: u64,
        /// To here.
        until: u64,
    },
    /// Ask the remote for a page. -> `Page`
    Fetch {
        /// From where the listing starts.
        from: From,
        /// Which page of it.
        page: Option<String>,
        /// How many rows.
        rows: usize,
    },
    /// Compare rows without applying them. -> `Compared`
    Compare {
        /// The rows.
        rows: Vec<Packed>,
    },
    /// Apply rows and move the checkpoint, in one transaction. -> `Applied`
    Apply {
        /// The rows.
        rows: Vec<Packed>,
        /// They were asked for by id: believed.
        asked: bool,
        /// The whole listing that shows them, if it is whole.
        pass: Option<u64>,
        /// Where the listing stood before these rows: where only some of them are applied, the position is so many further. None:
        /// they are applied in one piece.
        at: Option<Box<Resume>>,
        /// They are all there is: what a whole listing does not show goes in the same transaction, as far as the guard lets it.
        swaps: bool,
        /// Where the run goes on if it ends after all of them; none: as before.
        resume: Option<Box<Resume>>,
        /// How many more deletes may be inferred.
        deletes_left: DeletesLeft,
    },
    /// Ask the remote for records by id. -> `Asked`
    Ask {
        /// Which.
        remote_ids: Vec<String>,
    },
    /// The listing is whole: take the watermark. -> `Completed`
    Complete {
        /// From where the next run starts, less the time that the listing took; none: from the beginning.
        watermark: Option<Watermark>,
        /// Our clock when the listing began; none: not known.
        began: Option<Timestamp>,
    },
    /// Find links that a whole listing did not show, guard what is over the limit. -> `Ghosts`
    Ghosts {
        /// The listing.
        pass: u64,
        /// How many of them the run may take; the rest is guarded.
        deletes_left: DeletesLeft,
    },
    /// Compare links with the truth, commit what will be sent. -> `Planned`
    Plan {
        /// Links whose record's seq is higher.
        after: u64,
        /// Links that were tried too often in this run.
        except: Vec<i64>,
    },
    /// Send errands. -> `Sent`
    Send {
        /// The errands.
        errands: Vec<Errand>,
    },
    /// Settle answers. -> `Settled`
    Settle {
        /// By link.
        answers: Vec<(i64, Answer)>,
    },
    /// Drop what is under way at the remote: it ends at once, in its own event.
    Hurry,
    /// Write the history row. -> `Finished`
    Finish(Outcome),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The run may begin.
    Start,
    /// The run is written down.
    Begun,
    /// The remote is open, or why not.
    Opened(Result<(), RemoteError>),
    /// From where, and how.
    Negotiated(Box<Terms>),
    /// The store is copied, if it is in a file.
    Copied,
    /// What was not sent is recorded, and gone.
    Discarded {
        /// Where it goes on; none: nothing is left.
        after: Option<u64>,
        /// Conflicts recorded.
        conflicts: u64,
        /// Records that changed here.
        changed: u64,
    },
    /// A page, or why not.
    Page(Result<Page, RemoteError>),
    /// Rows were compared.
    Compared(Compared),
    /// Rows were applied.
    Applied(Applied),
    /// Records asked for by id, as far as that came, and why not all.
    Asked {
        /// Those that were answered.
        asked: Vec<(String, Asked)>,
        /// Why the others were not.
        failed: Option<RemoteError>,
    },
    /// The watermark is taken; how many creates were found whose outcome cannot be told.
    Completed {
        /// Those.
        rejected: u64,
        /// From where the next run starts, as it was taken; none: as before.
        watermark: Option<Watermark>,
        /// A reset came to its end with it.
        reset: Option<Over>,
    },
    /// Ghosts to ask for.
    Ghosts {
        /// Which.
        remote_ids: Vec<String>,
        /// How many were guarded.
        guarded: u64,
    },
    /// What to send.
    Planned(Planned),
    /// Answers.
    Sent(Vec<(i64, Answer)>),
    /// Answers are settled.
    Settled(Settled),
    /// The history row is written; how many rejections and conflicts of this sync stand.
    Finished {
        /// Rejections that stand.
        standing: u64,
    },
    /// The store could not do it.
    StoreFailed(Trouble),
    /// End at the next safe point, resumably.
    Stop(StopReason),
    /// End for good.
    Cancel,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// `done`, `stopped`, `failed` or `cancelled`; the store makes `done_with_errors` of `done` where rejections stand.
    pub ended: Ended,
    /// What it did.
    pub counts: Counts,
    /// Whoever did the work says that there was something new.
    pub said_news: bool,
    /// Everything that the remote had then has come, where it ended well: when the listing began that it brought to its end, be that in an
    /// earlier run. None: that is not known, or it brings nothing.
    pub fresh: Option<Timestamp>,
}

impl Outcome {
    /// Whether it brought or sent anything, or is said to.
    #[must_use]
    pub const fn has_news(&self) -> bool {
        self.said_news || self.counts.down + self.counts.up > 0
    }
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Ended {
    /// To its end.
    #[default]
    Done,
    /// On the way, resumably.
    Stopped(StopReason),
    /// It could not go on.
    Failed(RemoteError),
    /// It could not go on: our own side.
    Broken(Trouble),
    /// Another history at the remote, or another account: a person decides.
    Held(Held),
    /// For good.
    Cancelled,
}
