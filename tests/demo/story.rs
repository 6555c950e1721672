//! Owns: the story of the demo, scene by scene, each held to what it promises. Must never know: how programs are started.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::{
    large,
    remote::Remote,
    screen::{Screen, short},
    stage::{Stage, ends},
    watcher::Watcher,
};

/// The app that README prints.
fn app() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("daemon").join("docs/app.py")
}

/// What a person may ask the store that stays.
const QUERY: &str = "SELECT id, title, state, who FROM tasks";

/// All of it.
pub fn tell(screen: &mut Screen, stage: &mut Stage) -> anyhow::Result<()> {
    screen.line("mingle keeps one synced copy of your data on this machine and lets every local app share it.");
    screen.line(format!("This demo writes only to {} and talks only to itself, on loopback.", short(&stage.root)));
    let remote = Remote::start(&["tasks", "readings"]);
    remote.fill("tasks", tasks());
    remote.fill("readings", large::readings());
    configure(stage, &remote)?;
    start(screen, stage)?;
    first_sync(screen, stage)?;
    let watcher = two_apps(screen, stage, &remote)?;
    merge(screen, stage, &remote, watcher.as_ref())?;
    conflict(screen, stage, &remote)?;
    drop(watcher);
    large::tell(screen, stage, &remote)?;
    leave(screen, stage)
}

fn tasks() -> impl Iterator<Item = (String, Value)> {
    [
        ("bread", json!({ "title": "Bake bread", "state": "open", "who": "Ada" })),
        ("milk", json!({ "title": "Buy milk", "state": "open" })),
        ("roof", json!({ "title": "Mend the roof", "state": "open", "days": 2 })),
    ]
    .into_iter()
    .map(|(id, record)| (id.to_owned(), record))
}

fn configure(stage: &Stage, remote: &Remote) -> anyhow::Result<()> {
    stage.write("config/mingle/demo.secret", "demo\n")?;
    stage.write(
        "config/mingle/config.toml",
        &format!(
            r#"# Made by `cargo demo`. The remote goes away with the demo.
[remote.office]
kind = "rest"
profile = "kinto"
url = "{}"
auth = {{ type = "basic", username = "demo", password = {{ file = "demo.secret" }} }}

[sync.tasks]
collection = "tasks"
remote = "office"
resource = "buckets/demo/collections/tasks"
direction = "both"

[collection.tasks]
merge = {{ default = "remote", title = "manual" }}
columns = ["title", "state", "who"]

[sync.readings]
collection = "readings"
remote = "office"
resource = "buckets/demo/collections/readings"
direction = "both"
"#,
            remote.url
        ),
    )
}

fn start(screen: &mut Screen, stage: &mut Stage) -> anyhow::Result<()> {
    screen.scene("A daemon with an empty store");
    screen.say(&format!(
        "The configuration is {}: a remote (a small stand-in for Kinto inside this demo) and two syncs with it. mingled owns the \
         store, {}; nobody else writes there.",
        short(&stage.config()),
        short(&stage.store())
    ));
    screen.command("mingled &");
    stage.start()?;
    stage.mingle(screen, 0, &["status"])?;
    Ok(())
}

fn first_sync(screen: &mut Screen, stage: &Stage) -> anyhow::Result<()> {
    screen.scene("The first sync");
    screen.say("Three tasks are at the remote. After the sync they are here too, and stay readable without a network.");
    stage.mingle(screen, 0, &["sync", "tasks"])?;
    let listed = stage.mingle(screen, 0, &["list", "tasks"])?;
    ensure!(listed.lines().count() == 3, "three tasks should be here");
    Ok(())
}

