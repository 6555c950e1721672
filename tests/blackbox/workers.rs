//! Owns: work by apps (kind `app`), as those meet them who write one: an offer, a call, batches and how it ends, and what becomes of one
//! that is away, goes, hangs or talks nonsense. Must never know: how an app is found.

use std::fs;

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    wait::until,
};
use serde_json::{Value, json};

/// A daemon whose sync `job` is the work of app `clerk`.
struct World {
    daemon: Daemon,
    app: App,
}

fn config(remote: &str, sync: &str) -> String {
    format!(
        "[remote.desk]\nkind = \"app\"\napp = \"clerk\"\n{remote}\n\n\
         [sync.job]\ncollection = \"things\"\nremote = \"desk\"\nresource = \"box\"\ndirection = \"down\"\n{sync}\n"
    )
}

fn world(sync: &str) -> World {
    let daemon = Home::new(Some(&config("", sync))).start();
    let app = daemon.app("tester");
    World { daemon, app }
}

fn row(id: &str, n: u32) -> Value {
    json!({ "id": id, "data": { "n": n } })
}

impl World {
    /// The app comes, and offers.
    fn clerk(&self) -> App {
        let mut clerk = self.daemon.app("clerk");
        assert_eq!(clerk.must("worker.offer", json!({}))["remotes"], json!(["desk"]));
        clerk
    }

    fn numbers(&mut self) -> Vec<i64> {
        let mut all: Vec<i64> = self.app.all("things").values().filter_map(|data| data["n"].as_i64()).collect();
        all.sort_unstable();
        all
    }

    fn holds(&mut self) -> Vec<String> {
        let explained = self.app.must("explain", json!({ "sync": "job" }));
        let holds = explained["holds"].as_array().expect("holds").clone();
        holds.iter().filter_map(|hold| hold["name"].as_str().map(str::to_owned)).collect()
    }
}

/// What the app is called for next.
#[track_caller]
fn called(clerk: &mut App) -> Value {
    clerk.hear("a call", |message| message["method"] == "work")["params"].take()
}

#[track_caller]
#[expect(clippy::needless_pass_by_value, reason = "a test writes the checkpoint where it tells it")]
fn batch(clerk: &mut App, work: &Value, number: u64, rows: &[Value], checkpoint: Value) {
    clerk.must("worker.batch", json!({ "work": work["work"], "batch": number, "rows": rows, "checkpoint": checkpoint }));
}

#[track_caller]
fn done(clerk: &mut App, work: &Value, result: &str) {
    clerk.must("worker.done", json!({ "work": work["work"], "result": result }));
}

#[test]
fn an_app_that_offers_is_called_and_what_it_brings_lands_with_its_checkpoint() {
    let mut world = world("");
    let mut clerk = world.clerk();
    let run = world.app.run("job");
    let work = called(&mut clerk);
    assert_eq!(
        (&work["sync"], &work["remote"], &work["resource"], &work["checkpoint"]),
        (&json!("job"), &json!("desk"), &json!("box"), &Value::Null)
    );
    // A batch is answered once it is in the truth.
    batch(&mut clerk, &work, 1, &[row("a", 1), row("b", 2)], json!({ "at": 2 }));
    assert_eq!(world.numbers(), [1, 2]);
    batch(&mut clerk, &work, 2, &[row("c", 3)], json!({ "at": 3.0 }));
    batch(&mut clerk, &work, 3, &[json!({ "id": "a", "deleted": true })], Value::Null);
    done(&mut clerk, &work, "no_new_data");
    assert_eq!(world.app.ended(&run), "done");
    let ran = world.app.row("job", &run);
    assert_eq!((&ran["down"], &ran["result"]), (&json!(4), &json!("new_data")), "{ran}");
    assert_eq!(world.numbers(), [2, 3]);

    // The next goes on from the last checkpoint, and what it says of news is believed.
    for (result, checkpoint) in
        [("no_new_data", json!({ "at": 4.0 })), ("new_data", json!({ "at": 5 })), ("no_new_data", json!(6))]
    {
        let run = world.app.run("job");
        let work = called(&mut clerk);
        batch(&mut clerk, &work, 1, &[], checkpoint.clone());
        done(&mut clerk, &work, result);
        assert_eq!(world.app.ended(&run), "done");
        assert_eq!(world.app.row("job", &run)["result"], result);
        let run = world.app.run("job");
        let work = called(&mut clerk);
        assert_eq!(work["checkpoint"], checkpoint);
        done(&mut clerk, &work, "no_new_data");
        assert_eq!(world.app.ended(&run), "done");
    }
    // And everything is asked for anew by whoever wants that.
    let run = world.app.must("sync.run", json!({ "sync": "job", "mode": "slow" }))["run"].as_str().expect("a run").to_owned();
    let work = called(&mut clerk);
    assert_eq!(work["checkpoint"], Value::Null);
    done(&mut clerk, &work, "no_new_data");
    assert_eq!(world.app.ended(&run), "done");
    assert_eq!(world.numbers(), [2, 3], "what is not told stays");
    let shown = world.daemon.says(0, &["remote", "show", "desk"]);
    assert!(shown.contains("clerk") && shown.contains("checkpoint"), "{shown}");
}

