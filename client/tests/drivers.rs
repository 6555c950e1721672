//! Owns: both drivers against a scripted daemon: what they send, what they make of answers, refusals and ends. Must never know: the
//! real daemon.

mod fake;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use fake::{Fake, Heard, Say};
use mingle_client::{
    CallError, ConnectError, Name, Options, Update, blocking,
    call::{Get, Put, Status, Subscribe, Wait},
    event::Body,
    nonblocking,
};
use serde_json::{Value, json, value::RawValue};

fn options(fake: &Fake) -> Options {
    Options { socket: Some(fake.socket()), ..Options::app("test") }
}

fn get(id: &str) -> Get {
    Get { collection: "a".into(), id: id.into(), ..Get::default() }
}

fn put() -> Put {
    Put { collection: "a".into(), data: RawValue::from_string("{\"n\":1.50}".into()).expect("JSON"), ..Put::default() }
}

/// Says of each `get` what its id tells; counts nothing.
fn script(heard: &Heard) -> Vec<Say> {
    let changed = |seq: u64, more: bool| {
        let changes = json!([{"collection": "a", "id": "b", "seq": seq, "kind": "updated"}]);
        Say::Tell("changed", json!({"subscription": 1, "changes": changes, "seq": seq, "more": more}))
    };
    match (heard.method.as_str(), heard.params["id"].as_str()) {
        ("get", Some("lost")) => vec![Say::Close],
        ("get", Some("silent")) => vec![Say::Tell("sung", json!({}))],
        ("get", Some("denied")) => vec![Say::Refuse("denied", json!({"hint": "ask"}))],
        ("get", Some("other")) => vec![Say::Answer(json!({"id": 7}))],
        ("get", Some(id)) => vec![Say::Answer(json!({"id": id, "data": {"n": 1}, "seq": 41, "new_member": true}))],
        ("put", _) => vec![Say::Close],
        ("wait", _) => vec![Say::Answer(json!({"state": "done", "remotes": []}))],
        ("subscribe", _) if heard.params["since"] == json!(43) => {
            vec![Say::Answer(json!({"subscription": 1, "seq": 43, "caught_up": true})), changed(44, false), Say::Close]
        }
        ("subscribe", _) => vec![
            Say::Answer(json!({"subscription": 1, "seq": 41, "caught_up": false})),
            changed(42, true),
            Say::Tell(
                "event",
                json!({"subscription": 1, "topic": "attention", "at": "t", "name": "overdue", "about": "a", "open": true, "since_at": "t", "hint": "h"}),
            ),
            changed(43, false),
            Say::Close,
        ],
        _ => vec![],
    }
}

/// What a result is, in short.
fn short<T: std::fmt::Debug>(result: Result<T, CallError>) -> String {
    match result {
        Ok(_) => "ok".into(),
        Err(CallError::Refused(refusal)) => format!("refused {}", refusal.name()),
        Err(CallError::Lost { op, .. }) => format!("lost {}", if op.is_some() { "with op" } else { "without" }),
        Err(CallError::Late { op, .. }) => format!("late {}", if op.is_some() { "with op" } else { "without" }),
        Err(CallError::Garbled(_)) => "garbled".into(),
    }
}

fn line(update: &Update) -> String {
    match update {
        Update::Changed(changed) => format!("{}{}", changed.seq, if changed.more { "+" } else { "." }),
        Update::Event(event) => match &event.body {
            Body::Attention(attention) => attention.name.clone(),
            other => format!("{other:?}"),
        },
        Update::Again => "again".into(),
    }
}

const SHORT: Duration = Duration::from_millis(50);

