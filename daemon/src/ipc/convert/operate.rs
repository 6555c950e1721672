//! Owns: syncs, runs, decisions, remotes and the daemon itself, from the core's words to the wire's and back. Must never know: how
//! the schedule decides.

use mingle_core::{
    ask::{
        Ability, Accepted, Attention, ConflictRow, DaemonState, Explained, Halted, Holding, IfExists, Keep, LoggedIn, LoginBegun,
        LoginPlace, Outcome, Pinged, Progress, Rebuilding, Redefined, RejectionRow, Reloaded, RemoteChecked, RemoteRow,
        Resolution, RunRow, RunState, RunWaited, Status, SyncRow, SyncState, SyncStatus, Trouble, WaitState, Waited, Written,
    },
    run::{
        Mode,
        reset::{How, Reset},
    },
    schedule::Conditions,
};
use mingle_proto::{Error, call};
use serde_json::Value;

use super::{invalid, ms, raw, time, waits, word};
use crate::ipc::connections::Connected;

pub(in crate::ipc) fn daemon_state(state: DaemonState) -> call::DaemonState {
    match state {
        DaemonState::Running => call::DaemonState::Running,
        DaemonState::Stopping => call::DaemonState::Stopping,
        DaemonState::Stopped => call::DaemonState::Stopped,
    }
}

pub(in crate::ipc) fn sync_state(state: SyncState) -> call::ScheduleState {
    match state {
        SyncState::Disabled => call::ScheduleState::Disabled,
        SyncState::Waiting => call::ScheduleState::Waiting,
        SyncState::Blocked => call::ScheduleState::Blocked,
        SyncState::Ready => call::ScheduleState::Ready,
        SyncState::Running => call::ScheduleState::Running,
    }
}

/// `status`. What the socket knows itself comes beside what the daemon says.
pub(in crate::ipc) fn status(
    status: Status,
    instance: String,
    seq: u64,
    build: String,
    apps: Vec<Connected>,
) -> call::StatusAnswer {
    call::StatusAnswer {
        state: daemon_state(status.state),
        since_at: time(status.since),
        by: status.by,
        lease: status.lease,
        instance,
        seq,
        build,
        uptime_ms: ms(status.uptime),
        conditions: conditions(&status.conditions),
        store: call::StoreStatus { bytes: status.store_bytes, wal_bytes: status.wal_bytes },
        syncs: status.syncs.into_iter().map(sync_status).collect(),
        apps: apps.into_iter().map(app).collect(),
        attention: status.attention.into_iter().map(attention).collect(),
        config: status.config.map(|config| call::ConfigStatus { path: config.path, found: config.found, looked: config.looked }),
    }
}

fn conditions(conditions: &Conditions) -> call::Conditions {
    let Conditions { stopped: _, sleeps, online, metered, charging, battery_low, storage_low, disk_shut, idle } = *conditions;
    call::Conditions { online, metered, charging, battery_low, storage_low, idle, sleeps, disk_shut }
}

fn app(app: Connected) -> call::AppStatus {
    let subscriptions = app.subscriptions as u64;
    call::AppStatus { app: app.app, pid: app.pid, since_at: time(app.since), subscriptions }
}

pub(in crate::ipc) fn reloaded(reloaded: Reloaded) -> call::ReloadAnswer {
    let applied =
        |(section, change): (String, String)| call::Applied { section, change: word(&change, call::SectionChange::Unknown) };
    call::ReloadAnswer {
        applied: reloaded.applied.into_iter().map(applied).collect(),
        after_restart: reloaded.after_restart,
        orphaned: reloaded.orphaned.into_iter().map(|(sync, pending)| call::Orphaned { sync, pending }).collect(),
    }
}

fn attention(attention: Attention) -> call::Attention {
    let Attention { name, about, since, hint } = attention;
    call::Attention { name, about, since_at: time(since), hint }
}

fn sync_status(sync: SyncStatus) -> call::SyncStatus {
    call::SyncStatus {
        sync: sync.sync,
        state: sync_state(sync.state),
        hold: sync.hold.map(hold),
        next_at: sync.next.map(time),
        fresh_at: sync.fresh.map(time),
        demand: sync.demand.map(super::fresh::demand),
        last: sync.last.map(run),
        run: sync.run.map(progress),
        pending: sync.pending,
        conflicts: sync.conflicts,
        rejections: sync.rejections,
    }
}

fn progress(progress: Progress) -> call::Progress {
    let Progress { run, phase, done, total } = progress;
    call::Progress { run, phase, done, total }
}

pub(in crate::ipc) fn hold(hold: Holding) -> call::Hold {
    let Holding { name, bar, has, needs, until, hint } = hold;
    call::Hold { name, has, needs, until_at: until.map(time), hint, waits_for: Some(waits::needs(bar.lacks())) }
}

