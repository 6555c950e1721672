//! Owns: a disk that takes its time: who reads does not wait for it, and a stop does not either. Must never know: which thread waits.

use std::time::Duration;

use mingle_tests::{
    daemon::Daemon,
    wait::{Times, Watch},
};
use serde_json::json;

use super::{
    play::{CONFIG, Play, Told},
    shim::{self, Action, Op, Shim},
};

/// What a write of a slow disk takes.
const SLOW: Duration = Duration::from_millis(150);
/// What a read may take meanwhile: what is promised, and what a machine that does other things may add.
const READ: Duration = Duration::from_millis(100);
const ALLOWANCE: u32 = 3;

fn slow() -> (Daemon, Shim) {
    let mut home = shim::home(CONFIG);
    let root = home.store().parent().expect("a folder").to_path_buf();
    let shim = Shim::on(&mut home, &root);
    (home.start(), shim)
}

#[test]
fn who_reads_does_not_wait_for_a_slow_disk() {
    let (mut daemon, shim) = slow();
    daemon.app("player").put("things", "there", &json!({ "n": 1 }));
    // Each sync; and the writes before it are no faster on a real one.
    shim.arm(&[Op::Fsync], 1, true, Action::Delay(SLOW));
    let writers: Vec<_> = (0..3)
        .map(|number| {
            let mut app = daemon.app(&format!("writer{number}"));
            std::thread::spawn(move || {
                let mut play = Play::new(&format!("s{number}-"));
                play.go_on(&mut app, 8).expect("a daemon that lives");
                play
            })
        })
        .collect();
    let mut times = Times::default();
    let mut app = daemon.app("reader");
    while !writers.iter().all(std::thread::JoinHandle::is_finished) {
        let watch = Watch::start();
        assert_eq!(app.get("things", "there"), Some(json!({ "n": 1 })));
        app.must("status", json!({}));
        times.note(watch.elapsed());
    }
    eprintln!("slow disk: a read and a status together: {}", times.told());
    assert!(times.share(99) < READ * ALLOWANCE, "{}", times.told());
    for writer in writers {
        let play = writer.join().expect("a writer that ends well");
        assert_eq!(play.count(&Told::Acknowledged), 8);
        // Each commit waits for the disk, and for one other at most.
        assert!(play.slowest < SLOW * 12, "{:?}", play.slowest);
    }
    let (status, took) = daemon.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "its end took {took:?}");
}

/// A disk that stands still for long, as one does that wakes up or is repaired.
#[test]
fn a_disk_that_stands_still_holds_up_writes_alone() {
    let (daemon, shim) = slow();
    let mut app = daemon.app("reader");
    app.put("things", "there", &json!({ "n": 1 }));
    let stall = Duration::from_secs(4);
    shim.arm(&[Op::Fsync], 1, false, Action::Delay(stall));
    let mut writer = daemon.app("writer");
    let watch = Watch::start();
    let call = writer
        .send("put", &json!({ "collection": "things", "id": "late", "data": { "n": 2 }, "overwrite": true }))
        .expect("a daemon that lives");
    let mut times = Times::default();
    while watch.elapsed() < stall / 2 {
        let read = Watch::start();
        assert_eq!(app.get("things", "there"), Some(json!({ "n": 1 })));
        assert_eq!(app.get("things", "late"), None, "not before it is on the disk");
        times.note(read.elapsed());
    }
    assert!(times.share(99) < READ * ALLOWANCE, "{}", times.told());
    assert!(writer.answer(call).expect("an answer").is_ok());
    assert!(watch.elapsed() >= stall / 2);
    assert_eq!(app.get("things", "late"), Some(json!({ "n": 2 })));
}
