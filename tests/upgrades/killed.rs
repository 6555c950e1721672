//! Owns: the daemon killed with -9 while it brings a store of each older schema to today's, at one system call that changes a file after the
//! other, and a disk that has no room for it. Must never know: what it writes.
//!
//! `MINGLE_UPGRADE_KILLS` says how many of those calls are tried (12, spread over all stores and all of their calls; `all` tries each).

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use mingle_tests::{app::App, daemon::Home, tally, wait, wait::until_within};
use serde_json::json;

use crate::golden::{Golden, goes_on, kept, newest, shape};

const CALLS: &str = "pwrite64,fsync,fdatasync,ftruncate,rename,renameat2,unlink,chmod,fchmod";

/// Starts the daemon with a kill at its k-th such call. Whether it was killed: false where it got so far that it answers.
fn dies_at(home: &Home, call: usize) -> bool {
    let mingled = home.mingled();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={CALLS}")]);
    strace.args(["-e", &format!("inject={CALLS}:signal=KILL:when={call}")]);
    strace.arg(mingled.get_program()).args(mingled.get_args());
    strace.env_clear().envs(home.environment()).current_dir(home.dir());
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = strace.spawn().expect("strace");
    let answers = until_within("mingled to die or to answer", wait::LONG, || {
        if let Ok(Some(_)) = child.try_wait() {
            return Some(false);
        }
        App::try_connect(&home.socket(), "harness").is_ok().then_some(true)
    });
    if answers && let Ok(mut app) = App::try_connect(&home.socket(), "harness") {
        // It may die of its own end.
        let _ = app.ask("shutdown", &json!({}));
    }
    child.wait().expect("its end");
    !answers
}

/// Kills the upgrade of one store so often: how often it was killed, and what went wrong.
fn killed(golden: &Golden, count: Option<usize>) -> (u64, Vec<String>) {
    // Where the daemon answers, all calls of the upgrade are behind it.
    let mut calls = 8;
    while dies_at(&golden.home().1, calls) {
        calls *= 2;
    }
    let tried: Vec<usize> = match count {
        Some(count) => (0..count).map(|at| 1 + at * calls / count.max(1)).collect(),
        None => (1..=calls).collect(),
    };
    let (mut kills, mut failed) = (0, Vec::new());
    for call in tried {
        let (server, home) = golden.home();
        if !dies_at(&home, call) {
            continue;
        }
        kills += 1;
        let daemon = home.start();
        let copies = kept(&daemon.store());
        // Killed between the copy's name and the commit, there are two; never none.
        if copies.is_empty() || copies.len() > 2 {
            failed.push(format!("{}: call {call}: {copies:?}", golden.name));
        }
        goes_on(golden, &server, &daemon);
    }
    (kills, failed)
}

#[test]
fn killed_at_any_write_of_an_upgrade_the_next_start_ends_whole_with_its_copy() {
    if Command::new("strace").arg("-V").stdout(Stdio::null()).status().is_err() {
        return tally::skip("an upgrade killed at each call", "strace is not on this machine: `apt-get install strace`");
    }
    let asked = std::env::var("MINGLE_UPGRADE_KILLS").unwrap_or_else(|_| "12".into());
    let newest = newest();
    let older: Vec<Golden> = Golden::all().into_iter().filter(|golden| shape(&golden.home().1.store()) != newest).collect();
    assert!(older.len() > 1, "only {} stores are older than today's", older.len());
    let each = asked.parse::<usize>().ok().map(|count| count.div_ceil(older.len()));
    let (mut kills, mut failed) = (0, Vec::new());
    for golden in &older {
        let (killed, wrong) = killed(golden, each);
        eprintln!("upgrades killed: {}: {killed}", golden.name);
        assert!(killed > 0, "{}: nothing was killed", golden.name);
        kills += killed;
        failed.extend(wrong);
    }
    tally::tell("migrations-killed", kills, failed.len() as u64);
    assert!(failed.is_empty(), "{failed:?}");
}

/// A small file system of memory; taken down with its value. None: only root may make one.
struct Small(tempfile::TempDir);

impl Small {
    fn new(bytes: usize) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("mgs").rand_bytes(4).tempdir_in("/tmp").expect("a folder");
        let size = format!("size={bytes},mode=700");
        let made =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(dir.path()).stderr(Stdio::null()).status();
        made.is_ok_and(|status| status.success()).then_some(Self(dir))
    }

    /// Fills it up but for so many bytes.
    fn fill(&self, left: u64) -> std::path::PathBuf {
        let filler = self.0.path().join("filler");
        let told = rustix::fs::statvfs(self.0.path()).expect("its room");
        let bytes = (told.f_bavail * told.f_frsize).saturating_sub(left);
        fs::write(&filler, vec![1; usize::try_from(bytes).expect("some bytes")]).expect("a filler");
        filler
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[test]
fn a_disk_without_room_for_the_copy_leaves_the_store_as_it_was() {
    let Some(small) = Small::new(8 << 20) else {
        return tally::skip("a disk without room", "only root may mount");
    };
    let early = Golden::all().into_iter().find(|golden| golden.name == "1-early").expect("the first store");
    let (server, home) = early.home_in(small.0.path());
    let before = fs::read(home.store()).expect("the store");
    for left in [96 << 10, before.len() as u64 + (32 << 10)] {
        let filler = small.fill(left);
        let output = home.mingled_ends();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{left}: {said}");
        assert!(said.contains("the disk is full"), "{left}: {said}");
        assert_eq!(kept(&home.store()), [""; 0].map(Path::new), "{left}");
        fs::remove_file(filler).expect("room again");
        // What the log may have of it is not part of the store.
        let conn = rusqlite::Connection::open(home.store()).expect("the store");
        let old: i64 = conn
            .query_row("SELECT count(*) FROM pragma_table_info('m_sync') WHERE name = 'facts'", (), |row| row.get(0))
            .expect("an answer");
        assert_eq!(old, 1, "{left}: still as it was");
    }
    let daemon = home.start();
    assert_eq!(kept(&daemon.store()).len(), 1);
    goes_on(&early, &server, &daemon);
}
