//! Owns: one listing, page by page, sliced into batches, the next page fetched while the last one is applied.
//! Must never know: what a row holds.

use std::{
    collections::{BTreeSet, VecDeque, hash_map::DefaultHasher},
    hash::{Hash, Hasher},
};

use super::{Effect, Resume};
use crate::{
    limits, planted,
    replica::{Failure, Packed, Page, RemoteError},
};

/// A listing under way.
#[derive(Clone, Debug)]
pub(super) struct Down {
    /// What has been applied: true at that row.
    at: Resume,
    rows_per_page: usize,
    /// The page to fetch next; none: nothing is left to fetch.
    wanted: Option<Option<String>>,
    /// The page that is being applied, in batches.
    batches: VecDeque<Vec<Packed>>,
    /// How many rows are being applied.
    given: usize,
    /// What follows the page that is being applied: its `next`.
    then: Option<String>,
    /// With the page that is being applied whoever tells it comes to no other place.
    pub(super) stays: bool,
    /// The page that is being applied is all there is, and is applied in one piece.
    pub(super) swaps: bool,
    /// The page fetched ahead.
    ahead: Option<Page>,
    /// The page that is being applied is there.
    open: bool,
    /// Pages asked for so far, by hash: a listing that comes back to one never ends.
    pages: BTreeSet<u64>,
    total: Option<u64>,
    /// So many rows came before the first that the total is of.
    beyond: u64,
    /// Fetching failed; what came before is still applied.
    pub(super) failed: Option<RemoteError>,
}

impl Down {
    pub(super) fn new(at: Resume, rows_per_page: usize) -> Self {
        let at = Resume { rows: 0, ..at };
        let wanted = Some(at.page.clone());
        Self {
            at,
            rows_per_page,
            wanted,
            batches: VecDeque::new(),
            given: 0,
            then: None,
            stays: false,
            swaps: false,
            ahead: None,
            open: false,
            pages: BTreeSet::new(),
            total: None,
            beyond: 0,
            failed: None,
        }
    }

    /// A listing of what changed since, after the rows of another.
    pub(super) fn beyond(at: Resume, rows_per_page: usize) -> Self {
        Self { beyond: at.done, ..Self::new(at, rows_per_page) }
    }

    pub(super) fn listing(&self) -> &Resume {
        &self.at
    }

    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        let done = self.at.done + self.at.rows as u64;
        (done, self.total.map(|total| total.max(done)))
    }

    /// Everything that came is applied, and nothing is left to fetch.
    pub(super) fn whole(&self) -> bool {
        !self.open && self.ahead.is_none() && self.wanted.is_none() && self.failed.is_none()
    }

    /// Everything that came is applied; the rest did not come.
    pub(super) fn broken(&self) -> bool {
        !self.open && self.ahead.is_none() && self.failed.is_some()
    }

    /// The same listing from its first page, with half as many rows a page: the place of one page in another's numbering is not
    /// known. What was learnt stays, and rows that are met twice change nothing. None: a page has one row already.
    pub(super) fn in_smaller_pages(&self) -> Option<Self> {
        let rows = self.rows_per_page / 2;
        (rows > 0).then(|| Self::new(Resume { page: None, ..self.at.clone() }, rows))
    }

    /// The next fetch, if the remote is free: at most one page ahead.
    pub(super) fn fetch(&mut self) -> Option<Effect> {
        if self.failed.is_some() || self.ahead.is_some() {
            return None;
        }
        let page = self.wanted.take()?;
        if let Some(page) = &page {
            let mut hasher = DefaultHasher::new();
            page.hash(&mut hasher);
            if !self.pages.insert(hasher.finish()) || self.pages.len() > limits::PAGES_MAX {
                self.failed = Some(
                    RemoteError::new(Failure::Nonsense, "the listing comes back to a page it already gave")
                        .hint("the remote's paging does not end; nothing was deleted, the next run starts over"),
                );
                return None;
            }
        }
        Some(Effect::Fetch { from: self.at.from.clone(), page, rows: self.rows_per_page })
    }

    pub(super) fn came(&mut self, page: Result<Page, RemoteError>) {
        match page {
            Ok(page) => {
                self.wanted = page.next.clone().map(Some);
                self.total = self.total.or(page.total.map(|total| total + self.beyond));
                self.ahead = Some(page);
                self.turn();
            }
            Err(error) => self.failed = Some(error),
        }
    }

    /// Opens the page ahead once the last one is applied.
    fn turn(&mut self) {
        if self.open {
            return;
        }
        let Some(page) = self.ahead.take() else { return };
        if self.at.page.is_none() && self.at.rows == 0 && self.at.done == 0 {
            self.at.server_time = self.at.server_time.or(page.server_time);
            self.at.token = self.at.token.take().or(page.token);
        }
        let newest = page.rows.iter().filter_map(Packed::modified).max();
        self.at.newest = self.at.newest.max(newest);
        self.then = page.next;
        self.stays = page.stays;
        self.swaps =
            page.swaps && page.rows.len() <= limits::SWAP_ROWS_MAX && !planted::is("a document is put in place in pieces");
        let most = if self.swaps { limits::SWAP_ROWS_MAX } else { limits::BATCH_ROWS_MAX };
        let mut rows = page.rows.into_iter();
        loop {
            let batch: Vec<Packed> = rows.by_ref().take(most).collect();
            if batch.is_empty() {
                break;
            }
            self.batches.push_back(batch);
        }
        if self.batches.is_empty() {
            self.batches.push_back(Vec::new());
        }
        self.open = true;
    }

    /// The next batch, with the position that is true once it is applied.
    pub(super) fn batch(&mut self) -> Option<(Vec<Packed>, Resume)> {
        let batch = self.batches.pop_front()?;
        let last = self.batches.is_empty();
        self.given = batch.len();
        let mut after = self.at.further(batch.len());
        if last {
            after.done += after.rows as u64;
            after.rows = 0;
            after.page = self.then.clone().or(after.page);
        }
        Some((batch, after))
    }

    /// These rows of the batch were not applied: they are the next one. Returns the position that is true now.
    pub(super) fn put_back(&mut self, left: Vec<Packed>) -> Resume {
        let after = self.at.further(self.given - left.len().min(self.given));
        self.batches.push_front(left);
        after
    }

    /// The batch is applied: `after` is where the listing is now.
    pub(super) fn applied(&mut self, after: Resume) {
        self.at = Resume { newest: self.at.newest.max(after.newest), ..after };
        if self.batches.is_empty() {
            self.open = false;
            self.turn();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each page names another one after it, without end.
    #[test]
    fn a_listing_without_end_ends() {
        let mut down = Down::new(Resume::default(), 1);
        let mut asked = 0;
        while let Some(Effect::Fetch { .. }) = down.fetch() {
            down.came(Ok(Page { next: Some(format!("page {asked}")), ..Page::default() }));
            while let Some((_, after)) = down.batch() {
                down.applied(after);
            }
            asked += 1;
        }
        assert_eq!(asked, limits::PAGES_MAX + 1, "the first, and so many more");
        assert!(down.broken() && !down.whole());
        let error = down.failed.expect("it says so");
        assert!(error.kind == Failure::Nonsense && error.hint.is_some(), "{error:?}");
    }
}
