//! Owns: the door that the socket knocks at: reads go to the read connections, writes into the writer's queue, questions about runs
//! into the loop's inbox. Must never know: the wire, how anything is decided.

use std::{
    cell::RefCell,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mingle_core::{
    ask::{
        About, Accepted, Attention, Changes, Configured, ConflictRow, Explained, Found, Grants, Halted, Keep, News, Page,
        PendingRow, Plan, Query, Rebuilding, Refusal, RejectionRow, Reloaded, RemoteChecked, RemoteRow, Replayed, Resolution,
        RollBack, RolledBack, Rows, RunRequest, RunRow, RunWaited, Since, Status, SyncRow, SyncState, SyncStatus, Undo, UndoPage,
        Undone, Waited, Which, WhichPending, Why, Write, Writer, Written,
    },
    engine::{Answer, Ask, AskId, BoardCopy, Event, SyncShown},
    policy::Merge,
    schedule::Watch,
    time::Timestamp,
};
use tokio::sync::{mpsc, mpsc::error::TrySendError, oneshot, watch};

pub use self::setup::Setup;
pub use self::works::away;
use self::{described::told, notices::Notices, waits::Forget};
use crate::{
    clock,
    config::Config,
    ipc::{
        door::{Door, Later, Moment},
        news::Newsroom,
    },
    remotes::Means,
    run::Letter,
    store::{self, Class, Store, StoreError, Tx, gazette, history},
};

mod apps;
mod budgets;
mod described;
mod fresh;
mod gather;
mod logins;
pub mod notices;
mod overdue;
mod past;
mod pending;
mod plan;
mod rebuild;
mod schedules;
mod sessions;
mod setup;
mod shown;
mod waits;
mod wanted;
mod works;

/// Everything the socket may ask for. Clones are the same house.
#[derive(Clone)]
pub struct House(Arc<Rooms>);

/// What the house has.
struct Rooms {
    store: Store,
    inbox: mpsc::Sender<Letter>,
    board: watch::Receiver<Arc<BoardCopy>>,
    news: Arc<Newsroom>,
    setup: watch::Receiver<Arc<Setup>>,
    granted: watch::Sender<u64>,
    means: Means,
    began: Timestamp,
    asks: AtomicU64,
    /// The newest conflict and rejection that were told as news.
    told: Mutex<(i64, i64)>,
    notices: Notices,
    watch: Mutex<Watch>,
    gatherings: gather::Gatherings,
    wanted: Arc<wanted::Wanted>,
    /// Held by whoever makes a plan: there is one copy of the store at a time.
    planning: Arc<tokio::sync::Mutex<()>>,
    logins: logins::Logins,
}

impl House {
    /// Over a store and a loop.
    #[must_use]
    pub fn new(
        store: Store,
        inbox: mpsc::Sender<Letter>,
        board: watch::Receiver<Arc<BoardCopy>>,
        news: Arc<Newsroom>,
        setup: watch::Receiver<Arc<Setup>>,
        means: Means,
    ) -> Self {
        let told = store.read(|reader| gazette::newest(reader)).unwrap_or_default();
        Self(Arc::new(Rooms {
            store,
            inbox,
            board,
            notices: Notices::new(Arc::clone(&news)),
            watch: Mutex::default(),
            news,
            setup,
            granted: watch::Sender::new(0),
            means,
            began: clock::now(),
            asks: AtomicU64::new(1),
            told: Mutex::new(told),
            gatherings: gather::Gatherings::default(),
            wanted: Arc::default(),
            planning: Arc::default(),
            logins: logins::Logins::default(),
        }))
    }

    /// What a person should know and no sync tells.
    #[must_use]
    pub fn notices(&self) -> &Notices {
        &self.0.notices
    }

    fn setup(&self) -> Arc<Setup> {
        self.0.setup.borrow().clone()
    }

    fn config(&self) -> Arc<Config> {
        self.0.setup.borrow().config.clone()
    }

    fn read<T>(&self, work: impl Fn(&store::Reader<'_>) -> Result<T, StoreError>) -> Result<T, Refusal> {
        self.0.store.read(work).map_err(|error| {
            if !matches!(error, StoreError::Refused(_)) {
                tracing::warn!(%error, "a read failed");
            }
            error.of_a_read()
        })
    }

    fn decide<T, F>(&self, work: F) -> Later<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        told(self.0.store.write(Class::Interactive, clock::now(), work))
    }

    fn ask(&self, ask: Ask) -> Later<Answer> {
        let id: AskId = self.0.asks.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let inbox = self.0.inbox.clone();
        let going = || Refusal::Stopped("mingled is going down".into(), None);
        let forgets = matches!(ask, Ask::WaitRun { .. });
        Box::pin(async move {
            inbox.send(Letter::Ask(id, ask, sender)).await.map_err(|_| going())?;
            let _forget = forgets.then(|| Forget { id, inbox: inbox.clone() });
            answer.await.map_err(|_| going())?
        })
    }

    /// Asks, and takes the answer that belongs to the question; any other is a fault of ours.
    fn asked<T: Send + 'static>(&self, ask: Ask, wanted: fn(Answer) -> Result<T, Answer>) -> Later<T> {
        let answer = self.ask(ask);
        Box::pin(async move { wanted(answer.await?).map_err(|other| Refusal::Internal(format!("{other:?}"))) })
    }

    /// Sends a letter that is no question of the engine's, and waits for what is said to it.
    fn answered<T: Send + 'static>(&self, letter: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Letter) -> Later<T> {
        let inbox = self.0.inbox.clone();
        let (sender, answer) = oneshot::channel();
        let letter = letter(sender);
        Box::pin(async move {
            let going = || Refusal::Stopped("mingled is going down".into(), None);
            inbox.send(letter).await.map_err(|_| going())?;
            answer.await.map_err(|_| going())?
        })
    }

    fn halted(&self, ask: Ask) -> Later<Halted> {
        self.asked(ask, |answer| if let Answer::Halted(halted) = answer { Ok(halted) } else { Err(answer) })
    }

    fn state(&self, ask: Ask) -> Later<SyncState> {
        self.asked(ask, |answer| if let Answer::State(state) = answer { Ok(state) } else { Err(answer) })
    }

    /// The configuration in force is another one: apps may be granted other things.
    pub fn granted_anew(&self) {
        self.0.granted.send_modify(|number| *number += 1);
    }

    /// Publishes conflicts and rejections that came up since the last time.
    pub fn tell_decisions(&self) {
        let mut told = self.0.told.lock().unwrap_or_else(PoisonError::into_inner);
        let found = self.0.store.read(|reader| gazette::after(reader, *told, &|sync| self.collection_of_sync(sync)));
        match found {
            Ok((news, newest)) => {
                *told = newest;
                let at = clock::now();
                for event in news {
                    self.0.news.publish(News { at, event });
                }
            }
            Err(error) => tracing::warn!(%error, "new conflicts could not be told"),
        }
    }

    fn sync_status(&self, shown: SyncShown, now: Timestamp, attention: &mut Vec<Attention>) -> Result<SyncStatus, Refusal> {
        let name = shown.sync.to_string();
        let counts = self.counts(&name)?;
        let last: Option<RunRow> = self.read(|reader| history::last_run(reader, &name))?;
        described::attention(&shown, counts, self.config().syncs.get(&name), now, attention);
        Ok(SyncStatus {
            sync: name,
            state: shown.state,
            hold: shown.holds.into_iter().next(),
            next: shown.next,
            fresh: shown.fresh,
            demand: shown.demand,
            last,
            run: shown.run,
            pending: counts.pending,
            conflicts: counts.conflicts,
            rejections: counts.rejections,
        })
    }
}

