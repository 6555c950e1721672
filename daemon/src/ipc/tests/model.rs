//! Owns: a door to nothing: records in memory, and answers that tests let out when they want to. Must never know: the wire.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mingle_core::{
    ask::{
        Ability, About, Accepted, Begin, Begun, Change, ChangeKind, Changes, Closed, ConflictRow, DaemonState, Explained, Forget,
        Found, Grant, Grants, Halted, Join, Joined, Keep, Left, LostOne, Mingled, Page, PendingRow, Plan, PlannedChange,
        PlannedRequest, Pulled, PulledOne, Push, Query, Rebuilding, Refusal, RejectionRow, Reloaded, RemoteChecked, RemoteRow,
        Replayed, Resolution, RollBack, RolledBack, Rows, RunRequest, RunRow, RunState, RunWaited, Scope, Since, Speaker, Status,
        SyncRow, SyncState, Take, Undo, UndoPage, Undone, WaitState, Waited, Which, WhichPending, Why, Write, Writer, Written,
        WrittenOne,
    },
    pending::{Change as PendingChange, State as PendingIs},
    policy::Merge,
    replay::{Other, Tally, Would},
    run::Mode,
    session::{Mode as SessionMode, State},
    time::Timestamp,
};
use tokio::sync::watch;

mod accounts;
mod apps;
mod schedules;
mod works;

use crate::ipc::{
    door::{Door, Gone, Later, Moment, Sessions},
    news::Newsroom,
};

#[derive(Clone)]
struct Record {
    data: Option<String>,
    created: u64,
    seq: u64,
}

/// Collections `issues` and `notes`; waits for tokens and runs end when [`Model::settle`] names them; writes to `slow` likewise, and so does the
/// wait for what is `fresh`. What is followed stands in `followed`.
pub(super) struct Model {
    records: Mutex<BTreeMap<(String, String), Record>>,
    head: watch::Sender<u64>,
    pub(super) news: Newsroom,
    pub(super) granted: watch::Sender<u64>,
    settled: watch::Sender<BTreeSet<String>>,
    pub(super) followed: Arc<Mutex<Vec<Scope>>>,
    pub(super) leases: Mutex<Vec<String>>,
    /// The connection of the session, and whose it is.
    session: Mutex<Option<(u64, String)>>,
    /// Most records that one answer ever held.
    pub(super) page_max: AtomicU64,
    /// How often the feed was read.
    pub(super) reads: AtomicU64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            records: Mutex::default(),
            head: watch::Sender::new(0),
            news: Newsroom::new(),
            granted: watch::Sender::new(0),
            settled: watch::Sender::new(BTreeSet::new()),
            followed: Arc::default(),
            leases: Mutex::default(),
            session: Mutex::default(),
            page_max: AtomicU64::new(0),
            reads: AtomicU64::new(0),
        }
    }
}

impl Model {
    pub(super) fn put(&self, collection: &str, id: &str, data: Option<&str>) -> u64 {
        let seq = {
            let mut records = self.records.lock().unwrap();
            let seq = *self.head.borrow() + 1;
            let record = records.entry((collection.into(), id.into()));
            let record = record.or_insert(Record { data: None, created: seq, seq });
            record.data = data.map(str::to_owned);
            record.seq = seq;
            seq
        };
        self.head.send_replace(seq);
        seq
    }

    pub(super) fn settle(&self, name: &str) {
        self.settled.send_modify(|settled| {
            settled.insert(name.into());
        });
    }

    fn known(collection: &str) -> Result<(), Refusal> {
        match collection {
            "issues" | "notes" | "slow" => Ok(()),
            other => Err(Refusal::NotFound(format!("no collection {other}"), Some("issues and notes".into()))),
        }
    }
}

fn row() -> RunRow {
    RunRow {
        reset: None,
        attempt: None,
        waited: None,
        run: "r-1".into(),
        sync: "s".into(),
        status: "done".into(),
        result: Some("new_data".into()),
        trigger: "timer".into(),
        stop_reason: None,
        started: Timestamp::from_unix_ms(0),
        ended: Some(Timestamp::from_unix_ms(1)),
        down: 1,
        up: 0,
        rejected: 0,
        conflicts: 0,
        bytes: 10,
        traffic: None,
        error: None,
    }
}

fn halted() -> Later<Halted> {
    Box::pin(ready(Ok(Halted { state: DaemonState::Stopping, runs: vec!["r-1".into()] })))
}

