//! Owns: whose turn it is to write: the one hand, taken by whoever waits for a write or by the writer's thread, one at a time; and
//! when the log is folded back beside it.
//! Must never know: what is written, and how.
//!
//! A write that goes to another thread and back costs two wake-ups, which together take longer than the disk does. So a task that
//! waits for its write does it itself, with whatever else has queued, when nobody is writing; whoever finds the hand taken waits
//! for its answer: who holds the hand looks at the queue again after letting go.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::{
    error::StoreError,
    fold::Fold,
    hand::{Hand, Job},
    queue::{Class, NotTaken, Queue},
};

/// The queue, and the hand that empties it.
pub(super) struct Turns {
    queue: Queue,
    hand: Mutex<Hand>,
    /// How many interactive writes were asked for.
    asked: AtomicU64,
}

thread_local! {
    /// This thread holds the hand.
    static WRITES: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is writing just now.
pub(super) fn is_writing() -> bool {
    WRITES.get()
}

impl Turns {
    pub(super) fn new(hand: Hand) -> Self {
        Self { queue: Queue::default(), hand: Mutex::new(hand), asked: AtomicU64::new(0) }
    }

    /// Queues a job that the writer's thread does.
    pub(super) fn put(&self, class: Class, job: Box<dyn Job>) -> Result<(), NotTaken> {
        self.queue.put(class, job)?;
        self.queue.call();
        Ok(())
    }

    /// Queues an interactive job that the caller does itself, by [`Turn::take`], or leaves to the writer's thread.
    pub(super) fn put_own(self: &Arc<Self>, job: Box<dyn Job>) -> Result<Turn, NotTaken> {
        self.queue.put(Class::Interactive, job)?;
        self.asked.fetch_add(1, Ordering::Relaxed);
        Ok(Turn(Some(Arc::clone(self))))
    }

    /// What the writer's thread does, until the queue is closed and empty.
    pub(super) fn work(&self) -> Result<(), StoreError> {
        let (lend, lent) = mpsc::sync_channel(1);
        std::thread::scope(|scope| {
            // Without a thread that takes it, the log is folded back here.
            let _ = std::thread::Builder::new().name("folder".into()).spawn_scoped(scope, move || self.fold(&lent));
            while self.queue.called() {
                self.do_all(&lend);
            }
            drop(lend);
        });
        let mut hand = self.held();
        if self.queue.ends_well() { hand.end() } else { hand.let_go() }
    }

    fn do_all(&self, lend: &SyncSender<Fold>) {
        loop {
            let mut hand = self.held();
            while let Some(group) = self.queue.take() {
                write(&mut hand, group);
                self.look_at_the_log(&mut hand, lend);
            }
            self.look_at_the_log(&mut hand, lend);
            drop(hand);
            // What came meanwhile found the hand taken.
            if self.queue.is_empty() {
                return;
            }
        }
    }

    fn look_at_the_log(&self, hand: &mut Hand, lend: &SyncSender<Fold>) {
        if !hand.is_untidy() {
            return;
        }
        let Some(fold) = hand.lend() else { return hand.tidy(None) };
        self.queue.folds();
        if let Err(TrySendError::Full(fold) | TrySendError::Disconnected(fold)) = lend.try_send(fold) {
            hand.tidy(Some(fold));
            self.queue.has_folded();
        }
    }

    /// What the folder's thread does, until nothing is lent any more: apps write meanwhile, and only the rest of the log keeps them waiting.
    fn fold(&self, lent: &Receiver<Fold>) {
        for fold in lent {
            let fold = fold.run();
            self.held().tidy(fold);
            // What came meanwhile found the hand taken.
            self.queue.has_folded();
        }
    }

    fn held(&self) -> MutexGuard<'_, Hand> {
        // Jobs that panic are caught inside; were it otherwise, the hand makes its connection anew.
        self.hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what waits, if nobody else is at it; whether more came meanwhile.
    fn help(&self) -> bool {
        let mut hand = match self.hand.try_lock() {
            Ok(hand) => hand,
            Err(TryLockError::Poisoned(hand)) => hand.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        if let Some(group) = self.queue.take_interactive() {
            write(&mut hand, group);
        }
        let untidy = hand.is_untidy();
        drop(hand);
        // What folds the log back is lent by the writer's thread.
        if untidy {
            self.queue.call();
        }
        !untidy && self.queue.has_interactive()
    }

    /// See [`Hand::stand`]; whoever has the hand has looked.
    pub(super) fn look_for_files(&self) {
        if let Ok(mut hand) = self.hand.try_lock() {
            // What is wrong is told by the hand itself.
            let _ = hand.stand();
        }
    }

    /// How many writes were asked for until now by who waits for them.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    /// Takes no more; what is there is still done.
    pub(super) fn close(&self, well: bool) {
        self.queue.close(well);
    }
}

fn write(hand: &mut Hand, group: Vec<Box<dyn Job>>) {
    WRITES.set(true);
    hand.group(group);
    WRITES.set(false);
}

/// The right to do a queued job oneself. Dropped, the writer's thread does it.
pub(super) struct Turn(Option<Arc<Turns>>);

impl Turn {
    /// Does the job, and what else waits; or it is under way already.
    pub(super) async fn take(mut self) {
        // The sockets must be looked after while the disk is waited for: only where another thread can step in.
        let steps_in = Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
        if !steps_in {
            return;
        }
        // What has arrived already is read first, and shares the commit: no wait, only an order.
        tokio::task::yield_now().await;
        if let Some(turns) = self.0.take() {
            look_after_the_sockets();
            if turns.help() {
                tokio::spawn(go_on(Turn(Some(turns))));
            }
        }
    }
}

/// Does what came while the hand was taken: who brought it waits for somebody else's doing, and one's own answer leaves first.
async fn go_on(mut turn: Turn) {
    loop {
        tokio::task::yield_now().await;
        look_after_the_sockets();
        if !turn.0.as_ref().is_some_and(|turns| turns.help()) {
            turn.0 = None;
            return;
        }
    }
}

/// Gets another thread of the runtime up: it looks after the sockets while this one waits for the disk. One task would stay with
/// this thread, to be done next; of two, the first is there to be taken, and somebody is woken to take it.
fn look_after_the_sockets() {
    tokio::spawn(async {});
    tokio::spawn(async {});
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.queue.call();
        }
    }
}

#[cfg(test)]
mod tests;
