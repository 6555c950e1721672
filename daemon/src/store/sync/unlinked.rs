//! Owns: a row that belongs to no link: an open create of ours, a record by identity, or a new record. Must never know: batches.

use mingle_core::{
    meeting::{Agreed, Link, Rules, SentWhat, alike, meet},
    planted,
    policy::Policy,
    record::{Props, Value, same},
    replica::{Row, RowState},
    run::{Applied, Direction},
};
use rusqlite::params;

use super::{Ground, Linked, elsewhere, family, frozen, link, present, rebuild, stamps, twins, write_met};
use crate::{
    json,
    store::{alias, error::StoreError, limits::ID_BYTES_MAX, record, tx::Tx, views},
};

/// Places a row without a link.
pub(super) fn row(
    tx: &mut Tx<'_>,
    ground: &Ground,
    row: &Row,
    pass: Option<u64>,
    with_creates: bool,
    applied: &mut Applied,
) -> Result<(), StoreError> {
    // Whatever it could not be before, it can be read now.
    tx.conn()
        .prepare_cached("DELETE FROM m_rejection WHERE replica = ?1 AND remote_id = ?2 AND link IS NULL")?
        .execute(params![ground.replica, row.remote_id])?;
    let RowState::Live(props) = &row.state else { return Ok(()) };
    let pass = pass.unwrap_or(0);
    if with_creates && let Some(linked) = adopt(tx, ground, row, props)? {
        return meet_with(tx, ground, &linked, row, applied);
    }
    if let Some(record) = by_identity(tx, ground, row, props)? {
        let known = link::of_record(tx.conn(), ground.replica, record)?;
        let is_new = known.is_none();
        let state = Link::stranger(&row.remote_id);
        let linked = match known {
            // Known here, not there: the link that would have made it takes this row instead.
            Some(linked) => {
                Linked { state: Link { sent: linked.state.sent.clone(), confirmed: linked.state.confirmed, ..state }, ..linked }
            }
            None => {
                let number = link::insert(tx, ground.replica, record, &state, true, pass)?;
                Linked { link: number, record, seen: pass, missing: false, state }
            }
        };
        meet_with(tx, ground, &linked, row, applied)?;
        // Only now: it may name itself, and nothing of that is here before it has met. (Schedule 117 sent that for ever.)
        if is_new && !planted::is("who names itself waits for itself") {
            met_family(tx, ground, linked.link, &linked.state)?;
        }
        return Ok(());
    }
    if ground.spec.direction == Direction::Up || !ground.spec.filter.fits(props) {
        return Ok(());
    }
    let id = free_id(tx, ground, &row.remote_id)?;
    let mut here = props.clone();
    let less = ground.names_records() && family::without_deleted(tx, &ground.spec.policy.references, None, None, &mut here)?;
    let made = record::make(tx, ground.collection, &id, &json::write(&here), &ground.origin)?;
    let state = Link {
        remote_id: Some(row.remote_id.clone()),
        revision: row.revision.clone(),
        modified: row.modified,
        agreed: if less { Agreed::Own(props.clone()) } else { Agreed::Same },
        // An app is shown what it has too much.
        confirmed: if less && ground.replica < 0 { 0 } else { made.seq },
        ..Link::unborn()
    };
    let number = link::insert(tx, ground.replica, made.record, &state, true, pass)?;
    met_family(tx, ground, number, &state)?;
    applied.changed += 1;
    Ok(())
}

/// A link that was not there has an id at the remote.
fn met_family(tx: &mut Tx<'_>, ground: &Ground, number: i64, state: &Link) -> Result<(), StoreError> {
    if !ground.has_family() {
        return Ok(());
    }
    let before = family::Before { remote_id: None, state: &Link::unborn(), truth: None };
    family::met(tx, ground, number, &before, state)
}

fn meet_with(tx: &mut Tx<'_>, ground: &Ground, linked: &Linked, row: &Row, applied: &mut Applied) -> Result<(), StoreError> {
    let was = present(tx.conn(), linked.record)?;
    let frozen = frozen(tx.conn(), linked.link)?;
    let stamps = stamps(tx.conn(), ground, &was.held, row.modified)?;
    let met = meet(&linked.state, was.props.as_ref(), row, &stamps, ground.rules(&frozen));
    let written = write_met(tx, ground, linked, &was, met, None)?;
    applied.changed += u64::from(written.changed);
    applied.conflicts += written.conflicts;
    twins::prove(tx, ground, linked.record, was.props.as_ref())?.count(&mut applied.changed, &mut applied.conflicts);
    Ok(())
}

/// Offers a row to the creates whose answers are outstanding, where the remote makes ids: it matches if the identity properties are
/// equal, or, with no identity (or without the properties of any), every carried property equals what was sent; where the service fills in
/// more, every one that was sent.
/// One match: it is ours. Else every open create has met
/// a stranger, and is never repeated without a person. When the row was made is not asked: the clock of its stamps is not the one that
/// told us when we sent.
fn adopt(tx: &mut Tx<'_>, ground: &Ground, row: &Row, props: &Props) -> Result<Option<Linked>, StoreError> {
    if planted::is("unlinked row not offered to unknown creates") {
        return Ok(None);
    }
    let mut open = link::open_creates(tx.conn(), ground.replica)?;
    if let Some(only) = made_by(&open, ground, props) {
        let mut linked = open.swap_remove(only);
        linked.state.remote_id = Some(row.remote_id.clone());
        return Ok(Some(linked));
    }
    met_a_stranger(tx, open)?;
    Ok(None)
}

