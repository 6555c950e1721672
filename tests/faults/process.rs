//! Owns: what surrounds the process, and goes wrong: descriptors, standard error, the socket's file, the lock's content, lines that
//! come with more than bytes. Must never know: what the daemon does about it.

use std::{
    fs,
    io::{BufRead as _, BufReader, IoSlice, Read as _, Write as _},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::net::{UnixListener, UnixStream},
    },
    time::Duration,
};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    rest_server::{Options, RestServer},
    tally,
    wait::{self, Watch, until, until_within},
};
use rustix::{
    net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags},
    process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, prlimit},
};
use serde_json::json;

use crate::cage::Cage;

const LOCAL: &str = "[collection.notes]\n";

/// Time of the processor that the process has used so far, in ticks of a hundredth of a second.
fn ticks(daemon: &Daemon) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).expect("its figures");
    // The name in parentheses may hold anything; the figures come after it.
    let figures: Vec<&str> = stat.rsplit(')').next().expect("figures").split_whitespace().collect();
    figures[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

fn descriptors(daemon: &Daemon) -> usize {
    fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("its descriptors").count()
}

/// A daemon that may have no more than so many descriptors.
fn with_descriptors(most: u64) -> Daemon {
    let mut home = Home::new(Some(LOCAL));
    let limit = format!("ulimit -n {most}; exec \"$@\"");
    home.set_under(&["/bin/sh", "-c", &limit, "sh"]);
    home.start()
}

/// Where little is granted, apps get a share of it: the store and the other socket have theirs.
#[test]
fn of_few_descriptors_apps_get_a_share() {
    let daemon = with_descriptors(64);
    let mut early = daemon.app("early");
    let mut held: Vec<UnixStream> = (0..100).filter_map(|_| UnixStream::connect(daemon.socket()).ok()).collect();
    let mut last = BufReader::new(held.pop().expect("a connection"));
    last.get_ref().set_read_timeout(Some(wait::LONG)).expect("a time to wait");
    let mut told = String::new();
    last.read_line(&mut told).expect("a word before the end");
    assert!(told.contains("\"busy\"") && told.contains("retry_after_ms"), "{told}");
    let watch = Watch::start();
    for n in 0..20 {
        early.put("notes", "a", &json!({ "n": n }));
        assert_eq!(early.get("notes", "a"), Some(json!({ "n": n })));
    }
    let mut status = App::raw(&daemon.status_socket()).expect("the other socket");
    assert_eq!(status.must("status", json!({}))["state"], "running");
    assert!(watch.elapsed() < Duration::from_secs(5), "{:?}", watch.elapsed());
    drop(held);
    until_within("a late app to be let in", Duration::from_secs(10), || App::try_connect(&daemon.socket(), "late").ok());
}

/// None at all: it cannot accept, and waits for better times without spinning.
#[test]
fn without_descriptors_it_waits_and_does_not_spin() {
    let daemon = Daemon::with(LOCAL);
    let mut early = daemon.app("early");
    for n in 0..50 {
        // Each thread that reads has opened what it needs.
        early.put("notes", "a", &json!({ "n": n }));
        assert_eq!(early.get("notes", "a"), Some(json!({ "n": n })));
    }
    let pid = i32::try_from(daemon.pid()).ok().and_then(Pid::from_raw);
    let before = getrlimit(Resource::Nofile);
    let limit = |current| Rlimit { current, maximum: before.maximum };
    prlimit(pid, Resource::Nofile, limit(Some(descriptors(&daemon) as u64))).expect("another limit");
    let late: Vec<UnixStream> = (0..30).filter_map(|_| UnixStream::connect(daemon.socket()).ok()).collect();
    let used = ticks(&daemon);
    wait::pass(Duration::from_secs(1));
    let used = ticks(&daemon) - used;
    assert!(used < 30, "it used {used} hundredths of a second while it could not accept");
    for n in 0..20 {
        early.put("notes", "a", &json!({ "n": n }));
    }
    assert_eq!(early.must("status", json!({}))["state"], "running");
    prlimit(pid, Resource::Nofile, limit(before.current)).expect("the limit as it was");
    until_within("those who wait to be let in", Duration::from_secs(10), || {
        let apps = early.must("status", json!({}))["apps"].as_array().map_or(0, Vec::len);
        (apps == late.len() + 1).then_some(())
    });
}

#[test]
fn standard_error_that_is_full_or_gone_costs_nothing() {
    for words in ["exec \"$@\" 2>/dev/full", "exec \"$@\" 2>&- >&-", "exec \"$@\" 2>&1 | head -c 1 >/dev/null"] {
        let mut home = Home::new(Some(LOCAL));
        home.set("MINGLE_LOG", "debug");
        // The last runs beside a reader who leaves after one byte.
        home.set_under(&["/bin/sh", "-c", words, "sh"]);
        let daemon = home.start();
        let mut app = daemon.app("tester");
        for n in 0..50 {
            app.put("notes", "a", &json!({ "n": n }));
        }
        assert_eq!(app.get("notes", "a"), Some(json!({ "n": 49 })), "{words}");
        app.must("shutdown", json!({}));
    }
}

/// A name that wants to write lines of its own into the log, or to paint on a terminal.
#[test]
fn names_write_no_lines_into_the_log() {
    let mut home = Home::new(Some(LOCAL));
    home.set("MINGLE_LOG", "trace");
    let mut daemon = home.start();
    let mut app = App::raw(&daemon.socket()).expect("a connection");
    let evil = "x\u{1b}[2J\r\n2026-01-01T00:00:00Z ERROR forged: all is lost";
    for (method, params) in [
        ("hello", json!({ "app": evil, "protocol": 1 })),
        ("get", json!({ "collection": evil, "id": evil })),
        ("sync.run", json!({ "sync": evil })),
        (evil, json!({ evil: evil })),
        ("wait", json!({ "token": evil, "timeout_ms": 1 })),
    ] {
        let answer = app.ask(method, &params).expect("an answer");
        assert!(answer.is_err(), "{method}: {answer:?}");
    }
    app.write(&format!("{{\"id\":9,\"method\":\"{}\"", "\u{1b}]0;x\u{7}")).expect("a line");
    let mut named = daemon.app("tester");
    let _ = named.ask("put", &json!({ "collection": "notes", "id": evil, "data": {} })).expect("an answer");
    named.put("notes", "a", &json!({ evil: evil }));
    assert_eq!(daemon.terminate().0.code(), Some(0));
    let log = fs::read_to_string(daemon.dir().join("s/mingle/mingled.log")).unwrap_or_default();
    for text in [daemon.said(), log] {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}') && !text.contains('\r'), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("2026-01-01T00:00:00Z ERROR forged")), "{text}");
    }
}

