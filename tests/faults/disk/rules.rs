//! Owns: the rules by which a store's files are kept, seen from outside: who opens them and how, what children get, what a process without
//! open descriptors does, odd file systems, large files. Must never know: the code that keeps them.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use mingle_tests::{daemon::Home, wait::until};
use rusqlite::Connection;
use rustix::fs::OFlags;
use serde_json::json;

use super::{
    mount::{self, must},
    play::{CONFIG, Play, Told, records},
    replay::{Change, changes},
    shim::{self, Shim},
};

/// The opens of a store's files in a list of opens that SQLite did not make: it follows no link, and leaves nothing to children.
fn strangers(opens: &Path) -> Vec<String> {
    let told = fs::read_to_string(opens).expect("the list of opens");
    let opens = told.lines().filter_map(|line| line.split_once(' '));
    let stores = opens.filter(|(_, path)| ["store.db", "store.db-wal", "store.db-shm"].iter().any(|name| path.ends_with(name)));
    let stranger = |(flags, path): (&str, &str)| {
        let flags = OFlags::from_bits_retain(u32::from_str_radix(flags, 8).expect("flags"));
        let sqlite = flags.contains(OFlags::NOFOLLOW | OFlags::CLOEXEC);
        (!sqlite).then(|| format!("{path} with {flags:?}"))
    };
    stores.filter_map(stranger).collect()
}

/// Rule S1: nothing but SQLite opens a store's files, whatever is asked of daemon and command.
#[test]
fn nothing_but_sqlite_opens_the_store() {
    let mut home = shim::home(CONFIG);
    let (root, opens) = (home.dir().join("d"), home.dir().join("opens"));
    let _shim = Shim::on(&mut home, &root);
    Shim::opens(&mut home, &opens);
    let mut daemon = home.start();
    let mut play = Play::default();
    play.go_on(&mut daemon.app("player"), 8).expect("a good disk");
    let copy = daemon.dir().join("copy.db").display().to_string();
    for words in [
        &["status"][..],
        &["list", "things"],
        &["doctor"],
        &["sql", "SELECT count(*) FROM things"],
        &["export"],
        &["backup", &copy],
    ] {
        daemon.says(0, words);
    }
    daemon.kill();
    daemon.start();
    daemon.terminate();
    daemon.says(0, &["doctor"]);
    daemon.says(0, &["restore", &copy]);
    daemon.start();
    daemon.terminate();
    let told = fs::read_to_string(&opens).expect("the list of opens");
    assert!(told.lines().filter(|line| line.ends_with("store.db")).count() > 5, "{told}");
    assert_eq!(strangers(&opens), Vec::<String>::new());
    // Whether one is seen at all.
    let status = Command::new("cat").arg(daemon.store()).envs(daemon.environment()).output().expect("cat").status;
    assert!(status.success());
    assert_eq!(strangers(&opens).len(), 1);
}

/// Rule S4: a program that the daemon runs gets none of its files.
#[test]
fn a_child_of_the_daemon_gets_none_of_its_files() {
    let home = Home::new(None);
    let seen = home.dir().join("seen");
    let listing =
        format!("ls -l /proc/self/fd > {}.part; mv {}.part {}; echo secret", seen.display(), seen.display(), seen.display());
    home.configure(&format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"json-server\"\nurl = \"http://127.0.0.1:1\"\n\
         auth = {{ type = \"bearer\", token = {{ command = [\"sh\", \"-c\", \"{listing}\"] }} }}\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"things\"\ndirection = \"both\"\n"
    ));
    let daemon = home.start();
    daemon.app("writer").put("things", "x", &json!({ "n": 1 }));
    daemon.app("asker").run("things");
    until("the program to have run", || seen.exists().then_some(()));
    let told = fs::read_to_string(&seen).expect("what it had open");
    for ours in ["store.db", "mingled.lock", "socket:", "mingled.log", "eventpoll"] {
        assert!(!told.contains(ours), "{told}");
    }
}

/// A start without standard descriptors: the store must never get one of their numbers, or whoever prints would write into it.
#[test]
fn a_start_without_descriptors_keeps_their_numbers_free() {
    let mut daemon = shim::home(CONFIG).idle();
    daemon.launch_by("exec \"$0\" <&- >&- 2>&-");
    assert!(daemon.answers_or_ends().is_none(), "it ended");
    let mut play = Play::default();
    play.go_on(&mut daemon.app("player"), 8).expect("a good disk");
    for number in 0..3 {
        let leads = fs::read_link(format!("/proc/{}/fd/{number}", daemon.pid())).expect("an open descriptor");
        assert_eq!(leads, Path::new("/dev/null"), "descriptor {number}");
    }
    assert_eq!(daemon.terminate().0.code(), Some(0));
    assert_eq!(play.look(&daemon.store()), Vec::<String>::new());
}

