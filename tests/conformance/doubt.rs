//! Owns: what is said of a change when things go wrong around it: never "no" where it may have been done, never "yes" where it was not.
//! Must never know: what is done about the doubt.

use std::time::Duration;

use mingle_core::replica::{Action, Answer, Failure, Precondition, Row, RowState};
use mingle_tests::rest_server::{Fault, Options, RestServer, tidies};
use mingled::remotes::{
    Means, Opening, Remote,
    http::{Client, Patience},
    open,
};
use serde_json::json;

use crate::bench::{self, held, means, props, settings};

struct Set {
    server: RestServer,
    folder: tempfile::TempDir,
}

impl Set {
    fn new(options: Options) -> Self {
        let server = RestServer::start(options, &["things"]);
        let folder = tempfile::tempdir().expect("a folder");
        server.write_profile(folder.path());
        server.put("things", "a", &json!({ "n": 1 }));
        Self { server, folder }
    }

    async fn open(&self) -> Box<dyn Remote> {
        let hasty = Patience { silence: Duration::from_secs(2), ..Patience::default() };
        let means = Means { http: Client::new(hasty).expect("HTTP"), ..means(self.folder.path().to_path_buf()) };
        let settings = settings(RestServer::PROFILE, &self.server.url);
        open(Opening { settings, resource: "things".into(), place: Default::default(), means }).await.expect("settings that fit")
    }

    fn done(&self) -> bool {
        self.server.rows("things")["a"]["n"] == 2
    }
}

