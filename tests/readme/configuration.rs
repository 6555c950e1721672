//! Owns: that every configuration and profile on our pages is a good one, and that config.md has every key.
//! Must never know: what a key does.

use std::{collections::BTreeSet, fs, path::Path};

use mingled::{
    config::{self, Where},
    known::BuiltIn,
    remotes::rest::catalog,
};

use crate::pages::{self, page, root};

/// Whatever is wrong with a configuration, where it may use the profiles in this folder.
fn problems(text: &str, config_dir: &Path) -> Vec<String> {
    let path = config_dir.join("config.toml");
    fs::write(&path, text).expect("written");
    let known = BuiltIn { config_dir: config_dir.to_owned() };
    match config::load(&Where::File(path), &known) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(|problem| format!("line {}: {}", problem.line, problem.what)).collect(),
    }
}

#[test]
fn every_configuration_that_is_printed_is_good() {
    let mut breaches = Vec::new();
    let mut seen = 0;
    for page in pages::all() {
        for block in page.blocks().into_iter().filter(|block| block.kind == "toml") {
            seen += 1;
            let room = tempfile::tempdir().expect("a folder");
            let found = problems(&block.text, room.path());
            breaches.extend(found.iter().map(|problem| format!("{}:{}: {problem}", page.path, block.line)));
        }
    }
    assert!(seen > 5, "the pages should show some configuration");
    crate::none(&breaches);
}

#[test]
fn every_profile_that_is_printed_is_good() {
    let mut seen = 0;
    for page in pages::all() {
        for block in page.blocks().into_iter().filter(|block| block.kind == "toml profile") {
            seen += 1;
            let room = tempfile::tempdir().expect("a folder");
            fs::create_dir(room.path().join("profiles")).expect("a folder for profiles");
            fs::write(room.path().join("profiles/tracker.toml"), &block.text).expect("written");
            let example = catalog::example("tracker", room.path()).unwrap_or_else(|problem| panic!("{}: {problem}", page.path));
            let found = problems(&example, room.path());
            crate::none(&found);
        }
    }
    assert!(seen > 0, "profiles.md should show a profile");
}

#[test]
fn the_lines_of_readme_are_those_of_the_profile() {
    let room = tempfile::tempdir().expect("a folder");
    let example = catalog::example("kinto", room.path()).expect("built in");
    let printed = page("README.md").blocks().into_iter().find(|block| block.kind == "toml").expect("README has a configuration");
    assert_eq!(printed.text.trim(), example.trim(), "`mingle profile example kinto` prints something else than README");
}

/// The keys that a source reads: the texts in `read.flag("key")` and its like, and what it says is of a later version.
fn read_keys(source: &str) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for call in ["text", "needed", "choice", "flag", "list", "duration", "inner", "value"] {
        for (at, _) in source.match_indices(&format!(".{call}(\"")) {
            let rest = &source[at + call.len() + 3..];
            keys.extend(rest.split('"').next().map(str::to_owned));
        }
    }
    keys
}

#[test]
fn every_key_has_its_line_and_no_other() {
    let read = |name: &str| fs::read_to_string(root().join("daemon/src/config").join(name)).expect("the keys of sections");
    let files = ["sections.rs", "constraints.rs", "filter.rs", "identity.rs", "references.rs", "order.rs"];
    let source: String = files.into_iter().map(read).collect();
    let settings = fs::read_to_string(root().join("daemon/src/remotes/settings.rs")).expect("the keys of remotes");
    let mut keys = read_keys(&source);
    assert!(keys.len() > 20, "the keys were not found in sections.rs: {keys:?}");
    let remote =
        settings.split("pub struct RemoteSettings {").nth(1).and_then(|rest| rest.split('}').next()).expect("the settings");
    let fields = remote.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next());
    keys.extend(fields.map(str::to_owned));

    let text = page("daemon/docs/config.md").text;
    let of_row = |line: &str| -> Vec<String> {
        let Some(cell) = line.strip_prefix("| `").and_then(|rest| rest.split(" | ").next()) else { return Vec::new() };
        cell.trim_end_matches('`').split("`, `").map(str::to_owned).collect()
    };
    // The rows of the tables of keys: those whose head begins so.
    let mut told = BTreeSet::new();
    let mut inside = false;
    for line in text.lines() {
        inside = line.starts_with("| key |") || (inside && line.starts_with('|'));
        if inside {
            told.extend(of_row(line));
        }
    }
    // Inside the tables `on_change`, `backoff` and `every`, told in a sentence of their own.
    told.extend(["after", "at_most", "first", "growth", "min", "max"].map(str::to_owned));
    let untold: Vec<_> = keys.difference(&told).map(|key| format!("config.md says nothing of `{key}`")).collect();
    let unread: Vec<_> = told.difference(&keys).map(|key| format!("config.md tells of `{key}`, which nobody reads")).collect();
    crate::none(&untold);
    crate::none(&unread);
}

