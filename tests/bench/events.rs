//! Owns: E1 and E2: how soon after a commit the event is in a subscriber's hand, of one and of a hundred, beside redis's publish;
//! and what one that never reads costs the others. Must never know: how the daemon tells.
//!
//! One program writes and listens, on one core with the server: a commit counts from its answer, a publish from its call.

use std::{path::Path, time::Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::{
    Asked,
    line::{self, Line},
    place::{Daemon, disk_dir},
    redis::{Keeps, Redis, Talk},
    table::{Goal, Table, median},
    worker::{self, Worker},
};

const CORE: Option<u32> = Some(0);
const EVENTS: usize = 1_000;

pub fn measure(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let (home, data) = (tempfile::tempdir()?, disk_dir()?);
    let redis = Redis::start(home.path(), data.path(), Keeps::Nothing, CORE)?;
    let redis_path = redis.socket.to_str().context("a path that is no text")?;
    let mut sleeping = Vec::new();
    let mut awake = Vec::new();
    for (figure, listeners, goal) in [("E1", 1, 2.0), ("E2", 100, 2.0)] {
        if !asked.wants(&[figure]) {
            continue;
        }
        let mut all: [[Vec<f64>; 2]; 2] = Default::default();
        for round in 0..asked.rounds {
            let daemon = Daemon::start(program, "[collection.notes]\n", CORE)?;
            let daemon_path = daemon.socket.to_str().context("a path that is no text")?;
            for ((kind, socket), took) in [("redis", redis_path), ("ours", daemon_path)].iter().zip(&mut all) {
                let said = round_of(kind, socket, listeners)?;
                for (times, name) in took.iter_mut().zip(["p50_us", "p99_us"]) {
                    times.push(said[name].as_f64().unwrap_or(f64::NAN));
                }
                table.row(json!({
                    "figure": figure, "by": kind, "listeners": listeners, "round": round, "p50_us": said["p50_us"], "p99_us": said["p99_us"],
                }));
            }
            if figure == "E2" {
                let said = round_of("ours beside a sleeper", daemon_path, listeners)?;
                sleeping.push(said["p99_us"].as_f64().unwrap_or(f64::NAN));
                awake.extend(all[1][1].last().copied());
                table.row(json!({ "figure": figure, "by": "ours beside a sleeper", "round": round, "p99_us": said["p99_us"] }));
            }
        }
        let [[redis_p50, redis_p99], [our_p50, our_p99]] = all;
        let who = if listeners == 1 { "a subscriber" } else { "the last of 100 subscribers" };
        table.figure(
            figure,
            &format!("commit returned to event at {who}, p50, over redis publish"),
            " us",
            &redis_p50,
            &our_p50,
            Goal::AtMost(goal),
        );
        let p99 = if figure == "E1" { Goal::AtMost(goal) } else { Goal::None };
        table.figure(
            figure,
            &format!("the same, p99{}", if figure == "E1" { "" } else { " (no goal)" }),
            " us",
            &redis_p99,
            &our_p99,
            p99,
        );
    }
    if !sleeping.is_empty() {
        table.figure(
            "E2",
            "p99 beside a subscriber that never reads, over p99 without",
            " us",
            &awake,
            &sleeping,
            Goal::AtMost(1.2),
        );
    }
    Ok(())
}

fn round_of(kind: &str, socket: &str, listeners: usize) -> anyhow::Result<Value> {
    let mut worker = Worker::start(&["events", kind, socket, &listeners.to_string()], CORE)?;
    worker.go()?;
    worker.hear()
}

/// Writes and listens. From within a worker.
pub fn worker(kind: &str, socket: &str, listeners: usize) -> anyhow::Result<()> {
    let socket = Path::new(socket);
    let mut took =
        if kind == "redis" { through_redis(socket, listeners)? } else { through_us(socket, listeners, kind != "ours")? };
    took.drain(..EVENTS / 10);
    took.sort_by(f64::total_cmp);
    worker::tell(&json!({ "p50_us": median(&took), "p99_us": took[took.len() * 99 / 100] }))
}

fn through_us(socket: &Path, listeners: usize, beside_a_sleeper: bool) -> anyhow::Result<Vec<f64>> {
    let subscribe = json!({ "collections": ["notes"], "data": true, "initial": false });
    let mut writer = Line::open(socket, Some("writer"))?;
    let mut ears = Vec::new();
    for number in 0..listeners {
        let mut ear = Line::open(socket, Some(&format!("ear{number}")))?;
        ear.call("subscribe", &subscribe)?;
        ears.push(ear);
    }
    let _sleeper = match beside_a_sleeper {
        true => {
            let mut sleeper = Line::open(socket, Some("sleeper"))?;
            sleeper.call("subscribe", &subscribe)?;
            Some(sleeper)
        }
        false => None,
    };
    worker::ready()?;
    let body = "x".repeat(430);
    let mut took = Vec::with_capacity(EVENTS);
    for number in 0..EVENTS {
        let put = json!({ "collection": "notes", "id": "one", "overwrite": true, "data": { "number": number, "body": body } });
        writer.say(&line::ask(7, "put", &put))?;
        if !writer.hear()?.windows(5).any(|word| word == b"token") {
            bail!("a write was refused");
        }
        let began = Instant::now();
        for ear in &mut ears {
            ear.hear()?;
        }
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    Ok(took)
}

fn through_redis(socket: &Path, listeners: usize) -> anyhow::Result<Vec<f64>> {
    let mut writer = Talk::to(socket)?;
    let mut ears = Vec::new();
    for _ in 0..listeners {
        let mut ear = Talk::to(socket)?;
        ear.ask(&["SUBSCRIBE", "notes"])?;
        ears.push(ear);
    }
    worker::ready()?;
    let body = "x".repeat(478);
    let mut took = Vec::with_capacity(EVENTS);
    for _ in 0..EVENTS {
        let began = Instant::now();
        writer.say(&["PUBLISH", "notes", &body], 1)?;
        for ear in &mut ears {
            ear.hear()?;
        }
        took.push(began.elapsed().as_secs_f64() * 1e6);
        writer.hear()?;
    }
    Ok(took)
}
