//! Owns: which cron expression rings when, as the storage behind tokio-cron-scheduler.
//! Must never know: threads, channels, who hears the bell.
//!
//! The scheduler asks twice a second what is due. It is told only that, never more than its channels hold, and never when something
//! last rang, for its own arithmetic goes silent after a suspend and an hour off after daylight saving. The next ring is worked
//! out here, in each expression's own zone.

use std::{
    collections::{BTreeSet, HashMap},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mingle_core::{
    limits::CRONS_PER_TICK_MAX,
    schedule::{Name, cron::Cron},
    time::Timestamp,
};
use tokio_cron_scheduler::{
    JobSchedulerError, MetaDataStorage,
    job::job_data::{CronJob, JobAndNextTick, JobStoredData, JobType, job_stored_data},
    store::{DataStore, InitStore},
};
use uuid::Uuid;

use crate::clock;

/// The table; a copy is the same table. Locked for moments only, for the scheduler wants a storage of its own and we write to it.
#[derive(Clone, Default)]
pub(super) struct Table(Arc<Mutex<Rows>>);

#[derive(Default)]
pub(super) struct Rows {
    by_id: HashMap<Uuid, Row>,
    due: BTreeSet<(u64, Uuid)>,
}

struct Row {
    sync: Name,
    cron: Cron,
    next: u64,
}

impl Rows {
    /// Puts a row where it rings next after this moment; one that never rings again is dropped.
    fn wind(&mut self, id: Uuid, mut row: Row, after: Timestamp) {
        if let Some(next) = row.cron.next_after(after) {
            row.next = seconds_up(next);
            self.due.insert((row.next, id));
            self.by_id.insert(id, row);
        }
    }

    fn take(&mut self, id: Uuid) -> Option<Row> {
        let row = self.by_id.remove(&id)?;
        self.due.remove(&(row.next, id));
        Some(row)
    }
}

impl Table {
    pub(super) fn lock(&self) -> MutexGuard<'_, Rows> {
        // What a panic left behind is a table with a row more or less, and the timer is the net under it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These expressions and no others.
    pub(super) fn set(&self, crons: Vec<(Name, Cron)>, now: Timestamp) {
        let mut rows = self.lock();
        *rows = Rows::default();
        for (sync, cron) in crons {
            rows.wind(clock::new_id(), Row { sync, cron, next: 0 }, now);
        }
    }

    /// Works out every next ring anew: the clock was set.
    pub(super) fn rewind(&self, now: Timestamp) {
        let mut rows = self.lock();
        for (id, row) in std::mem::take(&mut *rows).by_id {
            rows.wind(id, row, now);
        }
    }

    /// Whose row it is.
    pub(super) fn sync(&self, id: Uuid) -> Option<Name> {
        self.lock().by_id.get(&id).map(|row| row.sync.clone())
    }

    /// What is due, the longest due first, so many as one tick takes.
    fn due(&self, now: Timestamp) -> Vec<(Uuid, u64)> {
        let now = seconds(now);
        let rows = self.lock();
        rows.due.iter().take_while(|(next, _)| *next <= now).take(CRONS_PER_TICK_MAX).map(|(next, id)| (*id, *next)).collect()
    }

    /// It has rung; on to the next time.
    fn rung(&self, id: Uuid, now: Timestamp) {
        let mut rows = self.lock();
        if let Some(row) = rows.take(id) {
            rows.wind(id, row, now);
        }
    }
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.unix_ms() / 1000).unwrap_or(0)
}

/// Rounded up, so that nothing rings before its time; and never 0, which to the scheduler means "delete this".
fn seconds_up(at: Timestamp) -> u64 {
    u64::try_from(at.unix_ms().saturating_add(999) / 1000).unwrap_or(0).max(1)
}

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, JobSchedulerError>> + Send>>;

fn answer<T: Send + 'static>(value: T) -> Answer<T> {
    Box::pin(std::future::ready(Ok(value)))
}

impl InitStore for Table {
    fn init(&mut self) -> Answer<()> {
        answer(())
    }

    fn inited(&mut self) -> Answer<bool> {
        answer(true)
    }
}

