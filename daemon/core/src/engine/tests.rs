//! Owns: the laws of the engine: every question is answered once, every run ends and is told, nothing begins under a stop, what a stop
//! ended comes back if asked for. Must never know: the store, remotes.

use std::collections::{BTreeMap, BTreeSet};

use super::{Answer, Ask, AskId, Defined, Effect, Engine, Event, Failing, SyncFacts};
use crate::{
    ask::{self, DaemonState, Refusal, RunRequest, RunState, SyncState},
    replica::{Failure, Page, RemoteError},
    run::{self, Direction, Terms, Wishes},
    schedule::{Interval, Job, Last, Name, Patience, Plan, Quiet},
    time::Timestamp,
};
use std::time::Duration;

mod again;
mod written;

struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

struct World {
    seed: u64,
    chance: Chance,
    now: Timestamp,
    engine: Engine,
    /// Parts of runs under way.
    under_way: Vec<(Name, run::Effect)>,
    writing: Vec<AskId>,
    on: BTreeSet<Name>,
    asked: BTreeMap<AskId, Ask>,
    answered: BTreeMap<AskId, Result<Answer, Refusal>>,
    ended: BTreeSet<String>,
    begun: u64,
    next: AskId,
}

const SYNCS: [&str; 3] = ["a", "b", "c"];

