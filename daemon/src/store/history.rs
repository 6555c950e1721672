//! Owns: lists for people: conflicts, rejections, runs, what is pending. Must never know: who may see them (asked before).

use std::time::Duration;

use mingle_core::{
    ask::{About, ConflictRow, Page, Refusal, RejectionRow, RunRow, Scope, Trouble, Which},
    record::Value,
    replay::Other,
    run::{Creates, Traffic},
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, params, types::Value as Bound};

use super::{
    cursor::Cursor,
    error::StoreError,
    limits,
    reader::Reader,
    sync::{link::under_way, makes, reset::of_run, scanned},
    tx::Origin,
};
use crate::json;

/// Conflicts, newest first: the open ones, or all.
///
/// # Errors
/// `stale` and `invalid` for a cursor from elsewhere; `not_found` for a collection that is not there.
pub fn conflicts(reader: &Reader<'_>, which: &Which) -> Result<Page<ConflictRow>, StoreError> {
    let (those, bound) = those(reader, which)?;
    let sql = format!(
        "SELECT c.conflict, c.id, c.open, r.collection, r.id, c.property, c.agreed, c.truth, c.theirs, c.replica, c.verdict, c.seq, c.at,
           c.link IS NULL {those}"
    );
    let question = format!("conflicts {which:?}", which = (&which.scope, &which.sync, which.all));
    page(reader, sql, bound, "c.conflict", &question, (which.limit, which.cursor.as_deref()), |row| {
        let replica: String = row.get(9)?;
        Ok(ConflictRow {
            conflict: row.get(1)?,
            open: row.get(2)?,
            collection: name(reader, row.get(3)?),
            id: row.get(4)?,
            property: row.get(5)?,
            agreed: row.get(6)?,
            truth: row.get(7)?,
            theirs: row.get(8)?,
            other: other(&replica, row.get(13)?),
            replica,
            verdict: row.get(10)?,
            seq: row.get(11)?,
            at: Timestamp::from_unix_ms(row.get(12)?),
        })
    })
}

/// The conflicts that are meant, as SQL from its `FROM` on, and what is bound in it.
pub(super) fn those(reader: &Reader<'_>, which: &Which) -> Result<(String, Vec<Bound>), StoreError> {
    let numbers = numbers(reader, &which.scope)?;
    let mut sql = format!("FROM m_conflict c JOIN m_record r USING (record) WHERE r.collection IN ({numbers})");
    if !which.all {
        sql.push_str(" AND c.open = 1");
    }
    let mut bound = Vec::new();
    if let Some(sync) = &which.sync {
        sql.push_str(" AND c.link IN (SELECT k.link FROM m_link k JOIN m_sync s USING (replica) WHERE s.name = ?1)");
        bound.push(Bound::Text(sync.clone()));
    }
    Ok((sql, bound))
}

/// What the other side of a conflict is. No remote is called like an app, and a write that merges has no link (that of a copy which was
/// forgotten is 0).
pub(super) fn other(replica: &str, no_link: bool) -> Other {
    match Origin::parse(replica) {
        Some(Origin::App(_)) if no_link => Other::Write,
        Some(Origin::App(_)) => Other::Copy,
        Some(Origin::Sync(_)) | None => Other::Remote,
    }
}

