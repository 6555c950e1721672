//! Owns: one daemon in one world: the engine, `perform` and the store as they are, driven one step at a time. Must never know:
//! what the steps are for, what must come of them.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

use mingle_core::{
    ask::{self, RunRequest, Write, Writer},
    engine::{Ask, AskId, Effect, Engine, Event},
    filter::Filter,
    record::Props,
    run::{self, Creates, Mode, reset::How},
    schedule::Name,
    time::Timestamp,
};
use mingled::{
    boot::{self, Known},
    json,
    perform::{Pace, Site, perform, write_down},
    store::{self, Class, CollectionDefinition, Commits, Ids, Origin, Store, StoreError, Tx, marks},
};

use crate::{
    chance::Chance,
    fake::{Shared, arrivals, lock},
    known::known,
    service::Service,
    setup::{Setup, SyncSetup},
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
    syncs: BTreeMap<Name, Known>,
    sites: BTreeMap<Name, Arc<Site>>,
    tasks: Vec<Task>,
    next_ask: AskId,
    boots: u64,
    seed: u64,
    /// When the engine wants to look again.
    pub wake: Option<Timestamp>,
}

/// Something on its way, which ends in an event.
enum Task {
    /// Nothing of it was done.
    Waiting(Name, run::Effect),
    /// Begun.
    Going(Pin<Box<dyn Future<Output = Event>>>),
    /// Done, and the engine has not heard of it.
    Done(Event),
}

