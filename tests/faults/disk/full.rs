//! Owns: real disks that are full, read-only, or gone: states that are told, and that end by themselves. Must never know: how the store
//! finds out.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use mingle_tests::{
    app::App,
    daemon::{Daemon, Home},
    rest_server::{Options, RestServer},
    wait::{Watch, until},
};
use serde_json::{Value, json};

use super::{
    mount::{self, Mount, fill, must},
    play::{CONFIG, Play, Told},
};

/// The names of what a person should know about the disk.
fn attention(app: &mut App) -> Vec<String> {
    let status = app.must("status", json!({}));
    let all = status["attention"].as_array().expect("a list").iter();
    all.filter(|one| one["about"] == "disk").map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
}

/// Writes until one is refused like this, which has to come soon, without anything acknowledged being lost.
fn until_refused(play: &mut Play, app: &mut App, name: &str) {
    until("a write to be refused", || {
        let count = play.told.len() + 1;
        play.go_on(app, count).expect("a daemon that lives");
        (play.told.last() == Some(&Told::Refused(name.to_owned()))).then_some(())
    });
    assert!(play.slowest.as_secs() < 5, "an answer took {:?}", play.slowest);
}

/// Without anybody's doing, writes are taken again, nothing is told any more, and everything that was said is true.
fn goes_on(play: &mut Play, daemon: &mut Daemon) {
    let mut app = daemon.app("player");
    until("writes to be taken again", || {
        let count = play.told.len() + 1;
        play.go_on(&mut app, count).expect("a daemon that lives");
        (play.told.last() == Some(&Told::Acknowledged)).then_some(())
    });
    until("nothing to be told", || attention(&mut app).is_empty().then_some(()));
    assert_eq!(play.settle(&mut app), Vec::<String>::new());
    assert_eq!(play.read(&mut app), Vec::<String>::new());
    assert_eq!(daemon.terminate().0.code(), Some(0));
    assert_eq!(play.look(&daemon.store()), Vec::<String>::new());
}

/// A store on a disk of a few MiB, with eight commits.
fn on(disk: impl FnOnce(&Home) -> Mount) -> (Mount, Daemon, Play) {
    let home = Home::new(Some(CONFIG));
    let disk = disk(&home);
    let daemon = home.start();
    let mut play = Play::default();
    play.go_on(&mut daemon.app("player"), 8).expect("a good disk");
    (disk, daemon, play)
}

/// What holds on every full disk.
fn fills_up(disk: &Mount, mut daemon: Daemon, mut play: Play) {
    let ballast = fill(disk.at(), 96 << 10);
    let mut app = daemon.app("player");
    until_refused(&mut play, &mut app, "disk_full");
    assert_eq!(attention(&mut app), ["disk_full"]);
    let told = daemon.says(0, &["status"]);
    assert!(told.contains("disk_full") && told.contains("free some space"), "{told}");
    // Who reads is not concerned.
    assert_eq!(play.read(&mut app), Vec::<String>::new());
    let (refused, read) = (play.told.len(), app.all("things").len());
    until_refused(&mut play, &mut app, "disk_full");
    assert!(play.told.len() > refused && app.all("things").len() >= read);
    // It can be stopped, and what was acknowledged is there.
    let watch = Watch::start();
    let (status, _) = daemon.terminate();
    assert!(matches!(status.code(), Some(0 | 1)), "{status}");
    assert!(watch.elapsed().as_secs() < 5, "its end took {:?}", watch.elapsed());
    // On a disk without any room it starts, or says why it does not, and nothing is spoiled by that.
    daemon.launch();
    if let Some(status) = daemon.answers_or_ends() {
        assert_eq!(status.code(), Some(1));
        assert!(daemon.said().contains("the disk is full"), "{}", daemon.said());
        fs::remove_file(&ballast).expect("some room");
        daemon.start();
    } else {
        let mut app = daemon.app("player");
        until_refused(&mut play, &mut app, "disk_full");
        assert_eq!(play.read(&mut app), Vec::<String>::new());
        fs::remove_file(&ballast).expect("some room");
    }
    goes_on(&mut play, &mut daemon);
}

#[test]
fn a_full_disk_is_told_and_ends_by_itself() {
    if let Some(why) = mount::why_not(&["mount", "umount", "mkfs.ext4"]) {
        return mingle_tests::tally::skip("a full disk", &why);
    }
    let (disk, daemon, play) = on(|home| Mount::new("ext4", 24, home));
    fills_up(&disk, daemon, play);
    let (disk, daemon, play) = on(|home| Mount::in_memory("size=16m,mode=0700", home));
    fills_up(&disk, daemon, play);
}

