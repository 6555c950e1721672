//! Owns: W6 and R4: what apps feel of a large sync that comes down: their writes and their reads, with it and without.
//! Must never know: how the daemon shares its time.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::bail;
use mingle_client::{
    blocking::Client,
    call::{Get, Put, SyncRun},
};
use serde_json::{json, value::RawValue};

use crate::{
    Asked,
    flood::Flood,
    growth,
    table::{Goal, Table},
};

const RECORDS: usize = 100_000;
/// Between two calls of the app.
const PACE: Duration = Duration::from_millis(2);
const QUIET: Duration = Duration::from_secs(3);

/// What calls took, in ms.
struct Felt {
    p99: f64,
    most: f64,
}

pub fn measure(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let flood = Flood::start(RECORDS);
    for (figure, what, goal) in [("W6", "app writes", 2.0), ("R4", "app reads", 4.0)] {
        if !asked.wants(&[figure]) {
            continue;
        }
        let (mut without, mut with, mut most) = (Vec::new(), Vec::new(), 0.0_f64);
        for round in 0..asked.rounds {
            let daemon = growth::beside(program, &flood)?;
            let (mut app, mut watcher) = (daemon.client("app")?, daemon.client("watcher")?);
            put(&mut app, 0)?;
            let quiet_until = Instant::now() + QUIET;
            let quiet = feel(&mut app, figure, || Ok(Instant::now() < quiet_until))?;
            let run = watcher.sync_run(SyncRun { sync: "things".into(), ..SyncRun::default() })?.run;
            let mut looked = Instant::now();
            let busy = feel(&mut app, figure, || {
                // Looking often would be a load of its own.
                if looked.elapsed() < Duration::from_millis(50) {
                    return Ok(true);
                }
                looked = Instant::now();
                growth::is_running(&mut watcher, &run)
            })?;
            table.row(json!({
                "figure": figure, "round": round, "p99_ms_without": quiet.p99, "p99_ms_with": busy.p99, "most_ms_with": busy.most,
            }));
            without.push(quiet.p99);
            with.push(busy.p99);
            most = most.max(busy.most);
        }
        let told = format!("{what} while 100,000 records come down: p99, over p99 without");
        table.figure(figure, &told, " ms", &without, &with, Goal::AtMost(goal));
        if figure == "R4" {
            table.plain("R4", "the worst of those reads", "-", &format!("{most:.1} ms"), "<= 50 ms", Some(most <= 50.0));
        }
    }
    Ok(())
}

fn put(app: &mut Client, number: u64) -> anyhow::Result<()> {
    let data = RawValue::from_string(json!({ "number": number, "state": "open", "body": "x".repeat(420) }).to_string())?;
    app.put(Put { collection: "notes".into(), id: Some("one".into()), data, overwrite: true, ..Put::default() })?;
    Ok(())
}

/// Calls on and on, while that is so.
fn feel(app: &mut Client, figure: &str, mut go_on: impl FnMut() -> anyhow::Result<bool>) -> anyhow::Result<Felt> {
    let mut took = Vec::new();
    while go_on()? {
        let began = Instant::now();
        if figure == "W6" {
            put(app, took.len() as u64)?;
        } else {
            app.call_raw(Get { collection: "notes".into(), id: "one".into(), ..Get::default() })?;
        }
        took.push(began.elapsed().as_secs_f64() * 1_000.0);
        std::thread::sleep(PACE);
    }
    if took.len() < 100 {
        bail!("only {} calls: the sync was too short to feel", took.len());
    }
    took.sort_by(f64::total_cmp);
    Ok(Felt { p99: took[took.len() * 99 / 100], most: took[took.len() - 1] })
}
