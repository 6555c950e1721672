//! Owns: serving what waits to be sent: its lists, marks, taking it back, forgetting. Must never know: how it is sent.

use mingle_core::ask::{self, About, Writer, WrittenOne};
use mingle_proto::{
    Error,
    call::{self, Forget, PendingList, PendingListAnswer, PendingRollback, PendingRollbackAnswer, PendingUpload},
};

use super::{Asked, held, later, text};
use crate::ipc::{
    convert::{self, invalid, refusal},
    served::Served,
};

pub(super) fn list(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let mut list: PendingList = asked.params()?;
    let (door, scope) = asked.read_any(list.collection.take().map(|one| vec![one]))?;
    let page = door.pending(&convert::which_pending(list, scope)?).map_err(refusal)?;
    let pending = page.rows.into_iter().map(convert::pending).collect();
    asked.answer(&PendingListAnswer { pending, cursor: page.cursor })
}

pub(super) fn upload(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let PendingUpload { collection, ids } = asked.params()?;
    let (door, app) = asked.write(&collection)?;
    ids.iter().flatten().try_for_each(|id| convert::record_id(id))?;
    let work = door.upload(app.to_owned(), collection, ids);
    later(work, |marked| call::PendingUploadAnswer { marked }, false)
}

pub(super) fn rollback(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let PendingRollback { collection, sync, id, cursor, op, instance } = asked.params()?;
    let (door, app, collection) = match (collection, sync) {
        (Some(collection), None) => {
            let (_, app) = asked.write(&collection)?;
            (asked.desk.shared.door.clone(), app.to_owned(), collection)
        }
        (None, Some(sync)) => {
            let (door, app) = asked.write_about(About::Sync(&sync))?;
            let collection = door.collection_of(About::Sync(&sync)).map_err(refusal)?;
            (door, app, collection)
        }
        _ => return Err(invalid("exactly one of collection and sync is needed", "a sync means the collection that it sends")),
    };
    id.iter().try_for_each(|id| convert::record_id(id))?;
    let op = convert::write_op(op)?;
    let asked = ask::RollBack { collection, id, cursor };
    let work = door.roll_back(Writer { app, op: Some(op.clone()), instance }, asked);
    let answer = |done: ask::RolledBack| {
        let one = |one: WrittenOne| call::WrittenOne { id: one.id, seq: one.seq };
        text(&PendingRollbackAnswer {
            rolled_back: done.written.writes.into_iter().map(one).collect(),
            left: done.left.into_iter().map(convert::left).collect(),
            token: done.written.token,
            op: done.written.op,
            cursor: done.cursor,
        })
    };
    Ok(held(async move { work.await.map_err(refusal).and_then(answer).map_err(|error| error.op(op)) }, false))
}

pub(super) fn forget(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Forget { collection, id, if_seq, op, instance } = asked.params()?;
    let (door, app) = asked.write(&collection)?;
    convert::record_id(&id)?;
    let op = convert::write_op(op)?;
    let writer = Writer { app: app.to_owned(), op: Some(op.clone()), instance };
    let work = door.forget(writer, ask::Forget { collection, id, if_seq });
    let answer = |written| text(&convert::written(written)?);
    Ok(held(async move { work.await.map_err(refusal).and_then(answer).map_err(|error| error.op(op)) }, false))
}