/// Offers a row whose id was that of a record which is gone to the creates whose answers are outstanding: some services give the id of
/// what was deleted to what is made next. The create of that very record is left out: its row may be an old one that is still shown.
pub(super) fn given_anew(
    tx: &mut Tx<'_>,
    ground: &Ground,
    row: &Row,
    of: &Linked,
    applied: &mut Applied,
) -> Result<bool, StoreError> {
    let RowState::Live(props) = &row.state else { return Ok(false) };
    let mut open = link::open_creates(tx.conn(), ground.replica)?;
    open.retain(|one| one.link != of.link);
    let Some(only) = made_by(&open, ground, props) else { return Ok(false) };
    let mut only = open.swap_remove(only);
    tx.conn()
        .prepare_cached("DELETE FROM m_former WHERE replica = ?1 AND remote_id = ?2")?
        .execute(params![ground.replica, row.remote_id])?;
    only.state.remote_id = Some(row.remote_id.clone());
    meet_with(tx, ground, &only, row, applied)?;
    Ok(true)
}

/// Which of these creates alone can have made a row; none: it fits no one, or several.
fn made_by(open: &[Linked], ground: &Ground, props: &Props) -> Option<usize> {
    let none = std::collections::BTreeSet::new();
    let rules = ground.rules(&none);
    let alternatives: Vec<&[String]> = match ground.spec.policy.identity.as_slice() {
        [] => vec![&[]],
        some => some.iter().map(Vec::as_slice).collect(),
    };
    for identity in alternatives {
        let mut matching = (0..open.len()).filter(|at| matches_create(&open[*at].state, props, identity, rules));
        if let Some(only) = matching.next() {
            return Some(only).filter(|_| matching.next().is_none());
        }
    }
    // One that has nothing to be known by is known by all that was sent: else it would never be found again, and each row that it made be
    // another new record. (Schedule 30258 had two services make each other's for ever.)
    if planted::is("a create without its identity is never found") {
        return None;
    }
    let untold = |create: &Linked| !ground.spec.policy.identity.iter().any(|identity| is_sent_with(&create.state, identity));
    let mut matching = (0..open.len()).filter(|at| untold(&open[*at]) && matches_create(&open[*at].state, props, &[], rules));
    let only = matching.next()?;
    Some(only).filter(|_| matching.next().is_none())
}

/// Whether something that was sent has all properties of one alternative of the identity.
fn is_sent_with(state: &Link, identity: &[String]) -> bool {
    let tells_all = |sent: &Props| identity.iter().all(|name| tells(sent, name));
    state.sent.iter().any(|sent| matches!(&sent.what, SentWhat::Create(sent) if tells_all(sent)))
}

fn met_a_stranger(tx: &mut Tx<'_>, open: Vec<Linked>) -> Result<(), StoreError> {
    for mut linked in open {
        if let Some(sent) = linked.state.sent.last_mut() {
            sent.strangers += 1;
        }
        link::save(tx, linked.link, &linked.state, true)?;
    }
    Ok(())
}

/// A new row that cannot be read may be what an open create made: to each of them it is a stranger.
pub(super) fn unreadable(tx: &mut Tx<'_>, ground: &Ground, row: &Row) -> Result<(), StoreError> {
    let known: bool = tx
        .conn()
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM m_rejection WHERE replica = ?1 AND remote_id = ?2 AND link IS NULL)")?
        .query_row(params![ground.replica, row.remote_id], |row| row.get(0))?;
    if !known {
        let open = link::open_creates(tx.conn(), ground.replica)?;
        met_a_stranger(tx, open)?;
    }
    Ok(())
}

/// Whether a row may be what a create made, by one alternative of the identity; empty: there is none at all.
fn matches_create(state: &Link, props: &Props, identity: &[String], rules: Rules<'_>) -> bool {
    let mut theirs = rules.abilities.carried.of(props);
    theirs.retain(|name, _| !rules.abilities.later.contains_key(name));
    let equals = |sent: &Props| match identity.is_empty() {
        true if rules.abilities.fills_in => {
            sent.iter().all(|(name, value)| same(theirs.get(name), Some(value), rules.policy.likeness(name)))
        }
        true => alike(&theirs, sent, rules),
        false => {
            let same = |name: &String| same(theirs.get(name), sent.get(name), rules.policy.likeness(name));
            identity.iter().all(|name| tells(sent, name) && same(name))
        }
    };
    // An earlier one that was looked for may still have come late.
    state.sent.iter().any(|sent| matches!(&sent.what, SentWhat::Create(sent) if equals(sent)))
}

