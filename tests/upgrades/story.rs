//! Owns: a short life of a store with something in every table, and what apps see of it at the end. Must never know: which daemon plays
//! it, tables.

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    rest_server::{Fault, Options, RestServer},
};
use serde_json::{Value, json};

/// A service that can do everything.
pub fn options() -> Options {
    Options::default()
}

/// Two syncs with the service at this address, and a collection of this machine alone.
pub fn config(url: &str) -> String {
    let quiet = "on_start = false\non_change = false\n";
    format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{url}\"\n\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"things\"\ndirection = \"both\"\n{quiet}\n\
         [sync.others]\ncollection = \"others\"\nremote = \"far\"\nresource = \"others\"\ndirection = \"down\"\n{quiet}\n\
         [collection.things]\nmerge = {{ default = \"remote\", title = \"manual\" }}\nindex = [\"n\"]\ncolumns = [\"title\"]\n\n\
         [collection.notes]\ncolumns = [\"text\"]\n\n[collection.copied]\n",
        RestServer::PROFILE
    )
}

/// Plays the story. What is left: the service, the daemon's home with its store closed, and what apps saw last.
pub fn play(program: Option<&std::path::Path>) -> (RestServer, Daemon, Value) {
    let server = RestServer::start(options(), &["things", "others"]);
    let mut home = Home::new(Some(&config(&server.url)));
    if let Some(program) = program {
        home.run_by(program);
    }
    server.write_profile(&home.config_dir());
    let mut daemon = home.start();
    let mut app = daemon.app("tester");
    for n in 0..8 {
        server.put("things", &format!("r{n}"), &json!({ "n": n, "title": format!("number {n}"), "tags": ["a", "b"] }));
        server.put("others", &format!("o{n}"), &json!({ "n": 1.50, "big": 12_345_678_901_234_567_890_u64 }));
    }
    app.sync("things", "done");
    app.sync("others", "done");
    // A decided conflict, an open one, a delete that met an edit, a tombstone.
    app.patch("things", "r0", &json!({ "n": "ours" }));
    server.patch("things", "r0", &json!({ "n": "theirs" }));
    app.patch("things", "r1", &json!({ "title": "ours" }));
    server.patch("things", "r1", &json!({ "title": "theirs" }));
    app.patch("things", "r2", &json!({ "n": "kept" }));
    server.delete("things", "r2");
    app.delete("things", "r3");
    server.delete("others", "o7");
    app.sync("things", "done");
    app.sync("others", "done");
    // What the service refuses, and a write whose answer was lost.
    app.put("things", "refused", &json!({ "refuse": true, "n": 1 }));
    app.sync("things", "done_with_errors");
    app.patch("things", "r4", &json!({ "n": "in doubt" }));
    server.next("PUT", Fault::CutAfter);
    app.sync("things", "done_with_errors");
    // On this machine alone.
    app.put("notes", "n1", &json!({ "text": "with \"quotes\" and ünïcode \u{1f980}", "list": [1, null, {}] }));
    app.must("patch", json!({ "collection": "notes", "id": "n1", "patch": { "text": "changed" }, "defer": true }));
    app.put("notes", "n2", &json!({}));
    app.delete("notes", "n2");
    let written = app.must("put", json!({ "collection": "notes", "id": "n3", "data": { "once": 1 }, "op": "an-op-of-then" }));
    // Not sent yet.
    app.patch("things", "r5", &json!({ "n": "not sent", "gone": null, "tags": ["c"] }));
    app.put("things", "new", &json!({ "n": 9 }));
    app.delete("things", "r6");
    app.must("sync.pause", json!({ "sync": "others" }));
    let kept = keep(&daemon, &mut app);
    let mut seen = see(&mut app);
    seen["op"] = written;
    if let Some(kept) = kept {
        seen["keeper"] = kept;
    }
    drop(app);
    let (status, _) = daemon.terminate();
    assert_eq!(status.code(), Some(0), "{}", daemon.said());
    (server, daemon, seen)
}

/// An app with a copy of its own, in the middle of its second session when the daemon ends: what it was given, and what it has not taken
/// yet. None: a daemon from before there were sessions.
fn keep(daemon: &Daemon, app: &mut App) -> Option<Value> {
    for n in 0..4 {
        app.put("copied", &format!("k{n}"), &json!({ "n": n, "phone": format!("0{n}") }));
    }
    let mut keeper = daemon.app("keeper");
    let begun = keeper.ask("session.begin", &json!({ "collections": ["copied"] })).expect("an answer");
    if begun.as_ref().is_err_and(|error| error["data"]["name"] == "method") {
        return None;
    }
    let session = begun.expect("a session")["session"].clone();
    let mine = json!({ "put": { "collection": "copied", "id": "mine", "data": { "n": "of the keeper" } } });
    keeper.must("session.push", json!({ "session": session, "changes": [mine] }));
    keeper.must("session.mingle", json!({ "session": session }));
    let shown = keeper.must("session.pull", json!({ "session": session }))["records"].take();
    for (at, one) in shown.as_array().expect("records").iter().enumerate() {
        let mut record = json!({ "collection": "copied", "id": one["id"], "seq": one["seq"] });
        if at == 3 {
            keeper.must("session.refuse", json!({ "session": session, "records": [record] }));
            continue;
        }
        if at == 2 {
            // In a form and under an id of its own.
            record["new_id"] = json!("own");
            record["data"] = json!({ "n": 2, "phone": "0-2" });
        }
        keeper.must("session.accept", json!({ "session": session, "records": [record] }));
    }
    let anchor = keeper.must("session.finish", json!({ "session": session }))["anchor"].clone();
    app.patch("copied", "k0", &json!({ "n": "changed" }));
    app.delete("copied", "k1");
    let again = keeper.must("session.begin", json!({ "collections": ["copied"], "anchor": anchor }));
    assert_eq!(again["mode"], "fast", "{again}");
    let session = again["session"].clone();
    let own = json!({ "put": { "collection": "copied", "id": "own", "data": { "n": "both", "phone": "0-2" } } });
    keeper.must("session.push", json!({ "session": session, "changes": [own] }));
    keeper.must("session.mingle", json!({ "session": session }));
    let lacks = keeper.must("session.pull", json!({ "session": session }))["records"].take();
    assert_eq!(lacks.as_array().map(Vec::len), Some(2), "{lacks}");
    let one = json!({ "collection": "copied", "id": lacks[0]["id"], "seq": lacks[0]["seq"] });
    keeper.must("session.accept", json!({ "session": session, "records": [one] }));
    Some(json!({ "anchor": anchor, "lacks": lacks, "copied": app.all("copied") }))
}

/// What apps see: records, positions, and all that waits for somebody.
pub fn see(app: &mut App) -> Value {
    let status = app.must("status", json!({}));
    let records: Value = ["things", "others", "notes"].map(|name| (name.to_owned(), json!(app.all(name)))).into_iter().collect();
    let conflicts = app.must("conflict.list", json!({ "all": true }))["conflicts"].take();
    let rejections = app.must("rejection.list", json!({}))["rejections"].take();
    let runs: Value = ["things", "others"]
        .map(|sync| (sync.to_owned(), app.must("history", json!({ "sync": sync }))["runs"].take()))
        .into_iter()
        .collect();
    json!({
        "instance": status["instance"], "seq": status["seq"], "records": records, "conflicts": conflicts, "rejections": rejections, "runs": runs,
    })
}
