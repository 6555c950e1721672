//! Owns: R1 and R2: what a call costs, one at a time and 64 in flight, beside the smallest server of the same kind (tokio,
//! interprocess, serde_json), a read in redis, and the same service over gRPC. Must never know: how the daemon reads.
//!
//! Server and client share one core: across cores a call waits for the other core to wake, whatever the code costs.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Instant,
};

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
use serde_json::{Value, json, value::RawValue};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader as AsyncReader};

use crate::{
    Asked, grpc,
    line::{self, Line},
    place::Daemon,
    redis::{Keeps, Redis, Talk},
    table::{Goal, Table},
    worker::{self, Worker},
};

const CORE: Option<u32> = Some(0);
/// Calls of one round, after a tenth of it to warm up.
const CALLS: &str = "20000";
/// Calls of all askers together, in one round of gRPC: it takes as long as the others then.
const HEAP_CALLS: &str = "64000";
const ID: &str = "rec-0000000042";

pub fn measure(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let anchor = grpc::program()?;
    let all = Servers::start(program, &anchor, CORE)?;
    if asked.wants(&["R1"]) {
        one_by_one(asked, table, &all)?;
        wherever(asked, table, program, &anchor)?;
    }
    if asked.wants(&["R2"]) {
        in_flight(asked, table, &all)?;
    }
    Ok(())
}

/// Everybody that is asked, each in a process of its own. They end with their value.
struct Servers {
    anchor: PathBuf,
    echo: String,
    ours: String,
    redis: String,
    grpc: String,
    core: Option<u32>,
    _held: (Worker, Daemon, Redis, Worker, TempDir),
}

impl Servers {
    fn start(program: &Path, anchor: &Path, core: Option<u32>) -> anyhow::Result<Self> {
        // Its directory is for us alone: the client trusts no other.
        let home = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir()?;
        let text = |path: &Path| path.to_str().map(str::to_owned).context("a path that is no text");
        let (echo, grpc) = (text(&home.path().join("echo.sock"))?, text(&home.path().join("grpc.sock"))?);
        let echo_server = Worker::start(&["echo", &echo], core)?;
        let daemon = Daemon::start(program, "[collection.notes]\n", core)?;
        let data = RawValue::from_string(note())?;
        let put = Put { collection: "notes".into(), id: Some(ID.into()), data, ..Put::default() };
        daemon.client("bench")?.put(put).context("failed to put the record that is read")?;
        let redis = Redis::start(home.path(), home.path(), Keeps::Nothing, core)?;
        Talk::to(&redis.socket)?.ask(&["SET", ID, &note()])?;
        let grpc_server = grpc::serve(anchor, &grpc, note().len(), core)?;
        let (ours, redis_path) = (text(&daemon.socket)?, text(&redis.socket)?);
        let held = (echo_server, daemon, redis, grpc_server, home);
        Ok(Self { anchor: anchor.to_path_buf(), echo, ours, redis: redis_path, grpc, core, _held: held })
    }

    /// What one app of this kind says after its round.
    fn app(&self, kind: &str, how: &str) -> anyhow::Result<Value> {
        let socket = match kind {
            "echo" => &self.echo,
            "redis" => &self.redis,
            "grpc" => &self.grpc,
            _ => &self.ours,
        };
        let mut worker = match (kind, how) {
            ("grpc", _) => grpc::app(&self.anchor, how, socket, if how == "ask" { CALLS } else { HEAP_CALLS }, self.core)?,
            (_, "ask") => Worker::start(&["ask", kind, socket, CALLS], self.core)?,
            ("askers", _) => Worker::start(&["askers", socket], self.core)?,
            _ => Worker::start(&["heap", kind, socket], self.core)?,
        };
        worker.go()?;
        worker.hear()
    }
}

fn one_by_one(asked: &Asked, table: &mut Table, servers: &Servers) -> anyhow::Result<()> {
    let mut all: [Vec<f64>; 5] = Default::default();
    for round in 0..asked.rounds {
        for (kind, took) in ["echo", "empty", "get", "redis", "grpc"].iter().zip(&mut all) {
            took.push(ask(servers, kind, round, table)?);
        }
    }
    let [echo, empty, get, redis, grpc] = all;
    let what = "empty call (sync.list, no syncs) p50 on one core, over echo";
    table.figure("R1", what, " us", &echo, &empty, Goal::AtMost(1.15));
    table.figure("R1", "get of one record p50 on one core, over redis GET", " us", &redis, &get, Goal::AtMost(2.0));
    table.figure("R1", "the same, over gRPC (tonic, from memory)", " us", &grpc, &get, Goal::AtMost(0.5));
    Ok(())
}