/// Rejections, newest first: those that stand, or also those that were dropped. `collection_of`: the collection of a sync, for
/// rows that made no record.
///
/// # Errors
/// As [`conflicts`].
pub fn rejections(
    reader: &Reader<'_>,
    which: &Which,
    collection_of: &dyn Fn(&str) -> Option<String>,
) -> Result<Page<RejectionRow>, StoreError> {
    let mut syncs = reader.prepare_cached("SELECT DISTINCT sync FROM m_rejection WHERE record IS NULL")?;
    let syncs: Vec<String> = syncs.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
    let seen = syncs.into_iter().filter(|sync| collection_of(sync).is_some_and(|collection| which.scope.has(&collection)));
    let mut bound: Vec<Bound> = seen.map(Bound::Text).collect();
    let marks: Vec<String> = (1..=bound.len()).map(|at| format!("?{at}")).collect();
    let mut sql = format!(
        "SELECT j.rejection, j.id, j.side, r.collection, r.id, j.remote_id, j.sync, j.action, j.what, j.at, j.tries
         FROM m_rejection j LEFT JOIN m_record r USING (record)
         WHERE (r.collection IN ({}) OR (j.record IS NULL AND j.sync IN ({})))",
        numbers(reader, &which.scope)?,
        marks.join(", ")
    );
    if !which.all {
        sql.push_str(" AND j.verdict IS NOT 'drop'");
    }
    if let Some(sync) = &which.sync {
        bound.push(Bound::Text(sync.clone()));
        sql.push_str(&format!(" AND j.sync = ?{}", bound.len()));
    }
    let question = format!("rejections {which:?}", which = (&which.scope, &which.sync, which.all));
    page(reader, sql, bound, "j.rejection", &question, (which.limit, which.cursor.as_deref()), |row| {
        let sync: String = row.get(6)?;
        Ok(RejectionRow {
            rejection: row.get(1)?,
            side: row.get(2)?,
            collection: match row.get::<_, Option<i64>>(3)? {
                Some(number) => name(reader, number),
                None => collection_of(&sync).unwrap_or_default(),
            },
            id: row.get(4)?,
            remote_id: row.get(5)?,
            sync,
            action: row.get(7)?,
            what: row.get(8)?,
            at: Timestamp::from_unix_ms(row.get(9)?),
            tries: row.get(10)?,
        })
    })
}

/// Runs, newest first: of one sync, or of all.
///
/// # Errors
/// As [`conflicts`].
pub fn runs(reader: &Reader<'_>, sync: Option<&str>, limit: usize, cursor: Option<&str>) -> Result<Page<RunRow>, StoreError> {
    let mut sql = format!("SELECT run, {RUN} FROM m_run WHERE 1");
    let mut bound = Vec::new();
    if let Some(sync) = sync {
        sql.push_str(" AND sync = ?1");
        bound.push(Bound::Text(sync.to_owned()));
    }
    page(reader, sql, bound, "run", &format!("runs {sync:?}"), (limit, cursor), run)
}

/// One run, by its id.
///
/// # Errors
/// `not_found`.
pub fn one_run(reader: &Reader<'_>, id: &str) -> Result<RunRow, StoreError> {
    run_in(reader, id)?
        .ok_or_else(|| Refusal::NotFound(format!("no run {id:?}"), Some("`mingle history` shows the runs".into())).into())
}

/// One run, by its id, in whatever state of the store this connection sees.
pub(super) fn run_in(conn: &Connection, id: &str) -> Result<Option<RunRow>, StoreError> {
    Ok(conn.prepare_cached(&format!("SELECT run, {RUN} FROM m_run WHERE id = ?1"))?.query_row([id], run).optional()?)
}

/// The last ended run of a sync.
///
/// # Errors
/// What SQLite says.
pub fn last_run(reader: &Reader<'_>, sync: &str) -> Result<Option<RunRow>, StoreError> {
    let sql = format!("SELECT run, {RUN} FROM m_run WHERE sync = ?1 AND ended IS NOT NULL ORDER BY run DESC LIMIT 1");
    Ok(reader.prepare_cached(&sql)?.query_row([sync], run).optional()?)
}

const RUN: &str = "id, sync, status, result, trigger, stop_reason, started, ended, down, up, rejected, conflicts, bytes, error, reset, attempt, waited, waited_for, bytes_up, requests, not_modified";

fn run(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        run: row.get(1)?,
        sync: row.get(2)?,
        status: row.get(3)?,
        result: row.get(4)?,
        trigger: row.get(5)?,
        stop_reason: row.get(6)?,
        started: Timestamp::from_unix_ms(row.get(7)?),
        ended: row.get::<_, Option<i64>>(8)?.map(Timestamp::from_unix_ms),
        down: row.get(9)?,
        up: row.get(10)?,
        rejected: row.get(11)?,
        conflicts: row.get(12)?,
        bytes: row.get(13)?,
        traffic: traffic(row)?,
        error: row.get::<_, Option<String>>(14)?.as_deref().and_then(trouble),
        reset: row.get::<_, Option<String>>(15)?.as_deref().and_then(of_run),
        attempt: row.get(16)?,
        waited: match (row.get::<_, Option<u64>>(17)?, row.get(18)?) {
            (Some(ms), Some(by)) => Some((Duration::from_millis(ms), by)),
            _ => None,
        },
    })
}

