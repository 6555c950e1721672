//! Owns: what older systems could do, row by row, and the page that tells how each row stands here. Must never know: how a test shows it.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::Context;
use serde::Deserialize;

use crate::named;

/// One of the older systems.
#[derive(Debug)]
pub struct System {
    /// Its file below `tests/features`.
    pub file: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// What its ids begin with.
    pub letter: char,
    /// Its ids count from 1 to this.
    pub last: usize,
    /// Ids besides.
    pub besides: &'static [&'static str],
}

/// All whose features are told of. A further one is a line here, and its file.
pub const SYSTEMS: [System; 6] = [
    System { file: "mobilesync", name: "Salesforce MobileSync and SmartStore", letter: 'S', last: 54, besides: &["S-54a"] },
    System { file: "apple", name: "Apple Sync Services", letter: 'A', last: 38, besides: &[] },
    System { file: "workmanager", name: "Android WorkManager", letter: 'W', last: 31, besides: &[] },
    System { file: "rhoconnect", name: "RhoConnect", letter: 'C', last: 47, besides: &[] },
    System { file: "realm", name: "Realm Device Sync", letter: 'R', last: 24, besides: &[] },
    System { file: "voltmx", name: "Volt MX Sync and Offline Objects", letter: 'V', last: 38, besides: &[] },
];

/// The command that makes the page anew.
pub const COMMAND: &str = "cargo features";

impl System {
    /// Every id, in its order.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let counted = (1..=self.last).map(|number| format!("{}-{number:02}", self.letter));
        counted.chain(self.besides.iter().map(|id| (*id).to_owned())).collect()
    }
}

/// One feature: how it stands, and what shows it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Such as `S-07`; it stays the same for good.
    pub id: String,
    /// What it is, in a few words of ours.
    pub feature: String,
    /// How a user gets it here; beside `differs` or `later`, what there is of it.
    pub works: Option<String>,
    /// Why it is not so here, on purpose.
    pub differs: Option<String>,
    /// The part (`parts.toml`) that brings it, or what is missing of it.
    pub later: Option<String>,
    /// What shows what `works` says, as [`named::place`] finds it.
    #[serde(default)]
    pub tests: Vec<String>,
}

/// How a row stands. What is missing in part counts as missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// All of it is there.
    Works,
    /// It is another way here, on purpose.
    Differs,
    /// It is not there, or not all of it.
    Later,
}

impl Row {
    /// How it stands.
    #[must_use]
    pub const fn stand(&self) -> Stand {
        match (&self.later, &self.differs) {
            (Some(_), _) => Stand::Later,
            (None, Some(_)) => Stand::Differs,
            (None, None) => Stand::Works,
        }
    }

    /// What is wrong with it, whatever the others are.
    fn breaches(&self, parts: &[Part]) -> Vec<String> {
        let long = |text: &Option<String>| text.as_deref().is_none_or(|text| text.len() >= 20 && !text.contains(['|', '\n']));
        let part = |name: &String| parts.iter().any(|part| part.name == *name);
        let wrong = [
            (self.feature.is_empty() || self.feature.contains('|'), "has no words".to_owned()),
            (self.works.is_none() && self.stand() == Stand::Works, "neither works, nor differs, nor comes later".to_owned()),
            (self.works.is_some() && self.tests.is_empty(), "works, and no test shows it".to_owned()),
            (!long(&self.works) || !long(&self.differs), "a sentence that says something, on one line".to_owned()),
            (self.later.is_some() && self.differs.is_some(), "differs on purpose, or comes later: not both".to_owned()),
            (self.later.as_ref().is_some_and(|name| !part(name)), format!("no part {:?} in parts.toml", self.later)),
        ];
        wrong.into_iter().filter(|(is, _)| *is).map(|(_, what)| format!("{}: {what}", self.id)).collect()
    }
}

/// What is to come.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// In a user's words.
    pub name: String,
    /// What it will bring.
    pub about: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    row: Vec<Row>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parts {
    part: Vec<Part>,
}

/// Everything in `tests/features`.
#[derive(Debug)]
pub struct Features {
    /// By the file of the system.
    pub rows: BTreeMap<String, Vec<Row>>,
    /// In their order on the page.
    pub parts: Vec<Part>,
}

