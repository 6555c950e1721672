//! Owns: sleeping until something is due: one timer for the earliest moment, and the bell of cron expressions.
//! Must never know: jobs, and whether anything is to be done. It rings; `schedule::decide` decides.

#![expect(clippy::disallowed_methods, reason = "this is the one place that sleeps")]

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mingle_core::{
    limits::{BELLS_MAX, CLOCK_DRIFT_MAX, SLEEP_MAX},
    schedule::{Name, cron::Cron},
    time::Timestamp,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

use crate::clock::{self, Stopwatch, Zones};

mod nap;
mod ringer;
mod table;

use nap::Nap;
use ringer::Ringer;
use table::Table;

/// What the alarm says. Either way the whole board wants a look, and after it [`Alarm::wake_at`] a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bell {
    /// The cron expression of this sync rings.
    Due(Name),
    /// The moment has come, or the clock was set, or the machine slept.
    Time,
    /// A time zone that cron expressions ring by is another.
    Zones,
}

/// Sleeps that long, by the monotonic clock: for what is done now and then and may be late.
pub async fn pause(how_long: Duration) {
    #[expect(clippy::disallowed_methods, reason = "this is the place that sleeps")]
    tokio::time::sleep(how_long).await;
}

/// One timer and one bell.
pub struct Alarm {
    wake: watch::Sender<Option<Timestamp>>,
    timer: JoinHandle<()>,
    beat: watch::Sender<()>,
    table: Table,
    zones: Arc<Mutex<Zones>>,
    bells: mpsc::Sender<Bell>,
    ringer: Option<Ringer>,
}

impl Alarm {
    /// An alarm, and where it is heard. Needs a tokio runtime around it.
    #[must_use]
    pub fn new() -> (Self, mpsc::Receiver<Bell>) {
        let (bells, heard) = mpsc::channel(BELLS_MAX);
        let (wake, woken) = watch::channel(None);
        let (table, zones) = (Table::default(), Arc::<Mutex<Zones>>::default());
        let beat = watch::Sender::new(());
        let timer = tokio::spawn(keep_time(woken, bells.clone(), table.clone(), Arc::clone(&zones), beat.clone()));
        (Self { wake, timer, beat, table, zones, bells, ringer: None }, heard)
    }

    /// Changes with each look at the clocks, [`SLEEP_MAX`] apart while nothing happens: whoever has to look at something now and then
    /// looks then, so that a process that sleeps is woken once for all of them.
    #[must_use]
    pub fn beat(&self) -> watch::Receiver<()> {
        self.beat.subscribe()
    }

    /// Rings [`Bell::Time`] at this moment, instead of the one before; none: not at all.
    pub fn wake_at(&self, at: Option<Timestamp>) {
        self.wake.send_replace(at);
    }

    /// Rings [`Bell::Due`] for these cron expressions, instead of the ones before, and [`Bell::Zones`] where one of these zones (by
    /// name; none: the system's) is another. While there is one, tokio-cron-scheduler looks at
    /// them twice a second in a thread of its own; while there is none, nothing runs.
    pub fn crons(&mut self, crons: Vec<(Name, Cron)>, zones: impl IntoIterator<Item = Option<String>>) {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner).set(zones);
        let any = !crons.is_empty();
        self.table.set(crons, clock::now());
        if !any {
            self.ringer = None;
        } else if self.ringer.as_ref().is_none_or(Ringer::is_silent) {
            self.ringer = Ringer::start(self.table.clone(), self.bells.clone())
                .inspect_err(|error| tracing::warn!(%error, "no bell for cron expressions; the timer takes its place"))
                .ok();
        }
    }

    /// Whether one of the zones is another than was seen last: for who does not want to wait until the alarm looks.
    #[must_use]
    pub fn zones_changed(&self) -> bool {
        self.zones.lock().unwrap_or_else(PoisonError::into_inner).changed()
    }

    /// Ends it, and waits until nothing of it runs.
    pub async fn shut(self) {
        let Self { wake, timer, ringer, .. } = self;
        drop((wake, ringer));
        // It has nothing to lose: a panic in it was said when it happened.
        let _ = timer.await;
    }
}

/// Sleeps, never longer than [`SLEEP_MAX`] at a stretch, and compares both clocks on waking: the one that sleeping is measured by
/// stands still while the machine sleeps, and knows nothing of a wall clock that was set.
async fn keep_time(
    mut wake: watch::Receiver<Option<Timestamp>>,
    bells: mpsc::Sender<Bell>,
    table: Table,
    zones: Arc<Mutex<Zones>>,
    beat: watch::Sender<()>,
) {
    // When both clocks were last read together, and when the zones were last looked at: a word that comes in between, as on a busy
    // daemon many do, puts neither off.
    let (mut before, mut watch) = (clock::now(), Stopwatch::start());
    let mut looked = watch;
    let nap = Nap::new();
    loop {
        let at = *wake.borrow_and_update();
        // The one place that sleeps: till the moment, or till the next look at the clocks.
        let how_long = at.map_or(SLEEP_MAX, |at| at.since(clock::now()).min(SLEEP_MAX));
        let napped = tokio::select! {
            changed = wake.changed() => match changed {
                Ok(()) => false,
                Err(_) => return,
            },
            () = nap.sleep(how_long) => true,
        };
        let now = clock::now();
        let jumped = jumped(before, now, watch.elapsed());
        (before, watch) = (now, Stopwatch::start());
        if jumped {
            table.rewind(now);
        }
        if looked.elapsed() >= SLEEP_MAX || jumped {
            looked = watch;
            beat.send_replace(());
            let changed = zones.lock().unwrap_or_else(PoisonError::into_inner).changed();
            if changed && bells.send(Bell::Zones).await.is_err() {
                return;
            }
        }
        if jumped || (napped && at.is_some_and(|at| at <= now)) {
            if bells.send(Bell::Time).await.is_err() {
                return;
            }
            // Who heard it sets the next moment. Should that be forgotten, the same bell rings again, but does not spin.
            if napped {
                tokio::select! {
                    changed = wake.changed() => if changed.is_err() { return },
                    () = nap.sleep(SLEEP_MAX) => {}
                }
            }
        }
    }
}

