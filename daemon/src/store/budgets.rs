//! Owns: what is known of the budgets of accounts, over a restart. Must never know: what follows from it, whose account it is.

use std::{collections::BTreeMap, time::Duration};

use mingle_core::{
    budget::{Allowance, Known, Used},
    limits,
    time::Timestamp,
};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{error::StoreError, tx::Tx};

/// What is known of one, as it is written. What a newer mingle adds is passed over.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct KnownRow {
    allowances: BTreeMap<String, AllowanceRow>,
    lately: Vec<String>,
    quiet: Option<(i64, i64)>,
    used: BTreeMap<String, (u64, u64, u64)>,
    since: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct AllowanceRow {
    limit: Option<u64>,
    left: u64,
    resets: Option<i64>,
    window_s: Option<u64>,
    learned: i64,
}

/// Everything that is known, by account. What does not read is not known: the next answer tells it anew.
pub fn all(conn: &Connection) -> Result<Vec<(String, Known)>, StoreError> {
    let mut statement = conn.prepare("SELECT account, known FROM m_budget ORDER BY at DESC, account LIMIT ?1")?;
    let rows = statement.query_map([limits::ACCOUNTS_MAX], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))?;
    let mut all = Vec::new();
    for row in rows {
        let (account, known) = row?;
        all.extend(read(&known).map(|known| (account, known)));
    }
    Ok(all)
}

/// Writes down what is known, in the place of what was; accounts that are not among these any more are forgotten.
pub fn write(tx: &Tx<'_>, known: &[(String, Known)]) -> Result<(), StoreError> {
    let accounts = serde_json::to_string(&known.iter().map(|(account, _)| account).collect::<Vec<_>>());
    let accounts = accounts.map_err(|error| StoreError::Corrupt(error.to_string()))?;
    tx.conn().execute("DELETE FROM m_budget WHERE account NOT IN (SELECT value FROM json_each(?1))", [accounts])?;
    let mut statement = tx.conn().prepare_cached(
        "INSERT INTO m_budget (account, known, at) VALUES (?1, ?2, ?3)
         ON CONFLICT (account) DO UPDATE SET known = ?2, at = ?3 WHERE known <> ?2",
    )?;
    for (account, known) in known {
        let text = serde_json::to_string(&row_of(known)).map_err(|error| StoreError::Corrupt(error.to_string()))?;
        statement.execute(params![account, text, tx.now().unix_ms()])?;
    }
    Ok(())
}

/// Whether what is written reads.
pub(super) fn reads(known: &str) -> bool {
    read(known).is_some()
}

fn read(known: &str) -> Option<Known> {
    let at = Timestamp::from_unix_ms;
    let row: KnownRow = serde_json::from_str(known).ok()?;
    let allowance = |(name, row): (String, AllowanceRow)| {
        let AllowanceRow { limit, left, resets, window_s, learned } = row;
        let window = window_s.map(Duration::from_secs);
        (name, Allowance { limit, left, resets: resets.map(at), window, learned: at(learned) })
    };
    let used = |(sync, (requests, unchanged, bytes))| (sync, Used { requests, unchanged, bytes });
    Some(Known {
        allowances: row.allowances.into_iter().map(allowance).collect(),
        lately: row.lately,
        quiet: row.quiet.map(|(asked, until)| (at(asked), at(until))),
        used: row.used.into_iter().map(used).collect(),
        since: row.since.map(at),
    })
}

fn row_of(known: &Known) -> KnownRow {
    let allowance = |(name, one): (&String, &Allowance)| {
        let (resets, window_s) = (one.resets.map(Timestamp::unix_ms), one.window.map(|window| window.as_secs()));
        (name.clone(), AllowanceRow { limit: one.limit, left: one.left, resets, window_s, learned: one.learned.unix_ms() })
    };
    KnownRow {
        allowances: known.allowances.iter().map(allowance).collect(),
        lately: known.lately.clone(),
        quiet: known.quiet.map(|(asked, until)| (asked.unix_ms(), until.unix_ms())),
        used: known.used.iter().map(|(sync, used)| (sync.clone(), (used.requests, used.unchanged, used.bytes))).collect(),
        since: known.since.map(Timestamp::unix_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing;

    #[test]
    fn what_is_known_is_read_as_it_was_written() {
        let at = Timestamp::from_unix_ms;
        let allowance = Allowance {
            limit: Some(60),
            left: 6,
            resets: Some(at(9_000)),
            window: Some(Duration::from_secs(60)),
            learned: at(5),
        };
        let known = Known {
            allowances: [("core".to_owned(), allowance)].into(),
            lately: vec!["core".into()],
            quiet: Some((at(1), at(2))),
            used: [("a".to_owned(), Used { requests: 3, unchanged: 2, bytes: 1 })].into(),
            since: Some(at(4)),
        };
        let store = testing::memory();
        let write = |rows: Vec<(String, Known)>| {
            store.write_blocking(crate::store::Class::Background, at(0), move |tx| write(tx, &rows)).unwrap();
        };
        write(vec![("one".into(), known.clone()), ("two".into(), Known::default())]);
        assert_eq!(
            store.read(|reader| all(reader)).unwrap(),
            [("one".to_owned(), known.clone()), ("two".to_owned(), Known::default())]
        );
        write(vec![("one".into(), known.clone())]);
        assert_eq!(store.read(|reader| all(reader)).unwrap().len(), 1, "the other was forgotten");
        assert!(reads("{\"new\": 1}") && !reads("[") && !reads("{\"since\": \"x\"}"));
    }
}
