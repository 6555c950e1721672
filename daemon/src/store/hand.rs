//! Owns: the one hand that writes: a group of jobs as one transaction, a savepoint where one may fail half done, one commit, answers after it; and what
//! happens when the disk fails. Must never know: which thread it is on, what the jobs do.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use mingle_core::time::Timestamp;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{
    error::StoreError,
    fold::{self, Fold},
    limits,
    news::News,
    open::{self, Options},
    place::Files,
    trouble::Trouble,
    tx::{Books, Tx},
};
use disk::Disk;
pub(super) use disk::Probe;

mod disk;

/// One write that waits for its turn.
pub(super) trait Job: Send {
    /// When it was given.
    fn now(&self) -> Timestamp;
    /// Whether it may fail after its first change: then it has a savepoint of its own.
    fn is_guarded(&self) -> bool;
    /// Whether it only looks if the disk can be written, also where the store is shut.
    fn probes(&self) -> bool {
        false
    }
    /// Does it, and keeps what it returns; what went wrong, where its savepoint is not to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Failed>;
    /// Tells who waits: what it returned, or why its transaction did not come to be.
    fn answer(self: Box<Self>, lost: Option<StoreError>);
}

/// What a failed job says to its transaction.
pub(super) enum Failed {
    /// It alone failed.
    Alone,
    /// The disk is full.
    Full,
    /// The connection is not to be trusted any more.
    Spoiled(StoreError),
}