/// The first run of a sync runs into a full disk, says so, waits for room, and goes on as soon as there is some, whatever pause the
/// failure cost.
#[test]
fn a_sync_waits_for_room() {
    if let Some(why) = mount::why_not(&["mount", "umount"]) {
        return mingle_tests::tally::skip("a sync on a full disk", &why);
    }
    let server = RestServer::start(Options::default(), &["things"]);
    for n in 0..300 {
        server.put("things", &format!("r{n}"), &json!({ "n": n, "text": "x".repeat(8_000) }));
    }
    let config = format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"things\"\ndirection = \"down\"\n\
         backoff = {{ first = \"1h\", at_most = \"5h\" }}\n",
        RestServer::PROFILE,
        server.url
    );
    let home = Home::new(Some(&config));
    server.write_profile(&home.config_dir());
    let disk = Mount::in_memory("size=16m,mode=0700", &home);
    let daemon = home.start();
    let ballast = fill(disk.at(), 600 << 10);
    let mut app = daemon.app("tester");
    let row = app.sync("things", "failed");
    assert_eq!(row["error"]["name"], "disk_full", "{row}");
    assert_eq!(attention(&mut app), ["disk_full"]);
    let names = |app: &mut App| -> Vec<String> {
        let holds = app.must("explain", json!({ "sync": "things" }))["holds"].take();
        holds.as_array().into_iter().flatten().filter_map(|hold| Some(hold["name"].as_str()?.to_owned())).collect()
    };
    until("the disk to hold it", || names(&mut app).iter().any(|name| name == "disk").then_some(()));
    // Nothing passes a full disk.
    app.must("sync.run", json!({ "sync": "things", "force": true }));
    assert_eq!(names(&mut app), ["disk"]);
    fs::remove_file(ballast).expect("some room");
    until("everything to be there", || (app.all("things").len() == 300).then_some(()));
    until("nothing to be told", || attention(&mut app).is_empty().then_some(()));
}

/// What is said of a sync and could not be written down is as if it had not been said: what is in force is what a start would find.
#[test]
fn a_word_about_a_sync_that_finds_no_room_changes_nothing() {
    if let Some(why) = mount::why_not(&["mount", "umount"]) {
        return mingle_tests::tally::skip("a word on a full disk", &why);
    }
    let server = RestServer::start(Options::default(), &["things"]);
    let config = format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"things\"\ndirection = \"down\"\nevery = \"1h\"\n",
        RestServer::PROFILE,
        server.url
    );
    let home = Home::new(Some(&config));
    server.write_profile(&home.config_dir());
    let disk = Mount::in_memory("size=16m,mode=0700", &home);
    let mut daemon = home.start();
    let mut app = daemon.app("tester");
    until("the first run", || (app.status("things")["last"]["status"] == "done").then_some(()));
    // Whether it is paused, and the moment of its next run.
    let stands = |app: &mut App| -> (bool, Option<String>) {
        let holds = app.must("explain", json!({ "sync": "things" }))["holds"].take();
        let find = |name: &str| holds.as_array().into_iter().flatten().find(|hold| hold["name"] == name).cloned();
        (find("paused").is_some(), find("next_run_at").and_then(|hold| Some(hold["until_at"].as_str()?.to_owned())))
    };
    // Again and again until there is no room for it: then all is as it was before.
    let refused = |app: &mut App, word: &dyn Fn(u64) -> (&'static str, Value)| {
        let mut count = 0;
        until("a word to be refused", || {
            count += 1;
            let ((method, params), before) = (word(count), stands(app));
            let error = app.ask(method, &params).expect("an answer").err()?;
            assert_eq!(error["data"]["name"], "disk_full", "{error}");
            assert_eq!(stands(app), before, "{method} {params}");
            Some(())
        });
    };
    let next = |count: u64| {
        let at = jiff::Timestamp::now() + Duration::from_secs(3600 + count);
        ("sync.next", json!({ "sync": "things", "at": at.to_string() }))
    };
    let ballast = fill(disk.at(), 0);
    refused(&mut app, &next);
    refused(&mut app, &|_| ("sync.pause", json!({ "sync": "things" })));
    assert!(!stands(&mut app).0, "it is not paused");
    fs::remove_file(&ballast).expect("some room");
    until("a pause that is taken", || app.ask("sync.pause", &json!({ "sync": "things" })).expect("an answer").ok());
    let ballast = fill(disk.at(), 0);
    refused(&mut app, &|count| {
        // Each that is taken is taken back, so that there is something to be refused.
        if count % 2 == 0 { ("sync.pause", json!({ "sync": "things" })) } else { ("sync.resume", json!({ "sync": "things" })) }
    });
    fs::remove_file(ballast).expect("some room");
    let before = stands(&mut app);
    daemon.kill();
    daemon.start();
    assert_eq!(stands(&mut daemon.app("tester")), before, "after a start");
}

