//! Owns: one table of the file, whose keys are taken one by one: each has a type, and what nobody asked for is unknown.
//! Must never know: which sections there are.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use serde::de::DeserializeOwned;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Problem, Source, problem::did_you_mean, words};
use crate::remotes::mistakes;

/// Where each key stands, by its whole dotted name: later checks name the line.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, (std::path::PathBuf, usize)>);

impl Places {
    pub(super) fn put(&mut self, key: &str, source: &Source, span: Range<usize>) {
        self.put_line(key, source, source.line_of(span.start));
    }

    pub(super) fn put_line(&mut self, key: &str, source: &Source, line: usize) {
        self.0.insert(key.to_owned(), (source.path.clone(), line));
    }

    /// A problem at this key, or at the nearest table around it.
    pub(super) fn problem(&self, key: &str, what: impl Into<String>, hint: impl Into<String>) -> Problem {
        let mut at = key;
        let place = loop {
            match (self.0.get(at), at.rsplit_once('.')) {
                (Some(place), _) => break place.clone(),
                (None, Some((above, _))) => at = above,
                (None, None) => break Default::default(),
            }
        };
        Problem { file: place.0, line: place.1, what: what.into(), hint: hint.into() }
    }

    /// `FILE:LINE` of a key.
    pub(super) fn shown(&self, key: &str) -> String {
        self.0.get(key).map(|(file, line)| format!("{}:{line}", file.display())).unwrap_or_default()
    }
}