#[test]
fn blocking_calls() {
    let fake = Fake::start(script);
    let mut client = blocking::Client::open(&options(&fake)).expect("connected");
    assert_eq!(client.hello().map(|hello| hello.instance.as_str()), Some("5f0c"));
    let record = client.get(get("b")).expect("answered");
    assert_eq!((record.id.as_str(), record.data.get(), record.seq), ("b", "{\"n\":1}", 41));
    assert_eq!(short(client.get(get("denied"))), "refused denied");
    assert_eq!(short(client.get(get("other"))), "garbled");
    assert_eq!(short(client.wait(Wait::default())), "ok", "a call after one that could not be read");
    assert_eq!(short(client.put(put())), "lost with op");
    assert_eq!(short(client.get(get("b"))), "lost without", "a broken connection stays broken");
    let mut client = blocking::Client::open(&options(&fake)).expect("connected");
    assert_eq!(short(client.call_within(get("silent"), SHORT)), "late without");
    assert_eq!(short(client.get(get("b"))), "lost without");
    let sent: Vec<Value> = fake.heard().into_iter().filter(|heard| heard.method == "put").map(|heard| heard.params).collect();
    assert!(sent[0]["op"].as_str().is_some_and(|op| op.len() == 36), "{sent:?}");
    assert_eq!(sent[0]["data"].to_string(), "{\"n\":1.50}");
}

#[test]
fn a_blocking_subscription_goes_on_from_where_it_was() {
    let fake = Fake::start(script);
    let client = blocking::Client::open(&options(&fake)).expect("connected");
    let mut subscription = client.subscribe(Subscribe { data: true, ..Subscribe::default() }).expect("subscribed");
    let lines: Vec<String> =
        subscription.by_ref().map(|update| update.map_or_else(|_| "end".into(), |update| line(&update))).collect();
    assert_eq!(lines, ["42+", "overdue", "43.", "end"]);
    assert!(subscription.follow().caught_up());
    let again = subscription.again();
    let lines: Vec<String> = client
        .subscribe(again)
        .expect("subscribed")
        .map(|update| update.map_or_else(|_| "end".into(), |update| line(&update)))
        .collect();
    assert_eq!(lines, ["44.", "end"]);
    let asked = fake.heard().pop().expect("asked");
    assert!(asked.connection > 1, "a subscription has a connection of its own");
    assert_eq!(asked.params, json!({"since": 43, "instance": "5f0c", "data": true}));
}

