//! Owns: one schedule: moves drawn from its seed, then healing, then the question whether all is well. Must never know: how
//! anything is done.

use mingle_core::{
    record::Props,
    run::{Mode, reset::How},
};

use crate::{
    chance::Chance,
    fake::lock,
    family, found,
    keepers::Keepers,
    oracle::Terms,
    people::People,
    service::{Cursor, Faults},
    setup::{Bias, Setup},
    world::World,
};

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Move {
    Step,
    App,
    Colleague,
    Run,
    SlowRun,
    Refresh,
    Rebuild,
    Pass,
    PassLong,
    Stop,
    Restart,
    Pause,
    Resume,
    Crash,
    Lock,
    Unlock,
    BackUp,
    Restore,
    Settle,
    Keeper,
}

/// One move with the seed of everything it draws: so moves can be left out, and the others stay as they are.
pub type Deed = (usize, u64);

const WEIGHTS: &[(Move, usize)] = &[
    (Move::Step, 90),
    (Move::Settle, 6),
    (Move::App, 16),
    (Move::Colleague, 14),
    (Move::Run, 14),
    (Move::SlowRun, 2),
    (Move::Refresh, 1),
    (Move::Rebuild, 1),
    (Move::Pass, 8),
    (Move::PassLong, 2),
    (Move::Stop, 1),
    (Move::Restart, 2),
    (Move::Pause, 1),
    (Move::Resume, 2),
    (Move::Crash, 0),
    (Move::Lock, 1),
    (Move::Unlock, 2),
    (Move::BackUp, 1),
    (Move::Restore, 1),
    // In worlds with apps that keep a copy, beside each other move once in so many.
    (Move::Keeper, 0),
];

/// See [`Move::Keeper`].
const KEEPER_ONE_IN: usize = 3;

/// The moves of a seed.
pub fn deeds(seed: u64, setup: &Setup) -> Vec<Deed> {
    let mut chance = Chance::new(seed);
    // By a chance of its own: whatever else a seed says stays as it was.
    let mut own = Chance::new(seed ^ 0xC095);
    let keeper = WEIGHTS.iter().position(|(of, _)| *of == Move::Keeper).unwrap_or(0);
    let whole: usize = WEIGHTS.iter().map(|(_, weight)| weight).sum();
    (0..setup.moves)
        .flat_map(|_| {
            let mut at = chance.below(whole);
            let mut chosen = 0;
            for (index, (_, weight)) in WEIGHTS.iter().enumerate() {
                if at < *weight {
                    chosen = index;
                    break;
                }
                at -= weight;
            }
            if chance.one_in(setup.crashes) {
                chosen = WEIGHTS.iter().position(|(of, _)| *of == Move::Crash).unwrap_or(0);
            }
            let keeps = setup.keepers > 0 && own.one_in(KEEPER_ONE_IN);
            [Some((chosen, chance.next())), keeps.then(|| (keeper, own.next()))].into_iter().flatten()
        })
        .collect()
}

/// How a schedule came out.
pub struct Report {
    /// What is wrong; empty: all is well.
    pub wrong: Vec<String>,
    pub trace: String,
    pub hash: u64,
}

/// Of so many schedules, one is looked at with `mingle fsck`.
const FSCK_EVERY: u64 = 16;

/// Plays one schedule.
pub fn play(seed: u64, bias: Bias, traced: bool) -> Report {
    let setup = Setup::draw(seed, bias);
    let deeds = deeds(seed, &setup);
    play_deeds(seed, setup, &deeds, traced)
}

/// Plays these moves.
pub fn play_deeds(seed: u64, setup: Setup, deeds: &[Deed], traced: bool) -> Report {
    let mut world = World::new(setup, seed, traced);
    // Every rule of the store is looked at in some of them, and the lists of what waits: it takes as long as a schedule.
    let looks = traced || seed.is_multiple_of(FSCK_EVERY);
    let mut people = People::default();
    people.looks = looks;
    people.found(&mut world, &mut Chance::new(seed ^ 0xF0D5));
    let mut keepers = Keepers::new(&world);
    let mut terms = terms(&world.setup);
    for (what, chance) in deeds {
        one(&mut world, &mut people, &mut keepers, &mut terms, WEIGHTS[*what].0, &mut Chance::new(*chance));
    }
    people.look_at_lists(&world);
    people.uploads(&mut world);
    let meanwhile = if looks { found::unsound(&world) } else { Vec::new() };
    let mut own = Chance::new(seed ^ 0xC091);
    keepers.sync(&mut world, &mut people, &mut terms, &mut own);
    let mut wrong = heal(&mut world, Chance::new(seed ^ 0x0EA1));
    keepers.come_level(&mut world, &mut people, &mut terms, &mut own);
    wrong.extend(meanwhile);
    if looks {
        wrong.extend(found::unsound(&world));
    }
    people.look_at_lists(&world);
    wrong.extend(family::wrong(&world));
    wrong.append(&mut people.wrong);
    wrong.extend(people.history.check(&found::found(&world, &people.keys, keepers.copies()), terms));
    for line in &wrong {
        world.trace.line(|| format!("WRONG: {line}"));
    }
    Report { wrong, trace: world.trace.text(), hash: world.trace.hash() }
}

/// What a world of this setup is like before anything has happened.
pub fn terms(setup: &Setup) -> Terms {
    let loses_answers = setup.faults.lost > 0 || setup.faults.late + setup.faults.twice > 0 || setup.crashes > 0;
    Terms {
        colleagues_count: setup.brings(),
        sends: setup.sends(),
        brings: setup.brings(),
        restored: false,
        discards: setup.syncs.iter().any(|sync| sync.reset == How::Discard),
        forgot: false,
        blurred: setup.tidies() && (loses_answers || setup.keeps_silent()),
        tidies: setup.tidies(),
        loses_answers,
        mirrored: setup.is_mirror(1),
        copies_blurred: false,
    }
}

