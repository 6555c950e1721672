//! Owns: the trait through which the socket reaches the rest of the daemon, in core words. Must never know: who implements it, the
//! wire.
//!
//! Reads are answered where they are asked, on the thread that serves the connection: a hop to another thread costs ten times the
//! read itself. Whatever may take longer returns a [`Later`], and the connection goes on meanwhile.

use std::{collections::BTreeSet, future::Future, pin::Pin, time::Duration};

use mingle_core::{
    ask::{
        About, Accepted, AppRow, Begin, Begun, BudgetRow, Changes, Closed, ConflictRow, CopyRow, Explained, Forget, Found,
        Freshness, Grants, Halted, Join, Joined, Keep, LoggedIn, LoginBegun, LoginPlace, LostOne, Mingled, NextRun, Page,
        PendingRow, Pinged, Plan, Pulled, Push, Query, Rebuilding, Redefine, Redefined, Refusal, Register, RejectionRow,
        Reloaded, RemoteChecked, RemoteRow, Replayed, Reset, Resolution, RollBack, RolledBack, Rows, RunRequest, RunRow,
        RunWaited, Scope, Since, Speaker, Status, SyncRow, SyncState, SyncsWaited, Take, Undo, UndoPage, Undone, Waited, Wants,
        Which, WhichPending, Why, Write, Writer, Written,
    },
    engine::Until,
    policy::Merge,
    session::State,
    time::Timestamp,
    work::{Batch, Called, Said},
};
use tokio::sync::{mpsc, watch};

use super::news::Newsroom;

/// An answer that comes later. Dropped, nobody waits for it any more; what it asked for may happen all the same.
pub type Later<T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send>>;

/// Collections are followed as long as this lives.
pub struct Follows(#[expect(dead_code, reason = "it is only there to be dropped")] Box<dyn Send + Sync>);

impl Follows {
    /// By whom.
    #[must_use]
    pub fn by(follower: impl Send + Sync + 'static) -> Self {
        Self(Box::new(follower))
    }
}

impl std::fmt::Debug for Follows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Follows")
    }
}

/// Whether the connection of that number is gone, or has been silent in its session for too long.
pub type Gone = Box<dyn Fn(u64) -> bool + Send>;

/// The head, and how often anything was committed: what is read between two looks that find the same is the same.
pub type Moment = (u64, u64);

/// What is asked of accounts at services, and of our logins there.
pub trait Accounts {
    /// What each may ask of its service, by host and account.
    fn budgets(&self) -> Result<Vec<BudgetRow>, Refusal>;
    /// Keeps the secret of a remote where the configuration has it.
    fn login(&self, remote: String, secret: String) -> Later<LoginPlace>;
    /// Begins a login that a person ends with a browser: on this machine, or at another one. `is_same`: where the service does not say whose it
    /// is, it is the same person's as before.
    fn login_begin(&self, remote: String, at_another: bool, is_same: bool) -> Later<LoginBegun>;
    /// What came of such a login, once it has ended. Dropped, the login ends.
    fn login_end(&self, login: String) -> Later<LoggedIn>;
    /// Takes the secret of a remote out of there.
    fn logout(&self, remote: String) -> Later<LoginPlace>;
}

