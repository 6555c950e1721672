//! Owns: the board as people and apps see it, as a copy that anybody can ask at any time. Must never know: counts of records (the
//! store has them).

use std::collections::BTreeSet;

use super::{
    Conditions, DaemonState, Direction, Engine, Job, Jobs, Last, Looks, Name, Remote, Shelves, SyncState, Timestamp, Trouble,
    ask, text,
};
use crate::schedule::Demand;

/// A copy of the board: what is asked of it is worked out for the moment it is asked, and nobody waits for the loop.
#[derive(Clone, Debug)]
pub struct BoardCopy {
    /// How the machine is.
    pub conditions: Conditions,
    /// The daemon's state, since when, by whom.
    pub state: (DaemonState, Timestamp, Option<String>),
    /// The stop ends by itself, with the connections that hold it.
    pub leased: bool,
    pub(super) syncs: Shelves<Copied>,
    /// By collection, the syncs that bring it.
    bring: Shelves<BTreeSet<Name>>,
}

#[derive(Clone, Debug)]
pub(super) struct Copied {
    pub(super) job: Job,
    /// What is known of its remote, where that is anything.
    pub(super) known: Option<Remote>,
    pub(super) collection: String,
    pub(super) direction: Direction,
    run: Option<ask::Progress>,
    failing_since: Option<Timestamp>,
    pub(super) trouble: Option<Trouble>,
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
    /// Since when it is due by itself and has not come to an end.
    pub overdue_since: Option<Timestamp>,
    /// What its last run ran into.
    pub trouble: Option<Trouble>,
    /// How its last run ended.
    pub last: Last,
    /// Everything that was at its remote then has come.
    pub fresh: Option<Timestamp>,
    /// The strictest live demand for what it brings.
    pub demand: Option<Demand>,
}

impl Engine {
    /// A copy of the board. It shares with the copy before whatever is as it was.
    #[must_use]
    pub fn copy(&mut self) -> BoardCopy {
        for name in std::mem::take(&mut self.unshown) {
            let copied = self.copied(&name);
            self.brings(&name, copied.as_ref());
            match copied {
                Some(copied) => self.shown.put(name, copied),
                None => self.shown.remove(&name),
            }
        }
        BoardCopy {
            conditions: self.desk.conditions().clone(),
            state: self.state(),
            leased: self.stopped.as_ref().is_some_and(super::Stopped::leased),
            syncs: self.shown.clone(),
            bring: self.bring.clone(),
        }
    }

    /// Which collection a sync brings, where that is another than when it was last shown.
    fn brings(&mut self, name: &Name, now: Option<&Copied>) {
        let before = self.shown.get(name).and_then(|(_, sync)| sync.brings());
        let now = now.and_then(Copied::brings);
        if before == now {
            return;
        }
        if let Some(before) = before {
            self.bring.change(before, |names| {
                names.remove(name);
            });
            if self.bring.get(before).is_some_and(|(_, names)| names.is_empty()) {
                self.bring.remove(before);
            }
        }
        if let Some(now) = now {
            self.bring.change(now, |names| {
                names.insert(name.clone());
            });
        }
    }

    fn copied(&self, name: &Name) -> Option<Copied> {
        let (sync, job) = (self.syncs.get(name)?, self.desk.board().jobs.get(name)?);
        let run = sync.run.as_ref().zip(sync.run_id.as_ref()).map(|(run, id)| {
            let progress = run.progress();
            ask::Progress { run: id.clone(), phase: progress.phase.into(), done: progress.done, total: progress.total }
        });
        Some(Copied {
            job: job.clone(),
            known: self.desk.board().remotes.get(&job.plan.remote).cloned(),
            collection: sync.collection.clone(),
            direction: sync.direction,
            run,
            failing_since: sync.failing_since,
            trouble: sync.trouble.clone(),
        })
    }
}

impl BoardCopy {
    /// Every sync as it stands now, by name.
    #[must_use]
    pub fn shown(&self, now: Timestamp) -> Vec<SyncShown> {
        let looks = self.looks(now);
        self.syncs.all().into_iter().map(|(name, sync)| sync.seen(name, &looks, now)).collect()
    }

    /// One sync as it stands now; none: there is no such sync.
    #[must_use]
    pub fn one(&self, name: &str, now: Timestamp) -> Option<SyncShown> {
        let (name, sync) = self.syncs.get(name)?;
        Some(sync.seen(name, &self.looks(now), now))
    }

    /// The syncs that bring a collection, by name: whatever else there is costs nothing.
    pub(super) fn bringing(&self, collection: &str) -> impl Iterator<Item = (&Name, &Copied)> {
        let names = self.bring.get(collection).into_iter().flat_map(|(_, names)| names);
        names.filter_map(|name| self.syncs.get(name))
    }

    pub(super) fn looks(&self, now: Timestamp) -> Looks<'_> {
        Looks::over(self.syncs.iter().map(|(name, sync)| (name, &sync.job)), self, &self.conditions, now)
    }

    /// Whether a remote refuses our credentials.
    #[must_use]
    pub fn needs_login(&self, remote: &str) -> bool {
        let mut with_it = self.syncs.iter().filter(|(_, sync)| &*sync.job.plan.remote == remote);
        with_it.any(|(_, sync)| sync.known.as_ref().is_some_and(|known| known.needs_login))
    }

    /// Names of all syncs, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.syncs.all().into_iter().map(|(name, _)| &**name)
    }
}

impl Jobs for BoardCopy {
    fn find(&self, sync: &str) -> Option<(&Job, Option<&Remote>)> {
        self.syncs.get(sync).map(|(_, sync)| (&sync.job, sync.known.as_ref()))
    }
}

impl Copied {
    /// The collection that it brings; none: it only sends.
    fn brings(&self) -> Option<&str> {
        self.direction.brings().then_some(self.collection.as_str())
    }

    fn seen(&self, name: &Name, looks: &Looks<'_>, now: Timestamp) -> SyncShown {
        let looked = looks.at(&self.job, self.known.as_ref());
        let text = text(name, &self.job, &looked, now);
        let denied = self.trouble.as_ref().and_then(denied);
        SyncShown {
            sync: name.clone(),
            collection: self.collection.clone(),
            direction: self.direction,
            remote: self.job.plan.remote.clone(),
            state: looked.state,
            holds: looked.holds.iter().map(|hold| hold.holding(name, now)).collect(),
            next: looked.next,
            run: self.run.clone(),
            text: [Some(text), denied].into_iter().flatten().collect::<Vec<_>>().join("\n"),
            failing_since: self.failing_since,
            overdue_since: self.job.overdue_since(),
            trouble: self.trouble.clone(),
            last: self.job.last,
            fresh: self.job.fresh.filter(|_| self.direction.brings()),
            demand: self.job.demand.clone(),
        }
    }
}

/// What a person has to look at where the remote does not let us: it does not go away by itself.
fn denied(trouble: &Trouble) -> Option<String> {
    let hint = trouble.hint.as_ref().map_or(String::new(), |hint| format!(": {hint}"));
    (trouble.name == "denied").then(|| format!("The last run was denied: {}{hint}", trouble.what))
}
