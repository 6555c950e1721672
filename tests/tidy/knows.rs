//! Owns: checking who knows whom. Must never know: who should (that is `house.rs`).

use std::collections::BTreeSet;

use crate::{
    house::{APART, KEPT, KNOW_THEM_ALL, NEVER_DERIVED_IN_CORE, NEVER_IN_CORE, PACKAGES, ROOMS},
    tree::{File, code, files, named, names_path},
};

/// The module a file of the daemon is, as a path: `store/sql.rs` is store, sql.
fn module(path: &str) -> Option<Vec<String>> {
    let path = path.strip_prefix("daemon/src/")?.strip_suffix(".rs")?;
    Some(path.split('/').filter(|part| *part != "mod").map(str::to_owned).collect())
}

/// The rooms of the daemon that a file names, with the line.
fn rooms_named(file: &File, code: &str) -> Vec<(usize, String)> {
    let mut rooms = named(code, "crate");
    rooms.extend(named(code, "mingled"));
    // `super::super::x` from deep enough is a room too.
    if let Some(module) = module(&file.path) {
        rooms.extend(named(code, &vec!["super"; module.len()].join("::")).into_iter().filter(|(_, name)| name != "super"));
    }
    rooms
}

/// By the manifests: what is not written there cannot be named in code.
pub fn packages(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    for own in PACKAGES {
        let path = format!("{}/Cargo.toml", own.directory);
        let Some(manifest) = files.iter().find(|file| file.path == path) else { continue };
        let table: toml::Table = manifest.text.parse().expect("a manifest");
        for (kind, name, _) in crate::crates::dependencies(&table) {
            let in_code = name.replace('-', "_");
            let ours = PACKAGES.iter().any(|package| package.name == in_code);
            if ours && !own.may_know.contains(&in_code.as_str()) {
                breaches.push(format!("{path}: {kind}.{name}: {} must not know it", own.name));
            }
        }
    }
    breaches
}

pub fn rooms(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let Some(own) = module(&file.path).and_then(|module| module.first().cloned()) else { continue };
        let code = code(&file.text);
        let known = rooms_named(file, &code);
        for room in ROOMS.iter().filter(|room| room.name == own) {
            for (line, name) in known.iter().filter(|(_, name)| room.never_rooms.contains(&name.as_str())) {
                breaches.push(format!("{}:{line}: the room {own} must never know {name}", file.path));
            }
            for path in room.never_paths {
                if let Some(line) = names_path(&code, path) {
                    breaches.push(format!("{}:{line}: the room {own} must never know {path}", file.path));
                }
            }
        }
        let met: BTreeSet<&str> = APART.iter().copied().filter(|apart| known.iter().any(|(_, name)| name == apart)).collect();
        if met.len() > 1 && own != "lib" && !KNOW_THEM_ALL.iter().any(|(name, _)| *name == own) {
            breaches.push(format!("{}: knows {}; only those who play a run may know two of them", file.path, join(&met)));
        }
    }
    breaches
}

fn join(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(" and ")
}

pub fn mind(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && file.path.starts_with("daemon/core/src/")) {
        let code = code(&file.text);
        // Its tests may measure and count; what is built has no clock.
        let is_test = file.path.ends_with("/tests.rs") || file.path.ends_with("/laws.rs");
        for path in NEVER_IN_CORE.iter().filter(|_| !is_test) {
            if let Some(line) = names_path(&code, path) {
                breaches.push(format!("{}:{line}: the mind must never know {path}", file.path));
            }
        }
        for (at, derive) in code.match_indices("derive(") {
            let list = code[at + derive.len()..].split(')').next().unwrap_or_default();
            for word in list.split([',', ' ', ':']).filter(|word| NEVER_DERIVED_IN_CORE.contains(word)) {
                let line = 1 + code[..at].matches('\n').count();
                breaches.push(format!("{}:{line}: the mind never derives {word}; ipc/convert.rs writes it out", file.path));
            }
        }
    }
    breaches
}

pub fn kept(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let code = code(&file.text);
        for (name, places, why) in KEPT {
            if let Some(line) = names_path(&code, name).filter(|_| !places.iter().any(|place| file.path.starts_with(place))) {
                breaches.push(format!("{}:{line}: {name} belongs into {}: {why}", file.path, places.join(", ")));
            }
        }
    }
    breaches
}

#[test]
fn packages_know_only_whom_they_may() {
    crate::none(&packages(&files()));
}

#[test]
fn rooms_know_only_whom_they_may() {
    crate::none(&rooms(&files()));
}

#[test]
fn the_mind_reaches_nothing_outside() {
    crate::none(&mind(&files()));
}

#[test]
fn what_one_place_keeps_is_nowhere_else() {
    crate::none(&kept(&files()));
}