/// What the socket asks of the rest of the daemon.
///
/// The reads (`get` to `remotes`) must be short: they hold up every call of the same connection, and the thread. A query that takes
/// longer than a few milliseconds is ended by its own deadline and refused with [`Refusal::Deadline`].
///
/// # Errors
/// Every [`Refusal`] becomes one stable error name in `ipc/convert`; its words reach the app, except those of
/// [`Refusal::Internal`].
pub trait Door: Accounts + Apps + Schedules + Sessions + Works + Send + Sync + 'static {
    /// The moment: the socket itself never reads a clock.
    fn now(&self) -> Timestamp;
    /// This store's id; a new or restored store has a new one.
    fn instance(&self) -> String;
    /// The build, as `status` and `hello` show it.
    fn build(&self) -> String;
    /// The seq of the last commit: changes after each commit that gave a new one.
    fn head(&self) -> watch::Receiver<u64>;
    /// Which moment it is: another one after each commit, before anybody hears of it.
    fn moment(&self) -> Moment;
    /// What happens beside records; whoever implements the door publishes there.
    fn news(&self) -> &Newsroom;
    /// What the configuration grants an app by its name. An app that it does not name may write everything.
    fn grants(&self, app: &str) -> Grants;
    /// Changes whenever the grants may be others: after a reload.
    fn granted(&self) -> watch::Receiver<u64>;

    /// The reads that are asked for within `work` may all see one state, that of the first of them.
    fn read_together(&self, work: &mut dyn FnMut());
    /// One live record. Neither collection nor record there: [`Refusal::NotFound`].
    fn get(&self, collection: &str, id: &str) -> Result<Found, Refusal>;
    /// Gives `rows` a page of records: at most `query.limit`, and at most about a MiB. Returns where the next page begins; none: this
    /// was the last.
    fn list(&self, query: &Query, rows: &mut dyn Rows) -> Result<Option<String>, Refusal>;
    /// A page of the feed. Only what `since.scope` has; `seq` of the answer passes over what it has not.
    fn changes(&self, since: &Since) -> Result<Changes, Refusal>;
    /// The same, for a subscription; it may come from what the last commit left in memory, and is then no older than [`Door::moment`] was.
    fn follow(&self, since: &Since) -> Result<Changes, Refusal> {
        self.changes(since)
    }
    /// Conflicts, newest first.
    fn conflicts(&self, which: &Which) -> Result<Page<ConflictRow>, Refusal>;
    /// Rejections, newest first.
    fn rejections(&self, which: &Which) -> Result<Page<RejectionRow>, Refusal>;
    /// What syncs have yet to send, by sync and seq.
    fn pending(&self, which: &WhichPending) -> Result<Page<PendingRow>, Refusal>;
    /// Where a value comes from; also of a record that was deleted.
    fn why(&self, collection: &str, id: &str, property: Option<&str>) -> Result<Why, Refusal>;
    /// Runs, newest first.
    fn history(&self, sync: Option<&str>, limit: usize, cursor: Option<&str>) -> Result<Page<RunRow>, Refusal>;
    /// The collection that a conflict, rejection or sync belongs to, so that a grant can be asked for it before it is touched.
    fn collection_of(&self, about: About<'_>) -> Result<String, Refusal>;
    /// The daemon as a whole, from a copy of the board: never through the writer.
    fn status(&self) -> Result<Status, Refusal>;
    /// Why a sync does not run, and when it will.
    fn explain(&self, sync: &str) -> Result<Explained, Refusal>;
    /// Every sync, by name.
    fn syncs(&self) -> Result<Vec<SyncRow>, Refusal>;
    /// Every remote, by name.
    fn remotes(&self) -> Result<Vec<RemoteRow>, Refusal>;

    /// All of these writes or none. They are queued before this returns, so writes of one connection keep their order; dropping the
    /// answer does not take them back. Answered after the commit.
    fn write(&self, writer: Writer, writes: Vec<Write>) -> Later<Written>;
    /// Decides a conflict, as a write like any other. [`Written::writes`] names the record.
    fn resolve_conflict(&self, writer: Writer, conflict: String, if_seq: Option<u64>, keep: Keep) -> Later<Written>;
    /// Decides a rejection. [`Written::writes`] names the record where there is one.
    fn resolve_rejection(&self, writer: Writer, rejection: String, with: Resolution) -> Later<Written>;
    /// Marks what was deferred for upload: these records, or all of a collection. How many there were.
    fn upload(&self, app: String, collection: String, ids: Option<Vec<String>>) -> Later<u64>;
    /// Takes back what was not sent: of one record, or a page of those of a collection.
    fn roll_back(&self, writer: Writer, asked: RollBack) -> Later<RolledBack>;
    /// Drops a record here alone. [`Written::writes`] names it.
    fn forget(&self, writer: Writer, asked: Forget) -> Later<Written>;
    /// [`Door::conflicts`], with what this rule would have made of each: all of them are counted, which may take its time.
    fn conflicts_under(&self, which: Which, rule: Merge) -> Later<Replayed>;
    /// What [`Door::undo`] would do.
    fn undo_preview(&self, undo: Undo) -> Later<UndoPage>;
    /// Takes one page of changes back, as a write like any other.
    fn undo(&self, writer: Writer, undo: Undo) -> Later<Undone>;
    /// Until the write of this token is settled at the remotes concerned, or the time is up: then the answer is `Pending`.
    fn wait_write(&self, token: String, timeout: Duration) -> Later<Waited>;
    /// Until the run has ended, or the time is up: then the answer is `Pending`.
    fn wait_run(&self, run: String, timeout: Duration) -> Later<RunWaited>;
    /// A run of a sync, now or as soon as may be.
    fn run_sync(&self, request: RunRequest) -> Later<Accepted>;
    /// What a run of a sync would send and change now, at most so many of either; nothing is done.
    fn plan(&self, request: RunRequest, most: usize) -> Later<Plan>;
    /// Has a collection fetched anew by each of its syncs; what is not sent yet, conflicts and rejections stay, and are counted. As a
    /// preview it only counts.
    fn rebuild(&self, collection: String, preview: bool, by: Option<String>) -> Later<Rebuilding>;
    /// Suspends all runs and refuses new ones. With a lease (a number of ours) it ends at [`Door::release`]; without, it is written
    /// down and holds until [`Door::restart`].
    fn stop(&self, by: Option<String>, lease: Option<u64>) -> Later<Halted>;
    /// The connection that held this lease is gone: where no other stop holds, runs are accepted again.
    fn release(&self, lease: u64);
    /// Accepts runs again, unless another holds a lease; with `resync_stopped` those that the stop ended are due at once. `lease`:
    /// that of the connection that asks, which ends.
    fn restart(&self, by: Option<String>, resync_stopped: bool, lease: Option<u64>) -> Later<Halted>;
    /// Suspends one sync, written down.
    fn pause(&self, sync: String, by: Option<String>) -> Later<SyncState>;
    /// Takes a pause back.
    fn resume(&self, sync: String, by: Option<String>) -> Later<SyncState>;
    /// Ends the run of a sync for good, and the one that is asked for: their ids.
    fn cancel_sync(&self, sync: String, by: Option<String>) -> Later<Vec<String>>;
    /// Reads the configuration again and applies what changed; one that is not good changes nothing.
    fn reload(&self, by: Option<String>) -> Later<Reloaded>;
    /// Ends the daemon in good order; answered before it goes.
    fn shutdown(&self, by: Option<String>) -> Later<()>;
    /// Asks a remote whether it is there and takes our login.
    fn check_remote(&self, remote: String) -> Later<RemoteChecked>;
}

