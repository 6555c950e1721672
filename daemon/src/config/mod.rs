//! Owns: the checked configuration: what the files say, in words the daemon can use, or every problem at once.
//! Must never know: paths of the system, the lock, the store; and it changes nothing on disk.
//!
//! A missing file is no error: the daemon then has no syncs, and `Config::looked` says where it looked. An unknown key is one:
//! it is a rule that somebody believes to be in force.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    time::Duration,
};

use mingle_core::{
    ask::{DefinedBy, Grant, Grants},
    filter::Filter,
    policy::Policy,
    run::reset::How,
    schedule::Needs,
};

mod check;
mod constraints;
pub mod defined;
mod filter;
mod identity;
mod order;
mod problem;
mod references;
mod section;
mod sections;
mod several;
mod source;
#[cfg(test)]
mod tests;
mod words;

pub use problem::Problem;
pub use references::circles;
pub use several::Several;
pub use source::Source;

pub use crate::remotes::settings::{RemoteSettings, Secret};

/// Where the configuration is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Where {
    /// `config.toml` and `conf.d/*.toml` in this directory.
    Directory(PathBuf),
    /// This file alone.
    File(PathBuf),
}

/// What settings alone say of a remote, as far as the checks need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its records carry the time of their last change.
    pub has_stamps: bool,
    /// Records can be written there.
    pub takes_writes: bool,
    /// It is on this machine: no network is needed.
    pub is_near: bool,
}

/// What only another room knows.
pub trait Known {
    /// Whether a remote can be opened with these settings, without asking it anything.
    ///
    /// # Errors
    /// What is wrong (kind, profile, address), and what to do; the hint may be empty.
    fn look(&self, remote: &RemoteSettings) -> Result<Facts, (String, String)>;
}

/// Everything the files say, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Every file and directory that was looked for, whether it was there or not.
    pub looked: Vec<PathBuf>,
    /// The files that were read.
    pub files: Vec<PathBuf>,
    /// `[store]`.
    pub store: StoreConfig,
    /// `[status]`.
    pub status: StatusConfig,
    /// `[conditions]`.
    pub conditions: Given,
    /// `[desktop]`.
    pub desktop: DesktopConfig,
    /// `[remote.NAME]`.
    pub remotes: BTreeMap<String, RemoteSettings>,
    /// `[sync.NAME]`.
    pub syncs: BTreeMap<String, SyncDefinition>,
    /// Those of them that apps defined.
    pub defined: BTreeMap<String, DefinedBy>,
    /// `[collection.NAME]`, and with defaults each that only a sync names.
    pub collections: BTreeMap<String, CollectionDefinition>,
    /// `[app.NAME]`: what an app that gives this name may do. A collection that is not in it: nothing.
    pub apps: BTreeMap<String, BTreeMap<String, Grant>>,
}

/// `[status]`: who may look without reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusConfig {
    /// The number of the group whose members may use the status socket. None: our own user alone.
    pub group: Option<u32>,
}

/// `[desktop]`: what is shown there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DesktopConfig {
    /// What wants a person is a notification.
    pub notify: bool,
}

impl Default for DesktopConfig {
    fn default() -> Self {
        Self { notify: true }
    }
}

/// `[conditions]`: how the world is, whatever the system says. None: as the system says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// There is a network.
    pub online: Option<bool>,
    /// Its bytes cost money.
    pub metered: Option<bool>,
    /// On external power.
    pub charging: Option<bool>,
    /// The battery is low.
    pub battery_low: Option<bool>,
    /// Nobody uses the machine.
    pub idle: Option<bool>,
}

/// `[store]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreConfig {
    /// As written (`~/` not expanded). None: the usual place.
    pub path: Option<String>,
    /// How hard a commit is pressed onto the disk.
    pub synchronous: Synchronous,
}

/// How hard a commit is pressed onto the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Synchronous {
    /// Acknowledged writes survive a power cut.
    #[default]
    Full,
    /// They survive a crash of the daemon, not always a power cut.
    Normal,
}

/// `[collection.NAME]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectionDefinition {
    /// How records merge, and what makes two the same.
    pub policy: Policy,
    /// Properties with an index.
    pub index: Vec<String>,
    /// Properties with a column in the published view.
    pub columns: Vec<String>,
    /// How long history and deleted records are kept. None: the default of the store.
    pub retention: Option<Duration>,
}

/// `[sync.NAME]`: one collection, one remote, and when they meet.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncDefinition {
    /// The collection, which exists because it is named here.
    pub collection: String,
    /// A remote of this configuration.
    pub remote: String,
    /// The remote's own container; empty where the remote has only one.
    pub resource: String,
    /// Which way records go.
    pub direction: Direction,
    /// New records of the collection are made at its remote, where several syncs could make them.
    pub home: bool,
    /// It also takes what others bring and make: its records may be theirs.
    pub mirror: bool,
    /// What the remote has taken is removed here.
    pub remove_after_upload: bool,
    /// What becomes of what is here where the remote has another history.
    pub reset: How,
    /// What of the remote is brought here.
    pub filter: Filter,
    /// What it is called by together with others.
    pub tags: Vec<String>,
    /// When it runs.
    pub timing: Timing,
}

