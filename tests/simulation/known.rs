//! Owns: what the daemon knows of a setup's syncs, as its boot makes it from a configuration. Must never know: what becomes of it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mingle_core::run::{self, Creates};
use mingled::{
    boot::Known,
    config,
    store::sync::{Home, Others, SyncSpec},
};

use crate::{
    fake::{FakeOpener, Shared},
    setup::{Setup, SyncSetup},
    world::COLLECTION,
};

/// A sync as the daemon's boot makes it from a configuration.
pub fn known(setup: &Setup, sync: &SyncSetup, services: &[Shared]) -> Known {
    let definition = config::SyncDefinition {
        collection: COLLECTION.into(),
        remote: format!("remote{}", sync.service),
        resource: "r".into(),
        direction: match sync.direction {
            run::Direction::Down => config::Direction::Down,
            run::Direction::Up => config::Direction::Up,
            run::Direction::Both => config::Direction::Both,
        },
        home: false,
        mirror: sync.creates == Creates::All,
        remove_after_upload: false,
        reset: sync.reset,
        filter: sync.filter.clone(),
        tags: Vec::new(),
        timing: config::Timing {
            repeat: sync.every.map_or(config::Repeat::Never, |every| config::Repeat::Every {
                every,
                flex: every,
                grows_to: None,
            }),
            initial_delay: None,
            after: Vec::new(),
            priority: 1_000,
            timezone: None,
            needs: mingle_core::schedule::Needs::default(),
            on_start: false,
            on_demand: false,
            on_change: sync.on_change,
            deadline: None,
            stall: None,
            backoff: config::Backoff { first: Duration::from_secs(30), at_most: Duration::from_secs(3_600), doubles: true },
            alert_after: Duration::from_secs(86_400),
        },
    };
    let spec = SyncSpec {
        name: sync.name.into(),
        collection: COLLECTION.into(),
        remote: definition.remote.clone(),
        identity: format!("identity{}", sync.service),
        history: format!("history{}", sync.service),
        listing: String::new(),
        direction: sync.direction,
        policy: setup.policy.clone(),
        remove_after_upload: false,
        filter: sync.filter.clone(),
        reset: sync.reset,
        creates: sync.creates,
        others: others(setup, sync),
        kin: BTreeMap::new(),
    };
    let opener = Arc::new(FakeOpener(Arc::clone(&services[sync.service])));
    Known { spec: Arc::new(spec), opener, definition, depth: 0, stall: Some(mingle_core::limits::STALL) }
}

/// What the other services are to a sync. The home of new records is that of the first sync.
fn others(setup: &Setup, sync: &SyncSetup) -> Others {
    let mirror = sync.creates == Creates::All;
    let identity = |service: usize| format!("identity{service}");
    let mirrors = setup.syncs.iter().filter(|other| other.service != sync.service && other.creates == Creates::All);
    let mirrors: Vec<String> = mirrors.map(|other| identity(other.service)).collect();
    let first = &setup.syncs[0];
    let home = Home { sync: first.name.into(), remote: format!("remote{}", first.service), identity: identity(first.service) };
    Others { mirror, makes: !mirrors.is_empty(), mirrors, home: (mirror && first.service != sync.service).then_some(home) }
}
