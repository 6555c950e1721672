//! Owns: whether a sync is what somebody waits for: at rest with everything settled, or in a state. Must never know: who waits, how long.

use super::SyncShown;
use crate::{
    ask::SyncState,
    schedule::{Bar, Last},
    time::Timestamp,
};

/// What is waited for, of each sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// It is at rest (neither runs nor is due), nothing of it is pending, no conflict is open and no rejection stands, and its last run ended well.
    Synced {
        /// And began then, or later; none: whenever it did.
        since: Option<Timestamp>,
    },
    /// It has this schedule state.
    State(SyncState),
}

/// What the store has of a sync beside its schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Changes that are yet to be sent.
    pub pending: u64,
    /// Open conflicts.
    pub conflicts: u64,
    /// Rejections that stand.
    pub rejections: u64,
}

/// What a sync that is not there yet needs; the later, the less helps it but that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lacks {
    /// Nothing but time.
    Time,
    /// That something else comes about: a network, a resume, a request.
    Condition,
    /// A person's decision.
    Person,
}

impl Until {
    /// What a sync needs until then; none: it is there.
    #[must_use]
    pub fn lacks(self, shown: &SyncShown, standing: Standing) -> Option<Lacks> {
        let held = |bars: &[Bar]| shown.run.is_none() && shown.holds.iter().any(|hold| bars.contains(&hold.bar));
        let rests = held(&[Bar::NotDue, Bar::NotAsked]);
        let there = match self {
            Self::State(state) => shown.state == state,
            Self::Synced { since } => {
                let well = matches!(shown.last, Last::Done { began } if since.is_none_or(|since| since <= began));
                rests && well && standing == Standing::default()
            }
        };
        if there {
            return None;
        }
        let decides = matches!(self, Self::Synced { .. }) && rests && standing.conflicts + standing.rejections > 0;
        if decides || held(&[Bar::Person]) {
            return Some(Lacks::Person);
        }
        Some(shown.holds.first().filter(|_| shown.run.is_none()).map_or(Lacks::Time, |hold| hold.bar.lacks()))
    }
}

impl Bar {
    /// What ends it.
    #[must_use]
    pub const fn lacks(self) -> Lacks {
        match self {
            Self::NotDue | Self::Time => Lacks::Time,
            Self::Condition | Self::NotAsked => Lacks::Condition,
            Self::Person => Lacks::Person,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ask::{Holding, Progress},
        run::Direction,
    };

    const NOON: Timestamp = Timestamp::from_unix_ms(1_767_614_400_000);

    fn shown(state: SyncState, holds: &[Bar], runs: bool, last: Last) -> SyncShown {
        let hold = |bar: &Bar| {
            let name = format!("{bar:?}");
            Holding { name, bar: *bar, has: String::new(), needs: String::new(), until: None, hint: None }
        };
        SyncShown {
            sync: "s".into(),
            collection: "c".into(),
            direction: Direction::Both,
            remote: "r".into(),
            state,
            holds: holds.iter().map(hold).collect(),
            next: None,
            run: runs.then(|| Progress { run: "r-1".into(), phase: "up".into(), done: 0, total: None }),
            text: String::new(),
            failing_since: None,
            overdue_since: None,
            trouble: None,
            last,
            fresh: None,
            demand: None,
        }
    }

    #[test]
    fn when_a_sync_is_synced() {
        use Bar::{Condition, NotAsked, NotDue, Person, Time};
        use SyncState::{Blocked, Disabled, Ready, Running, Waiting};
        let (done, failed) = (Last::Done { began: NOON }, Last::Failed { ended: NOON });
        let later = Some(NOON.plus(std::time::Duration::from_millis(1)));
        #[track_caller]
        fn check(
            shown: &SyncShown,
            (pending, conflicts, rejections): (u64, u64, u64),
            since: Option<Timestamp>,
            expect: Option<Lacks>,
        ) {
            let standing = Standing { pending, conflicts, rejections };
            assert_eq!(Until::Synced { since }.lacks(shown, standing), expect, "{shown:?} {standing:?}");
        }
        let rest = shown(Waiting, &[NotDue], false, done);
        check(&rest, (0, 0, 0), None, None);
        check(&rest, (0, 0, 0), Some(NOON), None);
        check(&rest, (0, 0, 0), later, Some(Lacks::Time));
        check(&rest, (1, 0, 0), None, Some(Lacks::Time));
        check(&rest, (0, 1, 0), None, Some(Lacks::Person));
        check(&rest, (3, 0, 1), None, Some(Lacks::Person));
        // What only requests make due is at rest as well; but nothing makes it begin.
        check(&shown(Waiting, &[NotAsked], false, done), (0, 0, 0), None, None);
        check(&shown(Waiting, &[NotAsked], false, Last::Never), (0, 0, 0), None, Some(Lacks::Condition));
        // Stopped and paused ones may have nothing left to do.
        check(&shown(Blocked, &[Condition, NotDue], false, done), (0, 0, 0), None, None);
        check(&shown(Blocked, &[Condition], false, done), (0, 0, 0), None, Some(Lacks::Condition));
        check(&shown(Disabled, &[Condition, NotDue], false, done), (1, 0, 0), None, Some(Lacks::Condition));
        check(&shown(Waiting, &[Condition], false, done), (1, 0, 0), None, Some(Lacks::Condition));
        check(&shown(Waiting, &[Time], false, failed), (0, 0, 0), None, Some(Lacks::Time));
        check(&shown(Waiting, &[Time], false, done), (1, 0, 0), None, Some(Lacks::Time));
        check(&shown(Ready, &[], false, done), (0, 0, 0), None, Some(Lacks::Time));
        check(&shown(Ready, &[Time], false, done), (0, 0, 0), None, Some(Lacks::Time));
        check(&shown(Running, &[], true, done), (0, 1, 0), None, Some(Lacks::Time));
        check(&shown(Running, &[Condition], true, done), (0, 0, 0), None, Some(Lacks::Time));
        check(&shown(Blocked, &[Person], false, failed), (0, 0, 0), None, Some(Lacks::Person));
        check(&shown(Blocked, &[Condition, Person], false, failed), (0, 0, 0), None, Some(Lacks::Person));
    }

    #[test]
    fn when_a_sync_is_in_a_state() {
        let runs = shown(SyncState::Running, &[], true, Last::Never);
        assert_eq!(Until::State(SyncState::Running).lacks(&runs, Standing::default()), None);
        assert_eq!(Until::State(SyncState::Waiting).lacks(&runs, Standing::default()), Some(Lacks::Time));
        let held = shown(SyncState::Blocked, &[Bar::Condition], false, Last::Never);
        // What is open in a collection keeps nothing from running.
        let open = Standing { conflicts: 1, ..Standing::default() };
        assert_eq!(Until::State(SyncState::Running).lacks(&held, open), Some(Lacks::Condition));
    }
}
