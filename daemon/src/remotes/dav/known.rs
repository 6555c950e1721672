//! Owns: where collections were found, from one run to the next: a run that finds nothing new is one request. Must never know: how one is
//! found.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mingle_core::{limits, time::Timestamp};

use super::place::Place;

/// The collections that runs of this process found, by what their settings say of them.
#[derive(Default)]
pub struct Places(Mutex<BTreeMap<String, Known>>);

struct Known {
    place: Arc<Place>,
    found_at: Timestamp,
}

impl Places {
    /// Where it was, unless that was long ago: a name may be another collection's, and a server may have learnt to tell of changes.
    pub(super) fn known(&self, of: &str, now: Timestamp) -> Option<Arc<Place>> {
        let known = self.held();
        let known = known.get(of)?;
        let age = now.since(known.found_at).max(known.found_at.since(now));
        (age < limits::DAV_PLACE_KNOWN).then(|| Arc::clone(&known.place))
    }

    /// It was found here.
    pub(super) fn found(&self, of: &str, place: &Arc<Place>, now: Timestamp) {
        let mut all = self.held();
        if all.len() >= limits::DAV_PLACES_KNOWN_MAX {
            all.clear();
        }
        all.insert(of.to_owned(), Known { place: Arc::clone(place), found_at: now });
    }

    /// Something went wrong there: it is looked for anew.
    pub(super) fn forget(&self, of: &str) {
        self.held().remove(of);
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mingle_text::Holds;
    use reqwest::Url;

    use super::*;

    #[test]
    fn a_place_is_known_for_a_while_and_until_something_goes_wrong() {
        let (places, now) = (Places::default(), Timestamp::from_unix_ms(1_000_000_000));
        let (lists_names, shows_some) = Default::default();
        let place = Arc::new(Place {
            url: Url::parse("http://localhost/me/").unwrap(),
            segments: vec!["me".into()],
            holds: Holds::Cards,
            tells_changes: true,
            lists_names,
            shows_some,
        });
        places.found("a", &place, now);
        assert!(places.known("a", now).is_some_and(|known| Arc::ptr_eq(&known, &place)) && places.known("b", now).is_none());
        let second = Duration::from_secs(1);
        for (at, known) in [
            (now.plus(limits::DAV_PLACE_KNOWN - second), true),
            (now.plus(limits::DAV_PLACE_KNOWN), false),
            // A clock may jump.
            (Timestamp::from_unix_ms(0), false),
        ] {
            assert_eq!(places.known("a", at).is_some(), known, "{at:?}");
        }
        places.forget("a");
        assert!(places.known("a", now).is_none());
        for number in 0..3 * limits::DAV_PLACES_KNOWN_MAX {
            places.found(&number.to_string(), &place, now);
            assert!(places.held().len() <= limits::DAV_PLACES_KNOWN_MAX);
        }
    }
}
