//! Owns: the durable position of a sync: where the next run starts, and where a stopped one goes on. Must never know: how it is
//! written.
//!
//! By time: when a run is done the watermark becomes the smaller of the server's time at its start and the newest stamp seen,
//! and the next run starts at `watermark - overlap`, re-read rows being no-ops (faults.md 4.4: `>` alone loses data in 94 % of
//! schedules, `>=` never ends in 49 %, `Date` alone loses all once a proxy's clock leads by 30 s). Opaque tokens need no overlap.

use std::time::Duration;

use crate::{
    planted,
    replica::{Cursor, From},
    time::Timestamp,
};

/// From where the next run starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Watermark {
    /// After this opaque token.
    Token(String),
    /// At this stamp, less the overlap.
    Stamp(Timestamp),
}

/// Where a stopped run goes on: at the start of a page of a listing, with what that listing had learnt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// From where the listing started.
    pub from: From,
    /// The page, none: the first.
    pub page: Option<String>,
    /// How many of its rows have been applied. They are met again: a page may have moved meanwhile, and that is a no-op.
    pub rows: usize,
    /// How many rows were applied before this page, for progress.
    pub done: u64,
    /// The number of the listing, where it is whole.
    pub pass: u64,
    /// Our clock when the listing started.
    pub began: Option<Timestamp>,
    /// The server's clock when the listing started.
    pub server_time: Option<Timestamp>,
    /// The newest stamp seen.
    pub newest: Option<Timestamp>,
    /// The first page's token.
    pub token: Option<String>,
    /// The copy here is not trusted (a rebuild): that a link knows a row's revision does not say that the row is the same here. It
    /// stands in the position, so that a rebuild which was cut off goes on as one.
    pub anew: bool,
}

impl Resume {
    /// So many rows of the same page further.
    #[must_use]
    pub fn further(&self, rows: usize) -> Self {
        Self { rows: self.rows + rows, ..self.clone() }
    }
}

/// From where a listing starts.
#[must_use]
pub fn start(watermark: Option<&Watermark>, cursor: Cursor) -> From {
    match (watermark, cursor) {
        (Some(Watermark::Token(token)), Cursor::Token | Cursor::Page) => From::Token(token.clone()),
        (Some(Watermark::Stamp(stamp)), Cursor::Stamp { overlap }) => {
            From::Stamp(if planted::is("overlap 0") { *stamp } else { stamp.minus(overlap) })
        }
        _ => From::Start,
    }
}

/// A step of what is taken off a watermark: where nothing changed, the next question has to be the same to the letter, or no service
/// could say "not modified".
const STEP: Duration = Duration::from_secs(10);

/// Shorter listings are within the slack of every overlap.
const SHORT: Duration = Duration::from_secs(1);

fn whole_steps(took: Duration) -> Duration {
    if took < SHORT {
        return Duration::ZERO;
    }
    STEP * u32::try_from(took.as_millis().div_ceil(STEP.as_millis())).unwrap_or(u32::MAX)
}

impl Watermark {
    /// The same, less the time that the listing took, in whole steps. The clock of the stamps showed at least the newest stamp seen when the listing
    /// ended, so it showed that much less when it began: whatever changed since then comes again, also where `Date` runs ahead of the
    /// stamps and a row that changed meanwhile was the newest seen (a simulated edit was stepped over that way).
    #[must_use]
    pub fn before(&self, took: Duration) -> Self {
        match self {
            Self::Stamp(_) if planted::is("watermark of the listing's end") => self.clone(),
            Self::Stamp(stamp) => Self::Stamp(stamp.minus(whole_steps(took))),
            Self::Token(_) => self.clone(),
        }
    }
}

/// The watermark after a listing that came to its end; none: keep the former one.
#[must_use]
pub fn watermark(listing: &Resume, cursor: Cursor) -> Option<Watermark> {
    match cursor {
        Cursor::Token => listing.token.clone().map(Watermark::Token),
        // Of a page that has no address nothing is known that would last.
        Cursor::Page => listing.page.clone().map(Watermark::Token),
        Cursor::Stamp { .. } => {
            let newest = listing.newest?;
            let start = listing.server_time.unwrap_or(newest);
            Some(Watermark::Stamp(if planted::is("Date as watermark") { start } else { newest.min(start) }))
        }
        Cursor::None => None,
    }
}

/// The listing that shows what changed during this whole one of several pages, and may have moved behind its back: a row whose stamp is
/// older than the page that is read then. It asks what the next run would. None: nobody tells what changed. It leaves the position where
/// the whole one began, which is never later.
#[must_use]
pub fn catch_up(listing: Resume, watermark: Option<&Watermark>, cursor: Cursor) -> Option<Resume> {
    let from = start(watermark.filter(|_| cursor != Cursor::Page), cursor);
    (from != From::Start).then_some(Resume { from, page: None, rows: 0, ..listing })
}
