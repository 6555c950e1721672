//! Owns: a vCard as a JSContact card (RFC 9553), an iCalendar text as a JSCalendar event or task (RFC 8984), and back. Must never know:
//! where the text comes from, or how one is edited.
//!
//! The library keeps what has no place in a card or an event under a name of its own (`vCard`, `iCalendar`). That is not shown: it is in the
//! text, and the text is edited and not written anew.

use std::panic::{AssertUnwindSafe, catch_unwind};

use calcard::{
    icalendar::{
        ICalendar, ICalendarComponent, ICalendarComponentType, ICalendarParameterName, ICalendarProperty, ICalendarValue,
    },
    jscalendar::JSCalendar,
    jscontact::JSContact,
    vcard::{VCard, VCardVersion},
};
use mingle_core::record::{Likeness, Props, Value, same, with_lf};

use crate::json;
use crate::{
    Holds,
    lines::{BYTE_ORDER_MARK, Component},
    shown,
};

/// What a record does not carry: what the library keeps for itself, the id, and the stamps of whoever wrote the text last.
pub const NOT_CARRIED: [&str; 5] = ["id", "vCard", "iCalendar", "updated", "prodId"];

/// What a text holds, with what is not shown.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Whole {
    /// What stands around the one event or task; of a card: nothing.
    pub(crate) around: Props,
    /// The card, the event or the task.
    pub(crate) props: Props,
}

impl Whole {
    /// What of it is shown.
    pub(crate) fn shown(&self) -> Props {
        shown::shown(&self.props)
    }
}

/// Reads a text.
///
/// # Errors
/// Why it is no card, or no event and no task, or not one alone.
pub(crate) fn read(holds: Holds, text: &str) -> Result<Whole, String> {
    // Also bounds what the library is given: it follows each component into the next.
    let component = Component::read(text)?;
    let text = text.trim_start_matches(BYTE_ORDER_MARK);
    match holds {
        Holds::Cards if component.name == "VCARD" => {
            let told = guarded(|| {
                let card = VCard::parse(text).ok()?.into_jscontact::<String, String>();
                serde_json::to_string(&card.0).ok()
            })?;
            let props = object(&told.ok_or("it is no vCard")?)?;
            Ok(Whole { around: Props::new(), props })
        }
        Holds::Events if component.name == "VCALENDAR" => {
            let told = guarded(|| {
                let mut calendar = ICalendar::parse(text).ok()?;
                whole_days(&mut calendar);
                let events = calendar.into_jscalendar::<String, String>();
                serde_json::to_string(&events.0).ok()
            })?;
            let mut around = object(&told.ok_or("it is no iCalendar text")?)?;
            let mut entries = match around.remove(ENTRIES) {
                Some(Value::List(entries)) => entries,
                _ => Vec::new(),
            };
            match (entries.pop(), entries.is_empty()) {
                (Some(Value::Map(props)), true) => Ok(Whole { around, props }),
                (_, true) => Err("it holds no event and no task".into()),
                (_, false) => Err("it holds several events or tasks".into()),
            }
        }
        Holds::Cards => Err("it is no vCard".into()),
        Holds::Events => Err("it is no iCalendar text".into()),
    }
}

const ENTRIES: &str = "entries";

/// The library takes exceptions by a moment alone. One of an event of whole days is by its day, and that begins at midnight, in no zone; what is
/// written of it is a day again. A day says nothing of an event that has an hour.
fn whole_days(calendar: &mut ICalendar) {
    let mut events = calendar.components.iter().filter(|one| is_event(one) && !has(one, &ICalendarProperty::RecurrenceId));
    let is_by_day = |event: &ICalendarComponent| {
        let begins = [ICalendarProperty::Dtstart, ICalendarProperty::Due].into_iter().find(|name| has(event, name));
        begins.is_none_or(|name| event.entries.iter().filter(|one| one.name == name).flat_map(|one| &one.values).all(is_day))
    };
    if !events.all(is_by_day) {
        return;
    }
    let exceptions = [ICalendarProperty::RecurrenceId, ICalendarProperty::Exdate, ICalendarProperty::Rdate];
    let entries = calendar.components.iter_mut().flat_map(|component| &mut component.entries);
    for entry in entries.filter(|entry| exceptions.contains(&entry.name)) {
        let mut days = 0;
        for value in &mut entry.values {
            if is_day(value)
                && let ICalendarValue::PartialDateTime(at) = value
            {
                (at.hour, at.minute, at.second) = (Some(0), Some(0), Some(0));
                days += 1;
            }
        }
        if days > 0 {
            entry.params.retain(|one| one.name != ICalendarParameterName::Value);
        }
    }
}

