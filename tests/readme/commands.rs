//! Owns: that `mingle` understands each command on our pages, and that the exit codes are those it tells.
//! Must never know: what a command does. None finds a daemon here.

use std::{
    collections::BTreeSet,
    process::{Command, Output},
};

use mingle_tests::daemon::mingle;

use crate::pages::{self, page};

/// What stands for something else on our pages, and something that fits there.
const PLACEHOLDERS: [(&str, &str); 6] =
    [("TOKEN", "w-1"), ("RUN", "r-1"), ("SYNC", "s"), ("NAME", "kinto"), ("COLLECTION", "c"), ("ID", "i")];

fn run(words: &[String]) -> Output {
    let room = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(mingle());
    // No other program is found: a command that asks the machine's own systemd must not find that one here.
    command.args(words).env_clear().env("HOME", room.path()).env("PATH", room.path()).current_dir(room.path());
    command.output().expect("mingle starts")
}

/// A line of a shell, as the words of its first command; none where it is not `mingle`.
fn words(line: &str) -> Option<Vec<String>> {
    let line = line.trim().strip_prefix("mingle ")?;
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                any = true;
            }
            '|' | '>' | ';' | '#' | '&' if !quoted => break,
            c if c.is_whitespace() && !quoted => {
                if any {
                    words.push(std::mem::take(&mut word));
                    any = false;
                }
            }
            c => {
                word.push(c);
                any = true;
            }
        }
    }
    if any {
        words.push(word);
    }
    let filled = words.into_iter().map(|word| {
        let known = PLACEHOLDERS.iter().find(|(name, _)| *name == word);
        known.map_or(word.clone(), |(_, fits)| (*fits).to_owned())
    });
    Some(filled.collect())
}

#[test]
fn every_command_is_understood() {
    let mut told = BTreeSet::new();
    for page in pages::all() {
        for block in page.blocks().into_iter().filter(|block| block.kind == "sh") {
            told.extend(block.text.lines().filter_map(words));
        }
        told.extend(page.spans().iter().filter_map(|(_, span)| words(span)));
    }
    assert!(told.len() > 20, "the pages should show some commands: {told:?}");
    let mut breaches = Vec::new();
    for words in told {
        let output = run(&words);
        // 2: it was not understood. Most others end with 3: there is no daemon.
        if output.status.code() == Some(2) || output.status.code().is_none() {
            breaches.push(format!("`mingle {}`: {}", words.join(" "), String::from_utf8_lossy(&output.stderr).trim()));
        }
    }
    crate::none(&breaches);
}

#[test]
fn lines_are_taken_apart_as_a_shell_would() {
    #[track_caller]
    fn check(line: &str, expect: Option<&[&str]>) {
        let expect = expect.map(|words| words.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(words(line), expect, "{line}");
    }
    check("cargo demo", None);
    check("mingle status | head", Some(&["status"]));
    check("mingle put c i '{\"a b\": 1}' > x", Some(&["put", "c", "i", "{\"a b\": 1}"]));
    check("mingle wait TOKEN", Some(&["wait", "w-1"]));
    let nonsense = run(&["hover".to_owned()]);
    assert_eq!(nonsense.status.code(), Some(2), "the check above stands on this");
}

#[test]
fn the_exit_codes_are_those_of_the_help() {
    let help = String::from_utf8(run(&["--help".to_owned()]).stdout).expect("text");
    let help: String = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = page("README.md").text;
    let table = text.split("## Exit codes").nth(1).and_then(|rest| rest.split("\n\n`mingled`").next()).expect("the exit codes");
    let rows: Vec<(String, String)> = table
        .lines()
        .filter_map(|line| {
            let (code, what) = line.strip_prefix("| ")?.strip_suffix(" |")?.split_once(" | ")?;
            code.parse::<u8>().ok()?;
            Some((code.to_owned(), what.split(':').next()?.to_owned()))
        })
        .collect();
    assert_eq!(rows.len(), 8, "{rows:?}");
    for (code, what) in rows {
        assert!(help.contains(&format!("{code} {what}")), "README says that {code} is {what:?}, and `mingle --help`: {help}");
    }
}
