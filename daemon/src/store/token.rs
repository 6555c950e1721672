//! Owns: tokens: the name of one write, by which it is waited for. Opaque to everybody else. Must never know: what is waited for.

use mingle_core::ask::Refusal;

use super::limits;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Which store the write went to.
    pub instance: String,
    /// Which records, at which seq.
    pub about: About,
}

/// Which records a token is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// These records (numbers), each at that seq.
    Records(Vec<(i64, u64)>),
    /// Whatever these seqs changed, first and last included.
    Range(u64, u64),
}

impl Token {
    /// The token of a write.
    #[must_use]
    pub fn of(instance: &str, records: Vec<(i64, u64)>, first: u64, last: u64) -> Self {
        let about = if records.len() > limits::TOKEN_RECORDS_MAX { About::Range(first, last) } else { About::Records(records) };
        Self { instance: instance.to_owned(), about }
    }

    /// Its text: `w-INSTANCE-` and what it is about.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = format!("w-{}-", self.instance);
        match &self.about {
            About::Records(records) => {
                for (at, (record, seq)) in records.iter().enumerate() {
                    let dot = if at > 0 { "." } else { "" };
                    out.push_str(&format!("{dot}{record}_{seq}"));
                }
            }
            About::Range(first, last) => out.push_str(&format!("{first}~{last}")),
        }
        out
    }

    /// Reads a token's text.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] where it is none.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        Self::read(text).ok_or_else(|| {
            Refusal::Invalid("this is no token of a write".into(), Some("a write's answer holds its token".into()))
        })
    }

    fn read(text: &str) -> Option<Self> {
        let (instance, about) = text.strip_prefix("w-")?.split_once('-')?;
        let about = match about.split_once('~') {
            Some((first, last)) => About::Range(first.parse().ok()?, last.parse().ok()?),
            None if about.is_empty() => About::Records(Vec::new()),
            None => About::Records(
                about
                    .split('.')
                    .take(limits::TOKEN_RECORDS_MAX + 1)
                    .map(|one| {
                        let (record, seq) = one.split_once('_')?;
                        Some((record.parse().ok()?, seq.parse().ok()?))
                    })
                    .collect::<Option<_>>()?,
            ),
        };
        Some(Self { instance: instance.to_owned(), about })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_as_it_was_written() {
        for token in [
            Token::of("abc", vec![(1, 2), (3, 44)], 2, 44),
            Token::of("abc", vec![], 0, 0),
            Token::of("abc", (0..100).map(|at| (at, 7)).collect(), 5, 104),
        ] {
            assert_eq!(Token::parse(&token.text()), Ok(token));
        }
        for no in ["", "w-", "w-a", "r-a-1_2", "w-a-1_", "w-a-1_2.x", "w-a-1~", "w-a-9_-1"] {
            assert!(Token::parse(no).is_err(), "{no}");
        }
    }
}
