//! Owns: what is done now and then whatever else happens: signs of life for the service manager, throwing away what nobody needs,
//! naming who pins the log.
//! Must never know: runs, apps.

use std::{path::PathBuf, time::Duration};

use mingle_core::limits;
use tokio::sync::mpsc;

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

/// Tells people who reads the store's file for so long that its log only grows.
fn name_them<'a>(house: &House, holders: impl Iterator<Item = &'a Holder>, log_bytes: u64) {
    let mut named = Vec::new();
    for Holder { pid, name } in holders {
        let about = format!("process {pid}");
        let hint = format!(
            "{name} (process {pid}) reads the store's file without end, so its log cannot be folded back and has {} MiB; end that read, or the process",
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
            // Only a writer that answers and a loop that takes letters are alive. A writer whose disk fails answers too: a new
            // start would not mend the disk.
            let answered = store.write(Class::Interactive, clock::now(), |_| Ok(())).await;
            let lives = !matches!(answered, Err(StoreError::Closed | StoreError::Panicked));
            if lives && inbox.send(Letter::Event(mingle_core::engine::Event::Look)).await.is_ok() {
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
            if store.sizes().1 <= limits::LOG_BYTES_PINNED && pulse.changed().await.is_err() {
                return;
            }
            pulse.mark_unchanged();
            pause(Duration::from_millis(limits::LOG_LOOK_MS)).await;
            let long = store.sizes().1 > limits::LOG_BYTES_PINNED;
            let now = if long { pinned::holders(&file) } else { Vec::new() };
            name_them(&house, now.iter().filter(|one| before.contains(*one)), store.sizes().1);
            before = now;
        }
    };
    tokio::join!(lives, tidies, looks, mends(&store, &house));
}