/// One table being read.
pub(super) struct Section<'a> {
    source: &'a Source,
    name: String,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
    places: &'a mut Places,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Section<'a> {
    pub(super) fn new(
        source: &'a Source,
        name: String,
        table: &'a DeTable<'a>,
        places: &'a mut Places,
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        for (key, value) in table {
            // The line where a key is first written: a table that is opened twice keeps its head.
            places.put(&dotted(&name, key.get_ref()), source, key.span());
            if let DeValue::Table(inner) = value.get_ref() {
                for key_inside in inner.keys() {
                    places.put(&dotted(&dotted(&name, key.get_ref()), key_inside.get_ref()), source, key_inside.span());
                }
            }
        }
        Self { source, name, table, asked: Vec::new(), places, problems }
    }

    /// The whole dotted name of a key of this table.
    pub(super) fn dotted(&self, key: &str) -> String {
        dotted(&self.name, key)
    }

    /// Something is wrong with a key of this table, or with the table itself (empty key).
    pub(super) fn complain(&mut self, key: &str, what: impl Into<String>, hint: impl Into<String>) {
        let at = if key.is_empty() { self.name.clone() } else { self.dotted(key) };
        self.problems.push(self.places.problem(&at, what, hint));
    }

    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.push(key);
        self.table.get(key)
    }

    pub(super) fn wrong(&mut self, key: &str, expected: &str, hint: &str) {
        let name = self.dotted(key);
        self.complain(key, format!("`{name}` must be {expected}"), hint);
    }

    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.value(key)?.get_ref() {
            DeValue::String(text) => Some(text.to_string()),
            _ => {
                self.wrong(key, "text in quotes", "");
                None
            }
        }
    }

    /// Text that has to be there and not be empty.
    pub(super) fn needed(&mut self, key: &'static str, hint: &str) -> Option<String> {
        if self.table.get(key).is_none() {
            self.asked.push(key);
            let name = self.name.clone();
            self.complain("", format!("[{name}] has no `{key}`"), hint);
            return None;
        }
        let text = self.text(key)?;
        if text.is_empty() {
            self.wrong(key, "not empty", hint);
            return None;
        }
        Some(text)
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        match self.value(key)?.get_ref() {
            DeValue::Boolean(flag) => Some(*flag),
            _ => {
                self.wrong(key, "true or false", "");
                None
            }
        }
    }

    /// A length of time, not zero.
    pub(super) fn duration(&mut self, key: &'static str) -> Option<Duration> {
        const HINT: &str = "write a number with a unit (ms, s, m, h, d, w): \"15m\", \"1h 30m\"";
        match self.value(key)?.get_ref() {
            DeValue::String(text) => match words::duration(text) {
                Ok(duration) if !duration.is_zero() => Some(duration),
                Ok(_) => {
                    self.wrong(key, "longer than nothing", "leave the key out where it is not wanted");
                    None
                }
                Err(what) => {
                    let name = self.dotted(key);
                    self.complain(key, format!("`{name}`: {what}"), HINT);
                    None
                }
            },
            _ => {
                self.wrong(key, "a length of time in quotes", HINT);
                None
            }
        }
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let word = self.text(key)?;
        self.chosen(key, &word, choices)
    }

    pub(super) fn chosen<T: Copy>(&mut self, key: &str, word: &str, choices: &[(&str, T)]) -> Option<T> {
        let found = choices.iter().find(|(known, _)| *known == word).map(|(_, value)| *value);
        if found.is_none() {
            let (name, words) = (self.dotted(key), choices.iter().map(|(known, _)| *known));
            self.complain(key, format!("`{name}` cannot be `{word}`"), did_you_mean(word, words));
        }
        found
    }

    /// A list of different texts.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<String> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let texts: Option<Vec<String>> = match value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) if !text.is_empty() => Some(text.to_string()),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        let Some(texts) = texts else {
            self.wrong(key, "a list of names in quotes", &format!("{key} = [\"number\", \"title\"]"));
            return Vec::new();
        };
        for (at, text) in texts.iter().enumerate() {
            if texts.iter().take(at).any(|earlier| earlier == text) {
                let name = self.dotted(key);
                self.complain(key, format!("`{name}` has `{text}` twice"), "");
            }
        }
        texts
    }

    /// A table inside, or a plain `false` where that may stand for it.
    pub(super) fn inner(&mut self, key: &'static str, example: &str) -> Inner<'a> {
        let Some(value) = self.value(key) else { return Inner::Absent };
        match value.get_ref() {
            DeValue::Table(table) => Inner::Table(table),
            DeValue::Boolean(false) => Inner::False,
            _ => {
                self.wrong(key, "a table", example);
                Inner::Wrong
            }
        }
    }

    /// Reads a table inside as a section of its own, and asks for everything in it.
    pub(super) fn within<T>(&mut self, key: &str, table: &DeTable<'_>, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        let mut section = self.nested(key, table);
        let out = read(&mut section);
        section.finish(&[]);
        out
    }

    /// A table inside as a section of its own.
    pub(super) fn nested<'b>(&'b mut self, key: &str, table: &'b DeTable<'b>) -> Section<'b> {
        let name = self.dotted(key);
        Section::new(self.source, name, table, self.places, self.problems)
    }

    /// Every key with its text: for tables whose keys are the user's own.
    pub(super) fn pairs(&mut self) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        for (key, value) in self.table {
            match value.get_ref() {
                DeValue::String(text) => pairs.push((key.get_ref().to_string(), text.to_string())),
                _ => self.wrong(key.get_ref(), "text in quotes", ""),
            }
        }
        pairs
    }

    /// Every key with what stands there, where that is text or a table: for tables whose keys are the user's own.
    pub(super) fn entries(&mut self, expected: &str, hint: &str) -> Vec<(String, Entry<'a>)> {
        let mut entries = Vec::new();
        for (key, value) in self.table {
            let name = key.get_ref().to_string();
            match value.get_ref() {
                DeValue::String(text) => entries.push((name, Entry::Text(text.to_string()))),
                DeValue::Table(table) => entries.push((name, Entry::Table(table))),
                _ => self.wrong(&name, expected, hint),
            }
        }
        entries
    }

    /// What is left is unknown, or known but not built yet.
    pub(super) fn finish(mut self, later: &[&str]) {
        let asked = std::mem::take(&mut self.asked);
        for key in self.table.keys().map(|key| key.get_ref().as_ref()) {
            if asked.contains(&key) {
                continue;
            }
            let name = self.dotted(key);
            if later.contains(&key) {
                self.complain(key, format!("`{name}` is not built yet"), "take the line out; a later version will know it");
            } else {
                self.complain(key, format!("unknown key `{name}`"), did_you_mean(key, asked.iter().copied()));
            }
        }
    }

    /// For tables whose keys are all the user's own: nothing can be unknown.
    pub(super) fn close(self) {}

    /// Reads the whole table by a type's own rules. The type must refuse unknown fields.
    pub(super) fn read_as<T: DeserializeOwned>(&mut self, whole: &Spanned<DeValue<'a>>) -> Option<T> {
        let mistakes = match mistakes::read(whole) {
            Ok(read) => return Some(read),
            Err(mistakes) => mistakes,
        };
        for mistake in mistakes {
            let (what, hint) = in_our_words(&mistake.what, &self.name);
            match mistake.at.map(|at| self.source.line_of(at.start)) {
                Some(line) => self.problems.push(self.source.problem(line, what, hint)),
                None => self.complain("", what, hint),
            }
        }
        None
    }
}

/// What stands where a table may stand.
pub(super) enum Inner<'a> {
    Absent,
    False,
    Wrong,
    Table(&'a DeTable<'a>),
}

/// What stands at a key of the user's own.
pub(super) enum Entry<'a> {
    Text(String),
    Table(&'a DeTable<'a>),
}

fn dotted(name: &str, key: &str) -> String {
    if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") }
}

/// serde's sentences, as ours: "unknown field `x`, expected one of `a`, `b`".
fn in_our_words(message: &str, section: &str) -> (String, String) {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((key, known)) if message.starts_with("unknown field") => {
            (format!("unknown key `{section}.{key}`"), did_you_mean(key, known.iter().copied()))
        }
        Some((key, [])) if message.starts_with("missing field") => (format!("[{section}] has no `{key}`"), String::new()),
        Some((word, known)) if message.starts_with("unknown variant") => {
            (format!("[{section}]: `{word}` is not known here"), did_you_mean(word, known.iter().copied()))
        }
        _ => (format!("[{section}]: {message}"), String::new()),
    }
}