fn change(unless_moved: Precondition) -> Action {
    let patch = [("n".to_owned(), props(r#"{"n":2}"#).remove("n"))].into();
    Action::Update { remote_id: "a".into(), patch, whole: props(r#"{"n":2}"#), unless_moved }
}

fn revision() -> Precondition {
    Precondition::Revision("1".into())
}

/// A short word for an answer.
fn word(answer: &Answer) -> String {
    let row = |row: &Option<Row>| match row.as_ref().map(|row| &row.state) {
        None => "?".to_owned(),
        Some(RowState::Live(props)) => mingled::json::write(props),
        Some(RowState::Gone) => "gone".to_owned(),
        Some(RowState::Unreadable(why)) => why.clone(),
    };
    match answer {
        Answer::Taken(taken) => format!("taken {}", row(taken)),
        Answer::ReadBack { read, .. } => format!("taken {}", row(&Some(read.clone()))),
        Answer::Stale(present) => format!("stale {}", row(present)),
        Answer::Gone => "gone".into(),
        Answer::Refused(words) => format!("refused {}", words.rsplit(": ").next().unwrap_or_default()),
        Answer::Unknown(error) if matches!(error.kind, Failure::Throttled(_)) => "unknown Throttled".into(),
        Answer::Unknown(error) => format!("unknown {:?}", error.kind),
        Answer::Unsent(error) if matches!(error.kind, Failure::Throttled(_)) => "unsent Throttled".into(),
        Answer::Unsent(error) => format!("unsent {:?}", error.kind),
    }
}

#[track_caller]
fn check(options: Options, faults: &[(&'static str, Fault)], action: &Action, expect: &str, done: bool) {
    let set = Set::new(options);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answer = runtime.block_on(async {
        let remote = set.open().await;
        for (method, fault) in faults {
            set.server.next(method, fault.clone());
        }
        bench::carry(remote.as_ref(), action).await
    });
    assert_eq!((word(&answer).as_str(), set.done()), (expect, done), "{faults:?}: {answer:?}; asked: {:?}", set.server.log());
}

#[test]
fn a_lost_answer_is_no_answer() {
    let able = |faults: &[(&'static str, Fault)], expect: &str, done: bool| {
        check(Options::default(), faults, &change(revision()), expect, done);
    };
    able(&[], "taken {\"n\":2}", true);
    able(&[("PUT", Fault::Lag(Duration::from_millis(50)))], "taken {\"n\":2}", true);
    able(&[("PUT", Fault::HangBefore)], "unknown Broken", false);
    able(&[("PUT", Fault::HangAfter)], "unknown Broken", true);
    able(&[("PUT", Fault::CutBefore)], "unknown Broken", false);
    able(&[("PUT", Fault::CutAfter)], "unknown Broken", true);
    able(&[("PUT", Fault::StatusAfter(500))], "unknown Server", true);
    able(&[("PUT", Fault::StatusAfter(502))], "unknown Server", true);
    // Whoever says 429 has refused it; a 503 may come from something in front of who did it.
    able(&[("PUT", Fault::Status(429, vec![("retry-after", "1".into())]))], "unsent Throttled", false);
    able(&[("PUT", Fault::Status(503, vec![("retry-after", "1".into())]))], "unknown Throttled", false);
    able(&[("PUT", Fault::Status(401, vec![]))], "unsent NeedsLogin", false);
    able(&[("PUT", Fault::Body("{}".into()))], "unknown Nonsense", true);
    able(&[("PUT", Fault::Body(r#"{"row":{"id":"b","rev":9}}"#.into()))], "unknown Nonsense", true);
}

#[test]
fn what_stands_around_a_change_is_done_for_every_remote() {
    let careless = |faults: &[(&'static str, Fault)], expect: &str, done: bool| {
        check(Options::careless(), faults, &change(Precondition::Reread(props(r#"{"n":1}"#))), expect, done);
    };
    careless(&[], "taken {\"n\":2}", true);
    careless(&[("GET", Fault::CutBefore), ("GET", Fault::CutBefore)], "unsent Broken", false);
    careless(&[("GET", Fault::Status(500, vec![]))], "unsent Server", false);
    careless(&[("GET", Fault::Body(r#"{"row":{"id":"a","n":7}}"#.into()))], "stale {\"n\":7}", false);
    let moved = change(Precondition::Reread(props(r#"{"n":0}"#)));
    check(Options::careless(), &[], &moved, "stale {\"n\":1}", false);
    // A silent service is read back; where that fails, the change was taken all the same.
    let silent = || Options { silent: true, ..Options::default() };
    check(silent(), &[], &change(revision()), "taken {\"n\":2}", true);
    check(silent(), &[("GET", Fault::Status(500, vec![]))], &change(revision()), "taken ?", true);
    check(silent(), &[("GET", Fault::Status(404, vec![]))], &change(revision()), "taken gone", true);
    // One that says that it moved, and not what it is now, is asked.
    check(Options::default(), &[("PUT", Fault::Status(412, vec![]))], &change(revision()), "stale {\"n\":1}", false);
    check(
        Options::default(),
        &[("PUT", Fault::Status(412, vec![])), ("GET", Fault::Status(404, vec![]))],
        &change(revision()),
        "gone",
        false,
    );
}

#[test]
fn the_remotes_own_form_and_words_come_back() {
    let rewriting = Options { normalise: tidies, ..Options::default() };
    let action = Action::Create { remote_id: Some("b".into()), whole: props(r#"{"name":" Rust "}"#), key: None };
    check(rewriting, &[], &action, "taken {\"name\":\"rust\",\"tidied\":true}", false);
    let action = Action::Create { remote_id: None, whole: props(r#"{"refuse":true}"#), key: None };
    check(Options::default(), &[], &action, "refused refuse is not allowed here", false);
}

#[test]
fn a_question_survives_a_connection_that_was_closed_meanwhile() {
    // It says nothing of closing, and closes after every answer.
    let served = mingle_tests::wire::serve(std::sync::Arc::new(|_, line| {
        let row = r#"{"row":{"id":"a","rev":1,"n":1}}"#;
        line.send(&mingle_tests::wire::response(200, &[("content-type", "application/json")], row));
        false
    }));
    let set = Set::new(Options::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let means = means(set.folder.path().to_path_buf());
        let settings = settings(RestServer::PROFILE, &served.url);
        let remote = open(Opening { settings, resource: "things".into(), place: Default::default(), means })
            .await
            .expect("settings that fit");
        for _ in 0..30 {
            match remote.get("a").await {
                Ok(mingle_core::replica::Asked::There(row)) => assert_eq!(held(&row), &props(r#"{"n":1}"#)),
                other => panic!("{other:?}"),
            }
        }
    });
}
