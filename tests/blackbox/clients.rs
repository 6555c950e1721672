//! Owns: the Rust client against the real daemon, killed and started under it: calls and subscriptions go on. Must never know: how they
//! connect.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use mingle_client::{
    CallError, Name, Options, Raw, Update, blocking,
    call::{ChangeKind, Get, Put, Shutdown, Status, Subscribe},
    nonblocking::{self, SubscribeError},
};
use mingle_tests::{
    daemon::Daemon,
    wait::{self, until},
};
use serde_json::value::RawValue;

const CONFIG: &str = "[collection.notes]\n";
const ROUNDS: u64 = 4;

fn options(daemon: &Daemon, app: &str, reconnect_within: Option<Duration>) -> Options {
    Options { socket: Some(daemon.socket()), reconnect_within, ..Options::app(app) }
}

fn note(id: &str, n: u64) -> Put {
    let data = RawValue::from_string(format!("{{\"n\":{n}}}")).expect("JSON");
    Put { collection: "notes".into(), id: Some(id.into()), data, if_seq: Some(0), ..Put::default() }
}

/// What a follower has seen of each record, and how often it was told that the daemon was away.
#[derive(Default)]
struct Seen {
    records: BTreeMap<String, u64>,
    away: u64,
    fresh: u64,
    /// How many pages of changes came; shared with who waits for some.
    heard: Arc<AtomicU64>,
}

impl Seen {
    fn take(&mut self, update: Update) {
        match update {
            Update::Again => self.away += 1,
            Update::Event(_) => {}
            Update::Changed(changed) => {
                self.heard.fetch_add(1, Ordering::AcqRel);
                if changed.fresh {
                    self.fresh += 1;
                    self.records.clear();
                }
                for change in changed.changes {
                    match change.kind {
                        ChangeKind::Deleted | ChangeKind::Left => drop(self.records.remove(&change.id)),
                        _ => drop(self.records.insert(change.id, change.seq)),
                    }
                }
            }
        }
    }
}

/// Kills the daemon again and again while it is written to; `written` counts what was acknowledged, `heard` what came to a follower:
/// each of them is there before the next end.
fn kill_under(daemon: &mut Daemon, written: &AtomicU64, heard: &AtomicU64) {
    for round in 1..=ROUNDS {
        let before = (written.load(Ordering::Acquire), heard.load(Ordering::Acquire));
        until("some writes", || (written.load(Ordering::Acquire) > before.0 + 5).then_some(()));
        until("some changes", || (heard.load(Ordering::Acquire) > before.1).then_some(()));
        if round % 2 == 0 {
            daemon.kill();
        } else {
            let (status, _) = daemon.terminate();
            assert_eq!(status.code(), Some(0));
        }
        // Those who wait for it find nobody for a while.
        wait::pass(Duration::from_millis(150));
        daemon.start();
    }
}

