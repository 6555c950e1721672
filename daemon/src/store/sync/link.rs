//! Owns: links as rows: read, found by a remote id, written. Must never know: what a meeting decides.

use mingle_core::{
    meeting::{
        Agreed, Key, Link, Sent, SentWhat,
        pairs::{Pair, Pairs},
    },
    planted,
    record::Value,
    time::Timestamp,
};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use crate::{
    json,
    store::{error::StoreError, tx::Tx},
};

/// `m_link.base`.
pub const SAME: i64 = 0;
/// `m_link.base`.
pub const OWN: i64 = 1;
/// `m_link.base`.
pub const GONE: i64 = 2;
/// `m_link.base`.
pub const UNKNOWN: i64 = 3;

/// A link with where it stands.
#[derive(Clone, Debug)]
pub struct Linked {
    /// `m_link.link`
    pub link: i64,
    /// `m_link.record`
    pub record: i64,
    /// The last listing that showed it.
    pub seen: u64,
    /// A complete pass since then did not; of an app's copy: the app was told that the record leaves it.
    pub missing: bool,
    /// What the core knows of it.
    pub state: Link,
}

const COLUMNS: &str =
    "l.link, l.record, l.seen, l.remote_id, l.revision, l.left_revs, l.modified, l.base, l.agreed, l.sent, l.confirmed, l.pairs,
     l.missing";

fn read(row: &Row<'_>) -> Result<Linked, StoreError> {
    let left: Option<String> = row.get(5)?;
    let base: i64 = row.get(7)?;
    let agreed: Option<String> = row.get(8)?;
    let sent: Option<String> = row.get(9)?;
    let agreed = match (base, agreed) {
        (OWN, Some(text)) => Agreed::Own(json::parse_object(&text).map_err(damaged)?),
        (SAME, _) => Agreed::Same,
        (GONE, _) => Agreed::Gone,
        (UNKNOWN, Some(text)) => Agreed::Former(json::parse_object(&text).map_err(damaged)?),
        _ => Agreed::Unknown,
    };
    Ok(Linked {
        link: row.get(0)?,
        record: row.get(1)?,
        seen: unsigned(row.get(2)?),
        missing: row.get::<_, i64>(12)? > 0,
        state: Link {
            remote_id: row.get(3)?,
            revision: row.get(4)?,
            left: left.map(|text| serde_json::from_str(&text).map_err(damaged)).transpose()?.unwrap_or_default(),
            modified: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_unix_ms),
            agreed,
            sent: sent.map(|text| sent_from(&text)).transpose()?.unwrap_or_default(),
            confirmed: unsigned(row.get(10)?),
            pairs: row.get::<_, Option<String>>(11)?.map(|text| pairs_from(&text)).transpose()?.unwrap_or_default(),
        },
    })
}

pub(super) fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("a link does not read: {error}"))
}

/// As SQL over a link `k` and its record `r`: something is under way at the replica. What was looked for and not seen is not, once the
/// replica has what is here: should it arrive after all, it is met then.
pub(in crate::store) fn under_way() -> &'static str {
    if planted::is("looked for is under way") {
        return "k.sent IS NOT NULL";
    }
    "(k.sent IS NOT NULL AND NOT (CASE k.base WHEN 0 THEN 1 WHEN 1 THEN k.agreed IS r.data OR r.state = 2 WHEN 2 THEN r.state <> 0 ELSE 0 END
    AND NOT EXISTS (SELECT 1 FROM json_each(k.sent) s WHERE coalesce(s.value ->> 'looked', 0) = 0)))"
}

/// As SQL over a link `k`: the replica has the record, or had it once.
pub(super) const HAS_BEEN: &str =
    "(k.remote_id IS NOT NULL OR k.confirmed > 0 OR EXISTS (SELECT 1 FROM m_former f WHERE f.link = k.link))";