impl SyncDefinition {
    /// Whether two syncs keep the same copy in step: one collection with one resource of one remote.
    #[must_use]
    pub fn has_replica_of(&self, other: &Self) -> bool {
        let (one, another) = (self.resource.trim_matches('/'), other.resource.trim_matches('/'));
        self.collection == other.collection && self.remote == other.remote && one == another
    }
}

/// Which way records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Remote to truth.
    Down,
    /// Truth to remote.
    Up,
    /// Both ways.
    Both,
}

impl Direction {
    /// Whether it writes at the remote.
    #[must_use]
    pub fn is_up(self) -> bool {
        self != Self::Down
    }
}

/// When a sync runs, and when it stops waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timing {
    /// The rule by which it is due again.
    pub repeat: Repeat,
    /// The first run is due so long after the sync was defined. None: at once.
    pub initial_delay: Option<Duration>,
    /// Syncs that go first: each has to have ended well, and neither runs nor is about to.
    pub after: Vec<String>,
    /// Of several that are ready, the lower goes first.
    pub priority: u32,
    /// An IANA name that exists, for its cron expression and its window. None: the system's zone.
    pub timezone: Option<String>,
    /// What must hold for it to run. Its window goes by no zone yet.
    pub needs: Needs,
    /// Due at every start of the daemon.
    pub on_start: bool,
    /// Its interval, its cron expression and its first run count only while somebody asks for fresh data.
    pub on_demand: bool,
    /// Due after a change of the truth that its replica did not bring. None: not.
    pub on_change: Option<OnChange>,
    /// The longest run. None: the default of the schedule.
    pub deadline: Option<Duration>,
    /// The longest silence on the wire. None: the default of the schedule.
    pub stall: Option<Duration>,
    /// What a failure costs.
    pub backoff: Backoff,
    /// Broken for longer than this: a warning.
    pub alert_after: Duration,
}

/// The rule by which a sync is due again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Only at start, on change and on request.
    Never,
    /// Once per interval, in its last `flex` part.
    Every {
        /// The interval.
        every: Duration,
        /// Its last part; the whole interval by default.
        flex: Duration,
        /// Without news it grows up to this. None: it stays.
        grows_to: Option<Duration>,
    },
    /// By the wall clock.
    Cron {
        /// Five fields, or six with seconds first; it has been parsed once.
        expression: String,
    },
}

/// Due so long after the last change, and at most so long after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnChange {
    /// The quiet time.
    pub after: Duration,
    /// The bound on waiting for it.
    pub at_most: Duration,
}

/// How the delay after a failure grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// Never longer.
    pub at_most: Duration,
    /// Doubled each time; else `first` is added each time.
    pub doubles: bool,
}

/// Reads and checks everything. Nothing is written, and the store is not touched.
///
/// # Errors
/// Every problem that was found, in the order of files and lines.
pub fn load(place: &Where, known: &dyn Known) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let found = source::find(place, &mut problems);
    let sources: Vec<Source> =
        found.files.iter().filter_map(|path| source::read(path, &found.directory, &mut problems)).collect();
    let mut checked = parse_some(&sources, sources.len() < found.files.len(), known);
    if let Err(more) = &mut checked {
        problems.append(more);
    }
    match checked {
        Ok(config) if problems.is_empty() => Ok(Config { looked: found.looked, files: found.files, ..config }),
        _ => Err(problems),
    }
}

/// The pure part of [`load`], save that secret files are looked at.
///
/// # Errors
/// Every problem that was found, in the order of files and lines.
pub fn parse(sources: &[Source], known: &dyn Known) -> Result<Config, Vec<Problem>> {
    parse_some(sources, false, known)
}

/// `partial`: there are more sources, which could not be read.
fn parse_some(sources: &[Source], partial: bool, known: &dyn Known) -> Result<Config, Vec<Problem>> {
    let mut draft = sections::Draft { partial, ..sections::Draft::default() };
    for source in sources {
        draft.read(source);
    }
    // Over whatever could be read. Names that a broken file or section would have brought are missing everywhere else; complaints
    // about them would only mislead, and the checks leave them out.
    check::check(&mut draft, known);
    draft.problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    draft.problems.dedup();
    if !draft.problems.is_empty() {
        return Err(draft.problems);
    }
    let mut config = draft.config;
    let named: BTreeSet<String> = config.syncs.values().map(|sync| sync.collection.clone()).collect();
    for name in named {
        config.collections.entry(name).or_default();
    }
    Ok(config)
}

impl Config {
    /// What an app that gives this name may do. One that is not named here may write everything.
    #[must_use]
    pub fn grants(&self, app: &str) -> Grants {
        self.apps.get(app).map_or(Grants::All(Grant::Write), |list| Grants::Only(list.clone()))
    }

    /// For people: where it looked and found nothing.
    #[must_use]
    pub fn missing(&self) -> Vec<&Path> {
        self.looked.iter().filter(|path| !self.files.contains(path)).map(PathBuf::as_path).collect()
    }
}