/// What apps that keep their own copy ask. What a call does in which state is not decided here.
///
/// # Errors
/// As [`Door`].
pub trait Sessions {
    /// The collections of a session of the speaker's; also those that have left the configuration.
    fn session_collections(&self, who: &Speaker, session: &str) -> Result<Vec<String>, Refusal>;
    /// Begins a session of an app that keeps its own copy. One that it has already stands in its way, unless its connection is gone and
    /// [`Sessions::session_leave`] could not end it, or is silent: that one is cancelled.
    fn session_begin(&self, who: Speaker, begin: Begin, gone: Gone) -> Later<Begun>;
    /// The collections of a session that the speaker was invited to; none: it was not.
    fn session_invited(&self, who: &Speaker, session: &str) -> Option<Vec<String>>;
    /// An answer to an invitation; or, of the speaker's own session, the question whether all have answered, which waits for them.
    fn session_join(&self, who: Speaker, join: Join, gone: Gone) -> Later<Joined>;
    /// Keeps what the app changed until the mingling; how many changes.
    fn session_push(&self, who: Speaker, session: String, pushes: Vec<Push>) -> Later<u64>;
    /// The app has lost a record; where the session is.
    fn session_lost(&self, who: Speaker, session: String, lost: LostOne) -> Later<State>;
    /// What was pushed meets the truth, whether or not the answer is waited for.
    fn session_mingle(&self, who: Speaker, session: String, accept_deletes: bool) -> Later<Mingled>;
    /// A page of what the app lacks; after `wait` at most for others who take part and have not met the truth yet.
    fn session_pull(&self, who: Speaker, session: String, cursor: Option<String>, limit: usize, wait: Duration) -> Later<Pulled>;
    /// What the app did with records that it was shown; how many.
    fn session_take(&self, who: Speaker, session: String, takes: Vec<Take>) -> Later<u64>;
    /// What was taken holds from now on.
    fn session_commit(&self, who: Speaker, session: String) -> Later<Closed>;
    /// The end, with what is open or without it.
    fn session_end(&self, who: Speaker, session: String, finish: bool) -> Later<Closed>;
    /// The connection is gone: its session is cancelled.
    fn session_leave(&self, connection: u64);
}

