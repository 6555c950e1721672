//! Owns: apps that die or stand still in the middle of what they say (P12): others are served meanwhile, and what was acknowledged is
//! there. Must never know: what the daemon does about them.
//!
//! `MINGLE_APP_CRASHES` says how many (40 in a plain test run). The app that dies is this very test program, started anew.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use mingle_tests::{
    app::App,
    chance::Chance,
    daemon::Daemon,
    tally,
    wait::{self, Times, Watch, until},
};
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

/// Set in the app that dies: the socket, how it dies, and its number.
const VICTIM: &str = "MINGLE_FAULTS_VICTIM";
/// Another app's write or read, at the slow end of all.
const OTHERS_WITHIN: Duration = Duration::from_secs(1);
const LOCAL: &str = "[collection.notes]\n[collection.mine]\n";

/// Ways to be in the middle of something.
const WAYS: &[&str] =
    &["half a line", "transactions", "subscribed and not reading", "writes", "a long answer", "a lease", "a half hello"];

/// What the dying app does until it is killed. Each line that it prints is a write that it was acknowledged.
fn victim(socket: &Path, way: &str, number: &str) {
    let mut app = App::try_connect(socket, &format!("victim{number}")).expect("a connection");
    say("here");
    match way {
        "half a line" => {
            let mut stream = UnixStream::connect(socket).expect("a connection");
            loop {
                let _ = stream.write_all(br#"{"jsonrpc":"2.0","id":1,"met"#);
                wait::pass(Duration::from_millis(1));
                stream = UnixStream::connect(socket).expect("a connection");
            }
        }
        "a half hello" => {
            let mut held = Vec::new();
            loop {
                let mut stream = UnixStream::connect(socket).expect("a connection");
                let _ = stream.write_all(br#"{"jsonrpc":"2.0","id":0,"method":"hello","params":{"app":"#);
                held.push(stream);
                held.truncate(20);
                wait::pass(Duration::from_millis(1));
            }
        }
        "transactions" => {
            for n in 0.. {
                let put =
                    |id: String| json!({ "put": { "collection": "mine", "id": id, "data": { "n": n }, "overwrite": true } });
                let writes: Vec<Value> = (0..20).map(|at| put(format!("{number}-{at}"))).collect();
                app.must("transact", json!({ "writes": writes }));
                (0..20).for_each(|at| say(&format!("{number}-{at} {n}")));
            }
        }
        "writes" => {
            for n in 0.. {
                app.put("mine", &format!("{number}-one"), &json!({ "n": n }));
                say(&format!("{number}-one {n}"));
            }
        }
        "subscribed and not reading" => {
            app.must("subscribe", json!({ "collections": ["notes", "mine"], "data": true }));
            loop {
                wait::pass(Duration::from_secs(1));
            }
        }
        "a lease" => loop {
            // A stop that goes with its connection; nothing is synced here, so nobody else is held up by it.
            let _ = app.must("stop", json!({ "lease": true }));
        },
        _ => loop {
            let _ = app.send("list", &json!({ "collection": "notes", "limit": 1000 }));
            wait::pass(Duration::from_millis(1));
        },
    }
}

/// To whoever started it.
fn say(line: &str) {
    writeln!(std::io::stdout().lock(), "{line}").expect("somebody who listens");
}

/// Not a test of its own: what the dying app is, when this program is started as one.
#[test]
fn an_app_that_will_die() {
    let Ok(told) = std::env::var(VICTIM) else { return };
    let mut words = told.split('|');
    let mut word = || words.next().expect("three words");
    victim(Path::new(word()), word(), word());
}

struct Victim {
    child: Child,
    /// The last acknowledged value of each record.
    told: std::thread::JoinHandle<Vec<(String, u64)>>,
}

impl Victim {
    fn start(socket: &Path, way: &str, number: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command.args(["apps::an_app_that_will_die", "--exact", "--nocapture", "--test-threads=1"]);
        command.env(VICTIM, format!("{}|{way}|{number}", socket.display()));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("an app");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        // Where the harness of tests says its own lines first, they are passed over.
        while lines.next().is_some_and(|line| !line.expect("text").contains("here")) {}
        let told = std::thread::spawn(move || {
            let mut told = std::collections::BTreeMap::new();
            for line in lines.map_while(Result::ok) {
                if let Some((id, n)) = line.split_once(' ')
                    && let Ok(n) = n.parse()
                {
                    told.insert(id.to_owned(), n);
                }
            }
            told.into_iter().collect()
        });
        Self { child, told }
    }

    fn signal(&self, signal: Signal) {
        let _ = rustix::process::kill_process(Pid::from_child(&self.child), signal);
    }

    fn end(mut self) -> Vec<(String, u64)> {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.told.join().expect("what it was told")
    }
}

#[test]
fn apps_that_die_or_stand_still_block_nobody_and_lose_nothing() {
    let crashes = std::env::var("MINGLE_APP_CRASHES").ok().and_then(|text| text.parse().ok()).unwrap_or(40_u64);
    let seed = Chance::seed(12);
    eprintln!("apps: seed {seed}");
    let mut chance = Chance::new(seed);
    let daemon = Daemon::with(LOCAL);
    let mut filler = daemon.app("filler");
    for n in 0..100 {
        filler.put("notes", &format!("n{n}"), &json!({ "text": "x".repeat(2_000) }));
    }
    let (ends, lost) = (AtomicBool::new(false), Mutex::new(Vec::<String>::new()));
    let others = std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let (mut app, mut times, mut n) = (daemon.app("other"), Times::default(), 0);
            while !ends.load(SeqCst) {
                n += 1;
                let watch = Watch::start();
                app.put("notes", "other", &json!({ "n": n }));
                assert_eq!(app.get("notes", "other"), Some(json!({ "n": n })));
                times.note(watch.elapsed());
            }
            times
        });
        for crash in 0..crashes {
            let way = WAYS[usize::try_from(crash).expect("few") % WAYS.len()];
            let victim = Victim::start(&daemon.socket(), way, crash);
            wait::pass(chance.time(Duration::from_millis(30)));
            // One in four stands still for a while before it dies.
            if chance.below(4) == 0 {
                victim.signal(Signal::STOP);
                wait::pass(chance.time(Duration::from_millis(200)));
            }
            for (id, n) in victim.end() {
                let there = filler.get("mine", &id).map_or(Value::Null, |data| data["n"].clone());
                // A later one may have been written, and its answer not read any more.
                if there.as_u64().is_none_or(|there| there < n) {
                    lost.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{way}: {id} is {there}, acknowledged {n}"));
                }
            }
        }
        ends.store(true, SeqCst);
        others.join().expect("the other app")
    });
    let lost = lost.into_inner().unwrap_or_else(PoisonError::into_inner);
    eprintln!("apps: {crashes} crashes; others: {}", others.told());
    let slow = others.share(100) > OTHERS_WITHIN;
    tally::tell("app-crashes", crashes, lost.len() as u64 + u64::from(slow));
    assert!(lost.is_empty(), "{lost:#?}");
    assert!(!slow, "another app waited: {}", others.told());
    // Nothing of them is left: no connection, no stop, and no half of a transaction.
    until("their connections to be gone", || {
        let status = filler.must("status", json!({}));
        (status["apps"].as_array().is_some_and(|apps| apps.len() == 1) && status["state"] == "running").then_some(())
    });
    for (id, data) in filler.all("mine") {
        let Some((number, _)) = id.split_once('-').filter(|(_, at)| *at != "one") else { continue };
        let first = filler.get("mine", &format!("{number}-0"));
        assert_eq!(first, Some(data), "half of a transaction is there: {id}");
    }
}