/// Cuts batches after some rows, another number in each schedule: in the daemon time does that, wherever it falls.
fn pace(seed: u64) -> Arc<Pace> {
    Arc::new(move || {
        let mut reached = 0;
        Box::new(move || {
            reached += 1;
            reached > seed % 6
        })
    })
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
            .zip(0..)
            .map(|(character, number)| {
                let mut service = Service::new(character.clone(), number, BEGAN);
                service.faults = setup.faults;
                service.tells = traced;
                Arc::new(Mutex::new(service))
            })
            .collect();
        let syncs = setup.syncs.iter().map(|sync| (Name::from(sync.name), known(&setup, sync, &services))).collect();
        let commits = store.commits();
        let mut world = Self {
            engine: Engine::new(BTreeMap::new(), None, 0, now),
            setup,
            services,
            store,
            trace: Trace::new(traced),
            now: BEGAN,
            commits,
            syncs,
            sites: BTreeMap::new(),
            tasks: Vec::new(),
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
            arrivals(&mut service);
        }
    }

    /// Starts the daemon over the store as it is.
    fn boot(&mut self) {
        self.boots += 1;
        let seed = self.seed ^ (self.boots << 32);
        self.engine = boot::engine(&self.store, &self.syncs, 1, seed, self.timestamp()).expect("the engine boots");
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
                let known = &self.syncs[&sync];
                self.trace.line(|| format!("run {} of {sync} begins: {order:?}", order.run));
                let site =
                    Site::new(self.store.clone(), Arc::clone(&known.spec), order, Arc::clone(&known.opener), pace(self.seed));
                self.sites.insert(sync, Arc::new(site));
            }
            Effect::Run(sync, run::Effect::Hurry) => {
                if let Some(site) = self.sites.get(&sync) {
                    site.hurry();
                }
            }
            Effect::Run(sync, effect) => self.tasks.push(Task::Waiting(sync, effect)),
            Effect::Over(sync) => {
                self.trace.line(|| format!("run of {sync} is over"));
                self.sites.remove(&sync);
            }
            Effect::Write(id, mark) => {
                let (store, now) = (self.store.clone(), self.timestamp());
                let written = async move { Event::Written(id, write_down(&store, mark, now).await) };
                self.tasks.push(Task::Going(Box::pin(written)));
            }
            Effect::NeverBegan { run, sync, reason } => {
                let written = self
                    .store
                    .write_blocking(Class::Interactive, self.timestamp(), move |tx| marks::never_began(tx, &run, &sync, reason));
                written.expect("a history row");
            }
            Effect::Wake(at) => self.wake = at,
            Effect::Answer(_, answer) => self.trace.line(|| format!("answer: {answer:?}")),
            // Nobody signs in here but by `logged_in`.
            Effect::Tell(_) | Effect::WatchLogin(_) => {}
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
        let mut future = match self.tasks.swap_remove(at) {
            Task::Done(event) => return self.hear(event),
            Task::Waiting(sync, effect) => {
                self.trace.line(|| format!("{sync}: {}", trace::effect(&effect)));
                let Some(site) = self.sites.get(&sync) else { return };
                let performed = perform(Arc::clone(site), effect, self.timestamp());
                Box::pin(async move { Event::Run(sync, performed.await) }) as Pin<Box<dyn Future<Output = Event>>>
            }
            Task::Going(future) => future,
        };
        let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        self.take_words();
        match polled {
            Poll::Pending => self.tasks.push(Task::Going(future)),
            Poll::Ready(event) => {
                self.listen();
                // Its event may wait a while, in which a crash or a stop may fall.
                if chance.one_in(3) { self.tasks.push(Task::Done(event)) } else { self.hear(event) }
            }
        }
    }

    fn hear(&mut self, event: Event) {
        if self.trace.on() {
            let told = match &event {
                Event::Run(sync, run::Event::Page(Ok(_))) => format!("{sync} -> page"),
                Event::Run(sync, run::Event::Sent(_)) => format!("{sync} -> sent"),
                Event::Run(sync, event) => format!("{sync} -> {event:?}"),
                other => format!("-> {other:?}"),
            };
            self.trace.line(|| told);
        }
        self.tell(event);
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

    pub fn ask_run(&mut self, sync: &str, mode: Option<Mode>, force: bool) {
        let request = RunRequest { sync: sync.into(), mode, force, accept_deletes: false, reset: None, by: None };
        self.ask(Ask::RunSync(request));
    }

    pub fn ask_reset(&mut self, sync: &str, how: How) {
        let request =
            RunRequest { sync: sync.into(), mode: None, force: false, accept_deletes: false, reset: Some(how), by: None };
        self.ask(Ask::RunSync(request));
    }

    pub fn ask_rebuild(&mut self) {
        self.ask(Ask::Rebuild { collection: COLLECTION.into() });
    }

    pub fn ask_stop(&mut self) {
        self.ask(Ask::Stop { by: Some("tester".into()), lease: None });
    }

    pub fn ask_restart(&mut self, resync_stopped: bool) {
        self.ask(Ask::Restart { resync_stopped, lease: None });
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
        self.commit(move |tx| store::apply(tx, &prepared))
    }

    /// Something is written in the store, and the engine hears of it.
    pub fn commit<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, ask::Refusal> {
        let done = self.store.write_blocking(Class::Interactive, self.timestamp(), work).map_err(ask::Refusal::from);
        self.listen();
        done
    }

    /// The configuration has another address for a sync, and the daemon starts anew with it.
    pub fn points_at(&mut self, sync: &str, service: usize) {
        let Some(edited) = self.setup.syncs.iter_mut().find(|one| one.name == sync) else { return };
        edited.service = service;
        let edited = edited.clone();
        self.syncs.insert(Name::from(sync), known(&self.setup, &edited, &self.services));
        self.crash();
    }

    /// The configuration has a sync make other records at its service, and the daemon starts anew with it.
    pub fn makes(&mut self, sync: &str, creates: Creates) {
        let Some(edited) = self.setup.syncs.iter_mut().find(|one| one.name == sync) else { return };
        edited.creates = creates;
        let known = |sync: &SyncSetup| (Name::from(sync.name), known(&self.setup, sync, &self.services));
        self.syncs = self.setup.syncs.iter().map(known).collect();
        self.crash();
    }

    /// The configuration has another filter for a sync, and the daemon starts anew with it.
    pub fn filters(&mut self, sync: &str, filter: Filter) {
        let Some(edited) = self.setup.syncs.iter_mut().find(|one| one.name == sync) else { return };
        edited.filter = filter;
        let edited = edited.clone();
        self.syncs.insert(Name::from(sync), known(&self.setup, &edited, &self.services));
        self.crash();
    }

    /// Whether the daemon knows a record of a service: has had an answer from there, or has seen it. (Two services that take our ids call a
    /// record the same, and so may an app.)
    pub fn knows(&self, at: usize, remote_id: &str) -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM m_link l JOIN m_replica p USING (replica) WHERE p.remote = ?2 AND l.remote_id = ?1 AND l.base <> 2
                   UNION ALL SELECT 1 FROM m_former f JOIN m_link l USING (link) JOIN m_replica p ON p.replica = l.replica
                   WHERE p.remote = ?2 AND f.remote_id = ?1 AND l.confirmed > 0)";
        let remote = format!("remote{at}");
        self.store.read(|reader| Ok(reader.query_row(sql, [remote_id, &remote], |row| row.get(0))?)).expect("the store reads")
    }

    /// Whether a create is in doubt that any new row may be: until it is found or told as a rejection, the row may stand beside it.
    pub fn looks_for_creates(&self) -> bool {
        let sql = "SELECT EXISTS (SELECT 1 FROM m_link WHERE base = 2 AND sent IS NOT NULL AND remote_id IS NULL)";
        self.store.read(|reader| Ok(reader.query_row(sql, (), |row| row.get(0))?)).expect("the store reads")
    }

    /// Live records whose present state a service is said to have, by no rule or open question of the store's: service, remote id,
    /// properties.
    pub fn confirmed(&self) -> Vec<(usize, String, Props)> {
        let sql = "SELECT p.remote, l.remote_id, r.data FROM m_link l JOIN m_record r ON r.record = l.record
                   JOIN m_replica p ON p.replica = l.replica
                   WHERE l.confirmed >= r.seq AND l.remote_id IS NOT NULL AND r.state = 0
                     AND NOT EXISTS (SELECT 1 FROM m_conflict c WHERE c.record = r.record)
                     AND NOT EXISTS (SELECT 1 FROM m_rejection j WHERE j.link = l.link)";
        let read = self.store.read(|reader| {
            let mut statement = reader.prepare_cached(sql)?;
            let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(rows.collect::<Result<Vec<(String, String, String)>, _>>()?)
        });
        let place = |remote: &str| self.setup.syncs.iter().position(|sync| remote == format!("remote{}", sync.service));
        let told = read.expect("the store reads").into_iter();
        told.filter_map(|(remote, id, data)| Some((place(&remote)?, id, json::parse_object(&data).expect("what was stored"))))
            .collect()
    }

    /// Every live record of the truth: id, seq, properties.
    pub fn truth(&self) -> Vec<(String, u64, Props)> {
        let since = ask::Since {
            seq: 0,
            instance: None,
            scope: ask::Scope::All,
            limit: 1_000,
            bytes: 1 << 20,
            data: true,
            ids: ask::RecordIds::default(),
        };
        let page = self.store.read(|reader| store::changes(reader, &since)).expect("the feed");
        page.changes
            .into_iter()
            .filter_map(|change| Some((change.id, change.seq, json::parse_object(&change.data?).expect("what was stored"))))
            .collect()
    }
}
