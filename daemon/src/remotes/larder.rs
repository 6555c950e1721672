//! Owns: how much memory the answers of all remotes take together: one large text at a time, and pages up to a sum.
//! Must never know: what an answer is for.
//!
//! Each answer alone is bounded, but several runs read at once, and pages are held until they are applied.

#![expect(
    clippy::disallowed_methods,
    reason = "how long an answer holds its place is measured here, and nothing is decided by the hour"
)]

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mingle_core::limits::{ANSWER_VALUES_BYTES_MAX, LARGE_TIME_MAX, PAGES_VALUES_BYTES_MAX};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// What is counted at once.
const UNIT: usize = 1 << 10;
/// One character of JSON becomes so many bytes of values, at most.
const BYTES_PER_CHARACTER: usize = 128;

/// The place for all answers of the process.
#[derive(Debug)]
pub struct Larder {
    large: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    values: Arc<Semaphore>,
    whole: Arc<Semaphore>,
}

impl Default for Larder {
    fn default() -> Self {
        Self {
            large: Arc::new(Semaphore::new(1)),
            waiting: Arc::default(),
            values: Arc::new(Semaphore::new(PAGES_VALUES_BYTES_MAX / UNIT)),
            whole: Arc::new(Semaphore::new(1)),
        }
    }
}

/// The place of the one large text.
#[derive(Debug)]
pub struct Large {
    since: Instant,
    waiting: Arc<AtomicUsize>,
    _permit: OwnedSemaphorePermit,
}

impl Large {
    /// Whether it was held long enough, and somebody waits for it.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.is_due_after(LARGE_TIME_MAX)
    }

    fn is_due_after(&self, time: Duration) -> bool {
        self.since.elapsed() >= time && self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// Counted as waiting as long as it lives.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The place of one answer's values, and of the whole listing that they end; dropped, both are given back.
#[derive(Debug, Default)]
pub struct Place {
    values: Option<OwnedSemaphorePermit>,
    _whole: Option<Whole>,
}

impl Place {
    /// The same, which holds that of the whole listing too.
    #[must_use]
    pub fn with(self, whole: Option<Whole>) -> Self {
        Self { _whole: whole, ..self }
    }

    /// Gives back what is more than so many bytes.
    pub fn shrink(&mut self, bytes: usize) {
        if let Some(permit) = &mut self.values {
            drop(permit.split(permit.num_permits().saturating_sub(units(bytes))));
        }
    }
}

/// The place of the one listing that is held with all that it shows.
#[derive(Debug)]
pub struct Whole {
    _permit: OwnedSemaphorePermit,
}

/// The places of pages that are not applied yet, in their order.
#[derive(Debug, Default)]
pub struct Pages(Mutex<VecDeque<Place>>);

impl Pages {
    /// A page is listed.
    pub fn listed(&self, place: Place) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(place);
    }

    /// The oldest of them is applied.
    pub fn applied(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    }
}

impl Larder {
    /// Waits for the place of the one large text: whoever came first gets it first.
    pub async fn large(&self) -> Option<Large> {
        let waits = Waits::begin(&self.waiting);
        let permit = Arc::clone(&self.large).acquire_owned().await.ok()?;
        drop(waits);
        Some(Large { since: Instant::now(), waiting: Arc::clone(&self.waiting), _permit: permit })
    }

    /// The place of a listing that is held with all that it shows, where nobody has it. Nobody waits for it: whoever does not get it asks for
    /// some rows at a time.
    #[must_use]
    pub fn whole(&self) -> Option<Whole> {
        Arc::clone(&self.whole).try_acquire_owned().ok().map(|permit| Whole { _permit: permit })
    }

    /// Waits for a place for whatever values a text of this length can become.
    pub async fn place(&self, text_bytes: usize) -> Place {
        let bytes = text_bytes.saturating_mul(BYTES_PER_CHARACTER).min(ANSWER_VALUES_BYTES_MAX);
        let permits = u32::try_from(units(bytes)).unwrap_or(u32::MAX);
        Place { values: Arc::clone(&self.values).acquire_many_owned(permits).await.ok(), _whole: None }
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_large_text_at_a_time_and_the_slow_one_gives_way() {
        let larder = Larder::default();
        let first = larder.large().await.unwrap();
        assert!(!first.is_due_after(Duration::ZERO), "nobody waits");
        let mut second = Box::pin(larder.large());
        assert!((&mut second).now_or_never().is_none());
        assert!(first.is_due_after(Duration::ZERO) && !first.is_due());
        drop(second);
        assert!(!first.is_due_after(Duration::ZERO), "who went away does not wait");
        drop(first);
        assert!(larder.large().now_or_never().is_some());
    }

    #[test]
    fn one_whole_listing_at_a_time_and_nobody_waits_for_it() {
        let larder = Larder::default();
        let first = larder.whole();
        assert!(first.is_some() && larder.whole().is_none());
        drop(first);
        assert!(larder.whole().is_some());
    }

    #[tokio::test]
    async fn pages_have_a_sum() {
        let larder = Larder::default();
        let mut held: Vec<_> = (0..PAGES_VALUES_BYTES_MAX / ANSWER_VALUES_BYTES_MAX)
            .map(|_| larder.place(usize::MAX).now_or_never().expect("there is room"))
            .collect();
        assert!(larder.place(1).now_or_never().is_none(), "it is full");
        held[0].shrink(ANSWER_VALUES_BYTES_MAX - 4 * UNIT);
        assert!(larder.place(8).now_or_never().is_some(), "what was not needed is given back");
        held.clear();
        assert!(larder.place(usize::MAX).now_or_never().is_some());
    }
}
