//! Owns: what one connection is told that offered to do work. Must never know: what work there is.

use std::future::pending;

use mingle_core::{limits::WORK_CALLS_MAX, work::Called};
use mingle_proto::message;
use tokio::sync::mpsc;

use super::convert;

/// The offer of a connection; empty: it made none.
#[derive(Debug, Default)]
pub(super) struct Worker(Option<mpsc::Receiver<Called>>);

impl Worker {
    /// Makes an offer; where it is not taken, the one before stands.
    pub(super) fn offers<T, E>(&mut self, take: impl FnOnce(mpsc::Sender<Called>) -> Result<T, E>) -> Result<T, E> {
        let (to, calls) = mpsc::channel(WORK_CALLS_MAX);
        let taken = take(to)?;
        self.0 = Some(calls);
        Ok(taken)
    }

    /// Whether it made an offer.
    pub(super) const fn is_one(&self) -> bool {
        self.0.is_some()
    }

    /// What it is to be told next; for ever where it made no offer. Dropped, it loses nothing.
    pub(super) async fn next(&mut self) -> Called {
        let called = match &mut self.0 {
            Some(calls) => calls.recv().await,
            None => None,
        };
        match called {
            Some(called) => called,
            None => pending().await,
        }
    }
}

/// Appends to `out` what it is told.
pub(super) fn tell(called: Called, out: &mut Vec<u8>) {
    let written = match called {
        Called::Begin(task) => {
            convert::work(task).and_then(|work| message::notification(out, mingle_proto::event::Work::METHOD, &work))
        }
        Called::Stop(work) => {
            let stop = mingle_proto::event::WorkStop { work };
            message::notification(out, mingle_proto::event::WorkStop::METHOD, &stop)
        }
    };
    if let Err(error) = written {
        // Its run ends by its deadline, or when nothing is heard.
        tracing::error!(%error, "an app could not be told of its work");
    }
}
