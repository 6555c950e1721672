//! Owns: whether a sync is what somebody waits for: at rest with everything settled, or in a state. Must never know: who waits, how long.

use super::SyncShown;
use crate::{ask::SyncState, schedule::Last, time::Timestamp};

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

/// Holds that a person alone ends, by deciding something.
const FOR_A_PERSON: [&str; 3] = ["needs_login", "epoch", "account"];
/// Holds under which a sync is not due.
const NOT_DUE: [&str; 4] = ["interval", "cron", "trigger", "next_run_at"];
/// Holds of a sync that is not blocked, and that one waits for as for a condition: who asks for a run is told so, too.
const LIKE_A_CONDITION: [&str; 3] = ["retry_after", "window", "trigger"];

impl Until {
    /// What a sync needs until then; none: it is there.
    #[must_use]
    pub fn lacks(self, shown: &SyncShown, standing: Standing) -> Option<Lacks> {
        let held = |names: &[&str]| shown.holds.iter().any(|hold| names.contains(&hold.name.as_str()));
        let rests = shown.run.is_none() && held(&NOT_DUE);
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
        let first = shown.holds.first().filter(|_| shown.run.is_none());
        let blocked = matches!(shown.state, SyncState::Blocked | SyncState::Disabled);
        Some(match first {
            _ if decides || (shown.run.is_none() && held(&FOR_A_PERSON)) => Lacks::Person,
            Some(hold) if blocked || LIKE_A_CONDITION.contains(&hold.name.as_str()) => Lacks::Condition,
            _ => Lacks::Time,
        })
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

    fn shown(state: SyncState, holds: &str, runs: bool, last: Last) -> SyncShown {
        let hold = |name: &str| Holding { name: name.into(), has: String::new(), needs: String::new(), until: None, hint: None };
        SyncShown {
            sync: "s".into(),
            collection: "c".into(),
            direction: Direction::Both,
            remote: "r".into(),
            state,
            holds: holds.split_whitespace().map(hold).collect(),
            next: None,
            run: runs.then(|| Progress { run: "r-1".into(), phase: "up".into(), done: 0, total: None }),
            text: String::new(),
            failing_since: None,
            overdue_since: None,
            trouble: None,
            last,
        }
    }

    #[test]
    fn when_a_sync_is_synced() {
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
        let rest = shown(Waiting, "interval", false, done);
        check(&rest, (0, 0, 0), None, None);
        check(&rest, (0, 0, 0), Some(NOON), None);
        check(&rest, (0, 0, 0), later, Some(Lacks::Time));
        check(&rest, (1, 0, 0), None, Some(Lacks::Time));
        check(&rest, (0, 1, 0), None, Some(Lacks::Person));
        check(&rest, (3, 0, 1), None, Some(Lacks::Person));
        // What only requests make due is at rest as well; but nothing makes it begin.
        check(&shown(Waiting, "trigger", false, done), (0, 0, 0), None, None);
        check(&shown(Waiting, "trigger", false, Last::Never), (0, 0, 0), None, Some(Lacks::Condition));
        check(&shown(Waiting, "next_run_at", false, done), (0, 0, 0), None, None);
        // Stopped and paused ones may have nothing left to do.
        check(&shown(Blocked, "stopped interval", false, done), (0, 0, 0), None, None);
        check(&shown(Blocked, "stopped", false, done), (0, 0, 0), None, Some(Lacks::Condition));
        check(&shown(Disabled, "paused interval", false, done), (1, 0, 0), None, Some(Lacks::Condition));
        check(&shown(Blocked, "network", false, done), (0, 0, 0), None, Some(Lacks::Condition));
        check(&shown(Waiting, "retry_after", false, done), (1, 0, 0), None, Some(Lacks::Condition));
        check(&shown(Waiting, "backoff", false, failed), (0, 0, 0), None, Some(Lacks::Time));
        check(&shown(Waiting, "quiet", false, done), (1, 0, 0), None, Some(Lacks::Time));
        check(&shown(Ready, "", false, done), (0, 0, 0), None, Some(Lacks::Time));
        check(&shown(Ready, "slots", false, done), (0, 0, 0), None, Some(Lacks::Time));
        check(&shown(Running, "", true, done), (0, 1, 0), None, Some(Lacks::Time));
        check(&shown(Running, "paused", true, done), (0, 0, 0), None, Some(Lacks::Time));
        for name in FOR_A_PERSON {
            check(&shown(Blocked, name, false, failed), (0, 0, 0), None, Some(Lacks::Person));
        }
    }

    #[test]
    fn when_a_sync_is_in_a_state() {
        let runs = shown(SyncState::Running, "", true, Last::Never);
        assert_eq!(Until::State(SyncState::Running).lacks(&runs, Standing::default()), None);
        assert_eq!(Until::State(SyncState::Waiting).lacks(&runs, Standing::default()), Some(Lacks::Time));
        let held = shown(SyncState::Blocked, "network", false, Last::Never);
        // What is open in a collection keeps nothing from running.
        let open = Standing { conflicts: 1, ..Standing::default() };
        assert_eq!(Until::State(SyncState::Running).lacks(&held, open), Some(Lacks::Condition));
    }
}
