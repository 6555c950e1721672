//! Owns: D1 and D2: what the daemon costs while nothing happens. Must never know: what it does in its sleep.

use std::{path::Path, time::Duration};

use mingle_client::call::SyncList;
use serde_json::json;

use crate::{
    Asked,
    flood::Flood,
    growth,
    line::Line,
    place::Daemon,
    process::{self, mb},
    table::Table,
};

/// A minute of nothing, once an idle daemon has given its memory back (5 to 10 s after the last write).
const SETTLE: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);

/// D1: ten syncs that wait, one app that listens.
pub fn asleep(program: &Path, _: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let flood = Flood::start(100);
    let mut configuration = flood.configuration();
    for number in 0..9 {
        configuration += &format!(
            "\n[sync.more{number}]\ncollection = \"more{number}\"\nremote = \"far\"\nresource = \"things{number}\"\ndirection = \"down\"\nevery = \"6h\"\n"
        );
    }
    let daemon = Daemon::start_with(program, &configuration, None, Flood::write_profile)?;
    let mut ear = Line::open(&daemon.socket, Some("ear"))?;
    ear.call("subscribe", &json!({ "collections": ["things"] }))?;
    growth::run(&mut daemon.client("bench")?)?;
    // Nothing happens: that is what is measured.
    std::thread::sleep(SETTLE);
    let before = process::done(daemon.pid())?;
    std::thread::sleep(MINUTE);
    let after = process::done(daemon.pid())?;
    let woke = after.since(&before);
    let (wakes, ran_ms) = (woke.wakes(), f64::from(u32::try_from(woke.ran_ns / 1_000)?) / 1_000.0);
    table.row(json!({ "figure": "D1", "wakes_per_minute": wakes, "by_thread": woke.by_thread, "ran_ms_per_minute": ran_ms }));
    table.plain(
        "D1",
        "wake-ups in a minute, ten syncs waiting, one app subscribed",
        "-",
        &wakes.to_string(),
        "<= 2",
        Some(wakes <= 2),
    );
    table.plain("D1", "processor time in that minute", "-", &format!("{ran_ms:.2} ms"), "< 1 ms", Some(ran_ms < 1.0));
    Ok(())
}

/// D2.
pub fn memory(program: &Path, _: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let flood = Flood::start(100_000);
    let daemon = growth::beside(program, &flood)?;
    growth::run(&mut daemon.client("bench")?)?;
    std::thread::sleep(SETTLE);
    let synced = mb(process::share_bytes(daemon.pid())?)?;
    let daemon = daemon.again(program)?;
    daemon.client("bench")?.call(SyncList {})?;
    // What the start itself took is given back meanwhile.
    std::thread::sleep(SETTLE);
    let share = mb(process::share_bytes(daemon.pid())?)?;
    table.row(json!({ "figure": "D2", "share_mb": share, "share_mb_after_its_first_sync": synced }));
    let told = format!("{share:.1} MB");
    table.plain("D2", "idle memory (PSS), a store of 100,000 records", "-", &told, "<= 10 MB", Some(share <= 10.0));
    let told = format!("{synced:.1} MB");
    table.plain("D2", "the same, of the daemon that has just synced them (no goal)", "-", &told, "-", None);
    Ok(())
}
