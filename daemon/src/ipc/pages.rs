//! Owns: the newest pages of the feed, as text, so that one read tells all subscriptions that wait at the same place. Must never know:
//! who they are, what is in a record.
//!
//! A page is taken for another subscription only where both would ask the store the same at the same moment: neither the head nor
//! anything else has changed since before the page was read. So it is a page that this subscription could have read itself.

use std::sync::{Arc, Mutex, PoisonError};

use mingle_core::{ask::Scope, planted};

use super::door::Moment;

/// So many pages are kept: some groups of apps that listen to different things. An older one is read again.
const PAGES_MAX: usize = 8;
/// A longer page is not kept: it costs more to write than to read.
pub(super) const PAGE_BYTES_MAX: usize = 64 << 10;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked<'a> {
    /// Before the page is read.
    pub(super) moment: Moment,
    /// From where.
    pub(super) seq: u64,
    /// Of which collections.
    pub(super) scope: &'a Scope,
    /// With data.
    pub(super) data: bool,
}

/// The last page of the feed from some place on: no other follows.
#[derive(Debug)]
pub(super) struct Page {
    /// Its members as JSON, without the brace that opens them; none: it has nothing to tell.
    pub(super) text: Option<String>,
    /// Where the feed goes on.
    pub(super) seq: u64,
}

/// The newest pages, for all connections of a socket.
#[derive(Debug, Default)]
pub(super) struct Pages(Mutex<Vec<Kept>>);

/// A page, and what was asked for.
#[derive(Debug)]
struct Kept {
    moment: Moment,
    seq: u64,
    scope: Scope,
    data: bool,
    page: Arc<Page>,
}

impl Kept {
    fn answers(&self, asked: Asked<'_>) -> bool {
        self.seq == asked.seq
            && self.data == asked.data
            && (self.moment == asked.moment || planted::is("page of another moment"))
            && (self.scope == *asked.scope || planted::is("page of another scope"))
    }
}

impl Pages {
    /// The page that answers this, if it was read just now.
    pub(super) fn find(&self, asked: Asked<'_>) -> Option<Arc<Page>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|one| one.answers(asked)).map(|one| Arc::clone(&one.page))
    }

    /// Keeps one that was read; the oldest goes.
    pub(super) fn keep(&self, asked: Asked<'_>, page: Page) {
        let Asked { moment, seq, scope, data } = asked;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a moment that is over, no page is asked for any more.
        kept.retain(|one| one.moment == moment || planted::is("page of another moment"));
        if kept.len() == PAGES_MAX {
            kept.remove(0);
        }
        kept.push(Kept { moment, seq, scope: scope.clone(), data, page: Arc::new(page) });
    }
}
