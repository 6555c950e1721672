//! Owns: R1: what a call costs, one at a time, beside the smallest server of the same kind (tokio, interprocess, serde_json) and a
//! read in redis where there is one. Must never know: how the daemon reads.
//!
//! Server and client share one core: across cores a call waits for the other core to wake, whatever the code costs.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
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
use serde_json::{json, value::RawValue};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader as AsyncReader};

use crate::{
    Asked,
    place::{self, Daemon},
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
    let redis = Redis::start(home.path())?;
    let redis_path = redis.as_ref().map(|redis| redis.socket.to_str().unwrap_or_default());

    let kinds = [("echo", Some(echo_path)), ("empty", Some(daemon_path)), ("get", Some(daemon_path)), ("redis", redis_path)];
    let mut all: [Vec<f64>; 4] = Default::default();
    for round in 0..asked.rounds {
        for ((kind, socket), took) in kinds.iter().zip(&mut all) {
            let Some(socket) = socket else { continue };
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
    if redis.is_empty() {
        table.plain("R1", "get p50 over redis GET: not measured, redis not installed", "-", "-", "<= 2 x", None);
        table.figure("R1", "get of one record p50 on one core, over echo (no goal)", " us", &echo, &get, Goal::None);
    } else {
        table.figure("R1", "get of one record p50 on one core, over redis GET", " us", &redis, &get, Goal::AtMost(2.0));
    }
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
        out.clear();
        serde_json::to_writer(
            &mut out,
            &json!({ "jsonrpc": "2.0", "id": asking.id, "result": { "syncs": [], "echo": asking.params } }),
        )?;
        out.push(b'\n');
        write_half.write_all(&out).await?;
    }
}

/// An app that calls, one call at a time. From within a worker.
pub fn ask_worker(which: &str, socket: &str, count: usize) -> anyhow::Result<()> {
    if which == "redis" {
        let mut stream = UnixStream::connect(socket)?;
        return one_at_a_time(count, || redis_get(&mut stream));
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

fn redis_get(stream: &mut UnixStream) -> anyhow::Result<()> {
    stream.write_all(format!("*2\r\n$3\r\nGET\r\n${}\r\n{ID}\r\n", ID.len()).as_bytes())?;
    let (mut buffer, mut got) = ([0; 4096], 0);
    while got < 2 || !buffer[..got].ends_with(b"\r\n") || got < 478 {
        match stream.read(&mut buffer[got..])? {
            0 => bail!("redis went away"),
            more => got += more,
        }
    }
    Ok(())
}

/// A redis in memory, where it is installed. It ends with its value.
struct Redis {
    child: Child,
    socket: std::path::PathBuf,
}

impl Redis {
    fn start(dir: &Path) -> anyhow::Result<Option<Self>> {
        let socket = dir.join("redis.sock");
        let mut command = place::on_core(Path::new("redis-server"), CORE);
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--dir"]).arg(dir).arg("--unixsocket").arg(&socket);
        let there =
            Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
        if !there {
            return Ok(None);
        }
        let redis = Self { child: command.stdout(Stdio::null()).spawn()?, socket };
        let until = Instant::now() + Duration::from_secs(10);
        let mut stream = loop {
            match UnixStream::connect(&redis.socket) {
                Ok(stream) => break stream,
                Err(error) if Instant::now() > until => return Err(error).context("redis does not answer"),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let note = note();
        write!(stream, "*3\r\n$3\r\nSET\r\n${}\r\n{ID}\r\n${}\r\n{note}\r\n", ID.len(), note.len())?;
        let mut said = String::new();
        BufReader::new(&stream).read_line(&mut said)?;
        if said.trim() == "+OK" { Ok(Some(redis)) } else { bail!("redis said {said}") }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
