//! Owns: looking again at a secret that was refused: after a 401 nobody tries any more (accounts get locked), until another value is
//! there. Must never know: what the secret is (only whether it is another), when syncs run.

use std::{sync::Arc, time::Duration};

use mingle_core::{
    engine::{BoardCopy, Event},
    limits,
    schedule::Name,
};
use tokio::sync::{mpsc, watch};

use crate::{
    alarm,
    remotes::{
        Means, secret,
        settings::{Auth, RemoteSettings},
    },
    run::Letter,
};

/// Watches the secret of a remote that refused it, and says so once it is another one. Ends when the remote takes our login again.
pub async fn watch(
    remote: Name,
    settings: RemoteSettings,
    means: Means,
    board: watch::Receiver<Arc<BoardCopy>>,
    inbox: mpsc::Sender<Letter>,
) {
    let refused = print(&settings, &means).await;
    loop {
        alarm::pause(Duration::from_millis(limits::LOGIN_LOOK_MS)).await;
        if !board.borrow().needs_login(&remote) {
            return;
        }
        let now = print(&settings, &means).await;
        if now.is_some() && now != refused {
            tracing::info!(%remote, "its secret is another one: syncs with it try again");
            let _ = inbox.send(Letter::Event(Event::LoginChanged(remote))).await;
            return;
        }
    }
}

/// What tells one secret from another without keeping it; none: it is not to be had now.
async fn print(settings: &RemoteSettings, means: &Means) -> Option<blake3::Hash> {
    if let Auth::OAuth2(_) = &settings.auth {
        return means.logins.print(&settings.auth, &means.config_dir).await;
    }
    let from = settings.auth.secret()?;
    let fetched = secret::fetch(from, &means.config_dir).await.ok()?;
    Some(blake3::hash(fetched.reveal().as_bytes()))
}
