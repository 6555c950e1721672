//! Owns: what of the library's form of a record is shown, and how what was shown becomes that form again. Must never know: a text.
//!
//! What the library keeps for itself lies at every depth. An exception of a recurring event is a whole one there, as it is in the text, and
//! shown as its difference from the others (RFC 8984, 4.3.5). Keys such as `k1` are found again by what they hold.

use mingle_core::{
    planted,
    record::{Props, Value},
};

use crate::item::{self, NOT_CARRIED};

/// What the library keeps for itself, at any depth.
const OWN: [&str; 2] = ["vCard", "iCalendar"];
/// Exceptions, by the moment that they would be at.
const OVERRIDES: &str = "recurrenceOverrides";
/// What an exception does not have of its own (RFC 8984, 4.3.5), or not as a difference.
const ASIDE: [&str; 17] = [
    "@type",
    "method",
    "organizerCalendarAddress",
    "privacy",
    "prodId",
    "recurrenceId",
    "recurrenceIdTimeZone",
    "sentBy",
    "uid",
    OVERRIDES,
    "recurrenceRule",
    "timeZone",
    "updated",
    "created",
    "sequence",
    "id",
    "version",
];

/// Those of them that an exception may have, and that would be lost.
const MEANT: [&str; 3] = ["timeZone", "created", "sequence"];

/// What is shown of a record in the library's form.
pub(crate) fn shown(props: &Props) -> Props {
    let mut shown = meant(props);
    let reduced = overrides(props).map(|(at, one)| {
        let one =
            if is_instance(one) { Value::Map(difference(&shown, at, &bare_props(one))) } else { bare(&Value::Map(one.clone())) };
        (at.clone(), one)
    });
    let reduced: Props = reduced.collect();
    if let Some(Value::Map(all)) = shown.get_mut(OVERRIDES) {
        all.extend(reduced);
    }
    shown
}

/// What is meant by a record in the library's form: without what it keeps for itself, and with each exception whole.
pub(crate) fn meant(props: &Props) -> Props {
    let carried = props.iter().filter(|(name, _)| !NOT_CARRIED.contains(&name.as_str()));
    let mut meant: Props = carried.map(|(name, value)| (name.clone(), bare(value))).collect();
    if let Some(Value::Map(all)) = meant.get_mut(OVERRIDES) {
        for one in all.values_mut() {
            if let Value::Map(one) = one {
                one.retain(|name, _| !ASIDE.contains(&name.as_str()));
            }
        }
    }
    meant
}

/// The library's form of what shall be shown, with what it keeps for itself of what was there.
///
/// # Errors
/// An exception changes what the event has not.
pub(crate) fn whole(before: &Props, wanted: &Props) -> Result<Props, String> {
    let was = shown(before);
    let kept = |name: &str| NOT_CARRIED.contains(&name);
    let mut after = wanted.clone();
    let changed = match after.remove(OVERRIDES) {
        Some(Value::Map(changed)) => Some(changed),
        Some(other) => {
            after.insert(OVERRIDES.into(), other);
            None
        }
        None => None,
    };
    after = bare_props(&after);
    after.retain(|name, _| !kept(name));
    after = with_own(before, after);
    after.extend(before.iter().filter(|(name, _)| kept(name)).map(|(name, value)| (name.clone(), value.clone())));
    let Some(changed) = changed else { return Ok(after) };
    let shown_before = match was.get(OVERRIDES) {
        Some(Value::Map(all)) => all.clone(),
        _ => Props::new(),
    };
    let mut all = Props::new();
    for (at, patch) in changed {
        let there = overrides(before).find(|(key, _)| **key == at).map(|(_, one)| one);
        let one = match (&patch, there) {
            // A bare one, or one as it was, stays what it is: of such the text has no whole instance.
            (patch, Some(there)) if !is_instance(there) && shown_before.get(&at) == Some(patch) => Value::Map(there.clone()),
            (Value::Map(patch), there) if is_mark(patch, there) => bare(&Value::Map(patch.clone())),
            (Value::Map(patch), Some(there)) if is_instance(there) => {
                let mut one = patched(instance(&meant(&after), &at), &at, patch)?;
                one = with_own(there, one);
                let aside = there.iter().filter(|(name, _)| ASIDE.contains(&name.as_str()) || OWN.contains(&name.as_str()));
                one.extend(aside.map(|(name, value)| (name.clone(), value.clone())));
                Value::Map(one)
            }
            (Value::Map(patch), _) if !planted::is("an exception holds its difference alone") => {
                let mut one = patched(instance(&after, &at), &at, patch)?;
                if let Some(stamp) = after.get("updated") {
                    one.insert("updated".into(), stamp.clone());
                }
                Value::Map(one)
            }
            (patch, _) => patch.clone(),
        };
        all.insert(at, one);
    }
    after.insert(OVERRIDES.into(), Value::Map(all));
    Ok(after)
}