#[test]
fn a_lock_that_names_another_process_holds_nobody_up() {
    let home = Home::new(Some(LOCAL));
    // What stands in the file is for people: here a process that is there, and is no daemon.
    fs::create_dir_all(home.lock().parent().expect("its folder")).expect("a folder");
    for content in [format!("{} 0.1.0\n", std::process::id()), "1 9.9.9\n".into(), "\0\0\0".into(), "9".repeat(5_000)] {
        fs::write(home.lock(), content).expect("a lock's content");
        rustix::fs::chmod(home.lock(), rustix::fs::Mode::from_raw_mode(0o600)).expect("chmod");
    }
    let mut daemon = home.start();
    let said = fs::read_to_string(daemon.lock()).expect("the lock");
    assert!(said.starts_with(&format!("{} ", daemon.pid())), "{said}");
    assert_eq!(daemon.terminate().0.code(), Some(0));
}

/// Descriptors and credentials that come along with a line: the line counts, the rest is dropped.
#[test]
fn what_comes_beside_the_bytes_is_dropped() {
    let daemon = Daemon::with(LOCAL);
    let mut app = daemon.app("tester");
    app.must("status", json!({}));
    let before = descriptors(&daemon);
    let file = fs::File::open("/dev/null").expect("a file");
    let fds: Vec<BorrowedFd<'_>> = (0..10).map(|_| file.as_fd()).collect();
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = UnixStream::connect(daemon.socket()).expect("a connection");
        let mut space = [std::mem::MaybeUninit::uninit(); 256];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        assert!(beside.push(SendAncillaryMessage::ScmRights(&fds)), "room for ten descriptors");
        let line = b"{\"id\":1,\"method\":\"status\"}\n";
        rustix::net::sendmsg(&stream, &[IoSlice::new(line)], &mut beside, SendFlags::empty()).expect("sent");
        let mut answer = [0; 16];
        stream.set_read_timeout(Some(wait::LONG)).expect("a time to wait");
        stream.read_exact(&mut answer).expect("an answer");
        streams.push(stream);
    }
    // One of the beginning may have gone meanwhile; what came beside the lines would be two hundred more.
    assert!(descriptors(&daemon) <= before + streams.len(), "only the connections themselves");
    drop(streams);
    until("the connections to be gone", || (descriptors(&daemon) <= before).then_some(()));
}

