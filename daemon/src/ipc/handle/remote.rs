//! Owns: serving what is asked of remotes. Must never know: how a remote is spoken to.

use mingle_proto::{
    Error,
    call::{
        RemoteAuthorize, RemoteAuthorized, RemoteBudget, RemoteBudgetAnswer, RemoteCheck, RemoteList, RemoteListAnswer,
        RemoteLogin, RemoteLogout,
    },
};

use super::{Asked, later};
use crate::ipc::{
    convert::{self, refusal},
    served::Served,
};

pub(super) fn list(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let RemoteList {} = asked.params()?;
    let remotes = asked.operate()?.remotes().map_err(refusal)?;
    asked.answer(&RemoteListAnswer { remotes: remotes.into_iter().map(convert::remote).collect() })
}

pub(super) fn check(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let RemoteCheck { remote } = asked.params()?;
    later(asked.operate()?.check_remote(remote), convert::remote_checked, true)
}

pub(super) fn budget(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let RemoteBudget {} = asked.params()?;
    let budgets = asked.operate()?.budgets().map_err(refusal)?;
    asked.answer(&RemoteBudgetAnswer { budgets: budgets.into_iter().map(convert::budget).collect() })
}

pub(super) fn login(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let RemoteLogin { remote, secret } = asked.params()?;
    // What is begun is ended: whoever cancels would not know which secret is there.
    later(asked.operate()?.login(remote, secret), convert::logged_in, false)
}

pub(super) fn authorize(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let RemoteAuthorize { remote, device, same_person } = asked.params()?;
    later(asked.operate()?.login_begin(remote, device, same_person), convert::login_begun, true)
}

pub(super) fn authorized(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let RemoteAuthorized { login } = asked.params()?;
    // Whoever does not wait any more does not want it.
    later(asked.operate()?.login_end(login), convert::authorized, true)
}

pub(super) fn logout(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let RemoteLogout { remote } = asked.params()?;
    later(asked.operate()?.logout(remote), convert::logged_out, false)
}
