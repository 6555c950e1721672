//! Owns: the same decision as [`super::decide`], kept up: after an event only what it touched is looked at again, so that ten thousand
//! syncs that are due at once cost what they are, not their square.
//! Must never know: a rule of its own. What is decided of one sync by itself is [`Verdict`]'s, who runs beside whom is [`Floor`]'s.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet},
    ops::Bound::{Excluded, Unbounded},
};

use super::{
    Board, Conditions, Floor, Job, Last, Look, Looks, Name, Remote, Start, StopReason, Trigger, Turn, Verdict, Wake, runs_max,
};
use crate::{
    ask::SyncState,
    limits::{CRON_BELL_LATE_MAX, RUNS_MAX},
    planted,
    time::Timestamp,
};

/// So many moments that are due are taken in their order; a crowd is found faster by going over all.
const TAKEN_ONE_BY_ONE: usize = if cfg!(test) { 2 } else { 64 };

#[cfg(test)]
pub(super) mod laws;

/// The board and the world, and what was decided of each sync when it was last looked at.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    board: Board,
    conditions: Conditions,
    /// Touched since they were looked at.
    stale: HashSet<Name>,
    /// Everything is to be looked at.
    all_stale: bool,
    /// The time of the last look: an earlier one makes everything stale.
    looked: Option<Timestamp>,
    kept: HashMap<Name, Kept>,
    /// When time changes a verdict. An entry that is not meant any more ([`Kept::waits`]) costs a look.
    timers: BinaryHeap<Reverse<(Timestamp, Name)>>,
    /// The same for those that a bell rings for.
    bells: BinaryHeap<Reverse<(Timestamp, Name)>>,
    /// Syncs with a stamp that lies ahead of now, since the clock was set back: time changes more of them than one moment says, so
    /// they are looked at each time.
    ahead: BTreeSet<Name>,
    running: BTreeSet<Name>,
    stops: BTreeMap<Name, StopReason>,
    /// Who waits for which to go first.
    behind: HashMap<Name, BTreeSet<Name>>,
    /// By remote.
    queues: HashMap<Name, Queue>,
    /// The first of each remote that takes one more.
    open: BTreeSet<(Turn, Name)>,
    /// Looked at since [`Desk::seen`] was asked.
    seen: BTreeSet<Name>,
}

/// Who waits for one remote, in turn, and how many are with it.
#[derive(Clone, Debug, Default)]
struct Queue {
    ready: BTreeSet<(Turn, Name)>,
    runs: usize,
    /// Its entry in [`Desk::open`].
    open: Option<(Turn, Name)>,
}

#[derive(Clone, Debug)]
struct Kept {
    remote: Name,
    changes: Option<Timestamp>,
    bell: bool,
    is: Is,
    /// What it has an entry of in [`Desk::behind`].
    after: Vec<Name>,
}

#[derive(Clone, Copy, Debug)]
enum Is {
    Running,
    Held(SyncState),
    Ready(Turn, Trigger),
}

impl Kept {
    /// Whether an entry among the moments is still meant.
    fn waits(kept: &HashMap<Name, Self>, name: &Name, at: Timestamp, bell: bool) -> bool {
        kept.get(name).is_some_and(|kept| kept.changes == Some(at) && kept.bell == bell)
    }
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Next {
    /// As in [`super::Decision`].
    pub start: Vec<Start>,
    /// As in [`super::Decision`], by name.
    pub stop: Vec<(Name, StopReason)>,
    /// As in [`super::Decision`].
    pub wake_at: Option<Timestamp>,
}

impl Desk {
    /// With this board, in this world.
    #[must_use]
    pub fn new(board: Board, conditions: Conditions) -> Self {
        Self { board, conditions, all_stale: true, ..Self::default() }
    }

    /// The board as it is.
    #[must_use]
    pub const fn board(&self) -> &Board {
        &self.board
    }

    /// The world as it is taken to be.
    #[must_use]
    pub const fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// The world is another.
    pub fn set_conditions(&mut self, conditions: Conditions) {
        self.all_stale |= self.conditions != conditions;
        self.conditions = conditions;
    }

    /// A job, to be changed; none: there is no such sync.
    pub fn job(&mut self, name: &str) -> Option<&mut Job> {
        let (name, _) = self.board.jobs.get_key_value(name)?;
        self.stale.insert(name.clone());
        self.board.jobs.get_mut(&name.clone())
    }

    /// A job is there from now on, in place of the one before.
    pub fn put(&mut self, name: Name, job: Job) {
        self.stale.insert(name.clone());
        self.board.jobs.insert(name, job);
    }

    /// A job is not there any more.
    pub fn remove(&mut self, name: &Name) {
        self.stale.insert(name.clone());
        self.board.jobs.remove(name);
    }

    /// Changes what is known of a remote. Says whether that is something else now.
    pub fn change_remote(&mut self, name: &Name, change: impl FnOnce(&mut Remote)) -> bool {
        let before = self.board.remotes.get(name).cloned().unwrap_or_default();
        let mut known = before.clone();
        change(&mut known);
        if known == before {
            return false;
        }
        self.board.remotes.insert(name.clone(), known);
        if !planted::is("remote changed unseen") {
            let with_it = self.board.jobs.iter().filter(|(_, job)| job.plan.remote == *name).map(|(name, _)| name.clone());
            self.stale.extend(with_it);
        }
        true
    }

