//! Owns: that one daemon at most serves a store, however many are started and by whatever path (P11). Must never know: how they agree.
//!
//! `MINGLE_RACES` says how many starts race in all (100 in a plain test run), `MINGLE_SEED` the moments.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, symlink},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use mingle_tests::{
    app::App,
    chance::Chance,
    daemon::Home,
    servers, tally,
    wait::{self, Watch, until},
};
use rustix::process::{Pid, Signal};
use serde_json::json;

/// So many are started at once.
const AT_ONCE: u64 = 50;
/// How a daemon ends that finds another.
const LOCKED: i32 = 75;

fn start(home: &Home) -> Child {
    let mut command = home.mingled();
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    servers::spawn(command).expect("a daemon")
}

/// Processes that hold a lock on this file, by the system's list; one that holds none may still be starting.
fn holders(file: &Path) -> Vec<u32> {
    let Ok(about) = fs::metadata(file) else { return Vec::new() };
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let ours = format!(":{}", about.ino());
    let lines = locks.lines().filter(|line| line.contains("FLOCK") && !line.contains("->"));
    let held = lines.filter(|line| line.split_whitespace().any(|word| word.ends_with(&ours)));
    held.filter_map(|line| line.split_whitespace().nth(4)?.parse().ok()).collect()
}

/// Whether this process alone holds a lock on this file; else who was seen last. The system's list is read piece by piece, and a piece may
/// lack a lock where others come and go meanwhile, so one that is not there is looked for again.
fn holds_alone(file: &Path, pid: u32) -> Result<(), Vec<u32>> {
    let watch = Watch::start();
    loop {
        let held = holders(file);
        if held == [pid] {
            return Ok(());
        }
        if held.iter().any(|one| *one != pid) || watch.elapsed() > Duration::from_secs(1) {
            return Err(held);
        }
        wait::pass(Duration::from_millis(5));
    }
}

/// Starts many at once; kills the one that serves now and then, and starts others. What went wrong.
fn race(home: &Home, starts: u64, chance: &mut Chance) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut running: Vec<Child> = (0..starts.min(AT_ONCE)).map(|_| start(home)).collect();
    let mut started = running.len() as u64;
    let mut acknowledged = 0;
    loop {
        // Everybody but one goes away.
        until("all but one daemon to end", || {
            running.retain_mut(|child| match child.try_wait() {
                Ok(Some(status)) => {
                    if status.code() != Some(LOCKED) {
                        wrong.push(format!("one of many ended with {status}"));
                    }
                    false
                }
                _ => true,
            });
            (running.len() <= 1).then_some(())
        });
        let Some(mut served) = running.pop() else {
            wrong.push("nobody serves".into());
            return wrong;
        };
        let mut app = until("the one that is left to answer", || App::try_connect(&home.socket(), "racer").ok());
        if let Err(held) = holds_alone(&home.lock(), served.id()) {
            wrong.push(format!("the lock is held by {held:?}, and {} serves", served.id()));
        }
        if let Some(was) = app.get("notes", "race")
            && was["n"] != acknowledged
        {
            wrong.push(format!("{was} is there, acknowledged {acknowledged}"));
        }
        acknowledged = started;
        app.put("notes", "race", &json!({ "n": acknowledged }));
        if started >= starts {
            let _ = rustix::process::kill_process(Pid::from_child(&served), Signal::TERM);
            until("the last daemon to end", || served.try_wait().ok().flatten());
            return wrong;
        }
        // A storm of starts around a death: the one that serves is killed, or stands still, while others begin.
        let more = (starts - started).min(AT_ONCE);
        let before = chance.below(more + 1);
        running.extend((0..before).map(|_| start(home)));
        if chance.below(2) == 0 {
            let pid = Pid::from_child(&served);
            let _ = rustix::process::kill_process(pid, Signal::STOP);
            running.extend((before..more).map(|_| start(home)));
            // As long as it stands still, it is the one: nobody else may serve.
            wait::pass(chance.time(Duration::from_millis(200)));
            if holds_alone(&home.lock(), served.id()).is_err() {
                wrong.push("another took over from one that stands still".into());
            }
            let _ = rustix::process::kill_process(pid, Signal::CONT);
            running.push(served);
        } else {
            let _ = served.kill();
            let _ = served.wait();
            running.extend((before..more).map(|_| start(home)));
            // All of the storm may have seen the dead one's lock: then it is as if nobody had been started.
            wait::pass(Duration::from_millis(1));
            running.push(start(home));
            started += 1;
        }
        started += more;
    }
}

#[test]
fn of_many_daemons_one_serves() {
    let starts = std::env::var("MINGLE_RACES").ok().and_then(|text| text.parse().ok()).unwrap_or(100_u64);
    let seed = Chance::seed(23);
    eprintln!("races: seed {seed}");
    let home = Home::new(Some("[collection.notes]\n"));
    let wrong = race(&home, starts, &mut Chance::new(seed));
    tally::tell("races", starts, wrong.len() as u64);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The same store by another way: a link, a second name, a folder mounted elsewhere. Each is refused, or finds the store held.
#[test]
fn a_store_by_a_second_path_is_not_a_second_store() {
    let daemon = Home::new(Some("[collection.notes]\n")).start();
    daemon.app("tester").put("notes", "a", &json!({ "n": 1 }));
    let store = daemon.store();
    let mut failed = Vec::new();
    let mut check = |what: &str, store: &Path, expect: &str, code: i32| {
        let other = Home::new(Some(&format!("[collection.notes]\n[store]\npath = \"{}\"\n", store.display())));
        eprintln!("races: by {what}");
        let output = other.mingled_ends();
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.code() != Some(code) || !said.contains(expect) {
            failed.push(format!("{what}: {} {said}", output.status));
        }
    };
    check("the same path", &store, "another mingled works on", LOCKED);
    let place = daemon.dir().join("elsewhere");
    fs::create_dir(&place).expect("a folder");
    rustix::fs::chmod(&place, rustix::fs::Mode::from_raw_mode(0o700)).expect("a private folder");
    symlink(&store, place.join("link.db")).expect("a link");
    check("a link", &place.join("link.db"), "is a link", 78);
    symlink(store.parent().expect("its folder"), place.join("folder")).expect("a link to the folder");
    check("a link to the folder", &place.join("folder/store.db"), "is a link or not a directory", 78);
    fs::hard_link(&store, place.join("second.db")).expect("a second name");
    check("a second name", &place.join("second.db"), "2 names", 78);
    fs::remove_file(place.join("second.db")).expect("one name again");
    let mounted = place.join("mounted");
    fs::create_dir(&mounted).expect("a folder");
    rustix::fs::chmod(&mounted, rustix::fs::Mode::from_raw_mode(0o700)).expect("a private folder");
    let mount = Command::new("mount").arg("--bind").arg(store.parent().expect("its folder")).arg(&mounted).output();
    if mount.is_ok_and(|output| output.status.success()) {
        check("a folder mounted elsewhere", &mounted.join("store.db"), "another mingled works on", LOCKED);
        let gone = Command::new("umount").arg(&mounted).status();
        assert!(gone.is_ok_and(|status| status.success()), "{} stays mounted", mounted.display());
    } else {
        tally::skip("a folder mounted elsewhere", "only root may mount");
    }
    tally::tell("races", 5, failed.len() as u64);
    assert!(failed.is_empty(), "{failed:#?}");
    assert_eq!(daemon.app("tester").get("notes", "a"), Some(json!({ "n": 1 })));
}