/// A job made of a closure.
pub(super) struct Task<T, F> {
    pub now: Timestamp,
    pub guarded: bool,
    pub work: Option<F>,
    pub result: Option<Result<T, StoreError>>,
    pub reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send,
{
    fn now(&self) -> Timestamp {
        self.now
    }

    fn is_guarded(&self) -> bool {
        self.guarded
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> Result<(), Failed> {
        let Some(work) = self.work.take() else { return Err(Failed::Alone) };
        // A panic ends this job alone: its savepoint is rolled back, so nothing half done is seen.
        let result = catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or_else(|panic| {
            tracing::error!(panic = words(&*panic), "a write panicked");
            Err(StoreError::Panicked)
        });
        let failed = match &result {
            Ok(_) => Ok(()),
            Err(StoreError::Full) => Err(Failed::Full),
            Err(StoreError::Damaged(told)) => Err(Failed::Spoiled(StoreError::Damaged(told.clone()))),
            Err(StoreError::Disk(told)) => Err(Failed::Spoiled(StoreError::Disk(told.clone()))),
            Err(StoreError::Shut(trouble)) => Err(Failed::Spoiled(StoreError::Shut(trouble.clone()))),
            Err(_) => Err(Failed::Alone),
        };
        self.result = Some(result);
        failed
    }

    fn answer(self: Box<Self>, lost: Option<StoreError>) {
        let answer = match lost {
            Some(error) => Err(error),
            None => self.result.unwrap_or(Err(StoreError::Closed)),
        };
        // Nobody waiting is no error: the asker went away.
        let _ = self.reply.send(answer);
    }
}

/// What is left of a job that was answered too early.
#[cfg(feature = "planted")]
struct Answered;

#[cfg(feature = "planted")]
impl Job for Answered {
    fn now(&self) -> Timestamp {
        Timestamp::default()
    }

    fn is_guarded(&self) -> bool {
        true
    }

    fn run(&mut self, _: &mut Tx<'_>) -> Result<(), Failed> {
        Ok(())
    }

    fn answer(self: Box<Self>, _: Option<StoreError>) {}
}

fn words(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

/// The hand that writes.
pub(super) struct Hand {
    /// None only while a connection could not be made anew.
    conn: Option<Connection>,
    /// From where to open again; none: in memory.
    place: Option<(PathBuf, Options)>,
    /// The files that were opened: writes into some that were removed or replaced would be acknowledged and gone.
    files: Option<Files>,
    books: Books,
    disk: Disk,
    news: Arc<News>,
    /// The pages in the log, as its last commit told.
    log_pages: Arc<AtomicU32>,
    /// How many pages the log has when it is folded back next; none: it is being folded back.
    fold_at: Option<u32>,
    /// Folds the log back beside us; none: it does so just now, or was never needed.
    beside: Option<Connection>,
}

impl Hand {
    pub(super) fn new(
        conn: Connection,
        place: Option<(PathBuf, Options)>,
        books: Books,
        news: Arc<News>,
    ) -> Result<Self, StoreError> {
        let log_pages = Arc::default();
        let fold_at = Some(limits::CHECKPOINT_PAGES);
        let mut hand = Self { conn: None, place, files: None, books, disk: Disk::Sound, news, log_pages, fold_at, beside: None };
        hand.take_up(conn)?;
        Ok(hand)
    }

    fn take_up(&mut self, mut conn: Connection) -> Result<(), StoreError> {
        self.log_pages = Arc::default();
        if self.place.is_some() {
            let pages = Arc::clone(&self.log_pages);
            // Replaces SQLite's own folding back, which would happen between a commit and its answer.
            conn.wal_hook(Some(move |wal: &mut rusqlite::hooks::Wal, count: std::ffi::c_int| {
                let count = u32::try_from(count).unwrap_or(0);
                pages.store(count, Ordering::Relaxed);
                if count > limits::CHECKPOINT_PAGES.saturating_mul(8) {
                    let _ = wal.checkpoint();
                }
                Ok(())
            }))?;
        }
        self.conn = Some(conn);
        self.beside = None;
        self.files = self.files_of();
        Ok(())
    }

    fn log_pages(&self) -> u32 {
        self.log_pages.load(Ordering::Relaxed)
    }

    /// The connection, for reads of a store in memory.
    pub(super) fn conn(&self) -> Result<&Connection, StoreError> {
        self.conn.as_ref().ok_or(StoreError::Closed)
    }

    /// Does a group and answers everybody in it.
    pub(super) fn group(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let now = jobs.iter().map(|job| job.now()).max().unwrap_or_default();
        let probes = jobs.iter().any(|job| job.probes());
        if probes && let Disk::Shut(trouble) = &self.disk {
            // Nobody else's write is risked.
            let lost = trouble.clone();
            let (alone, others) = jobs.into_iter().partition(|job| job.probes());
            jobs = alone;
            for job in others {
                let job: Box<dyn Job> = job;
                job.answer(Some(StoreError::Shut(lost.clone())));
            }
            self.try_again(now);
        }
        let seq = self.books.seq;
        self.books.noted.begin(self.news.latest.wanted());
        let definitions = Arc::clone(&self.books.definitions);
        let ended = self.stand().and_then(|()| self.transact(&mut jobs)).and_then(|full| self.is_there().map(|()| full));
        match ended {
            Ok(full) => {
                let touched = std::mem::take(&mut self.books.touched);
                self.news.latest.keep(seq, self.books.seq, &self.books.definitions, &mut self.books.noted);
                self.news.log(self.log_pages());
                self.news.tell(&self.books, touched);
                // Before the answers, so that who hears of it finds it told.
                if full {
                    self.is_full();
                } else if probes {
                    self.is_well();
                }
                jobs.into_iter().for_each(|job| job.answer(None));
            }
            Err(error) => {
                self.books.seq = seq;
                self.books.definitions = definitions;
                self.books.touched.clear();
                // What was told as the last commit may not be there any more.
                self.news.latest.forget();
                // Before the answers, so that who hears of it finds the store as it is from now on.
                self.recover(&error, now);
                for job in jobs {
                    job.answer(Some(match &error {
                        StoreError::Shut(trouble) => StoreError::Shut(trouble.clone()),
                        StoreError::Busy => StoreError::Busy,
                        other => other.of_a_commit(),
                    }));
                }
            }
        }
    }

    /// One transaction of all of them. Whether one of them found no room.
    fn transact(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<bool, StoreError> {
        let Self { conn, books, .. } = self;
        let conn = conn.as_ref().ok_or_else(|| StoreError::Disk("no connection".into()))?;
        let run = |sql: &str| -> Result<(), StoreError> { Ok(conn.prepare_cached(sql)?.execute(()).map(|_| ())?) };
        run("BEGIN IMMEDIATE")?;
        let mut full = false;
        let done = (|| {
            for job in jobs {
                // A savepoint keeps what every page was: it costs as much as a small write itself.
                let guarded = job.is_guarded();
                let changes = conn.total_changes();
                if guarded {
                    run("SAVEPOINT job")?;
                }
                let mark = books.mark();
                let done = job.run(&mut Tx { conn, now: job.now(), books });
                let done = match done {
                    Err(Failed::Spoiled(error)) => return Err(error),
                    done => done,
                };
                full |= matches!(done, Err(Failed::Full));
                // SQLite may have ended the whole transaction by itself: with it went the jobs before this one.
                match (conn.is_autocommit(), &done) {
                    (true, Err(Failed::Full)) => return Err(StoreError::Full),
                    (true, _) => return Err(StoreError::Unknown("the transaction was rolled back".into())),
                    (false, Err(_)) if guarded => {
                        run("ROLLBACK TO job")?;
                        books.back_to(mark);
                    }
                    (false, Err(_)) if conn.total_changes() == changes => books.back_to(mark),
                    (false, Err(Failed::Full)) => return Err(StoreError::Full),
                    (false, Err(_)) => {
                        return Err(StoreError::Unknown("a write failed half done, and took its group along".into()));
                    }
                    (false, Ok(())) => {}
                }
                if guarded {
                    run("RELEASE job")?;
                }
                #[cfg(feature = "planted")]
                if mingle_core::planted::is("ack before commit") {
                    std::mem::replace(job, Box::new(Answered)).answer(None);
                }
            }
            run("COMMIT")
        })();
        if done.is_err() && !conn.is_autocommit() {
            // Where this fails too, the connection is dropped by `recover`, which rolls back as well.
            let _ = run("ROLLBACK");
        }
        done.map(|()| full)
    }

    /// Whether the log is so long that it is time to fold it back.
    pub(super) fn is_untidy(&self) -> bool {
        self.fold_at.is_some_and(|pages| self.log_pages() >= pages)
    }

    /// Lends what folds the log back beside us, once for each time that it is untidy; [`Hand::tidy`] takes it back.
    pub(super) fn lend(&mut self) -> Option<Fold> {
        let path = self.place.as_ref().map(|(path, _)| path)?;
        let conn = match self.beside.take() {
            Some(conn) => conn,
            None => open::beside(path)
                .inspect_err(|error| tracing::warn!(%error, "the log cannot be folded back beside writes"))
                .ok()?,
        };
        // It was opened by its path: only where our files are still behind it, it has the same log.
        if !self.has_files() {
            return None;
        }
        self.fold_at = None;
        Some(Fold { conn, log_pages: Arc::clone(&self.log_pages) })
    }

    /// Folds back what is left of the log, after the answers: the next write begins it anew.
    pub(super) fn tidy(&mut self, lent: Option<Fold>) {
        // One that was lent by a connection that is not trusted any more is not either.
        self.beside = lent.filter(|fold| Arc::ptr_eq(&fold.log_pages, &self.log_pages)).map(|fold| fold.conn);
        let pages = self.log_pages();
        let folded = self.conn.as_ref().map_or(Ok((pages, 0)), fold::once);
        self.fold_at = Some(match folded {
            Ok((log, folded)) if log == folded => {
                self.log_pages.store(0, Ordering::Relaxed);
                self.news.log(0);
                limits::CHECKPOINT_PAGES
            }
            // A reader holds it back: no use trying again before there is as much again.
            Ok((log, _)) => log.saturating_add(limits::CHECKPOINT_PAGES),
            Err(error) => {
                tracing::warn!(%error, "the log could not be folded back");
                pages.saturating_add(limits::CHECKPOINT_PAGES)
            }
        });
    }

    /// The end without order: nothing more is written.
    pub(super) fn let_go(&mut self) -> Result<(), StoreError> {
        (self.conn, self.beside) = (None, None);
        Ok(())
    }

    /// The end in good order: marks it, folds the log back whole, closes. Of a store that is not in order the next start has to make
    /// sure, so it is not marked.
    pub(super) fn end(&mut self) -> Result<(), StoreError> {
        if matches!(self.news.troubled(), Some(Trouble::Damaged(_) | Trouble::Moved)) {
            return self.let_go();
        }
        // The last connection that is closed takes the log away.
        self.beside = None;
        let Some(conn) = self.conn.take() else { return Ok(()) };
        if self.place.is_none() {
            return Ok(());
        }
        // A reader that holds the log back does not hold up the end: the next start reads the log.
        conn.busy_timeout(limits::LOCK_WAIT_AT_END)?;
        conn.execute("UPDATE m_store SET clean = 1", ())?;
        conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
        conn.close().map_err(|(_, error)| error.into())
    }
}

#[cfg(test)]
mod tests;
