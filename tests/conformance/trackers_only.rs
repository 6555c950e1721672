//! Owns: what only trackers do, and what their profiles must make of it.
//! Must never know: the engine.

use std::{collections::BTreeSet, time::Duration};

use mingle_core::{
    record::Props,
    replica::{Action, Answer, Asked, Failure, From, Precondition, Row},
};
use mingle_tests::trackers::{self, GitHub, GitLab};
use mingled::remotes::{
    Means, Opening, Remote, open,
    settings::{Auth, Secret},
};
use serde_json::{Value, json};

use crate::bench::{self, all, held, means, now, props, settings, taken, there, update};

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test).await }).expect("an end within a minute");
}

async fn opened(profile: &str, url: &str, means: &Means) -> Box<dyn Remote> {
    let mut settings = settings(profile, url);
    settings.auth = Auth::Bearer { token: Secret::Plain(trackers::TOKEN.into()) };
    open(Opening { settings, resource: "issues".into(), place: Default::default(), means: means.clone() })
        .await
        .expect("settings that fit")
}

async fn on_github(server: &GitHub) -> Box<dyn Remote> {
    opened("github-issues", &server.url, &means("/nonexistent".into())).await
}

async fn on_gitlab(server: &GitLab) -> Box<dyn Remote> {
    opened("gitlab-issues", &server.url, &means("/nonexistent".into())).await
}

fn whole(row: &Row, changes: &str) -> String {
    let mut whole = held(row).clone();
    for (name, value) in props(changes) {
        match value {
            mingle_core::record::Value::Null => whole.remove(&name),
            value => whole.insert(name, value),
        };
    }
    mingled::json::write(&whole)
}

/// Properties of a row, by their names.
#[track_caller]
fn shows(row: &Row, expect: &str) {
    let wanted = props(expect);
    let shown: Props = wanted.keys().filter_map(|name| Some((name.clone(), held(row).get(name)?.clone()))).collect();
    let wanted: Props = wanted.into_iter().filter(|(_, value)| *value != mingle_core::record::Value::Null).collect();
    assert_eq!(shown, wanted);
}

fn create(record: &str) -> Action {
    Action::Create { remote_id: None, whole: props(record), key: None }
}

