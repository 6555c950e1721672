//! Owns: holding the list of faults against the tests that are there. Must never know: what the tests do.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

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

fn sources(folder: &Path, found: &mut String) {
    if folder.is_file() {
        found.push_str(&fs::read_to_string(folder).expect("readable"));
        return;
    }
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("readable").path();
        if path.is_dir() || path.extension().is_some_and(|ending| ending == "rs") {
            sources(&path, found);
        }
    }
}

/// Whether the suite has that function.
fn is_there(test: &str) -> bool {
    let Some((suite, function)) = test.rsplit_once("::") else { return false };
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let place = if suite.ends_with(".rs") { tests.join("..").join(suite) } else { tests.join(suite.replace("::", "/")) };
    let mut text = String::new();
    if !place.exists() {
        return false;
    }
    sources(&place, &mut text);
    text.contains(&format!("fn {function}("))
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
            breaches.extend(row.tests.iter().filter(|test| !is_there(test)).map(|test| format!("{}: no test {test}", row.id)));
        }
    }
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}
