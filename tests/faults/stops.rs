//! Owns: ends of the real process at any moment (P8): one signal asks and is obeyed within five seconds whatever hangs, a second one
//! insists, and what was acknowledged is there. Must never know: what the daemon does to end.
//!
//! `MINGLE_ENDS` says how many (12 in a plain test run), `MINGLE_SEED` the moments. Stops of runs are in `tests/blackbox/stop.rs`.

use std::{
    io::Write as _,
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::Stdio,
    time::Duration,
};

use mingle_tests::{
    app::App,
    chance::Chance,
    daemon::{Daemon, Home},
    rest_server::{Fault, Options, RestServer},
    servers, tally,
    trap::{self, Play, TrapServer},
    wait::{self, Times, Watch},
};
use rustix::process::{Pid, Signal};
use serde_json::json;

/// The promise.
const ENDS_WITHIN: Duration = Duration::from_secs(5);
/// After a second signal nothing is waited for but the transaction under way.
const FORCED_WITHIN: Duration = Duration::from_secs(1);

fn config(url: &str, profile: &str) -> String {
    format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{profile}\"\nurl = \"{url}\"\n[sync.things]\ncollection = \"things\"\n\
         remote = \"far\"\nresource = \"things\"\ndirection = \"both\"\nevery = \"1s\"\non_change = {{ after = \"1ms\", at_most = \"5ms\" }}\n\
         backoff = {{ first = \"10ms\", at_most = \"50ms\" }}\n[collection.notes]\n"
    )
}

/// What hangs while the daemon is to end.
enum Hangs {
    /// Nobody takes the connection: the line of those that wait is full, and held.
    Connecting { listener: TcpListener, _filled: Vec<TcpStream> },
    /// An answer that never ends.
    Reading(TrapServer),
    /// Changes that are never answered.
    Sending(RestServer),
}

impl Hangs {
    fn home(&self) -> Home {
        match self {
            Self::Connecting { listener, .. } => {
                let home =
                    Home::new(Some(&config(&format!("http://{}", listener.local_addr().expect("an address")), trap::PROFILE)));
                trap::write_profile(&home.config_dir());
                home
            }
            Self::Reading(server) => {
                let home = Home::new(Some(&config(&server.url, trap::PROFILE)));
                trap::write_profile(&home.config_dir());
                home
            }
            Self::Sending(server) => {
                let home = Home::new(Some(&config(&server.url, RestServer::PROFILE)));
                server.write_profile(&home.config_dir());
                home
            }
        }
    }
}

fn hanging() -> Vec<(&'static str, Hangs)> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    rustix::net::listen(&listener, 0).expect("a short line");
    let address = listener.local_addr().expect("its address");
    let filled = (0..4).filter_map(|_| TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok()).collect();
    let half = b"HTTP/1.1 200 X\r\ncontent-type: application/json\r\ncontent-length: 50\r\n\r\n{\"rows\"".to_vec();
    vec![
        ("connecting", Hangs::Connecting { listener, _filled: filled }),
        ("half a body", Hangs::Reading(TrapServer::start(vec![Play::Send(half), Play::Hang]))),
        ("changes unanswered", Hangs::Sending(RestServer::start(Options::default(), &["things"]))),
    ]
}

/// Apps that hang: one that never reads what it asked for, one in the middle of a line, one that waits.
fn hung_apps(daemon: &Daemon) -> Vec<UnixStream> {
    let lines = [
        "{\"id\":1,\"method\":\"list\",\"params\":{\"collection\":\"notes\",\"limit\":1000}}\n".repeat(200),
        "{\"id\":1,\"method\":\"sta".to_owned(),
        "{\"id\":1,\"method\":\"wait\",\"params\":{\"run\":\"none\",\"timeout_ms\":600000}}\n".to_owned(),
        "{\"id\":1,\"method\":\"subscribe\",\"params\":{\"collections\":[\"notes\"],\"data\":true}}\n".to_owned(),
    ];
    let connect = |line: String| {
        let mut stream = UnixStream::connect(daemon.socket()).expect("a connection");
        stream.set_nonblocking(true).expect("a socket that does not wait");
        let _ = stream.write(line.as_bytes());
        stream
    };
    lines.into_iter().map(connect).collect()
}

