//! Owns: E3: what a subscriber costs that sleeps through 200,000 changes, and what it hears when it wakes. Must never know: how changes
//! are kept for it.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};

use crate::{
    Asked,
    line::Line,
    place::Daemon,
    process,
    table::{Table, say},
};

const RECORDS: u64 = 1_000;
const CHANGES: u64 = 200_000;
/// What a socket and its writer may hold of states that are told already, each of about 350 bytes.
const AHEAD: u64 = (1 << 20) / 350;
/// Caches that fill while it sleeps.
const GROWN_MAX: f64 = 4.0;

fn write(writer: &mut Line, round: u64) -> anyhow::Result<()> {
    let text = "x".repeat(300);
    let put = |n: u64| {
        let data = json!({ "round": round, "text": text });
        json!({ "put": { "collection": "busy", "id": format!("b{n}"), "data": data, "overwrite": true } })
    };
    writer.call("transact", &json!({ "writes": (0..RECORDS).map(put).collect::<Vec<_>>() }))?;
    Ok(())
}

pub fn measure(program: &Path, _: &Asked, table: &mut Table) -> anyhow::Result<()> {
    say("E3: a subscriber asleep through 200,000 changes");
    let daemon = Daemon::start(program, "[collection.busy]\n", None)?;
    let mut writer = Line::open(&daemon.socket, Some("writer"))?;
    let mut sleeper = Line::open(&daemon.socket, Some("sleeper"))?;
    sleeper.call("subscribe", &json!({ "collections": ["busy"], "data": true, "initial": false }))?;
    // Some rounds before, so that what SQLite keeps for itself is there already.
    let warm = 20;
    (0..warm).try_for_each(|round| write(&mut writer, round))?;
    let before = process::share_bytes(daemon.pid())?;
    let rounds = CHANGES / RECORDS;
    (warm..warm + rounds).try_for_each(|round| write(&mut writer, round))?;
    let grown = process::share_bytes(daemon.pid())?.saturating_sub(before);
    // It wakes.
    let (mut told, mut last) = (0, BTreeMap::new());
    while last.len() < usize::try_from(RECORDS)? || last.values().any(|round| *round != warm + rounds - 1) {
        let heard: Value = serde_json::from_slice(sleeper.hear()?)?;
        for change in heard["params"]["changes"].as_array().into_iter().flatten() {
            told += 1;
            last.insert(change["id"].to_string(), change["data"]["round"].as_u64().unwrap_or(0));
        }
    }
    let grown_mb = f64::from(u32::try_from(grown / 1024)?) / 1_000.0;
    table.row(json!({ "figure": "E3", "grown_bytes": grown, "told": told, "records": RECORDS, "changes": CHANGES }));
    let what = "the daemon's memory while a subscriber sleeps through 200,000 changes";
    table.plain("E3", what, "-", &format!("+{grown_mb:.1} MB"), "constant (<= 4 MB)", Some(grown_mb <= GROWN_MAX));
    let what = "states that it hears when it wakes, of 1,000 records changed 200 times";
    let goal = "<= one a record, and what was on its way";
    table.plain("E3", what, "-", &told.to_string(), goal, Some(told <= RECORDS + AHEAD));
    Ok(())
}
