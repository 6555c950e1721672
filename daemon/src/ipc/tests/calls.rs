//! Owns: calls and answers, rights, cancelling. Must never know: limits, subscriptions.

use mingle_proto::METHODS;
use serde_json::json;

use super::{House, until};

/// Parameters with which each method is served, to a named app that may do everything.
const SAMPLES: &[(&str, &str)] = &[
    ("hello", r#"{"app":"agent"}"#),
    ("get", r#"{"collection":"issues","id":"1"}"#),
    ("list", r#"{"collection":"issues","where":{"n":{"in":[1,2]}},"order":["-n","id"],"limit":1000}"#),
    ("put", r#"{"collection":"issues","id":"1","data":{"n":1.50},"overwrite":true}"#),
    ("patch", r#"{"collection":"issues","id":"1","patch":{"n":2}}"#),
    ("delete", r#"{"collection":"issues","id":"2","op":"x"}"#),
    ("transact", r#"{"writes":[{"put":{"collection":"issues","data":{}}},{"delete":{"collection":"issues","id":"2"}}]}"#),
    ("changes", r#"{"since":0,"collections":["issues"],"data":true}"#),
    ("subscribe", r#"{"collections":["issues"],"initial":false}"#),
    ("wait", r#"{"token":"w-1"}"#),
    ("cancel", r#"{"id":999}"#),
    ("status", "{}"),
    ("stop", "{}"),
    ("restart", r#"{"resync_stopped":true}"#),
    ("reload", "{}"),
    ("rpc.discover", "{}"),
    ("shutdown", "{}"),
    ("sync.run", r#"{"sync":"s","mode":"slow","force":true,"accept_deletes":true}"#),
    ("sync.pause", r#"{"sync":"s"}"#),
    ("sync.resume", r#"{"sync":"s"}"#),
    ("sync.cancel", r#"{"sync":"s"}"#),
    ("sync.ping", r#"{"syncs":["s"]}"#),
    ("sync.next", r#"{"sync":"s","at":"2026-01-02T03:04:05.678Z"}"#),
    ("sync.reset", r#"{"sync":"s","how":"discard"}"#),
    ("plan", r#"{"sync":"s","limit":1}"#),
    ("rebuild", r#"{"collection":"issues","plan":true}"#),
    ("sync.get", r#"{"sync":"s"}"#),
    ("sync.list", "{}"),
    ("sync.define", r#"{"sync":"s","definition":{"collection":"issues","remote":"r","direction":"both"}}"#),
    ("sync.remove", r#"{"sync":"s"}"#),
    ("explain", r#"{"sync":"s"}"#),
    ("history", r#"{"sync":"s","limit":3}"#),
    ("conflict.list", r#"{"collection":"issues","all":true,"under":"manual"}"#),
    ("conflict.resolve", r#"{"conflict":"c-1","value":null}"#),
    ("rejection.list", r#"{"sync":"s"}"#),
    ("rejection.resolve", r#"{"rejection":"j-1","with":"retry"}"#),
    ("pending.list", r#"{"collection":"issues","sync":"s","state":"deferred"}"#),
    ("pending.upload", r#"{"collection":"issues","ids":["1"]}"#),
    ("pending.rollback", r#"{"collection":"issues","id":"1"}"#),
    ("forget", r#"{"collection":"issues","id":"1","if_seq":1}"#),
    ("why", r#"{"collection":"issues","id":"1","property":"n"}"#),
    ("undo", r#"{"collection":"issues","id":"1"}"#),
    ("session.begin", r#"{"collections":["issues"],"mode":"fast","anchor":"a-1"}"#),
    ("session.join", r#"{"session":"s-1","decline":true}"#),
    ("session.push", r#"{"session":"s-1","changes":[{"put":{"collection":"issues","id":"1","data":{}}}]}"#),
    ("session.lost", r#"{"session":"s-1","collection":"issues","id":"1","again":true}"#),
    ("session.mingle", r#"{"session":"s-1","accept_deletes":true}"#),
    ("session.pull", r#"{"session":"s-1","limit":10,"wait_ms":1}"#),
    ("session.accept", r#"{"session":"s-1","records":[{"collection":"issues","id":"1","seq":1,"data":{},"new_id":"x"}]}"#),
    ("session.refuse", r#"{"session":"s-1","records":[{"collection":"issues","id":"1","seq":1}]}"#),
    ("session.commit", r#"{"session":"s-1"}"#),
    ("session.finish", r#"{"session":"s-1"}"#),
    ("session.cancel", r#"{"session":"s-1"}"#),
    ("app.register", r#"{"collections":["issues"]}"#),
    ("app.list", r#"{"limit":10}"#),
    ("app.reset", r#"{"app":"keeper","collections":["issues"]}"#),
    ("remote.list", "{}"),
    ("remote.check", r#"{"remote":"github"}"#),
    ("remote.budget", "{}"),
    ("remote.login", r#"{"remote":"github","secret":"s"}"#),
    ("remote.authorize", r#"{"remote":"github","device":true,"same_person":true}"#),
    ("remote.authorized", r#"{"login":"l-1"}"#),
    ("remote.logout", r#"{"remote":"github"}"#),
    ("worker.offer", r#"{"remotes":["sheet"]}"#),
    ("worker.batch", r#"{"work":"k-1","batch":1,"rows":[{"id":"1","data":{"n":1.50}}],"checkpoint":{"n":1.0}}"#),
    ("worker.done", r#"{"work":"k-1","result":"no_new_data"}"#),
];

#[tokio::test]
async fn every_method_answers_in_its_own_words() {
    let house = House::open();
    house.model.put("issues", "1", Some("{\"n\":1.50}"));
    let mut app = house.app("agent").await;
    assert_eq!(SAMPLES.len(), METHODS.len());
    for (method, params) in SAMPLES {
        let id = app.ask(method, params).await;
        let mut answer = app.next().await;
        while answer["id"].is_null() {
            // The subscription of one of them hears of the writes of others, and who offers is called.
            assert!(["changed", "work", "work.stop"].map(Into::into).contains(&answer["method"]), "{answer}");
            answer = app.next().await;
        }
        assert_eq!((answer["id"].as_u64(), answer["error"].is_null()), (Some(id), true), "{method}: {answer}");
        let known = mingle_proto::call::method(method).unwrap();
        let raw = serde_json::value::to_raw_value(&answer["result"]).unwrap();
        let again: serde_json::Value = serde_json::from_str((known.answer)(&raw).unwrap().get()).unwrap();
        assert_eq!(again, answer["result"], "{method} answers what the wire's own type does not say");
    }
}

#[tokio::test]
async fn who_may_call_what() {
    let house = House::open();
    house.model.put("issues", "1", Some("{}"));
    house.model.put("notes", "1", Some("{}"));
    // Each caller with the methods that are denied to it when they touch `issues`.
    let writing = [
        "put",
        "patch",
        "delete",
        "transact",
        "conflict.resolve",
        "rejection.resolve",
        "pending.upload",
        "pending.rollback",
        "forget",
        "undo",
        "rebuild",
        "sync.define",
        "sync.remove",
        "app.reset",
    ];
    let in_sessions = SAMPLES.iter().map(|(method, _)| *method).filter(|method| method.starts_with("session."));
    let writes: Vec<&str> = writing.into_iter().chain(in_sessions).collect();
    type Denied<'a> = &'a dyn Fn(&str) -> bool;
    let table: &[(Option<&str>, Denied<'_>)] = &[
        (None, &|method| {
            writes.contains(&method) || ["sync.run", "sync.reset", "app.register", "worker.offer"].contains(&method)
        }),
        (Some("agent"), &|_| false),
        (Some("writer"), &|_| false),
        (Some("reader"), &|method| writes.contains(&method) || ["sync.run", "sync.reset"].contains(&method)),
        (Some("nothing"), &|method| {
            let reads = ["get", "list", "changes", "subscribe", "conflict.list", "pending.list", "why", "plan", "app.register"];
            writes.contains(&method) || reads.contains(&method) || ["sync.run", "sync.reset"].contains(&method)
        }),
    ];
    for (name, denied) in table {
        for (method, params) in SAMPLES.iter().filter(|(method, _)| *method != "hello") {
            let mut app = match name {
                Some(name) => house.app(name).await,
                None => house.connect().await,
            };
            let refused = app.refusal(method, params).await == "denied";
            assert_eq!(refused, denied(method), "{method} by {name:?}");
        }
    }
    let mut reader = house.app("reader").await;
    assert_eq!(reader.refusal("get", r#"{"collection":"notes","id":"1"}"#).await, "denied");
    assert_eq!(reader.refusal("changes", r#"{"since":0,"collections":["issues","notes"]}"#).await, "denied");
    let changes = reader.call("changes", r#"{"since":0}"#).await;
    let shown = changes["result"]["changes"].as_array().unwrap();
    let only = !shown.is_empty() && shown.iter().all(|change| change["collection"] == "issues");
    assert!(only, "what is not granted does not show: {changes}");
    let conflicts = reader.call("conflict.list", "{}").await;
    assert_eq!(conflicts["result"]["conflicts"].as_array().unwrap().len(), 1, "{conflicts}");
    // The copy of another app is for who may write what it is of; an app's own is its own.
    assert_eq!(reader.refusal("app.reset", r#"{"app":"keeper"}"#).await, "not_found");
    assert_eq!(reader.refusal("app.reset", r#"{"app":"keeper","collections":["issues"]}"#).await, "denied");
    assert_eq!(reader.refusal("app.reset", r#"{"app":"reader","collections":["issues","notes"]}"#).await, "");
    assert_eq!(reader.refusal("app.register", r#"{"collections":["issues","notes"]}"#).await, "denied");
    let mut writer = house.app("writer").await;
    assert_eq!(writer.refusal("app.reset", r#"{"app":"keeper"}"#).await, "not_found", "it keeps one of what this may not write");
    let both = r#"{"writes":[{"put":{"collection":"issues","data":{}}},{"delete":{"collection":"notes","id":"1"}}]}"#;
    assert_eq!(writer.refusal("transact", both).await, "denied", "all of it must be granted");
    for (method, params) in SAMPLES.iter().filter(|(method, _)| method.starts_with("session.") && *method != "session.begin") {
        let both = params.replace("s-1", "s-both");
        assert_eq!(writer.refusal(method, &both).await, "denied", "{method}: every collection of the session must be granted");
    }
}

#[tokio::test]
async fn lines_that_are_no_calls_are_answered_and_the_connection_goes_on() {
    let house = House::open();
    let mut app = house.connect().await;
    for (line, id, code, name) in [
        ("nonsense", json!(null), -32700, "parse"),
        ("{\"id\":1,", json!(null), -32700, "parse"),
        (r#"[{"id":1,"method":"status"}]"#, json!(null), -32600, "request"),
        (r#"{"method":"status"}"#, json!(null), -32600, "request"),
        (r#"{"id":{},"method":"status"}"#, json!(null), -32600, "request"),
        (r#"{"id":"x","method":"stauts"}"#, json!("x"), -32601, "method"),
        (r#"{"id":1,"method":"get","params":{"collection":"issues","id":"1","extra":1}}"#, json!(1), -32000, "invalid"),
        (r#"{"id":1,"method":"get","params":["issues","1"]}"#, json!(1), -32000, "invalid"),
        (r#"{"id":1,"method":"get","params":{"collection":"issues"}}"#, json!(1), -32000, "invalid"),
        (r#"{"id":1,"method":"get","params":{"collection":"issues","id":""}}"#, json!(1), -32000, "invalid"),
        (r#"{"id":1,"method":"get","params":{"collection":"issues","id":"none"}}"#, json!(1), -32000, "not_found"),
        (r#"{"id":1,"method":"get","params":{"collection":"nowhere","id":"1"}}"#, json!(1), -32000, "not_found"),
        (r#"{"id":1,"method":"list","params":{"collection":"issues","limit":1001}}"#, json!(1), -32000, "invalid"),
        (r#"{"id":1,"method":"wait","params":{}}"#, json!(1), -32000, "invalid"),
        (r#"{"id":1,"method":"wait","params":{"token":"w","run":"r"}}"#, json!(1), -32000, "invalid"),
        (r#"{"id":1,"method":"hello","params":{"app":"a b"}}"#, json!(1), -32000, "invalid"),
        (r#"{"id":1,"method":"hello","params":{"app":"a","protocol":2}}"#, json!(1), -32000, "version"),
        (r#"{"id":1,"method":"put","params":{"collection":"issues","data":{}}}"#, json!(1), -32000, "denied"),
    ] {
        app.send(&format!("{line}\n")).await;
        let answer = app.next().await;
        let error = &answer["error"];
        assert_eq!(
            (&answer["id"], &error["code"], &error["data"]["name"]),
            (&id, &json!(code), &json!(name)),
            "{line}: {answer}"
        );
        assert!(name == "not_found" || name == "invalid" || error["data"]["hint"].is_string() || code == -32600, "{answer}");
    }
    assert_eq!(app.refusal("status", "{}").await, "");
}

#[tokio::test]
async fn what_a_write_may_not_be() {
    let house = House::open();
    let mut app = house.app("agent").await;
    for (params, name) in [
        (r#"{"collection":"issues","data":[]}"#, "invalid"),
        (r#"{"collection":"issues","data":{},"merge":true}"#, "invalid"),
        (r#"{"collection":"issues","data":{},"overwrite":true,"if_seq":1}"#, "invalid"),
        (r#"{"collection":"issues","data":{},"op":""}"#, "invalid"),
        (r#"{"collection":"issues","data":{},"id":"a\u0000"}"#, "invalid"),
        (r#"{"collection":"nowhere","data":{},"op":"mine"}"#, "not_found"),
        (r#"{"collection":"issues","data":{}}"#, ""),
    ] {
        assert_eq!(app.refusal("put", params).await, name, "{params}");
    }
    let refused = app.call("put", r#"{"collection":"nowhere","data":{},"op":"mine"}"#).await;
    assert_eq!(refused["error"]["data"]["op"], "mine", "a refused write says under which op");
    let made = app.call("put", r#"{"collection":"nowhere","data":{}}"#).await;
    assert_eq!(made["error"]["data"]["op"].as_str().unwrap().len(), 32, "also where we made it");
    assert_eq!(app.refusal("transact", r#"{"writes":[]}"#).await, "invalid");
    let second = r#"{"writes":[{"put":{"collection":"issues","data":{}}},{"patch":{"collection":"issues","id":"1","patch":3}}]}"#;
    let answer = app.call("transact", second).await;
    assert!(answer["error"]["message"].as_str().unwrap().starts_with("write 1: "), "{answer}");
}

#[tokio::test]
async fn a_name_is_kept_and_says_what_it_may() {
    let house = House::open();
    let mut app = house.connect().await;
    let hello = app.call("hello", "{}").await;
    assert_eq!(hello["result"]["grants"], json!({"*": "read"}), "{hello}");
    let abilities = hello["result"]["abilities"].as_array().unwrap();
    assert!(abilities.contains(&json!("get")) && !abilities.contains(&json!("put")), "{hello}");
    assert_eq!(hello["result"]["instance"], "here");
    let hello = app.call("hello", r#"{"app":"reader"}"#).await;
    assert_eq!(hello["result"]["grants"], json!({"issues": "read"}));
    assert_eq!(app.refusal("hello", r#"{"app":"reader"}"#).await, "");
    assert_eq!(app.refusal("hello", r#"{"app":"agent"}"#).await, "invalid");
    let apps = app.call("status", "{}").await["result"]["apps"].clone();
    assert_eq!((&apps[0]["app"], &apps[0]["pid"]), (&json!("reader"), &json!(std::process::id())), "{apps}");
}

#[tokio::test]
async fn answers_overtake_and_each_id_has_one() {
    let house = House::open();
    house.model.put("issues", "1", Some("{\"n\":1.50}"));
    let mut app = house.connect().await;
    let wait = app.ask("wait", r#"{"token":"w-1","timeout_ms":60000}"#).await;
    let get = app.call("get", r#"{"collection":"issues","id":"1"}"#).await;
    assert_eq!(get["result"]["data"].to_string(), r#"{"n":1.50}"#, "stored text goes out as it is");
    house.model.settle("w-1");
    let answer = app.next().await;
    assert_eq!((answer["id"].as_u64(), answer["result"]["state"].as_str()), (Some(wait), Some("done")), "{answer}");
    let pending = app.call("wait", r#"{"run":"r-9"}"#).await;
    assert_eq!(pending["result"]["state"], "pending", "no time given: at once");
}

#[tokio::test]
async fn cancelled_calls_answer_cancelled_and_queued_writes_answer_as_they_are() {
    let house = House::open();
    let mut app = house.app("agent").await;
    let wait = app.ask("wait", r#"{"token":"w-1","timeout_ms":60000}"#).await;
    let cancel = app.ask("cancel", &format!(r#"{{"id":{wait}}}"#)).await;
    let (first, second) = (app.next().await, app.next().await);
    assert_eq!((first["id"].as_u64(), first["error"]["data"]["name"].as_str()), (Some(wait), Some("cancelled")), "{first}");
    assert_eq!((second["id"].as_u64(), &second["result"]["cancelled"]), (Some(cancel), &json!(true)), "{second}");
    let again = app.call("cancel", &format!(r#"{{"id":{wait}}}"#)).await;
    assert_eq!(again["result"]["cancelled"], false, "it has had its answer");

    let put = app.ask("put", r#"{"collection":"slow","data":{}}"#).await;
    let cancel = app.call("cancel", &format!(r#"{{"id":{put}}}"#)).await;
    assert_eq!(cancel["result"]["cancelled"], false, "what is queued happens");
    house.model.settle("slow");
    let answer = app.next().await;
    assert_eq!((answer["id"].as_u64(), answer["result"]["id"].as_str()), (Some(put), Some("made")), "{answer}");
}

#[tokio::test]
async fn a_stop_by_lease_ends_with_its_connection() {
    let house = House::open();
    let mut app = house.app("agent").await;
    let stop = app.call("stop", r#"{"lease":true}"#).await;
    assert_eq!(stop["result"], json!({"state": "stopping", "runs": ["r-1"]}));
    let leases = || house.model.leases.lock().unwrap().clone();
    assert_eq!(leases(), ["stop 1"]);
    drop(app);
    until("the lease is released", || leases() == ["stop 1", "release 1"]).await;
    let mut app = house.app("agent").await;
    app.call("stop", "{}").await;
    drop(app);
    let mut other = house.connect().await;
    until("another stop stands", || leases().len() == 3).await;
    other.call("status", "{}").await;
    assert_eq!(leases().last().map(String::as_str), Some("stop"));
}

#[tokio::test]
async fn a_session_whose_connection_is_gone_is_in_nobodys_way() {
    let house = House::open();
    let begin = r#"{"collections":["issues"]}"#;
    let mut first = house.app("agent").await;
    assert_eq!(first.call("session.begin", begin).await["result"]["session"], "s-1");
    let mut second = house.app("agent").await;
    let reset = r#"{"app":"agent","collections":["issues"]}"#;
    assert_eq!(second.refusal("session.begin", begin).await, "wrong_state");
    assert_eq!(second.refusal("app.reset", reset).await, "wrong_state");
    drop(first);
    until("its end is known", || house.model.leases.lock().unwrap().contains(&"leave 1".to_owned())).await;
    for (method, params) in [("app.reset", reset), ("session.begin", begin)] {
        loop {
            let answer = second.call(method, params).await;
            if answer["error"].is_null() {
                break;
            }
            assert_eq!(answer["error"]["data"]["name"], "wrong_state", "{method}: {answer}");
            tokio::task::yield_now().await;
        }
    }
}