impl Sessions for Model {
    fn session_collections(&self, _: &Speaker, session: &str) -> Result<Vec<String>, Refusal> {
        let mine: &[&str] = if session == "s-both" { &["issues", "notes"] } else { &["issues"] };
        Ok(mine.iter().map(|name| (*name).to_owned()).collect())
    }
    /// One session, which no end of a connection ends.
    fn session_begin(&self, who: Speaker, begin: Begin, gone: Gone) -> Later<Begun> {
        let mut session = self.session.lock().unwrap();
        if session.as_ref().is_some_and(|(number, _)| !gone(*number)) {
            return Box::pin(ready(Err(Refusal::WrongState("there is one".into(), None))));
        }
        *session = Some((who.connection, who.app));
        let invited = begin.invites.map(|invites| invites.apps).unwrap_or_default();
        Box::pin(ready(Ok(Begun { session: "s-1".into(), mode: begin.mode.unwrap_or(SessionMode::Slow), invited })))
    }
    fn session_invited(&self, _: &Speaker, session: &str) -> Option<Vec<String>> {
        (session == "s-invites").then(|| vec!["issues".into(), "notes".into()])
    }
    fn session_join(&self, _: Speaker, join: Join, _: Gone) -> Later<Joined> {
        let state = if join.decline { State::Cancelled } else { State::Pushing };
        Box::pin(ready(Ok(Joined { session: join.session, state, mode: join.mode, joined: Vec::new() })))
    }
    fn session_push(&self, _: Speaker, _: String, pushes: Vec<Push>) -> Later<u64> {
        Box::pin(ready(Ok(pushes.len() as u64)))
    }
    fn session_lost(&self, _: Speaker, _: String, _: LostOne) -> Later<State> {
        Box::pin(ready(Ok(State::Pushing)))
    }
    fn session_mingle(&self, _: Speaker, _: String, _: bool) -> Later<Mingled> {
        Box::pin(ready(Ok(Mingled::default())))
    }
    fn session_pull(&self, _: Speaker, _: String, _: Option<String>, _: usize, _: Duration) -> Later<Pulled> {
        let data = Some("{\"n\":1}".into());
        let one = PulledOne { collection: "issues".into(), id: "1".into(), kind: ChangeKind::Created, seq: 1, data };
        Box::pin(ready(Ok(Pulled { records: vec![one], cursor: Some("0.1".into()) })))
    }
    fn session_take(&self, _: Speaker, _: String, takes: Vec<Take>) -> Later<u64> {
        Box::pin(ready(Ok(takes.len() as u64)))
    }
    fn session_commit(&self, _: Speaker, _: String) -> Later<Closed> {
        Box::pin(ready(Ok(Closed { anchor: Some("a-1".into()), taken: 1 })))
    }
    fn session_end(&self, _: Speaker, _: String, finish: bool) -> Later<Closed> {
        Box::pin(ready(Ok(Closed { anchor: finish.then(|| "a-1".into()), taken: 0 })))
    }
    fn session_leave(&self, connection: u64) {
        self.leases.lock().unwrap().push(format!("leave {connection}"));
    }
}

