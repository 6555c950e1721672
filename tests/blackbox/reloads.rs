//! Owns: a configuration that changes under a running daemon: what holds at once, what goes on, what is kept. Must never know: how it
//! is read.

use std::{fs, os::unix::fs::PermissionsExt as _, time::Duration};

use mingle_tests::{
    rest_server::{Fault, Options, RestServer},
    wait::until,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::bench::{Scripted, fill, scripted, scripted_config};

fn config(world: &Scripted, more: &str) -> String {
    scripted_config(&world.server.url, more)
}

fn others() -> &'static str {
    "[sync.others]\ncollection = \"others\"\nremote = \"far\"\nresource = \"others\"\ndirection = \"both\"\non_change = false\n"
}

#[test]
fn what_is_added_changed_and_removed_holds_at_once() {
    let mut world = scripted(Options::default(), "");
    world.app.refused("not_found", "sync.run", json!({ "sync": "others" }));
    assert_eq!(world.app.must("reload", json!({})), json!({ "applied": [], "after_restart": [], "orphaned": [] }));
    assert!(world.daemon.says(0, &["reload"]).contains("nothing has changed"));

    world.server.put("others", "o1", &json!({ "n": 1 }));
    world.daemon.configure(&config(&world, others()));
    let said = world.daemon.says(0, &["reload"]);
    assert!(said.contains("sync.others added") && said.contains("collection.others added"), "{said}");
    // It never ran, so it is due at once; and it can be asked for.
    world.app.sync("others", "done");
    assert_eq!(world.app.get("others", "o1"), Some(json!({ "n": 1 })));

    // By a signal, too.
    world.daemon.configure(&config(&world, &format!("every = \"1h\"\n{}", others())));
    world.daemon.signal(Signal::HUP);
    until("the new interval", || {
        (world.app.must("sync.get", json!({ "sync": "things" }))["every_ms"] == 3_600_000).then_some(())
    });

    world.daemon.configure(&format!("{}[store]\nsynchronous = \"normal\"\n", config(&world, "")));
    let answer = world.app.must("reload", json!({}));
    let applied: Vec<String> = answer["applied"]
        .as_array()
        .expect("sections")
        .iter()
        .map(|one| format!("{} {}", one["section"].as_str().unwrap_or_default(), one["change"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(applied, ["sync.things changed", "sync.others removed", "collection.others removed"]);
    assert_eq!(answer["after_restart"], json!(["store.synchronous"]));
    assert_eq!(answer["orphaned"], json!([]), "nothing waited");
    world.app.refused("not_found", "sync.run", json!({ "sync": "others" }));
    let status = world.app.must("status", json!({}));
    assert_eq!(status["attention"][0]["name"], "restart_needed", "{status}");
    world.daemon.configure(&config(&world, ""));
    world.app.must("reload", json!({}));
    assert_eq!(world.app.must("status", json!({}))["attention"], json!([]));
}

#[test]
fn an_invalid_one_changes_nothing_and_says_every_problem() {
    let mut world = scripted(Options::default(), "");
    fill(&world.server, 3);
    for (broken, names) in [
        ("[sync.x]\nevry = 1\n", vec!["evry", "config.toml:"]),
        ("[sync.", vec!["config.toml:"]),
        ("[app.a]\ngrants = { things = \"all\" }\n", vec!["all"]),
    ] {
        world.daemon.configure(&format!("{}{broken}", config(&world, "")));
        let error = world.app.refused("invalid", "reload", json!({}));
        let text = error.to_string();
        assert!(text.contains("the one in force stays"), "{text}");
        for name in names {
            assert!(text.contains(name), "{text} should name {name}");
        }
        let status = world.app.must("status", json!({}));
        assert_eq!(status["attention"][0]["name"], "config", "{status}");
        world.app.sync("things", "done");
        assert_eq!(world.daemon.mingle(&["reload"]).status.code(), Some(2));
    }
    world.daemon.configure(&config(&world, ""));
    world.app.must("reload", json!({}));
    assert_eq!(world.app.must("status", json!({}))["attention"], json!([]));
    world.assert_same();
}

#[test]
fn runs_of_what_is_not_touched_go_on_and_others_are_stopped_first() {
    let mut world = scripted(Options { page_rows: 1, ..Options::default() }, "");
    fill(&world.server, 12);
    let slow = |world: &Scripted| {
        for _ in 0..12 {
            world.server.next("GET", Fault::Lag(Duration::from_millis(60)));
        }
    };
    slow(&world);
    let run = world.app.run("things");
    // Another sync, and other times for this one.
    world.daemon.configure(&config(&world, &format!("every = \"1h\"\n{}", others())));
    world.app.must("reload", json!({}));
    assert_eq!(world.app.ended(&run), "done");
    world.assert_same();

    // Another place: the run ends first, and what was asked for speaks with the new one.
    let second = RestServer::start(Options::default(), &["things", "others"]);
    second.put("things", "only-here", &json!({ "n": 1 }));
    fill(&world.server, 12);
    slow(&world);
    let run = world.app.run("things");
    world.daemon.configure(&scripted_config(&second.url, ""));
    world.app.must("reload", json!({}));
    assert_eq!(world.app.ended(&run), "stopped");
    assert_eq!(world.app.row("things", &run)["stop_reason"], "replaced");
    world.app.sync("things", "done");
    assert_eq!(world.app.get("things", "only-here"), Some(json!({ "n": 1 })));
}

#[test]
fn a_remote_that_is_removed_while_edits_wait_keeps_what_it_knows() {
    let mut world = scripted(Options::default(), "[collection.things]\n");
    fill(&world.server, 3);
    world.app.sync("things", "done");
    world.app.patch("things", "r01", &json!({ "edited": true }));
    world.app.put("things", "new", &json!({ "n": 9 }));
    world.daemon.configure("[collection.things]\n");
    let said = world.daemon.says(5, &["reload"]);
    assert!(said.contains("remote.far removed") && said.contains("things: 2 changes not sent and kept"), "{said}");
    let orphaned = |world: &mut Scripted| {
        let status = world.app.must("status", json!({}));
        status["attention"].as_array().expect("a list").iter().any(|one| one["name"] == "orphaned" && one["about"] == "things")
    };
    assert!(orphaned(&mut world));
    // A start later it is still so.
    world.start_again();
    assert!(orphaned(&mut world), "{}", world.app.must("status", json!({})));

    world.daemon.configure(&config(&world, "[collection.things]\n"));
    world.app.must("reload", json!({}));
    assert!(!orphaned(&mut world));
    world.app.sync("things", "done");
    world.assert_same();
    let theirs = world.theirs();
    assert_eq!((theirs.len(), &theirs["r01"]["edited"]), (4, &json!(true)));
    let conflicts = world.app.must("conflict.list", json!({ "all": true }));
    assert_eq!(conflicts["conflicts"], json!([]), "the links were kept: it is an edit, and no stranger");
}

#[test]
fn other_grants_hold_at_once_and_a_subscription_begins_anew() {
    let locals = "[collection.open]\n[collection.closed]\n";
    let grants = |of: &str| format!("{locals}[app.agent]\ngrants = {{ {of} }}\n");
    let mut world = scripted(Options::default(), &grants("open = \"write\""));
    world.app.put("open", "a", &json!({ "n": 1 }));
    world.app.put("closed", "b", &json!({ "n": 2 }));
    let mut agent = world.daemon.app("agent");
    agent.must("subscribe", json!({}));
    let first = agent.hear("what is there", |message| message["method"] == "changed" && message["params"]["more"] == false);
    assert_eq!(first["params"]["changes"].as_array().map(Vec::len), Some(1), "{first}");
    agent.refused("denied", "get", json!({ "collection": "closed", "id": "b" }));

    world.daemon.configure(&config(&world, &grants("closed = \"read\"")));
    world.app.must("reload", json!({}));
    let anew = agent.hear("everything anew", |message| message["params"]["fresh"] == true);
    let ids: Vec<&Value> = anew["params"]["changes"].as_array().expect("changes").iter().map(|one| &one["id"]).collect();
    assert_eq!(ids, [&json!("b")]);
    agent.must("get", json!({ "collection": "closed", "id": "b" }));
    agent.refused("denied", "get", json!({ "collection": "open", "id": "a" }));
    agent.refused("denied", "put", json!({ "collection": "open", "data": {} }));
}

#[test]
fn a_file_that_is_not_fit_leaves_the_old_one_in_force() {
    let mut world = scripted(Options::default(), "");
    fill(&world.server, 2);
    let file = world.daemon.config_dir().join("config.toml");
    let whole = fs::read(&file).expect("the configuration");
    let mode = |mode: u32| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("its mode");
    let cases: &[(&str, &dyn Fn(), &str)] = &[
        ("half-written", &|| fs::write(&file, &whole[..whole.len() * 2 / 3]).expect("written"), "config.toml:"),
        ("oversized", &|| fs::write(&file, vec![b'#'; 2 << 20]).expect("written"), "more than the 1048576"),
        ("no text", &|| fs::write(&file, b"a = \"\xff\"").expect("written"), "is not UTF-8 (line 1)"),
        ("writable by all", &|| mode(0o666), "chmod go-w"),
        ("a folder", &|| fs::remove_file(&file).and_then(|()| fs::create_dir(&file)).expect("made"), "is not a plain file"),
        (
            "a link to nowhere",
            &|| fs::remove_file(&file).and_then(|()| std::os::unix::fs::symlink("nowhere", &file)).expect("made"),
            "cannot be read",
        ),
    ];
    for (name, spoil, words) in cases {
        spoil();
        let error = world.app.refused("invalid", "reload", json!({})).to_string();
        assert!(error.contains("the one in force stays") && error.contains(words), "{name}: {error}");
        let checked = world.daemon.mingle(&["config", "check"]);
        let said = String::from_utf8_lossy(&checked.stdout).into_owned() + &String::from_utf8_lossy(&checked.stderr);
        assert!(!checked.status.success() && said.contains(words), "{name}: {said}");
        assert_eq!(world.app.must("status", json!({}))["attention"][0]["name"], "config", "{name}");
        world.app.sync("things", "done");
        // As it was, and private again.
        let _ = fs::remove_dir(&file);
        let _ = fs::remove_file(&file);
        fs::write(&file, &whole).expect("written");
        mode(0o600);
        world.app.must("reload", json!({}));
        assert_eq!(world.app.must("status", json!({}))["attention"], json!([]), "{name}");
    }
    world.assert_same();
}

/// A sync with things that were synced once, and two edits that wait.
fn with_edits(more: &str) -> Scripted {
    let mut world = scripted(Options::default(), more);
    fill(&world.server, 4);
    world.app.sync("things", "done");
    world.app.patch("things", "r01", &json!({ "edited": true }));
    world.app.put("things", "new", &json!({ "n": 9 }));
    world.server.patch("things", "r02", &json!({ "n": "theirs" }));
    world
}

#[test]
fn a_sync_that_is_renamed_goes_on_with_what_it_knew() {
    let mut world = with_edits("");
    world.daemon.configure(&config(&world, "").replace("[sync.things]", "[sync.stuff]"));
    world.app.must("reload", json!({}));
    world.app.sync("stuff", "done");
    world.assert_same();
    assert_eq!((world.theirs().len(), &world.theirs()["r01"]["edited"]), (5, &json!(true)));
    assert_eq!(world.app.get("things", "r02").expect("a record")["n"], "theirs");
    let conflicts = world.app.must("conflict.list", json!({ "all": true }));
    assert_eq!(conflicts["conflicts"], json!([]), "the links were kept");
    assert_eq!(world.app.must("status", json!({}))["attention"], json!([]), "nothing waits for the old name");
}

#[test]
fn a_collection_that_is_renamed_keeps_its_edits_until_it_is_back() {
    let mut world = with_edits("");
    let renamed = config(&world, "").replace("collection = \"things\"", "collection = \"stuff\"");
    world.daemon.configure(&renamed);
    let said = world.daemon.says(5, &["reload"]);
    assert!(said.contains("things: 2 changes not sent and kept"), "{said}");
    assert_eq!(world.app.must("status", json!({}))["attention"][0]["name"], "orphaned");
    world.app.sync("things", "done");
    // The service lost nothing and got nothing twice; the other collection has what it has.
    assert_eq!(world.theirs().len(), 4);
    assert_eq!(world.app.all("stuff"), world.theirs());
    world.app.refused("not_found", "get", json!({ "collection": "things", "id": "r01" }));
    world.start_again();

    world.daemon.configure(&config(&world, ""));
    world.app.must("reload", json!({}));
    assert_eq!(world.app.must("status", json!({}))["attention"], json!([]));
    world.app.sync("things", "done");
    world.assert_same();
    assert_eq!((world.theirs().len(), &world.theirs()["r01"]["edited"]), (5, &json!(true)));
}

#[test]
fn a_remote_that_is_renamed_doubles_nothing_and_loses_no_edit() {
    let mut world = with_edits("");
    world.daemon.configure(&config(&world, "").replace("[remote.far]", "[remote.office]").replace("\"far\"", "\"office\""));
    world.app.must("reload", json!({}));
    // And the sync with it, and over a start: then the store alone knows what was.
    world.app.sync("things", "done");
    world.assert_same();
    world.app.patch("things", "r03", &json!({ "edited": "later" }));
    let both = config(&world, "").replace("[remote.far]", "[remote.home]").replace("\"far\"", "\"home\"");
    world.daemon.configure(&both.replace("[sync.things]", "[sync.stuff]"));
    world.start_again();
    world.app.sync("stuff", "done");
    world.assert_same();
    let theirs = world.theirs();
    assert_eq!((theirs.len(), &theirs["r01"]["edited"], &theirs["r03"]["edited"]), (5, &json!(true), &json!("later")));
    assert_eq!(world.app.must("status", json!({}))["attention"], json!([]));
}