/// The one live record without a link at this replica that has the row's identity properties. In a sync that only sends, also the
/// record of the same id; in a rebuild, one of the same id that has lost its link.
fn by_identity(tx: &Tx<'_>, ground: &Ground, row: &Row, props: &Props) -> Result<Option<i64>, StoreError> {
    for identity in &ground.spec.policy.identity {
        let may_be = |record| elsewhere::may_be_known(tx, ground, record);
        match &known_by(tx, ground, props, identity, (2, usize::MAX), may_be)?.unwrap_or_default()[..] {
            // What the row lacks, and what fits nothing, says nothing: the next alternative may.
            [] => {}
            [only] => return Ok(Some(*only)),
            _ if planted::is("ambiguous identity falls through") => {}
            // Which of them it is nothing may tell, least of all what counts for less.
            _ => break,
        }
    }
    let up = ground.spec.direction == Direction::Up;
    if (up || ground.anew)
        && let Some(held) = record::find(tx.conn(), ground.collection, &row.remote_id)?
        && held.data.is_some()
        && ((up && elsewhere::may_be(tx, ground, held.record)?) || (ground.anew && rebuild::lost_its_link(tx, ground, &held)?))
    {
        return Ok(Some(held.record));
    }
    Ok(None)
}

/// The live records that have these properties of one alternative, all of them present, and that may be meant: at most so many. None: more
/// would have to be looked at than is said.
pub(super) fn known_by(
    tx: &Tx<'_>,
    ground: &Ground,
    props: &Props,
    identity: &[String],
    (most, looked_at_most): (usize, usize),
    may_be: impl Fn(i64) -> Result<bool, StoreError>,
) -> Result<Option<Vec<i64>>, StoreError> {
    let policy = &ground.spec.policy;
    let [first, ..] = identity else { return Ok(Some(Vec::new())) };
    let Some(value) = props.get(first).filter(|_| identity.iter().all(|name| tells(props, name))) else {
        return Ok(Some(Vec::new()));
    };
    // The first property narrows it in SQL, in the words of its index; values are compared by the core.
    let mut statement = tx.conn().prepare_cached(&by_identity_sql(tx, ground, first)?)?;
    let mut rows = statement.query([format!("[{}]", json::write_value(value))])?;
    let (mut known, mut looked_at) = (Vec::new(), 0);
    while let Some(record) = rows.next()? {
        looked_at += 1;
        if looked_at > looked_at_most {
            return Ok(None);
        }
        let data = json::parse_object(&record.get::<_, String>(1)?).map_err(link::damaged)?;
        let equal = tell_the_same(policy, identity, props, &data);
        let record = record.get(0)?;
        if equal && may_be(record)? {
            known.push(record);
            if known.len() == most {
                break;
            }
        }
    }
    Ok(Some(known))
}

/// Whether two records have all properties of one alternative, and the same ones.
pub(super) fn tell_the_same(policy: &Policy, identity: &[String], one: &Props, other: &Props) -> bool {
    identity
        .iter()
        .all(|name| tells(one, name) && tells(other, name) && same(one.get(name), other.get(name), policy.likeness(name)))
}

/// Whether two records have all properties of one alternative, and not the same ones.
pub(super) fn tell_apart(policy: &Policy, identity: &[String], one: &Props, other: &Props) -> bool {
    identity.iter().all(|name| tells(one, name) && tells(other, name)) && !tell_the_same(policy, identity, one, other)
}

/// Whether a record has this property to be known by: that something is null is nothing to know anybody by.
fn tells(props: &Props, name: &str) -> bool {
    props.get(name).is_some_and(|value| *value != Value::Null)
}

/// Left to itself SQLite prefers the feed's index, and reads the whole collection for each new row.
fn by_identity_sql(tx: &Tx<'_>, ground: &Ground, first: &str) -> Result<String, StoreError> {
    let collection = tx.defined(&ground.spec.collection)?;
    let index = views::identity_index(ground.collection, &collection.definition, first)
        .map_or(String::new(), |index| format!("INDEXED BY {index}"));
    Ok(format!(
        "SELECT record, data FROM m_record {index} WHERE {} AND {} = json_extract(?1, '$[0]')",
        views::live(ground.collection),
        views::extract(first)
    ))
}

/// The remote's id where it is free in the collection and a good id, else a UUIDv7.
fn free_id(tx: &mut Tx<'_>, ground: &Ground, remote_id: &str) -> Result<String, StoreError> {
    let good = !remote_id.is_empty() && remote_id.len() <= ID_BYTES_MAX && !remote_id.chars().any(char::is_control);
    if good {
        match record::find(tx.conn(), ground.collection, remote_id)? {
            None => return Ok(remote_id.into()),
            Some(held)
                if held.data.is_none()
                    && alias::of(tx.conn(), held.record)?.is_none()
                    && link::of_record(tx.conn(), ground.replica, held.record)?.is_none() =>
            {
                return Ok(remote_id.into());
            }
            Some(_) => {}
        }
    }
    Ok(tx.uuid7())
}

#[cfg(test)]
mod tests;