impl Door for Model {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_ms(1_000)
    }
    fn instance(&self) -> String {
        "here".into()
    }
    fn build(&self) -> String {
        "test".into()
    }
    fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }
    fn moment(&self) -> Moment {
        (*self.head.borrow(), 0)
    }
    fn granted(&self) -> watch::Receiver<u64> {
        self.granted.subscribe()
    }
    fn news(&self) -> &Newsroom {
        &self.news
    }
    fn grants(&self, app: &str) -> Grants {
        let only = |grant| Grants::Only(BTreeMap::from([("issues".to_owned(), grant)]));
        match app {
            "reader" => only(Grant::Read),
            "writer" => only(Grant::Write),
            "nothing" => Grants::Only(BTreeMap::new()),
            // It is granted notes alone once the configuration is another.
            "turned" if *self.granted.borrow() > 0 => Grants::Only(BTreeMap::from([("notes".to_owned(), Grant::Read)])),
            _ => Grants::All(Grant::Write),
        }
    }
    fn read_together(&self, work: &mut dyn FnMut()) {
        work();
    }
    fn get(&self, collection: &str, id: &str) -> Result<Found, Refusal> {
        Self::known(collection)?;
        let records = self.records.lock().unwrap();
        let found = records.get(&(collection.to_owned(), id.to_owned()));
        let found = found.and_then(|one| Some((one.data.clone()?, one.seq)));
        let (data, seq) = found.ok_or_else(|| Refusal::NotFound("no such record".into(), None))?;
        Ok(Found { id: id.into(), data, seq })
    }
    fn list(&self, query: &Query, rows: &mut dyn Rows) -> Result<Option<String>, Refusal> {
        Self::known(&query.collection)?;
        let records = self.records.lock().unwrap();
        let of = records.iter().filter(|((collection, _), one)| *collection == query.collection && one.data.is_some());
        rows.begin();
        of.take(query.limit).for_each(|((_, id), one)| rows.row(id, one.data.as_deref().unwrap_or_default(), one.seq));
        Ok(None)
    }
    fn changes(&self, since: &Since) -> Result<Changes, Refusal> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let fresh = since.instance.as_deref().is_some_and(|instance| instance != "here");
        let from = if fresh { 0 } else { since.seq };
        let records = self.records.lock().unwrap();
        let mut found: Vec<_> = records
            .iter()
            .filter(|((name, id), one)| one.seq > from && since.scope.has(name) && since.ids.has(name, id))
            .collect();
        found.sort_by_key(|(_, one)| one.seq);
        let (mut changes, mut bytes, mut more) = (Vec::new(), 0, false);
        for ((collection, id), one) in found {
            if changes.len() == since.limit || bytes > since.bytes {
                more = true;
                break;
            }
            let data = one.data.clone().filter(|_| since.data);
            bytes += data.as_ref().map_or(0, String::len);
            let kind = match one.data {
                None => ChangeKind::Deleted,
                Some(_) if one.created > from => ChangeKind::Created,
                Some(_) => ChangeKind::Updated,
            };
            changes.push(Change { collection: collection.clone(), id: id.clone(), seq: one.seq, kind, data, alias: None });
        }
        self.page_max.fetch_max(changes.len() as u64, Ordering::Relaxed);
        let seq = if more { changes.last().map_or(from, |last: &Change| last.seq) } else { *self.head.borrow() };
        Ok(Changes { changes, seq, more, fresh })
    }
    fn conflicts(&self, which: &Which) -> Result<Page<ConflictRow>, Refusal> {
        let one = |collection: &str| ConflictRow {
            conflict: "c-1".into(),
            open: true,
            collection: collection.into(),
            id: "1".into(),
            property: Some("title".into()),
            agreed: None,
            truth: Some("1.50".into()),
            theirs: Some("\"x\"".into()),
            replica: "github".into(),
            other: Other::Remote,
            verdict: "open".into(),
            seq: 1,
            at: Timestamp::from_unix_ms(0),
        };
        let rows = ["issues", "notes"].into_iter().filter(|name| which.scope.has(name)).map(one).collect();
        Ok(Page { rows, cursor: None })
    }
    fn conflicts_under(&self, which: Which, _: Merge) -> Later<Replayed> {
        let wait = |row| (row, Some(Would::Wait));
        let rows: Vec<_> = self.conflicts(&which).unwrap().rows.into_iter().map(wait).collect();
        let tally = Tally { settled: 0, of: rows.len() as u64, more: false };
        Box::pin(ready(Ok(Replayed { rows, cursor: None, tally: Some(tally) })))
    }
    fn rejections(&self, which: &Which) -> Result<Page<RejectionRow>, Refusal> {
        let one = RejectionRow {
            rejection: "j-1".into(),
            side: "up".into(),
            collection: "issues".into(),
            id: None,
            remote_id: Some("7".into()),
            sync: "s".into(),
            action: "update".into(),
            what: "it says no".into(),
            at: Timestamp::from_unix_ms(0),
            tries: 2,
        };
        Ok(Page { rows: if which.scope.has("issues") { vec![one] } else { vec![] }, cursor: None })
    }
    fn history(&self, _: Option<&str>, _: usize, _: Option<&str>) -> Result<Page<RunRow>, Refusal> {
        Ok(Page { rows: vec![row()], cursor: Some("older".into()) })
    }
    fn collection_of(&self, about: About<'_>) -> Result<String, Refusal> {
        match about {
            About::Conflict("c-1") | About::Rejection("j-1") | About::Sync("s") => Ok("issues".into()),
            other => Err(Refusal::NotFound(format!("{other:?} is not known"), None)),
        }
    }
    fn status(&self) -> Result<Status, Refusal> {
        Ok(Status {
            state: DaemonState::Running,
            since: Timestamp::from_unix_ms(0),
            by: None,
            lease: false,
            store_bytes: 1,
            wal_bytes: 2,
            uptime: Duration::from_secs(1),
            conditions: mingle_core::schedule::Conditions::default(),
            syncs: vec![],
            attention: vec![],
            config: None,
        })
    }
    fn explain(&self, sync: &str) -> Result<Explained, Refusal> {
        let text = "it is about to run".to_owned();
        Ok(Explained { sync: sync.into(), state: SyncState::Ready, last: vec![row()], text, ..Explained::default() })
    }
    fn syncs(&self) -> Result<Vec<SyncRow>, Refusal> {
        Ok(vec![SyncRow {
            sync: "s".into(),
            collection: "issues".into(),
            remote: "github".into(),
            state: SyncState::Waiting,
            direction: "both".into(),
            every: Some(Duration::from_secs(60)),
            ..SyncRow::default()
        }])
    }
    fn remotes(&self) -> Result<Vec<RemoteRow>, Refusal> {
        let abilities = vec![("patch".to_owned(), Ability::Can(true)), ("cursor".to_owned(), Ability::How("etag".into()))];
        Ok(vec![RemoteRow {
            remote: "github".into(),
            kind: "rest".into(),
            profile: None,
            url: "https://x".into(),
            login: Some("secret"),
            abilities,
        }])
    }
    fn write(&self, writer: Writer, writes: Vec<Write>) -> Later<Written> {
        let mut done = Vec::new();
        let mut slow = false;
        for write in writes {
            let (collection, id, data) = match write {
                Write::Put { collection, id, data, .. } => (collection, id.unwrap_or_else(|| "made".into()), Some(data)),
                Write::Patch { collection, id, patch, .. } => (collection, id, Some(patch)),
                Write::Delete { collection, id, .. } => (collection, id, None),
                Write::Deferred(_) => return Box::pin(ready(Err(Refusal::Unsupported("nothing is deferred here".into())))),
            };
            if let Err(no) = Self::known(&collection) {
                return Box::pin(ready(Err(no)));
            }
            slow |= collection == "slow";
            let seq = self.put(&collection, &id, data.as_deref());
            done.push(WrittenOne { id, seq });
        }
        let written = Written { writes: done, token: format!("w-{}", writer.app), op: writer.op.unwrap_or_default() };
        if slow {
            return self.when("slow".into(), Duration::from_secs(60), |_| written);
        }
        Box::pin(ready(Ok(written)))
    }
    fn resolve_conflict(&self, writer: Writer, _: String, _: Option<u64>, keep: Keep) -> Later<Written> {
        let data = if let Keep::Value(value) = keep { value } else { "{}".into() };
        self.write(writer, vec![Write::Patch { collection: "issues".into(), id: "1".into(), patch: data, if_seq: None }])
    }
    fn resolve_rejection(&self, writer: Writer, _: String, _: Resolution) -> Later<Written> {
        Box::pin(ready(Ok(Written { writes: vec![], token: String::new(), op: writer.op.unwrap_or_default() })))
    }
    fn pending(&self, _: &WhichPending) -> Result<Page<PendingRow>, Refusal> {
        let row = PendingRow {
            sync: "s".into(),
            remote: "github".into(),
            collection: "issues".into(),
            id: "1".into(),
            state: PendingIs::Deferred,
            change: PendingChange::Update(["n".to_owned()].into()),
            seq: 1,
            rejection: None,
            why: Some("agent marked it not for upload".into()),
        };
        Ok(Page { rows: vec![row], cursor: None })
    }
    fn upload(&self, _: String, _: String, ids: Option<Vec<String>>) -> Later<u64> {
        Box::pin(ready(Ok(ids.map_or(0, |ids| ids.len() as u64))))
    }
    fn roll_back(&self, writer: Writer, asked: RollBack) -> Later<RolledBack> {
        let written = Written { writes: vec![], token: String::new(), op: writer.op.unwrap_or_default() };
        let left = vec![Left { id: asked.id.unwrap_or_default(), why: "it is on its way".into() }];
        Box::pin(ready(Ok(RolledBack { written, left, cursor: None })))
    }
    fn forget(&self, writer: Writer, asked: Forget) -> Later<Written> {
        let writes = vec![WrittenOne { id: asked.id, seq: 2 }];
        Box::pin(ready(Ok(Written { writes, token: "w-2".into(), op: writer.op.unwrap_or_default() })))
    }
    fn why(&self, _: &str, id: &str, _: Option<&str>) -> Result<Why, Refusal> {
        Ok(Why { id: id.into(), seq: 1, state: "live", rows: vec![], more: false })
    }
    fn plan(&self, _: RunRequest, _: usize) -> Later<Plan> {
        let request = PlannedRequest {
            method: "PUT".into(),
            url: "http://far/1".into(),
            headers: vec![("if-match".into(), "7".into())],
            body: Some("{}".into()),
            ids: vec!["1".into()],
        };
        let change = PlannedChange {
            id: "2".into(),
            kind: ChangeKind::Updated,
            properties: vec![("n".into(), None, Some("1.50".into()))],
        };
        Box::pin(ready(Ok(Plan {
            mode: Some(Mode::Fast),
            status: "done".into(),
            requests: vec![request],
            requests_total: 1,
            changes: vec![change],
            changes_total: 1,
            ..Plan::default()
        })))
    }
    fn rebuild(&self, _: String, preview: bool, _: Option<String>) -> Later<Rebuilding> {
        let runs = (!preview).then(|| ("s".to_owned(), Accepted { run: "r-1".into(), queued: false })).into_iter().collect();
        Box::pin(ready(Ok(Rebuilding { runs, unsent: 2, conflicts: 1, rejections: 0 })))
    }
    fn undo_preview(&self, _: Undo) -> Later<UndoPage> {
        Box::pin(ready(Ok(UndoPage::default())))
    }
    fn undo(&self, writer: Writer, _: Undo) -> Later<Undone> {
        let written = Written { writes: vec![], token: String::new(), op: writer.op.unwrap_or_default() };
        Box::pin(ready(Ok(Undone { written, collections: vec![], left: UndoPage::default() })))
    }
    fn wait_write(&self, token: String, timeout: Duration) -> Later<Waited> {
        self.when(token, timeout, |done| {
            let state = if done { WaitState::Done } else { WaitState::Pending };
            Waited { state, why: (!done).then(|| "it is not sent yet".into()), remotes: vec![("github".into(), state, None)] }
        })
    }
    fn wait_run(&self, run: String, timeout: Duration) -> Later<RunWaited> {
        let state = |done| if done { RunState::Done } else { RunState::Pending };
        self.when(run, timeout, move |done| RunWaited { state: state(done), why: None, remote: None })
    }
    fn run_sync(&self, request: RunRequest) -> Later<Accepted> {
        Box::pin(ready(match request.sync.as_str() {
            "s" => Ok(Accepted { run: "r-1".into(), queued: false }),
            _ => Err(Refusal::NotFound("no such sync".into(), None)),
        }))
    }
    fn stop(&self, _: Option<String>, lease: Option<u64>) -> Later<Halted> {
        self.leases.lock().unwrap().push(lease.map_or_else(|| "stop".into(), |lease| format!("stop {lease}")));
        halted()
    }
    fn release(&self, lease: u64) {
        self.leases.lock().unwrap().push(format!("release {lease}"));
    }
    fn restart(&self, _: Option<String>, _: bool, _: Option<u64>) -> Later<Halted> {
        halted()
    }
    fn pause(&self, _: String, _: Option<String>) -> Later<SyncState> {
        Box::pin(ready(Ok(SyncState::Disabled)))
    }
    fn resume(&self, _: String, _: Option<String>) -> Later<SyncState> {
        Box::pin(ready(Ok(SyncState::Waiting)))
    }
    fn cancel_sync(&self, _: String, _: Option<String>) -> Later<Vec<String>> {
        Box::pin(ready(Ok(vec!["r-1".into()])))
    }
    fn reload(&self, _: Option<String>) -> Later<Reloaded> {
        Box::pin(ready(Ok(Reloaded::default())))
    }
    fn shutdown(&self, _: Option<String>) -> Later<()> {
        Box::pin(ready(Ok(())))
    }
    fn check_remote(&self, remote: String) -> Later<RemoteChecked> {
        Box::pin(ready(Ok(RemoteChecked { remote, took: Duration::from_millis(3), trouble: None })))
    }
}
