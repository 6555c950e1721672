//! Owns: serving what is asked of the daemon as a whole. Must never know: how runs end.

use mingle_proto::{
    Error,
    call::{Reload, Restart, RpcDiscover, Shutdown, Status, Stop},
};

use super::{Asked, later};
use crate::ipc::{
    convert::{self, refusal},
    discreet,
    served::Served,
};

pub(super) fn status(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Status {} = asked.params()?;
    let door = asked.operate()?;
    let mut status = door.status().map_err(refusal)?;
    if asked.desk.caller.only_looks() {
        status = discreet::status(status);
    }
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
    let lease = std::mem::take(&mut asked.desk.leased).then_some(asked.desk.number);
    later(asked.operate()?.restart(asked.by(), resync_stopped, lease), convert::halted, false)
}

pub(super) fn reload(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Reload {} = asked.params()?;
    later(asked.operate()?.reload(asked.by()), convert::reloaded, false)
}

pub(super) fn discover(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let RpcDiscover {} = asked.params()?;
    asked.operate()?;
    asked.answer(&mingle_proto::openrpc::document())
}

pub(super) fn shutdown(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Shutdown {} = asked.params()?;
    later(asked.operate()?.shutdown(asked.by()), |()| convert::shutting_down(), false)
}
