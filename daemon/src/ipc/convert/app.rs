//! Owns: what is known of apps, between core words and wire words. Must never know: how it is known.

use mingle_core::{
    ask::{AppRow, CopyRow, LastSession, Register},
    session::Ended,
};
use mingle_proto::{Error, call};

use super::{data, grants, session, time};

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

/// `app.register`.
pub(in crate::ipc) fn register(register: call::AppRegister) -> Result<Register, Error> {
    let one = |(collection, filter): (String, Option<call::Where>)| {
        let tests = filter.map(|filter| data::tests(&filter)).transpose();
        tests
            .map_err(|why| Error { message: format!("the filter of {collection}: {}", why.message), ..why })
            .map(|tests| (collection, tests))
    };
    let filters = register.filters.0.into_iter().map(one).collect::<Result<_, Error>>()?;
    Ok(Register { collections: register.collections, filters })
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
        filter: (!row.filter.is_empty()).then(|| data::where_of(&row.filter)),
        filter_waits: row.filter_waits,
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
