//! Owns: what the log tells of runs and of what a person should know: enough to explain a sync that fails, and no more. Must never know:
//! where the log goes.

use mingle_tests::{
    rest_server::{Fault, Options},
    wait::until,
};
use serde_json::json;

use crate::bench::scripted;

#[test]
fn the_log_says_how_each_run_ended_and_a_failure_that_goes_on_does_not_fill_it() {
    let mut bench = scripted(Options::default(), "backoff = { first = \"1h\", at_most = \"1h\" }\n");
    bench.server.put("things", "r1", &json!({ "n": 1 }));
    bench.app.sync("things", "done");
    for _ in 0..7 {
        bench.server.next("GET", Fault::Status(403, vec![]));
        bench.app.sync("things", "failed");
    }
    bench.app.sync("things", "done");
    let ended = || bench.daemon.said().lines().filter(|line| line.contains("a run ended")).map(str::to_owned).collect::<Vec<_>>();
    // The answer to who waits leaves before the log does.
    let lines = until("the end of each run in the log", || Some(ended()).filter(|lines| lines.len() >= 5));
    let all = lines.join("\n");
    #[track_caller]
    fn check(line: &str, parts: &[&str], all: &str) {
        for part in parts {
            assert!(line.contains(part), "no {part:?} in\n{line}\nof\n{all}");
        }
    }
    let why = bench.app.must("history", json!({ "sync": "things" }))["runs"][1]["error"].clone();
    let (what, hint) = (why["what"].as_str().expect("words"), why["hint"].as_str().expect("a hint"));
    let (what, hint) = (format!("what={what:?}"), format!("hint={hint:?}"));
    assert_eq!(lines.len(), 5, "the first, the second and the fourth of seven equal failures: {all}");
    check(&lines[0], &["INFO", "sync=\"things\"", "run=\"r-", "status=\"done\"", "down=1", "took="], &all);
    check(&lines[1], &["WARN", "sync=\"things\"", "status=\"failed\"", "error=\"nonsense\"", &what, &hint, "next="], &all);
    check(&lines[2], &["INFO", "status=\"failed\"", "failures=2"], &all);
    check(&lines[3], &["INFO", "failures=4"], &all);
    check(&lines[4], &["INFO", "status=\"done\"", "failures_before=7"], &all);
    let begun = bench.daemon.said().lines().filter(|line| line.contains("a run begins")).count();
    assert_eq!(begun, 5, "as many begins as ends: {}", bench.daemon.said());
}

#[test]
fn what_a_person_should_know_is_logged_when_it_comes_and_when_it_goes() {
    let bench = scripted(Options::default(), "");
    let good = std::fs::read_to_string(bench.daemon.config_dir().join("config.toml")).expect("the configuration");
    bench.daemon.configure(&format!("{good}\n[nonsense]\n"));
    let _ = bench.daemon.says(2, &["reload"]);
    let _ = bench.daemon.says(2, &["reload"]);
    bench.daemon.configure(&good);
    bench.daemon.says(0, &["reload"]);
    let lines = |level: &str| {
        let said = bench.daemon.said();
        said.lines().filter(|line| line.contains(level) && line.contains("attention=\"config\"")).count()
    };
    until("the end of it in the log", || (lines("INFO") == 1).then_some(()));
    assert_eq!(lines("WARN"), 1, "{}", bench.daemon.said());
}
