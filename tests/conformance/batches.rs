//! Owns: what is said of changes that went out together when things go wrong around them. Must never know: what is done about a doubt.

use mingle_core::replica::{Action, Answer, RemoteError};
use mingle_tests::rest_server::{Fault, Options, RestServer};
use mingled::remotes::{Remote, open, wrap};
use serde_json::json;

use crate::bench::{means, props, settings};

/// Makes `n` records; returns a word for each answer, how many are there then, and what the service was asked.
fn made(n: usize, before: impl FnOnce(&RestServer)) -> (Vec<String>, usize, Vec<String>) {
    let server = RestServer::start(Options { batches: 3, ..Options::default() }, &["things"]);
    let folder = tempfile::tempdir().expect("a folder");
    server.write_profile(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let answers = runtime.block_on(async {
        let opening = mingled::remotes::Opening {
            settings: settings(RestServer::PROFILE, &server.url),
            resource: "things".into(),
            place: mingled::remotes::Place::default(),
            means: means(folder.path().to_owned()),
        };
        let remote: Box<dyn Remote> = open(opening).await.expect("a remote");
        before(&server);
        let create = |at: usize| Action::Create {
            remote_id: Some(format!("n{at}")),
            whole: props(&if at == 7 { json!({ "refuse": 1 }) } else { json!({ "n": at }) }.to_string()),
            key: None,
        };
        let actions: Vec<Action> = (0..n).map(create).collect();
        wrap::carry(remote.as_ref(), &actions).await
    });
    (answers.iter().map(word).collect(), server.rows("things").len(), server.log())
}

fn word(answer: &Answer) -> String {
    match answer {
        Answer::Taken(_) | Answer::ReadBack { .. } => "taken".into(),
        Answer::Unknown(RemoteError { kind, .. }) => format!("unknown {}", kind.name()),
        Answer::Unsent(RemoteError { kind, .. }) => format!("unsent {}", kind.name()),
        Answer::Refused(_) => "refused".into(),
        other => format!("{other:?}"),
    }
}

#[test]
fn as_few_requests_go_out_as_the_service_allows() {
    let (answers, there, log) = made(8, |_| {});
    let expected: Vec<&str> = (0..8).map(|at| if at == 7 { "refused" } else { "taken" }).collect();
    assert_eq!((answers, there), (expected.iter().map(|word| (*word).to_owned()).collect(), 7));
    assert_eq!(log, ["POST batch"; 3], "eight in batches of three");
    let (answers, there, log) = made(1, |_| {});
    assert_eq!((answers, there, log), (vec!["taken".to_owned()], 1, vec!["PUT things/n0".to_owned()]), "one needs no batch");
}

#[test]
fn what_is_not_known_of_a_batch_is_not_known_of_any_of_it() {
    #[track_caller]
    fn check(fault: &Fault, expect: &str, done: usize) {
        let (answers, there, log) = made(2, |server| server.next("POST", fault.clone()));
        assert_eq!((answers, there), (vec![expect.to_owned(); 2], done), "{fault:?}; asked: {log:?}");
    }
    check(&Fault::CutBefore, "unknown broken", 0);
    check(&Fault::CutAfter, "unknown broken", 2);
    check(&Fault::StatusAfter(500), "unknown server", 2);
    check(&Fault::StatusAfter(503), "unknown throttled", 2);
    check(&Fault::Status(429, vec![("retry-after", "1".into())]), "unsent throttled", 0);
    check(&Fault::Status(401, vec![]), "unsent needs_login", 0);
    let says = |body: serde_json::Value| Fault::Body(body.to_string());
    let fine = json!({ "status": 201, "headers": {}, "body": { "row": { "id": "n0", "rev": 1 } } });
    check(&says(json!({})), "unknown nonsense", 2);
    check(&says(json!({ "responses": [fine] })), "unknown nonsense", 2);
    check(&says(json!({ "responses": [fine, fine, fine] })), "unknown nonsense", 2);
    check(&says(json!({ "responses": [fine, "what?"] })), "unknown nonsense", 2);
    check(&says(json!({ "responses": [fine, { "status": "201" }] })), "unknown nonsense", 2);
    // One that cannot be read as an answer is one answer that makes no sense; where it stands is clear all the same.
    let (answers, ..) = made(2, |server| {
        server.next("POST", says(json!({ "responses": [fine, { "status": 201, "body": { "row": { "id": "other" } } }] })));
    });
    assert_eq!(answers, ["taken", "unknown nonsense"]);
}

#[test]
fn a_service_that_refuses_batches_is_asked_one_by_one() {
    for fault in [Fault::Status(404, vec![]), Fault::Status(413, vec![]), Fault::Status(403, vec![])] {
        let (answers, there, log) = made(5, |server| server.next("POST", fault.clone()));
        assert_eq!((answers, there), (vec!["taken".to_owned(); 5], 5), "{fault:?}");
        assert_eq!(log.iter().filter(|line| line.starts_with("POST")).count(), 1, "{fault:?}: asked once: {log:?}");
    }
    // Its own limit is smaller than the profile says.
    let (answers, there, _) = made(5, |server| server.change(|options| options.batches = 2));
    assert_eq!((answers, there), (vec!["taken".to_owned(); 5], 5));
}
