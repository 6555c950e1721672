//! Owns: sessions, between core words and wire words. Must never know: how they are kept.

use mingle_core::{
    ask::{self, ChangeKind, LostOne, Push, Take, Took},
    session::{Mode, State},
};
use mingle_proto::{
    Error,
    call::{self, SessionMode, SessionState},
};

use super::{data, raw};

/// Where a session is.
pub(in crate::ipc) fn session_state(state: State) -> SessionState {
    match state {
        State::Negotiating => SessionState::Negotiating,
        State::Pushing => SessionState::Pushing,
        State::Mingling => SessionState::Mingling,
        State::Pulling => SessionState::Pulling,
        State::Finished => SessionState::Finished,
        State::Cancelled => SessionState::Cancelled,
    }
}

/// A mode.
pub(super) fn mode(mode: Mode) -> SessionMode {
    match mode {
        Mode::Fast => SessionMode::Fast,
        Mode::Slow => SessionMode::Slow,
        Mode::Refresh => SessionMode::Refresh,
        Mode::PullTruth => SessionMode::PullTruth,
        Mode::PushTruth => SessionMode::PushTruth,
    }
}

fn mode_of(mode: SessionMode) -> Mode {
    match mode {
        SessionMode::Fast => Mode::Fast,
        SessionMode::Slow => Mode::Slow,
        SessionMode::Refresh => Mode::Refresh,
        SessionMode::PullTruth => Mode::PullTruth,
        SessionMode::PushTruth => Mode::PushTruth,
    }
}

/// `session.begin`.
pub(in crate::ipc) fn session_begin(begin: call::SessionBegin, invites: Option<ask::Invites>) -> ask::Begin {
    ask::Begin { collections: begin.collections, mode: begin.mode.map(mode_of), anchor: begin.anchor, invites }
}

/// `session.join`.
pub(in crate::ipc) fn session_join(join: call::SessionJoin) -> ask::Join {
    let call::SessionJoin { session, decline, collections, mode, anchor } = join;
    ask::Join { session, decline, collections, mode: mode.map(mode_of), anchor }
}

/// What `session.join` answers.
pub(in crate::ipc) fn session_joined(joined: ask::Joined) -> call::SessionJoined {
    let ask::Joined { session, state, mode: how, joined } = joined;
    call::SessionJoined { session, state: session_state(state), mode: how.map(mode), joined }
}

/// What `session.begin` answers.
pub(in crate::ipc) fn session_begun(begun: ask::Begun) -> call::SessionBegun {
    let state = if begun.invited.is_empty() { SessionState::Pushing } else { SessionState::Negotiating };
    call::SessionBegun { session: begun.session, state, mode: mode(begun.mode), invited: begun.invited }
}

/// The changes of a `session.push`.
pub(in crate::ipc) fn pushes(changes: Vec<call::Push>) -> Result<Vec<Push>, Error> {
    let one = |change| {
        Ok(match change {
            call::Push::Put(put) => Push::Put { collection: put.collection, id: put.id, data: data::object(&put.data, "data")? },
            call::Push::Patch(patch) => {
                Push::Patch { collection: patch.collection, id: patch.id, patch: data::object(&patch.patch, "patch")? }
            }
            call::Push::Delete(delete) => Push::Delete { collection: delete.collection, id: delete.id },
        })
    };
    changes.into_iter().map(one).collect()
}

/// The collection that a change is of.
pub(in crate::ipc) fn pushed_into(push: &Push) -> &str {
    let (Push::Put { collection, .. } | Push::Patch { collection, .. } | Push::Delete { collection, .. }) = push;
    collection
}

/// What `session.push` answers.
pub(in crate::ipc) fn session_pushed(pushed: u64) -> call::SessionPushed {
    call::SessionPushed { state: SessionState::Pushing, pushed }
}

/// `session.lost`: of which session, and what.
pub(in crate::ipc) fn lost(lost: call::SessionLost) -> (String, LostOne) {
    (lost.session, LostOne { collection: lost.collection, id: lost.id, again: lost.again })
}

/// What `session.mingle` answers.
pub(in crate::ipc) fn session_mingled(mingled: ask::Mingled) -> call::SessionMingled {
    let ask::Mingled { changed, conflicts, deleted } = mingled;
    call::SessionMingled { state: SessionState::Pulling, changed, conflicts, deleted }
}

/// What `session.pull` answers.
pub(in crate::ipc) fn session_pulled(pulled: ask::Pulled) -> call::SessionPulled {
    let one = |one: ask::PulledOne| call::PulledRecord {
        collection: one.collection,
        id: one.id,
        seq: one.seq,
        kind: match one.kind {
            ChangeKind::Created => call::ChangeKind::Created,
            ChangeKind::Updated => call::ChangeKind::Updated,
            ChangeKind::Deleted => call::ChangeKind::Deleted,
            ChangeKind::Left => call::ChangeKind::Left,
        },
        data: one.data.as_deref().and_then(raw),
    };
    call::SessionPulled { records: pulled.records.into_iter().map(one).collect(), cursor: pulled.cursor }
}

/// The records of a `session.accept`.
pub(in crate::ipc) fn accepts(records: Vec<call::Accepted>) -> Result<Vec<Take>, Error> {
    let one = |one: call::Accepted| {
        let form = one.data.as_ref().map(|form| data::object(form, "data")).transpose()?;
        Ok(Take { collection: one.collection, id: one.id, seq: one.seq, how: Took::Accepted { form, id: one.new_id } })
    };
    records.into_iter().map(one).collect()
}

/// The records of a `session.refuse`.
pub(in crate::ipc) fn refuses(records: Vec<call::Refused>) -> Vec<Take> {
    let one = |one: call::Refused| Take { collection: one.collection, id: one.id, seq: one.seq, how: Took::Refused };
    records.into_iter().map(one).collect()
}

/// What `session.accept` and `session.refuse` answer.
pub(in crate::ipc) fn session_taken(taken: u64) -> call::SessionTaken {
    call::SessionTaken { state: SessionState::Pulling, taken }
}

/// What `session.commit` and `session.finish` answer.
pub(in crate::ipc) fn session_closed(closed: ask::Closed, state: SessionState) -> call::SessionClosed {
    call::SessionClosed { state, anchor: closed.anchor.unwrap_or_default(), taken: closed.taken }
}
