//! Owns: waits for syncs and moments of next runs, between core words and wire words. Must never know: when they are over.

use mingle_core::{
    ask::{Behind, NextRun, SyncState, SyncsWaited},
    engine::{Lacks, Until},
};
use mingle_proto::{Error, Time, call};

use super::{
    invalid,
    operate::{hold, trouble},
    past::parsed,
    sync_state, time,
};

/// What is waited for.
pub(in crate::ipc) fn until(since: Option<&Time>, reaches: Option<call::SyncReaches>, all: bool) -> Result<Until, Error> {
    match (reaches, since) {
        (None, None) => Ok(Until::Synced { since: None }),
        (None, Some(at)) => Ok(Until::Synced { since: Some(parsed("since_at", at)?) }),
        (Some(_), _) if all => Err(invalid("all syncs have no state in common", "syncs: name those that are to reach it")),
        (Some(_), Some(_)) => Err(invalid("a state has no since_at", "leave out one of since_at and reaches")),
        (Some(state), None) => Ok(Until::State(match state {
            call::SyncReaches::Disabled => SyncState::Disabled,
            call::SyncReaches::Waiting => SyncState::Waiting,
            call::SyncReaches::Blocked => SyncState::Blocked,
            call::SyncReaches::Ready => SyncState::Ready,
            call::SyncReaches::Running => SyncState::Running,
        })),
    }
}

pub(super) fn needs(lacks: Lacks) -> call::WaitNeeds {
    match lacks {
        Lacks::Time => call::WaitNeeds::Time,
        Lacks::Condition => call::WaitNeeds::Condition,
        Lacks::Person => call::WaitNeeds::Person,
    }
}

/// `wait` for syncs.
pub(in crate::ipc) fn syncs_waited(waited: SyncsWaited) -> call::WaitAnswer {
    let SyncsWaited { behind, total, lacks } = waited;
    let state = if total == 0 { call::Settled::Done } else { call::Settled::Pending };
    let why = behind.first().map(|first| {
        let more = if total > 1 { format!("; and {} more", total - 1) } else { String::new() };
        format!("{}{more}", why(first))
    });
    call::WaitAnswer {
        state,
        why,
        remotes: Vec::new(),
        syncs: behind.into_iter().map(one).collect(),
        syncs_total: Some(total as u64),
        needs: lacks.map(needs),
    }
}

fn why(behind: &Behind) -> String {
    let Behind { sync, state, hold, trouble, standing, .. } = behind;
    let mut said = vec![format!("{sync} is {}", sync_state(*state))];
    said.extend(hold.as_ref().map(|hold| format!("{}: {}, needs {}", hold.name, hold.has, hold.needs)));
    said.extend(trouble.as_ref().map(|trouble| format!("its last run: {}", trouble.what)));
    let counted = [(standing.pending, "to be sent"), (standing.conflicts, "in conflict"), (standing.rejections, "rejected")];
    said.extend(counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    said.join("; ")
}

fn one(behind: Behind) -> call::SyncBehind {
    call::SyncBehind {
        sync: behind.sync,
        state: sync_state(behind.state),
        needs: needs(behind.lacks),
        hold: behind.hold.map(hold),
        error: behind.trouble.map(trouble),
        pending: behind.standing.pending,
        conflicts: behind.standing.conflicts,
        rejections: behind.standing.rejections,
    }
}

/// `sync.next`.
pub(in crate::ipc) fn next_run(next: NextRun) -> call::SyncNextAnswer {
    call::SyncNextAnswer {
        sync: next.sync,
        state: sync_state(next.state),
        next_at: next.next.map(time),
        hold: next.hold.map(hold),
    }
}
