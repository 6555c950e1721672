//! Owns: resets from outside: a service with another history in each way that it can be wished for, a person's word, another account, the copy
//! before, what is told of it, and ends of the process in the middle. Must never know: how a reset is done.

use std::{path::PathBuf, time::Duration};

use mingle_tests::{
    chance::Chance,
    daemon::Daemon,
    rest_server::{Fault, Options},
    wait,
};
use serde_json::json;

use crate::bench::{Scripted, fill, scripted, scripted_config};

/// Copies of before, beside the store, the newest last.
fn copies(daemon: &Daemon) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(daemon.store().parent().expect("a folder")).expect("its files");
    let is_one = |path: &PathBuf| path.to_string_lossy().contains("store.db.before-reset-");
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).filter(is_one).collect();
    found.sort();
    found
}

fn sound(daemon: &Daemon) {
    let said = daemon.says(0, &["fsck"]);
    assert!(said.starts_with("good: "), "{said}");
}

/// The verdicts of all conflicts.
fn verdicts(world: &mut Scripted) -> Vec<String> {
    let all = world.app.must("conflict.list", json!({ "all": true }))["conflicts"].take();
    let mut found: Vec<String> = all.as_array().expect("a list").iter().map(|one| one["verdict"].to_string()).collect();
    found.sort();
    found
}

/// Twenty records on both sides, an edit and a new record that are not sent; and then a service that was set up anew, from what it had, but
/// for one edit that is of its own.
fn set_up_anew(how: &str) -> Scripted {
    let mut world = scripted(Options::default(), how);
    fill(&world.server, 20);
    world.app.sync("things", "done");
    let rows = world.server.rows("things");
    world.app.must("stop", json!({}));
    world.app.patch("things", "r03", &json!({ "mine": 1 }));
    world.app.put("things", "new", &json!({ "mine": 1 }));
    world.server.forget();
    for (id, record) in rows {
        world.server.put("things", &id, &record);
    }
    world.server.patch("things", "r05", &json!({ "name": "theirs" }));
    world.app.must("restart", json!({}));
    world
}

#[test]
fn recover_keeps_what_is_here_and_says_so() {
    let mut world = set_up_anew("reset = \"recover\"");
    let mut board = world.daemon.app("board");
    board.must("subscribe", json!({ "topics": ["sync"] }));
    let name = world.app.get("things", "r05").expect("it is here")["name"].clone();
    let row = world.app.sync("things", "done");
    assert_eq!(world.app.get("things", "r05").expect("it is here")["name"], name, "nothing that is here is overwritten");
    let theirs = world.server.rows("things");
    assert_eq!(
        (&theirs["r03"]["mine"], &theirs["new"]["mine"], &theirs["r05"]["name"]),
        (&json!(1), &json!(1), &json!("theirs"))
    );
    assert_eq!(verdicts(&mut world), ["\"open\""]);
    // The store as it was is beside it, whole, and history, events and the log name it.
    let copies = copies(&world.daemon);
    let copy = copies.first().expect("a copy").display().to_string();
    assert_eq!(row["reset"], json!({ "how": "recover", "why": "epoch", "copy": copy }), "{row}");
    let began = board.hear("a beginning", |event| !event["params"]["reset_began"].is_null());
    assert_eq!(began["params"]["reset_began"], row["reset"], "{began}");
    let ended = board.hear("an end", |event| !event["params"]["reset_ended"].is_null());
    assert_eq!(ended["params"]["reset_ended"], json!({ "discarded": 0, "conflicts": 1 }), "{ended}");
    let said = world.daemon.says(0, &["history", "things"]);
    assert!(said.contains(&format!("the store as it was before: {copy}")), "{said}");
    assert!(world.daemon.said().contains(&copy), "{}", world.daemon.said());
    world.daemon.says(0, &["fsck", &copy]);
    let doctor = world.daemon.says(0, &["doctor"]);
    assert!(doctor.contains(&copy) && doctor.contains("the store before a reset"), "{doctor}");
    sound(&world.daemon);
}