fn traffic(row: &Row<'_>) -> rusqlite::Result<Option<Traffic>> {
    let (bytes, up): (u64, Option<u64>) = (row.get(13)?, row.get(19)?);
    let (Some(bytes_up), Some(requests), Some(not_modified)) = (up, row.get(20)?, row.get(21)?) else { return Ok(None) };
    Ok(Some(Traffic { requests, not_modified, bytes_up, bytes_down: bytes.saturating_sub(bytes_up) }))
}

/// Reads `{"name":, "what":, "hint":}`.
pub(super) fn trouble(text: &str) -> Option<Trouble> {
    let mut props = json::parse_object(text).ok()?;
    let mut take = |name: &str| match props.remove(name) {
        Some(Value::Text(text)) => Some(text),
        _ => None,
    };
    Some(Trouble { name: take("name")?, what: take("what")?, hint: take("hint") })
}

/// The collection that a conflict, rejection or sync belongs to. `collection_of`: that of a sync.
///
/// # Errors
/// `not_found`.
pub fn collection_of(
    reader: &Reader<'_>,
    about: About<'_>,
    collection_of: &dyn Fn(&str) -> Option<String>,
) -> Result<String, StoreError> {
    let of_sync = |sync: &str| {
        collection_of(sync)
            .ok_or_else(|| Refusal::NotFound(format!("no sync {sync:?}"), Some("`mingle status` shows the syncs".into())))
    };
    let missing = |what: &str, id: &str| {
        Refusal::NotFound(format!("no {what} {id:?}"), Some(format!("`mingle {what} list` shows those that wait")))
    };
    match about {
        About::Sync(sync) => Ok(of_sync(sync)?),
        About::Conflict(id) => {
            let mut statement =
                reader.prepare_cached("SELECT r.collection FROM m_conflict c JOIN m_record r USING (record) WHERE c.id = ?1")?;
            let number: Option<i64> = statement.query_row([id], |row| row.get(0)).optional()?;
            Ok(name(reader, number.ok_or_else(|| missing("conflict", id))?))
        }
        About::Rejection(id) => {
            let mut statement = reader.prepare_cached(
                "SELECT r.collection, j.sync FROM m_rejection j LEFT JOIN m_record r USING (record) WHERE j.id = ?1",
            )?;
            let found: Option<(Option<i64>, String)> =
                statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            match found {
                Some((Some(number), _)) => Ok(name(reader, number)),
                Some((None, sync)) => Ok(of_sync(&sync)?),
                None => Err(missing("rejection", id).into()),
            }
        }
    }
}

/// What of a sync waits, for status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Links that seem to be behind (sent and not answered, or differing from what was agreed in their stored form), and records that
    /// no remote ever had. A sync that does not send has none.
    pub pending: u64,
    /// Open conflicts.
    pub conflicts: u64,
    /// Rejections that stand.
    pub rejections: u64,
}

