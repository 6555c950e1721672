//! Owns: the board of schedules and runs; takes every event, routes it, asks the schedule, says what is to be done.
//! Must never know: the insides of effects, how anything is stored or shown.
//!
//! One owner, one loop: `handle(now, event, effects)`. Each effect that is a piece of a run ends in exactly one [`Event::Run`].

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ask::{self, Accepted, DaemonState, Halted, Refusal, RunRequest, RunState, RunWaited, SyncState, Trouble},
    limits,
    replica::Failure,
    run::{self, Direction, Ended, Mode, Order, Run, Wishes, reset::How},
    schedule::{
        Board, Conditions, Desk, End, Job, Jobs, Last, Looks, Name, Patience, Remote, Request, StopReason, Trigger, text,
    },
    time::Timestamp,
};

mod asked;
mod away;
mod cancelled;
mod defined;
mod ended;
mod fresh;
mod halted;
mod ids;
mod mark;
mod mended;
mod moments;
mod pinged;
mod rebuild;
mod rest;
mod shelves;
mod shown;
#[cfg(test)]
mod tests;
mod told;
mod wanted;
mod written;

use asked::Wish;
use defined::Then;
pub use defined::{Defined, Failing, SyncFacts};
use halted::{Holder, Stopped};
use ids::Ids;
pub use mark::Mark;
pub use rest::{Lacks, Standing, Until};
use shelves::Shelves;
use shown::Copied;
pub use shown::{BoardCopy, SyncShown};
pub use wanted::Followed;
use written::{Before, Writing};

/// Names a question of an app that is answered later.
pub type AskId = u64;

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// Time has passed, or a bell rang.
    Look,
    /// A commit changed a collection; `brought_by`: the sync that did, none: apps (also) did.
    Changed {
        /// Which collection.
        collection: String,
        /// The sync that brought it; none: an app.
        brought_by: Option<String>,
    },
    /// A part of a run is done.
    Run(Name, run::Event),
    /// An app asks.
    Ask(AskId, Ask),
    /// What was to be written down is, or why not.
    Written(AskId, Result<(), Refusal>),
    /// The connection that held this lease is gone.
    Released(u64),
    /// Syncs are defined in another way now; those that are not named stay as they are.
    Defined(Vec<(Name, Defined)>),
    /// Other collections are followed now.
    Followed(Followed),
    /// An app read this collection.
    Read(String),
    /// The credentials of a remote are others now, or a check found them good.
    LoginChanged(Name),
    /// These remotes wait for an app that is not there, each with the app's name; of all others none does.
    Away(BTreeMap<Name, Name>),
    /// The world is another. (Whether runs are stopped, the engine knows itself.)
    Conditions(Conditions),
    /// The daemon ends: runs stop, nothing new begins.
    Shutdown,
}

/// What an app asks of the engine.
#[derive(Clone, Debug)]
pub enum Ask {
    /// A run.
    RunSync(RunRequest),
    /// A run of each sync of a collection that fetches it anew; of all of them, or none.
    Rebuild {
        /// Which collection.
        collection: String,
    },
    /// Suspend all runs, refuse new ones.
    Stop {
        /// Who.
        by: Option<String>,
        /// The connection that it ends with; none: it is written down, and holds until a restart.
        lease: Option<u64>,
    },
    /// Accept runs again.
    Restart {
        /// Make due what the stop ended.
        resync_stopped: bool,
        /// The lease that ends with it: that of the connection which asks.
        lease: Option<u64>,
    },
    /// Suspend one sync.
    Pause {
        /// Which.
        sync: String,
        /// Who.
        by: Option<String>,
    },
    /// Take a pause back.
    Resume {
        /// Which.
        sync: String,
    },
    /// End the run of a sync for good, and the one that is asked for.
    Cancel {
        /// Which.
        sync: String,
        /// Who.
        by: Option<String>,
    },
    /// Make syncs due: these, or all with this remote.
    Ping {
        /// By name.
        syncs: Vec<String>,
        /// All with it.
        remote: Option<String>,
    },
    /// Give the next run of a sync a moment, or take that back.
    NextRun {
        /// Which.
        sync: String,
        /// When; none: when its schedule says.
        at: Option<Timestamp>,
    },
    /// What is here of a collection shall be as fresh as this: each sync that brings it runs where it is not.
    ReadFresh {
        /// Which collection.
        collection: String,
        /// What was there then, or later.
        since: Timestamp,
    },
    /// Tell when this run has ended.
    WaitRun {
        /// Which.
        run: String,
    },
    /// Whether a run is queued or on.
    HasRun {
        /// Which.
        run: String,
    },
    /// Nobody waits for this answer any more.
    Forget,
}

