//! Owns: reading the repository, and telling code from comments and text. Must never know: the law.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One file, by its path from the top of the repository.
#[derive(Clone, Debug)]
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the repository").to_owned()
}

/// Everything made by tools, not by us.
const MADE: [&str; 5] = ["target", ".git", "node_modules", "__pycache__", ".venv"];

/// Every text file, in a stable order.
pub fn files() -> Vec<File> {
    let root = root();
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    assert!(found.len() > 50, "the repository was not found at {}", root.display());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn walk(root: &Path, directory: &Path, found: &mut Vec<File>) {
    for entry in fs::read_dir(directory).expect("readable") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("named").to_string_lossy().into_owned();
        if MADE.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            walk(root, &path, found);
        } else if let Ok(text) = fs::read_to_string(&path) {
            let path = path.strip_prefix(root).expect("below the top").to_string_lossy().into_owned();
            found.push(File { path, text });
        }
    }
}

/// The same text with comments and the insides of strings blanked out; lines keep their numbers.
pub fn code(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let taken = match first {
            '/' if rest.starts_with("//") => blank(rest, rest.find('\n').unwrap_or(rest.len()), &mut out),
            '/' if rest.starts_with("/*") => blank(rest, comment(rest), &mut out),
            '"' => blank(rest, string(rest), &mut out),
            'r' if !ends_in_word(&out) && raw_hashes(rest).is_some() => blank(rest, raw(rest), &mut out),
            '\'' => blank(rest, letter(rest), &mut out),
            _ => {
                out.push(first);
                first.len_utf8()
            }
        };
        rest = &rest[taken..];
    }
    out
}

fn blank(rest: &str, length: usize, out: &mut String) -> usize {
    out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
    length
}

fn comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                break;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    at
}

fn string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    rest.len()
}

fn ends_in_word(out: &str) -> bool {
    out.ends_with(|c: char| c.is_alphanumeric() || c == '_') && !out.ends_with('b')
}

fn raw_hashes(rest: &str) -> Option<usize> {
    let hashes = rest[1..].bytes().take_while(|b| *b == b'#').count();
    rest[1 + hashes..].starts_with('"').then_some(hashes)
}

fn raw(rest: &str) -> usize {
    let hashes = raw_hashes(rest).unwrap_or(0);
    let (start, end) = (hashes + 2, format!("\"{}", "#".repeat(hashes)));
    rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len())
}

/// A letter in quotes, or one character: the mark of a lifetime.
fn letter(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest[2..].char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 3),
        Some(_) => chars.next().filter(|(_, c)| *c == '\'').map_or(1, |(at, _)| at + 1),
        None => 1,
    }
}

/// What is named right behind `start::` in code, also in groups: `crate::{a, b::c}` names a and b. With the line.
pub fn named(code: &str, start: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(start) {
        let before = &code[..at];
        if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let Some(after) = code[at + start.len()..].strip_prefix("::") else { continue };
        let line = 1 + before.matches('\n').count();
        found.extend(heads(after).into_iter().map(|name| (line, name)));
    }
    found
}

fn heads(after: &str) -> Vec<String> {
    let Some(group) = after.strip_prefix('{') else { return word(after).into_iter().collect() };
    let (mut depth, mut names, mut fresh) = (0, Vec::new(), true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if c.is_whitespace() => {}
            _ if fresh => {
                fresh = false;
                names.extend(word(&group[at..]));
            }
            _ => {}
        }
    }
    names
}

fn word(text: &str) -> Option<String> {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// Whether a path like `std::fs` is named in code, written out or through a group.
pub fn names_path(code: &str, path: &str) -> Option<usize> {
    match path.rsplit_once("::") {
        Some((start, last)) => {
            let direct = named(code, start).into_iter().find(|(_, name)| name == last).map(|(line, _)| line);
            direct.or_else(|| in_group(code, start, last))
        }
        None => {
            let bare = code.match_indices(path).find(|(at, _)| {
                !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                    && (code[at + path.len()..].starts_with("::")
                        || code[..*at].ends_with("use ") && code[at + path.len()..].starts_with(';'))
            });
            bare.map(|(at, _)| 1 + code[..at].matches('\n').count())
        }
    }
}

/// `std::{.., time::{Instant}}` for `std::time::Instant`: the middle stands inside a group.
fn in_group(code: &str, start: &str, last: &str) -> Option<usize> {
    let (first, middle) = start.split_once("::")?;
    for (at, _) in code.match_indices(&format!("{first}::{{")) {
        let group = &code[at..at + code[at..].find(';').unwrap_or(0)];
        let inner = named(&group[first.len() + 2..], middle);
        if inner.iter().any(|(_, name)| name == last) {
            return Some(1 + code[..at].matches('\n').count());
        }
    }
    None
}

#[test]
fn code_is_told_from_the_rest() {
    for (text, expected) in [
        ("a // b\nc", "a     \nc"),
        ("a /* b /* c */ d */ e", "a                   e"),
        (r#"a "b // \" c" d"#, "a             d"),
        ("a r#\"b \" c\"# d", "a            d"),
        ("a 'b' c 'd: e", "a     c  d: e"),
        (r"a '\'' b '\n' c", "a      b      c"),
        ("var\"x\"", "var   "),
        ("br\"x\" y", "b     y"),
    ] {
        let found = code(text);
        assert_eq!(found.len(), expected.len(), "{text}: {found:?}");
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn names_are_found() {
    let check = |code: &str, start: &str, expected: &str| {
        let found: Vec<_> = named(code, start).into_iter().map(|(line, name)| format!("{line}{name}")).collect();
        assert_eq!(found.join(" "), expected, "{code}");
    };
    check("use crate::store::Writer;", "crate", "1store");
    check("use crate::{\n    config::{self, Config},\n    ipc,\n};\ncrate::a::b()", "crate", "1config 1ipc 5a");
    check("my_crate::a crate_b::c x::crate::d", "crate", "");
    for (code, path, expected) in [
        ("use std::fs;", "std::fs", Some(1)),
        ("use std::{fs, io};", "std::fs", Some(1)),
        ("use std::{\n  time::{Duration, Instant},\n};", "std::time::Instant", Some(1)),
        ("use std::time::{Duration, Instant};", "std::time::Instant", Some(1)),
        ("std::time::Duration::ZERO", "std::time::Instant", None),
        ("use rusqlite::Row;", "rusqlite", Some(1)),
        ("\nfn f(row: &rusqlite::Row) {}", "rusqlite", Some(2)),
        ("use my_rusqlite::Row;", "rusqlite", None),
        ("use reqwest;", "reqwest", Some(1)),
    ] {
        assert_eq!(names_path(code, path), expected, "{path} in {code}");
    }
}
