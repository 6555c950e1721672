//! Owns: measuring: which figures, in which order, on what machine. Must never know: how one figure is measured; a daemon's inside.
//!
//! `cargo run --release -p mingle-tests --bin bench -- [FIGURE..] [--rounds N] [--seconds S] [--gigabytes N]`
//!
//! FIGURE: one of those in [`MEASURES`]; none: all. `--gigabytes N` fills D4's large store up to that size. Needs `redis-server`, `curl`,
//! `taskset` and `git` besides; Kinto, its client, servers of contacts, vdirsyncer and the gRPC anchor are fetched on first use.
//!
//! Each figure stands beside its anchor, measured in the same run, in turns; ratios of medians are told, met or not. The rows of
//! every round go to `target/bench/results.jsonl` as soon as a measure is done. Never part of a test: a figure of a busy machine proves
//! nothing.

mod apps;
mod beside;
mod calls;
mod contacts;
mod crowd;
mod disk;
mod down;
mod events;
mod flood;
mod fresh;
mod growth;
mod grpc;
mod idle;
mod large;
mod line;
mod lists;
mod meanwhile;
mod place;
mod process;
mod redis;
mod rows;
mod schedules;
mod sleeper;
mod stops;
mod table;
mod worker;
mod writes;

use std::{path::Path, time::Duration};

use anyhow::{Context, bail};

use table::Table;

type Measure = fn(&Path, &Asked, &mut Table) -> anyhow::Result<()>;

/// What is measured together, in the order in which it is.
const MEASURES: &[(&[&str], Measure)] = &[
    (&["W1", "W2", "W3"], writes::measure),
    (&["W4"], beside::paced),
    (&["W5"], beside::redis),
    (&["W6", "R4"], meanwhile::measure),
    (&["R1", "R2"], calls::measure),
    (&["R3"], lists::measure),
    (&["E1", "E2"], events::measure),
    (&["E3"], sleeper::measure),
    (&["S1"], down::measure),
    (&["S3", "S4", "S5"], contacts::measure),
    (&["S7", "S8"], growth::sizes),
    (&["S2", "D3", "D4"], large::measure),
    (&["D1"], idle::asleep),
    (&["D2"], idle::memory),
    (&["D5"], schedules::measure),
    (&["D7"], fresh::measure),
    (&["T7"], stops::measure),
];

fn known() -> impl Iterator<Item = &'static str> {
    MEASURES.iter().flat_map(|(figures, _)| figures.iter().copied())
}

/// What was asked for.
struct Asked {
    figures: Vec<String>,
    rounds: usize,
    seconds: Duration,
    gigabytes: u64,
}

impl Asked {
    fn read(words: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut asked = Self { figures: Vec::new(), rounds: 5, seconds: Duration::from_secs(3), gigabytes: 0 };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut number = || -> anyhow::Result<u64> {
                let text = words.next().with_context(|| format!("{word} needs a number"))?;
                text.parse().with_context(|| format!("{word} {text}: no number"))
            };
            match word.as_str() {
                "--rounds" => asked.rounds = usize::try_from(number()?.max(1))?,
                "--seconds" => asked.seconds = Duration::from_secs(number()?.max(1)),
                "--gigabytes" => asked.gigabytes = number()?,
                _ if known().any(|figure| figure == word) => asked.figures.push(word),
                other => {
                    let known = known().collect::<Vec<_>>().join(" ");
                    bail!("{other}: figures are {known}; settings are --rounds N, --seconds S, --gigabytes N");
                }
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
    let mut failed = Ok(());
    for (figures, measure) in MEASURES {
        if !asked.wants(figures) {
            continue;
        }
        table.begin();
        if let Err(error) = measure(&program, &asked, &mut table) {
            // What was measured before is still told.
            table.plain(figures[0], &format!("could not be measured: {error:#}"), "-", "-", "-", Some(false));
            failed = Err(error);
        }
        table.keep()?;
    }
    table.print();
    failed
}
