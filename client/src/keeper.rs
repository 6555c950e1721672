//! Owns: what an app that keeps its own copy says of it, and does with what it is shown; the driver that leads whole sessions over
//! that. Must never know: what the app keeps, and where.
//!
//! An app implements [`Keeper`]; [`Driver::run`] begins a session, pushes, mingles, pulls, accepts and finishes, keeps the anchor with
//! the copy, and begins again where the connection or the daemon goes away. Whatever ends at whatever moment, the next run goes on:
//! nothing is there twice, and nothing is lost. `daemon/docs/copy.md` has a whole app.
//!
//! What that asks of the app is said at each function; in short: say what is there *now*, remember the id that a record was shown
//! under, and put nothing of an unsent edit away.

use std::fmt;

use mingle_proto::{
    Raw,
    call::{AppRegister, Filters, PulledRecord, SessionMode},
};
use thiserror::Error;

use crate::{CallError, ConnectError, Options, blocking::Client};

mod drive;

/// A record of the app's copy.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its collection.
    pub collection: String,
    /// Its id in the app; until [`Keeper::keep`] the one that it was shown under.
    pub id: String,
    /// The object.
    pub data: Raw,
}

/// Something that became otherwise in the app's copy since it was last pushed.
#[derive(Clone, Debug)]
pub enum Change {
    /// A record, whole, as it is now.
    Put(Record),
    /// Single properties of one (RFC 7396).
    Patch {
        /// Its collection.
        collection: String,
        /// Its id in the app.
        id: String,
        /// An object; a null takes a property away.
        patch: Raw,
    },
    /// The end of a record.
    Delete {
        /// Its collection.
        collection: String,
        /// Its id in the app.
        id: String,
    },
    /// The app has lost a record, which is no word on its end.
    Lost {
        /// Its collection.
        collection: String,
        /// Its id in the app.
        id: String,
        /// It is to be shown again; else not until it changes.
        again: bool,
    },
}

/// What the app did with a record that it was shown.
#[derive(Clone, Debug, Default)]
pub enum Stored {
    /// It stored it (or its end), as it was shown.
    #[default]
    AsShown,
    /// It stored it in a form or under an id of its own.
    As {
        /// What it made of it; None: just that. It counts as the same until either side changes it.
        data: Option<Raw>,
        /// The id that it has there; None: the one that was shown.
        id: Option<String>,
    },
    /// It does not want it as it is: not shown again until it changes.
    Refused,
    /// Not now: it was edited here since it was pushed, for one. The next session shows it again.
    Later,
}

/// A record that has the app's own id from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// Its collection.
    pub collection: String,
    /// The id that it was shown under.
    pub shown: String,
    /// The id that the app gave it.
    pub own: String,
}

/// Where a run is, for whoever wants to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// A session has begun; its mode is known.
    Begun,
    /// All is pushed, and has not met the truth.
    Pushed,
    /// It has met the truth: from here on it is durable.
    Mingled,
    /// What a page showed is stored in the app, and the daemon does not know.
    Stored,
    /// The daemon has heard what was stored, and it is not agreed.
    Taken,
    /// It is agreed, and the app has not kept the anchor.
    Committed,
    /// The app has kept the anchor.
    Kept,
}

/// Many of them, one after the other.
pub type Each<'a, T, E> = Box<dyn Iterator<Item = Result<T, E>> + 'a>;

/// An app's own copy. All of it may be asked again after the app, or the daemon, was killed at any moment.
pub trait Keeper {
    /// Why its copy could not be read or written. It ends the run, and the session is cancelled.
    type Error: fmt::Debug + fmt::Display;

    /// The anchor that was kept last. Without one everything is pushed.
    ///
    /// # Errors
    /// Its own.
    fn anchor(&mut self) -> Result<Option<String>, Self::Error>;