    /// What is to be done now, and when to look again.
    pub fn next(&mut self, now: Timestamp) -> Next {
        self.look_again(now);
        let stop = self.stops.iter().map(|(name, reason)| (name.clone(), *reason)).collect();
        Next { start: self.starts(), stop, wake_at: self.wake_at(now) }
    }

    /// The syncs that were looked at since this was last asked, some of them gone: what is said of all others is as it was.
    pub fn seen(&mut self) -> BTreeSet<Name> {
        std::mem::take(&mut self.seen)
    }

    /// The state of a sync when it was last looked at; none: there is no such sync.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<SyncState> {
        Some(match self.kept.get(name)?.is {
            Is::Running => SyncState::Running,
            Is::Held(state) => state,
            Is::Ready(..) => SyncState::Ready,
        })
    }

    /// One sync in full; none: there is no such sync.
    #[must_use]
    pub fn look(&self, now: Timestamp, sync: &str) -> Option<Look> {
        let job = self.board.jobs.get(sync)?;
        Some(Looks::over(self.running(), &self.board, &self.conditions, now).at(job, self.board.remote_of(job)))
    }

    fn running(&self) -> impl Iterator<Item = (&Name, &Job)> {
        self.running.iter().filter_map(|name| self.board.jobs.get_key_value(name))
    }

    /// Brings every verdict up to this moment.
    fn look_again(&mut self, now: Timestamp) {
        if self.looked.is_some_and(|before| now < before) {
            self.all_stale = true;
        }
        self.looked = Some(now);
        let mut names: Vec<Name> = std::mem::take(&mut self.stale).into_iter().collect();
        if std::mem::take(&mut self.all_stale) {
            names.extend(self.board.jobs.keys().cloned());
        } else {
            names.extend(self.ahead.iter().cloned());
            for heap in [&mut self.timers, &mut self.bells] {
                take_due(heap, now, &mut names);
            }
        }
        self.add_those_behind(&mut names);
        // In the order of the board, each is found beside the one before: that halves what a look at ten thousand costs.
        names.sort_unstable();
        names.dedup();
        let mut remotes = HashSet::new();
        for name in &names {
            self.look_at(name, now, &mut remotes);
        }
        match self.seen.is_empty() {
            true => self.seen = names.into_iter().collect(),
            false => self.seen.extend(names),
        }
        // All are taken away before any is shown: a sync that went from one remote to another has one place.
        for remote in &remotes {
            if let Some(before) = self.queues.get_mut(remote).and_then(|queue| queue.open.take()) {
                self.open.remove(&before);
            }
        }
        remotes.iter().for_each(|remote| self.open(remote));
        self.tidy();
    }

    /// Adds those that are held by how these are: what one waits for is known of it alone, so one step is enough.
    fn add_those_behind(&self, names: &mut Vec<Name>) {
        if self.behind.is_empty() || planted::is("those behind unseen") {
            return;
        }
        let behind: Vec<Name> = names.iter().filter_map(|name| self.behind.get(name)).flatten().cloned().collect();
        names.extend(behind);
    }

    fn look_at(&mut self, name: &Name, now: Timestamp, remotes: &mut HashSet<Name>) {
        let before = self.kept.remove(name);
        if let Some(Kept { remote, is, after, .. }) = &before {
            for first in after {
                if let Some(behind) = self.behind.get_mut(first) {
                    behind.remove(name);
                    if behind.is_empty() {
                        self.behind.remove(first);
                    }
                }
            }
            self.stops.remove(name);
            self.ahead.remove(name);
            if let Some(queue) = self.queues.get_mut(remote) {
                match is {
                    Is::Running => queue.runs -= 1,
                    Is::Ready(turn, _) => {
                        queue.ready.remove(&(*turn, name.clone()));
                    }
                    Is::Held(_) => {}
                }
            }
            if matches!(is, Is::Running) {
                self.running.remove(name);
            }
            if !remotes.contains(remote) {
                remotes.insert(remote.clone());
            }
        }
        let Some(job) = self.board.jobs.get(name) else { return };
        let known = self.board.remote_of(job);
        let verdict = Verdict::of(job, &self.board, &self.conditions, now);
        if ahead(job, known, now) {
            self.ahead.insert(name.clone());
        }
        let (changes, bell, remote) = (verdict.changes(), verdict.has_bell(), job.plan.remote.clone());
        // An entry of before that still holds is there already.
        if let Some(at) = changes
            && before.is_none_or(|before| (before.changes, before.bell) != (Some(at), bell) || at <= now)
        {
            let heap = if bell { &mut self.bells } else { &mut self.timers };
            heap.push(Reverse((at, name.clone())));
        }
        let queue = self.queues.entry(remote.clone()).or_default();
        let is = match verdict {
            Verdict::Held(hold, _) => Is::Held(hold.state()),
            Verdict::Ready(turn, trigger, _) => {
                queue.ready.insert((turn, name.clone()));
                Is::Ready(turn, trigger)
            }
            Verdict::Runs(_) | Verdict::Stops(..) => {
                if let Verdict::Stops(reason, _) = verdict {
                    self.stops.insert(name.clone(), reason);
                }
                queue.runs += 1;
                self.running.insert(name.clone());
                Is::Running
            }
        };
        if !remotes.contains(&remote) {
            remotes.insert(remote.clone());
        }
        let after = job.plan.after.clone();
        for first in &after {
            self.behind.entry(first.clone()).or_default().insert(name.clone());
        }
        self.kept.insert(name.clone(), Kept { remote, changes, bell, is, after });
    }

