//! Owns: work that goes on and on (P10): what is over leaves nothing behind, in memory, in descriptors, in the log. Must never know: how
//! anything is cleared away.
//!
//! `MINGLE_SOAK` says how many edits (6,000 in a plain test run).

use std::{fs, path::PathBuf};

use mingle_tests::{
    app::App,
    chance::Chance,
    daemon::{Daemon, Home},
    rest_server::{Options, RestServer},
    tally,
    wait::until,
};
use serde_json::json;

/// Apps that edit at once.
const APPS: u64 = 4;
/// Edits go to so many records, so that what is kept of each is full soon.
const RECORDS: u64 = 200;
/// A log longer than this is one that nobody folds (P10).
const LOG_MAX: u64 = 64 << 20;
/// What memory may move by itself between two looks: caches that fill, an allocator that keeps.
const MEMORY_MOVES: u64 = 12 << 20;

/// What the daemon holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    memory: u64,
    descriptors: usize,
    log: u64,
}

fn held(daemon: &Daemon) -> Held {
    let store = daemon.store();
    let log = PathBuf::from(format!("{}-wal", store.display()));
    Held {
        memory: daemon.resident_bytes() - daemon.resident_file_bytes(),
        descriptors: fs::read_dir(format!("/proc/{}/fd", daemon.pid())).expect("its descriptors").count(),
        log: fs::metadata(log).map_or(0, |about| about.len()),
    }
}

/// So many edits by all apps together, each by chance: mostly a property, now and then a delete and the record anew.
fn edit(daemon: &Daemon, edits: u64, seed: u64) {
    std::thread::scope(|scope| {
        for at in 0..APPS {
            let mut app = daemon.app(&format!("app{at}"));
            let mut chance = Chance::new(seed + at);
            scope.spawn(move || {
                for count in 0..edits / APPS {
                    one(&mut app, &mut chance, count);
                }
            });
        }
    });
}

fn one(app: &mut App, chance: &mut Chance, count: u64) {
    let id = format!("r{}", chance.below(RECORDS));
    match chance.below(20) {
        0 => drop(app.ask("delete", &json!({ "collection": "things", "id": id })).expect("an answer")),
        _ => {
            let data = json!({ "n": count, "text": "x".repeat(usize::try_from(chance.below(200)).unwrap_or(0)) });
            let put = json!({ "collection": "things", "id": id, "data": data, "overwrite": true });
            app.ask("put", &put).expect("an answer").expect("a write that is taken");
        }
    }
}

#[test]
fn what_is_over_leaves_nothing_behind() {
    let edits = std::env::var("MINGLE_SOAK").ok().and_then(|text| text.parse().ok()).unwrap_or(6_000_u64);
    let server = RestServer::start(Options { batches: 50, ..Options::default() }, &["things"]);
    let home = Home::new(Some(&format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n\n\
         [sync.things]\ncollection = \"things\"\nremote = \"far\"\nresource = \"things\"\ndirection = \"both\"\nevery = \"1s\"\n",
        RestServer::PROFILE,
        server.url
    )));
    server.write_profile(&home.config_dir());
    let daemon = home.start();
    let seed = Chance::seed(31);
    // Warm: caches are full, and each record has its history.
    edit(&daemon, edits / 5, seed);
    let first = held(&daemon);
    let mut all = vec![first];
    for part in 1..5 {
        edit(&daemon, edits / 5, seed + 100 * part);
        all.push(held(&daemon));
    }
    eprintln!("soak, seed {seed}: {all:?}");
    let last = all[all.len() - 1];
    let longest = all.iter().map(|held| held.log).max().unwrap_or(0);
    let mut wrong = Vec::new();
    if last.memory > first.memory + MEMORY_MOVES {
        wrong.push(format!("memory grew from {} to {}", first.memory, last.memory));
    }
    if last.descriptors > first.descriptors + 4 {
        wrong.push(format!("descriptors grew from {} to {}", first.descriptors, last.descriptors));
    }
    if longest > LOG_MAX {
        wrong.push(format!("the log was {longest} bytes long"));
    }
    tally::tell("soaked-edits", edits, wrong.len() as u64);
    assert!(wrong.is_empty(), "{wrong:#?}\n{all:?}");
    // And all of it went to the service.
    let mut app = daemon.app("looker");
    until("everything to be sent", || {
        let run = app.run("things");
        (app.ended(&run) == "done" && app.status("things")["pending"] == 0).then_some(())
    });
    assert_eq!(app.all("things"), server.rows("things"));
}