/// A log that takes nothing: `/dev/full` for what is printed, and a full disk under the log's file.
#[test]
fn a_log_without_room_costs_lines_alone() {
    let mut home = shim::home(CONFIG);
    home.set("MINGLE_LOG", "debug");
    let state = home.dir().join("s/mingle");
    fs::create_dir_all(&state).expect("a folder");
    fs::set_permissions(&state, fs::Permissions::from_mode(0o700)).expect("a private folder");
    std::os::unix::fs::symlink("/dev/full", state.join("mingled.log")).expect("a log on a full disk");
    let mut daemon = home.idle();
    daemon.launch_by("exec \"$0\" > /dev/full 2>&1");
    assert!(daemon.answers_or_ends().is_none(), "it ended");
    let mut play = Play::default();
    play.go_on(&mut daemon.app("player"), 40).expect("a daemon that lives");
    assert_eq!(play.count(&Told::Acknowledged), 40);
    assert_eq!(daemon.terminate().0.code(), Some(0));
}

/// A folder that was made for a new store is written down in the folder above it: else a power cut takes a synced store along.
#[test]
fn the_folder_of_a_new_store_is_synced_into_the_one_above() {
    let mut home = shim::home(CONFIG);
    let (root, record) = (home.dir().join("d"), home.dir().join("record"));
    let _shim = Shim::on(&mut home, &root);
    Shim::record(&mut home, &record);
    let mut daemon = home.start();
    daemon.terminate();
    let is_root = |change: &Change| matches!(change, Change::Synced(path) if *path == root);
    assert!(changes(&record).iter().any(is_root), "nobody synced {}", root.display());
}

#[test]
fn a_store_on_layers_works_like_any_other() {
    if let Some(why) = mount::why_not(&["mount", "umount"]) {
        return mingle_tests::tally::skip("a store on an overlay", &why);
    }
    let mut daemon = shim::home(CONFIG).start();
    let mut play = Play::default();
    play.go_on(&mut daemon.app("player"), 8).expect("a good disk");
    daemon.kill();
    let dir = daemon.dir().to_path_buf();
    let at = |name: &str| dir.join(name).display().to_string();
    for name in ["upper", "work"] {
        fs::create_dir(at(name)).expect("a folder");
    }
    let layers = format!("lowerdir={},upperdir={},workdir={}", at("d"), at("upper"), at("work"));
    must("mount", &["-t", "overlay", "overlay", "-o", &layers, &at("d")]);
    // The store lies below, and is copied up by the first write.
    daemon.start();
    play.go_on(&mut daemon.app("player"), 16).expect("a good disk");
    daemon.kill();
    daemon.start();
    let wrong = play.read(&mut daemon.app("player"));
    daemon.terminate();
    let more = play.look(&daemon.store());
    must("umount", &[&at("d")]);
    assert_eq!((wrong, more), (Vec::new(), Vec::new()));
    assert_eq!(play.count(&Told::Acknowledged), 16);
}

/// SQLite never uses the page at 1 GiB, on which others hold their locks. A store that grows over it is like any other.
#[test]
fn a_store_that_grows_over_a_gibibyte_is_like_any_other() {
    let mut daemon = shim::home(CONFIG).start();
    let mut play = Play::default();
    play.go_on(&mut daemon.app("player"), 8).expect("a good disk");
    daemon.terminate();
    {
        let conn = Connection::open(daemon.store()).expect("the store");
        conn.execute_batch("PRAGMA synchronous = off; PRAGMA journal_mode = off; CREATE TABLE filler (x)").expect("a table");
        let pages = |conn: &Connection| -> u64 { conn.query_row("PRAGMA page_count", (), |row| row.get(0)).expect("a count") };
        let border = (1 << 30) / 4_096;
        while pages(&conn) + 40 < border {
            let bytes = ((border - 40 - pages(&conn)) * 4_092).clamp(4_096, 400 << 20);
            conn.execute("INSERT INTO filler VALUES (zeroblob(?1))", [bytes]).expect("a large value");
        }
        assert!(pages(&conn) < border);
    }
    daemon.start();
    play.go_on(&mut daemon.app("player"), 60).expect("a good disk");
    daemon.kill();
    daemon.start();
    assert_eq!(play.read(&mut daemon.app("player")), Vec::<String>::new());
    daemon.terminate();
    assert!(fs::metadata(daemon.store()).expect("the store").len() > 1 << 30);
    assert_eq!(play.count(&Told::Acknowledged), 60);
    assert_eq!(play.held(&records(&daemon.store()).expect("a sound store")), Vec::<String>::new());
}
