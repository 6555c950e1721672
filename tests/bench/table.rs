//! Owns: the rows of all rounds, their medians beside the goals, the printed table and the file that keeps them.
//! Must never know: how anything is measured.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    process::Command,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use serde_json::{Value, json};

use crate::place;

/// What a goal asks of ours over the anchor's.
#[derive(Clone, Copy)]
pub enum Goal {
    /// At least so many times the anchor.
    AtLeast(f64),
    /// At most so many times the anchor.
    AtMost(f64),
    /// Not measured against: told for orientation.
    None,
}

/// One line of the table.
struct Line {
    figure: &'static str,
    what: String,
    anchor: String,
    ours: String,
    ratio: String,
    goal: String,
    met: &'static str,
}

/// Everything that was measured.
pub struct Table {
    about: Value,
    rows: Vec<Value>,
    lines: Vec<Line>,
    /// So many of the lines are kept already.
    kept: usize,
    begun: Instant,
}

impl Table {
    pub fn new(program: &Path) -> anyhow::Result<Self> {
        let said = |program: &str, arguments: &[&str]| {
            let out = Command::new(program).args(arguments).current_dir(place::repository()).output().ok()?;
            Some(String::from_utf8_lossy(&out.stdout).trim().to_owned())
        };
        let commit = said("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_default();
        let changed = said("git", &["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
        let at = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?.as_secs();
        let built = fs::metadata(program)?.modified()?.duration_since(UNIX_EPOCH)?.as_secs();
        let about = json!({
            "commit": commit,
            "changed": changed,
            "date": said("date", &["-u", "-Iseconds", "-d", &format!("@{at}")]),
            "mingled_built": said("date", &["-u", "-Iseconds", "-d", &format!("@{built}")]),
            "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        });
        say(&format!("{about}"));
        Ok(Self { about, rows: Vec::new(), lines: Vec::new(), kept: 0, begun: Instant::now() })
    }

    /// Keeps what one round brought, and says it.
    pub fn row(&mut self, row: Value) {
        say(&format!("{row}"));
        self.rows.push(row);
    }

    /// A figure: the medians of both, their ratio, the goal.
    pub fn figure(&mut self, figure: &'static str, what: &str, unit: &str, anchor: &[f64], ours: &[f64], goal: Goal) {
        let (anchor, ours) = (median(anchor), median(ours));
        let ratio = if anchor > 0.0 { ours / anchor } else { f64::NAN };
        let (goal, met) = match goal {
            Goal::AtLeast(least) => (format!(">= {least} x"), if ratio >= least { "met" } else { "NOT MET" }),
            Goal::AtMost(most) => (format!("<= {most:.3} x"), if ratio <= most { "met" } else { "NOT MET" }),
            Goal::None => ("-".to_owned(), "-"),
        };
        let told = |value: f64| format!("{}{unit}", number(value));
        self.lines.push(Line {
            figure,
            what: what.to_owned(),
            anchor: told(anchor),
            ours: told(ours),
            ratio: format!("{ratio:.3}"),
            goal,
            met,
        });
    }

    /// A figure that has no ratio: its value must pass by itself.
    pub fn plain(&mut self, figure: &'static str, what: &str, anchor: &str, ours: &str, goal: &str, met: Option<bool>) {
        let met = match met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "-",
        };
        self.lines.push(Line {
            figure,
            what: what.to_owned(),
            anchor: anchor.to_owned(),
            ours: ours.to_owned(),
            ratio: "-".to_owned(),
            goal: goal.to_owned(),
            met,
        });
    }

    pub fn print(&self) {
        let mut lines = vec![["figure", "what", "anchor", "ours", "ratio", "goal", ""].map(str::to_owned)];
        for line in &self.lines {
            let Line { figure, what, anchor, ours, ratio, goal, met } = line;
            lines.push([
                (*figure).to_owned(),
                what.clone(),
                anchor.clone(),
                ours.clone(),
                ratio.clone(),
                goal.clone(),
                (*met).to_owned(),
            ]);
        }
        let widths: Vec<usize> =
            (0..7).map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)).collect();
        for line in &lines {
            let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
            say(cells.collect::<Vec<_>>().join("  ").trim_end());
        }
    }

    /// Begins to measure some figures: what the machine does meanwhile is kept with them.
    pub fn begin(&mut self) {
        self.about["load_before"] = load();
        self.begun = Instant::now();
    }

    /// Appends what came since the last time to the results of all runs, as one line of JSON: a run that is cut off keeps what it has.
    pub fn keep(&mut self) -> anyhow::Result<()> {
        self.about["load_after"] = load();
        self.about["seconds"] = self.begun.elapsed().as_secs().into();
        let lines = self.lines[self.kept..].iter().map(|line| {
            let pairs = [
                ("figure", line.figure),
                ("what", &line.what),
                ("anchor", &line.anchor),
                ("ours", &line.ours),
                ("ratio", &line.ratio),
                ("goal", &line.goal),
                ("met", line.met),
            ];
            BTreeMap::from(pairs)
        });
        let all = json!({ "about": self.about, "table": lines.collect::<Vec<_>>(), "rows": self.rows });
        let path = place::results()?.join("results.jsonl");
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        writeln!(file, "{all}")?;
        self.kept = self.lines.len();
        self.rows.clear();
        say(&format!(
            "kept after {} s: {}",
            self.about["seconds"],
            path.strip_prefix(place::repository()).unwrap_or(&path).display()
        ));
        Ok(())
    }
}

fn load() -> Value {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|first| first.parse::<f64>().ok()).map_or(Value::Null, Value::from)
}

/// The middle one; of an even number, the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => sorted[count / 2],
        count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
    }
}

fn number(value: f64) -> String {
    if value.abs() >= 1_000.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

#[expect(clippy::print_stdout, reason = "figures are for whoever runs the bench")]
pub fn say(line: &str) {
    println!("{line}");
}
