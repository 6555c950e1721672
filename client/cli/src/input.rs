//! Owns: what a person types as JSON, and as a test of `mingle list`. Must never know: subcommands.

use std::io::Read;

use mingle_client::{
    Raw,
    call::{Operator, Test},
};
use serde_json::value::RawValue;

use crate::exit::{Exit, Failure};

/// More than the daemon takes as one line is not read.
const INPUT_BYTES_MAX: u64 = 1 << 20;

/// A JSON object on the command line, or `-` for standard input.
#[derive(Clone, Debug)]
pub enum Json {
    Given(Raw),
    Stdin,
}

/// Reads the argument; what is no object is a usage error.
pub fn json(text: &str) -> Result<Json, String> {
    if text == "-" { Ok(Json::Stdin) } else { object(text).map(Json::Given) }
}

fn object(text: &str) -> Result<Raw, String> {
    let raw = RawValue::from_string(text.trim().to_owned()).map_err(|why| format!("no JSON: {why}"))?;
    if raw.get().starts_with('{') { Ok(raw) } else { Err("it must be a JSON object: {\"name\": \"value\"}".into()) }
}

/// Any JSON value.
pub fn value(text: &str) -> Result<Raw, String> {
    RawValue::from_string(text.trim().to_owned()).map_err(|why| format!("no JSON: {why}; a text needs quotes: '\"text\"'"))
}

impl Json {
    /// The object.
    pub fn read(self) -> Result<Raw, Failure> {
        match self {
            Self::Given(raw) => Ok(raw),
            Self::Stdin => {
                let mut text = String::new();
                let mut stdin = std::io::stdin().lock().take(INPUT_BYTES_MAX + 1);
                stdin
                    .read_to_string(&mut text)
                    .map_err(|why| Failure::said(Exit::Usage, format!("standard input: {why}"), ""))?;
                if text.len() as u64 > INPUT_BYTES_MAX {
                    return Err(Failure::said(
                        Exit::Failed,
                        "standard input has more than 1 MiB",
                        "keep large values outside the record",
                    ));
                }
                object(&text).map_err(|why| Failure::said(Exit::Usage, format!("standard input: {why}"), ""))
            }
        }
    }
}

/// `PROP=VALUE`, also with `!=`, `<`, `<=`, `>`, `>=`. The value is JSON where it reads as such, else a text.
pub fn test(text: &str) -> Result<Test, String> {
    // The longer sign first: `>=` begins with `>`.
    const SIGNS: [(&str, Operator); 6] = [
        ("!=", Operator::Ne),
        ("<=", Operator::Lte),
        (">=", Operator::Gte),
        ("=", Operator::Eq),
        ("<", Operator::Lt),
        (">", Operator::Gt),
    ];
    let found = text.char_indices().find_map(|(at, _)| {
        SIGNS.iter().find(|(sign, _)| text[at..].starts_with(sign)).map(|(sign, operator)| (at, sign.len(), *operator))
    });
    match found {
        Some((at, len, operator)) if at > 0 => {
            Ok(Test { property: text[..at].to_owned(), operator, value: loose(&text[at + len..]) })
        }
        _ => Err(format!("`{text}` is no test: write PROP=VALUE, or one of != < <= > >=")),
    }
}

/// What reads as JSON is JSON; anything else is a text.
fn loose(text: &str) -> Raw {
    let quoted = || serde_json::value::to_raw_value(text).unwrap_or_default();
    // An object would be read as operators.
    RawValue::from_string(text.to_owned()).ok().filter(|raw| !raw.get().starts_with('{')).unwrap_or_else(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_as_they_are_typed() {
        #[track_caller]
        fn check(text: &str, expect: &str) {
            let got = test(text).map_or_else(
                |_| "refused".to_owned(),
                |test| format!("{} {} {}", test.property, test.operator, test.value.get()),
            );
            assert_eq!(got, expect, "{text}");
        }
        check("state=open", "state eq \"open\"");
        check("n=1.50", "n eq 1.50");
        check("n=\"1\"", "n eq \"1\"");
        check("n>3", "n gt 3");
        check("n>=3", "n gte 3");
        check("n<3", "n lt 3");
        check("n<=3", "n lte 3");
        check("n!=3", "n ne 3");
        check("a=b=c", "a eq \"b=c\"");
        check("a==", "a eq \"=\"");
        check("a=", "a eq \"\"");
        check("a=null", "a eq null");
        check("a={}", "a eq \"{}\"");
        check("a=b\"c", "a eq \"b\\\"c\"");
        check("=a", "refused");
        check("a", "refused");
        check("", "refused");
    }

    #[test]
    fn objects_as_they_are_typed() {
        assert!(matches!(json("-"), Ok(Json::Stdin)));
        assert!(matches!(json(" {\"n\":1.50} "), Ok(Json::Given(raw)) if raw.get() == "{\"n\":1.50}"));
        assert!(json("[1]").is_err() && json("{").is_err() && json("").is_err());
        assert!(value("null").is_ok() && value("open").is_err());
    }
}