impl DataStore<JobStoredData> for Table {
    fn get(&mut self, id: Uuid) -> Answer<Option<JobStoredData>> {
        // Read after each ring to work out the next one, which we do not take over: any valid expression will do.
        let stored = |row: &Row| JobStoredData {
            id: Some(id.into()),
            last_updated: None,
            last_tick: None,
            next_tick: row.next,
            job_type: JobType::Cron as i32,
            count: 0,
            extra: Vec::new(),
            ran: false,
            stopped: false,
            job: Some(job_stored_data::Job::CronJob(CronJob { schedule: "0 0 0 1 1 *".into() })),
            time_offset_seconds: 0,
        };
        answer(self.lock().by_id.get(&id).map(stored))
    }

    fn add_or_update(&mut self, _: JobStoredData) -> Answer<()> {
        // We write the rows ourselves.
        answer(())
    }

    fn delete(&mut self, id: Uuid) -> Answer<()> {
        drop(self.lock().take(id));
        answer(())
    }
}

impl MetaDataStorage for Table {
    fn list_next_ticks(&mut self) -> Answer<Vec<JobAndNextTick>> {
        let job_type = JobType::Cron as i32;
        let tick = |(id, next_tick): (Uuid, u64)| JobAndNextTick { id: Some(id.into()), job_type, next_tick, last_tick: None };
        answer(self.due(clock::now()).into_iter().map(tick).collect())
    }

    fn set_next_and_last_tick(
        &mut self,
        id: Uuid,
        _theirs: Option<chrono::DateTime<chrono::Utc>>,
        _last: Option<chrono::DateTime<chrono::Utc>>,
    ) -> Answer<()> {
        self.rung(id, clock::now());
        answer(())
    }

    fn time_till_next_job(&mut self) -> Answer<Option<Duration>> {
        let now = seconds(clock::now());
        answer(self.lock().due.first().map(|(next, _)| Duration::from_secs(next.saturating_sub(now))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_ms(1_767_614_400_000);

    fn table(crons: &[(&str, &str)]) -> Table {
        let table = Table::default();
        let cron = |text: &str| Cron::parse(text, jiff::tz::TimeZone::UTC).unwrap();
        table.set(crons.iter().map(|(name, text)| ((*name).into(), cron(text))).collect(), NOON);
        table
    }

    fn names(table: &Table, now: Timestamp) -> Vec<String> {
        table.due(now).into_iter().map(|(id, _)| table.sync(id).unwrap().to_string()).collect()
    }

    #[test]
    fn what_is_due_rings_and_moves_on() {
        let table = table(&[("hourly", "0 * * * *"), ("minutely", "* * * * *"), ("never", "0 0 30 2 *")]);
        let in_seconds = |seconds| NOON.plus(Duration::from_secs(seconds));
        assert_eq!(names(&table, NOON), [""; 0]);
        assert_eq!(names(&table, in_seconds(59)), [""; 0]);
        assert_eq!(names(&table, in_seconds(60)), ["minutely"]);
        assert_eq!(names(&table, in_seconds(7200)), ["minutely", "hourly"]);
        // Rings slept through are one ring.
        for (id, _) in table.due(in_seconds(7200)) {
            table.rung(id, in_seconds(7200));
        }
        assert_eq!(names(&table, in_seconds(7200)), [""; 0]);
        assert_eq!(names(&table, in_seconds(7260)), ["minutely"]);
        assert_eq!(names(&table, in_seconds(10_800)), ["minutely", "hourly"]);
    }

    #[test]
    fn ten_thousand_due_at_once_ring_in_turns() {
        let names: Vec<String> = (0..10_000).map(|place| format!("s{place}")).collect();
        let table = table(&names.iter().map(|name| (name.as_str(), "0 4 * * *")).collect::<Vec<_>>());
        let four = NOON.plus(Duration::from_secs(16 * 3600));
        let mut rung = BTreeSet::new();
        for tick in 0..10_000_usize.div_ceil(CRONS_PER_TICK_MAX) {
            let due = table.due(four);
            assert!(due.len() <= CRONS_PER_TICK_MAX && !due.is_empty(), "tick {tick}: {}", due.len());
            for (id, _) in due {
                assert!(rung.insert(id), "twice");
                table.rung(id, four);
            }
        }
        assert_eq!((rung.len(), table.due(four).len()), (10_000, 0));
    }

    #[test]
    fn a_clock_set_back_is_wound_anew() {
        let table = table(&[("hourly", "0 * * * *")]);
        let year_ago = NOON.minus(Duration::from_secs(365 * 86_400));
        table.rewind(year_ago);
        assert_eq!(names(&table, year_ago.plus(Duration::from_secs(3600))), ["hourly"]);
    }
}
