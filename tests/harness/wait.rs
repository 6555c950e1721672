//! Owns: waiting for a condition, with a deadline. Must never know: which condition.

use std::time::{Duration, Instant};

/// Long enough for whatever a busy machine does in between; a condition that takes longer does not come.
pub const LONG: Duration = Duration::from_secs(60);

/// Looks until there is something, within [`LONG`].
///
/// # Panics
/// When there is nothing by then.
#[track_caller]
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(what, LONG, look)
}

/// Looks until there is something.
///
/// # Panics
/// When there is nothing by then.
#[track_caller]
pub fn until_within<T>(what: &str, within: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {within:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Lets a time pass that is itself what is tested.
pub fn pass(time: Duration) {
    // Nothing can be waited for: that nothing happens in this time is what is to be seen.
    std::thread::sleep(time);
}

/// A watch that runs.
#[derive(Clone, Copy, Debug)]
pub struct Watch(Instant);

impl Watch {
    /// From now on.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// So long.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Figures of one kind, and what to say of them.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub fn note(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The figure that this share of all does not pass; zero where there is none.
    #[must_use]
    pub fn share(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
        sorted.get(at).copied().unwrap_or_default()
    }

    /// How many took longer.
    #[must_use]
    pub fn over(&self, limit: Duration) -> u64 {
        self.0.iter().filter(|time| **time > limit).count() as u64
    }

    /// For people: the middle, the slow ones, the slowest.
    #[must_use]
    pub fn told(&self) -> String {
        let ms = |percent| self.share(percent).as_secs_f64() * 1000.0;
        format!("n {} p50 {:.1} ms p99 {:.1} ms max {:.1} ms", self.len(), ms(50), ms(99), ms(100))
    }
}
