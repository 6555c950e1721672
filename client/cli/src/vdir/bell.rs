//! Owns: what several threads have to say to the one that acts: the last of each thing, and no queue. Must never know: what is done about it.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::Duration,
};

use crate::exit::Failure;

/// What was heard since it was last looked.
#[derive(Debug, Default)]
pub struct Rung {
    /// Something in the folder.
    pub folder: bool,
    /// Something in the truth.
    pub truth: bool,
    /// The daemon is there, or is not.
    pub there: Option<bool>,
    /// Why it is not.
    pub away: Option<String>,
    /// What makes it useless to go on.
    pub failed: Option<Failure>,
    /// It is to end.
    pub end: bool,
}

impl Rung {
    /// Whether nothing was heard.
    pub fn is_nothing(&self) -> bool {
        matches!(self, Self { folder: false, truth: false, there: None, failed: None, end: false, .. })
    }
}

/// A bell that many ring.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<Rung>,
    heard: Condvar,
}

impl Bell {
    /// Says something.
    pub fn ring(&self, say: impl FnOnce(&mut Rung)) {
        say(&mut self.rung.lock().unwrap_or_else(PoisonError::into_inner));
        self.heard.notify_all();
    }

    /// Waits until something was said, or for so long.
    pub fn wait(&self, at_most: Option<Duration>) -> Rung {
        let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        let mut rung = match at_most {
            None => self.heard.wait_while(rung, |rung| rung.is_nothing()).unwrap_or_else(PoisonError::into_inner),
            Some(span) => {
                let waited = self.heard.wait_timeout_while(rung, span, |rung| rung.is_nothing());
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        std::mem::take(&mut rung)
    }

    /// Waits until nothing was said of the folder for so long, or so often at most; what was said of other things comes along.
    pub fn quiet(&self, mut so_far: Rung, span: Duration, times: u32) -> Rung {
        for _ in 0..times {
            if so_far.end || so_far.failed.is_some() {
                break;
            }
            let rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
            let (mut rung, over) =
                self.heard.wait_timeout_while(rung, span, |rung| rung.is_nothing()).unwrap_or_else(PoisonError::into_inner);
            let more = std::mem::take(&mut *rung);
            so_far.truth |= more.truth;
            so_far.there = more.there.or(so_far.there);
            so_far.away = more.away.or(so_far.away);
            so_far.failed = more.failed.or(so_far.failed);
            so_far.end |= more.end;
            if over.timed_out() {
                break;
            }
        }
        so_far
    }
}