fn one(world: &mut World, people: &mut People, keepers: &mut Keepers, terms: &mut Terms, what: Move, chance: &mut Chance) {
    world.begin_move(chance);
    let service = chance.below(world.services.len());
    let sync = world.setup.syncs[chance.below(world.setup.syncs.len())].name;
    match what {
        Move::Step => world.step(chance),
        Move::Settle => {
            world.drive(chance);
            // A backup takes away what was there.
            if !terms.restored {
                people.ask_what_is_there(world);
            }
            people.look_around(world, *terms);
            people.look_at_lists(world);
            if Chance::new(chance.next()).one_in(world.setup.defers) {
                people.uploads(world);
            }
        }
        Move::App => people.app(world, chance),
        Move::Colleague => people.colleague(world, chance, service),
        Move::Run => world.ask_run(sync, None, chance.one_in(5)),
        Move::SlowRun => world.ask_run(sync, Some(Mode::Slow), false),
        Move::Refresh => {
            terms.forgot = true;
            world.ask_run(sync, Some(Mode::Refresh), false);
        }
        Move::Rebuild => world.ask_rebuild(),
        Move::Pass => {
            let ms = *chance.pick(&[100, 400, 1_000, 2_500]);
            world.pass(ms);
        }
        Move::PassLong => world.pass(60_000),
        Move::Stop => world.ask_stop(),
        Move::Restart => world.ask_restart(chance.one_in(2)),
        Move::Pause => world.ask_pause(sync),
        Move::Resume => world.ask_resume(sync),
        Move::Crash => {
            keepers.fall(world, terms);
            world.crash();
        }
        Move::Keeper => keepers.acts(world, people, terms, chance),
        Move::Lock => lock(&world.services[service]).locked = true,
        Move::Unlock => {
            lock(&world.services[service]).locked = false;
            world.logged_in(service);
        }
        Move::BackUp if world.setup.epochs => lock(&world.services[service]).back_up(),
        Move::Restore if world.setup.epochs => {
            let before: Vec<Props> = lock(&world.services[service]).live().map(|(_, props)| props.clone()).collect();
            lock(&world.services[service]).restore();
            let after: Vec<Props> = lock(&world.services[service]).live().map(|(_, props)| props.clone()).collect();
            people.history.goes_back(&before, &after);
            terms.restored = true;
            terms.forgot = true;
            world.trace.line(|| format!("service {service}: another instance, perhaps restored from a backup"));
        }
        Move::BackUp | Move::Restore => {}
    }
}

/// No faults and no edits any more: within a few rounds everything must have come to rest. What is wrong on the way.
pub fn heal(world: &mut World, mut chance: Chance) -> Vec<String> {
    let mut wrong = Vec::new();
    world.trace.line(|| "HEALING".into());
    for at in 0..world.services.len() {
        {
            let mut service = lock(&world.services[at]);
            service.faults = Faults::default();
            service.locked = false;
            // Under a revision that is unique per change a row is what it was, for a day.
            if service.character.conditional { service.mend() } else { service.cure() }
        }
        world.logged_in(at);
    }
    world.ask_restart(false);
    let syncs: Vec<&'static str> = world.setup.syncs.iter().map(|sync| sync.name).collect();
    for sync in &syncs {
        world.ask_resume(sync);
    }
    let whole = world.setup.services.iter().any(|character| character.cursor == Cursor::Whole || !character.tombstones);
    let mut last = (0, 0);
    for round in 0..7 {
        world.begin_move(&mut chance);
        // Deletes that no tombstone tells are found by a whole listing. Everything else has to come without one: it would hide what a
        // checkpoint stepped over.
        let mode = (whole && (round == 2 || round == 3)).then_some(Mode::Slow);
        for sync in &syncs {
            world.ask_run(sync, mode, true);
            if !world.drive(&mut chance) {
                wrong.push(format!("stuck: a run of {sync} does not end"));
                return wrong;
            }
        }
        world.pass(45_000);
        if !world.drive(&mut chance) {
            wrong.push("stuck: a run does not end".into());
            return wrong;
        }
        let writes = world.services.iter().map(|service| lock(service).writes).sum::<u64>();
        let seq = *world.store.head().borrow();
        if round >= 5 && last != (writes, seq) {
            wrong.push(format!("still writing after {round} quiet rounds: (writes, seq) from {last:?} to {:?}", (writes, seq)));
        }
        last = (writes, seq);
    }
    wrong
}

/// Leaves out whatever moves are not needed to fail: halves, quarters, single ones, until none can go.
pub fn shrink(seed: u64, setup: &Setup, mut deeds: Vec<Deed>) -> Vec<Deed> {
    let fails = |deeds: &[Deed]| {
        std::panic::catch_unwind(|| play_deeds(seed, setup.clone(), deeds, false)).map_or(true, |report| !report.wrong.is_empty())
    };
    let mut chunk = deeds.len().div_ceil(2);
    while chunk > 0 {
        let (mut at, mut dropped) = (0, false);
        while at < deeds.len() {
            let mut fewer = deeds.clone();
            fewer.drain(at..(at + chunk).min(fewer.len()));
            if fails(&fewer) {
                deeds = fewer;
                dropped = true;
            } else {
                at += chunk;
            }
        }
        if !(dropped && chunk == 1) {
            chunk /= 2;
        }
    }
    deeds
}
