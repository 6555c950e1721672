//! Owns: S2, D3 and D4: a hundred thousand and a million records met and stored, and what a daemon with so many costs: its start, its memory.
//! Must never know: how the daemon meets and stores.
//!
//! The largest store is made once for all three. `--gigabytes N` fills it up with long records until its file has so many.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::bail;
use mingle_client::{
    blocking::Client,
    call::{Get, List, Put, SyncList},
};
use mingle_tests::{chance::Chance, hostile, wait};
use rusqlite::Connection;
use serde_json::{json, value::RawValue};

use crate::{
    Asked, apps,
    flood::{self, Flood},
    growth,
    place::{self, Daemon},
    process::{self, mb},
    redis::{Keeps, Redis},
    table::{Goal, Table},
};

const FEW: usize = 100_000;
const MANY: usize = 1_000_000;
/// How long each attack lasts.
const ATTACK: Duration = Duration::from_secs(2);

pub fn measure(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let few = if asked.wants(&["S2"]) { hundred_thousand(program, asked, table)? } else { Vec::new() };
    let large = million(program, table, &few)?;
    if asked.wants(&["D3"]) {
        starts(program, &large, table)?;
    }
    if asked.wants(&["D4"]) {
        of_the_store(program, &large, asked.gigabytes, table)?;
        apps::connected(program, table)?;
        attacked(program, table)?;
    }
    Ok(())
}

fn per_second(count: usize, seconds: f64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(count)?) / seconds)
}

