//! Owns: schedules over restarts, crowds of them, and zones that change under them, at the real daemon.
//! Must never know: how the clock is read, how anything is decided.

use std::{collections::BTreeMap, time::Duration};

use mingle_tests::{
    app::App,
    daemon::Home,
    rest_server::{Fault, Options, RestServer},
    tally,
    wait::{self, until, until_within},
};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};

use crate::bench::{Scripted, scripted};

/// Remotes of the crowd: with four runs each, more than run at once in all.
const REMOTES: usize = 8;
/// Runs at once, in all and with one remote.
const AT_ONCE: (usize, usize) = (16, 4);

/// When the runs of a store began and ended, in milliseconds, by sync.
fn runs_in(home: &Home) -> BTreeMap<String, Vec<(i64, i64)>> {
    let store = Connection::open_with_flags(home.store(), OpenFlags::SQLITE_OPEN_READ_ONLY).expect("the store");
    let mut asked = store.prepare("SELECT sync, started, ended FROM m_run WHERE status = 'done'").expect("runs");
    let rows = asked.query_map([], |row| Ok((row.get::<_, String>(0)?, (row.get(1)?, row.get(2)?)))).expect("runs");
    let mut runs = BTreeMap::<String, Vec<(i64, i64)>>::new();
    rows.map(|row| row.expect("a run")).for_each(|(sync, span)| runs.entry(sync).or_default().push(span));
    runs
}

/// The most that ran at one moment. Who ends in the millisecond in which another begins ended before it.
fn most_at_once<'a>(spans: impl Iterator<Item = &'a (i64, i64)>) -> usize {
    let mut steps: Vec<(i64, i32)> = spans.flat_map(|(began, ended)| [(*began, 1), (*ended, -1)]).collect();
    steps.sort_unstable();
    let (mut on, mut most) = (0, 0);
    for (_, step) in steps {
        on += step;
        most = most.max(on);
    }
    usize::try_from(most).unwrap_or(0)
}

/// All of a crowd are due at the start. Each runs once, never more at once than may, apps are served meanwhile, and nobody is
/// left. `MINGLE_CROWD` says how many there are.
#[test]
fn a_crowd_that_is_due_at_once_runs_in_turns() {
    let count: usize = std::env::var("MINGLE_CROWD").map_or(400, |count| count.parse().expect("a number"));
    let lists: Vec<String> = (0..count).map(|place| format!("l{place:05}")).collect();
    let server = RestServer::start(Options::default(), &lists.iter().map(String::as_str).collect::<Vec<_>>());
    let mut config: String = (0..REMOTES)
        .map(|place| format!("[remote.far{place}]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n", RestServer::PROFILE, server.url))
        .collect();
    for (place, list) in lists.iter().enumerate() {
        let remote = place % REMOTES;
        let direction = if place == 0 { "both\"\non_change = false" } else { "down\"" };
        config += &format!(
            "[sync.{list}]\ncollection = \"{list}\"\nremote = \"far{remote}\"\nresource = \"{list}\"\ndirection = \"{direction}\nevery = \"1d\"\nflex = \"1s\"\n"
        );
    }
    let home = Home::new(Some(&config));
    server.write_profile(&home.config_dir());
    let watch = wait::Watch::start();
    let mut daemon = home.start();
    let answered = watch.elapsed();
    let mut app = daemon.app("tester");
    let mut slowest = Duration::ZERO;
    until_within("every run", Duration::from_secs(20 + count as u64 / 10), || {
        let asked = wait::Watch::start();
        app.put("l00000", "mine", &json!({ "v": 1 }));
        slowest = slowest.max(asked.elapsed());
        wait::pass(Duration::from_millis(100));
        let syncs = app.must("status", json!({}))["syncs"].clone();
        let waiting = syncs.as_array()?.iter().filter(|sync| sync["state"] == "waiting").count();
        (waiting == count).then_some(())
    });
    let all = watch.elapsed();
    let _ = daemon.terminate();
    let runs = runs_in(&daemon);
    let not_once: Vec<&String> = lists.iter().filter(|list| runs.get(*list).map(Vec::len) != Some(1)).collect();
    let at_once = most_at_once(runs.values().flatten());
    let of_remote = |remote: usize| most_at_once(lists.iter().skip(remote).step_by(REMOTES).filter_map(|list| runs.get(list)).flatten());
    let with_one = (0..REMOTES).map(of_remote).max().unwrap_or(0);
    eprintln!("{count} due at once: first answer after {answered:?}, all done after {all:?}, slowest write {slowest:?}, {at_once} at once, {with_one} with one remote");
    tally::tell("due-at-once", count as u64, not_once.len() as u64);
    assert!(not_once.is_empty(), "did not run once: {not_once:?}");
    assert!(at_once <= AT_ONCE.0 && with_one <= AT_ONCE.1, "{at_once} at once, {with_one} with one remote");
}
