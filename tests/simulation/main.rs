//! Owns: the simulation's tests: schedules from seeds, and that the same seed gives the same trace. Must never know: how a world
//! is made.
//!
//! The daemon's own engine, `perform` and SQL run in memory against fake services, on a virtual clock, with a crash, a stop or an
//! edit between any two steps. Nothing of storing, mingling or runs is implemented here a second time. A seed alone:
//! `MINGLE_SEED=n cargo test -p mingle-tests --test simulation one_seed -- --nocapture`; more of them:
//! `MINGLE_SCHEDULES=100000 cargo test -p mingle-tests --test simulation schedules -- --nocapture`. With the feature `planted`, whether
//! it sees the bugs that are planted for it (one of them: `MINGLE_PLANTED=name`). `MINGLE_WITH=copies,cascade` plays those seeds alone that
//! have both (also `mirrors`, `discard`, `identity`). `days` plays the schedule alone.

mod chance;
mod days;
mod fake;
mod family;
mod fleet;
mod found;
mod keepers;
mod known;
mod oracle;
mod people;
mod scenarios;
mod schedule;
mod service;
mod setup;
mod trace;
mod waits;
mod words;
mod world;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use setup::{Bias, Setup};

/// What `cargo test` plays; a minute and a half on two processors, more when they are busy, because this is where the rules of
/// meetings, runs and checkpoints are tried as a whole.
const SCHEDULES: u64 = 20_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}

/// Whether a seed has what is looked for alone: any of these words, or nothing is looked for.
fn is_wanted(seed: u64) -> bool {
    let Ok(words) = std::env::var("MINGLE_WITH") else { return true };
    let setup = Setup::draw(seed, Bias::default());
    words.split(',').all(|word| setup.has(word).unwrap_or_else(|| panic!("MINGLE_WITH knows no {word:?}")))
}

/// Plays seeds from `first` on, on all processors; returns the failing ones, lowest first.
fn search(first: u64, count: u64, most: usize, planted: Option<&str>) -> Vec<u64> {
    let next = AtomicU64::new(first);
    let failed = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                plant(planted);
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count || failed.lock().expect("no panic").len() >= most {
                        return;
                    }
                    if !is_wanted(seed) {
                        continue;
                    }
                    let report = std::panic::catch_unwind(|| schedule::play(seed, Bias::default(), false));
                    if report.is_err() || report.is_ok_and(|report| !report.wrong.is_empty()) {
                        failed.lock().expect("no panic").push(seed);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().expect("no panic");
    failed.sort_unstable();
    failed
}

#[test]
fn schedules() {
    let count = number("MINGLE_SCHEDULES").unwrap_or(SCHEDULES);
    let first = number("MINGLE_FIRST").unwrap_or(0);
    let began = Instant::now();
    let most = number("MINGLE_FAILURES").unwrap_or(3);
    let failed = search(first, count, usize::try_from(most).unwrap_or(3), None);
    let seconds = began.elapsed().as_secs_f64();
    mingle_tests::tally::tell("schedules", count, failed.len() as u64);
    report(&format!("{count} schedules in {seconds:.1} s, {:.0} a second", count as f64 / seconds));
    if let Some(seed) = failed.first() {
        panic!(
            "{}\nschedules fail:\n{}\nagain: MINGLE_SEED={seed} cargo test -p mingle-tests --test simulation one_seed -- --nocapture",
            shrunk(*seed, Bias::default()),
            failed.iter().map(|seed| summary(*seed)).collect::<Vec<_>>().join("\n")
        );
    }
}

/// Plants a bug in this thread.
fn plant(bug: Option<&str>) {
    #[cfg(feature = "planted")]
    mingle_core::planted::set_here(bug);
    #[cfg(not(feature = "planted"))]
    assert_eq!(bug, None, "bugs are planted with the feature of that name");
}

/// A simulation that finds nothing may be blind: it has to find each bug that is planted for it.
#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use mingle_core::planted::{Finder, found_by};
    let wanted = std::env::var("MINGLE_PLANTED").ok();
    let bugs = Mutex::new(found_by(Finder::Simulation).filter(|bug| wanted.as_deref().is_none_or(|wanted| wanted == *bug)));
    let unseen = Mutex::new(Vec::new());
    let next = || bugs.lock().expect("no panic").next();
    let looks_for = |bug: &'static str| {
        let began = Instant::now();
        // Scenarios first: there are few of them.
        plant(Some(bug));
        let scenario = scenarios::first_failing();
        plant(None);
        let schedule = || search(0, 2_000, 1, Some(bug)).first().map(|seed| format!("schedule {seed}"));
        let found = scenario.map(|name| format!("scenario {name}")).or_else(schedule);
        let told = found.as_ref().map_or("NOT found".into(), |by| format!("found by {by}"));
        report(&format!("{bug}: {told}, {:.1} s", began.elapsed().as_secs_f64()));
        if found.is_none() {
            unseen.lock().expect("no panic").push(bug);
        }
    };
    // A bug is planted in one thread alone.
    let threads = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(bug) = next() {
                    looks_for(bug);
                }
            });
        }
    });
    let unseen = unseen.into_inner().expect("no panic");
    assert!(unseen.is_empty(), "no scenario and none of 2,000 schedules sees {unseen:?}");
}

/// A failing seed in one line.
fn summary(seed: u64) -> String {
    match std::panic::catch_unwind(|| schedule::play(seed, Bias::default(), false)) {
        Ok(report) => format!("{seed}: {}", report.wrong.first().map_or("", String::as_str)),
        Err(_) => format!("{seed}: panics"),
    }
}

/// The trace of a failing seed, with as few moves as still fail.
fn shrunk(seed: u64, bias: Bias) -> String {
    let setup = Setup::draw(seed, bias);
    let deeds = schedule::shrink(seed, &setup, schedule::deeds(seed, &setup));
    match std::panic::catch_unwind(|| schedule::play_deeds(seed, setup, &deeds, true)) {
        Ok(report) => format!("{}\n{} moves", report.trace, deeds.len()),
        Err(_) => "it panics".into(),
    }
}

/// One line for whoever runs with `--nocapture`.
fn report(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[test]
fn one_seed() {
    let Some(seed) = number("MINGLE_SEED") else { return };
    let played = schedule::play(seed, Bias::default(), true);
    report(&if played.wrong.is_empty() { played.trace } else { shrunk(seed, Bias::default()) });
    assert!(played.wrong.is_empty(), "seed {seed}:\n{}", played.wrong.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..200 {
        let (once, again) = (schedule::play(seed, Bias::default(), true), schedule::play(seed, Bias::default(), true));
        assert_eq!(once.hash, again.hash, "seed {seed}");
        assert!(once.trace.lines().count() > Setup::draw(seed, Bias::default()).moves / 10, "seed {seed} does nothing");
    }
}
