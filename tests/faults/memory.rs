//! Owns: that the daemon's memory is bounded whatever apps and a remote do (P9): the real daemon in a cage of 128 MiB, one attack after
//! another, and an honest app beside them. Must never know: which buffers the daemon has.
//!
//! `MINGLE_ATTACK_MS` says how long each attack lasts.

mod far;

use std::{sync::Arc, time::Duration};

use mingle_tests::{
    daemon::{Daemon, Home},
    hostile, tally, trap,
    wait::{self, Times, Watch},
};
use serde_json::json;

use crate::cage::Cage;

const MIB: u64 = 1 << 20;
/// What the system gives the daemon.
const CAGE: u64 = 128 * MIB;
/// What it may hold at most, beside the text of its program: 96 MiB in all, of which the text of a release has less than eight. That
/// of a test build has thirty, so it is not counted.
const HELD_MAX: u64 = (96 - 8) * MIB;
/// An honest app's write or read beside an attack, at the slow end: attackers, an unoptimized daemon and other tests share the cores.
const SERVED_WITHIN: Duration = Duration::from_secs(10);

/// One attack: what it is called, and what does it until it is told to end.
struct Attack {
    name: &'static str,
    run: Box<dyn Fn(&Ground) + Send + Sync>,
}

/// What an attack stands on.
pub struct Ground {
    apps: hostile::Ground,
    remote: Arc<far::Hostile>,
}

fn attacks() -> Vec<Attack> {
    let of_apps = hostile::attacks().into_iter();
    let mut all: Vec<Attack> = of_apps
        .map(|attack| Attack { name: attack.name, run: Box::new(move |ground: &Ground| attack.run(&ground.apps)) })
        .collect();
    all.extend(far::attacks());
    all
}

/// Four syncs of one remote, as many as may run at once, again and again.
fn config(url: &str) -> String {
    let mut text = format!("[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{url}\"\n", trap::PROFILE);
    for n in 0..4 {
        text.push_str(&format!(
            "[sync.s{n}]\ncollection = \"c{n}\"\nremote = \"far\"\nresource = \"r{n}\"\ndirection = \"down\"\nevery = \"1s\"\n\
             backoff = {{ first = \"50ms\", at_most = \"1s\" }}\n"
        ));
    }
    text + "[collection.notes]\n[collection.big]\n"
}

/// An honest app: writes and reads until the attack ends. How long each took.
fn honest(daemon: &Daemon, ground: &Ground) -> Times {
    let mut times = Times::default();
    let (mut app, mut begun) = (None, None);
    let mut n = 0;
    while ground.apps.goes_on() || times.is_empty() {
        // A try that is told to come again counts on.
        let watch = *begun.get_or_insert_with(Watch::start);
        // Where attackers hold every seat it waits like anybody; that is part of the time.
        let mine = app.get_or_insert_with(|| {
            wait::until("a seat for an honest app", || mingle_tests::app::App::try_connect(&daemon.socket(), "honest").ok())
        });
        n += 1;
        let put = json!({ "collection": "notes", "id": "mine", "data": { "n": n }, "overwrite": true });
        match mine.ask("put", &put) {
            Ok(Ok(_)) => {}
            // Told to come again is an answer.
            Ok(Err(error)) if error["data"]["retryable"] == true => continue,
            Ok(Err(error)) => panic!("an honest write is refused: {error}"),
            // The daemon is gone, or took this app for a hostile one.
            Err(_) => return Times::default(),
        }
        match mine.ask("get", &json!({ "collection": "notes", "id": "mine" })) {
            Ok(Ok(answer)) => assert_eq!(answer["data"]["n"], n),
            Ok(Err(error)) => panic!("an honest read is refused: {error}"),
            Err(_) => return Times::default(),
        }
        times.note(watch.elapsed());
        begun = None;
        wait::pass(Duration::from_millis(10));
    }
    times
}

#[test]
fn memory_is_bounded_whatever_apps_and_a_remote_do() {
    let Some(cage) = Cage::of(CAGE) else {
        return tally::skip("memory in a cage", "this machine lets us make no memory cgroup");
    };
    let ms = std::env::var("MINGLE_ATTACK_MS").ok().and_then(|text| text.parse().ok()).unwrap_or(500);
    let remote = Arc::new(far::Hostile::start());
    let mut home = Home::new(Some(&config(&remote.url())));
    trap::write_profile(&home.config_dir());
    let words = cage.words();
    home.set_under(&words.iter().map(String::as_str).collect::<Vec<_>>());
    home.set("MINGLE_LOG", "warn");
    let mut daemon = home.start();
    assert_eq!(cage.inside(), [daemon.pid()], "the daemon alone is in the cage");
    hostile::prepare(&daemon.socket());

    let only = std::env::var("MINGLE_ATTACK").unwrap_or_default();
    let (mut tried, mut most, mut failed) = (0, 0, Vec::new());
    for attack in attacks().iter().filter(|attack| attack.name.contains(&only)) {
        let ground = Ground { apps: hostile::Ground::at(&daemon.socket()), remote: Arc::clone(&remote) };
        let served = std::thread::scope(|scope| {
            let honest = scope.spawn(|| honest(&daemon, &ground));
            let hostile = scope.spawn(|| (attack.run)(&ground));
            wait::pass(Duration::from_millis(ms));
            ground.apps.end();
            ground.remote.peace();
            let served = honest.join();
            hostile.join().expect("an attack that is carried out");
            served.expect("an honest app is served")
        });
        tried += 1;
        let killed = cage.inside().is_empty();
        let held = if killed { CAGE } else { daemon.resident_bytes_most() - daemon.resident_file_bytes() };
        most = most.max(held);
        let told = format!("{}: held at most {} MiB so far; an honest app: {}", attack.name, held / MIB, served.told());
        eprintln!("{told}");
        if killed || held > HELD_MAX || served.is_empty() || served.share(100) > SERVED_WITHIN {
            failed.push(told);
        }
        if killed {
            daemon.ended();
            daemon.start();
        }
    }
    tally::tell("memory-attacks", tried, failed.len() as u64);
    eprintln!("memory: held at most {} MiB through {tried} attacks, {} kills", most / MIB, cage.kills());
    assert!(failed.is_empty(), "{failed:#?}");
    daemon.app("last").must("status", json!({}));
}