#[test]
fn the_defaults_are_those_that_are_told() {
    let minimal = "[remote.r]\nkind = \"rest\"\nprofile = \"kinto\"\nurl = \"https://example.org/v1\"\n\
                   [sync.s]\ncollection = \"c\"\nremote = \"r\"\ndirection = \"both\"\n";
    let spelled = format!(
        "{minimal}on_start = false\nafter = []\npriority = 1000\non_change = {{ after = \"2s\", at_most = \"30s\" }}\n\
         backoff = {{ first = \"30s\", at_most = \"5h\", growth = \"exponential\" }}\nalert_after = \"1d\"\n\
         [collection.c]\nmerge = {{ default = \"remote\" }}\ndelete = \"keep_edit\"\nnested = false\nnull_is_a_value = false\n\
         [store]\nsynchronous = \"full\"\n"
    );
    let room = tempfile::tempdir().expect("a folder");
    let load = |text: &str| {
        let path = room.path().join("config.toml");
        fs::write(&path, text).expect("written");
        config::load(&Where::File(path), &BuiltIn { config_dir: room.path().to_owned() }).expect("good")
    };
    assert_eq!(load(minimal), load(&spelled), "config.md tells other defaults");
    let text = page("daemon/docs/config.md").text;
    for told in [
        "`{ after = \"2s\", at_most = \"30s\" }`",
        "`{ first = \"30s\", at_most = \"5h\", growth = \"exponential\" }`",
        "at least `1d`",
    ] {
        assert!(text.contains(told), "config.md should say {told}");
    }
}

/// The fields of the structs that a profile is read into, by their names.
fn profile_words() -> BTreeSet<String> {
    let folder = root().join("daemon/src/remotes/rest/profile");
    let mut sources = vec![fs::read_to_string(folder.with_extension("rs")).expect("the profile")];
    for name in ["answers", "requests", "shape"] {
        sources.push(fs::read_to_string(folder.join(format!("{name}.rs"))).expect("a part of the profile"));
    }
    let mut words = BTreeSet::new();
    for source in sources {
        for part in source.split("#[serde(deny_unknown_fields").skip(1) {
            let body = part.split("\n}").next().unwrap_or_default();
            let fields = body.lines().filter_map(|line| line.strip_prefix("    ")).filter(|line| !line.starts_with("//"));
            let fields =
                fields.filter_map(|line| line.strip_prefix("pub ").unwrap_or(line).split_once(": ")?.0.split(' ').next_back());
            words.extend(fields.filter(|word| word.chars().all(|one| one.is_ascii_lowercase() || one == '_')).map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_word_of_a_profile_is_told() {
    let words = profile_words();
    assert!(words.len() > 60, "the words were not found: {words:?}");
    let text = page("daemon/docs/profiles.md").text;
    let told = |word: &String| {
        text.match_indices(word.as_str()).any(|(at, _)| {
            let (before, after) = (text[..at].chars().next_back(), text[at + word.len()..].chars().next());
            matches!(before, Some('`' | '[' | ' ')) && matches!(after, Some('`' | ']' | ',' | ' '))
        })
    };
    let untold: Vec<_> =
        words.iter().filter(|word| !told(word)).map(|word| format!("profiles.md says nothing of `{word}`")).collect();
    crate::none(&untold);
}