/// S2's first half: our rates.
fn hundred_thousand(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<Vec<f64>> {
    let (mut raw, mut ours) = (Vec::new(), Vec::new());
    let flood = Flood::start(FEW);
    for round in 0..asked.rounds {
        raw.push(per_second(FEW, straight_into_sqlite(FEW)?)?);
        let daemon = growth::beside(program, &flood)?;
        ours.push(per_second(FEW, growth::run(&mut daemon.client("bench")?)?)?);
        table.row(
            json!({ "figure": "S2", "records": FEW, "round": round, "raw_per_second": raw.last(), "per_second": ours.last() }),
        );
    }
    table.figure("S2", "100,000 records with random ids, met and stored, over raw SQLite", "/s", &raw, &ours, Goal::AtLeast(0.5));
    Ok(ours)
}

/// A store of a million records, and the daemon that made it, ended.
struct Large {
    dirs: place::Dirs,
    /// Its configuration names it.
    _flood: Flood,
}

/// S2's second half.
fn million(program: &Path, table: &mut Table, few: &[f64]) -> anyhow::Result<Large> {
    let flood = Flood::start(MANY);
    let daemon = growth::beside(program, &flood)?;
    let rate = per_second(MANY, growth::run(&mut daemon.client("bench")?)?)?;
    table.row(json!({ "figure": "S2", "records": MANY, "per_second": rate }));
    if !few.is_empty() {
        table.figure("S2", "1,000,000 records (one round), over our rate of 100,000", "/s", few, &[rate], Goal::AtLeast(0.35));
    }
    Ok(Large { dirs: daemon.end(), _flood: flood })
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
    let ids: Vec<String> = (0..count).map(|_| flood::id(&mut chance)).collect();
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

/// D3.
fn starts(program: &Path, large: &Large, table: &mut Table) -> anyhow::Result<()> {
    const STARTS: usize = 9;
    let (mut ours, mut small, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    for _ in 0..STARTS {
        let daemon = Daemon::start_in(program, None, &large.dirs)?;
        ours.push(ms(daemon.started_in));
        drop(daemon);
        // An empty store that is there already, as the other is.
        let empty = Daemon::start(program, "[collection.notes]\n", None)?.again(program)?;
        small.push(ms(empty.started_in));
        drop(empty);
        let home = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir()?;
        theirs.push(ms(Redis::start(home.path(), home.path(), Keeps::Nothing, None)?.started_in));
    }
    table.row(json!({ "figure": "D3", "starts_ms": ours, "starts_ms_empty_store": small, "redis_ms": theirs }));
    let what = "exec to first answer, a store of 1,000,000 records, over redis";
    table.figure("D3", what, " ms", &theirs, &ours, Goal::AtMost(2.0));
    table.figure("D3", "the same, over an empty store", " ms", &small, &ours, Goal::AtMost(1.25));
    Ok(())
}

/// D4: whether memory grows with the store.
fn of_the_store(program: &Path, large: &Large, gigabytes: u64, table: &mut Table) -> anyhow::Result<()> {
    let flood = Flood::start(FEW);
    let daemon = growth::beside(program, &flood)?;
    growth::run(&mut daemon.client("bench")?)?;
    let small = worked(&daemon.again(program)?, FEW)?;
    let daemon = Daemon::start_in(program, None, &large.dirs)?;
    let began = Instant::now();
    grow(&daemon, gigabytes << 30)?;
    let grown_s = began.elapsed().as_secs_f64();
    let daemon = daemon.again(program)?;
    let many = worked(&daemon, MANY)?;
    let gb = mb(place::size(&daemon.store())?)? / 1_000.0;
    table.row(json!({
        "figure": "D4", "store_gb": gb, "filled_up_in_s": grown_s, "share_mb": many, "share_mb_of_100000_records": small,
    }));
    let what = format!("memory (PSS) after 6,000 reads and writes all over a store of 1,000,000 records, {gb:.1} GB");
    table.plain("D4", &what, "-", &format!("{many:.1} MB"), "<= 64 MB", Some(many <= 64.0));
    let what = "the same, over a store of 100,000 records: no growth, within what two looks differ by";
    table.figure("D4", what, " MB", &[small], &[many], Goal::AtMost(1.1));
    Ok(())
}

/// Puts records as long as they may be until the store's file is so large, in bytes.
fn grow(daemon: &Daemon, bytes: u64) -> anyhow::Result<()> {
    let mut client = daemon.client("bench")?;
    let data = RawValue::from_string(json!({ "text": "z".repeat(1_000_000) }).to_string())?;
    let mut number = 0;
    while place::size(&daemon.store())? < bytes {
        for _ in 0..100 {
            number += 1;
            client.put(Put {
                collection: "notes".into(),
                id: Some(format!("long-{number}")),
                data: data.clone(),
                ..Put::default()
            })?;
        }
    }
    Ok(())
}

/// Works all over a store, and gives the daemon's share of memory then, in MB.
fn worked(daemon: &Daemon, records: usize) -> anyhow::Result<f64> {
    const TIMES: usize = 3_000;
    let mut client: Client = daemon.client("bench")?;
    client.call(SyncList {})?;
    // The ids that the service gave: by the same chance, so any of them can be told again.
    let mut chance = Chance::new(flood::SEED);
    let ids: Vec<String> = (0..records).map(|_| flood::id(&mut chance)).collect();
    for number in 0..TIMES {
        let id = &ids[number * (records / TIMES)];
        client.call_raw(Get { collection: "things".into(), id: id.clone(), ..Get::default() })?;
        let data = RawValue::from_string(json!({ "number": number, "text": "w".repeat(300) }).to_string())?;
        let put = Put { collection: "notes".into(), id: Some(id.clone()), data, overwrite: true, ..Put::default() };
        client.put(put)?;
    }
    for _ in 0..20 {
        let raw = client.call_raw(List { collection: "things".into(), limit: Some(500), ..List::default() })?;
        if raw.get().len() < 500 * 300 {
            bail!("not five hundred records");
        }
    }
    mb(process::share_bytes(daemon.pid())?)
}

/// D4: 64 hostile apps, one attack after another.
fn attacked(program: &Path, table: &mut Table) -> anyhow::Result<()> {
    let daemon = Daemon::start(program, "[collection.notes]\n[collection.big]\n", None)?;
    hostile::prepare(&daemon.socket);
    let mut most = Vec::new();
    for attack in hostile::attacks() {
        let ground = hostile::Ground::at(&daemon.socket);
        std::thread::scope(|scope| {
            scope.spawn(|| attack.run(&ground));
            wait::pass(ATTACK);
            ground.end();
        });
        let peak = mb(process::peak_bytes(daemon.pid())?)?;
        table.row(json!({ "figure": "D4", "attack": attack.name, "peak_mb_so_far": peak }));
        most.push(peak);
    }
    // It must be there still.
    daemon.client("bench")?.call(SyncList {})?;
    let peak = most.last().copied().unwrap_or(f64::NAN);
    let what = format!(
        "peak memory (RSS) under {} hostile apps, {} attacks of {} s each",
        hostile::CLIENTS,
        most.len(),
        ATTACK.as_secs()
    );
    table.plain("D4", &what, "-", &format!("{peak:.1} MB"), "<= 96 MB", Some(peak <= 96.0));
    Ok(())
}
