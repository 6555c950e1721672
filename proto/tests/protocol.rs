//! Owns: that the types, PROTOCOL.md and the fixtures say the same. Must never know: what the methods do.
//!
//! A released fixture line is never edited: it is what programs out there send and read. Each line must be read by the types, and be
//! written by them again without losing a member.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use mingle_proto::{
    FromDaemon, METHODS, Request,
    call::{Method, method},
    error::Name,
    event::{Changed, Event, NOTIFICATIONS, Work, WorkStop},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// What the types make of a text must be the text again: an answer passes over members it does not know, and a fixture must not
/// have such ones.
#[track_caller]
fn same(what: &str, before: &RawValue, after: &str) {
    assert_eq!(value(after), value(before.get()), "{what}: a member was lost or made");
}

fn again<T: Serialize + DeserializeOwned>(raw: &RawValue) -> Result<String, String> {
    let read: T = serde_json::from_str(raw.get()).map_err(|why| why.to_string())?;
    serde_json::to_string(&read).map_err(|why| why.to_string())
}

/// Reads one line with the types of the message called `name`, and says what it was.
#[track_caller]
fn check(name: &str, line: &str) -> &'static str {
    if let Ok(request) = Request::read(line.as_bytes()) {
        let method = method(name).unwrap_or_else(|| panic!("{name} is no method: {line}"));
        assert_eq!(request.method, name, "{line}");
        let params = request.params.unwrap_or_else(|| panic!("{name}: write the params, {{}} too: {line}"));
        let after = (method.params)(params).unwrap_or_else(|why| panic!("{line}\n{why}"));
        same(line, params, after.get());
        return "request";
    }
    match FromDaemon::read(line.as_bytes()).unwrap_or_else(|why| panic!("{line}\n{why}")) {
        FromDaemon::Answer { result, .. } => {
            let method = method(name).unwrap_or_else(|| panic!("{name} is no method: {line}"));
            let after = (method.answer)(result).unwrap_or_else(|why| panic!("{line}\n{why}"));
            same(line, result, after.get());
            "answer"
        }
        FromDaemon::Refusal { error, .. } => {
            assert_ne!(error.name(), Name::Unknown, "{line}");
            assert_eq!(error.code, error.name().code(), "{line}");
            let before = value(line);
            assert_eq!(serde_json::to_value(&error).expect("JSON"), before["error"], "{line}");
            "error"
        }
        FromDaemon::Notification { method, params } => {
            assert_eq!(method, name, "{line}");
            let after = match name {
                Changed::METHOD => again::<Changed>(params),
                Event::METHOD => again::<Event>(params),
                Work::METHOD => again::<Work>(params),
                WorkStop::METHOD => again::<WorkStop>(params),
                _ => panic!("{name} is no notification: {line}"),
            };
            same(line, params, &after.unwrap_or_else(|why| panic!("{line}\n{why}")));
            "notification"
        }
    }
}

/// What each message must be shown as, at least once.
fn wanted() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let calls = METHODS.iter().map(|method| (method.name, BTreeSet::from(["request", "answer"])));
    let unasked = NOTIFICATIONS.iter().map(|name| (*name, BTreeSet::from(["notification"])));
    calls.chain(unasked).chain([("error", BTreeSet::from(["error"]))]).collect()
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).expect("a fixture").lines().map(str::to_owned).collect()
}

#[test]
fn every_message_has_its_fixtures_and_every_fixture_its_message() {
    let mut wanted = wanted();
    for entry in fs::read_dir(here().join("fixtures")).expect("fixtures") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let missing = wanted.get_mut(name.as_str()).unwrap_or_else(|| panic!("no message is called {name}: {}", path.display()));
        for line in lines(&path) {
            missing.remove(check(&name, &line));
        }
    }
    wanted.retain(|_, missing| !missing.is_empty());
    assert!(wanted.is_empty(), "without a fixture: {wanted:?}");
}

#[test]
fn every_error_name_is_in_the_fixtures() {
    let text = fs::read_to_string(here().join("fixtures/error.jsonl")).expect("the fixture");
    for name in Name::ALL {
        assert!(text.contains(&format!("\"name\":\"{name}\"")), "{name}");
    }
}