    /// Shows the first of a remote that takes one more, and no other of it.
    fn open(&mut self, remote: &Name) {
        let Some(queue) = self.queues.get_mut(remote) else { return };
        if queue.ready.is_empty() && queue.runs == 0 {
            self.queues.remove(remote);
        } else if queue.runs < runs_max(self.board.remotes.get(remote)) {
            queue.open = queue.ready.first().cloned();
            self.open.extend(queue.open.clone());
        }
    }

    /// Who starts, in turn, as long as there is room.
    fn starts(&self) -> Vec<Start> {
        let mut floor = Floor::of(self.running());
        let (mut start, mut firsts, mut nexts) = (Vec::new(), self.open.iter().peekable(), BTreeSet::new());
        while floor.of_all < RUNS_MAX {
            // Of those that are the first of their remote and those whose turn comes behind one that was taken.
            let first_leads = match (firsts.peek(), nexts.first()) {
                (None, None) => break,
                (Some(first), Some(next)) => first < next,
                (first, _) => first.is_some(),
            };
            let taken = if first_leads { firsts.next() } else { nexts.pop_first() };
            let Some((turn, name)) = taken else { break };
            let Some((name, job)) = self.board.jobs.get_key_value(name) else { continue };
            let (Some(queue), Some(Is::Ready(_, trigger))) =
                (self.queues.get(&job.plan.remote), self.kept.get(name).map(|kept| kept.is))
            else {
                continue;
            };
            let remote = self.board.remote_of(job);
            if floor.room_for(job, remote).is_none() {
                floor.take(name, job);
                start.push(Start { sync: name.clone(), trigger });
            }
            if floor.of_remote.get(&*job.plan.remote).is_none_or(|runs| *runs < runs_max(remote)) {
                nexts.extend(queue.ready.range((Excluded((*turn, name.clone())), Unbounded)).next());
            }
        }
        start
    }

    fn wake_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        let mut wake = Wake { now, at: None };
        for (heap, bell) in [(&mut self.timers, false), (&mut self.bells, true)] {
            while let Some(Reverse((at, name))) = heap.peek() {
                if Kept::waits(&self.kept, name, *at, bell) {
                    wake.at(if bell { at.plus(CRON_BELL_LATE_MAX) } else { *at });
                    break;
                }
                heap.pop();
            }
        }
        wake.at
    }

    /// Throws away moments that nobody waits for any more, before there are more of them than of others.
    fn tidy(&mut self) {
        for (heap, bell) in [(&mut self.timers, false), (&mut self.bells, true)] {
            if heap.len() > 64 + 2 * self.kept.len() {
                heap.retain(|Reverse((at, name))| Kept::waits(&self.kept, name, *at, bell));
            }
        }
    }
}

/// Takes what is due from a heap: one by one where there are few, else by going over all of it once.
fn take_due(heap: &mut BinaryHeap<Reverse<(Timestamp, Name)>>, now: Timestamp, names: &mut Vec<Name>) {
    for _ in 0..TAKEN_ONE_BY_ONE {
        if heap.peek().is_none_or(|Reverse((at, _))| *at > now) {
            return;
        }
        names.extend(heap.pop().map(|Reverse((_, name))| name));
    }
    heap.retain(|Reverse((at, name))| {
        let waits = *at > now;
        if !waits {
            names.push(name.clone());
        }
        waits
    });
}

/// Whether anything of it was stamped ahead of now.
fn ahead(job: &Job, remote: Option<&Remote>, now: Timestamp) -> bool {
    let last = match job.last {
        Last::Never => job.plan.initial_delay.and(Some(job.since)),
        Last::Done { began } | Last::Stopped { began, .. } => Some(began),
        Last::Failed { ended } => Some(ended),
    };
    let running = job.running.as_ref().map(|running| running.began.max(running.heard));
    let asked = remote.and_then(|remote| remote.patience).map(|patience| patience.asked);
    let kept = remote.and_then(|remote| remote.budget).map(|patience| patience.asked);
    let stamps = [
        last,
        running,
        asked,
        kept,
        job.up,
        job.request.map(|request| request.at),
        job.change.map(|(first, last)| first.max(last)),
        job.ring.map(|(since, _)| since),
    ];
    stamps.into_iter().flatten().any(|stamp| stamp > now)
}
