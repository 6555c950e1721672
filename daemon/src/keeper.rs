//! Owns: what is done now and then whatever else happens: signs of life for the service manager, throwing away what nobody needs,
//! naming who pins the log, giving memory back where nobody writes.
//! Must never know: runs, apps.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use mingle_core::limits;
use tokio::sync::{mpsc, oneshot};

use crate::{
    alarm::pause,
    clock,
    house::House,
    notify,
    pinned::{self, Holder},
    run::Letter,
    store::{self, Class, Store, StoreError, Trouble},
};

/// A store that takes no writes is tried after this, then after twice as long each time, up to the last.
const PROBE_FIRST: Duration = Duration::from_millis(200);
const PROBE_LAST: Duration = Duration::from_secs(10);

/// Whether the loop of runs answers. That its letters find room says nothing: a loop that stands still takes none out.
async fn answers(inbox: &mpsc::Sender<Letter>) -> bool {
    let (asked, answered) = oneshot::channel();
    inbox.send(Letter::Lives(asked)).await.is_ok() && answered.await.is_ok()
}

/// Tells people who reads the store's file for so long that its log only grows.
fn name_them<'a>(house: &House, file: &Path, holders: impl Iterator<Item = &'a Holder>, log_bytes: u64) {
    let mut named = Vec::new();
    for holder in holders {
        let (about, who, which) = match holder {
            Holder::Process { pid, name } => {
                (format!("process {pid}"), format!("{name} (process {pid})"), "end that read, or the process".to_owned())
            }
            Holder::Unknown => {
                let which = format!("`fuser -v {}-shm` names it: end that read, or the process", file.display());
                ("store".to_owned(), "a process that this sandbox hides".to_owned(), which)
            }
        };
        let hint = format!(
            "{who} reads the store's file without end, so its log cannot be folded back and has {} MiB; {which}",
            log_bytes >> 20
        );
        house.notices().stands("log_pinned", &about, hint);
        named.push(about);
    }
    house.notices().only("log_pinned", &named.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Tells people what is wrong with the store's disk, and tries whether it still is.
async fn mends(store: &Store, house: &House) {
    let mut troubles = store.trouble();
    loop {
        let trouble = troubles.borrow_and_update().clone();
        for name in Trouble::NAMES {
            // What is there from the start, such as an older store that was moved aside, is about something else.
            if trouble.as_ref().is_none_or(|trouble| trouble.name() != name) {
                house.notices().is_over(name, Trouble::ABOUT);
            }
        }
        let Some(trouble) = trouble else {
            if troubles.changed().await.is_err() {
                return;
            }
            continue;
        };
        house.notices().stands(trouble.name(), Trouble::ABOUT, trouble.hint());
        let mut wait = PROBE_FIRST;
        while troubles.borrow().as_ref() == Some(&trouble) {
            pause(wait).await;
            wait = (wait * 2).min(PROBE_LAST);
            if let Err(error) = store.probe(clock::now()).await {
                tracing::debug!(%error, "the disk is still bad");
            }
        }
    }
}

/// Keeps house until it is dropped.
pub async fn keep(store: Store, house: House, file: PathBuf, inbox: mpsc::Sender<Letter>) {
    let lives = async {
        let Some(every) = notify::alive_every() else { return std::future::pending().await };
        loop {
            pause(every).await;
            // A writer whose disk fails answers too: a new start would not mend the disk.
            let answered = store.write(Class::Interactive, clock::now(), |_| Ok(())).await;
            let lives = !matches!(answered, Err(StoreError::Closed | StoreError::Panicked));
            if lives && answers(&inbox).await {
                notify::alive();
            }
        }
    };
    let tidies = async {
        loop {
            loop {
                match store.write(Class::Background, clock::now(), store::purge).await {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(%error, "what nobody needs any more was not thrown away");
                        break;
                    }
                }
            }
            pause(Duration::from_millis(limits::PURGE_EVERY_MS)).await;
        }
    };
    let looks = async {
        // Only commits make it longer: where nobody writes, nobody looks.
        let (mut before, mut pulse) = (Vec::new(), store.pulse());
        loop {
            if store.log_bytes() <= limits::LOG_BYTES_PINNED && pulse.changed().await.is_err() {
                return;
            }
            pulse.mark_unchanged();
            pause(Duration::from_millis(limits::LOG_LOOK_MS)).await;
            let log_bytes = store.log_bytes();
            let now = if log_bytes > limits::LOG_BYTES_PINNED { pinned::holders(&file) } else { Vec::new() };
            name_them(&house, &file, now.iter().filter(|one| before.contains(*one)), log_bytes);
            before = now;
        }
    };
    let rests = async {
        let (mut pulse, mut rested) = (store.pulse(), 0);
        loop {
            // The signs of life are commits too, and take no memory worth waking for.
            if pulse.wait_for(|count| *count > rested + limits::STORE_IDLE_COMMITS).await.is_err() {
                return;
            }
            // What wakes us is the last of them for now: nothing may come for so long.
            while {
                pulse.mark_unchanged();
                pause(Duration::from_millis(limits::STORE_IDLE_MS)).await;
                pulse.has_changed().unwrap_or(false)
            } {}
            if let Err(error) = store.write(Class::Background, clock::now(), store::rest).await {
                tracing::debug!(%error, "the store holds its memory on");
            }
            rested = *pulse.borrow_and_update();
        }
    };
    tokio::join!(lives, tidies, looks, rests, mends(&store, &house));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A loop that hangs takes no letter out, and its queue has room for hours of signs of life.
    #[tokio::test]
    async fn only_a_loop_that_answers_is_alive() {
        let (inbox, mut letters) = mpsc::channel(8);
        let asked = answers(&inbox);
        tokio::pin!(asked);
        for _ in 0..100 {
            tokio::task::yield_now().await;
            assert!(once(asked.as_mut()).await.is_none(), "nobody answered");
        }
        let Some(Letter::Lives(answer)) = letters.recv().await else { panic!("no letter of the right kind") };
        answer.send(()).expect("somebody waits");
        assert!(asked.await);
        drop(letters);
        assert!(!answers(&inbox).await, "the loop is gone");
    }

    async fn once<T>(mut future: std::pin::Pin<&mut impl Future<Output = T>>) -> Option<T> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match future.as_mut().poll(context) {
                std::task::Poll::Ready(value) => Some(value),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }
}
