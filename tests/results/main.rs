//! Owns: `cargo results`: what the last runs left becomes `last.json` and README's tables. Must never know: how the tables look.
//!
//! `.ci/run` leaves `target/ci/results.jsonl`, the bench `target/bench/results.jsonl`; each is taken where it is there.

use std::{fs, path::Path};

use anyhow::Context;
use mingle_tests::results::{self, Results};

fn main() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = Results::read()?;
    if let Ok(text) = fs::read_to_string(root.join("target/ci/results.jsonl")) {
        all.take_tallies(&text).context("target/ci/results.jsonl")?;
    }
    if let Ok(text) = fs::read_to_string(root.join("target/bench/results.jsonl")) {
        text.lines().try_for_each(|line| all.take_bench(line)).context("target/bench/results.jsonl")?;
    }
    all.write()?;
    let readme = root.join("README.md");
    fs::write(&readme, results::readme(&fs::read_to_string(&readme)?)?)?;
    Ok(())
}