/// What went wrong, in its three parts.
pub(in crate::ipc) fn trouble(trouble: Trouble) -> call::Trouble {
    let Trouble { name, what, hint } = trouble;
    call::Trouble { name, what, hint }
}

/// One run of the history.
pub(in crate::ipc) fn run(run: RunRow) -> call::Run {
    call::Run {
        run: run.run,
        sync: run.sync,
        status: word(&run.status, call::RunStatus::Unknown),
        result: run.result.map(|result| word(&result, call::RunResult::Unknown)),
        trigger: run.trigger,
        stop_reason: run.stop_reason,
        started_at: Some(time(run.started)),
        ended_at: run.ended.map(time),
        down: run.down,
        up: run.up,
        rejected: run.rejected,
        conflicts: run.conflicts,
        bytes: run.bytes,
        bytes_up: run.traffic.map(|traffic| traffic.bytes_up),
        bytes_down: run.traffic.map(|traffic| traffic.bytes_down),
        requests: run.traffic.map(|traffic| traffic.requests),
        not_modified: run.traffic.map(|traffic| traffic.not_modified),
        error: run.error.map(trouble),
        reset: run.reset.map(reset),
        attempt: run.attempt,
        waited_ms: run.waited.as_ref().map(|(waited, _)| ms(*waited)),
        waited_for: run.waited.map(|(_, by)| by),
    }
}

/// `explain`.
pub(in crate::ipc) fn explained(explained: Explained) -> call::ExplainAnswer {
    call::ExplainAnswer {
        sync: explained.sync,
        state: sync_state(explained.state),
        holds: explained.holds.into_iter().map(hold).collect(),
        next_at: explained.next.map(time),
        fresh_at: explained.fresh.map(time),
        demand: explained.demand.map(super::fresh::demand),
        last: explained.last.into_iter().map(run).collect(),
        text: explained.text,
    }
}

/// One line of `sync.list`.
pub(in crate::ipc) fn sync_definition(sync: SyncRow) -> call::SyncDefinition {
    call::SyncDefinition {
        sync: sync.sync,
        collection: sync.collection,
        remote: sync.remote,
        resource: sync.resource,
        direction: word(&sync.direction, call::Direction::Unknown),
        every_ms: sync.every.map(ms),
        every_max_ms: sync.every_max.map(ms),
        cron: sync.cron,
        demand: sync.on_demand,
        initial_delay_ms: sync.initial_delay.map(ms),
        after: sync.after,
        priority: sync.priority,
        tags: sync.tags,
        generation: sync.defined.as_ref().map(|defined| defined.generation),
        defined_by: sync.defined.map(|defined| defined.by),
        state: sync_state(sync.state),
    }
}

/// `sync.define`.
pub(in crate::ipc) fn redefined(sync: String, redefined: Redefined) -> call::SyncDefineAnswer {
    let outcome = match redefined.outcome {
        Outcome::Created => call::DefineOutcome::Created,
        Outcome::Kept => call::DefineOutcome::Kept,
        Outcome::Updated => call::DefineOutcome::Updated,
        Outcome::Replaced => call::DefineOutcome::Replaced,
        Outcome::Removed => call::DefineOutcome::Unknown,
    };
    call::SyncDefineAnswer { sync, outcome, generation: redefined.generation }
}

pub(in crate::ipc) fn if_exists(if_exists: Option<call::IfExists>) -> IfExists {
    match if_exists {
        Some(call::IfExists::Keep) => IfExists::Keep,
        Some(call::IfExists::Update) | None => IfExists::Update,
        Some(call::IfExists::Replace) => IfExists::Replace,
    }
}

/// `sync.ping`.
pub(in crate::ipc) fn pinged(pinged: Vec<Pinged>) -> call::SyncPingAnswer {
    let one = |one: Pinged| call::PingedSync { sync: one.sync, state: sync_state(one.state), hold: one.hold.map(hold) };
    call::SyncPingAnswer { syncs: pinged.into_iter().map(one).collect() }
}

pub(in crate::ipc) fn mode(mode: call::Mode) -> Mode {
    match mode {
        call::Mode::Fast => Mode::Fast,
        call::Mode::Slow => Mode::Slow,
        call::Mode::Refresh => Mode::Refresh,
    }
}

pub(in crate::ipc) fn how(how: call::ResetHow) -> How {
    match how {
        call::ResetHow::Recover => How::Recover,
        call::ResetHow::RecoverOrDiscard => How::RecoverOrDiscard,
        call::ResetHow::Discard => How::Discard,
    }
}

/// The reset that a run was of.
pub(super) fn reset(reset: Reset) -> call::RunReset {
    let Reset { how, why, copy } = reset;
    call::RunReset { how: how.word().into(), why: why.word().into(), copy }
}

