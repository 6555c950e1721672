//! Owns: showing on the desktop what wants a person, over the session bus, where there is one. Must never know: what wants a person, in
//! what words.
//!
//! `org.freedesktop.Notifications` has one method that matters: it is called through the `zbus` that tells of network and power as well.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use mingle_core::{
    desktop::{self, Note, Shown},
    limits::{BUS_MS_MAX, SHOWN_GATHERS, SHOWN_LOOKS_EVERY, SLEEP_MAX},
};
use tokio::sync::watch;
use zbus::{connection::Builder, proxy::CacheProperties, zvariant::Value};

use crate::{
    alarm::pause,
    clock::{self, Stopwatch},
    house::House,
    paths,
    store::{Class, Store, shown},
};

const NOTIFICATIONS: &str = "org.freedesktop.Notifications";
const NOTIFICATIONS_PATH: &str = "/org/freedesktop/Notifications";
/// Neither low nor critical: it may go away by itself.
const URGENCY_NORMAL: u8 = 1;
/// After a look so many times as long is spent on nothing of the kind.
const LOOK_RESTS: u32 = 20;

/// Shows what is new, and writes down that it was shown. Looks whenever a sync or a notice stands otherwise, and now and then for what has
/// waited for its day; what cannot be shown is tried again at each beat. An idle store is left alone.
pub async fn keep(house: House, store: Store, bus: String, mut beat: watch::Receiver<()>) {
    let (mut board, mut notices) = (house.board(), house.notices_moved());
    // Read once there is a desktop: most daemons never have one.
    let mut shown = None;
    let (mut news, mut failures, mut looked, mut rests) = (true, 0, Stopwatch::start(), Duration::ZERO);
    loop {
        let due = (news || failures > 0) && looked.elapsed() >= rests || looked.elapsed() >= SHOWN_LOOKS_EVERY;
        if due && paths::has_bus(&bus) {
            // What comes up together is shown together.
            pause(SHOWN_GATHERS).await;
            news = false;
            let took = Stopwatch::start();
            failures =
                if look(&house, &store, &bus, shown.get_or_insert_with(|| known(&store))).await { failures + 1 } else { 0 };
            rests = rest(took.elapsed(), failures);
            looked = Stopwatch::start();
        }
        let (moved, changed) = tokio::select! {
            beat = beat.changed() => (beat.is_ok(), false),
            board = board.changed() => (board.is_ok(), true),
            notices = notices.changed() => (notices.is_ok(), true),
        };
        if !moved {
            return;
        }
        news |= changed;
    }
}

fn known(store: &Store) -> Shown {
    match store.read(|reader| shown::all(reader)) {
        Ok(rows) => Shown::new(rows),
        Err(error) => {
            tracing::warn!(%error, "what was shown on the desktop is not known");
            Shown::default()
        }
    }
}

/// How long the next look waits after one that took so long: many syncs are not gathered without end, and what cannot be shown is tried
/// ever more rarely.
fn rest(took: Duration, failures: u32) -> Duration {
    let pause = if failures == 0 { Duration::ZERO } else { SLEEP_MAX * 2_u32.saturating_pow(failures - 1) };
    pause.max(took * LOOK_RESTS).min(SHOWN_LOOKS_EVERY)
}

/// Whether something is to be shown, and cannot be.
async fn look(house: &House, store: &Store, bus: &str, shown: &mut Shown) -> bool {
    let standing = match house.to_be_shown() {
        Ok(standing) => standing,
        Err(why) => {
            tracing::debug!(?why, "what is to be shown on the desktop is not known");
            return true;
        }
    };
    let due = shown.due(&standing, clock::now());
    let Some(note) = desktop::note(&due) else { return false };
    if let Err(error) = show(bus, &note).await {
        tracing::debug!(%error, "nothing can be shown on the desktop");
        return true;
    }
    tracing::info!(title = note.title, "shown on the desktop");
    shown.showed(&due, clock::now());
    let all = shown.clone();
    let written = store.write(Class::Background, clock::now(), move |tx| shown::write(tx, &all)).await;
    if let Err(error) = written {
        tracing::warn!(%error, "what was shown on the desktop was not written down: after a restart it is shown again");
    }
    false
}

async fn show(bus: &str, note: &Note) -> zbus::Result<()> {
    let patience = Duration::from_millis(BUS_MS_MAX);
    // What has left may be seen, whether that is answered or not: it is not shown again.
    let left = AtomicBool::new(false);
    let showing = async {
        let bus = Builder::address(bus)?.method_timeout(patience).build().await?;
        let service = zbus::proxy::Builder::<zbus::Proxy<'_>>::new(&bus).destination(NOTIFICATIONS)?.path(NOTIFICATIONS_PATH)?;
        let service = service.interface(NOTIFICATIONS)?.cache_properties(CacheProperties::No).build().await?;
        let can: Vec<String> = service.call("GetCapabilities", &()).await?;
        let body = if can.iter().any(|one| one == "body-markup") { escaped(&note.body) } else { note.body.clone() };
        let hints = HashMap::from([("urgency", Value::U8(URGENCY_NORMAL))]);
        let actions: &[&str] = &[];
        // Of no earlier one, without an icon, for as long as the desktop likes.
        let words = ("mingle", 0_u32, "", note.title.as_str(), body.as_str(), actions, hints, -1_i32);
        left.store(true, Ordering::Relaxed);
        service.call::<_, _, u32>("Notify", &words).await.map(drop)
    };
    match tokio::time::timeout(patience, showing).await {
        Ok(answered) => answered,
        Err(_) if left.load(Ordering::Relaxed) => Ok(()),
        Err(_) => Err(zbus::Error::Failure("no answer".into())),
    }
}

/// The words of a stranger are no markup.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_long_or_fails_is_looked_at_more_rarely() {
        let seconds = Duration::from_secs;
        for (took, failures, expected) in
            [(0, 0, 0), (2, 0, 40), (0, 1, 30), (0, 2, 60), (2, 1, 40), (0, 30, 3_600), (3_600, 0, 3_600)]
        {
            assert_eq!(rest(seconds(took), failures), seconds(expected), "{took} s, {failures} failures");
        }
    }

    #[test]
    fn words_of_strangers_are_no_markup() {
        assert_eq!(escaped("<a href=\"x\">&</a>"), "&lt;a href=\"x\"&gt;&amp;&lt;/a&gt;");
    }
}