/// What the engine answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// To `RunSync`.
    Accepted(Accepted),
    /// To `Rebuild`: the run of each sync, by name.
    Rebuilds(Vec<(String, Accepted)>),
    /// To `Stop` and `Restart`.
    Halted(Halted),
    /// To `Pause` and `Resume`.
    State(SyncState),
    /// To `Cancel`: the runs that end, or never begin.
    Cancelled(Vec<String>),
    /// To `Ping`: by name, each once.
    Pinged(Vec<ask::Pinged>),
    /// To `NextRun`.
    Next(Box<ask::NextRun>),
    /// To `ReadFresh`: it is on the board.
    Noted,
    /// To `WaitRun`.
    Waited(RunWaited),
    /// To `HasRun`: it is one of this sync.
    Here(Name),
    /// To `WaitRun` and `HasRun`: no such run is queued or on; history may know it.
    NotHere,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Effect {
    /// A run begins: make what it stands on. Its own effects follow.
    Begin {
        /// Which sync.
        sync: Name,
        /// What is asked of it.
        order: Order,
    },
    /// A piece of a run; ends in one [`Event::Run`] (except [`run::Effect::Hurry`]).
    Run(Name, run::Effect),
    /// A run is over: what it stood on may go.
    Over(Name),
    /// Write down; ends in one [`Event::Written`].
    Write(AskId, Mark),
    /// A remote refused our credentials: say when they are others ([`Event::LoginChanged`]).
    WatchLogin(Name),
    /// A run that was queued never began: its history row.
    NeverBegan {
        /// Its id.
        run: String,
        /// Which sync.
        sync: String,
        /// What ended it; none: it was cancelled.
        reason: Option<StopReason>,
    },
    /// Answer an app.
    Answer(AskId, Result<Answer, Refusal>),
    /// Tell whoever listens.
    Tell(ask::Event),
    /// Look again then.
    Wake(Option<Timestamp>),
}

#[derive(Clone, Debug)]
struct Sync {
    collection: String,
    direction: Direction,
    run: Option<Run>,
    /// The id of the run that is on.
    run_id: Option<String>,
    /// The id and the wishes of the run that is asked for.
    asked: Option<Wish>,
    /// The run that is on was cancelled: nothing brings it back, however it comes to its end.
    cancelled: bool,
    /// The last that was said of whether it is paused.
    said: AskId,
    /// What said the moment of its next run that is in force; what was said before it counts no more.
    next_said: AskId,
    /// What takes its place once the run that is on has ended.
    then: Option<Then>,
    /// The state last told.
    told: Option<SyncState>,
    /// Since when it is due and held, and by what at first.
    waits: Option<(Timestamp, String)>,
    /// Since when it has failed without a success between.
    failing_since: Option<Timestamp>,
    trouble: Option<Trouble>,
}

/// The engine.
#[derive(Clone, Debug)]
pub struct Engine {
    desk: Desk,
    syncs: BTreeMap<Name, Sync>,
    /// Syncs that send, by the collection whose changes they wait for.
    senders: BTreeMap<String, BTreeSet<Name>>,
    /// The syncs as they were last shown, and who is another since then.
    shown: Shelves<Copied>,
    bring: Shelves<BTreeSet<Name>>,
    unshown: BTreeSet<Name>,
    /// Runs that are on.
    runs: usize,
    ids: Ids,
    stopped: Option<Stopped>,
    followed: Followed,
    began: Timestamp,
    /// Apps that wait for a run, by its id.
    waiting: BTreeMap<String, Vec<AskId>>,
    /// What waits until something is written.
    writing: BTreeMap<AskId, Writing>,
    shutting_down: bool,
}

