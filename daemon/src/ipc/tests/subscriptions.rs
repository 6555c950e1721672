//! Owns: subscriptions: order, coalescing, beginning anew, topics. Must never know: calls, limits.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use mingle_core::{
    ask::{Event, News, Progress},
    limits::CHANGES_PER_PAGE_MAX,
    time::Timestamp,
};
use serde_json::{Value, json};

use super::{App, House, until};

impl House {
    pub(super) fn model_time(&self) -> Timestamp {
        Timestamp::from_unix_ms(1_000)
    }

    fn run(&self, run: &str, status: &str, done: Option<u64>) {
        let progress = done.map(|done| Progress { run: run.into(), phase: "down".into(), done, total: None });
        let (sync, run, status) = ("s".to_owned(), run.to_owned(), status.to_owned());
        let event = Event::Run { sync, run, status, progress, result: None, stop_reason: None, error: None };
        self.model.news.publish(News { at: self.model_time(), event });
    }
}

/// Ids and kinds of a `changed`, in a line, with `more` and `fresh` where they are set.
fn told(line: &Value) -> String {
    assert_eq!(line["method"], "changed", "{line}");
    let params = &line["params"];
    let mut words: Vec<String> = params["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let data = if one["data"].is_null() { String::new() } else { format!("={}", one["data"]) };
            format!("{}:{}{data}", one["id"].as_str().unwrap(), one["kind"].as_str().unwrap())
        })
        .collect();
    words.push(format!("@{}", params["seq"]));
    if params["more"] == true {
        words.push("more".into());
    }
    if params["fresh"] == true {
        words.push("fresh".into());
    }
    words.join(" ")
}

async fn subscribe(app: &mut App, params: &str) -> Value {
    let answer = app.call("subscribe", params).await;
    assert!(answer["result"].is_object(), "{answer}");
    answer["result"].clone()
}

