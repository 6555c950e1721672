//! Owns: one piece of work that an app does for a sync, and the numbers of its batches. Must never know: sockets, what a batch holds.

use std::{collections::VecDeque, time::Duration};

use mingle_proto::{
    Raw,
    call::{RunResult, WorkerBatch, WorkerDone},
    event,
};

use crate::talk::Heard;

/// One piece of work. It has to be ended: with [`Work::done`] or [`Work::failed`].
#[derive(Clone, Debug)]
#[must_use = "say how it came out, or its run waits for that until it is out of time"]
pub struct Work {
    about: event::Work,
    batches: u64,
}

impl Work {
    /// What it is about: sync, remote, resource, the checkpoint from which it goes on.
    #[must_use]
    pub const fn about(&self) -> &event::Work {
        &self.about
    }

    /// Its next batch: records `{id, data}` and deletes `{id, deleted: true}`, up to 500, and where all before is told.
    pub fn batch(&mut self, rows: Vec<Raw>, checkpoint: Option<Raw>) -> WorkerBatch {
        self.batches += 1;
        WorkerBatch { work: self.about.work.clone(), batch: self.batches, rows, checkpoint }
    }

    /// It is done. `news`: there was something new beyond what the batches changed.
    #[must_use]
    pub fn done(self, news: bool) -> WorkerDone {
        let result = if news { RunResult::NewData } else { RunResult::NoNewData };
        WorkerDone { work: self.about.work, result, error: None, retry_after_ms: None }
    }

    /// It came to nothing, and is tried again later, not before `retry_after`.
    #[must_use]
    pub fn failed(self, error: impl Into<String>, retry_after: Option<Duration>) -> WorkerDone {
        let retry_after_ms = retry_after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
        WorkerDone { work: self.about.work, result: RunResult::Failed, error: Some(error.into()), retry_after_ms }
    }
}

/// The work that an app was called for and has not begun.
#[derive(Clone, Debug, Default)]
pub struct Waiting(VecDeque<Work>);

impl Waiting {
    /// Takes what was heard. What was stopped before it was begun is no work any more.
    pub fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Work(about) => self.0.push_back(Work { about, batches: 0 }),
            Heard::WorkStop(stop) => self.0.retain(|work| work.about.work != stop.work),
            Heard::Answer { .. } | Heard::Changed(_) | Heard::Event(_) => {}
        }
    }

    /// The next; none: nothing is to be done.
    pub fn take(&mut self) -> Option<Work> {
        self.0.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_are_numbered_and_what_was_stopped_is_not_begun() {
        let heard = |work: &str| Heard::Work(event::Work { work: work.into(), ..event::Work::default() });
        let mut waiting = Waiting::default();
        ["k-1", "k-2", "k-3"].into_iter().for_each(|work| waiting.hear(heard(work)));
        waiting.hear(Heard::WorkStop(event::WorkStop { work: "k-2".into() }));
        let mut work = waiting.take().expect("the first");
        assert_eq!([work.batch(Vec::new(), None).batch, work.batch(Vec::new(), None).batch], [1, 2]);
        assert_eq!(work.done(true).result, RunResult::NewData);
        let work = waiting.take().expect("the last");
        assert_eq!(work.about().work, "k-3");
        let failed = work.failed("locked", Some(Duration::from_secs(1)));
        assert_eq!(
            (failed.result, failed.error.as_deref(), failed.retry_after_ms),
            (RunResult::Failed, Some("locked"), Some(1000))
        );
        assert!(waiting.take().is_none());
    }
}