/// The exceptions of a record.
fn overrides(props: &Props) -> impl Iterator<Item = (&String, &Props)> {
    let all = match props.get(OVERRIDES) {
        Some(Value::Map(all)) => Some(all),
        _ => None,
    };
    all.into_iter().flatten().filter_map(|(at, one)| match one {
        Value::Map(one) => Some((at, one)),
        _ => None,
    })
}

/// Whether an exception in the library's form is a whole instance; others are marks: one more, one less, one of another length.
fn is_instance(one: &Props) -> bool {
    ["start", "due", "updated"].iter().any(|name| one.contains_key(*name)) && one.get("excluded") != Some(&Value::Bool(true))
}

/// Whether this is written as a mark, beside the rule, and not as an instance.
fn is_mark(patch: &Props, there: Option<&Props>) -> bool {
    let excluded = patch.get("excluded") == Some(&Value::Bool(true));
    let lengths = |one: &Props| one.len() == 1 && one.contains_key("duration");
    excluded || (patch.is_empty() && !there.is_some_and(is_instance)) || (lengths(patch) && there.is_some_and(lengths))
}

/// An instance as the event gives it.
fn instance(event: &Props, at: &str) -> Props {
    let own = event.iter().filter(|(name, _)| !ASIDE.contains(&name.as_str()) && !OWN.contains(&name.as_str()));
    let mut instance: Props = own.map(|(name, value)| (name.clone(), value.clone())).collect();
    if event.contains_key("start") {
        instance.insert("start".into(), Value::Text(at.to_owned()));
    }
    if let Some(due) = due_of(event, at) {
        instance.insert("due".into(), Value::Text(due));
    }
    instance
}

/// When an instance of a task is due: as long after its start as the first one.
fn due_of(event: &Props, at: &str) -> Option<String> {
    let moment = |text: &str| text.parse::<jiff::civil::DateTime>().ok();
    let named = |name: &str| match event.get(name) {
        Some(Value::Text(text)) => moment(text),
        _ => None,
    };
    let (due, at) = (named("due")?, moment(at)?);
    let after = named("start").unwrap_or(due).duration_until(due);
    Some(at.checked_add(after).ok()?.to_string())
}

/// What an instance has otherwise than the event gives it; nothing, where it lacks something.
fn difference(event: &Props, at: &str, one: &Props) -> Props {
    let given = instance(event, at);
    let carried = one.iter().filter(|(name, _)| !ASIDE.contains(&name.as_str()));
    let other = carried.filter(|(name, value)| !given.get(*name).is_some_and(|given| item::alike(given, value)));
    let mut difference: Props = other.map(|(name, value)| (name.clone(), value.clone())).collect();
    for name in given.keys().filter(|name| !one.contains_key(*name)) {
        difference.insert(name.clone(), Value::Null);
    }
    difference
}

