//! Owns: how single words of the configuration are read: names, lengths of time. Must never know: where they stand.

use std::time::Duration;

/// Bytes of a name. Names become names of SQL views and parts of file names.
pub const NAME_BYTES_MAX: usize = 63;

/// A name for a remote, sync or collection: `[a-z][a-z0-9_]*`.
pub(super) fn name(word: &str) -> Result<(), String> {
    shaped(word, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        .then_some(())
        .ok_or_else(|| format!("`{word}` is no name: a small letter, then small letters, digits and _, at most {NAME_BYTES_MAX}"))
}

/// The name an app gives itself; many have hyphens and dots.
pub(super) fn app_name(word: &str) -> Result<(), String> {
    shaped(word, |c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '.')).then_some(()).ok_or_else(
        || format!("`{word}` is no app name: a small letter, then small letters, digits, _, - and ., at most {NAME_BYTES_MAX}"),
    )
}

fn shaped(word: &str, allowed: fn(char) -> bool) -> bool {
    word.len() <= NAME_BYTES_MAX && word.starts_with(|c: char| c.is_ascii_lowercase()) && word.chars().all(allowed)
}

const UNITS: [(&str, u64); 6] = [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// `15m`, `1h 30m`, `2s`: numbers with a unit each, from the largest unit to the smallest.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time");
    let (mut rest, mut total, mut units) = (text.trim(), 0_u64, UNITS.iter());
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        // The iterator is not wound back: a unit that comes again, or after a smaller one, is not found.
        let (_, ms) = units.find(|(known, _)| *known == unit).ok_or_else(wrong)?;
        let number: u64 = number.parse().map_err(|_| wrong())?;
        total = number.checked_mul(*ms).and_then(|more| total.checked_add(more)).ok_or_else(wrong)?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(total))
}

/// For people, in the form that [`duration`] reads.
pub(super) fn shown(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut parts = Vec::new();
    for (unit, ms) in UNITS {
        if left >= ms {
            parts.push(format!("{}{unit}", left / ms));
            left %= ms;
        }
    }
    if parts.is_empty() { "0s".into() } else { parts.join(" ") }
}

/// The number of a group of this machine.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn group(word: &str) -> Result<u32, String> {
    if let Ok(number) = word.parse() {
        return Ok(number);
    }
    let listed = std::fs::read_to_string("/etc/group").map_err(|error| format!("/etc/group cannot be read: {error}"))?;
    group_in(&listed, word).ok_or_else(|| format!("no group `{word}` in /etc/group"))
}

/// `name:password:number:members`, one a line.
fn group_in(listed: &str, word: &str) -> Option<u32> {
    let fields = listed.lines().map(|line| line.split(':').collect::<Vec<_>>());
    fields.filter(|fields| fields.first() == Some(&word)).find_map(|fields| fields.get(2)?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time() {
        for (text, ms) in [
            ("15m", Some(900_000)),
            ("1h 30m", Some(5_400_000)),
            ("1h30m", Some(5_400_000)),
            (" 2s ", Some(2_000)),
            ("500ms", Some(500)),
            ("1d", Some(86_400_000)),
            ("2w 1d", Some(15 * 86_400_000)),
            ("0s", Some(0)),
            ("", None),
            ("15", None),
            ("m", None),
            ("15 m", None),
            ("1.5h", None),
            ("30m 1h", None),
            ("1h 1h", None),
            ("-1h", None),
            ("1h,", None),
            ("1M", None),
            ("1 hour", None),
            ("99999999999999999999d", None),
            ("18446744073709551615w", None),
        ] {
            let read = duration(text);
            assert_eq!(read.as_ref().ok().map(Duration::as_millis), ms, "{text}: {read:?}");
            if let Ok(read) = read {
                assert_eq!(duration(&shown(read)), Ok(read), "{text} shown as {}", shown(read));
            }
        }
    }

    #[test]
    fn names() {
        for (word, good, good_app) in [
            ("a", true, true),
            ("issues_2", true, true),
            ("my-app.next", false, true),
            ("Issues", false, false),
            ("2a", false, false),
            ("_a", false, false),
            ("", false, false),
            ("ä", false, false),
            ("a b", false, false),
        ] {
            assert_eq!((name(word).is_ok(), app_name(word).is_ok()), (good, good_app), "{word}");
        }
        assert!(name(&"a".repeat(NAME_BYTES_MAX)).is_ok() && name(&"a".repeat(NAME_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn groups_by_name_or_number() {
        let listed = "root:x:0:\nadm:x:4:syslog\nadmin:x:110:\nodd\n";
        assert_eq!(group_in(listed, "adm"), Some(4));
        assert_eq!(group_in(listed, "ad"), None);
        assert_eq!(group_in(listed, "odd"), None);
        assert_eq!(group("77"), Ok(77));
        assert!(group("no such group").is_err_and(|what| what.contains("no such group")));
    }
}
