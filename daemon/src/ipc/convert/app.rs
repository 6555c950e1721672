//! Owns: what is known of apps, between core words and wire words. Must never know: how it is known.

use mingle_core::{
    ask::{AppRow, CopyRow, LastSession},
    session::Ended,
};
use mingle_proto::call;

use super::{grants, session, time};

/// One app of `app.list`.
pub(in crate::ipc) fn app_known(row: AppRow, connections: u64) -> call::AppKnown {
    let session =
        row.session.map(|(state, mode)| call::AppSession { state: session::session_state(state), mode: session::mode(mode) });
    call::AppKnown {
        app: row.app,
        grants: grants(&row.grants),
        connections,
        session,
        copies: row.copies.into_iter().map(copy).collect(),
    }
}

/// What `app.register` answers.
pub(in crate::ipc) fn app_registered(copies: Vec<CopyRow>) -> call::AppRegistered {
    call::AppRegistered { copies: copies.into_iter().map(copy).collect() }
}

fn copy(row: CopyRow) -> call::AppCopy {
    call::AppCopy {
        collection: row.collection,
        since_at: row.since.map(time),
        next: session::mode(row.next),
        last: row.last.map(last),
    }
}

fn last(last: LastSession) -> call::AppCopySession {
    let ended = last.ended.map(|ended| match ended {
        Ended::Finished => call::SessionEnd::Finished,
        Ended::Cancelled => call::SessionEnd::Cancelled,
        Ended::Left => call::SessionEnd::Left,
    });
    call::AppCopySession { began_at: time(last.began), mode: last.mode.map(session::mode), ended }
}
