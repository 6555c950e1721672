//! Owns: D1 to D4: what the daemon costs while nothing happens, how soon it is there, and what a thousand apps cost.
//! Must never know: what it does in its sleep.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use mingle_client::call::SyncList;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;

use crate::{
    Asked,
    flood::Flood,
    growth,
    line::Line,
    place::{self, Daemon},
    process,
    redis::{Keeps, Redis},
    table::{Goal, Table},
};

const MB: f64 = 1e6;
/// A minute of nothing, after some seconds to settle.
const SETTLE: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_secs(60);

fn mb(bytes: u64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(bytes / 1024)?) * 1024.0 / MB)
}

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
    let (wakes, ran_ms) =
        (after.wakes - before.wakes, f64::from(u32::try_from((after.ran_ns - before.ran_ns) / 1_000)?) / 1_000.0);
    table.row(json!({ "figure": "D1", "wakes_per_minute": wakes, "ran_ms_per_minute": ran_ms }));
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

/// D2 and D4.
pub fn memory(program: &Path, _: &Asked, table: &mut Table) -> anyhow::Result<()> {
    const APPS: usize = 1_000;
    const LISTENERS: usize = 100;
    let flood = Flood::start(100_000);
    {
        let daemon = growth::beside(program, &flood)?;
        growth::run(&mut daemon.client("bench")?)?;
        let daemon = daemon.again(program)?;
        daemon.client("bench")?.call(SyncList {})?;
        // What the start itself took is given back meanwhile.
        std::thread::sleep(SETTLE);
        let share = mb(process::share_bytes(daemon.pid())?)?;
        table.plain(
            "D2",
            "idle memory (PSS), a store of 100,000 records",
            "-",
            &format!("{share:.1} MB"),
            "<= 10 MB",
            Some(share <= 10.0),
        );
    }
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    let daemon = growth::beside(program, &flood)?;
    let mut apps = Vec::new();
    for number in 0..APPS {
        let mut app = Line::open(&daemon.socket, Some(&format!("app{number}")))?;
        if number < LISTENERS {
            app.call("subscribe", &json!({ "collections": ["notes"], "data": true, "initial": false }))?;
        } else {
            app.call("sync.list", &json!({}))?;
        }
        apps.push(app);
    }
    let share = mb(process::share_bytes(daemon.pid())?)?;
    let what = "memory (PSS) with 1,000 connected apps, 100 subscriptions";
    table.plain("D4", what, "-", &format!("{share:.1} MB"), "<= 64 MB", Some(share <= 64.0));
    Ok(())
}

/// D3, and D4's large store: given a daemon with a store of a million records.
pub fn large(program: &Path, daemon: Daemon, table: &mut Table) -> anyhow::Result<()> {
    const STARTS: usize = 7;
    let (mut ours, mut small, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let mut daemon = daemon;
    for _ in 0..STARTS {
        daemon = daemon.again(program)?;
        ours.push(daemon.started_in.as_secs_f64() * 1_000.0);
        small.push(Daemon::start(program, "[collection.notes]\n", None)?.started_in.as_secs_f64() * 1_000.0);
        let home = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o700)).tempdir()?;
        let redis = Redis::start(home.path(), home.path(), Keeps::Nothing, None)?;
        theirs.push(redis.started_in.as_secs_f64() * 1_000.0);
    }
    table.row(json!({ "figure": "D3", "starts_ms": ours, "starts_ms_empty_store": small, "redis_ms": theirs }));
    table.figure(
        "D3",
        "exec to first answer, a store of 1,000,000 records, over redis",
        " ms",
        &theirs,
        &ours,
        Goal::AtMost(2.0),
    );
    table.figure("D3", "the same, over an empty store", " ms", &small, &ours, Goal::AtMost(1.25));
    let began = Instant::now();
    daemon.client("bench")?.call(SyncList {})?;
    table.row(json!({ "figure": "D4", "first_call_ms": began.elapsed().as_secs_f64() * 1_000.0 }));
    let share = mb(process::share_bytes(daemon.pid())?)?;
    let what = format!("memory (PSS) with a store of {:.1} GB", mb(place::size(&daemon.store())?)? / 1_000.0);
    table.plain("D4", &what, "-", &format!("{share:.1} MB"), "no growth with the store (<= 64 MB)", Some(share <= 64.0));
    Ok(())
}
