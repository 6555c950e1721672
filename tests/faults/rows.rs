//! Owns: holding the list of faults against the tests that are there. Must never know: what the tests do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use mingle_tests::named;
use serde::Deserialize;

/// One fault: what happens, what has to follow, and who tries it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Unique, begins with the name of its file: `disk-full`.
    id: String,
    fault: String,
    expect: String,
    /// `suite::function`, where `suite` is the folder of a test target below `tests/` or the path of a source file.
    #[serde(default)]
    tests: Vec<String>,
    /// Why no test puts it in; instead of tests, or beside them for the part that they leave out.
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    row: Vec<Row>,
}

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("faults/rows")
}

/// Every row, by the name of its file.
fn rows() -> BTreeMap<String, Vec<Row>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(here()).expect("the folder of rows") {
        let path = entry.expect("readable").path();
        let name = path.file_stem().expect("named").to_string_lossy().into_owned();
        let rows: Rows =
            toml::from_str(&fs::read_to_string(&path).expect("readable")).unwrap_or_else(|error| panic!("{name}: {error}"));
        found.insert(name, rows.row);
    }
    found
}

#[test]
fn every_fault_is_tried_or_says_why_not() {
    let mut breaches = Vec::new();
    let mut ids = BTreeSet::new();
    for (file, rows) in rows() {
        for row in rows {
            if !row.id.starts_with(&format!("{file}-")) || !ids.insert(row.id.clone()) {
                breaches.push(format!("{file}: {}: ids are unique and begin with `{file}-`", row.id));
            }
            if row.fault.is_empty() || row.expect.is_empty() {
                breaches.push(format!("{}: says neither what happens nor what follows", row.id));
            }
            if row.tests.is_empty() && row.reason.as_deref().is_none_or(|reason| reason.len() < 20) {
                breaches.push(format!("{}: neither a test nor a reason", row.id));
            }
            let missing = row.tests.iter().filter(|test| named::place(test).is_none());
            breaches.extend(missing.map(|test| format!("{}: no test {test}", row.id)));
        }
    }
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}