#[test]
fn discard_takes_what_is_there_and_what_went_can_be_taken_up_again() {
    let mut world = set_up_anew("reset = \"discard\"");
    world.app.sync("things", "done");
    world.assert_same();
    assert_eq!(world.app.get("things", "new"), None);
    assert_eq!(verdicts(&mut world), ["\"discarded\"", "\"discarded\""]);
    let said = world.daemon.says(0, &["conflict", "list", "--all"]);
    assert!(said.contains("decided: discarded"), "{said}");
    let why = world.daemon.says(0, &["why", "things", "r03", "mine"]);
    assert!(why.contains('1'), "{why}");
    let all = world.app.must("conflict.list", json!({ "all": true }))["conflicts"].take();
    for one in all.as_array().expect("a list") {
        world.app.must("conflict.resolve", json!({ "conflict": one["conflict"], "keep": "truth" }));
    }
    world.app.sync("things", "done");
    world.assert_same();
    let theirs = world.server.rows("things");
    assert_eq!((&theirs["r03"]["mine"], &theirs["new"]["mine"]), (&json!(1), &json!(1)));
    sound(&world.daemon);
}

#[test]
fn manual_waits_for_a_persons_word() {
    let mut world = set_up_anew("reset = \"manual\"");
    world.app.sync("things", "failed");
    world.daemon.says(5, &["sync", "things", "--force"]);
    let status = world.app.status("things");
    assert_eq!((&status["hold"]["name"], &status["state"]), (&json!("epoch"), &json!("blocked")), "{status}");
    assert!(status["hold"]["hint"].to_string().contains("mingle reset things --recover"), "{status}");
    assert!(copies(&world.daemon).is_empty(), "nothing was begun");
    assert!(!world.server.rows("things").contains_key("new"));
    world.daemon.kill();
    world.daemon.start();
    world.app = world.daemon.app("tester");
    // The word, over a new start too.
    let said = world.daemon.says(5, &["reset", "things", "--recover"]);
    assert!(said.contains("things: done") && said.contains("1 open in conflict"), "{said}");
    assert_eq!(world.server.rows("things")["new"]["mine"], 1);
    assert_eq!((&world.app.status("things")["hold"]["name"], copies(&world.daemon).len()), (&json!("trigger"), 1));
}

#[test]
fn what_is_not_sent_goes_on_a_persons_word() {
    let mut world = scripted(Options::default(), "");
    fill(&world.server, 20);
    world.app.sync("things", "done");
    world.app.must("stop", json!({}));
    world.app.patch("things", "r03", &json!({ "name": "mine" }));
    world.app.delete("things", "r04");
    let said = world.daemon.says(0, &["reset", "things", "--discard"]);
    assert!(said.contains("2 changes not sent yet") && said.contains("nothing is done"), "{said}");
    assert_eq!((world.app.get("things", "r04"), copies(&world.daemon).len()), (None, 0));
    world.app.refused("stopped", "sync.reset", json!({ "sync": "things", "how": "discard" }));
    world.app.must("restart", json!({}));
    world.daemon.says(0, &["reset", "--all", "--discard", "--yes"]);
    world.assert_same();
    assert_eq!(world.server.rows("things").len(), 20);
    assert_eq!(verdicts(&mut world), ["\"discarded\"", "\"discarded\""]);
    world.app.refused("not_found", "sync.reset", json!({ "sync": "thongs", "how": "recover" }));
    world.app.refused("invalid", "sync.reset", json!({ "sync": "things", "how": "manual" }));
    // The next ones on the same occasion share the copy: it is of before all of them.
    let first = copies(&world.daemon);
    for _ in 0..3 {
        world.daemon.says(0, &["reset", "things", "--recover"]);
    }
    assert_eq!((copies(&world.daemon), first.len()), (first.clone(), 1));
    sound(&world.daemon);
}

