//! Owns: a kill at every single call that changes the disk, from the first start of a store to its end. Must never know: how a write is
//! kept.
//!
//! `MINGLE_KILLED_SYSCALLS` says how many of all calls (60 in a plain test run), `MINGLE_SEED` which.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use mingle_tests::{app::App, chance::Chance, tally, wait::Watch};

use super::{
    play::{CONFIG, Play},
    shim::{self, Action, CHANGES, Shim},
};

/// Commits of a run.
const COMMITS: usize = 30;

/// A daemon that is killed at this call; what went wrong. `None` for the call: it ends in good order, and how many calls it made.
fn run(at: u64, half: bool) -> (Vec<String>, u64) {
    let mut home = shim::home(CONFIG);
    // Everything that it keeps: store, lock, log.
    let root = home.dir().to_path_buf();
    let shim = Shim::on(&mut home, &root);
    shim.arm(CHANGES, at, false, if half { Action::KillHalf } else { Action::Kill });
    let mut daemon = home.idle();
    daemon.launch();
    let mut play = Play::default();
    let ended = daemon.answers_or_ends();
    if ended.is_none() {
        // The call may come between its first answer and this connection.
        let written = App::try_connect(&daemon.socket(), "player").and_then(|mut app| play.go_on(&mut app, COMMITS));
        if written.is_ok() {
            daemon.terminate();
        } else {
            daemon.ended();
        }
    }
    let count = shim.count();
    shim.heal();
    let mut wrong = play.look_if_there(&daemon.store());
    // No repair: the next start just works.
    daemon.start();
    let mut app = daemon.app("player");
    wrong.extend(play.settle(&mut app));
    wrong.extend(play.read(&mut app));
    let more = play.told.len() + 4;
    if play.go_on(&mut app, more).is_err() {
        wrong.push("no writes after a kill".to_owned());
    }
    let (status, _) = daemon.terminate();
    if status.code() != Some(0) {
        wrong.push(format!("it ended with {status}"));
    }
    wrong.extend(play.look(&daemon.store()));
    (wrong, count)
}

#[test]
fn a_kill_at_any_call_that_changes_the_disk_loses_nothing() {
    let tries = std::env::var("MINGLE_KILLED_SYSCALLS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let seed = Chance::seed(19);
    let mut chance = Chance::new(seed);
    let (wrong, all) = run(u64::MAX, false);
    assert_eq!(wrong, Vec::<String>::new());
    let mut points: Vec<u64> = (1..=all).collect();
    for at in 0..points.len().min(tries) {
        let other = at as u64 + chance.below((points.len() - at) as u64);
        points.swap(at, usize::try_from(other).expect("an index"));
    }
    points.truncate(tries);
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let watch = Watch::start();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(at) = points.get(next.fetch_add(1, SeqCst)) {
                    let found = std::panic::catch_unwind(|| run(*at, at.is_multiple_of(2)).0).unwrap_or_else(|panic| {
                        vec![panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned())]
                    });
                    if !found.is_empty() {
                        wrong.lock().expect("whole").push(format!("call {at}: {}", found.join("; ")));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("whole");
    eprintln!("killed syscalls: seed {seed}, {} of {all} calls in {:.1} s", points.len(), watch.elapsed().as_secs_f64());
    tally::tell("killed-syscalls", points.len() as u64, wrong.len() as u64);
    assert!(wrong.is_empty(), "{wrong:#?}");
}
