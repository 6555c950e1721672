//! Owns: S2, S7, S8: first syncs of many records, syncs of nothing as the collection grows, and the memory that they take; from a
//! service whose pages lie ready. Must never know: how the daemon meets and stores.

use std::{path::Path, time::Instant};

use anyhow::{Context, bail};
use mingle_client::{
    blocking::Client,
    call::{History, Settled, SyncRun, Wait},
};
use mingle_tests::chance::Chance;
use rusqlite::Connection;
use serde_json::json;

use crate::{
    Asked,
    flood::Flood,
    place::{self, Daemon},
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

/// S2.
pub fn bulk(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    const FEW: usize = 100_000;
    const MANY: usize = 1_000_000;
    let (mut raw, mut ours) = (Vec::new(), Vec::new());
    let flood = Flood::start(FEW);
    let records = |count: usize| -> anyhow::Result<f64> { Ok(f64::from(u32::try_from(count)?)) };
    for round in 0..asked.rounds {
        raw.push(records(FEW)? / straight_into_sqlite(FEW)?);
        let daemon = beside(program, &flood)?;
        ours.push(records(FEW)? / run(&mut daemon.client("bench")?)?);
        table.row(
            json!({ "figure": "S2", "records": FEW, "round": round, "raw_per_second": raw.last(), "per_second": ours.last() }),
        );
    }
    table.figure("S2", "100,000 records with random ids, met and stored, over raw SQLite", "/s", &raw, &ours, Goal::AtLeast(0.5));
    drop(flood);
    let flood = Flood::start(MANY);
    let daemon = beside(program, &flood)?;
    let many = records(MANY)? / run(&mut daemon.client("bench")?)?;
    table.row(json!({ "figure": "S2", "records": MANY, "per_second": many }));
    table.figure("S2", "1,000,000 records (one round), over our rate of 100,000", "/s", &ours, &[many], Goal::AtLeast(0.35));
    // The largest store there is: the only place where these can be measured without filling it twice.
    crate::idle::large(program, daemon, table)
}

/// Document, agreed and change row of each record, 10,000 records a transaction; the seconds it took.
fn straight_into_sqlite(count: usize) -> anyhow::Result<f64> {
    const AT_ONCE: usize = 10_000;
    let dir = place::disk_dir()?;
    let mut file = Connection::open(dir.path().join("raw.db"))?;
    file.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
         CREATE TABLE document (n INTEGER PRIMARY KEY, id TEXT NOT NULL, data TEXT NOT NULL); CREATE UNIQUE INDEX document_id ON document (id);
         CREATE TABLE agreed (n INTEGER PRIMARY KEY, id TEXT NOT NULL, data TEXT NOT NULL); CREATE UNIQUE INDEX agreed_id ON agreed (id);
         CREATE TABLE change (seq INTEGER PRIMARY KEY, id TEXT NOT NULL)",
    )?;
    let mut chance = Chance::new(5);
    let data = format!("{{\"name\":\"record\",\"number\":1,\"text\":\"{}\"}}", "y".repeat(260));
    let ids: Vec<String> = (0..count).map(|_| format!("{:016x}{:016x}", chance.number(), chance.number())).collect();
    let began = Instant::now();
    for ids in ids.chunks(AT_ONCE) {
        let transaction = file.transaction()?;
        {
            let mut document = transaction.prepare_cached("INSERT INTO document (id, data) VALUES (?1, ?2)")?;
            let mut agreed = transaction.prepare_cached("INSERT INTO agreed (id, data) VALUES (?1, ?2)")?;
            let mut change = transaction.prepare_cached("INSERT INTO change (id) VALUES (?1)")?;
            for id in ids {
                document.execute((id, &data))?;
                agreed.execute((id, &data))?;
                change.execute([id])?;
            }
        }
        transaction.commit()?;
    }
    Ok(began.elapsed().as_secs_f64())
}

/// S7 and S8.
pub fn sizes(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let (mut quiet, mut peaks) = (Vec::new(), Vec::new());
    for records in [1_000, 5_000, 20_000, 100_000] {
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
    table.figure("S7", "a sync of nothing, 100,000 records, over 1,000", " ms", few, many, Goal::AtMost(1.25));
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
