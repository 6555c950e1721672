//! Owns: what happens at each limit, and at the end of connections and of the server. Must never know: what calls mean.

use std::time::Duration;

use mingle_core::ask::{Event, News};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{App, DEADLINE, House, until};

/// Whether nothing comes for a while: the only way to see that something does not happen.
async fn quiet(app: &mut App) -> bool {
    timeout(Duration::from_millis(150), app.line()).await.is_err()
}

#[tokio::test]
async fn pipelined_calls_are_all_answered() {
    let house = House::open();
    house.model.put("issues", "1", Some("{}"));
    let mut app = house.connect().await;
    let calls: String = (0..5_000)
        .map(|id| format!("{{\"id\":{id},\"method\":\"get\",\"params\":{{\"collection\":\"issues\",\"id\":\"1\"}}}}\n"))
        .collect();
    let App { read, write, .. } = &mut app;
    let send = async { write.write_all(calls.as_bytes()).await.unwrap() };
    let receive = async {
        let mut text = vec![0; 0];
        let mut lines = 0;
        while lines < 5_000 {
            assert!(read.read_buf(&mut text).await.unwrap() > 0);
            lines = text.iter().filter(|byte| **byte == b'\n').count();
        }
        String::from_utf8(text).unwrap()
    };
    let ((), text) = timeout(DEADLINE, async { tokio::join!(send, receive) }).await.unwrap();
    for (id, line) in text.lines().enumerate() {
        assert!(line.starts_with(&format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":")), "{line}");
    }
}

