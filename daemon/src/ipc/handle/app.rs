//! Owns: serving what is asked of apps themselves, and of the copies that they keep. Must never know: how a copy is kept.

use std::collections::BTreeMap;

use mingle_core::ask::{Reset, Scope};
use mingle_proto::{
    Error,
    call::{AppList, AppListAnswer, AppRegister, AppReset, AppResetAnswer},
};

use super::{Asked, later};
use crate::ipc::{
    authorize::Purpose,
    convert::{self, refusal},
    served::Served,
};

pub(super) fn register(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let register = convert::register(asked.params::<AppRegister>()?)?;
    let app = asked.desk.caller.own(asked.method)?.to_owned();
    let (door, _) = asked.read_any(Some(register.collections.clone()))?;
    later(door.register_app(app, register, asked.gone()), convert::app_registered, false)
}

pub(super) fn list(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let AppList { limit, cursor } = asked.params()?;
    let limit = convert::history_limit(limit)?;
    let mut connections = BTreeMap::<String, u64>::new();
    for one in asked.desk.shared.connections.list() {
        if let Some(app) = one.app.filter(|_| one.purpose == Purpose::Apps) {
            *connections.entry(app).or_default() += 1;
        }
    }
    let connected = connections.keys().cloned().collect();
    let page = asked.operate()?.apps(&connected, cursor.as_deref(), limit).map_err(refusal)?;
    let caller = &asked.desk.caller;
    let one = |mut row: mingle_core::ask::AppRow| {
        // A filter names values of records, and who may operate need not see any.
        for copy in row.copies.iter_mut().filter(|copy| !caller.sees(&copy.collection)) {
            copy.filter.clear();
        }
        let connections = connections.get(&row.app).copied().unwrap_or_default();
        convert::app_known(row, connections)
    };
    let apps = page.rows.into_iter().map(one).collect();
    asked.answer(&AppListAnswer { apps, cursor: page.cursor })
}

pub(super) fn reset(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let AppReset { app, collections } = asked.params()?;
    let own = asked.desk.caller.own(asked.method)? == app;
    let (door, _, writable) = asked.write_any(None)?;
    if !own {
        // The app has to push all that it has anew, and what it deleted comes back to it: that is no small thing to do to others.
        for collection in collections.iter().flatten() {
            asked.write(collection)?;
        }
    }
    let scope = if own { Scope::All } else { writable };
    let work = door.reset_app(Reset { app, collections, own, scope }, asked.gone());
    later(work, |collections| AppResetAnswer { collections }, false)
}