impl World {
    fn new(seed: u64) -> Self {
        let now = Timestamp::from_unix_ms(1_790_000_000_000);
        let syncs = SYNCS.map(|name| {
            let plan = Plan {
                remote: "r".into(),
                resource: name.into(),
                collection: "k".into(),
                interval: (name != "c").then_some(Interval { every: Duration::from_secs(60), flex: Duration::from_secs(20) }),
                on_change: Some(Quiet { after: Duration::from_secs(2), at_most: Duration::from_secs(30) }),
                ..Plan::default()
            };
            let job = Job::new(plan, Last::Never, 0, now);
            (
                Name::from(name),
                SyncFacts {
                    collection: "k".into(),
                    direction: Direction::Both,
                    job,
                    patience: None,
                    failing: Failing::default(),
                    anew: false,
                    wished: run::Mode::Fast,
                },
            )
        });
        Self {
            seed,
            chance: Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1),
            now,
            engine: Engine::new(syncs.into(), None, seed, now),
            under_way: Vec::new(),
            writing: Vec::new(),
            on: BTreeSet::new(),
            asked: BTreeMap::new(),
            answered: BTreeMap::new(),
            ended: BTreeSet::new(),
            begun: 0,
            next: 1,
        }
    }

    #[track_caller]
    fn handle(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.engine.handle(self.now, event, &mut effects);
        for effect in effects {
            match effect {
                Effect::Begin { sync, .. } => {
                    let state = self.engine.state().0;
                    assert_eq!(state, DaemonState::Running, "seed {}: {sync} began while {state:?}", self.seed);
                    assert!(self.on.insert(sync.clone()), "seed {}: {sync} runs beside itself", self.seed);
                    self.begun += 1;
                }
                Effect::Run(_, run::Effect::Hurry) => {}
                Effect::Run(sync, effect) => self.under_way.push((sync, effect)),
                Effect::Over(sync) => assert!(self.on.remove(&sync), "seed {}: {sync} is over and was not on", self.seed),
                Effect::Write(id, _) => self.writing.push(id),
                Effect::Answer(id, answer) => {
                    assert!(self.asked.contains_key(&id), "seed {}: nobody asked {id}", self.seed);
                    assert!(self.answered.insert(id, answer).is_none(), "seed {}: {id} was answered twice", self.seed);
                }
                Effect::Tell(ask::Event::Run { run, result: Some(_), .. }) => {
                    assert!(self.ended.insert(run.clone()), "seed {}: {run} ended twice", self.seed);
                }
                Effect::Tell(_) | Effect::Wake(_) | Effect::NeverBegan { .. } | Effect::WatchLogin(_) => {}
            }
        }
    }

    fn ask(&mut self, ask: Ask) -> AskId {
        let id = self.next;
        self.next += 1;
        self.asked.insert(id, ask.clone());
        self.handle(Event::Ask(id, ask));
        id
    }

    /// One part of a run, or one write, comes to its end.
    fn settle_one(&mut self, faults: bool) {
        if !self.writing.is_empty() {
            let id = self.writing.remove(0);
            let full = faults && self.chance.below(10) == 0;
            let written = if full { Err(Refusal::Internal("no room".into())) } else { Ok(()) };
            return self.handle(Event::Written(id, written));
        }
        if self.under_way.is_empty() {
            return;
        }
        let at = usize::try_from(self.chance.below(self.under_way.len() as u64)).unwrap();
        let (sync, effect) = self.under_way.remove(at);
        let fault = faults && self.chance.below(10) == 0;
        let error = || RemoteError::new(Failure::Server, "planned");
        let event = match effect {
            run::Effect::Begin => run::Event::Begun,
            run::Effect::Open if fault => run::Event::Opened(Err(error())),
            run::Effect::Open => run::Event::Opened(Ok(())),
            run::Effect::Negotiate { .. } => run::Event::Negotiated(Box::new(Terms { page_rows: 1, ..Terms::default() })),
            run::Effect::Fetch { .. } if fault => run::Event::Page(Err(error())),
            run::Effect::Fetch { .. } => run::Event::Page(Ok(Page::default())),
            run::Effect::Apply { .. } => run::Event::Applied(run::Applied::default()),
            run::Effect::Complete { .. } => run::Event::Completed { rejected: 0, watermark: None, reset: None },
            run::Effect::Ghosts { .. } => run::Event::Ghosts { remote_ids: Vec::new(), guarded: 0 },
            run::Effect::Plan { .. } => run::Event::Planned(run::Planned::default()),
            run::Effect::Finish(_) => run::Event::Finished { standing: 0 },
            other => unreachable!("this world has none of {other:?}"),
        };
        self.handle(Event::Run(sync, event));
    }

    fn step(&mut self) {
        let sync = SYNCS[usize::try_from(self.chance.below(3)).unwrap()].to_string();
        match self.chance.below(18) {
            16 => {
                self.ask(Ask::Ping { syncs: vec![sync], remote: None });
            }
            17 => {
                let at = (self.chance.below(3) > 0).then(|| self.now.plus(Duration::from_secs(self.chance.below(200))));
                self.ask(Ask::NextRun { sync, at });
            }
            0 => {
                let request = RunRequest { sync, mode: None, force: false, accept_deletes: false, reset: None, by: None };
                let id = self.ask(Ask::RunSync(request));
                if let Some(Ok(Answer::Accepted(accepted))) = self.answered.get(&id).cloned() {
                    self.ask(Ask::WaitRun { run: accepted.run });
                }
            }
            1 if self.chance.below(3) == 0 => {
                self.ask(Ask::Stop { by: None, lease: None });
            }
            2 | 3 => {
                let resync_stopped = self.chance.below(2) == 0;
                self.ask(Ask::Restart { resync_stopped, lease: None });
            }
            4 if self.chance.below(3) == 0 => {
                self.ask(Ask::Pause { sync, by: None });
            }
            5 => {
                self.ask(Ask::Resume { sync });
            }
            8 if self.chance.below(2) == 0 => {
                let lease = Some(self.chance.below(2));
                self.ask(Ask::Stop { by: None, lease });
            }
            8 => {
                let lease = self.chance.below(2);
                self.handle(Event::Released(lease));
            }
            6 => self.handle(Event::Changed { collection: "k".into(), brought_by: None }),
            7 => {
                self.now = self.now.plus(Duration::from_secs(self.chance.below(90)));
                self.handle(Event::Look);
            }
            _ => self.settle_one(true),
        }
    }

    fn drain(&mut self) {
        for _ in 0..2_000 {
            if self.under_way.is_empty() && self.writing.is_empty() {
                return;
            }
            self.settle_one(false);
        }
        panic!("seed {}: it does not come to rest", self.seed);
    }
}

#[test]
fn every_question_is_answered_once_and_every_run_ends() {
    let mut begun = 0;
    for seed in 1..1_500 {
        let mut world = World::new(seed);
        world.handle(Event::Look);
        for _ in 0..120 {
            world.step();
        }
        world.handle(Event::Shutdown);
        world.drain();
        assert!(world.engine.quiet(), "seed {seed}: not quiet after the end");
        assert!(world.on.is_empty());
        // Whoever waits for a run that a person's shutdown left queued is not answered: the daemon is gone before.
        for (id, ask) in &world.asked {
            let waits = matches!(ask, Ask::WaitRun { .. });
            assert!(waits || world.answered.contains_key(id), "seed {seed}: {ask:?} was not answered");
        }
        begun += world.begun;
    }
    assert!(begun > 5_000, "only {begun} runs began: this world is too quiet to find anything");
}

