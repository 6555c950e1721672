//! Owns: checking that every source is part of some target: a file that no `mod` leads to is compiled by nobody, and a test in it
//! never runs. Must never know: what a target does.

use std::collections::BTreeSet;

use crate::{
    house::{ALONE, PACKAGES},
    tree::{File, code, files},
};

/// The files that cargo starts from, by the manifests.
fn roots(files: &[File]) -> Vec<String> {
    let has = |path: &str| files.iter().any(|file| file.path == path);
    let mut roots = Vec::new();
    let alone = ALONE.iter().map(|(directory, _)| *directory);
    for directory in PACKAGES.iter().map(|package| package.directory).chain(alone) {
        let Some(manifest) = files.iter().find(|file| file.path == format!("{directory}/Cargo.toml")) else { continue };
        let table: toml::Table = manifest.text.parse().expect("a manifest");
        let mut written: Vec<String> = Vec::new();
        let sections = ["lib", "bin", "test", "bench", "example"];
        for value in sections.iter().filter_map(|section| table.get(*section)) {
            let list = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            written.extend(list.iter().filter_map(|one| Some(format!("{directory}/{}", one.get("path")?.as_str()?))));
        }
        let usual = ["src/lib.rs", "src/main.rs", "build.rs"].map(|path| format!("{directory}/{path}"));
        roots.extend(written);
        roots.extend(usual.into_iter().filter(|path| has(path)));
        // Cargo finds these by itself: one file, or one folder with a main.rs.
        let own = |folder: &str, path: &str| {
            let rest = path.strip_prefix(&format!("{directory}/{folder}/"));
            rest.is_some_and(|rest| !rest.contains('/') || rest.split_once('/').is_some_and(|(_, name)| name == "main.rs"))
        };
        let found = files.iter().filter(|file| {
            file.is_rust() && ["tests", "src/bin", "examples", "benches"].iter().any(|folder| own(folder, &file.path))
        });
        roots.extend(found.map(|file| file.path.clone()));
    }
    roots
}

/// Where `mod name;` in a file may lead.
fn led_to(from: &str, name: &str) -> [String; 2] {
    let (directory, file) = from.rsplit_once('/').unwrap_or(("", from));
    let stem = file.strip_suffix(".rs").unwrap_or(file);
    let base =
        if matches!(stem, "mod" | "lib" | "main" | "build") { directory.to_owned() } else { format!("{directory}/{stem}") };
    // A root of another name (tests/x.rs, harness/lib.rs) keeps its modules beside it.
    let beside = format!("{directory}/{name}.rs");
    if stem == "mod" || stem == "lib" || stem == "main" {
        [beside, format!("{directory}/{name}/mod.rs")]
    } else {
        [format!("{base}/{name}.rs"), format!("{base}/{name}/mod.rs")]
    }
}

pub fn unreached(files: &[File]) -> Vec<String> {
    let mut reached: BTreeSet<String> = BTreeSet::new();
    let first = roots(files);
    let mut next: Vec<(String, bool)> = first.into_iter().map(|path| (path, true)).collect();
    while let Some((path, is_root)) = next.pop() {
        let Some(file) = files.iter().find(|file| file.path == path) else { continue };
        if !reached.insert(path.clone()) {
            continue;
        }
        let original: Vec<&str> = file.text.lines().collect();
        for (at, line) in code(&file.text).lines().enumerate() {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some(name) = words.iter().position(|word| *word == "mod").and_then(|at| words.get(at + 1)?.strip_suffix(';'))
            else {
                continue;
            };
            let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
            if let Some(given) =
                original[at.saturating_sub(2)..at].iter().find_map(|line| line.trim().strip_prefix("#[path = \""))
            {
                next.push((plain(&format!("{directory}/{}", given.trim_end_matches("\"]"))), false));
                continue;
            }
            next.extend(led_to(&path, name).map(|path| (path, false)));
            if is_root {
                next.push((format!("{directory}/{name}.rs"), false));
                next.push((format!("{directory}/{name}/mod.rs"), false));
            }
        }
    }
    let lost = files.iter().filter(|file| file.is_rust() && !reached.contains(&file.path));
    lost.map(|file| format!("{}: no target reaches it (`mod`, or [[test]] in a Cargo.toml)", file.path)).collect()
}

/// Without `..`.
fn plain(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        if part == ".." {
            parts.pop();
        } else if part != "." {
            parts.push(part);
        }
    }
    parts.join("/")
}

#[test]
fn no_source_is_forgotten() {
    crate::none(&unreached(&files()));
}
