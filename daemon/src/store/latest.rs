//! Owns: what the last commit changed, kept for subscriptions that have been told everything before it: nearly always all of them, and a
//! read of the feed costs more than writing the event. Must never know: who listens.
//!
//! It is noted while rows are written, and told after the commit. Whoever stands elsewhere reads the store, and so does everybody
//! after a commit that changed much, or that nobody asked for.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use mingle_core::{
    ask::{Change, Changes, Scope, Since},
    planted,
};

use super::{
    definitions::Definitions,
    feed::{self, OVERHEAD},
    record::State,
};

/// A commit of more changes is read from the store: reading costs as much then as writing.
const ROWS_MAX: usize = 64;
/// The same, of more bytes of records: so much is kept in memory, twice.
const BYTES_MAX: usize = 64 << 10;

/// A record as a commit left it.
#[derive(Clone, Debug)]
pub(super) struct Left {
    pub collection: i64,
    pub id: String,
    pub seq: u64,
    pub first: u64,
    pub created: u64,
    pub state: State,
    /// As the feed has it: none where it is not live.
    pub data: Option<String>,
}

/// What the present group of writes changed.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// None: too much, or nobody asked.
    rows: Option<Vec<Left>>,
    bytes: usize,
}

impl Noted {
    /// A group begins. `wanted`: somebody asked for what the last one changed.
    pub(super) fn begin(&mut self, wanted: bool) {
        *self = Self { rows: wanted.then(Vec::new), bytes: 0 };
    }

    /// A change of one record, in the order of their seqs.
    pub(super) fn note(&mut self, left: impl FnOnce() -> Left) {
        let Some(rows) = &mut self.rows else { return };
        let left = left();
        self.bytes += left.id.len() + left.data.as_ref().map_or(0, String::len) + OVERHEAD;
        if rows.len() == ROWS_MAX || self.bytes > BYTES_MAX {
            self.rows = None;
        } else {
            rows.push(left);
        }
    }

    /// What the group changes is not told from here.
    pub(super) fn untold(&mut self) {
        self.rows = None;
    }

    /// What was noted after this seq has never been.
    pub(super) fn back_to(&mut self, seq: u64) {
        if let Some(rows) = &mut self.rows {
            rows.retain(|row| row.seq <= seq);
        }
    }
}

/// What one commit changed.
struct Latest {
    /// The head before it, and after it.
    before: u64,
    after: u64,
    definitions: Arc<Definitions>,
    rows: Vec<Left>,
}

/// What the last commit changed.
#[derive(Default)]
pub(super) struct LatestOf {
    latest: Mutex<Option<Arc<Latest>>>,
    wanted: AtomicBool,
}

impl LatestOf {
    /// Whether anybody asked since the last time.
    pub(super) fn wanted(&self) -> bool {
        self.wanted.swap(false, Ordering::Relaxed)
    }

    /// After a commit, before anybody hears of it.
    pub(super) fn keep(&self, before: u64, after: u64, definitions: &Arc<Definitions>, noted: &mut Noted) {
        let rows = noted.rows.take();
        // One for each seq that was given: what is not noted would be missed.
        let whole = rows.filter(|rows| u64::try_from(rows.len()) == Ok(after - before));
        let latest = whole.map(|rows| Arc::new(Latest { before, after, definitions: Arc::clone(definitions), rows }));
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = latest;
    }

    /// Nothing is told from memory until the next commit.
    pub(super) fn forget(&self) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// The page of the feed that `since` asks for; none: it has to be read.
    pub(super) fn page(&self, since: &Since) -> Option<Changes> {
        self.wanted.store(true, Ordering::Relaxed);
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        latest.page(since)
    }
}

impl Latest {
    fn page(&self, since: &Since) -> Option<Changes> {
        let here = since.seq == self.before && since.seq > 0 || planted::is("last commit told at any place");
        if !here || since.instance.is_some() || !self.knows(&since.scope) || self.rows.len() > since.limit {
            return None;
        }
        let mut page = Changes { changes: Vec::new(), seq: self.after, more: false, fresh: false };
        let mut bytes = 0;
        for (at, row) in self.rows.iter().enumerate() {
            // Each record once, at its last change.
            let again = self.rows[at + 1..].iter().any(|later| later.collection == row.collection && later.id == row.id);
            if again && !planted::is("record told twice by a commit") {
                continue;
            }
            let Some(collection) = self.definitions.numbered(row.collection).map(|one| &one.definition.name) else { continue };
            if !since.scope.has(collection) || !since.ids.has(collection, &row.id) {
                continue;
            }
            let Some(kind) = feed::kind(row.state as i64, row.first, row.created, since.seq) else { continue };
            let data = if since.data { row.data.clone() } else { None };
            bytes += row.id.len() + collection.len() + data.as_ref().map_or(0, String::len) + OVERHEAD;
            page.changes.push(Change {
                collection: collection.clone(),
                id: row.id.clone(),
                seq: row.seq,
                kind,
                data,
                alias: None,
            });
        }
        (bytes <= since.bytes).then_some(page)
    }

    /// A collection that is not there is an error, which whoever reads finds.
    fn knows(&self, scope: &Scope) -> bool {
        match scope {
            Scope::All => true,
            Scope::Only(names) => names.iter().all(|name| self.definitions.named(name).is_ok()),
        }
    }
}

#[cfg(test)]
mod tests;