#[test]
fn a_stop_ends_runs_and_queued_ones_and_a_restart_brings_them_back_if_told() {
    for (resync_stopped, back) in [(true, 2), (false, 0)] {
        let mut world = World::new(7);
        world.handle(Event::Look);
        assert_eq!(world.on.len(), 2, "a and b never ran: they are due at once");
        let request = RunRequest { sync: "a".into(), mode: None, force: false, accept_deletes: false, reset: None, by: None };
        let id = world.ask(Ask::RunSync(request));
        let Some(Ok(Answer::Accepted(queued))) = world.answered.get(&id).cloned() else { panic!("accepted") };
        assert!(queued.queued, "one is on");
        let waits = world.ask(Ask::WaitRun { run: queued.run });
        world.ask(Ask::Stop { by: Some("mingle".into()), lease: None });
        let Some(Ok(Answer::Waited(waited))) = world.answered.get(&waits) else { panic!("who waits for a queued run is told") };
        assert_eq!(waited.state, RunState::Stopped);
        world.drain();
        assert_eq!(world.engine.state().0, DaemonState::Stopped);
        let refused = world.ask(Ask::RunSync(RunRequest {
            sync: "c".into(),
            mode: None,
            force: true,
            accept_deletes: false,
            reset: None,
            by: None,
        }));
        assert!(matches!(world.answered[&refused], Err(Refusal::Stopped(..))));
        let begun = world.begun;
        let restart = world.ask(Ask::Restart { resync_stopped, lease: None });
        world.drain();
        assert_eq!(world.begun - begun, back, "resync_stopped: {resync_stopped}");
        let Ok(Answer::Halted(halted)) = &world.answered[&restart] else { panic!("answered") };
        assert_eq!(halted.runs.len() as u64, back);
    }
}

#[test]
fn a_rebuild_is_of_all_syncs_of_a_collection_or_of_none() {
    let mut world = World::new(8);
    world.handle(Event::Look);
    let rebuild = |collection: &str| Ask::Rebuild { collection: collection.into() };
    let unknown = world.ask(rebuild("nothing"));
    let Err(Refusal::Invalid(what, Some(_))) = &world.answered[&unknown] else { panic!("nothing syncs it") };
    assert!(what.contains("nothing syncs nothing"), "{what}");
    world.ask(Ask::Pause { sync: "c".into(), by: None });
    let paused = world.ask(rebuild("k"));
    let Err(Refusal::Stopped(_, Some(hint))) = &world.answered[&paused] else { panic!("c is paused") };
    assert!(hint.contains("resume c"), "{hint}");
    world.drain();
    let begun = world.begun;
    world.ask(Ask::Resume { sync: "c".into() });
    world.drain();
    assert_eq!(world.begun, begun, "what was refused asked for nothing");

    world.under_way.clear();
    world.ask(Ask::RunSync(RunRequest {
        sync: "a".into(),
        mode: None,
        force: false,
        accept_deletes: false,
        reset: None,
        by: None,
    }));
    let asked = world.ask(rebuild("k"));
    let Some(Ok(Answer::Rebuilds(runs))) = world.answered.get(&asked).cloned() else { panic!("accepted") };
    let told: Vec<(&str, bool)> = runs.iter().map(|(sync, run)| (sync.as_str(), run.queued)).collect();
    assert_eq!(told, [("a", true), ("b", false), ("c", false)], "one is on, and ends first");
    world.drain();
    assert!(runs.iter().all(|(_, run)| world.ended.contains(&run.run)));
    world.ask(Ask::Stop { by: None, lease: None });
    let stopped = world.ask(rebuild("k"));
    assert!(matches!(&world.answered[&stopped], Err(Refusal::Stopped(..))));
}

