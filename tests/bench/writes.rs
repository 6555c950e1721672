//! Owns: W1, W2, W3: several apps that write flat out, through the daemon, and as processes on one SQLite file.
//! Must never know: how the daemon writes.

use std::{path::Path, time::Duration};

use serde_json::json;

use crate::{
    Asked,
    crowd::{self, Crowd},
    disk::Mood,
    place,
    table::{Goal, Table, median},
};

/// Apps at once.
const CROWDS: [usize; 3] = [1, 4, 16];
/// Between two writes of an app: nothing.
const FLAT_OUT: Duration = Duration::ZERO;

pub fn measure(program: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let wanted = |apps: usize| if apps == 1 { asked.wants(&["W3"]) } else { asked.wants(&["W1", "W2"]) };
    let crowds: Vec<usize> = CROWDS.into_iter().filter(|apps| wanted(*apps)).collect();
    let mut all: Vec<(usize, Vec<Crowd>, Vec<Crowd>)> = crowds.iter().map(|apps| (*apps, Vec::new(), Vec::new())).collect();
    let mut raw = Vec::new();
    let mut alike = vec![Vec::new(); all.len()];
    for round in 0..asked.rounds {
        for ((apps, files, ours), alike) in all.iter_mut().zip(&mut alike) {
            let dir = place::disk_dir()?;
            let (before, file) =
                Mood::around(dir.path(), || crowd::on_one_file(dir.path(), *apps, asked.seconds, FLAT_OUT, round, table))?;
            let (after, our) =
                Mood::around(dir.path(), || crowd::through_the_daemon(program, *apps, asked.seconds, FLAT_OUT, round, table))?;
            let same = before.alike(&after);
            table.row(json!({
                "figure": "disk", "apps": apps, "round": round, "fdatasync_ms_file": before.ms(), "fdatasync_ms_put": after.ms(),
                "alike": same,
            }));
            raw.extend([before.ms(), after.ms()]);
            alike.push(same);
            files.push(file);
            ours.push(our);
        }
    }
    for ((apps, files, ours), alike) in all.iter().zip(&alike) {
        // Rounds in which the disk changed its mood between the two turns compare nothing, unless there are no others.
        let fit = alike.iter().filter(|same| **same).count();
        let of = |crowd: &[Crowd], what: fn(&Crowd) -> f64| {
            let rounds = crowd.iter().zip(alike).filter(|(_, same)| **same || fit == 0);
            rounds.map(|(round, _)| what(round)).collect::<Vec<_>>()
        };
        let (file_rate, our_rate) = (of(files, |c| c.per_second), of(ours, |c| c.per_second));
        let (figure, goal) = match apps {
            1 => ("W3", 0.55),
            4 => ("W1", 1.5),
            _ => ("W1", 3.5),
        };
        let how = if *apps == 1 { ", one write at a time" } else { "s flat out" };
        let what = format!("{apps} app{how}, durable writes ({fit} of {} rounds on an even disk)", alike.len());
        table.figure(figure, &what, "/s", &file_rate, &our_rate, Goal::AtLeast(goal));
        if *apps == 16 {
            let (file_worst, our_worst) = (of(files, |c| c.worst_ms), of(ours, |c| c.worst_ms));
            table.figure("W2", "16 apps: the worst write", " ms", &file_worst, &our_worst, Goal::AtMost(1.0 / 50.0));
            let (file_fair, our_fair) = (of(files, |c| c.fair), of(ours, |c| c.fair));
            let least = our_fair.iter().copied().fold(1.0, f64::min);
            table.plain(
                "W2",
                "16 apps: least-served over most-served, worst round",
                &format!("{:.4}", file_fair.iter().copied().fold(1.0, f64::min)),
                &format!("{least:.3}"),
                ">= 0.8",
                Some(least >= 0.8),
            );
            let errors = |crowd: &[Crowd]| crowd.iter().map(|c| c.errors).sum::<u64>();
            let (file_errors, our_errors) = (errors(files), errors(ours));
            let met = Some(our_errors == 0);
            table.plain("W2", "16 apps: errors, all rounds", &file_errors.to_string(), &our_errors.to_string(), "0", met);
        }
    }
    let (best, worst) = raw.iter().fold((f64::INFINITY, 0.0_f64), |(best, worst), ms| (best.min(*ms), worst.max(*ms)));
    let what = format!("raw fdatasync of 4 KiB appended: {best:.2} to {worst:.2} ms, median");
    table.plain("disk", &what, &format!("{:.2} ms", median(&raw)), "-", "-", None);
    Ok(())
}
