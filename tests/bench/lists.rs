//! Owns: R3: a list of a hundred records by an indexed property, beside a bare server that passes the same rows on as the JSON that
//! they are stored as. Must never know: how the daemon lists.

use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt as _, path::Path, time::Instant};

use anyhow::{Context, bail};
use interprocess::local_socket::{
    GenericFilePath, ListenerOptions, ToFsName,
    tokio::{Stream, prelude::*},
};
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::{
    Asked,
    line::{self, Line},
    place::{self, Daemon},
    table::{Goal, Table},
    worker::{self, Worker},
};

const CORE: Option<u32> = Some(0);
const RECORDS: usize = 20_000;
/// So many records have the same value.
const ALIKE: usize = 100;
const LISTS: u32 = 3_000;

pub fn measure(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let (home, data) = (tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir()?, place::disk_dir()?);
    let (file, socket) = (data.path().join("rows.db"), home.path().join("rows.sock"));
    let file_path = file.to_str().context("a path that is no text")?;
    let bare_path = socket.to_str().context("a path that is no text")?;
    let rows = Connection::open(&file)?;
    rows.execute_batch(
        "PRAGMA journal_mode = WAL; CREATE TABLE rows (id TEXT PRIMARY KEY, data TEXT NOT NULL, number INTEGER NOT NULL);
         CREATE INDEX rows_number ON rows (number, id); BEGIN",
    )?;
    for number in 0..RECORDS {
        let (id, data) = record(number);
        rows.execute("INSERT INTO rows (id, data, number) VALUES (?1, ?2, ?3)", (id, data.to_string(), number / ALIKE))?;
    }
    rows.execute_batch("COMMIT")?;
    let _bare = Worker::start(&["rows", file_path, bare_path], CORE)?;
    let daemon = Daemon::start(program, "[collection.notes]\nindex = [\"number\"]\n", CORE)?;
    line::fill(&mut Line::open(&daemon.socket, Some("bench"))?, "notes", RECORDS, record)?;
    let daemon_path = daemon.socket.to_str().context("a path that is no text")?;
    let mut all: [Vec<f64>; 2] = Default::default();
    for round in 0..asked.rounds {
        for ((kind, socket), rates) in [("bare", bare_path), ("ours", daemon_path)].iter().zip(&mut all) {
            let mut worker = Worker::start(&["list", kind, socket], CORE)?;
            worker.go()?;
            let said = worker.hear()?;
            rates.push(said["per_second"].as_f64().unwrap_or(f64::NAN));
            table.row(json!({ "figure": "R3", "list": kind, "round": round, "per_second": said["per_second"] }));
        }
    }
    let [bare, ours] = all;
    table.figure("R3", "list of 100 by an indexed property, on one core, over bare JSON", "/s", &bare, &ours, Goal::AtLeast(0.7));
    Ok(())
}

fn record(number: usize) -> (String, Value) {
    let data = json!({ "number": number / ALIKE, "title": format!("a note {number}"), "body": "x".repeat(430) });
    (format!("rec-{number:010}"), data)
}

/// The bare server: reads a question, the rows of it, and writes them as they are. From within a worker.
pub fn bare(file: &str, socket: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rows = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    runtime.block_on(async {
        let listener = ListenerOptions::new().name(socket.to_fs_name::<GenericFilePath>()?).create_tokio()?;
        worker::tell(&json!("ready"))?;
        loop {
            let stream = listener.accept().await?;
            answer_all(&stream, &rows).await?;
        }
    })
}

async fn answer_all(stream: &Stream, rows: &Connection) -> anyhow::Result<()> {
    let mut write_half = stream;
    let mut lines = BufReader::with_capacity(64 << 10, stream);
    let mut select = rows.prepare("SELECT id, data FROM rows WHERE number = ?1 ORDER BY id LIMIT 100")?;
    let (mut line, mut out) = (Vec::new(), String::new());
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let asked: Value = serde_json::from_slice(&line)?;
        out.clear();
        write!(out, "{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"records\":[", asked["id"])?;
        let mut found = select.query([asked["params"]["where"]["number"].as_u64()])?;
        let mut first = true;
        while let Some(row) = found.next()? {
            let comma = if std::mem::take(&mut first) { "" } else { "," };
            write!(out, "{comma}{{\"id\":\"{}\",\"data\":{}}}", row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?)?;
        }
        out.push_str("]}}\n");
        write_half.write_all(out.as_bytes()).await?;
    }
}

/// Lists on and on. From within a worker.
pub fn list_worker(which: &str, socket: &str) -> anyhow::Result<()> {
    let mut line = Line::open(Path::new(socket), (which != "bare").then_some("bench"))?;
    worker::ready()?;
    let mut list = |number: u32| {
        let number = number as usize % (RECORDS / ALIKE);
        let params = json!({ "collection": "notes", "where": { "number": number }, "order": ["id"], "limit": 100 });
        line.say(&line::ask(7, "list", &params))?;
        let heard = line.hear()?;
        if heard.len() < ALIKE * 430 {
            bail!("not a hundred records: {}", String::from_utf8_lossy(&heard[..heard.len().min(300)]));
        }
        Ok(())
    };
    (0..LISTS / 10).try_for_each(&mut list)?;
    let began = Instant::now();
    (0..LISTS).try_for_each(&mut list)?;
    worker::tell(&json!({ "per_second": f64::from(LISTS) / began.elapsed().as_secs_f64() }))
}
