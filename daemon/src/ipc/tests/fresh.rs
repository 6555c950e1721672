//! Owns: reads that waited until something is fresh, and what who follows is known to want, as the socket has it. Must never know: how fresh
//! anything is.

use mingle_core::ask::Scope;
use mingle_proto::limits::CALLS_IN_FLIGHT_MAX;
use serde_json::json;

use super::{House, until};

/// Answers that waited are held within the bounds of all replies: one at a time, as far as their reader takes them.
#[tokio::test]
async fn many_reads_that_waited_hold_little_together() {
    const LONG: usize = 1_000_000;
    let house = House::open();
    house.model.put("issues", "1", Some(&format!("{{\"x\":\"{}\"}}", "x".repeat(LONG))));
    let mut app = house.app("agent").await;
    for _ in 0..CALLS_IN_FLIGHT_MAX / 2 {
        app.ask("list", r#"{"collection":"issues","max_age_ms":0,"timeout_ms":60000}"#).await;
        app.ask("get", r#"{"collection":"issues","id":"1","max_age_ms":0,"timeout_ms":60000}"#).await;
    }
    let mut other = house.app("other").await;
    other.call("status", "{}").await;
    house.model.settle("fresh");
    let held = || house.server.as_ref().unwrap().held_bytes();
    until("the first is held", || held() > LONG / 2).await;
    for _ in 0..50 {
        other.call("status", "{}").await;
        assert!(held() < 4 * LONG, "{} bytes are held", held());
    }
    let mut answered = std::collections::BTreeSet::new();
    for _ in 0..CALLS_IN_FLIGHT_MAX {
        let answer = app.next().await;
        let one = if answer["result"]["records"].is_array() { &answer["result"]["records"][0] } else { &answer["result"] };
        assert_eq!((&one["id"], &answer["result"]["fresh"]["met"]), (&json!("1"), &json!(true)), "{}", answer["id"]);
        assert!(answered.insert(answer["id"].as_u64()), "answered twice: {}", answer["id"]);
    }
}

/// Where memory is short, a long answer that waited is taken back as one that did not.
#[tokio::test]
async fn a_read_that_waited_is_busy_where_memory_is_short() {
    let house = House::with(|settings| settings.buffers_bytes_max = 256 << 10);
    house.model.put("issues", "1", Some(&format!("{{\"x\":\"{}\"}}", "x".repeat(1_000_000))));
    house.model.put("notes", "1", Some(&format!("{{\"x\":\"{}\"}}", "x".repeat(200_000))));
    let mut waits = house.app("waits").await;
    waits.ask("get", r#"{"collection":"notes","id":"1","max_age_ms":0,"timeout_ms":60000}"#).await;
    waits.call("status", "{}").await;
    let mut full = house.app("full").await;
    full.ask("get", r#"{"collection":"issues","id":"1"}"#).await;
    until("another holds it", || house.server.as_ref().unwrap().held_bytes() > 256 << 10).await;
    house.model.settle("fresh");
    let answer = waits.next().await;
    assert_eq!(answer["error"]["data"]["name"], "busy", "{}", answer["id"]);
    assert!(answer["error"]["data"]["retry_after_ms"].is_u64(), "{answer}");
}

/// What was granted when it was asked says nothing of when it is read.
#[tokio::test]
async fn a_read_that_waited_goes_by_the_grants_of_now() {
    let house = House::open();
    house.model.put("issues", "1", Some("{}"));
    house.model.put("notes", "1", Some("{}"));
    let mut app = house.app("turned").await;
    let mut asked = Vec::new();
    for (method, of) in [("get", "issues"), ("list", "issues"), ("get", "notes"), ("list", "notes")] {
        let id = if method == "get" { r#""id":"1","# } else { "" };
        let params = format!(r#"{{"collection":"{of}",{id}"max_age_ms":0,"timeout_ms":60000}}"#);
        asked.push((app.ask(method, &params).await, of));
    }
    app.call("status", "{}").await;
    house.model.granted.send_modify(|granted| *granted += 1);
    house.model.settle("fresh");
    for _ in 0..asked.len() {
        let answer = app.next().await;
        let (_, of) = asked.iter().find(|(id, _)| answer["id"] == *id).expect("one of these");
        let refused = answer["error"]["data"]["name"].as_str();
        assert_eq!(refused, (*of == "issues").then_some("denied"), "{answer}");
    }
}

/// Who follows wants no more than it may see, and no longer.
#[tokio::test]
async fn a_demand_is_for_what_its_app_may_see() {
    let house = House::open();
    let only = |names: &[&str]| Scope::Only(names.iter().map(|name| (*name).to_owned()).collect());
    let followed = || house.model.followed.lock().unwrap().clone();
    let mut reader = house.app("reader").await;
    reader.call("subscribe", r#"{"initial":false,"fresh_ms":1000}"#).await;
    assert_eq!(followed(), [only(&["issues"])]);
    drop(reader);
    until("its end", || followed().is_empty()).await;

    let mut app = house.app("turned").await;
    app.call("subscribe", r#"{"collections":["issues","notes"],"initial":false,"fresh_ms":1000}"#).await;
    app.call("subscribe", r#"{"initial":false,"fresh_ms":1000}"#).await;
    assert_eq!(followed(), [only(&["issues", "notes"]), Scope::All]);
    house.model.granted.send_modify(|granted| *granted += 1);
    until("no more than it may see now", || followed() == [only(&["notes"]), only(&["notes"])]).await;
}
