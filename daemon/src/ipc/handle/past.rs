//! Owns: serving what was: why a value is what it is, and taking changes back. Must never know: how the past is kept.

use mingle_core::ask::Writer;
use mingle_proto::{
    Error,
    call::{Undo, Why},
};

use super::{Asked, held, later, text};
use crate::ipc::{
    convert::{self, refusal},
    served::Served,
};

pub(super) fn why(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Why { collection, id, property } = asked.params()?;
    let door = asked.read(&collection)?;
    convert::record_id(&id)?;
    let why = door.why(&collection, &id, property.as_deref()).map_err(refusal)?;
    asked.answer(&convert::why(why))
}

pub(super) fn undo(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let mut undo: Undo = asked.params()?;
    let (preview, op, instance) = (undo.preview, undo.op.take(), undo.instance.take());
    let (door, app, scope) = asked.write_any(undo.collection.take())?;
    let undo = convert::undo(undo, scope)?;
    if preview {
        return later(door.undo_preview(undo), convert::undo_preview, true);
    }
    let op = convert::write_op(op)?;
    let work = door.undo(Writer { app, op: Some(op.clone()), instance }, undo);
    let answer = |undone| text(&convert::undone(undone));
    Ok(held(async move { work.await.map_err(refusal).and_then(answer).map_err(|error| error.op(op)) }, false))
}