/// What is asked of when syncs run.
///
/// # Errors
/// As [`Door`].
pub trait Schedules {
    /// Somebody follows these collections, for as long as what is returned lives, and wants them so fresh, where they say.
    fn follows(&self, collections: &Scope, wants: Option<Wants>) -> Follows;
    /// Until what is here of a collection is no older than `age`, or the time is up, or waiting would not help; how fresh it is then.
    fn fresh(&self, collection: String, age: Duration, timeout: Duration) -> Later<Freshness>;
    /// Changes the syncs that apps define; one that is not good, or belongs to the configuration, changes nothing.
    fn redefine(&self, change: Redefine) -> Later<Redefined>;
    /// Makes syncs due: these, or all with a remote; how each stands then.
    fn ping(&self, syncs: Vec<String>, remote: Option<String>) -> Later<Vec<Pinged>>;
    /// Gives the next run of a sync a moment, or takes that back; how it stands then.
    fn next_run(&self, sync: String, at: Option<Timestamp>) -> Later<NextRun>;
    /// Until these syncs, or all that are not paused, are what is waited for; or none of those that are not can be without a person; or the
    /// time is up.
    fn wait_syncs(&self, syncs: Option<Vec<String>>, until: Until, timeout: Duration) -> Later<SyncsWaited>;
}

/// What is asked of apps themselves.
///
/// # Errors
/// As [`Door`].
pub trait Apps {
    /// Apps by name, from behind `after` on: those that the configuration names, that are in `connected`, or that keep a copy.
    fn apps(&self, connected: &BTreeSet<String>, after: Option<&str>, limit: usize) -> Result<Page<AppRow>, Refusal>;
    /// The app says what it keeps a copy of, and under which filters; what is known of these copies. A session of its own stands in the way of
    /// another filter, as one does when another is begun ([`Sessions::session_begin`]).
    fn register_app(&self, app: String, asked: Register, gone: Gone) -> Later<Vec<CopyRow>>;
    /// Forgets copies of an app: of which collections. A session that is of one of them stands in the way, as one does when another is begun
    /// ([`Sessions::session_begin`]).
    fn reset_app(&self, asked: Reset, gone: Gone) -> Later<Vec<String>>;
}

/// What apps say that do work for syncs.
///
/// # Errors
/// As [`Door`].
pub trait Works {
    /// An app does the work of these remotes, or of all of its own, as long as its connection is there: which these are now. It is called
    /// by `to`.
    fn offer_work(
        &self,
        connection: u64,
        app: &str,
        remotes: Option<Vec<String>>,
        to: mpsc::Sender<Called>,
    ) -> Result<Vec<String>, Refusal>;
    /// Some of what a work brings; answered once it is used. Batches of one connection keep their order.
    fn work_batch(&self, connection: u64, batch: Batch) -> Later<()>;
    /// The end of a work.
    fn work_done(&self, connection: u64, work: &str, said: Said) -> Result<(), Refusal>;
    /// The connection is gone, and so is its offer, and what it did.
    fn work_leave(&self, connection: u64);
}