impl Door for House {
    fn now(&self) -> Timestamp {
        clock::now()
    }

    fn instance(&self) -> String {
        self.0.store.instance().to_string()
    }

    fn build(&self) -> String {
        env!("CARGO_PKG_VERSION").into()
    }

    fn head(&self) -> watch::Receiver<u64> {
        self.0.store.head()
    }

    fn moment(&self) -> Moment {
        self.0.store.moment()
    }

    fn news(&self) -> &Newsroom {
        &self.0.news
    }

    fn grants(&self, app: &str) -> Grants {
        self.config().grants(app)
    }

    fn granted(&self) -> watch::Receiver<u64> {
        self.0.granted.subscribe()
    }

    fn read_together(&self, work: &mut dyn FnMut()) {
        self.0.store.read_together(work);
    }

    fn get(&self, collection: &str, id: &str) -> Result<Found, Refusal> {
        self.reads(collection);
        self.read(|reader| store::get(reader, collection, id))
    }

    fn list(&self, query: &Query, rows: &mut dyn Rows) -> Result<Option<String>, Refusal> {
        self.reads(&query.collection);
        let rows = RefCell::new(rows);
        self.read(|reader| store::list(reader, query, &mut **rows.borrow_mut()))
    }

    fn changes(&self, since: &Since) -> Result<Changes, Refusal> {
        self.read(|reader| store::changes(reader, since))
    }

