//! Owns: what an app of each released protocol said and heard, said again to today's daemon: it hears at least the same. Must never know:
//! how calls are carried out.
//!
//! `sessions/NAME.jsonl` has a line for each call: what was asked, and the answer. It is made by the daemon of its time, and never edited:
//! `MINGLE_SESSION=1 MINGLE_GOLDEN_BY=/path/to/mingled cargo test -p mingle-tests --test upgrades session`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use mingle_tests::{app::App, daemon::Home, wait::until};
use serde_json::{Value, json};

const CONFIG: &str = "[collection.notes]\nindex = [\"n\"]\ncolumns = [\"n\"]\n[app.reader]\ngrants = { notes = \"read\" }\n";

/// What was told in an earlier answer stands as `$NAME`.
const SAID: &[(&str, &str)] = &[
    ("hello", r#"{"app":"tester","protocol":1}"#),
    ("status", "{}"),
    (
        "put",
        r#"{"collection":"notes","id":"n1","data":{"n":1,"price":1.50,"tags":["a"],"odd":{"x":null}},"op":"op-1","if_seq":0}"#,
    ),
    (
        "put",
        r#"{"collection":"notes","id":"n1","data":{"n":1,"price":1.50,"tags":["a"],"odd":{"x":null}},"op":"op-1","if_seq":0}"#,
    ),
    ("put", r#"{"collection":"notes","id":"n1","data":{"n":2},"op":"op-1"}"#),
    ("put", r#"{"collection":"notes","id":"n1","data":{"n":2}}"#),
    ("put", r#"{"collection":"notes","id":"n1","data":{"n":2},"if_seq":99}"#),
    ("put", r#"{"collection":"notes","id":"n2","data":{"n":2},"overwrite":true}"#),
    ("patch", r#"{"collection":"notes","id":"n1","patch":{"n":3,"tags":null}}"#),
    ("patch", r#"{"collection":"notes","id":"none","patch":{}}"#),
    (
        "transact",
        r#"{"writes":[{"put":{"collection":"notes","id":"n3","data":{"n":3}}},{"delete":{"collection":"notes","id":"n2"}}],"op":"op-2"}"#,
    ),
    ("get", r#"{"collection":"notes","id":"n1"}"#),
    ("get", r#"{"collection":"notes","id":"n2"}"#),
    ("get", r#"{"collection":"nowhere","id":"n2"}"#),
    ("list", r#"{"collection":"notes","order":["n"],"limit":1}"#),
    ("list", r#"{"collection":"notes","order":["n"],"limit":1,"cursor":"$cursor"}"#),
    ("list", r#"{"collection":"notes","order":["-n"],"limit":1,"cursor":"$cursor"}"#),
    ("list", r#"{"collection":"notes","where":{"n":{"gte":3}}}"#),
    ("list", r#"{"collection":"notes","limit":100000}"#),
    ("changes", r#"{"since":0,"collections":["notes"],"data":true}"#),
    ("changes", r#"{"since":2,"instance":"another"}"#),
    ("wait", r#"{"token":"$token","timeout_ms":1}"#),
    ("wait", r#"{"token":"nonsense"}"#),
    ("delete", r#"{"collection":"notes","id":"n3","op":"op-3"}"#),
    ("delete", r#"{"collection":"notes","id":"n3"}"#),
    ("subscribe", r#"{"collections":["notes"],"initial":false}"#),
    ("cancel", r#"{"id":77}"#),
    ("sync.list", "{}"),
    ("sync.run", r#"{"sync":"none"}"#),
    ("explain", r#"{"sync":"none"}"#),
    ("history", "{}"),
    ("conflict.list", "{}"),
    ("conflict.resolve", r#"{"conflict":"c-0","keep":"truth"}"#),
    ("rejection.list", "{}"),
    ("rejection.resolve", r#"{"rejection":"j-0","with":"drop"}"#),
    ("remote.list", "{}"),
    ("stop", "{}"),
    ("restart", "{}"),
    ("put", r#"{"collection":"notes","data":{},"unheard_of":1}"#),
    ("unheard.of", "{}"),
];

/// Members that are another in each run: only that they are there, and their kind, is compared.
const OTHERWISE: &[&str] = &[
    "instance",
    "token",
    "cursor",
    "message",
    "hint",
    "build",
    "at",
    "op",
    "bytes",
    "wal_bytes",
    "looked",
    "path",
    "pid",
    "retry_after_ms",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("upgrades/sessions")
}

/// Says one call after the other. What was heard, one for each.
fn say(app: &mut App, said: &[(String, String)]) -> Vec<Value> {
    let mut told: BTreeMap<&str, String> = BTreeMap::new();
    let mut heard = Vec::new();
    for (method, params) in said {
        let mut params = params.clone();
        for (name, value) in &told {
            params = params.replace(&format!("${name}"), value);
        }
        let params: Value = serde_json::from_str(&params).expect("JSON");
        let answer = match app.ask(method, &params).unwrap_or_else(|error| panic!("{method}: {error}")) {
            Ok(result) => json!({ "result": result }),
            Err(error) => json!({ "error": error }),
        };
        for name in ["cursor", "token", "instance"] {
            if let Some(value) = answer["result"][name].as_str() {
                told.insert(name, value.to_owned());
            }
        }
        heard.push(answer);
    }
    heard
}

/// Everything that was told then is told now, in the same kind, and with the same value where that is no matter of the run.
fn same(then: &Value, now: &Value, place: &str, wrong: &mut Vec<String>) {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => {
            for (name, value) in then {
                let place = format!("{place}.{name}");
                let by_run = OTHERWISE.contains(&name.as_str()) || name.ends_with("_at") || name.ends_with("_ms");
                match now.get(name) {
                    None => wrong.push(format!("{place} is not told any more; it was {value}")),
                    Some(now) if by_run && std::mem::discriminant(value) == std::mem::discriminant(now) => {}
                    Some(now) => same(value, now, &place, wrong),
                }
            }
        }
        // A list of words may grow, as `abilities` does; one of records has the same.
        (Value::Array(then), Value::Array(now)) if then.iter().all(Value::is_string) => {
            let gone = then.iter().filter(|one| !now.contains(one));
            wrong.extend(gone.map(|one| format!("{place} has no {one} any more")));
        }
        (Value::Array(then), Value::Array(now)) if then.len() == now.len() => {
            then.iter().zip(now).enumerate().for_each(|(at, (then, now))| same(then, now, &format!("{place}[{at}]"), wrong));
        }
        _ if then == now => {}
        _ => wrong.push(format!("{place} was {then}, and is {now}")),
    }
}

#[test]
fn a_session_of_each_released_protocol_hears_at_least_what_it_heard_then() {
    if let Some(name) = std::env::var_os("MINGLE_SESSION") {
        return record(&folder().join(name).with_extension("jsonl"));
    }
    let mut sessions = 0;
    for entry in fs::read_dir(folder()).expect("the folder of sessions") {
        let path = entry.expect("readable").path();
        sessions += 1;
        let text = fs::read_to_string(&path).expect("a session");
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let words = |line: &Value, name: &str| line[name].as_str().expect("words").to_owned();
        let said: Vec<(String, String)> = lines.iter().map(|line| (words(line, "method"), words(line, "params"))).collect();
        let daemon = Home::new(Some(CONFIG)).start();
        let mut app = App::raw(&daemon.socket()).expect("a connection");
        // Whoever looked whether it answers is still listed for a moment.
        until("only us to be there", || {
            let status = app.ask("status", &json!({})).expect("an answer").expect("a status");
            status["apps"].as_array().is_some_and(|apps| apps.len() == 1).then_some(())
        });
        let heard = say(&mut app, &said);
        let mut wrong = Vec::new();
        for (line, now) in lines.iter().zip(&heard) {
            same(&line["heard"], now, &format!("{} {}", line["method"], line["params"]), &mut wrong);
        }
        assert!(wrong.is_empty(), "{}:\n{}", path.display(), wrong.join("\n"));
        assert_eq!(said.len(), heard.len());
    }
    assert!(sessions > 0);
}

fn record(place: &Path) {
    assert!(!place.exists(), "{} is there, and is never edited", place.display());
    let mut home = Home::new(Some(CONFIG));
    if let Some(by) = std::env::var_os("MINGLE_GOLDEN_BY") {
        home.run_by(Path::new(&by));
    }
    let daemon = home.start();
    let said: Vec<(String, String)> = SAID.iter().map(|(method, params)| ((*method).into(), (*params).into())).collect();
    let heard = say(&mut App::raw(&daemon.socket()).expect("a connection"), &said);
    let lines = said.iter().zip(heard).map(|((method, params), heard)| {
        // As text, so that it is said with the very words.
        format!("{}\n", json!({ "method": method, "params": params, "heard": heard }))
    });
    fs::create_dir_all(folder()).expect("a folder");
    fs::write(place, lines.collect::<String>()).expect("a session");
}
