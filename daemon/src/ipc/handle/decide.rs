//! Owns: serving what people and apps decide: conflicts, rejections. Must never know: how a merge decides.

use mingle_core::ask::{About, Writer};
use mingle_proto::{
    Error,
    call::{ConflictList, ConflictListAnswer, ConflictResolve, RejectionList, RejectionListAnswer, RejectionResolve},
};

use super::{Asked, held, later, text};
use crate::ipc::{
    convert::{self, refusal},
    served::Served,
};

pub(super) fn conflict_list(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let mut list: ConflictList = asked.params()?;
    let (door, scope) = asked.read_any(list.collection.take().map(|one| vec![one]))?;
    let under = list.under;
    let which = convert::which_conflicts(list, scope);
    if let Some(rule) = under {
        return later(door.conflicts_under(which, convert::merge(rule)), move |page| convert::replayed(page, rule), true);
    }
    let page = door.conflicts(&which).map_err(refusal)?;
    let conflicts = page.rows.into_iter().map(convert::conflict).collect();
    asked.answer(&ConflictListAnswer { conflicts, cursor: page.cursor, under: None })
}

pub(super) fn conflict_resolve(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let ConflictResolve { conflict, if_seq, keep, value, op, instance } = asked.params()?;
    let keep = convert::keep(keep, value)?;
    let op = convert::write_op(op)?;
    let (door, app) = asked.write_about(About::Conflict(&conflict))?;
    let work = door.resolve_conflict(Writer { app, op: Some(op.clone()), instance }, conflict, if_seq, keep);
    let answer = |written| text(&convert::written(written)?);
    Ok(held(async move { work.await.map_err(refusal).and_then(answer).map_err(|error| error.op(op)) }, false))
}

pub(super) fn rejection_list(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let list: RejectionList = asked.params()?;
    let (door, scope) = asked.read_any(None)?;
    let page = door.rejections(&convert::which_rejections(list, scope)).map_err(refusal)?;
    let rejections = page.rows.into_iter().map(convert::rejection).collect();
    asked.answer(&RejectionListAnswer { rejections, cursor: page.cursor })
}

pub(super) fn rejection_resolve(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let RejectionResolve { rejection, with, op, instance } = asked.params()?;
    let op = convert::write_op(op)?;
    let (door, app) = asked.write_about(About::Rejection(&rejection))?;
    let work = door.resolve_rejection(Writer { app, op: Some(op.clone()), instance }, rejection, convert::resolution(with));
    let answer = |written| text(&convert::resolved(written));
    Ok(held(async move { work.await.map_err(refusal).and_then(answer).map_err(|error| error.op(op)) }, false))
}
