//! Owns: a disk that stands still: the watchdog is fed by progress alone, and what waited is done when it goes on. Must never know: how
//! progress is seen.

use std::{os::unix::net::UnixDatagram, path::Path, time::Duration};

use mingle_tests::{
    daemon::Home,
    tally,
    wait::{Watch, until},
};
use serde_json::json;

use super::mount::{self, Mount, must};

/// The service manager asks for a sign of life in each stretch of this length.
const STRETCH: Duration = Duration::from_millis(400);
/// For so long nothing must be heard.
const QUIET: Duration = Duration::from_secs(3);

/// How often the daemon says that it lives, in this time.
fn heard(manager: &UnixDatagram, time: Duration) -> usize {
    let (watch, mut count) = (Watch::start(), 0);
    manager.set_read_timeout(Some(Duration::from_millis(50))).expect("patience");
    while watch.elapsed() < time {
        let mut bytes = [0; 4096];
        let Ok(length) = manager.recv(&mut bytes) else { continue };
        count += String::from_utf8_lossy(&bytes[..length]).lines().filter(|line| *line == "WATCHDOG=1").count();
    }
    count
}

/// Stands still until it is dropped, also where a test fails in between.
struct Frozen<'a>(&'a Path);

impl<'a> Frozen<'a> {
    fn new(at: &'a Path) -> Self {
        must("fsfreeze", &["-f", &at.display().to_string()]);
        Self(at)
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        must("fsfreeze", &["-u", &self.0.display().to_string()]);
    }
}

#[test]
fn a_writer_that_stands_still_feeds_no_watchdog() {
    if let Some(why) = mount::why_not(&["mount", "umount", "mkfs.ext4", "fsfreeze"]) {
        return tally::skip("a disk that stands still", &why);
    }
    let mut home = Home::new(Some("[collection.notes]\n"));
    let disk = Mount::new("ext4", 64, &home);
    let path = home.dir().join("manager.sock");
    let manager = UnixDatagram::bind(&path).expect("a service manager's ear");
    home.set("NOTIFY_SOCKET", path.display().to_string());
    home.set("WATCHDOG_USEC", STRETCH.as_micros().to_string());
    let daemon = home.start();
    until("signs of life", || (heard(&manager, STRETCH) > 0).then_some(()));
    let mut app = daemon.app("tester");
    app.put("notes", "before", &json!({ "n": 1 }));
    let frozen = Frozen::new(disk.at());
    let waits = app.send("put", &json!({ "collection": "notes", "id": "during", "data": { "n": 2 } })).expect("a call");
    // What was on its way is heard; then nothing, for as long as nothing goes on.
    let _ = heard(&manager, STRETCH * 2);
    assert_eq!(heard(&manager, QUIET), 0, "it says that it lives, and no write comes to its end");
    drop(frozen);
    until("signs of life", || (heard(&manager, STRETCH) > 0).then_some(()));
    app.answer(waits).expect("an answer").expect("what waited is written");
    assert_eq!(app.get("notes", "during"), Some(json!({ "n": 2 })));
}
