//! Owns: power cuts: the real daemon on a file system of its own, which is cut off under apps that write, again and again. Must never know:
//! how a write is kept.
//!
//! `MINGLE_POWER_CUTS` says how many for each kind of file system (3 in a plain test run), `MINGLE_SEED` when.

use std::time::Duration;

use mingle_tests::{
    chance::Chance,
    daemon::{Daemon, Home},
    tally,
    wait::{Watch, pass},
};

use super::{
    mount::{self, Mount},
    play::{CONFIG, Play, Told},
};

/// Apps that write at once.
const APPS: usize = 3;
/// Cuts that one file system sees.
const CUTS: u64 = 10;

/// What the cuts found.
#[derive(Default)]
struct Report {
    cuts: u64,
    acknowledged: usize,
    wrong: Vec<String>,
}

/// Cuts so often, or until something is lost where that is what is looked for.
fn cut(kind: &str, config: &str, cuts: u64, until_lost: bool) -> Report {
    let mut chance = Chance::new(Chance::seed(31));
    let mut report = Report::default();
    while report.cuts < cuts && (!until_lost || report.wrong.is_empty()) {
        let home = Home::new(Some(config));
        let disk = Mount::new(kind, 400, &home);
        let mut daemon = home.start();
        let mut plays: Vec<Play> = Vec::new();
        for _ in 0..CUTS.min(cuts - report.cuts) {
            report.cuts += 1;
            let names = (0..APPS).map(|app| format!("cut{}-{app}-", report.cuts));
            let written = write_until_cut(names.collect(), &mut daemon, &disk, chance.time(Duration::from_millis(250)));
            report.acknowledged += written.iter().map(|play| play.count(&Told::Acknowledged)).sum::<usize>();
            plays.extend(written);
            disk.again();
            daemon.start();
            let mut app = daemon.app("looker");
            let records = app.all("things");
            let wrong: Vec<String> = plays.iter().flat_map(|play| play.held(&records)).collect();
            if !wrong.is_empty() {
                report.wrong.push(format!("cut {}: {}", report.cuts, wrong.join("; ")));
                if until_lost {
                    return report;
                }
            }
        }
        for play in &mut plays {
            report.wrong.extend(play.settle(&mut daemon.app(play.name())));
        }
        daemon.terminate();
        for play in &plays {
            report.wrong.extend(play.look(&daemon.store()));
        }
    }
    report
}

/// Apps write; after so long, all stands still, the disk is cut off, and the daemon does not live to see it.
fn write_until_cut(names: Vec<String>, daemon: &mut Daemon, disk: &Mount, after: Duration) -> Vec<Play> {
    let writers: Vec<_> = names
        .into_iter()
        .map(|name| {
            let mut app = daemon.app(&name);
            std::thread::spawn(move || {
                let mut play = Play::new(&name);
                // It ends with the daemon.
                let _ = play.go_on(&mut app, usize::MAX);
                play
            })
        })
        .collect();
    // The moment is left to chance.
    pass(after);
    // Frozen first: a write that is acknowledged while the disk is being cut off would be told of as lost.
    daemon.freeze();
    disk.cut();
    daemon.kill();
    writers.into_iter().map(|writer| writer.join().expect("a writer that ends well")).collect()
}

fn try_kind(kind: &str) {
    let what = format!("power-cuts-{kind}");
    if let Some(why) = mount::why_not(&["mount", "umount", &format!("mkfs.{kind}")]) {
        return tally::skip(&what, &why);
    }
    let cuts = std::env::var("MINGLE_POWER_CUTS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let watch = Watch::start();
    let report = cut(kind, CONFIG, cuts, false);
    let (cuts, seconds) = (report.cuts, watch.elapsed().as_secs_f64());
    eprintln!(
        "power cuts on {kind}: {cuts} in {seconds:.1} s, {} writes acknowledged, {} wrong",
        report.acknowledged,
        report.wrong.len()
    );
    tally::tell(&what, cuts, report.wrong.len() as u64);
    assert!(report.wrong.is_empty(), "{:#?}", report.wrong);
    assert!(report.acknowledged as u64 > cuts, "hardly anything was written: {}", report.acknowledged);
    // Whether a cut can be seen at all: a store that does not sync its commits must lose some.
    let lax = cut(kind, &format!("[store]\nsynchronous = \"normal\"\n{CONFIG}"), 20, true);
    eprintln!("power cuts on {kind}: without syncs cut {} loses acknowledged writes", lax.cuts);
    assert!(lax.wrong.iter().any(|why| why.contains("was acknowledged")), "{:?}", lax.wrong);
}

#[test]
fn what_was_acknowledged_survives_power_cuts_on_ext4() {
    try_kind("ext4");
}

#[test]
fn what_was_acknowledged_survives_power_cuts_on_xfs() {
    try_kind("xfs");
}