/// How many links of this replica have a record there.
pub(super) fn count(conn: &Connection, replica: i64) -> Result<u64, StoreError> {
    let mut count = conn.prepare_cached("SELECT count(*) FROM m_link WHERE replica = ?1 AND remote_id IS NOT NULL")?;
    Ok(unsigned(count.query_row([replica], |row| row.get(0))?))
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn one(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> Result<Option<Linked>, StoreError> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// The link a row of this id belongs to: the one that has the id, or had it once.
pub fn by_remote_id(conn: &Connection, replica: i64, remote_id: &str) -> Result<Option<Linked>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM m_link l WHERE l.replica = ?1 AND l.remote_id = ?2");
    if let Some(linked) = one(conn, &sql, params![replica, remote_id])? {
        return Ok(Some(linked));
    }
    if planted::is("former remote ids dropped") {
        return Ok(None);
    }
    let sql =
        format!("SELECT {COLUMNS} FROM m_former f JOIN m_link l ON l.link = f.link WHERE f.replica = ?1 AND f.remote_id = ?2");
    one(conn, &sql, params![replica, remote_id])
}

/// The link of that number.
pub fn by_number(conn: &Connection, link: i64) -> Result<Option<Linked>, StoreError> {
    one(conn, &format!("SELECT {COLUMNS} FROM m_link l WHERE l.link = ?1"), [link])
}

/// The link of a record at a replica.
pub fn of_record(conn: &Connection, replica: i64, record: i64) -> Result<Option<Linked>, StoreError> {
    one(conn, &format!("SELECT {COLUMNS} FROM m_link l WHERE l.replica = ?1 AND l.record = ?2"), [replica, record])
}

/// Whether a remote has this record, or is to have it: it belongs to that one, then.
pub(in crate::store) fn linked_to_a_remote(conn: &Connection, record: i64) -> Result<bool, StoreError> {
    Ok(conn.prepare_cached("SELECT 1 FROM m_link WHERE record = ?1 AND replica > 0")?.exists([record])?)
}

/// Whether something of this record is under way at another replica than this one.
pub(super) fn is_sent_elsewhere(conn: &Connection, record: i64, but: i64) -> Result<bool, StoreError> {
    let mut sent =
        conn.prepare_cached("SELECT 1 FROM m_link WHERE record = ?1 AND replica > 0 AND replica <> ?2 AND sent IS NOT NULL")?;
    Ok(sent.exists([record, but])?)
}

/// Links of a replica that may be behind, by their records' seq, with those seqs.
pub fn candidates(conn: &Connection, replica: i64, after: u64, most: usize) -> Result<Vec<(u64, Linked)>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS}, r.seq FROM m_link l INDEXED BY m_link_behind JOIN m_record r ON r.record = l.record
         WHERE l.replica = ?1 AND (l.base <> 0 OR l.sent IS NOT NULL) AND r.seq > ?2 ORDER BY r.seq LIMIT ?3"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query(params![replica, signed(after), signed(most as u64)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((unsigned(row.get(13)?), read(row)?));
    }
    Ok(found)
}

/// Open creates without an id of ours, at a replica that makes ids itself.
pub fn open_creates(conn: &Connection, replica: i64) -> Result<Vec<Linked>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM m_link l INDEXED BY m_link_behind
         WHERE l.replica = ?1 AND (l.base <> 0 OR l.sent IS NOT NULL) AND l.base = 2 AND l.sent IS NOT NULL AND l.remote_id IS NULL"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let mut rows = statement.query([replica])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    found.retain(|linked| linked.state.open_create());
    Ok(found)
}

