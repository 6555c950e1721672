//! Owns: checking the manifests: versions and lints in one place, no dependency without use or reason, licences and doubles as
//! `.deny.toml` has them. Must never know: what a crate is for.

use std::{collections::BTreeMap, process::Command};

use toml::{Table, Value};

use crate::{
    house::{PACKAGES, REQUIRED, UNNAMED},
    tree::{File, code, files, names_path, root},
};

fn manifest(files: &[File], directory: &str) -> Table {
    let path = if directory.is_empty() { "Cargo.toml".to_owned() } else { format!("{directory}/Cargo.toml") };
    files.iter().find(|file| file.path == path).expect("a manifest").text.parse().expect("TOML")
}

const SHARED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];
const KINDS: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// Versions, edition, licence and lints stand in the manifest at the top, and nowhere else.
pub fn one_place(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    for package in PACKAGES {
        let (directory, table) = (package.directory, manifest(files, package.directory));
        let from_top =
            |value: Option<&Value>| value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true);
        for key in SHARED {
            if !from_top(table.get("package").and_then(|package| package.get(key))) {
                breaches.push(format!("{directory}/Cargo.toml: {key}.workspace = true is missing"));
            }
        }
        if !from_top(table.get("lints")) {
            breaches.push(format!("{directory}/Cargo.toml: [lints] workspace = true is missing"));
        }
        for (kind, name, value) in dependencies(&table) {
            if !from_top(Some(&value)) {
                breaches.push(format!("{directory}/Cargo.toml: {kind}.{name} has a version of its own; write it at the top"));
            }
        }
    }
    breaches
}

pub fn dependencies(table: &Table) -> Vec<(&'static str, String, Value)> {
    let mut all = Vec::new();
    let mut tables = vec![table.clone()];
    if let Some(targets) = table.get("target").and_then(Value::as_table) {
        tables.extend(targets.values().filter_map(Value::as_table).cloned());
    }
    for table in tables {
        for kind in KINDS {
            let Some(list) = table.get(kind).and_then(Value::as_table) else { continue };
            all.extend(list.iter().map(|(name, value)| (kind, name.clone(), value.clone())));
        }
    }
    all
}

/// A dependency that no source of its package names costs build time and trust for nothing.
pub fn unused(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    // The tests share one manifest, and a stranger in it reaches no user.
    for package in PACKAGES.iter().filter(|package| package.directory != "tests") {
        let own: Vec<String> = sources(files, package.directory).map(|file| code(&file.text)).collect();
        for (kind, name, _) in dependencies(&manifest(files, package.directory)) {
            let in_code = name.replace('-', "_");
            let used = own.iter().any(|code| names_path(code, &in_code).is_some());
            let excused = UNNAMED.iter().any(|(crate_name, directory, _)| *crate_name == name && *directory == package.directory);
            match (used, excused) {
                (false, false) => breaches.push(format!("{}/Cargo.toml: {kind}.{name} is named by no source", package.directory)),
                (true, true) => breaches.push(format!("{name}: its excuse in tidy/house.rs is no longer needed")),
                _ => {}
            }
        }
    }
    for (name, directory) in REQUIRED {
        let in_code = name.replace('-', "_");
        let used = sources(files, directory).any(|file| names_path(&code(&file.text), &in_code).is_some());
        if !used {
            breaches.push(format!("{directory}: must use {name}, and does not"));
        }
    }
    breaches
}

/// The sources of a package, without those of packages inside it.
fn sources<'a>(files: &'a [File], directory: &str) -> impl Iterator<Item = &'a File> {
    let start = format!("{directory}/");
    let inner: Vec<String> = PACKAGES
        .iter()
        .map(|package| format!("{}/", package.directory))
        .filter(|other| other.starts_with(&start) && *other != start)
        .collect();
    files.iter().filter(move |file| {
        file.is_rust() && file.path.starts_with(&start) && !inner.iter().any(|inner| file.path.starts_with(inner.as_str()))
    })
}

