//! Owns: the loop: one inbox, one engine, effects started, and the order of start and stop. Must never know: policy; how anything is done.

use std::{
    collections::{BTreeMap, HashMap},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use mingle_core::{
    ask::{News, Redefine, Redefined, Refusal, Reloaded},
    engine::{Answer, Ask, AskId, BoardCopy, Effect, Engine, Event},
    limits, run,
    schedule::{Name, StopReason},
};
use tokio::{
    runtime::Handle,
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use self::{diary::Diary, reloading::Reloads, weather::Weather};
use crate::{
    alarm::Alarm,
    boot::{self, Known},
    clock,
    conditions::Watched,
    config::{Config, Synchronous},
    house::{House, Setup},
    ipc::{
        Access, Purpose,
        listen::Socket,
        news::Newsroom,
        server::{Server, Settings},
    },
    keeper,
    known::BuiltIn,
    login, logs, notify,
    perform::{Site, perform, write_down},
    reload::Prepared,
    remotes::{self, Means, http, marks_key},
    signals::Signal,
    start::Started,
    store::{Class, Options, Store, Upgraded, Upgrading, marks, rehearsal},
};

mod diary;
mod listening;
mod looks;
mod offers;
pub(crate) mod pace;
mod reloading;
mod showing;
mod spending;
mod status;
mod threads;
mod weather;
mod zones;

/// What comes into the loop.
pub enum Letter {
    /// Something happened.
    Event(Event),
    /// An app asks, and waits for the answer.
    Ask(AskId, Ask, oneshot::Sender<Result<Answer, Refusal>>),
    /// The configuration shall be read again; who asked hears what came of it.
    Reload(Option<ReloadAsked>),
    /// Whose logins those of remotes are shall be looked at again; who asked hears what came of it.
    Accounts(Option<ReloadAsked>),
    /// An app changes the syncs that apps define.
    Redefine(Redefine, RedefineAsked),
    /// It was read.
    Reloaded(Box<Result<Prepared, Refusal>>),
    /// Other apps offer to do work.
    Offers,
    /// A time zone is another, or its rules are.
    Zones,
    /// Whether the loop lives: it answers.
    Lives(oneshot::Sender<()>),
    /// The daemon shall end.
    Shutdown,
    /// Write the board into the log.
    Dump,
}

/// Where the answer to an app that defines a sync goes.
pub type RedefineAsked = oneshot::Sender<Result<Redefined, Refusal>>;

/// Where the answer to a reload goes.
pub type ReloadAsked = oneshot::Sender<Result<Reloaded, Refusal>>;

/// Runs the daemon until it is told to end.
///
/// # Errors
/// When the store or the socket cannot be opened, or the store cannot be closed in good order.
pub fn main(started: Started, signals: mpsc::Receiver<Signal>) -> anyhow::Result<()> {
    // The store is opened before there is a runtime: its first steps block, and nobody waits yet.
    let opened = open(&started)?;
    let runtime = threads::near().context("failed to start the runtime")?;
    let far = threads::far().context("failed to start the runtime of runs")?;
    let store = opened.store.clone();
    let done = runtime.block_on(serve(&started, opened, signals, far.handle()));
    // What waits for the ends of programs goes with the runtimes.
    remotes::exec::program::kill_all();
    // A task that hangs in a blocking call must not hold the end up.
    runtime.shutdown_timeout(Duration::from_millis(limits::CLOSING_MS_MAX));
    far.shutdown_background();
    let closed = store.close().context("failed to close the store");
    drop(started.lock);
    done.and(closed)
}

/// The store, and what stands on it before anything runs.
struct Opened {
    store: Store,
    moved_aside: Option<PathBuf>,
    /// With what apps defined.
    config: Config,
    left_out: Vec<(String, String)>,
    means: Means,
    syncs: BTreeMap<Name, Known>,
    engine: Engine,
}

fn open(started: &Started) -> anyhow::Result<Opened> {
    let now = clock::now();
    let full_sync = started.config.store.synchronous == Synchronous::Full;
    let options = Options { full_sync, ..Options::default() };
    if let Err(error) = rehearsal::sweep(&started.store_file) {
        tracing::warn!(%error, "what a plan left behind is still there");
    }
    let opened = Store::open_telling(&started.store_file, options, now, upgrading).context("failed to open the store")?;
    let store = opened.store;
    if let Some(aside) = &opened.moved_aside {
        tracing::error!(kept = %aside.display(), "the store was damaged: it is kept, and may hold writes that were never sent; a new one is begun");
    }
    if let Some(Upgraded { from, to, kept: Some(kept) }) = &opened.upgraded {
        tracing::warn!(from, to, kept = %kept.display(), "the store was brought to a newer schema; as it was before, it is kept");
    }
    if let Some(why) = &opened.renewed {
        tracing::info!(?why, "the store is a new instance: apps read anew");
    }
    let known = BuiltIn { config_dir: started.paths.config.clone() };
    let (config, left_out) =
        boot::with_defined(&store, &started.config, &started.paths.config, &known).context("failed to read what apps defined")?;
    boot::define(&store, &config, now).context("failed to define the collections")?;
    let marks = marks_key::of(&started.paths.marks_file()).inspect_err(|error| {
        let file = started.paths.marks_file();
        tracing::warn!(%error, file = %file.display(), "no key for answers of services: none is kept, and all is asked in full");
    });
    let http = http::Client::new(http::Patience::default()).context("failed to make the HTTP client")?.knowing(marks.ok());
    spending::remember(&store, &http.budgets).context("failed to read what is known of budgets")?;
    let means = boot::means(http, &started.paths.config, started.paths.logins(), Some(&started.paths.socket));
    let syncs = boot::syncs(&config, &means);
    let (_, seed) = clock::new_id().as_u64_pair();
    let engine = boot::engine(&store, &syncs, clock::host(), seed, now).context("failed to read what the store remembers")?;
    Ok(Opened { store, moved_aside: opened.moved_aside, config, left_out, means, syncs, engine })
}

/// So much longer than until now a start may take, each time an upgrade moves on.
const MORE_TIME: Duration = Duration::from_secs(60);

fn upgrading(what: Upgrading) {
    match what {
        Upgrading::Began(from, to) => {
            tracing::warn!(from, to, "the store is of an older mingle: it is copied first, then brought to a newer schema");
            notify::status("bringing the store to a newer schema");
        }
        Upgrading::Statement(number) => tracing::info!(number, "the upgrade takes its next step"),
        Upgrading::GoesOn | Upgrading::Copied | Upgrading::Done | Upgrading::Kept | Upgrading::Committed => {}
    }
    notify::starting_still(MORE_TIME);
}

async fn serve(started: &Started, opened: Opened, mut signals: mpsc::Receiver<Signal>, far: &Handle) -> anyhow::Result<()> {
    let Opened { store, moved_aside, config, left_out, means, syncs, mut engine } = opened;
    let (inbox, letters) = mpsc::channel(limits::LETTERS_MAX);
    let (board, shown) = watch::channel(Arc::new(engine.copy()));
    let news = Arc::new(Newsroom::new());
    let config = Arc::new(config);
    let (setup, in_force) = watch::channel(Arc::new(Setup::new(0, Arc::clone(&config), &means)));
    let house = House::new(store.clone(), inbox.clone(), shown, Arc::clone(&news), in_force, means.clone());
    if let Some(aside) = moved_aside {
        let hint = format!("the damaged store is kept as {}; it may hold writes that were never sent", aside.display());
        house.notices().stands("store_damaged", "store", hint);
    }
    let (alarm, bells) = Alarm::new();
    let (rested, rests) = watch::channel(false);
    let conditions = Watched::new(started.config.conditions);
    let watching = conditions.keep(started.store_file.clone(), alarm.beat(), rests);
    let mut office = Office {
        engine,
        syncs,
        config,
        setup,
        reloads: Reloads::default(),
        diary: Diary::default(),
        means,
        store: store.clone(),
        sites: BTreeMap::new(),
        answers: HashMap::new(),
        ready: Vec::new(),
        board,
        news,
        house: house.clone(),
        alarm,
        weather: Weather { watched: conditions.clone(), disk: store.trouble() },
        rested,
        tasks: JoinSet::new(),
        far: far.clone(),
        inbox: inbox.clone(),
    };
    match boot::orphaned(&office.store, &office.syncs) {
        Ok(orphaned) => office.tell_orphaned(&orphaned),
        Err(error) => tracing::warn!(%error, "whether syncs that are gone left changes behind is not known"),
    }
    office.tell_left_out(&left_out);
    office.house.ends_sessions();
    office.listen_for_what_is_sent();
    office.ring_for_crons();
    let (spent, purse) = (store.clone(), Arc::clone(&office.means.http.budgets));
    let counting = tokio::spawn(async move { spending::keep(&spent, &purse).await });
    let showing = showing::keep(started.session_bus.clone(), house.clone(), store.clone(), office.alarm.beat());
    let keeping = tokio::spawn(keeper::keep(store.clone(), house.clone(), started.store_file.clone(), inbox.clone()));
    let listening = tokio::spawn(listening::to_commits(store.commits(), inbox.clone()));
    let following = tokio::spawn(listening::to_followers(house.followed(), inbox.clone()));
    let ringing = tokio::spawn(listening::to_bells(bells, inbox.clone()));
    let offering = tokio::spawn(listening::to_offers(office.means.workers.offers(), inbox.clone()));
    let logging_in = tokio::spawn(listening::to_logins(Arc::clone(&office.means.logins), inbox.clone()));
    let socket = match &started.inherited.apps {
        Some(fd) => Socket::inherited(fd.try_clone().context("failed to take the socket over")?, Access::Owner)
            .context("failed to take the socket over")?,
        None => Socket::bind(&started.paths.socket).map_err(|error| anyhow::anyhow!("{error}; {}", error.hint()))?,
    };
    // Before anybody can connect: who was answered on one finds the other.
    let status = status::socket(started, &house);
    let server = Server::start(socket, Arc::new(house.clone()), Settings::of(Purpose::Apps));
    let status = status.map(|socket| server.beside(socket, Arc::new(house.clone()), Settings::of(Purpose::Status)));
    let lookouts = [Some(&server), status.as_ref()].into_iter().flatten().map(Server::lookout).collect();
    let looking = looks::after(office.alarm.beat(), store.clone(), lookouts, house.clone());
    // Whatever goes by the beat is one task: for a second one the runtime would wake a second thread, each time.
    let looking = tokio::spawn(async move {
        let ((), (), ()) = tokio::join!(watching, showing, looking);
    });
    tracing::info!(socket = %started.paths.socket.display(), store = %started.store_file.display(), syncs = office.syncs.len(), "started");
    notify::ready();
    notify::status(&format!("{} syncs", office.syncs.len()));
    let (told, insisted) = (inbox.clone(), CancellationToken::new());
    let insists = insisted.clone();
    let signalled = tokio::spawn(async move {
        while let Some(signal) = signals.recv().await {
            if signal == Signal::StopNow {
                // Beside the letter: once the loop has ended, nobody reads letters any more.
                insists.cancel();
            }
            let letter = match signal {
                Signal::Dump => Letter::Dump,
                Signal::Reload => Letter::Reload(None),
                Signal::Stop | Signal::StopNow => Letter::Shutdown,
                Signal::Louder => {
                    logs::louder();
                    continue;
                }
            };
            let _ = told.send(letter).await;
        }
    });
    let patience = Duration::from_millis(limits::CONDITIONS_MS_MAX);
    if tokio::time::timeout(patience, conditions.told()).await.is_err() {
        tracing::info!("the system is slow to tell its conditions: what it did not say counts as unknown till then");
    }
    let told = office.weather.now();
    office.knows_offers();
    office.handle(Event::Conditions(told.clone()));
    let weather = tokio::spawn(office.weather.clone().tell(told, inbox.clone()));
    office.work(letters).await;
    notify::stopping();
    server.stop_accepting();
    status.iter().for_each(Server::stop_accepting);
    office.leave(&insisted).await;
    // A renewal that is cut off may cost the login: the service has given another token, and nobody has it.
    let rested = tokio::time::timeout(limits::RENEWAL_END_MAX, office.means.logins.rest());
    if !matches!(insisted.run_until_cancelled(rested).await, Some(Ok(()))) {
        tracing::warn!("the renewal of a login is cut off: its remotes may need a login now");
    }
    spending::write(&office.store, &office.means.http.budgets).await;
    let close_status = async {
        if let Some(status) = status {
            status.close(&insisted).await;
        }
    };
    let close_workers = insisted.run_until_cancelled(office.means.workers.close());
    tokio::join!(server.close(&insisted), close_status, close_workers);
    for task in [counting, listening, following, offering, logging_in, ringing, signalled, keeping, looking, weather] {
        #[expect(clippy::disallowed_methods, reason = "these only listen: they hold no work")]
        task.abort();
    }
    Ok(())
}

/// Where an answer goes.
type Waiting = oneshot::Sender<Result<Answer, Refusal>>;

/// The loop's own things.
struct Office {
    engine: Engine,
    syncs: BTreeMap<Name, Known>,
    /// In force.
    config: Arc<Config>,
    setup: watch::Sender<Arc<Setup>>,
    reloads: Reloads,
    diary: Diary,
    means: Means,
    store: Store,
    sites: BTreeMap<Name, Arc<Site>>,
    answers: HashMap<AskId, Waiting>,
    /// Answers that leave once the board shows what they say.
    ready: Vec<(Waiting, Result<Answer, Refusal>)>,
    board: watch::Sender<Arc<BoardCopy>>,
    news: Arc<Newsroom>,
    house: House,
    alarm: Alarm,
    weather: Weather,
    /// Nothing runs while the machine is about to sleep.
    rested: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// Where runs go.
    far: Handle,
    inbox: mpsc::Sender<Letter>,
}

impl Office {
    async fn work(&mut self, mut letters: mpsc::Receiver<Letter>) {
        self.handle(Event::Look);
        // Where everything waits, no letter comes that would show it.
        self.board.send_replace(Arc::new(self.engine.copy()));
        let mut ending = false;
        loop {
            if ending && self.engine.quiet() && self.tasks.is_empty() {
                return;
            }
            let letter = tokio::select! {
                letter = letters.recv() => letter,
                Some(_) = self.tasks.join_next() => continue,
            };
            let Some(letter) = letter else { return };
            match letter {
                Letter::Event(event) => self.handle(event),
                Letter::Ask(id, ask, answer) => {
                    self.answers.insert(id, answer);
                    self.handle(Event::Ask(id, ask));
                }
                Letter::Dump => self.dump(letters.len()),
                Letter::Reload(asked) => self.reload(asked),
                Letter::Accounts(asked) => self.accounts(asked),
                Letter::Redefine(change, asked) => self.redefine(change, asked),
                Letter::Reloaded(prepared) => self.reloaded(*prepared),
                Letter::Offers => self.offers_changed(),
                Letter::Zones => self.zones_changed(),
                Letter::Lives(asked) => {
                    // What was due and overlooked begins now, at the latest.
                    self.handle(Event::Look);
                    // Whoever asked may be gone.
                    let _ = asked.send(());
                }
                Letter::Shutdown if ending => {
                    // Asked twice: what is under way is dropped after its transaction; what was sent stays in doubt, and is looked up.
                    tracing::info!("asked again: ending now");
                    return;
                }
                Letter::Shutdown => {
                    ending = true;
                    self.handle(Event::Shutdown);
                }
            }
            // Copied once there is nothing more to handle, so that a burst of events costs one copy; and before an answer, so
            // that who was answered sees what it says.
            if letters.is_empty() || !self.ready.is_empty() {
                self.board.send_replace(Arc::new(self.engine.copy()));
            }
            let rested = self.engine.rested();
            self.rested.send_if_modified(|before| std::mem::replace(before, rested) != rested);
            for (waiting, answer) in self.ready.drain(..) {
                // Whoever asked may be gone.
                let _ = waiting.send(answer);
            }
        }
    }

    /// Waits for what is still under way: each task ends by itself, at its next transaction's end at the latest. Not where somebody
    /// insists: what was sent stays in doubt, and is looked up.
    async fn leave(&mut self, insisted: &CancellationToken) {
        for site in self.sites.values() {
            site.hurry();
        }
        let deadline = Duration::from_millis(limits::CLOSING_MS_MAX);
        let ended = tokio::time::timeout(deadline, async { while self.tasks.join_next().await.is_some() {} });
        if !matches!(insisted.run_until_cancelled(ended).await, Some(Ok(()))) {
            tracing::warn!("parts of runs took too long to end, and are dropped");
        }
        self.board.send_replace(Arc::new(self.engine.copy()));
    }

    fn handle(&mut self, event: Event) {
        let gazette = matches!(
            &event,
            Event::Run(_, run::Event::Applied(run::Applied { conflicts, rejected, .. })) if conflicts + rejected > 0
        ) || matches!(
            &event,
            Event::Run(_, run::Event::Settled(run::Settled { conflicts, rejected, .. })) if conflicts + rejected > 0
        ) || matches!(&event, Event::Run(_, run::Event::Ghosts { guarded, .. }) if *guarded > 0);
        if gazette {
            self.house.tell_decisions();
        }
        let mut effects = Vec::new();
        let now = clock::now();
        self.engine.handle(now, event, &mut effects);
        self.log_ends(now, &effects);
        // Who hears an answer may ask for the status next, and must find it there.
        if effects.iter().any(|effect| matches!(effect, Effect::Answer(..))) {
            self.board.send_replace(Arc::new(self.engine.copy()));
        }
        for effect in effects {
            self.start(effect);
        }
    }

    fn start(&mut self, effect: Effect) {
        match effect {
            Effect::Begin { sync, order } => {
                let Some(known) = self.syncs.get(&sync) else { return };
                self.diary.begins(&sync, &order);
                let store = self.store.clone();
                let site = Site::new(store.clone(), Arc::clone(&known.spec), order, Arc::clone(&known.opener), pace::of(store));
                self.sites.insert(sync, Arc::new(site));
            }
            Effect::Run(sync, run::Effect::Hurry) => {
                if let Some(site) = self.sites.get(&sync) {
                    site.hurry();
                }
            }
            Effect::Run(sync, effect) => {
                let Some(site) = self.sites.get(&sync).cloned() else { return };
                if let run::Effect::Finish(outcome) = &effect {
                    self.diary.counted(&sync, outcome.counts);
                }
                let inbox = self.inbox.clone();
                let step = async move {
                    let event = perform(site, effect, clock::now()).await;
                    let _ = inbox.send(Letter::Event(Event::Run(sync, event))).await;
                };
                self.tasks.spawn_on(step, &self.far);
            }
            Effect::Over(sync) => {
                self.sites.remove(&sync);
            }
            Effect::Write(id, mark) => {
                let (written, inbox) = (write_down(&self.store, mark, clock::now()), self.inbox.clone());
                self.tasks.spawn(async move {
                    let written = written.await;
                    let _ = inbox.send(Letter::Event(Event::Written(id, written))).await;
                });
            }
            Effect::WatchLogin(remote) => {
                let Some(settings) = self.config.remotes.get(&*remote).cloned() else { return };
                let (means, board, inbox) = (self.means.clone(), self.board.subscribe(), self.inbox.clone());
                tokio::spawn(login::watch(remote, settings, means, board, inbox));
            }
            Effect::NeverBegan { run, sync, reason } => self.never_began(run, sync, reason),
            Effect::Answer(id, answer) => {
                if let Some(waiting) = self.answers.remove(&id) {
                    self.ready.push((waiting, answer));
                }
            }
            Effect::Tell(event) => self.news.publish(News { at: clock::now(), event }),
            Effect::Wake(at) => self.alarm.wake_at(at),
        }
    }

    fn never_began(&mut self, run: String, sync: String, reason: Option<StopReason>) {
        tracing::info!(sync, run, reason = reason.map(StopReason::name), "a run that was asked for never began");
        let written = self.store.write(Class::Interactive, clock::now(), move |tx| marks::never_began(tx, &run, &sync, reason));
        self.tasks.spawn(async move {
            if let Err(error) = written.await {
                tracing::warn!(%error, "the history row of a run that never began was not written");
            }
        });
    }

    /// Commits to collections that no sync sends wake nobody.
    fn listen_for_what_is_sent(&self) {
        let sent = self.config.syncs.values().filter(|sync| sync.direction.is_up()).map(|sync| sync.collection.clone());
        self.store.commits().listen_for(sent.collect());
    }
}
