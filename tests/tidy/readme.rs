//! Owns: checking that the commands README shows are there. Must never know: what they do.

use crate::tree::{File, files};

/// The lines of README's shell blocks, without prompts, comments and pipes into other programs.
fn commands(readme: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in readme.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside && ["sh", "bash", "console"].iter().any(|kind| line.trim_start().ends_with(kind));
            continue;
        }
        let line = line.trim().trim_start_matches("$ ");
        if inside {
            found.extend(line.split('|').next().map(|command| command.trim().to_owned()));
        }
    }
    found.retain(|command| !command.is_empty() && !command.starts_with('#'));
    found
}

/// Cargo's own words, our aliases, and where the words of `mingle` and `mingled` stand.
pub fn unknown(files: &[File]) -> Vec<String> {
    let text = |path: &str| files.iter().find(|file| file.path == path).map(|file| file.text.as_str()).unwrap_or_default();
    let aliases: toml::Table = text(".cargo/config.toml").parse().expect("TOML");
    let is_alias = |word: &str| aliases.get("alias").and_then(|aliases| aliases.get(word)).is_some();
    // A subcommand is a variant of a clap enum, or a file of its own.
    let has = |directory: &str, word: &str| {
        let variant: String = word.split('-').map(capital).collect();
        files.iter().filter(|file| file.is_rust() && file.path.starts_with(directory)).any(|file| {
            file.path.ends_with(&format!("/{}.rs", word.replace('-', "_"))) || variants(&file.text).any(|found| found == variant)
        })
    };
    let mut breaches = Vec::new();
    for command in commands(text("README.md")) {
        let words: Vec<&str> = command.split_whitespace().skip_while(|word| word.contains('=')).collect();
        let first = words.first().map(|word| word.rsplit('/').next().unwrap_or(word));
        let second = words.get(1).copied().unwrap_or_default();
        let good = match first {
            Some("cargo") => ["build", "test", "run", "install", "clippy", "fmt", "doc"].contains(&second) || is_alias(second),
            Some("mingle") => second.is_empty() || second.starts_with('-') || has("client/cli/", second),
            Some("mingled") => second.is_empty() || second.starts_with('-') || second == "&" || has("daemon/src/cli", second),
            _ => true,
        };
        if !good {
            breaches.push(format!("README.md: `{command}` is not there"));
        }
    }
    breaches
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

fn variants(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| {
        let line = line.trim();
        let end = line.find(|c: char| !c.is_alphanumeric()).unwrap_or(line.len());
        line.starts_with(|c: char| c.is_ascii_uppercase()).then(|| &line[..end])
    })
}

#[test]
fn the_commands_of_readme_are_there() {
    crate::none(&unknown(&files()));
}

#[test]
fn commands_are_found() {
    let text = "a\n```sh\n$ mingle status | head\n# why\ncargo demo\n```\n```toml\nx = 1\n```\nmingle none\n";
    assert_eq!(commands(text), ["mingle status", "cargo demo"]);
}
