//! Owns: syncs that apps defined, read by the rules of the files: each is a section of its own. Must never know: where they are kept.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use mingle_core::ask::DefinedBy;
use serde_json::{Map, Value};

use super::{Config, Known, Problem, Source, Where, parse_some, source};

/// One of them.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name.
    pub sync: String,
    /// Its keys and values, as a JSON object.
    pub json: String,
    /// By whom, and how often.
    pub by: DefinedBy,
}

/// What cannot be as the configuration is, by the names of the syncs, with what is wrong.
pub type LeftOut = BTreeMap<String, Vec<Problem>>;

/// Reads and checks the files, and with them what apps defined: of that, what is not good is left out, and told.
///
/// # Errors
/// Every problem of the files, in their order and that of the lines.
pub fn load_with(place: &Where, definitions: &[Definition], known: &dyn Known) -> Result<(Config, LeftOut), Vec<Problem>> {
    let mut problems = Vec::new();
    let found = source::find(place, &mut problems);
    let mut sources: Vec<Source> =
        found.files.iter().filter_map(|path| source::read(path, &found.directory, &mut problems)).collect();
    let mut config = match parse_some(&sources, sources.len() < found.files.len(), known) {
        Ok(config) if problems.is_empty() => config,
        Ok(_) => return Err(problems),
        Err(mut more) => {
            problems.append(&mut more);
            return Err(problems);
        }
    };
    let mut left_out = LeftOut::new();
    let sections: Vec<Source> = definitions.iter().map(|one| section(one, &found.directory)).collect();
    let together: Vec<Source> = sources.iter().chain(&sections).cloned().collect();
    match parse_some(&together, false, known) {
        Ok(all) => config = all,
        // One after the other, so that it is known whose fault it is; and once more, for one may need another that comes after it.
        Err(_) => {
            let mut left: Vec<(&Definition, Source)> = definitions.iter().zip(sections).collect();
            loop {
                let before = left.len();
                left_out.clear();
                left.retain(|(one, section)| {
                    sources.push(section.clone());
                    match parse_some(&sources, false, known) {
                        Ok(more) => config = more,
                        Err(problems) => {
                            sources.pop();
                            // What it does to others is said where nothing is wrong with itself.
                            let (own, others): (Vec<_>, Vec<_>) =
                                problems.into_iter().partition(|problem| problem.file == section_path(&one.sync));
                            left_out.insert(one.sync.clone(), if own.is_empty() { others } else { own });
                        }
                    }
                    left_out.contains_key(&one.sync)
                });
                if left.len() == before || left.is_empty() {
                    break;
                }
            }
        }
    }
    let good = definitions.iter().filter(|one| !left_out.contains_key(&one.sync));
    config.defined = good.map(|one| (one.sync.clone(), one.by.clone())).collect();
    Ok((Config { looked: found.looked, files: found.files, ..config }, left_out))
}

/// Where problems of a definition are said to be.
fn section_path(sync: &str) -> PathBuf {
    format!("sync.{sync}").into()
}

/// The section that a file would have.
fn section(of: &Definition, directory: &Path) -> Source {
    let keys = match serde_json::from_str(&of.json) {
        Ok(Value::Object(keys)) => keys,
        // Nothing but an object is ever kept: a section without any key says what is missing.
        _ => Map::new(),
    };
    let mut text = format!("[sync.{}]\n", of.sync);
    // A key that is null is one that is left out.
    let there: Map<String, Value> = keys.into_iter().filter(|(_, value)| !value.is_null()).collect();
    pairs(&there).for_each(|line| text.push_str(&(line + "\n")));
    Source::new(section_path(&of.sync), directory.to_owned(), true, text)
}