/// No child of the daemon has its lock, its store or its socket: a secret's command that outlives it holds nobody up.
#[test]
fn a_child_that_outlives_the_daemon_holds_nothing() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let home = Home::new(None);
    let note = home.dir().join("child");
    let script = format!("ls -l /proc/self/fd > {0}.fds; echo $$ > {0}; exec sleep 20", note.display());
    home.configure(&format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"kinto\"\nurl = \"http://{address}/v1\"\n\
         auth = {{ type = \"bearer\", token = {{ command = [\"/bin/sh\", \"-c\", '{script}'] }} }}\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"buckets/b/collections/c\"\ndirection = \"down\"\nevery = \"1s\"\n"
    ));
    let mut daemon = home.start();
    let child: i32 = until("the secret's command", || fs::read_to_string(&note).ok()?.trim().parse().ok());
    let held = fs::read_to_string(daemon.dir().join("child.fds")).expect("what it holds");
    assert!(!held.contains("mingle"), "{held}");
    daemon.kill();
    assert!(daemon.start() < Duration::from_secs(5), "the next start does not wait for it");
    daemon.app("tester").must("status", json!({}));
    if let Some(child) = Pid::from_raw(child) {
        let _ = kill_process(child, Signal::KILL);
    }
}

/// What is no socket of ours stays where it is, and is named.
#[test]
fn what_is_not_ours_in_the_sockets_place_stays() {
    let home = Home::new(Some(LOCAL));
    let socket = home.socket();
    fs::create_dir_all(socket.parent().expect("its folder")).expect("a folder");
    rustix::fs::chmod(socket.parent().expect("its folder"), rustix::fs::Mode::from_raw_mode(0o700)).expect("chmod");
    let check = |expect: &str| {
        let output = home.mingled_ends();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(1) && said.contains(expect), "{}: {said}", output.status);
    };
    fs::write(&socket, "mine").expect("a file");
    check("is no socket");
    assert_eq!(fs::read(&socket).expect("still there"), b"mine");
    fs::remove_file(&socket).expect("the file");
    let live = UnixListener::bind(&socket).expect("another's socket");
    check("another process listens");
    drop(live);
}

