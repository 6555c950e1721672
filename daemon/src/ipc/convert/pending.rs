//! Owns: what waits to be sent, between core words and wire words. Must never know: how it is told.

use mingle_core::{
    ask::{self, Scope, WhichPending},
    pending::{Change, State},
};
use mingle_proto::{Error, call};

use super::data::limit;

/// Which pending changes are asked for.
pub(in crate::ipc) fn which_pending(list: call::PendingList, scope: Scope) -> Result<WhichPending, Error> {
    let state = list.state.map(|wanted| match wanted {
        call::PendingWanted::Rejected => State::Rejected,
        call::PendingWanted::InFlight => State::InFlight,
        call::PendingWanted::AwaitingAck => State::AwaitingAck,
        call::PendingWanted::Deferred => State::Deferred,
        call::PendingWanted::Pending => State::Pending,
    });
    Ok(WhichPending { scope, sync: list.sync, state, limit: limit(list.limit)?, cursor: list.cursor })
}

/// One of them.
pub(in crate::ipc) fn pending(row: ask::PendingRow) -> call::PendingOne {
    let (change, properties) = match row.change {
        Change::Create => (call::PendingChange::Create, Vec::new()),
        Change::Update(properties) => (call::PendingChange::Update, properties.into_iter().collect()),
        Change::Delete => (call::PendingChange::Delete, Vec::new()),
    };
    let state = match row.state {
        State::Rejected => call::PendingState::Rejected,
        State::InFlight => call::PendingState::InFlight,
        State::AwaitingAck => call::PendingState::AwaitingAck,
        State::Deferred => call::PendingState::Deferred,
        State::Pending => call::PendingState::Pending,
    };
    call::PendingOne {
        sync: row.sync,
        remote: row.remote,
        collection: row.collection,
        id: row.id,
        state,
        change,
        properties,
        seq: row.seq,
        rejection: row.rejection,
        why: row.why,
    }
}

/// One that was not taken back.
pub(in crate::ipc) fn left(left: ask::Left) -> call::PendingLeft {
    call::PendingLeft { id: left.id, why: left.why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_asked_for_and_told_in_its_own_word() {
        let told = |state| {
            let row = ask::PendingRow {
                sync: String::new(),
                remote: String::new(),
                collection: String::new(),
                id: String::new(),
                state,
                change: Change::Create,
                seq: 1,
                rejection: None,
                why: None,
            };
            pending(row).state.word()
        };
        for state in State::ALL {
            assert_eq!(told(state), state.name());
            let wanted = call::PendingList { state: state.name().parse().ok(), ..call::PendingList::default() };
            assert_eq!(which_pending(wanted, Scope::All).map(|which| which.state), Ok(Some(state)));
        }
    }
}