/// Makes the link of a record; returns its number.
pub fn insert(tx: &Tx<'_>, replica: i64, record: i64, state: &Link, record_lives: bool, pass: u64) -> Result<i64, StoreError> {
    let (base, agreed) = base_of(state, record_lives);
    tx.conn()
        .prepare_cached(
            "INSERT INTO m_link (replica, record, remote_id, revision, left_revs, modified, base, agreed, sent, confirmed, born, seen, missing, pairs)
             VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7, ?8, ?9, ?10, ?10, 0, ?11)",
        )?
        .execute(params![
            replica,
            record,
            state.remote_id,
            state.revision,
            state.modified.map(Timestamp::unix_ms),
            base,
            agreed,
            sent_text(&state.sent)?,
            signed(state.confirmed),
            signed(pass),
            pairs_text(&state.pairs)
        ])?;
    Ok(tx.conn().last_insert_rowid())
}

/// Writes what a meeting made of a link.
pub fn save(tx: &Tx<'_>, link: i64, state: &Link, record_lives: bool) -> Result<(), StoreError> {
    let (base, agreed) = base_of(state, record_lives);
    let left = if state.left.is_empty() { None } else { Some(serde_json::to_string(&state.left).map_err(damaged)?) };
    tx.conn()
        .prepare_cached(
            "UPDATE m_link SET remote_id = ?2, revision = ?3, left_revs = ?4, modified = ?5, base = ?6, agreed = ?7, sent = ?8, confirmed = ?9, pairs = ?10
             WHERE link = ?1",
        )?
        .execute(params![
            link,
            state.remote_id,
            state.revision,
            left,
            state.modified.map(Timestamp::unix_ms),
            base,
            agreed,
            sent_text(&state.sent)?,
            signed(state.confirmed),
            pairs_text(&state.pairs)
        ])?;
    Ok(())
}

/// Notes that a link had this id once.
pub fn former(tx: &Tx<'_>, replica: i64, remote_id: &str, link: i64) -> Result<(), StoreError> {
    tx.conn()
        .prepare_cached("INSERT OR REPLACE INTO m_former (replica, remote_id, link) VALUES (?1, ?2, ?3)")?
        .execute(params![replica, remote_id, link])?;
    Ok(())
}

/// Notes that a listing showed a link.
pub fn seen(tx: &Tx<'_>, link: i64, pass: u64) -> Result<(), StoreError> {
    tx.conn().prepare_cached("UPDATE m_link SET seen = ?2, missing = 0 WHERE link = ?1")?.execute(params![link, signed(pass)])?;
    Ok(())
}

/// Whether any link of this replica has, or had, this id.
pub fn taken(conn: &Connection, replica: i64, remote_id: &str, but: i64) -> Result<bool, StoreError> {
    let of = conn
        .prepare_cached(
            "SELECT 1 FROM m_link WHERE replica = ?1 AND remote_id = ?2 AND link <> ?3
             UNION ALL SELECT 1 FROM m_former WHERE replica = ?1 AND remote_id = ?2 AND link <> ?3 LIMIT 1",
        )?
        .query_row(params![replica, remote_id, but], |_| Ok(()))
        .optional()?;
    Ok(of.is_some())
}

/// A record that is gone on both sides costs nothing and is no candidate: the same as the truth.
fn base_of(state: &Link, record_lives: bool) -> (i64, Option<String>) {
    match &state.agreed {
        Agreed::Same => (SAME, None),
        Agreed::Own(props) => (OWN, Some(json::write(props))),
        Agreed::Gone if !record_lives && state.sent.is_empty() => (SAME, None),
        Agreed::Gone => (GONE, None),
        Agreed::Former(props) => (UNKNOWN, Some(json::write(props))),
        Agreed::Unknown => (UNKNOWN, None),
    }
}

/// What was sent, as kept in `m_link.sent`.
#[derive(Serialize, Deserialize)]
struct SentRow {
    seq: u64,
    what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    values: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    cleared: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    given_up: Option<i64>,
    #[serde(default)]
    looked: bool,
    #[serde(default)]
    strangers: u32,
    /// Its text, when it was made, and until when it is kept there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<(String, i64, i64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<String>,
}

