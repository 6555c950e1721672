//! Owns: the command itself, as a process, against a scripted daemon: what it asks, prints, and ends with. Must never know: the real
//! daemon.

#![expect(clippy::disallowed_methods, reason = "tests look again after a moment, until a deadline")]

#[path = "../../../tests/fake/mod.rs"]
mod fake;

mod daemon;
mod login;

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use fake::{Fake, Heard, Say};
use serde_json::{Value, json};

fn mingle(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mingle"));
    command.args(arguments).env("MINGLE_SOCKET", socket).env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const AT: &str = "2026-01-02T03:04:05Z";

fn status(syncs: &Value) -> Value {
    json!({"state": "running", "since_at": AT, "instance": "5f0c", "seq": 41, "build": "fake", "uptime_ms": 1000,
        "store": {"bytes": 4096, "wal_bytes": 0}, "syncs": syncs, "apps": [], "attention": []})
}

fn sync(name: &str, state: &str, hold: &Value) -> Value {
    let mut sync = json!({"sync": name, "state": state, "last": null, "pending": 0, "conflicts": 0, "rejections": 0});
    if !hold.is_null() {
        sync["hold"] = hold.clone();
    }
    sync
}

fn run(name: &str, status: &str, error: &Value) -> Value {
    let mut run = json!({"run": format!("r-{name}"), "sync": name, "status": status, "trigger": "request", "ended_at": AT, "down": 3,
        "up": 1, "rejected": 0, "conflicts": 0, "bytes": 10});
    if !error.is_null() {
        run["error"] = error.clone();
    }
    run
}

/// A daemon with a sync for each way to come out.
fn script(heard: &Heard) -> Vec<Say> {
    let written = json!({"id": "i-1", "seq": 42, "token": "w-42", "op": "o-1"});
    let param = |name: &str| heard.params[name].as_str().unwrap_or_default().to_owned();
    vec![match heard.method.as_str() {
        "hello" => return vec![],
        "status" => Say::Answer(status(&json!([
            sync("good", "waiting", &Value::Null),
            sync("bad", "waiting", &Value::Null),
            sync("login", "blocked", &json!({"name": "needs_login", "has": "", "needs": "", "waits_for": "person"})),
            sync("held", "blocked", &json!({"name": "network", "has": "none", "needs": "any", "waits_for": "condition"})),
            sync("off", "disabled", &json!({"name": "paused", "has": "", "needs": "", "waits_for": "condition"})),
        ]))),
        "sync.run" if param("sync") == "stopped" => Say::Refuse("stopped", json!({})),
        "sync.run" if param("sync") == "none" => Say::Refuse("not_found", json!({"hint": "`mingle status` lists them"})),
        "sync.run" => Say::Answer(json!({"run": format!("r-{}", param("sync")), "queued": false})),
        "wait" => Say::Answer(match (param("run") + &param("token")).as_str() {
            "r-good" | "w-good" => json!({"state": "done", "remotes": []}),
            "r-bad" | "r-login" => json!({"state": "failed", "remotes": []}),
            "r-left" => json!({"state": "done_with_errors", "remotes": []}),
            "w-refused" => json!({"state": "rejected", "remotes": [{"remote": "github", "state": "rejected", "error": "422"}]}),
            _ => json!({"state": "pending", "why": "no network", "remotes": []}),
        }),
        "history" => Say::Answer(json!({"runs": [
            run("good", "done", &Value::Null),
            run("bad", "failed", &json!({"name": "unreachable", "what": "the host is not known"})),
            run("login", "failed", &json!({"name": "needs_login", "what": "401"})),
        ]})),
        "get" if param("id") == "i-1" => Say::Answer(json!({"id": "i-1", "data": {"n": 1}, "seq": 41, "new": true})),
        "get" if param("id") == "slow" => Say::Refuse("deadline", json!({})),
        "get" => Say::Refuse("not_found", json!({"hint": "`mingle list issues` shows them"})),
        "list" if heard.params["cursor"].is_null() => {
            Say::Answer(json!({"records": [{"id": "a", "data": {"n": 1}, "seq": 1}], "cursor": "c-2"}))
        }
        "list" => Say::Answer(json!({"records": [{"id": "b\u{1b}", "data": {}, "seq": 2}]})),
        "put" if param("id") == "denied" => Say::Refuse("denied", json!({})),
        "put" if param("id") == "unknown" => Say::Refuse("outcome_unknown", json!({"op": heard.params["op"]})),
        "put" if param("id") == "stale" => Say::Refuse("stale", json!({"seq": 42})),
        "put" | "patch" | "delete" | "conflict.resolve" | "rejection.resolve" => Say::Answer(written),
        "changes" if heard.params["since"] == json!(0) => Say::Answer(
            json!({"changes": [{"collection": "issues", "id": "a", "seq": 1, "kind": "created"}], "seq": 1, "more": true}),
        ),
        "changes" => Say::Answer(
            json!({"changes": [{"collection": "issues", "id": "b", "seq": 2, "kind": "deleted"}], "seq": 2, "more": false}),
        ),
        "stop" => Say::Answer(json!({"state": "stopping", "runs": ["r-1"]})),
        "restart" => Say::Answer(json!({"state": "running", "runs": ["r-1"]})),
        "shutdown" => Say::Close,
        "sync.pause" => Say::Answer(json!({"state": "disabled"})),
        "sync.resume" => Say::Answer(json!({"state": "ready"})),
        "explain" => {
            Say::Answer(json!({"sync": "good", "state": "waiting", "holds": [], "last": [], "text": "good is due at noon"}))
        }
        "conflict.list" => Say::Answer(json!({"conflicts": []})),
        "rejection.list" => {
            Say::Answer(json!({"rejections": [{"rejection": "j-5", "side": "up", "collection": "issues", "id": "i-1",
            "sync": "good", "action": "update", "what": "422", "at": AT, "tries": 1}]}))
        }
        "remote.list" => {
            Say::Answer(json!({"remotes": [{"remote": "github", "kind": "rest", "url": "https://x", "abilities": {}}]}))
        }
        "remote.budget" => Say::Answer(json!({"budgets": [{"host": "https://x", "remotes": ["github"],
            "limits": [{"limit": 60, "left": 6, "kept": 6, "learned_at": AT}]}]})),
        "remote.check" => {
            Say::Answer(json!({"remote": param("remote"), "ok": param("remote") == "github", "what": "said", "took_ms": 8}))
        }
        _ => Say::Refuse("method", json!({})),
    }]
}

/// Runs a line: its exit code, and a part of what it prints (on standard output; `!` before it: on standard error).
#[track_caller]
fn check(fake: &Fake, line: &str, code: i32, parts: &[&str]) -> Output {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let output = mingle(&fake.socket(), &arguments).output().expect("it runs");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "mingle {line}\n{out}\n{err}");
    for part in parts {
        let (place, part) = part.strip_prefix('!').map_or((&out, *part), |part| (&err, part));
        assert!(place.contains(part), "mingle {line}: {part:?} is missing\n{out}\n{err}");
    }
    output
}