/// Each dependency has its reason in `.deny.toml`, and is used by some package.
pub fn reasons(files: &[File]) -> Vec<String> {
    let deny = files.iter().find(|file| file.path == ".deny.toml").expect(".deny.toml");
    let reasons: BTreeMap<&str, &str> = deny
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("#   ")?.split_once(": "))
        .filter(|(_, why)| why.contains(' '))
        .collect();
    let top = manifest(files, "");
    let all = top["workspace"]["dependencies"].as_table().expect("dependencies");
    let foreign: Vec<&String> = all.iter().filter(|(_, value)| value.get("path").is_none()).map(|(name, _)| name).collect();
    let mut breaches = Vec::new();
    for name in &foreign {
        if !reasons.contains_key(name.as_str()) {
            breaches.push(format!("{name}: .deny.toml does not say what it is for (`#   {name}: why`)"));
        }
        let used = PACKAGES
            .iter()
            .any(|package| dependencies(&manifest(files, package.directory)).iter().any(|(_, used, _)| used == *name));
        if !used {
            breaches.push(format!("Cargo.toml: {name} is used by no package"));
        }
    }
    let gone = reasons.keys().filter(|name| !foreign.iter().any(|there| there == *name));
    breaches.extend(gone.map(|name| format!("{name}: has a reason in .deny.toml, and is not in Cargo.toml")));
    breaches
}

/// What `.deny.toml` says.
struct Deny {
    licences: Vec<String>,
    doubles: Vec<String>,
}

fn deny(text: &str) -> Deny {
    let table: Table = text.parse().expect("TOML");
    let list = |section: &str, key: &str| table[section][key].as_array().cloned().unwrap_or_default();
    let licences = list("licenses", "allow").iter().filter_map(|value| value.as_str().map(str::to_owned)).collect();
    let doubles = list("bans", "skip")
        .iter()
        .map(|skip| {
            let reason = skip.get("reason").and_then(Value::as_str).unwrap_or_default();
            let name = skip.get("crate").and_then(Value::as_str).expect("skip.crate");
            assert!(reason.split_whitespace().count() > 2, "{name}: .deny.toml gives no reason");
            name.to_owned()
        })
        .collect();
    Deny { licences, doubles }
}

/// What the build really consists of, on this machine's system. Asks cargo, which asks no network.
fn built() -> Vec<(String, String, String)> {
    let host = String::from_utf8(Command::new("rustc").arg("-vV").output().expect("rustc").stdout).expect("text");
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host").to_owned();
    let out = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", &host])
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let all: serde_json::Value = serde_json::from_slice(&out.stdout).expect("JSON");
    let text = |value: &serde_json::Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let ids: Vec<String> = all["resolve"]["nodes"].as_array().expect("nodes").iter().map(|node| text(node, "id")).collect();
    let packages = all["packages"].as_array().expect("packages").iter();
    packages
        .filter(|package| ids.contains(&text(package, "id")))
        .map(|package| (text(package, "name"), text(package, "version"), text(package, "license")))
        .collect()
}

/// Whether a licence expression can be met by licences that are allowed.
fn met(expression: &str, allowed: &[String]) -> bool {
    let words = expression.replace('/', " OR ").replace(['(', ')'], " ");
    // One of each alternative; `A AND B` needs both. Brackets only ever group alternatives in what we have.
    words.split(" AND ").all(|part| part.split(" OR ").any(|one| allowed.iter().any(|licence| licence == one.trim())))
}

pub fn licences_and_doubles(deny_text: &str, built: &[(String, String, String)]) -> Vec<String> {
    let deny = deny(deny_text);
    let mut breaches = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, version, licence) in built {
        if !met(licence, &deny.licences) {
            breaches.push(format!("{name} {version}: its licence `{licence}` is not among those of .deny.toml"));
        }
        versions.entry(name).or_default().push(version);
    }
    for (name, versions) in versions.iter().filter(|(_, versions)| versions.len() > 1) {
        if !deny.doubles.iter().any(|double| double == name) {
            breaches.push(format!(
                "{name}: is there {} times ({}); .deny.toml gives no reason",
                versions.len(),
                versions.join(", ")
            ));
        }
    }
    breaches
}

#[test]
fn versions_and_lints_stand_in_one_place() {
    crate::none(&one_place(&files()));
}

#[test]
fn no_dependency_is_idle() {
    crate::none(&unused(&files()));
}

#[test]
fn each_dependency_says_what_it_is_for() {
    crate::none(&reasons(&files()));
}

#[test]
fn licences_and_doubles_are_known() {
    let text = std::fs::read_to_string(root().join(".deny.toml")).expect(".deny.toml");
    crate::none(&licences_and_doubles(&text, &built()));
}
