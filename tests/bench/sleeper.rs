//! Owns: E3: what a subscriber costs that sleeps through 200,000 changes, and what it hears when it wakes. Must never know: how changes
//! are kept for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    Asked,
    line::{self, Line},
    place::Daemon,
    process,
    table::{Table, say},
};

const RECORDS: u64 = 1_000;
const CHANGES: u64 = 200_000;
/// What a socket and its writer may hold of states that are told already, each of about 350 bytes.
const AHEAD: u64 = (1 << 20) / 350;
/// What an allocator keeps of its pieces, and caches that were not full.
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

/// What the writer and SQLite keep for themselves is there before anything is measured: so many other records fill the caches.
const WIDE: usize = 30_000;
/// Long before the daemon takes a subscriber for dead (30 s): then it turns over in its sleep.
const TURNS_OVER: Duration = Duration::from_secs(10);

pub fn measure(program: &Path, _: &Asked, table: &mut Table) -> anyhow::Result<()> {
    // The same without anybody who sleeps: what the daemon keeps of the writes themselves.
    let (without, _) = sleep_through(program, false)?;
    let (with, told) = sleep_through(program, true)?;
    table.row(json!({
        "figure": "E3", "grown_mb": with, "grown_mb_without": without, "under_way": told.under_way, "told": told.anew, "records": RECORDS, "changes": CHANGES,
    }));
    let what = "the daemon's memory while a subscriber sleeps through 200,000 changes; anchor: while nobody does";
    let signed = |mb: f64| format!("{mb:+.1} MB");
    table.plain("E3", what, &signed(without), &signed(with), "constant (<= 4 MB)", Some(with <= GROWN_MAX));
    let Heard { under_way, anew } = told;
    let what = "states that it hears when it wakes, of 1,000 records changed 200 times";
    table.plain("E3", what, "-", &anew.to_string(), "<= one a record", Some(anew <= RECORDS && under_way <= AHEAD));
    let what = "states before those: in its socket since it fell asleep (no goal)";
    table.plain("E3", what, "-", &under_way.to_string(), "-", None);
    Ok(())
}

/// How many states a subscriber heard.
#[derive(Default)]
struct Heard {
    /// Before those: what its socket held since it fell asleep.
    under_way: u64,
    /// At the end, none of a record that came again.
    anew: u64,
}

impl Heard {
    /// From the records of all states in the order in which they were heard.
    fn of(heard: &[String]) -> anyhow::Result<Self> {
        let mut seen = BTreeSet::new();
        let last = heard.iter().rposition(|record| !seen.insert(record)).map_or(0, |at| at + 1);
        let (under_way, anew) = heard.split_at(last);
        Ok(Self { under_way: u64::try_from(under_way.len())?, anew: u64::try_from(anew.len())? })
    }
}

/// By how many MB the daemon's share of memory grew, and what a subscriber heard, where there was one.
fn sleep_through(program: &Path, sleeps: bool) -> anyhow::Result<(f64, Heard)> {
    let daemon = Daemon::start(program, "[collection.busy]\n[collection.wide]\n", None)?;
    let mut writer = Line::open(&daemon.socket, Some("writer"))?;
    line::fill(&mut writer, "wide", WIDE, |number| (format!("w{number}"), json!({ "text": "w".repeat(400) })))?;
    let mut sleeper = Line::open(&daemon.socket, Some("sleeper"))?;
    if sleeps {
        sleeper.call("subscribe", &json!({ "collections": ["busy"], "data": true, "initial": false }))?;
    }
    let warm = 20;
    (0..warm).try_for_each(|round| write(&mut writer, round))?;
    let before = process::mb(process::share_bytes(daemon.pid())?)?;
    let (mut told, mut last) = (Vec::new(), BTreeMap::new());
    let mut hear = |sleeper: &mut Line, last: &mut BTreeMap<String, u64>| -> anyhow::Result<()> {
        let heard: Value = serde_json::from_slice(sleeper.hear()?)?;
        for change in heard["params"]["changes"].as_array().into_iter().flatten() {
            told.push(change["id"].to_string());
            last.insert(change["id"].to_string(), change["data"]["round"].as_u64().unwrap_or(0));
        }
        Ok(())
    };
    let (rounds, mut slept) = (CHANGES / RECORDS, Instant::now());
    for round in warm..warm + rounds {
        write(&mut writer, round)?;
        if sleeps && slept.elapsed() > TURNS_OVER {
            say("the machine is busy: the subscriber turns over in its sleep, and hears more");
            (0..4).try_for_each(|_| hear(&mut sleeper, &mut last))?;
            slept = Instant::now();
        }
    }
    let grown = process::mb(process::share_bytes(daemon.pid())?)? - before;
    // It wakes.
    while sleeps && (last.len() < usize::try_from(RECORDS)? || last.values().any(|round| *round != warm + rounds - 1)) {
        hear(&mut sleeper, &mut last)?;
    }
    Ok((grown, Heard::of(&told)?))
}