#[test]
fn what_is_printed_and_how_it_ends() {
    let fake = Fake::start(script);
    check(&fake, "status", 0, &["mingled is running", "good", "held", "network: none, needs any"]);
    check(&fake, "explain good", 0, &["good is due at noon"]);
    check(&fake, "history", 0, &["r-good", "the host is not known"]);
    check(&fake, "get issues i-1", 0, &["\"n\": 1"]);
    check(&fake, "get issues none", 1, &["!the fake says not_found", "!hint: `mingle list issues`"]);
    check(&fake, "get issues slow", 7, &["!the fake says deadline"]);
    check(&fake, "list issues", 0, &["a\t{\"n\":1}\nb\\u{1b}\t{}\n"]);
    check(&fake, "put issues i-1 {}", 0, &["issues/i-1 is written (seq 42)", "mingle wait w-42"]);
    check(&fake, "put issues denied {}", 4, &["!hint: "]);
    check(&fake, "put issues stale {}", 1, &["!--overwrite"]);
    check(&fake, "put issues unknown {} --op o-7", 1, &["!--op o-7"]);
    check(&fake, "patch issues i-1 {\"n\":null}", 0, &["w-42"]);
    check(&fake, "delete issues i-1", 0, &["issues/i-1 is deleted"]);
    check(&fake, "changes issues", 0, &["1  created  issues/a\n2  deleted  issues/b\n", "!--since 2"]);
    check(&fake, "stop", 0, &["stopping 1 run (r-1)", "`mingle restart` accepts again; `mingle shutdown` ends mingled"]);
    check(&fake, "restart --resync-stopped", 0, &["1 run due at once (r-1)"]);
    check(&fake, "shutdown", 0, &["mingled has ended"]);
    check(&fake, "pause good", 0, &["mingle resume good"]);
    check(&fake, "resume good", 0, &["mingle explain good"]);
    check(&fake, "conflict list", 0, &["no conflict"]);
    check(&fake, "conflict resolve c-1 --keep theirs", 0, &["c-1 is decided"]);
    check(&fake, "rejection list", 0, &["j-5", "422", "mingle rejection resolve"]);
    check(&fake, "rejection resolve j-5 --with retry", 0, &["j-5 is resolved with retry"]);
    check(&fake, "remote list", 0, &["github  rest"]);
    check(&fake, "budget", 0, &["https://x (github)", "6/60 left; 6 kept for people"]);
    check(&fake, "remote show github", 0, &["kind", "rest"]);
    check(&fake, "remote show nowhere", 1, &["!the remotes are github"]);
    check(&fake, "remote check", 0, &["github: ok (8 ms): said"]);
    check(&fake, "remote check other", 1, &["other: failed"]);
    check(&fake, "socket-path", 0, &[&fake.socket().to_string_lossy()]);
    check(&fake, "wait w-good", 0, &["done"]);
    check(&fake, "wait w-refused", 5, &["github: rejected: 422"]);
    check(&fake, "wait w-late --timeout 50ms", 7, &["pending: no network"]);
    check(&fake, "wait r-left", 5, &["done_with_errors"]);
    check(&fake, "hover", 2, &["!hover"]);
}