#[test]
fn an_app_that_is_away_blocks_what_is_due_with_the_reason_and_is_called_when_it_comes() {
    let mut world = world("every = \"1h\"");
    until("it to be held", || (world.app.status("job")["state"] == "blocked").then_some(()));
    assert_eq!(world.holds(), ["away"]);
    let said = world.daemon.says(0, &["explain", "job"]);
    assert!(said.contains("app clerk is not there") && said.contains("[remote.desk]"), "{said}");
    let said = world.daemon.says(1, &["remote", "check", "desk"]);
    assert!(said.contains("clerk is not there"), "{said}");
    // Not by force either.
    let run = world.app.must("sync.run", json!({ "sync": "job", "force": true }))["run"].as_str().expect("a run").to_owned();
    assert_eq!(world.holds(), ["away"]);

    // It is due since it was defined, and begins as soon as the app is there.
    let mut clerk = world.clerk();
    let work = called(&mut clerk);
    batch(&mut clerk, &work, 1, &[row("a", 1)], json!(1));
    done(&mut clerk, &work, "new_data");
    assert_eq!(world.app.ended(&run), "done");
    world.daemon.says(0, &["remote", "check", "desk"]);
    assert_eq!(world.holds(), ["interval"]);

    // Away again it waits for its time first.
    drop(clerk);
    until("it to be held", || (world.holds() == ["interval", "away"]).then_some(()));
    assert_eq!(world.app.status("job")["state"], "waiting");
}

#[test]
fn an_app_that_goes_in_the_middle_is_called_again_from_the_last_checkpoint() {
    let mut world = world("backoff = { first = \"50ms\", at_most = \"1s\" }\n");
    let mut clerk = world.clerk();
    let run = world.app.run("job");
    let work = called(&mut clerk);
    batch(&mut clerk, &work, 1, &[row("a", 1)], json!("one"));
    batch(&mut clerk, &work, 2, &[row("b", 2)], Value::Null);
    drop(clerk);
    assert_eq!(world.app.ended(&run), "failed");
    let ran = world.app.row("job", &run);
    assert!(ran["error"]["name"] == "broken" && ran["error"]["what"].to_string().contains("clerk is gone"), "{ran}");

    // A failure is tried again by itself, once the app is back; then another daemon calls, after a death in the middle.
    let mut clerk = world.clerk();
    let work = called(&mut clerk);
    assert_eq!(work["checkpoint"], "one");
    batch(&mut clerk, &work, 1, &[row("c", 3)], json!("two"));
    world.daemon.kill();
    world.daemon.start();
    world.app = world.daemon.app("tester");
    let mut clerk = world.clerk();
    let work = called(&mut clerk);
    assert_eq!(work["checkpoint"], "two");
    assert_eq!(world.numbers(), [1, 2, 3]);
    done(&mut clerk, &work, "no_new_data");
    until("its end", || (world.app.status("job")["last"]["status"] == "done").then_some(()));
}

#[test]
fn work_that_is_stopped_or_takes_too_long_is_told_so_and_nothing_of_it_is_taken_any_more() {
    let mut world = world("deadline = \"2s\"\nbackoff = { first = \"5h\" }\n");
    let mut clerk = world.clerk();
    let stopped = |clerk: &mut App, work: &Value| {
        let stop = clerk.hear("a stop", |message| message["method"] == "work.stop");
        assert_eq!(stop["params"]["work"], work["work"]);
        let late = json!({ "work": work["work"], "batch": 2, "rows": [row("late", 9)], "checkpoint": 9 });
        clerk.refused("wrong_state", "worker.batch", late);
        clerk.refused("wrong_state", "worker.done", json!({ "work": work["work"], "result": "new_data" }));
    };
    let run = world.app.run("job");
    let work = called(&mut clerk);
    assert_eq!(work["deadline_ms"], 2000);
    batch(&mut clerk, &work, 1, &[row("a", 1)], json!(1));
    stopped(&mut clerk, &work);
    assert_eq!(world.app.ended(&run), "stopped");
    assert_eq!(world.app.row("job", &run)["stop_reason"], "timeout");

    // What ran out of time is due again at once; a person ends it.
    let work = called(&mut clerk);
    assert_eq!(work["checkpoint"], 1);
    batch(&mut clerk, &work, 1, &[row("b", 2)], json!(2));
    world.daemon.says(0, &["stop"]);
    stopped(&mut clerk, &work);
    assert_eq!(world.numbers(), [1, 2]);
    world.daemon.says(0, &["restart"]);
    let run = world.app.run("job");
    let work = called(&mut clerk);
    assert_eq!(work["checkpoint"], 2);
    done(&mut clerk, &work, "no_new_data");
    assert_eq!(world.app.ended(&run), "done");
}

