//! Owns: the numbered schemas and the way from each to the newest. Must never know: what is in the tables.

use rusqlite::{Connection, TransactionBehavior};

use super::error::StoreError;

/// Step n makes schema n of schema n - 1. A released step is never edited.
const STEPS: &[&str] = &[include_str!("sql/001.sql"), include_str!("sql/002.sql")];

/// Says in the file's header that it is ours: "ming".
const APPLICATION: i64 = 0x6d69_6e67;

/// The newest schema we know.
pub(super) fn known() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// Refuses a file that is not ours, or that a newer mingle wrote. Reads, and changes nothing.
pub(super) fn check(conn: &Connection) -> Result<(), StoreError> {
    let found = version(conn)?;
    if found > known() {
        return Err(StoreError::Newer { found, known: known() });
    }
    let application: i64 = conn.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_master", (), |row| row.get(0))?;
    if tables > 0 && application != APPLICATION {
        return Err(StoreError::Place("the file is a database of some other program; move it, or set another store.path".into()));
    }
    Ok(())
}

fn version(conn: &Connection) -> Result<u32, StoreError> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Brings the file to the newest schema, in one transaction: whole or not at all.
pub(super) fn upgrade(conn: &mut Connection) -> Result<(), StoreError> {
    check(conn)?;
    upgrade_by(conn, STEPS)
}

fn upgrade_by(conn: &mut Connection, steps: &[&str]) -> Result<(), StoreError> {
    if usize::try_from(version(conn)?).is_ok_and(|found| found == steps.len()) {
        return Ok(());
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found = usize::try_from(version(&tx)?).unwrap_or(usize::MAX);
    for step in steps.iter().skip(found) {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", u32::try_from(steps.len()).unwrap_or(u32::MAX))?;
    tx.pragma_update(None, "application_id", APPLICATION)?;
    Ok(tx.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each released schema as it was released, word for word; the files are never edited.
    const RELEASED: &[&[&str]] = &[&[STEPS[0]], &[STEPS[0], STEPS[1]]];

    fn master(conn: &Connection) -> Vec<(String, String, Option<String>)> {
        conn.prepare("SELECT type, name, sql FROM sqlite_master ORDER BY type, name")
            .unwrap()
            .query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    }

    #[test]
    fn an_upgraded_store_equals_a_new_one() {
        let mut new = Connection::open_in_memory().unwrap();
        upgrade(&mut new).unwrap();
        assert!(master(&new).len() > 20);
        for (at, released) in RELEASED.iter().enumerate() {
            let mut old = Connection::open_in_memory().unwrap();
            for step in *released {
                old.execute_batch(step).unwrap();
            }
            old.pragma_update(None, "user_version", u32::try_from(at + 1).unwrap()).unwrap();
            old.pragma_update(None, "application_id", APPLICATION).unwrap();
            upgrade(&mut old).unwrap();
            assert_eq!(master(&old), master(&new), "schema {} upgraded", at + 1);
        }
    }

    #[test]
    fn the_mechanism_runs_only_the_missing_steps_and_all_or_none() {
        let steps =
            ["CREATE TABLE a (x) ", "CREATE TABLE b (y); ALTER TABLE a ADD COLUMN z", "CREATE TABLE c (x); CREATE TABLE c (x)"];
        let mut conn = Connection::open_in_memory().unwrap();
        upgrade_by(&mut conn, &steps[..1]).unwrap();
        upgrade_by(&mut conn, &steps[..2]).unwrap();
        let before = master(&conn);
        assert_eq!(before.len(), 2);
        assert!(upgrade_by(&mut conn, &steps).is_err());
        assert_eq!((master(&conn), version(&conn).unwrap()), (before, 2));
    }

    #[test]
    fn a_newer_schema_and_a_foreign_file_are_refused() {
        let mut conn = Connection::open_in_memory().unwrap();
        upgrade(&mut conn).unwrap();
        conn.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(upgrade(&mut conn), Err(StoreError::Newer { found: 99, .. })));
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE t (x)").unwrap();
        assert!(matches!(upgrade(&mut foreign), Err(StoreError::Place(_))));
    }
}
