//! Owns: the events and tasks of a calendar that is published as one text, each under its UID. Must never know: how a calendar was got.

use mingle_core::{
    limits,
    replica::{Packed, RowState},
};
use mingle_text::Holds;

use super::read::{Gathered, Wrong};

/// What stands between a `BEGIN` and its `END` directly in a calendar.
struct Part<'a> {
    kind: String,
    text: &'a str,
    /// Its UID, or the name of a time zone.
    name: String,
}

/// The events and tasks of a calendar. What repeats, and the exceptions from that, are one record.
pub(super) fn read(text: &str) -> Result<Vec<Packed>, Wrong> {
    let (head, parts) = parts(text)?;
    let zones: Vec<&Part<'_>> = parts.iter().filter(|part| part.kind == "VTIMEZONE").collect();
    // Each is looked for in each entry.
    if zones.len() > limits::CALENDAR_ZONES_MAX {
        return Err(Wrong::new(format!("has more than {} time zones", limits::CALENDAR_ZONES_MAX)));
    }
    let mut entries: Vec<&Part<'_>> = parts.iter().filter(|part| matches!(part.kind.as_str(), "VEVENT" | "VTODO")).collect();
    // Those of one UID together, in the order in which they stand.
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut gathered = Gathered::default();
    let mut room = limits::CALENDAR_TEXTS_BYTES_MAX;
    for same in entries.chunk_by(|a, b| a.name == b.name) {
        let uses = |zone: &&&Part<'_>| same.iter().any(|part| part.text.contains(&zone.name));
        let inside = zones.iter().filter(uses).chain(same).map(|part| part.text);
        let mut one = format!("BEGIN:VCALENDAR\r\n{head}");
        for part in inside {
            room = room.checked_sub(part.len()).ok_or_else(Wrong::heavy)?;
            one.push_str(part);
        }
        one.push_str("END:VCALENDAR\r\n");
        let state = mingle_text::read(Holds::Events, &one).map_or_else(RowState::Unreadable, RowState::Live);
        gathered.take(same[0].name.clone(), state)?;
    }
    Ok(gathered.end())
}

/// The lines of a calendar itself, and what is in it.
fn parts(text: &str) -> Result<(String, Vec<Part<'_>>), Wrong> {
    let (mut open, mut head, mut parts): (Vec<String>, String, Vec<Part<'_>>) = Default::default();
    let (mut at, mut begins, mut name, mut is_named, mut calendars) = (0, 0, String::new(), false, 0);
    for raw in text.split_inclusive('\n') {
        let (start, line) = (at, raw.trim_end_matches(['\r', '\n']));
        at += raw.len();
        // A line that begins with a space continues the one before; a long UID may.
        if let Some(more) = line.strip_prefix([' ', '\t']) {
            if is_named {
                name.push_str(more);
            }
            if open.len() == 1 {
                head.push_str(raw);
            }
            continue;
        }
        is_named = false;
        let word = line.split([':', ';']).next().unwrap_or_default().to_ascii_uppercase();
        let value = line.split_once(':').map_or("", |(_, value)| value).trim();
        match (word.as_str(), open.len()) {
            ("BEGIN", depth) => {
                let kind = value.to_ascii_uppercase();
                if depth == 0 && kind != "VCALENDAR" {
                    return Err(Wrong::new("is no calendar: it does not begin with BEGIN:VCALENDAR"));
                }
                if depth >= limits::DAV_NESTED_MAX {
                    return Err(Wrong::new(format!("has more than {} components in each other", limits::DAV_NESTED_MAX)));
                }
                if depth == 1 {
                    (begins, name) = (start, String::new());
                }
                open.push(kind);
            }
            ("END", _) => {
                let kind = open.pop().filter(|kind| value.eq_ignore_ascii_case(kind));
                let kind = kind.ok_or_else(|| Wrong::new("has components that do not end in their order"))?;
                match open.len() {
                    0 => calendars += 1,
                    1 => parts.push(Part { kind, text: &text[begins..at], name: std::mem::take(&mut name) }),
                    _ => {}
                }
            }
            (_, 0) if line.trim().is_empty() => {}
            (_, 0) => return Err(Wrong::new("is no calendar: it does not begin with BEGIN:VCALENDAR")),
            (_, 1) if calendars == 0 => head.push_str(raw),
            ("UID" | "TZID", 2) => {
                name = value.to_owned();
                is_named = true;
            }
            _ => {}
        }
    }
    if !open.is_empty() || calendars == 0 {
        return Err(Wrong::new("ends in the midst of a calendar: it is cut short"));
    }
    if let Some(at) =
        parts.iter().filter(|part| matches!(part.kind.as_str(), "VEVENT" | "VTODO")).position(|part| part.name.is_empty())
    {
        return Err(Wrong::new(format!("has no UID in entry {}", at + 1)));
    }
    Ok((head, parts))
}
