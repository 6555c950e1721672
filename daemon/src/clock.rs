//! Owns: reading the time, and telling hosts and makings apart: the wall clock, stopwatches, time zones, this host's number, new ids.
//! Must never know: what anybody does with them. Nobody else reads a clock; whoever decides takes the time as an argument.

#![expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]

use std::{
    fs,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use jiff::tz::TimeZone;
use mingle_core::time::Timestamp;
use uuid::Uuid;

mod zones;

pub use zones::Zones;

/// The wall clock. It may be set, in both directions.
#[must_use]
pub fn now() -> Timestamp {
    let ms = |since: Duration| i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_unix_ms(match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => ms(since),
        Err(before) => -ms(before.duration()),
    })
}

/// A moment for people and programs: RFC 3339 in UTC.
#[must_use]
pub fn told(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.unix_ms()).map_or_else(|_| format!("{} ms", at.unix_ms()), |at| at.to_string())
}

/// Measures how long something takes, whatever happens to the wall clock. Sleep of the machine does not count.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// A stopwatch that runs from now on.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long it has run.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A time zone by its name in the IANA database, or the system's; none: there is no such zone.
#[must_use]
pub fn zone(name: Option<&str>) -> Option<TimeZone> {
    match name {
        Some(name) => TimeZone::get(name).ok(),
        None => Some(TimeZone::system()),
    }
}

/// A number of this host that stays the same: for spreading what many hosts do, and for nothing else. It tells nobody the machine id.
#[must_use]
pub fn host() -> u64 {
    number_of(&machine_id().unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned()))
}

fn machine_id() -> Option<String> {
    let text = fs::read_to_string("/etc/machine-id").ok()?;
    let id = text.trim();
    // While a system is being installed the file is empty or says so.
    (id.len() == 32 && id.bytes().all(|one| one.is_ascii_hexdigit())).then(|| id.to_owned())
}

fn number_of(name: &str) -> u64 {
    let hash = blake3::derive_key("mingle 2025 spread of schedules over hosts", name.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_le_bytes(first)
}

/// A new id (UUIDv7): larger than every one made before in this process.
#[must_use]
pub fn new_id() -> Uuid {
    Uuid::now_v7()
}

/// The moment inside a UUIDv7; none: it is another kind of id.
#[must_use]
pub fn made_at(id: &Uuid) -> Option<Timestamp> {
    let (seconds, nanos) = id.get_timestamp().filter(|_| id.get_version_num() == 7)?.to_unix();
    let ms = i64::try_from(seconds).ok()?.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))?;
    Some(Timestamp::from_unix_ms(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_and_know_when_they_were_made() {
        let before = now();
        let ids: Vec<Uuid> = (0..1000).map(|_| new_id()).collect();
        assert!(ids.is_sorted());
        let made = made_at(&ids[0]).unwrap();
        assert!(made >= before && made <= now(), "{made:?}");
        assert_eq!(made_at(&Uuid::nil()), None);
    }

    #[test]
    fn a_host_has_one_number_and_zones_have_names() {
        assert_eq!(host(), host());
        assert_ne!(number_of("a"), number_of("b"));
        assert!(zone(Some("Europe/Paris")).is_some());
        assert!(zone(Some("Europe/Nowhere")).is_none());
        assert!(zone(None).is_some());
    }
}
