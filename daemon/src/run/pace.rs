//! Owns: how long a transaction of a run may be. Must never know: what is in it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mingle_core::limits;

use crate::{clock::Stopwatch, perform::Pace, store::Store};

/// [`limits::BATCH_TIME_MAX`], or less while apps write.
pub(crate) fn of(store: Store) -> Arc<Pace> {
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
        Box::new(move || is_enough(watch.elapsed(), || !quiet || store.writes_asked() != before))
    })
}

fn is_enough(took: Duration, apps_write: impl FnOnce() -> bool) -> bool {
    took >= limits::BATCH_TIME_MAX || (took >= limits::BATCH_TIME_WAITED_FOR && apps_write())
}

#[cfg(test)]
mod tests {
    use mingle_core::time::Timestamp;

    use super::*;
    use crate::store::{Class, Options};

    #[track_caller]
    fn check(ms: u64, apps_write: bool, enough: bool) {
        assert_eq!(is_enough(Duration::from_millis(ms), || apps_write), enough, "{ms} ms");
    }

    #[test]
    fn a_batch_is_short_while_apps_write() {
        check(0, true, false);
        check(1, true, false);
        check(2, true, true);
        check(2, false, false);
        check(49, false, false);
        check(50, false, true);
    }

    #[test]
    fn who_waits_for_a_write_is_told_from_a_run() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = Timestamp::default();
        let store = Store::open(&directory.path().join("store.db"), Options::default(), at).expect("a store").store;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().expect("a runtime");
        let asked = store.writes_asked();
        runtime.block_on(store.write_small(at, |_| Ok(()))).expect("written");
        assert_eq!(store.writes_asked(), asked + 1);
        runtime.block_on(store.write(Class::Background, at, |_| Ok(()))).expect("written");
        assert_eq!(store.writes_asked(), asked + 1);
    }
}
