//! Owns: parents and children at one remote: who waits for whom, and what follows for children from what a meeting said of their
//! parent. Must never know: how ids are translated, how anything is sent.

use std::collections::BTreeSet;

use mingle_core::{
    meeting::{Agreed, Link, SentWhat},
    planted,
    record::{Props, Value},
    reference::{self, Abroad, References, Wanted},
    replica::Action,
};
use rusqlite::{Connection, params};

use super::{
    Ground, Linked,
    abroad::{Atlas, last_former},
    link, present, rejection_of,
};
use crate::{
    json,
    store::{
        children::referring,
        definitions::Definitions,
        error::StoreError,
        limits::CIRCLE_MAX,
        record::{self, Held, State},
        tx::Tx,
    },
};

/// An action on its way out: as the truth has it, and as the remote is told.
pub(super) struct Going {
    /// What is remembered as sent.
    pub here: Action,
    /// What is sent.
    pub there: Action,
    /// Some of the record is left for later: whoever waits for it waits on.
    pub partly: bool,
}

/// Translates an action for the remote; none: it waits, a child for its parent, or the delete of a parent for its children.
pub(super) fn may_go(
    tx: &Tx<'_>,
    ground: &Ground,
    held: &Held,
    agreed: &Agreed,
    mut here: Action,
) -> Result<Option<Going>, StoreError> {
    let conn = tx.conn();
    let Some(atlas) = Atlas::of(conn, ground)? else {
        return Ok(Some(Going { there: here.clone(), here, partly: false }));
    };
    if matches!(here, Action::Delete { .. }) && children_hold(conn, tx.definitions(), &atlas, ground, held)? {
        return Ok(None);
    }
    let mut there = here.clone();
    let mut wanted = atlas.leave(conn, &mut there)?;
    let mut partly = without_foreign(&mut here, agreed, &wanted);
    if partly {
        if matches!(&here, Action::Update { patch, .. } if patch.is_empty()) {
            return Ok(None);
        }
        there = here.clone();
        wanted = atlas.leave(conn, &mut there)?;
    }
    // What waits for itself would wait for ever: it is made without the reference, and then differs by it.
    if let Action::Create { whole, .. } = &mut here
        && !wanted.is_empty()
        && !planted::is("circle waits for itself")
    {
        for one in &wanted {
            if waits_for(conn, tx.definitions(), &atlas, one, (&ground.spec.collection, &held.id))? {
                partly |= whole.remove(&one.property).is_some();
            }
        }
        there = here.clone();
        wanted = atlas.leave(conn, &mut there)?;
    }
    Ok(wanted.is_empty().then_some(Going { here, there, partly }))
}

/// Leaves out references to what another remote alone knows, which may never be here: the rest of the record does not wait for that.
/// Whether there were any.
fn without_foreign(action: &mut Action, agreed: &Agreed, wanted: &[Wanted]) -> bool {
    if planted::is("waits for what another remote knows") {
        return false;
    }
    let mut some = false;
    for one in wanted.iter().filter(|one| one.foreign) {
        some |= match action {
            Action::Create { whole, .. } => whole.remove(&one.property).is_some(),
            Action::Update { patch, whole, .. } => {
                // What the remote has there stays.
                match agreed {
                    Agreed::Own(has) if has.contains_key(&one.property) => {
                        whole.insert(one.property.clone(), has[&one.property].clone());
                    }
                    _ => {
                        whole.remove(&one.property);
                    }
                }
                patch.remove(&one.property).is_some()
            }
            Action::Delete { .. } => false,
        };
    }
    some
}

/// Whether what is wanted waits for this record, directly or through others, as far as [`CIRCLE_MAX`] records.
fn waits_for(
    conn: &Connection,
    definitions: &Definitions,
    atlas: &Atlas<'_>,
    wanted: &Wanted,
    (collection, id): (&str, &str),
) -> Result<bool, StoreError> {
    let mut looked = BTreeSet::new();
    let mut next = vec![(wanted.collection.clone(), wanted.id.clone())];
    while let Some((of, one)) = next.pop() {
        if of == collection && one == id {
            return Ok(true);
        }
        if looked.len() == CIRCLE_MAX || !looked.insert((of.clone(), one.clone())) {
            continue;
        }
        let (Some(place), Ok(defined)) = (atlas.place(&of), definitions.named(&of)) else { continue };
        let Some(held) = record::find(conn, place.collection, &one)? else { continue };
        let Some(props) = held.props()? else { continue };
        for (property, reference) in &defined.definition.policy.references {
            for parent in reference::ids(&props, property) {
                if !matches!(atlas.abroad(conn, reference, parent)?, Abroad::There(_)) {
                    next.push((reference.collection.clone(), parent.to_owned()));
                }
            }
        }
    }
    Ok(false)
}

