//! Owns: making the engine out of the configuration and what the store remembers. Must never know: how the loop runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jiff::tz::TimeZone;
use mingle_core::{
    engine::{Engine, SyncFacts},
    limits,
    policy::Policy,
    replica::RemoteError,
    run::{Creates, Direction},
    schedule::{Backoff, Curve, Interval, Job, Name, Needs, Plan, Quiet, Rank, Spread, Trigger, cron::Cron},
    time::Timestamp,
};

use crate::{
    clock,
    config::{
        self, Config, Repeat, Several, SyncDefinition, Where,
        defined::{Definition, load_with},
    },
    perform::Opener,
    reload,
    remotes::{
        self, Means, Opening, Pending, Place, Remote,
        app::workers::Workers,
        budget::By,
        oauth::Logins,
        settings::{Output, RemoteSettings},
    },
    store::{
        self, Class, CollectionDefinition, Store, StoreError,
        defined::{self, DefinedRow},
        marks, moments,
        sync::{Home, Kin, Others, SyncSpec, session},
    },
};

/// A sync as the loop needs it.
#[derive(Clone)]
pub struct Known {
    /// For its runs.
    pub spec: Arc<SyncSpec>,
    /// For its runs.
    pub opener: Arc<dyn Opener>,
    /// As configured.
    pub definition: SyncDefinition,
    /// How many collections its own refers to, one behind the other.
    pub depth: u32,
    /// Its runs end when nothing happens for so long.
    pub stall: Option<Duration>,
}

/// Opens a remote as configured.
pub struct Configured {
    opening: Opening,
}

impl Configured {
    /// For one resource.
    #[must_use]
    pub fn new(opening: Opening) -> Self {
        Self { opening }
    }
}

impl Opener for Configured {
    fn open(&self, by: By) -> Pending<'_, Result<Arc<dyn Remote>, RemoteError>> {
        let mut opening = self.opening.clone();
        opening.means.http = opening.means.http.asked_by(by);
        Box::pin(async move { remotes::open(opening).await.map(Arc::from) })
    }
}

/// Tells the store which collections there are.
///
/// # Errors
/// What the store says.
pub fn define(store: &Store, config: &Config, now: Timestamp) -> Result<(), StoreError> {
    // Whether one of its syncs sends, for each that has any.
    let mut sends = BTreeMap::<&str, bool>::new();
    for sync in config.syncs.values() {
        *sends.entry(&sync.collection).or_default() |= sync.direction.is_up();
    }
    let definitions: Vec<CollectionDefinition> = config
        .collections
        .iter()
        .map(|(name, collection)| CollectionDefinition {
            name: name.clone(),
            policy: collection.policy.clone(),
            columns: collection.columns.clone(),
            index: collection.index.clone(),
            read_only: sends.get(name.as_str()) == Some(&false),
            retention: collection.retention,
        })
        .collect();
    store.write_blocking(Class::Interactive, now, move |tx| store::define(tx, &definitions))
}

