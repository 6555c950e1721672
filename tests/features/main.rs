//! Owns: `cargo features`: the rows of this folder become `daemon/docs/features.md`. Must never know: how the page looks.

use std::{fs, path::Path};

use anyhow::bail;
use mingle_tests::{
    features::{Features, Stand},
    named,
};

fn main() -> anyhow::Result<()> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let features = Features::read()?;
    let mut breaches = features.breaches();
    breaches.extend(features.tests_that_are_missing());
    if !breaches.is_empty() {
        bail!("the page stays as it is:\n{}", breaches.join("\n"));
    }
    fs::write(top.join("daemon/docs/features.md"), features.page())?;
    // Whoever builds a part names its rows in the tests: such a row may be there by now.
    let mut told = Vec::new();
    for folder in ["client", "daemon", "proto", "tests"] {
        comments(&top.join(folder), &mut told)?;
    }
    for row in features.rows.values().flatten().filter(|row| row.stand() == Stand::Later) {
        let known: Vec<String> = row.tests.iter().filter_map(|test| named::place(test)).collect();
        let new = |path: &String| !known.iter().any(|known| path.ends_with(known.as_str()));
        for (path, line) in told.iter().filter(|(path, line)| line.contains(&row.id) && new(path)) {
            eprintln!("{} comes later, and is named in {path}: {line}", row.id);
        }
    }
    Ok(())
}

/// Each comment that says what a test, or anything else, is, with its file.
fn comments(folder: &Path, told: &mut Vec<(String, String)>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("target") {
            comments(&path, told)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = fs::read_to_string(&path)?;
            let lines = text.lines().filter_map(|line| line.trim().strip_prefix("/// "));
            told.extend(lines.map(|line| (path.display().to_string(), line.to_owned())));
        }
    }
    Ok(())
}
