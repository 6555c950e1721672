//! Owns: what stands on the screen: headings, plain sentences, commands and what they printed. Must never know: the story.

use std::{
    fmt::Display,
    io::{self, Write as _},
    path::Path,
};

/// The width that most terminals have.
const COLUMNS: usize = 100;

/// The screen. Nobody there to read it is no failure of the demo.
#[derive(Default)]
pub struct Screen {
    scenes: usize,
}

impl Screen {
    /// A line as it is.
    #[expect(clippy::unused_self, reason = "whoever prints has the screen")]
    pub fn line(&self, text: impl Display) {
        let mut out = io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    /// The next scene.
    pub fn scene(&mut self, what: &str) {
        self.scenes += 1;
        self.line(format!("\n{}. {what}", self.scenes));
    }

    /// A few sentences, broken into lines.
    pub fn say(&self, sentences: &str) {
        let mut line = String::new();
        for word in sentences.split_whitespace() {
            if line.len() + word.len() > COLUMNS {
                self.line(format!("   {line}"));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.line(format!("   {line}"));
    }

    /// A command as a person would type it.
    pub fn command(&self, words: &str) {
        self.line(format!("   $ {words}"));
    }

    /// What somebody printed, with who it was where that is not plain.
    pub fn printed(&self, who: &str, text: &str) {
        let mark = if who.is_empty() { String::new() } else { format!("{who}: ") };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            self.line(format!("     {mark}{line}"));
        }
    }

    /// Something was checked, and holds.
    pub fn good(&self, what: &str) {
        self.line(format!("   ok: {what}"));
    }
}

/// A word of a command: quoted where a shell would take it apart.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

/// A path as it is shortest from where the person stands.
#[must_use]
pub fn short(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here).unwrap_or(path).display().to_string()
}
