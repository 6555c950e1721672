//! Owns: how the world is: network, power, room on the disk, whether somebody uses the machine, whether it goes to sleep. Must never
//! know: what any of it is good for.
//!
//! Each source tells what it knows, by itself where the system has signals, else at the beat at which the daemon looks at everything.
//! What a source before it knows counts first; the configuration is before all of them.

use std::{
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::join_all;
use tokio::sync::watch;

use self::steady::Steady;
use crate::{alarm, clock::Stopwatch, config::Given};

mod disk;
#[cfg(target_os = "linux")]
mod linux;
mod steady;

/// What is known of the world. None: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// The machine is about to sleep, or does.
    pub sleeps: bool,
    /// There is a network.
    pub online: Option<bool>,
    /// Its bytes cost money.
    pub metered: Option<bool>,
    /// On external power.
    pub charging: Option<bool>,
    /// The battery is low.
    pub battery_low: Option<bool>,
    /// Little room is left on the store's disk.
    pub storage_low: Option<bool>,
    /// Nobody uses the machine.
    pub idle: Option<bool>,
}

impl World {
    /// What is known here, and where nothing is, what is known there.
    fn or(self, other: Self) -> Self {
        Self {
            sleeps: self.sleeps || other.sleeps,
            online: self.online.or(other.online),
            // Whether it costs money is said of the network that is meant.
            metered: if self.online.is_some() { self.metered } else { self.metered.or(other.metered) },
            charging: self.charging.or(other.charging),
            battery_low: if self.charging.is_some() { self.battery_low } else { self.battery_low.or(other.battery_low) },
            storage_low: self.storage_low.or(other.storage_low),
            idle: self.idle.or(other.idle),
        }
    }
}

impl From<Given> for World {
    fn from(given: Given) -> Self {
        let Given { online, metered, charging, battery_low, idle } = given;
        Self { online, metered, charging, battery_low, idle, ..Self::default() }
    }
}

/// Where conditions come from. One a file, and a line in [`sources`]; a system without any of its own has the disk alone.
trait Source: Send + Sync {
    /// Tells what is so now, and then whenever it is another, for as long as it is let.
    fn follow(&self, teller: Teller, means: Means) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Every source of this system: what an earlier one knows, counts.
fn sources(store: PathBuf) -> Vec<Box<dyn Source>> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    #[cfg(target_os = "linux")]
    sources.extend(linux::sources());
    sources.push(Box::new(disk::Disk::of(store)));
    sources
}

/// What sources go by.
#[derive(Clone)]
struct Means {
    /// Changes now and then: the moment to look at what gives no signals.
    beat: watch::Receiver<()>,
    /// Nothing runs while the machine is about to sleep: it may.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "no source of this system can hold up a sleep"))]
    rested: watch::Receiver<bool>,
}

/// What every source told last.
#[derive(Clone, Debug, Default)]
struct Board {
    given: World,
    /// None: it has not said anything yet.
    told: Vec<Option<World>>,
}

/// Where one source tells what it knows.
struct Teller {
    board: watch::Sender<Board>,
    place: usize,
}

impl Teller {
    fn tell(&self, world: World) {
        self.board.send_if_modified(|board| {
            let differs = board.told[self.place] != Some(world);
            board.told[self.place] = Some(world);
            differs
        });
    }
}

/// The conditions, watched.
#[derive(Clone)]
pub struct Watched {
    board: watch::Sender<Board>,
    seen: watch::Receiver<Board>,
    steady: Arc<Mutex<Steady>>,
    since: Stopwatch,
}

impl Watched {
    /// Of a daemon whose configuration says so much. Nothing is known before [`Watched::keep`].
    #[must_use]
    pub fn new(given: Given) -> Self {
        let (board, seen) = watch::channel(Board { given: given.into(), told: Vec::new() });
        Self { board, seen, steady: Arc::default(), since: Stopwatch::start() }
    }

