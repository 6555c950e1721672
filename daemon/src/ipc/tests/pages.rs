//! Owns: the law of pages that many subscriptions share: each hears what it would have read itself. Must never know: sockets.

use std::sync::atomic::Ordering;

use mingle_core::{
    ask::{RecordIds, Scope, Since},
    limits::{CHANGES_PER_PAGE_BYTES_MAX, CHANGES_PER_PAGE_MAX},
};
use mingle_proto::message;

use super::model::Model;
use crate::ipc::{
    convert::ChangedOut,
    door::{Door as _, Follows},
    pages::Pages,
    subscribe::{Feed, Subscriptions},
};

/// A subscription, and where it must be.
struct Ear {
    subscriptions: Subscriptions,
    scope: Scope,
    data: bool,
    seq: u64,
}

impl Ear {
    fn new(scope: Scope, data: bool) -> Self {
        let mut subscriptions = Subscriptions::default();
        let feed = Feed {
            seq: 0,
            instance: None,
            named: None,
            scope: scope.clone(),
            ids: RecordIds::default(),
            data,
            due: false,
            wants: None,
            follows: Follows::by(()),
            told_more: false,
        };
        subscriptions.add(Some(feed), None).unwrap();
        Self { subscriptions, scope, data, seq: 0 }
    }

    /// Feeds it; what it hears, and what it would have read itself.
    fn hear(&mut self, model: &Model, pages: &Pages) -> (String, String) {
        let since = Since {
            seq: self.seq,
            instance: None,
            scope: self.scope.clone(),
            limit: CHANGES_PER_PAGE_MAX,
            bytes: CHANGES_PER_PAGE_BYTES_MAX,
            data: self.data,
            ids: RecordIds::default(),
        };
        let page = model.changes(&since).unwrap();
        assert!(!page.more, "the model is too large for this test");
        let (mut heard, mut expected) = (Vec::new(), Vec::new());
        if !page.changes.is_empty() {
            let text = ChangedOut::page(&page).unwrap();
            message::notification(&mut expected, "changed", &ChangedOut::of(1, &text)).unwrap();
        }
        self.seq = page.seq;
        self.subscriptions.head_moved();
        self.subscriptions.feed(model, pages, &mut heard, usize::MAX).unwrap();
        (String::from_utf8(heard).unwrap(), String::from_utf8(expected).unwrap())
    }
}

/// Writes and ears in some order, told by `seed`.
fn life(seed: u64) -> Result<(), String> {
    let (model, pages) = (Model::default(), Pages::default());
    let only = |name: &str| Scope::Only(vec![name.into()]);
    let mut ears: Vec<Ear> = [Scope::All, only("issues"), only("notes"), only("issues"), Scope::All]
        .into_iter()
        .zip([true, true, true, true, false])
        .map(|(scope, data)| Ear::new(scope, data))
        .collect();
    let mut state = seed;
    let mut chance = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for step in 0..60 {
        if chance(3) == 0 {
            let collection = if chance(2) == 0 { "issues" } else { "notes" };
            let data = format!("{{\"step\":{step}}}");
            model.put(collection, &chance(4).to_string(), (chance(5) > 0).then_some(data.as_str()));
        } else {
            let at = usize::try_from(chance(5)).unwrap();
            let (heard, expected) = ears[at].hear(&model, &pages);
            if heard != expected {
                return Err(format!("seed {seed}, step {step}: ear {at} hears {heard:?}, and would have read {expected:?}"));
            }
        }
    }
    Ok(())
}

#[test]
fn each_hears_what_it_would_have_read_itself() {
    for seed in 0..300 {
        assert_eq!(life(seed), Ok(()));
    }
}

#[test]
fn who_waits_at_the_same_place_is_told_by_one_read() {
    let (model, pages) = (Model::default(), Pages::default());
    let mut ears: Vec<Ear> = (0..100).map(|_| Ear::new(Scope::All, true)).collect();
    for at in 0..3 {
        model.put("issues", "1", Some(&format!("{{\"at\":{at}}}")));
        let before = model.reads.load(Ordering::Relaxed);
        for ear in &mut ears {
            let (heard, expected) = ear.hear(&model, &pages);
            assert_eq!(heard, expected);
        }
        // Each ear's own check is one, too.
        assert_eq!(model.reads.load(Ordering::Relaxed) - before, 100 + 1);
    }
}

#[cfg(feature = "planted")]
#[test]
fn planted_bugs_are_found() {
    use mingle_core::planted;
    for bug in ["page of another moment", "page of another scope"] {
        planted::set_here(Some(bug));
        let found = (0..300).any(|seed| life(seed).is_err());
        planted::set_here(None);
        assert!(found, "no life sees {bug:?}");
    }
}