/// The same on whatever core the system takes: there a call is the wake-up of another core, whoever answers.
fn wherever(asked: &Asked, table: &mut Table, program: &Path, anchor: &Path) -> anyhow::Result<()> {
    let servers = Servers::start(program, anchor, None)?;
    let (mut get, mut redis) = (Vec::new(), Vec::new());
    for round in 0..asked.rounds {
        redis.push(ask(&servers, "redis", round, table)?);
        get.push(ask(&servers, "get", round, table)?);
    }
    let what = "get of one record p50, on any core, over redis GET on any core";
    table.figure("R1", what, " us", &redis, &get, Goal::AtMost(1.1));
    Ok(())
}

fn ask(servers: &Servers, kind: &str, round: usize, table: &mut Table) -> anyhow::Result<f64> {
    let said = servers.app(kind, "ask")?;
    table.row(json!({
        "figure": "R1", "call": kind, "core": servers.core, "round": round, "p50_us": said["p50_us"], "p99_us": said["p99_us"],
    }));
    Ok(said["p50_us"].as_f64().unwrap_or(f64::NAN))
}

/// Many askers are one that does not wait for each answer; where the client's own library is measured too, there are as many tasks of it.
fn in_flight(asked: &Asked, table: &mut Table, servers: &Servers) -> anyhow::Result<()> {
    let mut all: [Vec<f64>; 5] = Default::default();
    for round in 0..asked.rounds {
        for (kind, rates) in ["echo", "get", "redis", "grpc", "askers"].iter().zip(&mut all) {
            let said = servers.app(kind, "heap")?;
            rates.push(said["per_second"].as_f64().unwrap_or(f64::NAN));
            table.row(json!({ "figure": "R2", "call": kind, "round": round, "per_second": said["per_second"] }));
        }
    }
    let [echo, get, redis, grpc, askers] = all;
    table.figure("R2", "get, 64 in flight, on one core, over echo", "/s", &echo, &get, Goal::AtLeast(0.4));
    table.figure("R2", "the same, over redis GET (no goal)", "/s", &redis, &get, Goal::None);
    let what = "the same, over gRPC (tonic, 64 tasks on one channel, from memory)";
    table.figure("R2", what, "/s", &grpc, &get, Goal::AtLeast(3.0));
    let what = "get by 64 tasks on one connection of our client library, over the same of gRPC (no goal)";
    table.figure("R2", what, "/s", &grpc, &askers, Goal::None);
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
    params: Value,
}

fn read(line: &[u8]) -> serde_json::Result<Asking> {
    let mut all: serde_json::Map<String, Value> = serde_json::from_slice(line)?;
    Ok(Asking { id: all.get("id").and_then(Value::as_u64).unwrap_or(0), params: all.remove("params").unwrap_or_default() })
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
            let raw = client.call_raw(Get { collection: "notes".into(), id: ID.into(), ..Get::default() })?;
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

/// Tasks that each call one at a time, on one connection of the client library. From within a worker.
pub fn askers_worker(socket: &str) -> anyhow::Result<()> {
    const CALLS_EACH: u32 = 1_000;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let options = Options { socket: Some(socket.into()), ..Options::app("bench") };
    runtime.block_on(async {
        let client = mingle_client::nonblocking::Client::open(&options).await?;
        let together = async |calls: u32| -> anyhow::Result<()> {
            let askers: Vec<_> = (0..IN_FLIGHT)
                .map(|_| {
                    let client = client.clone();
                    tokio::spawn(async move {
                        for _ in 0..calls {
                            let raw =
                                client.call_raw(Get { collection: "notes".into(), id: ID.into(), ..Get::default() }).await?;
                            if raw.get().len() < 478 {
                                bail!("not the record: {raw}");
                            }
                        }
                        Ok(())
                    })
                })
                .collect();
            for asker in askers {
                asker.await??;
            }
            Ok(())
        };
        worker::ready()?;
        together(CALLS_EACH / 10).await?;
        let began = Instant::now();
        together(CALLS_EACH).await?;
        let answers = f64::from(CALLS_EACH) * f64::from(u32::try_from(IN_FLIGHT)?);
        worker::tell(&json!({ "per_second": answers / began.elapsed().as_secs_f64() }))
    })
}
