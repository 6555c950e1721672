//! Owns: how a text becomes another one: only the lines that a change concerns are written, and what was written is read again before it
//! goes out. Must never know: where the text lies.
//!
//! The library writes the record as it was and as it shall be; the lines in which the two differ are looked for in the text that is there.
//! Whatever it understands wrongly, drops or writes otherwise is on both sides alike, and stays as it stands.

use std::collections::BTreeMap;

use calcard::vcard::VCardVersion;
use mingle_core::{
    planted,
    record::{Props, Value},
    time::Timestamp,
};

use super::{
    item::{self, NOT_CARRIED, Whole},
    lines::{Component, Line, Part},
    xml::Holds,
};

/// What the library adds so that it can read its own: parameters, and a property.
const OWN: [&str; 4] = ["PROP-ID", "JSID", "JSCOMPS", "CHARSET"];
/// What is left out of what we write: all of that where it reads the same, else what never says anything.
const OWNS: [&[&str]; 2] = [&OWN, &["CHARSET"]];

const ODD: &str = "holds control characters, which have no place in a text of lines";

/// Properties that the library may write in another form than they had, with the same meaning. Of any other the line has to be what it
/// would write itself: else something in it would be lost.
const FORMS: [&str; 22] = [
    "N",
    "ADR",
    "ORG",
    "REV",
    "BDAY",
    "ANNIVERSARY",
    "CATEGORIES",
    "RRULE",
    "EXDATE",
    "RDATE",
    "DTSTART",
    "DTEND",
    "DUE",
    "DURATION",
    "DTSTAMP",
    "CREATED",
    "LAST-MODIFIED",
    "COMPLETED",
    "TRIGGER",
    "GEO",
    "STATUS",
    "CLASS",
];

/// A text with a change in it.
///
/// # Errors
/// What is there cannot be read, or the change cannot be made without losing something.
pub(super) fn edited(holds: Holds, text: &str, patch: &BTreeMap<String, Option<Value>>) -> Result<String, String> {
    let before = item::read(holds, text)?;
    let mut after = before.clone();
    for (name, value) in patch.iter().filter(|(name, _)| !NOT_CARRIED.contains(&name.as_str())) {
        match value {
            Some(value) => after.props.insert(name.clone(), item::in_lines(value)),
            None => after.props.remove(name),
        };
    }
    if item::alike_props(&before.shown(), &after.shown()) {
        return Ok(text.to_owned());
    }
    let original = Component::read(text)?;
    if let Some((name, _)) = patch.iter().find(|(_, value)| value.as_ref().is_some_and(item::is_odd)) {
        return Err(format!("{name} {ODD}"));
    }
    let read = |whole: &Whole| Component::read(&item::write(holds, whole, item::version(&original))?);
    let (old, new) = (read(&before)?, read(&after)?);
    if planted::is("a text is written anew") {
        return Ok(new.text());
    }
    // Without what the library adds for itself first: others need not understand it.
    for own in OWNS {
        let mut edited = original.clone();
        let turned = turn(holds, &mut edited, &old.without(own, own), &new.without(own, own));
        let text = edited.text();
        if turned.is_some() && reads_as(holds, &text, &after) {
            return Ok(text);
        }
    }
    let names: Vec<&str> = patch.keys().map(String::as_str).collect();
    Err(format!("the change of {} cannot be written without losing something of what stands there", names.join(", ")))
}

/// Whether a text holds this.
fn reads_as(holds: Holds, text: &str, expect: &Whole) -> bool {
    planted::is("an edited text is not read again")
        || item::read(holds, text).is_ok_and(|read| item::alike_props(&read.shown(), &expect.shown()))
}

