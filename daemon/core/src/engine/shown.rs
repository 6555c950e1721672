//! Owns: the board as people and apps see it, as a copy that anybody can ask at any time. Must never know: counts of records (the
//! store has them).

use std::collections::BTreeMap;

use super::{Board, Conditions, DaemonState, Direction, Engine, Name, SyncState, Timestamp, Trouble, ask, text};
use crate::schedule::Looks;

/// A copy of the board: what is asked of it is worked out for the moment it is asked, and nobody waits for the loop.
#[derive(Clone, Debug)]
pub struct BoardCopy {
    board: Board,
    conditions: Conditions,
    /// The daemon's state, since when, by whom.
    pub state: (DaemonState, Timestamp, Option<String>),
    /// The stop ends by itself, with the connections that hold it.
    pub leased: bool,
    syncs: BTreeMap<Name, Copied>,
}

#[derive(Clone, Debug)]
struct Copied {
    collection: String,
    direction: Direction,
    run: Option<ask::Progress>,
    failing_since: Option<Timestamp>,
    trouble: Option<Trouble>,
}

/// One sync as it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct SyncShown {
    /// Its name.
    pub sync: Name,
    /// Its collection.
    pub collection: String,
    /// Which way.
    pub direction: Direction,
    /// Its remote.
    pub remote: Name,
    /// Its schedule state.
    pub state: SyncState,
    /// Every hold, the one that counts most first.
    pub holds: Vec<ask::Holding>,
    /// When it runs next, where time alone decides.
    pub next: Option<Timestamp>,
    /// The run that is on.
    pub run: Option<ask::Progress>,
    /// All of it in words.
    pub text: String,
    /// Since when it has failed without a success between.
    pub failing_since: Option<Timestamp>,
    /// What its last run ran into.
    pub trouble: Option<Trouble>,
}

impl Engine {
    /// A copy of the board.
    #[must_use]
    pub fn copy(&self) -> BoardCopy {
        let copied = |name: &Name, sync: &super::Sync| {
            let run = sync.run.as_ref().zip(sync.run_id.as_ref()).map(|(run, id)| {
                let progress = run.progress();
                ask::Progress { run: id.clone(), phase: progress.phase.into(), done: progress.done, total: progress.total }
            });
            let copied = Copied {
                collection: sync.collection.clone(),
                direction: sync.direction,
                run,
                failing_since: sync.failing_since,
                trouble: sync.trouble.clone(),
            };
            (name.clone(), copied)
        };
        BoardCopy {
            board: self.board.clone(),
            conditions: self.conditions.clone(),
            state: self.state(),
            leased: self.stopped.as_ref().is_some_and(super::Stopped::leased),
            syncs: self.syncs.iter().map(|(name, sync)| copied(name, sync)).collect(),
        }
    }
}

impl BoardCopy {
    /// Every sync as it stands now, by name.
    #[must_use]
    pub fn shown(&self, now: Timestamp) -> Vec<SyncShown> {
        let looks = Looks::over(&self.board, &self.conditions, now);
        self.syncs.keys().filter_map(|name| self.seen(name, &looks, now)).collect()
    }

    /// One sync as it stands now; none: there is no such sync.
    #[must_use]
    pub fn one(&self, name: &str, now: Timestamp) -> Option<SyncShown> {
        self.seen(name, &Looks::over(&self.board, &self.conditions, now), now)
    }

    fn seen(&self, name: &str, looks: &Looks<'_>, now: Timestamp) -> Option<SyncShown> {
        let (name, sync) = self.syncs.get_key_value(name)?;
        let job = self.board.jobs.get(name)?;
        let looked = looks.at(name)?;
        Some(SyncShown {
            sync: name.clone(),
            collection: sync.collection.clone(),
            direction: sync.direction,
            remote: job.plan.remote.clone(),
            state: looked.state,
            holds: looked.holds.iter().map(|hold| hold.holding(name, now)).collect(),
            next: looked.next,
            run: sync.run.clone(),
            text: [Some(text(name, job, &looked, now)), sync.trouble.as_ref().and_then(denied)]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join("\n"),
            failing_since: sync.failing_since,
            trouble: sync.trouble.clone(),
        })
    }

    /// Whether a remote refuses our credentials.
    #[must_use]
    pub fn needs_login(&self, remote: &str) -> bool {
        self.board.remotes.get(remote).is_some_and(|remote| remote.needs_login)
    }

    /// Names of all syncs.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.syncs.keys().map(|name| &**name)
    }
}

/// What a person has to look at where the remote does not let us: it does not go away by itself.
fn denied(trouble: &Trouble) -> Option<String> {
    let hint = trouble.hint.as_ref().map_or(String::new(), |hint| format!(": {hint}"));
    (trouble.name == "denied").then(|| format!("The last run was denied: {}{hint}", trouble.what))
}
