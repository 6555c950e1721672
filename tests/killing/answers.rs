//! Owns: kills between an answer and the truth: what a service told once, and will not tell again while nothing changes, must be there
//! afterwards. Must never know: where answers are kept.

use std::time::Duration;

use mingle_tests::{
    app::App,
    chance::Chance,
    daemon::{Daemon, Home},
    rest_server::{Options, RestServer},
    wait::{self, until},
};
use serde_json::json;

/// Each kill comes so long after the listing was answered, at most.
const LIFE: Duration = Duration::from_millis(40);

/// Kills so often, each time once the listing was answered: what the service has and the truth lacks, after the next run.
fn kill(kills: u64, planted: Option<&str>) -> (Vec<String>, Daemon) {
    let mut chance = Chance::new(Chance::seed(13));
    let server = RestServer::start(Options { etags: true, ..Options::default() }, &["things"]);
    let mut home = Home::new(Some(&super::config(&server.url).replace("every = \"1s\"\n", "on_start = false\n")));
    server.write_profile(&home.config_dir());
    if let Some(bug) = planted {
        home.set("MINGLE_PLANTED", bug);
    }
    let mut daemon = home.start();
    let run = |app: &mut App| {
        // One that a kill cut off goes on by itself, and is waited for as well.
        let run = app.run("things");
        assert_eq!(app.ended(&run), "done", "{}", app.status("things"));
    };
    run(&mut daemon.app("tester"));
    let mut lost = Vec::new();
    for round in 0..kills {
        server.put("things", &format!("r{}", round % 5), &json!({ "round": round }));
        let _ = server.log();
        let mut app = daemon.app("tester");
        let _ = app.run("things");
        until("the listing to be asked for", || server.log().iter().any(|line| line.starts_with("GET things")).then_some(()));
        wait::pass(chance.time(LIFE));
        daemon.kill();
        daemon.start();
        let mut app = daemon.app("tester");
        run(&mut app);
        let (truth, theirs) = (app.all("things"), server.rows("things"));
        if truth != theirs {
            lost.push(format!("kill {round}: {truth:?}, and the service has {theirs:?}"));
        }
    }
    (lost, daemon)
}

#[test]
fn what_was_answered_before_a_kill_is_in_the_truth_after_it() {
    let (lost, daemon) = kill(15, None);
    assert!(lost.is_empty(), "{lost:#?}");
    let said = daemon.says(0, &["fsck"]);
    assert!(said.ends_with("every rule holds\n"), "{said}");
}

/// Whether these kills can see a loss at all.
#[cfg(feature = "planted")]
#[test]
fn planted_validators_that_count_too_early_lose_pages() {
    let (lost, _daemon) = kill(30, Some("a validator counts before its page is applied"));
    eprintln!("killing, planted: {} of 30 kills lost a page", lost.len());
    assert!(!lost.is_empty(), "no page was lost in 30 kills");
}
