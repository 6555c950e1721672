//! Owns: what becomes a letter to the loop: commits that syncs want to hear of, the bells of the alarm. Must never know: what the loop does.

use std::sync::Arc;

use mingle_core::engine::{Event, Followed};
use tokio::sync::{mpsc, watch};

use super::Letter;
use crate::{
    alarm::Bell,
    remotes::oauth::Logins,
    store::{Commits, Origin},
};

/// What commits changed, as events: syncs that send hear of every change that their own replica did not bring.
pub(super) async fn to_commits(commits: Commits, inbox: mpsc::Sender<Letter>) {
    loop {
        for (collection, origins) in commits.next().await {
            for origin in origins {
                let brought_by = match origin {
                    Origin::App(_) => None,
                    Origin::Sync(name) => Some(name),
                };
                let event = Event::Changed { collection: collection.clone(), brought_by };
                if inbox.send(Letter::Event(event)).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Which collections apps follow, whenever that is another.
pub(super) async fn to_followers(mut followed: watch::Receiver<Followed>, inbox: mpsc::Sender<Letter>) {
    while followed.changed().await.is_ok() {
        let now = followed.borrow_and_update().clone();
        if inbox.send(Letter::Event(Event::Followed(now))).await.is_err() {
            return;
        }
    }
}

/// Which apps offer to do work, whenever that is another.
pub(super) async fn to_offers(mut offers: watch::Receiver<u64>, inbox: mpsc::Sender<Letter>) {
    while offers.changed().await.is_ok() {
        if inbox.send(Letter::Offers).await.is_err() {
            return;
        }
    }
}

/// That a run met another's login than it was made for.
pub(super) async fn to_logins(logins: Arc<Logins>, inbox: mpsc::Sender<Letter>) {
    loop {
        logins.met_another().await;
        if inbox.send(Letter::Accounts(None)).await.is_err() {
            return;
        }
    }
}

pub(super) async fn to_bells(mut bells: mpsc::Receiver<Bell>, inbox: mpsc::Sender<Letter>) {
    while let Some(bell) = bells.recv().await {
        let letter = if bell == Bell::Zones { Letter::Zones } else { Letter::Event(Event::Look) };
        if inbox.send(letter).await.is_err() {
            return;
        }
    }
}
