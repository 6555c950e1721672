//! Owns: the results of the last runs, and the tables that README makes of them. Must never know: how anything was tried or measured.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Everything that the last runs brought: `tests/results/last.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// What tests tried, in one run of all of them.
    pub tried: Tried,
    /// What was measured, the last time each.
    pub figures: Vec<Figure>,
    /// What every round brought, by figure.
    pub rows: BTreeMap<String, Vec<Value>>,
}

/// The tallies of one run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Tried {
    /// Of which commit the run was, short.
    pub commit: String,
    /// When, `2026-11-25`.
    pub date: String,
    /// By what was tried.
    pub tallies: BTreeMap<String, Tally>,
    /// How long each stage of `.ci/run` took, in seconds.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stages: BTreeMap<String, u64>,
    /// The run came to its end, all stages in one piece.
    #[serde(default)]
    pub whole: bool,
}

/// The stage that D7 has a goal for, in minutes.
const TESTS: (&str, u64) = ("tests", 30);

impl Tried {
    /// D7's second line: the tests of the workspace, of the same run as the tallies.
    fn tests(&self) -> Option<Figure> {
        let (stage, goal) = TESTS;
        let seconds = *self.stages.get(stage)?;
        Some(Figure {
            figure: "D7".into(),
            what: "`cargo test --workspace` in `.ci/run`, the build of the tests included".into(),
            anchor: "-".into(),
            ours: format!("{}.{} min", seconds / 60, seconds % 60 / 6),
            ratio: "-".into(),
            goal: format!("<= {goal} min after the build"),
            met: if seconds <= goal * 60 { "met" } else { "NOT MET" }.into(),
            commit: self.commit.clone(),
            date: self.date.clone(),
        })
    }
}

/// How often a thing was tried.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// In all.
    pub tries: u64,
    /// Of these.
    pub failed: u64,
}

/// A line of the bench's table, and when it was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figure {
    /// Its id, such as `W1`.
    pub figure: String,
    /// What was measured.
    pub what: String,
    /// The median of what it is measured against, with its unit.
    pub anchor: String,
    /// Our median, with its unit.
    pub ours: String,
    /// Ours over the anchor's.
    pub ratio: String,
    /// What the ratio should be.
    pub goal: String,
    /// `met`, `NOT MET` or `-`.
    pub met: String,
    /// Of which commit, short.
    #[serde(default)]
    pub commit: String,
    /// When, `2026-11-25`.
    #[serde(default)]
    pub date: String,
}

/// What we promise, and which tallies try it: `tests/results/promises.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promises {
    /// In the order of README.
    pub promise: Vec<Promise>,
    /// What a tally counts, where its name does not say it.
    #[serde(default)]
    pub words: BTreeMap<String, String>,
    /// How often each must be tried in a run of `.ci/run`: goals of trust, and what a fixed list has.
    pub at_least: BTreeMap<String, u64>,
    /// Tallies that back no promise.
    #[serde(default)]
    pub besides: Vec<String>,
}

/// One promise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// In a user's words.
    pub says: String,
    /// Where it is tried.
    pub by: Vec<String>,
    /// The tallies that are told of it.
    #[serde(default)]
    pub tried: Vec<String>,
}

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results")
}

impl Results {
    /// Reads the file; an empty one where there is none.
    ///
    /// # Errors
    /// It is not what this program writes.
    pub fn read() -> anyhow::Result<Self> {
        match fs::read_to_string(folder().join("last.json")) {
            Ok(text) => Ok(serde_json::from_str(&text)?),
            Err(_) => Ok(Self::default()),
        }
    }

    /// # Errors
    /// The file cannot be written.
    pub fn write(&self) -> anyhow::Result<()> {
        // A line for each row: what changed shows in a comparison.
        let mut out = format!("{{\"tried\": {},\n\"figures\": [\n", serde_json::to_string(&self.tried)?);
        let figures = self.figures.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        let _ = write!(out, "{}\n],\n\"rows\": {{", figures.join(",\n"));
        for (number, (figure, rows)) in self.rows.iter().enumerate() {
            let rows: Vec<String> = rows.iter().map(Value::to_string).collect();
            let _ = write!(out, "{}\n\"{figure}\": [\n{}\n]", if number == 0 { "" } else { "," }, rows.join(",\n"));
        }
        out.push_str("}}\n");
        Ok(fs::write(folder().join("last.json"), out)?)
    }