#[test]
fn how_syncs_come_out() {
    let fake = Fake::start(script);
    check(&fake, "sync good", 0, &["good: done", "3 down, 1 up"]);
    check(&fake, "sync bad", 1, &["the host is not known"]);
    check(&fake, "sync login", 5, &["401"]);
    check(&fake, "sync held", 6, &["held waits: network: none, needs any", "mingle explain held"]);
    check(&fake, "sync left", 5, &[]);
    check(&fake, "sync stopped", 6, &["mingle restart"]);
    check(&fake, "sync none", 1, &["!mingle status"]);
    check(&fake, "sync good held --no-wait", 0, &["mingle wait r-good", "r-held"]);
    check(&fake, "sync good bad held", 1, &["good: done", "the host is not known", "held waits"]);
    let before = fake.heard().len();
    check(&fake, "sync", 1, &["!off is paused", "good: done"]);
    let asked: Vec<Value> =
        fake.heard().split_off(before).into_iter().filter(|one| one.method == "sync.run").map(|one| one.params).collect();
    assert_eq!(asked, ["good", "bad", "login", "held"].map(|name| json!({"sync": name})));
    check(&fake, "sync good --mode slow --force --accept-deletes --no-wait", 0, &[]);
    let asked = fake.heard().pop().expect("asked");
    assert_eq!(asked.params, json!({"sync": "good", "mode": "slow", "force": true, "accept_deletes": true}));
}

