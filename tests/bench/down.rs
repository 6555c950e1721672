//! Owns: S1: a first sync of 20,000 records from a real Kinto into a durable store, beside curl that fetches the same pages and
//! throws them away, and beside Kinto's own client, which keeps them in memory. Must never know: how the daemon fetches or stores.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail};
use mingle_client::call::{History, SyncRun, Wait};
use mingle_tests::servers::Kinto;
use serde_json::{Value, json};

use crate::{
    Asked,
    place::Daemon,
    table::{Goal, Table},
};

const RECORDS: usize = 20_000;
/// Requests in one batch: Kinto's own default limit.
const BATCH: usize = 25;
/// Records of a page that curl asks for.
const PAGE: usize = 5_000;

pub fn measure(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let kinto = Kinto::start();
    let resource = kinto.collection();
    let began = Instant::now();
    load(&kinto, &resource)?;
    table.row(json!({ "figure": "S1", "loaded": RECORDS, "seconds": began.elapsed().as_secs_f64() }));
    let (mut curl, mut own, mut walls, mut runs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // Installed before anything is measured.
    own_client(&kinto, &resource)?;
    for round in 0..asked.rounds {
        let fetched = fetch(&kinto, &resource)?;
        let theirs = own_client(&kinto, &resource)?;
        let (wall, run) = first_sync(program, &kinto, &resource)?;
        table.row(json!({
            "figure": "S1", "round": round, "curl_s": fetched, "kinto_http_s": theirs, "ours_wall_s": wall, "ours_run_s": run,
        }));
        curl.push(fetched);
        own.push(theirs);
        walls.push(wall);
        runs.push(run);
    }
    let what = "20,000 Kinto records down, durable (the run's own history), over curl";
    table.figure("S1", what, " s", &curl, &runs, Goal::AtMost(1.6));
    table.figure("S1", "the same, from sync.run to the answer of wait", " s", &curl, &walls, Goal::AtMost(1.6));
    let what = "the same, over kinto's own Python client (kinto-http, stores nothing; without the start of Python)";
    table.figure("S1", what, " s", &own, &walls, Goal::AtMost(1.0));
    Ok(())
}

/// Records of about 390 bytes, through the batch endpoint.
fn load(kinto: &Kinto, resource: &str) -> anyhow::Result<()> {
    for first in (0..RECORDS).step_by(BATCH) {
        let requests: Vec<Value> = (first..first + BATCH)
            .map(|number| {
                let data =
                    json!({ "name": format!("record {number}"), "number": number, "tags": ["a", "b"], "text": "y".repeat(280) });
                json!({ "method": "PUT", "path": format!("/{resource}/records/rec-{number:08}"), "body": { "data": data } })
            })
            .collect();
        let body = json!({ "requests": requests }).to_string();
        let answer = kinto.ask("POST", "batch", &[], Some(&body));
        if answer.status != 200
            || answer.body.matches("\"status\":201").count() + answer.body.matches("\"status\": 201").count() != BATCH
        {
            bail!("a batch was refused: {} {}", answer.status, &answer.body[..answer.body.len().min(300)]);
        }
    }
    Ok(())
}

/// Fetches every page with curl, in the order of Next-Page; the seconds it took.
fn fetch(kinto: &Kinto, resource: &str) -> anyhow::Result<f64> {
    let (account, password) = Kinto::ACCOUNT;
    let login = format!("{account}:{password}");
    let began = Instant::now();
    let mut next = Some(format!("{}/{resource}/records?_limit={PAGE}", kinto.url));
    let mut pages = 0;
    while let Some(url) = next {
        let out = Command::new("curl")
            .args(["-sS", "--fail", "-u", &login, "-D", "-", "-o", "/dev/null", &url])
            .stdin(Stdio::null())
            .output()
            .context("curl does not start")?;
        if !out.status.success() {
            bail!("curl {url}: {}", String::from_utf8_lossy(&out.stderr));
        }
        pages += 1;
        let head = String::from_utf8_lossy(&out.stdout).into_owned();
        let named = |line: &str| {
            line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("next-page")).map(|(_, at)| at.trim().to_owned())
        };
        next = head.lines().find_map(named);
    }
    if pages < RECORDS / PAGE {
        bail!("only {pages} pages");
    }
    Ok(began.elapsed().as_secs_f64())
}

/// Fetches every page with Kinto's own client; the seconds it took, without the start of Python.
fn own_client(kinto: &Kinto, resource: &str) -> anyhow::Result<f64> {
    let out = kinto.own_client(resource, PAGE).stdin(Stdio::null()).output().context("Python does not start")?;
    if !out.status.success() {
        bail!("kinto's own client: {}", String::from_utf8_lossy(&out.stderr));
    }
    let said: Value = serde_json::from_slice(&out.stdout)?;
    if said["records"] != RECORDS {
        bail!("kinto's own client brought not everything: {said}");
    }
    said["seconds"].as_f64().context("no seconds")
}

/// A first sync into a new store: seconds from the call to the answer, and those that the run's history says.
fn first_sync(program: &Path, kinto: &Kinto, resource: &str) -> anyhow::Result<(f64, f64)> {
    let (account, password) = Kinto::ACCOUNT;
    let secret = tempfile::NamedTempFile::new()?;
    std::fs::write(secret.path(), password)?;
    let configuration = format!(
        "[remote.kinto]
kind = \"rest\"
profile = \"kinto\"
url = \"{}\"
auth = {{ type = \"basic\", username = \"{account}\", password = {{ file = \"{}\" }} }}

[sync.notes]
collection = \"notes\"
remote = \"kinto\"
resource = \"{resource}\"
direction = \"both\"
",
        kinto.url,
        secret.path().display(),
    );
    let daemon = Daemon::start(program, &configuration, None)?;
    let mut client = daemon.client("bench")?;
    let began = Instant::now();
    let run = client.sync_run(SyncRun { sync: "notes".into(), ..SyncRun::default() })?.run;
    let waited = client.wait(Wait { run: Some(run.clone()), timeout_ms: Some(120_000), ..Wait::default() })?;
    let wall = began.elapsed().as_secs_f64();
    let history = client.history(History { sync: Some("notes".into()), ..History::default() })?;
    let row = history.runs.iter().find(|row| row.run == run).context("the run is not in the history")?;
    if row.down != RECORDS as u64 || row.rejected > 0 || row.error.is_some() {
        bail!("the first sync brought not everything: {waited:?} {row:?}");
    }
    let seconds = |at: &Option<String>| -> anyhow::Result<f64> {
        let text = at.as_deref().context("the run has no times")?;
        seconds_of_day(text).with_context(|| format!("{text}: no time"))
    };
    let took = seconds(&row.ended_at)? - seconds(&row.started_at)?;
    // Midnight lay between.
    Ok((wall, if took < 0.0 { took + 86_400.0 } else { took }))
}

/// Of an RFC 3339 time in UTC.
fn seconds_of_day(text: &str) -> Option<f64> {
    let clock = text.split_once('T')?.1.trim_end_matches('Z');
    let mut parts = clock.split(':');
    let (hours, minutes, seconds): (f64, f64, f64) =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    Some((hours * 60.0 + minutes) * 60.0 + seconds)
}
