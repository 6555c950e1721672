//! Owns: the scene of the large sync: stopped, restarted, killed, and never begun anew. Must never know: how programs are started.

use std::{sync::mpsc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use mingle_client::{
    Update,
    call::{Subscribe, Topic},
    event::{Body, RunEvent, RunStep},
};
use serde_json::{Value, json};

use crate::{
    remote::{PAGE_ROWS_MAX, Remote},
    screen::Screen,
    stage::{LONG, Stage},
};

/// Enough that there is a middle to stop in.
const READINGS: usize = 6_000;

/// The remote thinks so long about each page, so that a person can follow.
const LAG: Duration = Duration::from_millis(150);

/// Every page would be too much to read.
const SHOWN_EACH: u64 = 1_000;

/// What is at the remote.
pub fn readings() -> impl Iterator<Item = (String, Value)> {
    (0..READINGS).map(|n| {
        let reading = json!({ "sensor": format!("s{:02}", n % 40), "degrees": 15 + n % 10, "note": "as read, not corrected" });
        (format!("reading-{n:05}"), reading)
    })
}

/// The scene.
pub fn tell(screen: &mut Screen, stage: &mut Stage, remote: &Remote) -> anyhow::Result<()> {
    screen.scene("A large sync, stopped in the middle, restarted, killed, and restarted");
    screen.say(&format!(
        "The remote has {READINGS} readings, and sends {PAGE_ROWS_MAX} with each page, slowly. What came is committed together \
         with the position up to which it came, batch by batch."
    ));
    remote.lag(LAG);
    remote.sent("readings");
    let mut progress = Progress::listen(stage)?;
    stage.mingle(screen, 0, &["sync", "readings", "--no-wait"])?;
    progress.until(screen, READINGS / 3)?;
    screen.say("Stop: no new request leaves, what came is committed. Apps go on, and runs are refused until `mingle restart`.");
    stage.mingle(screen, 0, &["stop"])?;
    progress.until_over(screen)?;
    stage.mingle(screen, 6, &["sync", "readings"])?;
    stage.mingle(screen, 0, &["patch", "tasks", "roof", r#"{"who":"Dee"}"#])?;
    let stopped_at = counted(screen, stage)?;
    ensure!(stopped_at > 0 && stopped_at < READINGS, "the stop should have come in the middle, and {stopped_at} are here");

    screen.say("Restart: the run goes on where it stopped.");
    stage.mingle(screen, 0, &["restart", "--resync-stopped"])?;
    progress.until(screen, READINGS * 2 / 3)?;
    drop(progress);
    screen.say("Now the hard way: kill -9. The process gets no chance to tidy up. Started again, it goes on by itself.");
    let pid = stage.kill()?;
    screen.command(&format!("kill -9 {pid}; mingled &"));
    stage.start()?;
    let mut progress = Progress::listen(stage)?;
    let killed_at = counted(screen, stage)?;
    ensure!(killed_at >= stopped_at, "{stopped_at} were here before the kill, and {killed_at} after it");
    progress.until_done(screen, stage)?;
    let all = counted(screen, stage)?;
    ensure!(all == READINGS, "all {READINGS} readings should be here, and {all} are");
    let sent = remote.sent("readings");
    screen.good(&format!("all {all} are here. The remote sent {sent} rows in all: nothing was begun anew"));
    // Two interruptions, and each may cost the page under way and the one asked for ahead.
    ensure!(sent <= READINGS + 4 * PAGE_ROWS_MAX, "the remote had to send {sent} rows for {READINGS} records");
    remote.lag(Duration::ZERO);
    Ok(())
}

fn counted(screen: &Screen, stage: &Stage) -> anyhow::Result<usize> {
    screen.command("mingle list readings | wc -l");
    let listed = stage.mingle_quietly(&["list", "readings"])?;
    ensure!(listed.code == 0, "`mingle list readings` ended with {}: {}", listed.code, listed.err);
    let count = listed.out.lines().count();
    screen.printed("", &count.to_string());
    Ok(count)
}

/// What the daemon says of its runs, as it comes.
struct Progress {
    heard: mpsc::Receiver<RunEvent>,
    shown: String,
}

impl Progress {
    fn listen(stage: &Stage) -> anyhow::Result<Self> {
        let topics = Some(vec![Topic::Run]);
        let ask = Subscribe { collections: Some(Vec::new()), topics, initial: Some(false), ..Subscribe::default() };
        let updates = stage.client()?.subscribe(ask).context("failed to subscribe to runs")?;
        let (sender, heard) = mpsc::channel();
        // It ends with the daemon, or with the first event that nobody wants.
        std::thread::spawn(move || {
            for update in updates.map_while(Result::ok) {
                if let Update::Event(event) = update
                    && let Body::Run(run) = event.body
                    && run.sync == "readings"
                    && sender.send(run).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { heard, shown: String::new() })
    }

    fn next(&self) -> anyhow::Result<RunEvent> {
        let Ok(run) = self.heard.recv_timeout(LONG) else { bail!("mingled said nothing of the run for {} s", LONG.as_secs()) };
        Ok(run)
    }

    /// Shows progress until so many records of this run came.
    fn until(&mut self, screen: &Screen, done: usize) -> anyhow::Result<()> {
        loop {
            let run = self.next()?;
            ensure!(run.step != RunStep::Finished, "the run ended before it could be interrupted: {:?}", run.status);
            self.show(screen, &run);
            if run.done.is_some_and(|now| now >= done as u64) {
                return Ok(());
            }
        }
    }

    /// Until the run has ended, in whatever way.
    fn until_over(&self, screen: &Screen) -> anyhow::Result<()> {
        loop {
            let run = self.next()?;
            if run.step == RunStep::Finished {
                screen.printed("mingled", &format!("{} {}", run.run, run.status));
                return Ok(());
            }
        }
    }

    /// Until everything is here. The run may have ended before anybody listened.
    fn until_done(&mut self, screen: &Screen, stage: &Stage) -> anyhow::Result<()> {
        while let Ok(run) = self.heard.recv_timeout(Duration::from_millis(500)) {
            self.show(screen, &run);
            if run.step == RunStep::Finished {
                break;
            }
        }
        stage.mingle(screen, 0, &["sync", "readings"])?;
        Ok(())
    }

    /// One line for each thousand records. This remote does not say how many there are in all; where one does, the total is told too.
    fn show(&mut self, screen: &Screen, run: &RunEvent) {
        let (Some(phase), Some(done)) = (&run.phase, run.done) else { return };
        let step = format!("{phase}: {} records", done / SHOWN_EACH * SHOWN_EACH);
        if phase == "down" && done > 0 && self.shown != step {
            screen.printed("mingled", &step);
            self.shown = step;
        }
    }
}