/// The text of a new member.
///
/// # Errors
/// It cannot be written without losing something.
pub(super) fn made(holds: Holds, whole: &Props, uid: &str, now: Timestamp) -> Result<String, String> {
    let mut props: Props = whole.iter().map(|(name, value)| (name.clone(), item::in_lines(value))).collect();
    props.retain(|name, value| !NOT_CARRIED.contains(&name.as_str()) && *value != Value::Null);
    let wanted = props.clone();
    let mut default = |name: &str, value: &str| {
        props.entry(name.to_owned()).or_insert_with(|| Value::Text(value.to_owned()));
    };
    default("uid", uid);
    let is_task = ["due", "progress", "percentComplete", "estimatedDuration"].iter().any(|name| wanted.contains_key(*name));
    default(
        "@type",
        match holds {
            Holds::Cards => "Card",
            Holds::Events if is_task => "Task",
            Holds::Events => "Event",
        },
    );
    let mut around = Props::new();
    match holds {
        Holds::Cards => default("version", "1.0"),
        Holds::Events => {
            default("updated", &in_seconds(now));
            around.insert("prodId".into(), Value::Text("-//mingle//mingled//EN".into()));
        }
    }
    if let Some((name, _)) = wanted.iter().find(|(_, value)| item::is_odd(value)) {
        return Err(format!("{name} {ODD}"));
    }
    let whole = Whole { around, props };
    let mut lost = Vec::new();
    // Every server takes the third vCard.
    for version in [VCardVersion::V3_0, VCardVersion::V4_0] {
        let text = Component::read(&item::write(holds, &whole, version)?)?;
        for own in OWNS {
            let text = text.without(&[], own).text();
            let read = item::read(holds, &text)?.shown();
            let covered = |(name, value): &(&String, &Value)| read.get(*name).is_some_and(|read| covers(read, value));
            lost = wanted.iter().filter(|one| !covered(one)).map(|(name, _)| name.as_str()).collect();
            if lost.is_empty() || planted::is("an edited text is not read again") {
                return Ok(text);
            }
        }
    }
    Err(format!(
        "{} has no place in {}",
        lost.join(", "),
        match holds {
            Holds::Cards => "a vCard, or not in this form: see RFC 9553",
            Holds::Events => "an iCalendar text, or not in this form: see RFC 8984",
        }
    ))
}

/// A moment as a card or an event has it.
fn in_seconds(now: Timestamp) -> String {
    jiff::Timestamp::from_second(now.unix_ms().div_euclid(1_000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}

/// Whether what was read is what was wanted; of objects it may have more.
fn covers(read: &Value, wanted: &Value) -> bool {
    match (read, wanted) {
        (Value::Map(read), Value::Map(wanted)) => {
            let mut wanted = wanted.iter().filter(|(_, value)| **value != Value::Null);
            wanted.all(|(name, wanted)| read.get(name).is_some_and(|read| covers(read, wanted)))
        }
        (read, wanted) => item::alike(read, wanted),
    }
}

/// Makes of a component, that the library would have written as `old`, one that it would write as `new`.
fn turn(holds: Holds, text: &mut Component, old: &Component, new: &Component) -> Option<()> {
    let (mut gone, mut come, mut forms) = (Vec::new(), without(new, old), Forms::new());
    for line in without(old, new) {
        gone.extend(place_of(holds, text, old, line, &gone, &mut forms)?);
    }
    // Each takes the place of one of its kind.
    let mut taken = BTreeMap::new();
    for at in &gone {
        let Some(Part::Line(line)) = text.parts.get(*at) else { return None };
        let name = line.name();
        if let Some(fits) = come.iter().position(|line| line.name() == name) {
            taken.insert(*at, come.remove(fits).clone());
        }
    }
    let mut parts = Vec::with_capacity(text.parts.len());
    for (at, part) in std::mem::take(&mut text.parts).into_iter().enumerate() {
        match taken.remove(&at) {
            Some(line) => parts.push(Part::Line(line)),
            None if gone.contains(&at) => {}
            None => parts.push(part),
        }
    }
    text.parts = parts;
    for line in come {
        text.push_line(line.clone());
    }
    turn_inner(holds, text, old, new)
}

/// The lines of one that the other has not.
fn without<'a>(one: &'a Component, other: &Component) -> Vec<&'a Line> {
    let mut others: Vec<&str> = other.lines().map(|line| line.text.as_str()).collect();
    let mut left = Vec::new();
    for line in one.lines() {
        match others.iter().position(|other| *other == line.text) {
            Some(at) => {
                others.swap_remove(at);
            }
            None => left.push(line),
        }
    }
    left
}

/// The forms that the library would give the lines of a text, by their places, as far as they were asked for.
type Forms = BTreeMap<usize, Option<String>>;