/// An instance with a patch in it, whose names may lead inside (RFC 8984, 1.4.9).
fn patched(mut one: Props, at: &str, patch: &Props) -> Result<Props, String> {
    for (pointer, value) in patch {
        let mut parts: Vec<String> = pointer.split('/').map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
        let last = parts.pop().unwrap_or_default();
        let first = parts.first().unwrap_or(&last);
        if MEANT.contains(&first.as_str()) {
            return Err(format!("{OVERRIDES}/{at}: {pointer} has no place in an exception here: leave it out"));
        }
        if ASIDE.contains(&first.as_str()) || OWN.contains(&first.as_str()) {
            continue;
        }
        let mut inner = &mut one;
        for part in &parts {
            inner = match inner.get_mut(part) {
                Some(Value::Map(inner)) => inner,
                _ => return Err(format!("{OVERRIDES}/{at}: {pointer} leads to what the event has not: name the whole property")),
            };
        }
        match value {
            Value::Null => inner.remove(&last),
            value => inner.insert(last, bare(value)),
        };
    }
    Ok(one)
}

/// A value without what the library keeps for itself.
pub(crate) fn bare(value: &Value) -> Value {
    match value {
        Value::Map(props) => Value::Map(bare_props(props)),
        Value::List(list) => Value::List(list.iter().map(bare).collect()),
        other => other.clone(),
    }
}

fn bare_props(props: &Props) -> Props {
    let own = |(name, value): &(&String, &Value)| OWN.contains(&name.as_str()) && matches!(value, Value::Map(_));
    props.iter().filter(|one| !own(one)).map(|(name, value)| (name.clone(), bare(value))).collect()
}

/// The same with what the library kept for itself of each thing that was there; which is which is told by what it holds where keys are
/// made up.
fn with_own(before: &Props, after: Props) -> Props {
    let mut after = if refers(&after) { after } else { named_as(before, after) };
    let keeps = !planted::is("what the library keeps is let go");
    for (name, was) in before {
        match (was, after.get_mut(name)) {
            (Value::Map(_), _) if keeps && OWN.contains(&name.as_str()) => {
                after.insert(name.clone(), was.clone());
            }
            (Value::Map(was), Some(Value::Map(inner))) => *inner = with_own(was, std::mem::take(inner)),
            _ => {}
        }
    }
    after
}

/// Whether something in it refers to a made-up key: then none is given another name.
fn refers(props: &Props) -> bool {
    props.iter().any(|(_, value)| match value {
        Value::Text(text) => item::is_made(text),
        Value::List(list) => list.iter().any(|one| matches!(one, Value::Text(text) if item::is_made(text))),
        Value::Map(inner) => refers(inner),
        _ => false,
    })
}

/// The same with each made-up key as it was before where it holds what it held.
fn named_as(before: &Props, after: Props) -> Props {
    let (made, mut named): (Props, Props) =
        after.into_iter().partition(|(name, value)| item::is_made(name) && *value != Value::Null);
    if made.is_empty() || made.len() > item::MADE_MAX {
        named.extend(made);
        return named;
    }
    let mut old: Vec<(&String, Value)> = before
        .iter()
        .filter(|(name, _)| item::is_made(name))
        .take(item::MADE_MAX)
        .map(|(name, value)| (name, bare(value)))
        .collect();
    let mut left = Vec::new();
    for (name, value) in made {
        let alike = |one: &(&String, Value)| item::alike(&one.1, &value);
        let at = old.iter().position(|one| *one.0 == name && alike(one)).or_else(|| old.iter().position(alike));
        match at {
            Some(at) => {
                let (name, _) = old.swap_remove(at);
                named.insert(name.clone(), value);
            }
            None => left.push((name, value)),
        }
    }
    // What holds something else keeps its key where that is free; another one was nothing's before.
    for (name, value) in left {
        let fresh = |name: &String| !named.contains_key(name) && !before.contains_key(name);
        let name = if named.contains_key(&name) { (1..).map(|nth| format!("k{nth}")).find(fresh).unwrap_or(name) } else { name };
        named.insert(name, value);
    }
    named
}
