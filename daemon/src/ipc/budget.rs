//! Owns: how much memory the buffers of all connections may hold together. Must never know: what is in them.
//!
//! Each connection alone is bounded, but hundreds at their bound are too many. Past the budget no call is taken and no line read, by
//! anybody; who has held a large share for long loses its connection, and then everybody goes on.

#![expect(clippy::disallowed_methods, reason = "how long a peer may hold memory is counted where it is held")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

/// What an idle connection may keep of a buffer; no share of the budget.
pub(super) const KEPT_BYTES_MAX: usize = 64 << 10;

/// The budget of all connections of a socket.
#[derive(Debug)]
pub(super) struct Budget {
    max: usize,
    held: AtomicUsize,
}

impl Budget {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, held: AtomicUsize::new(0) })
    }

    /// Bytes held beyond what idle connections keep.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Whether it is used up.
    pub(super) fn pressed(&self) -> bool {
        self.held() >= self.max
    }
}

/// One connection's share.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    mine: usize,
    since: Instant,
}

impl Share {
    pub(super) fn of(budget: Arc<Budget>) -> Self {
        Self { budget, mine: 0, since: Instant::now() }
    }

    /// So many bytes these buffers have now.
    pub(super) fn note(&mut self, input: usize, output: usize) {
        let now = input.saturating_sub(KEPT_BYTES_MAX) + output.saturating_sub(KEPT_BYTES_MAX);
        if now == self.mine {
            return;
        }
        if self.mine == 0 {
            self.since = Instant::now();
        }
        // Wrapping is how an atomic number goes down; the sum itself never falls below nothing.
        self.budget.held.fetch_add(now.wrapping_sub(self.mine), Ordering::Relaxed);
        self.mine = now;
    }

    /// Whether it has been holding a share for so long.
    pub(super) fn older_than(&self, age: Duration) -> bool {
        self.mine > 0 && self.since.elapsed() > age
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.note(0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_are_given_back() {
        let budget = Budget::new(1_000);
        let (mut one, mut other) = (Share::of(budget.clone()), Share::of(budget.clone()));
        one.note(KEPT_BYTES_MAX, 10);
        assert_eq!((budget.held(), budget.pressed()), (0, false), "what an idle one keeps is no share");
        one.note(KEPT_BYTES_MAX + 600, 0);
        other.note(0, KEPT_BYTES_MAX + 500);
        assert_eq!((budget.held(), budget.pressed()), (1_100, true));
        one.note(KEPT_BYTES_MAX + 100, 0);
        assert_eq!(budget.held(), 600);
        assert!(!one.older_than(Duration::from_secs(3_600)));
        assert!(one.older_than(Duration::ZERO), "its age counts from the first byte");
        one.note(0, 0);
        assert!(!one.older_than(Duration::ZERO), "who holds nothing has no age");
        drop(other);
        assert_eq!(budget.held(), 0);
    }
}
