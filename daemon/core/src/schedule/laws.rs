//! Owns: what is true of every decision: over random boards and lives, and over fleets.

use std::{collections::BTreeMap, time::Duration};

use proptest::prelude::*;

use super::{table::NOON, *};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.plus(by)
}

/// Ten thousand hosts with the same sync come evenly: also when all of them were released at the same moment. No hundredth of
/// the window gets more than three times its share (a flex that does not divide the interval has places that fit twice).
#[test]
fn a_fleet_does_not_knock_at_once() {
    let hosts = || (0..10_000_u64).map(|host| Spread::of(host.wrapping_mul(0x9e37_79b9_7f4a_7c15), "contacts"));
    for (every, flex) in [(3600, 3600), (3600, 600), (900, 600), (86_400, 3600)] {
        let interval = Interval { every: seconds(every), flex: seconds(flex) };
        let closes = NOON.plus(interval.every);
        let mut crowd = BTreeMap::<u64, u32>::new();
        for host in hosts() {
            let moment = interval.moment(NOON, host);
            assert!(moment > closes.minus(interval.flex) && moment <= closes, "{every} {flex} {host:?}");
            let place = (closes.since(moment).as_millis() * 100 / interval.flex.as_millis()).try_into().unwrap();
            *crowd.entry(place).or_default() += 1;
        }
        assert!(crowd.values().all(|hosts| *hosts < 300), "{every} {flex}: {crowd:?}");
    }
    let pause = |host| Backoff::default().pause(3, host).as_secs();
    let mut crowd = BTreeMap::<u64, u32>::new();
    hosts().for_each(|host| *crowd.entry(pause(host)).or_default() += 1);
    assert!(crowd.len() == 60 && crowd.values().all(|hosts| *hosts < 400), "{crowd:?}");
}

#[test]
fn a_host_keeps_its_number() {
    // This is the number in every release: another would move every fleet.
    assert_eq!(Spread::of(7, "contacts"), Spread::of(7, "contacts"));
    assert_ne!(Spread::of(7, "contacts"), Spread::of(7, "issues"));
    assert_ne!(Spread::of(7, "contacts"), Spread::of(8, "contacts"));
    let hourly = Interval { every: seconds(3600), flex: seconds(3600) };
    assert_eq!(hourly.moment(NOON, Spread::of(7, "contacts")), Timestamp::from_unix_ms(1_767_617_512_364));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// On time, a sync runs once per interval, whatever its flex and the host.
    #[test]
    fn runs_settle_one_interval_apart(every in 1_000..100_000_000_i64, flex in 0..1_000_u64, host: u64, late in 0..50_u64) {
        let interval = Interval {
            every: Duration::from_millis(every.unsigned_abs()),
            flex: Duration::from_millis(every.unsigned_abs() * flex / 999),
        };
        let spread = Spread::of(host, "s");
        let moments: Vec<i64> = std::iter::successors(Some(NOON), |before| {
            let moment = interval.moment(*before, spread);
            Some(moment.plus(Duration::from_millis(late.min(interval.flex.as_millis() as u64 / 100))))
        })
        .take(20)
        .map(Timestamp::unix_ms)
        .collect();
        for pair in moments.windows(2) {
            let apart = pair[1] - pair[0];
            prop_assert!(apart <= every + 50, "{apart} after {every}");
            prop_assert!(apart >= every - interval.flex.as_millis() as i64, "{apart} after {every}");
        }
        // After at most a few it has found its phase; with a short flex, a multiple of it may have to do.
        let settled = moments[19] - moments[18];
        let phases = interval.flex.as_millis() as i64;
        prop_assert!(settled + 50 >= every || settled + phases > every - 50, "{moments:?}");
    }

    #[test]
    fn pauses_only_grow(first in 1..1_000_u64, ceiling in 1..100_000_u64, linear: bool, host: u64) {
        let curve = if linear { Curve::Linear } else { Curve::Exponential };
        let backoff = Backoff { curve, first: seconds(first), ceiling: seconds(ceiling) };
        let spread = Spread::of(host, "s");
        let pauses: Vec<Duration> = (1..80).map(|failures| backoff.pause(failures, spread)).collect();
        prop_assert!(pauses.is_sorted(), "{pauses:?}");
        prop_assert!(pauses[0] >= seconds(first));
        prop_assert!(pauses.iter().all(|pause| *pause <= seconds(ceiling.max(first))));
    }

    #[test]
    fn lives_keep_the_laws(seed: u64) {
        prop_assert_eq!(life(seed), Ok(()));
    }
}

