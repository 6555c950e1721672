//! Owns: several programs that write at once: apps of the daemon, processes on one SQLite file, clients of a redis.
//! Must never know: how the daemon writes, and what is compared.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use mingle_client::{CallError, call::Put};
use rusqlite::{Connection, TransactionBehavior};
use serde_json::{Value, json, value::RawValue};

use crate::{
    place::{self, Daemon},
    redis::{Keeps, Redis, Talk},
    table::{Table, median},
    worker::{self, Worker},
};

/// How long a process waits for the others' lock before it gives up: what most programs set.
const BUSY: Duration = Duration::from_secs(5);
const CONFIGURATION: &str = "[collection.notes]\n";

/// What one crowd did in one round.
pub struct Crowd {
    pub per_second: f64,
    pub p99_ms: f64,
    pub worst_ms: f64,
    /// The least-served over the most-served.
    pub fair: f64,
    pub errors: u64,
}

/// As many processes on one SQLite file.
pub fn on_one_file(
    dir: &Path,
    apps: usize,
    time: Duration,
    pace: Duration,
    round: usize,
    table: &mut Table,
) -> anyhow::Result<Crowd> {
    let path = dir.join("file.db");
    open(&path)?.execute_batch("CREATE TABLE notes (id TEXT PRIMARY KEY, data TEXT NOT NULL)")?;
    crowd("file", &path, apps, time, pace, round, table)
}

/// As many processes that are apps of one daemon.
pub fn through_the_daemon(
    program: &Path,
    apps: usize,
    time: Duration,
    pace: Duration,
    round: usize,
    table: &mut Table,
) -> anyhow::Result<Crowd> {
    let daemon = Daemon::start(program, CONFIGURATION, None)?;
    crowd("put", &daemon.socket, apps, time, pace, round, table)
}

/// As many clients of a redis that has each write on the disk before it answers.
pub fn in_redis(apps: usize, time: Duration, pace: Duration, round: usize, table: &mut Table) -> anyhow::Result<Crowd> {
    let (home, data) = (tempfile::tempdir()?, place::disk_dir()?);
    let redis = Redis::start(home.path(), data.path(), Keeps::Everything, None)?;
    crowd("redis", &redis.socket, apps, time, pace, round, table)
}

fn crowd(
    kind: &str,
    place: &Path,
    apps: usize,
    time: Duration,
    pace: Duration,
    round: usize,
    table: &mut Table,
) -> anyhow::Result<Crowd> {
    let place = place.to_str().context("a path that is no text")?;
    let (length, between) = (time.as_millis().to_string(), pace.as_millis().to_string());
    let mut workers = (0..apps)
        .map(|number| Worker::start(&[kind, place, &format!("app{number}"), &length, &between], None))
        .collect::<anyhow::Result<Vec<_>>>()?;
    workers.iter_mut().try_for_each(Worker::go)?;
    let said = workers.iter_mut().map(Worker::hear).collect::<anyhow::Result<Vec<Value>>>()?;
    let number = |worker: &Value, name: &str| worker[name].as_f64().unwrap_or(0.0);
    let of = |name: &str| said.iter().map(|worker| number(worker, name)).collect::<Vec<f64>>();
    let writes = of("writes");
    let most = writes.iter().copied().fold(0.0, f64::max);
    let least = writes.iter().copied().fold(f64::INFINITY, f64::min);
    let crowd = Crowd {
        per_second: writes.iter().sum::<f64>() / time.as_secs_f64(),
        p99_ms: median(&of("p99_ms")),
        worst_ms: of("worst_ms").into_iter().fold(0.0, f64::max),
        fair: if most > 0.0 { least / most } else { 0.0 },
        errors: said.iter().map(|worker| worker["errors"].as_u64().unwrap_or(0)).sum(),
    };
    table.row(json!({
        "figure": "writes", "by": kind, "apps": apps, "pace_ms": pace.as_millis(), "round": round, "per_second": crowd.per_second.round(),
        "p50_ms": median(&of("p50_ms")), "p99_ms": crowd.p99_ms, "worst_ms": crowd.worst_ms,
        "least": least, "most": most, "errors": crowd.errors, "said": said[0]["said"],
    }));
    Ok(crowd)
}

fn open(path: &Path) -> anyhow::Result<Connection> {
    let file = Connection::open(path)?;
    file.busy_timeout(BUSY)?;
    file.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")?;
    Ok(file)
}

/// The record that everybody writes: 478 bytes of JSON.
fn record(name: &str, number: u64) -> String {
    let head = format!(r#"{{"by":"{name}","number":{number},"state":"open","title":"a note of some length","body":""#);
    let fill = "x".repeat(478_usize.saturating_sub(head.len() + 2));
    format!("{head}{fill}\"}}")
}

/// Writes until the time is over, with that between two writes; tells how often, and how long it took each time.
fn write_on(time: Duration, pace: Duration, mut write: impl FnMut(u64) -> Result<(), String>) -> anyhow::Result<()> {
    worker::ready()?;
    let (mut took, mut errors, mut said) = (Vec::<f64>::new(), 0_u64, None);
    let (began, mut number, mut within) = (Instant::now(), 0, 0_u64);
    while began.elapsed() < time {
        let at = Instant::now();
        let written = write(number);
        took.push(at.elapsed().as_secs_f64() * 1_000.0);
        number += 1;
        match written {
            // The last one may end after the time: it counts as a wait, not as a write.
            Ok(()) => within += u64::from(began.elapsed() < time),
            Err(error) => {
                errors += 1;
                said = Some(error);
            }
        }
        if !pace.is_zero() {
            std::thread::sleep(pace);
        }
    }
    took.sort_by(f64::total_cmp);
    let at = |of: usize| took[(took.len() * of / 1_000).min(took.len() - 1)];
    worker::tell(&json!({
        "writes": within, "errors": errors, "said": said, "p50_ms": at(500), "p99_ms": at(990), "worst_ms": at(1_000),
    }))
}

/// A process that writes the file itself.
pub fn file_worker(path: &str, name: &str, time: Duration, pace: Duration) -> anyhow::Result<()> {
    let mut file = open(Path::new(path))?;
    write_on(time, pace, |number| {
        let text = record(name, number);
        let mut write = || {
            let transaction = file.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction
                .prepare_cached("INSERT INTO notes (id, data) VALUES (?1, ?2)")?
                .execute((format!("{name}-{number:09}"), &text))?;
            transaction.commit()
        };
        write().map_err(|error: rusqlite::Error| error.to_string())
    })
}

/// An app that writes through the daemon.
pub fn put_worker(socket: &str, name: &str, time: Duration, pace: Duration) -> anyhow::Result<()> {
    let mut client = place::connect(Path::new(socket), name)?;
    write_on(time, pace, |number| {
        let data = RawValue::from_string(record(name, number)).map_err(|error| error.to_string())?;
        let put = Put { collection: "notes".into(), id: Some(format!("{name}-{number:09}")), data, ..Put::default() };
        client.put(put).map(|_| ()).map_err(|error: CallError| error.to_string())
    })
}

/// A client of a redis.
pub fn redis_worker(socket: &str, name: &str, time: Duration, pace: Duration) -> anyhow::Result<()> {
    let mut talk = Talk::to(Path::new(socket))?;
    write_on(time, pace, |number| {
        let set = talk.ask(&["SET", &format!("{name}-{number:09}"), &record(name, number)]);
        set.map(|_| ()).map_err(|error| error.to_string())
    })
}
