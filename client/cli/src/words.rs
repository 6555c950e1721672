//! Owns: how times, sizes and counts are said to people. Must never know: what they are of, and the clock.

use std::time::Duration;

use jiff::Timestamp;

/// Text from elsewhere, fit for a terminal: control characters are shown, not obeyed.
pub fn plain(text: &str) -> String {
    let odd = |c: char| c.is_control() && c != '\n';
    if !text.contains(odd) {
        return text.to_owned();
    }
    text.chars().flat_map(|c| if odd(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] }).collect()
}

/// A moment, beside now: `in 3 min`, `2 h ago`. What is no time is said as it came.
pub fn when(at: &str, now: Timestamp) -> String {
    let Ok(at) = at.parse::<Timestamp>() else { return plain(at) };
    let ms = at.as_millisecond() - now.as_millisecond();
    match span(Duration::from_millis(ms.unsigned_abs())) {
        _ if ms.unsigned_abs() < 1000 => "now".into(),
        span if ms > 0 => format!("in {span}"),
        span => format!("{span} ago"),
    }
}

/// A duration in its largest unit: `4 s`, `3 min`, `2 h`, `5 d`.
pub fn span(span: Duration) -> String {
    let s = span.as_secs();
    match s {
        0 => format!("{} ms", span.as_millis()),
        1..120 => format!("{s} s"),
        120..7200 => format!("{} min", s / 60),
        7200..172_800 => format!("{} h", s / 3600),
        _ => format!("{} d", s / 86_400),
    }
}

/// A size: `512 B`, `4 KiB`, `3.2 MiB`.
pub fn bytes(bytes: u64) -> String {
    // One digit behind the point is enough to see growth.
    let tenth = |unit: u64| format!("{}.{}", bytes / unit, bytes % unit * 10 / unit);
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        1_048_576..1_073_741_824 => format!("{} MiB", tenth(1 << 20)),
        _ => format!("{} GiB", tenth(1 << 30)),
    }
}

/// `1 record`, `2 records`.
pub fn count(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}

/// A duration as the wire has it, in whole milliseconds.
pub fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A duration as people write it: `500ms`, `5s`, `2m`, `1h`; a bare number is seconds.
pub fn duration(text: &str) -> Result<Duration, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let ms_each = match unit {
        "ms" => 1,
        "" | "s" => 1000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("`{text}` is no duration: write 500ms, 5s, 2m or 1h")),
    };
    let ms = number.parse::<u64>().ok().and_then(|number| number.checked_mul(ms_each));
    ms.map(Duration::from_millis).ok_or_else(|| format!("`{text}` is no duration: write 500ms, 5s, 2m or 1h"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        #[track_caller]
        fn check(at: &str, expect: &str) {
            let now = "2026-01-02T12:00:00Z".parse().expect("a time");
            assert_eq!(when(at, now), expect, "{at}");
        }
        check("2026-01-02T12:00:00.500Z", "now");
        check("2026-01-02T12:00:05Z", "in 5 s");
        check("2026-01-02T11:57:59Z", "2 min ago");
        check("2026-01-02T15:00:00Z", "in 3 h");
        check("2025-12-02T12:00:00Z", "31 d ago");
        check("soon\x1b[31m", "soon\\u{1b}[31m");
    }

    #[test]
    fn sizes_and_counts() {
        let sizes: Vec<String> = [0, 1023, 1024, 1_048_576, 3_500_000, 5_000_000_000].into_iter().map(bytes).collect();
        assert_eq!(sizes, ["0 B", "1023 B", "1 KiB", "1.0 MiB", "3.3 MiB", "4.6 GiB"]);
        assert_eq!((count(0, "run"), count(1, "run"), count(2, "run")), ("0 runs".into(), "1 run".into(), "2 runs".into()));
    }

    #[test]
    fn durations() {
        #[track_caller]
        fn check(text: &str, expect_ms: Option<u64>) {
            assert_eq!(duration(text).ok(), expect_ms.map(Duration::from_millis), "{text}");
        }
        check("500ms", Some(500));
        check("5", Some(5000));
        check("5s", Some(5000));
        check("2m", Some(120_000));
        check("1h", Some(3_600_000));
        check("", None);
        check("s", None);
        check("soon", None);
        check("-1s", None);
        check("99999999999999999999s", None);
    }
}
