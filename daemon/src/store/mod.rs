//! Owns: the truth: all SQL, the one writer, the readers, and what may be asked of both. Must never know: sockets, HTTP, the
//! clock (a moment is an argument everywhere).
//!
//! A [`Store`] is opened once and cloned freely. What writes is a closure over a [`Tx`], done by one thread at a time together
//! with whatever else waits, and answered after the commit. What reads is a closure over a [`Reader`], done at once on the
//! caller's own thread, on a connection of that thread.

mod alias;
pub mod answers;
mod app_meeting;
pub mod budgets;
mod children;
pub mod conflicts;
pub mod copies;
mod cursor;
mod decide;
mod deferred;
pub mod defined;
mod definitions;
mod error;
mod feed;
mod fold;
pub mod fsck;
pub mod gazette;
mod hand;
pub mod history;
mod ids;
mod latest;
pub mod ledger;
pub mod limits;
mod list;
mod look;
pub mod marks;
pub mod moments;
mod news;
mod op;
mod open;
mod place;
mod purge;
mod queue;
mod reader;
pub mod record;
pub mod rehearsal;
mod replay;
mod schema;
pub mod shown;
pub mod sync;
#[cfg(test)]
mod testing;
mod token;
mod trouble;
mod turn;
mod tx;
pub mod undo;
mod upgrade;
mod views;
pub mod wait;
mod why;
mod write;

use std::{
    future::Future,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
};

use mingle_core::{
    ask::{Changes, Since},
    time::Timestamp,
};
use tokio::sync::{oneshot, watch};

pub use self::{
    decide::{resolve_conflict, resolve_rejection},
    deferred::upload,
    definitions::{Collection, CollectionDefinition, Definitions},
    error::StoreError,
    feed::changes,
    ids::Ids,
    list::{get, list},
    look::{Look, Seen, look},
    news::Commits,
    open::{Options, Renewed},
    purge::{purge, rest},
    queue::Class,
    reader::Reader,
    record::Held,
    replay::conflicts_under,
    token::Token,
    trouble::Trouble,
    tx::{Done, Origin, Tx},
    upgrade::{Tell, Upgraded, Upgrading},
    views::define,
    wait::{UpReplica, waited},
    why::why,
    write::{Prepared, apply, prepare},
};

use self::{
    hand::{Hand, Probe, Task},
    ids::Maker,
    latest::Noted,
    news::News,
    open::Found,
    queue::NotTaken,
    rehearsal::Rehearsal,
    turn::{Turn, Turns},
    tx::Books,
};

/// The truth. Clones are the same store.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    news: Arc<News>,
    answers: answers::Worth,
    kind: Kind,
}

enum Kind {
    /// A file, with the one writer thread.
    File { path: PathBuf, turns: Arc<Turns>, writer: Mutex<Option<JoinHandle<Result<(), StoreError>>>>, number: u64 },
    /// In memory: everything is done where it is asked, one after the other.
    Memory { hand: Box<Mutex<Hand>> },
}

/// Where the answer to a write arrives, and the right to do the write oneself.
type Queued<T> = (oneshot::Receiver<Result<T, StoreError>>, Option<Turn>);

/// How a job is done.
#[derive(Clone, Copy)]
struct How {
    /// Whoever waits for it may do it.
    own: bool,
    /// It may fail half done.
    guarded: bool,
}

async fn done<T>(queued: Result<Queued<T>, StoreError>) -> Result<T, StoreError> {
    let (answer, turn) = queued?;
    if let Some(turn) = turn {
        turn.take().await;
    }
    answer.await.unwrap_or(Err(StoreError::Closed))
}

/// A store, and what opening it brought to light.
pub struct Opened {
    /// The store.
    pub store: Store,
    /// Why its instance is a new one; none: it goes on where it was.
    pub renewed: Option<Renewed>,
    /// Where a damaged store was moved: it may hold writes that were never sent. To be told loudly.
    pub moved_aside: Option<PathBuf>,
    /// What it was brought to the newest schema from, where it was.
    pub upgraded: Option<Upgraded>,
}

impl Store {
    /// [`Store::open_telling`], with nobody who listens.
    ///
    /// # Errors
    /// As [`Store::open_telling`].
    pub fn open(path: &Path, options: Options, now: Timestamp) -> Result<Opened, StoreError> {
        Self::open_telling(path, options, now, |_| {})
    }

