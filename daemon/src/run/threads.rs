//! Owns: the threads of the process: those that serve apps, and beside them one on which runs go. Must never know: what they do.

use std::io;

use mingle_core::limits;
use tokio::runtime::{Builder, Runtime};

/// How much less than whoever serves apps a run's thread is to get of a processor that both want. Elsewhere the number belongs to the
/// whole process.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// For apps, the loop and the clocks.
///
/// # Errors
/// What the system says.
pub fn near() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(limits::BLOCKING_THREADS_MAX)
        .thread_name("mingled")
        .enable_all()
        .build()
}

/// For runs: pages are read and met on it, some milliseconds at a time, and an app that asks meanwhile is not to wait for that.
///
/// # Errors
/// What the system says.
pub fn far() -> io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(limits::BLOCKING_THREADS_MAX)
        .thread_name("runs")
        .on_thread_start(step_back)
        .enable_all()
        .build()
}

/// Where the system refuses, it is a thread like the others.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "runs get as much of the processor as apps");
    }
}
