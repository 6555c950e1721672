//! Owns: R1 and R2: what a call costs, one at a time and 64 in flight, beside the smallest server of the same kind (tokio,
//! interprocess, serde_json) and a read in redis. Must never know: how the daemon reads.
//!
//! Server and client share one core: across cores a call waits for the other core to wake, whatever the code costs.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Instant};

use anyhow::{Context, bail};
use interprocess::local_socket::{
    GenericFilePath, ListenerOptions, ToFsName,
    tokio::{Stream, prelude::*},
};
use mingle_client::{
    Options,
    blocking::Client,
    call::{Get, Put, SyncList},
};
use serde_json::{json, value::RawValue};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader as AsyncReader};

use crate::{
    Asked,
    line::{self, Line},
    place::Daemon,
    redis::{Keeps, Redis, Talk},
    table::{Goal, Table},
    worker::{self, Worker},
};

const CORE: Option<u32> = Some(0);
/// Calls of one round, after a tenth of it to warm up.
const CALLS: &str = "20000";
const ID: &str = "rec-0000000042";

pub fn measure(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    // Its directory is for us alone: the client trusts no other.
    let home = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir()?;
    let echo_socket = home.path().join("echo.sock");
    let echo_path = echo_socket.to_str().context("a path that is no text")?;
    let _echo = Worker::start(&["echo", echo_path], CORE)?;
    let daemon = Daemon::start(program, "[collection.notes]\n", CORE)?;
    let data = RawValue::from_string(note())?;
    let put = Put { collection: "notes".into(), id: Some(ID.into()), data, ..Put::default() };
    daemon.client("bench")?.put(put).context("failed to put the record that is read")?;
    let daemon_path = daemon.socket.to_str().context("a path that is no text")?;
    let redis = Redis::start(home.path(), home.path(), Keeps::Nothing, CORE)?;
    Talk::to(&redis.socket)?.ask(&["SET", ID, &note()])?;
    let redis_path = redis.socket.to_str().context("a path that is no text")?;

    if asked.wants(&["R1"]) {
        one_by_one(asked, table, [("echo", echo_path), ("empty", daemon_path), ("get", daemon_path), ("redis", redis_path)])?;
    }
    if asked.wants(&["R2"]) {
        in_flight(asked, table, [("echo", echo_path), ("get", daemon_path), ("redis", redis_path)])?;
    }
    Ok(())
}

fn one_by_one(asked: &Asked, table: &mut Table, kinds: [(&str, &str); 4]) -> anyhow::Result<()> {
    let mut all: [Vec<f64>; 4] = Default::default();
    for round in 0..asked.rounds {
        for ((kind, socket), took) in kinds.iter().zip(&mut all) {
            let mut worker = Worker::start(&["ask", kind, socket, CALLS], CORE)?;
            worker.go()?;
            let said = worker.hear()?;
            took.push(said["p50_us"].as_f64().unwrap_or(f64::NAN));
            table.row(json!({
                "figure": "R1", "call": kind, "round": round, "p50_us": said["p50_us"], "p99_us": said["p99_us"],
            }));
        }
    }
    let [echo, empty, get, redis] = all;
    let what = "empty call (sync.list, no syncs) p50 on one core, over echo";
    table.figure("R1", what, " us", &echo, &empty, Goal::AtMost(1.15));
    table.figure("R1", "get of one record p50 on one core, over redis GET", " us", &redis, &get, Goal::AtMost(2.0));
    Ok(())
}

/// Many askers are one that does not wait for each answer.
fn in_flight(asked: &Asked, table: &mut Table, kinds: [(&str, &str); 3]) -> anyhow::Result<()> {
    let mut all: [Vec<f64>; 3] = Default::default();
    for round in 0..asked.rounds {
        for ((kind, socket), rates) in kinds.iter().zip(&mut all) {
            let mut worker = Worker::start(&["heap", kind, socket], CORE)?;
            worker.go()?;
            let said = worker.hear()?;
            rates.push(said["per_second"].as_f64().unwrap_or(f64::NAN));
            table.row(json!({ "figure": "R2", "call": kind, "round": round, "per_second": said["per_second"] }));
        }
    }
    let [echo, get, redis] = all;
    table.figure("R2", "get, 64 in flight, on one core, over echo", "/s", &echo, &get, Goal::AtLeast(0.4));
    table.figure("R2", "the same, over redis GET (no goal)", "/s", &redis, &get, Goal::None);
    table.plain("R2", "the same, over gRPC: not measured", "-", "-", ">= 3 x", None);
    Ok(())
}

