//! Owns: cron expressions: reading them, and when one rings next in its time zone.
//! Must never know: the clock, where time zones are kept (the edge hands one in).

use std::{fmt, sync::Arc};

use croner::parser::{CronParser, Seconds};
use jiff::tz::TimeZone;

use crate::time::Timestamp;

/// A cron expression in a time zone: five fields, or six with seconds first; `@daily` and the like; where both day of month and
/// day of week are given, either fits, as in crontab.
#[derive(Clone)]
pub struct Cron {
    expression: Arc<croner::Cron>,
    text: Arc<str>,
    zone: TimeZone,
}

impl Cron {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str, zone: TimeZone) -> Result<Self, String> {
        let parser = CronParser::builder().seconds(Seconds::Optional).build();
        let expression = parser.parse(text).map_err(|error| error.to_string())?;
        Ok(Self { expression: Arc::new(expression), text: text.into(), zone })
    }

    /// The expression as written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The first ring after this moment; none: it never rings again. A wall-clock time that daylight saving skips rings at the end of
    /// the gap, one that comes twice rings once.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_millisecond(after.unix_ms()).ok()?.to_zoned(self.zone.clone());
        let next = self.expression.find_next_occurrence(&after, false).ok()?;
        Some(Timestamp::from_unix_ms(next.timestamp().as_millisecond()))
    }
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each rule of a zone is written out, so that no machine's zone files are needed.
    const PARIS: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    const LONDON: &str = "GMT0BST,M3.5.0/1,M10.5.0";
    const UTC: &str = "UTC0";

    fn at(text: &str) -> Timestamp {
        Timestamp::from_unix_ms(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[track_caller]
    fn check(cron: &str, zone: &str, from: &str, rings: &[&str]) {
        let cron = Cron::parse(cron, TimeZone::posix(zone).unwrap()).unwrap();
        let found = std::iter::successors(cron.next_after(at(from)), |ring| cron.next_after(*ring)).take(rings.len());
        let found: Vec<String> =
            found.map(|ring| jiff::Timestamp::from_millisecond(ring.unix_ms()).unwrap().to_string()).collect();
        assert_eq!(found, rings, "{cron:?} in {zone} from {from}");
    }

    #[test]
    fn rings_come_after_the_moment() {
        check("0 3 * * *", UTC, "2026-01-01T00:00:00Z", &["2026-01-01T03:00:00Z", "2026-01-02T03:00:00Z"]);
        check("0 3 * * *", UTC, "2026-01-01T03:00:00Z", &["2026-01-02T03:00:00Z"]);
        check("0 3 * * *", UTC, "2026-01-01T02:59:59.999Z", &["2026-01-01T03:00:00Z"]);
        check("*/20 * * * * *", UTC, "2026-01-01T00:00:01Z", &["2026-01-01T00:00:20Z", "2026-01-01T00:00:40Z"]);
        check("30 9 * * 1-5", UTC, "2026-01-02T10:00:00Z", &["2026-01-05T09:30:00Z"]);
        check("@daily", UTC, "2026-01-01T10:00:00Z", &["2026-01-02T00:00:00Z"]);
        // Either day fits: the 1st, and Mondays.
        check("0 0 1 * 1", UTC, "2026-01-30T00:00:00Z", &["2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z"]);
        check("0 0 29 2 *", UTC, "2026-01-01T00:00:00Z", &["2028-02-29T00:00:00Z"]);
    }

    #[test]
    fn wall_clock_times_follow_daylight_saving() {
        let spring = &["2026-03-28T08:30:00Z", "2026-03-29T07:30:00Z", "2026-03-30T07:30:00Z"];
        check("30 9 * * *", PARIS, "2026-03-28T00:00:00Z", spring);
        let autumn = &["2026-10-24T07:30:00Z", "2026-10-25T08:30:00Z"];
        check("30 9 * * *", PARIS, "2026-10-24T00:00:00Z", autumn);
    }

    #[test]
    fn a_time_that_is_skipped_rings_once() {
        // 02:30 does not exist on this day: 02:00 becomes 03:00.
        let rings = &["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
        check("30 2 * * *", PARIS, "2026-03-28T00:00:00Z", rings);
        check("0 0 * * *", LONDON, "2026-03-28T12:00:00Z", &["2026-03-29T00:00:00Z", "2026-03-29T23:00:00Z"]);
        check("0 1 * * *", LONDON, "2026-03-28T12:00:00Z", &["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"]);
    }

    #[test]
    fn a_time_that_comes_twice_rings_once() {
        let rings = &["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
        check("30 2 * * *", PARIS, "2026-10-24T00:00:00Z", rings);
        // What rings every half hour goes on doing so through both.
        let rings = ["2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z", "2026-10-25T01:30:00Z"];
        check("*/30 * * * *", PARIS, "2026-10-24T23:30:00Z", &rings);
    }

    /// Whatever a zone does with its clocks, a time of day comes once a day: at that time, or where it is skipped at a moment that both
    /// ways of counting on allow.
    #[test]
    fn every_day_has_one_ring_in_every_zone() {
        const ZONES: &[&str] = &[
            UTC,
            PARIS,
            LONDON,
            "EST5EDT,M3.2.0,M11.1.0",
            // Half an hour; at midnight; two hours; the other way round; at the end of the day before.
            "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
            "CST5CDT,M3.2.0/0,M11.1.0/1",
            "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3",
            "IST-1GMT0,M10.5.0,M3.5.0/1",
            "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
        ];
        for zone in ZONES {
            let rules = TimeZone::posix(zone).unwrap();
            for (hour, minute) in (0..24).flat_map(|hour| [0, 15, 30, 45].map(|minute| (hour, minute))) {
                let cron = Cron::parse(&format!("{minute} {hour} * * *"), rules.clone()).unwrap();
                let mut day = jiff::civil::date(2026, 1, 1);
                let mut ring = cron.next_after(at("2025-12-31T23:59:59Z").minus(std::time::Duration::from_secs(86_400)));
                while day.year() == 2026 {
                    let wanted = rules.to_ambiguous_timestamp(day.at(hour, minute, 0, 0));
                    let early = wanted.earlier().unwrap().as_millisecond();
                    let (first, last) = if wanted.is_ambiguous() {
                        let later = wanted.later().unwrap().as_millisecond();
                        (early.min(later), early.max(later))
                    } else {
                        (early, early)
                    };
                    while ring.is_some_and(|ring| ring.unix_ms() < first && day == jiff::civil::date(2026, 1, 1)) {
                        ring = cron.next_after(ring.unwrap());
                    }
                    let rings = ring.expect("a ring").unix_ms();
                    assert!((first..=last).contains(&rings), "{zone} {hour}:{minute:02} on {day}: {rings} for {first} to {last}");
                    ring = cron.next_after(ring.unwrap());
                    day = day.tomorrow().unwrap();
                }
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_what_never_comes_is_none() {
        for wrong in ["", "x", "61 * * * *", "* * * *", "0 0 0 0 0 0 0 0"] {
            assert!(Cron::parse(wrong, TimeZone::UTC).is_err(), "{wrong:?}");
        }
        assert_eq!(Cron::parse("0 0 30 2 *", TimeZone::UTC).unwrap().next_after(at("2026-01-01T00:00:00Z")), None);
    }
}