pub(super) fn mode_told(mode: Mode) -> call::Mode {
    match mode {
        Mode::Fast => call::Mode::Fast,
        // A rebuild is a run of this kind.
        Mode::Slow | Mode::Rebuild => call::Mode::Slow,
        Mode::Refresh => call::Mode::Refresh,
    }
}

/// `rebuild`.
pub(in crate::ipc) fn rebuilding(rebuilding: Rebuilding) -> call::RebuildAnswer {
    let run = |(sync, accepted): (String, Accepted)| call::RebuildRun { sync, run: accepted.run, queued: accepted.queued };
    call::RebuildAnswer {
        runs: rebuilding.runs.into_iter().map(run).collect(),
        unsent: rebuilding.unsent,
        conflicts: rebuilding.conflicts,
        rejections: rebuilding.rejections,
    }
}

/// `stop`, `restart`.
pub(in crate::ipc) fn halted(halted: Halted) -> call::StateAnswer {
    call::StateAnswer { state: daemon_state(halted.state), runs: halted.runs }
}

fn wait_state(state: WaitState) -> call::Settled {
    match state {
        WaitState::Done => call::Settled::Done,
        WaitState::Pending => call::Settled::Pending,
        WaitState::Rejected => call::Settled::Rejected,
        WaitState::Overruled => call::Settled::Overruled,
    }
}

/// `wait` for a write.
pub(in crate::ipc) fn waited(waited: Waited) -> call::WaitAnswer {
    let one = |(remote, state, error)| call::RemoteSettled { remote, state: wait_state(state), error };
    call::WaitAnswer {
        state: wait_state(waited.state),
        why: waited.why,
        remotes: waited.remotes.into_iter().map(one).collect(),
        ..Default::default()
    }
}

/// `wait` for a run.
pub(in crate::ipc) fn run_waited(waited: RunWaited) -> call::WaitAnswer {
    let state = match waited.state {
        RunState::Pending => call::Settled::Pending,
        RunState::Done => call::Settled::Done,
        RunState::DoneWithErrors => call::Settled::DoneWithErrors,
        RunState::Failed => call::Settled::Failed,
        RunState::Stopped => call::Settled::Stopped,
        RunState::Cancelled => call::Settled::Cancelled,
    };
    let remotes = waited.remote.map(|(remote, error)| call::RemoteSettled { remote, state, error });
    call::WaitAnswer { state, why: waited.why, remotes: remotes.into_iter().collect(), ..Default::default() }
}

/// One line of `conflict.list`.
pub(in crate::ipc) fn conflict(row: ConflictRow) -> call::Conflict {
    call::Conflict {
        conflict: row.conflict,
        open: row.open,
        collection: row.collection,
        id: row.id,
        property: row.property,
        agreed: row.agreed.as_deref().and_then(raw),
        truth: row.truth.as_deref().and_then(raw),
        theirs: row.theirs.as_deref().and_then(raw),
        replica: row.replica,
        verdict: row.verdict,
        seq: row.seq,
        at: time(row.at),
        would: None,
    }
}

/// What stays of a conflict: exactly one of the two is given.
pub(in crate::ipc) fn keep(keep: Option<call::Keep>, value: Option<mingle_proto::Raw>) -> Result<Keep, Error> {
    match (keep, value) {
        (Some(call::Keep::Truth), None) => Ok(Keep::Truth),
        (Some(call::Keep::Theirs), None) => Ok(Keep::Theirs),
        (Some(call::Keep::Agreed), None) => Ok(Keep::Agreed),
        (None, Some(value)) => Ok(Keep::Value(value.get().to_owned())),
        (None, None) | (Some(_), Some(_)) => {
            Err(invalid("exactly one of keep and value", "keep: truth, theirs or agreed; or value: what shall stand instead"))
        }
    }
}

/// One line of `rejection.list`.
pub(in crate::ipc) fn rejection(row: RejectionRow) -> call::Rejection {
    call::Rejection {
        rejection: row.rejection,
        side: word(&row.side, call::Side::Unknown),
        collection: row.collection,
        id: row.id,
        remote_id: row.remote_id,
        sync: row.sync,
        action: row.action,
        what: row.what,
        at: time(row.at),
        tries: row.tries.into(),
    }
}

pub(in crate::ipc) fn resolution(with: call::With) -> Resolution {
    match with {
        call::With::Retry => Resolution::Retry,
        call::With::Drop => Resolution::Drop,
        call::With::Recreate => Resolution::Recreate,
        call::With::Rollback => Resolution::Rollback,
    }
}

