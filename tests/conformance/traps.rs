//! Owns: walking the table of traps: what each must come to, and that nothing leaks on the way.
//! Must never know: what the traps are.

use std::{sync::Arc, time::Duration};

use mingle_core::{
    limits,
    replica::{Action, Answer, Asked, Failure, From, Precondition, RemoteError},
    time::Timestamp,
};
use mingle_tests::{
    trap::{self, Listed, Play, Sent, Trap, TrapServer},
    wire,
};
use mingled::remotes::{
    self, Means, Opening, Remote,
    http::{Client, Patience},
    settings::{Auth, Secret},
};

use crate::bench::{now, props, settings};

const SECRET: &str = "sesame-open-up";

/// Waits so short that a trap which hangs costs a moment only, and long enough for a machine that runs every other test meanwhile.
const HASTY: Patience = Patience {
    connect: Duration::from_secs(2),
    silence: Duration::from_millis(1500),
    stretch: Duration::from_millis(1200),
    bytes: limits::BODY_BYTES_MAX,
};

async fn open(url: &str, dir: &std::path::Path, patience: Patience) -> Box<dyn Remote> {
    open_with(url, dir, Client::new(patience).expect("HTTP")).await
}

async fn open_with(url: &str, dir: &std::path::Path, http: Client) -> Box<dyn Remote> {
    let mut settings = settings(trap::PROFILE, url);
    settings.auth = Auth::Bearer { token: Secret::Plain(SECRET.into()) };
    let (workers, places, logins) = (Arc::default(), Arc::default(), Arc::default());
    let means = Means { http, now: Arc::new(now), config_dir: dir.to_path_buf(), workers, places, logins };
    remotes::open(Opening { settings, resource: "things".into(), place: Default::default(), means })
        .await
        .expect("settings that fit")
}

