//! Owns: the arithmetic of due times: intervals, backoff, quiet times, and how hosts are spread.
//! Must never know: what holds a sync that is due.

use std::time::Duration;

use crate::{
    limits::{CATCH_UP_MAX, CLOCK_CORRECTION_MAX},
    planted,
    time::Timestamp,
};

/// A stable number of this host and sync, anywhere between 0 and 1: where in a window its moment lies, so that a fleet does not
/// knock at once, nor come back at once after an outage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread(u64);

impl Spread {
    /// The number of a sync on a host (any number that stays the same there).
    #[must_use]
    pub fn of(host: u64, sync: &str) -> Self {
        // FNV-1a, then a finalizer that lets every bit count: this must be the same in every release, so no library's hasher.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for byte in host.to_le_bytes().into_iter().chain(sync.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self(hash ^ (hash >> 31))
    }

    /// That share of a thousand.
    #[must_use]
    pub fn per_mille(share: u16) -> Self {
        Self(u64::try_from((u128::from(share) << 64) / 1000).unwrap_or(u64::MAX))
    }

    /// Its part of a time.
    pub(super) fn of_a(self, whole: Duration) -> Duration {
        Duration::from_millis(self.part(millis(whole)).unsigned_abs())
    }

    /// Its part of so many milliseconds: below `whole`, or 0.
    fn part(self, whole: i64) -> i64 {
        let part = (u128::from(self.0) * u128::from(whole.unsigned_abs())) >> 64;
        i64::try_from(part).unwrap_or(0)
    }
}

/// Once per `every`, in its last `flex` part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// The interval.
    pub every: Duration,
    /// Its last part, in which the moment lies; the whole interval where it is longer.
    pub flex: Duration,
}

impl Interval {
    /// The moment after a run that began at `began`: in the window `(began + every - flex, began + every]`.
    ///
    /// Inside the window it is the moment that has our phase of the interval, so that runs settle at one a host at its own moment,
    /// `every` apart; where the window misses that (after a late run, with a short flex), the moment with our phase of `flex`.
    #[must_use]
    pub fn moment(&self, began: Timestamp, spread: Spread) -> Timestamp {
        let every = millis(self.every).max(1);
        let flex = millis(self.flex).min(every);
        let closes = began.unix_ms().saturating_add(every);
        if flex == 0 {
            return Timestamp::from_unix_ms(closes);
        }
        let first = closes.saturating_sub(flex).saturating_add(1);
        let in_phase = |step: i64| first.saturating_add(spread.part(step).saturating_sub(first).rem_euclid(step));
        let moment = Some(in_phase(every)).filter(|moment| *moment <= closes).unwrap_or_else(|| in_phase(flex));
        Timestamp::from_unix_ms(moment)
    }
}

/// The interval after a run that brought news or none: half or twice as long as before, between `shortest` and `longest`. Where it does
/// not adapt, as before.
pub(super) fn paced(pace: Duration, news: bool, shortest: Option<Interval>, longest: Option<Duration>) -> Duration {
    let (Some(Interval { every: shortest, .. }), Some(longest)) = (shortest, longest) else { return pace };
    let next = if news { pace / 2 } else { pace.saturating_mul(2) };
    next.clamp(shortest, longest.max(shortest))
}

impl Interval {
    /// The moment of a run that was due before `up`, while nobody was there to begin it: the first of this host's own from then on, and
    /// [`CATCH_UP_MAX`] later at most, so that hosts that start together do not knock together.
    #[must_use]
    pub(super) fn caught_up(&self, up: Timestamp, spread: Spread) -> Timestamp {
        let step = millis(self.every.min(CATCH_UP_MAX)).max(1);
        let up = up.unix_ms();
        Timestamp::from_unix_ms(up.saturating_add(spread.part(step).saturating_sub(up).rem_euclid(step)))
    }
}

/// How the pause after a failure grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Curve {
    /// By `first` each time.
    Linear,
    /// Twice as long each time.
    #[default]
    Exponential,
}

/// The pauses after failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// How they grow.
    pub curve: Curve,
    /// The first.
    pub first: Duration,
    /// The longest.
    pub ceiling: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { curve: Curve::Exponential, first: Duration::from_secs(30), ceiling: Duration::from_secs(5 * 3600) }
    }
}

impl Backoff {
    /// The pause after so many failures in a row: never shorter than the one before, never above the ceiling, and up to half as
    /// long again by the spread, so that hosts that failed together do not come back together.
    #[must_use]
    pub fn pause(&self, failures: u32, spread: Spread) -> Duration {
        let first = millis(self.first).max(1);
        let grown = match self.curve {
            Curve::Linear => first.saturating_mul(i64::from(failures.max(1))),
            Curve::Exponential => {
                first.saturating_mul(1_i64.checked_shl(failures.max(1) - 1).filter(|by| *by > 0).unwrap_or(i64::MAX))
            }
        };
        let ceiling = millis(self.ceiling).max(first);
        let spread_out = grown.saturating_add(spread.part(grown / 2)).min(ceiling);
        Duration::from_millis(spread_out.unsigned_abs())
    }
}

/// A change makes a sync due after a quiet time, with an upper bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    /// So long after the last change.
    pub after: Duration,
    /// And so long after the first at the latest.
    pub at_most: Duration,
}

impl Default for Quiet {
    fn default() -> Self {
        Self { after: Duration::from_secs(2), at_most: Duration::from_secs(30) }
    }
}

/// The end of a wait that began at `since`, or now where that lies ahead: then the clock was set back, and nothing shall wait for the
/// time to come again. What lies ahead by less than the wait itself, and less than [`CLOCK_CORRECTION_MAX`], is the clock put right.
pub(super) fn after(since: Timestamp, until: Timestamp, now: Timestamp) -> Timestamp {
    let slack = until.since(since).min(CLOCK_CORRECTION_MAX);
    let set_back = since > now.plus(slack);
    if set_back && !planted::is("clock set back is waited out") { now } else { until }
}

fn millis(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}