impl Engine {
    /// With these syncs. `seed` makes the ids of runs; `stopped`: a stop that holds from before.
    #[must_use]
    pub fn new(
        syncs: BTreeMap<Name, SyncFacts>,
        stopped: Option<(Timestamp, Option<String>, Vec<String>)>,
        seed: u64,
        now: Timestamp,
    ) -> Self {
        let mut board = Board::default();
        let (mut known, mut senders) = (BTreeMap::new(), BTreeMap::<String, BTreeSet<Name>>::new());
        let mut ids = Ids::new(seed);
        for (name, facts) in syncs {
            if facts.direction.sends() {
                senders.entry(facts.collection.clone()).or_default().insert(name.clone());
            }
            let mut sync = Sync::of(&facts);
            // A run that the end of the daemon cut off goes on in the mode in which it was wished.
            if facts.wished != Mode::Fast {
                sync.asked = Some(Wish::new(ids.next(), Wishes { mode: facts.wished, ..Wishes::default() }));
            }
            known.insert(name.clone(), sync);
            if let Some(patience) = facts.patience {
                let remote = board.remotes.entry(facts.job.plan.remote.clone()).or_default();
                // Of several syncs with one remote, the longest word holds.
                remote.patience = remote.patience.into_iter().chain([patience]).max_by_key(|one| one.until);
            }
            board.jobs.insert(name, facts.job);
        }
        let unshown = known.keys().cloned().collect();
        let stopped = stopped.map(|(since, by, ended)| Stopped::written(Holder { since, by }, ended));
        let conditions = Conditions { stopped: stopped.is_some().then_some(StopReason::User), ..Conditions::default() };
        Self {
            desk: Desk::new(board, conditions),
            syncs: known,
            senders,
            shown: Shelves::default(),
            bring: Shelves::default(),
            unshown,
            runs: 0,
            ids,
            stopped,
            followed: Followed::default(),
            began: now,
            waiting: BTreeMap::new(),
            writing: BTreeMap::new(),
            shutting_down: false,
        }
    }

    /// Takes an event; what is to be done is added to `effects`.
    pub fn handle(&mut self, now: Timestamp, event: Event, effects: &mut Vec<Effect>) {
        match event {
            Event::Look => {}
            Event::Changed { collection, brought_by } => self.changed(now, &collection, brought_by.as_deref()),
            Event::Run(name, event) => self.went_on(now, &name, event, effects),
            Event::Ask(id, question) => self.asked(now, id, question, effects),
            Event::Written(id, written) => self.written(now, id, written, effects),
            Event::Released(lease) => self.released(lease, effects),
            Event::Defined(syncs) => self.defined(now, syncs, effects),
            Event::Followed(followed) => self.follow(followed),
            Event::Read(collection) => self.read(&collection),
            Event::LoginChanged(remote) => self.login_changed(now, &remote),
            Event::Away(apps) => self.away_are(&apps),
            Event::Conditions(world) => self.conditions_are(now, &world),
            Event::Shutdown => {
                self.shutting_down = true;
                self.set_stopped(Some(StopReason::Shutdown));
            }
        }
        self.decide(now, effects);
    }

    /// Whether nothing is under way.
    #[must_use]
    pub fn quiet(&self) -> bool {
        self.runs == 0
    }

    /// Whether the machine is about to sleep, and may.
    #[must_use]
    pub fn rested(&self) -> bool {
        self.desk.conditions().sleeps && self.quiet()
    }

    /// The syncs that have a cron expression are rung for; their names are all the bell needs.
    #[must_use]
    pub fn board(&self) -> &Board {
        self.desk.board()
    }

    /// The daemon's state, since when, by whom.
    #[must_use]
    pub fn state(&self) -> (DaemonState, Timestamp, Option<String>) {
        match &self.stopped {
            None if self.shutting_down => (DaemonState::Stopping, self.began, None),
            None => (DaemonState::Running, self.began, None),
            Some(stopped) => {
                let state = if self.quiet() { DaemonState::Stopped } else { DaemonState::Stopping };
                let Holder { since, by } = stopped.holder().cloned().unwrap_or(Holder { since: self.began, by: None });
                (state, since, by)
            }
        }
    }