/// A run that ended with its daemon is asked for once more, and no more than once.
#[test]
fn a_sync_whose_daemon_crashed_is_seen_through() {
    #[track_caller]
    fn check(second: &'static str, code: i32, part: &str) {
        let asked = AtomicUsize::new(0);
        let fake = Fake::start(move |heard| {
            let crashed = |n: usize| n == 1 || second == "crash";
            let n = heard.params["run"].as_str().and_then(|run| run.strip_prefix("r-")).and_then(|n| n.parse().ok()).unwrap_or(0);
            vec![match heard.method.as_str() {
                "hello" => return vec![],
                "sync.run" => {
                    Say::Answer(json!({"run": format!("r-{}", asked.fetch_add(1, Ordering::SeqCst) + 1), "queued": false}))
                }
                "wait" => Say::Answer(json!({"state": if crashed(n) { "stopped" } else { "done" }, "remotes": []})),
                "status" => Say::Answer(status(&json!([sync("a", "waiting", &Value::Null)]))),
                _ => Say::Answer(json!({"runs": (1..=2).map(|n| {
                    let mut run = run("a", if crashed(n) { "stopped" } else { "done" }, &Value::Null);
                    run["run"] = json!(format!("r-{n}"));
                    if crashed(n) {
                        run["stop_reason"] = json!("crash");
                    }
                    run
                }).collect::<Vec<_>>()})),
            }]
        });
        self::check(&fake, "sync a", code, &[part]);
        assert_eq!(fake.heard().iter().filter(|one| one.method == "sync.run").count(), 2);
    }
    check("done", 0, "a: done");
    check("crash", 6, "a: stopped (crash)");
}

#[test]
fn json_is_what_the_daemon_said() {
    let fake = Fake::start(script);
    let output = check(&fake, "--json get issues i-1", 0, &[]);
    assert_eq!(text(&output.stdout), "{\"data\":{\"n\":1},\"id\":\"i-1\",\"new\":true,\"seq\":41}\n");
    for line in [
        "status",
        "explain good",
        "history",
        "list issues",
        "put issues {}",
        "stop",
        "restart",
        "shutdown",
        "conflict list",
        "rejection list",
        "remote list",
        "remote show github",
        "remote check",
        "budget",
        "wait w-good",
        "sync good",
        "changes issues",
        "socket-path",
    ] {
        let output = check(&fake, &format!("{line} --json"), 0, &[]);
        assert!(!output.stdout.is_empty(), "{line}");
        for printed in text(&output.stdout).lines() {
            assert!(serde_json::from_str::<Value>(printed).is_ok_and(|value| value.is_object()), "{line} printed {printed}");
        }
    }
}

