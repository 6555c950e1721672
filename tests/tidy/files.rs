//! Owns: checking each file by itself: its head, its length, its words. Must never know: which words (that is `house.rs`).

use crate::{
    house::{LINES_MAX, LONG, MAY_BREAK_BANS, NEVER_IN_RUST, NEVER_WRITTEN},
    tree::{File, code, files},
};

/// The first comment says what a file owns and what it must never know.
pub fn heads(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() && file.text.trim() != "fn main() {}") {
        let head: Vec<&str> = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
        let head = head.join(" ").replace(" //! ", " ");
        // Tables and laws beside the code know what the code knows.
        let is_test = file.path.ends_with("/tests.rs") || file.path.ends_with("/laws.rs");
        if !head.contains("Owns:") || !(is_test || head.contains("ever know") || head.contains("ay know")) {
            breaches.push(format!("{}: does not open with `//! Owns: .. Must never know: ..`", file.path));
        }
    }
    breaches
}

pub fn lengths(files: &[File], long: &[(&str, &str)]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.is_rust() || file.path.ends_with(".py")) {
        let (lines, excused) = (file.text.lines().count(), long.iter().any(|(path, _)| *path == file.path));
        if lines > LINES_MAX && !excused {
            breaches.push(format!(
                "{}: {lines} lines; split it by subject ({LINES_MAX}), or give a reason in tidy/house.rs",
                file.path
            ));
        }
        if lines <= LINES_MAX && excused {
            breaches.push(format!("{}: {lines} lines; its excuse in tidy/house.rs is no longer needed", file.path));
        }
    }
    let gone = long.iter().filter(|(path, _)| !files.iter().any(|file| file.path == *path));
    breaches.extend(gone.map(|(path, _)| format!("{path}: excused in tidy/house.rs, but not there")));
    breaches
}

pub fn words(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files {
        for (number, line) in file.text.lines().enumerate() {
            let number = number + 1;
            for (one, two, why) in NEVER_WRITTEN {
                if line.contains(&format!("{one}{two}")) {
                    breaches.push(format!("{}:{number}: {one}{two} is {why}", file.path));
                }
            }
        }
        if !file.is_rust() {
            continue;
        }
        let code = code(&file.text);
        for (one, two, save, instead) in NEVER_IN_RUST {
            let word = format!("{one}{two}");
            // A service's name is wrong in comments and texts too; the others are wrong only as code.
            let text = if save.is_empty() { code.clone() } else { file.text.to_lowercase() };
            if !save.is_empty() && file.path.starts_with(save) {
                continue;
            }
            for (number, _) in text.lines().enumerate().filter(|(_, line)| line.contains(&word)) {
                breaches.push(format!("{}:{}: `{word}`: {instead}", file.path, number + 1));
            }
        }
    }
    breaches
}

/// Bans stand in `.clippy.toml`; here is who may switch one off, and that a sleep says why.
pub fn bans(files: &[File]) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let code = code(&file.text);
        let lines: Vec<&str> = file.text.lines().collect();
        for (at, line) in code.lines().enumerate() {
            if line.contains("clippy::disallowed_methods") && !in_tests(&lines, at) {
                let is_test = file.path.contains("/tests") || file.path.ends_with("/laws.rs");
                let allowed = is_test || MAY_BREAK_BANS.iter().any(|(place, _)| file.path.starts_with(place));
                if !allowed {
                    breaches.push(format!("{}:{}: switches a ban off; who may is in tidy/house.rs", file.path, at + 1));
                }
            }
            let sleeps = line.contains("sleep(") && !line.contains("fn sleep");
            // A pause between two looks at a condition explains itself.
            let around = &lines[at.saturating_sub(8)..=at];
            let said = around
                .iter()
                .any(|line| ["//", "reason =", "for _ in", "while ", "loop {"].iter().any(|word| line.contains(word)));
            let is_test = file.path.starts_with("tests/") || file.path.contains("/tests") || in_tests(&lines, at);
            if is_test && sleeps && !said {
                breaches.push(format!("{}:{}: sleeps without a word about why", file.path, at + 1));
            }
        }
    }
    breaches
}

/// Whether a line stands behind the beginning of the file's own tests.
fn in_tests(lines: &[&str], at: usize) -> bool {
    lines[..at].iter().any(|line| line.trim() == "#[cfg(test)]")
}

#[test]
fn every_file_says_what_it_owns() {
    crate::none(&heads(&files()));
}

#[test]
fn no_file_is_too_long() {
    crate::none(&lengths(&files(), LONG));
}

#[test]
fn no_file_has_a_forbidden_word() {
    crate::none(&words(&files()));
}

#[test]
fn bans_hold() {
    crate::none(&bans(&files()));
}