#[test]
fn stop_when_idle_and_twice_and_a_restart_while_stopping_are_all_fine() {
    let mut world = World::new(9);
    let idle = world.ask(Ask::Stop { by: None, lease: None });
    world.ask(Ask::Stop { by: None, lease: None });
    world.drain();
    assert!(matches!(&world.answered[&idle], Ok(Answer::Halted(halted)) if halted.state == DaemonState::Stopped));
    world.ask(Ask::Restart { resync_stopped: false, lease: None });
    world.drain();
    world.ask(Ask::Stop { by: None, lease: None });
    let while_stopping = world.ask(Ask::Restart { resync_stopped: true, lease: None });
    world.drain();
    assert!(matches!(&world.answered[&while_stopping], Ok(Answer::Halted(halted)) if halted.state == DaemonState::Running));
    assert!(world.engine.quiet());
}

#[test]
fn a_resume_brings_back_the_run_that_the_pause_ended_and_no_other() {
    // c has no interval: only what is asked for makes it due.
    let request = || RunRequest { sync: "c".into(), mode: None, force: false, accept_deletes: false, reset: None, by: None };
    for (ask_first, pauses, back) in [(true, 1, 1), (true, 2, 1), (false, 1, 0), (false, 2, 0)] {
        let mut world = World::new(11);
        world.handle(Event::Look);
        world.drain();
        if ask_first {
            world.ask(Ask::RunSync(request()));
        }
        let mut paused = 0;
        for _ in 0..pauses {
            paused = world.ask(Ask::Pause { sync: "c".into(), by: None });
            world.drain();
        }
        assert_eq!(world.answered[&paused], Ok(Answer::State(SyncState::Disabled)));
        let refused = world.ask(Ask::RunSync(request()));
        let Err(Refusal::Stopped(_, Some(hint))) = &world.answered[&refused] else { panic!("paused") };
        assert!(hint.contains("resume c"), "{hint}");
        let begun = world.begun;
        let resumed = world.ask(Ask::Resume { sync: "c".into() });
        world.drain();
        assert_eq!(world.begun - begun, back, "asked first: {ask_first}, {pauses} pauses");
        let state = if back == 1 { SyncState::Ready } else { SyncState::Waiting };
        assert_eq!(world.answered[&resumed], Ok(Answer::State(state)));
    }
}

#[test]
fn a_lease_ends_with_its_connection_and_not_before() {
    /// Stops and ends of stops in order, and whether runs are accepted after each: `w` written, `1` a lease, `-1` its end, `r` a
    /// restart by nobody who holds a lease, `r1` one by the connection that does.
    #[track_caller]
    fn check(steps: &str) {
        let mut world = World::new(13);
        for step in steps.split_whitespace() {
            let (what, accepted) = step.split_once('=').expect("what=state");
            let number = what.trim_start_matches(['r', '-']).parse::<u64>().ok();
            match what {
                "w" => drop(world.ask(Ask::Stop { by: Some("w".into()), lease: None })),
                _ if what.starts_with('r') => drop(world.ask(Ask::Restart { resync_stopped: false, lease: number })),
                _ if what.starts_with('-') => world.handle(Event::Released(number.expect("a lease"))),
                _ => drop(world.ask(Ask::Stop { by: Some(format!("l{what}")), lease: number })),
            }
            world.drain();
            let (state, _, by) = world.engine.state();
            let is = match state {
                DaemonState::Running => "on".to_owned(),
                _ => by.expect("who stopped it"),
            };
            assert_eq!(is, accepted, "{steps}: after {step}");
        }
    }
    check("1=l1 -1=on");
    check("1=l1 1=l1 -1=on -1=on");
    check("1=l1 2=l1 -1=l2 -2=on");
    check("1=l1 w=w -1=w r=on");
    check("w=w 1=w r=l1 -1=on");
    check("w=w 1=w r1=on");
    check("1=l1 r=l1 r1=on");
    check("1=l1 2=l1 r1=l2 -1=l2 -2=on");
    check("-7=on w=w -7=w");
}

#[test]
fn a_lease_is_not_written_down_and_a_stop_beside_it_is() {
    let mut world = World::new(15);
    world.handle(Event::Look);
    let lease = world.ask(Ask::Stop { by: None, lease: Some(1) });
    assert!(world.writing.is_empty(), "a lease does not outlive its connection");
    assert!(matches!(&world.answered[&lease], Ok(Answer::Halted(halted)) if halted.runs.len() == 2));
    world.ask(Ask::Stop { by: None, lease: None });
    assert_eq!(world.writing.len(), 1);
    world.drain();
    assert_eq!(world.engine.state().0, DaemonState::Stopped);
    world.handle(Event::Released(1));
    let begun = world.begun;
    let restart = world.ask(Ask::Restart { resync_stopped: true, lease: None });
    world.drain();
    assert_eq!(world.begun - begun, 2, "what the lease ended comes back with the restart");
    assert!(matches!(&world.answered[&restart], Ok(Answer::Halted(halted)) if halted.runs.len() == 2));
}