#[tokio::test]
async fn past_the_calls_in_flight_nothing_more_is_read() {
    let house = House::open();
    let mut app = house.connect().await;
    for at in 0..64 {
        app.ask("wait", &format!(r#"{{"token":"w-{at}","timeout_ms":60000}}"#)).await;
    }
    let status = app.ask("status", "{}").await;
    assert!(quiet(&mut app).await, "the 65th is not looked at");
    house.model.settle("w-7");
    assert_eq!(app.next().await["id"], 8);
    assert_eq!(app.next().await["id"], status);
    // An app that goes away now cannot say so, as nobody reads; it is found out.
    drop(app);
    let mut other = house.connect().await;
    for _ in 0..200 {
        if other.call("status", "{}").await["result"]["apps"].as_array().unwrap().len() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the connection of an app that is gone stays");
}

#[tokio::test]
async fn an_id_in_flight_is_not_used_again() {
    let house = House::open();
    let mut app = house.connect().await;
    app.send("{\"id\":\"a\",\"method\":\"wait\",\"params\":{\"token\":\"w-1\",\"timeout_ms\":60000}}\n").await;
    app.send("{\"id\":\"a\",\"method\":\"status\"}\n").await;
    let refused = app.next().await;
    assert_eq!((&refused["id"], &refused["error"]["data"]["name"]), (&json!(null), &json!("invalid")), "{refused}");
    house.model.settle("w-1");
    assert_eq!(app.next().await["id"], "a");
    app.send("{\"id\":\"a\",\"method\":\"status\"}\n").await;
    assert!(app.next().await["result"].is_object(), "and then it is free again");
}

#[tokio::test]
async fn a_line_too_long_is_answered_and_the_connection_closed() {
    let house = House::open();
    let mut app = house.connect().await;
    let long = format!("{{\"id\":1,\"method\":\"status\",\"params\":{{\"x\":\"{}\"}}}}\n", "x".repeat(2 << 20));
    app.send(&long).await;
    let answer = app.next().await;
    assert_eq!((&answer["id"], &answer["error"]["data"]["name"]), (&json!(null), &json!("too_large")), "{answer}");
    assert_eq!(app.line().await, None);
    let mut app = house.app("agent").await;
    let most = (1 << 20) - 200;
    let params = format!(r#"{{"collection":"issues","id":"1","data":{{"x":"{}"}}}}"#, "x".repeat(most));
    assert_eq!(app.refusal("put", &params).await, "", "a line just below is served");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_closed() {
    let house = House::with(|settings| settings.takes_nothing = Duration::from_millis(200));
    for at in 0..100 {
        house.model.put("issues", &at.to_string(), Some(&format!("{{\"x\":\"{}\"}}", "x".repeat(100_000))));
    }
    let mut app = house.connect().await;
    app.ask("subscribe", r#"{"collections":["issues"],"data":true}"#).await;
    let mut other = house.connect().await;
    for _ in 0..400 {
        if other.call("status", "{}").await["result"]["apps"].as_array().unwrap().len() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it is still connected");
}

/// Connections that ask for much and read nothing hold a bounded sum, and those that call and read are served all the same.
#[tokio::test]
async fn many_that_take_nothing_hold_little_together() {
    let budget = 4 << 20;
    let house = House::with(|settings| {
        settings.buffers_bytes_max = budget;
        settings.holds_long = Duration::from_millis(100);
    });
    house.model.put("issues", "1", Some(&format!("{{\"x\":\"{}\"}}", "x".repeat(1_000_000))));
    let mut hostile = Vec::new();
    for at in 0..32 {
        let mut app = house.connect().await;
        if at % 2 == 0 {
            app.ask("get", r#"{"collection":"issues","id":"1"}"#).await;
        } else {
            // A line that never ends; cut off where the other side stops reading.
            let _ = timeout(Duration::from_millis(20), app.write.write_all(&vec![b'x'; 1_000_000])).await;
        }
        hostile.push(app);
    }
    let mut most = 0;
    for _ in 0..50 {
        let mut app = house.connect().await;
        app.call("status", "{}").await;
        most = most.max(house.server.as_ref().unwrap().held_bytes());
        // One page past the budget is what it takes to notice.
        assert!(most < budget + (2 << 20), "{most} bytes are held");
    }
    assert!(most > budget / 2, "{most}: nothing was held at all");
    drop(hostile);
    until("everything is given back", || house.server.as_ref().unwrap().held_bytes() == 0).await;
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let house = House::with(|settings| settings.connections_max = 2);
    let (mut first, _second) = (house.connect().await, house.connect().await);
    first.call("status", "{}").await;
    until("both are in", || true).await;
    let mut third = house.connect().await;
    let answer = third.next().await;
    assert_eq!((&answer["id"], &answer["error"]["data"]["name"]), (&json!(null), &json!("busy")), "{answer}");
    assert_eq!(third.line().await, None);
    first.call("status", "{}").await;
}

#[tokio::test]
async fn a_one_liner_gets_its_answer_and_the_end() {
    let house = House::open();
    let mut app = house.connect().await;
    app.send("{\"id\":1,\"method\":\"status\"}\n{\"id\":2,\"method\":\"wait\",\"params\":{\"token\":\"w\",\"timeout_ms\":50}}\n")
        .await;
    app.write.shutdown().await.unwrap();
    assert_eq!(app.next().await["id"], 1);
    assert_eq!(app.next().await["id"], 2);
    assert_eq!(app.line().await, None);
}

#[tokio::test]
async fn the_server_ends_in_order() {
    let mut house = House::open();
    let mut app = house.app("agent").await;
    app.call("subscribe", r#"{"topics":["run"]}"#).await;
    let wait = app.ask("wait", r#"{"token":"w-1","timeout_ms":60000}"#).await;
    let put = app.ask("put", r#"{"collection":"slow","data":{}}"#).await;
    app.call("status", "{}").await;
    house.model.news.publish(News {
        at: house.model_time(),
        event: Event::Run {
            sync: "s".into(),
            run: "r-1".into(),
            status: "stopped".into(),
            progress: None,
            result: None,
            stop_reason: Some("shutdown".into()),
            error: None,
        },
    });
    let server = house.server.take().unwrap();
    let closing = tokio::spawn(async move { server.close(&CancellationToken::new()).await });
    let mut seen = Vec::new();
    while let Some(line) = app.line().await {
        if line["id"] == wait {
            assert_eq!(line["error"]["data"]["name"], "busy", "{line}");
            house.model.settle("slow");
            seen.push("wait");
        } else if line["id"] == put {
            assert!(line["result"]["token"].is_string(), "a queued write has its answer: {line}");
            seen.push("put");
        } else {
            assert_eq!((&line["method"], &line["params"]["status"]), (&json!("event"), &json!("stopped")), "{line}");
            seen.push("event");
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, ["event", "put", "wait"]);
    timeout(DEADLINE, closing).await.unwrap().unwrap();
    assert!(!house.path.exists());
}

#[tokio::test]
async fn the_server_does_not_wait_for_ever_for_an_app_that_does_not_read() {
    let mut house = House::with(|settings| settings.closing = Duration::from_millis(100));
    house.model.put("issues", "1", Some(&format!("{{\"x\":\"{}\"}}", "x".repeat(900_000))));
    let mut app = house.connect().await;
    for _ in 0..20 {
        app.ask("get", r#"{"collection":"issues","id":"1"}"#).await;
    }
    timeout(DEADLINE, house.server.take().unwrap().close(&CancellationToken::new())).await.unwrap();
}

#[tokio::test]
async fn the_server_waits_for_nobody_where_somebody_insists() {
    let mut house = House::with(|settings| settings.closing = Duration::from_secs(3_600));
    house.model.put("issues", "1", Some(&format!("{{\"x\":\"{}\"}}", "x".repeat(900_000))));
    let mut app = house.connect().await;
    for _ in 0..20 {
        app.ask("get", r#"{"collection":"issues","id":"1"}"#).await;
    }
    until("an answer to wait for its reader", || house.server.as_ref().unwrap().held_bytes() > 0).await;
    let insisted = CancellationToken::new();
    let mut closing = Box::pin(house.server.take().unwrap().close(&insisted));
    assert!(timeout(Duration::from_millis(50), &mut closing).await.is_err(), "one wish waits");
    insisted.cancel();
    timeout(DEADLINE, closing).await.unwrap();
}

/// While others hold all the memory there is, a small call is answered, and a long answer has to wait.
#[tokio::test]
async fn small_calls_are_answered_while_memory_is_short() {
    let house = House::with(|settings| {
        settings.buffers_bytes_max = 1 << 20;
        settings.holds_long = Duration::from_secs(3_600);
    });
    house.model.put("issues", "long", Some(&format!("{{\"x\":\"{}\"}}", "x".repeat(500_000))));
    house.model.put("issues", "short", Some(r#"{"x":1}"#));
    let mut hostile = Vec::new();
    for _ in 0..12 {
        let mut app = house.connect().await;
        for _ in 0..8 {
            app.ask("get", r#"{"collection":"issues","id":"long"}"#).await;
        }
        hostile.push(app);
    }
    until("the memory to be short", || house.server.as_ref().unwrap().held_bytes() >= 1 << 20).await;
    let mut app = house.app("honest").await;
    assert_eq!(app.call("get", r#"{"collection":"issues","id":"short"}"#).await["result"]["data"], json!({ "x": 1 }));
    let answer = app.call("get", r#"{"collection":"issues","id":"long"}"#).await;
    assert_eq!(answer["error"]["data"]["name"], "busy", "{answer}");
    assert_eq!(answer["error"]["data"]["retryable"], true);
    assert!(app.call("put", r#"{"collection":"issues","data":{}}"#).await["result"]["token"].is_string());
    drop(hostile);
    until("the memory to be free", || house.server.as_ref().unwrap().held_bytes() == 0).await;
    let answer = app.call("get", r#"{"collection":"issues","id":"long"}"#).await;
    assert!(answer["result"]["data"]["x"].is_string(), "{answer}");
}

#[tokio::test]
async fn a_socket_that_was_cleaned_away_is_made_anew() {
    let house = House::open();
    let lookout = house.server.as_ref().unwrap().lookout();
    let mut old = house.connect().await;
    old.call("status", "{}").await;
    lookout.look();
    std::fs::remove_file(&house.path).unwrap();
    for _ in 0..2 {
        lookout.look();
        until("the socket is back", || house.path.exists()).await;
        let mut new = house.connect().await;
        new.call("status", "{}").await;
        old.call("status", "{}").await;
        // The one that was made anew is looked after too.
        std::fs::remove_file(&house.path).unwrap();
    }
}