#[test]
fn blocking_calls_and_subscriptions_outlive_the_daemon() {
    let mut daemon = Daemon::with(CONFIG);
    let patient = options(&daemon, "writer", Some(Duration::from_secs(30)));
    let (over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = std::thread::spawn({
        let (over, written, options) = (over.clone(), written.clone(), patient.clone());
        move || {
            let mut client = blocking::Client::open(&options).expect("connected");
            let mut n = 0;
            while !over.load(Ordering::Acquire) {
                // `if_seq: 0`: were it done twice, the second would be `stale`.
                client.put(note(&format!("n{n}"), n)).unwrap_or_else(|error| panic!("n{n}: {error}"));
                n += 1;
                written.store(n, Ordering::Release);
            }
            n
        }
    });
    let heard = Arc::new(AtomicU64::new(0));
    let follower = std::thread::spawn({
        let (options, heard) = (Options { app: Some("follower".into()), ..patient.clone() }, heard.clone());
        move || {
            let client = blocking::Client::open(&options).expect("connected");
            let mut seen = Seen { heard, ..Seen::default() };
            for update in client
                .subscribe(Subscribe { collections: Some(vec!["notes".into()]), ..Subscribe::default() })
                .expect("subscribed")
            {
                seen.take(update.expect("an update"));
                if seen.records.contains_key("the-end") {
                    break;
                }
            }
            seen
        }
    });
    kill_under(&mut daemon, &written, &heard);
    over.store(true, Ordering::Release);
    let count = writer.join().expect("the writer ends");
    daemon.app("tester").put("notes", "the-end", &serde_json::json!({}));
    let seen = follower.join().expect("the follower ends");
    assert_eq!(seen.records.len() as u64, count + 1);
    assert_eq!((seen.away, seen.fresh), (ROUNDS, 0));
    eprintln!("{count} writes over {ROUNDS} ends of the daemon, each once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_calls_and_subscriptions_outlive_the_daemon() {
    let mut daemon = Daemon::with(CONFIG);
    let patient = options(&daemon, "writer", Some(Duration::from_secs(30)));
    let client = nonblocking::Client::open(&patient).await.expect("connected");
    let mut subscription = client.subscribe(Subscribe::default()).await.expect("subscribed");
    let (over, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (client, over, written) = (client.clone(), over.clone(), written.clone());
            tokio::spawn(async move {
                let mut n = 0;
                while !over.load(Ordering::Acquire) {
                    let id = format!("w{writer}-{n}");
                    client.put(note(&id, n)).await.unwrap_or_else(|error| panic!("{id}: {error}"));
                    n += 1;
                    written.fetch_add(1, Ordering::AcqRel);
                }
                n
            })
        })
        .collect();
    let heard = Arc::new(AtomicU64::new(0));
    let mut seen = Seen { heard: heard.clone(), ..Seen::default() };
    let follower = tokio::spawn(async move {
        while let Some(update) = subscription.next().await {
            seen.take(update.expect("an update"));
            if seen.records.contains_key("the-end") {
                break;
            }
        }
        seen
    });
    let daemon = tokio::task::spawn_blocking({
        let written = written.clone();
        move || {
            kill_under(&mut daemon, &written, &heard);
            daemon
        }
    })
    .await
    .expect("killed");
    over.store(true, Ordering::Release);
    let mut count = 0;
    for writer in writers {
        count += writer.await.expect("a writer ends");
    }
    client.put(note("the-end", 0)).await.expect("the last one");
    let seen = follower.await.expect("the follower ends");
    assert_eq!(seen.records.len() as u64, count + 1);
    assert_eq!((seen.away, seen.fresh), (ROUNDS, 0));
    drop(daemon);
}

#[test]
fn another_store_is_told_and_refuses_what_was_meant_for_the_first() {
    let mut daemon = Daemon::with(CONFIG);
    let mut client = blocking::Client::open(&options(&daemon, "writer", Some(Duration::from_secs(20)))).expect("connected");
    client.put(note("old", 1)).expect("written");
    let mut subscription = client.subscribe(Subscribe::default()).expect("subscribed");
    let mut seen = Seen::default();
    while !seen.records.contains_key("old") {
        seen.take(subscription.next().expect("goes on").expect("an update"));
    }
    let (status, _) = daemon.terminate();
    assert!(status.success());
    std::fs::remove_file(daemon.store()).expect("the store is gone");
    daemon.start();
    daemon.app("tester").put("notes", "new", &serde_json::json!({}));
    while !seen.records.contains_key("new") {
        seen.take(subscription.next().expect("goes on").expect("an update"));
    }
    assert_eq!((seen.away, seen.fresh, seen.records.len()), (1, 1, 1), "everything anew, and it says so");
    // The client does not know yet that its connection is gone: the write is tied to the store that it was made for.
    match client.put(note("late", 2)) {
        Ok(_) => {}
        Err(CallError::Refused(refusal)) => assert_eq!(refusal.name(), Name::Stale, "{refusal}"),
        Err(error) => panic!("{error}"),
    }
    assert!(client.status(Status {}).is_ok());
}

#[test]
fn patience_ends_and_some_calls_are_never_repeated() {
    let mut daemon = Daemon::with(CONFIG);
    let patience = Duration::from_millis(400);
    let mut client = blocking::Client::open(&options(&daemon, "writer", Some(patience))).expect("connected");
    let mut impatient = blocking::Client::open(&options(&daemon, "other", None)).expect("connected");
    client.put(note("a", 1)).expect("written");
    daemon.kill();
    let watch = wait::Watch::start();
    let error = client.put(note("b", 2)).expect_err("nobody is there");
    assert!(
        error.is_lost() && watch.elapsed() >= patience / 2 && watch.elapsed() < patience * 10,
        "{error} after {:?}",
        watch.elapsed()
    );
    assert!(impatient.put(note("b", 2)).expect_err("nobody is there").is_lost());
    daemon.start();
    client.put(note("b", 3)).expect("it is there again");
    assert_eq!(
        client.get(Get { collection: "notes".into(), id: "b".into(), ..Get::default() }).expect("read").data.get(),
        "{\"n\":3}"
    );
    assert!(impatient.status(Status {}).expect_err("once lost, lost").is_lost());
    // A shutdown whose answer is lost must not end the next daemon as well.
    client.shutdown(Shutdown {}).expect("answered before the end");
    daemon.ended();
    daemon.start();
    wait::pass(Duration::from_millis(100));
    client.status(Status {}).expect("it runs on");
}

/// A daemon whose sync `job` is the work of app `clerk`.
const WORK: &str = "[remote.desk]\nkind = \"app\"\napp = \"clerk\"\n\n\
    [sync.job]\ncollection = \"notes\"\nremote = \"desk\"\nresource = \"box\"\ndirection = \"down\"\n";

fn json(value: &serde_json::Value) -> Raw {
    serde_json::value::to_raw_value(value).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_async_offer_is_called_and_made_again_where_the_daemon_went() {
    let mut daemon = Daemon::with(WORK);
    let mut app = daemon.app("tester");
    let patient = options(&daemon, "clerk", Some(Duration::from_secs(30)));
    let client = nonblocking::Client::open(&patient).await.expect("connected");
    let refused = client.offer(Some(vec!["shelf".into()])).await.expect_err("no such remote");
    assert!(
        matches!(&refused, SubscribeError::Call(CallError::Refused(refusal)) if refusal.name() == Name::NotFound),
        "{refused}"
    );
    let mut worker = client.offer(None).await.expect("offered");
    assert_eq!(worker.remotes(), ["desk"]);
    // Dropped while it waits, it is asked again, and no call is lost.
    assert!(tokio::time::timeout(Duration::from_millis(20), worker.next_work()).await.is_err());

    let mut at = 0;
    for round in 0..3 {
        let run = app.run("job");
        let mut work = worker.next_work().await.expect("called");
        assert_eq!((work.about().sync.as_str(), work.about().checkpoint.get()), ("job", ["null", "2", "4"][round]));
        for _ in 0..2 {
            at += 1;
            let row = json(&serde_json::json!({ "id": format!("n{at}"), "data": { "n": at } }));
            worker.batch(&mut work, vec![row], Some(json(&at.into()))).await.expect("taken");
            assert_eq!(app.all("notes").len(), at, "it was answered");
        }
        if round == 0 {
            worker.ends(work.done(false)).await.expect("ended");
            assert_eq!(app.ended(&run), "done");
            continue;
        }
        // The daemon goes in the middle: the work is over, and the offer is made again.
        if round == 1 {
            daemon.kill();
        } else {
            assert_eq!(daemon.terminate().0.code(), Some(0));
        }
        assert!(worker.ends(work.done(false)).await.is_err_and(|error| error.is_lost()));
        daemon.start();
        app = daemon.app("tester");
    }
    let run = app.run("job");
    let work = worker.next_work().await.expect("called by the next");
    assert_eq!(work.about().checkpoint.get(), "6");
    worker.ends(work.failed("closed on Sundays", None)).await.expect("ended");
    assert_eq!(app.ended(&run), "failed");
    assert!(app.row("job", &run)["error"].to_string().contains("closed on Sundays"));
}
