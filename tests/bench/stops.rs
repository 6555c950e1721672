//! Owns: T7: how soon `stop` is acknowledged, and how soon the run has stopped, in the midst of rows that come down.
//! Must never know: how a run ends.

use std::{path::Path, time::Duration};

use anyhow::bail;
use mingle_client::call::{Restart, Settled, Stop, SyncRun, Wait};
use mingle_tests::{
    chance::Chance,
    rest_server::{Options, RestServer},
    wait::{self, Times, Watch},
};
use serde_json::json;

use crate::{Asked, place::Daemon, table::Table};

/// Rows that come down in each run, one page of them.
const ROWS: u64 = 4_000;
/// Stops for each round that is asked for.
const STOPS: u64 = 40;
/// The stop comes at any moment within this of the run's begin.
const WITHIN: Duration = Duration::from_millis(150);

const ACKNOWLEDGED: Duration = Duration::from_millis(50);
const STOPPED: Duration = Duration::from_millis(500);
const NEVER_OVER: Duration = Duration::from_secs(2);

pub fn measure(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let rows = usize::try_from(ROWS)?;
    let server = RestServer::start(Options { page_rows: rows, page_rows_max: rows, ..Options::default() }, &["things"]);
    let configuration = format!(
        "[remote.far]\nkind = \"rest\"\nprofile = \"{}\"\nurl = \"{}\"\n\n[sync.things]\ncollection = \"things\"\nremote = \"far\"\n\
         resource = \"things\"\ndirection = \"both\"\non_start = false\non_change = false\n",
        RestServer::PROFILE,
        server.url
    );
    let daemon = Daemon::start_with(program, &configuration, None, |config_dir| server.write_profile(config_dir))?;
    let (mut client, mut chance) = (daemon.client("bench")?, Chance::new(7));
    let (mut acknowledged, mut stopped, mut met) = (Times::default(), Times::default(), 0);
    for round in 0..STOPS * u64::try_from(asked.rounds)? {
        for n in 0..ROWS {
            server.put("things", &format!("r{n}"), &json!({ "n": n, "round": round, "text": "some words to carry" }));
        }
        let run = client.sync_run(SyncRun { sync: "things".into(), ..SyncRun::default() })?.run;
        wait::pass(chance.time(WITHIN));
        let watch = Watch::start();
        client.stop(Stop::default())?;
        let at = watch.elapsed();
        let ended = client.wait(Wait { run: Some(run), timeout_ms: Some(10_000), ..Wait::default() })?;
        let all = watch.elapsed();
        client.restart(Restart::default())?;
        acknowledged.note(at);
        match ended.state {
            Settled::Stopped => {
                met += 1;
                stopped.note(all);
            }
            Settled::Done => {}
            other => bail!("a run ended {other:?}"),
        }
        table.row(json!({ "figure": "T7", "round": round, "acknowledged_s": at.as_secs_f64(), "stopped_s": all.as_secs_f64(), "met_a_run": ended.state == Settled::Stopped }));
    }
    if met == 0 {
        bail!("no stop met a run");
    }
    let ok = acknowledged.share(99) <= ACKNOWLEDGED;
    table.plain(
        "T7",
        &format!("stop acknowledged while {ROWS} rows come down"),
        "-",
        &acknowledged.told(),
        "p99 <= 50 ms",
        Some(ok),
    );
    let ok = stopped.share(99) <= STOPPED && stopped.share(100) <= NEVER_OVER;
    table.plain("T7", "all runs stopped, of those that met one", "-", &stopped.told(), "p99 <= 500 ms, never over 2 s", Some(ok));
    Ok(())
}
