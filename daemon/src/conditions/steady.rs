//! Owns: what is made of a world that wavers: what is lost counts at once, what comes back again and again has to last first, and what
//! nobody tells any more is believed for a while. Must never know: where anything was read, the clock.

use std::time::Duration;

use mingle_core::limits::{CONDITION_LASTS_MAX, CONDITION_LASTS_MIN, CONDITION_SILENCE_MAX, CONDITION_WAVERS_WITHIN};

use super::World;

/// The world, steadied. Each moment is how long it has been since the start.
#[derive(Debug, Default)]
pub(super) struct Steady {
    online: Condition,
    metered: Condition,
    charging: Condition,
    battery_low: Condition,
    storage_low: Condition,
    idle: Condition,
}

impl Steady {
    /// What counts, of what is heard now.
    pub(super) fn hear(&mut self, world: World, now: Duration) -> World {
        World {
            sleeps: world.sleeps,
            online: self.online.hear(world.online, true, now),
            metered: self.metered.hear(world.metered, false, now),
            charging: self.charging.hear(world.charging, true, now),
            battery_low: self.battery_low.hear(world.battery_low, false, now),
            storage_low: self.storage_low.hear(world.storage_low, false, now),
            idle: self.idle.hear(world.idle, true, now),
        }
    }

    /// When something that was heard will count; none: all of it does.
    pub(super) fn ripens_at(&self) -> Option<Duration> {
        let Self { online, metered, charging, battery_low, storage_low, idle } = self;
        [online, metered, charging, battery_low, storage_low, idle].into_iter().filter_map(|condition| condition.ripens).min()
    }
}

/// One condition.
#[derive(Clone, Copy, Debug, Default)]
struct Condition {
    /// What was heard of it last.
    heard: Option<bool>,
    /// What counts.
    counts: Option<bool>,
    /// When what was heard counts, where it does not yet.
    ripens: Option<Duration>,
    /// When it came back, after it had been lost.
    back: Option<Duration>,
    /// How often in a row it was lost soon after it had come back.
    wavered: u32,
}

impl Condition {
    /// What counts now; `good`: the value that lets runs go.
    fn hear(&mut self, heard: Option<bool>, good: bool, now: Duration) -> Option<bool> {
        if self.heard != heard {
            self.heard = heard;
            self.ripens = (heard != self.counts).then(|| now + self.has_to_last(good));
        }
        if self.ripens.is_some_and(|at| at <= now) {
            if self.counts == Some(good) && heard == Some(!good) {
                let soon = self.back.is_some_and(|back| now.saturating_sub(back) < CONDITION_WAVERS_WITHIN);
                self.wavered = if soon { self.wavered.saturating_add(1) } else { 0 };
            } else if self.counts == Some(!good) && heard == Some(good) {
                self.back = Some(now);
            }
            (self.counts, self.ripens) = (heard, None);
        }
        self.counts
    }

    /// How long what is heard has to be so before it counts.
    fn has_to_last(&self, good: bool) -> Duration {
        match (self.counts, self.heard) {
            (Some(_), None) => CONDITION_SILENCE_MAX,
            (Some(counted), Some(_)) if counted != good && self.wavered > 0 => {
                let doubled = 1_u32.checked_shl(self.wavered - 1).unwrap_or(u32::MAX);
                CONDITION_LASTS_MIN.saturating_mul(doubled).min(CONDITION_LASTS_MAX)
            }
            _ => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is heard of a network, each at its second, and what counts then: `+` there, `-` not, `?` unknown.
    #[test]
    fn what_wavers_has_to_last_and_silence_is_borne() {
        for (name, told) in [
            ("what is heard first counts at once", "0?? 1++ 2--"),
            ("a loss counts at once, and so does the first return", "0++ 5-- 6++"),
            ("one that is lost soon after it came back has to last 2 s", "0++ 5-- 6++ 10-- 11+- 12+- 13++"),
            ("and twice that the next time", "0++ 5-- 6++ 10-- 11+- 13++ 20-- 21+- 24+- 25++"),
            ("what goes before it has lasted begins anew", "0++ 5-- 6++ 10-- 11+- 12-- 12+- 13+- 14++"),
            ("what stood for a minute is trusted again", "0++ 5-- 6++ 10-- 11+- 13++ 73-- 74++"),
            ("silence is borne for 10 s", "0-- 5?- 14?- 15??"),
            ("and whoever speaks again is heard", "0-- 5?- 9-- 20++ 21?+ 22++ 23--"),
            ("out of silence comes what is heard", "0-- 5?- 15?? 16++"),
        ] {
            let mut condition = Condition::default();
            for step in told.split(' ') {
                let (at, signs) = step.split_at(step.len() - 2);
                let now = Duration::from_secs(at.parse().unwrap());
                let values: Vec<Option<bool>> = signs.chars().map(|sign| (sign != '?').then_some(sign == '+')).collect();
                assert_eq!(condition.hear(values[0], true, now), values[1], "{name}: {step}");
            }
        }
    }

    #[test]
    fn no_condition_waits_longer_than_five_minutes_and_the_next_look_is_named() {
        let mut steady = Steady::default();
        let world = |online| World { online: Some(online), ..World::default() };
        let mut now = Duration::ZERO;
        steady.hear(world(true), now);
        for _ in 0..200 {
            now += Duration::from_secs(1);
            assert_eq!(steady.hear(world(false), now), world(false));
            now += Duration::from_secs(1);
            steady.hear(world(true), now);
            if let Some(at) = steady.ripens_at() {
                assert!(at > now && at <= now + CONDITION_LASTS_MAX);
                assert_eq!(steady.hear(world(true), at - Duration::from_millis(1)), world(false));
                assert_eq!(steady.hear(world(true), at), world(true), "not at the moment that was named");
                now = at;
            }
        }
        assert_eq!(steady.online.has_to_last(true), Duration::ZERO, "it counts");
        assert_eq!(steady.hear(world(false), now + Duration::from_secs(1)), world(false));
        steady.hear(world(true), now + Duration::from_secs(2));
        assert_eq!(steady.ripens_at(), Some(now + Duration::from_secs(2) + CONDITION_LASTS_MAX));
    }
}
