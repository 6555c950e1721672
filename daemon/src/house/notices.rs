//! Owns: what a person should know or decide and no sync tells, as long as it is so. Must never know: how it is found out.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mingle_core::ask::{Attention, Event, News};
use tokio::sync::watch;

use crate::{clock, ipc::news::Newsroom};

/// Notices by name and what they are about: few, for each comes from one place in the code and its subject from the configuration.
pub struct Notices {
    news: Arc<Newsroom>,
    standing: Mutex<BTreeMap<(String, String), Attention>>,
    moved: watch::Sender<()>,
}

impl Notices {
    pub(super) fn new(news: Arc<Newsroom>) -> Self {
        Self { news, standing: Mutex::default(), moved: watch::Sender::default() }
    }

    /// It is so from now on, or still, in these words.
    pub fn stands(&self, name: &str, about: &str, hint: String) {
        let now = clock::now();
        let attention = Attention { name: name.into(), about: about.into(), since: now, hint };
        let mut standing = self.standing();
        let fresh = !standing.contains_key(&(name.to_owned(), about.to_owned()));
        let known = standing.entry((name.into(), about.into())).or_insert_with(|| attention.clone());
        let news = *known == attention || known.hint != attention.hint;
        known.hint.clone_from(&attention.hint);
        let known = known.clone();
        drop(standing);
        // Once: what only gets other words (so many MiB by now) would fill the log.
        if fresh {
            tracing::warn!(attention = name, about, hint = %known.hint, "attention");
        }
        if news {
            self.moved.send_replace(());
            self.news.publish(News { at: now, event: Event::Attention { attention: known, over: false } });
        }
    }

    /// It is not so any more.
    pub fn is_over(&self, name: &str, about: &str) {
        if let Some(attention) = self.standing().remove(&(name.to_owned(), about.to_owned())) {
            tracing::info!(attention = name, about, "attention is over");
            self.moved.send_replace(());
            self.news.publish(News { at: clock::now(), event: Event::Attention { attention, over: true } });
        }
    }

    /// Those of this name that are about something else than these are not so any more.
    pub fn only(&self, name: &str, about: &[&str]) {
        let gone: Vec<String> = {
            let standing = self.standing();
            let of_name = standing.keys().filter(|(one, _)| one == name).map(|(_, about)| about.clone());
            of_name.filter(|one| !about.contains(&one.as_str())).collect()
        };
        gone.iter().for_each(|about| self.is_over(name, about));
    }

    /// Changes whenever something of it does.
    pub(super) fn moved(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// What those of this name are about.
    #[must_use]
    pub fn about(&self, name: &str) -> Vec<String> {
        self.standing().keys().filter(|(one, _)| one == name).map(|(_, about)| about.clone()).collect()
    }

    pub(super) fn all(&self) -> Vec<Attention> {
        self.standing().values().cloned().collect()
    }

    fn standing(&self) -> MutexGuard<'_, BTreeMap<(String, String), Attention>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
