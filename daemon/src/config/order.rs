//! Owns: `every`, `initial_delay`, `priority`, `after` and `tags` of a sync: how they are written, and whether the syncs that go first are there
//! and in no circle. Must never know: when a sync is due.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mingle_core::limits::PRIORITY;
use toml::de::DeValue;

use super::{Config, check::complain, problem::did_you_mean, section::Section, sections::Draft, words};

const EVERY: &str = "every = { min = \"1m\", max = \"1h\" }, or one interval: every = \"15m\"";
/// A sync waits for so many others at most; who needs more names one that waits for them.
const AFTER_MAX: usize = 16;
/// A sync is called by so many tags at most; who needs more means something that `mingle sync SYNC..` says better.
const TAGS_MAX: usize = 16;

/// One interval, or the shortest and the longest of one that adapts.
pub(super) fn every(read: &mut Section<'_>) -> Option<(Duration, Option<Duration>)> {
    let Some(DeValue::Table(table)) = read.value("every").map(toml::Spanned::get_ref) else {
        return read.duration("every").map(|every| (every, None));
    };
    read.within("every", table, |inside| {
        let (min, max) = (inside.duration("min"), inside.duration("max"));
        for (key, bound) in [("min", min), ("max", max)] {
            if bound.is_none() && !table.contains_key(key) {
                inside.complain("", format!("an `every` that adapts needs its `{key}`"), EVERY);
            }
        }
        let (min, max) = (min?, max?);
        if min > max {
            let what = format!("`min` ({}) is longer than `max` ({})", words::shown(min), words::shown(max));
            inside.complain("min", what, EVERY);
        }
        Some((min, Some(max.max(min))))
    })
}

/// `demand`. `down`: the sync brings something.
pub(super) fn demand(read: &mut Section<'_>, down: bool) -> bool {
    let demand = read.flag("demand").unwrap_or(false);
    if demand && !down {
        read.complain("demand", "a sync that only sends brings nothing that anybody could ask for", "take it out");
    }
    demand
}

/// The delay of the first run; `by_itself`: there is something that makes the sync due without a request or a change.
pub(super) fn initial_delay(read: &mut Section<'_>, by_itself: bool) -> Option<Duration> {
    let delay = read.duration("initial_delay")?;
    if !by_itself {
        let what = "`initial_delay` delays a first run that nothing makes due";
        read.complain("initial_delay", what, "add every, cron or on_start = true, or take it out");
    }
    Some(delay)
}

pub(super) fn priority(read: &mut Section<'_>) -> u32 {
    let number = match read.value("priority").map(toml::Spanned::get_ref) {
        None => return PRIORITY,
        Some(DeValue::Integer(number)) => u32::from_str_radix(number.as_str(), number.radix()).ok(),
        Some(_) => None,
    };
    number.unwrap_or_else(|| {
        let hint = format!("the lower goes first; without it a sync has {PRIORITY}");
        read.wrong("priority", "a whole number from 0 to 4294967295", &hint);
        PRIORITY
    })
}

pub(super) fn after(read: &mut Section<'_>) -> Vec<String> {
    let after = read.list("after");
    if after.len() > AFTER_MAX {
        let hint = "name one that waits for the others itself";
        read.complain("after", format!("`after` names {} syncs, and at most {AFTER_MAX} are waited for", after.len()), hint);
    }
    after
}

/// What it is called by together with others.
pub(super) fn tags(read: &mut Section<'_>) -> Vec<String> {
    let tags = read.list("tags");
    if tags.len() > TAGS_MAX {
        read.complain("tags", format!("`tags` has {} of them, and a sync has at most {TAGS_MAX}", tags.len()), "");
    }
    for tag in &tags {
        if let Err(what) = words::name(tag) {
            read.complain("tags", what, "tags = [\"home\", \"nightly\"]");
        }
    }
    tags
}

/// Whether those that go first are there, and nobody waits for themselves.
pub(super) fn check(draft: &mut Draft) {
    let config = &draft.config;
    let mut found = Vec::new();
    for (name, sync) in &config.syncs {
        for first in &sync.timing.after {
            if !config.syncs.contains_key(first) && !draft.partial && !draft.seen.contains(&format!("sync.{first}")) {
                let hint = did_you_mean(first, config.syncs.keys().map(String::as_str));
                found.push((format!("sync.{name}.after"), format!("no sync is called `{first}`"), hint));
            }
        }
    }
    for circle in circles(config) {
        let what = format!("`after` goes in a circle, and none of these would ever run: {}", circle.join(" after "));
        found.push((format!("sync.{}.after", circle[0]), what, "take one of the names out".into()));
    }
    for (key, what, hint) in found {
        complain(draft, &key, what, hint);
    }
}