/// One app watches, another writes. None where there is no Python to run the watcher.
fn two_apps(screen: &mut Screen, stage: &Stage, remote: &Remote) -> anyhow::Result<Option<Watcher>> {
    screen.scene("Two apps, one store");
    let mut probe = Command::new("python3");
    probe.arg("--version");
    if ends(probe).is_err() {
        screen
            .say("There is no python3 on this machine, so app.py, the second app, is left out; the `mingle` command plays both.");
        let written = stage.mingle(screen, 0, &["--json", "put", "tasks", r#"{"title":"Call the plumber","state":"open"}"#])?;
        stage.mingle(screen, 0, &["wait", &token(&written)?])?;
        return Ok(None);
    }
    let app = app();
    screen.say("The first is the 40 lines of Python in README. It subscribes: what is here comes first, then every change.");
    screen.command(&format!("python3 {} tasks &", short(&app)));
    let python = |words: &[&str]| {
        let mut command = stage.program("python3");
        command.arg(&app).args(words);
        command
    };
    let watcher = Watcher::start("app.py", python(&["tasks"]))?;
    watcher.until(screen, &["roof"])?;
    screen.say("The second is the `mingle` command. What it writes, the first hears of.");
    stage.mingle(screen, 0, &["patch", "tasks", "bread", r#"{"who":"Ben"}"#])?;
    watcher.until(screen, &["bread", "Ben"])?;
    screen.say("An app can wait until the remote has a write. mingled sends by itself, two seconds after the last change.");
    screen.command(&format!("python3 {} tasks Call the plumber", short(&app)));
    let added = ends(python(&["tasks", "Call the plumber"]))?;
    screen.printed("", &added.out);
    screen.printed("", &added.err);
    ensure!(added.code == 0 && added.out.contains("at the remote: done"), "app.py should have seen its write at the remote");
    let id = added.out.split_whitespace().nth(2).context("app.py should print the id of its record")?;
    watcher.until(screen, &["plumber"])?;
    let there = remote.get("tasks", id)?;
    ensure!(there["title"] == "Call the plumber", "the remote should have the new task, and has {there}");
    screen.good("the remote has the new task, under the same id");
    Ok(Some(watcher))
}

fn token(written: &str) -> anyhow::Result<String> {
    let written: Value = serde_json::from_str(written).context("`mingle put` should print JSON")?;
    Ok(written["token"].as_str().context("`mingle put` should print a token")?.to_owned())
}

fn merge(screen: &mut Screen, stage: &Stage, remote: &Remote, watcher: Option<&Watcher>) -> anyhow::Result<()> {
    screen.scene("An edit on both sides, merged property by property");
    screen.say("At the remote a colleague sets the state of a task, while an app here sets who does it.");
    screen.command(r#"curl -X PATCH .../tasks/records/milk -d '{"data":{"state":"done"}}'"#);
    remote.patch("tasks", "milk", &json!({ "state": "done" }))?;
    stage.mingle(screen, 0, &["patch", "tasks", "milk", r#"{"who":"Cyd"}"#])?;
    stage.mingle(screen, 0, &["sync", "tasks"])?;
    if let Some(watcher) = watcher {
        watcher.until(screen, &["milk", "done", "Cyd"])?;
    }
    same(stage, remote, "milk", &json!({ "title": "Buy milk", "state": "done", "who": "Cyd" }))?;
    screen.good("both sides have both edits, and nobody was asked");
    Ok(())
}

/// The record is this, here and at the remote.
fn same(stage: &Stage, remote: &Remote, id: &str, expected: &Value) -> anyhow::Result<()> {
    let here = here(stage, id)?;
    let mut there = remote.get("tasks", id)?;
    if let Some(props) = there.as_object_mut() {
        props.remove("id");
        props.remove("last_modified");
    }
    ensure!(here == *expected, "{id} should be {expected} here, and is {here}");
    ensure!(there == *expected, "{id} should be {expected} at the remote, and is {there}");
    Ok(())
}

fn here(stage: &Stage, id: &str) -> anyhow::Result<Value> {
    let got = stage.mingle_quietly(&["--json", "get", "tasks", id])?;
    ensure!(got.code == 0, "`mingle get tasks {id}` ended with {}: {}", got.code, got.err);
    let mut answer: Value = serde_json::from_str(&got.out).context("`mingle --json get` should print JSON")?;
    Ok(answer["data"].take())
}

fn conflict(screen: &mut Screen, stage: &Stage, remote: &Remote) -> anyhow::Result<()> {
    screen.scene("The same property, changed on both sides: a conflict, kept until somebody decides");
    screen.say(
        "The configuration says that titles are decided by a person (`title = \"manual\"`); for everything else the remote wins, \
         and what lost is kept.",
    );
    screen.command(r#"curl -X PATCH .../tasks/records/milk -d '{"data":{"title":"Buy oat milk"}}'"#);
    remote.patch("tasks", "milk", &json!({ "title": "Buy oat milk" }))?;
    stage.mingle(screen, 0, &["patch", "tasks", "milk", r#"{"title":"Buy soy milk"}"#])?;
    screen.say("The sync goes through, and says with exit code 5 that a person is needed.");
    stage.mingle(screen, 5, &["sync", "tasks"])?;
    let listed = stage.mingle(screen, 0, &["conflict", "list"])?;
    ensure!(here(stage, "milk")?["title"] == "Buy soy milk", "the title here should stand");
    ensure!(remote.get("tasks", "milk")?["title"] == "Buy oat milk", "the title at the remote should stand");
    screen.good("each side still has its own title; nothing was overwritten");
    let conflict = listed.split_whitespace().next().context("`mingle conflict list` should begin with the conflict's id")?;
    stage.mingle(screen, 0, &["conflict", "resolve", conflict, "--keep", "theirs"])?;
    stage.mingle(screen, 0, &["sync", "tasks"])?;
    same(stage, remote, "milk", &json!({ "title": "Buy oat milk", "state": "done", "who": "Cyd" }))?;
    screen.good("both sides have the title that was chosen");
    Ok(())
}

fn leave(screen: &mut Screen, stage: &mut Stage) -> anyhow::Result<()> {
    screen.scene("The end, and what is left to look at");
    stage.mingle(screen, 0, &["history", "--limit", "12"])?;
    stage.mingle(screen, 0, &["shutdown"])?;
    stage.ended()?;
    let (env, store) = (short(&stage.root.join("env")), short(&stage.store()));
    // What is about to be recommended was done here first.
    let store_of = |error| format!("failed to read {}: {error}", stage.store().display());
    let kept = Connection::open_with_flags(stage.store(), OpenFlags::SQLITE_OPEN_READ_ONLY);
    let rows = kept.and_then(|kept| kept.query_row(&format!("SELECT count(*) FROM ({QUERY})"), (), |row| row.get::<_, i64>(0)));
    ensure!(rows.map_err(|error| anyhow::anyhow!(store_of(error)))? == 4, "four tasks should have stayed");
    screen.line(format!(
        "
The store stays in {root}; the next demo begins anew. To look into it:

   . {env}      # this shell now means the demo's places
   mingled &              # the remote went away with the demo: a sync will say that it cannot reach it
   mingle status
   mingle list tasks state=open
   mingle history
   mingle shutdown

With SQLite's own tool, reading only (the views are promised, see proto/PROTOCOL.md; nothing but SQLite may ever open or copy the file):

   sqlite3 -readonly {store} '{QUERY}'

Next: README.md, \"Five minutes to your own sync\"; daemon/docs/ has one page for each thing you may want to do.
cargo demo: every step came out as told.",
        root = short(&stage.root),
    ));
    Ok(())
}