/// Every sync of the configuration, ready to run.
#[must_use]
pub fn syncs(config: &Config, means: &Means) -> BTreeMap<Name, Known> {
    let mut known = BTreeMap::new();
    let depths = depths(config);
    let several = config.several();
    // Looked at once: a login that changes meanwhile must not be one person's here and another's there.
    let accounts: Accounts<'_> =
        config.remotes.iter().map(|(name, settings)| (name.as_str(), means.logins.who(&settings.auth))).collect();
    for (name, definition) in &config.syncs {
        let Some(settings) = config.remotes.get(&definition.remote) else { continue };
        let policy =
            config.collections.get(&definition.collection).map(|collection| collection.policy.clone()).unwrap_or_default();
        let account = accounts.get(definition.remote.as_str()).cloned();
        let place =
            Place { remote: definition.remote.clone(), sync: name.clone(), deadline: definition.timing.deadline, account };
        let opening = Opening { settings: settings.clone(), resource: definition.resource.clone(), place, means: means.clone() };
        let (history, listing) = opening.history().unwrap_or_default();
        let identity = identity(definition, settings, &accounts);
        let spec = SyncSpec {
            name: name.clone(),
            collection: definition.collection.clone(),
            remote: definition.remote.clone(),
            identity,
            history: with_references(history, &policy),
            listing,
            direction: direction(definition.direction),
            policy,
            remove_after_upload: definition.remove_after_upload,
            filter: definition.filter.clone(),
            reset: definition.reset,
            creates: several.creates(definition),
            others: others(config, &several, definition, &accounts),
            kin: kin(config, definition, &accounts),
        };
        let opener: Arc<dyn Opener> = Arc::new(Configured::new(opening));
        let depth = depths.get(definition.collection.as_str()).copied().unwrap_or_default();
        // A program whose end alone counts is silent till then: nothing tells one that works from one that hangs.
        let silent = settings.output == Some(Output::Result);
        let stall = definition.timing.stall.or((!silent).then_some(limits::STALL));
        known.insert(
            Name::from(name.as_str()),
            Known { spec: Arc::new(spec), opener, definition: definition.clone(), depth, stall },
        );
    }
    known
}

/// Of each collection that refers to others, how many lie one behind the other on the longest way.
fn depths(config: &Config) -> BTreeMap<&str, u32> {
    /// Further down it makes no difference any more; in a circle there is no first.
    const DEPTH_MAX: usize = 16;
    let mut depths = BTreeMap::<&str, u32>::new();
    for _ in 0..DEPTH_MAX {
        let before = depths.clone();
        for (name, collection) in &config.collections {
            let parents = collection.policy.references.values().map(|reference| reference.collection.as_str());
            let depth =
                parents.filter(|parent| parent != name).map(|parent| before.get(parent).map_or(1, |depth| depth + 1)).max();
            if let Some(depth) = depth {
                depths.insert(name, depth);
            }
        }
        if depths == before {
            break;
        }
    }
    depths
}

/// What apps defined, to be read with the configuration.
#[must_use]
pub fn definitions(rows: &[DefinedRow]) -> Vec<Definition> {
    let one = |row: &DefinedRow| Definition { sync: row.sync.clone(), json: row.definition.clone(), by: row.by.clone() };
    rows.iter().map(one).collect()
}

/// The configuration with what apps defined; and what of that cannot be as things are, with what is wrong.
///
/// # Errors
/// What the store says.
pub fn with_defined(
    store: &Store,
    config: &Config,
    config_dir: &Path,
    known: &dyn config::Known,
) -> Result<(Config, Vec<(String, String)>), StoreError> {
    let rows = store.read(|reader| defined::all(reader))?;
    if rows.is_empty() {
        return Ok((config.clone(), Vec::new()));
    }
    Ok(match load_with(&Where::Directory(config_dir.to_path_buf()), &definitions(&rows), known) {
        Ok((config, left_out)) => {
            (config, left_out.into_iter().map(|(sync, problems)| (sync, reload::told(&problems))).collect())
        }
        // The files have changed since they were read, and are not good now: what was read holds.
        Err(problems) => (config.clone(), rows.into_iter().map(|row| (row.sync, reload::told(&problems))).collect()),
    })
}

/// Whom each remote speaks for.
type Accounts<'a> = BTreeMap<&'a str, String>;

/// What makes a replica this one.
fn identity(definition: &SyncDefinition, settings: &RemoteSettings, accounts: &Accounts<'_>) -> String {
    let account = accounts.get(definition.remote.as_str()).map_or("", String::as_str);
    let (url, resource) = (settings.url.trim_end_matches('/'), definition.resource.trim_matches('/'));
    [definition.remote.as_str(), url, account, resource, definition.collection.as_str()].join("\u{1f}")
}

/// The account in what makes a replica, if it is at this address.
#[must_use]
pub fn account_in<'a>(identity: &'a str, url: &str) -> Option<&'a str> {
    let mut parts = identity.split('\u{1f}').skip(1);
    let is_there = parts.next()? == url.trim_end_matches('/');
    parts.next().filter(|_| is_there)
}