fn sent_text(sent: &[Sent]) -> Result<Option<String>, StoreError> {
    if sent.is_empty() {
        return Ok(None);
    }
    let row = |sent: &Sent| {
        let (what, values, cleared) = match &sent.what {
            SentWhat::Create(props) => ("create", Some(json::write(props)), Vec::new()),
            SentWhat::Update(patch) => {
                let set = patch.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?))).collect();
                let cleared = patch.iter().filter(|(_, value)| value.is_none()).map(|(name, _)| name.clone()).collect();
                ("update", Some(json::write(&set)), cleared)
            }
            SentWhat::Delete => ("delete", None, Vec::new()),
        };
        SentRow {
            seq: sent.seq,
            what: what.into(),
            values,
            cleared,
            given_up: sent.given_up.map(Timestamp::unix_ms),
            looked: sent.looked,
            strangers: sent.strangers,
            key: sent.key.as_ref().map(|key| (key.text.clone(), key.made.unix_ms(), key.until.unix_ms())),
            run: sent.run.clone(),
        }
    };
    let rows: Vec<SentRow> = sent.iter().map(row).collect();
    serde_json::to_string(&rows).map(Some).map_err(damaged)
}

/// The seqs of what is kept as sent; none: it does not read.
pub(in crate::store) fn sent_seqs(text: &str) -> Option<Vec<u64>> {
    let rows: Vec<SentRow> = serde_json::from_str(text).ok()?;
    let reads = rows.iter().all(|row| {
        ["create", "update", "delete"].contains(&row.what.as_str())
            && row.values.as_deref().is_none_or(|values| json::parse_object(values).is_ok())
    });
    reads.then(|| rows.iter().map(|row| row.seq).collect())
}

fn sent_from(text: &str) -> Result<Vec<Sent>, StoreError> {
    let rows: Vec<SentRow> = serde_json::from_str(text).map_err(damaged)?;
    let sent = |row: SentRow| {
        let values = row.values.map(|text| json::parse_object(&text).map_err(damaged)).transpose()?.unwrap_or_default();
        let what = match row.what.as_str() {
            "create" => SentWhat::Create(values),
            "update" => {
                let set = values.into_iter().map(|(name, value): (String, Value)| (name, Some(value)));
                SentWhat::Update(set.chain(row.cleared.into_iter().map(|name| (name, None))).collect())
            }
            _ => SentWhat::Delete,
        };
        let given_up = row.given_up.map(Timestamp::from_unix_ms);
        let (made, until) = (Timestamp::from_unix_ms, Timestamp::from_unix_ms);
        let key = row.key.map(|(text, at, end)| Key { text, made: made(at), until: until(end) });
        Ok(Sent { seq: row.seq, what, given_up, looked: row.looked, strangers: row.strangers, key, run: row.run })
    };
    rows.into_iter().map(sent).collect()
}

/// By property, a list of the value here and the one there, each in a list of its own that is empty where there is none.
fn pairs_text(pairs: &Pairs) -> Option<String> {
    let form = |value: &Option<Value>| Value::List(value.clone().into_iter().collect());
    let one = |(name, pair): (&String, &Pair)| (name.clone(), Value::List(vec![form(&pair.ours), form(&pair.theirs)]));
    (!pairs.is_empty()).then(|| json::write(&pairs.iter().map(one).collect()))
}

/// What [`pairs_text`] wrote.
pub(in crate::store) fn pairs_from(text: &str) -> Result<Pairs, StoreError> {
    let form = |value: Value| match value {
        Value::List(mut one) if one.len() <= 1 => Some(one.pop()),
        _ => None,
    };
    let one = |(name, value): (String, Value)| {
        let Value::List(both) = value else { return None };
        let [ours, theirs] = <[Value; 2]>::try_from(both).ok()?;
        Some((name, Pair { ours: form(ours)?, theirs: form(theirs)? }))
    };
    let all: Option<Pairs> = json::parse_object(text).map_err(damaged)?.into_iter().map(one).collect();
    all.ok_or_else(|| damaged("a pair is not in its form"))
}
