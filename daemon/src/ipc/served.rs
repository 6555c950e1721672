//! Owns: what serving a call comes to: an answer now, or later. Must never know: how a call is served.

use std::{future::Future, pin::Pin};

use mingle_proto::{Error, Id};

use super::serve::Desk;

/// A call that takes its time.
pub(super) type Work = Pin<Box<dyn Future<Output = Result<Done, Error>> + Send>>;

/// What a call came to that took its time.
pub(super) enum Done {
    /// Its answer, as JSON text.
    Text(String),
    /// What it waited for is there, and it is answered as if it came now: under the grants of now, and within the bounds of all replies.
    Ready(Ready),
}

/// Answers a call that waited: writes to the desk, or says why not.
pub(super) type Ready = Box<dyn FnOnce(&mut Desk, &Id<'_>) -> Result<(), Error> + Send>;

/// What serving a call came to.
pub(super) enum Served {
    /// The answer is written.
    Answered,
    /// It comes later.
    Later {
        /// What is waited for.
        work: Work,
        /// Whether `cancel` may end it: not where it happens all the same.
        cancellable: bool,
    },
}
