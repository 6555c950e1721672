//! Owns: the work that an app does for a sync: what it is called for, what it says, and the order in which its batches are taken. Must never
//! know: who the app is, the wire, what a batch holds.

use std::time::Duration;

use crate::{ask::Refusal, limits, planted};

/// What an app that offered is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// To do this.
    Begin(Task),
    /// This work is not wanted any more: nothing of it is taken from here on.
    Stop(String),
}

/// One piece of work: what a run of a sync asks of the app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its name, never used again.
    pub work: String,
    /// For which sync.
    pub sync: String,
    /// As which remote.
    pub remote: String,
    /// The remote's container.
    pub resource: String,
    /// The last checkpoint that was kept, as JSON; none: everything is wanted.
    pub checkpoint: Option<String>,
    /// The run ends so long after it began; none: at no time.
    pub deadline: Option<Duration>,
}

/// Some of what a work brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Of which work.
    pub work: String,
    /// The first is 1.
    pub number: u64,
    /// Records and deletes, each as JSON.
    pub rows: Vec<String>,
    /// All before it is told, as JSON; none: the last one stands.
    pub checkpoint: Option<String>,
}

/// How a work came out, as the app says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// There was something new, here or elsewhere.
    NewData,
    /// Nothing beyond what the batches changed.
    NoNewData,
    /// It came to nothing.
    Failed {
        /// In its words.
        why: Option<String>,
        /// Not again before so long.
        retry_after: Option<Duration>,
    },
}

/// The batches of one work: they are taken in their order, and none is passed over. Once one is refused none is taken any more, so that no
/// checkpoint is kept whose batch was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batches {
    taken: u64,
    over: bool,
}

impl Batches {
    /// Whether the batch of this number may come now, with so many rows and so many before it that are not used yet.
    ///
    /// # Errors
    /// What is wrong; then the work is over.
    pub fn take(&mut self, number: u64, rows: usize, waiting: usize) -> Result<(), Refusal> {
        let next = self.taken + 1;
        let refusal = if self.over {
            Some(Refusal::WrongState("the work is over: one of its batches was refused".into(), Some(OVER.into())))
        } else if number != next && !planted::is("batch behind a gap taken") {
            let what = format!("batch {number}, and the next one is {next}");
            Some(Refusal::Invalid(what, Some("batches are numbered from 1 in each work; it is over, and asked for again".into())))
        } else if rows > limits::TOLD_ROWS_MAX {
            Some(Refusal::TooLarge(format!(
                "{rows} rows in one batch, and {} are taken; the work is over",
                limits::TOLD_ROWS_MAX
            )))
        } else if waiting >= limits::WORK_BATCHES_MAX {
            let what = format!("{waiting} batches are not answered yet, and no more are taken; the work is over");
            Some(Refusal::TooLarge(what))
        } else {
            None
        };
        if let Some(refusal) = refusal {
            self.over = true;
            return Err(refusal);
        }
        self.taken = number;
        Ok(())
    }

    /// Whether one was refused.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }
}

/// What an app does about a work that is over.
pub const OVER: &str = "wait to be called again: the checkpoint of the next call is the last one that was kept";

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches as `number:rows:waiting`; what becomes of each.
    #[track_caller]
    fn check(batches: &str, expect: &str) {
        let mut taken = Batches::default();
        let one = |text: &str| {
            let parts: Vec<usize> = text.split(':').map(|part| part.parse().unwrap()).collect();
            match taken.take(parts[0] as u64, parts[1], parts[2]) {
                Ok(()) => "taken",
                Err(Refusal::Invalid(..)) => "gap",
                Err(Refusal::TooLarge(_)) => "large",
                Err(Refusal::WrongState(..)) => "over",
                Err(other) => panic!("{other:?}"),
            }
        };
        let said: Vec<&str> = batches.split(' ').map(one).collect();
        assert_eq!(said.join(" "), expect, "{batches}");
    }

    #[test]
    fn batches_are_taken_in_their_order_and_none_after_one_that_was_not() {
        check("1:0:0 2:500:1 3:1:3", "taken taken taken");
        check("2:1:0 1:1:0", "gap over");
        check("1:1:0 3:1:0 2:1:0", "taken gap over");
        check("1:1:0 1:1:0 2:1:0", "taken gap over");
        check("0:1:0", "gap");
        check("1:501:0 2:1:0", "large over");
        check("1:1:0 2:1:4 3:1:0", "taken large over");
    }

    /// The planted bug is found by the table above.
    #[cfg(feature = "planted")]
    #[test]
    fn planted_bugs_are_found() {
        planted::set_here(Some("batch behind a gap taken"));
        let found = std::panic::catch_unwind(batches_are_taken_in_their_order_and_none_after_one_that_was_not).is_err();
        planted::set_here(None);
        assert!(found);
    }
}
