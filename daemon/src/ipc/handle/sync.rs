//! Owns: serving what is asked of syncs and their runs. Must never know: when a sync is due.

use std::borrow::Cow;

use mingle_core::{
    ask::{About, Refusal, RunRequest},
    run::reset::How,
};
use mingle_proto::{
    Error, Name,
    call::{
        Explain, History, HistoryAnswer, Plan, Rebuild, SyncCancel, SyncCancelAnswer, SyncGet, SyncList, SyncListAnswer,
        SyncPause, SyncPing, SyncReset, SyncResetAnswer, SyncResume, SyncRun, SyncRunAnswer, SyncStateAnswer,
    },
};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Asked, later};
use crate::ipc::{
    convert::{self, refusal},
    discreet,
    served::Served,
};

pub(super) fn run(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SyncRun { sync, mode, force, accept_deletes } =
        asked.params().map_err(|error| asked.params.and_then(unsupported_mode).unwrap_or(error))?;
    let door = asked.operate()?;
    if accept_deletes {
        // It takes records away, so operating is not enough.
        let collection = door.collection_of(About::Sync(&sync)).map_err(refusal)?;
        asked.write(&collection)?;
    }
    let request = RunRequest { sync, mode: mode.map(convert::mode), force, accept_deletes, reset: None, by: asked.by() };
    later(door.run_sync(request), |accepted| SyncRunAnswer { run: accepted.run, queued: accepted.queued }, false)
}

pub(super) fn reset(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SyncReset { sync, how } = asked.params()?;
    let door = asked.operate()?;
    let how = convert::how(how);
    if how == How::Discard {
        // Changes of others go with it, so operating is not enough.
        let collection = door.collection_of(About::Sync(&sync)).map_err(refusal)?;
        asked.write(&collection)?;
    }
    let request = RunRequest { sync, mode: None, force: false, accept_deletes: false, reset: Some(how), by: asked.by() };
    later(door.run_sync(request), |accepted| SyncResetAnswer { run: accepted.run, queued: accepted.queued }, false)
}

pub(super) fn plan(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Plan { sync, mode, force, accept_deletes, limit } =
        asked.params().map_err(|error| asked.params.and_then(unsupported_mode).unwrap_or(error))?;
    let most = convert::history_limit(limit)?;
    // It tells what is in records.
    let collection = asked.desk.shared.door.collection_of(About::Sync(&sync)).map_err(refusal)?;
    let door = asked.read(&collection)?;
    let request = RunRequest { sync, mode: mode.map(convert::mode), force, accept_deletes, reset: None, by: asked.by() };
    later(door.plan(request, most), convert::plan, true)
}

pub(super) fn rebuild(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Rebuild { collection, plan } = asked.params()?;
    // What is here gives way to what is there, so operating is not enough.
    let (door, _) = asked.write(&collection)?;
    later(door.rebuild(collection, plan, asked.by()), convert::rebuilding, false)
}

/// Modes that have their names already and are not built yet.
const MODES_TO_COME: [&str; 3] = ["pull_truth", "push_truth", "bulk"];

/// An app that asks for one of them has done nothing wrong.
fn unsupported_mode(params: &RawValue) -> Option<Error> {
    #[derive(Deserialize)]
    struct Asked<'a> {
        #[serde(borrow)]
        mode: Cow<'a, str>,
    }
    let asked: Asked<'_> = serde_json::from_str(params.get()).ok()?;
    let mode = MODES_TO_COME.iter().find(|mode| **mode == asked.mode)?;
    Some(Error::new(Name::Unsupported, format!("mode {mode:?} is not built yet")).hint("modes are fast, slow and refresh"))
}

pub(super) fn pause(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SyncPause { sync } = asked.params()?;
    later(asked.operate()?.pause(sync, asked.by()), |state| SyncStateAnswer { state: convert::sync_state(state) }, false)
}

pub(super) fn resume(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SyncResume { sync } = asked.params()?;
    later(asked.operate()?.resume(sync, asked.by()), |state| SyncStateAnswer { state: convert::sync_state(state) }, false)
}

pub(super) fn cancel(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SyncCancel { sync } = asked.params()?;
    later(asked.operate()?.cancel_sync(sync, asked.by()), |runs| SyncCancelAnswer { runs }, false)
}

/// Names in one ping, as told in PROTOCOL.md. More: `too_large`.
const PINGED_MAX: usize = 1_000;

pub(super) fn ping(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SyncPing { syncs, remote } = asked.params()?;
    let syncs = match (syncs, &remote) {
        (Some(syncs), None) => syncs,
        (None, Some(_)) => Vec::new(),
        (None, None) | (Some(_), Some(_)) => {
            return Err(convert::invalid(
                "exactly one of syncs and remote",
                "syncs: names of syncs; or remote: all syncs with it",
            ));
        }
    };
    if syncs.len() > PINGED_MAX {
        let what = format!("{} syncs in one ping, and {PINGED_MAX} are taken", syncs.len());
        return Err(Error::new(Name::TooLarge, what).hint("ping several times, or name the remote"));
    }
    later(asked.operate()?.ping(syncs, remote), convert::pinged, false)
}

pub(super) fn get(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SyncGet { sync } = asked.params()?;
    let syncs = asked.operate()?.syncs().map_err(refusal)?;
    let Some(row) = syncs.into_iter().find(|row| row.sync == sync) else {
        return Err(refusal(Refusal::NotFound(format!("no sync {sync:?}"), Some("`sync.list` names them".into()))));
    };
    asked.answer(&convert::sync_definition(row))
}

pub(super) fn list(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SyncList {} = asked.params()?;
    let syncs = asked.operate()?.syncs().map_err(refusal)?;
    asked.answer(&SyncListAnswer { syncs: syncs.into_iter().map(convert::sync_definition).collect() })
}

pub(super) fn explain(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Explain { sync } = asked.params()?;
    let mut explained = asked.operate()?.explain(&sync).map_err(refusal)?;
    if asked.desk.caller.only_looks() {
        explained = discreet::explained(explained);
    }
    asked.answer(&convert::explained(explained))
}

pub(super) fn history(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let History { sync, limit, cursor } = asked.params()?;
    let limit = convert::history_limit(limit)?;
    let mut page = asked.operate()?.history(sync.as_deref(), limit, cursor.as_deref()).map_err(refusal)?;
    if asked.desk.caller.only_looks() {
        page = discreet::runs(page);
    }
    asked.answer(&HistoryAnswer { runs: page.rows.into_iter().map(convert::run).collect(), cursor: page.cursor })
}
