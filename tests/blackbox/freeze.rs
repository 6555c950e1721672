//! Owns: what a schedule does after the whole process stood still. Must never know: how the clock is read.

use std::time::Duration;

use mingle_tests::{rest_server::Options, wait};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::bench::scripted;

fn runs(app: &mut mingle_tests::app::App) -> usize {
    app.must("history", json!({ "sync": "things", "limit": 1000 }))["runs"].as_array().map_or(0, |runs: &Vec<Value>| runs.len())
}

/// Twelve seconds are three intervals; a minute would show no more than that, for fifteen.
#[test]
fn after_a_freeze_exactly_one_run_follows() {
    let mut bench = scripted(Options::default(), "every = \"4s\"\nflex = \"1s\"\n");
    wait::until("the first run", || (runs(&mut bench.app) >= 1).then_some(()));
    wait::until("its end", || (bench.app.status("things")["state"] == "waiting").then_some(()));
    bench.daemon.freeze();
    // Nothing can be waited for: the process stands still, and that is what is tested.
    wait::pass(Duration::from_secs(12));
    let before = bench.server.log().len();
    assert!(before > 0, "it ran before");
    bench.daemon.signal(Signal::CONT);
    let count = runs(&mut bench.app);
    let watch = wait::Watch::start();
    let mut greeted = 0;
    let mut greetings = |bench: &crate::bench::Scripted| {
        greeted += bench.server.log().iter().filter(|line| *line == "GET about").count();
        greeted
    };
    wait::until_within("the run that was missed", Duration::from_millis(2500), || (greetings(&bench) > 0).then_some(()));
    // The next one is due three seconds after this one at the earliest: until then nothing may begin.
    wait::pass(Duration::from_millis(2800).saturating_sub(watch.elapsed()));
    assert_eq!(greetings(&bench), 1, "runs after a freeze");
    let after = runs(&mut bench.app);
    assert!(after - count <= 1, "{} runs after a freeze", after - count);
    bench.app.put("things", "a", &json!({ "v": 1 }));
    wait::until("the schedule to go on", || bench.theirs().remove("a"));
}
