//! Owns: serving the conversation itself: hello, subscriptions, waiting, cancelling. Must never know: records.

use std::time::Duration;

use mingle_core::{
    ask::Since,
    limits::{APP_NAME_BYTES_MAX, SUBSCRIPTIONS_MAX, WAIT_MS_MAX},
    planted,
};
use mingle_proto::{
    Error, METHODS, Name, PROTOCOL,
    call::{Cancel, CancelAnswer, Hello, HelloAnswer, Limits, Subscribe, SubscribeAnswer, Wait},
    limits::{CALLS_IN_FLIGHT_MAX, PAGE_RECORDS_MAX, REPLY_BYTES_MAX, REQUEST_BYTES_MAX},
};

use super::{Asked, later};
use crate::ipc::{
    convert::{self, refusal},
    served::Served,
    subscribe::{Feed, Topics},
};

pub(super) fn hello(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let hello: Hello = asked.params()?;
    if hello.protocol != PROTOCOL {
        let what = format!("this daemon speaks protocol {PROTOCOL}, not {}", hello.protocol);
        return Err(Error::new(Name::Version, what)
            .hint("install app and mingled of one major; status, stop and shutdown work all the same"));
    }
    let door = asked.desk.shared.door.clone();
    if let Some(app) = &hello.app {
        app_name(app)?;
        if asked.desk.caller.name().is_some_and(|name| name != app) {
            return Err(convert::invalid("this connection has another name already", "open a connection for each app"));
        }
        let desk = &mut *asked.desk;
        let before = desk.caller.grants().readable();
        desk.caller.is(app, door.grants(app));
        // Who subscribed before it said who it is hears what its name may from here on, and no more.
        if desk.caller.grants().readable() != before {
            desk.subscriptions.granted_anew(&desk.caller, &*door);
        }
        desk.note();
    }
    let seq = *door.head().borrow();
    let answer = HelloAnswer {
        protocol: PROTOCOL,
        abilities: METHODS
            .iter()
            .filter(|method| asked.desk.caller.may_call(method).is_ok())
            .map(|method| method.name.to_owned())
            .collect(),
        limits: Limits {
            request_bytes: REQUEST_BYTES_MAX as u64,
            reply_bytes: REPLY_BYTES_MAX as u64,
            page_records: PAGE_RECORDS_MAX.into(),
            calls_in_flight: CALLS_IN_FLIGHT_MAX as u64,
            subscriptions: SUBSCRIPTIONS_MAX as u64,
        },
        instance: door.instance(),
        seq,
        grants: convert::grants(asked.desk.caller.grants()),
        build: door.build(),
    };
    asked.answer(&answer)
}

fn app_name(app: &str) -> Result<(), Error> {
    let fits = |one: char| one.is_ascii_alphanumeric() || matches!(one, '.' | '_' | '-');
    if app.is_empty() || app.len() > APP_NAME_BYTES_MAX || !app.chars().all(fits) {
        return Err(convert::invalid(
            "an app cannot have this name",
            format!("1 to {APP_NAME_BYTES_MAX} letters, digits, `.`, `_` and `-`, as in org.example.notes"),
        ));
    }
    Ok(())
}

