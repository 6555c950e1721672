//! Owns: what a wall clock that jumps, and a machine that sleeps, do to schedules (P16): the real daemon under libfaketime, its clock
//! set while it runs. Must never know: how it notices.
//!
//! `MINGLE_JUMPS` says how often in all (8 in a plain test run), `MINGLE_SEED` which way.

use std::{fs, path::PathBuf, time::Duration};

use mingle_tests::{
    app::App,
    chance::Chance,
    daemon::{Daemon, Home},
    rest_server::{Options, RestServer},
    tally,
    wait::{self, Watch},
};
use rustix::process::Signal;
use serde_json::json;

/// Where Debian and its kin put it.
const FAKETIME: &[&str] =
    &["/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1", "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1"];
/// Seconds that a clock is set by.
const JUMPS: &[i64] = &[1, 60, 3_600, 90_000, 31_536_000, 315_360_000];
/// A sync is due this often ...
const EVERY: Duration = Duration::from_secs(2);
/// ... and after a jump it has to run within this: the promise.
const CAUGHT_UP: Duration = Duration::from_secs(30);
/// Nobody else's machine is as busy as one that tests.
const DAEMONS: u64 = 4;

/// A daemon whose clock we hold, and the service that it syncs with.
struct Bench {
    clock: PathBuf,
    server: RestServer,
    daemon: Daemon,
    /// Runs that began so far.
    runs: usize,
}

fn faketime() -> Option<&'static str> {
    FAKETIME.iter().copied().find(|path| fs::exists(path).unwrap_or(false))
}

impl Bench {
    fn start(every: &str) -> Option<Self> {
        let library = faketime()?;
        let server = RestServer::start(Options::default(), &["things"]);
        let config = format!(
            "[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n[sync.things]\ncollection = \"things\"\nremote = \"far\"\n\
             resource = \"things\"\ndirection = \"both\"\n{every}\non_change = false\nbackoff = {{ first = \"100ms\", at_most = \"1s\" }}\n",
            RestServer::PROFILE,
            server.url
        );
        let mut home = Home::new(Some(&config));
        server.write_profile(&home.config_dir());
        let clock = home.dir().join("clock");
        fs::write(&clock, "+0").expect("a clock");
        for (name, value) in [
            ("LD_PRELOAD", library),
            ("FAKETIME_NO_CACHE", "1"),
            // What sleeps are measured by goes on, as with a clock that is set by hand.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("FAKETIME_TIMESTAMP_FILE", &clock.display().to_string()),
        ] {
            home.set(name, value);
        }
        let daemon = home.start();
        let mut bench = Self { clock, server, daemon, runs: 0 };
        bench.run_within("the first run", CAUGHT_UP);
        Some(bench)
    }

    /// Sets the daemon's wall clock so many seconds beside the true one.
    fn set(&self, offset: i64) {
        // In one step, so that nobody reads half of it.
        let next = self.clock.with_extension("next");
        fs::write(&next, format!("{offset:+}")).expect("a clock");
        fs::rename(&next, &self.clock).expect("a clock that is set");
    }

    /// Runs that began since it was asked last.
    fn began(&mut self) -> usize {
        let began = self.server.log().iter().filter(|line| *line == "GET about").count();
        self.runs += began;
        began
    }

    #[track_caller]
    fn run_within(&mut self, what: &str, within: Duration) {
        wait::until_within(what, within, || (self.began() > 0).then_some(()));
    }

    fn app(&self) -> App {
        self.daemon.app("tester")
    }
}

