//! Owns: windows of time: reading them, whether one is open, and when that changes, in their time zone.
//! Must never know: the clock, where time zones are kept (the edge hands one in).

use jiff::{
    civil::{Date, Time},
    tz::TimeZone,
};

use crate::time::Timestamp;

/// The days of a week, from Monday.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_A_DAY: u16 = 24 * 60;
/// So far ahead it is looked for the next change: the same day of the week after next, should daylight saving take one away.
const DAYS_AHEAD: i32 = 15;

/// When runs may be on: in any of these spans of the week.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    spans: Vec<Span>,
    zone: TimeZone,
}

/// Some hours of some days. One that ends at or before its beginning goes on into the next day.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    text: String,
    /// From Monday: whether it begins on that day.
    days: [bool; 7],
    /// In minutes of the day.
    begins: u16,
    ends: u16,
}

impl Window {
    /// Reads spans such as `22:00-06:00`, `mon-fri 22:00-06:00` or `sat,sun`.
    ///
    /// # Errors
    /// Which is none, and why, in words.
    pub fn parse<'a>(spans: impl IntoIterator<Item = &'a str>, zone: TimeZone) -> Result<Self, String> {
        let spans = spans.into_iter().map(Span::parse).collect::<Result<Vec<_>, _>>()?;
        if spans.is_empty() { Err("it names no time: no run would ever begin".into()) } else { Ok(Self { spans, zone }) }
    }

    /// The same in another zone.
    #[must_use]
    pub fn within(&self, zone: TimeZone) -> Self {
        Self { spans: self.spans.clone(), zone }
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> String {
        self.spans.iter().map(|span| span.text.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether it is open at this moment, and when it will be the other way; none: never.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> (bool, Option<Timestamp>) {
        let Ok(moment) = jiff::Timestamp::from_millisecond(now.unix_ms()) else { return (true, None) };
        let today = moment.to_zoned(self.zone.clone()).date();
        let mut open: Vec<(i64, i64)> = Vec::new();
        for days in -1..=DAYS_AHEAD {
            let Ok(day) = today.checked_add(jiff::Span::new().days(days)) else { continue };
            open.extend(self.spans.iter().filter_map(|span| span.on(day, &self.zone)));
        }
        open.sort_unstable();
        let mut until = None;
        for (begins, ends) in open {
            match until {
                None if now.unix_ms() < begins => return (false, Some(Timestamp::from_unix_ms(begins))),
                None if now.unix_ms() < ends => until = Some(ends),
                Some(before) if begins <= before => until = Some(ends.max(before)),
                Some(before) => return (true, Some(Timestamp::from_unix_ms(before))),
                None => {}
            }
        }
        // Open as far as can be seen, and every week is like the other; or it never opens, which a span that was read does.
        (until.is_some(), None)
    }
}

impl Span {
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is no window: {why}");
        let words: Vec<&str> = text.split_whitespace().collect();
        let (days, hours) = match words[..] {
            [one] if one.contains(':') => (None, Some(one)),
            [one] => (Some(one), None),
            [days, hours] => (Some(days), Some(hours)),
            _ => return Err(wrong("it is days, hours, or days and hours")),
        };
        let days = days.map_or(Ok([true; 7]), |days| days_of(days).map_err(|why| wrong(&why)))?;
        let (begins, ends) = match hours {
            None => (0, MINUTES_A_DAY),
            Some(hours) => {
                let (begins, ends) = hours.split_once('-').ok_or_else(|| wrong("hours are two times with a - between"))?;
                let minutes = |of: &str| minutes_of(of).ok_or_else(|| wrong(&format!("`{of}` is no time of day")));
                (minutes(begins)?, minutes(ends)?)
            }
        };
        match begins {
            MINUTES_A_DAY => Err(wrong("a day ends at 24:00 and begins at 00:00")),
            _ if begins == ends => Err(wrong("it ends when it begins; a whole day is 00:00-24:00")),
            _ => Ok(Self { text: words.join(" "), days, begins, ends }),
        }
    }

    /// From when to when, where it begins on this day, in milliseconds.
    fn on(&self, day: Date, zone: &TimeZone) -> Option<(i64, i64)> {
        let place = day.weekday().to_monday_zero_offset().unsigned_abs();
        if !self.days[usize::from(place)] {
            return None;
        }
        let last = if self.ends <= self.begins { day.tomorrow().ok()? } else { day };
        let (begins, ends) = (moment(day, self.begins, zone)?, moment(last, self.ends, zone)?);
        (begins < ends).then_some((begins, ends))
    }
}

/// A wall-clock time of a day. One that daylight saving skips is as long after the gap as it lies in it; of one that comes twice, the
/// first is meant.
fn moment(day: Date, minutes: u16, zone: &TimeZone) -> Option<i64> {
    let day = if minutes == MINUTES_A_DAY { day.tomorrow().ok()? } else { day };
    let minutes = i8::try_from(minutes % MINUTES_A_DAY / 60).ok().zip(i8::try_from(minutes % 60).ok());
    let time = minutes.and_then(|(hour, minute)| Time::new(hour, minute, 0, 0).ok())?;
    Some(zone.to_ambiguous_timestamp(day.to_datetime(time)).compatible().ok()?.as_millisecond())
}

/// `mon-fri`, `sat,sun`, `fri-mon`.
fn days_of(text: &str) -> Result<[bool; 7], String> {
    let place = |word: &str| {
        let found = DAYS.iter().position(|name| *name == word);
        found.ok_or_else(|| format!("`{word}` is no day: mon, tue, wed, thu, fri, sat or sun"))
    };
    let mut days = [false; 7];
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (place(first)?, place(last)?);
        days[day] = true;
        while day != last {
            day = (day + 1) % 7;
            days[day] = true;
        }
    }
    Ok(days)
}