    fn follow(&self, since: &Since) -> Result<Changes, Refusal> {
        self.0.store.latest(since).map_or_else(|| self.changes(since), Ok)
    }

    fn conflicts(&self, which: &Which) -> Result<Page<ConflictRow>, Refusal> {
        self.read(|reader| history::conflicts(reader, which))
    }

    fn rejections(&self, which: &Which) -> Result<Page<RejectionRow>, Refusal> {
        self.read(|reader| history::rejections(reader, which, &|sync| self.collection_of_sync(sync)))
    }

    fn pending(&self, which: &WhichPending) -> Result<Page<PendingRow>, Refusal> {
        self.pending_rows(which)
    }

    fn why(&self, collection: &str, id: &str, property: Option<&str>) -> Result<Why, Refusal> {
        self.read(|reader| store::why(reader, collection, id, property))
    }

    fn history(&self, sync: Option<&str>, limit: usize, cursor: Option<&str>) -> Result<Page<RunRow>, Refusal> {
        if let Some(sync) = sync
            && !self.config().syncs.contains_key(sync)
        {
            return Err(described::no_sync(sync, &self.config()));
        }
        self.read(|reader| history::runs(reader, sync, limit, cursor))
    }

    fn collection_of(&self, about: About<'_>) -> Result<String, Refusal> {
        self.read(|reader| history::collection_of(reader, about, &|sync| self.collection_of_sync(sync)))
    }

    fn status(&self) -> Result<Status, Refusal> {
        let now = clock::now();
        let board = self.0.board.borrow().clone();
        let seen = board.shown(now);
        self.tell_overdue(now, board.state.0, &seen);
        let mut attention = self.0.notices.all();
        described::disk(self.0.store.trouble().borrow().as_ref(), now, &mut attention);
        let setup = self.config();
        let (state, since, by) = board.state.clone();
        let lease = board.leased;
        let mut syncs = Vec::new();
        for shown in seen {
            syncs.push(self.sync_status(shown, now, &mut attention)?);
        }
        let (store_bytes, wal_bytes) = self.0.store.sizes();
        let config = Configured {
            path: setup.looked.first().map(|path| path.display().to_string()).unwrap_or_default(),
            found: !setup.files.is_empty(),
            looked: setup.looked.iter().map(|path| path.display().to_string()).collect(),
        };
        let uptime = now.since(self.0.began);
        let conditions = board.conditions.clone();
        Ok(Status { state, since, by, lease, store_bytes, wal_bytes, uptime, conditions, syncs, attention, config: Some(config) })
    }

    fn explain(&self, sync: &str) -> Result<Explained, Refusal> {
        let board = self.0.board.borrow().clone();
        let shown = board.one(sync, clock::now()).ok_or_else(|| described::no_sync(sync, &self.config()))?;
        let last = self.read(|reader| history::runs(reader, Some(sync), 3, None))?.rows;
        let SyncShown { state, holds, next, fresh, demand, text, .. } = shown;
        Ok(Explained { sync: sync.into(), state, holds, next, fresh, demand, last, text })
    }

    fn syncs(&self) -> Result<Vec<SyncRow>, Refusal> {
        let board = self.0.board.borrow().clone();
        let config = self.config();
        Ok(board.shown(clock::now()).into_iter().map(|shown| described::sync(shown, &config)).collect())
    }

    fn remotes(&self) -> Result<Vec<RemoteRow>, Refusal> {
        let config = self.config();
        Ok(config.remotes.iter().map(|(name, settings)| described::remote(name, settings, &self.0.means.config_dir)).collect())
    }

    fn write(&self, writer: Writer, writes: Vec<Write>) -> Later<Written> {
        match store::prepare(writer, writes) {
            Ok(prepared) if prepared.is_small() => {
                told(self.0.store.write_small(clock::now(), move |tx| store::apply(tx, &prepared)))
            }
            Ok(prepared) => self.decide(move |tx| store::apply(tx, &prepared)),
            Err(refusal) => Box::pin(async move { Err(refusal) }),
        }
    }

    fn resolve_conflict(&self, writer: Writer, conflict: String, if_seq: Option<u64>, keep: Keep) -> Later<Written> {
        self.decide(move |tx| store::resolve_conflict(tx, &writer, &conflict, if_seq, &keep))
    }

