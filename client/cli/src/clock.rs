//! Owns: the one place of the command that reads time, and that sleeps. Must never know: what for.

#![expect(clippy::disallowed_methods, reason = "this is the one place of the command that reads the clock and pauses")]

use std::{
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// The wall clock, for `2 h ago`.
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// Sleeps for so long: between two looks for a daemon that went away, or for a file.
pub fn pause(span: Duration) {
    thread::sleep(span);
}

/// An end of waiting, or none.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// So far from now; None: never.
    pub fn after(span: Option<Duration>) -> Self {
        // A time beyond what the clock can say is never.
        Self(span.and_then(|span| Instant::now().checked_add(span)))
    }

    /// What is left, at most so much.
    pub fn left(self, at_most: Duration) -> Duration {
        self.0.map_or(at_most, |until| until.saturating_duration_since(Instant::now()).min(at_most))
    }

    /// Whether it is over.
    pub fn passed(self) -> bool {
        self.0.is_some_and(|until| Instant::now() >= until)
    }
}