    /// Opens the store at this path, or makes it; starts the writer. An older one is copied, and brought to the newest schema, which
    /// may take its time: `tell` hears of it. The caller holds the daemon's lock. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Newer`] and [`StoreError::NotUpgraded`] (the file is left as it is), [`StoreError::Place`], and whatever the disk
    /// says.
    pub fn open_telling(path: &Path, options: Options, now: Timestamp, tell: Tell) -> Result<Opened, StoreError> {
        let mut maker = Maker::new(options.ids);
        let Found { conn, instance, seq, renewed, moved_aside, upgraded } =
            open::find(path, options, &mut maker, now, &schema::WAY, tell)?;
        let books = books(instance, seq, maker);
        let news = Arc::new(News::new(&books));
        let turns = Arc::new(Turns::new(Hand::new(conn, Some((path.to_owned(), options)), books, Arc::clone(&news))?));
        let work = Arc::clone(&turns);
        let writer = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || work.work())
            .map_err(|error| StoreError::Place(format!("the writer's thread cannot be started: {error}")))?;
        let kind = Kind::File { path: path.to_owned(), turns, writer: Mutex::new(Some(writer)), number: reader::next_number() };
        Ok(Opened {
            store: Self(Arc::new(Inner { news, answers: answers::Worth::default(), kind })),
            renewed,
            moved_aside,
            upgraded,
        })
    }

    /// A store in memory, for tests and the simulation: the same SQL, written on the caller's thread. A job must not read
    /// through the store, only through its own [`Tx`].
    ///
    /// # Errors
    /// What SQLite says.
    pub fn memory(ids: Ids) -> Result<Self, StoreError> {
        let mut maker = Maker::new(ids);
        let Found { conn, instance, seq, .. } = open::in_memory(&mut maker)?;
        let books = books(instance, seq, maker);
        let news = Arc::new(News::new(&books));
        let hand = Hand::new(conn, None, books, Arc::clone(&news))?;
        Ok(Self(Arc::new(Inner {
            news,
            answers: answers::Worth::default(),
            kind: Kind::Memory { hand: Box::new(Mutex::new(hand)) },
        })))
    }

    /// Of which syncs answers are worth the writing, as far as this process has seen.
    #[must_use]
    pub fn answers(&self) -> &answers::Worth {
        &self.0.answers
    }

    /// Queues a write, and answers it after its commit. The job is queued before this returns, so writes of one caller keep
    /// their order; dropping the answer does not take it back.
    ///
    /// # Errors
    /// What the job returns; [`StoreError::Busy`] where too much waits already; [`StoreError::Unknown`] where the commit failed.
    pub fn write<T, F>(
        &self,
        class: Class,
        now: Timestamp,
        work: F,
    ) -> impl Future<Output = Result<T, StoreError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        done(self.queue(class, now, work, How { own: true, guarded: true }))
    }

    /// As [`Store::write`] of an interactive write that refuses before its first change or not at all: it needs no savepoint. Where
    /// it fails half done all the same, the writes that share its commit are undone with it, and answered
    /// [`StoreError::Unknown`].
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_small<T, F>(&self, now: Timestamp, work: F) -> impl Future<Output = Result<T, StoreError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        done(self.queue(Class::Interactive, now, work, How { own: true, guarded: false }))
    }

    /// As [`Store::write`], for start-up and tests: blocks the thread.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T, F>(&self, class: Class, now: Timestamp, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        wait_here(self.queue(class, now, work, How { own: false, guarded: true })?.0).unwrap_or(Err(StoreError::Closed))
    }

    fn queue<T, F>(&self, class: Class, now: Timestamp, work: F, how: How) -> Result<Queued<T>, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Task { now, guarded: how.guarded, work: Some(work), result: None, reply });
        let turn = match &self.0.kind {
            Kind::File { turns, .. } => {
                let put = match class {
                    Class::Interactive if how.own => turns.put_own(job).map(Some),
                    _ => turns.put(class, job).map(|()| None),
                };
                put.map_err(|not| match not {
                    NotTaken::Full => StoreError::Busy,
                    NotTaken::Closed => StoreError::Closed,
                })?
            }
            Kind::Memory { hand } => {
                hand.lock().unwrap_or_else(PoisonError::into_inner).group(vec![job]);
                None
            }
        };
        Ok((answer, turn))
    }

    /// Looks whether the files are still those that were opened, unless a write does so just now.
    pub fn look_for_files(&self) {
        if let Kind::File { turns, .. } = &self.0.kind {
            turns.look_for_files();
        }
    }

    /// How many writes were asked for until now by who waits for them: apps, persons.
    #[must_use]
    pub fn writes_asked(&self) -> u64 {
        match &self.0.kind {
            Kind::File { turns, .. } => turns.asked(),
            Kind::Memory { .. } => 0,
        }
    }

    /// Writes something that changes nothing and reaches the disk all the same: a store that is shut opens again with it, where its disk
    /// is good.
    ///
    /// # Errors
    /// Why it takes no writes.
    pub async fn probe(&self, now: Timestamp) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Probe { now, reply });
        match &self.0.kind {
            Kind::File { turns, .. } => turns.put(Class::Background, job).map_err(|_| StoreError::Busy)?,
            Kind::Memory { hand } => hand.lock().unwrap_or_else(PoisonError::into_inner).group(vec![job]),
        }
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Reads at once, on this thread, from one unmoving state that has everything acknowledged before. Where the disk fails, it asks a
    /// second time, on a connection that has not met the failure.
    ///
    /// # Errors
    /// What the closure returns; [`StoreError::Deadline`] where it takes too many steps.
    pub fn read<T>(&self, work: impl Fn(&Reader<'_>) -> Result<T, StoreError>) -> Result<T, StoreError> {
        match &self.0.kind {
            Kind::File { path, number, .. } => reader::on_this_thread(*number, path, &self.0.news, work),
            Kind::Memory { hand } => {
                let hand = hand.lock().unwrap_or_else(PoisonError::into_inner);
                work(&Reader { conn: hand.conn()?, instance: self.instance(), definitions: self.definitions() })
            }
        }
    }

    /// All reads of this thread within `work` see the state that the first of them finds: to take a state and give it up again costs
    /// as much as a small read.
    pub fn read_together(&self, work: impl FnOnce()) {
        match &self.0.kind {
            Kind::File { .. } => reader::together(work),
            Kind::Memory { .. } => work(),
        }
    }

    /// The seq of the last commit that gave one.
    #[must_use]
    pub fn head(&self) -> watch::Receiver<u64> {
        self.0.news.head()
    }

    /// The page of the feed that a subscription asks for, where the last commit left it in memory; none: it has to be read.
    #[must_use]
    pub fn latest(&self, since: &Since) -> Option<Changes> {
        self.0.news.latest.page(since)
    }

    /// The head, and how many commits there were: what is read between two looks that find the same is the same.
    #[must_use]
    pub fn moment(&self) -> (u64, u64) {
        self.0.news.moment()
    }

    /// A number that changes with every commit, also of those that changed no record (a settled link, a conflict, a run).
    #[must_use]
    pub fn pulse(&self) -> watch::Receiver<u64> {
        self.0.news.pulse()
    }

    /// The bytes of the log that wait to be folded back. The file may be longer: it is begun anew, and kept.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        u64::from(self.0.news.log_pages()) * u64::from(limits::PAGE_BYTES)
    }

    /// Why the store takes no writes for now; none: it does. For `attention`.
    #[must_use]
    pub fn trouble(&self) -> watch::Receiver<Option<Trouble>> {
        self.0.news.troubles()
    }

    /// What commits changed, for the one who marks syncs as due.
    #[must_use]
    pub fn commits(&self) -> Commits {
        self.0.news.commits()
    }

    /// Which store this is. It changes only where acknowledged writes were lost under a running daemon.
    #[must_use]
    pub fn instance(&self) -> Arc<str> {
        self.0.news.instance()
    }

    /// The collections there are, since the last [`define`].
    #[must_use]
    pub fn definitions(&self) -> Arc<Definitions> {
        self.0.news.definitions()
    }

    /// The bytes of the store's file and of its log, as the directory has them: the files themselves are never opened beside SQLite.
    #[must_use]
    pub fn sizes(&self) -> (u64, u64) {
        let Kind::File { path, .. } = &self.0.kind else { return (0, 0) };
        let bytes = |path: &Path| std::fs::symlink_metadata(path).map_or(0, |file| file.len());
        let mut log = path.clone().into_os_string();
        log.push("-wal");
        (bytes(path), bytes(Path::new(&log)))
    }

    /// A copy of it to play a run on. Blocks.
    ///
    /// # Errors
    /// [`StoreError::Full`] where the disk has no room for it; what SQLite and the disk say.
    pub fn rehearsal(&self, now: Timestamp) -> Result<Rehearsal, StoreError> {
        match &self.0.kind {
            Kind::File { path, .. } => Rehearsal::of(path, now),
            Kind::Memory { .. } => Err(StoreError::Place("a store in memory is not copied".into())),
        }
    }

    /// A copy of the store in this file as it is now, kept beside it because a reset is to begin. Blocks, and holds nobody up.
    ///
    /// # Errors
    /// [`StoreError::NoRoom`] where the disk has no room for it; what SQLite and the disk say.
    pub fn keep_before_reset(path: &Path, now: Timestamp) -> Result<PathBuf, StoreError> {
        copies::before_reset(path, now)
    }

    /// Its file; none: it is in memory.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match &self.0.kind {
            Kind::File { path, .. } => Some(path),
            Kind::Memory { .. } => None,
        }
    }

    /// The end in good order: what is queued is done, the log is folded back, the store marked clean. Blocks. Without it the
    /// end counts as a crash.
    ///
    /// # Errors
    /// What the disk says; nothing acknowledged is lost then.
    pub fn close(&self) -> Result<(), StoreError> {
        match &self.0.kind {
            Kind::Memory { .. } => Ok(()),
            Kind::File { turns, writer, .. } => {
                turns.close(true);
                let writer = writer.lock().unwrap_or_else(PoisonError::into_inner).take();
                writer.map_or(Ok(()), |writer| writer.join().unwrap_or(Err(StoreError::Panicked)))
            }
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let Kind::File { turns, writer, .. } = &self.kind else { return };
        turns.close(false);
        // The last clone may have been inside a job: who writes does not wait for the writer.
        if let Some(writer) = writer.lock().unwrap_or_else(PoisonError::into_inner).take()
            && !turn::is_writing()
        {
            let _ = writer.join();
        }
    }
}

/// Waits on this thread, whatever else it drives.
fn wait_here<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

fn books(instance: String, seq: u64, ids: Maker) -> Books {
    Books { seq, instance: instance.into(), definitions: Arc::default(), touched: Vec::new(), noted: Noted::default(), ids }
}
