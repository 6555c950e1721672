//! Owns: what is told after a commit: the head, which collections changed by whom, and that something was written at all.
//! Must never know: who listens.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio::sync::{Notify, watch};

use super::{
    definitions::Definitions,
    latest::LatestOf,
    trouble::Trouble,
    tx::{Books, Origin},
};

/// What everybody may know of the store without asking it.
pub(super) struct News {
    head: watch::Sender<u64>,
    pulse: watch::Sender<u64>,
    /// How many pages the log has that are not folded back.
    log_pages: AtomicU32,
    trouble: watch::Sender<Option<Trouble>>,
    standing: RwLock<Standing>,
    commits: Arc<Shared>,
    /// What the last commit changed.
    pub(super) latest: LatestOf,
}

#[derive(Clone)]
struct Standing {
    instance: Arc<str>,
    definitions: Arc<Definitions>,
}

#[derive(Default)]
struct Shared {
    touched: Mutex<BTreeMap<String, BTreeSet<Origin>>>,
    /// The collections that are listened for; none: all.
    only: RwLock<Option<BTreeSet<String>>>,
    notify: Notify,
}

impl News {
    pub(super) fn new(books: &Books) -> Self {
        Self {
            head: watch::Sender::new(books.seq),
            pulse: watch::Sender::new(0),
            log_pages: AtomicU32::new(0),
            trouble: watch::Sender::new(None),
            standing: RwLock::new(Standing {
                instance: Arc::clone(&books.instance),
                definitions: Arc::clone(&books.definitions),
            }),
            commits: Arc::default(),
            latest: LatestOf::default(),
        }
    }

    /// After a commit.
    pub(super) fn tell(&self, books: &Books, touched: Vec<(i64, Origin)>) {
        let same = {
            let standing = self.standing.read().unwrap_or_else(PoisonError::into_inner);
            Arc::ptr_eq(&standing.definitions, &books.definitions) && Arc::ptr_eq(&standing.instance, &books.instance)
        };
        if !same {
            let mut standing = self.standing.write().unwrap_or_else(PoisonError::into_inner);
            standing.instance = Arc::clone(&books.instance);
            standing.definitions = Arc::clone(&books.definitions);
        }
        if !touched.is_empty() {
            let only = self.commits.only.read().unwrap_or_else(PoisonError::into_inner);
            let mut map = self.commits.touched.lock().unwrap_or_else(PoisonError::into_inner);
            for (number, origin) in touched {
                if let Some(collection) = books.definitions.numbered(number)
                    && only.as_ref().is_none_or(|only| only.contains(&collection.definition.name))
                {
                    map.entry(collection.definition.name.clone()).or_default().insert(origin);
                }
            }
            let told = !map.is_empty();
            drop(map);
            // Who wakes for nothing takes the processor from an app that waits.
            if told {
                self.commits.notify.notify_one();
            }
        }
        // The pulse first: whoever is woken by the head finds the whole moment as it is from now on.
        self.pulse.send_modify(|count| *count += 1);
        self.head.send_if_modified(|head| std::mem::replace(head, books.seq) != books.seq);
    }

    pub(super) fn moment(&self) -> (u64, u64) {
        (*self.head.borrow(), *self.pulse.borrow())
    }

    pub(super) fn seq(&self) -> u64 {
        *self.head.borrow()
    }

    pub(super) fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    pub(super) fn pulse(&self) -> watch::Receiver<u64> {
        self.pulse.subscribe()
    }

    /// The log has so many pages that are not folded back.
    pub(super) fn log(&self, pages: u32) {
        self.log_pages.store(pages, Ordering::Relaxed);
    }

    pub(super) fn log_pages(&self) -> u32 {
        self.log_pages.load(Ordering::Relaxed)
    }

    /// The store takes no writes, for this reason; none: it does. Whether that is news.
    pub(super) fn trouble(&self, why: Option<Trouble>) -> bool {
        self.trouble.send_if_modified(|now| {
            let news = *now != why;
            *now = why;
            news
        })
    }

    /// Why it takes none now.
    pub(super) fn troubled(&self) -> Option<Trouble> {
        self.trouble.borrow().clone()
    }

    pub(super) fn troubles(&self) -> watch::Receiver<Option<Trouble>> {
        self.trouble.subscribe()
    }

    pub(super) fn instance(&self) -> Arc<str> {
        Arc::clone(&self.standing.read().unwrap_or_else(PoisonError::into_inner).instance)
    }

    pub(super) fn definitions(&self) -> Arc<Definitions> {
        Arc::clone(&self.standing.read().unwrap_or_else(PoisonError::into_inner).definitions)
    }

    pub(super) fn commits(&self) -> Commits {
        Commits(Arc::clone(&self.commits))
    }
}

/// What commits changed since the last look: for one listener, bounded by collections and writers, never by commits.
#[derive(Clone)]
pub struct Commits(Arc<Shared>);

impl Commits {
    /// From now on only what changes these collections is told.
    pub fn listen_for(&self, collections: BTreeSet<String>) {
        *self.0.only.write().unwrap_or_else(PoisonError::into_inner) = Some(collections);
    }

    /// Waits until something changed, and takes it: each collection with those who changed it.
    pub async fn next(&self) -> Vec<(String, Vec<Origin>)> {
        loop {
            let told = self.0.notify.notified();
            let taken = self.take();
            if !taken.is_empty() {
                return taken;
            }
            told.await;
        }
    }

    /// Takes what changed since the last look, without waiting.
    #[must_use]
    pub fn take(&self) -> Vec<(String, Vec<Origin>)> {
        let map = std::mem::take(&mut *self.0.touched.lock().unwrap_or_else(PoisonError::into_inner));
        map.into_iter().map(|(collection, origins)| (collection, origins.into_iter().collect())).collect()
    }
}
