//! Owns: writing down what a test tried and how often it failed, for README's table of promises. Must never know: what was tried.

use std::{fs::OpenOptions, io::Write};

use serde_json::json;

/// The environment's name of the file that a run's lines go to; without it nothing is written.
pub const FILE: &str = "MINGLE_RESULTS";

/// `what` was tried so often, and failed so often. One line of JSON, `{"what","tries","failed"}`, is added to the file; to be called
/// when the trying is over, before the test fails for it. `what` names one thing in all runs, such as `kills` or `power-cuts-ext4`;
/// two tests that tell of the same are added up.
///
/// # Panics
/// The file that the environment names cannot be written.
pub fn tell(what: &str, tries: u64, failed: u64) {
    eprintln!("tally: {what}: {failed} failed in {tries}");
    let Some(file) = std::env::var_os(FILE) else { return };
    let line = format!("{}\n", json!({ "what": what, "tries": tries, "failed": failed }));
    // One write, so that lines of several processes do not mix.
    let written = OpenOptions::new().create(true).append(true).open(&file).and_then(|mut file| file.write_all(line.as_bytes()));
    written.unwrap_or_else(|error| panic!("{FILE}={}: {error}", file.display()));
}

/// Something cannot be tried here, which is counted.
///
/// # Panics
/// Where nothing may be left out: `MINGLE_NO_SKIPS` is in the environment.
pub fn skip(what: &str, why: &str) {
    assert!(std::env::var_os("MINGLE_NO_SKIPS").is_none(), "{what} was skipped: {why}");
    eprintln!("skipped: {what}: {why}");
    tell("skipped", 1, 0);
}
