//! Owns: that the committed OpenRPC document is what the types say, and that it only grows. Must never know: what a method does.
//!
//! A change that only adds is written down with `MINGLE_WRITE_OPENRPC=1`; one that takes something away, or asks for more, is refused
//! whatever is set: programs out there were written against what was released. Of each release a copy lies in `proto/released`, which
//! nothing writes and whose sums stand here: whoever changes the document and a copy has to change this file too.

use std::{collections::BTreeSet, fs};

use mingle_proto::openrpc;
use serde_json::Value;

use crate::tree::root;

/// Who reads what: what a daemon takes may only be asked for less, what it gives may only say more.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Taken,
    Given,
}

/// Every release, and the sum of what it said.
const RELEASED: &[(&str, u64)] = &[("0.1", 0xf629_f2ff_f340_6295)];

/// FNV-1a: it has to be the same for ever, and not to withstand anybody.
fn sum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[test]
fn whatever_was_released_is_still_taken_and_given() {
    let folder = root().join("proto/released");
    let mut there: Vec<String> = fs::read_dir(&folder)
        .expect("proto/released")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    there.sort();
    assert_eq!(there, RELEASED.iter().map(|(release, _)| *release).collect::<Vec<_>>(), "a release has its sum here");
    for (release, expect) in RELEASED {
        let document = fs::read(folder.join(release).join("openrpc.json")).expect("a document");
        let mut lines: Vec<(String, String)> = Vec::new();
        for entry in fs::read_dir(folder.join(release).join("fixtures")).expect("fixtures") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
            lines.extend(fs::read_to_string(&path).expect("a fixture").lines().map(|line| (name.clone(), line.to_owned())));
        }
        lines.sort();
        let all = lines.iter().flat_map(|(name, line)| [name.as_bytes(), b"\t", line.as_bytes(), b"\n"].concat());
        let found = sum(&document.iter().copied().chain(all).collect::<Vec<_>>());
        assert_eq!(found, *expect, "what {release} said is not what it was: take the change to proto/released/{release} back");
        let breaches = takes_away(&serde_json::from_slice(&document).expect("JSON"), &openrpc::made());
        assert!(breaches.is_empty(), "programs were written against {release}:\n{}", breaches.join("\n"));
        // That each of them is read by the types is the fixtures' own test.
        let now = |name: &str| fs::read_to_string(root().join("proto/fixtures").join(name)).unwrap_or_default();
        let gone = lines.iter().filter(|(name, line)| !now(name).lines().any(|other| other == line));
        let gone: Vec<String> = gone.map(|(name, line)| format!("{name}: {line}")).collect();
        assert!(gone.is_empty(), "lines that {release} sent or read are no fixtures any more:\n{}", gone.join("\n"));
    }
}

#[test]
fn the_document_is_what_the_types_say_and_only_grows() {
    let (committed, made): (Value, Value) = (serde_json::from_str(openrpc::TEXT).expect("openrpc.json"), openrpc::made());
    let breaches = takes_away(&committed, &made);
    assert!(breaches.is_empty(), "the protocol only grows inside a major:\n{}", breaches.join("\n"));
    if committed == made {
        return;
    }
    let text = format!("{}\n", serde_json::to_string_pretty(&made).expect("JSON"));
    if std::env::var_os("MINGLE_WRITE_OPENRPC").is_some() {
        fs::write(root().join("proto/openrpc.json"), text).expect("written");
        return;
    }
    panic!("proto/openrpc.json is not what the types say; MINGLE_WRITE_OPENRPC=1 writes what they added");
}

