//! Owns: what a schedule is like: services, syncs, rules, drawn from a seed. Must never know: what happens in it.

use std::{collections::BTreeMap, time::Duration};

use mingle_core::{
    filter::Filter,
    policy::{Merge, OnDelete, Policy},
    reference::{Reference, WhenGone},
    run::{Creates, Direction, reset::How},
};
use mingled::config::OnChange;

use crate::{
    chance::Chance,
    family::PARENT,
    service::{Character, Cursor, Faults},
    words::{KEY, NAMES},
    world::COLLECTION,
};

/// One sync.
#[derive(Clone, Debug)]
pub struct SyncSetup {
    pub name: &'static str,
    /// Which service.
    pub service: usize,
    pub direction: Direction,
    pub on_change: Option<OnChange>,
    /// Runs by itself that often.
    pub every: Option<Duration>,
    /// What of the service is brought.
    pub filter: Filter,
    /// What becomes of what is here where the service has another history.
    pub reset: How,
    /// What of others is made there.
    pub creates: Creates,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Setup {
    pub services: Vec<Character>,
    pub faults: Faults,
    pub syncs: Vec<SyncSetup>,
    pub policy: Policy,
    /// Moves before the healing.
    pub moves: usize,
    /// A crash once in so many moves.
    pub crashes: usize,
    /// Values that the service refuses once in so many writes.
    pub bad_values: usize,
    /// The service may get a new instance, or go back to a backup.
    pub epochs: bool,
    /// A write is marked not for upload once in so many.
    pub defers: usize,
    /// So many apps keep their own copy.
    pub keepers: usize,
    /// So many records are at every place before the first sync.
    pub founders: usize,
}

/// What schedules there shall be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bias {
    /// Only services of this kind.
    pub kind: Option<Kind>,
}

/// The kinds of services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Kinto,
    Rest,
    Careless,
}

impl Setup {
    /// From a seed.
    pub fn draw(seed: u64, bias: Bias) -> Self {
        let mut chance = Chance::new(seed ^ 0x5E70);
        let kind = bias.kind.unwrap_or_else(|| *chance.pick(&[Kind::Kinto, Kind::Kinto, Kind::Rest, Kind::Rest, Kind::Careless]));
        let character = character(kind, &mut chance);
        let direction = match chance.below(12) {
            0 => Direction::Down,
            1 => Direction::Up,
            _ => Direction::Both,
        };
        let quiet = OnChange { after: Duration::from_secs(2), at_most: Duration::from_secs(30) };
        let on_change = chance.one_in(3).then_some(quiet);
        let default = *chance.pick(&[Merge::Remote, Merge::Remote, Merge::Truth, Merge::Newest, Merge::Manual]);
        let mut properties = BTreeMap::new();
        if chance.one_in(3) {
            properties.insert("b".to_owned(), Merge::Manual);
        }
        let policy = Policy {
            default,
            properties,
            nested: false,
            delete: if chance.one_in(3) { OnDelete::KeepDelete } else { OnDelete::KeepEdit },
            null_is_a_value: false,
            identity: if chance.one_in(4) { vec![vec![KEY.to_owned()]] } else { Vec::new() },
            references: BTreeMap::new(),
        };
        let mut faults = faults(&mut chance);
        if character.client_ids {
            // By a chance of its own: whatever else a seed says stays as it was. (A service that makes the ids doubles a record whose
            // create comes after it was looked for, whatever one does.)
            let mut own = Chance::new(seed ^ 0x1A7E);
            (faults.late, faults.twice) = (*own.pick(&[0, 0, 0, 4]), *own.pick(&[0, 0, 0, 4]));
        }
        if !character.client_ids {
            // A service that makes the ids, loses answers and leaves rows out of listings doubles records whatever one does.
            (faults.skips, faults.empty) = (0, 0);
        }
        let mut setup = Self {
            services: vec![character],
            faults,
            syncs: vec![SyncSetup {
                name: "s",
                service: 0,
                direction,
                on_change,
                every: chance.one_in(4).then(|| Duration::from_secs(20)),
                filter: Filter::default(),
                reset: How::default(),
                creates: Creates::Unlinked,
            }],
            policy,
            moves: 30 + chance.below(120),
            crashes: if chance.one_in(2) { 40 } else { 0 },
            bad_values: if chance.one_in(4) { 8 } else { 0 },
            epochs: chance.one_in(8),
            defers: *Chance::new(seed ^ 0xDEFE).pick(&[0, 0, 0, 3]),
            keepers: 0,
            founders: 0,
        };
        if direction == Direction::Both && chance.one_in(8) {
            setup.add_source(&mut chance);
        }
        if setup.epochs && setup.brings() {
            let strategies = [How::RecoverOrDiscard, How::RecoverOrDiscard, How::Recover, How::Discard];
            setup.syncs[0].reset = *Chance::new(seed ^ 0x4E5E).pick(&strategies);
        }
        let mut own = Chance::new(seed ^ 0x3177);
        if direction == Direction::Both && setup.services.len() == 1 && own.one_in(5) {
            setup.mirrors(&mut own);
        }
        let mut own = Chance::new(seed ^ 0x1DE7);
        // Pages at an offset step over a row where one before it is deleted. One service alone, which takes our ids: that is what is drawn so far.
        let alone = |character: &Character| character.client_ids && character.cursor != Cursor::Whole;
        if direction == Direction::Both && setup.services.len() == 1 && alone(&setup.services[0]) && own.one_in(8) {
            setup.founded();
        }
        setup.keep_copies(&mut Chance::new(seed ^ 0xC097));
        // By a chance of its own, so that whatever else a seed says stays as it was.
        if Chance::new(seed ^ 0xFA31).one_in(3) {
            // What becomes of who refers to what is deleted, by one more.
            let whens =
                [WhenGone::Nullify, WhenGone::Nullify, WhenGone::Nullify, WhenGone::Cascade, WhenGone::Cascade, WhenGone::Refuse];
            setup.refers(*Chance::new(seed ^ 0xCA5C).pick(&whens));
            // Where writes are not conditional, what lies between the looks of several changes and their one request is a gap that nobody
            // can close.
            for character in setup.services.iter_mut().filter(|character| !character.conditional) {
                character.batch = 1;
            }
        }
        setup
    }