/// Whether children at the remote still name a record that is to be deleted there, and what was done to them here is on its way.
fn children_hold(
    conn: &Connection,
    definitions: &Definitions,
    atlas: &Atlas<'_>,
    ground: &Ground,
    held: &Held,
) -> Result<bool, StoreError> {
    if planted::is("parent deleted before its children") {
        return Ok(false);
    }
    for (of, child) in naming(conn, definitions, atlas, &ground.spec.collection, held)? {
        // Records that name each other and are all deleted would hold each other for ever.
        if !held_in_a_circle(conn, definitions, atlas, (of, child), held)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn held_in_a_circle(
    conn: &Connection,
    definitions: &Definitions,
    atlas: &Atlas<'_>,
    (of, child): (String, Held),
    by: &Held,
) -> Result<bool, StoreError> {
    if child.state == State::Live {
        return Ok(false);
    }
    let (mut looked, mut next) = (BTreeSet::new(), vec![(of, child)]);
    while let Some((of, one)) = next.pop() {
        if one.record == by.record {
            return Ok(true);
        }
        if looked.len() < CIRCLE_MAX && looked.insert(one.record) {
            next.extend(naming(conn, definitions, atlas, &of, &one)?.into_iter().filter(|(_, child)| child.state != State::Live));
        }
    }
    Ok(false)
}

/// Records, with their collections, that the remote still shows with a reference to this one, and whose change is not there yet.
fn naming(
    conn: &Connection,
    definitions: &Definitions,
    atlas: &Atlas<'_>,
    collection: &str,
    held: &Held,
) -> Result<Vec<(String, Held)>, StoreError> {
    let (mut found, id) = (Vec::new(), Value::Text(held.id.clone()));
    for (child, property, _) in definitions.referring_to(collection) {
        let name = &child.definition.name;
        let Some(place) = atlas.place(name).filter(|place| place.sends) else { continue };
        for linked in unsettled(conn, place.replica, &held.id)? {
            let agreed = match &linked.state.agreed {
                Agreed::Own(props) | Agreed::Former(props) => reference::names(props, property, &id),
                _ => false,
            };
            let named = agreed || (sent_names(&linked.state, property, &id) && !given_up_for_good(conn, &linked)?);
            if linked.record == held.record || !named {
                continue;
            }
            let was = present(conn, linked.record)?;
            // What was forgotten here sends nothing that could be waited for.
            if was.held.state == State::Forgotten && !planted::is("deletes wait for what was forgotten") {
                continue;
            }
            if !was.props.is_some_and(|props| reference::names(&props, property, &id)) {
                found.push((name.clone(), was.held));
            }
        }
    }
    Ok(found)
}

/// Whether a create of which nobody can say what became of it waits for a person: nothing of it comes by itself, and one that was made
/// all the same is a row of its own. (Schedule 11649 held a delete for one.)
fn given_up_for_good(conn: &Connection, linked: &Linked) -> Result<bool, StoreError> {
    Ok(linked.state.remote_id.is_none()
        && rejection_of(conn, linked.link)?.is_some()
        && !planted::is("deletes wait for a create in doubt"))
}

/// Whether something is under way that names this. What was looked for and not seen holds nothing: should it arrive after all, its row comes
/// without what is deleted, and that is sent. (Schedule 25725 held a delete for it.)
fn sent_names(state: &Link, property: &str, id: &Value) -> bool {
    let mut under_way = state.sent.iter().filter(|sent| !sent.looked || planted::is("deletes wait for what was not seen"));
    under_way.any(|sent| match &sent.what {
        SentWhat::Create(props) => reference::names(props, property, id),
        SentWhat::Update(patch) => patch.get(property).and_then(Option::as_ref).is_some_and(|value| {
            let props = Props::from([(property.to_owned(), value.clone())]);
            reference::names(&props, property, id)
        }),
        SentWhat::Delete => false,
    })
}

/// Links of a replica that are not the same as the truth, where this id may stand in what they remember.
fn unsettled(conn: &Connection, replica: i64, id: &str) -> Result<Vec<Linked>, StoreError> {
    let quoted = json::write_value(&Value::Text(id.to_owned()));
    let links: Vec<i64> = conn
        .prepare_cached(
            "SELECT link FROM m_link INDEXED BY m_link_behind WHERE replica = ?1 AND (base <> 0 OR sent IS NOT NULL)
               AND (sent IS NOT NULL OR instr(agreed, ?2) > 0)",
        )?
        .query_map(params![replica, quoted], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    links.into_iter().filter_map(|number| link::by_number(conn, number).transpose()).collect()
}

/// A row that names a record which is deleted here comes without that reference, as if it had come before the delete; and that is sent.
/// (Schedules 71508 and 76995: nothing would take it away later, and a child that is made anew would wait for that parent for ever.)
/// `own`: the record the row is of, which is there with it, so that it may name itself (schedule 98868).
pub(super) fn without_deleted(
    tx: &Tx<'_>,
    references: &References,
    own: Option<&Held>,
    was: Option<&Props>,
    props: &mut Props,
) -> Result<bool, StoreError> {
    let mut changed = false;
    for (property, reference) in references {
        let Ok(collection) = tx.collection(&reference.collection) else { continue };
        let named: Vec<String> = reference::ids(props, property).into_iter().map(str::to_owned).collect();
        for id in named {
            let what = Value::Text(id);
            if was.is_some_and(|was| reference::names(was, property, &what)) {
                continue;
            }
            let Value::Text(id) = &what else { continue };
            let deleted = record::find(tx.conn(), collection, id)?
                .is_some_and(|held| held.state == State::Deleted && own.is_none_or(|own| own.record != held.record));
            if deleted && !planted::is("reference to a deleted record comes back") {
                changed |= reference::replace(props, property, &what, None);
            }
        }
    }
    Ok(changed)
}

/// What a meeting did to a link, as far as its family is concerned.
pub(super) struct Before<'a> {
    /// The remote id that the store had.
    pub remote_id: Option<&'a str>,
    /// What the link said.
    pub state: &'a Link,
    /// What the truth said.
    pub truth: Option<&'a Props>,
}

/// The remote id as the store has it.
pub(super) fn remote_id(conn: &Connection, link: i64) -> Result<Option<String>, StoreError> {
    Ok(conn.prepare_cached("SELECT remote_id FROM m_link WHERE link = ?1")?.query_row([link], |row| row.get(0))?)
}

/// What follows from a meeting for the family: pending references are resolved, children that waited are sent, a parent whose delete
/// waited for this child is.
pub(super) fn met(tx: &mut Tx<'_>, ground: &Ground, link: i64, before: &Before<'_>, after: &Link) -> Result<(), StoreError> {
    let Some(record) = link::by_number(tx.conn(), link)?.map(|linked| linked.record) else { return Ok(()) };
    let Some(held) = record::by_row(tx.conn(), record)? else { return Ok(()) };
    if after.remote_id.as_deref() != before.remote_id {
        named(tx, ground, link, &held, before.remote_id, after)?;
    }
    let there = |agreed: &Agreed| matches!(agreed, Agreed::Same | Agreed::Own(_));
    if there(&after.agreed) && !there(&before.state.agreed) {
        let definitions = std::sync::Arc::clone(tx.definitions());
        for (child, property, _) in definitions.referring_to(&ground.spec.collection) {
            if !referring(tx.conn(), child, property, &Value::Text(held.id.clone()), 1)?.is_empty() {
                tx.touch(child.number, &ground.origin);
            }
        }
    }
    released(tx, ground, before, after)
}

/// A link has another remote id than the one before, or none.
pub(super) fn named(
    tx: &mut Tx<'_>,
    ground: &Ground,
    link: i64,
    held: &Held,
    before: Option<&str>,
    after: &Link,
) -> Result<(), StoreError> {
    let Some(remote_id) = &after.remote_id else { return Ok(()) };
    let former = match before {
        Some(former) => Some(former.to_owned()),
        // What was deleted there meanwhile. (Schedule 73849: also where nothing of it was ever confirmed.)
        None => last_former(tx.conn(), ground.replica, link)?,
    };
    gained(tx, ground, held, remote_id, former.as_deref())
}

/// The remote has an id for a record, or another one than before. Whoever referred to that id by its name there refers to the record
/// now; and whatever the remote shows with the former id does not name the record any more.
fn gained(tx: &mut Tx<'_>, ground: &Ground, held: &Held, remote_id: &str, former: Option<&str>) -> Result<(), StoreError> {
    let definitions = std::sync::Arc::clone(tx.definitions());
    let (id, pending) = (Value::Text(held.id.clone()), reference::pending(&ground.spec.remote, remote_id));
    // What is deleted here nobody comes to refer to, as where its id had been known before. (Schedule 32010: the row of a child came before that
    // of a parent whose create was in doubt, and that was deleted meanwhile.)
    let lives = held.state != State::Deleted || planted::is("pending reference to a deleted record is resolved");
    let known = Some(&id).filter(|_| lives);
    let former = former.filter(|former| *former != remote_id && !planted::is("reference to a former id stays"));
    let Some(atlas) = Atlas::of(tx.conn(), ground)? else { return Ok(()) };
    for (child, property, _) in definitions.referring_to(&ground.spec.collection) {
        let Some(place) = atlas.place(&child.definition.name) else { continue };
        if let Some(former) = former {
            let known_as = reference::pending(&ground.spec.remote, former);
            let same = referring(tx.conn(), child, property, &id, usize::MAX)?;
            forget_id(tx, place.replica, same, property, &id, &known_as, &held.id)?;
        }
        if planted::is("pending reference stays pending") {
            continue;
        }
        for number in referring(tx.conn(), child, property, &pending, usize::MAX)? {
            let Some(waiting) = record::by_row(tx.conn(), number)? else { continue };
            let Some(mut props) = waiting.props()? else { continue };
            if !reference::replace(&mut props, property, &pending, known) {
                continue;
            }
            record::change_to(tx, &waiting, &json::write(&props), &props, &ground.origin)?;
            let Some(mut linked) = link::of_record(tx.conn(), place.replica, number)? else { continue };
            let former = matches!(linked.state.agreed, Agreed::Former(_));
            if let Agreed::Own(agreed) | Agreed::Former(agreed) = &mut linked.state.agreed {
                reference::replace(agreed, property, &pending, Some(&id));
                if *agreed == props && !former {
                    linked.state.agreed = Agreed::Same;
                }
                link::save(tx, linked.link, &linked.state, true)?;
            }
        }
    }
    Ok(())
}

/// Children of a replica keep what it shows: the former id, which is no record's any more.
fn forget_id(
    tx: &mut Tx<'_>,
    replica: i64,
    referring: Vec<i64>,
    property: &str,
    id: &Value,
    known_as: &Value,
    text: &str,
) -> Result<(), StoreError> {
    for number in referring {
        let Some(mut linked) = link::of_record(tx.conn(), replica, number)? else { continue };
        let (Agreed::Same, Some(mut props)) = (&linked.state.agreed, present(tx.conn(), number)?.props) else { continue };
        reference::replace(&mut props, property, id, Some(known_as));
        linked.state.agreed = Agreed::Own(props);
        link::save(tx, linked.link, &linked.state, true)?;
    }
    for mut linked in unsettled(tx.conn(), replica, text)? {
        let mut changed = match &mut linked.state.agreed {
            Agreed::Own(props) | Agreed::Former(props) => reference::replace(props, property, id, Some(known_as)),
            _ => false,
        };
        for sent in &mut linked.state.sent {
            changed |= match &mut sent.what {
                SentWhat::Create(props) => reference::replace(props, property, id, Some(known_as)),
                SentWhat::Update(patch) => match patch.get_mut(property) {
                    Some(Some(value)) => {
                        let mut props = Props::from([(property.to_owned(), value.clone())]);
                        let replaced = reference::replace(&mut props, property, id, Some(known_as));
                        *value = props.remove(property).unwrap_or(Value::Null);
                        replaced
                    }
                    _ => false,
                },
                SentWhat::Delete => false,
            };
        }
        if changed {
            let lives = present(tx.conn(), linked.record)?.props.is_some();
            link::save(tx, linked.link, &linked.state, lives)?;
        }
    }
    Ok(())
}

/// A child names other parents at the remote than before: those of them that are deleted here may go there now.
fn released(tx: &mut Tx<'_>, ground: &Ground, before: &Before<'_>, after: &Link) -> Result<(), StoreError> {
    let references: &References = &ground.spec.policy.references;
    let was = match (&before.state.agreed, before.truth) {
        (Agreed::Own(props), _) => props,
        (Agreed::Same, Some(truth)) => truth,
        _ => return Ok(()),
    };
    for (property, reference) in references {
        for id in reference::ids(was, property) {
            let still = matches!(&after.agreed, Agreed::Own(now) if reference::names(now, property, &Value::Text(id.to_owned())));
            let Ok(collection) = tx.collection(&reference.collection) else { continue };
            let gone = record::find(tx.conn(), collection, id)?.is_some_and(|parent| parent.state != State::Live);
            if !still && gone {
                tx.touch(collection, &ground.origin);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
