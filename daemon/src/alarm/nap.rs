//! Owns: one timer of the system, which wakes us when its time is over and not before. Must never know: what is due then.
//!
//! A timer of tokio lies in wheels of 64 places each: one that is half a minute away wakes the process when it moves to a smaller wheel, and
//! again, and again when it is over. That is most of what a daemon does that has nothing to do.

use std::time::Duration;

#[cfg(target_os = "linux")]
use std::{io, os::fd::OwnedFd};

#[cfg(target_os = "linux")]
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
#[cfg(target_os = "linux")]
use tokio::io::unix::AsyncFd;

/// The timer. One sleep at a time.
pub(super) struct Nap {
    /// None: the system has none to give, and tokio's takes its place.
    #[cfg(target_os = "linux")]
    timer: Option<AsyncFd<OwnedFd>>,
}

impl Nap {
    /// Needs a tokio runtime around it.
    pub(super) fn new() -> Self {
        #[cfg(target_os = "linux")]
        return Self { timer: timer().inspect_err(|error| tracing::debug!(%error, "no timer of the system")).ok() };
        #[cfg(not(target_os = "linux"))]
        Self {}
    }

    /// Sleeps that long, by a clock that goes on while the machine sleeps, where there is one. Dropped before: the next sleep is as if
    /// there had been none.
    pub(super) async fn sleep(&self, how_long: Duration) {
        #[cfg(target_os = "linux")]
        if let Some(timer) = &self.timer
            && over(timer, how_long).await.inspect_err(|error| tracing::debug!(%error, "the timer of the system")).is_ok()
        {
            return;
        }
        tokio::time::sleep(how_long).await;
    }
}

#[cfg(target_os = "linux")]
fn timer() -> io::Result<AsyncFd<OwnedFd>> {
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    #[expect(
        deprecated,
        reason = "the way that takes its place is unsafe code; an OwnedFd has one descriptor, its own, till it is dropped"
    )]
    AsyncFd::with_interest(timer, tokio::io::Interest::READABLE)
}

/// Sets the timer and waits until its time is over.
#[cfg(target_os = "linux")]
async fn over(timer: &AsyncFd<OwnedFd>, how_long: Duration) -> io::Result<()> {
    // No time at all would switch it off.
    let how_long = how_long.max(Duration::from_nanos(1));
    let seconds = i64::try_from(how_long.as_secs()).unwrap_or(i64::MAX);
    let it_value = Timespec { tv_sec: seconds, tv_nsec: how_long.subsec_nanos().into() };
    let once = Timespec { tv_sec: 0, tv_nsec: 0 };
    // What an earlier sleep left unread is forgotten with this.
    timerfd_settime(timer.get_ref(), TimerfdTimerFlags::empty(), &Itimerspec { it_interval: once, it_value })?;
    loop {
        let mut ready = timer.readable().await?;
        let mut times = [0; 8];
        // Else it was ready for an earlier sleep.
        if let Ok(read) = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut times)?)) {
            return read.map(|_| ());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Stopwatch;

    #[tokio::test]
    async fn it_sleeps_as_long_as_it_is_told_whatever_was_before() {
        let nap = Nap::new();
        #[cfg(target_os = "linux")]
        assert!(nap.timer.is_some(), "this system has such timers");
        for ms in [0, 1, 30, 0, 30] {
            let watch = Stopwatch::start();
            // One that is given up when it is nearly over, or is over unheard.
            for short in [Duration::from_millis(2), Duration::from_secs(3_600)] {
                tokio::select! {
                    biased;
                    () = nap.sleep(short) => {}
                    () = tokio::time::sleep(Duration::from_millis(3)) => {}
                }
            }
            // The sleep itself is what is tested.
            let how_long = Duration::from_millis(ms);
            nap.sleep(how_long).await;
            assert!(watch.elapsed() >= how_long, "{ms} ms took {:?}", watch.elapsed());
        }
    }
}
