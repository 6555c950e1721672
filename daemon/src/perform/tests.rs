//! Owns: that each effect ends in one event, also where what it asks panics. Must never know: what a run makes of the event.

use mingle_core::{
    policy::Policy,
    replica::{Abilities, Asked, From, Page},
    run::{Creates, Direction, Mode},
};

use super::*;
use crate::{
    remotes::{Greeting, budget::By},
    store::{Ids, sync::Others},
};

const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

/// Panics at whatever it is asked, but for its greeting where it is polite.
struct Faulty {
    polite: bool,
    abilities: Abilities,
}

impl Remote for Faulty {
    fn abilities(&self) -> &Abilities {
        &self.abilities
    }

    fn greet(&self) -> Pending<'_, Result<Greeting, RemoteError>> {
        assert!(self.polite, "a fault of ours, greeting");
        Box::pin(async { Ok(Greeting::default()) })
    }

    fn list<'a>(&'a self, _: &'a From, _: Option<&'a str>, _: usize) -> Pending<'a, Result<Page, RemoteError>> {
        Box::pin(async { panic!("a fault of ours, listing") })
    }

    fn get<'a>(&'a self, _: &'a str) -> Pending<'a, Result<Asked, RemoteError>> {
        Box::pin(async { panic!("a fault of ours, asking") })
    }

    fn send<'a>(&'a self, _: &'a Action) -> Pending<'a, Answer> {
        Box::pin(async { panic!("a fault of ours, sending") })
    }
}

/// Opens it; or panics before there is one.
struct Opens(Option<Arc<Faulty>>);

impl Opener for Opens {
    fn open(&self, _: By) -> Pending<'_, Result<Arc<dyn Remote>, RemoteError>> {
        let remote = self.0.clone();
        Box::pin(async { Ok(remote.expect("a fault of ours, opening") as Arc<dyn Remote>) })
    }
}

fn site(remote: Option<Arc<Faulty>>) -> Arc<Site> {
    let spec = SyncSpec {
        name: "s".into(),
        collection: "a".into(),
        remote: "r".into(),
        identity: "r".into(),
        history: String::new(),
        listing: String::new(),
        direction: Direction::Both,
        policy: Policy::default(),
        remove_after_upload: false,
        creates: Creates::Unlinked,
        others: Others::default(),
        filter: mingle_core::filter::Filter::default(),
        reset: Default::default(),
        kin: std::collections::BTreeMap::new(),
    };
    let order = Order {
        run: "r-1".into(),
        direction: Direction::Both,
        mode: Mode::Fast,
        trigger: "request".into(),
        force: false,
        accept_deletes: false,
        ..Order::default()
    };
    Arc::new(Site::new(
        Store::memory(Ids::Seeded(1)).unwrap(),
        Arc::new(spec),
        order,
        Arc::new(Opens(remote)),
        Arc::new(|| Box::new(|| false)),
    ))
}

fn faulty(polite: bool) -> Option<Arc<Faulty>> {
    let abilities = Abilities { errands_max: 2, ..Abilities::least() };
    Some(Arc::new(Faulty { polite, abilities }))
}

#[tokio::test]
async fn an_effect_that_panics_ends_in_its_own_event() {
    for remote in [None, faulty(false)] {
        let opened = perform(site(remote), Effect::Open, NOW).await;
        assert!(matches!(&opened, Event::Opened(Err(error)) if error.kind == Failure::Nonsense), "{opened:?}");
    }
    let site = site(faulty(true));
    assert!(matches!(perform(Arc::clone(&site), Effect::Open, NOW).await, Event::Opened(Ok(()))));
    let fetch = Effect::Fetch { from: From::Start, page: None, rows: 10 };
    let page = perform(Arc::clone(&site), fetch, NOW).await;
    assert!(matches!(&page, Event::Page(Err(error)) if error.kind == Failure::Nonsense), "{page:?}");
    let asked = perform(Arc::clone(&site), Effect::Ask { remote_ids: vec!["one".into()] }, NOW).await;
    assert!(matches!(&asked, Event::Asked { asked, failed: Some(_) } if asked.is_empty()), "{asked:?}");
    // Whether it left is not known of any of them.
    let create = || Action::Create { remote_id: None, whole: [].into_iter().collect(), key: None };
    let errands = vec![Errand { link: 1, action: create() }, Errand { link: 2, action: create() }];
    let Event::Sent(sent) = perform(site, Effect::Send { errands }, NOW).await else { panic!("no answers") };
    let unknown: Vec<i64> =
        sent.iter().filter(|(_, answer)| matches!(answer, Answer::Unknown(_))).map(|(link, _)| *link).collect();
    assert_eq!(unknown, [1, 2], "{sent:?}");
}

#[test]
fn a_copy_that_has_no_room_names_the_bytes_and_the_remedy() {
    let error = StoreError::NoRoom { bytes: 4096, room: 17, place: "/data".into() };
    let Event::StoreFailed(told) = trouble(error) else { panic!("it failed in the store") };
    assert_eq!(told.name, "disk_full");
    assert_eq!(told.what, "a copy of the store needs 4096 bytes, and 17 are free in /data");
    assert!(told.hint.is_some_and(|hint| hint.contains("nothing was changed; free so much there")));
}
