//! Owns: W1, W2, W3: several apps that write flat out, through the daemon, and as processes on one SQLite file.
//! Must never know: how the daemon writes.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::Context;
use mingle_client::{CallError, call::Put};
use rusqlite::{Connection, TransactionBehavior};
use serde_json::{Value, json, value::RawValue};

use crate::{
    Asked,
    disk::Mood,
    place::{self, Daemon},
    table::{Goal, Table, median},
    worker::{self, Worker},
};

/// Apps at once.
const CROWDS: [usize; 3] = [1, 4, 16];
/// How long a process waits for the others' lock before it gives up: what most programs set.
const BUSY: Duration = Duration::from_secs(5);
const CONFIGURATION: &str = "[collection.notes]\n";

/// What one crowd did in one round.
struct Crowd {
    per_second: f64,
    worst_ms: f64,
    /// The least-served over the most-served.
    fair: f64,
    errors: u64,
}

pub fn measure(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let wanted = |apps: usize| if apps == 1 { asked.wants(&["W3"]) } else { asked.wants(&["W1", "W2"]) };
    let crowds: Vec<usize> = CROWDS.into_iter().filter(|apps| wanted(*apps)).collect();
    let mut all: Vec<(usize, Vec<Crowd>, Vec<Crowd>)> = crowds.iter().map(|apps| (*apps, Vec::new(), Vec::new())).collect();
    let mut raw = Vec::new();
    let mut alike = vec![Vec::new(); all.len()];
    for round in 0..asked.rounds {
        for ((apps, files, ours), alike) in all.iter_mut().zip(&mut alike) {
            let dir = place::disk_dir()?;
            let (before, file) = Mood::around(dir.path(), || on_one_file(dir.path(), *apps, asked.seconds, round, table))?;
            let (after, our) = Mood::around(dir.path(), || through_the_daemon(program, *apps, asked.seconds, round, table))?;
            let same = before.alike(&after);
            table.row(json!({
                "figure": "disk", "apps": apps, "round": round, "fdatasync_ms_file": before.ms(), "fdatasync_ms_put": after.ms(),
                "alike": same,
            }));
            raw.extend([before.ms(), after.ms()]);
            alike.push(same);
            files.push(file);
            ours.push(our);
        }
    }
    for ((apps, files, ours), alike) in all.iter().zip(&alike) {
        // Rounds in which the disk changed its mood between the two turns compare nothing, unless there are no others.
        let fit = alike.iter().filter(|same| **same).count();
        let of = |crowd: &[Crowd], what: fn(&Crowd) -> f64| {
            let rounds = crowd.iter().zip(alike).filter(|(_, same)| **same || fit == 0);
            rounds.map(|(round, _)| what(round)).collect::<Vec<_>>()
        };
        let (file_rate, our_rate) = (of(files, |c| c.per_second), of(ours, |c| c.per_second));
        let (figure, goal) = match apps {
            1 => ("W3", 0.55),
            4 => ("W1", 1.5),
            _ => ("W1", 3.5),
        };
        let how = if *apps == 1 { ", one write at a time" } else { "s flat out" };
        let what = format!("{apps} app{how}, durable writes ({fit} of {} rounds on an even disk)", alike.len());
        table.figure(figure, &what, "/s", &file_rate, &our_rate, Goal::AtLeast(goal));
        if *apps == 16 {
            let (file_worst, our_worst) = (of(files, |c| c.worst_ms), of(ours, |c| c.worst_ms));
            table.figure("W2", "16 apps: the worst write", " ms", &file_worst, &our_worst, Goal::AtMost(1.0 / 50.0));
            let (file_fair, our_fair) = (of(files, |c| c.fair), of(ours, |c| c.fair));
            let least = our_fair.iter().copied().fold(1.0, f64::min);
            table.plain(
                "W2",
                "16 apps: least-served over most-served, worst round",
                &format!("{:.4}", file_fair.iter().copied().fold(1.0, f64::min)),
                &format!("{least:.3}"),
                ">= 0.8",
                Some(least >= 0.8),
            );
            let errors = |crowd: &[Crowd]| crowd.iter().map(|c| c.errors).sum::<u64>();
            let (file_errors, our_errors) = (errors(files), errors(ours));
            let met = Some(our_errors == 0);
            table.plain("W2", "16 apps: errors, all rounds", &file_errors.to_string(), &our_errors.to_string(), "0", met);
        }
    }
    let (best, worst) = raw.iter().fold((f64::INFINITY, 0.0_f64), |(best, worst), ms| (best.min(*ms), worst.max(*ms)));
    let what = format!("raw fdatasync of 4 KiB appended: {best:.2} to {worst:.2} ms, median");
    table.plain("disk", &what, &format!("{:.2} ms", median(&raw)), "-", "-", None);
    Ok(())
}

/// As many processes on one SQLite file.
fn on_one_file(dir: &Path, apps: usize, time: Duration, round: usize, table: &mut Table) -> anyhow::Result<Crowd> {
    let path = dir.join("file.db");
    open(&path)?.execute_batch("CREATE TABLE notes (id TEXT PRIMARY KEY, data TEXT NOT NULL)")?;
    crowd("file", &path, apps, time, round, table)
}

/// As many processes that are apps of one daemon.
fn through_the_daemon(program: &Path, apps: usize, time: Duration, round: usize, table: &mut Table) -> anyhow::Result<Crowd> {
    let daemon = Daemon::start(program, CONFIGURATION, None)?;
    crowd("put", &daemon.socket, apps, time, round, table)
}

fn crowd(kind: &str, place: &Path, apps: usize, time: Duration, round: usize, table: &mut Table) -> anyhow::Result<Crowd> {
    let place = place.to_str().context("a path that is no text")?;
    let milliseconds = time.as_millis().to_string();
    let mut workers = (0..apps)
        .map(|number| Worker::start(&[kind, place, &format!("app{number}"), &milliseconds], None))
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
        worst_ms: of("worst_ms").into_iter().fold(0.0, f64::max),
        fair: if most > 0.0 { least / most } else { 0.0 },
        errors: said.iter().map(|worker| worker["errors"].as_u64().unwrap_or(0)).sum(),
    };
    table.row(json!({
        "figure": "writes", "by": kind, "apps": apps, "round": round, "per_second": crowd.per_second.round(),
        "p50_ms": median(&of("p50_ms")), "p99_ms": median(&of("p99_ms")), "worst_ms": crowd.worst_ms,
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

/// Writes until the time is over; tells how often, and how long it took each time.
fn flat_out(time: Duration, mut write: impl FnMut(u64) -> Result<(), String>) -> anyhow::Result<()> {
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
    }
    took.sort_by(f64::total_cmp);
    let at = |of: usize| took[(took.len() * of / 1_000).min(took.len() - 1)];
    worker::tell(&json!({
        "writes": within, "errors": errors, "said": said, "p50_ms": at(500), "p99_ms": at(990), "worst_ms": at(1_000),
    }))
}

/// A process that writes the file itself.
pub fn file_worker(path: &str, name: &str, time: Duration) -> anyhow::Result<()> {
    let mut file = open(Path::new(path))?;
    flat_out(time, |number| {
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
pub fn put_worker(socket: &str, name: &str, time: Duration) -> anyhow::Result<()> {
    let mut client = place::connect(Path::new(socket), name)?;
    flat_out(time, |number| {
        let data = RawValue::from_string(record(name, number)).map_err(|error| error.to_string())?;
        let put = Put { collection: "notes".into(), id: Some(format!("{name}-{number:09}")), data, ..Put::default() };
        client.put(put).map(|_| ()).map_err(|error: CallError| error.to_string())
    })
}
