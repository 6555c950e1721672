//! Owns: the one law of the desk: whatever happens, it says what [`decide`] says of the same board.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::run::reset::Held;
use crate::schedule::{Demand, End, Patience, Request, decide, laws::Chance, table::NOON};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_says_what_a_look_at_everything_says(seed: u64) {
        prop_assert_eq!(life(seed), Ok(()));
    }
}

/// One random life of a board: 200 steps of one event or several, with clocks that are set back and syncs that come and go.
pub(in crate::schedule) fn life(seed: u64) -> Result<(), String> {
    let mut chance = Chance(seed);
    let mut now = NOON;
    let names: Vec<Name> = (0..2 + chance.below(24)).map(|place| format!("s{place:02}").into()).collect();
    let jobs = names.iter().map(|name| (name.clone(), Job::new(chance.plan(name), Last::Never, 0, now))).collect();
    let mut desk = Desk::new(Board { jobs, ..Board::default() }, Conditions::default());
    for step in 0..200 {
        for _ in 0..=chance.below(3) {
            happen(&mut desk, &mut chance, &names, &mut now);
        }
        let (said, right) = (desk.next(now), decide(desk.board(), desk.conditions(), now));
        let fail = |what: &str| Err(format!("step {step}, seed {seed}: {what}: said {said:?}, right {right:?}"));
        if (&said.start, &said.stop) != (&right.start, &right.stop) {
            return fail("what is done");
        }
        if said.wake_at != right.wake_at {
            return fail("when it looks again");
        }
        for (name, job) in &desk.board().jobs {
            let state = match right.hold.get(name) {
                _ if job.running.is_some() => SyncState::Running,
                Some(hold) => hold.state(),
                None => SyncState::Ready,
            };
            if desk.state(name) != Some(state) {
                return fail(&format!("{name} is {state:?}, not {:?}", desk.state(name)));
            }
        }
        // At times nobody does anything about it: it has to be said again.
        if chance.one_in(5) {
            continue;
        }
        for (name, reason) in said.stop {
            desk.job(&name).expect("a job that stops").stopping(reason);
        }
        for start in said.start {
            desk.job(&start.sync).expect("a job that starts").begin(now);
        }
    }
    Ok(())
}

fn happen(desk: &mut Desk, chance: &mut Chance, names: &[Name], now: &mut Timestamp) {
    let name = &names[chance.below(names.len() as u64) as usize];
    let seconds = |chance: &mut Chance, below: u64| Duration::from_secs(chance.below(below));
    match chance.below(20) {
        0 => desk.set_conditions(Conditions {
            stopped: chance.one_in(3).then_some(StopReason::User),
            battery_low: [None, Some(true), Some(false)][chance.below(3) as usize],
            ..Conditions::default()
        }),
        1 => {
            let remote = ["r", "q"][chance.below(2) as usize].into();
            let patience = chance.one_in(2).then(|| Patience { asked: *now, until: now.plus(seconds(chance, 900)) });
            let (needs_login, runs_max) = (chance.one_in(4), 1 + chance.below(4) as usize);
            let budget = chance.one_in(3).then(|| Patience { asked: *now, until: now.plus(seconds(chance, 900)) });
            let away = chance.one_in(4).then(|| "app".into());
            desk.change_remote(&remote, |known| *known = Remote { patience, budget, needs_login, away, runs_max });
        }
        2 => desk.remove(name),
        3 => {
            let last = if chance.one_in(2) { Last::Never } else { Last::Failed { ended: now.minus(seconds(chance, 100)) } };
            let plan = chance.plan(name);
            desk.put(name.clone(), Job::new(plan, last, 1, *now));
        }
        4..=6 => {
            // To the next moment as a rule; at times less, or asleep, or the clock is set back.
            let next = decide(desk.board(), desk.conditions(), *now).wake_at;
            *now = match next {
                _ if chance.one_in(6) => now.minus(seconds(chance, 10_000)),
                Some(at) if !chance.one_in(3) => at,
                _ if chance.one_in(3) => now.plus(seconds(chance, 100_000)),
                _ => now.plus(seconds(chance, 60)),
            };
        }
        event => {
            let replanned = chance.plan(name);
            let (request, end) = (
                Request { at: *now, person: chance.one_in(2), force: chance.one_in(3), reset: chance.one_in(5) },
                [End::Done, End::Done, End::Failed, End::Stopped(StopReason::Crash), End::Stopped(StopReason::User)]
                    [chance.below(5) as usize],
            );
            let (paused, age) = (chance.one_in(3), chance.below(3600));
            let Some(job) = desk.job(name) else { return };
            match event {
                7 => job.changed(*now),
                8 => job.ask(request),
                9 => job.heard(*now),
                10 => job.call(Trigger::Ping),
                11 => job.paused = paused,
                16 => job.followed = paused,
                17 => job.learn(paused),
                18 => job.read_fresh(now.minus(Duration::from_secs(age))),
                19 => job.demand = paused.then(|| Demand { age: Duration::from_secs(age), by: None, count: 1 }),
                12 => job.replan(replanned, *now),
                13 => job.held = [None, Some(Held::Manual), Some(Held::Account(1))][chance.below(3) as usize],
                _ => job.end(*now, end),
            }
        }
    }
}
