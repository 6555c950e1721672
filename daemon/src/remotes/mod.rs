//! Owns: the trait every remote speaks, the list of kinds, and the wrap around each (secrets, re-reads, time limits).
//! Must never know: the store, the socket, the schedule.
//!
//! A new kind is one file here and one line in [`KINDS`].

use std::{future::Future, pin::Pin};

use mingle_core::replica::{Abilities, Action, Answer, Asked, From, Page, RemoteError};

/// What a call of a remote returns: dropped, it stops at once.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One resource of one service, as one account sees it. Opened anew for each run.
pub trait Remote: Send + Sync {
    /// What it can do.
    fn abilities(&self) -> &Abilities;

    /// Which history of the remote this is, beyond what the settings say: the server's own name for its instance, where it has
    /// one. Also shows that address, resource and credentials are right.
    ///
    /// # Errors
    /// When the remote cannot be reached, refuses us, or is not what its profile says.
    fn greet(&self) -> Pending<'_, Result<Greeting, RemoteError>>;

    /// One page of a listing: `page` is a former page's `next`.
    ///
    /// # Errors
    /// When the page did not come whole and well typed; nothing of it may be used then.
    fn list<'a>(&'a self, from: &'a From, page: Option<&'a str>, rows: usize) -> Pending<'a, Result<Page, RemoteError>>;

    /// One record by its id.
    ///
    /// # Errors
    /// When it cannot be told whether it is there.
    fn get<'a>(&'a self, remote_id: &'a str) -> Pending<'a, Result<Asked, RemoteError>>;

    /// Does one change. Every outcome is an [`Answer`]; what is not known is said to be unknown.
    fn send<'a>(&'a self, action: &'a Action) -> Pending<'a, Answer>;
}

/// What a remote says of itself at the start of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Greeting {
    /// The server's name for its instance or history; empty where it has none.
    pub instance: String,
    /// The server's clock.
    pub server_time: Option<mingle_core::time::Timestamp>,
}