    /// Takes what tests told ([`crate::tally`]) in one run: first a line with `commit` and `date`, then the tallies, and how long each
    /// stage took.
    ///
    /// # Errors
    /// A line is something else.
    pub fn take_tallies(&mut self, text: &str) -> anyhow::Result<()> {
        let mut tried = Tried::default();
        for line in text.lines() {
            let line: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
            if line["whole"].as_bool() == Some(true) {
                tried.whole = true;
            } else if let Some(stage) = line["stage"].as_str() {
                tried.stages.insert(stage.to_owned(), line["seconds"].as_u64().context("no seconds")?);
            } else if let Some(what) = line["what"].as_str() {
                let tally = tried.tallies.entry(what.to_owned()).or_default();
                tally.tries += line["tries"].as_u64().context("no tries")?;
                tally.failed += line["failed"].as_u64().context("no count of failures")?;
            } else {
                tried.commit = line["commit"].as_str().context("no commit")?.to_owned();
                tried.date = line["date"].as_str().context("no date")?.to_owned();
            }
        }
        if tried.commit.is_empty() {
            bail!("the tallies do not say of which commit they are");
        }
        if !tried.whole {
            bail!("this run did not come to its end: it says nothing of what was not tried");
        }
        self.tried = tried;
        Ok(())
    }

    /// Takes one line of the bench's results: each figure in it takes the place of the one before.
    ///
    /// # Errors
    /// It is something else.
    pub fn take_bench(&mut self, line: &str) -> anyhow::Result<()> {
        let mut run: Value = serde_json::from_str(line)?;
        let (commit, date) = (run["about"]["commit"].take(), run["about"]["date"].take());
        let of = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut lines: Vec<Figure> = serde_json::from_value(run["table"].take())?;
        lines.retain(|line| line.figure != "disk" && !line.what.starts_with("could not be measured"));
        let taken: Vec<String> = lines.iter().map(|line| line.figure.clone()).collect();
        self.figures.retain(|line| !taken.contains(&line.figure));
        for line in &mut lines {
            line.commit = of(&commit);
            line.date = of(&date).chars().take(10).collect();
        }
        self.figures.extend(lines);
        self.figures.sort_by(|a, b| a.figure.cmp(&b.figure));
        let mut rows: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for row in run["rows"].as_array().into_iter().flatten() {
            rows.entry(of(&row["figure"])).or_default().push(row.clone());
        }
        self.rows.extend(rows);
        Ok(())
    }
}

impl Promises {
    /// # Errors
    /// The file is not there, or something else.
    pub fn read() -> anyhow::Result<Self> {
        Ok(toml::from_str(&fs::read_to_string(folder().join("promises.toml"))?)?)
    }

    /// What a run left out, tried too seldom, or saw fail; nothing: it backs every promise.
    #[must_use]
    pub fn broken_by(&self, tried: &Tried) -> Vec<String> {
        let mut breaches = Vec::new();
        if !tried.whole {
            breaches.push("the run that is written down did not come to its end".to_owned());
        }
        for (what, floor) in &self.at_least {
            match tried.tallies.get(what) {
                None => breaches.push(format!("{what} was not tried")),
                Some(Tally { tries, failed }) if *failed > 0 => breaches.push(format!("{what}: {failed} of {tries} failed")),
                Some(Tally { tries, .. }) if tries < floor => breaches.push(format!("{what}: {tries} tries, at least {floor}")),
                Some(_) => {}
            }
        }
        breaches
    }
}

/// The table of promises, as README shows it.
#[must_use]
pub fn promises(promises: &Promises, results: &Results) -> String {
    let mut out = String::from("| promise | the last run | tried by |\n|---|---|---|\n");
    for promise in &promises.promise {
        let told = promise.tried.iter().map(|what| {
            let words = promises.words.get(what).cloned().unwrap_or_else(|| what.replace('-', " "));
            let floor = promises.at_least.get(what).copied().unwrap_or(0);
            match results.tried.tallies.get(what) {
                Some(Tally { tries, failed }) if *tries < floor => {
                    format!("{} {words} of {}: {failed} failed", thousands(*tries), thousands(floor))
                }
                Some(Tally { tries, failed }) => format!("{} {words}: {failed} failed", thousands(*tries)),
                None => format!("{words}: not run"),
            }
        });
        let told = if results.tried.commit.is_empty() { "-".to_owned() } else { told.collect::<Vec<_>>().join("; ") };
        let by: Vec<String> = promise.by.iter().map(|place| format!("`{place}`")).collect();
        let _ = writeln!(out, "| {} | {told} | {} |", promise.says, by.join(", "));
    }
    let Tried { commit, date, stages, whole, .. } = &results.tried;
    if commit.is_empty() {
        out.push_str("\nNo run of all of `.ci/run` is written down yet: it prints how often each was tried.\n");
        return out;
    }
    let minutes = stages.values().sum::<u64>() / 60;
    let piece = if *whole { "in one piece, planted bugs included" } else { "not to its end" };
    let _ = write!(
        out,
        "\nThe last run of `.ci/run` that is written down: {date}, at `{commit}`, {} stages {piece}, {minutes} minutes.\n",
        stages.len()
    );
    out
}

/// The table of figures.
#[must_use]
pub fn figures(results: &Results) -> String {
    if results.figures.is_empty() {
        return "No run on a quiet machine is written down yet.\n".to_owned();
    }
    let mut out = String::from("| | measured | anchor | ours | ratio | goal | | on |\n|---|---|---|---|---|---|---|---|\n");
    let mut lines = results.figures.clone();
    lines.extend(results.tried.tests());
    lines.sort_by(|a, b| a.figure.cmp(&b.figure));
    for line in &lines {
        let Figure { figure, what, anchor, ours, ratio, goal, met, commit, date } = line;
        let _ = writeln!(out, "| {figure} | {what} | {anchor} | {ours} | {ratio} | {goal} | {met} | {date} `{commit}` |");
    }
    out
}