impl Features {
    /// # Errors
    /// A file is not there, or something else.
    pub fn read() -> anyhow::Result<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("features");
        let text = |name: &str| fs::read_to_string(folder.join(format!("{name}.toml"))).with_context(|| name.to_owned());
        let parts: Parts = toml::from_str(&text("parts")?).context("parts")?;
        let mut rows = BTreeMap::new();
        for system in &SYSTEMS {
            let file: File = toml::from_str(&text(system.file)?).context(system.file)?;
            rows.insert(system.file.to_owned(), file.row);
        }
        Ok(Self { rows, parts: parts.part })
    }

    /// What is missing, doubled or says nothing; nothing: every row of every system stands here once.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        let mut breaches = Vec::new();
        for system in &SYSTEMS {
            let rows = self.of(system);
            let (ids, there) = (system.ids(), rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>());
            for id in &ids {
                match there.iter().filter(|one| *one == id).count() {
                    0 => breaches.push(format!("{id}: is silently missing in {}.toml", system.file)),
                    1 => {}
                    times => breaches.push(format!("{id}: stands {times} times in {}.toml", system.file)),
                }
            }
            let strange = there.iter().filter(|id| !ids.contains(id));
            breaches.extend(strange.map(|id| format!("{id}: there is no such row of {}", system.name)));
            breaches.extend(rows.iter().flat_map(|row| row.breaches(&self.parts)));
        }
        let named = |part: &&Part| !self.all().any(|row| row.later.as_ref() == Some(&part.name));
        breaches.extend(self.parts.iter().filter(named).map(|part| format!("no row waits for {:?}", part.name)));
        breaches
    }

    /// Tests that are named and not there.
    #[must_use]
    pub fn tests_that_are_missing(&self) -> Vec<String> {
        let missing = |row: &Row| {
            let gone = row.tests.iter().filter(|test| named::place(test).is_none());
            gone.map(|test| format!("{}: no test {test}", row.id)).collect::<Vec<_>>()
        };
        self.all().flat_map(missing).collect()
    }

    fn of(&self, system: &System) -> &[Row] {
        self.rows.get(system.file).map_or(&[], Vec::as_slice)
    }

    fn all(&self) -> impl Iterator<Item = &Row> {
        SYSTEMS.iter().flat_map(|system| self.of(system))
    }

    /// The page.
    #[must_use]
    pub fn page(&self) -> String {
        let mut out = String::from(HEAD);
        let counts = |rows: &[Row]| {
            [Stand::Works, Stand::Differs, Stand::Later].map(|stand| rows.iter().filter(|row| row.stand() == stand).count())
        };
        let mut sum = [0; 3];
        for system in &SYSTEMS {
            let rows = self.of(system);
            let [works, differs, later] = counts(rows);
            sum = [sum[0] + works, sum[1] + differs, sum[2] + later];
            let all = rows.len();
            let _ = writeln!(out, "| [{}](#{}) | {all} | {works} | {differs} | {later} |", system.name, anchor(system.name));
        }
        let [works, differs, later] = sum;
        let _ = writeln!(out, "| all | {} | {works} | {differs} | {later} |", works + differs + later);
        for system in &SYSTEMS {
            let _ = write!(out, "\n## {}\n\n{TABLE}", system.name);
            for row in self.of(system) {
                out.push_str(&line(row));
            }
        }
        let _ = write!(out, "\n## What comes later\n\n| part | what it brings | rows |\n|---|---|---|\n");
        for part in &self.parts {
            let waiting = self.all().filter(|row| row.later.as_ref() == Some(&part.name));
            let waiting: Vec<&str> = waiting.map(|row| row.id.as_str()).collect();
            let _ = writeln!(out, "| {} | {} | {} |", part.name, part.about, waiting.join(", "));
        }
        out
    }
}

const HEAD: &str = "# What older systems could do

<!-- Made by `cargo features` out of `tests/features`: what is to be changed here is changed there. -->

Six systems came before mingle, for keeping data in step or for working at the right moment, and each had what the others lacked. Here is everything that they could do, row by row, and how
it stands with mingle. A row keeps its id for good: tests and changes name it.

- **works**: all of it can be had, in the way that the sentence says, and the tests beside it show that: with the real programs from outside (`tests/blackbox`,
  `tests/faults`, `tests/killing`, `tests/upgrades`), with remotes and their servers (`tests/conformance`), with engine and store on a virtual clock
  (`tests/simulation`), or with the part that does it.
