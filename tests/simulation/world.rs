//! Owns: one daemon in one world: the engine, `perform` and the store as they are, driven one step at a time. Must never know:
//! what the steps are for, what must come of them.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use mingle_core::{
    ask::{self, RunMode, RunRequest, Write, Writer},
    engine::{Ask, AskId, Effect, Engine, Event, Mark, SyncFacts},
    record::Props,
    run,
    schedule::{Job, Last, Name, Needs, Plan, StopReason},
    time::Timestamp,
};
use mingled::{
    json,
    perform::{Site, perform},
    store::{self, Class, CollectionDefinition, Commits, Ids, Origin, Store, sync::SyncSpec},
};

use crate::{
    chance::Chance,
    fake::{FakeOpener, Shared, lock},
    service::Service,
    setup::Setup,
    trace::{self, Trace},
};

/// The one collection.
pub const COLLECTION: &str = "things";

/// When it all begins.
const BEGAN: i64 = 1_790_000_000_000;

/// The world.
pub struct World {
    pub setup: Setup,
    pub services: Vec<Shared>,
    pub store: Store,
    pub trace: Trace,
    /// Our clock, in milliseconds.
    pub now: i64,
    engine: Engine,
    commits: Commits,
    specs: BTreeMap<Name, (Arc<SyncSpec>, Shared)>,
    sites: BTreeMap<Name, Arc<Site>>,
    tasks: Vec<Task>,
    /// What the daemon would find written down after a crash, where the store does not hold it.
    marks: Marks,
    next_ask: AskId,
    boots: u64,
    seed: u64,
    /// When the engine wants to look again.
    pub wake: Option<Timestamp>,
}

#[derive(Default)]
struct Marks {
    stopped: Option<(Timestamp, Option<String>, Vec<String>)>,
    paused: Vec<String>,
}

/// One effect of a run on its way.
struct Task {
    sync: Name,
    state: State,
}

enum State {
    /// Nothing of it was done.
    Waiting(run::Effect),
    /// Begun.
    Going(Pin<Box<dyn Future<Output = run::Event>>>),
    /// Done, and the engine has not heard of it.
    Done(run::Event),
}

impl World {
    pub fn new(setup: Setup, seed: u64, traced: bool) -> Self {
        let store = Store::memory(Ids::Seeded(seed)).expect("a store in memory");
        let now = Timestamp::from_unix_ms(BEGAN);
        let definition = CollectionDefinition {
            name: COLLECTION.into(),
            policy: setup.policy.clone(),
            read_only: !setup.sends(),
            ..CollectionDefinition::default()
        };
        store.write_blocking(Class::Interactive, now, move |tx| store::define(tx, &[definition])).expect("a collection");
        let services: Vec<Shared> = setup
            .services
            .iter()
            .map(|character| {
                let mut service = Service::new(character.clone(), BEGAN);
                service.faults = setup.faults;
                service.tells = traced;
                Arc::new(Mutex::new(service))
            })
            .collect();
        let specs = setup
            .syncs
            .iter()
            .map(|sync| {
                let spec = SyncSpec {
                    name: sync.name.into(),
                    collection: COLLECTION.into(),
                    remote: format!("remote{}", sync.service),
                    identity: format!("identity{}", sync.service),
                    direction: sync.direction,
                    policy: setup.policy.clone(),
                };
                (Name::from(sync.name), (Arc::new(spec), Arc::clone(&services[sync.service])))
            })
            .collect();
        let commits = store.commits();
        let mut world = Self {
            engine: Engine::new(BTreeMap::new(), None, 0, now),
            setup,
            services,
            store,
            trace: Trace::new(traced),
            now: BEGAN,
            commits,
            specs,
            sites: BTreeMap::new(),
            tasks: Vec::new(),
            marks: Marks::default(),
            next_ask: 0,
            boots: 0,
            seed,
            wake: None,
        };
        let setup = format!("{:?}", world.setup);
        world.trace.line(|| setup);
        world.boot();
        world
    }