/// What names the history of the rows, also how they are read: another reference reads them differently.
fn with_references(settings: String, policy: &Policy) -> String {
    let references =
        policy.references.iter().map(|(property, reference)| format!("\u{1f}{property} -> {}", reference.collection));
    references.fold(settings, |all, one| all + &one)
}

/// The other replicas of its collection, as far as they are mirrors or the home of what a mirror makes.
fn others(config: &Config, several: &Several<'_>, of: &SyncDefinition, accounts: &Accounts<'_>) -> Others {
    let identity = |sync: &SyncDefinition| config.remotes.get(&sync.remote).map(|settings| identity(sync, settings, accounts));
    let mirror = several.replica_says(of, |sync| sync.mirror);
    let there = several.of(&of.collection).iter().map(|(_, sync)| *sync);
    let elsewhere: Vec<&SyncDefinition> = there.filter(|sync| !sync.has_replica_of(of)).collect();
    let mirrors = elsewhere.iter().filter(|sync| several.replica_says(sync, |one| one.mirror)).filter_map(|sync| identity(sync));
    let mirrors: BTreeSet<String> = mirrors.collect();
    let makes = elsewhere.iter().any(|sync| several.creates(sync) == Creates::All);
    let home = several.home(&of.collection).filter(|(_, home)| mirror && !home.has_replica_of(of));
    let home =
        home.and_then(|(name, home)| Some(Home { sync: name.into(), remote: home.remote.clone(), identity: identity(home)? }));
    Others { mirror, mirrors: mirrors.into_iter().collect(), makes, home }
}

/// The other collections of a remote that references go to or come from. (Collections without any have no kin.)
fn kin(config: &Config, of: &SyncDefinition, accounts: &Accounts<'_>) -> BTreeMap<String, Kin> {
    let mut kin = BTreeMap::<String, Kin>::new();
    let refers = |name: &str| config.collections.get(name).is_some_and(|one| !one.policy.references.is_empty());
    let referred = |name: &str| {
        let mut references = config.collections.values().flat_map(|one| one.policy.references.values());
        references.any(|reference| reference.collection == name)
    };
    let related = |name: &str| refers(name) || referred(name);
    let Some(settings) = config.remotes.get(&of.remote).filter(|_| related(&of.collection)) else { return kin };
    for other in config.syncs.values().filter(|other| other.remote == of.remote && other.collection != of.collection) {
        if related(&other.collection) {
            let sends = other.direction.is_up();
            let one = kin
                .entry(other.collection.clone())
                .or_insert_with(|| Kin { identity: identity(other, settings, accounts), sends });
            one.sends |= sends;
        }
    }
    kin
}

fn direction(direction: config::Direction) -> Direction {
    match direction {
        config::Direction::Down => Direction::Down,
        config::Direction::Up => Direction::Up,
        config::Direction::Both => Direction::Both,
    }
}

/// The engine as it stands after a start: runs that a crash cut off are closed and due, pauses and a stop hold, what is unsent is
/// a change that nobody has answered. `host`: a number of this machine, which spreads its syncs; `seed`: makes the ids of runs.
///
/// # Errors
/// What the store says.
pub fn engine(store: &Store, syncs: &BTreeMap<Name, Known>, host: u64, seed: u64, now: Timestamp) -> Result<Engine, StoreError> {
    store.write_blocking(Class::Interactive, now, store::sync::recover)?;
    // Sessions that a crash cut off are cancelled. Those that mingle go on to the end of it, once there is a house (`ends_sessions`).
    store.write_blocking(Class::Interactive, now, |tx| session::leave(tx, None))?;
    renamed(store, syncs, now)?;
    let known: Vec<String> = syncs.keys().map(ToString::to_string).collect();
    store.write_blocking(Class::Interactive, now, move |tx| moments::forget_gone(tx, &known))?;
    let mut facts = BTreeMap::new();
    for (name, known) in syncs {
        let mut of_sync = sync_facts(store, name, known, host, now)?;
        of_sync.job.started_up();
        facts.insert(name.clone(), of_sync);
    }
    let stopped = store.read(|reader| marks::stopped(reader))?;
    let stopped = stopped.map(|mark| (mark.since, mark.by, mark.ended));
    Ok(Engine::new(facts, stopped, seed, now))
}