/// Whether the wall clock went another way than time.
fn jumped(before: Timestamp, now: Timestamp, passed: Duration) -> bool {
    let expected = before.plus(passed);
    now.since(expected) > CLOCK_DRIFT_MAX || expected.since(now) > CLOCK_DRIFT_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than anything here takes on a busy machine.
    const AT_LAST: Duration = Duration::from_secs(20);

    fn every_second(names: &[&str]) -> Vec<(Name, Cron)> {
        let cron = Cron::parse("* * * * * *", jiff::tz::TimeZone::UTC).unwrap();
        names.iter().map(|name| ((*name).into(), cron.clone())).collect()
    }

    async fn next(heard: &mut mpsc::Receiver<Bell>) -> Bell {
        tokio::time::timeout(AT_LAST, heard.recv()).await.expect("a bell in time").expect("an alarm")
    }

    #[tokio::test]
    async fn it_rings_at_the_moment_and_not_before() {
        let (alarm, mut heard) = Alarm::new();
        for ms in [0, 50, 300] {
            let at = clock::now().plus(Duration::from_millis(ms));
            alarm.wake_at(Some(at));
            assert_eq!(next(&mut heard).await, Bell::Time);
            assert!(clock::now() >= at);
        }
        alarm.shut().await;
        assert_eq!(heard.recv().await, None);
    }

    #[tokio::test]
    async fn the_last_word_counts() {
        let (alarm, mut heard) = Alarm::new();
        let soon = clock::now().plus(Duration::from_millis(200));
        alarm.wake_at(Some(soon));
        alarm.wake_at(Some(clock::now().plus(Duration::from_secs(3600))));
        alarm.wake_at(None);
        let later = clock::now().plus(Duration::from_millis(400));
        // The same from a task that has to give way in between.
        tokio::task::yield_now().await;
        alarm.wake_at(Some(later));
        assert_eq!(next(&mut heard).await, Bell::Time);
        assert!(clock::now() >= later);
    }

    #[tokio::test]
    async fn a_moment_long_past_rings_once_until_the_next_word() {
        let (alarm, mut heard) = Alarm::new();
        alarm.wake_at(Some(Timestamp::from_unix_ms(0)));
        assert_eq!(next(&mut heard).await, Bell::Time);
        tokio::task::yield_now().await;
        assert!(heard.try_recv().is_err());
        alarm.wake_at(Some(Timestamp::from_unix_ms(0)));
        assert_eq!(next(&mut heard).await, Bell::Time);
    }

    #[test]
    fn a_jump_is_a_difference_of_clocks() {
        let before = Timestamp::from_unix_ms(1_000_000_000);
        let seconds = Duration::from_secs;
        assert!(!jumped(before, before.plus(seconds(30)), seconds(30)));
        assert!(!jumped(before, before.plus(seconds(31)), seconds(30)));
        assert!(!jumped(before, before.plus(seconds(29)), seconds(30)));
        assert!(jumped(before, before.plus(seconds(33)), seconds(30)));
        assert!(jumped(before, before.plus(seconds(27)), seconds(30)));
        assert!(jumped(before, before.minus(seconds(3_600)), seconds(30)));
        assert!(jumped(before, before.plus(seconds(8 * 3_600)), seconds(1)));
    }

    #[tokio::test]
    async fn cron_expressions_ring_survive_a_freeze_and_end() {
        let (mut alarm, mut heard) = Alarm::new();
        assert!(alarm.ringer.is_none(), "nothing runs without a cron expression");
        alarm.crons(every_second(&["a", "b"]), []);
        let both = async |heard: &mut mpsc::Receiver<Bell>| {
            let mut missing = vec!["a", "b"];
            while !missing.is_empty() {
                let Bell::Due(name) = next(heard).await else { panic!("nothing else rings") };
                missing.retain(|one| *one != &*name);
            }
        };
        both(&mut heard).await;
        {
            // Longer than its period, as a suspend or a stopped process would: the scheduler stands still in its next tick.
            let frozen = alarm.table.lock();
            std::thread::sleep(Duration::from_secs(3));
            drop(frozen);
        }
        while heard.try_recv().is_ok() {}
        both(&mut heard).await;
        both(&mut heard).await;
        alarm.crons(every_second(&["b"]), []);
        alarm.crons(Vec::new(), []);
        // Its thread has been waited for, so nobody is left who could ring.
        while heard.try_recv().is_ok() {}
        assert!(alarm.ringer.is_none());
        alarm.crons(every_second(&["b"]), []);
        assert_eq!(next(&mut heard).await, Bell::Due("b".into()));
        alarm.shut().await;
        while heard.recv().await.is_some() {}
    }

    #[tokio::test]
    async fn two_hundred_at_once_all_ring() {
        let (mut alarm, mut heard) = Alarm::new();
        let names: Vec<String> = (0..200).map(|place| format!("s{place}")).collect();
        alarm.crons(every_second(&names.iter().map(String::as_str).collect::<Vec<_>>()), []);
        let mut missing: std::collections::BTreeSet<Name> = names.iter().map(|name| name.as_str().into()).collect();
        while !missing.is_empty() {
            let Bell::Due(name) = next(&mut heard).await else { panic!("nothing else rings") };
            missing.remove(&name);
        }
    }
}