#[tokio::test(flavor = "current_thread")]
async fn many_calls_at_once() {
    let fake = Fake::start(script);
    let client = nonblocking::Client::open(&options(&fake)).await.expect("connected");
    let calls = (0..200).map(|n| {
        let client = client.clone();
        async move { client.get(get(&n.to_string())).await.map(|record| record.id) }
    });
    let ids: Vec<_> = futures_util::future::join_all(calls).await.into_iter().map(|id| id.expect("answered")).collect();
    assert_eq!(ids, (0..200).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(short(client.get(get("denied")).await), "refused denied");
    assert_eq!(short(client.call_within(get("silent"), SHORT).await), "late without");
    assert_eq!(short(client.get(get("b")).await), "ok", "a late call does not end the connection");
    let put = tokio::spawn({
        let client = client.clone();
        async move { short(client.put(put()).await) }
    });
    assert_eq!(put.await.expect("joined"), "lost with op");
    assert_eq!(short(client.status(Status {}).await), "lost without");
}

#[tokio::test(flavor = "current_thread")]
async fn a_stream_goes_on_from_where_it_was() {
    let fake = Fake::start(script);
    let client = nonblocking::Client::open(&options(&fake)).await.expect("connected");
    let mut subscription = client.subscribe(Subscribe::default()).await.expect("subscribed");
    let mut lines = Vec::new();
    while let Some(Ok(update)) = subscription.next().await {
        lines.push(line(&update));
    }
    assert_eq!(lines, ["42+", "overdue", "43."]);
    assert_eq!(subscription.again().since, Some(43));
    let denied = nonblocking::Client::open(&Options { socket: Some("/nonexistent/s".into()), ..Options::default() }).await;
    assert!(denied.is_err_and(|error| error.is_absence()));
}

/// A daemon that loses its answer once, does not know once, and is busy once; then answers.
fn forgetful(heard: &Heard, calls: &AtomicUsize) -> Vec<Say> {
    match (heard.method.as_str(), calls.fetch_add(usize::from(heard.method == "put"), Ordering::SeqCst)) {
        ("put", 0) => vec![Say::Close],
        ("put", 1) => vec![Say::Refuse("outcome_unknown", json!({"op": heard.params["op"]}))],
        ("put", 2) => vec![Say::Refuse("busy", json!({"retry_after_ms": 1}))],
        ("put", _) => vec![Say::Answer(json!({"id": "b", "seq": 42, "token": "w-42", "op": heard.params["op"]}))],
        _ => script(heard),
    }
}

#[track_caller]
fn one_write(fake: &Fake) {
    let puts: Vec<Heard> = fake.heard().into_iter().filter(|heard| heard.method == "put").collect();
    assert_eq!(puts.len(), 4);
    assert!(puts.iter().all(|put| put.params["op"] == puts[0].params["op"]), "one write, one op: {puts:?}");
    assert_eq!(puts[0].params["instance"], Value::Null);
    // Sent over another connection, it still means the store that it was made for.
    assert!(puts[1..].iter().all(|put| put.params["instance"] == "5f0c" && put.connection > puts[0].connection), "{puts:?}");
}

#[test]
fn a_patient_client_makes_a_write_again_until_it_is_answered() {
    let calls = AtomicUsize::new(0);
    let fake = Fake::start(move |heard| forgetful(heard, &calls));
    let patient = Options { reconnect_within: Some(Duration::from_secs(20)), ..options(&fake) };
    let mut client = blocking::Client::open(&patient).expect("connected");
    assert_eq!(client.put(put()).map(|written| written.seq).map_err(|error| error.to_string()), Ok(42));
    one_write(&fake);
    let mut subscription = client.subscribe(Subscribe { data: true, ..Subscribe::default() }).expect("subscribed");
    let lines: Vec<String> = subscription.by_ref().take(7).map(|update| line(&update.expect("goes on"))).collect();
    // The script ends the connection after 43, and after 44 for whoever asks from 43; then it knows no more.
    assert_eq!(lines[..6], ["42+", "overdue", "43.", "again", "44.", "again"]);
}

#[tokio::test(flavor = "current_thread")]
async fn a_patient_async_client_does_so_too() {
    let calls = AtomicUsize::new(0);
    let fake = Fake::start(move |heard| forgetful(heard, &calls));
    let patient = Options { reconnect_within: Some(Duration::from_secs(20)), ..options(&fake) };
    let client = nonblocking::Client::open(&patient).await.expect("connected");
    assert_eq!(client.put(put()).await.map(|written| written.seq).map_err(|error| error.to_string()), Ok(42));
    one_write(&fake);
    let mut subscription = client.subscribe(Subscribe::default()).await.expect("subscribed");
    let mut lines = Vec::new();
    for _ in 0..6 {
        lines.push(line(&subscription.next().await.expect("goes on").expect("an update")));
    }
    assert_eq!(lines, ["42+", "overdue", "43.", "again", "44.", "again"]);
}

#[test]
fn what_keeps_a_connection_from_being_made() {
    #[track_caller]
    fn check(script: impl Fn(&Heard) -> Vec<Say> + Send + Sync + 'static, expect: &str) {
        let fake = Fake::start(script);
        let error = blocking::Client::open(&options(&fake)).expect_err(expect);
        let got = match &error {
            ConnectError::WrongVersion { .. } => "version",
            ConnectError::Hello(CallError::Refused(refusal)) if refusal.name() == Name::Denied => "denied",
            ConnectError::Hello(CallError::Refused(refusal)) if refusal.name() == Name::Busy => "busy",
            ConnectError::Hello(CallError::Lost { .. }) => "lost",
            _ => "another",
        };
        assert_eq!(got, expect, "{error:?}");
    }
    check(|_| vec![Say::Refuse("version", json!({}))], "version");
    check(|_| vec![Say::Refuse("denied", json!({"hint": "h"}))], "denied");
    check(|_| vec![Say::Expel("busy")], "busy");
    check(|_| vec![Say::Close], "lost");
    check(
        |_| {
            let mut hello = fake::hello();
            hello["protocol"] = json!(2);
            vec![Say::Answer(hello)]
        },
        "version",
    );
    let fake = Fake::start(|heard| match heard.method.as_str() {
        "hello" => vec![Say::Refuse("version", json!({}))],
        _ => vec![Say::Answer(json!({"state": "stopped", "runs": []}))],
    });
    let mut client = blocking::Client::open(&Options { without_hello: true, ..options(&fake) }).expect("connected");
    assert_eq!(short(client.stop(mingle_client::call::Stop::default())), "ok", "stop works with another major");
}