fn note() -> String {
    format!(r#"{{"title":"a note","state":"open","body":"{}"}}"#, "x".repeat(437))
}

/// The smallest server of the same kind. From within a worker; it ends with its input.
pub fn echo(socket: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = ListenerOptions::new().name(socket.to_fs_name::<GenericFilePath>()?).create_tokio()?;
        worker::tell(&json!("ready"))?;
        loop {
            let stream = listener.accept().await?;
            tokio::spawn(answer_all(stream));
        }
    })
}

/// A request, read as far as an echo has to.
#[derive(Default)]
struct Asking {
    id: u64,
    params: serde_json::Value,
}

fn read(line: &[u8]) -> serde_json::Result<Asking> {
    let mut all: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line)?;
    Ok(Asking {
        id: all.get("id").and_then(serde_json::Value::as_u64).unwrap_or(0),
        params: all.remove("params").unwrap_or_default(),
    })
}

async fn answer_all(stream: Stream) -> anyhow::Result<()> {
    let mut write_half = &stream;
    let mut lines = AsyncReader::with_capacity(64 << 10, &stream);
    let (mut line, mut out) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let asking = read(&line)?;
        serde_json::to_writer(
            &mut out,
            &json!({ "jsonrpc": "2.0", "id": asking.id, "result": { "syncs": [], "echo": asking.params } }),
        )?;
        out.push(b'\n');
        // What came together is answered together.
        if !lines.buffer().contains(&b'\n') {
            write_half.write_all(&out).await?;
            out.clear();
        }
    }
}

/// An app that calls, one call at a time. From within a worker.
pub fn ask_worker(which: &str, socket: &str, count: usize) -> anyhow::Result<()> {
    if which == "redis" {
        let mut talk = Talk::to(Path::new(socket))?;
        return one_at_a_time(count, || if talk.ask(&["GET", ID])?.len() < 478 { bail!("not the record") } else { Ok(()) });
    }
    // The echo knows no hello; all else is the same client.
    let options = Options { socket: Some(socket.into()), without_hello: which == "echo", ..Options::app("bench") };
    let mut client = Client::open(&options)?;
    match which {
        "get" => one_at_a_time(count, || {
            let raw = client.call_raw(Get { collection: "notes".into(), id: ID.into() })?;
            if raw.get().len() < 478 { bail!("not the record: {raw}") } else { Ok(()) }
        }),
        _ => one_at_a_time(count, || {
            let raw = client.call_raw(SyncList {})?;
            if raw.get().contains("syncs") { Ok(()) } else { bail!("not the answer: {raw}") }
        }),
    }
}

fn one_at_a_time(count: usize, mut call: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<()> {
    worker::ready()?;
    for _ in 0..count / 10 {
        call()?;
    }
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        call()?;
        took.push(began.elapsed().as_secs_f64() * 1e6);
    }
    took.sort_by(f64::total_cmp);
    worker::tell(&json!({ "p50_us": took[count / 2], "p99_us": took[count * 99 / 100] }))
}

/// How many are asked before the first answer is read.
const IN_FLIGHT: usize = 64;

/// An app that asks in heaps. From within a worker.
pub fn heap_worker(which: &str, socket: &str) -> anyhow::Result<()> {
    const HEAPS: u32 = 2_000;
    let socket = Path::new(socket);
    let mut heap: Box<dyn FnMut() -> anyhow::Result<()>> = if which == "redis" {
        let mut talk = Talk::to(socket)?;
        Box::new(move || {
            talk.say(&["GET", ID], IN_FLIGHT)?;
            (0..IN_FLIGHT).try_for_each(|_| talk.hear().map(|_| ()))
        })
    } else {
        let mut line = Line::open(socket, (which != "echo").then_some("bench"))?;
        let text = line::ask(7, "get", &json!({ "collection": "notes", "id": ID })).repeat(IN_FLIGHT);
        let least = if which == "echo" { 40 } else { 478 };
        Box::new(move || {
            line.say(&text)?;
            for _ in 0..IN_FLIGHT {
                let heard = line.hear()?;
                if heard.len() < least {
                    bail!("not an answer: {}", String::from_utf8_lossy(heard));
                }
            }
            Ok(())
        })
    };
    worker::ready()?;
    (0..HEAPS / 10).try_for_each(|_| heap())?;
    let began = Instant::now();
    (0..HEAPS).try_for_each(|_| heap())?;
    let answers = f64::from(HEAPS) * f64::from(u32::try_from(IN_FLIGHT)?);
    worker::tell(&json!({ "per_second": answers / began.elapsed().as_secs_f64() }))
}