/// Half a hello, half a line, nothing at all: none of them is served, and none costs the others anything.
#[test]
fn connections_that_say_nothing_cost_nothing() {
    let daemon = Daemon::with(LOCAL);
    let mut app = daemon.app("tester");
    let held: Vec<UnixStream> = (0..300)
        .map(|n| {
            let mut stream = UnixStream::connect(daemon.socket()).expect("a connection");
            let bytes: &[u8] = match n % 3 {
                0 => b"",
                1 => b"{\"id\":1,\"method\":\"hello\",\"params\":{\"app\":\"x",
                _ => b"\0\0\0\0",
            };
            stream.write_all(bytes).expect("a few bytes");
            stream
        })
        .collect();
    let watch = Watch::start();
    for n in 0..50 {
        app.put("notes", "a", &json!({ "n": n }));
    }
    assert!(watch.elapsed() < Duration::from_secs(5), "{:?}", watch.elapsed());
    drop(held);
    until("them to be gone", || (app.must("status", json!({}))["apps"].as_array().map(Vec::len) == Some(1)).then_some(()));
}

/// No process is left to start a secret's command with: the sync says so, everything else goes on, and so does the sync once there is one.
#[test]
fn without_processes_a_secrets_command_is_told_and_tried_again() {
    let Some(cage) = Cage::of_processes() else {
        return tally::skip("processes in a cage", "this machine lets us make no cgroup of processes");
    };
    let server = RestServer::start(Options { bearer: Some("sesame".into()), ..Options::default() }, &["things"]);
    let mut home = Home::new(Some(&format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n\
         auth = {{ type = \"bearer\", token = {{ command = [\"echo\", \"sesame\"] }} }}\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"things\"\ndirection = \"both\"\n\
         on_start = false\non_change = false\nbackoff = {{ first = \"50ms\", at_most = \"200ms\" }}\n{LOCAL}",
        RestServer::PROFILE,
        server.url
    )));
    server.write_profile(&home.config_dir());
    let words = cage.words();
    home.set_under(&words.iter().map(String::as_str).collect::<Vec<_>>());
    let daemon = home.start();
    let mut app = daemon.app("tester");
    app.put("things", "a", &json!({ "n": 1 }));
    app.sync("things", "done");
    cage.close(true);
    app.patch("things", "a", &json!({ "n": 2 }));
    let row = app.sync("things", "failed");
    let said = row["error"]["what"].as_str().unwrap_or_default();
    assert!(said.contains("echo") && !said.contains("sesame"), "{row}");
    assert_eq!((app.get("things", "a"), server.rows("things")["a"]["n"].clone()), (Some(json!({ "n": 2 })), json!(1)));
    app.put("notes", "a", &json!({}));
    cage.close(false);
    app.sync("things", "done");
    assert_eq!(server.rows("things")["a"]["n"], 2);
}

/// Its parent left it a thousand open descriptors, of files that it has no business with.
#[test]
fn descriptors_of_its_parent_are_left_alone() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "mine").expect("a file of the parent");
    // Some are to write with, as a careless parent has them.
    let script = "
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]),) * 2)
for _ in range(1024):
    os.set_inheritable(os.open(sys.argv[1], os.O_RDWR), True)
os.execv(sys.argv[3], sys.argv[3:])";
    // The second leaves it few of its own.
    for most in ["4096", "1100"] {
        let mut home = Home::new(Some(LOCAL));
        let path = file.path().display().to_string();
        home.set_under(&["python3", "-I", "-c", script, &path, most]);
        let mut daemon = home.start();
        assert!(descriptors(&daemon) > 1024, "they are there");
        let mut early = daemon.app("early");
        let held: Vec<UnixStream> = (0..100).filter_map(|_| UnixStream::connect(daemon.socket()).ok()).collect();
        for n in 0..20 {
            early.put("notes", "a", &json!({ "n": n }));
            assert_eq!(early.get("notes", "a"), Some(json!({ "n": n })), "{most}");
        }
        drop(held);
        until_within("a late app to be let in", Duration::from_secs(10), || App::try_connect(&daemon.socket(), "late").ok());
        drop(early);
        assert_eq!(daemon.terminate().0.code(), Some(0), "{most}");
        assert_eq!(fs::read(file.path()).expect("still there"), b"mine", "{most}");
    }
}