#[test]
fn what_is_typed_is_what_is_asked() {
    #[track_caller]
    fn check(fake: &Fake, arguments: &[&str], method: &str, params: &Value) {
        let output = mingle(&fake.socket(), arguments).output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        let mut asked = fake.heard().into_iter().rfind(|one| one.method == method).expect("asked").params;
        if params.get("op").is_none()
            && let Some(asked) = asked.as_object_mut()
        {
            asked.remove("op");
        }
        assert_eq!(asked, *params, "{arguments:?}");
    }
    let fake = Fake::start(script);
    check(
        &fake,
        &["list", "issues", "state=open", "n>=3", "n<9", "--order", "-n,id", "--limit", "1"],
        "list",
        &json!({"collection": "issues", "where": {"state": "open", "n": {"gte": 3, "lt": 9}}, "order": ["-n", "id"], "limit": 1}),
    );
    check(
        &fake,
        &["put", "a", "{\"n\":1.50}"],
        "put",
        &json!({"collection": "a", "data": serde_json::from_str::<Value>("{\"n\":1.50}").expect("JSON")}),
    );
    check(
        &fake,
        &["put", "a", "b", "{}", "--if-seq", "3", "--merge", "--op", "o"],
        "put",
        &json!({"collection": "a", "id": "b", "data": {}, "if_seq": 3, "merge": true, "op": "o"}),
    );
    check(
        &fake,
        &["put", "a", "b", "{}", "--overwrite"],
        "put",
        &json!({"collection": "a", "id": "b", "data": {}, "overwrite": true}),
    );
    check(
        &fake,
        &["conflict", "resolve", "c-1", "--value", "null"],
        "conflict.resolve",
        &json!({"conflict": "c-1", "value": null}),
    );
    check(&fake, &["conflict", "list", "a", "--under", "union"], "conflict.list", &json!({"collection": "a", "under": "union"}));
    check(
        &fake,
        &["rejection", "resolve", "j-1", "--with", "drop"],
        "rejection.resolve",
        &json!({"rejection": "j-1", "with": "drop"}),
    );

    let mut child =
        mingle(&fake.socket(), &["put", "a", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it runs");
    child.stdin.take().expect("a pipe").write_all(b"{\"from\":\"stdin\"}\n").expect("written");
    assert!(child.wait().expect("ended").success());
    assert_eq!(fake.heard().pop().expect("asked").params["data"], json!({"from": "stdin"}));
}

#[test]
fn no_daemon_is_told_apart() {
    #[track_caller]
    fn check(socket: &Path, code: i32, part: &str) {
        let output = mingle(socket, &["status"]).output().expect("it runs");
        let err = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{err}");
        assert!(err.contains(part) && err.contains("hint: "), "{err}");
    }
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).expect("closed");
    // Whether a mingled lies beside the tests depends on what was built: either answer is right, and both end with 3.
    check(&directory.path().join("s"), 3, "mingled is not");
    check(&directory.path().join("x".repeat(120)), 3, "longer than");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("opened");
    check(&directory.path().join("s"), 4, "chmod 700");

    let other = Fake::start(|heard| match heard.method.as_str() {
        "hello" => vec![Say::Refuse("version", json!({}))],
        "status" => vec![Say::Answer(status(&json!([])))],
        _ => vec![Say::Close],
    });
    let full = Fake::start(|_| vec![Say::Expel("busy")]);
    let output = mingle(&full.socket(), &["get", "a", "b"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let output = mingle(&other.socket(), &["get", "a", "b"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    let output = mingle(&other.socket(), &["status"]).output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "status works with any version: {}", text(&output.stderr));
}

/// The daemon goes away under the first calls: reads and writes are asked again, a write with the same op.
#[test]
fn a_daemon_that_comes_back_is_waited_for() {
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    let fake = Fake::start(|heard| match heard.method.as_str() {
        "hello" => vec![],
        _ if CALLS.fetch_add(1, Ordering::SeqCst) < 2 => vec![Say::Close],
        _ => vec![Say::Answer(json!({"id": "b", "seq": 1, "token": "w-1", "op": heard.params["op"]}))],
    });
    let output = check(&fake, "put a b {} --json", 0, &["!mingled went away"]);
    let ops: Vec<Value> = fake.heard().into_iter().map(|one| one.params["op"].clone()).collect();
    assert_eq!(ops.len(), 3);
    assert_eq!(
        fake.heard().iter().map(|one| one.connection).collect::<BTreeSet<_>>().len(),
        3,
        "each on a connection of its own"
    );
    assert!(ops.iter().all(|op| *op == ops[0] && op.is_string()), "{ops:?}");
    assert!(text(&output.stdout).contains(ops[0].as_str().unwrap_or("?")));
}

/// A line of a child's output, within a time that no healthy machine needs.
fn lines(child: &mut Child, count: usize) -> Vec<String> {
    let mut reader = BufReader::new(child.stdout.take().expect("a pipe"));
    (0..count)
        .map(|_| {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a line");
            line
        })
        .collect()
}

#[test]
fn watch_goes_on_where_it_was() {
    let fake = Fake::start(|heard| match (heard.method.as_str(), heard.params["since"].as_u64()) {
        ("subscribe", since) => {
            let seq = since.unwrap_or(41) + 1;
            let changes = json!([{"collection": "a", "id": "b", "seq": seq, "kind": "updated"}]);
            vec![
                Say::Answer(json!({"subscription": 1, "seq": seq - 1, "caught_up": false})),
                Say::Tell("changed", json!({"subscription": 1, "changes": changes, "seq": seq, "more": false})),
                Say::Close,
            ]
        }
        _ => vec![],
    });
    let mut child =
        mingle(&fake.socket(), &["watch", "a"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it runs");
    // The pipe is closed with the reader: the next print must end the command, and not in a panic.
    assert_eq!(lines(&mut child, 3), ["42  updated  a/b\n", "43  updated  a/b\n", "44  updated  a/b\n"]);
    let mut ended = None;
    until("watch ends when nobody reads", || {
        ended = child.try_wait().expect("a child");
        ended.is_some()
    });
    assert_eq!(ended.and_then(|ended| ended.code()), Some(0));
    let asked = fake.heard().remove(0).params;
    assert_eq!(asked, json!({"collections": ["a"], "initial": false}));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let fake = Fake::start(|heard| match heard.method.as_str() {
        "list" => {
            let record = |n: usize| json!({"id": format!("i-{n}"), "data": {"text": "x".repeat(500)}, "seq": n});
            vec![Say::Answer(json!({"records": (0..500).map(record).collect::<Vec<_>>(), "cursor": "on"}))]
        }
        _ => vec![],
    });
    let mut child =
        mingle(&fake.socket(), &["list", "a"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    assert_eq!(lines(&mut child, 1).len(), 1);
    assert_eq!(child.wait().expect("ended").code(), Some(0));
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("read");
    assert_eq!(said, "");
}

#[test]
fn an_interrupted_wait_says_that_the_work_goes_on() {
    let fake = Fake::start(|heard| if heard.method == "wait" { vec![Say::Tell("sung", json!({}))] } else { vec![] });
    let child = mingle(&fake.socket(), &["wait", "r-1"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it runs");
    until("it waits", || !fake.heard().is_empty());
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success());
    let output = child.wait_with_output().expect("ended");
    assert_eq!(
        (output.status.code(), text(&output.stderr).contains("mingled goes on")),
        (Some(130), true),
        "{}",
        text(&output.stderr)
    );
}

/// Waits for a condition, not longer than any healthy machine needs.
#[track_caller]
fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The shell itself reads what is printed; every command is in it.
#[test]
fn completions_and_man_pages_come_from_the_definitions() {
    let room = tempfile::tempdir().expect("a folder");
    let none = room.path().join("none.sock");
    for (shell, check) in [("bash", Some(["bash", "-n"])), ("zsh", None), ("fish", None)] {
        let out = mingle(&none, &["completions", shell]).output().expect("run");
        assert!(out.status.success());
        for word in ["status", "service", "conflict", "completions"] {
            assert!(text(&out.stdout).contains(word), "{shell}: {word}");
        }
        if let Some(check) = check {
            let file = room.path().join(shell);
            fs::write(&file, &out.stdout).expect("written");
            let read = Command::new(check[0]).args(&check[1..]).arg(&file).output().expect("a shell");
            assert!(read.status.success(), "{}", text(&read.stderr));
        }
    }
    let (bin, mingled) = (room.path().join("bin"), room.path().join("mingled"));
    // It stands for the daemon's program, which adds a page of its own.
    fs::write(&mingled, "#!/bin/sh\necho page > \"$2/mingled.1\"\n").expect("written");
    // What this process wrote may be open in a child that another test just forked, and then cannot be run.
    let all = [bin.as_path(), &mingled, env!("CARGO_BIN_EXE_mingle").as_ref()];
    assert!(Command::new("install").args(["-D", "-m", "755", "-t"]).args(all).status().expect("install").success());
    let man = room.path().join("man");
    let out = Command::new(bin.join("mingle")).arg("man").arg(&man).env("MINGLE_SOCKET", &none).output().expect("run");
    assert!(out.status.success(), "{}", text(&out.stderr));
    for page in ["mingle.1", "mingle-status.1", "mingle-service-install.1", "mingle-conflict-resolve.1", "mingled.1"] {
        assert!(man.join(page).exists(), "{page} is not there");
    }
    let page = fs::read_to_string(man.join("mingle-sync.1")).expect("a page");
    assert!(page.contains(".TH mingle-sync 1") && page.contains("accept\\-deletes"), "{page}");
}