    /// Since when a sync has failed without a success between; none: it does not.
    #[must_use]
    pub fn failing_since(&self, sync: &str) -> Option<Timestamp> {
        self.syncs.get(sync)?.failing_since
    }

    fn changed(&mut self, now: Timestamp, collection: &str, brought_by: Option<&str>) {
        for name in self.senders.get(collection).into_iter().flatten() {
            if brought_by != Some(&**name)
                && let Some(job) = self.desk.job(name)
            {
                job.changed(now);
            }
        }
    }

    /// Why nothing runs; none: it may.
    fn set_stopped(&mut self, reason: Option<StopReason>) {
        self.desk.set_conditions(Conditions { stopped: reason, ..self.desk.conditions().clone() });
    }

    /// Lets the schedule decide, and puts it into effect.
    fn decide(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let next = self.desk.next(now);
        for (name, reason) in next.stop {
            if let Some(job) = self.desk.job(&name) {
                job.stopping(reason);
            }
            self.went_on(now, &name, run::Event::Stop(reason), effects);
        }
        for start in next.start {
            self.begin(now, &start.sync, start.trigger, effects);
        }
        // A start changes what else may start; one more look is enough, for it starts nothing that this one would not have.
        let wake = self.desk.next(now).wake_at;
        let seen = self.desk.seen();
        self.tell_states(now, &seen, effects);
        self.unshown.extend(seen);
        effects.push(Effect::Wake(wake));
    }

    fn begin(&mut self, now: Timestamp, name: &Name, trigger: Trigger, effects: &mut Vec<Effect>) {
        let (Some(job), Some(sync)) = (self.desk.job(name), self.syncs.get_mut(name)) else { return };
        job.begin(now);
        self.runs += 1;
        let wish = sync.asked.take().unwrap_or_else(|| Wish::new(self.ids.next(), Wishes::default()));
        let Wishes { mode, force, accept_deletes } = wish.wishes;
        let order = Order {
            run: wish.run,
            direction: sync.direction,
            mode,
            trigger: trigger.name().into(),
            person: job.running.as_ref().and_then(|running| running.request).is_some_and(|request| request.person),
            force,
            accept_deletes,
            reset: wish.reset,
            began: now,
            attempt: job.failures.saturating_add(1),
            waited: sync.waits.take().map(|(since, by)| (now.since(since), by)),
        };
        sync.run_id = Some(order.run.clone());
        let mut run = Run::new(order.clone());
        let first = run.handle(run::Event::Start);
        sync.run = Some(run);
        effects.push(Effect::Begin { sync: name.clone(), order });
        effects.extend(first.into_iter().map(|effect| Effect::Run(name.clone(), effect)));
        self.tell_run(name, effects);
    }

    /// A part of a run is done, or it is told to stop.
    fn went_on(&mut self, now: Timestamp, name: &Name, event: run::Event, effects: &mut Vec<Effect>) {
        let Some(sync) = self.syncs.get_mut(name) else { return };
        let Some(run) = &mut sync.run else { return };
        if let Some(job) = self.desk.job(name) {
            job.heard(now);
        }
        let told = match &event {
            run::Event::Negotiated(terms) => terms.reset.clone().filter(|(_, begins)| *begins).map(|(reset, _)| {
                let sync = name.to_string();
                ask::Event::ResetBegan { sync, reset }
            }),
            run::Event::Completed { reset: Some(over), .. } => {
                Some(ask::Event::ResetEnded { sync: name.to_string(), over: *over })
            }
            _ => None,
        };
        effects.extend(told.map(Effect::Tell));
        let next = run.handle(event);
        if let Some(job) = self.desk.job(name) {
            job.copies(run.copies());
        }
        effects.extend(next.into_iter().map(|effect| Effect::Run(name.clone(), effect)));
        if run.ended() {
            self.ended(now, name, effects);
        } else {
            self.tell_run(name, effects);
        }
    }
}
