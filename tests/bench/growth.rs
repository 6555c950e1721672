//! Owns: S7 and S8: syncs of nothing as the collection grows, and the memory that first syncs take; from a service whose pages lie
//! ready. Must never know: how the daemon meets and stores.

use std::{path::Path, time::Instant};

use anyhow::{Context, bail};
use mingle_client::{
    blocking::Client,
    call::{History, Settled, SyncRun, Wait},
};
use mingle_tests::servers::Dav;
use serde_json::json;

use crate::{
    Asked, contacts,
    flood::Flood,
    place::Daemon,
    process,
    table::{Goal, Table, median},
};

const MIB: f64 = 1024.0 * 1024.0;

/// Runs the sync `things` once; the seconds from the call to the answer of `wait`.
pub fn run(client: &mut Client) -> anyhow::Result<f64> {
    let began = Instant::now();
    let run = client.sync_run(SyncRun { sync: "things".into(), ..SyncRun::default() })?.run;
    let ended = client.wait(Wait { run: Some(run), timeout_ms: Some(600_000), ..Wait::default() })?;
    if ended.state != Settled::Done {
        bail!("the run ended {:?}", ended.state);
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Whether this run goes on.
pub fn is_running(client: &mut Client, run: &str) -> anyhow::Result<bool> {
    let runs = client.history(History { sync: Some("things".into()), ..History::default() })?.runs;
    Ok(!runs.iter().any(|row| row.run == run && row.ended_at.is_some()))
}

/// A daemon beside such a service.
pub fn beside(program: &Path, flood: &Flood) -> anyhow::Result<Daemon> {
    Daemon::start_with(program, &flood.configuration(), None, Flood::write_profile)
}

/// S7, of an address book at a real server: what the server takes grows with it, so that our own processor time is measured.
fn books(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    const SIZES: [usize; 3] = [1_000, 5_000, 12_000];
    let server = Dav::radicale();
    let mut quiet = Vec::new();
    for cards in SIZES {
        let book = contacts::book(&server, cards)?;
        let daemon = contacts::beside(program, &server.url, &book)?;
        let mut client = daemon.client("bench")?;
        contacts::expect(&daemon, &mut client, (cards, 0))?;
        let took = (0..asked.rounds).map(|_| contacts::idle(&daemon, &mut client)).collect::<anyhow::Result<Vec<_>>>()?;
        let of = |part: fn(&contacts::Took) -> f64| took.iter().map(|took| part(took) * 1_000.0).collect::<Vec<f64>>();
        let (own, wall) = (of(|took| took.own), of(|took| took.wall));
        table.row(json!({ "figure": "S7", "contacts": cards, "own_ms": median(&own), "wall_ms": median(&wall) }));
        quiet.push(own);
    }
    let what = "the same of 12,000 contacts at Radicale, over 1,000: own processor time (the wall is the server's)";
    table.figure("S7", what, " ms", &quiet[0], &quiet[SIZES.len() - 1], Goal::AtMost(1.25));
    Ok(())
}

/// S7 and S8.
pub fn sizes(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let (mut quiet, mut peaks) = (Vec::new(), Vec::new());
    for records in [1_000, 5_000, 20_000, 100_000, 1_000_000] {
        let flood = Flood::start(records);
        let daemon = beside(program, &flood)?;
        let mut client = daemon.client("bench")?;
        run(&mut client)?;
        let peak = f64::from(u32::try_from(process::peak_bytes(daemon.pid())?)?) / MIB;
        let mut times = (0..asked.rounds * 10).map(|_| run(&mut client)).collect::<anyhow::Result<Vec<f64>>>()?;
        times.iter_mut().for_each(|seconds| *seconds *= 1_000.0);
        table.row(json!({ "figure": "S7", "records": records, "nothing_changed_ms": median(&times), "peak_mib": peak }));
        quiet.push((records, times));
        peaks.push((records, peak));
    }
    let (Some((_, few)), Some((_, many))) = (quiet.first(), quiet.last()) else { bail!("nothing was measured") };
    // Flat, within what two medians of the same thing differ by.
    table.figure("S7", "a sync of nothing, 1,000,000 records, over 1,000", " ms", few, many, Goal::AtMost(1.25));
    books(program, asked, table)?;
    let of = |wanted: usize| peaks.iter().find(|(records, _)| *records == wanted).map(|(_, peak)| *peak).context("a size");
    let (small, twenty, large) = (of(5_000)?, of(20_000)?, of(100_000)?);
    table.plain(
        "S8",
        "peak memory (RSS) of a 20,000-record sync",
        "-",
        &format!("{twenty:.1} MiB"),
        "<= 30 MB",
        Some(twenty * MIB <= 30e6),
    );
    table.figure("S8", "the same of 100,000 records, over 5,000", " MiB", &[small], &[large], Goal::AtMost(1.3));
    Ok(())
}