/// What the new document no longer takes or gives.
fn takes_away(old: &Value, new: &Value) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut differ = Differ { old, new, breaches: &mut breaches, seen: BTreeSet::new() };
    for method in list(&old["methods"]) {
        let name = text(&method["name"]);
        let Some(now) = named(&new["methods"], name) else {
            differ.breaches.push(format!("{name}: the method is gone"));
            continue;
        };
        differ.params(name, &method["params"], &now["params"], Side::Taken);
        differ.schema(&format!("{name} result"), &method["result"]["schema"], &now["result"]["schema"], Side::Given);
        if method["x-right"] != now["x-right"] {
            differ.breaches.push(format!("{name}: it asks for another right"));
        }
    }
    for notification in list(&old["x-notifications"]) {
        let name = text(&notification["name"]);
        match named(&new["x-notifications"], name) {
            None => differ.breaches.push(format!("{name}: the notification is gone")),
            Some(now) => {
                differ.params(name, &notification["params"], &now["params"], Side::Given);
                differ.schema(name, &notification["schema"], &now["schema"], Side::Given);
            }
        }
    }
    for error in list(&old["x-errors"]["names"]) {
        if !list(&new["x-errors"]["names"]).contains(&error) {
            differ.breaches.push(format!("the error {} is gone or has another code", error["name"]));
        }
    }
    differ.schema("error data", &old["x-errors"]["data"], &new["x-errors"]["data"], Side::Given);
    breaches
}

struct Differ<'a> {
    old: &'a Value,
    new: &'a Value,
    breaches: &'a mut Vec<String>,
    /// References that are compared already, for types that hold themselves.
    seen: BTreeSet<(String, bool)>,
}

impl Differ<'_> {
    fn params(&mut self, at: &str, old: &Value, new: &Value, side: Side) {
        for param in list(old) {
            let name = text(&param["name"]);
            match named(new, name) {
                None => self.breaches.push(format!("{at}.{name} is gone")),
                Some(now) => {
                    self.required(&format!("{at}.{name}"), param["required"] == true, now["required"] == true, side);
                    self.schema(&format!("{at}.{name}"), &param["schema"], &now["schema"], side);
                }
            }
        }
        for param in list(new).into_iter().filter(|param| side == Side::Taken && param["required"] == true) {
            let name = text(&param["name"]);
            if named(old, name).is_none() {
                self.breaches.push(format!("{at}.{name} is new, and must be given"));
            }
        }
    }

    fn required(&mut self, at: &str, was: bool, is: bool, side: Side) {
        match side {
            Side::Taken if is && !was => self.breaches.push(format!("{at} must be given now")),
            Side::Given if was && !is => self.breaches.push(format!("{at} may be missing now")),
            _ => {}
        }
    }

    fn schema(&mut self, at: &str, old: &Value, new: &Value, side: Side) {
        if let Some(reference) = old["$ref"].as_str()
            && !self.seen.insert((reference.to_owned(), side == Side::Taken))
        {
            return;
        }
        let (old, new) = (resolved(self.old, old).clone(), resolved(self.new, new).clone());
        let types = |schema: &Value| -> BTreeSet<String> {
            match &schema["type"] {
                Value::Array(types) => types.iter().map(|one| text(one).to_owned()).collect(),
                Value::String(one) => BTreeSet::from([one.clone()]),
                _ => BTreeSet::new(),
            }
        };
        let (was, is) = (types(&old), types(&new));
        let fits = match side {
            // Anything was taken before, or everything that was taken still is.
            Side::Taken => is.is_empty() || (!was.is_empty() && was.is_subset(&is)),
            Side::Given => was.is_empty() || (!is.is_empty() && is.is_subset(&was)),
        };
        if !fits {
            self.breaches.push(format!("{at}: {was:?} has become {is:?}"));
        }
        for word in list(&old["enum"]).into_iter().filter(|word| !list(&new["enum"]).contains(word)) {
            self.breaches.push(format!("{at}: the word {word} is gone"));
        }
        let required = |schema: &Value, name: &str| list(&schema["required"]).iter().any(|one| one == name);
        for (name, member) in old["properties"].as_object().into_iter().flatten() {
            let at = format!("{at}.{name}");
            match new["properties"].get(name) {
                None => self.breaches.push(format!("{at} is gone")),
                Some(now) => {
                    self.required(&at, required(&old, name), required(&new, name), side);
                    self.schema(&at, member, now, side);
                }
            }
        }
        for name in new["properties"].as_object().into_iter().flatten().map(|(name, _)| name) {
            if side == Side::Taken && required(&new, name) && old["properties"].get(name).is_none() {
                self.breaches.push(format!("{at}.{name} is new, and must be given"));
            }
        }
        for key in ["items", "additionalProperties"] {
            if old[key].is_object() {
                self.schema(&format!("{at}[]"), &old[key], &new[key], side);
            }
        }
        for key in ["allOf", "anyOf", "oneOf"] {
            for (place, one) in list(&old[key]).into_iter().enumerate() {
                match list(&new[key]).get(place) {
                    None => self.breaches.push(format!("{at}: the form {place} of {key} is gone")),
                    Some(now) => self.schema(&format!("{at}|{place}"), &one, now, side),
                }
            }
        }
    }
}

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(path) => document.pointer(path).unwrap_or(&Value::Null),
        None => schema,
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn named(all: &Value, name: &str) -> Option<Value> {
    list(all).into_iter().find(|one| one["name"] == name)
}

