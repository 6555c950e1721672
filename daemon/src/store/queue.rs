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
    closed: Option<End>,
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
    filled: Condvar,
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
        drop(waiting);
        self.filled.notify_one();
        Ok(())
    }

    /// The next group: whatever is there, at once; waits only where nothing is. None: closed, and everything was taken.
    pub(super) fn take(&self) -> Option<Vec<Box<dyn Job>>> {
        let mut waiting = self.lock();
        loop {
            let count = waiting.interactive.len().min(limits::GROUP_MAX);
            let mut group: Vec<_> = waiting.interactive.drain(..count).collect();
            let batch_before = std::mem::replace(&mut waiting.batch_before, false);
            if (group.is_empty() || !batch_before)
                && let Some(batch) = waiting.background.pop_front()
            {
                waiting.batch_before = true;
                group.push(batch);
            }
            if !group.is_empty() {
                return Some(group);
            }
            if waiting.closed.is_some() {
                return None;
            }
            waiting = self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        let waiting = self.lock();
        waiting.interactive.is_empty() && waiting.background.is_empty()
    }

    /// Takes no more; what is there is still done.
    pub(super) fn close(&self, well: bool) {
        self.lock().closed.get_or_insert(if well { End::Well } else { End::Abandoned });
        self.filled.notify_all();
    }

    /// Whether it was closed in good order, not merely forgotten.
    pub(super) fn ends_well(&self) -> bool {
        self.lock().closed == Some(End::Well)
    }
}