fn is_event(component: &ICalendarComponent) -> bool {
    matches!(component.component_type, ICalendarComponentType::VEvent | ICalendarComponentType::VTodo)
}

fn has(component: &ICalendarComponent, name: &ICalendarProperty) -> bool {
    component.entries.iter().any(|entry| entry.name == *name)
}

fn is_day(value: &ICalendarValue) -> bool {
    matches!(value, ICalendarValue::PartialDateTime(at) if at.has_date() && !at.has_time())
}

/// Which vCard a text is; every server takes the third, and what has a place in none but the fourth is told by that.
pub(crate) fn version(component: &Component) -> VCardVersion {
    let fourth = component.lines().any(|line| line.name() == "VERSION" && line.value().trim() == "4.0");
    if fourth { VCardVersion::V4_0 } else { VCardVersion::V3_0 }
}

/// Which time zones are written with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zones {
    /// Those that the text had.
    AsTheyWere,
    /// Each that it names (RFC 5545, 3.2.19).
    All,
}

/// Writes it anew; a card as such a vCard.
///
/// # Errors
/// It cannot be written so.
pub(crate) fn write(holds: Holds, whole: &Whole, version: VCardVersion, zones: Zones) -> Result<String, String> {
    let cannot = "the library cannot write it so";
    match holds {
        Holds::Cards => {
            let told = json::write(&whole.props);
            let text = guarded(|| {
                let card = JSContact::<String, String>::parse(&told).ok()?.into_vcard()?;
                let mut text = String::new();
                card.write_to(&mut text, version).ok()?;
                Some(text)
            })?;
            text.ok_or_else(|| cannot.into())
        }
        Holds::Events => {
            let mut group = whole.around.clone();
            group.insert("@type".into(), Value::Text("Group".into()));
            group.insert(ENTRIES.into(), Value::List(vec![Value::Map(whole.props.clone())]));
            let told = json::write(&group);
            let text = guarded(|| {
                let mut events = JSCalendar::<String, String>::parse(&told).ok()?.into_icalendar()?;
                if zones == Zones::All {
                    events.add_missing_timezones();
                }
                Some(events.to_string())
            })?;
            text.ok_or_else(|| cannot.into())
        }
    }
}

/// One line in the library's own form; none: it cannot read it.
pub(crate) fn rewritten(holds: Holds, component: &str, line: &str) -> Option<String> {
    let text = match holds {
        Holds::Cards => {
            let text = format!("BEGIN:VCARD\r\nVERSION:4.0\r\n{line}\r\nEND:VCARD\r\n");
            guarded(|| {
                let mut out = String::new();
                VCard::parse(&text).ok()?.write_to(&mut out, VCardVersion::V4_0).ok()?;
                Some(out)
            })
        }
        Holds::Events => {
            let text = format!("BEGIN:{component}\r\n{line}\r\nEND:{component}\r\n");
            guarded(|| Some(ICalendar::parse(&text).ok()?.to_string()))
        }
    };
    let component = Component::read(&text.ok()??).ok()?;
    let mut lines = component.lines().filter(|line| holds == Holds::Events || line.name() != "VERSION");
    let one = lines.next()?.text.clone();
    lines.next().is_none().then_some(one)
}

/// Whether a value has letters that no text of lines can hold: some readers end a line there.
pub(crate) fn is_odd(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.chars().any(|one| one.is_control() && !matches!(one, '\n' | '\t' | '\r')),
        Value::List(list) => list.iter().any(is_odd),
        Value::Map(props) => props.iter().any(|(name, value)| name.chars().any(char::is_control) || is_odd(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A value with line ends as such a text has them.
pub(crate) fn in_lines(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(with_lf(text).into_owned()),
        Value::List(list) => Value::List(list.iter().map(in_lines).collect()),
        Value::Map(props) => Value::Map(props.iter().map(|(name, value)| (name.clone(), in_lines(value))).collect()),
        other => other.clone(),
    }
}

/// Calls the library on a stranger's text: where it breaks, that concerns this text alone.
fn guarded<T>(call: impl FnOnce() -> Option<T>) -> Result<Option<T>, String> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| "the library breaks over it".into())
}

fn object(text: &str) -> Result<Props, String> {
    json::parse_object(text).map_err(|error| error.to_string())
}

/// Whether two records are alike, but for the keys that the library makes up: `k1` is the first of its kind and has no name in the text.
pub(crate) fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Map(a), Value::Map(b)) => alike_props(a, b),
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b)),
        (a, b) => same(Some(a), Some(b), Likeness::default()),
    }
}