/// A small generator of chance that is the same everywhere; proptest gives the seed.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    pub(super) fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Some of those whose names come before, so that there is no circle.
    fn before(&mut self, name: &str) -> Vec<Name> {
        let own: u64 = name[1..].parse().unwrap();
        let width = name.len() - 1;
        let one = |chance: &mut Self| Name::from(format!("s{:0width$}", chance.below(own)));
        if own == 0 || !self.one_in(3) { Vec::new() } else { vec![one(self)] }
    }

    pub(super) fn plan(&mut self, name: &str) -> Plan {
        let interval = (!self.one_in(3)).then(|| {
            let every = 1 + self.below(7200);
            Interval { every: seconds(every), flex: seconds(self.below(every + 1)) }
        });
        let cron = ["*/7 * * * *", "0 * * * *", "30 2 * * *"][self.below(3) as usize];
        let window = ["22:00-06:00", "mon,wed 12:30-12:45", "00:00-24:00", "sat-tue"][self.below(4) as usize];
        Plan {
            remote: ["r", "q"][self.below(2) as usize].into(),
            resource: ["x", "y"][self.below(2) as usize].into(),
            collection: ["c", "d"][self.below(2) as usize].into(),
            interval,
            cron: self.one_in(3).then(|| cron::Cron::parse(cron, jiff::tz::TimeZone::UTC).unwrap()),
            on_start: self.one_in(2),
            on_change: (!self.one_in(3)).then(Quiet::default),
            backoff: Backoff::default(),
            deadline: self.one_in(2).then(|| seconds(1 + self.below(600))),
            stall: self.one_in(2).then(|| seconds(1 + self.below(60))),
            needs: Needs {
                battery_not_low: self.one_in(3),
                window: self.one_in(3).then(|| Window::parse([window], jiff::tz::TimeZone::UTC).unwrap()),
                unknown_holds: self.one_in(4),
                ..Needs::default()
            },
            spread: Spread::of(self.0, name),
            grows_to: self.one_in(3).then(|| seconds(1 + self.below(20_000))),
            initial_delay: self.one_in(4).then(|| seconds(self.below(10_000))),
            on_demand: self.one_in(4),
            after: self.before(name),
            rank: Rank { priority: self.below(3) as u32, depth: self.below(2) as u32 },
        }
    }
}

/// Who runs though one that goes first has not ended well, or runs; none: nobody.
fn overtook(board: &Board, start: &Start) -> Option<Name> {
    let job = &board.jobs[&start.sync];
    let stands = |first: &&Name| {
        board.jobs.get(*first).is_some_and(|first| first.running.is_some() || !matches!(first.last, Last::Done { .. }))
    };
    job.plan.after.iter().find(stands).filter(|_| !job.request.is_some_and(|request| request.force)).cloned()
}