#[tokio::test]
async fn state_first_then_changes() {
    let house = House::open();
    house.model.put("issues", "1", Some("{\"n\":1.50}"));
    house.model.put("notes", "9", Some("{}"));
    let mut app = house.connect().await;
    let answer = subscribe(&mut app, r#"{"collections":["issues"],"data":true}"#).await;
    assert_eq!(answer, json!({"subscription": 1, "seq": 0, "caught_up": false}));
    assert_eq!(told(&app.next().await), "1:created={\"n\":1.50} @2");
    house.model.put("notes", "9", None);
    house.model.put("issues", "1", Some("{\"n\":2}"));
    assert_eq!(told(&app.next().await), "1:updated={\"n\":2} @4", "what is not subscribed only moves the cursor");
    house.model.put("issues", "1", None);
    assert_eq!(told(&app.next().await), "1:deleted @5");
}

#[tokio::test]
async fn where_a_subscription_begins() {
    let house = House::open();
    house.model.put("issues", "1", Some("{}"));
    house.model.put("issues", "2", Some("{}"));
    for (params, answer, first) in [
        (r#"{"collections":["issues"],"since":2}"#, json!({"seq": 2, "caught_up": true}), None),
        (r#"{"collections":["issues"],"since":1}"#, json!({"seq": 1, "caught_up": false}), Some("2:created @2")),
        (
            r#"{"collections":["issues"],"since":1,"instance":"here"}"#,
            json!({"seq": 1, "caught_up": false}),
            Some("2:created @2"),
        ),
        (
            r#"{"collections":["issues"],"since":2,"instance":"other"}"#,
            json!({"seq": 0, "caught_up": false, "fresh": true}),
            Some("1:created 2:created @2 fresh"),
        ),
        (r#"{"collections":["issues"],"initial":false}"#, json!({"seq": 2, "caught_up": true}), None),
        (r#"{"collections":["notes"]}"#, json!({"seq": 2, "caught_up": true}), None),
        ("{}", json!({"seq": 0, "caught_up": false}), Some("1:created 2:created @2")),
        (r#"{"topics":["run"]}"#, json!({"seq": 2, "caught_up": true}), None),
    ] {
        let mut app = house.connect().await;
        let mut got = subscribe(&mut app, params).await;
        assert_eq!(got.as_object_mut().unwrap().remove("subscription"), Some(json!(1)));
        assert_eq!(got, answer, "{params}");
        // Whatever was to come has come when the next answer is there: it would have been sent before.
        let status = app.ask("status", "{}").await;
        let mut line = app.next().await;
        let mut seen = None;
        while line["id"] != status {
            seen = Some(told(&line));
            line = app.next().await;
        }
        if seen.is_none() && first.is_some() {
            seen = Some(told(&app.next().await));
        }
        assert_eq!(seen.as_deref(), first, "{params}");
    }
    let mut app = house.connect().await;
    assert_eq!(app.refusal("subscribe", r#"{"since":1,"initial":true}"#).await, "invalid");
    assert_eq!(app.refusal("subscribe", r#"{"topics":["weather"]}"#).await, "invalid");
}

#[tokio::test]
async fn a_view_is_whole_when_more_is_false() {
    let house = House::open();
    let all = CHANGES_PER_PAGE_MAX * 2 + 1;
    for at in 0..all {
        house.model.put("issues", &at.to_string(), Some("{}"));
    }
    let mut app = house.connect().await;
    subscribe(&mut app, r#"{"collections":["issues"]}"#).await;
    let mut seen = 0;
    for more in [true, true, false] {
        let line = app.next().await;
        seen += line["params"]["changes"].as_array().unwrap().len();
        assert_eq!(line["params"]["more"], more, "after {seen}");
    }
    assert_eq!(seen, all);
}

/// The reader sleeps through 20,000 changes of 50 records: it is told the last state of each, and meanwhile nothing piles up.
#[tokio::test]
async fn a_sleeper_costs_no_memory_and_misses_nothing() {
    let house = House::open();
    let mut app = house.connect().await;
    subscribe(&mut app, r#"{"collections":["issues"],"data":true}"#).await;
    let wide = "x".repeat(2_000);
    let mut last = BTreeMap::new();
    for at in 0..20_000_u64 {
        let id = (at % 50).to_string();
        house.model.put("issues", &id, Some(&format!("{{\"at\":{at},\"x\":\"{wide}\"}}")));
        last.insert(id, at);
        if at % 1_000 == 0 {
            // The feeder may run now and then, as it would.
            tokio::task::yield_now().await;
        }
    }
    let head = *mingle_head(&house);
    let (mut states, mut seen) = (0, BTreeMap::new());
    loop {
        let line = app.next().await;
        let params = &line["params"];
        for one in params["changes"].as_array().unwrap() {
            states += 1;
            seen.insert(one["id"].as_str().unwrap().to_owned(), one["data"]["at"].as_u64().unwrap());
        }
        if params["seq"] == head {
            break;
        }
    }
    assert_eq!(seen, last, "the last state of each record has come");
    // What the socket and one page of ours hold was on its way already; everything else was told once, as it stood.
    assert!(states < 2_000, "{states} states were told of 20,000 changes");
    assert!(house.model.page_max.load(Ordering::Relaxed) <= 50, "records come once in a page");
}

fn mingle_head(house: &House) -> Box<u64> {
    use crate::ipc::door::Door;
    Box::new(*house.model.head().borrow())
}

#[tokio::test]
async fn topics_tell_the_latest_and_every_end() {
    let house = House::open();
    house.run("r-0", "done", None);
    let mut app = house.connect().await;
    subscribe(&mut app, r#"{"topics":["run","conflict"]}"#).await;
    for done in 1..=100 {
        house.run("r-1", "running", Some(done));
    }
    house.run("r-1", "done", None);
    house.run("r-2", "failed", None);
    let mut lines = 0;
    let mut ended = Vec::new();
    while ended.len() < 2 {
        let line = app.next().await;
        lines += 1;
        assert_eq!((&line["method"], &line["params"]["topic"]), (&json!("event"), &json!("run")), "{line}");
        assert_ne!(line["params"]["run"], "r-0", "what was before is no news");
        if line["params"]["step"] == "finished" {
            ended.push(line["params"]["run"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(ended, ["r-1", "r-2"]);
    assert!(lines <= 102);
}

#[tokio::test]
async fn topics_keep_to_the_grants() {
    let house = House::open();
    let mut app = house.app("reader").await;
    subscribe(&mut app, r#"{"topics":["conflict"]}"#).await;
    for collection in ["notes", "issues"] {
        let event = Event::Conflict {
            conflict: format!("c-{collection}"),
            open: true,
            collection: collection.into(),
            id: "1".into(),
            property: None,
        };
        house.model.news.publish(News { at: house.model_time(), event });
    }
    let line = app.next().await;
    assert_eq!(line["params"]["conflict"], "c-issues", "{line}");
}

#[tokio::test]
async fn who_gives_a_name_after_it_subscribed_hears_no_more_than_that_name_may() {
    let conflict = |house: &House, collection: &str| {
        let (conflict, collection) = (format!("c-{collection}"), collection.to_owned());
        let event = Event::Conflict { conflict, open: true, collection, id: "1".into(), property: None };
        house.model.news.publish(News { at: house.model_time(), event });
    };
    for (name, narrows) in [("reader", true), ("tracker", false)] {
        let house = House::open();
        house.model.put("issues", "1", Some("{}"));
        house.model.put("notes", "9", Some("{}"));
        let mut app = house.connect().await;
        subscribe(&mut app, "{}").await;
        assert_eq!(told(&app.next().await), "1:created 9:created @2");
        subscribe(&mut app, r#"{"topics":["conflict"]}"#).await;
        assert_eq!(app.refusal("hello", &format!(r#"{{"app":"{name}"}}"#)).await, "");
        // What it had cannot be told from what it may have: everything, anew.
        if narrows {
            assert_eq!(told(&app.next().await), "1:created @2 fresh");
        }
        conflict(&house, "notes");
        conflict(&house, "issues");
        let first = app.next().await;
        assert_eq!(first["params"]["conflict"], if narrows { "c-issues" } else { "c-notes" }, "{name}: {first}");
        if !narrows {
            app.next().await;
        }
        house.model.put("notes", "9", Some("{\"n\":1}"));
        house.model.put("issues", "1", Some("{\"n\":1}"));
        let mut ids = Vec::new();
        while !ids.contains(&json!("1")) {
            let line = app.next().await;
            ids.extend(line["params"]["changes"].as_array().unwrap().iter().map(|one| one["id"].clone()));
        }
        assert_eq!(ids.contains(&json!("9")), !narrows, "{name}: {ids:?}");
    }
}

#[tokio::test]
async fn subscriptions_are_counted_and_go_with_their_connection() {
    let house = House::open();
    let mut app = house.connect().await;
    for number in 1..=64 {
        let answer = subscribe(&mut app, r#"{"collections":["issues"]}"#).await;
        assert_eq!(answer["subscription"], number);
    }
    assert_eq!(app.refusal("subscribe", "{}").await, "too_large");
    let mut other = house.connect().await;
    let status = other.call("status", "{}").await;
    assert_eq!(status["result"]["apps"][0]["subscriptions"], 64);
    drop(app);
    for _ in 0..500 {
        if other.call("status", "{}").await["result"]["apps"].as_array().unwrap().len() == 1 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    until("an app with subscriptions that went away is gone", || false).await;
}