/// Counts what waits. `sends`: the collection and what is made of it at the remote, where the sync is `up` or `both`.
///
/// # Errors
/// What SQLite says.
pub fn counts(reader: &Reader<'_>, sync: &str, sends: Option<(&str, Creates)>) -> Result<Counts, StoreError> {
    let replica: Option<i64> = reader
        .prepare_cached("SELECT replica FROM m_sync WHERE name = ?1")?
        .query_row([sync], |row| row.get(0))
        .optional()?
        .flatten();
    let rejections = reader
        .prepare_cached("SELECT count(*) FROM m_rejection WHERE sync = ?1 AND verdict IS NOT 'drop'")?
        .query_row([sync], |row| row.get(0))?;
    let new = sends.map_or(Ok(0), |(collection, creates)| unlinked(reader, sync, collection, creates))?;
    let Some(replica) = replica else { return Ok(Counts { pending: new, rejections, ..Counts::default() }) };
    let conflicts = reader
        .prepare_cached("SELECT count(*) FROM m_conflict c JOIN m_link k USING (link) WHERE c.open = 1 AND k.replica = ?1")?
        .query_row([replica], |row| row.get(0))?;
    let behind: u64 = if sends.is_some() {
        let under_way = under_way();
        reader
            .prepare_cached(&format!(
                "SELECT count(*) FROM m_link k INDEXED BY m_link_behind JOIN m_record r USING (record)
                 WHERE k.replica = ?1 AND (k.base <> 0 OR k.sent IS NOT NULL)
                   AND ({under_way} OR (k.base = 1 AND k.agreed IS NOT r.data AND r.state <> 2) OR (k.base = 2 AND r.state = 0))
                   AND NOT EXISTS (SELECT 1 FROM m_rejection j WHERE j.link = k.link)"
            ))?
            .query_row([replica], |row| row.get(0))?
    } else {
        0
    };
    Ok(Counts { pending: behind + new, conflicts, rejections })
}

/// Records that the sync has yet to give a link: they changed since it last looked, and it is to make them. Where more changed than are
/// looked at, one at least: what lies behind is not known to be sent.
fn unlinked(reader: &Reader<'_>, sync: &str, collection: &str, creates: Creates) -> Result<u64, StoreError> {
    Ok(reader
        .prepare_cached(&format!(
            "SELECT max(count(*) FILTER (WHERE r.state = 0 AND {}), count(*) > ?3) FROM
               (SELECT r.record, r.state FROM m_collection c JOIN m_record r USING (collection)
                WHERE c.name = ?2 AND r.seq > {}
                ORDER BY r.seq DESC LIMIT ?3 + 1) r",
            makes(creates),
            scanned(creates)
        ))?
        .query_row(params![sync, collection, limits::PENDING_LOOK_MAX], |row| row.get(0))?)
}

/// A page of rows, newest first, by a number of theirs that is the first column.
fn page<T>(
    reader: &Reader<'_>,
    mut sql: String,
    mut bound: Vec<Bound>,
    key: &str,
    question: &str,
    (limit, cursor): (usize, Option<&str>),
    read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> Result<Page<T>, StoreError> {
    if let Some(cursor) = cursor {
        let Cursor { mut keys } = Cursor::parse(cursor, reader.instance(), question.as_bytes())?;
        bound.push(keys.pop().unwrap_or(Bound::Null));
        sql.push_str(&format!(" AND {key} < ?{}", bound.len()));
    }
    let most = limit.clamp(1, limits::PAGE_ROWS_MAX);
    sql.push_str(&format!(" ORDER BY {key} DESC LIMIT {}", most + 1));
    let mut statement = reader.prepare_cached(&sql)?;
    let mut rows = statement.query(rusqlite::params_from_iter(bound))?;
    let mut page = Page { rows: Vec::new(), cursor: None };
    let mut last = 0_i64;
    while let Some(row) = rows.next()? {
        if page.rows.len() == most {
            page.cursor = Some(Cursor { keys: vec![Bound::Integer(last)] }.text(reader.instance(), question.as_bytes()));
            break;
        }
        last = row.get(0)?;
        page.rows.push(read(row)?);
    }
    Ok(page)
}

/// The numbers of the collections in scope, for an `IN`: ours, so they need no binding.
fn numbers(reader: &Reader<'_>, scope: &Scope) -> Result<String, StoreError> {
    let numbers: Vec<String> = match scope {
        Scope::All => reader.definitions().all().map(|collection| collection.number.to_string()).collect(),
        Scope::Only(names) => {
            names.iter().map(|name| Ok(reader.defined(name)?.number.to_string())).collect::<Result<_, Refusal>>()?
        }
    };
    Ok(numbers.join(", "))
}

fn name(reader: &Reader<'_>, number: i64) -> String {
    reader.definitions().numbered(number).map(|collection| collection.definition.name.clone()).unwrap_or_default()
}