/// What is known of remotes that have other names now goes with them.
///
/// # Errors
/// What the store says.
pub fn renamed(store: &Store, syncs: &BTreeMap<Name, Known>, now: Timestamp) -> Result<(), StoreError> {
    let configured: Vec<(String, String)> =
        syncs.values().map(|known| (known.spec.remote.clone(), known.spec.identity.clone())).collect();
    store.write_blocking(Class::Interactive, now, move |tx| store::sync::renamed(tx, &configured))
}

/// What the store remembers of a sync, and when it runs.
///
/// # Errors
/// What the store says.
pub fn sync_facts(store: &Store, name: &Name, known: &Known, host: u64, now: Timestamp) -> Result<SyncFacts, StoreError> {
    let ((last, failures, failing), fresh, patience, paused, unsent, moments, wished) = store.read(|reader| {
        let last = marks::recent(reader, name)?;
        let patience = marks::patience(reader, name)?;
        let paused = marks::paused(reader, name)?;
        let unsent = known.spec.direction.sends() && marks::unsent(reader, name, &known.spec.collection, known.spec.creates)?;
        Ok((
            last,
            marks::fresh(reader, &known.spec)?,
            patience,
            paused,
            unsent,
            moments::of(reader, name)?,
            moments::wished(reader, name)?,
        ))
    })?;
    let mut job = Job::new(plan(name, known, host), last, failures, now);
    job.fresh = fresh;
    job.since = since(store, name, known, now)?;
    if job.plan.grows_to.is_some() {
        store.read(|reader| marks::brought(reader, name))?.into_iter().for_each(|news| job.learn(news));
    }
    job.paused = paused.is_some();
    job.pause_ended = paused == Some(true);
    job.next = moments.next;
    if moments.pinged.is_some() {
        job.call(Trigger::Ping);
    }
    if unsent {
        job.changed(now);
    }
    let (collection, direction) = (known.spec.collection.clone(), known.spec.direction);
    Ok(SyncFacts { collection, direction, job, patience, failing, anew: false, wished })
}

/// Since when a sync is defined, as far as anything counts from there; it is written down where it was not.
///
/// # Errors
/// What the store says.
pub fn since(store: &Store, name: &Name, known: &Known, now: Timestamp) -> Result<Timestamp, StoreError> {
    if known.definition.timing.initial_delay.is_none() {
        return Ok(now);
    }
    let name = name.clone();
    store.write_blocking(Class::Interactive, now, move |tx| marks::since(tx, &name))
}

/// Syncs that left the configuration while changes of records that they know were not sent, and how many those are.
///
/// # Errors
/// What the store says.
pub fn orphaned(store: &Store, syncs: &BTreeMap<Name, Known>) -> Result<Vec<(String, u64)>, StoreError> {
    store.read(|reader| {
        let gone = marks::names(reader)?.into_iter().filter(|name| !syncs.contains_key(name.as_str()));
        let mut orphaned = Vec::new();
        for name in gone {
            // Another sync speaks with the same place: it was renamed.
            let place = store::sync::identity(reader, &name)?;
            if place.is_some_and(|place| syncs.values().any(|known| known.spec.identity == place)) {
                continue;
            }
            // Of which collection they were is not known any more; what has a link is.
            let pending = store::history::counts(reader, &name, Some(("", Creates::Never)))?.pending;
            if pending > 0 {
                orphaned.push((name, pending));
            }
        }
        Ok(orphaned)
    })
}