/// What a round of jumps found wrong.
fn jumps(bench: &mut Bench, count: u64, chance: &mut Chance) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut app, mut offset) = (bench.app(), 0);
    for n in 0..count {
        let size = JUMPS[usize::try_from(chance.below(JUMPS.len() as u64)).expect("few")];
        let by = if chance.below(2) == 0 { size } else { -size };
        // Never more than ten years from the truth: then it goes back, which is a jump too.
        let to = if (offset + by).abs() > 315_360_000 { 0 } else { offset + by };
        let sleeps = chance.below(3) == 0;
        let what = format!("{offset:+} s to {to:+} s{}", if sleeps { ", asleep" } else { "" });
        app.put("things", &format!("t{n}"), &json!({ "n": n }));
        // What the write wakes is asleep again: the daemon has to notice by itself.
        wait::pass(Duration::from_millis(100));
        if sleeps {
            bench.daemon.freeze();
        }
        bench.set(to);
        if sleeps {
            // A sleep of two intervals; that nothing happens meanwhile is what a sleep is.
            wait::pass(EVERY * 2);
            bench.daemon.signal(Signal::CONT);
        }
        offset = to;
        bench.began();
        let watch = Watch::start();
        while bench.began() == 0 && watch.elapsed() < CAUGHT_UP {
            wait::pass(Duration::from_millis(5));
        }
        let caught_up = watch.elapsed();
        // Three intervals may bring three more runs and one at the border; a storm would bring hundreds.
        wait::pass(EVERY);
        let more = bench.began();
        eprintln!("clock from {what}: a run after {caught_up:?}, {more} more in {EVERY:?}");
        if caught_up >= CAUGHT_UP {
            wrong.push(format!("{what}: no run within {CAUGHT_UP:?}"));
        }
        if more > 2 {
            wrong.push(format!("{what}: {more} runs within {EVERY:?}"));
        }
        let mine = json!({ "n": n });
        let arrived = Watch::start();
        while bench.server.rows("things").get(&format!("t{n}")) != Some(&mine) && arrived.elapsed() < CAUGHT_UP {
            wait::pass(Duration::from_millis(5));
        }
        if bench.server.rows("things").get(&format!("t{n}")) != Some(&mine) {
            wrong.push(format!("{what}: what was written before it did not arrive"));
        }
    }
    let status = app.must("status", json!({}));
    if status["attention"] != json!([]) {
        wrong.push(format!("{status}"));
    }
    wrong
}

#[test]
fn schedules_outlive_clocks_that_jump() {
    if faketime().is_none() {
        return tally::skip("clocks that jump", "libfaketime is not on this machine (`apt-get install faketime`)");
    }
    let count = std::env::var("MINGLE_JUMPS").ok().and_then(|text| text.parse().ok()).unwrap_or(8_u64);
    let seed = Chance::seed(16);
    eprintln!("clocks: seed {seed}");
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let rounds: Vec<_> = (0..DAEMONS)
            .map(|n| {
                scope.spawn(move || {
                    let mut bench = Bench::start("every = \"2s\"").expect("libfaketime");
                    jumps(&mut bench, count.div_ceil(DAEMONS), &mut Chance::new(seed + n))
                })
            })
            .collect();
        rounds.into_iter().flat_map(|round| round.join().expect("a round")).collect()
    });
    tally::tell("clock-jumps", count.div_ceil(DAEMONS) * DAEMONS, wrong.len() as u64);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// One that is due in an hour notices ten years, and a boot in 1970 that is mended, within half a minute; and runs once.
#[test]
fn a_sync_that_sleeps_long_notices_a_jump_and_runs_once() {
    let Some(mut bench) = Bench::start("every = \"1h\"\nflex = \"1s\"") else {
        return tally::skip("clocks that jump", "libfaketime is not on this machine (`apt-get install faketime`)");
    };
    wait::until("its end", || (bench.app().status("things")["state"] == "waiting").then_some(()));
    wait::pass(Duration::from_millis(100));
    bench.set(315_360_000);
    bench.run_within("the run after ten years", CAUGHT_UP + Duration::from_secs(5));
    wait::pass(EVERY);
    let more = bench.began();
    tally::tell("clock-jumps", 1, u64::from(more > 0));
    assert_eq!(more, 0, "it runs once, however many were missed");
}
