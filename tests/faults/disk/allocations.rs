//! Owns: memory that is not given: an allocation of the daemon under an app that writes and reads fails, wherever it is made. Must never
//! know: who asks for memory, and what for.
//!
//! In SQLite such a call is an error by name, and can be repeated; anywhere else the process ends, as by a kill. `MINGLE_ALLOCATIONS` says
//! how many are tried (60 in a plain test run), `MINGLE_SEED` which.

use std::{
    os::unix::process::ExitStatusExt as _,
    sync::{
        Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
};

use mingle_tests::{chance::Chance, tally, wait::Watch};
use serde_json::json;

use super::{
    play::{CONFIG, Play, Told},
    shim::{self, Action, Op, Shim},
};

const ENOMEM: i32 = 12;
const SIGABRT: i32 = 6;

/// Commits before, and under it.
const BEFORE: usize = 8;
const UNDER: usize = 8;

/// What became of one.
struct Tried {
    wrong: Vec<String>,
    /// How many allocations there were.
    count: u64,
    /// The process ended by it.
    ended: bool,
    /// An app was told.
    told: bool,
}

/// The allocation with this number fails, and no other.
fn run(at: u64) -> Tried {
    let mut home = shim::home(CONFIG);
    let root = home.store().parent().expect("a folder").to_path_buf();
    let shim = Shim::on(&mut home, &root);
    let mut daemon = home.start();
    let mut play = Play::default();
    let mut app = daemon.app("player");
    play.go_on(&mut app, BEFORE).expect("memory enough");
    shim.arm(&[Op::Malloc], at, false, Action::Fail(ENOMEM));
    let (mut wrong, mut told) = (Vec::new(), false);
    let mut served = play.go_on(&mut app, BEFORE + UNDER);
    if served.is_ok() {
        served = app.ask("list", &json!({ "collection": "things", "limit": 1000 })).map(|answer| {
            if let Err(error) = answer {
                told = true;
                if error["data"]["name"] != "busy" {
                    wrong.push(format!("a read was told {error}"));
                }
            }
        });
    }
    let count = shim.count();
    shim.heal();
    // It may be about to end by what failed behind the last answer.
    let ended = served.is_err() || (shim.hits() > 0 && app.ask("sync.list", &json!({})).is_err());
    for (number, one) in play.told.iter().enumerate() {
        match one {
            Told::Acknowledged => {}
            Told::Refused(name) if name == "busy" => told = true,
            Told::Refused(name) if name == "not_found" && number % 4 == 3 && play.told[number - 1] != Told::Acknowledged => {}
            Told::Unknown if ended || shim.hits() > 0 => told = true,
            other => wrong.push(format!("write {number} was told {other:?}")),
        }
    }
    if ended {
        let status = daemon.ended();
        if status.signal() != Some(SIGABRT) {
            wrong.push(format!("it ended with {status}"));
        }
        daemon.start();
        app = daemon.app("player");
    }
    wrong.extend(play.settle(&mut app));
    wrong.extend(play.read(&mut app));
    let more = play.told.len() + 4;
    if play.go_on(&mut app, more).is_err() {
        wrong.push("no writes when there is memory again".to_owned());
    }
    let (status, _) = daemon.terminate();
    if status.code() != Some(0) {
        wrong.push(format!("it ended with {status} when there was memory again"));
    }
    wrong.extend(play.look(&daemon.store()));
    Tried { wrong, count, ended, told }
}

#[test]
fn any_allocation_may_fail_and_nothing_acknowledged_is_lost() {
    let tries = std::env::var("MINGLE_ALLOCATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let seed = Chance::seed(23);
    let mut chance = Chance::new(seed);
    let good = run(u64::MAX);
    assert_eq!(good.wrong, Vec::<String>::new());
    // A thread that reads for the first time opens the store, which is another thousand; it may have done that at the start.
    assert!(!good.ended && !good.told && good.count > 500, "{} allocations are counted", good.count);
    let points: Vec<u64> = (0..tries).map(|_| 1 + chance.below(good.count)).collect();
    let (next, ended, told, wrong) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicU64::new(0), Mutex::new(Vec::new()));
    let watch = Watch::start();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(at) = points.get(next.fetch_add(1, SeqCst)) {
                    match std::panic::catch_unwind(|| run(*at)) {
                        Ok(tried) => {
                            ended.fetch_add(u64::from(tried.ended), SeqCst);
                            told.fetch_add(u64::from(tried.told && !tried.ended), SeqCst);
                            if !tried.wrong.is_empty() {
                                wrong.lock().expect("whole").push(format!("allocation {at}: {}", tried.wrong.join("; ")));
                            }
                        }
                        Err(panic) => {
                            let words = panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "a panic".to_owned());
                            wrong.lock().expect("whole").push(format!("allocation {at}: {words}"));
                        }
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("whole");
    let (ended, told) = (ended.into_inner(), told.into_inner());
    eprintln!(
        "allocations: seed {seed}, {} of {}: {ended} ended the process, {told} were told, in {:.1} s",
        points.len(),
        good.count,
        watch.elapsed().as_secs_f64()
    );
    tally::tell("allocations", points.len() as u64, wrong.len() as u64);
    assert!(ended > 0 && told > 0, "both have to be met: {ended} ended the process, {told} were told");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
