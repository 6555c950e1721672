//! Owns: what is asked of syncs, runs, remotes and the daemon itself, and what is answered. Must never know: the wire, how the
//! schedule comes to its answers.

use std::time::Duration;

use super::{DefinedBy, RunRow, Trouble};
use crate::{
    engine::{Lacks, Standing},
    run::{Mode, reset::How},
    schedule::{Bar, Conditions, Demand},
    time::Timestamp,
};

/// One page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Where the next page begins; none: this was the last.
    pub cursor: Option<String>,
}

/// Whether runs are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DaemonState {
    /// They are.
    Running,
    /// No more; some still come to a safe point.
    Stopping,
    /// None runs.
    Stopped,
}

/// The daemon as a whole. The apps connected are `ipc`'s own knowledge and not here.
#[derive(Clone, Debug, PartialEq)]
pub struct Status {
    /// Whether runs are accepted.
    pub state: DaemonState,
    /// Since when.
    pub since: Timestamp,
    /// The app that stopped it.
    pub by: Option<String>,
    /// The stop ends with the connections that hold it.
    pub lease: bool,
    /// Bytes of the store's file.
    pub store_bytes: u64,
    /// Bytes of its log.
    pub wal_bytes: u64,
    /// How long the daemon has run.
    pub uptime: Duration,
    /// How the machine is, as far as it is known.
    pub conditions: Conditions,
    /// Every sync, by name.
    pub syncs: Vec<SyncStatus>,
    /// What a person should know or decide.
    pub attention: Vec<Attention>,
    /// Where the configuration was looked for.
    pub config: Option<Configured>,
}

/// The configuration that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// The file.
    pub path: String,
    /// Whether it is there.
    pub found: bool,
    /// Every file that was looked for.
    pub looked: Vec<String>,
}

/// The schedule state of a sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SyncState {
    /// Paused, or nothing makes it due.
    Disabled,
    /// Not due yet.
    #[default]
    Waiting,
    /// Due, and a hold stands in the way.
    Blocked,
    /// Due, and about to start.
    Ready,
    /// A run is on.
    Running,
}

/// One sync in the status.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncStatus {
    /// Its name.
    pub sync: String,
    /// Its schedule state.
    pub state: SyncState,
    /// The hold that counts most.
    pub hold: Option<Holding>,
    /// When it is due next.
    pub next: Option<Timestamp>,
    /// Everything that was at its remote then has come; none: it never did, or nothing comes.
    pub fresh: Option<Timestamp>,
    /// The strictest live demand for what it brings.
    pub demand: Option<Demand>,
    /// Its last ended run.
    pub last: Option<RunRow>,
    /// The run that is on.
    pub run: Option<Progress>,
    /// Links that are behind.
    pub pending: u64,
    /// Open conflicts.
    pub conflicts: u64,
    /// Rejections that stand.
    pub rejections: u64,
}

/// How far a run has come. Never lies: `done <= total`, both only grow within a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which run.
    pub run: String,
    /// `down`, `up`, ...
    pub phase: String,
    /// So many are done.
    pub done: u64,
    /// Of so many, where that is known.
    pub total: Option<u64>,
}

/// What a person should know or decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    /// A stable word.
    pub name: String,
    /// The sync, remote or record it is about.
    pub about: String,
    /// Since when.
    pub since: Timestamp,
    /// What a person can do.
    pub hint: String,
}

/// Why a sync does not run now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// A stable word: `network`, `interval`, `stopped`, ...
    pub name: String,
    /// What it is to somebody who waits.
    pub bar: Bar,
    /// What is.
    pub has: String,
    /// What must be.
    pub needs: String,
    /// When it ends by itself, where that is known.
    pub until: Option<Timestamp>,
    /// What a person can do.
    pub hint: Option<String>,
}

/// Everything about one sync's next run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// Which sync.
    pub sync: String,
    /// Its schedule state.
    pub state: SyncState,
    /// Every hold.
    pub holds: Vec<Holding>,
    /// When it is due next.
    pub next: Option<Timestamp>,
    /// Everything that was at its remote then has come; none: it never did, or nothing comes.
    pub fresh: Option<Timestamp>,
    /// The strictest live demand for what it brings.
    pub demand: Option<Demand>,
    /// The last three runs, newest first.
    pub last: Vec<RunRow>,
    /// The same for a person, in a few sentences.
    pub text: String,
}

/// One sync as it is defined.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncRow {
    /// Its name.
    pub sync: String,
    /// What it syncs.
    pub collection: String,
    /// With whom.
    pub remote: String,
    /// The remote's own container.
    pub resource: Option<String>,
    /// `down`, `up`, `both`.
    pub direction: String,
    /// Its interval.
    pub every: Option<Duration>,
    /// What its interval may grow to, where it adapts.
    pub every_max: Option<Duration>,
    /// Its wall-clock schedule.
    pub cron: Option<String>,
    /// It does not poll unless somebody asks for fresh data.
    pub on_demand: bool,
    /// The delay of its first run.
    pub initial_delay: Option<Duration>,
    /// The syncs that go first.
    pub after: Vec<String>,
    /// The lower goes first; none: it is not known.
    pub priority: Option<u32>,
    /// What it is called by together with others.
    pub tags: Vec<String>,
    /// The app that defined it; none: the configuration does.
    pub defined: Option<DefinedBy>,
    /// Its schedule state.
    pub state: SyncState,
}