/// Changes to the document, each with the words that the test must find for it; none: it only adds.
#[test]
fn what_takes_away_is_found() {
    #[track_caller]
    fn check(pointer: &str, change: impl FnOnce(&mut Value), expect: Option<&str>) {
        let old = openrpc::made();
        let mut new = old.clone();
        change(new.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")));
        let found = takes_away(&old, &new);
        match expect {
            None => assert!(found.is_empty(), "{found:?}"),
            Some(words) => assert!(found.iter().any(|breach| breach.contains(words)), "{pointer}: {found:?}, not {words}"),
        }
    }
    fn remove(name: &str) -> impl FnOnce(&mut Value) {
        move |value| drop(value.as_object_mut().and_then(|object| object.remove(name)).expect("it is there"))
    }
    let place = |method: &str| {
        let at = list(&openrpc::made()["methods"]).iter().position(|one| one["name"] == method).expect("a method");
        format!("/methods/{at}")
    };
    check("", |_| {}, None);
    check("/methods", |methods| drop(methods.as_array_mut().expect("methods").pop()), Some("the method is gone"));
    check(&format!("{}/params", place("get")), |params| drop(params.as_array_mut().expect("a list").pop()), Some("is gone"));
    let extra = |required: bool| {
        move |params: &mut Value| {
            let one = serde_json::json!({ "name": "extra", "required": required, "schema": { "type": "string" } });
            params.as_array_mut().expect("a list").push(one);
        }
    };
    check(&format!("{}/params", place("get")), extra(true), Some("must be given"));
    check(&format!("{}/params", place("get")), extra(false), None);
    check(&place("status"), |method| method["x-right"] = "write".into(), Some("another right"));
    check("/components/schemas/StatusAnswer/properties", remove("uptime_ms"), Some("uptime_ms is gone"));
    check("/components/schemas/Record/properties/seq", |seq| seq["type"] = "string".into(), Some("has become"));
    check("/components/schemas/Record", |record| record["required"] = serde_json::json!(["id"]), Some("may be missing now"));
    check("/components/schemas/DaemonState/enum", |words| drop(words.as_array_mut().expect("words").pop()), Some("the word"));
    check("/components/schemas/DaemonState/enum", |words| words.as_array_mut().expect("words").push("hovering".into()), None);
    check("/components/schemas/Record/properties", |all| all["more"] = serde_json::json!({ "type": "string" }), None);
    check("/x-errors/names/0", |error| error["code"] = 1.into(), Some("another code"));
    check("/components/schemas/RunEvent/properties", remove("phase"), Some("phase is gone"));
}