/// The page with what stands between `<!-- NAME -->` and `<!-- end of NAME -->` made anew.
///
/// # Errors
/// The page has no such marks.
pub fn between(page: &str, name: &str, text: &str) -> anyhow::Result<String> {
    let (first, last) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let begin = page.find(&first).with_context(|| format!("no {first}"))? + first.len();
    let end = begin + page[begin..].find(&last).with_context(|| format!("no {last}"))?;
    Ok(format!("{}{text}{}", &page[..begin], &page[end..]))
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// README as the last runs make it.
///
/// # Errors
/// A file is not there, or not what it should be.
pub fn readme(page: &str) -> anyhow::Result<String> {
    let results = Results::read()?;
    let page = between(page, "promises", &promises(&Promises::read()?, &results))?;
    between(&page, "figures", &figures(&results))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_people() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn tallies_of_one_run_are_added_up_and_say_of_which_commit_they_are() {
        let mut results = Results::default();
        let two = "{\"commit\":\"abc\",\"date\":\"2026-01-02\"}\n{\"what\":\"kills\",\"tries\":30,\"failed\":0}\n{\"what\":\"kills\",\"tries\":1000,\"failed\":1}\n{\"whole\":true}\n";
        results.take_tallies(two).expect("tallies");
        assert_eq!((results.tried.tallies["kills"].tries, results.tried.tallies["kills"].failed), (1_030, 1));
        assert!(!figures(&results).contains("D7"));
        assert!(results.take_tallies("{\"what\":\"kills\",\"tries\":1,\"failed\":0}\n{\"whole\":true}\n").is_err());
        assert!(results.take_tallies(two.strip_suffix("{\"whole\":true}\n").expect("its end")).is_err(), "cut short");
    }

    #[test]
    fn a_run_that_tried_too_little_backs_nothing() {
        let read = r#"
            promise = []
            at_least = { kills = 1000, images = 20 }
        "#;
        let promises: Promises = toml::from_str(read).expect("promises");
        let broken_by = |kills: u64, failed: u64, whole: bool| {
            let tally = |tries, failed| Tally { tries, failed };
            let tallies = [("kills".to_owned(), tally(kills, failed)), ("images".to_owned(), tally(20, 0))].into();
            promises.broken_by(&Tried { tallies, whole, ..Tried::default() })
        };
        assert_eq!(broken_by(1_000, 0, true), [""; 0]);
        assert_eq!(broken_by(999, 0, true), ["kills: 999 tries, at least 1000"]);
        assert_eq!(broken_by(1_000, 1, true), ["kills: 1 of 1000 failed"]);
        assert_eq!(broken_by(1_000, 0, false).len(), 1);
        assert_eq!(promises.broken_by(&Tried { whole: true, ..Tried::default() }).len(), 2);
    }

    #[test]
    fn how_long_the_tests_took_is_a_figure() {
        let mut results = Results { figures: vec![Figure::default()], ..Results::default() };
        let run = |seconds: u64| {
            format!(
                "{{\"commit\":\"abc\",\"date\":\"2026-01-02\"}}\n{{\"stage\":\"tests\",\"seconds\":{seconds}}}\n{{\"whole\":true}}\n"
            )
        };
        for (seconds, told) in [(1_099, "| 18.3 min | - | <= 30 min after the build | met |"), (1_801, "| NOT MET |")] {
            results.take_tallies(&run(seconds)).expect("a run");
            assert!(figures(&results).contains(told), "{}", figures(&results));
        }
    }

    #[test]
    fn only_what_stands_between_the_marks_is_made_anew() {
        let page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n";
        assert_eq!(between(page, "x", "new\n").expect("marks"), "a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n");
        assert!(between(page, "y", "").is_err());
    }

    #[test]
    fn a_figure_takes_the_place_of_the_one_before() {
        let mut results = Results::default();
        let run = |ours: &str| {
            format!(
                "{{\"about\":{{\"commit\":\"c\",\"date\":\"2026-01-02T03:04:05\"}},\"rows\":[{{\"figure\":\"W1\"}}],\"table\":[{{\"figure\":\"W1\",\"what\":\"w\",\"anchor\":\"1\",\"ours\":\"{ours}\",\"ratio\":\"1\",\"goal\":\"1\",\"met\":\"met\"}}]}}"
            )
        };
        results.take_bench(&run("1")).expect("a run");
        results.take_bench(&run("2")).expect("a run");
        assert_eq!(results.figures.iter().map(|line| line.ours.as_str()).collect::<Vec<_>>(), ["2"]);
        assert_eq!((results.rows["W1"].len(), results.figures[0].date.as_str()), (1, "2026-01-02"));
    }
}