/// One random life of a board: 300 events, each followed by a decision that is put into effect. What the laws forbid is an error.
pub(super) fn life(seed: u64) -> Result<(), String> {
    let mut chance = Chance(seed);
    let (mut now, mut board, mut conditions) = (NOON, Board::default(), Conditions::default());
    let names: Vec<Name> = (0..2 + chance.below(6)).map(|place| format!("s{place}").into()).collect();
    for name in &names {
        let plan = chance.plan(name);
        board.jobs.insert(name.clone(), Job::new(plan, Last::Never, 0, now));
    }
    board.remotes.insert("q".into(), Remote { runs_max: 1, ..Remote::default() });
    // Requests that wait: since when, and what was asked. Each is answered by a run that begins after it.
    let mut waiting: BTreeMap<Name, Timestamp> = BTreeMap::new();
    let mut wake_at: Option<Timestamp> = None;
    for step in 0..300 {
        let name = names[chance.below(names.len() as u64) as usize].clone();
        let job = board.jobs.get_mut(&name).unwrap();
        match chance.below(12) {
            0 => job.changed(now),
            1 => {
                job.ask(Request { at: now, person: chance.one_in(2), force: chance.one_in(3), reset: chance.one_in(5) });
                waiting.entry(name.clone()).or_insert(now);
            }
            2..=4 if job.running.is_some() => {
                let end = match chance.below(5) {
                    0 | 1 => End::Done,
                    2 => End::Failed,
                    3 => End::Stopped(StopReason::Crash),
                    _ => End::Stopped(job.running.as_ref().unwrap().stopping.unwrap_or(StopReason::Timeout)),
                };
                let asked = job.running.as_ref().unwrap().request;
                if end == End::Done {
                    job.learn(chance.one_in(2));
                }
                // A run that is resumed has not answered yet.
                if let (End::Stopped(reason), Some(request)) = (end, asked)
                    && reason.due_again()
                {
                    waiting.entry(name.clone()).or_insert(request.at);
                }
                job.end(now, end);
            }
            5 => job.heard(now),
            6 if chance.one_in(2) => job.followed = !job.followed,
            6 if chance.one_in(3) => job.read_fresh(now.minus(seconds(chance.below(3600)))),
            6 if chance.one_in(2) => {
                let demand = |chance: &mut Chance| Demand { age: seconds(chance.below(3600)), by: None, count: 1 };
                job.demand = chance.one_in(2).then(|| demand(&mut chance));
            }
            6 if chance.one_in(2) => job.call(Trigger::Ping),
            6 => job.next = (!chance.one_in(3)).then(|| now.minus(seconds(60)).plus(seconds(chance.below(20_000)))),
            7 => conditions.stopped = chance.one_in(3).then_some(StopReason::User),
            8 if chance.one_in(2) => conditions.online = [None, Some(true), Some(false)][chance.below(3) as usize],
            8 => conditions.battery_low = [None, Some(true), Some(false)][chance.below(3) as usize],
            9 => {
                let remote = board.remotes.entry("r".into()).or_default();
                remote.needs_login = chance.one_in(3);
                remote.away = chance.one_in(4).then(|| "app".into());
                remote.patience =
                    chance.one_in(2).then(|| Patience { asked: now, until: later(now, seconds(chance.below(900))) });
                remote.budget = chance.one_in(3).then(|| Patience { asked: now, until: later(now, seconds(chance.below(900))) });
            }
            10 => job.paused = chance.one_in(3),
            _ => {
                // Time passes: to the next wake-up as a rule, at times less or (asleep) far more.
                let far = seconds(1 + chance.below(100_000));
                now = match wake_at {
                    Some(at) if !chance.one_in(4) => at.max(now),
                    _ if chance.one_in(3) => later(now, far),
                    _ => later(now, seconds(chance.below(60))),
                };
            }
        }
        let decision = decide(&board, &conditions, now);
        let fail = |law: &str| Err(format!("step {step}, seed {seed}: {law}: {decision:?}"));
        if decision != decide(&board, &conditions, now) {
            return fail("the same board has one decision");
        }
        if conditions.stopped.is_some() && !decision.start.is_empty() {
            return fail("nothing starts under stopped");
        }
        if decision.wake_at.is_some_and(|at| at <= now) {
            return fail("a wake-up lies ahead");
        }
        for (name, job) in &board.jobs {
            let places = usize::from(job.running.is_some())
                + usize::from(decision.hold.contains_key(name))
                + decision.start.iter().filter(|start| start.sync == *name).count();
            if places != 1 {
                return fail(&format!("{name} runs, starts or is held, one of these"));
            }
            if let Some(until) = decision.hold.get(name).and_then(Hold::until)
                && (until <= now || decision.wake_at.is_none())
            {
                return fail(&format!("the hold of {name} ends ahead, and somebody looks then"));
            }
        }
        // Waking at wake_at makes progress: something starts or stops, or another hold is named.
        if let (Some(at), true, true) = (decision.wake_at, decision.start.is_empty(), decision.stop.is_empty()) {
            let then = decide(&board, &conditions, at);
            if then.start.is_empty() && then.stop.is_empty() && then.hold == decision.hold {
                return fail("waking at wake_at makes progress");
            }
        }
        if let Some(first) = decision.start.iter().find_map(|start| overtook(&board, start)) {
            return fail(&format!("{first} goes first"));
        }
        for (name, reason) in &decision.stop {
            board.jobs.get_mut(name).unwrap().stopping(*reason);
        }
        for start in &decision.start {
            let job = board.jobs.get_mut(&start.sync).unwrap();
            if job.paused || board.remotes.get(&job.plan.remote).and_then(|remote| remote.patience).is_some_and(|p| p.until > now)
            {
                return fail("paused syncs and a server's own wait hold");
            }
            job.begin(now);
            waiting.remove(&start.sync);
        }
        wake_at = decide(&board, &conditions, now).wake_at;
        // Never two of one replica and collection, never more of a remote than it takes.
        let running: Vec<&Job> = board.jobs.values().filter(|job| job.running.is_some()).collect();
        let shares: std::collections::BTreeSet<_> = running.iter().map(|job| job.plan.share()).collect();
        if shares.len() != running.len() {
            return fail("no two runs share a replica and a collection");
        }
        if running.iter().filter(|job| &*job.plan.remote == "q").count() > 1 {
            return fail("a remote has at most its number of runs");
        }
        // Who asked and has had no run since is still on the board.
        for (name, since) in &waiting {
            if board.jobs[name].request.is_none_or(|request| request.at > *since) {
                return fail(&format!("the request for {name} is lost"));
            }
        }
    }
    // All obstacles out of the way, everybody who asked gets a run.
    conditions = Conditions { online: Some(true), battery_low: Some(false), ..Conditions::default() };
    board.remotes.clear();
    board.jobs.values_mut().for_each(|job| job.plan.needs.window = None);
    for round in 0..3 * names.len() {
        for job in board.jobs.values_mut() {
            job.paused = false;
            job.end(now, End::Done);
            // Whom others wait for has to have run once.
            if round == 0 {
                job.ask(Request { at: now, person: true, force: false, reset: true });
            }
        }
        for start in decide(&board, &conditions, now).start {
            board.jobs.get_mut(&start.sync).unwrap().begin(now);
            waiting.remove(&start.sync);
        }
    }
    if waiting.is_empty() { Ok(()) } else { Err(format!("seed {seed}: never answered: {waiting:?}")) }
}
