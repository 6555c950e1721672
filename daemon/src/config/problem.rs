//! Owns: what is said of a configuration that cannot be used. Must never know: what makes one.

use std::{fmt, path::PathBuf};

/// One thing that is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 where it is about the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to do; empty where `what` says it all.
    pub hint: String,
}

impl Problem {
    /// All of it in one line, to stand among others.
    #[must_use]
    pub fn in_a_line(&self) -> String {
        let place = Self { hint: String::new(), ..self.clone() }.to_string().replace('\n', " ");
        if self.hint.is_empty() { place } else { format!("{place} ({})", self.hint.replace('\n', " ")) }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.what)?;
        if !self.hint.is_empty() {
            write!(f, "\n  hint: {}", self.hint)?;
        }
        Ok(())
    }
}

/// The nearest of the words, where one is near enough to be meant.
pub(super) fn nearest<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    words
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(word, known), known))
        .filter(|(distance, known)| *distance <= (known.chars().count() / 3).max(1))
        .min()
        .map(|(_, known)| known)
}

/// A hint for a word that is none of these.
pub(super) fn did_you_mean<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    match nearest(word, words.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if words.is_empty() => String::new(),
        None => format!("known: {}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_in_a_line_has_its_hint_in_brackets() {
        let mut problem = Problem { file: "f".into(), line: 3, what: "w".into(), hint: "known: a, b".into() };
        assert_eq!(
            (problem.to_string(), problem.in_a_line()),
            ("f:3: w\n  hint: known: a, b".into(), "f:3: w (known: a, b)".into())
        );
        problem.hint.clear();
        assert_eq!(problem.in_a_line(), "f:3: w");
    }

    #[test]
    fn hints_are_near_or_a_list() {
        for (word, expected) in [
            ("evry", "did you mean `every`?"),
            ("directoin", "did you mean `direction`?"),
            ("banana", "known: every, direction, url"),
            ("ur", "did you mean `url`?"),
        ] {
            assert_eq!(did_you_mean(word, ["every", "direction", "url"]), expected, "{word}");
        }
        assert_eq!(did_you_mean("x", []), "");
    }
}