pub(super) fn subscribe(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Subscribe { collections, ids, topics, since, instance, initial, data, fresh_ms } = asked.params()?;
    if initial == Some(true) && since.is_some() {
        return Err(convert::invalid(
            "since and initial exclude each other",
            "since goes on from there, initial begins with everything",
        ));
    }
    let topics = topics.map(|topics| topics.into_iter().map(convert::topic).collect::<Vec<_>>());
    for topic in topics.iter().flatten() {
        asked.desk.caller.may_hear(*topic)?;
    }
    let (named, ids) = convert::records(collections, ids)?;
    let (door, mut answer, mut feed) = (asked.desk.shared.door.clone(), SubscribeAnswer::default(), None);
    let head = *door.head().borrow();
    // With topics, an empty list says that no records are wanted.
    let named = named.filter(|named| topics.is_none() || !named.is_empty());
    let records = named.is_some() || topics.is_none();
    let wants = convert::wants(fresh_ms, records, asked.desk.caller.name())?;
    if records {
        asked.desk.caller.may_follow()?;
        let (_, scope) = asked.read_any(named.clone())?;
        let seq = match (since, initial) {
            // Who comes again after a fall of ours would miss what others did before it came.
            (Some(_), _) if planted::is("subscription goes on at the head") => head,
            (Some(since), _) => since,
            (None, Some(false)) => head,
            (None, _) => 0,
        };
        // A look at what would come first: the answer says whether anything does.
        let look =
            Since { seq, instance: instance.clone(), scope: scope.clone(), limit: 1, bytes: 1, data: false, ids: ids.clone() };
        let first = door.changes(&look).map_err(refusal)?;
        answer.caught_up = first.changes.is_empty() && !first.more && !first.fresh;
        answer.fresh = first.fresh;
        answer.seq = match (first.fresh, answer.caught_up) {
            (true, _) => 0,
            (false, true) => first.seq,
            (false, false) => seq,
        };
        let cursor = if answer.caught_up { first.seq } else { seq };
        // Where a store is empty and the position another's, `fresh` alone still has to be told.
        let (due, follows) = (!answer.caught_up, door.follows(&scope, wants.clone()));
        feed = Some(Feed { seq: cursor, instance, named, scope, ids, data, due, wants, follows, told_more: due });
    } else {
        answer.caught_up = true;
        answer.seq = head;
    }
    let topics = topics.map(|wanted| {
        let number = *door.news().number().borrow();
        Topics {
            wanted,
            grants: asked.desk.caller.grants().clone(),
            only_looks: asked.desk.caller.only_looks(),
            app: asked.desk.caller.name().map(str::to_owned),
            number,
            due: false,
        }
    });
    answer.subscription = asked.desk.subscriptions.add(feed, topics)?;
    asked.desk.note();
    asked.answer(&answer)
}

pub(super) fn wait(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Wait { token, run, syncs, all, since_at, reaches, timeout_ms } = asked.params()?;
    let timeout = Duration::from_millis(timeout_ms.unwrap_or(0).min(WAIT_MS_MAX));
    let door = asked.operate()?;
    if (since_at.is_some() || reaches.is_some()) && syncs.is_none() && !all {
        return Err(convert::invalid("since_at and reaches are for syncs", "syncs: these, or all: true, are waited for"));
    }
    match (token, run, syncs, all) {
        (Some(token), None, None, false) => later(door.wait_write(token, timeout), convert::waited, true),
        (None, Some(run), None, false) => later(door.wait_run(run, timeout), convert::run_waited, true),
        (None, None, syncs, all) if syncs.is_some() != all => {
            let until = convert::until(since_at.as_ref(), reaches, all)?;
            if let Some(syncs) = syncs.as_ref().filter(|syncs| syncs.len() > WAITED_MAX) {
                let what = format!("{} syncs in one wait, and {WAITED_MAX} are taken", syncs.len());
                return Err(Error::new(Name::TooLarge, what).hint("wait several times, or for all"));
            }
            later(door.wait_syncs(syncs, until, timeout), convert::syncs_waited, true)
        }
        _ => {
            let hint = "a write's answer has a token, sync.run's a run; syncs: these, or all: true, are to be synced";
            Err(convert::invalid("exactly one of token, run, syncs and all", hint))
        }
    }
}

/// Names in one wait, as told in PROTOCOL.md. More: `too_large`.
const WAITED_MAX: usize = 1_000;

pub(super) fn cancel(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let Cancel { id } = asked.params()?;
    asked.operate()?;
    let cancelled = asked.desk.cancel(&id);
    asked.answer(&CancelAnswer { cancelled })
}
