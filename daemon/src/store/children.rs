//! Owns: records that refer to others: finding them, and what the delete of a parent does to them, in its transaction.
//! Must never know: replicas, who deletes.

use std::collections::BTreeSet;

use mingle_core::{
    ask::Refusal,
    planted,
    record::{Props, Value},
    reference::{self, References, WhenGone, replace},
};
use rusqlite::{Connection, OptionalExtension};

use super::{
    definitions::{Collection, Definitions},
    error::StoreError,
    limits::CHILDREN_MAX,
    record::{self, Held},
    tx::{Origin, Tx},
    views,
};
use crate::json;

/// Live records of a collection whose property is this value, or a list with it; at most so many, in the order of their rows.
pub(super) fn referring(
    conn: &Connection,
    child: &Collection,
    property: &str,
    to: &Value,
    most: usize,
) -> Result<Vec<i64>, StoreError> {
    let text = match to {
        Value::Text(text) => text.clone(),
        other => json::write_value(other),
    };
    let mut statement = conn.prepare_cached(&referring_sql(child, property))?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    Ok(statement.query_map((text, most), |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// In the words of the indexes: the first part finds single references, the second looks into lists alone. Left to itself SQLite prefers
/// the feed's index, and reads the whole collection.
fn referring_sql(child: &Collection, property: &str) -> String {
    let by = |at: usize| {
        let indexes = views::reference_indexes(child.number, &child.definition, property);
        indexes.map_or(String::new(), |indexes| format!("INDEXED BY {}", indexes[at]))
    };
    format!(
        "SELECT record FROM m_record {single} WHERE {live} AND {extract} = ?1
         UNION SELECT record FROM m_record {list} WHERE {live} AND {listed}
           AND EXISTS (SELECT 1 FROM json_each(data, {path}) e WHERE e.value = ?1) ORDER BY 1 LIMIT ?2",
        single = by(0),
        list = by(1),
        live = views::live(child.number),
        extract = views::extract(property),
        listed = views::listed(property),
        path = views::literal(&views::path(property)),
    )
}

/// What a delete would do to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reach {
    /// Records that would be deleted too, at most.
    pub deleted: u64,
    /// More than [`CHILDREN_MAX`] records are concerned, and not all were counted.
    pub too_many: bool,
}

/// What the delete of a record would do to those that refer to it, and to those that refer to these.
pub(super) fn reach(conn: &Connection, definitions: &Definitions, held: &Held) -> Result<Reach, StoreError> {
    let (mut reach, mut met) = (Reach::default(), BTreeSet::from([held.record]));
    let mut ended = vec![(held.collection, held.id.clone())];
    while let Some((collection, id)) = ended.pop() {
        let Some(parent) = definitions.numbered(collection) else { continue };
        for (child, property, reference) in definitions.referring_to(&parent.definition.name) {
            for record in referring(conn, child, property, &Value::Text(id.clone()), CHILDREN_MAX + 1)? {
                if !met.insert(record) {
                    continue;
                }
                if met.len() > CHILDREN_MAX + 1 {
                    reach.too_many = true;
                    return Ok(reach);
                }
                if reference.on_delete == WhenGone::Cascade
                    && let Some(held) = record::by_row(conn, record)?
                {
                    reach.deleted += 1;
                    ended.push((held.collection, held.id));
                }
            }
        }
    }
    Ok(reach)
}

/// Whether an app may delete a record: nothing refers to it by a reference that forbids it, and no more than may be changed with it.
pub(super) fn may_be_deleted(tx: &Tx<'_>, held: &Held) -> Result<(), StoreError> {
    let definitions = tx.definitions();
    let Some(parent) = definitions.numbered(held.collection) else { return Ok(()) };
    let name = &parent.definition.name;
    for (child, property, reference) in definitions.referring_to(name) {
        if reference.on_delete != WhenGone::Refuse {
            continue;
        }
        for record in referring(tx.conn(), child, property, &Value::Text(held.id.clone()), 2)? {
            let Some(child_held) = record::by_row(tx.conn(), record)?.filter(|_| record != held.record) else { continue };
            let child = &child.definition.name;
            return Err(Refusal::Invalid(
                format!("{child} {:?} refers to {name} {:?} with {property}, which refuses its delete", child_held.id, held.id),
                Some(format!("delete that first, or let its {property} name another")),
            )
            .into());
        }
    }
    if reach(tx.conn(), definitions, held)?.too_many {
        return Err(too_many(held).into());
    }
    Ok(())
}

fn too_many(held: &Held) -> Refusal {
    Refusal::TooLarge(format!(
        "more than {CHILDREN_MAX} records would be changed or deleted with {:?}, because they refer to it; delete some of them first",
        held.id
    ))
}

/// Does to the children of a record that was deleted what is declared, and to theirs where they are deleted too. Each has its seq,
/// its row in the ledger under the same origin, and its links' agreed copies, like any change. How many they may be was asked before, at
/// each door by which a delete comes in.
pub(super) fn parent_is_deleted(tx: &mut Tx<'_>, held: &Held, origin: &Origin) -> Result<(), StoreError> {
    if planted::is("children left when their parent is deleted") {
        return Ok(());
    }
    let definitions = std::sync::Arc::clone(tx.definitions());
    let mut ended = vec![(held.collection, held.id.clone())];
    while let Some((collection, id)) = ended.pop() {
        let Some(parent) = definitions.numbered(collection) else { continue };
        for (child, property, reference) in definitions.referring_to(&parent.definition.name) {
            let to = Value::Text(id.clone());
            for record in referring(tx.conn(), child, property, &to, usize::MAX)? {
                let Some(child) = record::by_row(tx.conn(), record)? else { continue };
                let Some(mut props) = child.props()? else { continue };
                if !replace(&mut props, property, &to, None) {
                    continue;
                }
                // Of a list, the last one takes it along.
                let names_others = matches!(props.get(property), Some(Value::List(list)) if !list.is_empty());
                let goes = match reference.on_delete {
                    WhenGone::Cascade => !planted::is("children lose the reference where they should go"),
                    WhenGone::Nullify | WhenGone::Refuse => planted::is("children go where they should lose the reference"),
                };
                if goes && !names_others {
                    record::delete_alone(tx, &child, origin)?;
                    ended.push((child.collection, child.id));
                } else {
                    record::change_to(tx, &child, &json::write(&props), &props, origin)?;
                }
            }
        }
    }
    Ok(())
}

/// Why a child is not sent to a remote yet: a parent that is not there, and what stands in its way; none: it waits for nobody.
pub(super) fn deferred(
    conn: &Connection,
    remote: &str,
    references: &References,
    props: &Props,
) -> Result<Option<String>, StoreError> {
    for (property, reference) in references {
        let collection = &reference.collection;
        for id in reference::ids(props, property) {
            let mut parent = conn.prepare_cached(
                "SELECT r.state, k.base IN (0, 1) OR r.state = 2 AND k.remote_id IS NOT NULL, j.what, j.id FROM m_collection c JOIN m_record r ON r.collection = c.collection
                 LEFT JOIN (m_link k JOIN m_replica p ON p.replica = k.replica AND p.remote = ?3) ON k.record = r.record
                 LEFT JOIN m_rejection j ON j.link = k.link WHERE c.name = ?1 AND r.id = ?2 ORDER BY 2 DESC LIMIT 1",
            )?;
            let found = parent
                .query_row((collection, id, remote), |row| {
                    let refused: Option<(String, String)> = row.get::<_, Option<String>>(2)?.zip(row.get(3)?);
                    Ok((row.get::<_, i64>(0)?, row.get::<_, Option<bool>>(1)?.unwrap_or_default(), refused))
                })
                .optional()?;
            let why = match found {
                None => "is not here".to_owned(),
                Some((0 | 2, true, _)) => continue,
                Some((1, ..)) => "is deleted".to_owned(),
                Some((_, _, Some((what, rejection)))) => format!("is not there: {what} ({rejection})"),
                Some((_, _, None)) => "is not there yet".to_owned(),
            };
            return Ok(Some(format!("deferred: its parent {collection} {id:?} ({property}) {why}")));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