/// The sections of the parts "Calls" and "Notifications": name, and the lines of its examples.
fn sections() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(here().join("PROTOCOL.md")).expect("PROTOCOL.md");
    let (mut part, mut example) = (String::new(), false);
    let mut sections: Vec<(String, Vec<String>)> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            part = title.to_owned();
        } else if !["Calls", "Notifications"].contains(&part.as_str()) {
        } else if let Some(title) = line.strip_prefix("## ") {
            sections.push((title.to_owned(), Vec::new()));
        } else if line.starts_with("```") {
            example = line == "```json";
        } else if example && let Some((_, examples)) = sections.last_mut() {
            examples.push(line.to_owned());
        }
    }
    sections
}

#[test]
fn protocol_md_has_each_message_once_with_examples_that_parse() {
    let mut wanted = wanted();
    wanted.remove("error");
    let mut seen = BTreeSet::new();
    for (name, examples) in sections() {
        let missing =
            wanted.get_mut(name.as_str()).unwrap_or_else(|| panic!("PROTOCOL.md tells of `{name}`, which is not built"));
        assert!(seen.insert(name.clone()), "PROTOCOL.md tells of `{name}` twice");
        for example in examples {
            missing.remove(check(&name, &example));
        }
    }
    wanted.retain(|_, missing| !missing.is_empty());
    assert!(wanted.is_empty(), "PROTOCOL.md shows no example of {wanted:?}");
}

#[test]
fn protocol_md_says_every_error_name_and_every_about() {
    let text = fs::read_to_string(here().join("PROTOCOL.md")).expect("PROTOCOL.md");
    for name in Name::ALL {
        assert!(text.contains(&format!("| `{name}` | {} |", name.code())), "PROTOCOL.md has no row for the error {name}");
    }
    for Method { name, about, .. } in METHODS {
        assert!(text.contains(&format!("## {name}\n")) && text.contains(about), "PROTOCOL.md, section {name}, must say: {about}");
    }
}

/// Parameters that are refused, and a part of the reason.
#[test]
fn parameters_are_read_strictly() {
    #[track_caller]
    fn check(name: &str, params: &str, why: &str) {
        let raw = RawValue::from_string(params.to_owned()).expect("JSON");
        let error = (method(name).expect("a method").params)(&raw).expect_err(params);
        assert_eq!(error.name(), Name::Invalid, "{params}");
        assert!(error.message.contains(why), "{params}: {error}");
        assert!(error.data.hint.is_some());
    }
    check("get", r#"{"collection":"a"}"#, "`id`");
    check("get", r#"{"collection":"a","id":"b","ids":[]}"#, "unknown field `ids`");
    check("get", r#"{"collection":"a","id":7}"#, "invalid type");
    check("get", r#"["a","b"]"#, "params must be an object");
    check("status", r#"{"verbose":true}"#, "unknown field");
    check("put", r#"{"collection":"a","data":{},"if_seq":-1}"#, "invalid value");
    check("put", r#"{"collection":"a","data":{},"if_seq":"1"}"#, "invalid type");
    check("transact", r#"{"writes":[{"put":["a",null,{}]}]}"#, "must be an object");
    check("transact", r#"{"writes":[{"put":{"collection":"a","data":{},"op":"o"}}]}"#, "unknown field `op`");
    check("transact", r#"{"writes":[{"drop":{}}]}"#, "unknown variant `drop`");
    check("list", r#"{"collection":"a","where":{"n":{"above":1}}}"#, "unknown variant `above`");
    check("subscribe", r#"{"topics":["weather"]}"#, "unknown variant `weather`");
    check("sync.run", r#"{"sync":"a","mode":"bulk"}"#, "unknown variant `bulk`");
}

/// A newer daemon says more: words and members that this build does not know are passed over.
#[test]
fn answers_are_read_leniently() {
    #[track_caller]
    fn check(name: &str, answer: &str, expect: &str) {
        let raw = RawValue::from_string(answer.to_owned()).expect("JSON");
        let got = (method(name).expect("a method").answer)(&raw).expect(answer);
        assert_eq!(got.get(), expect);
    }
    check("stop", r#"{"state":"hovering","runs":[],"height":3}"#, r#"{"state":"unknown","runs":[]}"#);
    check("sync.run", r#"{"run":"r-1","queued":true,"lane":{"n":1.50}}"#, r#"{"run":"r-1","queued":true}"#);
    let line = br#"{"id":1,"error":{"code":-32000,"message":"x","data":{"name":"moon_full","phase":1.0}},"trace":[]}"#;
    assert!(matches!(FromDaemon::read(line), Ok(FromDaemon::Refusal { error, .. }) if error.name() == Name::Unknown));
}