#[test]
fn a_signal_ends_it_whatever_hangs() {
    let count = std::env::var("MINGLE_ENDS").ok().and_then(|text| text.parse().ok()).unwrap_or(12_u64);
    let seed = Chance::seed(8);
    eprintln!("stops: seed {seed}");
    let mut chance = Chance::new(seed);
    let (mut times, mut wrong) = (Times::default(), Vec::new());
    let mut benches: Vec<_> = hanging()
        .into_iter()
        .map(|(what, hangs)| {
            let daemon = hangs.home().start();
            let mut app = daemon.app("filler");
            (0..40).for_each(|n| drop(app.put("notes", &format!("n{n}"), &json!({ "text": "x".repeat(100_000) }))));
            (what, hangs, daemon)
        })
        .collect();
    for n in 0..count {
        let at = usize::try_from(n).expect("few") % benches.len();
        let (what, hangs, daemon) = &mut benches[at];
        if let Hangs::Sending(server) = hangs {
            (0..3).for_each(|_| server.next("PUT", Fault::HangAfter));
        }
        // Apps that hang are waited for, so that not every end is tried with them.
        let hung = if n % 3 == 1 { hung_apps(daemon) } else { Vec::new() };
        let mut app = daemon.app("writer");
        let id = format!("t{}", n % 7);
        app.put("things", &id, &json!({ "n": n }));
        // The moment is what is tested.
        wait::pass(chance.time(Duration::from_millis(60)));
        let twice = n % 2 == 1;
        let signal = if chance.below(2) == 0 { Signal::TERM } else { Signal::INT };
        let watch = Watch::start();
        daemon.signal(signal);
        if twice {
            // Two of one kind in the same moment are one to the system.
            wait::pass(Duration::from_millis(30) + chance.time(Duration::from_millis(20)));
            if daemon.is_there() {
                daemon.signal(signal);
            }
        }
        let status = daemon.ended();
        let took = watch.elapsed();
        times.note(took);
        let limit = if twice { FORCED_WITHIN } else { ENDS_WITHIN };
        if status.code() != Some(0) || took > limit {
            wrong.push(format!("{what}{}: {status} after {took:?}", if twice { ", twice" } else { "" }));
        }
        drop(hung);
        daemon.start();
        let there = daemon.app("looker").get("things", &id);
        if there != Some(json!({ "n": n })) {
            wrong.push(format!("{what}: {there:?} is there, acknowledged {n}"));
        }
    }
    eprintln!("stops: {count} ends; {}", times.told());
    tally::tell("ends", count, wrong.len() as u64);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// While it starts, before it serves, and again while it ends: it never hangs, and the next start finds nothing to mend.
#[test]
fn a_signal_while_it_starts_ends_it_too() {
    let seed = Chance::seed(9);
    let mut chance = Chance::new(seed);
    let home = Home::new(Some("[collection.notes]\n"));
    let (mut times, mut wrong, mut served) = (Times::default(), Vec::new(), 0);
    for _ in 0..12 {
        let mut command = home.mingled();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = servers::spawn(command).expect("a daemon");
        wait::pass(chance.time(Duration::from_millis(60)));
        served += u64::from(App::try_connect(&home.socket(), "looker").is_ok());
        let watch = Watch::start();
        // Whether INT counts before the daemon listens is up to who started it: a shell has what it puts behind itself ignore it.
        let _ = rustix::process::kill_process(Pid::from_child(&child), Signal::TERM);
        let status = wait::until("it to end", || child.try_wait().ok().flatten());
        times.note(watch.elapsed());
        // Before it listens to signals, one ends it as it ends any program.
        let by_signal = std::os::unix::process::ExitStatusExt::signal(&status);
        if watch.elapsed() > ENDS_WITHIN || !(status.code() == Some(0) || by_signal == Some(15)) {
            wrong.push(format!("{status} after {:?}", watch.elapsed()));
        }
    }
    eprintln!("stops while starting: {served} of 12 served already; {}", times.told());
    tally::tell("ends", 12, wrong.len() as u64);
    assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    let daemon = home.start();
    assert_eq!(daemon.app("looker").must("status", json!({}))["attention"], json!([]));
}
