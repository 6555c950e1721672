//! Owns: W4 and W5: apps that write now and then beside as many processes on one SQLite file, and apps that write flat out beside a
//! redis that has every write on the disk. Must never know: how any of them writes.

use std::{path::Path, time::Duration};

use serde_json::json;

use crate::{
    Asked,
    crowd::{self, Crowd},
    disk::Mood,
    place,
    table::{Goal, Table},
};

/// Between two writes of an app that writes now and then.
const PACE: Duration = Duration::from_millis(2);

/// W4.
pub fn paced(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let (mut files, mut ours) = (Vec::new(), Vec::new());
    for round in 0..asked.rounds {
        let dir = place::disk_dir()?;
        files.push(crowd::on_one_file(dir.path(), 16, asked.seconds, PACE, round, table)?.p99_ms);
        ours.push(crowd::through_the_daemon(program, 16, asked.seconds, PACE, round, table)?.p99_ms);
    }
    table.figure("W4", "16 apps, a write each 2 ms: p99, over as many processes", " ms", &files, &ours, Goal::AtMost(1.0 / 20.0));
    Ok(())
}

/// W5.
pub fn redis(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    for apps in [16, 64] {
        let (mut theirs, mut ours): (Vec<Crowd>, Vec<Crowd>) = (Vec::new(), Vec::new());
        for round in 0..asked.rounds {
            let dir = place::disk_dir()?;
            let (before, their) =
                Mood::around(dir.path(), || crowd::in_redis(apps, asked.seconds, Duration::ZERO, round, table))?;
            let (after, our) = Mood::around(dir.path(), || {
                crowd::through_the_daemon(program, apps, asked.seconds, Duration::ZERO, round, table)
            })?;
            table.row(json!({
                "figure": "disk", "apps": apps, "round": round, "fdatasync_ms_redis": before.ms(), "fdatasync_ms_put": after.ms(),
            }));
            theirs.push(their);
            ours.push(our);
        }
        let of = |crowds: &[Crowd], what: fn(&Crowd) -> f64| crowds.iter().map(what).collect::<Vec<f64>>();
        let (their_rate, our_rate) = (of(&theirs, |crowd| crowd.per_second), of(&ours, |crowd| crowd.per_second));
        let (their_worst, our_worst) = (of(&theirs, |crowd| crowd.worst_ms), of(&ours, |crowd| crowd.worst_ms));
        let what = format!("{apps} apps flat out, over redis with appendfsync always");
        table.figure("W5", &what, "/s", &their_rate, &our_rate, Goal::AtLeast(0.8));
        table.figure(
            "W5",
            &format!("{apps} apps: the worst write, over redis's"),
            " ms",
            &their_worst,
            &our_worst,
            Goal::AtMost(0.5),
        );
    }
    Ok(())
}