- **differs**: it is another way here on purpose, for the reason that is given; the tests beside it are of what there is in its place.
- **later**: it is not built, or a part of it is not; the part of mingle that brings it is named, and [told below](#what-comes-later). What there is of it today
  stands before that. What is missing in part is counted as missing.

No row is left out; a test knows all ids.

| system | rows | works | differs | later |
|---|---|---|---|---|
";

const TABLE: &str = "| id | feature | | how, or why not | shown by |\n|---|---|---|---|---|\n";

/// A row as the page has it.
fn line(row: &Row) -> String {
    let stand = match row.stand() {
        Stand::Works => "works",
        Stand::Differs => "differs",
        Stand::Later => "later",
    };
    let works = row.works.as_ref().map(|works| sentence(works));
    let rest = match (&row.later, &row.differs) {
        (Some(part), _) => Some(format!("*Later: {part}.*")),
        (None, differs) => differs.as_ref().map(|differs| sentence(differs)),
    };
    let told: Vec<String> = works.into_iter().chain(rest).collect();
    let shown: Vec<String> = row.tests.iter().map(|test| link(test)).collect();
    format!("| {} | {} | {stand} | {} | {} |\n", row.id, row.feature, told.join(" "), shown.join(", "))
}

/// With a capital and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    let text: String = first.chain(letters).collect();
    if text.ends_with(['.', '?']) { text } else { format!("{text}.") }
}

/// A test, by its name, leading to where it stands.
fn link(test: &str) -> String {
    let name = test.rsplit("::").next().unwrap_or(test);
    named::place(test).map_or_else(|| name.to_owned(), |place| format!("[{name}](../../{place})"))
}

/// The anchor that a heading has.
fn anchor(heading: &str) -> String {
    heading.to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All rows of all systems, as good as they can be.
    fn good() -> Features {
        let row = |id: String| Row {
            id,
            feature: "a thing".into(),
            works: Some("as one would think it does".into()),
            tests: vec!["harness::rows_that_are_missing_doubled_or_empty_are_found".into()],
            ..Row::default()
        };
        let rows = SYSTEMS.iter().map(|system| (system.file.to_owned(), system.ids().into_iter().map(row).collect()));
        Features { rows: rows.collect(), parts: Vec::new() }
    }

    #[test]
    fn rows_that_are_missing_doubled_or_empty_are_found() {
        #[track_caller]
        fn check(change: impl Fn(&mut Vec<Row>), expect: &[&str]) {
            let mut features = good();
            features.parts.push(Part { name: "blobs".into(), about: "large values".into() });
            features.rows.get_mut("realm").expect("its rows")[0].later = Some("blobs".into());
            change(features.rows.get_mut("mobilesync").expect("its rows"));
            assert_eq!(features.breaches(), expect);
        }
        check(|_| {}, &[]);
        check(|rows| drop(rows.remove(6)), &["S-07: is silently missing in mobilesync.toml"]);
        check(|rows| rows.retain(|row| row.id != "S-54a"), &["S-54a: is silently missing in mobilesync.toml"]);
        check(|rows| rows.push(rows[6].clone()), &["S-07: stands 2 times in mobilesync.toml"]);
        check(
            |rows| rows[6].id = "X-07".into(),
            &[
                "S-07: is silently missing in mobilesync.toml",
                "X-07: there is no such row of Salesforce MobileSync and SmartStore",
            ],
        );
        check(|rows| rows[0].tests.clear(), &["S-01: works, and no test shows it"]);
        check(|rows| rows[0].works = None, &["S-01: neither works, nor differs, nor comes later"]);
        check(|rows| rows[0].differs = Some("no".into()), &["S-01: a sentence that says something, on one line"]);
        check(|rows| rows[0].later = Some("soon".into()), &["S-01: no part Some(\"soon\") in parts.toml"]);
        let mut features = good();
        features.parts.push(Part { name: "blobs".into(), about: "large values".into() });
        assert_eq!(features.breaches(), ["no row waits for \"blobs\""]);
    }

    #[test]
    fn what_is_missing_in_part_counts_as_missing() {
        let text = |text: &str| Some(text.to_owned());
        let row = Row { works: text("x"), ..Row::default() };
        assert_eq!(row.stand(), Stand::Works);
        assert_eq!(Row { differs: text("x"), ..row.clone() }.stand(), Stand::Differs);
        assert_eq!(Row { later: text("x"), ..row }.stand(), Stand::Later);
    }

    #[test]
    fn a_row_is_told_with_where_its_test_is() {
        let row = Row {
            id: "S-07".into(),
            feature: "restart".into(),
            works: Some("`mingle restart`".into()),
            later: Some("blobs".into()),
            tests: vec!["harness::a_row_is_told_with_where_its_test_is".into()],
            ..Row::default()
        };
        let place = "[a_row_is_told_with_where_its_test_is](../../tests/harness/features.rs)";
        assert_eq!(line(&row), format!("| S-07 | restart | later | `mingle restart`. *Later: blobs.* | {place} |\n"));
    }
}
