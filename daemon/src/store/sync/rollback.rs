//! Owns: taking pending changes back: the record gets what its replica last had. Must never know: who asks, which pages.

use mingle_core::{
    ask::{Left, Refusal, RollBack, RolledBack, Writer, WrittenOne},
    meeting::Agreed,
    pending::{Kept, State, roll_back as taken_back},
    planted,
    policy::Policy,
};

use super::{
    abroad::known_by_now,
    elsewhere::has_another,
    frozen, link,
    pending::{Place, look, run_of, with_rules},
    unreject,
};
use crate::{
    json,
    store::{
        alias, children,
        decide::once_all,
        deferred,
        error::StoreError,
        limits,
        record::{self, Held, State as RecordState},
        tx::{Origin, Tx},
        write::{not_there, writable},
    },
};

/// Takes back what these records of a collection have pending, all of it in one commit; what cannot be taken back is left, and named. A
/// record that was asked for by its id is refused instead. `places`: where changes of the collection are sent, at least one; of several, the
/// first that has a record says what it becomes.
///
/// # Errors
/// `not_found`, `wrong_state` (nothing is pending, or it was sent and its answer is not known), `unsupported` (another decision comes
/// first), `read_only`, and those of an op.
pub fn roll_back(
    tx: &mut Tx<'_>,
    writer: &Writer,
    asked: &RollBack,
    places: &[Place],
    ids: &[String],
    cursor: Option<String>,
) -> Result<RolledBack, StoreError> {
    let request = format!("pending.rollback {asked:?}");
    let mut left = Vec::new();
    let written = once_all(tx, writer, &request, |tx, origin| {
        let collection = writable(tx, &asked.collection)?;
        let mut done = Vec::new();
        for id in ids {
            let held = alias::find(tx.conn(), collection.number, id)?.ok_or_else(|| not_there(&asked.collection, id))?;
            let taken_back = match place_of(tx, places, &held, &collection.definition.policy)? {
                Ok(place) => one(tx, place, &held, origin)?,
                Err(refusal) => Err(refusal),
            };
            match taken_back {
                Ok(seq) => done.push((held.record, WrittenOne { id: held.id, seq })),
                Err(refusal) if asked.id.is_some() => return Err(refusal.into()),
                Err(refusal) => left.push(Left { id: held.id, why: words(&refusal) }),
            }
        }
        Ok(done)
    })?;
    Ok(RolledBack { written, left, cursor })
}

/// The place that says what becomes of a record: one that was sent something and has not answered, or the first that has it otherwise than
/// it is here. Only where none has it, it was never anywhere, and goes.
fn place_of<'a>(
    tx: &Tx<'_>,
    places: &'a [Place],
    held: &Held,
    policy: &Policy,
) -> Result<Result<&'a Place, Refusal>, StoreError> {
    let (mut in_doubt, mut differs, mut lacks, mut level) = (None, None, None, None);
    for place in places {
        let linked = place.replica.map(|replica| link::of_record(tx.conn(), replica, held.record)).transpose()?.flatten();
        let run = run_of(tx.conn(), place.replica)?;
        let pending = look(tx.conn(), place, policy, held, linked.as_ref(), run.as_deref())?.is_some();
        let had = linked.as_ref().is_some_and(|linked| linked.state.agreed != Agreed::Gone);
        let sent = linked.is_some_and(|linked| !linked.state.sent.is_empty());
        let first = match (pending, sent, had) {
            (true, true, _) => &mut in_doubt,
            (true, false, true) => &mut differs,
            (true, false, false) => &mut lacks,
            (false, ..) => &mut level,
        };
        first.get_or_insert((place, had));
    }
    if let Some((place, _)) = in_doubt.or(differs) {
        return Ok(Ok(place));
    }
    if let (Some((place, true)), false) = (level, planted::is("taken back where a mirror lacks it")) {
        let what =
            format!("{} has {}/{} as it is here: nothing of it can be taken back", place.remote, place.collection, held.id);
        return Ok(Err(Refusal::WrongState(what, None)));
    }
    // One that sends nothing, or is configured no more, may have it.
    if let Some((place, _)) = lacks
        && !planted::is("taken back where a mirror lacks it")
        && has_another(tx.conn(), held.record, place.replica.unwrap_or(0))?
    {
        let what = format!("another remote has {}/{}: nothing of it can be taken back", place.collection, held.id);
        return Ok(Err(Refusal::WrongState(what, Some("delete it, and it goes from each".into()))));
    }
    let place = lacks.or(level).map(|(place, _)| place);
    Ok(place.ok_or_else(|| Refusal::Unsupported("nothing is sent anywhere".into())))
}

fn words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::WrongState(what, _) | Refusal::Invalid(what, _) | Refusal::Unsupported(what) | Refusal::TooLarge(what) => {
            what.clone()
        }
        other => format!("{other:?}"),
    }
}

