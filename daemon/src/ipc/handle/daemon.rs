//! Owns: serving what is asked of the daemon as a whole. Must never know: how runs end.

use mingle_proto::{
    Error,
    call::{Restart, Shutdown, Status, Stop},
};

use super::{Asked, later};
use crate::ipc::{
    convert::{self, refusal},
    serve::Served,
};

pub(super) fn status(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Status {} = asked.params()?;
    let door = asked.operate()?;
    let status = door.status().map_err(refusal)?;
    let (instance, seq, build) = (door.instance(), *door.head().borrow(), door.build());
    let apps = asked.desk.shared.connections.list();
    asked.answer(&convert::status(status, instance, seq, build, apps))
}

pub(super) fn stop(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Stop { lease } = asked.params()?;
    let number = asked.desk.number;
    let work = asked.operate()?.stop(asked.by(), lease.then_some(number));
    // Whether or not the answer is waited for, the stop was asked for.
    asked.desk.leased |= lease;
    later(work, convert::halted, false)
}

pub(super) fn restart(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Restart { resync_stopped } = asked.params()?;
    later(asked.operate()?.restart(asked.by(), resync_stopped), convert::halted, false)
}

pub(super) fn shutdown(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Shutdown {} = asked.params()?;
    later(asked.operate()?.shutdown(asked.by()), |()| convert::shutting_down(), false)
}