#[test]
fn fields_go_both_ways_in_the_services_form() {
    run(async {
        let server = GitHub::start();
        let remote = on_github(&server).await;
        let record = r#"{"title":"a","body":"text","labels":["bug","ui"],"assignees":["me"],"milestone":2}"#;
        let row = taken(bench::carry(remote.as_ref(), &create(record)).await);
        shows(&row, record);
        let closed = r#"{"state":"closed","state_reason":"not_planned"}"#;
        let row = taken(update(remote.as_ref(), &row, &whole(&row, closed)).await);
        shows(&row, closed);
        shows(&row, r#"{"author":"me","number":1}"#);
        let issue = server.issues().remove(&1).expect("an issue");
        assert_eq!((&issue["labels"][1]["name"], &issue["milestone"]["number"]), (&json!("ui"), &json!(2)));
        let cleared = r#"{"labels":null,"assignees":null,"milestone":null,"body":null,"state":"open"}"#;
        let row = taken(update(remote.as_ref(), &row, &whole(&row, cleared)).await);
        shows(&row, r#"{"labels":[],"assignees":[],"milestone":null,"body":null,"state":"open","state_reason":"reopened"}"#);
        for (bad, why) in [(r#"{"title":" "}"#, "Validation Failed"), (r#"{"milestone":9}"#, "Validation Failed")] {
            let answer = update(remote.as_ref(), &row, &whole(&row, bad)).await;
            assert!(matches!(&answer, Answer::Refused(words) if words.contains(why)), "{answer:?}");
        }
        let _ = server.log();
        // What the service alone sets comes back as it is, and nothing is sent.
        let after = taken(update(remote.as_ref(), &row, &whole(&row, r#"{"author":"you","comments":7}"#)).await);
        assert_eq!(after, row);
        assert!(server.log().iter().all(|line| line.starts_with("GET")));
    });
    run(async {
        let server = GitLab::start();
        let remote = on_gitlab(&server).await;
        let record = r#"{"title":"a","description":"text","labels":["bug","ui"],"assignees":[1,2],"milestone":2,
            "due_date":"2026-12-24","confidential":true}"#;
        let row = taken(bench::carry(remote.as_ref(), &create(record)).await);
        shows(&row, record);
        let row = taken(update(remote.as_ref(), &row, &whole(&row, r#"{"state":"closed"}"#)).await);
        shows(&row, r#"{"state":"closed"}"#);
        let cleared = r#"{"labels":null,"assignees":null,"milestone":null,"description":null,"due_date":null,"state":"opened"}"#;
        let row = taken(update(remote.as_ref(), &row, &whole(&row, cleared)).await);
        shows(&row, r#"{"labels":[],"assignees":[],"milestone":null,"description":null,"due_date":null,"state":"opened"}"#);
        let answer = update(remote.as_ref(), &row, &whole(&row, r#"{"title":" "}"#)).await;
        assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
        let after = taken(update(remote.as_ref(), &row, &whole(&row, r#"{"author":"you"}"#)).await);
        assert_eq!(after, row);
    });
}

#[test]
fn what_is_listed_with_the_issues_and_is_none_is_left_out() {
    run(async {
        let server = GitHub::start();
        for at in 0..9 {
            let title = format!("t{at}");
            if at % 3 == 0 {
                server.open(&json!({ "title": title }))
            } else {
                server.open_pull(&title)
            };
        }
        let remote = on_github(&server).await;
        for page_rows in [1, 2, 3, 100] {
            let (rows, _) = all(remote.as_ref(), &From::Start, page_rows).await;
            let ids: BTreeSet<&str> = rows.iter().map(|row| row.remote_id.as_str()).collect();
            assert_eq!(ids, ["1", "4", "7"].into(), "{page_rows} rows a page");
        }
    });
}

#[test]
fn many_changes_within_one_second_are_all_listed() {
    run(async {
        let server = GitHub::start();
        for at in 0..250 {
            server.open(&json!({ "title": format!("t{at}") }));
        }
        let remote = on_github(&server).await;
        for page_rows in [30, 100] {
            let (rows, pages) = all(remote.as_ref(), &From::Start, page_rows).await;
            let ids: BTreeSet<&str> = rows.iter().map(|row| row.remote_id.as_str()).collect();
            assert_eq!(ids.len(), 250, "{page_rows} rows a page");
            assert!(pages.len() <= 500 / page_rows + 3, "{} pages of {page_rows}", pages.len());
        }
    });
}

#[test]
fn a_token_that_lost_sight_of_the_project_deletes_nothing() {
    async fn check(remote: Box<dyn Remote>, see: &dyn Fn(bool)) {
        let row = there(remote.as_ref(), "1").await;
        see(false);
        let error = remote.get("1").await.expect_err("no word on the issue");
        assert_eq!(error.kind, Failure::Denied, "{error}");
        assert!(error.hint.as_deref().is_some_and(|hint| hint.contains("token")), "{error:?}");
        assert_eq!(remote.list(&From::Start, None, 10).await.expect_err("a refusal").kind, Failure::Denied);
        assert_eq!(remote.greet().await.expect_err("a refusal").kind, Failure::Denied);
        let unless_moved = Precondition::Revision("any".into());
        let patch = [("title".to_owned(), props(r#"{"t":"b"}"#).remove("t"))].into();
        let change = Action::Update { remote_id: "1".into(), patch, whole: held(&row).clone(), unless_moved };
        let answer = remote.send(&change).await;
        assert!(matches!(&answer, Answer::Unsent(error) if error.kind == Failure::Denied), "{answer:?}");
        see(true);
        assert_eq!(remote.get("1").await, Ok(Asked::There(row)));
        assert_eq!(remote.get("9").await, Ok(Asked::Gone), "this one never was");
    }
    run(async {
        let (hub, lab) = (GitHub::start(), GitLab::start());
        hub.open(&json!({ "title": "a" }));
        lab.open(&json!({ "title": "a" }));
        check(on_github(&hub).await, &|sees| hub.sees(sees)).await;
        check(on_gitlab(&lab).await, &|sees| lab.sees(sees)).await;
        hub.delete(1);
        assert_eq!(on_github(&hub).await.get("1").await, Ok(Asked::Gone), "deleted: 410");
    });
}

/// How long a failure says to wait, in seconds.
#[track_caller]
fn waits(failure: Failure) -> u64 {
    match failure {
        Failure::Throttled(Some(until)) => until.since(now()).as_secs(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn limits_are_heeded_and_nothing_is_asked_in_vain() {
    run(async {
        let server = GitHub::start();
        server.open(&json!({ "title": "a" }));
        let remote = on_github(&server).await;
        let row = there(remote.as_ref(), "1").await;
        for (status, seconds, expect) in
            [(403, Some(30), 20..=30), (429, Some(30), 20..=30), (403, None, 50..=60), (429, None, 50..=60)]
        {
            server.ask_patience(status, seconds);
            // Patience is the account's: each is of a process of its own.
            let remote = on_github(&server).await;
            let wait = waits(remote.list(&From::Start, None, 10).await.expect_err("patience").kind);
            assert!(expect.contains(&wait), "{wait}");
            server.ask_patience(status, seconds);
            let remote = on_github(&server).await;
            let patch = [("title".to_owned(), props(r#"{"t":"b"}"#).remove("t"))].into();
            let unless_moved = Precondition::Revision("any".into());
            let change = Action::Update { remote_id: "1".into(), patch, whole: held(&row).clone(), unless_moved };
            match remote.send(&change).await {
                Answer::Unsent(error) => assert!(expect.contains(&waits(error.kind))),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(server.issues()[&1]["title"], "a");
        // The last request that was left is answered; then nothing is asked until there are more.
        server.leave(1, 600);
        let _ = server.log();
        assert_eq!(remote.get("1").await, Ok(Asked::There(row)));
        for _ in 0..3 {
            let wait = waits(remote.get("1").await.expect_err("no requests left").kind);
            assert!((580..=602).contains(&wait), "{wait}");
        }
        assert_eq!(server.log().len(), 1);
        // Another run finds out by asking once.
        let wait = waits(on_github(&server).await.get("1").await.expect_err("no requests left").kind);
        assert!((580..=602).contains(&wait), "{wait}");
        let server = GitLab::start();
        server.leave(0, 20);
        let wait = waits(on_gitlab(&server).await.greet().await.expect_err("patience").kind);
        assert!((10..=21).contains(&wait), "{wait}");
    });
}

#[test]
fn a_poll_of_what_did_not_change_costs_nothing() {
    async fn check(profile: &str, url: &str, change: &dyn Fn(Value), log: &dyn Fn() -> Vec<String>) {
        let means = means("/nonexistent".into());
        let listed = async || {
            // Each run opens the remote anew.
            let remote = opened(profile, url, &means).await;
            let (rows, _) = all(remote.as_ref(), &From::Start, 10).await;
            let titles = rows.iter().filter_map(|row| held(row).get("title").map(mingled::json::write_value)).collect::<Vec<_>>();
            let statuses = log().iter().filter_map(|line| line.rsplit(' ').next().map(str::to_owned)).collect::<Vec<_>>();
            (titles.join(" "), statuses.join(" "))
        };
        change(json!({ "title": "a" }));
        assert_eq!(listed().await, (r#""a""#.into(), "200".into()));
        assert_eq!(listed().await, (r#""a""#.into(), "304".into()));
        change(json!({ "title": "b" }));
        assert_eq!(listed().await, (r#""b""#.into(), "200".into()));
        assert_eq!(listed().await, (r#""b""#.into(), "304".into()));
    }
    run(async {
        let (hub, lab) = (GitHub::start(), GitLab::start());
        hub.open(&json!({ "title": "new" }));
        lab.open(&json!({ "title": "new" }));
        check("github-issues", &hub.url, &|to| hub.edit(1, &to), &|| hub.log()).await;
        check("gitlab-issues", &lab.url, &|to| lab.edit(1, &to), &|| lab.log()).await;
    });
}