/// A sync that a ping made due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinged {
    /// Which.
    pub sync: String,
    /// How it stands now.
    pub state: SyncState,
    /// What holds it, where something does.
    pub hold: Option<Holding>,
}

/// A sync whose next run was given a moment, or has none any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextRun {
    /// Which.
    pub sync: String,
    /// How it stands now.
    pub state: SyncState,
    /// When it runs next, where time alone decides.
    pub next: Option<Timestamp>,
    /// What holds it, where something does.
    pub hold: Option<Holding>,
}

/// A run that an app asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRequest {
    /// Which sync.
    pub sync: String,
    /// How; none: as the sync decides.
    pub mode: Option<Mode>,
    /// Also under metered, battery, idle and window.
    pub force: bool,
    /// Deletes that are guarded are taken.
    pub accept_deletes: bool,
    /// As if the remote had another history: this becomes of what is here.
    pub reset: Option<How>,
    /// Who asks, where the app has a name.
    pub by: Option<String>,
}

impl RunRequest {
    /// A plain one.
    #[must_use]
    pub fn of(sync: String) -> Self {
        Self { sync, mode: None, force: false, accept_deletes: false, reset: None, by: None }
    }
}

/// A run that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// `r-...`
    pub run: String,
    /// Another is on, or a hold stands: it begins later.
    pub queued: bool,
}

/// What a rebuild of a collection keeps, and which runs do it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilding {
    /// The run of each of its syncs, by name; none: it was only looked at.
    pub runs: Vec<(String, Accepted)>,
    /// Changes that are yet to be sent.
    pub unsent: u64,
    /// Conflicts that are open.
    pub conflicts: u64,
    /// Rejections that stand.
    pub rejections: u64,
}

/// How a run has come out, or that it has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Queued or on.
    Pending,
    /// All of it.
    Done,
    /// With rejections.
    DoneWithErrors,
    /// Not.
    Failed,
    /// Resumably.
    Stopped,
    /// For good.
    Cancelled,
}

/// The answer to a wait for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunWaited {
    /// How it has come out.
    pub state: RunState,
    /// Why, in words: of what is pending (the hold), and of what went wrong.
    pub why: Option<String>,
    /// The remote it speaks to, and its error.
    pub remote: Option<(String, Option<String>)>,
}

/// What stop, restart, pause and resume answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halted {
    /// The daemon's state now.
    pub state: DaemonState,
    /// The runs stopped or made due.
    pub runs: Vec<String>,
}

/// What reading the configuration again came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The sections that are in force now, and what became of each: `added`, `changed`, `removed`.
    pub applied: Vec<(String, String)>,
    /// What is in the files and holds only after a new start.
    pub after_restart: Vec<String>,
    /// Syncs that are gone, and how many changes each had yet to send. They are kept.
    pub orphaned: Vec<(String, u64)>,
}

/// A remote, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteRow {
    /// Its name in the configuration.
    pub remote: String,
    /// The code that speaks its protocol.
    pub kind: String,
    /// The data that describes the service, for kinds that need it.
    pub profile: Option<String>,
    /// Where it is, without secrets.
    pub url: String,
    /// How it logs in, in a word: `secret` or `oauth2`; none: not at all.
    pub login: Option<&'static str>,
    /// What it can do: a stable word each, and how.
    pub abilities: Vec<(String, Ability)>,
}

/// How a remote can do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ability {
    /// It can, or cannot.
    Can(bool),
    /// In this way.
    How(String),
}

/// What a look at a remote brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteChecked {
    /// Its name.
    pub remote: String,
    /// How long its answer took.
    pub took: Duration,
    /// What is wrong with it; none: it answers, and takes our login.
    pub trouble: Option<Trouble>,
}

/// Where the secret of a remote is kept, after a login or a logout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginPlace {
    /// The remote's name.
    pub remote: String,
    /// The place, in words.
    pub place: String,
    /// A logout took a secret out; one that was kept there counts as well.
    pub done: bool,
    /// What a logout could not do; none: nothing is left.
    pub left: Option<String>,
}

/// A login that waits for a person.
#[derive(Clone, PartialEq, Eq)]
pub struct LoginBegun {
    /// The remote's name.
    pub remote: String,
    /// Names this login.
    pub login: String,
    /// The address where a person agrees.
    pub url: String,
    /// What they write there, where they do so at another machine.
    pub code: Option<String>,
    /// How long they may take.
    pub within: Duration,
}

/// A person has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedIn {
    /// The remote's name.
    pub remote: String,
    /// Where the login is kept, in words.
    pub place: String,
    /// Whose it is; none: the service does not say.
    pub account: Option<String>,
    /// What was asked for and is not given.
    pub lacks: Vec<String>,
    /// It is renewed by itself.
    pub renews: bool,
    /// When it is over, where it is not and the service says when.
    pub over: Option<Timestamp>,
}

/// A sync that is not yet what is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Its name.
    pub sync: String,
    /// Its schedule state.
    pub state: SyncState,
    /// What it needs.
    pub lacks: Lacks,
    /// What holds it, where something does.
    pub hold: Option<Holding>,
    /// What its last run ran into.
    pub trouble: Option<Trouble>,
    /// What of it is pending, in conflict and rejected.
    pub standing: Standing,
}

/// The answer to a wait for syncs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncsWaited {
    /// The first of those that are not yet what is waited for, by name.
    pub behind: Vec<Behind>,
    /// How many there are, told or not; 0: it is come.
    pub total: usize,
    /// What the one needs that least can be done for; none: it is come.
    pub lacks: Option<Lacks>,
}