    pub fn timestamp(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.now)
    }

    /// Sets the clocks and the chance of every service for one move.
    pub fn begin_move(&mut self, chance: &mut Chance) {
        for service in &self.services {
            let mut service = lock(service);
            service.now = self.now;
            service.chance = Chance::new(chance.next());
        }
    }

    /// Starts the daemon over the store as it is.
    fn boot(&mut self) {
        let now = self.timestamp();
        self.boots += 1;
        let crashed = self.store.write_blocking(Class::Interactive, now, store::sync::recover).expect("recovery");
        let mut facts = BTreeMap::new();
        for sync in &self.setup.syncs {
            let name = Name::from(sync.name);
            let plan = Plan {
                remote: Name::from(format!("remote{}", sync.service)),
                resource: "r".into(),
                collection: COLLECTION.into(),
                on_change: sync.on_change,
                needs: Needs::local(),
                ..Plan::default()
            };
            let last = if crashed.iter().any(|of| of == sync.name) {
                Last::Stopped { began: now, reason: StopReason::Crash }
            } else {
                Last::Never
            };
            let mut job = Job::new(plan, last, 0, now);
            job.paused = self.marks.paused.iter().any(|paused| paused == sync.name);
            if sync.direction.sends() {
                job.changed(now);
            }
            facts.insert(name, SyncFacts { collection: COLLECTION.into(), direction: sync.direction, job });
        }
        self.engine = Engine::new(facts, self.marks.stopped.clone(), self.seed ^ (self.boots << 32), now);
        self.tell(Event::Look);
    }

    /// The daemon dies and starts again. What was not begun is not done, what was done and not heard is lost.
    pub fn crash(&mut self) {
        let under_way = self.tasks.len();
        self.trace.line(|| format!("CRASH with {under_way} under way"));
        self.tasks.clear();
        self.sites.clear();
        let _ = self.commits.take();
        self.boot();
    }

    /// The engine hears of something; what it wants done is begun.
    fn tell(&mut self, event: Event) {
        let mut effects = Vec::new();
        self.engine.handle(self.timestamp(), event, &mut effects);
        for effect in effects {
            self.start(effect);
        }
    }

    fn start(&mut self, effect: Effect) {
        match effect {
            Effect::Begin { sync, order } => {
                let (spec, service) = &self.specs[&sync];
                self.trace.line(|| format!("run {} of {sync} begins: {order:?}", order.run));
                let opener = Arc::new(FakeOpener(Arc::clone(service)));
                let site = Site::new(self.store.clone(), Arc::clone(spec), order, opener);
                self.sites.insert(sync, Arc::new(site));
            }
            Effect::Run(sync, run::Effect::Hurry) => {
                if let Some(site) = self.sites.get(&sync) {
                    site.hurry();
                }
            }
            Effect::Run(sync, effect) => self.tasks.push(Task { sync, state: State::Waiting(effect) }),
            Effect::Over(sync) => {
                self.trace.line(|| format!("run of {sync} is over"));
                self.sites.remove(&sync);
            }
            Effect::Write(id, mark) => {
                match mark {
                    Mark::Stopped { since, by, ended } => self.marks.stopped = Some((since, by, ended)),
                    Mark::Running => self.marks.stopped = None,
                    Mark::Paused { sync, .. } => self.marks.paused.push(sync),
                    Mark::Resumed { sync } => self.marks.paused.retain(|paused| *paused != sync),
                }
                self.tell(Event::Written(id, Ok(())));
            }
            Effect::Wake(at) => self.wake = at,
            Effect::Answer(_, answer) => self.trace.line(|| format!("answer: {answer:?}")),
            Effect::NeverBegan { .. } | Effect::Tell(_) => {}
        }
    }

    /// Tells the engine what commits changed, as the daemon's loop does.
    fn listen(&mut self) {
        for (collection, origins) in self.commits.take() {
            for origin in origins {
                let brought_by = match origin {
                    Origin::App(_) => None,
                    Origin::Sync(name) => Some(name),
                };
                self.tell(Event::Changed { collection: collection.clone(), brought_by });
            }
        }
    }

    /// Whether nothing is under way.
    pub fn quiet(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Goes on with one thing that is under way, whichever chance picks.
    pub fn step(&mut self, chance: &mut Chance) {
        if self.tasks.is_empty() {
            return;
        }
        let at = chance.below(self.tasks.len());
        let Task { sync, state } = self.tasks.swap_remove(at);
        let mut future = match state {
            State::Done(event) => return self.hear(sync, event),
            State::Waiting(effect) => {
                self.trace.line(|| format!("{sync}: {}", trace::effect(&effect)));
                let Some(site) = self.sites.get(&sync) else { return };
                Box::pin(perform(Arc::clone(site), effect, self.timestamp())) as Pin<Box<dyn Future<Output = run::Event>>>
            }
            State::Going(future) => future,
        };
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.take_words();
        match polled {
            Poll::Pending => self.tasks.push(Task { sync, state: State::Going(future) }),
            Poll::Ready(event) => {
                self.listen();
                // Its event may wait a while, in which a crash or a stop may fall.
                if chance.one_in(3) { self.tasks.push(Task { sync, state: State::Done(event) }) } else { self.hear(sync, event) }
            }
        }
    }

    fn hear(&mut self, sync: Name, event: run::Event) {
        if self.trace.on() {
            let told = match &event {
                run::Event::Page(Ok(_)) => "page".into(),
                run::Event::Sent(_) => "sent".into(),
                other => format!("{other:?}"),
            };
            self.trace.line(|| format!("{sync} -> {told}"));
        }
        self.tell(Event::Run(sync, event));
    }

    fn take_words(&mut self) {
        if self.trace.on() {
            for service in &self.services {
                for line in std::mem::take(&mut lock(service).said) {
                    self.trace.line(|| line);
                }
            }
        }
    }

    /// Goes on until nothing is under way. False: it does not end.
    pub fn drive(&mut self, chance: &mut Chance) -> bool {
        for _ in 0..20_000 {
            if self.quiet() {
                return true;
            }
            self.step(chance);
        }
        false
    }

    /// Lets time pass.
    pub fn pass(&mut self, ms: i64) {
        self.now += ms;
        let now = self.now;
        self.trace.line(|| format!("time passes: +{ms} ms, now {}", now - BEGAN));
        for service in &self.services {
            lock(service).now = now;
        }
        self.tell(Event::Look);
    }

    fn ask(&mut self, question: Ask) {
        self.next_ask += 1;
        let id = self.next_ask;
        self.trace.line(|| format!("ask {id}: {question:?}"));
        self.tell(Event::Ask(id, question));
    }

    pub fn ask_run(&mut self, sync: &str, mode: Option<RunMode>, force: bool) {
        let request = RunRequest { sync: sync.into(), mode, force, accept_deletes: false, by: None };
        self.ask(Ask::RunSync(request));
    }

    pub fn ask_stop(&mut self) {
        self.ask(Ask::Stop { by: Some("tester".into()) });
    }

    pub fn ask_restart(&mut self, resync_stopped: bool) {
        self.ask(Ask::Restart { resync_stopped });
    }

    pub fn ask_pause(&mut self, sync: &str) {
        self.ask(Ask::Pause { sync: sync.into(), by: None });
    }

    pub fn ask_resume(&mut self, sync: &str) {
        self.ask(Ask::Resume { sync: sync.into() });
    }

    /// A person has signed in anew.
    pub fn logged_in(&mut self, service: usize) {
        self.tell(Event::LoginChanged(Name::from(format!("remote{service}"))));
    }

    /// An app writes, as the daemon lets it.
    pub fn write(&mut self, op: Option<String>, writes: Vec<Write>) -> Result<ask::Written, ask::Refusal> {
        let writer = Writer { app: "tester".into(), op, instance: None };
        let prepared = store::prepare(writer, writes)?;
        let now = self.timestamp();
        let written = self
            .store
            .write_blocking(Class::Interactive, now, move |tx| store::apply(tx, &prepared))
            .map_err(ask::Refusal::from);
        self.listen();
        written
    }

    /// Every live record of the truth: id, seq, properties.
    pub fn truth(&self) -> Vec<(String, u64, Props)> {
        let since = ask::Since { seq: 0, instance: None, scope: ask::Scope::All, limit: 1_000, bytes: 1 << 20, data: true };
        let page = self.store.read(|reader| store::changes(reader, &since)).expect("the feed");
        page.changes
            .into_iter()
            .filter_map(|change| Some((change.id, change.seq, json::parse_object(&change.data?).expect("what was stored"))))
            .collect()
    }
}
