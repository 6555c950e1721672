//! Owns: how a text becomes another one: only the lines that a change concerns are written, and what was written is read again before it
//! goes out. Must never know: where the text lies.
//!
//! The library writes the record as it was and as it shall be; the lines in which the two differ are looked for in the text that is there.
//! Whatever it understands wrongly, drops or writes otherwise is on both sides alike, and stays as it stands.

use std::collections::{BTreeMap, BTreeSet};

use calcard::vcard::VCardVersion;
use mingle_core::{
    planted,
    record::{Props, Value},
    time::Timestamp,
};

use crate::{
    Holds,
    item::{self, NOT_CARRIED, Whole, Zones},
    lines::{Component, Line, Part},
    shown,
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
pub fn edited(holds: Holds, text: &str, patch: &BTreeMap<String, Option<Value>>) -> Result<String, String> {
    let before = item::read(holds, text)?;
    let mut wanted = before.shown();
    for (name, value) in patch.iter().filter(|(name, _)| !NOT_CARRIED.contains(&name.as_str())) {
        match value {
            Some(value) => wanted.insert(name.clone(), item::in_lines(value)),
            None => wanted.remove(name),
        };
    }
    let after = Whole { around: before.around.clone(), props: shown::whole(&before.props, &wanted)? };
    if item::alike_props(&shown::meant(&before.props), &shown::meant(&after.props)) {
        return Ok(text.to_owned());
    }
    let original = Component::read(text)?;
    if let Some((name, _)) = patch.iter().find(|(_, value)| value.as_ref().is_some_and(item::is_odd)) {
        return Err(format!("{name} {ODD}"));
    }
    let read = |whole: &Whole, zones| Component::read(&item::write(holds, whole, item::version(&original), zones)?);
    let (old, mut new) = (read(&before, Zones::AsTheyWere)?, read(&after, Zones::All)?);
    // What it named before it names as it did, with a zone beside it or without.
    let named = old.values_of("TZID");
    new.parts.retain(|part| match part {
        Part::Inner(inner) if inner.name == "VTIMEZONE" => old.inner().any(|one| one == inner) || !named.contains(&inner.of()),
        _ => true,
    });
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

/// What every text says of itself; a record that does not say it means nothing by that.
const SAID_ANYWAY: [&str; 3] = ["@type", "uid", "version"];

/// A text that shows this record: only the lines in which it shows another one are replaced.
///
/// # Errors
/// As [`edited`].
pub fn turned(holds: Holds, text: &str, record: &Props) -> Result<String, String> {
    let now = item::read(holds, text)?.shown();
    let named: BTreeSet<&String> = now.keys().chain(record.keys()).collect();
    let wanted = |name: &str| record.get(name).filter(|value| **value != Value::Null);
    let other = named.into_iter().filter(|name| match (now.get(*name), wanted(name)) {
        (Some(now), Some(wanted)) => !item::alike(now, &item::in_lines(wanted)),
        (Some(_), None) => !SAID_ANYWAY.contains(&name.as_str()),
        (None, wanted) => wanted.is_some(),
    });
    let patch: BTreeMap<String, Option<Value>> = other.map(|name| (name.clone(), wanted(name).cloned())).collect();
    edited(holds, text, &patch)
}

/// Whether a text holds this.
fn reads_as(holds: Holds, text: &str, expect: &Whole) -> bool {
    let holds_it = |read: Whole| {
        let (read, mut expect) = (shown::meant(&read.props), shown::meant(&expect.props));
        in_organizations(&mut expect, &read);
        item::alike_props(&read, &expect)
    };
    planted::is("an edited text is not read again") || item::read(holds, text).is_ok_and(holds_it)
}

/// A role in a card with an organization is read as one in it, whoever wrote it: then one without an organization means that one.
fn in_organizations(expect: &mut Props, read: &Props) {
    const OF: &str = "organizationId";
    let titles = |props: &Props| match props.get("titles") {
        Some(Value::Map(titles)) => titles.values().cloned().collect(),
        _ => Vec::new(),
    };
    let read = titles(read);
    let of: BTreeSet<&str> = read
        .iter()
        .filter_map(|title| match title {
            Value::Map(title) => match title.get(OF) {
                Some(Value::Text(of)) => Some(of.as_str()),
                _ => None,
            },
            _ => None,
        })
        .collect();
    let (Some(Value::Map(expect)), Some(of)) = (expect.get_mut("titles"), of.first().filter(|_| of.len() == 1)) else { return };
    for title in expect.values_mut() {
        if let Value::Map(title) = title
            && title.get("kind") == Some(&Value::Text("role".into()))
        {
            title.entry(OF.into()).or_insert_with(|| Value::Text((*of).to_owned()));
        }
    }
}

/// The text of a new member.
///
/// # Errors
/// It cannot be written without losing something.
pub fn made(holds: Holds, whole: &Props, uid: &str, now: Timestamp) -> Result<String, String> {
    let mut props: Props = whole.iter().map(|(name, value)| (name.clone(), item::in_lines(value))).collect();
    props.retain(|name, value| !NOT_CARRIED.contains(&name.as_str()) && *value != Value::Null);
    let mut wanted = props.clone();
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
    let mut stamped = Props::new();
    if let Some(stamp) = props.get("updated") {
        stamped.insert("updated".into(), stamp.clone());
    }
    let whole = Whole { around, props: shown::whole(&stamped, &props)? };
    let meant = shown::meant(&whole.props);
    wanted.retain(|name, _| meant.contains_key(name));
    for (name, value) in &mut wanted {
        value.clone_from(&meant[name]);
    }
    let mut lost = Vec::new();
    // Every server takes the third vCard.
    for version in [VCardVersion::V3_0, VCardVersion::V4_0] {
        let text = Component::read(&item::write(holds, &whole, version, Zones::All)?)?;
        for own in OWNS {
            let text = text.without(&[], own).text();
            let read = shown::meant(&item::read(holds, &text)?.props);
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
    let places: BTreeMap<Key, usize> = keyed(text).into_iter().map(|(key, (at, _))| (key, at)).collect();
    let (old, new) = (keyed(old), keyed(new));
    let mut gone = BTreeSet::new();
    for (key, (_, old)) in &old {
        match (new.get(key), places.get(key).copied()) {
            (Some((_, new)), _) if new == old => {}
            (Some((_, new)), Some(at)) => {
                let Some(Part::Inner(inner)) = text.parts.get_mut(at) else { return None };
                turn(holds, inner, old, new)?;
            }
            (None, Some(at)) => {
                gone.insert(at);
            }
            (_, None) => return None,
        }
    }
    let mut at = 0;
    text.parts.retain(|_| {
        at += 1;
        !gone.contains(&(at - 1))
    });
    for (_, (_, new)) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        // A zone stands before what names it.
        let first = text.parts.iter().position(|part| matches!(part, Part::Inner(_))).filter(|_| new.name == "VTIMEZONE");
        text.parts.insert(first.unwrap_or(text.parts.len()), Part::Inner((*new).clone()));
    }
    Some(())
}

/// The name of a component, what it is of, and the how manyth of these it is.
type Key = (String, String, usize);

/// What lies inside by its key, with its place.
fn keyed(component: &Component) -> BTreeMap<Key, (usize, &Component)> {
    let (mut keyed, mut counts) = (BTreeMap::new(), BTreeMap::<(String, String), usize>::new());
    for (at, part) in component.parts.iter().enumerate() {
        let Part::Inner(inner) = part else { continue };
        let of = (inner.name.clone(), inner.of().to_owned());
        let count = counts.entry(of.clone()).or_default();
        keyed.insert((of.0, of.1, *count), (at, inner));
        *count += 1;
    }
    keyed
}

#[cfg(test)]
mod tests;