#[test]
fn a_batch_that_is_wrong_ends_the_work_and_nothing_of_it_or_after_it_is_kept() {
    let mut world = world("backoff = { first = \"5h\" }\n");
    let mut clerk = world.clerk();
    let bad_row = json!([row("b", 2), { "id": "c" }]);
    let cases = [
        ("invalid", "row 2", 2, bad_row, json!(2)),
        ("invalid", "numbered", 3, json!([row("d", 4)]), json!(3)),
        ("too_large", "501 rows", 2, Value::Array((0..501).map(|n| row(&format!("many{n}"), n)).collect()), json!(4)),
        ("invalid", "checkpoint", 2, json!([]), json!("x".repeat(17 << 10))),
    ];
    for (name, says, number, rows, checkpoint) in cases {
        let run = world.app.run("job");
        let work = called(&mut clerk);
        batch(&mut clerk, &work, 1, &[row("a", 1)], json!(1));
        let params = json!({ "work": work["work"], "batch": number, "rows": rows, "checkpoint": checkpoint });
        let error = clerk.refused(name, "worker.batch", params);
        assert!(error.to_string().contains(says), "{error}");
        clerk.refused(
            "wrong_state",
            "worker.batch",
            json!({ "work": work["work"], "batch": number + 1, "rows": [], "checkpoint": 7 }),
        );
        assert_eq!(world.app.ended(&run), "failed");
        assert_eq!(world.app.row("job", &run)["error"]["name"], "nonsense");
        assert_eq!(world.numbers(), [1]);
    }
    let run = world.app.run("job");
    let work = called(&mut clerk);
    assert_eq!(work["checkpoint"], 1, "the one whose batch was taken");
    // What the app says of a failure is seen.
    clerk.refused("invalid", "worker.done", json!({ "work": work["work"], "result": "new_data", "error": "x" }));
    clerk.must("worker.done", json!({ "work": work["work"], "result": "failed", "error": "the sheet is locked" }));
    assert_eq!(world.app.ended(&run), "failed");
    let ran = world.app.row("job", &run);
    assert!(ran["error"]["name"] == "work" && ran["error"]["what"].to_string().contains("the sheet is locked"), "{ran}");
    let run = world.app.run("job");
    let work = called(&mut clerk);
    clerk.must("worker.done", json!({ "work": work["work"], "result": "failed", "retry_after_ms": 3_600_000 }));
    assert_eq!(world.app.ended(&run), "failed");
    assert!(world.holds().contains(&"retry_after".to_owned()));
}

#[test]
fn work_is_offered_by_its_own_app_and_the_last_to_offer_is_called() {
    let mut world = world("backoff = { first = \"50ms\", at_most = \"1s\" }\n");
    world.app.refused("denied", "worker.offer", json!({ "remotes": ["desk"] }));
    assert_eq!(world.app.must("worker.offer", json!({}))["remotes"], json!([]));
    let mut nameless = App::raw(&world.daemon.socket()).expect("connected");
    nameless.refused("denied", "worker.offer", json!({}));
    let mut clerk = world.daemon.app("clerk");
    clerk.refused("not_found", "worker.offer", json!({ "remotes": ["nowhere"] }));
    assert_eq!(world.holds(), ["trigger", "away"]);

    let mut first = world.clerk();
    let mut second = world.clerk();
    let run = world.app.run("job");
    let work = called(&mut second);
    // It is the work of that connection alone.
    first.refused("wrong_state", "worker.done", json!({ "work": work["work"], "result": "no_new_data" }));
    done(&mut second, &work, "no_new_data");
    assert_eq!(world.app.ended(&run), "done");
    drop(second);
    let calls = |message: &Value| message["method"] == "work";
    world.app.run("job");
    // The call may still have gone to the one that went: then it is tried again.
    let work = first.hear("a call", calls)["params"].take();
    done(&mut first, &work, "no_new_data");
    until("its end", || (world.app.status("job")["last"]["status"] == "done").then_some(()));
}