/// When a sync runs, out of its definition.
pub fn plan(name: &Name, known: &Known, host: u64) -> Plan {
    let definition = &known.definition;
    let timing = &definition.timing;
    let zone = clock::zone(timing.timezone.as_deref());
    let (interval, cron) = match &timing.repeat {
        Repeat::Never => (None, None),
        Repeat::Every { every, flex, .. } => (Some(Interval { every: *every, flex: *flex }), None),
        Repeat::Cron { expression } => (None, zone.clone().and_then(|zone| Cron::parse(expression, zone).ok())),
    };
    let grows_to = if let Repeat::Every { grows_to, .. } = &timing.repeat { *grows_to } else { None };
    // A zone whose file cannot be read: its hours are those of UTC rather than all.
    let window = timing.needs.window.as_ref().map(|window| window.within(zone.unwrap_or(TimeZone::UTC)));
    Plan {
        remote: Name::from(definition.remote.as_str()),
        resource: definition.resource.clone(),
        collection: definition.collection.clone(),
        interval,
        cron,
        on_start: timing.on_start,
        on_change: timing.on_change.map(|quiet| Quiet { after: quiet.after, at_most: quiet.at_most }),
        backoff: Backoff {
            curve: if timing.backoff.doubles { Curve::Exponential } else { Curve::Linear },
            first: timing.backoff.first,
            ceiling: timing.backoff.at_most,
        },
        deadline: timing.deadline,
        stall: known.stall,
        needs: Needs { window, ..timing.needs.clone() },
        spread: Spread::of(host, name),
        grows_to,
        initial_delay: timing.initial_delay,
        on_demand: timing.on_demand,
        after: timing.after.iter().map(|first| Name::from(first.as_str())).collect(),
        rank: Rank { priority: timing.priority, depth: known.depth },
    }
}

/// The settings of a remote, opened at its root, for a check by a person.
#[must_use]
pub fn root(config: &Config, means: &Means, remote: &str) -> Option<Opening> {
    let settings = config.remotes.get(remote)?.clone();
    let resource = config.syncs.values().find(|sync| sync.remote == remote).map(|sync| sync.resource.clone()).unwrap_or_default();
    let place = Place { remote: remote.to_owned(), ..Place::default() };
    Some(Opening { settings, resource, place, means: means.clone() })
}

/// Where the configuration lies.
#[must_use]
pub fn means(http: remotes::http::Client, config_dir: &Path, logins: PathBuf, socket: Option<&Path>) -> Means {
    let workers = Arc::new(Workers::new(clock::now(), socket.map(Path::to_path_buf)));
    Means {
        http,
        now: Arc::new(clock::now),
        config_dir: config_dir.to_path_buf(),
        workers,
        places: Arc::default(),
        logins: Arc::new(Logins::new(logins)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{self, Where},
        known::BuiltIn,
        remotes::http,
    };

    #[test]
    fn a_program_whose_end_alone_counts_may_be_silent() {
        let room = tempfile::tempdir().unwrap();
        let stall = |output: &str, more: &str| {
            let path = room.path().join("config.toml");
            let text = format!(
                "[remote.tool]\nkind = \"exec\"\ncommand = [\"sh\"]\noutput = \"{output}\"\n\n\
                 [sync.job]\ncollection = \"c\"\nremote = \"tool\"\ndirection = \"down\"\n{more}\n"
            );
            std::fs::write(&path, text).unwrap();
            let config = config::load(&Where::File(path), &BuiltIn { config_dir: room.path().to_owned() }).unwrap();
            let means =
                means(http::Client::new(http::Patience::default()).unwrap(), room.path(), room.path().join("logins"), None);
            let syncs = syncs(&config, &means);
            plan(&Name::from("job"), &syncs["job"], 0).stall
        };
        assert_eq!(stall("batches", ""), Some(limits::STALL));
        assert_eq!(stall("result", ""), None);
        assert_eq!(stall("result", "stall = \"2s\""), Some(Duration::from_secs(2)));
    }
}
