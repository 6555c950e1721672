//! Owns: serving what is said by apps that do work. Must never know: what the work is.

use mingle_core::limits::OFFERED_REMOTES_MAX;
use mingle_proto::{
    Error, Name,
    call::{WorkerBatch, WorkerBatchTaken, WorkerDone, WorkerDoneAnswer, WorkerOffer, WorkerOffered},
};

use super::{Asked, later};
use crate::ipc::{
    convert::{self, refusal},
    served::Served,
};

pub(super) fn offer(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let WorkerOffer { remotes } = asked.params()?;
    let app = asked.desk.caller.own(asked.method)?.to_owned();
    if let Some(remotes) = remotes.as_ref().filter(|remotes| remotes.len() > OFFERED_REMOTES_MAX) {
        let what = format!("{} remotes in one offer, and {OFFERED_REMOTES_MAX} are taken", remotes.len());
        return Err(Error::new(Name::TooLarge, what).hint("without remotes, the offer is for all of the app's own"));
    }
    asked.operate()?;
    let (door, number) = (asked.desk.shared.door.clone(), asked.desk.number);
    let remotes = asked.desk.worker.offers(|to| door.offer_work(number, &app, remotes, to)).map_err(refusal)?;
    asked.answer(&WorkerOffered { remotes })
}

pub(super) fn batch(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let batch = convert::batch(asked.params::<WorkerBatch>()?);
    let number = asked.desk.number;
    later(asked.operate()?.work_batch(number, batch), |()| WorkerBatchTaken {}, false)
}

pub(super) fn done(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let (work, said) = convert::said(asked.params::<WorkerDone>()?)?;
    let number = asked.desk.number;
    asked.operate()?.work_done(number, &work, said).map_err(refusal)?;
    asked.answer(&WorkerDoneAnswer {})
}