/// What becomes of a run that is on, and of one that is asked for, when their sync is defined anew.
#[test]
fn a_sync_that_is_defined_anew_ends_its_run_only_where_it_must() {
    let facts = || {
        let plan = Plan { remote: "other".into(), resource: "a".into(), collection: "k".into(), ..Plan::default() };
        let job = Job::new(plan, Last::Never, 0, Timestamp::from_unix_ms(1_790_000_000_000));
        SyncFacts {
            collection: "k".into(),
            direction: Direction::Down,
            job,
            patience: None,
            failing: Failing::default(),
            anew: false,
            wished: run::Mode::Fast,
        }
    };
    let request = || RunRequest { sync: "a".into(), mode: None, force: false, accept_deletes: false, reset: None, by: None };
    #[track_caller]
    fn check(world: &World, waits: AskId, expect: Option<RunState>) {
        let got = match world.answered.get(&waits) {
            Some(Ok(Answer::Waited(waited))) => Some(waited.state),
            None => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(got, expect);
    }
    for (defined, first, second, remote) in [
        (vec![Defined::Replanned(facts().job.plan, facts().job.since)], RunState::Done, RunState::Done, Some("other")),
        (vec![Defined::Replaced(facts())], RunState::Stopped, RunState::Done, Some("other")),
        (vec![Defined::Removed], RunState::Stopped, RunState::Stopped, None),
        (vec![Defined::Removed, Defined::Added(facts())], RunState::Stopped, RunState::Stopped, Some("other")),
        (vec![Defined::Replaced(facts()), Defined::Removed], RunState::Stopped, RunState::Stopped, None),
    ] {
        let mut world = World::new(17);
        world.handle(Event::Look);
        assert!(world.on.contains("a"), "it never ran: it is due at once");
        let on = world.engine.copy().one("a", world.now).and_then(|shown| shown.run).expect("a run").run;
        let waits = world.ask(Ask::WaitRun { run: on });
        let id = world.ask(Ask::RunSync(request()));
        let Some(Ok(Answer::Accepted(queued))) = world.answered.get(&id).cloned() else { panic!("accepted") };
        let waits_too = world.ask(Ask::WaitRun { run: queued.run });
        let what = format!("{defined:?}");
        for one in defined {
            world.handle(Event::Defined(vec![("a".into(), one)]));
        }
        check(&world, waits, None);
        world.drain();
        check(&world, waits, Some(first));
        check(&world, waits_too, Some(second));
        let shown = world.engine.copy().one("a", world.now);
        assert_eq!(shown.as_ref().map(|shown| &*shown.remote), remote, "{what}");
        // The others never heard of it.
        assert_eq!(world.engine.copy().names().collect::<Vec<_>>().len(), if remote.is_some() { 3 } else { 2 });
        assert!(world.engine.quiet());
    }
}

#[test]
fn a_cancel_ends_a_run_for_good_also_one_on_its_way_to_a_stop() {
    for stop_first in [false, true] {
        let mut world = World::new(19);
        world.handle(Event::Look);
        let on = world.engine.copy().one("a", world.now).and_then(|shown| shown.run).expect("a run").run;
        let waits = world.ask(Ask::WaitRun { run: on.clone() });
        if stop_first {
            world.ask(Ask::Stop { by: None, lease: None });
        }
        let cancelled = world.ask(Ask::Cancel { sync: "a".into(), by: None });
        assert_eq!(world.answered[&cancelled], Ok(Answer::Cancelled(vec![on])));
        world.drain();
        assert!(matches!(&world.answered[&waits], Ok(Answer::Waited(waited)) if waited.state == RunState::Cancelled));
        let restart = world.ask(Ask::Restart { resync_stopped: true, lease: None });
        world.drain();
        let Ok(Answer::Halted(halted)) = &world.answered[&restart] else { panic!("answered") };
        assert_eq!(halted.runs.len(), usize::from(stop_first), "b alone comes back");
    }
}