    fn resolve_rejection(&self, writer: Writer, rejection: String, with: Resolution) -> Later<Written> {
        let sync = self.read(|reader| gazette::sync_of(reader, &rejection)).ok().flatten();
        let written = self.decide(move |tx| store::resolve_rejection(tx, &writer, &rejection, with));
        // What is to be tried again, or anew, is due now.
        let due = matches!(with, Resolution::Retry | Resolution::Recreate).then_some(sync).flatten();
        let inbox = self.0.inbox.clone();
        let id = self.0.asks.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let written = written.await?;
            if let Some(sync) = due {
                let (sender, _) = oneshot::channel();
                let _ = inbox.try_send(Letter::Ask(id, Ask::RunSync(RunRequest::of(sync)), sender));
            }
            Ok(written)
        })
    }

    fn upload(&self, app: String, collection: String, ids: Option<Vec<String>>) -> Later<u64> {
        self.let_go(app, collection, ids)
    }

    fn roll_back(&self, writer: Writer, asked: RollBack) -> Later<RolledBack> {
        self.taken_back(writer, asked)
    }

    fn forget(&self, writer: Writer, asked: mingle_core::ask::Forget) -> Later<Written> {
        self.forgotten(writer, asked)
    }

    fn conflicts_under(&self, which: Which, rule: Merge) -> Later<Replayed> {
        self.conflicts_aside(which, rule)
    }

    fn undo_preview(&self, undo: Undo) -> Later<UndoPage> {
        self.would_undo(undo)
    }

    fn undo(&self, writer: Writer, undo: Undo) -> Later<Undone> {
        self.take_back(writer, undo)
    }

    fn wait_write(&self, token: String, timeout: Duration) -> Later<Waited> {
        self.until_settled(token, timeout)
    }

    fn wait_run(&self, run: String, timeout: Duration) -> Later<RunWaited> {
        self.until_ended(run, timeout)
    }

    fn run_sync(&self, request: RunRequest) -> Later<Accepted> {
        self.asked(Ask::RunSync(request), |answer| if let Answer::Accepted(run) = answer { Ok(run) } else { Err(answer) })
    }

    fn plan(&self, request: RunRequest, most: usize) -> Later<Plan> {
        self.planned(request, most)
    }

    fn rebuild(&self, collection: String, preview: bool, by: Option<String>) -> Later<Rebuilding> {
        self.rebuilt(collection, preview, by)
    }

    fn stop(&self, by: Option<String>, lease: Option<u64>) -> Later<Halted> {
        self.halted(Ask::Stop { by, lease })
    }

    fn release(&self, lease: u64) {
        let letter = Letter::Event(Event::Released(lease));
        // At once, so that whatever is asked after the connection is gone finds the lease gone too.
        if let Err(TrySendError::Full(letter)) = self.0.inbox.try_send(letter) {
            let inbox = self.0.inbox.clone();
            tokio::spawn(async move {
                let _ = inbox.send(letter).await;
            });
        }
    }

    fn restart(&self, _by: Option<String>, resync_stopped: bool, lease: Option<u64>) -> Later<Halted> {
        self.halted(Ask::Restart { resync_stopped, lease })
    }

    fn pause(&self, sync: String, by: Option<String>) -> Later<SyncState> {
        self.state(Ask::Pause { sync, by })
    }

    fn resume(&self, sync: String, _by: Option<String>) -> Later<SyncState> {
        self.state(Ask::Resume { sync })
    }

    fn cancel_sync(&self, sync: String, by: Option<String>) -> Later<Vec<String>> {
        self.asked(Ask::Cancel { sync, by }, |answer| if let Answer::Cancelled(runs) = answer { Ok(runs) } else { Err(answer) })
    }

    fn reload(&self, by: Option<String>) -> Later<Reloaded> {
        tracing::info!(by = by.as_deref().unwrap_or("an unnamed app"), "asked to read the configuration again");
        self.answered(|sender| Letter::Reload(Some(sender)))
    }

    fn shutdown(&self, by: Option<String>) -> Later<()> {
        let inbox = self.0.inbox.clone();
        Box::pin(async move {
            tracing::info!(by = by.as_deref().unwrap_or("an unnamed app"), "asked to shut down");
            inbox.send(Letter::Shutdown).await.map_err(|_| Refusal::Stopped("mingled is going down".into(), None))
        })
    }

    fn check_remote(&self, remote: String) -> Later<RemoteChecked> {
        self.checked(remote)
    }
}
