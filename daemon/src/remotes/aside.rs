//! Owns: work without a pause that is done beside its run: a stop would wait for it where the processor is taken by others, so it waits for
//! nothing, and what is done in vain gives back what it holds when it is done. Must never know: what is done.

use std::panic::resume_unwind;

/// A body of more bytes is read beside its run: some milliseconds of work.
const READ_ASIDE_BYTES: usize = 128 << 10;

/// Does it beside the run; a panic in it is the run's own.
pub(super) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| resume_unwind(error.into_panic()))
}

/// Reads a body of so many bytes: a large one beside the run.
pub(super) async fn reading<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes > READ_ASIDE_BYTES { aside(work).await } else { work() }
}
