//! Owns: the plans that syncs of these days have, by chance. Must never know: what comes of them.

use std::time::Duration;

use jiff::tz::TimeZone;
use mingle_core::schedule::{Backoff, Curve, Interval, Plan, Quiet, Spread, cron::Cron};

use super::{DAY, HOUR, MINUTE, World};

/// Rules of zones, written out: no machine's files are needed.
const ZONES: &[&str] = &["UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "EST5EDT,M3.2.0,M11.1.0", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"];
const CRONS: &[&str] = &["30 2 * * *", "0 0 * * *", "15 */4 * * *", "0 9 * * 1-5", "59 1 * * *"];

impl World {
    pub(super) fn cron(&mut self) -> Cron {
        let (expression, zone) = (*self.chance.pick(CRONS), *self.chance.pick(ZONES));
        Cron::parse(expression, TimeZone::posix(zone).expect("a zone")).expect("an expression")
    }

    pub(super) fn plan(&mut self, name: &str, place: u64) -> Plan {
        let cron = self.chance.one_in(2).then(|| self.cron());
        let every = *self.chance.pick(&[15 * MINUTE, HOUR, 6 * HOUR, DAY]);
        let flex = *self.chance.pick(&[0, MINUTE, every / 3, every]);
        let length = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        Plan {
            remote: format!("r{place}").into(),
            resource: "x".into(),
            collection: format!("c{place}"),
            interval: cron.is_none().then_some(Interval { every: length(every), flex: length(flex) }),
            cron,
            on_start: self.chance.one_in(3),
            on_change: self.chance.one_in(3).then(Quiet::default),
            backoff: Backoff {
                curve: if self.chance.one_in(3) { Curve::Linear } else { Curve::Exponential },
                ..Backoff::default()
            },
            spread: Spread::of(self.chance.next(), name),
            ..Plan::default()
        }
    }
}
