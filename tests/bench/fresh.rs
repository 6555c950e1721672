//! Owns: D7: how long it takes from a clone of this commit to a first synced record (`cargo demo`), with nothing built. Must never know:
//! what the demo shows.
//!
//! The crates are those that were fetched for our own build: what a network takes is not measured.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail};
use serde_json::json;

use crate::{Asked, place, table::Table};

/// What the demo says when its first sync is done.
const SYNCED: &str = "$ mingle list tasks";
const MINUTES_MAX: f64 = 5.0;

pub fn measure(_: &Path, _: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let dir = place::disk_dir()?;
    let clone = dir.path().join("mingle");
    let began = Instant::now();
    let cloned =
        Command::new("git").args(["clone", "--quiet"]).arg(place::repository()).arg(&clone).status().context("no git")?;
    if !cloned.success() {
        bail!("git clone ended with {cloned}");
    }
    let mut demo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    demo.arg("demo").current_dir(&clone).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // As whoever has just cloned it: what cargo tells the programs that it runs is not for them.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_") && text != "CARGO_HOME" || text == "LIBSQLITE3_FLAGS" {
            demo.env_remove(&name);
        }
    }
    let mut demo = demo.spawn().context("no cargo")?;
    let out = BufReader::new(demo.stdout.take().context("no output")?);
    let (mut built, mut synced) = (None, None);
    for line in out.lines() {
        built.get_or_insert_with(|| began.elapsed());
        if line?.trim() == SYNCED {
            synced.get_or_insert_with(|| began.elapsed());
        }
    }
    let (ended, all) = (demo.wait()?, began.elapsed());
    if !ended.success() {
        bail!("cargo demo ended with {ended}");
    }
    let synced = synced.context("the demo tells of no first sync")?;
    let minutes = synced.as_secs_f64() / 60.0;
    table.row(json!({
        "figure": "D7", "built_s": built.map(|time| time.as_secs_f64()), "synced_s": synced.as_secs_f64(), "all_s": all.as_secs_f64(),
    }));
    let what = "clone to first synced record (`cargo demo`, nothing built, crates fetched before)";
    table.plain("D7", what, "-", &format!("{minutes:.1} min"), "<= 5 min", Some(minutes <= MINUTES_MAX));
    Ok(())
}
