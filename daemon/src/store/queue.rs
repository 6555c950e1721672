//! Owns: what waits for the writer, in two classes, and its bounds. Must never know: what the jobs do.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{hand::Job, limits};

/// How urgent a write is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Somebody waits: an app, a person.
    Interactive,
    /// A batch of a run, or housekeeping: at most one in a group, after the interactive ones, and none in the group after that while
    /// somebody waits. So an interactive write waits for one batch at most: the one it finds under way.
    Background,
}

/// Why a job was not taken.
#[derive(Debug)]
pub(super) enum NotTaken {
    Full,
    Closed,
}

#[derive(Default)]
struct Waiting {
    interactive: VecDeque<Box<dyn Job>>,
    background: VecDeque<Box<dyn Job>>,
    /// The last group had a background job.
    batch_before: bool,
    /// The writer's thread has something to do.
    called: bool,
    /// Batches wait until the log is folded back: it shall not grow faster than that.
    folds: bool,
    closed: Option<End>,
}

impl Waiting {
    fn takes_batches(&self) -> bool {
        !self.folds || self.closed.is_some()
    }

    /// Whether nothing is there that may be done now.
    fn is_empty(&self) -> bool {
        self.interactive.is_empty() && (self.background.is_empty() || !self.takes_batches())
    }

    fn group(&mut self) -> Vec<Box<dyn Job>> {
        let count = self.interactive.len().min(limits::GROUP_MAX);
        self.interactive.drain(..count).collect()
    }
}

/// How it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Well,
    Abandoned,
}

/// The queue between all threads and the writer.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    call: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock; were it so, the queue would still be whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, class: Class, job: Box<dyn Job>) -> Result<(), NotTaken> {
        let mut waiting = self.lock();
        if waiting.closed.is_some() {
            return Err(NotTaken::Closed);
        }
        let (line, most) = match class {
            Class::Interactive => (&mut waiting.interactive, limits::INTERACTIVE_MAX),
            Class::Background => (&mut waiting.background, limits::BACKGROUND_MAX),
        };
        if line.len() >= most {
            return Err(NotTaken::Full);
        }
        line.push_back(job);
        Ok(())
    }

    /// Calls the writer's thread: there is something to do that nobody else does.
    pub(super) fn call(&self) {
        self.lock().called = true;
        self.call.notify_one();
    }

    /// Waits until the writer's thread is called, or the queue closed; false: it is closed, and everything was taken.
    pub(super) fn called(&self) -> bool {
        let mut waiting = self.lock();
        while !std::mem::take(&mut waiting.called) {
            if waiting.closed.is_some() {
                return !waiting.is_empty();
            }
            waiting = self.call.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// The next group: whatever is there. None: nothing is.
    pub(super) fn take(&self) -> Option<Vec<Box<dyn Job>>> {
        let mut waiting = self.lock();
        let mut group = waiting.group();
        let batch_before = std::mem::replace(&mut waiting.batch_before, false);
        if waiting.takes_batches()
            && (group.is_empty() || !batch_before)
            && let Some(batch) = waiting.background.pop_front()
        {
            waiting.batch_before = true;
            group.push(batch);
        }
        (!group.is_empty()).then_some(group)
    }

    /// As [`Queue::take`], of what somebody waits for alone.
    pub(super) fn take_interactive(&self) -> Option<Vec<Box<dyn Job>>> {
        let group = self.lock().group();
        (!group.is_empty()).then_some(group)
    }

    /// Whether somebody waits, not only a run.
    pub(super) fn has_interactive(&self) -> bool {
        !self.lock().interactive.is_empty()
    }

    /// Batches wait from now on.
    pub(super) fn folds(&self) {
        self.lock().folds = true;
    }

    /// They go on.
    pub(super) fn has_folded(&self) {
        self.lock().folds = false;
        self.call();
    }

    /// Whether nothing waits that may be done now.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Takes no more; what is there is still done.
    pub(super) fn close(&self, well: bool) {
        self.lock().closed.get_or_insert(if well { End::Well } else { End::Abandoned });
        self.call.notify_all();
    }

    /// Whether it was closed in good order, not merely forgotten.
    pub(super) fn ends_well(&self) -> bool {
        self.lock().closed == Some(End::Well)
    }
}