/// As [`alike`], of two objects.
pub(crate) fn alike_props(a: &Props, b: &Props) -> bool {
    let (a_named, mut a_made) = parted(a);
    let (b_named, b_made) = parted(b);
    let named = a_named.len() == b_named.len()
        && a_named.iter().zip(&b_named).all(|((name, a), (other, b))| name == other && alike(a, b));
    named
        && a_made.len() == b_made.len()
        && b_made.iter().all(|b| match a_made.iter().position(|a| alike(a, b)) {
            Some(at) => {
                a_made.swap_remove(at);
                true
            }
            None => false,
        })
}

type Parted<'a> = (Vec<(&'a str, &'a Value)>, Vec<&'a Value>);

fn parted(props: &Props) -> Parted<'_> {
    let (mut named, mut made) = (Vec::new(), Vec::new());
    for (name, value) in props.iter().filter(|(_, value)| **value != Value::Null) {
        if is_made(name) && made.len() < MADE_MAX { made.push(value) } else { named.push((name.as_str(), value)) }
    }
    (named, made)
}

/// Whether the library makes up such a key.
pub(crate) fn is_made(name: &str) -> bool {
    name.strip_prefix('k').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|one| one.is_ascii_digit()))
}

/// So many of one kind are looked for in any order; each is compared with each.
pub(crate) const MADE_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(holds: Holds, text: &str, expect: Result<&str, &str>) {
        match (read(holds, &text.replace('\n', "\r\n")), expect) {
            (Ok(whole), Ok(expect)) => assert_eq!(json::write(&whole.shown()), expect),
            (Err(why), Err(part)) => assert!(why.contains(part), "{why}"),
            (got, expect) => panic!("{text} gave {got:?}, not {expect:?}"),
        }
    }

    #[test]
    fn a_text_is_a_record_without_what_the_library_keeps_for_itself() {
        check(
            Holds::Cards,
            "BEGIN:VCARD\nVERSION:3.0\nUID:u\nFN:Jane\nX-ODD:1\nEND:VCARD\n",
            Ok(r#"{"@type":"Card","name":{"full":"Jane"},"uid":"u","version":"1.0"}"#),
        );
        check(
            Holds::Events,
            "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VTODO\nUID:t\nSUMMARY:Buy\nX-ODD:1\nEND:VTODO\nEND:VCALENDAR\n",
            Ok(r#"{"@type":"Task","title":"Buy","uid":"t"}"#),
        );
        check(
            Holds::Cards,
            "\u{feff}BEGIN:VCARD\nVERSION:3.0\nUID:u\nFN:Jane\nEND:VCARD\n",
            Ok(r#"{"@type":"Card","name":{"full":"Jane"},"uid":"u","version":"1.0"}"#),
        );
        check(Holds::Cards, "BEGIN:VCALENDAR\nEND:VCALENDAR\n", Err("no vCard"));
        check(Holds::Events, "BEGIN:VCARD\nEND:VCARD\n", Err("no iCalendar"));
        check(Holds::Events, "BEGIN:VCALENDAR\nVERSION:2.0\nEND:VCALENDAR\n", Err("no event"));
        let two = "BEGIN:VEVENT\nUID:a\nDTSTART:20260101T000000Z\nEND:VEVENT\nBEGIN:VEVENT\nUID:b\nDTSTART:20260101T000000Z\nEND:VEVENT";
        check(Holds::Events, &format!("BEGIN:VCALENDAR\nVERSION:2.0\n{two}\nEND:VCALENDAR\n"), Err("several"));
        check(Holds::Cards, "<html>", Err("does not begin"));
    }

    #[test]
    fn made_up_keys_do_not_count_and_others_do() {
        #[track_caller]
        fn check(a: &str, b: &str, expect: bool) {
            let props = |text| json::parse_object(text).unwrap();
            assert_eq!(alike_props(&props(a), &props(b)), expect, "{a} {b}");
        }
        check(r#"{"e":{"k1":1,"k2":2}}"#, r#"{"e":{"k1":2,"k3":1}}"#, true);
        check(r#"{"e":{"k1":1,"k2":1}}"#, r#"{"e":{"k1":1,"k2":2}}"#, false);
        check(r#"{"e":{"k1":1}}"#, r#"{"e":{"k1":1,"k2":1}}"#, false);
        check(r#"{"e":{"home":1}}"#, r#"{"e":{"k1":1}}"#, false);
        check(r#"{"a":null,"b":1.0}"#, r#"{"b":1}"#, true);
        check(r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, false);
    }
}
