//! Owns: serving apps that define syncs, or give their next run a moment. Must never know: what stands in a definition, but the collection.

use mingle_core::ask::{About, Redefine, Refusal};
use mingle_proto::{
    Error, Name,
    call::{SyncDefine, SyncNext, SyncRemove, SyncRemoveAnswer},
};
use serde_json::{Map, Value};

use super::{Asked, later};
use crate::ipc::{
    convert::{self, invalid, refusal},
    served::Served,
};

/// Bytes of one definition. It is a few lines; a larger one is something else. More: `too_large`.
const DEFINITION_BYTES_MAX: usize = 64 << 10;
/// As of a name in the files.
const NAME_BYTES_MAX: usize = 63;

pub(super) fn define(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SyncDefine { sync, definition, if_exists, next_run_at } = asked.params()?;
    if sync.len() > NAME_BYTES_MAX || !sync.bytes().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == b'_') {
        let hint = format!("a small letter, then small letters, digits and _, at most {NAME_BYTES_MAX}");
        return Err(invalid("a sync cannot have this name", hint));
    }
    if definition.get().len() > DEFINITION_BYTES_MAX {
        let what = format!("a definition of {} bytes, and {DEFINITION_BYTES_MAX} are taken", definition.get().len());
        return Err(Error::new(Name::TooLarge, what));
    }
    let example = "{\"collection\":\"issues\",\"remote\":\"tracker\",\"direction\":\"both\"}, with the keys of [sync.NAME]";
    let Ok(keys) = serde_json::from_str::<Map<String, Value>>(definition.get()) else {
        return Err(invalid("a definition is an object", example));
    };
    let Some(Value::String(collection)) = keys.get("collection") else {
        return Err(invalid("a definition names its collection", example));
    };
    let (_, by) = asked.write(collection)?;
    let by = by.to_owned();
    // Who takes a sync from another collection has to be allowed to write that one, too.
    match asked.operate()?.collection_of(About::Sync(&sync)) {
        Ok(before) => drop(asked.write(&before)?),
        Err(Refusal::NotFound(..)) => {}
        Err(error) => return Err(refusal(error)),
    }
    let change = Redefine::Define {
        sync: sync.clone(),
        definition: definition.get().to_owned(),
        if_exists: convert::if_exists(if_exists),
        by,
        next: next_run_at.map(|at| convert::parsed("next_run_at", &at)).transpose()?,
    };
    later(asked.operate()?.redefine(change), move |redefined| convert::redefined(sync, redefined), false)
}

pub(super) fn remove(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SyncRemove { sync } = asked.params()?;
    let door = asked.operate()?;
    match door.collection_of(About::Sync(&sync)) {
        Ok(collection) => {
            asked.write(&collection)?;
        }
        // That it is not there is said by whoever looks.
        Err(Refusal::NotFound(..)) if asked.by().is_some() => {}
        Err(error) => return Err(refusal(error)),
    }
    let answer = door.redefine(Redefine::Remove { sync: sync.clone() });
    later(answer, move |redefined| SyncRemoveAnswer { sync, pending: redefined.orphaned }, false)
}

pub(super) fn next(asked: &mut Asked<'_>) -> Result<Served, Error> {
    let SyncNext { sync, at } = asked.params()?;
    let at = at.map(|at| convert::parsed("at", &at)).transpose()?;
    later(asked.operate()?.next_run(sync, at), convert::next_run, false)
}