fn change() -> Action {
    Action::Update {
        remote_id: "a".into(),
        patch: [("name".into(), None)].into(),
        whole: props(r#"{"private":"diary"}"#),
        unless_moved: Precondition::Revision("1".into()),
    }
}

/// The failures of everything that was asked, and whether all came to what the trap says.
async fn fall_into(trap: &Trap, remote: &dyn Remote) -> Result<Vec<RemoteError>, String> {
    let mut errors = Vec::new();
    let listed = match remote.list(&From::Start, None, 10).await {
        Ok(page) => Listed::Rows(page.rows.len()),
        Err(error) => {
            let kind = if let Failure::Throttled(until) = error.kind { throttled(until)? } else { error.kind };
            errors.push(error);
            Listed::Fails(kind)
        }
    };
    if listed != trap.list {
        return Err(format!("a listing said {listed:?}, not {:?}: {errors:?}", trap.list));
    }
    let sent = match remote.send(&change()).await {
        Answer::Taken(_) | Answer::ReadBack { .. } => Sent::Taken,
        Answer::Stale(_) => Sent::Stale,
        Answer::Gone => Sent::Gone,
        Answer::Refused(words) => {
            errors.push(RemoteError::new(Failure::Denied, words));
            Sent::Refused
        }
        Answer::Unknown(error) => {
            errors.push(error);
            Sent::Unknown
        }
        Answer::Unsent(error) => {
            errors.push(error);
            Sent::Unsent
        }
    };
    if sent != trap.send {
        return Err(format!("a change said {sent:?}, not {:?}: {errors:?}", trap.send));
    }
    // A broken answer must look neither like a record nor like its absence.
    let whole = trap.send == Sent::Taken && matches!(trap.list, Listed::Rows(_));
    match remote.get("a").await {
        Ok(Asked::Gone) if trap.send == Sent::Gone => Ok(errors),
        Ok(Asked::There(_)) if whole => Ok(errors),
        Err(error) if !whole && trap.send != Sent::Gone => {
            errors.push(error);
            Ok(errors)
        }
        other => Err(format!("asked by id, it said {other:?}")),
    }
}

/// A moment to wait for is between now and an hour from now.
fn throttled(until: Option<Timestamp>) -> Result<Failure, String> {
    match until {
        Some(until) if until.since(now()) > Duration::from_secs(3600) => Err(format!("waits until {until:?}")),
        _ => Ok(Failure::Throttled(None)),
    }
}

#[test]
fn every_trap_comes_to_what_the_table_says() {
    let dir = tempfile::tempdir().expect("a folder");
    trap::write_profile(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let http = Client::new(HASTY).expect("HTTP");
    let mut wrong = Vec::new();
    for trap in trap::traps() {
        let server = TrapServer::start(trap.play.clone());
        let outcome = runtime.block_on(async {
            let remote = open_with(&server.url, dir.path(), http.clone()).await;
            tokio::time::timeout(Duration::from_secs(20), fall_into(&trap, remote.as_ref())).await
        });
        match outcome {
            Err(_) => wrong.push(format!("{}: never ends", trap.name)),
            Ok(Err(what)) => wrong.push(format!("{}: {what}", trap.name)),
            Ok(Ok(errors)) => {
                for error in errors {
                    let text = format!("{error:?}");
                    if text.contains(SECRET) || text.contains("diary") {
                        wrong.push(format!("{}: leaks: {text}", trap.name));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} traps went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn credentials_go_nowhere_else() {
    let dir = tempfile::tempdir().expect("a folder");
    trap::write_profile(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let elsewhere =
        TrapServer::start(vec![Play::Send(wire::response(200, &[("content-type", "application/json")], r#"{"rows":[]}"#))]);
    for (header, status) in [("location", 302), ("location", 307), ("next-page", 200)] {
        let to = format!("{}/things", elsewhere.url);
        let play = Play::Send(wire::response(status, &[("content-type", "application/json"), (header, &to)], r#"{"rows":[]}"#));
        let server = TrapServer::start(vec![play]);
        let error = runtime.block_on(async {
            let remote = open(&server.url, dir.path(), HASTY).await;
            remote.list(&From::Start, None, 10).await.expect_err("another place")
        });
        assert_eq!(error.kind, Failure::Nonsense, "{header} {status}: {error}");
        let key = format!("{}/things", elsewhere.url).replace(&server.url, "");
        let remembered =
            runtime.block_on(async { open(&server.url, dir.path(), HASTY).await.list(&From::Start, Some(&key), 10).await });
        assert_eq!(
            remembered.map_err(|error| error.kind),
            Err(Failure::CheckpointRefused),
            "a page kept from before leads elsewhere"
        );
    }
    assert!(elsewhere.requests().is_empty(), "{:?}", elsewhere.requests());
}

#[test]
fn a_redirect_at_home_is_followed_for_questions_only() {
    let dir = tempfile::tempdir().expect("a folder");
    trap::write_profile(dir.path());
    let served = wire::serve(Arc::new(|request, line| match request.path.join("/").as_str() {
        "things" | "things/a" => line.send(&wire::response(308, &[("location", "/moved?to=here")], "")),
        _ => line.send(&wire::response(200, &[("content-type", "application/json; charset=utf-8")], "{\"rows\":[]}")),
    }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let remote = open(&served.url, dir.path(), HASTY).await;
        assert_eq!(remote.list(&From::Start, None, 10).await.map(|page| page.rows), Ok(Vec::new()));
        let answer = remote.send(&change()).await;
        assert!(matches!(&answer, Answer::Unknown(error) if error.kind == Failure::Nonsense), "{answer:?}");
    });
}

#[test]
fn five_redirects_are_followed_and_no_more() {
    let dir = tempfile::tempdir().expect("a folder");
    trap::write_profile(dir.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (hops, ends) in [(5, true), (6, false), (21, false)] {
        let served = wire::serve(Arc::new(move |request, line| {
            let at: u32 = request.path.last().and_then(|name| name.parse().ok()).unwrap_or(0);
            if at == hops {
                return line.send(&wire::response(200, &[("content-type", "application/json")], "{\"rows\":[]}"));
            }
            line.send(&wire::response(302, &[("location", &format!("/hop/{}", at + 1))], ""))
        }));
        let listed = runtime.block_on(async { open(&served.url, dir.path(), HASTY).await.list(&From::Start, None, 10).await });
        let expect = if ends { Ok(0) } else { Err(Failure::Nonsense) };
        assert_eq!(listed.map(|page| page.rows.len()).map_err(|error| error.kind), expect, "{hops} in a row");
    }
}

#[test]
fn what_is_dropped_stops_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    trap::write_profile(dir.path());
    let gone = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = Arc::clone(&gone);
    let served = wire::serve(Arc::new(move |_, line| {
        line.hang();
        seen.store(!line.ended(), std::sync::atomic::Ordering::Relaxed);
        false
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let remote = open(&served.url, dir.path(), Patience::default()).await;
        let stopped = tokio::time::timeout(Duration::from_millis(200), remote.list(&From::Start, None, 10)).await;
        assert!(stopped.is_err(), "it should hang: {stopped:?}");
        let until = std::time::Instant::now() + Duration::from_secs(5);
        while !gone.load(std::sync::atomic::Ordering::Relaxed) {
            assert!(std::time::Instant::now() < until, "the connection of a dropped request stays open");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

/// Rows are handed over as they come; what stands in one of them is still found where it says how to go on.
#[test]
fn a_next_page_that_a_row_tells_of_is_found() {
    let dir = tempfile::tempdir().expect("a folder");
    trap::write_profile(dir.path());
    let profile = dir.path().join("profiles").join(format!("{}.toml", trap::PROFILE));
    let text = std::fs::read_to_string(&profile).expect("the profile");
    let inside =
        text.replace("next = { header = \"next-page\" }", "next = { cursor = \"/rows/1/place\" }\nquery = { page = \"{page}\" }");
    assert_ne!(inside, text);
    std::fs::write(&profile, inside).expect("a profile");
    let body = r#"{"rows":[{"id":"a","rev":1},{"id":"b","rev":2,"place":"behind b"}]}"#;
    let answer = format!(
        "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let server = TrapServer::start(vec![Play::Send(answer.into_bytes())]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let page = runtime.block_on(async {
        let remote = open_with(&server.url, dir.path(), Client::new(HASTY).expect("HTTP")).await;
        remote.list(&From::Start, None, 10).await.expect("a page")
    });
    assert_eq!((page.rows.len(), page.next.as_deref()), (2, Some("behind b")));
}
