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
    store::{self, Class, Store},
};

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

/// Keeps house until it is dropped.
pub async fn keep(store: Store, house: House, file: PathBuf, inbox: mpsc::Sender<Letter>) {
    let lives = async {
        let Some(every) = notify::alive_every() else { return std::future::pending().await };
        loop {
            pause(every).await;
            // Only a writer that commits and a loop that takes letters are alive.
            let wrote = store.write(Class::Interactive, clock::now(), |_| Ok(())).await.is_ok();
            if wrote && inbox.send(Letter::Event(mingle_core::engine::Event::Look)).await.is_ok() {
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
        let mut before = Vec::new();
        loop {
            pause(Duration::from_millis(limits::LOG_LOOK_MS)).await;
            let long = store.sizes().1 > limits::LOG_BYTES_PINNED;
            let now = if long { pinned::holders(&file) } else { Vec::new() };
            name_them(&house, now.iter().filter(|one| before.contains(*one)), store.sizes().1);
            before = now;
        }
    };
    tokio::join!(lives, tidies, looks);
}
