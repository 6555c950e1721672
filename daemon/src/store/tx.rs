//! Owns: what a job of the writer works with: its transaction, the next seq, new ids, and the note of what it touched.
//! Must never know: the queue, other jobs.

use std::{fmt, sync::Arc};

use mingle_core::{ask::Refusal, time::Timestamp};
use rusqlite::Connection;

use super::{
    definitions::{Collection, Definitions},
    error::StoreError,
    ids::Maker,
    latest::{Left, Noted},
};

/// Who made a change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// An app, by its name.
    App(String),
    /// A sync, by its name.
    Sync(String),
}

impl Origin {
    /// Reads the text form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':')? {
            ("app", name) => Some(Self::App(name.into())),
            ("sync", name) => Some(Self::Sync(name.into())),
            _ => None,
        }
    }
}

/// `app:NAME`, `sync:NAME`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(name) => write!(f, "app:{name}"),
            Self::Sync(name) => write!(f, "sync:{name}"),
        }
    }
}

/// What the writer keeps in mind from one transaction to the next.
pub(super) struct Books {
    /// The highest seq given.
    pub seq: u64,
    /// Which store this is.
    pub instance: Arc<str>,
    /// The collections there are.
    pub definitions: Arc<Definitions>,
    /// What the present group touched.
    pub touched: Vec<(i64, Origin)>,
    /// The records that it changed, where somebody asks for them.
    pub noted: Noted,
    /// Makes ids.
    pub ids: Maker,
}

/// Where the books stood when a job began.
pub(super) struct Mark {
    seq: u64,
    definitions: Arc<Definitions>,
    touched: usize,
}

impl Books {
    pub(super) fn mark(&self) -> Mark {
        Mark { seq: self.seq, definitions: Arc::clone(&self.definitions), touched: self.touched.len() }
    }

    /// As if the job had never been: nobody has heard of its seqs.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.seq = mark.seq;
        self.definitions = mark.definitions;
        self.touched.truncate(mark.touched);
        self.noted.back_to(mark.seq);
    }
}

/// One job's part of a transaction: it is kept as a whole or not at all.
pub struct Tx<'a> {
    pub(super) conn: &'a Connection,
    pub(super) books: &'a mut Books,
    pub(super) now: Timestamp,
}

impl Tx<'_> {
    /// The connection; statements that come again go through `prepare_cached`. Never ends the transaction.
    #[must_use]
    pub fn conn(&self) -> &Connection {
        self.conn
    }

    /// When the job was given.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Which store this is.
    #[must_use]
    pub fn instance(&self) -> Arc<str> {
        Arc::clone(&self.books.instance)
    }

    /// The highest seq given so far, this job's included.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.books.seq
    }

    /// One more seq: one per change of one record.
    #[must_use]
    pub fn next_seq(&mut self) -> u64 {
        self.books.seq += 1;
        self.books.seq
    }

    /// The number of the collection of that name.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], which lists the collections there are.
    pub fn collection(&self, name: &str) -> Result<i64, Refusal> {
        Ok(self.books.definitions.named(name)?.number)
    }

    /// The collection of that name.
    ///
    /// # Errors
    /// [`Refusal::NotFound`], which lists the collections there are.
    pub fn defined(&self, name: &str) -> Result<Arc<Collection>, Refusal> {
        self.books.definitions.named(name).cloned()
    }

    /// The collections there are.
    #[must_use]
    pub fn definitions(&self) -> &Arc<Definitions> {
        &self.books.definitions
    }

    pub(super) fn set_definitions(&mut self, definitions: Definitions) {
        self.books.definitions = Arc::new(definitions);
    }

    /// Notes that a record of this collection changed, for those who are told after the commit.
    pub fn touch(&mut self, collection: i64, origin: &Origin) {
        let already = self.books.touched.iter().rev().take(8).any(|(number, by)| *number == collection && by == origin);
        if !already {
            self.books.touched.push((collection, origin.clone()));
        }
    }

    /// Notes a record that changed as it is now, for those who hear of each change.
    pub(super) fn left(&mut self, left: impl FnOnce() -> Left) {
        self.books.noted.note(left);
    }

    /// What this group changed is told from the store alone.
    pub(super) fn untold(&mut self) {
        self.books.noted.untold();
    }

    /// A new UUIDv7.
    #[must_use]
    pub fn uuid7(&mut self) -> String {
        self.books.ids.uuid7(self.now)
    }

    /// A new short id that begins with this letter: `c` conflict, `j` rejection, `r` run.
    #[must_use]
    pub fn short_id(&mut self, letter: char) -> String {
        self.books.ids.short(letter)
    }
}

/// What a job returns.
pub type Done<T> = Result<T, StoreError>;
