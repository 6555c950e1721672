//! Owns: the watch over the schedule: since when a sync that is due by itself has not run. Must never know: why, or how long is too long.

use std::{collections::VecDeque, time::Duration};

use super::{Job, Last};
use crate::{limits::SLEEP_MAX, time::Timestamp};

/// When nothing could run, for whoever counts silence: the machine slept or was off, its clock was set, or runs were stopped. Whoever looks again
/// and again has looked [`SLEEP_MAX`] ago: where it is much longer, nobody was there to begin anything meanwhile.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    looked: Option<Timestamp>,
    away: VecDeque<(Timestamp, Timestamp)>,
}

/// Looks may be late by a little: a machine that is busy is no machine that slept.
const GAP: Duration = Duration::from_secs(4 * SLEEP_MAX.as_secs());
/// Times away that are remembered; of more, the oldest two become one, with what lies between: rather a warning too late than a false one.
const AWAY_MAX: usize = 256;

impl Watch {
    /// A look; `may`: runs are accepted.
    pub fn looks(&mut self, now: Timestamp, may: bool) {
        let before = self.looked.replace(now);
        match before {
            Some(before) if now < before => self.away.clear(),
            Some(before) if !may || now.since(before) > GAP => match self.away.back_mut() {
                Some((_, until)) if *until == before => *until = now,
                _ => self.away.push_back((before, now)),
            },
            Some(_) | None => {}
        }
        if self.away.len() > AWAY_MAX
            && let (Some((from, _)), Some((second, _))) = (self.away.pop_front(), self.away.front_mut())
        {
            *second = from;
        }
    }

    /// How long something that is due since then could have run, and did not.
    #[must_use]
    pub fn silence(&self, since: Timestamp, now: Timestamp) -> Duration {
        let away = self.away.iter().map(|(from, until)| (*until).min(now).since((*from).max(since)));
        now.since(since).saturating_sub(away.sum())
    }
}

impl Job {
    /// Since when it is due by its interval or its cron expression and has not come to an end; of one that runs, since when it does. What
    /// lies ahead is not over yet. None: nothing makes it due by itself, a person paused it, or it fails, which is told as such.
    #[must_use]
    pub fn overdue_since(&self) -> Option<Timestamp> {
        // Before, nobody was there to begin it, or a person had paused it.
        let since = |at: Timestamp| [self.up, self.able].into_iter().flatten().fold(at, Timestamp::max);
        if let (Some(next), None, false) = (self.next, &self.running, self.paused) {
            return Some(since(next));
        }
        let interval = self.own_interval();
        // Who asks of one that runs on demand, or more often than by itself, is told how old what they read is.
        if self.paused || self.plan.on_demand || (interval.is_none() && self.plan.cron.is_none()) {
            return None;
        }
        if let Some(running) = &self.running {
            return Some(running.began);
        }
        match self.last {
            Last::Never => Some(since(self.plan.initial_delay.map_or(self.since, |delay| self.since.plus(delay)))),
            Last::Failed { .. } => None,
            Last::Stopped { began, reason } if reason.due_again() => Some(since(began)),
            Last::Done { began } | Last::Stopped { began, .. } => {
                let timer = interval.map(|interval| interval.moment(began, self.plan.spread));
                timer.into_iter().chain(self.ring.map(|(_, rings)| rings)).min().map(since)
            }
        }
    }
}