    /// The configuration says something else now: whatever that comes to, counts.
    pub fn give(&self, given: Given) {
        self.board.send_if_modified(|board| {
            let differs = std::mem::replace(&mut board.given, given.into()) != given.into();
            if differs {
                *self.steady() = Steady::default();
            }
            differs
        });
    }

    /// Keeps them until it is dropped. `store`: its file; `beat`: when to look at what gives no signals; `rested`: nothing runs while
    /// the machine is about to sleep.
    pub fn keep(
        &self,
        store: PathBuf,
        beat: watch::Receiver<()>,
        rested: watch::Receiver<bool>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (board, sources, means) = (self.board.clone(), sources(store), Means { beat, rested });
        board.send_modify(|board| board.told = vec![None; sources.len()]);
        async move {
            let each = sources.iter().enumerate().map(|(place, source)| {
                let teller = Teller { board: board.clone(), place };
                source.follow(teller, means.clone())
            });
            join_all(each).await;
        }
    }

    /// Waits until every source has said something, if only that it knows nothing.
    pub async fn told(&self) {
        // The sender lives in `self`: it does not end before.
        let _ = self.seen.clone().wait_for(|board| !board.told.is_empty() && board.told.iter().all(Option::is_some)).await;
    }

    /// What counts now, of what is known.
    #[must_use]
    pub fn world(&self) -> World {
        let world = {
            let board = self.seen.borrow();
            board.told.iter().flatten().fold(board.given, |known, more| known.or(*more))
        };
        self.steady().hear(world, self.since.elapsed())
    }

    /// Waits until something was told since the last time, or something that was told before counts.
    pub async fn changed(&mut self) {
        let ripens = self.steady().ripens_at();
        let ripened = async {
            match ripens {
                Some(at) => alarm::pause(at.saturating_sub(self.since.elapsed())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.seen.changed() => {}
            () = ripened => {}
        }
    }

    fn steady(&self) -> MutexGuard<'_, Steady> {
        self.steady.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNKNOWN: World =
        World { sleeps: false, online: None, metered: None, charging: None, battery_low: None, storage_low: None, idle: None };

    #[test]
    fn what_an_earlier_source_knows_counts() {
        let bus = World { online: Some(false), idle: Some(true), sleeps: true, ..UNKNOWN };
        let links = World { online: Some(true), metered: Some(true), charging: Some(true), ..UNKNOWN };
        let check = |given: Given, told: &[Option<World>], expected: World| {
            let watched = Watched::new(given);
            watched.board.send_modify(|board| board.told = told.to_vec());
            assert_eq!(watched.world(), expected, "{given:?} {told:?}");
        };
        check(Given::default(), &[], UNKNOWN);
        check(Given::default(), &[None, Some(links)], links);
        let both = World { online: Some(false), charging: Some(true), idle: Some(true), sleeps: true, ..UNKNOWN };
        check(Given::default(), &[Some(bus), Some(links)], both);
        // A server's configuration passes them all, but for a machine that sleeps.
        let server = Given { online: Some(true), metered: Some(false), idle: Some(false), ..Given::default() };
        let given =
            World { online: Some(true), metered: Some(false), idle: Some(false), charging: Some(true), sleeps: true, ..UNKNOWN };
        check(server, &[Some(bus), Some(links)], given);
    }

    #[tokio::test]
    async fn every_source_is_waited_for_and_only_news_is_news() {
        let watched = Watched::new(Given::default());
        let (_beat, beats) = watch::channel(());
        let (_rested, rests) = watch::channel(false);
        let kept = tokio::spawn(watched.keep("/tmp/store.db".into(), beats, rests));
        watched.told().await;
        assert!(watched.world().storage_low.is_some(), "the disk was not looked at");
        let mut hears = watched.clone();
        hears.seen.mark_unchanged();
        watched.give(Given::default());
        assert!(!hears.seen.has_changed().unwrap(), "nothing is another");
        watched.give(Given { online: Some(false), ..Given::default() });
        hears.changed().await;
        assert_eq!(hears.world().online, Some(false));
        #[expect(clippy::disallowed_methods, reason = "it only listens: it holds no work")]
        kept.abort();
    }
}