#[test]
fn a_disk_without_room_for_another_file_says_so_at_the_start() {
    if let Some(why) = mount::why_not(&["mount", "umount"]) {
        return mingle_tests::tally::skip("a disk without inodes", &why);
    }
    let home = Home::new(Some(CONFIG));
    // The folder of the store, and nothing more.
    let _disk = Mount::in_memory("size=16m,nr_inodes=2,mode=0700", &home);
    let output = home.mingled_ends();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("the disk is full") && told.contains("hint"), "{told}");
}

#[test]
fn a_store_that_may_not_be_written_is_told_and_ends_by_itself() {
    if let Some(why) = mount::why_not(&["mount", "umount", "mkfs.ext4", "chattr"]) {
        return mingle_tests::tally::skip("a read-only store", &why);
    }
    let (_disk, mut daemon, mut play) = on(|home| Mount::new("ext4", 24, home));
    let files = ["store.db", "store.db-wal"].map(|name| daemon.dir().join("d/mingle").join(name).display().to_string());
    let folder = daemon.dir().join("d/mingle").display().to_string();
    let all = [&folder, &files[0], &files[1]].map(String::as_str);
    must("chattr", &[&["+i"], &all[..]].concat());
    let mut app = daemon.app("player");
    until_refused(&mut play, &mut app, "read_only");
    assert_eq!(attention(&mut app), ["disk_read_only"]);
    assert_eq!(play.read(&mut app), Vec::<String>::new());
    must("chattr", &[&["-i"], &all[..]].concat());
    goes_on(&mut play, &mut daemon);
}

#[test]
fn a_read_only_file_system_is_named_at_the_start() {
    if let Some(why) = mount::why_not(&["mount", "umount", "mkfs.ext4"]) {
        return mingle_tests::tally::skip("a read-only file system", &why);
    }
    let (disk, mut daemon, mut play) = on(|home| Mount::new("ext4", 24, home));
    daemon.kill();
    let at = disk.at().display().to_string();
    must("mount", &["-o", "remount,ro", &at]);
    for _ in 0..2 {
        let output = daemon.mingled_ends();
        assert!(matches!(output.status.code(), Some(1 | 78)), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert!(told.contains("read-only") && told.contains("hint"), "{told}");
    }
    must("mount", &["-o", "remount,rw", &at]);
    daemon.start();
    goes_on(&mut play, &mut daemon);
}

/// The whole disk goes away under a daemon that writes.
#[test]
fn a_disk_that_is_gone_ends_nothing_but_writes() {
    if let Some(why) = mount::why_not(&["mount", "umount", "mkfs.ext4"]) {
        return mingle_tests::tally::skip("a disk that is gone", &why);
    }
    let (disk, mut daemon, mut play) = on(|home| Mount::new("ext4", 24, home));
    let mut app = daemon.app("player");
    disk.cut();
    until_refused(&mut play, &mut app, "read_only");
    let told = attention(&mut app);
    assert_eq!(told.len(), 1, "{told:?}");
    // Whatever a read brings, it is an answer.
    for n in 0..8 {
        app.ask("get", &json!({ "collection": "things", "id": format!("w{n}") })).expect("an answer").ok();
    }
    assert!(app.must("status", json!({}))["uptime_ms"] != Value::Null);
    let (status, took) = daemon.terminate();
    assert!(matches!(status.code(), Some(0 | 1)), "{status}");
    assert!(took.as_secs() < 5, "its end took {took:?}");
    disk.again();
    daemon.start();
    goes_on(&mut play, &mut daemon);
}

/// A limit of the process instead of the disk: no signal ends it (rule S9).
#[test]
fn a_limit_on_the_size_of_files_is_an_error_like_any_other() {
    let mut home = super::shim::home(CONFIG);
    home.set("MINGLE_LOG", "warn");
    let mut daemon = home.start();
    let mut play = Play::default();
    let mut app = daemon.app("player");
    play.go_on(&mut app, 8).expect("a good disk");
    let limit = |bytes: &str| must("prlimit", &["--pid", &daemon.pid().to_string(), &format!("--fsize={bytes}:unlimited")]);
    limit("65536");
    until_refused(&mut play, &mut app, "read_only");
    assert_eq!(play.read(&mut app), Vec::<String>::new());
    limit("unlimited");
    goes_on(&mut play, &mut daemon);
}

/// What the daemon makes is its owner's alone (rule S6), whatever it was started with.
#[test]
fn what_is_kept_is_its_owners_alone() {
    let daemon = super::shim::home(CONFIG).start();
    let mode = |path: &Path| {
        fs::symlink_metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode()
    };
    for name in ["store.db", "store.db-wal", "store.db-shm"] {
        let path = daemon.dir().join("d/mingle").join(name);
        assert_eq!(mode(&path) & 0o7777, 0o600, "{name}");
    }
    assert_eq!(mode(&daemon.dir().join("d/mingle")) & 0o7777, 0o700);
    assert_eq!(mode(&daemon.lock()) & 0o7777, 0o600);
}
