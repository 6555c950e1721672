//! Owns: the bugs that can be switched on to see whether the tests find them. Never in a release: without the feature `planted`
//! every question is answered no, and the compiler removes it.
//! Must never know: what a bug breaks.

/// Every bug that can be planted, by name.
pub const ALL: &[&str] = &[
    // mingle: with no base, what theirs lacks is taken from the truth.
    "absence clears without a base",
    // mingle: a union does not look at the base, so what was removed comes back.
    "union is plain",
    // mingle: a property under an open conflict clashes again at each meeting.
    "manual not frozen",
    // meeting: what was sent is not looked at again, as if it had been kept in memory and the process had died.
    "sent in memory only",
    // meeting: the same stamp is taken for the same content.
    "echo by coarse stamp",
    // meeting: a row with a revision that the link has left is believed without asking.
    "old revision believed",
    // meeting: a property under an open conflict is sent with the next upload.
    "open manual conflict uploaded",
    // meeting: the answer's own form of the record is not read.
    "answer body ignored",
    // run: the next listing starts at the watermark itself.
    "overlap 0",
    // run: the server's clock alone is the watermark.
    "Date as watermark",
    // run: a batch saves the position after its page.
    "stop saves the next page's cursor",
    // store: who writes is answered before the commit (found by the kill loop, with real processes).
    "ack before commit",
    // schedule: only a sync with itself does not overlap, not two that share a replica and a collection.
    "overlap by name only",
    // schedule: who asks while a run is on is forgotten.
    "request lost while running",
    // schedule: a request skips a server's own wait.
    "request passes retry-after",
    // schedule: after the clock was set back, waits last until the old time comes again.
    "clock set back is waited out",
    // store: a cursor of another instance is taken for one of this.
    "cursor without instance",
    // store: a cursor from below the highest purged seq is taken for a good one.
    "purge without horizon",
    // store: the cursors of a first reading are not told from cursors that missed tombstones.
    "first reading unmarked",
    // store: who had a record does not hear of its end if it came back in between.
    "end hidden by a return",
    // store: tombstones are thrown away before their time.
    "tombstone purged at once",
    // store: the first change after "the same" leaves no agreed copy.
    "agreed copy not left",
    // store: an op's answer is not kept.
    "op forgotten",
];

/// Whether this bug is planted.
#[cfg(not(feature = "planted"))]
#[must_use]
#[inline(always)]
pub const fn is(_name: &str) -> bool {
    false
}

#[cfg(feature = "planted")]
pub use on::{is, set, set_here};

#[cfg(feature = "planted")]
mod on {
    use std::{
        cell::Cell,
        sync::atomic::{AtomicUsize, Ordering},
    };

    use super::ALL;

    /// Its place in `ALL` plus one; 0: none. Of the whole process, for tests that have the process to themselves.
    static EVERYWHERE: AtomicUsize = AtomicUsize::new(0);

    thread_local! {
        /// Of this thread, for tests that run beside others.
        static HERE: Cell<usize> = const { Cell::new(0) };
    }

    /// Whether this bug is planted, here or everywhere.
    ///
    /// # Panics
    /// On a name that `ALL` does not have.
    #[must_use]
    pub fn is(name: &str) -> bool {
        let place = place(Some(name));
        HERE.get() == place || EVERYWHERE.load(Ordering::Relaxed) == place
    }

    /// Plants one bug in the whole process, in place of the one before; none: all is well again.
    pub fn set(name: Option<&str>) {
        EVERYWHERE.store(place(name), Ordering::Relaxed);
    }

    /// Plants one bug in this thread, in place of the one before; none: all is well again.
    pub fn set_here(name: Option<&str>) {
        HERE.set(place(name));
    }

    fn place(name: Option<&str>) -> usize {
        name.map_or(0, |name| 1 + ALL.iter().position(|one| *one == name).expect("a planted bug stands in planted::ALL"))
    }
}
