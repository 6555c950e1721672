//! Owns: apps as remotes, by their own words: when a batch is answered, who is called, what settings say. Must never know: the socket.

use std::sync::Arc;

use mingle_core::{
    time::Timestamp,
    work::{Batch, Called, Task},
};
use tokio::sync::mpsc;

use super::*;
use crate::remotes::{Means, Place, http};

fn app(workers: &Arc<workers::Workers>) -> App {
    let means = Means {
        http: http::Client::new(http::Patience::default()).unwrap(),
        now: Arc::new(Timestamp::default),
        config_dir: std::path::PathBuf::new(),
        workers: Arc::clone(workers),
        places: Arc::default(),
        logins: Arc::default(),
    };
    let settings = RemoteSettings { kind: "app".into(), app: Some("clerk".into()), ..RemoteSettings::default() };
    let place = Place { remote: "desk".into(), sync: "job".into(), ..Place::default() };
    let opening = Opening { settings, resource: "box".into(), place, means };
    let (under_way, unanswered) = (tokio::sync::Mutex::default(), Mutex::default());
    App { opening, app: "clerk".into(), abilities: abilities(), under_way, unanswered }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn offer(workers: &workers::Workers, connection: u64) -> mpsc::Receiver<Called> {
    let (to, calls) = mpsc::channel(4);
    workers.offer(connection, "clerk", None, to);
    calls
}

fn begun(calls: &mut mpsc::Receiver<Called>) -> Option<Task> {
    match calls.try_recv() {
        Ok(Called::Begin(task)) => Some(task),
        _ => None,
    }
}

fn batch(task: &Task, number: u64) -> Batch {
    Batch { work: task.work.clone(), number, rows: vec![r#"{"id":"a","data":{}}"#.into()], checkpoint: Some(number.to_string()) }
}

#[test]
fn a_batch_is_answered_when_it_is_applied_and_not_before() {
    runtime().block_on(async {
        let workers = Arc::new(workers::Workers::default());
        let (app, mut calls) = (app(&workers), offer(&workers, 1));
        let tells = async {
            let Some(Called::Begin(task)) = calls.recv().await else { panic!("not called") };
            let answers = [workers.batch(1, batch(&task, 1)).unwrap(), workers.batch(1, batch(&task, 2)).unwrap()];
            (task, answers)
        };
        let (page, (task, [mut first, mut second])) = tokio::join!(app.list(&From::Start, None, 1), tells);
        let page = page.unwrap();
        assert_eq!((page.rows.len(), page.next.as_deref()), (1, Some("1 1")));
        assert!(first.try_recv().is_err(), "it is not applied yet");
        let page = app.list(&From::Start, page.next.as_deref(), 1).await.unwrap();
        assert_eq!(page.next.as_deref(), Some("2 2"));
        app.page_is_applied();
        assert_eq!(first.try_recv(), Ok(Ok(())));
        assert!(second.try_recv().is_err());
        // What is not applied when the run ends is never said to be, and the app is told.
        drop(app);
        assert!(second.try_recv().is_err());
        assert_eq!(calls.try_recv(), Ok(Called::Stop(task.work.clone())));
        assert!(matches!(workers.batch(1, batch(&task, 3)), Err(Refusal::WrongState(..))));
    });
}

#[test]
fn the_last_to_offer_is_called_and_the_one_before_it_when_that_is_gone() {
    runtime().block_on(async {
        let workers = Arc::new(workers::Workers::default());
        let place = Place { remote: "desk".into(), ..Place::default() };
        let asked = workers::Asked { place: &place, resource: "box", checkpoint: None };
        assert!(workers.call("clerk", &asked).unwrap().is_none() && !workers.has("clerk", "desk"));
        let (mut old, mut new) = (offer(&workers, 1), offer(&workers, 2));
        let mut handle = workers.call("clerk", &asked).unwrap().expect("called");
        assert_eq!(begun(&mut old), None);
        let task = begun(&mut new).expect("the last");
        assert!(workers.done(1, &task.work, Said::NoNewData).is_err(), "it is another's");
        workers.leave(2);
        assert!(handle.heard().await.is_none(), "the run learns of it");
        drop(handle);
        let _handle = workers.call("clerk", &asked).unwrap().expect("called");
        assert!(begun(&mut old).is_some());
        // An offer for other remotes is none for this one.
        let (to, _calls) = mpsc::channel(1);
        workers.offer(1, "clerk", Some(vec!["shelf".into()]), to);
        assert!(!workers.has("clerk", "desk") && workers.has("clerk", "shelf") && !workers.has("other", "shelf"));
    });
}

#[test]
fn an_app_that_reads_no_calls_is_called_no_more() {
    let workers = Arc::new(workers::Workers::default());
    let place = Place { remote: "desk".into(), ..Place::default() };
    let asked = workers::Asked { place: &place, resource: "box", checkpoint: None };
    let _calls = offer(&workers, 1);
    let mut handles = Vec::new();
    let refused = loop {
        match workers.call("clerk", &asked) {
            Ok(handle) => handles.push(handle),
            Err(error) => break error,
        }
    };
    assert_eq!((handles.len(), refused.kind), (4, Failure::Broken));
}

#[test]
fn settings_of_an_app_are_held_to_what_it_has() {
    let settings = |app: &str| RemoteSettings { kind: "app".into(), app: Some(app.into()), ..RemoteSettings::default() };
    let wrong = |settings: &RemoteSettings| crate::remotes::look(settings, Path::new("")).unwrap_err().what;
    assert!(wrong(&settings("")).contains("the name of an app"));
    assert!(wrong(&RemoteSettings { url: "https://example.org".into(), ..settings("a") }).contains("`url`"));
    assert!(wrong(&RemoteSettings { command: vec![String::new()], ..settings("a") }).contains("`command`"));
    let seen = look(&settings("a"), Path::new("")).unwrap();
    assert!(seen.mapping == "a" && seen.abilities.tells && seen.abilities.confirms && !seen.abilities.writes);
}