/// `06:30` in minutes of the day; `24:00` is its end.
fn minutes_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |of: &str| (of.len() == 2 && of.bytes().all(|c| c.is_ascii_digit())).then(|| of.parse::<u16>().ok()).flatten();
    let (hour, minute) = (number(hour)?, number(minute)?);
    (minute < 60 && hour * 60 + minute <= MINUTES_A_DAY).then_some(hour * 60 + minute)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARIS: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    fn at(text: &str) -> Timestamp {
        Timestamp::from_unix_ms(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    /// `NOW open|closed CHANGE`, a line each.
    #[track_caller]
    fn check(zone: &str, spans: &[&str], expect: &[&str]) {
        let window = Window::parse(spans.iter().copied(), TimeZone::posix(zone).unwrap()).unwrap();
        for line in expect {
            let now = line.split_once(' ').unwrap().0;
            let (open, changes) = window.at(at(now));
            let changes = changes.map(|at| jiff::Timestamp::from_millisecond(at.unix_ms()).unwrap().to_string());
            let found = format!("{now} {} {}", if open { "open" } else { "closed" }, changes.unwrap_or("never".into()));
            assert_eq!(found, *line, "{spans:?} in {zone}");
        }
    }

    #[test]
    fn a_window_is_open_from_its_beginning_and_closed_from_its_end() {
        // The 5th of January 2026 is a Monday.
        let nights = &["22:00-06:00"];
        check(
            "UTC0",
            nights,
            &[
                "2026-01-05T21:59:59.999Z closed 2026-01-05T22:00:00Z",
                "2026-01-05T22:00:00Z open 2026-01-06T06:00:00Z",
                "2026-01-06T05:59:59.999Z open 2026-01-06T06:00:00Z",
                "2026-01-06T06:00:00Z closed 2026-01-06T22:00:00Z",
            ],
        );
        check(
            "UTC0",
            &["mon-fri 22:00-06:00", "sat,sun"],
            &[
                "2026-01-09T21:00:00Z closed 2026-01-09T22:00:00Z",
                // Friday's night goes over into the weekend, and that is over at Monday's beginning.
                "2026-01-09T22:00:00Z open 2026-01-12T00:00:00Z",
                "2026-01-12T00:00:00Z closed 2026-01-12T22:00:00Z",
            ],
        );
        check("UTC0", &["fri-mon 12:00-13:00"], &["2026-01-05T13:00:00Z closed 2026-01-09T12:00:00Z"]);
        check(
            "UTC0",
            &["wed 12:00-24:00"],
            &["2026-01-05T13:00:00Z closed 2026-01-07T12:00:00Z", "2026-01-07T13:00:00Z open 2026-01-08T00:00:00Z"],
        );
        for always in [&["00:00-24:00"][..], &["mon-sun"], &["06:00-18:00", "18:00-06:00"]] {
            check("UTC0", always, &["2026-01-05T13:00:00Z open never"]);
        }
    }

    #[test]
    fn it_goes_by_the_clocks_of_its_zone() {
        check(
            PARIS,
            &["22:00-06:00"],
            &[
                "2026-03-28T20:59:00Z closed 2026-03-28T21:00:00Z",
                // The night in which an hour is skipped, and the one that has it twice.
                "2026-03-28T21:00:00Z open 2026-03-29T04:00:00Z",
                "2026-10-24T20:00:00Z open 2026-10-25T05:00:00Z",
            ],
        );
        // All of it is skipped: it comes as long after the gap.
        check(PARIS, &["sun 02:10-02:40"], &["2026-03-29T00:00:00Z closed 2026-03-29T01:10:00Z"]);
        check(PARIS, &["sun 02:10-02:40"], &["2026-10-24T12:00:00Z closed 2026-10-25T00:10:00Z"]);
    }

    #[test]
    fn what_is_no_window_is_refused() {
        let refused = |spans: &[&str]| Window::parse(spans.iter().copied(), TimeZone::UTC).unwrap_err();
        assert_eq!(refused(&[]), "it names no time: no run would ever begin");
        for (span, why) in [
            ("", "it is days, hours, or days and hours"),
            ("mon 1:00-2:00 x", "it is days, hours, or days and hours"),
            ("monday", "`monday` is no day: mon, tue, wed, thu, fri, sat or sun"),
            ("mon- 10:00-12:00", "`` is no day: mon, tue, wed, thu, fri, sat or sun"),
            ("10:00", "hours are two times with a - between"),
            ("10:00-9", "`9` is no time of day"),
            ("10:00-24:01", "`24:01` is no time of day"),
            ("10:60-11:00", "`10:60` is no time of day"),
            ("24:00-06:00", "a day ends at 24:00 and begins at 00:00"),
            ("06:00-06:00", "it ends when it begins; a whole day is 00:00-24:00"),
        ] {
            assert_eq!(refused(&[span]), format!("`{span}` is no window: {why}"));
        }
    }
}