/// `rejection.resolve`: a rejected row that never became a record has neither id nor seq nor token.
pub(in crate::ipc) fn resolved(written: Written) -> call::Resolved {
    let Written { writes, token, op } = written;
    match writes.into_iter().next() {
        Some(one) => call::Resolved { id: Some(one.id), seq: Some(one.seq), token: Some(token), op },
        None => call::Resolved { id: None, seq: None, token: None, op },
    }
}

/// One line of `remote.list`.
pub(in crate::ipc) fn remote(row: RemoteRow) -> call::RemoteStatus {
    let ability = |(name, how)| match how {
        Ability::Can(can) => (name, Value::Bool(can)),
        Ability::How(word) => (name, Value::String(word)),
    };
    let RemoteRow { remote, kind, profile, url, login, abilities } = row;
    let (login, abilities) = (login.map(str::to_owned), abilities.into_iter().map(ability).collect());
    call::RemoteStatus { remote, kind, profile, url, login, abilities }
}

/// `remote.check`.
pub(in crate::ipc) fn remote_checked(checked: RemoteChecked) -> call::RemoteCheckAnswer {
    let took_ms = ms(checked.took);
    match checked.trouble {
        None => {
            let what = "it answers, and takes the credentials".to_owned();
            call::RemoteCheckAnswer { remote: checked.remote, ok: true, what, hint: None, took_ms }
        }
        Some(trouble) => {
            call::RemoteCheckAnswer { remote: checked.remote, ok: false, what: trouble.what, hint: trouble.hint, took_ms }
        }
    }
}

/// `remote.login`.
pub(in crate::ipc) fn logged_in(LoginPlace { remote, place, .. }: LoginPlace) -> call::RemoteLoginAnswer {
    call::RemoteLoginAnswer { remote, place }
}

/// `remote.authorize`.
pub(in crate::ipc) fn login_begun(LoginBegun { remote, login, url, code, within }: LoginBegun) -> call::RemoteAuthorizeAnswer {
    call::RemoteAuthorizeAnswer { remote, login, url, code, within_ms: ms(within) }
}

/// `remote.authorized`.
pub(in crate::ipc) fn authorized(
    LoggedIn { remote, place, account, lacks, renews, over }: LoggedIn,
) -> call::RemoteAuthorizedAnswer {
    call::RemoteAuthorizedAnswer { remote, place, account, lacks, renews: Some(renews), over_at: over.map(time) }
}

/// `remote.logout`.
pub(in crate::ipc) fn logged_out(LoginPlace { remote, place, done, left }: LoginPlace) -> call::RemoteLogoutAnswer {
    call::RemoteLogoutAnswer { remote, place, removed: done, left }
}

/// What `shutdown` answers.
pub(in crate::ipc) fn shutting_down() -> call::ShutdownAnswer {
    call::ShutdownAnswer { state: call::DaemonState::Stopping }
}

/// The words that the core hands over as text are words of the wire; what is not shows as `unknown`.
#[cfg(test)]
mod tests {
    use mingle_core::time::Timestamp;
    use mingle_proto::Name;

    use super::*;

    fn row(status: &str, result: Option<&str>) -> RunRow {
        RunRow {
            reset: None,
            attempt: None,
            waited: None,
            run: "r-1".into(),
            sync: "s".into(),
            status: status.into(),
            result: result.map(str::to_owned),
            trigger: "timer".into(),
            stop_reason: None,
            started: Timestamp::from_unix_ms(0),
            ended: None,
            down: 1,
            up: 2,
            rejected: 3,
            conflicts: 4,
            bytes: 5,
            traffic: None,
            error: Some(Trouble { name: "needs_login".into(), what: "it says no".into(), hint: Some("log in".into()) }),
        }
    }

    #[test]
    fn words_of_a_run_are_words_of_the_wire() {
        for status in call::RunStatus::ALL {
            assert_eq!(run(row(status.word(), None)).status, *status);
        }
        for result in call::RunResult::ALL {
            assert_eq!(run(row("done", Some(result.word()))).result, Some(*result));
        }
        let run = run(row("nonsense", None));
        assert_eq!(run.status, call::RunStatus::Unknown);
        let error = run.error.unwrap();
        assert_eq!(
            (error.name.as_str(), error.what.as_str(), error.hint.as_deref()),
            ("needs_login", "it says no", Some("log in"))
        );
    }

    #[test]
    fn a_conflict_keeps_exactly_one_thing() {
        let raw = || mingle_proto::Raw::default();
        assert_eq!(keep(Some(call::Keep::Theirs), None), Ok(Keep::Theirs));
        assert_eq!(keep(None, Some(raw())), Ok(Keep::Value("null".into())));
        for (one, other) in [(None, None), (Some(call::Keep::Truth), Some(raw()))] {
            assert_eq!(keep(one, other).map_err(|error| error.name()), Err(Name::Invalid));
        }
    }
}
