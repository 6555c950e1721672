//! Owns: measuring: which figures, in which order, on what machine. Must never know: how one figure is measured; a daemon's inside.
//!
//! `cargo run --release -p mingle-tests --bin bench -- [W1 W2 W3 R1 S1 T7] [--rounds N] [--seconds S]`
//!
//! Each figure stands beside its anchor, measured in the same run, in turns; ratios of medians are told, met or not. The rows of
//! every round go to `target/bench/results.jsonl`. Never part of a test: a figure of a busy machine proves nothing.

mod calls;
mod disk;
mod down;
mod place;
mod stops;
mod table;
mod worker;
mod writes;

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};

use table::Table;

/// What was asked for.
struct Asked {
    figures: Vec<String>,
    rounds: usize,
    seconds: Duration,
}

impl Asked {
    fn read(words: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut asked = Self { figures: Vec::new(), rounds: 5, seconds: Duration::from_secs(3) };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut number = || -> anyhow::Result<u64> {
                let text = words.next().with_context(|| format!("{word} needs a number"))?;
                text.parse().with_context(|| format!("{word} {text}: no number"))
            };
            match word.as_str() {
                "--rounds" => asked.rounds = usize::try_from(number()?.max(1))?,
                "--seconds" => asked.seconds = Duration::from_secs(number()?.max(1)),
                "W1" | "W2" | "W3" | "R1" | "S1" | "T7" => asked.figures.push(word),
                other => bail!("{other}: figures are W1 W2 W3 R1 S1 T7; settings are --rounds N and --seconds S"),
            }
        }
        Ok(asked)
    }

    fn wants(&self, any: &[&str]) -> bool {
        self.figures.is_empty() || any.iter().any(|figure| self.figures.iter().any(|asked| asked == figure))
    }
}

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // The same program is each of the apps, the writers beside us and the echo: they must be processes of their own.
    if let Some((first, rest)) = words.split_first()
        && first == worker::HIDDEN
    {
        return worker::main(rest);
    }
    let asked = Asked::read(words)?;
    let program = place::daemon()?;
    let mut table = Table::new(&program)?;
    type Measure = fn(&Path, &Asked, &mut Table) -> anyhow::Result<()>;
    let all: [(&[&str], Measure); 4] =
        [(&["W1", "W2", "W3"], writes::measure), (&["R1"], calls::measure), (&["S1"], down::measure), (&["T7"], stops::measure)];
    let mut failed = Ok(());
    for (figures, measure) in all {
        if asked.wants(figures)
            && let Err(error) = measure(&program, &asked, &mut table)
        {
            // What was measured before is still told.
            table.plain(figures[0], &format!("could not be measured: {error:#}"), "-", "-", "-", Some(false));
            failed = Err(error);
        }
    }
    table.print();
    table.keep()?;
    failed
}