/// A value as the files write it. JSON's texts are texts there too; its null inside of a value is a date, which no key takes.
fn toml(value: &Value) -> String {
    match value {
        Value::Null => "0001-01-01".into(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
        Value::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(keys) => format!("{{ {} }}", pairs(keys).collect::<Vec<_>>().join(", ")),
    }
}

fn pairs(keys: &Map<String, Value>) -> impl Iterator<Item = String> {
    keys.iter().map(|(key, value)| format!("{} = {}", Value::from(key.as_str()), toml(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{REMOTE, World, lines};

    /// What is in force with these definitions, and what is said of those that are not.
    fn read(files: &str, definitions: &[(&str, &str)]) -> (Vec<String>, String) {
        let room = tempfile::tempdir().unwrap();
        std::fs::write(room.path().join("config.toml"), lines(files)).unwrap();
        let by = DefinedBy { by: "app".into(), generation: 1 };
        let one = |(sync, json): &(&str, &str)| Definition { sync: (*sync).into(), json: (*json).into(), by: by.clone() };
        let definitions: Vec<Definition> = definitions.iter().map(one).collect();
        let (config, left_out) = load_with(&Where::Directory(room.path().to_owned()), &definitions, &World).unwrap();
        let said =
            left_out.values().flatten().map(|problem| format!("{}:{} {}", problem.file.display(), problem.line, problem.what));
        let place = format!("{}/", room.path().display());
        (config.syncs.into_keys().collect(), said.collect::<Vec<_>>().join(" + ").replace(&place, ""))
    }

    #[test]
    fn definitions_are_held_to_the_rules_of_the_files_and_one_that_is_bad_takes_no_other_with_it() {
        let check = |definitions: &[(&str, &str)], syncs: &[&str], said: &str| {
            let file = format!("{REMOTE}[sync.s] | collection = 'c' | remote = 'r' | direction = 'down'");
            assert_eq!(
                read(&file, definitions),
                (syncs.iter().map(|sync| (*sync).to_owned()).collect(), said.to_owned()),
                "{definitions:?}"
            );
        };
        let good = r#"{"collection":"d","remote":"r","resource":"d","direction":"both","every":{"min":"1m","max":"1h"},"after":["s"],"on_start":true,"priority":7}"#;
        check(&[], &["s"], "");
        // Whichever comes first: one needs the other, and a third is bad.
        let needs = |after: &str| {
            format!(
                r#"{{"collection":"{after}x","remote":"r","resource":"{after}x","direction":"down","every":"1h","after":["{after}"]}}"#
            )
        };
        check(
            &[("a", &needs("z")), ("m", r#"{"collection":"e","remote":"q","direction":"both"}"#), ("z", good)],
            &["a", "s", "z"],
            "sync.m:4 no remote is called `q`",
        );
        let null = r#"{"collection":"d","remote":"r","resource":"d","direction":"both","filter":{"state":"open","n":null}}"#;
        let (syncs, said) =
            read(&format!("{REMOTE}[sync.s] | collection = 'c' | remote = 'r' | direction = 'down'"), &[("a", null)]);
        assert!(syncs == ["s"] && said.contains("`n`"), "{said}");
        check(&[("a", good)], &["a", "s"], "");
        check(
            &[("a", r#"{"collection":"d","remote":"r","resource":"d","direction":"both","evry":"1m"}"#)],
            &["s"],
            "sync.a:4 unknown key `sync.a.evry`",
        );
        check(
            &[("a", r#"{"collection":"d","remote":"q","direction":"both"}"#), ("b", good)],
            &["b", "s"],
            "sync.a:4 no remote is called `q`",
        );
        check(&[("s", good)], &["s"], "sync.s:1 [sync.s] is there already: config.toml:5");
        // Nothing that an app writes makes another section of it.
        let clever = r#"{"collection":"d\"\n[remote.r]\nurl = \"https://elsewhere","remote":"r","direction":"both"}"#;
        let (syncs, said) = read(REMOTE, &[("a", clever)]);
        assert!(syncs.is_empty() && said.contains("is no name"), "{said}");
        let (syncs, said) = read(REMOTE, &[("a", r#"{"x\"]\n[remote.r":1,"collection":"d","remote":"r","direction":"both"}"#)]);
        assert!(syncs.is_empty() && said.contains("unknown key `sync.a.x\"]"), "{said}");
        let absent = r#"{"collection":"d","remote":"r","resource":"d","direction":"both","filter":null}"#;
        check(&[("a", absent)], &["a", "s"], "");
        let nothing = r#"{"collection":"d","remote":"r","resource":"d","direction":"both","after":[null]}"#;
        check(&[("a", nothing)], &["s"], "sync.a:2 `sync.a.after` must be a list of names in quotes");
        check(
            &[("a", "3")],
            &["s"],
            "sync.a:1 [sync.a] has no `collection` + sync.a:1 [sync.a] has no `remote` + sync.a:1 [sync.a] has no `direction`",
        );
    }
}
