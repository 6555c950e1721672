//! Owns: what is done now and then whatever else happens: signs of life for the service manager, throwing away what nobody needs.
//! Must never know: runs, apps.

use std::time::Duration;

use mingle_core::limits;
use tokio::sync::mpsc;

use crate::{
    alarm::pause,
    clock, notify,
    run::Letter,
    store::{self, Class, Store},
};

/// Keeps house until it is dropped.
pub async fn keep(store: Store, inbox: mpsc::Sender<Letter>) {
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
    tokio::join!(lives, tidies);
}