    /// Everything that the copy has of a collection. What it had accepted and is not here was deleted.
    ///
    /// # Errors
    /// Its own.
    fn records<'a>(&'a mut self, collection: &str) -> Result<Each<'a, Record, Self::Error>, Self::Error>;

    /// What became otherwise since it was last [pushed](Keeper::pushed), as it is now: a record that was edited twice is told once. To tell
    /// too much does no harm. Where everything is pushed, only [`Change::Lost`] is heard.
    ///
    /// # Errors
    /// Its own.
    fn changes<'a>(&'a mut self) -> Result<Each<'a, Change, Self::Error>, Self::Error>;

    /// What [`changes`](Keeper::changes) and [`records`](Keeper::records) told has met the truth and need not be told again; what became
    /// otherwise since then must. An app that tells of patches must have this on its disk before it returns.
    ///
    /// # Errors
    /// Its own.
    fn pushed(&mut self) -> Result<(), Self::Error>;

    /// Stores a record, or the end of one (without `data`). It may have been stored already, under the id that it is shown with. What was
    /// edited here and not pushed yet stays: that is [`Stored::Later`]. It is no change of the app's.
    ///
    /// # Errors
    /// Its own.
    fn apply(&mut self, record: &PulledRecord) -> Result<Stored, Self::Error>;

    /// What was applied must be on the disk when this returns.
    ///
    /// # Errors
    /// Its own.
    fn save(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }

    /// What was applied is agreed: these records have their new ids from now on, and no others. The anchor must be on the disk, beside the
    /// copy, when this returns.
    ///
    /// # Errors
    /// Its own.
    fn keep(&mut self, anchor: &str, renamed: &[Renamed]) -> Result<(), Self::Error>;

    /// The truth takes the place of all that the copy has of a collection, unsent edits too: it is emptied, and shown again whole.
    ///
    /// # Errors
    /// Its own.
    fn empty(&mut self, collection: &str) -> Result<(), Self::Error>;

    /// One record, whole: a patch of it was told, and nothing is known of it. None: it is not there.
    ///
    /// # Errors
    /// Its own.
    fn record(&mut self, collection: &str, id: &str) -> Result<Option<Raw>, Self::Error> {
        for record in self.records(collection)? {
            let record = record?;
            if record.id == id {
                return Ok(Some(record.data));
            }
        }
        Ok(None)
    }

    /// The run has come so far. An error ends it, and the session is cancelled.
    ///
    /// # Errors
    /// Its own.
    fn reached(&mut self, _step: Step, _report: &Report) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How the last session went on; None: none has begun.
    pub mode: Option<SessionMode>,
    /// Sessions that it took: more than one where something went away.
    pub sessions: u64,
    /// Changes that were pushed, again ones too.
    pub pushed: u64,
    /// Records of the truth that they changed.
    pub changed: u64,
    /// Conflicts that were recorded.
    pub conflicts: u64,
    /// Records that were deleted, of those that changed.
    pub deleted: u64,
    /// Records that the app was shown and stored.
    pub stored: u64,
    /// Records that it refused.
    pub refused: u64,
    /// Records that the next session shows again: run once more.
    pub later: u64,
}

/// Why a run ended before it was through. What it had [kept](Keeper::keep) stays, and the next one goes on from there.
#[derive(Debug, Error)]
pub enum DriveError<E> {
    /// No daemon.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The daemon said no, or went away for longer than the options have patience.
    #[error("{0}")]
    Call(CallError),
    /// Much was not pushed and would be deleted: ask a person, then set [`Driver::accept_deletes`].
    #[error("{0}")]
    Guarded(CallError),
    /// Another process of this app has a session, for longer than the options have patience.
    #[error("{0}")]
    Elsewhere(CallError),
    /// The daemon does not take one record, so nothing was taken.
    #[error("record {id:?} of {collection}: {why}")]
    Record {
        /// Its collection.
        collection: String,
        /// Its id in the app.
        id: String,
        /// What the daemon said.
        why: CallError,
    },
    /// The app's own copy.
    #[error("the app's copy: {0}")]
    Keeper(E),
}

/// Leads sessions over a [`Keeper`].
#[derive(Clone, Debug, Default)]
pub struct Driver {
    /// As whom, and where. `reconnect_within`: how long the daemon may be away, or busy with another session of this app, before a run
    /// gives up; a run that gets on has all of it anew. None: the first loss ends it.
    pub options: Options,
    /// The collections, one scope: they share a mode, and are pulled in this order.
    pub collections: Vec<String>,
    /// How; None: only what changed, where that is possible. Another one is for once: it is what a person asked for.
    pub mode: Option<SessionMode>,
    /// Also where much was not pushed and will be deleted.
    pub accept_deletes: bool,
    /// Other apps that listen to invitations are invited to take part, and waited for so long at most, in milliseconds; None: nobody is.
    pub join_ms: Option<u64>,
    /// Takes part in the session that an [invitation](mingle_proto::event::InviteEvent) names, for once; where that is over, it has one
    /// alone.
    pub invitation: Option<String>,
    /// What is to be in the copy of some of them; said before each session. Empty: nothing is said, and what was said before stays.
    pub filters: Filters,
    /// The most records that are shown, stored and agreed at once, up to 1,000; None: as many as the daemon shows.
    pub page_records: Option<u32>,
}

impl Driver {
    /// For this app, over these collections.
    #[must_use]
    pub fn new(options: Options, collections: &[&str]) -> Self {
        let collections = collections.iter().map(|name| (*name).to_owned()).collect();
        Self { options, collections, ..Self::default() }
    }

    /// Says the filters, where there are any; the same once more changes nothing.
    fn says_filters(&self, client: &mut Client) -> Result<(), CallError> {
        if !self.filters.is_empty() {
            client.call(AppRegister { collections: self.collections.clone(), filters: self.filters.clone() })?;
        }
        Ok(())
    }
}

/// The page of the docs, compiled.
#[cfg(doctest)]
#[doc = include_str!("../../daemon/docs/copy.md")]
struct Page;