/// Whenever the process ends, what was begun goes on as it began: as the person said, and not as the configuration.
#[test]
fn a_reset_that_is_killed_goes_on_as_it_began() {
    let mut chance = Chance::new(0x7E5E7);
    for round in 0..6 {
        let mut world = set_up_anew("reset = \"discard\"");
        for _ in 0..20 {
            world.server.next("GET", Fault::Lag(Duration::from_millis(20)));
        }
        let _ = world.server.log();
        world.app.must("sync.reset", json!({ "sync": "things", "how": "recover" }));
        let (mut seen, enough) = (0, 1 + chance.below(5));
        wait::until("it has come so far", || {
            seen += world.server.log().len() as u64;
            (seen >= enough).then_some(())
        });
        world.daemon.kill();
        world.daemon.start();
        world.app = world.daemon.app("tester");
        // Once its run had begun, the word was heard.
        world.app.sync("things", "done");
        let told = verdicts(&mut world);
        assert_eq!(told, ["\"open\""], "round {round}");
        assert_eq!(world.server.rows("things")["new"]["mine"], 1, "round {round}");
        assert_eq!(world.app.get("things", "r03").expect("it is here")["mine"], 1, "round {round}");
        sound(&world.daemon);
    }
}

/// As whom the daemon speaks.
fn speaks_as(world: &Scripted, account: &str) {
    let auth = format!("\nauth = {{ type = \"basic\", username = \"{account}\", password = {{ file = \"secret\" }} }}\n\n[sync");
    world.daemon.configure(&scripted_config(&world.server.url, "").replace("\n\n[sync", &auth));
}

#[test]
fn another_account_mixes_nothing_before_a_word() {
    for discard in [false, true] {
        let mut world = scripted(Options::default(), "");
        world.daemon.write("secret", "password");
        speaks_as(&world, "ada");
        world.app.must("reload", json!({}));
        fill(&world.server, 5);
        world.app.sync("things", "done");
        world.app.patch("things", "r03", &json!({ "mine": 1 }));
        // What the other one has there.
        for n in 0..5 {
            world.server.delete("things", &format!("r{n:02}"));
        }
        world.server.put("things", "b1", &json!({ "n": "bob's" }));
        speaks_as(&world, "bob");
        world.app.must("reload", json!({}));
        world.app.sync("things", "failed");
        let status = world.app.status("things");
        assert_eq!((&status["hold"]["name"], world.app.all("things").len()), (&json!("account"), 5), "{status}");
        let said = world.daemon.says(5, &["sync", "things", "--force"]);
        assert!(said.contains("another account") && said.contains("mingle reset things --recover"), "{said}");
        if discard {
            world.daemon.says(0, &["reset", "things", "--discard", "--yes"]);
            world.assert_same();
            assert_eq!(verdicts(&mut world), ["\"discarded\""]);
        } else {
            world.daemon.says(0, &["reset", "things", "--recover"]);
            assert_eq!(world.app.all("things").len(), 6, "both are kept");
        }
        assert_eq!(world.server.rows("things").len(), 1, "nothing of the one is sent to the other");
        world.app.sync("things", "done");
        assert_eq!(copies(&world.daemon).len(), 1);
        sound(&world.daemon);
    }
}

#[test]
fn what_one_account_was_not_sent_yet_is_not_sent_to_another() {
    let mut world = scripted(Options::default(), "");
    world.daemon.write("secret", "password");
    let speaks = |world: &mut Scripted, account: &str, ends: &str| {
        speaks_as(world, account);
        world.app.must("reload", json!({}));
        world.app.sync("things", ends);
    };
    speaks(&mut world, "ada", "done");
    // Nothing of hers is there, and nothing of this is known to be hers but that it was written then.
    world.app.put("things", "new", &json!({ "n": 1 }));
    speaks(&mut world, "bob", "failed");
    let status = world.app.status("things");
    assert_eq!((&status["hold"]["name"], world.server.rows("things").len()), (&json!("account"), 0), "{status}");
    speaks(&mut world, "ada", "done");
    assert_eq!(world.server.rows("things").len(), 1);
    sound(&world.daemon);
}

#[test]
fn a_configuration_that_cannot_be_meant_is_refused() {
    let mut world = scripted(Options::default(), "");
    for (line, what) in
        [("reset = \"wipe\"", "recover_or_discard"), ("reset = \"discard\"\ndirection = \"up\"", "is for a sync that brings")]
    {
        let mut config = scripted_config(&world.server.url, line);
        if line.contains("up") {
            config = config.replace("direction = \"both\"\n", "");
        }
        world.daemon.configure(&config);
        let said = format!("{:?}", world.daemon.mingle(&["config", "check"]));
        assert!(said.contains(what), "{said}");
    }
    world.app.must("status", json!({}));
}
