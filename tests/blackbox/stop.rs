//! Owns: that a stop is honoured at once, at whatever moment it comes (T7), with its figures. Must never know: how a run ends.

use std::{net::TcpListener, time::Duration};

use mingle_tests::{
    chance::Chance,
    daemon::Home,
    rest_server::{Fault, Options, RestServer},
    tally,
    trap::{self, Play, TrapServer},
    wait::{self, Times, Watch},
};
use serde_json::json;

use crate::bench::scripted_config;

/// The goal, and what a machine that does other things meanwhile may add to its slow end.
const ACKNOWLEDGED: Duration = Duration::from_millis(50);
const STOPPED: Duration = Duration::from_millis(500);
const NEVER_OVER: Duration = Duration::from_secs(2);
const ALLOWANCE: u32 = 3;

/// How many stops a situation gets; `MINGLE_STOPS` for more.
fn stops() -> u64 {
    std::env::var("MINGLE_STOPS").ok().and_then(|text| text.parse().ok()).unwrap_or(40)
}

/// Runs and stops again and again, each time after another wait below `within`.
fn check(what: &str, home: Home, within: Duration, before: impl FnMut(u64)) {
    check_within(what, home, within, stops(), ALLOWANCE, before);
}

/// So many stops, each of which may take so many times the goal at its slow end.
fn check_within(what: &str, home: Home, within: Duration, stops: u64, allowance: u32, mut before: impl FnMut(u64)) {
    let seed = Chance::seed(7);
    let mut chance = Chance::new(seed);
    let daemon = home.start();
    let (mut app, mut watcher) = (daemon.app("tester"), daemon.app("watcher"));
    watcher.must("subscribe", json!({ "topics": ["sync"], "collections": [], "initial": false }));
    let (mut acknowledged, mut stopped) = (Times::default(), Times::default());
    let mut while_running = 0;
    for round in 0..stops {
        before(round);
        let run = app.run("things");
        // The moment is what is tested.
        wait::pass(chance.time(within));
        let watch = Watch::start();
        let answer = app.must("stop", json!({}));
        acknowledged.note(watch.elapsed());
        watcher.hear("stopped", |message| message["params"]["topic"] == "sync" && message["params"]["daemon"] == "stopped");
        stopped.note(watch.elapsed());
        if answer["runs"].as_array().is_some_and(|runs| runs.contains(&json!(run))) {
            while_running += 1;
            assert_eq!(app.ended(&run), "stopped", "{what}, seed {seed}");
        }
        let status = app.must("status", json!({}));
        assert_eq!(status["state"], "stopped", "{what}: {status}");
        app.must("restart", json!({}));
        watcher.hear("running", |message| message["params"]["topic"] == "sync" && message["params"]["daemon"] == "running");
    }
    eprintln!(
        "stop, {what}: {while_running} of {stops} while running; acknowledged {}; stopped {}",
        acknowledged.told(),
        stopped.told()
    );
    let late = stopped.over(NEVER_OVER * allowance / ALLOWANCE);
    tally::tell("stops", stops, late);
    assert!(while_running * 2 >= stops, "{what}: only {while_running} stops met a run");
    assert!(acknowledged.share(99) <= ACKNOWLEDGED * allowance, "{what}: {}", acknowledged.told());
    assert!(stopped.share(99) <= STOPPED * allowance, "{what}: {}", stopped.told());
    assert!(stopped.share(100) <= NEVER_OVER * allowance / ALLOWANCE, "{what}: {}", stopped.told());
}

/// Takes a core each, at the usual niceness, until they go with their value.
struct Spinners(Vec<std::process::Child>);

impl Spinners {
    fn start(count: usize) -> Self {
        let one = |_| {
            let mut command = std::process::Command::new("/bin/sh");
            // Whatever becomes of us, it ends.
            command.args(["-c", "ulimit -t 60; while :; do :; done"]);
            mingle_tests::servers::spawn(command).expect("a spinner")
        };
        Self((0..count).map(one).collect())
    }
}

impl Drop for Spinners {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn at(url: &str, profile: &str, more: &str) -> Home {
    let config = scripted_config(url, more).replace(RestServer::PROFILE, profile);
    Home::new(Some(&config))
}

#[test]
fn stop_while_a_connection_is_not_taken() {
    // Once its line of waiting connections is full, Linux answers no more of them: a connect hangs.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    rustix::net::listen(&listener, 0).expect("a short line");
    let address = listener.local_addr().expect("its address");
    let filled: Vec<_> = (0..4).map(|_| std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200))).collect();
    assert!(filled.iter().any(Result::is_err), "the line of waiting connections is not full");
    let home = at(&format!("http://{address}"), trap::PROFILE, "");
    trap::write_profile(&home.config_dir());
    check("connecting", home, Duration::from_millis(60), |_| {});
}

#[test]
fn stop_while_a_body_is_half_read() {
    let server = TrapServer::start(vec![
        Play::Send(b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{\"rows\"".to_vec()),
        Play::Hang,
    ]);
    let home = at(&server.url, trap::PROFILE, "");
    trap::write_profile(&home.config_dir());
    check("reading half a body", home, Duration::from_millis(60), |_| {});
}

#[test]
fn stop_while_ten_thousand_rows_come() {
    let server = RestServer::start(Options { page_rows: 10_000, page_rows_max: 10_000, ..Options::default() }, &["things"]);
    let home = at(&server.url, RestServer::PROFILE, "");
    server.write_profile(&home.config_dir());
    check("a page of 10,000 rows", home, Duration::from_millis(400), |round| {
        for n in 0..10_000 {
            server.put("things", &format!("r{n}"), &json!({ "n": n, "round": round, "text": "some words to carry" }));
        }
    });
}

#[test]
fn stop_while_a_request_is_sent_already() {
    let server = RestServer::start(Options::default(), &["things"]);
    let home = at(&server.url, RestServer::PROFILE, "");
    server.write_profile(&home.config_dir());
    let socket = home.socket();
    check("a change on its way", home, Duration::from_millis(80), |round| {
        let mut app = mingle_tests::app::App::try_connect(&socket, "writer").expect("a connection");
        for n in 0..20 {
            app.put("things", &format!("t{n}"), &json!({ "round": round }));
        }
        // Some are done and never answered, some not done and never answered.
        server.next("PUT", if round % 2 == 0 { Fault::HangAfter } else { Fault::HangBefore });
    });
}

/// The processor is taken by others, and the daemon is the last that gets any of it.
#[test]
fn stop_while_the_processor_is_taken() {
    let server = RestServer::start(Options { page_rows: 2_000, page_rows_max: 2_000, ..Options::default() }, &["things"]);
    let mut home = at(&server.url, RestServer::PROFILE, "");
    home.set_under(&["nice", "-n", "19"]);
    server.write_profile(&home.config_dir());
    let spinners = Spinners::start(2);
    // Beside what a busy machine is allowed anyway, four times the goal.
    check_within("the processor is taken", home, Duration::from_millis(400), 8, 4 * ALLOWANCE, |round| {
        for n in 0..2_000 {
            server.put("things", &format!("r{n}"), &json!({ "n": n, "round": round, "text": "some words to carry" }));
        }
    });
    drop(spinners);
}
