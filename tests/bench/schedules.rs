//! Owns: D5: ten thousand schedules that are due at one moment: how late they are decided, and what a decision costs.
//! Must never know: how anything is decided.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use mingle_core::{
    schedule::{Board, Conditions, Desk, Interval, Job, Last, Name, Plan},
    time::Timestamp,
};
use mingle_tests::wait::{Times, Watch};
use mingled::{alarm::Alarm, clock};
use serde_json::json;

use crate::{Asked, table::Table};

const SCHEDULES: u32 = 10_000;
/// Moments for each round that is asked for.
const MOMENTS: usize = 20;
const HOUR: Duration = Duration::from_secs(3_600);
const LATE_MAX: Duration = Duration::from_millis(15);
const COST_MAX: Duration = Duration::from_micros(1);

/// All of them due at this moment.
fn board(due: Timestamp) -> Board {
    let job = |place: u32| {
        let plan = Plan {
            remote: format!("r{}", place % 100).into(),
            resource: format!("x{place}"),
            collection: format!("c{place}"),
            interval: Some(Interval { every: HOUR, flex: Duration::ZERO }),
            ..Plan::default()
        };
        (Name::from(format!("s{place}")), Job::new(plan, Last::Done { began: due.minus(HOUR) }, 0, due.minus(HOUR)))
    };
    Board { jobs: (0..SCHEDULES).map(job).collect(), ..Board::default() }
}

pub fn measure(_: &Path, asked: &Asked, table: &mut Table) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (mut late, mut waiting, mut due, mut on) = (Times::default(), Times::default(), Times::default(), Times::default());
    let (alarm, mut bells) = runtime.block_on(async { Alarm::new() });
    for round in 0..asked.rounds * MOMENTS {
        let ahead = Duration::from_millis(150);
        let (at, watch) = (clock::now().plus(ahead), Watch::start());
        let mut desk = Desk::new(board(at), Conditions::default());
        let before = Watch::start();
        let held = desk.next(clock::now());
        waiting.note(before.elapsed() / SCHEDULES);
        anyhow::ensure!(held.start.is_empty() && held.wake_at == Some(at), "something was due before its time");
        alarm.wake_at(held.wake_at);
        runtime.block_on(bells.recv()).context("the alarm ended")?;
        let before = Watch::start();
        let decision = desk.next(clock::now());
        // Every schedule has its answer now: it begins, or its turn comes when another ends.
        let lateness = watch.elapsed().saturating_sub(ahead);
        due.note(before.elapsed() / SCHEDULES);
        late.note(lateness);
        // And one that goes on costs the others nothing.
        for start in &decision.start {
            desk.job(&start.sync).context("a job that starts")?.begin(clock::now());
        }
        let before = Watch::start();
        for start in &decision.start {
            desk.job(&start.sync).context("a job that runs")?.heard(clock::now());
            desk.next(clock::now());
        }
        on.note(before.elapsed() / u32::try_from(decision.start.len().max(1)).unwrap_or(1));
        let looked_at = desk.seen().len();
        anyhow::ensure!(!decision.start.is_empty() && looked_at == SCHEDULES as usize, "not all");
        table.row(json!({ "figure": "D5", "round": round, "late_s": lateness.as_secs_f64() }));
    }
    runtime.block_on(alarm.shut());
    let what = format!("{SCHEDULES} schedules due at once: lateness of the decision");
    table.plain("D5", &what, "9 ms (heap of timers, seen once)", &late.told(), "p99 <= 15 ms", Some(late.share(99) <= LATE_MAX));
    let worst = waiting.share(50).max(due.share(50));
    let ours = format!("{} ns waiting, {} ns due", waiting.share(50).as_nanos(), due.share(50).as_nanos());
    table.plain("D5", "cost of the decision a schedule, median", "-", &ours, "< 1 us", Some(worst < COST_MAX));
    let ours = format!("{} ns", on.share(50).as_nanos());
    table.plain("D5", &format!("cost of an event of one run beside {SCHEDULES} that wait, median"), "-", &ours, "-", None);
    Ok(())
}