/// One record; refused: nothing of it is changed.
fn one(tx: &mut Tx<'_>, place: &Place, held: &Held, origin: &Origin) -> Result<Result<u64, Refusal>, StoreError> {
    let definitions = std::sync::Arc::clone(tx.definitions());
    let Some(collection) = definitions.numbered(held.collection) else {
        return Ok(Err(not_there(&place.collection, &held.id)));
    };
    let policy = &collection.definition.policy;
    let linked = place.replica.map(|replica| link::of_record(tx.conn(), replica, held.record)).transpose()?.flatten();
    let run = run_of(tx.conn(), place.replica)?;
    let Some(found) = look(tx.conn(), place, policy, held, linked.as_ref(), run.as_deref())? else {
        let what = format!("{}/{} has nothing pending at {}", place.collection, held.id, place.remote);
        return Ok(Err(Refusal::WrongState(what, None)));
    };
    if let Some((id, what)) = &found.rejection
        && !refused(tx, linked.as_ref())?
    {
        let told = format!("{id} stands against it, and comes first: {what}; `mingle rejection resolve {id}` decides it");
        return Ok(Err(Refusal::Unsupported(told)));
    }
    let new = match &linked {
        // A record that no remote ever had.
        None => None,
        Some(linked) => {
            let truth = held.props()?;
            let frozen = frozen(tx.conn(), linked.link)?;
            match with_rules(place, policy, &frozen, |rules| taken_back(&linked.state, truth.as_ref(), rules)) {
                Ok(Some(mut new)) => {
                    known_by_now(tx.conn(), &place.remote, &policy.references, &mut new)?;
                    Some(new)
                }
                Ok(None) => None,
                Err(Kept::Sent) => {
                    let what = match found.state {
                        State::InFlight => "is on its way: its request is open",
                        _ => "was sent, and whether it was taken is not known",
                    };
                    let hint = format!("`mingle sync {}` finds out; then take back what is left", place.sync);
                    let told = format!("{}/{} {what}", place.collection, held.id);
                    return Ok(Err(Refusal::WrongState(told, Some(hint))));
                }
                Err(Kept::NeverCompared) => {
                    let told = format!("what {} has of {}/{} was not read yet", place.remote, place.collection, held.id);
                    let hint = format!("`mingle sync {}` reads it", place.sync);
                    return Ok(Err(Refusal::WrongState(told, Some(hint))));
                }
            }
        }
    };
    let text = new.as_ref().map(json::write);
    if text.as_ref().is_some_and(|text| text.len() > limits::RECORD_BYTES_MAX) {
        return Ok(Err(Refusal::TooLarge(format!("{}/{} would be too large", place.collection, held.id))));
    }
    if text.is_none()
        && let Err(refused) = children::may_be_deleted(tx, held)
    {
        return match refused {
            StoreError::Refused(refusal) => Ok(Err(refusal)),
            other => Err(other),
        };
    }
    put_back(tx, place, policy, held, linked, text.as_deref(), origin).map(Ok)
}

/// Gives a record what its replica has, and nothing of it is pending any more. The record's seq.
pub(super) fn put_back(
    tx: &mut Tx<'_>,
    place: &Place,
    policy: &Policy,
    held: &Held,
    linked: Option<link::Linked>,
    text: Option<&str>,
    origin: &Origin,
) -> Result<u64, StoreError> {
    let seq = record::change(tx, held, text, origin)?;
    deferred::lift(tx, held.record)?;
    if let Some(linked) = linked {
        unreject(tx, linked.link)?;
        let now = record::by_row(tx.conn(), held.record)?;
        let lives = now.as_ref().is_some_and(|now| now.state == RecordState::Live);
        // What the change left as its own copy is read anew.
        let mut state = link::by_number(tx.conn(), linked.link)?.map_or(linked.state, |linked| linked.state);
        let level = match now
            .map(|now| look(tx.conn(), place, policy, &now, Some(&link::Linked { state: state.clone(), ..linked }), None))
        {
            Some(looked) => looked?.is_none(),
            None => true,
        };
        if level && frozen(tx.conn(), linked.link)?.is_empty() && state.sent.is_empty() {
            if lives {
                state.agreed = Agreed::Same;
            }
            state.confirmed = state.confirmed.max(seq);
            link::save(tx, linked.link, &state, lives)?;
        }
    }
    Ok(seq)
}

/// Whether what stands against a link is a remote's "no" to what is pending, which is taken back with it.
fn refused(tx: &Tx<'_>, linked: Option<&link::Linked>) -> Result<bool, StoreError> {
    let Some(linked) = linked else { return Ok(true) };
    Ok(super::rejection_of(tx.conn(), linked.link)?.is_none_or(|standing| standing.side == "up"))
}