/// Where the line stands that the library would write so; nowhere, where it makes it up. None: it is not to be told, or there is more in
/// it than the library knows.
fn place_of(
    holds: Holds,
    text: &Component,
    old: &Component,
    line: &Line,
    taken: &[usize],
    forms: &mut Forms,
) -> Option<Option<usize>> {
    let name = line.name();
    let named: Vec<(usize, &Line)> = text
        .parts
        .iter()
        .enumerate()
        .filter_map(|(at, part)| match part {
            Part::Line(line) if line.name() == name => Some((at, line)),
            _ => None,
        })
        .collect();
    if named.is_empty() {
        return Some(None);
    }
    let form = |line: &Line| item::rewritten(holds, &text.name, &line.text).map(|text| sorted(&Line::made(&text).without(&OWN)));
    let wanted = form(line)?;
    let (known, has_forms) = (parameters(line), FORMS.contains(&name.as_str()));
    let says_as_much = |own: &Line| {
        let more = parameters(own).into_iter().any(|name| !known.contains(&name) && !OWN.contains(&name.as_str()));
        !more && (has_forms || plain(own.value()) == plain(line.value()))
    };
    let free = |at: usize| !taken.contains(&at);
    for (at, own) in named.iter().filter(|(at, _)| free(*at)) {
        let own_form = forms.entry(*at).or_insert_with(|| form(own));
        if own_form.as_ref() == Some(&wanted) && says_as_much(own) {
            return Some(Some(*at));
        }
    }
    let alike: Vec<&Line> = old.lines().filter(|line| line.name() == name).collect();
    let nth = alike.iter().position(|one| std::ptr::eq(*one, line))?;
    let (at, own) = named.get(nth).filter(|(at, _)| free(*at) && named.len() == alike.len())?;
    (has_forms && says_as_much(own)).then_some(Some(*at))
}

/// A value however much of it is escaped: some escape more than they have to.
fn plain(value: &str) -> String {
    value.replace('\\', "")
}

/// Names of the parameters of a line; how its value is written says nothing beside it.
fn parameters(line: &Line) -> Vec<String> {
    let head = &line.text[..line.text.len() - line.value().len()];
    let names = head.trim_end_matches(':').split(';').skip(1).filter_map(|part| part.split('=').next());
    names.map(str::to_ascii_uppercase).filter(|name| !["VALUE", "CHARSET"].contains(&name.as_str())).collect()
}

/// A line with its parameters in one order.
fn sorted(line: &Line) -> String {
    let (head, value) = line.text.split_at(line.text.len() - line.value().len());
    let mut parts: Vec<&str> = head.trim_end_matches(':').split(';').collect();
    if let Some(rest) = parts.get_mut(1..) {
        rest.sort_unstable();
    }
    format!("{}:{value}", parts.join(";"))
}

/// The same for what lies inside: which is which is told by what it is of, and else by its order.
fn turn_inner(holds: Holds, text: &mut Component, old: &Component, new: &Component) -> Option<()> {
    let (old, new) = (keyed(old), keyed(new));
    for (key, old) in &old {
        let at = keyed_places(text).get(key).copied();
        match (new.get(key), at) {
            (Some(new), _) if new == old => {}
            (Some(new), Some(at)) => {
                let Some(Part::Inner(inner)) = text.parts.get_mut(at) else { return None };
                turn(holds, inner, old, new)?;
            }
            (None, Some(at)) => {
                text.parts.remove(at);
            }
            (_, None) => return None,
        }
    }
    for (_, new) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        text.parts.push(Part::Inner((*new).clone()));
    }
    Some(())
}

type Key = (String, String, usize);

fn keyed(component: &Component) -> BTreeMap<Key, &Component> {
    let mut keyed = BTreeMap::new();
    for inner in component.inner() {
        keyed.insert(key(inner, |key| keyed.contains_key(key)), inner);
    }
    keyed
}

fn keyed_places(component: &Component) -> BTreeMap<Key, usize> {
    let mut places = BTreeMap::new();
    for (at, part) in component.parts.iter().enumerate() {
        if let Part::Inner(inner) = part {
            places.insert(key(inner, |key| places.contains_key(key)), at);
        }
    }
    places
}

fn key(inner: &Component, is_taken: impl Fn(&Key) -> bool) -> Key {
    let of = inner.lines().find(|line| ["RECURRENCE-ID", "TZID"].contains(&&*line.name()));
    let mut key = (inner.name.clone(), of.map(|line| line.value().to_owned()).unwrap_or_default(), 0);
    while is_taken(&key) {
        key.2 += 1;
    }
    key
}

#[cfg(test)]
mod tests;