/// Syncs that wait for themselves through others, each circle from its first name around to it again; circles that share a sync are one
/// after the other.
fn circles(config: &Config) -> Vec<Vec<String>> {
    let mut waits: BTreeMap<&str, BTreeSet<&str>> =
        config.syncs.iter().map(|(name, sync)| (name.as_str(), sync.timing.after.iter().map(String::as_str).collect())).collect();
    let mut circles = Vec::new();
    loop {
        // Whoever waits for nobody that is left is in no circle.
        loop {
            let left: BTreeSet<&str> = waits.keys().copied().collect();
            waits.values_mut().for_each(|firsts| firsts.retain(|first| left.contains(first)));
            let before = waits.len();
            waits.retain(|_, firsts| !firsts.is_empty());
            if waits.len() == before {
                break;
            }
        }
        let Some(start) = waits.keys().next().copied() else { return circles };
        let mut path = vec![start];
        let circle = loop {
            let next = path.last().and_then(|last| waits.get(last)?.first().copied()).unwrap_or(start);
            if let Some(place) = path.iter().position(|name| *name == next) {
                break path.split_off(place);
            }
            path.push(next);
        };
        let least = circle.iter().enumerate().min_by_key(|(_, name)| **name).map_or(0, |(place, _)| place);
        let around = circle.iter().cycle().skip(least).take(circle.len() + 1);
        circles.push(around.map(|name| (*name).to_owned()).collect());
        circle.iter().for_each(|name| {
            waits.remove(name);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Repeat,
        tests::{REMOTE, SYNC, good, said},
    };
    use super::*;

    /// Syncs by name, each with what it says of its turn.
    fn syncs(each: &[(&str, &str)]) -> String {
        let one = |(name, keys): &(&str, &str)| {
            format!("[sync.{name}] | collection = '{name}' | remote = 'r' | resource = '{name}' | direction = 'down' | {keys} | ")
        };
        format!("{REMOTE}{}", each.iter().map(one).collect::<String>())
    }

    #[test]
    fn who_goes_first_is_there_and_does_not_wait_for_itself() {
        let check = |each: &[(&str, &str)], expected: &str| assert_eq!(said(&syncs(each)), expected, "{each:?}");
        check(&[("a", ""), ("b", "after = ['a']"), ("c", "after = ['a', 'b']")], "good");
        check(&[("apes", ""), ("b", "after = ['aps']")], "16 no sync is called `aps`; did you mean `apes`?");
        check(&[("b", "after = ['zoo']")], "10 no sync is called `zoo`; known: b");
        check(&[("a", "after = 'b'")], "10 `sync.a.after` must be a list of names in quotes; after = [\"number\", \"title\"]");
        let circle = |line: u32, names: &str| {
            format!("{line} `after` goes in a circle, and none of these would ever run: {names}; take one of the names out")
        };
        check(&[("a", "after = ['a']")], &circle(10, "a after a"));
        check(&[("a", ""), ("b", "after = ['c']"), ("c", "after = ['a', 'b']")], &circle(16, "b after c after b"));
        check(
            &[("a", "after = ['b']"), ("b", "after = ['a']"), ("c", "after = ['a', 'd']"), ("d", "after = ['c']")],
            &format!("{} + {}", circle(10, "a after b after a"), circle(22, "c after d after c")),
        );
        let many: Vec<String> = (0..17).map(|number| format!("'s{number}'")).collect();
        let said = said(&syncs(&[("a", &format!("after = [{}]", many.join(", ")))]));
        assert!(said.contains("`after` names 17 syncs, and at most 16 are waited for; name one that"), "{said}");
    }

    #[test]
    fn turns_and_adaptive_intervals_are_checked() {
        let check = |keys: &str, expected: &str| assert_eq!(said(&format!("{REMOTE}{SYNC}{keys}")), expected, "{keys}");
        check("every = { min = '1m', max = '1h' } | flex = '30s' | initial_delay = '5m' | priority = 10", "good");
        check("every = { min = '1m' }", &format!("9 an `every` that adapts needs its `max`; {EVERY}"));
        check("every = { min = '2h', max = '1h' }", &format!("9 `min` (2h) is longer than `max` (1h); {EVERY}"));
        check("every = { min = '1m', max = '1h', mid = '5m' }", "9 unknown key `sync.s.every.mid`; did you mean `min`?");
        check("every = { min = '10ms', max = '1h' }", "9 `every` is shorter than 1s");
        check(
            "every = { min = '1m', max = '1h' } | flex = '2m'",
            "10 `flex` is longer than `every`; it is the last part of the interval",
        );
        check(
            "initial_delay = '5m'",
            "9 `initial_delay` delays a first run that nothing makes due; add every, cron or on_start = true, or take it out",
        );
        let number = "must be a whole number from 0 to 4294967295; the lower goes first; without it a sync has 1000";
        check("priority = -1", &format!("9 `sync.s.priority` {number}"));
        check("priority = 'high'", &format!("9 `sync.s.priority` {number}"));
        check("tags = ['home', 'nightly']", "good");
        check("tags = ['home', 'home']", "9 `sync.s.tags` has `home` twice");
        let name = "a small letter, then small letters, digits and _, at most 63";
        check("tags = ['At home']", &format!("9 `At home` is no name: {name}; tags = [\"home\", \"nightly\"]"));
        let many: Vec<String> = (0..17).map(|place| format!("'t{place}'")).collect();
        check(&format!("tags = [{}]", many.join(", ")), "9 `tags` has 17 of them, and a sync has at most 16");
        let config = good(&format!("{REMOTE}{SYNC}every = {{ min = '1m', max = '1h' }}"));
        let timing = &config.syncs["s"].timing;
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        let every = Repeat::Every { every: minutes(1), flex: minutes(1), grows_to: Some(minutes(60)) };
        assert_eq!((&timing.repeat, timing.priority, timing.initial_delay), (&every, 1000, None));
        assert_eq!(timing.alert_after, minutes(24 * 60));
    }
}
