//! Owns: what happened beside records, the latest about each thing, so that a listener needs a cursor and no queue.
//! Must never know: sockets, who listens.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
};

use mingle_core::{
    ask::{News, Topic},
    limits::NEWS_PER_TOPIC_MAX,
};
use tokio::sync::watch;

/// The latest news about each thing, numbered in the order they came. Listeners keep the number they have read to.
#[derive(Debug)]
pub struct Newsroom {
    latest: Mutex<Latest>,
    number: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Latest {
    number: u64,
    by_number: BTreeMap<u64, News>,
    by_about: HashMap<(Topic, String), u64>,
    counts: HashMap<Topic, usize>,
}

impl Default for Newsroom {
    fn default() -> Self {
        Self::new()
    }
}

impl Newsroom {
    /// Without news.
    #[must_use]
    pub fn new() -> Self {
        Self { latest: Mutex::default(), number: watch::Sender::new(0) }
    }

    /// Tells everybody. Older news about the same thing that somebody has not read yet is replaced; other things are not touched.
    pub fn publish(&self, news: News) {
        let number = {
            let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
            latest.add(news);
            latest.number
        };
        self.number.send_replace(number);
    }

    /// The number of the last news, and its changes.
    #[must_use]
    pub fn number(&self) -> watch::Receiver<u64> {
        self.number.subscribe()
    }

    /// What came after `number`, oldest first, at most `limit`, of topics that pass `wanted`; and the number to go on from.
    #[must_use]
    pub fn after(&self, number: u64, limit: usize, wanted: impl Fn(&News) -> bool) -> (Vec<News>, u64) {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (at, news) in latest.by_number.range(number.saturating_add(1)..) {
            if !wanted(news) {
                continue;
            }
            if found.len() == limit {
                return (found, at - 1);
            }
            found.push(news.clone());
        }
        (found, latest.number)
    }
}

impl Latest {
    fn add(&mut self, news: News) {
        let (topic, about) = (news.topic(), news.about());
        self.number += 1;
        self.by_number.insert(self.number, news);
        let count = self.counts.entry(topic).or_default();
        if let Some(former) = self.by_about.insert((topic, about), self.number) {
            self.by_number.remove(&former);
        } else {
            *count += 1;
        }
        if *count > NEWS_PER_TOPIC_MAX {
            *count -= 1;
            // The oldest of the same topic goes: whoever sleeps through that many things asks for the present state instead.
            let oldest = self.by_number.iter().find(|(_, news)| news.topic() == topic).map(|(at, news)| (*at, news.about()));
            if let Some((at, about)) = oldest {
                self.by_number.remove(&at);
                self.by_about.remove(&(topic, about));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use mingle_core::{ask::Event, time::Timestamp};

    use super::*;

    fn run(run: &str, status: &str) -> News {
        let (sync, run, status) = ("s".to_owned(), run.to_owned(), status.to_owned());
        News {
            at: Timestamp::from_unix_ms(0),
            event: Event::Run { sync, run, status, progress: None, result: None, stop_reason: None, error: None },
        }
    }

    fn sync(name: &str) -> News {
        let event = Event::Sync { sync: Some(name.to_owned()), state: None, daemon: None, hold: None, next: None };
        News { at: Timestamp::from_unix_ms(0), event }
    }

    fn told(news: &[News]) -> String {
        let one = |news: &News| match &news.event {
            Event::Run { run, status, .. } => format!("{run}:{status}"),
            _ => news.about(),
        };
        news.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn progress_is_replaced_and_every_end_is_told() {
        let room = Newsroom::new();
        for one in [run("r-1", "running"), run("r-2", "running"), run("r-1", "running"), sync("s"), run("r-1", "done")] {
            room.publish(one);
        }
        let (news, number) = room.after(0, 100, |_| true);
        assert_eq!((told(&news).as_str(), number), ("r-2:running s r-1:done", 5));
        room.publish(run("r-2", "failed"));
        let (news, number) = room.after(number, 100, |_| true);
        assert_eq!((told(&news).as_str(), number, *room.number().borrow()), ("r-2:failed", 6, 6));
    }

    #[test]
    fn a_page_goes_on_where_it_ended() {
        let room = Newsroom::new();
        for one in [run("r-1", "done"), sync("a"), run("r-2", "done"), run("r-3", "done")] {
            room.publish(one);
        }
        let wanted = |news: &News| news.topic() == Topic::Run;
        let (news, number) = room.after(0, 1, wanted);
        assert_eq!(told(&news), "r-1:done");
        let (news, number) = room.after(number, 2, wanted);
        assert_eq!((told(&news).as_str(), number), ("r-2:done r-3:done", 4));
    }

    #[test]
    fn memory_is_bounded_topic_by_topic() {
        let room = Newsroom::new();
        room.publish(sync("kept"));
        for at in 0..NEWS_PER_TOPIC_MAX + 10 {
            room.publish(run(&format!("r-{at}"), "done"));
        }
        let (news, _) = room.after(0, usize::MAX, |_| true);
        assert_eq!(news.len(), NEWS_PER_TOPIC_MAX + 1);
        assert_eq!((told(&news[..1]).as_str(), told(&news[1..2]).as_str()), ("kept", "r-10:done"));
        assert_eq!(room.latest.lock().unwrap().by_about.len(), NEWS_PER_TOPIC_MAX + 1);
    }
}
