//! Owns: how long a transaction of a run may be. Must never know: what is in it.

use std::sync::{Arc, Mutex, PoisonError};

use mingle_core::limits;

use crate::{clock::Stopwatch, perform::Pace, store::Store};

/// [`limits::BATCH_TIME_MAX`], or less while apps write.
pub(super) fn of(store: Store) -> Arc<Pace> {
    // How many writes apps had asked for, and since when that has not changed.
    let last = Mutex::new((store.writes_asked(), None::<Stopwatch>));
    Arc::new(move || {
        let watch = Stopwatch::start();
        let (before, quiet) = {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            let asked = store.writes_asked();
            if asked != last.0 {
                *last = (asked, Some(Stopwatch::start()));
            }
            (asked, last.1.as_ref().is_none_or(|since| since.elapsed() >= limits::APPS_QUIET_AFTER))
        };
        let store = store.clone();
        Box::new(move || {
            let took = watch.elapsed();
            took >= limits::BATCH_TIME_MAX
                || (took >= limits::BATCH_TIME_WAITED_FOR && (!quiet || store.writes_asked() != before))
        })
    })
}