/// An app in a few lines: offers, and for each call brings one record and the checkpoint.
const CLERK: &str = r#"
import json, os, socket
wire = socket.socket(socket.AF_UNIX); wire.connect(os.environ["MINGLE_SOCKET"])
lines = wire.makefile("r")
def say(id, method, **params): wire.sendall((json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}) + "\n").encode())
say(1, "hello", app="clerk", protocol=1)
say(2, "worker.offer", remotes=[os.environ["MINGLE_REMOTE"]])
open("pid", "w").write(f"{os.getpid()}\n")
for line in lines:
    message = json.loads(line)
    if message.get("method") == "work":
        work = message["params"]["work"]
        say(3, "worker.batch", work=work, batch=1, rows=[{"id": "a", "data": {"n": 7}}], checkpoint=1)
        say(4, "worker.done", work=work, result="new_data")
"#;

#[test]
fn an_app_with_a_command_is_started_when_its_work_is_due_and_ends_with_the_daemon() {
    let home = Home::new(Some(&config("command = [\"python3\", \"./clerk.py\"]", "every = \"1h\"\n")));
    home.write("clerk.py", CLERK);
    let mut daemon = home.start();
    let mut app = daemon.app("tester");
    until("what it brings", || (app.all("things").len() == 1).then_some(()));
    let path = daemon.config_dir().join("pid");
    let pid = fs::read_to_string(&path).expect("its number");
    // It stays, and is called again.
    app.sync("job", "done");
    assert_eq!(fs::read_to_string(&path).expect("its number"), pid);
    daemon.terminate();
    let stat = format!("/proc/{}/stat", pid.trim());
    let gone = || fs::read_to_string(&stat).map_or(true, |status| status.contains(") Z")).then_some(());
    until("its end", gone);
}

#[test]
fn an_app_that_is_started_and_ends_without_an_offer_fails_the_run_with_its_last_words() {
    let home = Home::new(Some(&config("command = [\"sh\", \"-c\", \"echo no sheet here >&2; exit 3\"]", "")));
    let daemon = home.start();
    let mut app = daemon.app("tester");
    let ran = app.sync("job", "failed");
    assert!(ran["error"]["name"] == "work" && ran["error"]["what"].to_string().contains("no sheet here"), "{ran}");
}

/// The page that shows how to write one, by its own blocks; this is the client for Python as well.
#[test]
fn the_app_of_the_page_does_what_it_says() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("daemon/docs/programs.md")).expect("the page");
    let block = |kind: &str| {
        let rest = page.split_once(&format!("```{kind}\n")).expect("a block").1;
        rest.split_once("\n```").expect("its end").0.to_owned() + "\n"
    };
    let module = root.join("client/python").display().to_string();
    let program = format!("import sys\nsys.path.insert(0, {module:?})\n{}", block("python app"));
    let start = "app = \"bank\"\ncommand = [\"python3\", \"./bank.py\"]";
    let home = Home::new(Some(&block("toml app").replace("app = \"bank\"", start)));
    home.write("bank.py", &program);
    home.write("statements.tsv", "1\tfrom Ann\n2\tfrom Ben\n");
    let mut daemon = home.start();
    let mut app = daemon.app("tester");
    let titles = |app: &mut App| {
        let all = app.all("statements");
        let mut titles: Vec<String> = all.values().filter_map(|data| data["title"].as_str().map(str::to_owned)).collect();
        titles.sort();
        titles
    };
    until("what it brings", || (titles(&mut app) == ["from Ann", "from Ben"]).then_some(()));
    daemon.write("statements.tsv", "1\tfrom Ann\n2\tfrom Ben\n3\tfrom Cid\n");
    let ran = app.sync("statements", "done");
    assert_eq!((&ran["down"], titles(&mut app).len()), (&json!(1), 3), "{ran}");

    // What it raises is the reason, and it is called again all the same.
    fs::remove_file(daemon.config_dir().join("statements.tsv")).expect("removed");
    let ran = app.sync("statements", "failed");
    assert!(ran["error"]["name"] == "work" && ran["error"]["what"].to_string().contains("statements.tsv"), "{ran}");
    daemon.write("statements.tsv", "1\tfrom Ann\n2\tfrom Ben\n3\tfrom Cid\n4\tfrom Dan\n");
    app.sync("statements", "done");
    assert_eq!(titles(&mut app).len(), 4);
    daemon.terminate();
}