    /// The same records are at every place before anybody has synced, each known by one name or another. What hides a row from the first
    /// listing makes two of it, and is left out.
    fn founded(&mut self) {
        self.policy.identity = NAMES.iter().map(|name| vec![(*name).to_owned()]).collect();
        self.founders = 3;
        (self.faults.skips, self.faults.empty, self.faults.poison) = (0, 0, 0);
        self.services.iter_mut().for_each(|character| character.lag = 0);
    }

    /// Apps keep their own copies: more often where several services have the same records.
    fn keep_copies(&mut self, chance: &mut Chance) {
        let odds = if self.is_mirror(1) { 3 } else { 20 };
        if self.sends() && chance.one_in(odds) {
            self.keepers = *chance.pick(&[1, 1, 2]);
        }
    }

    /// Records refer to each other.
    pub fn refers(&mut self, on_delete: WhenGone) {
        let reference = Reference { collection: COLLECTION.into(), on_delete, numbers: false };
        self.policy.references.insert(PARENT.into(), reference);
        // Who refers to what a remote is not to have waits there for ever.
        if self.is_mirror(1) {
            self.syncs[0].creates = Creates::All;
        }
    }

    /// A second service, whose records only come.
    fn add_source(&mut self, chance: &mut Chance) {
        self.services.push(character(Kind::Kinto, chance));
        self.links_source();
    }

    /// A second service like the first, whose records only come.
    pub fn adds_source(&mut self) {
        self.services.push(self.services[0].clone());
        self.links_source();
    }

    fn links_source(&mut self) {
        self.syncs.push(SyncSetup {
            name: "t",
            service: 1,
            direction: Direction::Down,
            on_change: None,
            every: None,
            filter: Filter::default(),
            reset: How::default(),
            creates: Creates::Never,
        });
        // The two histories are told apart by key, and a key of one service is not to be met at the other.
        self.policy.identity.clear();
        self.epochs = false;
    }

    /// A second service, which has what the first one has; the other way, half of the time.
    fn mirrors(&mut self, chance: &mut Chance) {
        let kind = *chance.pick(&[Kind::Kinto, Kind::Rest, Kind::Careless]);
        let mut second = character(kind, chance);
        // Two services that write the same in two ways know each other's only from what they answer.
        second.shouts = true;
        if second.tidies && self.services[0].tidies {
            second.silent = 0;
            self.services[0].silent = 0;
        }
        if !second.client_ids {
            (self.faults.skips, self.faults.empty) = (0, 0);
            (self.faults.late, self.faults.twice) = (0, 0);
        }
        self.services.push(second);
        self.mirrored(chance.one_in(2));
    }

    /// The second service mirrors the first; and the first the second, if so said.
    pub fn mirrored(&mut self, both: bool) {
        let every = self.syncs[0].every;
        let second = SyncSetup { name: "t", service: 1, creates: Creates::All, every, ..self.syncs[0].clone() };
        self.syncs.push(second);
        if both {
            self.syncs[0].creates = Creates::All;
        }
        self.epochs = false;
    }

    /// Which services have what others have, and make it known to them.
    pub fn is_mirror(&self, service: usize) -> bool {
        self.syncs.iter().any(|sync| sync.service == service && sync.creates == Creates::All)
    }

    /// Whether it has what this word says; none: it says nothing.
    pub fn has(&self, word: &str) -> Option<bool> {
        Some(match word {
            "copies" => self.keepers > 0,
            "mirrors" => self.is_mirror(1),
            "cascade" => self.policy.references.values().any(|reference| reference.on_delete == WhenGone::Cascade),
            "discard" => self.epochs && self.syncs.iter().any(|sync| sync.reset == How::Discard),
            "identity" => self.policy.identity.len() > 1,
            _ => return None,
        })
    }

    /// Whether what is referred to cannot be deleted here.
    pub fn refuses_deletes(&self) -> bool {
        self.policy.references.values().any(|reference| reference.on_delete == WhenGone::Refuse)
    }

    /// Whether a service of the setup writes values its own way.
    pub fn tidies(&self) -> bool {
        self.services.iter().any(|character| character.tidies)
    }

    /// Whether answers may not show what became of what was sent.
    pub fn keeps_silent(&self) -> bool {
        self.services.iter().any(|character| character.silent > 0)
    }

    pub fn sends(&self) -> bool {
        self.syncs.iter().any(|sync| sync.direction.sends())
    }

    pub fn brings(&self) -> bool {
        self.syncs.iter().any(|sync| sync.direction != Direction::Up)
    }
}

fn character(kind: Kind, chance: &mut Chance) -> Character {
    let tidies = chance.one_in(3);
    let adds = chance.one_in(4);
    let silent = *chance.pick(&[0, 0, 1, 3]);
    let page_rows = 1 + chance.below(3);
    let errands_max = 1 + chance.below(2);
    let batch = *chance.pick(&[1, 1, 2, 4]);
    let common = Character {
        cursor: Cursor::Token,
        tombstones: true,
        conditional: true,
        client_ids: true,
        keys: chance.one_in(2),
        batch,
        grain: 1,
        skew: 0,
        lag: *chance.pick(&[0, 0, 3_000]),
        date_ahead: 0,
        tidies,
        shouts: false,
        adds,
        silent,
        tells_created: true,
        page_rows,
        errands_max,
        lacks: None,
        later: None,
    };
    match kind {
        Kind::Kinto => common,
        Kind::Rest => Character {
            cursor: Cursor::Stamp,
            tombstones: chance.one_in(2),
            conditional: chance.one_in(6),
            client_ids: chance.one_in(5),
            grain: 1_000,
            skew: *chance.pick(&[0, 0, 1_000]),
            lag: *chance.pick(&[0, 1_500, 3_000]),
            date_ahead: *chance.pick(&[0, 0, 30_000, -30_000]),
            tells_created: !chance.one_in(3),
            later: chance.one_in(4).then_some("b"),
            ..common
        },
        Kind::Careless => Character {
            cursor: Cursor::Whole,
            tombstones: false,
            conditional: chance.one_in(4),
            client_ids: chance.one_in(2),
            grain: 1_000,
            tells_created: chance.one_in(2),
            ..common
        },
    }
}

fn faults(chance: &mut Chance) -> Faults {
    if chance.one_in(5) {
        return Faults::default();
    }
    Faults {
        offline: *chance.pick(&[0, 30]),
        trouble: *chance.pick(&[0, 20]),
        lost: *chance.pick(&[0, 4, 12]),
        late: 0,
        twice: 0,
        throttled: *chance.pick(&[0, 30]),
        skips: *chance.pick(&[0, 6]),
        doubles: *chance.pick(&[0, 6]),
        empty: *chance.pick(&[0, 8]),
        refuses_cursor: *chance.pick(&[0, 20]),
        poison: *chance.pick(&[0, 0, 6]),
    }
}
